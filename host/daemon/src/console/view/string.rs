//! A battery string on the live page: its numbers, its board of tiles, its
//! sparkline (facts/console-ux.md §4.1).

use super::{Status, called, count, number_of, say, short_age, signed, volts, word, written};
use crate::plant::words::{phase, worst_advice};
use crate::plant::{Plant, findings};
use crate::store::Recent;
use crate::words::{Lang, number, words};
use evenkeel_core::alarm::Kind;
use evenkeel_core::equalize::Inhibits;
use evenkeel_core::estimate::{BlockEstimate, StringEstimate};
use evenkeel_core::events::IN_BAND_MV;
use evenkeel_core::history::Spread;
use evenkeel_core::image::StringRecord;
use evenkeel_core::points::Quality;
use evenkeel_core::protect::{Condition, Level};
use evenkeel_core::time::Nanos;
use serde::Serialize;
use std::collections::BTreeMap;

/// Points of a sparkline.
const SPARK_POINTS: u64 = 60;

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
    /// What it is doing.
    pub phase: String,
    /// String current.
    pub current: String,
    /// State of charge.
    pub charge: String,
    /// Time left in a discharge.
    pub runtime: String,
    /// Worst advice; empty for none.
    pub advice: String,
    /// Which buttons make sense: `paused` and `tripped`, or neither.
    pub acts: String,
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
    /// Per block: 0 in band, 1 not, 2 stale, 3 without value, 4 over the licence.
    pub mark: Vec<u8>,
    /// Per block: 0 nothing wrong, 1 warning, 2 alarm.
    pub wrong: Vec<u8>,
    /// Per block: age in seconds, when it is not fresh.
    pub age: Vec<Option<u32>>,
    /// Whose words these are.
    #[serde(skip)]
    lang: Lang,
}

/// What is said of a tile; live.js is handed the same.
pub struct TileWords {
    /// Before its number.
    pub block: String,
    /// Without a voltage.
    pub no_voltage: String,
    /// Before its bypass.
    pub bypass: String,
    /// Instead of its values, when it is over the licence.
    pub over: String,
    /// Something is wrong with it.
    pub warning: String,
    /// Something bad is wrong with it.
    pub alarm: String,
    /// Before the decimals.
    pub mark: char,
    lang: Lang,
}

impl TileWords {
    /// In a language.
    #[must_use]
    pub fn of(lang: Lang) -> Self {
        Self {
            block: word(lang, "page-block"),
            no_voltage: word(lang, "page-live-no-voltage"),
            bypass: word(lang, "page-live-bypass"),
            over: word(lang, "page-live-over-safety"),
            warning: word(lang, "page-live-warning"),
            alarm: word(lang, "page-live-alarm"),
            mark: number::decimal_mark(lang),
            lang,
        }
    }
}

/// One block as the page draws it. live.js draws the same.
pub struct Tile {
    /// Number, counted from 1.
    pub number: usize,
    /// Deviation, or `--` and the age.
    pub text: String,
    /// 0 in band, 1 not, 2 stale, 3 without value, 4 over the licence.
    pub mark: u8,
    /// 0 nothing wrong, 1 warning, 2 alarm.
    pub wrong: u8,
    /// The deviation's bar as a path, in a box 40 wide; an arrow when the bar
    /// does not suffice.
    pub bar: String,
    /// `hi` or `lo`.
    pub side: &'static str,
    /// Length of the bypass bar.
    pub bypass: f64,
    /// Everything about it, in words.
    pub title: String,
}

impl StringView {
    /// The tiles of its board.
    pub fn tiles(&self) -> impl Iterator<Item = Tile> {
        let said = TileWords::of(self.lang);
        (0..self.dev.len()).map(move |i| self.tile(&said, i))
    }

