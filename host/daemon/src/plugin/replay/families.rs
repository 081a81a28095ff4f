//! Each interface and each world: a plugin falls because of what the host
//! answered or what it was called with, and a replay, which reaches nothing of
//! that, falls in the same place.

use super::{Replayed, replay};
use crate::caps::{self, Services};
use crate::commands::{Offer, Parameter};
use crate::grants::Grants;
use crate::grants::contact::ContactGrant;
use crate::grants::event_log::EventGrant;
use crate::grants::hid::HidGrant;
use crate::plant::testing;
use crate::plugin::bindings::{gate, login, sink};
use crate::plugin::fixture::Fixture;
use crate::plugin::fixture::probe::{DRIVER, FALL, Task, manifest, probe};
use crate::plugin::instance::{Failure, Instance};
use crate::plugin::reason;
use crate::plugin::report::{Recording, Report, Reports};
use crate::plugin::tape::Tape;
use crate::plugin::tape::reel::{HEAD_BYTES_MAX, TAIL_BYTES_MAX};
use crate::store::{Limits, Store};
use evenkeel_core::bus::wire::DeviceKind;
use evenkeel_core::events::{Event, Severity};
use evenkeel_core::image::DeviceRecord;
use evenkeel_core::points::Quality;
use evenkeel_core::time::Nanos;
use std::path::PathBuf;
use std::sync::Arc;

const TYPES: [&str; 2] = ["evenkeel:commands/types@0.1.0", "evenkeel:events/types@0.1.0"];

/// A host in which everything is there, and everything is granted as `probe`.
struct Host {
    fixture: Fixture,
    services: Services,
    reports: Arc<Reports>,
    _announced: crate::commands::Announced,
}

impl Host {
    fn new() -> Self {
        let fixture = Fixture::platform();
        let reports = Arc::new(Reports::open(fixture.dir.path()).expect("opened"));
        let store = Store::open(fixture.dir.path(), Limits::default()).expect("a store");
        let warning = Event::UpsOnBattery { ups: "ups.0".into() };
        store.record_acknowledged(warning).wait().expect("kept");
        let services = Services {
            reports: Some(Arc::clone(&reports)),
            store: Some(Arc::new(store)),
            ..Services::default()
        };
        let mut plant = testing::plant(&[13.6]);
        plant.devices = vec!["AUX1".into()];
        plant.snapshot.devices = vec![DeviceRecord {
            bus: 1,
            address: 1_030,
            type_code: DeviceKind::Aux.code(),
            quality: Quality::Good,
            wrong_kind: false,
            read: Nanos(0),
            serial: 1,
            inputs: 1,
            outputs: 0,
            commanded: 0,
            values: [f32::NAN; 8],
        }];
        services.hub.set_plant(plant);
        let (name, description) = ("beeper.toggle".to_owned(), "Beeps".to_owned());
        let offer = Offer { name, description, parameter: Parameter::None };
        let announced = services.commands.announce("ups.9", vec![offer], Arc::default());
        Self { fixture, services, reports, _announced: announced }
    }

    fn grants() -> Grants {
        let mut grants = Grants::default();
        let name = || "probe".to_owned();
        let at = "AUX1.input.1".parse().expect("a place");
        grants.contacts.insert(name(), ContactGrant { at, switch: false });
        let at = "051d:0002".parse().expect("a device");
        grants.hid.insert(name(), HidGrant { at, write: false });
        grants.events.insert(name(), EventGrant::reading(Severity::Info));
        grants.secrets.insert(name(), "hunter2".parse().expect("a secret"));
        grants.net.insert(name(), "tcp://192.0.2.7:502".parse().expect("an endpoint"));
        grants.read.insert(name(), vec!["string.1".parse().expect("a subtree")]);
        grants.commands.insert(name(), vec!["ups.9:*".parse().expect("a pattern")]);
        let agent = "address = \"192.0.2.7\"\nversion = \"v2c\"\ncommunity = \"public\"";
        grants.snmp.insert(name(), toml::from_str(agent).expect("an agent"));
        grants
    }

    fn start(&self, raw: &[u8]) -> Result<Instance, String> {
        self.fixture.start(raw, self.services.clone(), Self::grants())
    }

    fn recording(&self) -> PathBuf {
        let files = std::fs::read_dir(self.fixture.dir.path().join("reports")).expect("listed");
        let mut files = files.map(|entry| entry.expect("readable").path());
        files.find(|file| file.extension().is_some_and(|e| e == "rec")).expect("kept")
    }

