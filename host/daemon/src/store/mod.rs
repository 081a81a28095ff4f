//! The store: events, the audit log, users, settings, history, discharge
//! records, documents and what plugins keep, in one redb file, written by one
//! thread.
//!
//! # Promises
//! - What was acknowledged is on the disk: power may fail, and the process be
//!   killed, at any instruction.
//! - Nobody waits for the disk who does not ask to: jobs go through a bounded
//!   queue, and whatever waits there is committed as one group.
//! - A damaged file is never silently replaced: what can be had goes into a new
//!   one, it is kept aside, and an event says what was lost ([`salvage`]).
//! - A disk that is full or failing does not stop the daemon, not even at its
//!   start: events stay in memory and are written when it works again
//!   ([`writer`]); users and the newest events are read from memory.
//! - What another version wrote does not stop it either: an event that cannot
//!   be read is [`Event::Unknown`], history that cannot is left out.
//!
//! Follows DESIGN.md "Store".

mod audit;
mod budget;
mod discharge;
mod document;
mod fault;
#[cfg(test)]
mod generations;
pub mod history;
mod jobs;
mod kv;
mod open;
#[cfg(test)]
mod power_cut;
pub mod recent;
mod relief;
mod salvage;
mod table;
mod wear;
mod writer;

pub use budget::{FILE_BYTES, NEEDED_BYTES, ROWS_BYTES, Room, Usage};
pub use discharge::PastDischarge;
pub use document::BYTES_MAX as DOCUMENT_BYTES_MAX;
pub use jobs::Row as JobRow;
pub use kv::Change as ShelfChange;
pub use recent::Recent;
pub use wear::{Class, Counts, Daily, Wear};

use crate::guard::RecordRows;
use evenkeel_core::events::{Category, Event};
use evenkeel_core::history::Ring;
use evenkeel_core::settings::forms::Kind;
use evenkeel_signing::audit::Entry;
use redb::{Database, ReadTransaction, ReadableDatabase as _};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// Name of the file in the data directory.
pub const FILE: &str = "evenkeel.redb";

/// Jobs that may wait for the writer.
const QUEUE_MAX: usize = 1_024;
/// Longest time that somebody waits for their own event to be on the disk.
const PROMPT_MAX: Duration = Duration::from_secs(2);
/// Events that are read at once.
const EVENT_BATCH: usize = 1_000;
/// Newest events kept in memory, for the live page.
const LATEST_MAX: usize = 64;

/// How much is kept; the oldest goes first. The bytes of all kinds are said in
/// [`budget`].
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most events that are not about access.
    pub events: u64,
    /// Most events about access: a flood of either kind leaves the other.
    pub access: u64,
    /// Most bytes of history, of all strings together.
    pub history_bytes: u64,
    /// Most bytes of the history of points, of all together.
    pub values_bytes: u64,
    /// Most revisions of a settings document.
    pub revisions: u64,
    /// Most entries of the audit log, seals among them.
    pub audit: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            events: 20_000,
            access: 10_000,
            history_bytes: Room::History.most(),
            values_bytes: Room::Values.most(),
            revisions: 50,
            audit: 30_000,
        }
    }
}

/// An event in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredEvent {
    /// Counts up; never used twice.
    pub id: u64,
    /// When, ms since 1970.
    pub unix_ms: u64,
    /// What.
    pub event: Event,
}

/// A revision of a settings document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// Counts up from 1.
    pub revision: u64,
    /// When it was first in force, ms since 1970.
    pub unix_ms: u64,
    /// Whose request it came by; empty: nobody's, or nobody wrote down whose.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
    /// The document.
    pub text: String,
}

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the file open.
    #[error("store {} is in use; is another evenkeeld running?", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be opened or moved.
    #[error("store {} cannot be opened; check the disk and the permissions", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<redb::Error>,
    },
    /// Reading failed.
    #[error("store cannot be read; check the disk")]
    Read(#[source] Box<redb::Error>),
    /// Writing failed; says why, since several callers share one commit.
    #[error("store cannot be written, check the disk: {0}")]
    Write(Arc<str>),
    /// The disk failed and the file is closed until it works again.
    #[error("store is closed after a disk error; it is tried again by itself, check the disk")]
    Closed,
    /// The writer's queue is full.
    #[error("store is overloaded; try again")]
    Overloaded,
    /// A document was not kept.
    #[error("document {name:?} is not kept: {problem}")]
    Document {
        /// Its name.
        name: String,
        /// Why not.
        problem: &'static str,
    },
    /// A record in the store makes no sense.
    #[error("store holds a {what} that cannot be read; was it written by a newer version?")]
    Record {
        /// Which kind.
        what: &'static str,
    },
}

