//! The past of values for the preview of thresholds: what the history keeps,
//! as the core wants it. Whoever keeps the history implements [`History`].

use crate::clock;
use crate::store::history::Whose;
use crate::store::{Store, StoreError};
use evenkeel_core::alarm::preview::Past;
use evenkeel_core::alarm::{Place, Quantity};
use evenkeel_core::health::resistance::at_25_c;
use evenkeel_core::history::level::HOUR_MS;
use evenkeel_core::history::series::SCALE;
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

/// Most points whose past is read: each costs the rows of a month.
const POINTS_MAX: usize = 512;

/// A point that is kept by itself, and what thresholds compare it as.
#[derive(Clone, Debug, PartialEq)]
pub struct Single {
    /// Its name.
    pub name: String,
    /// Of what.
    pub place: Place,
    /// Which.
    pub quantity: Quantity,
}

/// Something that remembers values.
pub trait History {
    /// The quantities of strings and blocks that are kept; the past of others is
    /// not known.
    const KEPT: &'static [Quantity];

    /// Every kept value since `from_ms` (ms since 1970), those of each place by
    /// time: of strings, of blocks, and of these `points`, 512 of them at
    /// most. `known` is asked about blocks (string and block from 1); blocks
    /// that are not there any more are left out.
    ///
    /// # Errors
    /// When the history cannot be read.
    fn each_past(
        &self,
        from_ms: u64,
        known: &dyn Fn(u16, u16) -> Option<Known>,
        points: &[Single],
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
        points: &[Single],
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
        points.iter().take(POINTS_MAX).try_for_each(|point| of_point(self, point, from_ms, each))
    }
}

/// Hands on what is known of a quantity at the instant of a row.
fn putter(
    place: Place,
    head: &Head,
    each: &mut dyn FnMut(Past),
) -> impl FnMut(Quantity, Option<(f64, f64)>) {
    let (phase, unix_ms) = (head.phase.phase(), head.unix_ms);
    move |quantity, values| {
        if let Some((low, high)) = values {
            let (until_ms, place) = (unix_ms, place.clone());
            each(Past { unix_ms, until_ms, place, quantity, low, high, phase });
        }
    }
}

fn of_block(place: Place, head: &Head, record: &Record, known: Known, each: &mut dyn FnMut(Past)) {
    let phase = head.phase.phase();
    let mut put = putter(place, head, each);
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
        let baseline_mohm = known.baseline_mohm?;
        let of = |uohm: u32| {
            let mohm = at_25_c(f64::from(uohm) / 1e3, celsius)?;
            Some((mohm / baseline_mohm - 1.0) * 100.0)
        };
        let span = record.resistance_uohm?;
        Some((of(span.min)?, of(span.max)?))
    };
    put(Quantity::BlockResistance, rise());
    let tenths = |pm: u32| f64::from(pm) / 10.0;
    put(Quantity::BlockCharge, record.charge_pm.map(|span| (tenths(span.min), tenths(span.max))));
}

fn of_string(string: u16, head: &Head, blocks: u16, each: &mut dyn FnMut(Past)) {
    let mut put = putter(Place::String(string), head, each);
    // Without an input of its own, its voltage is that of its blocks; how far
    // those lie apart says nothing about it.
    let sum = head.blocks_mv.map(|span| {
        let volts = f64::from(span.mean) * f64::from(blocks) / 1e3;
        (volts, volts)
    });
    put(Quantity::StringVoltage, head.string_mv.map(|span| range(span, 1e3)).or(sum));
    put(Quantity::StringCurrent, head.current_ma.map(|span| range(span, 1e3)));
}

/// What a UPS, a device or a sensor said: each row holds until the next, or until
/// its hour is over.
fn of_point(
    store: &Store,
    point: &Single,
    from_ms: u64,
    each: &mut dyn FnMut(Past),
) -> Result<(), StoreError> {
    // The row that holds when the time begins is of its hour.
    let times = from_ms.saturating_sub(HOUR_MS)..=clock::unix_ms();
    let mut rows = store.series(&point.name, Level::Raw, &times)?.rows;
    rows.sort_by_key(|row| row.unix_s);
    for (at, row) in rows.iter().enumerate() {
        let next = rows.get(at + 1).map_or(u64::MAX, |next| next.unix_s);
        let until_ms = row.holds_until().min(next) * 1_000;
        let Some(span) = row.value.filter(|_| until_ms > from_ms) else { continue };
        each(Past {
            unix_ms: from_ms.max(row.unix_s * 1_000),
            until_ms,
            place: point.place.clone(),
            quantity: point.quantity,
            low: span.min as f64 / SCALE,
            high: span.max as f64 / SCALE,
            phase: Phase::Unknown,
        });
    }
    Ok(())
}

/// Lowest and highest, in units of which one is `by` steps of the history.
fn range(span: Span, by: f64) -> (f64, f64) {
    (f64::from(span.min) / by, f64::from(span.max) / by)
}
