//! The store's history from outside: what was acknowledged is there, levels
//! agree, the ring holds, damage is left out, an export comes back.

use super::super::{FILE, Limits, Store};
use super::transfer::ImportError;
use super::*;
use evenkeel_core::history::level::{DAY_MS, HOUR_MS};
use evenkeel_core::history::{Damage, Row, Span};
use redb::{Database, ReadableDatabase as _, ReadableTable as _};
use std::io::Cursor;
use std::path::Path;

const DAY: u64 = 20_000;
/// The clock of whoever imports: 2026-11-22.
pub const NOW_MS: u64 = 20_779 * DAY_MS;

fn open(dir: &Path, history_bytes: u64) -> Store {
    Store::open(dir, Limits { history_bytes, ..Limits::default() }).expect("a store")
}

/// `blocks` blocks whose voltage says which they are and when.
fn row(unix_ms: u64, blocks: usize) -> Sheet {
    let record = |block: usize| {
        let mv = 13_000 + 100 * block as i32 + (unix_ms / HOUR_MS % 24) as i32;
        Record { voltage_mv: Some(Span::of(mv)), ..Record::default() }
    };
    let blocks: Vec<Record> = (0..blocks).map(record).collect();
    let head = Head { unix_ms, blocks_mv: blocks[0].voltage_mv, ..Head::default() };
    Sheet::from(&Row { head, blocks })
}

/// Two appliances recorded the same string on one day: the one that was
/// replaced, and the new one.
#[test]
fn a_day_of_two_appliances_is_the_day_of_both() {
    let (here, there) = (tempfile::tempdir().expect("one"), tempfile::tempdir().expect("two"));
    let (old, new) = (open(here.path(), 32 << 20), open(there.path(), 32 << 20));
    let at = |hour: u64| DAY * DAY_MS + hour * HOUR_MS;
    (0..9).for_each(|n| old.append(vec![(1, row(at(n), 2))]).wait().expect("on the disk"));
    (9..24).for_each(|n| new.append(vec![(1, row(at(n), 2))]).wait().expect("on the disk"));
    let mut file = Vec::new();
    let sink = |piece: Vec<u8>| {
        file.extend(piece);
        true
    };
    old.export(&(0..=u64::MAX), sink).expect("readable");
    // Once while the day goes on, and once when it is over.
    for end in [at(0), at(24)] {
        new.append(vec![(2, row(end, 1))]).wait().expect("on the disk");
        let done = new.import(Cursor::new(&file), NOW_MS).expect("taken");
        assert_eq!((done.added, done.present), if end == at(0) { (1, 0) } else { (0, 1) });
        let mut all = times(&new, 1, 1, Level::Raw);
        all.sort_unstable();
        assert_eq!(all, (0..24).map(at).collect::<Vec<_>>());
    }
    let done = old.import(Cursor::new(&file), NOW_MS).expect("taken");
    assert_eq!((done.added, done.present), (0, 1), "its own");
}

/// Hours and days were made of the half of a day that is here when the other half
/// comes; of the day after it only hours are left.
#[test]
fn an_import_is_in_the_hours_and_days_that_were_made_before_it() {
    let (here, there) = (tempfile::tempdir().expect("one"), tempfile::tempdir().expect("two"));
    let old = open(there.path(), 32 << 20);
    let at = |hour: u64| DAY * DAY_MS + hour * HOUR_MS;
    (0..9).for_each(|n| old.append(vec![(1, row(at(n), 2))]).wait().expect("on the disk"));
    let file = exported(&old);
    let new = open(here.path(), 32 << 20);
    // The first hour of the 8 days after, and of the 128 after those: what was is over.
    let later = [24, 8 * 24, 9 * 24, 100 * 24, 101 * 24];
    for hour in (9..24).chain(later) {
        new.append(vec![(1, row(at(hour), 2))]).wait().expect("on the disk");
    }
    drop(new);
    let database = Database::create(here.path().join(FILE)).expect("a database");
    let write = database.begin_write().expect("writable");
    {
        let mut records = write.open_table(COLUMNS[0]).expect("a table");
        let day_after = (DAY as u32 + 1, 1, 0, 0)..=(DAY as u32 + 1, 1, u16::MAX, u16::MAX);
        records.retain_in(day_after, |_, _| false).expect("dropped");
    }
    write.commit().expect("committed");
    drop(database);
    let new = open(here.path(), 32 << 20);
    let spans = |level| {
        let mut spans = Vec::new();
        let whose = Whose { string: 1, block: Some(1) };
        let visit = |head: &Head, record: &Record| {
            spans.push((head.unix_ms, record.voltage_mv.map(|span| (span.min, span.max))));
        };
        new.past(whose, level, at(0)..=at(47), visit).expect("readable");
        spans
    };
    let day = |first: u64, min| (at(first), Some((13_100 + min, 13_123)));
    let after = (at(24), Some((13_100, 13_100)));
    assert_eq!(spans(Level::Day), [day(9, 9), after]);
    let done = new.import(Cursor::new(&file), NOW_MS).expect("taken");
    assert_eq!((done.added, done.present), (1, 0));
    let hours: Vec<u64> = spans(Level::Hour).iter().map(|(unix_ms, _)| *unix_ms).collect();
    assert_eq!(hours, (0..25).map(at).collect::<Vec<_>>(), "each once, and in order");
    assert_eq!(spans(Level::Day), [day(0, 0), after]);
}

