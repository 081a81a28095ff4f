//! The circle with a real store and a guard that answers as it is told.

use super::*;
use crate::guard::testing::FakeGuard;
use crate::jobs::{Messenger, NoNotifiers};
use crate::plant::testing;
use crate::store::{Limits, StoredEvent};
use evenkeel_core::command::{Answer, Order, Tone};
use evenkeel_core::protect::{Trip, TripCause};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

mod clocks;
mod orders;

const HORN: &str = "confirm = ['device.3:output.2']\n[[job]]\nname = 'horn'\n\
    when = { kind = 'ups_on_battery' }\naction = { do = 'output', device = 3, output = 2, on = true }\n\
    undo = { do = 'output', device = 3, output = 2, on = false }\nonly_if_still_true = true\n";

struct Bench {
    hub: Arc<Hub>,
    store: Arc<Store>,
    guard: FakeGuard,
    automation: Arc<Automation>,
    task: tokio::task::JoinHandle<()>,
}

impl Bench {
    async fn start(dir: &Path, document: Option<&str>) -> Self {
        Self::with(dir, document, Arc::new(NoNotifiers), None).await
    }

    async fn with(
        dir: &Path,
        document: Option<&str>,
        notifiers: Arc<dyn Messenger>,
        clocks: Option<Clocks>,
    ) -> Self {
        let guard = FakeGuard::start(|_| Answer::Done);
        Self::of(dir, document, guard, notifiers, clocks).await
    }

    async fn of(
        dir: &Path,
        document: Option<&str>,
        guard: FakeGuard,
        notifiers: Arc<dyn Messenger>,
        clocks: Option<Clocks>,
    ) -> Self {
        let store = Arc::new(Store::open(dir, Limits::default()).expect("a store"));
        store.record(Event::DaemonStarted { version: "1".into() });
        let hub = Arc::new(Hub::default());
        let orders = Arc::new(guard.orders());
        let receivers = Arc::new(Receivers::open(store.clone()));
        let executor = Executor::new(orders, Arc::default(), notifiers, receivers, hub.clone());
        let executor = Arc::new(executor);
        let automation = Arc::new(Automation::open(hub.clone(), store.clone(), executor));
        if let Some(text) = document {
            let document = Document::parse(text).expect("a document");
            automation.put(document).await.expect("taken");
        }
        if let Some(clocks) = clocks {
            automation.state().clocks = clocks;
        }
        let task = tokio::spawn(automation.clone().run());
        Self { hub, store, guard, automation, task }
    }

