//! An appliance whose UPS is on mains, and a receiver of its messages.

use evenkeel_e2e::{Client, Options, Program, Stack};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

pub const SOON: Duration = Duration::from_secs(40);
pub const KEY: &str = "a key that both sides know";
const RELAY: &str = "device.3.output.2";

/// An appliance, and a receiver of its messages.
pub struct Site {
    pub stack: Stack,
    pub client: Client,
    pub receiver: Program,
    /// Where the receiver listens.
    pub port: String,
}

/// A receiver of messages, and its port; with the files of `certificates` within
/// TLS.
pub fn receiver(dir: &Path, certificates: Option<&Path>) -> (Program, String) {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("peers/webhook.py");
    let mut command = Command::new("/usr/bin/python3");
    command.arg(script).arg(KEY);
    if let Some(files) = certificates {
        command.arg(files.join("server.pem")).arg(files.join("server.key"));
    }
    let mut receiver =
        Program::start("webhook.py", &mut command, &dir.join("webhook.log")).expect("started");
    let ready = receiver.await_line("ready ", SOON).expect("listening");
    (receiver, ready.trim_start_matches("ready ").trim().to_owned())
}

pub fn start(dir: &Path) -> Site {
    let (mut receiver, port) = receiver(dir, None);
    let options = Options::for_test(dir).expect("built");
    let mut stack = Stack::start(options).expect("a running stack");
    let mut client = stack.sign_in().expect("signed in");
    let hook = json!({ "url": format!("http://127.0.0.1:{port}/x"), "key": KEY });
    client.post("/api/v1/webhooks/ops", &hook).expect("kept");
    let tested = client.post("/api/v1/webhooks/ops/test", &json!({})).expect("answered");
    assert_eq!(tested["taken"], true, "{tested:#}");
    assert_eq!(message(&mut receiver)["job"], "test");
    await_point(&mut client, "ups.0.ups.status", |p| has_word(p, "OL"));
    await_point(&mut client, RELAY, |p| p["value"] == false && p["quality"] == "good");
    Site { stack, client, receiver, port }
}

pub fn has_word(point: &Value, word: &str) -> bool {
    let words = point["value"].as_str().unwrap_or_default();
    point["quality"] == "good" && words.split(' ').any(|w| w == word)
}

pub fn await_point(client: &mut Client, name: &str, wanted: impl Fn(&Value) -> bool) {
    let deadline = Instant::now() + SOON;
    loop {
        let points = client.get(&format!("/api/v1/points?prefix={name}")).expect("answered");
        let found = points.as_array().and_then(|list| list.iter().find(|p| p["name"] == name));
        if found.is_some_and(&wanted) {
            return;
        }
        assert!(Instant::now() < deadline, "{name} is {found:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

pub fn await_status(client: &mut Client, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + SOON;
    loop {
        let status = client.get("/api/v1/automation/status").expect("answered");
        if wanted(&status) {
            return status;
        }
        assert!(Instant::now() < deadline, "never {what}: {status:#}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

pub fn take(client: &mut Client, document: &str) {
    client.post("/api/v1/automation", &json!({ "toml": document })).expect("taken");
}

/// The next message that the receiver took for the first time.
pub fn message(receiver: &mut Program) -> Value {
    loop {
        let delivery = delivery(receiver);
        if delivery["again"] == false {
            return delivery["message"].clone();
        }
    }
}

/// What came next, also when the receiver knows it already.
pub fn delivery(receiver: &mut Program) -> Value {
    let line = receiver.await_line("{", SOON).expect("a message with a good signature");
    serde_json::from_str(&line).expect("JSON")
}

/// How often the log says that a job was done.
pub fn notes(client: &mut Client, job: &str) -> usize {
    let events = client.get("/api/v1/events?limit=1000").expect("answered");
    let is_note = |e: &&Value| e["data"]["kind"] == "job_done" && e["data"]["job"] == job;
    events.as_array().into_iter().flatten().filter(is_note).count()
}
