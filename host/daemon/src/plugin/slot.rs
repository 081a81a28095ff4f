//! One plugin that is switched on: its thread, from the first start to the
//! last, and what others see of it meanwhile.
//!
//! The thread is the only one that touches the plugin's store. A plugin that
//! fails makes its points stale, waits as [`super::backoff`] decides, and gets
//! a new store; the compiled code stays.

use crate::caps::log::Log;
use crate::caps::{Services, Who};
use crate::clock;
use crate::config::PluginGrant;
use crate::plugin::backoff::{self, Backoff};
use crate::plugin::board::Board;
use crate::plugin::budget;
use crate::plugin::grant::Granted;
use crate::plugin::inbox::{Inbox, Next};
use crate::plugin::instance::{Failure, Instance, Surroundings};
use crate::plugin::load::{Identity, Package, Reason, Refusal, Signed, SignerName};
use crate::plugin::pace::Pace;
use crate::plugin::reason;
use crate::plugin::stop::Stop;
use crate::plugin::supervisor::EventSink;
use crate::plugin::surplus::Surplus;
use crate::plugin::world::World;
use crate::plugin_status::PluginState;
use evenkeel_core::events::Event;
use evenkeel_core::time::Nanos;
use evenkeel_signing::PluginManifest;
use std::io;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use tracing::{error, info, warn};

/// Stack of a plugin's thread: the guest's part and room for the host's.
const THREAD_STACK_BYTES: usize = 512 << 10;

/// Shortest time between two wake-ups of which the plugin did not ask for the
/// second.
const NUDGE_PAUSE: Duration = Duration::from_secs(1);

/// One plugin, from the decision to run it to the decision to do so no more.
#[derive(Debug)]
pub struct Slot {
    /// What it is, and what it may do.
    pub plugin: PluginGrant,
    /// Who it is, for messages and points.
    pub who: Who,
    /// Where it is asked something.
    pub inbox: Arc<Inbox>,
    /// How it is doing.
    pub board: Board,
    /// What it said last.
    pub log: Log,
    stop: Arc<Stop>,
    facts: OnceLock<Facts>,
}

/// What is known of a plugin that was loaded.
#[derive(Debug)]
pub struct Facts {
    /// What it says about itself; signed.
    pub manifest: PluginManifest,
    /// The key that signed it.
    pub signer: SignerName,
    /// What it is for.
    pub world: World,
    /// What it may do.
    pub granted: Granted,
}

/// What the threads of all plugins share.
#[derive(Clone)]
pub struct Shared {
    /// What the host offers.
    pub services: Services,
    /// Where events go.
    pub events: EventSink,
    /// Longest call, waits included.
    pub call_max: Nanos,
    /// How often copies are started.
    pub pace: Arc<Mutex<Pace>>,
    /// How long they rest between calls.
    pub surplus: Arc<Mutex<Surplus>>,
    /// Told the id of a plugin that stays off.
    pub gave_up: Arc<dyn Fn(&str) + Send + Sync>,
    /// Dropped with the last thread.
    pub ended: Sender<()>,
}

/// The state that a plugin hands to the next copy of it; nothing comes when it
/// failed.
pub type Handover = Receiver<Vec<u8>>;

impl Slot {
    /// A slot for `plugin`, of which nothing runs yet.
    ///
    /// # Errors
    /// When the system has no descriptor left.
    pub fn new(plugin: &PluginGrant) -> io::Result<Self> {
        let state = if plugin.enabled { PluginState::Starting } else { PluginState::Disabled };
        let who = Who { name: plugin.id().to_owned(), points: plugin.points.clone() };
        let board = Board::new(&who.name, state);
        Ok(Self {
            log: Log::new(who.clone()).metered(board.meter()),
            board,
            plugin: plugin.clone(),
            who,
            stop: Arc::new(Stop::new()?),
            inbox: Arc::default(),
            facts: OnceLock::new(),
        })
    }

    /// What is known of it; `None` before it was loaded.
    #[must_use]
    pub fn facts(&self) -> Option<&Facts> {
        self.facts.get()
    }

    /// Ask it to stop: whatever it waits for is over.
    pub fn request_stop(&self) {
        self.stop.request();
        self.inbox.stop();
    }

    /// End the call that runs, too.
    pub fn kill(&self) {
        self.stop.kill();
        self.inbox.stop();
    }

    /// Start it in a thread of its own.
    pub fn spawn(
        self: &Arc<Self>,
        package: Package,
        previous: Option<Vec<u8>>,
        shared: &Shared,
    ) -> Handover {
        self.board.verified(&package.manifest, package.world);
        self.board.signed(&package.signer);
        // A slot is spawned once.
        let _ = self.facts.set(Facts {
            manifest: package.manifest.clone(),
            signer: package.signer.clone(),
            world: package.world,
            granted: package.granted.clone(),
        });
        let (handover, receiver) = mpsc::sync_channel(1);
        let (slot, own) = (Arc::clone(self), shared.clone());
        let spawned = thread::Builder::new()
            .name(format!("plugin-{}", self.plugin.name))
            .stack_size(THREAD_STACK_BYTES)
            .spawn(move || {
                let state = run(&slot, &package, previous, &own);
                // Its code goes before anybody hears that it has ended.
                drop(package);
                if let Some(state) = state {
                    // Nobody may want it any more.
                    let _ = handover.send(state);
                }
            });
        if let Err(source) = spawned {
            self.has_no_thread(&source, &shared.events);
        }
        receiver
    }

