//! Is the charger set right? The string's voltage against the float voltage
//! that the maker of the batteries states, at the batteries' temperature
//! (PRODUCT row B6).
//!
//! Judged at float alone, on a five-minute mean, and told only after half an
//! hour, so that neither a compensation that lags behind the room nor a
//! charger that hunts changes the verdict to and fro. Blocks without a good
//! voltage are left out on both sides and the difference is scaled to the
//! whole string.

use super::config::BlockConfig;
use crate::battery::BatteryType;
use crate::scan::{Phase, StringScan};
use serde::{Deserialize, Serialize};

/// Tolerance, V per lead cell: makers state ±0.1 V per 12 V block, 0.5 % of a
/// module's reading is 11 mV per cell and averages out over a string. Other
/// chemistries: the same share of the nominal voltage.
const TOLERANCE_SHARE: f64 = 0.020 / 2.0;
/// A wrong charger is right again within this share of the tolerance.
const RETURN_SHARE: f64 = 0.8;
const AVERAGE_S: f64 = 300.0;
const HOLD_S: f64 = 1_800.0;

/// Verdict about the charger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum ChargerVerdict {
    /// Not at float, or not for long enough; no temperature known.
    #[default]
    Unknown,
    /// Within the tolerance.
    Right,
    /// Set too low.
    Low {
        /// Raise the charger by this much, V, whole string.
        by_v: f64,
    },
    /// Set too high.
    High {
        /// Lower the charger by this much, V, whole string.
        by_v: f64,
    },
    /// This chemistry has no float voltage.
    NoFloat,
}

/// Three-way class of a difference, for the hold time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Low,
    Right,
    High,
}

/// Blocks of one type in a row.
#[derive(Clone, Debug)]
struct Run {
    battery: BatteryType,
    /// The first block after them, from 0.
    end: usize,
}

/// Watches the charger of one string. A step allocates nothing.
#[derive(Clone, Debug)]
pub struct ChargerCheck {
    runs: Vec<Run>,
    nominal_v: f64,
    /// Whole string's voltage − what the maker wants, averaged, V.
    difference_v: Option<f64>,
    class: Option<Class>,
    candidate: Option<Class>,
    held_s: f64,
}

impl ChargerCheck {
    /// For a string of these blocks.
    #[must_use]
    pub fn new(blocks: &[BlockConfig]) -> Self {
        let mut runs: Vec<Run> = Vec::new();
        for (i, block) in blocks.iter().enumerate() {
            let battery = BatteryType { discharges: Vec::new(), ..block.battery.clone() };
            match runs.last_mut() {
                Some(run) if run.battery == battery => run.end = i + 1,
                _ => runs.push(Run { battery, end: i + 1 }),
            }
        }
        Self {
            nominal_v: blocks.iter().map(|b| b.battery.nominal_v()).sum(),
            runs,
            difference_v: None,
            class: None,
            candidate: None,
            held_s: 0.0,
        }
    }

    /// One scan, `dt_s` after the one before.
    pub fn step(&mut self, scan: &StringScan<'_>, phase: Phase, dt_s: f64) -> ChargerVerdict {
        if self.runs.iter().any(|r| r.battery.float_v(r.battery.reference_c).is_none()) {
            return ChargerVerdict::NoFloat;
        }
        let now_v = if phase == Phase::Float { self.difference(scan) } else { None };
        let Some(now_v) = now_v else {
            // What was found stands until the string is at float again, unseen.
            (self.difference_v, self.candidate, self.held_s) = (None, None, 0.0);
            self.class = None;
            return ChargerVerdict::Unknown;
        };
        let share = dt_s / (dt_s + AVERAGE_S);
        let difference_v = self.difference_v.map_or(now_v, |last| last + share * (now_v - last));
        self.difference_v = Some(difference_v);
        self.hold(difference_v, dt_s);
        match self.class {
            None => ChargerVerdict::Unknown,
            Some(Class::Right) => ChargerVerdict::Right,
            Some(Class::Low) => ChargerVerdict::Low { by_v: -difference_v },
            Some(Class::High) => ChargerVerdict::High { by_v: difference_v },
        }
    }

    /// Whole string's voltage − what the maker wants, V.
    fn difference(&self, scan: &StringScan<'_>) -> Option<f64> {
        let warm = scan.temperatures().map(|(_, t)| t).filter(|t| t.is_finite());
        let count = warm.clone().count() as f64;
        let celsius = if count > 0.0 { warm.sum::<f64>() / count } else { scan.ambient_c? };
        let (mut difference_v, mut nominal_v) = (0.0, 0.0);
        for (i, volts) in scan.voltages() {
            let battery = &self.runs.iter().find(|run| i < run.end)?.battery;
            difference_v += volts - battery.float_v(celsius)?;
            nominal_v += battery.nominal_v();
        }
        Some(difference_v * self.nominal_v / nominal_v).filter(|v| v.is_finite())
    }

