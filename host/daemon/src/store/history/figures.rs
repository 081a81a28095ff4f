//! Figures of the history on a disk, for `cargo xtask bench --only history`: ignored
//! unless asked for. They replay a day that the simulated plant made
//! (`EVENKEEL_HISTORY_DAY`, an exported file of one string of 32 blocks): each string
//! and day of a store gets its rows, with their noise, at its own time.

use super::super::open::Opened;
use super::super::{Limits, Store};
use super::*;
use evenkeel_core::history::codec::decode;
use evenkeel_core::history::file::{FileReader, Piece};
use evenkeel_core::history::level::DAY_MS;
use evenkeel_core::history::{Series, Span, series};
use evenkeel_core::points::{Quality, Unit};
use redb::backends::FileBackend;
use redb::{Database, ReadableDatabase as _, ReadableTableMetadata as _, StorageBackend};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

const FIRST_DAY: u64 = 20_096;
const RING: u64 = 32 << 20;
/// Days of the reference for as many modules (facts/battery-science.md §1.4).
const REFERENCE: [(usize, &str); 4] = [(10, "3112"), (100, "311"), (330, "94"), (512, "–")];

/// What goes to the disk and comes from it.
#[derive(Debug, Default)]
struct Counts {
    written: AtomicU64,
    read: AtomicU64,
    reads: AtomicU64,
    syncs: AtomicU64,
}

#[derive(Debug)]
struct Counting(FileBackend, Arc<Counts>);

impl StorageBackend for Counting {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.1.read.fetch_add(out.len() as u64, Ordering::Relaxed);
        self.1.reads.fetch_add(1, Ordering::Relaxed);
        self.0.read(offset, out)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.1.syncs.fetch_add(1, Ordering::Relaxed);
        self.0.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.1.written.fetch_add(data.len() as u64, Ordering::Relaxed);
        self.0.write(offset, data)
    }
    fn close(&self) -> io::Result<()> {
        self.0.close()
    }
}

fn open(path: &Path, counts: &Arc<Counts>, history_bytes: u64) -> Store {
    let (store, path, counts) = (path.to_owned(), path.to_owned(), counts.clone());
    let opener = move |_: &_| {
        let file = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .expect("a file");
        let backend = Counting(FileBackend::new(file).expect("ours"), counts.clone());
        let mut builder = Database::builder();
        let builder = builder.set_cache_size(4 << 20);
        let database = builder.create_with_backend(backend).expect("a database");
        Ok(Opened { database, damaged: None })
    };
    let limits = Limits { history_bytes, ..Limits::default() };
    Store::start(store, limits, Box::new(opener)).expect("a store")
}

/// The day of the plant.
fn day() -> Sheet {
    let path = std::env::var_os("EVENKEEL_HISTORY_DAY").expect("EVENKEEL_HISTORY_DAY: a file");
    let bytes = std::fs::read(path).expect("the day");
    let (mut rest, mut reader, mut columns) = (&bytes[..], FileReader::default(), Vec::new());
    let mut place = None;
    while reader.needs() > 0 {
        let (piece, more) = rest.split_at(reader.needs().min(rest.len()));
        rest = more;
        if let Piece::Column(key, column) = reader.take(piece).expect("whole") {
            place = Some(key.place);
            columns.push(column.to_vec());
        }
    }
    decode(place.expect("some"), &columns).expect("whole")
}

/// `day` for a string of `blocks` blocks, on day `number` from the first one.
fn moved(day: &Sheet, number: u64, blocks: usize) -> Sheet {
    let midnight = day.heads[0].unix_ms / DAY_MS * DAY_MS;
    let mut sheet = Sheet { heads: day.heads.clone(), blocks: day.blocks[..blocks].to_vec() };
    for head in &mut sheet.heads {
        head.unix_ms = (FIRST_DAY + number) * DAY_MS + (head.unix_ms - midnight);
    }
    sheet
}

/// Strings of 32 blocks, and one of the rest.
fn strings(modules: usize) -> Vec<(u16, usize)> {
    (1..).zip((0..modules).step_by(32).map(|first| 32.min(modules - first))).collect()
}

fn fill(store: &Store, day: &Sheet, modules: usize, days: core::ops::Range<u64>) {
    for number in days {
        let rows = strings(modules).into_iter().map(|(s, blocks)| (s, moved(day, number, blocks)));
        store.append(rows.collect()).wait().expect("on the disk");
    }
}

