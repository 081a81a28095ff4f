//! What to do about a block, and why, in words.
//!
//! The ladder is that of facts/battery-science.md §4: capacity 80 % is the end
//! of life and 90 % calls for a yearly test; resistance +20 % notice, +30 %
//! warning, +50 % alarm, +100 % critical. Every rule asks for one action, the
//! gravest is advised, and a worse value never asks for less. Over a stopgap
//! baseline the resistance alone asks for a test at most; a hint or an outlier
//! alone never asks for a replacement, a shorted cell excepted.

use super::bits::bitset;
use super::hints::{HintKind, Hints};
use super::outlier::Outliers;
use super::resistance::{BaselineKind, Trend};
use super::soh::{Capacity, END_OF_LIFE, LifeYears, RISE_AT_END, RISE_CRITICAL, Rise};
use super::{BlockHealth, HealthReport};
use core::fmt;
use serde::{Deserialize, Serialize};

/// What to do, from least to most grave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Action {
    /// Nothing.
    #[default]
    None,
    /// Keep an eye on it.
    Watch,
    /// Test it under load.
    Test,
    /// Replace it before it fails.
    ReplaceBy {
        /// Years from now.
        years: f32,
        /// The same as a date, seconds since 1970 UTC; `None` while the clock
        /// is not set.
        wall_s: Option<u64>,
    },
    /// Replace it at once.
    ReplaceNow,
}

impl Action {
    /// Gravity, 0 … 4.
    #[must_use]
    pub const fn rank(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Watch => 1,
            Self::Test => 2,
            Self::ReplaceBy { .. } => 3,
            Self::ReplaceNow => 4,
        }
    }

    /// True when it is to be replaced, sooner or later.
    #[must_use]
    pub const fn replaces(self) -> bool {
        self.rank() >= 3
    }

    /// For people, without the date.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::None => "nothing to do",
            Self::Watch => "watch",
            Self::Test => "test under load",
            Self::ReplaceBy { .. } => "plan the replacement of",
            Self::ReplaceNow => "replace now",
        }
    }
}

bitset! {
    /// Why.
    Reasons {
        /// Capacity below 90 %.
        CAPACITY = 0, "measured capacity is low";
        /// Resistance above its baseline.
        RESISTANCE = 1, "resistance has risen";
        /// Resistance grows faster than a good block's.
        TREND = 2, "resistance grows fast";
        /// The design life is over, or nearly.
        AGE = 3, "design life is nearly used up";
        /// A fault is suspected inside the block.
        HINT = 4, "a fault is suspected";
        /// It stands out of its string.
        OUTLIER = 5, "it stands out of its string";
        /// It drifts away from its string.
        DRIFT = 6, "it drifts away from its string";
        /// A fifth of the string needs replacing.
        STRING = 7, "a fifth or more of the string needs replacing";
    }
}

/// What to do, why, and how sure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Advice {
    /// What to do.
    pub action: Action,
    /// Why.
    pub reasons: Reasons,
    /// How sure, 0 … 1.
    pub confidence: f32,
}

/// What advice rests on.
#[derive(Clone, Copy, Debug)]
pub struct Evidence {
    /// Measured capacity.
    pub capacity: Option<Capacity>,
    /// Rise of the resistance.
    pub rise: Option<Rise>,
    /// Growth of the resistance.
    pub trend: Trend,
    /// Remaining life.
    pub life: LifeYears,
    /// Suspicions.
    pub hints: Hints,
    /// In what the block stands out.
    pub outliers: Outliers,
    /// It drifts.
    pub drifts: bool,
}

/// Years within which an aged block is replaced, at the mildest and at the worst.
const YEARS: (f64, f64) = (1.5, 0.25);
const FAST_PERCENT_YEAR: f32 = 5.0;
const VERY_FAST_PERCENT_YEAR: f32 = 15.0;

/// Collects what the rules ask for.
#[derive(Default)]
struct Verdict {
    asked: [(Reasons, f64); 5],
    years: f64,
}

impl Verdict {
    fn ask(&mut self, rank: u8, reason: Reasons, confidence: f64) {
        let (reasons, doubt) = &mut self.asked[usize::from(rank.min(4))];
        *reasons = reasons.with(reason, true);
        // Independent witnesses: all of them must err.
        *doubt = 1.0 - (1.0 - *doubt) * (1.0 - confidence.clamp(0.0, 0.99));
    }

