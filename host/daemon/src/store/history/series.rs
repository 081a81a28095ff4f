//! The past of single points in the store ([`evenkeel_core::history::series`]):
//! groups until their day is over, then a column per point in each level.
//!
//! Other than with strings ([`super`]) hours and days are made with every day that
//! is folded: a column of a point is some hundred bytes, and who reads finds all
//! folded days in every level. A day that is folded in pieces, because there was
//! much or the clock went back, replaces its own hours.

mod write;

#[cfg(test)]
mod tests;

pub use evenkeel_core::history::series::Column;
pub use write::Tables;

use crate::store::{Store, StoreError, table};
use core::ops::RangeInclusive;
use evenkeel_core::history::chart::{POINTS_MAX, width_of};
use evenkeel_core::history::file::PointKey;
use evenkeel_core::history::level::HOUR_MS;
use evenkeel_core::history::series::{Measure, Row, Series, series_of, together};
use evenkeel_core::history::{Damage, Level};
use redb::{ReadOnlyTable, ReadTransaction, TableDefinition};
use std::collections::{BTreeMap, BTreeSet};

/// (period, point) → a column.
pub(in crate::store) type PointColumnKey = (u32, &'static str);
/// By [`Level`].
pub(in crate::store) const COLUMNS: [TableDefinition<PointColumnKey, &[u8]>; 3] = [
    TableDefinition::new("values_records"),
    TableDefinition::new("values_hours"),
    TableDefinition::new("values_days"),
];
/// Counts up → a group of rows whose day is not over.
pub(in crate::store) const OPEN: TableDefinition<u64, &[u8]> = TableDefinition::new("values_open");
/// The sizes of the levels are among those of the strings, under this and their code.
const SIZE: u8 = 0x10;

/// What a column costs besides its bytes: key, ends of both, and its share of page
/// heads and branches.
const fn entry_bytes(name: &str) -> u64 {
    name.len() as u64 + 17
}

/// Times of rows by their point, s since 1970.
pub type OpenRows = BTreeMap<String, BTreeSet<u64>>;

fn open_rows(groups: Vec<Series>) -> OpenRows {
    let mut open = OpenRows::new();
    for series in groups {
        open.entry(series.name).or_default().extend(series.rows.iter().map(|row| row.unix_s));
    }
    open
}

/// The past of a point.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// What its values are; `None` when nothing is known of it.
    pub measure: Option<Measure>,
    /// Oldest first unless the clock was set back.
    pub rows: Vec<Row>,
}

impl Past {
    fn extend(
        &mut self,
        measure: Measure,
        rows: impl Iterator<Item = Row>,
        times: &RangeInclusive<u64>,
    ) {
        if self.measure.is_some_and(|before| before != measure) {
            // It is another thing under the same name since.
            self.rows.clear();
        }
        self.measure = Some(measure);
        self.rows.extend(rows.filter(|row| times.contains(&(row.unix_s * 1_000))));
    }
}

impl Store {
    /// Keep rows of points.
    pub fn append_series(&self, series: Vec<Series>) -> super::Ack<()> {
        self.change_history(super::Change::Series(series))
    }

