//! `evenkeel history`: looks into an exported history without the appliance.
//!
//! Goes through a file once, column by column, in the memory of one sheet. A
//! damaged column is named and the rest is read; where a frame itself is
//! damaged, nothing behind it can be found.

use evenkeel_core::history::csv::{CSV_HEAD, Utc, csv_line};
use evenkeel_core::history::file::{Checked, Checker, FileError, FileReader, FileWriter, Piece};
use evenkeel_core::history::{Damage, Key, Level};
use std::collections::BTreeMap;
use std::io::{self, Read, Write};

/// Why a file cannot be gone through.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// What the file itself says.
    #[error("{0}")]
    File(FileError),
    /// It cannot be read, or the result not written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Which columns are bad.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Columns that are whole.
    pub good: u64,
    /// The others, with what is wrong.
    pub bad: Vec<(Key, Damage)>,
    /// Why the file could not be read to its end.
    pub broken: Option<FileError>,
}

/// What a file holds of one string in one level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Sheets.
    pub sheets: u64,
    /// Rows of all sheets.
    pub rows: u64,
    /// Rows times blocks.
    pub records: u64,
    /// Most blocks.
    pub blocks: usize,
    /// Bytes of its columns.
    pub bytes: u64,
    /// Time of the first and the last row, ms since 1970.
    pub span: Option<(u64, u64)>,
}

/// Which records to print.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// String, counted from 1; `None`: all.
    pub string: Option<u16>,
    /// Block, counted from 1; `None`: all.
    pub block: Option<u16>,
    /// Level.
    pub level: Level,
}

impl Verdict {
    /// True when nothing is wrong.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.bad.is_empty() && self.broken.is_none()
    }
}

/// Name of a column for people.
#[must_use]
pub fn name(key: Key) -> String {
    let place = key.place;
    let what = place.level.word();
    let from = Utc(place.level.begins(place.period)).to_string();
    let date = from.get(..10).unwrap_or(&from);
    let block = if key.block == 0 { "heads".to_owned() } else { format!("block {}", key.block) };
    format!("string {}, {what} from {date}, part {}, {block}", place.string, place.part + 1)
}

/// Look at every check sum.
///
/// # Errors
/// When the file cannot be read; what is wrong in it is in the verdict.
pub fn verify(file: impl Read) -> Result<Verdict, HistoryError> {
    let mut verdict = Verdict::default();
    let each = |key, checked: Result<Checked<'_>, Damage>, _: &[u8]| {
        match checked {
            Ok(_) => verdict.good += 1,
            Err(damage) => verdict.bad.push((key, damage)),
        }
        Ok(())
    };
    let broken = go_through(file, each)?;
    Ok(Verdict { broken, ..verdict })
}

/// What is in a file, by level and string.
///
/// # Errors
/// When the file cannot be read to its end.
pub fn inspect(file: impl Read) -> Result<BTreeMap<(Level, u16), Summary>, HistoryError> {
    let mut summaries: BTreeMap<(Level, u16), Summary> = BTreeMap::new();
    let broken = go_through(file, |key, checked, column| {
        let summary = summaries.entry((key.place.level, key.place.string)).or_default();
        summary.bytes += column.len() as u64;
        let Ok(Checked::Heads(heads)) = checked else { return Ok(()) };
        summary.sheets += 1;
        summary.rows += heads.rows() as u64;
        summary.records += (heads.rows() * heads.blocks()) as u64;
        summary.blocks = summary.blocks.max(heads.blocks());
        for head in heads.iter() {
            let (first, last) = summary.span.unwrap_or((head.unix_ms, head.unix_ms));
            summary.span = Some((first.min(head.unix_ms), last.max(head.unix_ms)));
        }
        Ok(())
    })?;
    broken.map_or(Ok(summaries), |error| Err(HistoryError::File(error)))
}

/// Records as CSV; columns that are damaged are left out and named by `tell`.
///
/// # Errors
/// When the file cannot be read to its end, or the result not be written.
pub fn export(
    file: impl Read,
    wanted: Wanted,
    out: &mut impl Write,
    mut tell: impl FnMut(Key, Damage),
) -> Result<(), HistoryError> {
    out.write_all(CSV_HEAD.as_bytes())?;
    let mut text = String::new();
    let broken = go_through(file, |key, checked, _| {
        let place = key.place;
        let of_all = wanted.string.is_none_or(|string| string == place.string);
        let block = key.block == 0 || wanted.block.is_none_or(|block| block == key.block);
        if !of_all || !block || place.level != wanted.level {
            return Ok(());
        }
        match checked {
            Ok(Checked::Heads(_)) => {}
            Ok(Checked::Block(records)) => {
                for (head, record) in records {
                    text.clear();
                    csv_line(&mut text, place.string, usize::from(key.block), &head, &record);
                    out.write_all(text.as_bytes())?;
                }
            }
            Err(damage) => tell(key, damage),
        }
        Ok(())
    })?;
    broken.map_or(Ok(()), |error| Err(HistoryError::File(error)))
}

