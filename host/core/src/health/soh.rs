//! State of health and remaining life, each with its bounds.
//!
//! State of health (facts/battery-science.md §5.3) is the lower of two views:
//! the *measured capacity*, while it is fresh, and the *mapped resistance*,
//! where +50 % stands for 80 %. The second is a weak witness (early capacity
//! loss shows no resistance), so its standard deviation is never under 0.10.
//!
//! Remaining life (§2.8) is the design life, used up at
//! 2^((T−20)/10) · 10^(k_v·(v−v_opt)), against what was measured. Assumes: the
//! room stays as it was; between 55 % and 100 % of the design life are reached
//! (§1.6); capacity falls as 1 − 0.2·a^p with p = 3 … 6; the resistance grows on
//! as it does, until +50 % (soonest) or +100 % (latest). A battery whose age nobody stated is taken as new
//! when it was first seen.

use super::resistance::Trend;
use crate::battery::BatteryType;
use serde::{Deserialize, Serialize};

const HOURS_PER_YEAR: f64 = 8766.0;
const DAYS_PER_YEAR: f64 = 365.25;
/// Decades of life per volt and cell above the best float voltage (lead).
const K_V: f64 = 4.5;
/// Undercharge saves little, and beyond gross overcharge the law has no data.
const OVER_V: (f64, f64) = (-0.03, 0.20);
/// Rooms for which the law is taken, °C.
const ROOM_C: (f64, f64) = (-20.0, 80.0);
/// Share of the design life that is reached in poor service.
const POOR_SHARE: f64 = 0.55;
/// Capacity at which a block is used up.
pub const END_OF_LIFE: f64 = 0.80;
/// Rise of the resistance that stands for it.
pub const RISE_AT_END: f64 = 0.50;
/// Rise at which it is critical.
pub const RISE_CRITICAL: f64 = 1.00;
/// A capacity older than this says nothing any more, days.
const CAPACITY_DAYS_MAX: f64 = 730.0;
/// Growth of a capacity's uncertainty, 1/year: the knee comes late and fast.
const SIGMA_PER_YEAR: f64 = 0.10;
/// Least uncertainty of a mapped resistance, with an own baseline and without.
const SIGMA_MAPPED: (f64, f64) = (0.10, 0.20);

/// A capacity that was measured by a discharge.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Capacity {
    /// Of the rated capacity, 0 … 1.3.
    pub ratio: f32,
    /// Standard deviation when it was learned.
    pub sigma: f32,
    /// Depth of the discharge it was learned from, 0 … 1.
    pub depth: f32,
    /// How long ago, days.
    pub age_days: f32,
}

impl Capacity {
    /// Possible, and not too old to count.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        (0.0..=1.5).contains(&self.ratio)
            && (0.0..=1.0).contains(&self.sigma)
            && (0.0..=CAPACITY_DAYS_MAX as f32).contains(&self.age_days)
    }

    /// Standard deviation today.
    #[must_use]
    pub fn sigma_today(&self) -> f64 {
        let aged = SIGMA_PER_YEAR * f64::from(self.age_days) / DAYS_PER_YEAR;
        f64::from(self.sigma).hypot(aged)
    }
}

/// Rise of the resistance over its baseline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rise {
    /// 0.5 is +50 %.
    pub share: f64,
    /// Standard deviation of it.
    pub sigma: f64,
    /// Over a baseline of own readings.
    pub own: bool,
}

/// What a state of health rests on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Basis {
    /// Nothing: it is not known.
    #[default]
    Nothing,
    /// A measured capacity.
    Capacity,
    /// The resistance alone, or the resistance looked worse.
    Resistance,
}

impl Basis {
    /// For people.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Nothing => "not known",
            Self::Capacity => "measured capacity",
            Self::Resistance => "internal resistance",
        }
    }
}

/// State of health, 0 … 1 of the rated capacity.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Soh {
    /// NaN when nothing is known.
    pub ratio: f32,
    /// Its standard deviation; NaN when nothing is known.
    pub sigma: f32,
    /// What it rests on.
    pub basis: Basis,
}

impl Soh {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self { ratio: f32::NAN, sigma: f32::NAN, basis: Basis::Nothing };

    /// The lower of both views.
    #[must_use]
    pub fn combine(capacity: Option<Capacity>, rise: Option<Rise>) -> Self {
        let capacity = capacity.filter(Capacity::is_usable).map(|c| Self {
            ratio: c.ratio.min(1.0),
            sigma: c.sigma_today() as f32,
            basis: Basis::Capacity,
        });
        let resistance = rise.filter(|r| r.share.is_finite()).map(|r| {
            let per_rise = (1.0 - END_OF_LIFE) / RISE_AT_END;
            let least = if r.own { SIGMA_MAPPED.0 } else { SIGMA_MAPPED.1 };
            Self {
                ratio: (1.0 - per_rise * r.share).clamp(0.0, 1.0) as f32,
                sigma: least.hypot(per_rise * r.sigma.max(0.0)) as f32,
                basis: Basis::Resistance,
            }
        });
        match (capacity, resistance) {
            (Some(c), Some(r)) if r.ratio < c.ratio => r,
            (Some(c), _) => c,
            (None, Some(r)) => r,
            (None, None) => Self::UNKNOWN,
        }
    }
}