impl StoreError {
    /// True when it came about because the disk is full.
    fn is_full(&self) -> bool {
        matches!(self, Self::Open { source, .. } | Self::Read(source) if relief::is_full(source))
    }
}

/// How the store is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Why the last write failed; `None` while all is well.
    pub error: Option<String>,
    /// Events that are in memory only.
    pub unsaved: usize,
}

/// The store. Dropping it writes what waits and ends its thread.
pub struct Store {
    shared: Arc<Shared>,
    queue: Option<SyncSender<Job>>,
    writer: Option<JoinHandle<()>>,
}

/// The writer's promise that something is on the disk.
#[must_use = "nothing is certain before the acknowledgement"]
pub struct Ack<T>(oneshot::Receiver<Result<T, StoreError>>);

/// What writer and readers share.
struct Shared {
    path: PathBuf,
    database: RwLock<Option<Arc<Database>>>,
    /// As in the file; `None` until it was open once.
    users: Mutex<Option<BTreeMap<String, Vec<u8>>>>,
    latest: Mutex<Ring<StoredEvent>>,
    unsaved: Mutex<VecDeque<StoredEvent>>,
    health: Mutex<Health>,
    recent: Recent,
    keyhole: audit::Keyhole,
    meter: Arc<wear::Meter>,
    wear: Mutex<Wear>,
    counted: budget::Counted,
    newest: history::Newest,
    /// Events that found the queue full, not yet reported.
    dropped: Mutex<u64>,
    /// A record that cannot be read was met, and the log says so.
    unreadable: AtomicBool,
    changed: watch::Sender<u64>,
    settled: watch::Sender<u64>,
}

/// Revisions of a settings document on their way to the disk.
struct SettingsChange {
    what: &'static str,
    unix_ms: u64,
    /// Whose request it is.
    by: String,
    /// The last is in force.
    texts: Vec<String>,
    /// Nothing of before stays.
    alone: bool,
}

impl SettingsChange {
    fn of(kind: &Kind, text: &str, alone: bool) -> Self {
        Self {
            what: kind.name,
            unix_ms: crate::clock::unix_ms(),
            by: crate::trail::who(),
            texts: kind.chain.texts(text),
            alone,
        }
    }
}

enum Job {
    Event {
        event: Event,
        unix_ms: u64,
        ack: Option<oneshot::Sender<Result<u64, StoreError>>>,
    },
    History {
        change: history::Change,
        ack: oneshot::Sender<Result<(), StoreError>>,
    },
    User {
        name: String,
        /// `None`: forget them.
        record: Option<Vec<u8>>,
        ack: oneshot::Sender<Result<(), StoreError>>,
    },
    /// All of them in one commit, or none.
    Settings(Vec<SettingsChange>, oneshot::Sender<Result<(), StoreError>>),
    Told {
        notifier: String,
        last: Option<u64>,
        ack: oneshot::Sender<Result<(), StoreError>>,
    },
    Discharge {
        discharge: discharge::Encoded,
        ack: oneshot::Sender<Result<(), StoreError>>,
    },
    Jobs {
        rows: Vec<jobs::Row>,
        ack: oneshot::Sender<Result<(), StoreError>>,
    },
    Shelf {
        owner: String,
        change: kv::Change,
        ack: oneshot::Sender<Result<(), StoreError>>,
    },
    Document(document::Change),
    Audit {
        entry: Entry,
        ack: Option<oneshot::Sender<Result<(), StoreError>>>,
    },
    /// Seal the audit log.
    Seal {
        ack: oneshot::Sender<Result<(), StoreError>>,
    },
}

impl Store {
    /// Open the store in `dir`, or begin one. Of a damaged file what can be
    /// had is kept; a disk that fails is tried again later ([`health`](Self::health)).
    ///
    /// # Errors
    /// [`StoreError::InUse`], or no thread could be started.
    pub fn open(dir: &Path, limits: Limits) -> Result<Self, StoreError> {
        let path = dir.join(FILE);
        Self::start(path.clone(), limits, Box::new(move |meter| open::open(&path, meter)))
    }

