//! What a day costs the flash: 512 modules recorded every 20 minutes with the
//! noise of real ones, and the events, marks and documents of a busy appliance
//! beside it, each on its own, as they come. What is to be kept of the history
//! is counted as it comes in; folded at the end of the day it is smaller. Prints bytes and commits by class.
//!
//! `cargo run --release --package evenkeeld --example flash_wear`

use evenkeel_core::bus::wire::Duty;
use evenkeel_core::events::Event;
use evenkeel_core::history::Row;
use evenkeel_core::image::{BlockRecord, Fault, StringRecord};
use evenkeel_core::points::Quality;
use evenkeel_core::scan::Phase;
use evenkeel_core::time::Nanos;
use evenkeeld::store::{Class, Limits, Store, StoreError};
use std::time::Instant;

/// Rows of a string in a day.
const ROWS: u64 = 72;
const STRINGS: u16 = 16;
const BLOCKS: usize = 32;
/// Events of a busy day, each with a told mark of one notifier.
const EVENTS: u64 = 200;
/// Days before those that are measured, and those: whole periods of eight days.
const FIRST: u64 = 8;
const DAYS: u64 = 8;
/// The first day, since 1970: one with which a period of eight days begins.
const MIDNIGHT_DAY: u64 = 20_000;
/// Times that the alarms' document changes.
const DOCUMENTS: u64 = 100;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let store = Store::open(dir.path(), Limits::default())?;
    // A file as it is after weeks: its tables are there, and periods of eight
    // days come to their end.
    for number in 0..FIRST {
        day(&store, number)?;
    }
    let (before, begun) = (store.wear_of_flash(), Instant::now());
    for number in FIRST..FIRST + DAYS {
        day(&store, number)?;
    }
    let (after, took) = (store.wear_of_flash(), begun.elapsed());
    println!("class        payload B   written B    erased B");
    for class in Class::ALL {
        let [payload, written, erased] = [
            (before.payload, after.payload),
            (before.written, after.written),
            (before.erased, after.erased),
        ]
        .map(|(before, after)| (after.of(class) - before.of(class)) / DAYS);
        println!("{:<12} {payload:>9} {written:>11} {erased:>11}", class.word());
    }
    let commits = (after.commits - before.commits) / DAYS;
    let written = (after.written.sum() - before.written.sum()) / DAYS;
    let payload = (after.payload.sum() - before.payload.sum()) / DAYS;
    println!(
        "{commits} commits a day, {} µs each; {written} B a day, {:.1} per byte kept; file {} B",
        (after.commit_us - before.commit_us) / DAYS / commits.max(1),
        written as f64 / payload as f64,
        store.file_bytes()
    );
    println!("a day took {:.2} s", took.as_secs_f64() / DAYS as f64);
    Ok(())
}

fn day(store: &Store, day: u64) -> Result<(), StoreError> {
    for n in 0..ROWS {
        let unix_ms = (MIDNIGHT_DAY + day) * 86_400_000 + n * 1_200_000;
        let rows = (1..=STRINGS).map(|string| (string, (&row(unix_ms, string)).into()));
        store.append(rows.collect()).wait()?;
    }
    for n in 0..EVENTS {
        let from = "192.0.2.17".to_owned();
        let (user, refused) = ("admin".to_owned(), None);
        let order = format!("measure the resistance of string 1 block {n}");
        let id = store.record_acknowledged(Event::Ordered { user, from, order, refused }).wait()?;
        store.keep_told("syslog", Some(id)).wait()?;
    }
    for n in 0..DOCUMENTS {
        store.keep_document("alarms", Some(vec![(n + day) as u8; 4_000])).wait()?;
    }
    Ok(())
}

/// A string on float: a reading has 1 mV and 0.1 K of noise, and of the
/// voltage's noise the control law makes some percents of duty.
fn row(unix_ms: u64, string: u16) -> Row {
    let mut noise = Noise(unix_ms ^ u64::from(string) << 48);
    let room_c = 25.0 + (unix_ms as f64 / 86_400_000.0 * std::f64::consts::TAU).sin();
    let block = |at: usize| {
        let off_mv = noise.normal();
        BlockRecord {
            voltage_mv: (13_620.0 + off_mv).round() as u16,
            temperature_dc: (room_c * 10.0 + noise.normal()).round() as i16,
            duty: Duty((6_553.0 + 500.0 * (at % 7) as f64 + 650.0 * off_mv) as u16),
            resistance: Some((4.0 + at as f32 / 100.0, Nanos(0))),
            quality: Quality::Good,
            temperature_quality: Quality::Good,
            fault: Fault::None,
            ..BlockRecord::default()
        }
    };
    let mut string = StringRecord::new((0..BLOCKS).map(block).collect());
    (string.phase, string.equalize.target_v) = (Phase::Float, 13.62);
    string.current_a = Some(0.35 + 0.02 * noise.normal());
    string
        .estimate
        .blocks
        .iter_mut()
        .for_each(|block| (block.soc, block.capacity_ah) = (1.0, 40.0));
    Row::of(unix_ms, &string, &string.blocks, |block| (block.quality, block.temperature_quality))
}

/// The same numbers every time (SplitMix64).
struct Noise(u64);

impl Noise {
    /// Mean 0 and deviation 1: of twelve even ones nobody sees the difference.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.even()).sum::<f64>() - 6.0
    }

    /// Below 1.
    fn even(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}
