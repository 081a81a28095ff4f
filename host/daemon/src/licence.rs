//! Licences: the appliance's serial number, the licence files, and the edition
//! in force.
//!
//! A file in `<data_dir>/licences/` is verified against the trusted licence
//! keys before anybody looks into it, each time anew: a key that is taken back
//! takes its licences along. What was verified goes to the licence gate, a
//! plugin, whose verdict [`evenkeel_core::licence::Edition`] weighs; the limits
//! hold in the hub at once ([`Hub::set_limits`]). The edition is kept in
//! `<data_dir>/edition.json`, so that a restart changes nothing.
//!
//! The gate is asked at the start, when a licence or a plugin changes, when its
//! verdict says so, and once a day.

use crate::caps::one_line;
use crate::clock;
use crate::failure::chain;
use crate::files::{private_dir, write_private};
use crate::hub::Hub;
use crate::plugin::Supervisor;
use crate::plugin::bindings::gate;
use crate::plugin::world::World;
use crate::store::Store;
use evenkeel_core::events::Event;
use evenkeel_core::licence::{Answer, Edition, Limits, Verdict};
use evenkeel_core::time::Nanos;
use evenkeel_signing::{Digest, Refusal, Serial, Trust};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Ending of licence files.
pub const FILE_EXTENSION: &str = "evkl";
/// Longest licence file, bytes.
pub const FILE_LEN_MAX: usize = 16 << 10;
/// Most licence files.
pub const FILES_MAX: usize = 16;
/// The serial number, in the data directory.
pub const SERIAL: &str = "serial";
const EDITION: &str = "edition.json";
/// Longest time in which a gate judges.
const JUDGE_MAX: Duration = Duration::from_secs(5);
/// A clock before this (2025) was never set.
const DATE_MIN_S: u64 = 1_735_689_600;
/// While only the grace runs, it is written this often.
const GRACE_KEPT_EVERY_S: u64 = 600;

/// What a gate is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The appliance's serial number.
    pub serial: String,
    /// Seconds since 1970; `None` while the date is not known.
    pub utc_s: Option<u64>,
    /// Name and signed payload of each verified licence.
    pub licences: Vec<(String, Vec<u8>)>,
}

/// Somebody who judges the edition.
pub trait Gate: Send + Sync {
    /// Who judged, and what; may take seconds.
    ///
    /// # Errors
    /// Why nobody did, for people.
    fn judge(&self, case: &Case) -> Result<(String, Verdict), String>;
}

/// Where no plugin runs, nobody judges.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoGate;

impl Gate for NoGate {
    fn judge(&self, _case: &Case) -> Result<(String, Verdict), String> {
        Err("no plugin runs, so no licence gate does".to_owned())
    }
}

impl Gate for Supervisor {
    // Who may sign a gate is decided where plugins are loaded.
    fn judge(&self, case: &Case) -> Result<(String, Verdict), String> {
        let mut why = "no licence gate runs; install the plugin licence-lc".to_owned();
        for slot in self.of_world(World::LicenceGate) {
            let case = case.clone();
            let keys = case.licences.into_iter();
            let keys: Vec<_> = keys.map(|(name, payload)| gate::Key { name, payload }).collect();
            let asked = slot.inbox.ask_within(JUDGE_MAX, move |instance| {
                instance.judge(&case.serial, case.utc_s, &keys)
            });
            match asked {
                Ok(gate::Verdict { edition, blocks, ups_va, until, reason }) => {
                    let version = slot.facts().map_or("", |facts| facts.manifest.version.as_str());
                    let limits = Limits { blocks, ups_va };
                    let verdict = Verdict { edition, limits, until_s: until, reason };
                    return Ok((format!("{} {version}", slot.who.name), verdict));
                }
                Err(undone) => why = format!("licence gate {}: {undone}", slot.who.name),
            }
        }
        Err(why)
    }
}

/// Whom the appliance trusts at this instant.
pub type TrustNow = Box<dyn Fn() -> Trust + Send + Sync>;

/// A licence file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LicenceFile {
    /// Its name.
    pub name: String,
    /// Why it was not even given to the gate; `None`: it was.
    pub refused: Option<String>,
}

/// What is in force, for whoever shows it.
#[derive(Clone, Debug)]
pub struct Status {
    /// The appliance's serial number.
    pub serial: String,
    /// The edition.
    pub edition: Edition,
    /// The licence files.
    pub files: Vec<LicenceFile>,
    /// Blocks over the licence.
    pub blocks_over: usize,
    /// UPSes over the licence, by subtree.
    pub upses_over: Vec<String>,
}

