//! Hold times and two-level limits with hysteresis: the small parts of which
//! every condition here is made.
//!
//! **Time** is counted from scan to scan, and one scan counts for at most
//! [`SCAN_MAX_MS`]: a clock that leaps fulfils no hold time, and one that
//! stands still lets none pass.
//!
//! **What is not measured** (`None`) decides nothing: it neither starts nor
//! ends anything and its time does not count; a condition that was about to
//! hold is forgotten after [`FORGET_MS`].

use super::condition::Level;
use crate::time::Nanos;
use serde::{Deserialize, Serialize};

/// The most that one scan adds to a hold time, ms. The longest cycle is 8 s;
/// this bridges two lost ones.
pub const SCAN_MAX_MS: u32 = 30_000;
/// Without a measurement for so long, a pending condition starts anew, ms.
pub const FORGET_MS: u32 = 60_000;

/// The time of a scan and what passed since the one before.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tick {
    /// When.
    pub now: Nanos,
    /// Since the scan before, ms, at most [`SCAN_MAX_MS`].
    pub dt_ms: u32,
}

impl Tick {
    /// The tick after this one. Whole milliseconds of the clock are compared,
    /// so that no remainder is lost over many scans.
    #[must_use]
    pub fn next(self, now: Nanos) -> Self {
        let passed = now.as_millis().saturating_sub(self.now.as_millis());
        Self { now, dt_ms: passed.min(u64::from(SCAN_MAX_MS)) as u32 }
    }
}

/// Milliseconds of a setting in seconds, within 0 … 49 days.
#[must_use]
pub fn ms(seconds: f64) -> u32 {
    // The cast saturates, and makes 0 of NaN.
    (seconds * 1e3) as u32
}

/// Something that has to be true for a while before it counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hold {
    held_ms: u32,
    unknown_ms: u32,
    pending: bool,
    on: bool,
}

impl Hold {
    /// One scan. True from the scan in which `truth` was seen for `delay_ms`
    /// until the first that sees it false.
    pub fn step(&mut self, tick: Tick, truth: Option<bool>, delay_ms: u32) -> bool {
        match truth {
            Some(true) => {
                if self.pending && self.unknown_ms == 0 {
                    self.held_ms = self.held_ms.saturating_add(tick.dt_ms);
                }
                (self.pending, self.unknown_ms) = (true, 0);
                self.on |= self.held_ms >= delay_ms;
            }
            Some(false) => *self = Self::default(),
            None => {
                self.unknown_ms = self.unknown_ms.saturating_add(tick.dt_ms.max(1));
                if self.unknown_ms > FORGET_MS {
                    (self.pending, self.held_ms) = (false, 0);
                }
            }
        }
        self.on
    }

    /// Whether it held in the last scan.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.on
    }

    /// Whether it was true when last measured, for however short.
    #[must_use]
    pub const fn is_pending(&self) -> bool {
        self.pending
    }
}

/// A limit at two levels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Warning from here on.
    pub warning: f64,
    /// Alarm from here on.
    pub alarm: f64,
    /// Either ends when the value is back by this much.
    pub hysteresis: f64,
    /// Either begins when the value was beyond for so long, s.
    pub delay_s: f64,
}

impl Limit {
    /// A limit; see the fields.
    #[must_use]
    pub const fn new(warning: f64, alarm: f64, hysteresis: f64, delay_s: f64) -> Self {
        Self { warning, alarm, hysteresis, delay_s }
    }

    /// The same limit for a multiple of the quantity.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        let Self { warning, alarm, hysteresis, delay_s } = self;
        Self::new(warning * factor, alarm * factor, hysteresis * factor, delay_s)
    }
}

/// On which side of a limit trouble is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Above it.
    High,
    /// Below it.
    Low,
}

/// A value watched against a [`Limit`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Watch {
    warning: Hold,
    alarm: Hold,
}

