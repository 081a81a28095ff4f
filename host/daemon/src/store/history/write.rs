//! The writing side: groups, folding a day, hours and days, the ring.

use super::{
    COLUMNS, Change, ColumnKey, ENTRY_BYTES, GENERATION, Groups, OLD, OPEN, SHARES, SIZES, key_of,
    place_of, series,
};
use crate::store::Limits;
use crate::store::wear::{Class, Counts};
use evenkeel_core::history::level::summarize;
use evenkeel_core::history::{GroupFront, Head, Heads, Key, Level, Place, Record, Sheet};
use redb::{ReadableTable as _, ReadableTableMetadata as _, Table, WriteTransaction};
use std::collections::{BTreeMap, BTreeSet};

/// Records (rows times blocks) of a string that make a sheet before its day is
/// over: what folding holds in memory, 5 MB.
const FOLD_RECORDS: usize = 1 << 16;

/// Which level is made of which.
const COARSER: [(Level, Level); 2] = [(Level::Hour, Level::Raw), (Level::Day, Level::Hour)];

type Columns<'a> = Table<'a, ColumnKey, &'static [u8]>;
type Numbers<'a> = Table<'a, u8, u64>;

/// A group in its place.
#[derive(Clone, Copy)]
struct Open {
    sequence: u64,
    front: GroupFront,
}

/// Everything that a write touches.
struct Tables<'a> {
    open: Table<'a, u64, &'static [u8]>,
    columns: [Columns<'a>; 3],
    sizes: Numbers<'a>,
}

/// Write changes, and keep within `bytes_max`.
pub fn write(
    write: &WriteTransaction,
    changes: &[Change],
    most: &Limits,
    payload: &mut Counts,
) -> Result<(), redb::Error> {
    if changes.is_empty() {
        return Ok(());
    }
    if write.delete_table(OLD)? {
        tracing::warn!("history in the old form was dropped: this version records more, and anew");
    }
    let mut tables = Tables::open(write)?;
    let mut points = series::Tables::open(write)?;
    for change in changes {
        let bytes = match change {
            Change::Rows(rows) => tables.append(rows)?,
            Change::Columns(columns) => tables.import(columns)?,
            Change::Series(series) => points.append(series, &mut tables.sizes)?,
            Change::PointColumns(columns) => points.import(columns, &mut tables.sizes)?,
        };
        payload.add(Class::History, bytes);
    }
    for level in Level::ALL {
        tables.shorten(level, most.history_bytes / 100 * SHARES[level as usize])?;
    }
    points.shorten(most.values_bytes, &mut tables.sizes)?;
    tables.changed()
}

/// What went because room was needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gone {
    /// Records' rows, each of one string at one instant.
    pub rows: u64,
    /// Bytes that are free now.
    pub bytes: u64,
}

/// Drop the oldest of the history: one of `shares` equal shares of each level,
/// and of the newest rows only when there is nothing else.
pub fn drop_oldest(write: &WriteTransaction, shares: u64) -> Result<Gone, redb::Error> {
    let mut gone = Gone::default();
    if let Some(old) = write.open_table(OLD)?.len()?.checked_sub(1) {
        gone.rows += old + 1;
        gone.bytes += (old + 1) * ENTRY_BYTES;
    }
    write.delete_table(OLD)?;
    let mut tables = Tables::open(write)?;
    for level in Level::ALL {
        let bytes = tables.number(level.code())?;
        let rows = tables.shorten(level, bytes - bytes.div_ceil(shares))?;
        gone.rows += if level == Level::Raw { rows } else { 0 };
        gone.bytes += bytes - tables.number(level.code())?;
    }
    let mut points = series::Tables::open(write)?;
    gone.bytes += points.drop_oldest(shares, &mut tables.sizes)?;
    if gone.bytes == 0 {
        gone.bytes += points.drop_groups(shares)?;
        for _ in 0..tables.open.len()?.div_ceil(shares) {
            let Some((_, bytes)) = tables.open.pop_first()? else { break };
            gone.bytes += bytes.value().len() as u64;
            gone.rows += GroupFront::parse(bytes.value()).map_or(0, |front| front.rows as u64);
        }
    }
    tables.changed()?;
    Ok(gone)
}

