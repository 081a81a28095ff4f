//! Starts, watches, restarts and stops the plugins.
//!
//! One thread loads the plugins one after the other, at low priority; each
//! then gets a thread of its own, which is the only one that touches its
//! store and which waits in one place only, its [inbox](super::inbox). A plugin that fails makes its points stale, waits as
//! [`super::backoff`] decides, and gets a new store; the compiled code stays.

use crate::caps::{Services, Who};
use crate::clock;
use crate::config::{Config, PluginGrant};
use crate::plugin::backoff::{self, Backoff};
use crate::plugin::board::Board;
use crate::plugin::budget::{self, CALL_MAX};
use crate::plugin::engine::{self, EngineError};
use crate::plugin::inbox::{Inbox, Next};
use crate::plugin::instance::{Failure, Instance, Surroundings};
use crate::plugin::load::{self, Package, Refusal};
use crate::plugin::reason;
use crate::plugin::stop::Stop;
use crate::plugin_status::{PluginList, PluginState, PluginStatus};
use evenkeel_core::events::Event;
use evenkeel_core::time::Nanos;
use evenkeel_signing::Keyring;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use tracing::{error, info, warn};
use wasmtime::Engine;

/// Where events go. Called from plugin threads: must not block for long.
pub type EventSink = Arc<dyn Fn(Event) + Send + Sync>;

/// Time that a plugin gets to return from the running call when it is stopped.
pub const GRACE: Duration = Duration::from_secs(2);
/// Afterwards, time for the interrupt to end it.
pub const KILL_GRACE: Duration = Duration::from_secs(1);
/// Stack of a plugin's thread: the guest's part and room for the host's.
const THREAD_STACK_BYTES: usize = 512 << 10;
/// Plugins come after the rest of the daemon, and far after the guard. The same
/// for loading and running: a thread inherits it, and nobody but root may go
/// back to less.
const NICE: i32 = 10;

/// The plugins of this daemon.
#[derive(Debug)]
pub struct Supervisor {
    slots: Vec<Arc<Slot>>,
    /// Disconnected when the last thread has ended: each holds a sender.
    ended: Mutex<Receiver<()>>,
}

/// Why there are no plugins at all.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No engine.
    #[error("plugins cannot be run")]
    Engine {
        /// Why.
        #[source]
        source: EngineError,
    },
    /// No thread or descriptor.
    #[error("plugins cannot be run: the system has no thread or descriptor left")]
    System {
        /// What it says.
        #[source]
        source: io::Error,
    },
}

/// One configured plugin, from start to end of the daemon.
#[derive(Debug)]
struct Slot {
    grant: PluginGrant,
    stop: Arc<Stop>,
    inbox: Arc<Inbox>,
    board: Board,
}

/// What the threads share.
#[derive(Clone)]
struct Shared {
    services: Services,
    events: EventSink,
    call_max: Nanos,
    /// Dropped with its thread.
    _ended: Sender<()>,
}

impl Supervisor {
    /// Start every plugin that `config` enables; returns at once, they come up
    /// one after the other.
    ///
    /// # Errors
    /// [`StartError`] when no plugin could ever run. A plugin that is refused
    /// is an event and a status, not an error.
    pub fn start(
        config: &Config,
        services: Services,
        events: EventSink,
    ) -> Result<Self, StartError> {
        Self::start_within(config, services, events, CALL_MAX)
    }

    /// [`Supervisor::start`] with another limit for the longest call.
    fn start_within(
        config: &Config,
        services: Services,
        events: EventSink,
        call_max: Nanos,
    ) -> Result<Self, StartError> {
        let system = |source| StartError::System { source };
        let engine = engine::start().map_err(|source| StartError::Engine { source })?;
        let slots: Vec<_> = config
            .plugins
            .iter()
            .map(|grant| Slot::new(grant).map(Arc::new))
            .collect::<Result<_, _>>()
            .map_err(system)?;
        let (sender, ended) = mpsc::channel();
        let shared = Shared { services, events, call_max, _ended: sender };
        let loader = Loader {
            engine,
            plugin_dir: config.plugin_dir.clone(),
            trust_dir: config.trust_dir.clone(),
            slots: slots.clone(),
            shared,
        };
        thread::Builder::new()
            .name("plugin-loader".into())
            .spawn(move || loader.run())
            .map_err(system)?;
        Ok(Self { slots, ended: Mutex::new(ended) })
    }

    /// Stop all plugins: ask, wait [`GRACE`], then interrupt. Returns when all
    /// have ended, after [`GRACE`] and [`KILL_GRACE`] at the latest.
    pub fn stop(&self) {
        self.slots.iter().for_each(|slot| slot.request_stop());
        if self.wait_ended(GRACE) {
            return;
        }
        self.slots.iter().for_each(|slot| slot.stop.kill());
        if !self.wait_ended(KILL_GRACE) {
            error!("a plugin's thread does not end; the process takes it along");
        }
    }

