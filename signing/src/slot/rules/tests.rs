//! Every record that can come about, walked through.

use super::*;
use crate::slot::Copies;
use std::collections::HashSet;

const EPOCHS: [u32; 3] = [1, 2, 3];

/// The events that people and programs can cause, and the accidents.
fn events(damage: bool) -> Vec<Event> {
    let mut events = vec![
        Event::Begin,
        Event::Abandon,
        Event::Activate,
        Event::Start,
        Event::Because(Reason::Watchdog),
        Event::Because(Reason::Restart),
        Event::Confirm,
        Event::Settled,
        Event::Steady,
        Event::CommitFloor,
        Event::Erase,
        Event::Erased,
        Event::Keyring { sequence: 1, revokes_other: false },
        Event::Keyring { sequence: 1, revokes_other: true },
        Event::GoBack(Reason::Person),
        Event::GoBack(Reason::Daemon),
    ];
    events.extend(EPOCHS.map(|epoch| Event::Written { header: [epoch as u8; 8], epoch }));
    if damage {
        events.extend([Event::Refused(Reason::Root), Event::Refused(Reason::Signature)]);
    }
    events
}

/// Every record that `events` can make of a device from the factory, with the
/// steps between them.
fn walk(damage: bool, mut look: impl FnMut(&Record, Event, &Result<Record, Forbidden>)) -> usize {
    let events = events(damage);
    // Records that differ in their sequence alone are one.
    let factory = Record { sequence: 0, ..Record::factory(Slot::A, [1; 8], 1) };
    let mut seen = HashSet::from([factory]);
    let mut queue = vec![factory];
    while let Some(record) = queue.pop() {
        for event in &events {
            let next = record.step(*event);
            look(&record, *event, &next);
            if let Ok(next) = next {
                let next = Record { sequence: 0, ..next };
                if seen.insert(next) {
                    queue.push(next);
                }
            }
        }
    }
    seen.len()
}

fn good(record: &Record) -> usize {
    Slot::BOTH.into_iter().filter(|slot| record.is_good(*slot)).count()
}

#[test]
fn without_damage_a_good_slot_always_remains() {
    let records = walk(false, |record, event, next| {
        assert!(good(record) > 0, "{record:?}");
        if let (Event::Start, result) = (event, next) {
            assert!(result.is_ok(), "{record:?}");
        }
    });
    assert!(records > 1_000, "only {records} records");
}

#[test]
fn a_slot_on_trial_may_be_refused_at_any_time() {
    walk(false, |record, event, _| {
        if event == Event::Start && record.slot(record.active).state == SlotState::Trial {
            for reason in [Reason::Root, Reason::Signature, Reason::BootImage] {
                let next = record.step(Event::Refused(reason)).unwrap();
                assert!(next.is_good(next.active), "{record:?} → {next:?}");
                assert_eq!(next.slot(record.active).reason, reason);
            }
        }
    });
}

#[test]
fn what_starts_is_the_best_there_is() {
    let records = walk(true, |record, event, next| {
        let starts = matches!(event, Event::Start | Event::Refused(_));
        let Ok(next) = next else {
            // Only when there is nothing at all.
            if starts {
                let refused = matches!(event, Event::Refused(_));
                let left = good(record) - usize::from(refused && record.is_good(record.active));
                assert_eq!(left, 0, "{record:?} {event:?}");
            }
            return;
        };
        if starts {
            let started = next.slot(next.active);
            assert!(started.epoch >= next.floor, "{record:?} {event:?} {next:?}");
            if good(next) > 0 {
                let fit = matches!(started.state, SlotState::Good | SlotState::Trial);
                assert!(fit, "{record:?} {event:?} {next:?}");
            }
        }
        assert!(next.tries_left <= TRIES);
        let raised = next.tries_left > record.tries_left;
        let ready = record.slot(record.active.other()).state == SlotState::Ready;
        let may = event == Event::Activate || (starts && ready && next.active != record.active);
        assert!(!raised || may, "{record:?} {event:?} {next:?}");
    });
    println!("{records} records");
    assert!(records > 10_000, "only {records} records");
}

#[test]
fn the_floor_rises_only_to_what_proved_itself() {
    walk(true, |record, event, next| {
        let Ok(next) = next else { return };
        assert!(next.floor >= record.floor);
        if next.floor > record.floor {
            assert_eq!(event, Event::CommitFloor);
            assert!(next.is_good(next.active));
            assert_eq!(next.floor, next.slot(next.active).epoch);
        }
    });
}

#[test]
fn starting_again_and_again_comes_to_rest() {
    walk(true, |record, event, _| {
        // Once for each record.
        if event != Event::Start {
            return;
        }
        let (mut now, mut changes) = (*record, 0);
        for _ in 0..60 {
            let Ok(next) = now.step(Event::Start) else { break };
            // At rest: nothing but the sequence changes any more.
            if (Record { sequence: next.sequence, ..now }) == next {
                break;
            }
            changes += usize::from(next.active != now.active);
            now = next;
        }
        assert!(changes <= 1 + usize::from(SWAPS_MAX), "{record:?}: {changes} changes");
    });
}

#[test]
fn a_write_that_is_torn_leaves_the_record_before() {
    let mut steps = 0;
    walk(false, |record, event, next| {
        // One in a hundred: what is torn does not ask what it meant.
        steps += 1;
        let Some(next) = next.ok().filter(|_| steps % 101 == 0) else { return };
        let (old, mut torn) = (record.encode(), next.encode());
        for kept in [0, 1, 8, 16, 511] {
            let before = Record { sequence: record.sequence.wrapping_sub(1), ..*record }.encode();
            torn[kept..].copy_from_slice(&before[kept..]);
            if torn == before || torn == next.encode() {
                continue;
            }
            let found = Copies::judge([Some(&old), Some(&torn)]).unwrap();
            assert_eq!((found.record, found.write_to), (*record, 1), "{event:?} cut at {kept}");
        }
    });
}

