//! The thresholds page (facts/console-ux.md §5 page 15): per quantity and side
//! warning, alarm, hysteresis and delays at one scope, each with where its
//! value comes from; a preview of what they would tell; saving.
//!
//! A form has the rules of one scope, all of them: what is left empty is
//! inherited. Those of other scopes stay as they are, unless somebody changed
//! them meanwhile: then nothing is saved (UX-094).

use super::fields::{self, Fields, number, written};
use super::reader::Reader;
use super::{VERSION, none};
use crate::accounts::rights::{Area, Level};
use crate::alarms::{AlarmError, Preview};
use crate::console::Console;
use crate::console::api::alarms::problem;
use crate::console::api::off_thread;
use crate::console::page;
use crate::console::problem::Problem;
use crate::console::who::Who;
use crate::words::number::measured;
use crate::words::words;
use askama::Template;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use evenkeel_core::alarm::threshold::{
    DELAY_MAX_S, Effective, Level as Limit, Off, Scope, ScopeError, Sourced,
};
use evenkeel_core::alarm::{Kind, Place, Quantity, Rule, Side, ThresholdError, Thresholds};
use evenkeel_core::points::names::UPS;
use fluent_bundle::FluentArgs;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The word of a level that never tells, in every language.
const OFF: &str = "off";
/// Most scopes that are offered by name.
const OFFERED_MAX: usize = 200;

#[derive(Template)]
#[template(path = "pages/thresholds.html")]
struct ThresholdsPage<'a> {
    version: &'a str,
    who: Who<'a>,
    scope: Scope,
    /// The scope in words.
    scope_text: String,
    /// What is wrong with the scope that was asked for, or with everything.
    problem: String,
    saved: bool,
    offered: Vec<String>,
    elsewhere: Vec<Elsewhere>,
    rows: Vec<Row>,
    seen: String,
    preview: Option<Told>,
}

/// A scope that has rules.
struct Elsewhere {
    scope: String,
    text: String,
    rules: usize,
}

/// A quantity and a side of it.
struct Row {
    /// `block-temperature.high`.
    key: String,
    title: String,
    cells: Vec<Cell>,
    /// Stays until reset: what is set here, what is inherited, and from where.
    latch: Latch,
    /// When it is looked at at all; empty: always.
    during: String,
    /// That is set here.
    own_during: bool,
    /// Something is set here.
    own: bool,
    error: String,
}

/// A number of a row.
struct Cell {
    /// Name of its field.
    name: String,
    label: &'static str,
    unit: &'static str,
    /// What is set here, or was entered.
    value: String,
    /// What holds when nothing is.
    inherited: String,
    /// Where what holds comes from.
    from: String,
    /// What holds, for who may only look.
    holds: String,
    error: String,
}

struct Latch {
    name: String,
    value: &'static str,
    inherited: String,
    holds: String,
    from: String,
}

/// A preview in words.
struct Told {
    sentence: String,
    status: &'static str,
    places: Vec<String>,
    remark: String,
}

/// What a form says, and what is wrong with it, by the names of its fields.
#[derive(Default)]
struct Entered {
    texts: BTreeMap<String, String>,
    errors: BTreeMap<String, String>,
}

/// Which scope.
#[derive(Deserialize)]
pub struct At {
    #[serde(default)]
    at: String,
    #[serde(default)]
    saved: String,
}

/// The page.
pub async fn show(
    State(console): State<Arc<Console>>,
    reader: Reader,
    Query(query): Query<At>,
) -> Response {
    let asked = query.at.trim();
    let parsed = if asked.is_empty() { Ok(Scope::System) } else { asked.parse::<Scope>() };
    let (scope, problem) = match parsed {
        Ok(scope) => (scope, String::new()),
        Err(error) => (Scope::System, error.to_string()),
    };
    let thresholds = console.alarms.thresholds();
    let status = if problem.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let entered = entered_of(&thresholds, &scope);
    let mut page = page_of(&console, &reader, scope, &thresholds, &entered);
    (page.problem, page.saved) = (problem, !query.saved.is_empty());
    reader.show(status, &page)
}

