//! The book: its rules one by one, and invariants over random lives.

use super::super::{Kind, Now, Place, Standing};
use super::*;
use crate::protect::Condition;
use proptest::prelude::*;

const LOST: Kind = Kind::Finding(Condition::ModuleLost);
const HOT: Kind = Kind::Finding(Condition::TemperatureHigh);
const MINUTE: u64 = 60_000;

fn block(n: u16) -> Place {
    Place::Block(1, n)
}

fn at(kind: Kind, place: Place, severity: Severity) -> Standing {
    Standing::plain(kind, place, severity)
}

fn now(standing: Vec<Standing>) -> Now {
    Now { standing, blind: Vec::new() }
}

fn hot(severity: Severity, blocks: &[u16]) -> Now {
    now(blocks.iter().map(|n| at(HOT, block(*n), severity)).collect())
}

fn said(changes: &[Change]) -> Vec<&'static str> {
    let word = |change: &Change| match change.what {
        What::Raised => "raised",
        What::Again => "again",
        What::Worse => "worse",
        What::Joined => "joined",
        What::Flapping => "flapping",
        What::Over => "over",
        What::Absorbed { .. } => "absorbed",
        What::Acknowledged(_) => "acknowledged",
        What::Shelved(_) => "shelved",
        What::Unshelved(_) => "unshelved",
        What::ShelfOver => "shelf over",
        What::Reset(_) => "reset",
        What::Full => "full",
    };
    changes.iter().map(word).collect()
}

fn acknowledge(book: &mut Book, id: u64, unix_ms: u64) -> Result<Change, Refusal> {
    book.act(id, None, &Act::Acknowledge { note: "on my way".into() }, "ann", unix_ms)
}

fn shelve(book: &mut Book, id: u64, seconds: u64, unix_ms: u64) -> Result<Change, Refusal> {
    let reason = "battery room is being cooled".into();
    book.act(id, None, &Act::Shelve { seconds, reason }, "ann", unix_ms)
}

fn restarted(book: &Book) -> Book {
    Book::decode(&book.encode(1 << 20).kept).expect("decodes").kept
}

#[test]
fn a_life_from_raised_to_gone() {
    let mut book = Book::default();
    let warm = hot(Severity::Warning, &[3]);
    assert_eq!(said(&book.step(&warm, 1_000)), ["raised"]);
    assert_eq!(said(&book.step(&warm, 2_000)), [""; 0], "said once");
    let id = book.alarms()[0].id;
    assert_eq!(book.alarms()[0].state(), State::Raised);
    acknowledge(&mut book, id, 3_000).expect("there");
    assert_eq!(acknowledge(&mut book, id, 3_000), Err(Refusal::Known("ann".into())));
    let mark = book.alarms()[0].acknowledged.clone().expect("somebody");
    assert_eq!((mark.user.as_str(), mark.note.as_str()), ("ann", "on my way"));
    assert_eq!(said(&book.step(&now(vec![]), 4_000)), ["over"]);
    assert!(book.alarms().is_empty());
    assert_eq!(acknowledge(&mut book, id, 5_000), Err(Refusal::NoAlarm(id)));
}

#[test]
fn what_nobody_acknowledged_stays_until_somebody_does() {
    let mut book = Book::default();
    book.step(&hot(Severity::Alarm, &[3, 4]), 1_000);
    assert_eq!(said(&book.step(&now(vec![]), 2_000)), ["over"]);
    let alarm = book.alarms()[0].clone();
    assert_eq!((alarm.state(), alarm.members.len()), (State::Returned, 2), "where it was");
    assert_eq!(shelve(&mut book, alarm.id, 600, 3_000), Err(Refusal::Over));
    assert_eq!(said(&book.step(&hot(Severity::Alarm, &[4]), 3_000)), ["again"]);
    assert_eq!(book.alarms()[0].round, 2);
    let late = book.act(alarm.id, Some(1), &Act::Acknowledge { note: String::new() }, "ann", 3_000);
    assert_eq!(late, Err(Refusal::Changed), "nobody acknowledges what they have not seen");
    book.step(&now(vec![]), 4_000);
    acknowledge(&mut book, alarm.id, 5_000).expect("there");
    assert!(book.alarms().is_empty());
}

