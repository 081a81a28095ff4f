//! What must hold in every scan of every case.

use super::case::{Case, Kind};
use super::rig::{Guardian, Rig};
use crate::device::TEST;
use crate::plant::{LOST_C, PlantString};
use evenkeel_core::bus::wire::{DEVICE_MIN, Duty};
use evenkeel_core::command::Order;
use evenkeel_core::time::Nanos;

/// Currents and voltages of the plant agree to this, A and V.
const KIRCHHOFF: f64 = 1e-6;
/// A trip below this rise over the room, K, and this temperature, °C, is false.
const INNOCENT_RISE_K: f64 = 12.0;
const INNOCENT_C: f64 = 55.0;
/// Above this rise of an unstable string, K, the trip is late.
const LATE_RISE_K: f64 = 20.0;
/// The same after a restart of the guard, °C: it has forgotten how warm the
/// blocks were yesterday, and only two at 60 °C are two readings for it.
const LATE_C: f64 = 70.0;
/// A string that feeds more than this, A per Ah, discharges beyond doubt.
const DISCHARGE_A_PER_AH: f64 = 0.1;
/// Scans and time, s, after which a discharge must have been noticed
/// everywhere: without a current sensor it shows when the polarisation is gone.
const NOTICED_SCANS: u32 = 4;
const NOTICED_S: f64 = 120.0;
/// The band that blocks must reach, V, and how much of the time at the end.
const BAND_V: f64 = 0.010;
const IN_BAND_SHARE: f64 = 0.95;
/// Bypass that the string needs, in units of what its modules can do: below
/// the first it is feasible, above the second it is not.
const FEASIBLE: f64 = 0.6;
const INFEASIBLE: f64 = 1.6;
/// The verdict must have come by then: a cold string of large blocks rests
/// after hours, and only then it shows that the bypass does not suffice.
const VERDICT: Nanos = Nanos::from_secs(8 * 3_600);
/// A healthy breaker is open so long after the trip, s: three attempts.
const OPENED_S: f64 = 60.0;
/// How far the future without a trip is looked into, s.
const FUTURE_S: f64 = 24.0 * 3_600.0;

/// What was violated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the text says it")]
pub enum Invariant {
    Kirchhoff,
    SumOfVoltages,
    FalseTrip,
    LateTrip,
    BypassWhileInhibited,
    BypassInDischarge,
    NotConverged,
    NoVerdict,
    WrongVerdict,
    BypassWhilePaused,
    LatchLost,
    BreakerLeftClosed,
    TestAfterOutage,
}

impl Invariant {
    /// For people.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Kirchhoff => "currents and voltages of the plant agree",
            Self::SumOfVoltages => "the indicated string voltage is the true one",
            Self::FalseTrip => "nothing trips without a runaway",
            Self::LateTrip => "a runaway is tripped before a block is lost",
            Self::BypassWhileInhibited => "no bypass while it is inhibited",
            Self::BypassInDischarge => "no bypass in a discharge",
            Self::NotConverged => "what can be equalized is",
            Self::NoVerdict => "what cannot be equalized is said",
            Self::WrongVerdict => "what can be equalized is not called out of reach",
            Self::BypassWhilePaused => "no bypass while a person paused it",
            Self::LatchLost => "a trip stays until a person resets it",
            Self::BreakerLeftClosed => "a tripped string's breaker is open",
            Self::TestAfterOutage => "no battery test within a day of an outage",
        }
    }
}

/// A violation, with what to look at.
#[derive(Clone, Debug, PartialEq)]
pub struct Violation {
    /// Which invariant.
    pub invariant: Invariant,
    /// Which string, from 0.
    pub string: usize,
    /// When.
    pub at: Nanos,
    /// Figures.
    pub detail: String,
}

/// What a case came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// Scans.
    pub scans: u64,
    /// Virtual time, s.
    pub simulated_s: f64,
    /// Worst disagreement of the plant's currents, A, and voltages, V.
    pub worst_kcl_a: f64,
    /// See [`Self::worst_kcl_a`].
    pub worst_kvl_v: f64,
    /// Worst difference of the indicated and the true string voltage where
    /// every module is honest, V per block.
    pub worst_sum_v: f64,
    /// At each trip: how far the hottest block was from being lost, K.
    pub margins_k: Vec<f64>,
    /// At each trip of a runaway: time until a block would have been lost with
    /// the breaker left closed, minutes.
    pub margins_min: Vec<f64>,
    /// Trips without which no block would have been lost within a day.
    pub early: u32,
    /// Battery tests that began, and orders that were accepted.
    pub tests: u32,
    /// See [`Self::tests`].
    pub orders: u32,
    /// Strings that became unstable.
    pub unstable: u32,
    /// Strings that were tripped.
    pub tripped: u32,
    /// Highest rise over the room at a trip, K.
    pub worst_rise_at_trip_k: f64,
    /// Strings that had to converge, and the worst time that one took, s.
    pub converged: u32,
    /// Longest time to the band, s.
    pub slowest_s: f64,
    /// Strings whose verdict was due.
    pub verdicts: u32,
    /// Longest time to a verdict that was due, s.
    pub slowest_verdict_s: f64,
}

