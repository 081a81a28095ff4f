//! The circle with a real store and a guard that answers as it is told.

use super::*;
use crate::guard::testing::FakeGuard;
use crate::jobs::NoNotifiers;
use crate::store::{Limits, StoredEvent};
use evenkeel_core::command::{Answer, Order, Tone};
use std::path::Path;
use std::time::Instant;

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
        let store = Arc::new(Store::open(dir, Limits::default()).expect("a store"));
        let (hub, guard) = (Arc::new(Hub::default()), FakeGuard::start(|_| Answer::Done));
        let (orders, nobody) = (Arc::new(guard.orders()), Arc::new(NoNotifiers));
        let receivers = Arc::new(Receivers::open(store.clone()));
        let executor =
            Arc::new(Executor::new(orders, Arc::default(), nobody, receivers, hub.clone()));
        let automation = Arc::new(Automation::open(hub.clone(), store.clone(), executor));
        if let Some(text) = document {
            let document = Document::parse(text).expect("a document");
            automation.put(document).await.expect("taken");
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
    let table = bench.automation.rehearse_script(None, &script, frames).expect("a table");
    assert!(table.to_string().contains("job horn: switch output 2 of device 3 on"), "{table}");
    bench.happens(on_battery()).await;
    bench.until("on", |b| !b.guard.asked().is_empty()).await;
    let past = bench.automation.rehearse_past(None, clock::unix_ms() - 60_000..=clock::unix_ms());
    assert!(past.expect("a table").to_string().contains("switch output 2"));
    assert_eq!(bench.guard.asked(), [horn(true)], "only what really happened");
    bench.until("at rest", |b| b.automation.status().pending.is_empty()).await;
}
