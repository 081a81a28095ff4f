//! What the live page shows, in words and integers. The page is rendered from
//! a [`View`], and the stream sends the same [`View`], then what changed in it:
//! no text is made twice, in two languages.

use super::Console;
use crate::clock;
use crate::hub::Plant;
use crate::plugin_status::{PluginState, PluginStatus};
use crate::store::{Recent, StoredEvent};
use evenkeel_core::events::{IN_BAND_MV, Severity};
use evenkeel_core::history::Spread;
use evenkeel_core::image::{BlockRecord, Condition, StringRecord};
use evenkeel_core::points::{Point, Quality, Unit, Value, names};
use evenkeel_core::time::Nanos;
use serde::Serialize;
use std::collections::BTreeMap;

/// Newest events on the page.
const EVENTS: usize = 12;
/// Points of a sparkline.
const SPARK_POINTS: u64 = 60;

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
    /// The UPSes.
    pub upses: Vec<UpsView>,
    /// The guard.
    pub guard: GuardView,
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

/// One string.
#[derive(Clone, Debug, Serialize)]
pub struct StringView {
    /// How it is.
    pub status: Status,
    /// The same in words.
    pub state: String,
    /// Its name.
    pub name: String,
    /// Target of a block.
    pub target: String,
    /// Sum of the blocks.
    pub sum: String,
    /// The worst block and its deviation.
    pub worst: String,
    /// Highest less lowest block.
    pub spread: String,
    /// Mean bypass.
    pub bypass: String,
    /// Why bypasses are off, or that they are not.
    pub equalizing: String,
    /// Points of the sparkline, in a box of 120 × 30.
    pub spark: String,
    /// What the sparkline shows.
    pub spark_label: String,
    /// Per block: deviation from target, mV.
    pub dev: Vec<Option<i32>>,
    /// Per block: voltage, mV.
    pub mv: Vec<Option<u16>>,
    /// Per block: temperature, 0.1 °C.
    pub temp: Vec<Option<i16>>,
    /// Per block: bypass, %.
    pub duty: Vec<u8>,
    /// Per block: 0 in band, 1 not, 2 stale, 3 without value.
    pub mark: Vec<u8>,
    /// Per block: age in seconds, when it is not fresh.
    pub age: Vec<Option<u32>>,
}

/// One block as the page draws it. live.js draws the same.
pub struct Tile {
    /// Number, counted from 1.
    pub number: usize,
    /// Deviation, or `--` and the age.
    pub text: String,
    /// 0 in band, 1 not, 2 stale, 3 without value.
    pub mark: u8,
    /// Left end of the bar, in a box 40 wide.
    pub x: f64,
    /// Length of the bar.
    pub width: f64,
    /// `hi`, `lo`, or `hi over`, `lo over` when the bar does not suffice.
    pub side: &'static str,
    /// Length of the bypass bar.
    pub bypass: f64,
    /// Everything about it, in words.
    pub title: String,
}

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

impl View {
    /// What there is to see now.
    #[must_use]
    pub fn of(console: &Console) -> Self {
        let now = clock::now();
        let plant = console.hub.plant();
        let plant = plant.as_deref();
        let strings = plant.map_or_else(Vec::new, |p| strings(p, console.store.recent(), now));
        let upses = upses(console.hub.query("ups"), now);
        let guard = guard(plant, now);
        let plugins: Vec<Row> = console.plugins.plugins().iter().map(plugin).collect();
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
            upses,
            guard,
            plugins,
            events: console.store.latest(EVENTS).iter().map(event).collect(),
            notices,
        }
    }
}

impl StringView {
    /// The tiles of its board.
    pub fn tiles(&self) -> impl Iterator<Item = Tile> {
        (0..self.dev.len()).map(|i| self.tile(i))
    }

    fn tile(&self, i: usize) -> Tile {
        let dev = self.dev[i];
        let mv = dev.unwrap_or(0);
        let width = f64::from(mv.abs().min(BAR_MV)) * 18.0 / f64::from(BAR_MV);
        let text = match (dev, self.age[i]) {
            (Some(mv), None) => signed(mv),
            (_, Some(age)) => format!("-- {}", short_age(age)),
            (None, None) => "--".to_owned(),
        };
        let voltage = self.mv[i].map_or("no voltage".into(), |mv| volts(f64::from(mv) / 1e3, 3));
        let temperature =
            self.temp[i].map_or_else(String::new, |dc| format!(", {:.1} °C", f64::from(dc) / 10.0));
        Tile {
            number: i + 1,
            text,
            mark: self.mark[i],
            x: if mv < 0 { 20.0 - width } else { 20.0 },
            width,
            side: match (mv < 0, mv.abs() > BAR_MV) {
                (false, false) => "hi",
                (false, true) => "hi over",
                (true, false) => "lo",
                (true, true) => "lo over",
            },
            bypass: f64::from(self.duty[i]) * 0.4,
            title: format!("Block {}: {voltage}{temperature}, bypass {} %", i + 1, self.duty[i]),
        }
    }
}

