//! The Modbus TCP gateway against other people's clients, pymodbus and mbpoll,
//! and against clients that misbehave.

use evenkeel_e2e::{Client, Options, Stack};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// An appliance whose gateway listens on a port of its own.
struct Bench {
    stack: Stack,
    client: Client,
    port: u16,
    _dir: tempfile::TempDir,
}

fn bench() -> Bench {
    bench_over("tcp")
}

fn bench_over(scheme: &'static str) -> Bench {
    let dir = tempfile::tempdir().expect("a folder");
    let port =
        TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
    let mut options = Options::for_test(dir.path()).expect("built");
    options.daemon_settings = format!(
        "[[plugin]]\nname = \"modbus-server\"\n\
         grant.listen.modbus = \"{scheme}://127.0.0.1:{port}\"\n\
         grant.read.values = [\"guard\", \"string\", \"ups.0\"]\n\
         grant.commands.writes = [\"guard:beeper.mute\", \"string.1:equalization.*\", \
         \"ups.0:beeper.*\"]\n"
    );
    let mut stack = Stack::start(options).expect("a running stack");
    let client = stack.sign_in().expect("signed in");
    let bench = Bench { stack, client, port, _dir: dir };
    let deadline = Instant::now() + Duration::from_secs(60);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let said = bench.stack.daemon.log();
        assert!(Instant::now() < deadline, "nothing listens:\n{said}");
        std::thread::sleep(Duration::from_millis(50));
    }
    bench
}

impl Bench {
    /// The points of a subtree, by their whole names.
    fn points(&mut self, prefix: &str) -> BTreeMap<String, Value> {
        let answer = self.client.get(&format!("/api/v1/points?prefix={prefix}")).expect("answered");
        let list = answer.as_array().cloned().unwrap_or_default();
        list.into_iter().filter_map(|p| Some((p["name"].as_str()?.to_owned(), p))).collect()
    }

