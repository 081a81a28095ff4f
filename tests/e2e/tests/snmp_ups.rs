//! A UPS behind net-snmp's agent, read by the plugin over SNMPv1, v2c and v3:
//! the same values as NUT's own driver in every situation, an honest picture
//! when the agent is away or a key is wrong, and commands that arrive.

use evenkeel_e2e::{Client, Options, Program, Stack};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// The agent that the plugin's own tests read too.
const OBJECTS: &str = include_str!("../../../plugins/snmp-ups/testcases/single_phase/agent.txt");
const UPS_MIB: &str = "1.3.6.1.2.1.33";
/// The copies of the plugin, by the subtree that each publishes.
const VERSIONS: [(&str, &str); 3] = [("ups.1", "v1"), ("ups.2", "v2c"), ("ups.3", "v3")];

/// net-snmp's agent with the objects of a UPS.
struct Agent {
    dir: PathBuf,
    port: u16,
    program: Program,
    values: BTreeMap<String, String>,
}

impl Agent {
    fn start(dir: &Path) -> Self {
        let dir = dir.join("snmpd");
        std::fs::create_dir_all(&dir).expect("a folder");
        let free = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let port = free.local_addr().expect("bound").port();
        drop(free);
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/snmp_agent.py");
        let config = format!(
            "agentaddress udp:127.0.0.1:{port}\nsysobjectid .{UPS_MIB}\nrwcommunity opensesame\n\
             createUser monitor SHA-256 \"authentication\" AES \"confidential\"\nrwuser monitor priv\n\
             pass_persist .{UPS_MIB} /usr/bin/python3 {script} {dir}/values {dir}/changes\n",
            dir = dir.display()
        );
        std::fs::write(dir.join("snmpd.conf"), config).expect("written");
        std::fs::write(dir.join("changes"), "").expect("written");
        let objects = OBJECTS.lines().filter(|line| line.starts_with(UPS_MIB));
        let object = |line: &str| {
            let (oid, rest) = line.split_once(' ').expect("an object");
            (oid.to_owned(), rest.to_owned())
        };
        let values = objects.map(object).collect();
        let program = Self::program(&dir);
        let mut agent = Self { dir, port, program, values };
        agent.change(&[]);
        agent
    }

    fn program(dir: &Path) -> Program {
        let mut command = Command::new("/usr/sbin/snmpd");
        command.args(["-f", "-Lo", "-C", "-c"]).arg(dir.join("snmpd.conf"));
        command.arg("-p").arg(dir.join("pid")).env("SNMP_PERSISTENT_DIR", dir.join("persistent"));
        // It needs no names, and complains of each file of them that is not there.
        command.env("MIBS", "");
        Program::start("snmpd", &mut command, &dir.join("log")).expect("snmpd is installed")
    }

    fn restart(&mut self) {
        self.program = Self::program(&self.dir);
    }

    /// Change objects of the UPS-MIB: path, type and value; an empty one goes.
    fn change(&mut self, changes: &[(&str, &str)]) {
        for (at, value) in changes {
            let oid = format!("{UPS_MIB}.1.{at}");
            match value.is_empty() {
                true => self.values.remove(&oid),
                false => self.values.insert(oid, (*value).to_owned()),
            };
        }
        let lines: String = self.values.iter().map(|(oid, v)| format!("{oid} {v}\n")).collect();
        let fresh = self.dir.join("values.new");
        std::fs::write(&fresh, lines).expect("written");
        std::fs::rename(fresh, self.dir.join("values")).expect("renamed");
    }

    /// What managers have set.
    fn changed(&self) -> String {
        std::fs::read_to_string(self.dir.join("changes")).expect("read")
    }

