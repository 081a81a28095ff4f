//! What is left of a disk after a power cut, judged without a start: the loader's
//! rules over the state record and both slots, the data partition's file system,
//! the store by its own program.

use evenkeel_core::events::Event as Told;
use evenkeel_core::settings::network::Network;
use evenkeel_e2e::machine::Machine;
use evenkeel_image::disk;
use evenkeel_signing::slot::header::HEADER_LEN;
use evenkeel_signing::slot::{Event, Reason, Record, Slot, SlotState};
use evenkeeld::site;
use evenkeeld::store::{FILE, Store};
use rustix::fs::{SeekFrom, seek};
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Pieces of a bundle, bytes.
const PIECE: usize = 1 << 20;
/// A power cut takes no more of what was taken in; and the bundle's head, which
/// is no part of a slot.
pub const LOST_MAX: u64 = (4 << 20) + (64 << 10);
/// What the site is called, before a number.
pub const SITE: &str = "cut-";

/// What the appliance has promised to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Promise {
    /// The administrator's password was changed.
    Password,
    /// The site is called so.
    Site(u32),
    /// The appliance is called so.
    HostName(String),
    /// So many bytes of a bundle were taken in.
    Taken(u64),
    /// The bundle is in the slot.
    Written,
    /// The slot starts next.
    Activated,
    /// It proved healthy.
    Confirmed,
}

/// What a slot holds.
struct Held {
    header: Vec<u8>,
    boot: Vec<u8>,
    root: Vec<u8>,
}

/// Knows what both slots hold when they are whole.
pub struct Judge {
    held: [Held; 2],
    scratch: PathBuf,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Found {
    record: Record,
    /// Bytes of the second slot that are as they will be, in the order in which
    /// they are written.
    taken: u64,
    has_head: bool,
    has_user: bool,
    site: Option<u32>,
    host_name: Option<String>,
}

impl Judge {
    /// Of a machine whose slots are both whole: its own loader says so.
    pub fn new(machine: &Machine, scratch: PathBuf) -> Self {
        let held = Slot::BOTH.map(|slot| {
            let boot = machine.boot_image(slot).expect("a slot that may start");
            let (_, len) = machine.partition(disk::root(slot)).expect("a partition");
            let root = machine.read(disk::root(slot), 0, len as usize).expect("read");
            // Behind its end are zeros, as nothing was written there.
            let used = root.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            Held { header: header(machine, slot), boot, root: root[..used].to_vec() }
        });
        Self { held, scratch }
    }

    /// Look at the disk of `machine`, and change nothing of it.
    pub fn look(&self, machine: &Machine) -> Result<Found, String> {
        let record = machine.record().map_err(|error| error.to_string())?;
        self.starts(machine, record)?;
        for slot in Slot::BOTH {
            let state = record.slot(slot).state;
            let must = matches!(state, SlotState::Ready | SlotState::Trial | SlotState::Good);
            if must && !self.is_whole(machine, slot) {
                return Err(format!("slot {slot} is {} and not whole", state.name()));
            }
        }
        let data = self.data(machine)?;
        let store = data.join("store");
        let (mut has_user, mut site) = (false, None);
        if store.join(FILE).exists() {
            let store = Store::open(&store, evenkeeld::store::Limits::default())
                .map_err(|error| format!("the store: {error}"))?;
            for stored in store.events(None, 1_000) {
                if matches!(stored.event, Told::StoreDamaged { .. } | Told::StoreSalvaged { .. }) {
                    return Err(format!("the store: {}", stored.event));
                }
            }
            has_user = !store.users().map_err(|error| format!("users: {error}"))?.is_empty();
            let kept = site::kept(&store).map_err(|error| format!("the site: {error}"))?;
            site = kept.and_then(|site| site.name.strip_prefix(SITE)?.parse().ok());
        }
        let host_name = match fs::read_to_string(data.join("network/network.toml")) {
            Ok(text) => Network::parse(&text).map_err(|e| format!("the network: {e}"))?.host_name,
            Err(_) => None,
        };
        let has_head = data.join("slots/upload").exists();
        Ok(Found { record, taken: self.taken(machine), has_head, has_user, site, host_name })
    }

    /// Whether there is a slot that the loader starts, as `machine.rs` plays it,
    /// and that the first stage goes over to.
    fn starts(&self, machine: &Machine, mut record: Record) -> Result<(), String> {
        let mut event = Event::Start;
        loop {
            record = record.step(event).map_err(|error| format!("nothing starts: {error}"))?;
            if self.is_whole(machine, record.active) {
                return Ok(());
            }
            event = Event::Refused(Reason::BootImage);
        }
    }

    fn is_whole(&self, machine: &Machine, slot: Slot) -> bool {
        let held = &self.held[slot.index()];
        let same = |name, bytes: &[u8]| {
            machine.read(name, 0, bytes.len()).is_ok_and(|found| found == bytes)
        };
        header(machine, slot) == held.header
            && same(disk::boot(slot), &held.boot)
            && same(disk::root(slot), &held.root)
    }

