//! The managing thread: makes what runs equal to the roster.
//!
//! It has plugins [loaded](super::loader) at low priority, starts and stops
//! their [slots](super::slot), and carries out what administrators want, each
//! request whole or not at all. A change is checked, then kept in the store,
//! then put in place; an update is loaded before the version that it replaces
//! is stopped, so that a refused one changes nothing.
//!
//! Nothing that takes long is done here: while one plugin is loaded, the others
//! are switched off and on, looked at and removed. The last word about a plugin
//! counts; what is loaded for an earlier one is dropped.

use crate::caps::kv;
use crate::config::PluginGrant;
use crate::plugin::describe::{all_words, asked, dangers, mark, masked, unmask_settings, usable};
use crate::plugin::heap;
use crate::plugin::library::LibraryError;
use crate::plugin::load::{self, Package, Reason, Refusal, Seen, SignerName, Unaccepted};
use crate::plugin::loader::{ASKED_MAX, Job, Loader, Then};
use crate::plugin::permission::{self, Digest};
use crate::plugin::reason;
use crate::plugin::report::Report;
use crate::plugin::roster::{Entry, Roster, RosterError, Source, Verified};
use crate::plugin::slot::{Handover, Shared, Slot};
use crate::plugin::supervisor::{GRACE, KILL_GRACE, Order, RosterStore, Slots};
use crate::plugin::trusted::{self, Places};
use crate::plugin::vault::{Place, Vault};
use crate::plugin_admin::{AdminError, BundleInfo, PluginDetail, Wanted};
use crate::plugin_status::PluginState;
use crate::{clock, failure};
use evenkeel_core::events::Event;
use evenkeel_core::time::Nanos;
use evenkeel_signing::{PluginManifest, Trust};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;
use tracing::{error, warn};

mod trust;

/// Plugins come after the rest of the daemon, and far after the guard. The same
/// for loading and running: a thread inherits it, and nobody but root may go
/// back to less.
const NICE: i32 = 10;

/// How often it looks who has stood the test.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Told what came of a change, once.
pub(super) type Done = Box<dyn FnOnce(Result<(), AdminError>) + Send>;

/// A change of the roster. It is made twice: when it is wished, and, on what the
/// roster is by then, when what it needs is loaded.
pub(super) type Change = Box<dyn Fn(&Roster) -> Result<Roster, RosterError> + Send>;

/// The managing thread's own.
pub(super) struct Manager {
    pub(super) loader: Loader,
    pub(super) places: Places,
    /// Grows with every change of what is trusted.
    pub(super) trusted: u64,
    /// What is being loaded, by plugin.
    pub(super) loading: BTreeMap<String, Loading>,
    /// Number of the last wish.
    pub(super) wishes: u64,
    /// How many wishes of people are being loaded for.
    pub(super) asked: usize,
    /// A release that has run for so long without a break has stood the test.
    pub(super) probation: Nanos,
    pub(super) store: Box<dyn RosterStore>,
    pub(super) vault: Vault,
    pub(super) roster: Roster,
    /// What was kept of the roster cannot be read, and stays as it is until a
    /// person decides something.
    pub(super) lost: bool,
    pub(super) slots: Slots,
    /// What those that run will hand over.
    pub(super) running: BTreeMap<String, Handover>,
    pub(super) stopping: Arc<AtomicBool>,
    pub(super) shared: Shared,
}

/// A plugin that is being loaded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loading {
    /// The wish that counts.
    wish: u64,
    /// Where it stays should it be refused, if nothing of it runs.
    idle: Option<PluginState>,
}

impl Manager {
    /// Read the roster, apply the configuration file to it, and show what is
    /// in it. Returns whether it is to be kept.
    pub(super) fn prepare(&mut self, provisioned: &[PluginGrant]) -> bool {
        let text = self.store.load();
        let kept = text.clone().and_then(|text| match text {
            Some(text) => self.opened(&text).map_err(|e| format!("it makes no sense: {e}")),
            None => Ok((Roster::default(), false)),
        });
        let known = kept.is_ok();
        let (kept, was_plain) = kept.unwrap_or_else(|why| {
            (self.without_a_list(text.ok().flatten().as_deref(), &why), false)
        });
        self.roster = kept.clone().provision(provisioned, clock::unix_ms());
        let ids: Vec<String> = self.roster.entries().map(|(id, _)| id.to_owned()).collect();
        if known {
            // Those that the configuration file names no more, too.
            self.forget_reports(|name| self.roster.get(name).is_ok());
        }
        ids.iter().for_each(|id| {
            self.new_slot(id);
        });
        // What could not be read is not overwritten.
        known && (was_plain || self.roster != kept)
    }

