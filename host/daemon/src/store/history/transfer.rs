//! Export while running, and import of an export.
//!
//! An export is made from one snapshot of the store and goes out in pieces, so
//! that its memory is that of one sheet. An import is read twice from a file:
//! every check sum first, and only a whole file is taken.

use super::read::newest;
use super::{COLUMNS, Change, Groups, Whose, series};
use crate::clock;
use crate::store::{Store, StoreError, table};
use core::cmp::Ordering;
use core::ops::RangeInclusive;
use evenkeel_core::history::csv::{CSV_HEAD, SERIES_CSV_HEAD, csv_line, series_line};
use evenkeel_core::history::file::{
    Checked as Held, Checker, FileError, FileReader, FileWriter, Piece, PointKey,
};
use evenkeel_core::history::level::DAY_MS;
use evenkeel_core::history::{Damage, Heads, Key, Level, Place, Sheet};
use redb::ReadableTable as _;
use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom};

/// Bytes that go out at once.
const PIECE: usize = 64 << 10;
/// Bytes of columns in one commit of an import.
const BATCH: usize = 256 << 10;
/// Most records of a sheet that is taken: it is unpacked when it is summed up, in
/// 20 MB. The largest of an appliance are eight days of hours of 512 blocks.
const SHEET_RECORDS_MAX: usize = 1 << 18;

/// What an export did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exported {
    /// All went out.
    Whole,
    /// Nobody takes it any more.
    Stopped,
}

/// What an import did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Columns of the file.
    pub columns: u64,
    /// Sheets that were not there before, and are now.
    pub added: u64,
    /// Sheets that were there already and stayed as they are.
    pub present: u64,
    /// Sheets that were not there before and are not now: the ring is full of
    /// newer ones.
    pub dropped: u64,
}

