//! The past of values for the preview of thresholds: what the history keeps,
//! as the core wants it. Whoever keeps the history implements [`History`].

use crate::store::history::Whose;
use crate::store::{Store, StoreError};
use evenkeel_core::alarm::preview::Past;
use evenkeel_core::alarm::{Place, Quantity};
use evenkeel_core::health::resistance::at_25_c;
use evenkeel_core::history::{Head, Level, Record, Span};
use evenkeel_core::points::Quality;
use evenkeel_core::scan::Phase;

/// What is known today of a block and was the same in the past.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Known {
    /// Its cells.
    pub cells: u8,
    /// Resistance at 25 °C that its rise is counted from, mΩ.
    pub baseline_mohm: Option<f64>,
}

/// Something that remembers values.
pub trait History {
    /// The quantities that are kept; the past of others is not known.
    const KEPT: &'static [Quantity];

    /// Every kept value since `from_ms` (ms since 1970), those of each place by
    /// time. `known` is asked about blocks (string and block from 1); blocks
    /// that are not there any more are left out.
    ///
    /// # Errors
    /// When the history cannot be read.
    fn each_past(
        &self,
        from_ms: u64,
        known: &dyn Fn(u16, u16) -> Option<Known>,
        each: &mut dyn FnMut(Past),
    ) -> Result<(), StoreError>;
}

impl History for Store {
    const KEPT: &'static [Quantity] = &[
        Quantity::BlockVoltage,
        Quantity::BlockDeviation,
        Quantity::BlockTemperature,
        Quantity::BlockResistance,
        Quantity::BlockCharge,
        Quantity::StringVoltage,
        Quantity::StringCurrent,
    ];

    fn each_past(
        &self,
        from_ms: u64,
        known: &dyn Fn(u16, u16) -> Option<Known>,
        each: &mut dyn FnMut(Past),
    ) -> Result<(), StoreError> {
        let strings = (1..=u16::MAX).take_while(|string| known(*string, 1).is_some());
        for string in strings {
            let blocks = (1..=u16::MAX).map_while(|block| Some((block, known(string, block)?)));
            let mut count = 0;
            for (block, known) in blocks {
                count = block;
                let index = usize::from(block) - 1;
                self.each_record(string, index, from_ms..=u64::MAX, |head, record| {
                    of_block(Place::Block(string, block), head, record, known, each);
                })?;
            }
            let whose = Whose { string, block: None };
            self.past(whose, Level::Raw, from_ms..=u64::MAX, |head, _| {
                of_string(string, head, count, each);
            })?;
        }
        Ok(())
    }
}

fn of_block(place: Place, head: &Head, record: &Record, known: Known, each: &mut dyn FnMut(Past)) {
    let (phase, unix_ms) = (head.phase.phase(), head.unix_ms);
    let mut put = |quantity, values: Option<(f64, f64)>| {
        if let Some((low, high)) = values {
            each(Past { unix_ms, place: place.clone(), quantity, low, high, phase });
        }
    };
    let fresh = |quality| matches!(quality, Quality::Good | Quality::Estimated);
    let per_cell = 1e3 * f64::from(known.cells.max(1));
    let voltage = record.voltage_mv.filter(|_| fresh(record.quality));
    put(Quantity::BlockVoltage, voltage.map(|span| range(span, per_cell)));
    // Away from float there is no target to be held.
    let target = head.target_mv.filter(|_| phase == Phase::Float);
    let deviation = voltage.zip(target).map(|(span, target)| {
        let from_target = |mv: i32| (f64::from(mv) - f64::from(target.mean)) / per_cell;
        (from_target(span.min), from_target(span.max))
    });
    put(Quantity::BlockDeviation, deviation);
    let temperature = record.temperature_dc.filter(|_| fresh(record.temperature_quality));
    put(Quantity::BlockTemperature, temperature.map(|span| range(span, 10.0)));
    // The alarm takes the median of several readings; here each counts.
    let rise = || {
        let celsius = f64::from(record.temperature_dc?.mean) / 10.0;
        let mohm = at_25_c(f64::from(record.resistance_uohm?) / 1e3, celsius)?;
        Some((mohm / known.baseline_mohm? - 1.0) * 100.0)
    };
    let single = |value: f64| (value, value);
    put(Quantity::BlockResistance, rise().map(single));
    put(Quantity::BlockCharge, record.charge_pm.map(|pm| single(f64::from(pm) / 10.0)));
}

fn of_string(string: u16, head: &Head, blocks: u16, each: &mut dyn FnMut(Past)) {
    let (place, phase, unix_ms) = (Place::String(string), head.phase.phase(), head.unix_ms);
    let mut put = |quantity, values: Option<(f64, f64)>| {
        if let Some((low, high)) = values {
            each(Past { unix_ms, place: place.clone(), quantity, low, high, phase });
        }
    };
    // Without an input of its own, its voltage is that of its blocks; how far
    // those lie apart says nothing about it.
    let sum = head.blocks_mv.map(|span| {
        let volts = f64::from(span.mean) * f64::from(blocks) / 1e3;
        (volts, volts)
    });
    put(Quantity::StringVoltage, head.string_mv.map(|span| range(span, 1e3)).or(sum));
    put(Quantity::StringCurrent, head.current_ma.map(|span| range(span, 1e3)));
}

/// Lowest and highest, in units of which one is `by` steps of the history.
fn range(span: Span, by: f64) -> (f64, f64) {
    (f64::from(span.min) / by, f64::from(span.max) / by)
}