impl Tally {
    /// Put another case's counts to these.
    pub(super) fn add(&mut self, one: &Self) {
        self.scans += one.scans;
        self.simulated_s += one.simulated_s;
        self.worst_kcl_a = self.worst_kcl_a.max(one.worst_kcl_a);
        self.worst_kvl_v = self.worst_kvl_v.max(one.worst_kvl_v);
        self.worst_sum_v = self.worst_sum_v.max(one.worst_sum_v);
        self.margins_k.extend(&one.margins_k);
        self.margins_min.extend(&one.margins_min);
        self.early += one.early;
        self.tests += one.tests;
        self.orders += one.orders;
        self.unstable += one.unstable;
        self.tripped += one.tripped;
        self.converged += one.converged;
        self.verdicts += one.verdicts;
        self.slowest_s = self.slowest_s.max(one.slowest_s);
        self.slowest_verdict_s = self.slowest_verdict_s.max(one.slowest_verdict_s);
        self.worst_rise_at_trip_k = self.worst_rise_at_trip_k.max(one.worst_rise_at_trip_k);
    }
}

/// Looks at a case from its first scan to its last.
pub struct Watch {
    kind: Kind,
    length: Nanos,
    strings: Vec<StringWatch>,
    /// The counts so far.
    pub tally: Tally,
}

#[derive(Clone, Debug, Default)]
struct StringWatch {
    first_module: usize,
    capacity_ah: f64,
    bypass_max_a: f64,
    bypass_ohm: f64,
    noise_v: f64,
    exact: bool,
    /// (scans, since when) of the discharge.
    discharging: Option<(u32, f64)>,
    tripped: bool,
    /// Since when it is tripped and its breaker is closed, s.
    closed_since_s: Option<f64>,
    unstable: bool,
    restarted: bool,
    paused_until: Nanos,
    outage: bool,
    testing: bool,
    verdict_at_s: Option<f64>,
    in_band_at_s: Option<f64>,
    late_scans: u32,
    late_in_band: u32,
    late_out_of_reach: u32,
}

impl Watch {
    /// For a case.
    #[must_use]
    pub fn new(case: &Case) -> Self {
        let strings = case.scenario.strings.iter().map(|table| StringWatch {
            first_module: usize::from(table.first_address) - 1,
            capacity_ah: table.capacity_ah,
            bypass_max_a: table.module.data().nominal_v / table.module.data().bypass_ohm,
            bypass_ohm: table.module.data().bypass_ohm,
            noise_v: table.noise_mv / 1e3,
            exact: matches!(case.kind, Kind::Calm | Kind::OutOfReach | Kind::Runaway),
            ..StringWatch::default()
        });
        let (kind, length) = (case.kind, case.length);
        Self { kind, length, strings: strings.collect(), tally: Tally::default() }
    }

    /// An order was accepted.
    pub fn ordered(&mut self, order: Order, now: Nanos) {
        self.tally.orders += 1;
        let until = match order {
            Order::Pause { string, seconds } => {
                Some((string, now + Nanos::from_secs(seconds.into())))
            }
            Order::Resume { string } => Some((string, Nanos(0))),
            _ => None,
        };
        if let Some((string, until)) = until {
            self.strings[usize::from(string) - 1].paused_until = until;
        }
    }

    /// The guard started anew: a pause outlives no restart.
    pub fn restarted(&mut self) {
        for watch in &mut self.strings {
            (watch.restarted, watch.paused_until) = (true, Nanos(0));
        }
    }

    /// A verdict is due and not said yet, and there is time for it.
    #[must_use]
    pub fn waits<G: Guardian>(&self, rig: &Rig<G>) -> bool {
        let due = |(i, watch): (usize, &StringWatch)| {
            watch.verdict_at_s.is_none()
                && needed_a(&rig.strings()[i]) / watch.bypass_max_a > INFEASIBLE
        };
        matches!(self.kind, Kind::Calm | Kind::OutOfReach)
            && rig.now() < VERDICT
            && self.strings.iter().enumerate().any(due)
    }

