//! Thermal runaway: the recommended rule of facts/battery-science.md §4.
//!
//! | | on float | level |
//! |---|---|---|
//! | rise | block ≥ 8 K / ≥ 10 K over its reference for 60 s | warning / alarm |
//! | rate | ≥ 1.5 K/h beyond the air's own, for 1 h | alarm |
//! | current | ≥ 2 × / ≥ 3 × the learned value for 5 min | warning / alarm |
//!
//! **Trip**: (rise ≥ 15 K or T ≥ 60 °C) and (current ≥ 2 × learned or
//! dT/dt > 0), for 5 min, and two independent readings agree:
//!
//! | cause | readings | needs |
//! |---|---|---|
//! | [`TripCause::TemperatureAndCurrent`] | one block hot, float current high | a current sensor, two days of float |
//! | [`TripCause::TwoTemperatures`] | two blocks hot, both rising | nothing else: works without current and ambient sensor |
//! | [`TripCause::OneTemperature`] | one block ≥ 75 °C, seen to climb there, rising | nothing else |
//!
//! - **Reference**: the air, or the median of the blocks if that is cooler: a
//!   whole string that heats has a warm median, a block beside a warm wall
//!   is none. Without an ambient sensor a whole string is seen by T ≥ 60 °C and by
//!   the current.
//! - **Independent**: all rises over the air depend on one ambient sensor. Two
//!   temperatures count as two readings only if each block is ≥ 60 °C, or
//!   ≥ 15 K over the median, or also ≥ 10 K over its own mean of the last day.
//!   A block's voltage is no second reading: equalization lowers the target of
//!   a block that reads warm, so both come from the same sensor.
//! - **Believable**: a thermometer that leapt is suspect and counts for
//!   nothing, one that never moved counts for no trip.
//! - **Discharge**: the load has priority. Then, and for half an hour after it
//!   (the blocks are warm from it), only T ≥ 75 °C trips; then rates start anew.
//! - **Restart**: nobody knows what was before it, so it counts as the end of
//!   a discharge. Hold times start anew, a rate with 0. Warnings and alarms
//!   do not wait.

use super::float_current::{FloatCurrent, Learned};
use super::hold::{Hold, Side, Watch, ms};
use super::limits::RunawayLimits;
use super::look::{Look, celsius, median};
use super::report::Report;
use super::thermometer::Thermometer;
use super::{Condition, Level};
use crate::battery::BatteryType;
use crate::scan::Phase;
use serde::{Deserialize, Serialize};

/// A rate above this is "rising", K/h: beyond the noise of 0.1 K steps.
const RISING_K_PER_H: f64 = 0.2;
/// A sensor that trips alone must have been seen to climb so far, K.
const CLIMB_K: f64 = 3.0;
/// A reset is possible when the blocks are this far below the trip, K.
const COOLED_K: f64 = 5.0;
/// Current out of the string beyond this is a discharge whatever the phase, A per Ah.
const DISCHARGE_A_PER_AH: f64 = 0.01;

/// Why a string was tripped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TripCause {
    /// A hot block, and the float current above what was learned.
    TemperatureAndCurrent,
    /// Two blocks hot and rising.
    TwoTemperatures,
    /// One block beyond what its sensor alone decides, and rising.
    OneTemperature,
}

impl TripCause {
    /// For people.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::TemperatureAndCurrent => "thermal runaway: hot block and high float current",
            Self::TwoTemperatures => "thermal runaway: two blocks hot and rising",
            Self::OneTemperature => "thermal runaway: a block extremely hot and rising",
        }
    }
}

/// A trip, as it was decided. Latched until a person resets it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trip {
    /// Why.
    pub cause: TripCause,
    /// Place of the hottest block of those that caused it, from 0.
    pub block: u16,
    /// Its temperature then, °C.
    pub temperature_c: f32,
    /// Wall-clock time, s since 1970 UTC, if the clock was set.
    #[serde(default)]
    pub wall_s: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct BlockHeat {
    thermometer: Thermometer,
    rise: Watch,
    heating: Hold,
    /// Hot; hot and rising on its own evidence; hot enough alone.
    hot: Hold,
    rising: Hold,
    alone: Hold,
}

/// The rule for one string. Built once; a step allocates nothing.
#[derive(Clone, Debug)]
pub(super) struct Runaway {
    limits: RunawayLimits,
    discharge_a: f64,
    blocks: Vec<BlockHeat>,
    ambient: Thermometer,
    current: FloatCurrent,
    current_watch: Watch,
    current_high: Hold,
    median_c: Option<f64>,
    /// Time since the last scan in discharge, ms.
    rested_ms: u32,
    was_spared: bool,
    scratch: Vec<f64>,
}