    /// Rows of a point that begin within `times` (ms since 1970): those of `level`,
    /// as recorded where their day is not over, and of another level from where
    /// this one does not reach back.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn series(
        &self,
        name: &str,
        level: Level,
        times: &RangeInclusive<u64>,
    ) -> Result<Past, StoreError> {
        let (past, damaged) = self.shared.read(|read| {
            let (mut past, mut damaged) = (Past::default(), None);
            for other in from(level) {
                // What a level does not reach back to, another has.
                let begins_ms = past.rows.first().map_or(u64::MAX, |row| row.unix_s * 1_000);
                if begins_ms <= *times.start() {
                    break;
                }
                let before = *times.start()..=(begins_ms - 1).min(*times.end());
                let (mut older, wrong) = kept(read, name, other, &before)?;
                if past.measure.is_some_and(|is| older.measure.is_some_and(|was| was != is)) {
                    // It is another thing under the same name since.
                    break;
                }
                past.measure = past.measure.or(older.measure);
                older.rows.append(&mut past.rows);
                past.rows = older.rows;
                damaged = damaged.or(wrong.map(|(period, damage)| (other, period, damage)));
            }
            for series in groups(read)?.into_iter().filter(|series| series.name == name) {
                past.extend(series.measure, series.rows.into_iter(), times);
            }
            Ok((past, damaged))
        })?;
        if let Some((level, period, damage)) = damaged {
            let day = evenkeel_core::history::csv::Utc(level.begins(period));
            tracing::warn!("history of {name} from {day} is damaged: {damage}");
        }
        Ok(past)
    }

    /// A chart of a point within `times` (ms since 1970): at most `points` rows,
    /// every lowest and highest value kept.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn series_chart(
        &self,
        name: &str,
        times: RangeInclusive<u64>,
        points: usize,
    ) -> Result<Past, StoreError> {
        let times = self.series_extent(name, times)?;
        let width_ms = width_of(&times, points.clamp(1, POINTS_MAX));
        let level = Level::for_width(width_ms);
        let Past { measure, mut rows } = self.series(name, level, &times)?;
        rows.sort_by_key(|row| row.unix_s);
        let slot = |row: &Row| (row.unix_s * 1_000).saturating_sub(*times.start()) / width_ms;
        let slots = rows.chunk_by(|one, next| slot(one) == slot(next));
        Ok(Past { measure, rows: slots.filter_map(together).collect() })
    }

    /// The points of which something is kept, with what they are.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn series_names(&self) -> Result<BTreeMap<String, Measure>, StoreError> {
        self.shared.read(|read| {
            let mut names = BTreeMap::new();
            for level in Level::ALL {
                each_column(read, level, 0..=u32::MAX, |key, bytes| {
                    let measure = bytes.get(1).copied().and_then(Measure::from_code);
                    names.extend(measure.map(|measure| (key.name, measure)));
                    true
                })?;
            }
            names.extend(groups(read)?.into_iter().map(|series| (series.name, series.measure)));
            Ok(names)
        })
    }

    /// Whether each row of a column of an export is here already, or one of its time:
    /// in a column, or among those of today (`open`).
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(super) fn has_rows(
        &self,
        key: &PointKey,
        column: &[u8],
        open: &OpenRows,
    ) -> Result<bool, StoreError> {
        let PointKey { level, period, name } = key;
        let rows = |bytes: &[u8]| {
            let column = Column::parse(*level, *period, name, bytes).into_iter();
            column.flat_map(|column| column.rows()).collect::<Vec<_>>()
        };
        self.shared.read(|read| {
            let there = match table::open(read, COLUMNS[*level as usize])? {
                Some(table) => table.get((*period, name.as_str()))?.map(|own| rows(own.value())),
                None => None,
            };
            let slot = |row: &Row| write::slot(row, *level);
            let known: BTreeSet<u64> = there.iter().flatten().map(slot).collect();
            let is_open = |row: &Row| {
                *level == Level::Raw && open.get(name).is_some_and(|own| own.contains(&row.unix_s))
            };
            Ok(rows(column).iter().all(|row| known.contains(&slot(row)) || is_open(row)))
        })
    }

    /// Period and name of the oldest column of a level.
    pub(super) fn first_of_points(
        &self,
        level: Level,
    ) -> Result<Option<(u32, String)>, StoreError> {
        use redb::ReadableTable as _;
        self.shared.read(|read| {
            let Some(table) = table::open(read, COLUMNS[level as usize])? else { return Ok(None) };
            Ok(table.first()?.map(|(key, _)| (key.value().0, key.value().1.to_owned())))
        })
    }

    /// The rows whose day is not over.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(super) fn open_rows(&self) -> Result<OpenRows, StoreError> {
        Ok(open_rows(self.shared.read(groups)?))
    }

    /// `times` without what lies before the first and after the last row.
    fn series_extent(
        &self,
        name: &str,
        times: RangeInclusive<u64>,
    ) -> Result<RangeInclusive<u64>, StoreError> {
        // The row of an hour or a day may begin before what is asked for.
        let wide = times.start().saturating_sub(24 * HOUR_MS)..=*times.end();
        let days = self.series(name, Level::Day, &wide)?;
        let hours = self.series(name, Level::Hour, &wide)?;
        let seconds = |past: &Past| past.rows.iter().map(|row| row.unix_s).collect::<Vec<_>>();
        let (days, hours) = (seconds(&days), seconds(&hours));
        let ms = |unix_s: Option<&u64>| unix_s.map_or(0, |unix_s| unix_s * 1_000);
        let first = days.iter().chain(&hours).min();
        // Of hours there are the newest; what a row of one stands for is over then.
        let end = ms(hours.iter().max()) + HOUR_MS;
        Ok(ms(first).max(*times.start())..=end.min(*times.end()))
    }
}

/// All rows whose day is not over, oldest first; a group that is damaged is left
/// out.
///
/// # Errors
/// What redb says.
pub fn groups(read: &ReadTransaction) -> Result<Vec<Series>, redb::Error> {
    let mut all = Vec::new();
    if let Some(table) = table::open(read, OPEN)? {
        for row in table.range::<u64>(..)? {
            all.extend(series_of(row?.1.value()).unwrap_or_default());
        }
    }
    Ok(all)
}