    /// As a crash does: nothing is finished.
    async fn crash(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    async fn happens(&self, event: Event) {
        self.store.record_acknowledged(event).done().await.expect("on the disk");
    }

    fn says(&self, words: &str) {
        let name = Name::parse("ups.0.ups.status").expect("a name");
        let value = Value::Text(words.to_owned());
        let point = Point { value, unit: Unit::None, quality: Quality::Good, at: clock::now() };
        self.hub.publish("ups.0", clock::now(), [(name, point)]);
    }

    async fn until(&self, what: &str, so: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !so(self) {
            assert!(Instant::now() < deadline, "never {what}: {:?}", self.store.latest(20));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn has_told(&self, kind: &str) -> bool {
        self.store.latest(64).iter().any(|stored| format!("{:?}", stored.event).starts_with(kind))
    }
}

fn on_battery() -> Event {
    Event::UpsOnBattery { ups: "ups.0".into() }
}

fn horn(on: bool) -> Order {
    Order::Output { device: 3, output: 2, on }
}

#[tokio::test]
async fn an_event_does_something_and_its_end_takes_it_back() {
    let dir = tempfile::tempdir().expect("a directory");
    let bench = Bench::start(dir.path(), Some(HORN)).await;
    bench.happens(on_battery()).await;
    bench.until("on", |b| b.guard.asked() == [horn(true)]).await;
    bench.happens(Event::UpsOnMains { ups: "ups.0".into() }).await;
    bench.until("off", |b| b.guard.asked() == [horn(true), horn(false)]).await;
    bench.until("told", |b| b.automation.status().jobs[0].last.is_some()).await;
    assert!(bench.has_told("JobDone"));
}

#[tokio::test]
async fn what_waits_outlives_a_crash_and_what_ended_meanwhile_is_taken_back() {
    let dir = tempfile::tempdir().expect("a directory");
    let delayed = format!("{HORN}delay_s = 2\n");
    let bench = Bench::start(dir.path(), Some(&delayed)).await;
    bench.happens(on_battery()).await;
    bench.until("planned", |b| b.automation.status().pending.len() == 1).await;
    bench.until("kept", |b| b.store.jobs().is_ok_and(|rows| rows.len() >= 3)).await;
    bench.crash().await;
    let bench = Bench::start(dir.path(), None).await;
    bench.until("on", |b| b.guard.asked() == [horn(true)]).await;
    bench.until("told", |b| b.has_told("JobDone")).await;
    bench.crash().await;
    // The mains came back while nobody looked.
    let bench = Bench::start(dir.path(), None).await;
    bench.says("OL");
    bench.until("off", |b| b.guard.asked() == [horn(false)]).await;
}

/// A plant whose string is tripped, or not.
fn plant(tripped: bool) -> crate::plant::Plant {
    let mut plant = testing::plant(&[13.6]);
    let cause = TripCause::TwoTemperatures;
    let trip = Trip { cause, block: 0, temperature_c: 61.5, wall_s: None };
    plant.snapshot.strings[0].protect.trip = tripped.then_some(trip);
    plant
}

#[tokio::test]
async fn what_the_guard_ended_while_the_daemon_was_away_is_taken_back() {
    let dir = tempfile::tempdir().expect("a directory");
    let nobody = || Arc::new(NoNotifiers);
    let tripped = || {
        let cause = TripCause::TwoTemperatures;
        Event::Tripped { string: 1, block: 1, cause, temperature_dc: 615 }
    };
    let document = HORN.replace("ups_on_battery", "tripped");
    let bench = Bench::start(dir.path(), Some(&document)).await;
    bench.happens(tripped()).await;
    bench.until("told", |b| b.has_told("JobDone")).await;
    bench.crash().await;
    // It was reset, and the daemon is not there to see it. The guard is away
    // at first.
    let clock = clocks::Clock::new();
    let bench = Bench::with(dir.path(), None, nobody(), Some(clock.clocks())).await;
    clock.pass(3_600);
    let newest = |b: &Bench| b.store.latest(1).first().map(|stored| stored.id);
    bench.until("read", |b| newest(b) == Some(b.automation.state().place)).await;
    assert!(bench.guard.asked().is_empty(), "nobody knows yet");
    bench.hub.set_plant(plant(false));
    // Whoever looked has begun to count.
    bench.until("counting", |b| b.automation.state().inherited.counts()).await;
    clock.pass(61);
    bench.until("off", |b| b.guard.asked() == [horn(false)]).await;
    bench.until("done", |b| b.automation.status().pending.is_empty()).await;
    // And the next one is taken up.
    bench.happens(tripped()).await;
    bench.until("on", |b| b.guard.asked() == [horn(false), horn(true)]).await;
}

#[tokio::test]
async fn what_the_guard_still_says_after_a_restart_is_not_taken_back() {
    let dir = tempfile::tempdir().expect("a directory");
    let document = HORN.replace("ups_on_battery", "tripped");
    let tripped = || {
        let cause = TripCause::TwoTemperatures;
        Event::Tripped { string: 1, block: 1, cause, temperature_dc: 615 }
    };
    let bench = Bench::start(dir.path(), Some(&document)).await;
    bench.happens(tripped()).await;
    bench.until("told", |b| b.has_told("JobDone")).await;
    bench.crash().await;
    let clock = clocks::Clock::new();
    let nobody = Arc::new(NoNotifiers);
    let bench = Bench::with(dir.path(), None, nobody, Some(clock.clocks())).await;
    bench.hub.set_plant(plant(true));
    // The watch tells it again, as it does after each start.
    bench.happens(tripped()).await;
    bench.until("settled", |b| b.automation.state().inherited.is_empty()).await;
    clock.pass(3_600);
    bench.happens(Event::TripReset { string: 1 }).await;
    bench.until("off", |b| b.guard.asked() == [horn(false)]).await;
}

#[tokio::test]
async fn a_relay_that_a_job_switches_is_in_the_audit_log() {
    let dir = tempfile::tempdir().expect("a directory");
    let bench = Bench::start(dir.path(), Some(HORN)).await;
    bench.happens(on_battery()).await;
    bench.until("told", |b| b.has_told("JobDone")).await;
    bench.happens(Event::GuardBack).await;
    let lines = bench.store.audit_lines(None, 99).expect("readable");
    let lines: Vec<_> = lines.iter().map(|line| String::from_utf8_lossy(line)).collect();
    let entry =
        r#""who":"job horn","from":"","what":"switch output 2 of device 3 on","result":"done""#;
    assert!(lines.iter().any(|line| line.contains(entry)), "{lines:?}");
}

#[tokio::test]
async fn what_a_job_sounds_lights_and_mutes_is_in_the_audit_log() {
    let dir = tempfile::tempdir().expect("a directory");
    let job = |name: &str, action: &str, undo: &str| {
        format!(
            "[[job]]\nname = '{name}'\nwhen = {{ kind = 'ups_on_battery' }}\n\
             action = {{ {action} }}\n{undo}"
        )
    };
    let text = job(
        "sound",
        "do = 'signal', tone = 'rare', seconds = 1800",
        "undo = { do = 'signal', seconds = 0 }\n",
    ) + &job("light", "do = 'lamp', bus = 1, address = 17, seconds = 60", "")
        + &job("quiet", "do = 'mute'", "");
    let bench = Bench::start(dir.path(), Some(&text)).await;
    bench.happens(on_battery()).await;
    bench.until("all three", |b| b.guard.asked().len() == 3).await;
    bench.happens(Event::UpsOnMains { ups: "ups.0".into() }).await;
    bench.until("ended", |b| b.guard.asked().len() == 4).await;
    let done = |b: &Bench| {
        let told = b.store.latest(64);
        told.iter().filter(|stored| matches!(stored.event, Event::JobDone { .. })).count() == 4
    };
    bench.until("told", done).await;
    bench.happens(Event::GuardBack).await;
    let lines = bench.store.audit_lines(None, 99).expect("readable");
    let lines: Vec<_> = lines.iter().map(|line| String::from_utf8_lossy(line)).collect();
    for (job, what) in [
        ("sound", "sound the buzzer for 1800 s"),
        ("light", "light the lamp of address 17 on bus 1"),
        ("quiet", "mute the buzzer"),
        ("sound", "end the signal of the box, to take it back"),
    ] {
        let entry = format!(r#""who":"job {job}","from":"","what":"{what}","result":"done""#);
        assert!(lines.iter().any(|line| line.contains(&entry)), "{entry}: {lines:?}");
    }
}

/// A notifier that remembers what it was to tell.
#[derive(Default)]
struct Probe(Mutex<Vec<(String, u64, Event)>>);

impl Messenger for Probe {
    fn notify(&self, plugin: &str, event: &StoredEvent, _: &str, _: Duration) -> Outcome {
        let told = (plugin.to_owned(), event.id, event.event.clone());
        self.0.lock().expect("whole").push(told);
        Outcome::Done
    }
}

#[tokio::test]
async fn a_notifier_is_told_the_event_that_began_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let text = "[[job]]\nname = 'tell'\nwhen = { kind = 'ups_on_battery' }\n\
        action = { do = 'notify', plugin = 'syslog' }\n";
    let probe = Arc::new(Probe::default());
    let bench = Bench::with(dir.path(), Some(text), probe.clone(), None).await;
    bench.happens(on_battery()).await;
    bench.until("told", |b| b.has_told("JobDone")).await;
    let told = probe.0.lock().expect("whole").clone();
    let stored = bench.store.events(None, 99);
    let id = stored.iter().find(|e| e.event == on_battery()).map(|e| e.id);
    assert_eq!(told, [("syslog".to_owned(), id.expect("there"), on_battery())]);
}

/// A notifier that is away the first time, and remembers what it was told.
#[derive(Default)]
struct Away(Mutex<Vec<String>>);

impl Messenger for Away {
    fn notify(&self, _: &str, _: &StoredEvent, text: &str, _: Duration) -> Outcome {
        let mut told = self.0.lock().expect("whole");
        told.push(text.to_owned());
        if told.len() == 1 { Outcome::Later("away".to_owned()) } else { Outcome::Done }
    }
}

#[tokio::test]
async fn another_attempt_says_what_the_first_said_also_after_a_crash() {
    let dir = tempfile::tempdir().expect("a directory");
    let text = "[[job]]\nname = 'tell'\nwhen = { kind = 'ups_on_battery' }\n\
        action = { do = 'notify', plugin = 'x', text = '{ups.0.ups.status}' }\n";
    let away = Arc::new(Away::default());
    let bench = Bench::with(dir.path(), Some(text), away.clone(), None).await;
    bench.says("OB");
    bench.happens(on_battery()).await;
    bench.until("tried", |b| b.automation.status().pending.iter().any(|p| p.failed == 1)).await;
    let kept = |b: &Bench| {
        let rows = b.store.jobs().expect("readable");
        rows.iter().any(|(_, row)| String::from_utf8_lossy(row).contains("\"failed\":1"))
    };
    bench.until("kept", kept).await;
    bench.crash().await;
    let bench = Bench::with(dir.path(), None, away.clone(), None).await;
    bench.says("OL");
    bench.until("told", |b| b.has_told("JobDone")).await;
    assert_eq!(*away.0.lock().expect("whole"), ["OB", "OB"]);
}

/// A job waits and is done; the daemon is killed between the note in the log and what
/// the planner keeps, and starts again.
async fn killed_behind_the_note(dir: &Path, document: &str, noted: &str) -> Bench {
    let bench = Bench::start(dir, Some(document)).await;
    bench.happens(on_battery()).await;
    let row = |b: &Bench| {
        let rows = b.store.jobs().expect("readable").into_iter();
        rows.filter(|(name, _)| name.starts_with("i/")).collect::<Vec<_>>()
    };
    bench.until("kept", |b| !row(b).is_empty()).await;
    let before = row(&bench);
    bench.until("told", |b| b.has_told(noted)).await;
    bench.until("forgotten", |b| row(b).is_empty()).await;
    bench.crash().await;
    let store = Store::open(dir, Limits::default()).expect("a store");
    let rows = before.into_iter().map(|(name, row)| (name, Some(row))).collect();
    store.keep_jobs(rows).done().await.expect("kept");
    drop(store);
    let bench = Bench::start(dir, None).await;
    bench.until("at rest", |b| b.automation.status().pending.is_empty()).await;
    bench
}

#[tokio::test]
async fn what_was_noted_and_then_killed_is_noted_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let job = format!("{HORN}delay_s = 1\n");
    let bench = killed_behind_the_note(dir.path(), &job, "JobDone").await;
    assert!(bench.guard.asked().is_empty(), "it was done");
    // It is still so, and is taken back when it is over.
    bench.happens(Event::UpsOnMains { ups: "ups.0".into() }).await;
    bench.until("off", |b| b.guard.asked() == [horn(false)]).await;
    let stored = bench.store.events(None, 99);
    let notes = stored.iter().filter(
        |e| matches!(&e.event, Event::JobDone { instance, .. } if instance.ends_with(".0")),
    );
    assert_eq!(notes.count(), 1, "{stored:?}");
}

#[tokio::test]
async fn what_a_job_said_before_it_was_killed_is_said_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let job = "[[job]]\nname = 'say'\nwhen = { kind = 'ups_on_battery' }\n\
        action = { do = 'log', text = 'out' }\ndelay_s = 1\n";
    let bench = killed_behind_the_note(dir.path(), job, "JobSaid").await;
    bench.happens(Event::UpsOnMains { ups: "ups.0".into() }).await;
    let stored = bench.store.events(None, 99);
    let notes = stored.iter().filter(|e| matches!(&e.event, Event::JobSaid { .. }));
    assert_eq!(notes.count(), 1, "{stored:?}");
}

#[tokio::test]
async fn lamps_and_the_alarm_relay_are_the_guards() {
    let dir = tempfile::tempdir().expect("a directory");
    let text = "[[job]]\nname = 'lamp'\nwhen = { kind = 'ups_on_battery' }\n\
        action = { do = 'lamp', bus = 1, address = 17, seconds = 60 }\n\
        undo = { do = 'lamp', bus = 1, address = 17, seconds = 0 }\n\
        [[job]]\nname = 'relay'\nwhen = { kind = 'ups_battery_low' }\n\
        action = { do = 'alarm-relay', healthy = false }\n\
        undo = { do = 'alarm-relay', healthy = true }\n";
    let bench = Bench::start(dir.path(), Some(text)).await;
    let lamp = |seconds| Order::Locate { bus: 1, address: 17, seconds };
    let relay = |healthy| Order::AlarmRelay { healthy };
    bench.happens(on_battery()).await;
    bench.until("lit", |b| b.guard.asked() == [lamp(60)]).await;
    bench.happens(Event::UpsBatteryLow { ups: "ups.0".into() }).await;
    bench.until("dropped", |b| b.guard.asked() == [lamp(60), relay(false)]).await;
    bench.happens(Event::UpsOnMains { ups: "ups.0".into() }).await;
    bench.until("both back", |b| b.guard.asked().len() == 4).await;
    let asked = bench.guard.asked();
    assert!(asked[2..].contains(&lamp(0)) && asked[2..].contains(&relay(true)), "{asked:?}");
}

#[tokio::test]
async fn a_job_sounds_the_buzzer_and_its_counter_job_ends_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let text = "[[job]]\nname = 'beep'\nwhen = { kind = 'ups_on_battery' }\n\
        action = { do = 'signal', tone = 'rare', seconds = 1800 }\n\
        undo = { do = 'signal', seconds = 0 }\n";
    let bench = Bench::start(dir.path(), Some(text)).await;
    bench.happens(on_battery()).await;
    let signal = |tone, seconds| Order::Signal { tone, lamp: true, seconds };
    bench.until("on", |b| b.guard.asked() == [signal(Tone::Rare, 1_800)]).await;
    bench.happens(Event::UpsOnMains { ups: "ups.0".into() }).await;
    let both = [signal(Tone::Rare, 1_800), signal(Tone::Slow, 0)];
    bench.until("off", |b| b.guard.asked() == both).await;
    let long = Document::parse(&text.replace("1800", "3601")).expect("a document");
    let refused = bench.automation.put(long).await.expect_err("too long").to_string();
    assert!(refused.contains("job \"beep\": sound the buzzer for 3601 s has"), "{refused}");
}

