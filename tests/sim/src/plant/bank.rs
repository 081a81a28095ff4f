//! Strings in parallel on one charger and load: one bus voltage, currents that
//! split by source and resistance (facts/battery-science.md §2.3).

use super::string::PlantString;
use super::supply::{Source, Supply};
use core::ops::Range;

/// A DC bus and the strings on it.
#[derive(Clone, Debug)]
pub struct Bank {
    supply: Supply,
    members: Range<usize>,
    /// The strings through which its UPS is told to test the battery.
    testing: Vec<usize>,
    volts: f64,
    amps: f64,
}

impl Bank {
    pub(super) fn new(supply: Supply, members: Range<usize>) -> Self {
        Self { supply, members, testing: Vec::new(), volts: 0.0, amps: 0.0 }
    }

    /// Charger, load and mains.
    #[must_use]
    pub fn supply(&self) -> &Supply {
        &self.supply
    }

    /// Charger and load, to change their settings.
    pub fn supply_mut(&mut self) -> &mut Supply {
        &mut self.supply
    }

    /// Numbers of its strings.
    #[must_use]
    pub fn members(&self) -> &Range<usize> {
        &self.members
    }

    /// Voltage of the DC bus, V; 0 while every breaker is open.
    #[must_use]
    pub fn volts(&self) -> f64 {
        self.volts
    }

    /// Current into all its strings, A.
    #[must_use]
    pub fn amps(&self) -> f64 {
        self.amps
    }

    /// A string's device tells the UPS to test the battery, or not to.
    pub(super) fn command_test(&mut self, string: usize, on: bool) {
        if on != self.testing.contains(&string) {
            self.testing.retain(|s| *s != string);
            self.testing.extend(on.then_some(string));
            self.supply.set_testing(!self.testing.is_empty());
        }
    }

    pub(super) fn set_mains(&mut self, on: bool) {
        self.supply.set_mains(on);
    }

    /// After [`Self::solve`]: the inverter looks at its voltage.
    pub(super) fn watch(&mut self) {
        self.supply.watch(self.volts);
    }

    /// Currents and voltages of all its strings now.
    pub(super) fn solve(&mut self, strings: &mut [PlantString]) {
        let Some(strings) = strings.get_mut(self.members.clone()) else { return };
        // Norton: conductances and short-circuit currents add.
        let (mut siemens, mut short_a, mut celsius) = (0.0, 0.0, f64::MIN);
        for string in strings.iter().filter(|s| s.breaker().is_closed()) {
            let source = string.source();
            siemens += 1.0 / source.ohm;
            short_a += source.volts / source.ohm;
            celsius = celsius.max(string.air_c());
        }
        if siemens == 0.0 {
            (self.volts, self.amps) = (0.0, 0.0);
            strings.iter_mut().for_each(|string| string.carry(0.0));
            return;
        }
        let all = Source { volts: short_a / siemens, ohm: 1.0 / siemens };
        self.amps = self.supply.amps(all, celsius);
        self.volts = all.volts + self.amps * all.ohm;
        let alone = self.members.len() == 1;
        for string in strings {
            let Source { volts, ohm } = string.source();
            let amps = if !string.breaker().is_closed() {
                0.0
            } else if alone {
                self.amps
            } else {
                (self.volts - volts) / ohm
            };
            string.carry(amps);
        }
    }
}
