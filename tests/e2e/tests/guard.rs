//! The guard as a process: it goes on whatever happens around it.

use evenkeel_core::command::{self, Answer, Order, Request, VERSION};
use evenkeel_e2e::Stack;
use serde_json::Value;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Instant;

fn block(strings: &Value, string: usize, block: usize) -> &Value {
    &strings[string]["blocks"][block]
}

fn all_good(strings: &Value) -> bool {
    let blocks = |s: &Value| {
        s["blocks"].as_array().is_some_and(|b| b.iter().all(|b| b["quality"] == "good"))
    };
    strings.as_array().is_some_and(|s| s.len() == 2 && s.iter().all(blocks))
}

#[test]
fn killing_the_daemon_costs_no_cycle() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut stack = Stack::for_test(dir.path()).expect("a running stack");
    let mut client = stack.sign_in().expect("signed in");
    let before = client.await_answer("/api/v1/guard", |g| g["cycles"].as_u64() > Some(3));
    let since = Instant::now();
    for _ in 0..5 {
        stack.daemon.kill();
        stack.restart_daemon().expect("the daemon starts again");
    }
    let mut client = stack.sign_in().expect("signed in");
    let cycles = |g: &Value| g["cycles"].as_u64().unwrap_or(0);
    let wanted = cycles(&before) + since.elapsed().as_secs() + 1;
    let after = client.await_answer("/api/v1/guard", |g| cycles(g) >= wanted);
    let passed = cycles(&after) - cycles(&before);
    // One cycle a second: counting starts and ends somewhere inside a cycle.
    assert!(
        since.elapsed().as_secs_f64() - passed as f64 <= 2.0,
        "{passed} cycles in {:?}",
        since.elapsed()
    );
    assert_eq!(after["deadline_misses"], before["deadline_misses"]);
    assert!(
        (after["started_unix_ms"].as_i64().unwrap_or(0)
            - before["started_unix_ms"].as_i64().unwrap_or(0))
        .abs()
            < 50
    );
    stack.guard.check().expect("the guard runs on");
}

#[test]
fn bus_faults_are_shown_and_survived() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut stack = Stack::for_test(dir.path()).expect("a running stack");
    let mut client = stack.sign_in().expect("signed in");
    client.await_answer("/api/v1/strings", all_good);

    stack.control("module 17 vanish on").expect("obeyed");
    let strings = client.await_answer("/api/v1/strings", |s| block(s, 0, 16)["quality"] == "stale");
    assert_eq!(block(&strings, 0, 16)["fault"], "module stopped answering");
    assert_eq!(block(&strings, 0, 16)["duty"], 0.0);
    assert_eq!(block(&strings, 0, 15)["quality"], "good");
    stack.control("module 17 vanish off").expect("obeyed");
    client.await_answer("/api/v1/strings", all_good);

    let bad_before = client.get("/api/v1/guard").expect("answered")["bad_frames"].as_u64();
    stack.control("bus garble 0.2").expect("obeyed");
    client.await_answer("/api/v1/guard", |g| g["bad_frames"].as_u64() > bad_before.map(|n| n + 5));
    stack.control("bus garble 0").expect("obeyed");
    client.await_answer("/api/v1/strings", all_good);

    stack.control("bus unplug").expect("obeyed");
    let guard = client.await_answer("/api/v1/guard", |g| {
        g["conditions"]
            .as_array()
            .is_some_and(|c| c.iter().any(|t| t == "battery bus port is closed or gone"))
    });
    assert_eq!(guard["connected"], true, "the guard itself goes on");
    client.await_answer("/api/v1/strings", |s| block(s, 1, 0)["quality"] == "stale");
    stack.control("bus plug").expect("obeyed");
    client.await_answer("/api/v1/strings", all_good);
    let guard = client.get("/api/v1/guard").expect("answered");
    assert!(guard["port_reopens"].as_u64() >= Some(1), "{guard:#}");

    // Each of these is an event that a person finds later.
    let events = client.get("/api/v1/events?limit=1000").expect("answered").to_string();
    for kind in ["module_lost", "module_back"] {
        assert!(events.contains(kind), "{kind} in {events}");
    }
}

fn ask(socket: &mut UnixStream, request: &Request) -> Answer {
    socket.write_all(&command::encode(request).expect("short")).expect("sent");
    let mut prefix = [0; 2];
    socket.read_exact(&mut prefix).expect("answered");
    let mut body = vec![0; command::body_len(prefix).expect("short")];
    socket.read_exact(&mut body).expect("answered");
    command::decode(&body).expect("an answer")
}

#[test]
fn a_paused_string_sheds_nothing_until_the_pause_ends() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut stack = Stack::for_test(dir.path()).expect("a running stack");
    let mut client = stack.sign_in().expect("signed in");
    let duty = |s: &Value, string: usize| s[string]["mean_duty"].as_f64().unwrap_or(0.0);
    client.await_answer("/api/v1/strings", |s| duty(s, 0) > 0.1 && duty(s, 1) > 0.1);

    let mut socket = UnixStream::connect(dir.path().join("guard/guard.sock")).expect("reached");
    let welcome = ask(&mut socket, &Request::Hello { version: VERSION });
    assert!(matches!(welcome, Answer::Welcome { .. }), "{welcome:?}");
    assert_eq!(
        ask(&mut socket, &Request::Order(Order::Pause { string: 1, seconds: 4 })),
        Answer::Done
    );
    let strings = client.await_answer("/api/v1/strings", |s| duty(s, 0) == 0.0);
    assert_eq!(strings[0]["inhibits"][0], "paused by a user", "{:#}", strings[0]["inhibits"]);
    assert!(duty(&strings, 1) > 0.1, "the other string goes on");
    // The simulated modules obey: nothing is shed by the paused string.
    let status = stack.control("status").expect("told");
    assert!(status.contains("string.0.duty.mean=0.0000"), "{status}");
    client.await_answer("/api/v1/strings", |s| duty(s, 0) > 0.1);
}

#[test]
fn damaged_settings_are_refused_and_the_last_good_ones_go_on() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut stack = Stack::for_test(dir.path()).expect("a running stack");
    // Good are settings with which a cycle ran.
    let mut client = stack.sign_in().expect("signed in");
    client.await_answer("/api/v1/guard", |guard| guard["cycles"].as_u64() > Some(0));
    let settings = dir.path().join("guard/settings.toml");
    let text = std::fs::read_to_string(&settings).expect("readable");
    std::fs::write(&settings, text.replace("blocks = 32", "blocks = 33")).expect("written");
    stack.guard.stop();
    stack.restart_guard().expect("the guard starts with the last good settings");
    let mut client = stack.sign_in().expect("signed in");
    let guard = client.await_answer("/api/v1/guard", |g| {
        g["conditions"].to_string().contains("last good settings in force")
    });
    assert_eq!(guard["connected"], true);
    let log = stack.guard.log();
    assert!(log.contains("settings.toml is refused: damaged"), "{log}");
    client.await_answer("/api/v1/strings", all_good);

    stack.guard.stop();
    std::fs::remove_file(dir.path().join("guard/guard-settings.last-good.toml")).expect("removed");
    let error = stack.restart_guard().expect_err("nothing to stand on").to_string();
    assert!(error.contains("refused") && error.contains("damaged"), "{error}");
}