    /// The system gave it no thread: nothing that it could do better.
    fn has_no_thread(&self, source: &io::Error, events: &EventSink) {
        let reason = format!("its thread cannot be started; restart the daemon: {source}");
        error!(plugin = self.who.name, "{reason}");
        self.board.error(&reason);
        self.board.enter(PluginState::Quarantined);
        events(Event::PluginQuarantined { name: self.who.name.clone(), reason });
    }

    /// It is not run, and trying again would not help.
    pub fn refuse(&self, refusal: &Refusal, events: &EventSink) {
        refusal.now.iter().for_each(|now| self.board.signed(&now.signer));
        if matches!(*refusal.reason, Reason::Unaccepted(_)) {
            self.board.await_consent();
        }
        let (file, reason) = (refusal.file.display().to_string(), reason(refusal));
        error!(plugin = self.who.name, points = self.who.points, "{reason}");
        self.board.error(&reason);
        self.board.enter(PluginState::Refused);
        events(Event::PluginRefused { file, reason });
    }

    /// That the copy in `package` said no to its settings.
    fn declined(&self, package: &Package, declined: Failure) -> Refusal {
        let (version, signer) = (package.manifest.version.clone(), package.signer.clone());
        Refusal {
            plugin: Some(Box::new(Identity { id: self.who.name.clone(), verified: None })),
            file: package.file.clone(),
            now: Some(Box::new(Signed { version, signer })),
            reason: Box::new(Reason::Declined(declined)),
        }
    }
}

/// A plugin's thread; returns what it hands over when it ends in good order.
fn run(
    slot: &Arc<Slot>,
    package: &Package,
    mut previous: Option<Vec<u8>>,
    shared: &Shared,
) -> Option<Vec<u8>> {
    let mut backoff = Backoff::default();
    lock(&shared.pace).first(clock::now());
    // As long as the plugin is on, over its restarts.
    let listen = &package.granted.grants.listen;
    let notice = {
        let slot = Arc::clone(slot);
        Arc::new(move |name: &str, trouble: Option<&str>| slot.board.trouble(name, trouble))
    };
    let _listening = shared.services.servers.listen(&slot.who.name, listen, &slot.inbox, notice);
    loop {
        let begun = clock::now();
        let mut rested = budget::thread_cpu();
        // What a failed copy was given is not given again: it may be why.
        let result = session(slot, package, previous.take().as_deref(), shared, &mut rested);
        slot.board.idle();
        // Whatever ended it: nobody brings new values now.
        slot.inbox.close();
        if !slot.who.points.is_empty() {
            shared.services.hub.mark_stale(&slot.who.points);
        }
        let failure = match result {
            // The settings do not change by waiting.
            Err(declined @ Failure::Declined { .. }) => {
                slot.refuse(&slot.declined(package, declined), &shared.events);
                (shared.gave_up)(&slot.who.name);
                return None;
            }
            Err(failure) if !slot.stop.is_requested() => failure,
            ended => return stopped(slot, ended, shared),
        };
        let rest = rest(shared, &mut rested);
        let pause = failed(slot, &failure, &mut backoff, begun, shared)?.max(rest);
        if slot.stop.wait(pause) || slot.stop.wait(turn(shared)) {
            return stopped(slot, Ok(None), shared);
        }
        slot.board.enter(PluginState::Starting);
    }
}

/// How long to wait until it may be started again.
fn turn(shared: &Shared) -> Duration {
    Duration::from_nanos(lock(&shared.pace).again(clock::now()).0)
}

/// How long it rests for what its thread has used since `rested`, which is now.
fn rest(shared: &Shared, rested: &mut Nanos) -> Duration {
    let cpu = budget::thread_cpu();
    let used = cpu.since(core::mem::replace(rested, cpu));
    lock(&shared.surplus).rest(used, clock::now())
}

/// Tells of a failure, and how long to wait; `None` when it stays off.
fn failed(
    slot: &Slot,
    failure: &Failure,
    backoff: &mut Backoff,
    begun: Nanos,
    shared: &Shared,
) -> Option<Duration> {
    let text = reason(failure);
    let name = slot.who.name.clone();
    tell_denied(slot, shared);
    warn!(plugin = name, points = slot.who.points, "failed: {text}");
    slot.board.trapped(&text);
    (shared.events)(Event::PluginTrapped { name: name.clone(), reason: text.clone() });
    let now = clock::now();
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    match backoff.failed(now, now.since(begun), random) {
        backoff::Next::Pause(pause) => {
            slot.board.enter(PluginState::Backoff);
            Some(Duration::from_nanos(pause.0))
        }
        backoff::Next::Quarantine => {
            error!(plugin = name, "failed too often and stays off until a person starts it again");
            slot.board.enter(PluginState::Quarantined);
            (shared.events)(Event::PluginQuarantined { name, reason: text });
            (shared.gave_up)(&slot.who.name);
            None
        }
    }
}

