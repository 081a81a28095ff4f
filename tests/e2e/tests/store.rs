//! What the daemon keeps, and what it tells of itself: killed under load,
//! audited, and read by other people's monitoring.

use evenkeel_e2e::{Client, Missing, Options, Stack, Witness};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::File;
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
    let mut options = Options::for_test(dir.path()).expect("built");
    options.history_period_s = Some(1);
    let mut stack = Stack::start(options).expect("a running stack");
    let mut client = stack.sign_in().expect("signed in");
    let before = await_guard(&mut client);
    client.await_answer("/api/v1/history/points?name=ups.0.input.voltage", |past| {
        past["unix_ms"].as_array().is_some_and(|rows| rows.len() >= 3)
    });
    let mut witness = Witness::default();
    for round in 0..5 {
        // Another moment of the store's work each time.
        let busy = Duration::from_millis(1_500 + 137 * round);
        witness.keep_busy(&mut client, busy).expect("events can be read");
        stack.daemon.kill();
        stack.restart_daemon().expect("the daemon starts again");
        client = stack.sign_in().expect("signed in");
        let missing = witness.missing(&mut client).expect("events can be read");
        assert_eq!(missing, Missing::default(), "after kill {round}");
    }
    // However slow the machine: some in each round.
    let (seen, taken) = (witness.seen(), witness.taken());
    println!("events, audit entries, rows, values, jobs: {seen:?}; {taken} settings; 5 kills");
    assert!(taken >= 5 && seen.iter().all(|kind| *kind >= 3), "{seen:?}, {taken} settings");
    let after = await_guard(&mut client);
    assert_eq!(after["deadline_misses"], before["deadline_misses"]);
    let log = export(&mut client);
    assert!(verify(dir.path(), &log, None).status.success(), "the audit log is whole, too");
}

#[test]
fn the_log_as_json_is_an_object_a_line() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut options = Options::for_test(dir.path()).expect("built");
    options.json_log = true;
    let mut stack = Stack::start(options).expect("a running stack");
    let mut client = stack.sign_in().expect("signed in");
    await_guard(&mut client);
    client.post("/api/v1/orders", &json!({"order": "mute"})).expect("muted");
    stack.daemon.stop();
    let log = stack.daemon.log();
    // The one line for who started it, which is no part of the log.
    let lines = log.lines().filter(|line| !line.starts_with("evenkeeld ready "));
    let mut levels = BTreeSet::new();
    for line in lines {
        let said: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        for field in ["timestamp", "level", "target", "message"] {
            assert!(said[field].is_string(), "{field} in {line}");
        }
        levels.insert(said["level"].as_str().unwrap_or_default().to_owned());
    }
    assert!(levels.contains("INFO"), "{levels:?}");
}

/// Takes all room that there is, until it is dropped or told otherwise.
struct Filler(PathBuf);

impl Filler {
    /// Take what is left.
    fn fill(&self) {
        let file = File::options().create(true).append(true).open(&self.0);
        let Ok(mut file) = file else { return };
        // The last write is a short one, or none.
        while file.write(&[0x55; 4_096]).is_ok_and(|bytes| bytes > 0) {}
    }

    fn make_room(&self) {
        std::fs::remove_file(&self.0).expect("it is there");
    }
}

