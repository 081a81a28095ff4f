//! Which commands to devices can hurt: take the load's supply away, or run its
//! battery down.
//!
//! A driver says what its device can do, but not what that means; the host
//! judges by name. Names are those of the Network UPS Tools (RFC 9271,
//! facts/nut-protocol.md). A dangerous command is never covered by a wildcard
//! in a grant, and a person has to confirm it. So is switching a relay: what
//! hangs on it is not known here.

/// How a dangerous name begins or reads, and what it does. An entry that ends
/// in `.` or has `prefix` set covers what goes on from there.
struct Row {
    name: &'static str,
    prefix: bool,
    what: &'static str,
}

const fn exactly(name: &'static str, what: &'static str) -> Row {
    Row { name, prefix: false, what }
}

const fn begins(name: &'static str, what: &'static str) -> Row {
    Row { name, prefix: true, what }
}

const SWITCHES: &str = "switches the load's supply";

/// What it means that an output may be switched.
pub const RELAY: &str = "can be switched, and whatever is connected to it";

const DANGEROUS: &[Row] = &[
    begins("load.off", "switches the load off"),
    begins("load.cycle", "switches the load off and on"),
    begins("shutdown.", "shuts the UPS down, and the load with it"),
    begins("outlet", SWITCHES),
    exactly("driver.killpower", "shuts the UPS down, and the load with it"),
    begins("ups.timer.", "starts the countdown to a shutdown"),
    begins("bypass.", "takes the load from or to the unprotected supply"),
    begins("calibrate.start", "runs the battery down"),
    exactly("test.battery.start.deep", "runs the battery down"),
];

/// Begins like a dangerous one and only ends it.
const HARMLESS: &[&str] = &["shutdown.stop"];

/// What a command does that cannot be undone by those whom it hits; `None`
/// when it is not known to be dangerous. `name` is matched as it stands: the
/// names that can be offered are lower case.
#[must_use]
pub fn danger_of(name: &str) -> Option<&'static str> {
    if HARMLESS.contains(&name) {
        return None;
    }
    let fits = |row: &&Row| match row.prefix {
        true => name.starts_with(row.name),
        false => name == row.name,
    };
    DANGEROUS.iter().find(fits).map(|row| row.what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cuts_power_or_empties_the_battery_is_dangerous() {
        for name in [
            "load.off",
            "load.off.delay",
            "load.cycle",
            "shutdown.return",
            "shutdown.stayoff",
            "shutdown.reboot.graceful",
            "outlet.1.load.off",
            "outlet.1.load.on",
            "outlet.2.switch",
            "driver.killpower",
            "ups.timer.shutdown",
            "bypass.start",
            "calibrate.start",
            "test.battery.start.deep",
        ] {
            assert!(danger_of(name).is_some(), "{name}");
        }
    }

    #[test]
    fn what_only_looks_like_it_is_not() {
        for name in [
            "",
            "load.on",
            "beeper.toggle",
            "beeper.mute",
            "shutdown.stop",
            "test.battery.start.quick",
            "test.battery.stop",
            "calibrate.stop",
            "driver.reload",
            "equalization.pause",
            "ups.delay.shutdown",
        ] {
            assert_eq!(danger_of(name), None, "{name}");
        }
    }
}
