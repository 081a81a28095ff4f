//! A string on its charger with its equalizer, in virtual time and without a
//! bus: a scan per cycle, readings with noise and 1 mV steps, duties and
//! temperatures as a module makes them. A day of 32 blocks takes seconds.

use evenkeel_core::battery::{BatteryType, Chemistry, ModuleKind};
use evenkeel_core::bus::wire::Duty;
use evenkeel_core::equalize::{BlockConfig, Config, Equalizer, Orders, Report};
use evenkeel_core::phase::PhaseDetector;
use evenkeel_core::scan::{BlockScan, Phase, StringScan};
use evenkeel_core::time::Nanos;
use evenkeel_sim::noise::Noise;
use evenkeel_sim::plant::{
    Block, BlockParams, Charger, Load, Place, Plant, PlantString, Supply, Surroundings,
};

/// ±10 mV is what is asked for.
pub const BAND_V: f64 = 0.010;
/// What a module draws for itself, A.
const MODULE_A: f64 = 0.0175;
/// The bypass conductance of a plant string is one for all; the others' duties
/// are scaled to the smallest resistance.
const REFERENCE_OHM: f64 = 2.52;

/// One block to be built.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    pub module: ModuleKind,
    pub params: BlockParams,
    /// Where its polarisation starts, V per cell.
    pub start_v_per_cell: f64,
}

impl Spec {
    pub fn agm(module: ModuleKind, capacity_ah: f64) -> Self {
        let params = BlockParams::agm(module.data().lead_cells, capacity_ah);
        Self { module, params, start_v_per_cell: 2.27 }
    }
}

/// The bench. Time goes in cycles.
pub struct Bench {
    pub plant: Plant,
    pub equalizer: Equalizer,
    pub phase: PhaseDetector,
    pub orders: Orders,
    pub report: Option<Report>,
    pub duties: Vec<Duty>,
    /// Module errors of gain, one per block.
    pub gains: Vec<f64>,
    /// Share of the commanded duty that each module gives.
    pub derating: Vec<f64>,
    pub cycle_s: f64,
    /// The equalizer sees every block at 25 °C.
    pub blind: bool,
    /// How much each module has warmed its internal sensor, K; empty: external ones.
    pub sensor_rise_k: Vec<f64>,
    /// The string has a current sensor of ±50 A.
    pub sensor: bool,
    config: Config,
    modules: Vec<ModuleKind>,
    noise: Noise,
    now: Nanos,
}

impl Bench {
    /// `float_v_per_cell` is the charger's setpoint; the blocks know no other.
    pub fn new(
        specs: &[Spec],
        float_v_per_cell: f64,
        ambient_c: f64,
        cycle_s: f64,
        seed: u64,
    ) -> Self {
        let cells: f64 = specs.iter().map(|s| f64::from(s.module.data().lead_cells)).sum();
        let capacity_ah = specs[0].params.capacity_ah;
        let places = specs.iter().map(|s| {
            let node_v = s.start_v_per_cell * f64::from(s.params.cells);
            Place::new(Block::full(s.params, node_v, ambient_c), MODULE_A)
        });
        let charger = Charger::new(cells * float_v_per_cell, 0.25 * capacity_ah, 0.02);
        let load = Load { watts: 2.0 * cells * capacity_ah, cutoff_v: cells * 1.60 };
        let config = Config {
            blocks: specs.iter().map(block_config).collect(),
            cycle: Nanos::from_millis((cycle_s * 1e3) as u64),
            enabled: true,
            boost_allowed: false,
            hot_c: evenkeel_core::equalize::HOT_C,
        };
        let surroundings = Surroundings::open(ambient_c);
        let string = PlantString::new(places.collect(), REFERENCE_OHM, surroundings);
        Self {
            plant: Plant::new(vec![(Supply::new(charger, load), vec![string])]),
            equalizer: Equalizer::new(&config),
            phase: PhaseDetector::new(config.cells(), &config.blocks[0].battery, Some(50.0)),
            orders: Orders::default(),
            report: None,
            duties: vec![Duty::OFF; specs.len()],
            gains: vec![1.0; specs.len()],
            derating: vec![1.0; specs.len()],
            cycle_s,
            blind: false,
            sensor_rise_k: Vec::new(),
            sensor: false,
            config,
            modules: specs.iter().map(|s| s.module).collect(),
            noise: Noise::new(seed, 77),
            now: Nanos::from_secs(1),
        }
    }

    /// The same string with the modules' internal temperature sensors, which
    /// the equalizer knows of if they are `declared`.
    pub fn with_internal_sensors(mut self, declared: bool) -> Self {
        let mut config = self.config.clone();
        config.blocks.iter_mut().for_each(|b| b.internal_sensor = declared);
        self.equalizer = Equalizer::new(&config);
        self.sensor_rise_k = vec![0.0; config.blocks.len()];
        self
    }

