//! Loading beside the managing thread.
//!
//! To verify a bundle takes long on a small appliance, and to compile one up to
//! [`WALL_MAX`](super::compile::helper::WALL_MAX); whoever wrote it decides. So
//! the managing thread only says what is to be loaded, goes on with what others
//! want, and is told the outcome as one more order.
//!
//! What was found may be out of date by then. The managing thread compares
//! before it uses it; here is no state of its own.

use crate::plugin::compile::Compiler;
use crate::plugin::describe::info_of;
use crate::plugin::library::Library;
use crate::plugin::load::{self, Package, Reason, Refusal};
use crate::plugin::manager::{Manager, accepted};
use crate::plugin::reason;
use crate::plugin::roster::Entry;
use crate::plugin::slot::Slot;
use crate::plugin::supervisor::Order;
use crate::plugin::vault;
use crate::plugin_admin::BundleInfo;
use evenkeel_signing::Trust;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::thread;
use std::time::{Instant, SystemTime};
use tracing::info;

/// Threads that load what is switched on when the appliance starts: one slow
/// bundle does not hold up the others.
const STARTERS: usize = 2;
/// Bundles that are loaded at the same time because somebody asked for it.
pub(super) const ASKED_MAX: usize = 4;

/// What loads.
#[derive(Clone)]
pub(super) struct Loader {
    pub(super) compiler: Arc<Compiler>,
    pub(super) library: Library,
    pub(super) orders: Sender<Order>,
    pub(super) shelf: Arc<Mutex<Shelf>>,
    /// Held while an upload is compiled ahead: one at a time.
    pub(super) ahead: Arc<Mutex<()>>,
}

/// Something to be loaded.
pub(super) struct Job {
    pub(super) entry: Entry,
    /// What was loaded of it before.
    pub(super) before: Option<Arc<Slot>>,
    pub(super) trust: Trust,
    /// A configuration file speaks of it.
    pub(super) provisioned: bool,
    /// Told what came of it, by the managing thread.
    pub(super) then: Then,
}

/// What the managing thread does with what was loaded.
pub(super) type Then = Box<dyn FnOnce(&mut Manager, Result<Package, Refusal>) + Send>;

impl Loader {
    /// Load these one after the other, with [`STARTERS`] at the same time.
    pub(super) fn start(&self, jobs: VecDeque<Job>) -> io::Result<()> {
        let jobs = Arc::new(Mutex::new(jobs));
        (0..STARTERS).try_for_each(|_| {
            let (this, jobs) = (self.clone(), Arc::clone(&jobs));
            let next = move || jobs.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            spawn(move || {
                while let Some(job) = next() {
                    this.run(job);
                }
            })
        })
    }

    /// Load one now.
    pub(super) fn load(&self, job: Job) -> io::Result<()> {
        let this = self.clone();
        spawn(move || this.run(job))
    }

    /// Make the machine code of an upload while a person reads what it asks for.
    /// With another one at work it is made when it is installed.
    pub(super) fn compile_ahead(&self, raw: Vec<u8>, trust: Trust) {
        if !self.compiler.keeps_code() {
            return;
        }
        let this = self.clone();
        let spawned = spawn(move || {
            let _alone = match this.ahead.try_lock() {
                Ok(alone) => alone,
                // It guards nothing that a panic could have left half done.
                Err(TryLockError::Poisoned(alone)) => alone.into_inner(),
                Err(TryLockError::WouldBlock) => return,
            };
            let begun = Instant::now();
            match load::compile_ahead(&this.compiler, &trust, &raw) {
                Ok(code) => {
                    let ms = begun.elapsed().as_millis();
                    info!("an upload is ready to be installed, code from {code:?} in {ms} ms");
                }
                Err(why) => {
                    info!("an upload will be refused when it is installed: {}", reason(&why));
                }
            }
        });
        // It is tried again when it is installed, and told then.
        if let Err(error) = spawned {
            info!("an upload is not compiled ahead, there is no thread left: {error}");
        }
    }

    /// Look at every bundle, and tell `then`.
    pub(super) fn list(
        &self,
        trust: Trust,
        trusted: u64,
        then: impl FnOnce(io::Result<Vec<BundleInfo>>) + Send + 'static,
    ) -> io::Result<()> {
        let this = self.clone();
        spawn(move || {
            let mut shelf = this.shelf.lock().unwrap_or_else(PoisonError::into_inner);
            let listed = shelf.list(&this.library, &trust, trusted);
            drop(shelf);
            then(listed);
        })
    }