#[tokio::test]
async fn a_rule_has_a_point_and_starts_jobs() {
    let dir = tempfile::tempdir().expect("a directory");
    let text = "[[rule]]\nname = 'battery'\nwhen = \"ups.0.ups.status has 'OB'\"\n\
        [[job]]\nname = 'say'\nwhen = { kind = 'rule_raised', fields = { rule = 'battery' } }\n\
        action = { do = 'log', text = '{rule}: {ups.0.ups.status}' }\n";
    let bench = Bench::start(dir.path(), Some(text)).await;
    let value = |b: &Bench| b.hub.device("rule.battery").map(|p| (p.value, p.quality));
    bench.until("shown", |b| value(b) == Some((Value::Flag(false), Quality::Stale))).await;
    bench.says("OB");
    bench.until("true", |b| value(b) == Some((Value::Flag(true), Quality::Estimated))).await;
    bench.until("said", |b| b.has_told("JobSaid")).await;
    let said =
        |e: &StoredEvent| matches!(&e.event, Event::JobSaid { text, .. } if text == "battery: OB");
    assert!(bench.store.latest(64).iter().any(said), "{:?}", bench.store.latest(64));
    bench.automation.put(Document::default()).await.expect("taken");
    assert_eq!(value(&bench), None, "no rule, no point");
}

