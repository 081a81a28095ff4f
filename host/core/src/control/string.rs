//! One string through a cycle: look, tell the phase, protect, equalize,
//! estimate, record, judge.
//!
//! A string may by declaration have blocks of different numbers of cells.
//! Equalization works per cell; protection, estimators and recorder know one
//! type of block, so they see every block as if it had as many cells as the
//! first (`reference`): voltage and resistance in proportion.

use super::pause::UserPause;
use super::survey;
use crate::battery::BatteryType;
use crate::bus::master::Module;
use crate::bus::wire::{Duty, Flags};
use crate::discharge::{self, Recorder};
use crate::equalize::schedule::{self, Scheduled};
use crate::equalize::{self, BlockConfig, Equalizer};
use crate::estimate::{self, StringEstimator};
use crate::health::{
    self, CapacityEstimate, Extras, HealthConfig, ResistanceSchedule, StringHealth,
};
use crate::image::{BlockRecord, StringRecord};
use crate::phase::PhaseDetector;
use crate::protect::{self, BreakerState, StringProtection};
use crate::scan::{BlockScan, Phase, StringScan};
use crate::settings::{GuardSettings, StringSettings};
use crate::time::Nanos;
use serde::{Deserialize, Serialize};

/// Memory that all recorders together may take for rows, bytes: a thousand
/// rows for each of 16 strings of 32 blocks.
const RECORDER_BYTES: usize = 1_280_000;

/// What a string has learned and latched: kept over a restart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// Name, battery and number of blocks, in one text: another string's past
    /// is never taken for this one's.
    pub identity: String,
    /// A trip that nobody has reset, and the usual float current.
    pub latch: protect::Latch,
    /// Capacities.
    pub capacity: estimate::Learned,
    /// Health, block by block.
    pub health: Vec<health::BlockHealthState>,
    /// End of the last discharge, seconds since 1970 UTC.
    pub discharge_wall_s: Option<u64>,
    /// End of a person's pause, seconds since 1970 UTC.
    pub paused_until_wall_s: Option<u64>,
}

/// What of the outside matters to a string in this cycle.
#[derive(Clone, Copy, Debug, Default)]
pub struct Surroundings {
    /// Monotonic time.
    pub now: Nanos,
    /// Seconds since 1970 UTC; `None` while the clock is not set.
    pub wall_s: Option<u64>,
    /// String current, A.
    pub current_a: Option<f64>,
    /// Measured voltage of the whole string, V.
    pub voltage_v: Option<f64>,
    /// Air temperature, °C.
    pub ambient_c: Option<f64>,
    /// Current to ground, A.
    pub ground_a: Option<f64>,
    /// What the breaker's input says.
    pub breaker_open: Option<bool>,
    /// A battery test of its UPS is under way.
    pub testing: bool,
    /// Somebody gives out addresses on its bus.
    pub commissioning: bool,
}

/// A string and everything that watches it. A step allocates nothing.
pub struct StringControl {
    pub(super) settings: StringSettings,
    /// Index of its first module in its master's list.
    first_module: usize,
    reference: BatteryType,
    identity: String,
    phase: PhaseDetector,
    equalizer: Equalizer,
    pub(super) protection: StringProtection,
    estimator: StringEstimator,
    health: StringHealth,
    resistance: ResistanceSchedule,
    pub(super) recorder: Recorder,
    pub(super) pause: UserPause,
    /// A person resets its trip in the next step.
    pub(super) reset: bool,
    /// A person wants this block's resistance measured next.
    pub(super) wanted: Option<usize>,
    /// Block whose measurement is to begin on the bus.
    pub(super) measure: Option<usize>,
    scan: Vec<BlockScan>,
    scan_as_reference: Vec<BlockScan>,
    surroundings: Surroundings,
    duties: Vec<Duty>,
    shares: Vec<f32>,
    capacities: Vec<Option<CapacityEstimate>>,
    baselines: Vec<Option<f32>>,
    pub(super) record: Record,
}

/// What the image says of a string beside the reports that stay where they are.
#[derive(Clone, Debug)]
pub struct Record {
    phase: Phase,
    schedule: Scheduled,
    equalize: equalize::Report,
    pub(super) blocks: Vec<BlockRecord>,
}

