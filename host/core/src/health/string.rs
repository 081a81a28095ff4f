//! Health of a string over days, years and restarts.
//!
//! Readings are averaged over *windows* (20 min, 1 min in discharge) and
//! windows over *days*; windows feed the outliers and the ageing, days feed
//! drift and the outliers of the resistance. Both are counted on a clock of
//! the string's own: monotonic time while running, plus the wall-clock time
//! that a restart took when both ends are known. A day too few merely ages
//! everything a little late; a wall clock that jumps does not touch it.
//!
//! Advice gets graver at once and milder only after a week, so that noise at a
//! limit does not make it flicker; a date to replace by never moves back.

use super::advice::{self, Action, Evidence};
use super::outlier::{Crowd, Drift, Quantity};
use super::resistance::{BaselineKind, ResistanceHistory, Trend, at_25_c};
use super::soh::{Ageing, Capacity, LifeYears, Rise, Soh, ageing_factor};
use super::{BlockHealth, CapacityEstimate, Extras, HealthConfig, HealthReport, hints, stats};
use crate::scan::{Phase, StringScan};
use crate::time::Nanos;
use serde::{Deserialize, Serialize};

const WINDOW: Nanos = Nanos::from_secs(20 * 60);
const DISCHARGE_WINDOW: Nanos = Nanos::from_secs(60);
/// A longer time without a scan was not observed.
const GAP: Nanos = Nanos::from_secs(3600);
/// The coup de fouet (facts/battery-science.md §2.6): so much of the capacity,
/// or so long where no current is measured, says nothing about a block.
const COUP_SHARE: f64 = 0.02;
const COUP: Nanos = Nanos::from_secs(180);
const DAYS_PER_YEAR: f64 = 365.25;
const SECONDS_PER_DAY: f64 = 86_400.0;
/// A restart that seems longer is a wrong clock, days.
const RESTART_DAYS_MAX: f64 = 1_826.0;
/// No battery is in service for longer, days.
const SERVICE_DAYS_MAX: f64 = 60.0 * DAYS_PER_YEAR;
/// A block younger than this learns a real baseline, days.
const YOUNG_DAYS: f64 = 730.0;
/// Blocks that a string needs to give a median to measure one by.
const CROWD: usize = 4;
/// Share of the blocks that must have a new resistance before they are compared.
const ROUND_SHARE: f64 = 0.9;
/// Milder advice waits so long, days.
const HOLD_DAYS: f64 = 7.0;
/// Duty below which a block needs no bypass, and the others' at which that is odd.
const IDLE_DUTY: f64 = 0.01;
const BUSY_DUTY: f64 = 0.10;

/// What must survive a restart about one block.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockHealthState {
    resistance: ResistanceHistory,
    ageing: Ageing,
    voltage_drift: Drift,
    temperature_drift: Drift,
    duty_drift: Drift,
    /// The string's own clock, days.
    clock_days: f64,
    /// Wall clock at that time, seconds since 1970 UTC; 0 when not set.
    wall_s: u64,
    /// Last measured capacity; its age counts from `capacity_day`.
    capacity: Option<Capacity>,
    capacity_day: f32,
    /// Day on which the block came into this place; 0: with the string.
    born_day: f32,
    /// Day by which it is to be replaced; NaN: it is not.
    replace_day: f32,
    /// Days without bypass while the others needed it.
    idle_days: f32,
}

impl Default for BlockHealthState {
    fn default() -> Self {
        Self {
            resistance: ResistanceHistory::default(),
            ageing: Ageing::default(),
            voltage_drift: Drift::default(),
            temperature_drift: Drift::default(),
            duty_drift: Drift::default(),
            clock_days: 0.0,
            wall_s: 0,
            capacity: None,
            capacity_day: 0.0,
            born_day: 0.0,
            replace_day: f32::NAN,
            idle_days: 0.0,
        }
    }
}

const _: () = assert!(size_of::<BlockHealthState>() <= 280, "a block must fit its record");

