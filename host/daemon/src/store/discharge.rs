//! Discharge records on the disk: what a record says, and its rows apart from
//! it, because a list of records needs no rows.
//!
//! Voltages are those of the blocks themselves, whatever their cells. Those of
//! the rows are written as groups of the history's codec, which needs a fifth of
//! the bytes.

use super::budget::{self, Room};
use super::{Shared, Store, StoreError, table};
use crate::guard::RecordRows;
use evenkeel_core::discharge::DischargeRecord;
use evenkeel_core::history::codec::GROUP_RECORDS_MAX;
use evenkeel_core::history::{Head, Record, Sheet, Span};
use evenkeel_core::points::Quality;
use redb::{ReadableTable as _, WriteTransaction};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Most records of a string; the oldest goes first.
pub const PER_STRING: usize = 50;
/// First byte of what is stored: another version is left out.
const VERSION: u8 = 2;

/// A record that is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PastDischarge {
    /// String, counted from 1.
    pub string: u16,
    /// Its name then.
    pub name: String,
    /// When it began, ms since 1970.
    pub begun_unix_ms: u64,
    /// Rows that were kept; 0 when they could not be read.
    pub rows: u32,
    /// What it says.
    pub record: DischargeRecord,
}

const ROWS: &str = "discharge record";

/// Rows as they are written.
#[derive(Serialize, Deserialize)]
struct Packed {
    /// Without voltages that are in the groups.
    rows: RecordRows,
    groups: Vec<Vec<u8>>,
}

impl Packed {
    fn of(rows: &RecordRows) -> Self {
        let blocks = rows.mv.len().checked_div(rows.heads.len()).unwrap_or(0);
        if blocks == 0 || blocks * rows.heads.len() != rows.mv.len() {
            return Self { rows: rows.clone(), groups: Vec::new() };
        }
        let most = (GROUP_RECORDS_MAX / blocks).max(1) * blocks;
        let groups = rows.mv.chunks(most).map(|part| sheet(part, blocks).to_group(0)).collect();
        let rows = RecordRows { id: rows.id, heads: rows.heads.clone(), mv: Vec::new() };
        Self { rows, groups }
    }

    /// `None` when a group is damaged.
    fn rows(self) -> Option<RecordRows> {
        let mut rows = self.rows;
        for group in &self.groups {
            let (_, sheet) = Sheet::from_group(group).ok()?;
            for row in 0..sheet.heads.len() {
                rows.mv.extend(sheet.blocks.iter().map(|block| {
                    let span = block.get(row).and_then(|record| record.voltage_mv);
                    span.and_then(|span| u16::try_from(span.mean).ok()).unwrap_or(0)
                }));
            }
        }
        Some(rows)
    }
}

/// Voltages of `blocks` blocks, row after row.
fn sheet(mv: &[u16], blocks: usize) -> Sheet {
    let record = |mv: u16| Record {
        voltage_mv: (mv != 0).then(|| Span::of(mv.into())),
        quality: Quality::Good,
        ..Record::default()
    };
    let head = |(row, mv): (usize, &[u16])| {
        let read = mv.iter().filter(|mv| **mv != 0);
        let sum: i32 = read.clone().map(|mv| i32::from(*mv)).sum();
        let mean = sum.checked_div(i32::try_from(read.count()).unwrap_or(i32::MAX));
        Head { unix_ms: row as u64, blocks_mv: mean.map(Span::of), ..Head::default() }
    };
    let heads = mv.chunks(blocks).enumerate().map(head).collect();
    let column = |block| mv.iter().skip(block).step_by(blocks).map(|mv| record(*mv)).collect();
    Sheet { heads, blocks: (0..blocks).map(column).collect() }
}

/// A record and its rows, as bytes.
pub struct Encoded {
    key: (u16, u64),
    record: Vec<u8>,
    rows: Vec<u8>,
}

impl Encoded {
    /// `None` when there is no memory for it.
    pub fn of(past: &PastDischarge, rows: &RecordRows) -> Option<Self> {
        let key = (past.string, past.begun_unix_ms);
        Some(Self { key, record: encode(past)?, rows: encode(&Packed::of(rows))? })
    }

    /// Bytes of both.
    pub fn len(&self) -> usize {
        self.record.len() + self.rows.len()
    }

    /// Write it, and drop the oldest of its string.
    pub fn write(&self, write: &WriteTransaction) -> Result<(), redb::Error> {
        let mut records = write.open_table(table::DISCHARGES)?;
        let mut rows = write.open_table(table::DISCHARGE_ROWS)?;
        records.insert(self.key, self.record.as_slice())?;
        rows.insert(self.key, self.rows.as_slice())?;
        let own = (self.key.0, 0)..=(self.key.0, u64::MAX);
        let keys: Result<Vec<_>, redb::Error> =
            records.range(own)?.map(|row| Ok(row?.0.value())).collect();
        let keys = keys?;
        for key in &keys[..keys.len().saturating_sub(PER_STRING)] {
            records.remove(*key)?;
            rows.remove(*key)?;
        }
        budget::trim_discharges(&mut records, &mut rows, Room::Discharges.most())
    }
}

