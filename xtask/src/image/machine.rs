//! The board in QEMU. Its boot loader is played here, with the same rules: it
//! reads the state record, takes the step, checks the boot image against the
//! slot's header, and starts kernel and first stage.

use crate::run::{AnyError, exec};
use evenkeel_image::boot::Boot;
use evenkeel_image::disk;
use evenkeel_signing::Digest;
use evenkeel_signing::slot::header::{HEADER_LEN, Header};
use evenkeel_signing::slot::record::{COPY_DISTANCE, RECORD_LEN};
use evenkeel_signing::slot::{Copies, Event, Reason, Record, Slot};
use evenkeel_signing::{Keyring, Origin, PublicKey};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;

/// Start the disk of `out` once; a restart of the appliance ends it, as does
/// whoever closes QEMU.
pub fn run(out: &Path, bus: Option<&Path>, port: u16) -> Result<(), AnyError> {
    println!("── console at https://127.0.0.1:{port} once the daemon is up; Ctrl-A X ends QEMU");
    let slot = load(out)?;
    println!("── loader: slot {slot}");
    exec(&mut machine(out, slot, bus, port)?)
}

fn machine(out: &Path, slot: Slot, bus: Option<&Path>, port: u16) -> Result<Command, AnyError> {
    let line = fs::read_to_string(out.join("loader/command-line"))?;
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args(["-M", "q35", "-m", "256", "-nographic", "-no-reboot", "-kernel"]);
    qemu.arg(out.join("loader/kernel")).arg("-initrd").arg(out.join("loader/archive"));
    qemu.args(["-append", &format!("{line} evenkeel.slot={}", slot.letter())]);
    qemu.arg("-drive").arg(format!("file={},format=raw,if=virtio", out.join("disk.img").display()));
    qemu.args(["-netdev", &format!("user,id=n,hostfwd=tcp:127.0.0.1:{port}-10.0.2.15:443")]);
    qemu.args(["-device", "virtio-net-pci,netdev=n,romfile=", "-device", "virtio-rng-pci"]);
    qemu.args(["-serial", "mon:stdio"]);
    if let Some(bus) = bus {
        qemu.arg("-serial").arg(bus);
    }
    Ok(qemu)
}

/// Play the loader once; gives the slot whose parts are in `out/loader`.
pub fn load(out: &Path) -> Result<Slot, AnyError> {
    let disk = OpenOptions::new().read(true).write(true).open(out.join("disk.img"))?;
    let partitions = disk::layout(disk.metadata()?.len())?;
    let start = |name: &str| {
        let found = partitions.iter().find(|partition| partition.name == name);
        found.map(|partition| (partition.start, partition.len)).ok_or("no such partition")
    };
    let (state, _) = start("state")?;
    let mut event = Event::Start;
    loop {
        let record = step(&disk, state, event)?;
        let slot = record.active;
        let (at, len) = start(disk::boot(slot))?;
        match check(&disk, at, len, &trusted(out)?) {
            Ok(image) => {
                let boot = Boot::unpack(&image)?;
                let folder = out.join("loader");
                fs::create_dir_all(&folder)?;
                fs::write(folder.join("kernel"), boot.kernel)?;
                fs::write(folder.join("archive"), boot.archive)?;
                fs::write(folder.join("command-line"), boot.command_line)?;
                return Ok(slot);
            }
            Err(reason) => {
                println!("── loader: slot {slot} is refused: {reason}");
                event = Event::Refused(reason);
            }
        }
    }
}

fn step(disk: &File, state: u64, event: Event) -> Result<Record, AnyError> {
    let copies = [0, COPY_DISTANCE].map(|at| {
        let mut bytes = [0; RECORD_LEN];
        disk.read_exact_at(&mut bytes, state + at).is_ok().then_some(bytes)
    });
    let found = Copies::judge(copies.each_ref().map(Option::as_ref))
        .map_err(|[a, b]| format!("state record: {a}; {b}"))?;
    let next = found.record.step(event)?;
    disk.write_all_at(&next.encode(), state + found.write_to as u64 * COPY_DISTANCE)?;
    disk.sync_all()?;
    Ok(next)
}

/// The boot image, if the slot's signed header vouches for it.
fn check(disk: &File, at: u64, len: u64, trusted: &Keyring) -> Result<Vec<u8>, Reason> {
    let mut header = [0; HEADER_LEN];
    let header_at = at + len - HEADER_LEN as u64;
    disk.read_exact_at(&mut header, header_at).map_err(|_| Reason::BootImage)?;
    let header = Header::verify(&header, trusted).map_err(|_| Reason::Signature)?;
    let fits = header.boot_len <= len - HEADER_LEN as u64;
    let mut image = vec![0; if fits { header.boot_len as usize } else { 0 }];
    disk.read_exact_at(&mut image, at).map_err(|_| Reason::BootImage)?;
    if Digest::of(&image) == header.boot { Ok(image) } else { Err(Reason::BootImage) }
}

fn trusted(out: &Path) -> Result<Keyring, AnyError> {
    let mut ring = Keyring::new();
    let key = PublicKey::read(&out.join("../../dev-keys/firmware.pub"))?;
    ring.insert_from(key, Origin::Platform)?;
    Ok(ring)
}