    fn tile(&self, said: &TileWords, i: usize) -> Tile {
        let dev = self.dev[i];
        let mv = dev.unwrap_or(0);
        let text = match (dev, self.age[i]) {
            (Some(mv), None) => signed(mv),
            (_, Some(age)) => short_age(age),
            (None, None) => "--".to_owned(),
        };
        let volts = |mv| volts(said.lang, f64::from(mv) / 1e3, 3);
        let voltage = self.mv[i].map_or_else(|| said.no_voltage.clone(), volts);
        let celsius =
            |dc| format!(", {}", written(said.lang, format!("{:.1} °C", f64::from(dc) / 10.0)));
        let temperature = self.temp[i].map_or_else(String::new, celsius);
        let values = match self.mark[i] {
            OVER_MARK => said.over.clone(),
            _ => format!("{voltage}{temperature}, {} {} %", said.bypass, self.duty[i]),
        };
        let wrong = match self.wrong[i] {
            0 => String::new(),
            1 => format!(", {}", said.warning),
            _ => format!(", {}", said.alarm),
        };
        Tile {
            number: i + 1,
            text,
            mark: self.mark[i],
            wrong: self.wrong[i],
            bar: bar(mv),
            side: if mv < 0 { "lo" } else { "hi" },
            bypass: f64::from(self.duty[i]) * 0.4,
            title: format!("{} {}: {values}{wrong}", said.block, i + 1),
        }
    }
}

/// Mark of a block over the licence.
const OVER_MARK: u8 = 4;

/// Deviation at the end of a tile's bar, mV (UX-002, 12 V class).
const BAR_MV: i32 = 100;

/// The bar from the middle of a box 40 wide; live.js draws the same.
fn bar(mv: i32) -> String {
    let sign = mv.signum();
    if mv.abs() > BAR_MV {
        return format!("M20 1h{}l{} 2l{} 2h{}z", 13 * sign, 6 * sign, -6 * sign, -13 * sign);
    }
    let width = f64::from(mv) * 15.0 / f64::from(BAR_MV);
    format!("M20 1h{width}v4h{}z", -width)
}

pub fn strings(lang: Lang, plant: &Plant, recent: &Recent, now: Nanos) -> Vec<StringView> {
    let records = plant.snapshot.strings.iter().enumerate();
    records.map(|(i, string)| string_view(lang, plant, i, string, &recent.of(i), now)).collect()
}

fn string_view(
    lang: Lang,
    plant: &Plant,
    index: usize,
    string: &StringRecord,
    recent: &[Spread],
    now: Nanos,
) -> StringView {
    let blocks = plant.snapshot.blocks_of(index);
    let live = plant.live(index);
    let columns = Columns::of(plant, index, string, now);
    let (status, state) = string_state(lang, string, &columns, live, plant.is_string_over(index));
    let worst = columns.worst().map_or_else(
        || "--".to_owned(),
        |(i, mv)| {
            let args = [("number", number_of(i + 1)), ("mv", signed(mv).into())];
            say(lang, "page-live-worst-block", args)
        },
    );
    let usable = columns.mark.iter().zip(&columns.mv).filter(|(mark, _)| **mark < 2);
    let usable = usable.filter_map(|(_, mv)| *mv);
    let spread = match (usable.clone().min(), usable.max()) {
        (Some(low), Some(high)) => format!("{} mV", high - low),
        _ => "--".to_owned(),
    };
    let (spark, spark_label) = sparkline(lang, recent);
    let name = plant.strings.get(index).cloned().unwrap_or_default();
    StringView {
        status,
        state,
        name: format!("{} {} · {name}", word(lang, "page-string"), index + 1),
        target: volts(lang, string.equalize.target_v, 3),
        sum: volts(lang, string.equalize.sum_v, 2),
        worst,
        spread,
        phase: word(lang, &format!("page-phase-{}", phase(string.phase))),
        current: string.current_a.map_or("--".into(), |a| written(lang, format!("{a:+.1} A"))),
        charge: charge(&string.estimate.whole),
        runtime: runtime(lang, &string.estimate),
        advice: worst_advice(&string.health),
        acts: acts(string),
        bypass: match string.equalize.mean_duty.is_finite() {
            true => format!("{:.0} %", string.equalize.mean_duty * 100.0),
            false => "--".to_owned(),
        },
        equalizing: match string.equalize.inhibits.is_empty() {
            true => {
                let members = f64::from(string.equalize.members).into();
                say(
                    lang,
                    "page-live-equalized",
                    [("count", members), ("of", number_of(blocks.len()))],
                )
            }
            false => {
                let why = string.equalize.inhibits.texts().map(|why| called(lang, "inhibit", why));
                let why = why.collect::<Vec<_>>().join(", ");
                say(lang, "page-live-equalizing-off", [("why", why.into())])
            }
        },
        spark,
        spark_label,
        dev: columns.dev,
        mv: columns.mv,
        temp: columns.temp,
        duty: columns.duty,
        mark: columns.mark,
        wrong: columns.wrong,
        age: columns.age,
        lang,
    }
}

