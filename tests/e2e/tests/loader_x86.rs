//! The boot loader of `qemu-x86_64` as it is built, started by UEFI firmware
//! under Secure Boot: the firmware takes no other loader, the loader takes the
//! steps of the core byte for byte and starts nothing but what is signed for
//! it, and nobody is asked anything.
//!
//! The steps themselves are tried on every record in
//! `image/loader/tests/steps.rs`: a start here takes seconds. But for the last
//! test, what is started switches the machine off.

mod pe;
#[allow(dead_code, reason = "a start takes seconds; most records are tried without")]
mod records;

use evenkeel_e2e::machine::{DISK, KEY, Line, Machine, MachineError, PARTITION, VARIABLES};
use evenkeel_e2e::{Program, ProgramError, uefi};
use evenkeel_image::release::PRODUCT;
use evenkeel_image::{board, disk};
use evenkeel_loader::boot::Boot;
use evenkeel_signing::slot::header::HEADER_LEN;
use evenkeel_signing::slot::record::{COPY_DISTANCE, RECORD_LEN};
use evenkeel_signing::slot::{Event, Header, Reason, Record, Slot, SlotState};
use evenkeel_signing::{Digest, SecretKey};
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

const BOARD: &str = "qemu-x86_64";
/// From the start to the machine's end, on a busy machine.
const RUN: Duration = Duration::from_secs(120);
/// Both copies of the record, and what is between them.
const STATE: usize = COPY_DISTANCE as usize + RECORD_LEN;
/// What the loader says at its end.
const END: &str = "loader: nothing starts, switching off";

/// A machine with the loader and a disk of its own.
struct Rig {
    machine: Machine,
    firmware: SecretKey,
    /// Where the key of programs is.
    keys: PathBuf,
    dir: tempfile::TempDir,
}

/// target/debug/deps/<test> → target
fn target() -> PathBuf {
    let test = std::env::current_exe().expect("the test has a file");
    test.ancestors().nth(3).expect("a folder").to_owned()
}

impl Rig {
    /// With a signed boot image in each slot, named by its header.
    fn new() -> Self {
        let image = target().join("image").join(BOARD);
        let dir = tempfile::tempdir().expect("a folder");
        for name in [PARTITION, VARIABLES, KEY, board::FILE] {
            fs::copy(image.join(name), dir.path().join(name))
                .expect("`cargo xtask image --board qemu-x86_64` builds it");
        }
        let partitions = disk::layout(disk::MIN_LEN).expect("a disk");
        let file = File::create(dir.path().join(DISK)).expect("made");
        file.set_len(disk::MIN_LEN).expect("made");
        for (at, bytes) in disk::table(disk::MIN_LEN, &partitions) {
            file.write_all_at(&bytes, at).expect("written");
        }
        let keys = target().join("dev-keys");
        let firmware = SecretKey::read(&keys.join("firmware.key")).expect("a key");
        let machine = Machine::new(dir.path(), 0, [Line::Nothing, Line::Nothing]);
        let machine = machine.expect("a machine").verified();
        let rig = Self { machine, firmware, keys, dir };
        let signed = rig.signed(&pe::program(pe::OFF));
        for slot in Slot::BOTH {
            rig.install(slot, &pack(&signed));
        }
        rig.set_state(&records::copies(&both_good(), None));
        rig
    }

    fn signed(&self, program: &[u8]) -> Vec<u8> {
        uefi::sign(program, &self.keys, self.dir.path()).expect("signed")
    }

    /// Put a boot image into `slot`, with a header that vouches for it.
    fn install(&self, slot: Slot, boot: &[u8]) {
        self.machine.write(disk::boot(slot), 0, boot).expect("written");
        let header = Header {
            epoch: 1,
            development: true,
            product: PRODUCT.to_owned(),
            board: BOARD.to_owned(),
            version: "1.0.0".to_owned(),
            boot: Digest::of(boot),
            boot_len: boot.len() as u64,
            root: Digest([0; 32]),
            salt: [0; 32],
            data_blocks: 1,
            schema: 1,
            readable_from: 1,
        };
        self.write_header(slot, &header.seal(&self.firmware).expect("sealed"));
    }

    fn header_at(&self, slot: Slot) -> u64 {
        let (_, len) = self.machine.partition(disk::boot(slot)).expect("a partition");
        len - HEADER_LEN as u64
    }

    fn write_header(&self, slot: Slot, bytes: &[u8]) {
        self.machine.write(disk::boot(slot), self.header_at(slot), bytes).expect("written");
    }

    fn set_state(&self, state: &[u8]) {
        self.machine.write("state", 0, state).expect("written");
    }

