//! `evenkeel history`: looks into an exported history without the appliance.
//!
//! Goes through a file once, column by column, in the memory of one sheet. A
//! damaged column is named and the rest is read; where a frame itself is
//! damaged, nothing behind it can be found.

use evenkeel_core::history::csv::{CSV_HEAD, SERIES_CSV_HEAD, Utc, csv_line, series_line};
use evenkeel_core::history::file::{
    Checked, Checker, FileError, FileReader, FileWriter, Piece, PointKey,
};
use evenkeel_core::history::series::Column;
use evenkeel_core::history::{Damage, Key, Level};
use evenkeel_core::points::names;
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
    pub bad: Vec<(Which, Damage)>,
    /// Why the file could not be read to its end.
    pub broken: Option<FileError>,
}

/// A column of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// Of a string.
    String(Key),
    /// Of a point.
    Point(PointKey),
}

/// A column that was looked at.
enum Looked<'a> {
    String(Key, Result<Checked<'a>, Damage>),
    Point(PointKey, Result<Column<'a>, Damage>),
}

/// Whose history.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whose {
    /// A string, counted from 1.
    String(u16),
    /// A point.
    Point(String),
}

/// What a file holds of one string or point in one level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Sheets; of a point, columns.
    pub sheets: u64,
    /// Rows of all sheets.
    pub rows: u64,
    /// Rows times blocks; of a point, rows.
    pub records: u64,
    /// Most blocks.
    pub blocks: usize,
    /// Bytes of its columns.
    pub bytes: u64,
    /// Time of the first and the last row, ms since 1970.
    pub span: Option<(u64, u64)>,
}

/// Which records to print.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Points at and below this one, in place of strings.
    pub point: Option<String>,
    /// String, counted from 1; `None`: all.
    pub string: Option<u16>,
    /// Block, counted from 1; `None`: all.
    pub block: Option<u16>,
    /// Level.
    pub level: Level,
}

impl Verdict {
    /// True when the column is whole.
    fn add(&mut self, looked: &Looked<'_>) -> bool {
        let damage = looked.damage();
        match damage {
            None => self.good += 1,
            Some(damage) => self.bad.push((looked.which(), damage)),
        }
        damage.is_none()
    }

    /// True when nothing is wrong.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.bad.is_empty() && self.broken.is_none()
    }
}

impl Which {
    /// Its name for people.
    #[must_use]
    pub fn name(&self) -> String {
        let (level, period) = match self {
            Self::String(key) => (key.place.level, key.place.period),
            Self::Point(key) => (key.level, key.period),
        };
        let from = Utc(level.begins(period)).to_string();
        let date = from.get(..10).unwrap_or(&from);
        let what = level.word();
        match self {
            Self::Point(key) => format!("{}, {what} from {date}", key.name),
            Self::String(Key { place, block }) => {
                let block = match block {
                    0 => "heads".to_owned(),
                    block => format!("block {block}"),
                };
                let (string, part) = (place.string, place.part + 1);
                format!("string {string}, {what} from {date}, part {part}, {block}")
            }
        }
    }
}

/// Look at every check sum.
///
/// # Errors
/// When the file cannot be read; what is wrong in it is in the verdict.
pub fn verify(file: impl Read) -> Result<Verdict, HistoryError> {
    let mut verdict = Verdict::default();
    let each = |looked: Looked<'_>, _: &[u8]| {
        verdict.add(&looked);
        Ok(())
    };
    let broken = go_through(file, each)?;
    Ok(Verdict { broken, ..verdict })
}

/// What is in a file, by level and whose it is.
///
/// # Errors
/// When the file cannot be read to its end.
pub fn inspect(file: impl Read) -> Result<BTreeMap<(Level, Whose), Summary>, HistoryError> {
    let mut summaries: BTreeMap<(Level, Whose), Summary> = BTreeMap::new();
    let broken = go_through(file, |looked, column| {
        let of = match &looked {
            Looked::String(key, _) => (key.place.level, Whose::String(key.place.string)),
            Looked::Point(key, _) => (key.level, Whose::Point(key.name.clone())),
        };
        let summary = summaries.entry(of).or_default();
        summary.bytes += column.len() as u64;
        match looked {
            Looked::String(_, Ok(Checked::Heads(heads))) => {
                summary.blocks = summary.blocks.max(heads.blocks());
                let times = heads.iter().map(|head| head.unix_ms);
                summary.add(heads.rows() * heads.blocks(), times);
            }
            Looked::Point(_, Ok(column)) => {
                let times: Vec<u64> = column.rows().map(|row| row.unix_s * 1_000).collect();
                summary.add(times.len(), times.into_iter());
            }
            _ => {}
        }
        Ok(())
    })?;
    broken.map_or(Ok(summaries), |error| Err(HistoryError::File(error)))
}