    /// After a scan.
    ///
    /// # Errors
    /// The first violation.
    pub fn scan<G: Guardian>(&mut self, rig: &Rig<G>) -> Result<(), Violation> {
        self.tally.scans += 1;
        for index in 0..self.strings.len() {
            let violation =
                |(invariant, detail)| Violation { invariant, string: index, at: rig.now(), detail };
            self.plant(rig, index).map_err(violation)?;
            self.bypass(rig, index).map_err(violation)?;
            self.trip(rig, index).map_err(violation)?;
            self.breaker(rig, index).map_err(violation)?;
            self.test(rig, index).map_err(violation)?;
            self.balance(rig, index).map_err(violation)?;
        }
        Ok(())
    }

    /// At the end of the case.
    ///
    /// # Errors
    /// The first violation.
    pub fn end<G: Guardian>(&mut self, rig: &Rig<G>) -> Result<(), Violation> {
        for index in 0..self.strings.len() {
            self.outcome(rig, index).map_err(|(invariant, detail)| Violation {
                invariant,
                string: index,
                at: rig.now(),
                detail,
            })?;
        }
        Ok(())
    }

    fn plant<G: Guardian>(&mut self, rig: &Rig<G>, index: usize) -> Check {
        let string = &rig.strings()[index];
        for (place, p) in string.places().iter().enumerate() {
            let behind_v = p.block().source_v() + p.amps() * p.block().ohm();
            // Through a megohm, a nanoampere is a millivolt.
            let tolerance = if p.block().is_open() { 1.0 } else { KIRCHHOFF };
            // Only a reversed block is driven by its bypass.
            let gains = p.volts() > 0.0 && p.amps() > string.amps() + KIRCHHOFF;
            // The string's current goes through the block, the module and its
            // bypass; a leak to ground takes another way.
            let bypass = if p.is_fuse_blown() { 0.0 } else { p.duty() };
            let through_a =
                p.amps() + p.draw_a() + bypass * p.volts() / self.strings[index].bypass_ohm;
            if string.leak_a() == 0.0 {
                let off_a = (string.amps() - through_a).abs();
                self.tally.worst_kcl_a = self.tally.worst_kcl_a.max(off_a);
                if off_a > KIRCHHOFF {
                    let detail = format!("block {}: {off_a:.9} A get lost", place + 1);
                    return Err((Invariant::Kirchhoff, detail));
                }
            }
            if !p.block().is_open() {
                let off_v = (p.volts() - behind_v).abs();
                self.tally.worst_kvl_v = self.tally.worst_kvl_v.max(off_v);
            }
            if gains || (p.volts() - behind_v).abs() > tolerance {
                let detail = format!(
                    "block {}: {:.6} A, {:.6} V, {behind_v:.6} V behind",
                    place + 1,
                    p.amps(),
                    p.volts()
                );
                return Err((Invariant::Kirchhoff, detail));
            }
        }
        let banks = rig.world.bus().plant().banks();
        let bank = banks.iter().find(|bank| bank.members().contains(&index));
        let closed = string.breaker().is_closed();
        if let Some(bank) = bank.filter(|_| closed && !has_open_block(string)) {
            let members = &rig.strings()[bank.members().clone()];
            let off_a = bank.amps() - members.iter().map(PlantString::amps).sum::<f64>();
            self.tally.worst_kcl_a = self.tally.worst_kcl_a.max(off_a.abs());
            if off_a.abs() > 1e-3 {
                return Err((Invariant::Kirchhoff, format!("{off_a} A get lost on the bus")));
            }
            let off_v = bank.volts() - string.terminal_v();
            if off_v.abs() > 1e-3 {
                return Err((Invariant::Kirchhoff, format!("bus {off_v} V from its string")));
            }
        }
        let opinion = rig.guardian.opinion(index);
        let watch = &self.strings[index];
        let count = string.places().len() as f64;
        // Read 0.1 s apart at most, noise and rounding per block.
        let tolerance_v = 0.05 + 6.0 * count.sqrt() * (watch.noise_v + 0.0005);
        if watch.exact && closed && self.tally.scans > 3 {
            let off_v = opinion.sum_v - string.volts();
            self.tally.worst_sum_v = self.tally.worst_sum_v.max(off_v.abs() / count);
            if off_v.abs() > tolerance_v + 0.02 * count {
                return Err((Invariant::SumOfVoltages, format!("off by {off_v} V")));
            }
        }
        Ok(())
    }

