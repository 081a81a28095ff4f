//! What feeds a DC bus and what hangs on it: charger and load of
//! facts/battery-science.md §2.3.

/// The charger and the wiring to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Charger {
    /// Set voltage at 25 °C, V.
    pub volts: f64,
    /// Voltage while it boosts, V.
    pub boost_volts: f64,
    /// Distance between what is set and what comes out, V.
    pub error_v: f64,
    /// Temperature compensation, V/K; negative: less when warm.
    pub compensation_v_per_k: f64,
    /// Current limit, A.
    pub limit_a: f64,
    /// Wiring, links and shunt, Ω.
    pub wiring_ohm: f64,
    /// It charges.
    pub on: bool,
    /// It boosts.
    pub boost: bool,
}

impl Charger {
    /// A charger without compensation and error.
    #[must_use]
    pub fn new(volts: f64, limit_a: f64, wiring_ohm: f64) -> Self {
        Self {
            volts,
            boost_volts: volts,
            error_v: 0.0,
            compensation_v_per_k: 0.0,
            limit_a,
            wiring_ohm,
            on: true,
            boost: false,
        }
    }

    /// Voltage that it regulates to with its sensor at `celsius`, V. Makers
    /// compensate between 5 and 40 °C only.
    #[must_use]
    pub fn output_v(&self, celsius: f64) -> f64 {
        let set_v = if self.boost { self.boost_volts } else { self.volts };
        set_v + self.error_v + self.compensation_v_per_k * (celsius.clamp(5.0, 40.0) - 25.0)
    }
}

/// What hangs on the strings without mains.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// Constant power, W.
    pub watts: f64,
    /// The inverter stops below this voltage, V.
    pub cutoff_v: f64,
}

/// What an inverter that has stopped still draws, as a resistance, Ω: it is
/// why a string with an open link shows hundreds of volts across the gap.
const BLEED_OHM: f64 = 100_000.0;

/// A DC bus: charger, load, mains.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Supply {
    /// The charger.
    pub charger: Charger,
    /// The load.
    pub load: Load,
    mains: bool,
    /// The UPS tests the battery: it lives from it although mains are there.
    testing: bool,
    /// The inverter met its cut-off; it stays off until mains returns.
    cut_off: bool,
}

/// What the strings on a bus are together: a voltage behind a resistance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Source {
    pub volts: f64,
    pub ohm: f64,
}

impl Supply {
    /// With mains.
    #[must_use]
    pub fn new(charger: Charger, load: Load) -> Self {
        Self { charger, load, mains: true, testing: false, cut_off: false }
    }

    /// Mains is there.
    #[must_use]
    pub fn has_mains(&self) -> bool {
        self.mains
    }

    /// True after the inverter met its cut-off, until mains feed it again.
    #[must_use]
    pub fn is_cut_off(&self) -> bool {
        self.cut_off
    }

    /// Mains fails or returns.
    pub(super) fn set_mains(&mut self, on: bool) {
        self.mains = on;
        self.cut_off &= !self.is_fed();
    }

    /// The UPS is told to test the battery, or not to.
    pub(super) fn set_testing(&mut self, on: bool) {
        self.testing = on;
        self.cut_off &= !self.is_fed();
    }

    /// Mains feed load and charger.
    fn is_fed(&self) -> bool {
        self.mains && !self.testing
    }

    /// The bus stands at `volts`: does the inverter stop?
    pub(super) fn watch(&mut self, volts: f64) {
        self.cut_off |= !self.is_fed() && volts < self.load.cutoff_v;
    }

    /// Current into the strings, A.
    pub(super) fn amps(&self, source: Source, celsius: f64) -> f64 {
        let Source { volts, ohm } = source;
        if self.is_fed() {
            let charger = &self.charger;
            let amps = (charger.output_v(celsius) - volts) / (charger.wiring_ohm + ohm);
            if charger.on { amps.clamp(0.0, charger.limit_a) } else { 0.0 }
        } else if self.cut_off || volts <= 0.0 {
            -volts.max(0.0) / (ohm + BLEED_OHM)
        } else {
            // I·(volts + I·ohm) = −P; beyond the largest power there is no
            // solution and the strings deliver what they can.
            let root = (volts * volts - 4.0 * ohm * self.load.watts).max(0.0).sqrt();
            (root - volts) / (2.0 * ohm)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compensation_ends_where_makers_end_it() {
        let charger =
            Charger { compensation_v_per_k: -0.018, error_v: 0.1, ..Charger::new(13.5, 1.0, 0.0) };
        for (celsius, volts) in [(-20.0, 13.96), (25.0, 13.6), (30.0, 13.51), (60.0, 13.33)] {
            assert!((charger.output_v(celsius) - volts).abs() < 1e-9, "{celsius}");
        }
    }

    #[test]
    fn charger_neither_draws_nor_exceeds_its_limit() {
        let load = Load { watts: 100.0, cutoff_v: 10.0 };
        let mut supply = Supply::new(Charger::new(13.5, 2.0, 0.01), load);
        assert_eq!(supply.amps(Source { volts: 14.0, ohm: 0.01 }, 25.0), 0.0);
        assert_eq!(supply.amps(Source { volts: 12.0, ohm: 0.01 }, 25.0), 2.0);
        supply.charger.on = false;
        assert_eq!(supply.amps(Source { volts: 12.0, ohm: 0.01 }, 25.0), 0.0);
    }
}
