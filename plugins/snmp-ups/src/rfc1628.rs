//! The standard UPS-MIB, RFC 1628 (facts/snmp.md §1).

use crate::mib::{
    Alarm, Alarms, BATTERY_DECIVOLTS, CELSIUS, CHARGE, Column, DECIAMPERES, DECIHERTZ, Flag, LOAD,
    Meaning, Mib, Object, Order, Phases, Set, VOLT_AMPERES, VOLTS, WATTS, duration, number, status,
    text, word,
};

/// The MIB.
pub(crate) const RFC1628: Mib = Mib {
    name: "the UPS-MIB of RFC 1628",
    recognised_by: &[&[1, 3, 6, 1, 2, 1, 33]],
    base: &[1, 3, 6, 1, 2, 1, 33, 1],
    probe: &[1, 1],
    constant: CONSTANT,
    changing: CHANGING,
    phases: PHASES,
    alarms: Some(ALARMS),
    orders: ORDERS,
};

const CONSTANT: &[Object] = &[
    text(&[1, 1], &["ups.mfr", "device.mfr"]),
    text(&[1, 2], &["ups.model", "device.model"]),
    text(&[1, 3], &["ups.firmware"]),
    text(&[1, 4], &["ups.firmware.aux"]),
    text(&[1, 5], &["ups.id"]),
    number(&[9, 1], &["input.voltage.nominal"], VOLTS),
    number(&[9, 2], &["input.frequency.nominal"], DECIHERTZ),
    number(&[9, 3], &["output.voltage.nominal"], VOLTS),
    number(&[9, 4], &["output.frequency.nominal"], DECIHERTZ),
    number(&[9, 5], &["ups.power.nominal"], VOLT_AMPERES),
    number(&[9, 6], &["ups.realpower.nominal"], WATTS),
    duration(&[9, 7], &["battery.runtime.low"], 60.0),
    number(&[9, 9], &["input.transfer.low"], VOLTS),
    number(&[9, 10], &["input.transfer.high"], VOLTS),
];

const CHANGING: &[Object] = &[
    status(&[2, 1], &[(1, &[]), (2, &[]), (3, &[Flag::LowBattery]), (4, &[Flag::LowBattery])]),
    status(
        &[4, 1],
        &[
            (1, &[]),
            (2, &[Flag::Off]),
            (3, &[Flag::OnLine]),
            (4, &[Flag::OnLine, Flag::Bypass]),
            (5, &[Flag::OnBattery]),
            (6, &[Flag::OnLine, Flag::Boost]),
            (7, &[Flag::OnLine, Flag::Trim]),
        ],
    ),
    duration(&[2, 3], &["battery.runtime"], 60.0),
    number(&[2, 4], &["battery.charge"], CHARGE),
    number(&[2, 5], &["battery.voltage"], BATTERY_DECIVOLTS),
    number(&[2, 6], &["battery.current"], DECIAMPERES),
    number(&[2, 7], &["battery.temperature"], CELSIUS),
    number(&[4, 2], &["output.frequency"], DECIHERTZ),
    number(&[5, 1], &["input.bypass.frequency"], DECIHERTZ),
    word(
        &[7, 3],
        &["ups.test.result"],
        &[
            (1, "done and passed"),
            (2, "done and warning"),
            (3, "done and error"),
            (4, "aborted"),
            (5, "in progress"),
            (6, "no test initiated"),
        ],
    ),
    Object { at: &[8, 2], points: &["ups.timer.shutdown"], meaning: Meaning::Countdown },
    Object { at: &[8, 3], points: &["ups.timer.start"], meaning: Meaning::Countdown },
    Object { at: &[8, 4], points: &["ups.timer.reboot"], meaning: Meaning::Countdown },
    word(&[8, 5], &["ups.start.auto"], &[(1, "yes"), (2, "no")]),
    word(&[9, 8], &["ups.beeper.status"], &[(1, "disabled"), (2, "enabled"), (3, "muted")]),
];

