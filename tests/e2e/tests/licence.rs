//! What a licence gates and what it never does: values over the LC edition are
//! withheld and come back with a key, at once and offline; a hot block that is
//! over the licence is told and trips all the same.

use evenkeel_e2e::{Client, ClientError, Options, Stack};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

const OVER: &str = "over the licence: watched for safety only";

/// A trip within a minute.
const SETTINGS: &str = "
[limits.runaway]
trip_c = 45.0
alone_c = 45.0
hold_s = 30.0
";

/// A stack without a licence, whose gate has judged that.
fn unlicensed(dir: &Path) -> (Stack, Client, Options) {
    let options = Options {
        licensed: false,
        guard_settings: SETTINGS,
        ..Options::for_test(dir).expect("built")
    };
    let mut stack = Stack::start(options.clone()).expect("a running stack");
    let mut client = stack.sign_in().expect("signed in");
    let judged = |l: &Value| l["judged_by"].as_str().is_some_and(|by| by.starts_with("licence-lc"));
    client.await_answer("/api/v1/licence", judged);
    client.await_answer("/api/v1/strings", |s| shown(s) >= 24);
    (stack, client, options)
}

/// All blocks of all strings, in order.
fn blocks(strings: &Value) -> Vec<&Value> {
    let strings = strings.as_array().into_iter().flatten();
    strings.flat_map(|string| string["blocks"].as_array().into_iter().flatten()).collect()
}

/// Blocks with a voltage.
fn shown(strings: &Value) -> usize {
    blocks(strings).iter().filter(|block| block["voltage_mv"].is_number()).count()
}

