//! What the live page shows, in words and integers. The page is rendered from
//! a [`View`], and the stream sends the same [`View`], then what changed in it:
//! no text is made twice, in two languages.

mod device;
mod string;

pub use device::{GuardView, LicenceView, UpsView};
pub use string::{StringView, Tile};

use crate::plant::{Plant, findings, words};

use super::Console;
use crate::clock;
use evenkeel_core::protect::{Condition, Level};
use evenkeel_core::time::Nanos;
use serde::Serialize;

/// Newest events on the page.
const EVENTS: usize = 12;
/// Most rows of the alarm list.
const ALARMS: usize = 24;

/// How something is. Ordered: a group is as its worst member (UX-010).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should be.
    Ok,
    /// Nobody knows.
    Unknown,
    /// Somebody should look at it.
    Warning,
    /// Somebody must act.
    Alarm,
}

impl Status {
    /// The word, as the style sheet knows it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Alarm => "alarm",
        }
    }
}

/// The whole page.
#[derive(Clone, Debug, Serialize)]
pub struct View {
    /// The worst of everything.
    pub status: Status,
    /// The same in one sentence.
    pub sentence: String,
    /// Title of the page.
    pub title: String,
    /// Wall-clock time, UTC.
    pub time: String,
    /// The battery strings.
    pub strings: Vec<StringView>,
    /// How many alarms there are: their worst status, and in words.
    pub alarm_status: Status,
    /// See [`Self::alarm_status`].
    pub alarm_state: String,
    /// The alarms and warnings, worst first: status, then string and words.
    pub alarms: Vec<Row>,
    /// `buzzer` while it sounds.
    pub sounding: &'static str,
    /// The UPSes.
    pub upses: Vec<UpsView>,
    /// The guard.
    pub guard: GuardView,
    /// The edition in force.
    pub licence: LicenceView,
    /// The plugins: status, then cells.
    pub plugins: Vec<Row>,
    /// Newest events first: status, then cells.
    pub events: Vec<Row>,
    /// What an administrator must know: refused settings, failing store.
    pub notices: Vec<Row>,
}

/// A row of a table: its status and its cells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row(pub Status, pub Vec<String>);

impl View {
    /// What there is to see now.
    #[must_use]
    pub fn of(console: &Console) -> Self {
        let now = clock::now();
        let plant = console.hub.plant();
        let plant = plant.as_deref();
        let strings =
            plant.map_or_else(Vec::new, |p| string::strings(p, console.store.recent(), now));
        let alarms = plant.map_or_else(Vec::new, alarms);
        let (alarm_status, alarm_state) = alarm_state(&alarms, plant.is_some_and(|p| p.connected));
        let buzzer = plant.is_some_and(|p| p.connected && p.snapshot.annunciation.buzzer);
        let upses = device::upses(console.hub.query("ups"), now);
        let guard = device::guard(plant, now);
        let plugins: Vec<Row> = console.plugins.plugins().iter().map(device::plugin).collect();
        let mut notices = console.notices.clone();
        if let Some(error) = console.store.health().error {
            let text = format!("The store cannot be written; events are kept in memory. {error}");
            notices.push(Row(Status::Warning, vec![text]));
        }
        let (status, sentence) = summary(&strings, &upses, &guard, &plugins, &notices);
        Self {
            status,
            title: format!("{} · Evenkeel", sentence.trim_end_matches('.')),
            sentence,
            time: clock::utc(clock::unix_ms()),
            strings,
            alarm_status,
            alarm_state,
            alarms: shortened(alarms),
            sounding: if buzzer { "buzzer" } else { "" },
            upses,
            guard,
            licence: device::licence(&console.licences.status()),
            plugins,
            events: console.store.latest(EVENTS).iter().map(device::event).collect(),
            notices,
        }
    }
}

/// What is wrong with the strings, worst first.
fn alarms(plant: &Plant) -> Vec<Row> {
    let mut rows = Vec::new();
    for (index, string) in plant.snapshot.strings.iter().enumerate() {
        let name = format!("String {}", index + 1);
        let row = |status, text| Row(status, vec![name.clone(), text]);
        if let Some(trip) = &string.protect.trip {
            rows.push(row(Status::Alarm, format!("tripped: {}", words::trip(trip))));
        }
        for finding in findings(string) {
            let status = match finding.level {
                Level::Ok | Level::Notice => continue,
                Level::Warning => Status::Warning,
                Level::Alarm => Status::Alarm,
            };
            if finding.condition != Condition::Tripped || string.protect.trip.is_none() {
                rows.push(row(status, finding.to_string()));
            }
        }
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row.0));
    rows
}

fn alarm_state(alarms: &[Row], connected: bool) -> (Status, String) {
    if !connected {
        return (Status::Unknown, "nobody knows: the guard does not answer".into());
    }
    let count = |status| alarms.iter().filter(|row| row.0 == status).count();
    let many = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    match (count(Status::Alarm), count(Status::Warning)) {
        (0, 0) => (Status::Ok, "no alarm".into()),
        (0, warnings) => (Status::Warning, many(warnings, "warning")),
        (alarms, 0) => (Status::Alarm, many(alarms, "alarm")),
        (alarms, warnings) => {
            (Status::Alarm, format!("{}, {}", many(alarms, "alarm"), many(warnings, "warning")))
        }
    }
}

