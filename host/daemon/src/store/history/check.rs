//! The integrity check: every check sum of the history, while it goes on.

use super::{COLUMNS, Groups, OPEN, place_of, series};
use crate::store::{Store, StoreError, table};
use evenkeel_core::history::file::{Checker, PointKey};
use evenkeel_core::history::{Damage, Key, Level, Sheet};
use redb::ReadTransaction;

/// Most damaged columns that are named.
pub(super) const NAMED_MAX: usize = 100;

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Columns that were looked at.
    pub columns: u64,
    /// Groups that were looked at.
    pub groups: u64,
    /// Columns and groups that are damaged.
    pub damaged: u64,
    /// The first columns of them.
    pub first: Vec<(Key, Damage)>,
    /// The first columns of points.
    pub first_points: Vec<(PointKey, Damage)>,
}

impl Store {
    /// Look at every check sum of the history. Blocks the thread while all of it
    /// is read; nobody else waits.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn check_history(&self) -> Result<Checked, StoreError> {
        self.shared.read(|read| {
            let mut checked = Checked::default();
            for level in Level::ALL {
                columns(read, level, &mut checked)?;
            }
            let whole = Groups::read(read)?.groups;
            // Groups that say nothing sensible of themselves are not among those.
            checked.groups = match table::open(read, OPEN)? {
                Some(table) => redb::ReadableTableMetadata::len(&table)?,
                None => 0,
            };
            let whole = whole.iter().filter(|(_, bytes)| Sheet::from_group(bytes).is_ok()).count();
            checked.damaged += checked.groups - whole as u64;
            series::check(read, &mut checked)?;
            Ok(checked)
        })
    }
}

fn columns(read: &ReadTransaction, level: Level, checked: &mut Checked) -> Result<(), redb::Error> {
    let Some(table) = table::open(read, COLUMNS[level as usize])? else { return Ok(()) };
    let mut checker = Checker::default();
    for row in table.range::<super::ColumnKey>(..)? {
        let (key, bytes) = row?;
        let key = key.value();
        let key = Key { place: place_of(level, key), block: key.3 };
        checked.columns += 1;
        if let Err(damage) = checker.check(key, bytes.value()) {
            checked.damaged += 1;
            if checked.first.len() < NAMED_MAX {
                checked.first.push((key, damage));
            }
        }
    }
    Ok(())
}
