//! When the bypasses of a whole string are off (facts/battery-science.md §3.4).
//!
//! Three sources: the string's [`Phase`], the readings themselves, and
//! [`Orders`] from outside. What keeps a single block off is the law's business
//! (see [`Activity`](super::Activity)).

use crate::phase::USABLE_SHARE;
use crate::scan::Phase;
use core::fmt;
use serde::{Deserialize, Serialize};

/// Cycles to wait for blocks that never report.
const AWAIT_CYCLES: u32 = 30;

/// Reasons for which every bypass of a string is off. Empty: equalizing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Inhibits(u32);

impl Inhibits {
    /// Not every block has reported since the guard started.
    pub const AWAITING: Self = Self(1);
    /// Too few blocks have usable readings.
    pub const TOO_FEW: Self = Self(2);
    /// The string is being discharged.
    pub const DISCHARGE: Self = Self(4);
    /// The string was discharged and is not back at float yet.
    pub const RECOVERY: Self = Self(8);
    /// The string is being boosted.
    pub const BOOST: Self = Self(16);
    /// A person paused it.
    pub const PAUSED: Self = Self(32);
    /// Equalization is switched off in the settings.
    pub const DISABLED: Self = Self(64);
    /// A pause of the string's schedule.
    pub const SCHEDULE: Self = Self(128);
    /// A battery test is running.
    pub const BATTERY_TEST: Self = Self(256);
    /// The string's breaker is open.
    pub const BREAKER_OPEN: Self = Self(512);
    /// Thermal alarm: no heat from us.
    pub const THERMAL_ALARM: Self = Self(1024);
    /// The string is being commissioned.
    pub const COMMISSIONING: Self = Self(2048);
    /// The charger is off.
    pub const CHARGER_OFF: Self = Self(4096);

    const TEXTS: [(Self, &'static str); 13] = [
        (Self::AWAITING, "waiting for every block to report"),
        (Self::TOO_FEW, "too few blocks have usable readings"),
        (Self::DISCHARGE, "discharge"),
        (Self::RECOVERY, "recovery after discharge"),
        (Self::BOOST, "boost charge"),
        (Self::PAUSED, "paused by a user"),
        (Self::DISABLED, "switched off in the settings"),
        (Self::SCHEDULE, "paused by schedule"),
        (Self::BATTERY_TEST, "battery test"),
        (Self::BREAKER_OPEN, "breaker open"),
        (Self::THERMAL_ALARM, "thermal alarm"),
        (Self::COMMISSIONING, "commissioning"),
        (Self::CHARGER_OFF, "charger off"),
    ];

    /// As a number, for the process image.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// From a number; unknown bits are kept and count as a reason.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// True when there is no reason to be off.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// True when every reason of `other` holds.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// With `other` added when `holds`.
    #[must_use]
    pub const fn with(self, other: Self, holds: bool) -> Self {
        if holds { Self(self.0 | other.0) } else { self }
    }

    /// The reasons, for people.
    pub fn texts(self) -> impl Iterator<Item = &'static str> {
        Self::TEXTS.into_iter().filter(move |(bit, _)| self.contains(*bit)).map(|(_, text)| text)
    }
}

impl fmt::Display for Inhibits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, text) in self.texts().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            f.write_str(text)?;
        }
        Ok(())
    }
}

/// What others want of the equalizer in this cycle. Default: nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Orders {
    /// A person paused the string.
    pub paused: bool,
    /// The string's [schedule](super::schedule) pauses it now.
    pub scheduled_pause: bool,
    /// A battery test is running.
    pub battery_test: bool,
    /// The string's breaker is open or being opened.
    pub breaker_open: bool,
    /// Protection sees a block or the string too hot.
    pub thermal_alarm: bool,
    /// The string is being commissioned: addresses and types are not sure yet.
    pub commissioning: bool,
    /// The [phase detector](crate::phase) says that the charger is off.
    pub charger_off: bool,
    /// Block (from 0) whose internal resistance is being measured: its bypass
    /// alone is off.
    pub measuring: Option<usize>,
}

/// Watches the readings, and collects the reasons.
#[derive(Clone, Debug, Default)]
pub(super) struct Gate {
    cycles: u32,
    awaited: bool,
}

