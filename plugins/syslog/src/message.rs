//! An event as a syslog message (RFC 5424; facts/radius-syslog-smtp.md §8).
//! Pure.
//!
//! ```text
//! <129>1 2026-11-21T17:37:52.123Z rack-7 evenkeel - module_lost [meta …][event@32473 …] text
//!  │   │ time                     host   app     │ kind        structured data
//!  │   version                              process
//!  facility · 8 + severity
//! ```
//!
//! Everything comes out within the standard's character sets and within a
//! length, whatever comes in: names of devices and users are other people's
//! text, and a line break in one of them must not begin another message.

use core::fmt::Write as _;
use evenkeel_sdk::host::Event;

/// Private enterprise number in the names of structured data (RFC 5424 §7.2.2)
/// until there is one of our own: the one that is reserved for examples.
pub const ENTERPRISE_NUMBER: u32 = 32_473;
/// Longest message in a datagram, in bytes: no path makes fragments of it
/// (RFC 5426 §3.2, with IPv6's least MTU of 1,280).
pub const DATAGRAM_BYTES_MAX: usize = 1_180;
/// Longest message in a stream, in bytes. Receivers should take 2,048 (RFC
/// 5424 §6.1).
pub const STREAM_BYTES_MAX: usize = 2_048;

const HOSTNAME_MAX: usize = 255;
const APP_NAME_MAX: usize = 48;
const MSGID_MAX: usize = 32;
const SD_NAME_MAX: usize = 32;
/// Longest value of structured data, in bytes before escaping.
const SD_VALUE_MAX: usize = 256;
/// `meta sequenceId` begins at 1 again behind this (RFC 5424 §7.3.1).
const SEQUENCE_ID_MAX: u64 = 2_147_483_647;
const BOM: &str = "\u{feff}";
const NIL: &str = "-";

/// Who is said to be speaking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// What every priority value begins with.
    pub facility: Facility,
    /// Host name; nil when empty.
    pub hostname: String,
    /// Application name; nil when empty.
    pub app_name: String,
    /// Whether text beyond ASCII begins with a byte order mark, as the
    /// standard wants it. Some receivers show it as junk.
    pub bom: bool,
}

impl Default for Sender {
    fn default() -> Self {
        Self {
            facility: Facility(16),
            hostname: String::new(),
            app_name: "evenkeel".to_owned(),
            bom: true,
        }
    }
}

/// What kind of source it is: 0 to 23 (RFC 5424 §6.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facility(u8);

impl Facility {
    const NAMES: [&'static str; 24] = [
        "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron",
        "authpriv", "ftp", "ntp", "audit", "alert", "clock", "local0", "local1", "local2",
        "local3", "local4", "local5", "local6", "local7",
    ];

    /// The facility with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let index = Self::NAMES.iter().position(|known| *known == name)?;
        u8::try_from(index).ok().map(Self)
    }

    /// All names, for the message that one is not among them.
    #[must_use]
    pub fn names() -> String {
        Self::NAMES.join(", ")
    }
}

/// `event` as a message of at most `len_max` bytes, which are at least 480
/// (RFC 5424 §6.1). `count` is how many messages this is since the start,
/// from 1.
///
/// What does not fit is left out: of the text its end, of the details the
/// last. The text is worth more, and half of the room is kept for it.
#[must_use]
pub fn format(event: &Event, sender: &Sender, count: u64, len_max: usize) -> String {
    let priority = u32::from(sender.facility.0) * 8 + severity(event.severity);
    let mut message = format!("<{priority}>1 ");
    push_time(&mut message, event.utc_ms);
    for (field, max) in [(&sender.hostname, HOSTNAME_MAX), (&sender.app_name, APP_NAME_MAX)] {
        message.push(' ');
        message.push_str(&visible(field, max));
    }
    // There is no process to tell of.
    message.push_str(" - ");
    message.push_str(&visible(&event.kind, MSGID_MAX));
    message.push(' ');
    let room = len_max.saturating_sub(message.len());
    let text = plain(&event.text);
    let kept_for_text = (text.len() + BOM.len() + 1).min(room / 2);
    push_data(&mut message, event, count, len_max.saturating_sub(kept_for_text));
    push_text(&mut message, &text, sender.bom, len_max);
    message
}

/// As RFC 5674 §2 maps the severities of alarms: whoever must act is alerted.
const fn severity(of_event: u32) -> u32 {
    match of_event {
        0 => 6,
        1 => 4,
        _ => 1,
    }
}