/// A mean that is being made.
#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    sum: f64,
    count: u32,
}

impl Mean {
    fn push(&mut self, value: Option<f64>) {
        if let Some(value) = value.filter(|v| v.is_finite()) {
            self.sum += value;
            self.count = self.count.saturating_add(1);
        }
    }

    fn get(self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / f64::from(self.count)).filter(|m| m.is_finite())
    }

    fn take(&mut self) -> Option<f64> {
        core::mem::take(self).get()
    }
}

/// Voltage, temperature and duty of one block.
#[derive(Clone, Copy, Debug, Default)]
struct Means {
    voltage: Mean,
    temperature: Mean,
    duty: Mean,
}

/// What is known about a block but need not survive.
#[derive(Clone, Copy, Debug)]
struct Live {
    window: Means,
    /// Means of the windows' deviations from the string's median, this day.
    day: Means,
    /// The same of the last whole day; NaN before there was one.
    warmer_k: f64,
    float_v: f64,
    /// A resistance arrived since the string's were last compared.
    measured: bool,
    trend: Trend,
    /// The advice would be milder since this day.
    milder_day: Option<f64>,
}

impl Live {
    fn new(resistance: &ResistanceHistory) -> Self {
        Self {
            window: Means::default(),
            day: Means::default(),
            warmer_k: f64::NAN,
            float_v: f64::NAN,
            measured: false,
            trend: resistance.trend(),
            milder_day: None,
        }
    }
}

/// Health of one string.
#[derive(Clone, Debug)]
pub struct StringHealth {
    config: HealthConfig,
    states: Vec<BlockHealthState>,
    live: Vec<Live>,
    crowd: Crowd,
    report: HealthReport,
    scratch: Vec<f64>,
    last: Option<Nanos>,
    clock_days: f64,
    /// Restart time still to be added, once the wall clock is set.
    restart_from_s: Option<u64>,
    /// The own clock at the restart.
    restart_days: f64,
    wall_s: Option<u64>,
    /// Days in service before the string's own clock began; `None`: not known.
    unseen_days: Option<f64>,
    phase: Phase,
    phase_began: Nanos,
    discharged_ah: f64,
    window_began: Nanos,
    /// Time observed in this window.
    observed: Nanos,
    day: f64,
}

impl StringHealth {
    /// With what was learned before; a shorter list, or an empty one, leaves
    /// the remaining blocks new.
    #[must_use]
    pub fn new(config: HealthConfig, learned: &[BlockHealthState]) -> Self {
        let states: Vec<BlockHealthState> = (0..config.blocks)
            .map(|block| learned.get(block).copied().unwrap_or_default().sane())
            .collect();
        let clock_days = states.iter().map(|s| s.clock_days).fold(0.0, f64::max);
        let wall_s = states.iter().map(|s| s.wall_s).max().filter(|wall_s| *wall_s > 0);
        Self {
            live: states.iter().map(|s| Live::new(&s.resistance)).collect(),
            crowd: Crowd::new(config.blocks),
            report: HealthReport {
                blocks: vec![BlockHealth::UNKNOWN; config.blocks],
                ..HealthReport::default()
            },
            scratch: Vec::with_capacity(config.blocks),
            states,
            config,
            last: None,
            clock_days,
            restart_from_s: wall_s,
            restart_days: clock_days,
            wall_s: None,
            unseen_days: None,
            phase: Phase::Unknown,
            phase_began: Nanos(0),
            discharged_ah: 0.0,
            window_began: Nanos(0),
            observed: Nanos(0),
            day: clock_days.floor(),
        }
    }

    /// What is to be kept for the next [`Self::new`].
    #[must_use]
    pub fn learned(&self) -> &[BlockHealthState] {
        &self.states
    }

    /// The last report.
    #[must_use]
    pub const fn report(&self) -> &HealthReport {
        &self.report
    }

