//! Faults by their signature (facts/battery-science.md §2.9).
//!
//! | fault | signature | for |
//! |---|---|---|
//! | open cell or link | no current, the others relaxed, and this block beyond its range or far above them; or the string's terminals hold a voltage that no block has | 10 s |
//! | shorted cell | on float more than 0.6 cells below the median | 60 s |
//! | reversed cell | in discharge 0.85 cells below the median, after it was near it in the same discharge; until it is back on float | 10 s |
//! | loose link | under load the string voltage lacks more than the links may take; scale learned on float | 5 s |
//! | sum | on float the blocks do not add up to the string voltage: one of them is measured wrongly | 10 min |
//! | stuck | a reading that does not move by 0.5 mV while the median moves by 5 mV/cell | 5 min |
//! | ground fault | by its own sensor | 10 s |
//!
//! Not told, because the measured values do not tell it: a ground fault from
//! block voltages (the gradient is smaller than the natural spread, and
//! equalization removes it), swapped addresses within a string (all blocks
//! carry the same current), the gain of a single module (only their sum is
//! measured twice).

use super::hold::{Hold, Side, Watch, ms};
use super::limits::Limits;
use super::look::{Look, beneath, is_silent, volts};
use super::report::Report;
use super::{Condition, Level};
use crate::battery::{BatteryType, ChemistryData};
use crate::scan::Phase;

const OPEN_MS: u32 = 10_000;
const SHORTED_MS: u32 = 60_000;
const REVERSED_MS: u32 = 10_000;
/// Shares of a cell's nominal voltage, see the head of this file.
const SHORTED_CELLS: f64 = 0.6;
const REVERSED_CELLS: f64 = 0.85;
const NEAR_CELLS: f64 = 0.3;
/// A block so far above relaxed neighbours takes the charger's voltage, V per cell.
const OPEN_V_PER_CELL: f64 = 0.5;
/// Share of the string voltage that no block accounts for.
const OPEN_SHARE: f64 = 0.02;
/// A reading has not moved, V; the others have, V per cell.
const STILL_V: f64 = 0.000_5;
const MOVED_V_PER_CELL: f64 = 0.005;
/// Load from which links show, A per Ah; float needed to learn the scale, ms,
/// and its time constant.
const LOAD_A_PER_AH: f64 = 0.1;
const SCALE_MS: u32 = 600_000;

/// Detectors of one block.
#[derive(Clone, Copy, Debug, Default)]
struct BlockFaults {
    open: Hold,
    shorted: Hold,
    reversed: Hold,
    /// Was near the median in this discharge.
    was_near: bool,
    stuck: Hold,
    /// Voltage that the reading has kept, and how far the median went meanwhile.
    kept_v: f64,
    median_low_v: f64,
    median_high_v: f64,
}

/// Detectors of one string and its blocks. Built once; a step allocates nothing.
#[derive(Clone, Debug)]
pub(super) struct Faults {
    limits: Limits,
    cells: f64,
    chemistry: &'static ChemistryData,
    capacity_ah: f64,
    blocks: Vec<BlockFaults>,
    open: Hold,
    link: Watch,
    mismatch: Watch,
    ground: Watch,
    /// String voltage ÷ sum of the blocks on float, and how long it was learned.
    scale: f64,
    scale_ms: u32,
}

impl Faults {
    pub fn new(blocks: usize, battery: &BatteryType, limits: &Limits) -> Self {
        Self {
            limits: limits.clone(),
            cells: battery.cells_f64(),
            chemistry: battery.chemistry_data(),
            capacity_ah: battery.capacity_ah,
            blocks: vec![BlockFaults::default(); blocks],
            open: Hold::default(),
            link: Watch::default(),
            mismatch: Watch::default(),
            ground: Watch::default(),
            scale: 1.0,
            scale_ms: 0,
        }
    }

