//! What the estimators publish, and what outlives a restart. Every value has
//! its deviation beside it; NaN is "not known".

use serde::{Deserialize, Serialize};

/// A block, estimated.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockEstimate {
    /// State of charge, 0 … 1.
    pub soc: f32,
    /// Its standard deviation.
    pub soc_sigma: f32,
    /// Capacity at the rated time and 25 °C, Ah.
    pub capacity_ah: f32,
    /// Its standard deviation, Ah.
    pub capacity_sigma_ah: f32,
    /// What this discharge delivers from full to the cut-off, at its load and
    /// temperature, Ah; after it, what it would have delivered. NaN before.
    pub delivers_ah: f32,
    /// Its standard deviation, Ah.
    pub delivers_sigma_ah: f32,
    /// Depth of discharge from which the capacity was learned, 0 … 1; 0:
    /// nothing was learned yet and the capacity is what such blocks have.
    pub learned_depth: f32,
    /// When, seconds since 1970 UTC; 0 while not learned or the clock was not set.
    pub learned_wall_s: u64,
    /// Time to this block's cut-off at the present load, s; NaN if not discharging.
    pub runtime_s: f32,
}

/// A string, estimated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StringEstimate {
    /// Time to the end of the discharge at the present load, s; `None` while
    /// nothing is drawn or no current is measured. It leans to the safe side.
    pub runtime_s: Option<f32>,
    /// The true time is longer than this in nine of ten cases, s.
    pub runtime_low_s: f32,
    /// The true time is shorter than this in nine of ten cases, s.
    pub runtime_high_s: f32,
    /// 1 − half the span from low to high over the runtime, 0 … 1.
    pub runtime_confidence: f32,
    /// The block (from 0) that ends the discharge; `None`: the whole string.
    pub limiting_block: Option<u16>,
    /// Power drawn from the string, W; NaN without current or voltage.
    pub load_w: f32,
    /// The string as if it were one block: state of charge and capacity.
    pub whole: BlockEstimate,
    /// Each block; as the string where it was not measured alone.
    pub blocks: Vec<BlockEstimate>,
}

/// What discharges have taught about a capacity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LearnedCapacity {
    /// Capacity at the rated time and 25 °C, Ah.
    pub capacity_ah: f32,
    /// Its standard deviation, Ah.
    pub sigma_ah: f32,
    /// Depth of the deepest discharge that counted, 0 … 1.
    pub depth: f32,
    /// When the last one ended, seconds since 1970 UTC; 0: clock not set.
    pub wall_s: u64,
    /// The capacity if the current counted not at all, by half, and as much as
    /// in the table: what a discharge taught holds best for its own current.
    /// 0: not known.
    #[serde(default)]
    pub by_strength_ah: [f32; 3],
    /// Standard deviation of each of these, Ah.
    #[serde(default)]
    pub within_ah: f32,
}

/// What a string has learned: kept over a restart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Learned {
    /// Of the string as a whole.
    #[serde(default)]
    pub whole: Option<LearnedCapacity>,
    /// Of each block, in order.
    #[serde(default)]
    pub blocks: Vec<Option<LearnedCapacity>>,
}

impl BlockEstimate {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self {
        soc: f32::NAN,
        soc_sigma: f32::NAN,
        capacity_ah: f32::NAN,
        capacity_sigma_ah: f32::NAN,
        delivers_ah: f32::NAN,
        delivers_sigma_ah: f32::NAN,
        learned_depth: 0.0,
        learned_wall_s: 0,
        runtime_s: f32::NAN,
    };
}

impl StringEstimate {
    /// Nothing is known of a string of so many blocks.
    #[must_use]
    pub fn unknown(blocks: usize) -> Self {
        Self {
            runtime_s: None,
            runtime_low_s: f32::NAN,
            runtime_high_s: f32::NAN,
            runtime_confidence: 0.0,
            limiting_block: None,
            load_w: f32::NAN,
            whole: BlockEstimate::UNKNOWN,
            blocks: vec![BlockEstimate::UNKNOWN; blocks],
        }
    }
}

impl LearnedCapacity {
    /// Whether these are numbers that a block of `rated_ah` can have.
    #[must_use]
    pub fn plausible(&self, rated_ah: f64) -> bool {
        let share = f64::from(self.capacity_ah) / rated_ah;
        (0.05..=2.0).contains(&share)
            && (0.0..=f64::from(self.capacity_ah)).contains(&f64::from(self.sigma_ah))
            && (0.0..=1.5).contains(&self.depth)
            && (0.0..=self.capacity_ah).contains(&self.within_ah)
            && (self.by_strength_ah == [0.0; 3]
                || self
                    .by_strength_ah
                    .iter()
                    .all(|ah| (0.01..=4.0).contains(&(f64::from(*ah) / rated_ah))))
    }
}
