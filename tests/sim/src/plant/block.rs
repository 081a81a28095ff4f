//! One lead-acid block: facts/battery-science.md §2.4, with the coup de fouet
//! of §2.6, the heat of §2.7, the ageing of §2.8 and the faults of §2.9.
//!
//! # Terms
//! A block is `cells` cells in series. Current into it is positive. The
//! *polarisation node* V_p is the voltage behind the ohmic resistance; from it
//! the *storage branch* leads to the charge wells (available s1, bound s2) and
//! the *parasitic branch* carries the float current (Tafel). A full block's
//! V_p floats freely above the open-circuit voltage E; below E the storage
//! branch holds it.

use super::ageing::Ageing;
use super::fault::{BlockFault, Condition, SoftShort, WeakCell};
use core::f64::consts::{LN_2, LN_10};

/// Voltage per cell at which float currents are stated, V.
const TAFEL_REF_V: f64 = 2.27;
/// Temperature at which parameters are stated, °C.
const REF_C: f64 = 25.0;
/// Share of the available well, and rate of exchange between the wells, 1/h
/// (fit to a maker's table).
const WELL_SHARE: f64 = 0.385;
const WELL_RATE_PER_H: f64 = 2.1;
/// Capacity gain with temperature, 1/K.
const CAPACITY_PER_K: f64 = 0.007;
/// Recombination efficiency of a valve-regulated cell, and the voltage that
/// escaping gas carries away.
const RECOMBINATION: f64 = 0.97;
const GAS_V: f64 = 1.48;
/// Coup de fouet: trough after this share of the capacity, gone after that one.
const DIP_AT: f64 = 0.005;
const DIP_GONE: f64 = 0.05;
/// A discharge this deep mixes a stratified electrolyte, share of the capacity.
const MIXES_AT: f64 = 0.3;
/// The ageing is brought forward so often, s: it moves in months.
const AGEING_EVERY_S: f64 = 600.0;
/// Ohmic resistance falls with temperature, but not to nothing.
const WARM_OHM_MIN: f64 = 0.4;

/// What a block is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BlockParams {
    /// Cells in series.
    pub cells: u8,
    /// Rated capacity at the 20 h rate, Ah.
    pub capacity_ah: f64,
    /// Ohmic resistance at 25 °C, Ω.
    pub r0_ohm: f64,
    /// Float current per Ah at 2.27 V/cell and 25 °C, A/Ah.
    pub i0_a_per_ah: f64,
    /// Tafel slope per cell, V per decade.
    pub tafel_v: f64,
    /// Pure Tafel overstates the current far above float: it ends here, A/Ah.
    pub parasitic_max_a_per_ah: f64,
    /// Polarisation capacitance, F.
    pub polarisation_f: f64,
    /// Self-discharge per Ah, A/Ah.
    pub self_discharge_a_per_ah: f64,
    /// Heat capacity, J/K.
    pub heat_j_per_k: f64,
    /// Heat loss to the surroundings, W/K.
    pub cooling_w_per_k: f64,
}

impl BlockParams {
    /// A new AGM block of typical values: 0.5 mA/Ah, 5 F/Ah per 12 V, 3 % a
    /// month, 0.3 kg/Ah.
    #[must_use]
    pub fn agm(cells: u8, capacity_ah: f64) -> Self {
        let size = f64::from(cells) / 6.0;
        Self {
            cells,
            capacity_ah,
            r0_ohm: size * 0.075 * capacity_ah.powf(-0.62),
            i0_a_per_ah: 0.5e-3,
            tafel_v: 0.100,
            parasitic_max_a_per_ah: 0.05,
            polarisation_f: 5.0 * capacity_ah / size,
            self_discharge_a_per_ah: 0.03 / 730.0,
            heat_j_per_k: size * 0.3 * capacity_ah * 850.0,
            cooling_w_per_k: size * 1.2 * (capacity_ah / 100.0).powf(2.0 / 3.0),
        }
    }

    /// Open-circuit voltage of a full block, V.
    #[must_use]
    pub fn full_v(&self) -> f64 {
        open_circuit_v(self.cells, 1.0)
    }
}

/// A block and its state.
#[derive(Clone, Debug)]
pub struct Block {
    params: BlockParams,
    ageing: Ageing,
    faults: Vec<BlockFault>,
    /// What age and faults have made of it.
    now: Condition,
    node_v: f64,
    available: f64,
    bound: f64,
    celsius: f64,
    /// Drawn since the block was last full, Ah.
    drawn_ah: f64,
    dip_v: f64,
    float_w: f64,
    net_w: f64,
    unaged_s: f64,
    /// Exist while the fault does.
    weak: Option<WeakCell>,
    soft: Option<SoftShort>,
}

