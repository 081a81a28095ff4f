//! The boot loader of `qemu-arm`, U-Boot with a script of ours, as it is built:
//! it takes the steps of the state record that the core takes, byte for byte,
//! starts nothing but what is signed for it, and talks to nobody.
//!
//! What it starts here switches the machine off, so that a start takes a second.

mod records;

use evenkeel_e2e::ProgramError;
use evenkeel_e2e::fit::{self, Fit};
use evenkeel_e2e::machine::{CONTROL, DISK, KEY, LOADER, Line, Machine, MachineError, TREE};
use evenkeel_image::release::PRODUCT;
use evenkeel_image::{board, disk};
use evenkeel_signing::slot::header::HEADER_LEN;
use evenkeel_signing::slot::record::{COPY_DISTANCE, RECORD_LEN};
use evenkeel_signing::slot::{Event, Header, Reason, Record, Slot, SlotState};
use evenkeel_signing::{Digest, SecretKey};
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// From the start to the machine's end.
const RUN: Duration = Duration::from_secs(60);
/// Both copies of the record, and what is between them.
const STATE: usize = COPY_DISTANCE as usize + RECORD_LEN;
/// A kernel that switches the machine off (PSCI `SYSTEM_OFF`): load a word,
/// call, the word.
const OFF: [u32; 3] = [0xe59f_0000, 0xe140_0070, 0x8400_0008];
const LOAD: u32 = 0x4040_0000;

/// A machine with the loader and a disk of its own.
struct Rig {
    machine: Machine,
    firmware: SecretKey,
    /// Where the key of boot images is.
    keys: PathBuf,
    tree: Vec<u8>,
    dir: tempfile::TempDir,
}

impl Rig {
    /// With a boot image in each slot, signed and named by its header.
    fn new() -> Self {
        // target/debug/deps/<test> → target
        let test = std::env::current_exe().expect("the test has a file");
        let target = test.ancestors().nth(3).expect("a folder").to_owned();
        let image = target.join("image/qemu-arm");
        let dir = tempfile::tempdir().expect("a folder");
        for name in [LOADER, CONTROL, KEY, board::FILE] {
            fs::copy(image.join(name), dir.path().join(name))
                .expect("`cargo xtask image --board qemu-arm` builds it");
        }
        let partitions = disk::layout(disk::MIN_LEN).expect("a disk");
        let file = File::create(dir.path().join(DISK)).expect("made");
        file.set_len(disk::MIN_LEN).expect("made");
        for (at, bytes) in disk::table(disk::MIN_LEN, &partitions) {
            file.write_all_at(&bytes, at).expect("written");
        }
        let keys = target.join("dev-keys");
        let firmware = SecretKey::read(&keys.join("firmware.key")).expect("a key");
        let machine = Machine::new(dir.path(), 0, [Line::Nothing, Line::Nothing]);
        let tree = fs::read(image.join(TREE)).expect("made with the loader");
        let rig = Self { machine: machine.expect("a machine"), firmware, keys, tree, dir };
        let signed = rig.pack(Some(&rig.keys));
        for slot in Slot::BOTH {
            rig.install(slot, &signed, 1);
        }
        rig
    }

    /// A boot image, signed with the key in this folder.
    fn pack(&self, keys: Option<&Path>) -> Vec<u8> {
        let kernel: Vec<u8> = OFF.iter().flat_map(|word| word.to_le_bytes()).collect();
        let (device_tree, load) = (self.tree.as_slice(), LOAD);
        let fit = Fit { kernel: &kernel, archive: b"none", device_tree, command_line: "", load };
        fit.pack(&self.dir.path().join("fit"), keys, None).expect("packed")
    }

