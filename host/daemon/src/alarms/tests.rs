//! The alarms with a real store and hub: what survives what.

use super::*;
use crate::plant::testing;
use crate::store::Limits as StoreLimits;
use evenkeel_core::alarm::AlarmChange;
use evenkeel_core::alarm::book::State as AlarmState;
use evenkeel_core::events::Severity;
use evenkeel_core::history::Row;
use evenkeel_core::image::BlockRecord;
use evenkeel_core::licence::Limits;
use evenkeel_core::points::{Name, Point, Quality, Unit, Value};
use evenkeel_core::scan::Phase;
use std::path::Path;

struct Bench {
    hub: Arc<Hub>,
    store: Arc<Store>,
    alarms: Alarms,
    second: u64,
}

impl Bench {
    fn new(dir: &Path) -> Self {
        let store = Arc::new(Store::open(dir, StoreLimits::default()).expect("a store"));
        let hub = Arc::new(Hub::default());
        let alarms =
            Alarms::open(hub.clone(), store.clone(), vec!["ups.0".into()], Box::new(Vec::new));
        Self { hub, store, alarms, second: 0 }
    }

    fn run(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.second += 1;
            self.alarms.look(Nanos::from_secs(1_000 + self.second), self.second * 1_000);
        }
    }

    fn ups(&self, name: &str, value: Value, unit: Unit) {
        let name = Name::parse(&format!("ups.0.{name}")).expect("a good name");
        let point = Point { value, unit, quality: Quality::Good, at: Nanos(1) };
        self.hub.publish("ups.0", Nanos::from_secs(1_000 + self.second), [(name, point)]);
    }

    fn kinds(&self) -> Vec<(String, AlarmState)> {
        let shown = self.alarms.shown().0;
        shown.iter().map(|s| (s.alarm.kind.to_string(), s.alarm.state())).collect()
    }
}

fn rules(text: &str) -> Vec<Rule> {
    Thresholds::parse(text).expect("good rules").rules().to_vec()
}

const WARM: &str = "[[threshold]]\nat = \"system\"\nquantity = \"block-temperature\"\n\
                    side = \"high\"\nwarning = 25.0\ndelay_s = 0\n";

#[tokio::test]
async fn an_acknowledgement_survives_although_nobody_closed_the_store_in_order() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut bench = Bench::new(dir.path());
    bench.ups("ups.status", Value::Text("OB DISCHRG".into()), Unit::None);
    bench.hub.set_plant(testing::plant(&[13.6]));
    bench.run(3);
    assert_eq!(bench.kinds(), [("ups-on-battery".to_owned(), AlarmState::Raised)]);
    let id = bench.alarms.shown().0[0].alarm.id;
    let act = Act::Acknowledge { note: "generator is running".into() };
    bench.alarms.act(id, Some(1), &act, "ann").await.expect("kept");
    // What is on the disk now is all that there is after a power cut.
    let file = dir.path().join(crate::store::FILE);
    let cut = tempfile::tempdir().expect("a directory");
    std::fs::copy(&file, cut.path().join(crate::store::FILE)).expect("copied");
    let mut again = Bench::new(cut.path());
    assert_eq!(again.kinds(), [("ups-on-battery".to_owned(), AlarmState::Acknowledged)]);
    again.run(20);
    let kinds = again.kinds();
    let on_battery = ("ups-on-battery".to_owned(), AlarmState::Acknowledged);
    assert!(kinds.contains(&on_battery), "silence proves nothing: {kinds:?}");
    again.hub.set_plant(testing::plant(&[13.6]));
    again.ups("ups.status", Value::Text("OL".into()), Unit::None);
    again.run(5);
    let kinds = again.kinds();
    assert!(!kinds.iter().any(|(kind, _)| kind == "ups-on-battery"), "{kinds:?}");
    bench.store.record_acknowledged(Event::GuardBack).done().await.expect("after the others");
    let events: Vec<_> = bench.store.latest(64).iter().map(|e| e.event.to_string()).collect();
    assert!(events.iter().any(|text| text.contains("by ann: generator is running")), "{events:?}");
}

#[tokio::test]
async fn thresholds_hold_at_once_and_after_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut bench = Bench::new(dir.path());
    bench.hub.set_limits(Limits { blocks: None, ups_va: None });
    bench.hub.set_plant(testing::plant(&[13.6, 13.6]));
    bench.run(3);
    assert!(bench.kinds().is_empty());
    bench.alarms.set_thresholds(rules(WARM)).await.expect("kept");
    bench.run(2);
    let shown = bench.alarms.shown().0;
    assert_eq!(shown[0].alarm.kind.to_string(), "limit.block-temperature.high");
    assert_eq!(shown[0].alarm.members.len(), 2);
    let value = |shown: &[Shown]| shown[0].alarm.members.values().next_back().and_then(|m| m.value);
    assert_eq!(value(&shown), Some(25.3));
    // What is measured over the licence is not shown with the alarm.
    bench.hub.set_limits(Limits { blocks: Some(1), ups_va: None });
    bench.run(1);
    assert_eq!(value(&bench.alarms.shown().0), None);
    drop(bench);
    let again = Bench::new(dir.path());
    assert_eq!(again.alarms.thresholds().rules(), rules(WARM));
    assert_eq!(again.alarms.thresholds().rules().len(), 1);
}

