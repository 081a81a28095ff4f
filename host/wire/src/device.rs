//! Devices that are no block modules: what each kind has, and the one IO
//! message that carries it (facts/battery-science.md §1.2).

/// Most analog channels of a device.
pub const CHANNELS_MAX: usize = 8;
/// Analog value at full scale: 10 V, 20 mA, or a current sensor's range.
pub const FULL_SCALE: i16 = 32_000;
/// Analog value of a channel that measured nothing.
pub const NO_VALUE: i16 = i16::MIN;

/// What a device is, by the type code of its identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeviceKind {
    /// Hall sensor, ±50 A.
    Current50,
    /// Hall sensor, ±200 A.
    Current200,
    /// Hall sensor, ±400 A.
    Current400,
    /// Hall sensor, ±500 A.
    Current500,
    /// Hall sensor, ±1,000 A.
    Current1000,
    /// Hall sensor, ±1,500 A.
    Current1500,
    /// Hall sensor, ±2,000 A.
    Current2000,
    /// Auxiliary module of a string: 4 inputs, 4 relays; trips breakers.
    Aux,
    /// Site I/O: 8 inputs, 8 analog inputs, 8 relays.
    Site,
    /// Sensor manager: 8 analog inputs, 4 inputs, 4 outputs.
    Sensor,
    /// The bus converter with its alarm relay, buzzer, button and lamps, and
    /// the two ends of the bus ring.
    Panel,
}

impl DeviceKind {
    /// All kinds, for tables and tests.
    pub const ALL: [Self; 11] = [
        Self::Current50,
        Self::Current200,
        Self::Current400,
        Self::Current500,
        Self::Current1000,
        Self::Current1500,
        Self::Current2000,
        Self::Aux,
        Self::Site,
        Self::Sensor,
        Self::Panel,
    ];

    /// Type code in an IDENTITY and in a FOUND.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Current50 => 80,
            Self::Current200 => 81,
            Self::Current400 => 82,
            Self::Current500 => 83,
            Self::Current1000 => 84,
            Self::Current1500 => 85,
            Self::Current2000 => 86,
            Self::Aux => 96,
            Self::Site => 97,
            Self::Sensor => 98,
            Self::Panel => 99,
        }
    }

    /// The kind with a type code.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// Current at [`FULL_SCALE`], A; `None` for what is no current sensor.
    #[must_use]
    pub const fn full_scale_a(self) -> Option<u16> {
        match self {
            Self::Current50 => Some(50),
            Self::Current200 => Some(200),
            Self::Current400 => Some(400),
            Self::Current500 => Some(500),
            Self::Current1000 => Some(1_000),
            Self::Current1500 => Some(1_500),
            Self::Current2000 => Some(2_000),
            Self::Aux | Self::Site | Self::Sensor | Self::Panel => None,
        }
    }

    /// Number of digital inputs, bit 0 the first.
    #[must_use]
    pub const fn inputs(self) -> u8 {
        match self {
            Self::Aux | Self::Sensor => 4,
            Self::Site => 8,
            Self::Panel => 1,
            _ => 0,
        }
    }

    /// Number of outputs, bit 0 the first.
    #[must_use]
    pub const fn outputs(self) -> u8 {
        match self {
            Self::Aux | Self::Sensor | Self::Panel => 4,
            Self::Site => 8,
            _ => 0,
        }
    }

    /// Number of analog channels.
    #[must_use]
    pub const fn channels(self) -> u8 {
        match self {
            Self::Site | Self::Sensor => 8,
            Self::Aux | Self::Panel => 0,
            _ => 1,
        }
    }

    /// The bits of [`Self::outputs`].
    #[must_use]
    pub const fn output_mask(self) -> u16 {
        (1 << self.outputs()) - 1
    }
}

/// Inputs and outputs of a [`DeviceKind::Panel`], as bits.
pub mod panel {
    /// Input: the mute button. Shown for 2 s at least, also of a short press.
    pub const MUTE: u16 = 0x01;
    /// Output: the alarm relay. On = picked up = no alarm.
    pub const ALARM_RELAY: u16 = 0x01;
    /// Output: the buzzer.
    pub const BUZZER: u16 = 0x02;
    /// Output: the red lamp.
    pub const RED: u16 = 0x04;
    /// Output: the green lamp.
    pub const GREEN: u16 = 0x08;
}

