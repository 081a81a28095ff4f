//! What the live page shows, in words and integers. The page is rendered from
//! a [`View`], and the stream sends the same [`View`], then what changed in it:
//! no text is made twice, here and in the script.

mod device;
mod string;

pub use device::{GuardView, LicenceView, UpsView};
pub use string::{StringView, Tile, TileWords, finding};

use super::Console;
use crate::alarms::Shown;
use crate::clock;
use crate::words::{Lang, number, words};
use evenkeel_core::alarm::Alarm;
use evenkeel_core::alarm::book::State;
use evenkeel_core::events::Severity;
use evenkeel_core::time::Nanos;
use fluent_bundle::{FluentArgs, FluentValue};
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
    /// Whose words these are.
    #[serde(skip)]
    lang: Lang,
}

/// A row of a table: its status and its cells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row(pub Status, pub Vec<String>);

impl View {
    /// The words of its tiles, for the script.
    #[must_use]
    pub fn tile_words(&self) -> TileWords {
        TileWords::of(self.lang)
    }

    /// What there is to see now, in the reader's language.
    #[must_use]
    pub fn of(console: &Console, lang: Lang) -> Self {
        let now = clock::now();
        let plant = console.hub.plant();
        let plant = plant.as_deref();
        let strings =
            plant.map_or_else(Vec::new, |p| string::strings(lang, p, console.store.recent(), now));
        let connected = plant.is_some_and(|p| p.connected);
        let alarms = AlarmList::of(lang, &console.alarms.shown().0, connected);
        let buzzer = plant.is_some_and(|p| p.connected && p.snapshot.annunciation.buzzer);
        let upses = device::upses(lang, console.hub.query("ups"), now);
        let guard = device::guard(lang, plant, now);
        let plugins = console.plugins.plugins();
        let plugins: Vec<Row> = plugins.iter().map(|p| device::plugin(lang, p)).collect();
        let events = console.store.latest(EVENTS);
        let mut notices = console.notices.clone();
        if let Some(error) = console.store.health().error {
            let text = say(lang, "page-live-store-failed", [("error", error.to_string().into())]);
            notices.push(Row(Status::Warning, vec![text]));
        }
        let (status, sentence) =
            summary(lang, &strings, &upses, &guard, alarms.status, &plugins, &notices);
        Self {
            status,
            title: format!("{} · Evenkeel", sentence.trim_end_matches('.')),
            sentence,
            time: clock::utc(clock::unix_ms()),
            strings,
            alarm_status: alarms.status,
            alarm_state: alarms.state,
            alarms: alarms.rows,
            sounding: if buzzer { "buzzer" } else { "" },
            upses,
            guard,
            licence: device::licence(lang, &console.licences.status()),
            plugins,
            events: events.iter().map(|stored| device::event(lang, stored)).collect(),
            notices,
            lang,
        }
    }
}

/// The alarms of the book, worst first, and how they are together.
struct AlarmList {
    status: Status,
    state: String,
    rows: Vec<Row>,
}

impl AlarmList {
    /// What lights the lamp is true or waits for a reset. What was acknowledged stays in
    /// the count and says so; what was put aside, and what is over, does not light it.
    fn of(lang: Lang, alarms: &[Shown], connected: bool) -> Self {
        let (mut list, mut counts) = (Vec::new(), Counts::default());
        for Shown { alarm } in alarms {
            let status = counts.take(alarm);
            let said = words().alarm(lang, alarm);
            let value =
                if said.value.is_empty() { said.value } else { format!(", {}", said.value) };
            let state = match alarm.state() {
                State::Raised => String::new(),
                _ => format!(" ({})", said.state),
            };
            list.push(Row(status, vec![said.place, format!("{}{value}{state}", said.title)]));
        }
        list.sort_by_key(|row| std::cmp::Reverse(row.0));
        let (status, state) = counts.words(lang, connected);
        Self { status, state, rows: shortened(lang, list) }
    }
}

/// How many alarms there are of which kind.
#[derive(Default)]
struct Counts {
    alarms: usize,
    warnings: usize,
    acknowledged: usize,
    latched: usize,
    shelved: usize,
    over: usize,
}

impl Counts {
    /// Count an alarm; how it is to be shown.
    fn take(&mut self, alarm: &Alarm) -> Status {
        match alarm.state() {
            State::Shelved => {
                self.shelved += 1;
                return Status::Unknown;
            }
            State::Returned => {
                self.over += 1;
                return Status::Unknown;
            }
            State::Acknowledged => self.acknowledged += 1,
            State::Latched => self.latched += 1,
            State::Raised => {}
        }
        match alarm.severity {
            Severity::Alarm => {
                self.alarms += 1;
                Status::Alarm
            }
            Severity::Warning => {
                self.warnings += 1;
                Status::Warning
            }
            Severity::Info => Status::Unknown,
        }
    }