    fn advice(&self) -> Advice {
        let rank = (1..5).rev().find(|rank| !self.asked[*rank].0.is_empty()).unwrap_or(0);
        let action = match rank {
            0 => return Advice::default(),
            1 => Action::Watch,
            2 => Action::Test,
            3 => Action::ReplaceBy { years: self.years as f32, wall_s: None },
            _ => Action::ReplaceNow,
        };
        let reasons = self
            .asked
            .iter()
            .fold(Reasons::default(), |sum, (reasons, _)| sum.with(*reasons, true));
        Advice { action, reasons, confidence: self.asked[rank].1 as f32 }
    }
}

/// What to do about a block.
#[must_use]
pub fn advise(evidence: &Evidence) -> Advice {
    let mut verdict = Verdict { years: YEARS.0, ..Verdict::default() };
    capacity_rules(evidence, &mut verdict);
    resistance_rules(evidence, &mut verdict);
    let life = evidence.life;
    if life.high < 1.0 {
        verdict.ask(2, Reasons::AGE, 0.5);
    } else if life.low < 0.5 && life.high < 2.0 {
        verdict.ask(1, Reasons::AGE, 0.3);
    }
    for (kind, hint) in evidence.hints.told() {
        let rank = match kind {
            HintKind::ShortedCell => 4,
            HintKind::SoftShort => 2,
            _ => 1,
        };
        verdict.ask(rank, Reasons::HINT, f64::from(hint.strength));
    }
    if !evidence.outliers.suspicious().is_empty() {
        verdict.ask(1, Reasons::OUTLIER, 0.3);
    }
    if evidence.drifts {
        verdict.ask(1, Reasons::DRIFT, 0.3);
    }
    // A life that ends sooner brings the date forward, never back.
    if life.high.is_finite() {
        verdict.years = verdict.years.min(f64::from(life.high)).max(YEARS.1);
    }
    verdict.advice()
}

fn capacity_rules(evidence: &Evidence, verdict: &mut Verdict) {
    let Some(capacity) = evidence.capacity.filter(Capacity::is_usable) else { return };
    let (ratio, sigma) = (f64::from(capacity.ratio), capacity.sigma_today());
    let sure = ratio + sigma < END_OF_LIFE;
    // Logistic approximation of the normal distribution.
    let confidence = 1.0 / (1.0 + (-1.7 * (END_OF_LIFE - ratio) / sigma.max(0.01)).exp());
    let seconded = evidence.rise.is_some_and(|r| r.own && r.share >= 0.30);
    if sure && ratio < 0.60 {
        verdict.ask(4, Reasons::CAPACITY, confidence);
    } else if ratio < END_OF_LIFE && (sure || seconded) {
        verdict.ask(3, Reasons::CAPACITY, confidence);
        verdict.soon((END_OF_LIFE - ratio) / 0.20);
    } else if ratio < END_OF_LIFE {
        verdict.ask(2, Reasons::CAPACITY, confidence);
    } else if ratio < 0.90 {
        verdict.ask(1, Reasons::CAPACITY, 0.5);
    }
}

fn resistance_rules(evidence: &Evidence, verdict: &mut Verdict) {
    if let Some(rise) = evidence.rise {
        let rank = match (rise.share, rise.own) {
            (RISE_CRITICAL.., true) => 4,
            (RISE_AT_END.., true) => 3,
            (0.30.., true) | (RISE_AT_END.., false) => 2,
            (0.20.., true) | (0.30.., false) => 1,
            _ => 0,
        };
        if rank > 0 {
            let confidence = if rise.own { 0.8 } else { 0.4 };
            verdict.ask(rank, Reasons::RESISTANCE, confidence * (1.0 - rise.sigma.clamp(0.0, 1.0)));
        }
        if rank >= 3 {
            verdict.soon((rise.share - RISE_AT_END) / (RISE_CRITICAL - RISE_AT_END));
        }
    }
    let growth = evidence.trend.sure_percent_year();
    if growth > VERY_FAST_PERCENT_YEAR {
        verdict.ask(2, Reasons::TREND, 0.6);
    } else if growth > FAST_PERCENT_YEAR {
        verdict.ask(1, Reasons::TREND, 0.6);
    }
}

impl Verdict {
    /// `worse`: 0 just at the end of life … 1 critical.
    fn soon(&mut self, worse: f64) {
        let years = YEARS.0 + (YEARS.1 - YEARS.0) * worse.clamp(0.0, 1.0);
        self.years = self.years.min(years);
    }
}

