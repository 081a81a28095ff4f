//! What the guard publishes once per cycle: a [`Snapshot`] of everything it
//! knows. These types are the layout of the process image; changing one means
//! a new [`VERSION`](super::VERSION).

use crate::bus::wire::{Duty, Flags};
use crate::equalize::Inhibits;
use crate::points::Quality;
use crate::time::Nanos;
use serde::{Deserialize, Serialize};

/// Counters and times of the guard's cycle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cycle {
    /// Cycles completed since the guard started.
    pub cycles: u64,
    /// Cycles whose commands left after the cycle's end.
    pub deadline_misses: u64,
    /// Length of a cycle.
    pub period: Nanos,
    /// When this image was published.
    pub published: Nanos,
    /// When the guard started.
    pub started: Nanos,
    /// Duration of the last scan: start of the cycle to end of the last burst.
    pub scan: Nanos,
    /// Time the guard worked in the last cycle, waiting not counted.
    pub work: Nanos,
    /// Frames received with a wrong check sum or broken framing.
    pub bad_frames: u64,
    /// Good frames that nobody had asked for.
    pub unexpected_frames: u64,
    /// Replies that did not come.
    pub missed_replies: u64,
    /// See [`Condition`].
    pub conditions: u64,
    /// Times the bus port was lost and opened again.
    pub port_reopens: u64,
    /// Number of the settings in force (their CRC-32).
    pub settings_crc: u64,
}

/// Conditions of the guard that a person should know about, as bits of
/// [`Cycle::conditions`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Condition {
    /// The bus port is closed or gone.
    PortLost = 1,
    /// The settings file was refused; the last good one is in force.
    SettingsFallback = 2,
    /// No real-time priority: the operating system refused it.
    NotRealTime = 4,
    /// Memory is not locked: the operating system refused it.
    NotLocked = 8,
    /// The guard could not give up all rights that it does not need.
    NotConfined = 16,
    /// The watchdog cannot be opened or fed.
    WatchdogLost = 32,
}

impl Condition {
    /// All conditions.
    pub const ALL: [Self; 6] = [
        Self::PortLost,
        Self::SettingsFallback,
        Self::NotRealTime,
        Self::NotLocked,
        Self::NotConfined,
        Self::WatchdogLost,
    ];

    /// For people.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::PortLost => "battery bus port is closed or gone",
            Self::SettingsFallback => "settings file refused, last good settings in force",
            Self::NotRealTime => "no real-time priority",
            Self::NotLocked => "memory not locked",
            Self::NotConfined => "guard not fully confined",
            Self::WatchdogLost => "watchdog not armed or not taking its feed",
        }
    }
}

/// How late the guard woke up at the start of its cycles: bucket 0 counts
/// below 1 µs, bucket `i` from 2^((i−1)/2) µs on (half octaves, √2 apart), the
/// last one everything from 2^31 µs on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jitter {
    /// Counts per bucket, [`Self::BUCKETS`] of them.
    pub buckets: Vec<u64>,
    /// Largest lateness ever.
    pub max: Nanos,
}

impl Default for Jitter {
    fn default() -> Self {
        Self { buckets: vec![0; Self::BUCKETS], max: Nanos(0) }
    }
}

impl Jitter {
    /// Number of buckets.
    pub const BUCKETS: usize = 64;

    /// Count one wake-up.
    pub fn record(&mut self, late: Nanos) {
        self.max = self.max.max(late);
        let micros = late.0 as f64 / 1e3;
        let index = if micros < 1.0 { 0 } else { (2.0 * micros.log2()) as usize + 1 };
        if let Some(bucket) = self.buckets.get_mut(index.min(Self::BUCKETS - 1)) {
            *bucket += 1;
        }
    }

    /// Upper edge, in µs, of the bucket below which a share `q` (0 … 1) of
    /// the wake-ups lie; 0 when nothing was counted.
    #[must_use]
    pub fn quantile_us(&self, q: f64) -> f64 {
        let total: u64 = self.buckets.iter().sum();
        let wanted = (total as f64 * q).ceil() as u64;
        let mut seen = 0;
        for (i, n) in self.buckets.iter().enumerate() {
            seen += n;
            if seen >= wanted && seen > 0 {
                return (2f64.powf(i as f64 / 2.0)).min(self.max.0 as f64 / 1e3);
            }
        }
        0.0
    }
}

