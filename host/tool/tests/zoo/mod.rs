//! A zoo of batteries: discharges of models that the estimator does not know,
//! over rates, ages, temperatures, sensors and loads, drawn from a seed.

pub mod models;

use evenkeel::battery_file::ReplayBattery;
use evenkeel::replay::Replay;
use evenkeel::summary::{Figures, Summary};
use evenkeel::trace::Sample;
use evenkeel_core::battery::BatteryType;
use evenkeel_core::scan::Phase;
use evenkeel_sim::noise::Noise;

use models::{Cell, CellSpec, Model};

/// A discharge to be replayed.
#[derive(Clone, Debug)]
pub struct Discharge {
    pub seed: u64,
    pub spec: CellSpec,
    pub battery: ReplayBattery,
    /// Hours that a new block would roughly last.
    pub hours: f64,
    pub constant_power: bool,
    pub cutoff_v: f64,
    pub every_s: f64,
    /// Noise of the voltage, V per cell, and of the current, share.
    pub noise_v: f64,
    pub noise_a: f64,
    /// Offset of the current sensor, share of the discharge current.
    pub offset: f64,
    /// What was recorded before the discharge, s.
    pub before_s: f64,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    pub figures: Figures,
    pub true_ah: f64,
    /// Estimated capacity when half of the true capacity had been drawn, or
    /// at the end where less comes out; the deviation then.
    pub half_ah: f64,
}

impl Discharge {
    pub fn draw(model: Model, seed: u64) -> Self {
        let mut n = Noise::new(seed, model as u64);
        let lead = model.lead();
        let rated_ah = [7.0, 40.0, 100.0, 400.0][n.below(4)];
        let health = n.between(0.60, 1.0);
        let hours = if lead {
            [20.0, 10.0, 5.0, 3.0, 1.0, 0.5, 0.25][n.below(7)]
        } else {
            [10.0, 5.0, 2.0, 1.0, 0.5][n.below(5)]
        };
        let spec = CellSpec {
            model,
            rated_ah,
            health,
            resistance: 1.0 + n.between(0.5, 2.0) * (1.0 - health),
            celsius: [25.0, 25.0, 20.0, 10.0, 0.0, 40.0][n.below(6)],
            quirk: n.between(0.9, 1.1),
            charge: 1.0,
            peukert: n.between(1.08, 1.25),
        };
        let cutoff_v = match (lead, model.chemistry()) {
            (true, _) if hours < 0.6 => 1.65,
            (true, _) => [1.75, 1.75, 1.80, 1.70][n.below(4)],
            (_, evenkeel_core::battery::Chemistry::Lfp) => [2.5, 2.8, 2.6][n.below(3)],
            _ => [3.0, 3.2, 2.8][n.below(3)],
        };
        let cells = if lead { 6 } else { 4 };
        let mut battery = BatteryType::new(model.chemistry(), cells, rated_ah);
        battery.cutoff_v_per_cell = Some(cutoff_v);
        let steps = n.between(150.0, 1500.0);
        Self {
            seed,
            spec,
            battery: ReplayBattery { battery, blocks: [1, 4, 32][n.below(3)], parallel: 1 },
            hours,
            constant_power: n.chance(0.5),
            cutoff_v,
            every_s: (hours * 3600.0 / steps).clamp(1.0, 60.0).round(),
            noise_v: n.between(0.0, 0.003),
            noise_a: n.between(0.0, 0.01),
            offset: if n.chance(0.3) { n.between(-0.02, 0.02) } else { 0.0 },
            before_s: if n.chance(0.5) { 600.0 } else { 0.0 },
        }
    }

    /// Ratio of current to rated capacity for these hours, as a sheet has it.
    fn rate(&self) -> f64 {
        if self.spec.model.lead() {
            let line = [
                (0.25, 1.7),
                (0.5, 1.0),
                (1.0, 0.6),
                (3.0, 0.249),
                (5.0, 0.168),
                (10.0, 0.0923),
                (20.0, 0.05),
            ];
            line.iter().find(|(h, _)| *h >= self.hours).map_or(0.05, |(_, r)| *r)
        } else {
            1.0 / self.hours
        }
    }

    /// Replay it. The recording ends at the cut-off.
    pub fn run(&self, seed: u64) -> Option<Outcome> {
        let mut n = Noise::new(seed, 1_000 + self.spec.model as u64);
        let mut cell = Cell::new(self.spec);
        let cells = self.battery.cells();
        let amps_new = self.rate() * self.spec.rated_ah;
        let watts = amps_new * self.battery.battery.chemistry_data().nominal_v * 0.97;
        let true_ah = Cell::true_capacity_ah(self.spec, self.cutoff_v);
        let mut replay = Replay::new(&self.battery, 0).expect("fits");
        let (mut summary, mut time_s, mut drawn_ah) = (Summary::default(), 0.0, 0.0);
        let (mut half_ah, mut discharging) = (f64::NAN, false);
        loop {
            let load = time_s >= self.before_s;
            let mut amps = if load { amps_new } else { 0.0 };
            if load && self.constant_power {
                for _ in 0..4 {
                    amps = watts / cell.volts(amps).max(0.5);
                }
            }
            let volts = match (load, self.spec.model.lead()) {
                (false, true) => 2.27,
                _ => cell.volts(amps),
            };
            if load && volts < self.cutoff_v || time_s > 60.0 * 3600.0 {
                break;
            }
            let sample = Sample {
                time_s,
                current_a: Some(-amps * (1.0 + self.noise_a * n.normal()) + self.offset * amps_new),
                voltage_v: Some(cells * (volts + self.noise_v * n.normal())),
                temperature_c: Some(self.spec.celsius),
                blocks_v: Vec::new(),
            };
            let estimate = replay.step(&sample).expect("a battery").clone();
            if load {
                if !discharging {
                    summary.restart();
                }
                discharging = true;
                drawn_ah += amps * self.every_s / 3600.0;
                summary.push(time_s, estimate.runtime_s, estimate.whole.capacity_ah);
                if half_ah.is_nan() && drawn_ah >= 0.5 * true_ah {
                    half_ah = f64::from(estimate.whole.capacity_ah);
                }
                assert!(replay.phase() == Phase::Discharge);
                cell.step(amps, self.every_s);
            }
            time_s += self.every_s;
        }
        let figures = summary.figures()?;
        if half_ah.is_nan() {
            half_ah = figures.capacity_ah[1];
        }
        // What is worn out at this load lasts no while worth a prediction.
        (figures.duration_s > 900.0 * self.hours).then_some(Outcome { figures, true_ah, half_ah })
    }
}
