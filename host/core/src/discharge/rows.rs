//! The course of a discharge in bounded memory.
//!
//! A row is one scan: time, current, mean temperature, and every block's
//! voltage. When the memory is full, neighbouring rows between the beginning
//! and the newest quarter become one, over spans that double until an eighth
//! of the memory is free again. Of two rows the lower voltage of each block
//! stays, so every block's minimum is exact however long the discharge lasts;
//! the beginning (the scans before, and the coup de fouet) and the end are
//! never touched. Rows of different parts are not mixed while that can be helped.

use super::head::{Part, RowHead, StoredHead};
use super::record::RecordId;
use serde::{Deserialize, Serialize};

/// Rows kept as scanned after the discharge began.
const HEAD_ROWS: usize = 30;
/// A buffer with fewer rows could not keep beginning and end.
pub const ROWS_MIN: usize = 64;
/// The finest span over which rows are merged, ms.
const SPAN_MIN_MS: i64 = 500;
/// The longest: later than any discharge.
const SPAN_MAX_MS: i64 = 1 << 50;

/// Some rows, as they lie in the recorder.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Chunk<'a> {
    /// Whose rows.
    pub id: RecordId,
    /// Changes when older rows were merged: what was read before no longer
    /// fits, read again from row 0.
    pub revision: u32,
    /// Number of the first row, from 0.
    pub from_row: u32,
    /// Rows that there are now.
    pub rows: u32,
    /// One per row.
    pub heads: &'a [StoredHead],
    /// Row after row, every block's voltage, mV; 0: no reading.
    pub mv: &'a [u16],
}

impl Chunk<'_> {
    /// What its rows say of the whole string.
    pub fn heads(&self) -> impl ExactSizeIterator<Item = RowHead> {
        self.heads.iter().map(|head| RowHead::from(*head))
    }
}

/// A [`Chunk`] at the reader's end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OwnedChunk {
    /// See [`Chunk::id`].
    pub id: RecordId,
    /// See [`Chunk::revision`].
    pub revision: u32,
    /// See [`Chunk::from_row`].
    pub from_row: u32,
    /// See [`Chunk::rows`].
    pub rows: u32,
    /// See [`Chunk::heads`].
    pub heads: Vec<RowHead>,
    /// See [`Chunk::mv`].
    pub mv: Vec<u16>,
}

/// Rows that fit into so many bytes of memory, the ring before the discharge
/// included: what to give [`Recorder::new`](super::Recorder::new). Never below
/// what a recorder needs.
#[must_use]
pub fn rows_within(bytes: usize, blocks: usize, before_rows: u16) -> usize {
    let row = size_of::<StoredHead>() + blocks * size_of::<u16>();
    (bytes / row).saturating_sub(before_rows.into()).max(ROWS_MIN)
}

/// At most so many bytes does a chunk take in front of its rows, lengths included.
const CHUNK_HEAD_BYTES: usize = 40;

/// At most so many bytes does a row take in a chunk encoded by postcard.
const fn row_wire_bytes(blocks: usize) -> usize {
    // 10 + 4 + 4 + 5 + 1 for the head, a varint of 3 bytes for a voltage.
    24 + 3 * blocks
}

/// The buffer.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    blocks: usize,
    rows_max: usize,
    heads: Vec<StoredHead>,
    mv: Vec<u16>,
    /// Rows at the beginning that stay as they are.
    keep: usize,
    pub(super) revision: u32,
}

impl Rows {
    pub(super) fn new(blocks: usize, rows_max: usize) -> Self {
        let rows_max = rows_max.max(ROWS_MIN);
        Self {
            blocks,
            rows_max,
            heads: Vec::with_capacity(rows_max),
            mv: Vec::with_capacity(rows_max * blocks),
            keep: 0,
            revision: 0,
        }
    }

    /// Begin a record with what the ring holds.
    pub(super) fn begin(&mut self, ring: &Ring, start_ms: i64) {
        self.heads.clear();
        self.mv.clear();
        self.revision = 0;
        let spare = self.rows_max / 8;
        for (head, mv) in ring.iter().skip(ring.len.saturating_sub(spare)) {
            let offset_ms = head.offset_ms - start_ms;
            self.heads.push(RowHead { offset_ms, ..head }.into());
            self.mv.extend_from_slice(mv);
        }
        self.keep = self.heads.len() + HEAD_ROWS.min(spare);
    }

    /// One more row. `mv` has one voltage per block.
    pub(super) fn push(&mut self, head: RowHead, mv: &[u16]) {
        if self.heads.len() == self.rows_max {
            self.make_room();
        }
        self.heads.push(head.into());
        self.mv.extend_from_slice(mv);
    }

