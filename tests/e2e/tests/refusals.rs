//! What must not be let in: tampered plugins, wrong passwords, damaged
//! configuration — and what must not be lost when the daemon is killed.

use evenkeel_e2e::{Client, ClientError, Options, Stack};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The signed megatec bundle.
fn bundle(options: &Options) -> PathBuf {
    let entries = fs::read_dir(&options.plugins).expect("plugins are built");
    entries
        .filter_map(|e| Some(e.ok()?.path()))
        .find(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("megatec-")))
        .expect("megatec is built")
}

fn await_state(client: &mut Client, wanted: &str) -> Value {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let plugins = client.get("/api/v1/plugins").expect("answered");
        let mut list = plugins.as_array().into_iter().flatten();
        let megatec = list.find(|plugin| plugin["name"] == "megatec");
        if let Some(megatec) = megatec.filter(|plugin| plugin["state"] == wanted) {
            return megatec.clone();
        }
        assert!(Instant::now() < deadline, "never {wanted}: {plugins:#}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Start a stack whose megatec bundle went through `tamper`; the refusal.
fn refusal(tamper: impl FnOnce(&Options, Vec<u8>) -> Vec<u8>) -> String {
    let dir = tempfile::tempdir().expect("a folder");
    let mut options = Options::for_test(dir.path()).expect("built");
    let good = bundle(&options);
    let folder = dir.path().join("plugins");
    fs::create_dir_all(&folder).expect("a folder");
    let bytes = tamper(&options, fs::read(&good).expect("readable"));
    fs::write(folder.join(good.file_name().expect("a name")), bytes).expect("written");
    options.plugins = folder;
    let mut stack = Stack::start(options).expect("the appliance runs all the same");
    let mut client = stack.sign_in().expect("signed in");
    let plugin = await_state(&mut client, "refused");
    let events = client.get("/api/v1/events?limit=1000").expect("answered").to_string();
    assert!(events.contains("plugin_refused"), "{events}");
    plugin["last_error"].as_str().expect("a reason").to_owned()
}

#[test]
fn tampered_plugins_are_refused_by_name_and_reason() {
    let changed = |at: fn(usize) -> usize| {
        move |_: &Options, mut bytes: Vec<u8>| {
            let at = at(bytes.len());
            bytes[at] ^= 1;
            bytes
        }
    };
    let unsigned = |_: &Options, mut bytes: Vec<u8>| {
        // Signature count 0, and the signature taken out.
        bytes[16..20].fill(0);
        bytes.drain(24..120);
        bytes
    };
    let other_key = |options: &Options, _: Vec<u8>| sign_with_another_key(options);
    let cut = |_: &Options, bytes: Vec<u8>| bytes[..bytes.len() / 2].to_vec();
    for (name, reason, words) in [
        ("signature", refusal(changed(|_| 60)), "signature"),
        ("manifest", refusal(changed(|_| 130)), "signature"),
        ("component", refusal(changed(|len| len - 20_000)), "component"),
        ("unsigned", refusal(unsigned), "signed"),
        ("wrong key", refusal(other_key), "key"),
        ("cut", refusal(cut), "bytes"),
    ] {
        println!("{name}: {reason}");
        assert!(reason.contains("megatec"), "{name}: names the plugin: {reason}");
        assert!(reason.to_lowercase().contains(words), "{name}: {reason}");
    }
}

/// The same plugin, signed by somebody whom the appliance does not trust.
fn sign_with_another_key(options: &Options) -> Vec<u8> {
    let dir = tempfile::tempdir().expect("a folder");
    let tool = options.programs.join("evenkeel-plugin");
    let key = dir.path().join("stranger.key");
    let run = |arguments: &[&std::ffi::OsStr]| {
        let output = std::process::Command::new(&tool)
            .args(arguments)
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
            .output()
            .expect("the tool runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let word = |s: &'static str| std::ffi::OsStr::new(s);
    run(&[
        word("keygen"),
        word("--role"),
        word("plugin"),
        word("--name"),
        word("stranger"),
        word("--out"),
        key.as_os_str(),
    ]);
    run(&[
        word("sign"),
        word("--key"),
        key.as_os_str(),
        word("--out-dir"),
        dir.path().as_os_str(),
        word("plugins/megatec"),
    ]);
    let signed = bundle(&Options { plugins: dir.path().to_owned(), ..options.clone() });
    fs::read(signed).expect("readable")
}

#[test]
fn wrong_passwords_are_refused_kindly_and_slower_and_slower() {
    let dir = tempfile::tempdir().expect("a folder");
    let stack = Stack::for_test(dir.path()).expect("a running stack");
    let certificate = stack.certificate().expect("a certificate");
    let mut client = Client::new(stack.address(), &certificate).expect("a client");
    let refused =
        |client: &mut Client, user: &str| match client.login(user, "not the password, surely") {
            Err(ClientError::Status { status, body, .. }) => (status, body),
            other => panic!("{user}: {other:?}"),
        };
    let (status, body) = refused(&mut client, "admin");
    assert_eq!(status, 401, "{body}");
    assert_eq!((status, body), refused(&mut client, "nobody"), "no telling who exists");
    let throttled =
        (0..12).map(|_| refused(&mut client, "admin")).find(|(status, _)| *status == 429);
    let (_, body) = throttled.expect("guessing is slowed down");
    assert!(body.contains("Try again in"), "says how long to wait: {body}");

    let first = stack.first_password().expect("still to be changed");
    let mut other = Client::new(stack.address(), &certificate).expect("a client");
    assert!(matches!(other.get("/api/v1/points"), Err(ClientError::Status { status: 401, .. })));
    drop(first);
}

#[test]
fn before_the_first_password_is_changed_nothing_else_is_served() {
    let dir = tempfile::tempdir().expect("a folder");
    let stack = Stack::for_test(dir.path()).expect("a running stack");
    let mut client =
        Client::new(stack.address(), &stack.certificate().expect("one")).expect("a client");
    let first = stack.first_password().expect("there");
    client.login("admin", &first).expect("the first password opens");
    assert!(matches!(client.get("/api/v1/strings"), Err(ClientError::Status { status: 403, .. })));
    assert!(client.change_password(&first, "short").is_err());
    assert!(client.change_password(&first, &first).is_err());
    client.change_password(&first, "a whole new sentence 7").expect("changed");
    assert!(client.get("/api/v1/strings").is_ok());
    assert!(stack.first_password().is_err(), "the file is gone");
}

#[test]
fn a_damaged_daemon_configuration_falls_back_loudly() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut stack = Stack::for_test(dir.path()).expect("a running stack");
    let config = dir.path().join("daemon.toml");
    let text = fs::read_to_string(&config).expect("readable");
    fs::write(&config, text.replace("points =", "pionts =")).expect("written");
    stack.daemon.stop();
    stack.restart_daemon().expect("runs with the last good configuration");
    let log = stack.daemon.log();
    assert!(log.contains("pionts"), "names the line: {log}");
    let mut client = stack.sign_in().expect("signed in");
    await_state(&mut client, "running");
    let events = client.get("/api/v1/events?limit=1000").expect("answered").to_string();
    assert!(events.contains("settings_refused"), "{events}");
}

#[test]
fn acknowledged_events_survive_kill_minus_nine() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut stack = Stack::for_test(dir.path()).expect("a running stack");
    let mut seen: Vec<Value> = Vec::new();
    for round in 0..5 {
        let mut client = stack.sign_in().expect("signed in");
        // What the API shows was acknowledged by the store.
        let events = client.get("/api/v1/events?limit=1000").expect("answered");
        let now: Vec<Value> =
            events.as_array().expect("a list").iter().map(|e| e["data"].clone()).collect();
        assert!(now.len() > round, "every sign-in is an event");
        assert_eq!(now[..seen.len()], seen[..], "round {round}: something was lost");
        seen = now;
        stack.daemon.kill();
        stack.restart_daemon().expect("starts again");
    }
}
