//! Back to how the appliance left the factory: the data partition is made anew
//! from the image that lies on the verified root, before anything reads it.
//! Slots, floor and keyring stay, and the serial number comes back; every key
//! that was made here goes, and is made anew (facts/appliance-security.md
//! SEC-122).
//!
//! A person orders it through the keeper, or holds the button while the
//! appliance starts, which the loader says. The order stands in the state
//! record until the partition is whole: a power cut begins it again.

use crate::state::{State, StateError};
use crate::watchdog::Watchdog;
use crate::{command_line, kept, log};
use evenkeel_signing::slot::{Event, Order, Reason};
use rustix::fs::{FallocateFlags, fallocate};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// The data partition as it left the factory, on the verified root.
pub const FACTORY: &str = "/usr/lib/evenkeel/factory.ext4";
/// Bytes that are written between two feeds of the watchdog.
const STEP: u64 = 4 << 20;

/// Why it is not done.
#[derive(Debug, thiserror::Error)]
pub enum ResetError {
    /// The state record.
    #[error(transparent)]
    State(#[from] StateError),
    /// The image of the factory.
    #[error("this system brings no data partition of the factory that can be used ({FACTORY})")]
    Factory(#[source] io::Error),
    /// What outlives it.
    #[error("what outlives the data partition cannot be kept")]
    Kept(#[source] io::Error),
    /// The partition.
    #[error("the data partition is not made anew")]
    Data(#[source] io::Error),
}

/// Make the `data` partition anew if that was ordered, by the record on
/// `state` or by the button of which the loader's `words` tell. True when it
/// was; to be [`finish`]ed when the partition holds what it must.
///
/// # Errors
/// [`ResetError`]; an order that cannot be followed is taken back.
pub fn if_ordered(
    words: &str,
    state: &Path,
    data: &Path,
    factory: &Path,
) -> Result<bool, ResetError> {
    let mut record = State::open(state)?;
    let held = command_line::is_button_held(words);
    if !held && !record.record().erase {
        return Ok(false);
    }
    let image = match open_factory(factory, data) {
        Ok(image) => image,
        Err(error) => {
            if record.record().erase {
                // A later system would follow it when nobody thinks of it.
                record.step(Event::Erased)?;
            }
            return Err(ResetError::Factory(error));
        }
    };
    if !record.record().erase {
        let mut block = kept::read(state).map_err(ResetError::Kept)?;
        block.order = Some(Order::Button);
        kept::write(state, &block).map_err(ResetError::Kept)?;
        record.step(Event::Erase)?;
        record.step(Event::Because(Reason::Reset))?;
    }
    log::say("the data partition is made anew, as it left the factory");
    make_anew(data, image).map_err(ResetError::Data)?;
    Ok(true)
}

/// The partition holds what it must: the order is fulfilled.
///
/// # Errors
/// [`ResetError::State`].
pub fn finish(state: &Path) -> Result<(), ResetError> {
    rustix::fs::sync();
    Ok(State::open(state)?.step(Event::Erased)?)
}

/// The image of the factory, if it fits on the partition.
fn open_factory(factory: &Path, data: &Path) -> io::Result<File> {
    let mut image = File::open(factory)?;
    let wanted = image.seek(SeekFrom::End(0))?;
    let room = File::open(data)?.seek(SeekFrom::End(0))?;
    match wanted <= room {
        true => Ok(image),
        false => {
            let text = format!("it has {wanted} bytes, and the data partition has {room}");
            Err(io::Error::other(text))
        }
    }
}

/// Zeros first, everywhere: nothing of what was there can be read any more.
/// Then what of the image is not zero.
fn make_anew(data: &Path, mut image: File) -> io::Result<()> {
    let watchdog = Watchdog::hold();
    let fed = || watchdog.iter().for_each(Watchdog::feed);
    let mut file = OpenOptions::new().read(true).write(true).open(data)?;
    let len = file.seek(SeekFrom::End(0))?;
    let wanted = image.seek(SeekFrom::End(0))?;
    let mut at = 0;
    while at < len {
        let step = STEP.min(len - at);
        zero(&file, at, step)?;
        at += step;
        fed();
    }
    image.seek(SeekFrom::Start(0))?;
    let mut bytes = vec![0; STEP as usize];
    let mut at = 0;
    while at < wanted {
        let step = STEP.min(wanted - at) as usize;
        image.read_exact(&mut bytes[..step])?;
        for (block, begins) in bytes[..step].chunks(4_096).zip((at..).step_by(4_096)) {
            if block.iter().any(|byte| *byte != 0) {
                file.write_all_at(block, begins)?;
            }
        }
        at += step as u64;
        fed();
    }
    file.sync_all()
}

/// The device's own way to zeros if it has one.
fn zero(file: &File, at: u64, len: u64) -> io::Result<()> {
    let flags = FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE;
    if fallocate(file, flags, at, len).is_ok() {
        return Ok(());
    }
    let zeros = vec![0; len as usize];
    file.write_all_at(&zeros, at)?;
    // Not all at the end: the watchdog waits for no cache.
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_signing::Serial;
    use evenkeel_signing::slot::record::RECORD_LEN;
    use evenkeel_signing::slot::{Kept, Record, Slot};
    use std::fs;
    use std::path::PathBuf;

    const CANARY: &[u8] = b"a password of somebody";

    struct Bench {
        dir: tempfile::TempDir,
    }

    impl Bench {
        /// A data partition full of what nobody shall read, a smaller image.
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let mut state = vec![0; 1 << 20];
            state[..RECORD_LEN].copy_from_slice(&Record::factory(Slot::A, [1; 8], 1).encode());
            fs::write(dir.path().join("state"), state).unwrap();
            fs::write(dir.path().join("data"), CANARY.repeat(400_000)).unwrap();
            let mut factory = vec![0; 5 << 20];
            factory[4_096..4_103].copy_from_slice(b"factory");
            fs::write(dir.path().join("factory"), factory).unwrap();
            Self { dir }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }

        fn start(&self, words: &str) -> Result<bool, ResetError> {
            let [state, data, factory] = ["state", "data", "factory"].map(|name| self.path(name));
            if_ordered(words, &state, &data, &factory)
        }

        fn has_canary(&self) -> bool {
            let data = fs::read(self.path("data")).unwrap();
            data.windows(CANARY.len()).any(|bytes| bytes == CANARY)
        }

        fn erase(&self) -> bool {
            State::open(&self.path("state")).unwrap().record().erase
        }
    }

    #[test]
    fn without_an_order_nothing_is_touched() {
        let bench = Bench::new();
        let before = fs::read(bench.path("state")).unwrap();
        assert!(!bench.start("console=ttyS0 evenkeel.slot=a").unwrap());
        assert!(bench.has_canary());
        assert_eq!(fs::read(bench.path("state")).unwrap(), before);
    }

    #[test]
    fn an_order_is_followed_until_it_is_finished_and_leaves_nothing() {
        let bench = Bench::new();
        State::open(&bench.path("state")).unwrap().step(Event::Erase).unwrap();
        let len = fs::metadata(bench.path("data")).unwrap().len();
        for _ in 0..2 {
            // The power fails before the end: it begins again.
            assert!(bench.start("").unwrap());
            assert!(bench.erase() && !bench.has_canary());
        }
        let data = fs::read(bench.path("data")).unwrap();
        assert_eq!(data.len() as u64, len);
        assert_eq!(&data[4_096..4_103], b"factory");
        assert_eq!(data.iter().filter(|byte| **byte != 0).count(), 7);
        finish(&bench.path("state")).unwrap();
        assert!(!bench.erase());
        assert!(!bench.start("").unwrap());
    }

    #[test]
    fn the_button_is_an_order_and_the_serial_number_stays() {
        let bench = Bench::new();
        let (state, serial) = (bench.path("state"), Serial::from_random(7));
        let mut block = Kept::default();
        block.set_serial(&serial);
        kept::write(&state, &block).unwrap();
        assert!(bench.start("evenkeel.slot=a evenkeel.button=held").unwrap());
        assert!(!bench.has_canary());
        let block = kept::read(&state).unwrap();
        assert_eq!((block.serial(), block.order), (Some(serial), Some(Order::Button)));
        assert_eq!(State::open(&state).unwrap().record().boot_reason, Reason::Reset);
    }

    #[test]
    fn what_cannot_be_followed_is_taken_back_and_touches_nothing() {
        let bench = Bench::new();
        let factory = bench.path("factory");
        for spoil in [
            (|path: &Path| fs::remove_file(path).unwrap()) as fn(&Path),
            // Larger than the partition.
            |path| fs::write(path, vec![0; 10 << 20]).unwrap(),
        ] {
            spoil(&factory);
            assert!(matches!(bench.start("evenkeel.button=held"), Err(ResetError::Factory(_))));
            State::open(&bench.path("state")).unwrap().step(Event::Erase).unwrap();
            assert!(matches!(bench.start(""), Err(ResetError::Factory(_))));
            assert!(bench.has_canary() && !bench.erase());
        }
    }
}