impl StringControl {
    /// A string of checked settings; `addresses` are its master's modules.
    #[must_use]
    pub fn new(
        settings: &StringSettings,
        all: &GuardSettings,
        addresses: &[u16],
        kept: Option<&Kept>,
    ) -> Self {
        let (blocks, records) = blocks(settings, all);
        let count = blocks.len();
        let reference =
            blocks.first().map_or_else(|| all.batteries[0].clone(), |b| b.battery.clone());
        let identity = format!("{} | {} | {count}", settings.name, reference.name);
        let none = Kept::default();
        let past = kept.filter(|k| k.identity == identity).unwrap_or(&none);
        let sensor = settings.current_sensor.as_ref();
        let sensor = sensor.and_then(|name| all.devices.iter().find(|d| d.name == *name));
        let range_a = sensor.and_then(|d| d.kind.full_scale_a()).map(f64::from);
        let config = equalize::Config {
            blocks,
            cycle: all.cycle(),
            enabled: settings.equalize,
            boost_allowed: settings.equalize_in_boost,
            hot_c: equalize::HOT_C,
        };
        let total: usize = all.strings.iter().map(|s| usize::from(s.blocks())).sum();
        let bytes = RECORDER_BYTES * count / total.max(1);
        let rows = discharge::rows_within(bytes, count, all.recorder.before_scans);
        let protection = protect::Config {
            blocks: count,
            battery: reference.clone(),
            limits: settings.limits.as_ref().unwrap_or(&all.limits).clone(),
            breaker: settings.breaker.as_ref().map(|b| b.wired(&all.devices)),
        };
        let health =
            HealthConfig { blocks: count, battery: reference.clone(), settings: settings.health };
        let estimate = estimate::Config {
            work: estimate::WORK / all.strings.len().max(1),
            ..estimate::Config::new(reference.clone(), count)
        };
        Self {
            first_module: addresses.partition_point(|a| *a < settings.first_address),
            phase: PhaseDetector::new(config.cells(), &reference, range_a),
            equalizer: Equalizer::new(&config),
            protection: StringProtection::new(&protection, past.latch),
            estimator: StringEstimator::new(estimate, &past.capacity),
            health: StringHealth::new(health, &past.health),
            resistance: ResistanceSchedule::new(
                count,
                settings.health.resistance_interval_h,
                past.discharge_wall_s,
            ),
            recorder: Recorder::new(all.recorder.clone(), &reference, count, rows),
            pause: UserPause::kept(past.paused_until_wall_s),
            reset: false,
            wanted: None,
            measure: None,
            scan: vec![BlockScan::default(); count],
            scan_as_reference: vec![BlockScan::default(); count],
            surroundings: Surroundings::default(),
            duties: vec![Duty::OFF; count],
            shares: vec![0.0; count],
            capacities: vec![None; count],
            baselines: vec![None; count],
            record: Record {
                phase: Phase::Unknown,
                schedule: Scheduled::No,
                equalize: equalize::Report::default(),
                blocks: records,
            },
            settings: settings.clone(),
            reference,
            identity,
        }
    }

    /// It feeds its load.
    #[must_use]
    pub fn is_discharging(&self) -> bool {
        self.record.phase == Phase::Discharge
    }

    /// One scan of its modules (all of its master's).
    pub fn step(&mut self, modules: &[Module], around: Surroundings, fresh: Nanos) {
        self.surroundings = around;
        self.look(modules, fresh);
        let scan = scan(&self.scan, &around);
        let phase = self.phase.step(&scan);
        self.record.phase = phase;
        self.record.schedule = schedule::scheduled(&self.settings.pauses, around.wall_s);
        self.protect(phase);
        self.schedule_resistance(phase);
        let orders = self.equalizer_orders();
        let scan = self::scan(&self.scan, &self.surroundings);
        self.record.equalize = self.equalizer.step(&scan, phase, &orders, &mut self.duties);
        let targets = self.equalizer.blocks();
        for (record, target) in self.record.blocks.iter_mut().zip(targets) {
            record.equalize = *target;
        }
        self.estimate(phase);
    }

