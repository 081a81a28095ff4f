//! Drivers of contacts, of the event log and of a USB device on the running
//! appliance: the SDK's examples, built and signed as a vendor does it, installed
//! and granted over the HTTP API. Their points follow the simulated hardware, the
//! guard reports the relay that one switches, what is withdrawn is denied by name,
//! and what is unplugged goes stale.

use evenkeel_e2e::{Client, Options, Stack};
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Where they are on the simulated bus: the auxiliary module of string 1, which is
/// the third device of the guard's settings.
const DOOR: &str = "AUX1.input.2";
const FAN: &str = "AUX1.output.3";
const FAN_POINT: &str = "device.3.output.3";

/// An appliance, and an example to be installed on it.
struct Bench {
    client: Client,
    stack: Stack,
    bundle: Value,
    points: &'static str,
}

/// The example `name` as a bundle, in `dir`.
fn built(options: &Options, dir: &Path, name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk/examples").join(name);
    let said = |words: &[&OsStr]| {
        let mut tool = Command::new(options.programs.join("evenkeel-plugin"));
        tool.args(words).env("CARGO_NET_OFFLINE", "true").env_remove("CARGO_TARGET_DIR");
        let output = tool.output().expect("the tool runs");
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{tool:?}\n{err}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    said(&["build".as_ref(), folder.as_os_str()]);
    let key = options.plugin_key.with_extension("key");
    let sign = [OsStr::new("sign"), "--key".as_ref(), key.as_os_str(), "--out-dir".as_ref()];
    let bundle = said(&[&sign[..], &[dir.as_os_str(), folder.as_os_str()]].concat());
    fs::read(bundle).expect("signed")
}

impl Bench {
    /// A running appliance to which the example `name` was uploaded.
    fn with(options: Options, name: &str, points: &'static str) -> Self {
        let raw = built(&options, &options.dir, name);
        let mut stack = Stack::start(options).expect("a running stack");
        let mut client = stack.sign_in().expect("signed in");
        let bundle = client.post_bytes("/api/v1/bundles", &raw).expect("kept");
        Self { client, stack, bundle, points }
    }

    /// Install it, or change what it may do; the refusal, if it is one.
    fn grant(&mut self, grant: &Value, confirm: &[&str]) -> Result<(), String> {
        let Self { bundle, points, .. } = self;
        let plugin = json!({"name": bundle["name"], "points": points, "grant": grant,
            "confirm": confirm});
        let wish = json!({"plugin": plugin, "bundle": bundle["digest"],
            "consent": bundle["consent"]});
        let done = self.client.post("/api/v1/plugins", &wish);
        done.map(drop).map_err(|refused| refused.to_string())
    }

    /// Wait until a point of its is as wanted.
    fn await_point(&mut self, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let name = format!("{}.{name}", self.points);
        await_point(&mut self.client, &name, wanted)
    }

    fn await_event(&mut self, kind: &str, words: &[&str]) -> Value {
        let is = |event: &&Value| {
            let text = event.to_string();
            event["data"]["kind"] == kind && words.iter().all(|word| text.contains(word))
        };
        let path = "/api/v1/events?limit=1000";
        let told = self.client.await_answer(path, |events| {
            events.as_array().is_some_and(|list| list.iter().any(|event| is(&event)))
        });
        told.as_array().into_iter().flatten().find(is).cloned().unwrap_or_default()
    }

    fn log(&mut self) -> String {
        let path = format!("/api/v1/plugins/{}", self.bundle["name"].as_str().expect("a name"));
        self.client.get(&path).expect("answered")["log"].to_string()
    }
}

fn await_point(client: &mut Client, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let of = |points: &Value| {
        let mut points = points.as_array().into_iter().flatten();
        points.find(|point| point["name"] == name).cloned()
    };
    let path = format!("/api/v1/points?prefix={name}");
    let points = client.await_answer(&path, |points| of(points).is_some_and(|p| wanted(&p)));
    of(&points).unwrap_or_default()
}

fn is(value: impl Into<Value>) -> impl Fn(&Value) -> bool {
    let value = value.into();
    move |point| point["quality"] == "good" && point["value"] == value
}

fn is_stale(point: &Value) -> bool {
    point["quality"] == "stale"
}

#[test]
fn contacts_are_followed_and_switched_and_events_are_heard_and_raised() {
    let dir = tempfile::tempdir().expect("a folder");
    let options = Options::for_test(dir.path()).expect("built");
    let mut bench = Bench::with(options, "room", "ups.7");
    let granted = json!({
        "contacts": {"door": DOOR, "fan": {"at": FAN, "switch": true}},
        "events": {"log": {"least": "alarm", "raise": "warning"}},
    });
    // A relay is a danger: it is named, and switched for nobody before the second word.
    let said = bench.grant(&granted, &[]).expect_err("a second word is missing");
    assert!(said.contains("contacts.fan.switch") && said.contains(FAN), "{said}");
    bench.grant(&granted, &["contacts.fan.switch"]).expect("installed");

    bench.await_point("experimental.door.closed", is(false));
    bench.stack.control("device 1027 input 2 closed").expect("obeyed");
    bench.await_point("experimental.door.closed", is(true));
    bench.stack.control("device 1027 input 2 open").expect("obeyed");
    bench.await_point("experimental.door.closed", is(false));
    let warned = bench.await_event("plugin_said", &["door_open", "The door of the battery room"]);
    assert_eq!((&warned["severity"], &warned["data"]["name"]), (&json!("warning"), &json!("room")));

    // An alarm is an event of the host that the driver waits for. This one takes the
    // contacts away too, until the guard is back.
    bench.await_point("experimental.fan.on", is(false));
    bench.stack.guard.kill();
    bench.await_event("guard_lost", &[]);
    bench.await_point("experimental.door.closed", is_stale);
    bench.stack.restart_guard().expect("starts again");
    bench.await_point("experimental.fan.on", is(true));
    await_point(&mut bench.client, FAN_POINT, is(true));
    let truth = bench.stack.control("status").expect("told");
    assert!(truth.lines().any(|line| line == "device.1027.outputs=4"), "{truth}");
    bench.await_event("commanded", &["plugin room", "device.3", "output.3", "on"]);
    assert!(bench.log().contains("ventilates because of"), "{}", bench.log());

    what_is_withdrawn_is_denied_by_name(&mut bench);

    // The cable is pulled at the far end.
    bench.await_point("experimental.door.closed", is(true));
    bench.stack.sim.kill();
    for point in ["experimental.door.closed", "experimental.fan.on"] {
        assert_eq!(bench.await_point(point, is_stale)["value"], json!(true), "as it was last");
    }
    assert!(bench.log().contains("does not answer"), "{}", bench.log());
    let status = bench.client.get("/api/v1/plugins/room").expect("answered")["status"].clone();
    assert_eq!((&status["state"], &status["traps"]), (&json!("running"), &json!(0)), "{status:#}");
    bench.stack.guard.check().expect("it runs");
    bench.stack.daemon.check().expect("it runs");
}

/// The new copy has heard of no alarm and wants the fan off, which it may no more;
/// nor may it warn.
fn what_is_withdrawn_is_denied_by_name(bench: &mut Bench) {
    let none = json!({"contacts": {"door": DOOR}, "events": {"log": "alarm"}});
    let said = bench.grant(&none, &[]).expect_err("it asks for it");
    assert!(said.contains("\\\"fan\\\"") && said.contains("grant.contacts.fan"), "{said}");
    let less = json!({"contacts": {"door": DOOR, "fan": FAN}, "events": {"log": "alarm"}});
    bench.grant(&less, &[]).expect("to be read needs no second word");
    let words = ["room", "contact granted for reading only", "fan", FAN];
    bench.await_event("plugin_denied", &words);
    bench.stack.control("device 1027 input 2 closed").expect("obeyed");
    bench.await_point("experimental.door.closed", is(true));
    bench.stack.control("device 1027 input 2 open").expect("obeyed");
    bench.await_event("plugin_denied", &["room", "severity of events not granted"]);
    bench.stack.control("device 1027 input 2 closed").expect("obeyed");
    await_point(&mut bench.client, FAN_POINT, is(true));
    bench.await_point("experimental.fan.on", is(true));
}

#[test]
fn a_usb_device_is_read_written_to_as_granted_and_found_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let (stick, says) = (dir.path().join("hidraw0"), dir.path().join("stick"));
    let reads = |words: &str| {
        let fresh = says.with_extension("new");
        fs::write(&fresh, format!("{words}\n")).expect("written");
        fs::rename(fresh, &says).expect("replaced");
    };
    reads("present 23.94");
    let mut options = Options::for_test(dir.path()).expect("built");
    let peer = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/hidraw.py");
    let words = ["/usr/bin/python3".into(), peer, stick.clone(), says.clone()];
    options.daemon_through = words.map(Into::into).to_vec();
    let mut bench = Bench::with(options, "thermometer", "ups.8");
    let granted = json!({"hid": {"stick": {"at": stick, "write": true}}});
    let said = bench.grant(&granted, &[]).expect_err("a second word is missing");
    assert!(said.contains("hid.stick.write"), "{said}");
    bench.grant(&granted, &["hid.stick.write"]).expect("installed");

    const POINT: &str = "experimental.room.temperature";
    assert_eq!(bench.await_point(POINT, is(23.94))["unit"], "°C");
    reads("present -3.5");
    bench.await_point(POINT, is(-3.5));

    // Read alone it may still be, and it answers only when it is asked.
    bench.grant(&json!({"hid": {"stick": stick}}), &[]).expect("taken back");
    let words = ["thermometer", "USB device not granted to be written to", "hidraw0"];
    bench.await_event("plugin_denied", &words);
    bench.await_point(POINT, is_stale);
    bench.grant(&granted, &["hid.stick.write"]).expect("given back");
    bench.await_point(POINT, is(-3.5));

    reads("absent");
    assert_eq!(bench.await_point(POINT, is_stale)["value"], json!(-3.5), "as it was last");
    assert!(bench.log().contains("device lost"), "{}", bench.log());
    reads("present 31.25");
    bench.await_point(POINT, is(31.25));
    let status = bench.client.get("/api/v1/plugins/thermometer").expect("answered");
    let status = &status["status"];
    assert_eq!((&status["state"], &status["traps"]), (&json!("running"), &json!(0)), "{status:#}");
    // This copy, which had its grant back, has read two temperatures at the least.
    assert!(status["traffic"]["usb_received"].as_u64() >= Some(2 * 9), "{status:#}");
    bench.stack.check().expect("all programs run");
}
