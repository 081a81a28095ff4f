//! The managing thread: makes what runs equal to the roster.
//!
//! It loads plugins one after the other, at low priority, starts and stops
//! their [slots](super::slot), and carries out what administrators want, each
//! request whole or not at all. A change is checked, then kept in the store,
//! then put in place; an update is loaded before the version that it replaces
//! is stopped, so that a refused one changes nothing.

use crate::caps::kv;
use crate::config::PluginGrant;
use crate::plugin::compile::Compiler;
use crate::plugin::describe::{
    all_words, asked, dangers, info_of, mark, masked, unmask_settings, usable,
};
use crate::plugin::library::{Library, LibraryError};
use crate::plugin::load::{self, Package, Reason, Refusal, Seen, SignerName, Unaccepted};
use crate::plugin::permission::{self, Digest};
use crate::plugin::reason;
use crate::plugin::report::Report;
use crate::plugin::roster::{Entry, Roster, RosterError, Source, Withdrawn};
use crate::plugin::slot::{Handover, Shared, Slot};
use crate::plugin::supervisor::{GRACE, KILL_GRACE, Order, RosterStore, Slots};
use crate::plugin::trusted::{self, Places, Problem};
use crate::plugin::vault::{self, Place, Vault};
use crate::plugin_admin::{AdminError, BundleInfo, KeyInfo, PluginDetail, Wanted};
use crate::plugin_status::PluginState;
use crate::{clock, failure};
use evenkeel_core::events::Event;
use evenkeel_signing::{KeyRefusal, PluginManifest, PublicKey, Trust};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use tracing::{error, info, warn};

/// Plugins come after the rest of the daemon, and far after the guard. The same
/// for loading and running: a thread inherits it, and nobody but root may go
/// back to less.
const NICE: i32 = 10;

/// The managing thread's own.
pub(super) struct Manager {
    pub(super) compiler: Compiler,
    pub(super) places: Places,
    pub(super) library: Library,
    pub(super) store: Box<dyn RosterStore>,
    pub(super) vault: Vault,
    pub(super) roster: Roster,
    pub(super) slots: Slots,
    /// What those that run will hand over.
    pub(super) running: BTreeMap<String, Handover>,
    pub(super) stopping: Arc<AtomicBool>,
    pub(super) shared: Shared,
}

