//! What one scan found of one string: the input of everything that decides
//! about batteries ([`crate::equalize`], [`crate::protect`], the estimators,
//! the recorder). Whoever decides sees the same instant and the same quality.

use crate::time::Nanos;
use serde::{Deserialize, Serialize};

/// A string at one instant.
#[derive(Clone, Copy, Debug)]
pub struct StringScan<'a> {
    /// When it was measured.
    pub now: Nanos,
    /// Wall-clock time, seconds since 1970 UTC; `None` while the clock is not
    /// set. For rules that outlive a boot ("not within 24 h"), never for control.
    pub wall_s: Option<u64>,
    /// One per block, in the string's order.
    pub blocks: &'a [BlockScan],
    /// String current, A, positive into the batteries; `None` without a
    /// sensor, or when it is stale or out of range.
    pub current_a: Option<f64>,
    /// Voltage of the whole string measured by an input of its own, V.
    pub string_v: Option<f64>,
    /// Air temperature near the string, °C.
    pub ambient_c: Option<f64>,
}

/// A block at one instant. `None` is everything that is not a good, fresh
/// measurement: nobody decides on a stale or impossible value.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BlockScan {
    /// Block voltage, V.
    pub voltage_v: Option<f64>,
    /// What the module reads below its range, V, while `voltage_v` is `None`: no
    /// measurement, good for nothing but to say that the block has collapsed.
    pub beneath_v: Option<f64>,
    /// Block temperature, °C.
    pub temperature_c: Option<f64>,
    /// Bypass current that its module drew before the sample, A.
    pub bypass_a: f64,
    /// Internal resistance, mΩ: only in the scan in which a new measurement arrived.
    pub resistance_mohm: Option<f64>,
}

/// What a string is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Not known yet, or too few readings to know.
    #[default]
    Unknown,
    /// At float (or standby) voltage.
    Float,
    /// Above the float window.
    Boost,
    /// Feeding the load.
    Discharge,
    /// Was discharged and is not back at float yet.
    Recharge,
}

impl<'a> StringScan<'a> {
    /// The good block voltages with their places (from 0), V.
    pub fn voltages(&self) -> impl Iterator<Item = (usize, f64)> + Clone + use<'a> {
        self.blocks.iter().enumerate().filter_map(|(i, b)| Some((i, b.voltage_v?)))
    }

    /// The good block temperatures with their places (from 0), °C.
    pub fn temperatures(&self) -> impl Iterator<Item = (usize, f64)> + Clone + use<'a> {
        self.blocks.iter().enumerate().filter_map(|(i, b)| Some((i, b.temperature_c?)))
    }

    /// Sum of the block voltages, V; `None` unless every block has one.
    #[must_use]
    pub fn sum_v(&self) -> Option<f64> {
        self.blocks.iter().map(|b| b.voltage_v).sum()
    }
}
