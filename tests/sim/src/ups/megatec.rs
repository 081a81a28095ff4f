//! The Megatec words: facts/ups-serial-protocols.md §1.1–1.4, classic dialect.
//!
//! Accepted commands get no answer, refused and unknown ones come back
//! verbatim.

use super::unit::{Return, Status, TestLength, Unit, UpsKind};
use evenkeel_core::time::Nanos;
use std::fmt::Write;

/// What a line may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// `Q1`
    Status,
    /// `F`
    Ratings,
    /// `I`
    Identity,
    /// `T`, `TL`, `T<nn>`
    Test(TestLength),
    /// `CT`
    CancelTest,
    /// `Q`
    Beeper,
    /// `S<n>`, `S<n>R<mmmm>`
    Shutdown(Nanos, Return),
    /// `C`
    CancelShutdown,
}

impl Word {
    /// A request without its `\r`.
    #[must_use]
    pub fn parse(line: &[u8]) -> Option<Self> {
        Some(match line {
            b"Q1" => Self::Status,
            b"F" => Self::Ratings,
            b"I" => Self::Identity,
            b"T" => Self::Test(TestLength::For(Nanos::from_secs(10))),
            b"TL" => Self::Test(TestLength::UntilLow),
            b"CT" => Self::CancelTest,
            b"Q" => Self::Beeper,
            b"C" => Self::CancelShutdown,
            [b'T', minutes @ ..] if minutes.len() == 2 => {
                let minutes = digits(minutes).filter(|m| *m > 0)?;
                Self::Test(TestLength::For(Nanos::from_secs(60 * minutes)))
            }
            [b'S', delay @ ..] => {
                let (delay, then) = match delay.split_at_checked(delay.len().saturating_sub(5)) {
                    Some((delay, [b'R', minutes @ ..])) => (delay, return_after(minutes)?),
                    _ => (delay, Return::WithMains),
                };
                Self::Shutdown(shutdown_delay(delay)?, then)
            }
            _ => return None,
        })
    }
}

/// Answer a request (without its `\r`): the reply with its `\r`, empty for an
/// accepted command.
#[must_use]
pub fn answer(unit: &mut Unit, line: &[u8]) -> Vec<u8> {
    let accepted = match Word::parse(line) {
        Some(Word::Status) => {
            return status_reply(unit.spec().kind, unit.spec().battery_v, &unit.status());
        }
        Some(Word::Ratings) => return ratings_reply(unit),
        Some(Word::Identity) => return identity_reply(unit),
        Some(Word::Test(length)) => unit.start_test(length),
        Some(Word::CancelTest) => {
            unit.cancel_test();
            true
        }
        Some(Word::Beeper) => {
            unit.toggle_beeper();
            true
        }
        Some(Word::Shutdown(delay, then)) => {
            unit.shut_down(delay, then);
            true
        }
        Some(Word::CancelShutdown) => {
            unit.cancel_shutdown();
            true
        }
        None => false,
    };
    if accepted { Vec::new() } else { [line, b"\r"].concat() }
}

/// ```text
/// (MMM.M NNN.N PPP.P QQQ RR.R SS.S TT.T b7b6b5b4b3b2b1b0\r     47 bytes
/// 0         1         2         3         4
/// 01234567890123456789012345678901234567890123456
/// (230.1 230.1 230.1 035 50.0 81.7 27.0 00001001
/// ```
fn status_reply(kind: UpsKind, battery_v: f64, s: &Status) -> Vec<u8> {
    let battery = match kind {
        UpsKind::LineInteractive => format!("{:04.1}", s.cell_v * battery_v / 2.0),
        UpsKind::Online => format!("{:.2}", s.cell_v),
    };
    let bits = [
        s.mains_failed,
        s.battery_low,
        s.avr_active,
        false, // UPS failed
        kind == UpsKind::LineInteractive,
        s.testing,
        s.shutting_down,
        s.beeper,
    ];
    let mut reply = format!(
        "({:05.1} {:05.1} {:05.1} {:03.0} {:04.1} {battery} {:04.1} ",
        s.input_v, s.fault_v, s.output_v, s.load_percent, s.hertz, s.celsius
    );
    reply.extend(bits.map(|bit| if bit { '1' } else { '0' }));
    reply.push('\r');
    reply.into_bytes()
}

/// `#MMM.M QQQ SS.SS RR.R\r`, 22 bytes.
fn ratings_reply(unit: &Unit) -> Vec<u8> {
    let spec = unit.spec();
    let mut reply = format!("#{:05.1} {:03.0} ", spec.nominal_v, spec.rated_va / spec.nominal_v);
    let decimals = if spec.battery_v < 99.995 { 2 } else { 1 };
    // Writing to a string does not fail.
    let _ = write!(reply, "{:05.decimals$} {:04.1}\r", spec.battery_v, 50.0);
    reply.into_bytes()
}

