//! One temperature sensor: whether it can be believed, and how fast what it
//! measures is changing.
//!
//! A 12 V 7 Ah block holds 2 kJ/K and a 100 Ah block 25 kJ/K
//! (facts/battery-science.md §2.7): no block warms by more than a few kelvins
//! per minute. A reading that leaps further is a broken sensor, a bad contact
//! or a glitch; it is *suspect* until it is back where it came from or among
//! its neighbours.
//!
//! The rate is the difference of two exponential means, divided by the
//! difference of their time constants: exact on a ramp, 0 at the start, and
//! smaller than the truth until the slower mean has followed.

use crate::time::Nanos;

/// Time constants of the means, s.
const FAST_S: f64 = 300.0;
const SLOW_S: f64 = 1_800.0;
/// Time constant of the block's usual temperature, s: a day.
const USUAL_S: f64 = 86_400.0;
/// Fastest believable change, K per second (5 K/min), and what a reading may
/// differ besides (resolution, the module's own bypass), K.
const SLEW_K_PER_S: f64 = 5.0 / 60.0;
const STEP_K: f64 = 2.0;
/// A suspect sensor is believed again so near to its last good value or to its
/// neighbours, K.
const RETURN_K: f64 = 3.0;
const AMONG_K: f64 = 5.0;
/// After so long without a reading the past says nothing, s.
const GAP_S: f64 = 600.0;
/// A sensor that never moved by this, K, may be a stuck one.
const ALIVE_K: f64 = 0.3;

/// A sensor and its filters. Built once; a step allocates nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Thermometer {
    filters: Option<Filters>,
    suspect: bool,
    /// When it last measured anything, believed or not.
    seen: Nanos,
    /// The last scan's value, if it was measured and is believed.
    good_c: Option<f64>,
}

#[derive(Clone, Copy, Debug)]
struct Filters {
    /// When the last believed value was read.
    read: Nanos,
    last_c: f64,
    fast_c: f64,
    slow_c: f64,
    usual_c: f64,
    lowest_c: f64,
    highest_c: f64,
}

impl Filters {
    fn start(now: Nanos, c: f64) -> Self {
        let (last_c, fast_c, slow_c, usual_c, lowest_c, highest_c) = (c, c, c, c, c, c);
        Self { read: now, last_c, fast_c, slow_c, usual_c, lowest_c, highest_c }
    }

    fn follow(&mut self, now: Nanos, c: f64) {
        let dt_s = now.since(self.read).as_secs_f64();
        let towards = |mean: &mut f64, tau_s: f64| *mean += (c - *mean) * dt_s / (tau_s + dt_s);
        towards(&mut self.fast_c, FAST_S);
        towards(&mut self.slow_c, SLOW_S);
        towards(&mut self.usual_c, USUAL_S);
        (self.read, self.last_c) = (now, c);
        self.lowest_c = self.lowest_c.min(c);
        self.highest_c = self.highest_c.max(c);
    }
}

impl Thermometer {
    /// One scan: what was measured, °C, and the median of its neighbours.
    pub fn step(&mut self, now: Nanos, measured_c: Option<f64>, neighbours_c: Option<f64>) {
        self.good_c = None;
        let Some(c) = measured_c.filter(|c| c.is_finite()) else { return };
        let silent = now.since(self.seen).as_secs_f64() > GAP_S;
        self.seen = now;
        match &mut self.filters {
            Some(filters) if !silent && self.suspect => {
                let back = (c - filters.last_c).abs() <= RETURN_K;
                let among = neighbours_c.is_some_and(|n| (c - n).abs() <= AMONG_K);
                if !(back || among) {
                    return;
                }
                self.suspect = false;
                *filters = Filters::start(now, c);
            }
            Some(filters) if !silent => {
                let elapsed_s = now.since(filters.read).as_secs_f64();
                if (c - filters.last_c).abs() > STEP_K + SLEW_K_PER_S * elapsed_s {
                    self.suspect = true;
                    return;
                }
                filters.follow(now, c);
            }
            _ => (self.filters, self.suspect) = (Some(Filters::start(now, c)), false),
        }
        self.good_c = Some(c);
    }

    /// The past says nothing about the rate any more: it starts anew with 0.
    pub fn restart_rate(&mut self) {
        if let Some(f) = &mut self.filters {
            (f.fast_c, f.slow_c) = (f.last_c, f.last_c);
        }
    }

    /// What this scan measured, °C, if it is believed.
    #[must_use]
    pub const fn good_c(&self) -> Option<f64> {
        self.good_c
    }

    /// It leapt and has not come back.
    #[must_use]
    pub const fn is_suspect(&self) -> bool {
        self.suspect
    }

    /// Rate of change, K/h; 0 before anything is known.
    #[must_use]
    pub fn rate_k_per_h(&self) -> f64 {
        self.filters.map_or(0.0, |f| (f.fast_c - f.slow_c) / (SLOW_S - FAST_S) * 3_600.0)
    }

    /// How far it stands above its usual value of the last day, K.
    #[must_use]
    pub fn above_usual_k(&self) -> f64 {
        self.filters.map_or(0.0, |f| f.last_c - f.usual_c)
    }

    /// How far it was seen to climb, step by believable step, K.
    #[must_use]
    pub fn climbed_k(&self) -> f64 {
        self.filters.map_or(0.0, |f| f.last_c - f.lowest_c)
    }

    /// It was seen to move: not stuck at the end of its range.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.filters.is_some_and(|f| f.highest_c - f.lowest_c >= ALIVE_K)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(t: &mut Thermometer, second: u64, c: f64) -> Option<f64> {
        t.step(Nanos::from_secs(second), Some(c), Some(25.0));
        t.good_c()
    }

    #[test]
    fn a_ramp_has_its_rate_and_a_start_has_none() {
        let mut t = Thermometer::default();
        assert_eq!(at(&mut t, 0, 40.0), Some(40.0));
        assert_eq!(t.rate_k_per_h(), 0.0);
        for second in (0..4 * 3_600).step_by(10) {
            let c = 25.0 + second as f64 / 1_800.0;
            at(&mut t, second, (c * 10.0).round() / 10.0);
        }
        assert!((t.rate_k_per_h() - 2.0).abs() < 0.1, "{}", t.rate_k_per_h());
    }

    #[test]
    fn a_leap_is_a_sensor_fault_until_it_is_back() {
        let mut t = Thermometer::default();
        at(&mut t, 0, 36.0);
        for second in 1..100_000 {
            assert_eq!(at(&mut t, second, 85.0), None);
        }
        assert!(t.is_suspect());
        assert_eq!(at(&mut t, 100_000, 37.0), Some(37.0), "where it came from");
        at(&mut t, 100_001, 85.0);
        assert_eq!(at(&mut t, 100_002, 28.0), Some(28.0), "among its neighbours");
    }

    #[test]
    fn after_a_long_silence_the_past_says_nothing() {
        let mut t = Thermometer::default();
        at(&mut t, 0, 25.0);
        assert_eq!(at(&mut t, 601, 60.0), Some(60.0));
        assert_eq!((t.rate_k_per_h(), t.climbed_k()), (0.0, 0.0));
        assert!(!t.is_alive());
        assert_eq!(at(&mut t, 631, 62.0), Some(62.0));
        assert!(t.is_alive());
    }
}