fn exported(store: &Store) -> Vec<u8> {
    let mut file = Vec::new();
    let sink = |piece: Vec<u8>| {
        file.extend(piece);
        true
    };
    store.export(&(0..=u64::MAX), sink).expect("readable");
    file
}

#[test]
fn an_import_counts_what_a_full_ring_keeps() {
    let [old, small] = [(); 2].map(|()| tempfile::tempdir().expect("a directory"));
    let old = open(old.path(), 32 << 20);
    fill(&old, DAY..DAY + 40);
    let file = exported(&old);
    let small = open(small.path(), 12 << 10);
    // Newer days than those of the file fill the ring.
    fill(&small, DAY + 60..DAY + 124);
    let before = times(&small, 1, 0, Level::Raw);
    let done = small.import(Cursor::new(&file), NOW_MS).expect("taken");
    assert!(done.dropped >= 39 * 2, "{done:?}: no room for its records");
    // Nothing newer gave way; of the older days there is room for hours alone.
    let after = times(&small, 1, 0, Level::Raw);
    let (kept, new): (Vec<u64>, Vec<u64>) = after.iter().partition(|at| before.contains(at));
    assert_eq!(kept, before);
    assert!(new.iter().all(|at| at % 3_600_000 == 0), "{new:?}, {done:?}");
    // What is said to be there is: the same file again brings nothing of that.
    let again = small.import(Cursor::new(&file), NOW_MS).expect("taken");
    assert_eq!((again.added, again.present, again.dropped), (0, done.added, done.dropped));
    // With room all of it stays, and is counted.
    let large = tempfile::tempdir().expect("a directory");
    let large = open(large.path(), 32 << 20);
    let all = large.import(Cursor::new(&file), NOW_MS).expect("taken");
    assert_eq!((all.added, all.present, all.dropped), (done.added + done.dropped, 0, 0));
    let again = large.import(Cursor::new(&file), NOW_MS).expect("taken");
    assert_eq!((again.added, again.present, again.dropped), (0, all.added, 0));
}

#[test]
fn an_import_of_a_time_to_come_is_refused_by_name() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path(), 32 << 20);
    let other = tempfile::tempdir().expect("a directory");
    let other = open(other.path(), 32 << 20);
    // 2026-09-04 to 2026-09-06.
    fill(&other, 20_700..20_703);
    let file = exported(&other);
    let newest = 20_702 * DAY_MS + 71 * 1_200_000;
    // A clock that is a day behind is close enough; more than that is not.
    for (now_ms, why) in [
        (newest - DAY_MS - 1, "2 columns are of a time to come, the first of string 1, block 0"),
        (
            newest - DAY_MS - 1,
            "it goes to 2026-09-06 23:40:00 UTC, and the clock here shows 2026-09-05",
        ),
        (7, "never set"),
    ] {
        let refused = store.import(Cursor::new(&file), now_ms).expect_err("to come").to_string();
        assert!(refused.contains(why), "{refused}");
    }
    assert!(times(&store, 1, 0, Level::Raw).is_empty(), "nothing of it was taken");
    store.import(Cursor::new(&file), newest - DAY_MS).expect("taken");
}

