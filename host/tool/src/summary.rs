//! What was said against what happened: errors of the runtime once the
//! discharge has ended.
//!
//! The last discharge of the recording is judged; it must run to its end.
//! Bounded memory: of a long discharge every second estimate is forgotten
//! again and again.

use core::fmt;

/// Estimates kept.
const KEPT: usize = 8192;

/// An estimate during a discharge.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Said {
    time_s: f64,
    runtime_s: f64,
    capacity_ah: f64,
}

/// Collects what was said.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    said: Vec<Said>,
    every: u64,
    count: u64,
    end_s: f64,
}

/// Errors of the estimates, per cent of the whole discharge and of what was
/// left; positive: too optimistic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    /// Length of the discharge, s.
    pub duration_s: f64,
    /// Error at 25, 50 and 75 % elapsed, per cent of the duration.
    pub of_duration: [f64; 3],
    /// The same, per cent of the time that was left.
    pub of_remaining: [f64; 3],
    /// Worst optimism in the last quarter, per cent of the duration.
    pub last_quarter: f64,
    /// Worst optimism from 75 to 95 % elapsed, per cent of the time left.
    pub last_quarter_of_remaining: f64,
    /// Largest rise of the runtime from one estimate to the next, s.
    pub worst_jump_s: f64,
    /// Capacity estimated at half of the discharge and at its end, Ah.
    pub capacity_ah: [f64; 2],
}

impl Summary {
    /// Note an estimate of a discharge; `None` ends the discharge.
    pub fn push(&mut self, time_s: f64, runtime_s: Option<f32>, capacity_ah: f32) {
        let Some(runtime_s) = runtime_s else {
            return;
        };
        if self.said.is_empty() || time_s < self.end_s {
            self.every = 1;
        }
        self.end_s = time_s;
        self.count += 1;
        if !self.count.is_multiple_of(self.every) {
            return;
        }
        if self.said.len() == KEPT {
            let mut index = 0;
            self.said.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.every *= 2;
        }
        let (runtime_s, capacity_ah) = (f64::from(runtime_s), f64::from(capacity_ah));
        self.said.push(Said { time_s, runtime_s, capacity_ah });
    }

    /// A new discharge begins: forget the last one.
    pub fn restart(&mut self) {
        *self = Self::default();
    }

    /// The errors; `None` with too few estimates.
    #[must_use]
    pub fn figures(&self) -> Option<Figures> {
        let first = self.said.first()?;
        let duration_s = self.end_s - first.time_s;
        if self.said.len() < 4 || duration_s <= 0.0 {
            return None;
        }
        let elapsed = |s: &Said| (s.time_s - first.time_s) / duration_s;
        let error_s = |s: &Said| s.runtime_s - (self.end_s - s.time_s);
        let nearest = |share: f64| {
            let distance = |s: &&Said| (elapsed(s) - share).abs();
            self.said.iter().min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or(first)
        };
        let marks = [nearest(0.25), nearest(0.50), nearest(0.75)];
        let last = || self.said.iter().filter(|s| elapsed(s) >= 0.75);
        let worst =
            |values: &mut dyn Iterator<Item = f64>| values.fold(f64::NEG_INFINITY, f64::max);
        Some(Figures {
            duration_s,
            of_duration: marks.map(|s| 100.0 * error_s(s) / duration_s),
            of_remaining: marks.map(|s| 100.0 * error_s(s) / (self.end_s - s.time_s)),
            last_quarter: worst(&mut last().map(|s| 100.0 * error_s(s) / duration_s)),
            last_quarter_of_remaining: worst(
                &mut last()
                    .filter(|s| elapsed(s) <= 0.95)
                    .map(|s| 100.0 * error_s(s) / (self.end_s - s.time_s)),
            ),
            worst_jump_s: worst(&mut self.said.windows(2).map(|s| s[1].runtime_s - s[0].runtime_s)),
            capacity_ah: [marks[1].capacity_ah, self.said.last().unwrap_or(first).capacity_ah],
        })
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "duration_s = {:.0}", self.duration_s)?;
        for ((share, duration), remaining) in
            [25, 50, 75].iter().zip(self.of_duration).zip(self.of_remaining)
        {
            writeln!(f, "error_at_{share}_percent_of_duration = {duration:.2}")?;
            writeln!(f, "error_at_{share}_percent_of_remaining = {remaining:.2}")?;
        }
        writeln!(f, "worst_optimism_last_quarter_percent_of_duration = {:.2}", self.last_quarter)?;
        let of_remaining = self.last_quarter_of_remaining;
        writeln!(f, "worst_optimism_75_to_95_percent_of_remaining = {of_remaining:.2}")?;
        writeln!(f, "worst_rise_s = {:.1}", self.worst_jump_s.max(0.0))?;
        writeln!(f, "capacity_at_half_ah = {:.2}", self.capacity_ah[0])?;
        writeln!(f, "capacity_at_end_ah = {:.2}", self.capacity_ah[1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_signed_and_of_the_right_base() {
        let mut summary = Summary::default();
        for i in 0..=40_000 {
            let time_s = 5.0 + f64::from(i) / 40.0;
            // 10 % of the duration too much, all the way.
            summary.push(time_s, Some((1_100.0 - (time_s - 5.0)) as f32), 80.0);
        }
        let figures = summary.figures().expect("long enough");
        assert!((figures.duration_s - 1_000.0).abs() < 1e-6);
        for got in figures.of_duration {
            assert!((got - 10.0).abs() < 0.1, "{figures:?}");
        }
        assert!((figures.of_remaining[2] - 40.0).abs() < 1.0 && figures.worst_jump_s < 0.0);
        assert!((figures.last_quarter - 10.0).abs() < 0.1);
    }
}
