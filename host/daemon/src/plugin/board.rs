//! What others see of a plugin: written by its thread, read by the console.

use crate::caps::meter::{Meter, Traffic};
use crate::clock;
use crate::plugin::load::SignerName;
use crate::plugin::world::World;
use crate::plugin_status::{PluginState, PluginStatus};
use evenkeel_core::time::Nanos;
use evenkeel_signing::PluginManifest;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The median is taken over this many polls.
const DURATIONS_MAX: usize = 64;

/// One plugin's status, shared.
#[derive(Debug)]
pub struct Board {
    inner: Mutex<Inner>,
    memory_bytes: Arc<AtomicU64>,
    meter: Arc<Meter>,
}

#[derive(Debug)]
struct Inner {
    status: PluginStatus,
    cpu: Nanos,
    durations_us: VecDeque<u64>,
    /// What is wrong now, by what it is about. It goes when it is over.
    troubles: BTreeMap<String, String>,
    /// When the call began that runs.
    calling: Option<Nanos>,
    /// When it came into its state.
    entered: Nanos,
}

impl Board {
    /// A plugin of which only the configured name is known.
    #[must_use]
    pub fn new(name: &str, state: PluginState) -> Self {
        let status = PluginStatus {
            name: name.to_owned(),
            version: String::new(),
            vendor: String::new(),
            signer: String::new(),
            platform: false,
            state,
            awaits_consent: false,
            last_error: None,
            world: "",
            polls: 0,
            calls: 0,
            slowest_call_us: 0,
            traps: 0,
            cpu_ms: 0,
            memory_bytes: 0,
            poll_p50_us: 0,
            last_poll_us: 0,
            since_unix_ms: clock::unix_ms(),
            in_call_ms: 0,
            refused: 0,
            last_refused: None,
            traffic: Traffic::default(),
        };
        let (durations_us, troubles) = (VecDeque::new(), BTreeMap::new());
        let entered = clock::now();
        let inner = Inner { status, cpu: Nanos(0), durations_us, troubles, calling: None, entered };
        Self { inner: Mutex::new(inner), memory_bytes: Arc::default(), meter: Arc::default() }
    }

    /// The status now.
    #[must_use]
    pub fn status(&self) -> PluginStatus {
        let inner = self.lock();
        let mut durations: Vec<u64> = inner.durations_us.iter().copied().collect();
        durations.sort_unstable();
        let trouble = inner.troubles.values().next().cloned();
        let (refused, last_refused) = self.meter.refusals();
        let calling = inner.calling.map(|since| clock::now().since(since));
        PluginStatus {
            last_error: trouble.or_else(|| inner.status.last_error.clone()),
            refused,
            last_refused,
            traffic: self.meter.traffic(),
            in_call_ms: calling.map_or(0, Nanos::as_millis),
            poll_p50_us: durations.get(durations.len() / 2).copied().unwrap_or(0),
            cpu_ms: inner.cpu.as_millis(),
            memory_bytes: self.memory_bytes.load(Ordering::Relaxed),
            ..inner.status.clone()
        }
    }

