//! What the guard publishes once per cycle: a [`Snapshot`] of everything it
//! knows. These types are the layout of the process image; changing one means
//! a new [`VERSION`](super::VERSION).

use crate::battery::ModuleKind;
use crate::battery_test;
use crate::bus::topology::Cable;
use crate::bus::wire::{Duty, Flags, Found};
use crate::discharge::DischargeRecord;
use crate::equalize;
use crate::equalize::schedule::Scheduled;
use crate::estimate::StringEstimate;
use crate::health::{BlockHealth, HealthReport};
use crate::points::Quality;
use crate::protect::{self, Annunciation, Level};
use crate::scan::Phase;
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    /// A sensor, contact or relay device on a bus does not answer.
    DeviceLost = 64,
}

impl Condition {
    /// All conditions.
    pub const ALL: [Self; 7] = [
        Self::PortLost,
        Self::SettingsFallback,
        Self::NotRealTime,
        Self::NotLocked,
        Self::NotConfined,
        Self::WatchdogLost,
        Self::DeviceLost,
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
            Self::DeviceLost => "a sensor or relay device on a bus does not answer",
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StringRecord {
    /// What it is doing.
    pub phase: Phase,
    /// It sinks although it is not discharged: the charger is off.
    pub charger_off: bool,
    /// Current sensor and voltages contradict each other.
    pub sensor_disagrees: bool,
    /// Whether its schedule pauses equalization.
    pub schedule: Scheduled,
    /// Current, A, positive into the batteries.
    pub current_a: Option<f64>,
    /// Voltage of the whole string by an input of its own, V.
    pub voltage_v: Option<f64>,
    /// Air temperature near it, °C.
    pub ambient_c: Option<f64>,
    /// Cells of the block that protection, estimators and recorder reckon
    /// with; a block of another number of cells is converted.
    pub reference_cells: u8,
    /// Block, from 0, whose resistance is being measured.
    pub measuring: Option<u16>,
    /// Equalization.
    pub equalize: equalize::Report,
    /// Protection, with a set of findings per block.
    pub protect: protect::Report,
    /// State of charge, capacity and runtime, with an estimate per block.
    pub estimate: StringEstimate,
    /// Health, with a judgement per block.
    pub health: HealthReport,
    /// The present or last discharge, with a row per block.
    pub discharge: Option<DischargeRecord>,
    /// The blocks, in its order.
    pub blocks: Vec<BlockRecord>,
}

impl StringRecord {
    /// A string of which nothing is known yet.
    #[must_use]
    pub fn new(blocks: Vec<BlockRecord>) -> Self {
        let count = blocks.len();
        Self {
            phase: Phase::Unknown,
            charger_off: false,
            sensor_disagrees: false,
            schedule: Scheduled::No,
            current_a: None,
            voltage_v: None,
            ambient_c: None,
            reference_cells: 6,
            measuring: None,
            equalize: equalize::Report::default(),
            protect: protect::Report::new(count),
            estimate: StringEstimate::unknown(count),
            health: HealthReport {
                blocks: vec![BlockHealth::UNKNOWN; count],
                ..HealthReport::default()
            },
            discharge: None,
            blocks,
        }
    }
}

/// One block.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockRecord {
    /// Bus of its module, from 1.
    pub bus: u8,
    /// Bus address of its module.
    pub address: u16,
    /// Type of its module.
    pub module: ModuleKind,
    /// Its cells.
    pub cells: u8,
    /// Voltage, mV; meaningful when `quality` is not bad.
    pub voltage_mv: u16,
    /// Temperature, 0.1 °C; meaningful when its quality is not bad.
    pub temperature_dc: i16,
    /// Duty that was sent last.
    #[serde(with = "duty")]
    pub duty: Duty,
    /// Bypass current that the module drew before the last sample, A.
    pub bypass_a: f32,
    /// Flags of the module.
    #[serde(with = "flags")]
    pub flags: Flags,
    /// Quality of the voltage.
    pub quality: Quality,
    /// Quality of the temperature.
    pub temperature_quality: Quality,
    /// What is wrong, if anything.
    pub fault: Fault,
    /// When the reading was taken; zero when there never was one.
    pub read: Nanos,
    /// Serial number of the module; zero while unknown.
    pub serial: u32,
    /// Internal resistance as last measured, mΩ, and when.
    pub resistance: Option<(f32, Nanos)>,
    /// Its target and what is done about it.
    pub equalize: equalize::BlockReport,
}

impl Default for BlockRecord {
    fn default() -> Self {
        Self {
            bus: 1,
            address: 0,
            module: ModuleKind::C20,
            cells: 6,
            voltage_mv: 0,
            temperature_dc: 0,
            duty: Duty::OFF,
            bypass_a: 0.0,
            flags: Flags::default(),
            quality: Quality::Bad,
            temperature_quality: Quality::Bad,
            fault: Fault::NeverSeen,
            read: Nanos(0),
            serial: 0,
            resistance: None,
            equalize: equalize::BlockReport::default(),
        }
    }
}

/// One bus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BusRecord {
    /// Its port is closed or gone.
    pub lost: bool,
    /// Line time of a cycle in which everybody answers, over the cycle.
    pub utilisation: f32,
    /// Frames with a wrong check sum or broken framing.
    pub bad_frames: u64,
    /// Good frames that nobody had asked for.
    pub unexpected_frames: u64,
    /// Replies that did not come.
    pub missed_replies: u64,
    /// Addresses, the first ones, that spoke and are not configured; 0: none.
    pub strangers: [u16; 4],
    /// How its cable is.
    pub cable: Cable,
    /// What somebody has it do.
    pub work: BusWork,
    /// Stations found by the last discovery, by serial number.
    pub found: Vec<StationRecord>,
}