    /// The scan as protection, estimators, recorder and battery test see it.
    #[must_use]
    pub fn scan_as_reference(&self) -> StringScan<'_> {
        let mut around = self.surroundings;
        let cells: f64 = self.record.blocks.iter().map(|b| f64::from(b.cells)).sum();
        let as_reference = self.reference.cells_f64() * self.record.blocks.len() as f64;
        around.voltage_v = around.voltage_v.map(|v| v * as_reference / cells);
        scan(&self.scan_as_reference, &around)
    }

    /// What it is doing.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.record.phase
    }

    /// What the equalizer found and did.
    #[must_use]
    pub fn equalization(&self) -> &equalize::Report {
        &self.record.equalize
    }

    /// What protection found and wants.
    #[must_use]
    pub fn protection(&self) -> &protect::Report {
        self.protection.report()
    }

    /// Its blocks, as the image shows them.
    #[must_use]
    pub fn blocks(&self) -> &[BlockRecord] {
        &self.record.blocks
    }

    /// The type of block that stands for all of its blocks.
    #[must_use]
    pub fn reference(&self) -> &BatteryType {
        &self.reference
    }

    /// Block whose resistance is being measured.
    #[must_use]
    pub fn measuring(&self) -> Option<usize> {
        self.resistance.measuring()
    }

    /// Number of its blocks.
    #[must_use]
    pub fn len(&self) -> usize {
        self.duties.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.duties.is_empty()
    }

    /// The duties of the last step, for its master's modules.
    pub fn command(&self, duties: &mut [Duty]) {
        let own = duties.iter_mut().skip(self.first_module);
        own.zip(&self.duties).for_each(|(duty, own)| *duty = *own);
    }

    /// The duties of the last step are on their way: show them as commanded.
    pub fn commanded(&mut self) {
        for (block, duty) in self.record.blocks.iter_mut().zip(&self.duties) {
            block.duty = *duty;
        }
    }

    /// Take over what has to be kept; allocates only the first time.
    pub fn keep(&self, kept: &mut Kept) {
        kept.identity.clone_from(&self.identity);
        kept.latch = self.protection.latch();
        let learned = self.estimator.learned();
        kept.capacity.whole = learned.whole;
        kept.capacity.blocks.clone_from(&learned.blocks);
        kept.health.clear();
        kept.health.extend_from_slice(self.health.learned());
        kept.discharge_wall_s = self.resistance.discharge_wall_s();
        kept.paused_until_wall_s = self.pause.until_wall_s();
    }

    /// Its record, by reference; the image reads it as a [`StringRecord`].
    #[must_use]
    pub fn published(&self) -> PublishedString<'_> {
        PublishedString {
            phase: self.record.phase,
            charger_off: self.phase.charger_off(),
            sensor_disagrees: self.phase.sensor_disagrees(),
            schedule: self.record.schedule,
            current_a: self.surroundings.current_a,
            voltage_v: self.surroundings.voltage_v,
            ambient_c: self.surroundings.ambient_c,
            reference_cells: self.reference.cells,
            measuring: self.resistance.measuring().map(|b| b as u16),
            equalize: &self.record.equalize,
            protect: self.protection.report(),
            estimate: self.estimator.estimate(),
            health: self.health.report(),
            discharge: self.recorder.record(),
            blocks: &self.record.blocks,
        }
    }

    fn look(&mut self, modules: &[Module], fresh: Nanos) {
        let own = modules.iter().skip(self.first_module);
        let cells = self.reference.cells_f64();
        let places = self.scan.iter_mut().zip(&mut self.scan_as_reference);
        let blocks = self.record.blocks.iter_mut().zip(own).zip(places);
        for (i, ((record, module), (scan, as_reference))) in blocks.enumerate() {
            *scan = survey::block(module, self.surroundings.now, fresh, record);
            if scan.temperature_c.is_some() {
                let external = record.flags.has(Flags::EXTERNAL_SENSOR);
                self.equalizer.set_internal_sensor(i, !external);
            }
            let share = cells / f64::from(record.cells);
            *as_reference = BlockScan {
                voltage_v: scan.voltage_v.map(|v| v * share),
                beneath_v: scan.beneath_v.map(|v| v * share),
                resistance_mohm: scan.resistance_mohm.map(|r| r * share),
                ..*scan
            };
        }
    }

    fn protect(&mut self, phase: Phase) {
        for (baseline, block) in self.baselines.iter_mut().zip(&self.health.report().blocks) {
            let mohm = block.baseline.mohm;
            *baseline = mohm.is_finite().then_some(mohm);
        }
        let inputs = protect::Inputs {
            breaker_open: self.surroundings.breaker_open,
            reset: std::mem::take(&mut self.reset),
            baseline_mohm: &self.baselines,
            ground_leak_a: self.surroundings.ground_a,
            equalizing_error: self.record.equalize.equalizing_error(),
        };
        let scan = scan(&self.scan_as_reference, &self.surroundings);
        self.protection.step(&scan, phase, &inputs);
    }

    /// Whose turn it is to be measured; a person's wish comes first.
    fn schedule_resistance(&mut self, phase: Phase) {
        let around = &self.surroundings;
        let orders = health::Orders {
            battery_test: around.testing,
            alarm: self.protection.report().level == protect::Level::Alarm,
            paused: self.pause.holds(around.now, around.wall_s),
        };
        if let Some(block) = self.wanted.take() {
            self.resistance.prefer(block);
        }
        let due = self.resistance.step(around.now, around.wall_s, phase, orders);
        self.measure = due.or(self.measure);
    }

    fn equalizer_orders(&self) -> equalize::Orders {
        let report = self.protection.report();
        equalize::Orders {
            paused: self.pause.holds(self.surroundings.now, self.surroundings.wall_s),
            scheduled_pause: self.record.schedule == Scheduled::Paused,
            battery_test: self.surroundings.testing,
            breaker_open: report.breaker != BreakerState::Closed,
            thermal_alarm: report.bypass_off,
            commissioning: self.surroundings.commissioning,
            charger_off: self.phase.charger_off(),
            measuring: self.resistance.measuring(),
        }
    }

    fn estimate(&mut self, phase: Phase) {
        let scan = scan(&self.scan_as_reference, &self.surroundings);
        self.estimator.step(&scan, phase);
        self.recorder.step(&scan, phase);
        let rated = self.reference.capacity_ah as f32;
        let estimates = &self.estimator.estimate().blocks;
        for (capacity, e) in self.capacities.iter_mut().zip(estimates) {
            *capacity = (e.learned_depth > 0.0).then(|| CapacityEstimate {
                ratio: e.capacity_ah / rated,
                sigma: e.capacity_sigma_ah / rated,
                depth: e.learned_depth,
                wall_s: (e.learned_wall_s > 0).then_some(e.learned_wall_s),
            });
        }
        for (share, duty) in self.shares.iter_mut().zip(&self.duties) {
            *share = duty.fraction() as f32;
        }
        let equalizing = self.record.equalize.inhibits.is_empty();
        let extras = Extras {
            duties: if equalizing { &self.shares } else { &[] },
            capacities: &self.capacities,
            measuring: self.resistance.measuring(),
        };
        self.health.step(&scan, phase, &extras);
    }
}