impl Status {
    /// For how long the edition holds without a gate; `None` when it was judged.
    #[must_use]
    pub fn grace_text(&self) -> Option<String> {
        let hours = self.edition.grace_left_h()?;
        Some(format!("holds for another {hours} h, then it is LC; see to the licence gate"))
    }
}

/// Why a licence is not installed or removed.
#[derive(Debug, thiserror::Error)]
pub enum LicenceError {
    /// Too long.
    #[error("a licence has at most {FILE_LEN_MAX} bytes; choose the .evkl file")]
    Oversized,
    /// Not signed by a trusted licence key, or changed.
    #[error("it cannot be trusted")]
    Untrusted(#[source] Refusal),
    /// Too many.
    #[error("{FILES_MAX} licences are installed already; remove one")]
    Full,
    /// No such file.
    #[error("there is no licence {0:?}; GET /api/v1/licence lists them")]
    Unknown(String),
    /// The disk.
    #[error("the licence cannot be written or removed; check the appliance's disk")]
    File(#[source] io::Error),
}

/// Who changes something, and from where.
#[derive(Clone, Debug)]
pub struct By {
    /// User.
    pub user: String,
    /// Address.
    pub from: String,
}

/// The licences of this appliance.
pub struct Licences {
    dir: PathBuf,
    edition_file: PathBuf,
    trust: TrustNow,
    serial: Serial,
    hub: Arc<Hub>,
    store: Arc<Store>,
    gate: Arc<dyn Gate>,
    bell: Arc<Notify>,
    held: Mutex<Held>,
    /// Held while the gate is asked: one question at a time.
    asking: Mutex<Asking>,
}

struct Held {
    edition: Edition,
    files: Vec<LicenceFile>,
}

struct Asking {
    last: Nanos,
    /// The edition as it is on the disk.
    kept: Edition,
    /// Refusals that were told.
    told: BTreeSet<(String, String)>,
}

impl Licences {
    /// The licences in `data_dir`, verified by whom `trust` says and judged by
    /// `gate`. The edition that was in force holds in `hub` when this returns.
    /// Whoever rings `bell` has the gate asked again.
    ///
    /// # Errors
    /// When the serial number can be neither read nor made.
    pub fn open(
        data_dir: &Path,
        trust: TrustNow,
        hub: Arc<Hub>,
        store: Arc<Store>,
        gate: Arc<dyn Gate>,
        bell: Arc<Notify>,
    ) -> io::Result<Self> {
        let serial = serial(&data_dir.join(SERIAL))?;
        let (dir, edition_file) = (data_dir.join("licences"), data_dir.join(EDITION));
        private_dir(&dir)?;
        let kept = kept(&edition_file);
        let (files, verified) = verify_all(&dir, &trust());
        // What was judged must still be there, gate or not.
        let why = "the licence gate was not asked yet".to_owned();
        let edition = kept.next(&digests(&verified), Answer::None { why }, 0);
        hub.set_limits(edition.limits);
        let held = Mutex::new(Held { edition: edition.clone(), files });
        let asking = Asking { last: clock::now(), kept: kept.clone(), told: BTreeSet::new() };
        let asking = Mutex::new(asking);
        let this = Self { dir, edition_file, trust, serial, hub, store, gate, bell, held, asking };
        this.put_into_force(&kept, &edition);
        Ok(this)
    }

    /// Have the gate asked whenever it is time, until the task is dropped.
    pub async fn run(self: Arc<Self>) {
        loop {
            let this = Arc::clone(&self);
            let asked = tokio::task::spawn_blocking(move || this.ask()).await;
            // A panic is in the log; the next question comes all the same.
            let wait = asked.unwrap_or(Duration::from_secs(60));
            tokio::select! {
                () = self.bell.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// What is in force.
    #[must_use]
    pub fn status(&self) -> Status {
        let plant = self.hub.plant();
        let blocks_over = plant.map_or(0, |plant| {
            let strings = plant.snapshot.strings.iter().zip(&plant.over);
            strings.map(|(string, first)| string.blocks.len().saturating_sub(*first)).sum()
        });
        let held = lock(&self.held);
        Status {
            serial: self.serial.to_string(),
            edition: held.edition.clone(),
            files: held.files.clone(),
            blocks_over,
            upses_over: self.hub.upses_over(),
        }
    }

    /// Install a licence, and ask the gate. Returns the name of its file.
    ///
    /// # Errors
    /// [`LicenceError`]; nothing has changed then.
    pub fn install(&self, raw: &[u8], by: &By) -> Result<String, LicenceError> {
        let name = self.write(raw).inspect_err(|error| {
            let from = format!("{} at {}", by.user, by.from);
            self.store.record(Event::LicenceRefused { from, reason: chain(error) });
        })?;
        let By { user, from } = by.clone();
        self.store.record(Event::LicenceInstalled { name: name.clone(), user, from });
        self.ask();
        Ok(name)
    }

    /// Remove a licence, and ask the gate.
    ///
    /// # Errors
    /// [`LicenceError`].
    pub fn remove(&self, name: &str, by: &By) -> Result<(), LicenceError> {
        // Only what is listed is removed: a name is no path.
        if !names(&self.dir).iter().any(|known| known == name) {
            return Err(LicenceError::Unknown(one_line(name, 100)));
        }
        fs::remove_file(self.dir.join(name)).map_err(LicenceError::File)?;
        File::open(&self.dir).and_then(|dir| dir.sync_all()).map_err(LicenceError::File)?;
        let By { user, from } = by.clone();
        self.store.record(Event::LicenceRemoved { name: name.to_owned(), user, from });
        self.ask();
        Ok(())
    }

    fn write(&self, raw: &[u8]) -> Result<String, LicenceError> {
        if raw.len() > FILE_LEN_MAX {
            return Err(LicenceError::Oversized);
        }
        (self.trust)().licence(raw).map_err(LicenceError::Untrusted)?;
        let digest = Digest::of(raw).to_string();
        let name = format!("{}.{FILE_EXTENSION}", digest.get(..16).unwrap_or(&digest));
        let present = names(&self.dir);
        if present.len() >= FILES_MAX && !present.contains(&name) {
            return Err(LicenceError::Full);
        }
        write_private(&self.dir.join(&name), raw).map_err(LicenceError::File)?;
        Ok(name)
    }

    /// Verify all files, ask the gate, and put what comes of it into force.
    /// Returns when to ask next.
    fn ask(&self) -> Duration {
        let mut asking = lock(&self.asking);
        let (files, licences) = verify_all(&self.dir, &(self.trust)());
        let now = clock::now();
        let elapsed_s = now.since(asking.last).as_millis() / 1_000;
        asking.last = now;
        let utc_s = Some(clock::unix_ms() / 1_000).filter(|s| *s >= DATE_MIN_S);
        let digests = digests(&licences);
        let licences = licences.into_iter().map(|l| (l.name, l.payload)).collect();
        let answer =
            match self.gate.judge(&Case { serial: self.serial.to_string(), utc_s, licences }) {
                Ok((by, verdict)) => Answer::Judged { by, verdict },
                Err(why) => Answer::None { why },
            };
        self.tell_refused(&files, &mut asking.told);
        let before = lock(&self.held).edition.clone();
        let edition = before.next(&digests, answer, elapsed_s);
        self.put_into_force(&before, &edition);
        *lock(&self.held) = Held { edition: edition.clone(), files };
        self.keep(&edition, &mut asking.kept);
        Duration::from_secs(edition.ask_in_s(utc_s))
    }

    fn put_into_force(&self, before: &Edition, edition: &Edition) {
        if (&before.name, before.limits) == (&edition.name, edition.limits) {
            return;
        }
        self.hub.set_limits(edition.limits);
        self.store.record(Event::EditionChanged {
            edition: edition.name.clone(),
            shows: edition.limits.to_string(),
            less: edition.limits.is_less_than(before.limits),
            reason: edition.reason.clone(),
        });
    }

    fn keep(&self, edition: &Edition, kept: &mut Edition) {
        let counted = edition.unanswered_s.saturating_sub(kept.unanswered_s);
        let same = Edition { unanswered_s: kept.unanswered_s, ..edition.clone() } == *kept;
        let answered = edition.unanswered_s < kept.unanswered_s;
        if same && !answered && counted < GRACE_KEPT_EVERY_S {
            return;
        }
        let text = serde_json::to_vec_pretty(edition).expect("texts and numbers");
        match write_private(&self.edition_file, text) {
            Ok(()) => *kept = edition.clone(),
            Err(e) => tracing::error!("{} cannot be written: {e}", self.edition_file.display()),
        }
    }

    fn tell_refused(&self, files: &[LicenceFile], told: &mut BTreeSet<(String, String)>) {
        let refused = files.iter().filter_map(|file| Some((&file.name, file.refused.as_ref()?)));
        let refused: BTreeSet<_> =
            refused.map(|(name, reason)| (name.clone(), reason.clone())).collect();
        for (from, reason) in refused.difference(told) {
            let (from, reason) = (from.clone(), reason.clone());
            self.store.record(Event::LicenceRefused { from, reason });
        }
        *told = refused;
    }
}

/// A licence that a trusted key signed.
struct Licence {
    name: String,
    digest: String,
    payload: Vec<u8>,
}

/// Every file in `dir`, and the licences in those that are good.
fn verify_all(dir: &Path, trust: &Trust) -> (Vec<LicenceFile>, Vec<Licence>) {
    let (mut files, mut good) = (Vec::new(), Vec::new());
    for (n, name) in names(dir).into_iter().enumerate() {
        let read = || -> Result<Licence, LicenceError> {
            if n >= FILES_MAX {
                return Err(LicenceError::Full);
            }
            let raw = read_bounded(&dir.join(&name))?;
            let payload = trust.licence(&raw).map_err(LicenceError::Untrusted)?;
            Ok(Licence { name: name.clone(), digest: Digest::of(&raw).to_string(), payload })
        };
        let refused = match read() {
            Ok(licence) => {
                good.push(licence);
                None
            }
            Err(error) => Some(one_line(&chain(&error), 500)),
        };
        files.push(LicenceFile { name, refused });
    }
    (files, good)
}

fn digests(licences: &[Licence]) -> BTreeSet<String> {
    licences.iter().map(|licence| licence.digest.clone()).collect()
}

/// Names of the licence files, in order; others that lie there are not ours.
fn names(dir: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let end = format!(".{FILE_EXTENSION}");
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let mut names: Vec<_> =
        names.filter(|name| name.ends_with(&end) && name.chars().all(plain)).collect();
    names.sort();
    names
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, LicenceError> {
    let mut raw = Vec::new();
    let file = File::open(path).map_err(LicenceError::File)?;
    file.take(FILE_LEN_MAX as u64 + 1).read_to_end(&mut raw).map_err(LicenceError::File)?;
    if raw.len() > FILE_LEN_MAX { Err(LicenceError::Oversized) } else { Ok(raw) }
}

/// The edition that was in force; a file that cannot be read is as good as
/// none: the gate is asked in a moment.
fn kept(file: &Path) -> Edition {
    let text = match fs::read(file) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Edition::default(),
        Err(e) => {
            tracing::error!("{} cannot be read: {e}", file.display());
            return Edition::default();
        }
    };
    serde_json::from_slice(&text).unwrap_or_else(|e| {
        tracing::error!("{} is damaged: {e}", file.display());
        Edition::default()
    })
}

/// The serial number in `file`, made at the first start. A damaged one is
/// kept aside for the vendor, who knows which licences belong to it.
fn serial(file: &Path) -> io::Result<Serial> {
    match fs::read_to_string(file) {
        Ok(text) => match text.trim().parse() {
            Ok(serial) => return Ok(serial),
            Err(e) => {
                tracing::error!("{}: {e}; a new number is made", file.display());
                fs::rename(file, file.with_extension("damaged"))?;
            }
        },
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(e),
    }
    let random = getrandom::u64().map_err(|e| io::Error::other(e.to_string()))?;
    let serial = Serial::from_random(random);
    write_private(file, format!("{serial}\n"))?;
    Ok(serial)
}

// What these locks guard is whole after every single operation.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::plugin::trusted::{self, Places};
    use evenkeel_signing::{Kind, Role, SecretKey, seal};

    /// A gate that lifts all limits for a licence that says so.
    #[derive(Default)]
    pub(crate) struct FakeGate(pub Mutex<bool>);

    impl Gate for FakeGate {
        fn judge(&self, case: &Case) -> Result<(String, Verdict), String> {
            if *lock(&self.0) {
                return Err("the gate is gone".into());
            }
            let full = case.licences.iter().any(|(_, payload)| payload == b"full");
            let limits = if full { Limits { blocks: None, ups_va: None } } else { Limits::LC };
            let edition = if full { "full" } else { "LC" }.to_owned();
            let reason = format!("{} licences", case.licences.len());
            Ok(("fake 1.0.0".into(), Verdict { edition, limits, until_s: None, reason }))
        }
    }

    /// Whoever has a key in `dir`.
    pub(crate) fn trust_in(dir: &Path) -> TrustNow {
        let places = Places::new(dir, dir);
        Box::new(move || trusted::load(&places, &Default::default()).0)
    }

    pub(crate) struct Bench {
        pub dir: tempfile::TempDir,
        pub hub: Arc<Hub>,
        pub gate: Arc<FakeGate>,
        pub key: SecretKey,
        store: Arc<Store>,
    }

    impl Bench {
        pub(crate) fn new() -> Self {
            let dir = tempfile::tempdir().expect("a directory");
            let key = SecretKey::generate(Role::Licence, "development-sales").expect("a key");
            key.public().write_new(&dir.path().join("licence.pub")).expect("written");
            let store = Arc::new(Store::open(dir.path(), Default::default()).expect("a store"));
            Self { dir, hub: Arc::default(), gate: Arc::default(), key, store }
        }

        pub(crate) fn open(&self) -> Licences {
            let (hub, store) = (self.hub.clone(), self.store.clone());
            let dir = self.dir.path();
            let (trust, bell) = (trust_in(dir), Arc::default());
            Licences::open(dir, trust, hub, store, self.gate.clone(), bell).expect("opened")
        }

        pub(crate) fn licence(&self) -> Vec<u8> {
            seal(Kind::Licence, b"full", &[], &[&self.key]).expect("sealed")
        }

        fn events(&self) -> String {
            // What was recorded before it is there when this one is.
            self.store.record_acknowledged(Event::Unknown).wait().expect("kept");
            let events = self.store.events(None, 100);
            events.iter().map(|stored| format!("{}\n", stored.event)).collect()
        }
    }

    fn by() -> By {
        By { user: "admin".into(), from: "192.0.2.1".into() }
    }

    #[test]
    fn a_licence_lifts_the_limits_at_once_and_its_removal_sets_them_again() {
        let bench = Bench::new();
        let licences = bench.open();
        licences.ask();
        assert_eq!(licences.status().edition.limits, Limits::LC);
        let name = licences.install(&bench.licence(), &by()).expect("installed");
        assert_eq!(licences.status().edition.limits.blocks, None);
        assert_eq!(licences.install(&bench.licence(), &by()).expect("once more"), name);
        assert_eq!(licences.status().files.len(), 1);
        for wrong in ["../serial", "serial", "", "x.evkl"] {
            assert!(matches!(licences.remove(wrong, &by()), Err(LicenceError::Unknown(_))));
        }
        licences.remove(&name, &by()).expect("removed");
        assert_eq!(licences.status().edition.name, "LC");
        let events = bench.events();
        for word in ["installed", "edition full", "removed", "edition LC"] {
            assert!(events.contains(word), "{word}: {events}");
        }
    }

    #[test]
    fn what_is_not_signed_by_a_licence_key_is_never_looked_into() {
        let bench = Bench::new();
        let licences = bench.open();
        let stranger = SecretKey::generate(Role::Licence, "stranger").expect("a key");
        let foreign = seal(Kind::Licence, b"full", &[], &[&stranger]).expect("sealed");
        let mut forged = bench.licence();
        *forged.last_mut().expect("bytes") ^= 1;
        let longer = [bench.licence(), vec![0]].concat();
        for raw in [foreign, forged, longer, b"full".to_vec(), vec![], vec![7; FILE_LEN_MAX + 1]] {
            let refused = licences.install(&raw, &by());
            assert!(refused.is_err());
        }
        assert!(licences.status().files.is_empty() && names(&licences.dir).is_empty());
        let events = bench.events();
        assert_eq!(events.lines().filter(|l| l.contains("refused")).count(), 6, "{events}");
    }

    #[test]
    fn the_edition_outlives_a_restart_and_the_gate_but_not_its_key() {
        let bench = Bench::new();
        bench.open().install(&bench.licence(), &by()).expect("installed");
        let serial = bench.open().status().serial;
        *lock(&bench.gate.0) = true;
        let licences = bench.open();
        assert_eq!(licences.status().edition.name, "full", "before any gate runs");
        licences.ask();
        let status = licences.status();
        assert_eq!((status.edition.name.as_str(), &status.serial), ("full", &serial));
        assert!(status.grace_text().expect("a grace").contains("24 h"));
        fs::remove_file(bench.dir.path().join("licence.pub")).expect("removed");
        licences.ask();
        let status = licences.status();
        assert_eq!(status.edition.limits, Limits::LC, "its key is not trusted any more");
        assert!(status.files[0].refused.is_some());
        assert_eq!(bench.open().status().edition.limits, Limits::LC);
    }

    #[test]
    fn damage_is_survived() {
        let bench = Bench::new();
        let first = bench.open().status().serial;
        fs::write(bench.dir.path().join(EDITION), "{").expect("written");
        assert_eq!(bench.open().status().serial, first);
        fs::write(bench.dir.path().join(SERIAL), "0000").expect("written");
        assert_ne!(bench.open().status().serial, first);
        assert!(bench.dir.path().join("serial.damaged").exists());
    }
}
