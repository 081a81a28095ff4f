//! The dry run: what would happen, in virtual time, with nothing done.
//!
//! The same [`Engine`] as in the running appliance is fed with frames of the
//! past ([`Recorded`]) or of a script ([`Script`]), and its tasks are written
//! down instead of carried out; each counts as done at once. Status words of
//! UPSes in a script go through the same detector as live ([`UpsWatch`]), and
//! they and the values of a script through thresholds and alarm book
//! ([`alarms`]); in the recorded past the events of both are in the log, and the
//! words are made of those ([`upses`]).
//!
//! ```toml
//! for_s = 1800
//!
//! [[at]]
//! s = 0
//! points = { "ups.0.ups.status" = "OB DISCHRG", "ups.0.battery.charge" = 100 }
//!
//! [[at]]
//! s = 600
//! points = { "ups.0.battery.charge" = 20 }
//!
//! [[at]]
//! s = 900
//! points = { "ups.0.ups.status" = "OL" }
//! ```
//! A point keeps its value until the script gives it another; `lost = ["…"]`
//! takes points away. Jobs that wait for what no point of the script can bring
//! about, a lost module for one, are named ([`Table::not_simulated`]); `events`
//! may bring that about.

use crate::alarm::Thresholds;
use crate::automation::{Clock, Engine, Plan};
use crate::events::{Event, UpsWatch};
use crate::history::csv::Utc;
use crate::jobs::{Action, Outcome, Task, fields};
use crate::points::{Name, Value};
use crate::rules::Reading;
use crate::schedule::Zone;
use crate::time::Nanos;
use alarms::Alarms;
use core::fmt;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

mod alarms;
pub mod upses;

/// Longest rehearsal of a script, s.
pub const SCRIPT_MAX_S: u32 = 7 * 86_400;
/// Most frames of a script.
pub const FRAMES_MAX: usize = 1_000;
/// Most points of a script.
pub const POINTS_MAX: usize = 256;
/// Most rows of a table; a rehearsal that fills it ends there and says so.
pub const ROWS_MAX: usize = 2_000;
/// Most scans; in a longer time they lie further apart.
const SCANS_MAX: u64 = 200_000;
/// Shortest time between two scans, ms: the appliance's own.
const SCAN_MS: u64 = 500;
/// Where a UPS says what it does.
pub const STATUS: &str = ".ups.status";
/// Virtual time begins here, so that nothing lies before zero.
const BEGIN: Nanos = Nanos::from_secs(1_000);

/// What became known at one moment of the past.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Frame {
    /// When, ms since 1970.
    pub unix_ms: u64,
    /// Points that have a new value, or none any more.
    pub points: Vec<(Name, Option<Value>)>,
    /// Events that were told.
    pub events: Vec<Event>,
}

/// Who says what the UPSes of a past do.
#[derive(Clone, Copy, Debug)]
pub enum Telling<'t> {
    /// Nobody: it follows from their status words, as it does live, and so do
    /// alarms with these thresholds.
    Words(&'t Thresholds),
    /// The events of the past.
    Events,
}

/// A past that can be gone through, oldest first.
pub trait Recorded {
    /// The next frame; `None` at the end.
    fn next_frame(&mut self) -> Option<Frame>;
}

impl<I: Iterator<Item = Frame>> Recorded for I {
    fn next_frame(&mut self) -> Option<Frame> {
        self.next()
    }
}

/// A scripted past.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// How long it goes on, 1 … 604800 s.
    pub for_s: u32,
    /// When it begins, s since 1970; a Monday at 08:00 UTC when not given.
    #[serde(default = "monday")]
    pub begin_unix_s: u32,
    /// What happens, in any order.
    #[serde(default)]
    at: Vec<At>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct At {
    s: u32,
    #[serde(default)]
    points: BTreeMap<String, toml::Value>,
    #[serde(default)]
    lost: Vec<String>,
    #[serde(default)]
    events: Vec<Event>,
}

/// 2026-01-05 08:00 UTC.
const fn monday() -> u32 {
    1_767_600_000
}

/// Why a script cannot be used: the line if it is known, and what to write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("script: {0}")]
pub struct ScriptError(String);

