//! Compares readings with thresholds: hysteresis, delays on both ways, and what
//! stands because of them.
//!
//! Time is counted as [`crate::protect::hold`] counts it: one step counts for at
//! most half a minute, so a clock that leaps fulfils no delay. A value that is
//! not known changes nothing: what stood goes on standing, and its delays wait.

use super::Standing;
use super::kind::Kind;
use super::place::Place;
use super::quantity::{Quantity, Side};
use super::threshold::{During, Effective, Thresholds};
use crate::events::Severity;
use crate::protect::hold::{Tick, ms};
use crate::scan::Phase;
use crate::time::Nanos;
use std::collections::BTreeMap;

/// Most readings that are watched at the same time: 1,024 blocks and their
/// strings, and a few hundred of UPSes and points.
pub const READINGS_MAX: usize = 16_384;

/// One value, now.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading<'a> {
    /// Of what.
    pub place: Place,
    /// Which.
    pub quantity: Quantity,
    /// The value, in the quantity's unit; `None` while it is not known.
    pub value: Option<f64>,
    /// Battery type of a block, if it is known.
    pub battery: Option<&'a str>,
    /// What the string does; [`Phase::Unknown`] for everything else.
    pub phase: Phase,
}

/// Something that changes when held for a while, with a delay each way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Edge {
    on: bool,
    /// It was otherwise for so long; `None`: not at the last look.
    otherwise_ms: Option<u32>,
}

impl Edge {
    /// On, or off, from the start.
    #[must_use]
    pub const fn new(on: bool) -> Self {
        Self { on, otherwise_ms: None }
    }

    /// One look; `None` proves nothing. Returns whether it is on.
    pub fn step(&mut self, tick: Tick, truth: Option<bool>, on_ms: u32, off_ms: u32) -> bool {
        match truth {
            Some(truth) if truth == self.on => self.otherwise_ms = None,
            Some(truth) => {
                // The first look says that it is otherwise, not for how long.
                let held = self.otherwise_ms.map_or(0, |ms| ms.saturating_add(tick.dt_ms));
                self.otherwise_ms = Some(held);
                if held >= if truth { on_ms } else { off_ms } {
                    *self = Self::new(truth);
                }
            }
            None => {}
        }
        self.on
    }

    /// Whether it is on.
    #[must_use]
    pub const fn is_on(self) -> bool {
        self.on
    }
}

/// A threshold as it is compared.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    warning: Option<f64>,
    alarm: Option<f64>,
    hysteresis: f64,
    on_ms: u32,
    off_ms: u32,
    latch: bool,
    during: Vec<During>,
}

impl From<Effective> for Limit {
    fn from(effective: Effective) -> Self {
        Self {
            warning: effective.warning.value,
            alarm: effective.alarm.value,
            hysteresis: effective.hysteresis.value,
            on_ms: ms(effective.delay_s.value),
            off_ms: ms(effective.off_delay_s.value),
            latch: effective.latch.value,
            during: effective.during.value,
        }
    }
}

impl Limit {
    /// Whether there is any level.
    #[must_use]
    pub const fn is_some(&self) -> bool {
        self.warning.is_some() || self.alarm.is_some()
    }

    /// How bad `value` is at once, without delay and hysteresis.
    #[must_use]
    pub fn judge(&self, side: Side, value: f64, phase: Phase) -> Option<Severity> {
        let beyond = |level: Option<f64>| level.is_some_and(|level| side.beyond(value, level));
        match self.counts_in(phase) {
            true if beyond(self.alarm) => Some(Severity::Alarm),
            true if beyond(self.warning) => Some(Severity::Warning),
            _ => None,
        }
    }

    /// How long a value must be beyond, ms.
    #[must_use]
    pub const fn on_ms(&self) -> u32 {
        self.on_ms
    }

    fn counts_in(&self, phase: Phase) -> bool {
        self.during.is_empty() || self.during.iter().any(|during| during.is(phase))
    }
}

