//! Whether the clock is set by what servers say (SNTP, RFC 4330). Pure: what
//! they said comes in, a verdict comes out.
//!
//! The clock is for certificates, calendars and records; protection runs on the
//! monotonic one and never sees this (facts/appliance-security.md SEC-113). A
//! clock that was never set takes any time that can be true. One that was set
//! is moved by more than an hour only when three servers agree, so that one
//! that lies, or was forged, does not move it by years.

use std::time::Duration;

/// 2026-11-01: this program is not older.
pub const EARLIEST_UNIX_S: i64 = 1_793_491_200;
/// 2036-02-07, when the 32 bits of NTP's seconds are over, which the library
/// does not know.
pub const LATEST_UNIX_S: i64 = 2_085_978_496;
/// Servers agree that are not further apart, µs.
const AGREE_US: i64 = 1_000_000;
/// By less the clock is not touched, µs.
const STEP_MIN_US: i64 = 50_000;
/// By more it is moved only when so many agree, µs.
const STEP_MAX_US: i64 = 3_600_000_000;
const AGREE_MIN: usize = 3;
/// An answer that took longer says too little.
const ROUND_TRIP_MAX: Duration = Duration::from_secs(2);

/// What one server said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// So much the clock is slow, µs.
    pub offset_us: i64,
    /// The question and its answer took so long.
    pub round_trip: Duration,
}

/// What comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The clock is right, to so many µs.
    Right(i64),
    /// Move it by so many µs.
    Step(i64),
}

/// Why the clock is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// No usable answer.
    #[error("no server for the time answered; check its name and the way to it")]
    Silence,
    /// They contradict each other.
    #[error("the servers for the time contradict each other; name others")]
    Disagree,
    /// Before this program was made, or after NTP's end.
    #[error("the servers say a time that cannot be true; name others")]
    Impossible,
    /// Too far to believe one alone.
    #[error(
        "the clock is off by {0} s, and fewer than {AGREE_MIN} servers say so; name {AGREE_MIN} \
        that agree"
    )]
    Far(i64),
}

/// What comes of `samples` when the clock shows `unix_us`.
///
/// # Errors
/// [`Doubt`].
pub fn judge(samples: &[Sample], unix_us: i64) -> Result<Verdict, Doubt> {
    let usable = samples.iter().filter(|sample| sample.round_trip <= ROUND_TRIP_MAX);
    let mut offsets: Vec<i64> = usable.map(|sample| sample.offset_us).collect();
    offsets.sort_unstable();
    // Of an even number the lower middle one: it is one that somebody said.
    let middle = offsets.len().checked_sub(1).ok_or(Doubt::Silence)? / 2;
    let offset = offsets[middle];
    let agree = offsets.iter().filter(|other| other.abs_diff(offset) <= AGREE_US as u64).count();
    if agree * 2 <= offsets.len() {
        return Err(Doubt::Disagree);
    }
    let told_s = unix_us.saturating_add(offset) / 1_000_000;
    if !(EARLIEST_UNIX_S..LATEST_UNIX_S).contains(&told_s) {
        return Err(Doubt::Impossible);
    }
    let was_set = unix_us / 1_000_000 >= EARLIEST_UNIX_S;
    if was_set && offset.abs() > STEP_MAX_US && agree < AGREE_MIN {
        return Err(Doubt::Far(offset / 1_000_000));
    }
    match offset.abs() < STEP_MIN_US {
        true => Ok(Verdict::Right(offset)),
        false => Ok(Verdict::Step(offset)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW_US: i64 = 1_800_000_000_000_000;
    const YEAR_US: i64 = 365 * 86_400 * 1_000_000;

    fn say(offsets: &[i64]) -> Vec<Sample> {
        let sample = |&offset_us| Sample { offset_us, round_trip: Duration::from_millis(20) };
        offsets.iter().map(sample).collect()
    }

    #[test]
    fn a_clock_is_set_by_who_can_be_believed() {
        let set = |offsets: &[i64]| judge(&say(offsets), NOW_US);
        assert_eq!(set(&[]), Err(Doubt::Silence));
        assert_eq!(set(&[49_999]), Ok(Verdict::Right(49_999)));
        assert_eq!(set(&[-50_000]), Ok(Verdict::Step(-50_000)));
        assert_eq!(set(&[3_000_000_000]), Ok(Verdict::Step(3_000_000_000)));
        assert_eq!(set(&[0, 5_000_000]), Err(Doubt::Disagree), "who of both is right?");
        assert_eq!(set(&[0, 900, YEAR_US]), Ok(Verdict::Right(900)), "the liar is outvoted");
        assert_eq!(set(&[0, 2 * YEAR_US, -YEAR_US]), Err(Doubt::Disagree));
        let late = Sample { offset_us: 0, round_trip: Duration::from_secs(3) };
        assert_eq!(judge(&[late], NOW_US), Err(Doubt::Silence));
    }

    #[test]
    fn one_that_lies_by_years_does_not_move_a_clock_that_was_set() {
        let set = |offsets: &[i64]| judge(&say(offsets), NOW_US);
        assert_eq!(set(&[5 * YEAR_US]), Err(Doubt::Far(5 * 365 * 86_400)));
        assert_eq!(set(&[5 * YEAR_US, 5 * YEAR_US]), Err(Doubt::Far(5 * 365 * 86_400)));
        assert_eq!(set(&[-10 * YEAR_US]), Err(Doubt::Impossible), "before this program was made");
        assert_eq!(set(&[10 * YEAR_US]), Err(Doubt::Impossible), "after the end of NTP's seconds");
        let day = 86_400_000_000;
        assert_eq!(set(&[day, day + 5, day - 5]), Ok(Verdict::Step(day)), "three do");
        let unset = judge(&say(&[NOW_US]), 0);
        assert_eq!(unset, Ok(Verdict::Step(NOW_US)), "one that was never set believes one");
    }

    proptest! {
        #[test]
        fn the_clock_never_shows_what_cannot_be(
            offsets in prop::collection::vec(any::<i64>(), 0..5),
            unix_us in 0..LATEST_UNIX_S * 2_000_000,
        ) {
            if let Ok(Verdict::Right(offset) | Verdict::Step(offset)) =
                judge(&say(&offsets), unix_us)
            {
                let shown = (unix_us + offset) / 1_000_000;
                prop_assert!((EARLIEST_UNIX_S..LATEST_UNIX_S).contains(&shown));
            }
        }
    }
}
