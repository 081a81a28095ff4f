//! Errands: the odd jobs on the bus, one at a time, in the time that a cycle
//! has left after readings and duties ([`super::master::Master::errand`]).

use super::timing::Timing;
use super::wire::{Ends, Found, Led, Request, Resistance, SEARCH_SLOTS};
use crate::time::Nanos;

/// Most stations of an [`Errand::Probe`].
pub const PROBE_MAX: u8 = 64;
/// A panel that hears nothing more feeds both ends again after so long.
const FEED_HOLD_DS: u8 = 20;

/// An odd job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errand {
    /// Let a module measure its block's resistance, and wait for the result.
    Measure {
        /// Bus address, 1 … 1,024.
        address: u16,
    },
    /// Whose serial number begins so?
    Search {
        /// The upper `bits` bits; the others are 0.
        prefix: u32,
        /// 0, 4, 8 … 28.
        bits: u8,
    },
    /// Whose button was pressed?
    Offer {
        /// The address that would be given.
        address: u16,
    },
    /// Give an address.
    Assign {
        /// Serial number.
        serial: u32,
        /// 1 … 1,279, or 0: be as from the factory.
        address: u16,
    },
    /// Let a station, or all ([`super::wire::BROADCAST`]), show something.
    Led {
        /// Bus address.
        address: u16,
        /// What to show.
        pattern: Led,
        /// For so many seconds.
        hold_s: u8,
    },
    /// Ask who is there; if ordered, with only these ends of the ring fed, and
    /// both again afterwards. Within one cycle, after its readings: nobody is
    /// ever missed because of it.
    Probe {
        /// Address of the panel and the ends to feed meanwhile.
        feed: Option<(u16, Ends)>,
        /// First address asked.
        first: u16,
        /// How many are asked, 1 … [`PROBE_MAX`].
        count: u8,
    },
}

/// The result of an errand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Of [`Errand::Measure`].
    Measured {
        /// Bus address.
        address: u16,
        /// µΩ, or why not.
        result: Result<u32, MeasureFault>,
    },
    /// Of [`Errand::Search`].
    Searched {
        /// What was asked.
        prefix: u32,
        /// What was asked.
        bits: u8,
        /// Who answered.
        found: FoundList,
        /// Bytes came that were no answer: several in one slot.
        garbled: bool,
    },
    /// Of [`Errand::Offer`].
    Offered {
        /// What was asked.
        address: u16,
        /// Whose button was pressed.
        claim: Option<Found>,
        /// Bytes came that were no answer: several buttons at once.
        garbled: bool,
    },
    /// Of [`Errand::Assign`].
    Assigned {
        /// What was asked.
        serial: u32,
        /// What was asked.
        address: u16,
        /// The station took it.
        done: bool,
    },
    /// Of [`Errand::Led`].
    Shown {
        /// What was asked.
        address: u16,
    },
    /// Of [`Errand::Probe`].
    Probed {
        /// What was asked.
        feed: Option<(u16, Ends)>,
        /// What was asked.
        first: u16,
        /// Bit i: the station with address `first + i` answered.
        answered: u64,
        /// Bytes came that were no answer: several with one address.
        garbled: bool,
    },
}

/// Why there is no resistance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MeasureFault {
    /// The module does not answer.
    Silent,
    /// The module could not measure.
    Failed,
    /// The module did not finish in [`MEASURE_PATIENCE`].
    TooLong,
}

/// A module measures for about 2 s, pausing while samples are taken.
pub const MEASURE_PATIENCE: Nanos = Nanos::from_secs(15);

/// Another errand is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("another errand is under way")]
pub struct Busy;

/// Stations found by one search: at most one per slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FoundList {
    found: [Found; SEARCH_SLOTS as usize],
    len: u8,
}

impl FoundList {
    /// The stations.
    #[must_use]
    pub fn as_slice(&self) -> &[Found] {
        &self.found[..usize::from(self.len)]
    }

    /// Add one; a full list stays as it is, the same one twice is one.
    pub(super) fn push(&mut self, found: Found) {
        if self.as_slice().contains(&found) {
            return;
        }
        if let Some(free) = self.found.get_mut(usize::from(self.len)) {
            *free = found;
            self.len += 1;
        }
    }
}

/// An errand under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Job {
    pub errand: Errand,
    pub stage: Stage,
    /// When its first request went out.
    pub began: Option<Nanos>,
    pub found: FoundList,
    pub garbled: bool,
    pub resistance: Option<Resistance>,
    pub answered: u64,
}

/// How far an errand is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The first request is due.
    First,
    /// Measure: asking how it stands, in later cycles.
    Again,
    /// Probe: IDENTIFY is due.
    Ask,
    /// Probe: both ends again.
    Restore,
}

impl Job {
    pub const fn new(errand: Errand) -> Self {
        let stage = match errand {
            Errand::Probe { feed: None, .. } => Stage::Ask,
            _ => Stage::First,
        };
        Self {
            errand,
            stage,
            began: None,
            found: FoundList { found: [NOBODY; SEARCH_SLOTS as usize], len: 0 },
            garbled: false,
            resistance: None,
            answered: 0,
        }
    }