#[test]
fn members_join_and_late_ones_raise_again() {
    let mut book = Book::default();
    book.step(&hot(Severity::Warning, &[1]), 0);
    let id = book.alarms()[0].id;
    acknowledge(&mut book, id, 1_000).expect("there");
    let soon = hot(Severity::Warning, &[1, 2, 3]);
    assert_eq!(said(&book.step(&soon, JOIN_MS)), [""; 0]);
    assert_eq!(book.alarms()[0].blocks()[&1], [1, 2, 3]);
    assert_eq!(book.alarms()[0].state(), State::Acknowledged);
    let late = hot(Severity::Warning, &[1, 2, 3, 4]);
    assert_eq!(said(&book.step(&late, JOIN_MS + 1)), ["joined"]);
    assert_eq!(book.alarms()[0].state(), State::Raised);
    assert_eq!(said(&book.step(&hot(Severity::Warning, &[4]), JOIN_MS + 2)), [""; 0]);
    assert_eq!(book.alarms()[0].members.len(), 1, "only what is true");
}

#[test]
fn worse_takes_acknowledgement_and_shelf_away() {
    let mut book = Book::default();
    book.step(&hot(Severity::Warning, &[1]), 0);
    let id = book.alarms()[0].id;
    acknowledge(&mut book, id, 0).expect("there");
    shelve(&mut book, id, 3_600, 0).expect("possible");
    assert_eq!(book.alarms()[0].state(), State::Shelved);
    assert_eq!(said(&book.step(&hot(Severity::Warning, &[1, 2]), 500_000)), [""; 0], "quiet");
    assert_eq!(said(&book.step(&hot(Severity::Alarm, &[1]), 600_000)), ["worse"]);
    assert_eq!(book.alarms()[0].state(), State::Raised);
    book.step(&hot(Severity::Warning, &[1]), 601_000);
    assert_eq!(book.alarms()[0].severity, Severity::Warning, "as bad as it is");
}

#[test]
fn a_shelf_ends_by_itself_and_says_so() {
    let mut book = Book::default();
    let warm = hot(Severity::Warning, &[1]);
    book.step(&warm, 0);
    let id = book.alarms()[0].id;
    for seconds in [0, 59, 86_401, u64::MAX] {
        assert_eq!(shelve(&mut book, id, seconds, 0), Err(Refusal::Time(seconds)));
    }
    let silent = Act::Shelve { seconds: 600, reason: "  ".into() };
    assert!(matches!(book.act(id, None, &silent, "ann", 0), Err(Refusal::Text { .. })));
    shelve(&mut book, id, 600, 0).expect("possible");
    assert_eq!(shelve(&mut book, id, 600, 0), Err(Refusal::Shelved));
    assert_eq!(said(&book.step(&now(vec![]), 10_000)), ["over"], "it was told to be so");
    assert_eq!(said(&book.step(&warm, 20_000)), [""; 0]);
    assert_eq!(said(&book.step(&now(vec![]), 30_000)), [""; 0], "it was not told again");
    assert_eq!(said(&restarted(&book).step(&warm, 40_000)), [""; 0], "nor after a restart");
    book.step(&warm, 40_000);
    assert_eq!(said(&book.step(&warm, 600_000)), ["shelf over"]);
    assert_eq!(book.alarms()[0].state(), State::Raised);
    // A clock that is set back by years does not shelve for years.
    shelve(&mut book, id, 600, 10 * 365 * 24 * 60 * MINUTE).expect("possible");
    book.step(&warm, 700_000);
    assert_eq!(said(&book.step(&warm, 700_000 + SHELF_MAX_S * 1_000)), ["shelf over"]);
}

#[test]
fn what_comes_back_worse_is_not_hidden_by_its_shelf() {
    let mut book = Book::default();
    book.step(&hot(Severity::Warning, &[1]), 0);
    let id = book.alarms()[0].id;
    shelve(&mut book, id, 3_600, 1_000).expect("possible");
    assert_eq!(said(&book.step(&now(vec![]), 2_000)), ["over"]);
    assert_eq!(said(&book.step(&hot(Severity::Alarm, &[1]), 3_000)), ["again"]);
    assert_eq!(book.alarms()[0].state(), State::Raised);
}