/// What a device says about itself in an IO message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IoFlags(pub u8);

impl IoFlags {
    /// Restarted since the last OUTPUTS.
    pub const RESET: u8 = 0x01;
    /// The last OUTPUTS was too old: everything not kept was released.
    pub const HOLD_EXPIRED: u8 = 0x02;
    /// Panel: what it sends into end A does not arrive at end B.
    pub const LOOP_OPEN: u8 = 0x04;
    /// Panel: only one end of the ring is fed.
    pub const ONE_END: u8 = 0x08;
    /// The address button is pressed.
    pub const BUTTON: u8 = 0x40;

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
}

/// State of a device's inputs and outputs at a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Io {
    /// Number of the SAMPLE that it belongs to.
    pub sample: u8,
    /// Digital inputs, bit set = active (contact closed).
    pub inputs: u16,
    /// Outputs as they are, bit set = on.
    pub outputs: u16,
    /// State of the device.
    pub flags: IoFlags,
    /// How many of `analog` there are.
    pub channels: u8,
    /// Analog channels: [`FULL_SCALE`] is full scale, [`NO_VALUE`] none; 0
    /// beyond `channels`.
    pub analog: [i16; CHANNELS_MAX],
}

impl Io {
    /// A channel as a fraction of full scale; `None` when it measured nothing,
    /// is overdriven or does not exist.
    #[must_use]
    pub fn fraction(&self, channel: usize) -> Option<f32> {
        let value = *self.analog.get(..self.channels.into())?.get(channel)?;
        // 2 % above full scale the converter saturates.
        let saturated = value.unsigned_abs() > FULL_SCALE.unsigned_abs() / 50 * 51;
        (!saturated).then(|| f32::from(value) / f32::from(FULL_SCALE))
    }
}

/// What the outputs of a device shall be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outputs {
    /// Bit set = on.
    pub on: u16,
    /// Bit set = stays as it is when the commands stop; the others are
    /// released then.
    pub keep: u16,
}

/// Which ends of the bus ring a panel feeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ends {
    /// Both: normal service.
    #[default]
    Both,
    /// The first end only.
    A,
    /// The second end only.
    B,
}

impl Ends {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::A => 1,
            Self::B => 2,
            Self::Both => 3,
        }
    }

    pub(crate) const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::A),
            2 => Some(Self::B),
            3 => Some(Self::Both),
            _ => None,
        }
    }
}

/// What the lamp of a module or device shall show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Led {
    /// What it shows by itself.
    #[default]
    Normal,
    /// "Here I am": red and green in turn.
    Locate,
    /// Red.
    Alarm,
}

impl Led {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Normal => 0,
            Self::Locate => 1,
            Self::Alarm => 2,
        }
    }

    pub(crate) const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Normal),
            1 => Some(Self::Locate),
            2 => Some(Self::Alarm),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_come_back() {
        for kind in DeviceKind::ALL {
            assert_eq!(DeviceKind::from_code(kind.code()), Some(kind));
            assert!(usize::from(kind.channels()) <= CHANNELS_MAX);
        }
        assert_eq!(DeviceKind::from_code(20), None, "a block module");
        assert_eq!(DeviceKind::Site.output_mask(), 0xFF);
    }

    #[test]
    fn a_channel_is_a_fraction_or_nothing() {
        let mut analog = [0; CHANNELS_MAX];
        analog[..3].copy_from_slice(&[-16_000, NO_VALUE, i16::MAX]);
        let io =
            Io { sample: 0, inputs: 0, outputs: 0, flags: IoFlags::default(), channels: 3, analog };
        let fractions: [Option<f32>; 4] = core::array::from_fn(|i| io.fraction(i));
        assert_eq!(fractions, [Some(-0.5), None, None, None]);
        assert_eq!(Io { channels: 200, ..io }.fraction(0), None, "hostile");
    }
}
