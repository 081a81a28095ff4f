//! Hostile plugins, each alone: what it tries, and how it ends. Beside it lie
//! the same ones all at once in a running appliance (`tests/e2e`, hostile).
//!
//! Every guest is signed by a key that is trusted: the signature says who is
//! to blame, and nothing about what the plugin will do. (facts/wasm-host.md
//! §16.2.)

use super::fixture::mutate::{Random, mutated};
use super::fixture::{self, CLOCK, DRIVER_IMPORTS, Fixture, Guest, IDLE, LOG, POINTS};
use super::instance::{Failure, Instance, Surroundings};
use super::load::Package;
use super::stop::Stop;
use super::{engine, reason};
use crate::caps::log::Log;
use crate::caps::{Services, Who};
use crate::clock;
use crate::config::PluginGrant;
use crate::plugin::budget::{self, CALL_MAX};
use crate::store::{Limits, Store};
use evenkeel_core::time::Nanos;
use evenkeel_signing::{Digest, Kind, Part, Permission, PluginManifest};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

mod memory;
mod quotas;
mod tasks;

/// A started hostile plugin, or the way in which its start failed.
struct Running {
    instance: Instance,
    around: Surroundings,
    _fixture: Fixture,
}

fn run_on(guest: &Guest<'_>, call_max: Nanos, line: &str) -> Result<Running, Failure> {
    run_component(&fixture::driver(guest), call_max, line)
}

fn run_component(component: &[u8], call_max: Nanos, line: &str) -> Result<Running, Failure> {
    let fixture = Fixture::new();
    let raw = fixture.seal(&fixture::manifest(&DRIVER_IMPORTS), component);
    std::fs::write(fixture.file(), raw).expect("written");
    let grant = fixture::grant(line);
    let package = load(&fixture, &grant).unwrap_or_else(|text| panic!("{text}"));
    let (instance, around) = start(&package, call_max, Services::default())?;
    Ok(Running { instance, around, _fixture: fixture })
}

fn run(guest: &Guest<'_>) -> Result<Running, Failure> {
    run_on(guest, CALL_MAX, "/dev/ttyS1")
}

fn load(fixture: &Fixture, grant: &PluginGrant) -> Result<Package, String> {
    let file = fixture.file();
    super::load::load(&fixture.compiler, &fixture.trust, &file, grant).map_err(|e| reason(&e))
}

fn start(
    package: &Package,
    call_max: Nanos,
    services: Services,
) -> Result<(Instance, Surroundings), Failure> {
    let around = Surroundings {
        who: Who { name: "megatec".into(), points: "ups.0".into() },
        log: Log::new(Who { name: "megatec".into(), points: "ups.0".into() }),
        inbox: Arc::default(),
        services,
        stop: Arc::new(Stop::new().expect("a descriptor")),
        memory: Arc::default(),
        meter: Arc::default(),
        call_max,
    };
    let mut instance = Instance::new(package, &around)?;
    instance.start(&BTreeMap::new(), None)?;
    Ok((instance, around))
}

/// How the first poll of a guest ends.
fn ended(poll: &str, extra: &str) -> String {
    let mut running = run(&Guest { poll, extra, ..IDLE }).unwrap_or_else(|e| panic!("{e}"));
    match running.instance.wake() {
        Ok(next) => format!("asks to be polled in {} ms", next.as_millis()),
        Err(failure) => failure.to_string(),
    }
}

/// Import a function of the serial interface, and a name for it.
const SERIAL: &str = r#"
    (import "evenkeel:serial/serial@0.1.0" "[static]port.open"
        (func $open (param i32 i32 i32 i32 i32 i32 i32 i32 i32)))
    (import "evenkeel:serial/serial@0.1.0" "[method]port.send"
        (func $send (param i32 i32 i32 i32 i32)))
    (import "evenkeel:serial/serial@0.1.0" "[resource-drop]port" (func $drop (param i32)))
    (data (i32.const 3000) "ups")"#;
/// Open the line; the result is at 4000.
const OPEN: &str = "(call $open (i32.const 3000) (i32.const 3) (i32.const 2400) (i32.const 8)
    (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 4000))";
/// The handle that [`OPEN`] left.
const HANDLE: &str = "(i32.load (i32.const 4004))";

