//! Protection of one string: every detector once per scan, the latch of a
//! trip, and the breaker.

use super::block::{BlockLimits, BlockWatch};
use super::breaker::{Breaker, BreakerSettings, BreakerState};
use super::faults::Faults;
use super::float_current::Learned;
use super::hold::{Limit, Side, Tick, Watch};
use super::limits::Limits;
use super::look::Look;
use super::report::{Relays, Report};
use super::runaway::{Runaway, Trip};
use super::{Condition, Conditions, Level};
use crate::battery::BatteryType;
use crate::scan::{Phase, StringScan};
use serde::{Deserialize, Serialize};

/// What a string is made of and how it is protected. Checked by the caller:
/// [`BatteryType::check`], [`Limits::check`], [`BreakerSettings::check`].
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Number of blocks.
    pub blocks: usize,
    /// Type of each.
    pub battery: BatteryType,
    /// When to warn, alarm and trip.
    pub limits: Limits,
    /// The breaker to trip; without one a trip is an alarm and nothing opens.
    pub breaker: Option<BreakerSettings>,
}

/// What outlives a restart of the guard. To be written when `trip` changes,
/// and now and then (daily) for what was learned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Latch {
    /// The trip that nobody has reset.
    pub trip: Option<Trip>,
    /// The string's usual float current.
    pub learned: Learned,
}

/// What a scan brings besides the string's measurements.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inputs<'a> {
    /// What the breaker's auxiliary contact says, already by
    /// [`Contact::is_open`](super::Contact::is_open); `None` without an input,
    /// or when it was not read.
    pub breaker_open: Option<bool>,
    /// A person resets the trip, in this scan.
    pub reset: bool,
    /// Baseline of each block's internal resistance, mΩ, in the string's
    /// order; missing or `None` is not judged.
    pub baseline_mohm: &'a [Option<f32>],
    /// Current to ground, A, where a sensor measures it.
    pub ground_leak_a: Option<f64>,
    /// The equalizer cannot reach its target.
    pub equalizing_error: bool,
}

/// Protection of one string. Built once; a step allocates nothing.
#[derive(Clone, Debug)]
pub struct StringProtection {
    limits: StringLimits,
    block_limits: BlockLimits,
    tick: Option<Tick>,
    phase: Phase,
    blocks: Vec<BlockWatch>,
    string: StringWatch,
    faults: Faults,
    runaway: Runaway,
    breaker: Option<Breaker>,
    trip: Option<Trip>,
    report: Report,
    /// Alarms of the scan before: one per block, then the string's.
    before: Vec<Conditions>,
    scratch: Vec<f64>,
}

#[derive(Clone, Debug)]
struct StringLimits {
    voltage_high: Limit,
    voltage_low: Limit,
    charge_a: Limit,
    discharge_a: Option<Limit>,
}

#[derive(Clone, Copy, Debug, Default)]
struct StringWatch {
    voltage_high: Watch,
    voltage_low: Watch,
    charge: Watch,
    discharge: Watch,
}

impl StringProtection {
    /// For a string as configured, with what was kept over the restart.
    #[must_use]
    pub fn new(config: &Config, latch: Latch) -> Self {
        let Config { blocks, battery, limits, breaker } = config;
        let v = limits.per_cell(battery);
        let (block, string) = (battery.cells_f64(), battery.cells_f64() * *blocks as f64);
        Self {
            limits: StringLimits {
                voltage_high: v.string_high.times(string),
                voltage_low: v.string_low.times(string),
                charge_a: limits.charge_a_per_ah.times(battery.capacity_ah),
                discharge_a: limits.discharge_a_per_ah.map(|l| l.times(battery.capacity_ah)),
            },
            block_limits: BlockLimits {
                voltage_high: v.high.times(block),
                voltage_low: v.low.times(block),
                deviation: limits.deviation_v_per_cell.times(block),
                limits: limits.clone(),
            },
            tick: None,
            phase: Phase::Unknown,
            blocks: vec![BlockWatch::default(); *blocks],
            string: StringWatch::default(),
            faults: Faults::new(*blocks, battery, limits),
            runaway: Runaway::new(*blocks, battery, limits.runaway, latch.learned),
            breaker: breaker.map(|b| Breaker::new(b, latch.trip.is_some())),
            trip: latch.trip,
            report: Report::new(*blocks),
            before: vec![Conditions::default(); *blocks + 1],
            scratch: Vec::with_capacity(*blocks),
        }
    }

