//! The rows of the thresholds page: each quantity and side that a scope can
//! have, what is set there, what it inherits, and from where.

use super::form::{Entered, key};
use super::said;
use crate::console::Console;
use crate::console::pages::reader::Reader;
use crate::words::number::{measured, seconds};
use crate::words::words;
use evenkeel_core::alarm::threshold::{Effective, Scope, Sourced};
use evenkeel_core::alarm::{Kind, Place, Quantity, Side, Thresholds};
use evenkeel_core::points::names::UPS;
use std::collections::BTreeSet;

/// A quantity and a side of it.
pub(super) struct Row {
    /// `block-temperature.high`.
    pub(super) key: String,
    pub(super) title: String,
    pub(super) cells: Vec<Cell>,
    /// Stays until reset: what is set here, what is inherited, and from where.
    pub(super) latch: Latch,
    /// When it is looked at at all; empty: always.
    pub(super) during: String,
    /// That is set here.
    pub(super) own_during: bool,
    /// Something is set here.
    pub(super) own: bool,
    pub(super) error: String,
}

/// A number of a row.
pub(super) struct Cell {
    /// Name of its field.
    pub(super) name: String,
    pub(super) label: &'static str,
    pub(super) unit: &'static str,
    /// What is set here, or was entered.
    pub(super) value: String,
    /// What holds when nothing is.
    pub(super) inherited: String,
    /// Where what holds comes from.
    pub(super) from: String,
    /// What holds, for who may only look.
    pub(super) holds: String,
    pub(super) error: String,
}

pub(super) struct Latch {
    pub(super) name: String,
    pub(super) value: &'static str,
    pub(super) inherited: String,
    pub(super) holds: String,
    pub(super) from: String,
}

pub(super) fn row(
    reader: &Reader,
    scope: &Scope,
    (quantity, side): (Quantity, Side),
    holds: &Effective,
    inherited: &Effective,
    entered: &Entered,
) -> Row {
    let key = key(quantity, side);
    let drawn = Drawn { reader, scope, entered, key: &key };
    let unit = quantity.unit();
    let cells = vec![
        drawn.level("warning", "page-warning-at", unit, &inherited.warning, &holds.warning),
        drawn.level("alarm", "page-alarm-at", unit, &inherited.alarm, &holds.alarm),
        drawn.number(
            "hysteresis",
            "page-hysteresis",
            unit,
            &inherited.hysteresis,
            &holds.hysteresis,
        ),
        drawn.delay("delay_s", "page-delay", &inherited.delay_s, &holds.delay_s),
        drawn.delay("off_delay_s", "page-off-delay", &inherited.off_delay_s, &holds.off_delay_s),
    ];
    let own_during = holds.during.from.as_ref() == Some(scope);
    let own = entered.texts.iter().any(|(name, text)| {
        !text.is_empty() && name.strip_prefix(&key).is_some_and(|rest| rest.starts_with('.'))
    });
    Row {
        title: words().kind(reader.lang, Kind::Limit(quantity, side)),
        cells,
        latch: drawn.latch(inherited, holds),
        during: during(reader, holds),
        own: own || own_during,
        own_during,
        error: entered.errors.get(&key).cloned().unwrap_or_default(),
        key,
    }
}

/// A row while it is drawn.
pub(super) struct Drawn<'a> {
    reader: &'a Reader,
    scope: &'a Scope,
    entered: &'a Entered,
    key: &'a str,
}