    fn start(path: PathBuf, limits: Limits, opener: writer::Opener) -> Result<Self, StoreError> {
        let shared = Arc::new(Shared {
            path,
            database: RwLock::default(),
            users: Mutex::default(),
            latest: Mutex::new(Ring::new(LATEST_MAX)),
            unsaved: Mutex::default(),
            health: Mutex::default(),
            recent: Recent::default(),
            keyhole: audit::Keyhole::default(),
            meter: Arc::default(),
            wear: Mutex::default(),
            counted: budget::Counted::default(),
            newest: history::Newest::default(),
            dropped: Mutex::new(0),
            unreadable: AtomicBool::new(false),
            changed: watch::Sender::new(0),
            settled: watch::Sender::new(0),
        });
        let mut writer = writer::Writer::new(shared.clone(), limits, opener);
        writer.begin()?;
        let (queue, jobs) = sync_channel(QUEUE_MAX);
        let writer = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || writer.run(&jobs))
            .map_err(|e| StoreError::Write(e.to_string().into()))?;
        Ok(Self { shared, queue: Some(queue), writer: Some(writer) })
    }

    /// Record an event now; it is on the disk soon. When events come faster
    /// than the disk takes them, the ones that found no room are counted.
    pub fn record(&self, event: Event) {
        if audit::entry_of(&event, 0).is_some() {
            crate::trail::told();
        }
        let job = Job::Event { event, unix_ms: crate::clock::unix_ms(), ack: None };
        if self.send(job).is_err() {
            *lock(&self.shared.dropped) += 1;
        }
    }

    /// Record what a person did, and wait until it is on the disk, so that they
    /// can count on it when they are answered. A disk that hangs holds up
    /// nobody for longer than [`PROMPT_MAX`].
    pub async fn record_promptly(&self, event: Event) {
        if audit::entry_of(&event, 0).is_some() {
            crate::trail::told();
        }
        let kept = self.record_acknowledged(event).done();
        if let Ok(Err(StoreError::Overloaded)) = tokio::time::timeout(PROMPT_MAX, kept).await {
            // Of any other error the writer keeps the event.
            *lock(&self.shared.dropped) += 1;
        }
    }

    /// Record an event; its id is acknowledged when it is on the disk.
    pub fn record_acknowledged(&self, event: Event) -> Ack<u64> {
        let (ack, done) = oneshot::channel();
        let unix_ms = crate::clock::unix_ms();
        self.send_or_refuse(Job::Event { event, unix_ms, ack: Some(ack) });
        Ack(done)
    }

    /// Keep a user's record.
    pub fn put_user(&self, name: &str, record: Vec<u8>) -> Ack<()> {
        self.change_user(name, Some(record))
    }

    /// Forget a user.
    pub fn forget_user(&self, name: &str) -> Ack<()> {
        self.change_user(name, None)
    }

    fn change_user(&self, name: &str, record: Option<Vec<u8>>) -> Ack<()> {
        let (ack, done) = oneshot::channel();
        self.send_or_refuse(Job::User { name: name.to_owned(), record, ack });
        Ack(done)
    }

    /// All users' records, from memory.
    ///
    /// # Errors
    /// [`StoreError::Closed`] while the file could not be opened yet.
    pub fn users(&self) -> Result<BTreeMap<String, Vec<u8>>, StoreError> {
        lock(&self.shared.users).clone().ok_or(StoreError::Closed)
    }

    /// A user's record, from memory.
    ///
    /// # Errors
    /// [`StoreError::Closed`] while the file could not be opened yet.
    pub fn user(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let users = lock(&self.shared.users);
        Ok(users.as_ref().ok_or(StoreError::Closed)?.get(name).cloned())
    }

    /// True when there is no user at all: first start.
    ///
    /// # Errors
    /// [`StoreError::Closed`] while the file could not be opened yet.
    pub fn no_users(&self) -> Result<bool, StoreError> {
        Ok(lock(&self.shared.users).as_ref().ok_or(StoreError::Closed)?.is_empty())
    }

    /// Keep a settings document as a new revision when it differs from the
    /// last one, before it the same for older programs ([`Kind`]), and record
    /// that it is in force.
    pub fn keep_settings(&self, kind: &Kind, text: &str) -> Ack<()> {
        self.change_settings(kind, text, false)
    }

    /// [`keep_settings`](Self::keep_settings), and forget every revision before:
    /// for a document in which something was that is to be gone.
    pub fn keep_settings_alone(&self, kind: &Kind, text: &str) -> Ack<()> {
        self.change_settings(kind, text, true)
    }

    /// [`keep_settings`](Self::keep_settings) of several documents: after a power
    /// cut all of them are there, or none.
    pub fn keep_settings_together(&self, documents: &[(Kind, String)]) -> Ack<()> {
        let change = |(kind, text): &(Kind, String)| SettingsChange::of(kind, text, false);
        self.change_all_settings(documents.iter().map(change).collect())
    }

    fn change_settings(&self, kind: &Kind, text: &str, alone: bool) -> Ack<()> {
        self.change_all_settings(vec![SettingsChange::of(kind, text, alone)])
    }

    fn change_all_settings(&self, changes: Vec<SettingsChange>) -> Ack<()> {
        let (ack, done) = oneshot::channel();
        self.send_or_refuse(Job::Settings(changes, ack));
        Ack(done)
    }

    /// Keep that `notifier` needs not be told any event up to `last`; `None`
    /// forgets the notifier.
    pub fn keep_told(&self, notifier: &str, last: Option<u64>) -> Ack<()> {
        let (ack, done) = oneshot::channel();
        self.send_or_refuse(Job::Told { notifier: notifier.to_owned(), last, ack });
        Ack(done)
    }

    /// The last event that `notifier` needs not be told any more; `None` when
    /// it was never told one.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn told(&self, notifier: &str) -> Result<Option<u64>, StoreError> {
        self.shared.read(|read| {
            let Some(table) = table::open(read, table::TOLD)? else { return Ok(None) };
            Ok(table.get(notifier)?.map(|last| last.value()))
        })
    }

    /// Keep a discharge record and its rows.
    pub fn keep_discharge(&self, past: &PastDischarge, rows: &RecordRows) -> Ack<()> {
        let (ack, done) = oneshot::channel();
        if let Some(discharge) = discharge::Encoded::of(past, rows) {
            self.send_or_refuse(Job::Discharge { discharge, ack });
        }
        Ack(done)
    }

    /// The revisions of a settings document that this program can try, in its
    /// newest form, best first; mostly that is newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn settings(&self, kind: &Kind) -> Result<Vec<Revision>, StoreError> {
        let kept = self.revisions(kind.name)?;
        let readable = kind.chain.readable(kept.iter().map(|revision| revision.text.as_str()));
        let revision = |(place, text): (usize, String)| Revision { text, ..kept[place].clone() };
        Ok(readable.into_iter().map(revision).collect())
    }

    /// Whether anything was kept of a settings document, readable or not.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn is_kept(&self, kind: &Kind) -> Result<bool, StoreError> {
        self.shared.read(|read| {
            let Some(table) = table::open(read, table::SETTINGS)? else { return Ok(false) };
            let mut rows = table.range((kind.name, 0)..=(kind.name, u64::MAX))?;
            Ok(rows.next().transpose()?.is_some())
        })
    }

    /// The revisions of a settings document as they were kept, newest first.
    pub(crate) fn revisions(&self, what: &str) -> Result<Vec<Revision>, StoreError> {
        let rows = self.shared.read(|read| {
            let Some(table) = table::open(read, table::SETTINGS)? else { return Ok(Vec::new()) };
            let rows = table.range((what, 0)..=(what, u64::MAX))?.rev();
            rows.map(|row| Ok(row?.1.value().to_vec())).collect::<Result<_, redb::Error>>()
        })?;
        // A revision in another form is as good as none.
        Ok(rows.iter().filter_map(|bytes| serde_json::from_slice(bytes).ok()).collect())
    }

    /// Events, oldest first: the first `limit` with ids above `after`, or the
    /// newest `limit`. While the file cannot be read, those in memory.
    #[must_use]
    pub fn events(&self, after: Option<u64>, limit: usize) -> Vec<StoredEvent> {
        let mut events = self.shared.stored_events(after, limit).unwrap_or_else(|e| {
            tracing::warn!("events are read from memory: {}", crate::failure::chain(&e));
            let latest = lock(&self.shared.latest);
            latest.iter().filter(|e| after.is_none_or(|id| e.id > id)).cloned().collect()
        });
        let first = events.first().map_or(u64::MAX, |e| e.id);
        let known = events.last().map(|e| e.id).or(after).unwrap_or(0);
        let unsaved = lock(&self.shared.unsaved).clone().into_iter();
        let older_or_newer = |e: &StoredEvent| {
            e.id > known || e.id < first && after.is_none_or(|after| e.id > after)
        };
        events.extend(unsaved.filter(older_or_newer));
        events.sort_by_key(|e| e.id);
        match after {
            Some(_) => events.truncate(limit),
            None => drop(events.drain(..events.len().saturating_sub(limit))),
        }
        events
    }

    /// Every event, oldest first, in the memory of [`EVENT_BATCH`].
    pub fn each_event(&self, mut visit: impl FnMut(StoredEvent)) {
        let mut after = 0;
        loop {
            let batch = self.events(Some(after), EVENT_BATCH);
            let Some(last) = batch.last() else { return };
            after = last.id;
            batch.into_iter().for_each(&mut visit);
        }
    }

    /// The newest events, from memory, newest first.
    #[must_use]
    pub fn latest(&self, limit: usize) -> Vec<StoredEvent> {
        lock(&self.shared.latest).iter().rev().take(limit).cloned().collect()
    }

    /// How the store is doing.
    #[must_use]
    pub fn health(&self) -> Health {
        lock(&self.shared.health).clone()
    }

    /// Size of the file, bytes; 0 while there is none.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        std::fs::metadata(&self.shared.path).map_or(0, |file| file.len())
    }

    /// The fast ring.
    #[must_use]
    pub fn recent(&self) -> &Recent {
        &self.shared.recent
    }

    /// Wakes when a new event is where it stays: on the disk, or in memory
    /// while the disk fails. Gives its id.
    #[must_use]
    pub fn settled(&self) -> watch::Receiver<u64> {
        self.shared.settled.subscribe()
    }

    /// Wakes when there is a new event, which may not be on the disk yet.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changed.subscribe()
    }

    fn send(&self, job: Job) -> Result<(), StoreError> {
        let queue = self.queue.as_ref().ok_or(StoreError::Closed)?;
        queue.try_send(job).map_err(|e| match e {
            TrySendError::Full(_) => StoreError::Overloaded,
            TrySendError::Disconnected(_) => StoreError::Closed,
        })
    }

    /// A job that finds no room is dropped; its [`Ack`] then says so.
    fn send_or_refuse(&self, job: Job) {
        if let Err(e) = self.send(job) {
            tracing::warn!("{e}");
        }
    }
}