    /// What has to outlive a restart.
    #[must_use]
    pub const fn latch(&self) -> Latch {
        Latch { trip: self.trip, learned: self.runaway.learned() }
    }

    /// The report of the last step.
    #[must_use]
    pub const fn report(&self) -> &Report {
        &self.report
    }

    /// One scan. Blocks beyond the configured number are ignored, missing ones
    /// are not measured.
    pub fn step(&mut self, scan: &StringScan<'_>, phase: Phase, inputs: &Inputs<'_>) -> &Report {
        let tick = self.tick.map_or(Tick { now: scan.now, dt_ms: 0 }, |t| t.next(scan.now));
        self.tick = Some(tick);
        // What a string was last known to do, it is taken to do until known otherwise.
        if phase != Phase::Unknown {
            self.phase = phase;
        }
        let mut look = Look::new(tick, scan, self.phase, &mut self.scratch);
        look.breaker_open = inputs.breaker_open == Some(true);
        self.report.begin(&mut self.before);
        let decided = self.runaway.step(&look, &mut self.report);
        for (i, block) in self.blocks.iter_mut().enumerate() {
            let temperature = (self.runaway.good_c(i), self.runaway.is_suspect(i));
            let baseline = inputs.baseline_mohm.get(i).copied().flatten().map(f64::from);
            let limits = &self.block_limits;
            block.step(i, &look, limits, temperature, baseline, &mut self.report);
        }
        self.faults.step(&look, inputs.ground_leak_a, &mut self.report);
        self.string.step(&look, &self.limits, &mut self.report);
        if inputs.equalizing_error {
            self.report.mark(Condition::EqualizingError, Level::Alarm);
        }
        let decided = decided.map(|(cause, block, temperature_c)| Trip {
            cause,
            block,
            temperature_c,
            wall_s: scan.wall_s,
        });
        self.latch_trip(decided, inputs.reset);
        self.step_breaker(tick, inputs.breaker_open);
        self.report.bypass_off = self.trip.is_some() || self.runs_away();
        self.report.end(&self.before);
        &self.report
    }

    /// Whether the runaway rule has an alarm.
    fn runs_away(&self) -> bool {
        let rule = [Condition::TemperatureRise, Condition::Heating, Condition::FloatCurrentHigh];
        let mut found = self.report.blocks.iter().chain([&self.report.string]);
        found.any(|f| rule.iter().any(|c| f.alarm.contains(*c)))
    }

    fn latch_trip(&mut self, decided: Option<Trip>, reset: bool) {
        if reset && self.trip.is_some() {
            if decided.is_some() || self.runaway.persists() {
                self.report.reset_refused = true;
            } else {
                self.trip = None;
            }
        }
        self.trip = self.trip.or(decided);
        self.report.trip = self.trip;
        if self.trip.is_some() {
            self.report.mark(Condition::Tripped, Level::Alarm);
        }
    }

    fn step_breaker(&mut self, tick: Tick, open: Option<bool>) {
        let Some(breaker) = &mut self.breaker else {
            self.report.relays = Relays::default();
            return;
        };
        self.report.relays = breaker.step(tick.now, self.trip.is_some(), open);
        self.report.breaker = breaker.state();
        if breaker.has_failed() {
            self.report.mark(Condition::BreakerFailed, Level::Alarm);
        }
        match breaker.state() {
            BreakerState::Unconfirmed => {
                self.report.mark(Condition::BreakerUnconfirmed, Level::Alarm);
            }
            BreakerState::OpenElsewhere => self.report.mark(Condition::BreakerOpen, Level::Warning),
            _ => {}
        }
    }
}

impl StringWatch {
    fn step(&mut self, look: &Look<'_>, limits: &StringLimits, report: &mut Report) {
        let v = look.string_v.or(look.sum_v);
        let (charge, discharge) = (look.current_a, look.current_a.map(|a| -a));
        let high = self.voltage_high.step(look.tick, v, &limits.voltage_high, Side::High);
        let low = self.voltage_low.step(look.tick, v, &limits.voltage_low, Side::Low);
        let charge = self.charge.step(look.tick, charge, &limits.charge_a, Side::High);
        report.mark(Condition::StringVoltageHigh, high);
        report.mark(Condition::StringVoltageLow, low);
        report.mark(Condition::ChargeCurrentHigh, charge);
        if let Some(limit) = &limits.discharge_a {
            let level = self.discharge.step(look.tick, discharge, limit, Side::High);
            report.mark(Condition::DischargeCurrentHigh, level);
        }
    }
}
