//! Tells notifiers what happens: each event of the store that a notifier's
//! grant lets through, in order, at least once.
//!
//! A notifier that is installed now begins now. How far each one is, is in the
//! store under its id, so that a restart of the plugin, the daemon or the
//! appliance loses nothing; what was told and not yet noted is told again,
//! under the same sequence number. What the log lost meanwhile, and what a
//! notifier refuses for good, is itself an event.
//!
//! Each notifier has its own [`courier`]: one that is stuck holds up nobody.

pub mod courier;
pub mod nudge;
pub mod record;

pub use courier::Progress;

use crate::caps::log::Level;
use crate::plugin::bindings::sink;
use crate::plugin::inbox::Undone;
use crate::plugin::slot::Slot;
use crate::store::{Store, StoredEvent};
use courier::{Courier, Recipient, Told, lock};
use evenkeel_core::events::Severity;
use evenkeel_core::jobs::Outcome;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::AbortHandle;

/// The notifiers that are running, and how far each is.
pub struct Notifiers {
    store: Arc<Store>,
    at_work: Mutex<BTreeMap<String, AtWork>>,
}

/// Asks how far each notifier is.
pub type Deliveries = Arc<dyn Fn() -> Vec<Progress> + Send + Sync>;

/// A notifier and its courier, who stops when this is dropped.
struct AtWork {
    slot: Arc<Slot>,
    progress: Arc<Mutex<Progress>>,
    task: AbortHandle,
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Notifiers {
    /// Nobody yet.
    #[must_use]
    pub fn new(store: Arc<Store>) -> Self {
        Self { store, at_work: Mutex::default() }
    }

    /// How far each notifier is, by id.
    #[must_use]
    pub fn progress(&self) -> Vec<Progress> {
        self.at_work().values().map(|at_work| lock(&at_work.progress).clone()).collect()
    }

    /// See to it that each of the notifiers that `present` finds is told what
    /// happens, until the store is closed. Whatever becomes of a plugin is an
    /// event, so that events are what this waits for.
    pub async fn run(&self, present: impl Fn() -> Vec<Arc<Slot>>) {
        let mut settled = self.store.settled();
        loop {
            settled.borrow_and_update();
            self.adopt(present());
            if settled.changed().await.is_err() {
                return;
            }
        }
    }

    fn adopt(&self, present: Vec<Arc<Slot>>) {
        let mut at_work = self.at_work();
        at_work.retain(|_, known| present.iter().any(|slot| Arc::ptr_eq(slot, &known.slot)));
        for slot in present {
            let id = slot.who.name.clone();
            let Some(least) = least(&slot).filter(|_| !at_work.contains_key(&id)) else {
                continue;
            };
            let progress = Progress { id: id.clone(), ..Progress::default() };
            let progress = Arc::new(Mutex::new(progress));
            let recipient = Running { slot: Arc::clone(&slot), least };
            let courier = Courier::new(recipient, Arc::clone(&self.store), Arc::clone(&progress));
            let task = tokio::spawn(courier.run()).abort_handle();
            at_work.insert(id, AtWork { slot, progress, task });
        }
    }

    fn at_work(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, AtWork>> {
        // A panic leaves a whole map: each change is one operation on it.
        self.at_work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Have one notifier tell one event beyond the order of the log, because a job
/// says so; within its grant. Not on a thread of the runtime.
pub fn tell_one(slot: &Slot, stored: &StoredEvent, text: &str, time: Duration) -> Outcome {
    match least(slot) {
        None => return Outcome::Never("it may not be told of events".to_owned()),
        Some(least) if stored.event.severity() < least => {
            return Outcome::Never("its grant is for worse events only".to_owned());
        }
        Some(_) => {}
    }
    let event = sink::Event { text: text.to_owned(), ..record::record(stored) };
    match slot.inbox.ask_within(time, move |instance| instance.notify(&event)) {
        Ok(Ok(())) => Outcome::Done,
        Ok(Err(error)) if error.retry => Outcome::Later(error.detail),
        Ok(Err(error)) => Outcome::Never(error.detail),
        Err(undone) => Outcome::Later(undone.to_string()),
    }
}

/// Least severity that a notifier may be told; `None`: nothing at all.
fn least(slot: &Slot) -> Option<Severity> {
    slot.facts()?.granted.grants.events.values().filter_map(|grant| grant.least).min()
}

/// A notifier that runs, or will run again.
struct Running {
    slot: Arc<Slot>,
    least: Severity,
}

impl Recipient for Running {
    fn id(&self) -> &str {
        &self.slot.who.name
    }

    fn least(&self) -> Severity {
        self.least
    }

    async fn tell(&self, event: crate::plugin::bindings::sink::Event) -> Told {
        let asked = self.slot.inbox.ask(move |instance| instance.notify(&event));
        match asked {
            Ok(answer) => match answer.await {
                Ok(Ok(())) => Told::Done,
                Ok(Err(error)) if error.retry => Told::Later(error.detail),
                Ok(Err(error)) => Told::Never(error.detail),
                Err(_) => Told::Died,
            },
            Err(Undone::Full) => Told::Later(Undone::Full.to_string()),
            Err(_) => Told::Away,
        }
    }

    fn failing(&self, reason: &str) {
        self.slot.board.error(reason);
        self.slot.log.say(Level::Warn, reason);
    }
}
