//! `ups.status` and `ups.alarm`: words and alarm texts that rows collect, often
//! from several replies, and that are published as two points.

use crate::host::{Quality, Update};

/// A word of `ups.status`, in the order in which they are published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Word {
    /// At least one alarm; set by [`Status::add_alarm`].
    Alarm,
    /// On line.
    Ol,
    /// On battery.
    Ob,
    /// The output is off.
    Off,
    /// Battery low.
    Lb,
    /// Battery high.
    Hb,
    /// Replace the battery.
    Rb,
    /// Charging.
    Chrg,
    /// Discharging.
    Dischrg,
    /// On bypass.
    Bypass,
    /// Lowering the voltage.
    Trim,
    /// Raising the voltage.
    Boost,
    /// Overload.
    Over,
    /// Calibrating or testing the battery.
    Cal,
    /// In economy mode.
    Eco,
    /// Testing something else.
    Test,
    /// Forced shutdown.
    Fsd,
}

impl Word {
    const ALL: [(Self, &'static str); 17] = [
        (Self::Alarm, "ALARM"),
        (Self::Ol, "OL"),
        (Self::Ob, "OB"),
        (Self::Off, "OFF"),
        (Self::Lb, "LB"),
        (Self::Hb, "HB"),
        (Self::Rb, "RB"),
        (Self::Chrg, "CHRG"),
        (Self::Dischrg, "DISCHRG"),
        (Self::Bypass, "BYPASS"),
        (Self::Trim, "TRIM"),
        (Self::Boost, "BOOST"),
        (Self::Over, "OVER"),
        (Self::Cal, "CAL"),
        (Self::Eco, "ECO"),
        (Self::Test, "TEST"),
        (Self::Fsd, "FSD"),
    ];

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// What is known of a device's condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    words: u32,
    alarms: Vec<&'static str>,
}

impl Status {
    /// Add a word; twice is once.
    pub fn add(&mut self, word: Word) {
        self.words |= word.bit();
    }

    /// Take a word away.
    pub fn remove(&mut self, word: Word) {
        self.words &= !word.bit();
    }

    /// True when the word is there.
    #[must_use]
    pub const fn has(&self, word: Word) -> bool {
        self.words & word.bit() != 0
    }

    /// Add an alarm, and with it [`Word::Alarm`].
    pub fn add_alarm(&mut self, text: &'static str) {
        self.add(Word::Alarm);
        if !self.alarms.contains(&text) {
            self.alarms.push(text);
        }
    }

    /// Take an alarm away, and with the last one [`Word::Alarm`].
    pub fn remove_alarm(&mut self, text: &str) {
        self.alarms.retain(|alarm| *alarm != text);
        if self.alarms.is_empty() {
            self.remove(Word::Alarm);
        }
    }

    /// Everything that `other` says as well.
    pub fn merge(&mut self, other: &Self) {
        self.words |= other.words;
        other.alarms.iter().for_each(|alarm| self.add_alarm(alarm));
    }

    /// Many families have one bit for bypass, boost and buck, read as
    /// [`Word::Bypass`]; the ratio of output to input voltage tells which
    /// (facts/ups-serial-protocols.md §1.1). Multiplied out, so that no input
    /// voltage is no special case. Without the voltages the word goes.
    pub fn resolve_bypass(&mut self, input_v: Option<f64>, output_v: Option<f64>) {
        if !self.has(Word::Bypass) {
            return;
        }
        self.remove(Word::Bypass);
        let (Some(input), Some(output)) = (input_v, output_v) else { return };
        if output < 0.5 * input || output >= 1.5 * input {
            return;
        }
        self.add(match () {
            () if output < 0.95 * input => Word::Trim,
            () if output < 1.05 * input => Word::Bypass,
            () => Word::Boost,
        });
    }

    /// `ups.status` and `ups.alarm`. Where no word says how the load is fed,
    /// the status has quality bad.
    #[must_use]
    pub fn updates(&self) -> [Update; 2] {
        let fed = [Word::Ol, Word::Ob, Word::Off, Word::Bypass].into_iter().any(|w| self.has(w));
        let words = Word::ALL.iter().filter(|(word, _)| self.has(*word));
        let words: Vec<&str> = words.map(|(_, text)| *text).collect();
        let status = Update::text("ups.status", words.join(" "));
        let quality = if fed { Quality::Good } else { Quality::Bad };
        [Update { quality, ..status }, Update::text("ups.alarm", self.alarms.join(" "))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(words: &[Word]) -> Status {
        let mut status = Status::default();
        words.iter().for_each(|word| status.add(*word));
        status
    }

    fn text(status: &Status) -> String {
        match &status.updates()[0].value {
            crate::Value::Text(text) => text.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn words_stand_in_one_order_whoever_says_them() {
        let mut first = status(&[Word::Fsd, Word::Lb, Word::Ob]);
        let mut second = status(&[Word::Ob]);
        second.add_alarm("Fan failed!");
        second.add_alarm("Fan failed!");
        first.merge(&second);
        assert_eq!(text(&first), "ALARM OB LB FSD");
        assert_eq!(first.updates()[1], Update::text("ups.alarm", "Fan failed!"));
        first.remove_alarm("Fan failed!");
        assert_eq!(text(&first), "OB LB FSD");
    }

    #[test]
    fn every_word_has_its_own_bit_and_place() {
        for (at, (word, _)) in Word::ALL.iter().enumerate() {
            assert_eq!(*word as usize, at);
        }
    }

    #[test]
    fn nobody_knows_how_the_load_is_fed() {
        assert_eq!(status(&[Word::Lb]).updates()[0].quality, Quality::Bad);
        assert_eq!(status(&[Word::Off]).updates()[0].quality, Quality::Good);
    }

    #[test]
    fn the_voltages_tell_bypass_from_boost_and_trim() {
        let resolved = |input, output| {
            let mut status = status(&[Word::Ol, Word::Bypass]);
            status.resolve_bypass(input, output);
            text(&status)
        };
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
        for (output, words) in cases {
            assert_eq!(resolved(Some(200.0), Some(output)), words, "{output} V");
        }
        assert_eq!(resolved(Some(0.0), Some(0.0)), "OL");
        assert_eq!(resolved(None, Some(230.0)), "OL");
    }
}
