//! Bytes of the Megatec protocol: frames, flags, refusals
//! (facts/ups-serial-protocols.md §1).
//!
//! ```text
//! Q1  (MMM.M NNN.N PPP.P QQQ RR.R SS.S TT.T b7b6b5b4b3b2b1b0\r
//!     0     6     12    18  22   27   32   37              46
//! F   #MMM.M QQQ SS.SS RR.R\r
//!     0     6   10    16   21
//! I   #maker 15 chars  model 10   version 10\r
//!     0                16         27        38 (or 37)
//! ```

use evenkeel_sdk::table::Frame;

/// Skeleton of the reply to `Q1`.
pub(crate) const STATUS: Frame = Frame {
    length: (47, 47),
    fixed: &[
        (0, b'('),
        (6, b' '),
        (12, b' '),
        (18, b' '),
        (22, b' '),
        (27, b' '),
        (32, b' '),
        (37, b' '),
        (46, b'\r'),
    ],
    bits: (FLAGS, FLAGS + 8),
};

/// Skeleton of the reply to `F`.
pub(crate) const RATINGS: Frame = Frame {
    length: (22, 22),
    fixed: &[(0, b'#'), (6, b' '), (10, b' '), (16, b' '), (21, b'\r')],
    bits: (0, 0),
};

/// Skeleton of the reply to `I`; some units leave out the last character.
pub(crate) const IDENTITY: Frame =
    Frame { length: (38, 39), fixed: &[(0, b'#'), (16, b' '), (27, b' ')], bits: (0, 0) };

/// Place of the first flag, b7.
pub(crate) const FLAGS: usize = 38;

/// True when the unit does not know `request`: classic units send it back,
/// others say NAK in one of three ways.
pub(crate) fn is_refusal(request: &[u8], reply: &[u8]) -> bool {
    reply == request || matches!(reply, b"NAK\r" | b"(NAK\r" | b"N\r")
}

/// The flags that make up `ups.status` and `ups.alarm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flags {
    mains_failed: bool,
    battery_low: bool,
    /// Bypass, boost or buck; the voltages tell which.
    output_adjusted: bool,
    failed: bool,
    testing: bool,
    shutting_down: bool,
}

impl Flags {
    /// The flags in a reply that passed [`STATUS`].
    pub(crate) fn of(reply: &[u8], ignore_shutdown: bool) -> Self {
        let set = |bit: usize| reply.get(FLAGS + 7 - bit) == Some(&b'1');
        Self {
            mains_failed: set(7),
            battery_low: set(6),
            output_adjusted: set(5),
            failed: set(4),
            testing: set(2),
            shutting_down: set(1) && !ignore_shutdown,
        }
    }

    /// Status words of NUT in NUT's order. `input` and `output` are voltages.
    pub(crate) fn status(self, input: Option<f64>, output: Option<f64>) -> String {
        let mut words = Vec::new();
        if self.failed || self.shutting_down {
            words.push("ALARM");
        }
        words.push(if self.mains_failed { "OB" } else { "OL" });
        if self.battery_low {
            words.push("LB");
        }
        if let (true, Some(input), Some(output)) = (self.output_adjusted, input, output) {
            words.extend(adjustment(input, output));
        }
        if self.testing {
            words.push("CAL");
        }
        if self.shutting_down {
            words.push("FSD");
        }
        words.join(" ")
    }

    /// Alarms as text, empty when there are none.
    pub(crate) fn alarm(self) -> String {
        let alarms =
            [(self.failed, "UPS selftest failed!"), (self.shutting_down, "Shutdown imminent!")];
        let active: Vec<&str> =
            alarms.into_iter().filter(|(set, _)| *set).map(|(_, text)| text).collect();
        active.join(" ")
    }
}

/// What flag b5 means, by the ratio of output to input voltage. Multiplied out,
/// so that no input voltage is no special case.
fn adjustment(input: f64, output: f64) -> Option<&'static str> {
    if output < 0.5 * input || output >= 1.5 * input {
        None
    } else if output < 0.95 * input {
        Some("TRIM")
    } else if output < 1.05 * input {
        Some("BYPASS")
    } else {
        Some("BOOST")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(bits: &str) -> Flags {
        let mut reply = vec![b' '; FLAGS];
        reply.extend_from_slice(bits.as_bytes());
        Flags::of(&reply, false)
    }

    #[test]
    fn each_flag_has_its_words() {
        let cases = [
            ("00000000", "OL", ""),
            ("10001001", "OB", ""),
            ("11000000", "OB LB", ""),
            ("00010000", "ALARM OL", "UPS selftest failed!"),
            ("00000100", "OL CAL", ""),
            ("10000010", "ALARM OB FSD", "Shutdown imminent!"),
            ("00010110", "ALARM OL CAL FSD", "UPS selftest failed! Shutdown imminent!"),
        ];
        for (bits, status, alarm) in cases {
            assert_eq!(flags(bits).status(Some(230.0), Some(230.0)), status, "{bits}");
            assert_eq!(flags(bits).alarm(), alarm, "{bits}");
        }
    }

    #[test]
    fn the_voltages_tell_bypass_from_boost_and_trim() {
        let word = |input, output| flags("00100000").status(input, output);
        let cases = [
            (99.9, "OL"),
            (100.0, "OL TRIM"),
            (189.9, "OL TRIM"),
            (190.0, "OL BYPASS"),
            (209.9, "OL BYPASS"),
            (210.0, "OL BOOST"),
            (299.9, "OL BOOST"),
            (300.0, "OL"),
        ];
        for (output, status) in cases {
            assert_eq!(word(Some(200.0), Some(output)), status, "{output} V");
        }
        assert_eq!(word(Some(0.0), Some(0.0)), "OL");
        assert_eq!(word(None, Some(230.0)), "OL");
    }

    #[test]
    fn refusals_are_known_and_replies_are_not_refusals() {
        for refusal in [&b"I\r"[..], b"NAK\r", b"(NAK\r", b"N\r"] {
            assert!(is_refusal(b"I\r", refusal));
        }
        assert!(!is_refusal(b"I\r", b"F\r"));
        assert!(!is_refusal(b"I\r", b"#-------------   ------     VT12046Q  \r"));
    }
}
