//! Plugins as an administrator and a neighbour see them, through the whole
//! plugin host with components written as text.

use super::*;
use crate::config::PluginGrant;
use crate::hub::Hub;
use crate::plugin::fixture::{self, DRIVER_IMPORTS, Fixture, Guest, IDLE, Kept, PUBLISH};
use evenkeel_core::points::Quality;
use evenkeel_signing::PluginManifest;
use std::time::Instant;

mod refusals;
mod secrets;

struct Running {
    supervisor: Supervisor,
    kept: Kept,
    hub: Arc<Hub>,
    events: Arc<Mutex<Vec<Event>>>,
    fixture: Fixture,
}

fn run(guest: &Guest<'_>) -> Running {
    let fixture = Fixture::new();
    let raw = fixture.seal(&fixture::manifest(&DRIVER_IMPORTS), &fixture::driver(guest));
    std::fs::write(fixture.file(), raw).expect("written");
    fixture.put_key();
    run_config(fixture, vec![fixture::grant("/dev/ttyS1")])
}

fn run_config(fixture: Fixture, plugins: Vec<PluginGrant>) -> Running {
    run_within(fixture, plugins, CALL_MAX)
}

fn run_within(fixture: Fixture, plugins: Vec<PluginGrant>, call_max: Nanos) -> Running {
    run_with(fixture, plugins, call_max, Services::default())
}

fn run_with(
    fixture: Fixture,
    plugins: Vec<PluginGrant>,
    call_max: Nanos,
    services: Services,
) -> Running {
    run_all(Machine { call_max, ..machine() }, fixture, plugins, Kept::default(), services)
}

fn machine() -> Machine {
    Machine {
        call_max: CALL_MAX,
        // There is nothing to spare once the first burst is used.
        surplus: Surplus::new(0, clock::now()),
        probation: Nanos::from_millis(PROBATION_MS),
        helper: Helper::default(),
    }
}

/// With the list of plugins that is in `store`.
fn run_on(machine: Machine, fixture: Fixture, plugins: Vec<PluginGrant>, store: Kept) -> Running {
    run_all(machine, fixture, plugins, store, Services::default())
}

fn run_all(
    machine: Machine,
    fixture: Fixture,
    plugins: Vec<PluginGrant>,
    store: Kept,
    services: Services,
) -> Running {
    let dir = fixture.dir.path();
    let config = fixture::config(dir, plugins);
    let events = Arc::new(Mutex::new(Vec::new()));
    let hub = Arc::clone(&services.hub);
    let kept = Arc::clone(&events);
    let sink: EventSink = Arc::new(move |event| kept.lock().expect("no panic").push(event));
    let store_of = Box::new(store.clone());
    let supervisor = Supervisor::start_within(&config, services, sink, store_of, machine);
    let supervisor = supervisor.expect("starts");
    Running { supervisor, kept: store, hub, events, fixture }
}

impl Running {
    fn status(&self) -> PluginStatus {
        self.supervisor.plugins().remove(0)
    }

    fn wait(&self, what: &str, until: impl Fn(&PluginStatus) -> bool) -> PluginStatus {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let status = self.status();
            if until(&status) {
                return status;
            }
            assert!(Instant::now() < deadline, "never {what}: {status:?}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn events(&self) -> Vec<Event> {
        self.events.lock().expect("no panic").clone()
    }

    fn quality(&self) -> Option<Quality> {
        self.hub.device("ups.0.battery.charge").map(|point| point.quality)
    }
}

#[test]
fn without_a_surplus_a_plugin_that_computes_gets_a_fifth_of_a_core() {
    // Some 20 ms a poll, and it wants to run again at once.
    let poll = "(local $n i32) (loop $l
            (br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1)))
                (i32.const 12000000))))
        (i32.const 0)";
    let running = run(&Guest { poll, ..IDLE });
    let burst_ms = crate::plugin::surplus::BURST.as_millis();
    let polls = running.wait("used up its burst", |s| s.cpu_ms > burst_ms + 50).polls;
    let (begun, before) = (Instant::now(), running.status().cpu_ms);
    running.wait("polled often", |s| s.polls >= polls + 8);
    let used = u128::from(running.status().cpu_ms - before);
    assert!(used * 4 < begun.elapsed().as_millis(), "{used} ms of {:?}", begun.elapsed());
}

#[test]
fn the_processor_time_of_starts_that_fail_is_counted() {
    // Some 100 ms.
    let start = "(local $n i32) (loop $l
            (br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1)))
                (i32.const 60000000))))
        unreachable";
    let running = run(&Guest { start, ..IDLE });
    let status = running.wait("failed", |s| s.traps >= 1);
    assert!(status.cpu_ms >= 10, "{} ms", status.cpu_ms);
}

