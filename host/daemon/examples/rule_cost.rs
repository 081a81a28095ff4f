//! What an evaluation of 1,000 rules costs on this machine, as the daemon does it
//! twice a second: the points out of the hub, the readings, every rule, what became of
//! them as events, and the calendar. `cargo xtask bench --only rules` runs it. The
//! rules are mixed as people mix them: comparisons with hysteresis, words, timers,
//! latches, and rules that read rules.

use evenkeel_core::automation::{Clock, Document, Engine};
use evenkeel_core::image::{BlockRecord, Snapshot, StringRecord};
use evenkeel_core::points::{Name, Point, Quality, Unit, Value};
use evenkeel_core::rules::{RULES_MAX, Reading};
use evenkeel_core::schedule::Utc;
use evenkeel_core::time::Nanos;
use evenkeeld::hub::Hub;
use evenkeeld::plant::Plant;
use std::collections::BTreeMap;
use std::error::Error;
use std::time::Instant;

/// Evaluations that are measured.
const ROUNDS: u32 = 2_000;
const BLOCKS: usize = 512;

fn main() -> Result<(), Box<dyn Error>> {
    let document: String = (0..RULES_MAX).map(rule).collect();
    let begun = Instant::now();
    let plan = Document::parse(&document)?.plan()?;
    let compiled = begun.elapsed();
    let mut engine = Engine::new(&plan, BTreeMap::new());
    let hub = Hub::default();
    hub.set_limits(evenkeel_core::licence::Limits { blocks: None, ups_va: None });
    let (mut steps, mut events) = (Vec::with_capacity(ROUNDS as usize), 0);
    let mut all = Vec::with_capacity(ROUNDS as usize);
    for round in 0..ROUNDS {
        let now = Nanos::from_millis(500 * u64::from(round));
        hub.set_plant(plant(f64::from(round % 100) / 25.0));
        let value = Value::Text("OL CHRG".to_owned());
        let status = Point { value, unit: Unit::None, quality: Quality::Good, at: now };
        hub.publish("ups.0", now, [(Name::parse("ups.0.ups.status")?, status)]);
        let clock = Clock { now, steady_ms: now.as_millis(), unix_s: Some(1_800_000_000) };
        let begun = Instant::now();
        let points = hub.get(engine.machine().program().inputs());
        let readings: Vec<Reading<'_>> = points.iter().map(|p| Reading::from(p.as_ref())).collect();
        let read = begun.elapsed();
        events += engine.scan(&readings, clock, &Utc).len();
        let took = begun.elapsed();
        steps.push((took - read).as_nanos());
        all.push(took.as_nanos());
    }
    let inputs = engine.machine().program().inputs().len();
    println!("points that are read: {inputs} points");
    println!("compiled: {} µs", compiled.as_micros());
    println!("one evaluation: {} µs", median(&mut all));
    println!("of it the rules themselves: {} µs", median(&mut steps));
    println!("the longest of {ROUNDS}: {} µs", all.last().map_or(0.0, |ns| *ns as f64 / 1e3));
    println!("events of {ROUNDS}: {events} events");
    Ok(())
}

fn rule(n: usize) -> String {
    let block = n % BLOCKS + 1;
    let when = match n % 4 {
        0 => format!("string.1.block.{block}.voltage > 14.4 V hyst 0.2"),
        1 => format!(
            "ton(string.1.block.{block}.temperature > 40 hyst 3, 60 s) and not rule.r{}",
            n - 1
        ),
        2 => format!(
            "sr(rule.r{}, string.1.block.{block}.voltage < 13) or ups.0.ups.status has 'OB'",
            n - 1
        ),
        _ => {
            let [one, two, three] = [1, 2, 3].map(|before| n - before);
            format!("ctu(rise(rule.r{one}), rule.r{two}, 5) xor tof(rule.r{three}, 10 s)")
        }
    };
    format!("[[rule]]\nname = \"r{n}\"\nwhen = \"{when}\"\n")
}

/// Blocks whose voltage and temperature go with a wave of 0 to 4.
fn plant(wave: f64) -> Plant {
    let block = || BlockRecord {
        voltage_mv: ((12.0 + wave) * 1e3) as u16,
        temperature_dc: ((30.0 + 5.0 * wave) * 10.0) as i16,
        quality: Quality::Good,
        temperature_quality: Quality::Good,
        ..BlockRecord::default()
    };
    let string = StringRecord::new((0..BLOCKS).map(|_| block()).collect());
    let snapshot = Snapshot { strings: vec![string], ..Snapshot::default() };
    Plant { snapshot, strings: vec!["A".to_owned()], connected: true, ..Plant::default() }
}

/// µs.
fn median(all: &mut [u128]) -> f64 {
    all.sort_unstable();
    all.get(all.len() / 2).map_or(0.0, |ns| *ns as f64 / 1e3)
}
