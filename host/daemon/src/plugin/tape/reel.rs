//! What a recording keeps when it cannot keep all: its beginning, and its end.
//!
//! Without the beginning nothing could be repeated, and without the end nobody
//! would see what the plugin fell over. So the first [`HEAD_BYTES_MAX`] are
//! kept, and behind them a ring of the last [`TAIL_BYTES_MAX`]. Both hold whole
//! calls: what the plugin was called with, and all that the host answered it
//! meanwhile. Of the calls between the two their number is kept.

use std::collections::VecDeque;

/// Longest beginning in bytes.
pub const HEAD_BYTES_MAX: usize = 160 << 10;
/// Longest end in bytes; more than the largest input of a call.
pub const TAIL_BYTES_MAX: usize = 96 << 10;
/// Most calls in the end.
pub const TAIL_CALLS_MAX: usize = 4_096;

/// A recording that is being made.
#[derive(Debug, Default)]
pub struct Reel {
    head: Vec<u8>,
    head_calls: u64,
    /// Where the last call of the head begins.
    call_at: usize,
    tail: Option<Tail>,
}

/// The end of one that was too long for its head.
#[derive(Debug, Default)]
struct Tail {
    bytes: VecDeque<u8>,
    /// Of each call; the last one is being made.
    lens: VecDeque<usize>,
    /// Calls that were dropped.
    missing: u64,
    /// The last call is longer than the whole tail.
    is_cut: bool,
}

/// What of a recording is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Calls of the beginning.
    pub first: u64,
    /// Calls between beginning and end.
    pub between: u64,
    /// Calls of the end.
    pub last: u64,
    /// Only the beginning of the last call is there.
    pub is_cut: bool,
}

impl Reel {
    /// Keep an entry; `is_call` when a call into the plugin begins with it.
    pub fn push(&mut self, entry: &[u8], is_call: bool) {
        if self.tail.is_none() {
            if is_call {
                self.call_at = self.head.len();
            }
            if self.head.len() + entry.len() <= HEAD_BYTES_MAX {
                self.head.extend_from_slice(entry);
                self.head_calls += u64::from(is_call);
                return;
            }
        }
        let (head, calls, call_at) = (&mut self.head, &mut self.head_calls, self.call_at);
        let tail = self.tail.get_or_insert_with(|| {
            let mut tail = Tail::default();
            if !is_call {
                // The call that does not fit moves as a whole.
                tail.begin();
                tail.append(&head.split_off(call_at));
                *calls = calls.saturating_sub(1);
            }
            tail
        });
        if is_call {
            tail.begin();
        }
        tail.append(entry);
    }

    /// Beginning and end, and what lies between them; `None` when that is
    /// nothing.
    #[must_use]
    pub fn kept(&self) -> (&[u8], Vec<u8>, Option<Missing>) {
        let Some(tail) = &self.tail else { return (&self.head, Vec::new(), None) };
        let missing = Missing {
            first: self.head_calls,
            between: tail.missing,
            last: tail.lens.len() as u64,
            is_cut: tail.is_cut,
        };
        let missing = Some(missing).filter(|missing| missing.between > 0 || missing.is_cut);
        (&self.head, tail.bytes.iter().copied().collect(), missing)
    }
}

impl Tail {
    fn begin(&mut self) {
        if self.is_cut {
            // It is the only one, and not whole.
            self.drop_first();
            self.is_cut = false;
        }
        self.lens.push_back(0);
        if self.lens.len() > TAIL_CALLS_MAX {
            self.drop_first();
        }
    }

    /// Add to the last call.
    fn append(&mut self, entry: &[u8]) {
        if self.is_cut {
            return;
        }
        while self.bytes.len() + entry.len() > TAIL_BYTES_MAX && self.lens.len() > 1 {
            self.drop_first();
        }
        let Some(len) = self.lens.back_mut() else { return };
        if self.bytes.len() + entry.len() > TAIL_BYTES_MAX {
            self.is_cut = true;
            return;
        }
        *len += entry.len();
        self.bytes.extend(entry);
    }