/// Life used up since a block is observed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ageing {
    /// Hours at 20 °C and best float voltage that would have done the same.
    equivalent_h: f64,
    /// Hours of good readings.
    observed_h: f64,
}

/// How many times faster than at 20 °C and best float voltage a block of this
/// type ages. `block_v`: its voltage while floating, else `None`.
#[must_use]
pub fn ageing_factor(battery: &BatteryType, temperature_c: f64, block_v: Option<f64>) -> f64 {
    let best = battery.float_v(temperature_c).filter(|_| battery.chemistry_data().lead);
    let over = block_v.zip(best).map_or(0.0, |(v, best)| (v - best) / battery.cells_f64());
    let kelvin = temperature_c.clamp(ROOM_C.0, ROOM_C.1) - 20.0;
    (kelvin / 10.0).exp2() * 10f64.powf(K_V * over.clamp(OVER_V.0, OVER_V.1))
}

impl Ageing {
    /// Hours with this [`ageing_factor`].
    pub fn push(&mut self, hours: f64, factor: f64) {
        let (hours, aged) = (hours.max(0.0), hours.max(0.0) * factor);
        if hours.is_finite() && aged.is_finite() {
            self.observed_h += hours;
            self.equivalent_h += aged;
        }
    }

    /// Mean factor so far; `None` in the first day.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        Some(self.equivalent_h / self.observed_h).filter(|r| self.observed_h >= 24.0 && *r > 0.0)
    }

    /// Years at 20 °C that would have done the same to the block, when it
    /// stood `service_years` at the observed mean; `None` in the first day.
    #[must_use]
    pub fn equivalent_years(&self, service_years: f64) -> Option<f64> {
        let unseen_h = (service_years * HOURS_PER_YEAR - self.observed_h).max(0.0);
        Some((self.equivalent_h + unseen_h * self.rate()?) / HOURS_PER_YEAR)
    }
}

/// Years that a block will last; NaN when not known.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LifeYears {
    /// It hardly fails before.
    pub low: f32,
    /// It hardly lasts longer.
    pub high: f32,
}

impl LifeYears {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self { low: f32::NAN, high: f32::NAN };

    /// From the law, narrowed by what was measured: the worst of all low and
    /// the worst of all high bounds.
    #[must_use]
    pub fn estimate(
        ageing: &Ageing,
        service_years: f64,
        design_years: f64,
        capacity: Option<Capacity>,
        rise: Option<Rise>,
        trend: Trend,
    ) -> Self {
        let (Some(rate), Some(used)) = (ageing.rate(), ageing.equivalent_years(service_years))
        else {
            return Self::UNKNOWN;
        };
        let used = used / design_years;
        // The capacity that is left places the block on the ageing curve.
        let place = |ratio: f64, p: f64| ((1.0 - ratio).max(0.0) / 0.2).powf(1.0 / p).min(1.0);
        let capacity = capacity.filter(Capacity::is_usable);
        let (late, early) = capacity.map_or((0.0, 0.0), |c| {
            let (ratio, sigma) = (f64::from(c.ratio), c.sigma_today());
            // A vague capacity must not end a life that nothing else ends.
            let below = if sigma <= 0.10 { sigma } else { 0.0 };
            (place(ratio - below, 6.0), place(ratio + sigma, 3.0))
        });
        let low = design_years * POOR_SHARE * (1.0 - (used / POOR_SHARE).max(late)) / rate;
        let high = design_years * (1.0 - used.max(early)) / rate;
        let (trend_low, trend_high) = by_trend(rise, trend);
        let low = low.min(trend_low).max(0.0);
        Self { low: low as f32, high: high.min(trend_high).max(low) as f32 }
    }
}

