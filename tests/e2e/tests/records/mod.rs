//! State records for the loader to be tried on: those that somebody would
//! think of, and others by chance.

use evenkeel_signing::slot::record::{COPY_DISTANCE, RECORD_LEN, SlotRecord};
use evenkeel_signing::slot::{Reason, Record, Slot, SlotState};

/// Records by chance.
const RANDOM: usize = 100;
const SEED: u64 = 0x2545_f491_4f6c_dd1d;

/// What is tried: a name, and the beginning of the partition.
pub type Case = (String, Vec<u8>);

/// The partition with one or both copies.
pub fn copies(first: &Record, second: Option<&Record>) -> Vec<u8> {
    raw(&first.encode(), second.map_or([0; RECORD_LEN], Record::encode))
}

fn raw(first: &[u8; RECORD_LEN], second: [u8; RECORD_LEN]) -> Vec<u8> {
    let mut bytes = vec![0; COPY_DISTANCE as usize];
    bytes[..RECORD_LEN].copy_from_slice(first);
    bytes.extend(second);
    bytes
}

const fn slot(state: SlotState, epoch: u32) -> SlotRecord {
    SlotRecord { state, reason: Reason::None, epoch, header: [7; 8] }
}

fn record(active: Slot, a: SlotRecord, b: SlotRecord) -> Record {
    Record { active, floor: 1, sequence: 40, slots: [a, b], ..Record::factory(active, [1; 8], 1) }
}

/// Those that somebody would think of.
pub fn named() -> Vec<Case> {
    use SlotState::{Bad, Empty, Good, Ready, Trial, Writing};
    let factory = Record::factory(Slot::A, [1; 8], 1);
    let good = |active| record(active, slot(Good, 1), slot(Good, 1));
    let trial = |tries_left, boot_reason| Record {
        tries_left,
        boot_reason,
        ..record(Slot::B, slot(Good, 1), slot(Trial, 1))
    };
    let bad = |reason| SlotRecord { reason, ..slot(Bad, 1) };
    let loops = |swaps, b| Record { failed_starts: 5, swaps, ..record(Slot::A, slot(Good, 1), b) };
    let alone = [
        ("from the factory", factory),
        ("trial with 3 tries", trial(3, Reason::Restart)),
        ("trial with its last try", trial(1, Reason::Watchdog)),
        ("tries used up, nobody knows why", trial(0, Reason::None)),
        ("tries used up by power cuts", trial(0, Reason::Power)),
        ("tries used up, it never came up", trial(0, Reason::Restart)),
        ("tries used up by the watchdog", trial(0, Reason::Watchdog)),
        ("tries used up, nothing else", record(Slot::B, slot(Empty, 0), slot(Trial, 1))),
        ("the other is ready", record(Slot::A, bad(Reason::Root), slot(Ready, 1))),
        ("the other is being written", record(Slot::A, bad(Reason::Root), slot(Writing, 0))),
        ("both are bad, this one may", record(Slot::A, bad(Reason::Root), bad(Reason::Daemon))),
        (
            "both are bad, the other may",
            record(Slot::A, bad(Reason::Signature), bad(Reason::Guard)),
        ),
        ("both are bad for good", record(Slot::A, bad(Reason::BootImage), bad(Reason::Revoked))),
        ("nothing is there", record(Slot::B, slot(Empty, 0), slot(Empty, 0))),
        ("a crash loop", loops(0, slot(Good, 1))),
        ("a crash loop after the last swap", loops(2, slot(Good, 1))),
        ("a crash loop with nothing else", loops(0, slot(Bad, 1))),
        ("below the floor", Record { floor: 2, ..record(Slot::A, slot(Good, 1), slot(Good, 2)) }),
        ("all below the floor", Record { floor: 3, ..good(Slot::A) }),
        (
            "epochs beyond 31 bits",
            Record {
                floor: 0x8000_0000,
                ..record(Slot::A, slot(Good, 0x7fff_ffff), slot(Good, u32::MAX))
            },
        ),
        ("a factory reset is ordered", Record { erase: true, keyring: 9, ..good(Slot::B) }),
        ("the last number", Record { sequence: u32::MAX, ..good(Slot::A) }),
    ];
    let mut cases: Vec<Case> =
        alone.into_iter().map(|(name, record)| (name.to_owned(), copies(&record, None))).collect();
    let numbered = |active, sequence| Record { sequence, ..good(active) };
    let (a, b) = (numbered(Slot::A, 8), numbered(Slot::B, 9));
    let torn = |record: &Record| {
        let mut bytes = record.encode();
        bytes[RECORD_LEN / 2..].fill(0xff);
        bytes
    };
    let mut two = |name: &str, bytes| cases.push((name.to_owned(), bytes));
    two("the second is newer", copies(&a, Some(&b)));
    two("the first is newer", copies(&b, Some(&a)));
    two(
        "the numbers began again",
        copies(&numbered(Slot::A, u32::MAX), Some(&numbered(Slot::B, 0))),
    );
    two("two with one number", copies(&a, Some(&numbered(Slot::B, 8))));
    two("the newest is torn", raw(&a.encode(), torn(&b)));
    two("the first is torn", raw(&torn(&b), a.encode()));
    two("both are torn", raw(&torn(&a), torn(&b)));
    two("nothing was ever written", vec![0; COPY_DISTANCE as usize + RECORD_LEN]);
    // Its checksum holds, and a field has no meaning, or one of a later version.
    for (field, at, byte) in [
        ("magic", 0, 0x46),
        ("active", 8, 2),
        ("tries", 13, 1),
        ("good", 16, 0),
        ("format", 20, 2),
        ("state", 32, 6),
        ("a slot's zeros", 34, 1),
        ("more of them", 79, 1),
        ("erase", 96, 2),
        ("reserved", 97, 1),
        ("the last reserved", 507, 1),
    ] {
        let mut bytes = b.encode();
        bytes[at] = byte;
        two(&format!("{field} without a meaning"), raw(&a.encode(), sealed(bytes)));
    }
    let mut unknown = b.encode();
    (unknown[21], unknown[33], unknown[65]) = (20, 99, 255);
    two("reasons that nobody knows", raw(&a.encode(), sealed(unknown)));
    cases
}

