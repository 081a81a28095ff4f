//! The one thread that writes: takes what waits in the queue, commits it as
//! one group, acknowledges.
//!
//! ```text
//!            commit fails: tell callers, keep events in memory
//!   Well ───────────────────────────────────────────────────▶ Failing
//!    ▲                                                            │
//!    └──── reopened, commit works: write what was kept ◀──────────┘
//!                      (tried with every job and every few seconds)
//! ```
//! A disk that is full fails only when there is no history to drop
//! ([`relief`]).

use super::budget::{Room, Size};
use super::open::Opened;
use super::wear::{Book, Class, Counts, Meter};
use super::{
    Health, Job, LATEST_MAX, Limits, Revision, SettingsChange, Shared, StoreError, StoredEvent,
    audit, document, fault, history, jobs, kv, lock, relief, table,
};
use crate::clock;
use crate::failure::chain;
use evenkeel_core::events::Event;
use evenkeel_core::settings::forms::form_of;
use redb::{Database, Durability, ReadableTable as _, WriteTransaction};
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Opens the file, at the start and after a disk error.
pub type Opener = Box<dyn FnMut(&Arc<Meter>) -> Result<Opened, StoreError> + Send>;

/// Time that jobs for which nobody waits wait for company: a commit costs the
/// flash a path of pages in every tree, however little is in it.
const LINGER: Duration = Duration::from_millis(100);
/// How long another process may still hold the file at the start. A daemon that
/// was killed in the instant in which it started a helper lives on in that
/// helper until it has begun its own program, and so does the lock.
const IN_USE_MAX: Duration = Duration::from_secs(5);
/// Time between two looks at the lock, of whose end nobody tells.
const IN_USE_LOOK: Duration = Duration::from_millis(50);
/// Jobs in one commit.
const GROUP_MAX: usize = 256;
/// Time between two attempts while the disk fails.
const RETRY: Duration = Duration::from_secs(5);
/// Events kept in memory while the disk fails; then the oldest go.
const UNSAVED_MAX: usize = 2_000;
/// Most bytes of all revisions of one settings document; there are six.
const SETTINGS_BYTES: u64 = Room::Settings.most() / 6;
/// Tables of events of which nothing is known yet.
const EMPTY: [Size; 2] = [Size::of(Room::Events), Size::of(Room::Access)];
/// How often history is dropped for one commit.
const RELIEFS_MAX: usize = 8;

/// The writing side of the store.
pub struct Writer {
    shared: Arc<Shared>,
    limits: Limits,
    next_id: u64,
    opener: Opener,
    opened_once: bool,
    samples_lost: u64,
    /// History was dropped for the commit under way.
    relieved: bool,
    ledger: audit::Ledger,
    book: Book,
    /// Of the tables of events.
    sizes: [Size; 2],
}

/// What one commit writes.
#[derive(Default)]
struct Group {
    events: VecDeque<StoredEvent>,
    history: Vec<history::Change>,
    users: Vec<(String, Option<Vec<u8>>)>,
    settings: Vec<SettingsChange>,
    told: Vec<(String, Option<u64>)>,
    discharges: Vec<super::discharge::Encoded>,
    shelves: Vec<(String, kv::Change)>,
    jobs: Vec<jobs::Row>,
    documents: Vec<document::Change>,
    /// The audit log is to be sealed.
    seal: bool,
    /// There will be no further one.
    last: bool,
    event_acks: Vec<(u64, oneshot::Sender<Result<u64, StoreError>>)>,
    acks: Vec<oneshot::Sender<Result<(), StoreError>>>,
}

impl Group {
    /// True when somebody waits for it.
    fn is_awaited(&self) -> bool {
        self.seal
            || !self.acks.is_empty()
            || !self.event_acks.is_empty()
            || !self.documents.is_empty()
    }
}

impl Writer {
    pub fn new(shared: Arc<Shared>, limits: Limits, opener: Opener) -> Self {
        let ledger = audit::Ledger::new(shared.had_audit_key());
        // Made at the first start, so that a log that goes missing is missed.
        let _ = shared.seal_key();
        Self {
            shared,
            limits,
            next_id: 1,
            opener,
            opened_once: false,
            samples_lost: 0,
            relieved: false,
            ledger,
            book: Book::default(),
            sizes: EMPTY,
        }
    }

