//! The loader as a program of UEFI (specification 2.10): its disk ([`disk`]),
//! its way to start a kernel ([`kernel`]), and its end, which is the kernel or
//! no power. It reads no key but what roots signed, no file, no variable but `SecureBoot`, and no
//! word of the firmware's boot entry.

mod disk;
mod kernel;

use crate::boot::Boot;
use crate::trust::{self, Given};
use crate::{Board, Judge, Note, Unusable, run};
use alloc::borrow::ToOwned as _;
use alloc::string::String;
use core::convert::Infallible;
use disk::Disk;
use evenkeel_signing::slot::header::HEADER_LEN;
use evenkeel_signing::slot::record::{COPY_DISTANCE, RECORD_LEN};
use evenkeel_signing::slot::{Reason, Slot};
use uefi::runtime::{self, ResetType, VariableVendor};
use uefi::{Status, boot, cstr16, println};

/// What the loader was made for, as text.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// What the board is for.
    pub product: &'static str,
    /// Its hardware.
    pub board: &'static str,
    /// Least epoch that starts.
    pub least: &'static str,
    /// Who signs headers.
    pub given: Given<'static>,
}

/// Longest time from here to the kernel, and there until it takes the machine
/// over: then it is reset, in seconds.
const PATIENCE_S: usize = 30;
/// Numbers up to here are the firmware's own.
const WATCHDOG_CODE: u64 = 0x1_0000;

/// Start the slot whose turn it is; where nothing starts, switch off.
pub fn main(identity: &Identity) -> Status {
    // Some firmware has none. Then a kernel that hangs is left to the person
    // who switches it off and on.
    let _ = boot::set_watchdog_timer(PATIENCE_S, WATCHDOG_CODE, None);
    let Err(why) = start(identity);
    println!("loader: {why}");
    println!("loader: nothing starts, switching off");
    runtime::reset(ResetType::SHUTDOWN, Status::SUCCESS, None)
}

fn start(identity: &Identity) -> Result<Infallible, String> {
    if !is_secure() {
        return Err("Secure Boot is off, so that nobody judges what is started".to_owned());
    }
    let mut disk = Disk::find()?;
    let judge = judge(identity, &mut disk).ok_or("the keys in this loader cannot be used")?;
    let mut firmware = Firmware { disk };
    run(&mut firmware, &judge).map_err(|forbidden| alloc::format!("{forbidden}"))
}

/// The firmware checks signatures.
fn is_secure() -> bool {
    let mut value = [0];
    let name = cstr16!("SecureBoot");
    let read = runtime::get_variable(name, &VariableVendor::GLOBAL_VARIABLE, &mut value);
    read.is_ok_and(|(bytes, _)| *bytes == [1])
}

fn judge(identity: &Identity, disk: &mut Disk) -> Option<Judge> {
    let trusted = trust::trusted(identity.given, |at, bytes| disk.state.read(at, bytes))?;
    let least = identity.least.parse().ok()?;
    let (product, board) = (identity.product.to_owned(), identity.board.to_owned());
    Some(Judge { product, board, least, trusted })
}

/// A board with UEFI.
struct Firmware {
    disk: Disk,
}

impl Board for Firmware {
    /// A kernel that runs does not come back.
    type Started = Infallible;

    fn read_copy(&mut self, copy: usize) -> Option<[u8; RECORD_LEN]> {
        let mut bytes = [0; RECORD_LEN];
        self.disk.state.read(copy as u64 * COPY_DISTANCE, &mut bytes).ok()?;
        Some(bytes)
    }

    fn write_copy(&mut self, copy: usize, bytes: &[u8; RECORD_LEN]) -> Result<(), Unusable> {
        self.disk.state.write(copy as u64 * COPY_DISTANCE, bytes)
    }

    fn boot_len(&self, slot: Slot) -> u64 {
        self.disk.boot[slot.index()].len()
    }

    fn read_boot(&mut self, slot: Slot, at: u64, bytes: &mut [u8]) -> Result<(), Unusable> {
        self.disk.boot[slot.index()].read(at, bytes)
    }

    fn start(&mut self, slot: Slot, image: &[u8]) -> Result<Infallible, Reason> {
        let boot = Boot::unpack(image).map_err(|_| Reason::BootImage)?;
        let line = alloc::format!("{} evenkeel.slot={}", boot.command_line, slot.letter());
        kernel::start(boot.kernel, boot.archive, &line)
    }

    fn say(&mut self, note: Note) {
        println!("loader: {note}");
    }
}

/// A header is read whole.
const _: () = assert!(HEADER_LEN.is_multiple_of(disk::BLOCK));
