//! History on the way: the file that an export makes and an import takes.
//! Layout: [`super`], "An exported file".

use super::codec::{Damage, Heads, Place, Records};
use super::level::Level;
use crate::points::Name;
use crc::{CRC_32_ISO_HDLC, Crc, Digest};

/// First bytes of a file.
pub const MAGIC: &[u8; 8] = b"EVKHIST2";
/// The same of a file of an older program, which has no points.
pub const MAGIC_1: &[u8; 8] = b"EVKHIST1";
/// Bytes in front of a column, and of the end.
const FRONT: usize = 15;
/// Longest column, bytes.
pub const COLUMN_MAX: usize = 1 << 22;
const END: u8 = 0xff;
static CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// Which column: the heads of a sheet, or one of its blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Its sheet.
    pub place: Place,
    /// 0: the heads; blocks count from 1.
    pub block: u16,
}

/// Which column of a point.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PointKey {
    /// What its rows are.
    pub level: Level,
    /// Number of its period ([`Level::period`]).
    pub period: u32,
    /// Of the point.
    pub name: String,
}

impl core::fmt::Display for PointKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { level, period, name } = self;
        write!(f, "of {name}, level {}, period {period}", level.code())
    }
}

/// Why a file cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// It is something else.
    #[error(
        "this is no exported history, or one of a newer version: it does not begin with EVKHIST2"
    )]
    Magic,
    /// A frame makes no sense: what follows cannot be found.
    #[error("frame {0} is damaged; what follows it cannot be found")]
    Frame(u64),
    /// It ends in the middle.
    #[error("the file was cut after {0} columns")]
    Cut(u64),
    /// Its end says something else than what came before.
    #[error("the end of the file does not match it: something was changed or is missing")]
    End,
}

/// Makes a file, piece by piece.
#[derive(Clone)]
pub struct FileWriter {
    digest: Digest<'static, u32>,
    columns: u64,
}

impl core::fmt::Debug for FileWriter {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("FileWriter").field("columns", &self.columns).finish_non_exhaustive()
    }
}

impl FileWriter {
    /// Begins a file in `out`.
    #[must_use]
    pub fn new(out: &mut Vec<u8>) -> Self {
        let mut writer = Self { digest: CRC.digest(), columns: 0 };
        writer.put(out, MAGIC);
        writer
    }

    /// A column. The heads of a sheet come before its blocks.
    pub fn column(&mut self, out: &mut Vec<u8>, key: Key, bytes: &[u8]) {
        let Key { place, block } = key;
        self.frame(out, place, block, &[bytes]);
    }

    /// A column of a point, anywhere.
    pub fn point(&mut self, out: &mut Vec<u8>, key: &PointKey, bytes: &[u8]) {
        let place = Place { level: key.level, period: key.period, string: 0, part: 0 };
        // A name has at most 96 bytes.
        let front = [key.name.len() as u8];
        self.frame(out, place, 0, &[&front, key.name.as_bytes(), bytes]);
    }

    fn frame(&mut self, out: &mut Vec<u8>, place: Place, block: u16, pieces: &[&[u8]]) {
        self.put(out, &[place.level.code()]);
        self.put(out, &place.period.to_le_bytes());
        self.put(out, &place.string.to_le_bytes());
        self.put(out, &place.part.to_le_bytes());
        self.put(out, &block.to_le_bytes());
        let length: usize = pieces.iter().map(|piece| piece.len()).sum();
        // A column is never longer than COLUMN_MAX.
        self.put(out, &(length as u32).to_le_bytes());
        pieces.iter().for_each(|piece| self.put(out, piece));
        self.columns += 1;
    }

    /// The end.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        self.put(out, &[END]);
        let columns = self.columns;
        self.put(out, &columns.to_le_bytes());
        out.extend(self.digest.finalize().to_le_bytes());
        out.extend([0; 2]);
    }

    fn put(&mut self, out: &mut Vec<u8>, bytes: &[u8]) {
        self.digest.update(bytes);
        out.extend_from_slice(bytes);
    }
}

/// Takes a file, piece by piece: who reads asks [`needs`](Self::needs) for the
/// number of bytes that belong together.
pub struct FileReader {
    digest: Digest<'static, u32>,
    columns: u64,
    begun: bool,
    with_points: bool,
    expected: Option<(Key, usize)>,
    ended: bool,
}