impl Summary {
    fn add(&mut self, records: usize, times: impl Iterator<Item = u64>) {
        (self.sheets, self.records) = (self.sheets + 1, self.records + records as u64);
        for unix_ms in times {
            self.rows += 1;
            let (first, last) = self.span.unwrap_or((unix_ms, unix_ms));
            self.span = Some((first.min(unix_ms), last.max(unix_ms)));
        }
    }
}

/// Records of strings, or rows of points, as CSV; columns that are damaged are left
/// out and named by `tell`.
///
/// # Errors
/// When the file cannot be read to its end, or the result not be written.
pub fn export(
    file: impl Read,
    wanted: &Wanted,
    out: &mut impl Write,
    mut tell: impl FnMut(&Which, Damage),
) -> Result<(), HistoryError> {
    let head = if wanted.point.is_some() { SERIES_CSV_HEAD } else { CSV_HEAD };
    out.write_all(head.as_bytes())?;
    let mut text = String::new();
    let broken = go_through(file, |looked, _| {
        text.clear();
        match looked {
            Looked::String(key, checked) if wanted.takes(key) => match checked {
                Ok(Checked::Heads(_)) => {}
                Ok(Checked::Block(records)) => {
                    let of = (key.place.string, usize::from(key.block));
                    for (head, record) in records {
                        csv_line(&mut text, key.place.level, of, &head, &record);
                    }
                }
                Err(damage) => tell(&Which::String(key), damage),
            },
            Looked::Point(key, checked) if wanted.takes_point(&key) => match checked {
                Ok(column) => column.rows().for_each(|row| {
                    series_line(&mut text, &key.name, column.measure().unit(), &row)
                }),
                Err(damage) => tell(&Which::Point(key), damage),
            },
            _ => {}
        }
        out.write_all(text.as_bytes())
    })?;
    broken.map_or(Ok(()), |error| Err(HistoryError::File(error)))
}

impl Wanted {
    fn takes(&self, Key { place, block }: Key) -> bool {
        let string = self.string.is_none_or(|string| string == place.string);
        let block = block == 0 || self.block.is_none_or(|wanted| wanted == block);
        self.point.is_none() && string && block && place.level == self.level
    }

    fn takes_point(&self, key: &PointKey) -> bool {
        let wanted = self.point.as_ref();
        key.level == self.level && wanted.is_some_and(|point| names::within(&key.name, point))
    }
}

/// What is whole of a damaged file, as a file that an import takes. What is left
/// out is in the verdict.
///
/// # Errors
/// When the file cannot be read, or the result not be written.
pub fn salvage(file: impl Read, out: &mut impl Write) -> Result<Verdict, HistoryError> {
    let (mut verdict, mut bytes) = (Verdict::default(), Vec::new());
    let mut writer = FileWriter::new(&mut bytes);
    let broken = go_through(file, |looked, column| {
        if verdict.add(&looked) {
            match looked.which() {
                Which::String(key) => writer.column(&mut bytes, key, column),
                Which::Point(key) => writer.point(&mut bytes, &key, column),
            }
            out.write_all(&bytes)?;
            bytes.clear();
        }
        Ok(())
    })?;
    writer.finish(&mut bytes);
    out.write_all(&bytes)?;
    Ok(Verdict { broken, ..verdict })
}

impl Looked<'_> {
    fn which(&self) -> Which {
        match self {
            Self::String(key, _) => Which::String(*key),
            Self::Point(key, _) => Which::Point(key.clone()),
        }
    }

    fn damage(&self) -> Option<Damage> {
        match self {
            Self::String(_, checked) => checked.as_ref().err().copied(),
            Self::Point(_, checked) => checked.as_ref().err().copied(),
        }
    }
}