/// (payload, whole pages) of each level, bytes.
fn pages(path: &Path) -> [(u64, u64); 3] {
    let database = Database::create(path).expect("a database");
    let read = database.begin_read().expect("readable");
    COLUMNS.map(|table| {
        let Ok(table) = read.open_table(table) else { return (0, 0) };
        let stats = table.stats().expect("readable");
        let pages = stats.stored_bytes() + stats.metadata_bytes() + stats.fragmented_bytes();
        (stats.stored_bytes(), pages)
    })
}

#[test]
#[ignore = "a figure: cargo xtask bench --only history"]
fn days_in_the_ring() {
    let day = day();
    println!(
        "modules  B/record  with hours and days  days in 32 MiB: all for records, as shared (records/hours/days)  reference"
    );
    for (modules, reference) in REFERENCE {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("store");
        let store = open(&path, &Arc::default(), 1 << 40);
        // Three whole periods of hours: the last is made when the day behind it is over.
        fill(&store, &day, modules, 0..26);
        drop(store);
        let [records, hours, _] = pages(&path).map(|(_, pages)| pages as f64);
        let (per_day, hours_per_day) = (records / 25.0, hours / 24.0);
        // A row of a day costs what a row of an hour does.
        let days_per_day = hours_per_day / 24.0;
        let taken = (72 * modules) as f64;
        let share = |level: usize| RING as f64 * SHARES[level] as f64 / 100.0;
        println!(
            "{modules:7}  {:8.2}  {:19.2}  {:6.0}, {:.0}/{:.0}/{:.0}  {reference}",
            per_day / taken,
            (per_day + hours_per_day + days_per_day) / taken,
            RING as f64 / per_day,
            share(0) / per_day,
            share(1) / hours_per_day,
            share(2) / days_per_day,
        );
    }
}

#[test]
#[ignore = "a figure: cargo xtask bench --only history"]
fn flash_in_a_day() {
    let (day, counts) = (day(), Arc::new(Counts::default()));
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("store");
    let store = open(&path, &counts, RING);
    fill(&store, &day, 512, 0..20);
    let before = counts.written.load(Ordering::Relaxed);
    let syncs = counts.syncs.load(Ordering::Relaxed);
    for number in 20..28 {
        for row in 0..day.heads.len() {
            let rows = strings(512).into_iter().map(|(string, blocks)| {
                let whole = moved(&day, number, blocks);
                let blocks = whole.blocks.iter().map(|block| vec![block[row]]).collect();
                (string, Sheet { heads: vec![whole.heads[row]], blocks })
            });
            store.append(rows.collect()).wait().expect("on the disk");
        }
    }
    let written = (counts.written.load(Ordering::Relaxed) - before) as f64 / 8.0;
    let syncs = (counts.syncs.load(Ordering::Relaxed) - syncs) as f64 / 8.0;
    drop(store);
    let [records, hours, _] = pages(&path).map(|(payload, _)| payload as f64);
    let kept = records / 27.0 + hours / 24.0;
    println!(
        "512 modules on float: {:.2} MB to flash a day in {syncs:.0} syncs, {:.0} kB of it kept: \
         write amplification {:.1}; {:.0} years to write 1 TB",
        written / 1e6,
        kept / 1e3,
        written / kept,
        1e12 / written / 365.0
    );
}

/// Rows of 20 minutes of so many UPSes that tell six values which are never quiet (tenths,
/// within ±0.6 of what they are) and four that hardly change.
fn values(upses: u64, unix_s: u64) -> Vec<Series> {
    let noise = |n: u64| {
        let mixed =
            n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (mixed >> 40) as i64 % 7 * 100_000
    };
    let series = |ups: u64, point: u64| {
        let row = |window: u64| {
            let unix_s = unix_s + window * 300;
            let seed = unix_s * 64 + ups * 10 + point;
            let mean = 230_000_000 + noise(seed);
            let value = Span { min: mean - noise(seed + 7), mean, max: mean + noise(seed + 9) };
            series::Row { unix_s, value: Some(value), quality: Quality::Good }
        };
        let quiet =
            series::Row { unix_s, value: Some(Span::of(50_000_000)), quality: Quality::Good };
        let rows = match point < 6 {
            true => (0..4).map(row).collect(),
            false if unix_s.is_multiple_of(3_600) => vec![quiet],
            false => Vec::new(),
        };
        let name = format!("ups.{ups}.output.value-{point}");
        Series { name, measure: series::Measure::Number(Unit::Volt), rows }
    };
    let all = (0..upses).flat_map(|ups| (0..10).map(move |point| series(ups, point)));
    all.filter(|series| !series.rows.is_empty()).collect()
}