#[test]
fn an_errand_is_done_between_polls_and_not_by_a_plugin_that_is_gone() {
    let running = run(&Guest { poll: "(i32.const 60000)", ..IDLE });
    running.wait("polled", |s| s.polls == 1);
    let slot = running.supervisor.slot("megatec").expect("installed");
    let inbox = Arc::clone(&slot.inbox);
    let waited = Duration::from_secs(10);
    assert_eq!(inbox.ask_within(waited, |_| Ok(7)), Ok(7));
    // This world has no commands: the plugin fails for the question, and
    // is back after a pause.
    let asked = inbox.ask_within(waited, |p| p.command("test.battery.start", None).map(|_| ()));
    assert_eq!(asked, Err(crate::plugin::inbox::Undone::Failed));
    let status = running.wait("failed", |s| s.traps == 1);
    let said = status.last_error.expect("a reason");
    assert_eq!(said, "it has no command; install a version of it that does");
    running.supervisor.stop();
    assert!(inbox.ask_within(waited, |_| Ok(7)).is_err());
}

#[test]
fn a_plugin_runs_and_stops_in_good_order() {
    let running = run(&Guest { poll: PUBLISH, ..IDLE });
    let status = running.wait("polled", |s| s.polls >= 3);
    assert_eq!(status.state, PluginState::Running);
    assert_eq!((status.version.as_str(), status.vendor.as_str()), ("0.1.0", "Acme"));
    assert!(status.memory_bytes >= 64 << 10 && status.poll_p50_us < 1_000_000);
    assert_eq!(running.quality(), Some(Quality::Good));
    let begun = Instant::now();
    running.supervisor.stop();
    assert!(begun.elapsed() < Duration::from_secs(1), "the pause is cut short");
    assert_eq!(running.status().state, PluginState::Stopped);
    assert_eq!(running.quality(), Some(Quality::Stale));
    let name = "megatec".to_owned();
    let version = "0.1.0".to_owned();
    let wanted =
        [Event::PluginStarted { name: name.clone(), version }, Event::PluginStopped { name }];
    assert_eq!(running.events(), wanted);
}

#[test]
fn a_trap_makes_stale_and_the_plugin_comes_back() {
    // Publishes, and traps at the third poll.
    let poll = format!(
        "(i32.store (i32.const 2048) (i32.add (i32.const 1) (i32.load (i32.const 2048))))
        (if (i32.eq (i32.const 3) (i32.load (i32.const 2048))) (then unreachable)) {PUBLISH}"
    );
    let running = run(&Guest { poll: &poll, ..IDLE });
    let status = running.wait("trapped", |s| s.state == PluginState::Backoff);
    assert_eq!(status.traps, 1);
    assert_eq!(running.quality(), Some(Quality::Stale));
    assert!(status.last_error.is_some_and(|e| e.contains("unreachable")));
    running.wait("back", |s| s.state == PluginState::Running && s.polls >= 1);
    assert_eq!(running.quality(), Some(Quality::Good));
    assert!(matches!(&running.events()[1], Event::PluginTrapped { name, .. } if name == "megatec"));
}

/// The pauses between the five are those of the appliance: some 15 s.
#[test]
fn after_five_traps_it_stays_off_until_a_person_starts_it_again() {
    // Publishes, and traps at the third poll of each copy.
    let poll = format!(
        "(i32.store (i32.const 2048) (i32.add (i32.const 1) (i32.load (i32.const 2048))))
        (if (i32.eq (i32.const 3) (i32.load (i32.const 2048))) (then unreachable)) {PUBLISH}"
    );
    let running = run(&Guest { poll: &poll, ..IDLE });
    for traps in 1..=5 {
        // Each has its own deadline: the pauses double.
        running.wait("trapped", |s| s.traps >= traps);
    }
    let status = running.wait("quarantined", |s| s.state == PluginState::Quarantined);
    assert!(status.traps == 5 && status.last_error.is_some_and(|e| e.contains("unreachable")));
    assert_eq!(running.quality(), Some(Quality::Stale));
    let told = |events: &[Event]| {
        let of = |event: &&Event| {
            matches!(event, Event::PluginQuarantined { name, reason }
            if name == "megatec" && reason.contains("unreachable"))
        };
        events.iter().filter(of).count()
    };
    assert_eq!(told(&running.events()), 1);
    assert_eq!(running.supervisor.off(), ["megatec"]);
    let again = running.supervisor.restart("megatec".into()).blocking_recv();
    again.expect("answered").expect("started");
    let status = running.wait("back", |s| s.state == PluginState::Running && s.polls >= 1);
    let released = Event::PluginReleased { name: "megatec".into() };
    assert_eq!(running.events().iter().filter(|event| **event == released).count(), 1);
    assert_eq!(status.traps, 0, "a new beginning");
    assert_eq!(running.supervisor.off(), [""; 0]);
    assert_eq!(running.quality(), Some(Quality::Good));
    // And five more tries before it is off again, not one.
    running.wait("trapped", |s| s.state == PluginState::Backoff);
    assert_eq!(told(&running.events()), 1);
}

