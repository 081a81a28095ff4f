//! What a day costs the flash: 512 modules sampled every 20 minutes, and the
//! events, marks and documents of a busy appliance beside it, each on its own,
//! as they come. Prints bytes and commits by class.
//!
//! `cargo run --release --package evenkeeld --example flash_wear`

use evenkeel_core::events::Event;
use evenkeel_core::history::Sample;
use evenkeel_core::image::{BlockRecord, StringRecord};
use evenkeeld::store::{Class, Limits, Store, StoreError};
use std::time::Instant;

/// Samples of a day.
const SAMPLES: u64 = 72;
const STRINGS: u16 = 16;
const BLOCKS: usize = 32;
/// Events of a busy day, each with a told mark of one notifier.
const EVENTS: u64 = 200;
/// Times that the alarms' document changes.
const DOCUMENTS: u64 = 100;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let store = Store::open(dir.path(), Limits::default())?;
    // A file as it is after weeks: its tables are there.
    day(&store, 0)?;
    let (before, begun) = (store.wear_of_flash(), Instant::now());
    day(&store, 1)?;
    let (after, took) = (store.wear_of_flash(), begun.elapsed());
    println!("class        payload B   written B    erased B");
    for class in Class::ALL {
        let [payload, written, erased] = [
            (before.payload, after.payload),
            (before.written, after.written),
            (before.erased, after.erased),
        ]
        .map(|(before, after)| after.of(class) - before.of(class));
        println!("{:<12} {payload:>9} {written:>11} {erased:>11}", class.word());
    }
    let commits = after.commits - before.commits;
    let written = after.written.sum() - before.written.sum();
    let payload = after.payload.sum() - before.payload.sum();
    println!(
        "{commits} commits, {} µs each; {written} B a day, {:.1} per byte kept; file {} B",
        (after.commit_us - before.commit_us) / commits.max(1),
        written as f64 / payload as f64,
        store.file_bytes()
    );
    println!("a day took {:.2} s", took.as_secs_f64());
    Ok(())
}

fn day(store: &Store, day: u64) -> Result<(), StoreError> {
    for n in 0..SAMPLES {
        let samples = (1..=STRINGS).map(|string| (string, sample(n)));
        store.append(day * 86_400_000 + n * 1_200_000, samples.collect());
        // The append is on the disk when what came behind it is.
        store.keep_told("samples", Some(n)).wait()?;
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

fn sample(n: u64) -> Sample {
    let block = |at: usize| BlockRecord {
        voltage_mv: 13_600 + ((n as usize * 7 + at * 13) % 9) as u16,
        temperature_dc: 230 + (n % 24) as i16,
        ..BlockRecord::default()
    };
    let string = StringRecord::new((0..BLOCKS).map(block).collect());
    Sample::of(&string, &string.blocks, |block| block.quality)
}