/// Which threshold of which place.
type Key = (Place, Quantity, Side);

#[derive(Clone, Debug)]
struct Watched {
    limit: Limit,
    warning: Edge,
    alarm: Edge,
    value: Option<f64>,
    /// Round in which there was a reading of it.
    seen: u64,
}

/// Watches readings. One per appliance.
#[derive(Clone, Debug, Default)]
pub struct Watcher {
    watched: BTreeMap<Key, Watched>,
    tick: Tick,
    round: u64,
}

impl Watcher {
    /// Thresholds changed: what stands goes on by the new ones.
    pub fn change<'a>(
        &mut self,
        thresholds: &Thresholds,
        battery: impl Fn(&Place) -> Option<&'a str>,
    ) {
        for ((place, quantity, side), watched) in &mut self.watched {
            let effective = thresholds.effective(place, battery(place), *quantity, *side);
            watched.limit = effective.into();
        }
    }

    /// One look at everything. `before` says how bad a threshold's alarm
    /// stood when this watcher did not exist yet: a restart clears nothing.
    /// What is not among the readings any more is forgotten.
    pub fn step<'a>(
        &mut self,
        thresholds: &Thresholds,
        readings: impl Iterator<Item = Reading<'a>>,
        before: impl Fn(Kind, &Place) -> Option<Severity>,
        now: Nanos,
    ) -> Vec<Standing> {
        self.tick = if self.round == 0 { Tick { now, dt_ms: 0 } } else { self.tick.next(now) };
        self.round += 1;
        let mut standing = Vec::new();
        for reading in readings {
            for side in [Side::High, Side::Low] {
                let watches = thresholds.watches(reading.quantity, side);
                if watches && reading.quantity.has(side) {
                    standing.extend(self.look(thresholds, &reading, side, &before));
                }
            }
        }
        let round = self.round;
        self.watched.retain(|_, watched| watched.seen == round);
        standing
    }

    fn look(
        &mut self,
        thresholds: &Thresholds,
        reading: &Reading<'_>,
        side: Side,
        before: &impl Fn(Kind, &Place) -> Option<Severity>,
    ) -> Option<Standing> {
        let Reading { place, quantity, battery, phase, .. } = reading;
        let kind = Kind::Limit(*quantity, side);
        let full = self.watched.len() >= READINGS_MAX;
        let key = (place.clone(), *quantity, side);
        if full && !self.watched.contains_key(&key) {
            return None;
        }
        let watched = self.watched.entry(key).or_insert_with(|| {
            let was = before(kind, place);
            Watched {
                limit: thresholds.effective(place, *battery, *quantity, side).into(),
                warning: Edge::new(was >= Some(Severity::Warning)),
                alarm: Edge::new(was >= Some(Severity::Alarm)),
                value: None,
                seen: 0,
            }
        });
        watched.seen = self.round;
        watched.value = reading.value.filter(|value| value.is_finite());
        watched.step(self.tick, side, *phase).map(|(severity, limit)| Standing {
            kind,
            at: place.clone(),
            severity,
            value: watched.value,
            limit: Some(limit),
            latch: watched.limit.latch,
            because: None,
        })
    }
}

