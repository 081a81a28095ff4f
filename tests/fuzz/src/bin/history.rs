//! What is read back of the past: columns and groups with right check sums
//! around any bytes, and exported files.
#![no_main]

use evenkeel_core::history::codec::{Heads, decode};
use evenkeel_core::history::file::{Checked, Checker, FileReader, Piece};
use evenkeel_core::history::series::{Column, group_of, series_of};
use evenkeel_core::history::{Level, Place, Sheet};
use libfuzzer_sys::fuzz_target;

/// Rows per input: more would find nothing more.
const ROWS_MAX: usize = 2_000;
const PLACE: Place = Place { level: Level::Raw, period: 7, string: 1, part: 0 };

fuzz_target!(|data: &[u8]| {
    let (kind, bytes) = data.split_first().unwrap_or((&0, &[]));
    match kind % 4 {
        0 => file(bytes),
        1 => {
            if let Ok((string, sheet)) = Sheet::from_group(&sealed_group(0x12, bytes)) {
                let again = Sheet::from_group(&sheet.to_group(string)).expect("just written");
                assert_eq!(again, (string, sheet.clone()));
                if sheet.records() < ROWS_MAX && !sheet.heads.is_empty() {
                    assert_eq!(decode(PLACE, &sheet.encode(PLACE)), Ok(sheet));
                }
            }
        }
        2 => {
            if let Ok(series) = series_of(&sealed_group(0x14, bytes)) {
                let whole: Vec<_> = series.into_iter().filter(|s| !s.rows.is_empty()).collect();
                let again = series_of(&group_of(&whole)).expect("just written");
                assert_eq!(again.len(), whole.len());
            }
        }
        _ => {
            if let Ok(heads) = Heads::parse(PLACE, bytes) {
                assert!(heads.iter().take(ROWS_MAX).count() <= heads.rows());
            }
        }
    }
});

/// As a forger would write it.
fn sealed_group(kind: u8, bytes: &[u8]) -> Vec<u8> {
    let mut group = [&[kind][..], bytes].concat();
    let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&group);
    group.extend(crc.to_le_bytes());
    group
}

fn file(mut bytes: &[u8]) {
    let (mut reader, mut checker) = (FileReader::default(), Checker::default());
    while reader.needs() > 0 {
        let (piece, rest) = bytes.split_at(reader.needs().min(bytes.len()));
        bytes = rest;
        match reader.take(piece) {
            Ok(Piece::Column(key, column)) => {
                if let Ok(Checked::Block(records)) = checker.check(key, column) {
                    assert!(records.take(ROWS_MAX).count() <= ROWS_MAX);
                }
            }
            Ok(Piece::Point(key, column)) => {
                if let Ok(column) = Column::parse(key.level, key.period, &key.name, column) {
                    assert!(column.rows().count() <= ROWS_MAX);
                }
            }
            Ok(Piece::Front | Piece::End) => {}
            Err(_) => return,
        }
    }
}