/// Why an import was refused; nothing of it was taken.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be read to its end.
    #[error("{0}")]
    File(FileError),
    /// Some of it is damaged.
    #[error("{count} columns are damaged, the first {first}: {damage}")]
    Damaged {
        /// How many.
        count: u64,
        /// The first.
        first: String,
        /// What is wrong with it.
        damage: Damage,
    },
    /// Some of it is of days to come.
    #[error(
        "{count} columns are of a time to come, the first {first}: it goes to {} UTC, and the clock \
         here shows {} UTC. Set the clock if it is wrong; if the other appliance's was, export \
         without that time",
        utc_of(.until_ms), utc_of(.now_ms)
    )]
    Future {
        /// How many.
        count: u64,
        /// The first.
        first: String,
        /// Its newest row, ms since 1970.
        until_ms: u64,
        /// The clock, ms since 1970.
        now_ms: u64,
    },
    /// Nobody knows what is of days to come.
    #[error("the clock of this appliance was never set; set it first")]
    NoClock,
    /// The upload cannot be read back.
    #[error("the uploaded file cannot be read")]
    Io(#[from] io::Error),
    /// The store refused.
    #[error("the store cannot take it")]
    Store(#[from] StoreError),
}

fn utc_of(ms: &u64) -> String {
    clock::utc(*ms)
}

impl Store {
    /// Everything of which some lies within `times` (ms since 1970), as a file
    /// ([`evenkeel_core::history`]), to `sink` piece by piece; `false` from it ends the
    /// export. Today's rows are in it.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn export(
        &self,
        times: &RangeInclusive<u64>,
        mut sink: impl FnMut(Vec<u8>) -> bool,
    ) -> Result<Exported, StoreError> {
        self.shared.read(|read| {
            let mut out = Vec::with_capacity(2 * PIECE);
            let mut writer = FileWriter::new(&mut out);
            let mut parts: BTreeMap<(u16, u32), u16> = BTreeMap::new();
            for level in Level::ALL {
                let Some(table) = table::open(read, COLUMNS[level as usize])? else { continue };
                let (from, to) = (level.period(*times.start()), level.period(*times.end()));
                for row in table.range((from, 0, 0, 0)..=(to, u16::MAX, u16::MAX, u16::MAX))? {
                    let (key, column) = row?;
                    let (period, string, part, block) = key.value();
                    if level == Level::Raw {
                        parts.insert((string, period), part.saturating_add(1));
                    }
                    let place = Place { level, period, string, part };
                    writer.column(&mut out, Key { place, block }, column.value());
                    if out.len() >= PIECE && !sink(std::mem::take(&mut out)) {
                        return Ok(Exported::Stopped);
                    }
                }
            }
            for (string, sheet) in todays(&Groups::read(read)?) {
                let Some(first) = sheet.heads.first() else { continue };
                let period = Level::Raw.period(first.unix_ms);
                let part = parts.get(&(string, period)).copied().unwrap_or(0);
                let place = Place { level: Level::Raw, period, string, part };
                for (block, column) in (0..).zip(sheet.encode(place)) {
                    writer.column(&mut out, Key { place, block }, &column);
                }
                if !sink(std::mem::take(&mut out)) {
                    return Ok(Exported::Stopped);
                }
            }
            if !export_points(read, times, &mut writer, &mut out, &mut sink)? {
                return Ok(Exported::Stopped);
            }
            writer.finish(&mut out);
            Ok(if sink(out) { Exported::Whole } else { Exported::Stopped })
        })
    }

    /// The records of those of the blocks `blocks` (counted from 0) of a string
    /// that there are within `times`, as CSV to `sink`, block by block. Of a time of
    /// which only hours or days are left those, and each line says what it is of.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn export_csv(
        &self,
        string: u16,
        blocks: core::ops::Range<usize>,
        level: Level,
        times: &RangeInclusive<u64>,
        mut sink: impl FnMut(Vec<u8>) -> bool,
    ) -> Result<Exported, StoreError> {
        let mut text = CSV_HEAD.to_owned();
        let mut taken = true;
        for block in blocks.start..blocks.end.min(self.widest(string, times)?) {
            let whose = Whose { string, block: Some(block) };
            self.past_by_level(whose, level, times.clone(), |level, head, record| {
                if taken {
                    csv_line(&mut text, level, (string, block + 1), head, record);
                }
                if text.len() >= PIECE {
                    taken = taken && sink(std::mem::take(&mut text).into_bytes());
                }
            })?;
            if !taken {
                return Ok(Exported::Stopped);
            }
        }
        Ok(if sink(text.into_bytes()) { Exported::Whole } else { Exported::Stopped })
    }

    /// The rows of those points whose name `wanted` takes, within `times`, as CSV to
    /// `sink`, point by point.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn export_points_csv(
        &self,
        wanted: impl Fn(&str) -> bool,
        times: &RangeInclusive<u64>,
        mut sink: impl FnMut(Vec<u8>) -> bool,
    ) -> Result<Exported, StoreError> {
        let mut text = SERIES_CSV_HEAD.to_owned();
        for name in self.series_names()?.keys().filter(|name| wanted(name)) {
            let past = self.series(name, Level::Raw, times)?;
            let Some(measure) = past.measure else { continue };
            for row in &past.rows {
                series_line(&mut text, name, measure.unit(), row);
                if text.len() >= PIECE && !sink(std::mem::take(&mut text).into_bytes()) {
                    return Ok(Exported::Stopped);
                }
            }
        }
        Ok(if sink(text.into_bytes()) { Exported::Whole } else { Exported::Stopped })
    }

    /// Take a file in, when the clock shows `now_ms` (since 1970). Blocks the thread.
    ///
    /// # Errors
    /// [`ImportError`].
    pub fn import(&self, mut file: impl Read + Seek, now_ms: u64) -> Result<Imported, ImportError> {
        verify(&mut file, now_ms)?;
        file.seek(SeekFrom::Start(0))?;
        let mut import = Import::of(self)?;
        columns(file, |column| import.take(column))?;
        import.flush()?;
        import.finish()
    }

    /// Of what an import added, what is still there: the ring drops the oldest of a
    /// level first, whether it was imported or not.
    fn still_there(&self, added: &mut Added) -> Result<(), StoreError> {
        for level in Level::ALL {
            let first = self.shared.read(|read| {
                let Some(table) = table::open(read, COLUMNS[level as usize])? else {
                    return Ok(None);
                };
                Ok(table.first()?.map(|(key, _)| (key.value().0, key.value().1)))
            })?;
            // Those of the oldest string and period may be there in part.
            let mut failed = None;
            added.sheets.retain(|(place, unix_ms)| {
                place.level != level
                    || first.is_some_and(|first| match (place.period, place.string).cmp(&first) {
                        Ordering::Less => false,
                        Ordering::Equal => {
                            let there = self.has_row(*place, *unix_ms);
                            there.unwrap_or_else(|e| {
                                failed = Some(e);
                                true
                            })
                        }
                        Ordering::Greater => true,
                    })
            });
            failed.map_or(Ok(()), Err)?;
            let first = self.first_of_points(level)?;
            added.points.retain(|key| {
                let place = (key.period, key.name.as_str());
                key.level != level
                    || first
                        .as_ref()
                        .is_some_and(|(period, name)| place >= (*period, name.as_str()))
            });
        }
        Ok(())
    }

    /// Whether the rows of a sheet, or a summary of that time, are here already.
    /// The same rows may be in another place here: as groups, or behind those of
    /// an import.
    fn has_row(&self, place: Place, unix_ms: u64) -> Result<bool, StoreError> {
        let memory = self.shared.newest.get();
        self.shared.read(|read| {
            let Some(table) = table::open(read, COLUMNS[place.level as usize])? else {
                return Ok(newest(read, memory)?.has_row(place, unix_ms));
            };
            for part in 0..=u16::MAX {
                let place = Place { part, ..place };
                let Some(heads) = table.get(super::key_of(place, 0))? else { break };
                if place.level != Level::Raw || first_row(place, heads.value()) == Some(unix_ms) {
                    return Ok(true);
                }
            }
            Ok(newest(read, memory)?.has_row(place, unix_ms))
        })
    }
}

