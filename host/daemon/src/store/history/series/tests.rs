//! Rows of points are found in every level, over restarts, in exports and imports,
//! and the oldest go.

use super::*;
use crate::store::Limits;
use crate::store::history::Imported;
use crate::store::history::tests::NOW_MS;
use evenkeel_core::history::Span;
use evenkeel_core::history::level::DAY_MS;
use evenkeel_core::points::{Quality, Unit};
use std::io::Cursor;
use std::path::Path;

const NAME: &str = "ups.0.input.voltage";
const DAY_S: u64 = DAY_MS / 1_000;
const EVER: RangeInclusive<u64> = 0..=u64::MAX;

fn open(dir: &Path, values_bytes: u64) -> Store {
    Store::open(dir, Limits { values_bytes, ..Limits::default() }).expect("a store")
}

fn row(unix_s: u64) -> Row {
    let mean = (2_300 + unix_s as i64 / 300 % 17) * 100_000;
    let value = Some(Span { min: mean - 100_000, mean, max: mean + 200_000 });
    Row { unix_s, value, quality: Quality::Good }
}

/// Rows of a day, one in 20 minutes, of two points.
fn day(store: &Store, day: u64) {
    for n in 0..72 {
        let series = [NAME, "ups.0.ups.load"].map(|name| Series {
            name: name.to_owned(),
            measure: Measure::Number(Unit::Volt),
            rows: (0..4).map(|of| row(day * DAY_S + n * 1_200 + of * 300)).collect(),
        });
        store.append_series(series.to_vec()).wait().expect("on the disk");
    }
}

fn times(past: &Past) -> Vec<u64> {
    past.rows.iter().map(|row| row.unix_s).collect()
}

#[test]
fn rows_are_found_as_they_were_and_summed_up_over_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path(), 1 << 20);
    (0..10).for_each(|n| day(&store, n));
    drop(store);
    let store = open(dir.path(), 1 << 20);
    let all = store.series(NAME, Level::Raw, &EVER).expect("readable");
    assert_eq!(all.rows, (0..10 * 288).map(|n| row(n * 300)).collect::<Vec<_>>());
    let hours = store.series(NAME, Level::Hour, &EVER).expect("readable");
    let folded = hours.rows.iter().take_while(|row| row.unix_s < 9 * DAY_S);
    assert_eq!(folded.count(), 9 * 24, "today is as it was recorded");
    let days = store.series(NAME, Level::Day, &(DAY_MS..=3 * DAY_MS - 1)).expect("readable");
    assert_eq!(times(&days), [DAY_S, 2 * DAY_S]);
    let extremes = |past: &Past| {
        let spans = past.rows.iter().filter_map(|row| row.value);
        (spans.clone().map(|s| s.min).min(), spans.map(|s| s.max).max())
    };
    for points in [1, 7, 300, 4_000] {
        let chart = store.series_chart(NAME, EVER, points).expect("readable");
        assert!((1..=points).contains(&chart.rows.len()), "{points}");
        assert_eq!(extremes(&chart), extremes(&all), "{points}");
    }
    let within = store.series_chart(NAME, 5 * DAY_MS + 900_000..=5 * DAY_MS + 1_800_000, 99);
    let within = times(&within.expect("readable"));
    assert_eq!(within, [900, 1_200, 1_500, 1_800].map(|s| 5 * DAY_S + s));
    let names = store.series_names().expect("readable");
    assert_eq!(names.keys().collect::<Vec<_>>(), [NAME, "ups.0.ups.load"]);
    assert!(store.series("ups.1.ups.load", Level::Raw, &EVER).expect("readable").rows.is_empty());
    let checked = store.check_history().expect("readable");
    assert_eq!((checked.damaged, checked.columns, checked.groups), (0, 2 * (9 + 2 + 1), 72));
}

