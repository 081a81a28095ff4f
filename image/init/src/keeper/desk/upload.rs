//! Taking a bundle in, while the desk goes on answering; and going on with one
//! that broke off, after a restart as well: the head is kept, and what of the
//! payload is in the slot is known by its hashes.

use super::{Desk, DeskError, open};
use crate::keeper::install::{Install, InstallError, Places, read_head, write_header};
use crate::keeper::lock;
use crate::log;
use evenkeel_signing::slot::header::HEADER_LEN;
use evenkeel_signing::slot::talk::Progress;
use evenkeel_signing::slot::{Event, Header, SlotState};
use evenkeel_signing::{Device, Envelope};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Mutex;

/// The head of the bundle that is being taken in.
const HEAD: &str = "/data/slots/upload";

/// Take a bundle of `length` bytes from `input`, which begins at `from`. The
/// desk goes on answering meanwhile.
///
/// # Errors
/// [`DeskError`]; what was taken before a broken connection stays taken.
pub fn install(
    desk: &Mutex<Desk>,
    input: &mut impl Read,
    length: u64,
    from: u64,
) -> Result<(), DeskError> {
    let (mut install, places) = begin(desk, input, length, from)?;
    let taken = loop {
        lock(desk).installing = Some(install.progress());
        match install.piece(input, &places) {
            Ok(true) => {}
            Ok(false) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    let mut desk = lock(desk);
    desk.installing = None;
    if let Err(error) = taken {
        if matches!(error, InstallError::Io(..)) {
            desk.install = Some(install);
        } else {
            forget();
            desk.state.step(Event::Abandon)?;
        }
        return Err(error.into());
    }
    // Until the record says that it is whole, a power cut leaves something to go
    // on with.
    match install.finish(&desk.identity, &places) {
        Ok((header, bytes)) => {
            let event = Event::Written { header: Header::tag(&bytes), epoch: header.epoch };
            log::say(&format!("version {} is in slot {}", header.version, desk.slot.other()));
            desk.state.step(event)?;
            forget();
            Ok(())
        }
        Err(error) => {
            forget();
            desk.state.step(Event::Abandon)?;
            Err(error.into())
        }
    }
}

/// The installation that goes on or begins.
fn begin(
    desk: &Mutex<Desk>,
    input: &mut impl Read,
    length: u64,
    from: u64,
) -> Result<(Install, Places), DeskError> {
    let places = {
        let mut desk = lock(desk);
        if desk.restarting {
            return Err(DeskError::Restarting);
        }
        if desk.installing.is_some() {
            return Err(DeskError::Busy);
        }
        let other = desk.slot.other();
        let places = Places { boot: open("boot", other)?, root: open("root", other)? };
        let taken = desk.install.as_ref().map_or(0, |install| install.progress().taken);
        if from != 0 {
            return match desk.install.take() {
                Some(install) if taken == from => Ok((install, places)),
                _ => Err(DeskError::Place { taken, from }),
            };
        }
        desk.install = None;
        desk.installing = Some(Progress { version: String::new(), taken: 0, total: length });
        places
    };
    // Reading the head waits for the sender: not while the desk is locked.
    let head = read_head(input);
    let mut desk = lock(desk);
    desk.installing = None;
    let head = head?;
    let install = desk.judge(&head, length, &places)?;
    desk.state.step(Event::Begin)?;
    // Without it the rest cannot follow after a restart, and nothing else.
    if let Err(error) = keep(Path::new(HEAD), &head, length) {
        log::say(&format!("the head of the bundle is not kept: {error}"));
    }
    write_header(&places.boot, &[0; HEADER_LEN])?;
    desk.installing = Some(install.progress());
    Ok((install, places))
}

impl Desk {
    /// Judge the head of a bundle of `length` bytes.
    fn judge(&self, head: &[u8], length: u64, places: &Places) -> Result<Install, InstallError> {
        let identity = &self.identity;
        let device = Device {
            product: &identity.product,
            board: &identity.board,
            floor: self.state.record().floor,
            running: self.header.epoch,
            schema: self.header.schema,
        };
        Install::begin(head, length, identity, &device, places)
    }

    /// Go on with what was being taken in before the restart, as far as it is
    /// in the slot.
    pub(super) fn go_on(&mut self) {
        let other = self.slot.other();
        if self.state.record().slot(other).state != SlotState::Writing {
            return forget();
        }
        let Some((head, length)) = kept(Path::new(HEAD)) else { return };
        let found = open("boot", other).and_then(|boot| {
            let places = Places { boot, root: open("root", other)? };
            let mut install = self.judge(&head, length, &places)?;
            install.find(&places)?;
            Ok(install)
        });
        match found {
            Ok(install) => {
                let Progress { version, taken, total } = install.progress();
                log::say(&format!("of version {version} {taken} of {total} bytes are in"));
                self.install = Some(install);
            }
            Err(error) => {
                log::say(&format!("the bundle does not go on: {}", log::chain(&error)));
                forget();
            }
        }
    }
}

/// Keep the head of a bundle of `length` bytes.
fn keep(path: &Path, head: &[u8], length: u64) -> io::Result<()> {
    super::write_whole(path, &[&length.to_le_bytes()[..], head].concat())
}

/// The head that was kept, and the length of its bundle.
fn kept(path: &Path) -> Option<(Vec<u8>, u64)> {
    let mut bytes = Vec::new();
    let file = File::open(path).ok()?;
    file.take(8 + Envelope::HEAD_LEN_MAX as u64).read_to_end(&mut bytes).ok()?;
    let (length, head) = bytes.split_first_chunk()?;
    Some((head.to_vec(), u64::from_le_bytes(*length)))
}

/// Nothing goes on.
pub(super) fn forget() {
    match fs::remove_file(HEAD) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            log::say(&format!("{HEAD} is not removed: {error}"));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_kept_and_what_is_none_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("slots/upload");
        assert_eq!(kept(&path), None);
        keep(&path, b"head", 4_711).unwrap();
        assert_eq!(kept(&path), Some((b"head".to_vec(), 4_711)));
        fs::write(&path, b"short").unwrap();
        assert_eq!(kept(&path), None);
    }
}