impl Script {
    /// Read the text form: frames in the order of time.
    ///
    /// # Errors
    /// [`ScriptError`] says what is wrong.
    pub fn parse(text: &str) -> Result<(Self, Vec<Frame>), ScriptError> {
        let mut script: Self = toml::from_str(text).map_err(|e| {
            let at = e.span().map_or(0, |span| span.start);
            let line = text.as_bytes().iter().take(at).filter(|b| **b == b'\n').count() + 1;
            ScriptError(format!("line {line}: {}", e.message()))
        })?;
        if !(1..=SCRIPT_MAX_S).contains(&script.for_s) || script.at.len() > FRAMES_MAX {
            let problem = format!("for_s is 1 to {SCRIPT_MAX_S}, with at most {FRAMES_MAX} of at");
            return Err(ScriptError(problem));
        }
        script.at.sort_by_key(|at| at.s);
        let frames: Vec<Frame> =
            script.at.iter().map(|at| script.frame(at)).collect::<Result<_, _>>()?;
        let points = frames.iter().flat_map(|frame| frame.points.iter().map(|(name, _)| name));
        let points = points.collect::<BTreeSet<_>>().len();
        if points > POINTS_MAX {
            let problem =
                format!("it speaks of {points} points; at most {POINTS_MAX} are possible");
            return Err(ScriptError(problem));
        }
        Ok((script, frames))
    }

    fn frame(&self, at: &At) -> Result<Frame, ScriptError> {
        let name = |text: &String| {
            Name::parse(text).map_err(|e| ScriptError(format!("point {text:?}: {e}")))
        };
        let value = |value: &toml::Value| match value {
            toml::Value::Integer(number) => Ok(Value::Number(*number as f64)),
            toml::Value::Float(number) if number.is_finite() => Ok(Value::Number(*number)),
            toml::Value::String(text) if text.len() <= Value::TEXT_MAX => {
                Ok(Value::Text(text.clone()))
            }
            toml::Value::Boolean(flag) => Ok(Value::Flag(*flag)),
            other => Err(ScriptError(format!("{other} is no number, text, true or false"))),
        };
        let mut points = Vec::new();
        for (text, given) in &at.points {
            points.push((name(text)?, Some(value(given)?)));
        }
        for text in &at.lost {
            points.push((name(text)?, None));
        }
        let unix_ms = (u64::from(self.begin_unix_s) + u64::from(at.s)) * 1_000;
        Ok(Frame { unix_ms, points, events: at.events.clone() })
    }
}

/// One thing that would happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// When, ms from the beginning.
    pub at_ms: u64,
    /// What.
    pub what: What,
}

/// What a row tells. Its words are made when somebody reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Something happens.
    Event(Event),
    /// A job would do something.
    Action {
        /// The job.
        job: String,
        /// What.
        action: Action,
        /// To take it back.
        undo: bool,
    },
}

impl What {
    /// `event` or `action`.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Event(_) => "event",
            Self::Action { .. } => "action",
        }
    }
}

/// In the words of the log.
impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(event) => event.fmt(f),
            Self::Action { job, action, undo } => {
                let back = if *undo { ", to take it back" } else { "" };
                write!(f, "job {job}: {action}{back}")
            }
        }
    }
}

/// What would happen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// In the order of time.
    pub rows: Vec<Row>,
    /// Time that was gone through, ms.
    pub for_ms: u64,
    /// It ended early: there are more rows than [`ROWS_MAX`].
    pub cut: bool,
    /// Points that rules read and of which the past holds nothing: they were not
    /// known all the time.
    pub not_recorded: Vec<String>,
    /// The log of events begins only here, ms since 1970: of what happened
    /// before, nothing is known. `None`: it reaches back over all of the time, or
    /// it was a script.
    pub events_from_ms: Option<u64>,
    /// Jobs that did not begin because nothing that follows from the points of
    /// the script can begin them; empty for the recorded past.
    pub not_simulated: Vec<String>,
}