impl Watch {
    /// One scan; a value that is no number counts as not measured.
    pub fn step(&mut self, tick: Tick, value: Option<f64>, limit: &Limit, side: Side) -> Level {
        let value = value.filter(|v| v.is_finite());
        let delay_ms = ms(limit.delay_s);
        let one = |hold: &mut Hold, threshold: f64| {
            let back = if hold.is_on() { limit.hysteresis } else { 0.0 };
            let beyond = value.map(|v| match side {
                Side::High => v >= threshold - back,
                Side::Low => v <= threshold + back,
            });
            hold.step(tick, beyond, delay_ms)
        };
        one(&mut self.warning, limit.warning);
        one(&mut self.alarm, limit.alarm);
        self.level()
    }

    /// Its level in the last scan.
    #[must_use]
    pub const fn level(&self) -> Level {
        match (self.alarm.is_on(), self.warning.is_on()) {
            (true, _) => Level::Alarm,
            (false, true) => Level::Warning,
            (false, false) => Level::Ok,
        }
    }

    /// The quantity means nothing now (another phase): start anew.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(hold: &mut Hold, tick: &mut Tick, seconds: u64, truth: Option<bool>) -> bool {
        for _ in 0..seconds {
            *tick = tick.next(tick.now + Nanos::from_secs(1));
            hold.step(*tick, truth, 10_000);
        }
        hold.is_on()
    }

    #[test]
    fn on_in_the_scan_in_which_the_delay_is_over() {
        let (mut hold, mut tick) = (Hold::default(), Tick::default());
        assert!(!run(&mut hold, &mut tick, 10, Some(true)), "nine seconds between ten scans");
        assert!(run(&mut hold, &mut tick, 1, Some(true)));
        assert!(!run(&mut hold, &mut tick, 1, Some(false)));
        assert!(!run(&mut hold, &mut tick, 10, Some(true)));
    }

    #[test]
    fn what_is_not_measured_pauses_and_is_forgotten() {
        let (mut hold, mut tick) = (Hold::default(), Tick::default());
        run(&mut hold, &mut tick, 10, Some(true));
        assert!(!run(&mut hold, &mut tick, 50, None), "no time passes");
        assert!(!run(&mut hold, &mut tick, 1, Some(true)), "the gap is not held");
        assert!(run(&mut hold, &mut tick, 1, Some(true)));
        assert!(run(&mut hold, &mut tick, 500, None), "and nothing ends");
        let mut hold = Hold::default();
        run(&mut hold, &mut tick, 10, Some(true));
        run(&mut hold, &mut tick, 61, None);
        assert!(!run(&mut hold, &mut tick, 10, Some(true)));
    }

    #[test]
    fn a_leaping_clock_holds_nothing() {
        let mut hold = Hold::default();
        let mut tick = Tick::default();
        hold.step(tick, Some(true), 300_000);
        for _ in 0..9 {
            tick = tick.next(tick.now + Nanos::from_secs(86_400));
            assert!(!hold.step(tick, Some(true), 300_000));
        }
        let still = tick.next(tick.now);
        assert!(!hold.step(still, Some(true), 300_000));
        let back = still.next(Nanos(0));
        assert_eq!(back.dt_ms, 0);
    }

    #[test]
    fn both_levels_have_hysteresis() {
        let limit = Limit::new(40.0, 50.0, 2.0, 0.0);
        let (mut watch, tick) = (Watch::default(), Tick::default());
        for (value, level) in [
            (Some(39.9), Level::Ok),
            (Some(40.0), Level::Warning),
            (Some(50.0), Level::Alarm),
            (Some(48.1), Level::Alarm),
            (None, Level::Alarm),
            (Some(f64::NAN), Level::Alarm),
            (Some(47.9), Level::Warning),
            (Some(38.1), Level::Warning),
            (Some(37.9), Level::Ok),
        ] {
            assert_eq!(watch.step(tick, value, &limit, Side::High), level, "{value:?}");
        }
        let limit = Limit::new(5.0, 0.0, 1.0, 0.0);
        assert_eq!(watch.step(tick, Some(-3.0), &limit, Side::Low), Level::Alarm);
        assert_eq!(watch.step(tick, Some(1.5), &limit, Side::Low), Level::Warning);
        assert_eq!(watch.step(tick, Some(6.5), &limit, Side::Low), Level::Ok);
    }
}