#[test]
fn dangers_are_not_shelved_and_come_first() {
    let mut book = Book::default();
    let runaway = Kind::Finding(Condition::Runaway);
    book.step(
        &now(vec![
            at(HOT, block(1), Severity::Alarm),
            at(runaway, Place::String(2), Severity::Alarm),
            at(Kind::GuardLost, Place::Guard, Severity::Alarm),
        ]),
        0,
    );
    let first = book.alarms()[0].clone();
    assert_eq!(first.kind, runaway);
    assert_eq!(shelve(&mut book, first.id, 600, 0), Err(Refusal::Danger));
}

#[test]
fn what_latches_waits_for_a_reset() {
    let mut book = Book::default();
    let mut standing = at(HOT, block(1), Severity::Alarm);
    standing.latch = true;
    let stands = now(vec![standing]);
    book.step(&stands, 0);
    let id = book.alarms()[0].id;
    acknowledge(&mut book, id, 0).expect("there");
    let reset = Act::Reset { note: "fan replaced".into() };
    assert!(matches!(book.act(id, None, &reset, "ann", 1), Err(Refusal::NoReset(_))));
    // As well when a restart comes before its end, and one behind it.
    book = restarted(&book);
    assert!(book.alarms()[0].latching);
    assert_eq!(said(&book.step(&now(vec![]), 1_000)), ["over"]);
    book = restarted(&book);
    assert!(book.alarms()[0].latching);
    assert_eq!(book.alarms()[0].state(), State::Latched);
    assert_eq!(said(&book.step(&now(vec![]), 2_000)), [""; 0]);
    assert_eq!(said(&[book.act(id, None, &reset, "ann", 3_000).expect("over")]), ["reset"]);
    assert!(book.alarms().is_empty());
    assert!(restarted(&book).alarms().is_empty());
}

/// A broken bus: modules fall silent one by one, then the cable is found cut.
#[test]
fn a_cause_absorbs_its_consequences() {
    let mut book = Book::default();
    let cause = || Some((Kind::CableBroken, Place::Bus(1)));
    let silent = |blocks: std::ops::Range<u16>| -> Vec<Standing> {
        let lost = |n| Standing { because: cause(), ..at(LOST, block(n), Severity::Warning) };
        blocks.map(lost).collect()
    };
    assert_eq!(said(&book.step(&now(silent(1..21)), 0)), ["raised"]);
    let cut = at(Kind::CableBroken, Place::Bus(1), Severity::Warning);
    let all = || [silent(1..41), vec![cut.clone()]].concat();
    let mut changes = said(&book.step(&now(all()), 30_000));
    changes.sort_unstable();
    assert_eq!(changes, ["absorbed", "raised"]);
    assert_eq!(book.alarms().len(), 1, "one alarm");
    assert_eq!(book.alarms()[0].kind, Kind::CableBroken);
    assert_eq!(book.alarms()[0].members.len(), 41, "with 40 modules and the cable");
    // The cable is mended; one module stays silent and is an alarm of its own.
    let mut changes = said(&book.step(&now(silent(7..8)), 60_000));
    changes.sort_unstable();
    assert_eq!(changes, ["over", "raised"]);
}

#[test]
fn what_had_a_life_of_its_own_keeps_it() {
    let mut book = Book::default();
    let lost = |n, because| Standing { because, ..at(LOST, block(n), Severity::Warning) };
    let cause = Some((Kind::CableBroken, Place::Bus(1)));
    book.step(&now(vec![lost(5, cause.clone())]), 0);
    let id = book.alarms()[0].id;
    acknowledge(&mut book, id, 0).expect("there");
    let later = JOIN_MS + 1;
    let cut = at(Kind::CableBroken, Place::Bus(1), Severity::Warning);
    let changes = book.step(&now(vec![lost(5, cause.clone()), lost(6, cause), cut]), later);
    assert_eq!(said(&changes), ["raised"]);
    assert_eq!(book.alarm(id).expect("kept").state(), State::Acknowledged);
    assert_eq!(book.alarms().iter().map(|a| a.members.len()).sum::<usize>(), 3);
}