    fn words(&self, lang: Lang, connected: bool) -> (Status, String) {
        let some = |n: usize, name: &str| (n > 0).then(|| count(lang, name, n));
        let mut parts =
            vec![some(self.alarms, "page-live-alarms"), some(self.warnings, "page-live-warnings")];
        if self.alarms + self.warnings == 0 && connected {
            parts.push(Some(word(lang, "page-live-no-alarm")));
        }
        parts.extend([
            some(self.acknowledged, "page-live-acknowledged"),
            some(self.latched, "page-live-latched"),
            some(self.shelved, "page-live-shelved"),
            some(self.over, "page-live-over"),
        ]);
        parts.push((!connected).then(|| word(lang, "page-live-blind")));
        let status = match (self.alarms, self.warnings, connected) {
            (1.., _, _) => Status::Alarm,
            (0, 1.., _) => Status::Warning,
            (0, 0, false) => Status::Unknown,
            (0, 0, true) => Status::Ok,
        };
        (status, parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}

/// A list that stays readable, whatever happens to the plant.
fn shortened(lang: Lang, mut rows: Vec<Row>) -> Vec<Row> {
    let more = rows.len().saturating_sub(ALARMS);
    if more > 0 {
        rows.truncate(ALARMS);
        rows.push(Row(Status::Unknown, vec![String::new(), count(lang, "page-live-more", more)]));
    }
    rows
}

/// The state of everything in one sentence, the battery first, without
/// numbers: it is read aloud whenever it changes.
fn summary(
    lang: Lang,
    strings: &[StringView],
    upses: &[UpsView],
    guard: &GuardView,
    alarms: Status,
    plugins: &[Row],
    notices: &[Row],
) -> (Status, String) {
    let mut worst = guard.status.max(alarms);
    let mut parts = Vec::new();
    let uneasy = strings.iter().enumerate().filter(|(_, s)| s.status != Status::Ok);
    parts.extend(uneasy.map(|(i, s)| {
        let state = s.state.trim_start_matches(|c: char| c.is_ascii_digit()).trim();
        let args = [("number", number_of(i + 1)), ("state", state.to_owned().into())];
        say(lang, "page-live-sum-string", args)
    }));
    let uneasy = upses.iter().filter(|u| u.status != Status::Ok);
    parts.extend(
        uneasy.map(|u| say(lang, "page-live-sum-ups", [("state", u.state.clone().into())])),
    );
    if guard.status != Status::Ok {
        let state = guard.state.split(',').next().unwrap_or_default().to_owned();
        parts.push(say(lang, "page-live-sum-guard", [("state", state.into())]));
    }
    if alarms >= Status::Warning && parts.is_empty() {
        parts.push(word(lang, "page-live-sum-alarms"));
    }
    let failing = plugins.iter().filter(|p| p.0 >= Status::Warning).count();
    if failing > 0 {
        parts.push(word(lang, "page-live-sum-plugin"));
    }
    parts.extend(notices.first().map(|_| word(lang, "page-live-sum-notices")));
    let statuses = strings.iter().map(|s| s.status).chain(upses.iter().map(|u| u.status));
    let statuses = statuses.chain(plugins.iter().chain(notices).map(|row| row.0));
    worst = statuses.fold(worst, Status::max);
    let in_band = !strings.is_empty() && strings.iter().all(|s| s.status == Status::Ok);
    if in_band && !parts.is_empty() {
        parts.insert(0, word(lang, "page-live-all-in-band"));
    }
    if parts.is_empty() {
        let ups = if upses.is_empty() { "page-live-no-ups" } else { "page-live-ups-on-mains" };
        return (worst, say(lang, "page-live-all-well", [("ups", word(lang, ups).into())]));
    }
    let mut sentence = parts.join("; ");
    sentence.push('.');
    if let Some(first) = sentence.get_mut(0..1) {
        first.make_ascii_uppercase();
    }
    (worst, sentence)
}

fn word(lang: Lang, name: &str) -> String {
    words().word(lang, name)
}

fn say<const N: usize>(
    lang: Lang,
    name: &str,
    args: [(&'static str, FluentValue<'static>); N],
) -> String {
    words().message(lang, name, &FluentArgs::from_iter(args))
}

fn count(lang: Lang, name: &str, count: usize) -> String {
    say(lang, name, [("count", number_of(count))])
}

fn number_of(number: usize) -> FluentValue<'static> {
    (number as f64).into()
}

/// What is called by a short English text elsewhere too, such as an inhibit or
/// the state of a breaker, in the reader's language.
pub fn called(lang: Lang, prefix: &str, text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let name = format!("page-{prefix}-{}", words.collect::<Vec<_>>().join("-"));
    if self::words().has_word(&name) { word(lang, &name) } else { text.to_owned() }
}

/// A number as the reader's language writes it.
fn written(lang: Lang, number: String) -> String {
    match number::decimal_mark(lang) {
        '.' => number,
        mark => number.replace('.', mark.encode_utf8(&mut [0; 4])),
    }
}

fn signed(mv: i32) -> String {
    match mv {
        0 => "0".to_owned(),
        1.. => format!("+{mv}"),
        // A minus sign is as wide as a plus.
        _ => format!("\u{2212}{}", mv.unsigned_abs()),
    }
}

fn volts(lang: Lang, value: f64, decimals: usize) -> String {
    match value.is_finite() {
        true => written(lang, format!("{value:.decimals$} V")),
        false => "--".to_owned(),
    }
}

fn millis(lang: Lang, span: Nanos) -> String {
    written(lang, format!("{:.1} ms", span.as_secs_f64() * 1e3))
}

/// At most three decimals, none that says nothing.
fn plain(value: f64) -> String {
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
    use crate::plant::testing::plant;
    use evenkeel_core::alarm::{Act, Book, Kind, Now, Place, Standing};
    use evenkeel_core::protect::Condition;

    #[test]
    fn the_worst_member_makes_the_sentence() {
        let good = view(&plant(&[13.6]));
        let guard = GuardView { status: Status::Ok, state: "running".into(), rows: vec![] };
        let (status, sentence) =
            summary(Lang::En, std::slice::from_ref(&good), &[], &guard, Status::Ok, &[], &[]);
        assert_eq!(
            (status, sentence.as_str()),
            (Status::Ok, "All strings in band, no UPS configured.")
        );
        let lost =
            GuardView { status: Status::Alarm, state: "does not answer, 3 s".into(), rows: vec![] };
        let (status, sentence) =
            summary(Lang::En, std::slice::from_ref(&good), &[], &lost, Status::Alarm, &[], &[]);
        assert_eq!(
            (status, sentence.as_str()),
            (Status::Alarm, "All strings in band; guard: does not answer.")
        );
        let (_, sentence) = summary(Lang::De, &[good], &[], &lost, Status::Alarm, &[], &[]);
        assert_eq!(sentence, "Alle Stränge im Band; Wächter: does not answer.");
    }

    /// What a book shows that was told of these.
    fn shown(book: &Book) -> Vec<Shown> {
        book.alarms().into_iter().map(|alarm| Shown { alarm: alarm.clone() }).collect()
    }

    #[test]
    fn the_lamp_and_the_list_are_those_of_the_book() {
        let standing =
            |kind, block, severity| Standing::plain(kind, Place::Block(1, block), severity);
        let high = Kind::Finding(Condition::VoltageHigh);
        let low = Kind::Finding(Condition::VoltageLow);
        let mut now = Now::default();
        now.standing.push(standing(low, 2, Severity::Warning));
        now.standing.push(standing(high, 3, Severity::Alarm));
        let mut book = Book::default();
        let list = |book: &Book, connected| AlarmList::of(Lang::En, &shown(book), connected);
        let state = |book: &Book| list(book, true).state;
        assert_eq!((list(&book, true).status, state(&book)), (Status::Ok, "no alarm".to_owned()));
        assert_eq!(list(&book, false).status, Status::Unknown);
        book.step(&now, 1_000);
        let both = list(&book, true);
        assert_eq!((both.status, both.state.as_str()), (Status::Alarm, "1 alarm, 1 warning"));
        let statuses: Vec<_> = both.rows.iter().map(|row| row.0).collect();
        assert_eq!(statuses, [Status::Alarm, Status::Warning]);
        assert!(both.rows[0].1[0].contains('3'), "{:?}", both.rows);
        let id = |book: &Book, kind| {
            let found = book.alarms().into_iter().find(|alarm| alarm.kind == kind);
            found.expect("there").id
        };
        let acknowledge = Act::Acknowledge { note: String::new() };
        let first = id(&book, high);
        book.act(first, None, &acknowledge, "admin", 2_000).expect("acknowledged");
        assert_eq!(state(&book), "1 alarm, 1 warning, 1 acknowledged");
        assert!(list(&book, true).rows[0].1[1].ends_with("(acknowledged)"));
        let shelve = Act::Shelve { reason: "known".into(), seconds: 600 };
        let second = id(&book, low);
        book.act(second, None, &shelve, "admin", 3_000).expect("put aside");
        assert_eq!(state(&book), "1 alarm, 1 acknowledged, 1 put aside");
        now.standing.remove(1);
        book.step(&now, 4_000);
        assert_eq!(
            (list(&book, true).status, state(&book)),
            (Status::Ok, "no alarm, 1 put aside".into())
        );
        let many = shortened(Lang::En, vec![both.rows[0].clone(); 100]);
        assert_eq!((many.len(), many[ALARMS].1[1].as_str()), (ALARMS + 1, "and 76 more"));
    }

    #[test]
    fn numbers_lose_what_says_nothing() {
        assert_eq!(
            (plain(50.0), plain(230.125), plain(0.1)),
            ("50".into(), "230.125".into(), "0.1".into())
        );
        assert_eq!(signed(i32::MIN), "\u{2212}2147483648");
        assert_eq!(volts(Lang::De, 13.612, 3), "13,612 V");
    }
}
