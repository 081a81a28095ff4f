//! Export while running, and import of an export.
//!
//! An export is made from one snapshot of the store and goes out in pieces, so
//! that its memory is that of one sheet. An import is read twice from a file:
//! every check sum first, and only a whole file is taken.

use super::read::newest;
use super::{COLUMNS, Change, Groups, Whose};
use crate::store::{Store, StoreError, table};
use core::ops::RangeInclusive;
use evenkeel_core::history::csv::{CSV_HEAD, csv_line};
use evenkeel_core::history::file::{
    Checked as Held, Checker, FileError, FileReader, FileWriter, Piece,
};
use evenkeel_core::history::{Damage, Heads, Key, Level, Place, Sheet};
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
    /// Sheets that were not there before.
    pub added: u64,
    /// Sheets that were there already and stayed as they are.
    pub present: u64,
}

/// Why an import was refused; nothing of it was taken.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be read to its end.
    #[error("{0}")]
    File(FileError),
    /// Some of it is damaged.
    #[error("{count} columns are damaged, the first of string {string}, block {block}, level {level}, period {period}: {damage}", string = .first.place.string, block = .first.block, level = .first.place.level.code(), period = .first.place.period)]
    Damaged {
        /// How many.
        count: u64,
        /// The first.
        first: Key,
        /// What is wrong with it.
        damage: Damage,
    },
    /// The upload cannot be read back.
    #[error("the uploaded file cannot be read")]
    Io(#[from] io::Error),
    /// The store refused.
    #[error("the store cannot take it")]
    Store(#[from] StoreError),
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
            writer.finish(&mut out);
            Ok(if sink(out) { Exported::Whole } else { Exported::Stopped })
        })
    }

    /// The records of those of the blocks `blocks` (counted from 0) of a string
    /// that there are within `times`, as CSV to `sink`, block by block.
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
            self.past(whose, level, times.clone(), |head, record| {
                if taken {
                    csv_line(&mut text, string, block + 1, head, record);
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

    /// Take a file in. Blocks the thread.
    ///
    /// # Errors
    /// [`ImportError`].
    pub fn import(&self, mut file: impl Read + Seek) -> Result<Imported, ImportError> {
        verify(&mut file)?;
        file.seek(SeekFrom::Start(0))?;
        let mut done = Imported::default();
        let mut batch: Vec<(Key, Vec<u8>)> = Vec::new();
        let mut bytes = 0;
        let mut adding = false;
        columns(file, |key, column| {
            done.columns += 1;
            if key.block == 0 {
                if bytes >= BATCH {
                    // A sheet is never divided between two commits.
                    bytes = 0;
                    self.change_history(Change::Columns(std::mem::take(&mut batch))).wait()?;
                }
                adding = !self.has_sheet(key.place, column)?;
                *(if adding { &mut done.added } else { &mut done.present }) += 1;
            }
            if adding {
                bytes += column.len();
                batch.push((key, column.to_vec()));
            }
            Ok(())
        })?;
        self.change_history(Change::Columns(batch)).wait()?;
        Ok(done)
    }

    /// Whether the rows of a sheet, or a summary of that time, are here already.
    /// The same rows may be in another place here: as groups, or behind those of
    /// an import.
    fn has_sheet(&self, place: Place, heads: &[u8]) -> Result<bool, StoreError> {
        let Some(unix_ms) = first_row(place, heads) else { return Ok(false) };
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

/// When the first row of a sheet was taken, ms since 1970.
fn first_row(place: Place, heads: &[u8]) -> Option<u64> {
    Some(Heads::parse(place, heads).ok()?.iter().next()?.unix_ms)
}

/// Look at every check sum.
fn verify(file: &mut impl Read) -> Result<(), ImportError> {
    let mut checker = Checker::default();
    let (mut count, mut first) = (0, None);
    let read = columns(file, |key, column| {
        let damage = match checker.check(key, column) {
            Ok(Held::Heads(heads)) if heads.rows() * heads.blocks() > SHEET_RECORDS_MAX => {
                Damage::Length
            }
            Ok(_) => return Ok(()),
            Err(damage) => damage,
        };
        count += 1;
        first.get_or_insert((key, damage));
        Ok(())
    });
    match first {
        Some((first, damage)) => Err(ImportError::Damaged { count, first, damage }),
        None => read,
    }
}

/// Every column of a file, in its order.
fn columns(
    mut file: impl Read,
    mut each: impl FnMut(Key, &[u8]) -> Result<(), ImportError>,
) -> Result<(), ImportError> {
    let mut reader = FileReader::default();
    let mut piece = Vec::new();
    while reader.needs() > 0 {
        piece.clear();
        file.by_ref().take(reader.needs() as u64).read_to_end(&mut piece)?;
        if let Piece::Column(key, column) = reader.take(&piece).map_err(ImportError::File)? {
            each(key, column)?;
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