/// What [`FileReader::take`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Nothing for the caller: the beginning, or the front of a column.
    Front,
    /// A column. Its own check sum was not looked at yet.
    Column(Key, &'a [u8]),
    /// A column of a point; its own check sum was not looked at either.
    Point(PointKey, &'a [u8]),
    /// All is there.
    End,
}

impl Default for FileReader {
    fn default() -> Self {
        let (begun, with_points, ended) = (false, false, false);
        Self { digest: CRC.digest(), columns: 0, begun, with_points, expected: None, ended }
    }
}

impl FileReader {
    /// Bytes that [`take`](Self::take) wants next; 0 after the end.
    #[must_use]
    pub fn needs(&self) -> usize {
        match (self.begun, self.expected, self.ended) {
            (_, _, true) => 0,
            (false, ..) => MAGIC.len(),
            (true, None, _) => FRONT,
            (true, Some((_, bytes)), _) => bytes,
        }
    }

    /// Columns so far.
    #[must_use]
    pub const fn columns(&self) -> u64 {
        self.columns
    }

    /// The next [`needs`](Self::needs) bytes, or fewer where the file ends.
    ///
    /// # Errors
    /// [`FileError`]; nothing that follows can be read.
    pub fn take<'a>(&mut self, bytes: &'a [u8]) -> Result<Piece<'a>, FileError> {
        if bytes.len() != self.needs() {
            return Err(if self.begun { FileError::Cut(self.columns) } else { FileError::Magic });
        }
        if !self.begun {
            if bytes != MAGIC && bytes != MAGIC_1 {
                return Err(FileError::Magic);
            }
            (self.begun, self.with_points) = (true, bytes == MAGIC);
            self.digest.update(bytes);
            return Ok(Piece::Front);
        }
        if let Some((key, _)) = self.expected.take() {
            self.digest.update(bytes);
            self.columns += 1;
            return match self.with_points && key.place.string == 0 {
                true => point(key, bytes).ok_or(FileError::Frame(self.columns)),
                false => Ok(Piece::Column(key, bytes)),
            };
        }
        self.front(bytes)
    }

    fn front<'a>(&mut self, bytes: &[u8]) -> Result<Piece<'a>, FileError> {
        let broken = FileError::Frame(self.columns + 1);
        let front: [u8; FRONT] = bytes.try_into().map_err(|_| broken)?;
        let [level, p0, p1, p2, p3, s0, s1, t0, t1, b0, b1, l0, l1, l2, l3] = front;
        if level == END {
            self.digest.update(&bytes[..9]);
            self.ended = true;
            let columns = u64::from_le_bytes([p0, p1, p2, p3, s0, s1, t0, t1]);
            let crc = u32::from_le_bytes([b0, b1, l0, l1]);
            let right = columns == self.columns && crc == self.digest.clone().finalize();
            return if right && [l2, l3] == [0; 2] { Ok(Piece::End) } else { Err(FileError::End) };
        }
        let place = Place {
            level: Level::from_code(level).ok_or(broken)?,
            period: u32::from_le_bytes([p0, p1, p2, p3]),
            string: u16::from_le_bytes([s0, s1]),
            part: u16::from_le_bytes([t0, t1]),
        };
        let length = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])).map_err(|_| broken)?;
        if length > COLUMN_MAX || length == 0 {
            return Err(broken);
        }
        self.digest.update(bytes);
        let block = u16::from_le_bytes([b0, b1]);
        self.expected = Some((Key { place, block }, length));
        Ok(Piece::Front)
    }
}

fn point(key: Key, bytes: &[u8]) -> Option<Piece<'_>> {
    let (length, rest) = bytes.split_first()?;
    let (name, column) = rest.split_at_checked(usize::from(*length))?;
    let name = Name::parse(core::str::from_utf8(name).ok()?).ok()?.to_string();
    let Place { level, period, .. } = key.place;
    Some(Piece::Point(PointKey { level, period, name }, column))
}

/// What is known of the columns so far, for one who goes through a file: the
/// heads of the present sheet are kept, blocks are checked against them.
#[derive(Clone, Debug, Default)]
pub struct Checker {
    heads: Option<(Place, Vec<u8>)>,
}

