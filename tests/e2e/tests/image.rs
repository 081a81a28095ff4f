//! The appliance's image in QEMU, with its battery bus on the simulator: it
//! boots verified, protects, answers, takes an update, proves it, goes back
//! when a root is damaged, and runs a plugin of a vendor whom it was told to
//! trust. [`fallback`] has the updates that cannot run, [`reset`] what ends for
//! good, [`network`] how it comes to its address, [`release`] an image for
//! production.
//!
//! Everything is emulated, so limits of time are generous; what is measured is
//! printed.

mod bench;
mod cuts;
mod fallback;
mod network;
mod release;
mod reset;

use bench::update::{a_damaged_root, events, off, off_within, update};
use bench::{
    BOOT, Bench, Built, SCENARIO, bill_of_materials, first_cycle, first_sign_in, it_protects, lists,
};
use evenkeel_e2e::machine::{Line, Machine};
use evenkeel_e2e::{Client, Program, bundle};
use evenkeel_image::board::Board;
use evenkeel_signing::slot::{Reason, Slot};
use evenkeel_signing::{Role, SecretKey};
use serde_json::{Value, json};
use std::time::Instant;

const BOARD: &str = "qemu-x86_64";

#[test]
fn from_the_first_start_over_an_update_to_a_damaged_root() {
    let built = Built::find(BOARD);
    let mut bench = Bench::new(&built, SCENARIO);
    let (slot, mut qemu, begun) = bench.on();
    assert_eq!(slot, Slot::A);
    let mut client = bench.console(&mut qemu, begun);
    let password = first_sign_in(&mut client, &mut qemu);
    println!("boot to first cycle of the guard: {:.1} s", first_cycle(&mut client, begun));
    it_protects(&mut client);
    let firmware = client.get("/api/v1/firmware").expect("slots");
    assert_eq!((&firmware["slot"], &firmware["trial"]), (&json!("A"), &Value::Null));
    assert_eq!(firmware["development"], true, "{firmware:#}");

    update(&built, &mut client);
    off(&mut qemu);
    let gone = Instant::now();
    let (slot, mut qemu, begun) = bench.on();
    assert_eq!(slot, Slot::B);
    let mut client = bench.console(&mut qemu, begun);
    client.login("admin", &password).expect("the data is there");
    let back = first_cycle(&mut client, gone);
    println!("from the machine's restart to the guard's first cycle: {back:.1} s");
    let firmware = client.get("/api/v1/firmware").expect("slots");
    assert!(firmware["trial"].is_object(), "{firmware:#}");
    assert_ne!(firmware["version"], env!("CARGO_PKG_VERSION"), "{firmware:#}");
    client.await_answer("/api/v1/firmware", |firmware| firmware["trial"].is_null());
    events(&mut client, "firmware_confirmed");
    let record = bench.machine.record().expect("a record");
    assert!(record.is_good(Slot::B) && record.is_good(Slot::A), "{record:?}");
    it_protects(&mut client);
    qemu.kill();
    drop(qemu);

    a_damaged_root(&mut bench, &password);
}

#[test]
fn the_bill_of_materials_is_valid_and_whole() {
    let bill = bill_of_materials(&Built::find(BOARD));
    for name in [
        "evenkeel-loader",
        "evenkeel-init",
        "evenkeel-network",
        "evenkeeld",
        "redb",
        "megatec",
        "libc6-dev",
    ] {
        assert!(lists(&bill, name), "{name}");
    }
    assert!(lists(&bill, "cranelift-codegen"), "it compiles plugins");
}