#[test]
fn whoever_computes_without_end_is_cut() {
    let budget = "poll used more than its 50 ms of processor time";
    for (what, poll) in [
        ("loop", "(loop $l (br $l)) (i32.const 0)"),
        (
            "loop of bulk copies",
            "(loop $l (memory.copy (i32.const 0) (i32.const 8) (i32.const 60000)) (br $l))
            (i32.const 0)",
        ),
        (
            "flood of the log",
            "(loop $l (call $log (i32.const 2) (i32.const 64) (i32.const 11)) (br $l))
            (i32.const 0)",
        ),
        (
            "flood of calls of the host",
            "(loop $l (call $sleep (i32.const 0)) (br $l)) (i32.const 0)",
        ),
        (
            "flood of points",
            "(loop $l (global.set $heap (i32.const 8192))
            (call $publish (i32.const 512) (i32.const 1) (i32.const 1024)) (br $l)) (i32.const 0)",
        ),
    ] {
        assert_eq!(ended(poll, ""), budget, "{what}");
    }
}

/// The overrun is what one tick of the clock allows, and is printed.
#[test]
fn an_endless_loop_overruns_its_budget_by_a_few_ticks() {
    let guest = Guest { poll: "(loop $l (br $l)) (i32.const 0)", ..IDLE };
    let mut running = run(&guest).unwrap_or_else(|e| panic!("{e}"));
    let before = budget::thread_cpu();
    running.instance.wake().expect_err("cut");
    let over = budget::thread_cpu().since(before).since(Nanos::from_millis(50));
    println!("overrun of an endless loop beyond its 50 ms: {} µs", over.0 / 1_000);
    assert!(over < Nanos::from_millis(350), "processor time, so load does not matter: {over:?}");
}

#[test]
fn whoever_never_starts_is_ended() {
    let starts = |start| {
        let begun = run_on(&Guest { start, ..IDLE }, Nanos::from_millis(200), "/dev/ttyS1");
        begun.map(|_| ()).expect_err("never starts").to_string()
    };
    let sleeps = "(loop $l (call $sleep (i32.const 20)) (br $l)) (i32.const 16)";
    assert_eq!(starts(sleeps), "start did not return within 200 ms");
    assert!(starts("unreachable").starts_with("start trapped: wasm `unreachable`"));
    assert!(starts("(i32.const -1)").starts_with("start trapped: "), "no address of a result");
}

#[test]
fn whoever_takes_too_much_is_refused_it() {
    let grow =
        |what: &str| format!("(loop $l (br_if $l (i32.ge_s {what} (i32.const 0)))) unreachable");
    let memory = ended(&grow("(memory.grow (i32.const 1))"), "");
    assert!(
        memory.contains("(memory was refused 1 times; its limit is 1048576 bytes)"),
        "{memory}"
    );
    let table = "(table $t 1 funcref)";
    let grows = grow("(table.grow $t (ref.null func) (i32.const 1000))");
    let elements = ended(&grows, table);
    assert!(
        elements.contains("(table elements were refused 1 times; their limit is 10000)"),
        "{elements}"
    );
    let stack = ended("(call $r) (i32.const 0)", "(func $r (call $r))");
    assert!(stack.contains("call stack exhausted"), "{stack}");
    let handles = format!(
        "(local $n i32) (loop $l {OPEN} (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if $l (i32.eqz (i32.load8_u (i32.const 4000)))))
        (i32.add (i32.mul (local.get $n) (i32.const 100)) (i32.load (i32.const 4004)))"
    );
    assert_eq!(
        ended(&handles, SERIAL),
        "asks to be polled in 6507 ms",
        "64 handles, then 7: quota"
    );
}

#[test]
fn whoever_hoards_handles_has_64_and_is_named() {
    let mut running = run_component(&fixture::hoards(""), CALL_MAX, "/dev/ttyS1")
        .unwrap_or_else(|e| panic!("{e}"));
    for _ in 0..2 {
        running.instance.wake().expect("an error value and no trap");
        let had = running.around.services.hub.device("ups.0.battery.charge").expect("published");
        assert_eq!(had.value.to_string(), "64");
    }
    let news = running.around.meter.take_news();
    assert!(news.len() == 1 && news[0].starts_with("quota of serial lines: more than 64"));
    assert_eq!(running.around.meter.refusals().0, 136 + 200);
}

