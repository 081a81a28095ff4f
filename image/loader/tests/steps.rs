//! The loader's steps on a disk in memory: the state records on which the other
//! boards' loader is tried as well, and everything that may be wrong with a
//! slot.

#[path = "../../../tests/e2e/tests/records/mod.rs"]
mod records;

use evenkeel_loader::{Board, Judge, Note, Refusal, Unusable, run};
use evenkeel_signing::slot::header::HEADER_LEN;
use evenkeel_signing::slot::record::{COPY_DISTANCE, RECORD_LEN};
use evenkeel_signing::slot::{
    Copies, Event, Forbidden, Header, HeaderError, Reason, Record, RecordError, Slot, SlotState,
};
use evenkeel_signing::{Digest, Keyring, Origin, Role, SecretKey};
use std::rc::Rc;

/// Length of a boot partition.
const BOOT_LEN: usize = 64 << 10;
const BOARD: &str = "test";

/// What was done, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Act {
    Wrote(usize),
    Started(Slot),
}

/// A disk, and a kernel that says when it was started.
struct Rig {
    state: Vec<u8>,
    boot: [Vec<u8>; 2],
    key: SecretKey,
    judge: Rc<Judge>,
    acts: Vec<Act>,
    notes: Vec<Note>,
    /// The kernel of this slot comes back, for this reason.
    comes_back: Option<(Slot, Reason)>,
    /// What cannot be read: a copy, a slot's boot partition.
    unreadable: (Option<usize>, Option<Slot>),
    /// The disk says that it wrote, and did not.
    forgets: bool,
}

impl Board for Rig {
    type Started = Slot;

    fn read_copy(&mut self, copy: usize) -> Option<[u8; RECORD_LEN]> {
        let at = copy * COPY_DISTANCE as usize;
        let bytes = self.state[at..at + RECORD_LEN].try_into().expect("as long as a record");
        (self.unreadable.0 != Some(copy)).then_some(bytes)
    }

    fn write_copy(&mut self, copy: usize, bytes: &[u8; RECORD_LEN]) -> Result<(), Unusable> {
        self.acts.push(Act::Wrote(copy));
        if !self.forgets {
            let at = copy * COPY_DISTANCE as usize;
            self.state[at..at + RECORD_LEN].copy_from_slice(bytes);
        }
        Ok(())
    }

    fn boot_len(&self, slot: Slot) -> u64 {
        self.boot[slot.index()].len() as u64
    }

    fn read_boot(&mut self, slot: Slot, at: u64, bytes: &mut [u8]) -> Result<(), Unusable> {
        let partition = &self.boot[slot.index()];
        let part = partition.get(at as usize..at as usize + bytes.len()).ok_or(Unusable)?;
        bytes.copy_from_slice(part);
        if self.unreadable.1 == Some(slot) { Err(Unusable) } else { Ok(()) }
    }

    fn start(&mut self, slot: Slot, image: &[u8]) -> Result<Slot, Reason> {
        assert!(self.boot[slot.index()].starts_with(image), "another boot image");
        self.acts.push(Act::Started(slot));
        match self.comes_back {
            Some((bad, reason)) if bad == slot => Err(reason),
            _ => Ok(slot),
        }
    }

    fn say(&mut self, note: Note) {
        self.notes.push(note);
    }
}

impl Rig {
    /// Both slots hold a system of epoch 1, and slot B is the active one.
    fn new() -> Self {
        let key = SecretKey::generate(Role::Firmware, "release").expect("a key");
        let mut trusted = Keyring::new();
        trusted.insert_from(key.public(), Origin::Platform).expect("inserted");
        let (product, board) = ("evenkeel".into(), BOARD.into());
        let judge = Rc::new(Judge { product, board, least: 1, trusted });
        let boot = [vec![0; BOOT_LEN], vec![0; BOOT_LEN]];
        let mut rig = Self {
            state: records::copies(&both_good(), None),
            boot,
            key,
            judge,
            acts: Vec::new(),
            notes: Vec::new(),
            comes_back: None,
            unreadable: (None, None),
            forgets: false,
        };
        for slot in Slot::BOTH {
            let header = rig.header(slot);
            rig.install(slot, &header);
        }
        rig
    }

