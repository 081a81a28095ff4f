//! Charge and energy that a string gave, from its current sensor.
//!
//! Trapezoids between scans. What was not measured is not counted and not
//! guessed: the meter says for how long it knew ([`DrawMeter::known_s`]).

use super::signature::finite;
use crate::time::Nanos;

/// Longer between two scans is a gap: nothing is integrated across it.
const GAP_S: f64 = 90.0;

/// Ah and Wh drawn; charging counts as nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct DrawMeter {
    last: Option<Point>,
    ah: f64,
    ah_s: f64,
    wh: f64,
    wh_s: f64,
    gaps: u16,
}

#[derive(Clone, Copy, Debug)]
struct Point {
    now: Nanos,
    drawn_a: Option<f64>,
    drawn_w: Option<f64>,
}

impl DrawMeter {
    /// One scan: string current, A, positive into the batteries, and voltage, V.
    pub fn step(&mut self, now: Nanos, current_a: Option<f64>, string_v: Option<f64>) {
        let drawn_a = finite(current_a).map(|a| (-a).max(0.0));
        let drawn_w = drawn_a.zip(finite(string_v)).map(|(a, v)| a * v);
        let point = Point { now, drawn_a, drawn_w };
        let Some(last) = self.last.replace(point) else { return };
        let dt_s = now.since(last.now).as_secs_f64();
        if dt_s > GAP_S {
            self.gaps = self.gaps.saturating_add(1);
            return;
        }
        if let Some((a, b)) = last.drawn_a.zip(point.drawn_a) {
            self.ah += f64::midpoint(a, b) * dt_s / 3600.0;
            self.ah_s += dt_s;
        }
        if let Some((a, b)) = last.drawn_w.zip(point.drawn_w) {
            self.wh += f64::midpoint(a, b) * dt_s / 3600.0;
            self.wh_s += dt_s;
        }
    }

    /// The next scan begins a new stretch: what lies between does not count.
    pub fn pause(&mut self) {
        self.last = None;
    }

    /// Ah drawn while the current was known; `None` when it never was.
    #[must_use]
    pub fn ah(&self) -> Option<f64> {
        let now = self.last.is_some_and(|p| p.drawn_a.is_some());
        (self.ah_s > 0.0 || now).then_some(self.ah)
    }

    /// Wh drawn while power was known; `None` when it never was.
    #[must_use]
    pub fn wh(&self) -> Option<f64> {
        (self.wh_s > 0.0).then_some(self.wh)
    }

    /// Mean power while it was known, W.
    #[must_use]
    pub fn mean_w(&self) -> Option<f64> {
        (self.wh_s > 0.0).then(|| self.wh * 3600.0 / self.wh_s)
    }

    /// For how long the current was known, s.
    #[must_use]
    pub fn known_s(&self) -> f64 {
        self.ah_s
    }

    /// Stretches over which nothing could be integrated.
    #[must_use]
    pub fn gaps(&self) -> u16 {
        self.gaps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_of_ten_amps() {
        let mut meter = DrawMeter::default();
        assert_eq!(meter.ah(), None);
        for s in 0..=3600 {
            meter.step(Nanos::from_secs(s), Some(-10.0), Some(240.0));
        }
        assert!((meter.ah().expect("known") - 10.0).abs() < 1e-9);
        assert!((meter.wh().expect("known") - 2400.0).abs() < 1e-6);
        assert!((meter.mean_w().expect("known") - 2400.0).abs() < 1e-6);
    }

    #[test]
    fn unknown_charging_and_gaps_are_not_counted() {
        let mut meter = DrawMeter::default();
        meter.step(Nanos::from_secs(0), Some(-10.0), None);
        meter.step(Nanos::from_secs(60), None, None);
        meter.step(Nanos::from_secs(120), Some(f64::NAN), None);
        meter.step(Nanos::from_secs(180), Some(5.0), None);
        meter.step(Nanos::from_secs(240), Some(5.0), None);
        meter.step(Nanos::from_secs(4_000), Some(-10.0), None);
        assert_eq!((meter.ah(), meter.known_s(), meter.gaps()), (Some(0.0), 60.0, 1));
        assert_eq!((meter.wh(), meter.mean_w()), (None, None));
    }
}
