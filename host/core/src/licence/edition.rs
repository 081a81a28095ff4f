//! The edition in force, and how it changes: a state machine without a clock.
//!
//! A licence gate (a plugin) judges the licences that the appliance has
//! verified; [`Edition::next`] takes its answer, or that there is none.
//!
//! | what happens | what is in force then |
//! |---|---|
//! | a verdict | that verdict, at once: more or less than before |
//! | no answer, and never had more than LC | LC |
//! | no answer, and a licence that was judged is gone (removed, damaged, its key revoked or no longer trusted) | LC, at once |
//! | no answer otherwise | as before for [`GRACE_S`] of running time in a row, then LC |
//!
//! So a gate that crashes, or is being updated, does not darken a licensed
//! site overnight, while taking a licence away works without a gate. The grace
//! is counted in running time and kept over restarts: neither a wrong date nor
//! a restart changes it. It holds beyond a verdict's own `until` too, which is
//! only when to ask again: the date of the appliance is not to be trusted with
//! more.

use super::Limits;
use core::fmt;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Running time for which an edition holds though no gate answers, s.
pub const GRACE_S: u64 = 24 * 3_600;
/// Longest time between two questions, s.
const ASK_AT_LEAST_S: u64 = 24 * 3_600;
/// Shortest time between two questions that nothing else asks for, s.
const ASK_AT_MOST_S: u64 = 60;
/// Longest name of an edition, in characters.
const NAME_MAX: usize = 40;
/// Longest reason, in characters.
const REASON_MAX: usize = 2_000;
/// Name of the edition without a licence.
const LC: &str = "LC";

/// What is in force. Kept over restarts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edition {
    /// For people: `LC`, `full`.
    pub name: String,
    /// What may be shown.
    pub limits: Limits,
    /// Why, for people.
    pub reason: String,
    /// When the gate wants to be asked again, seconds since 1970.
    pub until_s: Option<u64>,
    /// Who judged; `None`: nobody, it is LC for want of a verdict.
    pub judged_by: Option<String>,
    /// Hashes of the licences that were judged.
    pub licences: BTreeSet<String>,
    /// Running time without an answer, s.
    pub unanswered_s: u64,
}

/// What a gate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// For people: `LC`, `full`.
    pub edition: String,
    /// What may be shown.
    pub limits: Limits,
    /// When to ask again, seconds since 1970; `None`: never.
    pub until_s: Option<u64>,
    /// Why, for people.
    pub reason: String,
}

/// What came of asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A gate judged.
    Judged {
        /// Which gate.
        by: String,
        /// What it says.
        verdict: Verdict,
    },
    /// No gate did.
    None {
        /// Why not, for people.
        why: String,
    },
}

impl Default for Edition {
    /// What a new appliance has.
    fn default() -> Self {
        Self::lc("no licence was judged yet")
    }
}

impl Edition {
    /// What is in force once a gate was asked about `licences`, which the
    /// appliance has verified just now; `elapsed_s` of running time after
    /// the question before.
    #[must_use]
    pub fn next(&self, licences: &BTreeSet<String>, answer: Answer, elapsed_s: u64) -> Self {
        let why = match answer {
            Answer::Judged { by, verdict } => return Self::judged(verdict, by, licences),
            Answer::None { why } => why,
        };
        // Asking in vain always counts: a restart in a loop is no way around.
        let unanswered_s = self.unanswered_s.saturating_add(elapsed_s.max(1));
        if !Limits::LC.is_less_than(self.limits) {
            return Self::lc(&why);
        }
        if !self.licences.is_subset(licences) {
            let gone = "a licence that was judged is removed or not trusted any more";
            return Self::lc(&format!("{gone}, and nobody judges the others: {why}"));
        }
        if unanswered_s > GRACE_S {
            let hours = GRACE_S / 3_600;
            return Self::lc(&format!("for {hours} h nobody judged: {why}"));
        }
        Self { unanswered_s, ..self.clone() }
    }

    /// When to ask next, s from now, if nothing happens before; `utc_s` is
    /// `None` while the date is not known.
    #[must_use]
    pub fn ask_in_s(&self, utc_s: Option<u64>) -> u64 {
        if self.judged_by.is_none() || self.unanswered_s > 0 {
            return ASK_AT_MOST_S;
        }
        let left = utc_s.zip(self.until_s).map(|(now, until)| until.saturating_sub(now));
        left.unwrap_or(ASK_AT_LEAST_S).clamp(ASK_AT_MOST_S, ASK_AT_LEAST_S)
    }

