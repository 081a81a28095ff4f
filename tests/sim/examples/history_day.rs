//! What the history's codec makes of simulated strings with the noise of real
//! modules, and a day of one as an exported file. Run by `cargo xtask bench
//! history`.

use evenkeel_core::history::file::FileWriter;
use evenkeel_core::history::level::{DAY_MS, summarize};
use evenkeel_core::history::{Key, Level, Place, Sheet};
use evenkeel_sim::recorded::{BEGINS_S, Recording};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let float = Recording::default();
    println!(
        "bytes per record of a floating block (V, T, Ri, bypass, charge, capacity, flags; share of the heads included)"
    );
    for recording in [
        Recording { noise_mv: 0.5, ..float },
        float,
        Recording { noise_mv: 2.0, noise_k: 0.2, ..float },
        Recording { capacity_ah: 7.0, ..float },
        Recording { blocks: 10, ..float },
    ] {
        let sheet = recording.rows()?;
        println!(
            "{:2} blocks of {:3} Ah, {:.1} mV and {:.1} K of noise: {:.2}; of hours per record {:.2}",
            recording.blocks,
            recording.capacity_ah,
            recording.noise_mv,
            recording.noise_k,
            per_record(&sheet, Level::Raw),
            hours(&sheet)
        );
    }
    let outage = Recording { every_s: 1, seconds: 1_500, outage_s: Some((60, 1_260)), ..float };
    println!("a discharge at 1 Hz: {:.2}", per_record(&outage.rows()?, Level::Raw));
    if let Some(path) = std::env::args_os().nth(1) {
        std::fs::write(path, file(&float.rows()?))?;
    }
    Ok(())
}

fn place(level: Level) -> Place {
    Place { level, period: level.period(BEGINS_S * 1_000), string: 1, part: 0 }
}

fn per_record(sheet: &Sheet, level: Level) -> f64 {
    let bytes: usize = sheet.encode(place(level)).iter().map(Vec::len).sum();
    bytes as f64 / sheet.records() as f64
}

/// What eight such days cost as hours, per raw record.
fn hours(sheet: &Sheet) -> f64 {
    let mut days = Sheet::default();
    for day in 0..8 {
        let mut moved = sheet.clone();
        moved.heads.iter_mut().for_each(|head| head.unix_ms += day * DAY_MS);
        days.append(&moved);
    }
    let hours = summarize(&days, Level::Hour);
    per_record(&hours, Level::Hour) * hours.records() as f64 / days.records() as f64
}

fn file(sheet: &Sheet) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = FileWriter::new(&mut out);
    for (block, column) in (0..).zip(sheet.encode(place(Level::Raw))) {
        writer.column(&mut out, Key { place: place(Level::Raw), block }, &column);
    }
    writer.finish(&mut out);
    out
}
