//! Giving addresses: somebody walks along the string and presses the button of
//! one module after the other; each gets the next address. A single place is
//! a swap: the new module takes the address of the one that was removed,
//! while all others are scanned.
//!
//! ```text
//!            nobody has it             button            taken
//!   Asking ────────────────▶ Offering ────────▶ Giving ────────▶ next place
//!     ▲ │ in use: refused       │ wrong: refused   │ not taken: refused
//!     └─┴───────────────────────┴──────────────────┘
//! ```
//! Whatever was refused can be tried again at once; nothing was changed.

use super::errand::{Errand, Outcome};
use super::wire::Found;

/// A place that wants a station.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The address that it gets.
    pub address: u16,
    /// The type that belongs there.
    pub type_code: u8,
}

/// Why the present place did not get its station.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A station with that address answers already.
    InUse {
        /// The address.
        address: u16,
    },
    /// The button of another sort of station was pressed.
    WrongType {
        /// Whose button.
        claim: Found,
        /// What belongs there.
        wanted: u8,
    },
    /// This station has already got an address in this run.
    AlreadyAddressed {
        /// Whose button.
        claim: Found,
    },
    /// Two buttons at once: nobody gets it.
    TwoButtons,
    /// The station did not confirm.
    NotConfirmed {
        /// Its serial number.
        serial: u32,
    },
}

impl Refusal {
    /// For people.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::InUse { .. } => "another module answers to this address already",
            Self::WrongType { .. } => "this type of module does not belong here",
            Self::AlreadyAddressed { .. } => "this module has already got its address",
            Self::TwoButtons => "two buttons were pressed at once",
            Self::NotConfirmed { .. } => "the module did not confirm its address",
        }
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// No button was pressed yet.
    Waiting,
    /// A place got its station.
    Addressed {
        /// Its serial number.
        serial: u32,
        /// Its new address.
        address: u16,
    },
    /// Not so.
    Refused(Refusal),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Asking,
    Offering,
    Giving(Found),
}

/// A run of places under way: hand [`Self::errand`] to the master, its
/// outcome to [`Self::take`].
#[derive(Clone, Debug)]
pub struct Commission {
    places: Vec<Place>,
    /// Serial numbers that got an address in this run.
    given: Vec<u32>,
    /// The last of them, as long as its button was not seen released.
    held: Option<u32>,
    next: usize,
    state: State,
}

impl Commission {
    /// For these places, in the order in which the buttons will be pressed.
    #[must_use]
    pub fn new(places: Vec<Place>) -> Self {
        let given = Vec::with_capacity(places.len());
        Self { places, given, held: None, next: 0, state: State::Asking }
    }

    /// Begin with other places; allocates nothing when there were as many before.
    pub fn restart(&mut self, places: impl Iterator<Item = Place>) {
        self.places.clear();
        self.places.extend(places);
        self.given.clear();
        (self.held, self.next, self.state) = (None, 0, State::Asking);
    }

