//! Keyrings: one that a person brings, and the one of an image that proved
//! itself. Whoever's key is taken back by it signs no firmware any more, and
//! what runs here is never among that.

use super::{Desk, DeskError, IDENTITY, open};
use crate::keeper::install::read_header;
use crate::keeper::lock;
use crate::{keyring, log};
use evenkeel_signing::Trust;
use evenkeel_signing::slot::header::HEADER_LEN;
use evenkeel_signing::slot::ring::RING_LEN_MAX;
use evenkeel_signing::slot::{Event, Forbidden, Header, Slot, SlotState};
use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Mutex;

/// Where the daemon finds the keyring in force.
const SHOWN: &str = "/run/evenkeel/keyring.evkk";

/// Take the keyring of `length` bytes from `input` into force. `now_unix_s`: the
/// date in seconds since 1970 UTC, where it is known.
///
/// # Errors
/// [`DeskError`]; the one before is in force then.
pub fn accept(
    desk: &Mutex<Desk>,
    input: &mut impl Read,
    length: u32,
    now_unix_s: Option<u64>,
) -> Result<(), DeskError> {
    let read = |what: &'static str| move |source| DeskError::System { what, source };
    let length = length as usize;
    if length > RING_LEN_MAX {
        let error = io::Error::other(format!("it has {length} bytes of {RING_LEN_MAX}"));
        return Err(read("read the keyring")(error));
    }
    let mut raw = vec![0; length];
    // Waits for the sender: not while the desk is locked.
    input.read_exact(&mut raw).map_err(read("read the keyring"))?;
    lock(desk).take(&raw, now_unix_s)
}

impl Desk {
    fn take(&mut self, raw: &[u8], now_unix_s: Option<u64>) -> Result<(), DeskError> {
        let mut trust = self.identity.trust.clone();
        trust.accept_keyring(raw, now_unix_s).map_err(DeskError::Keyring)?;
        let runs = header(self.slot).is_some_and(|bytes| is_trusted(&bytes, &trust));
        if !runs {
            return Err(DeskError::RevokesRunning);
        }
        self.put_in_force(raw, trust)
    }

    /// The image's own keyring outlives it, once it proved itself.
    pub(super) fn adopt(&mut self) {
        let Ok(raw) = fs::read(Path::new(IDENTITY).join("keyring.evkk")) else { return };
        let own = self.identity.trust.clone();
        let sequence = own.keyring().map_or(0, |own| own.sequence);
        if !is_to_be_kept(sequence, self.state.record().keyring, self.keyring.is_some()) {
            return show(&raw);
        }
        if let Err(error) = self.put_in_force(&raw, own) {
            log::say(&format!("the image's keyring is not kept: {}", log::chain(&error)));
        }
    }

    /// Keep the keyring `raw`, with which whom we trust is `trust`.
    fn put_in_force(&mut self, raw: &[u8], trust: Trust) -> Result<(), DeskError> {
        let Some(sequence) = trust.keyring().map(|keyring| keyring.sequence) else { return Ok(()) };
        let revokes_other = self.revokes_other(&trust);
        let event = Event::Keyring { sequence, revokes_other };
        if self.state.record().step(event) == Err(Forbidden::NotGood) {
            return Err(DeskError::RevokesWayBack);
        }
        let cannot = |source| DeskError::System { what: "keep the keyring", source };
        keyring::keep(&self.place, raw, self.keyring.as_deref()).map_err(cannot)?;
        self.keyring = Some(raw.to_vec());
        self.state.step(event)?;
        self.identity.trust = trust;
        if revokes_other {
            // What is being taken in was signed by a key that is gone.
            self.install = None;
            log::say(&format!("slot {} does not start any more", self.slot.other()));
        }
        log::say(&format!("keyring {sequence} is in force"));
        show(raw);
        Ok(())
    }

    /// Whether the other slot's header counted before and does not with `trust`.
    fn revokes_other(&self, trust: &Trust) -> bool {
        let other = self.slot.other();
        let holds = matches!(
            self.state.record().slot(other).state,
            SlotState::Ready | SlotState::Trial | SlotState::Good
        );
        holds && header(other).is_some_and(|bytes| !is_trusted(&bytes, trust))
    }
}

/// Whether the image's keyring of this `sequence` is to stand beside the state
/// record, which says that `known` was accepted last; `is_kept`: one that holds
/// does. One that was damaged is written anew: a boot loader may know no other.
const fn is_to_be_kept(sequence: u32, known: u32, is_kept: bool) -> bool {
    sequence > known || (sequence == known && sequence > 0 && !is_kept)
}

fn header(slot: Slot) -> Option<[u8; HEADER_LEN]> {
    read_header(&open("boot", slot).ok()?).ok()
}

fn is_trusted(header: &[u8; HEADER_LEN], trust: &Trust) -> bool {
    Header::verify(header, trust.trusted()).is_ok()
}

/// Let the daemon see the keyring in force.
pub(super) fn show(raw: &[u8]) {
    if let Err(error) = super::write_whole(Path::new(SHOWN), raw) {
        log::say(&format!("the daemon does not see the keyring: {error}"));
    }
}

#[cfg(test)]
mod tests {
    use super::is_to_be_kept;

    #[test]
    fn a_newer_keyring_is_kept_and_a_lost_one_written_anew() {
        assert!(is_to_be_kept(1, 0, false), "as it leaves the factory");
        assert!(is_to_be_kept(3, 2, true));
        assert!(is_to_be_kept(2, 2, false), "both places were damaged");
        assert!(!is_to_be_kept(2, 2, true) && !is_to_be_kept(1, 2, true));
        assert!(!is_to_be_kept(1, 2, false), "an older one is none in its place");
        assert!(!is_to_be_kept(0, 0, false), "a workshop has none");
    }
}
