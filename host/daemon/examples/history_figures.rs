//! Figures of the history in the store, as `cargo xtask bench --only history` takes
//! them: a line each, `name: value unit`. The argument is a day that the simulated
//! plant made (an exported file of one string of 32 blocks): each string and day of a
//! store gets its rows, with their noise, at its own time.
//!
//! `cargo run --release --package evenkeeld --example history_figures -- <file>`

use evenkeel_core::history::codec::decode;
use evenkeel_core::history::file::{FileReader, Piece};
use evenkeel_core::history::level::DAY_MS;
use evenkeel_core::history::series::{Measure, Row};
use evenkeel_core::history::{Head, Series, Sheet, Span};
use evenkeel_core::points::{Quality, Unit};
use evenkeeld::store::history::{SHARES, Whose};
use evenkeeld::store::{FILE, Limits, Room, Store};
use redb::{Database, ReadableDatabase as _, ReadableTableMetadata as _, TableHandle as _};
use rustix::time::{ClockId, clock_gettime};
use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

type Any = Box<dyn Error>;

/// A day with which periods of eight and of 128 days begin.
const FIRST_DAY: u64 = 20_096;
/// What the reference has for its history.
const RING: u64 = 32_000_000;
/// Modules of the reference's table (facts/battery-science.md §1.4), and all of ours.
const MODULES: [usize; 4] = [10, 100, 330, MOST];
/// Records of a block in a day.
const ROWS: usize = 72;
/// All of the modules.
const MOST: usize = 512;

fn main() -> Result<(), Any> {
    let file = std::env::args_os().nth(1).ok_or("give the file with the plant's day")?;
    let day = read(Path::new(&file))?;
    days_in_the_ring(&day)?;
    flash_in_a_day(&day)?;
    flash_of_values_in_a_day(&day)?;
    ingest_of_a_discharge(&day)?;
    chart_of_a_year(&day)
}

fn open(dir: &Path, history_bytes: u64) -> Result<Store, Any> {
    Ok(Store::open(dir, Limits { history_bytes, ..Limits::default() })?)
}