    fn taken(&self, machine: &Machine) -> u64 {
        let held = &self.held[Slot::B.index()];
        let mut taken = 0;
        for (name, bytes) in [(disk::boot(Slot::B), &held.boot), (disk::root(Slot::B), &held.root)]
        {
            for (number, piece) in bytes.chunks(PIECE).enumerate() {
                let found = machine.read(name, (number * PIECE) as u64, piece.len());
                if found.is_ok_and(|found| found != piece) {
                    return taken;
                }
                taken += piece.len() as u64;
            }
        }
        taken
    }

    /// What is on the data partition, after its journal was replayed and found
    /// in order: the folder that it was copied to.
    fn data(&self, machine: &Machine) -> Result<PathBuf, String> {
        let (image, folder) = (self.scratch.join("data.ext4"), self.scratch.join("data"));
        if folder.exists() {
            fs::remove_dir_all(&folder).expect("removed");
        }
        fs::create_dir_all(&folder).expect("made");
        let (start, len) = machine.partition("data").expect("a partition");
        copy_sparse(&machine.disk_path(), start, len, &image);
        // As the kernel does when it mounts it: the journal, files that were deleted
        // while they were open, and the sums of what is free, which are in no
        // journal. Nothing else may need a repair.
        let checked = Command::new("/sbin/e2fsck").arg("-fp").arg(&image).output();
        let checked = checked.expect("e2fsck");
        let told = String::from_utf8_lossy(&checked.stdout);
        let harmless = |line: &str| {
            let words = ["recovering journal", "orphaned inode", " files ("];
            let sums = ["Free blocks count wrong (", "Free inodes count wrong ("];
            line.trim().is_empty() || words.iter().chain(&sums).any(|word| line.contains(word))
        };
        if checked.status.code().is_none_or(|code| code > 1) || !told.lines().all(harmless) {
            return Err(format!("the file system: {}: {told}", checked.status));
        }
        for name in ["daemon/store", "network", "slots"] {
            let order = format!("rdump /{name} {}", folder.display());
            let dumped = Command::new("/sbin/debugfs").args(["-R", &order]).arg(&image).output();
            assert!(dumped.expect("debugfs").status.success());
        }
        Ok(folder)
    }
}

impl Found {
    /// Whether these promises are kept, and nothing came about that was never
    /// asked for: `asked` is the site's last name.
    pub fn keeps(&self, promises: &[Promise], asked: u32) -> Result<(), String> {
        let second = self.record.slot(Slot::B).state;
        // Of what was taken in the last word counts.
        let taken = last_taken(promises);
        if self.site > Some(asked) {
            return Err(format!("the site is called {:?}, which nobody said", self.site));
        }
        for promise in promises {
            let kept = match promise {
                Promise::Password => self.has_user,
                Promise::Site(number) => self.site >= Some(*number),
                Promise::HostName(name) => self.host_name.as_ref() == Some(name),
                Promise::Taken(bytes) if Some(*bytes) != taken => true,
                Promise::Taken(bytes) if second == SlotState::Writing => {
                    self.has_head && self.taken + LOST_MAX >= *bytes
                }
                Promise::Taken(_) | Promise::Written => {
                    matches!(second, SlotState::Ready | SlotState::Trial | SlotState::Good)
                }
                Promise::Activated => self.record.active == Slot::B,
                Promise::Confirmed => second == SlotState::Good,
            };
            if !kept {
                return Err(format!("{promise:?} is not kept: {self:?}"));
            }
        }
        Ok(())
    }
}

/// How far a bundle was taken in, as it was said last.
pub fn last_taken(promises: &[Promise]) -> Option<u64> {
    let taken = promises.iter().filter_map(|promise| match promise {
        Promise::Taken(bytes) => Some(*bytes),
        _ => None,
    });
    taken.max()
}

/// The last 4 KiB of the partition with the boot image.
fn header(machine: &Machine, slot: Slot) -> Vec<u8> {
    let (_, len) = machine.partition(disk::boot(slot)).expect("a partition");
    machine.read(disk::boot(slot), len - HEADER_LEN as u64, HEADER_LEN).expect("read")
}

/// Copy `len` bytes from `start` on, and leave out what is empty.
pub fn copy_sparse(from: &Path, start: u64, len: u64, to: &Path) {
    let source = File::open(from).expect("opened");
    let target = File::create(to).expect("made");
    target.set_len(len).expect("made");
    let end = start + len;
    let mut at = start;
    let mut bytes = vec![0; 1 << 20];
    // Behind the last data there is none (ENXIO).
    while let Ok(data) = seek(&source, SeekFrom::Data(at)) {
        let hole =
            seek(&source, SeekFrom::Hole(data)).expect("a hole at the end at least").min(end);
        at = data;
        while at < hole {
            let piece = &mut bytes[..((hole - at) as usize).min(1 << 20)];
            source.read_exact_at(piece, at).expect("read");
            target.write_all_at(piece, at - start).expect("written");
            at += piece.len() as u64;
        }
        if at >= end || data >= end {
            break;
        }
    }
}
