//! A series string on its charger: the Kirchhoff equations of
//! facts/battery-science.md §2.3.
//!
//! # Terms
//! A *place* is a block with its module's terminals. Each module draws its own
//! supply current and, at duty d, the bypass current d·V/R_b from its block.
//! With mains, a charger of constant voltage feeds the string through the
//! wiring, up to its current limit and never backwards. Without mains, the
//! string feeds a load of constant power until its voltage reaches the
//! inverter's cut-off.

use super::block::Block;

/// Longest step of the integration, s: the set is stiff (§2.3, numerics).
pub const STEP_MAX_S: f64 = 0.5;

/// The charger and the wiring to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Charger {
    /// Set voltage, V.
    pub volts: f64,
    /// Current limit, A.
    pub limit_a: f64,
    /// Wiring, links and shunt, Ω.
    pub wiring_ohm: f64,
}

/// What hangs on the string without mains.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// Constant power, W.
    pub watts: f64,
    /// The inverter stops below this string voltage, V.
    pub cutoff_v: f64,
}

/// A block in its string.
#[derive(Clone, Debug)]
pub struct Place {
    block: Block,
    module_a: f64,
    duty: f64,
    volts: f64,
    amps: f64,
}

impl Place {
    /// A block whose module draws `module_a` for itself.
    #[must_use]
    pub fn new(block: Block, module_a: f64) -> Self {
        let volts = block.source_v();
        Self { block, module_a, duty: 0.0, volts, amps: 0.0 }
    }

    /// The block.
    #[must_use]
    pub fn block(&self) -> &Block {
        &self.block
    }

    /// Voltage across the block's terminals, V.
    #[must_use]
    pub fn volts(&self) -> f64 {
        self.volts
    }

    /// Current into the block, A.
    #[must_use]
    pub fn amps(&self) -> f64 {
        self.amps
    }
}

/// Blocks in series.
#[derive(Clone, Debug)]
pub struct PlantString {
    places: Vec<Place>,
    bypass_ohm: f64,
    charger: Charger,
    load: Load,
    ambient_c: f64,
    mains: bool,
    /// The inverter met its cut-off; it stays off until mains returns.
    cut_off: bool,
    amps: f64,
}

impl PlantString {
    /// A string with mains on and every bypass off.
    #[must_use]
    pub fn new(
        places: Vec<Place>,
        bypass_ohm: f64,
        charger: Charger,
        load: Load,
        ambient_c: f64,
    ) -> Self {
        let mut string = Self {
            places,
            bypass_ohm,
            charger,
            load,
            ambient_c,
            mains: true,
            cut_off: false,
            amps: 0.0,
        };
        string.solve();
        string
    }

    /// The blocks in order.
    #[must_use]
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// Current into the string, A; negative while it feeds the load.
    #[must_use]
    pub fn amps(&self) -> f64 {
        self.amps
    }

    /// The charger.
    #[must_use]
    pub fn charger(&self) -> &Charger {
        &self.charger
    }

    /// Sum of the block voltages, V.
    #[must_use]
    pub fn volts(&self) -> f64 {
        self.places.iter().map(Place::volts).sum()
    }

    /// True after the inverter met its cut-off, until mains returns.
    #[must_use]
    pub fn is_cut_off(&self) -> bool {
        self.cut_off
    }

    /// Mains fails or returns.
    pub fn set_mains(&mut self, on: bool) {
        self.mains = on;
        self.cut_off &= !on;
        self.solve();
    }

    /// Change the room temperature, °C.
    pub fn set_ambient(&mut self, celsius: f64) {
        self.ambient_c = celsius;
    }

    /// Set the bypass of one place, clamped to 0 … 1, from the next step on.
    /// A place that does not exist is ignored.
    pub fn set_duty(&mut self, place: usize, duty: f64) {
        if let Some(place) = self.places.get_mut(place) {
            place.duty = duty.clamp(0.0, 1.0);
        }
    }

    /// Let `dt_s` seconds pass, in steps of at most [`STEP_MAX_S`].
    pub fn step(&mut self, dt_s: f64) {
        let steps = (dt_s / STEP_MAX_S).ceil().max(1.0);
        let dt_s = dt_s / steps;
        for _ in 0..steps as u64 {
            self.solve();
            for place in &mut self.places {
                place.block.step(place.amps, dt_s, self.ambient_c);
            }
            // `volts` are those under the load, before this step's change.
            self.cut_off |= !self.mains && self.volts() < self.load.cutoff_v;
        }
        self.solve();
    }

    /// Currents and voltages that satisfy Kirchhoff now.
    fn solve(&mut self) {
        let (mut source_v, mut ohm) = (0.0, 0.0);
        for place in &self.places {
            let share = self.share(place);
            source_v += share * (place.block.source_v() - place.module_a * place.block.ohm());
            ohm += share * place.block.ohm();
        }
        self.amps = self.string_amps(source_v, ohm);
        for index in 0..self.places.len() {
            let share = self.share(&self.places[index]);
            let place = &mut self.places[index];
            let net_a = self.amps - place.module_a;
            place.volts = share * (place.block.source_v() + net_a * place.block.ohm());
            place.amps = net_a - place.duty * place.volts / self.bypass_ohm;
        }
    }