/// `2026-11-21T17:37:52.123Z`, or nil for a year that has more than four digits.
fn push_time(message: &mut String, utc_ms: u64) {
    let (days, ms) = (utc_ms / 86_400_000, utc_ms % 86_400_000);
    let Some((year, month, day)) = civil(days) else { return message.push_str(NIL) };
    let (s, ms) = (ms / 1_000, ms % 1_000);
    let (hour, minute, s) = (s / 3_600, s / 60 % 60, s % 60);
    // Writing to a string cannot fail.
    let _ = write!(message, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{s:02}.{ms:03}Z");
}

/// Year, month and day of a day counted from 1970-01-01 in the Gregorian
/// calendar; `None` after the year 9999.
///
/// Counts in eras of 400 years and years that begin in March, so that the
/// leap day is the last of its year.
fn civil(days_since_1970: u64) -> Option<(u64, u64, u64)> {
    const ERA_DAYS: u64 = 146_097;
    /// From 0000-03-01 to 1970-01-01.
    const OFFSET_DAYS: u64 = 719_468;
    let days = days_since_1970.checked_add(OFFSET_DAYS)?;
    let (era, day) = (days / ERA_DAYS, days % ERA_DAYS);
    // Every 4th, 100th and 400th year is of another length.
    let year_of_era = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // March … February have 31, 30, 31, 30, 31 days, over and over.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year <= 9_999).then_some((year, month, day))
}

/// A field of the header: visible ASCII (33 to 126), or nil.
fn visible(text: &str, max: usize) -> String {
    let visible = |c: char| if c.is_ascii_graphic() { c } else { '_' };
    match text.is_empty() {
        true => NIL.to_owned(),
        false => text.chars().map(visible).take(max).collect(),
    }
}

/// A name in structured data: visible ASCII but `=`, `]` and `"`.
fn sd_name(text: &str) -> String {
    let allowed = |c: char| if matches!(c, '=' | ']' | '"') { '_' } else { c };
    visible(text, SD_NAME_MAX).chars().map(allowed).collect()
}

/// Text without control characters: each, line breaks included, is a space.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The structured data, as far as the message stays within `len_max`.
fn push_data(message: &mut String, event: &Event, count: u64, len_max: usize) {
    let sequence_id = count.saturating_sub(1) % SEQUENCE_ID_MAX + 1;
    let begin = format!(
        "[meta sequenceId=\"{sequence_id}\"][event@{ENTERPRISE_NUMBER} sequence=\"{}\" \
        category=\"{}\"",
        event.sequence,
        escaped(&event.category),
    );
    if message.len() + begin.len() + 1 > len_max {
        return message.push_str(NIL);
    }
    message.push_str(&begin);
    for (name, value) in &event.details {
        let parameter = format!(" {}=\"{}\"", sd_name(name), escaped(value));
        if message.len() + parameter.len() + 1 > len_max {
            break;
        }
        message.push_str(&parameter);
    }
    message.push(']');
}

/// A value in structured data: `"`, `\` and `]` are escaped (RFC 5424 §6.3.3).
fn escaped(value: &str) -> String {
    let mut text = String::new();
    for c in cut(&plain(value), SD_VALUE_MAX).chars() {
        if matches!(c, '"' | '\\' | ']') {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

fn push_text(message: &mut String, text: &str, bom: bool, len_max: usize) {
    // Text of ASCII alone is valid in every encoding and needs no mark.
    let mark = if bom && !text.is_ascii() { BOM } else { "" };
    let room = len_max.saturating_sub(message.len() + 1 + mark.len());
    let text = cut(text, room);
    if !text.is_empty() {
        message.push(' ');
        message.push_str(mark);
        message.push_str(text);
    }
}

/// As much of `text` as fits into `max` bytes, in whole characters.
fn cut(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn event() -> Event {
        Event {
            sequence: 1_234,
            utc_ms: 1_795_282_672_123,
            severity: 2,
            category: "battery".to_owned(),
            kind: "module_lost".to_owned(),
            text: "module of block 17 in string 2 does not answer".to_owned(),
            details: vec![("string".into(), "2".into()), ("block".into(), "17".into())],
        }
    }

    /// An event as it is written in `testcases/`: `\\` is a backslash, `\n` and
    /// `\r` are line ends.
    fn read(text: &str) -> Event {
        let mut event = Event { details: Vec::new(), ..event() };
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (key, value) = line.split_once(' ').expect("key and value");
            let number = || value.parse().expect("a number");
            let words = |text: &str| {
                text.split("\\\\")
                    .map(|part| part.replace("\\n", "\n").replace("\\r", "\r"))
                    .collect::<Vec<_>>()
                    .join("\\")
            };
            match key {
                "sequence" => event.sequence = number(),
                "utc_ms" => event.utc_ms = number(),
                "severity" => event.severity = value.parse().expect("a number"),
                "category" => event.category = words(value),
                "kind" => event.kind = words(value),
                "text" => event.text = words(value),
                "detail" => {
                    let (name, value) = value.split_once(' ').expect("name and value");
                    event.details.push((words(name), words(value)));
                }
                _ => panic!("{line:?} is not of an event"),
            }
        }
        event
    }

    #[test]
    fn the_test_cases_become_their_messages() {
        let sender = Sender { hostname: "rack-7.example".into(), ..Sender::default() };
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/testcases");
        let mut count = 0;
        for case in std::fs::read_dir(folder).expect("test cases") {
            let case = case.expect("readable").path();
            let file = |name| std::fs::read_to_string(case.join(name)).expect(name);
            let message = format(&read(&file("event.txt")), &sender, 1, 2_048);
            assert_eq!(message, file("expected.message"), "{}", case.display());
            count += 1;
        }
        assert!(count >= 3);
    }

    #[test]
    fn what_is_special_is_escaped_and_what_is_not_known_is_nil() {
        let event = Event {
            details: vec![("na me=]\"é".into(), "a\"b\\c]d\ne".into())],
            text: "25 °C\r\n<13>1 forged".into(),
            severity: 1,
            kind: String::new(),
            ..event()
        };
        let message = format(&event, &Sender::default(), 2_147_483_648, 2_048);
        assert!(message.starts_with("<132>1 2026-11-21T17:37:52.123Z - evenkeel - - [meta "));
        assert!(message.contains("sequenceId=\"1\"]"), "{message}");
        assert!(message.contains(r#" na_me____="a\"b\\c\]d e"]"#), "{message}");
        assert!(message.ends_with("] \u{feff}25 °C  <13>1 forged"), "{message}");
        let bare = Sender { bom: false, ..Sender::default() };
        assert!(format(&event, &bare, 1, 2_048).ends_with("] 25 °C  <13>1 forged"));
    }

    #[test]
    fn what_does_not_fit_is_left_out_from_the_end() {
        let long = Event {
            text: "°".repeat(5_000),
            details: (0..99).map(|i| (format!("detail{i}"), "x".repeat(50))).collect(),
            ..event()
        };
        let message = format(&long, &Sender::default(), 1, 480);
        assert!((478..=480).contains(&message.len()), "{}", message.len());
        let parts = parse(&message).expect("well-formed");
        assert!(parts.data.contains("detail0") && !parts.data.contains("detail9"));
        assert!(parts.text.len() > 150, "{message}");
        let short = Event { text: "short".into(), ..long };
        let message = format(&short, &Sender::default(), 1, 480);
        assert!(message.ends_with("] short") && message.contains("detail3"), "{message}");
    }

    #[test]
    fn days_of_the_calendar() {
        for (days, date) in [
            (0, (1970, 1, 1)),
            (58, (1970, 2, 28)),
            (59, (1970, 3, 1)),
            (11_016, (2000, 2, 29)),
            (20_778, (2026, 11, 21)),
            (47_540, (2100, 2, 28)),
            (47_541, (2100, 3, 1)),
            (2_932_896, (9999, 12, 31)),
        ] {
            assert_eq!(civil(days), Some(date));
        }
        assert_eq!((civil(2_932_897), civil(u64::MAX / 86_400_000)), (None, None));
        let mut expected = (1970, 1, 1);
        for day in 0..200_000 {
            assert_eq!(civil(day), Some(expected));
            expected = next_day(expected);
        }
    }

    fn next_day((year, month, day): (u64, u64, u64)) -> (u64, u64, u64) {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let last = match month {
            2 => 28 + u64::from(leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        match (month, day) {
            (12, 31) => (year + 1, 1, 1),
            _ if day == last => (year, month + 1, 1),
            _ => (year, month, day + 1),
        }
    }

    #[test]
    fn facilities_have_names() {
        assert_eq!(Facility::parse("local0"), Some(Sender::default().facility));
        assert_eq!(Facility::parse("kern"), Some(Facility(0)));
        assert_eq!(Facility::parse("local7"), Some(Facility(23)));
        assert_eq!(Facility::parse("LOCAL0"), None);
    }

    /// The parts of a message that a receiver tells apart.
    #[derive(Debug)]
    struct Parts<'a> {
        header: Vec<&'a str>,
        data: &'a str,
        text: &'a str,
    }

    /// Takes a message apart as the grammar of RFC 5424 §6 has it, written
    /// from the grammar and sharing nothing with what makes messages.
    fn parse(message: &str) -> Option<Parts<'_>> {
        let (priority, rest) = message.strip_prefix('<')?.split_once('>')?;
        let priority: u32 = priority.parse().ok().filter(|p| *p <= 191)?;
        let mut fields = rest.splitn(7, ' ');
        let header: Vec<_> = fields.by_ref().take(6).collect();
        let rest = fields.next()?;
        let limits = [1, 32, 255, 48, 128, 32];
        let good = |(field, max): (&&str, usize)| {
            (1..=max).contains(&field.len()) && field.bytes().all(|b| (33..=126).contains(&b))
        };
        let _ = priority;
        if header.len() != 6 || !header.iter().zip(limits).all(good) {
            return None;
        }
        let end = data_end(rest)?;
        let (data, text) = rest.split_at(end);
        let text = if text.is_empty() { "" } else { text.strip_prefix(' ')? };
        Some(Parts { header, data, text })
    }

    /// Where the structured data at the start of `text` ends.
    fn data_end(text: &str) -> Option<usize> {
        if text == "-" || text.starts_with("- ") {
            return Some(1);
        }
        let mut bytes = text.bytes().enumerate().peekable();
        let mut elements = 0;
        while bytes.peek().is_some_and(|(_, b)| *b == b'[') {
            bytes.next();
            name(&mut bytes)?;
            loop {
                match bytes.next()? {
                    (_, b']') => break,
                    (_, b' ') => {
                        name(&mut bytes)?;
                        (bytes.next()?.1 == b'=').then_some(())?;
                        value(&mut bytes)?;
                    }
                    _ => return None,
                }
            }
            elements += 1;
        }
        let end = bytes.peek().map_or(text.len(), |(at, _)| *at);
        (elements > 0).then_some(end)
    }

    type Bytes<'a> = std::iter::Peekable<std::iter::Enumerate<std::str::Bytes<'a>>>;

    fn name(bytes: &mut Bytes<'_>) -> Option<()> {
        let mut len = 0;
        while bytes.peek().is_some_and(|(_, b)| b.is_ascii_graphic() && !b"=]\"".contains(b)) {
            bytes.next();
            len += 1;
        }
        (1..=32).contains(&len).then_some(())
    }

    fn value(bytes: &mut Bytes<'_>) -> Option<()> {
        (bytes.next()?.1 == b'"').then_some(())?;
        loop {
            match bytes.next()?.1 {
                b'"' => return Some(()),
                b'\\' => drop(bytes.next()?),
                b']' => return None,
                _ => {}
            }
        }
    }

    prop_compose! {
        fn any_event()(
            sequence: u64, utc_ms: u64, severity: u32,
            category in "\\PC{0,20}|.{0,20}", kind in "[a-z_]{0,40}|.{0,40}",
            text in "(?s).{0,300}", details in prop::collection::vec(("(?s).{0,40}", "(?s).{0,300}"), 0..12),
        ) -> Event {
            Event { sequence, utc_ms, severity, category, kind, text, details }
        }
    }

    proptest! {
        #[test]
        fn every_event_becomes_a_message_of_the_grammar(
            event in any_event(), hostname in ".{0,300}", app_name in ".{0,99}",
            facility in 0_u8..24, bom: bool, count: u64, len_max in 480_usize..4_096,
        ) {
            let sender = Sender { facility: Facility(facility), hostname, app_name, bom };
            let message = format(&event, &sender, count, len_max);
            prop_assert!(message.len() <= len_max);
            prop_assert!(!message.chars().any(char::is_control), "{message:?}");
            let parts = parse(&message);
            prop_assert!(parts.is_some(), "{message:?}");
            let parts = parts.expect("some");
            prop_assert_eq!(parts.header[0], "1");
            let text = parts.text.strip_prefix(BOM).unwrap_or(parts.text);
            prop_assert!(plain(&event.text).starts_with(text) || event.text.starts_with(BOM));
        }
    }
}