#[tokio::test]
async fn a_latch_outlives_the_daemon_and_is_told_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let text = |set: &str| {
        format!(
            "[[rule]]\nname = 'was-out'\nwhen = \"sr(ups.0.ups.status has '{set}', \
             ups.0.ups.status has 'BYPASS')\"\n"
        )
    };
    let bench = Bench::start(dir.path(), Some(&text("OB"))).await;
    let is = |b: &Bench| b.hub.device("rule.was-out").map(|p| p.value);
    bench.says("OB");
    bench.until("true", |b| is(b) == Some(Value::Flag(true))).await;
    let kept =
        |b: &Bench| b.store.jobs().expect("readable").iter().any(|(name, _)| name == "r/was-out");
    bench.until("kept", kept).await;
    bench.crash().await;
    let bench = Bench::start(dir.path(), None).await;
    bench.says("OL");
    bench.until("true still", |b| is(b) == Some(Value::Flag(true))).await;
    let told = bench.store.events(None, 99);
    let told = told.iter().filter(|e| matches!(e.event, Event::RuleRaised { .. })).count();
    assert_eq!(told, 1);
    // Another rule is no reason to forget; another expression is.
    let more = format!("{}[[rule]]\nname = 'b'\nwhen = 'true'\n", text("OB"));
    bench.automation.put(Document::parse(&more).expect("good")).await.expect("taken");
    bench.says("OL");
    bench.until("true still", |b| is(b) == Some(Value::Flag(true))).await;
    let edited = Document::parse(&text("LB")).expect("good");
    bench.automation.put(edited).await.expect("taken");
    bench.until("false", |b| is(b) == Some(Value::Flag(false))).await;
    // An orderly stop keeps that, too.
    bench.task.abort();
    bench.automation.finish();
    let is_set = |b: &Bench| {
        let rows = b.store.jobs().expect("readable").into_iter();
        let row = rows.filter(|(name, _)| name == "r/was-out").map(|(_, row)| row).next();
        row.is_some_and(|row| String::from_utf8_lossy(&row).contains("\"value\":true"))
    };
    bench.until("kept as it is now", |b| !is_set(b)).await;
}

