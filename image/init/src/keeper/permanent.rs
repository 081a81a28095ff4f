//! When what runs becomes permanent by itself: after seven days of healthy
//! running nothing older starts any more (facts/firmware-trust.md §6). Pure:
//! time and health come in, what to do comes out.
//!
//! Healthy time counts, and no other; over restarts too, which cost what was
//! not kept yet. No clock of the world has a say: somebody may set it.

use std::time::Duration;

/// So much healthy running closes the way back.
pub const WELL: Duration = Duration::from_secs(7 * 86_400);
/// What is counted is kept so often.
const KEEP_EVERY: Duration = Duration::from_secs(3_600);
/// Two looks are not further apart than this: what hung was not well.
const LOOK_MAX: Duration = Duration::from_secs(10);

/// Names what runs: the first 8 bytes of the SHA-256 of its header.
pub type Tag = [u8; 8];

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Wait,
    /// Keep what was counted.
    Keep,
    /// It is permanent now.
    Permanent,
}

/// How long what runs was well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wellness {
    tag: Tag,
    well: Duration,
    kept: Duration,
    looked: Duration,
}

impl Wellness {
    /// Of what has this `tag`; `kept` is what an earlier run left, of whatever
    /// ran then.
    #[must_use]
    pub fn new(tag: Tag, kept: Option<&str>, now: Duration) -> Self {
        let well = kept.and_then(|text| {
            let (name, seconds) = text.trim().split_once(' ')?;
            let seconds = seconds.parse().ok().map(Duration::from_secs)?;
            (name == text_of(tag)).then_some(seconds.min(WELL))
        });
        let well = well.unwrap_or_default();
        Self { tag, well, kept: well, looked: now }
    }

    /// To be called about every second.
    pub fn look(&mut self, is_well: bool, now: Duration) -> Verdict {
        let since = now.saturating_sub(self.looked);
        self.looked = now;
        if is_well && since <= LOOK_MAX {
            self.well += since;
        }
        if is_well && self.well >= WELL {
            Verdict::Permanent
        } else if self.well - self.kept >= KEEP_EVERY {
            self.kept = self.well;
            Verdict::Keep
        } else {
            Verdict::Wait
        }
    }

    /// How much is missing.
    #[must_use]
    pub fn left(&self) -> Duration {
        WELL.saturating_sub(self.well)
    }

    /// For [`Self::new`] of a later run.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{} {}\n", text_of(self.tag), self.well.as_secs())
    }
}

fn text_of(tag: Tag) -> String {
    tag.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: Tag = [0xab; 8];

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Run for `seconds`, well or not; the last that was to be kept.
    fn run(
        wellness: &mut Wellness,
        seconds: u64,
        is_well: impl Fn(u64) -> bool,
    ) -> (Option<String>, Option<u64>) {
        let (mut kept, from) = (None, wellness.looked.as_secs());
        for second in from + 1..=from + seconds {
            match wellness.look(is_well(second), s(second)) {
                Verdict::Wait => {}
                Verdict::Keep => kept = Some(wellness.text()),
                Verdict::Permanent => return (kept, Some(second - from)),
            }
        }
        (kept, None)
    }

    #[test]
    fn seven_healthy_days_make_it_permanent_and_not_a_second_less() {
        let mut wellness = Wellness::new(TAG, None, s(0));
        assert_eq!(run(&mut wellness, 8 * 86_400, |_| true).1, Some(7 * 86_400));
        let mut wellness = Wellness::new(TAG, None, s(0));
        let (_, permanent) = run(&mut wellness, 10 * 86_400, |second| second % 2 == 0);
        assert_eq!(permanent, None, "half of the time it was not well");
        assert_eq!(wellness.left(), s(2 * 86_400));
    }

    #[test]
    fn a_restart_costs_an_hour_at_most_and_another_system_begins_afresh() {
        let mut kept: Option<String> = None;
        let mut hours = 0;
        loop {
            let mut wellness = Wellness::new(TAG, kept.as_deref(), s(2));
            let before = wellness.left();
            let (text, permanent) = run(&mut wellness, 5 * 3_600 + 1_800, |_| true);
            hours += 1;
            if permanent.is_some() {
                break;
            }
            assert!(before - Wellness::new(TAG, text.as_deref(), s(2)).left() >= s(4 * 3_600));
            kept = text;
        }
        assert!((30..=42).contains(&hours), "{hours} starts");
        let other = Wellness::new([1; 8], kept.as_deref(), s(2));
        assert_eq!(other.left(), WELL);
    }

    #[test]
    fn what_hung_or_was_written_by_somebody_else_does_not_count() {
        let mut wellness = Wellness::new(TAG, None, s(0));
        assert_eq!(wellness.look(true, s(30 * 86_400)), Verdict::Wait);
        assert_eq!(wellness.left(), WELL);
        for text in ["", "abab", "abababababababab x", "abababababababab -5", "7 7 7"] {
            assert_eq!(Wellness::new(TAG, Some(text), s(0)).left(), WELL, "{text:?}");
        }
        let much = Wellness::new(TAG, Some("abababababababab 99999999999"), s(0));
        assert_eq!(much.left(), Duration::ZERO, "which a healthy second confirms");
    }
}
