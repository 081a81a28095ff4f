//! UPSes, guard, plugins and events on the live page.

use super::{Row, Status, called, millis, number_of, plain, say, short_age, word, written};
use crate::clock;
use crate::licence::Status as Licensed;
use crate::plant::Plant;
use crate::plugin_status::{PluginState, PluginStatus};
use crate::store::StoredEvent;
use crate::words::{Lang, words};
use evenkeel_core::events::Severity;
use evenkeel_core::image::Condition;
use evenkeel_core::licence::Limits;
use evenkeel_core::points::{Point, Quality, Unit, Value, names};
use evenkeel_core::time::Nanos;
use fluent_bundle::FluentValue;
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

pub fn licence(lang: Lang, licensed: &Licensed) -> LicenceView {
    let edition = &licensed.edition;
    let row = |name: &str, value: String| Row(Status::Ok, vec![word(lang, name), value]);
    let nobody = || word(lang, "page-live-nobody");
    let mut rows = vec![
        row("page-live-serial", licensed.serial.clone()),
        row("page-live-why", edition.reason.clone()),
        row("page-live-judge", edition.judged_by.clone().unwrap_or_else(nobody)),
    ];
    rows.extend(edition.grace_left_h().map(|hours| {
        let text = say(lang, "page-live-grace-left", [("hours", (hours as f64).into())]);
        row("page-live-grace", text)
    }));
    for file in &licensed.files {
        if let Some(refused) = &file.refused {
            let why = [("why", refused.to_string().into())];
            let cells = vec![file.name.clone(), say(lang, "page-live-licence-refused", why)];
            rows.push(Row(Status::Warning, cells));
        }
    }
    let (blocks, upses) = (licensed.blocks_over, licensed.upses_over.len());
    if blocks + upses > 0 {
        let args = [("blocks", number_of(blocks)), ("upses", number_of(upses))];
        rows.push(row("page-live-over-licence", say(lang, "page-live-over-what", args)));
    }
    let doubtful = edition.grace_left_h().is_some();
    LicenceView {
        status: if doubtful { Status::Warning } else { Status::Ok },
        state: format!("{}: {}", edition.name, limits(lang, edition.limits)),
        rows,
    }
}

fn limits(lang: Lang, limits: Limits) -> String {
    let number = |limit: Option<u32>| -> FluentValue<'static> {
        limit.map_or_else(|| "none".into(), |number| f64::from(number).into())
    };
    let args = [("blocks", number(limits.blocks)), ("va", number(limits.ups_va))];
    say(lang, "page-live-limits", args)
}

pub fn upses(lang: Lang, points: Vec<(String, Point)>, now: Nanos) -> Vec<UpsView> {
    let mut groups: BTreeMap<String, Vec<(String, Point)>> = BTreeMap::new();
    for (name, point) in points {
        let mut parts = name.splitn(3, '.');
        if let (Some("ups"), Some(number), Some(variable)) =
            (parts.next(), parts.next(), parts.next())
        {
            groups.entry(format!("ups.{number}")).or_default().push((variable.to_owned(), point));
        }
    }
    groups.into_iter().map(|(root, points)| ups(lang, &root, &points, now)).collect()
}

fn ups(lang: Lang, root: &str, points: &[(String, Point)], now: Nanos) -> UpsView {
    let find = |name: &str| points.iter().find(|(n, _)| n == name).map(|(_, p)| p);
    let text = |name: &str| find(name).map(|p| p.value.to_string());
    let maker = text("device.mfr").or_else(|| text("ups.mfr"));
    let model = text("device.model").or_else(|| text("ups.model"));
    let name = [maker, model].into_iter().flatten().collect::<Vec<_>>().join(" ");
    let status = find("ups.status");
    let fresh = status.is_some_and(|p| p.quality < Quality::Stale);
    let reported = status.map(|p| p.value.to_string()).unwrap_or_default();
    let (status, state) = match fresh {
        true => ups_state(lang, &reported),
        false => (Status::Unknown, word(lang, "page-live-ups-silent")),
    };
    UpsView {
        status,
        state,
        name: if name.is_empty() { root.to_owned() } else { format!("{name} ({root})") },
        rows: points.iter().map(|(name, point)| point_row(lang, name, point, now)).collect(),
    }
}

/// NUT's status words, explained.
fn ups_state(lang: Lang, words: &str) -> (Status, String) {
    let mut worst = Status::Ok;
    let mut texts = Vec::new();
    for reported in words.split_ascii_whitespace() {
        let status = match reported {
            "OB" | "RB" | "DISCHRG" | "BYPASS" | "CAL" | "OFF" => Status::Warning,
            "LB" | "OVER" | "FSD" | "ALARM" => Status::Alarm,
            _ => Status::Ok,
        };
        worst = worst.max(status);
        texts.push(called(lang, "ups", reported));
    }
    match texts.is_empty() {
        true => (Status::Unknown, word(lang, "page-live-ups-no-status")),
        false => (worst, texts.join(", ")),
    }
}

fn point_row(lang: Lang, name: &str, point: &Point, now: Nanos) -> Row {
    let meaning = match name {
        "ups.status" => word(lang, "page-live-status-words"),
        "ups.beeper.status" => word(lang, "page-live-beeper"),
        _ => meaning(lang, name),
    };
    let age = now.since(point.at).as_millis() / 1_000;
    let value = match (&point.value, point.unit) {
        (_, _) if point.quality == Quality::Bad => "--".to_owned(),
        (Value::Number(n), Unit::None) => written(lang, plain(*n)),
        (Value::Number(n), unit) => written(lang, format!("{} {}", plain(*n), unit.symbol())),
        (value, _) => value.to_string(),
    };
    let (status, note) = match point.quality {
        // The age of a fresh value says nothing and would change every second.
        Quality::Good if age < 10 => (Status::Ok, String::new()),
        Quality::Good => (Status::Ok, short_age(age as u32)),
        Quality::Estimated => (Status::Ok, word(lang, "page-live-estimated")),
        Quality::Stale => {
            let age = short_age(age as u32);
            (Status::Unknown, format!("{}, {age}", word(lang, "page-live-stale-value")))
        }
        Quality::Bad => (Status::Unknown, word(lang, "page-live-bad")),
    };
    Row(status, vec![meaning, value, note])
}

