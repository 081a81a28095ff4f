//! The runtime that is shown: under a constant load it never rises.
//!
//! Because nothing is taken back, a lower estimate is believed only when it
//! lasts: a step in the curve of a lithium cell that no shape has looks for a
//! while like the knee. In the middle of a discharge there is time to wait;
//! towards its end there is none, and being late would be too optimistic. The
//! curve of lead has no steps, and what is lower there is right.

/// Share of a discharge within which the shown runtime follows a lower one.
const LAG: f64 = 0.02;
/// How long the end that was estimated last must stay the earliest before it
/// is believed, share of the time since the start: until the first of these
/// shares of the discharge, and from the second on.
const PATIENCE: (f64, f64) = (0.10, 0.0);
const PATIENCE_PASSED: (f64, f64) = (0.30, 0.60);
/// The same at most, share of what is left.
const PATIENCE_LEFT: f64 = 0.25;
/// Pieces in which that while is kept.
const PIECES: usize = 8;

/// What was promised of a discharge at one load.
#[derive(Clone, Copy, Debug)]
pub(super) struct Promise {
    /// The battery's curve may have steps.
    steps: bool,
    pieces: [Piece; PIECES],
    /// Which of them is being filled.
    open: usize,
}

/// A piece of what was estimated; times are s from the start.
#[derive(Clone, Copy, Debug)]
struct Piece {
    began_s: f64,
    /// The latest end that was estimated in it.
    end_s: f64,
}

impl Promise {
    /// Nothing yet, of a battery whose curve may have steps or has none.
    pub(super) const fn new(steps: bool) -> Self {
        let nothing = Piece { began_s: f64::NEG_INFINITY, end_s: 0.0 };
        Self { steps, pieces: [nothing; PIECES], open: 0 }
    }

    /// What to show `elapsed_s` after the start, s, where `before_s` was shown
    /// `dt_s` ago and `estimate_s` is what is estimated now. Never more than
    /// was shown before.
    pub(super) fn keep(
        &mut self,
        elapsed_s: f64,
        dt_s: f64,
        before_s: f64,
        estimate_s: f64,
    ) -> f64 {
        let end_s = self.latest_end_s(elapsed_s, elapsed_s + estimate_s, before_s);
        let value_s = (end_s - elapsed_s).max(0.0);
        let expected_s = (before_s - dt_s).max(0.0);
        if value_s >= expected_s {
            return value_s.min(before_s);
        }
        // In one leap nobody would follow.
        let lag_s = (LAG * end_s).min(0.25 * value_s).max(1.0);
        let share = 1.0 - (-dt_s / lag_s).exp();
        expected_s + share * (value_s - expected_s)
    }

    /// The latest end estimated within the while that there is patience for.
    fn latest_end_s(&mut self, elapsed_s: f64, end_s: f64, left_s: f64) -> f64 {
        if !self.steps {
            return end_s;
        }
        let passed = elapsed_s / (elapsed_s + left_s).max(1e-9);
        let (from, to) = PATIENCE_PASSED;
        let late = ((passed - from) / (to - from)).clamp(0.0, 1.0);
        let share = PATIENCE.0 + late * (PATIENCE.1 - PATIENCE.0);
        let while_s = (share * elapsed_s).min(PATIENCE_LEFT * left_s);
        if elapsed_s - self.pieces[self.open].began_s >= while_s / PIECES as f64 {
            self.open = (self.open + 1) % PIECES;
            self.pieces[self.open] = Piece { began_s: elapsed_s, end_s };
        }
        let open = &mut self.pieces[self.open];
        open.end_s = open.end_s.max(end_s);
        // Scans may be further apart than pieces.
        let recent = self.pieces.iter().filter(|piece| elapsed_s - piece.began_s <= while_s);
        recent.fold(end_s, |latest, piece| latest.max(piece.end_s))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is shown over a discharge of an hour whose end is estimated by
    /// `end_s`, once a second.
    fn shown_s(steps: bool, end_s: impl Fn(f64) -> f64) -> Vec<f64> {
        let mut promise = Promise::new(steps);
        let mut shown = vec![end_s(0.0)];
        for second in 1..3_600 {
            let now_s = f64::from(second);
            let before_s = shown[shown.len() - 1];
            shown.push(promise.keep(now_s, 1.0, before_s, (end_s(now_s) - now_s).max(0.0)));
        }
        assert!(shown.windows(2).all(|s| s[1] <= s[0]), "it rose");
        shown
    }

    #[test]
    fn a_steady_estimate_counts_down() {
        let shown = shown_s(true, |_| 3_600.0);
        for (second, shown_s) in (0..3_600).zip(shown) {
            assert!((shown_s - f64::from(3_600 - second)).abs() < 1e-6, "{second}: {shown_s}");
        }
    }

    #[test]
    fn a_dip_in_the_middle_is_not_believed_and_one_that_lasts_is() {
        let dip = |lasts_s: f64| {
            move |now_s: f64| {
                if (1_000.0..1_000.0 + lasts_s).contains(&now_s) { now_s + 60.0 } else { 3_600.0 }
            }
        };
        let passing = shown_s(true, dip(60.0));
        assert!((passing[1_700] - 1_900.0).abs() < 1.0, "{}", passing[1_700]);
        let believed = shown_s(false, dip(60.0));
        assert!(believed[1_700] < 1_000.0, "{}", believed[1_700]);
        let lasting = shown_s(true, dip(600.0));
        assert!(lasting[1_500] < 400.0, "{}", lasting[1_500]);
    }

    #[test]
    fn towards_the_end_a_lower_estimate_is_shown_soon() {
        let shown = shown_s(true, |now_s| if now_s < 2_900.0 { 3_600.0 } else { 3_300.0 });
        assert!((shown[3_100] - 200.0).abs() < 40.0, "{}", shown[3_100]);
    }

    #[test]
    fn scans_that_are_far_apart_have_no_more_patience() {
        let end_s = |now_s: f64| if now_s < 2_900.0 { 3_600.0 } else { 3_300.0 };
        let (mut promise, mut shown_s) = (Promise::new(true), 3_600.0);
        for now_s in (60..=3_120).step_by(60).map(f64::from) {
            shown_s = promise.keep(now_s, 60.0, shown_s, end_s(now_s) - now_s);
        }
        assert!(shown_s < 220.0, "{shown_s}");
    }

    #[test]
    fn a_higher_estimate_holds_and_does_not_raise() {
        let shown = shown_s(true, |now_s| if now_s < 1_000.0 { 2_000.0 } else { 3_600.0 });
        assert!((shown[1_500] - shown[1_001]).abs() < 1e-6);
        assert!((shown[3_000] - 600.0).abs() < 1.0, "{}", shown[3_000]);
    }
}