/// From a new instance to the moment that it is told to stop; returns what it
/// hands over.
fn session(
    slot: &Slot,
    package: &Package,
    previous: Option<&[u8]>,
    shared: &Shared,
    rested: &mut Nanos,
) -> Result<Option<Vec<u8>>, Failure> {
    let name = slot.who.name.clone();
    let (begun, before) = (clock::now(), budget::thread_cpu());
    slot.board.calling(begun);
    let made = Instance::new(
        package,
        &Surroundings {
            who: slot.who.clone(),
            log: slot.log.clone(),
            services: shared.services.clone(),
            stop: Arc::clone(&slot.stop),
            inbox: Arc::clone(&slot.inbox),
            memory: slot.board.memory(),
            meter: slot.board.meter(),
            call_max: shared.call_max,
        },
    );
    let made = made.and_then(|mut instance| {
        instance.start(&package.told, previous)?;
        Ok(instance)
    });
    let cpu = budget::thread_cpu().since(before);
    let mut instance = match made {
        Ok(instance) => instance,
        Err(failure) => {
            slot.board.used(cpu);
            return Err(failure);
        }
    };
    let us = clock::now().since(begun).0 / 1_000;
    info!(plugin = name, points = slot.who.points, "started in {us} µs");
    slot.board.started();
    slot.board.used(cpu);
    slot.board.enter(PluginState::Running);
    let version = package.manifest.version.clone();
    // Who hears of it may ask at once.
    slot.inbox.open();
    (shared.events)(Event::PluginStarted { name, version });
    serve(slot, &mut instance, shared, rested)?;
    slot.board.calling(clock::now());
    let state = instance.save();
    slot.board.used(instance.cpu_used());
    state
}

/// Wakes the plugin when it is time, and hands it what others want from it in
/// between. After each call it rests as the others leave it room.
fn serve(
    slot: &Slot,
    instance: &mut Instance,
    shared: &Shared,
    rested: &mut Nanos,
) -> Result<(), Failure> {
    let mut errand_at = Instant::now() + rest(shared, rested);
    let (mut wake_at, mut nudge_at) = (errand_at, errand_at);
    loop {
        tell_denied(slot, shared);
        let next = slot.inbox.next(wake_at, nudge_at, errand_at);
        let begun = clock::now();
        slot.board.calling(begun);
        let done = match next {
            Next::Stop => return Ok(()),
            Next::Wake => instance.wake().map(Some),
            Next::Errand(errand) => errand(instance).map(|()| None),
        };
        let cpu = instance.cpu_used();
        slot.board.called(clock::now().since(begun), cpu);
        let wake_in = done?;
        let now = Instant::now();
        errand_at = now + rest(shared, rested);
        match wake_in {
            Some(pause) => {
                slot.board.polled(clock::now().since(begun));
                wake_at = errand_at.max(now + pause);
                nudge_at = errand_at.max(now + NUDGE_PAUSE);
            }
            None => wake_at = wake_at.max(errand_at),
        }
    }
}

/// What it tried and may not, as events: few, whatever it does.
fn tell_denied(slot: &Slot, shared: &Shared) {
    for reason in slot.board.meter().take_news() {
        let name = slot.who.name.clone();
        warn!(plugin = name, points = slot.who.points, "tried what it may not, {reason}");
        (shared.events)(Event::PluginDenied { name, reason });
    }
}

fn stopped(
    slot: &Slot,
    ended: Result<Option<Vec<u8>>, Failure>,
    shared: &Shared,
) -> Option<Vec<u8>> {
    let name = slot.who.name.clone();
    let state = match ended {
        Ok(state) => {
            info!(plugin = name, points = slot.who.points, "stopped");
            state
        }
        Err(failure) => {
            warn!(plugin = name, points = slot.who.points, "stopped: {failure}");
            let reason = reason(&failure);
            (shared.events)(Event::PluginTrapped { name: name.clone(), reason });
            None
        }
    };
    slot.board.enter(PluginState::Stopped);
    (shared.events)(Event::PluginStopped { name });
    state
}

// What these locks guard is whole after every single operation.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::fixture;

    #[test]
    fn a_thread_that_cannot_be_started_is_told() {
        let slot = Slot::new(&fixture::grant("/dev/ttyS1").with_id("cellar")).expect("a slot");
        let events = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&events);
        let sink: EventSink = Arc::new(move |event| lock(&kept).push(event));
        slot.has_no_thread(&io::Error::from(io::ErrorKind::WouldBlock), &sink);
        match &lock(&events)[..] {
            [Event::PluginQuarantined { name, reason }] => {
                assert_eq!(name, "cellar");
                assert!(reason.contains("thread cannot be started"), "{reason}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(slot.board.status().state, PluginState::Quarantined);
    }
}
