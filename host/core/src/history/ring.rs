//! What is kept in memory only: the newest so many of something, and how far
//! the blocks of a string lay apart lately.

use std::collections::VecDeque;

/// How far the blocks of a string lay apart at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    /// When, ms since 1970.
    pub unix_ms: u64,
    /// Lowest usable block voltage, mV.
    pub min_mv: u16,
    /// Highest usable block voltage, mV.
    pub max_mv: u16,
    /// Worst deviation from target, mV.
    pub worst_mv: i32,
}

impl Spread {
    /// Highest less lowest, mV.
    #[must_use]
    pub const fn width_mv(&self) -> u16 {
        self.max_mv.saturating_sub(self.min_mv)
    }
}

/// The newest so many of something.
#[derive(Clone, Debug)]
pub struct Ring<T> {
    items: VecDeque<T>,
    room: usize,
}

impl<T> Ring<T> {
    /// Room for `room` items; at least one.
    #[must_use]
    pub const fn new(room: usize) -> Self {
        Self { items: VecDeque::new(), room: if room == 0 { 1 } else { room } }
    }

    /// Append; returns the oldest item when it had to go.
    pub fn push(&mut self, item: T) -> Option<T> {
        let dropped = if self.items.len() >= self.room { self.items.pop_front() } else { None };
        self.items.push_back(item);
        dropped
    }

    /// Oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> + ExactSizeIterator {
        self.items.iter()
    }

    /// The oldest item, taken out.
    pub fn pop(&mut self) -> Option<T> {
        self.items.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_ring_drops_the_oldest() {
        let mut ring = Ring::new(2);
        assert_eq!((ring.push(1), ring.push(2), ring.push(3)), (None, None, Some(1)));
        assert_eq!(ring.iter().copied().collect::<Vec<_>>(), [2, 3]);
    }
}