impl core::fmt::Debug for Store {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Store").field("path", &self.shared.path).finish_non_exhaustive()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the store's thread panicked");
        }
    }
}

impl<T> Ack<T> {
    /// Wait without blocking the thread.
    ///
    /// # Errors
    /// Why it is not on the disk.
    pub async fn done(self) -> Result<T, StoreError> {
        self.0.await.unwrap_or(Err(StoreError::Overloaded))
    }

    /// Wait and block the thread; not in async code.
    ///
    /// # Errors
    /// Why it is not on the disk.
    pub fn wait(self) -> Result<T, StoreError> {
        self.0.blocking_recv().unwrap_or(Err(StoreError::Overloaded))
    }
}

impl Shared {
    fn database(&self) -> Result<Arc<Database>, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        database.clone().ok_or(StoreError::Closed)
    }

    /// Read from the file. A panic meanwhile has it checked at the next start.
    fn read<T>(
        &self,
        work: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        let _doing = fault::doing(&self.path, fault::Stage::Using);
        let read = self.database()?.begin_read().map_err(read_error)?;
        work(&read).map_err(read_error)
    }

    fn stored_events(
        &self,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let rows = self.read(|read| table::events(read, after, limit))?;
        Ok(rows.into_iter().map(|(id, bytes)| self.event(id, &bytes)).collect())
    }

    /// An event from its bytes; from another version's, what can be known.
    fn event(&self, id: u64, bytes: &[u8]) -> StoredEvent {
        #[derive(Deserialize)]
        struct When {
            unix_ms: u64,
        }
        serde_json::from_slice(bytes).unwrap_or_else(|_| {
            self.say_unreadable("an event");
            let when = serde_json::from_slice(bytes).map_or(0, |when: When| when.unix_ms);
            StoredEvent { id, unix_ms: when, event: Event::Unknown }
        })
    }

    fn say_unreadable(&self, what: &str) {
        if !self.unreadable.swap(true, Ordering::Relaxed) {
            tracing::warn!("the store holds {what} of another version that cannot be read");
        }
    }
}

