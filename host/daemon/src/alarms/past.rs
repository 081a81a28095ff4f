//! The past of values for the preview of thresholds: what the history keeps,
//! as the core wants it. Whoever keeps the history implements [`History`].

use crate::store::{Store, StoreError};
use evenkeel_core::alarm::preview::Past;
use evenkeel_core::alarm::{Place, Quantity};
use evenkeel_core::history::SampleView;
use evenkeel_core::points::Quality;
use evenkeel_core::scan::Phase;

/// Something that remembers values.
pub trait History {
    /// The quantities that are kept; the past of others is not known.
    const KEPT: &'static [Quantity];

    /// Every kept value since `from_ms` (ms since 1970), by time. `cells` says
    /// how many cells a block has (string and block from 1); blocks that are
    /// not there any more are left out.
    ///
    /// # Errors
    /// When the history cannot be read.
    fn each_past(
        &self,
        from_ms: u64,
        cells: &dyn Fn(u16, u16) -> Option<u8>,
        each: &mut dyn FnMut(Past),
    ) -> Result<(), StoreError>;
}

impl History for Store {
    const KEPT: &'static [Quantity] =
        &[Quantity::BlockVoltage, Quantity::BlockDeviation, Quantity::BlockTemperature];

    fn each_past(
        &self,
        from_ms: u64,
        cells: &dyn Fn(u16, u16) -> Option<u8>,
        each: &mut dyn FnMut(Past),
    ) -> Result<(), StoreError> {
        self.samples_since(from_ms, |unix_ms, string, sample| {
            of_sample(unix_ms, string, sample, cells, each);
        })
    }
}

fn of_sample(
    unix_ms: u64,
    string: u16,
    sample: SampleView<'_>,
    cells: &dyn Fn(u16, u16) -> Option<u8>,
    each: &mut dyn FnMut(Past),
) {
    let target_v = sample.target_mv().map(|mv| f64::from(mv) / 1e3);
    for index in 0..sample.blocks() {
        let number = crate::plant::number(index);
        let (Some(block), Some(cells)) = (sample.block(index), cells(string, number)) else {
            continue;
        };
        if !matches!(block.quality, Quality::Good | Quality::Estimated) {
            continue;
        }
        let place = Place::Block(string, number);
        let cells = f64::from(cells.max(1));
        let volts = f64::from(block.voltage_mv) / 1e3;
        let mut put = |quantity, value| {
            // What the string did then is not kept.
            let phase = Phase::Unknown;
            each(Past { unix_ms, place: place.clone(), quantity, value, phase });
        };
        put(Quantity::BlockVoltage, volts / cells);
        if let Some(target_v) = target_v {
            put(Quantity::BlockDeviation, (volts - target_v) / cells);
        }
        put(Quantity::BlockTemperature, f64::from(block.temperature_dc) / 10.0);
    }
}
