//! How wrong the estimators are, over a zoo of other people's battery models.
#[path = "zoo/mod.rs"]
mod zoo;

use zoo::models::Model;
use zoo::{Discharge, Outcome};

fn outcomes(model: Model, count: u64) -> Vec<(Discharge, Outcome)> {
    // Some batteries are too worn for their load: draw others.
    (0..4 * count)
        .filter_map(|seed| {
            let discharge = Discharge::draw(model, seed);
            discharge.run(seed).map(|outcome| (discharge, outcome))
        })
        .take(count as usize)
        .collect()
}

/// The value below which `share` of the values lie.
fn quantile(values: impl Iterator<Item = f64>, share: f64) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(((values.len() - 1) as f64 * share).round() as usize).copied().unwrap_or(f64::NAN)
}

fn row(name: &str, all: &[(Discharge, Outcome)]) {
    let figure = |f: &dyn Fn(&Outcome) -> f64| {
        let values = all.iter().map(|(_, o)| f(o));
        format!(
            "{:5.1} {:5.1} {:5.1} |",
            quantile(values.clone().map(f64::abs), 0.5),
            quantile(values.clone(), 0.0),
            quantile(values, 1.0),
        )
    };
    print!("{name:12} {:3} |", all.len());
    for mark in 0..3 {
        print!("{}", figure(&|o| o.figures.of_duration[mark]));
    }
    for mark in 0..3 {
        print!("{}", figure(&|o| o.figures.of_remaining[mark]));
    }
    print!("{}", figure(&|o| o.figures.last_quarter));
    print!("{}", figure(&|o| o.figures.last_quarter_of_remaining));
    print!("{}", figure(&|o| 100.0 * (o.half_ah / o.true_ah - 1.0)));
    println!();
}

/// Discharges of each family in the tests.
const EACH: u64 = 6;

/// What a family must reach: medians of the absolute error at 25, 50 and 75 %
/// elapsed, and the most optimism in the last quarter of any discharge; per
/// cent of the duration.
fn check(model: Model, limits: [f64; 4]) {
    let all = outcomes(model, EACH);
    row(&format!("{model:?}"), &all);
    assert!(all.len() >= 2, "too few discharges");
    for (mark, limit) in limits[..3].iter().enumerate() {
        let median = quantile(all.iter().map(|(_, o)| o.figures.of_duration[mark].abs()), 0.5);
        assert!(median <= *limit, "mark {mark}: {median:.1} % of the duration");
    }
    for (discharge, outcome) in &all {
        let seed = discharge.seed;
        let optimism = outcome.figures.last_quarter;
        assert!(optimism <= limits[3], "seed {seed}: {optimism:.1} % too long in the last quarter");
        let jump_s = outcome.figures.worst_jump_s;
        assert!(jump_s <= 0.0, "seed {seed}: rises by {jump_s} s");
    }
}

macro_rules! families {
    ($($name:ident: $model:ident, $limits:expr;)*) => {
        $(#[test]
        fn $name() {
            check(Model::$model, $limits);
        })*
    };
}

families! {
    wells: Wells, [30.0, 22.0, 12.0, 8.0];
    shepherd: Shepherd, [30.0, 28.0, 5.0, 8.0];
    thevenin: Thevenin, [20.0, 10.0, 8.0, 16.0];
    lfp_staged: LfpStaged, [20.0, 10.0, 5.0, 8.0];
    nmc_table: NmcTable, [20.0, 10.0, 5.0, 8.0];
    held_out_ciemat: Ciemat, [45.0, 20.0, 8.0, 8.0];
    held_out_kibam: Kibam, [28.0, 15.0, 8.0, 10.0];
    held_out_table: Table, [15.0, 16.0, 8.0, 24.0];
    lfp_tremblay: LfpTremblay, [25.0, 20.0, 10.0, 10.0];
    held_out_lfp_other: LfpOther, [30.0, 22.0, 14.0, 8.0];
    nmc_tremblay: NmcTremblay, [20.0, 10.0, 12.0, 16.0];
    nca: Nca, [20.0, 10.0, 6.0, 13.0];
}

#[test]
#[ignore = "prints a table; a minute"]
fn print_table() {
    let count = std::env::var("COUNT").ok().and_then(|c| c.parse().ok()).unwrap_or(24);
    println!(
        "runtime error: of duration at 25, 50, 75 %, of remaining at 25, 50, 75 %, most optimism"
    );
    println!(
        "in the last quarter (of duration, of remaining), capacity at half; each the median of"
    );
    println!("the absolute value, the lowest, the highest; per cent");
    let held_out = std::env::var("HELD_OUT").is_ok();
    let models = Model::TRAINING.iter().chain(Model::HELD_OUT.iter().filter(|_| held_out));
    let mut all = Vec::new();
    for model in models {
        let some = outcomes(*model, count);
        row(&format!("{model:?}"), &some);
        all.extend(some);
    }
    shares("all", &all);
    let (fit, worn): (Vec<_>, Vec<_>) = all.into_iter().partition(|(d, _)| d.spec.health >= 0.85);
    shares("healthy", &fit);
    shares("worn", &worn);
}

/// Shares of the discharges within the limits that the estimators aim at.
fn shares(name: &str, all: &[(Discharge, Outcome)]) {
    let share = |f: &dyn Fn(&Outcome) -> bool| {
        100.0 * all.iter().filter(|(_, o)| f(o)).count() as f64 / all.len().max(1) as f64
    };
    print!("{name:12} {:3} | within 20/10/5 %:", all.len());
    for (mark, limit) in [20.0, 10.0, 5.0].into_iter().enumerate() {
        let error = |o: &Outcome| o.figures.of_duration[mark];
        let median = quantile(all.iter().map(|(_, o)| error(o)), 0.5);
        print!(" {:3.0} % (median {median:5.1})", share(&|o| error(o).abs() <= limit));
    }
    let capacity = |o: &Outcome| 100.0 * (o.half_ah / o.true_ah - 1.0);
    println!(
        " | late optimism over 10 %: {:3.0} % | capacity within 6 %: {:3.0} % (median {:5.1})",
        share(&|o| o.figures.last_quarter > 10.0),
        share(&|o| capacity(o).abs() <= 6.0),
        quantile(all.iter().map(|(_, o)| capacity(o)), 0.5),
    );
}