#[test]
fn an_update_proves_itself_or_goes_back() {
    let factory = Record::factory(Slot::A, [1; 8], 1);
    let installed = [Event::Begin, Event::Written { header: [2; 8], epoch: 2 }, Event::Activate]
        .into_iter()
        .fold(factory, |record, event| record.step(event).unwrap());
    assert_eq!((installed.active, installed.tries_left), (Slot::B, 3));
    let mut record = installed;
    for left in [2, 1, 0] {
        record = record.step(Event::Start).unwrap();
        assert_eq!((record.active, record.tries_left), (Slot::B, left));
        record = record.step(Event::Because(Reason::Watchdog)).unwrap();
    }
    let back = record.step(Event::Start).unwrap();
    assert_eq!(back.active, Slot::A);
    assert_eq!(
        (back.slot(Slot::B).state, back.slot(Slot::B).reason),
        (SlotState::Bad, Reason::Watchdog)
    );
    assert_eq!(back.floor, 1, "a release that failed raises nothing");

    let proved = installed.step(Event::Start).unwrap().step(Event::Confirm).unwrap();
    assert_eq!(proved.floor, 1, "the old slot is a way back still");
    assert_eq!(proved.step(Event::GoBack(Reason::Person)).unwrap().active, Slot::A);
    let closed = proved.step(Event::CommitFloor).unwrap();
    assert_eq!(closed.floor, 2);
    let below = Forbidden::BelowFloor { epoch: 1, floor: 2 };
    assert_eq!(closed.step(Event::GoBack(Reason::Person)), Err(below), "and it says why");
    assert_eq!(closed.slot(Slot::A).reason, Reason::BelowFloor);
}

#[test]
fn one_that_never_came_up_is_told_from_one_that_did_not_prove_itself() {
    let factory = Record::factory(Slot::A, [1; 8], 1);
    let begun = [
        Event::Begin,
        Event::Written { header: [2; 8], epoch: 1 },
        Event::Activate,
        Event::Because(Reason::Restart),
    ];
    let mut silent = begun.into_iter().fold(factory, |r, event| r.step(event).unwrap());
    let mut known = silent;
    for _ in 0..TRIES {
        silent = silent.step(Event::Start).unwrap();
        known = known.step(Event::Start).unwrap().step(Event::Because(Reason::Power)).unwrap();
    }
    let reason = |record: Record| record.step(Event::Start).unwrap().slot(Slot::B).reason;
    assert_eq!(reason(silent), Reason::NotUp);
    assert_eq!(reason(known), Reason::NotConfirmed);
}

#[test]
fn an_order_to_erase_touches_neither_slots_nor_floor_and_holds_until_it_is_done() {
    walk(true, |record, event, next| {
        let Ok(next) = next else { return };
        match event {
            Event::Erase | Event::Erased => {
                let same = Record { erase: record.erase, sequence: record.sequence, ..*next };
                assert_eq!(same, *record);
                assert_eq!(next.erase, event == Event::Erase);
            }
            _ => assert_eq!(next.erase, record.erase, "{event:?}"),
        }
    });
}

#[test]
fn nothing_below_the_floor_is_activated() {
    let factory = Record::factory(Slot::A, [1; 8], 5);
    let record = factory.step(Event::Begin).unwrap();
    let record = record.step(Event::Written { header: [2; 8], epoch: 4 }).unwrap();
    assert_eq!(record.step(Event::Activate), Err(Forbidden::BelowFloor { epoch: 4, floor: 5 }));
    assert_eq!(factory.step(Event::Activate), Err(Forbidden::NotReady));
}

#[test]
fn without_a_record_the_headers_say_what_starts() {
    let headers = |a: Option<u32>, b: Option<u32>| [a, b].map(|e| e.map(|epoch| (epoch, [0; 8])));
    for (a, b, least, active) in [
        (Some(1), None, 1, Some(Slot::A)),
        (None, Some(1), 1, Some(Slot::B)),
        (Some(1), Some(2), 1, Some(Slot::B)),
        (Some(2), Some(2), 1, Some(Slot::A)),
        (Some(1), Some(2), 3, None),
        (None, None, 0, None),
    ] {
        let found = Record::rebuild(headers(a, b), least).map(|record| record.active);
        assert_eq!(found.ok(), active, "{a:?} {b:?} {least}");
    }
}

#[test]
fn a_revoked_slot_never_starts_and_is_never_the_last_good_one() {
    let mut seen = 0;
    walk(false, |record, event, next| {
        let Event::Keyring { sequence, revokes_other } = event else { return };
        match next {
            Ok(next) => {
                assert_eq!(next.keyring, record.keyring.max(sequence));
                assert!(good(next) > 0, "{record:?} → {next:?}");
                let other = next.slot(record.active.other());
                if revokes_other && other.state != SlotState::Empty {
                    assert_eq!((other.state, other.reason), (SlotState::Bad, Reason::Revoked));
                    assert_eq!(next.step(Event::Activate), Err(Forbidden::NotReady));
                    seen += 1;
                }
            }
            // What runs on trial may fail, and then the other one is needed.
            Err(error) => {
                assert_eq!((*error, revokes_other), (Forbidden::NotGood, true));
                assert!(!record.is_good(record.active), "{record:?}");
            }
        }
    });
    assert!(seen > 100, "{seen}");
}