    fn load(&mut self) -> Result<Slot, Forbidden> {
        let judge = self.judge.clone();
        run(self, &judge)
    }

    /// A header that vouches for what is in `slot`.
    fn header(&self, slot: Slot) -> Header {
        let len = BOOT_LEN - 2 * HEADER_LEN;
        Header {
            epoch: 1,
            development: true,
            product: "evenkeel".into(),
            board: BOARD.into(),
            version: "1.0.0".into(),
            boot: Digest::of(&self.boot[slot.index()][..len]),
            boot_len: len as u64,
            root: Digest([0; 32]),
            salt: [0; 32],
            data_blocks: 1,
            schema: 1,
            readable_from: 1,
        }
    }

    fn install(&mut self, slot: Slot, header: &Header) {
        self.write_header(slot, &header.seal(&self.key).expect("sealed"));
    }

    fn write_header(&mut self, slot: Slot, bytes: &[u8; HEADER_LEN]) {
        self.boot[slot.index()][BOOT_LEN - HEADER_LEN..].copy_from_slice(bytes);
    }

    fn record(&self) -> Record {
        let copy = |at: usize| self.state[at..at + RECORD_LEN].try_into().expect("a copy");
        let copies: [[u8; RECORD_LEN]; 2] = [copy(0), copy(COPY_DISTANCE as usize)];
        Copies::judge([Some(&copies[0]), Some(&copies[1])]).expect("a record").record
    }

    /// The one refusal, of slot B, after which slot A started.
    fn refused(&mut self) -> Refusal {
        assert_eq!(self.load(), Ok(Slot::A));
        let record = self.record();
        assert_eq!((record.active, record.slots[1].state), (Slot::A, SlotState::Bad));
        assert_eq!(record.slots[0].state, SlotState::Good);
        let refusal = match &*self.notes {
            [Note::Slot(Slot::B), Note::Refused(Slot::B, refusal), Note::Slot(Slot::A)] => refusal,
            notes => panic!("{notes:?}"),
        };
        assert_eq!(record.slots[1].reason, refusal.reason());
        assert_eq!(record.boot_reason, refusal.reason(), "and it is told after the start");
        refusal.clone()
    }
}

/// Slot B good and active, slot A good.
fn both_good() -> Record {
    let mut record = Record::factory(Slot::B, [2; 8], 1);
    record.slots[0] = record.slots[1];
    record
}

#[test]
fn every_record_takes_one_step_that_is_written_before_anything_starts() {
    let mut cases = records::named();
    cases.extend(records::random());
    assert!(cases.len() > 140);
    let (mut started, mut nothing) = (0, 0);
    for (name, state) in cases {
        let mut rig = Rig::new();
        rig.state.clone_from(&state);
        let copy = |at: usize| state[at..at + RECORD_LEN].try_into().expect("a copy");
        let copies: [[u8; RECORD_LEN]; 2] = [copy(0), copy(COPY_DISTANCE as usize)];
        let (before, to) = match Copies::judge([Some(&copies[0]), Some(&copies[1])]) {
            Ok(found) => (found.record, found.write_to),
            Err(_) => {
                let tag = |slot: Slot| {
                    let bytes = &rig.boot[slot.index()][BOOT_LEN - HEADER_LEN..];
                    Header::tag(bytes.try_into().expect("a header"))
                };
                let headers = Slot::BOTH.map(|slot| Some((1, tag(slot))));
                (Record::rebuild(headers, 1).expect("two good headers"), 0)
            }
        };
        let mut wanted = state.clone();
        let slot = before.step(Event::Start).map(|record| {
            let at = to * COPY_DISTANCE as usize;
            wanted[at..at + RECORD_LEN].copy_from_slice(&record.encode());
            record.active
        });
        assert_eq!(rig.load(), slot, "{name}");
        assert!(rig.state == wanted, "{name}: other bytes");
        match slot {
            Ok(slot) => assert_eq!(rig.acts, [Act::Wrote(to), Act::Started(slot)], "{name}"),
            Err(_) => assert_eq!(rig.acts, [], "{name}"),
        }
        if slot.is_ok() { started += 1 } else { nothing += 1 }
    }
    assert!(started > 60 && nothing > 5, "{started} start, {nothing} do not");
}

