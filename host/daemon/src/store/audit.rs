//! The audit log in the store: who did what from where, and with what result.
//! Its form, and what its hashes and seals prove, is [`evenkeel_signing::audit`].
//!
//! Every event that tells of somebody's doing becomes an entry in the same
//! commit ([`entry_of`]); what has no event is entered by [`Store::audit`].
//! The entries are chained when they are written: while the disk fails they
//! wait in memory like events, and a gap is an entry itself.
//!
//! A seal is set after [`SEAL_ENTRIES`] entries, [`SEAL_AFTER`] after the first
//! of them, and when the daemon stops. The key is a file beside the store, made
//! at the first start. A log that is empty although there is a key was taken
//! away, and begins with an entry that says so.

use super::budget::{Room, Size};
use super::wear::{Class, Counts};
use super::{Ack, Job, PROMPT_MAX, Shared, Store, StoreError, lock, table};
use crate::{clock, files};
use evenkeel_core::events::{Category, Event};
use evenkeel_core::time::Nanos;
use evenkeel_signing::Digest;
use evenkeel_signing::audit::{AuditKey, Entry, Head, SALVAGE, SealKey, lost_entries};
use redb::{ReadableTable as _, WriteTransaction};
use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::oneshot;

/// Entries until they are sealed.
pub const SEAL_ENTRIES: u64 = 32;
/// Time until they are sealed.
pub const SEAL_AFTER: Nanos = Nanos::from_secs(10 * 60);
/// Entries that wait in memory while the disk fails.
const WAITING_MAX: usize = 2_000;
/// Longest word of an entry, characters.
const WORDS_MAX: usize = 500;
/// Name of the key's file, beside the store.
pub const KEY_FILE: &str = "audit.key";

/// The key, once it could be read or made; and whether it was told that it
/// could not.
#[derive(Debug, Default)]
pub struct Keyhole(Mutex<Option<Arc<SealKey>>>, AtomicBool);

/// What the writer knows of the log.
#[derive(Debug, Default)]
pub struct Ledger {
    at: At,
    /// Not on the disk yet.
    waiting: VecDeque<Entry>,
    lost: u64,
    /// There was a log before this start.
    had_key: bool,
}

/// Entries of which none is missing; a log that was salvaged has several.
struct Part {
    before: Head,
    last: Head,
    lines: Vec<u8>,
}

impl Part {
    fn push(&mut self, seq: u64, line: &[u8]) {
        self.lines.extend(line);
        self.lines.push(b'\n');
        self.last = head_of(seq, line);
    }
}

/// Where the log ends on the disk.
#[derive(Clone, Copy, Debug)]
pub struct At {
    head: Head,
    unsealed: u64,
    /// Bytes of the log.
    size: Size,
    /// When the first of them was written.
    since: Option<Nanos>,
}

impl Store {
    /// Enter what somebody did; for what no event tells. `from` is an address,
    /// or empty; `result` is `done`, or why not.
    pub fn audit(&self, who: &str, from: &str, what: &str, result: &str) {
        let entry = entry(who, from, what, result);
        if self.send(Job::Audit { entry, ack: None }).is_err() {
            *lock(&self.shared.dropped) += 1;
        }
    }

    /// [`Self::audit`], and wait until it is on the disk, so that whoever did it
    /// can count on it when they are answered. A disk that hangs holds up
    /// nobody for longer than [`PROMPT_MAX`].
    pub async fn audit_promptly(&self, who: &str, from: &str, what: &str, result: &str) {
        let (ack, done) = oneshot::channel();
        let entry = entry(who, from, what, result);
        if self.send(Job::Audit { entry, ack: Some(ack) }).is_err() {
            *lock(&self.shared.dropped) += 1;
            return;
        }
        // What cannot be written now the writer keeps.
        let _ = tokio::time::timeout(PROMPT_MAX, done).await;
    }