impl Groups {
    /// As they are in the file.
    pub(super) fn read(read: &redb::ReadTransaction) -> Result<Self, redb::Error> {
        let generation = generation(read)?;
        let Some(table) = super::super::table::open(read, OPEN)? else {
            return Ok(Self { generation, groups: Vec::new() });
        };
        let mut groups = Vec::new();
        for row in table.iter()? {
            let (_, bytes) = row?;
            if let Ok(front) = GroupFront::parse(bytes.value()) {
                groups.push((front.string, bytes.value().to_vec()));
            }
        }
        Ok(Self { generation, groups })
    }
}

pub(super) fn generation(read: &redb::ReadTransaction) -> Result<u64, redb::Error> {
    let Some(sizes) = super::super::table::open(read, SIZES)? else { return Ok(0) };
    Ok(sizes.get(GENERATION)?.map_or(0, |number| number.value()))
}

impl<'a> Tables<'a> {
    fn open(write: &'a WriteTransaction) -> Result<Self, redb::Error> {
        let [records, hours, days] = COLUMNS;
        let columns =
            [write.open_table(records)?, write.open_table(hours)?, write.open_table(days)?];
        Ok(Self { open: write.open_table(OPEN)?, columns, sizes: write.open_table(SIZES)? })
    }

    /// What readers have in memory is of yesterday now.
    fn changed(&mut self) -> Result<(), redb::Error> {
        let generation = self.number(GENERATION)?;
        self.sizes.insert(GENERATION, generation + 1)?;
        Ok(())
    }

    /// Bytes of the groups.
    fn append(&mut self, rows: &[(u16, Sheet)]) -> Result<usize, redb::Error> {
        let mut open = self.open_groups()?;
        let last = self.open.last()?.map(|(key, _)| key.value());
        let (mut sequence, mut written) = (last.map_or(0, |last| last + 1), 0);
        for (string, sheet) in rows {
            for run in runs(sheet) {
                let Some(first) = run.heads.first() else { continue };
                let day = Level::Raw.period(first.unix_ms);
                self.close(&mut open, *string, &run, day)?;
                let bytes = run.to_group(*string);
                let Ok(front) = GroupFront::parse(&bytes) else { continue };
                self.open.insert(sequence, bytes.as_slice())?;
                open.entry(*string).or_default().push(Open { sequence, front });
                sequence += 1;
                written += bytes.len();
            }
        }
        Ok(written)
    }

    fn open_groups(&self) -> Result<BTreeMap<u16, Vec<Open>>, redb::Error> {
        let mut open: BTreeMap<u16, Vec<Open>> = BTreeMap::new();
        for row in self.open.iter()? {
            let (sequence, bytes) = row?;
            match GroupFront::parse(bytes.value()) {
                Ok(front) => {
                    let group = Open { sequence: sequence.value(), front };
                    open.entry(front.string).or_default().push(group);
                }
                Err(damage) => tracing::warn!("a group of history is left out: {damage}"),
            }
        }
        Ok(open)
    }

    /// Fold what rows of `day` put an end to: every string's groups of another
    /// day, and this string's when they are many or were of other blocks.
    fn close(
        &mut self,
        open: &mut BTreeMap<u16, Vec<Open>>,
        string: u16,
        run: &Sheet,
        day: u32,
    ) -> Result<(), redb::Error> {
        let over: Vec<u16> = open
            .iter()
            .filter(|(of, groups)| {
                let records: usize = groups.iter().map(|g| g.front.rows * g.front.blocks).sum();
                let full = records + run.records() > FOLD_RECORDS;
                let wider = groups.iter().any(|g| g.front.blocks != run.blocks.len());
                let other_day = groups.iter().any(|g| day_of(g) != day);
                other_day || **of == string && (full || wider)
            })
            .map(|(of, _)| *of)
            .collect();
        for of in &over {
            if let Some(groups) = open.remove(of) {
                self.fold(*of, &groups)?;
            }
        }
        Ok(())
    }

