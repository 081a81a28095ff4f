//! What goes wrong between a driver and its device, and what a driver owes
//! while it lasts ([`Owes`]).

use std::fmt;

use super::notation::{Pattern, write_digits};
use super::split_mix;

/// What is wrong. The way to the device decides which of them can happen; the
/// others are no fault to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// It says nothing: no reply, no report; no contact can be read.
    Silent,
    /// Each reply comes when the next request has been sent, each report a poll
    /// later.
    Late,
    /// What it says arrives with damage.
    Damaged(At, Damage),
    /// A stream brings one byte at a time.
    Pieces,
    /// Nobody takes the connection, and those that stood have ended; the guard
    /// refuses to switch.
    Refused,
    /// The peer ends the connection after so many bytes of its answer.
    Closed(At, usize),
    /// The USB device is gone.
    Unplugged,
    /// The device behind this contact or signal does not answer.
    Unknown(String),
    /// This contact or signal was read an hour ago.
    Stale(String),
    /// This contact is the other way round at every second reading.
    Bounces(String),
}

/// Which answers a fault strikes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// All.
    Every,
    /// Those to a request.
    Request(Pattern),
    /// Those that are this report of a USB device.
    Report(Vec<u8>),
}

/// What becomes of the bytes of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Only so many arrive.
    Cut(usize),
    /// The one at this place is missing.
    Lost(usize),
    /// At this place this bit is the other one.
    Flipped(usize, u8),
    /// A few neighbours are noise, by this seed.
    Burst(u64),
    /// These come instead.
    Instead(Vec<u8>),
}

/// What a driver owes while a fault lasts. When it is over, everything comes
/// back within [`POLLS`](super::POLLS) polls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owes {
    /// Everything as if nothing were wrong: the same points, the same outcomes
    /// of commands, nothing lost.
    Values,
    /// The loss of the device, said once, with the host's words for who does
    /// not answer where the way has some; no values.
    Loss,
    /// Doubt, said aloud: the device is lost or a point is bad; and [`Truth`](Self::Truth).
    Doubt,
    /// No value but those that the sound exchange gives, unless it is bad.
    Truth,
    /// Known points and finite numbers: the protocol cannot see this damage.
    Sanity,
}

impl Fault {
    /// Replies to `request` are always `reply`.
    #[must_use]
    pub fn replace(request: &[u8], reply: &[u8]) -> Self {
        Self::Damaged(At::Request(Pattern::exactly(request)), Damage::Instead(reply.to_vec()))
    }

    /// What arrives of the `answer` to `request`. `late` is kept from call to call.
    pub(super) fn arrival(
        &self,
        request: &[u8],
        late: &mut Option<Vec<u8>>,
        answer: impl FnOnce() -> Option<Vec<u8>>,
    ) -> Arrival {
        let mut arrival = Arrival { bytes: None, is_end: false, is_struck: false };
        match self {
            Self::Silent => {}
            Self::Late => arrival.bytes = std::mem::replace(late, answer()),
            Self::Damaged(at, damage) if at.is_to(request) => {
                arrival.bytes = damage.of(answer());
                arrival.is_struck = true;
            }
            Self::Closed(at, after) if at.is_to(request) => {
                arrival.bytes = Damage::Cut(*after).of(answer());
                (arrival.is_end, arrival.is_struck) = (true, true);
            }
            _ => arrival.bytes = answer(),
        }
        arrival
    }

    /// What arrives of a report.
    pub(super) fn report(&self, sound: Vec<u8>) -> Vec<u8> {
        match self {
            Self::Damaged(At::Report(hit), damage) if *hit == sound => {
                damage.of(Some(sound)).unwrap_or_default()
            }
            _ => sound,
        }
    }

    /// True when the contact or signal `name` cannot be read.
    pub(super) fn hides(&self, name: &str) -> bool {
        matches!(self, Self::Silent) || matches!(self, Self::Unknown(hidden) if hidden == name)
    }
}

/// What arrives of an answer.
pub(super) struct Arrival {
    /// The bytes; `None` is silence.
    pub(super) bytes: Option<Vec<u8>>,
    /// The connection ends behind them.
    pub(super) is_end: bool,
    /// A fault that strikes some answers struck this one.
    pub(super) is_struck: bool,
}

impl At {
    fn is_to(&self, request: &[u8]) -> bool {
        match self {
            Self::Every => true,
            Self::Request(pattern) => pattern.matches(request),
            Self::Report(_) => false,
        }
    }
}