    fn bypass<G: Guardian>(&mut self, rig: &Rig<G>, index: usize) -> Check {
        let string = &rig.strings()[index];
        let watch = &mut self.strings[index];
        let own = watch.first_module..watch.first_module + string.places().len();
        let opinion = rig.guardian.opinion(index);
        let commanded =
            rig.guardian.duties()[own.clone()].iter().filter(|d| **d > Duty::OFF).count();
        if opinion.inhibited && commanded > 0 {
            return Err((Invariant::BypassWhileInhibited, format!("{commanded} commanded")));
        }
        if rig.now() < watch.paused_until && commanded > 0 {
            return Err((Invariant::BypassWhilePaused, format!("{commanded} commanded")));
        }
        let discharges = string.amps() < -DISCHARGE_A_PER_AH * watch.capacity_ah;
        let now_s = rig.now().as_secs_f64();
        let (scans, since_s) = watch.discharging.unwrap_or((0, now_s));
        watch.discharging = discharges.then_some((scans + 1, since_s));
        let modules = &rig.world.bus().bus().modules()[own];
        let on = modules.iter().filter(|m| m.duty() > 0.0).count();
        if scans > NOTICED_SCANS && now_s - since_s > NOTICED_S && discharges && on > 0 {
            let detail =
                format!("{on} modules, {:.2} A for {:.0} s", string.amps(), now_s - since_s);
            return Err((Invariant::BypassInDischarge, detail));
        }
        Ok(())
    }

    fn trip<G: Guardian>(&mut self, rig: &Rig<G>, index: usize) -> Check {
        let string = &rig.strings()[index];
        let watch = &mut self.strings[index];
        let runaway = string.runaway();
        let rise_k = runaway.worst_rise_k;
        if runaway.unstable_at_s.is_some() && !watch.unstable {
            watch.unstable = true;
            self.tally.unstable += 1;
        }
        if rig.guardian.opinion(index).tripped && !watch.tripped {
            watch.tripped = true;
            self.tally.tripped += 1;
            self.tally.worst_rise_at_trip_k = self.tally.worst_rise_at_trip_k.max(rise_k);
            let hottest_c = hottest_c(string);
            self.tally.margins_k.push(LOST_C - hottest_c);
            match lost_without_trip_s(rig, index) {
                Some(seconds) => self.tally.margins_min.push(seconds / 60.0),
                None => self.tally.early += 1,
            }
            if rise_k < INNOCENT_RISE_K && hottest_c < INNOCENT_C {
                let detail = format!("rise {rise_k:.1} K, hottest {hottest_c:.1} °C");
                return Err((Invariant::FalseTrip, detail));
            }
        }
        let too_hot = match watch.restarted {
            true => hottest_c(string) > LATE_C,
            false => rise_k > LATE_RISE_K,
        };
        let late = runaway.lost_at_s.is_some() || (watch.unstable && too_hot);
        if late && !watch.tripped {
            let detail = format!("rise {rise_k:.1} K, hottest {:.1} °C", hottest_c(string));
            return Err((Invariant::LateTrip, detail));
        }
        Ok(())
    }

    fn breaker<G: Guardian>(&mut self, rig: &Rig<G>, index: usize) -> Check {
        let watch = &mut self.strings[index];
        let tripped = rig.guardian.opinion(index).tripped;
        if watch.tripped && !tripped {
            return Err((Invariant::LatchLost, "nobody reset it".into()));
        }
        let now_s = rig.now().as_secs_f64();
        let closed = tripped && rig.strings()[index].breaker().is_closed();
        watch.closed_since_s = closed.then(|| watch.closed_since_s.unwrap_or(now_s));
        match watch.closed_since_s {
            Some(since_s) if now_s - since_s > OPENED_S => {
                let detail = format!("closed for {:.0} s", now_s - since_s);
                Err((Invariant::BreakerLeftClosed, detail))
            }
            _ => Ok(()),
        }
    }

