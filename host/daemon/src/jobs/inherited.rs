//! Keys from before a restart. What ended while nobody looked is told by no
//! event: those who tell begin anew, with nothing that they could say to be
//! over. So the present is asked, by where the truth of a key comes from:
//!
//! | key | truth |
//! |---|---|
//! | `ups_…`, `rule` | points ([`still`]); of a UPS that nobody reads any more, the [watch](crate::watch) tells its end |
//! | modules, findings, trips, discharges, tests, cables, devices, the guard | the process image, while the guard answers and the buses live |
//! | `out_of_band`, `alarm/<kind>` | tells its state itself: the watch begins with it, the alarm book with the end of what it does not know any more |
//! | `authenticator`, `plugin_off` | the new process has refused nobody, and put nothing off |
//! | `store_failed` | the store |
//!
//! An event of this run that tells of a key settles it: whoever told that it is
//! so will tell its end. A guard that began anew with the daemon first has to
//! find again what stands, so what its image says must be over for [`SETTLE`]
//! without a break. What cannot be known (a guard that never answers) stays.

use crate::plant::{Plant, findings};
use evenkeel_core::alarm::Kind;
use evenkeel_core::battery_test::State as TestState;
use evenkeel_core::bus::topology::Cable;
use evenkeel_core::discharge::Stage;
use evenkeel_core::equalize::{ChargerVerdict, Feasibility};
use evenkeel_core::events::Event;
use evenkeel_core::image::{Condition, Fault, StringRecord};
use evenkeel_core::jobs::{conditions, still};
use evenkeel_core::points::{Point, Quality};
use evenkeel_core::protect::{BreakerState, Level};
use evenkeel_core::time::Nanos;
use std::collections::{BTreeMap, BTreeSet};

/// So long the image must say that something is over: the delays of protection
/// are half a minute when nobody sets others.
const SETTLE: Nanos = Nanos::from_secs(60);
/// Cycles after which a module that never answered counts as lost, as
/// [`watch`](crate::watch) has it.
const AWAIT_CYCLES: u64 = 10;

/// The keys of which no event of this run told yet, and since when the present
/// says that they are over.
#[derive(Debug, Default)]
pub struct Inherited(BTreeMap<String, Option<Nanos>>);

impl From<BTreeSet<String>> for Inherited {
    fn from(keys: BTreeSet<String>) -> Self {
        Self(keys.into_iter().map(|key| (key, None)).collect())
    }
}

impl Inherited {
    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True when some key is said to be over, and it has to settle.
    #[cfg(test)]
    pub fn counts(&self) -> bool {
        self.0.values().any(Option::is_some)
    }

    /// These are not known either.
    pub fn extend(&mut self, keys: impl IntoIterator<Item = String>) {
        self.0.extend(keys.into_iter().map(|key| (key, None)));
    }

    /// An event of the log. With the start of the daemon in it, all that stands
    /// by then (`standing`) is from before: the log is read on from where an
    /// earlier run left it.
    pub fn happened(&mut self, event: &Event, standing: impl FnOnce() -> BTreeSet<String>) {
        if matches!(event, Event::DaemonStarted { .. }) {
            self.extend(standing());
        }
        for (key, _) in conditions(event) {
            self.0.remove(&key);
        }
    }

    /// The keys that are over at `now`, by what the present `says` about a key;
    /// `None`: it does not know.
    pub fn over(&mut self, now: Nanos, says: impl Fn(&str) -> Option<bool>) -> Vec<String> {
        let mut over = Vec::new();
        self.0.retain(|key, since| {
            *since = match says(key) {
                Some(false) => Some(since.unwrap_or(now)),
                Some(true) | None => None,
            };
            let wait = if is_of_image(key) { SETTLE } else { Nanos(0) };
            let is_over = since.is_some_and(|since| now.since(since) >= wait);
            if is_over {
                over.push(key.clone());
            }
            !is_over
        });
        over
    }
}

fn is_of_image(key: &str) -> bool {
    let what = key.split('/').next().unwrap_or_default();
    !(what.starts_with("ups_")
        || matches!(what, "rule" | "authenticator" | "plugin_off" | "store_failed"))
}

/// Whether what a key says is so now; `None`: the present does not tell.
pub fn stands(
    key: &str,
    plant: Option<&Plant>,
    point: impl Fn(&str) -> Option<Point>,
) -> Option<bool> {
    let (what, of) = key.split_once('/').unwrap_or((key, ""));
    match what {
        "authenticator" | "plugin_off" => Some(false),
        "guard_lost" => plant.map(|plant| !plant.connected),
        _ if !is_of_image(key) => still(key, point),
        _ => of_image(plant.filter(|plant| plant.connected)?, what, of),
    }
}

fn of_image(plant: &Plant, what: &str, of: &str) -> Option<bool> {
    let (first, rest) = of.split_once('/').unwrap_or((of, ""));
    let snapshot = &plant.snapshot;
    if what == "guard" {
        let is_it = |condition: &Condition| condition.text() == of;
        return Some(Condition::ALL.iter().any(|c| is_it(c) && snapshot.has(*c)));
    }
    // The number of an alarm of the book is none.
    let index = first.parse::<usize>().ok()?.checked_sub(1)?;
    // What the settings do not have any more is over.
    match what {
        "cable" => match snapshot.buses.get(index) {
            Some(bus) if bus.lost => None,
            bus => Some(bus.is_some_and(|bus| bus.cable != Cable::Whole)),
        },
        "device" => match snapshot.devices.get(index) {
            Some(device) if plant.bus_lost(device.bus) => None,
            device => {
                Some(device.is_some_and(|d| matches!(d.quality, Quality::Stale | Quality::Bad)))
            }
        },
        "test" => {
            let under_way = |state| matches!(state, TestState::Running | TestState::Stopping(_));
            Some(snapshot.tests.get(index).is_some_and(|report| under_way(report.state)))
        }
        _ => match snapshot.strings.get(index) {
            Some(string) => of_string(plant, string, index, what, rest),
            None => Some(false),
        },
    }
}

fn of_string(
    plant: &Plant,
    string: &StringRecord,
    index: usize,
    what: &str,
    rest: &str,
) -> Option<bool> {
    match what {
        "module_lost" => {
            let block = rest.parse::<usize>().ok()?.checked_sub(1)?;
            let Some(block) = string.blocks.get(block) else { return Some(false) };
            match block.fault {
                _ if plant.bus_lost(block.bus) => None,
                Fault::NeverSeen if plant.snapshot.cycle.cycles <= AWAIT_CYCLES => None,
                Fault::Silent | Fault::NeverSeen => Some(true),
                _ => Some(false),
            }
        }
        "breaker_failed" => Some(string.protect.breaker == BreakerState::Failed),
        // The latch needs no bus.
        "tripped" => Some(string.protect.trip.is_some()),
        "infeasible" => match string.equalize.feasibility {
            Feasibility::Infeasible { .. } => Some(true),
            Feasibility::Feasible => Some(false),
            _ => None,
        },
        "charger" => match string.equalize.charger {
            ChargerVerdict::High { .. } | ChargerVerdict::Low { .. } => Some(true),
            ChargerVerdict::Right | ChargerVerdict::NoFloat => Some(false),
            ChargerVerdict::Unknown => None,
        },
        _ if !plant.live(index) => None,
        "discharge" => {
            Some(string.discharge.as_ref().is_some_and(|record| record.stage == Stage::Discharge))
        }
        "alarm" => Some(findings(string).iter().any(|found| {
            found.level >= Level::Warning && Kind::Finding(found.condition).to_string() == rest
        })),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