    /// What NUT's driver makes of it.
    fn nut(&self) -> BTreeMap<String, String> {
        let state = self.dir.join("nut");
        std::fs::create_dir_all(&state).expect("a folder");
        let config = format!(
            "maxretry = 1\n[ups]\n  driver = snmp-ups\n  port = 127.0.0.1:{}\n  mibs = ietf\n  \
             community = opensesame\n  snmp_version = v2c\n  pollinterval = 1\n",
            self.port
        );
        std::fs::write(state.join("ups.conf"), config).expect("written");
        let driver = ["/lib/nut/snmp-ups", "/usr/lib/nut/snmp-ups"]
            .into_iter()
            .find(|p| Path::new(p).exists())
            .expect("nut-snmp is installed: run `cargo xtask test`");
        let output = Command::new("timeout")
            .args(["60", driver, "-a", "ups", "-d", "2", "-u", "root"])
            .env("NUT_CONFPATH", &state)
            .env("NUT_STATEPATH", &state)
            .env("NUT_ALTPIDPATH", &state)
            .output()
            .expect("the driver runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let variables = text.lines().filter_map(|line| line.split_once(": "));
        let variables: BTreeMap<String, String> =
            variables.map(|(name, value)| (name.trim().into(), value.trim().into())).collect();
        assert!(variables.contains_key("ups.status"), "{text}");
        variables
    }
}

fn grant(port: u16, version: &str, key: &str, write: bool) -> String {
    let who = match version {
        "v3" => format!(
            "user = \"monitor\", auth = \"sha256\", auth_key = \"{key}\", privacy = \"aes128\", \
             privacy_key = \"confidential\""
        ),
        _ => "community = \"opensesame\"".to_owned(),
    };
    format!(
        "grant.snmp.ups = {{ address = \"127.0.0.1:{port}\", version = \"{version}\", {who}, \
         write = {write} }}\n"
    )
}

/// A copy of the plugin that publishes this subtree.
fn plugin(points: &str, grant: &str) -> String {
    let id = points.replace('.', "-");
    format!("[[plugin]]\nname = \"snmp-ups\"\nid = \"{id}\"\npoints = \"{points}\"\n{grant}\n")
}

fn stack(dir: &Path, agent: &Agent) -> Stack {
    let mut options = Options::for_test(dir).expect("built");
    for (points, version) in VERSIONS {
        let grant = grant(agent.port, version, "authentication", version != "v1");
        options.daemon_settings.push_str(&plugin(points, &grant));
    }
    let wrong = grant(agent.port, "v3", "another phrase", false);
    options.daemon_settings.push_str(&plugin("ups.4", &wrong));
    Stack::start(options).expect("a running stack")
}

fn points(client: &mut Client, subtree: &str) -> BTreeMap<String, Value> {
    let answer = client.get(&format!("/api/v1/points?prefix={subtree}")).expect("answered");
    let list = answer.as_array().cloned().unwrap_or_default();
    let prefix = format!("{subtree}.");
    list.into_iter()
        .filter_map(|p| Some((p["name"].as_str()?.strip_prefix(&prefix)?.to_owned(), p)))
        .collect()
}

fn await_points(
    client: &mut Client,
    subtree: &str,
    what: &str,
    wanted: impl Fn(&BTreeMap<String, Value>) -> bool,
) -> BTreeMap<String, Value> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let found = points(client, subtree);
        if wanted(&found) {
            return found;
        }
        let log = client.get(&format!("/api/v1/plugins/{}", subtree.replace('.', "-")));
        assert!(Instant::now() < deadline, "{what} never came to {subtree}: {found:#?}\n{log:#?}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn status(points: &BTreeMap<String, Value>) -> Option<&str> {
    points.get("ups.status").and_then(|p| p["value"].as_str())
}

fn quality<'a>(points: &'a BTreeMap<String, Value>, name: &str) -> Option<&'a str> {
    points.get(name).and_then(|p| p["quality"].as_str())
}

/// Where NUT's variable is to be found with us; none for what is no variable
/// of the UPS.
fn ours(name: &str) -> Option<String> {
    let about_nut = name.starts_with("driver.") || name == "device.type";
    // The card's system group: whose it is and where, not the UPS.
    let about_card = ["device.contact", "device.location", "device.description"].contains(&name);
    // Of a single phase NUT repeats the bypass under the names of three.
    let repeated = name.starts_with("input.bypass.L1");
    let name = match name {
        // RFC 1628 speaks of the rating of the output, NUT's list of the UPS's.
        "output.power.nominal" => "ups.power.nominal",
        "output.realpower.nominal" => "ups.realpower.nominal",
        name => name,
    };
    (!about_nut && !about_card && !repeated).then(|| name.to_ascii_lowercase())
}

/// NUT asks for well-known alarms as if their names were objects, and so sees
/// none (facts/snmp.md §2.2): without the words that only alarms give. The
/// order of the others means nothing.
fn without_alarms(status: &str) -> BTreeSet<&str> {
    status.split(' ').filter(|word| !["ALARM", "RB"].contains(word)).collect()
}

