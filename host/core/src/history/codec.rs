//! Sheets as bytes: a column of heads and a column per block, each standing in
//! a place of its own and with its own check sum; and groups, which hold the
//! newest rows until their day is over. Layout: [`super`].

use super::column::{BlockColumn, HeadColumn};
use super::level::Level;
use super::range::{Decoder, Encoder};
use super::record::{Head, Record, Row, Sheet};
use crc::{CRC_32_ISO_HDLC, Crc, Digest};

pub(super) static CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);
/// First byte of a column of heads, of a block's, and of a group: the version
/// (1) and what it is.
const HEADS: u8 = 0x10;
const BLOCK: u8 = 0x11;
const GROUP: u8 = 0x12;
/// The second version of the last two: with lowest and highest of what changes
/// rarely. It is written where they differ: what older programs can read they shall.
const BLOCK_SPREAD: u8 = 0x21;
const GROUP_SPREAD: u8 = 0x22;
/// Most rows of a sheet: a day has 86,400 s.
pub const ROWS_MAX: usize = 86_400;
/// Most blocks of a string.
pub const BLOCKS_MAX: usize = 4_096;
pub(super) const CRC_BYTES: usize = 4;

/// Where a sheet belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// What its rows are.
    pub level: Level,
    /// Number of its period ([`Level::period`]).
    pub period: u32,
    /// String, counted from 1.
    pub string: u16,
    /// Counts the sheets of one string in one period, from 0: a day of fast
    /// records has several.
    pub part: u16,
}

/// Why a column cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// It was written by a newer version, or is something else.
    #[error("it begins with {0:#04x}: written by a newer version, or no history")]
    Version(u8),
    /// Its check sum is wrong, or it belongs to other heads or another place.
    #[error("its check sum is wrong: damaged, or not from this place")]
    Crc,
    /// Too short, or it promises more than there can be.
    #[error("it is cut or promises more than there can be")]
    Length,
}

/// A column of heads that was checked.
#[derive(Clone, Copy, Debug)]
pub struct Heads<'a> {
    rows: usize,
    blocks: usize,
    single: bool,
    first_unix_ms: u64,
    crc: u32,
    stream: &'a [u8],
}

/// The rows of one block, as they come: no memory is needed for them.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    heads: HeadRows<'a>,
    column: BlockColumn,
    decoder: Decoder<'a>,
}

/// Heads as they come.
#[derive(Clone, Debug)]
pub struct HeadRows<'a> {
    left: usize,
    column: HeadColumn,
    decoder: Decoder<'a>,
}

impl Sheet {
    /// The column of heads, and those of the blocks in their order. Empty
    /// without rows, or with more than a sheet can have.
    #[must_use]
    pub fn encode(&self, place: Place) -> Vec<Vec<u8>> {
        let (rows, blocks) = (self.heads.len(), self.blocks.len());
        if rows == 0 || rows > ROWS_MAX || blocks > BLOCKS_MAX {
            return Vec::new();
        }
        let single = place.level == Level::Raw;
        let heads = encode_heads(place, &self.heads, blocks);
        let crc = heads.last_chunk().copied().map_or(0, u32::from_le_bytes);
        let mut columns = Vec::with_capacity(1 + blocks);
        columns.push(heads);
        for (index, records) in self.blocks.iter().enumerate() {
            columns.push(encode_block(crc, index, single, &self.heads, records));
        }
        columns
    }

    /// All of it as one piece for a string (counted from 1): smaller than
    /// [`encode`](Self::encode) while there are few rows, and no block can be read alone.
    #[must_use]
    pub fn to_group(&self, string: u16) -> Vec<u8> {
        let first = self.heads.first().map_or(0, |head| head.unix_ms);
        let spread = self.blocks.iter().any(|records| is_spread(records));
        let mut front = vec![if spread { GROUP_SPREAD } else { GROUP }];
        put(&mut front, string.into());
        put(&mut front, self.heads.len() as u64);
        put(&mut front, self.blocks.len() as u64);
        put(&mut front, first);
        let mut encoder = Encoder::new(front);
        let mut column = HeadColumn::new(first, true);
        for head in &self.heads {
            column.row(&mut encoder, head);
        }
        let mut column = BlockColumn::new(true, spread);
        for block in &self.blocks {
            column.next_block();
            for (head, record) in self.heads.iter().zip(block) {
                column.row(&mut encoder, head, record);
            }
        }
        let mut bytes = encoder.finish();
        bytes.extend(CRC.checksum(&bytes).to_le_bytes());
        bytes
    }