    /// A new block stands in this place, counted from 0: forget the old one.
    pub fn replaced(&mut self, block: usize) {
        if let (Some(state), Some(live)) = (self.states.get_mut(block), self.live.get_mut(block)) {
            let (clock_days, wall_s) = (state.clock_days, state.wall_s);
            let born_day = self.clock_days as f32;
            *state = BlockHealthState { clock_days, wall_s, born_day, ..Default::default() };
            *live = Live::new(&state.resistance);
            self.crowd.forget(block);
            self.report.blocks[block] = BlockHealth::UNKNOWN;
        }
    }

    /// One more scan. Allocates nothing.
    pub fn step(&mut self, scan: &StringScan, phase: Phase, extras: &Extras) -> &HealthReport {
        let dt = self.last.map_or(Nanos(0), |last| scan.now.since(last));
        self.last = Some(scan.now);
        self.pass(dt, scan.wall_s);
        if phase != self.phase {
            self.phase = phase;
            self.phase_began = scan.now;
            self.discharged_ah = 0.0;
            self.begin_window(scan.now);
        }
        let hours = dt.as_secs_f64() / 3600.0;
        self.discharged_ah += hours * (-scan.current_a.unwrap_or(0.0)).max(0.0);
        if dt <= GAP {
            self.observed = self.observed + dt;
        }
        self.take_readings(scan, extras);
        let length = if phase == Phase::Discharge { DISCHARGE_WINDOW } else { WINDOW };
        // A clock that ran back begins anew, too.
        if scan.now < self.window_began {
            self.begin_window(scan.now);
        } else if scan.now.since(self.window_began) >= length {
            self.close_window(scan, extras);
            self.begin_window(scan.now);
        }
        &self.report
    }

    /// The string's own clock.
    fn pass(&mut self, dt: Nanos, wall_s: Option<u64>) {
        let mut days = dt.as_secs_f64() / SECONDS_PER_DAY;
        if let (Some(from), Some(to)) = (self.restart_from_s, wall_s) {
            self.restart_from_s = None;
            let ran = self.clock_days + days - self.restart_days;
            let away = to.saturating_sub(from) as f64 / SECONDS_PER_DAY - ran;
            days += if (0.0..=RESTART_DAYS_MAX).contains(&away) { away } else { 0.0 };
        }
        self.clock_days += days.min(RESTART_DAYS_MAX);
        self.wall_s = wall_s;
        if let (None, Some(since), Some(now)) =
            (self.unseen_days, self.config.settings.in_service_since_s, wall_s)
        {
            let service = now.saturating_sub(since) as f64 / SECONDS_PER_DAY;
            if service <= SERVICE_DAYS_MAX {
                self.unseen_days = Some((service - self.clock_days).max(0.0));
            }
        }
    }

    fn begin_window(&mut self, now: Nanos) {
        self.window_began = now;
        self.observed = Nanos(0);
        self.live.iter_mut().for_each(|live| live.window = Means::default());
    }

    fn take_readings(&mut self, scan: &StringScan, extras: &Extras) {
        for (i, (live, block)) in self.live.iter_mut().zip(scan.blocks).enumerate() {
            if extras.measuring != Some(i) {
                live.window.voltage.push(block.voltage_v);
            }
            live.window.temperature.push(block.temperature_c);
            live.window.duty.push(extras.duties.get(i).map(|d| f64::from(*d)));
        }
        for (i, block) in scan.blocks.iter().enumerate().take(self.states.len()) {
            // Without a temperature the reading cannot be compared with others.
            let celsius = block.temperature_c.or(scan.ambient_c);
            if let Some((mohm, celsius)) = block.resistance_mohm.zip(celsius)
                && let Some(mohm_25) = at_25_c(mohm, celsius)
            {
                let learn = self.learn_kind(i);
                let (state, live) = (&mut self.states[i], &mut self.live[i]);
                state.resistance.push(mohm_25, self.clock_days, learn);
                live.trend = state.resistance.trend();
                live.measured = true;
            }
        }
    }

