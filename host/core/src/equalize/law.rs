//! The control law of one block: PI, gain from the block's capacity, no
//! wind-up (facts/battery-science.md §3.2 … §3.4).
//!
//! | symbol | meaning | value |
//! |---|---|---|
//! | e | block voltage − target | V, positive: shed current |
//! | C_p | polarisation capacity of the block | 30 F/Ah · Ah / cells |
//! | n | scans that the error is smoothed over | 1, 2, 3 …: see below |
//! | K | proportional gain | C_p / (4 n T_c): critically damped with a delay of n cycles |
//! | T_i | integration time | 4 C_p / K |
//! | I | integrator | A, within 0 … bypass current |
//!
//! The bypass current wanted is K·e + I; the duty is its share of V/R_bypass.
//! Noise: the bypass can only shed, so the law rectifies noise; K σ is kept to
//! a tenth of the bypass current. Where K for n = 1 is beyond that (large
//! blocks, short cycles), e is smoothed exponentially over n scans, which
//! divides σ by √(2n − 1) and costs n cycles of delay; the smallest n that
//! satisfies both is taken.
//!
//! Nothing winds up: the integrator stands while the bypass cannot follow, be
//! it fully on or because its module derates (it reports less current than was
//! commanded); it is held, slowly bleeding, while the block rests; and after
//! any rest the duty comes back by a ramp.

use crate::battery::{BatteryType, ModuleType};

/// Polarisation capacity of a cell, F per Ah (5 F/Ah for six cells in series).
/// Fitted for lead; other chemistries take more charge per volt at the top of
/// their charge, so that the gain is too small rather than too large.
const CP_F_PER_AH_CELL: f64 = 30.0;
/// Noise of a reading that the gain is made for, V rms: white noise of the
/// module and 1 mV steps.
const READING_NOISE_V: f64 = 0.0015;
/// Share of the bypass current that noise may move.
const NOISE_SHARE: f64 = 0.1;
/// After a rest the duty comes back by this share per cycle.
const RAMP_PER_CYCLE: f64 = 0.1;
/// Time in which the integrator of a resting block bleeds away, s.
const BLEED_S: f64 = 12.0 * 3_600.0;
/// Heat of a bypass over its heat at the data sheet's current: in boost the
/// duty is bound so that the heat stays at the sheet's peak.
const PEAK_HEAT: f64 = 1.1;
/// A module that bypasses less than this share of what was commanded, less
/// this share of its full current, for this many scans, does not follow.
const FOLLOWS_SHARE: f64 = 0.9;
const FOLLOWS_FULL_SHARE: f64 = 0.02;
const FOLLOWS_SCANS: u8 = 5;

/// The law of a block with its state.
#[derive(Clone, Debug)]
pub(super) struct Law {
    /// 1 / n.
    smoothing: f64,
    gain_a_per_v: f64,
    /// T_c / T_i.
    integral_share: f64,
    bypass_ohm: f64,
    /// Most heat, W.
    heat_w: f64,
    integrator_a: f64,
    /// Smoothed error, V.
    error_v: Option<f64>,
    /// Commanded in the last step, A.
    commanded_a: f64,
    lagging_scans: u8,
    ramp: f64,
}

/// What the law wants.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Wish {
    /// Share of the time that the bypass is on, 0 … 1.
    pub fraction: f64,
    /// The bypass is as much on as it can be, and that does not suffice.
    pub saturated: bool,
    /// The module bypasses less than commanded.
    pub limited: bool,
}

/// 1/n and K, see the head of this file.
fn gain(cp_f: f64, cycle_s: f64, bypass_a: f64) -> (f64, f64) {
    let limit_a_per_v = NOISE_SHARE * bypass_a / READING_NOISE_V;
    let mut n = 1.0;
    // Ends: the left side falls and the right side rises with n.
    while cp_f / (4.0 * n * cycle_s) > limit_a_per_v * (2.0 * n - 1.0_f64).sqrt() {
        n += 1.0;
    }
    (1.0 / n, cp_f / (4.0 * n * cycle_s))
}

impl Law {
    pub fn new(battery: &BatteryType, module: &ModuleType, cycle_s: f64) -> Self {
        let cp_f = CP_F_PER_AH_CELL * battery.capacity_ah / battery.cells_f64();
        let (smoothing, gain_a_per_v) = gain(cp_f, cycle_s, module.bypass_a);
        Self {
            smoothing,
            gain_a_per_v,
            integral_share: cycle_s * gain_a_per_v / (4.0 * cp_f),
            bypass_ohm: module.bypass_ohm,
            heat_w: PEAK_HEAT * module.bypass_a * module.bypass_a * module.bypass_ohm,
            integrator_a: 0.0,
            error_v: None,
            commanded_a: 0.0,
            lagging_scans: 0,
            ramp: 0.0,
        }
    }

    /// Current of the bypass when it is as much on as its heat allows, A.
    pub fn full_a(&self, voltage_v: f64) -> f64 {
        let amps = (voltage_v / self.bypass_ohm).max(0.0);
        let allowed = self.heat_w / (voltage_v * amps);
        if allowed < 1.0 { amps * allowed } else { amps }
    }

    /// A cycle with the bypass off.
    pub fn rest(&mut self, cycle_s: f64) {
        self.integrator_a *= (1.0 - cycle_s / BLEED_S).max(0.0);
        (self.error_v, self.commanded_a) = (None, 0.0);
        (self.lagging_scans, self.ramp) = (0, 0.0);
    }