    /// Entries and seals as lines, oldest first: the first `limit` with numbers
    /// above `after`, or the newest `limit`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn audit_lines(
        &self,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        self.shared.read(|read| {
            let Some(table) = table::open(read, table::AUDIT)? else { return Ok(Vec::new()) };
            let mut range = table.range(after.map_or(0, |seq| seq.saturating_add(1))..)?;
            let mut lines = Vec::new();
            while lines.len() < limit {
                let row = if after.is_some() { range.next() } else { range.next_back() };
                let Some(row) = row else { break };
                lines.push(row?.1.value().to_vec());
            }
            if after.is_none() {
                lines.reverse();
            }
            Ok(lines)
        })
    }

    /// The whole log as a file that `evenkeel audit verify` reads.
    ///
    /// # Errors
    /// When the store cannot be read, or there is no key to sign the end with.
    pub fn audit_export(&self) -> Result<Vec<u8>, StoreError> {
        let key = self.shared.seal_key().ok_or(StoreError::Closed)?;
        let parts = self.shared.read(|read| {
            let mut parts: Vec<Part> = Vec::new();
            let Some(table) = table::open(read, table::AUDIT)? else { return Ok(parts) };
            for row in table.iter()? {
                let (seq, line) = row?;
                let (seq, line) = (seq.value(), line.value());
                match parts.last_mut().filter(|part| part.last.seq + 1 == seq) {
                    Some(part) => part.push(seq, line),
                    // The row in front of a part is kept for its hash alone,
                    // unless it is the first ever.
                    None => {
                        let before = if seq > 1 { head_of(seq, line) } else { Head::default() };
                        let mut part = Part { before, last: before, lines: Vec::new() };
                        if seq <= 1 {
                            part.push(seq, line);
                        }
                        parts.push(part);
                    }
                }
            }
            Ok(parts)
        })?;
        let unix_ms = clock::unix_ms();
        let mut log = Vec::new();
        let empty = Part { before: Head::default(), last: Head::default(), lines: Vec::new() };
        for part in if parts.is_empty() { vec![empty] } else { parts } {
            log.extend(part.before.opening(&key.public()).bytes());
            log.push(b'\n');
            log.extend(part.lines);
            log.extend(part.last.ending(part.before.seq + 1, &key, unix_ms).bytes());
            log.push(b'\n');
        }
        Ok(log)
    }

    /// The key that vouches for the log; `None` while it cannot be kept.
    #[must_use]
    pub fn audit_key(&self) -> Option<AuditKey> {
        Some(self.shared.seal_key()?.public())
    }

    /// Have the log sealed now, and wait for it with the acknowledgement.
    pub fn seal_audit(&self) -> Ack<()> {
        let (ack, done) = oneshot::channel();
        self.send_or_refuse(Job::Seal { ack });
        Ack(done)
    }
}

impl Shared {
    /// The key; made when there is none yet.
    pub fn seal_key(&self) -> Option<Arc<SealKey>> {
        let mut place = lock(&self.keyhole.0);
        if place.is_none() {
            let path = self.path.with_file_name(KEY_FILE);
            match read_or_make(&path) {
                Ok(key) => *place = Some(Arc::new(key)),
                Err(e) if !self.keyhole.1.swap(true, Ordering::Relaxed) => tracing::error!(
                    "the audit log is not sealed: {} cannot be used; check the disk: {e}",
                    path.display()
                ),
                Err(_) => {}
            }
        }
        place.clone()
    }

    /// True when a log was kept here once.
    pub fn had_audit_key(&self) -> bool {
        self.path.with_file_name(KEY_FILE).exists()
    }
}

impl Ledger {
    /// `had_key`: there was a log before this start.
    pub fn new(had_key: bool) -> Self {
        Self { had_key, ..Self::default() }
    }

    /// Take an entry, to be written with the next commit.
    pub fn enter(&mut self, entry: Entry) {
        if self.waiting.len() >= WAITING_MAX {
            self.lost += 1;
        } else {
            self.waiting.push_back(entry);
        }
    }

    /// The file was opened, and this is where its log ends.
    pub fn opened(&mut self, at: At) {
        let before = std::mem::replace(&mut self.at, at);
        let had_log = std::mem::take(&mut self.had_key) || before.head.seq > 0;
        if at.head.seq == 0 && had_log {
            let entry = own("begin a new audit log", "the log before it is gone");
            self.waiting.push_front(entry);
        }
    }