/// Every 20 minutes of these days, two strings.
fn fill(store: &Store, days: core::ops::Range<u64>) {
    for day in days {
        for slot in 0..72 {
            let at = day * DAY_MS + slot * 1_200_000;
            store.append(vec![(1, row(at, 3)), (2, row(at, 2))]).wait().expect("on the disk");
        }
    }
}

fn times(store: &Store, string: u16, block: usize, level: Level) -> Vec<u64> {
    let mut times = Vec::new();
    let whose = Whose { string, block: Some(block) };
    store.past(whose, level, 0..=u64::MAX, |head, _| times.push(head.unix_ms)).expect("readable");
    times
}

#[test]
fn rows_come_back_from_today_and_from_days_before() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path(), 32 << 20);
    fill(&store, DAY..DAY + 3);
    drop(store);
    let store = open(dir.path(), 32 << 20);
    let all: Vec<u64> = (0..3 * 72).map(|slot| DAY * DAY_MS + slot * 1_200_000).collect();
    assert_eq!(times(&store, 1, 2, Level::Raw), all);
    assert_eq!(times(&store, 2, 1, Level::Raw), all);
    assert!(times(&store, 2, 2, Level::Raw).is_empty(), "no such block");
    assert!(times(&store, 3, 0, Level::Raw).is_empty(), "no such string");
    let mut seen = Vec::new();
    let span = DAY * DAY_MS + HOUR_MS..=DAY * DAY_MS + 2 * HOUR_MS;
    store
        .each_record(1, 1, span, |_, record| seen.extend(record.voltage_mv.map(|s| s.mean)))
        .expect("readable");
    assert_eq!(seen, [13_101, 13_101, 13_101, 13_102]);
}

#[test]
fn levels_agree_and_what_they_lack_is_read_finer() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path(), 32 << 20);
    // 20,000 is the beginning of eight days, and in the middle of 128.
    fill(&store, DAY..DAY + 20);
    for level in Level::ALL {
        let (mut least, mut most, mut rows) = (i32::MAX, i32::MIN, 0);
        let whose = Whose { string: 1, block: Some(0) };
        let visit = |_: &Head, record: &Record| {
            let span = record.voltage_mv.expect("read");
            (least, most, rows) = (least.min(span.min), most.max(span.max), rows + 1);
        };
        store.past(whose, level, 0..=u64::MAX, visit).expect("readable");
        assert_eq!((least, most), (13_000, 13_023), "{level:?}");
        let expected = match level {
            Level::Raw => 20 * 72,
            // Two periods are complete, four days are not.
            Level::Hour | Level::Day => 16 * 24 + 4 * 72,
        };
        assert_eq!(rows, expected, "{level:?}");
    }
    let chart = store.chart(Whose { string: 1, block: Some(0) }, 0..=u64::MAX, 20);
    let chart = chart.expect("readable");
    assert!((18..=20).contains(&chart.len()), "{}", chart.len());
    assert!(chart.iter().any(|p| p.record.voltage_mv.is_some_and(|s| s.max == 13_023)));
    let string = store.chart(Whose { string: 1, block: None }, 0..=u64::MAX, 20).expect("readable");
    assert_eq!(string[0].head.blocks_mv.map(|s| s.min), Some(13_000));
}

#[test]
fn days_are_made_of_hours() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path(), 32 << 20);
    let begins = DAY / 128 * 128;
    for day in begins..begins + 140 {
        let rows = (0..3).map(|n| (1, row(day * DAY_MS + n * 8 * HOUR_MS, 1))).collect();
        store.append(rows).wait().expect("on the disk");
    }
    let days = times(&store, 1, 0, Level::Day);
    assert_eq!(days.iter().filter(|at| **at < (begins + 128) * DAY_MS).count(), 128);
    assert_eq!(days.len(), 128 + 12 * 3, "and of the twelve days since, records");
}

