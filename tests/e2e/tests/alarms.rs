//! Alarms on the running appliance: raised, acknowledged with a note, still so
//! after the daemon was killed, over when the cause is over; a bus that lost its
//! port, and one whose cable is cut, as one alarm with everything on it; a
//! threshold from its setting to its end; and what is on the disk when an act is
//! answered.

use evenkeel_e2e::{Client, Options, Stack};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

fn start(dir: &Path) -> (Stack, Client) {
    let mut stack = Stack::start(Options::for_test(dir).expect("built")).expect("started");
    let mut client = stack.sign_in().expect("signed in");
    client.await_answer("/api/v1/strings", |s| {
        s.as_array().is_some_and(|s| s.len() == 2)
            && s[0]["blocks"].as_array().is_some_and(|b| b.iter().all(|b| b["quality"] == "good"))
    });
    client.await_answer("/api/v1/points?prefix=ups.0.ups.status", |points| {
        points[0]["value"].as_str().is_some_and(|words| words.contains("OL"))
    });
    (stack, client)
}

fn of<'a>(alarms: &'a Value, kind: &str) -> Option<&'a Value> {
    alarms["alarms"].as_array()?.iter().find(|alarm| alarm["kind"] == kind)
}

fn await_alarm(client: &mut Client, kind: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let is = |alarms: &Value| of(alarms, kind).is_some_and(&wanted);
    let alarms = client.await_answer("/api/v1/alarms", is);
    of(&alarms, kind).expect("just seen").clone()
}

#[test]
fn an_acknowledgement_outlives_the_daemon_and_the_alarm_ends_with_its_cause() {
    let dir = tempfile::tempdir().expect("a folder");
    let (mut stack, mut client) = start(dir.path());
    assert!(of(&client.get("/api/v1/alarms").expect("answered"), "ups-on-battery").is_none());
    stack.control("mains off").expect("obeyed");
    let alarm = await_alarm(&mut client, "ups-on-battery", |alarm| alarm["state"] == "raised");
    assert_eq!(alarm["place"], "ups.0", "{alarm:#}");
    let path = format!("/api/v1/alarms/{}/acknowledge", alarm["id"]);
    let seen = json!({"round": alarm["round"], "note": "the grid is being repaired"});
    client.post(&path, &seen).expect("acknowledged");
    // At once: what was answered is on the disk.
    stack.daemon.kill();
    stack.restart_daemon().expect("the daemon starts again");
    let mut client = stack.sign_in().expect("signed in");
    let first = client.get("/api/v1/alarms").expect("answered");
    let kept = of(&first, "ups-on-battery").expect("still there");
    assert_eq!((&kept["state"], &kept["id"]), (&json!("acknowledged"), &alarm["id"]), "{kept:#}");
    assert_eq!(kept["acknowledged"]["user"], "admin", "{kept:#}");
    assert_eq!(kept["acknowledged"]["note"], "the grid is being repaired", "{kept:#}");
    // And when the UPS is heard again: it was never over.
    client.await_answer("/api/v1/points?prefix=ups.0.ups.status", |points| {
        points[0]["quality"] == "good"
    });
    let kept = await_alarm(&mut client, "ups-on-battery", |_| true);
    assert_eq!(kept["state"], "acknowledged", "{kept:#}");
    stack.control("mains on").expect("obeyed");
    client.await_answer("/api/v1/alarms", |alarms| {
        alarms["alarms"].is_array() && of(alarms, "ups-on-battery").is_none()
    });
    let events = client.get("/api/v1/events?limit=1000").expect("answered").to_string();
    assert!(events.contains("by admin: the grid is being repaired"), "{events}");
}

#[test]
fn a_broken_bus_is_one_alarm_with_everything_on_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let (stack, mut client) = start(dir.path());
    stack.control("bus unplug").expect("obeyed");
    let members = |alarm: &Value| alarm["members"].as_array().map_or(0, Vec::len);
    let alarm = await_alarm(&mut client, "bus-lost", |alarm| members(alarm) > 64);
    assert_eq!((&alarm["place"], &alarm["severity"]), (&json!("bus.1"), &json!("alarm")));
    let places = alarm["members"].to_string();
    assert!(places.contains("string.1.block.1\"") && places.contains("string.2.block.32\""));
    let alarms = client.get("/api/v1/alarms").expect("answered");
    for kind in ["finding.module-lost", "device-lost"] {
        assert!(of(&alarms, kind).is_none(), "{kind} is told beside its cause: {alarms:#}");
    }
    stack.control("bus plug").expect("obeyed");
    await_alarm(&mut client, "bus-lost", |alarm| alarm["state"] == "returned");
    let path = format!("/api/v1/alarms/{}/acknowledge", alarm["id"]);
    client.post(&path, &json!({"note": "plug was loose"})).expect("acknowledged");
    let left = client.get("/api/v1/alarms").expect("answered");
    for kind in ["bus-lost", "finding.module-lost", "device-lost"] {
        assert!(of(&left, kind).is_none(), "{left:#}");
    }
}

/// The kinds of what stands.
fn kinds(alarms: &Value) -> Vec<String> {
    let alarms = alarms["alarms"].as_array().expect("a list").iter();
    alarms.filter_map(|alarm| alarm["kind"].as_str().map(str::to_owned)).collect()
}

