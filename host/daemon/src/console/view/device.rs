//! UPSes, guard, plugins and events on the live page.

use super::{Row, Status, millis, number, short_age};
use crate::clock;
use crate::licence::Status as Licensed;
use crate::plant::Plant;
use crate::plugin_status::{PluginState, PluginStatus};
use crate::store::StoredEvent;
use evenkeel_core::events::Severity;
use evenkeel_core::image::Condition;
use evenkeel_core::points::{Point, Quality, Unit, Value, names};
use evenkeel_core::time::Nanos;
use serde::Serialize;
use std::collections::BTreeMap;

/// One UPS.
#[derive(Clone, Debug, Serialize)]
pub struct UpsView {
    /// How it is.
    pub status: Status,
    /// The same in words.
    pub state: String,
    /// Maker and model, or its subtree.
    pub name: String,
    /// Its points: status, then name, value, age.
    pub rows: Vec<Row>,
}

/// The guard.
#[derive(Clone, Debug, Serialize)]
pub struct GuardView {
    /// How it is.
    pub status: Status,
    /// The same in words.
    pub state: String,
    /// Its numbers: status, then name and value.
    pub rows: Vec<Row>,
}

/// The edition in force.
#[derive(Clone, Debug, Serialize)]
pub struct LicenceView {
    /// How it is.
    pub status: Status,
    /// The same in words.
    pub state: String,
    /// Serial number, reason, what is over: status, then name and value.
    pub rows: Vec<Row>,
}

pub fn licence(licensed: &Licensed) -> LicenceView {
    let edition = &licensed.edition;
    let row = |name: &str, value: String| Row(Status::Ok, vec![name.to_owned(), value]);
    let mut rows = vec![
        row("serial number", licensed.serial.clone()),
        row("why", edition.reason.clone()),
        row("judged by", edition.judged_by.clone().unwrap_or_else(|| "nobody".into())),
    ];
    rows.extend(licensed.grace_text().map(|text| row("without a judgement", text)));
    for file in &licensed.files {
        if let Some(refused) = &file.refused {
            let cells = vec![file.name.clone(), format!("refused: {refused}")];
            rows.push(Row(Status::Warning, cells));
        }
    }
    let (blocks, upses) = (licensed.blocks_over, licensed.upses_over.len());
    if blocks + upses > 0 {
        let text = format!("{blocks} blocks, {upses} UPSes: watched for safety only");
        rows.push(row("over the licence", text));
    }
    let doubtful = edition.grace_left_h().is_some();
    LicenceView {
        status: if doubtful { Status::Warning } else { Status::Ok },
        state: format!("{}: {}", edition.name, edition.limits),
        rows,
    }
}

pub fn upses(points: Vec<(String, Point)>, now: Nanos) -> Vec<UpsView> {
    let mut groups: BTreeMap<String, Vec<(String, Point)>> = BTreeMap::new();
    for (name, point) in points {
        let mut parts = name.splitn(3, '.');
        if let (Some("ups"), Some(number), Some(variable)) =
            (parts.next(), parts.next(), parts.next())
        {
            groups.entry(format!("ups.{number}")).or_default().push((variable.to_owned(), point));
        }
    }
    groups.into_iter().map(|(root, points)| ups(&root, &points, now)).collect()
}

fn ups(root: &str, points: &[(String, Point)], now: Nanos) -> UpsView {
    let find = |name: &str| points.iter().find(|(n, _)| n == name).map(|(_, p)| p);
    let text = |name: &str| find(name).map(|p| p.value.to_string());
    let maker = text("device.mfr").or_else(|| text("ups.mfr"));
    let model = text("device.model").or_else(|| text("ups.model"));
    let name = [maker, model].into_iter().flatten().collect::<Vec<_>>().join(" ");
    let status = find("ups.status");
    let fresh = status.is_some_and(|p| p.quality < Quality::Stale);
    let words = status.map(|p| p.value.to_string()).unwrap_or_default();
    let (status, state) =
        if fresh { ups_state(&words) } else { (Status::Unknown, "does not answer".into()) };
    UpsView {
        status,
        state,
        name: if name.is_empty() { root.to_owned() } else { format!("{name} ({root})") },
        rows: points.iter().map(|(name, point)| point_row(name, point, now)).collect(),
    }
}

/// NUT's status words, explained.
fn ups_state(words: &str) -> (Status, String) {
    let mut worst = Status::Ok;
    let mut texts = Vec::new();
    for word in words.split_ascii_whitespace() {
        let (status, text) = match word {
            "OL" => (Status::Ok, "on mains"),
            "OB" => (Status::Warning, "on battery"),
            "LB" => (Status::Alarm, "battery low"),
            "RB" => (Status::Warning, "battery needs replacement"),
            "CHRG" => (Status::Ok, "charging"),
            "DISCHRG" => (Status::Warning, "discharging"),
            "BYPASS" => (Status::Warning, "on bypass, load unprotected"),
            "CAL" => (Status::Warning, "battery test"),
            "OFF" => (Status::Warning, "output off"),
            "OVER" => (Status::Alarm, "overload"),
            "TRIM" => (Status::Ok, "lowering high mains"),
            "BOOST" => (Status::Ok, "raising low mains"),
            "FSD" => (Status::Alarm, "forced shutdown"),
            "ALARM" => (Status::Alarm, "alarm"),
            other => (Status::Ok, other),
        };
        worst = worst.max(status);
        texts.push(text);
    }
    match texts.is_empty() {
        true => (Status::Unknown, "reports no status".into()),
        false => (worst, texts.join(", ")),
    }
}

