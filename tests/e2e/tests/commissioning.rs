//! The guard's settings on the running appliance: looked at, taken between two
//! cycles, refused while a battery is needed, restored, and the report of what
//! was found.

use evenkeel_e2e::{Client, ClientError, Stack};
use serde_json::{Value, json};

const PATH: &str = "/api/v1/guard/settings";

fn all_good(strings: &Value) -> bool {
    let blocks = |s: &Value| {
        s["blocks"].as_array().is_some_and(|b| b.iter().all(|b| b["quality"] == "good"))
    };
    strings.as_array().is_some_and(|s| !s.is_empty() && s.iter().all(blocks))
}

/// The reason of settings that were refused.
fn refused(client: &mut Client, wish: &Value) -> String {
    match client.post(PATH, wish) {
        Err(ClientError::Status { body, .. }) => {
            let problem: Value = serde_json::from_str(&body).expect("a problem document");
            problem["detail"].as_str().unwrap_or_default().to_owned()
        }
        other => panic!("answered {other:?}"),
    }
}

#[test]
fn strings_are_set_up_over_the_api_while_the_guard_protects() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut stack = Stack::for_test(dir.path()).expect("a running stack");
    let mut client = stack.sign_in().expect("signed in");
    client.await_answer("/api/v1/strings", all_good);
    let first = client.await_answer(PATH, |s| s["hindrances"] == json!([]));
    let text = first["text"].as_str().expect("text").to_owned();
    let wish = |text: &str, seen: &Value| json!({"text": text, "instead_of": seen["number"]});

    // The second string is split in two, and the first gets another name.
    let other = text.replace("name = \"String A\"", "name = \"Room 1\"").replacen(
        "first_address = 33\nblocks = 32",
        "first_address = 33\nblocks = 30",
        1,
    );
    assert_ne!(other, text, "{text}");
    let look = client.post(&format!("{PATH}/preview"), &json!({"text": other})).expect("looked");
    assert!(look["changes"].to_string().contains("blocks becomes 30, was 32"), "{look}");
    let crossed = format!("{text}\n[limits]\nlost_warning_s = 50.0\nlost_alarm_s = 20.0\n");
    let why = refused(&mut client, &wish(&crossed, &first));
    assert!(why.contains("lost_alarm_s"), "{why}");

    let guard = client.get("/api/v1/guard").expect("answered");
    let taken = client.post(PATH, &wish(&other, &first)).expect("taken");
    assert_eq!(taken["text"], json!(other));
    let strings = client.await_answer("/api/v1/strings", |s| {
        all_good(s) && s[1]["blocks"].as_array().is_some_and(|b| b.len() == 30)
    });
    assert_eq!(strings[0]["name"], "Room 1");
    let now = client.await_answer("/api/v1/guard", |g| g["settings_crc"] == taken["number"]);
    assert_eq!(now["deadline_misses"], json!(0), "was {}", guard["deadline_misses"]);
    stack.guard.check().expect("the same process goes on");

    // It is known after a crash, and whoever wants it back gets it.
    stack.guard.kill();
    stack.restart_guard().expect("the guard starts again");
    client.await_answer("/api/v1/strings", |s| all_good(s) && s[0]["name"] == "Room 1");
    let report = client.get("/api/v1/commissioning").expect("a report");
    assert_eq!(report["settings"], taken["number"]);
    assert_eq!((&report["settings_by"], &report["by"]), (&json!("admin"), &json!("admin")));
    assert_eq!(report["buses"][0]["modules"], json!(62));
    // The two modules that nobody asks any more say nothing: they are no strangers.
    let back = json!({"revision": 1});
    client.post("/api/v1/configuration/guard/restore", &back).expect("restored");
    client.await_answer("/api/v1/strings", |s| {
        all_good(s)
            && s[0]["name"] == "String A"
            && s[1]["blocks"].as_array().map(Vec::len) == Some(32)
    });

    // A battery that is needed is left alone.
    stack.control("mains off").expect("obeyed");
    client.await_answer("/api/v1/strings", |s| s[0]["phase"] == "discharge");
    let seen = client.get(PATH).expect("answered");
    let why = refused(&mut client, &wish(&other, &seen));
    assert!(why.contains("feeds its load from the battery"), "{why}");
    let after = client.get(PATH).expect("answered");
    assert_eq!(after["number"], seen["number"]);
    stack.check().expect("everything runs");
}
