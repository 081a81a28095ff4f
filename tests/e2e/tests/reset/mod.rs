//! What ends for good on a running appliance: the way back to firmware with a
//! known hole, and everything that is kept, by the word of a person and by the
//! button. And an upload that a power cut broke off, which does not end.

use crate::bench::{BOOT, Bench, Built, SCENARIO, first_sign_in, it_protects};
use crate::fallback::Good;
use crate::{BOARD, events, off};
use evenkeel_e2e::Client;
use evenkeel_signing::slot::{Reason, Slot};
use serde_json::{Value, json};
use std::process::Command;
use std::time::{Duration, Instant};

/// The name of something that somebody made, and nobody shall find any more.
const CANARY: &str = "canary-7313";

#[test]
fn an_upload_outlives_a_power_cut_and_what_it_closed_stays_closed() {
    let built = Built::find(BOARD);
    let good = Good::of(&built);
    let mut bench = Bench::new(&built, SCENARIO);
    let (_, mut qemu, begun) = bench.on();
    let mut client = bench.console(&mut qemu, begun);
    let password = first_sign_in(&mut client, &mut qemu);
    it_protects(&mut client);

    let bundle = good.again("0.9.7", 2);
    let mut sender = Client::unverified(&bench.machine.address());
    sender.login("admin", &password).expect("in");
    let taken = |firmware: &Value| firmware["installing"]["taken"].as_u64().unwrap_or(0);
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| sender.post_bytes("/api/v1/firmware", &bundle));
        client.await_answer("/api/v1/firmware", |firmware| taken(firmware) > 12 << 20);
        qemu.kill();
        sending.join().expect("joined").expect_err("it broke off");
    });
    let (_, mut qemu, begun) = bench.on();
    let mut client = bench.console(&mut qemu, begun);
    client.login("admin", &password).expect("in");
    let from = taken(&client.get("/api/v1/firmware").expect("slots"));
    println!("{from} of {} bytes outlived the power cut", bundle.len());
    assert!(from >= 4 << 20, "{from}");
    it_protects(&mut client);
    let path = format!("/api/v1/firmware?from={from}");
    let firmware = client.post_bytes(&path, &bundle[from as usize..]).expect("installed");
    assert_eq!(firmware["other"]["state"], "ready", "{firmware:#}");

    let _ = client.post("/api/v1/firmware/activate", &json!({}));
    off(&mut qemu);
    let (slot, mut qemu, begun) = bench.on();
    assert_eq!(slot, Slot::B);
    let mut client = bench.console(&mut qemu, begun);
    client.login("admin", &password).expect("in");
    let early = client.post("/api/v1/firmware/make-permanent", &json!({})).expect_err("on trial");
    assert!(early.to_string().contains("has not proved healthy yet"), "{early}");
    let firmware = client.await_answer("/api/v1/firmware", |firmware| firmware["trial"].is_null());
    assert_eq!((&firmware["epoch"], &firmware["floor"]), (&json!(2), &json!(1)));
    assert!(firmware["permanent_in_s"].as_u64() > Some(600_000), "{firmware:#}");
    assert_eq!(firmware["other"]["state"], "good", "one may go back still");

    let closed = client.post("/api/v1/firmware/make-permanent", &json!({})).expect("done");
    assert_eq!((&closed["floor"], &closed["permanent_in_s"]), (&json!(2), &Value::Null));
    assert_eq!(closed["other"]["state"], "empty", "{closed:#}");
    assert_eq!(closed["other"]["reason"], Reason::BelowFloor.to_string(), "{closed:#}");
    events(&mut client, "firmware_permanent");
    let refused = client.post("/api/v1/firmware/go-back", &json!({})).expect_err("closed");
    let refused = refused.to_string();
    assert!(refused.contains("its epoch is 1, and this device accepts none below 2"), "{refused}");
    let old = std::fs::read(built.image.join("next.evkf")).expect("a bundle");
    let refused = client.post_bytes("/api/v1/firmware", &old).expect_err("older").to_string();
    println!("{refused}");
    assert!(refused.contains("2"), "{refused}");
    let record = bench.machine.record().expect("a record");
    assert_eq!(record.floor, 2);
    assert!(!record.is_good(Slot::A) && record.is_good(Slot::B), "{record:?}");
}