impl Drawn<'_> {
    fn level(
        &self,
        field: &str,
        label: &'static str,
        unit: &'static str,
        inherited: &Sourced<Option<f64>>,
        holds: &Sourced<Option<f64>>,
    ) -> Cell {
        let text = |level: Option<f64>| match level {
            Some(value) => measured(self.reader.lang, value, unit),
            None => self.reader.word("page-off"),
        };
        let shown = (text(inherited.value), text(holds.value));
        self.cell(field, (label, unit), shown, &holds.from)
    }

    fn number(
        &self,
        field: &str,
        label: &'static str,
        unit: &'static str,
        inherited: &Sourced<f64>,
        holds: &Sourced<f64>,
    ) -> Cell {
        let text = |value| measured(self.reader.lang, value, unit);
        let shown = (text(inherited.value), text(holds.value));
        self.cell(field, (label, unit), shown, &holds.from)
    }

    /// What is inherited is written as the field takes it.
    fn delay(
        &self,
        field: &str,
        label: &'static str,
        inherited: &Sourced<f64>,
        holds: &Sourced<f64>,
    ) -> Cell {
        let lang = self.reader.lang;
        let shown = (seconds(lang, inherited.value), measured(lang, holds.value, "s"));
        self.cell(field, (label, "s"), shown, &holds.from)
    }

    fn cell(
        &self,
        field: &str,
        (label, unit): (&'static str, &'static str),
        (inherited, holds): (String, String),
        from: &Option<Scope>,
    ) -> Cell {
        let name = format!("{}.{field}", self.key);
        Cell {
            value: self.entered.texts.get(&name).cloned().unwrap_or_default(),
            error: self.entered.errors.get(&name).cloned().unwrap_or_default(),
            from: self.from(from),
            name,
            label,
            unit,
            inherited,
            holds,
        }
    }

    fn latch(&self, inherited: &Effective, holds: &Effective) -> Latch {
        let yes = |latch| self.reader.word(if latch { "page-yes" } else { "page-no" });
        let name = format!("{}.latch", self.key);
        Latch {
            value: match self.entered.texts.get(&name).map(String::as_str) {
                Some("yes") => "yes",
                Some("no") => "no",
                _ => "",
            },
            name,
            inherited: yes(inherited.latch.value),
            holds: yes(holds.latch.value),
            from: self.from(&holds.latch.from),
        }
    }

    fn from(&self, from: &Option<Scope>) -> String {
        match from {
            None => self.reader.word("page-built-in"),
            Some(from) if from == self.scope => self.reader.word("page-set-here"),
            Some(from) => said(self.reader, from),
        }
    }
}

pub(super) fn during(reader: &Reader, holds: &Effective) -> String {
    let words: Vec<String> = holds
        .during
        .value
        .iter()
        .map(|during| reader.word(&format!("page-phase-{}", format!("{during:?}").to_lowercase())))
        .collect();
    words.join(", ")
}

/// What holds at a scope. A place that no rule can be for has what the system
/// has, and the type that it is told.
pub(super) fn effective(
    thresholds: &Thresholds,
    scope: &Scope,
    battery: Option<&str>,
    quantity: Quantity,
    side: Side,
) -> Effective {
    let nowhere = Place::Appliance;
    match scope {
        Scope::System => thresholds.effective(&nowhere, None, quantity, side),
        Scope::Type(name) => thresholds.effective(&nowhere, Some(name), quantity, side),
        Scope::Place(place) => thresholds.effective(place, battery, quantity, side),
    }
}

pub(super) fn battery_of(console: &Console, scope: &Scope) -> Option<String> {
    let Scope::Place(place) = scope else { return None };
    crate::alarms::battery(&console.hub.batteries(), place).map(str::to_owned)
}

/// What can have a threshold at a scope, and on which sides.
pub(super) fn rows_of(
    console: &Console,
    scope: &Scope,
    thresholds: &Thresholds,
) -> Vec<(Quantity, Side)> {
    let quantities = match scope {
        Scope::System => {
            [&Quantity::OF_BLOCKS[..], &Quantity::OF_STRINGS, &of_upses(console, thresholds)]
                .concat()
        }
        Scope::Type(_) | Scope::Place(Place::Block(..)) => Quantity::OF_BLOCKS.to_vec(),
        Scope::Place(Place::String(_)) => {
            [&Quantity::OF_STRINGS[..], &Quantity::OF_BLOCKS].concat()
        }
        Scope::Place(Place::Source(_)) => of_upses(console, thresholds),
        Scope::Place(Place::Point(_)) => vec![Quantity::Point],
        Scope::Place(_) => Vec::new(),
    };
    let both = quantities.into_iter().flat_map(|q| [(q, Side::High), (q, Side::Low)]);
    both.filter(|(quantity, side)| quantity.has(*side)).collect()
}

/// What UPSes tell now, and what has a threshold whether they tell it or not.
pub(super) fn of_upses(console: &Console, thresholds: &Thresholds) -> Vec<Quantity> {
    let told = console.hub.query("ups").into_iter().filter_map(|(name, _)| {
        let variable = name.splitn(3, '.').nth(2)?;
        // What is nominal is not measured.
        Quantity::of_ups(variable).filter(|_| !variable.ends_with(".nominal"))
    });
    let mut all: BTreeSet<Quantity> = told.collect();
    let watched = |q: &Quantity| [Side::High, Side::Low].iter().any(|s| thresholds.watches(*q, *s));
    all.extend(UPS.iter().filter_map(|v| Quantity::of_ups(v.name)).filter(watched));
    all.into_iter().collect()
}