    /// True when it is time to seal.
    pub fn is_due(&self, now: Nanos) -> bool {
        self.at.unsealed >= SEAL_ENTRIES
            || self.at.since.is_some_and(|since| now.since(since) >= SEAL_AFTER)
    }

    /// Write what waits, and a seal when one is due or `key` must be used now.
    pub fn write(
        &self,
        write: &WriteTransaction,
        key: Option<&SealKey>,
        now: bool,
        most: u64,
        payload: &mut Counts,
    ) -> Result<At, redb::Error> {
        let mut at = self.at;
        if self.waiting.is_empty() && !now {
            return Ok(at);
        }
        let mut table = write.open_table(table::AUDIT)?;
        let gap = (self.lost > 0)
            .then(|| own("enter what was done", &format!("{} entries were lost", self.lost)));
        for entry in self.waiting.iter().chain(&gap) {
            let line = at.head.append(entry);
            payload.add(Class::Audit, line.len());
            table.insert(at.head.seq, line.as_bytes())?;
            at.size.add(line.len());
            at.unsealed += 1;
            at.since.get_or_insert(clock::now());
        }
        if let Some(key) = key.filter(|_| at.unsealed >= SEAL_ENTRIES || now && at.unsealed > 0) {
            let line = at.head.seal(key, clock::unix_ms());
            table.insert(at.head.seq, line.as_bytes())?;
            at.size.add(line.len());
            (at.unsealed, at.since) = (0, None);
        }
        // One more, for its hash.
        at.size.trim(&mut table, most.saturating_add(1))?;
        Ok(at)
    }

    /// What waited is on the disk.
    pub fn written(&mut self, at: At) {
        self.at = at;
        self.waiting.clear();
        self.lost = 0;
    }
}

impl Default for At {
    fn default() -> Self {
        let (head, unsealed, since) = Default::default();
        Self { head, unsealed, size: Size::of(Room::Audit), since }
    }
}

impl At {
    /// The end of the log in the file.
    pub fn read(shared: &Shared) -> Result<Self, StoreError> {
        shared.read(|read| {
            let Some(table) = table::open(read, table::AUDIT)? else { return Ok(Self::default()) };
            let (mut at, mut is_sealed) = (Self::default(), false);
            for (index, row) in table.iter()?.rev().enumerate() {
                let (seq, line) = row?;
                let (seq, line) = (seq.value(), line.value());
                if index == 0 {
                    at.head = head_of(seq, line);
                }
                at.size.add(line.len());
                is_sealed = is_sealed || is_seal(line);
                if !is_sealed {
                    at.unsealed += 1;
                    at.since = Some(clock::now());
                }
            }
            Ok(at)
        })
    }
}

/// A line that nobody wrote gets a hash that fits nothing, so that it is seen.
fn head_of(seq: u64, line: &[u8]) -> Head {
    Head::of_line(seq, line).unwrap_or(Head { seq, hash: Digest::of(line) })
}

/// Quotes within words are escaped, so that only a seal has this in it.
fn is_seal(line: &[u8]) -> bool {
    const SEAL: &[u8] = b",\"seal\":\"";
    line.windows(SEAL.len()).any(|window| window == SEAL)
}

fn read_or_make(path: &Path) -> Result<SealKey, String> {
    match std::fs::read_to_string(path) {
        Ok(text) => SealKey::parse(&text).ok_or_else(|| "it is no key".to_owned()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let key = SealKey::generate().map_err(|e| e.to_string())?;
            files::write_private(path, key.to_text()).map_err(|e| e.to_string())?;
            Ok(key)
        }
        Err(e) => Err(e.to_string()),
    }
}

