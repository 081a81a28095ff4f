//! What the rules remember, on its way to the store and back: a row `r/<rule>`
//! beside those of the jobs, see [`KeptRule`].
//!
//! A row is written when it changed, all that changed together: at most every
//! [`SOON`] when a rule was told, otherwise every [`EVERY`], and when the daemon
//! stops. So a counter that counts all day costs the flash a commit per minute,
//! a rule at rest none, and power that fails takes a minute of counting and no
//! latch that was told. Behind it in the store's queue, a row is never on the
//! disk without the event that tells of the same change.

use crate::store::JobRow;
use evenkeel_core::automation::Engine;
use evenkeel_core::rules::{KeptRule, Machine};
use evenkeel_core::time::Nanos;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Time between two writes …
const EVERY: Nanos = Nanos::from_secs(60);
/// … and when a rule was told.
const SOON: Nanos = Nanos::from_secs(5);

/// What is in the store of it.
#[derive(Debug)]
pub struct Memory {
    kept: BTreeMap<String, KeptRule>,
    written: Nanos,
    told: bool,
}

/// As it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// When, ms since 1970.
    unix_ms: u64,
    rule: KeptRule,
}

impl Memory {
    /// Let the engine go on from the rows of rules, by their names. A row of
    /// another version is as good as none.
    pub fn restore(
        rows: BTreeMap<String, Vec<u8>>,
        engine: &mut Engine,
        now: Nanos,
        unix_ms: u64,
    ) -> Self {
        let mut kept = BTreeMap::new();
        for (name, bytes) in rows {
            let Ok(row) = serde_json::from_slice::<Row>(&bytes) else { continue };
            // A clock that was set back does not tell how long it was.
            let off = unix_ms.checked_sub(row.unix_ms).map(Nanos::from_millis);
            engine.resume_rule(&name, &row.rule, off, now);
            kept.insert(name, row.rule);
        }
        Self { kept, written: now, told: false }
    }

    /// A rule was told.
    pub const fn told(&mut self) {
        self.told = true;
    }

    /// What was to be written is not on the disk.
    pub fn lost(&mut self) {
        self.kept.clear();
        self.told = true;
    }

    /// What is to be written; nothing before it is time, unless it is the last
    /// time.
    pub fn rows(
        &mut self,
        machine: &Machine,
        now: Nanos,
        unix_ms: u64,
        is_last: bool,
    ) -> Vec<JobRow> {
        let wait = if self.told { SOON } else { EVERY };
        if !is_last && now.since(self.written) < wait {
            return Vec::new();
        }
        (self.written, self.told) = (now, false);
        let kept: BTreeMap<String, KeptRule> =
            machine.kept().map(|(name, kept)| (name.to_owned(), kept)).collect();
        let gone = self.kept.keys().filter(|name| !kept.contains_key(*name));
        let gone = gone.map(|name| (format!("r/{name}"), None));
        let changed = kept.iter().filter(|(name, rule)| self.kept.get(*name) != Some(*rule));
        let changed = changed.map(|(name, rule)| {
            let row = Row { unix_ms, rule: rule.clone() };
            (format!("r/{name}"), Some(super::runner::json(&row)))
        });
        let rows = gone.chain(changed).collect();
        self.kept = kept;
        rows
    }
}