    /// Open the file for the first time, which a daemon before may just be
    /// leaving. A disk that fails is only told.
    ///
    /// # Errors
    /// [`StoreError::InUse`]: somebody else writes this file.
    pub fn begin(&mut self) -> Result<(), StoreError> {
        let begun = Instant::now();
        let mut opened = self.open();
        while matches!(opened, Err(StoreError::InUse { .. })) && begun.elapsed() < IN_USE_MAX {
            std::thread::sleep(IN_USE_LOOK);
            opened = self.open();
        }
        match opened {
            Ok(_) => {
                relief::reserve(&self.shared.path);
                Ok(())
            }
            Err(in_use @ StoreError::InUse { .. }) => Err(in_use),
            Err(e) => {
                // Behind all ids of a file that cannot be read now.
                self.next_id = self.next_id.max(clock::unix_ms());
                self.failed(Group::default(), &chain(&e), false);
                Ok(())
            }
        }
    }

    /// Until every sender is gone and everything is written.
    pub fn run(mut self, jobs: &Receiver<Job>) {
        let path = self.shared.path.clone();
        let _doing = fault::doing(&path, fault::Stage::Using);
        loop {
            let first = match jobs.recv_timeout(RETRY) {
                Ok(job) => Some(job),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let seal = self.ledger.is_due(clock::now()) && self.shared.seal_key().is_some();
            if first.is_none() && !seal && lock(&self.shared.unsaved).is_empty() {
                continue;
            }
            if !self.opened_once {
                // Before anything gets an id; why not is told when writing.
                let _ = self.database();
            }
            let mut group = Group { seal, ..Group::default() };
            let (mut next, mut count, begun) = (first, 0, Instant::now());
            while let Some(job) = next {
                self.take(job, &mut group);
                count += 1;
                next = if count < GROUP_MAX { company(jobs, &group, begun) } else { None };
            }
            self.report_dropped(&mut group);
            self.write(group);
        }
        self.write(Group { seal: true, last: true, ..Group::default() });
    }

    fn take(&mut self, job: Job, group: &mut Group) {
        match job {
            Job::Event { event, unix_ms, ack } => {
                let id = self.add(event, unix_ms, group);
                group.event_acks.extend(ack.map(|ack| (id, ack)));
            }
            Job::History { change, ack } => {
                group.history.push(change);
                group.acks.push(ack);
            }
            Job::User { name, record, ack } => {
                group.users.push((name, record));
                group.acks.push(ack);
            }
            Job::Settings(changes, ack) => {
                group.settings.extend(changes);
                group.acks.push(ack);
            }
            Job::Told { notifier, last, ack } => {
                group.told.push((notifier, last));
                group.acks.push(ack);
            }
            Job::Discharge { discharge, ack } => {
                group.discharges.push(discharge);
                group.acks.push(ack);
            }
            Job::Jobs { rows, ack } => {
                group.jobs.extend(rows);
                group.acks.push(ack);
            }
            Job::Shelf { owner, change, ack } => {
                group.shelves.push((owner, change));
                group.acks.push(ack);
            }
            Job::Document(change) => group.documents.push(change),
            Job::Audit { entry, ack } => {
                self.ledger.enter(entry);
                group.acks.extend(ack);
            }
            Job::Seal { ack } => {
                group.seal = true;
                group.acks.push(ack);
            }
        }
    }

    /// Number an event and show it to the readers; it is on the disk later.
    fn add(&mut self, event: Event, unix_ms: u64, group: &mut Group) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        if let Some(entry) = audit::entry_of(&event, unix_ms) {
            self.ledger.enter(entry);
        }
        let stored = StoredEvent { id, unix_ms, event };
        lock(&self.shared.latest).push(stored.clone());
        self.shared.changed.send_modify(|n| *n = id);
        group.events.push_back(stored);
        id
    }

    fn report_dropped(&mut self, group: &mut Group) {
        let count = std::mem::take(&mut *lock(&self.shared.dropped));
        if count > 0 {
            self.add(Event::EventsDropped { count }, clock::unix_ms(), group);
        }
    }