    /// The only report; its replay must end as it did. Also what the host was
    /// asked meanwhile.
    fn repeated(&self) -> (Report, Vec<String>) {
        let report = self.reports.of("megatec").remove(0);
        assert_eq!(report.gap, None);
        let Fixture { compiler, trust, .. } = &self.fixture;
        let replayed = replay(compiler, trust, &self.fixture.file(), &self.recording());
        let Replayed { failure, diverged, .. } =
            replayed.unwrap_or_else(|e| panic!("{}", reason(&e)));
        assert_eq!(
            (failure.map(|f| f.to_string()), diverged),
            (Some(report.failure.clone()), None)
        );
        let bytes = std::fs::read(self.recording()).expect("readable");
        let recording: Recording = postcard::from_bytes(&bytes).expect("a recording");
        (report, Tape::calls(&recording.tape))
    }
}

/// A driver that calls one function of the host when it is woken, and falls
/// where the answer leads it.
struct Case {
    interface: &'static str,
    /// It is asked for by name.
    named: bool,
    function: &'static str,
    parameters: &'static str,
    /// Leaves the result at 4000, its first byte 0 for what only this host says.
    call: &'static str,
    heard: &'static str,
}

const CASES: [Case; 11] = [
    Case {
        interface: caps::kv::INTERFACE,
        named: false,
        function: "keys",
        parameters: "i32",
        call: "(call $f (i32.const 4000))",
        heard: "Kv.keys",
    },
    Case {
        interface: caps::contacts::INTERFACE,
        named: true,
        function: "read",
        parameters: "i32 i32 i32",
        call: "(call $f (i32.const 3000) (i32.const 5) (i32.const 4000))",
        heard: "Contacts.read",
    },
    Case {
        interface: caps::events::INTERFACE,
        named: true,
        function: "since",
        parameters: "i64 i32 i32",
        call: "(call $f (i64.const 0) (i32.const 9) (i32.const 4000))",
        heard: "Events.since",
    },
    Case {
        interface: caps::hid::INTERFACE,
        named: true,
        function: "[static]device.open",
        parameters: "i32 i32 i32",
        call: "(call $f (i32.const 3000) (i32.const 5) (i32.const 4000))",
        heard: "Device.open",
    },
    Case {
        interface: caps::crypto::INTERFACE,
        named: true,
        function: "[static]secret.open",
        parameters: "i32 i32 i32",
        call: "(call $f (i32.const 3000) (i32.const 5) (i32.const 4000))",
        heard: "Secret.open",
    },
    Case {
        interface: caps::net_client::INTERFACE,
        named: true,
        function: "transport-of",
        parameters: "i32 i32 i32",
        call: "(call $f (i32.const 3000) (i32.const 5) (i32.const 4000))",
        heard: "NetClient.transport_of",
    },
    Case {
        interface: caps::snmp_client::INTERFACE,
        named: true,
        function: "[static]agent.open",
        parameters: "i32 i32 i32",
        call: "(call $f (i32.const 3000) (i32.const 5) (i32.const 4000))",
        heard: "Agent.open",
    },
    Case {
        interface: caps::reader::INTERFACE,
        named: true,
        function: "list",
        parameters: "i32 i32 i32 i32 i32 i32 i32",
        call: "(call $f (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
            (i32.const 9) (i32.const 4000))",
        heard: "Reader.list",
    },
    Case {
        interface: caps::commands::INTERFACE,
        named: true,
        function: "list",
        parameters: "i32",
        // A list: with something in it, or not.
        call: "(call $f (i32.const 4000))
            (i32.store8 (i32.const 4000) (i32.eqz (i32.load (i32.const 4004))))",
        heard: "Commands.list",
    },
    Case {
        interface: caps::commands::OFFERS_INTERFACE,
        named: false,
        function: "announce",
        parameters: "i32 i32 i32",
        call: "(call $f (i32.const 0) (i32.const 0) (i32.const 4000))",
        heard: "Offers.announce",
    },
    Case {
        interface: caps::net_server::INTERFACE,
        named: false,
        function: "send",
        parameters: "i64 i32 i32 i32",
        // There is no such connection, here as there.
        call: "(call $f (i64.const 1) (i32.const 0) (i32.const 0) (i32.const 4000))
            (i32.store8 (i32.const 4000) (i32.eqz (i32.load8_u (i32.const 4000))))",
        heard: "NetServer.send",
    },
];

