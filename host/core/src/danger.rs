//! Which commands to devices can hurt: take the load's supply away or give it
//! unasked, or run its battery down.
//!
//! A driver says what its device can do, but not what that means; the host
//! judges by name, and knows by name what is *harmless*: a list of those that
//! can hurt would let a vendor's `experimental.kill` through. Names are those
//! of the Network UPS Tools (RFC 9271, facts/nut-protocol.md §12) and the
//! appliance's own. A dangerous command is never covered by a wildcard in a
//! grant, and a person has to confirm it. So is switching a relay: what hangs on
//! it is not known here.
//!
//! | names | judged | because |
//! |---|---|---|
//! | `beeper.*`, as listed | harmless | an alarm that is muted is seen still |
//! | `test.panel.*`, `test.system.start` | harmless | lamps, and the unit's test of itself |
//! | `test.battery.start`, `….quick` | harmless | the unit takes the mains back before the battery is low |
//! | `test.battery.start.deep`, `….low`, `calibrate.start` | dangerous | they empty the battery |
//! | `test.failure.start` | dangerous | the load hangs on the battery for as long as nobody ends it |
//! | `….stop` of tests, calibration and shutdowns | harmless | they lead back to normal |
//! | `load.on`, `outlet.….load.on` | dangerous | somebody may have switched it off to work on it |
//! | `load.…`, `shutdown.…`, `outlet.…`, `driver.killpower` | dangerous | they cut the load |
//! | `bypass.…`, `ecomode.…`, `essmode.…` | dangerous | they take away what protects the load |
//! | `reset.watchdog` | dangerous | on some units it ends in a forced restart of the load |
//! | `reset.input.minmax`, `driver.reload`, `driver.reload-or-error` | harmless | figures and settings |
//! | `driver.exit`, `driver.reload-or-exit` | dangerous | nobody watches the unit afterwards |
//! | `equalization.…`, `resistance.measure` of the appliance | harmless | the guard bounds them |
//! | all others | dangerous | nobody knows what they do |

/// How a dangerous name reads or begins, and what it does, for those of which
/// that is known.
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
const EMPTIES: &str = "runs the battery down";
const UNKNOWN: &str = "is not known to be harmless, and may take the load's supply away";

/// What it means that an output may be switched.
pub const RELAY: &str = "can be switched, and whatever is connected to it";

const DANGEROUS: &[Row] = &[
    begins("load.on", "switches the load on"),
    begins("load.off", "switches the load off"),
    begins("load.cycle", "switches the load off and on"),
    begins("shutdown.", "shuts the UPS down, and the load with it"),
    begins("outlet", SWITCHES),
    exactly("driver.killpower", "shuts the UPS down, and the load with it"),
    begins("ups.timer.", "starts the countdown to a shutdown"),
    begins("bypass.", "takes the load from or to the unprotected supply"),
    begins("ecomode.", "takes the load from or to the unprotected supply"),
    begins("essmode.", "takes the load from or to the unprotected supply"),
    exactly("reset.watchdog", "may restart the load by force"),
    exactly("calibrate.start", EMPTIES),
    exactly("test.battery.start.deep", EMPTIES),
    exactly("test.battery.start.low", EMPTIES),
    exactly("test.failure.start", "lets the battery carry the load until somebody ends it"),
];

const HARMLESS: &[&str] = &[
    "beeper.disable",
    "beeper.enable",
    "beeper.mute",
    "beeper.off",
    "beeper.on",
    "beeper.toggle",
    "calibrate.stop",
    "driver.reload",
    "driver.reload-or-error",
    "equalization.pause",
    "equalization.resume",
    "reset.input.minmax",
    "resistance.measure",
    "shutdown.stop",
    "test.battery.start",
    "test.battery.start.quick",
    "test.battery.stop",
    "test.failure.stop",
    "test.panel.start",
    "test.panel.stop",
    "test.system.start",
];