#[test]
fn giant_arguments_are_refused_before_they_are_copied() {
    let poll = "(call $log (i32.const 0) (i32.const 0) (i32.const 524288)) (i32.const 0)";
    let mut running =
        run(&Guest { poll, memory_pages: 9, ..IDLE }).unwrap_or_else(|e| panic!("{e}"));
    // In bounds of its memory, all of it.
    let text = running.instance.wake().expect_err("refused").to_string();
    assert!(text.starts_with("poll trapped: more than 262144 bytes were to go"), "{text}");
    for poll in [
        // A list of two thousand million updates, and one that ends beyond memory.
        "(call $publish (i32.const 512) (i32.const 2000000000) (i32.const 1024)) (i32.const 0)",
        "(call $publish (i32.const 65528) (i32.const 1) (i32.const 1024)) (i32.const 0)",
        "(call $log (i32.const 0) (i32.const -16) (i32.const 1000)) (i32.const 0)",
        // A result that belongs where no memory is.
        "(call $publish (i32.const 512) (i32.const 1) (i32.const -4)) (i32.const 0)",
    ] {
        let text = ended(poll, "");
        assert!(text.starts_with("poll trapped: "), "{poll}: {text}");
    }
}

#[test]
fn what_is_no_text_and_no_level_is_a_trap() {
    let invalid = "(i32.store (i32.const 2048) (i32.const 0xfffefdfc))
        (call $log (i32.const 0) (i32.const 2048) (i32.const 4)) (i32.const 0)";
    let text = ended(invalid, "");
    assert!(text.contains("utf-8"), "{text}");
    let level = ended("(call $log (i32.const 99) (i32.const 64) (i32.const 4)) (i32.const 0)", "");
    assert!(level.starts_with("poll trapped: "), "{level}");
}

#[test]
fn handles_cannot_be_made_up_or_dropped_twice() {
    let send = |handle: &str| {
        format!(
            "(call $send {handle} (i32.const 64) (i32.const 1) (i32.const 10) (i32.const 4032))
            (i32.const 0)"
        )
    };
    for (what, poll) in [
        ("forged", send("(i32.const 12345)")),
        ("null", send("(i32.const 0)")),
        ("dropped before", format!("{OPEN} (call $drop {HANDLE}) {}", send(HANDLE))),
        (
            "dropped twice",
            format!("{OPEN} (call $drop {HANDLE}) (call $drop {HANDLE}) (i32.const 0)"),
        ),
        ("dropped and never had", "(call $drop (i32.const 1)) (i32.const 0)".into()),
    ] {
        let text = ended(&poll, SERIAL);
        assert!(text.contains("handle index"), "{what}: {text}");
    }
}

#[test]
fn points_of_others_cannot_be_spelled() {
    for name in ["../string.1.voltage", "string.1.voltage", ".battery.charge", "ups.1.ups.status"] {
        let extra = format!("(data (i32.const 2048) {name:?})");
        // The update at 512, with another name; then the code of the error.
        let poll = format!(
            "(i32.store (i32.const 512) (i32.const 2048))
            (i32.store (i32.const 516) (i32.const {}))
            (call $publish (i32.const 512) (i32.const 1) (i32.const 1024))
            (i32.mul (i32.const 1000) (i32.load (i32.const 1028)))",
            name.len()
        );
        let mut running =
            run(&Guest { poll: &poll, extra: &extra, ..IDLE }).unwrap_or_else(|e| panic!("{e}"));
        let code = running.instance.wake().expect("an error and no trap").as_millis() / 1_000;
        assert_eq!(code, 2, "{name}: invalid");
        assert!(running.around.services.hub.query("").is_empty(), "{name}");
    }
}