/// A form was sent: to be looked at, or to be saved.
pub async fn change(
    State(console): State<Arc<Console>>,
    reader: Reader,
    form: Result<Form<Vec<(String, String)>>, FormRejection>,
) -> Response {
    let answer = async {
        let mut fields = fields::read(form)?;
        let scope: Scope = fields.one("at").parse().map_err(|e: ScopeError| none(e.to_string()))?;
        let act = fields.one("act").to_owned();
        if let Some(row) = act.strip_prefix("inherit ") {
            fields.0.retain(|(name, _)| !name.starts_with(&format!("{row}.")));
        }
        changed(&console, &reader, scope, &fields, act == "save").await
    };
    answer.await.unwrap_or_else(|problem| page::refused(&problem))
}

async fn changed(
    console: &Arc<Console>,
    reader: &Reader,
    scope: Scope,
    fields: &Fields,
    save: bool,
) -> Result<Response, Problem> {
    let before = console.alarms.thresholds();
    let rows = rows_of(console, &scope, &before);
    let (rules, mut entered) = read(reader, &before, &scope, &rows, fields);
    let mut page_problem = String::new();
    let mut preview = None;
    let mut status = StatusCode::UNPROCESSABLE_ENTITY;
    if entered.errors.is_empty() {
        let (alarms, wanted) = (Arc::clone(&console.alarms), rules.clone());
        let found = off_thread(console, move || alarms.preview(wanted)).await?;
        let done = match (found, save) {
            (Ok(_), true) if fields.one("seen") != digest(&before) => {
                status = StatusCode::CONFLICT;
                page_problem = reader.word("page-thresholds-changed");
                None
            }
            (Ok(_), true) => Some(console.alarms.set_thresholds(rules.clone()).await),
            (Ok(found), false) => {
                (preview, status) = (Some(found), StatusCode::OK);
                None
            }
            (Err(error), _) => Some(Err(error)),
        };
        match done {
            Some(Ok(())) => {
                let to = format!("/thresholds?saved=yes&at={}", urlencoded(&scope.to_string()));
                return Ok(Redirect::to(&to).into_response());
            }
            Some(Err(AlarmError::Thresholds(error))) => {
                page_problem = place_error(&rules, &scope, &error, &mut entered);
            }
            Some(Err(error)) => return Err(problem(&error)),
            None => {}
        }
    }
    let mut page = page_of(console, reader, scope, &before, &entered);
    page.problem = page_problem;
    page.preview = preview.map(|found| told(reader, &found));
    Ok(reader.show(status, &page))
}

/// Where the core's word about a rule belongs; what belongs nowhere is given back.
fn place_error(
    rules: &[Rule],
    scope: &Scope,
    error: &ThresholdError,
    entered: &mut Entered,
) -> String {
    if let ThresholdError::Rule { number, problem, .. } = error
        && let Some(rule) = number.checked_sub(1).and_then(|at| rules.get(at))
        && rule.at == *scope
    {
        entered.errors.insert(key(rule.quantity, rule.side), problem.clone());
        return String::new();
    }
    error.to_string()
}

/// The rules that a form asks for: those of its scope, and all others as before.
fn read(
    reader: &Reader,
    before: &Thresholds,
    scope: &Scope,
    rows: &[(Quantity, Side)],
    fields: &Fields,
) -> (Vec<Rule>, Entered) {
    let mut entered = Entered::default();
    let own = |quantity, side| {
        move |rule: &&Rule| rule.at == *scope && rule.quantity == quantity && rule.side == side
    };
    let mut rules: Vec<Rule> =
        before.rules().iter().filter(|rule| rule.at != *scope).cloned().collect();
    for &(quantity, side) in rows {
        let row = key(quantity, side);
        let mut form = RowForm { reader, fields, entered: &mut entered, row: &row };
        let (low, high) = quantity.range();
        let mut rule = Rule::new(scope.clone(), quantity, side);
        rule.warning = form.level("warning", low, high, quantity.unit());
        rule.alarm = form.level("alarm", low, high, quantity.unit());
        rule.hysteresis = form.number("hysteresis", 0.0, high - low, quantity.unit());
        rule.delay_s = form.number("delay_s", 0.0, DELAY_MAX_S, "s");
        rule.off_delay_s = form.number("off_delay_s", 0.0, DELAY_MAX_S, "s");
        rule.latch = form.latch();
        // The form only says that it stays.
        let kept = before.rules().iter().find(own(quantity, side));
        let kept = kept.filter(|_| fields.ticked(&format!("{row}.during")));
        rule.during = kept.and_then(|rule| rule.during.clone());
        if rule != Rule::new(scope.clone(), quantity, side) {
            rules.push(rule);
        }
    }
    (rules, entered)
}