/// What an import added: no more than the ring holds, and one commit of it.
#[derive(Default)]
struct Added {
    /// Sheets, and when their first row was taken, ms since 1970.
    sheets: Vec<(Place, u64)>,
    points: Vec<PointKey>,
}

/// An import under way.
struct Import<'a> {
    store: &'a Store,
    done: Imported,
    /// Columns that wait for their commit, in `bytes` bytes.
    sheets: Vec<(Key, Vec<u8>)>,
    points: Vec<(PointKey, Vec<u8>)>,
    bytes: usize,
    /// The sheet under way is a new one.
    adding: bool,
    added: Added,
    /// Rows of points that are not in columns yet.
    open: series::OpenRows,
}

impl<'a> Import<'a> {
    fn of(store: &'a Store) -> Result<Self, StoreError> {
        let (done, sheets, points, added) = Default::default();
        let open = store.open_rows()?;
        Ok(Self { store, done, sheets, points, bytes: 0, adding: false, added, open })
    }

    fn take(&mut self, column: FileColumn<'_>) -> Result<(), ImportError> {
        self.done.columns += 1;
        match column {
            FileColumn::Sheet(key, column) => {
                if key.block == 0 {
                    // A sheet is never divided between two commits.
                    self.flush_many()?;
                    let first = first_row(key.place, column);
                    let is_there = |unix_ms| self.store.has_row(key.place, unix_ms);
                    self.adding = !first.map_or(Ok(false), is_there)?;
                    match first {
                        Some(unix_ms) if self.adding => {
                            self.added.sheets.push((key.place, unix_ms));
                        }
                        _ => self.done.present += u64::from(!self.adding),
                    }
                }
                if self.adding {
                    self.bytes += column.len();
                    self.sheets.push((key, column.to_vec()));
                }
            }
            FileColumn::Point(key, column) => {
                self.flush_many()?;
                let is_new = !self.store.has_rows(&key, column, &self.open)?;
                // Of one that is there in part the rows that are new are taken.
                if is_new {
                    self.bytes += column.len();
                    self.added.points.push(key.clone());
                    self.points.push((key, column.to_vec()));
                } else {
                    self.done.present += 1;
                }
            }
        }
        Ok(())
    }

