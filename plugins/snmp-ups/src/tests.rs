//! The driver against agents written after facts/snmp.md §1, §2 and §4.1, none
//! of them recorded from a device: a folder of `testcases` has
//! `agent.txt`, a line `oid type value` for each object, and
//! `expected.points`, a line `name = value unit quality` for each point.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use evenkeel_sdk::host::{Binding, Oid, SnmpError, SnmpValue};
use evenkeel_sdk::testkit::Bench;
use evenkeel_sdk::{Quality, Update, Value};

use super::*;

type Objects = BTreeMap<Vec<u32>, SnmpValue>;

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/testcases"));
    let entries = folder.read_dir().expect("test cases").map(|entry| entry.expect("read").path());
    entries.collect()
}

fn case(name: &str) -> Objects {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/testcases")).join(name);
    objects(&std::fs::read_to_string(path.join("agent.txt")).expect("an agent"))
}

fn oid(text: &str) -> Vec<u32> {
    text.trim_matches('.').split('.').map(|part| part.parse().expect("a number")).collect()
}

fn objects(text: &str) -> Objects {
    let object = |line: &str| {
        let (name, rest) = line.split_once(' ').expect("an object");
        let (kind, value) = rest.split_once(' ').expect("a type and a value");
        let value = match kind {
            "integer" => SnmpValue::Integer(value.parse().expect("a number")),
            "gauge" | "counter" => SnmpValue::Unsigned(value.parse().expect("a number")),
            "timeticks" => SnmpValue::Ticks(value.parse().expect("a number")),
            "objectid" => SnmpValue::Oid(oid(value)),
            "string" => SnmpValue::Octets(value.as_bytes().to_vec()),
            other => panic!("type {other}"),
        };
        (oid(name), value)
    };
    text.lines().map(object).collect()
}

fn bench(objects: Objects) -> (Bench, Rc<RefCell<Objects>>) {
    let (mut bench, objects) = (Bench::default(), Rc::new(RefCell::new(objects)));
    bench.agents.insert(AGENT.to_owned(), Rc::clone(&objects));
    (bench, objects)
}

fn driver(bench: &mut Bench) -> SnmpUps {
    SnmpUps::start(bench).expect("no settings")
}

fn shown(update: &Update) -> String {
    let value = match &update.value {
        Value::Number(number) => format!("{number} {}", update.unit).trim_end().to_owned(),
        Value::Text(text) => format!("{text:?}"),
        Value::Flag(flag) => flag.to_string(),
    };
    let quality = match update.quality {
        Quality::Good => "",
        Quality::Estimated => " estimated",
        Quality::Bad => " bad",
    };
    format!("{} = {value}{quality}", update.name)
}

#[test]
fn every_agent_means_what_is_expected() {
    let cases = cases();
    assert!(cases.len() >= 4);
    for case in cases {
        let read = |file: &str| std::fs::read_to_string(case.join(file)).unwrap_or_default();
        let (mut bench, _) = bench(objects(&read("agent.txt")));
        let mut driver = driver(&mut bench);
        assert_eq!(driver.wake(&mut bench), PERIOD_MS, "{}: {:?}", case.display(), bench.lost);
        let mut found: Vec<_> = bench.published[0].iter().map(shown).collect();
        found.sort();
        let expected = read("expected.points");
        let found = found.join("\n") + "\n";
        assert_eq!(found, expected, "{}:\n{found}", case.display());
        driver.wake(&mut bench);
        let names = |n: usize| bench.published[n].iter().map(|u| u.name.clone());
        let (first, second): (BTreeSet<_>, BTreeSet<_>) = (names(0).collect(), names(1).collect());
        assert!(second.is_subset(&first) && second.contains("ups.status"), "{}", case.display());
        assert_eq!(names(1).count(), second.len(), "a point is published once");
    }
}

#[test]
fn an_agent_that_has_nothing_any_more_is_lost_until_it_has() {
    let (mut bench, objects) = bench(case("single_phase"));
    let mut driver = driver(&mut bench);
    driver.wake(&mut bench);
    let kept = std::mem::take(&mut *objects.borrow_mut());
    assert_eq!(driver.wake(&mut bench), 0, "something is different");
    assert_eq!(driver.wake(&mut bench), PERIOD_LOST_MS);
    assert_eq!(bench.lost.len(), 1);
    *objects.borrow_mut() = kept;
    assert_eq!(driver.wake(&mut bench), PERIOD_MS);
    assert_eq!(bench.published.len(), 2);
}

#[test]
fn a_restarted_agent_is_looked_at_again() {
    let (mut bench, objects) = bench(case("single_phase"));
    let mut driver = driver(&mut bench);
    driver.wake(&mut bench);
    objects.borrow_mut().insert(oid("1.3.6.1.2.1.1.3.0"), SnmpValue::Ticks(5));
    objects.borrow_mut().remove(&oid("1.3.6.1.2.1.33.1.2.7.0"));
    assert_eq!(driver.wake(&mut bench), 0);
    driver.wake(&mut bench);
    assert!(bench.lost.is_empty());
    let latest = bench.published.last().expect("published");
    assert!(latest.iter().any(|update| update.name == "ups.model"), "constants again");
    assert!(!latest.iter().any(|update| update.name == "battery.temperature"), "absent now");
}

