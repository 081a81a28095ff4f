//! What a module measures with, and what is wrong with that: the sensor
//! faults of facts/battery-science.md §2.9.

use crate::module::Sensed;

/// Readings of a broken thermistor, °C: the ends of the range (§2.9).
const NTC_OPEN_C: f64 = -35.0;
const NTC_SHORT_C: f64 = 85.0;

/// State of a module's thermistor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ntc {
    /// As it should be.
    #[default]
    Good,
    /// Open: coldest.
    Open,
    /// Shorted: hottest.
    Short,
}

/// Kelvin pair and thermistor of a module.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Probe {
    /// Gain of the voltage reading, 1 = exact.
    pub gain: f64,
    /// Added to the voltage reading, V.
    pub offset_v: f64,
    /// Added to the temperature reading, K.
    pub offset_k: f64,
    /// The thermistor.
    pub ntc: Ntc,
}

impl Default for Probe {
    fn default() -> Self {
        Self { gain: 1.0, offset_v: 0.0, offset_k: 0.0, ntc: Ntc::Good }
    }
}

impl Probe {
    /// What the truth looks like through it.
    pub(super) fn sense(&self, truth: Sensed) -> Sensed {
        let celsius = match self.ntc {
            Ntc::Good => truth.celsius + self.offset_k,
            Ntc::Open => NTC_OPEN_C,
            Ntc::Short => NTC_SHORT_C,
        };
        Sensed { volts: truth.volts * self.gain + self.offset_v, celsius, ohm: truth.ohm }
    }
}
