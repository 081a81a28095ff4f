//! The first stage: from the kernel's first file system to the verified root.
//!
//! What it trusts came with it in the signed boot image, under `/trust`: the
//! platform's root keys, the keyring that they signed, the names of product
//! and board. The loader chose the slot and counted the try; what the first
//! stage refuses, it writes down, and the next start takes the other slot.

use crate::mapper;
use crate::state::{State, StateError};
use crate::{command_line, log, partition, state};
use evenkeel_signing::slot::header::HEADER_LEN;
use evenkeel_signing::slot::{Event, Header, HeaderError, Reason, Slot};
use evenkeel_signing::{KeyError, PublicKey, Roots, Trust, TrustError};
use rustix::mount::{MountFlags, mount, mount_move};
use std::fs::{self, File};
use std::io::{self, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the root is put before it becomes the root.
const ROOT: &str = "/root";
/// Largest file of `/trust`, in bytes.
const TRUST_MAX: u64 = 1 << 20;

/// Why a slot does not start.
#[derive(Debug, thiserror::Error)]
enum Stage1Error {
    /// Something of the system is missing.
    #[error("cannot {0}")]
    System(&'static str, #[source] io::Error),
    /// What came with the boot image is wrong.
    #[error("the keys of the boot image cannot be used: {0}")]
    Trust(String),
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
    let words = read("/proc/cmdline")?;
    let slot = command_line::slot(&words).ok_or(Stage1Error::NoSlot)?;
    let state = State::open(&find(state::PARTITION)?)?;
    let header = judge(slot, state.record().floor)?;
    log::say(&format!("slot {slot}: version {}, epoch {}", header.version, header.epoch));
    let device = find(&format!("root_{}", slot.letter()))?;
    let unfit =
        |e: io::Error| Stage1Error::Slot { slot, reason: Reason::Root, detail: e.to_string() };
    let device = mapper::open_verity("root", &device, &header).map_err(unfit)?;
    let flags = MountFlags::RDONLY | MountFlags::NODEV | MountFlags::NOSUID;
    mount(&device, ROOT, "squashfs", flags, None).map_err(|e| unfit(e.into()))?;
    go_over()
}

/// The slot's header, if it may start here.
fn judge(slot: Slot, floor: u32) -> Result<Header, Stage1Error> {
    let refused = |reason, detail: String| Stage1Error::Slot { slot, reason, detail };
    let trust = trust()?;
    let bytes = read_header(&find(&format!("boot_{}", slot.letter()))?)
        .map_err(|e| refused(Reason::Signature, e.to_string()))?;
    let header = Header::verify(&bytes, trust.trusted()).map_err(|error| {
        let revoked = matches!(&error, HeaderError::UnknownKey(id)
            if trust.refused().iter().any(|row| row.key.id == *id));
        refused(if revoked { Reason::Revoked } else { Reason::Signature }, error.to_string())
    })?;
    for (what, found) in [("product", &header.product), ("board", &header.board)] {
        let wanted = read(&format!("/trust/{what}"))?;
        if found != wanted.trim() {
            let detail = format!("its {what} is {found}, this is {}", wanted.trim());
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

/// The keys that came with the boot image: `roots/*.pub`, `threshold`, an
/// optional `keyring.evkk`; of a development image `development/*.pub`.
fn trust() -> Result<Trust, Stage1Error> {
    let wrong = |e: &dyn std::error::Error| Stage1Error::Trust(log::chain(e));
    let keys = |folder: &str| -> Result<Vec<PublicKey>, Stage1Error> {
        let Ok(entries) = fs::read_dir(folder) else { return Ok(Vec::new()) };
        let mut paths: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
        paths.sort();
        let read = |path: &PathBuf| PublicKey::read(path);
        paths.iter().map(read).collect::<Result<_, KeyError>>().map_err(|e| wrong(&e))
    };
    let roots = keys("/trust/roots")?;
    let threshold = read("/trust/threshold")?;
    let threshold = threshold.trim().parse().map_err(|e: std::num::ParseIntError| wrong(&e))?;
    let roots = if roots.is_empty() {
        Roots::none()
    } else {
        Roots::new(roots, threshold).map_err(|e: TrustError| wrong(&e))?
    };
    let development = keys("/trust/development")?;
    let mut trust = Trust::new(roots, development.is_empty()).map_err(|e| wrong(&e))?;
    for key in development {
        trust.add_development_key(key).map_err(|e| wrong(&e))?;
    }
    if let Ok(keyring) = fs::read("/trust/keyring.evkk") {
        // The date is not known before the network is.
        trust.accept_keyring(&keyring, None).map_err(|e| wrong(&e))?;
    }
    Ok(trust)
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

fn read(path: &str) -> Result<String, Stage1Error> {
    let too_long = || io::Error::new(io::ErrorKind::InvalidData, format!("{path} is too long"));
    let text = fs::metadata(path).and_then(|metadata| match metadata.len() {
        0..=TRUST_MAX => fs::read_to_string(path),
        _ => Err(too_long()),
    });
    text.map_err(|e| Stage1Error::System("read a file of the first stage", e))
}