    /// What goes on when the roster cannot be read. What was decided about keys
    /// holds if that part can be; if not, nobody's word counts but the
    /// platform's.
    fn without_a_list(&mut self, text: Option<&str>, why: &str) -> Roster {
        self.lost = true;
        let decided = text.and_then(|text| Roster::decisions_of(text).ok());
        let keys = match decided {
            Some(_) => "what was decided about keys holds",
            None => "no key counts but the platform's",
        };
        let reason =
            format!("{why}; only the plugins of the configuration run, and {keys}, see Keys");
        error!("the list of plugins cannot be read: {reason}");
        (self.shared.events)(Event::DecisionsLost { reason });
        let mut roster = Roster::default();
        roster.decisions = decided.unwrap_or_else(|| trusted::closed(&self.places, &[]));
        roster
    }

    /// The roster in a document that was kept, and whether its secrets stood
    /// there in plain.
    fn opened(&mut self, text: &str) -> Result<(Roster, bool), toml::de::Error> {
        let opened = self.vault.open(text)?;
        for Place { id, what } in &opened.locked {
            error!(
                plugin = id,
                "{what} cannot be read: the device's secret is missing or another one; enter it \
                again"
            );
        }
        Ok((Roster::parse(&opened.text)?, opened.was_plain))
    }