    /// A cycle of control; `applied_a` is what the module bypassed before the scan.
    pub fn step(&mut self, voltage_v: f64, error_v: f64, applied_a: f64) -> Wish {
        let full_a = self.full_a(voltage_v);
        let on_a = voltage_v / self.bypass_ohm;
        if full_a <= 0.0 || on_a <= 0.0 {
            return Wish { fraction: 0.0, saturated: false, limited: false };
        }
        let limited = self.lags(full_a, applied_a);
        let error_v = self.smooth(error_v);
        let proportional_a = self.gain_a_per_v * error_v;
        let wanted_a = proportional_a + self.integrator_a;
        let at_end = wanted_a >= full_a || limited;
        let pushes_out = (at_end && error_v > 0.0) || (wanted_a <= 0.0 && error_v < 0.0);
        if !pushes_out {
            self.integrator_a += proportional_a * self.integral_share;
        }
        let most_a = if limited { applied_a.clamp(0.0, full_a) } else { full_a };
        self.integrator_a = self.integrator_a.clamp(0.0, most_a);
        self.ramp = (self.ramp + RAMP_PER_CYCLE).min(1.0);
        self.commanded_a = wanted_a.clamp(0.0, full_a) * self.ramp;
        let saturated = at_end && error_v > 0.0;
        Wish { fraction: self.commanded_a / on_a, saturated, limited }
    }

    pub fn integrator_a(&self) -> f64 {
        self.integrator_a
    }

    /// Take the common mode away.
    pub fn lower(&mut self, amps: f64) {
        self.integrator_a = (self.integrator_a - amps).max(0.0);
    }

    fn lags(&mut self, full_a: f64, applied_a: f64) -> bool {
        let least_a = FOLLOWS_SHARE * self.commanded_a - FOLLOWS_FULL_SHARE * full_a;
        self.lagging_scans =
            if applied_a < least_a { self.lagging_scans.saturating_add(1) } else { 0 };
        self.lagging_scans >= FOLLOWS_SCANS
    }

    fn smooth(&mut self, error_v: f64) -> f64 {
        let smoothed =
            self.error_v.map_or(error_v, |last| last + self.smoothing * (error_v - last));
        self.error_v = Some(smoothed);
        smoothed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::battery::{Chemistry, ModuleKind};

    fn law() -> Law {
        let battery = BatteryType::new(Chemistry::Agm, 6, 7.0);
        Law::new(&battery, ModuleKind::C20.data(), 1.0)
    }

    /// Steps at a constant error with a module that does as commanded.
    fn follow(law: &mut Law, error_v: f64, cycles: usize) -> Wish {
        (0..cycles).map(|_| law.step(13.7, error_v, law.commanded_a)).last().expect("cycles")
    }

    #[test]
    fn duty_comes_in_by_a_ramp_after_every_rest() {
        let mut law = law();
        assert!((follow(&mut law, 0.2, 1).fraction - 0.1).abs() < 1e-9);
        assert!((follow(&mut law, 0.2, 20).fraction - 1.0).abs() < 1e-9);
        law.rest(1.0);
        assert!((follow(&mut law, 0.2, 1).fraction - 0.1).abs() < 1e-9);
    }

    #[test]
    fn a_rest_holds_the_integrator_and_bleeds_it_in_hours() {
        let mut law = law();
        follow(&mut law, 0.005, 600);
        let before = law.integrator_a();
        assert!(before > 0.01, "{before}");
        (0..60).for_each(|_| law.rest(1.0));
        assert!(law.integrator_a() > 0.99 * before);
        (0..24 * 3_600).for_each(|_| law.rest(1.0));
        assert!(law.integrator_a() < 0.2 * before);
    }

    #[test]
    fn nothing_winds_up_while_saturated() {
        let mut law = law();
        follow(&mut law, 0.2, 7_200);
        let wish = follow(&mut law, -0.01, 10);
        assert_eq!(wish.fraction, 0.0, "an hour of saturation is forgotten at once");
    }

    #[test]
    fn a_derated_module_is_noticed_and_never_wound_up_against() {
        let mut law = law();
        let derated = |law: &mut Law, cycles: usize| {
            (0..cycles)
                .map(|_| law.step(13.7, 0.01, law.commanded_a.min(0.03)))
                .last()
                .expect("cycles")
        };
        let wish = derated(&mut law, 3_600);
        assert!(wish.limited && wish.saturated, "{wish:?}");
        assert!(law.integrator_a() <= 0.031, "{}", law.integrator_a());
        let wish = follow(&mut law, 0.0, 2);
        assert!(!wish.limited && wish.fraction < 0.3, "{wish:?}");
    }

    #[test]
    fn heat_is_bound_in_boost() {
        let law = law();
        assert!((law.full_a(13.605) - 0.15).abs() < 1e-4);
        let watts = law.full_a(15.0) * 15.0;
        assert!((watts - 2.245).abs() < 0.01, "{watts} W; the sheet says 2.24 W");
    }

    #[test]
    fn gain_is_damped_and_quiet_for_every_size() {
        for (ah, cells, module) in [
            (7.0, 6.0, ModuleKind::C20),
            (200.0, 6.0, ModuleKind::C20),
            (9_000.0, 1.0, ModuleKind::C40),
        ] {
            let cp_f = CP_F_PER_AH_CELL * ah / cells;
            let (smoothing, gain) = gain(cp_f, 1.0, module.data().bypass_a);
            assert!(gain <= cp_f * smoothing / 4.0 + 1e-9);
            let noise_v = READING_NOISE_V / (2.0 / smoothing - 1.0).sqrt();
            assert!(gain * noise_v <= NOISE_SHARE * module.data().bypass_a * 1.001);
        }
    }
}