fn point_row(name: &str, point: &Point, now: Nanos) -> Row {
    let meaning = match name {
        "ups.status" => Ok("status words"),
        "ups.beeper.status" => Ok("beeper"),
        _ => names::UPS.binary_search_by(|v| v.name.cmp(name)).map(|i| names::UPS[i].meaning),
    };
    let age = now.since(point.at).as_millis() / 1_000;
    let value = match (&point.value, point.unit) {
        (_, _) if point.quality == Quality::Bad => "--".to_owned(),
        (Value::Number(n), Unit::None) => number(*n),
        (Value::Number(n), unit) => format!("{} {}", number(*n), unit.symbol()),
        (value, _) => value.to_string(),
    };
    let (status, note) = match point.quality {
        // The age of a fresh value says nothing and would change every second.
        Quality::Good if age < 10 => (Status::Ok, String::new()),
        Quality::Good => (Status::Ok, short_age(age as u32)),
        Quality::Estimated => (Status::Ok, "estimated".to_owned()),
        Quality::Stale => (Status::Unknown, format!("stale, {}", short_age(age as u32))),
        Quality::Bad => (Status::Unknown, "bad".to_owned()),
    };
    Row(status, vec![meaning.unwrap_or(name).to_owned(), value, note])
}

pub fn guard(plant: Option<&Plant>, now: Nanos) -> GuardView {
    let Some(plant) = plant else {
        return GuardView {
            status: Status::Alarm,
            state: "has not answered yet".into(),
            rows: vec![],
        };
    };
    let cycle = &plant.snapshot.cycle;
    let jitter = &plant.snapshot.jitter;
    let conditions = Condition::ALL.into_iter().filter(|c| plant.snapshot.has(*c));
    let conditions = conditions.map(Condition::text).collect::<Vec<_>>().join("; ");
    let (status, state) = match (plant.connected, conditions.is_empty()) {
        (false, _) => {
            let age = now.since(cycle.published).as_millis() / 1_000;
            (Status::Alarm, format!("does not answer, last seen {} ago", short_age(age as u32)))
        }
        (true, true) => (Status::Ok, "running".to_owned()),
        (true, false) if plant.snapshot.has(Condition::PortLost) => (Status::Alarm, conditions),
        (true, false) => (Status::Warning, conditions),
    };
    let row = |bad: bool, name: &str, value: String| {
        let status = if bad { Status::Warning } else { Status::Ok };
        Row(status, vec![name.to_owned(), value])
    };
    let rows = vec![
        row(false, "cycles", format!("{} of {} ms", cycle.cycles, cycle.period.as_millis())),
        row(cycle.deadline_misses > 0, "deadlines missed", cycle.deadline_misses.to_string()),
        row(false, "scan of all modules", millis(cycle.scan)),
        row(false, "work per cycle", millis(cycle.work)),
        row(
            false,
            "wake-up late, median · 99.9 % · most",
            format!(
                "{:.0} · {:.0} · {:.0} µs",
                jitter.quantile_us(0.5),
                jitter.quantile_us(0.999),
                jitter.max.0 as f64 / 1e3
            ),
        ),
        row(false, "bad frames", cycle.bad_frames.to_string()),
        row(false, "unexpected frames", cycle.unexpected_frames.to_string()),
        row(false, "replies missed", cycle.missed_replies.to_string()),
        row(cycle.port_reopens > 0, "bus port reopened", cycle.port_reopens.to_string()),
    ];
    GuardView { status, state, rows }
}

pub fn plugin(p: &PluginStatus) -> Row {
    let status = match p.state {
        PluginState::Running | PluginState::Disabled | PluginState::Stopped => Status::Ok,
        PluginState::Starting => Status::Unknown,
        PluginState::Backoff | PluginState::Refused => Status::Warning,
        PluginState::Quarantined => Status::Warning,
    };
    Row(
        status,
        vec![
            p.name.clone(),
            p.version.clone(),
            p.state.as_str().to_owned(),
            format!("{} kB", p.memory_bytes / 1_024),
            p.polls.to_string(),
            p.last_error.clone().unwrap_or_default(),
        ],
    )
}

pub fn event(stored: &StoredEvent) -> Row {
    let status = match stored.event.severity() {
        Severity::Info => Status::Ok,
        Severity::Warning => Status::Warning,
        Severity::Alarm => Status::Alarm,
    };
    // Without the year: the newest events are hardly older.
    let when = clock::utc(stored.unix_ms).split_off(5);
    Row(status, vec![when, stored.event.to_string()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_words_are_explained_and_ranked() {
        assert_eq!(ups_state("OL CHRG"), (Status::Ok, "on mains, charging".into()));
        assert_eq!(ups_state("OB LB").0, Status::Alarm);
        assert_eq!(ups_state("").0, Status::Unknown);
        assert!(Status::Unknown > Status::Ok && Status::Unknown < Status::Warning);
    }
}
