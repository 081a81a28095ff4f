//! Where the bus cable is broken: to the pair of stations.
//!
//! # Terms
//! A *loop* is a cable that leaves the converter at end A and passes station
//! after station. A *ring* comes back to end B: one break turns it into two
//! lines and silences nobody, so it is found by feeding one end at a time. A
//! *line* does not come back: a break silences all behind it at once
//! (facts/battery-science.md §1.1). A [`Spot`] is the piece of cable between
//! two stations, or between a station and the converter.

use super::errand::{Errand, Outcome};
use super::wire::Ends;
use serde::{Deserialize, Serialize};

/// Scans in a row before a silence or an open ring counts.
pub const DEBOUNCE: u32 = 3;
/// Stations that one probe asks: short enough for the rest of a full cycle.
const PROBE: usize = 16;
/// Each end is asked so often: a disturbed answer is no break.
const ROUNDS: u8 = 2;

/// A piece of cable, by the stations at its ends in cable order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spot {
    /// Address on the side of end A; `None` is the converter itself.
    pub after: Option<u16>,
    /// Address on the side of end B; `None` is the converter itself.
    pub before: Option<u16>,
}

impl Spot {
    /// The piece before the station of that place in the loop.
    fn at(order: &[u16], place: usize) -> Self {
        let after = place.checked_sub(1).and_then(|p| order.get(p)).copied();
        Self { after, before: order.get(place).copied() }
    }
}

/// How a loop is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cable {
    /// Nothing is wrong.
    Whole,
    /// One break; in a ring all stations still answer.
    Broken(Spot),
    /// The stations between these two cannot be reached: two breaks, or one
    /// and dead stations beside it.
    Cut {
        /// The break nearest to end A.
        first: Spot,
        /// The break nearest to end B.
        last: Spot,
        /// Stations between.
        unreachable: u16,
    },
    /// Answers contradict each other: a loose contact.
    Unclear,
    /// The last station of a line is silent, alone: it or its cable.
    LastSilent(Spot),
}

/// Judge a ring from the stations that answered, in cable order, when only
/// end A and when only end B was fed. Dead stations within reach do not count.
#[must_use]
pub fn locate_in_ring(order: &[u16], from_a: &[bool], from_b: &[bool]) -> Cable {
    let count = order.len();
    // So many stations from end A are reached from A; from this one on, from B.
    let reach_a = from_a.iter().rposition(|yes| *yes).map_or(0, |last| last + 1).min(count);
    let reach_b = from_b.iter().position(|yes| *yes).unwrap_or(count).min(count);
    if count == 0 || (reach_a == count && reach_b == 0) {
        Cable::Whole
    } else if reach_a == reach_b {
        Cable::Broken(Spot::at(order, reach_a))
    } else if reach_a < reach_b {
        Cable::Cut {
            first: Spot::at(order, reach_a),
            last: Spot::at(order, reach_b),
            unreachable: (reach_b - reach_a) as u16,
        }
    } else {
        Cable::Unclear
    }
}

/// Judge a line from the READs in a row that each station, in cable order,
/// did not answer.
#[must_use]
pub fn locate_in_line(order: &[u16], missed: &[u32]) -> Cable {
    let silent = |m: &&u32| **m >= DEBOUNCE;
    let tail = missed.iter().rev().take_while(silent).count().min(order.len());
    let head = order.len() - tail;
    let spot = Spot::at(order, head);
    match missed.get(head..).unwrap_or_default() {
        [] => Cable::Whole,
        [_] if order.len() > 1 => Cable::LastSilent(spot),
        [_] => Cable::Broken(spot),
        // A break silences its neighbours at once; modules that died one after
        // the other are dead modules.
        [first, second, ..] if first.abs_diff(*second) <= 1 => Cable::Broken(spot),
        _ => Cable::Unclear,
    }
}

/// A ring being looked at: hand [`Self::errand`] to the master, its outcome to
/// [`Self::take`], until [`Self::verdict`].
#[derive(Clone, Debug)]
pub struct RingCheck {
    panel: u16,
    order: Vec<u16>,
    from_a: Vec<bool>,
    from_b: Vec<bool>,
    ends: Ends,
    round: u8,
    next: usize,
}