    pub(super) fn chunk(&self, id: RecordId, from_row: usize, bytes_max: usize) -> Chunk<'_> {
        let from = from_row.min(self.heads.len());
        let fit = bytes_max.saturating_sub(CHUNK_HEAD_BYTES) / row_wire_bytes(self.blocks);
        let to = from.saturating_add(fit).min(self.heads.len());
        Chunk {
            id,
            revision: self.revision,
            from_row: from as u32,
            rows: self.heads.len() as u32,
            heads: &self.heads[from..to],
            mv: &self.mv[from * self.blocks..to * self.blocks],
        }
    }

    /// Bytes that the buffer holds for good.
    pub(super) fn bytes(&self) -> usize {
        self.heads.capacity() * size_of::<StoredHead>() + self.mv.capacity() * size_of::<u16>()
    }

    fn make_room(&mut self) {
        let last = self.rows_max - self.rows_max / 4;
        let wanted = (last - self.keep).saturating_sub(self.rows_max / 8).max(1);
        let (mut span_ms, mut across) = (SPAN_MIN_MS, false);
        while self.groups(last, span_ms, across) > wanted {
            // Mains that came and went every few scans: parts do not matter any more.
            across = span_ms >= SPAN_MAX_MS;
            span_ms = if across { i64::MAX } else { span_ms * 2 };
        }
        self.merge(last, span_ms, across);
        self.revision = self.revision.wrapping_add(1);
    }

    /// Rows that would be left of those up to `last`.
    fn groups(&self, last: usize, span_ms: i64, across: bool) -> usize {
        let mut first: Option<RowHead> = None;
        let mut count = 0;
        for head in self.heads[self.keep..last].iter().map(|head| RowHead::from(*head)) {
            if !first.is_some_and(|f| joins(&f, &head, span_ms, across)) {
                first = Some(head);
                count += 1;
            }
        }
        count
    }

    fn merge(&mut self, last: usize, span_ms: i64, across: bool) {
        let blocks = self.blocks;
        let mut to = self.keep;
        // Stored once it is whole: a mean is not rounded at every scan.
        let mut group = RowHead::from(self.heads[to]);
        for from in self.keep + 1..self.heads.len() {
            let head = RowHead::from(self.heads[from]);
            let own = from * blocks..(from + 1) * blocks;
            if from < last && joins(&group, &head, span_ms, across) {
                group = merged(&group, &head);
                let (low, high) = self.mv.split_at_mut(own.start);
                let kept = &mut low[to * blocks..(to + 1) * blocks];
                for (kept, other) in kept.iter_mut().zip(&high[..blocks]) {
                    *kept = lower(*kept, *other);
                }
            } else {
                self.heads[to] = group.into();
                (to, group) = (to + 1, head);
                self.mv.copy_within(own, to * blocks);
            }
        }
        self.heads[to] = group.into();
        self.heads.truncate(to + 1);
        self.mv.truncate((to + 1) * blocks);
    }
}

fn joins(first: &RowHead, row: &RowHead, span_ms: i64, across: bool) -> bool {
    row.offset_ms.saturating_sub(first.offset_ms) < span_ms && (across || first.part == row.part)
}

fn merged(first: &RowHead, second: &RowHead) -> RowHead {
    let (n, m) = (first.scans as f32, second.scans as f32);
    let mean = |a: f32, b: f32| match (a.is_nan(), b.is_nan()) {
        (true, _) => b,
        (_, true) => a,
        _ => (a * n + b * m) / (n + m),
    };
    RowHead {
        current_a: mean(first.current_a, second.current_a),
        temperature_c: mean(first.temperature_c, second.temperature_c),
        scans: first.scans.saturating_add(second.scans),
        ..*first
    }
}

/// The lower of two readings, of which 0 is none.
fn lower(a: u16, b: u16) -> u16 {
    match (a, b) {
        (0, x) | (x, 0) => x,
        (a, b) => a.min(b),
    }
}

/// The last scans before a discharge. Offsets count from the boot.
#[derive(Clone, Debug)]
pub(super) struct Ring {
    blocks: usize,
    heads: Vec<StoredHead>,
    mv: Vec<u16>,
    next: usize,
    len: usize,
}

impl Ring {
    pub(super) fn new(blocks: usize, rows: usize) -> Self {
        let empty = RowHead {
            offset_ms: 0,
            current_a: f32::NAN,
            temperature_c: f32::NAN,
            scans: 0,
            part: Part::Before,
        };
        Self {
            blocks,
            heads: vec![empty.into(); rows],
            mv: vec![0; rows * blocks],
            next: 0,
            len: 0,
        }
    }