    /// a_k of §2.3: the voltage divider of resistance and bypass.
    fn share(&self, place: &Place) -> f64 {
        1.0 / (1.0 + place.duty * place.block.ohm() / self.bypass_ohm)
    }

    /// Current of a string that is `source_v` behind `ohm`.
    fn string_amps(&self, source_v: f64, ohm: f64) -> f64 {
        if self.mains {
            let amps = (self.charger.volts - source_v) / (self.charger.wiring_ohm + ohm);
            amps.clamp(0.0, self.charger.limit_a)
        } else if self.cut_off || source_v <= 0.0 {
            0.0
        } else {
            // I·(source + I·ohm) = −P; beyond the largest power there is no
            // solution and the string delivers what it can.
            let root = (source_v * source_v - 4.0 * ohm * self.load.watts).max(0.0).sqrt();
            (root - source_v) / (2.0 * ohm)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::block::BlockParams;
    use super::*;
    use proptest::prelude::*;

    const LOAD: Load = Load { watts: 1_500.0, cutoff_v: 307.0 };

    fn string(node_v: &[f64], capacity_ah: f64, module_a: f64) -> PlantString {
        let params = BlockParams::agm(6, capacity_ah);
        let places =
            node_v.iter().map(|v| Place::new(Block::full(params, *v, 25.0), module_a)).collect();
        let charger = Charger { volts: node_v.iter().sum(), limit_a: 2.0, wiring_ohm: 0.05 };
        PlantString::new(places, 90.7, charger, LOAD, 25.0)
    }

    #[test]
    fn bypassed_block_falls_and_the_others_rise() {
        let mut s = string(&[13.62; 32], 7.0, 0.0175);
        s.set_duty(4, 1.0);
        s.step(12.0);
        let fall_mv_per_min = 5e3 * (13.62 - s.places()[4].block().source_v());
        assert!((fall_mv_per_min - 257.0 * 31.0 / 32.0).abs() < 8.0, "{fall_mv_per_min}");
        assert!(s.places()[5].volts() > 13.62);
    }

    #[test]
    fn recharge_of_100_ah_tapers_as_in_the_facts() {
        let params = BlockParams { heat_j_per_k: 1e12, ..BlockParams::agm(6, 100.0) };
        let block = Block::at_charge(params, 0.5, 25.0);
        let charger = Charger { volts: 13.62, limit_a: 20.0, wiring_ohm: 0.0 };
        let mut s = PlantString::new(vec![Place::new(block, 0.0)], 90.7, charger, LOAD, 25.0);
        let mut at = 0.0;
        for (hours, amps) in
            [(2.0, 7.9), (4.0, 3.9), (8.0, 1.1), (14.0, 0.23), (24.0, 0.060), (40.0, 0.054)]
        {
            s.step((hours - at) * 3600.0);
            at = hours;
            assert!((s.amps() / amps - 1.0).abs() < 0.10, "{hours} h: {} A", s.amps());
        }
    }

    #[test]
    fn discharge_delivers_the_load_until_cut_off() {
        let mut s = string(&[13.62; 32], 7.0, 0.0175);
        s.set_mains(false);
        s.step(60.0);
        assert!((s.amps() * s.volts() + 1_500.0).abs() < 1e-6, "{} W", s.amps() * s.volts());
        s.step(7_200.0);
        assert!(s.is_cut_off() && s.amps() == 0.0, "{} V", s.volts());
        s.set_mains(true);
        s.step(60.0);
        assert!(!s.is_cut_off());
        assert!((s.amps() - 2.0).abs() < 1e-9, "bulk charge at the limit: {}", s.amps());
    }

    #[test]
    fn charger_never_draws() {
        let mut s = string(&[13.62; 8], 7.0, 0.0175);
        s.charger.volts = 100.0;
        s.step(1.0);
        assert_eq!(s.amps(), 0.0);
    }

    proptest! {
        #[test]
        fn kirchhoff_holds(
            node_v in proptest::collection::vec(12.96f64..14.6, 2..12),
            duties in proptest::collection::vec(0.0f64..=1.0, 12),
            mains: bool, capacity_ah in 7.0f64..200.0,
        ) {
            let mut s = string(&node_v, capacity_ah, 0.0175);
            s.load.cutoff_v = 0.0;
            s.set_mains(mains);
            for (place, duty) in duties.iter().enumerate() {
                s.set_duty(place, *duty);
            }
            s.step(1.0);
            for place in s.places() {
                let bypass_a = place.duty * place.volts / 90.7;
                prop_assert!((s.amps() - place.module_a - bypass_a - place.amps).abs() < 1e-9);
                let behind_v = place.block.source_v() + place.amps * place.block.ohm();
                prop_assert!((place.volts - behind_v).abs() < 1e-9);
            }
            if !mains {
                prop_assert!((s.amps() * s.volts() + LOAD.watts).abs() < 1e-6);
            } else if s.amps() > 0.0 && s.amps() < 2.0 {
                let drop_v = s.charger.volts - s.volts() - s.amps() * s.charger.wiring_ohm;
                prop_assert!(drop_v.abs() < 1e-9, "{}", drop_v);
            }
        }
    }
}
