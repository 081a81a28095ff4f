//! Alarms on the running appliance: raised, acknowledged with a note, still so
//! after the daemon was killed, over when the cause is over; and a bus that
//! lost its port as one alarm with everything on it.

use evenkeel_e2e::{Client, Options, Stack};
use serde_json::{Value, json};
use std::path::Path;

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
