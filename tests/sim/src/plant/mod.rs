//! The batteries: blocks, strings, and the plant of all strings.
//!
//! Follows facts/battery-science.md §2. Deterministic: a plant is a function
//! of its specification, the duties and the time steps.

mod block;
mod spec;
mod string;

pub use block::{Block, BlockParams};
pub use spec::StringSpec;
pub use string::{Charger, Load, Place, PlantString, STEP_MAX_S};

use crate::module::{Sense, Sensed};

/// All strings. Modules count through: the first block of the second string
/// follows the last of the first.
#[derive(Clone, Debug)]
pub struct Plant {
    strings: Vec<PlantString>,
    /// (string, place) by module number.
    index: Vec<(usize, usize)>,
}

impl Plant {
    /// A plant of these strings.
    #[must_use]
    pub fn new(strings: Vec<PlantString>) -> Self {
        let index = strings
            .iter()
            .enumerate()
            .flat_map(|(s, string)| (0..string.places().len()).map(move |place| (s, place)))
            .collect();
        Self { strings, index }
    }

    /// The strings in order.
    #[must_use]
    pub fn strings(&self) -> &[PlantString] {
        &self.strings
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

    /// Mains fails or returns for all strings.
    pub fn set_mains(&mut self, on: bool) {
        self.strings.iter_mut().for_each(|s| s.set_mains(on));
    }

    /// Change the room temperature, °C.
    pub fn set_ambient(&mut self, celsius: f64) {
        self.strings.iter_mut().for_each(|s| s.set_ambient(celsius));
    }

    /// Set a module's bypass, 0 … 1. Unknown modules are ignored.
    pub fn set_duty(&mut self, module: usize, duty: f64) {
        if let Some((string, place)) = self.index.get(module) {
            self.strings[*string].set_duty(*place, duty);
        }
    }

    /// Let `dt_s` seconds pass everywhere.
    pub fn step(&mut self, dt_s: f64) {
        self.strings.iter_mut().for_each(|s| s.step(dt_s));
    }
}

impl Sense for Plant {
    fn sense(&self, module: usize) -> Sensed {
        self.index.get(module).map_or(Sensed::DISCONNECTED, |(string, place)| {
            let place = &self.strings[*string].places()[*place];
            let block = place.block();
            Sensed { volts: place.volts(), celsius: block.celsius(), ohm: block.ohm() }
        })
    }
}