    fn write(&mut self, mut group: Group) {
        let last = group.events.back().map(|event| event.id);
        let was_failing = lock(&self.shared.health).error.is_some();
        let kept = std::mem::take(&mut *lock(&self.shared.unsaved));
        let fresh = std::mem::replace(&mut group.events, kept);
        group.events.extend(fresh);
        let mut outcome = self.attempt(&group);
        for _ in 0..RELIEFS_MAX {
            if !outcome.as_ref().is_err_and(|failure| failure.is_full) || !self.relieve() {
                break;
            }
            outcome = self.attempt(&group);
        }
        match outcome {
            Ok(Committed { revisions, documents, audit, sizes }) => {
                self.sizes = sizes;
                self.ledger.written(audit);
                *lock(&self.shared.health) = Health::default();
                if let Some(users) = lock(&self.shared.users).as_mut() {
                    for (name, record) in group.users {
                        match record {
                            Some(record) => users.insert(name, record),
                            None => users.remove(&name),
                        };
                    }
                }
                if !group.history.is_empty() {
                    self.shared.remember_newest();
                }
                for (id, ack) in group.event_acks {
                    let _ = ack.send(Ok(id));
                }
                for ack in group.acks {
                    let _ = ack.send(Ok(()));
                }
                for (change, written) in group.documents.into_iter().zip(documents) {
                    change.acknowledge(written);
                }
                if was_failing || std::mem::take(&mut self.relieved) {
                    relief::reserve(&self.shared.path);
                    self.recovered();
                }
                self.tell(revisions);
            }
            Err(failure) => self.failed(group, &failure.reason, was_failing),
        }
        if let Some(last) = last {
            self.shared.settled.send_modify(|id| *id = last.max(*id));
        }
    }

    fn attempt(&mut self, group: &Group) -> Result<Committed, Failure> {
        let closed = |e: StoreError| Failure { is_full: e.is_full(), reason: chain(&e) };
        let database = self.database().map_err(closed)?;
        self.commit(&database, group)
            .map_err(|e| Failure { is_full: relief::is_full(&e), reason: e.to_string() })
    }

    /// Make room by dropping history; false when that did not help.
    fn relieve(&mut self) -> bool {
        // redb refuses everything after a disk error; only reopening helps.
        *self.shared.database.write().unwrap_or_else(PoisonError::into_inner) = None;
        relief::release(&self.shared.path);
        let dropped = self
            .database()
            .map_err(|e| chain(&e))
            .and_then(|database| relief::drop_oldest(&database).map_err(|e| e.to_string()));
        match dropped {
            Ok(dropped) if !dropped.is_nothing() => {
                let relief::Dropped { history, discharges } = dropped;
                let (rows, bytes) = (history.rows, history.bytes);
                let result = format!(
                    "the disk is full; {rows} samples ({bytes} bytes), {discharges} records"
                );
                self.ledger.enter(audit::own("drop the oldest history", &result));
                self.samples_lost += rows;
                self.relieved = true;
                true
            }
            Ok(_) => false,
            Err(reason) => {
                tracing::error!("no history can be dropped from the full disk: {reason}");
                false
            }
        }
    }

    /// New settings are in force.
    fn tell(&mut self, revisions: Vec<(String, u64)>) {
        if revisions.is_empty() {
            return;
        }
        let mut group = Group::default();
        for (what, revision) in revisions {
            let event = Event::SettingsInForce { what, revision };
            self.add(event, clock::unix_ms(), &mut group);
        }
        self.write(group);
    }

    fn recovered(&mut self) {
        let samples_lost = std::mem::take(&mut self.samples_lost);
        tracing::warn!("store can be written again; {samples_lost} history samples were lost");
        let mut group = Group::default();
        self.add(Event::StoreRecovered { samples_lost }, clock::unix_ms(), &mut group);
        self.write(group);
    }