#[test]
#[ignore = "a figure: cargo xtask bench --only history"]
fn flash_of_values_in_a_day() {
    let day = day();
    for upses in [0, 1, 4, 16] {
        let counts = Arc::new(Counts::default());
        let dir = tempfile::tempdir().expect("a directory");
        let store = open(&dir.path().join("store"), &counts, RING);
        let (days, mut rows) = (9, 0);
        for number in 0..days {
            for row in 0..72 {
                let sheet = moved(&day, number, 32);
                let blocks = sheet.blocks.iter().map(|block| vec![block[row]]).collect();
                let unix_s = (FIRST_DAY + number) * DAY_MS / 1_000 + row as u64 * 1_200;
                let head = Head { unix_ms: unix_s * 1_000, ..sheet.heads[row] };
                let strings = store.append(vec![(1, Sheet { heads: vec![head], blocks })]);
                let values = values(upses, unix_s);
                rows += values.iter().map(|series| series.rows.len() as u64).sum::<u64>();
                let values = store.append_series(values);
                strings.wait().and(values.wait()).expect("on the disk");
            }
        }
        let written = counts.written.load(Ordering::Relaxed) as f64 / days as f64;
        let all = store.usage().expect("readable").rooms;
        let kept = all[crate::store::Room::Values as usize].1 as f64;
        println!(
            "32 modules and {upses} UPSes: {:.2} MB to flash a day; {:.1} kB of values kept a day, \
             {:.2} bytes a row with all levels",
            written / 1e6,
            kept / 1e3 / days as f64,
            kept / rows.max(1) as f64,
        );
    }
}

#[test]
#[ignore = "a figure: cargo xtask bench --only history"]
fn ingest_of_a_discharge() {
    let (day, counts) = (day(), Arc::new(Counts::default()));
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(&dir.path().join("store"), &counts, RING);
    // A second of the plant's day per row: its noise is there, its drift is faster.
    let (seconds, together) = (3_600u64, 5);
    let mut busy = std::time::Duration::ZERO;
    let rows_of = |second: u64| {
        let row = (second as usize) % day.heads.len();
        let blocks: Vec<_> = day.blocks.iter().map(|block| vec![block[row]]).collect();
        let unix_ms = FIRST_DAY * DAY_MS + second * 1_000;
        Sheet { heads: vec![Head { unix_ms, ..day.heads[row] }], blocks }
    };
    for first in (0..seconds).step_by(together) {
        let mut sheet = Sheet::default();
        (first..first + together as u64).for_each(|s| assert!(sheet.append(&rows_of(s))));
        let rows: Vec<_> = (1..=16).map(|string| (string, sheet.clone())).collect();
        let begun = Instant::now();
        store.append(rows).wait().expect("on the disk");
        busy += begun.elapsed();
    }
    println!(
        "512 blocks at 1 Hz for {seconds} s: written in {:.2} s, {:.2} % of one core at most; {:.0} \
         records a second; {:.1} MB to flash an hour",
        busy.as_secs_f64(),
        busy.as_secs_f64() * 100.0 / seconds as f64,
        512.0 * seconds as f64 / busy.as_secs_f64(),
        counts.written.load(Ordering::Relaxed) as f64 / seconds as f64 * 3_600.0 / 1e6
    );
}

#[test]
#[ignore = "a figure: cargo xtask bench --only history"]
fn chart_of_a_year() {
    let (day, counts) = (day(), Arc::new(Counts::default()));
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("store");
    let store = open(&path, &counts, 64 << 20);
    fill(&store, &day, 512, 0..365);
    drop(store);
    for (what, days, points) in
        [("year", 365, 360), ("year", 365, 800), ("30 days", 30, 800), ("day", 1, 800)]
    {
        let store = open(&path, &counts, 64 << 20);
        let counted =
            || (counts.read.load(Ordering::Relaxed), counts.reads.load(Ordering::Relaxed));
        let before = counted();
        let to = (FIRST_DAY + 365) * DAY_MS;
        let begun = Instant::now();
        let whose = Whose { string: 9, block: Some(17) };
        let chart = store.chart(whose, to - days * DAY_MS..=to - 1, points).expect("readable");
        let took = begun.elapsed();
        let after = counted();
        println!(
            "a {what} of one of 512 blocks in {} points: {:.1} ms, {} kB in {} reads from the file",
            chart.len(),
            took.as_secs_f64() * 1e3,
            (after.0 - before.0) / 1_000,
            after.1 - before.1
        );
    }
}