    pub(super) fn clear(&mut self) {
        (self.next, self.len) = (0, 0);
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn push(&mut self, head: RowHead, mv: &[u16]) {
        let Some(place) = self.heads.get_mut(self.next) else { return };
        *place = head.into();
        self.mv[self.next * self.blocks..][..self.blocks].copy_from_slice(mv);
        self.next = (self.next + 1) % self.heads.len();
        self.len = (self.len + 1).min(self.heads.len());
    }

    /// Oldest first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (RowHead, &[u16])> {
        let rows = self.heads.len();
        (0..self.len).map(move |i| {
            let at = (self.next + rows - self.len + i) % rows;
            (self.heads[at].into(), &self.mv[at * self.blocks..][..self.blocks])
        })
    }

    pub(super) fn bytes(&self) -> usize {
        self.heads.capacity() * size_of::<StoredHead>() + self.mv.capacity() * size_of::<u16>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Nanos;
    use proptest::prelude::*;

    const ID: RecordId = RecordId { start: Nanos(7) };

    fn row(offset_ms: i64, part: Part) -> RowHead {
        RowHead { offset_ms, current_a: -10.0, temperature_c: f32::NAN, scans: 1, part }
    }

    fn begun(blocks: usize, rows: usize) -> Rows {
        let mut rows = Rows::new(blocks, rows);
        rows.begin(&Ring::new(blocks, 0), 0);
        rows
    }

    #[test]
    fn ring_goes_in_front_with_negative_offsets() {
        let mut ring = Ring::new(1, 4);
        for s in 0..6 {
            ring.push(row(s * 1000, Part::Before), &[s as u16 + 1]);
        }
        let mut rows = Rows::new(1, 64);
        rows.begin(&ring, 6_000);
        let chunk = rows.chunk(ID, 0, 10_000);
        assert_eq!(chunk.mv, [3, 4, 5, 6]);
        assert_eq!(chunk.heads().next().map(|h| h.offset_ms), Some(-4_000));
    }

    #[test]
    fn beginning_and_end_stay_as_scanned() {
        let mut rows = begun(1, 256);
        for s in 0..100_000i64 {
            rows.push(row(s * 1000, Part::Discharge), &[20_000 - (s % 7) as u16]);
        }
        let heads: Vec<_> = rows.chunk(ID, 0, usize::MAX).heads().collect();
        assert!(heads[..30].iter().enumerate().all(|(i, h)| h.offset_ms == i as i64 * 1000));
        let end = &heads[heads.len() - 64..];
        assert!(
            end.iter().rev().enumerate().all(|(i, h)| h.offset_ms == 99_999_000 - i as i64 * 1000)
        );
        assert!(heads.is_sorted_by_key(|h| h.offset_ms));
        assert_eq!(heads.iter().map(|h| u64::from(h.scans)).sum::<u64>(), 100_000);
        let widest = heads.windows(2).map(|w| w[1].offset_ms - w[0].offset_ms).max();
        assert!(widest < Some(2_100_000), "even resolution in the old part: {widest:?}");
    }

    #[test]
    fn chunks_are_bounded_and_make_the_whole() {
        let mut rows = begun(3, 64);
        for s in 0..50 {
            rows.push(row(s * 1000, Part::Discharge), &[u16::MAX, s as u16, u16::MAX]);
        }
        let (mut got, mut mv) = (0, Vec::new());
        while got < rows.heads.len() {
            let chunk = rows.chunk(ID, got, 400);
            let bytes = postcard::to_allocvec(&chunk).expect("encodes");
            assert!(bytes.len() <= 400, "{}", bytes.len());
            let chunk: OwnedChunk = postcard::from_bytes(&bytes).expect("the same shape");
            assert_eq!(chunk.from_row as usize, got);
            got += chunk.heads.len();
            mv.extend(chunk.mv);
        }
        assert_eq!(mv, rows.mv);
        assert!(rows.chunk(ID, usize::MAX, 400).heads.is_empty());
    }

    proptest! {
        #[test]
        fn minima_survive_whatever_the_clock_and_the_mains_do(
            scans in proptest::collection::vec((0i64..100_000, 0u16..=u16::MAX, 0u16..9, any::<bool>()), 1..600),
            rows_max in 0usize..100,
        ) {
            let mut rows = begun(2, rows_max);
            let memory = rows.bytes();
            let mut least = [0, 0];
            let mut offset_ms = 0;
            for (dt, a, b, on) in scans {
                offset_ms += dt;
                least = [lower(least[0], a), lower(least[1], b)];
                rows.push(row(offset_ms, if on { Part::Discharge } else { Part::After }), &[a, b]);
            }
            let mut got = [0, 0];
            for mv in rows.mv.chunks(2) {
                got = [lower(got[0], mv[0]), lower(got[1], mv[1])];
            }
            prop_assert_eq!(got, least);
            prop_assert_eq!(rows.bytes(), memory);
            prop_assert_eq!(rows.mv.len(), rows.heads.len() * 2);
        }
    }
}
