//! The tables of the file, and reading events out of theirs.

use super::Category;
use redb::{
    Key, ReadOnlyTable, ReadTransaction, ReadableTable as _, TableDefinition, TableError, Value,
};

/// Event id → [`StoredEvent`](super::StoredEvent) as JSON: events about
/// anything but access, and events about access. Ids are of both.
pub const EVENTS: [TableDefinition<u64, &[u8]>; 2] =
    [TableDefinition::new("events"), TableDefinition::new("events_access")];
/// User name → the user's record as JSON.
pub const USERS: TableDefinition<&str, &[u8]> = TableDefinition::new("users");
/// (document, revision) → [`Revision`](super::Revision) as JSON.
pub const SETTINGS: TableDefinition<(&str, u64), &[u8]> = TableDefinition::new("settings");
/// Id of a notifier → the last event that it needs not be told any more.
pub const TOLD: TableDefinition<&str, u64> = TableDefinition::new("told");
/// (string counted from 1, ms since 1970 of its beginning) →
/// [`PastDischarge`](super::PastDischarge) by postcard.
pub const DISCHARGES: TableDefinition<(u16, u64), &[u8]> = TableDefinition::new("discharges");
/// The same key → its rows by postcard.
pub const DISCHARGE_ROWS: TableDefinition<(u16, u64), &[u8]> =
    TableDefinition::new("discharge_rows");
/// Number → a line of the [`audit`](super::audit) log.
pub const AUDIT: TableDefinition<u64, &[u8]> = TableDefinition::new("audit");
/// Name → a [`document`](super::document).
pub const DOCUMENTS: TableDefinition<&str, &[u8]> = TableDefinition::new("documents");
/// `counts` → [`wear`](super::wear) as JSON.
pub const WEAR: TableDefinition<&str, &[u8]> = TableDefinition::new("wear");
/// (owner, key) → what a plugin keeps under that key.
pub const KV: TableDefinition<(&str, &str), &[u8]> = TableDefinition::new("kv");
/// Owner → what it may still write.
pub const KV_WEAR: TableDefinition<&str, &[u8]> = TableDefinition::new("kv_wear");
/// What jobs wait, see [`super::jobs`] → JSON.
pub const JOBS: TableDefinition<&str, &[u8]> = TableDefinition::new("jobs");

/// Which of [`EVENTS`].
pub const fn of(category: Category) -> usize {
    matches!(category, Category::Access) as usize
}

/// A table; `None` when nothing was ever written to it.
pub fn open<K: Key + 'static, V: Value + 'static>(
    read: &ReadTransaction,
    table: TableDefinition<'_, K, V>,
) -> Result<Option<ReadOnlyTable<K, V>>, redb::Error> {
    match read.open_table(table) {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// Rows of both event tables, oldest first: the first `limit` with ids above
/// `after`, or the newest `limit`.
pub fn events(
    read: &ReadTransaction,
    after: Option<u64>,
    limit: usize,
) -> Result<Vec<(u64, Vec<u8>)>, redb::Error> {
    let first = after.map_or(0, |id| id.saturating_add(1));
    let mut rows = Vec::new();
    for table in EVENTS {
        let Some(table) = open(read, table)? else { continue };
        let mut range = table.range(first..)?;
        for _ in 0..limit {
            let row = if after.is_some() { range.next() } else { range.next_back() };
            let Some(row) = row else { break };
            let (id, bytes) = row?;
            rows.push((id.value(), bytes.value().to_vec()));
        }
    }
    rows.sort_unstable_by_key(|(id, _)| *id);
    match after {
        Some(_) => rows.truncate(limit),
        None => drop(rows.drain(..rows.len().saturating_sub(limit))),
    }
    Ok(rows)
}

/// The last id that was used; 0 when none was.
pub fn last_id(read: &ReadTransaction) -> Result<u64, redb::Error> {
    let mut last = 0;
    for table in EVENTS {
        let Some(table) = open(read, table)? else { continue };
        last = table.last()?.map_or(last, |(id, _)| last.max(id.value()));
    }
    Ok(last)
}
