//! A MIB as rows: which object is which point, in which unit, and what can be
//! told to the device. A private MIB is a file with such rows and nothing else.
//!
//! Paths are relative to the base of the MIB; the `.0` of scalars is added
//! when they are asked for.

/// A MIB that this driver knows.
pub(crate) struct Mib {
    /// Its name, for messages.
    pub(crate) name: &'static str,
    /// Beginnings of the sysObjectID of devices that have it.
    pub(crate) recognised_by: &'static [&'static [u32]],
    /// Where it begins.
    pub(crate) base: &'static [u32],
    /// A scalar that every device with this MIB has.
    pub(crate) probe: &'static [u32],
    /// Scalars that are read once after each connection.
    pub(crate) constant: &'static [Object],
    /// Scalars that are read at every poll.
    pub(crate) changing: &'static [Object],
    /// Tables with a row for each phase.
    pub(crate) phases: &'static [Phases],
    /// The table of present alarms.
    pub(crate) alarms: Option<Alarms>,
    /// What can be told to it.
    pub(crate) orders: &'static [Order],
}

/// A scalar.
pub(crate) struct Object {
    /// Path.
    pub(crate) at: &'static [u32],
    /// The points that show it.
    pub(crate) points: &'static [&'static str],
    /// What its value means.
    pub(crate) meaning: Meaning,
}

/// What a value means.
#[derive(Clone, Copy)]
pub(crate) enum Meaning {
    /// Text for people.
    Text,
    /// A number in `unit` after multiplication by `scale`.
    Number(Scale),
    /// Seconds after multiplication by this. Devices that answer in time ticks
    /// mean hundredths of a second, whatever the MIB says.
    Duration(f64),
    /// Seconds that are left of a countdown; -1 when none runs.
    Countdown,
    /// One of these words, shown as it is.
    Word(&'static [(i64, &'static str)]),
    /// Words of `ups.status`.
    Status(&'static [(i64, &'static [Flag])]),
}

/// How a number is written by the device.
#[derive(Clone, Copy)]
pub(crate) struct Scale {
    /// Unit symbol.
    pub(crate) unit: &'static str,
    /// Multiplier.
    pub(crate) by: f64,
    /// Least and greatest value that can be meant.
    pub(crate) range: (f64, f64),
    /// Some firmware counts in tenths of what the MIB says: a value out of
    /// range of which a tenth is within is taken as that, as an estimate.
    pub(crate) or_tenths: bool,
}

/// A word of `ups.status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Flag {
    OnLine,
    OnBattery,
    Off,
    LowBattery,
    Replace,
    Overload,
    Bypass,
    Trim,
    Boost,
    Test,
}

impl Flag {
    /// NUT's word.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::OnLine => "OL",
            Self::OnBattery => "OB",
            Self::Off => "OFF",
            Self::LowBattery => "LB",
            Self::Replace => "RB",
            Self::Overload => "OVER",
            Self::Bypass => "BYPASS",
            Self::Trim => "TRIM",
            Self::Boost => "BOOST",
            Self::Test => "CAL",
        }
    }
}

/// A table with a row for each phase.
pub(crate) struct Phases {
    /// Path of its entry; columns and rows follow.
    pub(crate) at: &'static [u32],
    /// The point that shows how many there are.
    pub(crate) count: &'static str,
    /// Its columns.
    pub(crate) columns: &'static [Column],
}

/// A column of such a table.
pub(crate) struct Column {
    /// Its number.
    pub(crate) number: u32,
    /// The point when there is one phase.
    pub(crate) single: &'static str,
    /// The point when there are several; `#` is the number of the phase. Empty
    /// when the value is the same for all and `single` shows it.
    pub(crate) several: &'static str,
    /// What its value means.
    pub(crate) scale: Scale,
}

/// The table of present alarms.
pub(crate) struct Alarms {
    /// Path of the scalar that counts them.
    pub(crate) count: &'static [u32],
    /// Path of the column that names them.
    pub(crate) column: &'static [u32],
    /// Path below which they are named.
    pub(crate) names: &'static [u32],
    /// What they mean.
    pub(crate) known: &'static [Alarm],
    /// The one that says that the card has lost its UPS.
    pub(crate) unit_lost: u32,
}