/// What a variable of a UPS means; one that nobody knows, by its name.
fn meaning(lang: Lang, name: &str) -> String {
    let known = names::UPS.binary_search_by(|v| v.name.cmp(name)).map(|i| names::UPS[i].meaning);
    let phase = ["l1", "l2", "l3"].into_iter().find(|phase| name.contains(&format!(".{phase}")));
    let of = phase.map_or_else(|| name.to_owned(), |phase| name.replace(phase, "phase"));
    let message = format!("page-point-{}", of.replace('.', "-"));
    match words().has_word(&message) {
        true => {
            let phase = phase.map_or("", |phase| &phase[1..]);
            say(lang, &message, [("phase", phase.into())])
        }
        false => known.unwrap_or(name).to_owned(),
    }
}

pub fn guard(lang: Lang, plant: Option<&Plant>, now: Nanos) -> GuardView {
    let Some(plant) = plant else {
        return GuardView {
            status: Status::Alarm,
            state: word(lang, "page-guard-awaited"),
            rows: vec![],
        };
    };
    let cycle = &plant.snapshot.cycle;
    let jitter = &plant.snapshot.jitter;
    let conditions = Condition::ALL.into_iter().filter(|c| plant.snapshot.has(*c));
    let conditions = conditions.map(|condition| called(lang, "guard", condition.text()));
    let conditions = conditions.collect::<Vec<_>>().join("; ");
    let (status, state) = match (plant.connected, conditions.is_empty()) {
        (false, _) => {
            let age = now.since(cycle.published).as_millis() / 1_000;
            let age = short_age(age as u32);
            (Status::Alarm, say(lang, "page-guard-silent", [("age", age.into())]))
        }
        (true, true) => (Status::Ok, word(lang, "page-guard-running")),
        (true, false) if plant.snapshot.has(Condition::PortLost) => (Status::Alarm, conditions),
        (true, false) => (Status::Warning, conditions),
    };
    let row = |bad: bool, name: &str, value: String| {
        let status = if bad { Status::Warning } else { Status::Ok };
        Row(status, vec![word(lang, name), value])
    };
    let period = cycle.period.as_millis();
    let cycles = [("cycles", (cycle.cycles as f64).into()), ("ms", (period as f64).into())];
    let rows = vec![
        row(false, "page-guard-cycles", say(lang, "page-guard-cycles-of", cycles)),
        row(cycle.deadline_misses > 0, "page-guard-missed", cycle.deadline_misses.to_string()),
        row(false, "page-guard-scan", millis(lang, cycle.scan)),
        row(false, "page-guard-work", millis(lang, cycle.work)),
        row(
            false,
            "page-guard-jitter",
            format!(
                "{:.0} · {:.0} · {:.0} µs",
                jitter.quantile_us(0.5),
                jitter.quantile_us(0.999),
                jitter.max.0 as f64 / 1e3
            ),
        ),
        row(false, "page-guard-bad-frames", cycle.bad_frames.to_string()),
        row(false, "page-guard-unexpected", cycle.unexpected_frames.to_string()),
        row(false, "page-guard-replies", cycle.missed_replies.to_string()),
        row(cycle.port_reopens > 0, "page-guard-reopened", cycle.port_reopens.to_string()),
    ];
    GuardView { status, state, rows }
}

pub fn plugin(lang: Lang, p: &PluginStatus) -> Row {
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
            called(lang, "plugin-is", p.state.as_str()),
            format!("{} kB", p.memory_bytes / 1_024),
            p.polls.to_string(),
            p.last_error.clone().unwrap_or_default(),
        ],
    )
}

pub fn event(lang: Lang, stored: &StoredEvent) -> Row {
    let status = match stored.event.severity() {
        Severity::Info => Status::Ok,
        Severity::Warning => Status::Warning,
        Severity::Alarm => Status::Alarm,
    };
    // Without the year: the newest events are hardly older.
    let when = clock::utc(stored.unix_ms).split_off(5);
    Row(status, vec![when, words().event(lang, &stored.event)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_words_are_explained_and_ranked() {
        let english = |words| ups_state(Lang::En, words);
        assert_eq!(english("OL CHRG"), (Status::Ok, "on mains, charging".into()));
        assert_eq!(english("OB LB").0, Status::Alarm);
        assert_eq!(english("").0, Status::Unknown);
        assert_eq!(ups_state(Lang::De, "OB ECO").1, "auf Batterie, ECO");
        assert!(Status::Unknown > Status::Ok && Status::Unknown < Status::Warning);
    }

    #[test]
    fn every_variable_of_a_ups_is_explained_in_german_and_as_the_core_does_in_english() {
        let own = ["ups.status", "ups.beeper.status"];
        for variable in names::UPS.iter().filter(|v| !own.contains(&v.name)) {
            assert_eq!(meaning(Lang::En, variable.name), variable.meaning, "{}", variable.name);
            let german = meaning(Lang::De, variable.name);
            assert!(german != variable.meaning && !german.contains('$'), "{german}");
        }
        assert_eq!(meaning(Lang::De, "input.l2-n.voltage"), "Eingangsspannung der Phase 2");
        assert_eq!(meaning(Lang::De, "experimental.x"), "experimental.x");
    }
}
