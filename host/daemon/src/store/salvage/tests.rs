//! What is read back from a damaged file was written, and most of it is there.

use super::super::open::{self, Opened};
use super::super::{FILE, Limits, PastDischarge, ShelfChange, Store, wear::Meter};
use super::pages::tests::Memory;
use super::*;
use crate::guard::RecordRows;
use crate::store::history::Whose;
use evenkeel_core::discharge::DischargeRecord;
use evenkeel_core::events::Event;
use evenkeel_core::history::{Head, Level, Record, Series, Sheet, Span, series};
use evenkeel_core::points::{Quality, Unit};
use evenkeel_core::settings::forms::Kind;
use evenkeel_signing::audit::verify;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

/// Keys and values of a table, as bytes.
pub type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

const PAGE: usize = 4_096;
/// Where the file's flags stand, and the one of a file that was not closed.
const FLAGS: usize = 9;
const IN_USE: u8 = 2;

/// Everything in a table, read by redb.
pub fn dump<K: Key + 'static, V: Value + 'static>(
    table: TableDefinition<'static, K, V>,
    database: &Database,
) -> Rows {
    use redb::ReadableDatabase as _;
    let read = database.begin_read().expect("readable");
    let Some(table) = table::open(&read, table).expect("readable") else { return Rows::new() };
    let rows = table.iter().expect("readable").map(|row| {
        let (key, value) = row.expect("readable");
        let key = K::as_bytes(&key.value()).as_ref().to_vec();
        (key, V::as_bytes(&value.value()).as_ref().to_vec())
    });
    rows.collect()
}

fn everything(database: &Database) -> Vec<Rows> {
    CARRIERS.iter().map(|carrier| (carrier.dump)(database)).collect()
}

/// Rows of all tables together.
fn count(tables: &[Rows]) -> usize {
    tables.iter().map(Rows::len).sum()
}

fn row(n: i32, string: u16) -> Sheet {
    let mv = |block: i32| 13_000 + (n * 31 + block * 57 + i32::from(string)) % 1_000;
    let record = |block| Record { voltage_mv: Some(Span::of(mv(block))), ..Record::default() };
    let unix_ms = 1_700_000_000_000 + n as u64 * 1_200_000;
    let head = Head { unix_ms, target_mv: Some(Span::of(13_650)), ..Head::default() };
    Sheet { heads: vec![head], blocks: (0..24).map(|block| vec![record(block)]).collect() }
}

/// Of three points, a row each at the time of [`row`] `n`.
fn values(n: u64) -> Vec<Series> {
    let series = |point: u64| Series {
        name: format!("ups.{point}.ups.load"),
        measure: series::Measure::Number(Unit::Percent),
        rows: vec![series::Row {
            unix_s: 1_700_000_000 + n * 1_200,
            value: Some(Span::of((n * 31 + point * 57) as i64 % 1_000 * 100_000)),
            quality: Quality::Good,
        }],
    };
    (0..3).map(series).collect()
}

fn fill(store: &Store) {
    let user = |n: usize| format!("user{n}");
    for n in 0..400_usize {
        let event = match n % 3 {
            0 => Event::Logout { user: user(n), from: "::1".into() },
            _ => Event::DaemonStarted { version: "x".repeat(n % 90) },
        };
        store.record(event);
        let change =
            ShelfChange::Put { key: user(n), value: Some(vec![n as u8; n]), wear: vec![1] };
        let _ = store.change_shelf("plugin/", change);
        let _ = store.keep_jobs(vec![(format!("i/{n}"), Some(vec![7; 60]))]);
        // Every 20 minutes, of three strings: most of it is folded into columns.
        let _ = store.append((1..4).map(|string| (string, row(n as i32, string))).collect());
        let _ = store.append_series(values(n as u64));
        if n % 40 == 0 {
            let _ = store.put_user(&user(n), vec![b'u'; 200]);
            let _ = store.keep_settings(&Kind::first("config"), &"a = 1\n".repeat(n));
            let _ = store.keep_document(&user(n), Some(vec![3; 9_000]));
            let _ = store.keep_told(&user(n), Some(n as u64));
            let record = DischargeRecord::default();
            let begun_unix_ms = n as u64;
            let past =
                PastDischarge { string: 1, name: "A".into(), begun_unix_ms, rows: 0, record };
            let rows = RecordRows { mv: vec![n as u16; 2_000], ..RecordRows::default() };
            let _ = store.keep_discharge(&past, &rows);
            store.record_acknowledged(Event::GuardBack).wait().expect("on the disk");
        }
    }
}