    /// Groups of one string become columns, and hours and days if their periods
    /// are over.
    fn fold(&mut self, string: u16, groups: &[Open]) -> Result<(), redb::Error> {
        let Some(first) = groups.first() else { return Ok(()) };
        let day = day_of(first);
        let mut sheet = Sheet::default();
        for group in groups {
            if let Some(bytes) = self.open.remove(group.sequence)? {
                match Sheet::from_group(bytes.value()) {
                    // Groups of other blocks were closed before.
                    Ok((_, rows)) => _ = sheet.append(&rows),
                    Err(damage) => tracing::warn!("string {string}: rows were lost: {damage}"),
                }
            }
        }
        for (level, finer) in COARSER {
            self.complete(level, finer, string, day)?;
        }
        self.put(Place { level: Level::Raw, period: day, string, part: 0 }, &sheet)?;
        for (level, finer) in COARSER {
            // The clock went back to a period that was complete.
            let period = level.period(Level::Raw.begins(day));
            if self.has(level, period, string)? {
                self.summarize(level, finer, string, period)?;
            }
        }
        Ok(())
    }

    /// Make the coarser sheet of the last period before that of `day`, unless
    /// there is one.
    fn complete(
        &mut self,
        level: Level,
        finer: Level,
        string: u16,
        day: u32,
    ) -> Result<(), redb::Error> {
        let begins = level.begins(level.period(Level::Raw.begins(day)));
        let before = finer.period(begins);
        let Some(last) = self.last_before(finer, string, before)? else { return Ok(()) };
        let period = level.period(finer.begins(last));
        if self.has(level, period, string)? {
            return Ok(());
        }
        self.summarize(level, finer, string, period)
    }

    /// The last period before `before` in which a string has a sheet.
    fn last_before(
        &self,
        level: Level,
        string: u16,
        before: u32,
    ) -> Result<Option<u32>, redb::Error> {
        let table = &self.columns[level as usize];
        let mut below = before;
        while let Some(period) = below.checked_sub(1) {
            let until = ..=(period, string, u16::MAX, u16::MAX);
            let Some(row) = table.range(until)?.next_back() else { return Ok(None) };
            let key = row?.0.value();
            if key.1 == string {
                return Ok(Some(key.0));
            }
            // Another string's. One with a lower number ends the same period without
            // this string; one with a higher number ends an earlier period.
            below = if key.1 < string { key.0 } else { key.0 + 1 };
        }
        Ok(None)
    }

    fn has(&self, level: Level, period: u32, string: u16) -> Result<bool, redb::Error> {
        Ok(self.columns[level as usize].get((period, string, 0, 0))?.is_some())
    }

    /// A coarser sheet of all finer ones of its period. Of a time of which no finer
    /// rows are left, the rows that it has stay.
    fn summarize(
        &mut self,
        level: Level,
        finer: Level,
        string: u16,
        period: u32,
    ) -> Result<(), redb::Error> {
        let from = finer.period(level.begins(period));
        let to = finer.period(level.begins(period.saturating_add(1)).saturating_sub(1));
        let mut wholes = vec![Sheet::default()];
        for fine in from..=to {
            let mut place = Place { level: finer, period: fine, string, part: 0 };
            while let Some(sheet) = self.sheet(place)? {
                let summary = summarize(&sheet, level);
                // A string that got more blocks goes on in a sheet of its own.
                if !wholes.last_mut().is_some_and(|whole| whole.append(&summary)) {
                    wholes.push(summary);
                }
                let Some(next) = place.part.checked_add(1) else { break };
                place.part = next;
            }
        }
        let slot = |head: &Head| head.unix_ms / level.row_ms();
        let new: BTreeSet<u64> = wholes.iter().flat_map(|whole| &whole.heads).map(slot).collect();
        let mut place = Place { level, period, string, part: 0 };
        while let Some(old) = self.sheet(place)? {
            let rest = old.rows_where(|head| !new.contains(&slot(head)));
            if !rest.heads.is_empty() && !wholes.iter_mut().any(|whole| whole.append(&rest)) {
                wholes.push(rest);
            }
            let Some(next) = place.part.checked_add(1) else { break };
            place.part = next;
        }
        let place = Place { part: 0, ..place };
        self.remove_sheets(place)?;
        // What came later may be of an earlier time: of another appliance, or the clock
        // was set back.
        wholes.iter().try_for_each(|whole| self.put(place, &summarize(&whole.in_order(), level)))
    }