impl Store {
    /// Records, newest first; of one string (counted from 1) or of all.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn discharges(&self, string: Option<u16>) -> Result<Vec<PastDischarge>, StoreError> {
        let first = (string.unwrap_or(0), 0);
        let last = (string.unwrap_or(u16::MAX), u64::MAX);
        let rows = self.shared.read(|read| {
            let Some(table) = table::open(read, table::DISCHARGES)? else { return Ok(Vec::new()) };
            let rows = table.range(first..=last)?;
            rows.map(|row| Ok(row?.1.value().to_vec())).collect::<Result<_, redb::Error>>()
        })?;
        let mut past: Vec<PastDischarge> =
            rows.iter().filter_map(|bytes| self.shared.decoded(bytes)).collect();
        past.sort_by_key(|past| std::cmp::Reverse(past.begun_unix_ms));
        Ok(past)
    }

    /// The record of a string (counted from 1) that began then.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn discharge(
        &self,
        string: u16,
        begun_unix_ms: u64,
    ) -> Result<Option<PastDischarge>, StoreError> {
        self.one(table::DISCHARGES, (string, begun_unix_ms))
    }

    /// The rows of that record.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn discharge_rows(
        &self,
        string: u16,
        begun_unix_ms: u64,
    ) -> Result<Option<RecordRows>, StoreError> {
        let packed: Option<Packed> = self.one(table::DISCHARGE_ROWS, (string, begun_unix_ms))?;
        let rows = packed.map(|packed| packed.rows().ok_or(StoreError::Record { what: ROWS }));
        rows.transpose()
    }

    fn one<T: DeserializeOwned>(
        &self,
        table: redb::TableDefinition<'static, (u16, u64), &'static [u8]>,
        key: (u16, u64),
    ) -> Result<Option<T>, StoreError> {
        let bytes = self.shared.read(|read| {
            let Some(table) = table::open(read, table)? else { return Ok(None) };
            Ok(table.get(key)?.map(|row| row.value().to_vec()))
        })?;
        Ok(bytes.and_then(|bytes| self.shared.decoded(&bytes)))
    }
}

impl Shared {
    fn decoded<T: DeserializeOwned>(&self, bytes: &[u8]) -> Option<T> {
        let value = match bytes {
            [VERSION, body @ ..] => postcard::from_bytes(body).ok(),
            _ => None,
        };
        if value.is_none() {
            self.say_unreadable("a discharge record");
        }
        value
    }
}

fn encode(value: &impl Serialize) -> Option<Vec<u8>> {
    postcard::to_extend(value, vec![VERSION]).ok()
}

#[cfg(test)]
mod tests {
    use super::super::Limits;
    use super::*;
    use evenkeel_core::discharge::{Part, RowHead};

    fn past(string: u16, begun_unix_ms: u64) -> PastDischarge {
        let record = DischargeRecord { duration_s: begun_unix_ms as f64, ..Default::default() };
        PastDischarge { string, name: "A".into(), begun_unix_ms, rows: 1, record }
    }

    fn rows() -> RecordRows {
        let (current_a, part) = (f32::NAN, Part::Discharge);
        let head = RowHead { offset_ms: -1_000, current_a, temperature_c: 25.0, scans: 1, part };
        RecordRows { heads: vec![head], mv: vec![12_345, 0], ..RecordRows::default() }
    }

    #[test]
    fn voltages_are_packed_and_come_back() {
        let (part, current_a) = (Part::Discharge, -10.0);
        let head = RowHead { offset_ms: 0, current_a, temperature_c: 25.0, scans: 1, part };
        let heads: Vec<_> = (0..600).map(|s| RowHead { offset_ms: 1_000 * s, ..head }).collect();
        let mv = (0..600 * 32u32).map(|n| match n {
            77 => 0,
            _ => (12_900 - n / 100 + n.wrapping_mul(2_654_435_761) % 5 + 20 * (n % 32)) as u16,
        });
        let rows = RecordRows { heads, mv: mv.collect(), ..RecordRows::default() };
        let bytes: usize = Packed::of(&rows).groups.iter().map(Vec::len).sum();
        assert!(bytes < 600 * 32 * 5 / 8, "{bytes} bytes: five bits a voltage");
        let packed = encode(&Packed::of(&rows)).expect("memory");
        let back: Packed = postcard::from_bytes(&packed[1..]).expect("just written");
        assert_eq!(back.rows(), Some(rows));
        let ragged = RecordRows { heads: vec![head; 2], mv: vec![1; 3], ..RecordRows::default() };
        assert_eq!(Packed::of(&ragged).rows(), Some(ragged));
    }

    #[test]
    fn records_and_rows_come_back_after_reopening_and_the_oldest_go() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(dir.path(), Limits::default()).expect("a store");
        assert_eq!(store.discharges(None).expect("readable"), []);
        for begun in 1..=60 {
            store.keep_discharge(&past(1, begun), &rows()).wait().expect("on the disk");
        }
        store.keep_discharge(&past(2, 7), &rows()).wait().expect("on the disk");
        drop(store);
        let store = Store::open(dir.path(), Limits::default()).expect("a store");
        let kept = store.discharges(Some(1)).expect("readable");
        assert_eq!(kept.len(), PER_STRING);
        assert_eq!((kept[0].clone(), kept[49].begun_unix_ms), (past(1, 60), 11));
        assert_eq!(store.discharges(None).expect("readable").len(), PER_STRING + 1);
        assert_eq!(store.discharge(2, 7).expect("readable"), Some(past(2, 7)));
        assert_eq!(store.discharge(2, 8).expect("readable"), None);
        let back = store.discharge_rows(1, 60).expect("readable").expect("rows");
        assert_eq!(back.mv, rows().mv);
        assert!(back.heads[0].current_a.is_nan(), "not known stays not known");
        assert_eq!(store.discharge_rows(1, 10).expect("readable"), None, "gone with its record");
    }
}
