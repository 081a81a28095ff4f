//! How wrong the estimators are, over a zoo of other people's battery models.
#[path = "zoo/mod.rs"]
mod zoo;

use zoo::models::Model;
use zoo::{Discharge, Outcome};

fn outcomes(model: Model, count: u64) -> Vec<(Discharge, Outcome)> {
    (0..count)
        .filter_map(|seed| {
            let discharge = Discharge::draw(model, seed);
            discharge.run(seed).map(|outcome| (discharge, outcome))
        })
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

fn table(models: &[Model], count: u64) {
    println!(
        "               n | dur 25            | 50                | 75                | remaining 25      | 50                | 75                | last q            | last q of rem     | capacity at half"
    );
    for model in models {
        let all = outcomes(*model, count);
        row(&format!("{model:?}"), &all);
        if std::env::var("WORST").is_ok() {
            let mut all = all;
            all.sort_by(|a, b| {
                let bad = |o: &Outcome| o.figures.of_duration[1].abs();
                bad(&b.1).total_cmp(&bad(&a.1))
            });
            for (d, o) in all.iter().take(4) {
                println!(
                    "   soh {:.2} {}h cp {} T {} cut {} every {} before {} noise {:.4} off {:.3} pk {:.2}: {:.1?} lq {:.1} cap {:.3} true {:.3}",
                    d.spec.health,
                    d.hours,
                    d.constant_power,
                    d.spec.celsius,
                    d.cutoff_v,
                    d.every_s,
                    d.before_s,
                    d.noise_v,
                    d.offset,
                    d.spec.peukert,
                    o.figures.of_duration,
                    o.figures.last_quarter,
                    o.half_ah / d.spec.rated_ah,
                    o.true_ah / d.spec.rated_ah
                );
            }
        }
    }
}

#[test]
#[ignore = "prints a table; a minute"]
fn print_table() {
    let count = std::env::var("COUNT").ok().and_then(|c| c.parse().ok()).unwrap_or(24);
    println!("median of |error|, lowest, highest; per cent");
    table(&Model::TRAINING, count);
    if std::env::var("HELD_OUT").is_ok() {
        table(&Model::HELD_OUT, count);
    }
}

#[test]
#[ignore = "prints"]
fn print_run() {
    let model = std::env::var("MODEL").unwrap_or_default();
    let seed = std::env::var("SEED").ok().and_then(|c| c.parse().ok()).unwrap_or(0);
    for m in Model::TRAINING.into_iter().chain(Model::HELD_OUT) {
        if format!("{m:?}") == model {
            let d = Discharge::draw(m, seed);
            println!("{:?} {}h cp {} cut {} every {} before {} blocks {}", d.spec, d.hours, d.constant_power, d.cutoff_v, d.every_s, d.before_s, d.battery.blocks);
            d.run(seed);
        }
    }
}