/// Deviation at the end of a tile's bar, mV (UX-002, 12 V class).
const BAR_MV: i32 = 100;

fn strings(plant: &Plant, recent: &Recent, now: Nanos) -> Vec<StringView> {
    let records = plant.snapshot.strings.iter().enumerate();
    records.map(|(i, string)| string_view(plant, i, string, &recent.of(i), now)).collect()
}

fn string_view(
    plant: &Plant,
    index: usize,
    string: &StringRecord,
    recent: &[Spread],
    now: Nanos,
) -> StringView {
    let blocks = plant.snapshot.blocks_of(index);
    let live = plant.connected && !plant.snapshot.has(Condition::PortLost);
    let columns = Columns::of(plant, string, blocks, now);
    let (status, state) = string_state(string, &columns, live);
    let worst = columns
        .worst()
        .map_or("--".into(), |(i, mv)| format!("block {}: {} mV", i + 1, signed(mv)));
    let usable = columns.mark.iter().zip(&columns.mv).filter(|(mark, _)| **mark < 2);
    let usable = usable.filter_map(|(_, mv)| *mv);
    let spread = match (usable.clone().min(), usable.max()) {
        (Some(low), Some(high)) => format!("{} mV", high - low),
        _ => "--".to_owned(),
    };
    let (spark, spark_label) = sparkline(recent);
    let name = plant.strings.get(index).cloned().unwrap_or_default();
    StringView {
        status,
        state,
        name: format!("String {} · {name}", index + 1),
        target: volts(string.target_v, 3),
        sum: volts(string.sum_v, 2),
        worst,
        spread,
        bypass: format!("{:.0} %", string.mean_duty * 100.0),
        equalizing: match string.inhibits.is_empty() {
            true => format!("active, {} of {} blocks", string.members, blocks.len()),
            false => format!("off: {}", string.inhibits),
        },
        spark,
        spark_label,
        dev: columns.dev,
        mv: columns.mv,
        temp: columns.temp,
        duty: columns.duty,
        mark: columns.mark,
        age: columns.age,
    }
}

fn string_state(string: &StringRecord, columns: &Columns, live: bool) -> (Status, String) {
    let missing = columns.mark.iter().filter(|m| **m >= 2).count();
    if !live {
        return (Status::Unknown, "no live data".into());
    }
    if missing > 0 {
        let plural = if missing == 1 { "" } else { "s" };
        return (Status::Warning, format!("{missing} block{plural} without live data"));
    }
    if !string.worst_v.is_finite() {
        return (Status::Unknown, "no target yet".into());
    }
    if (string.worst_v * 1e3).round().abs() <= f64::from(IN_BAND_MV) {
        return (Status::Ok, "in band".into());
    }
    let closing =
        if string.inhibits.is_empty() { "out of band, equalizing" } else { "out of band" };
    (Status::Warning, closing.into())
}

/// The blocks of a string, column by column.
#[derive(Default)]
struct Columns {
    dev: Vec<Option<i32>>,
    mv: Vec<Option<u16>>,
    temp: Vec<Option<i16>>,
    duty: Vec<u8>,
    mark: Vec<u8>,
    age: Vec<Option<u32>>,
}

