//! The register map as data: which point stands where, and how it is written.
//! Layout version [`LAYOUT`]; what is here does not move, new things take
//! addresses that are free. The README's tables are made from this.

use crate::value::Kind::{
    Age, Constant, F32, Flag, Gap, I16, I32, Level, NonEmpty, Phase, Quality, Says, Seconds, U16,
    U32, UpsStatus,
};
use crate::value::{Bit, Kind};

/// Counts up when something is added.
pub const LAYOUT: u16 = 1;
/// Strings, and unit numbers.
pub const STRINGS: u16 = 32;
/// Blocks of a string.
pub const BLOCKS: u16 = 512;
/// UPSes.
pub const UPSES: u16 = 8;

/// Where the points of a section are; its entries count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// `guard`
    Guard,
    /// `string.<entry>`
    String,
    /// `ups.<entry − 1>`
    Ups,
    /// `string.<unit>.block.<entry>`
    Block,
}

impl Root {
    /// The subtree of an entry, for the unit that was asked.
    #[must_use]
    pub fn name(self, entry: u16, unit: u8) -> String {
        match self {
            Self::Guard => "guard".to_owned(),
            Self::String => format!("string.{entry}"),
            Self::Ups => format!("ups.{}", entry - 1),
            Self::Block => format!("string.{unit}.block.{entry}"),
        }
    }
}

/// Registers that belong to one kind of thing.
#[derive(Debug)]
pub struct Section {
    /// What it is about.
    pub title: &'static str,
    /// Address of its first entry.
    pub base: u16,
    /// Registers of an entry.
    pub stride: u16,
    /// Entries.
    pub entries: u16,
    /// Where its points are.
    pub root: Root,
    /// What stands in an entry, by offset. What no row names reads as 0xFFFF.
    pub rows: &'static [Row],
}

/// One value of an entry.
#[derive(Debug)]
pub struct Row {
    /// Registers from the entry's beginning.
    pub offset: u16,
    /// The point below the entry's root; empty for none.
    pub point: &'static str,
    /// How it is written.
    pub kind: Kind,
    /// What it is, for the manual.
    pub meaning: &'static str,
}

const fn row(offset: u16, point: &'static str, kind: Kind, meaning: &'static str) -> Row {
    Row { offset, point, kind, meaning }
}

/// All registers, by address. Reading with function 3 and 4 is the same.
pub static SECTIONS: &[Section] = &[
    Section {
        title: "The appliance",
        base: 2_000,
        stride: 50,
        entries: 1,
        root: Root::Guard,
        rows: APPLIANCE,
    },
    Section {
        title: "Pause of equalization, string 1 to 32",
        base: 2_100,
        stride: 1,
        entries: STRINGS,
        root: Root::String,
        rows: PAUSE,
    },
    Section {
        title: "Measurement of a block, string 1 to 32",
        base: 2_150,
        stride: 1,
        entries: STRINGS,
        root: Root::String,
        rows: MEASURE,
    },
    Section {
        title: "String 1 to 32",
        base: 3_000,
        stride: 50,
        entries: STRINGS,
        root: Root::String,
        rows: STRING,
    },
    Section {
        title: "UPS 0 to 7",
        base: 5_000,
        stride: 50,
        entries: UPSES,
        root: Root::Ups,
        rows: UPS,
    },
    Section {
        title: "Block 1 to 512 of the unit's string",
        base: 10_000,
        stride: 20,
        entries: BLOCKS,
        root: Root::Block,
        rows: BLOCK,
    },
    Section {
        title: "Voltages of all blocks of the unit's string",
        base: 22_000,
        stride: 1,
        entries: BLOCKS,
        root: Root::Block,
        rows: VOLTAGES,
    },
    Section {
        title: "Temperatures of all blocks of the unit's string",
        base: 23_000,
        stride: 1,
        entries: BLOCKS,
        root: Root::Block,
        rows: TEMPERATURES,
    },
    Section {
        title: "Quality of the voltages of all blocks of the unit's string",
        base: 24_000,
        stride: 1,
        entries: BLOCKS,
        root: Root::Block,
        rows: QUALITIES,
    },
];

const APPLIANCE: &[Row] = &[
    row(0, "", Constant(LAYOUT), "layout version of this map"),
    row(1, "", Seconds, "heartbeat: seconds since the start, modulo 65,536"),
    row(2, "status", Level, "worst of everything: 0 ok, 1 notice, 2 warning, 3 alarm"),
    row(3, "status", Quality, "quality of the status"),
    row(4, "status", Age, "age of the status, s"),
    row(5, "alarm-relay", Flag, "general alarm relay picked up: healthy"),
    row(6, "buzzer", Flag, "buzzer sounding"),
    row(7, "deadline-misses", U32(1.0), "cycles whose commands left too late"),
];

