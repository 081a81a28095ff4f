//! A string under scripted scans: inputs, time leaps, outputs.

mod faults;
mod limits;
mod runaway;
mod wild;

use super::*;
use crate::battery::{BatteryType, Chemistry};
use crate::scan::{BlockScan, Phase, StringScan};
use crate::time::Nanos;

/// A string of AGM blocks of 12 V and 100 Ah, and its next scan.
struct Rig {
    protection: StringProtection,
    config: Config,
    now: Nanos,
    blocks: Vec<BlockScan>,
    phase: Phase,
    current_a: Option<f64>,
    string_v: Option<f64>,
    ambient_c: Option<f64>,
    breaker_open: Option<bool>,
    reset: bool,
    baseline: Vec<Option<f32>>,
    ground_leak_a: Option<f64>,
    equalizing_error: bool,
}

impl Rig {
    fn new(blocks: usize) -> Self {
        Self::with(blocks, Latch::default(), |_| {})
    }

    fn with(blocks: usize, latch: Latch, change: impl FnOnce(&mut Config)) -> Self {
        let breaker = toml::from_str("relay = 0\ninput = 0\nescalation_relay = 1").expect("valid");
        let mut config = Config {
            blocks,
            battery: BatteryType::new(Chemistry::Agm, 6, 100.0),
            limits: Limits::default(),
            breaker: Some(breaker),
        };
        change(&mut config);
        config.limits.check(&config.battery).expect("possible limits");
        let block =
            BlockScan { voltage_v: Some(13.62), temperature_c: Some(25.0), ..BlockScan::default() };
        Self {
            protection: StringProtection::new(&config, latch),
            config,
            now: Nanos::from_secs(100),
            blocks: vec![block; blocks],
            phase: Phase::Float,
            current_a: None,
            string_v: None,
            ambient_c: Some(25.0),
            breaker_open: Some(false),
            reset: false,
            baseline: Vec::new(),
            ground_leak_a: None,
            equalizing_error: false,
        }
    }

    /// One scan, `after_s` later.
    fn scan(&mut self, after_s: f64) -> &Report {
        self.now = self.now + Nanos((after_s * 1e9) as u64);
        let scan = StringScan {
            now: self.now,
            wall_s: Some(1_700_000_000),
            blocks: &self.blocks,
            current_a: self.current_a,
            string_v: self.string_v,
            ambient_c: self.ambient_c,
        };
        let inputs = Inputs {
            breaker_open: self.breaker_open,
            reset: self.reset,
            baseline_mohm: &self.baseline,
            ground_leak_a: self.ground_leak_a,
            equalizing_error: self.equalizing_error,
        };
        self.protection.step(&scan, self.phase, &inputs)
    }

    /// Scans every 10 s (every second below 100 s) for so long.
    fn pass(&mut self, seconds: f64) -> &Report {
        let step = if seconds < 100.0 { 1.0 } else { 10.0 };
        for _ in 0..(seconds / step) as usize {
            self.scan(step);
        }
        self.protection.report()
    }

    /// Scans every 10 s while block temperatures change, K/h, for so many hours
    /// or until `done`: after how many hours.
    fn heat_until(
        &mut self,
        hours: f64,
        k_per_h: impl Fn(usize) -> f64,
        mut done: impl FnMut(f64, &Report) -> bool,
    ) -> Option<f64> {
        let exact: Vec<f64> = self.blocks.iter().filter_map(|b| b.temperature_c).collect();
        for scan in 1..=(hours * 360.0) as usize {
            let hour = scan as f64 / 360.0;
            for (i, block) in self.blocks.iter_mut().enumerate() {
                let c = exact[i] + k_per_h(i) * hour;
                block.temperature_c = Some((c * 10.0).round() / 10.0);
            }
            if done(hour, self.scan(10.0)) {
                return Some(hour);
            }
        }
        None
    }

    /// The same to the end.
    fn heat(&mut self, hours: f64, k_per_h: impl Fn(usize) -> f64) {
        self.heat_until(hours, k_per_h, |_, _| false);
    }

    /// The same until it trips.
    fn heat_to_trip(&mut self, hours: f64, k_per_h: impl Fn(usize) -> f64) -> Option<f64> {
        self.heat_until(hours, k_per_h, |_, report| report.trip.is_some())
    }

    fn volts(&mut self, v: f64) {
        self.blocks.iter_mut().for_each(|b| b.voltage_v = Some(v));
    }

    fn celsius(&mut self, c: f64) {
        self.blocks.iter_mut().for_each(|b| b.temperature_c = Some(c));
    }

    fn level(&self, condition: Condition) -> Level {
        self.protection.report().all.level_of(condition)
    }

    /// Level of a condition on a block.
    fn block(&self, block: usize, condition: Condition) -> Level {
        self.protection.report().blocks[block].level_of(condition)
    }

    fn tripped(&self) -> Option<TripCause> {
        self.protection.report().trip.map(|t| t.cause)
    }

    /// The guard restarts with what it kept.
    fn restart(&mut self) {
        self.protection = StringProtection::new(&self.config, self.protection.latch());
    }
}

#[test]
fn a_healthy_string_has_nothing() {
    let mut rig = Rig::new(8);
    rig.pass(3_600.0);
    let report = rig.protection.report();
    assert_eq!((report.level, report.all, report.raised), (Level::Ok, Findings::default(), 0));
    assert_eq!(report.relays, Relays::default());
    assert!(!report.bypass_off && report.worst.iter().all(Option::is_none));
}

#[test]
fn a_report_goes_into_the_image_and_back() {
    let mut rig = Rig::new(3);
    rig.blocks[1].voltage_v = Some(16.0);
    let report = rig.pass(20.0).clone();
    let bytes = postcard::to_allocvec(&report).expect("serializes");
    let back: Report = postcard::from_bytes(&bytes).expect("reads back");
    assert_eq!(back.worst, report.worst);
    assert_eq!(back.blocks, report.blocks);
    let latch = rig.protection.latch();
    let text = toml::to_string(&latch).expect("serializes");
    assert_eq!(toml::from_str::<Latch>(&text), Ok(latch));
}