#[test]
fn the_oldest_records_go_and_their_hours_stay() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path(), 12 << 10);
    fill(&store, DAY..DAY + 64);
    let all = times(&store, 1, 0, Level::Raw);
    assert_eq!(*all.last().expect("some"), (DAY + 63) * DAY_MS + 71 * 1_200_000);
    assert!(all.is_sorted() && all.windows(2).all(|w| w[0] != w[1]), "nothing twice");
    assert_eq!(times(&store, 1, 0, Level::Hour)[0], all[0], "as far as anything reaches");
    // A narrow look at a day of which only the hours are left.
    let day = DAY + 9;
    let whose = Whose { string: 1, block: Some(0) };
    let chart = store.chart(whose, day * DAY_MS..=(day + 1) * DAY_MS - 1, 4_000);
    let chart = chart.expect("readable");
    assert_eq!(chart.len(), 24, "an hour each");
    let spans = chart.iter().filter_map(|point| point.record.voltage_mv);
    let (least, most) = (spans.clone().map(|s| s.min).min(), spans.map(|s| s.max).max());
    assert_eq!((least, most), (Some(13_000), Some(13_023)));
    let csv = |times| {
        let mut text = Vec::new();
        let sink = |piece: Vec<u8>| {
            text.extend(piece);
            true
        };
        store.export_csv(1, 0..usize::MAX, Level::Raw, &times, sink).expect("readable");
        String::from_utf8(text).expect("text")
    };
    let hours = csv(day * DAY_MS..=(day + 1) * DAY_MS - 1);
    assert_eq!(hours.lines().count(), 1 + 3 * 24, "a line for each hour of each block");
    assert!(hours.lines().skip(1).all(|line| line.ends_with(",hours")), "{hours}");
    let last = csv((DAY + 63) * DAY_MS..=u64::MAX);
    assert_eq!(last.lines().filter(|line| line.ends_with(",records")).count(), 3 * 72);
    let whole = csv(0..=u64::MAX);
    assert!(whole.contains(",hours\r\n") && whole.contains(",records\r\n"));
    drop(store);
    let database = Database::create(dir.path().join(FILE)).expect("a database");
    let read = database.begin_read().expect("readable");
    let records = read.open_table(COLUMNS[0]).expect("a table");
    let oldest = records.first().expect("readable").expect("some").0.value().0;
    assert!(u64::from(oldest) > day, "{oldest}: its records are gone");
    let sizes = read.open_table(SIZES).expect("a table");
    for level in Level::ALL {
        let size = sizes.get(level.code()).expect("readable").map_or(0, |size| size.value());
        assert!(size <= (12 << 10) / 100 * SHARES[level as usize], "{level:?}: {size}");
        let table = read.open_table(COLUMNS[level as usize]).expect("a table");
        let real: u64 = table
            .iter()
            .expect("readable")
            .map(|row| row.expect("a row").1.value().len() as u64 + ENTRY_BYTES)
            .sum();
        assert_eq!(real, size, "{level:?}: what is counted is what is there");
    }
}

#[test]
fn a_clock_that_jumps_loses_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path(), 32 << 20);
    let jumps = [DAY, DAY + 1, 3, DAY + 1, DAY, DAY + 40, DAY + 1, DAY + 41, u64::MAX / DAY_MS];
    for (n, day) in jumps.into_iter().enumerate() {
        let at = (day * DAY_MS + n as u64).min(evenkeel_core::history::record::TIME_MAX);
        store.append(vec![(1, row(at, 1))]).wait().expect("on the disk");
    }
    assert_eq!(times(&store, 1, 0, Level::Raw).len(), jumps.len());
    for level in [Level::Hour, Level::Day] {
        assert!(times(&store, 1, 0, level).len() >= 6, "{level:?}");
    }
}

#[test]
fn other_blocks_and_very_many_rows_are_other_sheets() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path(), 32 << 20);
    let at = DAY * DAY_MS;
    let mut fast = Sheet::default();
    (0..200).for_each(|s| assert!(fast.append(&row(at + s * 1_000, 512))));
    store.append(vec![(1, fast)]).wait().expect("on the disk");
    store.append(vec![(1, row(at + HOUR_MS, 3))]).wait().expect("on the disk");
    store.append(vec![(1, row(at + 2 * HOUR_MS, 3))]).wait().expect("on the disk");
    assert_eq!(times(&store, 1, 511, Level::Raw).len(), 200);
    assert_eq!(times(&store, 1, 0, Level::Raw).len(), 202);
}

