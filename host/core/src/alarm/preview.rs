//! What thresholds would have said: "with these limits 3 blocks alarm now, 11 in
//! the last 30 days" (UX, page 15).
//!
//! Now is judged without delays: the value of this moment. The past is known
//! only by its samples, minutes apart, each by its lowest and highest value, of
//! single points with the time until which it held. What
//! is beyond at a sample may have been so since the one before, so a delay that
//! fits between the two counts as fulfilled: that counts too many places. What
//! was beyond only between two samples is not known and not counted: that
//! counts too few. What a person is told is "as far as the samples show".

use super::place::Place;
use super::quantity::{Quantity, Side};
use super::threshold::Thresholds;
use super::watcher::{Limit, Reading};
use crate::events::Severity;
use crate::scan::Phase;
use serde::Serialize;
use std::collections::BTreeMap;

/// Most places that are named.
pub const NAMED_MAX: usize = 64;

/// One value of the past.
#[derive(Clone, Debug, PartialEq)]
pub struct Past {
    /// When, ms since 1970.
    pub unix_ms: u64,
    /// Until when it is known to have been so, ms since 1970; the same for a
    /// value of one moment.
    pub until_ms: u64,
    /// Of what.
    pub place: Place,
    /// Which.
    pub quantity: Quantity,
    /// The lowest value that the sample stands for, in the quantity's unit.
    pub low: f64,
    /// The highest; the same for a single reading.
    pub high: f64,
    /// What the string did; [`Phase::Unknown`] when that was not kept.
    pub phase: Phase,
}

/// How many places would be told of, each counted once at its worst.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// With an alarm.
    pub alarm: usize,
    /// With a warning and no alarm.
    pub warning: usize,
    /// Which ones, alarms first, at most [`NAMED_MAX`].
    pub places: Vec<(Place, Severity)>,
}

/// What would be told of now.
pub fn now<'a>(thresholds: &Thresholds, readings: impl Iterator<Item = Reading<'a>>) -> Count {
    let mut worst = BTreeMap::new();
    for reading in readings {
        let Some(value) = reading.value.filter(|value| value.is_finite()) else { continue };
        for side in sides(thresholds, reading.quantity) {
            let effective =
                thresholds.effective(&reading.place, reading.battery, reading.quantity, side);
            let severity = Limit::from(effective).judge(side, value, reading.phase);
            note(&mut worst, &reading.place, severity);
        }
    }
    count(worst)
}

/// What would have been told of. `past`: of each place by time; `battery` names
/// the type of a block.
pub fn past<'a>(
    thresholds: &Thresholds,
    battery: impl Fn(&Place) -> Option<&'a str>,
    past: impl Iterator<Item = Past>,
) -> Count {
    let mut replay = Replay::new(thresholds, battery);
    past.for_each(|past| replay.push(&past));
    replay.count()
}

/// The same, record by record.
pub struct Replay<'t, F> {
    thresholds: &'t Thresholds,
    battery: F,
    lives: BTreeMap<(Place, Quantity, Side), Life>,
    worst: BTreeMap<Place, Severity>,
}

/// One threshold at one place through the past.
struct Life {
    limit: Limit,
    /// The last sample that was not at the level: of warning and alarm.
    within_ms: [Option<u64>; 2],
}

impl<'a, 't, F: Fn(&Place) -> Option<&'a str>> Replay<'t, F> {
    /// Nothing seen yet.
    #[must_use]
    pub const fn new(thresholds: &'t Thresholds, battery: F) -> Self {
        Self { thresholds, battery, lives: BTreeMap::new(), worst: BTreeMap::new() }
    }

    /// The next value of some place.
    pub fn push(&mut self, past: &Past) {
        if !past.low.is_finite() || !past.high.is_finite() {
            return;
        }
        for side in sides(self.thresholds, past.quantity) {
            let key = (past.place.clone(), past.quantity, side);
            let life = self.lives.entry(key).or_insert_with(|| {
                let (battery, place) = ((self.battery)(&past.place), &past.place);
                let limit = self.thresholds.effective(place, battery, past.quantity, side).into();
                Life { limit, within_ms: [None; 2] }
            });
            let severity = life.step(side, past);
            note(&mut self.worst, &past.place, severity);
        }
    }

    /// How many.
    #[must_use]
    pub fn count(self) -> Count {
        count(self.worst)
    }
}

impl Life {
    fn step(&mut self, side: Side, past: &Past) -> Option<Severity> {
        let value = match side {
            Side::High => past.high,
            Side::Low => past.low,
        };
        let now = self.limit.judge(side, value, past.phase);
        let on_ms = u64::from(self.limit.on_ms());
        let mut told = None;
        for (within, level) in self.within_ms.iter_mut().zip([Severity::Warning, Severity::Alarm]) {
            if now < Some(level) {
                *within = Some(past.until_ms);
            } else if within.is_none_or(|at| past.until_ms.saturating_sub(at) >= on_ms) {
                told = told.max(Some(level));
            }
        }
        told
    }
}

fn sides(thresholds: &Thresholds, quantity: Quantity) -> impl Iterator<Item = Side> {
    [Side::High, Side::Low]
        .into_iter()
        .filter(move |side| quantity.has(*side) && thresholds.watches(quantity, *side))
}