/// What the blocks' temperatures are compared with in a scan.
#[derive(Clone, Copy)]
struct Surroundings {
    median_c: Option<f64>,
    ambient_c: Option<f64>,
    air_k_per_h: f64,
    on_float: bool,
    /// In discharge, or warm from it.
    spared: bool,
}

impl Runaway {
    pub fn new(
        blocks: usize,
        battery: &BatteryType,
        limits: RunawayLimits,
        learned: Learned,
    ) -> Self {
        Self {
            discharge_a: (DISCHARGE_A_PER_AH * battery.capacity_ah)
                .max(limits.current_resolution_a),
            blocks: vec![BlockHeat::default(); blocks],
            ambient: Thermometer::default(),
            current: FloatCurrent::new(learned, battery.capacity_ah, limits.current_resolution_a),
            current_watch: Watch::default(),
            current_high: Hold::default(),
            median_c: None,
            // Nobody knows what was before the start.
            rested_ms: 0,
            was_spared: false,
            scratch: Vec::with_capacity(blocks),
            limits,
        }
    }

    pub const fn learned(&self) -> Learned {
        self.current.learned()
    }

    /// A block's temperature in the last scan, if it is believed.
    pub fn good_c(&self, block: usize) -> Option<f64> {
        self.blocks.get(block)?.thermometer.good_c()
    }

    /// Whether a block's sensor leapt and has not come back.
    pub fn is_suspect(&self, block: usize) -> bool {
        self.blocks.get(block).is_some_and(|b| b.thermometer.is_suspect())
    }

    /// Whether what trips a string is still there: a reset is refused.
    pub fn persists(&self) -> bool {
        let surroundings = Surroundings {
            median_c: self.median_c,
            ambient_c: self.ambient.good_c(),
            air_k_per_h: 0.0,
            on_float: false,
            spared: false,
        };
        self.blocks.iter().filter_map(|b| b.thermometer.good_c()).any(|c| {
            c >= self.limits.trip_c - COOLED_K
                || surroundings.rise_k(c) >= self.limits.trip_rise_k - COOLED_K
        })
    }

    /// One scan; why to trip, if so.
    pub fn step(&mut self, look: &Look<'_>, report: &mut Report) -> Option<(TripCause, u16, f32)> {
        let surroundings = self.survey(look);
        if self.ambient.is_suspect() {
            report.mark(Condition::TemperatureSuspect, Level::Warning);
        }
        let limits = self.limits;
        for (i, block) in self.blocks.iter_mut().enumerate() {
            block.step(i, look, &limits, &surroundings, report);
        }
        self.step_current(look, &surroundings, report);
        let decided = self.decide(Hold::is_on);
        if self.decide(Hold::is_pending).is_some() {
            report.mark(Condition::Runaway, Level::Warning);
        }
        decided.filter(|_| limits.trip)
    }

    /// Thermometers first, then what they are compared with.
    fn survey(&mut self, look: &Look<'_>) -> Surroundings {
        let now = look.tick.now;
        self.ambient.step(now, look.ambient_c, None);
        for (i, block) in self.blocks.iter_mut().enumerate() {
            let measured = look.blocks.get(i).and_then(celsius);
            block.thermometer.step(now, measured, self.median_c);
        }
        let good = self.blocks.iter().filter_map(|b| b.thermometer.good_c());
        self.median_c = median(&mut self.scratch, good);
        let outward = look.current_a.is_some_and(|a| a <= -self.discharge_a);
        // What is not known to be a charge is treated as the load's.
        let discharge = outward || matches!(look.phase, Phase::Discharge | Phase::Unknown);
        self.rested_ms = if discharge { 0 } else { self.rested_ms.saturating_add(look.tick.dt_ms) };
        let spared = discharge || self.rested_ms < ms(self.limits.after_discharge_s);
        if self.was_spared && !spared {
            // The slower mean still follows the discharge, and would take its
            // heat for a rise of now.
            let cooler =
                |b: &&mut BlockHeat| b.thermometer.good_c().is_none_or(|c| c < self.limits.alone_c);
            self.blocks.iter_mut().filter(cooler).for_each(|b| b.thermometer.restart_rate());
        }
        self.was_spared = spared;
        let charging = matches!(look.phase, Phase::Float | Phase::Boost);
        Surroundings {
            median_c: self.median_c,
            ambient_c: self.ambient.good_c(),
            air_k_per_h: self.ambient.rate_k_per_h().max(0.0),
            on_float: charging && !discharge && !look.breaker_open,
            spared,
        }
    }