    /// Days in service of a block, and whether that is known.
    fn service_days(&self, block: usize) -> (f64, bool) {
        let born = f64::from(self.states[block].born_day);
        if born > 0.0 {
            return ((self.clock_days - born).max(0.0), true);
        }
        (self.clock_days + self.unseen_days.unwrap_or(0.0), self.unseen_days.is_some())
    }

    fn learn_kind(&self, block: usize) -> BaselineKind {
        let settings = &self.config.settings;
        let (days, known) = self.service_days(block);
        // The age was stated but cannot be told before the clock is set.
        let wait = !known && settings.in_service_since_s.is_some();
        if wait || days < settings.settle_days {
            BaselineKind::None
        } else if known && days <= YOUNG_DAYS.max(2.0 * settings.settle_days) {
            BaselineKind::Learned
        } else {
            BaselineKind::LearnedLate
        }
    }

    fn close_window(&mut self, scan: &StringScan, extras: &Extras) {
        self.age(scan);
        match self.phase {
            Phase::Float => self.judge_float(),
            Phase::Recharge => {
                let voltages = self.live.iter().map(|l| l.window.voltage.get());
                self.crowd.sample(Quantity::RechargeVoltage, voltages);
            }
            Phase::Discharge if self.past_coup(scan) => {
                let voltages = self.live.iter().map(|l| l.window.voltage.get());
                self.crowd.sample(Quantity::DischargeVoltage, voltages);
            }
            Phase::Discharge | Phase::Boost | Phase::Unknown => {}
        }
        if self.clock_days.floor() > self.day {
            self.day = self.clock_days.floor();
            self.close_day();
        }
        self.publish(extras);
    }

    fn past_coup(&self, scan: &StringScan) -> bool {
        if scan.current_a.is_some() {
            self.discharged_ah >= COUP_SHARE * self.config.battery.capacity_ah
        } else {
            scan.now.since(self.phase_began) >= COUP
        }
    }

    fn age(&mut self, scan: &StringScan) {
        let hours = self.observed.as_secs_f64() / 3600.0;
        let floating = self.phase == Phase::Float;
        for (state, live) in self.states.iter_mut().zip(&self.live) {
            let celsius = live.window.temperature.get().or(scan.ambient_c);
            if let Some(celsius) = celsius.filter(|c| c.is_finite()) {
                let voltage = live.window.voltage.get().filter(|_| floating);
                state.ageing.push(hours, ageing_factor(&self.config.battery, celsius, voltage));
            }
        }
    }

    fn judge_float(&mut self) {
        let live = &mut self.live;
        let median =
            self.crowd.sample(Quantity::FloatVoltage, live.iter().map(|l| l.window.voltage.get()));
        deviate(live, median, |m| &mut m.voltage);
        let median = self
            .crowd
            .sample(Quantity::Temperature, live.iter().map(|l| l.window.temperature.get()));
        deviate(live, median, |m| &mut m.temperature);
        self.crowd.sample(Quantity::BypassDuty, live.iter().map(|l| l.window.duty.get()));
        live.iter_mut().for_each(|l| l.day.duty.push(l.window.duty.get()));
    }

