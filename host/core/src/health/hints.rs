//! What may be wrong inside a block, from the signatures of
//! facts/battery-science.md §2.9 that can be seen from outside.
//!
//! A hint is a suspicion with a strength and the signs that speak for it, not
//! a diagnosis: dry-out, corrosion and sulfation share most of their signs and
//! may all be hinted at once. Assumes that the rise of the resistance is real
//! (own baseline; over a stopgap it counts half).

use super::bits::bitset;
use super::outlier::Outliers;
use super::soh::Rise;
use crate::battery::Chemistry;
use serde::{Deserialize, Serialize};

bitset! {
    /// What speaks for a hint.
    Signs {
        /// Resistance has risen.
        RESISTANCE_UP = 0, "resistance has risen";
        /// Resistance keeps growing.
        RESISTANCE_GROWS = 1, "resistance keeps growing";
        /// Warmer than the string.
        WARM = 2, "warmer than the string";
        /// As warm as the string.
        NOT_WARM = 3, "no warmer than the string";
        /// Low at float.
        FLOAT_LOW = 4, "low at float";
        /// High early in recharge.
        RECHARGE_HIGH = 5, "rises early in recharge";
        /// Behind in recharge.
        RECHARGE_LAGS = 6, "lags in recharge";
        /// Sags in discharge.
        SAGS = 7, "sags in discharge";
        /// Never needs bypass while the others do.
        NEVER_BYPASSED = 8, "never needs bypass while the others do";
        /// Drifts away from the others.
        DRIFTS = 9, "drifts away from the others";
        /// Measured capacity is low.
        CAPACITY_LOW = 10, "measured capacity is low";
        /// A cell's voltage is missing.
        CELL_MISSING = 11, "a whole cell's voltage is missing";
    }
}

/// Suspicions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HintKind {
    /// Lead sulphate that no longer dissolves.
    Sulfation,
    /// Acid layered by density (vented only).
    Stratification,
    /// Water lost (valve-regulated only).
    DryOut,
    /// Corroded positive grid.
    Corrosion,
    /// A dendrite or moss bridges a cell.
    SoftShort,
    /// Self-discharges more than the others.
    Leakage,
    /// A cell is shorted.
    ShortedCell,
}

impl HintKind {
    /// All, in the order of [`Hints`].
    pub const ALL: [Self; 7] = [
        Self::Sulfation,
        Self::Stratification,
        Self::DryOut,
        Self::Corrosion,
        Self::SoftShort,
        Self::Leakage,
        Self::ShortedCell,
    ];

    /// For people.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Sulfation => "sulfation",
            Self::Stratification => "acid stratification",
            Self::DryOut => "dry-out",
            Self::Corrosion => "grid corrosion",
            Self::SoftShort => "soft short",
            Self::Leakage => "high leakage",
            Self::ShortedCell => "shorted cell",
        }
    }
}

/// One suspicion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Hint {
    /// 0 (nothing speaks for it) … 1 (everything that can be seen does).
    pub strength: f32,
    /// What speaks for it.
    pub signs: Signs,
}

/// From this strength a hint is told.
pub const TOLD: f32 = 0.5;

/// All suspicions of one block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Hints([Hint; 7]);

impl Hints {
    /// Nothing is suspected.
    pub const NONE: Self = Self([Hint { strength: 0.0, signs: Signs::NONE }; 7]);

    /// One of them.
    #[must_use]
    pub const fn get(&self, kind: HintKind) -> Hint {
        self.0[kind as usize]
    }

    /// Those worth telling.
    pub fn told(&self) -> impl Iterator<Item = (HintKind, Hint)> {
        HintKind::ALL.into_iter().zip(self.0).filter(|(_, hint)| hint.strength >= TOLD)
    }

    /// Those worth telling, as a set: bit n is the nth of [`HintKind::ALL`].
    #[must_use]
    pub fn told_bits(&self) -> u8 {
        self.told().fold(0, |bits, (kind, _)| bits | 1 << kind as u8)
    }

    fn set(&mut self, kind: HintKind, strength: f64, signs: Signs) {
        let strength = strength.clamp(0.0, 1.0) as f32;
        // Signs without strength are other suspicions' signs.
        let signs = if strength > 0.0 { signs } else { Signs::default() };
        self.0[kind as usize] = Hint { strength, signs };
    }
}

/// What is known about a block against its string. NaN: not known.
#[derive(Clone, Copy, Debug)]
pub struct Observed {
    /// What its cells are made of.
    pub chemistry: Chemistry,
    /// Cells in it.
    pub cells: f64,
    /// Rise of the resistance.
    pub rise: Option<Rise>,
    /// Least growth of the resistance that is sure, %/year.
    pub growth_percent_year: f64,
    /// Temperature over the string's median, K, without the bypass's own heat.
    pub warmer_k: f64,
    /// Float voltage over the string's median, V per block.
    pub float_v: f64,
    /// Days on which it needed no bypass while the others did.
    pub idle_days: f64,
    /// In what it stands out.
    pub outliers: Outliers,
    /// It drifts, in voltage or in bypass duty.
    pub drifts: bool,
    /// Measured capacity, of the rated.
    pub capacity: f64,
}

