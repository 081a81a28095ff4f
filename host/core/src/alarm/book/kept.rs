//! The book as it is kept: a version byte, the last id, and each alarm by
//! itself, so that one of a later version costs nothing but itself. The worst
//! come first: when there is not room for all, the least are left out, and
//! are raised anew after a restart.

use super::alarm::{Alarm, Mark, Member, Shelf};
use super::{ALARMS_MAX, Book, FLAPS, MEMBERS_MAX};
use crate::events::Severity;
use serde::{Deserialize, Serialize};

const VERSION: u8 = 1;

/// Why bytes are no book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeptError {
    /// Written by another version.
    #[error("alarms were kept by another version; this one reads {VERSION}")]
    Version,
    /// Cut or garbled.
    #[error("kept alarms are cut or garbled")]
    Malformed,
}

/// A book and what became of it on its way to the disk or back.
#[derive(Clone, Debug, PartialEq)]
pub struct Partly<T> {
    /// What there is.
    pub kept: T,
    /// So many alarms are not in it.
    pub left_out: usize,
}

/// An alarm without what the next look says again.
#[derive(Serialize, Deserialize)]
struct KeptAlarm {
    id: u64,
    kind: String,
    place: String,
    severity: Severity,
    raised_ms: u64,
    round_ms: u64,
    round: u32,
    members: Vec<KeptMember>,
    over_ms: Option<u64>,
    acknowledged: Option<Mark>,
    shelf: Option<Shelf>,
    latching: bool,
    flapping: bool,
    came: Vec<u64>,
}

#[derive(Serialize, Deserialize)]
struct KeptMember {
    place: String,
    /// `None`: the alarm's.
    kind: Option<String>,
    severity: Severity,
    since_ms: u64,
}

impl Book {
    /// The book in at most `bytes_max` bytes.
    #[must_use]
    pub fn encode(&self, bytes_max: usize) -> Partly<Vec<u8>> {
        let mut room = bytes_max.saturating_sub(32);
        let mut alarms: Vec<Vec<u8>> = Vec::new();
        for alarm in self.alarms() {
            let encoded = postcard::to_allocvec(&KeptAlarm::from(alarm)).unwrap_or_default();
            // Its length stands in front of it.
            let Some(left) = room.checked_sub(encoded.len() + 5) else { break };
            room = left;
            alarms.push(encoded);
        }
        let left_out = self.alarms.len() - alarms.len();
        let kept = postcard::to_extend(&(self.last_id, alarms), vec![VERSION]).unwrap_or_default();
        Partly { kept, left_out }
    }

    /// A book from its bytes.
    ///
    /// # Errors
    /// [`KeptError`] when they are none of this version.
    pub fn decode(bytes: &[u8]) -> Result<Partly<Self>, KeptError> {
        let body = match bytes {
            [VERSION, body @ ..] => body,
            [] => return Err(KeptError::Malformed),
            _ => return Err(KeptError::Version),
        };
        let (last_id, alarms): (u64, Vec<Vec<u8>>) =
            postcard::from_bytes(body).map_err(|_| KeptError::Malformed)?;
        let mut book = Self { last_id, ..Self::default() };
        let (mut left_out, mut members) = (0, 0);
        for bytes in alarms {
            let kept = postcard::from_bytes::<KeptAlarm>(&bytes).ok();
            let alarm = kept.and_then(KeptAlarm::alarm).filter(|alarm| {
                members += alarm.members.len();
                members <= MEMBERS_MAX && book.alarms.len() < ALARMS_MAX
            });
            match alarm {
                Some(alarm) => {
                    book.last_id = book.last_id.max(alarm.id);
                    book.alarms.insert(alarm.key(), alarm);
                }
                None => left_out += 1,
            }
        }
        Ok(Partly { kept: book, left_out })
    }
}