fn string_state(
    lang: Lang,
    string: &StringRecord,
    columns: &Columns,
    live: bool,
    over: bool,
) -> (Status, String) {
    let missing = columns.mark.iter().filter(|m| matches!(m, 2 | 3)).count();
    if !live {
        return (Status::Unknown, word(lang, "page-live-no-data"));
    }
    let found = findings(string);
    let worst = found.first().filter(|finding| finding.level >= Level::Warning);
    if let Some(worst) = worst.filter(|finding| finding.level == Level::Alarm) {
        return (Status::Alarm, finding(lang, worst.condition));
    }
    if missing > 0 {
        return (Status::Warning, count(lang, "page-live-missing", missing));
    }
    if let Some(worst) = worst {
        return (Status::Warning, finding(lang, worst.condition));
    }
    if over {
        return (Status::Ok, word(lang, "page-live-over-safety"));
    }
    if !string.equalize.worst_v.is_finite() {
        return (Status::Unknown, word(lang, "page-live-no-target"));
    }
    if (string.equalize.worst_v * 1e3).round().abs() <= f64::from(IN_BAND_MV) {
        return (Status::Ok, word(lang, "page-live-in-band"));
    }
    let closing = match string.equalize.inhibits.is_empty() {
        true => "page-live-closing",
        false => "page-live-out-of-band",
    };
    (Status::Warning, word(lang, closing))
}

/// What is wrong, as it stands within a sentence; German begins its nouns large
/// there too.
pub fn finding(lang: Lang, condition: Condition) -> String {
    let mut text = words().kind(lang, Kind::Finding(condition));
    if let Some(first) = text.get_mut(0..1).filter(|_| lang != Lang::De) {
        first.make_ascii_lowercase();
    }
    text
}

/// State of charge with its standard deviation.
fn charge(whole: &BlockEstimate) -> String {
    match (whole.soc.is_finite(), whole.soc_sigma.is_finite()) {
        (true, true) => format!("{:.0} ± {:.0} %", whole.soc * 100.0, whole.soc_sigma * 100.0),
        (true, false) => format!("{:.0} %", whole.soc * 100.0),
        (false, _) => "--".to_owned(),
    }
}

/// Time left, and what is sure of it; nothing while nothing is drawn.
fn runtime(lang: Lang, estimate: &StringEstimate) -> String {
    let minutes = |seconds: f32| (seconds / 60.0).floor();
    match estimate.runtime_s.filter(|s| s.is_finite()) {
        Some(s) if estimate.runtime_low_s.is_finite() => {
            let low = minutes(estimate.runtime_low_s);
            let args = [("minutes", f64::from(minutes(s)).into()), ("low", f64::from(low).into())];
            say(lang, "page-live-runtime", args)
        }
        Some(s) => format!("{} min", minutes(s)),
        None => "--".to_owned(),
    }
}

fn acts(string: &StringRecord) -> String {
    let paused = string.equalize.inhibits.contains(Inhibits::PAUSED);
    let acts = [(paused, "paused"), (string.protect.trip.is_some(), "tripped")];
    acts.into_iter().filter(|(holds, _)| *holds).map(|(_, word)| word).collect::<Vec<_>>().join(" ")
}

/// The blocks of a string, column by column.
#[derive(Default)]
struct Columns {
    dev: Vec<Option<i32>>,
    mv: Vec<Option<u16>>,
    temp: Vec<Option<i16>>,
    duty: Vec<u8>,
    mark: Vec<u8>,
    wrong: Vec<u8>,
    age: Vec<Option<u32>>,
}