fn note(worst: &mut BTreeMap<Place, Severity>, place: &Place, severity: Option<Severity>) {
    if let Some(severity) = severity {
        let known = worst.entry(place.clone()).or_insert(severity);
        *known = severity.max(*known);
    }
}

fn count(worst: BTreeMap<Place, Severity>) -> Count {
    let alarm = worst.values().filter(|severity| **severity == Severity::Alarm).count();
    let warning = worst.len() - alarm;
    let mut places: Vec<_> = worst.into_iter().collect();
    places.sort_by_key(|(_, severity)| core::cmp::Reverse(*severity));
    places.truncate(NAMED_MAX);
    Count { alarm, warning, places }
}

#[cfg(test)]
mod tests {
    use super::super::threshold::{Level, Rule, Scope};
    use super::*;
    use proptest::prelude::*;

    const SAMPLE_MS: u64 = 20 * 60_000;

    fn hot(delay_s: f64) -> Thresholds {
        let rule = Rule {
            warning: Some(Level::At(30.0)),
            alarm: Some(Level::At(40.0)),
            delay_s: Some(delay_s),
            ..Rule::new(Scope::System, Quantity::BlockTemperature, Side::High)
        };
        Thresholds::new(vec![rule]).expect("a good rule")
    }

    fn sample(n: u64, block: u16, value: f64) -> Past {
        Past {
            unix_ms: n * SAMPLE_MS,
            until_ms: n * SAMPLE_MS,
            place: Place::Block(1, block),
            quantity: Quantity::BlockTemperature,
            low: value,
            high: value,
            phase: Phase::Unknown,
        }
    }

    #[test]
    fn a_sample_is_judged_by_its_lowest_and_highest() {
        let cold = Rule {
            warning: Some(Level::At(10.0)),
            delay_s: Some(60.0),
            ..Rule::new(Scope::System, Quantity::BlockTemperature, Side::Low)
        };
        let hot = hot(60.0);
        let cold = Thresholds::new(vec![cold]).expect("a good rule");
        let spread = || [Past { low: 5.0, high: 35.0, ..sample(1, 1, 20.0) }].into_iter();
        assert_eq!(past(&hot, |_| None, spread()).warning, 1, "it was above 30");
        assert_eq!(past(&cold, |_| None, spread()).warning, 1, "and below 10");
        let flat = || [sample(1, 1, 20.0)].into_iter();
        assert_eq!(past(&hot, |_| None, flat()), Count::default());
        assert_eq!(past(&cold, |_| None, flat()), Count::default());
    }

    #[test]
    fn a_block_counts_once_at_its_worst() {
        let samples = [
            sample(0, 1, 25.0),
            sample(0, 2, 31.0),
            sample(1, 1, 41.0),
            sample(1, 2, 32.0),
            sample(2, 1, 31.0),
            sample(2, 3, 29.0),
        ];
        let count = past(&hot(60.0), |_| None, samples.into_iter());
        assert_eq!((count.alarm, count.warning), (1, 1));
        assert_eq!(count.places[0], (Place::Block(1, 1), Severity::Alarm));
    }

    #[test]
    fn a_delay_that_does_not_fit_between_samples_is_not_fulfilled() {
        let samples = || [sample(0, 1, 25.0), sample(1, 1, 45.0), sample(2, 1, 25.0)].into_iter();
        assert_eq!(past(&hot(1_200.0), |_| None, samples()).alarm, 1);
        assert_eq!(past(&hot(1_201.0), |_| None, samples()), Count::default());
    }

    #[test]
    fn what_held_for_its_delay_counts_and_what_leapt_does_not() {
        let held = |from_s: u64, until_s: u64, value| Past {
            unix_ms: from_s * 1_000,
            until_ms: until_s * 1_000,
            ..sample(0, 1, value)
        };
        let count = |until_s| {
            let past = [held(0, 900, 25.0), held(900, until_s, 45.0), held(until_s, 3_600, 25.0)];
            super::past(&hot(60.0), |_| None, past.into_iter()).alarm
        };
        assert_eq!(count(905), 0, "5 s");
        assert_eq!(count(960), 1);
        assert_eq!(count(2_000), 1);
    }

    #[test]
    fn now_is_what_is_beyond_now() {
        let reading = |block, value| Reading {
            place: Place::Block(1, block),
            quantity: Quantity::BlockTemperature,
            value,
            battery: None,
            phase: Phase::Float,
        };
        let readings = [reading(1, Some(45.0)), reading(2, Some(33.0)), reading(3, None)];
        let count = now(&hot(3_600.0), readings.into_iter());
        assert_eq!((count.alarm, count.warning), (1, 1));
    }

    proptest! {
        /// Stricter limits never count fewer places.
        #[test]
        fn stricter_is_never_fewer(
            values in proptest::collection::vec((1u16..9, 20.0f64..50.0), 1..120),
            by in 0.0f64..9.0,
        ) {
            let samples = |shift: f64| {
                let of = move |(n, (block, value)): (usize, &(u16, f64))| {
                    sample(n as u64, *block, value + shift)
                };
                values.iter().enumerate().map(of).collect::<Vec<_>>().into_iter()
            };
            let lax = past(&hot(60.0), |_| None, samples(0.0));
            let strict = past(&hot(60.0), |_| None, samples(by));
            prop_assert!(strict.alarm >= lax.alarm);
            prop_assert!(strict.alarm + strict.warning >= lax.alarm + lax.warning);
        }
    }
}