    /// 12 V blocks with log-normal float currents, started ±`apart_v` around
    /// the charger's 2.27 V per cell.
    pub fn lognormal(
        blocks: usize,
        ah: f64,
        sigma: f64,
        apart_v: f64,
        cycle_s: f64,
        seed: u64,
    ) -> Self {
        let mut noise = Noise::new(seed, 1);
        let specs: Vec<Spec> = (0..blocks)
            .map(|i| {
                let mut spec = Spec::agm(ModuleKind::C20, ah);
                spec.params.i0_a_per_ah *= (sigma * noise.normal()).exp();
                spec.params.polarisation_f *= 1.0 + 0.03 * noise.normal();
                let side = if i % 2 == 0 { apart_v } else { -apart_v };
                spec.start_v_per_cell += side * (i / 2 * 2) as f64 / blocks as f64 / 6.0;
                spec
            })
            .collect();
        Self::new(&specs, 2.27, 25.0, cycle_s, seed)
    }

    pub fn string(&self) -> &PlantString {
        &self.plant.strings()[0]
    }

    pub fn step(&mut self) -> Report {
        for (i, duty) in self.duties.iter().enumerate() {
            let scale = REFERENCE_OHM / self.modules[i].data().bypass_ohm;
            self.plant.set_duty(i, duty.fraction() * self.derating[i] * scale);
        }
        self.plant.step(self.cycle_s);
        self.now = self.now + Nanos::from_millis((self.cycle_s * 1e3) as u64);
        let blocks: Vec<BlockScan> = (0..self.modules.len()).map(|i| self.read(i)).collect();
        let scan = StringScan {
            now: self.now,
            wall_s: None,
            blocks: &blocks,
            current_a: self.sensor.then(|| self.string().amps()),
            string_v: Some(self.string().terminal_v()),
            ambient_c: None,
        };
        let phase = self.phase.step(&scan);
        self.orders.charger_off = self.phase.charger_off();
        let report = self.equalizer.step(&scan, phase, &self.orders, &mut self.duties);
        self.report = Some(report);
        report
    }

    fn read(&mut self, i: usize) -> BlockScan {
        let place = &self.plant.strings()[0].places()[i];
        let noisy = place.volts() * self.gains[i] + 0.001 * self.noise.normal();
        let volts = (noisy * 1e3).round() / 1e3;
        let applied = (self.duties[i].fraction() * self.derating[i] * 255.0).round() / 255.0;
        let celsius = if self.blind { 25.0 } else { place.block().celsius() };
        let bypass_a = applied * volts / self.modules[i].data().bypass_ohm;
        let rise_k = self.sensor_rise_k.get_mut(i).map_or(0.0, |rise_k| {
            // A fifth of the heat sink's 7 K/W, in six minutes (§3.5).
            *rise_k += self.cycle_s / 360.0 * (1.4 * bypass_a * volts - *rise_k);
            *rise_k
        });
        BlockScan {
            voltage_v: Some(volts),
            temperature_c: Some(((celsius + rise_k) * 10.0).round() / 10.0),
            bypass_a,
            resistance_mohm: None,
        }
    }

    pub fn hours(&mut self, hours: f64) -> Report {
        let cycles = (hours * 3_600.0 / self.cycle_s).ceil() as usize;
        (0..cycles).map(|_| self.step()).last().expect("at least a cycle")
    }

    /// Hours until every indicated deviation has been within the band for
    /// `held_h`, counted to the beginning of that time.
    pub fn until_in_band(&mut self, held_h: f64, limit_h: f64) -> Option<f64> {
        let (mut hours, mut since) = (0.0, None);
        while hours < limit_h {
            let report = self.step();
            hours += self.cycle_s / 3_600.0;
            since = if report.worst_v.abs() <= BAND_V { since.or(Some(hours)) } else { None };
            if since.is_some_and(|s| hours - s >= held_h) {
                return since;
            }
        }
        None
    }

    /// Float current that a block takes at its target at its temperature, A: the truth.
    pub fn appetite_a(&self, block: usize) -> f64 {
        let truth = self.string().places()[block].block();
        let (p, cells) = (truth.params(), f64::from(truth.params().cells));
        let over_v = self.equalizer.blocks()[block].target_v / cells - 2.27;
        let decades = over_v / p.tafel_v + 2f64.log10() * (truth.celsius() - 25.0) / 10.0;
        p.i0_a_per_ah * p.capacity_ah * 10f64.powf(decades)
    }

    pub fn phase(&self) -> Phase {
        self.phase.phase()
    }
}

fn block_config(spec: &Spec) -> BlockConfig {
    // What was bought: a shorted cell is not configured.
    let cells = spec.module.data().lead_cells;
    let battery = BatteryType::new(Chemistry::Agm, cells, spec.params.capacity_ah);
    BlockConfig { module: spec.module, battery, internal_sensor: false }
}
