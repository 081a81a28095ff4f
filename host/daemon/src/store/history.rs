//! History in the store: columns of compressed records
//! ([`evenkeel_core::history`]) under their keys, and the newest rows as groups.
//!
//! ```text
//!  rows ──▶ groups ──(their day is over, or they are many)──▶ columns of a day
//!           (one commit each)                                        │
//!                   columns of 128 days ◀── columns of 8 days ◀──────┘
//!                     (a row per day)        (a row per hour)
//! ```
//! # Promises
//! - Rows are acknowledged when they are on the disk, in a group of their own:
//!   what a power cut takes was not acknowledged. The recorder hands rows of a
//!   discharge over every five seconds ([`crate::watch`]), all others at once.
//! - Each level is a ring: when it is larger than its share of the bytes, its
//!   oldest sheets go. Hours and days outlive the records that they are made of.
//! - A damaged column is left out and said in the log; the rest is read.
//!
//! Keys begin with the period, so that everything new is written behind
//! everything old: redb then fills its pages to the last bytes, and a fold
//! writes each page once.

mod check;
mod read;
mod recount;
pub mod series;
mod transfer;
mod write;

#[cfg(test)]
mod tests;

pub use check::Checked;
pub use recount::recount;
pub use transfer::{Exported, ImportError, Imported};
pub use write::{Gone, drop_oldest, write};

use super::{Ack, Job, Store, StoreError};
use evenkeel_core::history::file::PointKey;
use evenkeel_core::history::{Head, Key, Level, Place, Record, Series, Sheet};
use redb::TableDefinition;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

/// (period, string, part, block; block 0: the heads) → a column.
pub(super) type ColumnKey = (u32, u16, u16, u16);
/// By [`Level`].
pub(super) const COLUMNS: [TableDefinition<ColumnKey, &[u8]>; 3] = [
    TableDefinition::new("history_records"),
    TableDefinition::new("history_hours"),
    TableDefinition::new("history_days"),
];
/// Counts up → a group of rows whose day is not over.
pub(super) const OPEN: TableDefinition<u64, &[u8]> = TableDefinition::new("history_open");
/// Level → bytes of its table; [`GENERATION`] → counts the changes of [`OPEN`].
pub(super) const SIZES: TableDefinition<u8, u64> = TableDefinition::new("history_sizes");
const GENERATION: u8 = 0xff;
/// History as it was kept before; dropped when it is met.
const OLD: TableDefinition<(u64, u16), &[u8]> = TableDefinition::new("samples");

/// What a column costs besides its bytes: key, end of value, and its share of
/// page heads and branches.
const ENTRY_BYTES: u64 = 17;
/// Shares of the levels in the ring, of 100.
pub const SHARES: [u64; 3] = [62, 30, 8];

/// What is to be written.
pub enum Change {
    /// Rows of strings (counted from 1), newest last.
    Rows(Vec<(u16, Sheet)>),
    /// Columns of whole sheets out of an export. Hours and days that are there
    /// already are made again of the records that come.
    Columns(Vec<(Key, Vec<u8>)>),
    /// Rows of points.
    Series(Vec<Series>),
    /// Columns of points out of an export; rows of a time that is there already
    /// stay as they are.
    PointColumns(Vec<(PointKey, Vec<u8>)>),
}

impl Change {
    /// Rows that are lost when this cannot be written.
    pub fn rows(&self) -> u64 {
        match self {
            Self::Rows(rows) => rows.iter().map(|(_, sheet)| sheet.heads.len() as u64).sum(),
            Self::Series(series) => series.iter().map(|series| series.rows.len() as u64).sum(),
            Self::Columns(_) | Self::PointColumns(_) => 0,
        }
    }
}

/// The groups of [`OPEN`] in memory: a chart of a year shall not read the
/// scattered pages of today.
#[derive(Default)]
pub struct Newest(Mutex<Arc<Groups>>);

/// As they were at one generation.
#[derive(Default)]
struct Groups {
    generation: u64,
    groups: Vec<(u16, Vec<u8>)>,
}

impl Groups {
    /// Whether a row of a place that was taken then is among them.
    fn has_row(&self, place: Place, unix_ms: u64) -> bool {
        let mut own = self.groups.iter().filter(|(string, _)| *string == place.string);
        let heads = |bytes: &[u8]| Sheet::from_group(bytes).map(|(_, rows)| rows.heads);
        let same =
            |bytes: &[u8]| heads(bytes).unwrap_or_default().iter().any(|h| h.unix_ms == unix_ms);
        place.level == Level::Raw && own.any(|(_, bytes)| same(bytes))
    }
}

impl Newest {
    fn get(&self) -> Arc<Groups> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, groups: Groups) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(groups);
    }
}

/// Whose past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whose {
    /// String, counted from 1.
    pub string: u16,
    /// Block, counted from 0; `None`: what holds for the string alone.
    pub block: Option<usize>,
}

impl Store {
    /// Keep rows of strings (counted from 1).
    pub fn append(&self, rows: Vec<(u16, Sheet)>) -> Ack<()> {
        self.change_history(Change::Rows(rows))
    }

    /// Take columns of whole sheets, as an import does.
    #[cfg(test)]
    pub fn take_columns(&self, columns: Vec<(Key, Vec<u8>)>) -> Ack<()> {
        self.change_history(Change::Columns(columns))
    }

    fn change_history(&self, change: Change) -> Ack<()> {
        let (ack, done) = oneshot::channel();
        self.send_or_refuse(Job::History { change, ack });
        Ack(done)
    }

    /// Every record of a block within `times` (ms since 1970), as recorded: what
    /// a preview of limits or a dry run of rules goes through. Oldest first,
    /// unless the clock was set back.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn each_record(
        &self,
        string: u16,
        block: usize,
        times: core::ops::RangeInclusive<u64>,
        visit: impl FnMut(&Head, &Record),
    ) -> Result<(), StoreError> {
        self.past(Whose { string, block: Some(block) }, Level::Raw, times, visit)
    }
}

impl super::Shared {
    /// Have the newest groups in memory; where that fails they are read from the
    /// file when they are asked for.
    pub(super) fn remember_newest(&self) {
        if let Ok(groups) = self.read(Groups::read) {
            self.newest.set(groups);
        }
    }
}

fn key_of(place: Place, block: u16) -> ColumnKey {
    (place.period, place.string, place.part, block)
}

fn place_of(level: Level, key: ColumnKey) -> Place {
    Place { level, period: key.0, string: key.1, part: key.2 }
}