    fn step_current(&mut self, look: &Look<'_>, around: &Surroundings, report: &mut Report) {
        let calm = self.blocks.iter().all(|b| b.rise.level() == Level::Ok);
        let ratio = if look.on_float() {
            let count = look.blocks.len().max(1) as f64;
            let shed = look.blocks.iter().map(|b| b.bypass_a).filter(|a| a.is_finite());
            let own_a = look.current_a.map(|a| a - shed.sum::<f64>() / count);
            self.current.step(look.tick, own_a, around.median_c, calm)
        } else {
            self.current.leave();
            self.current_watch.clear();
            None
        };
        report.float_current_ratio = ratio.unwrap_or(f64::NAN);
        let level = self.current_watch.step(look.tick, ratio, &self.limits.current, Side::High);
        report.mark(Condition::FloatCurrentHigh, level);
        let high = match ratio {
            Some(ratio) => Some(ratio >= self.limits.trip_current),
            None if look.on_float() => None,
            None => Some(false),
        };
        self.current_high.step(look.tick, high, ms(self.limits.hold_s));
    }

    /// The trip, taking for true what `holds` says is.
    fn decide(&self, holds: fn(&Hold) -> bool) -> Option<(TripCause, u16, f32)> {
        let hottest = |which: fn(&BlockHeat) -> &Hold| {
            let blocks = self.blocks.iter().enumerate();
            blocks
                .filter(|(_, b)| holds(which(b)))
                .filter_map(|(i, b)| Some((i as u16, b.thermometer.good_c()? as f32)))
                .max_by(|a, b| a.1.total_cmp(&b.1))
        };
        let rising = self.blocks.iter().filter(|b| holds(&b.rising)).count();
        let because = |cause, which| hottest(which).map(|(block, c)| (cause, block, c));
        None.or_else(|| {
            let hot = because(TripCause::TemperatureAndCurrent, |b| &b.hot);
            hot.filter(|_| holds(&self.current_high))
        })
        .or_else(|| because(TripCause::TwoTemperatures, |b| &b.rising).filter(|_| rising >= 2))
        .or_else(|| because(TripCause::OneTemperature, |b| &b.alone))
    }
}

impl BlockHeat {
    fn step(
        &mut self,
        place: usize,
        look: &Look<'_>,
        limits: &RunawayLimits,
        around: &Surroundings,
        report: &mut Report,
    ) {
        let good = self.thermometer.good_c();
        let rate = self.thermometer.rate_k_per_h();
        if around.on_float {
            let rise = good.map(|c| around.rise_k(c));
            let level = self.rise.step(look.tick, rise, &limits.rise_k, Side::High);
            report.mark_block(place, Condition::TemperatureRise, level, rise, 0.0);
            let heats = good.map(|_| rate - around.air_k_per_h >= limits.rate_k_per_h);
            if self.heating.step(look.tick, heats, ms(limits.rate_hold_s)) {
                report.mark_block(place, Condition::Heating, Level::Alarm, Some(rate), 0.0);
            }
        } else {
            self.rise.clear();
            self.heating = Hold::default();
        }
        let hold_ms = ms(limits.hold_s);
        let alive = self.thermometer.is_alive();
        let is_rising = alive && rate > RISING_K_PER_H;
        let hot = good.map(|c| alive && around.is_hot(c, limits));
        self.hot.step(look.tick, hot, hold_ms);
        let above_usual = self.thermometer.above_usual_k() >= limits.rise_k.alarm;
        let independent = |c: f64| {
            above_usual || c >= limits.trip_c || around.over_median_k(c) >= limits.trip_rise_k
        };
        let rising = good.map(|c| is_rising && around.is_hot(c, limits) && independent(c));
        self.rising.step(look.tick, rising, hold_ms);
        let climbed = self.thermometer.climbed_k() >= CLIMB_K;
        let alone = good.map(|c| c >= limits.alone_c && climbed && is_rising);
        self.alone.step(look.tick, alone, hold_ms);
    }
}

impl Surroundings {
    fn over_median_k(&self, c: f64) -> f64 {
        self.median_c.map_or(0.0, |m| c - m)
    }

    /// Over the air or the median, whichever is cooler.
    fn rise_k(&self, c: f64) -> f64 {
        self.ambient_c.map_or(f64::NEG_INFINITY, |a| c - a).max(self.over_median_k(c))
    }

    fn is_hot(&self, c: f64, limits: &RunawayLimits) -> bool {
        if self.spared {
            return c >= limits.alone_c;
        }
        c >= limits.trip_c || self.rise_k(c) >= limits.trip_rise_k
    }
}
