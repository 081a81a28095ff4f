//! The limits of one block.

use super::hold::{Hold, Limit, Side, Tick, Watch, ms};
use super::limits::{Limits, ResistanceLimits};
use super::look::{Look, beneath, celsius, is_silent, volts};
use super::report::Report;
use super::{Condition, Level};
use crate::scan::BlockScan;

/// What the blocks of a string share.
#[derive(Clone, Debug)]
pub(super) struct BlockLimits {
    pub voltage_high: Limit,
    pub voltage_low: Limit,
    pub deviation: Limit,
    pub limits: Limits,
}

/// Something that has to be measured is not.
#[derive(Clone, Copy, Debug, Default)]
struct Absence {
    warning: Hold,
    alarm: Hold,
}

impl Absence {
    fn step(&mut self, tick: Tick, absent: bool, limits: &Limits) -> Level {
        let warning = self.warning.step(tick, Some(absent), ms(limits.lost_warning_s));
        match (self.alarm.step(tick, Some(absent), ms(limits.lost_alarm_s)), warning) {
            (true, _) => Level::Alarm,
            (false, true) => Level::Warning,
            (false, false) => Level::Ok,
        }
    }
}

/// Step of the resistance ladder: −1 too low, 0 none, 1 … 4 as in
/// [`ResistanceLimits`]. Two measurements in succession move it.
#[derive(Clone, Copy, Debug, Default)]
struct Ladder {
    last: i8,
    step: i8,
    pct: f64,
}

impl Ladder {
    fn measured(&mut self, pct: f64, limits: &ResistanceLimits) {
        let rungs = [limits.notice_pct, limits.warning_pct, limits.alarm_pct, limits.critical_pct];
        let reached = rungs.iter().filter(|rung| pct >= **rung).count() as i8;
        let now = if pct <= limits.low_pct { -1 } else { reached };
        self.step = self.step.clamp(now.min(self.last), now.max(self.last));
        (self.last, self.pct) = (now, pct);
    }
}

/// The state of one block.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BlockWatch {
    voltage_high: Watch,
    voltage_low: Watch,
    deviation: Watch,
    temperature_high: Watch,
    temperature_low: Watch,
    lost: Absence,
    voltage_invalid: Absence,
    temperature_invalid: Absence,
    suspect: Absence,
    resistance: Ladder,
}

impl BlockWatch {
    /// One scan of the block at `place`. `good_c` is its temperature as far as
    /// it is believed, `suspect` that it is not.
    pub fn step(
        &mut self,
        place: usize,
        look: &Look<'_>,
        limits: &BlockLimits,
        (good_c, suspect): (Option<f64>, bool),
        baseline_mohm: Option<f64>,
        report: &mut Report,
    ) {
        let block = look.blocks.get(place).copied().unwrap_or_default();
        self.presence(place, look.tick, &block, suspect, limits, report);
        let v = volts(&block);
        let low_v = v.or(beneath(&block));
        let high = self.voltage_high.step(look.tick, v, &limits.voltage_high, Side::High);
        let low = self.voltage_low.step(look.tick, low_v, &limits.voltage_low, Side::Low);
        let normal = look.median_v.unwrap_or(limits.voltage_high.warning);
        report.mark_block(place, Condition::VoltageHigh, high, v, 0.0);
        report.mark_block(place, Condition::VoltageLow, low, low_v, normal.max(0.0));
        if look.on_float() {
            let away = v.zip(look.median_v).map(|(v, median)| (v - median).abs());
            let level = self.deviation.step(look.tick, away, &limits.deviation, Side::High);
            report.mark_block(place, Condition::VoltageDeviation, level, away, 0.0);
        } else {
            self.deviation.clear();
        }
        let t = &limits.limits;
        let hot = self.temperature_high.step(look.tick, good_c, &t.temperature_high_c, Side::High);
        let cold = self.temperature_low.step(look.tick, good_c, &t.temperature_low_c, Side::Low);
        report.mark_block(place, Condition::TemperatureHigh, hot, good_c, -100.0);
        report.mark_block(place, Condition::TemperatureLow, cold, good_c, 100.0);
        self.resistance(place, &block, baseline_mohm, &t.resistance, report);
    }

    fn presence(
        &mut self,
        place: usize,
        tick: Tick,
        block: &BlockScan,
        suspect: bool,
        limits: &BlockLimits,
        report: &mut Report,
    ) {
        let silent = is_silent(block);
        let (no_v, no_c) = (volts(block).is_none(), celsius(block).is_none());
        for (absence, absent, condition) in [
            (&mut self.lost, silent, Condition::ModuleLost),
            (&mut self.voltage_invalid, no_v && !silent, Condition::VoltageInvalid),
            (&mut self.temperature_invalid, no_c && !silent, Condition::TemperatureInvalid),
            (&mut self.suspect, suspect && !silent, Condition::TemperatureSuspect),
        ] {
            let level = absence.step(tick, absent, &limits.limits);
            report.mark_block(place, condition, level, None, 0.0);
        }
    }

    fn resistance(
        &mut self,
        place: usize,
        block: &BlockScan,
        baseline_mohm: Option<f64>,
        limits: &ResistanceLimits,
        report: &mut Report,
    ) {
        let baseline = baseline_mohm.filter(|b| b.is_finite() && *b > 0.0);
        let measured = block.resistance_mohm.filter(|r| r.is_finite() && *r > 0.0);
        if let Some((measured, baseline)) = measured.zip(baseline) {
            self.resistance.measured((measured / baseline - 1.0) * 100.0, limits);
        }
        let (condition, level) = match self.resistance.step {
            -1 => (Condition::ResistanceLow, Level::Warning),
            1 => (Condition::ResistanceHigh, Level::Notice),
            2 => (Condition::ResistanceHigh, Level::Warning),
            3 => (Condition::ResistanceHigh, Level::Alarm),
            4 => (Condition::ResistanceCritical, Level::Alarm),
            _ => return,
        };
        report.mark_block(place, condition, level, Some(self.resistance.pct), 0.0);
    }
}