#[test]
fn a_record_that_is_lost_is_made_anew_from_headers_that_hold() {
    for (a, b, slot) in [(1, 2, Slot::B), (2, 2, Slot::A), (3, 2, Slot::A)] {
        let mut rig = Rig::new();
        for (slot, epoch) in Slot::BOTH.into_iter().zip([a, b]) {
            let header = Header { epoch, ..rig.header(slot) };
            rig.install(slot, &header);
        }
        rig.state.fill(0xff);
        assert_eq!(rig.load(), Ok(slot), "{a} {b}");
        assert_eq!(rig.notes[0], Note::Lost([RecordError::Checksum; 2]));
        let record = rig.record();
        assert!(record.is_good(Slot::A) && record.is_good(Slot::B), "{record:?}");
        assert_eq!(record.floor, 1, "that of the loader");
    }
    let mut rig = Rig::new();
    rig.state.fill(0xff);
    rig.boot[1][BOOT_LEN - HEADER_LEN + 8] ^= 0x80;
    assert_eq!(rig.load(), Ok(Slot::A), "an altered epoch counts for nothing");
    let mut rig = Rig::new();
    rig.state.fill(0xff);
    (rig.boot[0], rig.boot[1]) = (vec![0; BOOT_LEN], vec![0; BOOT_LEN]);
    assert_eq!(rig.load(), Err(Forbidden::NothingToStart));
    assert_eq!(rig.acts, [], "and nothing is written");
}

#[test]
fn what_is_altered_unsigned_or_for_others_is_refused_for_good_and_the_other_starts() {
    let mut rig = Rig::new();
    rig.boot[1][BOOT_LEN / 2] ^= 1;
    assert_eq!(rig.refused(), Refusal::BootImage);

    let mut rig = Rig::new();
    rig.boot[1][BOOT_LEN - HEADER_LEN + 150] ^= 1;
    assert!(matches!(rig.refused(), Refusal::Header(HeaderError::Signature { .. })));

    let mut rig = Rig::new();
    rig.write_header(Slot::B, &[0; HEADER_LEN]);
    assert_eq!(rig.refused(), Refusal::Header(HeaderError::Empty));

    let mut rig = Rig::new();
    let foreign = SecretKey::generate(Role::Firmware, "foreign").expect("a key");
    let bytes = rig.header(Slot::B).seal(&foreign).expect("sealed");
    rig.write_header(Slot::B, &bytes);
    assert!(matches!(rig.refused(), Refusal::Header(HeaderError::UnknownKey(_))));

    let mut rig = Rig::new();
    let header = Header { board: "another".into(), ..rig.header(Slot::B) };
    rig.install(Slot::B, &header);
    assert_eq!(rig.refused(), Refusal::WrongBoard("another".into()));

    let mut rig = Rig::new();
    let header = Header { product: "another".into(), ..rig.header(Slot::B) };
    rig.install(Slot::B, &header);
    assert_eq!(rig.refused(), Refusal::WrongBoard("another".into()));

    let mut rig = Rig::new();
    Rc::get_mut(&mut rig.judge).expect("nobody else has it").least = 2;
    let header = Header { epoch: 2, ..rig.header(Slot::A) };
    rig.install(Slot::A, &header);
    assert_eq!(rig.refused(), Refusal::Epoch { epoch: 1, least: 2 });

    // Longer than its partition, or than the memory of any board.
    for boot_len in [BOOT_LEN as u64, 1 << 30] {
        let mut rig = Rig::new();
        let header = Header { boot_len, ..rig.header(Slot::B) };
        rig.install(Slot::B, &header);
        assert_eq!(rig.refused(), Refusal::BootImage);
    }

    let mut rig = Rig::new();
    rig.unreadable.1 = Some(Slot::B);
    assert_eq!(rig.refused(), Refusal::Unreadable);
}