    /// The place that waits for a button; `None` when all have their station.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        self.places.get(self.next).copied()
    }

    /// Places that are done, and all of them.
    #[must_use]
    pub fn count(&self) -> (usize, usize) {
        (self.next, self.places.len())
    }

    /// Leave the present place as it is.
    pub fn skip(&mut self) {
        self.next = self.places.len().min(self.next + 1);
        self.state = State::Asking;
    }

    /// What to ask next; `None` when all is done.
    #[must_use]
    pub fn errand(&self) -> Option<Errand> {
        let Place { address, .. } = self.place()?;
        Some(match self.state {
            State::Asking => Errand::Probe { feed: None, first: address, count: 1 },
            State::Offering => Errand::Offer { address },
            State::Giving(claim) => Errand::Assign { serial: claim.serial, address },
        })
    }

    /// Take the outcome of [`Self::errand`]; any other is ignored.
    pub fn take(&mut self, outcome: &Outcome) -> Option<Progress> {
        let place = self.place()?;
        let (state, progress) = match (self.state, *outcome) {
            (State::Asking, Outcome::Probed { first, answered, garbled, .. })
                if first == place.address =>
            {
                match answered != 0 || garbled {
                    true => {
                        let refusal = Refusal::InUse { address: place.address };
                        (State::Asking, Progress::Refused(refusal))
                    }
                    false => (State::Offering, Progress::Waiting),
                }
            }
            (State::Offering, Outcome::Offered { address, claim, garbled })
                if address == place.address =>
            {
                self.judge(place, claim, garbled)
            }
            (State::Giving(claim), Outcome::Assigned { serial, address, done })
                if serial == claim.serial && address == place.address =>
            {
                if done {
                    self.given.push(serial);
                    self.held = Some(serial);
                    self.next += 1;
                    (State::Asking, Progress::Addressed { serial, address })
                } else {
                    (State::Asking, Progress::Refused(Refusal::NotConfirmed { serial }))
                }
            }
            _ => return None,
        };
        self.state = state;
        Some(progress)
    }

    fn judge(&mut self, place: Place, claim: Option<Found>, garbled: bool) -> (State, Progress) {
        let refused = |refusal| (State::Offering, Progress::Refused(refusal));
        // A finger rests longer on a button than an address takes to be given.
        let still_held = claim.is_some_and(|claim| self.held == Some(claim.serial));
        if !still_held && !garbled {
            self.held = None;
        }
        match claim {
            _ if garbled => refused(Refusal::TwoButtons),
            None => (State::Offering, Progress::Waiting),
            Some(_) if still_held => (State::Offering, Progress::Waiting),
            Some(claim) if self.given.contains(&claim.serial) => {
                refused(Refusal::AlreadyAddressed { claim })
            }
            Some(claim) if claim.type_code != place.type_code => {
                refused(Refusal::WrongType { claim, wanted: place.type_code })
            }
            Some(claim) => (State::Giving(claim), Progress::Waiting),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = Place { address: 17, type_code: 20 };
    const NEW: Found = Found { serial: 5, address: 0, type_code: 20, hardware: 3 };

    fn free(address: u16) -> Outcome {
        Outcome::Probed { feed: None, first: address, answered: 0, garbled: false }
    }

    fn offered(claim: Option<Found>) -> Outcome {
        Outcome::Offered { address: 17, claim, garbled: false }
    }

    fn offering() -> Commission {
        let mut run = Commission::new(vec![PLACE, Place { address: 18, ..PLACE }]);
        assert_eq!(run.take(&free(17)), Some(Progress::Waiting));
        run
    }

    #[test]
    fn a_button_gives_the_address() {
        let mut run = offering();
        assert_eq!(run.take(&offered(None)), Some(Progress::Waiting));
        assert_eq!(run.take(&offered(Some(NEW))), Some(Progress::Waiting));
        assert_eq!(run.errand(), Some(Errand::Assign { serial: 5, address: 17 }));
        let done = Outcome::Assigned { serial: 5, address: 17, done: true };
        assert_eq!(run.take(&done), Some(Progress::Addressed { serial: 5, address: 17 }));
        assert_eq!(run.count(), (1, 2));
        // The finger is still on it.
        run.take(&free(18));
        let offered = |claim| Outcome::Offered { address: 18, claim, garbled: false };
        assert_eq!(run.take(&offered(Some(NEW))), Some(Progress::Waiting));
        // Released, and pressed again.
        assert_eq!(run.take(&offered(None)), Some(Progress::Waiting));
        let refusal = Refusal::AlreadyAddressed { claim: NEW };
        assert_eq!(run.take(&offered(Some(NEW))), Some(Progress::Refused(refusal)));
    }

    #[test]
    fn what_does_not_belong_is_refused() {
        let mut run = offering();
        let other = Found { type_code: 40, ..NEW };
        let refusal = Refusal::WrongType { claim: other, wanted: 20 };
        assert_eq!(run.take(&offered(Some(other))), Some(Progress::Refused(refusal)));
        let two = Outcome::Offered { address: 17, claim: None, garbled: true };
        assert_eq!(run.take(&two), Some(Progress::Refused(Refusal::TwoButtons)));
        run.take(&offered(Some(NEW)));
        let lost = Outcome::Assigned { serial: 5, address: 17, done: false };
        let refusal = Refusal::NotConfirmed { serial: 5 };
        assert_eq!(run.take(&lost), Some(Progress::Refused(refusal)));
        assert_eq!(run.count().0, 0);
    }

    #[test]
    fn an_address_in_use_is_not_offered() {
        let mut run = Commission::new(vec![PLACE]);
        for (answered, garbled) in [(1, false), (0, true)] {
            let taken = Outcome::Probed { feed: None, first: 17, answered, garbled };
            let refusal = Refusal::InUse { address: 17 };
            assert_eq!(run.take(&taken), Some(Progress::Refused(refusal)));
        }
        run.skip();
        assert_eq!((run.errand(), run.place()), (None, None));
        assert_eq!(run.take(&free(17)), None);
    }
}