/// An alarm.
pub(crate) struct Alarm {
    /// Its number below the names.
    pub(crate) number: u32,
    /// What it adds to `ups.status`.
    pub(crate) flag: Option<Flag>,
    /// What people read in `ups.alarm`; empty for what is a state and no alarm.
    pub(crate) text: &'static str,
}

/// A command: objects that are set together.
pub(crate) struct Order {
    /// NUT's name.
    pub(crate) name: &'static str,
    /// What is set, in this order, in one request.
    pub(crate) set: &'static [(&'static [u32], Set)],
}

/// What an object is set to.
#[derive(Clone, Copy)]
pub(crate) enum Set {
    /// This number.
    Number(i64),
    /// The name of the object at this path.
    Name(&'static [u32]),
    /// The value that it has: an advisory lock (RFC 2579 TestAndIncr). Left
    /// out where the device has none.
    Lock,
}

pub(crate) const fn text(at: &'static [u32], points: &'static [&'static str]) -> Object {
    Object { at, points, meaning: Meaning::Text }
}

pub(crate) const fn number(
    at: &'static [u32],
    points: &'static [&'static str],
    scale: Scale,
) -> Object {
    Object { at, points, meaning: Meaning::Number(scale) }
}

pub(crate) const fn word(
    at: &'static [u32],
    points: &'static [&'static str],
    words: &'static [(i64, &'static str)],
) -> Object {
    Object { at, points, meaning: Meaning::Word(words) }
}

pub(crate) const fn duration(
    at: &'static [u32],
    points: &'static [&'static str],
    seconds: f64,
) -> Object {
    Object { at, points, meaning: Meaning::Duration(seconds) }
}

pub(crate) const fn status(at: &'static [u32], of: &'static [(i64, &'static [Flag])]) -> Object {
    Object { at, points: &[], meaning: Meaning::Status(of) }
}

impl Scale {
    pub(crate) const fn new(unit: &'static str, by: f64, range: (f64, f64)) -> Self {
        Self { unit, by, range, or_tenths: false }
    }

    /// Or in tenths.
    pub(crate) const fn or_tenths(mut self) -> Self {
        self.or_tenths = true;
        self
    }
}

/// Mains, load and bypass, in volts.
pub(crate) const VOLTS: Scale = Scale::new("V", 1.0, (0.0, 700.0)).or_tenths();
/// The same in tenths of a volt.
pub(crate) const DECIVOLTS: Scale = Scale::new("V", 0.1, (0.0, 700.0));
/// Batteries, in tenths of a volt.
pub(crate) const BATTERY_DECIVOLTS: Scale = Scale::new("V", 0.1, (0.0, 1_000.0));
/// Tenths of an ampere, either way.
pub(crate) const DECIAMPERES: Scale = Scale::new("A", 0.1, (-5_000.0, 5_000.0));
/// Amperes.
pub(crate) const AMPERES: Scale = Scale::new("A", 1.0, (-5_000.0, 5_000.0));
/// Tenths of a hertz.
pub(crate) const DECIHERTZ: Scale = Scale::new("Hz", 0.1, (0.0, 80.0));
/// Watts, either way.
pub(crate) const WATTS: Scale = Scale::new("W", 1.0, (-5e6, 5e6));
/// Volt-amperes.
pub(crate) const VOLT_AMPERES: Scale = Scale::new("VA", 1.0, (0.0, 5e6));
/// Per cent of a charge.
pub(crate) const CHARGE: Scale = Scale::new("%", 1.0, (0.0, 100.0));
/// Per cent of a rating.
pub(crate) const LOAD: Scale = Scale::new("%", 1.0, (0.0, 250.0));
/// Degrees Celsius.
pub(crate) const CELSIUS: Scale = Scale::new("°C", 1.0, (-40.0, 120.0)).or_tenths();