    /// The request that is due.
    pub fn request(&self) -> Request<'static> {
        match self.errand {
            Errand::Measure { address } => {
                Request::Measure { address, start: self.stage == Stage::First }
            }
            Errand::Search { prefix, bits } => Request::Search { prefix, bits },
            Errand::Offer { address } => Request::Offer { address },
            Errand::Assign { serial, address } => Request::Assign { serial, address },
            Errand::Led { address, pattern, hold_s } => Request::Led { address, pattern, hold_s },
            Errand::Probe { feed, first, count } => match (self.stage, feed) {
                (Stage::First, Some((address, ends))) => {
                    Request::Feed { address, ends, hold_ds: FEED_HOLD_DS }
                }
                (Stage::Restore, Some((address, _))) => {
                    Request::Feed { address, ends: Ends::Both, hold_ds: FEED_HOLD_DS }
                }
                _ => Request::Identify { first, count: count.clamp(1, PROBE_MAX) },
            },
        }
    }

    /// Line time of the request that is due and of its replies.
    pub fn time(&self, timing: &Timing) -> Nanos {
        match self.errand {
            Errand::Measure { .. } => timing.measure(),
            Errand::Search { .. } => timing.search(),
            Errand::Offer { .. } => timing.offer(),
            Errand::Assign { .. } => timing.assign(),
            Errand::Led { .. } => timing.led(),
            Errand::Probe { count, .. } if self.stage == Stage::Ask => {
                timing.identify(count.clamp(1, PROBE_MAX).into())
            }
            Errand::Probe { .. } => timing.feed(),
        }
    }

    /// The request that is due is answered, so that the line has to be listened to.
    pub fn expects_replies(&self) -> bool {
        match self.errand {
            Errand::Led { .. } => false,
            Errand::Probe { .. } => self.stage == Stage::Ask,
            _ => true,
        }
    }

    /// Time that must be left in a cycle to go on, patience included: what is
    /// begun in a cycle and must not be interrupted is counted to its end.
    pub fn needs(&self, timing: &Timing) -> Nanos {
        let slack = timing.slack;
        match self.errand {
            Errand::Led { .. } => self.time(timing),
            Errand::Probe { count, .. } if self.stage == Stage::First => {
                let ask = timing.identify(count.clamp(1, PROBE_MAX).into());
                timing.feed() + ask + slack + timing.feed()
            }
            // Once a ring end is off, it must come back whatever it costs.
            Errand::Probe { feed: Some(_), .. } => Nanos(0),
            _ => self.time(timing) + slack,
        }
    }

    /// It goes on where it was when a cycle ends, instead of beginning anew.
    pub fn spans_cycles(&self) -> bool {
        matches!(self.errand, Errand::Measure { .. })
    }

    /// Every answer that can come has come.
    pub fn is_answered(&self) -> bool {
        match self.errand {
            Errand::Measure { .. } => self.resistance.is_some(),
            Errand::Assign { .. } => !self.found.as_slice().is_empty(),
            Errand::Probe { count, .. } => {
                self.answered.count_ones() >= u32::from(count.clamp(1, PROBE_MAX))
            }
            _ => false,
        }
    }

    /// After the replies to the present request, or their absence.
    pub fn advance(&mut self, now: Nanos) -> Option<Outcome> {
        match self.errand {
            Errand::Measure { address } => {
                let waited = now.since(self.began.unwrap_or(now));
                let result = match self.resistance.take() {
                    Some(Resistance::Done(micro_ohm)) if self.stage == Stage::Again => {
                        Ok(micro_ohm)
                    }
                    Some(Resistance::Failed) if self.stage == Stage::Again => {
                        Err(MeasureFault::Failed)
                    }
                    None if waited > MEASURE_PATIENCE => Err(MeasureFault::Silent),
                    _ if waited > MEASURE_PATIENCE => Err(MeasureFault::TooLong),
                    // A start that was not acknowledged is given again.
                    None => return None,
                    Some(_) => {
                        self.stage = Stage::Again;
                        return None;
                    }
                };
                Some(Outcome::Measured { address, result })
            }
            Errand::Search { prefix, bits } => {
                Some(Outcome::Searched { prefix, bits, found: self.found, garbled: self.garbled })
            }
            Errand::Offer { address } => {
                let claim = match self.found.as_slice() {
                    [one] if !self.garbled => Some(*one),
                    _ => None,
                };
                let garbled = self.garbled || self.found.as_slice().len() > 1;
                Some(Outcome::Offered { address, claim, garbled })
            }
            Errand::Assign { serial, address } => {
                let wanted = |f: &Found| f.serial == serial && f.address == address;
                let done = self.found.as_slice().iter().any(wanted);
                Some(Outcome::Assigned { serial, address, done })
            }
            Errand::Led { address, .. } => Some(Outcome::Shown { address }),
            Errand::Probe { feed, first, .. } => {
                self.stage = match (self.stage, feed) {
                    (Stage::First, _) => Stage::Ask,
                    (Stage::Ask, Some(_)) => Stage::Restore,
                    _ => {
                        let Self { answered, garbled, .. } = *self;
                        return Some(Outcome::Probed { feed, first, answered, garbled });
                    }
                };
                None
            }
        }
    }
}

const NOBODY: Found = Found { serial: 0, address: 0, type_code: 0, hardware: 0 };
