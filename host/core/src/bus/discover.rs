//! Discovery: every station on the bus, whatever its address, by its serial
//! number; and what that means for the stations that were configured.
//!
//! A SEARCH asks all whose serial number begins with a prefix; each answers in
//! the slot of its next four bits. Where several share a slot the answers
//! garble each other, so the search goes on in every slot that gave no good
//! answer, with a prefix four bits longer. 512 modules with consecutive
//! numbers take about 130 searches, with random ones about 400.

use super::errand::{Errand, Outcome};
use super::wire::Found;

/// Most stations of a discovery: all addresses, and as many again by half.
pub const FOUND_MAX: usize = 1_920;
/// Prefixes that wait: at most 15 on each of eight levels, and one.
const PENDING_MAX: usize = 15 * 8 + 2;
/// Longest prefix: each slot is one serial number then.
const BITS_MAX: u8 = 28;
/// How often a garbled search with the longest prefix is repeated.
const RETRIES: u8 = 3;
/// Searches after which a line that garbles everything is given up.
const SEARCHES_MAX: u32 = 8_192;
/// Most serial numbers that are listed as not to be told apart.
const UNCLEAR_MAX: usize = 16;

/// A discovery under way: hand [`Self::errand`] to the master, its outcome to
/// [`Self::take`], until [`Self::is_done`].
#[derive(Clone, Debug)]
pub struct Discovery {
    pending: Vec<(u32, u8)>,
    found: Vec<Found>,
    searches: u32,
    retries: u8,
    unclear: Vec<u32>,
    incomplete: bool,
}

impl Default for Discovery {
    fn default() -> Self {
        let mut pending = Vec::with_capacity(PENDING_MAX);
        pending.push((0, 0));
        Self {
            pending,
            found: Vec::with_capacity(FOUND_MAX),
            searches: 0,
            retries: 0,
            unclear: Vec::with_capacity(UNCLEAR_MAX),
            incomplete: false,
        }
    }
}

impl Discovery {
    /// The next search; `None` when all are done.
    #[must_use]
    pub fn errand(&self) -> Option<Errand> {
        self.pending.last().map(|&(prefix, bits)| Errand::Search { prefix, bits })
    }

    /// Take the outcome of [`Self::errand`]; any other is ignored.
    pub fn take(&mut self, outcome: &Outcome) {
        let Outcome::Searched { prefix, bits, found, garbled } = *outcome else { return };
        if self.pending.last() != Some(&(prefix, bits)) {
            return;
        }
        self.searches = self.searches.saturating_add(1);
        for one in found.as_slice() {
            self.add(*one);
        }
        if self.searches >= SEARCHES_MAX {
            self.incomplete |= garbled || self.pending.len() > 1;
            self.pending.clear();
            return;
        }
        if garbled && bits == BITS_MAX && self.retries < RETRIES {
            self.retries += 1;
            return;
        }
        self.retries = 0;
        self.pending.pop();
        if !garbled {
            return;
        }
        let answered = |slot: u32| {
            found.as_slice().iter().any(|f| (f.serial >> (28 - u32::from(bits))) & 0xF == slot)
        };
        for slot in (0..16).rev().filter(|slot| !answered(*slot)) {
            let longer = prefix | slot << (28 - u32::from(bits));
            if bits == BITS_MAX {
                // At least one of these, and something is wrong with it.
                if self.unclear.len() < UNCLEAR_MAX {
                    self.unclear.push(longer);
                }
            } else if self.pending.len() < PENDING_MAX {
                self.pending.push((longer, bits + 4));
            }
        }
    }

    fn add(&mut self, found: Found) {
        match self.found.binary_search_by_key(&found.serial, |f| f.serial) {
            Ok(known) => self.found[known] = found,
            Err(at) if self.found.len() < FOUND_MAX => self.found.insert(at, found),
            Err(_) => self.incomplete = true,
        }
    }

    /// Nothing is left to ask.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.pending.is_empty()
    }

    /// Searches so far.
    #[must_use]
    pub const fn searches(&self) -> u32 {
        self.searches
    }

    /// The stations so far, ascending by serial number.
    #[must_use]
    pub fn found(&self) -> &[Found] {
        &self.found
    }

    /// Serial numbers one of which garbles itself again and again: two
    /// stations have it, or one is broken. At most 16.
    #[must_use]
    pub fn unclear(&self) -> &[u32] {
        &self.unclear
    }

    /// It was given up: more than [`FOUND_MAX`] stations, or a line that
    /// garbles everything.
    #[must_use]
    pub const fn is_incomplete(&self) -> bool {
        self.incomplete
    }
}

/// What a discovery says about one station or one configured address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The right sort at a configured address, alone.
    Present(Found),
    /// The same, but with another hardware revision than the first module's.
    OtherHardware(Found),
    /// Configured, and nobody is there.
    Missing {
        /// Its address.
        address: u16,
        /// The type that should be there.
        type_code: u8,
    },
    /// It has no address yet.
    Unaddressed(Found),
    /// Nobody configured its address.
    Foreign(Found),
    /// Another one has the same address.
    Duplicate(Found),
    /// Something else should be at its address.
    WrongType {
        /// What is there.
        found: Found,
        /// The type that should be there.
        type_code: u8,
    },
}

