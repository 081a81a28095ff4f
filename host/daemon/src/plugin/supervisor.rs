//! The plugins of this daemon, as the rest of it sees them: started, asked,
//! administered and stopped. The work is done by the [manager](super::manager)
//! in a thread of its own.

use crate::caps::Services;
use crate::clock;
use crate::config::Config;
use crate::failure::chain;
use crate::plugin::budget::CALL_MAX;
use crate::plugin::compile::Compiler;
#[cfg(feature = "compiler")]
use crate::plugin::compile::helper::Helper;
use crate::plugin::engine::{self, EngineError};
use crate::plugin::library::Library;
use crate::plugin::loader::Loader;
use crate::plugin::manager::{Change, Done, Manager};
use crate::plugin::report::Report;
use crate::plugin::roster::{DOCUMENT, PROBATION_MS, Roster, RosterError};
use crate::plugin::slot::{Shared, Slot};
use crate::plugin::surplus::Surplus;
use crate::plugin::trusted::Places;
use crate::plugin::vault::Vault;
use crate::plugin::world::World;
use crate::plugin_admin::{
    AdminError, BundleInfo, KeyInfo, PluginAdmin, PluginDetail, Reply, Wanted,
};
use crate::plugin_status::{PluginList, PluginState, PluginStatus};
use crate::store::Store;
use crate::upses::Source;
use evenkeel_core::events::Event;
use evenkeel_core::time::Nanos;
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread;
use std::time::Duration;
use tokio::sync::oneshot;
use tracing::error;

/// Where events go. Called from plugin threads: must not block for long.
pub type EventSink = Arc<dyn Fn(Event) + Send + Sync>;

/// Where the roster is kept.
pub trait RosterStore: Send {
    /// The document, if there is one.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn load(&self) -> Result<Option<String>, String>;
    /// Keep the document; returns when it is on the disk.
    ///
    /// # Errors
    /// Why it is not.
    fn save(&self, text: &str) -> Result<(), String>;
}

/// The roster as a settings document of the store, without a past.
pub struct RosterIn(pub Arc<Store>);

impl RosterStore for RosterIn {
    fn load(&self) -> Result<Option<String>, String> {
        let kept = self.0.settings(&DOCUMENT).map_err(|e| chain(&e))?;
        match kept.into_iter().next() {
            Some(revision) => Ok(Some(revision.text)),
            // None that was ever kept is another thing than one that is damaged.
            None if self.0.is_kept(&DOCUMENT).map_err(|e| chain(&e))? => {
                Err("what the store kept of it is damaged".to_owned())
            }
            None => Ok(None),
        }
    }

    fn save(&self, text: &str) -> Result<(), String> {
        self.0.keep_settings_alone(&DOCUMENT, text).wait().map_err(|e| chain(&e))
    }
}

/// Time that a plugin gets to return from the running call when it is stopped.
pub const GRACE: Duration = Duration::from_secs(2);
/// Afterwards, time for the interrupt to end it.
pub const KILL_GRACE: Duration = Duration::from_secs(1);
/// The plugins of this daemon.
pub struct Supervisor {
    orders: Sender<Order>,
    slots: Slots,
    stopping: Arc<AtomicBool>,
    /// Disconnected when the last thread has ended: each holds a sender.
    ended: Mutex<Receiver<()>>,
}

/// What the host gives plugins, and what it runs on.
pub(super) struct Machine {
    /// Longest call, waits included.
    pub(super) call_max: Nanos,
    /// How long plugins rest between calls.
    pub(super) surplus: Surplus,
    /// How long a release runs without a break to have stood the test.
    pub(super) probation: Nanos,
    /// What compiles.
    #[cfg(feature = "compiler")]
    pub(super) helper: Helper,
}

/// Something for the managing thread to do.
pub(super) type Order = Box<dyn FnOnce(&mut Manager) + Send>;

/// Every plugin that is installed, by id.
#[derive(Clone, Default)]
pub(super) struct Slots(Arc<RwLock<BTreeMap<String, Arc<Slot>>>>);

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

