//! Whom the running appliance trusts, and what becomes of plugins when that
//! changes: keyrings, revoked keys and bundles, security versions; the return
//! after a bad update, quarantine, and what a new version is handed; consent to
//! more permissions and the second word for dangerous grants; a bundle that is
//! slow to compile. Everything over the HTTP API. Plugins are WebAssembly text
//! (the daemon's own test fixture).

use evenkeel_e2e::{Client, ClientError, Options, Stack};
use evenkeel_signing::{
    Digest, Envelope, Floor, KeyringManifest, Kind, Permission, PluginManifest, RevokedBundle,
    RevokedKey, Role, SecretKey, seal_keyring, seal_plugin,
};
use serde_json::{Value, json};
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

#[path = "../../../host/daemon/src/plugin/fixture/guest.rs"]
#[allow(dead_code, reason = "the daemon's tests use the rest")]
mod guest;
use guest::{Guest, IDLE, TELL};

const POINTS: &str = "evenkeel:points/points@0.1.1";
const DRIVER: &str = "evenkeel:driver/device-driver@0.2.0";
/// What the test installs.
const ID: &str = "changing";

/// An appliance, the keys of its platform, and those of a vendor.
struct Bench {
    client: Client,
    roots: [SecretKey; 2],
    vendor: SecretKey,
    stack: Stack,
    _dir: tempfile::TempDir,
}

fn bench() -> Bench {
    let dir = tempfile::tempdir().expect("a folder");
    let options = Options::for_test(dir.path()).expect("built");
    let key = |role, name: &str| SecretKey::generate(role, name).expect("a key");
    let roots = ["root-a", "root-b"].map(|name| key(Role::Root, name));
    let trust = dir.path().join("trust");
    fs::create_dir_all(&trust).expect("a folder");
    for root in &roots {
        let public = root.public();
        fs::write(trust.join(format!("{}.pub", public.name())), public.to_text()).expect("written");
    }
    let mut stack = Stack::start(options).expect("a running stack");
    let mut client = stack.sign_in().expect("signed in");
    let vendor = key(Role::Plugin, "acme");
    let wish = json!({"key": vendor.public().to_text(),
        "fingerprint": vendor.public().fingerprint()});
    client.post("/api/v1/plugin-keys", &wish).expect("trusted");
    Bench { client, roots, vendor, stack, _dir: dir }
}

/// What the release `number` of the test's plugin says about itself.
fn manifest(number: u8) -> PluginManifest {
    let mut manifest = guest::manifest(&[POINTS]);
    manifest.name = ID.into();
    manifest.version = format!("0.{number}.0");
    manifest.security_version = number.into();
    manifest.world = DRIVER.into();
    manifest
}

impl Bench {
    fn sealed(&self, manifest: PluginManifest, component: &[u8]) -> Vec<u8> {
        seal_plugin(manifest, &[("component", component)], &[&self.vendor]).expect("sealed")
    }

    fn release(&self, number: u8, wake: &str) -> Vec<u8> {
        self.sealed(manifest(number), &guest::driver_0_2(number, wake))
    }

    fn upload(&mut self, raw: &[u8]) -> Value {
        self.client.post_bytes("/api/v1/bundles", raw).expect("kept")
    }

    /// What installs a bundle; `more` is added to the plugin.
    fn wish(bundle: &Value, more: &Value) -> Value {
        let mut plugin = json!({"name": bundle["name"], "points": "ups.7"});
        let more = more.as_object().expect("an object").clone();
        plugin.as_object_mut().expect("an object").extend(more);
        json!({"plugin": plugin, "bundle": bundle["digest"], "consent": bundle["consent"]})
    }

    fn install(&mut self, raw: &[u8]) -> Value {
        let bundle = self.upload(raw);
        self.client.post("/api/v1/plugins", &Self::wish(&bundle, &json!({}))).expect("installed");
        bundle
    }

    fn refused(&mut self, path: &str, body: &Value) -> String {
        let error = self.client.post(path, body).expect_err("refused");
        println!("{path}\n  → {error}");
        error.to_string()
    }

    /// The plugin, when `wanted` holds of its state.
    fn when(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        let path = format!("/api/v1/plugins/{ID}");
        self.client.await_answer(&path, |detail| wanted(&detail["status"]))["status"].clone()
    }

    fn runs(&mut self, version: &str) {
        self.when(|s| s["state"] == "running" && s["version"] == version);
    }

    fn act(&mut self, action: &str) {
        let path = format!("/api/v1/plugins/{ID}/{action}");
        self.client.post(&path, &Value::Null).expect("done");
    }

