//! How often something may be done: budgets that outlive the instances that
//! spend them, so that a plugin gains nothing by falling and starting again.

use super::bucket::Bucket;
use evenkeel_core::events::Budget;
use evenkeel_core::time::Nanos;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// So much at once, then one more each interval.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// At once.
    pub most: u32,
    /// Time to gain one more.
    pub every: Nanos,
}

/// What one plugin may have written into the store by what it does, whatever
/// that is (events of its own, commands, switched outputs), beside what it keeps
/// itself ([`super::kv`]): each is an event, and a commit costs the flash some
/// 24 KiB of tree pages. So a plugin that does it without pause wears the flash
/// by 36 MB a day.
pub const WRITTEN: Rate = Rate { most: 60, every: Nanos::from_secs(60) };

/// Budgets by what they are for. What is named is named by an administrator
/// (plugins, granted contacts), so their number is bounded.
#[derive(Debug, Default)]
pub struct Rates {
    budgets: Mutex<BTreeMap<String, Budget>>,
    buckets: Mutex<BTreeMap<String, SharedBucket>>,
}

/// A bucket of which each instance of a plugin takes what the one before left.
#[derive(Clone, Debug)]
pub struct SharedBucket(Arc<Mutex<Bucket>>);

impl SharedBucket {
    /// Draws on `bucket`.
    #[must_use]
    pub fn new(bucket: Bucket) -> Self {
        Self(Arc::new(Mutex::new(bucket)))
    }

    /// To take from it.
    pub fn lock(&self) -> MutexGuard<'_, Bucket> {
        // A panic leaves whole buckets: each change is numbers alone.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rates {
    /// Spend one of what `rate` gives for `what`; false when there is none
    /// left at `now`.
    pub fn spend(&self, what: &str, rate: Rate, now: Nanos) -> bool {
        // A panic leaves whole budgets: spending is the last thing done to one.
        let mut budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || Budget::new(rate.most, rate.every);
        budgets.entry(what.to_owned()).or_insert_with(fresh).spend(now)
    }

    /// The bucket for `what`; a `fresh` one at the first time.
    pub fn bucket(&self, what: String, fresh: impl FnOnce() -> Bucket) -> SharedBucket {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.entry(what).or_insert_with(|| SharedBucket::new(fresh())).clone()
    }

    /// Spend one of what `plugin` may have [`WRITTEN`].
    pub fn write(&self, plugin: &str, now: Nanos) -> bool {
        self.spend(&format!("written by {plugin}"), WRITTEN, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_has_its_own_budget() {
        let (rates, rate) = (Rates::default(), Rate { most: 2, every: Nanos::from_secs(60) });
        let spend = |what, s| rates.spend(what, rate, Nanos::from_secs(s));
        assert!(spend("a", 100) && spend("a", 100) && !spend("a", 100));
        assert!(spend("b", 100));
        assert!(!spend("a", 159) && spend("a", 160) && !spend("a", 160));
    }
}
