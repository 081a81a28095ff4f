//! The fast ring: how far the blocks of each string lay apart in the last
//! half hour, in memory only.

use evenkeel_core::history::{Ring, Spread};
use std::sync::{Mutex, PoisonError};

/// Time between two entries.
pub const PERIOD_MS: u64 = 2_000;
/// Half an hour.
const ENTRIES: usize = 30 * 60 / 2;

/// One ring per string.
#[derive(Debug, Default)]
pub struct Recent(Mutex<Vec<Ring<Spread>>>);

impl Recent {
    /// Append for string `index`, from 0.
    pub fn push(&self, index: usize, spread: Spread) {
        let mut rings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while rings.len() <= index {
            rings.push(Ring::new(ENTRIES));
        }
        rings[index].push(spread);
    }

    /// What there is of string `index`, oldest first.
    #[must_use]
    pub fn of(&self, index: usize) -> Vec<Spread> {
        let rings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rings.get(index).map_or_else(Vec::new, |ring| ring.iter().copied().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_half_an_hour_of_each_string() {
        let recent = Recent::default();
        for n in 0..2_000 {
            let unix_ms = n * PERIOD_MS;
            recent.push(1, Spread { unix_ms, min_mv: 1, max_mv: 3, worst_mv: 2 });
        }
        assert!(recent.of(0).is_empty() && recent.of(7).is_empty());
        let kept = recent.of(1);
        assert_eq!(kept.len(), 900);
        assert_eq!(kept[899].unix_ms, 1_999 * PERIOD_MS);
    }
}
