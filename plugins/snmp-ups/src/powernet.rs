//! PowerNet-MIB of the UPSes and cards of APC (facts/snmp.md §4.1).

use crate::mib::{
    AMPERES, CELSIUS, CHARGE, DECIHERTZ, DECIVOLTS, Flag, LOAD, Mib, Object, Order, Scale, Set,
    VOLT_AMPERES, VOLTS, WATTS, duration, number, status, text, word,
};

/// The MIB.
pub(crate) const POWERNET: Mib = Mib {
    name: "PowerNet-MIB",
    recognised_by: &[&[1, 3, 6, 1, 4, 1, 318, 1, 3]],
    base: &[1, 3, 6, 1, 4, 1, 318, 1, 1, 1],
    probe: &[1, 1, 1],
    constant: CONSTANT,
    changing: CHANGING,
    phases: &[],
    alarms: None,
    orders: ORDERS,
};

const BATTERY_VOLTS: Scale = Scale::new("V", 1.0, (0.0, 1_000.0));
const HERTZ: Scale = Scale::new("Hz", 1.0, (0.0, 80.0)).or_tenths();

/// Where an object has a twin of higher precision, the twin comes later and
/// counts when it is there.
const CONSTANT: &[Object] = &[
    text(&[1, 1, 1], &["ups.model", "device.model"]),
    text(&[1, 1, 2], &["ups.id"]),
    text(&[1, 2, 1], &["ups.firmware"]),
    text(&[1, 2, 2], &["ups.mfr.date"]),
    text(&[1, 2, 3], &["ups.serial", "device.serial"]),
    text(&[2, 1, 3], &["battery.date"]),
    number(&[2, 2, 7], &["battery.voltage.nominal"], BATTERY_VOLTS),
    number(&[5, 2, 1], &["output.voltage.nominal"], VOLTS),
    number(&[5, 2, 2], &["input.transfer.high"], VOLTS),
    number(&[5, 2, 3], &["input.transfer.low"], VOLTS),
    number(&[5, 2, 6], &["battery.charge.restart"], CHARGE),
    word(
        &[5, 2, 7],
        &["input.sensitivity"],
        &[(1, "auto"), (2, "low"), (3, "medium"), (4, "high")],
    ),
    duration(&[5, 2, 8], &["battery.runtime.low"], 0.01),
    duration(&[5, 2, 9], &["ups.delay.start"], 0.01),
    duration(&[5, 2, 10], &["ups.delay.shutdown"], 0.01),
];

