//! Plugins of the running appliance managed from a terminal: the whole life of
//! one by `evenkeel plugin` alone, what it says when it is refused, and a
//! failure on its way to the vendor's desk; keyrings and licences. And a UPS whose driver is installed
//! while the appliance runs.

#[path = "hostile/rogues.rs"]
#[allow(dead_code, reason = "only one of them is needed here")]
mod rogues;

use evenkeel_e2e::{Client, Options, Stack, bundle};
use evenkeel_signing::{KeyEntry, KeyringManifest, Role, SecretKey, seal_keyring};
use serde_json::{Value, json};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const PASSWORD: &str = "a whole new sentence 7";

/// An appliance, and somebody at a terminal.
struct Bench {
    stack: Stack,
    options: Options,
    fingerprint: String,
    /// Of the platform.
    roots: [SecretKey; 2],
    dir: tempfile::TempDir,
}

/// What a command said and how it ended.
struct Said {
    code: i32,
    out: String,
    err: String,
}

fn bench() -> Bench {
    let dir = tempfile::tempdir().expect("a folder");
    let options = Options::for_test(dir.path()).expect("built");
    let roots = ["root-a", "root-b"].map(|name| {
        let root = SecretKey::generate(Role::Root, name).expect("a key");
        let trust = dir.path().join("trust");
        fs::create_dir_all(&trust).expect("a folder");
        fs::write(trust.join(format!("{name}.pub")), root.public().to_text()).expect("written");
        root
    });
    let stack = Stack::start(options.clone()).expect("a running stack");
    let certificate = stack.certificate().expect("one");
    let mut client = Client::new(stack.address(), &certificate).expect("a client");
    let first = stack.first_password().expect("there");
    client.login("admin", &first).expect("the first password opens");
    client.change_password(&first, PASSWORD).expect("changed");
    // What the configuration installs is accepted when it is loaded.
    client.await_answer("/api/v1/plugins", |plugins| {
        let mut plugins = plugins.as_array().into_iter().flatten();
        plugins.any(|plugin| plugin["name"] == "megatec" && plugin["state"] == "running")
    });
    fs::write(dir.path().join("password"), format!("{PASSWORD}\n")).expect("written");
    let log = stack.daemon.log();
    let told = log.lines().find_map(|line| line.split_once("certificate SHA-256 "));
    let fingerprint = told.expect("the appliance tells it").1.trim().to_owned();
    Bench { stack, options, fingerprint, roots, dir }
}

impl Bench {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `evenkeel plugin …` as it is typed, and nothing else.
    fn bare(&self, words: &[&str]) -> Said {
        self.tool("plugin", words)
    }

    /// The same of another command.
    fn tool(&self, command: &str, words: &[&str]) -> Said {
        let name = command;
        let mut command = Command::new(self.options.programs.join("evenkeel"));
        command.arg(name).args(words).env("HOME", self.dir.path());
        command.env_remove("XDG_CONFIG_HOME").stdin(Stdio::null());
        let Output { status, stdout, stderr } = command.output().expect("it runs");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        Said { code: status.code().expect("an exit"), out: text(stdout), err: text(stderr) }
    }

    /// The same, signed in.
    fn say(&self, words: &[&str]) -> Said {
        self.say_to("plugin", words)
    }

    fn say_to(&self, command: &str, words: &[&str]) -> Said {
        let password = self.path("password");
        let password = password.to_str().expect("text");
        let access = ["--at", self.stack.address(), "--fingerprint", &self.fingerprint];
        self.tool(command, &[words, &access, &["--password-file", password]].concat())
    }

    /// The same, which must work; what it printed.
    fn done(&self, words: &[&str]) -> String {
        let said = self.say(words);
        assert_eq!(said.code, 0, "{words:?}: {}{}", said.out, said.err);
        said.out
    }

    fn json(&self, words: &[&str]) -> Value {
        let text = self.done(&[words, &["--json"]].concat());
        serde_json::from_str(&text).expect("JSON")
    }

    /// The same, which must be refused with this exit code; the message.
    fn refused(&self, words: &[&str], code: i32) -> String {
        let said = self.say(words);
        assert_eq!(said.code, code, "{words:?}: {}{}", said.out, said.err);
        assert_eq!(said.out, "", "{words:?}");
        println!("evenkeel plugin {}\n  → {code}: {}", words.join(" "), said.err.trim_end());
        said.err
    }

