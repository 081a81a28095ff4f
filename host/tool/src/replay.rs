//! The appliance's estimator over a recording.

use evenkeel_core::estimate::{Config, Learned, StringEstimate, StringEstimator};
use evenkeel_core::scan::{BlockScan, Phase, StringScan};
use evenkeel_core::time::Nanos;

use crate::battery_file::ReplayBattery;
use crate::trace::Sample;

/// A current smaller than this share of the capacity per hour is rest.
pub const REST: f64 = 0.005;
/// On float, a sensor's offset may be this large.
const OFFSET: f64 = 0.03;

/// Under a steady charging current no cell's voltage falls by so much, V.
const FALL_V: f64 = 0.06;

/// Runs the estimator.
#[derive(Debug)]
pub struct Replay {
    battery: ReplayBattery,
    estimator: StringEstimator,
    blocks: Vec<BlockScan>,
    start_s: Option<f64>,
    phase: Phase,
    /// Voltage of a cell and current of the string when a charge began.
    charge: Option<(f64, f64)>,
}

/// Why a recording cannot be of this battery.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum MisfitError {
    /// Columns for another number of blocks.
    #[error(
        "the recording has voltages of {columns} blocks, the battery file says blocks = {blocks}"
    )]
    Blocks {
        /// In the recording.
        columns: usize,
        /// In the battery file.
        blocks: usize,
    },
    /// No cell has such a voltage.
    #[error(
        "{voltage_v} V over {cells} cells in series is {per_cell_v:.2} V per cell, but a {chemistry} \
         cell has {low_v:.2} … {high_v:.2} V: check cells, blocks and chemistry ({fitting} cells would fit)"
    )]
    Voltage {
        /// Measured.
        voltage_v: f64,
        /// Of the battery file.
        cells: f64,
        /// Their quotient.
        per_cell_v: f64,
        /// Name of the chemistry.
        chemistry: &'static str,
        /// Least possible.
        low_v: f64,
        /// Most possible.
        high_v: f64,
        /// Cells that the voltage suggests.
        fitting: f64,
    },
    /// A battery that is charged and falls.
    #[error(
        "column current_A: {current_a} A is a charge, but the voltage has fallen from {from_v:.2} \
         to {to_v:.2} V per cell: current is positive into the battery, so a discharge must be \
         negative; change the sign of the column"
    )]
    Sign {
        /// Measured.
        current_a: f64,
        /// Voltage of a cell when the charge began.
        from_v: f64,
        /// Voltage of a cell now.
        to_v: f64,
    },
}

impl Replay {
    /// For a recording with voltages of so many blocks.
    ///
    /// # Errors
    /// [`MisfitError::Blocks`].
    pub fn new(battery: &ReplayBattery, columns: usize) -> Result<Self, MisfitError> {
        let mut battery = battery.clone();
        let cells = battery.blocks * usize::from(battery.battery.cells);
        if columns == cells && battery.blocks != cells {
            // Every cell was recorded: each is a block of its own.
            let of_block = battery.battery.cells_f64();
            if let Some(mohm) = &mut battery.battery.resistance_mohm {
                *mohm /= of_block;
            }
            (battery.blocks, battery.battery.cells) = (cells, 1);
        }
        if columns != 0 && columns != battery.blocks {
            return Err(MisfitError::Blocks { columns, blocks: battery.blocks });
        }
        let mut config = Config::new(battery.battery.clone(), battery.blocks);
        // Nobody waits for the next scan here.
        config.work = usize::MAX;
        Ok(Self {
            estimator: StringEstimator::new(config, &Learned::default()),
            blocks: vec![BlockScan::default(); battery.blocks],
            start_s: None,
            phase: Phase::Unknown,
            charge: None,
            battery,
        })
    }

    /// One line of the recording.
    ///
    /// # Errors
    /// [`MisfitError::Voltage`] when the battery cannot have this voltage,
    /// [`MisfitError::Sign`] when it falls while it is charged.
    pub fn step(&mut self, sample: &Sample) -> Result<&StringEstimate, MisfitError> {
        let start_s = *self.start_s.get_or_insert(sample.time_s);
        for (block, volts) in self.blocks.iter_mut().zip(&sample.blocks_v) {
            block.voltage_v = *volts;
        }
        let sum_v: Option<f64> = self.blocks.iter().map(|b| b.voltage_v).sum();
        let voltage_v = sample.voltage_v.or(sum_v);
        self.check(voltage_v)?;
        let current_a = sample.current_a.map(|a| a / f64::from(self.battery.parallel));
        self.phase = self.judge(current_a, voltage_v);
        self.check_sign(current_a, voltage_v)?;
        let scan = StringScan {
            now: Nanos(((sample.time_s - start_s) * 1e9) as u64),
            wall_s: None,
            blocks: &self.blocks,
            current_a,
            string_v: voltage_v,
            ambient_c: sample.temperature_c,
        };
        Ok(self.estimator.step(&scan, self.phase))
    }