impl Manager {
    /// Read the roster, apply the configuration file to it, and show what is
    /// in it. Returns whether it is to be kept.
    pub(super) fn prepare(&mut self, provisioned: &[PluginGrant]) -> bool {
        let kept = self.store.load().and_then(|text| match text {
            Some(text) => self.opened(&text).map_err(|e| format!("it makes no sense: {e}")),
            None => Ok((Roster::default(), false)),
        });
        let known = kept.is_ok();
        let (kept, was_plain) = kept.unwrap_or_else(|why| {
            error!(
                "the list of plugins cannot be read, only those of the configuration run: {why}"
            );
            (Roster::default(), false)
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
        for slot in self.slots.all().iter().filter(|slot| slot.plugin.enabled) {
            if self.stopping.load(Ordering::Acquire) {
                slot.board.enter(PluginState::Stopped);
                continue;
            }
            self.start(slot, &trust);
        }
        while !self.stopping.load(Ordering::Acquire) {
            let Ok(order) = orders.recv() else { return };
            order(&mut self);
        }
    }

    /// Load and start a plugin; refused, its slot says so.
    fn start(&mut self, slot: &Arc<Slot>, trust: &Trust) {
        let id = slot.who.name.clone();
        let loaded = match self.roster.get(&id) {
            Ok(entry) => self.load(entry, trust),
            Err(_) => return,
        };
        match loaded {
            Ok(package) => {
                self.accept_first(&id, &package.manifest);
                self.prove(&id, package.manifest.security_version);
                self.run_in(slot, package, None);
            }
            Err(refusal) => slot.refuse(&refusal.file, &reason(&refusal), &self.shared.events),
        }
    }

    fn run_in(&mut self, slot: &Arc<Slot>, package: Package, previous: Option<Vec<u8>>) {
        let handover = slot.spawn(package, previous, &self.shared);
        self.running.insert(slot.who.name.clone(), handover);
    }

    /// An entry of the configuration file accepts what it finds the first time.
    fn accept_first(&mut self, id: &str, manifest: &PluginManifest) {
        if self.roster.get(id).is_ok_and(|entry| entry.consent.is_none()) {
            let next = self.roster.consented(id, &Digest::of(manifest));
            if let Err(e) = self.save(&next) {
                warn!("consent to plugin {id:?} is not kept: {e}");
            }
            self.roster = next;
        }
    }

    fn load(&self, entry: &Entry, trust: &Trust) -> Result<Package, Refusal> {
        let file = self.library.find(entry)?;
        let locked = vault::locked(&entry.plugin);
        if !locked.is_empty() {
            let reason = Box::new(Reason::Locked { lines: locked.join(", ") });
            return Err(Refusal { file, signer: None, reason });
        }
        let accept =
            |manifest: &PluginManifest, signer: &SignerName| self.accepted(entry, manifest, signer);
        let loaded = load::load_accepted(&self.compiler, trust, &file, &entry.plugin, accept);
        let package =
            loaded.map_err(|refusal| match self.roster.is_provisioned(entry.plugin.id()) {
                true => refusal,
                false => refusal.in_console(),
            })?;
        info!(
            plugin = entry.plugin.id(),
            signer = package.signer,
            "{} verified in {} ms, code from {:?} in {} ms, linked in {} ms",
            file.display(),
            package.cost.verify.as_millis(),
            package.code,
            package.cost.compile.as_millis(),
            package.cost.link.as_millis(),
        );
        Ok(package)
    }

    /// Whether a person accepted what the manifest asks for. An entry of the
    /// configuration file that was not asked yet accepts what it finds.
    fn accepted(
        &self,
        entry: &Entry,
        manifest: &PluginManifest,
        signer: &SignerName,
    ) -> Result<(), Unaccepted> {
        let Some(consent) = &entry.consent else { return Ok(()) };
        let shipped = entry.source == Source::Shipped;
        let mark = mark(shipped, manifest, signer);
        if *consent == mark {
            return Ok(());
        }
        let before = self.slots.get(entry.plugin.id());
        let mut added = Vec::new();
        if let Some(facts) = before.as_ref().and_then(|slot| slot.facts()) {
            added = permission::added(&facts.manifest, manifest);
            if !shipped && facts.signer_id != signer.id {
                let (now, then) = (&signer.name, &facts.signer);
                added.push(format!("act in the name of another signer: {now}, no longer {then}"));
            }
        }
        if added.is_empty() {
            added = all_words(manifest);
        }
        Err(Unaccepted { mark: mark.as_str().to_owned(), added })
    }

    /// Put `next` in place of the roster, as far as the plugin `id` goes: the
    /// new copy is loaded first, then the roster kept, then the old one stopped.
    pub(super) fn adopt(&mut self, next: Roster, id: &str) -> Result<(), AdminError> {
        let entry = next.get(id)?.clone();
        let package = match entry.plugin.enabled {
            true => Some(self.load(&entry, &self.trust().0).map_err(admin_error)?),
            false => None,
        };
        self.place(next, &entry, package)
    }

    /// The rest of [`adopt`](Self::adopt), once the new copy is loaded.
    fn place(
        &mut self,
        next: Roster,
        entry: &Entry,
        package: Option<Package>,
    ) -> Result<(), AdminError> {
        let id = entry.plugin.id();
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

    /// Keys that count first, then those that do not.
    pub(super) fn keys(&self) -> Vec<KeyInfo> {
        let (trust, _) = self.trust();
        let trusted = trust.trusted().signers().map(|signer| KeyInfo {
            id: signer.id().to_string(),
            name: signer.name().to_owned(),
            fingerprint: signer.fingerprint(),
            origin: signer.origin().to_string(),
            refused: None,
        });
        let refused = trust.refused().iter().map(|row| KeyInfo {
            id: row.key.id.to_string(),
            name: row.key.name.clone(),
            fingerprint: row.key.id.fingerprint(),
            origin: String::new(),
            refused: Some(match &row.why {
                KeyRefusal::Revoked { reason } => format!("revoked by the platform: {reason}"),
                KeyRefusal::Withdrawn { reason } => format!("withdrawn here: {reason}"),
                KeyRefusal::Development => "a development key, in production".to_owned(),
            }),
        });
        trusted.chain(refused).collect()
    }

    pub(super) fn add_key(&mut self, text: &str, fingerprint: &str) -> Result<KeyInfo, AdminError> {
        let refused = |e: &dyn std::error::Error| AdminError::Refused(reason(e));
        let key = PublicKey::parse(text).map_err(|e| refused(&e))?;
        let typed = |text: &str| text.split_whitespace().collect::<String>().to_ascii_lowercase();
        if typed(fingerprint) != typed(&key.fingerprint()) {
            let found = key.fingerprint();
            return Err(AdminError::Refused(format!(
                "the fingerprint of this key is {found}, not the one that you gave; do not trust \
                it unless the vendor says so"
            )));
        }
        let (mut trust, _) = self.trust();
        let id = key.id().to_string();
        let line = key.to_text();
        trust.add_vendor_key(key).map_err(|e| refused(&e))?;
        let mut next = self.roster.clone();
        next.decisions.vendor_keys.push(line);
        self.save(&next)?;
        self.roster = next;
        let added = self.keys().into_iter().find(|key| key.id == id);
        added.ok_or_else(|| AdminError::Conflict("the key is not in force".to_owned()))
    }

    pub(super) fn withdraw_key(&mut self, id: &str, why: &str) -> Result<(), AdminError> {
        let unknown = || AdminError::Unknown(format!("there is no key {id:?}"));
        let key = self.keys().into_iter().find(|key| key.id == id).ok_or_else(unknown)?;
        let id = trusted::key_id(id).ok_or_else(unknown)?;
        let (mut trust, _) = self.trust();
        trust.revoke_key(id, &key.name, why).map_err(|e| AdminError::Refused(reason(&e)))?;
        let mut next = self.roster.clone();
        let row = Withdrawn { id: id.0, name: key.name, reason: why.to_owned() };
        next.decisions.withdrawn.retain(|row| row.id != id.0);
        next.decisions.withdrawn.push(row);
        self.save(&next)?;
        self.roster = next;
        self.judge_again();
        Ok(())
    }

    pub(super) fn restore_key(&mut self, id: &str) -> Result<(), AdminError> {
        let known = trusted::key_id(id);
        let mut next = self.roster.clone();
        next.decisions.withdrawn.retain(|row| Some(row.id) != known.map(|id| id.0));
        if next == self.roster {
            return Err(AdminError::Unknown(format!("no trust was withdrawn from {id:?}")));
        }
        self.save(&next)?;
        self.roster = next;
        Ok(())
    }

    pub(super) fn put_keyring(&mut self, raw: &[u8]) -> Result<(), AdminError> {
        let (mut trust, _) = self.trust();
        let accepted = trusted::accept(&self.places, &mut trust, raw);
        let sequence = accepted.map_err(|e| AdminError::Refused(reason(&e)))?;
        let mut next = self.roster.clone();
        next.decisions.keyring_sequence = sequence;
        self.save(&next)?;
        self.roster = next;
        self.judge_again();
        Ok(())
    }

    /// Whom we trust has changed: what would be refused now runs no more.
    fn judge_again(&mut self) {
        let (trust, _) = self.trust();
        let entries: Vec<_> = self
            .roster
            .entries()
            .filter(|(id, entry)| entry.plugin.enabled && self.running.contains_key(*id))
            .map(|(id, entry)| (id.to_owned(), entry.clone()))
            .collect();
        for (id, entry) in entries {
            let seen = self.library.find(&entry).and_then(|file| load::inspect(&file, &trust));
            let Err(refusal) = seen else { continue };
            if let Err(e) = self.end(&id) {
                error!(plugin = id, "it is not trusted any more and does not end: {e}");
            }
            if let Some(slot) = self.slots.get(&id) {
                slot.refuse(&refusal.file, &reason(&refusal), &self.shared.events);
                self.retract(&entry.plugin.points);
            }
        }
    }

    /// A version that has stood the test is not gone back behind.
    fn prove(&mut self, id: &str, security_version: u32) {
        let Ok(entry) = self.roster.get(id) else { return };
        let name = entry.plugin.name.clone();
        let proven = self.roster.decisions.proven.get(&name).copied().unwrap_or(0);
        if entry.on_probation(clock::unix_ms()) || security_version <= proven {
            return;
        }
        let mut next = self.roster.clone();
        next.decisions.proven.insert(name, security_version);
        match self.save(&next) {
            Ok(()) => self.roster = next,
            Err(e) => warn!(plugin = id, "its security version is not kept: {e}"),
        }
    }

    fn trust(&self) -> (Trust, Vec<Problem>) {
        trusted::load(&self.places, &self.roster.decisions)
    }

    fn save(&mut self, roster: &Roster) -> Result<(), AdminError> {
        let failed = |why| AdminError::Store(format!("the list of plugins is not kept: {why}"));
        let sealed = self.vault.seal(&roster.to_text()).map_err(|e| failed(failure::chain(&e)))?;
        self.store.save(&sealed).map_err(failed)
    }

    /// A plugin stays off. When its version is new, the one before comes back.
    pub(super) fn gave_up(&mut self, id: &str) {
        let on_probation =
            self.roster.get(id).is_ok_and(|entry| entry.on_probation(clock::unix_ms()));
        // A copy that was replaced meanwhile has no say.
        let is_off = self.slots.get(id).is_some_and(|slot| {
            matches!(slot.board.status().state, PluginState::Quarantined | PluginState::Refused)
        });
        if !on_probation || !is_off || self.stopping.load(Ordering::Acquire) {
            return;
        }
        let why = self.slots.get(id).and_then(|slot| slot.board.status().last_error);
        let back = self.roster.rolled_back(id).map_err(AdminError::from);
        let name = id.to_owned();
        match back.and_then(|next| self.adopt(next, id)) {
            Ok(()) => {
                let reason = why.unwrap_or_default();
                warn!(plugin = id, "the version before is back: {reason}");
                (self.shared.events)(Event::PluginRolledBack { name, reason });
            }
            Err(e) => error!(plugin = id, "the version before does not come back: {e}"),
        }
    }

    pub(super) fn put(&mut self, wanted: Wanted) -> Result<(), AdminError> {
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
            Some(digest) if self.library.has(&digest) => Source::Uploaded(digest),
            Some(digest) => {
                return Err(AdminError::Unknown(format!("there is no uploaded bundle {digest}")));
            }
        };
        let since_unix_ms = match self.roster.get(&id) {
            Ok(before) if before.source == source => before.since_unix_ms,
            _ => clock::unix_ms(),
        };
        // Whoever names no mark has seen nothing; an empty one fits nothing.
        let consent = Some(Digest::from(consent.unwrap_or_default()));
        let entry = Entry { plugin, source, consent, since_unix_ms, previous: None };
        let next = self.roster.with(entry.clone())?;
        // Consent is asked for a plugin that is to be off as well.
        let package = match entry.plugin.enabled {
            true => Some(self.load(&entry, &self.trust().0).map_err(admin_error)?),
            false => {
                let seen = self.look(&entry).map_err(admin_error)?;
                let accepted = self.accepted(&entry, &seen.manifest, &seen.signer);
                accepted.map_err(AdminError::from)?;
                None
            }
        };
        let entry = next.get(&id)?.clone();
        self.place(next, &entry, package)
    }

    /// What the bundle of an entry says about itself.
    fn look(&self, entry: &Entry) -> Result<Seen, Refusal> {
        load::inspect(&self.library.find(entry)?, &self.trust().0)
    }

    pub(super) fn remove(&mut self, id: &str) -> Result<(), AdminError> {
        let next = self.roster.without(id)?;
        let points = self.roster.get(id)?.plugin.points.clone();
        self.save(&next)?;
        self.roster = next;
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
            Some(facts) => Some(Seen {
                manifest: facts.manifest.clone(),
                signer: SignerName { name: facts.signer.clone(), id: facts.signer_id.clone() },
            }),
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

    pub(super) fn bundles(&mut self) -> Result<Vec<BundleInfo>, AdminError> {
        let (trust, _) = self.trust();
        let disk = |e: io::Error| AdminError::Store(format!("bundles cannot be listed: {e}"));
        let shipped = self.library.shipped().map_err(disk)?;
        let uploads = self.library.uploads().map_err(disk)?;
        let shipped = shipped.into_iter().map(|path| (path, true));
        let uploads = uploads.iter().map(|digest| (self.library.path(digest), false));
        Ok(shipped.chain(uploads).map(|(path, shipped)| info_of(&path, shipped, &trust)).collect())
    }

    pub(super) fn upload(&mut self, raw: &[u8]) -> Result<BundleInfo, AdminError> {
        let (trust, _) = self.trust();
        // Nothing is kept that nobody signed.
        let info = usable(raw, &trust)?;
        self.library.keep(raw)?;
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
        Ok(self.library.remove(digest)?)
    }
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
