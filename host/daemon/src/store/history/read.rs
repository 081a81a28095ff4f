//! The reading side: rows of a block or a string over a span, in the level that
//! is coarse enough, and charts.

use super::{COLUMNS, ColumnKey, Groups, Whose, key_of, place_of, write};
use crate::store::{Store, StoreError, table};
use core::ops::RangeInclusive;
use evenkeel_core::history::{Chart, GroupFront, Head, Heads, Level, Place, Point, Record, Sheet};
use redb::{ReadOnlyTable, ReadTransaction};
use std::sync::Arc;

/// Goes through what there is.
struct Walk<'r> {
    read: &'r ReadTransaction,
    whose: Whose,
    /// First damage that was met.
    damaged: Option<(Place, evenkeel_core::history::Damage)>,
}

impl Store {
    /// A chart of a block, or of a string alone, within `times` (ms since 1970):
    /// at most `points`, every minimum and maximum kept.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn chart(
        &self,
        whose: Whose,
        times: RangeInclusive<u64>,
        points: usize,
    ) -> Result<Vec<Point>, StoreError> {
        // Of all times, those in which there is something.
        let times = self.extent(whose.string, times)?;
        let mut chart = Chart::new(*times.start(), *times.end(), points);
        let level = Level::for_width(chart.width_ms());
        self.past(whose, level, times, |head, record| chart.push(head, record))?;
        Ok(chart.finish())
    }

    /// Rows within `times`, oldest first unless the clock was set back: those of
    /// `level`, finer ones where that level has none yet, and coarser ones of the
    /// time from which only they are left.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn past(
        &self,
        whose: Whose,
        level: Level,
        times: RangeInclusive<u64>,
        mut visit: impl FnMut(&Head, &Record),
    ) -> Result<(), StoreError> {
        self.past_by_level(whose, level, times, |_, head, record| visit(head, record))
    }

    /// [`past`](Self::past), with the level of each row.
    pub(super) fn past_by_level(
        &self,
        whose: Whose,
        level: Level,
        times: RangeInclusive<u64>,
        mut visit: impl FnMut(Level, &Head, &Record),
    ) -> Result<(), StoreError> {
        let memory = self.shared.newest.get();
        let damaged = self.shared.read(|read| {
            let mut walk = Walk { read, whose, damaged: None };
            walk.older(level, &times, &mut visit)?;
            walk.level(level, &times, &mut visit)?;
            let newest = newest(read, memory)?;
            for (_, bytes) in newest.groups.iter().filter(|(of, _)| *of == whose.string) {
                let Ok((_, sheet)) = Sheet::from_group(bytes) else { continue };
                visit_sheet(&sheet, whose.block, &times, |head, record| {
                    visit(Level::Raw, head, record);
                });
            }
            Ok(walk.damaged)
        })?;
        if let Some((place, damage)) = damaged {
            let day = evenkeel_core::history::csv::Utc(place.level.begins(place.period));
            tracing::warn!("history of string {} from {day} is damaged: {damage}", place.string);
        }
        Ok(())
    }

    /// Most blocks that a string had within `times`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(super) fn widest(
        &self,
        string: u16,
        times: &RangeInclusive<u64>,
    ) -> Result<usize, StoreError> {
        let memory = self.shared.newest.get();
        self.shared.read(|read| {
            let mut most = 0;
            // Of a time whose records are gone, hours or days tell.
            for level in Level::ALL {
                let Some(table) = table::open(read, COLUMNS[level as usize])? else { continue };
                let last = level.period(*times.end());
                let mut at = level.period(*times.start());
                while let Some(key) = seek(&table, string, at)?.filter(|key| key.0 <= last) {
                    let own = (key.0, string, 0, 0)..=(key.0, string, u16::MAX, u16::MAX);
                    for row in table.range(own)? {
                        most = most.max(usize::from(row?.0.value().3));
                    }
                    let Some(next) = key.0.checked_add(1) else { break };
                    at = next;
                }
            }
            for (_, bytes) in newest(read, memory)?.groups.iter().filter(|(of, _)| *of == string) {
                most = most.max(GroupFront::parse(bytes).map_or(0, |front| front.blocks));
            }
            Ok(most)
        })
    }

    /// `times` without what lies before the first and after the last row of a
    /// string.
    fn extent(
        &self,
        string: u16,
        times: RangeInclusive<u64>,
    ) -> Result<RangeInclusive<u64>, StoreError> {
        let memory = self.shared.newest.get();
        let (mut first, mut last) = (u64::MAX, 0);
        let mut see = |unix_ms: u64| (first, last) = (first.min(unix_ms), last.max(unix_ms));
        self.shared.read(|read| {
            for level in Level::ALL {
                let Some(table) = table::open(read, COLUMNS[level as usize])? else { continue };
                let keys = [seek(&table, string, 0)?, last_of(&table, string)?];
                for key in keys.into_iter().flatten() {
                    let place = place_of(level, key);
                    let column = table.get(key_of(place, 0))?;
                    let bytes = column.as_ref().map_or(&[][..], |column| column.value());
                    let heads = Heads::parse(place, bytes).into_iter();
                    heads.flat_map(|heads| heads.iter()).for_each(|head| see(head.unix_ms));
                }
            }
            for (_, bytes) in newest(read, memory)?.groups.iter().filter(|(of, _)| *of == string) {
                if let Ok((_, sheet)) = Sheet::from_group(bytes) {
                    sheet.heads.iter().for_each(|head| see(head.unix_ms));
                }
            }
            Ok(())
        })?;
        Ok(first.max(*times.start())..=last.min(*times.end()))
    }
}