    /// Hours for which it still holds without an answer; `None` while it was
    /// answered, or there is nothing to lose.
    #[must_use]
    pub fn grace_left_h(&self) -> Option<u64> {
        let licensed = self.judged_by.is_some() && Limits::LC.is_less_than(self.limits);
        (licensed && self.unanswered_s > 0)
            .then(|| GRACE_S.saturating_sub(self.unanswered_s).div_ceil(3_600))
    }

    /// A verdict, as far as it can be believed: nobody gets less than LC, and
    /// nobody more without a licence that the appliance itself has verified.
    fn judged(verdict: Verdict, by: String, licences: &BTreeSet<String>) -> Self {
        let unlicensed = licences.is_empty();
        let name = shortened(&verdict.edition, NAME_MAX);
        Self {
            limits: if unlicensed { Limits::LC } else { verdict.limits.at_least_lc() },
            name: if unlicensed || name.is_empty() { LC.to_owned() } else { name },
            reason: shortened(&verdict.reason, REASON_MAX),
            until_s: verdict.until_s,
            judged_by: Some(by),
            licences: licences.clone(),
            unanswered_s: 0,
        }
    }

    fn lc(reason: &str) -> Self {
        Self {
            name: LC.to_owned(),
            limits: Limits::LC,
            reason: shortened(reason, REASON_MAX),
            until_s: None,
            judged_by: None,
            licences: BTreeSet::new(),
            unanswered_s: 0,
        }
    }
}

/// What is shown, in words: `24 blocks, UPSes up to 6000 VA`.
impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.blocks {
            Some(blocks) => write!(f, "{blocks} blocks")?,
            None => f.write_str("any number of blocks")?,
        }
        match self.ups_va {
            Some(va) => write!(f, ", UPSes up to {va} VA"),
            None => f.write_str(", UPSes of any size"),
        }
    }
}