    /// The gauge of linear memory, for the limiter.
    #[must_use]
    pub fn memory(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.memory_bytes)
    }

    /// Where its bytes are counted and its attempts noted.
    #[must_use]
    pub fn meter(&self) -> Arc<Meter> {
        Arc::clone(&self.meter)
    }

    /// The manifest is known.
    pub fn verified(&self, manifest: &PluginManifest, world: World) {
        let status = &mut self.lock().status;
        status.world = world.as_str();
        status.version.clone_from(&manifest.version);
        status.vendor.clone_from(&manifest.vendor);
    }

    /// A signature of it held.
    pub fn signed(&self, signer: &SignerName) {
        let status = &mut self.lock().status;
        status.signer.clone_from(&signer.name);
        status.platform = signer.platform;
    }

    /// It is not run before a person consents.
    pub fn await_consent(&self) {
        self.lock().status.awaits_consent = true;
    }

    /// It is in another state, from now on.
    pub fn enter(&self, state: PluginState) {
        let mut inner = self.lock();
        inner.entered = clock::now();
        inner.status.state = state;
        inner.status.since_unix_ms = clock::unix_ms();
    }

    /// For how long it has run without a break; `None` when it does not.
    #[must_use]
    pub fn running_for(&self, now: Nanos) -> Option<Nanos> {
        let inner = self.lock();
        (inner.status.state == PluginState::Running).then(|| now.since(inner.entered))
    }

    /// A fresh copy of it runs: what is counted per start begins again.
    pub fn started(&self) {
        let mut inner = self.lock();
        inner.status.polls = 0;
        inner.status.calls = 0;
        inner.status.slowest_call_us = 0;
        inner.cpu = Nanos(0);
        inner.durations_us.clear();
        inner.calling = None;
    }

    /// A call into it begins at `now`; [`Self::started`], [`Self::called`] and
    /// [`Self::idle`] end it.
    pub fn calling(&self, now: Nanos) {
        self.lock().calling = Some(now);
    }

    /// It was the last one.
    pub fn idle(&self) {
        self.lock().calling = None;
    }

    /// A call used this much CPU time.
    pub fn used(&self, cpu: Nanos) {
        let mut inner = self.lock();
        inner.cpu = inner.cpu + cpu;
    }

    /// A call took this time, waits included, and this much CPU time.
    pub fn called(&self, duration: Nanos, cpu: Nanos) {
        let mut inner = self.lock();
        inner.cpu = inner.cpu + cpu;
        inner.status.calls += 1;
        inner.calling = None;
        let us = duration.0 / 1_000;
        inner.status.slowest_call_us = inner.status.slowest_call_us.max(us);
    }

    /// A poll returned after this time, waits included.
    pub fn polled(&self, duration: Nanos) {
        let mut inner = self.lock();
        let us = duration.0 / 1_000;
        inner.status.polls += 1;
        inner.status.last_poll_us = us;
        if inner.durations_us.len() == DURATIONS_MAX {
            inner.durations_us.pop_front();
        }
        inner.durations_us.push_back(us);
    }

    /// It failed while running.
    pub fn trapped(&self, reason: &str) {
        let mut inner = self.lock();
        inner.status.traps += 1;
        inner.status.last_error = Some(reason.to_owned());
    }

    /// Something else is wrong with it.
    pub fn error(&self, reason: &str) {
        self.lock().status.last_error = Some(reason.to_owned());
    }

    /// Something of it is wrong now, or no more. It is told before the last
    /// thing that went wrong.
    pub fn trouble(&self, about: &str, what: Option<&str>) {
        let troubles = &mut self.lock().troubles;
        match what {
            Some(what) => troubles.insert(about.to_owned(), what.to_owned()),
            None => troubles.remove(about),
        };
    }

    // A panic leaves whole values: each change is an assignment.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_of_the_last_polls() {
        let board = Board::new("megatec", PluginState::Starting);
        assert_eq!(board.status().poll_p50_us, 0);
        (0..100).for_each(|_| board.polled(Nanos::from_secs(9)));
        (0..64).for_each(|us| board.polled(Nanos(us * 1_000)));
        let status = board.status();
        assert_eq!((status.polls, status.poll_p50_us, status.last_poll_us), (164, 32, 63));
    }

    #[test]
    fn what_is_wrong_now_is_told_first_and_goes_when_it_is_over() {
        let board = Board::new("modbus", PluginState::Running);
        let told = || board.status().last_error;
        board.error("it failed once");
        board.trouble("modbus", Some("the port is taken"));
        assert_eq!(told().as_deref(), Some("the port is taken"));
        board.trouble("modbus", None);
        assert_eq!(told().as_deref(), Some("it failed once"));
    }

    #[test]
    fn a_restart_counts_anew_and_remembers_the_error() {
        let board = Board::new("megatec", PluginState::Running);
        board.polled(Nanos(1));
        board.used(Nanos::from_millis(7));
        board.trapped("poll trapped");
        assert_eq!(board.status().cpu_ms, 7);
        board.started();
        let status = board.status();
        assert_eq!((status.polls, status.cpu_ms, status.traps), (0, 0, 1));
        assert_eq!(status.last_error.as_deref(), Some("poll trapped"));
    }
}