#[test]
fn a_blind_place_neither_raises_nor_ends_anything() {
    let mut book = Book::default();
    book.step(&hot(Severity::Warning, &[1, 2]), 0);
    let blind = |place| Now { standing: vec![], blind: vec![place] };
    for place in [Place::Guard, Place::String(1)] {
        assert_eq!(said(&book.step(&blind(place), 1_000)), [""; 0]);
        assert_eq!(book.alarms()[0].members.len(), 2);
    }
    book.step(&blind(Place::Block(1, 2)), 2_000);
    assert_eq!(book.alarms()[0].blocks()[&1], [2]);
    assert_eq!(said(&book.step(&blind(Place::String(2)), 3_000)), ["over"]);
}

#[test]
fn flapping_is_one_alarm_and_said_once() {
    let mut book = Book::default();
    let (mut told, mut unix_ms) = (Vec::new(), 0);
    for n in 0..600 {
        let input = if n % 2 == 0 { hot(Severity::Warning, &[1]) } else { now(vec![]) };
        told.extend(said(&book.step(&input, unix_ms)));
        unix_ms += 10_000;
    }
    assert!(told.len() <= 2 * FLAPS + 1, "{told:?}");
    assert_eq!(told.iter().filter(|word| **word == "flapping").count(), 1);
    assert!(book.alarms()[0].flapping && book.alarms()[0].is_active());
    assert_eq!(said(&book.step(&now(vec![]), unix_ms)), [""; 0]);
    assert_eq!(said(&book.step(&now(vec![]), unix_ms + QUIET_MS)), ["over"], "the end is told");
    assert!(!book.alarms()[0].flapping);
}

#[test]
fn acknowledging_does_not_make_flapping_forgotten() {
    let mut book = Book::default();
    let mut told = Vec::new();
    for n in 0..20 {
        told.extend(said(&book.step(&hot(Severity::Warning, &[1]), n * 20_000)));
        if let Some(id) = book.alarms().first().map(|a| a.id) {
            let _ = acknowledge(&mut book, id, n * 20_000);
        }
        told.extend(said(&book.step(&now(vec![]), n * 20_000 + 10_000)));
    }
    assert_eq!(told.iter().filter(|word| **word == "flapping").count(), 1, "{told:?}");
}

#[test]
fn a_full_book_keeps_the_worst_and_says_that_it_is_full() {
    let mut book = Book::default();
    let alarm = |n: u16, severity| at(Kind::DeviceLost, Place::Device(n), severity);
    let most = ALARMS_MAX as u16;
    let mut all: Vec<_> = (1..=most).map(|n| alarm(n, Severity::Warning)).collect();
    book.step(&now(all.clone()), 0);
    all.push(alarm(most + 1, Severity::Warning));
    assert_eq!(said(&book.step(&now(all.clone()), 1)), ["full"]);
    assert_eq!(said(&book.step(&now(all.clone()), 2)), [""; 0], "said once");
    all.push(alarm(most + 2, Severity::Alarm));
    book.step(&now(all), 3);
    assert_eq!(book.alarms().len(), ALARMS_MAX);
    assert_eq!(book.alarms()[0].severity, Severity::Alarm);
    assert!(book.is_full());
    book.step(&now(vec![alarm(1, Severity::Warning)]), 4);
    assert!(!book.is_full());
}

#[test]
fn what_is_kept_comes_back() {
    let mut book = Book::default();
    book.step(&hot(Severity::Warning, &[1, 2]), 1_000);
    let id = book.alarms()[0].id;
    acknowledge(&mut book, id, 2_000).expect("there");
    let mut again = restarted(&book);
    assert_eq!(again, book);
    assert_eq!(again.standing(HOT, &block(2)), Some(Severity::Warning));
    assert_eq!(said(&again.step(&hot(Severity::Warning, &[1, 2]), 3_000)), [""; 0]);
    again.step(&now(vec![at(LOST, block(1), Severity::Warning)]), 4_000);
    assert!(again.alarms()[0].id > id, "ids count on");
}

/// What can happen in a second of a random life.
#[derive(Clone, Debug)]
enum Happens {
    Look(Vec<(u8, u16, bool, bool)>, Option<u16>),
    Acknowledge(usize),
    Shelve(usize, u64),
    Unshelve(usize),
    Reset(usize),
    Restart,
}