    fn close_day(&mut self) {
        // Blocks take turns, perhaps over many days: one sample is one round.
        let round = self.live.iter().filter(|l| l.measured).count();
        if round as f64 >= ROUND_SHARE * self.live.len() as f64 {
            let measured = self.states.iter().zip(&self.live);
            let values = measured.map(|(s, l)| s.resistance.last().filter(|_| l.measured));
            self.crowd.sample(Quantity::Resistance, values);
            self.live.iter_mut().for_each(|l| l.measured = false);
        }
        self.scratch.clear();
        self.scratch.extend(self.live.iter().filter_map(|l| l.day.duty.get()));
        let duty_median = stats::median(&mut self.scratch);
        for (state, live) in self.states.iter_mut().zip(&mut self.live) {
            let duty = live.day.duty.take();
            // A bypass that works warms its own sensor; that says nothing.
            let own_heat = duty.zip(duty_median).is_some_and(|(d, m)| d > m + 0.2);
            let warmer_k = live.day.temperature.take().filter(|_| !own_heat);
            let float_v = live.day.voltage.take();
            live.warmer_k = warmer_k.unwrap_or(f64::NAN);
            live.float_v = float_v.unwrap_or(f64::NAN);
            state.voltage_drift.push(live.float_v, 0.002);
            state.temperature_drift.push(live.warmer_k, 0.5);
            if let Some((duty, median)) = duty.zip(duty_median) {
                state.duty_drift.push(duty - median, 0.02);
                if duty > 5.0 * IDLE_DUTY {
                    state.idle_days = 0.0;
                } else if duty < IDLE_DUTY && median >= BUSY_DUTY {
                    state.idle_days = (state.idle_days + 1.0).min(1_000.0);
                }
            }
        }
    }

    fn publish(&mut self, extras: &Extras) {
        self.scratch.clear();
        self.scratch.extend(self.states.iter().filter_map(|s| s.resistance.median()));
        let crowd = self.scratch.len() >= CROWD;
        let string_mohm = stats::median(&mut self.scratch).filter(|_| crowd);
        for block in 0..self.states.len() {
            let state = &mut self.states[block];
            state.clock_days = self.clock_days;
            state.wall_s = self.wall_s.unwrap_or(state.wall_s);
            if let Some(estimate) = extras.capacities.get(block).copied().flatten() {
                state.take_capacity(&estimate, self.clock_days, self.wall_s);
            }
            let health = self.judge(block, string_mohm);
            self.report.blocks[block] = health;
        }
        self.report.advice = advice::advise_string(&self.report.blocks);
        self.report.dated = self.wall_s.is_some();
        self.report.age_known = self.unseen_days.is_some();
    }

    fn judge(&mut self, block: usize, string_mohm: Option<f64>) -> BlockHealth {
        let battery = &self.config.battery;
        let (service_days, _) = self.service_days(block);
        let (state, live) = (&self.states[block], &self.live[block]);
        let service_years = service_days / DAYS_PER_YEAR;
        let baseline = state.resistance.baseline(string_mohm, battery.resistance_mohm);
        let resistance_mohm = state.resistance.median().unwrap_or(f64::NAN);
        let resistance_sigma = state.resistance.sigma_share().unwrap_or(f64::NAN);
        let share = resistance_mohm / f64::from(baseline.mohm) - 1.0;
        // Fewer than three readings do not tell how well they repeat.
        let rise = Some(Rise { share, sigma: resistance_sigma, own: baseline.kind.is_own() })
            .filter(|r| r.share.is_finite() && r.sigma.is_finite());
        let capacity = state.capacity_on(self.clock_days).filter(Capacity::is_usable);
        let outliers = self.crowd.outliers(block);
        let observed = hints::Observed {
            chemistry: battery.chemistry,
            cells: battery.cells_f64(),
            rise,
            growth_percent_year: live.trend.sure_percent_year().into(),
            warmer_k: live.warmer_k,
            float_v: live.float_v,
            idle_days: state.idle_days.into(),
            outliers,
            drifts: state.drifts(),
            capacity: capacity.map_or(f64::NAN, |c| c.ratio.into()),
        };
        let design_years = battery.design_life_years;
        let ageing = &state.ageing;
        let life =
            LifeYears::estimate(ageing, service_years, design_years, capacity, rise, live.trend);
        let evidence = Evidence {
            capacity,
            rise,
            trend: live.trend,
            life,
            hints: observed.hints(),
            outliers,
            drifts: observed.drifts,
        };
        BlockHealth {
            soh: Soh::combine(capacity, rise),
            capacity,
            resistance_mohm: resistance_mohm as f32,
            resistance_sigma: resistance_sigma as f32,
            baseline,
            trend: live.trend,
            life,
            equivalent_years: ageing
                .equivalent_years(service_years)
                .map_or(f32::NAN, |years| years as f32),
            outliers,
            drifts: observed.drifts,
            hints: evidence.hints,
            advice: self.settle(block, advice::advise(&evidence)),
        }
    }