    fn await_point(&mut self, name: &str, what: &str, wanted: impl Fn(&Value) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(40);
        loop {
            let points = self.points(name);
            let point = points.get(name).cloned().unwrap_or_default();
            if wanted(&point) {
                return;
            }
            assert!(Instant::now() < deadline, "{name} is not {what}: {point}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// What pymodbus makes of these operations.
    fn pymodbus(&self, operations: &Value) -> Vec<Value> {
        self.pymodbus_trusting(None, operations)
    }

    /// The same within TLS, where it believes this certificate alone.
    fn pymodbus_trusting(&self, certificate: Option<&Path>, operations: &Value) -> Vec<Value> {
        let mut child = Command::new(python())
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/modbus.py"))
            .arg(self.port.to_string())
            .args(certificate)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python is installed: run `cargo xtask test`");
        let mut input = child.stdin.take().expect("piped");
        input.write_all(operations.to_string().as_bytes()).expect("sent");
        drop(input);
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "pymodbus failed");
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    fn words(&self, unit: u8, address: u16, count: u16) -> Vec<u16> {
        let op = json!([{"fn": 3, "unit": unit, "address": address, "count": count}]);
        let words = &self.pymodbus(&op)[0]["words"];
        serde_json::from_value(words.clone()).expect("registers")
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
        stream.set_nodelay(true).expect("set");
        stream
    }
}

/// The one in the environment that the tests have installed.
fn python() -> PathBuf {
    let test = std::env::current_exe().expect("a path");
    test.ancestors().nth(3).expect("target").join("python/bin/python")
}

/// One request and its answer, without a library.
fn raw(stream: &mut TcpStream, unit: u8, pdu: &[u8]) -> std::io::Result<Vec<u8>> {
    let len = (pdu.len() + 1) as u8;
    stream.write_all(&[&[0x12, 0x34, 0, 0, 0, len, unit], pdu].concat())?;
    let mut head = [0; 7];
    stream.read_exact(&mut head)?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes([head[4], head[5]])) - 1];
    stream.read_exact(&mut answer)?;
    assert_eq!(head[..4], [0x12, 0x34, 0, 0], "the transaction comes back");
    Ok(answer)
}

/// 100 registers: five blocks.
const READ_100: [u8; 5] = [3, 0x27, 0x10, 0, 100];

#[test]
fn registers_are_what_the_api_says() {
    let mut bench = bench();
    bench.stack.control("ups 0 freeze on").expect("obeyed");
    bench.await_point("ups.0.input.voltage", "good", |p| p["quality"] == "good");
    bench.await_point("string.2.block.32.voltage", "good", |p| p["quality"] == "good");
    // The plant lives on: each value lies between, or near, two looks.
    let before = bench.points("");
    let read =
        |unit, address, count| json!({"fn": 3, "unit": unit, "address": address, "count": count});
    let operations: Vec<Value> = (0..4)
        .flat_map(|i| [1, 2].map(|unit| read(unit, 10_000 + i * 120, 120)))
        .chain([read(255, 3_000, 100), read(0, 5_000, 50), read(1, 2_000, 10)])
        .collect();
    let answers = bench.pymodbus(&json!(operations));
    let after = bench.points("");
    let mut registers: BTreeMap<(u64, u64), u16> = BTreeMap::new();
    for (operation, answer) in operations.iter().zip(&answers) {
        let words: Vec<u16> = serde_json::from_value(answer["words"].clone()).expect("words");
        let (unit, address) = (operation["unit"].as_u64(), operation["address"].as_u64());
        let (unit, address) = (unit.expect("unit") % 255, address.expect("address"));
        registers.extend(words.into_iter().zip(address..).map(|(word, at)| ((unit, at), word)));
    }
    let one = |unit, at| f64::from(registers[&(unit, at)]);
    let two =
        |unit, at| u32::from(registers[&(unit, at)]) << 16 | u32::from(registers[&(unit, at + 1)]);
    let float = |unit, at| f64::from(f32::from_bits(two(unit, at)));
    let mut compared = 0;
    let mut same = |name: &str, value: f64, tolerance: f64| {
        let look =
            |points: &BTreeMap<String, Value>| points[name]["value"].as_f64().expect("a number");
        let (a, b) = (look(&before), look(&after));
        let (low, high) = (a.min(b) - tolerance, a.max(b) + tolerance);
        assert!((low..=high).contains(&value), "{name}: {value}, the API says {a} and {b}");
        compared += 1;
    };
    for string in [1, 2] {
        for block in 1..=24 {
            let (at, root) = (9_980 + 20 * block, format!("string.{string}.block.{block}"));
            same(&format!("{root}.voltage"), one(string, at) / 1e3, 0.02);
            same(&format!("{root}.voltage"), float(string, at + 14), 0.02);
            same(&format!("{root}.temperature"), one(string, at + 1) / 10.0, 0.3);
            assert_eq!(one(string, at + 10), 0.0, "{root}: good");
            assert!(one(string, at + 13) < 10.0, "{root}: fresh");
        }
        let (at, root) = (2_950 + 50 * string, format!("string.{string}"));
        same(&format!("{root}.voltage"), f64::from(two(0, at)) / 1e3, 0.5);
        same(&format!("{root}.voltage"), float(0, at + 20), 0.5);
        same(&format!("{root}.target"), one(0, at + 14) / 1e3, 0.02);
    }
    for (name, value) in [
        ("input.voltage", one(0, 5_003) / 10.0),
        ("input.frequency", one(0, 5_004) / 100.0),
        ("output.voltage", one(0, 5_005) / 10.0),
        ("ups.load", one(0, 5_006) / 10.0),
        ("battery.voltage", one(0, 5_008) / 100.0),
        ("ups.temperature", one(0, 5_011) / 10.0),
        ("input.voltage", float(0, 5_020)),
        ("ups.load", float(0, 5_026)),
    ] {
        // At rest: the same to what a register or a single float can hold.
        same(&format!("ups.0.{name}"), value, 1e-4);
    }
    assert_eq!(registers[&(1, 2_000)], 1, "layout version");
    assert_eq!(registers[&(0, 5_000)] & 1, 1, "on line");
    assert!(compared >= 64, "{compared}");
    println!("{compared} values agree with the API");
}

#[test]
fn mbpoll_reads_the_same() {
    let mut bench = bench();
    bench.await_point("string.1.block.1.voltage", "good", |p| p["quality"] == "good");
    let mbpoll = |arguments: &[&str]| {
        let output = Command::new("mbpoll")
            .args(["-m", "tcp", "-0", "-1", "-B", "-p", &bench.port.to_string()])
            .args(arguments)
            .arg("127.0.0.1")
            .output()
            .expect("mbpoll is installed: run `cargo xtask test`");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let value = text.lines().find_map(|line| line.strip_prefix('[')?.split_once("]:"));
        value.map(|(_, value)| value.trim().to_owned()).unwrap_or_else(|| panic!("{text}"))
    };
    let millivolts: f64 = mbpoll(&["-a", "1", "-t", "4", "-r", "10000"]).parse().expect("a number");
    let volts: f64 =
        mbpoll(&["-a", "1", "-t", "3:float", "-r", "10014"]).parse().expect("a number");
    assert!((millivolts / 1e3 - volts).abs() < 0.05, "{millivolts} mV, {volts} V");
    assert_eq!(mbpoll(&["-a", "1", "-t", "1", "-r", "4"]), "1", "the guard answers");
    assert_eq!(mbpoll(&["-a", "1", "-t", "0", "-r", "100"]), "0", "not paused");
}

#[test]
fn within_tls_the_gateway_shows_the_certificate_of_the_console() {
    let mut bench = bench_over("tls");
    bench.await_point("string.1.block.1.voltage", "good", |p| p["quality"] == "good");
    let certificate = bench.stack.data().join("console-certificate.pem");
    let voltage = json!([{"fn": 3, "unit": 1, "address": 10_000, "count": 1}]);
    let seen = bench.pymodbus_trusting(Some(&certificate), &voltage)[0]["words"].clone();
    let points = bench.points("string.1.block.1.voltage");
    let known = points["string.1.block.1.voltage"]["value"].as_f64().expect("a number");
    let seen = seen[0].as_f64().expect("a register") / 1e3;
    assert!((seen - known).abs() < 0.1, "{seen} V by the gateway, {known} V by the API");

    // Whoever does not speak TLS gets no register.
    let mut plain = bench.connect();
    let answer = raw(&mut plain, 1, &[3, 0x27, 0x10, 0, 1]);
    assert!(answer.is_err(), "answered in the clear: {answer:?}");
}

#[test]
fn what_cannot_be_has_its_exception() {
    let bench = bench();
    let answers = bench.pymodbus(&json!([
        {"fn": 3, "unit": 1, "address": 0, "count": 1},
        {"fn": 4, "unit": 1, "address": 20_239, "count": 2},
        {"fn": 2, "unit": 1, "address": 1_512, "count": 1},
        {"fn": 3, "unit": 33, "address": 2_000, "count": 1},
        {"fn": 6, "unit": 1, "address": 10_000, "values": [1]},
        {"fn": 43, "unit": 1},
    ]));
    let codes: Vec<Option<u64>> = answers.iter().map(|a| a["exception"].as_u64()).collect();
    assert_eq!(codes, [Some(2), Some(2), Some(2), Some(11), Some(2), None]);
    assert_eq!(answers[5]["identity"][0], "Evenkeel");
    // What a library would not send.
    let mut stream = bench.connect();
    for (pdu, code) in [
        (&[3, 0x27, 0x10, 0, 126][..], 3),
        (&[3, 0x27, 0x10, 0, 0], 3),
        (&[1, 0, 0, 0x07, 0xD1], 3),
        (&[5, 0, 100, 1, 2], 3),
        (&[16, 0x08, 0x34, 0, 2, 4, 0, 1], 3),
        (&[3, 0xFF, 0xFF, 0, 2], 2),
        (&[7], 1),
        (&[8, 0, 0, 0, 0], 1),
        (&[100, 1, 2, 3], 1),
    ] {
        let answer = raw(&mut stream, 1, pdu).expect("answered");
        assert_eq!(answer, [pdu[0] | 0x80, code], "{pdu:?}");
    }
}

#[test]
fn a_write_is_a_command_that_was_granted_or_nothing() {
    let mut bench = bench();
    bench.await_point("string.1.block.1.voltage", "good", |p| p["quality"] == "good");
    let answers = bench.pymodbus(&json!([
        {"fn": 5, "unit": 1, "address": 100, "values": [true]},
        {"fn": 5, "unit": 1, "address": 101, "values": [true]},
        {"fn": 5, "unit": 1, "address": 150, "values": [true]},
        {"fn": 5, "unit": 1, "address": 310, "values": [true]},
        {"fn": 5, "unit": 1, "address": 300, "values": [true]},
    ]));
    let codes: Vec<Option<u64>> = answers.iter().map(|a| a["exception"].as_u64()).collect();
    // Granted; not this string; not this command; granted and not offered; not.
    assert_eq!(codes, [None, Some(1), Some(1), Some(2), Some(1)]);
    let paused = |p: &Value| p["value"].as_str().is_some_and(|v| v.contains("paused by a user"));
    bench.await_point("string.1.inhibit", "paused", paused);
    let look = bench.pymodbus(&json!([{"fn": 1, "unit": 1, "address": 100, "count": 3}]));
    assert_eq!(look[0]["bits"], json!([true, false, false]));
    let events = bench.client.get("/api/v1/events?limit=1000").expect("answered").to_string();
    let told = "plugin modbus-server told string.1: equalization.pause 3600";
    assert!(events.contains(told), "{events}");
    // A register: 0 ends the pause. Writing and reading in one.
    let answers = bench.pymodbus(&json!([
        {"fn": 16, "unit": 1, "address": 2_100, "values": [0]},
        {"fn": 23, "unit": 1, "address": 2_100, "values": [0], "read": 2_000, "count": 1},
    ]));
    assert_eq!(answers, [json!({"written": true}), json!({"words": [1]})]);
    bench.await_point("string.1.inhibit", "not paused", |p| !paused(p));
}

#[test]
fn a_driver_carries_out_what_the_api_tells_it() {
    let mut bench = bench();
    bench.await_point("ups.0.ups.beeper.status", "good", |p| p["quality"] == "good");
    let list = bench.client.get("/api/v1/commands").expect("answered");
    let list = list.as_array().cloned().unwrap_or_default();
    let find = |name: &str| list.iter().find(|c| c["target"] == "ups.0" && c["command"] == name);
    assert_eq!(find("beeper.toggle").expect("offered")["danger"], Value::Null);
    assert!(find("load.off").expect("offered")["danger"].is_string());
    let before =
        bench.points("ups.0.ups.beeper.status")["ups.0.ups.beeper.status"]["value"].clone();
    let wish = json!({"target": "ups.0", "command": "beeper.toggle"});
    bench.client.post("/api/v1/commands", &wish).expect("done");
    bench.await_point("ups.0.ups.beeper.status", "toggled", |p| {
        p["quality"] == "good" && p["value"] != before
    });
    let wish = json!({"target": "ups.0", "command": "load.off"});
    let refused = bench.client.post("/api/v1/commands", &wish).expect_err("not confirmed");
    assert!(refused.to_string().contains("428"), "{refused}");
    bench.client.post("/api/v1/plugins/megatec/disable", &json!({})).expect("done");
    let deadline = Instant::now() + Duration::from_secs(10);
    while bench.client.get("/api/v1/commands").expect("answered").to_string().contains("load.off") {
        assert!(Instant::now() < deadline, "offers outlive their plugin");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_silent_ups_is_stale_and_a_disabled_plugin_is_gone() {
    let mut bench = bench();
    bench.await_point("ups.0.ups.status", "good", |p| p["quality"] == "good");
    assert_eq!(bench.words(1, 5_001, 1), [0]);
    bench.stack.control("ups 0 silence on").expect("obeyed");
    bench.await_point("ups.0.ups.status", "stale", |p| p["quality"] == "stale");
    let words = bench.words(1, 5_000, 4);
    assert_eq!((words[0] & 1, words[1]), (1, 2), "the last status, and stale");
    assert!(words[3] > 1_000, "the last voltage stays");
    bench.stack.control("ups 0 silence off").expect("obeyed");
    bench.await_point("ups.0.ups.status", "good", |p| p["quality"] == "good");
    assert_eq!(bench.words(1, 5_001, 1), [0]);

    let mut open = bench.connect();
    raw(&mut open, 1, &READ_100).expect("answered");
    bench.client.post("/api/v1/plugins/modbus-server/disable", &json!({})).expect("done");
    assert!(raw(&mut open, 1, &READ_100).is_err(), "its connections end");
    let deadline = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(("127.0.0.1", bench.port)).is_ok() {
        assert!(Instant::now() < deadline, "still listening");
        std::thread::sleep(Duration::from_millis(50));
    }
    bench.client.post("/api/v1/plugins/modbus-server/enable", &json!({})).expect("done");
    let deadline = Instant::now() + Duration::from_secs(30);
    while TcpStream::connect(("127.0.0.1", bench.port)).is_err() {
        assert!(Instant::now() < deadline, "does not listen again");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Whether the other end has closed the connection.
fn is_closed(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 64]) {
        Ok(0) => true,
        Ok(_) => false,
        Err(e) => e.kind() != ErrorKind::WouldBlock && e.kind() != ErrorKind::TimedOut,
    }
}

#[test]
fn clients_that_misbehave_disturb_nobody() {
    let mut bench = bench();
    bench.await_point("string.1.block.1.voltage", "good", |p| p["quality"] == "good");
    let mut good = bench.connect();
    let mut worst = Duration::ZERO;
    let mut check = |bench: &mut Bench, what: &str| {
        let begun = Instant::now();
        let answer = raw(&mut good, 1, &READ_100).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(answer.len(), 202, "{what}");
        worst = worst.max(begun.elapsed());
        bench.client.get("/api/v1/guard").unwrap_or_else(|e| panic!("{what}: {e}"));
    };
    check(&mut bench, "before");
    // Bytes that are no Modbus end their connection.
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xFF; 300], &[0, 1, 0, 0, 0xFF, 0xFF, 1]] {
        let mut bad = bench.connect();
        bad.write_all(garbage).expect("sent");
        assert!(is_closed(&mut bad));
        check(&mut bench, "garbage");
    }
    // Requests that are never whole, and one that comes a byte a second.
    let halves: Vec<TcpStream> = (0..8)
        .map(|_| {
            let mut half = bench.connect();
            half.write_all(&[0, 1, 0, 0, 0, 6, 1, 3]).expect("sent");
            half
        })
        .collect();
    let mut slow = bench.connect();
    let begun = Instant::now();
    for byte in [0, 1, 0, 0, 0, 60].into_iter().chain([1; 60]) {
        if slow.write_all(&[byte]).is_err() || begun.elapsed() > Duration::from_secs(25) {
            break;
        }
        check(&mut bench, "slow loris");
        std::thread::sleep(Duration::from_secs(1));
    }
    let lasted = begun.elapsed();
    assert!(lasted < Duration::from_secs(20), "the slow one lives after {lasted:?}");
    for mut half in halves {
        assert!(is_closed(&mut half), "half a request is waited for, and then no more");
    }
    // A hundred at once: some are turned away.
    let crowd: Vec<TcpStream> = (0..100).map(|_| bench.connect()).collect();
    check(&mut bench, "crowd");
    let refused = crowd.into_iter().filter_map(|mut stream| {
        stream.set_read_timeout(Some(Duration::from_millis(20))).expect("set");
        is_closed(&mut stream).then_some(())
    });
    let refused = refused.count();
    assert!(refused >= 80, "{refused} of 100 refused");
    check(&mut bench, "after");
    let deadline = Instant::now() + Duration::from_secs(10);
    while raw(&mut bench.connect(), 1, &READ_100).is_err() {
        assert!(Instant::now() < deadline, "nobody gets in any more");
    }
    println!("worst answer to the good client: {worst:?}");
    assert!(worst < Duration::from_secs(1), "{worst:?}");
    let plugins = bench.client.get("/api/v1/plugins").expect("answered");
    let all = plugins.as_array().expect("a list");
    let server = all.iter().find(|plugin| plugin["name"] == "modbus-server").expect("installed");
    assert_eq!((&server["state"], &server["traps"]), (&json!("running"), &json!(0)), "{server:#}");
}

/// Answers a second of one client, and how long they take, for reads of 100
/// registers. The bounds are far off: what is measured is printed.
#[test]
fn many_requests_are_answered_soon() {
    let mut bench = bench();
    bench.await_point("string.1.block.5.voltage", "good", |p| p["quality"] == "good");
    for clients in [1, 8] {
        let begun = Instant::now();
        let mut times: Vec<Duration> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..clients)
                .map(|_| {
                    let mut stream = bench.connect();
                    scope.spawn(move || {
                        let mut times = Vec::new();
                        while begun.elapsed() < Duration::from_secs(5) {
                            let asked = Instant::now();
                            raw(&mut stream, 1, &READ_100).expect("answered");
                            times.push(asked.elapsed());
                        }
                        times
                    })
                })
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
        });
        let per_second = times.len() as f64 / begun.elapsed().as_secs_f64();
        times.sort_unstable();
        let (p50, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
        println!("{clients} clients: {per_second:.0} reads/s, p50 {p50:?}, p99 {p99:?}");
        assert!(per_second > 5.0 && p99 < Duration::from_secs(3));
    }
}