#[test]
fn a_damaged_column_is_left_out() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path(), 32 << 20);
    fill(&store, DAY..DAY + 3);
    drop(store);
    let database = Database::create(dir.path().join(FILE)).expect("a database");
    let write = database.begin_write().expect("writable");
    {
        let mut table = write.open_table(COLUMNS[0]).expect("a table");
        let key = (DAY as u32, 1, 0, 2);
        let mut column = table.get(key).expect("readable").expect("there").value().to_vec();
        column[3] ^= 1;
        table.insert(key, column.as_slice()).expect("inserted");
    }
    write.commit().expect("committed");
    drop(database);
    let store = open(dir.path(), 32 << 20);
    let checked = store.check_history().expect("readable");
    let place = Place { level: Level::Raw, period: DAY as u32, string: 1, part: 0 };
    // Two days of strings of three blocks and of two, with their heads; today's rows.
    assert_eq!((checked.columns, checked.groups, checked.damaged), (2 * 7, 2 * 72, 1));
    assert_eq!(checked.first, [(Key { place, block: 2 }, Damage::Crc)]);
    assert_eq!(times(&store, 1, 1, Level::Raw).len(), 2 * 72);
    assert_eq!(times(&store, 1, 0, Level::Raw).len(), 3 * 72);
    fill(&store, DAY + 3..DAY + 10);
    assert_eq!(times(&store, 1, 1, Level::Raw).len(), 9 * 72, "it stops nothing");
}

#[test]
fn an_export_is_the_same_history_elsewhere() {
    let (here, there) = (tempfile::tempdir().expect("one"), tempfile::tempdir().expect("two"));
    let (store, other) = (open(here.path(), 32 << 20), open(there.path(), 32 << 20));
    fill(&store, DAY..DAY + 10);
    let mut file = Vec::new();
    let done = store.export(&(0..=u64::MAX), |piece| {
        file.extend(piece);
        true
    });
    assert_eq!(done.expect("readable"), Exported::Whole);
    let mut damaged = file.clone();
    damaged[60] ^= 1;
    let refused = other.import(Cursor::new(damaged), NOW_MS).expect_err("damaged");
    assert!(matches!(refused, ImportError::File(_) | ImportError::Damaged { .. }), "{refused}");
    assert!(times(&other, 1, 0, Level::Raw).is_empty(), "nothing of it was taken");
    let done = other.import(Cursor::new(&file), NOW_MS).expect("taken");
    // Ten days and eight of hours, of two strings.
    assert_eq!((done.added, done.present), (22, 0));
    for string in [1, 2] {
        assert_eq!(times(&other, string, 1, Level::Raw), times(&store, string, 1, Level::Raw));
    }
    assert_eq!(
        other.import(Cursor::new(&file), NOW_MS).expect("taken").present,
        22,
        "once is enough"
    );
    assert_eq!(
        store.import(Cursor::new(&file), NOW_MS).expect("taken").present,
        22,
        "of today, too"
    );
    assert_eq!(times(&store, 1, 0, Level::Raw).len(), 10 * 72, "nothing is there twice");
    let checked = other.check_history().expect("readable");
    assert_eq!((checked.damaged, checked.columns), (0, done.columns));
    let stopped = store.export(&(0..=u64::MAX), |_| false).expect("readable");
    assert_eq!(stopped, Exported::Stopped);
    let mut text = Vec::new();
    let sink = |piece: Vec<u8>| {
        text.extend(piece);
        true
    };
    store.export_csv(2, 0..usize::MAX, Level::Raw, &(0..=u64::MAX), sink).expect("readable");
    assert_eq!(String::from_utf8(text).expect("text").lines().count(), 1 + 2 * 10 * 72);
}

#[test]
fn history_in_the_old_form_goes() {
    let dir = tempfile::tempdir().expect("a directory");
    let database = Database::create(dir.path().join(FILE)).expect("a database");
    let write = database.begin_write().expect("writable");
    write.open_table(OLD).expect("a table").insert((5, 1), &[9; 99][..]).expect("inserted");
    write.commit().expect("committed");
    drop(database);
    let store = open(dir.path(), 32 << 20);
    store.append(vec![(1, row(DAY * DAY_MS, 1))]).wait().expect("on the disk");
    drop(store);
    let database = Database::create(dir.path().join(FILE)).expect("a database");
    let read = database.begin_read().expect("readable");
    assert!(read.open_table(OLD).is_err(), "gone");
}
