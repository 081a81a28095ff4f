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
    let mut put = |quantity, value: Option<f64>| {
        if let Some(value) = value {
            each(Past { unix_ms, place: place.clone(), quantity, value, phase });
        }
    };
    let fresh = |quality| matches!(quality, Quality::Good | Quality::Estimated);
    let mean = |span: Option<Span>| span.map(|span| f64::from(span.mean));
    let cells = f64::from(known.cells.max(1));
    let volts = mean(record.voltage_mv).filter(|_| fresh(record.quality)).map(|mv| mv / 1e3);
    put(Quantity::BlockVoltage, volts.map(|volts| volts / cells));
    // Away from float there is no target to be held.
    let target = mean(head.target_mv).filter(|_| phase == Phase::Float);
    let deviation = volts.zip(target).map(|(volts, mv)| (volts - mv / 1e3) / cells);
    put(Quantity::BlockDeviation, deviation);
    let celsius = mean(record.temperature_dc).map(|dc| dc / 10.0);
    put(Quantity::BlockTemperature, celsius.filter(|_| fresh(record.temperature_quality)));
    // The alarm takes the median of several readings; here each counts.
    let rise = || {
        let mohm = at_25_c(f64::from(record.resistance_uohm?) / 1e3, celsius?)?;
        Some((mohm / known.baseline_mohm? - 1.0) * 100.0)
    };
    put(Quantity::BlockResistance, rise());
    put(Quantity::BlockCharge, record.charge_pm.map(|pm| f64::from(pm) / 10.0));
}

fn of_string(string: u16, head: &Head, blocks: u16, each: &mut dyn FnMut(Past)) {
    let (place, phase, unix_ms) = (Place::String(string), head.phase.phase(), head.unix_ms);
    let mut put = |quantity, milli: Option<f64>| {
        if let Some(milli) = milli {
            each(Past { unix_ms, place: place.clone(), quantity, value: milli / 1e3, phase });
        }
    };
    let mean = |span: Option<Span>| span.map(|span| f64::from(span.mean));
    // Without an input of its own, its voltage is that of its blocks.
    let sum = mean(head.blocks_mv).map(|mv| mv * f64::from(blocks));
    put(Quantity::StringVoltage, mean(head.string_mv).or(sum));
    put(Quantity::StringCurrent, mean(head.current_ma));
}