impl Block {
    /// A full block at rest with its polarisation node at `node_v` volts.
    #[must_use]
    pub fn full(params: BlockParams, node_v: f64, celsius: f64) -> Self {
        let ageing = Ageing::default();
        Self {
            now: Condition::of(&params, &ageing, &[]),
            params,
            ageing,
            faults: Vec::new(),
            node_v,
            available: 1.0,
            bound: 1.0,
            celsius,
            drawn_ah: 0.0,
            dip_v: 0.0,
            float_w: 0.0,
            net_w: 0.0,
            unaged_s: 0.0,
            weak: None,
            soft: None,
        }
    }

    /// The same with both wells at `charge` (0 … 1) and the node at rest.
    #[must_use]
    pub fn at_charge(params: BlockParams, charge: f64, celsius: f64) -> Self {
        let charge = charge.clamp(0.0, 1.0);
        let node_v = open_circuit_v(params.cells, charge);
        Self {
            available: charge,
            bound: charge,
            drawn_ah: (1.0 - charge) * params.capacity_ah,
            ..Self::full(params, node_v, celsius)
        }
    }

    /// The same, aged.
    #[must_use]
    pub fn aged(mut self, ageing: Ageing) -> Self {
        self.ageing = ageing;
        self.renew();
        self
    }

    /// What it was built of.
    #[must_use]
    pub fn params(&self) -> &BlockParams {
        &self.params
    }

    /// What it is now, after age and faults.
    #[must_use]
    pub fn condition(&self) -> &Condition {
        &self.now
    }

    /// How old it is.
    #[must_use]
    pub fn ageing(&self) -> &Ageing {
        &self.ageing
    }

    /// What is wrong with it.
    #[must_use]
    pub fn faults(&self) -> &[BlockFault] {
        &self.faults
    }

    /// Break it; a fault of the same kind is replaced.
    pub fn inject(&mut self, fault: BlockFault) {
        self.faults.retain(|f| !f.is_like(&fault));
        self.faults.push(fault);
        self.renew();
    }

    /// Mend everything. What the faults did to charge and temperature stays.
    pub fn mend(&mut self) {
        self.faults.clear();
        self.renew();
    }

    /// Voltage at the terminals without current, V.
    #[must_use]
    pub fn source_v(&self) -> f64 {
        let weak_v = self.weak.as_ref().map_or(0.0, WeakCell::volts);
        let soft_v = self.soft.as_ref().map_or(0.0, SoftShort::volts);
        self.node_v + self.dip_v + weak_v + soft_v
    }

    /// Ohmic resistance now, Ω.
    #[must_use]
    pub fn ohm(&self) -> f64 {
        let warm = 1.0 - 0.008 * (self.celsius - REF_C);
        self.now.params.r0_ohm * warm.max(WARM_OHM_MIN) + self.now.extra_ohm
    }