#[test]
fn a_cut_cable_is_one_alarm_with_the_modules_behind_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let (stack, mut client) = start(dir.path());
    let before = kinds(&client.get("/api/v1/alarms").expect("answered"));
    stack.control("bus cut 20").expect("obeyed");
    let members = |alarm: &Value| alarm["members"].as_array().map_or(0, Vec::len);
    // Modules 20 to 64, and the cable itself.
    let alarm = await_alarm(&mut client, "cable-broken", |alarm| members(alarm) >= 46);
    assert_eq!(alarm["place"], "bus.1", "{alarm:#}");
    let places = alarm["members"].to_string();
    for (place, is_lost) in [
        ("string.1.block.19", false),
        ("string.1.block.20", true),
        ("string.2.block.1", true),
        ("string.2.block.32", true),
    ] {
        assert_eq!(places.contains(&format!("{place}\"")), is_lost, "{place}: {places}");
    }
    let mut after = kinds(&client.get("/api/v1/alarms").expect("answered"));
    after.retain(|kind| !before.contains(kind));
    assert_eq!(after, ["cable-broken"]);
    stack.control("bus mend").expect("obeyed");
    await_alarm(&mut client, "cable-broken", |alarm| alarm["state"] == "returned");
}

#[test]
fn a_threshold_is_held_told_handled_and_over() {
    const WARM: &str = "limit.block-temperature.high";
    const DELAY_S: u64 = 6;
    let dir = tempfile::tempdir().expect("a folder");
    let (stack, mut client) = start(dir.path());
    let point = "/api/v1/points?prefix=string.1.block.5.temperature";
    let celsius = |points: &Value| points[0]["value"].as_f64().expect("a number");
    let usual = celsius(&client.get(point).expect("answered"));
    let limit = usual + 5.0;
    let rule = json!({ "at": "string.1", "quantity": "block-temperature", "side": "high",
        "warning": limit, "hysteresis": 4.0, "delay_s": DELAY_S, "off_delay_s": 0 });
    client.post("/api/v1/thresholds", &json!({ "thresholds": [rule] })).expect("in force");
    let holds = client.get("/api/v1/thresholds?place=string.1.block.5").expect("answered");
    let holds = holds["effective"].as_array().into_iter().flatten();
    let holds = holds.filter(|of| of["quantity"] == "block-temperature" && of["side"] == "high");
    let holds: Vec<&Value> = holds.collect();
    assert_eq!(holds[0]["hysteresis"], json!({ "value": 4.0, "from": "string.1" }), "{holds:?}");

    stack.control("module 5 warm 7").expect("obeyed");
    client.await_answer(point, |points| celsius(points) > limit);
    let (beyond, alarms) = (Instant::now(), client.get("/api/v1/alarms").expect("answered"));
    assert!(of(&alarms, WARM).is_none(), "at once: {alarms:#}");
    let alarm = await_alarm(&mut client, WARM, |alarm| alarm["state"] == "raised");
    // It was seen beyond a look of the test and one of the alarms late.
    assert!(beyond.elapsed() > Duration::from_secs(DELAY_S - 2), "{:?}", beyond.elapsed());
    assert_eq!((&alarm["place"], &alarm["severity"]), (&json!("string.1"), &json!("warning")));
    let member = &alarm["members"][0];
    assert_eq!((&member["place"], &member["limit"]), (&json!("string.1.block.5"), &json!(limit)));

    let path = |action: &str| format!("/api/v1/alarms/{}/{action}", alarm["id"]);
    let note = json!({ "round": alarm["round"], "note": "the fan is on order" });
    client.post(&path("acknowledge"), &note).expect("acknowledged");
    let shelf = json!({ "seconds": 600, "reason": "until the fan is there" });
    client.post(&path("shelve"), &shelf).expect("shelved");
    await_alarm(&mut client, WARM, |alarm| alarm["state"] == "shelved");
    client.post(&path("unshelve"), &json!({})).expect("unshelved");
    await_alarm(&mut client, WARM, |alarm| alarm["state"] == "raised");
    client.post(&path("acknowledge"), &json!({ "note": "still" })).expect("acknowledged");

    // Below the limit by less than the hysteresis it stands.
    stack.control("module 5 warm 3").expect("obeyed");
    let below = |alarm: &Value| alarm["members"][0]["value"].as_f64().is_some_and(|v| v < limit);
    let stands = await_alarm(&mut client, WARM, below);
    assert_eq!(stands["state"], "acknowledged", "{stands:#}");
    stack.control("module 5 warm 0").expect("obeyed");
    client.await_answer("/api/v1/alarms", |alarms| of(alarms, WARM).is_none());
    let events = client.get("/api/v1/events?limit=1000").expect("answered");
    let mut told: Vec<&str> = Vec::new();
    let of_alarm = |event: &&Value| event.to_string().contains(WARM);
    for event in events.as_array().into_iter().flatten().filter(of_alarm) {
        let words = ["raised", "acknowledged", "unshelved", "shelved", "over"];
        let text = event.to_string();
        let change = words.into_iter().find(|word| text.contains(&format!("\"{word}\"")));
        told.extend(change);
    }
    told.sort_unstable();
    let wanted = ["acknowledged", "acknowledged", "over", "raised", "shelved", "unshelved"];
    assert_eq!(told, wanted, "{events:#}");
    assert!(events.to_string().contains("the fan is on order"), "{events:#}");
}

#[test]
fn what_was_answered_is_in_the_audit_log_whatever_follows() {
    let dir = tempfile::tempdir().expect("a folder");
    let (mut stack, mut client) = start(dir.path());
    let rule = json!({ "at": "system", "quantity": "block-temperature", "side": "high",
        "warning": 61.0 });
    client.post("/api/v1/thresholds", &json!({ "thresholds": [rule] })).expect("in force");
    // At once.
    stack.daemon.kill();
    stack.restart_daemon().expect("the daemon starts again");
    let mut client = stack.sign_in().expect("signed in");
    let log = client.get("/api/v1/audit").expect("answered").to_string();
    assert!(log.contains("set block-temperature high at system, warning 61"), "{log}");
}