    pub(super) fn run(mut self, keep: bool, orders: &Receiver<Order>) {
        be_nice();
        if keep {
            let roster = self.roster.clone();
            self.save(&roster).unwrap_or_else(|e| error!("{e}"));
        }
        let (trust, problems) = self.trust();
        problems.iter().for_each(|e| error!("{}", reason(e)));
        self.bind_floors(&trust);
        self.start_all();
        let every = LOOK_EVERY.min(Duration::from_nanos(self.probation.0));
        while !self.stopping.load(Ordering::Acquire) {
            match orders.recv_timeout(every) {
                Ok(order) => order(&mut self),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.prove();
        }
        // What was never loaded is not starting any more.
        for slot in self.slots.all().iter().filter(|slot| slot.facts().is_none()) {
            if slot.board.status().state == PluginState::Starting {
                slot.board.enter(PluginState::Stopped);
            }
        }
    }

    /// Have everything loaded that is switched on; what came with the firmware
    /// brings its code along and goes first.
    fn start_all(&mut self) {
        let (trust, _) = self.trust();
        let entries = self.roster.entries().filter(|(_, entry)| entry.plugin.enabled);
        let mut entries: Vec<Entry> = entries.map(|(_, entry)| entry.clone()).collect();
        entries.sort_by_key(|entry| entry.source != Source::Shipped);
        let jobs: VecDeque<Job> = entries
            .into_iter()
            .map(|entry| {
                let wish = self.wish(entry.plugin.id(), Some(PluginState::Refused));
                let (id, trusted) = (entry.plugin.id().to_owned(), self.trusted);
                let then: Then = Box::new(move |manager, loaded| {
                    manager.came_up(&id, wish, trusted, loaded);
                });
                self.job(entry, trust.clone(), then)
            })
            .collect();
        self.loader.start(jobs).unwrap_or_else(|e| error!("plugins cannot be loaded: {e}"));
    }

    /// A plugin that was switched on all along is loaded, or refused: then its
    /// slot says so.
    fn came_up(&mut self, id: &str, wish: u64, trusted: u64, loaded: Result<Package, Refusal>) {
        if !self.is_last(id, wish) || self.stopping.load(Ordering::Acquire) {
            return;
        }
        let (Ok(entry), Some(slot)) = (self.roster.get(id), self.slots.get(id)) else { return };
        if self.trusted != trusted {
            // Judged by what was trusted before.
            let (entry, trusted, again) = (entry.clone(), self.trusted, id.to_owned());
            let then: Then = Box::new(move |manager, loaded| {
                manager.came_up(&again, wish, trusted, loaded);
            });
            let job = self.job(entry, self.trust().0, then);
            return self.loader.load(job).unwrap_or_else(|e| error!("no thread for {id:?}: {e}"));
        }
        self.loading.remove(id);
        match loaded {
            Ok(package) => {
                self.note(id, &package);
                self.run_in(&slot, package, None);
            }
            Err(refusal) => slot.refuse(&refusal, &self.shared.events),
        }
    }

    /// The last word about a plugin; its number.
    fn wish(&mut self, id: &str, idle: Option<PluginState>) -> u64 {
        self.wishes += 1;
        let wish = self.wishes;
        self.loading.insert(id.to_owned(), Loading { wish, idle });
        wish
    }

    fn is_last(&self, id: &str, wish: u64) -> bool {
        self.loading.get(id).is_some_and(|loading| loading.wish == wish)
    }

    /// Nothing of it is loaded any more: where it was, it is again.
    fn unload(&mut self, id: &str) -> Option<PluginState> {
        let idle = self.loading.remove(id)?.idle?;
        if let Some(slot) = self.slots.get(id) {
            slot.board.enter(idle);
        }
        Some(idle)
    }

    /// Where a plugin stays when a change of it is refused; `None` when a copy
    /// of it runs on.
    fn idle(&self, id: &str) -> Option<PluginState> {
        use PluginState::{Disabled, Quarantined, Refused, Stopped};
        if let Some(loading) = self.loading.get(id) {
            return loading.idle;
        }
        let state = self.slots.get(id)?.board.status().state;
        matches!(state, Disabled | Quarantined | Refused | Stopped).then_some(state)
    }

    fn job(&self, entry: Entry, trust: Trust, then: Then) -> Job {
        let before = self.slots.get(entry.plugin.id());
        let provisioned = self.roster.is_provisioned(entry.plugin.id());
        Job { entry, before, trust, provisioned, then }
    }

    fn run_in(&mut self, slot: &Arc<Slot>, package: Package, previous: Option<Vec<u8>>) {
        let handover = slot.spawn(package, previous, &self.shared);
        self.running.insert(slot.who.name.clone(), handover);
    }

    /// Keep what is known of a plugin since it was verified. An entry of the
    /// configuration file accepts what it finds the first time.
    fn note(&mut self, id: &str, package: &Package) {
        let Ok(entry) = self.roster.get(id) else { return };
        let mut next = self.roster.verified(id, package.verified());
        if entry.consent.is_none() {
            next = next.consented(id, &Digest::of(&package.manifest));
        }
        if next != self.roster {
            self.keep_by_itself(next, "what a plugin was found to be");
        }
    }

    /// Make `change`, as far as the plugin `id` goes: the new copy is loaded
    /// first, then the roster kept, then the old one stopped.
    pub(super) fn adopt(&mut self, id: &str, change: Change, done: Done) {
        let entry = match change(&self.roster).and_then(|next| next.get(id).cloned()) {
            Ok(entry) => entry,
            Err(e) => return done(Err(e.into())),
        };
        if !entry.plugin.enabled {
            self.unload(id);
            let placed = self.change_to(&change, &entry, None);
            return done(placed);
        }
        let idle = self.idle(id);
        if let Some(slot) = self.slots.get(id).filter(|_| idle.is_some()) {
            slot.board.enter(PluginState::Starting);
        }
        let number = self.wish(id, idle);
        self.load_for(Wish { number, trusted: self.trusted, entry, change, done });
    }

    /// The same for a person, of whom there may be many.
    pub(super) fn adopt_asked(&mut self, id: &str, change: Change, done: Done) {
        if self.asked < ASKED_MAX || self.is_off(id, &change) {
            return self.adopt(id, change, done);
        }
        let text = format!("{ASKED_MAX} plugins are being loaded; try again when one is done");
        done(Err(AdminError::Conflict(text)));
    }

    /// Whether the plugin is off after the change, for which nothing is loaded.
    fn is_off(&self, id: &str, change: &Change) -> bool {
        let next = change(&self.roster);
        next.is_ok_and(|next| next.get(id).is_ok_and(|entry| !entry.plugin.enabled))
    }

    fn load_for(&mut self, wish: Wish) {
        let (trust, _) = self.trust();
        let id = wish.entry.plugin.id().to_owned();
        let entry = wish.entry.clone();
        let then: Then = Box::new(move |manager, loaded| manager.loaded(wish, loaded));
        let job = self.job(entry, trust, then);
        match self.loader.load(job) {
            Ok(()) => self.asked += 1,
            // Who asked sees that no answer comes.
            Err(e) => error!(plugin = id, "it cannot be loaded, there is no thread left: {e}"),
        }
    }

    fn loaded(&mut self, mut wish: Wish, loaded: Result<Package, Refusal>) {
        self.asked = self.asked.saturating_sub(1);
        let id = wish.entry.plugin.id().to_owned();
        if !self.is_last(&id, wish.number) {
            let text = format!("somebody changed {id:?} meanwhile; look at it and try again");
            return (wish.done)(Err(AdminError::Conflict(text)));
        }
        if self.trusted != wish.trusted {
            // Judged by what was trusted before.
            wish.trusted = self.trusted;
            return self.load_for(wish);
        }
        let idle = self.unload(&id);
        let placed = loaded
            .map_err(admin_error)
            .and_then(|package| self.change_to(&wish.change, &wish.entry, Some(package)));
        if let (Err(e), Some(_), Some(slot)) = (&placed, idle, self.slots.get(&id)) {
            slot.board.error(&e.to_string());
        }
        (wish.done)(placed);
    }

    fn change_to(
        &mut self,
        change: &Change,
        entry: &Entry,
        package: Option<Package>,
    ) -> Result<(), AdminError> {
        let next = change(&self.roster)?;
        self.place(next, entry, package)
    }

    /// The rest of [`adopt`](Self::adopt), once the new copy is loaded.
    fn place(
        &mut self,
        next: Roster,
        entry: &Entry,
        package: Option<Package>,
    ) -> Result<(), AdminError> {
        let id = entry.plugin.id();
        let next = match &package {
            Some(package) => next.verified(id, package.verified()),
            None => next,
        };
        if next != self.roster {
            self.save(&next)?;
        }
        let before = self.roster.get(id).ok().map(|entry| entry.plugin.points.clone());
        self.roster = next;
        let state = self.end(id)?;
        if let Some(points) = before.filter(|points| *points != entry.plugin.points) {
            self.retract(&points);
        }
        let slot = self.new_slot(id).ok_or_else(no_descriptor)?;
        if let Some(package) = package {
            self.run_in(&slot, package, state);
        } else {
            self.retract(&entry.plugin.points);
        }
        Ok(())
    }

    /// Stop a plugin and take what it hands over.
    fn end(&mut self, id: &str) -> Result<Option<Vec<u8>>, AdminError> {
        let state = self.slots.get(id).map(|slot| slot.board.status().state);
        if state == Some(PluginState::Quarantined) {
            (self.shared.events)(Event::PluginReleased { name: id.to_owned() });
        }
        let (Some(slot), Some(handover)) = (self.slots.get(id), self.running.remove(id)) else {
            return Ok(None);
        };
        slot.request_stop();
        let mut ended = handover.recv_timeout(GRACE);
        if ended == Err(RecvTimeoutError::Timeout) {
            slot.kill();
            ended = handover.recv_timeout(KILL_GRACE);
        }
        if ended == Err(RecvTimeoutError::Timeout) {
            // Its points and lines are still its own: no second copy beside it.
            self.running.insert(id.to_owned(), handover);
            let text = format!(
                "the old copy of {id:?} does not end and keeps its lines; what you wanted is kept \
                and holds after a restart of the appliance"
            );
            slot.board.trouble("stuck", Some(&text));
            return Err(AdminError::Conflict(text));
        }
        Ok(ended.ok())
    }

    fn new_slot(&self, id: &str) -> Option<Arc<Slot>> {
        let entry = self.roster.get(id).ok()?;
        let slot = Slot::new(&entry.plugin).map_err(|e| error!("no slot for {id:?}: {e}")).ok()?;
        let slot = Arc::new(slot);
        self.slots.insert(id, Arc::clone(&slot));
        Some(slot)
    }

    fn retract(&self, points: &str) {
        if !points.is_empty() {
            self.shared.services.hub.retract(points);
        }
    }

    /// [`Self::keep`] for what nobody decided. A list that cannot be read is not
    /// overwritten for it: then it holds until the restart.
    fn keep_by_itself(&mut self, next: Roster, what: &str) {
        if self.lost {
            self.adopt_decisions(next);
        } else if let Err(e) = self.keep(next) {
            warn!("{what} is not kept: {e}");
        }
    }

    /// Keep `next`, and let it be the roster.
    fn keep(&mut self, next: Roster) -> Result<(), AdminError> {
        self.save(&next)?;
        self.adopt_decisions(next);
        Ok(())
    }

    fn adopt_decisions(&mut self, next: Roster) {
        if next.decisions != self.roster.decisions {
            self.trusted += 1;
        }
        self.roster = next;
    }

    fn save(&mut self, roster: &Roster) -> Result<(), AdminError> {
        let failed = |why| AdminError::Store(format!("the list of plugins is not kept: {why}"));
        let sealed = self.vault.seal(&roster.to_text()).map_err(|e| failed(failure::chain(&e)))?;
        self.store.save(&sealed).map_err(failed)?;
        self.lost = false;
        Ok(())
    }

    /// A plugin stays off. When its version is new, the one before comes back.
    pub(super) fn gave_up(&mut self, id: &str) {
        let on_probation =
            self.roster.get(id).is_ok_and(|entry| entry.on_probation(clock::unix_ms()));
        // A copy that was replaced meanwhile has no say.
        let is_off = self.slots.get(id).is_some_and(|slot| {
            matches!(slot.board.status().state, PluginState::Quarantined | PluginState::Refused)
        });
        let is_changing = self.loading.contains_key(id);
        if !on_probation || !is_off || is_changing || self.stopping.load(Ordering::Acquire) {
            return;
        }
        let why = self.slots.get(id).and_then(|slot| slot.board.status().last_error);
        let (plugin, events) = (id.to_owned(), Arc::clone(&self.shared.events));
        let change: Change = Box::new({
            let id = id.to_owned();
            move |roster: &Roster| roster.rolled_back(&id)
        });
        let done: Done = Box::new(move |back| match back {
            Ok(()) => {
                let (name, reason) = (plugin, why.unwrap_or_default());
                warn!(plugin = name, "the version before is back: {reason}");
                events(Event::PluginRolledBack { name, reason });
            }
            Err(e) => error!(plugin, "the version before does not come back: {e}"),
        });
        self.adopt(id, change, done);
    }

    pub(super) fn put(&mut self, wanted: Wanted, done: Done) {
        match self.checked(wanted) {
            Ok(entry) => {
                let id = entry.plugin.id().to_owned();
                let change: Change = Box::new(move |roster: &Roster| roster.with(entry.clone()));
                self.adopt_asked(&id, change, done);
            }
            Err(e) => done(Err(e)),
        }
    }

    /// What is wanted as an entry, when nothing speaks against it that can be
    /// seen without loading it.
    fn checked(&self, wanted: Wanted) -> Result<Entry, AdminError> {
        let Wanted { mut plugin, bundle, consent } = wanted;
        let id = plugin.id().to_owned();
        let before = self.roster.get(&id).map(|entry| entry.plugin.grant.clone());
        plugin.grant = plugin.grant.unmasked(&before.unwrap_or_default()).map_err(|name| {
            AdminError::Conflict(format!("the secret {name:?} was never given; give it"))
        })?;
        unmask_settings(&mut plugin, self.roster.get(&id).ok().map(|entry| &entry.plugin))?;
        let dangers = permission::dangers(&plugin.grant);
        // A word for what is not granted would hold for a later grant unasked.
        plugin.confirm.retain(|word| dangers.iter().any(|danger| danger.name == *word));
        let missing: Vec<_> =
            dangers.into_iter().filter(|danger| !plugin.confirm.contains(&danger.name)).collect();
        if !missing.is_empty() {
            let (names, texts) = missing.into_iter().map(|d| (d.name, d.text)).unzip();
            return Err(AdminError::Confirm { names, texts });
        }
        let source = match bundle {
            None => Source::Shipped,
            Some(digest) if self.loader.library.has(&digest) => Source::Uploaded(digest),
            Some(digest) => {
                return Err(AdminError::Unknown(format!("there is no uploaded bundle {digest}")));
            }
        };
        let (since_unix_ms, verified) = match self.roster.get(&id) {
            Ok(before) if before.source == source => {
                (before.since_unix_ms, before.verified.clone())
            }
            _ => (clock::unix_ms(), None),
        };
        // Whoever names no mark has seen nothing; an empty one fits nothing.
        let consent = Some(Digest::from(consent.unwrap_or_default()));
        let previous = None;
        let mut entry = Entry { plugin, source, consent, since_unix_ms, verified, previous };
        // Consent is asked for a plugin that is to be off as well.
        if !entry.plugin.enabled {
            let seen = self.look(&entry).map_err(admin_error)?;
            let before = self.slots.get(&id);
            accepted(&entry, before.as_deref(), &seen.manifest, &seen.signer)?;
            entry.verified = Some(Verified::new(&seen.manifest.version, &seen.signer));
        }
        Ok(entry)
    }

    /// What the bundle of an entry says about itself.
    fn look(&self, entry: &Entry) -> Result<Seen, Refusal> {
        let file = self.loader.library.find(entry);
        let seen = file.and_then(|file| load::inspect(&file, &self.trust().0));
        seen.map_err(|refusal| refusal.of(entry))
    }

    pub(super) fn remove(&mut self, id: &str) -> Result<(), AdminError> {
        let next = self.roster.without(id)?;
        let points = self.roster.get(id)?.plugin.points.clone();
        self.keep(next)?;
        self.unload(id);
        let ended = self.end(id);
        self.forget_reports(|name| name != id);
        ended?;
        self.slots.remove(id);
        self.retract(&points);
        if let Some(store) = &self.shared.services.store {
            // Installed again, a notifier begins at that moment.
            let gone = kv::forget(store, id).and_then(|()| store.keep_told(id, None).wait());
            if let Err(e) = gone {
                warn!(plugin = id, "what it had kept is not gone: {}", failure::chain(&e));
            }
        }
        heap::give_back();
        Ok(())
    }

    fn forget_reports(&self, to_keep: impl Fn(&str) -> bool) {
        let reports = self.shared.services.reports.as_ref();
        if let Some(Err(e)) = reports.map(|reports| reports.forget_but(to_keep)) {
            warn!("failures of plugins that were removed are still kept, check the disk: {e}");
        }
    }

    pub(super) fn detail(&mut self, id: &str) -> Result<PluginDetail, AdminError> {
        let entry = self.roster.get(id)?;
        let unknown = || AdminError::Unknown(format!("there is no plugin {id:?}"));
        let slot = self.slots.get(id).ok_or_else(unknown)?;
        let seen = match slot.facts() {
            Some(facts) => {
                Some(Seen { manifest: facts.manifest.clone(), signer: facts.signer.clone() })
            }
            // One that is off was not loaded.
            None => self.look(entry).ok(),
        };
        let shipped = entry.source == Source::Shipped;
        let mark = seen.as_ref().map(|seen| mark(shipped, &seen.manifest, &seen.signer));
        Ok(PluginDetail {
            status: slot.board.status(),
            plugin: masked(&entry.plugin, seen.as_ref().map(|seen| &seen.manifest)),
            dangers: dangers(&entry.plugin),
            delivery: None,
            bundle: match &entry.source {
                Source::Uploaded(digest) => Some(digest.clone()),
                Source::Shipped => None,
            },
            permissions: seen.as_ref().map(|seen| asked(&seen.manifest)).unwrap_or_default(),
            consented: mark.is_some() && entry.consent == mark,
            signer: seen.map(|seen| seen.signer.name).unwrap_or_default(),
            can_roll_back: entry.previous.is_some(),
            log: slot.log.lines(),
        })
    }

    /// How a plugin that is installed failed.
    pub(super) fn reports(&mut self, id: &str) -> Result<Vec<Report>, AdminError> {
        self.roster.get(id)?;
        let reports = self.shared.services.reports.as_ref();
        Ok(reports.map_or_else(Vec::new, |reports| reports.of(id)))
    }

    /// What repeats one of these failures.
    pub(super) fn recording(&mut self, id: &str, unix_ms: u64) -> Result<Vec<u8>, AdminError> {
        self.roster.get(id)?;
        let reports = self.shared.services.reports.as_ref();
        let found = reports.map_or(Ok(None), |reports| reports.recording(id, unix_ms));
        let disk = |e: io::Error| AdminError::Store(format!("the recording cannot be read: {e}"));
        let gone = || {
            let text = format!("there is no recording of a failure of {id:?} at {unix_ms}");
            AdminError::Unknown(format!("{text}; the last three are kept"))
        };
        found.map_err(disk)?.ok_or_else(gone)
    }

    /// Look at every bundle, beside this thread.
    pub(super) fn bundles(
        &self,
        done: impl FnOnce(Result<Vec<BundleInfo>, AdminError>) + Send + 'static,
    ) {
        let then = move |listed: io::Result<Vec<BundleInfo>>| {
            let failed = |e| AdminError::Store(format!("bundles cannot be listed: {e}"));
            done(listed.map_err(failed));
        };
        // Who asked sees that no answer comes.
        self.loader
            .list(self.trust().0, self.trusted, then)
            .unwrap_or_else(|e| error!("bundles cannot be listed, there is no thread left: {e}"));
    }

    pub(super) fn upload(&mut self, raw: Vec<u8>) -> Result<BundleInfo, AdminError> {
        let (trust, _) = self.trust();
        // Nothing is kept that nobody signed.
        let info = usable(&raw, &trust)?;
        self.loader.library.keep(&raw)?;
        self.loader.compile_ahead(raw, trust);
        Ok(info)
    }

    /// What an upload would be, without keeping it.
    pub(super) fn inspect(&self, raw: &[u8]) -> Result<BundleInfo, AdminError> {
        usable(raw, &self.trust().0)
    }

    pub(super) fn delete_bundle(&mut self, digest: &str) -> Result<(), AdminError> {
        if self.roster.needs(digest) {
            let text = "a plugin runs it or could go back to it; remove that one first";
            return Err(AdminError::Conflict(text.to_owned()));
        }
        Ok(self.loader.library.remove(digest)?)
    }
}

/// Something that somebody wants and that is loaded first.
struct Wish {
    number: u64,
    /// What was trusted when it was judged.
    trusted: u64,
    entry: Entry,
    change: Change,
    done: Done,
}

/// Whether a person accepted what the manifest asks for. An entry of the
/// configuration file that was not asked yet accepts what it finds.
pub(super) fn accepted(
    entry: &Entry,
    before: Option<&Slot>,
    manifest: &PluginManifest,
    signer: &SignerName,
) -> Result<(), Unaccepted> {
    let Some(consent) = &entry.consent else { return Ok(()) };
    let shipped = entry.source == Source::Shipped;
    let mark = mark(shipped, manifest, signer);
    if *consent == mark {
        return Ok(());
    }
    let mut added = Vec::new();
    if let Some(facts) = before.and_then(Slot::facts) {
        added = permission::added(&facts.manifest, manifest);
        if !shipped && facts.signer.id != signer.id {
            let (now, then) = (&signer.name, &facts.signer.name);
            added.push(format!("act in the name of another signer: {now}, no longer {then}"));
        }
    }
    if added.is_empty() {
        added = all_words(manifest);
    }
    Err(Unaccepted { mark: mark.as_str().to_owned(), added })
}

fn admin_error(refusal: Refusal) -> AdminError {
    match *refusal.reason {
        Reason::Unaccepted(unaccepted) => unaccepted.into(),
        _ => AdminError::Refused(reason(&refusal)),
    }
}

fn no_descriptor() -> AdminError {
    AdminError::Store("the system has no descriptor left; restart the appliance".to_owned())
}

impl From<Unaccepted> for AdminError {
    fn from(Unaccepted { mark, added }: Unaccepted) -> Self {
        Self::Consent { mark, added }
    }
}

impl From<RosterError> for AdminError {
    fn from(error: RosterError) -> Self {
        match error {
            RosterError::Unknown { .. } => Self::Unknown(error.to_string()),
            _ => Self::Conflict(error.to_string()),
        }
    }
}

impl From<LibraryError> for AdminError {
    fn from(error: LibraryError) -> Self {
        match error {
            LibraryError::Full => Self::Conflict(error.to_string()),
            LibraryError::Unknown { .. } => Self::Unknown(error.to_string()),
            LibraryError::Disk(_) => Self::Store(failure::chain(&error)),
        }
    }
}

/// On Linux a "process" here is a thread, and none means this one.
fn be_nice() {
    if let Err(errno) = rustix::process::setpriority_process(None, NICE) {
        warn!("the priority of a plugin thread cannot be lowered: {errno}");
    }
}