/// The entry that an event is, when it tells of somebody's doing: what people
/// and plugins ask for, and what the appliance changed by itself.
pub fn entry_of(event: &Event, unix_ms: u64) -> Option<Entry> {
    let done = || "done".to_owned();
    let or_done = |refused: &Option<String>| refused.clone().unwrap_or_else(done);
    let (who, from, what, result) = match event {
        Event::Login { user, from, via } => {
            let by = via.as_ref().map(|via| format!(", accepted by {via}")).unwrap_or_default();
            (user, from, format!("sign in{by}"), done())
        }
        Event::LoginWithoutRole { user, from, via, .. } => {
            (user, from, format!("sign in, accepted by {via}"), "no role is configured".to_owned())
        }
        Event::LoginFailed { user, from, count, .. } => {
            (user, from, "sign in".to_owned(), format!("refused, {count} times"))
        }
        Event::Logout { user, from } => (user, from, "sign out".to_owned(), done()),
        Event::PasswordChanged { user, from } => {
            (user, from, "change the own password".to_owned(), done())
        }
        Event::Ordered { user, from, order, refused } => {
            (user, from, order.clone(), or_done(refused))
        }
        Event::Commanded { who, target, command, value, refused } => {
            let value = value.as_ref().map(|value| format!(" {value}")).unwrap_or_default();
            (who, &String::new(), format!("{target}: {command}{value}"), or_done(refused))
        }
        Event::LicenceInstalled { name, user, from } => {
            (user, from, format!("install the licence {name}"), done())
        }
        Event::LicenceRemoved { name, user, from } => {
            (user, from, format!("remove the licence {name}"), done())
        }
        Event::LicenceRefused { from, reason } => {
            (from, &String::new(), "install a licence".to_owned(), reason.clone())
        }
        Event::FirmwareInstalled { version, user, from } => {
            (user, from, format!("install firmware {version}"), done())
        }
        Event::FirmwareRefused { reason, user, from } => {
            (user, from, "install firmware".to_owned(), reason.clone())
        }
        Event::FactoryReset { serial, user, from } => {
            (user, from, format!("set appliance {serial} back to how it left the factory"), done())
        }
        Event::SettingsInForce { .. }
        | Event::FirmwareConfirmed { .. }
        | Event::FirmwareReturned { .. }
        | Event::FirmwareWithout { .. }
        | Event::FirmwarePermanent { .. }
        | Event::FactoryResetByButton { .. }
        | Event::DaemonStarted { .. }
        | Event::SettingsRefused { .. }
        | Event::StoreDamaged { .. }
        | Event::StoreFailed { .. }
        | Event::EventsDropped { .. }
        | Event::EditionChanged { .. }
        | Event::PluginRefused { .. }
        | Event::DecisionsLost { .. }
        | Event::KeptLost { .. }
        | Event::PluginRolledBack { .. }
        | Event::PluginQuarantined { .. } => {
            return Some(at(own(&event.to_string(), "done"), unix_ms));
        }
        Event::StoreSalvaged { tables, audit_gaps, .. } => {
            // In the log itself, behind the break: without it, entries that are
            // missing were removed.
            let log = tables.iter().find(|table| table.table == "audit");
            let result = match log {
                _ if !audit_gaps.is_empty() => lost_entries(audit_gaps),
                Some(log) if log.lost == 0 => done(),
                Some(log) => format!("{} entries of this log are lost", log.lost),
                None => "this log is lost".to_owned(),
            };
            return Some(at(own(SALVAGE, &result), unix_ms));
        }
        _ if event.category() == Category::Access => {
            return Some(at(own(&event.to_string(), "done"), unix_ms));
        }
        _ => return None,
    };
    let [who, from, what, result] = [who, from, &what, &result].map(|words| clipped(words));
    Some(Entry { unix_ms, who, from, what, result })
}

fn entry(who: &str, from: &str, what: &str, result: &str) -> Entry {
    let [who, from, what, result] = [who, from, what, result].map(clipped);
    Entry { unix_ms: clock::unix_ms(), who, from, what, result }
}

/// What the appliance does by itself.
pub fn own(what: &str, result: &str) -> Entry {
    let (who, from) = ("appliance".to_owned(), String::new());
    Entry { unix_ms: clock::unix_ms(), who, from, what: clipped(what), result: result.to_owned() }
}

fn at(entry: Entry, unix_ms: u64) -> Entry {
    Entry { unix_ms, ..entry }
}