impl Watched {
    fn step(&mut self, tick: Tick, side: Side, phase: Phase) -> Option<(Severity, f64)> {
        let (value, limit) = (self.value, &self.limit);
        let counts = limit.counts_in(phase);
        let one = |edge: &mut Edge, level: Option<f64>| {
            // A level that was taken away ends at once.
            let Some(level) = level else {
                *edge = Edge::default();
                return None;
            };
            let from = if edge.is_on() { side.back(level, limit.hysteresis) } else { level };
            let beyond = value.map(|value| side.beyond(value, from));
            let truth = if counts { beyond } else { Some(false) };
            edge.step(tick, truth, limit.on_ms, limit.off_ms).then_some(level)
        };
        let warning = one(&mut self.warning, limit.warning);
        let alarm = one(&mut self.alarm, limit.alarm);
        let alarm = alarm.map(|level| (Severity::Alarm, level));
        alarm.or(warning.map(|level| (Severity::Warning, level)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::threshold::{Level, Rule, Scope};
    use super::*;
    use proptest::prelude::*;

    fn thresholds(rule: Rule) -> Thresholds {
        Thresholds::new(vec![rule]).expect("a good rule")
    }

    fn hot() -> Rule {
        Rule {
            warning: Some(Level::At(30.0)),
            alarm: Some(Level::At(40.0)),
            hysteresis: Some(2.0),
            delay_s: Some(10.0),
            off_delay_s: Some(5.0),
            ..Rule::new(Scope::System, Quantity::BlockTemperature, Side::High)
        }
    }

    fn reading(value: Option<f64>) -> Reading<'static> {
        Reading {
            place: Place::Block(1, 1),
            quantity: Quantity::BlockTemperature,
            value,
            battery: None,
            phase: Phase::Float,
        }
    }

    fn severity(
        watcher: &mut Watcher,
        rules: &Thresholds,
        value: Option<f64>,
        second: u64,
    ) -> Option<Severity> {
        let now = Nanos::from_secs(1_000 + second);
        let standing = watcher.step(rules, [reading(value)].into_iter(), |_, _| None, now);
        standing.first().map(|standing| standing.severity)
    }

    #[test]
    fn delays_both_ways_and_hysteresis() {
        let (rules, mut watcher) = (thresholds(hot()), Watcher::default());
        let mut at = |value, second| severity(&mut watcher, &rules, Some(value), second);
        assert_eq!(at(31.0, 0), None);
        assert_eq!(at(31.0, 9), None);
        assert_eq!(at(31.0, 10), Some(Severity::Warning));
        assert_eq!(at(41.0, 11), Some(Severity::Warning));
        assert_eq!(at(41.0, 21), Some(Severity::Alarm));
        assert_eq!(at(38.5, 30), Some(Severity::Alarm), "within the hysteresis");
        assert_eq!(at(37.0, 31), Some(Severity::Alarm));
        assert_eq!(at(37.0, 36), Some(Severity::Warning));
        assert_eq!(at(27.0, 40), Some(Severity::Warning));
        assert_eq!(at(27.0, 45), None);
    }

    #[test]
    fn a_leap_of_the_clock_and_a_missing_value_fulfil_nothing() {
        let rule = Rule { delay_s: Some(600.0), ..hot() };
        let (rules, mut watcher) = (thresholds(rule), Watcher::default());
        assert_eq!(severity(&mut watcher, &rules, Some(50.0), 0), None);
        assert_eq!(severity(&mut watcher, &rules, Some(50.0), 100_000), None);
        let rules = thresholds(hot());
        let mut watcher = Watcher::default();
        severity(&mut watcher, &rules, Some(50.0), 0);
        assert_eq!(severity(&mut watcher, &rules, Some(50.0), 10), Some(Severity::Alarm));
        for second in 11..200 {
            assert_eq!(severity(&mut watcher, &rules, None, second), Some(Severity::Alarm));
        }
        assert_eq!(severity(&mut watcher, &rules, Some(f64::NAN), 200), Some(Severity::Alarm));
    }

    #[test]
    fn only_in_its_phase() {
        let rule = Rule { during: Some(vec![During::Discharge]), delay_s: Some(0.0), ..hot() };
        let (rules, mut watcher) = (thresholds(rule), Watcher::default());
        assert_eq!(severity(&mut watcher, &rules, Some(50.0), 0), None);
        let discharging = Reading { phase: Phase::Discharge, ..reading(Some(50.0)) };
        let found =
            watcher.step(&rules, [discharging].into_iter(), |_, _| None, Nanos::from_secs(1_001));
        assert_eq!(found[0].severity, Severity::Alarm);
        assert_eq!((found[0].value, found[0].limit), (Some(50.0), Some(40.0)));
    }

    /// The delay is of the time in the phase: what was beyond before does not count.
    #[test]
    fn its_delay_begins_with_its_phase_and_anew_with_each() {
        let rule = Rule { during: Some(vec![During::Discharge]), delay_s: Some(10.0), ..hot() };
        let (rules, mut watcher) = (thresholds(rule), Watcher::default());
        let mut alarms = |phase, seconds: core::ops::Range<u64>| {
            let step = |second| {
                let reading = Reading { phase, ..reading(Some(50.0)) };
                let now = Nanos::from_secs(1_000 + second);
                !watcher.step(&rules, [reading].into_iter(), |_, _| None, now).is_empty()
            };
            seconds.map(step).filter(|stands| *stands).count()
        };
        assert_eq!(alarms(Phase::Float, 0..100), 0);
        assert_eq!(alarms(Phase::Discharge, 100..109), 0, "not 10 s yet");
        assert_eq!(alarms(Phase::Float, 109..110), 0);
        assert_eq!(alarms(Phase::Discharge, 110..119), 0, "from the beginning");
        assert!(alarms(Phase::Discharge, 119..125) >= 3);
        // Outside its phase it ends, after the time that an end takes.
        assert!(alarms(Phase::Float, 125..300) < 100);
        assert_eq!(alarms(Phase::Float, 300..310), 0);
    }

    #[test]
    fn a_restart_goes_on_where_it_was() {
        let (rules, mut watcher) = (thresholds(hot()), Watcher::default());
        let before = |_: Kind, _: &Place| Some(Severity::Alarm);
        let mut step = |value, s| {
            watcher.step(&rules, [reading(value)].into_iter(), before, Nanos::from_secs(s)).len()
        };
        assert_eq!(step(None, 1), 1, "not known yet is not over");
        assert_eq!(step(Some(20.0), 2), 1);
        assert_eq!(step(Some(20.0), 7), 0);
    }

    #[test]
    fn what_is_taken_away_ends_and_what_is_gone_is_forgotten() {
        let (rules, mut watcher) = (thresholds(hot()), Watcher::default());
        severity(&mut watcher, &rules, Some(50.0), 0);
        assert!(severity(&mut watcher, &rules, Some(50.0), 10).is_some());
        let off = Rule {
            alarm: Some(Level::Off(super::super::threshold::Off::Off)),
            warning: Some(Level::At(60.0)),
            ..hot()
        };
        let rules = thresholds(off);
        watcher.change(&rules, |_| None);
        assert_eq!(severity(&mut watcher, &rules, Some(50.0), 16), Some(Severity::Warning));
        assert_eq!(severity(&mut watcher, &rules, Some(50.0), 22), None);
        watcher.step(&rules, [].into_iter(), |_, _| None, Nanos::from_secs(2_000));
        assert!(watcher.watched.is_empty());
    }

    proptest! {
        /// What is said is the level at which the value has been long enough:
        /// an independent reckoning over the whole past agrees.
        #[test]
        fn nothing_is_said_that_was_not_beyond(values in proptest::collection::vec(20.0f64..50.0, 1..80)) {
            let (rules, mut watcher) = (thresholds(hot()), Watcher::default());
            for (second, value) in values.iter().enumerate() {
                let said = severity(&mut watcher, &rules, Some(*value), second as u64);
                let past = &values[..=second];
                let held = |level: f64| {
                    past.windows(11).any(|w| w.iter().all(|v| *v >= level))
                };
                prop_assert!(said.is_none() || held(30.0));
                prop_assert!(said != Some(Severity::Alarm) || held(40.0));
                // Inside for the off delay, whatever was before: nothing stands.
                if past.len() >= 6 && past[past.len() - 6..].iter().all(|v| *v < 28.0) {
                    prop_assert_eq!(said, None);
                }
            }
        }
    }
}