/// A component of 0.2 that reaches for what others have: with a store, and
/// granted `ups.0` to be read, its beeper to be toggled, and one relay to be
/// switched.
fn reaching(world: &str, interfaces: &[&str], component: &[u8]) -> (Fixture, Package, Services) {
    let fixture = Fixture::new();
    let mut manifest = fixture::manifest(interfaces);
    manifest.world = world.into();
    manifest.limits.poll_cpu_ms = 1_000;
    manifest.limits.memory_bytes = 8 << 20;
    let named = [fixture::READER, fixture::COMMANDS, fixture::CONTACTS];
    let by_name = interfaces.iter().find(|i| named.contains(i));
    manifest.permissions = by_name
        .into_iter()
        .map(|interface| Permission {
            interface: (*interface).into(),
            what: "values".into(),
            reason: "is curious".into(),
        })
        .collect();
    std::fs::write(fixture.file(), fixture.seal(&manifest, component)).expect("written");
    let mut grant = fixture::grant("/dev/ttyS1");
    grant.grant.read.insert("values".into(), vec!["ups.0".parse().expect("a subtree")]);
    let fan = "AUX1.output.3".parse().expect("a place");
    let fan = crate::grants::contact::ContactGrant { at: fan, switch: true };
    grant.grant.contacts.insert("values".into(), fan);
    let beeper = "ups.0:beeper.toggle".parse().expect("a pattern");
    grant.grant.commands.insert("values".into(), vec![beeper]);
    let package = load(&fixture, &grant).unwrap_or_else(|text| panic!("{text}"));
    let store = Store::open(fixture.dir.path(), Limits::default()).expect("a store");
    let services = Services { store: Some(Arc::new(store)), ..Services::default() };
    (fixture, package, services)
}

/// It runs.
fn reaches(world: &str, interfaces: &[&str], component: &[u8]) -> Running {
    let (fixture, package, services) = reaching(world, interfaces, component);
    let (instance, around) = start(&package, CALL_MAX, services).unwrap_or_else(|e| panic!("{e}"));
    Running { instance, around, _fixture: fixture }
}

const GATEWAY: &str = "evenkeel:gateway/gateway@0.1.0";
const DRIVER: &str = "evenkeel:driver/device-driver@0.2.0";

#[test]
fn whoever_wears_out_the_flash_writes_a_hundred_times_and_is_named() {
    let interfaces = [fixture::KV, fixture::POINTS_0_2];
    let mut running = reaches(DRIVER, &interfaces, &fixture::wears(""));
    for _ in 0..4 {
        running.instance.wake().expect("an error value and no trap");
    }
    let hub = &running.around.services.hub;
    let written = hub.device("ups.0.battery.charge").expect("published").value.to_string();
    // A hundred at once, and one for each minute and a half that the test takes.
    assert!(["100", "101"].contains(&written.as_str()), "{written}");
    let news = running.around.meter.take_news();
    assert_eq!(news.len(), 1, "{news:?}");
    assert!(news[0].starts_with("storage quota: written too often"), "{news:?}");
    assert!(running.around.meter.refusals().0 >= 99);
}

#[test]
fn whoever_reads_or_commands_what_is_not_granted_gets_nothing_and_is_named() {
    let commands = [fixture::COMMANDS, fixture::COMMAND_TYPES];
    let (peeks, meddles) = (fixture::peeks(""), fixture::meddles(""));
    let command = "command not granted: \"load.off\" to \"ups.0\"";
    let contact = "contact not granted: the contact \"outlet\" is not granted";
    for (world, interfaces, component, said) in [
        (GATEWAY, &[fixture::READER][..], peeks, "point not granted: \"string.1.voltage\""),
        (GATEWAY, &commands[..], meddles, command),
        (DRIVER, &[fixture::CONTACTS][..], fixture::relays(""), contact),
    ] {
        let mut running = reaches(world, interfaces, &component);
        // It would trap if it got through.
        for _ in 0..3 {
            running.instance.wake().expect("refused and no trap");
        }
        let news = running.around.meter.take_news();
        assert!(news.len() == 1 && news[0].starts_with(said), "{news:?}");
        running.instance.wake().expect("refused");
        assert!(running.around.meter.take_news().is_empty(), "told once");
        assert_eq!(running.around.meter.refusals().0, 4);
    }
}