/// `   61.5 s  action  job horn: switch output 2 of device 3 on`.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.rows {
            let Row { at_ms, what } = row;
            writeln!(f, "{:>10.1} s  {:<6}  {what}", *at_ms as f64 / 1e3, what.word())?;
        }
        if self.cut {
            writeln!(f, "… and more: the table ends here")?;
        }
        if let Some(from_ms) = self.events_from_ms {
            let from = Utc(from_ms);
            writeln!(f, "the log of events begins at {from}: nothing is known of those before")?;
        }
        if !self.not_recorded.is_empty() {
            let names = self.not_recorded.join(", ");
            writeln!(f, "not recorded, and taken as not known: {names}")?;
        }
        match &self.not_simulated[..] {
            [] => Ok(()),
            jobs => {
                let jobs = jobs.join(", ");
                writeln!(f, "jobs beyond the points of this script, and never begun by it: {jobs}")
            }
        }
    }
}

/// Go through `past`, from `begin_ms` (since 1970) for `for_ms`, with `plan`.
pub fn rehearse(
    plan: &Plan,
    mut past: impl Recorded,
    telling: Telling<'_>,
    begin_ms: u64,
    for_ms: u64,
    zone: &impl Zone,
) -> Table {
    let mut stage = Stage::new(plan, telling, begin_ms);
    let step = SCAN_MS.max(for_ms / SCANS_MAX);
    let mut next = past.next_frame();
    let mut at_ms = 0;
    while at_ms <= for_ms && stage.table.rows.len() < ROWS_MAX {
        while let Some(frame) = next.take_if(|frame| frame.unix_ms <= begin_ms + at_ms) {
            stage.set(frame, at_ms);
            next = past.next_frame();
        }
        stage.scan(at_ms, zone);
        at_ms += step;
    }
    stage.table.cut = stage.table.rows.len() >= ROWS_MAX;
    stage.table.for_ms = for_ms;
    stage.table.not_simulated = stage.not_simulated();
    stage.table
}

/// An engine and what it sees.
struct Stage<'a> {
    plan: &'a Plan,
    engine: Engine,
    /// Of a script.
    alarms: Option<Alarms<'a>>,
    /// Jobs of a script that an event fitted.
    fitted: BTreeSet<&'a str>,
    begin_ms: u64,
    points: BTreeMap<Name, Value>,
    upses: BTreeMap<Name, UpsWatch>,
    next_id: u64,
    table: Table,
}

impl<'a> Stage<'a> {
    fn new(plan: &'a Plan, telling: Telling<'a>, begin_ms: u64) -> Self {
        let engine = Engine::new(plan, BTreeMap::new());
        let alarms = match telling {
            Telling::Words(thresholds) => Some(Alarms::new(thresholds)),
            Telling::Events => None,
        };
        let (points, upses, table, fitted) = Default::default();
        Self { plan, engine, alarms, fitted, begin_ms, points, upses, next_id: 1, table }
    }

    fn clock(&self, at_ms: u64) -> Clock {
        let unix_ms = self.begin_ms + at_ms;
        Clock {
            now: BEGIN + Nanos::from_millis(at_ms),
            steady_ms: unix_ms,
            unix_s: Some((unix_ms / 1_000) as i64),
        }
    }

    fn set(&mut self, frame: Frame, at_ms: u64) {
        for (name, value) in frame.points {
            if let Some(alarms) = &mut self.alarms {
                alarms.hear(&name);
                if let Some(ups) = name.as_str().strip_suffix(STATUS) {
                    self.upses.entry(name.clone()).or_insert_with(|| UpsWatch::new(ups.to_owned()));
                }
            }
            match value {
                Some(value) => drop(self.points.insert(name, value)),
                None => drop(self.points.remove(&name)),
            }
        }
        for event in frame.events {
            self.happened(event, at_ms);
        }
    }