    fn run(&self, job: Job) {
        let loaded = self.package(&job);
        let then = job.then;
        // A manager that is gone has no use for it.
        let _ = self.orders.send(Box::new(move |manager| then(manager, loaded)));
    }

    fn package(&self, job: &Job) -> Result<Package, Refusal> {
        self.found(job).map_err(|refusal| refusal.of(&job.entry))
    }

    fn found(&self, job: &Job) -> Result<Package, Refusal> {
        let Job { entry, before, trust, provisioned, .. } = job;
        let file = self.library.find(entry)?;
        let locked = vault::locked(&entry.plugin);
        if !locked.is_empty() {
            return Err(Refusal::of_file(&file, Reason::Locked { lines: locked.join(", ") }));
        }
        let before = before.as_deref();
        let package =
            load::load_accepted(&self.compiler, trust, &file, &entry.plugin, |manifest, signer| {
                accepted(entry, before, manifest, signer)
            });
        let package = package.map_err(|refusal| match provisioned {
            true => refusal,
            false => refusal.in_console(),
        })?;
        info!(
            plugin = entry.plugin.id(),
            signer = package.signer.name,
            "{} verified in {} ms, code from {:?} in {} ms, linked in {} ms",
            file.display(),
            package.cost.verify.as_millis(),
            package.code,
            package.cost.compile.as_millis(),
            package.cost.link.as_millis(),
        );
        Ok(package)
    }
}

fn spawn(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name("plugin-loader".into()).spawn(work).map(|_| ())
}

/// What is known of the bundles on the disk, so that each is read and verified
/// once and not for every page.
#[derive(Default)]
pub(super) struct Shelf {
    /// Which state of the trust it was judged by.
    trusted: u64,
    known: BTreeMap<PathBuf, (Stamp, BundleInfo)>,
}

/// By what a file is taken for the same as before.
type Stamp = (u64, Option<SystemTime>);

impl Shelf {
    fn list(
        &mut self,
        library: &Library,
        trust: &Trust,
        trusted: u64,
    ) -> io::Result<Vec<BundleInfo>> {
        if self.trusted != trusted {
            *self = Self { trusted, known: BTreeMap::new() };
        }
        let shipped = library.shipped()?.into_iter().map(|path| (path, true));
        let uploads = library.uploads()?;
        let uploads = uploads.iter().map(|digest| (library.path(digest), false));
        let mut known = BTreeMap::new();
        let mut list = Vec::new();
        for (path, shipped) in shipped.chain(uploads) {
            let stamp = stamp(&path);
            let info = match self.known.remove(&path) {
                Some((then, info)) if Some(then) == stamp => info,
                _ => info_of(&path, shipped, trust),
            };
            list.push(info.clone());
            if let Some(stamp) = stamp {
                known.insert(path, (stamp, info));
            }
        }
        self.known = known;
        Ok(list)
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = path.metadata().ok()?;
    Some((metadata.len(), metadata.modified().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::fixture::{self, DRIVER_IMPORTS, Fixture};

    #[test]
    fn a_bundle_is_verified_once_and_again_when_it_or_the_trust_changes() {
        let fixture = Fixture::new();
        let manifest = fixture::manifest(&DRIVER_IMPORTS);
        let raw = fixture.seal(&manifest, &fixture::idle());
        std::fs::write(fixture.file(), &raw).expect("written");
        let library = Library::new(fixture.dir.path(), &fixture.dir.path().join("data"));
        let mut shelf = Shelf::default();
        let mut versions = |trust: &Trust, trusted| {
            let list = shelf.list(&library, trust, trusted).expect("read");
            list.into_iter().map(|info| (info.version, info.problem.is_some())).collect::<Vec<_>>()
        };
        assert_eq!(versions(&fixture.trust, 0), [("0.1.0".to_owned(), false)]);
        // Nobody is trusted, and nobody looked.
        assert_eq!(versions(&fixture::nobody(), 0), [("0.1.0".to_owned(), false)]);
        assert_eq!(versions(&fixture::nobody(), 1), [(String::new(), true)]);
        assert_eq!(versions(&fixture.trust, 2), [("0.1.0".to_owned(), false)]);
        let mut next = manifest;
        next.version = "0.10.0".into();
        std::fs::write(fixture.file(), fixture.seal(&next, &fixture::idle())).expect("written");
        assert_eq!(versions(&fixture.trust, 2)[0].0, "0.10.0");
        std::fs::remove_file(fixture.file()).expect("removed");
        assert!(versions(&fixture.trust, 2).is_empty());
    }
}