    fn flush_many(&mut self) -> Result<(), ImportError> {
        if self.bytes >= BATCH { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), ImportError> {
        self.bytes = 0;
        let sheets = Change::Columns(std::mem::take(&mut self.sheets));
        let points = Change::PointColumns(std::mem::take(&mut self.points));
        let acks = [sheets, points].map(|change| self.store.change_history(change));
        acks.into_iter().try_for_each(super::Ack::wait)?;
        let count = |added: &Added| (added.sheets.len() + added.points.len()) as u64;
        let before = count(&self.added);
        self.store.still_there(&mut self.added)?;
        self.done.dropped += before - count(&self.added);
        Ok(())
    }

    /// What came of it: what a later commit dropped is not added.
    fn finish(mut self) -> Result<Imported, ImportError> {
        self.done.added = (self.added.sheets.len() + self.added.points.len()) as u64;
        Ok(self.done)
    }
}

/// Points, and those of today as columns; `false` when nobody takes it any more.
fn export_points(
    read: &redb::ReadTransaction,
    times: &RangeInclusive<u64>,
    writer: &mut FileWriter,
    out: &mut Vec<u8>,
    sink: &mut impl FnMut(Vec<u8>) -> bool,
) -> Result<bool, redb::Error> {
    let mut open = series::of_days(series::groups(read)?);
    let mut taken = true;
    for level in Level::ALL {
        let periods = level.period(*times.start())..=level.period(*times.end());
        series::each_column(read, level, periods, |key, column| {
            // Rows of a day that was folded in part are in one column with the rest.
            let rest = if level == Level::Raw {
                open.remove(&(key.period, key.name.clone()))
            } else {
                None
            };
            match rest.and_then(|rest| series::joined(&key, column, rest)) {
                Some(whole) => writer.point(out, &key, &whole),
                None => writer.point(out, &key, column),
            }
            taken = out.len() < PIECE || sink(std::mem::take(out));
            taken
        })?;
        if !taken {
            return Ok(false);
        }
    }
    for ((period, name), series) in open {
        let key = PointKey { level: Level::Raw, period, name };
        if let Some(column) = series::Column::encode(Level::Raw, period, &series) {
            writer.point(out, &key, &column);
        }
        if out.len() >= PIECE && !sink(std::mem::take(out)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// When the first row of a sheet was taken, ms since 1970.
fn first_row(place: Place, heads: &[u8]) -> Option<u64> {
    Some(Heads::parse(place, heads).ok()?.iter().next()?.unix_ms)
}

/// Look at every check sum, and at every time.
fn verify(file: &mut impl Read, now_ms: u64) -> Result<(), ImportError> {
    clock::set_s(now_ms).ok_or(ImportError::NoClock)?;
    let latest_ms = now_ms.saturating_add(DAY_MS);
    let mut checker = Checker::default();
    let (mut count, mut first) = (0, None);
    let mut to_come: Option<(u64, String, u64)> = None;
    let mut look = |name: &dyn Fn() -> String, newest: Option<u64>| {
        if let Some(until_ms) = newest.filter(|newest| *newest > latest_ms) {
            let (count, ..) = to_come.get_or_insert_with(|| (0, name(), until_ms));
            *count += 1;
        }
    };
    let read = columns(file, |column| {
        let damage = match column {
            FileColumn::Sheet(key, column) => match checker.check(key, column) {
                Ok(Held::Heads(heads)) if heads.rows() * heads.blocks() > SHEET_RECORDS_MAX => {
                    Some((name_of(key), Damage::Length))
                }
                Ok(Held::Heads(heads)) => {
                    look(&|| name_of(key), heads.iter().map(|head| head.unix_ms).max());
                    None
                }
                Ok(_) => None,
                Err(damage) => Some((name_of(key), damage)),
            },
            FileColumn::Point(key, column) => {
                match series::Column::parse(key.level, key.period, &key.name, column) {
                    Ok(column) => {
                        let newest =
                            column.rows().map(|row| row.unix_s.saturating_mul(1_000)).max();
                        look(&|| key.to_string(), newest);
                        None
                    }
                    Err(damage) => Some((key.to_string(), damage)),
                }
            }
        };
        if let Some(damage) = damage {
            count += 1;
            first.get_or_insert(damage);
        }
        Ok(())
    });
    match (first, to_come) {
        (Some((first, damage)), _) => Err(ImportError::Damaged { count, first, damage }),
        (None, Some((count, first, until_ms))) if read.is_ok() => {
            Err(ImportError::Future { count, first, until_ms, now_ms })
        }
        (None, _) => read,
    }
}

fn name_of(Key { place, block }: Key) -> String {
    let Place { level, period, string, .. } = place;
    format!("of string {string}, block {block}, level {}, period {period}", level.code())
}

/// A column of a file.
enum FileColumn<'a> {
    Sheet(Key, &'a [u8]),
    Point(PointKey, &'a [u8]),
}

/// Every column of a file, in its order.
fn columns(
    mut file: impl Read,
    mut each: impl FnMut(FileColumn<'_>) -> Result<(), ImportError>,
) -> Result<(), ImportError> {
    let mut reader = FileReader::default();
    let mut piece = Vec::new();
    while reader.needs() > 0 {
        piece.clear();
        file.by_ref().take(reader.needs() as u64).read_to_end(&mut piece)?;
        match reader.take(&piece).map_err(ImportError::File)? {
            Piece::Column(key, column) => each(FileColumn::Sheet(key, column))?,
            Piece::Point(key, column) => each(FileColumn::Point(key, column))?,
            Piece::Front | Piece::End => {}
        }
    }
    Ok(())
}

/// The groups, string by string, as sheets of one day each.
fn todays(groups: &Groups) -> Vec<(u16, Sheet)> {
    let mut sheets: BTreeMap<u16, Sheet> = BTreeMap::new();
    for (string, bytes) in &groups.groups {
        if let Ok((_, rows)) = Sheet::from_group(bytes) {
            sheets.entry(*string).or_default().append(&rows);
        }
    }
    sheets.into_iter().collect()
}