/// Rises linearly from 0 at `low` to 1 at `high`; 0 for what is not known.
fn ramp(value: f64, low: f64, high: f64) -> f64 {
    if value > low { ((value - low) / (high - low)).min(1.0) } else { 0.0 }
}

impl Observed {
    fn signs(&self, rise: f64) -> Signs {
        let capacity_low = self.capacity < 0.9;
        Signs::default()
            .with(Signs::RESISTANCE_UP, rise > 0.10)
            .with(Signs::RESISTANCE_GROWS, self.growth_percent_year > 5.0)
            .with(Signs::WARM, self.warmer_k > 2.0)
            .with(Signs::NOT_WARM, self.warmer_k < 1.0)
            .with(Signs::FLOAT_LOW, self.outliers.contains(Outliers::FLOAT_LOW))
            .with(Signs::RECHARGE_HIGH, self.outliers.contains(Outliers::RECHARGE_HIGH))
            .with(Signs::RECHARGE_LAGS, self.outliers.contains(Outliers::RECHARGE_LOW))
            .with(Signs::SAGS, self.outliers.contains(Outliers::DISCHARGE_LOW))
            .with(Signs::NEVER_BYPASSED, self.idle_days >= 3.0)
            .with(Signs::DRIFTS, self.drifts)
            .with(Signs::CAPACITY_LOW, capacity_low)
    }

    /// The suspicions.
    #[must_use]
    pub fn hints(&self) -> Hints {
        let mut hints = Hints::default();
        let data = self.chemistry.data();
        let rise = self.rise.map_or(0.0, |r| if r.own { r.share } else { 0.5 * r.share });
        let signs = self.signs(rise);
        let has = |sign: Signs| f64::from(u8::from(signs.contains(sign)));
        let only = |wanted: &[Signs]| {
            wanted.iter().fold(Signs::default(), |sum, s| sum.with(*s, signs.contains(*s)))
        };
        if data.lead {
            self.lead_hints(&mut hints, rise, has, only);
        }
        let low_v_per_cell = -self.float_v / self.cells;
        // Low alone is how unequalized blocks differ anyway (§2.1); getting
        // there, or staying there without bypass, is what a short does.
        let short = 0.5 * ramp(low_v_per_cell, 0.005, 0.03) - 0.05
            + 0.3 * has(Signs::NEVER_BYPASSED)
            + 0.3 * has(Signs::DRIFTS);
        hints.set(
            HintKind::SoftShort,
            short * has(Signs::FLOAT_LOW),
            only(&[Signs::FLOAT_LOW, Signs::NEVER_BYPASSED, Signs::DRIFTS]),
        );
        let idle = ramp(self.idle_days, 2.0, 14.0);
        let leaks = 0.8 * idle + 0.2 * ramp(self.warmer_k, 1.0, 3.0) * idle;
        hints.set(HintKind::Leakage, leaks, only(&[Signs::NEVER_BYPASSED, Signs::WARM]));
        if self.cells > 1.5 {
            let missing = ramp(-self.float_v / data.nominal_v, 0.6, 0.9);
            hints.set(HintKind::ShortedCell, missing, Signs::CELL_MISSING);
        }
        hints
    }

