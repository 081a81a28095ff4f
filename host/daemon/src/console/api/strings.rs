//! Battery strings over the HTTP API.

use super::{QualityOut, Time, finite};
use crate::console::Console;
use crate::plant::{Finding, Plant, finding_unit, findings, number, words};
use axum::Json;
use axum::extract::State;
use evenkeel_core::estimate::BlockEstimate;
use evenkeel_core::events::IN_BAND_MV;
use evenkeel_core::health::BlockHealth;
use evenkeel_core::image::{BlockRecord, StringRecord};
use evenkeel_core::licence::OVER;
use evenkeel_core::points::Quality;
use evenkeel_core::time::Nanos;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// One string.
#[derive(Serialize, ToSchema)]
pub struct StringOut {
    /// Number, counted from 1.
    pub(in crate::console) string: u16,
    /// Name in the settings.
    pub(in crate::console) name: String,
    /// `ok`, `notice`, `warning` or `alarm`: the worst of string and blocks.
    pub(in crate::console) status: &'static str,
    /// What is wrong, worst first.
    pub(in crate::console) alarms: Vec<AlarmOut>,
    /// Why it was tripped, in words; null while it is not.
    pub(in crate::console) trip: Option<String>,
    /// What its breaker is doing, in words.
    pub(in crate::console) breaker: &'static str,
    /// `float`, `boost`, `discharge`, `recharge` or `unknown`.
    pub(in crate::console) phase: &'static str,
    /// String current, A, positive into the batteries.
    pub(in crate::console) current_a: Option<f64>,
    /// Voltage by an input of its own, V.
    pub(in crate::console) voltage_v: Option<f64>,
    /// Air temperature near it, °C.
    pub(in crate::console) ambient_c: Option<f64>,
    /// Target voltage of a block, V.
    pub(in crate::console) target_v: Option<f64>,
    /// Sum of the block voltages, V; null when a block is missing.
    pub(in crate::console) sum_v: Option<f64>,
    /// Worst deviation from the target, mV.
    pub(in crate::console) worst_mv: Option<f64>,
    /// No block is truly farther from the mean than this, mV.
    pub(in crate::console) true_bound_mv: Option<f64>,
    /// Every participating block is within ±10 mV of the target now; null when unknown.
    pub(in crate::console) in_band: Option<bool>,
    /// Why bypasses are off; empty while equalizing.
    pub(in crate::console) inhibits: Vec<&'static str>,
    /// Blocks that take part in the target.
    pub(in crate::console) members: u16,
    /// Members fully bypassed and still above the target.
    pub(in crate::console) saturated: u16,
    /// Mean bypass of the members, 0 … 1.
    pub(in crate::console) mean_duty: f64,
    /// Whether these modules can equalize this string, in words.
    pub(in crate::console) feasibility: String,
    /// Whether the charger is set right, in words.
    pub(in crate::console) charger: String,
    /// State of charge, %.
    pub(in crate::console) charge_percent: Estimate,
    /// Capacity at the rated time and 25 °C, Ah.
    pub(in crate::console) capacity_ah: Estimate,
    /// Time to the end of the discharge at the present load, s; null while
    /// nothing is drawn.
    pub(in crate::console) runtime_s: Option<f64>,
    /// It is longer than this in nine of ten cases, s.
    pub(in crate::console) runtime_low_s: Option<f64>,
    /// It is shorter than this in nine of ten cases, s.
    pub(in crate::console) runtime_high_s: Option<f64>,
    /// What to do, gravest advice first; empty for nothing.
    pub(in crate::console) advice: String,
    /// Block, counted from 1, whose resistance is being measured.
    pub(in crate::console) measuring: Option<u16>,
    /// Why it shows no values though it is watched; null within the licence.
    pub(in crate::console) licence: Option<&'static str>,
    /// False while the guard does not answer: everything here is old.
    pub(in crate::console) live: bool,
    /// When the guard published this, ms since 1970.
    pub(in crate::console) unix_ms: u64,
    /// How long ago, ms.
    pub(in crate::console) age_ms: u64,
    /// The blocks.
    pub(in crate::console) blocks: Vec<BlockOut>,
}