    /// A sheet; of a damaged column, records of which nothing is known.
    fn sheet(&self, place: Place) -> Result<Option<Sheet>, redb::Error> {
        let whole = key_of(place, 0)..=key_of(place, u16::MAX);
        let mut columns = BTreeMap::new();
        for row in self.columns[place.level as usize].range(whole)? {
            let (key, bytes) = row?;
            columns.insert(key.value().3, bytes.value().to_vec());
        }
        Ok(columns.contains_key(&0).then(|| assemble(place, &columns)))
    }

    /// Write a sheet at the next free part of its place.
    fn put(&mut self, place: Place, sheet: &Sheet) -> Result<(), redb::Error> {
        let own =
            (place.period, place.string, 0, 0)..=(place.period, place.string, u16::MAX, u16::MAX);
        let table = &self.columns[place.level as usize];
        let last = table.range(own)?.next_back().transpose()?.map(|(key, _)| key.value().2);
        let Some(part) = last.map_or(Some(0), |last| last.checked_add(1)) else { return Ok(()) };
        let place = Place { part, ..place };
        for (block, column) in (0..).zip(sheet.encode(place)) {
            self.insert(place, block, &column)?;
        }
        Ok(())
    }

    /// Take columns of an export, and sum up again what is made of them. Bytes of the
    /// columns.
    fn import(&mut self, columns: &[(Key, Vec<u8>)]) -> Result<usize, redb::Error> {
        let mut days = BTreeSet::new();
        for sheet in columns.chunk_by(|one, next| one.0.place == next.0.place) {
            let Some((Key { place, .. }, _)) = sheet.first() else { continue };
            let table = &self.columns[place.level as usize];
            if table.get(key_of(*place, 0))?.is_none() {
                for (key, bytes) in sheet {
                    self.insert(key.place, key.block, bytes)?;
                }
            } else if place.level == Level::Raw {
                // Another appliance recorded this day, too.
                let columns = sheet.iter().map(|(key, bytes)| (key.block, bytes.clone()));
                self.put(*place, &assemble(*place, &columns.collect()))?;
            } else {
                continue;
            }
            days.insert((place.string, place.level, place.period));
        }
        // What was recorded here and what came are one history in every level; each
        // period once, however many of its days came.
        for (level, finer) in COARSER {
            let mut periods = BTreeSet::new();
            for (string, of, period) in &days {
                if *of <= level {
                    periods.insert((*string, level.period(of.begins(*period))));
                }
            }
            for (string, period) in periods {
                if self.has(level, period, string)? {
                    self.summarize(level, finer, string, period)?;
                }
            }
        }
        Ok(columns.iter().map(|(_, bytes)| bytes.len()).sum())
    }

    fn insert(&mut self, place: Place, block: u16, bytes: &[u8]) -> Result<(), redb::Error> {
        let table = &mut self.columns[place.level as usize];
        let old = table.insert(key_of(place, block), bytes)?.map(|old| old.value().len() as u64);
        let code = place.level.code();
        let size = self.number(code)? + bytes.len() as u64 + ENTRY_BYTES;
        let gone = old.map_or(0, |bytes| bytes + ENTRY_BYTES);
        self.sizes.insert(code, size.saturating_sub(gone))?;
        Ok(())
    }