    fn keyring(&self, sequence: u32, change: impl FnOnce(&mut KeyringManifest)) -> Vec<u8> {
        let mut ring = KeyringManifest {
            format: KeyringManifest::FORMAT,
            kind: KeyringManifest::KIND.into(),
            sequence,
            issued_unix_s: 1_700_000_000,
            expires_unix_s: 4_000_000_000,
            keys: Vec::new(),
            revoked_keys: Vec::new(),
            revoked_bundles: Vec::new(),
            floors: Vec::new(),
        };
        change(&mut ring);
        seal_keyring(&ring, &self.roots.each_ref()).expect("sealed")
    }

    fn accept(&mut self, ring: &[u8]) {
        self.client.post_bytes("/api/v1/plugin-keyring", ring).expect("in force");
    }
}

/// All of these stand in a refusal.
fn says(text: &str, words: &[&str]) {
    words.iter().for_each(|word| assert!(text.contains(word), "{word:?} is not in {text}"));
}

/// SHA-256 of what was signed of a bundle.
fn signed(raw: &[u8], key: &SecretKey) -> Digest {
    let mut ring = evenkeel_signing::Keyring::new();
    ring.insert(key.public()).expect("one key");
    let envelope = Envelope::read(raw).expect("a bundle");
    Digest::of(envelope.verify(&ring, Kind::Plugin).expect("signed").manifest())
}

#[test]
fn a_keyring_stops_what_it_takes_back_and_says_which_whose_and_why() {
    let mut bench = bench();
    let fingerprint = bench.vendor.public().fingerprint();
    let first = bench.release(1, TELL);
    let old = bench.install(&first);
    bench.runs("0.1.0");

    // By strangers, and by too few: nothing changes.
    let stranger = SecretKey::generate(Role::Root, "root-x").expect("a key");
    let whole = bench.keyring(1, |_| {});
    let said = KeyringManifest::parse(&unsealed(&whole, &bench.roots[0])).expect("its own");
    for (key, counted) in [(&stranger, 0), (&bench.roots[0], 1)] {
        let ring = seal_keyring(&said, &[key]).expect("sealed");
        let refused = bench.client.post_bytes("/api/v1/plugin-keyring", &ring);
        let words = format!("signed by {counted} of the platform's roots, 2 different ones");
        says(&refused.expect_err("refused").to_string(), &[&words]);
    }
    bench.runs("0.1.0");

    // A release is taken back by its hash: what runs is stopped.
    let row = RevokedBundle {
        sha256: signed(&first, &bench.vendor),
        name: ID.into(),
        reason: "it switches loads off".into(),
    };
    let ring = bench.keyring(1, |ring| ring.revoked_bundles.push(row.clone()));
    bench.accept(&ring);
    let status = bench.when(|s| s["state"] == "refused");
    let said = status["last_error"].as_str().expect("a reason");
    says(said, &[ID, "\"acme\"", &fingerprint, "it switches loads off"]);
    let again = Bench::wish(&old, &json!({}));
    says(&bench.refused("/api/v1/plugins", &again), &[ID, "acme", "it switches loads off"]);

    // The next release runs; a later keyring demands a higher one yet.
    bench.install(&bench.release(2, TELL));
    bench.runs("0.2.0");
    let floor = Floor { plugin: ID.into(), security_version: 3, reason: "it leaks".into() };
    let ring = bench.keyring(2, |ring| ring.floors.push(floor.clone()));
    bench.accept(&ring);
    let status = bench.when(|s| s["state"] == "refused");
    let said = status["last_error"].as_str().expect("a reason");
    let words = ["security version is 2, the least that is accepted is 3", "it leaks"];
    says(said, &[&words[..], &[ID, "0.2.0", "acme"]].concat());
    bench.install(&bench.release(3, TELL));
    bench.runs("0.3.0");
    // An older keyring takes nothing of that back.
    let older = bench.keyring(1, |_| {});
    let refused = bench.client.post_bytes("/api/v1/plugin-keyring", &older).expect_err("older");
    says(&refused.to_string(), &["the sequence number 1, this device has already seen 2"]);

    // The vendor's key is lost: all that it ever signed stops.
    let row = RevokedKey {
        id: bench.vendor.public().id().0,
        name: "acme".into(),
        reason: "it was stolen".into(),
        since_unix_s: 1_700_000_000,
    };
    let ring = bench.keyring(3, |ring| ring.revoked_keys.push(row));
    bench.accept(&ring);
    let status = bench.when(|s| s["state"] == "refused");
    let said = status["last_error"].as_str().expect("a reason");
    // Nothing that it signed is read any more, not even a name: the list has it,
    // and what was verified last.
    let named = format!("{ID:?}");
    let words = [&named, "version 0.3.0", "\"acme\"", &fingerprint, "it was stolen"];
    says(said, &words);
    let upload = bench.client.post_bytes("/api/v1/bundles", &bench.release(4, TELL));
    says(&upload.expect_err("refused").to_string(), &["acme", "it was stolen"]);
    let keys = bench.client.get("/api/v1/plugin-keys").expect("told");
    let lost = keys.as_array().expect("a list").iter().find(|key| key["name"] == "acme");
    says(&lost.expect("told")["refused"].to_string(), &["revoked by the platform", "stolen"]);

    // It holds after a restart, whatever lies in the data directory.
    bench.restart();
    let status = bench.when(|s| s["state"] == "refused");
    says(status["last_error"].as_str().expect("a reason"), &words);
    let again = bench.client.post(&format!("/api/v1/plugins/{ID}/restart"), &Value::Null);
    let Err(ClientError::Status { body, .. }) = again else { panic!("it is not refused") };
    let problem: Value = serde_json::from_str(&body).expect("a problem");
    says(problem["detail"].as_str().expect("a reason"), &words);
    // The console, the events and the log say no less.
    let page = bench.client.get_text(&format!("/plugins/{ID}"), None).expect("a page");
    let events = bench.client.get("/api/v1/events?limit=1000").expect("told");
    let mut events = events.as_array().expect("a list").iter().rev();
    let event = events.find(|event| event["data"]["kind"] == "plugin_refused").expect("told");
    let log = bench.stack.daemon.log();
    let line =
        log.lines().rev().find(|line| line.contains("last verified as version")).expect("told");
    let said = event["data"]["reason"].as_str().expect("a reason");
    for text in [page.as_str(), line, said] {
        says(text, &[ID, "0.3.0", "acme", &fingerprint, "it was stolen"]);
    }
}

