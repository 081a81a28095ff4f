//! One running copy of a plugin: a store with everything that it may touch,
//! and the calls into it.
//!
//! After a failure the store refuses every further call (facts/wasm-host.md
//! §7); the supervisor drops it, which closes the plugin's ports, and makes a
//! new one.

mod failure;
mod state;

pub use failure::Failure;
pub use state::State;

use crate::caps::log::Log;
use crate::caps::meter::{Meter, Way};
use crate::caps::{Services, Who, one_line};
use crate::plugin::bindings::{device, gate, login, service, sink};
use crate::plugin::budget::{POLL_CPU_MAX, START_CPU};
use crate::plugin::inbox::Inbox;
use crate::plugin::limits::{COMPONENT_HANDLES_MAX, HOSTCALL_BYTES_MAX};
use crate::plugin::load::Package;
use crate::plugin::stop::Stop;
use crate::plugin::tape::{Input, Tape, masked};
use crate::plugin::world::{Guest, Task};
use evenkeel_core::time::Nanos;
use failure::{INSTANTIATION, Reporter, lacking};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tracing::warn;
use wasmtime::Store;

/// Shortest and longest time between two wake-ups, whatever the plugin asks for.
pub const WAKE_INTERVAL_MS: core::ops::RangeInclusive<u32> = 100..=60_000;
/// Most bytes of state that one version hands to the next.
pub const STATE_BYTES_MAX: usize = 64 << 10;

/// What an instance is made from, besides the package.
pub struct Surroundings {
    /// Who it is, for messages and points.
    pub who: Who,
    /// Where it speaks, and the host about it.
    pub log: Log,
    /// What the host offers.
    pub services: Services,
    /// How it is told to stop.
    pub stop: Arc<Stop>,
    /// Where it is asked something.
    pub inbox: Arc<Inbox>,
    /// Shows its memory in bytes.
    pub memory: Arc<AtomicU64>,
    /// Where its bytes are counted and its attempts noted.
    pub meter: Arc<Meter>,
    /// Longest call, waits included; [`CALL_MAX`] but in tests.
    ///
    /// [`CALL_MAX`]: crate::plugin::budget::CALL_MAX
    pub call_max: Nanos,
}

/// A running plugin. Belongs to one thread: its CPU clock is the budget.
pub struct Instance {
    store: Store<State>,
    guest: Guest,
    call_cpu_max: Nanos,
    meter: Arc<Meter>,
    reporter: Reporter,
}

impl Instance {
    /// Make a copy of `package`; nothing of it has been called yet but what
    /// instantiation itself runs.
    ///
    /// # Errors
    /// [`Failure::Instantiate`], or what [`Instance::start`] may say.
    pub fn new(package: &Package, around: &Surroundings) -> Result<Self, Failure> {
        Self::with_tape(package, around, Tape::default())
    }

    /// [`Instance::new`], with a tape that may hold answers of the host.
    ///
    /// # Errors
    /// As of [`Instance::new`].
    pub fn with_tape(
        package: &Package,
        around: &Surroundings,
        tape: Tape,
    ) -> Result<Self, Failure> {
        let reporter = Reporter::new(package, around);
        let mut store = Store::new(package.pre.engine(), state::state(package, around, tape));
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(HOSTCALL_BYTES_MAX);
        store.set_max_component_handles(COMPONENT_HANDLES_MAX);
        store.epoch_deadline_callback(|mut store| Ok(store.data_mut().budget.tick()));
        begin(&mut store, START_CPU);
        let made = package.pre.instantiate(&mut store);
        let guest = made
            .and_then(|instance| package.exports.load(&mut store, &instance))
            .map_err(|error| reporter.failed(store.data(), INSTANTIATION, &error))?;
        let limits = package.manifest.limits;
        let call_cpu_max = Nanos::from_millis(limits.poll_cpu_ms.into()).min(POLL_CPU_MAX);
        let meter = Arc::clone(&around.meter);
        Ok(Self { store, guest, call_cpu_max, meter, reporter })
    }

