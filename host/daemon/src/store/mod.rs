//! The store: events, users, settings and history in one redb file, written
//! by one thread.
//!
//! # Promises
//! - What was acknowledged is on the disk: power may fail, and the process be
//!   killed, at any instruction.
//! - Nobody waits for the disk who does not ask to: jobs go through a bounded
//!   queue, and whatever waits there is committed as one group.
//! - A damaged file is never silently replaced: it is moved aside, and an
//!   event says so ([`open`]).
//! - A disk that is full or failing does not stop the daemon: events stay in
//!   memory and are written when it works again ([`writer`]).
//!
//! Follows DESIGN.md "Store".

mod open;
pub mod recent;
mod writer;

pub use recent::Recent;

use evenkeel_core::events::Event;
use evenkeel_core::history::{Ring, Sample};
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition, TableError};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::JoinHandle;
use tokio::sync::{oneshot, watch};

/// Name of the file in the data directory.
pub const FILE: &str = "evenkeel.redb";

/// Event id → [`StoredEvent`] as JSON.
const EVENTS: TableDefinition<u64, &[u8]> = TableDefinition::new("events");
/// User name → the user's record as JSON.
const USERS: TableDefinition<&str, &[u8]> = TableDefinition::new("users");
/// Key of a settings document → the document.
const SETTINGS: TableDefinition<&str, &[u8]> = TableDefinition::new("settings");
/// (ms since 1970, string counted from 1) → [`Sample`]. Time first, so that
/// the oldest sample of all is the first row.
const SAMPLES: TableDefinition<(u64, u16), &[u8]> = TableDefinition::new("samples");

/// Jobs that may wait for the writer.
const QUEUE_MAX: usize = 1_024;
/// Newest events kept in memory, for the live page.
const LATEST_MAX: usize = 64;

/// How much is kept; the oldest goes first.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most events.
    pub events: u64,
    /// Most history samples, of all strings together.
    pub samples: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { events: 20_000, samples: 100_000 }
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
    #[error("store cannot be read")]
    Read(#[source] Box<redb::Error>),
    /// Writing failed; says why, since several callers share one commit.
    #[error("store cannot be written: {0}")]
    Write(Arc<str>),
    /// The disk failed and the file is closed until it works again.
    #[error("store is closed after a disk error; it is tried again by itself")]
    Closed,
    /// The writer's queue is full.
    #[error("store is overloaded; try again")]
    Overloaded,
    /// A record in the store makes no sense.
    #[error("store holds a {what} that cannot be read")]
    Record {
        /// Which kind.
        what: &'static str,
    },
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
    database: RwLock<Option<Arc<Database>>>,
    latest: Mutex<Ring<StoredEvent>>,
    unsaved: Mutex<VecDeque<StoredEvent>>,
    health: Mutex<Health>,
    recent: Recent,
    /// Events that found the queue full, not yet reported.
    dropped: Mutex<u64>,
    changed: watch::Sender<u64>,
}

enum Job {
    Event {
        event: Event,
        unix_ms: u64,
        ack: Option<oneshot::Sender<Result<u64, StoreError>>>,
    },
    Samples {
        unix_ms: u64,
        samples: Vec<(u16, Sample)>,
    },
    Put {
        table: Documents,
        key: String,
        value: Vec<u8>,
        ack: oneshot::Sender<Result<(), StoreError>>,
    },
}

/// The tables of documents by key.
#[derive(Clone, Copy)]
enum Documents {
    Users,
    Settings,
}

impl Documents {
    const fn table(self) -> TableDefinition<'static, &'static str, &'static [u8]> {
        match self {
            Self::Users => USERS,
            Self::Settings => SETTINGS,
        }
    }
}

impl Store {
    /// Open the store in `dir`, or begin one. A damaged file is moved aside.
    ///
    /// # Errors
    /// [`StoreError::InUse`] or [`StoreError::Open`].
    pub fn open(dir: &Path, limits: Limits) -> Result<Self, StoreError> {
        let path = dir.join(FILE);
        let (database, damaged) = open::open(&path)?;
        let store = Self::start(database, limits, Box::new(move || open::reopen(&path)))?;
        if let Some(event) = damaged {
            store.record(event);
        }
        Ok(store)
    }