/// The groups as this transaction sees them: from memory when nothing was
/// written in between.
pub(super) fn newest(
    read: &ReadTransaction,
    memory: Arc<Groups>,
) -> Result<Arc<Groups>, redb::Error> {
    if write::generation(read)? == memory.generation {
        return Ok(memory);
    }
    Groups::read(read).map(Arc::new)
}

fn visit_sheet(
    sheet: &Sheet,
    block: Option<usize>,
    times: &RangeInclusive<u64>,
    mut visit: impl FnMut(&Head, &Record),
) {
    let nothing = Record::default();
    let records = block.map(|block| sheet.blocks.get(block).map(Vec::as_slice));
    if records == Some(None) {
        return;
    }
    let records = records.flatten();
    for (row, head) in sheet.heads.iter().enumerate() {
        if times.contains(&head.unix_ms) {
            visit(head, records.and_then(|records| records.get(row)).unwrap_or(&nothing));
        }
    }
}

impl Walk<'_> {
    /// What lies before all that `level` and the finer ones have.
    fn older(
        &mut self,
        level: Level,
        times: &RangeInclusive<u64>,
        visit: &mut impl FnMut(Level, &Head, &Record),
    ) -> Result<(), redb::Error> {
        let Some(coarser) = level.coarser() else { return Ok(()) };
        let begins = self.begins(level)?;
        if *times.start() >= begins {
            return Ok(());
        }
        let before = *times.start()..=(begins - 1).min(*times.end());
        self.older(coarser, &before, visit)?;
        self.level(coarser, &before, visit)
    }

    /// When the first sheet of `level` or a finer one begins, ms since 1970; the
    /// end of all time when there is none.
    fn begins(&self, level: Level) -> Result<u64, redb::Error> {
        let mut begins = u64::MAX;
        for level in Level::ALL.into_iter().filter(|other| *other <= level) {
            let Some(table) = table::open(self.read, COLUMNS[level as usize])? else { continue };
            if let Some(first) = seek(&table, self.whose.string, 0)? {
                begins = begins.min(level.begins(first.0));
            }
        }
        Ok(begins)
    }

    fn level(
        &mut self,
        level: Level,
        times: &RangeInclusive<u64>,
        visit: &mut impl FnMut(Level, &Head, &Record),
    ) -> Result<(), redb::Error> {
        let mut from = *times.start();
        if let Some(table) = table::open(self.read, COLUMNS[level as usize])? {
            let last = level.period(*times.end());
            let mut at = level.period(from);
            while let Some(key) = seek(&table, self.whose.string, at)?.filter(|k| k.0 <= last) {
                let begins = level.begins(key.0);
                if let Some(finer) = level.finer().filter(|_| from < begins) {
                    self.level(finer, &(from..=begins - 1), visit)?;
                }
                self.period(&table, level, key.0, times, visit)?;
                let Some(next) = key.0.checked_add(1) else { return Ok(()) };
                at = next;
                from = level.begins(next).max(from);
            }
        }
        match level.finer() {
            Some(finer) if from <= *times.end() => self.level(finer, &(from..=*times.end()), visit),
            _ => Ok(()),
        }
    }

    /// All sheets of a period.
    fn period(
        &mut self,
        table: &ReadOnlyTable<ColumnKey, &'static [u8]>,
        level: Level,
        period: u32,
        times: &RangeInclusive<u64>,
        visit: &mut impl FnMut(Level, &Head, &Record),
    ) -> Result<(), redb::Error> {
        for part in 0..=u16::MAX {
            let place = place_of(level, (period, self.whose.string, part, 0));
            let Some(heads) = table.get(key_of(place, 0))? else { break };
            let heads = match Heads::parse(place, heads.value()) {
                Ok(heads) => heads,
                Err(damage) => {
                    self.damaged.get_or_insert((place, damage));
                    continue;
                }
            };
            let Some(index) = self.whose.block else {
                let nothing = Record::default();
                let within = heads.iter().filter(|head| times.contains(&head.unix_ms));
                within.for_each(|head| visit(level, &head, &nothing));
                continue;
            };
            let Some(block) = u16::try_from(index + 1).ok().filter(|_| index < heads.blocks())
            else {
                continue;
            };
            let column = table.get(key_of(place, block))?;
            let bytes = column.as_ref().map_or(&[][..], |column| column.value());
            match heads.block(index, bytes) {
                Ok(records) => records
                    .filter(|(head, _)| times.contains(&head.unix_ms))
                    .for_each(|(head, record)| visit(level, &head, &record)),
                Err(damage) => drop(self.damaged.get_or_insert((place, damage))),
            }
        }
        Ok(())
    }
}

