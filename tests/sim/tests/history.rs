//! The history's codec on a simulated string with noise: what it costs, and
//! that it comes back (DESIGN.md budget: 3 bytes per record of a floating block).

use evenkeel_core::history::codec::decode;
use evenkeel_core::history::{Level, Place};
use evenkeel_core::scan::Phase;
use evenkeel_sim::recorded::{BEGINS_S, Recording};

fn place() -> Place {
    let period = Level::Raw.period(BEGINS_S * 1_000);
    Place { level: Level::Raw, period, string: 1, part: 0 }
}

#[test]
fn a_floating_block_costs_less_than_three_bytes() {
    let recording =
        Recording { settled_s: 1_200, every_s: 120, seconds: 72 * 120, ..Recording::default() };
    let sheet = recording.rows().expect("a string");
    assert_eq!((sheet.heads.len(), sheet.blocks.len()), (72, 32));
    let good = sheet.blocks.iter().flatten().filter(|record| record.voltage_mv.is_some()).count();
    assert_eq!(good, 72 * 32, "every block was read every time");
    let columns = sheet.encode(place());
    let bytes: usize = columns.iter().map(Vec::len).sum();
    // 17 bytes for the place of a column in the store.
    let per_record = (bytes + 17 * columns.len()) as f64 / sheet.records() as f64;
    println!("{per_record:.2} bytes per record");
    assert!(per_record < 2.4, "{per_record:.2}");
    assert_eq!(decode(place(), &columns), Ok(sheet));
}

#[test]
fn a_discharge_at_one_hertz_comes_back() {
    let recording = Recording {
        blocks: 12,
        settled_s: 600,
        seconds: 700,
        every_s: 1,
        outage_s: Some((60, 360)),
        ..Recording::default()
    };
    let sheet = recording.rows().expect("a string");
    let phases = |phase| sheet.heads.iter().filter(|head| head.phase.phase() == phase).count();
    assert!(phases(Phase::Discharge) > 200 && phases(Phase::Float) > 30);
    let columns = sheet.encode(place());
    let bytes: usize = columns.iter().map(Vec::len).sum();
    let per_record = bytes as f64 / sheet.records() as f64;
    println!("{per_record:.2} bytes per record of a discharge");
    assert!(per_record < 1.5, "{per_record:.2}");
    assert_eq!(decode(place(), &columns), Ok(sheet));
}