/// Work on a bus that a person began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum BusWork {
    /// None.
    #[default]
    None,
    /// Searching all stations.
    Discovering {
        /// Searches so far.
        searches: u32,
    },
    /// A discovery came to its end.
    Discovered {
        /// It was given up: more stations than possible, or a line that
        /// garbles everything.
        incomplete: bool,
        /// Serial numbers that cannot be told apart.
        unclear: u8,
    },
    /// Giving addresses by button.
    Addressing {
        /// Address that the next button gets.
        next: u16,
        /// Places that are done.
        done: u16,
        /// All places.
        of: u16,
        /// What happened last.
        note: AddressNote,
    },
    /// All addresses were given.
    Addressed {
        /// How many.
        count: u16,
    },
    /// Asking a ring from both ends.
    LocatingBreak,
}

/// What happened last while addresses are given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AddressNote {
    /// No button was pressed yet.
    #[default]
    Waiting,
    /// The place before got its station.
    Taken,
    /// A station with that address answers already.
    InUse,
    /// The button of another sort of station was pressed.
    WrongType,
    /// The button of a station that already got its address was pressed.
    AlreadyAddressed,
    /// Two buttons at once.
    TwoButtons,
    /// The station did not confirm.
    NotConfirmed,
}

impl AddressNote {
    /// For people.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Waiting => "press the button of the next module",
            Self::Taken => "the module took its address; press the button of the next one",
            Self::InUse => "another module answers to this address already",
            Self::WrongType => "this type of module does not belong here",
            Self::AlreadyAddressed => "this module has already got its address",
            Self::TwoButtons => "two buttons were pressed at once; press one again",
            Self::NotConfirmed => "the module did not confirm its address; press its button again",
        }
    }
}

/// A station that a discovery found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StationRecord {
    /// Serial number.
    pub serial: u32,
    /// Bus address; 0: none was given.
    pub address: u16,
    /// Type code.
    pub type_code: u8,
    /// Hardware revision.
    pub hardware: u8,
}

impl From<Found> for StationRecord {
    fn from(found: Found) -> Self {
        let Found { serial, address, type_code, hardware } = found;
        Self { serial, address, type_code, hardware }
    }
}

/// One device.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeviceRecord {
    /// Its bus, from 1.
    pub bus: u8,
    /// Its bus address.
    pub address: u16,
    /// Type code of what it is meant to be.
    pub type_code: u8,
    /// Quality of everything below.
    pub quality: Quality,
    /// It says that it is something else.
    pub wrong_kind: bool,
    /// When it was read; zero when never.
    pub read: Nanos,
    /// Serial number; zero while unknown.
    pub serial: u32,
    /// Digital inputs, bit set: contact closed.
    pub inputs: u16,
    /// Outputs as they are, bit set: on.
    pub outputs: u16,
    /// Outputs as they shall be.
    pub commanded: u16,
    /// Analogue inputs on their scale (A for a current sensor); NaN: none.
    pub values: [f32; 8],
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
    /// The fault that is kept under this number in the history; `None` for one of
    /// a newer program.
    #[must_use]
    pub fn of_code(code: u8) -> Option<Self> {
        const ALL: [Fault; 7] = [
            Fault::None,
            Fault::NeverSeen,
            Fault::Silent,
            Fault::VoltageOutOfRange,
            Fault::TemperatureInvalid,
            Fault::WrongType,
            Fault::Unidentified,
        ];
        ALL.into_iter().find(|fault| *fault as u8 == code)
    }

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
    /// What the box shows: alarm relay, buzzer, lamps.
    pub annunciation: Annunciation,
    /// The worst level of everything.
    pub level: Level,
    /// The buses.
    pub buses: Vec<BusRecord>,
    /// The devices, in the settings' order.
    pub devices: Vec<DeviceRecord>,
    /// The battery tests, in the settings' order.
    pub tests: Vec<battery_test::Report>,
    /// The strings, at most [`super::STRINGS_MAX`].
    pub strings: Vec<StringRecord>,
}

impl Snapshot {
    /// The blocks of string `index` (from 0); empty when there is no such string.
    #[must_use]
    pub fn blocks_of(&self, index: usize) -> &[BlockRecord] {
        self.strings.get(index).map_or(&[], |s| &s.blocks)
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
