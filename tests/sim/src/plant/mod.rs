//! The batteries: blocks, strings, and the plant of all strings.
//!
//! Follows facts/battery-science.md §2. Deterministic: a plant is a function
//! of its specification, the duties and the time steps.
//!
//! # Terms
//! A *bank* is a DC bus with its charger and load and the strings on it: one,
//! or several in parallel, which then share one voltage.

mod ageing;
mod bank;
mod block;
mod breaker;
mod fault;
mod probe;
mod spec;
mod string;
mod supply;

pub use ageing::Ageing;
pub use bank::Bank;
pub use block::{Block, BlockParams};
pub use breaker::Breaker;
pub use fault::{BlockFault, Condition};
pub use probe::{Ntc, Probe};
pub use spec::StringSpec;
pub use string::{LOST_C, Place, PlantString, Runaway, STEP_MAX_S, Surroundings};
pub use supply::{Charger, Load, Supply};

use crate::device::DevicePlant;
use crate::module::{Sense, Sensed};

/// All strings. Modules count through: the first block of the second string
/// follows the last of the first.
#[derive(Clone, Debug)]
pub struct Plant {
    strings: Vec<PlantString>,
    banks: Vec<Bank>,
    /// (string, place) by module number.
    index: Vec<(usize, usize)>,
    /// By module number.
    probes: Vec<Probe>,
}

impl Plant {
    /// A plant of these banks, each a supply and its strings.
    #[must_use]
    pub fn new(groups: Vec<(Supply, Vec<PlantString>)>) -> Self {
        let (mut strings, mut banks) = (Vec::new(), Vec::new());
        for (supply, members) in groups {
            let first = strings.len();
            strings.extend(members);
            banks.push(Bank::new(supply, first..strings.len()));
        }
        let index: Vec<_> = strings
            .iter()
            .enumerate()
            .flat_map(|(s, string)| (0..string.places().len()).map(move |place| (s, place)))
            .collect();
        let probes = vec![Probe::default(); index.len()];
        let mut plant = Self { strings, banks, index, probes };
        plant.settle();
        plant
    }

    /// The strings in order.
    #[must_use]
    pub fn strings(&self) -> &[PlantString] {
        &self.strings
    }

    /// A string, to break it or move its breaker.
    pub fn string_mut(&mut self, string: usize) -> Option<&mut PlantString> {
        self.strings.get_mut(string)
    }

    /// The DC buses.
    #[must_use]
    pub fn banks(&self) -> &[Bank] {
        &self.banks
    }

    /// The DC bus of a string.
    pub fn bank_of_mut(&mut self, string: usize) -> Option<&mut Bank> {
        self.banks.iter_mut().find(|bank| bank.members().contains(&string))
    }

    /// Number of blocks, and so of modules.
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.index.len()
    }

    /// True voltages of a string's blocks, V; nothing for a string that does
    /// not exist.
    pub fn volts(&self, string: usize) -> impl Iterator<Item = f64> + Clone + '_ {
        self.strings.get(string).into_iter().flat_map(|s| s.places().iter().map(Place::volts))
    }

    /// What a module measures with.
    pub fn probe_mut(&mut self, module: usize) -> Option<&mut Probe> {
        self.probes.get_mut(module)
    }

    /// The string and the place that a module sits on.
    #[must_use]
    pub fn place_of(&self, module: usize) -> Option<(usize, usize)> {
        self.index.get(module).copied()
    }

    /// Two modules were mounted on each other's block. Unknown ones are
    /// ignored.
    pub fn swap_modules(&mut self, one: usize, other: usize) {
        if one.max(other) < self.index.len() {
            self.index.swap(one, other);
        }
    }

    /// Mains fails or returns for all strings.
    pub fn set_mains(&mut self, on: bool) {
        self.banks.iter_mut().for_each(|bank| bank.set_mains(on));
        self.settle();
    }

    /// Change the temperature of every room, °C, evenly over `seconds`.
    pub fn set_ambient(&mut self, celsius: f64, seconds: f64) {
        self.strings.iter_mut().for_each(|s| s.set_ambient(celsius, seconds));
    }

    /// Set a module's bypass, 0 … 1. Unknown modules are ignored.
    pub fn set_duty(&mut self, module: usize, duty: f64) {
        if let Some((string, place)) = self.index.get(module) {
            self.strings[*string].set_duty(*place, duty);
        }
    }

    /// Let `dt_s` seconds pass everywhere, in steps of at most [`STEP_MAX_S`].
    pub fn step(&mut self, dt_s: f64) {
        let steps = (dt_s / STEP_MAX_S).ceil().max(1.0);
        let dt_s = dt_s / steps;
        for _ in 0..steps as u64 {
            self.settle();
            self.banks.iter_mut().for_each(Bank::watch);
            self.strings.iter_mut().for_each(|string| string.step(dt_s));
        }
        self.settle();
    }

    /// Currents and voltages that fit what was changed since the last step.
    pub fn settle(&mut self) {
        for bank in &mut self.banks {
            bank.solve(&mut self.strings);
        }
    }
}

impl Sense for Plant {
    fn sense(&self, module: usize) -> Sensed {
        let Some((string, place)) = self.place_of(module) else {
            return Sensed::DISCONNECTED;
        };
        let place = &self.strings[string].places()[place];
        let block = place.block();
        let volts = if place.is_fuse_blown() { 0.0 } else { place.volts() };
        self.probes[module].sense(Sensed { volts, celsius: block.celsius(), ohm: block.ohm() })
    }
}

impl DevicePlant for Plant {
    fn string_amps(&self, string: usize) -> f64 {
        self.strings.get(string).map_or(0.0, PlantString::amps)
    }

    fn breaker_is_open(&self, string: usize) -> bool {
        self.strings.get(string).is_some_and(|s| !s.breaker().feedback_closed())
    }

    fn command_breaker(&mut self, string: usize, trip: bool) {
        if let Some(string) = self.strings.get_mut(string).filter(|_| trip) {
            string.breaker_mut().trip();
        }
    }

    fn command_test(&mut self, string: usize, on: bool) {
        if let Some(bank) = self.bank_of_mut(string) {
            bank.command_test(string, on);
        }
    }
}