/// Share of blocks to be replaced from which all are: new blocks in an old
/// string age with it (facts/battery-science.md §1.6).
const REPLACE_ALL_SHARE: f64 = 0.20;

/// What to do about the string as a whole.
#[must_use]
pub fn advise_string(blocks: &[BlockHealth]) -> Advice {
    let bad = || blocks.iter().map(|b| b.advice).filter(|a| a.action.replaces());
    let count = bad().count();
    if count == 0 || (count as f64) < REPLACE_ALL_SHARE * blocks.len() as f64 {
        return Advice::default();
    }
    let gravest =
        bad().fold(Advice::default(), |a, b| if sooner(b.action, a.action) { b } else { a });
    let confidence = bad().map(|a| a.confidence).sum::<f32>() / count as f32;
    Advice { action: gravest.action, reasons: Reasons::STRING, confidence }
}

fn sooner(a: Action, b: Action) -> bool {
    match (a, b) {
        (Action::ReplaceBy { years: a, .. }, Action::ReplaceBy { years: b, .. }) => a < b,
        _ => a.rank() > b.rank(),
    }
}

/// Advice in words: `replace block 17 by 2027-04: capacity 71 % (measured at
/// 62 % depth 12 days ago), resistance +58 % since baseline`.
#[derive(Clone, Copy, Debug)]
pub struct AdviceText<'a> {
    /// Number of the block, from 1.
    pub number: usize,
    /// What is known about it.
    pub health: &'a BlockHealth,
}

impl fmt::Display for AdviceText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, health) = (self.number, self.health);
        match health.advice.action {
            Action::None if health.soh.ratio.is_nan() => {
                return write!(f, "block {number}: too little is known yet");
            }
            Action::None => return write!(f, "block {number}: nothing to do"),
            Action::Watch => write!(f, "watch block {number}: ")?,
            Action::Test => write!(f, "test block {number} under load: ")?,
            replace => {
                write!(f, "replace block {number} ")?;
                when(f, replace)?;
                f.write_str(": ")?;
            }
        }
        health.write_reasons(f)
    }
}

/// The string's advice in words; empty when there is none.
#[derive(Clone, Copy, Debug)]
pub struct StringText<'a>(pub &'a HealthReport);

impl fmt::Display for StringText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.0;
        if !report.advice.action.replaces() {
            return Ok(());
        }
        let bad = report.blocks.iter().filter(|b| b.advice.action.replaces()).count();
        f.write_str("replace the whole string ")?;
        when(f, report.advice.action)?;
        write!(f, ": {bad} of {} blocks need replacing", report.blocks.len())
    }
}

fn when(f: &mut fmt::Formatter<'_>, action: Action) -> fmt::Result {
    match action {
        Action::ReplaceBy { wall_s: Some(wall_s), .. } => {
            let (year, month) = year_month(wall_s);
            write!(f, "by {year}-{month:02}")
        }
        Action::ReplaceBy { years, wall_s: None } => {
            write!(f, "within {:.0} months (the clock is not set)", (years * 12.0).ceil())
        }
        _ => f.write_str("now"),
    }
}

impl BlockHealth {
    fn write_reasons(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reasons = self.advice.reasons;
        let mut comma = "";
        let mut next = |f: &mut fmt::Formatter<'_>| {
            let before = comma;
            comma = ", ";
            f.write_str(before)
        };
        if let (true, Some(c)) = (reasons.contains(Reasons::CAPACITY), self.capacity) {
            next(f)?;
            let (ratio, depth) = (c.ratio * 100.0, c.depth * 100.0);
            let days = c.age_days;
            write!(f, "capacity {ratio:.0} % (measured at {depth:.0} % depth {days:.0} days ago)")?;
        }
        if reasons.contains(Reasons::RESISTANCE) {
            next(f)?;
            let percent = (self.resistance_mohm / self.baseline.mohm - 1.0) * 100.0;
            let over = match self.baseline.kind {
                BaselineKind::Learned => "since baseline",
                BaselineKind::LearnedLate => "since a baseline learned late",
                BaselineKind::StringMedian => "over the string's median",
                BaselineKind::Stated | BaselineKind::None => "over the data sheet",
            };
            write!(f, "resistance {percent:+.0} % {over}")?;
        }
        if reasons.contains(Reasons::TREND) {
            next(f)?;
            let Trend { low, percent_year, high } = self.trend;
            write!(f, "resistance grows {percent_year:.0} %/year ({low:.0} … {high:.0})")?;
        }
        if reasons.contains(Reasons::AGE) {
            next(f)?;
            write!(f, "{:.1} … {:.1} years of life left", self.life.low, self.life.high)?;
        }
        for (kind, hint) in self.hints.told().filter(|_| reasons.contains(Reasons::HINT)) {
            next(f)?;
            write!(f, "{} suspected ({})", kind.text(), hint.signs)?;
        }
        if reasons.contains(Reasons::OUTLIER) {
            next(f)?;
            write!(f, "{}", self.outliers.suspicious())?;
        }
        if reasons.contains(Reasons::DRIFT) {
            next(f)?;
            f.write_str("drifts away from the string")?;
        }
        Ok(())
    }
}

