//! The list of points that the guard's process image becomes: strings, blocks,
//! bus devices, buses, and the box itself. Names, units and meanings are a
//! contract with gateways and scripts, as those of [`super::names::UPS`] are.
//!
//! An estimate has a point `….sigma` beside it where its standard deviation is
//! known. Numbers in names count from 1. What is not known has quality bad.

use super::names::{Unit, Variable, row};

/// Below `string.<n>.`, sorted by name.
pub static STRING: &[Variable] = &[
    row("advice", Unit::None, "what to do about the string as a whole; empty for nothing"),
    row("alarms", Unit::None, "alarms and warnings of string and blocks, in words; empty for none"),
    row("ambient", Unit::Celsius, "temperature of the air near the string"),
    row("breaker", Unit::None, "what the string's breaker is doing"),
    row("bypass.commanded", Unit::Percent, "mean bypass that is asked of the modules"),
    row("capacity", Unit::AmpereHour, "capacity at the rated time and 25 °C"),
    row("capacity.sigma", Unit::AmpereHour, "standard deviation of the capacity"),
    row("charge", Unit::Percent, "state of charge"),
    row("charge.sigma", Unit::Percent, "standard deviation of the state of charge"),
    row("charger", Unit::None, "whether the charger is set right, and by how much not"),
    row("current", Unit::Ampere, "string current, positive into the batteries"),
    row("deviation", Unit::Volt, "deviation of the block farthest from its target"),
    row(
        "deviation.true-bound",
        Unit::Volt,
        "no block is truly farther from the mean than this, modules' errors included",
    ),
    row("feasibility", Unit::None, "whether these modules can equalize this string"),
    row("health", Unit::Percent, "state of health of the weakest block that is known"),
    row("health.sigma", Unit::Percent, "standard deviation of that"),
    row("inhibit", Unit::None, "why all bypasses are off; empty while equalizing"),
    row("phase", Unit::None, "float, boost, discharge, recharge or unknown"),
    row("runtime", Unit::Second, "time to the end of the discharge at the present load"),
    row("runtime.high", Unit::Second, "it is shorter than this in nine of ten cases"),
    row("runtime.low", Unit::Second, "it is longer than this in nine of ten cases"),
    row("status", Unit::None, "ok, notice, warning or alarm: the worst of string and blocks"),
    row("target", Unit::Volt, "mean of the blocks' targets"),
    row("trip", Unit::None, "why the string was tripped; empty while it is not"),
    row("voltage", Unit::Volt, "sum of the block voltages"),
    row("voltage.measured", Unit::Volt, "voltage of the string by an input of its own"),
];

/// Below `string.<n>.block.<m>.`, sorted by name.
pub static BLOCK: &[Variable] = &[
    row("advice", Unit::None, "what to do about the block, and why; empty for nothing"),
    row("alarms", Unit::None, "alarms and warnings of the block, in words; empty for none"),
    row("bypass", Unit::Ampere, "bypass current that the module drew before the last sample"),
    row("bypass.commanded", Unit::Percent, "bypass that is asked of the module"),
    row("capacity", Unit::AmpereHour, "capacity at the rated time and 25 °C"),
    row("capacity.sigma", Unit::AmpereHour, "standard deviation of the capacity"),
    row("charge", Unit::Percent, "state of charge"),
    row("charge.sigma", Unit::Percent, "standard deviation of the state of charge"),
    row("deviation", Unit::Volt, "voltage less target"),
    row("fault", Unit::None, "what is wrong with the reading; empty for nothing"),
    row("health", Unit::Percent, "state of health"),
    row("health.sigma", Unit::Percent, "standard deviation of the state of health"),
    row("life", Unit::Year, "years in which the block hardly fails"),
    row("life.high", Unit::Year, "years that the block hardly outlasts"),
    row("resistance", Unit::Milliohm, "internal resistance as last measured"),
    row("status", Unit::None, "ok, notice, warning or alarm"),
    row("target", Unit::Volt, "voltage to which the block is equalized"),
    row("temperature", Unit::Celsius, "block temperature"),
    row("voltage", Unit::Volt, "block voltage"),
];