    /// What the battery was doing in the last step.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// The sign of the current decides; near zero the voltage does.
    fn judge(&self, current_a: Option<f64>, voltage_v: Option<f64>) -> Phase {
        let data = self.battery.battery.chemistry_data();
        let Some(amps) = current_a else { return Phase::Unknown };
        let rate = amps / self.battery.battery.capacity_ah;
        let cell_v = voltage_v.map_or(f64::NAN, |v| v / self.battery.cells());
        let full_v = if data.lithium { data.float_v } else { Some(data.recovered_v) };
        if full_v.is_some_and(|v| cell_v >= v - 0.01) && rate.abs() < OFFSET {
            Phase::Float
        } else if rate < -REST {
            Phase::Discharge
        } else if rate > REST {
            Phase::Recharge
        } else {
            Phase::Unknown
        }
    }

    fn check(&self, voltage_v: Option<f64>) -> Result<(), MisfitError> {
        let data = self.battery.battery.chemistry_data();
        let Some(voltage_v) = voltage_v else { return Ok(()) };
        let cells = self.battery.cells();
        let per_cell_v = voltage_v / cells;
        let cutoff_v = self.battery.battery.cutoff_v() / self.battery.battery.cells_f64();
        let (low_v, high_v) = (0.6 * cutoff_v, 1.1 * data.max_v);
        if (low_v..=high_v).contains(&per_cell_v) {
            return Ok(());
        }
        let fitting = (voltage_v / data.nominal_v).round();
        let chemistry = data.name;
        Err(MisfitError::Voltage {
            voltage_v,
            cells,
            per_cell_v,
            chemistry,
            low_v,
            high_v,
            fitting,
        })
    }

    /// A charger that steps down lets the voltage fall, but the current too.
    fn check_sign(
        &mut self,
        current_a: Option<f64>,
        voltage_v: Option<f64>,
    ) -> Result<(), MisfitError> {
        let (Some(amps), Some(volts)) = (current_a, voltage_v) else { return Ok(()) };
        if self.phase != Phase::Recharge {
            self.charge = None;
            return Ok(());
        }
        let to_v = volts / self.battery.cells();
        let (from_v, first_a) = *self.charge.get_or_insert((to_v, amps));
        if amps < 0.9 * first_a || to_v > from_v {
            self.charge = Some((to_v, amps));
        } else if to_v < from_v - FALL_V {
            let current_a = amps * f64::from(self.battery.parallel);
            return Err(MisfitError::Sign { current_a, from_v, to_v });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn battery(more: &str) -> ReplayBattery {
        let text = format!("chemistry = \"agm\"\ncells = 6\ncapacity_ah = 100\n{more}");
        ReplayBattery::parse(&text).expect("a battery")
    }

    fn sample(time_s: f64, amps: f64, volts: f64) -> Sample {
        Sample { time_s, current_a: Some(amps), voltage_v: Some(volts), ..Sample::default() }
    }

    #[test]
    fn a_battery_that_cannot_be_it_is_refused() {
        let mut replay = Replay::new(&battery("blocks = 4"), 0).expect("fits");
        let error = replay.step(&sample(0.0, -10.0, 12.5)).expect_err("one block's voltage");
        assert!(error.to_string().contains("6 cells would fit"), "{error}");
        let error = Replay::new(&battery("blocks = 4"), 3).expect_err("three columns");
        assert!(error.to_string().contains("3 blocks"), "{error}");
        assert!(Replay::new(&battery("blocks = 4"), 24).is_ok(), "columns of cells");
    }

    #[test]
    fn a_discharge_with_the_wrong_sign_is_told_and_a_charger_that_steps_down_is_not() {
        let mut replay = Replay::new(&battery(""), 0).expect("fits");
        for (time_s, amps, volts) in
            [(0.0, 20.0, 12.9), (1e3, 20.0, 14.4), (2e3, 10.0, 14.4), (3e3, 3.0, 13.2)]
        {
            replay.step(&sample(time_s, amps, volts)).expect("a charge");
        }
        replay.step(&sample(4e3, 0.0, 12.7)).expect("rest");
        let fall = |i: u32| sample(5e3 + 60.0 * f64::from(i), 20.0, 12.5 - 0.01 * f64::from(i));
        let error = (0..60).find_map(|i| replay.step(&fall(i)).err()).expect("it falls");
        let text = error.to_string();
        assert!(text.contains("change the sign") && text.contains("20 A"), "{text}");
    }

    #[test]
    fn phases_follow_the_current() {
        let mut replay = Replay::new(&battery(""), 0).expect("fits");
        for (amps, volts, phase) in [
            (-1.0, 13.6, Phase::Float),
            (0.0, 12.8, Phase::Unknown),
            (-10.0, 12.4, Phase::Discharge),
            (10.0, 12.9, Phase::Recharge),
        ] {
            replay.step(&sample(0.0, amps, volts)).expect("a battery");
            assert_eq!(replay.phase(), phase, "{amps} A {volts} V");
        }
    }
}