/// The first sheet of a string in `period` or later.
fn seek(
    table: &ReadOnlyTable<ColumnKey, &'static [u8]>,
    string: u16,
    period: u32,
) -> Result<Option<ColumnKey>, redb::Error> {
    let mut from = period;
    loop {
        let Some(row) = table.range((from, string, 0, 0)..)?.next() else { return Ok(None) };
        let key = row?.0.value();
        if key.1 == string {
            return Ok(Some(key));
        }
        // Another string's: this one may come behind it in the same period.
        from = match key.1 < string {
            true => key.0,
            false => match key.0.checked_add(1) {
                Some(next) => next,
                None => return Ok(None),
            },
        };
    }
}

/// The last sheet of a string.
fn last_of(
    table: &ReadOnlyTable<ColumnKey, &'static [u8]>,
    string: u16,
) -> Result<Option<ColumnKey>, redb::Error> {
    let mut until = u32::MAX;
    loop {
        let range = ..=(until, string, u16::MAX, u16::MAX);
        let Some(row) = table.range(range)?.next_back() else { return Ok(None) };
        let key = row?.0.value();
        if key.1 == string {
            return Ok(Some(key));
        }
        until = match key.1 < string {
            // This one has nothing in that period.
            true => match key.0.checked_sub(1) {
                Some(before) => before,
                None => return Ok(None),
            },
            false => key.0,
        };
    }
}