    fn lead_hints(
        &self,
        hints: &mut Hints,
        rise: f64,
        has: impl Fn(Signs) -> f64,
        only: impl Fn(&[Signs]) -> Signs,
    ) {
        let risen = ramp(rise, 0.10, 0.30);
        let warm = ramp(self.warmer_k, 1.0, 3.0);
        let vented = self.chemistry == Chemistry::Flooded;
        let sulfation = 0.35 * risen
            + 0.35 * has(Signs::RECHARGE_HIGH)
            + 0.15 * has(Signs::SAGS)
            + 0.15 * has(Signs::CAPACITY_LOW);
        hints.set(
            HintKind::Sulfation,
            if risen + has(Signs::RECHARGE_HIGH) > 0.0 {
                sulfation * (1.0 - 0.5 * warm)
            } else {
                0.0
            },
            only(&[
                Signs::RESISTANCE_UP,
                Signs::RECHARGE_HIGH,
                Signs::SAGS,
                Signs::CAPACITY_LOW,
                Signs::NOT_WARM,
            ]),
        );
        let layered =
            0.4 * has(Signs::DRIFTS) + 0.3 * ramp(rise, 0.03, 0.10) + 0.3 * has(Signs::SAGS);
        hints.set(
            HintKind::Stratification,
            if vented { layered * (1.0 - ramp(rise, 0.15, 0.40)) } else { 0.0 },
            only(&[Signs::DRIFTS, Signs::RESISTANCE_UP, Signs::SAGS]),
        );
        let thirsty = has(Signs::FLOAT_LOW).max(has(Signs::NEVER_BYPASSED));
        let dry =
            0.45 * ramp(rise, 0.15, 0.40) + 0.3 * warm + 0.15 * thirsty + 0.1 * has(Signs::SAGS);
        hints.set(
            HintKind::DryOut,
            if !vented && rise > 0.15 { dry } else { 0.0 },
            only(&[
                Signs::RESISTANCE_UP,
                Signs::WARM,
                Signs::FLOAT_LOW,
                Signs::NEVER_BYPASSED,
                Signs::SAGS,
            ]),
        );
        let corroded = 0.6 * ramp(rise, 0.20, 0.50)
            + 0.2 * has(Signs::RESISTANCE_GROWS)
            + 0.2 * has(Signs::SAGS);
        let inconspicuous = (1.0 - 0.5 * warm) * (1.0 - 0.5 * has(Signs::FLOAT_LOW));
        hints.set(
            HintKind::Corrosion,
            if rise > 0.20 { corroded * inconspicuous } else { 0.0 },
            only(&[Signs::RESISTANCE_UP, Signs::RESISTANCE_GROWS, Signs::SAGS, Signs::NOT_WARM]),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEALTHY: Observed = Observed {
        chemistry: Chemistry::Agm,
        cells: 6.0,
        rise: Some(Rise { share: 0.02, sigma: 0.01, own: true }),
        growth_percent_year: 0.5,
        warmer_k: 0.2,
        float_v: 0.004,
        idle_days: 0.0,
        outliers: Outliers::FLOAT_HIGH,
        drifts: false,
        capacity: 0.98,
    };

    fn risen(share: f64) -> Observed {
        Observed { rise: Some(Rise { share, sigma: 0.02, own: true }), ..HEALTHY }
    }

    fn strongest(observed: &Observed) -> Option<HintKind> {
        let told = observed.hints();
        told.told().max_by(|a, b| a.1.strength.total_cmp(&b.1.strength)).map(|(kind, _)| kind)
    }

    #[test]
    fn each_signature_points_at_its_cause() {
        let low = |o: Outliers| Outliers::DISCHARGE_LOW.with(o, true);
        for (observed, cause) in [
            (HEALTHY, None),
            (Observed { warmer_k: 3.5, idle_days: 9.0, ..risen(0.5) }, Some(HintKind::DryOut)),
            (Observed { growth_percent_year: 12.0, ..risen(0.5) }, Some(HintKind::Corrosion)),
            (
                Observed { outliers: low(Outliers::RECHARGE_HIGH), capacity: 0.8, ..risen(0.2) },
                Some(HintKind::Sulfation),
            ),
            (
                Observed {
                    chemistry: Chemistry::Flooded,
                    drifts: true,
                    outliers: Outliers::DISCHARGE_LOW,
                    ..risen(0.08)
                },
                Some(HintKind::Stratification),
            ),
            (
                Observed { float_v: -0.2, outliers: Outliers::FLOAT_LOW, drifts: true, ..HEALTHY },
                Some(HintKind::SoftShort),
            ),
            (Observed { float_v: -0.4, outliers: Outliers::FLOAT_LOW, ..HEALTHY }, None),
            (Observed { idle_days: 20.0, ..HEALTHY }, Some(HintKind::Leakage)),
            (Observed { float_v: -2.2, ..HEALTHY }, Some(HintKind::ShortedCell)),
        ] {
            assert_eq!(strongest(&observed), cause, "{observed:?}");
        }
    }

    #[test]
    fn signs_are_told_and_belong_to_their_hint() {
        let hint = Observed { warmer_k: 3.5, ..risen(0.5) }.hints().get(HintKind::DryOut);
        assert_eq!(hint.signs.to_string(), "resistance has risen, warmer than the string");
        assert_eq!(HEALTHY.hints().told_bits(), 0);
        assert_eq!(Observed { float_v: -2.2, ..HEALTHY }.hints().told_bits() & 64, 64);
    }

    #[test]
    fn sealed_blocks_do_not_stratify_and_lithium_does_not_dry_out() {
        let layered = Observed { drifts: true, outliers: Outliers::DISCHARGE_LOW, ..risen(0.10) };
        assert_eq!(layered.hints().get(HintKind::Stratification), Hint::default());
        let lithium = Observed { chemistry: Chemistry::Lfp, warmer_k: 5.0, ..risen(0.6) };
        assert_eq!(lithium.hints().told_bits(), 0);
    }

    proptest! {
        #[test]
        fn strengths_stay_in_their_range(
            share in any::<f64>(), growth in any::<f64>(), warmer in any::<f64>(),
            float_v in any::<f64>(), idle in any::<f64>(), capacity in any::<f64>(),
        ) {
            for chemistry in Chemistry::ALL {
                let observed = Observed {
                    chemistry, warmer_k: warmer, float_v, idle_days: idle, capacity,
                    growth_percent_year: growth, ..risen(share)
                };
                for kind in HintKind::ALL {
                    let strength = observed.hints().get(kind).strength;
                    prop_assert!((0.0..=1.0).contains(&strength), "{kind:?} {strength}");
                }
            }
        }
    }
}