fn compare(situation: &str, theirs: &BTreeMap<String, String>, points: &BTreeMap<String, Value>) {
    let mut compared = 0;
    for (name, value) in theirs {
        let Some(name) = ours(name).filter(|name| name != "ups.alarm") else { continue };
        let Some(point) = points.get(&name) else {
            panic!("{situation}: NUT has {name} = {value}, we do not");
        };
        let same = match (point["value"].as_f64(), value.parse::<f64>()) {
            (Some(a), Ok(b)) => (a - b).abs() < 1e-6,
            _ if name == "ups.status" => {
                point["value"].as_str().map(without_alarms) == Some(without_alarms(value))
            }
            _ => point["value"].as_str() == Some(value),
        };
        assert!(same, "{situation}: {name}: NUT says {value}, we say {}", point["value"]);
        compared += 1;
    }
    println!("{situation}: {compared} variables agree with NUT's snmp-ups");
    assert!(compared >= 35, "{situation}: only {compared} in common: {theirs:#?}");
}

#[test]
fn nut_reads_the_same_agent_and_agrees() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut agent = Agent::start(dir.path());
    let mut stack = stack(dir.path(), &agent);
    let mut client = stack.sign_in().expect("signed in");
    let alarm = |n: u32| format!("objectid .{UPS_MIB}.1.6.3.{n}");
    let (on_battery, low, replace) = (alarm(2), alarm(3), alarm(1));
    for (wanted, changes) in [
        ("OL", vec![]),
        (
            "OB",
            vec![
                ("4.1.0", "integer 5"),
                ("2.2.0", "integer 12"),
                ("2.6.0", "integer -187"),
                ("3.3.1.3.1", "integer 3"),
                ("6.1.0", "gauge 1"),
                ("6.2.1.2.1", on_battery.as_str()),
            ],
        ),
        (
            "ALARM OB LB",
            vec![
                ("2.1.0", "integer 3"),
                ("2.3.0", "integer 2"),
                ("2.4.0", "integer 11"),
                ("6.1.0", "gauge 2"),
                ("6.2.1.2.2", low.as_str()),
            ],
        ),
        (
            "ALARM OL RB",
            vec![
                ("2.1.0", "integer 2"),
                ("4.1.0", "integer 3"),
                ("6.2.1.2.1", ""),
                ("6.2.1.2.2", ""),
                ("6.1.0", "gauge 1"),
                ("6.2.1.2.3", replace.as_str()),
            ],
        ),
    ] {
        agent.change(&changes);
        let read = |client: &mut Client, points: &str| {
            await_points(client, points, wanted, |found| status(found) == Some(wanted))
        };
        let found: Vec<_> = VERSIONS.iter().map(|(points, _)| read(&mut client, points)).collect();
        let theirs = agent.nut();
        for ((_, version), points) in VERSIONS.iter().zip(&found) {
            compare(&format!("{wanted} by {version}"), &theirs, points);
        }
    }
    let shown = points(&mut client, "ups.3")["ups.alarm"]["value"].clone();
    assert_eq!(shown, "replace the battery");
    tell_cost(&mut client);
    stack.check().expect("all programs run");
}

fn tell_cost(client: &mut Client) {
    for (points, version) in VERSIONS {
        let id = points.replace('.', "-");
        let detail = client.get(&format!("/api/v1/plugins/{id}")).expect("answered");
        let status = &detail["status"];
        let (cpu_ms, polls) = (status["cpu_ms"].as_f64(), status["polls"].as_f64());
        println!(
            "{version}: poll {} µs (median), {:.2} ms of processor per poll, {} bytes of memory",
            status["poll_p50_us"],
            cpu_ms.unwrap_or(f64::NAN) / polls.unwrap_or(f64::NAN),
            status["memory_bytes"],
        );
    }
}