/// Every column of a level in these periods, until `each` says no.
///
/// # Errors
/// What redb says.
pub fn each_column(
    read: &ReadTransaction,
    level: Level,
    periods: RangeInclusive<u32>,
    mut each: impl FnMut(PointKey, &[u8]) -> bool,
) -> Result<(), redb::Error> {
    let Some(table) = table::open(read, COLUMNS[level as usize])? else { return Ok(()) };
    let from = (*periods.start(), "");
    for row in table.range::<(u32, &str)>(from..)? {
        let (key, bytes) = row?;
        let (period, name) = key.value();
        let key = PointKey { level, period, name: name.to_owned() };
        if period > *periods.end() || !each(key, bytes.value()) {
            break;
        }
    }
    Ok(())
}

/// Rows of groups by their day and point, each in one series.
pub fn of_days(series: Vec<Series>) -> BTreeMap<(u32, String), Series> {
    let mut days: BTreeMap<(u32, String), Series> = BTreeMap::new();
    for (day, series) in write::by_day(&series) {
        for series in series {
            match days.get_mut(&(day, series.name.clone())) {
                Some(own) if own.measure == series.measure => own.rows.extend(series.rows),
                // What is something else since is another point.
                _ => drop(days.insert((day, series.name.clone()), series)),
            }
        }
    }
    days
}

/// A column with further rows behind its own; `None` when they do not go together.
pub fn joined(key: &PointKey, column: &[u8], rest: Series) -> Option<Vec<u8>> {
    let column = Column::parse(key.level, key.period, &key.name, column).ok()?;
    if column.measure() != rest.measure {
        return None;
    }
    let rows = column.rows().chain(rest.rows).collect();
    Column::encode(key.level, key.period, &Series { rows, ..rest })
}

/// Where the rows of `level` are looked for: there, in finer levels, in coarser
/// ones.
fn from(level: Level) -> impl Iterator<Item = Level> {
    let finer = std::iter::successors(level.finer(), |level| level.finer());
    let coarser = std::iter::successors(level.coarser(), |level| level.coarser());
    std::iter::once(level).chain(finer).chain(coarser)
}

/// The rows of a point that `level` has in its columns, and the first damage.
fn kept(
    read: &ReadTransaction,
    name: &str,
    level: Level,
    times: &RangeInclusive<u64>,
) -> Result<(Past, Option<(u32, Damage)>), redb::Error> {
    let (mut past, mut damaged) = (Past::default(), None);
    let Some(table) = table::open(read, COLUMNS[level as usize])? else {
        return Ok((past, damaged));
    };
    for period in periods(&table, level, times)? {
        let Some(bytes) = table.get((period, name))? else { continue };
        match Column::parse(level, period, name, bytes.value()) {
            Ok(column) => past.extend(column.measure(), column.rows(), times),
            Err(damage) => drop(damaged.get_or_insert((period, damage))),
        }
    }
    Ok((past, damaged))
}

/// The periods in which `times` lie and in which there may be something.
fn periods(
    table: &ReadOnlyTable<PointColumnKey, &'static [u8]>,
    level: Level,
    times: &RangeInclusive<u64>,
) -> Result<RangeInclusive<u32>, redb::Error> {
    let mut all = table.range::<(u32, &str)>(..)?;
    let first = all.next().transpose()?.map_or(1, |(key, _)| key.value().0);
    let last = all.next_back().transpose()?.map_or(first, |(key, _)| key.value().0);
    Ok(first.max(level.period(*times.start()))..=last.min(level.period(*times.end())))
}

/// Look at the check sums of all columns and groups.
///
/// # Errors
/// What redb says.
pub fn check(read: &ReadTransaction, checked: &mut super::Checked) -> Result<(), redb::Error> {
    for level in Level::ALL {
        each_column(read, level, 0..=u32::MAX, |key, bytes| {
            checked.columns += 1;
            if let Err(damage) = Column::parse(level, key.period, &key.name, bytes) {
                checked.damaged += 1;
                if checked.first_points.len() < super::check::NAMED_MAX {
                    checked.first_points.push((key, damage));
                }
            }
            true
        })?;
    }
    let Some(table) = table::open(read, OPEN)? else { return Ok(()) };
    for row in table.range::<u64>(..)? {
        checked.groups += 1;
        checked.damaged += u64::from(series_of(row?.1.value()).is_err());
    }
    Ok(())
}