    fn remove_sheets(&mut self, place: Place) -> Result<(), redb::Error> {
        let first = (place.period, place.string, 0, 0);
        self.remove(place.level, first..=(place.period, place.string, u16::MAX, u16::MAX))
    }

    fn remove(
        &mut self,
        level: Level,
        range: core::ops::RangeInclusive<ColumnKey>,
    ) -> Result<(), redb::Error> {
        let mut freed = 0;
        self.columns[level as usize].retain_in(range, |_, bytes| {
            freed += bytes.len() as u64 + ENTRY_BYTES;
            false
        })?;
        let size = self.number(level.code())?;
        self.sizes.insert(level.code(), size.saturating_sub(freed))?;
        Ok(())
    }

    /// The oldest sheets go until the level is within `bytes_max`; how many rows
    /// went.
    fn shorten(&mut self, level: Level, bytes_max: u64) -> Result<u64, redb::Error> {
        let mut rows = 0;
        while self.number(level.code())? > bytes_max {
            let Some(key) = self.columns[level as usize].first()?.map(|(key, _)| key.value())
            else {
                break;
            };
            let heads = self.columns[level as usize].get((key.0, key.1, key.2, 0))?;
            let bytes = heads.as_ref().map_or(&[][..], |heads| heads.value());
            rows +=
                Heads::parse(place_of(level, key), bytes).map_or(0, |heads| heads.rows() as u64);
            drop(heads);
            self.remove(level, (key.0, key.1, key.2, 0)..=(key.0, key.1, key.2, u16::MAX))?;
        }
        Ok(rows)
    }

    fn number(&self, of: u8) -> Result<u64, redb::Error> {
        Ok(self.sizes.get(of)?.map_or(0, |number| number.value()))
    }
}

/// Rows out of columns by their blocks (0: the heads); of one that is damaged or
/// missing, records of which nothing is known.
fn assemble(place: Place, columns: &BTreeMap<u16, Vec<u8>>) -> Sheet {
    let column = |block: usize| {
        let bytes = u16::try_from(block).ok().and_then(|block| columns.get(&block));
        bytes.map_or(&[][..], Vec::as_slice)
    };
    let heads = match Heads::parse(place, column(0)) {
        Ok(heads) => heads,
        Err(damage) => {
            tracing::warn!("string {}: a sheet is left out: {damage}", place.string);
            return Sheet::default();
        }
    };
    let block = |index: usize| {
        let records = heads.block(index, column(index + 1)).into_iter().flatten();
        let mut records: Vec<Record> = records.map(|(_, record)| record).collect();
        records.resize(heads.rows(), Record::default());
        records
    };
    Sheet { heads: heads.iter().collect(), blocks: (0..heads.blocks()).map(block).collect() }
}

fn day_of(group: &Open) -> u32 {
    Level::Raw.period(group.front.first_unix_ms)
}

/// The rows of a sheet day by day, and no more at once than a group holds.
fn runs(sheet: &Sheet) -> Vec<Sheet> {
    let most = (FOLD_RECORDS / sheet.blocks.len().max(1)).max(1);
    let mut runs = Vec::new();
    let mut from = 0;
    while let Some(first) = sheet.heads.get(from) {
        let day = Level::Raw.period(first.unix_ms);
        let same = |head: &&Head| Level::Raw.period(head.unix_ms) == day;
        let rows = sheet.heads[from..].iter().take(most).take_while(same).count().max(1);
        let blocks = sheet.blocks.iter().map(|b| b.get(from..from + rows).unwrap_or_default());
        runs.push(Sheet {
            heads: sheet.heads[from..from + rows].to_vec(),
            blocks: blocks.map(<[_]>::to_vec).collect(),
        });
        from += rows;
    }
    runs
}