#[tokio::test]
async fn what_is_wrong_leaves_what_is_in_force() {
    let dir = tempfile::tempdir().expect("a directory");
    let bench = Bench::start(dir.path(), Some(HORN)).await;
    let put = |text: &str| bench.automation.put(Document::parse(text).expect("a document"));
    let zone = put("zone = 'Europe/Atlantis'").await.expect_err("no such zone");
    assert!(zone.to_string().contains("Atlantis"), "{zone}");
    let hook =
        "[[job]]\nname = 'x'\nwhen = { category = 'ups' }\naction = { do = 'webhook', to = 'y' }";
    let hook = put(hook).await.expect_err("no such webhook");
    assert!(hook.to_string().contains("\"y\""), "{hook}");
    let lang = put("lang = 'tlh'").await.expect_err("no such language");
    assert!(lang.to_string().contains("\"tlh\" here; there are en, de"), "{lang}");
    let open = "[[job]]\nname = 'x'\nwhen = { category = 'ups' }\n\
        action = { do = 'log', text = 'load {ups' }";
    let open = put(open).await.expect_err("an open brace");
    assert!(open.to_string().contains("job \"x\": character 6"), "{open}");
    let unconfirmed = put(&HORN.replace("device.3:output.2", "x")).await.expect_err("unconfirmed");
    assert!(unconfirmed.to_string().starts_with("confirm \"device.3:output.2\""), "{unconfirmed}");
    assert_eq!(bench.automation.document().job.len(), 1);
}