#[tokio::test]
async fn thresholds_of_a_ups_and_of_a_battery_type() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut bench = Bench::new(dir.path());
    bench.hub.set_plant(testing::plant(&[13.6, 13.6]));
    bench.hub.set_batteries(vec![vec![("A".into(), 1), ("B".into(), 1)]]);
    let of_type = WARM.replace("system", "type.B");
    bench.alarms.set_thresholds(rules(&of_type)).await.expect("kept");
    bench.ups("ups.status", Value::Text("OL".into()), Unit::None);
    bench.ups("ups.load", Value::Number(97.0), Unit::Percent);
    bench.run(2);
    let members = bench.alarms.shown().0[0].alarm.members.clone();
    assert_eq!(members.keys().collect::<Vec<_>>(), [&Place::Block(1, 2)]);
    bench.run(60);
    let kinds: Vec<_> = bench.kinds().into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["limit.ups.load.high", "limit.block-temperature.high"], "built in");
    let low = of_type.replace("warning", "alarm")
        + &WARM.replace("system", "string.1").replace("25.0", "30.0");
    let refused = bench.alarms.set_thresholds(rules(&low)).await.expect_err("they meet");
    assert!(refused.to_string().contains("string.1.block.2"), "{refused}");
}

#[tokio::test]
async fn a_preview_counts_now_and_the_past_and_changes_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut bench = Bench::new(dir.path());
    let mut plant = testing::plant(&[13.6, 13.6, 13.6]);
    plant.snapshot.strings[0].health.blocks[2].baseline.mohm = 4.0;
    bench.hub.set_plant(plant.clone());
    bench.run(2);
    let mut string = plant.snapshot.strings[0].clone();
    (string.phase, string.blocks[2].resistance) = (Phase::Float, Some((5.0, Nanos(1))));
    string.blocks[0].temperature_dc = 310;
    let now = clock::unix_ms();
    for (ago_ms, warm) in [(31 * 24 * 3_600_000, true), (3_600_000, true), (1_000, false)] {
        string.blocks[1].temperature_dc = if warm { 330 } else { 240 };
        let seen = |block: &BlockRecord| (block.quality, block.temperature_quality);
        let row = Row::of(now - ago_ms, &string, &string.blocks, seen);
        bench.store.append(vec![(1, (&row).into())]).done().await.expect("on the disk");
    }
    let wish = rules(&WARM.replace("25.0", "30.0\nalarm = 32.0"));
    let preview = bench.alarms.preview(wish).expect("read");
    assert_eq!((preview.now.alarm, preview.now.warning), (0, 0));
    assert_eq!((preview.past.alarm, preview.past.warning), (1, 1), "{:?}", preview.past);
    // Of three blocks voltage, deviation, temperature, of one the resistance, and
    // the string's voltage.
    assert_eq!(preview.values, 2 * (3 * 3 + 1 + 1));
    let worn = WARM.replace("block-temperature", "block-resistance");
    let worn = bench.alarms.preview(rules(&worn.replace("25.0", "20.0"))).expect("read");
    assert_eq!(worn.past.places, [(Place::Block(1, 3), Severity::Warning)], "a quarter more");
    assert!(bench.alarms.thresholds().rules().is_empty());
    bench.run(2);
    assert!(bench.kinds().is_empty());
}

#[tokio::test]
async fn what_changed_meanwhile_is_not_acknowledged_unseen() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut bench = Bench::new(dir.path());
    bench.hub.set_plant(crate::plant::Plant { connected: false, ..testing::plant(&[13.6]) });
    bench.run(10);
    let id = bench.alarms.shown().0[0].alarm.id;
    let late = Act::Acknowledge { note: String::new() };
    let refused = bench.alarms.act(id, Some(7), &late, "ann").await;
    assert!(matches!(refused, Err(AlarmError::Refused(Refusal::Changed))));
    assert_eq!(bench.kinds()[0].1, AlarmState::Raised);
    let refused = bench.alarms.act(id + 1, None, &late, "ann").await;
    assert!(matches!(refused, Err(AlarmError::Refused(Refusal::NoAlarm(_)))));
}

/// Alarm events of the log: what became of which kind.
fn told(store: &Store) -> Vec<(AlarmChange, String)> {
    let events = store.events(None, usize::MAX).into_iter();
    let alarms = events.filter_map(|stored| match stored.event {
        Event::Alarm(event) => Some((event.change, event.what?.to_string())),
        _ => None,
    });
    alarms.collect()
}

#[tokio::test]
async fn a_book_that_is_lost_tells_the_end_of_what_it_does_not_know() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut bench = Bench::new(dir.path());
    bench.alarms.set_thresholds(rules(WARM)).await.expect("kept");
    let mut plant = testing::plant(&[13.6]);
    plant.snapshot.strings[0].blocks[0].temperature_dc = 300;
    bench.hub.set_plant(plant);
    bench.run(5);
    let kind = "limit.block-temperature.high".to_owned();
    assert_eq!(told(&bench.store), [(AlarmChange::Raised, kind.clone())]);
    let open = |bench: &Bench| {
        let (hub, store) = (bench.hub.clone(), bench.store.clone());
        Alarms::open(hub, store, vec!["ups.0".into()], Box::new(Vec::new))
    };
    bench.alarms.keep(Nanos::from_secs(2_000)).await;
    bench.alarms = open(&bench);
    assert_eq!(told(&bench.store).len(), 1, "the book knows it");
    bench.store.keep_document(BOOK, None).done().await.expect("lost");
    for _ in 0..2 {
        bench.alarms = open(&bench);
        bench.store.record_acknowledged(Event::Unknown).done().await.expect("on the disk");
        let ends = [(AlarmChange::Raised, kind.clone()), (AlarmChange::Over, kind.clone())];
        assert_eq!(told(&bench.store), ends, "told once");
    }
    bench.run(5);
    assert_eq!(told(&bench.store).last(), Some(&(AlarmChange::Raised, kind)), "it is still true");
}