fn clipped(words: &str) -> String {
    words.chars().take(WORDS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Limits;
    use super::*;
    use evenkeel_signing::audit::{Fault, verify};

    fn order(n: u64) -> Event {
        let (user, from) = ("admin".to_owned(), "::1".to_owned());
        let refused = (n % 2 == 1).then(|| "not now".to_owned());
        Event::Ordered { user, from, order: format!("mute {n}"), refused }
    }

    fn open(dir: &Path) -> Store {
        Store::open(dir, Limits { audit: 50, ..Limits::default() }).expect("a store")
    }

    #[test]
    fn what_people_do_is_entered_with_its_event_and_sealed() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = open(dir.path());
        store.record(Event::GuardLost);
        store.record(order(1));
        store.audit("cli", "", "restore \"a\"\nbackup", "done");
        store.record_acknowledged(order(2)).wait().expect("on the disk");
        let lines = store.audit_lines(None, 99).expect("readable");
        let text: Vec<_> = lines.iter().map(|line| String::from_utf8_lossy(line)).collect();
        assert_eq!(text.len(), 3, "{text:?}");
        assert!(text[0].contains(r#""what":"mute 1","result":"not now""#), "{text:?}");
        let export = store.audit_export().expect("a log");
        let report = verify(&export, store.audit_key()).expect("whole");
        assert_eq!((report.first, report.last, report.seals), (1, 3, 0));
        drop(store);

        let store = open(dir.path());
        let report = verify(&store.audit_export().expect("a log"), None).expect("whole");
        assert_eq!((report.last, report.seals), (4, 1), "sealed when it stopped");
        store.seal_audit().wait().expect("on the disk");
        assert_eq!(store.audit_lines(Some(3), 9).expect("readable").len(), 1, "nothing to seal");
    }

    #[test]
    fn the_oldest_entries_go_and_the_rest_is_still_vouched_for() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = open(dir.path());
        for n in 0..120 {
            store.record_acknowledged(order(n)).wait().expect("on the disk");
        }
        let report = verify(&store.audit_export().expect("a log"), None).expect("whole");
        assert_eq!((report.last - report.first + 1, report.seals), (50, 1));
        assert_eq!(report.last, 123, "three seals among them");
    }

    #[test]
    #[expect(clippy::type_complexity, reason = "the table's type, said once")]
    fn who_changes_the_file_is_found_out() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = open(dir.path());
        for n in 0..40 {
            store.record_acknowledged(order(n)).wait().expect("on the disk");
        }
        drop(store);
        let change = |edit: &dyn Fn(&mut redb::Table<'_, u64, &[u8]>)| {
            let database = redb::Database::create(dir.path().join(super::super::FILE));
            let write = database.as_ref().expect("a file").begin_write().expect("writable");
            edit(&mut write.open_table(table::AUDIT).expect("a table"));
            write.commit().expect("committed");
            drop(database);
            let store = open(dir.path());
            verify(&store.audit_export().expect("a log"), store.audit_key())
        };
        let untouched = change(&|_| {});
        assert!(untouched.is_ok(), "{untouched:?}");
        let removed = change(&|table| drop(table.remove(20).expect("removed")));
        assert_eq!(removed, Err(Fault::Removed { from: 20, to: 21 }));
        let altered = change(&|table| {
            let line = table.get(7).expect("read").expect("there").value().to_vec();
            let line = String::from_utf8(line).expect("text").replace("admin", "nobody");
            table.insert(7, line.as_bytes()).expect("inserted");
        });
        assert_eq!(altered, Err(Fault::Altered { seq: 7 }));
    }

    #[test]
    fn a_log_that_was_taken_away_says_so() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = open(dir.path());
        store.record_acknowledged(order(1)).wait().expect("on the disk");
        drop(store);
        std::fs::remove_file(dir.path().join(super::super::FILE)).expect("removed");
        let store = open(dir.path());
        store.record_acknowledged(order(2)).wait().expect("on the disk");
        let lines = store.audit_lines(Some(0), 1).expect("readable");
        assert!(String::from_utf8_lossy(&lines[0]).contains("the log before it is gone"));
    }
}