    fn failed(&mut self, mut group: Group, reason: &str, was_failing: bool) {
        // redb refuses everything after a disk error; only reopening helps.
        *self.shared.database.write().unwrap_or_else(PoisonError::into_inner) = None;
        let told: Arc<str> = reason.into();
        for (_, ack) in std::mem::take(&mut group.event_acks) {
            let _ = ack.send(Err(StoreError::Write(told.clone())));
        }
        for ack in std::mem::take(&mut group.acks) {
            let _ = ack.send(Err(StoreError::Write(told.clone())));
        }
        for change in std::mem::take(&mut group.documents) {
            let _ = change.ack.send(Err(StoreError::Write(told.clone())));
        }
        self.samples_lost += group.history.iter().map(history::Change::rows).sum::<u64>();
        if !was_failing {
            tracing::error!("store cannot be written: {reason}");
            let event = Event::StoreFailed { reason: reason.to_owned() };
            self.add(event, clock::unix_ms(), &mut group);
        }
        let mut kept = lock(&self.shared.unsaved);
        kept.extend(group.events);
        while kept.len() > UNSAVED_MAX {
            kept.pop_front();
            *lock(&self.shared.dropped) += 1;
        }
        let unsaved = kept.len();
        drop(kept);
        *lock(&self.shared.health) = Health { error: Some(reason.to_owned()), unsaved };
    }

    fn commit(&mut self, database: &Database, group: &Group) -> Result<Committed, redb::Error> {
        let begun = clock::now();
        let key = self.shared.seal_key();
        let mut payload = Counts::default();
        let mut write = database.begin_write()?;
        write.set_durability(Durability::Immediate)?;
        let mut sizes = self.sizes;
        write_events(&write, group, &self.limits, &mut sizes, &mut payload)?;
        history::write(&write, &group.history, &self.limits, &mut payload)?;
        write_small(&write, group, &mut payload)?;
        let documents = group.documents.iter().map(|change| {
            payload.add(Class::State, change.bytes.as_ref().map_or(0, Vec::len));
            document::write(&write, change)
        });
        let documents = documents.collect::<Result<_, _>>()?;
        let mut revisions = Vec::new();
        for change in &group.settings {
            let revision = write_settings(&write, change, self.limits.revisions, &mut payload)?;
            revisions.extend(revision.map(|revision| (change.what.to_owned(), revision)));
        }
        let most = self.limits.audit;
        let audit = self.ledger.write(&write, key.as_deref(), group.seal, most, &mut payload)?;
        self.book.write(&self.shared, &write, group.last)?;
        write.commit()?;
        self.shared.committed(&payload, begun);
        Ok(Committed { revisions, documents, audit, sizes })
    }

    /// The database, opened again when a disk error closed it.
    fn database(&mut self) -> Result<Arc<Database>, StoreError> {
        self.shared.database().or_else(|_| self.open())
    }

    /// Open the file and read what is kept in memory. Ids go on behind those
    /// in the file, and behind those of a file that was lost.
    fn open(&mut self) -> Result<Arc<Database>, StoreError> {
        let Opened { database, damaged } = (self.opener)(&self.shared.meter)?;
        let database = Arc::new(database);
        let shared = self.shared.clone();
        let place = || shared.database.write().unwrap_or_else(PoisonError::into_inner);
        *place() = Some(database.clone());
        let last = self.load().inspect_err(|_| *place() = None)?;
        if !self.opened_once {
            self.opened_once = true;
            self.renumber(last);
        }
        self.next_id = self.next_id.max(last.saturating_add(1));
        if let Some(event) = damaged {
            self.next_id = self.next_id.max(clock::unix_ms());
            let mut told = Group::default();
            self.add(event, clock::unix_ms(), &mut told);
            lock(&self.shared.unsaved).extend(told.events);
        }
        Ok(database)
    }

    /// Users and newest events into memory; the last id in the file.
    fn load(&mut self) -> Result<u64, StoreError> {
        let (last, users, sizes) = self.shared.read(|read| {
            let users = match table::open(read, table::USERS)? {
                None => Ok(Default::default()),
                Some(table) => table
                    .iter()?
                    .map(|row| row.map(|(k, v)| (k.value().to_owned(), v.value().to_vec())))
                    .collect(),
            };
            let mut sizes = EMPTY;
            for (size, table) in sizes.iter_mut().zip(table::EVENTS) {
                let Some(table) = table::open(read, table)? else { continue };
                for row in table.iter()? {
                    size.add(row?.1.value().len());
                }
            }
            Ok((table::last_id(read)?, users?, sizes))
        })?;
        self.sizes = sizes;
        *lock(&self.shared.users) = Some(users);
        let audit = audit::At::read(&self.shared)?;
        self.ledger.opened(audit);
        self.book.opened(&self.shared)?;
        self.shared.remember_newest();
        let newest = self.shared.stored_events(None, LATEST_MAX)?;
        let mut latest = lock(&self.shared.latest);
        if latest.iter().len() == 0 {
            newest.into_iter().for_each(|event| drop(latest.push(event)));
        }
        self.shared.settled.send_modify(|id| *id = last.max(*id));
        Ok(last)
    }