/// With a checksum that holds.
fn sealed(mut bytes: [u8; RECORD_LEN]) -> [u8; RECORD_LEN] {
    let (text, sum) = bytes.split_at_mut(RECORD_LEN - 4);
    sum.copy_from_slice(&crc32fast::hash(text).to_be_bytes());
    bytes
}

/// Records by chance, the same each time: every state beside every other.
pub fn random() -> Vec<Case> {
    let mut state = SEED;
    let mut chance = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 16) % below
    };
    (0..RANDOM)
        .map(|n| {
            let first = by_chance(&mut chance);
            let second = (chance(2) == 0).then(|| Record {
                sequence: first.sequence.wrapping_add(chance(3) as u32).wrapping_sub(1),
                ..by_chance(&mut chance)
            });
            (format!("by chance, {n}"), copies(&first, second.as_ref()))
        })
        .collect()
}

fn by_chance(chance: &mut impl FnMut(u64) -> u64) -> Record {
    use SlotState::{Bad, Empty, Good, Ready, Trial, Writing};
    let mut slot = || SlotRecord {
        state: [Good, Good, Trial, Bad, Ready, Writing, Empty][chance(7) as usize],
        reason: Reason::from_number(chance(20) as u8),
        epoch: chance(4) as u32,
        header: [chance(256) as u8; 8],
    };
    let slots = [slot(), slot()];
    Record {
        sequence: chance(1 << 32) as u32,
        active: Slot::BOTH[chance(2) as usize],
        tries_left: chance(4) as u8,
        boot_reason: Reason::from_number(chance(20) as u8),
        failed_starts: chance(7) as u8,
        swaps: chance(4) as u8,
        floor: chance(3) as u32,
        keyring: chance(9) as u32,
        slots,
        erase: chance(2) == 1,
    }
}