    /// Take a group back, with its string.
    ///
    /// # Errors
    /// [`Damage`].
    pub fn from_group(bytes: &[u8]) -> Result<(u16, Self), Damage> {
        let front = GroupFront::parse(bytes)?;
        let (body, crc) = bytes.split_last_chunk::<CRC_BYTES>().ok_or(Damage::Length)?;
        if CRC.checksum(body) != u32::from_le_bytes(*crc) {
            return Err(Damage::Crc);
        }
        let stream = body.get(front.bytes..).ok_or(Damage::Length)?;
        let mut decoder = Decoder::new(stream);
        let mut column = HeadColumn::new(front.first_unix_ms, true);
        let heads: Vec<Head> =
            (0..front.rows).map(|_| column.row(&mut decoder, &Head::default())).collect();
        let mut column = BlockColumn::new(true, front.spread);
        let mut records = |_| {
            column.next_block();
            heads.iter().map(|head| column.row(&mut decoder, head, &Record::default())).collect()
        };
        let blocks = (0..front.blocks).map(&mut records).collect();
        Ok((front.string, Self { heads, blocks }))
    }
}

/// What a group says of itself; its check sum was not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupFront {
    /// String, counted from 1.
    pub string: u16,
    /// Rows.
    pub rows: usize,
    /// Blocks.
    pub blocks: usize,
    /// Time of the first row, ms since 1970.
    pub first_unix_ms: u64,
    bytes: usize,
    spread: bool,
}

impl GroupFront {
    /// Of a group.
    ///
    /// # Errors
    /// [`Damage`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Damage> {
        let (spread, mut rest) = match bytes.split_first() {
            Some((&GROUP, rest)) => (false, rest),
            Some((&GROUP_SPREAD, rest)) => (true, rest),
            other => return Err(Damage::Version(other.map_or(0, |(first, _)| *first))),
        };
        let string = u16::try_from(take(&mut rest)?).map_err(|_| Damage::Length)?;
        let (rows, blocks) = (bounded(&mut rest, ROWS_MAX)?, bounded(&mut rest, BLOCKS_MAX)?);
        if rows.saturating_mul(blocks) > GROUP_RECORDS_MAX {
            return Err(Damage::Length);
        }
        let first_unix_ms = take(&mut rest)?;
        Ok(Self { string, rows, blocks, first_unix_ms, bytes: bytes.len() - rest.len(), spread })
    }
}

/// Most records of a group; it is read as a whole.
pub const GROUP_RECORDS_MAX: usize = 1 << 17;

impl<'a> Heads<'a> {
    /// Check a column of heads.
    ///
    /// # Errors
    /// [`Damage`].
    pub fn parse(place: Place, bytes: &'a [u8]) -> Result<Self, Damage> {
        let (front, crc) = bytes.split_last_chunk::<CRC_BYTES>().ok_or(Damage::Length)?;
        if front.first() != Some(&HEADS) {
            return Err(Damage::Version(front.first().copied().unwrap_or(0)));
        }
        let mut digest = heads_digest(place);
        digest.update(front);
        let crc = u32::from_le_bytes(*crc);
        if digest.finalize() != crc {
            return Err(Damage::Crc);
        }
        let mut rest = &front[1..];
        let (rows, blocks) = (bounded(&mut rest, ROWS_MAX)?, bounded(&mut rest, BLOCKS_MAX)?);
        let first_unix_ms = take(&mut rest)?;
        let single = place.level == Level::Raw;
        Ok(Self { rows, blocks, single, first_unix_ms, crc, stream: rest })
    }

    /// Rows.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// Blocks of the string then.
    #[must_use]
    pub const fn blocks(&self) -> usize {
        self.blocks
    }

    /// The heads.
    #[must_use]
    pub fn iter(&self) -> HeadRows<'a> {
        HeadRows {
            left: self.rows,
            column: HeadColumn::new(self.first_unix_ms, self.single),
            decoder: Decoder::new(self.stream),
        }
    }

    /// The rows of a block (counted from 0) out of its column.
    ///
    /// # Errors
    /// [`Damage`].
    pub fn block(&self, index: usize, bytes: &'a [u8]) -> Result<Records<'a>, Damage> {
        let (front, crc) = bytes.split_last_chunk::<CRC_BYTES>().ok_or(Damage::Length)?;
        let (spread, stream) = match front.split_first() {
            Some((&BLOCK, stream)) => (false, stream),
            Some((&BLOCK_SPREAD, stream)) => (true, stream),
            other => return Err(Damage::Version(other.map_or(0, |(first, _)| *first))),
        };
        let mut digest = block_digest(self.crc, index);
        digest.update(front);
        if digest.finalize() != u32::from_le_bytes(*crc) {
            return Err(Damage::Crc);
        }
        let column = BlockColumn::new(self.single, spread);
        Ok(Records { heads: self.iter(), column, decoder: Decoder::new(stream) })
    }
}

