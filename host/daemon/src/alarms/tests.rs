//! The alarms with a real store and hub: what survives what.

use super::*;
use crate::plant::Plant;
use crate::plant::testing;
use crate::store::Limits as StoreLimits;
use crate::upses::AWAIT;
use crate::upses::testing::{Held, driver, sources};
use crate::watch::Watch;
use evenkeel_core::alarm::book::State as AlarmState;
use evenkeel_core::alarm::{AlarmChange, Kind as AlarmKind};
use evenkeel_core::bus::topology::{Cable, Spot};
use evenkeel_core::equalize::ChargerVerdict;
use evenkeel_core::events::Severity;
use evenkeel_core::history::Row;
use evenkeel_core::image::{BlockRecord, Condition as GuardCondition, DeviceRecord, Fault};
use evenkeel_core::licence::Limits;
use evenkeel_core::points::{Name, Point, Quality, Unit, Value};
use evenkeel_core::protect::{BreakerState, Condition, Level, Trip, TripCause};
use evenkeel_core::scan::Phase;
use std::path::Path;

struct Bench {
    hub: Arc<Hub>,
    store: Arc<Store>,
    alarms: Alarms,
    sources: Held,
    second: u64,
}

impl Bench {
    fn new(dir: &Path) -> Self {
        let store = Arc::new(Store::open(dir, StoreLimits::default()).expect("a store"));
        let hub = Arc::new(Hub::default());
        let (held, sources) = sources(vec![driver("ups.0")]);
        let alarms = Alarms::open(hub.clone(), store.clone(), sources, Box::new(Itself::default));
        Self { hub, store, alarms, sources: held, second: 0 }
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
async fn what_a_threshold_latches_outlives_a_restart_and_ends_with_a_reset() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut bench = Bench::new(dir.path());
    let latching = format!("{WARM}off_delay_s = 0\nlatch = true\n");
    bench.alarms.set_thresholds(rules(&latching)).await.expect("kept");
    let at = |dc| {
        let mut plant = testing::plant(&[13.6]);
        plant.snapshot.strings[0].blocks[0].temperature_dc = dc;
        plant
    };
    let is = |state| [("limit.block-temperature.high".to_owned(), state)];
    bench.hub.set_plant(at(300));
    bench.run(5);
    assert_eq!(bench.kinds(), is(AlarmState::Raised));
    let id = bench.alarms.shown().0[0].alarm.id;
    let reset = Act::Reset { note: "the fan was replaced".into() };
    let early = bench.alarms.act(id, None, &reset, "ann").await;
    assert!(matches!(early, Err(AlarmError::Refused(Refusal::NoReset(_)))), "it is still hot");
    bench.hub.set_plant(at(200));
    bench.run(10);
    assert_eq!(bench.kinds(), is(AlarmState::Latched));
    bench.alarms.keep(Nanos::from_secs(2_000)).await;
    drop(bench);
    let mut again = Bench::new(dir.path());
    assert_eq!(again.kinds(), is(AlarmState::Latched), "before anybody looked");
    again.hub.set_plant(at(200));
    again.run(10);
    assert_eq!(again.kinds(), is(AlarmState::Latched), "and after");
    again.alarms.act(id, None, &reset, "ann").await.expect("it is over");
    assert_eq!(again.kinds(), []);
    again.run(2);
    assert_eq!(again.kinds(), []);
    let told: Vec<_> = logged(&again.store).await.into_iter().map(|(change, _)| change).collect();
    assert_eq!(told.last(), Some(&AlarmChange::Reset), "{told:?}");
    drop(again);
    let again = Bench::new(dir.path());
    assert_eq!(again.kinds(), [], "it does not come back");
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
async fn a_preview_counts_the_past_of_a_ups_and_of_a_point_and_names_what_has_none() {
    use evenkeel_core::history::series::{self, Measure};
    use evenkeel_core::history::{Series, Span};
    let dir = tempfile::tempdir().expect("a directory");
    let bench = Bench::new(dir.path());
    bench.ups("ups.status", Value::Text("OL".into()), Unit::None);
    for (variable, value) in
        [("ups.load", 60.0), ("battery.charge", 60.0), ("ups.temperature", 30.0)]
    {
        bench.ups(variable, Value::Number(value), Unit::Percent);
    }
    let hour = (clock::unix_ms() / 3_600_000 - 3) * 3_600;
    let of = |name: &str, unit, rows: &[(u64, i64, i64)]| Series {
        name: name.to_owned(),
        measure: Measure::Number(unit),
        rows: rows
            .iter()
            .map(|(second, low, high)| series::Row {
                unix_s: hour + second,
                value: Some(Span::new(low * 1_000_000, *high * 1_000_000, high * 1_000_000)),
                quality: Quality::Good,
            })
            .collect(),
    };
    // The load is too high for twenty minutes, the temperature for five seconds.
    let load = of("ups.0.ups.load", Unit::Percent, &[(0, 30, 30), (600, 90, 97), (1_800, 30, 30)]);
    let warm =
        of("ups.0.ups.temperature", Unit::Celsius, &[(0, 30, 30), (600, 50, 50), (605, 30, 30)]);
    bench.store.append_series(vec![load, warm]).done().await.expect("on the disk");
    let text = "[[threshold]]\nat = 'system'\nquantity = 'ups.temperature'\nside = 'high'\n\
                alarm = 45.0\n[[threshold]]\nat = 'point.ups.0.input.voltage'\n\
                quantity = 'point'\nside = 'high'\nalarm = 250.0\n";
    let preview = bench.alarms.preview(rules(text)).expect("read");
    assert_eq!(preview.now, Count::default());
    let ups = Place::Source("ups.0".into());
    assert_eq!(preview.past.places, [(ups, Severity::Alarm)], "the load, and not the heat");
    assert_eq!((preview.past.alarm, preview.values), (1, 6));
    let charge = Quantity::of_ups("battery.charge").expect("a variable");
    let point = Place::Point("ups.0.input.voltage".into());
    let without = [(charge, None), (Quantity::Point, Some(point))];
    assert_eq!(preview.without_past, without.into());
    assert!(preview.kept.contains(&Quantity::of_ups("ups.load").expect("a variable")));
    // The heat alone, with a delay that it fulfils.
    let brief = rules(&text.replace("45.0\n", "45.0\ndelay_s = 5.0\n"));
    let off = "[[threshold]]\nat = 'system'\nquantity = 'ups.load'\nside = 'high'\n\
               warning = 'off'\nalarm = 'off'\n";
    let brief = brief.into_iter().chain(rules(off)).collect();
    assert_eq!(bench.alarms.preview(brief).expect("read").past.alarm, 1);
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

#[tokio::test]
async fn a_ups_that_never_answered_is_lost_and_a_removed_one_leaves_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut bench = Bench::new(dir.path());
    bench.hub.set_plant(testing::plant(&[13.6]));
    bench.run(AWAIT.as_millis() / 1_000);
    assert!(bench.kinds().is_empty(), "its driver may be asking it still");
    bench.run(4);
    assert_eq!(bench.kinds(), [("ups-lost".to_owned(), AlarmState::Raised)]);
    // It answers, is on battery, too hot and beyond a threshold of a point.
    let point = WARM.replace("system", "point.ups.0.input.voltage");
    let point = point.replace("block-temperature", "point");
    bench.alarms.set_thresholds(rules(&point)).await.expect("kept");
    bench.ups("ups.status", Value::Text("OB DISCHRG".into()), Unit::None);
    bench.ups("ups.load", Value::Number(97.0), Unit::Percent);
    bench.ups("input.voltage", Value::Number(231.0), Unit::Volt);
    bench.run(70);
    let active = |bench: &Bench| {
        let shown = bench.alarms.shown().0;
        let active = shown.iter().filter(|s| s.alarm.is_active());
        active.map(|s| s.alarm.kind.to_string()).collect()
    };
    let mut kinds: Vec<String> = active(&bench);
    kinds.sort();
    assert_eq!(kinds, ["limit.point.high", "limit.ups.load.high", "ups-on-battery"]);
    bench.sources.lock().expect("whole").clear();
    bench.hub.retract("ups.0");
    bench.run(60);
    let kinds: Vec<String> = active(&bench);
    assert!(kinds.is_empty(), "{kinds:?}");
}

/// Its plugin left the configuration file while the daemon was off: nobody would ever
/// tell that the UPS is on mains again.
#[tokio::test]
async fn an_alarm_of_a_ups_whose_plugin_is_gone_since_ends() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut bench = Bench::new(dir.path());
    bench.hub.set_plant(testing::plant(&[13.6]));
    bench.ups("ups.status", Value::Text("OB DISCHRG".into()), Unit::None);
    bench.run(3);
    let id = bench.alarms.shown().0[0].alarm.id;
    let act = Act::Acknowledge { note: "generator is running".into() };
    bench.alarms.act(id, Some(1), &act, "ann").await.expect("kept");
    drop(bench);
    let mut again = Bench::new(dir.path());
    again.sources.lock().expect("whole").clear();
    again.hub.set_plant(testing::plant(&[13.6]));
    let on_battery = "ups-on-battery".to_owned();
    assert_eq!(again.kinds(), [(on_battery.clone(), AlarmState::Acknowledged)]);
    again.run(60);
    let shown = again.alarms.shown().0;
    let stands =
        shown.iter().any(|s| s.alarm.kind.to_string() == on_battery && s.alarm.is_active());
    assert!(!stands, "{:?}", again.kinds());
}

/// A plant with two buses, a device and three blocks, in which nothing is wrong.
fn sound() -> Plant {
    let mut plant = testing::plant(&[13.6; 3]);
    plant.snapshot.cycle.cycles = 100;
    plant.snapshot.buses.push(testing::bus(false));
    plant.devices = vec!["AUX".into()];
    plant.snapshot.devices.push(DeviceRecord {
        bus: 1,
        address: 1_027,
        type_code: 96,
        quality: Quality::Good,
        wrong_kind: false,
        read: Nanos(0),
        serial: 0,
        inputs: 0,
        outputs: 0,
        commanded: 0,
        values: [f32::NAN; 8],
    });
    plant
}

/// [`sound`] with what raises an alarm about `kind`, the words of `ups.0`
/// (none: it is silent), and the alarm's place. `None`: neither plant nor UPS
/// can raise it.
fn ill(kind: AlarmKind, level: Level) -> Option<(Plant, Option<&'static str>, Place)> {
    use AlarmKind as K;
    let (mut plant, mut words) = (sound(), Some("OL"));
    let ups = || Place::Source("ups.0".into());
    let snapshot = &mut plant.snapshot;
    let place = match kind {
        K::GuardLost => {
            plant.connected = false;
            Place::Guard
        }
        K::BusLost => {
            snapshot.buses[1].lost = true;
            snapshot.cycle.conditions |= GuardCondition::PortLost as u64;
            Place::Bus(2)
        }
        K::CableBroken => {
            let spot = Spot { after: Some(4), before: Some(5) };
            snapshot.buses[1].cable = Cable::Broken(spot);
            Place::Bus(2)
        }
        K::DeviceLost => {
            snapshot.devices[0].quality = Quality::Stale;
            snapshot.cycle.conditions |= GuardCondition::DeviceLost as u64;
            Place::Device(1)
        }
        K::UpsLost => {
            words = None;
            ups()
        }
        K::UpsOnBattery => {
            words = Some("OB DISCHRG");
            ups()
        }
        K::UpsBatteryLow => {
            words = Some("OL LB");
            ups()
        }
        K::UpsReplaceBattery => {
            words = Some("OL RB");
            ups()
        }
        K::UpsOverload => {
            words = Some("OL OVER");
            ups()
        }
        K::UpsOnBypass => {
            words = Some("OL BYPASS");
            ups()
        }
        K::ChargerWrong => {
            snapshot.strings[0].equalize.charger = ChargerVerdict::High { by_v: 2.0 };
            Place::String(1)
        }
        K::Guard(condition) => {
            snapshot.cycle.conditions |= condition as u64;
            Place::Guard
        }
        K::Finding(condition) => {
            find(&mut plant, condition, level);
            Place::String(1)
        }
        // The store, the plugin host and the certificate tell of themselves; that the book tells
        // of a limit is the core's to prove.
        K::StoreFailed | K::PluginOff | K::CertificateExpires | K::Limit(..) => return None,
    };
    Some((plant, words, place))
}

/// What the guard reports with a finding of block 2, or of string 1.
fn find(plant: &mut Plant, condition: Condition, level: Level) {
    let string = &mut plant.snapshot.strings[0];
    match condition {
        Condition::ModuleLost => string.blocks[1].fault = Fault::Silent,
        Condition::Tripped => {
            let cause = TripCause::TwoTemperatures;
            string.protect.trip = Some(Trip { cause, block: 1, temperature_c: 61.5, wall_s: None });
        }
        Condition::BreakerFailed => string.protect.breaker = BreakerState::Failed,
        _ => {}
    }
    if condition < Condition::StringVoltageHigh {
        testing::mark(string, 1, condition, level);
    } else {
        string.protect.string.insert(condition, level);
        string.protect.all.insert(condition, level);
    }
}

/// Whether an event says where: by its place, or by the field of such a place.
fn names(event: &Event, place: &Place) -> bool {
    let fields = serde_json::to_value(event).expect("plain");
    let number = |field: &str, n: u16| fields[field] == n;
    fields["place"] == place.to_string()
        || match place {
            Place::Guard => fields["kind"].as_str().is_some_and(|kind| kind.starts_with("guard")),
            Place::Bus(n) => number("bus", *n),
            Place::Device(n) => number("device", *n),
            Place::String(n) => number("string", *n),
            Place::Source(root) => fields["ups"] == root.as_str(),
            _ => false,
        }
}

/// What is told, from the log, when `kind` comes up at `level`.
async fn told(bench: &mut Bench, kind: AlarmKind, level: Level) -> Option<(Vec<Event>, Place)> {
    let (plant, words, place) = ill(kind, level)?;
    bench.alarms = Alarms::open(
        bench.hub.clone(),
        bench.store.clone(),
        sources(vec![driver("ups.0")]).1,
        Box::new(Itself::default),
    );
    let mut watch = Watch::new(sources(vec![driver("ups.0")]).1);
    let mut events = Vec::new();
    let before = bench.store.record_acknowledged(Event::Unknown).done().await.expect("kept");
    for (plant, words) in [(sound(), Some("OL")), (plant, words)] {
        match words {
            Some(words) => bench.ups("ups.status", Value::Text(words.into()), Unit::None),
            None => bench.hub.mark_stale("ups.0"),
        }
        bench.hub.set_plant(plant);
        for _ in 0..15 {
            bench.run(1);
            events.extend(watch.step(&bench.hub, Nanos::from_secs(1_000 + bench.second)));
        }
    }
    bench.store.record_acknowledged(Event::Unknown).done().await.expect("kept");
    let logged = bench.store.latest(64).into_iter().filter(|stored| stored.id > before);
    events.extend(logged.map(|stored| stored.event));
    events.retain(|event| event.severity() >= Severity::Warning);
    Some((events, place))
}

/// A notifier or a job that wants alarms hears of every alarm, once.
#[tokio::test]
async fn every_alarm_is_told_by_one_event_as_bad_that_names_the_place() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut bench = Bench::new(dir.path());
    let (mut seen, mut wrong) = (0, Vec::new());
    for kind in AlarmKind::all() {
        for level in [Level::Warning, Level::Alarm] {
            let Some((events, place)) = told(&mut bench, kind, level).await else { continue };
            let shown = bench.alarms.shown().0;
            let alarms: Vec<_> = shown.iter().map(|s| (s.alarm.kind, &s.alarm.place)).collect();
            assert_eq!(alarms, [(kind, &place)]);
            let severity = shown[0].alarm.severity;
            // That modules went was a warning before they stayed away.
            let mut as_bad = events.iter().filter(|event| event.severity() >= severity);
            let first = as_bad.next();
            if as_bad.next().is_some() || !first.is_some_and(|event| names(event, &place)) {
                wrong.push(format!("{kind} at {severity:?}: {events:?}"));
            }
            seen += 1;
        }
    }
    assert!(seen > 80, "{seen}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn each_lost_bus_is_told() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut bench = Bench::new(dir.path());
    let mut plant = sound();
    bench.hub.set_plant(plant.clone());
    bench.run(5);
    for bus in [0, 1] {
        plant.snapshot.buses[bus].lost = true;
        bench.hub.set_plant(plant.clone());
        bench.run(200);
    }
    bench.store.record_acknowledged(Event::Unknown).done().await.expect("kept");
    let told = bench.store.latest(64).into_iter().rev().map(|stored| stored.event);
    let alarms: Vec<_> = told.filter(|event| event.severity() == Severity::Alarm).collect();
    assert_eq!(alarms.len(), 2, "{alarms:?}");
    assert!(names(&alarms[0], &Place::Bus(1)) && names(&alarms[1], &Place::Bus(2)), "{alarms:?}");
}

/// Alarm events of the log: what became of which kind.
async fn logged(store: &Store) -> Vec<(AlarmChange, String)> {
    // Behind all that was told before.
    store.record_acknowledged(Event::Unknown).done().await.expect("on the disk");
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
    assert_eq!(logged(&bench.store).await, [(AlarmChange::Raised, kind.clone())]);
    let open = |bench: &Bench| {
        let (hub, store) = (bench.hub.clone(), bench.store.clone());
        Alarms::open(hub, store, sources(vec![driver("ups.0")]).1, Box::new(Itself::default))
    };
    bench.alarms.keep(Nanos::from_secs(2_000)).await;
    bench.alarms = open(&bench);
    assert_eq!(logged(&bench.store).await.len(), 1, "the book knows it");
    bench.store.keep_document(BOOK, None).done().await.expect("lost");
    for _ in 0..2 {
        bench.alarms = open(&bench);
        let ends = [(AlarmChange::Raised, kind.clone()), (AlarmChange::Over, kind.clone())];
        assert_eq!(logged(&bench.store).await, ends, "told once");
    }
    bench.run(5);
    assert_eq!(
        logged(&bench.store).await.last(),
        Some(&(AlarmChange::Raised, kind)),
        "it is still true"
    );
}

#[tokio::test]
async fn a_book_that_cannot_be_read_is_told() {
    let dir = tempfile::tempdir().expect("a directory");
    let bench = Bench::new(dir.path());
    let lost = |bench: &Bench| {
        let events = bench.store.events(None, usize::MAX).into_iter();
        let lost = events.filter_map(|stored| match stored.event {
            Event::KeptLost { what, reason } => Some((what, reason)),
            _ => None,
        });
        lost.collect::<Vec<_>>()
    };
    bench.store.keep_document(BOOK, Some(vec![0xee; 40])).done().await.expect("kept");
    assert_eq!(lost(&bench), [], "a whole one, or none, says nothing");
    drop(bench);
    let bench = Bench::new(dir.path());
    assert!(bench.kinds().is_empty());
    bench.store.record_acknowledged(Event::GuardBack).done().await.expect("after it");
    let told = lost(&bench);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].0 == "alarms" && told[0].1.contains("begin anew"), "{told:?}");
}
