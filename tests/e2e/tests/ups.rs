//! The UPS through its plugin: the same values as NUT's own driver, and an
//! honest picture when the unit or its line misbehaves.

use evenkeel_e2e::{Client, Stack};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

fn points(client: &mut Client) -> BTreeMap<String, Value> {
    let answer = client.get("/api/v1/points?prefix=ups.0").expect("answered");
    let list = answer.as_array().cloned().unwrap_or_default();
    list.into_iter()
        .filter_map(|p| Some((p["name"].as_str()?.strip_prefix("ups.0.")?.to_owned(), p)))
        .collect()
}

fn await_points(
    client: &mut Client,
    what: &str,
    wanted: impl Fn(&BTreeMap<String, Value>) -> bool,
) {
    let deadline = Instant::now() + Duration::from_secs(40);
    while Instant::now() < deadline {
        if wanted(&points(client)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    panic!("{what} never came; last {:#?}", points(client));
}

fn quality_is(wanted: &'static str) -> impl Fn(&BTreeMap<String, Value>) -> bool {
    move |points| points.get("input.voltage").is_some_and(|p| p["quality"] == wanted)
}

/// What NUT's driver makes of the unit at `port`.
fn nut(dir: &Path, port: &Path) -> BTreeMap<String, String> {
    let state = dir.join("nut");
    std::fs::create_dir_all(&state).expect("a folder");
    let config = format!(
        "maxretry = 1\n[ups]\n  driver = nutdrv_qx\n  port = {}\n  protocol = megatec\n  pollinterval = 1\n",
        port.display()
    );
    std::fs::write(state.join("ups.conf"), config).expect("written");
    let driver = ["/lib/nut/nutdrv_qx", "/usr/lib/nut/nutdrv_qx"]
        .into_iter()
        .find(|p| Path::new(p).exists())
        .expect("nut-server is installed: run `cargo xtask test`");
    let output = Command::new("timeout")
        .args(["60", driver, "-a", "ups", "-d", "2", "-u", "root"])
        .env("NUT_CONFPATH", &state)
        .env("NUT_STATEPATH", &state)
        .env("NUT_ALTPIDPATH", &state)
        .output()
        .expect("the driver runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let variables: BTreeMap<String, String> = text
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect();
    assert!(
        variables.contains_key("ups.status"),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    variables
}

fn unix_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.expect("the clock is after 1970").as_millis() as u64
}

/// Variables that describe NUT's driver and not the unit.
fn is_about_nut(name: &str) -> bool {
    name.starts_with("driver.")
        || name == "device.type"
        || name.starts_with("ups.delay")
        || name.starts_with("ups.timer")
        || name == "ups.start.auto"
}

#[test]
fn nut_reads_the_same_unit_and_agrees() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut stack = Stack::for_test(dir.path()).expect("a running stack");
    let mut client = stack.sign_in().expect("signed in");
    await_points(&mut client, "a good value", quality_is("good"));
    for situation in ["mains on", "mains off", "ups 0 input 195"] {
        stack.control("ups 0 freeze off").expect("obeyed");
        stack.control(situation).expect("obeyed");
        stack.control("ups 0 freeze on").expect("obeyed");
        let frozen_ms = unix_ms();
        let theirs = nut(dir.path(), &dir.path().join("hw/ups0b"));
        // A poll that began before the freeze may still be under way.
        await_points(&mut client, "a poll of the frozen unit", |points| {
            let read_ms = points.get("battery.voltage").and_then(|p| p["unix_ms"].as_u64());
            read_ms > Some(frozen_ms + 1_000)
        });
        let ours = points(&mut client);
        let mut compared = 0;
        for (name, value) in theirs.iter().filter(|(name, _)| !is_about_nut(name)) {
            let Some(point) = ours.get(name) else {
                panic!("{situation}: NUT has {name} = {value}, we do not");
            };
            let same = match (point["value"].as_f64(), value.parse::<f64>()) {
                (Some(a), Ok(b)) => (a - b).abs() < 1e-6,
                _ => point["value"].as_str().map(str::trim) == Some(value),
            };
            assert!(same, "{situation}: {name}: NUT says {value}, we say {}", point["value"]);
            compared += 1;
        }
        println!("{situation}: {compared} variables agree with nutdrv_qx");
        assert!(compared >= 12, "{situation}: only {compared} in common: {theirs:#?}");
        if situation == "mains off" {
            stack.control("mains on").expect("obeyed");
        }
    }
}

#[test]
fn a_unit_that_misbehaves_is_never_shown_as_good() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut stack = Stack::for_test(dir.path()).expect("a running stack");
    let mut client = stack.sign_in().expect("signed in");
    await_points(&mut client, "a good value", quality_is("good"));
    for (fault, cure) in [
        ("ups 0 silence on", "ups 0 silence off"),
        ("ups 0 nonsense on", "ups 0 nonsense off"),
        ("ups 0 cut on", "ups 0 cut off"),
        ("ups 0 unplug", "ups 0 plug"),
    ] {
        stack.control(fault).expect("obeyed");
        await_points(&mut client, fault, quality_is("stale"));
        stack.control(cure).expect("obeyed");
        await_points(&mut client, cure, quality_is("good"));
    }
    let plugins = client.get("/api/v1/plugins").expect("answered");
    let mut list = plugins.as_array().into_iter().flatten();
    let megatec = list.find(|plugin| plugin["name"] == "megatec").expect("listed");
    assert_eq!(megatec["state"], "running", "{plugins:#}");
    assert_eq!(megatec["traps"], 0, "the plugin lives through all of it");
}

#[test]
fn going_on_battery_and_back_are_events() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut stack = Stack::for_test(dir.path()).expect("a running stack");
    let mut client = stack.sign_in().expect("signed in");
    let status = |wanted: &'static str| {
        move |p: &BTreeMap<String, Value>| {
            p.get("ups.status")
                .and_then(|s| s["value"].as_str())
                .is_some_and(|s| s.split(' ').any(|w| w == wanted))
        }
    };
    await_points(&mut client, "on mains", status("OL"));
    stack.control("mains off").expect("obeyed");
    await_events(&mut client, "on battery", |events| events.contains("ups_on_battery"));
    assert!(status("OB")(&points(&mut client)));
    stack.control("mains on").expect("obeyed");
    // Oldest first: back on mains comes after on battery.
    await_events(&mut client, "back on mains", |events| {
        events.rfind("ups_on_mains") > events.find("ups_on_battery")
    });
}

fn await_events(client: &mut Client, what: &str, wanted: impl Fn(&str) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let events = client.get("/api/v1/events?limit=1000").expect("answered").to_string();
        if wanted(&events) {
            return;
        }
        assert!(Instant::now() < deadline, "not {what} in {events}");
        std::thread::sleep(Duration::from_millis(200));
    }
}