#[test]
fn the_oldest_go_and_coarse_ones_stay_longer() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path(), 6 << 10);
    (0..40).for_each(|n| day(&store, n));
    for level in Level::ALL {
        let past = times(&store.series(NAME, level, &EVER).expect("readable"));
        assert_eq!((past[0], past.last()), (0, Some(&(40 * DAY_S - 300))), "{level:?}");
        assert!(past.windows(2).all(|pair| pair[0] < pair[1]), "{level:?}: nothing twice");
    }
    let of_day =
        |day: u64| store.series(NAME, Level::Raw, &(day * DAY_MS..=(day + 1) * DAY_MS - 1));
    assert_eq!(of_day(2).expect("readable").rows.len(), 1, "only its day is left");
    assert_eq!(of_day(38).expect("readable").rows.len(), 288);
    let close = store.series_chart(NAME, 2 * DAY_MS..=3 * DAY_MS - 1, 4_000).expect("readable");
    assert_eq!(close.rows.len(), 1, "however close one looks");
    let usage = store.usage().expect("readable");
    let bytes = usage.rooms[crate::store::Room::Values as usize].1;
    // The groups of today are beside the ring.
    assert!((2 << 10..24 << 10).contains(&bytes), "{usage:?}");
}

#[test]
fn a_clock_that_goes_back_loses_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path(), 1 << 20);
    let one = |unix_s| {
        let measure = Measure::Number(Unit::Volt);
        let series = Series { name: NAME.to_owned(), measure, rows: vec![row(unix_s)] };
        store.append_series(vec![series]).wait().expect("on the disk");
    };
    [DAY_S, 2 * DAY_S, DAY_S + 300, DAY_S + 7_200, 3 * DAY_S].into_iter().for_each(one);
    let past = |level| store.series(NAME, level, &EVER).expect("readable");
    assert_eq!(
        times(&past(Level::Raw)),
        [1, 1, 1, 2, 3]
            .map(|d| d * DAY_S)
            .into_iter()
            .zip([0, 300, 7_200, 0, 0])
            .map(|(day, s)| day + s)
            .collect::<Vec<_>>()
    );
    assert_eq!(times(&past(Level::Hour)), [DAY_S, DAY_S + 7_200, 2 * DAY_S, 3 * DAY_S]);
    assert_eq!(times(&past(Level::Day)), [DAY_S, 2 * DAY_S, 3 * DAY_S]);
}

#[test]
fn an_export_is_taken_whole_and_only_once() {
    let (dir, there) = (tempfile::tempdir().expect("one"), tempfile::tempdir().expect("two"));
    let (store, other) = (open(dir.path(), 1 << 20), open(there.path(), 1 << 20));
    (0..3).for_each(|n| day(&store, n));
    let mut file = Vec::new();
    store
        .export(&EVER, |piece| {
            file.extend(piece);
            true
        })
        .expect("readable");
    // Three days, of which one is not over; hours and days of two.
    let wanted = Imported { columns: 2 * (3 + 1 + 1), added: 10, present: 0, dropped: 0 };
    assert_eq!(other.import(Cursor::new(&file), NOW_MS).expect("whole"), wanted);
    let past = |store: &Store, level| store.series(NAME, level, &EVER).expect("readable");
    assert_eq!(past(&other, Level::Raw), past(&store, Level::Raw));
    assert_eq!(times(&past(&other, Level::Day)), [0, DAY_S, 2 * DAY_S]);
    for store in [&store, &other] {
        let before = past(store, Level::Raw);
        store.import(Cursor::new(&file), NOW_MS).expect("whole");
        assert_eq!(past(store, Level::Raw), before, "nothing is there twice");
    }
    // What was imported of today does not stand in the way of its fold.
    day(&store, 3);
    assert_eq!(past(&store, Level::Raw).rows.len(), 4 * 288);
    let mut text = Vec::new();
    let wanted = |name: &str| name == NAME;
    let taken = |piece: Vec<u8>| {
        text.extend(piece);
        true
    };
    store.export_points_csv(wanted, &(0..=599_999), taken).expect("readable");
    let text = String::from_utf8(text).expect("text");
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(text.contains("\r\n1970-01-01T00:05:00.000Z,ups.0.input.voltage,V,230.1"), "{text}");
    let at = file.windows(NAME.len()).position(|part| part == NAME.as_bytes()).expect("there");
    file[at + NAME.len() + 9] ^= 1;
    let refused = other.import(Cursor::new(&file), NOW_MS).expect_err("damaged").to_string();
    assert!(
        refused.contains("1 columns are damaged, the first of ups.0.input.voltage"),
        "{refused}"
    );
}
