//! What a battery test says of the blocks.
//!
//! Blocks of a string carry one current, so each is judged by how far it is
//! below the string's median at the end of the test, beyond what it lagged
//! before; internal resistance, where it was measured, ranks them further. Ten
//! percent of the capacity can rank blocks and catch bad ones, it cannot
//! measure capacity (facts/battery-science.md §5.2).

use serde::{Deserialize, Serialize};

/// Resistance over the median from which a block is to be checked, the alarm
/// step of the ladder of facts/battery-science.md §4.
pub const RESISTANCE_RATIO: f64 = 1.5;
/// Suspects that a report has room for.
pub const SUSPECTS: usize = 8;

/// The outcome of a test that could be judged, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Verdict {
    /// Nothing to remark.
    Pass,
    /// The load was too small, or the test too short, to say anything.
    Inconclusive,
    /// Some blocks should be checked.
    Check,
    /// A block or string fell below its limit.
    Fail,
}

impl Verdict {
    /// For people.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Pass => "passed",
            Self::Inconclusive => "too little was drawn to judge the blocks",
            Self::Check => "check the blocks listed",
            Self::Fail => "failed",
        }
    }
}

/// A block to be checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Suspect {
    /// Its string, from 0.
    pub string: u16,
    /// Its place in the string, from 0.
    pub block: u16,
    /// How far it was below the median under load, V.
    pub lag_v: f32,
    /// Its internal resistance over the string's median, if both are known.
    pub resistance_ratio: Option<f32>,
    /// Severity: 1 reaches a limit.
    pub severity: f32,
}

/// The worst suspects, worst first, and how many there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Suspects {
    worst: [Option<Suspect>; SUSPECTS],
    /// All of them, those without room included.
    pub count: u16,
}

impl Suspects {
    /// Worst first.
    pub fn iter(&self) -> impl Iterator<Item = &Suspect> {
        self.worst.iter().flatten()
    }

    /// One more, to its place.
    pub(super) fn add(&mut self, suspect: Suspect) {
        self.count = self.count.saturating_add(1);
        let worse = |s: &Option<Suspect>| s.is_some_and(|s| s.severity >= suspect.severity);
        let place = self.worst.iter().take_while(|s| worse(s)).count();
        if place < SUSPECTS {
            self.worst[place..].rotate_right(1);
            self.worst[place] = Some(suspect);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_stand_first_and_all_are_counted() {
        let mut suspects = Suspects::default();
        for block in 0..20u16 {
            let severity = f32::from(block * 7 % 20);
            suspects.add(Suspect { block, severity, ..Suspect::default() });
        }
        let severities: Vec<_> = suspects.iter().map(|s| s.severity).collect();
        assert_eq!(severities, [19.0, 18.0, 17.0, 16.0, 15.0, 14.0, 13.0, 12.0]);
        assert_eq!(suspects.count, 20);
    }
}