    /// Events from before the file could be read, on a clock that was set
    /// back, get ids behind those in the file.
    fn renumber(&mut self, last: u64) {
        let mut unsaved = lock(&self.shared.unsaved);
        if unsaved.front().is_none_or(|first| first.id > last) {
            return;
        }
        for event in unsaved.iter_mut() {
            event.id += last;
        }
        self.next_id += last;
    }
}

/// The next job of a group: one that waits already or, while nobody waits for
/// the group, one that comes soon.
fn company(jobs: &Receiver<Job>, group: &Group, begun: Instant) -> Option<Job> {
    match group.is_awaited() {
        true => jobs.try_recv().ok(),
        false => jobs.recv_timeout(LINGER.saturating_sub(begun.elapsed())).ok(),
    }
}

/// Why a commit failed.
struct Failure {
    /// The disk is full.
    is_full: bool,
    reason: String,
}

/// What a commit found out.
struct Committed {
    /// The settings documents that were new, with their revisions.
    revisions: Vec<(String, u64)>,
    /// What became of each document of the group.
    documents: Vec<document::Written>,
    /// Where the audit log ends.
    audit: audit::At,
    /// Of the tables of events.
    sizes: [Size; 2],
}

/// Users, told marks, discharges and shelves.
fn write_small(
    write: &WriteTransaction,
    group: &Group,
    payload: &mut Counts,
) -> Result<(), redb::Error> {
    for (name, record) in &group.users {
        let mut table = write.open_table(table::USERS)?;
        match record {
            Some(record) => {
                payload.add(Class::Settings, record.len());
                table.insert(name.as_str(), record.as_slice())?;
            }
            None => drop(table.remove(name.as_str())?),
        }
    }
    for (notifier, last) in &group.told {
        payload.add(Class::State, size_of::<u64>());
        let mut table = write.open_table(table::TOLD)?;
        match last {
            Some(last) => table.insert(notifier.as_str(), last)?,
            None => table.remove(notifier.as_str())?,
        };
    }
    for discharge in &group.discharges {
        payload.add(Class::Discharges, discharge.len());
        discharge.write(write)?;
    }
    for (owner, change) in &group.shelves {
        payload.add(Class::State, change.len());
        kv::write(write, owner, change)?;
    }
    if !group.jobs.is_empty() {
        let bytes = |(name, value): &jobs::Row| name.len() + value.as_ref().map_or(0, Vec::len);
        payload.add(Class::State, group.jobs.iter().map(bytes).sum());
        jobs::write(write, &group.jobs)?;
    }
    Ok(())
}

fn write_events(
    write: &WriteTransaction,
    group: &Group,
    most: &Limits,
    sizes: &mut [Size; 2],
    payload: &mut Counts,
) -> Result<(), redb::Error> {
    for (index, most) in [most.events, most.access].into_iter().enumerate() {
        let here = |e: &&StoredEvent| table::of(e.event.category()) == index;
        let mut events = group.events.iter().filter(here).peekable();
        if events.peek().is_none() {
            continue;
        }
        let mut table = write.open_table(table::EVENTS[index])?;
        for event in events {
            let bytes = json(event)?;
            payload.add(Class::Events, bytes.len());
            table.insert(event.id, bytes.as_slice())?;
            sizes[index].add(bytes.len());
        }
        sizes[index].trim(&mut table, most)?;
    }
    Ok(())
}