/// The fields of one row.
struct RowForm<'a> {
    reader: &'a Reader,
    fields: &'a Fields,
    entered: &'a mut Entered,
    row: &'a str,
}

impl RowForm<'_> {
    fn text(&mut self, field: &str) -> (String, String) {
        let name = format!("{}.{field}", self.row);
        let text = self.fields.one(&name).to_owned();
        self.entered.texts.insert(name.clone(), text.clone());
        (name, text)
    }

    fn number(&mut self, field: &str, low: f64, high: f64, unit: &str) -> Option<f64> {
        let (name, text) = self.text(field);
        if text.is_empty() {
            return None;
        }
        let found = number(&text).filter(|value| (low..=high).contains(value));
        if found.is_none() {
            let mut args = FluentArgs::new();
            args.set("low", measured(self.reader.lang, low, unit));
            args.set("high", measured(self.reader.lang, high, unit));
            self.entered.errors.insert(name, self.reader.say("page-number-wanted", &args));
        }
        found
    }

    fn level(&mut self, field: &str, low: f64, high: f64, unit: &str) -> Option<Limit> {
        let name = format!("{}.{field}", self.row);
        let word = self.fields.one(&name).to_lowercase();
        if word == OFF || word == self.reader.word("page-off").to_lowercase() {
            self.entered.texts.insert(name, word);
            return Some(Limit::Off(Off::Off));
        }
        self.number(field, low, high, unit).map(Limit::At)
    }

    fn latch(&mut self) -> Option<bool> {
        let (_, text) = self.text("latch");
        match text.as_str() {
            "yes" => Some(true),
            "no" => Some(false),
            _ => None,
        }
    }
}

/// What the form of a scope has before anybody changed it.
fn entered_of(thresholds: &Thresholds, scope: &Scope) -> Entered {
    let mut texts = BTreeMap::new();
    for rule in thresholds.rules().iter().filter(|rule| rule.at == *scope) {
        let row = key(rule.quantity, rule.side);
        let mut set = |field: &str, text: Option<String>| {
            texts.extend(text.map(|text| (format!("{row}.{field}"), text)));
        };
        let level = |level: Option<Limit>| {
            level.map(|level| level.value().map_or_else(|| OFF.to_owned(), written))
        };
        set("warning", level(rule.warning));
        set("alarm", level(rule.alarm));
        set("hysteresis", rule.hysteresis.map(written));
        set("delay_s", rule.delay_s.map(written));
        set("off_delay_s", rule.off_delay_s.map(written));
        set("latch", rule.latch.map(|latch| if latch { "yes" } else { "no" }.to_owned()));
    }
    Entered { texts, ..Entered::default() }
}

fn page_of<'a>(
    console: &Console,
    reader: &'a Reader,
    scope: Scope,
    thresholds: &Thresholds,
    entered: &Entered,
) -> ThresholdsPage<'a> {
    let rest = thresholds.rules().iter().filter(|rule| rule.at != scope).cloned().collect();
    // Rules that were good are good without some of them, but for what a place
    // inherits; then nothing is said about inheritance rather than anything wrong.
    let inherited = Thresholds::new(rest).unwrap_or_default();
    let rows = rows_of(console, &scope, thresholds);
    let battery = battery_of(console, &scope);
    let rows = rows.into_iter().map(|(quantity, side)| {
        let of = |rules: &Thresholds| effective(rules, &scope, battery.as_deref(), quantity, side);
        row(reader, &scope, (quantity, side), &of(thresholds), &of(&inherited), entered)
    });
    ThresholdsPage {
        version: &VERSION,
        who: reader.who(Area::Alarms, Level::Configure),
        scope_text: said(reader, &scope),
        problem: String::new(),
        saved: false,
        offered: offered(console, thresholds),
        elsewhere: elsewhere(reader, thresholds, &scope),
        rows: rows.collect(),
        seen: digest(thresholds),
        preview: None,
        scope,
    }
}