    /// The plugin's `start`: with the administrator's settings as the plugin is
    /// [told](Package::told) them, and what the instance before it saved.
    ///
    /// # Errors
    /// [`Failure`]; the instance is of no further use then.
    pub fn start(
        &mut self,
        settings: &BTreeMap<String, String>,
        previous: Option<&[u8]>,
    ) -> Result<(), Failure> {
        self.tape().call(|| Input::Start {
            settings: settings.clone(),
            previous: previous.map(<[u8]>::to_vec),
        });
        let started =
            self.call("start", START_CPU, |guest, store| guest.start(store, settings, previous))?;
        started.map_err(|text| Failure::Declined { text: one_line(&text, 500) })
    }

    /// The plugin's `wake` (in 0.1 `poll`); returns the time until the next:
    /// what it asks for, within [`WAKE_INTERVAL_MS`].
    ///
    /// # Errors
    /// [`Failure`], as of every call from here on; the instance is of no
    /// further use then.
    pub fn wake(&mut self) -> Result<Duration, Failure> {
        self.tape().call(|| Input::Wake);
        let ms = self.task(self.guest.wake_name(), Guest::wake)?;
        let ms = ms.clamp(*WAKE_INTERVAL_MS.start(), *WAKE_INTERVAL_MS.end());
        Ok(Duration::from_millis(ms.into()))
    }

    /// The plugin's `save`; `None` when there is nothing to hand over, or more
    /// than [`STATE_BYTES_MAX`].
    ///
    /// # Errors
    /// [`Failure`].
    pub fn save(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        self.tape().call(|| Input::Save);
        let state = self.task("save", Guest::save)?;
        if state.len() > STATE_BYTES_MAX {
            let (plugin, len) = (self.reporter.who.name.as_str(), state.len());
            warn!(plugin, "its state of {len} bytes is not handed over: {STATE_BYTES_MAX} at most");
            return Ok(None);
        }
        Ok(Some(state).filter(|state| !state.is_empty()))
    }

    /// Have a driver carry out a command.
    ///
    /// # Errors
    /// [`Failure`]; the inner error is the plugin's own.
    pub fn command(
        &mut self,
        name: &str,
        value: Option<&str>,
    ) -> Result<Result<(), device::Error>, Failure> {
        let input = || Input::Command { name: name.to_owned(), value: value.map(str::to_owned) };
        self.tape().call(input);
        self.meter.received(Way::Host, name.len() + value.map_or(0, str::len));
        self.task("command", |guest, store| match &guest.task {
            Task::Device(device) => device.call_command(store, name, value),
            _ => Err(lacking("command")),
        })
    }