/// Every column with its check; why it broke off before the end.
fn go_through(
    mut file: impl Read,
    mut each: impl FnMut(Looked<'_>, &[u8]) -> io::Result<()>,
) -> Result<Option<FileError>, HistoryError> {
    let (mut reader, mut checker) = (FileReader::default(), Checker::default());
    let mut piece = Vec::new();
    while reader.needs() > 0 {
        piece.clear();
        file.by_ref().take(reader.needs() as u64).read_to_end(&mut piece)?;
        match reader.take(&piece) {
            Ok(Piece::Column(key, column)) => {
                each(Looked::String(key, checker.check(key, column)), column)?;
            }
            Ok(Piece::Point(key, column)) => {
                let checked = Column::parse(key.level, key.period, &key.name, column);
                each(Looked::Point(key, checked), column)?;
            }
            Ok(Piece::Front | Piece::End) => {}
            Err(error) => return Ok(Some(error)),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_core::history::{Head, Place, Record, Row, Series, Sheet, Span, series};
    use evenkeel_core::points::{Quality, Unit};

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
        let value = Some(Span::of(34_000_000));
        let row = series::Row { unix_s: 60, value, quality: Quality::Good };
        let measure = series::Measure::Number(Unit::Percent);
        let load = Series { name: "ups.0.ups.load".to_owned(), measure, rows: vec![row] };
        let column = Column::encode(Level::Raw, 0, &load).expect("a row");
        let key = PointKey { level: Level::Raw, period: 0, name: load.name };
        writer.point(&mut out, &key, &column);
        writer.finish(&mut out);
        out
    }

    #[test]
    fn a_whole_file_is_summed_up_and_printed() {
        let verdict = verify(&file()[..]).expect("readable");
        assert!(verdict.is_whole() && verdict.good == 4);
        let summaries = inspect(&file()[..]).expect("readable");
        let summary = summaries[&(Level::Raw, Whose::String(3))];
        assert_eq!((summary.rows, summary.records, summary.blocks), (2, 4, 2));
        assert_eq!(summary.span, Some((0, 1_000)));
        let mut out = Vec::new();
        let mut wanted = Wanted { point: None, string: None, block: Some(2), level: Level::Raw };
        export(&file()[..], &wanted, &mut out, |_, _| {}).expect("written");
        let text = String::from_utf8(out).expect("text");
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(text.contains("\r\n1970-01-01T00:00:01.000Z,3,2,13.601,"), "{text}");
        let load = summaries[&(Level::Raw, Whose::Point("ups.0.ups.load".to_owned()))];
        assert_eq!((load.rows, load.span), (1, Some((60_000, 60_000))));
        wanted.point = Some("ups.0".to_owned());
        let mut out = Vec::new();
        export(&file()[..], &wanted, &mut out, |_, _| {}).expect("written");
        let text = String::from_utf8(out).expect("text");
        let line = "1970-01-01T00:01:00.000Z,ups.0.ups.load,%,34.0,34.0,34.0,good\r\n";
        assert!(text.ends_with(line) && text.lines().count() == 2, "{text}");
    }

    #[test]
    fn what_is_bad_is_named_and_the_rest_is_read() {
        let mut bytes = file();
        // Behind it: the column of the point with its frame, and the end.
        let name = b"ups.0.ups.load";
        let name = bytes.windows(name.len()).position(|part| part == name).expect("there");
        let in_the_last_block = name - 1 - 15 - 2;
        bytes[in_the_last_block] ^= 4;
        let verdict = verify(&bytes[..]).expect("readable");
        assert_eq!((verdict.good, verdict.bad.len()), (3, 1));
        assert_eq!(verdict.broken, Some(FileError::End));
        let (which, damage) = verdict.bad[0].clone();
        assert_eq!(which.name(), "string 3, records from 1970-01-01, part 1, block 2");
        assert_eq!(damage, Damage::Crc);
        let mut salvaged = Vec::new();
        assert_eq!(salvage(&bytes[..], &mut salvaged).expect("written"), verdict);
        let left = verify(&salvaged[..]).expect("readable");
        assert!(left.is_whole() && left.good == 3, "{left:?}");
        let nothing = salvage(&b"EVK"[..], &mut Vec::new()).expect("written");
        assert_eq!((nothing.good, nothing.broken), (0, Some(FileError::Magic)));
        assert!(matches!(inspect(&b"EVK"[..]), Err(HistoryError::File(FileError::Magic))));
    }
}