const PHASES: &[Phases] = &[
    Phases {
        at: &[3, 3, 1],
        count: "input.phases",
        columns: &[
            Column { number: 2, single: "input.frequency", several: "", scale: DECIHERTZ },
            Column {
                number: 3,
                single: "input.voltage",
                several: "input.l#-n.voltage",
                scale: VOLTS,
            },
            Column {
                number: 4,
                single: "input.current",
                several: "input.l#.current",
                scale: DECIAMPERES,
            },
            Column {
                number: 5,
                single: "input.realpower",
                several: "input.l#.realpower",
                scale: WATTS,
            },
        ],
    },
    Phases {
        at: &[4, 4, 1],
        count: "output.phases",
        columns: &[
            Column {
                number: 2,
                single: "output.voltage",
                several: "output.l#-n.voltage",
                scale: VOLTS,
            },
            Column {
                number: 3,
                single: "output.current",
                several: "output.l#.current",
                scale: DECIAMPERES,
            },
            Column {
                number: 4,
                single: "output.realpower",
                several: "output.l#.realpower",
                scale: WATTS,
            },
            Column {
                number: 5,
                single: "ups.load",
                several: "output.l#.power.percent",
                scale: LOAD,
            },
        ],
    },
    Phases {
        at: &[5, 3, 1],
        count: "input.bypass.phases",
        columns: &[
            Column {
                number: 2,
                single: "input.bypass.voltage",
                several: "input.bypass.l#-n.voltage",
                scale: VOLTS,
            },
            Column {
                number: 3,
                single: "input.bypass.current",
                several: "input.bypass.l#.current",
                scale: DECIAMPERES,
            },
            Column {
                number: 4,
                single: "input.bypass.realpower",
                several: "input.bypass.l#.realpower",
                scale: WATTS,
            },
        ],
    },
];

const fn alarm(number: u32, flag: Option<Flag>, text: &'static str) -> Alarm {
    Alarm { number, flag, text }
}

const ALARMS: Alarms = Alarms {
    count: &[6, 1],
    column: &[6, 2, 1, 2],
    names: &[6, 3],
    unit_lost: 20,
    known: &[
        alarm(1, Some(Flag::Replace), "replace the battery"),
        alarm(2, Some(Flag::OnBattery), ""),
        alarm(3, Some(Flag::LowBattery), "battery low"),
        alarm(4, Some(Flag::LowBattery), "battery depleted"),
        alarm(5, None, "temperature out of range"),
        alarm(6, None, "input out of range"),
        alarm(7, None, "output out of range"),
        alarm(8, Some(Flag::Overload), "overload"),
        alarm(9, Some(Flag::Bypass), "on bypass"),
        alarm(10, None, "bypass out of range"),
        alarm(11, Some(Flag::Off), ""),
        alarm(12, Some(Flag::Off), ""),
        alarm(13, None, "charger failed"),
        alarm(14, Some(Flag::Off), "output off"),
        alarm(15, Some(Flag::Off), "UPS off"),
        alarm(16, None, "fan failed"),
        alarm(17, None, "fuse failed"),
        alarm(18, None, "general fault"),
        alarm(19, None, "test failed"),
        alarm(20, None, "the card has lost its UPS"),
        alarm(21, None, "waiting for mains"),
        alarm(22, None, "shutdown pending"),
        alarm(23, None, "shutdown imminent"),
        alarm(24, Some(Flag::Test), ""),
    ],
};

/// Delay of a shutdown that names none, s.
const DELAY_S: i64 = 20;
/// Time without power of a restart, s.
const REBOOT_S: i64 = 10;

const LOCK: (&[u32], Set) = (&[7, 2], Set::Lock);

const ORDERS: &[Order] = &[
    Order { name: "test.battery.start.quick", set: &[LOCK, (&[7, 1], Set::Name(&[7, 7, 4]))] },
    Order { name: "test.battery.start.deep", set: &[LOCK, (&[7, 1], Set::Name(&[7, 7, 5]))] },
    Order { name: "test.system.start", set: &[LOCK, (&[7, 1], Set::Name(&[7, 7, 3]))] },
    Order { name: "test.battery.stop", set: &[LOCK, (&[7, 1], Set::Name(&[7, 7, 2]))] },
    Order {
        name: "shutdown.return",
        set: &[
            (&[8, 5], Set::Number(1)),
            (&[8, 1], Set::Number(1)),
            (&[8, 2], Set::Number(DELAY_S)),
        ],
    },
    Order {
        name: "shutdown.stayoff",
        set: &[
            (&[8, 5], Set::Number(2)),
            (&[8, 1], Set::Number(1)),
            (&[8, 2], Set::Number(DELAY_S)),
        ],
    },
    Order { name: "shutdown.reboot", set: &[(&[8, 4], Set::Number(REBOOT_S))] },
    Order { name: "shutdown.stop", set: &[(&[8, 2], Set::Number(-1))] },
    Order { name: "load.off", set: &[(&[8, 1], Set::Number(1)), (&[8, 2], Set::Number(0))] },
    Order { name: "load.on", set: &[(&[8, 3], Set::Number(0))] },
    Order { name: "beeper.enable", set: &[(&[9, 8], Set::Number(2))] },
    Order { name: "beeper.disable", set: &[(&[9, 8], Set::Number(1))] },
    Order { name: "beeper.mute", set: &[(&[9, 8], Set::Number(3))] },
];