impl Bench {
    fn restart(&mut self) {
        self.stack.daemon.stop().expect("it stops");
        self.stack.restart_daemon().expect("it starts");
        self.client = self.stack.sign_in().expect("signed in");
    }
}

/// What the key signed of a keyring.
fn unsealed(raw: &[u8], root: &SecretKey) -> Vec<u8> {
    let mut ring = evenkeel_signing::Keyring::new();
    ring.insert(root.public()).expect("one key");
    let envelope = Envelope::read(raw).expect("a bundle");
    envelope.verify(&ring, Kind::Keyring).expect("signed").manifest().to_vec()
}

#[test]
fn a_new_version_is_handed_the_state_and_a_bad_one_is_gone_back_from() {
    let mut bench = bench();
    bench.install(&bench.release(1, TELL));
    bench.runs("0.1.0");
    let handed = |bench: &mut Bench, wanted: f64| {
        bench.client.await_answer("/api/v1/points?prefix=ups.7", |points| {
            let charge = points.as_array().into_iter().flatten();
            charge
                .filter(|point| point["name"] == "ups.7.battery.charge")
                .any(|point| point["value"].as_f64() == Some(wanted))
        });
    };
    handed(&mut bench, 0.0);
    bench.install(&bench.release(2, TELL));
    bench.runs("0.2.0");
    // What the first left.
    handed(&mut bench, 1.0);

    // One that traps is taken back without anybody's doing, and it is told.
    bench.install(&bench.release(3, "unreachable"));
    bench.client.await_answer("/api/v1/events?limit=200", |events| {
        let text = events.to_string();
        text.contains("plugin_quarantined") && text.contains("plugin_rolled_back")
    });
    bench.runs("0.2.0");

    // With nothing to go back to, it stays in quarantine until a person acts.
    bench.act("remove");
    let bundle = bench.upload(&bench.release(3, "unreachable"));
    bench.client.post("/api/v1/plugins", &Bench::wish(&bundle, &json!({}))).expect("installed");
    let status = bench.when(|s| s["state"] == "quarantined");
    says(status["last_error"].as_str().expect("a reason"), &["unreachable"]);
    let traps = status["traps"].as_u64();
    bench.act("restart");
    bench.when(|s| s["state"] != "quarantined");
    let status = bench.when(|s| s["state"] == "quarantined");
    assert!(status["traps"].as_u64() <= traps, "it was tried anew, as often as before: {status}");
}

