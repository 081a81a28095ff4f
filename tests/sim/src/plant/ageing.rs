//! How a block grows old: facts/battery-science.md §2.8.
//!
//! # Terms
//! The *age* is 0 for a new block and 1 at the end of its life, where 80 % of
//! the capacity is left. Heat and overvoltage make it run faster.

/// Reference temperature of the design life, °C.
const REF_C: f64 = 25.0;
/// Best float voltage per cell, V, and decades of speed per volt above it.
const BEST_V: f64 = 2.27;
const DECADES_PER_V: f64 = 4.5;
/// Ageing speed doubles every so many kelvin.
const DOUBLING_K: f64 = 10.0;
const HOURS_PER_YEAR: f64 = 8_766.0;
/// A discharge this deep, share of the capacity, forms a new block further.
const FORMING_DEPTH: f64 = 0.5;

/// Age of a block and what it follows from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ageing {
    /// 0 = new, 1 = end of life; may run on beyond.
    pub age: f64,
    /// Deep cycles so far: a new block gains capacity in the first three.
    pub cycles: f64,
    /// Life at 25 °C and the best float voltage, years.
    pub design_years: f64,
    /// How late capacity falls, 3 … 6: the exponent of the age.
    pub knee: f64,
    /// Growth of the ohmic resistance over the life, 0.3 … 1.
    pub ohm_growth: f64,
    /// 1 = real; larger to see years in hours.
    pub speed: f64,
}

impl Default for Ageing {
    /// A formed block, new, made for ten years.
    fn default() -> Self {
        Self {
            age: 0.0,
            cycles: 3.0 * 3.0 / 8.0,
            design_years: 10.0,
            knee: 4.0,
            ohm_growth: 0.6,
            speed: 1.0,
        }
    }
}

impl Ageing {
    /// Capacity in units of the rated one.
    #[must_use]
    pub fn capacity(&self) -> f64 {
        let formed = (0.97 + 0.08 * self.cycles / 3.0).min(1.05);
        (formed * (1.0 - 0.2 * self.age.powf(self.knee))).max(0.05)
    }

    /// Ohmic resistance in units of the new block's.
    #[must_use]
    pub fn resistance(&self) -> f64 {
        1.0 + self.ohm_growth * self.age.powi(3)
    }

    /// Float current in units of the new block's: threefold at the end of life
    /// (§2.1: 1 … 5 mA/Ah when aged).
    #[must_use]
    pub fn leakage(&self) -> f64 {
        1.0 + 2.0 * self.age.powi(3)
    }

    /// Grow old for `hours`.
    pub fn advance(&mut self, hours: f64, celsius: f64, v_per_cell: f64) {
        let heat = ((celsius - REF_C) / DOUBLING_K).exp2();
        // Undercharge ages otherwise (sulphation): it does not rejuvenate.
        let overvoltage = 10f64.powf(DECADES_PER_V * (v_per_cell - BEST_V).clamp(0.0, 0.3));
        let years = hours / HOURS_PER_YEAR;
        self.age += self.speed * years * heat * overvoltage / self.design_years;
    }

    /// A discharge of this depth (share of the capacity) and recharge.
    pub fn cycled(&mut self, depth: f64) {
        self.cycles += f64::from(u8::from(depth >= FORMING_DEPTH));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn years_to_end(celsius: f64, v_per_cell: f64) -> f64 {
        let mut ageing = Ageing::default();
        let mut months = 0.0;
        while ageing.age < 1.0 {
            ageing.advance(HOURS_PER_YEAR / 12.0, celsius, v_per_cell);
            months += 1.0;
        }
        months / 12.0
    }

    #[test]
    fn ten_kelvin_halve_the_life() {
        assert!((years_to_end(25.0, 2.27) - 10.0).abs() < 0.1);
        assert!((years_to_end(35.0, 2.27) - 5.0).abs() < 0.1);
    }

    #[test]
    fn a_maker_halves_the_life_at_2_33_volts() {
        assert!((years_to_end(25.0, 2.33) / 10.0 - 0.5).abs() < 0.07);
    }

    #[test]
    fn end_of_life_is_80_percent() {
        let old = Ageing { age: 1.0, ..Ageing::default() };
        assert!((old.capacity() / Ageing::default().capacity() - 0.8).abs() < 1e-9);
        assert!((old.resistance() - 1.6).abs() < 1e-9);
        let half = Ageing { age: 0.5, ..Ageing::default() };
        assert!(half.capacity() > 0.98, "the knee comes late: {}", half.capacity());
    }

    #[test]
    fn a_new_block_forms_in_its_first_cycles() {
        let mut new = Ageing { cycles: 0.0, ..Ageing::default() };
        assert!((new.capacity() - 0.97).abs() < 1e-9);
        new.cycled(0.2);
        assert!((new.capacity() - 0.97).abs() < 1e-9);
        (0..5).for_each(|_| new.cycled(0.8));
        assert!((new.capacity() - 1.05).abs() < 1e-9);
    }
}