/// A gate's text: bounded, on one line.
fn shortened(text: &str, chars_max: usize) -> String {
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    clean.take(chars_max).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FULL: Limits = Limits { blocks: None, ups_va: None };

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn verdict(limits: Limits, until_s: Option<u64>) -> Answer {
        let verdict = Verdict { edition: "full".into(), limits, until_s, reason: "ok".into() };
        Answer::Judged { by: "gate 1.0.0".into(), verdict }
    }

    fn nobody() -> Answer {
        Answer::None { why: "no gate runs".into() }
    }

    fn licensed() -> Edition {
        Edition::default().next(&set(&["a", "b"]), verdict(FULL, None), 1)
    }

    #[test]
    fn a_verdict_holds_at_once_either_way() {
        let edition = licensed();
        assert_eq!((edition.limits, edition.name.as_str()), (FULL, "full"));
        assert_eq!(edition.judged_by.as_deref(), Some("gate 1.0.0"));
        let less = edition.next(&set(&["a", "b"]), verdict(Limits::LC, None), 1);
        assert_eq!(less.limits, Limits::LC);
    }

    #[test]
    fn without_any_gate_it_is_lc() {
        let edition = Edition::default().next(&set(&["a"]), nobody(), 0);
        assert_eq!((edition.limits, edition.judged_by), (Limits::LC, None));
        assert_eq!(edition.reason, "no gate runs");
    }

    #[test]
    fn a_gate_that_fails_takes_nothing_for_a_day_and_then_all() {
        let (mut edition, all) = (licensed(), set(&["a", "b"]));
        for hour in 1..=24 {
            edition = edition.next(&all, nobody(), 3_600);
            assert_eq!(edition.limits, FULL, "hour {hour}");
            assert_eq!(edition.grace_left_h(), Some(24 - hour));
        }
        let late = edition.next(&all, nobody(), 1);
        assert_eq!((late.limits, late.name.as_str()), (Limits::LC, "LC"));
        assert_eq!(late.reason, "for 24 h nobody judged: no gate runs");
        assert_eq!(late.grace_left_h(), None);
        // It came back in time, or too late: either way it has the last word.
        assert_eq!(edition.next(&all, verdict(FULL, None), 1).unanswered_s, 0);
        assert_eq!(late.next(&all, verdict(FULL, None), 1).limits, FULL);
    }

    #[test]
    fn a_licence_that_is_gone_takes_its_edition_along_without_a_gate() {
        for left in [set(&[]), set(&["a"]), set(&["a", "c"])] {
            let edition = licensed().next(&left, nobody(), 0);
            assert_eq!(edition.limits, Limits::LC, "{left:?}");
            assert!(edition.reason.contains("removed or not trusted"), "{}", edition.reason);
        }
        let more = licensed().next(&set(&["a", "b", "c"]), nobody(), 60);
        assert_eq!(more.limits, FULL, "one more takes nothing away");
    }

    #[test]
    fn no_gate_gives_less_than_lc_or_more_without_a_licence() {
        let nothing = Limits { blocks: Some(0), ups_va: Some(0) };
        let mean = Edition::default().next(&set(&["a"]), verdict(nothing, None), 1);
        assert_eq!(mean.limits, Limits::LC);
        let generous = Edition::default().next(&set(&[]), verdict(FULL, None), 1);
        assert_eq!((generous.limits, generous.name.as_str()), (Limits::LC, "LC"));
    }

    #[test]
    fn it_is_asked_when_it_wishes_once_a_day_and_soon_when_silent() {
        let all = set(&["a"]);
        let ask = |until, now| Edition::default().next(&all, verdict(FULL, until), 1).ask_in_s(now);
        assert_eq!(ask(None, Some(1_000)), 86_400);
        assert_eq!(ask(Some(4_600), Some(1_000)), 3_600);
        assert_eq!(ask(Some(500), Some(1_000)), 60, "over already: not every instant");
        assert_eq!(ask(Some(u64::MAX), Some(1_000)), 86_400);
        assert_eq!(ask(Some(4_600), None), 86_400, "nobody knows the date");
        assert_eq!(licensed().next(&set(&["a", "b"]), nobody(), 5).ask_in_s(Some(0)), 60);
        assert_eq!(Edition::default().ask_in_s(Some(0)), 60);
    }

    #[test]
    fn a_gate_s_words_are_kept_short_and_on_one_line() {
        let verdict = Verdict {
            edition: "full\n".repeat(50),
            limits: FULL,
            until_s: None,
            reason: "\u{1b}[31m".repeat(9_999),
        };
        let answer = Answer::Judged { by: "gate".into(), verdict };
        let edition = Edition::default().next(&set(&["a"]), answer, 0);
        assert!(edition.name.chars().count() <= NAME_MAX && !edition.name.contains('\n'));
        assert!(edition.reason.chars().count() <= REASON_MAX);
        assert!(!edition.reason.contains('\u{1b}'));
    }

    #[test]
    fn what_is_kept_comes_back() {
        let edition = licensed().next(&set(&["a", "b"]), nobody(), 77);
        let text = toml::to_string(&edition).expect("written");
        assert_eq!(toml::from_str::<Edition>(&text).expect("read"), edition);
    }

    proptest! {
        /// Whatever happens: never less than LC, and more only while every
        /// licence that was judged is still there.
        #[test]
        fn more_than_lc_rests_on_licences_that_are_there(
            steps in proptest::collection::vec((0u8..8, 0u8..3, 0u64..100_000), 0..40),
        ) {
            let mut edition = Edition::default();
            for (mask, kind, elapsed_s) in steps {
                let all = ["a", "b", "c"].iter().enumerate();
                let here: BTreeSet<String> =
                    all.filter(|(i, _)| mask >> i & 1 == 1).map(|(_, n)| (*n).to_owned()).collect();
                let answer = match kind {
                    0 => nobody(),
                    1 => verdict(FULL, Some(elapsed_s)),
                    _ => verdict(Limits { blocks: Some(0), ups_va: None }, None),
                };
                edition = edition.next(&here, answer, elapsed_s);
                prop_assert!(!edition.limits.is_less_than(Limits::LC));
                if Limits::LC.is_less_than(edition.limits) {
                    prop_assert!(edition.licences.is_subset(&here) && !here.is_empty());
                    prop_assert!(edition.unanswered_s <= GRACE_S);
                }
            }
        }
    }
}