#[test]
fn more_permissions_need_a_new_word_and_dangerous_grants_a_second_one() {
    let mut bench = bench();
    let first = bench.install(&bench.release(1, TELL));
    bench.runs("0.1.0");

    // The update wants to reach a network peer, a contact and an SNMP agent.
    let mut more = manifest(2);
    let asks = [(guest::CONTACTS, "fan"), ("evenkeel:snmp-client/snmp-client@0.1.0", "ups")];
    for (interface, what) in asks {
        more.interfaces.push(interface.into());
        let reason = "is curious".to_owned();
        let interface = interface.to_owned();
        more.permissions.push(Permission { interface, what: what.into(), reason });
    }
    more.interfaces.sort();
    let raw = bench.sealed(more, &guest::driver_0_2(2, TELL));
    let second = bench.upload(&raw);
    let grants = json!({"grant": {
        "contacts": {"fan": {"at": "AUX1.output.3", "switch": true}},
        "snmp": {"ups": {"address": "192.0.2.7:161", "version": "v2c", "community": "private",
            "write": true}},
    }});
    let confirm = ["contacts.fan.switch", "snmp.ups.write"];
    let mut wish = Bench::wish(&second, &grants);
    // The dangers first: each is named, and one word is not two.
    let said = bench.refused("/api/v1/plugins", &wish);
    says(&said, &["confirm", confirm[0], confirm[1], "AUX1.output.3", "192.0.2.7"]);
    wish["plugin"]["confirm"] = json!([confirm[0]]);
    let said = bench.refused("/api/v1/plugins", &wish);
    says(&said, &[confirm[1]]);
    assert!(!said.contains(confirm[0]), "{said}");
    wish["plugin"]["confirm"] = json!(confirm);

    // Then the permissions: what was accepted of the first is not enough.
    wish["consent"] = first["consent"].clone();
    let said = bench.refused("/api/v1/plugins", &wish);
    says(&said, &["need your consent", "“fan”", "“ups”"]);
    assert!(!said.contains("measured values"), "what it had is not asked again: {said}");
    bench.runs("0.1.0");
    wish["consent"] = second["consent"].clone();
    bench.client.post("/api/v1/plugins", &wish).expect("with both words");
    bench.runs("0.2.0");
    let detail = bench.client.get(&format!("/api/v1/plugins/{ID}")).expect("told");
    let dangers = detail["dangers"].as_array().expect("a list");
    assert!(dangers.len() == 2 && dangers.iter().all(|danger| danger["by_file"] == false));
}

/// So much code in one function that no compiler is done soon.
fn slow_to_compile() -> Vec<u8> {
    let step = "(if (i32.and (local.get $x) (i32.const 1))
        (then (local.set $x (i32.mul (local.get $x) (i32.const 1103515245))))
        (else (local.set $y (i32.xor (local.get $y) (local.get $x)))))";
    let body = step.repeat(120_000);
    let extra =
        format!("(func $bomb (result i32) (local $x i32) (local $y i32) {body} (local.get $y))");
    guest::driver(&Guest { extra: &extra, ..IDLE })
}

#[test]
fn while_a_slow_bundle_compiles_the_others_are_managed() {
    let mut bench = bench();
    bench.install(&bench.release(1, TELL));
    bench.runs("0.1.0");
    let mut slow = guest::manifest(&[guest::LOG, guest::CLOCK, guest::POINTS]);
    slow.name = "slow".into();
    let raw = bench.sealed(slow, &slow_to_compile());
    let bundle = bench.upload(&raw);
    let mut wish = Bench::wish(&bundle, &json!({}));
    wish["plugin"]["points"] = json!("ups.8");
    let mut other = bench.stack.sign_in().expect("signed in");
    let installing = thread::spawn(move || other.post("/api/v1/plugins", &wish).is_ok());
    let begun = Instant::now();
    let mut slowest = Duration::ZERO;
    let mut rounds = 0;
    while !installing.is_finished() && begun.elapsed() < Duration::from_secs(20) {
        for path in ["/api/v1/bundles", "/api/v1/plugin-keys", &format!("/api/v1/plugins/{ID}")] {
            let asked = Instant::now();
            bench.client.get(path).expect("answered");
            slowest = slowest.max(asked.elapsed());
        }
        bench.client.get_text("/plugins", None).expect("the page");
        bench.act(if rounds % 2 == 0 { "disable" } else { "enable" });
        rounds += 1;
    }
    println!("{rounds} rounds in {:?}, the slowest answer {slowest:?}", begun.elapsed());
    assert!(rounds >= 2, "the bundle was no obstacle: {:?}", begun.elapsed());
    assert!(slowest < Duration::from_secs(20), "{slowest:?}");
}