/// A plugin by a vendor whom nobody but this appliance's administrator trusts,
/// without machine code: the appliance compiles it itself, once.
#[test]
fn a_vendor_s_plugin_is_compiled_confined_and_kept() {
    let built = Built::find(BOARD);
    let mut bench = Bench::new(&built, SCENARIO);
    let (_, mut qemu, begun) = bench.on();
    let mut client = bench.console(&mut qemu, begun);
    let password = first_sign_in(&mut client, &mut qemu);
    // There is one line to a UPS, and it shall be the vendor's.
    client.post("/api/v1/plugins/megatec/remove", &json!({})).expect("removed");
    let vendor = SecretKey::generate(Role::Plugin, "acme").expect("a key");
    let bundle = by_vendor(&built, &vendor);

    let fingerprint = vendor.public().fingerprint();
    let refused = client.post_bytes("/api/v1/bundles", &bundle).expect_err("a stranger's");
    let refused = refused.to_string();
    assert!(refused.contains("no key that signed it is trusted here"), "{refused}");
    assert!(refused.contains(&fingerprint), "{refused}");
    let key = json!({"key": vendor.public().to_text(), "fingerprint": fingerprint});
    client.post("/api/v1/plugin-keys", &key).expect("trusted");
    let kept = client.post_bytes("/api/v1/bundles", &bundle).expect("kept");
    // While a person reads what it asks for.
    let line = qemu.await_words("an upload is ready to be installed", BOOT).expect("compiled");
    assert!(line.contains("code from Compiler"), "{line}");
    println!("{line}");
    let board = Board::read(&built.image).expect("a board");
    let wanted = json!({
        "plugin": {
            "name": "acme",
            "points": "ups.1",
            "grant": { "serial": { "ups": format!("/dev/{}", board.ups) } },
        },
        "bundle": kept["digest"],
        "consent": kept["consent"],
    });
    client.post("/api/v1/plugins", &wanted).expect("installed");
    it_reads_the_ups(&mut client, &mut qemu);

    // As by a power cut: what was compiled is there, and the guard was not
    // waited for.
    qemu.kill();
    let (_, mut qemu, begun) = bench.on();
    let mut client = bench.console(&mut qemu, begun);
    client.login("admin", &password).expect("in");
    it_reads_the_ups(&mut client, &mut qemu);
    let plugins = client.get("/api/v1/plugins").expect("answered").to_string();
    assert!(!plugins.contains("megatec"), "what was removed stays removed: {plugins}");

    let stranger = SecretKey::generate(Role::Plugin, "acme").expect("a key");
    let fingerprint = stranger.public().fingerprint();
    let refused = client.post_bytes("/api/v1/bundles", &by_vendor(&built, &stranger));
    let refused = refused.expect_err("nobody added this key").to_string();
    assert!(refused.contains(&fingerprint), "the name alone is nothing: {refused}");
}

/// The plugin megatec as if somebody else had made it, without machine code.
fn by_vendor(built: &Built, key: &SecretKey) -> Vec<u8> {
    let target = built.target();
    let path = bundle::built(&target.join("plugins"), "megatec").expect("built");
    let signed_by = target.join("dev-keys/plugin.pub");
    let bundle = bundle::signed_again(&path, &signed_by, key, |manifest| {
        manifest.name = "acme".to_owned();
        assert!(manifest.code.is_empty(), "the platform's own code would prove nothing");
    });
    bundle.expect("signed")
}

/// The plugin acme runs on code that was kept, and its points are alive.
fn it_reads_the_ups(client: &mut Client, qemu: &mut Program) {
    let line = qemu.await_words("code from Cache in ", BOOT).expect("told");
    println!("{line}");
    assert!(line.contains("acme"), "{line}");
    let polls = |plugins: &Value| {
        let acme = plugins.as_array()?.iter().find(|plugin| plugin["name"] == "acme")?.clone();
        (acme["state"] == "running").then(|| acme["polls"].as_u64())?
    };
    let plugins = client.await_answer("/api/v1/plugins", |plugins| polls(plugins).is_some());
    let before = polls(&plugins);
    client.await_answer("/api/v1/plugins", |plugins| polls(plugins) > before);
    client.await_answer("/api/v1/points?prefix=ups.1", |points| {
        let mut points = points.as_array().into_iter().flatten();
        points.any(|p| p["name"] == "ups.1.input.voltage" && p["quality"] == "good")
    });
}

#[test]
fn a_slot_that_nobody_signed_does_not_start() {
    let built = Built::find(BOARD);
    let dir = tempfile::tempdir().expect("a folder");
    let lines = [Line::Nothing, Line::Nothing];
    let mut machine = Machine::copy(&built.image, dir.path(), lines).expect("a machine");
    // The loader has judged; then somebody changes the header under the first
    // stage, which judges again.
    let (slot, mut qemu) = machine.start_after(damage_header).expect("started");
    assert_eq!(slot, Slot::A);
    let said = qemu.await_words("slot A is refused", BOOT).expect("a refusal");
    assert!(said.contains("no key of the platform vouches for it"), "{said}");
    off(&mut qemu);
    // It is the only one, and stays the one that a repaired header would start.
    assert_eq!(machine.record().expect("a record").boot_reason, Reason::Signature);
    assert!(machine.load().is_err(), "there is nothing else to start");
}

/// One bit of the signed part of slot A's header.
fn damage_header(machine: &Machine) {
    let (_, len) = machine.partition("boot_a").expect("a partition");
    let at = len - 4_096 + 100;
    let byte = machine.read("boot_a", at, 1).expect("read")[0];
    machine.write("boot_a", at, &[byte ^ 1]).expect("written");
}