/// A store, as bytes: closed, and as a power cut leaves it; and what is in it.
struct Example {
    closed: Vec<u8>,
    cut: Vec<u8>,
    truth: Vec<Rows>,
}

static EXAMPLE: LazyLock<Example> = LazyLock::new(|| {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join(FILE);
    let store = Store::open(dir.path(), Limits::default()).expect("a store");
    fill(&store);
    drop(store);
    let closed = std::fs::read(&file).expect("readable");
    let database = Database::create(&file).expect("a store");
    let truth = everything(&database);
    // A commit that changes nothing leaves the file as one that is in use.
    database.begin_write().expect("writable").commit().expect("committed");
    let cut = std::fs::read(&file).expect("readable");
    drop(database);
    Example { closed, cut, truth }
});

/// What a store gives whose file has these bytes.
struct Outcome {
    rows: Vec<Rows>,
    told: Option<Event>,
}

fn start(bytes: &[u8]) -> Outcome {
    let dir = tempfile::tempdir().expect("a directory");
    let file: PathBuf = dir.path().join(FILE);
    std::fs::write(&file, bytes).expect("written");
    let Opened { database, damaged } = open::open(&file, &Arc::<Meter>::default()).expect("starts");
    let rows = everything(&database);
    drop(database);
    let names = std::fs::read_dir(dir.path()).expect("readable").count();
    assert!(names <= 2, "the file, and the damaged one at most");
    assert_eq!(names == 2, damaged.is_some());
    // The new one is whole.
    open::open(&file, &Arc::<Meter>::default()).expect("starts again");
    Outcome { rows, told: damaged }
}

/// Tables whose rows are written again in the course of time.
const REWRITTEN: [&str; 11] = [
    "settings",
    "wear",
    "history_open",
    "history_records",
    "history_hours",
    "history_days",
    "history_sizes",
    "values_open",
    "values_records",
    "values_hours",
    "values_days",
];

/// Whether a row may be as an older commit has it: its value stands in the whole
/// file, though the last commit has another one or none.
fn is_of_an_older_commit(table: &str, value: &[u8]) -> bool {
    let there = |file: &[u8]| file.windows(value.len()).any(|window| window == value);
    REWRITTEN.contains(&table) && !value.is_empty() && there(&EXAMPLE.cut)
}

/// Every row is one that was written, and what is not there was told.
fn judge(outcome: &Outcome, truth: &[Rows]) {
    for ((rows, truth), carrier) in outcome.rows.iter().zip(truth).zip(CARRIERS) {
        let table = (carrier.name)();
        let is_counted_again = table == "history_sizes" && outcome.told.is_some();
        for (key, value) in rows.iter().filter(|_| !is_counted_again) {
            let was_written = truth.get(key) == Some(value)
                || outcome.told.is_some() && is_of_an_older_commit(&table, value);
            assert!(was_written, "a row of {table} that nobody wrote: {key:?} {value:?}");
        }
    }
    let lost = count(truth).saturating_sub(count(&outcome.rows));
    match &outcome.told {
        None => assert_eq!(lost, 0, "nothing was told"),
        Some(Event::StoreDamaged { .. }) => {
            // Of strings and of points.
            let sizes = 3 + 3;
            assert!(count(&outcome.rows) <= sizes, "there was something");
        }
        Some(Event::StoreSalvaged { tables, .. }) => {
            for (carrier, rows) in CARRIERS.iter().zip(&outcome.rows) {
                let name = (carrier.name)();
                let kept = tables.iter().find(|table| table.table == name).map_or(0, |t| t.kept);
                // Rows of discharges without their record are left behind, and
                // sizes are counted again.
                let is_made_anew = ["discharge_rows", "history_sizes"].contains(&name.as_str());
                assert!(kept == rows.len() as u64 || is_made_anew, "{name}: {kept}");
            }
        }
        Some(other) => panic!("{other:?}"),
    }
}