/// Judge what was found. `expected` are the configured addresses and type
/// codes, ascending by address. The result is in the order of addresses, what
/// has none first.
#[must_use]
pub fn classify(found: &[Found], expected: &[(u16, u8)]) -> Vec<Finding> {
    let mut by_address = found.to_vec();
    by_address.sort_unstable_by_key(|f| (f.address, f.serial));
    let reference = expected
        .first()
        .and_then(|(first, _)| by_address.iter().find(|f| f.address == *first))
        .map(|f| (f.type_code, f.hardware));
    let mut findings: Vec<Finding> = Vec::with_capacity(found.len() + expected.len());
    let mut missing = expected.iter().peekable();
    for group in by_address.chunk_by(|a, b| a.address == b.address) {
        let address = group[0].address;
        while let Some((absent, type_code)) = missing.next_if(|(a, _)| *a < address) {
            findings.push(Finding::Missing { address: *absent, type_code: *type_code });
        }
        let wanted = missing.next_if(|(a, _)| *a == address).map(|(_, type_code)| *type_code);
        findings.extend(group.iter().map(|one| {
            match wanted {
                _ if address == 0 => Finding::Unaddressed(*one),
                _ if group.len() > 1 => Finding::Duplicate(*one),
                None => Finding::Foreign(*one),
                Some(type_code) if type_code != one.type_code => {
                    Finding::WrongType { found: *one, type_code }
                }
                Some(_)
                    if reference
                        .is_some_and(|(sort, hw)| one.type_code == sort && one.hardware != hw) =>
                {
                    Finding::OtherHardware(*one)
                }
                Some(_) => Finding::Present(*one),
            }
        }));
    }
    findings.extend(
        missing.map(|(address, type_code)| Finding::Missing {
            address: *address,
            type_code: *type_code,
        }),
    );
    findings
}

#[cfg(test)]
mod tests {
    use super::super::errand::FoundList;
    use super::super::wire::search_slot;
    use super::*;
    use proptest::prelude::*;

    fn found(serial: u32, address: u16) -> Found {
        Found { serial, address, type_code: 20, hardware: 3 }
    }

    /// What stations with these serial numbers answer.
    fn answer(serials: &[u32], errand: Errand) -> Outcome {
        let Errand::Search { prefix, bits } = errand else { panic!("{errand:?}") };
        let mut slots = [(0, 0); 16];
        for serial in serials {
            if let Some(slot) = search_slot(*serial, prefix, bits) {
                let (count, _) = slots[usize::from(slot)];
                slots[usize::from(slot)] = (count + 1, *serial);
            }
        }
        let mut list = FoundList::default();
        slots.iter().filter(|(n, _)| *n == 1).for_each(|(_, s)| list.push(found(*s, 0)));
        let garbled = slots.iter().any(|(n, _)| *n > 1);
        Outcome::Searched { prefix, bits, found: list, garbled }
    }

    fn discover(serials: &[u32]) -> Discovery {
        let mut discovery = Discovery::default();
        while let Some(errand) = discovery.errand() {
            discovery.take(&answer(serials, errand));
            assert!(discovery.pending.len() < PENDING_MAX);
        }
        discovery
    }

    #[test]
    fn consecutive_numbers_take_few_searches() {
        let serials: Vec<u32> = (100_000..100_512).collect();
        let discovery = discover(&serials);
        assert_eq!(discovery.found().len(), 512);
        assert!(discovery.searches() < 150, "{}", discovery.searches());
    }

    #[test]
    fn a_number_that_exists_twice_is_said_to() {
        let discovery = discover(&[7, 7, 9]);
        assert_eq!(discovery.found(), [found(9, 0)]);
        assert!(discovery.unclear().contains(&7));
    }

    #[test]
    fn findings_are_told_apart() {
        let stations = [
            found(1, 1),
            found(2, 2),
            found(3, 2),
            found(4, 0),
            found(5, 40),
            Found { type_code: 40, ..found(6, 3) },
            Found { hardware: 2, ..found(7, 5) },
        ];
        let expected = [(1, 20), (2, 20), (3, 20), (4, 20), (5, 20), (41, 20)];
        assert_eq!(
            classify(&stations, &expected),
            [
                Finding::Unaddressed(stations[3]),
                Finding::Present(stations[0]),
                Finding::Duplicate(stations[1]),
                Finding::Duplicate(stations[2]),
                Finding::WrongType { found: stations[5], type_code: 20 },
                Finding::Missing { address: 4, type_code: 20 },
                Finding::OtherHardware(stations[6]),
                Finding::Foreign(stations[4]),
                Finding::Missing { address: 41, type_code: 20 },
            ]
        );
    }

    proptest! {
        #[test]
        fn everybody_is_found(serials in proptest::collection::btree_set(any::<u32>(), 0..200)) {
            let serials: Vec<u32> = serials.into_iter().collect();
            let discovery = discover(&serials);
            let got: Vec<u32> = discovery.found().iter().map(|f| f.serial).collect();
            prop_assert_eq!(got, serials);
            prop_assert!(discovery.unclear().is_empty());
        }

        /// A line that garbles everything ends the discovery all the same.
        #[test]
        fn hostile_answers_end(serials in proptest::collection::vec(any::<u32>(), 0..16), garbled: bool) {
            let mut discovery = Discovery::default();
            while let Some(Errand::Search { prefix, bits }) = discovery.errand() {
                let mut list = FoundList::default();
                serials.iter().for_each(|s| list.push(found(*s, 1)));
                discovery.take(&Outcome::Searched { prefix, bits, found: list, garbled });
                prop_assert!(discovery.pending.len() <= PENDING_MAX);
                prop_assert!(discovery.searches() <= SEARCHES_MAX);
            }
        }
    }
}
