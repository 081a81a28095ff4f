//! Plugins for tests, written as WebAssembly text: small, exact, and able to
//! misbehave in ways that no compiler would produce.

use crate::config::PluginGrant;
use crate::plugin::load::{Package, Refusal, load};
use evenkeel_signing::{
    Limits, Permission, PluginManifest, Role, Roots, SecretKey, Trust, seal_plugin,
};
use std::path::PathBuf;
use wasmtime::Engine;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Logging, as a plugin of 0.1 imports it; and so on.
pub(crate) const LOG: &str = "evenkeel:log/log@0.1.0";
pub(crate) const CLOCK: &str = "evenkeel:clock/clock@0.1.0";
pub(crate) const SERIAL: &str = "evenkeel:serial/serial@0.1.0";
pub(crate) const POINTS: &str = "evenkeel:points/points@0.1.0";
/// What a driver of 0.1 can import.
pub(crate) const DRIVER_IMPORTS: [&str; 4] = [LOG, CLOCK, SERIAL, POINTS];

/// Bodies of a driver's functions.
pub(crate) struct Guest<'a> {
    /// Leaves the address of its result: a zero byte is `ok`.
    pub(crate) start: &'a str,
    /// Leaves the milliseconds until the next poll.
    pub(crate) poll: &'a str,
    /// Further functions.
    pub(crate) extra: &'a str,
    /// Initial memory, in pages of 64 KiB.
    pub(crate) memory_pages: u32,
}

/// Packages that the driver world of 0.2 names, in the order of their needs.
const PACKAGES_0_2: [&str; 14] = [
    "clock",
    "config",
    "random",
    "kv",
    "crypto",
    "serial",
    "hid",
    "contacts",
    "net-client",
    "snmp-client",
    "points",
    "commands",
    "events",
    "plugin",
];

/// A driver that does nothing.
pub(crate) const IDLE: Guest<'static> =
    Guest { start: "(i32.const 16)", poll: "(i32.const 1000)", extra: "", memory_pages: 1 };

/// A `start` that answers with the text at 64, "no protocol".
pub(crate) const DECLINE: &str = "(i32.store8 (i32.const 16) (i32.const 1))
    (i32.store (i32.const 20) (i32.const 64)) (i32.store (i32.const 24) (i32.const 11))
    (i32.const 16)";

/// A `poll` that publishes `battery.charge` = 80 %.
pub(crate) const PUBLISH: &str =
    "(call $publish (i32.const 512) (i32.const 1) (i32.const 1024)) (i32.const 100)";

/// Signed by a key that it trusts, in a directory of its own.
pub(crate) struct Fixture {
    pub(crate) engine: Engine,
    pub(crate) trust: Trust,
    pub(crate) dir: tempfile::TempDir,
    key: SecretKey,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let key = key();
        let mut trust = nobody();
        trust.add_vendor_key(key.public()).expect("a first key");
        let engine = crate::plugin::engine::start().expect("an engine");
        Self { engine, trust, dir: tempfile::tempdir().expect("a directory"), key }
    }

    pub(crate) fn fingerprint(&self) -> String {
        self.key.public().fingerprint()
    }

    pub(crate) fn seal(&self, manifest: &PluginManifest, component: &[u8]) -> Vec<u8> {
        seal_plugin(manifest.clone(), &[("component", component)], &[&self.key]).expect("sealed")
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.dir.path().join("megatec.evkp")
    }

    /// Write `raw` as the plugin file, and load it.
    pub(crate) fn load(&self, raw: &[u8]) -> Result<Package, Refusal> {
        std::fs::write(self.file(), raw).expect("written");
        load(&self.engine, &self.trust, &self.file(), &grant("/dev/ttyS1"))
    }

    /// The public key's file, for a trust directory.
    pub(crate) fn put_key(&self) {
        let path = self.dir.path().join("acme.pub");
        std::fs::write(path, self.key.public().to_text()).expect("written");
    }
}

/// An appliance that trusts no key.
pub(crate) fn nobody() -> Trust {
    Trust::new(Roots::none(), false).expect("no root to be refused")
}

pub(crate) fn key() -> SecretKey {
    SecretKey::generate(Role::Plugin, "acme").expect("a key")
}

pub(crate) fn grant(device: &str) -> PluginGrant {
    let mut grant = PluginGrant::new("megatec");
    grant.points = "ups.0".into();
    grant.grant.serial.insert("ups".into(), device.parse().expect("a path"));
    grant
}

/// A manifest that declares `interfaces`, asks for the line `ups` where that
/// makes sense, and may have 1 MiB and 50 ms.
pub(crate) fn manifest(interfaces: &[&str]) -> PluginManifest {
    let mut interfaces: Vec<String> = interfaces.iter().map(|i| (*i).to_owned()).collect();
    interfaces.sort();
    let serial = interfaces.iter().any(|i| i == SERIAL);
    let line = Permission {
        interface: SERIAL.into(),
        what: "ups".into(),
        reason: "talks to the UPS".into(),
    };
    PluginManifest {
        format: PluginManifest::FORMAT,
        kind: PluginManifest::KIND.into(),
        name: "megatec".into(),
        version: "0.1.0".into(),
        security_version: 0,
        vendor: "Acme".into(),
        world: crate::plugin::world::DRIVER_0_1.into(),
        description: "Reads a UPS.".into(),
        interfaces,
        permissions: if serial { vec![line] } else { Vec::new() },
        limits: Limits { memory_bytes: 1 << 20, poll_cpu_ms: 50 },
        settings: Vec::new(),
        models: Vec::new(),
        code: Vec::new(),
        parts: Vec::new(),
        total_length: 0,
    }
}