#[test]
fn a_full_disk_is_told_costs_history_first_and_loses_nothing_else() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut options = Options::for_test(dir.path()).expect("built");
    (options.history_period_s, options.data_bytes) = (Some(1), Some(32 << 20));
    let mut stack = Stack::start(options).expect("a running stack");
    let mut client = stack.sign_in().expect("signed in");
    await_guard(&mut client);
    let mut witness = Witness::default();
    witness.keep_busy(&mut client, Duration::from_secs(5)).expect("it can be read");
    let filler = Filler(stack.data().join("filler"));
    let deadline = Instant::now() + Duration::from_secs(120);
    // What the store gives up for others, somebody else takes.
    loop {
        filler.fill();
        // Once it is full, what lies there cannot be read either.
        let _ = witness.keep_busy(&mut client, Duration::from_millis(500));
        let store = client.get("/api/v1/store").expect("answered");
        if store["error"].is_string() {
            break;
        }
        assert!(Instant::now() < deadline, "the disk never was full: {store:#}");
    }
    client.await_answer("/api/v1/alarms", |alarms| {
        let alarms = alarms["alarms"].as_array();
        alarms.is_some_and(|list| list.iter().any(|alarm| alarm["kind"] == "store-failed"))
    });
    let page = client.get_text("/", None).expect("a page");
    assert!(page.contains("The store cannot be written"), "{page}");
    let refused = client.post("/api/v1/automation", &json!({"toml": "lang = 'de'\n"}));
    let refused = refused.expect_err("it cannot be kept").to_string();
    assert!(refused.contains("503") && refused.contains("store"), "{refused}");

    filler.make_room();
    client.await_answer("/api/v1/store", |store| {
        store["error"].is_null() && store["unsaved_events"] == 0
    });
    let log = export(&mut client);
    assert!(log.contains("drop the oldest history"), "{log}");
    assert!(verify(dir.path(), &log, None).status.success(), "the audit log is whole");
    let events = client.get("/api/v1/events?limit=1000").expect("answered").to_string();
    for kind in ["store_failed", "store_recovered"] {
        assert!(events.contains(kind), "{kind} in {events}");
    }
    witness.keep_busy(&mut client, Duration::from_secs(1)).expect("it can be read");
    stack.daemon.kill();
    stack.restart_daemon().expect("the daemon starts again");
    let mut client = stack.sign_in().expect("signed in");
    let missing = witness.missing(&mut client).expect("it can be read");
    // History went to make room; that is what it is for.
    let missing = Missing { rows: Vec::new(), values: Vec::new(), ..missing };
    assert_eq!(missing, Missing::default());
}

/// Pages of the file that hold events about orders get other bytes.
fn damage(store: &Path) -> usize {
    const PAGE: usize = 4_096;
    let mut bytes = std::fs::read(store).expect("a store");
    let word = br#""kind":"ordered""#;
    let mut hit = 0;
    // The first page says where everything is.
    for page in bytes.chunks_mut(PAGE).skip(1) {
        if let Some(at) = page.windows(word.len()).position(|part| part == word) {
            page[at..at + word.len()].fill(0xaa);
            hit += 1;
        }
    }
    std::fs::write(store, bytes).expect("written");
    hit
}

#[test]
fn a_store_that_is_damaged_while_nobody_looks_is_salvaged_and_says_what_is_lost() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut options = Options::for_test(dir.path()).expect("built");
    options.history_period_s = Some(1);
    let mut stack = Stack::start(options).expect("a running stack");
    let mut client = stack.sign_in().expect("signed in");
    await_guard(&mut client);
    let mut witness = Witness::default();
    witness.keep_busy(&mut client, Duration::from_secs(4)).expect("it can be read");
    stack.daemon.stop();
    let store = stack.data().join("evenkeel.redb");
    assert!(damage(&store) > 0, "the events were found");
    stack.restart_daemon().expect("the daemon starts");
    // The users are there, and the password that was chosen.
    let mut client = stack.sign_in().expect("signed in");
    let events = client.get("/api/v1/events?limit=1000").expect("answered");
    let mut events = events.as_array().into_iter().flatten();
    let told = events.find(|event| event["data"]["kind"] == "store_salvaged").expect("told");
    let tables = told["data"]["tables"].as_array().expect("tables");
    let lost = |wanted: fn(&str) -> bool| {
        let own = tables.iter().filter(|t| t["table"].as_str().is_some_and(wanted));
        own.filter_map(|table| table["lost"].as_u64()).sum::<u64>()
    };
    assert!(lost(|name| name.starts_with("events")) > 0, "{told:#}");
    assert_eq!(lost(|name| !name.starts_with("events")), 0, "{told:#}");
    let kept = told["data"]["moved_to"].as_str().expect("a name");
    assert!(stack.data().join(kept).exists(), "{kept}");
    let page = client.get_text("/events", None).expect("a page");
    assert!(page.contains("Store was damaged"), "{page}");
    let missing = witness.missing(&mut client).expect("it can be read");
    assert!(!missing.events.is_empty(), "what was lost is lost");
    let missing = Missing { events: Vec::new(), ..missing };
    assert_eq!(missing, Missing::default(), "and nothing else");
    witness = Witness::default();
    witness.keep_busy(&mut client, Duration::from_secs(1)).expect("it goes on");
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