    fn start(
        database: Database,
        limits: Limits,
        reopen: writer::Reopen,
    ) -> Result<Self, StoreError> {
        let shared = Arc::new(Shared {
            database: RwLock::new(Some(Arc::new(database))),
            latest: Mutex::new(Ring::new(LATEST_MAX)),
            unsaved: Mutex::default(),
            health: Mutex::default(),
            recent: Recent::default(),
            dropped: Mutex::new(0),
            changed: watch::Sender::new(0),
        });
        let newest = shared.stored_events(None, LATEST_MAX)?;
        let next_id = newest.last().map_or(1, |e| e.id + 1);
        for event in newest {
            lock(&shared.latest).push(event);
        }
        let (queue, jobs) = sync_channel(QUEUE_MAX);
        let writer = writer::Writer::new(shared.clone(), limits, next_id, reopen);
        let writer = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || writer.run(&jobs))
            .map_err(|e| StoreError::Write(e.to_string().into()))?;
        Ok(Self { shared, queue: Some(queue), writer: Some(writer) })
    }

    /// Record an event now; it is on the disk soon. When events come faster
    /// than the disk takes them, the ones that found no room are counted.
    pub fn record(&self, event: Event) {
        let job = Job::Event { event, unix_ms: crate::clock::unix_ms(), ack: None };
        if self.send(job).is_err() {
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

    /// Append one history sample per string (counted from 1).
    pub fn append(&self, unix_ms: u64, samples: Vec<(u16, Sample)>) {
        if let Err(e) = self.send(Job::Samples { unix_ms, samples }) {
            tracing::warn!("history sample lost: {e}");
        }
    }

    /// Keep a user's record.
    pub fn put_user(&self, name: &str, record: Vec<u8>) -> Ack<()> {
        self.put(Documents::Users, name, record)
    }

    /// A user's record.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn user(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.shared.document(Documents::Users, name)
    }

    /// True when there is no user at all: first start.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn no_users(&self) -> Result<bool, StoreError> {
        let read = self.shared.database()?.begin_read().map_err(read_error)?;
        match read.open_table(USERS) {
            Ok(users) => Ok(users.first().map_err(read_error)?.is_none()),
            Err(TableError::TableDoesNotExist(_)) => Ok(true),
            Err(e) => Err(read_error(e)),
        }
    }

    /// Keep a settings document.
    pub fn put_settings(&self, key: &str, document: Vec<u8>) -> Ack<()> {
        self.put(Documents::Settings, key, document)
    }

    /// A settings document.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn settings(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.shared.document(Documents::Settings, key)
    }

    /// Events, oldest first: the first `limit` with ids above `after`, or the
    /// newest `limit`.
    ///
    /// # Errors
    /// When the store cannot be read; the newest events are in
    /// [`latest`](Self::latest) even then.
    pub fn events(&self, after: Option<u64>, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        let mut events = self.shared.stored_events(after, limit)?;
        let known = events.last().map(|e| e.id).or(after).unwrap_or(0);
        let unsaved = lock(&self.shared.unsaved);
        events.extend(unsaved.iter().filter(|e| e.id > known).cloned());
        match after {
            Some(_) => events.truncate(limit),
            None => drop(events.drain(..events.len().saturating_sub(limit))),
        }
        Ok(events)
    }

    /// The newest events, from memory, newest first.
    #[must_use]
    pub fn latest(&self, limit: usize) -> Vec<StoredEvent> {
        lock(&self.shared.latest).iter().rev().take(limit).cloned().collect()
    }

    /// Samples of one string (counted from 1) from `from` to `to` (ms since
    /// 1970), oldest first, at most `limit` — the newest ones.
    ///
    /// # Errors
    /// When the store cannot be read or a sample is damaged.
    pub fn samples(
        &self,
        string: u16,
        from: u64,
        to: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Sample)>, StoreError> {
        let read = self.shared.database()?.begin_read().map_err(read_error)?;
        let table = match read.open_table(SAMPLES) {
            Ok(table) => table,
            Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
            Err(e) => return Err(read_error(e)),
        };
        let mut samples = Vec::new();
        for row in table.range((from, 0)..=(to, u16::MAX)).map_err(read_error)?.rev() {
            let (key, value) = row.map_err(read_error)?;
            let (unix_ms, of) = key.value();
            if of == string {
                let sample = Sample::from_bytes(value.value())
                    .map_err(|_| StoreError::Record { what: "history sample" })?;
                samples.push((unix_ms, sample));
                if samples.len() >= limit {
                    break;
                }
            }
        }
        samples.reverse();
        Ok(samples)
    }

    /// How the store is doing.
    #[must_use]
    pub fn health(&self) -> Health {
        lock(&self.shared.health).clone()
    }

    /// The fast ring.
    #[must_use]
    pub fn recent(&self) -> &Recent {
        &self.shared.recent
    }

    /// Wakes when there is a new event.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changed.subscribe()
    }

    fn put(&self, table: Documents, key: &str, value: Vec<u8>) -> Ack<()> {
        let (ack, done) = oneshot::channel();
        self.send_or_refuse(Job::Put { table, key: key.to_owned(), value, ack });
        Ack(done)
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

    fn document(&self, table: Documents, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let read = self.database()?.begin_read().map_err(read_error)?;
        match read.open_table(table.table()) {
            Ok(table) => {
                let value = table.get(key).map_err(read_error)?;
                Ok(value.map(|v| v.value().to_vec()))
            }
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(e) => Err(read_error(e)),
        }
    }

    fn stored_events(
        &self,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let read = self.database()?.begin_read().map_err(read_error)?;
        let table = match read.open_table(EVENTS) {
            Ok(table) => table,
            Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
            Err(e) => return Err(read_error(e)),
        };
        let first = after.map_or(0, |id| id.saturating_add(1));
        let mut rows = table.range(first..).map_err(read_error)?;
        let mut events = Vec::new();
        while events.len() < limit {
            let row = if after.is_some() { rows.next() } else { rows.next_back() };
            let Some(row) = row else { break };
            let (_, value) = row.map_err(read_error)?;
            let event = serde_json::from_slice(value.value());
            events.push(event.map_err(|_| StoreError::Record { what: "event" })?);
        }
        if after.is_none() {
            events.reverse();
        }
        Ok(events)
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
    use evenkeel_core::image::{BlockRecord, StringRecord};

    fn started(version: u32) -> Event {
        Event::DaemonStarted { version: version.to_string() }
    }

    fn sample(target_v: f64) -> Sample {
        let string = StringRecord { target_v, ..StringRecord::default() };
        Sample::of(&string, &[BlockRecord::default()], |b| b.quality)
    }

    fn open(dir: &Path) -> Store {
        Store::open(dir, Limits { events: 10, samples: 5 }).expect("a store")
    }

    #[test]
    fn everything_comes_back_after_reopening() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = open(dir.path());
        assert!(store.no_users().expect("readable"));
        let id = store.record_acknowledged(started(1)).wait().expect("on the disk");
        store.put_user("admin", b"{}".to_vec()).wait().expect("on the disk");
        store.put_settings("console", b"x = 1".to_vec()).wait().expect("on the disk");
        store.append(1_000, vec![(1, sample(13.6)), (2, sample(13.7))]);
        drop(store);

        let store = open(dir.path());
        assert_eq!(store.events(None, 9).expect("readable")[0].id, id);
        assert_eq!(store.latest(9)[0].event, started(1));
        assert!(!store.no_users().expect("readable"));
        assert_eq!(store.user("admin").expect("readable").as_deref(), Some(&b"{}"[..]));
        assert_eq!(store.user("root").expect("readable"), None);
        assert_eq!(store.settings("console").expect("readable").as_deref(), Some(&b"x = 1"[..]));
        let samples = store.samples(2, 0, u64::MAX, 9).expect("readable");
        assert_eq!(samples[0].1.target_mv(), Some(13_700));
        let next = store.record_acknowledged(started(2)).wait().expect("on the disk");
        assert!(next > id, "ids count on");
    }

    #[test]
    fn the_oldest_goes_first() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = open(dir.path());
        for n in 0..25 {
            store.record_acknowledged(started(n)).wait().expect("on the disk");
            store.append(u64::from(n), vec![(1, sample(13.6))]);
        }
        store.record_acknowledged(started(25)).wait().expect("on the disk");
        let ids: Vec<_> =
            store.events(None, 99).expect("readable").into_iter().map(|e| e.id).collect();
        assert_eq!(ids, (17..=26).collect::<Vec<_>>());
        let after = store.events(Some(20), 2).expect("readable");
        assert_eq!(after.iter().map(|e| e.id).collect::<Vec<_>>(), [21, 22]);
        let times: Vec<_> =
            store.samples(1, 0, 99, 99).expect("readable").into_iter().map(|s| s.0).collect();
        assert_eq!(times, [20, 21, 22, 23, 24]);
        assert_eq!(store.samples(1, 0, 22, 2).expect("readable").len(), 2);
    }

    #[test]
    fn one_file_has_one_owner() {
        let dir = tempfile::tempdir().expect("a directory");
        let _first = open(dir.path());
        let second = Store::open(dir.path(), Limits::default());
        assert!(matches!(second.err(), Some(StoreError::InUse { .. })));
    }
}