impl Damage {
    /// What is left of `answer`.
    pub(super) fn of(&self, answer: Option<Vec<u8>>) -> Option<Vec<u8>> {
        if let Self::Instead(bytes) = self {
            return Some(bytes.clone());
        }
        let mut bytes = answer?;
        match self {
            Self::Cut(len) => bytes.truncate(*len),
            Self::Lost(at) if *at < bytes.len() => drop(bytes.remove(*at)),
            Self::Flipped(at, bit) => {
                bytes.iter_mut().skip(*at).take(1).for_each(|b| *b ^= 1 << bit)
            }
            Self::Burst(seed) if !bytes.is_empty() => burst(&mut bytes, *seed),
            Self::Lost(_) | Self::Burst(_) | Self::Instead(_) => {}
        }
        Some(bytes)
    }

    /// Every kind of it that can befall an answer of `len` bytes, those that it
    /// survives in no form first.
    pub(super) fn all(len: usize) -> impl Iterator<Item = Self> {
        let cut = (0..len).map(Self::Cut);
        let flipped = (0..len).flat_map(|at| (0..8).map(move |bit| Self::Flipped(at, bit)));
        cut.chain(flipped).chain((0..len).map(Self::Lost)).chain((0..BURSTS).map(Self::Burst))
    }
}

/// Bursts that each answer is tried with.
const BURSTS: u64 = 200;

/// A few neighbouring bytes are replaced, as a spike on the line does.
fn burst(bytes: &mut [u8], seed: u64) {
    let mut state = seed;
    let mut random = move || split_mix(&mut state);
    let start = random() as usize % bytes.len();
    let end = (start + 1 + random() as usize % 6).min(bytes.len());
    bytes[start..end].iter_mut().for_each(|byte| *byte = random() as u8);
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("no fault"),
            Self::Silent => f.write_str("silence"),
            Self::Late => f.write_str("answers that come late"),
            Self::Damaged(at, damage) => write!(f, "{at} {damage}"),
            Self::Pieces => f.write_str("answers in pieces"),
            Self::Refused => f.write_str("refusal"),
            Self::Closed(at, after) => write!(f, "{at} and the end after {after} bytes"),
            Self::Unplugged => f.write_str("an unplugged device"),
            Self::Unknown(name) => write!(f, "the unknown {name}"),
            Self::Stale(name) => write!(f, "the stale {name}"),
            Self::Bounces(name) => write!(f, "the bouncing {name}"),
        }
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every => f.write_str("every answer"),
            Self::Request(request) => write!(f, "the answer to {request}"),
            Self::Report(report) => write!(f, "the report {}", write_digits(report)),
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut(len) => write!(f, "cut after {len} bytes"),
            Self::Lost(at) => write!(f, "without byte {at}"),
            Self::Flipped(at, bit) => write!(f, "with bit {bit} of byte {at} flipped"),
            Self::Burst(seed) => write!(f, "with burst {seed}"),
            Self::Instead(bytes) => write!(f, "replaced by {}", super::write_bytes(bytes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bursts_are_reproducible_and_change_something() {
        let sound = b"(208.4 1\r".to_vec();
        let burst = |seed| Damage::Burst(seed).of(Some(sound.clone()));
        assert_eq!(burst(7), burst(7));
        assert!((0..20).any(|seed| burst(seed).as_ref() != Some(&sound)));
    }

    #[test]
    fn damage_strikes_where_it_is_meant_and_nowhere_else() {
        let answer = || Some(b"abc".to_vec());
        let mut late = None;
        let mut arrives = |fault: &Fault, request: &[u8]| {
            let arrival = fault.arrival(request, &mut late, answer);
            (arrival.bytes, arrival.is_end, arrival.is_struck)
        };
        let to = |request: &[u8]| At::Request(Pattern::exactly(request));
        let cut = Fault::Damaged(to(b"?"), Damage::Cut(1));
        assert_eq!(arrives(&cut, b"?"), (Some(b"a".to_vec()), false, true));
        assert_eq!(arrives(&cut, b"!"), (answer(), false, false));
        let closed = Fault::Closed(At::Every, 2);
        assert_eq!(arrives(&closed, b"!"), (Some(b"ab".to_vec()), true, true));
        assert_eq!(arrives(&Fault::Late, b"1"), (None, false, false));
        assert_eq!(arrives(&Fault::Late, b"2"), (answer(), false, false));
        assert_eq!(arrives(&Fault::Silent, b"2").0, None);
        assert_eq!(Damage::Lost(1).of(answer()), Some(b"ac".to_vec()));
        assert_eq!(Damage::Flipped(0, 1).of(answer()), Some(b"cbc".to_vec()));
        assert_eq!(Damage::Flipped(9, 1).of(answer()), answer());
        assert_eq!(Damage::Instead(b"x".to_vec()).of(None), Some(b"x".to_vec()));
    }
}