/// The number of the new revision, the last of `texts`; `None` when it is the
/// same as the last one there.
fn write_settings(
    write: &WriteTransaction,
    SettingsChange { what, unix_ms, by, texts, alone }: &SettingsChange,
    most: u64,
    payload: &mut Counts,
) -> Result<Option<u64>, redb::Error> {
    let (what, unix_ms) = (*what, *unix_ms);
    let most = if *alone { texts.len() as u64 } else { most };
    let mut table = write.open_table(table::SETTINGS)?;
    let mut newest = 0;
    if let Some(row) = table.range((what, 0)..=(what, u64::MAX))?.next_back() {
        let (key, value) = row?;
        newest = key.value().1;
        let last = serde_json::from_slice(value.value()).ok();
        if last.map(|last: Revision| last.text).as_ref() == texts.last() {
            return Ok(None);
        }
    }
    let mut revision = newest;
    for text in texts {
        revision += 1;
        let document = json(&Revision { revision, unix_ms, by: by.clone(), text: text.clone() })?;
        payload.add(Class::Settings, document.len());
        table.insert((what, revision), document.as_slice())?;
    }
    // What a newer program wrote stays beside what an older one writes after a fallback:
    // in it is what the older has no place for, and the newer comes back.
    let form = texts.last().map_or(1, |text| form_of(text));
    let mut spared = None;
    if !alone {
        for row in table.range((what, 0)..=(what, newest))?.rev() {
            let (key, value) = row?;
            let said = serde_json::from_slice::<Revision>(value.value());
            if said.is_ok_and(|said| form_of(&said.text) > form) {
                spared = Some((key.value().1, value.value().len() as u64));
                break;
            }
        }
    }
    let mut oldest = (revision + 1).saturating_sub(most);
    let mut bytes = spared.map_or(0, |(_, bytes)| bytes);
    for row in table.range((what, oldest)..=(what, revision))?.rev() {
        let (key, value) = row?;
        bytes += value.value().len() as u64;
        // A document is never without its last revision.
        if bytes > SETTINGS_BYTES && key.value().1 < revision {
            oldest = key.value().1 + 1;
            break;
        }
    }
    let spared = spared.map(|(revision, _)| revision);
    table.retain_in((what, 0)..(what, oldest), |key, _| Some(key.1) == spared)?;
    Ok(Some(revision))
}

fn json(record: &impl serde::Serialize) -> Result<Vec<u8>, redb::Error> {
    serde_json::to_vec(record).map_err(|e| redb::Error::Io(e.into()))
}

#[cfg(test)]
mod tests {
    use super::super::{FILE, Store};
    use super::*;
    use redb::backends::FileBackend;
    use redb::{DatabaseError, StorageBackend};
    use std::io;
    use std::path::Path;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn a_file_that_another_is_just_leaving_is_waited_for() {
        let dir = tempfile::tempdir().expect("a directory");
        drop(Store::open(dir.path(), Limits::default()).expect("a store"));
        let held = redb::Database::create(dir.path().join(FILE)).expect("opened");
        let (opening, began) = std::sync::mpsc::channel();
        let next = std::thread::spawn({
            let dir = dir.path().to_owned();
            move || {
                opening.send(()).expect("somebody waits");
                Store::open(&dir, Limits::default()).map(drop)
            }
        });
        began.recv().expect("it began");
        std::thread::sleep(IN_USE_LOOK);
        drop(held);
        next.join().expect("no panic").expect("opened after all");
    }

    /// A disk that can be full.
    #[derive(Debug)]
    struct Disk {
        file: FileBackend,
        full: Arc<AtomicBool>,
    }

    impl Disk {
        fn check(&self) -> io::Result<()> {
            match self.full.load(Ordering::Relaxed) {
                true => Err(io::ErrorKind::StorageFull.into()),
                false => Ok(()),
            }
        }
    }

