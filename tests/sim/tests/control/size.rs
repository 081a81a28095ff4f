//! The largest plants that settings allow: how long a scan takes.

use crate::rig::Rig;
use evenkeel_core::points::Quality;
use evenkeel_core::protect::{Condition, Level};
use evenkeel_core::time::Nanos;
use evenkeel_sim::scenario::{DeviceTable, Scenario, StringTable};
use std::fmt::Write;

/// 16 strings of 32 blocks with their current sensors, 4 AUX, a site and a panel.
fn bus(number: u16) -> (String, Scenario) {
    let mut body = String::new();
    let mut scenario = Scenario { plant_step_ms: 500, seed: number.into(), ..Scenario::default() };
    let mut device = |scenario: &mut Scenario, kind: &str, address: u16, string: u16| {
        write!(
            body,
            "[[device]]\nname = \"D{number}-{address}\"\nkind = \"{kind}\"\nbus = {number}\n\
             address = {address}\n"
        )
        .expect("a string takes everything");
        let string = usize::from(string);
        let table = DeviceTable { address, kind: kind.into(), string, ..DeviceTable::default() };
        scenario.devices.push(table);
    };
    for i in 0..16 {
        device(&mut scenario, "current-200", 1_025 + i, i);
    }
    for i in 0..4 {
        device(&mut scenario, "aux", 1_100 + i, i);
    }
    device(&mut scenario, "site", 1_200, 0);
    device(&mut scenario, "panel", 1_279, 0);
    for i in 0..16 {
        let first_address = 1 + 32 * i;
        scenario.strings.push(StringTable { first_address, ..StringTable::default() });
        write!(
            body,
            "[[string]]\nname = \"S{number}-{i}\"\nbus = {number}\nmodule = \"C20\"\n\
             battery = \"B\"\nfirst_address = {first_address}\nblocks = 32\n\
             current_sensor = \"D{number}-{}\"\n",
            1_025 + i
        )
        .expect("a string takes everything");
    }
    (body, scenario)
}

fn rig(buses: u16) -> Rig {
    let mut body = String::from("cycle_ms = 1200\n");
    let mut scenarios = Vec::new();
    for number in 1..=buses {
        write!(body, "[[bus]]\nport = \"/dev/null{number}\"\n").expect("a string");
    }
    body += "[[battery]]\nname = \"B\"\nchemistry = \"agm\"\ncells = 6\ncapacity_ah = 7.0\n";
    for number in 1..=buses {
        let (part, scenario) = bus(number);
        body += &part;
        scenarios.push(scenario);
    }
    Rig::new(&body, &scenarios)
}

/// Scan everything once; the blocks that were read in it.
fn scan(rig: &mut Rig) -> (usize, Nanos, Nanos) {
    let start = rig.now;
    rig.cycle();
    let blocks = rig.control.strings().iter().flat_map(|s| s.blocks());
    let fresh = blocks.filter(|b| b.quality == Quality::Good && b.read >= start).count();
    (fresh, rig.scanned.since(start), rig.ended.since(start))
}

#[test]
fn a_thousand_blocks_on_two_buses_are_read_within_a_second() {
    for buses in [1, 2] {
        let mut rig = rig(buses);
        rig.until(60, "everybody said who he is", |rig| {
            let blocks = rig.control.strings().iter().flat_map(|s| s.blocks());
            let devices = rig.snapshot().devices;
            blocks.map(|b| b.serial).chain(devices.iter().map(|d| d.serial)).all(|s| s != 0)
        });
        rig.run(2);
        let mut worst = (Nanos(0), Nanos(0));
        for _ in 0..3 {
            let (fresh, scan, all) = scan(&mut rig);
            assert_eq!(fresh, 512 * usize::from(buses));
            worst = (worst.0.max(scan), worst.1.max(all));
        }
        // A module that is gone and a cell that is shorted, while all else is read.
        rig.say("module 7 vanish on");
        rig.say("block 500 shorted-cells 1");
        let marked = |rig: &Rig, string: usize, block: usize, condition| {
            rig.report(string).blocks[block].level_of(condition) > Level::Ok
        };
        rig.until(300, "both told", |rig| {
            marked(rig, 0, 6, Condition::ModuleLost) && marked(rig, 15, 19, Condition::ShortedCell)
        });
        let (fresh, scan, all) = scan(&mut rig);
        assert_eq!(fresh, 512 * usize::from(buses) - 1, "nobody else lost a reading");
        worst = (worst.0.max(scan), worst.1.max(all));
        let snapshot = rig.snapshot();
        assert!(snapshot.devices.iter().all(|d| d.quality == Quality::Good));
        let utilisation: Vec<_> =
            snapshot.buses.iter().map(|b| format!("{:.1} %", 100.0 * b.utilisation)).collect();
        println!(
            "{} blocks and {} devices on {buses} buses at 115200 baud: scan {} ms, with outputs \
             and duties {} ms of 1200; utilisation by the settings {utilisation:?}",
            512 * buses,
            snapshot.devices.len(),
            worst.0.as_millis(),
            worst.1.as_millis()
        );
        assert!(worst.0 <= Nanos::from_secs(1), "the scan itself");
    }
}
