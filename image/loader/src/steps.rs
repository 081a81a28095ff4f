//! The steps themselves, over whatever disk a [`Board`] has.

use crate::{Note, Refusal};
use alloc::string::String;
use alloc::vec::Vec;
use evenkeel_signing::slot::header::HEADER_LEN;
use evenkeel_signing::slot::record::RECORD_LEN;
use evenkeel_signing::slot::{Copies, Event, Forbidden, Header, Reason, Record, Slot};
use evenkeel_signing::{Digest, Keyring};

/// Most slots whose turn comes in one start: each is refused for good once, and
/// one whose kernel came back is tried a second time.
const TURNS_MAX: usize = 4;

/// The disk did not do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the disk cannot be used")]
pub struct Unusable;

/// What the steps need of a board.
pub trait Board {
    /// What a start leaves behind, where it comes back at all.
    type Started;

    /// One of the two copies of the state record; `None` when it cannot be
    /// read.
    fn read_copy(&mut self, copy: usize) -> Option<[u8; RECORD_LEN]>;

    /// Overwrite a copy; it is on the disk when this returns.
    ///
    /// # Errors
    /// [`Unusable`], and anything may stand there.
    fn write_copy(&mut self, copy: usize, bytes: &[u8; RECORD_LEN]) -> Result<(), Unusable>;

    /// Length of the slot's boot partition, in bytes.
    fn boot_len(&self, slot: Slot) -> u64;

    /// Read from the slot's boot partition.
    ///
    /// # Errors
    /// [`Unusable`].
    fn read_boot(&mut self, slot: Slot, at: u64, bytes: &mut [u8]) -> Result<(), Unusable>;

    /// Start the slot with this boot image, for which its header vouches.
    ///
    /// # Errors
    /// Why it came back.
    fn start(&mut self, slot: Slot, image: &[u8]) -> Result<Self::Started, Reason>;

    /// Tell whoever looks.
    fn say(&mut self, note: Note);
}

/// Whom and what a loader accepts.
#[derive(Debug)]
pub struct Judge {
    /// What the board is for, e.g. `evenkeel`.
    pub product: String,
    /// Its hardware, e.g. `qemu-x86_64`.
    pub board: String,
    /// Least epoch, from when the loader was made.
    pub least: u32,
    /// The keys of the platform.
    pub trusted: Keyring,
}

/// Start the slot whose turn it is, or the other one.
///
/// # Errors
/// [`Forbidden`] when nothing may start.
pub fn run<B: Board>(board: &mut B, judge: &Judge) -> Result<B::Started, Forbidden> {
    let mut copies = newest(board, judge)?;
    let mut event = Event::Start;
    for _ in 0..TURNS_MAX {
        advance(board, &mut copies, event)?;
        let slot = copies.record.active;
        board.say(Note::Slot(slot));
        let refusal = match image(board, judge, slot) {
            Ok(image) => match board.start(slot, &image) {
                Ok(started) => return Ok(started),
                Err(reason) => Refusal::NotStarted(reason),
            },
            Err(refusal) => refusal,
        };
        event = Event::Refused(refusal.reason());
        board.say(Note::Refused(slot, refusal));
    }
    Err(Forbidden::NothingToStart)
}

/// The boot image of `slot`, if its header vouches for it.
///
/// # Errors
/// [`Refusal`].
pub fn image<B: Board>(board: &mut B, judge: &Judge, slot: Slot) -> Result<Vec<u8>, Refusal> {
    let (_, header) = header(board, judge, slot)?;
    let room = board.boot_len(slot).saturating_sub(HEADER_LEN as u64);
    let len = usize::try_from(header.boot_len).ok().filter(|_| header.boot_len <= room);
    let len = len.ok_or(Refusal::BootImage)?;
    let mut image = Vec::new();
    image.try_reserve_exact(len).map_err(|_| Refusal::BootImage)?;
    image.resize(len, 0);
    board.read_boot(slot, 0, &mut image).map_err(|Unusable| Refusal::BootImage)?;
    if Digest::of(&image) == header.boot { Ok(image) } else { Err(Refusal::BootImage) }
}

/// The slot's header and how a record names it, if it may start here. Its floor
/// is the record's matter; what is below it never becomes active.
fn header<B: Board>(
    board: &mut B,
    judge: &Judge,
    slot: Slot,
) -> Result<([u8; 8], Header), Refusal> {
    let at = board.boot_len(slot).checked_sub(HEADER_LEN as u64).ok_or(Refusal::Unreadable)?;
    let mut bytes = [0; HEADER_LEN];
    board.read_boot(slot, at, &mut bytes).map_err(|Unusable| Refusal::Unreadable)?;
    let header = Header::verify(&bytes, &judge.trusted)?;
    for (found, wanted) in [(&header.product, &judge.product), (&header.board, &judge.board)] {
        if found != wanted {
            return Err(Refusal::WrongBoard(found.clone()));
        }
    }
    if header.epoch < judge.least {
        return Err(Refusal::Epoch { epoch: header.epoch, least: judge.least });
    }
    Ok((Header::tag(&bytes), header))
}

/// The copy that counts, or one made anew in the place of both.
fn newest<B: Board>(board: &mut B, judge: &Judge) -> Result<Copies, Forbidden> {
    let copies = [0, 1].map(|copy| board.read_copy(copy));
    let errors = match Copies::judge(copies.each_ref().map(Option::as_ref)) {
        Ok(found) => return Ok(found),
        Err(errors) => errors,
    };
    board.say(Note::Lost(errors));
    let headers = Slot::BOTH.map(|slot| {
        let (tag, header) = header(board, judge, slot).ok()?;
        Some((header.epoch, tag))
    });
    Ok(Copies { record: Record::rebuild(headers, judge.least)?, write_to: 0 })
}

/// Change the record, on the disk before anything else is done.
fn advance<B: Board>(board: &mut B, copies: &mut Copies, event: Event) -> Result<(), Forbidden> {
    let record = copies.record.step(event)?;
    let (bytes, to) = (record.encode(), copies.write_to);
    let written = board.write_copy(to, &bytes).is_ok();
    if !(written && board.read_copy(to) == Some(bytes)) {
        board.say(Note::NotKept);
    }
    *copies = Copies { record, write_to: 1 - to };
    Ok(())
}