#[test]
fn what_the_host_answered_is_repeated_for_every_interface() {
    for Case { interface, named, function, parameters, call, heard } in CASES {
        let host = Host::new();
        let imports = format!("(import {interface:?} {function:?} (func $f (param {parameters})))");
        let component = probe(&imports, &format!("{call} {FALL}"), &DRIVER);
        let declared = [&[interface][..], &TYPES].concat();
        let named = if named { vec![interface] } else { Vec::new() };
        let raw = host.fixture.seal(&manifest(&declared, &named, &DRIVER), &component);
        let mut instance = host.start(&raw).unwrap_or_else(|e| panic!("{heard}: {e}"));
        let failure = instance.wake().expect_err("falls").to_string();
        assert!(failure.contains("in answered"), "{heard}: {failure}");
        let (report, calls) = host.repeated();
        assert_eq!((report.failure, report.call.as_str()), (failure, "wake"), "{heard}");
        assert_eq!(calls, [heard]);
    }
}

/// What the cases above cannot get from a replay's empty host must be all of
/// what the host offers, but for what the tests beside this one use.
#[test]
fn no_interface_is_left_out() {
    let elsewhere = ["log", "clock", "config", "random", "serial", "points"];
    for offer in caps::OFFERS.iter().filter(|offer| !offer.interface.contains("/types@")) {
        let known = CASES.iter().any(|case| case.interface == offer.interface);
        let name = offer.interface.split(['/', '@']).nth(1).expect("a name");
        assert!(known || elsewhere.contains(&name), "{}", offer.interface);
    }
}

/// A handle is its number; what is done with it is answered from the tape, but
/// for what was computed with a secret.
#[test]
fn handles_are_repeated_with_their_uses_and_their_end() {
    let host = Host::new();
    let crypto = caps::crypto::INTERFACE;
    let imports = format!(
        r#"(import {crypto:?} "[static]secret.open" (func $open (param i32 i32 i32)))
        (import {crypto:?} "[method]secret.hmac" (func $hmac (param i32 i32 i32 i32 i32)))
        (import {crypto:?} "[resource-drop]secret" (func $drop (param i32)))"#
    );
    let wake = "(call $open (i32.const 3000) (i32.const 5) (i32.const 4000))
        (local.set $handle (i32.load (i32.const 4004)))
        (call $hmac (local.get $handle) (i32.const 3) (i32.const 3000) (i32.const 5)
            (i32.const 4000))
        (call $drop (local.get $handle))
        (if (i32.eq (i32.const 32) (i32.load (i32.const 4008))) (then (call $answered)))";
    let component = probe(&imports, wake, &DRIVER);
    let raw = host.fixture.seal(&manifest(&[crypto], &[crypto], &DRIVER), &component);
    let mut instance = host.start(&raw).unwrap_or_else(|e| panic!("{e}"));
    let failure = instance.wake().expect_err("falls").to_string();
    let (report, calls) = host.repeated();
    assert_eq!(report.failure, failure);
    assert_eq!(calls, ["Secret.open", "Secret.hmac", "Secret.drop"]);
}

/// A world whose task falls when it is called as the test calls it.
fn falls_when_called(task: &Task<'_>, call: impl Fn(&mut Instance) -> Result<(), Failure>) {
    let host = Host::new();
    let raw = host.fixture.seal(&manifest(&[TYPES[1]], &[], task), &probe("", "", task));
    let mut instance = host.start(&raw).unwrap_or_else(|e| panic!("{}: {e}", task.world));
    instance.wake().expect("wakes");
    let failure = call(&mut instance).expect_err("falls").to_string();
    assert!(failure.contains("in answered"), "{failure}");
    assert_eq!(host.repeated().0.failure, failure);
}

#[test]
fn what_it_was_called_with_is_repeated_for_every_world() {
    let driver = Task {
        functions: r#"(func (export "evenkeel:driver/device@0.2.0#command")
            (param $name i32) (param $len i32) (param i32 i32 i32) (result i32)
            (if (i32.eq (local.get $len) (i32.const 8)) (then (call $answered))) (i32.const 16))"#,
        ..DRIVER
    };
    falls_when_called(&driver, |it| it.command("load.off", None).map(drop));

    let gateway = Task {
        world: "evenkeel:gateway/gateway@0.1.0",
        interface: "evenkeel:gateway/service@0.1.0",
        functions: r#"(func (export "evenkeel:gateway/service@0.1.0#closed") (param i64))
            (func (export "evenkeel:gateway/service@0.1.0#serve")
                (param i32 i32 i64) (param $data i32) (param $len i32) (result i32)
                (if (i32.eq (i32.load8_u (local.get $data)) (i32.const 42))
                    (then (call $answered)) (else (call $refused)))
                (i32.const 16))"#,
    };
    falls_when_called(&gateway, |it| it.serve("modbus", 1, &[42]).map(drop));

    let notifier = Task {
        world: "evenkeel:notifier/notifier@0.1.0",
        interface: "evenkeel:notifier/sink@0.1.0",
        functions: r#"(func (export "evenkeel:notifier/sink@0.1.0#notify")
            (param i64 i64) (param $severity i32) (param i32 i32 i32 i32 i32 i32 i32 i32)
            (result i32)
            (if (i32.eq (local.get $severity) (i32.const 2)) (then (call $answered)))
            (i32.const 16))"#,
    };
    let event = sink::Event {
        sequence: 7,
        utc_ms: 0,
        severity: 2,
        category: "ups".into(),
        kind: "ups_lost".into(),
        text: "lost".into(),
        details: vec![("ups".into(), "ups.0".into())],
    };
    falls_when_called(&notifier, |it| it.notify(&event).map(drop));

    let gate_task = Task {
        world: "evenkeel:licence/licence-gate@0.1.0",
        interface: "evenkeel:licence/gate@0.1.0",
        functions: r#"(func (export "evenkeel:licence/gate@0.1.0#judge")
            (param i32 i32) (param $dated i32) (param i64) (param i32) (param $keys i32)
            (result i32)
            (if (i32.eq (i32.add (local.get $dated) (local.get $keys)) (i32.const 2))
                (then (call $answered)))
            (call $refused) (i32.const 16))"#,
    };
    let keys = [gate::Key { name: "a".into(), payload: vec![1] }];
    falls_when_called(&gate_task, |it| it.judge("EK-1", Some(5), &keys).map(drop));
}