    fn state(&self) -> Vec<u8> {
        self.machine.read("state", 0, STATE).expect("read")
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("console.log")
    }

    /// Run the loader; the slot that it starts, if any.
    fn run(&mut self) -> Option<Slot> {
        // There is none before the first run.
        let _ = fs::remove_file(self.log());
        match self.machine.start() {
            Ok((slot, mut qemu)) => {
                qemu.await_end(RUN).expect("what it started switched off");
                Some(slot)
            }
            Err(MachineError::Program(ProgramError::Ended { .. })) => {
                let said = fs::read_to_string(self.log()).expect("a log");
                assert!(said.contains(END), "{said}");
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Switch on with something else in the loader's place.
    fn without_loader(&self) -> Program {
        // There is none before the first run.
        let _ = fs::remove_file(self.log());
        let mut qemu = self.machine.command(None).expect("a command");
        Program::start("qemu", &mut qemu, &self.log()).expect("started")
    }

    /// Run the loader, and the core's rules on a disk like it: the same slot,
    /// the same bytes.
    fn compare(&mut self, name: &str, state: &[u8]) {
        self.set_state(state);
        let wanted = self.machine.choose().ok();
        let after = self.state();
        self.set_state(state);
        let begun = Instant::now();
        let slot = self.run();
        println!("{name}: {slot:?}, {:.1} s", begun.elapsed().as_secs_f64());
        assert_eq!(slot, wanted, "{name}");
        assert!(self.state() == after, "{name}: other bytes");
    }

    /// Slot B is refused, slot A starts, and the record says why.
    fn refused(&mut self, name: &str, reason: Reason) {
        self.set_state(&records::copies(&both_good(), None));
        let begun = Instant::now();
        assert_eq!(self.run(), Some(Slot::A), "{name}");
        println!("{name}: refused, {:.1} s", begun.elapsed().as_secs_f64());
        let wanted = both_good().step(Event::Start).expect("a start");
        let wanted = wanted.step(Event::Refused(reason)).expect("the other");
        assert_eq!(self.machine.record().expect("a record"), wanted, "{name}");
    }
}

/// A boot image of our own with this kernel.
fn pack(kernel: &[u8]) -> Vec<u8> {
    let boot = Boot { kernel, archive: b"none", command_line: "quiet" };
    boot.pack().expect("packed")
}

/// Slot B good and active, slot A good: what refuses B goes on with A.
fn both_good() -> Record {
    let mut record = Record::factory(Slot::B, [2; 8], 1);
    record.slots[0] = record.slots[1];
    record
}

#[test]
fn it_takes_the_steps_of_the_core() {
    let mut rig = Rig::new();
    let trial = |tries_left| {
        let mut record = Record { tries_left, boot_reason: Reason::Restart, ..both_good() };
        record.slots[1].state = SlotState::Trial;
        record
    };
    let ordered = Record { erase: true, keyring: 9, ..both_good() };
    let newer = Record { sequence: 2, active: Slot::A, ..both_good() };
    let mut torn = records::copies(&both_good(), Some(&newer));
    torn[COPY_DISTANCE as usize + 100] ^= 1;
    for (name, state) in [
        ("a trial with 3 tries", records::copies(&trial(3), None)),
        ("a trial without", records::copies(&trial(0), None)),
        ("the newest is torn", torn),
        ("a factory reset is ordered", records::copies(&ordered, None)),
        ("both copies are lost", vec![0xff; STATE]),
    ] {
        rig.compare(name, &state);
    }
}

#[test]
fn a_damaged_slot_is_given_up_for_the_other() {
    let mut rig = Rig::new();
    let byte = rig.machine.read("boot_b", 40, 1).expect("read")[0];
    rig.machine.write("boot_b", 40, &[byte ^ 1]).expect("written");
    rig.refused("one bit of the boot image", Reason::BootImage);
    rig.machine.write("boot_b", 40, &[byte]).expect("written");
    let at = rig.header_at(Slot::B) + 100;
    rig.machine.write("boot_b", at, b"2").expect("written");
    rig.refused("one letter of the header", Reason::Signature);
}

/// The key of headers vouches for each of these; the firmware's key has not
/// signed it.
#[test]
fn a_kernel_that_is_not_signed_for_the_firmware_does_not_start() {
    let mut rig = Rig::new();
    let unsigned = pe::program(pe::OFF);
    let foreign = rig.dir.path().join("foreign");
    uefi::make_key(&foreign).expect("a key");
    let mut altered = rig.signed(&unsigned);
    // Behind what is run.
    altered[pe::CODE_AT + 100] ^= 1;
    for (name, kernel) in [
        ("unsigned", unsigned.clone()),
        ("by another key", uefi::sign(&unsigned, &foreign, rig.dir.path()).expect("signed")),
        ("altered", altered),
    ] {
        rig.install(Slot::B, &pack(&kernel));
        rig.refused(name, Reason::Signature);
    }
    rig.install(Slot::B, &pack(b"no program at all"));
    rig.refused("no program", Reason::Signature);
}

/// Nothing is signed, and keys are pressed from the first moment of the loader:
/// it asks nobody, and switches off.
#[test]
fn with_nothing_to_start_it_switches_off_and_asks_nobody() {
    let mut rig = Rig::new();
    for slot in Slot::BOTH {
        rig.install(slot, &pack(&pe::program(pe::OFF)));
    }
    assert!(rig.machine.load().expect("a machine").is_none(), "its own loader starts it");
    let mut qemu = rig.machine.command(None).expect("a command");
    let file = File::create(rig.log()).expect("made");
    let mut qemu = qemu.stdin(Stdio::piped()).stdout(file).spawn().expect("started");
    let mut keys = qemu.stdin.take().expect("a pipe");
    let begun = Instant::now();
    while qemu.try_wait().expect("asked").is_none() {
        assert!(begun.elapsed() < RUN, "it goes on for ever");
        // It may end meanwhile.
        let _ = keys.write_all(b"\r\nhelp\r\n");
        std::thread::sleep(Duration::from_millis(50));
    }
    let said = String::from_utf8_lossy(&fs::read(rig.log()).expect("a log")).into_owned();
    for words in ["slot b is refused, reason 1", "slot a is refused, reason 1", END] {
        assert!(said.contains(words), "{words}:\n{said}");
    }
    let after = said.split(END).nth(1).expect("the end");
    assert_eq!(after.trim(), "", "nobody after it");
    let record = rig.machine.record().expect("a record");
    assert!(record.step(Event::Refused(Reason::Signature)).is_err(), "{record:?}");
}

#[test]
fn the_firmware_starts_no_other_loader() {
    let rig = Rig::new();
    let program = pe::program(pe::OFF);
    let foreign = rig.dir.path().join("foreign");
    uefi::make_key(&foreign).expect("a key");
    for (name, loader) in [
        ("unsigned", program.clone()),
        ("by another key", uefi::sign(&program, &foreign, rig.dir.path()).expect("signed")),
    ] {
        uefi::partition(&rig.dir.path().join(PARTITION), &loader).expect("made");
        let mut qemu = rig.without_loader();
        qemu.await_words("Access Denied", RUN).unwrap_or_else(|e| panic!("{name}: {e}"));
        println!("{name}: {}", qemu.log());
        qemu.kill();
    }
    // That it was not the partition: the same program with a signature.
    let signed = rig.signed(&program);
    uefi::partition(&rig.dir.path().join(PARTITION), &signed).expect("made");
    rig.without_loader().await_end(RUN).expect("it switched off");
}

/// Nobody feeds a watchdog before the first stage but the firmware, up to where
/// the kernel takes the machine over.
#[test]
#[ignore = "half a minute is waited for: cargo xtask soak"]
fn a_kernel_that_hangs_in_the_firmware_s_hands_is_reset() {
    let mut rig = Rig::new();
    let hanging = rig.signed(&pe::program(pe::HANG));
    rig.install(Slot::B, &pack(&hanging));
    let begun = Instant::now();
    assert_eq!(rig.run(), Some(Slot::B));
    println!("reset after {:.1} s", begun.elapsed().as_secs_f64());
    assert!(begun.elapsed() > Duration::from_secs(25), "it was not the watchdog");
}

/// The image as it is built, down to the root under its hash tree.
#[test]
fn the_image_starts_verified_from_the_firmware_on() {
    let dir = tempfile::tempdir().expect("a folder");
    let image = target().join("image").join(BOARD);
    let machine = Machine::copy(&image, dir.path(), [Line::Nothing, Line::Nothing]);
    let mut machine = machine.expect("a machine").verified();
    assert!(machine.load().expect("a machine").is_none(), "its own loader starts it");
    let begun = Instant::now();
    let (slot, mut qemu) = machine.start().expect("started");
    assert_eq!(slot, Slot::A);
    println!("to the kernel: {:.1} s", begun.elapsed().as_secs_f64());
    let line = qemu.await_words("slot A: version", RUN).expect("the first stage");
    println!("to the first stage: {:.1} s: {line}", begun.elapsed().as_secs_f64());
    qemu.await_words("guard", RUN).expect("the supervisor");
    println!("{}", qemu.log());
    qemu.kill();
}