/// Below `device.<n>.`, sorted by name; `#` stands for a number from 1.
pub static DEVICE: &[Variable] = &[
    row("analog.#", Unit::None, "analogue input on the scale of the settings; A for a current"),
    row("input.#", Unit::None, "contact closed"),
    row("name", Unit::None, "name in the settings"),
    row("output.#", Unit::None, "output on, as the device reports it"),
    row("output.#.commanded", Unit::None, "output shall be on"),
    row("status", Unit::None, "ok, lost or wrong kind"),
];

/// Below `bus.<n>.`, sorted by name.
pub static BUS: &[Variable] = &[
    row("bad-frames", Unit::None, "frames with a wrong check sum or broken framing"),
    row("cable", Unit::None, "whether the cable is whole, and where not"),
    row("lost", Unit::None, "the port is closed or gone"),
    row("missed-replies", Unit::None, "replies that did not come"),
    row("unexpected-frames", Unit::None, "good frames that nobody had asked for"),
    row("utilisation", Unit::Percent, "line time of a full cycle over the cycle"),
    row("work", Unit::None, "commissioning work under way; empty for none"),
];

/// Below `guard.`, sorted by name.
pub static GUARD: &[Variable] = &[
    row("alarm-relay", Unit::None, "general alarm relay picked up: healthy"),
    row("buzzer", Unit::None, "buzzer sounding"),
    row("conditions", Unit::None, "what is wrong with the guard itself; empty for nothing"),
    row("deadline-misses", Unit::None, "cycles whose commands left too late"),
    row("status", Unit::None, "ok, notice, warning or alarm: the worst of everything"),
];

/// First parts of all these names: no plugin publishes below them.
pub const ROOTS: [&str; 4] = ["bus", "device", "guard", "string"];

/// The row of a point of the guard, by its whole name.
#[must_use]
pub fn variable(name: &str) -> Option<&'static Variable> {
    let (root, rest) = name.split_once('.')?;
    let (list, rest) = match root {
        "guard" => (GUARD, rest),
        "bus" => (BUS, below_number(rest)?),
        "device" => (DEVICE, below_number(rest)?),
        "string" => {
            let rest = below_number(rest)?;
            match rest.strip_prefix("block.") {
                Some(block) => (BLOCK, below_number(block)?),
                None => (STRING, rest),
            }
        }
        _ => return None,
    };
    list.iter().find(|row| matches(row.name, rest))
}

fn below_number(rest: &str) -> Option<&str> {
    let (number, rest) = rest.split_once('.')?;
    is_number(number).then_some(rest)
}

fn is_number(part: &str) -> bool {
    !part.starts_with('0') && part.parse::<u16>().is_ok()
}

fn matches(pattern: &str, name: &str) -> bool {
    let (mut wanted, mut given) = (pattern.split('.'), name.split('.'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some("#"), Some(part)) if is_number(part) => {}
            (Some(wanted), Some(part)) if wanted == part => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Name;
    use super::*;

    #[test]
    fn lists_are_sorted_and_well_formed() {
        for list in [STRING, BLOCK, DEVICE, BUS, GUARD] {
            assert!(list.windows(2).all(|w| w[0].name < w[1].name));
            for row in list {
                assert!(Name::parse(&row.name.replace('#', "1")).is_ok(), "{}", row.name);
                assert!(!row.meaning.is_empty(), "{}", row.name);
            }
        }
    }

    #[test]
    fn a_whole_name_finds_its_row() {
        let unit = |name| variable(name).map(|row| row.unit);
        assert_eq!(unit("string.2.block.17.resistance"), Some(Unit::Milliohm));
        assert_eq!(unit("string.2.voltage.measured"), Some(Unit::Volt));
        assert_eq!(unit("device.1.output.4.commanded"), Some(Unit::None));
        assert_eq!(unit("bus.1.utilisation"), Some(Unit::Percent));
        for wrong in ["string.0.voltage", "string.1.block.voltage", "ups.0.ups.load", "guard", ""] {
            assert!(variable(wrong).is_none(), "{wrong}");
        }
    }
}