    fn scan(&mut self, at_ms: u64, zone: &impl Zone) {
        let clock = self.clock(at_ms);
        let mut events = Vec::new();
        for (name, watch) in &mut self.upses {
            let words = match self.points.get(name) {
                Some(Value::Text(words)) => Some(words.as_str()),
                _ => None,
            };
            events.extend(watch.step(words, clock.now));
        }
        if let Some(alarms) = &mut self.alarms {
            events.extend(alarms.step(&self.points, clock.now, clock.steady_ms));
        }
        let reading = |name: &Name| match self.points.get(name) {
            None => Reading::Unknown,
            Some(Value::Number(number)) => Reading::Number(*number),
            Some(Value::Text(text)) => Reading::Text(text),
            Some(Value::Flag(flag)) => Reading::Flag(*flag),
        };
        let readings: Vec<Reading<'_>> =
            self.engine.machine().program().inputs().iter().map(reading).collect();
        events.extend(self.engine.scan(&readings, clock, zone));
        for event in events {
            self.happened(event, at_ms);
        }
        for task in self.engine.due(clock) {
            self.engine.finished(&task.instance, Outcome::Done, clock);
            let Task { job, action, undo, .. } = task;
            self.table.rows.push(Row { at_ms, what: What::Action { job, action, undo } });
        }
        // Their outcomes start jobs as they do live, but are no news here.
        for event in self.engine.planner.said() {
            match event {
                Event::JobDone { .. } | Event::JobSaid { .. } => self.take(&event, at_ms),
                other => self.happened(other, at_ms),
            }
        }
        drop(self.engine.planner.changes());
    }

    fn happened(&mut self, event: Event, at_ms: u64) {
        self.take(&event, at_ms);
        self.table.rows.push(Row { at_ms, what: What::Event(event) });
    }

    /// Jobs that wait for what a script cannot bring about, and did not begin.
    fn not_simulated(&self) -> Vec<String> {
        let Some(alarms) = &self.alarms else { return Vec::new() };
        let jobs = self.plan.document().job.iter();
        let beyond = jobs
            .filter(|job| !self.fitted.contains(job.name.as_str()) && !alarms.may_begin(&job.when));
        beyond.map(|job| job.name.clone()).collect()
    }