/// The day of the plant.
fn read(path: &Path) -> Result<Sheet, Any> {
    let bytes = std::fs::read(path)?;
    let (mut rest, mut reader, mut columns) = (&bytes[..], FileReader::default(), Vec::new());
    let mut place = None;
    while reader.needs() > 0 {
        let (piece, more) = rest.split_at(reader.needs().min(rest.len()));
        rest = more;
        if let Piece::Column(key, column) = reader.take(piece).map_err(|e| e.to_string())? {
            place = Some(key.place);
            columns.push(column.to_vec());
        }
    }
    let place = place.ok_or("there is nothing in the file")?;
    Ok(decode(place, &columns).map_err(|(_, damage)| damage.to_string())?)
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

fn fill(
    store: &Store,
    day: &Sheet,
    modules: usize,
    days: core::ops::Range<u64>,
) -> Result<(), Any> {
    for number in days {
        let rows = strings(modules).into_iter().map(|(s, blocks)| (s, moved(day, number, blocks)));
        store.append(rows.collect()).wait()?;
    }
    Ok(())
}

/// Whole pages of records, hours and days, bytes.
fn pages(dir: &Path) -> Result<[f64; 3], Any> {
    let database = Database::open(dir.join(FILE))?;
    let read = database.begin_read()?;
    let mut pages = [0.0; 3];
    for handle in read.list_tables()? {
        let names = ["history_records", "history_hours", "history_days"];
        let Some(at) = names.iter().position(|name| *name == handle.name()) else { continue };
        let stats = read.open_untyped_table(handle)?.stats()?;
        let bytes = stats.stored_bytes() + stats.metadata_bytes() + stats.fragmented_bytes();
        pages[at] = bytes as f64;
    }
    Ok(pages)
}

fn days_in_the_ring(day: &Sheet) -> Result<(), Any> {
    for modules in MODULES {
        let dir = tempfile::tempdir()?;
        let store = open(dir.path(), 1 << 40)?;
        // Three whole periods of hours: the last is made when the day behind it is over.
        fill(&store, day, modules, 0..26)?;
        drop(store);
        let [records, hours, _] = pages(dir.path())?;
        let (per_day, hours_per_day) = (records / 25.0, hours / 24.0);
        // A row of a day costs what a row of an hour does.
        let days_per_day = hours_per_day / 24.0;
        let taken = (ROWS * modules) as f64;
        let all = (per_day + hours_per_day + days_per_day) / taken;
        println!("{modules} modules, a record with its index: {} B", per_day / taken);
        println!("{modules} modules, a record with its share of hours and days: {all} B");
        println!("{modules} modules, records in 32 MB: {} days", RING as f64 / per_day);
        let share =
            |level: usize, per_day: f64| RING as f64 / 100.0 * SHARES[level] as f64 / per_day;
        println!("{modules} modules, records as 32 MB are shared: {} days", share(0, per_day));
        println!("{modules} modules, hours beside them: {} days", share(1, hours_per_day));
        println!("{modules} modules, days beside them: {} days", share(2, days_per_day));
    }
    Ok(())
}

fn flash_in_a_day(day: &Sheet) -> Result<(), Any> {
    let dir = tempfile::tempdir()?;
    let store = open(dir.path(), RING)?;
    fill(&store, day, MOST, 0..20)?;
    let before = store.wear_of_flash();
    let whole = strings(MOST).into_iter();
    let whole: Vec<_> = whole.map(|(string, blocks)| (string, moved(day, 0, blocks))).collect();
    for number in 20..28 {
        for row in 0..day.heads.len() {
            let rows = whole.iter().map(|(string, sheet)| {
                let unix_ms = sheet.heads[row].unix_ms + number * DAY_MS;
                let blocks = sheet.blocks.iter().map(|block| vec![block[row]]).collect();
                (*string, Sheet { heads: vec![Head { unix_ms, ..sheet.heads[row] }], blocks })
            });
            store.append(rows.collect()).wait()?;
        }
    }
    let after = store.wear_of_flash();
    let written = (after.written.sum() - before.written.sum()) as f64 / 8.0;
    drop(store);
    let [records, hours, _] = pages(dir.path())?;
    // Whole days: today's rows are not folded yet.
    let kept = records / 27.0 + hours / 24.0;
    println!("512 modules on float, to flash a day: {} MB", written / 1e6);
    println!("512 modules on float, of it kept: {} MB", kept / 1e6);
    println!("512 modules on float, write amplification: {} : 1", written / kept);
    let commits = (after.commits - before.commits) as f64 / 8.0;
    println!("512 modules on float, commits a day: {commits} times");
    println!("512 modules on float, until 1 TB is written: {} years", 1e12 / written / 365.0);
    Ok(())
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
            Row { unix_s, value: Some(value), quality: Quality::Good }
        };
        let quiet = Row { unix_s, value: Some(Span::of(50_000_000)), quality: Quality::Good };
        let rows = match point < 6 {
            true => (0..4).map(row).collect(),
            false if unix_s.is_multiple_of(3_600) => vec![quiet],
            false => Vec::new(),
        };
        let name = format!("ups.{ups}.output.value-{point}");
        Series { name, measure: Measure::Number(Unit::Volt), rows }
    };
    let all = (0..upses).flat_map(|ups| (0..10).map(move |point| series(ups, point)));
    all.filter(|series| !series.rows.is_empty()).collect()
}

fn flash_of_values_in_a_day(day: &Sheet) -> Result<(), Any> {
    for upses in [0, 4, 16] {
        let dir = tempfile::tempdir()?;
        let store = open(dir.path(), RING)?;
        let (days, mut rows) = (9, 0);
        let before = store.wear_of_flash();
        for number in 0..days {
            for row in 0..ROWS {
                let unix_ms = (FIRST_DAY + number) * DAY_MS + row as u64 * 1_200_000;
                let blocks = day.blocks.iter().map(|block| vec![block[row]]).collect();
                let head = Head { unix_ms, ..day.heads[row] };
                let strings = store.append(vec![(1, Sheet { heads: vec![head], blocks })]);
                let values = values(upses, unix_ms / 1_000);
                rows += values.iter().map(|series| series.rows.len() as u64).sum::<u64>();
                let values = store.append_series(values);
                strings.wait().and(values.wait())?;
            }
        }
        let after = store.wear_of_flash();
        let written = (after.written.sum() - before.written.sum()) as f64 / days as f64;
        println!("32 modules and {upses} UPSes, to flash a day: {} MB", written / 1e6);
        let rooms = store.usage()?.rooms;
        if rows > 0 {
            let kept = rooms[Room::Values as usize].1 as f64;
            println!("{upses} UPSes, a value with all levels: {} B", kept / rows as f64);
        }
    }
    Ok(())
}