impl Supervisor {
    /// Start the plugins of the roster in `store`, to which the entries of
    /// `config` are applied; returns at once, they come up one after the other.
    ///
    /// # Errors
    /// [`StartError`] when no plugin could ever run. A plugin that is refused
    /// is an event and a status, not an error.
    pub fn start(
        config: &Config,
        services: Services,
        events: EventSink,
        store: Box<dyn RosterStore>,
    ) -> Result<Self, StartError> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let surplus = Surplus::new(u32::try_from(cores).unwrap_or(u32::MAX), clock::now());
        let machine = Machine {
            call_max: CALL_MAX,
            surplus,
            probation: Nanos::from_millis(PROBATION_MS),
            #[cfg(feature = "compiler")]
            helper: Helper::default(),
        };
        Self::start_within(config, services, events, store, machine)
    }

    /// [`Supervisor::start`] with other limits, and on another machine.
    fn start_within(
        config: &Config,
        services: Services,
        events: EventSink,
        store: Box<dyn RosterStore>,
        machine: Machine,
    ) -> Result<Self, StartError> {
        let engine = engine::start().map_err(|source| StartError::Engine { source })?;
        let (orders, incoming) = mpsc::channel::<Order>();
        let (sender, ended) = mpsc::channel();
        let (slots, stopping) = (Slots::default(), Arc::new(AtomicBool::new(false)));
        let to_manager = Mutex::new(orders.clone());
        let gave_up = move |id: &str| {
            let id = id.to_owned();
            let orders = to_manager.lock().unwrap_or_else(PoisonError::into_inner);
            // A manager that is gone has no use for it.
            let _ = orders.send(Box::new(move |manager| manager.gave_up(&id)));
        };
        #[cfg(feature = "compiler")]
        let compiler = Compiler::new(engine, machine.helper, &config.data_dir);
        #[cfg(not(feature = "compiler"))]
        let compiler = Compiler::new(engine);
        let mut manager = Manager {
            loader: Loader {
                compiler: Arc::new(compiler),
                library: Library::new(&config.plugin_dir, &config.data_dir),
                orders: orders.clone(),
                shelf: Arc::default(),
                ahead: Arc::default(),
            },
            places: Places::new(&config.trust_dir, &config.data_dir),
            trusted: 0,
            loading: BTreeMap::new(),
            wishes: 0,
            asked: 0,
            probation: machine.probation,
            store,
            vault: Vault::of_device(&config.data_dir),
            roster: Roster::default(),
            lost: false,
            slots: slots.clone(),
            running: BTreeMap::new(),
            stopping: Arc::clone(&stopping),
            shared: Shared {
                services,
                events,
                call_max: machine.call_max,
                pace: Arc::default(),
                surplus: Arc::new(Mutex::new(machine.surplus)),
                gave_up: Arc::new(gave_up),
                ended: sender,
            },
        };
        let keep = manager.prepare(&config.plugins);
        thread::Builder::new()
            .name("plugin-manager".into())
            .spawn(move || manager.run(keep, &incoming))
            .map_err(|source| StartError::System { source })?;
        Ok(Self { orders, slots, stopping, ended: Mutex::new(ended) })
    }

    /// Stop all plugins: ask, wait [`GRACE`], then interrupt. Returns when all
    /// have ended, after [`GRACE`] and [`KILL_GRACE`] at the latest.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        // Wakes the manager; one that is gone needs no waking.
        let _ = self.orders.send(Box::new(|_| {}));
        self.slots.all().iter().for_each(|slot| slot.request_stop());
        if self.wait_ended(GRACE) {
            return;
        }
        self.slots.all().iter().for_each(|slot| slot.kill());
        if !self.wait_ended(KILL_GRACE) {
            error!("a plugin's thread does not end; the process takes it along");
        }
    }

    /// The plugins of one world that are installed and loaded, with what each
    /// may do and where it is asked.
    #[must_use]
    pub fn of_world(&self, world: World) -> Vec<Arc<Slot>> {
        let mut slots = self.slots.all();
        slots.retain(|slot| slot.facts().is_some_and(|facts| facts.world == world));
        slots
    }

    /// Every installed plugin.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Slot>> {
        self.slots.all()
    }

    /// Where plugins that are switched on may publish, now.
    #[must_use]
    pub fn sources(&self) -> Vec<Source> {
        let mut slots = self.slots.all();
        slots.retain(|slot| slot.plugin.enabled && !slot.who.points.is_empty());
        let source = |slot: &Arc<Slot>| {
            // What was never loaded is taken for a driver: they have subtrees.
            let is_driver = slot.facts().is_none_or(|facts| facts.world == World::Driver);
            let due = is_driver && slot.board.status().state != PluginState::Starting;
            Source { subtree: slot.who.points.clone(), due }
        };
        slots.iter().map(source).collect()
    }

    /// The plugins that should run and stay off: they failed too often, or are
    /// refused.
    #[must_use]
    pub fn off(&self) -> Vec<String> {
        let mut all = self.plugins();
        all.retain(|p| matches!(p.state, PluginState::Quarantined | PluginState::Refused));
        all.into_iter().map(|plugin| plugin.name).collect()
    }

    /// One installed plugin.
    #[must_use]
    pub fn slot(&self, id: &str) -> Option<Arc<Slot>> {
        self.slots.get(id)
    }

    fn wait_ended(&self, time: Duration) -> bool {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.recv_timeout(time) == Err(RecvTimeoutError::Disconnected)
    }

    /// Have the manager do something and answer.
    fn ask<T: Send + 'static>(
        &self,
        order: impl FnOnce(&mut Manager) -> Result<T, AdminError> + Send + 'static,
    ) -> Reply<T> {
        let (answer, reply) = oneshot::channel();
        // When the manager is gone the answer is dropped, which the asker sees.
        let _ = self.orders.send(Box::new(move |manager| {
            let _ = answer.send(order(manager));
        }));
        reply
    }

    /// The same for what is done later; the manager goes on meanwhile.
    fn ask_for(&self, order: impl FnOnce(&mut Manager, Done) + Send + 'static) -> Reply<()> {
        let (answer, reply) = oneshot::channel();
        let done: Done = Box::new(move |result| {
            let _ = answer.send(result);
        });
        let _ = self.orders.send(Box::new(move |manager| order(manager, done)));
        reply
    }

    fn change(
        &self,
        id: String,
        change: impl Fn(&Roster, &str) -> Result<Roster, RosterError> + Send + 'static,
    ) -> Reply<()> {
        self.ask_for(move |manager, done| {
            let of = id.clone();
            let change: Change = Box::new(move |roster: &Roster| change(roster, &of));
            manager.adopt_asked(&id, change, done);
        })
    }
}

