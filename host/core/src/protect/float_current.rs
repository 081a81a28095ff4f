//! What float current a string usually draws, and how many times that it
//! draws now.
//!
//! Float current doubles per 10 K (facts/battery-science.md §2.1), so it is
//! learned as if at 25 °C: `I / 2^((T − 25)/10)`. What the bypasses shed flows
//! through the string but not through a block; their mean is subtracted.
//!
//! **Learned** is a mean over the last week of settled float, known after a
//! day of it; it is not learned from a current that is already high, nor while
//! a block is warm. **Settled** after a recharge is who came down near the
//! learned value once, or floated for a day: the taper of a recharge passes
//! twice the float current for many hours (§2.4). Without a current sensor
//! there is no ratio.

use super::hold::Tick;
use serde::{Deserialize, Serialize};

/// Float of so long settles by itself, and so much settled float is needed
/// before the learned value counts, h.
const DAY_H: f64 = 24.0;
/// Memory of the mean, h.
const MEMORY_H: f64 = 168.0;
/// Up to so many times the learned value a current is ordinary.
const ORDINARY: f64 = 1.5;
/// Below the nominal float current no excess is looked for, A per Ah (1 mA/Ah,
/// facts/battery-science.md §4).
const NOMINAL_A_PER_AH: f64 = 1e-3;
/// The doubling law is used within, °C.
const LAW_C: core::ops::RangeInclusive<f64> = -20.0..=80.0;
const MS_PER_H: f64 = 3.6e6;

/// What was learned; kept over restarts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Learned {
    /// Float current at 25 °C, A.
    pub a_at_25c: f64,
    /// From so much settled float, h.
    pub hours: f64,
}

/// Learns a string's float current. A step allocates nothing.
#[derive(Clone, Debug)]
pub(super) struct FloatCurrent {
    learned: Learned,
    floor_a: f64,
    floated_h: f64,
    settled: bool,
}

impl FloatCurrent {
    /// Learned values that are none are forgotten.
    pub fn new(learned: Learned, capacity_ah: f64, resolution_a: f64) -> Self {
        let possible = learned.a_at_25c.is_finite() && learned.hours >= 0.0;
        Self {
            learned: if possible { learned } else { Learned::default() },
            floor_a: (NOMINAL_A_PER_AH * capacity_ah).max(resolution_a),
            floated_h: 0.0,
            settled: false,
        }
    }

    pub const fn learned(&self) -> Learned {
        self.learned
    }

    /// One scan on float: the blocks' mean current and median temperature.
    /// How many times the learned current it is; `None` while that is not known.
    pub fn step(
        &mut self,
        tick: Tick,
        current_a: Option<f64>,
        celsius: Option<f64>,
        calm: bool,
    ) -> Option<f64> {
        let hours = f64::from(tick.dt_ms) / MS_PER_H;
        self.floated_h = (self.floated_h + hours).min(DAY_H);
        let (current_a, celsius) = (current_a?, celsius?);
        let law = ((celsius.clamp(*LAW_C.start(), *LAW_C.end()) - 25.0) / 10.0).exp2();
        let known = self.learned.hours >= DAY_H;
        let ratio = current_a / (self.learned.a_at_25c * law).max(self.floor_a);
        self.settled |= self.floated_h >= DAY_H || (known && ratio < ORDINARY);
        if self.settled && calm && (!known || ratio < ORDINARY) {
            let learned = &mut self.learned;
            learned.hours = (learned.hours + hours).min(MEMORY_H);
            if learned.hours > 0.0 {
                learned.a_at_25c += (current_a / law - learned.a_at_25c) * hours / learned.hours;
            }
        }
        (known && self.settled).then_some(ratio)
    }

    /// One scan not on float: the next float has to settle.
    pub fn leave(&mut self) {
        (self.floated_h, self.settled) = (0.0, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(it: &mut FloatCurrent, hours: u64, current_a: f64, celsius: f64) -> Option<f64> {
        let tick = Tick { dt_ms: 30_000, ..Tick::default() };
        let mut last = None;
        for _ in 0..hours * 120 {
            last = it.step(tick, Some(current_a), Some(celsius), true);
        }
        last
    }

    #[test]
    fn known_after_two_days_and_the_same_at_any_temperature() {
        let mut it = FloatCurrent::new(Learned::default(), 100.0, 0.0);
        assert_eq!(hours(&mut it, 47, 0.20, 25.0), None, "one day to settle, one to learn");
        let ratio = hours(&mut it, 2, 0.20, 25.0).expect("known");
        assert!((ratio - 1.0).abs() < 1e-6, "{ratio}");
        let ratio = hours(&mut it, 1, 0.40, 35.0).expect("known");
        assert!((ratio - 1.0).abs() < 1e-6, "10 K warmer, twice the current: {ratio}");
    }

    #[test]
    fn a_high_current_is_not_learned() {
        let mut it = FloatCurrent::new(Learned { a_at_25c: 0.2, hours: 168.0 }, 100.0, 0.0);
        hours(&mut it, 1, 0.2, 25.0);
        let ratio = hours(&mut it, 500, 0.6, 25.0).expect("known");
        assert!((ratio - 3.0).abs() < 1e-3, "{ratio}");
    }

    #[test]
    fn the_taper_of_a_recharge_is_no_high_float_current() {
        let mut it = FloatCurrent::new(Learned { a_at_25c: 0.2, hours: 168.0 }, 100.0, 0.0);
        hours(&mut it, 1, 0.2, 25.0);
        it.leave();
        assert_eq!(hours(&mut it, 12, 1.0, 25.0), None);
        assert!(hours(&mut it, 1, 0.25, 25.0).is_some_and(|r| r < 1.5));
        assert!(hours(&mut it, 1, 1.0, 25.0).is_some_and(|r| r > 3.0), "after it had come down");
    }

    #[test]
    fn below_what_the_sensor_can_tell_nothing_is_high() {
        let learned = Learned { a_at_25c: 0.02, hours: 168.0 };
        let mut it = FloatCurrent::new(learned, 100.0, 0.5);
        assert!(hours(&mut it, 1, 0.6, 25.0).is_some_and(|r| r < 1.5));
        let broken = Learned { a_at_25c: f64::NAN, hours: 168.0 };
        assert_eq!(FloatCurrent::new(broken, 7.0, 0.1).learned(), Learned::default());
    }
}
