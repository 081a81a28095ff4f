//! Run orders: what is shut down, or started, one group after the other.
//!
//! ```text
//!          its actions        done, failed once, or       wait_s is over, and until
//!          are planned        within_s is over            is true or too late
//!   Begin ────────────▶ Acting ──────────────▶ Waiting ────────────────▶ next Begin
//!     │                   │                      │
//!     └───────────────────┴──────────────────────┘
//!                         ▼ it is over before the point of no return
//!            undo of the begun steps, last first
//! ```
//!
//! A step with `no_return` is the point of no return: once it is begun the
//! order goes on to its end although the mains came back (hosts that are
//! half down are brought all the way, facts/rccmd-email-trap-wol.md §9.3).
//!
//! The battery does not wait: a step is held up by actions that are under way
//! for the first time, and by them for `within_s` at most. What failed is tried
//! again beside the steps that follow, and an action that fails for good is an
//! event. An order is through when its last step is over and nothing is tried
//! again any more; until then it can be taken back.

use super::Action;
use crate::rules::is_name;
use serde::{Deserialize, Serialize};

/// Most run orders.
pub const SEQUENCES_MAX: usize = 50;
/// Most steps of one.
pub const STEPS_MAX: usize = 50;
/// Most actions of a step.
pub const ACTIONS_MAX: usize = 50;
/// Longest wait of a step, s.
const WAIT_MAX_S: u32 = 86_400;

/// Longest that actions hold a step up when it does not say, s.
const WITHIN_S: u32 = 30;

/// A run order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sequence {
    /// What it is called: 1 … 40 of `a–z 0–9 -`.
    pub name: String,
    /// Its steps, in order.
    pub step: Vec<Step>,
}

/// One group of a run order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What is done, all at once.
    #[serde(default)]
    pub actions: Vec<Action>,
    /// They hold the next step up for so long at most, s; 30 when not given.
    #[serde(default = "within", skip_serializing_if = "is_within")]
    pub within_s: u32,
    /// At least so long until the next step, s, from when each of them was done
    /// or failed once.
    #[serde(default)]
    pub wait_s: u32,
    /// A rule that must be true before the next step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// It is waited for so long at most, s; then the next step begins anyway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_within_s: Option<u32>,
    /// From here on there is no way back.
    #[serde(default)]
    pub no_return: bool,
    /// What takes it back, when the order is given up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undo: Vec<Action>,
}

const fn within() -> u32 {
    WITHIN_S
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
const fn is_within(seconds: &u32) -> bool {
    *seconds == WITHIN_S
}

/// What a run order is doing at its step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The step is next.
    Begin,
    /// Its actions are under way for the first time.
    Acting,
    /// They were done or failed, or took too long, at this time, ms.
    Waiting(u64),
}

impl Sequence {
    /// Say what is impossible.
    ///
    /// # Errors
    /// In words, without the name.
    pub fn check(&self, is_rule: impl Fn(&str) -> bool) -> Result<(), String> {
        if !is_name(&self.name) {
            return Err("a name has 1 to 40 of a-z, 0-9, '-'".into());
        }
        if !(1..=STEPS_MAX).contains(&self.step.len()) {
            return Err(format!("it has 1 to {STEPS_MAX} steps"));
        }
        for (n, step) in self.step.iter().enumerate() {
            step.check(&is_rule).map_err(|problem| format!("step {}: {problem}", n + 1))?;
        }
        Ok(())
    }

    /// Everything that it may do.
    pub fn actions(&self) -> impl Iterator<Item = &Action> {
        self.step.iter().flat_map(|step| step.actions.iter().chain(&step.undo))
    }

    /// Whether there is no way back while `step` (from 0) is under way.
    #[must_use]
    pub fn no_return(&self, step: u16) -> bool {
        self.step.iter().take(usize::from(step) + 1).any(|step| step.no_return)
    }
}

impl Step {
    fn check(&self, is_rule: impl Fn(&str) -> bool) -> Result<(), String> {
        if self.actions.len() > ACTIONS_MAX || self.undo.len() > ACTIONS_MAX {
            return Err(format!("it has at most {ACTIONS_MAX} actions"));
        }
        if self.wait_s > WAIT_MAX_S || self.until_within_s.is_some_and(|s| s > WAIT_MAX_S) {
            return Err(format!("wait_s and until_within_s are at most {WAIT_MAX_S}"));
        }
        if !(1..=WAIT_MAX_S).contains(&self.within_s) {
            return Err(format!("within_s is 1 to {WAIT_MAX_S}"));
        }
        if self.until.is_some() != self.until_within_s.is_some() {
            return Err(
                "until and until_within_s stand together: nothing is waited for for ever".into()
            );
        }
        if let Some(rule) = self.until.as_ref().filter(|rule| !is_rule(rule)) {
            return Err(format!("until names the rule {rule:?}, which does not exist"));
        }
        for action in self.actions.iter().chain(&self.undo) {
            match action {
                Action::Sequence { .. } => return Err("a step begins no sequence".into()),
                other => other.check(&[])?,
            }
        }
        Ok(())
    }

    /// Whether its actions, under way for `acted_ms`, hold nothing up any more.
    #[must_use]
    pub fn is_late(&self, acted_ms: u64) -> bool {
        acted_ms >= u64::from(self.within_s) * 1_000
    }

    /// Whether the next step may begin, `waited_ms` after the actions.
    #[must_use]
    pub fn is_over(&self, waited_ms: u64, is_true: impl Fn(&str) -> bool) -> bool {
        let after = |seconds: u32| waited_ms >= u64::from(seconds) * 1_000;
        let ready =
            self.until.as_deref().is_none_or(is_true) || self.until_within_s.is_some_and(after);
        after(self.wait_s) && ready
    }
}
