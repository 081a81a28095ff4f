//! The program as its users see it: ports, control words, signals, in real
//! time.

use evenkeel_core::bus::wire::{Decoder, FRAME_MAX, Reply, Request};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_evenkeel-sim");

/// A running simulator; killed when the test fails.
struct Simulator {
    child: Child,
    dir: TempDir,
    ready: String,
}

impl Simulator {
    fn start(scenario: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("scenario.toml");
        std::fs::write(&file, scenario).expect("written");
        let mut child = Command::new(PROGRAM)
            .args(["run", "--seed", "5", "--dir"])
            .arg(dir.path())
            .arg("--scenario")
            .arg(&file)
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let mut ready = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut ready).expect("a line");
        Self { child, dir, ready }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn ctl(&self, words: &str) -> Output {
        let words = words.split_whitespace();
        let output =
            Command::new(PROGRAM).args(["ctl", "--dir"]).arg(self.path()).args(words).output();
        output.expect("started")
    }

    fn ok(&self, words: &str) -> String {
        let output = self.ctl(words);
        assert!(output.status.success(), "{words}: {output:?}");
        String::from_utf8(output.stdout).expect("text")
    }

    fn open(&self, port: &str) -> File {
        OpenOptions::new().read(true).write(true).open(self.path().join(port)).expect(port)
    }

    /// The simulator ends by itself, and leaves nothing behind.
    fn gone(mut self) {
        let status = self.child.wait().expect("ended");
        assert!(status.success(), "{status}");
        for link in ["bus0", "ups0", "ups0b", "control"] {
            assert!(
                !self.path().join(link).is_symlink() && !self.path().join(link).exists(),
                "{link}"
            );
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        // It may have ended already, which is what most tests want.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Bytes that arrive until `enough` says so, or for three seconds.
fn read_until(port: &mut File, enough: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let end = Instant::now() + Duration::from_secs(3);
    let mut got = Vec::new();
    while !enough(&got) && Instant::now() < end {
        let mut fds = [PollFd::new(port, PollFlags::IN)];
        let timeout = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
        if poll(&mut fds, Some(&timeout)).expect("polled") > 0 {
            let mut buffer = [0; 512];
            match port.read(&mut buffer) {
                Ok(len @ 1..) => got.extend_from_slice(&buffer[..len]),
                _ => break,
            }
        }
    }
    got
}

fn ask_ups(port: &mut File, request: &[u8]) -> String {
    port.write_all(request).expect("written");
    let reply = read_until(port, |got| got.ends_with(b"\r"));
    String::from_utf8_lossy(&reply).into_owned()
}

fn request(port: &mut File, request: &Request<'_>) {
    let mut frame = [0; FRAME_MAX];
    let len = request.encode(&mut frame);
    port.write_all(&frame[..len]).expect("written");
}

/// Voltages of modules 1 … 64 after one SAMPLE, mV.
fn scan(port: &mut File) -> Vec<u16> {
    request(port, &Request::Sample { sample: 1, window_ms: 100 });
    std::thread::sleep(Duration::from_millis(110));
    request(port, &Request::Read { first: 1, count: 64 });
    let bytes = read_until(port, |got| got.iter().filter(|b| **b == 0).count() >= 64);
    let mut decoder = Decoder::default();
    let frames = bytes.iter().filter_map(|b| {
        let frame = decoder.push(*b)?.ok()?;
        match Reply::parse(&frame).ok()? {
            Reply::Reading { reading, .. } => Some(reading.voltage_mv),
            _ => None,
        }
    });
    frames.collect()
}

const DEMO: &str = "
[[strings]]
[[strings]]
first_address = 33
[[ups]]
ports = 2
";

#[test]
fn bus_answers_in_its_slots() {
    let sim = Simulator::start(DEMO);
    let mut bus = sim.open("bus0");
    assert_eq!(scan(&mut bus).len(), 64);
    // 64 slots of 16 characters and the turnaround, at 115,200 baud.
    request(&mut bus, &Request::Read { first: 1, count: 64 });
    let began = Instant::now();
    read_until(&mut bus, |got| got.iter().filter(|b| **b == 0).count() >= 64);
    let took = began.elapsed();
    assert!((85..150).contains(&took.as_millis()), "{took:?}");
    sim.ok("module 17 vanish on");
    assert_eq!(scan(&mut bus).len(), 63);
}

#[test]
fn ups_answers_both_ports_and_shows_the_mains_failure() {
    let sim = Simulator::start(DEMO);
    let (mut first, mut second) = (sim.open("ups0"), sim.open("ups0b"));
    sim.ok("ups 0 freeze on");
    let reply = ask_ups(&mut first, b"Q1\r");
    assert_eq!(reply.len(), 47, "{reply}");
    assert_eq!(ask_ups(&mut second, b"Q1\r"), reply);
    sim.ok("mains off");
    assert!(ask_ups(&mut second, b"Q1\r").ends_with(" 10001001\r"));
    sim.ok("ups 0 silence on");
    first.write_all(b"Q1\r").expect("written");
    let reply = read_until(&mut first, |got| !got.is_empty());
    assert!(reply.is_empty(), "{reply:?}");
}

#[test]
fn unplugged_port_disappears_and_comes_back() {
    let sim = Simulator::start(DEMO);
    let mut ups = sim.open("ups0");
    sim.ok("ups 0 unplug");
    assert!(!sim.path().join("ups0").is_symlink() && !sim.path().join("ups0b").is_symlink());
    assert!(!matches!(ups.read(&mut [0; 8]), Ok(1..)), "the open side hangs up");
    sim.ok("ups 0 plug");
    assert!(ask_ups(&mut sim.open("ups0"), b"I\r").starts_with("#EVENKEEL SIM"));
    sim.ok("bus unplug");
    assert!(!sim.path().join("bus0").is_symlink());
    sim.ok("bus plug");
    assert_eq!(scan(&mut sim.open("bus0")).len(), 64);
}

#[test]
fn commands_are_answered_and_refused() {
    let sim = Simulator::start(DEMO);
    for name in ["control", "bus0", "ups0", "ups0b"] {
        let path = format!("{name}={}", sim.path().join(name).display());
        assert!(sim.ready.starts_with("ready ") && sim.ready.contains(&path), "{}", sim.ready);
    }
    let status = sim.ok("status");
    assert!(status.contains("string.1.block.mean_v=13.") && status.ends_with("ok\n"), "{status}");
    let refused = sim.ctl("module 99 stuck on");
    assert!(!refused.status.success());
    assert_eq!(refused.stderr, b"error there is no module with address 99\n");
    sim.ok("quit");
    sim.gone();
}

#[test]
fn signals_end_it_cleanly() {
    for signal in [Signal::TERM, Signal::INT] {
        let sim = Simulator::start(DEMO);
        kill_process(Pid::from_child(&sim.child), signal).expect("sent");
        sim.gone();
    }
}

#[test]
fn bad_scenario_is_an_error_with_its_reason() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("bad.toml");
    std::fs::write(&file, "[[strings]]\nblocks = 0\n").expect("written");
    let mut command = Command::new(PROGRAM);
    command.args(["run", "--dir"]).arg(dir.path()).arg("--scenario").arg(&file);
    let output = command.output().expect("started");
    let says = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(says.contains("is not a scenario: strings 0: blocks must be at least 1"), "{says}");
}