impl Checker {
    /// Check a column; gives its records, none for heads.
    ///
    /// # Errors
    /// [`Damage`]. The block of a sheet whose heads are damaged or missing is
    /// damaged, too.
    pub fn check<'a>(&'a mut self, key: Key, bytes: &'a [u8]) -> Result<Checked<'a>, Damage> {
        if key.block == 0 {
            self.heads = None;
            let heads = Heads::parse(key.place, bytes)?;
            self.heads = Some((key.place, bytes.to_vec()));
            return Ok(Checked::Heads(heads));
        }
        let (_, heads) = self.heads.as_ref().filter(|(p, _)| *p == key.place).ok_or(Damage::Crc)?;
        let heads = Heads::parse(key.place, heads)?;
        let index = usize::from(key.block) - 1;
        if index >= heads.blocks() {
            return Err(Damage::Length);
        }
        heads.block(index, bytes).map(|records| Checked::Block(Box::new(records)))
    }
}

/// A column that is whole.
#[derive(Clone, Debug)]
pub enum Checked<'a> {
    /// Heads.
    Heads(Heads<'a>),
    /// A block, with its records.
    Block(Box<Records<'a>>),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::record::{Record, Row, Sheet};
    use crate::history::series::{self, Series};
    use crate::points::{Quality, Unit};
    use proptest::prelude::*;

    const PLACE: Place = Place { level: Level::Raw, period: 20_000, string: 3, part: 0 };

    fn file() -> Vec<u8> {
        let sheet = Sheet::from(&Row { blocks: vec![Record::default(); 3], ..Row::default() });
        let mut out = Vec::new();
        let mut writer = FileWriter::new(&mut out);
        for (block, column) in (0..).zip(sheet.encode(PLACE)) {
            writer.column(&mut out, Key { place: PLACE, block }, &column);
        }
        let row = series::Row { unix_s: 0, value: None, quality: Quality::Bad };
        let name = "ups.0.ups.load".to_owned();
        let load =
            Series { name, measure: series::Measure::Number(Unit::Percent), rows: vec![row] };
        let column = series::Column::encode(Level::Raw, 20_000, &load).expect("a row");
        let key = PointKey { level: Level::Raw, period: 20_000, name: load.name };
        writer.point(&mut out, &key, &column);
        writer.finish(&mut out);
        out
    }

    /// Good columns, damaged ones, and how it ended.
    fn read(mut bytes: &[u8]) -> (u64, u64, Result<(), FileError>) {
        let (mut reader, mut checker) = (FileReader::default(), Checker::default());
        let (mut good, mut bad) = (0, 0);
        while reader.needs() > 0 {
            let (piece, rest) = bytes.split_at(reader.needs().min(bytes.len()));
            bytes = rest;
            match reader.take(piece) {
                Ok(Piece::Column(key, column)) => match checker.check(key, column) {
                    Ok(_) => good += 1,
                    Err(_) => bad += 1,
                },
                Ok(Piece::Point(key, column)) => {
                    match series::Column::parse(key.level, key.period, &key.name, column) {
                        Ok(_) => good += 1,
                        Err(_) => bad += 1,
                    }
                }
                Ok(Piece::Front | Piece::End) => {}
                Err(error) => return (good, bad, Err(error)),
            }
        }
        (good, bad, Ok(()))
    }

    #[test]
    fn a_file_comes_back_and_a_damaged_block_is_one_block() {
        let file = file();
        assert_eq!(read(&file), (5, 0, Ok(())));
        let last_column = file.len() - FRONT - 1;
        let mut damaged = file.clone();
        damaged[last_column] ^= 1;
        assert_eq!(read(&damaged), (4, 1, Err(FileError::End)));
        assert_eq!(read(&file[..file.len() - 1]), (5, 0, Err(FileError::Cut(5))));
        assert_eq!(read(b"hello").2, Err(FileError::Magic));
        let heads = MAGIC.len() + FRONT + 3;
        damaged.clone_from(&file);
        damaged[heads] ^= 1;
        assert_eq!(read(&damaged), (1, 4, Err(FileError::End)), "nothing stands without its heads");
    }

    /// Made by the program before there were points in a file.
    #[test]
    fn a_file_of_an_older_program_is_read() {
        let file = include_bytes!("testdata/evkhist1.evkhist");
        assert_eq!(read(file), (4, 0, Ok(())));
        let mut newer = file.to_vec();
        newer[..8].copy_from_slice(MAGIC);
        assert_eq!(read(&newer).2, Err(FileError::End), "the version is under the check sum");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(read(&[&MAGIC[..], &bytes].concat()).2.is_err());
        }

        #[test]
        fn no_change_goes_unnoticed(at in any::<prop::sample::Index>(), flip in 1u8..) {
            let mut file = file();
            let at = at.index(file.len());
            file[at] ^= flip;
            prop_assert!(read(&file).2.is_err());
        }
    }
}