    /// Holds grave advice for a while and gives a replacement its date.
    fn settle(&mut self, block: usize, fresh: advice::Advice) -> advice::Advice {
        let (state, live) = (&mut self.states[block], &mut self.live[block]);
        let held = self.report.blocks[block].advice;
        let mut advice = fresh;
        if fresh.action.rank() < held.action.rank() {
            let since = *live.milder_day.get_or_insert(self.clock_days);
            if self.clock_days - since < HOLD_DAYS {
                advice = held;
            }
        } else {
            live.milder_day = None;
        }
        let today = self.clock_days as f32;
        if !advice.action.replaces() {
            state.replace_day = f32::NAN;
        } else if let Action::ReplaceBy { years, .. } = fresh.action {
            // The lesser of a number and NaN is the number.
            state.replace_day = state.replace_day.min(today + years * DAYS_PER_YEAR as f32);
        }
        if let Action::ReplaceBy { .. } = advice.action {
            let days = f64::from((state.replace_day - today).max(0.0));
            let years = (days / DAYS_PER_YEAR) as f32;
            let wall_s = self.wall_s.map(|w| w.saturating_add((days * SECONDS_PER_DAY) as u64));
            let due = days == 0.0;
            advice.action =
                if due { Action::ReplaceNow } else { Action::ReplaceBy { years, wall_s } };
        }
        advice
    }
}

/// Adds each block's deviation from the median to its day.
fn deviate(live: &mut [Live], median: Option<f64>, quantity: impl Fn(&mut Means) -> &mut Mean) {
    for live in live {
        let mean = quantity(&mut live.window).get();
        quantity(&mut live.day).push(mean.zip(median).map(|(mean, median)| mean - median));
    }
}

impl BlockHealthState {
    /// Without what no run of ours has written.
    fn sane(mut self) -> Self {
        let possible = |days: f64| (0.0..=SERVICE_DAYS_MAX).contains(&days);
        if !possible(self.clock_days) || !possible(self.born_day.into()) {
            self = Self::default();
        }
        if !(0.0..=1_000.0).contains(&self.idle_days) {
            self.idle_days = 0.0;
        }
        if !possible(self.replace_day.into()) {
            self.replace_day = f32::NAN;
        }
        self
    }

    fn drifts(&self) -> bool {
        let voltage = self.voltage_drift.rises() || self.voltage_drift.falls();
        voltage || self.temperature_drift.rises() || self.duty_drift.falls()
    }

    /// A new estimate is dated once, when it is first seen: later jumps of the
    /// wall clock make it neither younger nor older.
    fn take_capacity(&mut self, estimate: &CapacityEstimate, today: f64, wall_s: Option<u64>) {
        let CapacityEstimate { ratio, sigma, depth, .. } = *estimate;
        let known =
            self.capacity.is_some_and(|c| (c.ratio, c.sigma, c.depth) == (ratio, sigma, depth));
        let age_s = match (estimate.wall_s, wall_s) {
            (Some(then), Some(now)) => now.saturating_sub(then),
            (None, _) => 0,
            // From the past, but nobody knows how far.
            (Some(_), None) => return,
        };
        let capacity = Capacity { ratio, sigma, depth, age_days: 0.0 };
        if !known && capacity.is_usable() {
            self.capacity = Some(capacity);
            self.capacity_day = (today - age_s as f64 / SECONDS_PER_DAY) as f32;
        }
    }

    fn capacity_on(&self, today: f64) -> Option<Capacity> {
        let age_days = (today as f32 - self.capacity_day).max(0.0);
        self.capacity.map(|c| Capacity { age_days, ..c })
    }
}