/// `#` maker (15) model (10) version (10) `\r`, 39 bytes.
fn identity_reply(unit: &Unit) -> Vec<u8> {
    let spec = unit.spec();
    let family = match spec.kind {
        UpsKind::LineInteractive => "LI",
        UpsKind::Online => "OL",
    };
    let model = format!("{family}{:.0}", spec.rated_va);
    format!("#{:<15.15} {model:<10.10} {:<10.10}\r", "EVENKEEL SIM", "V1.0").into_bytes()
}

/// `.2` … `.9` minutes, or `00` … `10`.
fn shutdown_delay(text: &[u8]) -> Option<Nanos> {
    match text {
        [b'.', tenth @ b'2'..=b'9'] => Some(Nanos::from_secs(6 * u64::from(tenth - b'0'))),
        [_, _] => digits(text).filter(|m| *m <= 10).map(|m| Nanos::from_secs(60 * m)),
        _ => None,
    }
}

/// Four digits of minutes; 0000 stays off.
fn return_after(text: &[u8]) -> Option<Return> {
    Some(match digits(text)? {
        0 => Return::Never,
        minutes => Return::After(Nanos::from_secs(60 * minutes)),
    })
}

fn digits(text: &[u8]) -> Option<u64> {
    if !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::unit::UpsSpec;
    use super::*;
    use proptest::prelude::*;

    fn frozen(kind: UpsKind) -> Unit {
        let mut unit = Unit::new(UpsSpec { kind, ..UpsSpec::default() });
        unit.set_frozen(true);
        unit
    }

    fn ask(unit: &mut Unit, line: &str) -> String {
        String::from_utf8(answer(unit, line.as_bytes())).expect("text")
    }

    #[test]
    fn replies_have_their_columns() {
        let mut unit = frozen(UpsKind::LineInteractive);
        assert_eq!(ask(&mut unit, "Q1"), "(230.0 230.0 230.0 035 50.0 81.7 27.0 00001001\r");
        assert_eq!(ask(&mut unit, "F"), "#230.0 013 72.00 50.0\r");
        assert_eq!(ask(&mut unit, "I"), "#EVENKEEL SIM    LI3000     V1.0      \r");
        unit = frozen(UpsKind::Online);
        assert_eq!(ask(&mut unit, "Q1"), "(230.0 230.0 230.0 035 50.0 2.27 27.0 00000001\r");
        for (line, len) in [("Q1", 47), ("F", 22), ("I", 39)] {
            assert_eq!(ask(&mut unit, line).len(), len);
        }
    }

    #[test]
    fn every_flag_has_its_column() {
        let mut unit = frozen(UpsKind::LineInteractive);
        unit.set_input(0.0);
        assert_eq!(&ask(&mut unit, "Q1")[38..46], "10001001");
        unit.set_input(200.0);
        assert_eq!(&ask(&mut unit, "Q1")[38..46], "00101001");
        for (command, bits) in [
            ("T", "00101101"),
            ("CT", "00101001"),
            ("S02", "00101011"),
            ("C", "00101001"),
            ("Q", "00101000"),
        ] {
            assert_eq!(ask(&mut unit, command), "", "{command} is accepted in silence");
            assert_eq!(&ask(&mut unit, "Q1")[38..46], bits, "{command}");
        }
    }

    #[test]
    fn words_mean_what_the_facts_say() {
        let secs = Nanos::from_secs;
        for (line, word) in [
            ("TL", Word::Test(TestLength::UntilLow)),
            ("T05", Word::Test(TestLength::For(secs(300)))),
            ("S.2", Word::Shutdown(secs(12), Return::WithMains)),
            ("S10", Word::Shutdown(secs(600), Return::WithMains)),
            ("S01R0003", Word::Shutdown(secs(60), Return::After(secs(180)))),
            ("S.5R0000", Word::Shutdown(secs(30), Return::Never)),
            ("S00R0000", Word::Shutdown(secs(0), Return::Never)),
        ] {
            assert_eq!(Word::parse(line.as_bytes()), Some(word), "{line}");
        }
    }

    #[test]
    fn unknown_words_are_echoed() {
        let mut unit = frozen(UpsKind::Online);
        for line in
            ["", "QGS", "T00", "T1", "S", "S11", "S.1", "S01R", "S01R003", "S01R00x3", "q1", "M"]
        {
            assert_eq!(ask(&mut unit, line), format!("{line}\r"), "{line}");
        }
        unit.set_input(0.0);
        assert_eq!(ask(&mut unit, "T"), "T\r", "no test on battery");
    }

    proptest! {
        #[test]
        fn any_line_gets_a_reply_or_silence(line in proptest::collection::vec(any::<u8>(), 0..20)) {
            let reply = answer(&mut frozen(UpsKind::Online), &line);
            prop_assert!(reply.is_empty() || reply.ends_with(b"\r"));
        }
    }
}