    /// Have a gateway look at what arrived on a connection.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn serve(
        &mut self,
        listener: &str,
        connection: u64,
        data: &[u8],
    ) -> Result<service::Served, Failure> {
        self.tape().call(|| Input::Serve {
            listener: listener.to_owned(),
            connection,
            data: data.to_vec(),
        });
        self.meter.received(Way::Net, data.len());
        let served = self.task("serve", |guest, store| match &guest.task {
            Task::Service(service) => service.call_serve(store, listener, connection, data),
            _ => Err(lacking("serve")),
        })?;
        self.meter.sent(Way::Net, served.reply.len());
        Ok(served)
    }

    /// Tell a gateway that a connection is over.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn closed(&mut self, connection: u64) -> Result<(), Failure> {
        self.tape().call(|| Input::Closed { connection });
        self.task("closed", |guest, store| match &guest.task {
            Task::Service(service) => service.call_closed(store, connection),
            _ => Err(lacking("closed")),
        })
    }

    /// Have a notifier deliver an event.
    ///
    /// # Errors
    /// [`Failure`]; the inner error is the plugin's own.
    pub fn notify(&mut self, event: &sink::Event) -> Result<Result<(), sink::Error>, Failure> {
        self.tape().call(|| Input::Notify(event.clone()));
        self.meter.received(Way::Host, event.text.len());
        self.task("notify", |guest, store| match &guest.task {
            Task::Sink(sink) => sink.call_notify(store, event),
            _ => Err(lacking("notify")),
        })
    }

    /// Have an authenticator ask whether somebody may sign in.
    ///
    /// # Errors
    /// [`Failure`]; the inner error says that nobody could be asked.
    pub fn authenticate(
        &mut self,
        attempt: &login::Attempt,
    ) -> Result<Result<login::Verdict, String>, Failure> {
        self.tape().call(|| Input::Authenticate(masked(attempt)));
        self.task("authenticate", |guest, store| match &guest.task {
            Task::Login(login) => login.call_authenticate(store, attempt),
            _ => Err(lacking("authenticate")),
        })
    }

    /// Have a licence gate judge the edition.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn judge(
        &mut self,
        device: &str,
        utc_s: Option<u64>,
        keys: &[gate::Key],
    ) -> Result<gate::Verdict, Failure> {
        self.tape().call(|| Input::Judge { device: device.to_owned(), utc_s, keys: keys.to_vec() });
        self.task("judge", |guest, store| match &guest.task {
            Task::Gate(gate) => gate.call_judge(store, device, utc_s, keys),
            _ => Err(lacking("judge")),
        })
    }

    /// Do again what was recorded.
    ///
    /// # Errors
    /// [`Failure`], hopefully the one that was reported.
    pub fn play(&mut self, input: Input) -> Result<(), Failure> {
        match input {
            Input::Start { settings, previous } => self.start(&settings, previous.as_deref()),
            Input::Wake => self.wake().map(drop),
            Input::Save => self.save().map(drop),
            Input::Command { name, value } => self.command(&name, value.as_deref()).map(drop),
            Input::Serve { listener, connection, data } => {
                self.serve(&listener, connection, &data).map(drop)
            }
            Input::Closed { connection } => self.closed(connection),
            Input::Notify(event) => self.notify(&event).map(drop),
            Input::Authenticate(attempt) => self.authenticate(&attempt).map(drop),
            Input::Judge { device, utc_s, keys } => self.judge(&device, utc_s, &keys).map(drop),
        }
    }

    /// The next call in the recording that is played.
    pub fn next_recorded(&mut self) -> Option<Input> {
        self.tape().next_call()
    }

    /// Where it took another course than the recording, if it did.
    #[must_use]
    pub fn diverged(&self) -> Option<String> {
        self.store.data().tape.diverged().map(str::to_owned)
    }

    /// Answers that a replay could not give as they were ([`Tape::withheld_count`]).
    #[must_use]
    pub fn withheld(&self) -> u64 {
        self.store.data().tape.withheld_count()
    }

    fn tape(&mut self) -> &mut Tape {
        &mut self.store.data_mut().tape
    }

    /// A call within the budget of a task.
    fn task<T>(
        &mut self,
        name: &'static str,
        call: impl FnOnce(&Guest, &mut Store<State>) -> wasmtime::Result<T>,
    ) -> Result<T, Failure> {
        self.call(name, self.call_cpu_max, call)
    }

    fn call<T>(
        &mut self,
        name: &'static str,
        cpu_max: Nanos,
        call: impl FnOnce(&Guest, &mut Store<State>) -> wasmtime::Result<T>,
    ) -> Result<T, Failure> {
        begin(&mut self.store, cpu_max);
        match call(&self.guest, &mut self.store) {
            Ok(value) => {
                self.tell_slow();
                Ok(value)
            }
            Err(error) => Err(self.reporter.failed(self.store.data(), name, &error)),
        }
    }

    /// CPU time that the last call used; on the thread that made it.
    #[must_use]
    pub fn cpu_used(&self) -> Nanos {
        self.store.data().budget.cpu_used()
    }

    /// Says so when the call that just returned came near its budget: the
    /// first time, and then ever less often.
    fn tell_slow(&self) {
        let budget = &self.store.data().budget;
        let count = budget.slow_calls();
        if budget.was_slow() && count.is_power_of_two() {
            let Who { name: plugin, points } = &self.reporter.who;
            warn!(plugin, points, "{count} calls used more than half of their processor time");
        }
    }
}