#[test]
fn an_object_that_vanishes_is_bad_and_a_card_without_its_ups_is_lost() {
    let (mut bench, objects) = bench(case("single_phase"));
    let mut driver = driver(&mut bench);
    driver.wake(&mut bench);
    objects.borrow_mut().remove(&oid("1.3.6.1.2.1.33.1.2.7.0"));
    driver.wake(&mut bench);
    assert_eq!(bench.last("battery.temperature").map(|u| u.quality), Some(Quality::Bad));
    let alarm = SnmpValue::Oid(oid("1.3.6.1.2.1.33.1.6.3.20"));
    objects.borrow_mut().insert(oid("1.3.6.1.2.1.33.1.6.1.0"), SnmpValue::Unsigned(1));
    objects.borrow_mut().insert(oid("1.3.6.1.2.1.33.1.6.2.1.2.9"), alarm);
    driver.wake(&mut bench);
    assert_eq!(bench.lost, ["the card answers, but has lost its UPS"]);
}

#[test]
fn what_is_no_ups_says_so() {
    let text = "1.3.6.1.2.1.1.2.0 objectid .1.3.6.1.4.1.9.1.1\n1.3.6.1.2.1.1.3.0 timeticks 1\n";
    let (mut bench, _) = bench(objects(text));
    driver(&mut bench).wake(&mut bench);
    assert!(bench.lost[0].contains("1.3.6.1.4.1.9.1.1"), "{:?}", bench.lost);
    let mut nobody = Bench::default();
    driver(&mut nobody).wake(&mut nobody);
    assert!(nobody.lost[0].contains("not granted"), "{:?}", nobody.lost);
}

#[test]
fn commands_set_what_the_mib_says() {
    let (mut bench, objects) = bench(case("single_phase"));
    let mut driver = driver(&mut bench);
    let tell = |driver: &mut SnmpUps, bench: &mut Bench, name| driver.command(bench, name, None);
    let early = tell(&mut driver, &mut bench, "beeper.mute");
    assert!(matches!(early, Err(CommandError::Lost(_))), "{early:?}");
    driver.wake(&mut bench);
    let value = |at: &str| objects.borrow().get(&oid(&format!("1.3.6.1.2.1.33.1.{at}"))).cloned();
    for (name, at, wanted) in [
        ("beeper.mute", "9.8.0", SnmpValue::Integer(3)),
        ("test.battery.start.quick", "7.1.0", SnmpValue::Oid(oid("1.3.6.1.2.1.33.1.7.7.4"))),
        ("test.battery.start.deep", "7.1.0", SnmpValue::Oid(oid("1.3.6.1.2.1.33.1.7.7.5"))),
        ("test.battery.stop", "7.1.0", SnmpValue::Oid(oid("1.3.6.1.2.1.33.1.7.7.2"))),
        ("shutdown.return", "8.2.0", SnmpValue::Integer(20)),
        ("shutdown.stop", "8.2.0", SnmpValue::Integer(-1)),
    ] {
        assert_eq!(tell(&mut driver, &mut bench, name), Ok(()), "{name}");
        assert_eq!(value(at), Some(wanted), "{name}");
    }
    assert_eq!(tell(&mut driver, &mut bench, "load.explode"), Err(CommandError::Unknown));
    let valued = driver.command(&mut bench, "load.off", Some("5"));
    assert!(matches!(valued, Err(CommandError::Invalid(_))), "{valued:?}");
}

#[test]
fn every_order_is_offered_and_every_offer_is_an_order() {
    let offered: BTreeSet<_> = COMMANDS.iter().map(|command| command.name).collect();
    let orders = unit::MIBS.iter().flat_map(|mib| mib.orders).map(|order| order.name);
    assert_eq!(orders.collect::<BTreeSet<_>>(), offered);
}

/// A card that answers one object at a time, and chokes on one of them.
struct Choking {
    objects: Objects,
    asked: Rc<RefCell<usize>>,
}

impl Agent for Choking {
    fn get(&mut self, oids: &[&Oid]) -> Result<Vec<Binding>, SnmpError> {
        *self.asked.borrow_mut() += 1;
        let [oid] = oids else {
            return match oids.len() {
                2 => Ok(oids.iter().map(|oid| self.binding(oid)).collect()),
                _ => Err(SnmpError::new(SnmpError::TIMEOUT, "no answer")),
            };
        };
        if oid.ends_with(&[2, 6, 0]) {
            return Err(SnmpError::new(SnmpError::AGENT, "genErr"));
        }
        Ok(vec![self.binding(oid)])
    }

    fn walk(&mut self, root: &Oid, max: u32) -> Result<Vec<Binding>, SnmpError> {
        let below = self.objects.keys().filter(|oid| oid.starts_with(root)).take(max as usize);
        Ok(below.map(|oid| self.binding(oid)).collect())
    }

    fn set(&mut self, _bindings: &[Binding]) -> Result<(), SnmpError> {
        Err(SnmpError::new(SnmpError::DENIED, "add `write = true`"))
    }
}

impl Choking {
    fn binding(&self, oid: &Oid) -> Binding {
        let value = self.objects.get(oid).cloned().unwrap_or(SnmpValue::Absent);
        Binding { oid: oid.to_vec(), value }
    }
}

#[test]
fn a_card_that_bears_one_object_at_a_time_is_asked_so_and_absent_ones_are_not_asked_again() {
    let asked = Rc::new(RefCell::new(0));
    let mut card = Choking { objects: case("single_phase"), asked: Rc::clone(&asked) };
    let (mut unit, _) = Unit::identify(&mut card).unwrap_or_else(|e| panic!("{e}"));
    let before = asked.replace(0);
    let updates = unit.read(&mut card).unwrap_or_else(|e| panic!("{e}"));
    assert!(updates.iter().any(|u| u.name == "battery.charge"));
    assert!(!updates.iter().any(|u| u.name == "battery.current"), "it chokes on this one");
    assert!(*asked.borrow() < before, "{} requests after {before}", asked.borrow());
    let denied = unit.command(&mut card, "beeper.mute");
    assert_eq!(denied, Err(CommandError::Refused("add `write = true`".into())));
}