/// One block.
#[derive(Serialize, ToSchema)]
pub(in crate::console) struct BlockOut {
    /// Number, counted from 1.
    pub(in crate::console) index: u16,
    /// Bus of its module, counted from 1.
    pub(in crate::console) bus: u8,
    /// Bus address of its module.
    pub(in crate::console) address: u16,
    /// Serial number of its module; null while unknown.
    pub(in crate::console) serial: Option<u32>,
    /// `ok`, `notice`, `warning` or `alarm`.
    pub(in crate::console) status: &'static str,
    /// Alarms and warnings, in words.
    pub(in crate::console) alarms: Vec<&'static str>,
    /// Voltage, mV; null when there is no usable one.
    pub(in crate::console) voltage_mv: Option<u16>,
    /// Voltage to which it is equalized, V.
    pub(in crate::console) target_v: Option<f64>,
    /// Deviation from its target, mV; null without voltage or target.
    pub(in crate::console) deviation_mv: Option<i32>,
    /// Temperature, °C; null when there is no usable one.
    pub(in crate::console) temperature_c: Option<f64>,
    /// Bypass current that the module drew, A; null when it did not answer.
    pub(in crate::console) bypass_a: Option<f64>,
    /// Commanded bypass, 0 … 1.
    pub(in crate::console) duty: f64,
    /// What is done at it, in words.
    pub(in crate::console) activity: &'static str,
    /// Internal resistance as last measured, mΩ.
    pub(in crate::console) resistance_mohm: Option<f64>,
    /// When, ms since 1970.
    pub(in crate::console) resistance_unix_ms: Option<u64>,
    /// State of charge, %.
    pub(in crate::console) charge_percent: Estimate,
    /// Capacity at the rated time and 25 °C, Ah.
    pub(in crate::console) capacity_ah: Estimate,
    /// State of health, %.
    pub(in crate::console) health_percent: Estimate,
    /// What the state of health rests on, in words.
    pub(in crate::console) health_basis: &'static str,
    /// Years in which it hardly fails.
    pub(in crate::console) life_years_low: Option<f64>,
    /// Years that it hardly outlasts.
    pub(in crate::console) life_years_high: Option<f64>,
    /// What to do about it, and why; empty for nothing.
    pub(in crate::console) advice: String,
    /// What the voltage is worth.
    quality: QualityOut,
    /// What is wrong with the reading, in words; null when nothing is.
    pub(in crate::console) fault: Option<&'static str>,
    /// Why it shows no values though it is watched; null within the licence.
    pub(in crate::console) licence: Option<&'static str>,
    /// Flags of the module, as the bus carries them.
    pub(in crate::console) flags: u8,
    /// When it was read, ms since 1970; null when it never was.
    pub(in crate::console) unix_ms: Option<u64>,
    /// How long ago, ms.
    pub(in crate::console) age_ms: Option<u64>,
}

/// An estimate and its standard deviation; null: not known.
#[derive(Clone, Copy, Serialize, ToSchema)]
pub(in crate::console) struct Estimate {
    pub(in crate::console) value: Option<f64>,
    pub(in crate::console) sigma: Option<f64>,
}

/// Something that is wrong.
#[derive(Serialize, ToSchema)]
pub(in crate::console) struct AlarmOut {
    /// `notice`, `warning` or `alarm`.
    pub(in crate::console) level: &'static str,
    /// In words.
    pub(in crate::console) text: String,
    /// Blocks that have it, counted from 1; empty: the string itself.
    pub(in crate::console) blocks: Vec<u16>,
    /// The worst of them.
    pub(in crate::console) worst_block: Option<u16>,
    /// What was measured there.
    pub(in crate::console) value: Option<f64>,
    /// Its unit.
    pub(in crate::console) unit: Option<&'static str>,
}

/// Battery strings with all their blocks.
#[utoipa::path(get, path = "/api/v1/strings", tag = "values",
    responses((status = 200, body = Vec<StringOut>)))]
pub async fn strings(State(console): State<Arc<Console>>) -> Json<Vec<StringOut>> {
    let time = Time::now();
    let plant = console.hub.plant();
    let strings = plant.iter().flat_map(|plant| {
        let records = plant.snapshot.strings.iter().enumerate();
        records.map(move |(index, string)| string_out(plant, index, string, time))
    });
    Json(strings.collect())
}