impl RingCheck {
    /// For the ring behind that panel, its stations in cable order.
    #[must_use]
    pub fn new(panel: u16, order: Vec<u16>) -> Self {
        let (from_a, from_b) = (vec![false; order.len()], vec![false; order.len()]);
        Self { panel, order, from_a, from_b, ends: Ends::A, round: 0, next: 0 }
    }

    /// Look again; allocates nothing.
    pub fn restart(&mut self) {
        self.from_a.fill(false);
        self.from_b.fill(false);
        (self.ends, self.round, self.next) = (Ends::A, 0, 0);
    }

    /// The next probe; `None` when there is a verdict.
    #[must_use]
    pub fn errand(&self) -> Option<Errand> {
        let (first, count) = self.run()?;
        Some(Errand::Probe { feed: Some((self.panel, self.ends)), first, count })
    }

    /// Addresses that the next probe asks: a rising or falling run.
    fn run(&self) -> Option<(u16, u8)> {
        let run = self.run_len();
        let places = self.order.get(self.next..self.next + run)?;
        let first = *places.iter().min()?;
        Some((first, run as u8))
    }

    fn run_len(&self) -> usize {
        let rest = self.order.get(self.next..).unwrap_or_default();
        let run = |step: i32| {
            let follows = |pair: &&[u16]| i32::from(pair[1]) - i32::from(pair[0]) == step;
            1 + rest.windows(2).take_while(follows).count()
        };
        run(1).max(run(-1)).min(PROBE).min(rest.len())
    }

    /// Take the outcome of [`Self::errand`]; any other is ignored.
    pub fn take(&mut self, outcome: &Outcome) {
        let Outcome::Probed { feed, first, answered, .. } = *outcome else { return };
        let run = self.run_len();
        let asked = self.run().map(|(first, _)| first);
        if feed != Some((self.panel, self.ends)) || asked != Some(first) {
            return;
        }
        let reached = if self.ends == Ends::A { &mut self.from_a } else { &mut self.from_b };
        let asked = self.order.iter().zip(reached).skip(self.next).take(run);
        for (address, reached) in asked {
            let bit = u32::from(address - first);
            *reached |= answered.checked_shr(bit).unwrap_or(0) & 1 == 1;
        }
        self.next += run;
        if self.next < self.order.len() {
            return;
        }
        self.round += 1;
        if self.round < ROUNDS {
            self.next = 0;
        } else if self.ends == Ends::A {
            (self.ends, self.round, self.next) = (Ends::B, 0, 0);
        }
    }

    /// How the ring is, once every station was asked from both ends.
    #[must_use]
    pub fn verdict(&self) -> Option<Cable> {
        let is_done = self.next >= self.order.len();
        is_done.then(|| locate_in_ring(&self.order, &self.from_a, &self.from_b))
    }
}

/// Debounces what a panel says about its ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingWatch {
    run: u32,
    is_open: bool,
}

impl RingWatch {
    /// One scan: the panel finds its ring open (or closed, or was not heard).
    /// True once per change to open, when a [`RingCheck`] is worth its time.
    pub fn step(&mut self, open: Option<bool>) -> bool {
        match open {
            None => return false,
            Some(open) if open == self.is_open => self.run = 0,
            Some(_) => self.run += 1,
        }
        if self.run < DEBOUNCE {
            return false;
        }
        self.run = 0;
        self.is_open = !self.is_open;
        self.is_open
    }

    /// The ring is open.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.is_open
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ORDER: [u16; 6] = [10, 11, 12, 13, 14, 15];

    fn reach(range: std::ops::Range<usize>) -> Vec<bool> {
        (0..ORDER.len()).map(|i| range.contains(&i)).collect()
    }