impl Columns {
    fn of(plant: &Plant, string: &StringRecord, blocks: &[BlockRecord], now: Nanos) -> Self {
        let mut columns = Self::default();
        for block in blocks {
            let quality = plant.quality(block);
            let usable = quality != Quality::Bad;
            let dev = f64::from(block.voltage_mv) - string.target_v * 1e3;
            let dev = (usable && dev.is_finite()).then(|| dev.round() as i32);
            let fresh = matches!(quality, Quality::Good | Quality::Estimated);
            let ever = block.read != Nanos(0);
            columns.dev.push(dev);
            columns.mv.push(usable.then_some(block.voltage_mv));
            let sensor = usable && !block.flags.sensor_fault();
            columns.temp.push(sensor.then_some(block.temperature_dc));
            columns.duty.push((block.duty.fraction() * 100.0).round() as u8);
            columns.mark.push(match (fresh, usable, dev) {
                (true, _, Some(mv)) if mv.abs() <= IN_BAND_MV => 0,
                (true, _, _) => 1,
                (false, true, _) => 2,
                (false, false, _) => 3,
            });
            let age = now.since(block.read).as_millis() / 1_000;
            columns.age.push((!fresh && ever).then(|| u32::try_from(age).unwrap_or(u32::MAX)));
        }
        columns
    }

    fn worst(&self) -> Option<(usize, i32)> {
        let fresh = self.dev.iter().zip(&self.mark).enumerate().filter(|(_, (_, m))| **m < 2);
        let all = fresh.filter_map(|(i, (dev, _))| dev.map(|mv| (i, mv)));
        all.max_by_key(|(_, mv)| mv.abs())
    }
}

/// The spread over the time that there is, at most half an hour; every point
/// is the widest spread of its slice.
fn sparkline(recent: &[Spread]) -> (String, String) {
    let (Some(first), Some(last)) = (recent.first(), recent.last()) else {
        return (String::new(), "no record yet".into());
    };
    let held = last.unix_ms.saturating_sub(first.unix_ms) / 60_000;
    let minutes = [2, 5, 10, 30].into_iter().find(|m| held < *m).unwrap_or(30);
    let slice_ms = minutes * 60_000 / SPARK_POINTS;
    // Slices begin at whole multiples, so that points stay as they are.
    let newest = last.unix_ms / slice_ms;
    let mut widest = BTreeMap::new();
    for spread in recent {
        let back = newest.saturating_sub(spread.unix_ms / slice_ms);
        if back < SPARK_POINTS {
            let width = widest.entry(SPARK_POINTS - 1 - back).or_insert(0);
            *width = spread.width_mv().max(*width);
        }
    }
    let top = widest.values().copied().max().unwrap_or(0);
    let scale = SCALES.into_iter().find(|s| *s >= top).unwrap_or(u16::MAX);
    let points = widest.iter().map(|(slot, width)| {
        let x = slot * 120 / (SPARK_POINTS - 1);
        format!("{x},{:.1}", 29.0 - f64::from(*width) * 28.0 / f64::from(scale))
    });
    let points = points.collect::<Vec<_>>().join(" ");
    (points, format!("spread, last {minutes} min, full height {scale} mV"))
}

/// Full heights of the sparkline, mV.
const SCALES: [u16; 9] = [20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000];