/// A list that stays readable, whatever happens to the plant.
fn shortened(mut rows: Vec<Row>) -> Vec<Row> {
    let more = rows.len().saturating_sub(ALARMS);
    if more > 0 {
        rows.truncate(ALARMS);
        rows.push(Row(Status::Unknown, vec![String::new(), format!("and {more} more")]));
    }
    rows
}

/// The state of everything in one sentence, the battery first, without
/// numbers: it is read aloud whenever it changes.
fn summary(
    strings: &[StringView],
    upses: &[UpsView],
    guard: &GuardView,
    plugins: &[Row],
    notices: &[Row],
) -> (Status, String) {
    let mut worst = guard.status;
    let mut parts = Vec::new();
    let uneasy = strings.iter().enumerate().filter(|(_, s)| s.status != Status::Ok);
    parts.extend(uneasy.map(|(i, s)| {
        format!(
            "string {}: {}",
            i + 1,
            s.state.trim_start_matches(|c: char| c.is_ascii_digit()).trim()
        )
    }));
    parts.extend(
        upses.iter().filter(|u| u.status != Status::Ok).map(|u| format!("UPS {}", u.state)),
    );
    if guard.status != Status::Ok {
        parts.push(format!("guard: {}", guard.state.split(',').next().unwrap_or_default()));
    }
    let failing = plugins.iter().filter(|p| p.0 >= Status::Warning).count();
    if failing > 0 {
        parts.push("a plugin needs attention".into());
    }
    parts.extend(notices.first().map(|_| "see the notices".to_owned()));
    let statuses = strings.iter().map(|s| s.status).chain(upses.iter().map(|u| u.status));
    let statuses = statuses.chain(plugins.iter().chain(notices).map(|row| row.0));
    worst = statuses.fold(worst, Status::max);
    let in_band = !strings.is_empty() && strings.iter().all(|s| s.status == Status::Ok);
    if in_band && !parts.is_empty() {
        parts.insert(0, "all strings in band".into());
    }
    if parts.is_empty() {
        let ups = if upses.is_empty() { "no UPS configured" } else { "UPS on mains" };
        return (worst, format!("All strings in band, {ups}."));
    }
    let mut sentence = parts.join("; ");
    sentence.push('.');
    if let Some(first) = sentence.get_mut(0..1) {
        first.make_ascii_uppercase();
    }
    (worst, sentence)
}

fn signed(mv: i32) -> String {
    match mv {
        0 => "0".to_owned(),
        1.. => format!("+{mv}"),
        // A minus sign is as wide as a plus.
        _ => format!("\u{2212}{}", mv.unsigned_abs()),
    }
}

fn volts(value: f64, decimals: usize) -> String {
    if value.is_finite() { format!("{value:.decimals$} V") } else { "--".to_owned() }
}

fn millis(span: Nanos) -> String {
    format!("{:.1} ms", span.as_secs_f64() * 1e3)
}

/// At most three decimals, none that says nothing.
fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn short_age(seconds: u32) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::string::tests::view;
    use super::*;
    use crate::plant::testing::{self, plant};

    #[test]
    fn the_worst_member_makes_the_sentence() {
        let good = view(&plant(&[13.6]));
        let guard = GuardView { status: Status::Ok, state: "running".into(), rows: vec![] };
        let (status, sentence) = summary(std::slice::from_ref(&good), &[], &guard, &[], &[]);
        assert_eq!(
            (status, sentence.as_str()),
            (Status::Ok, "All strings in band, no UPS configured.")
        );
        let lost =
            GuardView { status: Status::Alarm, state: "does not answer, 3 s".into(), rows: vec![] };
        let (status, sentence) = summary(&[good], &[], &lost, &[], &[]);
        assert_eq!(
            (status, sentence.as_str()),
            (Status::Alarm, "All strings in band; guard: does not answer.")
        );
    }

    #[test]
    fn alarms_stand_worst_first_and_are_counted() {
        let mut plant = plant(&[13.6; 40]);
        assert_eq!(alarm_state(&alarms(&plant), true), (Status::Ok, "no alarm".into()));
        testing::mark(&mut plant.snapshot.strings[0], 0, Condition::Heating, Level::Notice);
        testing::mark(&mut plant.snapshot.strings[0], 1, Condition::VoltageLow, Level::Warning);
        testing::mark(&mut plant.snapshot.strings[0], 2, Condition::VoltageHigh, Level::Alarm);
        let rows = alarms(&plant);
        let texts: Vec<_> = rows.iter().map(|row| row.1[1].as_str()).collect();
        assert_eq!(texts, ["block voltage high: block 3", "block voltage low: block 2"]);
        assert_eq!(alarm_state(&rows, true).1, "1 alarm, 1 warning");
        assert_eq!(alarm_state(&rows, false).0, Status::Unknown);
        let many = shortened(vec![rows[0].clone(); 100]);
        assert_eq!((many.len(), many[ALARMS].1[1].as_str()), (ALARMS + 1, "and 76 more"));
    }

    #[test]
    fn numbers_lose_what_says_nothing() {
        assert_eq!(
            (number(50.0), number(230.125), number(0.1)),
            ("50".into(), "230.125".into(), "0.1".into())
        );
        assert_eq!(signed(i32::MIN), "\u{2212}2147483648");
    }
}