fn read_error(error: impl Into<redb::Error>) -> StoreError {
    StoreError::Read(Box::new(error.into()))
}

// Each lock guards one assignment or one queue operation: a poisoned one is
// still whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(version: u32) -> Event {
        Event::DaemonStarted { version: version.to_string() }
    }

    fn open(dir: &Path) -> Store {
        let limits = Limits {
            events: 10,
            access: 5,
            history_bytes: 1 << 20,
            values_bytes: 1 << 20,
            revisions: 3,
            audit: 99,
        };
        Store::open(dir, limits).expect("a store")
    }

    #[test]
    fn everything_comes_back_after_reopening() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = open(dir.path());
        assert!(store.no_users().expect("readable"));
        let id = store.record_acknowledged(started(1)).wait().expect("on the disk");
        store.put_user("admin", b"{}".to_vec()).wait().expect("on the disk");
        drop(store);

        let store = open(dir.path());
        assert_eq!(store.events(None, 9)[0].id, id);
        assert_eq!(store.latest(9)[0].event, started(1));
        assert!(!store.no_users().expect("readable"));
        assert_eq!(store.user("admin").expect("readable").as_deref(), Some(&b"{}"[..]));
        assert_eq!(store.user("root").expect("readable"), None);
        let next = store.record_acknowledged(started(2)).wait().expect("on the disk");
        assert!(next > id, "ids count on");
    }

    #[test]
    fn the_oldest_goes_first() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = open(dir.path());
        for n in 0..25 {
            store.record_acknowledged(started(n)).wait().expect("on the disk");
        }
        store.record_acknowledged(started(25)).wait().expect("on the disk");
        let ids: Vec<_> = store.events(None, 99).into_iter().map(|e| e.id).collect();
        assert_eq!(ids, (17..=26).collect::<Vec<_>>());
        let after = store.events(Some(20), 2);
        assert_eq!(after.iter().map(|e| e.id).collect::<Vec<_>>(), [21, 22]);
    }

    #[test]
    fn guessing_does_not_push_out_the_rest_and_is_not_pushed_out() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = open(dir.path());
        let login = |n: u32| Event::Login { user: n.to_string(), from: "::1".into(), via: None };
        store.record(started(0));
        for n in 0..30 {
            store.record_acknowledged(login(n)).wait().expect("on the disk");
        }
        let kinds = |store: &Store| {
            let events = store.events(None, 99);
            assert!(events.is_sorted_by_key(|e| e.id));
            let access = events.iter().filter(|e| e.event.category() == Category::Access).count();
            (access, events.len() - access)
        };
        assert_eq!(kinds(&store), (5, 1));
        for n in 0..30 {
            store.record_acknowledged(started(n)).wait().expect("on the disk");
        }
        assert_eq!(kinds(&store), (5, 10));
        assert_eq!(
            store.events(Some(29), 3).iter().map(|e| e.id).collect::<Vec<_>>(),
            [30, 31, 52]
        );
    }

    #[test]
    fn what_another_version_wrote_is_kept_as_unknown() {
        let dir = tempfile::tempdir().expect("a directory");
        drop(open(dir.path()));
        let database = Database::create(dir.path().join(FILE)).expect("a database");
        let write = database.begin_write().expect("writable");
        {
            let mut events = write.open_table(table::EVENTS[0]).expect("a table");
            events.insert(7, &br#"{"unix_ms": 5, "event": [1, 2]}"#[..]).expect("inserted");
            events.insert(8, &b"\xff"[..]).expect("inserted");
        }
        write.commit().expect("committed");
        drop(database);

        let store = open(dir.path());
        let next = store.record_acknowledged(started(1)).wait().expect("on the disk");
        assert_eq!(next, 9, "ids count on behind what cannot be read");
        let events = store.events(None, 9);
        assert_eq!(events[0], StoredEvent { id: 7, unix_ms: 5, event: Event::Unknown });
        assert_eq!((events[1].id, &events[1].event), (8, &Event::Unknown));
    }

    #[test]
    fn settings_are_kept_revision_by_revision() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = open(dir.path());
        let (x, y) = (Kind::first("x"), Kind::first("y"));
        assert_eq!(store.settings(&x).expect("readable"), []);
        for text in ["a", "a", "b", "c", "d", "d", "a"] {
            store.keep_settings(&x, text).wait().expect("on the disk");
        }
        store.keep_settings(&y, "other").wait().expect("on the disk");
        store.record_acknowledged(started(1)).wait().expect("after the events");
        drop(store);
        let store = open(dir.path());
        let kept = store.settings(&x).expect("readable");
        let kept: Vec<_> = kept.iter().map(|r| (r.revision, r.text.as_str())).collect();
        assert_eq!(kept, [(5, "a"), (4, "d"), (3, "c")], "newest first, the oldest went");
        let told = store.events(None, 99).into_iter().map(|e| e.event);
        let told = told.filter(|e| matches!(e, Event::SettingsInForce { .. })).count();
        assert_eq!(told, 6, "a document that stays is no news");
    }

    #[test]
    fn settings_that_belong_together_are_kept_together() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = open(dir.path());
        let (x, y) = (Kind::first("x"), Kind::first("y"));
        store.keep_settings(&y, "b").wait().expect("on the disk");
        let both = [(x, "a".to_owned()), (y, "b".to_owned())];
        store.keep_settings_together(&both).wait().expect("on the disk");
        drop(store);
        let store = open(dir.path());
        let kept = |kind: &Kind| store.revisions(kind.name).expect("readable");
        assert_eq!((kept(&x).len(), kept(&y).len()), (1, 1), "what stays is no new revision");
        assert_eq!((kept(&x)[0].text.as_str(), kept(&x)[0].by.as_str()), ("a", ""));
    }

    #[test]
    fn a_revision_of_before_there_were_names_is_read() {
        let old = r#"{"revision":3,"unix_ms":5,"text":"a"}"#;
        let revision: Revision = serde_json::from_str(old).expect("readable");
        assert_eq!((revision.revision, revision.by.as_str()), (3, ""));
        assert_eq!(serde_json::to_string(&revision).expect("written"), old, "and written again");
    }

    #[test]
    fn settings_that_are_kept_alone_have_no_past() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = open(dir.path());
        let (x, y) = (Kind::first("x"), Kind::first("y"));
        for text in ["a", "b"] {
            store.keep_settings(&x, text).wait().expect("on the disk");
            store.keep_settings(&y, text).wait().expect("on the disk");
        }
        store.keep_settings_alone(&x, "c").wait().expect("on the disk");
        let texts = |kind: &Kind| {
            let kept = store.revisions(kind.name).expect("readable");
            kept.into_iter().map(|revision| revision.text).collect::<Vec<_>>()
        };
        assert_eq!((texts(&x), texts(&y)), (vec!["c".to_owned()], vec!["b".into(), "a".into()]));
    }

    #[test]
    fn what_was_told_is_kept_and_forgotten() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = open(dir.path());
        assert_eq!(store.told("syslog").expect("readable"), None);
        store.keep_told("syslog", Some(7)).wait().expect("on the disk");
        store.keep_told("mail", Some(8)).wait().expect("on the disk");
        store.keep_told("syslog", Some(9)).wait().expect("on the disk");
        drop(store);
        let store = open(dir.path());
        assert_eq!(store.told("syslog").expect("readable"), Some(9));
        store.keep_told("syslog", None).wait().expect("on the disk");
        assert_eq!(store.told("syslog").expect("readable"), None);
        assert_eq!(store.told("mail").expect("readable"), Some(8));
    }

    #[test]
    fn an_event_is_settled_when_it_can_be_read() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = open(dir.path());
        let mut settled = store.settled();
        store.record(started(1));
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(settled.changed()).expect("the store lives");
        let id = *settled.borrow();
        assert_eq!(store.events(Some(0), 9).last().map(|event| event.id), Some(id));
    }

    #[test]
    fn one_file_has_one_owner() {
        let dir = tempfile::tempdir().expect("a directory");
        let _first = open(dir.path());
        let second = Store::open(dir.path(), Limits::default());
        assert!(matches!(second.err(), Some(StoreError::InUse { .. })));
    }
}