    fn hold(&mut self, difference_v: f64, dt_s: f64) {
        let wrong = matches!(self.class, Some(Class::Low | Class::High));
        let share = if wrong { RETURN_SHARE } else { 1.0 };
        let tolerance_v = share * TOLERANCE_SHARE * self.nominal_v;
        let now = match difference_v {
            d if d > tolerance_v => Class::High,
            d if d < -tolerance_v => Class::Low,
            _ => Class::Right,
        };
        let same = self.candidate == Some(now);
        self.candidate = Some(now);
        self.held_s = if same { self.held_s + dt_s } else { 0.0 };
        if self.held_s >= HOLD_S {
            self.class = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::battery::{Chemistry, ModuleKind};
    use crate::scan::BlockScan;
    use crate::time::Nanos;

    fn check(chemistry: Chemistry) -> ChargerCheck {
        let battery = BatteryType::new(chemistry, 6, 100.0);
        let block = BlockConfig { module: ModuleKind::C20, battery, internal_sensor: false };
        ChargerCheck::new(&vec![block; 4])
    }

    /// Minutes at that voltage per block; one of four blocks is not measured.
    fn minutes(
        check: &mut ChargerCheck,
        minutes: u32,
        volts: f64,
        celsius: Option<f64>,
        phase: Phase,
    ) -> ChargerVerdict {
        let block =
            BlockScan { voltage_v: Some(volts), temperature_c: celsius, ..BlockScan::default() };
        let blocks = [block, BlockScan::default(), block, block];
        let scan = StringScan {
            now: Nanos(0),
            wall_s: None,
            blocks: &blocks,
            current_a: None,
            string_v: None,
            ambient_c: None,
        };
        (0..minutes * 6).map(|_| check.step(&scan, phase, 10.0)).last().expect("minutes")
    }

    #[test]
    fn tells_right_low_and_high_by_the_temperature_after_half_an_hour() {
        let warm = Some(25.0);
        let mut c = check(Chemistry::Agm);
        assert_eq!(minutes(&mut c, 29, 13.65, warm, Phase::Float), ChargerVerdict::Unknown);
        assert_eq!(minutes(&mut c, 2, 13.65, warm, Phase::Float), ChargerVerdict::Right);
        // 35 °C wants 13.44 V: 0.21 V too high on each of four blocks.
        let ChargerVerdict::High { by_v } = minutes(&mut c, 60, 13.65, Some(35.0), Phase::Float)
        else {
            panic!("too high");
        };
        assert!((by_v - 0.84).abs() < 1e-3, "{by_v}");
        let ChargerVerdict::Low { by_v } = minutes(&mut c, 90, 13.40, warm, Phase::Float) else {
            panic!("too low");
        };
        assert!((by_v - 0.88).abs() < 1e-3, "{by_v}");
        assert!(
            matches!(minutes(&mut c, 60, 13.51, warm, Phase::Float), ChargerVerdict::Low { .. }),
            "0.11 V is within the tolerance, not within 80 % of it"
        );
        assert_eq!(minutes(&mut c, 60, 13.55, warm, Phase::Float), ChargerVerdict::Right);
    }

    #[test]
    fn blocks_of_other_sizes_are_held_against_their_own_float_voltage() {
        let block = |cells| BlockConfig {
            module: ModuleKind::C20,
            battery: BatteryType::new(Chemistry::Agm, cells, 100.0),
            internal_sensor: false,
        };
        let mut c = ChargerCheck::new(&[block(6), block(6), block(3), block(6)]);
        assert_eq!(c.runs.len(), 3);
        let at = |volts| BlockScan {
            voltage_v: Some(volts),
            temperature_c: Some(25.0),
            ..BlockScan::default()
        };
        let blocks = [at(13.65), at(13.65), at(13.65 / 2.0), at(13.65)];
        let scan = StringScan {
            now: Nanos(0),
            wall_s: None,
            blocks: &blocks,
            current_a: None,
            string_v: None,
            ambient_c: None,
        };
        let verdict = (0..360).map(|_| c.step(&scan, Phase::Float, 10.0)).last();
        assert_eq!(verdict, Some(ChargerVerdict::Right));
    }

    #[test]
    fn says_nothing_outside_float_or_without_a_temperature() {
        let mut c = check(Chemistry::Agm);
        for phase in [Phase::Boost, Phase::Discharge, Phase::Recharge, Phase::Unknown] {
            assert_eq!(minutes(&mut c, 60, 14.4, Some(25.0), phase), ChargerVerdict::Unknown);
        }
        assert_eq!(minutes(&mut c, 60, 13.6, None, Phase::Float), ChargerVerdict::Unknown);
        let mut c = check(Chemistry::NiMh);
        assert_eq!(minutes(&mut c, 1, 8.4, Some(25.0), Phase::Float), ChargerVerdict::NoFloat);
    }
}
