//! What the equalizer knows of a string before it measures anything.

use crate::battery::{BatteryType, ModuleKind};
use crate::time::Nanos;

/// A block above this temperature is left alone, °C, unless configured otherwise.
pub const HOT_C: f64 = 45.0;

/// A string.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Its blocks in order. They may differ in nominal voltage and capacity,
    /// not in chemistry: the first block's counts for the string.
    pub blocks: Vec<BlockConfig>,
    /// Time between two steps.
    pub cycle: Nanos,
    /// Equalize at all.
    pub enabled: bool,
    /// Equalize in boost charge too.
    pub boost_allowed: bool,
    /// A block above this temperature is left alone, °C.
    pub hot_c: f64,
}

/// A block and its module.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockConfig {
    /// Module on the block.
    pub module: ModuleKind,
    /// What the block is.
    pub battery: BatteryType,
    /// The temperature comes from the sensor inside the module, which the
    /// module's own heat reaches.
    pub internal_sensor: bool,
}

impl Config {
    /// A string of equal blocks, with external sensors.
    #[must_use]
    pub fn uniform(blocks: usize, module: ModuleKind, battery: &BatteryType, cycle: Nanos) -> Self {
        let block = BlockConfig { module, battery: battery.clone(), internal_sensor: false };
        Self {
            blocks: vec![block; blocks],
            cycle,
            enabled: true,
            boost_allowed: false,
            hot_c: HOT_C,
        }
    }

    /// Cells of each block, for arithmetic.
    #[must_use]
    pub fn cells(&self) -> Vec<f64> {
        self.blocks.iter().map(|b| b.battery.cells_f64()).collect()
    }
}