    #[test]
    fn a_break_in_a_ring_is_located_at_each_position() {
        for at in 0..=6 {
            let cable = locate_in_ring(&ORDER, &reach(0..at), &reach(at..6));
            let after = at.checked_sub(1).map(|p| ORDER[p]);
            let before = ORDER.get(at).copied();
            assert_eq!(cable, Cable::Broken(Spot { after, before }));
        }
        assert_eq!(locate_in_ring(&ORDER, &reach(0..6), &reach(0..6)), Cable::Whole);
    }

    #[test]
    fn two_breaks_enclose_the_unreachable() {
        let cable = locate_in_ring(&ORDER, &reach(0..2), &reach(5..6));
        let first = Spot { after: Some(11), before: Some(12) };
        let last = Spot { after: Some(14), before: Some(15) };
        assert_eq!(cable, Cable::Cut { first, last, unreachable: 3 });
        assert_eq!(locate_in_ring(&ORDER, &reach(0..4), &reach(2..6)), Cable::Unclear);
    }

    #[test]
    fn a_dead_module_is_no_break() {
        let mut alive = reach(0..6);
        alive[3] = false;
        assert_eq!(locate_in_ring(&ORDER, &alive, &alive), Cable::Whole);
        assert_eq!(locate_in_line(&ORDER, &[0, 0, 9, 0, 0, 0]), Cable::Whole);
    }

    #[test]
    fn a_line_loses_its_tail_at_once() {
        let spot = |at| Spot::at(&ORDER, at);
        assert_eq!(locate_in_line(&ORDER, &[0, 0, 4, 4, 5, 4]), Cable::Broken(spot(2)));
        assert_eq!(locate_in_line(&ORDER, &[0, 0, 2, 2, 2, 2]), Cable::Whole, "too early");
        assert_eq!(locate_in_line(&ORDER, &[3; 6]), Cable::Broken(spot(0)));
        assert_eq!(locate_in_line(&ORDER, &[0, 0, 0, 0, 0, 8]), Cable::LastSilent(spot(5)));
        assert_eq!(locate_in_line(&ORDER, &[0, 0, 0, 0, 5, 80]), Cable::Unclear);
        // One was dead before the cable broke.
        assert_eq!(locate_in_line(&ORDER, &[0, 3, 3, 3, 800, 3]), Cable::Broken(spot(1)));
    }

    #[test]
    fn an_open_ring_is_believed_after_three_scans_and_told_once() {
        let mut watch = RingWatch::default();
        let told: Vec<bool> = [Some(true), Some(true), None, Some(true), Some(true)]
            .into_iter()
            .map(|open| watch.step(open))
            .collect();
        assert_eq!(told, [false, false, false, true, false]);
        assert!(watch.is_open());
        for _ in 0..3 {
            assert!(!watch.step(Some(false)));
        }
        assert!(!watch.is_open());
    }

    proptest! {
        /// Any cable order, any break: the probes find it.
        #[test]
        fn probes_find_the_break(count in 1usize..60, at in 0usize..60, backwards: bool) {
            let at = at.min(count);
            let mut order: Vec<u16> = (100..100 + count as u16).collect();
            if backwards { order.reverse(); }
            let mut check = RingCheck::new(1_025, order.clone());
            while let Some(Errand::Probe { feed, first, count }) = check.errand() {
                let side = if feed == Some((1_025, Ends::A)) { &order[..at] } else { &order[at..] };
                let reached = side.iter().filter(|a| (first..first + u16::from(count)).contains(a));
                let answered = reached.fold(0, |bits, a| bits | 1u64 << (a - first));
                check.take(&Outcome::Probed { feed, first, answered, garbled: false });
            }
            prop_assert_eq!(check.verdict(), Some(Cable::Broken(Spot::at(&order, at))));
        }

        #[test]
        fn anything_is_a_verdict(a in proptest::collection::vec(any::<bool>(), 0..9), b in proptest::collection::vec(any::<bool>(), 0..9), missed in proptest::collection::vec(any::<u32>(), 0..9)) {
            let _ = locate_in_ring(&ORDER, &a, &b);
            let _ = locate_in_line(&ORDER, &missed);
        }
    }
}