impl Gate {
    /// The inhibits of a scan in which `usable` of `blocks` have a voltage.
    pub fn step(
        &mut self,
        usable: usize,
        blocks: usize,
        phase: Phase,
        boost_allowed: bool,
        orders: &Orders,
    ) -> Inhibits {
        self.cycles = self.cycles.saturating_add(1);
        self.awaited |= usable == blocks || self.cycles > AWAIT_CYCLES;
        let too_few = (usable as f64) < USABLE_SHARE * blocks as f64 || phase == Phase::Unknown;
        Inhibits::default()
            .with(Inhibits::AWAITING, !self.awaited)
            .with(Inhibits::TOO_FEW, self.awaited && too_few)
            .with(Inhibits::DISCHARGE, phase == Phase::Discharge)
            .with(Inhibits::RECOVERY, phase == Phase::Recharge)
            .with(Inhibits::BOOST, phase == Phase::Boost && !boost_allowed)
            .with(Inhibits::PAUSED, orders.paused)
            .with(Inhibits::SCHEDULE, orders.scheduled_pause)
            .with(Inhibits::BATTERY_TEST, orders.battery_test)
            .with(Inhibits::BREAKER_OPEN, orders.breaker_open)
            .with(Inhibits::THERMAL_ALARM, orders.thermal_alarm)
            .with(Inhibits::COMMISSIONING, orders.commissioning)
            .with(Inhibits::CHARGER_OFF, orders.charger_off)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(gate: &mut Gate, usable: usize) -> Inhibits {
        gate.step(usable, 32, Phase::Float, false, &Orders::default())
    }

    #[test]
    fn off_until_every_block_reported_but_not_for_ever() {
        let mut g = Gate::default();
        for _ in 0..AWAIT_CYCLES {
            assert_eq!(gate(&mut g, 31), Inhibits::AWAITING);
        }
        assert!(gate(&mut g, 31).is_empty());
        let mut g = Gate::default();
        assert!(gate(&mut g, 32).is_empty());
        assert!(gate(&mut g, 30).is_empty(), "a lost block later does not stop the rest");
        assert_eq!(gate(&mut g, 20), Inhibits::TOO_FEW);
    }

    #[test]
    fn every_phase_but_float_is_a_reason() {
        let mut g = Gate::default();
        let mut of = |phase, boost| g.step(4, 4, phase, boost, &Orders::default());
        assert_eq!(of(Phase::Discharge, false), Inhibits::DISCHARGE);
        assert_eq!(of(Phase::Recharge, false), Inhibits::RECOVERY);
        assert_eq!(of(Phase::Boost, false), Inhibits::BOOST);
        assert!(of(Phase::Boost, true).is_empty());
        assert_eq!(of(Phase::Unknown, true), Inhibits::TOO_FEW);
    }

    #[test]
    fn every_order_is_a_reason_of_its_own() {
        let orders = [
            (Orders { paused: true, ..Orders::default() }, Inhibits::PAUSED),
            (Orders { scheduled_pause: true, ..Orders::default() }, Inhibits::SCHEDULE),
            (Orders { battery_test: true, ..Orders::default() }, Inhibits::BATTERY_TEST),
            (Orders { breaker_open: true, ..Orders::default() }, Inhibits::BREAKER_OPEN),
            (Orders { thermal_alarm: true, ..Orders::default() }, Inhibits::THERMAL_ALARM),
            (Orders { commissioning: true, ..Orders::default() }, Inhibits::COMMISSIONING),
            (Orders { charger_off: true, ..Orders::default() }, Inhibits::CHARGER_OFF),
        ];
        for (order, inhibit) in orders {
            assert_eq!(Gate::default().step(4, 4, Phase::Float, false, &order), inhibit);
        }
        let measuring = Orders { measuring: Some(2), ..Orders::default() };
        assert!(Gate::default().step(4, 4, Phase::Float, false, &measuring).is_empty());
    }

    #[test]
    fn texts_name_each_reason() {
        let both = Inhibits::PAUSED.with(Inhibits::BOOST, true);
        assert_eq!(both.to_string(), "boost charge, paused by a user");
        assert_eq!(Inhibits::from_bits(0x1fff).texts().count(), 13);
    }
}