#[test]
fn everything_is_erased_by_word_and_by_button_and_the_serial_number_stays() {
    let built = Built::find(BOARD);
    let mut bench = Bench::new(&built, SCENARIO);
    let (_, mut qemu, begun) = bench.on();
    let mut client = bench.console(&mut qemu, begun);
    let password = first_sign_in(&mut client, &mut qemu);
    let serial = serial(&mut client);
    it_protects(&mut client);
    leave_a_trace(&mut client, &bench);

    let reset = |client: &mut Client, serial: &str| {
        client.post("/api/v1/factory-reset", &json!({ "serial": serial }))
    };
    let refused = reset(&mut client, "7QK4-M2ZD-9XWB-U").expect_err("another's").to_string();
    assert!(refused.contains("serial number"), "{refused}");
    // Its answer may be lost in the restart.
    let _ = reset(&mut client, &serial);
    off(&mut qemu);
    let asked = Instant::now();
    let (slot, mut qemu, begun) = bench.on();
    assert_eq!(slot, Slot::A);
    let mut client = bench.console(&mut qemu, begun);
    println!("reset: off to console {:.1} s", asked.elapsed().as_secs_f64());
    assert!(client.login("admin", &password).is_err(), "nobody knows the old password");
    first_sign_in(&mut client, &mut qemu);
    let event = events(&mut client, "factory_reset");
    for said in ["\"admin\"", &serial, "10.0.2.2"] {
        assert!(event.to_string().contains(said), "{said}: {event:#}");
    }
    it_left_the_factory(&mut client, &bench, &serial);

    // By the button, and the power fails while it is done.
    leave_a_trace(&mut client, &bench);
    qemu.kill();
    bench.machine.button = true;
    let (_, mut qemu, _) = bench.on();
    qemu.await_words("the data partition is made anew", BOOT).expect("it is told");
    qemu.kill();
    assert!(bench.machine.record().expect("a record").erase, "it is not done");
    bench.machine.button = false;
    let (_, mut qemu, begun) = bench.on();
    let mut client = bench.console(&mut qemu, begun);
    first_sign_in(&mut client, &mut qemu);
    let event = events(&mut client, "factory_reset_by_button");
    assert!(event.to_string().contains(&serial), "{event:#}");
    it_left_the_factory(&mut client, &bench, &serial);
}

fn serial(client: &mut Client) -> String {
    let licence = client.get("/api/v1/licence").expect("a licence");
    licence["serial"].as_str().expect("a number").to_owned()
}

/// Something by a name that is found on the disk.
fn leave_a_trace(client: &mut Client, bench: &Bench) {
    let role = json!({ "rights": { "battery": "view" } });
    client.post(&format!("/api/v1/roles/{CANARY}"), &role).expect("made");
    let end = Instant::now() + Duration::from_secs(30);
    while !is_on_disk(bench) {
        assert!(Instant::now() < end, "what was made is on the disk");
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn is_on_disk(bench: &Bench) -> bool {
    let disk = bench.machine.disk_path();
    let found = Command::new("grep").args(["-aqF", CANARY]).arg(disk).status();
    found.expect("grep").success()
}

/// It protects as at its first start, with its own number, and nothing of what
/// was made is left.
fn it_left_the_factory(client: &mut Client, bench: &Bench, serial: &str) {
    assert_eq!(self::serial(client), serial);
    let roles = client.get("/api/v1/roles").expect("roles");
    assert!(!roles.to_string().contains(CANARY), "{roles:#}");
    assert!(!is_on_disk(bench), "it can be read on the disk");
    assert!(!bench.machine.record().expect("a record").erase);
    it_protects(client);
}
