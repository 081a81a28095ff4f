//! `evenkeel-plugin run` against a UPS: the simulated Megatec unit behind a
//! pseudo-terminal.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use evenkeel_sim::live::Endpoint;
use evenkeel_sim::noise::Noise;

use evenkeel_sim::ups::{Port, Unit, UpsFaults, UpsSpec};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// A unit that answers at `link` until `stop`.
fn serve(endpoint: Endpoint, stop: &AtomicBool) {
    let mut unit = Unit::new(UpsSpec::default());
    unit.set_frozen(true);
    let mut port = Port::new(Noise::new(1, 0));
    let start = Instant::now();
    let now = || {
        let nanos = u64::try_from(start.elapsed().as_nanos()).expect("a test is short");
        evenkeel_core::time::Nanos(nanos)
    };
    let tick = Timespec { tv_sec: 0, tv_nsec: 2_000_000 };
    while !stop.load(Ordering::Relaxed) {
        let fd = endpoint.fd().expect("plugged");
        let _ = poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&tick)).expect("poll");
        port.hear(now(), &endpoint.read().expect("read"));
        port.advance(now(), &mut unit, &UpsFaults::default());
        endpoint.write(&port.take(now())).expect("written");
    }
}

#[test]
fn a_driver_reads_commands_and_records_a_unit_on_a_pc() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("ups0");
    let mut endpoint = Endpoint::new(link.clone());
    endpoint.set_plugged(true).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let unit = thread::spawn({
        let stop = Arc::clone(&stop);
        move || serve(endpoint, &stop)
    });
    let case = dir.path().join("case");
    let output = Command::new(env!("CARGO_BIN_EXE_evenkeel-plugin"))
        .arg("run")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/megatec"))
        .args(["--port", &format!("ups={}", link.display())])
        .args(["--set", "battery-packs=6", "--polls", "2"])
        .args(["--tell", "beeper.toggle", "--tell", "test.battery.start=5"])
        .arg("--record")
        .arg(&case)
        .output()
        .unwrap();
    stop.store(true, Ordering::Relaxed);
    unit.join().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    for line in [
        "input.voltage = 230 V",
        "ups.status = \"OL\"",
        "battery.packs = 6 estimated",
        "ups.beeper.status = \"enabled\"",
        "beeper.toggle: done",
        "ups.beeper.status = \"disabled\"",
        "test.battery.start: test.battery.start takes a whole number from 60 to 5940, not \"5\"",
    ] {
        assert!(said.lines().any(|said| said == line), "no {line:?} in\n{said}");
    }
    assert_eq!(said.matches("input.voltage = ").count(), 1, "only what changes\n{said}");
    let exchange = std::fs::read_to_string(case.join("exchange.txt")).unwrap();
    assert!(exchange.contains("> \"Q1\\r\"\n< \"(230.0 "), "{exchange}");
    assert!(exchange.contains("> \"Q\\r\"\n< silence\n"), "{exchange}");
    let points = std::fs::read_to_string(case.join("expected.points")).unwrap();
    assert!(points.contains("input.voltage = 230 V\n"), "{points}");
}