impl From<&Alarm> for KeptAlarm {
    fn from(alarm: &Alarm) -> Self {
        let member = |(place, member): (&super::Place, &Member)| KeptMember {
            place: place.to_string(),
            kind: (member.kind != alarm.kind).then(|| member.kind.to_string()),
            severity: member.severity,
            since_ms: member.since_ms,
        };
        Self {
            id: alarm.id,
            kind: alarm.kind.to_string(),
            place: alarm.place.to_string(),
            severity: alarm.severity,
            raised_ms: alarm.raised_ms,
            round_ms: alarm.round_ms,
            round: alarm.round,
            members: alarm.members.iter().map(member).collect(),
            over_ms: alarm.over_ms,
            acknowledged: alarm.acknowledged.clone(),
            shelf: alarm.shelf.clone(),
            latching: alarm.latching,
            flapping: alarm.flapping,
            came: alarm.came.clone(),
        }
    }
}

impl KeptAlarm {
    /// `None` when it is of another version, or no alarm could be so.
    fn alarm(self) -> Option<Alarm> {
        let kind = self.kind.parse().ok()?;
        let members = self.members.into_iter().map(|kept| {
            let kind = kept.kind.map_or(Ok(kind), |kind| kind.parse()).ok()?;
            let (severity, since_ms) = (kept.severity, kept.since_ms);
            let member = Member { kind, severity, since_ms, value: None, limit: None };
            Some((kept.place.parse().ok()?, member))
        });
        Some(Alarm {
            id: self.id,
            kind,
            place: self.place.parse().ok()?,
            severity: self.severity,
            raised_ms: self.raised_ms,
            round_ms: self.round_ms,
            round: self.round,
            members: members.collect::<Option<_>>()?,
            over_ms: self.over_ms,
            acknowledged: self.acknowledged,
            shelf: self.shelf.filter(|_| !kind.is_safety()),
            latching: self.latching,
            flapping: self.flapping,
            came: self.came.into_iter().take(FLAPS).collect(),
            quiet_ms: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{Act, Kind, Now, Place, Standing};
    use super::*;
    use crate::protect::Condition;
    use proptest::prelude::*;

    fn filled(strings: u16) -> Book {
        let mut book = Book::default();
        let lost = Kind::Finding(Condition::ModuleLost);
        let standing =
            |n: u16| Standing::plain(lost, Place::Block(1 + n / 32, 1 + n % 32), Severity::Warning);
        let standing = (0..strings * 32).map(standing).collect();
        book.step(&Now { standing, blind: vec![] }, 1_795_247_521_000);
        let act = Act::Acknowledge { note: "seen".into() };
        book.act(1, None, &act, "ann", 1_795_247_521_000).expect("there");
        book
    }

    #[test]
    fn a_thousand_members_fit_and_come_back() {
        let book = filled(32);
        let bytes = book.encode(256 << 10);
        assert_eq!(bytes.left_out, 0);
        assert!(bytes.kept.len() < 32 * 1_024, "{} bytes", bytes.kept.len());
        let again = Book::decode(&bytes.kept).expect("decodes");
        assert_eq!((again.kept, again.left_out), (book, 0));
    }

    #[test]
    fn what_does_not_fit_is_left_out_and_counted() {
        let book = filled(32);
        let bytes = book.encode(8 << 10);
        assert!(bytes.kept.len() <= 8 << 10 && bytes.left_out > 0);
        let again = Book::decode(&bytes.kept).expect("decodes").kept;
        assert_eq!(again.alarms().len() + bytes.left_out, 32);
        assert_eq!(Book::decode(&[]), Err(KeptError::Malformed));
        assert_eq!(Book::decode(&[9, 9]), Err(KeptError::Version));
        assert_eq!(Book::decode(&[VERSION]), Err(KeptError::Malformed));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), at in 0usize..900) {
            let _ = Book::decode(&bytes);
            let mut damaged = filled(2).encode(256 << 10).kept;
            let at = at % damaged.len();
            damaged[at] = damaged[at].wrapping_add(bytes.len() as u8);
            let _ = Book::decode(&damaged);
            let _ = Book::decode(&damaged[..at]);
        }
    }
}