    fn wait_ended(&self, time: Duration) -> bool {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.recv_timeout(time) == Err(RecvTimeoutError::Disconnected)
    }
}

impl PluginList for Supervisor {
    fn plugins(&self) -> Vec<PluginStatus> {
        self.slots.iter().map(|slot| slot.board.status()).collect()
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Slot {
    fn new(grant: &PluginGrant) -> io::Result<Self> {
        let state = if grant.enabled { PluginState::Starting } else { PluginState::Disabled };
        Ok(Self {
            grant: grant.clone(),
            stop: Arc::new(Stop::new()?),
            inbox: Arc::default(),
            board: Board::new(&grant.name, state),
        })
    }
}

impl Slot {
    /// Ask it to stop: whatever it waits for is over.
    fn request_stop(&self) {
        self.stop.request();
        self.inbox.stop();
    }
}

/// The loader's thread: one plugin after the other, in the order of the
/// configuration.
struct Loader {
    engine: Engine,
    plugin_dir: PathBuf,
    trust_dir: PathBuf,
    slots: Vec<Arc<Slot>>,
    shared: Shared,
}

impl Loader {
    fn run(self) {
        be_nice();
        let (keyring, errors) = load::keyring(&self.trust_dir);
        for trust_error in errors {
            error!("{}", reason(&trust_error));
        }
        for slot in self.slots.iter().filter(|slot| slot.grant.enabled) {
            if slot.stop.is_requested() {
                slot.board.enter(PluginState::Stopped);
                continue;
            }
            match self.load(&keyring, slot) {
                Ok(package) => {
                    slot.board.verified(&package.manifest);
                    spawn(slot, package, &self.shared);
                }
                Err(refusal) => refused(slot, &refusal.file, &reason(&refusal), &self.shared),
            }
        }
    }

    fn load(&self, keyring: &Keyring, slot: &Slot) -> Result<Package, Refusal> {
        let file = load::find(&self.plugin_dir, &slot.grant.name)?;
        let package = load::load(&self.engine, keyring, &file, &slot.grant)?;
        info!(
            plugin = slot.grant.name,
            signer = package.signer,
            "{} verified in {} ms, compiled in {} ms, linked in {} ms",
            file.display(),
            package.cost.verify.as_millis(),
            package.cost.compile.as_millis(),
            package.cost.link.as_millis(),
        );
        Ok(package)
    }
}

fn spawn(slot: &Arc<Slot>, package: Package, shared: &Shared) {
    let (runner, shared) = (Arc::clone(slot), shared.clone());
    let spawned = thread::Builder::new()
        .name(format!("plugin-{}", slot.grant.name))
        .stack_size(THREAD_STACK_BYTES)
        .spawn(move || run(&runner, &package, &shared));
    if let Err(source) = spawned {
        let text = format!("its thread cannot be started; restart the daemon: {source}");
        error!(plugin = slot.grant.name, "{text}");
        slot.board.error(&text);
        slot.board.enter(PluginState::Quarantined);
    }
}

/// It is not run, and trying again would not help.
fn refused(slot: &Slot, file: &Path, reason: &str, shared: &Shared) {
    error!(plugin = slot.grant.name, points = slot.grant.points, "{reason}");
    slot.board.error(reason);
    slot.board.enter(PluginState::Refused);
    let (file, reason) = (file.display().to_string(), reason.to_owned());
    (shared.events)(Event::PluginRefused { file, reason });
}

/// A plugin's thread.
fn run(slot: &Slot, package: &Package, shared: &Shared) {
    let mut backoff = Backoff::default();
    // As long as the plugin is on, over its restarts.
    let listen = &package.granted.grants.listen;
    let _listening = shared.services.servers.listen(&slot.grant.name, listen, &slot.inbox);
    loop {
        let begun = clock::now();
        let result = session(slot, package, shared);
        // Whatever ended it: nobody brings new values now.
        slot.inbox.close();
        shared.services.hub.mark_stale(&slot.grant.points);
        let failure = match result {
            // The settings do not change by waiting.
            Err(declined @ Failure::Declined { .. }) => {
                return refused(slot, &package.file, &reason(&declined), shared);
            }
            Err(failure) if !slot.stop.is_requested() => failure,
            ended => return stopped(slot, ended, shared),
        };
        let text = reason(&failure);
        let name = slot.grant.name.clone();
        warn!(plugin = name, points = slot.grant.points, "failed: {text}");
        slot.board.trapped(&text);
        (shared.events)(Event::PluginTrapped { name: name.clone(), reason: text.clone() });
        let now = clock::now();
        let random = getrandom::u32().unwrap_or(u32::MAX / 2);
        match backoff.failed(now, now.since(begun), random) {
            backoff::Next::Pause(pause) => {
                slot.board.enter(PluginState::Backoff);
                if slot.stop.wait(Duration::from_nanos(pause.0)) {
                    return stopped(slot, Ok(()), shared);
                }
                slot.board.enter(PluginState::Starting);
            }
            backoff::Next::Quarantine => {
                error!(
                    plugin = name,
                    "failed too often and stays off; restart the daemon to try again"
                );
                slot.board.enter(PluginState::Quarantined);
                return (shared.events)(Event::PluginQuarantined { name, reason: text });
            }
        }
    }
}

/// From a new instance to the moment that it is told to stop.
fn session(slot: &Slot, package: &Package, shared: &Shared) -> Result<(), Failure> {
    let name = slot.grant.name.clone();
    let begun = clock::now();
    let mut instance = Instance::new(
        package,
        &Surroundings {
            who: Who { name: name.clone(), points: slot.grant.points.clone() },
            services: shared.services.clone(),
            stop: Arc::clone(&slot.stop),
            inbox: Arc::clone(&slot.inbox),
            memory: slot.board.memory(),
            call_max: shared.call_max,
        },
    )?;
    instance.start(&slot.grant.settings, None)?;
    let us = clock::now().since(begun).0 / 1_000;
    info!(plugin = name, points = slot.grant.points, "started in {us} µs");
    slot.board.started();
    slot.board.used(instance.cpu_used());
    slot.board.enter(PluginState::Running);
    let version = package.manifest.version.clone();
    (shared.events)(Event::PluginStarted { name, version });
    slot.inbox.open();
    serve(slot, &mut instance)
}

/// Wakes the plugin when it is time, and hands it what others want from it in
/// between. After each call it rests in proportion to what it computed.
fn serve(slot: &Slot, instance: &mut Instance) -> Result<(), Failure> {
    let mut wake_at = Instant::now();
    let mut errand_at = wake_at;
    loop {
        let next = slot.inbox.next(wake_at, errand_at);
        let begun = clock::now();
        let done = match next {
            Next::Stop => return Ok(()),
            Next::Wake => instance.wake().map(Some),
            Next::Errand(errand) => errand(instance).map(|()| None),
        };
        let cpu = instance.cpu_used();
        slot.board.used(cpu);
        let wake_in = done?;
        let now = Instant::now();
        errand_at = now + budget::rest(cpu);
        match wake_in {
            Some(pause) => {
                slot.board.polled(clock::now().since(begun));
                wake_at = errand_at.max(now + pause);
            }
            None => wake_at = wake_at.max(errand_at),
        }
    }
}

fn stopped(slot: &Slot, ended: Result<(), Failure>, shared: &Shared) {
    let name = slot.grant.name.clone();
    match ended {
        Ok(()) => info!(plugin = name, points = slot.grant.points, "stopped"),
        Err(failure) => warn!(plugin = name, points = slot.grant.points, "stopped: {failure}"),
    }
    slot.board.enter(PluginState::Stopped);
    (shared.events)(Event::PluginStopped { name });
}

/// On Linux a "process" here is a thread, and none means this one.
fn be_nice() {
    if let Err(errno) = rustix::process::setpriority_process(None, NICE) {
        warn!("the priority of a plugin thread cannot be lowered: {errno}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::Hub;
    use crate::plugin::fixture::DRIVER_IMPORTS;
    use crate::plugin::fixture::{self, Fixture, Guest, IDLE, PUBLISH};
    use evenkeel_core::points::Quality;
    use evenkeel_signing::PluginManifest;

    struct Running {
        supervisor: Supervisor,
        hub: Arc<Hub>,
        events: Arc<Mutex<Vec<Event>>>,
        _fixture: Fixture,
    }

    fn run(guest: &Guest<'_>) -> Running {
        let fixture = Fixture::new();
        let raw = fixture.seal(&fixture::manifest(&DRIVER_IMPORTS), &fixture::driver(guest));
        std::fs::write(fixture.file(), raw).expect("written");
        fixture.trust();
        run_config(fixture, vec![fixture::grant("/dev/ttyS1")])
    }

    fn run_config(fixture: Fixture, plugins: Vec<PluginGrant>) -> Running {
        run_within(fixture, plugins, CALL_MAX)
    }

    fn run_within(fixture: Fixture, plugins: Vec<PluginGrant>, call_max: Nanos) -> Running {
        let dir = fixture.dir.path();
        let config = Config {
            data_dir: dir.into(),
            listen: ([127, 0, 0, 1], 0).into(),
            guard_socket: dir.into(),
            plugin_dir: dir.into(),
            trust_dir: dir.into(),
            history_period: Duration::from_secs(1),
            plugins,
        };
        let (services, events) = (Services::default(), Arc::new(Mutex::new(Vec::new())));
        let hub = Arc::clone(&services.hub);
        let kept = Arc::clone(&events);
        let sink: EventSink = Arc::new(move |event| kept.lock().expect("no panic").push(event));
        let supervisor = Supervisor::start_within(&config, services, sink, call_max);
        let supervisor = supervisor.expect("starts");
        Running { supervisor, hub, events, _fixture: fixture }
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
    fn a_plugin_that_computes_gets_a_fifth_of_a_core() {
        // Some 20 ms a poll, and it wants to run again at once.
        let poll = "(local $n i32) (loop $l
                (br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1)))
                    (i32.const 12000000))))
            (i32.const 0)";
        let running = run(&Guest { poll, ..IDLE });
        running.wait("polled", |s| s.polls >= 1);
        let (begun, before) = (Instant::now(), running.status().cpu_ms);
        running.wait("polled often", |s| s.polls >= 9);
        let used = u128::from(running.status().cpu_ms - before);
        assert!(used * 4 < begun.elapsed().as_millis(), "{used} ms of {:?}", begun.elapsed());
    }