    /// One scan.
    pub fn step(&mut self, look: &Look<'_>, ground_leak_a: Option<f64>, report: &mut Report) {
        let idle_a = self.limits.runaway.current_resolution_a;
        let idle = look.current_a.map(|a| a.abs() <= idle_a);
        let relaxed_v = self.chemistry.recovered_v * self.cells;
        let relaxed = look.median_v.is_some_and(|m| m < relaxed_v) && !look.breaker_open;
        let stuck_ms = ms(self.limits.stuck_s);
        let (cells, cell_v) = (self.cells, self.chemistry.nominal_v);
        for (i, block) in self.blocks.iter_mut().enumerate() {
            let scan = look.blocks.get(i).copied().unwrap_or_default();
            let v = volts(&scan);
            let taken = match (v, look.median_v) {
                // Beyond what the module can read: only a current that is
                // known to be none tells this from a bad block under load.
                (None, _) if is_silent(&scan) => None,
                (None, _) => idle,
                (Some(v), Some(m)) => Some(idle != Some(false) && v > m + OPEN_V_PER_CELL * cells),
                (Some(_), None) => None,
            };
            let open = taken.map(|taken| taken && relaxed);
            let marks = [
                (Condition::OpenLink, block.open.step(look.tick, open, OPEN_MS)),
                (Condition::ShortedCell, block.shorted(look, v, cells, cell_v)),
                (
                    Condition::ReversedCell,
                    block.reversed(look, v.or(beneath(&scan)), cells, cell_v),
                ),
            ];
            for (condition, _) in marks.into_iter().filter(|(_, on)| *on) {
                let normal = look.median_v.unwrap_or(0.0);
                report.mark_block(i, condition, Level::Alarm, v, normal);
            }
            if block.stuck(look, v, cells, stuck_ms) {
                report.mark_block(i, Condition::VoltageStuck, Level::Warning, v, 0.0);
            }
        }
        self.string(look, relaxed && idle != Some(false), report);
        let ground = &self.limits.ground_a;
        let leak = ground_leak_a.map(f64::abs);
        let level = self.ground.step(look.tick, leak, ground, Side::High);
        report.mark(Condition::GroundFault, level);
    }

    /// What needs the string voltage beside the blocks'.
    fn string(&mut self, look: &Look<'_>, relaxed: bool, report: &mut Report) {
        let both =
            look.string_v.zip(look.sum_v).filter(|(string, sum)| *string > 0.0 && *sum > 0.0);
        let lacking = both.map(|(string, sum)| relaxed && string - sum > OPEN_SHARE * string);
        if self.open.step(look.tick, lacking, OPEN_MS) {
            report.mark(Condition::OpenLink, Level::Alarm);
        }
        let mut mismatch = None;
        if let (true, Some((string, sum))) = (look.on_float(), both) {
            mismatch = Some((string / sum - 1.0).abs() * 100.0);
            self.scale_ms = self.scale_ms.saturating_add(look.tick.dt_ms).min(SCALE_MS);
            if self.scale_ms > 0 {
                let share = f64::from(look.tick.dt_ms) / f64::from(self.scale_ms);
                self.scale += (string / sum - self.scale) * share.min(1.0);
            }
        }
        let limit = &self.limits.sum_mismatch_pct;
        let level = self.mismatch.step(look.tick, mismatch, limit, Side::High);
        report.mark(Condition::SumMismatch, level);
        let load = look.current_a.filter(|a| a.abs() >= LOAD_A_PER_AH * self.capacity_ah);
        let learned = self.scale_ms >= SCALE_MS;
        let lost_mohm = both
            .zip(load)
            .filter(|_| learned)
            .map(|((string, sum), a)| (string - sum * self.scale) / a * 1e3);
        let level = self.link.step(look.tick, lost_mohm, &self.limits.link_mohm, Side::High);
        report.mark(Condition::LooseLink, level);
    }
}

impl BlockFaults {
    fn shorted(&mut self, look: &Look<'_>, v: Option<f64>, cells: f64, cell_v: f64) -> bool {
        let deficit = v.zip(look.median_v).map(|(v, m)| m - v);
        // Only on float do all blocks stand at one voltage; a block of one
        // cell has no cell to lose.
        let judged = deficit.filter(|_| look.on_float() && cells > 1.0);
        let short = judged.map(|d| d >= SHORTED_CELLS * cell_v);
        self.shorted.step(look.tick, short, SHORTED_MS)
    }

    fn reversed(&mut self, look: &Look<'_>, v: Option<f64>, cells: f64, cell_v: f64) -> bool {
        let discharge = look.phase == Phase::Discharge;
        self.was_near &= discharge;
        let deficit = v.zip(look.median_v).map(|(v, m)| m - v);
        let truth = deficit.filter(|_| cells > 1.0).map(|deficit| {
            let near = deficit < NEAR_CELLS * cell_v;
            self.was_near |= discharge && near;
            if self.reversed.is_on() {
                !(near && look.on_float())
            } else {
                discharge && self.was_near && deficit >= REVERSED_CELLS * cell_v
            }
        });
        self.reversed.step(look.tick, truth, REVERSED_MS)
    }

    fn stuck(&mut self, look: &Look<'_>, v: Option<f64>, cells: f64, delay_ms: u32) -> bool {
        let Some((v, median)) = v.zip(look.median_v) else {
            return self.stuck.step(look.tick, None, delay_ms) && self.others_moved(cells);
        };
        let still = (v - self.kept_v).abs() < STILL_V;
        if still {
            self.median_low_v = self.median_low_v.min(median);
            self.median_high_v = self.median_high_v.max(median);
        } else {
            (self.kept_v, self.median_low_v, self.median_high_v) = (v, median, median);
        }
        self.stuck.step(look.tick, Some(still), delay_ms) && self.others_moved(cells)
    }

    fn others_moved(&self, cells: f64) -> bool {
        self.median_high_v - self.median_low_v >= MOVED_V_PER_CELL * cells
    }
}