    fn drop_first(&mut self) {
        if let Some(len) = self.lens.pop_front() {
            self.bytes.drain(..len);
            self.missing += 1;
        }
    }
}

impl core::fmt::Display for Missing {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { first, between, last, is_cut } = self;
        write!(f, "the recording has the first {first} calls and the last {last}")?;
        if *between > 0 {
            write!(f, ", and not the {between} between them")?;
        }
        if *is_cut {
            write!(f, "; of the very last call it has the beginning alone")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A call of so many bytes, of which the first is its number.
    fn call(reel: &mut Reel, number: u8, len: usize) {
        let mut entry = vec![0; len];
        entry[0] = number;
        reel.push(&entry[..len.min(10)], true);
        for piece in entry[len.min(10)..].chunks(1_000) {
            reel.push(piece, false);
        }
    }

    #[test]
    fn what_fits_is_whole() {
        let mut reel = Reel::default();
        // The last of them moves into the tail, and nothing is lost.
        (0..20).for_each(|n| call(&mut reel, n, 10_000));
        let (head, tail, missing) = reel.kept();
        assert_eq!((head.len(), tail.len(), missing), (160_000, 40_000, None));
        assert_eq!((head[150_000], tail[0], tail[30_000]), (15, 16, 19));
    }

    #[test]
    fn of_a_long_one_whole_calls_are_kept_at_both_ends() {
        let mut reel = Reel::default();
        (0..100).for_each(|n| call(&mut reel, n, 10_000));
        let (head, tail, missing) = reel.kept();
        assert_eq!((head[0], head[150_000], head.len()), (0, 15, 160_000));
        assert_eq!((tail[0], tail[80_000], tail.len()), (91, 99, 90_000));
        let missing = missing.expect("some are");
        let wanted = Missing { first: 16, between: 75, last: 9, is_cut: false };
        assert_eq!(missing, wanted);
        let said = "the first 16 calls and the last 9, and not the 75 between them";
        assert!(missing.to_string().ends_with(said), "{missing}");
    }

    #[test]
    fn tiny_calls_are_bounded_in_number_and_a_giant_one_in_size() {
        let mut reel = Reel::default();
        (0..300_000).for_each(|n| reel.push(&[n as u8], true));
        let (_, tail, missing) = reel.kept();
        assert_eq!((tail.len(), missing.map(|m| m.last)), (TAIL_CALLS_MAX, Some(4_096)));
        call(&mut reel, 7, 1 << 20);
        let (_, tail, missing) = reel.kept();
        assert!((TAIL_BYTES_MAX - 1_000..=TAIL_BYTES_MAX).contains(&tail.len()) && tail[0] == 7);
        let missing = missing.expect("much is");
        assert!(missing.is_cut && missing.last == 1);
        assert!(missing.to_string().ends_with("it has the beginning alone"), "{missing}");
        call(&mut reel, 8, 10);
        let (_, tail, missing) = reel.kept();
        assert_eq!((tail.len(), missing.map(|m| m.is_cut)), (10, Some(false)), "whole again");
    }

    proptest::proptest! {
        #[test]
        fn any_calls_are_kept_within_bounds_and_counted(
            lens in proptest::collection::vec(1..40_000_usize, 0..60),
        ) {
            let mut reel = Reel::default();
            lens.iter().for_each(|len| call(&mut reel, 1, *len));
            let (head, tail, missing) = reel.kept();
            proptest::prop_assert!(head.len() <= HEAD_BYTES_MAX && tail.len() <= TAIL_BYTES_MAX);
            match missing {
                None => {
                    proptest::prop_assert_eq!(head.len() + tail.len(), lens.iter().sum::<usize>());
                }
                Some(Missing { first, between, last, .. }) => {
                    proptest::prop_assert_eq!(first + between + last, lens.len() as u64);
                }
            }
        }
    }
}