    impl StorageBackend for Disk {
        fn len(&self) -> io::Result<u64> {
            self.file.len()
        }
        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            self.file.read(offset, out)
        }
        fn set_len(&self, len: u64) -> io::Result<()> {
            self.check()?;
            self.file.set_len(len)
        }
        fn sync_data(&self) -> io::Result<()> {
            self.check()?;
            self.file.sync_data()
        }
        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            self.check()?;
            self.file.write(offset, data)
        }
        fn close(&self) -> io::Result<()> {
            self.file.close()
        }
    }

    fn open_disk(path: &Path, full: &Arc<AtomicBool>) -> Result<Database, DatabaseError> {
        let mut options = std::fs::OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(path)?;
        let disk = Disk { file: FileBackend::new(file)?, full: full.clone() };
        Database::builder().create_with_backend(disk)
    }

    #[test]
    fn a_full_disk_stops_nothing_and_loses_no_event() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(FILE);
        let full = Arc::new(AtomicBool::new(false));
        let store = start(&path, &full);
        store.record_acknowledged(Event::GuardBack).wait().expect("on the disk");
        store.put_user("admin", b"1".to_vec()).wait().expect("on the disk");

        full.store(true, Ordering::Relaxed);
        let refused = store.record_acknowledged(Event::GuardLost).wait();
        assert!(matches!(refused, Err(StoreError::Write(_))), "{refused:?}");
        assert!(store.put_user("a", vec![]).wait().is_err());
        assert_eq!(store.user("admin").expect("in memory").as_deref(), Some(&b"1"[..]));
        assert_eq!(store.user("a").expect("in memory"), None, "not acknowledged, not there");
        let shown: Vec<_> = store.events(None, 99).into_iter().map(|e| e.event).collect();
        assert!(matches!(
            shown[..],
            [Event::GuardBack, Event::GuardLost, Event::StoreFailed { .. }]
        ));
        assert!(store.health().error.is_some() && store.health().unsaved >= 2);
        assert!(store.latest(9).iter().any(|e| e.event == Event::GuardLost), "shown anyway");

        full.store(false, Ordering::Relaxed);
        store.record_acknowledged(Event::GuardBack).wait().expect("on the disk again");
        drop(store);
        let store = Store::open(dir.path(), Limits::default()).expect("a store");
        let events = store.events(None, 99);
        let ids: Vec<_> = events.iter().map(|e| e.id).collect();
        assert_eq!(ids, (1..=ids.len() as u64).collect::<Vec<_>>());
        assert_eq!(events[1].event, Event::GuardLost);
        assert!(matches!(events[2].event, Event::StoreFailed { .. }));
        let last = &events.last().expect("events").event;
        assert!(matches!(last, Event::StoreRecovered { .. }), "{last:?}");
    }

    /// A store on a disk that may be full.
    fn start(path: &Path, full: &Arc<AtomicBool>) -> Store {
        let (file, full) = (path.to_owned(), full.clone());
        let opener: Opener = Box::new(move |_| {
            let failed = |e: DatabaseError| StoreError::Open {
                path: file.clone(),
                source: Box::new(e.into()),
            };
            let database = open_disk(&file, &full).map_err(failed)?;
            Ok(Opened { database, damaged: None })
        });
        Store::start(path.to_owned(), Limits::default(), opener).expect("a store")
    }

    #[test]
    fn a_disk_that_is_full_at_the_start_loses_no_event_either() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(FILE);
        let full = Arc::new(AtomicBool::new(true));
        let store = start(&path, &full);
        assert!(store.health().error.is_some_and(|e| e.contains("check the disk")));
        assert!(matches!(store.user("admin"), Err(StoreError::Closed)));
        assert!(store.record_acknowledged(Event::GuardLost).wait().is_err());
        assert_eq!(store.events(None, 9).len(), 2, "the failure and what happened since");

        full.store(false, Ordering::Relaxed);
        store.put_user("admin", b"1".to_vec()).wait().expect("on the disk");
        assert_eq!(store.health(), Health::default());
        drop(store);
        let store = Store::open(dir.path(), Limits::default()).expect("a store");
        assert!(store.user("admin").expect("loaded").is_some());
        let events: Vec<_> = store.events(None, 9).into_iter().map(|e| e.event).collect();
        assert!(matches!(
            events[..],
            [Event::StoreFailed { .. }, Event::GuardLost, Event::StoreRecovered { .. }]
        ));
    }

    #[test]
    fn ids_from_memory_come_behind_those_in_the_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(FILE);
        let database = Database::create(&path).expect("a database");
        let write = database.begin_write().expect("writable");
        let far = clock::unix_ms() * 2;
        write
            .open_table(table::EVENTS[1])
            .expect("a table")
            .insert(far, &b"{}"[..])
            .expect("inserted");
        write.commit().expect("committed");
        drop(database);
        let full = Arc::new(AtomicBool::new(true));
        let store = start(&path, &full);
        full.store(false, Ordering::Relaxed);
        let id = store.record_acknowledged(Event::GuardBack).wait().expect("on the disk");
        assert!(id > far, "{id}");
        let ids: Vec<_> = store.events(None, 9).iter().map(|e| e.id).collect();
        assert_eq!(ids[0], far, "{ids:?}");
        assert_eq!(ids[2], id, "after the failure: {ids:?}");
    }
}