#[tokio::test]
async fn a_dry_run_does_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let bench = Bench::start(dir.path(), Some(HORN)).await;
    let script = "for_s = 60\n[[at]]\ns = 1\npoints = { 'ups.0.ups.status' = 'OB' }";
    let (script, frames) = Script::parse(script).expect("a script");
    let built_in = Thresholds::default();
    let table = bench.automation.rehearse_script(None, &built_in, &script, frames);
    let table = table.expect("a table");
    assert!(table.to_string().contains("job horn: switch output 2 of device 3 on"), "{table}");
    bench.happens(on_battery()).await;
    bench.until("on", |b| !b.guard.asked().is_empty()).await;
    let times = || clock::unix_ms() - 60_000..=clock::unix_ms();
    let past = bench.automation.rehearse_past(None, times());
    assert!(past.expect("a table").to_string().contains("switch output 2"));
    // The words of the UPS are those that its events tell of.
    let rules = Document::parse(
        "[[rule]]\nname = 'mains-lost'\nwhen = \"ups.0.ups.status has 'OB'\"\n\
         [[rule]]\nname = 'load'\nwhen = \"ups.0.ups.load > 50 % or ups.7.ups.status has 'OB'\"\n",
    );
    let past = bench.automation.rehearse_past(Some(rules.expect("good")), times());
    let past = past.expect("a table");
    let text = past.to_string();
    assert!(text.contains("rule mains-lost: mains-lost"), "{text}");
    assert_eq!(text.matches("ups.0 runs on battery").count(), 1, "told once: {text}");
    assert_eq!(past.not_recorded, ["ups.0.ups.load", "ups.7.ups.status"]);
    let began = bench.store.events(None, 64)[0].unix_ms;
    assert_eq!(past.events_from_ms, Some(began), "the log is younger than a minute");
    assert!(text.contains("the log of events begins at "), "{text}");
    assert!(text.ends_with("taken as not known: ups.0.ups.load, ups.7.ups.status\n"), "{text}");
    assert_eq!(bench.guard.asked(), [horn(true)], "only what really happened");
    bench.until("at rest", |b| b.automation.status().pending.is_empty()).await;
}