/// The length of a password is repeated, its letters are nowhere.
#[test]
fn an_authenticator_s_attempt_is_repeated_without_its_password() {
    let task = Task {
        world: "evenkeel:authenticator/authenticator@0.1.0",
        interface: "evenkeel:authenticator/login@0.1.0",
        functions: r#"(func (export "evenkeel:authenticator/login@0.1.0#authenticate")
            (param i32 i32) (param $password i32) (param $len i32) (param i32 i32 i32 i32 i32)
            (result i32)
            (if (i32.eq (local.get $len) (i32.const 12)) (then (call $answered)))
            (i32.const 16))"#,
    };
    let host = Host::new();
    let raw = host.fixture.seal(&manifest(&[], &[], &task), &probe("", "", &task));
    let mut instance = host.start(&raw).unwrap_or_else(|e| panic!("{e}"));
    let attempt = login::Attempt {
        user: "ada".into(),
        password: "correcthorse".into(),
        peer: "192.0.2.9".into(),
        state: None,
    };
    let failure = instance.authenticate(&attempt).map(drop).expect_err("falls").to_string();
    assert_eq!(host.repeated().0.failure, failure);
    let bytes = std::fs::read(host.recording()).expect("readable");
    assert!(!bytes.windows(7).any(|part| part == b"correct"), "it is in no file");
}

#[test]
fn a_trap_while_it_is_made_is_reported_and_repeated() {
    let host = Host::new();
    let start = "(func $start (call $answered)) (start $start)";
    let functions = [DRIVER.functions, start].concat();
    let task = Task { functions: &functions, ..DRIVER };
    let raw = host.fixture.seal(&manifest(&[], &[], &task), &probe("", "", &task));
    let failure = host.start(&raw).map(drop).expect_err("falls");
    assert!(failure.starts_with("instantiation trapped: wasm `unreachable`"), "{failure}");
    let (report, calls) = host.repeated();
    assert_eq!((report.failure, report.call.as_str()), (failure, "instantiation"));
    assert_eq!(report.backtrace.first().map(String::as_str), Some("answered"));
    assert!(calls.is_empty());
}

/// The recorder is as small as it was, whatever is recorded.
#[test]
fn a_recording_of_any_interface_is_bounded() {
    let host = Host::new();
    let random = caps::random::INTERFACE;
    let imports = format!("(import {random:?} \"bytes\" (func $f (param i32 i32)))");
    let wake = "(global.set $heap (i32.const 8192))
        (call $f (i32.const 1024) (i32.const 4000))
        (i32.store (i32.const 5000) (i32.add (i32.const 1) (i32.load (i32.const 5000))))
        (if (i32.eq (i32.const 400) (i32.load (i32.const 5000))) (then (call $answered)))";
    let component = probe(&imports, wake, &DRIVER);
    let raw = host.fixture.seal(&manifest(&[random], &[], &DRIVER), &component);
    let mut instance = host.start(&raw).unwrap_or_else(|e| panic!("{e}"));
    let _fallen = (0..400).find_map(|_| instance.wake().err()).expect("falls");
    let report = host.reports.of("megatec").remove(0);
    assert!(report.gap.is_some_and(|gap| gap.ends_with("between them")));
    let len = std::fs::metadata(host.recording()).expect("there").len();
    let most = (HEAD_BYTES_MAX + TAIL_BYTES_MAX) as u64 + 4_096;
    assert!(len <= most, "{len}");
}