pub(in crate::console) fn string_out(
    plant: &Plant,
    index: usize,
    string: &StringRecord,
    time: Time,
) -> StringOut {
    let published = plant.snapshot.cycle.published;
    let (equalize, estimate) = (&string.equalize, &string.estimate);
    // Tenths of a millivolt; what lies behind is arithmetic, not measurement.
    let millivolts = |volts: f64| finite((volts * 1e4).round() / 10.0);
    let worst_mv = millivolts(equalize.worst_v);
    let live = plant.live(index);
    let runtime_s = estimate.runtime_s.and_then(|s| finite(s.into()));
    let bound = |s: f32| runtime_s.and(finite(s.into()));
    let blocks = string.blocks.iter().enumerate();
    StringOut {
        string: number(index),
        name: plant.strings.get(index).cloned().unwrap_or_default(),
        status: string.protect.level.text(),
        alarms: findings(string).into_iter().map(alarm_out).collect(),
        trip: string.protect.trip.as_ref().map(words::trip),
        breaker: string.protect.breaker.text(),
        phase: words::phase(string.phase),
        current_a: string.current_a.and_then(finite),
        voltage_v: string.voltage_v.and_then(finite),
        ambient_c: string.ambient_c.and_then(finite),
        target_v: finite(equalize.target_v),
        sum_v: finite(equalize.sum_v),
        worst_mv,
        true_bound_mv: millivolts(equalize.truth.bound_v),
        in_band: worst_mv.filter(|_| live).map(|mv| mv.round().abs() <= f64::from(IN_BAND_MV)),
        inhibits: equalize.inhibits.texts().collect(),
        members: equalize.members,
        saturated: equalize.saturated,
        mean_duty: finite(equalize.mean_duty).unwrap_or(0.0),
        feasibility: words::feasibility(equalize.feasibility),
        charger: words::charger(equalize.charger),
        charge_percent: Estimate::percent(estimate.whole.soc, estimate.whole.soc_sigma),
        capacity_ah: capacity(&estimate.whole),
        runtime_s,
        runtime_low_s: bound(estimate.runtime_low_s),
        runtime_high_s: bound(estimate.runtime_high_s),
        advice: words::worst_advice(&string.health),
        measuring: string.measuring.map(|block| number(block.into())),
        licence: plant.is_string_over(index).then_some(OVER),
        live,
        unix_ms: time.date_of(published),
        age_ms: time.age_ms(published),
        blocks: blocks
            .map(|(i, block)| block_out(plant, (index, i), string, block, time))
            .collect(),
    }
}

fn block_out(
    plant: &Plant,
    (string_index, index): (usize, usize),
    string: &StringRecord,
    block: &BlockRecord,
    time: Time,
) -> BlockOut {
    let quality = plant.quality(block);
    let usable = quality != Quality::Bad;
    let read = (block.read != Nanos(0)).then_some(block.read);
    let found = string.protect.blocks.get(index).copied().unwrap_or_default();
    let estimate = string.estimate.blocks.get(index).unwrap_or(&BlockEstimate::UNKNOWN);
    let health = string.health.blocks.get(index).unwrap_or(&BlockHealth::UNKNOWN);
    let deviation_mv = finite(block.equalize.deviation_v * 1e3).filter(|_| usable);
    let warm = plant.temperature_quality(block) != Quality::Bad;
    let measured = block.resistance.filter(|(mohm, _)| mohm.is_finite());
    BlockOut {
        index: number(index),
        bus: block.bus,
        address: block.address,
        serial: (block.serial != 0).then_some(block.serial),
        status: found.level().text(),
        alarms: found.alarm.texts().chain(found.warning.texts()).collect(),
        voltage_mv: usable.then_some(block.voltage_mv),
        target_v: finite(block.equalize.target_v),
        deviation_mv: deviation_mv.map(|mv| mv.round() as i32),
        temperature_c: warm.then(|| f64::from(block.temperature_dc) / 10.0),
        bypass_a: finite(block.bypass_a.into()).filter(|_| usable),
        duty: block.duty.fraction(),
        activity: block.equalize.activity.text(),
        resistance_mohm: measured.map(|(mohm, _)| mohm.into()),
        resistance_unix_ms: measured.map(|(_, at)| time.date_of(at)),
        charge_percent: Estimate::percent(estimate.soc, estimate.soc_sigma),
        capacity_ah: capacity(estimate),
        health_percent: Estimate::percent(health.soh.ratio, health.soh.sigma),
        health_basis: health.soh.basis.text(),
        life_years_low: finite(health.life.low.into()),
        life_years_high: finite(health.life.high.into()),
        advice: words::block_advice(&string.health, index),
        quality: quality.into(),
        fault: Some(block.fault.text()).filter(|text| !text.is_empty()),
        licence: plant.is_over(string_index, index).then_some(OVER),
        flags: block.flags.0,
        unix_ms: read.map(|at| time.date_of(at)),
        age_ms: read.map(|at| time.age_ms(at)),
    }
}

fn capacity(estimate: &BlockEstimate) -> Estimate {
    Estimate {
        value: finite(estimate.capacity_ah.into()),
        sigma: finite(estimate.capacity_sigma_ah.into()),
    }
}

impl Estimate {
    fn percent(share: f32, sigma: f32) -> Self {
        let percent = |share: f32| finite(f64::from(share) * 100.0);
        Self { value: percent(share), sigma: percent(sigma) }
    }
}

fn alarm_out(finding: Finding) -> AlarmOut {
    AlarmOut {
        level: finding.level.text(),
        text: finding.condition.text().to_owned(),
        worst_block: finding.worst.map(|(block, _)| block),
        value: finding.worst.and_then(|(_, value)| finite(value)),
        unit: finding.worst.and(finding_unit(finding.condition)),
        blocks: finding.blocks,
    }
}