#[test]
fn a_kernel_that_the_firmware_refuses_is_given_up_and_one_that_comes_back_ends() {
    let mut rig = Rig::new();
    rig.comes_back = Some((Slot::B, Reason::Signature));
    assert_eq!(rig.refused(), Refusal::NotStarted(Reason::Signature));
    // The only system that is left is tried again, and not for ever.
    let mut rig = Rig::new();
    rig.state = records::copies(&Record::factory(Slot::B, [1; 8], 1), None);
    rig.comes_back = Some((Slot::B, Reason::NotUp));
    assert_eq!(rig.load(), Err(Forbidden::NothingToStart));
    let starts = rig.acts.iter().filter(|act| **act == Act::Started(Slot::B)).count();
    assert!((2..=4).contains(&starts), "{starts}");
    rig.comes_back = None;
    assert_eq!(rig.load(), Ok(Slot::B), "when it is switched on again");
}

#[test]
fn tries_are_counted_down_and_then_the_old_system_is_back() {
    let mut rig = Rig::new();
    let trial = [Event::Begin, Event::Written { header: [1; 8], epoch: 1 }, Event::Activate];
    let record = Record::factory(Slot::A, [1; 8], 1);
    let record = trial.into_iter().fold(record, |r, event| r.step(event).expect("a step"));
    rig.state = records::copies(&record, None);
    for left in [2, 1, 0] {
        assert_eq!(rig.load(), Ok(Slot::B));
        assert_eq!(rig.record().tries_left, left);
    }
    assert_eq!(rig.load(), Ok(Slot::A));
    assert_eq!(rig.record().slots[1].state, SlotState::Bad);
}

#[test]
fn what_is_ordered_stays_ordered() {
    let mut rig = Rig::new();
    let record = Record { erase: true, keyring: 7, floor: 1, ..both_good() };
    rig.state = records::copies(&record, None);
    assert_eq!(rig.load(), Ok(Slot::B));
    let after = rig.record();
    assert!(after.erase, "a factory reset");
    assert_eq!((after.keyring, after.floor), (7, 1));
}

#[test]
fn a_disk_that_keeps_nothing_is_told_of_and_starts_all_the_same() {
    let mut rig = Rig::new();
    rig.forgets = true;
    assert_eq!(rig.load(), Ok(Slot::B));
    assert_eq!(rig.notes, [Note::NotKept, Note::Slot(Slot::B)]);
}

#[test]
fn a_copy_that_cannot_be_read_leaves_the_other() {
    let mut rig = Rig::new();
    let newer = Record { sequence: 2, active: Slot::A, ..both_good() };
    rig.state = records::copies(&both_good(), Some(&newer));
    assert_eq!(rig.load(), Ok(Slot::A));
    rig.state = records::copies(&both_good(), Some(&newer));
    rig.unreadable.0 = Some(1);
    assert_eq!(rig.load(), Ok(Slot::B));
}

#[test]
fn every_note_fits_on_a_line_and_names_the_slot() {
    let refusal = Refusal::NotStarted(Reason::Signature);
    let said = Note::Refused(Slot::B, refusal).to_string();
    assert_eq!(said, "slot b is refused, reason 1: no key of the platform vouches for it");
    assert_eq!(Note::Slot(Slot::A).to_string(), "slot a");
}