#[test]
fn bytes_are_counted_by_the_way_that_they_go() {
    let mut running = run(&Guest { poll: fixture::PUBLISH, ..IDLE }).expect("starts");
    running.instance.wake().expect("polls");
    // One update: `battery.charge`, `%` and a number.
    let traffic = running.around.meter.traffic();
    assert_eq!((traffic.host_sent, traffic.serial_sent, traffic.net_sent), (14 + 1 + 8, 0, 0));
    running.instance.wake().expect("polls");
    assert_eq!(running.around.meter.traffic().host_sent, 2 * 23);
}

/// The longest wait of a host function, on a line that says nothing.
#[test]
fn whoever_waits_in_a_host_call_is_woken_and_ended() {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a line");
    grantpt(&master).and_then(|()| unlockpt(&master)).expect("a line");
    let path = ptsname(&master, Vec::new()).expect("a name").into_string().expect("text");
    let import = format!(
        r#"(import "evenkeel:serial/serial@0.1.0" "[method]port.transact"
            (func $transact (param i32 i32 i32 i32 i32 i32 i32 i32))) {SERIAL}"#
    );
    let poll = format!(
        "{OPEN} (loop $l
            (call $transact {HANDLE} (i32.const 64) (i32.const 1) (i32.const 0) (i32.const 13)
                (i32.const 100) (i32.const 30000) (i32.const 4032))
            (br $l)) (i32.const 0)"
    );
    let guest = Guest { poll: &poll, extra: &import, ..IDLE };
    let mut running = run_on(&guest, CALL_MAX, &path).unwrap_or_else(|e| panic!("{e}"));
    let stop = Arc::clone(&running.around.stop);
    let killer = std::thread::spawn(move || {
        // It has asked the line, and waits for the answer.
        let mut byte = [0];
        assert_eq!(rustix::io::read(&master, &mut byte), Ok(1));
        stop.kill();
        master
    });
    let begun = clock::now();
    let text = running.instance.wake().expect_err("killed").to_string();
    assert_eq!(text, "poll did not stop when told to");
    assert!(clock::now().since(begun) < Nanos::from_secs(25), "not the call's own 30 s");
    killer.join().expect("no panic");
}

#[test]
fn packages_that_reach_beyond_themselves_are_refused() {
    let fixture = Fixture::new();
    let grant = fixture::grant("/dev/ttyS1");
    let component = fixture::idle();
    for name in [
        "../../etc/passwd",
        "/etc/passwd",
        "a/b",
        "component\0",
        "",
        "COMPONENT",
        "..",
        "con\u{2024}",
    ] {
        let mut manifest = fixture::manifest(&DRIVER_IMPORTS);
        let evil = Part { name: name.into(), size: 1, sha256: Digest::of(b"x") };
        let part = Part {
            name: "component".into(),
            size: component.len() as u64,
            sha256: Digest::of(&component),
        };
        manifest.parts = vec![part, evil];
        let raw = fixture.seal_as_it_is(&manifest, &[&component, b"x"]);
        std::fs::write(fixture.file(), raw).expect("written");
        let text = load(&fixture, &grant).map(|_| ()).expect_err("refused");
        let said = text.contains("no part of a plugin is called") || text.contains("field `parts");
        assert!(said, "{name:?}: {text}");
    }
    std::fs::write(fixture.file(), vec![b'E'; Kind::Plugin.len_max() + 1]).expect("written");
    let text = load(&fixture, &grant).map(|_| ()).expect_err("refused");
    assert!(text.contains("more than 8388608 bytes"), "{text}");
}

