//! What the daemon keeps, and what it tells of itself: killed under load,
//! audited, and read by other people's monitoring.

use evenkeel_e2e::{Client, Options, Stack, Witness};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// SHA-256 of the token `metrics`.
const BEARER: &str = "[metrics]\nbearer_sha256 = \
    \"177a7ea3611fe6b138557deaf44941614b66c0ece1766308044c8b65c8ba2123\"\n";

/// `target`, where the tests run from.
fn target() -> PathBuf {
    let test = std::env::current_exe().expect("this test");
    test.ancestors().nth(3).expect("target/debug/deps/<test>").to_owned()
}

fn await_guard(client: &mut Client) -> Value {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match client.get("/api/v1/guard") {
            Ok(guard) if guard["cycles"].as_u64() > Some(3) => return guard,
            answer => assert!(Instant::now() < deadline, "{answer:?}"),
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn what_was_shown_outlives_kills_and_the_guard_misses_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut stack = Stack::for_test(dir.path()).expect("a running stack");
    let mut client = stack.sign_in().expect("signed in");
    let before = await_guard(&mut client);
    let mut witness = Witness::default();
    for round in 0..5 {
        // Another moment of the store's work each time.
        let busy = Duration::from_millis(1_500 + 137 * round);
        witness.keep_busy(&mut client, busy).expect("events can be read");
        stack.daemon.kill();
        stack.restart_daemon().expect("the daemon starts again");
        client = stack.sign_in().expect("signed in");
        let missing = witness.missing(&mut client).expect("events can be read");
        assert_eq!(missing, [] as [u64; 0], "after kill {round}");
    }
    // However slow the machine: some in each round.
    assert!(witness.seen() >= 10, "{} events", witness.seen());
    let after = await_guard(&mut client);
    assert_eq!(after["deadline_misses"], before["deadline_misses"]);
    let log = export(&mut client);
    assert!(verify(dir.path(), &log, None).status.success(), "the audit log is whole, too");
}

fn export(client: &mut Client) -> String {
    client.get_text("/api/v1/audit/export", None).expect("an export")
}

fn verify(dir: &Path, log: &str, key: Option<&str>) -> Output {
    let file = dir.join("audit.jsonl");
    std::fs::write(&file, log).expect("written");
    let mut command = Command::new(target().join("debug/evenkeel"));
    command.args(["audit", "verify"]).arg(&file);
    if let Some(key) = key {
        command.args(["--key", key]);
    }
    command.output().expect("the tool is built")
}

#[test]
fn what_people_do_is_in_the_audit_log_and_tampering_shows() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut stack = Stack::for_test(dir.path()).expect("a running stack");
    let mut client = stack.sign_in().expect("signed in");
    await_guard(&mut client);
    client.post("/api/v1/orders", &json!({"order": "mute"})).expect("muted");
    let wrong = json!({"order": "reset", "string": 1});
    client.post("/api/v1/orders", &wrong).expect_err("there is nothing to reset");
    let wrong = json!({"target": "nobody", "command": "beeper.mute"});
    client.post("/api/v1/commands", &wrong).expect_err("there is nobody");
    let log = export(&mut client);
    let key = client.get("/api/v1/store").expect("told")["audit_key"].clone();
    let key = key.as_str().expect("a key");

    for (what, times) in [
        (r#""what":"sign in","result":"done""#, 1),
        (r#""what":"change the own password","result":"done""#, 1),
        (r#""what":"mute the buzzer","result":"done""#, 1),
        (r#""what":"reset the trip of string 1","result":""#, 1),
        (r#""what":"POST /api/v1/commands","result":"refused with status 404""#, 1),
        (r#""what":"POST /api/v1/orders""#, 0),
        (r#""what":"export the audit log","result":"done""#, 1),
    ] {
        assert_eq!(log.matches(what).count(), times, "{what} in\n{log}");
    }
    let good = verify(dir.path(), &log, Some(key));
    let said = String::from_utf8_lossy(&good.stdout);
    assert!(good.status.success() && said.contains("verified"), "{said}");
    let lines: Vec<&str> = log.lines().collect();
    let without = |n: usize| [&lines[..n], &lines[n + 1..]].concat().join("\n") + "\n";
    for (tampered, word) in [
        (log.replacen("mute the buzzer", "do nothing", 1), "altered"),
        (without(3), "removed"),
        (lines[..lines.len() - 1].join("\n") + "\n", "cut off"),
        (without(lines.len() - 2), "removed or forged"),
    ] {
        let bad = verify(dir.path(), &tampered, Some(key));
        let said = String::from_utf8_lossy(&bad.stderr);
        assert!(!bad.status.success() && said.contains(word), "{word}: {said}");
    }
}

/// What the parser of the Prometheus client library makes of a page.
fn understood(page: &str) -> Value {
    let mut parser = Command::new(target().join("python/bin/python"))
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/peers/openmetrics.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python is installed");
    // It reads everything before it writes anything.
    parser.stdin.take().expect("piped").write_all(page.as_bytes()).expect("read");
    let output = parser.wait_with_output().expect("it ends");
    assert!(output.status.success(), "refused:\n{page}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn prometheus_reads_everything_with_the_token_and_nothing_without() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut options = Options::for_test(dir.path()).expect("built");
    options.daemon_settings = BEARER.to_owned();
    let mut stack = Stack::start(options).expect("a running stack");
    let mut client = stack.sign_in().expect("signed in");
    await_guard(&mut client);
    let mut anonymous =
        Client::new(stack.address(), &stack.certificate().expect("there")).expect("a client");
    for (bearer, opens) in [(None, false), (Some("metricz"), false), (Some("metrics"), true)] {
        let answer = anonymous.get_text("/metrics", bearer);
        assert_eq!(answer.is_ok(), opens, "{bearer:?}: {answer:?}");
    }
    anonymous.get_text("/api/v1/points", Some("metrics")).expect_err("it opens nothing else");

    let deadline = Instant::now() + Duration::from_secs(60);
    let families = loop {
        let families = understood(&client.get_text("/metrics", None).expect("a page"));
        if families["evenkeel_ups_ups_load_ratio"].is_object() {
            break families;
        }
        assert!(Instant::now() < deadline, "the UPS never appeared: {families:#}");
        std::thread::sleep(Duration::from_millis(500));
    };
    let sample = |family: &str, sample: &str| {
        families[family]["samples"][sample].as_f64().unwrap_or(f64::NAN)
    };
    let volts = "evenkeel_block_voltage_volts";
    assert_eq!(families[volts]["unit"], "volts");
    assert_eq!(families[volts]["samples"].as_object().map(serde_json::Map::len), Some(64));
    let block = sample(volts, "evenkeel_block_voltage_volts{block=17,string=2}");
    assert!((11.0..15.0).contains(&block), "{block} V");
    assert_eq!(families["evenkeel_guard_cycles"]["type"], "counter");
    assert!(sample("evenkeel_guard_cycles", "evenkeel_guard_cycles_total{}") > 3.0);
    assert_eq!(sample("evenkeel_plugin_running", "evenkeel_plugin_running{plugin=megatec}"), 1.0);
    let written = "evenkeel_store_written_bytes";
    assert!(sample(written, "evenkeel_store_written_bytes_total{class=events}") > 0.0);
    assert!(sample("process_resident_memory_bytes", "process_resident_memory_bytes{}") > 1e6);
    assert_eq!(sample("evenkeel_scrape_left_out", "evenkeel_scrape_left_out{}"), 0.0);
}