#[test]
fn every_table_has_its_carrier() {
    let mut names: Vec<String> = Vec::new();
    let mut folders = vec![PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src/store"))];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("readable") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with("salvage/tests.rs") {
                let text = std::fs::read_to_string(&path).expect("readable");
                let after = text.split("TableDefinition::new(").skip(1);
                names.extend(after.filter_map(|rest| {
                    rest.trim_start().strip_prefix('"')?.split('"').next().map(str::to_owned)
                }));
            }
        }
    }
    let carried: Vec<_> = CARRIERS.iter().map(|carrier| (carrier.name)()).collect();
    // History in an old form is dropped when it is met.
    names.retain(|name| !carried.contains(name) && name != "samples");
    assert!(carried.len() >= 14 && names.is_empty(), "would be lost: {names:?}");
}

#[test]
fn a_whole_file_is_whole_and_can_be_read_without_redb() {
    for bytes in [&EXAMPLE.closed, &EXAMPLE.cut] {
        let memory = Memory(bytes.clone());
        let pages = Pages::of(&memory).expect("a size");
        assert_eq!(pages.check(), Ok(()));
        let (tables, walked) = pages.tables(&pages.commits()[0]);
        assert_eq!((tables.len(), walked.bad), (CARRIERS.len(), 0));
        for (carrier, truth) in CARRIERS.iter().zip(&EXAMPLE.truth) {
            let name = (carrier.name)();
            let table = tables.iter().find(|table| table.name == name).expect("there");
            let mut rows = Rows::new();
            let visit = |key: &[u8], value: &[u8]| {
                rows.insert(key.to_vec(), value.to_vec());
                Ok::<_, std::convert::Infallible>(())
            };
            let Ok(walked) = pages.rows(table, visit);
            assert_eq!(walked.rows, table.tree.map_or(0, |tree| tree.rows));
            // Days are made of whole weeks.
            let may_be_empty = name == "history_days";
            assert!(rows == *truth && (may_be_empty || !rows.is_empty()), "{name}");
        }
        let outcome = start(bytes);
        assert!(outcome.told.is_none() && outcome.rows == EXAMPLE.truth);
    }
}

#[test]
fn one_bad_page_costs_what_is_on_it() {
    let mut hits = Vec::new();
    for page in 1..EXAMPLE.closed.len() / PAGE {
        let mut bytes = EXAMPLE.closed.clone();
        bytes[page * PAGE..][..PAGE].fill(0);
        if bytes == EXAMPLE.closed {
            continue;
        }
        // Not through a file each time: what can be had is the same.
        let memory = Memory(bytes);
        let pages = Pages::of(&memory).expect("a size");
        if pages.check().is_ok() {
            continue;
        }
        let all: u64 = EXAMPLE.truth.iter().map(|rows| rows.len() as u64).sum();
        let commits: Vec<_> = pages.commits().iter().map(|c| pages.tables(c).0).collect();
        let strays = pages.strays();
        let had: u64 = CARRIERS
            .iter()
            .filter_map(|carrier| {
                let name = (carrier.name)();
                best(&pages, &commits, &name).or_else(|| best_stray(&pages, &strays, &name))
            })
            .map(|table| {
                let Ok(walked) = pages.rows(&table, |_, _| Ok::<_, std::convert::Infallible>(()));
                walked.rows
            })
            .sum();
        hits.push(had as f64 / all as f64);
    }
    hits.sort_by(f64::total_cmp);
    let mean = hits.iter().sum::<f64>() / hits.len() as f64;
    let begun = Instant::now();
    let memory = Memory(EXAMPLE.closed.clone());
    Pages::of(&memory).expect("a size").check().expect("whole");
    let (used, took) = (hits.len(), begun.elapsed());
    println!("{used} pages in use, checked in {took:?}; kept of all rows when one is zero:");
    println!("mean {mean:.4}, worst {:?}", &hits[..5]);
    assert!(hits.len() > 100, "{}", hits.len());
    assert!(mean > 0.97, "{mean}");
    assert!(hits[0] > 0.3, "no page is worth all the others: {:?}", &hits[..9]);
    assert!(hits[hits.len() / 20] > 0.9, "19 of 20 cost less than a tenth: {:?}", &hits[..9]);
}