    fn test<G: Guardian>(&mut self, rig: &Rig<G>, index: usize) -> Check {
        let watch = &mut self.strings[index];
        let noticed = watch.discharging.is_some_and(|(scans, since_s)| {
            scans > NOTICED_SCANS && rig.now().as_secs_f64() - since_s > NOTICED_S
        });
        watch.outage |= noticed && !rig.world.has_mains();
        let address = DEVICE_MIN + 3 * index as u16 + 1;
        let devices = rig.world.bus().bus().devices();
        let aux = devices.iter().find(|d| d.address() == address);
        let testing = aux.is_some_and(|d| d.outputs() & TEST != 0);
        let begins = testing && !std::mem::replace(&mut watch.testing, testing);
        self.tally.tests += u32::from(begins);
        match begins && watch.outage {
            true => Err((Invariant::TestAfterOutage, "it began".into())),
            false => Ok(()),
        }
    }

    fn balance<G: Guardian>(&mut self, rig: &Rig<G>, index: usize) -> Check {
        let watch = &mut self.strings[index];
        let opinion = rig.guardian.opinion(index);
        let in_band = opinion.worst_v.abs() <= BAND_V;
        if opinion.out_of_reach {
            watch.verdict_at_s.get_or_insert(rig.now().as_secs_f64());
        }
        if in_band {
            watch.in_band_at_s.get_or_insert(rig.now().as_secs_f64());
        }
        // The last sixth of the time.
        if rig.now().0 > self.length.0 / 6 * 5 {
            watch.late_scans += 1;
            watch.late_in_band += u32::from(in_band);
            watch.late_out_of_reach += u32::from(opinion.out_of_reach);
        }
        Ok(())
    }

    fn outcome<G: Guardian>(&mut self, rig: &Rig<G>, index: usize) -> Check {
        let watch = &self.strings[index];
        if !matches!(self.kind, Kind::Calm | Kind::OutOfReach) || watch.late_scans == 0 {
            return Ok(());
        }
        let need = needed_a(&rig.strings()[index]) / watch.bypass_max_a;
        let share = |count: u32| f64::from(count) / f64::from(watch.late_scans);
        let (in_band, said) = (share(watch.late_in_band), share(watch.late_out_of_reach));
        let detail = format!(
            "needs {need:.2} of its bypass; in band {:.0} %, out of reach {:.0} % of the last sixth",
            100.0 * in_band,
            100.0 * said
        );
        if need < FEASIBLE && self.kind == Kind::Calm {
            self.tally.converged += 1;
            let took_s = watch.in_band_at_s.unwrap_or(f64::INFINITY);
            self.tally.slowest_s = self.tally.slowest_s.max(took_s);
            if in_band < IN_BAND_SHARE {
                return Err((Invariant::NotConverged, detail));
            }
            if said > 1.0 - IN_BAND_SHARE {
                return Err((Invariant::WrongVerdict, detail));
            }
        } else if need > INFEASIBLE {
            self.tally.verdicts += 1;
            let took_s = watch.verdict_at_s.unwrap_or(f64::INFINITY);
            self.tally.slowest_verdict_s = self.tally.slowest_verdict_s.max(took_s);
            if watch.verdict_at_s.is_none() || !rig.guardian.opinion(index).out_of_reach {
                return Err((Invariant::NoVerdict, detail));
            }
        }
        Ok(())
    }
}

type Check = Result<(), (Invariant, String)>;

fn has_open_block(string: &PlantString) -> bool {
    string.places().iter().any(|p| p.block().is_open())
}

/// When the string would lose a block with its breaker left closed and no
/// bypass, s from now; `None`: not within a day.
fn lost_without_trip_s<G: Guardian>(rig: &Rig<G>, index: usize) -> Option<f64> {
    let mut plant = rig.world.bus().plant().clone();
    for module in 0..plant.blocks() {
        plant.set_duty(module, 0.0);
    }
    let mut seconds = 0.0;
    while seconds < FUTURE_S {
        let string = plant.string_mut(index)?;
        string.breaker_mut().close();
        if string.runaway().lost_at_s.is_some() {
            return Some(seconds);
        }
        plant.step(10.0);
        seconds += 10.0;
    }
    None
}

fn hottest_c(string: &PlantString) -> f64 {
    string.places().iter().map(|p| p.block().celsius()).fold(f64::MIN, f64::max)
}

/// Bypass current that would hold all blocks at the mean: what the hungriest
/// takes there more than the most frugal, the modules' own draw included (§2.10).
fn needed_a(string: &PlantString) -> f64 {
    let mean_v = string.volts() / string.places().len() as f64;
    let takes = string.places().iter().map(|p| p.block().float_a_at(mean_v) + p.draw_a());
    takes.clone().fold(f64::MIN, f64::max) - takes.fold(f64::MAX, f64::min)
}