    fn take(&mut self, event: &Event, at_ms: u64) {
        let clock = self.clock(at_ms);
        if self.alarms.is_some() {
            let known = fields(event);
            let jobs = self.plan.document().job.iter();
            let fits = jobs.filter(|job| job.when.fits(event, &known, &job.name));
            self.fitted.extend(fits.map(|job| job.name.as_str()));
        }
        self.engine.happened(self.next_id, clock.steady_ms, event, clock);
        self.next_id += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::{Utc as Written, *};
    use crate::automation::Document;
    use crate::schedule::Utc;
    use proptest::prelude::*;

    const PLAN: &str = r#"
confirm = ["ups.0:shutdown.return", "device.3:output.2"]
[[rule]]
name = "nearly-empty"
when = "ups.0.ups.status has 'OB' and ups.0.battery.charge < 25 % hyst 5"
[[job]]
name = "horn"
when = { kind = "ups_on_battery" }
delay_s = 60
only_if_still_true = true
action = { do = "output", device = 3, output = 2, on = true }
undo = { do = "output", device = 3, output = 2, on = false }
[[job]]
name = "down"
when = { kind = "rule_raised", fields = { rule = "nearly-empty" } }
action = { do = "sequence", sequence = "servers" }
[[sequence]]
name = "servers"
[[sequence.step]]
actions = [{ do = "webhook", to = "hosts" }]
undo = [{ do = "wake-on-lan", mac = "00:11:22:33:44:55" }]
wait_s = 120
[[sequence.step]]
actions = [{ do = "command", target = "ups.0", command = "shutdown.return" }]
no_return = true
"#;

    fn table(script: &str) -> String {
        let plan = Document::parse(PLAN).and_then(Document::plan).expect("a plan");
        let (script, frames) = Script::parse(script).expect("a script");
        let begin_ms = u64::from(script.begin_unix_s) * 1_000;
        let for_ms = u64::from(script.for_s) * 1_000;
        let (past, thresholds) = (frames.into_iter(), Thresholds::default());
        let telling = Telling::Words(&thresholds);
        rehearse(&plan, past, telling, begin_ms, for_ms, &Utc).to_string()
    }

    #[test]
    fn an_outage_to_its_end() {
        let table = table(
            "for_s = 1000\n[[at]]\ns = 0\npoints = { 'ups.0.ups.status' = 'OB', \
             'ups.0.battery.charge' = 90 }\n[[at]]\ns = 600\npoints = { 'ups.0.battery.charge' = 20 }",
        );
        let wanted = "       1.5 s  event   ups.0 runs on battery
      61.5 s  action  job horn: switch output 2 of device 3 on
     600.0 s  event   rule nearly-empty: nearly-empty
     600.5 s  action  job down: send it to hosts
     630.0 s  event   alarm 2 (limit.battery.charge.low at ups.0): raised, 20 %, limit 20 %
     721.0 s  action  job down: tell ups.0: shutdown.return
     721.5 s  event   run order servers is through
";
        assert_eq!(table, wanted);
    }

    #[test]
    fn mains_before_the_point_of_no_return_take_all_of_it_back() {
        let table = table(
            "for_s = 1000\n[[at]]\ns = 0\npoints = { 'ups.0.ups.status' = 'OB', \
             'ups.0.battery.charge' = 20 }\n[[at]]\ns = 100\npoints = { 'ups.0.ups.status' = 'OL' }",
        );
        assert!(!table.contains("shutdown.return"), "{table}");
        for wanted in [
            "wake 00:11:22:33:44:55",
            "run order servers was given up",
            "switch output 2 of device 3 off, to take it back",
        ] {
            assert!(table.contains(wanted), "{wanted} in\n{table}");
        }
    }

    #[test]
    fn a_short_dip_does_nothing() {
        let table = table(
            "for_s = 300\n[[at]]\ns = 0\npoints = { 'ups.0.ups.status' = 'OB', \
             'ups.0.battery.charge' = 90 }\n[[at]]\ns = 50\npoints = { 'ups.0.ups.status' = 'OL' }",
        );
        assert!(!table.contains("action"), "{table}");
    }

    #[test]
    fn a_table_says_where_the_log_begins() {
        let table = Table { events_from_ms: Some(1_767_600_000_000), ..Table::default() };
        let text = table.to_string();
        let from = Written(1_767_600_000_000);
        assert_eq!(
            text,
            format!("the log of events begins at {from}: nothing is known of those before\n")
        );
        assert_eq!(Table::default().to_string(), "");
    }

    #[test]
    fn a_script_of_too_many_points_is_refused() {
        let points: Vec<String> = (0..=POINTS_MAX).map(|n| format!("'a.{n}' = 1")).collect();
        let script = |points: &[String]| {
            format!("for_s = 9\n[[at]]\ns = 1\npoints = {{ {} }}", points.join(", "))
        };
        let error = Script::parse(&script(&points)).expect_err("too many").to_string();
        assert!(error.contains("257 points; at most 256"), "{error}");
        assert!(Script::parse(&script(&points[1..])).is_ok());
    }

    #[test]
    fn a_script_that_is_wrong_is_named() {
        for (text, why) in [
            ("for_s = 0", "for_s is 1 to"),
            ("for_s = 9\n[[at]]\nt = 1", "line 3: unknown field `t`"),
            ("for_s = 9\n[[at]]\ns = 1\npoints = { 'A' = 1 }", "point \"A\""),
            ("for_s = 9\n[[at]]\ns = 1\npoints = { 'a.b' = [] }", "no number"),
        ] {
            let error = Script::parse(text).expect_err(text).to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    proptest! {
        #[test]
        fn a_rehearsal_is_the_same_each_time_and_in_order(
            steps in proptest::collection::vec((0u32..900, any::<bool>(), 0u8..100), 1..12),
        ) {
            let mut script = "for_s = 900\n".to_owned();
            for (s, battery, charge) in steps {
                let status = if battery { "OB" } else { "OL" };
                script += &format!("[[at]]\ns = {s}\npoints = {{ 'ups.0.ups.status' = '{status}', \
                                    'ups.0.battery.charge' = {charge} }}\n");
            }
            let first = table(&script);
            prop_assert_eq!(&first, &table(&script));
            // The horn is on at most once more often than it is taken back.
            let (on, off) = (first.matches("device 3 on").count(), first.matches("device 3 off").count());
            prop_assert!(on == off || on == off + 1, "{}", first);
        }
    }
}