const PAUSE: &[Row] = &[row(
    0,
    "inhibit",
    Says("paused by a user"),
    "1 while paused by a user; write: seconds of a pause, 0 ends it",
)];

const MEASURE: &[Row] =
    &[row(0, "", Gap, "write: the block of which to measure the internal resistance")];

const STRING: &[Row] = &[
    row(0, "voltage", U32(1e3), "sum of the block voltages, mV"),
    row(2, "current", I32(1e3), "current, positive into the batteries, mA"),
    row(4, "ambient", I16(10.0), "ambient temperature, 0.1 °C"),
    row(5, "charge", U16(10.0), "state of charge, 0.1 %"),
    row(6, "health", U16(10.0), "state of health of the weakest block, 0.1 %"),
    row(7, "capacity", U16(10.0), "capacity, 0.1 Ah"),
    row(8, "runtime", U32(1.0), "time to the end of the discharge, s"),
    row(10, "status", Level, "worst of string and blocks: 0 ok, 1 notice, 2 warning, 3 alarm"),
    row(11, "phase", Phase, "0 unknown, 1 float, 2 boost, 3 discharge, 4 recharge"),
    row(12, "deviation", I16(1e3), "deviation of the block farthest from its target, mV"),
    row(13, "bypass.commanded", U16(100.0), "mean bypass that is asked for, 0.01 %"),
    row(14, "target", U16(1e3), "mean of the blocks' targets, mV"),
    row(15, "trip", NonEmpty, "1 while tripped"),
    row(16, "voltage", Quality, "quality of the voltage"),
    row(17, "voltage", Age, "age of the voltage, s"),
    row(18, "current", Quality, "quality of the current"),
    row(19, "charge", Quality, "quality of the state of charge"),
    row(20, "voltage", F32, "sum of the block voltages, V"),
    row(22, "current", F32, "current, A"),
    row(24, "ambient", F32, "ambient temperature, °C"),
    row(26, "charge", F32, "state of charge, %"),
    row(28, "health", F32, "state of health, %"),
    row(30, "capacity", F32, "capacity, Ah"),
    row(32, "runtime", F32, "time to the end of the discharge, s"),
];

const UPS: &[Row] = &[
    row(0, "ups.status", UpsStatus, "status bits, see below"),
    row(1, "ups.status", Quality, "quality of the status: stale while the UPS does not answer"),
    row(2, "ups.status", Age, "age of the status, s"),
    row(3, "input.voltage", U16(10.0), "input voltage, 0.1 V"),
    row(4, "input.frequency", U16(100.0), "input frequency, 0.01 Hz"),
    row(5, "output.voltage", U16(10.0), "output voltage, 0.1 V"),
    row(6, "ups.load", U16(10.0), "load, 0.1 %"),
    row(7, "battery.charge", U16(10.0), "charge of the UPS battery, 0.1 %"),
    row(8, "battery.voltage", U16(100.0), "battery voltage as the UPS reports it, 0.01 V"),
    row(9, "battery.runtime", U32(1.0), "runtime left, s"),
    row(11, "ups.temperature", I16(10.0), "temperature in the UPS, 0.1 °C"),
    row(12, "input.voltage", Quality, "quality of the input voltage"),
    row(13, "input.voltage", Age, "age of the input voltage, s"),
    row(14, "battery.charge", Quality, "quality of the charge"),
    row(20, "input.voltage", F32, "input voltage, V"),
    row(22, "input.frequency", F32, "input frequency, Hz"),
    row(24, "output.voltage", F32, "output voltage, V"),
    row(26, "ups.load", F32, "load, %"),
    row(28, "battery.charge", F32, "charge, %"),
    row(30, "battery.voltage", F32, "battery voltage, V"),
    row(32, "ups.temperature", F32, "temperature, °C"),
];

const BLOCK: &[Row] = &[
    row(0, "voltage", U16(1e3), "voltage, mV"),
    row(1, "temperature", I16(10.0), "temperature, 0.1 °C"),
    row(2, "resistance", U32(1e3), "internal resistance, µΩ"),
    row(4, "bypass.commanded", U16(100.0), "bypass that is asked for, 0.01 %"),
    row(5, "bypass", U16(1e3), "bypass current, mA"),
    row(6, "status", Level, "0 ok, 1 notice, 2 warning, 3 alarm"),
    row(7, "deviation", I16(1e3), "voltage less target, mV"),
    row(8, "charge", U16(10.0), "state of charge, 0.1 %"),
    row(9, "health", U16(10.0), "state of health, 0.1 %"),
    row(10, "voltage", Quality, "quality of the voltage"),
    row(11, "temperature", Quality, "quality of the temperature"),
    row(12, "resistance", Quality, "quality of the resistance"),
    row(13, "voltage", Age, "age of the voltage, s"),
    row(14, "voltage", F32, "voltage, V"),
    row(16, "temperature", F32, "temperature, °C"),
    row(18, "resistance", F32, "internal resistance, mΩ"),
];