#[test]
fn a_salvaged_store_works_on_and_its_audit_log_names_the_break() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join(FILE);
    let store = Store::open(dir.path(), Limits::default()).expect("a store");
    for n in 0..300 {
        store.record(Event::Logout { user: format!("user{n}"), from: "::1".into() });
    }
    store.record_acknowledged(Event::GuardBack).wait().expect("on the disk");
    drop(store);
    // A page from the middle of the log.
    let mut bytes = std::fs::read(&file).expect("readable");
    let line = b"\"seq\":150,";
    let at = bytes.windows(line.len()).rposition(|window| window == line).expect("there");
    bytes[at] ^= 1;
    std::fs::write(&file, bytes).expect("written");

    let store = Store::open(dir.path(), Limits::default()).expect("a store");
    let id = store.record_acknowledged(Event::GuardLost).wait().expect("on the disk");
    let events = store.events(None, usize::MAX);
    assert_eq!(events.last().map(|event| event.id), Some(id));
    let told = events.iter().find_map(|event| match &event.event {
        Event::StoreSalvaged { tables, .. } => Some(tables.clone()),
        _ => None,
    });
    let log = told.expect("told").into_iter().find(|table| table.table == "audit").expect("there");
    assert!(log.lost > 0 && log.kept > 200, "{log:?}");
    let export = store.audit_export().expect("a log");
    let report = verify(&export, store.audit_key()).expect("in two parts");
    assert_eq!(report.first, 1);
    let [(from, to)] = report.missing[..] else { panic!("{:?}", report.missing) };
    assert!((from..=to).contains(&150) && to - from <= log.lost, "{:?} {log:?}", report.missing);
    let text = String::from_utf8(export).expect("text");
    let entry = format!("entries {from} to {to} of this log are lost");
    assert!(text.contains("salvage the damaged store") && text.contains(&entry));
}

#[test]
fn no_row_is_told_twice_when_a_day_was_folded_in_the_last_commit() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = Store::open(dir.path(), Limits::default()).expect("a store");
    // 1,700,000,000 s is 22:13: midnight is before the rows 6 and 78.
    let midnight = 78;
    for n in 0..midnight {
        let rows = store.append((1..4).map(|string| (string, row(n, string))).collect());
        rows.wait().expect("on the disk");
        store.append_series(values(n as u64)).wait().expect("on the disk");
    }
    // The first row of the next day makes columns of the day.
    store.append(vec![(1, row(midnight, 1))]).wait().expect("on the disk");
    let mut bytes = std::fs::read(dir.path().join(FILE)).expect("readable");
    // As if it had been closed: of a file in use redb itself takes the older commit.
    assert_eq!(bytes[FLAGS] & IN_USE, IN_USE);
    bytes[FLAGS] &= !IN_USE;
    drop(store);
    let (mut salvaged, mut whole) = (0, 0);
    for page in 1..bytes.len() / PAGE {
        let mut harmed = bytes.clone();
        harmed[page * PAGE..][..PAGE].fill(0);
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join(FILE), harmed).expect("written");
        let store = Store::open(dir.path(), Limits::default()).expect("starts");
        for string in 1..4 {
            let mut told = Vec::new();
            let whose = Whose { string, block: Some(0) };
            let visit = |head: &Head, _: &Record| told.push(head.unix_ms);
            store.past(whose, Level::Raw, 0..=u64::MAX, visit).expect("readable");
            let once: std::collections::BTreeSet<_> = told.iter().collect();
            assert_eq!(once.len(), told.len(), "page {page}: string {string}");
            whole += usize::from(told.len() >= midnight as usize);
        }
        let events = store.events(None, usize::MAX);
        let is_told = |event: &Event| matches!(event, Event::StoreSalvaged { .. });
        salvaged += usize::from(events.iter().any(|event| is_told(&event.event)));
    }
    assert!(salvaged > 5 && whole > 2 * salvaged, "{salvaged} salvaged, {whole} whole");
}

