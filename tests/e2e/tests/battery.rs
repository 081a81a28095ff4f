//! The battery as a program sees it over the API: a string that trips and is
//! reset by a person, a discharge that is kept, a module that is swapped, and
//! orders that are refused with a reason.

use evenkeel_e2e::{Client, ClientError, Options, PATIENCE, Stack};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

/// A trip within a minute, and a record that is complete soon after mains are
/// back.
const SETTINGS: &str = "
[limits.runaway]
trip_c = 45.0
alone_c = 45.0
hold_s = 30.0
after_discharge_s = 0.0
[recorder]
after_return_s = 5
after_minutes = 1
";

fn start(dir: &Path) -> (Stack, Client) {
    let options = Options::for_test(dir).expect("built");
    let mut stack = Stack::start(Options { guard_settings: SETTINGS, ..options }).expect("started");
    let mut client = stack.sign_in().expect("signed in");
    client.await_answer("/api/v1/strings", |s| {
        s.as_array().is_some_and(|s| s.len() == 2)
            && s[0]["blocks"].as_array().is_some_and(|b| b.iter().all(|b| b["quality"] == "good"))
    });
    (stack, client)
}

/// The reason of a refused order.
fn refused(client: &mut Client, order: &Value) -> String {
    match client.post("/api/v1/orders", order) {
        Err(ClientError::Status { status: 409, body, .. }) => {
            let problem: Value = serde_json::from_str(&body).expect("a problem document");
            problem["detail"].as_str().unwrap_or_default().to_owned()
        }
        other => panic!("{order} was answered {other:?}"),
    }
}

fn events(client: &mut Client) -> String {
    client.get("/api/v1/events?limit=1000").expect("answered").to_string()
}

/// Let a thermometer read warmer in steps that a block could follow.
fn warm(stack: &Stack, client: &mut Client, module: usize, from_k: u32, to_k: u32) {
    let celsius = |s: &Value| s[0]["blocks"][module - 1]["temperature_c"].as_f64();
    let strings = client.get("/api/v1/strings").expect("answered");
    let normal = celsius(&strings).expect("measured") - f64::from(from_k);
    for kelvin in (from_k..=to_k).step_by(2).skip(1) {
        stack.control(&format!("module {module} warm {kelvin}")).expect("obeyed");
        let reached = normal + f64::from(kelvin) - 1.0;
        client.await_answer("/api/v1/strings", |s| celsius(s).is_some_and(|c| c > reached));
    }
}

#[test]
fn a_hot_block_trips_its_string_until_a_person_resets_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let (mut stack, mut client) = start(dir.path());
    let reset = json!({"order": "reset", "string": 1});
    assert_eq!(refused(&mut client, &reset), "this string is not tripped");

    warm(&stack, &mut client, 3, 0, 30);
    let strings = client.await_answer("/api/v1/strings", |s| !s[0]["trip"].is_null());
    assert!(strings[1]["trip"].is_null(), "{:#}", strings[1]["trip"]);
    let trip = strings[0]["trip"].as_str().unwrap_or_default();
    assert!(trip.contains("block 3"), "{trip}");
    client.await_answer("/api/v1/strings", |s| s[0]["breaker"] == "open");
    let status = stack.control("status").expect("told");
    assert!(status.contains("string.0.breaker=open"), "{status}");
    assert!(status.contains("string.1.breaker=closed"), "{status}");
    assert_eq!(
        refused(&mut client, &reset),
        "what tripped this string persists; it can be reset once its blocks have cooled"
    );

    // Whoever is killed: the string stays out.
    stack.guard.kill();
    stack.restart_guard().expect("the guard starts again");
    stack.daemon.kill();
    stack.restart_daemon().expect("the daemon starts again");
    let mut client = stack.sign_in().expect("signed in");
    client
        .await_answer("/api/v1/strings", |s| !s[0]["trip"].is_null() && s[0]["breaker"] == "open");

    stack.control("module 3 warm 0").expect("obeyed");
    let cool = |s: &Value| s[0]["blocks"][2]["temperature_c"].as_f64().is_some_and(|c| c < 35.0);
    client.await_answer("/api/v1/strings", cool);
    let accepted = Instant::now() + PATIENCE;
    // Cooled means believed to be cool, in the next scan or two.
    while let Err(error) = client.post("/api/v1/orders", &reset) {
        assert!(Instant::now() < accepted, "{error}");
        std::thread::sleep(Duration::from_millis(200));
    }
    client.await_answer("/api/v1/strings", |s| s[0]["trip"].is_null());
    stack.control("string 0 breaker close").expect("obeyed");
    client.await_answer("/api/v1/strings", |s| s[0]["breaker"] == "closed");
    let events = events(&mut client);
    for said in ["reset the trip of string 1", "cooled"] {
        assert!(events.contains(said), "{said} in {events}");
    }
}

