//! The writing side of the points' past: groups, folding a day, the ring.

use super::super::SHARES;
use super::{COLUMNS, OPEN, PointColumnKey, SIZE, entry_bytes, of_days, open_rows};
use evenkeel_core::history::Level;
use evenkeel_core::history::file::PointKey;
use evenkeel_core::history::series::{Column, Row, Series, group_of, series_of, summarize};
use redb::{ReadableTable as _, ReadableTableMetadata as _, Table, WriteTransaction};
use std::collections::{BTreeMap, BTreeSet};

/// Bytes of groups that are folded before their day is over.
const OPEN_BYTES: u64 = 256 << 10;

/// Everything that a write touches.
pub struct Tables<'a> {
    open: Table<'a, u64, &'static [u8]>,
    columns: [Table<'a, PointColumnKey, &'static [u8]>; 3],
}

/// The sizes of the levels.
type Sizes<'a, 't> = &'a mut Table<'t, u8, u64>;

impl<'a> Tables<'a> {
    /// Of this transaction.
    pub fn open(write: &'a WriteTransaction) -> Result<Self, redb::Error> {
        let [records, hours, days] = COLUMNS;
        let columns =
            [write.open_table(records)?, write.open_table(hours)?, write.open_table(days)?];
        Ok(Self { open: write.open_table(OPEN)?, columns })
    }

    /// Take rows; bytes of what was written.
    pub fn append(
        &mut self,
        series: &[Series],
        sizes: Sizes<'_, '_>,
    ) -> Result<usize, redb::Error> {
        let mut written = 0;
        for (day, series) in by_day(series) {
            self.close(day, sizes)?;
            let bytes = group_of(&series);
            let next = self.open.last()?.map_or(0, |(key, _)| key.value() + 1);
            self.open.insert(next, bytes.as_slice())?;
            written += bytes.len();
        }
        Ok(written)
    }

    /// Fold the groups when rows of `day` put an end to theirs, or they are many.
    fn close(&mut self, day: u32, sizes: Sizes<'_, '_>) -> Result<(), redb::Error> {
        let (mut bytes, mut all) = (0, Vec::new());
        for row in self.open.iter()? {
            let (_, group) = row?;
            bytes += group.value().len() as u64;
            match series_of(group.value()) {
                Ok(series) => all.extend(series),
                Err(damage) => tracing::warn!("values of points were lost: {damage}"),
            }
        }
        let days = of_days(all);
        if bytes <= OPEN_BYTES && days.keys().all(|(own, _)| *own == day) {
            return Ok(());
        }
        self.open.retain(|_, _| false)?;
        days.into_iter().try_for_each(|((day, _), series)| self.fold(day, series, sizes))
    }

    /// Rows of one day go behind those that the day has already, and the day's hours
    /// and its day are made anew.
    fn fold(&mut self, day: u32, new: Series, sizes: Sizes<'_, '_>) -> Result<(), redb::Error> {
        let mut whole = self.column(Level::Raw, day, &new)?;
        merge(&mut whole.rows, new.rows.into_iter(), Level::Raw);
        self.put(Level::Raw, day, &whole, sizes)?;
        self.summarize(day, whole, sizes)
    }

    fn summarize(
        &mut self,
        day: u32,
        mut finer: Series,
        sizes: Sizes<'_, '_>,
    ) -> Result<(), redb::Error> {
        let of_day = |row: &Row| Level::Raw.period(row.unix_s * 1_000) == day;
        for level in [Level::Hour, Level::Day] {
            finer.rows.sort_by_key(|row| row.unix_s);
            let rows = summarize(&finer.rows, level);
            let period = level.period(Level::Raw.begins(day));
            let mut whole = self.column(level, period, &finer)?;
            whole.rows.retain(|row| !of_day(row));
            whole.rows.extend(&rows);
            whole.rows.sort_by_key(|row| row.unix_s);
            self.put(level, period, &whole, sizes)?;
            finer.rows = rows;
        }
        Ok(())
    }

    /// What is there of a point; nothing of one that was something else, or is
    /// damaged.
    fn column(&self, level: Level, period: u32, of: &Series) -> Result<Series, redb::Error> {
        let mut series = Series { name: of.name.clone(), measure: of.measure, rows: Vec::new() };
        if let Some(bytes) = self.columns[level as usize].get((period, of.name.as_str()))? {
            match Column::parse(level, period, &of.name, bytes.value()) {
                Ok(column) if column.measure() == of.measure => {
                    series.rows = column.rows().collect()
                }
                Ok(_) => tracing::warn!("{} is something else now, its older values go", of.name),
                Err(damage) => tracing::warn!("values of {} were lost: {damage}", of.name),
            }
        }
        Ok(series)
    }

    fn put(
        &mut self,
        level: Level,
        period: u32,
        series: &Series,
        sizes: Sizes<'_, '_>,
    ) -> Result<(), redb::Error> {
        let Some(bytes) = Column::encode(level, period, series) else { return Ok(()) };
        let table = &mut self.columns[level as usize];
        let old = table.insert((period, series.name.as_str()), bytes.as_slice())?;
        let entry = entry_bytes(&series.name);
        let gone = old.map_or(0, |old| old.value().len() as u64 + entry);
        let code = SIZE | level.code();
        let size = number(sizes, code)? + bytes.len() as u64 + entry;
        sizes.insert(code, size.saturating_sub(gone))?;
        Ok(())
    }