    /// Nothing flows through it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.now.open
    }

    /// Temperature, °C.
    #[must_use]
    pub fn celsius(&self) -> f64 {
        self.celsius
    }

    /// State of charge, 0 … 1 of what it can hold now.
    #[must_use]
    pub fn charge(&self) -> f64 {
        (WELL_SHARE * self.available + (1.0 - WELL_SHARE) * self.bound).clamp(0.0, 1.0)
    }

    /// Current that leaves through the parasitic branch, A.
    #[must_use]
    pub fn float_a(&self) -> f64 {
        self.parasitic().0
    }

    /// What [`Self::float_a`] would be with `node_v` behind the resistance, A.
    #[must_use]
    pub fn float_a_at(&self, node_v: f64) -> f64 {
        self.parasitic_at(node_v).0
    }

    /// Heat of the parasitic branch in the last step, W.
    #[must_use]
    pub fn float_w(&self) -> f64 {
        self.float_w
    }

    /// Heat that stayed in the block in the last step, W; negative: it cools.
    #[must_use]
    pub fn net_w(&self) -> f64 {
        self.net_w
    }

    /// Take up heat from elsewhere, J.
    pub fn absorb(&mut self, joules: f64) {
        self.celsius += joules / self.now.params.heat_j_per_k;
    }

    /// Carry `amps` for `dt_s` seconds (at most 0.5, see §2.3).
    pub fn step(&mut self, amps: f64, dt_s: f64, ambient_c: f64) {
        let p = &self.now.params;
        let rest_v = open_circuit_v(p.cells, self.available) + self.now.rest_v;
        let storage_s = 1.0 / self.storage_ohm(rest_v);
        let (float_a, float_s) = self.parasitic();
        let pull = dt_s / p.polarisation_f;
        self.node_v = (self.node_v
            + pull * (amps + rest_v * storage_s - float_a + float_s * self.node_v))
            / (1.0 + pull * (storage_s + float_s));
        let stored_a = (self.node_v - rest_v) * storage_s;
        self.store(stored_a, dt_s);
        self.dip(amps, stored_a, dt_s);
        if let Some(weak) = &mut self.weak {
            weak.step(stored_a, dt_s);
        }
        if let Some(soft) = &mut self.soft {
            soft.step(float_a, dt_s);
        }
        self.warm(amps, float_a, dt_s, ambient_c);
        self.grow_old(dt_s);
    }

    /// Resistance of the storage branch, Ω: falling acceptance in charge.
    fn storage_ohm(&self, rest_v: f64) -> f64 {
        let p = &self.now.params;
        if self.node_v >= rest_v {
            self.now.acceptance * f64::from(p.cells) / 6.0 * 1.7
                / (p.capacity_ah * (1.0 - self.available + 1e-4))
        } else {
            p.r0_ohm * (0.5 + (1.0 - self.available))
        }
    }

    /// Current of the parasitic branch, A, and its slope, A/V.
    fn parasitic(&self) -> (f64, f64) {
        self.parasitic_at(self.node_v)
    }

    fn parasitic_at(&self, node_v: f64) -> (f64, f64) {
        let p = &self.now.params;
        let cells = f64::from(p.cells);
        let slope_v = cells * p.tafel_v / LN_10;
        let exponent =
            (node_v - cells * TAFEL_REF_V) / slope_v + (self.celsius - REF_C) / 10.0 * LN_2;
        let amps = p.i0_a_per_ah * self.params.capacity_ah * exponent.exp();
        let limit = p.parasitic_max_a_per_ah * self.params.capacity_ah;
        if amps < limit { (amps, amps / slope_v) } else { (limit, 0.0) }
    }

    /// Move charge: the storage branch into s1, s1 ↔ s2, self-discharge.
    fn store(&mut self, stored_a: f64, dt_s: f64) {
        let p = &self.now.params;
        let q_ah = p.capacity_ah * (1.0 + CAPACITY_PER_K * (self.celsius - REF_C));
        let hours = dt_s / 3600.0;
        let exchange_ah = q_ah
            * WELL_RATE_PER_H
            * WELL_SHARE
            * (1.0 - WELL_SHARE)
            * (self.bound - self.available)
            * hours;
        let in_ah = (stored_a - p.self_discharge_a_per_ah * p.capacity_ah) * hours;
        self.available += (in_ah + exchange_ah) / (q_ah * WELL_SHARE);
        self.bound -= exchange_ah / (q_ah * (1.0 - WELL_SHARE));
        // A little below empty the voltage has collapsed; full is full.
        self.available = self.available.clamp(-0.05, 1.0);
        self.bound = self.bound.clamp(0.0, 1.0);
    }

    /// The dip in the first minutes of a discharge after a full charge:
    /// 20 mV/cell at C/10, 80 mV/cell at 1 C.
    fn dip(&mut self, amps: f64, stored_a: f64, dt_s: f64) {
        if stored_a < 0.0 {
            self.drawn_ah -= stored_a * dt_s / 3600.0;
        } else if self.drawn_ah > 0.0 && self.charge() > 0.99 {
            self.recover();
        }
        let p = &self.now.params;
        let drawn = self.drawn_ah / p.capacity_ah;
        self.dip_v = if amps < 0.0 && drawn > 0.0 && drawn < DIP_GONE {
            let rate = (-amps / (0.1 * p.capacity_ah)).powf(0.6).min(4.0);
            let x = drawn / DIP_AT;
            -0.020 * self.now.dip * f64::from(p.cells) * rate * x * (1.0 - x).exp()
        } else {
            0.0
        };
    }

    /// Full again after a discharge: a cycle for the ageing, and a deep one
    /// has mixed the electrolyte.
    fn recover(&mut self) {
        let depth = self.drawn_ah / self.now.params.capacity_ah;
        self.drawn_ah = 0.0;
        self.ageing.cycled(depth);
        if depth > MIXES_AT && self.faults.iter().any(|f| f.is_stratification()) {
            self.faults.retain(|f| !f.is_stratification());
            self.renew();
        }
    }

    fn warm(&mut self, amps: f64, float_a: f64, dt_s: f64, ambient_c: f64) {
        let p = &self.now.params;
        let gas_v = (1.0 - RECOMBINATION) * GAS_V * f64::from(p.cells);
        // An open block carries microamperes: its megohm makes no heat.
        let ohmic_w = if self.now.open { 0.0 } else { amps * amps * self.ohm() };
        let weak_w = self.weak.as_ref().map_or(0.0, |weak| weak.watts(amps));
        self.float_w = float_a * (self.node_v - gas_v);
        self.net_w =
            ohmic_w + weak_w + self.float_w - p.cooling_w_per_k * (self.celsius - ambient_c);
        self.celsius += self.net_w * dt_s / p.heat_j_per_k;
    }

    fn grow_old(&mut self, dt_s: f64) {
        self.unaged_s += dt_s;
        if self.unaged_s >= AGEING_EVERY_S {
            let v_per_cell = self.node_v / f64::from(self.now.params.cells);
            self.ageing.advance(self.unaged_s / 3600.0, self.celsius, v_per_cell);
            self.unaged_s = 0.0;
            self.renew();
        }
    }

    /// Work out the condition anew.
    fn renew(&mut self) {
        let before = self.now.params.cells;
        self.now = Condition::of(&self.params, &self.ageing, &self.faults);
        // A shorted cell's voltage is gone at once.
        self.node_v *= f64::from(self.now.params.cells) / f64::from(before.max(1));
        let (cells, q_ah) = (self.now.params.cells, self.now.params.capacity_ah);
        let weak = self.now.weak_share;
        self.weak = weak.map(|share| match self.weak.take() {
            Some(weak) if weak.share() == share => weak,
            _ => WeakCell::new(share, q_ah, self.drawn_ah),
        });
        let soft = self.now.soft_ohm;
        self.soft = soft.map(|ohm| match self.soft.take() {
            Some(soft) if soft.ohm() == ohm => soft,
            _ => SoftShort::new(ohm, cells, &self.now.params),
        });
    }
}