/// A licence that the tool makes.
fn licence(options: &Options, key: &Path, serial: &str, more: &[&str]) -> Vec<u8> {
    let dir = tempfile::tempdir().expect("a folder");
    let out = dir.path().join("x.evkl");
    let made = Command::new(options.programs.join("evenkeel-plugin"))
        .args(["licence", "--serial", serial, "--customer", "Harbour", "--id", "17"])
        .args(more)
        .arg("--key")
        .arg(key)
        .arg("--out")
        .arg(&out)
        .output()
        .expect("the tool runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    fs::read(out).expect("written")
}

/// A licence key that nobody trusts.
fn stranger(options: &Options, dir: &Path) -> PathBuf {
    let key = dir.join("stranger.key");
    let made = Command::new(options.programs.join("evenkeel-plugin"))
        .args(["keygen", "--role", "licence", "--name", "stranger", "--out"])
        .arg(&key)
        .output()
        .expect("the tool runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    key
}

fn serial(client: &mut Client) -> String {
    let licence = client.get("/api/v1/licence").expect("answered");
    licence["serial"].as_str().expect("a serial number").to_owned()
}

/// The status and the reason of a refused upload.
fn refused(client: &mut Client, raw: &[u8]) -> (u16, String) {
    match client.post_bytes("/api/v1/licence", raw) {
        Err(ClientError::Status { status, body, .. }) => (status, body),
        other => panic!("was answered {other:?}"),
    }
}

fn events(client: &mut Client) -> String {
    client.get("/api/v1/events?limit=1000").expect("answered").to_string()
}

/// Let a thermometer read warmer in steps that a block could follow, each for
/// some scans: what it reads is not shown.
fn warm_unseen(stack: &Stack, client: &mut Client, module: usize, to_k: u32) {
    for kelvin in (0..=to_k).step_by(2).skip(1) {
        stack.control(&format!("module {module} warm {kelvin}")).expect("obeyed");
        let cycles = |guard: &Value| guard["cycles"].as_u64().unwrap_or(0);
        let now = cycles(&client.get("/api/v1/guard").expect("answered"));
        client.await_answer("/api/v1/guard", |guard| cycles(guard) >= now + 4);
    }
}

#[test]
fn without_a_licence_the_first_24_blocks_are_shown_and_all_are_protected() {
    let dir = tempfile::tempdir().expect("a folder");
    let (stack, mut client, _) = unlicensed(dir.path());
    let licence = client.get("/api/v1/licence").expect("answered");
    assert_eq!((&licence["edition"], &licence["blocks"]), (&json!("LC"), &json!(24)));
    assert_eq!((&licence["ups_va"], &licence["blocks_over"]), (&json!(6_000), &json!(40)));
    assert_eq!(licence["reason"], "no licence is installed");

    let strings = client.get("/api/v1/strings").expect("answered");
    let blocks = blocks(&strings);
    assert_eq!((blocks.len(), shown(&strings)), (64, 24));
    for (n, block) in blocks.iter().enumerate() {
        assert_eq!(block["voltage_mv"].is_null(), n >= 24, "block {n}: {block:#}");
        let why = if n >= 24 { json!(OVER) } else { Value::Null };
        assert_eq!(block["licence"], why, "block {n}");
        assert!(n < 24 || block["temperature_c"].is_null() && block["resistance_mohm"].is_null());
    }
    let points = client.get("/api/v1/points?prefix=string.2.block.8").expect("answered");
    let find = |name: &str| {
        let mut points = points.as_array().into_iter().flatten();
        points.find(|p| p["name"] == format!("string.2.block.8.{name}")).expect("listed")
    };
    assert_eq!(find("voltage")["quality"], "bad");
    assert_eq!(find("fault")["value"], OVER);
    assert_eq!(find("status")["value"], "ok");
    let history = client.get("/api/v1/history?string=2&block=8");
    assert!(matches!(history, Err(ClientError::Status { status: 403, .. })), "{history:?}");
    assert!(client.get("/api/v1/history?string=1&block=24").is_ok());

    // Block 8 of string 2, which is far over the licence, runs hot.
    warm_unseen(&stack, &mut client, 40, 30);
    let strings = client.await_answer("/api/v1/strings", |s| s[1]["breaker"] == "open");
    let trip = strings[1]["trip"].as_str().unwrap_or_default();
    assert!(trip.contains("block 8"), "{trip}");
    let block = &strings[1]["blocks"][7];
    assert!(block["alarms"].to_string().contains("temperature high"), "{block:#}");
    assert_ne!(block["status"], "ok");
    assert_eq!(strings[1]["blocks"][7]["temperature_c"], Value::Null);
    assert!(strings[0]["trip"].is_null());
    let status = stack.control("status").expect("told");
    assert!(status.contains("string.1.breaker=open"), "{status}");
    let told = events(&mut client);
    assert!(told.contains("\"kind\":\"tripped\"") && told.contains("alarm_raised"), "{told}");
}

#[test]
fn a_licence_lifts_the_limits_at_once_and_stays() {
    let dir = tempfile::tempdir().expect("a folder");
    let (mut stack, mut client, options) = unlicensed(dir.path());
    let serial = serial(&mut client);
    let raw = licence(&options, &options.licence_key, &serial, &[]);
    let begun = Instant::now();
    let answer = client.post_bytes("/api/v1/licence", &raw).expect("taken");
    let strings = client.get("/api/v1/strings").expect("answered");
    println!("upload to limits lifted and read: {} ms", begun.elapsed().as_millis());
    assert_eq!((&answer["edition"], &answer["blocks"]), (&json!("full"), &Value::Null));
    assert_eq!(shown(&strings), 64, "in the very next answer");
    let name = answer["licences"][0]["name"].as_str().expect("a name").to_owned();

    stack.daemon.stop();
    stack.restart_daemon().expect("starts again");
    let mut client = stack.sign_in().expect("signed in");
    let again = client.get("/api/v1/licence").expect("answered");
    assert_eq!((&again["edition"], &again["serial"]), (&json!("full"), &json!(serial)));
    let judged = client.await_answer("/api/v1/licence", |l| l["grace_left_h"].is_null());
    assert_eq!(judged["edition"], "full");
    let told = events(&mut client).matches("edition_changed").count();
    assert_eq!(told, 1, "a restart changes no edition");

    // Without its gate it holds for a day, and not a moment without its licence.
    client.post("/api/v1/plugins/licence-lc/disable", &json!({})).expect("switched off");
    let held = client.await_answer("/api/v1/licence", |l| l["grace_left_h"] == 24);
    assert_eq!(held["edition"], "full");
    let gone = client.post(&format!("/api/v1/licence/{name}/delete"), &json!({})).expect("removed");
    assert_eq!((&gone["edition"], &gone["judged_by"]), (&json!("LC"), &Value::Null));
    assert_eq!(shown(&client.get("/api/v1/strings").expect("answered")), 24);
}

#[test]
fn what_is_no_licence_for_this_appliance_is_refused_or_says_why() {
    let dir = tempfile::tempdir().expect("a folder");
    let (_stack, mut client, options) = unlicensed(dir.path());
    let serial = serial(&mut client);
    let key = options.licence_key.as_path();
    let good = licence(&options, key, &serial, &[]);
    let mut forged = good.clone();
    *forged.last_mut().expect("bytes") ^= 1;
    let strange = licence(&options, &stranger(&options, dir.path()), &serial, &[]);
    let plugin =
        fs::read_dir(&options.plugins).expect("built").filter_map(|e| Some(e.ok()?.path()));
    let mut plugin = plugin.filter(|path| path.extension().is_some_and(|e| e == "evkp"));
    let plugin = fs::read(plugin.next().expect("a plugin")).expect("readable");
    for (what, raw, status) in [
        ("forged", forged, 422),
        ("signed by another key", strange, 422),
        ("garbage", b"give me everything".to_vec(), 422),
        ("empty", Vec::new(), 422),
        ("cut", good[..good.len() / 2].to_vec(), 422),
        ("the beginning of another bundle", plugin[..8_000].to_vec(), 422),
        ("oversized", vec![b'x'; (16 << 10) + 1], 413),
    ] {
        let (found, body) = refused(&mut client, &raw);
        println!("{what}: {body}");
        assert_eq!(found, status, "{what}: {body}");
    }
    let none = client.get("/api/v1/licence").expect("answered");
    assert_eq!((&none["edition"], &none["licences"]), (&json!("LC"), &json!([])));

    // These are signed, and say themselves why they do not count.
    let foreign = "0000-0000-0000-Q";
    for (serial, more, reason) in [
        (serial.as_str(), &["--not-before", "0", "--not-after", "99"][..], "expired on 1970-01-01"),
        (serial.as_str(), &["--not-before", "4102444800"][..], "not valid before 2100-01-01"),
        (foreign, &[][..], "is for the appliance 0000-0000-0000-Q"),
    ] {
        let raw = licence(&options, key, serial, more);
        let answer = client.post_bytes("/api/v1/licence", &raw).expect("taken");
        let said = answer["reason"].as_str().expect("a reason");
        assert!(said.contains(reason), "{said}");
        assert_eq!(answer["edition"], "LC", "{said}");
    }
    let best = client.post_bytes("/api/v1/licence", &good).expect("taken");
    assert_eq!(best["edition"], "full", "one good licence among bad ones counts");
    assert_eq!(shown(&client.get("/api/v1/strings").expect("answered")), 64);
}