/// What is whole of a damaged file, as a file that an import takes. What is left
/// out is in the verdict.
///
/// # Errors
/// When the file cannot be read, or the result not be written.
pub fn salvage(file: impl Read, out: &mut impl Write) -> Result<Verdict, HistoryError> {
    let (mut verdict, mut bytes) = (Verdict::default(), Vec::new());
    let mut writer = FileWriter::new(&mut bytes);
    let broken = go_through(file, |key, checked, column| {
        match checked {
            Ok(_) => {
                verdict.good += 1;
                writer.column(&mut bytes, key, column);
                out.write_all(&bytes)?;
                bytes.clear();
            }
            Err(damage) => verdict.bad.push((key, damage)),
        }
        Ok(())
    })?;
    writer.finish(&mut bytes);
    out.write_all(&bytes)?;
    Ok(Verdict { broken, ..verdict })
}

/// Every column with its check; why it broke off before the end.
fn go_through(
    mut file: impl Read,
    mut each: impl FnMut(Key, Result<Checked<'_>, Damage>, &[u8]) -> io::Result<()>,
) -> Result<Option<FileError>, HistoryError> {
    let (mut reader, mut checker) = (FileReader::default(), Checker::default());
    let mut piece = Vec::new();
    while reader.needs() > 0 {
        piece.clear();
        file.by_ref().take(reader.needs() as u64).read_to_end(&mut piece)?;
        match reader.take(&piece) {
            Ok(Piece::Column(key, column)) => each(key, checker.check(key, column), column)?,
            Ok(Piece::Front | Piece::End) => {}
            Err(error) => return Ok(Some(error)),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_core::history::{Head, Place, Record, Row, Sheet, Span};

    /// Two rows of two blocks.
    fn file() -> Vec<u8> {
        let mut sheet = Sheet::default();
        for n in 0..2i32 {
            let record = Record { voltage_mv: Some(Span::of(13_600 + n)), ..Record::default() };
            let head = Head { unix_ms: 1_000 * n as u64, ..Head::default() };
            sheet.push(&Row { head, blocks: vec![record; 2] });
        }
        let place = Place { level: Level::Raw, period: 0, string: 3, part: 0 };
        let mut out = Vec::new();
        let mut writer = FileWriter::new(&mut out);
        for (block, column) in (0..).zip(sheet.encode(place)) {
            writer.column(&mut out, Key { place, block }, &column);
        }
        writer.finish(&mut out);
        out
    }

    #[test]
    fn a_whole_file_is_summed_up_and_printed() {
        let verdict = verify(&file()[..]).expect("readable");
        assert!(verdict.is_whole() && verdict.good == 3);
        let summaries = inspect(&file()[..]).expect("readable");
        let summary = summaries[&(Level::Raw, 3)];
        assert_eq!((summary.rows, summary.records, summary.blocks), (2, 4, 2));
        assert_eq!(summary.span, Some((0, 1_000)));
        let mut out = Vec::new();
        let wanted = Wanted { string: None, block: Some(2), level: Level::Raw };
        export(&file()[..], wanted, &mut out, |_, _| {}).expect("written");
        let text = String::from_utf8(out).expect("text");
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(text.contains("\r\n1970-01-01T00:00:01.000Z,3,2,13.601,"), "{text}");
    }

    #[test]
    fn what_is_bad_is_named_and_the_rest_is_read() {
        let mut bytes = file();
        let in_the_last_block = bytes.len() - 15 - 2;
        bytes[in_the_last_block] ^= 4;
        let verdict = verify(&bytes[..]).expect("readable");
        assert_eq!((verdict.good, verdict.bad.len()), (2, 1));
        assert_eq!(verdict.broken, Some(FileError::End));
        let (key, damage) = verdict.bad[0];
        assert_eq!(name(key), "string 3, records from 1970-01-01, part 1, block 2");
        assert_eq!(damage, Damage::Crc);
        let mut salvaged = Vec::new();
        assert_eq!(salvage(&bytes[..], &mut salvaged).expect("written"), verdict);
        let left = verify(&salvaged[..]).expect("readable");
        assert!(left.is_whole() && left.good == 2, "{left:?}");
        let nothing = salvage(&b"EVK"[..], &mut Vec::new()).expect("written");
        assert_eq!((nothing.good, nothing.broken), (0, Some(FileError::Magic)));
        assert!(matches!(inspect(&b"EVK"[..]), Err(HistoryError::File(FileError::Magic))));
    }
}