/// Year and month (1 … 12) of a time, by the civil calendar (H. Hinnant's
/// days-to-civil, for days since 1970).
fn year_month(wall_s: u64) -> (u64, u64) {
    let days = wall_s / 86_400 + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let (month, next_year) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year_of_era + next_year, month)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::battery::Chemistry;
    use crate::health::hints::Observed;
    use crate::health::resistance::Baseline;
    use proptest::prelude::*;

    const NOTHING: Evidence = Evidence {
        capacity: None,
        rise: None,
        trend: Trend::UNKNOWN,
        life: LifeYears::UNKNOWN,
        hints: Hints::NONE,
        outliers: Outliers::NONE,
        drifts: false,
    };

    fn capacity(ratio: f32, sigma: f32) -> Option<Capacity> {
        Some(Capacity { ratio, sigma, depth: 0.62, age_days: 12.0 })
    }

    fn rise(share: f64, own: bool) -> Option<Rise> {
        Some(Rise { share, sigma: 0.02, own })
    }

    fn rank(evidence: Evidence) -> u8 {
        advise(&evidence).action.rank()
    }

    #[test]
    fn the_ladder() {
        assert_eq!(advise(&NOTHING), Advice::default());
        for (own, ranks) in [(true, [0, 1, 2, 3, 4]), (false, [0, 0, 1, 2, 2])] {
            for (share, wanted) in [0.19, 0.21, 0.31, 0.51, 1.01].into_iter().zip(ranks) {
                assert_eq!(rank(Evidence { rise: rise(share, own), ..NOTHING }), wanted, "{share}");
            }
        }
        for (ratio, sigma, wanted) in
            [(0.95, 0.03, 0), (0.88, 0.03, 1), (0.78, 0.05, 2), (0.71, 0.05, 3), (0.55, 0.05, 4)]
        {
            let evidence = Evidence { capacity: capacity(ratio, sigma), ..NOTHING };
            assert_eq!(rank(evidence), wanted, "{ratio}");
        }
        let unsure = Evidence { capacity: capacity(0.78, 0.05), rise: rise(0.35, true), ..NOTHING };
        assert_eq!(rank(unsure), 3, "two witnesses");
        let growing = |low| Trend { low, percent_year: low + 1.0, high: low + 2.0 };
        assert_eq!(rank(Evidence { trend: growing(6.0), ..NOTHING }), 1);
        assert_eq!(rank(Evidence { trend: growing(16.0), ..NOTHING }), 2);
        let old = LifeYears { low: 0.0, high: 0.4 };
        assert_eq!(rank(Evidence { life: old, ..NOTHING }), 2, "age alone asks for a test");
    }

    fn aged() -> BlockHealth {
        let evidence =
            Evidence { capacity: capacity(0.71, 0.05), rise: rise(0.58, true), ..NOTHING };
        BlockHealth {
            capacity: evidence.capacity,
            resistance_mohm: 6.32,
            baseline: Baseline { mohm: 4.0, kind: BaselineKind::Learned },
            advice: advise(&evidence),
            ..BlockHealth::UNKNOWN
        }
    }

    #[test]
    fn advice_speaks_with_its_numbers() {
        let mut health = aged();
        let text = |health: &BlockHealth| AdviceText { number: 17, health }.to_string();
        let why = "capacity 71 % (measured at 62 % depth 12 days ago), \
                   resistance +58 % since baseline";
        assert_eq!(
            text(&health),
            format!("replace block 17 within 12 months (the clock is not set): {why}")
        );
        health.advice.action = Action::ReplaceBy { years: 0.7, wall_s: Some(1_806_537_600) };
        assert_eq!(text(&health), format!("replace block 17 by 2027-04: {why}"));
        health.advice.action = Action::ReplaceNow;
        assert_eq!(text(&health), format!("replace block 17 now: {why}"));
        assert_eq!(text(&BlockHealth::UNKNOWN), "block 17: too little is known yet");
    }

    #[test]
    fn a_fifth_of_the_string_is_the_string() {
        let mut report =
            HealthReport { blocks: vec![BlockHealth::UNKNOWN; 10], ..HealthReport::default() };
        report.blocks[3] = aged();
        assert_eq!(advise_string(&report.blocks), Advice::default());
        assert_eq!(StringText(&report).to_string(), "");
        report.blocks[7] = aged();
        report.advice = advise_string(&report.blocks);
        assert_eq!(
            StringText(&report).to_string(),
            "replace the whole string within 12 months (the clock is not set): \
             2 of 10 blocks need replacing"
        );
        assert_eq!(advise_string(&[]), Advice::default());
    }

    #[test]
    fn months_are_those_of_the_calendar() {
        for (wall_s, wanted) in [
            (0, (1970, 1)),
            (951_782_400, (2000, 2)),
            (951_868_800, (2000, 3)),
            (1_798_761_599, (2026, 12)),
            (1_798_761_600, (2027, 1)),
        ] {
            assert_eq!(year_month(wall_s), wanted);
        }
        assert!(year_month(u64::MAX).0 > 2_000);
    }

    proptest! {
        #[test]
        fn worse_never_improves_the_advice(
            ratio in 0.0..1.3f32, lost in 0.0..0.5f32, sigma in 0.0..0.2f32,
            share in -0.5..1.5f64, more in 0.0..0.8f64, own in any::<bool>(),
            low in -10.0..20.0f32, steeper in 0.0..20.0f32,
            life in 0.0..10.0f32, shorter in 0.0..5.0f32,
            drifts in any::<bool>(),
        ) {
            let evidence = |ratio, share, low: f32, life: f32, drifts| Evidence {
                capacity: capacity(ratio, sigma),
                rise: rise(share, own),
                trend: Trend { low, percent_year: low + 1.0, high: low + 2.0 },
                life: LifeYears { low: life * 0.5, high: life },
                drifts,
                ..NOTHING
            };
            let before = advise(&evidence(ratio, share, low, life, drifts));
            let after = advise(&evidence(
                (ratio - lost).max(0.0), share + more, low + steeper, (life - shorter).max(0.0), true,
            ));
            prop_assert!(!sooner(before.action, after.action), "{before:?} {after:?}");
            prop_assert!((0.0..=1.0).contains(&after.confidence));
        }

        /// Warmth speaks against some suspicions: they must not be all that
        /// the advice stood on.
        #[test]
        fn worse_signs_never_improve_the_advice(
            share in 0.0..1.2f64, more in 0.0..0.5f64, own in any::<bool>(),
            warmer_k in -1.0..5.0f64, hotter in 0.0..4.0f64,
            float_v in -2.5..0.2f64, lower in 0.0..0.5f64,
            idle_days in 0.0..20.0f64, chemistry in 0..7usize,
            sags in any::<bool>(), early in any::<bool>(), drifts in any::<bool>(),
        ) {
            let evidence = |share, warmer_k, float_v: f64, idle_days, sags, drifts| {
                let outliers = Outliers::NONE
                    .with(Outliers::DISCHARGE_LOW, sags)
                    .with(Outliers::RECHARGE_HIGH, early)
                    .with(Outliers::FLOAT_LOW, float_v < -0.1);
                let observed = Observed {
                    chemistry: Chemistry::ALL[chemistry],
                    cells: 6.0,
                    rise: rise(share, own),
                    growth_percent_year: 0.0,
                    warmer_k,
                    float_v,
                    idle_days,
                    outliers,
                    drifts,
                    capacity: f64::NAN,
                };
                let hints = observed.hints();
                Evidence { rise: observed.rise, hints, outliers, drifts, ..NOTHING }
            };
            let before = evidence(share, warmer_k, float_v, idle_days, sags, drifts);
            let after =
                evidence(share + more, warmer_k + hotter, float_v - lower, idle_days + 3.0, true, true);
            let (before, after) = (advise(&before), advise(&after));
            prop_assert!(!sooner(before.action, after.action), "{before:?} {after:?}");
        }
    }
}