    /// Put a boot image into `slot`, with a header that vouches for it.
    fn install(&self, slot: Slot, boot: &[u8], epoch: u32) {
        self.machine.write(disk::boot(slot), 0, boot).expect("written");
        let header = Header {
            epoch,
            development: true,
            product: PRODUCT.to_owned(),
            board: "qemu-arm".to_owned(),
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

    fn write_header(&self, slot: Slot, bytes: &[u8]) {
        let (_, len) = self.machine.partition(disk::boot(slot)).expect("a partition");
        let at = len - HEADER_LEN as u64;
        self.machine.write(disk::boot(slot), at, bytes).expect("written");
    }

    fn set_state(&self, state: &[u8]) {
        self.machine.write("state", 0, state).expect("written");
    }

    fn state(&self) -> Vec<u8> {
        self.machine.read("state", 0, STATE).expect("read")
    }

    /// Run the loader; the slot that it starts, if any.
    fn run(&mut self) -> Option<Slot> {
        let log = self.dir.path().join("console.log");
        // There is none before the first run.
        let _ = fs::remove_file(&log);
        match self.machine.start() {
            Ok((slot, mut qemu)) => {
                qemu.await_end(RUN).expect("what it started switched off");
                Some(slot)
            }
            Err(MachineError::Program(ProgramError::Ended { .. })) => {
                let said = fs::read_to_string(log).expect("a log");
                assert!(said.contains("loader: nothing starts, switching off"), "{said}");
                None
            }
            Err(error) => panic!("{error}"),
        }
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
        let took = begun.elapsed().as_secs_f64();
        println!("{name}: {slot:?}, {took:.1} s");
        assert_eq!(slot, wanted, "{name}");
        let found = self.state();
        for (copy, at) in [0, COPY_DISTANCE as usize].into_iter().enumerate() {
            let record = |bytes: &[u8]| {
                let copy = &bytes[at..at + RECORD_LEN];
                Record::decode(copy.try_into().expect("as long as a record"))
            };
            assert_eq!(record(&found), record(&after), "{name}, copy {copy}");
        }
        assert!(found == after, "{name}: other bytes");
    }
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
    let mut cases = records::named();
    cases.extend(records::random());
    for (name, state) in cases {
        rig.compare(&name, &state);
    }
}

#[test]
fn a_record_that_is_lost_is_made_anew_from_the_headers() {
    let mut rig = Rig::new();
    let signed = rig.pack(Some(&rig.keys));
    let nothing = vec![0xff; STATE];
    for (a, b) in [(1, 2), (2, 2), (3, 2), (u32::MAX, 1)] {
        rig.install(Slot::A, &signed, a);
        rig.install(Slot::B, &signed, b);
        rig.compare(&format!("epochs {a} and {b}"), &nothing);
    }
    rig.write_header(Slot::A, &[0; HEADER_LEN]);
    rig.compare("slot B alone", &nothing);
    rig.write_header(Slot::B, &[0; HEADER_LEN]);
    rig.compare("no slot", &nothing);
}

#[test]
fn a_damaged_slot_is_given_up_for_the_other() {
    let mut rig = Rig::new();
    let signed = rig.pack(Some(&rig.keys));
    let state = records::copies(&both_good(), None);
    let other = |name: &str, rig: &mut Rig| {
        rig.compare(name, &state);
        let record = rig.machine.record().expect("a record");
        assert_eq!((record.active, record.slots[1].state), (Slot::A, SlotState::Bad), "{name}");
        rig.install(Slot::B, &signed, 1);
    };
    rig.compare("nothing is damaged", &state);
    assert_eq!(rig.machine.record().expect("a record").active, Slot::B);
    let mut altered = signed.clone();
    altered[signed.len() / 2] ^= 1;
    rig.machine.write("boot_b", 0, &altered).expect("written");
    other("one bit of the boot image", &mut rig);
    rig.write_header(Slot::B, &[0; HEADER_LEN]);
    other("no header", &mut rig);
    // Of another release, signed as well: it is not the header's.
    let kernel = [OFF, OFF].concat().iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>();
    let device_tree = rig.tree.as_slice();
    let fit = Fit { kernel: &kernel, archive: b"", device_tree, command_line: "", load: LOAD };
    let another = fit.pack(&rig.dir.path().join("fit"), Some(&rig.keys), None).expect("packed");
    rig.machine.write("boot_b", 0, &another).expect("written");
    other("the boot image of another release", &mut rig);
}

/// The key of headers vouches for each of these; the key of boot images has not
/// signed it.
#[test]
fn what_is_not_signed_for_it_does_not_start() {
    let mut rig = Rig::new();
    let signed = rig.pack(Some(&rig.keys));
    let foreign = rig.dir.path().join("foreign");
    fit::make_key(&foreign).expect("a key");
    let mut altered = signed.clone();
    let kernel: Vec<u8> = OFF.iter().flat_map(|word| word.to_le_bytes()).collect();
    let at = signed.windows(kernel.len()).position(|part| part == kernel).expect("a kernel");
    altered[at + 4 * OFF.len() - 1] ^= 0x80;
    let cases = [
        ("unsigned", rig.pack(None)),
        ("by another key", rig.pack(Some(&foreign))),
        ("an altered kernel", altered),
        ("a legacy image", legacy(rig.dir.path(), &kernel)),
        ("a bare kernel", kernel),
    ];
    for (name, boot) in cases {
        rig.install(Slot::B, &boot, 1);
        rig.set_state(&records::copies(&both_good(), None));
        assert_eq!(rig.run(), Some(Slot::A), "{name}");
        let wanted = both_good().step(Event::Start).expect("a start");
        let wanted = wanted.step(Event::Refused(Reason::Signature)).expect("the other");
        assert_eq!(rig.machine.record().expect("a record"), wanted, "{name}");
    }
    let unsigned = rig.pack(None);
    for slot in Slot::BOTH {
        rig.install(slot, &unsigned, 1);
    }
    rig.set_state(&records::copies(&both_good(), None));
    assert_eq!(rig.run(), None, "nothing is signed");
    let record = rig.machine.record().expect("a record");
    assert!(record.step(Event::Refused(Reason::Signature)).is_err(), "{record:?}");
}

/// The kernel in the format from before there were signatures.
fn legacy(folder: &Path, kernel: &[u8]) -> Vec<u8> {
    fs::write(folder.join("kernel"), kernel).expect("written");
    let at = format!("{LOAD:#x}");
    let options = ["-A", "arm", "-O", "linux", "-T", "kernel", "-C", "none", "-n", "old"];
    let mut make = Command::new("mkimage");
    make.args(options).args(["-a", &at, "-e", &at, "-d", "kernel", "legacy"]);
    let made = make.current_dir(folder).stdout(Stdio::null()).status().expect("started");
    assert!(made.success());
    fs::read(folder.join("legacy")).expect("made")
}

/// Keys are pressed from the first moment to the last, and at the end there is
/// nothing to start: still nobody is asked anything.
#[test]
fn there_is_no_prompt() {
    let mut rig = Rig::new();
    for slot in Slot::BOTH {
        rig.write_header(slot, &[0; HEADER_LEN]);
    }
    rig.set_state(&[0; STATE]);
    assert!(rig.machine.load().expect("a machine").is_none(), "its own loader starts it");
    let mut qemu = rig.machine.command(None).expect("a command");
    let log = rig.dir.path().join("keys.log");
    let file = File::create(&log).expect("made");
    let mut qemu = qemu.stdin(Stdio::piped()).stdout(file).spawn().expect("started");
    let mut keys = qemu.stdin.take().expect("a pipe");
    let begun = Instant::now();
    while qemu.try_wait().expect("asked").is_none() {
        assert!(begun.elapsed() < RUN, "it goes on for ever");
        // It may end meanwhile.
        let _ = keys.write_all(b"\x03 \r\nhelp\r\n");
        std::thread::sleep(Duration::from_millis(5));
    }
    let said = String::from_utf8_lossy(&fs::read(log).expect("a log")).into_owned();
    assert!(said.contains("loader: nothing starts, switching off"), "{said}");
    assert!(!said.lines().any(|line| line.starts_with("=>")), "a prompt:\n{said}");
    for sign in ["Unknown command", "help", "<INTERRUPT>"] {
        assert!(!said.contains(sign), "{sign}:\n{said}");
    }
}

#[test]
fn other_ways_to_start_something_are_not_built_in() {
    let rig = Rig::new();
    let loader = fs::read(rig.dir.path().join(LOADER)).expect("a loader");
    let has = |words: &str| loader.windows(words.len()).any(|part| part == words.as_bytes());
    assert!(has("boot application image from memory"), "bootm, the one that checks");
    for (command, words) in [
        ("bootz", "boot Linux zImage image from memory"),
        ("bootefi", "Boots an EFI payload from memory"),
        ("source", "run script from memory"),
        ("go", "start application at address"),
        ("bootelf", "Boot from an ELF image in memory"),
        ("tftpboot", "boot image via network using TFTP protocol"),
        ("loady", "load binary file over serial line"),
        ("sysboot", "command to get and boot from syslinux files"),
        ("saveenv", "save environment variables to persistent storage"),
    ] {
        assert!(!has(words), "{command}");
    }
}