    #[test]
    fn an_errand_is_done_between_polls_and_not_by_a_plugin_that_is_gone() {
        let running = run(&Guest { poll: "(i32.const 60000)", ..IDLE });
        running.wait("polled", |s| s.polls == 1);
        let inbox = Arc::clone(&running.supervisor.slots[0].inbox);
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
        assert!(
            matches!(&running.events()[1], Event::PluginTrapped { name, .. } if name == "megatec")
        );
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
        fixture.trust();
        let running = run_config(fixture, vec![fixture::grant("/dev/ttyS1")]);
        let status = running.wait("refused", |s| s.state == PluginState::Refused);
        assert!(status.last_error.is_some_and(|e| e.contains("not an Evenkeel bundle")));
        assert!(matches!(&running.events()[..], [Event::PluginRefused { .. }]));
    }

    #[test]
    fn declined_settings_are_final_at_once_and_no_trap() {
        let running = run(&Guest { start: fixture::DECLINE, ..IDLE });
        let status = running.wait("refused", |s| s.state == PluginState::Refused);
        assert_eq!((status.traps, status.polls), (0, 0));
        let words = "it does not accept its settings, correct them and restart the daemon";
        assert!(status.last_error.is_some_and(|e| e.starts_with(words)));
        thread::sleep(Duration::from_millis(1_500));
        assert_eq!(running.status().state, PluginState::Refused, "no second try");
        match &running.events()[..] {
            [Event::PluginRefused { file, reason }] => {
                assert!(file.ends_with("megatec.evkp") && reason.ends_with("no protocol"));
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
        let cases = [
            ("neighbour", PUBLISH, "", ""),
            ("computes", "(loop $l (br $l)) (i32.const 0)", "", "50 ms of processor time"),
            ("grows", grows, "", "its limit is 1048576 bytes"),
            ("recurses", "(call $r) (i32.const 0)", "(func $r (call $r))", "stack exhausted"),
            ("aborts", "unreachable", "", "`unreachable`"),
            (
                "sleeps",
                "(loop $l (call $sleep (i32.const 20)) (br $l)) (i32.const 0)",
                "",
                "did not return within 400 ms",
            ),
        ];
        let fixture = Fixture::new();
        fixture.trust();
        for (name, poll, extra, _) in cases {
            let manifest =
                PluginManifest { name: name.into(), ..fixture::manifest(&DRIVER_IMPORTS) };
            let raw = fixture.seal(&manifest, &fixture::driver(&Guest { poll, extra, ..IDLE }));
            std::fs::write(fixture.dir.path().join(format!("{name}.evkp")), raw).expect("written");
        }
        let grant = |(i, (name, ..)): (usize, &(&str, &str, &str, &str))| PluginGrant {
            name: (*name).into(),
            points: format!("ups.{i}"),
            ..fixture::grant("/dev/ttyS1")
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
        assert_eq!(
            running.hub.device("ups.0.battery.charge").map(|p| p.quality),
            Some(Quality::Good)
        );
    }

    #[test]
    fn a_disabled_plugin_is_not_even_read() {
        let off = PluginGrant { enabled: false, ..fixture::grant("/dev/ttyS1") };
        let running = run_config(Fixture::new(), vec![off]);
        running.supervisor.stop();
        assert_eq!(running.status().state, PluginState::Disabled);
        assert!(running.events().is_empty());
    }
}