    /// A bundle of megatec as `version`, signed by `key`.
    fn megatec(&self, version: &str, key: &SecretKey) -> PathBuf {
        let built = bundle::built(&self.options.plugins, "megatec").expect("built");
        let change = |manifest: &mut evenkeel_signing::PluginManifest| {
            manifest.version = version.to_owned();
        };
        let raw = bundle::signed_again(&built, &self.options.plugin_key, key, change);
        let path = self.path(&format!("megatec-{version}-{}.evkp", key.public().name()));
        fs::write(&path, raw.expect("signed")).expect("written");
        path
    }

    fn development_key(&self) -> SecretKey {
        SecretKey::read(&self.options.plugin_key.with_extension("key")).expect("the key")
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

#[test]
fn a_plugin_lives_by_the_command_line_alone() {
    let bench = bench();
    let line = format!("serial.ups={}", text(&bench.path("hw/ups0")));
    assert!(bench.done(&["list"]).contains("megatec"));
    // What the configuration file installed makes room for ours.
    bench.done(&["remove", "megatec", "--yes"]);
    assert!(!bench.done(&["list"]).contains("megatec"));
    let file = bench.megatec("0.1.0-first", &bench.development_key());

    let seen = bench.done(&["inspect", text(&file)]);
    assert!(seen.contains("talk to the device on the serial line “ups” — asks the UPS"), "{seen}");
    assert!(!bench.done(&["bundles"]).contains("0.1.0-first"), "it was not kept");
    let digest = bench.json(&["upload", text(&file)])["digest"].as_str().expect("one").to_owned();
    assert!(bench.done(&["bundles"]).contains(&digest[..12]));

    let wanted = ["grant", "megatec", &line, "--points", "ups.0", "--bundle", &digest];
    let said = bench.refused(&wanted, 5);
    assert!(said.contains("asks to") && said.contains("--yes"), "{said}");
    let said = bench.done(&[&wanted[..], &["--yes", "--setting", "no-ratings=true"]].concat());
    assert_eq!(said, "megatec 0.1.0-first is running\n");
    let shown = bench.done(&["show", "megatec"]);
    assert!(shown.contains("no-ratings = true") && shown.contains(&digest), "{shown}");
    let listed = bench.done(&["list"]);
    let row = listed.lines().find(|line| line.starts_with("megatec")).expect("listed");
    assert!(listed.contains("SIGNED BY") && row.contains("…"), "{listed}");
    assert!(shown.contains("(fingerprint ") && shown.contains("of processor time"), "{shown}");
    // Named grants change; the rest stays, and nobody is asked again.
    bench.done(&["grant", "megatec", "--setting", "no-ratings="]);
    let plugin = &bench.json(&["show", "megatec"])["plugin"];
    assert_eq!((&plugin["points"], plugin["settings"].get("no-ratings")), (&"ups.0".into(), None));

    let deadline = Instant::now() + Duration::from_secs(20);
    while bench.json(&["metrics", "megatec"])["calls"].as_u64() < Some(1) {
        assert!(Instant::now() < deadline, "it is never called");
    }
    assert!(bench.done(&["metrics"]).contains("SLOWEST CALL"));
    let log = bench.json(&["log", "megatec", "--lines", "5"]);
    assert!(log.as_array().is_some_and(|lines| lines.len() <= 5), "{log}");

    assert_eq!(bench.done(&["disable", "megatec"]), "megatec is switched off\n");
    assert_eq!(bench.done(&["enable", "megatec"]), "megatec 0.1.0-first is running\n");
    let next = bench.megatec("0.2.0", &bench.development_key());
    // The same permissions by the same vendor need no further word.
    assert_eq!(bench.done(&["update", "megatec", text(&next)]), "megatec 0.2.0 is running\n");
    assert_eq!(bench.done(&["roll-back", "megatec"]), "megatec 0.1.0-first is running\n");
    assert_eq!(bench.done(&["remove", "megatec", "--yes"]), "megatec is removed\n");
    bench.done(&["delete-bundle", &digest[..12]]);
    assert!(!bench.done(&["bundles"]).contains(&digest[..12]));
    let licence = bench.json(&["licence", "show"]);
    assert!(licence["licences"].as_array().is_some_and(|l| l.len() == 1), "{licence}");
}

#[test]
fn a_plugin_is_restarted_and_one_that_is_not_there_is_named() {
    let bench = bench();
    let status = || bench.json(&["show", "megatec"])["status"].clone();
    let before = status();
    let version = before["version"].as_str().expect("one");
    let said = bench.done(&["restart", "megatec"]);
    assert_eq!(said, format!("megatec {version} is running\n"));
    let after = status();
    let since = |status: &Value| status["since_unix_ms"].as_u64().expect("a time");
    assert!(since(&after) > since(&before), "it is another copy: {after:#}");
    let ghost = bench.refused(&["restart", "ghost"], 1);
    assert!(ghost.contains("ghost"), "{ghost}");
    bench.refused(&["restart", "../megatec"], 2);
    // One that is off stays off.
    bench.done(&["disable", "megatec"]);
    assert_eq!(bench.done(&["restart", "megatec"]), "megatec is switched off\n");
}

#[test]
fn a_keyring_comes_into_force_by_the_command_line_and_others_are_refused() {
    let bench = bench();
    let file = bench.path("ring.evkk");
    let keyring = |words: &Path| ["trust-key", "keyring", text(words)].map(str::to_owned);
    let refused = |path: &Path, names: &[&str]| {
        let words = keyring(path);
        let said = bench.refused(&words.each_ref().map(String::as_str), 1);
        names.iter().for_each(|name| assert!(said.contains(name), "{name}: {said}"));
    };
    refused(&bench.path("nowhere.evkk"), &["nowhere.evkk"]);
    fs::write(&file, "trust me\n").expect("written");
    refused(&file, &["keyring"]);

    let vendor = SecretKey::generate(Role::Plugin, "acme").expect("a key");
    let ring = KeyringManifest {
        format: KeyringManifest::FORMAT,
        kind: KeyringManifest::KIND.into(),
        sequence: 1,
        issued_unix_s: 1_700_000_000,
        expires_unix_s: 4_000_000_000,
        keys: vec![KeyEntry::of(&vendor.public(), true)],
        revoked_keys: Vec::new(),
        revoked_bundles: Vec::new(),
        floors: Vec::new(),
    };
    fs::write(&file, seal_keyring(&ring, &[&bench.roots[0]]).expect("sealed")).expect("written");
    refused(&file, &["signed by 1 of the platform's roots, 2 different ones"]);
    let fingerprint = vendor.public().fingerprint();
    assert!(!bench.done(&["trust-key", "list"]).contains(&fingerprint));
    let whole = seal_keyring(&ring, &bench.roots.each_ref()).expect("sealed");
    fs::write(&file, &whole).expect("written");
    assert_eq!(bench.done(&["trust-key", "keyring", text(&file)]), "the keyring is in force\n");
    let listed = bench.done(&["trust-key", "list"]);
    let row = listed.lines().find(|line| line.contains(&fingerprint)).expect("listed");
    assert!(row.contains("acme") && row.contains("trusted"), "{row}");
    // What it vouches for is taken, and no more than that.
    bench.done(&["upload", text(&bench.megatec("0.4.0", &vendor))]);
    let mut cut = whole;
    cut.truncate(cut.len() / 2);
    fs::write(&file, cut).expect("written");
    refused(&file, &["keyring"]);
}

#[test]
fn licences_are_installed_and_removed_by_the_command_line() {
    let bench = bench();
    let certificate = bench.stack.certificate().expect("one");
    let mut admin = Client::new(bench.stack.address(), &certificate).expect("a client");
    admin.login("admin", PASSWORD).expect("signed in");
    // The gate is a plugin, which has to start first.
    admin.await_answer("/api/v1/licence", |l| l["edition"] == "development licence");
    let shown = bench.done(&["licence", "show"]);
    assert!(shown.contains("development licence"), "{shown}");
    let present = bench.json(&["licence", "show"]);
    let name = present["licences"][0]["name"].as_str().expect("one").to_owned();
    let without = bench.done(&["licence", "remove", &name]);
    assert!(without.contains("LC") && without.contains("up to 24"), "{without}");
    let ghost = bench.refused(&["licence", "remove", &name], 1);
    assert!(ghost.contains(&name), "{ghost}");

    let install = |file: &Path| ["licence".to_owned(), "install".into(), text(file).to_owned()];
    let refused = |file: &Path| {
        let words = install(file);
        bench.refused(&words.each_ref().map(String::as_str), 1)
    };
    let missing = refused(&bench.path("nowhere.evkl"));
    assert!(missing.contains("nowhere.evkl"), "{missing}");
    let garbage = refused(&bench.path("password"));
    assert!(garbage.contains("licence"), "{garbage}");

    let file = bench.path("harbour.evkl");
    let serial = present["serial"].as_str().expect("a serial number");
    let made = Command::new(bench.options.programs.join("evenkeel-plugin"))
        .args(["licence", "--serial", serial, "--customer", "Harbour", "--id", "17", "--key"])
        .arg(&bench.options.licence_key)
        .arg("--out")
        .arg(&file)
        .output()
        .expect("the tool runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let full = bench.done(&["licence", "install", text(&file)]);
    assert!(full.contains("full") && full.contains("any"), "{full}");
    let edition = bench.json(&["licence", "show"]);
    assert_eq!((&edition["edition"], &edition["blocks"]), (&json!("full"), &Value::Null));
}

#[test]
fn the_configuration_is_taken_away_compared_and_brought_back() {
    let bench = bench();
    let config = |words: &[&str]| {
        let said = bench.say_to("config", words);
        assert_eq!(said.code, 0, "{words:?}: {}{}", said.out, said.err);
        said.out
    };
    let file = bench.path("kept.toml");
    config(&["export", text(&file)]);
    let kept = fs::read_to_string(&file).expect("written");
    assert!(kept.contains("[export]") && kept.contains("[[plugin]]"), "{kept}");
    assert_eq!(bench.say_to("config", &["export", text(&file)]).code, 1, "never over a file");
    assert!(config(&["diff", text(&file)]).contains("thresholds: stays as it is"));
    let other = bench.path("other.toml");
    let rule = "[[thresholds.threshold]]\nat = \"system\"\nquantity = \"block-temperature\"\n\
        side = \"high\"\nwarning = 43.5\n";
    let head = "[export]\nof = \"evenkeel configuration\"\nform = 1\n";
    fs::write(&other, format!("{head}{rule}")).expect("written");
    let look = config(&["diff", text(&other)]);
    assert!(
        look.contains("thresholds: would change") && look.contains("+ warning = 43.5"),
        "{look}"
    );
    assert!(config(&["import", text(&other)]).contains("thresholds: changed"));
    assert!(config(&["history", "thresholds"]).contains("admin"));
    assert!(config(&["import", text(&file), "--only", "thresholds"]).contains("- warning = 43.5"));
    fs::write(&other, rule).expect("written");
    let foreign = bench.say_to("config", &["import", text(&other)]);
    assert!(
        foreign.code == 1 && foreign.err.contains("no configuration of an appliance"),
        "{}",
        foreign.err
    );
    let archive = bench.path("support.tar");
    config(&["support", text(&archive)]);
    let listed = Command::new("tar").arg("-tf").arg(&archive).output().expect("it runs");
    let listed = String::from_utf8(listed.stdout).expect("text");
    for name in ["about.json", "guard.json", "events.jsonl", "plugins.json"] {
        assert!(listed.contains(name), "{name}: {listed}");
    }
}

#[test]
fn a_failure_is_listed_taken_along_and_repeated() {
    let bench = bench();
    let file = bench.path("fragile.evkp");
    fs::write(&file, rogues::fragile(&bench.development_key())).expect("written");
    let digest = bench.json(&["upload", text(&file)])["digest"].as_str().expect("one").to_owned();
    assert!(bench.done(&["reports", "megatec"]).contains("has not failed"));
    bench.done(&["grant", "fragile", "--points", "ups.7", "--bundle", &digest, "--yes"]);

    let deadline = Instant::now() + Duration::from_secs(60);
    let listed = loop {
        let listed = bench.done(&["reports", "fragile"]);
        if listed.contains("version 0.1.0") {
            break listed;
        }
        assert!(Instant::now() < deadline, "{listed}{}", bench.done(&["show", "fragile"]));
    };
    println!("{listed}");
    assert!(listed.contains("  in, innermost first\n    deeper\n    deep\n"), "{listed}");
    let report = bench.json(&["reports", "fragile"])[0].clone();
    let failure = report["failure"].as_str().expect("told");
    assert!(failure.contains("unreachable") && failure.contains("deeper"), "{failure}");

    let recording = bench.path("fragile.rec");
    let at = report["unix_ms"].to_string();
    bench.done(&["reports", "fragile", "--time", &at, "--save", text(&recording)]);
    let replay = |bundle: &Path| {
        let mut tool = Command::new(bench.options.programs.join("evenkeel-plugin"));
        tool.arg("replay").arg("--bundle").arg(bundle).arg("--recording").arg(&recording);
        tool.arg("--trust").arg(bench.path("trust")).output().expect("it runs")
    };
    let replayed = replay(&file);
    let said = String::from_utf8_lossy(&replayed.stdout);
    println!("{said}");
    assert!(replayed.status.success(), "{said}{}", String::from_utf8_lossy(&replayed.stderr));
    assert!(said.contains(&format!("then: {failure}\nnow:  {failure}\n")), "{said}");
    assert!(said.contains("last call: Wake"), "{said}");
    let other = bench.megatec("0.1.0-other", &bench.development_key());
    let refused = replay(&other);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("belongs to bundle"), "{said}");
}

#[test]
fn every_refusal_names_the_thing_and_what_to_do() {
    let bench = bench();
    let refused = |words: &[&str], code: i32, names: &[&str]| {
        let said = bench.refused(words, code);
        names.iter().for_each(|name| assert!(said.contains(name), "{name}: {said}"));
    };
    let at = bench.stack.address();
    let bare = |words: &[&str], code: i32, name: &str| {
        let said = bench.bare(words);
        assert_eq!(said.code, code, "{words:?}: {}", said.err);
        assert!(said.err.contains(name), "{name}: {}", said.err);
        println!("evenkeel plugin {}\n  → {code}: {}", words.join(" "), said.err.trim_end());
    };
    bare(&["list"], 2, "--at https://");
    bare(&["list", "--at", "ups"], 2, "no address");
    bare(&["list", "--at", at], 5, &format!("--fingerprint {}", bench.fingerprint));
    bare(&["list", "--at", at, "--fingerprint", &bench.fingerprint], 4, "--password-file");
    let file = bench.path("password");
    let stranger = "00".repeat(32);
    let wrong = ["list", "--at", at, "--fingerprint", &stranger, "--password-file", text(&file)];
    bare(&wrong, 3, &bench.fingerprint);
    let nobody = ["list", "--at", "https://127.0.0.1:1", "--fingerprint", &stranger];
    bare(&[&nobody[..], &["--password-file", text(&file)]].concat(), 3, "not reached");
    let bad = bench.path("bad");
    fs::write(&bad, "this is certainly not it\n").expect("written");
    let wrong = ["list", "--at", at, "--fingerprint", &bench.fingerprint, "--password-file"];
    bare(&[&wrong[..], &[text(&bad)]].concat(), 4, "Wrong user or password");

    refused(&["show", "ghost"], 1, &["ghost"]);
    refused(&["remove", "megatec"], 5, &["--yes"]);
    refused(&["upload", "/not/there.evkp"], 1, &["/not/there.evkp"]);
    refused(&["upload", text(&file)], 1, &["the upload is refused"]);
    refused(&["roll-back", "megatec"], 1, &["no earlier version"]);
    refused(&["grant", "ghost"], 2, &["no bundle of \"ghost\"", "upload FILE"]);
    refused(&["grant", "syslog", "secrets.key=open"], 2, &["secrets.key=@FILE"]);
    refused(&["grant", "syslog", "--yes"], 1, &["the peer \"server\""]);
    refused(&["grant", "megatec", "--setting", "no-such=1"], 1, &["no-such", "battery-packs"]);
    let listen = ["listen.modbus=tcp://127.0.0.1:0", "read.values=[\"ups.0\"]"];
    let dangerous = "commands.writes=[\"ups.0:load.off\"]";
    let wanted = [&["grant", "modbus-server", "--yes", dangerous][..], &listen].concat();
    let words = "commands.writes=ups.0:load.off";
    refused(&wanted, 5, &["switches the load off", words, "--confirm"]);
    bench.done(&[&wanted[..], &["--confirm", words]].concat());

    // A port that somebody else has is what is wrong with it now.
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let listen = format!("listen.modbus=tcp://{}", taken.local_addr().expect("bound"));
    bench.done(&["grant", "modbus-server", &listen]);
    let deadline = Instant::now() + Duration::from_secs(20);
    while !bench.done(&["show", "modbus-server"]).contains("the address is not free or not ours") {
        assert!(Instant::now() < deadline, "the taken port is not told");
    }

    refused(&["sign-in", "set", "megatec", "--role", "ops=admin"], 1, &["is no plugin"]);
    refused(&["sign-in", "set", "radius", "--role", "ops=root"], 1, &["admin", "viewer"]);
    assert!(bench.done(&["sign-in", "show"]).contains("kept on the appliance alone"));

    // A vendor whom nobody here knows, until a person says so.
    let vendor = SecretKey::generate(Role::Plugin, "acme").expect("a key");
    let foreign = bench.megatec("0.3.0", &vendor);
    let found = vendor.public().fingerprint();
    refused(&["upload", text(&foreign)], 1, &["the upload is refused", &found]);
    let key = bench.path("acme.pub");
    fs::write(&key, vendor.public().to_text()).expect("written");
    let add = ["trust-key", "add", text(&key), "--key-fingerprint"];
    refused(&[&add[..], &["0000"]].concat(), 1, &[&found]);
    bench.done(&[&add[..], &[&found]].concat());
    bench.done(&["upload", text(&foreign)]);
    let id = vendor.public().id().to_string();
    bench.done(&["trust-key", "withdraw", &id, "--reason", "stolen"]);
    assert!(bench.done(&["trust-key", "list"]).contains("withdrawn here: stolen"));
    refused(&["update", "megatec", text(&foreign)], 1, &["stolen"]);
    bench.done(&["trust-key", "restore", &id]);

    // A program with a token has no password and no session, and may what the
    // token says.
    let mut admin = Client::new(at, &bench.stack.certificate().expect("one")).expect("a client");
    admin.login("admin", PASSWORD).expect("signed in");
    let wish = json!({"name": "fleet", "scopes": {"plugins": "view"}});
    let made = admin.post("/api/v1/tokens", &wish).expect("made");
    let file = bench.path("token");
    fs::write(&file, made["token"].as_str().expect("shown once")).expect("written");
    let by_token = ["--at", at, "--fingerprint", &bench.fingerprint, "--token-file", text(&file)];
    let listed = bench.bare(&[&["list"], &by_token[..]].concat());
    assert_eq!(listed.code, 0, "{}", listed.err);
    let more = bench.bare(&[&["disable", "megatec"], &by_token[..]].concat());
    assert_ne!(more.code, 0);
    assert!(more.err.contains("configure in plugins"), "{}", more.err);
    let id = made["id"].as_str().expect("an id");
    admin.post(&format!("/api/v1/tokens/{id}/delete"), &json!({})).expect("withdrawn");
    assert_ne!(bench.bare(&[&["list"], &by_token[..]].concat()).code, 0, "withdrawn");
}

/// No file names this UPS: events and alarms of it come and go with its driver.
#[test]
fn a_ups_installed_over_the_api_is_watched_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().expect("a folder");
    let options = Options { ups: false, ..Options::for_test(dir.path()).expect("built") };
    let mut stack = Stack::start(options).expect("a running stack");
    let mut client = stack.sign_in().expect("signed in");
    let bundles = client.get("/api/v1/bundles").expect("answered");
    let mut bundles = bundles.as_array().into_iter().flatten();
    let megatec = bundles.find(|bundle| bundle["name"] == "megatec").expect("shipped");
    let serial = dir.path().join("hw/ups0");
    let plugin = json!({ "name": "megatec", "points": "ups.0",
        "grant": { "serial": { "ups": text(&serial) } } });
    let wanted = json!({ "plugin": plugin, "consent": megatec["consent"] });
    client.post("/api/v1/plugins", &wanted).expect("installed");
    client.await_answer("/api/v1/points?prefix=ups.0.ups.status", |points| {
        points[0]["value"].as_str().is_some_and(|words| words.contains("OL"))
    });
    let of_ups = |alarms: &Value| -> Vec<Value> {
        let alarms = alarms["alarms"].as_array().expect("a list").iter();
        alarms.filter(|alarm| alarm["place"] == "ups.0").cloned().collect()
    };
    assert_eq!(of_ups(&client.get("/api/v1/alarms").expect("answered")), [] as [Value; 0]);
    let events = "/api/v1/events?limit=1000";
    stack.control("mains off").expect("obeyed");
    client.await_answer(events, |told| told.to_string().contains("ups_on_battery"));
    let alarms = client.await_answer("/api/v1/alarms", |alarms| !of_ups(alarms).is_empty());
    assert_eq!(of_ups(&alarms)[0]["kind"], "ups-on-battery", "{alarms:#}");
    client.post("/api/v1/plugins/megatec/remove", &json!({})).expect("removed");
    client.await_answer(events, |told| told.to_string().contains("ups_unwatched"));
    // Nobody has acknowledged it; it is over all the same.
    let over = client.await_answer("/api/v1/alarms", |alarms| {
        of_ups(alarms).iter().all(|alarm| alarm["state"] == "returned")
    });
    assert_eq!(of_ups(&over).len(), 1, "{over:#}");
}
