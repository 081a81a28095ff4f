//! History: what is kept of the past, and how it is written down (PRODUCT rows
//! B12, B13).
//!
//! # Data
//! Of each string a *row* is taken every 20 minutes, faster after events, every
//! second while it feeds the load ([`pace`]): a [`Head`] that says what holds for
//! the whole string, and a [`Record`] per block. Of a day of rows a *sheet* is
//! made: a column of heads and a column per block, compressed, each with its own
//! check sum. Sheets of hours and of days (lowest, mean, highest) are made of
//! them ([`level`]), so that a year is read in a few pages; [`chart`] brings rows
//! together to as many points as a screen has.
//!
//! What UPSes, devices and sensors say is kept beside the strings, a [`series`] per
//! point: a row every five minutes and at every leap, one an hour of what stays
//! the same.
//!
//! # Seams
//! Pure, like all of core. The daemon's store keeps columns under their [`Key`]
//! and the newest rows as *groups*; when the rows of a day are complete it
//! folds them into a sheet, and sheets into coarser ones. Who reads gets rows
//! out of columns by iterators that need no memory ([`Heads::block`]).
//!
//! # Why so
//! Measured on simulated strings with the noise of real modules (bytes per
//! record of a floating block; `cargo xtask bench --only history` tells today's figures):
//!
//! - A block's voltage is foretold by the mean of its string and by how far it
//!   was above it before: what is left is the noise of the reading. Time stamps,
//!   means and currents stand once per string.
//! - Adaptive binary range coding with good priors: bits that never change cost
//!   nothing, a Gaussian of 1 mV costs its 2 bits, and there are no parameters.
//!   Rice codes pay a whole bit for each of nine values.
//! - The duty is the dearest value, since the control law turns a millivolt of
//!   noise into percents: half a percent is kept.
//! - A column per block: one block's year is read without the others, and one
//!   damaged column is one block's day.
//!
//! # Bytes of a column
//! Numbers *n* are LEB128 (seven bits a byte, lowest first), the others
//! little-endian; CRC-32 is that of ISO-HDLC (zlib's).
//!
//! | column of heads | |
//! |---|---|
//! | 1 byte | 0x10: version 1, heads |
//! | *n* | rows, at most 86,400 |
//! | *n* | blocks, at most 4,096 |
//! | *n* | time of the first row, ms since 1970 UTC |
//! | … | stream: the heads |
//! | 4 bytes | CRC-32 of: level (1 byte), period (4), string (2), part (2), all bytes before |
//!
//! | column of a block | |
//! |---|---|
//! | 1 byte | 0x11: version 1, block; 0x21: version 2, with lowest and highest of resistance, charge and capacity |
//! | … | stream: the records |
//! | 4 bytes | CRC-32 of: the CRC-32 of the heads (4), block counted from 0 (8), all bytes before |
//!
//! | group | |
//! |---|---|
//! | 1 byte | 0x12: version 1, group; 0x22: version 2, as of a block |
//! | *n* | string, counted from 1 |
//! | *n*, *n*, *n* | rows, blocks, time of the first row |
//! | … | stream: the heads, then the records of each block, with one set of models |
//! | 4 bytes | CRC-32 of all bytes before |
//!
//! Version 2 is written where the three are not one reading: of hours and days. Of what
//! programs before it summed up, hours and days have the last resistance and capacity
//! and the lowest charge. Of every other number each level has lowest, mean and highest.
//!
//! A *stream* is written by the range coder of `range.rs`, its numbers as in
//! `number.rs`, its values in the order of `column.rs`; their priors are in
//! these files, too. Those three are the rest of the document: a reader is 300
//! lines in any language (`tests/e2e/peers/evkhist.py` is one, which was written from
//! it alone).
//!
//! # An exported file
//! | | |
//! |---|---|
//! | 8 bytes | `EVKHIST2`; `EVKHIST1` of older programs, without points |
//! | frames | level (1), period (4), string (2; 0: of a point), part (2), block (2; 0: heads, blocks from 1), length (4), the column |
//! | end | 0xff, number of columns (8), CRC-32 of all bytes before (4), 0, 0 |
//!
//! The heads of a sheet come before its blocks. Of a point, part and block are 0,
//! and before the column ([`series`]) stands its name: length (1), bytes. Level 0 has a record per row and
//! a day per period, level 1 hours and 8 days, level 2 days and 128 days;
//! periods count from 1970-01-01 UTC.

pub mod chart;
pub mod codec;
mod column;
pub mod csv;
pub mod file;
pub mod level;
mod number;
pub mod pace;
mod range;
pub mod record;
pub mod ring;
pub mod series;

pub use chart::{Chart, Point};
pub use codec::{Damage, GroupFront, Heads, Place, Records};
pub use file::Key;
pub use level::Level;
pub use pace::{Happening, Pace};
pub use record::{Head, PhaseCode, Record, Row, Sheet, Span};
pub use ring::{Ring, Spread};
pub use series::Series;