/// A call begins: its budget and its time for commands count from now, and the
/// clock looks at it from the next tick on.
fn begin(store: &mut Store<State>, cpu_max: Nanos) {
    let state = store.data_mut();
    state.budget.begin(cpu_max);
    state.commands.begin_call();
    store.set_epoch_deadline(1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::budget::{CALL_MAX, thread_cpu};
    use crate::plugin::fixture::DRIVER_IMPORTS;
    use crate::plugin::fixture::{self, Fixture, Guest, IDLE};
    use evenkeel_core::points::Quality;
    use std::sync::atomic::Ordering;

    struct Running {
        instance: Instance,
        around: Surroundings,
    }

    fn make(guest: &Guest) -> Result<Running, Failure> {
        make_within(guest, CALL_MAX)
    }

    fn make_within(guest: &Guest, call_max: Nanos) -> Result<Running, Failure> {
        let fixture = Fixture::new();
        let raw = fixture.seal(&fixture::manifest(&DRIVER_IMPORTS), &fixture::driver(guest));
        let package =
            fixture.load(&raw).unwrap_or_else(|e| panic!("{}", crate::plugin::reason(&e)));
        let around = Surroundings {
            log: Log::new(Who { name: "megatec".into(), points: "ups.0".into() }),
            who: Who { name: "megatec".into(), points: "ups.0".into() },
            services: Services::default(),
            stop: Arc::new(Stop::new().expect("a descriptor")),
            inbox: Arc::default(),
            memory: Arc::default(),
            meter: Arc::default(),
            call_max,
        };
        Ok(Running { instance: Instance::new(&package, &around)?, around })
    }

    fn running(guest: &Guest) -> Running {
        let mut running = make(guest).unwrap_or_else(|e| panic!("{e}"));
        running.instance.start(&BTreeMap::new(), None).unwrap_or_else(|e| panic!("{e}"));
        running
    }

    #[test]
    fn a_quiet_plugin_polls_at_the_clamped_interval() {
        for (asked, given) in [(0, 100), (99, 100), (2_000, 2_000), (-1, 60_000)] {
            let poll = format!("(i32.const {asked})");
            let mut running = running(&Guest { poll: &poll, ..IDLE });
            let next = running.instance.wake().expect("polls");
            assert_eq!(next, Duration::from_millis(given));
        }
    }

    #[test]
    fn settings_may_be_declined_in_the_plugin_s_own_words() {
        let mut running =
            make(&Guest { start: fixture::DECLINE, ..IDLE }).unwrap_or_else(|e| panic!("{e}"));
        let error = running.instance.start(&BTreeMap::new(), None).expect_err("declined");
        assert_eq!(error.to_string(), "it does not accept its settings, correct them: no protocol");
    }

    #[test]
    fn an_endless_loop_is_cut_at_its_processor_time() {
        let mut running = running(&Guest { poll: "(loop $l (br $l)) (i32.const 0)", ..IDLE });
        let before = thread_cpu();
        let error = running.instance.wake().expect_err("cut");
        let used = thread_cpu().since(before);
        assert_eq!(error.to_string(), "poll used more than its 50 ms of processor time");
        assert!(used >= Nanos::from_millis(50) && used < Nanos::from_millis(400), "{used:?}");
        assert!(running.instance.wake().is_err(), "the store is poisoned");
    }

    #[test]
    fn a_loop_of_sleeps_is_woken_and_cut_when_killed() {
        let poll = "(loop $l (call $sleep (i32.const 10000)) (br $l)) (i32.const 0)";
        let mut running = running(&Guest { poll, ..IDLE });
        let stop = Arc::clone(&running.around.stop);
        let killer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            stop.kill();
        });
        let begun = std::time::Instant::now();
        let error = running.instance.wake().expect_err("killed");
        assert_eq!(error.to_string(), "poll did not stop when told to");
        assert!(begun.elapsed() < Duration::from_secs(2));
        killer.join().expect("no panic");
    }

    #[test]
    fn sleeping_for_ever_is_ended_by_the_clock_on_the_wall() {
        let poll = "(loop $l (call $sleep (i32.const 20)) (br $l)) (i32.const 0)";
        let made = make_within(&Guest { poll, ..IDLE }, Nanos::from_millis(200));
        let mut running = made.unwrap_or_else(|e| panic!("{e}"));
        let (begun, before) = (std::time::Instant::now(), thread_cpu());
        let error = running.instance.wake().expect_err("ended");
        assert_eq!(error.to_string(), "poll did not return within 200 ms");
        assert!(begun.elapsed() >= Duration::from_millis(200));
        assert!(begun.elapsed() < Duration::from_secs(5));
        assert!(thread_cpu().since(before) < Nanos::from_millis(50), "not for computing");
    }

    #[test]
    fn memory_beyond_the_limit_is_refused_and_not_taken() {
        // Grows page by page until refused, asking for the impossible between;
        // returns the pages that it has.
        let poll = "(loop $l (drop (memory.grow (i32.const 65536)))
                (br_if $l (i32.ge_s (memory.grow (i32.const 1)) (i32.const 0))))
            (i32.mul (memory.size) (i32.const 1000))";
        let mut running = running(&Guest { poll, ..IDLE });
        let pages = running.instance.wake().expect("polls").as_millis() / 1_000;
        assert_eq!(pages, 16, "the manifest says 1 MiB");
        let bytes = running.around.memory.load(Ordering::Relaxed);
        assert_eq!(bytes, 1 << 20);
    }

    #[test]
    fn a_trap_tells_where_and_why() {
        let poll = "(call $deep) (i32.const 0)";
        let extra = "(func $deep (call $deeper)) (func $deeper unreachable)";
        let mut running = running(&Guest { poll, extra, ..IDLE });
        let text = running.instance.wake().expect_err("traps").to_string();
        assert!(text.starts_with("poll trapped: wasm `unreachable`"), "{text}");
        assert!(text.contains("in deeper ← deep ← "), "{text}");
    }

    #[test]
    fn deep_recursion_is_a_trap_and_nothing_else() {
        let mut running = running(&Guest {
            poll: "(call $r) (i32.const 0)",
            extra: "(func $r (call $r))",
            ..IDLE
        });
        let text = running.instance.wake().expect_err("traps").to_string();
        assert!(text.contains("call stack exhausted"), "{text}");
    }

    #[test]
    fn too_much_data_in_one_call_is_refused_before_it_is_copied() {
        // A message of 512 KiB, from a memory that large.
        let poll = "(call $log (i32.const 0) (i32.const 0) (i32.const 524288)) (i32.const 0)";
        let mut running = running(&Guest { poll, memory_pages: 9, ..IDLE });
        let text = running.instance.wake().expect_err("traps").to_string();
        assert!(text.starts_with("poll trapped: more than 262144 bytes were to go"), "{text}");
    }

    #[test]
    fn a_state_beyond_the_limit_is_not_handed_over() {
        const POINTS: &str = "evenkeel:points/points@0.1.1";
        for (len, handed) in [(STATE_BYTES_MAX, true), (STATE_BYTES_MAX + 1, false)] {
            // The list that `save` leaves is so long.
            let wake = format!(
                "(drop (memory.grow (i32.const 2)))
                (i32.store (i32.const 652) (i32.const {len})) (i32.const 1000)"
            );
            let mut manifest = fixture::manifest(&[POINTS]);
            manifest.world = "evenkeel:driver/device-driver@0.2.0".into();
            let fixture = Fixture::new();
            let raw = fixture.seal(&manifest, &fixture::driver_0_2(1, &wake));
            let started = fixture.start(&raw, Services::default(), Default::default());
            let mut instance = started.unwrap_or_else(|e| panic!("{e}"));
            instance.wake().expect("wakes");
            let saved = instance.save().expect("saves").map(|state| state.len());
            assert_eq!(saved, handed.then_some(len));
        }
    }

    #[test]
    fn published_points_arrive_under_the_grant() {
        let mut running = running(&Guest { poll: fixture::PUBLISH, ..IDLE });
        running.instance.wake().expect("polls");
        let point = running.around.services.hub.device("ups.0.battery.charge").expect("published");
        assert_eq!((point.quality, point.value.to_string().as_str()), (Quality::Good, "80"));
    }
}