/// Some are still components; these have to keep within their limits. The
/// compiler works in this process here, for speed; a few take the whole way.
/// `EVENKEEL_MUTATIONS` asks for more.
#[test]
fn malformed_components_by_the_thousand_end_as_refusals() {
    let count = std::env::var("EVENKEEL_MUTATIONS").map_or(2_000, |n| n.parse().expect("a number"));
    let fixture = Fixture::new();
    let compiling = engine::compiling(None).expect("an engine");
    let good =
        fixture::driver(&Guest { poll: fixture::PUBLISH, extra: "(table 1 funcref)", ..IDLE });
    let mut random = Random::new();
    let (mut refused, mut ran, mut panicked) = (0, 0, 0);
    let begun = clock::now();
    for n in 0..count {
        let component = mutated(&good, &mut random);
        let compiled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            compiling.precompile_component(&component)
        }));
        match compiled {
            // In the helper's process it would be a refusal.
            Err(_) => panicked += 1,
            Ok(Err(_)) if n % 50 != 0 => refused += 1,
            Ok(_) => {
                let raw = fixture.seal(&fixture::manifest(&DRIVER_IMPORTS), &component);
                match fixture.load(&raw) {
                    Err(_) => refused += 1,
                    Ok(package) => {
                        ran += 1;
                        let services = Services::default();
                        if let Ok((mut instance, _)) =
                            start(&package, Nanos::from_secs(2), services)
                        {
                            let _ = instance.wake();
                        }
                    }
                }
            }
        }
    }
    let ms = clock::now().since(begun).as_millis();
    println!(
        "{count} mutated components in {ms} ms: {refused} refused, {ran} ran within their limits, \
         {panicked} made the compiler panic"
    );
    assert_eq!(refused + ran + panicked, count);
    assert!(refused > count / 2 && ran > 0, "the mutations reach both ends");
}

/// What the names in status and events must tell: who, and why.
#[test]
fn the_offender_is_named_in_status_and_event() {
    use super::supervisor::{EventSink, Supervisor};
    use crate::plugin_status::{PluginList as _, PluginState};
    use evenkeel_core::events::Event;
    use std::sync::Mutex;

    let fixture = Fixture::new();
    fixture.put_key();
    let dir = fixture.dir.path();
    let manifest =
        |name: &str| PluginManifest { name: name.into(), ..fixture::manifest(&DRIVER_IMPORTS) };
    let undeclared = PluginManifest { name: "undeclared".into(), ..fixture::manifest(&[LOG]) };
    let driver = |start, poll| fixture::driver(&Guest { start, poll, ..IDLE });
    let cases = [
        (manifest("neighbour"), driver(IDLE.start, fixture::PUBLISH), ""),
        (manifest("storm"), driver("unreachable", "unreachable"), "start trapped"),
        (
            manifest("loops"),
            driver(IDLE.start, "(loop $l (br $l)) (i32.const 0)"),
            "processor time",
        ),
        (undeclared, driver(IDLE.start, fixture::PUBLISH), "which its manifest does not declare"),
        (manifest("garbage"), b"\0asm\x0d\0\x01\0\xff".to_vec(), "it is no valid component"),
    ];
    let mut plugins = Vec::new();
    for (i, (manifest, component, _)) in cases.iter().enumerate() {
        let file = dir.join(format!("{}.evkp", manifest.name));
        std::fs::write(file, fixture.seal(manifest, component)).expect("written");
        let points = format!("ups.{i}");
        let mut plugin = PluginGrant::new(&manifest.name);
        plugin.points = points;
        plugin.grant = fixture::grant("/dev/ttyS1").grant;
        plugins.push(plugin);
    }
    // What was granted and is not asked for is no reason to refuse.
    plugins[3].grant = crate::grants::Grants::default();
    let config = fixture::config(dir, plugins);
    let events = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&events);
    let sink: EventSink = Arc::new(move |event| kept.lock().expect("no panic").push(event));
    let supervisor =
        Supervisor::start(&config, Services::default(), sink, Box::new(fixture::Kept::default()))
            .expect("starts");
    let told = |name: &str, words: &str| {
        let events = events.lock().expect("no panic");
        events.iter().any(|event| match event {
            Event::PluginTrapped { name: n, reason } => n == name && reason.contains(words),
            Event::PluginRefused { file, reason } => file.contains(name) && reason.contains(words),
            _ => false,
        })
    };
    let deadline = clock::now() + Nanos::from_secs(60);
    loop {
        let all = supervisor.plugins();
        let named = |(manifest, _, words): &(PluginManifest, Vec<u8>, &str)| {
            let status = all.iter().find(|status| status.name == manifest.name);
            let error = status.and_then(|status| status.last_error.clone()).unwrap_or_default();
            error.contains(words) && told(&manifest.name, words)
        };
        let good = all.iter().find(|status| status.name == "neighbour").expect("installed");
        if cases[1..].iter().all(named) && good.state == PluginState::Running && good.polls >= 5 {
            assert_eq!((good.traps, &good.last_error), (0, &None));
            break;
        }
        assert!(clock::now() < deadline, "{all:#?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