impl Columns {
    fn of(plant: &Plant, index: usize, string: &StringRecord, now: Nanos) -> Self {
        let mut columns = Self::default();
        for (i, block) in string.blocks.iter().enumerate() {
            let found = string.protect.blocks.get(i).copied().unwrap_or_default();
            columns.wrong.push(match found.level() {
                Level::Ok | Level::Notice => 0,
                Level::Warning => 1,
                Level::Alarm => 2,
            });
            let quality = plant.quality(block);
            let usable = quality != Quality::Bad;
            let dev = block.equalize.deviation_v * 1e3;
            let dev = (usable && dev.is_finite()).then(|| dev.round() as i32);
            let fresh = matches!(quality, Quality::Good | Quality::Estimated);
            let ever = block.read != Nanos(0);
            columns.dev.push(dev);
            columns.mv.push(usable.then_some(block.voltage_mv));
            let warm = plant.temperature_quality(block) != Quality::Bad;
            columns.temp.push(warm.then_some(block.temperature_dc));
            columns.duty.push((block.duty.fraction() * 100.0).round() as u8);
            columns.mark.push(match (fresh, usable, dev) {
                _ if plant.is_over(index, i) => OVER_MARK,
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
fn sparkline(lang: Lang, recent: &[Spread]) -> (String, String) {
    let (Some(first), Some(last)) = (recent.first(), recent.last()) else {
        return (String::new(), word(lang, "page-live-no-record"));
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
    let args = [("minutes", (minutes as f64).into()), ("mv", f64::from(scale).into())];
    (points, say(lang, "page-live-spark", args))
}

/// Full heights of the sparkline, mV.
const SCALES: [u16; 9] = [20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000];

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::plant::testing::{self, plant};
    use evenkeel_core::protect::Condition;

    /// The view of its only string.
    pub fn view(plant: &Plant) -> StringView {
        view_in(Lang::En, plant)
    }

    fn view_in(lang: Lang, plant: &Plant) -> StringView {
        let string = &plant.snapshot.strings[0];
        string_view(lang, plant, 0, string, &[], Nanos::from_secs(100))
    }

    #[test]
    fn a_tile_never_shows_what_was_not_measured() {
        let mut plant = plant(&[13.612, 13.300, 0.0]);
        let view1 = view(&plant);
        let tiles: Vec<_> = view1.tiles().collect();
        assert_eq!((tiles[0].text.as_str(), tiles[0].mark, tiles[0].side), ("+12", 1, "hi"));
        assert_eq!((tiles[1].text.as_str(), tiles[1].side), ("−300", "lo"));
        assert_eq!(tiles[0].bar, "M20 1h1.8v4h-1.8z");
        assert_eq!(tiles[1].bar, "M20 1h-13l-6 2l6 2h13z", "an arrow");
        assert_eq!((tiles[2].text.as_str(), tiles[2].mark), ("10 s", 3));
        assert_eq!(view1.status, Status::Warning);
        assert_eq!(view1.worst, "block 2: −300 mV");
        plant.connected = false;
        let view = view(&plant);
        assert_eq!(view.status, Status::Unknown);
        assert!(view.tiles().all(|t| t.mark >= 2));
    }

    #[test]
    fn what_is_wrong_comes_before_the_band_and_marks_its_tile() {
        let mut plant = plant(&[13.6, 13.6, 0.0]);
        let string = &mut plant.snapshot.strings[0];
        testing::mark(string, 1, Condition::VoltageLow, Level::Warning);
        testing::mark(string, 2, Condition::ModuleLost, Level::Alarm);
        string.current_a = Some(-12.34);
        string.estimate.runtime_s = Some(1_830.0);
        string.estimate.runtime_low_s = 1_500.0;
        string.equalize.inhibits = Inhibits::PAUSED;
        let view = view(&plant);
        assert_eq!((view.status, view.state.as_str()), (Status::Alarm, "module does not answer"));
        let tiles: Vec<_> = view.tiles().map(|t| (t.mark, t.wrong)).collect();
        assert_eq!(tiles, [(0, 0), (0, 1), (3, 2)]);
        assert!(view.tiles().nth(1).expect("a tile").title.ends_with("bypass 0 %, warning"));
        assert_eq!((view.current.as_str(), view.charge.as_str()), ("-12.3 A", "--"));
        assert_eq!((view.runtime.as_str(), view.acts.as_str()), ("30 min, surely 25", "paused"));
        assert_eq!(view.equalizing, "off: paused by a user");
        let german = view_in(Lang::De, &plant);
        assert_eq!(german.state, "Modul antwortet nicht");
        assert_eq!(german.current, "-12,3 A");
        assert_eq!(german.equalizing, "aus: von einem Benutzer angehalten");
        let title = german.tiles().nth(1).expect("a tile").title;
        assert!(title.starts_with("Block 2: 13,600 V") && title.ends_with("Warnung"), "{title}");
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
        let (points, label) = sparkline(Lang::En, &recent);
        assert_eq!(label, "spread 30 min, top 2000 mV");
        for point in points.split(' ') {
            let (x, y) = point.split_once(',').expect("a pair");
            let (x, y): (f64, f64) = (x.parse().expect("x"), y.parse().expect("y"));
            assert!((0.0..=120.0).contains(&x) && (0.0..=30.0).contains(&y), "{point}");
        }
        assert_eq!(sparkline(Lang::En, &[]).0, "");
    }
}
