//! What the string feeds: how much, and whether the current or the power
//! stands still while the voltage falls.

use super::curve::Point;
use super::fit::Load;

/// Averages over this time, s, while the load does not change.
const AVERAGE_S: f64 = 60.0;
/// A load that differs by this share from its average is another load.
const CHANGE: f64 = 0.12;
/// Samples in a row that must differ.
const CHANGE_SAMPLES: u8 = 2;
/// Spread of ln(voltage) from which the kind of load shows.
const TELLING: f64 = 0.004;

/// Averages of the present load.
#[derive(Clone, Debug, Default)]
pub(super) struct LoadMeter {
    amps: f64,
    watts: f64,
    seconds: f64,
    different: u8,
    /// Charge drawn when the load last changed, Ah.
    pub since_ah: f64,
}

impl LoadMeter {
    /// A sample of the discharge: current and power (of a cell), both
    /// positive; true when the load changed.
    pub(super) fn push(&mut self, drawn_ah: f64, amps: f64, watts: f64, dt_s: f64) -> bool {
        let away = |now: f64, mean: f64| (now / mean.max(1e-9) - 1.0).abs() > CHANGE;
        let differs = away(amps, self.amps) && away(watts, self.watts);
        self.different = if differs { self.different.saturating_add(1) } else { 0 };
        let fresh = self.seconds <= 0.0;
        if fresh || self.different >= CHANGE_SAMPLES {
            *self = Self { amps, watts, seconds: dt_s.max(1e-3), different: 0, since_ah: drawn_ah };
            return !fresh;
        }
        if !differs {
            self.seconds += dt_s;
            let share = (dt_s / self.seconds.min(AVERAGE_S.max(4.0 * dt_s))).clamp(0.0, 1.0);
            self.amps += share * (amps - self.amps);
            self.watts += share * (watts - self.watts);
        }
        false
    }

    /// Mean current, A.
    pub(super) fn amps(&self) -> f64 {
        self.amps
    }

    /// Mean power of a cell, W.
    pub(super) fn watts(&self) -> f64 {
        self.watts
    }

    /// The load, with its kind as the points since its last change show it:
    /// the current of a constant power rises as the voltage falls. Until that
    /// can be seen it is a UPS, so power.
    pub(super) fn load(&self, points: &[Point]) -> Load {
        let since = points.iter().filter(|p| p.drawn_ah >= self.since_ah && p.amps > 0.0);
        let logs = since.map(|p| (p.volts.max(0.1).ln(), p.amps.ln()));
        let count = logs.clone().count() as f64;
        let (v, a) = logs.clone().fold((0.0, 0.0), |(v, a), (dv, da)| (v + dv, a + da));
        let (v, a) = (v / count, a / count);
        let (mut square, mut product) = (0.0, 0.0);
        for (volts, amps) in logs {
            square += (volts - v) * (volts - v);
            product += (volts - v) * (amps - a);
        }
        let told = (square / count).sqrt() > TELLING;
        if told && product / square > -0.5 {
            Load::Amps(self.amps)
        } else {
            Load::Watts(self.watts)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(amps_at: impl Fn(f64) -> f64) -> (LoadMeter, Vec<Point>) {
        let (mut meter, mut points) = (LoadMeter::default(), Vec::new());
        for i in 0..30 {
            let volts = 2.1 - 0.01 * f64::from(i);
            let amps = amps_at(volts);
            meter.push(f64::from(i), amps, amps * volts, 10.0);
            points.push(Point { drawn_ah: f64::from(i), volts, amps, samples: 1.0 });
        }
        (meter, points)
    }

    #[test]
    fn power_and_current_are_told_apart() {
        let (meter, points) = run(|volts| 100.0 / volts);
        assert!(matches!(meter.load(&points), Load::Watts(w) if (w - 100.0).abs() < 0.1));
        assert!(matches!(meter.load(&[]), Load::Watts(_)), "a UPS until shown otherwise");
        let (meter, points) = run(|_| 50.0);
        assert!(matches!(meter.load(&points), Load::Amps(a) if (a - 50.0).abs() < 0.1));
    }

    #[test]
    fn a_change_is_seen_at_its_second_sample_and_an_outlier_is_not() {
        let mut meter = LoadMeter::default();
        for _ in 0..10 {
            assert!(!meter.push(0.0, 50.0, 100.0, 1.0));
        }
        assert!(!meter.push(1.0, 500.0, 1_000.0, 1.0));
        assert!(!meter.push(1.0, 50.0, 100.0, 1.0));
        assert!((meter.amps() - 50.0).abs() < 1e-9);
        assert!(!meter.push(2.0, 25.0, 52.0, 1.0));
        assert!(meter.push(2.1, 25.0, 52.0, 1.0));
        assert!((meter.amps() - 25.0).abs() < 1e-9 && meter.since_ah == 2.1);
    }
}