/// One string.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StringRecord {
    /// Index of its first block in the image.
    pub first_block: u16,
    /// Number of its blocks.
    pub blocks: u16,
    /// Target voltage of its blocks, V; NaN when there is none.
    pub target_v: f64,
    /// Sum of the block voltages, V; NaN when a block is missing.
    pub sum_v: f64,
    /// Signed deviation of the usable block farthest from the target, V,
    /// whether it takes part in the target or not; NaN without target.
    pub worst_v: f64,
    /// Why bypasses are off, if they are.
    pub inhibits: Inhibits,
    /// Blocks that take part in the target.
    pub members: u16,
    /// Blocks for which a bypass that is fully on does not suffice.
    pub saturated: u16,
    /// Mean duty of all blocks, 0 … 1.
    pub mean_duty: f64,
}

/// One block.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockRecord {
    /// Bus address of its module.
    pub address: u16,
    /// Voltage, mV; meaningful when `quality` is not bad.
    pub voltage_mv: u16,
    /// Temperature, 0.1 °C.
    pub temperature_dc: i16,
    /// Duty that was sent last.
    #[serde(with = "duty")]
    pub duty: Duty,
    /// Flags of the module.
    #[serde(with = "flags")]
    pub flags: Flags,
    /// Quality of the voltage and of the temperature.
    pub quality: Quality,
    /// What is wrong, if anything.
    pub fault: Fault,
    /// When the reading was taken; zero when there never was one.
    pub read: Nanos,
    /// Serial number of the module; zero while unknown.
    pub serial: u32,
}

impl Default for BlockRecord {
    fn default() -> Self {
        Self {
            address: 0,
            voltage_mv: 0,
            temperature_dc: 0,
            duty: Duty::OFF,
            flags: Flags::default(),
            quality: Quality::Bad,
            fault: Fault::NeverSeen,
            read: Nanos(0),
            serial: 0,
        }
    }
}

/// Why a block's reading is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fault {
    /// Nothing is wrong.
    None,
    /// No reading since the guard started.
    NeverSeen,
    /// The module stopped answering.
    Silent,
    /// Voltage outside the module type's range.
    VoltageOutOfRange,
    /// Temperature sensor broken or out of range.
    TemperatureInvalid,
    /// The module is of another type than the settings say.
    WrongType,
    /// The module answers but has not said yet who it is.
    Unidentified,
}

impl Fault {
    /// For people; empty when nothing is wrong.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::None => "",
            Self::NeverSeen => "module has never answered",
            Self::Silent => "module stopped answering",
            Self::VoltageOutOfRange => "voltage outside the module's range",
            Self::TemperatureInvalid => "temperature sensor broken",
            Self::WrongType => "module of another type than configured",
            Self::Unidentified => "module has not said who it is",
        }
    }
}

/// All that an image says, at one instant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Counters and times.
    pub cycle: Cycle,
    /// Wake-up lateness.
    pub jitter: Jitter,
    /// The strings, at most [`STRINGS_MAX`].
    pub strings: Vec<StringRecord>,
    /// The blocks of all strings, at most [`BLOCKS_MAX`].
    pub blocks: Vec<BlockRecord>,
}

impl Snapshot {
    /// The blocks of string `index` (from 0); empty when there is no such string.
    #[must_use]
    pub fn blocks_of(&self, index: usize) -> &[BlockRecord] {
        let range = self.strings.get(index).map_or(0..0, |s| {
            let first = usize::from(s.first_block);
            first..first + usize::from(s.blocks)
        });
        self.blocks.get(range).unwrap_or(&[])
    }

    /// True when `condition` holds.
    #[must_use]
    pub fn has(&self, condition: Condition) -> bool {
        self.cycle.conditions & condition as u64 != 0
    }
}

/// The bus's own types know nothing of serde.
mod duty {
    use super::{Deserialize, Duty};
    use serde::{Deserializer, Serializer};

    pub fn serialize<S: Serializer>(duty: &Duty, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u16(duty.0)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duty, D::Error> {
        u16::deserialize(from).map(Duty)
    }
}

mod flags {
    use super::{Deserialize, Flags};
    use serde::{Deserializer, Serializer};

    pub fn serialize<S: Serializer>(flags: &Flags, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u8(flags.0)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Flags, D::Error> {
        u8::deserialize(from).map(Flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_quantiles_bound_what_was_counted() {
        let mut jitter = Jitter::default();
        assert_eq!(jitter.quantile_us(0.5), 0.0);
        for _ in 0..999 {
            jitter.record(Nanos(50_000));
        }
        jitter.record(Nanos(3_000_000));
        assert!((50.0..=71.0).contains(&jitter.quantile_us(0.5)), "{}", jitter.quantile_us(0.5));
        assert!(jitter.quantile_us(1.0) >= 2_999.0);
        jitter.record(Nanos(u64::MAX));
        assert_eq!(jitter.buckets[Jitter::BUCKETS - 1], 1);
    }
}
