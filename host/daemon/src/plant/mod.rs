//! The plant as the guard last told of it: one process image, the names that
//! belong to it, and whether it is still alive.
//!
//! Here the guard's reports become what readers see: [`points`] gives every
//! value its name, unit, quality and time (list:
//! `evenkeel_core::points::battery`), [`findings`] says what is wrong and where,
//! and [`words`] says it to people.
//!
//! In a string with mixed numbers of cells the reports of protection,
//! estimators and recorder are about a *reference block*; [`scale`] turns its
//! voltages and resistances into those of a block.

mod findings;
mod licensed;
mod points;
#[cfg(test)]
pub mod testing;
pub mod words;

pub use findings::{Finding, findings, unit as finding_unit};
pub use points::{Part, device_status};

use evenkeel_core::image::{BlockRecord, DeviceRecord, Snapshot, StringRecord};
use evenkeel_core::points::{Point, Quality};

/// What the guard measures, as last seen.
#[derive(Clone, Debug, Default)]
pub struct Plant {
    /// The last whole process image.
    pub snapshot: Snapshot,
    /// Names of the strings, in the image's order.
    pub strings: Vec<String>,
    /// Names of the devices, in the image's order.
    pub devices: Vec<String>,
    /// False while the guard does not answer: every value is stale then.
    pub connected: bool,
    /// Per string: its first block over the licence, whose values are not in
    /// here ([`Self::limited`]). Empty: nothing is over.
    pub over: Vec<usize>,
}

impl Plant {
    /// Quality of a block's voltage as a reader should see it now.
    #[must_use]
    pub fn quality(&self, block: &BlockRecord) -> Quality {
        self.seen(block.quality)
    }

    /// Quality of a block's temperature as a reader should see it now.
    #[must_use]
    pub fn temperature_quality(&self, block: &BlockRecord) -> Quality {
        self.seen(block.temperature_quality)
    }

    /// Quality of what a device measures as a reader should see it now.
    #[must_use]
    pub fn device_quality(&self, device: &DeviceRecord) -> Quality {
        self.seen(device.quality)
    }

    /// True while the guard answers and every bus of string `index` (from 0)
    /// has its port.
    #[must_use]
    pub fn live(&self, index: usize) -> bool {
        let lost = |block: &BlockRecord| self.bus_lost(block.bus);
        // Most of the time none is: no block has to be looked at.
        let none_lost = self.snapshot.buses.iter().all(|bus| !bus.lost);
        self.connected && (none_lost || !self.snapshot.blocks_of(index).iter().any(lost))
    }

    /// True when the port of this bus (from 1) is closed or gone.
    #[must_use]
    pub fn bus_lost(&self, bus: u8) -> bool {
        let index = usize::from(bus).checked_sub(1);
        index.and_then(|i| self.snapshot.buses.get(i)).is_some_and(|bus| bus.lost)
    }

    /// Append every point in the subtree `prefix`; the empty prefix is all.
    pub fn points(&self, prefix: &str, out: &mut Vec<(String, Point)>) {
        points::of(self, prefix, out);
    }

    /// The point called `name`, without making the others.
    #[must_use]
    pub fn point(&self, name: &str) -> Option<Point> {
        points::one(self, name)
    }

    /// Append every point in this part, in no order.
    pub fn part(&self, part: &Part<'_>, out: &mut Vec<(String, Point)>) {
        points::part(self, part, out);
    }

    fn seen(&self, quality: Quality) -> Quality {
        match quality {
            Quality::Good | Quality::Estimated if !self.connected => Quality::Stale,
            quality => quality,
        }
    }
}

/// What a voltage or a resistance of the string's reference block is to be
/// multiplied with to be one of `block`.
#[must_use]
pub fn scale(string: &StringRecord, block: &BlockRecord) -> f64 {
    match string.reference_cells {
        0 => 1.0,
        cells => f64::from(block.cells) / f64::from(cells),
    }
}

/// People count from 1.
#[must_use]
pub fn number(index: usize) -> u16 {
    u16::try_from(index + 1).unwrap_or(u16::MAX)
}