#[test]
fn an_agent_that_dies_and_a_wrong_key_are_said_plainly() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut agent = Agent::start(dir.path());
    let mut stack = stack(dir.path(), &agent);
    let mut client = stack.sign_in().expect("signed in");
    let good = |found: &BTreeMap<String, Value>| quality(found, "ups.load") == Some("good");
    let stale = |found: &BTreeMap<String, Value>| quality(found, "ups.load") == Some("stale");
    for (subtree, _) in VERSIONS {
        await_points(&mut client, subtree, "a good value", good);
    }
    agent.program.kill();
    for (subtree, _) in VERSIONS {
        await_points(&mut client, subtree, "a stale value", stale);
    }
    agent.restart();
    for (subtree, _) in VERSIONS {
        await_points(&mut client, subtree, "a good value again", good);
    }
    let wrong = client.get("/api/v1/plugins/ups-4").expect("answered").to_string();
    assert!(wrong.contains("wrong key: `auth` or `auth_key`"), "{wrong}");
    assert!(!wrong.contains("another phrase") && !wrong.contains("confidential"), "{wrong}");
    assert!(points(&mut client, "ups.4").is_empty(), "nothing was read with it");
    let everywhere = client.get("/api/v1/plugins").expect("answered").to_string();
    assert!(!everywhere.contains("opensesame") && !everywhere.contains("authentication"));
}

#[test]
fn a_command_reaches_the_agent_where_the_grant_allows_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let agent = Agent::start(dir.path());
    let mut stack = stack(dir.path(), &agent);
    let mut client = stack.sign_in().expect("signed in");
    let beeper = |wanted: &'static str| {
        move |found: &BTreeMap<String, Value>| {
            found.get("ups.beeper.status").is_some_and(|p| p["value"] == wanted)
        }
    };
    for (subtree, _) in VERSIONS {
        await_points(&mut client, subtree, "the beeper", beeper("enabled"));
    }
    let tell = |client: &mut Client, target: &str, command: &str| {
        client.post("/api/v1/commands", &json!({ "target": target, "command": command }))
    };
    tell(&mut client, "ups.2", "beeper.disable").expect("obeyed");
    await_points(&mut client, "ups.3", "the beeper", beeper("disabled"));
    tell(&mut client, "ups.3", "test.battery.start.quick").expect("obeyed");
    let changes = agent.changed();
    assert!(changes.contains(".33.1.9.8.0 integer 1"), "{changes}");
    let lock = changes.find(".33.1.7.2.0 integer 1").expect("the lock is set");
    let test = changes.find(".33.1.7.1.0 objectid").expect("the test is named");
    assert!(lock < test, "{changes}");
    let refused = tell(&mut client, "ups.1", "beeper.enable").expect_err("granted for reading");
    assert!(refused.to_string().contains("write = true"), "{refused}");
    assert_eq!(agent.changed(), changes);
}

#[test]
fn a_ups_over_the_licence_keeps_its_status_and_not_its_values() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut agent = Agent::start(dir.path());
    let mut options = Options::for_test(dir.path()).expect("built");
    options.licensed = false;
    options.daemon_settings = plugin("ups.1", &grant(agent.port, "v2c", "", false));
    let mut stack = Stack::start(options).expect("a running stack");
    let mut client = stack.sign_in().expect("signed in");
    let load = |wanted: &'static str| {
        move |found: &BTreeMap<String, Value>| quality(found, "ups.load") == Some(wanted)
    };
    // 3 kVA: the edition without a licence shows it.
    await_points(&mut client, "ups.1", "the load", load("good"));
    let licence = client.get("/api/v1/licence").expect("answered");
    assert_eq!((&licence["edition"], &licence["upses_over"]), (&json!("LC"), &json!([])));

    // A larger one is at the same address; ratings are read when a driver starts.
    agent.change(&[("9.5.0", "integer 10000"), ("9.6.0", "integer 9000")]);
    client.post("/api/v1/plugins/ups-1/restart", &json!({})).expect("restarted");
    let found = await_points(&mut client, "ups.1", "the load withheld", load("bad"));
    assert_eq!(status(&found), Some("OL"), "what protects is shown");
    assert_eq!(found["ups.power.nominal"]["value"], 10_000.0, "and why the rest is not");
    let licence = client.get("/api/v1/licence").expect("answered");
    assert_eq!(licence["upses_over"], json!(["ups.1"]));

    agent.change(&[("4.1.0", "integer 5")]);
    client.await_answer("/api/v1/events?limit=100", |events| {
        events.to_string().contains("ups.1 runs on battery")
    });
    agent.change(&[("4.1.0", "integer 3"), ("9.5.0", "integer 6000"), ("9.6.0", "integer 5400")]);
    client.post("/api/v1/plugins/ups-1/restart", &json!({})).expect("restarted");
    await_points(&mut client, "ups.1", "the load again", load("good"));
}