const CHANGING: &[Object] = &[
    status(
        &[2, 1, 1],
        &[
            (1, &[]),
            (2, &[]),
            (3, &[Flag::LowBattery]),
            (4, &[Flag::Replace]),
            (5, &[Flag::Replace]),
        ],
    ),
    status(&[2, 2, 4], &[(1, &[]), (2, &[Flag::Replace])]),
    status(&[4, 1, 1], OUTPUT),
    number(&[2, 2, 1], &["battery.charge"], CHARGE),
    number(&[2, 3, 1], &["battery.charge"], Scale { by: 0.1, ..CHARGE }),
    number(&[2, 2, 2], &["battery.temperature"], CELSIUS),
    number(&[2, 3, 2], &["battery.temperature"], Scale { by: 0.1, ..CELSIUS }),
    duration(&[2, 2, 3], &["battery.runtime"], 0.01),
    number(&[2, 2, 8], &["battery.voltage"], BATTERY_VOLTS),
    number(&[2, 3, 4], &["battery.voltage"], Scale { by: 0.1, ..BATTERY_VOLTS }),
    number(&[2, 2, 9], &["battery.current"], AMPERES),
    number(&[2, 3, 5], &["battery.current"], Scale { by: 0.1, ..AMPERES }),
    number(&[3, 2, 1], &["input.voltage"], VOLTS),
    number(&[3, 3, 1], &["input.voltage"], DECIVOLTS),
    number(&[3, 2, 2], &["input.voltage.maximum"], VOLTS),
    number(&[3, 3, 2], &["input.voltage.maximum"], DECIVOLTS),
    number(&[3, 2, 3], &["input.voltage.minimum"], VOLTS),
    number(&[3, 3, 3], &["input.voltage.minimum"], DECIVOLTS),
    number(&[3, 2, 4], &["input.frequency"], HERTZ),
    number(&[3, 3, 4], &["input.frequency"], DECIHERTZ),
    word(
        &[3, 2, 5],
        &["input.transfer.reason"],
        &[
            (1, "none"),
            (2, "high line voltage"),
            (3, "brown-out"),
            (4, "black-out"),
            (5, "small sag"),
            (6, "deep sag"),
            (7, "small spike"),
            (8, "large spike"),
            (9, "self test"),
            (10, "rate of voltage change"),
        ],
    ),
    number(&[4, 2, 1], &["output.voltage"], VOLTS),
    number(&[4, 3, 1], &["output.voltage"], DECIVOLTS),
    number(&[4, 2, 2], &["output.frequency"], HERTZ),
    number(&[4, 3, 2], &["output.frequency"], DECIHERTZ),
    number(&[4, 2, 3], &["ups.load"], LOAD),
    number(&[4, 3, 3], &["ups.load"], Scale { by: 0.1, ..LOAD }),
    number(&[4, 2, 4], &["output.current"], AMPERES),
    number(&[4, 3, 4], &["output.current"], Scale { by: 0.1, ..AMPERES }),
    number(&[4, 2, 8], &["ups.realpower"], WATTS),
    number(&[4, 2, 9], &["ups.power"], VOLT_AMPERES),
    word(
        &[7, 2, 3],
        &["ups.test.result"],
        &[(1, "done and passed"), (2, "done and error"), (3, "invalid"), (4, "in progress")],
    ),
    text(&[7, 2, 4], &["ups.test.date"]),
];

/// Codes without words here say nothing of the path of the power.
const OUTPUT: &[(i64, &[Flag])] = &[
    (1, &[]),
    (2, &[Flag::OnLine]),
    (3, &[Flag::OnBattery]),
    (4, &[Flag::OnLine, Flag::Boost]),
    (5, &[Flag::Off]),
    (6, &[Flag::OnLine, Flag::Bypass]),
    (7, &[Flag::Off]),
    (8, &[Flag::Off]),
    (9, &[Flag::OnLine, Flag::Bypass]),
    (10, &[Flag::OnLine, Flag::Bypass]),
    (11, &[Flag::Off]),
    (12, &[Flag::OnLine, Flag::Trim]),
    (13, &[Flag::OnLine]),
    (14, &[Flag::OnLine]),
    (15, &[Flag::OnBattery, Flag::Test]),
    (16, &[Flag::OnLine, Flag::Bypass]),
    (17, &[Flag::OnLine, Flag::Bypass]),
    (18, &[Flag::OnLine]),
    (20, &[Flag::OnLine]),
    (26, &[Flag::Off]),
    (28, &[Flag::Test]),
];

const ORDERS: &[Order] = &[
    Order { name: "test.battery.start.quick", set: &[(&[7, 2, 2], Set::Number(2))] },
    Order { name: "test.battery.start.deep", set: &[(&[7, 2, 5], Set::Number(2))] },
    Order { name: "test.battery.stop", set: &[(&[7, 2, 5], Set::Number(3))] },
    Order { name: "shutdown.return", set: &[(&[6, 1, 1], Set::Number(2))] },
    Order { name: "shutdown.stayoff", set: &[(&[6, 2, 1], Set::Number(3))] },
    Order { name: "shutdown.reboot", set: &[(&[6, 2, 2], Set::Number(3))] },
    Order { name: "load.off", set: &[(&[6, 2, 1], Set::Number(2))] },
    Order { name: "load.on", set: &[(&[6, 2, 6], Set::Number(2))] },
];