const VOLTAGES: &[Row] = &[row(0, "voltage", U16(1e3), "voltage, mV")];
const TEMPERATURES: &[Row] = &[row(0, "temperature", I16(10.0), "temperature, 0.1 °C")];
const QUALITIES: &[Row] = &[row(0, "voltage", Quality, "quality of the voltage")];

/// Bits that belong to one kind of thing: one per entry.
#[derive(Debug)]
pub struct Bits {
    /// Address of the first.
    pub base: u16,
    /// How many.
    pub entries: u16,
    /// Where the points are.
    pub root: Root,
    /// The point below the root; empty for none.
    pub point: &'static str,
    /// When it is 1.
    pub bit: Bit,
    /// What it is, for the manual.
    pub meaning: &'static str,
}

const fn bits(
    base: u16,
    entries: u16,
    root: Root,
    point: &'static str,
    bit: Bit,
    meaning: &'static str,
) -> Bits {
    Bits { base, entries, root, point, bit, meaning }
}

/// Discrete inputs, by address, function 2. Those between read as 0.
pub static INPUTS: &[Bits] = &[
    bits(0, 1, Root::Guard, "status", Bit::AtLeast(3), "an alarm somewhere"),
    bits(1, 1, Root::Guard, "status", Bit::AtLeast(2), "a warning or an alarm somewhere"),
    bits(2, 1, Root::Guard, "buzzer", Bit::True, "buzzer sounding"),
    bits(3, 1, Root::Guard, "alarm-relay", Bit::True, "general alarm relay picked up: healthy"),
    bits(4, 1, Root::Guard, "status", Bit::Fresh, "the guard answers"),
    bits(100, STRINGS, Root::String, "status", Bit::AtLeast(3), "alarm of string 1 to 32"),
    bits(
        150,
        STRINGS,
        Root::String,
        "status",
        Bit::AtLeast(2),
        "warning or alarm of string 1 to 32",
    ),
    bits(200, STRINGS, Root::String, "trip", Bit::NonEmpty, "string 1 to 32 is tripped"),
    bits(
        250,
        STRINGS,
        Root::String,
        "phase",
        Bit::Says("discharge"),
        "string 1 to 32 feeds the load",
    ),
    bits(300, UPSES, Root::Ups, "ups.status", Bit::Word("OB"), "UPS 0 to 7 is on battery"),
    bits(310, UPSES, Root::Ups, "ups.status", Bit::Word("LB"), "battery of UPS 0 to 7 is low"),
    bits(320, UPSES, Root::Ups, "ups.status", Bit::Word("BYPASS"), "UPS 0 to 7 is on bypass"),
    bits(330, UPSES, Root::Ups, "ups.status", Bit::Fresh, "UPS 0 to 7 answers"),
    bits(
        1_000,
        BLOCKS,
        Root::Block,
        "status",
        Bit::AtLeast(2),
        "warning or alarm of block 1 to 512 of the unit's string",
    ),
];

/// A coil: what writing it does.
#[derive(Debug)]
pub struct Coils {
    /// Where it is, and what reading it shows.
    pub bits: Bits,
    /// Command for 1, with its value.
    pub on: (&'static str, Option<&'static str>),
    /// Command for 0; without one, 0 is refused as a value.
    pub off: Option<&'static str>,
}

/// Coils, by address, functions 1, 5 and 15. Those between read as 0 and
/// cannot be written.
pub static COILS: &[Coils] = &[
    Coils {
        bits: bits(0, 1, Root::Guard, "", Bit::Never, "1 silences the buzzer"),
        on: ("beeper.mute", None),
        off: None,
    },
    Coils {
        bits: bits(
            100,
            STRINGS,
            Root::String,
            "inhibit",
            Bit::Says("paused by a user"),
            "1 pauses the equalization of string 1 to 32 for an hour, 0 ends it",
        ),
        on: ("equalization.pause", Some("3600")),
        off: Some("equalization.resume"),
    },
    Coils {
        bits: bits(
            150,
            STRINGS,
            Root::String,
            "inhibit",
            Bit::Says("battery test"),
            "1 begins the battery test of string 1 to 32, 0 ends it",
        ),
        on: ("test.battery.start", None),
        off: Some("test.battery.stop"),
    },
    Coils {
        bits: bits(
            300,
            UPSES,
            Root::Ups,
            "",
            Bit::Never,
            "1 begins the quick battery test of UPS 0 to 7, 0 ends it",
        ),
        on: ("test.battery.start.quick", None),
        off: Some("test.battery.stop"),
    },
    Coils {
        bits: bits(310, UPSES, Root::Ups, "", Bit::Never, "1 mutes the beeper of UPS 0 to 7"),
        on: ("beeper.mute", None),
        off: None,
    },
];