#[test]
fn a_driver_is_a_source_while_it_is_installed_and_on() {
    let running = run(&Guest { poll: PUBLISH, ..IDLE });
    running.wait("running", |s| s.state == PluginState::Running);
    let subtree = "ups.0".to_owned();
    assert_eq!(running.supervisor.sources(), [Source { subtree, due: true }]);
    let off = running.supervisor.switch("megatec".into(), false).blocking_recv();
    off.expect("answered").expect("off");
    assert_eq!(running.supervisor.sources(), []);
    let on = running.supervisor.switch("megatec".into(), true).blocking_recv();
    on.expect("answered").expect("on");
    assert_eq!(running.supervisor.sources().len(), 1);
    let gone = running.supervisor.remove("megatec".into()).blocking_recv();
    gone.expect("answered").expect("removed");
    assert_eq!(running.supervisor.sources(), []);
}

#[test]
fn a_plugin_that_never_returns_is_interrupted_at_the_stop() {
    let poll = "(loop $l (call $sleep (i32.const 10000)) (br $l)) (i32.const 0)";
    let running = run(&Guest { poll, ..IDLE });
    running.wait("running", |s| s.state == PluginState::Running);
    let begun = Instant::now();
    running.supervisor.stop();
    assert!(begun.elapsed() < GRACE + KILL_GRACE);
    assert_eq!(running.status().state, PluginState::Stopped);
    assert_eq!(running.status().traps, 0, "being stopped is no failure");
}

#[test]
fn a_refused_file_is_a_status_and_an_event() {
    let fixture = Fixture::new();
    std::fs::write(fixture.file(), b"\0asm\x0d\0\x01\0").expect("written");
    fixture.put_key();
    let running = run_config(fixture, vec![fixture::grant("/dev/ttyS1")]);
    let status = running.wait("refused", |s| s.state == PluginState::Refused);
    assert!(status.last_error.is_some_and(|e| e.contains("not an Evenkeel bundle")));
    assert!(matches!(&running.events()[..], [Event::PluginRefused { .. }]));
    assert_eq!(running.supervisor.off().len(), 1);
}