fn row(
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
        drawn.number("delay_s", "page-delay", "s", &inherited.delay_s, &holds.delay_s),
        drawn.number(
            "off_delay_s",
            "page-off-delay",
            "s",
            &inherited.off_delay_s,
            &holds.off_delay_s,
        ),
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
struct Drawn<'a> {
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

fn during(reader: &Reader, holds: &Effective) -> String {
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
fn effective(
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

fn battery_of(console: &Console, scope: &Scope) -> Option<String> {
    let Scope::Place(place) = scope else { return None };
    crate::alarms::battery(&console.hub.batteries(), place).map(str::to_owned)
}

/// What can have a threshold at a scope, and on which sides.
fn rows_of(console: &Console, scope: &Scope, thresholds: &Thresholds) -> Vec<(Quantity, Side)> {
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
fn of_upses(console: &Console, thresholds: &Thresholds) -> Vec<Quantity> {
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

/// Scopes by name, for the field in which one is chosen.
fn offered(console: &Console, thresholds: &Thresholds) -> Vec<String> {
    let mut all = BTreeSet::from([Scope::System]);
    let batteries = console.hub.batteries();
    all.extend(batteries.iter().flatten().map(|(name, _)| Scope::Type(name.clone())));
    let strings = (1..=batteries.len()).filter_map(|n| u16::try_from(n).ok());
    all.extend(strings.map(|n| Scope::Place(Place::String(n))));
    all.extend(thresholds.rules().iter().map(|rule| rule.at.clone()));
    all.iter().take(OFFERED_MAX).map(Scope::to_string).collect()
}

fn elsewhere(reader: &Reader, thresholds: &Thresholds, here: &Scope) -> Vec<Elsewhere> {
    let mut scopes: BTreeMap<&Scope, usize> = BTreeMap::new();
    for rule in thresholds.rules().iter().filter(|rule| rule.at != *here) {
        *scopes.entry(&rule.at).or_default() += 1;
    }
    let one = |(scope, rules): (&Scope, usize)| Elsewhere {
        scope: urlencoded(&scope.to_string()),
        text: said(reader, scope),
        rules,
    };
    scopes.into_iter().map(one).collect()
}

/// A scope in words.
fn said(reader: &Reader, scope: &Scope) -> String {
    match scope {
        Scope::System => reader.word("page-whole-system"),
        Scope::Type(name) => {
            let mut args = FluentArgs::new();
            args.set("name", name.as_str());
            reader.say("page-battery-type", &args)
        }
        Scope::Place(place) => words().place(reader.lang, place),
    }
}

fn told(reader: &Reader, found: &Preview) -> Told {
    let mut args = FluentArgs::new();
    for (name, count) in [
        ("alarm", found.now.alarm),
        ("warning", found.now.warning),
        ("past_alarm", found.past.alarm),
        ("past_warning", found.past.warning),
    ] {
        args.set(name, count as f64);
    }
    let places = found.now.places.iter().map(|(place, severity)| {
        let level = reader.word(&format!("level-{}", format!("{severity:?}").to_lowercase()));
        format!("{level}: {}", words().place(reader.lang, place))
    });
    let mut looked = FluentArgs::new();
    looked.set("values", found.values as f64);
    Told {
        sentence: reader.say("page-preview-sentence", &args),
        status: match (found.now.alarm, found.now.warning) {
            (0, 0) => "ok",
            (0, _) => "warning",
            _ => "alarm",
        },
        places: places.collect(),
        remark: reader.say("page-preview-remark", &looked),
    }
}

fn key(quantity: Quantity, side: Side) -> String {
    format!("{quantity}.{}", side.as_str())
}

/// Names what somebody saw: other thresholds have another one.
fn digest(thresholds: &Thresholds) -> String {
    let hash = Sha256::digest(thresholds.to_toml());
    hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// A text as a part of an address.
pub(super) fn urlencoded(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.bytes()
        .map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_force_is_what_its_form_has() {
        let text = "[[threshold]]\nat = \"system\"\nquantity = \"block-temperature\"\nside = \"high\"\n\
                    warning = 32.5\nalarm = \"off\"\nlatch = true\nduring = [\"float\"]\n";
        let thresholds = Thresholds::parse(text).expect("good");
        let entered = entered_of(&thresholds, &Scope::System);
        let of = |field: &str| {
            entered.texts.get(&format!("block-temperature.high.{field}")).map(String::as_str)
        };
        assert_eq!(
            (of("warning"), of("alarm"), of("latch"), of("delay_s")),
            (Some("32.5"), Some("off"), Some("yes"), None)
        );
        assert!(entered_of(&thresholds, &Scope::Type("x".into())).texts.is_empty());
    }

    #[test]
    fn a_scope_is_a_part_of_an_address() {
        assert_eq!(urlencoded("type.12 V & 7 Ah"), "type.12%20V%20%26%207%20Ah");
        assert_eq!(urlencoded("string.1.block.2"), "string.1.block.2");
    }
}