/// Years until the resistance is up by [`RISE_AT_END`] at the fastest growth
/// that is likely, and by [`RISE_CRITICAL`] at the slowest.
fn by_trend(rise: Option<Rise>, trend: Trend) -> (f64, f64) {
    let Some(rise) = rise.filter(|r| r.own) else {
        return (f64::INFINITY, f64::INFINITY);
    };
    let years = |end: f64, percent_year: f32| match f64::from(percent_year) / 100.0 {
        _ if rise.share >= end => 0.0,
        growth if growth > 0.0 => (end - rise.share) / growth,
        _ => f64::INFINITY,
    };
    (years(RISE_AT_END, trend.high), years(RISE_CRITICAL, trend.low))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::battery::Chemistry;
    use proptest::prelude::*;

    fn battery() -> BatteryType {
        BatteryType::new(Chemistry::Agm, 6, 100.0)
    }

    fn years(celsius: f64, years: f64) -> Ageing {
        let mut ageing = Ageing::default();
        let best = battery().float_v(celsius);
        ageing.push(years * HOURS_PER_YEAR, ageing_factor(&battery(), celsius, best));
        ageing
    }

    fn capacity(ratio: f32, age_days: f32) -> Option<Capacity> {
        Some(Capacity { ratio, sigma: 0.03, depth: 0.6, age_days })
    }

    fn life(ageing: &Ageing, capacity: Option<Capacity>) -> LifeYears {
        LifeYears::estimate(ageing, 0.0, 10.0, capacity, None, Trend::UNKNOWN)
    }

    #[test]
    fn ten_kelvin_halve_a_life_and_overcharge_shortens_it() {
        let (cool, hot) = (life(&years(20.0, 0.1), None), life(&years(30.0, 0.1), None));
        assert!((cool.low - 5.4).abs() < 0.01 && (cool.high - 9.9).abs() < 0.01, "{cool:?}");
        assert!((hot.low - 2.65).abs() < 0.01 && (hot.high - 4.9).abs() < 0.01, "{hot:?}");
        let best = battery().float_v(25.0).expect("floats");
        let at =
            |v| ageing_factor(&battery(), 25.0, Some(v)) / ageing_factor(&battery(), 25.0, None);
        // Exide/GNB 92.30: 2.33 V/cell instead of 2.27 about halves the life.
        assert!((at(best + 6.0 * 0.06) - 1.86).abs() < 0.01);
        assert!(at(best - 6.0 * 0.3) > 0.7, "undercharge does not preserve");
    }

    #[test]
    fn service_before_the_monitor_counts() {
        let ageing = years(30.0, 0.1);
        let new = LifeYears::estimate(&ageing, 0.1, 10.0, None, None, Trend::UNKNOWN);
        let old = LifeYears::estimate(&ageing, 3.0, 10.0, None, None, Trend::UNKNOWN);
        assert!((new.high - old.high - 2.9).abs() < 0.01);
        assert_eq!(old.low, 0.0);
        assert!(life(&Ageing::default(), None).low.is_nan());
    }

    #[test]
    fn the_lower_view_wins_and_old_views_widen() {
        let rise = |share| Some(Rise { share, sigma: 0.02, own: true });
        let soh = Soh::combine(capacity(0.9, 10.0), rise(0.1));
        assert_eq!((soh.ratio, soh.basis), (0.9, Basis::Capacity));
        let soh = Soh::combine(capacity(0.9, 10.0), rise(0.5));
        assert!((soh.ratio - 0.8).abs() < 1e-6 && soh.sigma >= 0.1);
        assert_eq!(soh.basis, Basis::Resistance);
        let year = Soh::combine(capacity(0.9, 365.0), None);
        assert!(year.sigma > 0.1);
        assert!(Soh::combine(capacity(0.9, 731.0), None).ratio.is_nan());
        assert!(Soh::combine(capacity(f32::NAN, 1.0), None).sigma.is_nan());
    }

    #[test]
    fn a_measured_block_overrules_the_calendar() {
        let ageing = years(20.0, 1.0);
        assert_eq!(life(&ageing, capacity(0.71, 10.0)), LifeYears { low: 0.0, high: 0.0 });
        let good = life(&ageing, capacity(1.0, 10.0));
        assert!(good.high > 8.9 && good.low > 1.0, "{good:?}");
    }

    proptest! {
        #[test]
        fn worse_is_never_longer(
            hours in 0.0..1e5f64, celsius in -40.0..90.0f64, hotter in 0.0..20.0f64,
            ratio in 0.0..1.4f32, lost in 0.0..0.5f32, age_days in 0.0..800.0f32,
            share in -0.5..2.0f64, more in 0.0..1.0f64,
            slope in -20.0..40.0f32, width in 0.0..20.0f32, steeper in 0.0..20.0f32,
        ) {
            let life = |celsius: f64, ratio: f32, share: f64, slope: f32| {
                let mut ageing = Ageing::default();
                ageing.push(hours, ageing_factor(&battery(), celsius, None));
                let rise = Some(Rise { share, sigma: 0.03, own: true });
                let trend = Trend { low: slope - width, percent_year: slope, high: slope + width };
                LifeYears::estimate(&ageing, 1.0, 10.0, capacity(ratio, age_days), rise, trend)
            };
            let before = life(celsius, ratio, share, slope);
            let worse = life(celsius + hotter, (ratio - lost).max(0.0), share + more, slope + steeper);
            prop_assert!(before.low.is_nan() || (0.0 <= before.low && before.low <= before.high));
            prop_assert!(before.low.is_nan() || worse.low <= before.low + 1e-4);
            prop_assert!(before.high.is_nan() || worse.high <= before.high + 1e-4);
        }
    }
}