#[test]
fn declined_settings_are_final_at_once_and_no_trap() {
    let fixture = Fixture::new();
    let component = fixture::driver(&Guest { start: fixture::DECLINE, ..IDLE });
    let raw = fixture.seal(&fixture::manifest(&DRIVER_IMPORTS), &component);
    std::fs::write(fixture.file(), raw).expect("written");
    fixture.put_key();
    let key = fixture.fingerprint();
    let running = run_config(fixture, vec![fixture::grant("/dev/ttyS1").with_id("cellar")]);
    let status = running.wait("refused", |s| s.state == PluginState::Refused);
    assert_eq!((status.traps, status.polls), (0, 0));
    let said = status.last_error.expect("a reason");
    let words = "is refused: it does not accept its settings, correct them: no protocol";
    for part in ["plugin \"cellar\" 0.1.0 (", "signed by \"acme\"", &key[..19], words] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    thread::sleep(Duration::from_millis(1_500));
    assert_eq!(running.status().state, PluginState::Refused, "no second try");
    match &running.events()[..] {
        [Event::PluginRefused { file, reason }] => {
            assert!(file.ends_with("megatec.evkp"), "{file}");
            assert_eq!(*reason, said, "the event says what the page says");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_thread_of_a_plugin_is_nice_without_a_second_request() {
    let running = run(&IDLE);
    running.wait("running", |s| s.state == PluginState::Running);
    let mut checked = 0;
    for task in std::fs::read_dir("/proc/self/task").expect("tasks") {
        let task = task.expect("a task").path();
        let Ok(name) = std::fs::read_to_string(task.join("comm")) else { continue };
        if name.trim() == "plugin-megatec" {
            let stat = std::fs::read_to_string(task.join("stat")).expect("it runs");
            let fields = stat.rsplit(") ").next().expect("fields after the name");
            assert_eq!(fields.split(' ').nth(16), Some("10"), "{stat}");
            checked += 1;
        }
    }
    assert!(checked > 0);
}

/// One neighbour that does its work, and every way to misbehave beside it.
#[test]
fn hostile_plugins_end_and_their_neighbour_polls_on() {
    const SLEEPER_MAX: Nanos = Nanos::from_millis(400);
    let grows = "(loop $l (br_if $l (i32.ge_s (memory.grow (i32.const 1)) (i32.const 0))))
        unreachable";
    // In the order of their names, as the list is.
    let cases = [
        ("a-neighbour", PUBLISH, "", ""),
        ("aborts", "unreachable", "", "`unreachable`"),
        ("computes", "(loop $l (br $l)) (i32.const 0)", "", "50 ms of processor time"),
        ("grows", grows, "", "its limit is 1048576 bytes"),
        ("recurses", "(call $r) (i32.const 0)", "(func $r (call $r))", "stack exhausted"),
        (
            "sleeps",
            "(loop $l (call $sleep (i32.const 20)) (br $l)) (i32.const 0)",
            "",
            "did not return within 400 ms",
        ),
    ];
    let fixture = Fixture::new();
    fixture.put_key();
    for (name, poll, extra, _) in cases {
        let manifest = PluginManifest { name: name.into(), ..fixture::manifest(&DRIVER_IMPORTS) };
        let raw = fixture.seal(&manifest, &fixture::driver(&Guest { poll, extra, ..IDLE }));
        std::fs::write(fixture.dir.path().join(format!("{name}.evkp")), raw).expect("written");
    }
    let grant = |(i, (name, ..)): (usize, &(&str, &str, &str, &str))| {
        let mut grant = PluginGrant::new(name);
        grant.points = format!("ups.{i}");
        grant.grant = fixture::grant("/dev/ttyS1").grant;
        grant
    };
    let grants = cases.iter().enumerate().map(grant).collect();
    let running = run_within(fixture, grants, SLEEPER_MAX);
    let all = || running.supervisor.plugins();
    let deadline = Instant::now() + Duration::from_secs(40);
    // Each fails, comes back after its pause, and fails again.
    while all().iter().skip(1).any(|plugin| plugin.traps < 2) {
        assert!(Instant::now() < deadline, "{:#?}", all());
        thread::sleep(Duration::from_millis(20));
    }
    for (plugin, (name, _, _, words)) in all().iter().zip(&cases).skip(1) {
        let error = plugin.last_error.clone().unwrap_or_default();
        assert!(plugin.name == *name && error.contains(words), "{name}: {error}");
        assert!(plugin.memory_bytes <= 1 << 20, "{name}: {} bytes", plugin.memory_bytes);
    }
    let (before, begun) = (all().remove(0), Instant::now());
    assert_eq!((before.state, before.traps), (PluginState::Running, 0));
    thread::sleep(Duration::from_secs(3));
    let (polls, due) = (all()[0].polls - before.polls, begun.elapsed().as_millis() / 100);
    assert!(polls * 2 > due as u64, "{polls} polls of the neighbour, {due} were due");
    assert_eq!(running.hub.device("ups.0.battery.charge").map(|p| p.quality), Some(Quality::Good));
}

#[test]
fn a_disabled_plugin_is_not_even_read() {
    let mut off = fixture::grant("/dev/ttyS1");
    off.enabled = false;
    let running = run_config(Fixture::new(), vec![off]);
    running.supervisor.stop();
    assert_eq!(running.status().state, PluginState::Disabled);
    assert!(running.events().is_empty());
}

/// A driver of 0.2 that hands `version` to its successor, and publishes as
/// `battery.charge` what its predecessor handed to it (0: nothing).
fn successor(fixture: &Fixture, version: u8, wake: &str) -> Vec<u8> {
    let mut manifest = fixture::manifest(&[fixture::SERIAL, "evenkeel:points/points@0.1.1"]);
    manifest.version = format!("0.{version}.0");
    manifest.world = "evenkeel:driver/device-driver@0.2.0".into();
    fixture.seal(&manifest, &fixture::driver_0_2(version, wake))
}

impl Running {
    fn wanted(&self, bundle: &BundleInfo) -> Wanted {
        Wanted {
            plugin: fixture::grant("/dev/ttyS1"),
            bundle: Some(bundle.digest.clone()),
            consent: Some(bundle.consent.clone()),
        }
    }

    fn upload(&self, raw: Vec<u8>) -> BundleInfo {
        self.supervisor.upload(raw).blocking_recv().expect("answered").expect("accepted")
    }

    fn put(&self, wanted: Wanted) -> Result<(), AdminError> {
        self.supervisor.put(wanted).blocking_recv().expect("answered")
    }

    fn version(&self) -> String {
        self.status().version
    }

    fn charge(&self) -> Option<String> {
        self.hub.device("ups.0.battery.charge").map(|point| point.value.to_string())
    }
}

fn empty() -> Running {
    let fixture = Fixture::new();
    fixture.put_key();
    run_config(fixture, Vec::new())
}

#[test]
fn a_plugin_is_uploaded_installed_updated_and_rolled_back() {
    let running = empty();
    let first = running.upload(successor(&running.fixture, 1, fixture::TELL));
    assert_eq!((first.name.as_str(), first.world.as_str()), ("megatec", "driver"));
    assert!(first.permissions.iter().any(|p| p.text.contains("serial line “ups”")));
    running.put(running.wanted(&first)).expect("installed");
    running.wait("running", |s| s.state == PluginState::Running && s.polls > 0);
    assert_eq!(running.charge().as_deref(), Some("0"), "nobody before it");

    let second = running.upload(successor(&running.fixture, 2, fixture::TELL));
    running.put(running.wanted(&second)).expect("updated");
    running.wait("the second version", |s| s.version == "0.2.0" && s.polls > 0);
    assert_eq!(running.charge().as_deref(), Some("1"), "the first handed over");

    running
        .supervisor
        .roll_back("megatec".into())
        .blocking_recv()
        .expect("answered")
        .expect("back");
    running.wait("the first version", |s| s.version == "0.1.0" && s.polls > 0);
    assert_eq!(running.charge().as_deref(), Some("2"), "the second handed over");

    let in_use = running.supervisor.delete_bundle(second.digest.clone()).blocking_recv();
    assert!(matches!(in_use, Ok(Err(AdminError::Conflict(_)))));
    running.supervisor.remove("megatec".into()).blocking_recv().expect("answered").expect("gone");
    assert!(running.supervisor.plugins().is_empty() && running.charge().is_none());
    let deleted = running.supervisor.delete_bundle(second.digest).blocking_recv();
    deleted.expect("answered").expect("deleted");
    assert_eq!(
        running.supervisor.bundles().blocking_recv().expect("answered").expect("listed").len(),
        1
    );
}

#[test]
fn a_refused_update_changes_nothing() {
    let running = empty();
    let first = running.upload(successor(&running.fixture, 1, fixture::TELL));
    running.put(running.wanted(&first)).expect("installed");
    running.wait("running", |s| s.polls > 0);
    // No such line is granted.
    let second = running.upload(successor(&running.fixture, 2, fixture::TELL));
    let mut wanted = running.wanted(&second);
    wanted.plugin.grant = Default::default();
    let refused = running.put(wanted).expect_err("no line");
    assert!(refused.to_string().contains("grant.serial.ups"), "{refused}");
    // Nobody looked at what it asks for.
    let unseen = Wanted { consent: None, ..running.wanted(&second) };
    assert!(matches!(running.put(unseen), Err(AdminError::Consent { .. })));
    // Not signed by anybody.
    let forged = running.supervisor.upload(b"EVENKEEL".to_vec()).blocking_recv().expect("answered");
    assert!(forged.expect_err("refused").to_string().contains("cannot be trusted"));
    assert_eq!(
        (running.version().as_str(), running.status().state),
        ("0.1.0", PluginState::Running)
    );
}

#[test]
fn a_danger_names_who_confirmed_it() {
    let fixture = Fixture::new();
    let raw = fixture.seal(&fixture::manifest(&DRIVER_IMPORTS), &fixture::idle());
    std::fs::write(fixture.file(), &raw).expect("written");
    fixture.put_key();
    let mut grant = fixture::grant("/dev/ttyS1");
    grant.grant = toml::from_str("serial.ups = \"/dev/ttyS1\"\ncommands.x = [\"ups.0:load.off\"]")
        .expect("good");
    let running = run_config(fixture, vec![grant.clone()]);
    running.wait("running", |s| s.state == PluginState::Running);
    let dangers = |running: &Running| {
        let detail = running.supervisor.detail("megatec".into()).blocking_recv();
        detail.expect("answered").expect("installed").dangers
    };
    let by_file = dangers(&running);
    assert_eq!((by_file.len(), by_file[0].by_file), (1, true), "the file's author: {by_file:?}");
    let bundle = running.upload(raw);
    let confirm = ["commands.x=ups.0:load.off", "commands.x=ups.0:gone"];
    grant.confirm = confirm.map(str::to_owned).to_vec();
    running.put(Wanted { plugin: grant, ..running.wanted(&bundle) }).expect("confirmed");
    assert!(!dangers(&running)[0].by_file, "an administrator");
    let detail = running.supervisor.detail("megatec".into()).blocking_recv();
    let kept = detail.expect("answered").expect("installed").plugin.confirm;
    assert_eq!(kept, confirm[..1], "a word for what is not granted is not kept");
}

#[test]
fn an_update_by_another_signer_needs_a_word_of_its_own() {
    let running = empty();
    let first = running.upload(successor(&running.fixture, 1, fixture::TELL));
    running.put(running.wanted(&first)).expect("installed");
    running.wait("running", |s| s.polls > 0);
    let other = evenkeel_signing::SecretKey::generate(evenkeel_signing::Role::Plugin, "bolt");
    let other = other.expect("a key");
    let (text, fingerprint) = (other.public().to_text(), other.public().fingerprint());
    let added = running.supervisor.add_key(text, fingerprint).blocking_recv().expect("answered");
    added.expect("trusted");
    let mut manifest = fixture::manifest(&[fixture::SERIAL, "evenkeel:points/points@0.1.1"]);
    manifest.version = "0.2.0".into();
    manifest.world = "evenkeel:driver/device-driver@0.2.0".into();
    let component = fixture::driver_0_2(2, fixture::TELL);
    let parts: [(&str, &[u8]); 1] = [("component", &component)];
    let raw = evenkeel_signing::seal_plugin(manifest, &parts, &[&other]).expect("sealed");
    let second = running.upload(raw);
    let old_word = Wanted { consent: Some(first.consent), ..running.wanted(&second) };
    let Err(AdminError::Consent { mark, added }) = running.put(old_word) else {
        panic!("the first signer's consent is good for the second");
    };
    assert_eq!(mark, second.consent);
    assert!(
        added.len() == 1 && added[0].contains("\"bolt\"") && added[0].contains("\"acme\""),
        "{added:?}"
    );
    running.put(running.wanted(&second)).expect("with a word for it");
    running.wait("the second version", |s| s.version == "0.2.0" && s.polls > 0);
}

#[test]
fn a_new_version_that_keeps_failing_is_taken_back() {
    let running = empty();
    let first = running.upload(successor(&running.fixture, 1, fixture::TELL));
    running.put(running.wanted(&first)).expect("installed");
    running.wait("running", |s| s.polls > 0);
    let bad = running.upload(successor(&running.fixture, 2, "unreachable"));
    running.put(running.wanted(&bad)).expect("installed");
    running.wait("failing", |s| s.version == "0.2.0" && s.traps > 0);
    running.wait("taken back", |s| s.version == "0.1.0" && s.polls > 0);
    let told = |event: &Event| matches!(event, Event::PluginRolledBack { reason, .. } if reason.contains("unreachable"));
    let deadline = Instant::now() + Duration::from_secs(5);
    while !running.events().iter().any(told) {
        assert!(Instant::now() < deadline, "{:?}", running.events());
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_plugin_is_switched_off_and_on_and_the_decision_is_kept() {
    let running = run(&Guest { poll: PUBLISH, ..IDLE });
    running.wait("polled", |s| s.polls > 0);
    let switch = |on| running.supervisor.switch("megatec".into(), on).blocking_recv();
    switch(false).expect("answered").expect("off");
    assert_eq!(running.status().state, PluginState::Disabled);
    assert_eq!(running.charge(), None, "its points go with it");
    let kept = running.kept.load().expect("read").expect("kept");
    assert!(kept.contains("enabled = false"), "{kept}");
    switch(true).expect("answered").expect("on");
    running.wait("running", |s| s.polls > 0);
    let unknown = running.supervisor.switch("other".into(), true).blocking_recv();
    assert!(matches!(unknown, Ok(Err(AdminError::Unknown(_)))));
}

#[test]
fn what_can_cut_power_needs_a_second_word() {
    let running = empty();
    let bundle = running.upload(successor(&running.fixture, 1, fixture::TELL));
    let mut wanted = running.wanted(&bundle);
    let grants = "commands.ups = [\"ups.0:load.off\"]\nserial.ups = \"/dev/ttyS1\"";
    wanted.plugin.grant = toml::from_str(grants).expect("good");
    let Err(AdminError::Confirm { names, texts }) = running.put(wanted.clone()) else {
        panic!("not asked for a second word");
    };
    assert!(texts[0].contains("ups.0 switches the load off"));
    wanted.plugin.confirm = names;
    running.put(wanted).expect("confirmed");
}

/// What is answered within a time in which nothing slow can be done.
fn answered<T>(mut reply: Reply<T>) -> Result<T, AdminError> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match reply.try_recv() {
            Ok(answer) => return answer,
            Err(oneshot::error::TryRecvError::Closed) => panic!("the manager is gone"),
            Err(oneshot::error::TryRecvError::Empty) => {}
        }
        assert!(Instant::now() < deadline, "it waits for something else");
        thread::sleep(Duration::from_millis(2));
    }
}

/// A compiler that does not end before somebody writes to the returned file,
/// and makes nothing; from then on it ends at once.
fn slow(fixture: &Fixture) -> (Machine, std::path::PathBuf) {
    let gate = fixture.dir.path().join("gate");
    let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
    rustix::fs::mknodat(rustix::fs::CWD, &gate, kind, mode, 0).expect("a pipe");
    let script = format!("[ -e {0}.open ] || cat {0}; : > {0}.open; exit 1", gate.display());
    let arguments = vec!["-c".into(), script.into()];
    let wall_max = crate::plugin::compile::helper::WALL_MAX;
    let helper = Helper::start_as("/bin/sh".into(), arguments, Default::default(), wall_max);
    (Machine { helper, ..machine() }, gate)
}

/// `megatec` beside a plugin `zebra` that is to be compiled.
fn with_zebra() -> (Fixture, Vec<u8>) {
    let fixture = Fixture::new();
    fixture.put_key();
    let neighbour = fixture::driver(&Guest { poll: PUBLISH, ..IDLE });
    // Its code is known.
    fixture.compiler.component(&neighbour, &[]).expect("compiled");
    let manifest = fixture::manifest(&DRIVER_IMPORTS);
    std::fs::write(fixture.file(), fixture.seal(&manifest, &neighbour)).expect("written");
    let zebra = PluginManifest { name: "zebra".into(), ..manifest };
    let raw = fixture.seal(&zebra, &fixture::idle());
    (fixture, raw)
}

fn zebra() -> PluginGrant {
    let mut zebra = PluginGrant::new("zebra");
    zebra.points = "ups.1".into();
    zebra.grant = fixture::grant("/dev/ttyS2").grant;
    zebra
}

#[test]
fn while_one_bundle_compiles_nobody_else_waits() {
    let (fixture, raw) = with_zebra();
    let (machine, gate) = slow(&fixture);
    let running = run_on(machine, fixture, vec![fixture::grant("/dev/ttyS1")], Kept::default());
    running.wait("running", |s| s.polls > 0);
    let bundle = running.upload(raw);
    let wanted = Wanted { plugin: zebra(), ..running.wanted(&bundle) };
    let mut first = running.supervisor.put(wanted.clone());
    let id = || "megatec".to_owned();
    answered(running.supervisor.detail(id())).expect("known");
    answered(running.supervisor.reports(id())).expect("known");
    answered(running.supervisor.keys()).expect("told");
    assert_eq!(answered(running.supervisor.bundles()).expect("listed").len(), 2);
    answered(running.supervisor.switch(id(), false)).expect("switched off");
    assert_eq!(running.status().state, PluginState::Disabled);
    answered(running.supervisor.switch(id(), true)).expect("its code is known");
    assert!(first.try_recv().is_err(), "it is compiled still");
    // The last word counts.
    let mut off = zebra();
    off.enabled = false;
    answered(running.supervisor.put(Wanted { plugin: off, ..wanted })).expect("switched off");
    std::fs::write(&gate, b"").expect("the compiler ends");
    let Err(AdminError::Conflict(text)) = answered(first) else { panic!("it counts") };
    assert!(text.contains("meanwhile"), "{text}");
    let slot = running.supervisor.slot("zebra").expect("installed");
    assert_eq!(slot.board.status().state, PluginState::Disabled);
}

#[test]
fn a_bundle_that_compiles_at_the_start_holds_up_no_other() {
    let (fixture, raw) = with_zebra();
    std::fs::write(fixture.dir.path().join("zebra.evkp"), raw).expect("written");
    let (machine, gate) = slow(&fixture);
    // By name it comes first.
    let first = zebra().with_id("a-zebra");
    let running =
        run_on(machine, fixture, vec![first, fixture::grant("/dev/ttyS1")], Kept::default());
    let slot = running.supervisor.slot("megatec").expect("installed");
    let deadline = Instant::now() + Duration::from_secs(20);
    while slot.board.status().polls == 0 {
        assert!(Instant::now() < deadline, "it waits for its neighbour: {:?}", slot.board.status());
        thread::sleep(Duration::from_millis(5));
    }
    let compiled = answered(running.supervisor.detail("a-zebra".into())).expect("installed");
    assert_eq!(compiled.status.state, PluginState::Starting);
    std::fs::write(&gate, b"").expect("the compiler ends");
    let status = running.wait("refused", |s| s.state == PluginState::Refused);
    assert!(status.last_error.is_some_and(|e| e.contains("cannot be compiled")));
}

#[test]
fn what_was_trusted_when_it_was_loaded_does_not_count_when_it_is_put_in_place() {
    let (fixture, raw) = with_zebra();
    let (machine, gate) = slow(&fixture);
    let running = run_on(machine, fixture, vec![fixture::grant("/dev/ttyS1")], Kept::default());
    running.wait("running", |s| s.polls > 0);
    let bundle = running.upload(raw);
    let wanted = Wanted { plugin: zebra(), ..running.wanted(&bundle) };
    let putting = running.supervisor.put(wanted);
    let key = answered(running.supervisor.keys()).expect("told").remove(0);
    answered(running.supervisor.withdraw_key(key.id, "it was stolen".into())).expect("withdrawn");
    let stopped = running.status();
    assert_eq!(stopped.state, PluginState::Refused, "what runs is stopped");
    assert!(stopped.last_error.is_some_and(|e| e.contains("it was stolen")));
    std::fs::write(&gate, b"").expect("the compiler ends");
    let refused = answered(putting).expect_err("nobody trusts it").to_string();
    assert!(refused.contains("it was stolen") && refused.contains("\"acme\""), "{refused}");
}

fn release(fixture: &Fixture, version: &str, security_version: u32) -> Vec<u8> {
    let mut manifest = fixture::manifest(&[fixture::SERIAL, "evenkeel:points/points@0.1.1"]);
    manifest.version = version.into();
    manifest.security_version = security_version;
    manifest.world = "evenkeel:driver/device-driver@0.2.0".into();
    fixture.seal(&manifest, &fixture::driver_0_2(1, fixture::TELL))
}

#[test]
fn a_release_that_stood_the_test_is_not_gone_back_behind() {
    let fixture = Fixture::new();
    fixture.put_key();
    let machine = Machine { probation: Nanos::from_millis(300), ..machine() };
    let running = run_on(machine, fixture, Vec::new(), Kept::default());
    let old = running.upload(release(&running.fixture, "0.1.0", 1));
    let new = running.upload(release(&running.fixture, "0.2.0", 2));
    running.put(running.wanted(&new)).expect("installed");
    running.wait("running", |s| s.state == PluginState::Running);
    let has_floor = || {
        let kept = running.kept.load().expect("read").expect("kept");
        kept.lines().any(|line| line.starts_with("\"megatec@") && line.ends_with(" = 2"))
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    while !has_floor() {
        assert!(Instant::now() < deadline, "it never stands the test");
        thread::sleep(Duration::from_millis(5));
    }
    let refused = running.put(running.wanted(&old)).expect_err("older").to_string();
    let words = [
        "\"megatec\" 0.1.0".to_owned(),
        format!("\"acme\" (fingerprint {})", running.fixture.fingerprint()),
        "its security version is 1, and a release with 2 has proved itself".to_owned(),
    ];
    assert!(words.iter().all(|word| refused.contains(word)), "{refused}");
    assert_eq!(running.status().version, "0.2.0", "it runs on");
    // Removed, it is a stranger again.
    answered(running.supervisor.remove("megatec".into())).expect("removed");
    running.put(running.wanted(&old)).expect("nothing of it is kept");
}

#[test]
fn a_release_that_has_not_stood_the_test_can_be_gone_back_behind() {
    let running = empty();
    let old = running.upload(release(&running.fixture, "0.1.0", 1));
    let new = running.upload(release(&running.fixture, "0.2.0", 2));
    running.put(running.wanted(&new)).expect("installed");
    running.wait("running", |s| s.state == PluginState::Running && s.polls > 2);
    running.put(running.wanted(&old)).expect("ten minutes are not over");
}

#[test]
fn a_shipped_plugin_that_wants_more_waits_for_a_person_and_says_so() {
    let fixture = Fixture::new();
    let manifest = fixture::manifest(&DRIVER_IMPORTS);
    std::fs::write(fixture.file(), fixture.seal(&manifest, &fixture::idle())).expect("written");
    fixture.put_key();
    let grants = vec![fixture::grant("/dev/ttyS1")];
    let before = run_on(machine(), fixture, grants.clone(), Kept::default());
    let status = before.wait("running", |s| s.state == PluginState::Running);
    assert!(!status.awaits_consent && status.signer.contains("\"acme\""), "{status:?}");
    let Running { supervisor, kept, fixture, .. } = before;
    drop(supervisor);
    // New firmware brings one that asks for one interface more.
    let mut more = manifest;
    more.interfaces.push("evenkeel:random/random@0.1.0".into());
    more.interfaces.sort();
    std::fs::write(fixture.file(), fixture.seal(&more, &fixture::idle())).expect("written");
    let after = run_on(machine(), fixture, grants, kept);
    let status = after.wait("refused", |s| s.state == PluginState::Refused);
    assert!(status.awaits_consent && status.signer.contains("\"acme\""), "{status:?}");
    assert!(status.last_error.is_some_and(|e| e.contains("need your consent")));
}
