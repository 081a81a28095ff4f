//! Events with anything in them as syslog messages: one line, within its
//! length, and what the event says never reads as structure.
#![no_main]

use evenkeel_plugin_syslog::framing::Framing;
use evenkeel_plugin_syslog::message::{DATAGRAM_BYTES_MAX, STREAM_BYTES_MAX, Sender, format};
use evenkeel_sdk::host::Event;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((head, rest)) = data.split_first_chunk::<10>() else { return };
    let (numbers, flags) = head.split_at(8);
    let numbers = <[u8; 8]>::try_from(numbers).expect("eight bytes");
    let text = String::from_utf8_lossy(rest);
    let mut parts = text.split('\0').map(str::to_owned);
    let mut next = || parts.next().unwrap_or_default();
    let (kind, category, said) = (next(), next(), next());
    let sender =
        Sender { hostname: next(), app_name: next(), bom: flags[1] % 2 == 0, ..Sender::default() };
    let rest: Vec<String> = parts.collect();
    let pair = |pair: &[String]| (pair[0].clone(), pair[1].clone());
    let event = Event {
        sequence: u64::from_le_bytes(numbers),
        utc_ms: u64::from_be_bytes(numbers),
        severity: flags[0].into(),
        category,
        kind,
        text: said,
        details: rest.chunks_exact(2).map(pair).collect(),
    };
    for len_max in [480, DATAGRAM_BYTES_MAX, STREAM_BYTES_MAX] {
        let message = format(&event, &sender, event.sequence, len_max);
        assert!(message.len() <= len_max, "{} of {len_max} bytes", message.len());
        assert!(!message.chars().any(char::is_control), "{message:?}");
        well_formed(&message);
        let framed = Framing::LineFeed.frame(message);
        assert_eq!(framed.iter().filter(|byte| **byte == b'\n').count(), 1);
    }
});

/// RFC 5424 §6: a header of seven fields, structured data, and a text.
fn well_formed(message: &str) {
    let mut fields = message.splitn(7, ' ');
    let priority = fields.next().expect("a first field");
    assert!(priority.starts_with('<') && priority.ends_with(">1"), "{message:?}");
    for _ in 1..6 {
        let field = fields.next().expect("a field of the header");
        assert!(!field.is_empty() && field.bytes().all(|b| b.is_ascii_graphic()), "{message:?}");
    }
    let text = behind_data(fields.next().expect("structured data"));
    assert!(text.is_empty() || text.starts_with(' '), "{message:?}");
}

/// What stands behind the structured data: `-`, or the two elements that
/// messages of ours have.
fn behind_data(data: &str) -> &str {
    if let Some(text) = data.strip_prefix('-') {
        return text;
    }
    let mut rest = data;
    for name in ["[meta", "[event@"] {
        rest = rest.strip_prefix(name).unwrap_or_else(|| panic!("{name} in {data:?}"));
        let mut quoted = false;
        let mut chars = rest.char_indices();
        let end = loop {
            match chars.next().unwrap_or_else(|| panic!("an end of {name} in {data:?}")) {
                (_, '\\') if quoted => drop(chars.next()),
                (_, '"') => quoted = !quoted,
                (at, ']') if !quoted => break at,
                _ => {}
            }
        };
        rest = &rest[end + 1..];
    }
    rest
}