    /// Take columns of an export: of rows of the same time those that are here stay.
    /// Bytes of the columns of which something was taken.
    pub fn import(
        &mut self,
        columns: &[(PointKey, Vec<u8>)],
        sizes: Sizes<'_, '_>,
    ) -> Result<usize, redb::Error> {
        let mut taken = 0;
        let open = open_rows(self.groups()?);
        for (key, bytes) in columns {
            let Ok(column) = Column::parse(key.level, key.period, &key.name, bytes) else {
                continue;
            };
            let new =
                Series { name: key.name.clone(), measure: column.measure(), rows: Vec::new() };
            let mut whole = self.column(key.level, key.period, &new)?;
            let is_open = |row: &Row| {
                let own = open.get(&key.name);
                key.level == Level::Raw && own.is_some_and(|own| own.contains(&row.unix_s))
            };
            let rows = column.rows().filter(|row| !is_open(row));
            if merge(&mut whole.rows, rows, key.level) == 0 {
                continue;
            }
            self.put(key.level, key.period, &whole, sizes)?;
            if key.level == Level::Raw {
                self.summarize(key.period, whole, sizes)?;
            }
            taken += bytes.len();
        }
        Ok(taken)
    }

    fn groups(&self) -> Result<Vec<Series>, redb::Error> {
        let mut all = Vec::new();
        for row in self.open.iter()? {
            all.extend(series_of(row?.1.value()).unwrap_or_default());
        }
        Ok(all)
    }

    /// The oldest columns go until each level is within its share of `bytes_max`.
    pub fn shorten(&mut self, bytes_max: u64, sizes: Sizes<'_, '_>) -> Result<(), redb::Error> {
        for level in Level::ALL {
            self.shorten_to(level, bytes_max / 100 * SHARES[level as usize], sizes)?;
        }
        Ok(())
    }

    fn shorten_to(
        &mut self,
        level: Level,
        most: u64,
        sizes: Sizes<'_, '_>,
    ) -> Result<(), redb::Error> {
        let code = SIZE | level.code();
        let mut size = number(sizes, code)?;
        let before = size;
        while size > most {
            let Some((key, bytes)) = self.columns[level as usize].pop_first()? else { break };
            size = size.saturating_sub(bytes.value().len() as u64 + entry_bytes(key.value().1));
        }
        if size != before {
            sizes.insert(code, size)?;
        }
        Ok(())
    }

    /// Drop the oldest of `shares` equal shares of each level; bytes that are free
    /// now.
    pub fn drop_oldest(&mut self, shares: u64, sizes: Sizes<'_, '_>) -> Result<u64, redb::Error> {
        let mut freed = 0;
        for level in Level::ALL {
            let bytes = number(sizes, SIZE | level.code())?;
            self.shorten_to(level, bytes - bytes.div_ceil(shares), sizes)?;
            freed += bytes - number(sizes, SIZE | level.code())?;
        }
        Ok(freed)
    }

    /// The sizes as they are: after a salvage.
    pub fn recount(&self, sizes: Sizes<'_, '_>) -> Result<(), redb::Error> {
        for level in Level::ALL {
            let mut bytes = 0;
            for row in self.columns[level as usize].iter()? {
                let (key, column) = row?;
                bytes += column.value().len() as u64 + entry_bytes(key.value().1);
            }
            sizes.insert(SIZE | level.code(), bytes)?;
        }
        Ok(())
    }

    /// Drop the oldest of the groups, when there is nothing else; bytes that are free
    /// now.
    pub fn drop_groups(&mut self, shares: u64) -> Result<u64, redb::Error> {
        let mut freed = 0;
        for _ in 0..self.open.len()?.div_ceil(shares) {
            let Some((_, bytes)) = self.open.pop_first()? else { break };
            freed += bytes.value().len() as u64;
        }
        Ok(freed)
    }
}

/// Rows by the day in which they begin, each day's by name.
pub fn by_day(series: &[Series]) -> BTreeMap<u32, Vec<Series>> {
    let mut days: BTreeMap<u32, Vec<Series>> = BTreeMap::new();
    for one in series {
        let day = |row: &Row| Level::Raw.period(row.unix_s * 1_000);
        for rows in one.rows.chunk_by(|row, next| day(row) == day(next)) {
            let Some(first) = rows.first() else { continue };
            let (name, rows) = (one.name.clone(), rows.to_vec());
            let part = Series { name, measure: one.measure, rows };
            days.entry(day(first)).or_default().push(part);
        }
    }
    days
}

/// Of two rows in one slot a level keeps one.
pub fn slot(row: &Row, level: Level) -> u64 {
    row.unix_s * 1_000 / level.row_ms().max(1_000)
}

/// Rows of a time of which there is none yet; how many there were.
fn merge(rows: &mut Vec<Row>, more: impl Iterator<Item = Row>, level: Level) -> usize {
    let slot = |row: &Row| slot(row, level);
    let known: BTreeSet<u64> = rows.iter().map(slot).collect();
    let before = rows.len();
    rows.extend(more.filter(|row| !known.contains(&slot(row))));
    rows.sort_by_key(|row| row.unix_s);
    rows.len() - before
}

fn number(sizes: &Table<'_, u8, u64>, of: u8) -> Result<u64, redb::Error> {
    Ok(sizes.get(of)?.map_or(0, |number| number.value()))
}