/// E(s1) of an AGM block.
fn open_circuit_v(cells: u8, available: f64) -> f64 {
    // Below 1e-13 V above s1 = 0.9: saves an exponential on float.
    let knee = if available > 0.9 { 0.0 } else { 1.3 * (-available / 0.03).exp() };
    f64::from(cells) / 6.0 * (11.80 + 1.15 * available - knee)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DT: f64 = 0.5;

    /// A block whose temperature stands still, as in the facts' tables.
    fn isothermal(capacity_ah: f64) -> BlockParams {
        BlockParams { heat_j_per_k: 1e12, ..BlockParams::agm(6, capacity_ah) }
    }

    fn carry(block: &mut Block, amps: f64, seconds: f64) {
        for _ in 0..(seconds / DT).round() as usize {
            block.step(amps, DT, 25.0);
        }
    }

    /// Hours that the EP65-12 of §2.4 lasts, by the current that `draw` takes
    /// from its terminal voltage.
    fn hours_to(cutoff_v: f64, draw: impl Fn(f64) -> f64) -> f64 {
        let params = BlockParams { r0_ohm: 0.004, ..isothermal(65.0) };
        let mut block = Block::full(params, params.full_v(), 25.0);
        let (mut volts, mut seconds) = (block.source_v(), 0.0);
        while volts > cutoff_v && seconds < 100_000.0 {
            let amps = draw(volts);
            block.step(-amps, DT, 25.0);
            volts = block.source_v() - amps * block.ohm();
            seconds += DT;
        }
        seconds / 3600.0
    }

    #[test]
    fn ohmic_resistance_follows_the_fit() {
        for (ah, milliohm) in
            [(7.0, 22.0), (12.0, 16.0), (40.0, 7.6), (65.0, 5.6), (100.0, 4.3), (200.0, 2.8)]
        {
            let got = 1e3 * BlockParams::agm(6, ah).r0_ohm;
            assert!((got / milliohm - 1.0).abs() < 0.03, "{ah} Ah: {got}");
        }
    }

    #[test]
    fn full_bypass_slews_7_ah_by_257_mv_per_minute() {
        let params = isothermal(7.0);
        let mut block = Block::full(params, 13.62, 25.0);
        let before = block.source_v();
        let amps = block.float_a() - 0.150;
        carry(&mut block, amps, 6.0);
        let mv_per_min = 1e4 * (before - block.source_v());
        assert!((mv_per_min - 257.0).abs() < 5.0, "{mv_per_min}");
    }

    #[test]
    fn slope_resistance_times_capacity_is_521_ohm_ah() {
        for ah in [7.0, 100.0] {
            let settle = |factor: f64| {
                let mut block = Block::full(isothermal(ah), 13.62, 25.0);
                carry(&mut block, factor * 0.55e-3 * ah, 8.0 * 3600.0);
                block.source_v()
            };
            let product = (settle(1.01) - settle(0.99)) / (0.02 * 0.55e-3);
            assert!((product / 521.0 - 1.0).abs() < 0.06, "{ah} Ah: {product}");
        }
    }

    #[test]
    fn full_100_ah_block_relaxes_as_in_the_facts() {
        let mut block = Block::full(isothermal(100.0), 13.62, 25.0);
        let mut at = 0.0;
        for (hours, volts) in [(1.0, 13.37), (4.0, 13.10), (12.0, 12.95), (24.0, 12.95)] {
            carry(&mut block, 0.0, (hours - at) * 3600.0);
            at = hours;
            assert!((block.source_v() - volts).abs() < 0.02, "{hours} h: {}", block.source_v());
        }
    }

    #[test]
    fn full_bypass_discharges_a_healthy_100_ah_block() {
        let mut block = Block::full(isothermal(100.0), 13.62, 25.0);
        let mut at = 0.0;
        for (minutes, volts) in [(1.0, 13.60), (10.0, 13.46), (30.0, 13.19), (240.0, 12.95)] {
            carry(&mut block, -0.090, (minutes - at) * 60.0);
            at = minutes;
            assert!((block.source_v() - volts).abs() < 0.02, "{minutes} min: {}", block.source_v());
        }
        let before = block.charge();
        carry(&mut block, -0.090, 3600.0);
        let ah_per_hour = 100.0 * (before - block.charge());
        assert!((ah_per_hour - 0.09).abs() < 0.01, "{ah_per_hour}");
    }

    #[test]
    fn constant_current_discharges_err_as_the_facts_say() {
        for (amps, cutoff_v, hours, error_percent) in [
            (3.25, 10.5, 20.0, -3.0),
            (6.0, 10.5, 10.0, 1.0),
            (16.2, 10.2, 3.0, 10.0),
            (39.0, 9.6, 1.0, 3.0),
            (65.0, 9.6, 0.5, 3.0),
        ] {
            let got = 100.0 * (hours_to(cutoff_v, |_| amps) / hours - 1.0);
            assert!((got - error_percent).abs() < 2.0, "{amps} A: {got} %");
        }
    }

    #[test]
    fn constant_power_discharges_err_as_the_facts_say() {
        for (watts, minutes, error_percent) in [
            (2644.0, 5.0, -3.0),
            (1761.0, 10.0, 2.0),
            (1393.0, 15.0, -7.0),
            (840.0, 30.0, -11.0),
            (513.0, 60.0, -12.0),
        ] {
            let got = 100.0 * (60.0 * hours_to(9.6, |volts| watts / volts) / minutes - 1.0);
            assert!((got - error_percent).abs() < 2.0, "{watts} W: {got} %");
        }
    }

    #[test]
    fn coup_de_fouet_dips_and_recovers() {
        let params = isothermal(100.0);
        let mut block = Block::full(params, params.full_v(), 25.0);
        carry(&mut block, -10.0, 180.0);
        let trough = block.source_v();
        carry(&mut block, -10.0, 540.0);
        assert!(block.source_v() > trough + 0.03, "{trough} then {}", block.source_v());
    }

    #[test]
    fn heat_follows_time_constant_and_doubles_float_per_10_k() {
        let params = BlockParams::agm(6, 100.0);
        let mut block = Block::full(params, 13.62, 25.0);
        let cold_a = block.float_a();
        for _ in 0..200_000 {
            block.step(block.float_a(), DT, 35.0);
        }
        let expected = 35.0 + block.float_a() * 13.4 / params.cooling_w_per_k;
        assert!((block.celsius() - expected).abs() < 0.3, "{} °C", block.celsius());
        let hot = Block::full(params, 13.62, 35.0);
        assert!((hot.float_a() / cold_a - 2.0).abs() < 1e-9);
    }
}
