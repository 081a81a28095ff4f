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
    string: u16,
    /// Name in the settings.
    name: String,
    /// `ok`, `notice`, `warning` or `alarm`: the worst of string and blocks.
    status: &'static str,
    /// What is wrong, worst first.
    alarms: Vec<AlarmOut>,
    /// Why it was tripped, in words; null while it is not.
    trip: Option<String>,
    /// What its breaker is doing, in words.
    breaker: &'static str,
    /// `float`, `boost`, `discharge`, `recharge` or `unknown`.
    phase: &'static str,
    /// String current, A, positive into the batteries.
    current_a: Option<f64>,
    /// Voltage by an input of its own, V.
    voltage_v: Option<f64>,
    /// Air temperature near it, °C.
    ambient_c: Option<f64>,
    /// Target voltage of a block, V.
    target_v: Option<f64>,
    /// Sum of the block voltages, V; null when a block is missing.
    sum_v: Option<f64>,
    /// Worst deviation from the target, mV.
    worst_mv: Option<f64>,
    /// No block is truly farther from the mean than this, mV.
    true_bound_mv: Option<f64>,
    /// Every participating block is within ±10 mV of the target now; null when unknown.
    in_band: Option<bool>,
    /// Why bypasses are off; empty while equalizing.
    inhibits: Vec<&'static str>,
    /// Blocks that take part in the target.
    members: u16,
    /// Members fully bypassed and still above the target.
    saturated: u16,
    /// Mean bypass of the members, 0 … 1.
    mean_duty: f64,
    /// Whether these modules can equalize this string, in words.
    feasibility: String,
    /// Whether the charger is set right, in words.
    charger: String,
    /// State of charge, %.
    charge_percent: Estimate,
    /// Capacity at the rated time and 25 °C, Ah.
    capacity_ah: Estimate,
    /// Time to the end of the discharge at the present load, s; null while
    /// nothing is drawn.
    runtime_s: Option<f64>,
    /// It is longer than this in nine of ten cases, s.
    runtime_low_s: Option<f64>,
    /// It is shorter than this in nine of ten cases, s.
    runtime_high_s: Option<f64>,
    /// What to do, gravest advice first; empty for nothing.
    advice: String,
    /// Block, counted from 1, whose resistance is being measured.
    measuring: Option<u16>,
    /// Why it shows no values though it is watched; null within the licence.
    licence: Option<&'static str>,
    /// False while the guard does not answer: everything here is old.
    live: bool,
    /// When the guard published this, ms since 1970.
    unix_ms: u64,
    /// How long ago, ms.
    age_ms: u64,
    /// The blocks.
    blocks: Vec<BlockOut>,
}

/// One block.
#[derive(Serialize, ToSchema)]
struct BlockOut {
    /// Number, counted from 1.
    index: u16,
    /// Bus of its module, counted from 1.
    bus: u8,
    /// Bus address of its module.
    address: u16,
    /// Serial number of its module; null while unknown.
    serial: Option<u32>,
    /// `ok`, `notice`, `warning` or `alarm`.
    status: &'static str,
    /// Alarms and warnings, in words.
    alarms: Vec<&'static str>,
    /// Voltage, mV; null when there is no usable one.
    voltage_mv: Option<u16>,
    /// Voltage to which it is equalized, V.
    target_v: Option<f64>,
    /// Deviation from its target, mV; null without voltage or target.
    deviation_mv: Option<i32>,
    /// Temperature, °C; null when there is no usable one.
    temperature_c: Option<f64>,
    /// Bypass current that the module drew, A; null when it did not answer.
    bypass_a: Option<f64>,
    /// Commanded bypass, 0 … 1.
    duty: f64,
    /// What is done at it, in words.
    activity: &'static str,
    /// Internal resistance as last measured, mΩ.
    resistance_mohm: Option<f64>,
    /// When, ms since 1970.
    resistance_unix_ms: Option<u64>,
    /// State of charge, %.
    charge_percent: Estimate,
    /// Capacity at the rated time and 25 °C, Ah.
    capacity_ah: Estimate,
    /// State of health, %.
    health_percent: Estimate,
    /// What the state of health rests on, in words.
    health_basis: &'static str,
    /// Years in which it hardly fails.
    life_years_low: Option<f64>,
    /// Years that it hardly outlasts.
    life_years_high: Option<f64>,
    /// What to do about it, and why; empty for nothing.
    advice: String,
    /// What the voltage is worth.
    quality: QualityOut,
    /// What is wrong with the reading, in words; null when nothing is.
    fault: Option<&'static str>,
    /// Why it shows no values though it is watched; null within the licence.
    licence: Option<&'static str>,
    /// Flags of the module, as the bus carries them.
    flags: u8,
    /// When it was read, ms since 1970; null when it never was.
    unix_ms: Option<u64>,
    /// How long ago, ms.
    age_ms: Option<u64>,
}

/// An estimate and its standard deviation; null: not known.
#[derive(Clone, Copy, Serialize, ToSchema)]
struct Estimate {
    value: Option<f64>,
    sigma: Option<f64>,
}

/// Something that is wrong.
#[derive(Serialize, ToSchema)]
struct AlarmOut {
    /// `notice`, `warning` or `alarm`.
    level: &'static str,
    /// In words.
    text: String,
    /// Blocks that have it, counted from 1; empty: the string itself.
    blocks: Vec<u16>,
    /// The worst of them.
    worst_block: Option<u16>,
    /// What was measured there.
    value: Option<f64>,
    /// Its unit.
    unit: Option<&'static str>,
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

fn string_out(plant: &Plant, index: usize, string: &StringRecord, time: Time) -> StringOut {
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
