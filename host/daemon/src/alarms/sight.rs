//! What the alarms see of the hub: the whole plant, whatever the licence shows,
//! and the UPSes.

use super::Itself;
use super::past::Known;
use crate::hub::Hub;
use crate::plant::{Plant, number};
use crate::store::Store;
use crate::upses::{self, is_fresh};
use evenkeel_core::alarm::survey::{self, Seen, Ups};
use evenkeel_core::alarm::{Place, Quantity, Reading, Thresholds};
use evenkeel_core::command::BatteryRuns;
use evenkeel_core::points::{Name, Point, Value, battery as measured};
use evenkeel_core::rules;
use evenkeel_core::scan::Phase;
use std::sync::Arc;

/// Nothing that the appliance says of itself is a reading.
static NOTHING: Itself = Itself { plugins_off: Vec::new(), certificate: None };

/// One look.
pub struct Sight {
    plant: Option<Arc<Plant>>,
    batteries: Arc<Vec<BatteryRuns>>,
    upses: Vec<Source>,
    store_failed: bool,
}

struct Source {
    ups: upses::Ups,
    values: Vec<(Quantity, Option<f64>)>,
}

impl Sight {
    /// Look now, with the UPSes as they are now.
    pub fn of(hub: &Hub, store: &Store, upses: Vec<upses::Ups>) -> Self {
        let upses = upses.into_iter().map(|ups| Source::of(hub, ups)).collect();
        let (plant, batteries) = (hub.whole_plant(), hub.batteries());
        Self { plant, batteries, upses, store_failed: store.health().error.is_some() }
    }

    /// For the survey.
    pub fn seen<R>(&self, itself: &Itself, look: impl FnOnce(&Seen<'_>) -> R) -> R {
        let upses: Vec<Ups<'_>> = self.upses.iter().map(Source::ups).collect();
        look(&self.with(&upses, itself))
    }

    fn with<'a>(&'a self, upses: &'a [Ups<'a>], itself: &'a Itself) -> Seen<'a> {
        Seen {
            snapshot: self.plant.as_deref().map(|plant| &plant.snapshot),
            connected: self.plant.as_deref().is_some_and(|plant| plant.connected),
            upses,
            store_failed: self.store_failed,
            plugins_off: &itself.plugins_off,
            certificate: itself.certificate,
        }
    }

    /// Everything that can have a threshold and has one.
    pub fn readings(&self, hub: &Hub, thresholds: &Thresholds) -> Vec<Reading<'_>> {
        let mut readings = Vec::new();
        let battery = |s: usize, b: usize| in_runs(self.batteries.get(s)?, b);
        survey::readings(&self.with(&[], &NOTHING), battery, |reading| {
            if watched(thresholds, reading.quantity) {
                readings.push(reading);
            }
        });
        for ups in &self.upses {
            for (quantity, value) in &ups.values {
                if watched(thresholds, *quantity) {
                    readings.push(reading(Place::Source(ups.ups.root.clone()), *quantity, *value));
                }
            }
        }
        let names: Vec<Name> = thresholds.points().filter_map(|n| Name::parse(n).ok()).collect();
        for (name, point) in names.iter().zip(hub.get(&names)) {
            if point.is_none() && !self.may_come(name) {
                continue;
            }
            let value = point.as_ref().and_then(number_of);
            readings.push(reading(Place::Point(name.to_string()), Quantity::Point, value));
        }
        readings
    }

    /// Whether somebody may publish this point. Without the plugin that did, no
    /// threshold of it can stand, and none is left standing.
    fn may_come(&self, name: &Name) -> bool {
        let of_plugin = self.upses.iter().any(|source| name.is_within(&source.ups.root));
        of_plugin || name.is_within(rules::ROOT) || measured::variable(name.as_str()).is_some()
    }

    /// What is known of a block (both from 1), if it is there.
    pub fn known(&self, string: u16, block: u16) -> Option<Known> {
        let index = |n: u16| usize::from(n).checked_sub(1);
        let string = self.plant.as_deref()?.snapshot.strings.get(index(string)?)?;
        let health = string.health.blocks.get(index(block)?);
        let baseline_mohm = health.map(|health| f64::from(health.baseline.mohm));
        Some(Known {
            cells: string.blocks.get(index(block)?)?.cells,
            baseline_mohm: baseline_mohm.filter(|mohm| *mohm > 0.0),
        })
    }
}

impl Source {
    fn of(hub: &Hub, ups: upses::Ups) -> Self {
        let points = hub.query(&ups.root).into_iter();
        let values = points.filter_map(|(name, point)| {
            let variable = name.strip_prefix(&ups.root)?.strip_prefix('.')?;
            Some((Quantity::of_ups(variable)?, number_of(&point)))
        });
        Self { values: values.collect(), ups }
    }

    fn ups(&self) -> Ups<'_> {
        let upses::Ups { root, missed, status } = &self.ups;
        Ups { root, missed: *missed, status: status.as_deref() }
    }
}

/// The blocks of the plant.
pub fn blocks(hub: &Hub) -> Vec<Place> {
    let Some(plant) = hub.whole_plant() else { return Vec::new() };
    let strings = plant.snapshot.strings.iter().enumerate();
    let blocks = strings.flat_map(|(s, string)| {
        (0..string.blocks.len()).map(move |b| Place::Block(number(s), number(b)))
    });
    blocks.collect()
}

/// The battery type at a place, if it is a block and its type is known.
pub fn battery<'a>(batteries: &'a [BatteryRuns], place: &Place) -> Option<&'a str> {
    let Place::Block(string, block) = place else { return None };
    let index = |n: u16| usize::from(n).checked_sub(1);
    in_runs(batteries.get(index(*string)?)?, index(*block)?)
}

fn in_runs(runs: &BatteryRuns, block: usize) -> Option<&str> {
    let mut first = 0;
    for (name, blocks) in runs {
        first += usize::from(*blocks);
        if block < first {
            return Some(name);
        }
    }
    None
}

fn watched(thresholds: &Thresholds, quantity: Quantity) -> bool {
    use evenkeel_core::alarm::Side::{High, Low};
    thresholds.watches(quantity, High) || thresholds.watches(quantity, Low)
}

fn reading(place: Place, quantity: Quantity, value: Option<f64>) -> Reading<'static> {
    Reading { place, quantity, value, battery: None, phase: Phase::Unknown }
}

fn number_of(point: &Point) -> Option<f64> {
    match point.value {
        Value::Number(value) if is_fresh(point) => Some(value),
        Value::Flag(on) if is_fresh(point) => Some(f64::from(u8::from(on))),
        _ => None,
    }
}