impl Iterator for HeadRows<'_> {
    type Item = Head;

    fn next(&mut self) -> Option<Head> {
        self.left = self.left.checked_sub(1)?;
        Some(self.column.row(&mut self.decoder, &Head::default()))
    }
}

impl Iterator for Records<'_> {
    type Item = (Head, Record);

    fn next(&mut self) -> Option<(Head, Record)> {
        let head = self.heads.next()?;
        Some((head, self.column.row(&mut self.decoder, &head, &Record::default())))
    }
}

/// Rows of a whole sheet out of its columns, for one that can be held in memory.
///
/// # Errors
/// The first [`Damage`], with the block (counted from 0) unless it is the heads'.
pub fn decode(place: Place, columns: &[Vec<u8>]) -> Result<Sheet, (Option<usize>, Damage)> {
    let (first, blocks) = columns.split_first().ok_or((None, Damage::Length))?;
    let heads = Heads::parse(place, first).map_err(|damage| (None, damage))?;
    if heads.blocks() != blocks.len() {
        return Err((None, Damage::Length));
    }
    let block = |(index, bytes): (usize, &Vec<u8>)| {
        let records = heads.block(index, bytes).map_err(|damage| (Some(index), damage))?;
        Ok(records.map(|(_, record)| record).collect())
    };
    let blocks = blocks.iter().enumerate().map(block).collect::<Result<_, _>>()?;
    Ok(Sheet { heads: heads.iter().collect(), blocks })
}

/// One row as a sheet.
impl From<&Row> for Sheet {
    fn from(row: &Row) -> Self {
        Self { heads: vec![row.head], blocks: row.blocks.iter().map(|r| vec![*r]).collect() }
    }
}

fn encode_heads(place: Place, heads: &[Head], blocks: usize) -> Vec<u8> {
    let first = heads.first().map_or(0, |head| head.unix_ms);
    let mut front = vec![HEADS];
    put(&mut front, heads.len() as u64);
    put(&mut front, blocks as u64);
    put(&mut front, first);
    let mut encoder = Encoder::new(front);
    let mut column = HeadColumn::new(first, place.level == Level::Raw);
    for head in heads {
        column.row(&mut encoder, head);
    }
    sealed(encoder.finish(), heads_digest(place))
}

fn encode_block(
    heads_crc: u32,
    index: usize,
    single: bool,
    heads: &[Head],
    records: &[Record],
) -> Vec<u8> {
    let spread = is_spread(records);
    let mut encoder = Encoder::new(vec![if spread { BLOCK_SPREAD } else { BLOCK }]);
    let mut column = BlockColumn::new(single, spread);
    for (head, record) in heads.iter().zip(records) {
        column.row(&mut encoder, head, record);
    }
    sealed(encoder.finish(), block_digest(heads_crc, index))
}

/// Whether lowest and highest of what changes rarely are not one somewhere.
fn is_spread(records: &[Record]) -> bool {
    records.iter().any(|record| record.rare().into_iter().flatten().any(|span| !span.is_flat()))
}

pub(super) fn sealed(mut bytes: Vec<u8>, mut digest: Digest<'static, u32>) -> Vec<u8> {
    digest.update(&bytes);
    bytes.extend(digest.finalize().to_le_bytes());
    bytes
}

fn heads_digest(place: Place) -> Digest<'static, u32> {
    let mut digest = CRC.digest();
    digest.update(&[place.level.code()]);
    digest.update(&place.period.to_le_bytes());
    digest.update(&place.string.to_le_bytes());
    digest.update(&place.part.to_le_bytes());
    digest
}

fn block_digest(heads_crc: u32, index: usize) -> Digest<'static, u32> {
    let mut digest = CRC.digest();
    digest.update(&heads_crc.to_le_bytes());
    digest.update(&(index as u64).to_le_bytes());
    digest
}

/// A number as LEB128: seven bits a byte, the lowest first.
pub(super) fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

pub(super) fn take(bytes: &mut &[u8]) -> Result<u64, Damage> {
    let mut number = 0;
    for shift in (0..63).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or(Damage::Length)?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(Damage::Length)
}

pub(super) fn bounded(bytes: &mut &[u8], most: usize) -> Result<usize, Damage> {
    let number = usize::try_from(take(bytes)?).map_err(|_| Damage::Length)?;
    if number <= most { Ok(number) } else { Err(Damage::Length) }
}

#[cfg(test)]
mod tests;