/// A [`StringRecord`] by reference: the same fields in the same order.
#[derive(Serialize)]
pub struct PublishedString<'a> {
    phase: Phase,
    charger_off: bool,
    sensor_disagrees: bool,
    schedule: Scheduled,
    current_a: Option<f64>,
    voltage_v: Option<f64>,
    ambient_c: Option<f64>,
    reference_cells: u8,
    measuring: Option<u16>,
    equalize: &'a equalize::Report,
    protect: &'a protect::Report,
    estimate: &'a estimate::StringEstimate,
    health: &'a health::HealthReport,
    discharge: Option<&'a discharge::DischargeRecord>,
    blocks: &'a [BlockRecord],
}

const _: fn(StringRecord) = |record| {
    // A field more there is a field more here.
    let StringRecord {
        phase: _,
        charger_off: _,
        sensor_disagrees: _,
        schedule: _,
        current_a: _,
        voltage_v: _,
        ambient_c: _,
        reference_cells: _,
        measuring: _,
        equalize: _,
        protect: _,
        estimate: _,
        health: _,
        discharge: _,
        blocks: _,
    } = record;
};

fn scan<'a>(blocks: &'a [BlockScan], around: &Surroundings) -> StringScan<'a> {
    StringScan {
        now: around.now,
        wall_s: around.wall_s,
        blocks,
        current_a: around.current_a,
        string_v: around.voltage_v,
        ambient_c: around.ambient_c,
    }
}

/// The blocks of a string: what the equalizer knows of each, and its record.
fn blocks(settings: &StringSettings, all: &GuardSettings) -> (Vec<BlockConfig>, Vec<BlockRecord>) {
    let (mut configs, mut records) = (Vec::new(), Vec::new());
    for run in settings.runs() {
        let Some(battery) = all.battery(&run.battery) else { continue };
        for _ in 0..run.blocks {
            let address = settings.first_address + records.len() as u16;
            records.push(survey::unread(settings.bus, address, run.module, battery.cells));
            configs.push(BlockConfig {
                module: run.module,
                battery: BatteryType { discharges: Vec::new(), ..battery.clone() },
                internal_sensor: false,
            });
        }
    }
    // The discharge tables are for the estimators alone, which keep one type.
    if let (Some(first), Some(run)) = (configs.first_mut(), settings.runs().first())
        && let Some(battery) = all.battery(&run.battery)
    {
        first.battery = battery.clone();
    }
    (configs, records)
}