fn happens() -> impl Strategy<Value = Happens> {
    let one = (0u8..4, 1u16..6, any::<bool>(), any::<bool>());
    let look = (proptest::collection::vec(one, 0..8), proptest::option::of(1u16..3));
    prop_oneof![
        6 => look.prop_map(|(standing, blind)| Happens::Look(standing, blind)),
        1 => (0usize..9).prop_map(Happens::Acknowledge),
        1 => (0usize..9, 60u64..2_000).prop_map(|(at, s)| Happens::Shelve(at, s)),
        1 => (0usize..9).prop_map(Happens::Unshelve),
        1 => (0usize..9).prop_map(Happens::Reset),
        1 => Just(Happens::Restart),
    ]
}

fn look(standing: &[(u8, u16, bool, bool)], blind: Option<u16>) -> Now {
    let blind: Vec<Place> = blind.into_iter().map(Place::String).collect();
    let standing = standing.iter().map(|(kind, n, alarm, latch)| {
        let severity = if *alarm { Severity::Alarm } else { Severity::Warning };
        let (kind, place) = match kind {
            0 => (HOT, Place::Block(1 + n % 2, *n)),
            1 => (LOST, Place::Block(1 + n % 2, *n)),
            2 => (Kind::CableBroken, Place::Bus(1)),
            _ => (Kind::Finding(Condition::Runaway), Place::String(1 + n % 2)),
        };
        let because = (kind == LOST).then_some((Kind::CableBroken, Place::Bus(1)));
        Standing { latch: *latch, because, ..at(kind, place, severity) }
    });
    Now { standing: standing.collect(), blind }
}

proptest! {
    #[test]
    fn a_random_life_keeps_the_rules(
        life in proptest::collection::vec((happens(), 1u64..200_000), 1..60),
    ) {
        let (mut book, mut unix_ms, mut last_id) = (Book::default(), 1_000_000, 0);
        for (happens, later) in life {
            unix_ms += later;
            let id = |book: &Book, at: usize| book.alarms().get(at).map_or(0, |alarm| alarm.id);
            match happens {
                Happens::Look(standing, blind) => {
                    let input = look(&standing, blind);
                    let known: Vec<_> = book.alarms().into_iter().cloned().collect();
                    let changes = book.step(&input, unix_ms);
                    // Whoever acknowledged something is not passed over in silence.
                    for before in known.iter().filter(|alarm| alarm.state() == State::Acknowledged) {
                        let after = book.alarm(before.id);
                        let told = changes.iter().any(|change| {
                            change.alarm.as_ref().is_some_and(|alarm| alarm.id == before.id)
                        });
                        prop_assert!(told || after.is_some_and(|a| a.state() == before.state()));
                    }
                    // Everything that stands is a member of just one active alarm …
                    for standing in &input.standing {
                        let of = book.alarms().into_iter().filter(|alarm| {
                            alarm.is_active()
                                && alarm.members.get(&standing.at).is_some_and(|m| m.kind == standing.kind)
                        });
                        prop_assert_eq!(of.count(), 1, "{:?}", standing);
                    }
                    // … no shelf is left whose time is over …
                    let over = |alarm: &&Alarm| {
                        alarm.shelf.as_ref().is_some_and(|shelf| shelf.until_ms <= unix_ms)
                    };
                    prop_assert!(!book.alarms().iter().any(over));
                    // … and the same once more changes nothing.
                    prop_assert_eq!(book.step(&input, unix_ms), vec![]);
                }
                Happens::Acknowledge(at) => {
                    let id = id(&book, at);
                    let _ = acknowledge(&mut book, id, unix_ms);
                }
                Happens::Shelve(at, seconds) => {
                    let id = id(&book, at);
                    let _ = shelve(&mut book, id, seconds, unix_ms);
                }
                Happens::Unshelve(at) => {
                    let id = id(&book, at);
                    let _ = book.act(id, None, &Act::Unshelve, "ann", unix_ms);
                }
                Happens::Reset(at) => {
                    let (id, reset) = (id(&book, at), Act::Reset { note: String::new() });
                    let _ = book.act(id, None, &reset, "ann", unix_ms);
                }
                Happens::Restart => book = restarted(&book),
            }
            for alarm in book.alarms() {
                prop_assert!(!alarm.members.is_empty());
                prop_assert!(alarm.shelf.is_none() || !alarm.kind.is_safety());
            }
            prop_assert!(book.last_id >= last_id);
            last_id = book.last_id;
        }
    }
}
