//! What a discharge record says: the tables for people (PRODUCT row B11).
//!
//! Offsets are seconds since the first scan of the discharge. What was never
//! measured is `None`; what was measured carries when, so that a reading that
//! was missed at the end is seen to be older than the end.

use super::signature::CollapseCause;
use crate::time::Nanos;
use serde::{Deserialize, Serialize};

/// Names a record while the guard runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordId {
    /// Monotonic time of the first scan of the discharge.
    #[serde(with = "nanos")]
    pub start: Nanos,
}

/// Where a record stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// No discharge was recorded yet.
    #[default]
    None,
    /// The string feeds the load.
    Discharge,
    /// Mains are back, recording goes on.
    After,
    /// Complete.
    Finished,
}

/// Why a record is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// The string is at float again.
    Float,
    /// It was watched for as long as the settings say.
    Time,
    /// Not one block could be read for ten minutes.
    Lost,
}

impl End {
    /// For people.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Float => "back at float",
            Self::Time => "watched for the time set",
            Self::Lost => "all readings lost",
        }
    }
}

/// A block voltage and when it was read.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// V.
    pub v: f32,
    /// Since the start of the discharge, s; negative before it.
    pub at_s: f32,
}

/// How and when a block collapsed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Collapse {
    /// The first scan in which it was, s since the start of the discharge.
    pub at_s: f32,
    /// Its voltage in that scan.
    pub v: f32,
    /// How.
    pub cause: CollapseCause,
    /// Place in the order of collapse, 1 is the first.
    pub order: u16,
}

/// A block through the discharge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BlockDischarge {
    /// The last reading before the discharge.
    pub before: Option<Reading>,
    /// The first in it.
    pub start: Option<Reading>,
    /// The last before mains returned.
    pub end: Option<Reading>,
    /// The lowest in the discharge, coup de fouet included.
    pub min: Option<Reading>,
    /// The first once mains were back for the time set.
    pub after: Option<Reading>,
    /// When it collapsed, if it did.
    pub collapse: Option<Collapse>,
    /// Scans of the discharge in which it had no good reading.
    pub missing: u32,
}

/// A discharge of one string, running or finished.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DischargeRecord {
    /// Its name.
    pub id: RecordId,
    /// Where it stands.
    pub stage: Stage,
    /// Why it is complete.
    pub ended: Option<End>,
    /// Wall-clock time of the start, seconds since 1970 UTC, if the clock was set.
    pub wall_start_s: Option<u64>,
    /// Recording began when the discharge was under way (the guard started in
    /// it): start voltages and charge drawn are those since then.
    pub joined_late: bool,
    /// From the first scan of the discharge to the last before mains
    /// returned, interruptions included, s.
    pub duration_s: f64,
    /// Charge drawn while the current was known, Ah; `None` without a sensor.
    pub drawn_ah: Option<f64>,
    /// Energy drawn while current and voltage were known, Wh.
    pub drawn_wh: Option<f64>,
    /// Mean power in that time, W.
    pub mean_w: Option<f64>,
    /// For how long the current was known, s.
    pub metered_s: f64,
    /// Charge drawn over capacity, 0 … 1 and more.
    pub depth: Option<f64>,
    /// Times that mains returned and failed again.
    pub interruptions: u16,
    /// Stretches of the discharge longer than 90 s without a scan.
    pub gaps: u16,
    /// Scans in the discharge.
    pub scans: u32,
    /// Blocks that collapsed.
    pub collapsed: u16,
    /// One per block, in the string's order.
    pub blocks: Vec<BlockDischarge>,
}

impl DischargeRecord {
    /// Blocks that collapsed, from 0, the first to collapse first.
    pub fn order_of_collapse(&self) -> impl Iterator<Item = (usize, Collapse)> + '_ {
        (1..=self.collapsed).filter_map(|order| {
            let mut blocks = self.blocks.iter().enumerate();
            blocks.find_map(|(i, b)| b.collapse.filter(|c| c.order == order).map(|c| (i, c)))
        })
    }

    /// Forget everything but the room for the blocks.
    pub(super) fn reset(&mut self, id: RecordId) {
        let mut blocks = core::mem::take(&mut self.blocks);
        blocks.fill(BlockDischarge::default());
        *self = Self { id, stage: Stage::Discharge, blocks, ..Self::default() };
    }
}

mod nanos {
    //! Monotonic time as its number.
    use crate::time::Nanos;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(time: &Nanos, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(time.0)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Nanos, D::Error> {
        u64::deserialize(from).map(Nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_can_be_stored() {
        let reading = Some(Reading { v: 12.5, at_s: -1.0 });
        let collapse = Collapse { at_s: 3.0, v: 9.0, cause: CollapseCause::Cutoff, order: 1 };
        let mut record = DischargeRecord { collapsed: 1, depth: Some(0.5), ..Default::default() };
        record.blocks = vec![
            BlockDischarge { before: reading, ..Default::default() },
            BlockDischarge { collapse: Some(collapse), ..Default::default() },
        ];
        let bytes = postcard::to_allocvec(&record).expect("encodes");
        assert_eq!(postcard::from_bytes(&bytes), Ok(record.clone()));
        assert_eq!(record.order_of_collapse().collect::<Vec<_>>(), [(1, collapse)]);
        record.reset(RecordId { start: Nanos(3) });
        assert_eq!(record.blocks, [BlockDischarge::default(); 2]);
    }
}