/// What happens to a file.
#[derive(Clone, Debug)]
enum Harm {
    Flip(prop::sample::Index, u8),
    Zero(prop::sample::Index, usize),
    Garbage(prop::sample::Index, u64),
    Swap(prop::sample::Index, prop::sample::Index),
    Cut(prop::sample::Index),
    /// In the head of the file, where everything begins.
    Head(usize, u8),
}

impl Harm {
    fn any() -> impl Strategy<Value = Self> {
        let at = any::<prop::sample::Index>;
        prop_oneof![
            4 => (at(), 1_u8..).prop_map(|(at, mask)| Self::Flip(at, mask)),
            4 => (at(), 1_usize..4).prop_map(|(at, pages)| Self::Zero(at, pages)),
            2 => (at(), any::<u64>()).prop_map(|(at, seed)| Self::Garbage(at, seed)),
            1 => (at(), at()).prop_map(|(a, b)| Self::Swap(a, b)),
            1 => at().prop_map(Self::Cut),
            3 => (0_usize..320, 1_u8..).prop_map(|(at, mask)| Self::Head(at, mask)),
        ]
    }

    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.len() < 2 * PAGE {
            return;
        }
        let pages = bytes.len() / PAGE;
        match self {
            Self::Flip(at, mask) => {
                let at = at.index(bytes.len());
                bytes[at] ^= mask;
            }
            Self::Zero(at, count) => {
                let from = at.index(pages);
                let to = (from + count).min(pages);
                bytes[from * PAGE..to * PAGE].fill(0);
            }
            Self::Garbage(at, seed) => {
                let from = at.index(pages) * PAGE;
                let mut state = seed | 1;
                for byte in &mut bytes[from..from + PAGE] {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    *byte = (state >> 56) as u8;
                }
            }
            Self::Swap(a, b) => {
                let (a, b) = (a.index(pages) * PAGE, b.index(pages) * PAGE);
                let kept = bytes[a..a + PAGE].to_vec();
                bytes.copy_within(b..b + PAGE, a);
                bytes[b..b + PAGE].copy_from_slice(&kept);
            }
            Self::Cut(at) => bytes.truncate(at.index(bytes.len()).max(1)),
            Self::Head(at, mask) => bytes[*at] ^= mask,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, ..ProptestConfig::default() })]
    #[test]
    fn whatever_happens_to_the_file_it_starts_and_says_nothing_wrong(
        harms in prop::collection::vec(Harm::any(), 1..4),
        closed: bool,
    ) {
        let mut bytes = if closed { EXAMPLE.closed.clone() } else { EXAMPLE.cut.clone() };
        harms.iter().for_each(|harm| harm.apply(&mut bytes));
        if let Some(flags) = bytes.get_mut(FLAGS).filter(|_| closed) {
            // Of a file that says so redb may take the commit before, without a word.
            *flags &= !IN_USE;
        }
        judge(&start(&bytes), &EXAMPLE.truth);
    }
}
