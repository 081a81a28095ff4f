//! An update over the API, and a root that is damaged: the same on every board.

use super::{Bench, Built};
use evenkeel_e2e::{Client, Program};
use evenkeel_signing::slot::{Slot, SlotState};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A stop in good order.
const STOP: Duration = Duration::from_secs(60);

/// Wait for QEMU's end: the appliance restarts.
pub fn off(qemu: &mut Program) {
    off_within(qemu, STOP);
}

pub fn off_within(qemu: &mut Program, limit: Duration) {
    let end = Instant::now() + limit;
    while qemu.check().is_ok() {
        assert!(Instant::now() < end, "no restart; the machine said:\n{}", qemu.log());
        std::thread::sleep(Duration::from_millis(100));
    }
}

pub fn events(client: &mut Client, kind: &str) -> Value {
    let wanted =
        |events: &Value| events.as_array().is_some_and(|all| all.iter().any(|e| is_kind(e, kind)));
    let events = client.await_answer("/api/v1/events", wanted);
    let found = events.as_array().and_then(|all| all.iter().find(|e| is_kind(e, kind)));
    found.cloned().unwrap_or_default()
}

fn is_kind(event: &Value, kind: &str) -> bool {
    event.to_string().contains(&format!("\"{kind}\""))
}

/// An altered bundle is refused, a whole one is installed and started.
pub fn update(built: &Built, client: &mut Client) {
    let bundle = std::fs::read(built.image.join("next.evkf")).expect("a bundle");
    let mut altered = bundle;
    let at = altered.len() / 2;
    altered[at] ^= 1;
    let refused = client.post_bytes("/api/v1/firmware", &altered).expect_err("refused");
    assert!(refused.to_string().contains("changed after signing"), "{refused}");
    let refused = client.post("/api/v1/firmware/activate", &json!({})).expect_err("refused");
    assert!(refused.to_string().contains("install one first"), "{refused}");
    install(built, client);
}

/// Install the update and restart into it.
pub fn install(built: &Built, client: &mut Client) {
    let bundle = std::fs::read(built.image.join("next.evkf")).expect("a bundle");
    let begun = Instant::now();
    let firmware = client.post_bytes("/api/v1/firmware", &bundle).expect("installed");
    println!("{} bytes installed in {:.1} s", bundle.len(), begun.elapsed().as_secs_f64());
    assert_eq!(firmware["other"]["state"], "ready", "{firmware:#}");
    // Its answer may be lost in the restart.
    let _ = client.post("/api/v1/firmware/activate", &json!({}));
}

/// The root that runs is damaged: it goes back to the other, and says why.
/// Gives that one.
pub fn a_damaged_root(bench: &mut Bench, password: &str) -> (Client, Program) {
    // The middle of the root, and its first block, which every start reads.
    for at in [0, 2 << 20] {
        bench.machine.write("root_b", at, &[0xff; 4_096]).expect("written");
    }
    let begun = Instant::now();
    let mut slots = Vec::new();
    let mut qemu = loop {
        let (slot, mut qemu, _) = bench.on();
        slots.push(slot);
        if slot == Slot::A {
            break qemu;
        }
        assert!(slots.len() < 4, "still {slots:?}");
        off(&mut qemu);
    };
    let mut client = bench.console(&mut qemu, begun);
    println!("fallback after {} starts, {:.1} s", slots.len(), begun.elapsed().as_secs_f64());
    client.login("admin", password).expect("in");
    let event = events(&mut client, "firmware_returned");
    assert!(event.to_string().contains("its file system was altered or damaged"), "{event:#}");
    let firmware = client.get("/api/v1/firmware").expect("slots");
    assert_eq!(firmware["other"]["state"], "bad", "{firmware:#}");
    let record = bench.machine.record().expect("a record");
    assert_eq!(record.slot(Slot::B).state, SlotState::Bad);
    (client, qemu)
}
