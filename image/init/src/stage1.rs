//! The first stage: from the kernel's first file system to the verified root.
//!
//! What it trusts came with it in the signed boot image, under `/trust`
//! ([`crate::trust`]), and by a keyring that was accepted since. The loader chose the slot and counted the try; what the first
//! stage refuses, it writes down, and the next start takes the other slot.

use crate::mapper::{self, Damage};
use crate::state::{State, StateError};
use crate::trust::{Identity, IdentityError};
use crate::{command_line, keyring, log, partition, state, watchdog};
use evenkeel_signing::slot::header::HEADER_LEN;
use evenkeel_signing::slot::{Event, Header, HeaderError, Reason, Record, Slot, SlotState};
use rustix::mount::{MountFlags, mount, mount_move};
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the root is put before it becomes the root.
const ROOT: &str = "/root";
/// Bytes of the root that are read at once.
const READ: usize = 1 << 20;

/// Why a slot does not start.
#[derive(Debug, thiserror::Error)]
enum Stage1Error {
    /// Something of the system is missing.
    #[error("cannot {0}")]
    System(&'static str, #[source] io::Error),
    /// What came with the boot image is wrong.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// No word of the loader.
    #[error("the loader did not say which slot it started (evenkeel.slot=a or =b)")]
    NoSlot,
    /// The state record.
    #[error(transparent)]
    State(#[from] StateError),
    /// The slot is unfit.
    #[error("slot {slot} is refused, {reason}: {detail}")]
    Slot {
        /// Which.
        slot: Slot,
        /// For the state record.
        reason: Reason,
        /// For the log.
        detail: String,
    },
}

/// Start the slot; comes back only when that failed.
pub fn run() -> Reason {
    let Err(error) = start();
    log::say(&log::chain(&error));
    match error {
        Stage1Error::Slot { reason, .. } => {
            let kept = partition::find(state::PARTITION)
                .map_err(|e| StateError::Disk("found", e))
                .and_then(|path| State::open(&path)?.step(Event::Refused(reason)));
            if let Err(error) = kept {
                log::say(&format!("the refusal is not kept: {}", log::chain(&error)));
            }
            reason
        }
        _ => Reason::Root,
    }
}

fn start() -> Result<std::convert::Infallible, Stage1Error> {
    for (kind, place) in [("devtmpfs", "/dev"), ("proc", "/proc"), ("sysfs", "/sys")] {
        mount_new(kind, Path::new(place), MountFlags::NOSUID | MountFlags::NOEXEC)?;
    }
    log::open();
    load_modules().map_err(|e| Stage1Error::System("load the kernel's modules", e))?;
    // From here on whatever hangs ends, until the guard feeds it.
    watchdog::arm();
    let words = fs::read_to_string("/proc/cmdline")
        .map_err(|e| Stage1Error::System("read the command line", e))?;
    let slot = command_line::slot(&words).ok_or(Stage1Error::NoSlot)?;
    let place = find(state::PARTITION)?;
    let state = State::open(&place)?;
    let header = judge(slot, state.record().floor, &place)?;
    log::say(&format!("slot {slot}: version {}, epoch {}", header.version, header.epoch));
    let device = find(&format!("root_{}", slot.letter()))?;
    let unfit =
        |e: io::Error| Stage1Error::Slot { slot, reason: Reason::Root, detail: e.to_string() };
    if is_doubtful(state.record(), slot) {
        read_whole(&device, &header).map_err(unfit)?;
    }
    let device = mapper::open_verity("root", &device, &header, Damage::Panic).map_err(unfit)?;
    let flags = MountFlags::RDONLY | MountFlags::NODEV | MountFlags::NOSUID;
    mount(&device, ROOT, "squashfs", flags, None).map_err(|e| unfit(e.into()))?;
    go_over()
}

/// A system that is new here, or whose last start came to nothing, is read
/// whole first: damage is then told by its name, instead of a panic some day.
fn is_doubtful(record: &Record, slot: Slot) -> bool {
    record.slot(slot).state == SlotState::Trial || record.failed_starts > 1
}

/// Read every block of the root under its hash tree.
fn read_whole(device: &Path, header: &Header) -> io::Result<()> {
    let mapped = mapper::open_verity("check", device, header, Damage::Error)?;
    let whole = File::open(mapped).and_then(|mut file| {
        let mut bytes = vec![0; READ];
        while file.read(&mut bytes)? > 0 {}
        Ok(())
    });
    mapper::close("check")?;
    whole
}

/// The slot's header, if it may start here; `state` is the partition of the
/// state record.
fn judge(slot: Slot, floor: u32, state: &Path) -> Result<Header, Stage1Error> {
    let refused = |reason, detail: String| Stage1Error::Slot { slot, reason, detail };
    let Identity { product, board, mut trust } = Identity::load(Path::new("/trust"))?;
    keyring::take(state, &mut trust);
    let bytes = read_header(&find(&format!("boot_{}", slot.letter()))?)
        .map_err(|e| refused(Reason::Signature, e.to_string()))?;
    let header = Header::verify(&bytes, trust.trusted()).map_err(|error| {
        let revoked = matches!(&error, HeaderError::UnknownKey(id)
            if trust.refused().iter().any(|row| row.key.id == *id));
        refused(if revoked { Reason::Revoked } else { Reason::Signature }, error.to_string())
    })?;
    for (what, found, wanted) in
        [("product", &header.product, product), ("board", &header.board, board)]
    {
        if *found != wanted {
            let detail = format!("its {what} is {found}, this is {wanted}");
            return Err(refused(Reason::WrongBoard, detail));
        }
    }
    if header.epoch < floor {
        let detail = format!("its epoch is {}, the floor is {floor}", header.epoch);
        return Err(refused(Reason::BelowFloor, detail));
    }
    Ok(header)
}

/// The last 4 KiB of the partition with the boot image.
fn read_header(device: &Path) -> io::Result<[u8; HEADER_LEN]> {
    let mut file = File::open(device)?;
    let len = file.seek(SeekFrom::End(0))?;
    let at = len.checked_sub(HEADER_LEN as u64).ok_or(io::ErrorKind::UnexpectedEof)?;
    let mut bytes = [0; HEADER_LEN];
    file.read_exact_at(&mut bytes, at)?;
    Ok(bytes)
}

/// Modules that a stock kernel needs, in the order of `/modules/order`.
fn load_modules() -> io::Result<()> {
    let Ok(order) = fs::read_to_string("/modules/order") else { return Ok(()) };
    for name in order.lines() {
        let file = File::open(Path::new("/modules").join(name))?;
        match rustix::system::finit_module(&file, c"", 0) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            // Some want hardware that is not there (facts/image-recipe.md §2.1).
            Err(e) => log::say(&format!("module {name} is not loaded: {e}")),
        }
    }
    Ok(())
}

/// Make the mounted root the root, and run the supervisor on it.
fn go_over() -> Result<std::convert::Infallible, Stage1Error> {
    let cannot = |what| move |e: rustix::io::Errno| Stage1Error::System(what, e.into());
    for place in ["/dev", "/proc", "/sys"] {
        mount_move(place, format!("{ROOT}{place}")).map_err(cannot("move a mount"))?;
    }
    rustix::process::chdir(ROOT).map_err(cannot("enter the root"))?;
    mount_move(".", "/").map_err(cannot("move the root"))?;
    rustix::process::chroot(".").map_err(cannot("change the root"))?;
    rustix::process::chdir("/").map_err(cannot("enter the root"))?;
    Err(Stage1Error::System("run /sbin/init", Command::new("/sbin/init").arg0("/sbin/init").exec()))
}

fn mount_new(kind: &'static str, place: &Path, flags: MountFlags) -> Result<(), Stage1Error> {
    fs::create_dir_all(place).map_err(|e| Stage1Error::System("make a folder", e))?;
    match mount(kind, place, kind, flags, None) {
        // The kernel may have mounted it itself.
        Ok(()) | Err(rustix::io::Errno::BUSY) => Ok(()),
        Err(e) => Err(Stage1Error::System("mount a kernel file system", e.into())),
    }
}

fn find(name: &str) -> Result<PathBuf, Stage1Error> {
    partition::find(name).map_err(|e| Stage1Error::System("find a partition", e))
}