fn cpu(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn ingest_of_a_discharge(day: &Sheet) -> Result<(), Any> {
    let dir = tempfile::tempdir()?;
    let store = open(dir.path(), RING)?;
    // A second of the plant's day per row: its noise is there, its drift is faster.
    let (seconds, together) = (3_600u64, 5);
    let rows_of = |second: u64| {
        let row = (second as usize) % day.heads.len();
        let blocks: Vec<_> = day.blocks.iter().map(|block| vec![block[row]]).collect();
        let unix_ms = FIRST_DAY * DAY_MS + second * 1_000;
        Sheet { heads: vec![Head { unix_ms, ..day.heads[row] }], blocks }
    };
    let before = store.wear_of_flash();
    // This thread makes the rows, which a guard would; what it spends on handing them
    // over counts, and all that the store's own threads spend.
    let (process, own) = (cpu(ClockId::ProcessCPUTime), cpu(ClockId::ThreadCPUTime));
    let (mut waited, mut handing) = (Duration::ZERO, Duration::ZERO);
    for first in (0..seconds).step_by(together) {
        let mut sheet = Sheet::default();
        for second in first..first + together as u64 {
            if !sheet.append(&rows_of(second)) {
                return Err("the rows of a string have its blocks".into());
            }
        }
        let rows: Vec<_> = (1..=16).map(|string| (string, sheet.clone())).collect();
        let (begun, at) = (Instant::now(), cpu(ClockId::ThreadCPUTime));
        store.append(rows).wait()?;
        waited += begun.elapsed();
        handing += cpu(ClockId::ThreadCPUTime) - at;
    }
    let own = cpu(ClockId::ThreadCPUTime) - own;
    let spent = cpu(ClockId::ProcessCPUTime) - process - own + handing;
    let share = |time: Duration| time.as_secs_f64() * 100.0 / seconds as f64;
    println!("512 blocks at 1 Hz, processor: {} % of a core", share(spent));
    println!("512 blocks at 1 Hz, waiting for the store: {} % of the time", share(waited));
    let records = 512.0 * seconds as f64 / waited.as_secs_f64();
    println!("512 blocks at 1 Hz, records a second that it could take: {records} records");
    let written = store.wear_of_flash().written.sum() - before.written.sum();
    println!("512 blocks at 1 Hz, to flash an hour: {} MB", written as f64 / 1e6);
    Ok(())
}

/// Bytes that this process had from files, and in how many reads (proc(5)).
fn reads() -> Result<(u64, u64), Any> {
    let text = std::fs::read_to_string("/proc/self/io")?;
    let of = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|number| number.trim().parse().ok()).ok_or("the kernel counts no reads")
    };
    Ok((of("rchar:")?, of("syscr:")?))
}

fn chart_of_a_year(day: &Sheet) -> Result<(), Any> {
    let dir = tempfile::tempdir()?;
    let store = open(dir.path(), RING)?;
    fill(&store, day, MOST, 0..365)?;
    drop(store);
    for (what, days, points) in
        [("year", 365, 360), ("year", 365, 800), ("month", 30, 800), ("day", 1, 800)]
    {
        // Nothing of it is in memory yet.
        let store = open(dir.path(), RING)?;
        let before = reads()?;
        let to = (FIRST_DAY + 365) * DAY_MS;
        let begun = Instant::now();
        let whose = Whose { string: 9, block: Some(17) };
        let chart = store.chart(whose, to - days * DAY_MS..=to - 1, points)?;
        let took = begun.elapsed().as_secs_f64() * 1e3;
        let after = reads()?;
        let of = format!("a {what} of one of 512 blocks in {points} points");
        println!("{of}: {took} ms");
        println!("{of}, points that there are: {} points", chart.len());
        println!("{of}, from the file: {} kB", (after.0 - before.0) as f64 / 1e3);
        println!("{of}, reads: {} times", after.1 - before.1);
    }
    Ok(())
}
