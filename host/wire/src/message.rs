//! What messages are made of: duties, readings, identities, findings.

use core::fmt;

/// Share of time that a bypass is on: 0 off … 65,535 fully on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duty(pub u16);

impl Duty {
    /// Bypass off.
    pub const OFF: Self = Self(0);
    /// Bypass fully on.
    pub const FULL: Self = Self(u16::MAX);

    /// From a fraction; outside 0 … 1 it is clamped, NaN is off.
    #[must_use]
    pub fn from_fraction(fraction: f64) -> Self {
        // `as` saturates and maps NaN to 0.
        Self((fraction * f64::from(u16::MAX) + 0.5) as u16)
    }

    /// As a fraction 0 … 1.
    #[must_use]
    pub fn fraction(self) -> f64 {
        f64::from(self.0) / f64::from(u16::MAX)
    }
}

/// What a module says about itself in a READING.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u8);

impl Flags {
    /// Own voltage below the floor: duty refused.
    pub const FLOOR: u8 = 0x01;
    /// Duty reduced because the heat sink is hot.
    pub const DERATED: u8 = 0x02;
    /// The last duty was too old: bypass dropped.
    pub const HOLD_EXPIRED: u8 = 0x04;
    /// Restarted since the last DUTIES.
    pub const RESET: u8 = 0x08;
    /// The temperature comes from the external sensor.
    pub const EXTERNAL_SENSOR: u8 = 0x10;
    /// The temperature sensor is broken.
    pub const SENSOR_FAULT: u8 = 0x20;
    /// The address button is pressed.
    pub const BUTTON: u8 = 0x40;
    /// Measuring resistance: duty refused.
    pub const MEASURING: u8 = 0x80;

    /// These flags with `flag` set.
    #[must_use]
    pub const fn with(self, flag: u8) -> Self {
        Self(self.0 | flag)
    }

    /// True when every bit of `flag` is set.
    #[must_use]
    pub const fn has(self, flag: u8) -> bool {
        self.0 & flag == flag
    }

    /// The temperature sensor is broken.
    #[must_use]
    pub const fn sensor_fault(self) -> bool {
        self.has(Self::SENSOR_FAULT)
    }
}

/// A module's measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Number of the SAMPLE that it belongs to.
    pub sample: u8,
    /// Block voltage, mV.
    pub voltage_mv: u16,
    /// Temperature, 0.1 °C.
    pub temperature_dc: i16,
    /// Duty that was applied before the sample, 255 = fully on.
    pub duty: u8,
    /// State of the module.
    pub flags: Flags,
}

/// Who a station is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Type code, of a block module or a [`DeviceKind`](crate::DeviceKind).
    pub type_code: u8,
    /// Hardware revision.
    pub hardware: u8,
    /// Firmware version, major and minor.
    pub firmware: (u8, u8),
    /// Serial number.
    pub serial: u32,
}

/// A station that answered a search, an offer or its assignment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Serial number: the only thing that two stations never share.
    pub serial: u32,
    /// Its address; 0 while it has none.
    pub address: u16,
    /// Type code.
    pub type_code: u8,
    /// Hardware revision.
    pub hardware: u8,
}

/// How a module's resistance measurement stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resistance {
    /// Not measured since reset.
    #[default]
    None,
    /// Under way.
    Measuring,
    /// Internal resistance of the block, µΩ.
    Done(u32),
    /// Outside the module's range, or disturbed.
    Failed,
}

/// Why a frame with a right check sum is still not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageError {
    /// Not of this protocol version, or the other direction.
    Kind(u8),
    /// Payload length does not fit the kind.
    Length {
        /// Its kind.
        kind: u8,
        /// Its payload length.
        len: usize,
    },
    /// Address or count out of range.
    Range {
        /// Its kind.
        kind: u8,
        /// Its address.
        address: u16,
    },
    /// A field has a value that this protocol version does not know.
    Value {
        /// Its kind.
        kind: u8,
    },
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind(kind) => write!(f, "unknown message kind {kind:#04x}"),
            Self::Length { kind, len } => {
                write!(f, "message kind {kind:#04x} with a payload of {len} bytes")
            }
            Self::Range { kind, address } => {
                write!(f, "message kind {kind:#04x} for address {address} is out of range")
            }
            Self::Value { kind } => {
                write!(f, "message kind {kind:#04x} with a value that means nothing")
            }
        }
    }
}

impl core::error::Error for MessageError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duty_clamps() {
        assert_eq!(Duty::from_fraction(f64::NAN), Duty::OFF);
        assert_eq!(Duty::from_fraction(-3.0), Duty::OFF);
        assert_eq!(Duty::from_fraction(7.0), Duty::FULL);
        assert!((Duty::from_fraction(0.25).fraction() - 0.25).abs() < 1e-4);
    }
}