fn upses(points: Vec<(String, Point)>, now: Nanos) -> Vec<UpsView> {
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
    let meaning = names::UPS.binary_search_by(|v| v.name.cmp(name)).map(|i| names::UPS[i].meaning);
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

fn guard(plant: Option<&Plant>, now: Nanos) -> GuardView {
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
        (true, true) => (Status::Ok, "protecting".to_owned()),
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

fn plugin(p: &PluginStatus) -> Row {
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

fn event(stored: &StoredEvent) -> Row {
    let status = match stored.event.severity() {
        Severity::Info => Status::Ok,
        Severity::Warning => Status::Warning,
        Severity::Alarm => Status::Alarm,
    };
    Row(status, vec![clock::utc(stored.unix_ms), stored.event.to_string()])
}

/// The state of everything in one sentence, without numbers: it is read aloud
/// whenever it changes.
fn summary(
    strings: &[StringView],
    upses: &[UpsView],
    guard: &GuardView,
    plugins: &[Row],
    notices: &[Row],
) -> (Status, String) {
    let mut worst = guard.status;
    let mut parts = Vec::new();
    if guard.status != Status::Ok {
        parts.push(format!("guard: {}", guard.state.split(',').next().unwrap_or_default()));
    }
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
    let failing = plugins.iter().filter(|p| p.0 >= Status::Warning).count();
    if failing > 0 {
        parts.push("a plugin needs attention".into());
    }
    parts.extend(notices.first().map(|_| "see the notices".to_owned()));
    let statuses = strings.iter().map(|s| s.status).chain(upses.iter().map(|u| u.status));
    let statuses = statuses.chain(plugins.iter().chain(notices).map(|row| row.0));
    worst = statuses.fold(worst, Status::max);
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
    use super::*;
    use evenkeel_core::image::{Fault, Snapshot};

    fn plant(volts: &[f64]) -> Plant {
        let block = |v: &f64| BlockRecord {
            voltage_mv: (v * 1e3) as u16,
            quality: if *v > 0.0 { Quality::Good } else { Quality::Bad },
            fault: if *v > 0.0 { Fault::None } else { Fault::Silent },
            read: Nanos::from_secs(90),
            ..BlockRecord::default()
        };
        let worst_v = volts
            .iter()
            .map(|v| v - 13.6)
            .filter(|d| *d > -13.0)
            .fold(0.0, |a: f64, d| if d.abs() > a.abs() { d } else { a });
        let string = StringRecord {
            blocks: volts.len() as u16,
            target_v: 13.6,
            worst_v,
            ..Default::default()
        };
        let snapshot = Snapshot {
            strings: vec![string],
            blocks: volts.iter().map(block).collect(),
            ..Snapshot::default()
        };
        Plant { snapshot, strings: vec!["A".into()], connected: true }
    }

    fn view(plant: &Plant) -> StringView {
        let string = &plant.snapshot.strings[0];
        string_view(plant, 0, string, &[], Nanos::from_secs(100))
    }

    #[test]
    fn a_tile_never_shows_what_was_not_measured() {
        let mut plant = plant(&[13.612, 13.300, 0.0]);
        let view1 = view(&plant);
        let tiles: Vec<_> = view1.tiles().collect();
        assert_eq!((tiles[0].text.as_str(), tiles[0].mark, tiles[0].side), ("+12", 1, "hi"));
        assert_eq!((tiles[1].text.as_str(), tiles[1].side), ("−300", "lo over"));
        assert_eq!((tiles[1].x, tiles[1].width), (2.0, 18.0));
        assert_eq!((tiles[2].text.as_str(), tiles[2].mark), ("-- 10 s", 3));
        assert_eq!(view1.status, Status::Warning);
        assert_eq!(view1.worst, "block 2: −300 mV");
        plant.connected = false;
        let view = view(&plant);
        assert_eq!(view.status, Status::Unknown);
        assert!(view.tiles().all(|t| t.text.starts_with("--") && t.mark >= 2));
    }

    #[test]
    fn in_band_means_ten_millivolts() {
        assert_eq!(view(&plant(&[13.610, 13.590])).status, Status::Ok);
        assert_eq!(view(&plant(&[13.612, 13.590])).status, Status::Warning);
    }

    #[test]
    fn the_sparkline_stays_in_its_box() {
        let spread = |n: u64, max_mv| Spread { unix_ms: n * 2_000, min_mv: 0, max_mv, worst_mv: 0 };
        let recent: Vec<_> = (0..900).map(|n| spread(n, 1_800 - n as u16)).collect();
        let (points, label) = sparkline(&recent);
        assert_eq!(label, "spread, last 30 min, full height 2000 mV");
        for point in points.split(' ') {
            let (x, y) = point.split_once(',').expect("a pair");
            let (x, y): (f64, f64) = (x.parse().expect("x"), y.parse().expect("y"));
            assert!((0.0..=120.0).contains(&x) && (0.0..=30.0).contains(&y), "{point}");
        }
        assert_eq!(sparkline(&[]).0, "");
    }

    #[test]
    fn status_words_are_explained_and_ranked() {
        assert_eq!(ups_state("OL CHRG"), (Status::Ok, "on mains, charging".into()));
        assert_eq!(ups_state("OB LB").0, Status::Alarm);
        assert_eq!(ups_state("").0, Status::Unknown);
        assert!(Status::Unknown > Status::Ok && Status::Unknown < Status::Warning);
    }

    #[test]
    fn the_worst_member_makes_the_sentence() {
        let good = view(&plant(&[13.6]));
        let guard = GuardView { status: Status::Ok, state: "protecting".into(), rows: vec![] };
        let (status, sentence) = summary(&[good.clone()], &[], &guard, &[], &[]);
        assert_eq!(
            (status, sentence.as_str()),
            (Status::Ok, "All strings in band, no UPS configured.")
        );
        let lost =
            GuardView { status: Status::Alarm, state: "does not answer, 3 s".into(), rows: vec![] };
        let (status, sentence) = summary(&[good], &[], &lost, &[], &[]);
        assert_eq!((status, sentence.as_str()), (Status::Alarm, "Guard: does not answer."));
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