#[test]
fn a_discharge_is_recorded_whole_although_the_daemon_dies_in_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let (mut stack, mut client) = start(dir.path());
    stack.control("mains off").expect("obeyed");
    client.await_answer("/api/v1/strings", |s| {
        s[0]["phase"] == "discharge" && s[0]["current_a"].as_f64() < Some(-0.1)
    });
    stack.daemon.kill();
    stack.restart_daemon().expect("the daemon starts again");
    let mut client = stack.sign_in().expect("signed in");
    let cycles = |g: &Value| g["cycles"].as_u64().unwrap_or(0);
    let begun = cycles(&client.await_answer("/api/v1/guard", |g| cycles(g) > 0));
    client.await_answer("/api/v1/guard", |g| cycles(g) > begun + 10);
    let strings = client.get("/api/v1/strings").expect("answered");
    assert_eq!(strings[0]["phase"], "discharge", "{:#}", strings[0]);
    stack.control("mains on").expect("obeyed");
    let list =
        client.await_answer("/api/v1/discharges", |d| d.as_array().is_some_and(|d| d.len() == 2));
    let of_first = list.as_array().and_then(|l| l.iter().find(|d| d["string"] == 1)).expect("two");
    assert!(of_first["drawn_ah"].as_f64() > Some(0.0), "{of_first:#}");
    assert!(of_first["duration_s"].as_f64() >= Some(10.0), "{of_first:#}");
    assert!(of_first["rows"].as_u64() > Some(10), "{of_first:#}");
    assert_eq!(of_first["joined_late"], false, "{of_first:#}");

    let id = of_first["id"].as_str().expect("an id").to_owned();
    let detail = client.get(&format!("/api/v1/discharges/{id}")).expect("answered");
    let blocks = detail["blocks"].as_array().expect("blocks");
    assert_eq!(blocks.len(), 32);
    for block in blocks {
        let volts = |part: &str| block[part]["v"].as_f64().unwrap_or(f64::NAN);
        assert!(volts("min") < volts("before"), "{block:#}");
        assert!(volts("after") > volts("min"), "{block:#}");
    }
    stack.daemon.kill();
    stack.restart_daemon().expect("the daemon starts again");
    let mut client = stack.sign_in().expect("signed in");
    assert_eq!(client.get("/api/v1/discharges").expect("answered"), list, "kept");
}

#[test]
fn a_module_is_swapped_at_the_press_of_its_button() {
    let dir = tempfile::tempdir().expect("a folder");
    let (stack, mut client) = start(dir.path());
    let discover = json!({"order": "discover", "bus": 1});
    let discovered = |b: &Value| {
        let work = b[0]["work"].as_str().unwrap_or_default();
        !work.is_empty() && !work.starts_with("searching")
    };
    let finding = |b: &Value, wanted: &str| -> Vec<Value> {
        let findings = b[0]["findings"].as_array().expect("findings");
        findings.iter().filter(|f| f["finding"] == wanted).cloned().collect()
    };
    client.post("/api/v1/orders", &discover).expect("obeyed");
    let buses = client.await_answer("/api/v1/buses", discovered);
    assert_eq!(finding(&buses, "present").len(), 69, "{buses:#}");

    stack.control("module 5 replace").expect("obeyed");
    client.await_answer("/api/v1/strings", |s| s[0]["blocks"][4]["quality"] != "good");
    client.post("/api/v1/orders", &discover).expect("obeyed");
    let buses = client
        .await_answer("/api/v1/buses", |b| discovered(b) && !finding(b, "missing").is_empty());
    assert_eq!(finding(&buses, "missing")[0]["address"], 5, "{buses:#}");
    let spare = &finding(&buses, "unaddressed")[0]["serial"];

    client
        .post("/api/v1/orders", &json!({"order": "swap", "bus": 1, "address": 5}))
        .expect("obeyed");
    stack.control("module 5 button on").expect("obeyed");
    let strings =
        client.await_answer("/api/v1/strings", |s| s[0]["blocks"][4]["quality"] == "good");
    assert_eq!(&strings[0]["blocks"][4]["serial"], spare);
    let events = events(&mut client);
    assert!(events.contains("give address 5 of bus 1 to a new module"), "{events}");
}

#[test]
fn what_cannot_be_done_is_refused_with_the_reason() {
    let dir = tempfile::tempdir().expect("a folder");
    let (_stack, mut client) = start(dir.path());
    for (order, why) in [
        (
            json!({"order": "pause", "string": 3, "seconds": 60}),
            "there is no string 3; the strings are 1 to 2",
        ),
        (json!({"order": "pause", "string": 1, "seconds": 0}), "1 to 604800, not 0"),
        (json!({"order": "measure", "string": 1, "block": 33}), "string 1 has no block 33"),
        (json!({"order": "output", "device": 3, "output": 1, "on": true}), "belongs to a breaker"),
        (
            json!({"order": "output", "device": 9, "output": 1, "on": true}),
            "there is no output 1 of device 9",
        ),
        (json!({"order": "discover", "bus": 2}), "there is no bus 2"),
        (json!({"order": "test", "string": 1}), "test"),
    ] {
        let said = refused(&mut client, &order);
        assert!(said.contains(why), "{order}: {said}");
    }
    let events = events(&mut client);
    assert!(events.contains("there is no string 3"), "{events}");
}
