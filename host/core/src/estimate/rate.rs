//! How much of its rated capacity a new block gives at another current and
//! temperature.
//!
//! facts/battery-science.md §2.6: Peukert's exponent rises with the rate, so a
//! table interpolated log-log replaces it. The maker's table is used where the
//! battery type has one, otherwise the table of a typical AGM block.

use crate::battery::BatteryType;

use super::shape::{cell_prior, interpolate};

/// Current over rated capacity (1/h) and the share of the 20 h capacity that
/// it draws: Exide EP65-12, by current down to half an hour, by power below.
const LEAD: [(f64, f64); 7] = [
    (0.05, 1.0),
    (0.0923, 0.923),
    (0.249, 0.748),
    (0.6, 0.60),
    (1.0, 0.50),
    (2.54, 0.42),
    (3.8, 0.32),
];
const NICKEL: [(f64, f64); 4] = [(0.05, 1.02), (0.2, 1.0), (1.0, 0.92), (3.0, 0.80)];
const LITHIUM: [(f64, f64); 3] = [(0.05, 1.01), (0.5, 1.0), (3.0, 0.96)];
/// Lines of a data sheet that are used at most.
const LINES_MAX: usize = 32;

/// Deliverable capacity over rated capacity.
#[derive(Clone, Debug)]
pub(super) struct Rate {
    /// (ln(current / rated capacity), ln share), ascending.
    table: Vec<(f64, f64)>,
    per_k: (f64, f64),
    /// The table is the maker's own.
    pub stated: bool,
}

impl Rate {
    /// For this type of block.
    pub(super) fn new(battery: &BatteryType) -> Self {
        let data = battery.chemistry_data();
        let mut table: Vec<(f64, f64)> = Vec::new();
        let rows = battery.discharges.iter().take(LINES_MAX);
        for point in rows {
            // Mean voltage of a discharge: a little below nominal.
            let amps = point.amps.or(point.watts.map(|w| w / (0.96 * battery.nominal_v())));
            let Some(amps) = amps else { continue };
            let share = amps * point.minutes / 60.0 / battery.capacity_ah;
            if share > 0.02 && share < 2.0 {
                table.push(((amps / battery.capacity_ah).ln(), share.ln()));
            }
        }
        table.sort_by(|a, b| a.0.total_cmp(&b.0));
        table.dedup_by(|a, b| a.0 - b.0 < 1e-3);
        let stated = table.len() >= 2;
        if !stated {
            let generic: &[(f64, f64)] = match (data.lead, data.lithium) {
                (true, _) => &LEAD,
                (_, true) => &LITHIUM,
                _ => &NICKEL,
            };
            table = generic.iter().map(|(rate, share)| (rate.ln(), share.ln())).collect();
            let rated = interpolate(&table, (1.0 / battery.rated_hours).ln());
            table.iter_mut().for_each(|line| line.1 -= rated);
        }
        Self { table, per_k: cell_prior(battery).per_k, stated }
    }

    /// Share of the rated capacity that `rate` (current over capacity, 1/h)
    /// draws from a new block at 25 °C.
    pub(super) fn share(&self, rate: f64) -> f64 {
        let (first, last) = (self.table[0], self.table[self.table.len() - 1]);
        let rate = rate.max(1e-6).ln();
        // Slower than the slowest line: hardly more comes out.
        if rate < first.0 {
            return (first.1 - 0.05 * (rate - first.0).max(-2.0)).exp();
        }
        let slope_end = (last.0 + 0.7, last.1 - 0.25);
        let ln = if rate > last.0 {
            interpolate(&[last, slope_end], rate.min(last.0 + 2.0))
        } else {
            interpolate(&self.table, rate)
        };
        ln.exp().min(1.3)
    }

    /// Capacity at `celsius` over that at 25 °C.
    pub(super) fn temperature(&self, celsius: f64) -> f64 {
        let kelvin = celsius.clamp(-20.0, 60.0) - 25.0;
        let per_k = if kelvin < 0.0 { self.per_k.0 } else { self.per_k.1 };
        1.0 + per_k * kelvin
    }

    /// Rated capacity, Ah at 25 °C, of a block that gives `drawn_ah` at `amps`
    /// and `celsius`, if the rate counts with `strength` (0 … 1: no effect …
    /// that of the table). An aged block feels a current as if it were larger.
    pub(super) fn rated_ah(&self, drawn_ah: f64, amps: f64, celsius: f64, strength: f64) -> f64 {
        let drawn_ah = drawn_ah / self.temperature(celsius);
        let mut rated_ah = drawn_ah;
        // The share falls with about the cube root of the rate: hence the exponent.
        for _ in 0..5 {
            let given_ah = rated_ah * self.share(amps / rated_ah.max(1e-6)).powf(strength);
            rated_ah *= (drawn_ah / given_ah).powf(1.0 / (1.0 + 0.35 * strength));
        }
        rated_ah
    }

    /// The inverse of [`Self::rated_ah`].
    pub(super) fn drawn_ah(&self, rated_ah: f64, amps: f64, celsius: f64, strength: f64) -> f64 {
        rated_ah * self.temperature(celsius) * self.share(amps / rated_ah.max(1e-6)).powf(strength)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::battery::{Chemistry, DischargePoint};

    fn line(minutes: f64, amps: f64) -> DischargePoint {
        DischargePoint { minutes, amps: Some(amps), watts: None, cutoff_v_per_cell: None }
    }

    #[test]
    fn typical_block_follows_the_data_sheet_it_is_from() {
        let rate = Rate::new(&BatteryType::new(Chemistry::Agm, 6, 65.0));
        for (amps, hours) in [(3.25, 20.0), (6.0, 10.0), (16.2, 3.0), (39.0, 1.0), (65.0, 0.5)] {
            let got = 65.0 * rate.share(amps / 65.0) / amps;
            assert!((got / hours - 1.0).abs() < 0.01, "{amps} A: {got} h");
        }
    }

    #[test]
    fn makers_table_comes_first_in_any_order() {
        let battery = BatteryType {
            discharges: vec![line(60.0, 50.0), line(1200.0, 5.0), line(10.0, 180.0)],
            ..BatteryType::new(Chemistry::Agm, 6, 100.0)
        };
        let rate = Rate::new(&battery);
        assert!(rate.stated);
        assert!((rate.share(0.5) - 0.5).abs() < 1e-9);
        assert!((rate.share(0.05) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn rated_capacity_is_recovered_at_any_rate() {
        let rate = Rate::new(&BatteryType::new(Chemistry::Agm, 6, 100.0));
        for rated_ah in [50.0, 80.0, 100.0] {
            for amps in [5.0, 50.0, 250.0] {
                let drawn_ah = rate.drawn_ah(rated_ah, amps, 10.0, 1.0);
                let got = rate.rated_ah(drawn_ah, amps, 10.0, 1.0);
                assert!((got / rated_ah - 1.0).abs() < 0.01, "{rated_ah} Ah {amps} A: {got}");
            }
        }
    }
}