#[tokio::test]
async fn what_waited_and_cannot_be_read_is_told_and_the_rest_is_done() {
    let dir = tempfile::tempdir().expect("a directory");
    let delayed = format!("{HORN}delay_s = 2\n");
    let bench = Bench::start(dir.path(), Some(&delayed)).await;
    bench.happens(on_battery()).await;
    bench.until("planned", |b| b.automation.status().pending.len() == 1).await;
    bench.until("kept", |b| b.store.jobs().is_ok_and(|rows| rows.len() >= 3)).await;
    let newer = br#"{"colour":"red"}"#.to_vec();
    let rows = vec![("e/x".to_owned(), Some(newer.clone())), ("i/x".to_owned(), Some(newer))];
    bench.store.keep_jobs(rows).done().await.expect("kept");
    bench.crash().await;
    let bench = Bench::start(dir.path(), None).await;
    bench.until("on", |b| b.guard.asked() == [horn(true)]).await;
    bench.happens(Event::GuardBack).await;
    let lost = bench.store.latest(64).into_iter().find_map(|stored| match stored.event {
        Event::KeptLost { what, reason } => Some((what, reason)),
        _ => None,
    });
    let (what, reason) = lost.expect("it is told");
    assert_eq!(what, "jobs");
    assert!(reason.starts_with("2 rows are left out, the first e/x"), "{reason}");
}
