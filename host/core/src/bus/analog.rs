//! From an analog channel of a site or sensor manager to a value with a unit:
//! 0 … 10 V, 0 … 20 mA and 4 … 20 mA (facts/battery-science.md §1.2).

use super::wire::Io;
use serde::{Deserialize, Serialize};

/// Below this a 4 … 20 mA loop is broken, above the upper one its transmitter
/// reports a failure, mA (NAMUR NE 43).
const BROKEN_MA: f32 = 3.6;
const FAILED_MA: f32 = 21.0;
/// Full scale of a current and of a voltage input.
const FULL_MA: f32 = 20.0;
/// An input may read this much of its range beyond its ends before the value
/// is no value: tolerances of transmitter and converter.
const TOLERANCE: f32 = 0.02;

/// How a channel is wired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Signal {
    /// 0 … 10 V.
    #[serde(rename = "0-10V")]
    Volts0To10,
    /// 0 … 20 mA.
    #[serde(rename = "0-20mA")]
    Milliamps0To20,
    /// 4 … 20 mA: a broken wire is noticed.
    #[serde(rename = "4-20mA")]
    Milliamps4To20,
}

/// What a channel means.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// How it is wired.
    pub signal: Signal,
    /// Value at the signal's lower end, in the unit of the sensor.
    pub low: f32,
    /// Value at the signal's upper end; less than `low` if the sensor falls.
    pub high: f32,
}

/// Why a channel has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AnalogFault {
    /// There is no such channel, or the device measured nothing.
    NoMeasurement,
    /// Less than 3.6 mA: a broken wire, or no supply.
    BrokenWire,
    /// Beyond the signal's ends.
    OutOfRange,
}

impl Scale {
    /// What is wrong with it, if anything.
    ///
    /// # Errors
    /// The field and what it must be.
    pub fn check(&self) -> Result<(), &'static str> {
        let is_span = self.low.is_finite() && self.high.is_finite() && self.low != self.high;
        if is_span { Ok(()) } else { Err("low and high must be two different numbers") }
    }

    /// The value of a channel (from 0), in the unit of `low` and `high`.
    ///
    /// # Errors
    /// [`AnalogFault`] when it is no value.
    pub fn value(&self, io: &Io, channel: usize) -> Result<f32, AnalogFault> {
        let fraction = io.fraction(channel).ok_or(AnalogFault::NoMeasurement)?;
        let share = match self.signal {
            Signal::Volts0To10 | Signal::Milliamps0To20 => fraction,
            Signal::Milliamps4To20 => {
                let ma = fraction * FULL_MA;
                if ma < BROKEN_MA {
                    return Err(AnalogFault::BrokenWire);
                }
                if ma > FAILED_MA {
                    return Err(AnalogFault::OutOfRange);
                }
                (ma - 4.0) / 16.0
            }
        };
        // Between 3.6 and 4 mA is still the lower end.
        let is_loop = self.signal == Signal::Milliamps4To20;
        if !is_loop && !(-TOLERANCE..=1.0 + TOLERANCE).contains(&share) {
            return Err(AnalogFault::OutOfRange);
        }
        Ok(self.low + share.clamp(0.0, 1.0) * (self.high - self.low))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::wire::{CHANNELS_MAX, FULL_SCALE, IoFlags, NO_VALUE};

    fn io(value: i16) -> Io {
        let analog = [value; CHANNELS_MAX];
        Io { sample: 1, inputs: 0, outputs: 0, flags: IoFlags::default(), channels: 8, analog }
    }

    /// A signal in V or mA as the device sends it.
    fn of(signal: f32, full: f32) -> Io {
        io((signal / full * f32::from(FULL_SCALE)).round() as i16)
    }

    #[test]
    fn volts_and_milliamperes_are_scaled() {
        let humidity = Scale { signal: Signal::Volts0To10, low: 0.0, high: 100.0 };
        let value = humidity.value(&of(4.5, 10.0), 0).expect("a value");
        assert!((value - 45.0).abs() < 0.01);
        let celsius = Scale { signal: Signal::Milliamps4To20, low: -20.0, high: 60.0 };
        for (ma, wanted) in [(4.0, -20.0), (12.0, 20.0), (20.0, 60.0), (3.8, -20.0), (20.3, 60.0)] {
            let value = celsius.value(&of(ma, 20.0), 7).expect("a value");
            assert!((value - wanted).abs() < 0.01, "{ma} mA: {value}");
        }
        let falling = Scale { signal: Signal::Milliamps0To20, low: 10.0, high: 0.0 };
        let value = falling.value(&of(5.0, 20.0), 0).expect("a value");
        assert!((value - 7.5).abs() < 0.01);
    }

    #[test]
    fn no_value_is_shown_for_a_broken_wire_or_a_wild_signal() {
        let celsius = Scale { signal: Signal::Milliamps4To20, low: -20.0, high: 60.0 };
        assert_eq!(celsius.value(&of(3.5, 20.0), 0), Err(AnalogFault::BrokenWire));
        assert_eq!(celsius.value(&io(NO_VALUE), 0), Err(AnalogFault::NoMeasurement));
        assert_eq!(celsius.value(&io(0), 8), Err(AnalogFault::NoMeasurement));
        let volts = Scale { signal: Signal::Volts0To10, low: 0.0, high: 1.0 };
        assert_eq!(volts.value(&of(-0.5, 10.0), 0), Err(AnalogFault::OutOfRange));
        assert!(Scale { high: f32::NAN, ..volts }.check().is_err() && volts.check().is_ok());
    }
}