/// What a command does that cannot be undone by those whom it hits, or that
/// this is not known; `None` when it is known to be harmless. `name` is matched
/// as it stands: the names that can be offered are lower case.
#[must_use]
pub fn danger_of(name: &str) -> Option<&'static str> {
    if HARMLESS.contains(&name) {
        return None;
    }
    let fits = |row: &&Row| match row.prefix {
        true => name.starts_with(row.name),
        false => name == row.name,
    };
    Some(DANGEROUS.iter().find(fits).map_or(UNKNOWN, |row| row.what))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every command of NUT's `data/cmdvartab` and `docs/nut-names.txt`, and
    /// whether it can hurt.
    const NUT: &[(&str, bool)] = &[
        ("driver.exit", true),
        ("driver.killpower", true),
        ("driver.reload", false),
        ("driver.reload-or-error", false),
        ("driver.reload-or-exit", true),
        ("load.off", true),
        ("load.off.delay", true),
        ("load.on", true),
        ("load.on.delay", true),
        ("load.cycle", true),
        ("load.cycle.delay", true),
        ("shutdown.default", true),
        ("shutdown.return", true),
        ("shutdown.stayoff", true),
        ("shutdown.stop", false),
        ("shutdown.reboot", true),
        ("shutdown.reboot.graceful", true),
        ("test.panel.start", false),
        ("test.panel.stop", false),
        ("test.failure.start", true),
        ("test.failure.stop", false),
        ("test.battery.start", false),
        ("test.battery.start.quick", false),
        ("test.battery.start.deep", true),
        ("test.battery.start.low", true),
        ("test.battery.stop", false),
        ("test.system.start", false),
        ("calibrate.start", true),
        ("calibrate.stop", false),
        ("bypass.start", true),
        ("bypass.stop", true),
        ("ecomode.enable", true),
        ("ecomode.disable", true),
        ("ecomode.start.auto", true),
        ("essmode.enable", true),
        ("essmode.disable", true),
        ("reset.input.minmax", false),
        ("reset.watchdog", true),
        ("beeper.on", false),
        ("beeper.off", false),
        ("beeper.enable", false),
        ("beeper.disable", false),
        ("beeper.mute", false),
        ("beeper.toggle", false),
        ("outlet.1.load.off", true),
        ("outlet.1.load.on", true),
        ("outlet.1.load.cycle", true),
        ("outlet.1.shutdown.return", true),
        ("outlet.group.1.load.off", true),
        ("experimental.ecomode.start", true),
        ("experimental.ecomode.stop", true),
    ];

    #[test]
    fn every_command_of_nut_is_judged() {
        for (name, hurts) in NUT {
            assert_eq!(danger_of(name).is_some(), *hurts, "{name}");
        }
        let judged = |name: &&&str| NUT.iter().any(|(nut, _)| nut == *name);
        let own: Vec<_> = HARMLESS.iter().filter(|name| !judged(name)).collect();
        assert_eq!(own, [&"equalization.pause", &"equalization.resume", &"resistance.measure"]);
    }

    #[test]
    fn a_name_that_nobody_knows_is_dangerous() {
        for name in [
            "",
            "experimental.kill",
            "beeper.mute.and.kill",
            "beeper",
            "test.battery.start.quick.deep",
            "equalization.off",
            "ups.delay.shutdown",
            "shutdown.stop.never",
            "zap",
        ] {
            assert!(danger_of(name).is_some(), "{name}");
        }
        assert_eq!(danger_of("experimental.kill"), Some(UNKNOWN));
    }

    #[test]
    fn what_is_known_to_hurt_says_how() {
        for (name, what) in [
            ("load.off.delay", "switches the load off"),
            ("outlet.2.switch", SWITCHES),
            ("ups.timer.shutdown", "starts the countdown to a shutdown"),
            ("shutdown.return", "shuts the UPS down, and the load with it"),
            ("test.battery.start.low", EMPTIES),
        ] {
            assert_eq!(danger_of(name), Some(what), "{name}");
        }
    }
}