impl PluginList for Supervisor {
    fn plugins(&self) -> Vec<PluginStatus> {
        self.slots.all().iter().map(|slot| slot.board.status()).collect()
    }
}

impl PluginAdmin for Supervisor {
    fn bundles(&self) -> Reply<Vec<BundleInfo>> {
        let (answer, reply) = oneshot::channel();
        let order = Box::new(move |manager: &mut Manager| {
            manager.bundles(move |bundles| {
                let _ = answer.send(bundles);
            });
        });
        let _ = self.orders.send(order);
        reply
    }

    fn inspect(&self, raw: Vec<u8>) -> Reply<BundleInfo> {
        self.ask(move |manager| manager.inspect(&raw))
    }

    fn upload(&self, raw: Vec<u8>) -> Reply<BundleInfo> {
        self.ask(move |manager| manager.upload(raw))
    }

    fn delete_bundle(&self, digest: String) -> Reply<()> {
        self.ask(move |manager| manager.delete_bundle(&digest))
    }

    fn detail(&self, id: String) -> Reply<PluginDetail> {
        self.ask(move |manager| manager.detail(&id))
    }

    fn reports(&self, id: String) -> Reply<Vec<Report>> {
        self.ask(move |manager| manager.reports(&id))
    }

    fn recording(&self, id: String, unix_ms: u64) -> Reply<Vec<u8>> {
        self.ask(move |manager| manager.recording(&id, unix_ms))
    }

    fn put(&self, wanted: Wanted) -> Reply<()> {
        self.ask_for(move |manager, done| manager.put(wanted, done))
    }

    fn switch(&self, id: String, on: bool) -> Reply<()> {
        self.change(id, move |roster, id| roster.switched(id, on))
    }

    fn restart(&self, id: String) -> Reply<()> {
        self.change(id, |roster, _| Ok(roster.clone()))
    }

    fn roll_back(&self, id: String) -> Reply<()> {
        self.change(id, Roster::rolled_back)
    }

    fn remove(&self, id: String) -> Reply<()> {
        self.ask(move |manager| manager.remove(&id))
    }

    fn keys(&self) -> Reply<Vec<KeyInfo>> {
        self.ask(|manager| Ok(manager.keys()))
    }

    fn add_key(&self, text: String, fingerprint: String) -> Reply<KeyInfo> {
        self.ask(move |manager| manager.add_key(&text, &fingerprint))
    }

    fn withdraw_key(&self, id: String, reason: String) -> Reply<()> {
        self.ask(move |manager| manager.withdraw_key(&id, &reason))
    }

    fn restore_key(&self, id: String) -> Reply<()> {
        self.ask(move |manager| manager.restore_key(&id))
    }

    fn put_keyring(&self, raw: Vec<u8>) -> Reply<()> {
        self.ask(move |manager| manager.put_keyring(&raw))
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Slots {
    pub(super) fn all(&self) -> Vec<Arc<Slot>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    pub(super) fn get(&self, id: &str) -> Option<Arc<Slot>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    pub(super) fn insert(&self, id: &str, slot: Arc<Slot>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), slot);
    }

    pub(super) fn remove(&self, id: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

#[cfg(test)]
mod tests;