/// A component from its text.
pub(crate) fn component(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("good text")
}

/// A driver that does nothing.
pub(crate) fn idle() -> Vec<u8> {
    driver(&IDLE)
}

/// A driver that imports the serial interface.
pub(crate) fn uses_serial() -> Vec<u8> {
    let extra = r#"(import "evenkeel:serial/serial@0.1.0" "[resource-drop]port"
        (func $drop (param i32)))"#;
    driver(&Guest { extra, ..IDLE })
}

/// A driver with these functions. Imports that nobody calls are left out of
/// the component, as the standard tools do.
pub(crate) fn driver(guest: &Guest<'_>) -> Vec<u8> {
    let (import, extra) = match guest.extra.trim_start().starts_with("(import") {
        true => (guest.extra, ""),
        false => ("", guest.extra),
    };
    let Guest { start, poll, memory_pages, .. } = guest;
    let text = format!(
        r#"(module
        (import "evenkeel:log/log@0.1.0" "write" (func $log (param i32 i32 i32)))
        (import "evenkeel:clock/clock@0.1.0" "sleep-ms" (func $sleep (param i32)))
        (import "evenkeel:points/points@0.1.0" "publish" (func $publish (param i32 i32 i32)))
        {import}
        (memory (export "memory") {memory_pages})
        (global $heap (mut i32) (i32.const 8192))
        (data (i32.const 64) "no protocol")
        (data (i32.const 256) "battery.charge")
        (data (i32.const 288) "%")
        ;; update: name, value (number, 80.0), unit, quality
        (data (i32.const 512) "\00\01\00\00\0e\00\00\00" "\00\00\00\00\00\00\00\00"
            "\00\00\00\00\00\00\54\40" "\20\01\00\00\01\00\00\00" "\00\00\00\00\00\00\00\00")
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
            (local $at i32)
            (local.set $at (global.get $heap))
            (global.set $heap (i32.and (i32.const -8)
                (i32.add (i32.const 7) (i32.add (local.get $at) (local.get 3)))))
            (local.get $at))
        (func (export "evenkeel:driver/device@0.1.0#start") (param i32 i32) (result i32) {start})
        (func (export "evenkeel:driver/device@0.1.0#poll") (result i32) {poll})
        {extra})"#
    );
    encode(&component(&text))
}

/// A `wake` that publishes what the predecessor handed over.
pub(crate) const TELL: &str =
    "(call $publish (i32.const 512) (i32.const 1) (i32.const 1024)) (i32.const 100)";

/// A driver of 0.2. It hands over one byte, `version`; the byte that it was
/// handed is the value of the update at 512, 0 without one.
pub(crate) fn driver_0_2(version: u8, wake: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
        (import "evenkeel:points/points@0.1.1" "publish" (func $publish (param i32 i32 i32)))
        (memory (export "memory") 1)
        (global $heap (mut i32) (i32.const 8192))
        (data (i32.const 256) "battery.charge")
        (data (i32.const 288) "%")
        (data (i32.const 512) "\00\01\00\00\0e\00\00\00" "\00\00\00\00\00\00\00\00"
            "\00\00\00\00\00\00\00\00" "\20\01\00\00\01\00\00\00" "\00\00\00\00\00\00\00\00")
        ;; what is handed over: one byte at 640, as the list at 648
        (data (i32.const 640) "\{version:02x}")
        (data (i32.const 648) "\80\02\00\00\01\00\00\00")
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
            (local $at i32)
            (local.set $at (global.get $heap))
            (global.set $heap (i32.and (i32.const -8)
                (i32.add (i32.const 7) (i32.add (local.get $at) (local.get 3)))))
            (local.get $at))
        (func (export "evenkeel:plugin/life@0.1.0#start")
            (param $given i32) (param $at i32) (param $len i32) (result i32)
            (if (local.get $given) (then
                (f64.store (i32.const 528) (f64.convert_i32_u (i32.load8_u (local.get $at))))))
            (i32.const 16))
        (func (export "evenkeel:plugin/life@0.1.0#wake") (result i32) {wake})
        (func (export "evenkeel:plugin/life@0.1.0#save") (result i32) (i32.const 648))
        (func (export "evenkeel:driver/device@0.2.0#command")
            (param i32 i32 i32 i32 i32) (result i32) (i32.const 16)))"#
    );
    encode_for("since-0.2", &component(&text))
}

/// A component around a core module of the driver world of 0.1.
fn encode(module: &[u8]) -> Vec<u8> {
    encode_for("since-0.1", module)
}

/// A component around a core module of the driver world in this folder.
fn encode_for(version: &str, module: &[u8]) -> Vec<u8> {
    let wit = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit");
    let mut resolve = Resolve::default();
    for package in ["log", "clock", "serial", "points"] {
        resolve.push_path(format!("{wit}/since-0.1/{package}")).expect("good WIT");
    }
    if version != "since-0.1" {
        for package in PACKAGES_0_2 {
            resolve.push_path(format!("{wit}/{version}/{package}")).expect("good WIT");
        }
    }
    let (driver, _) = resolve.push_path(format!("{wit}/{version}/driver")).expect("good WIT");
    let world = resolve.select_world(&[driver], Some("device-driver")).expect("the world");
    let mut module = module.to_vec();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("embedded");
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true).module(&module).expect("a module of the world");
    encoder.encode().expect("a component")
}
