//! Discharges of porous-electrode models (simulated with PyBaMM's published
//! parameters), as files: what the program says about them must not grow worse.

use std::path::PathBuf;
use std::process::Command;

/// Value of a line of the program's summary.
fn figure(summary: &str, name: &str) -> f64 {
    let line = summary.lines().find(|line| line.starts_with(name));
    line.and_then(|l| l.rsplit(' ').next()?.parse().ok()).unwrap_or(f64::NAN)
}

/// Largest error at 25, 50 and 75 % elapsed, most optimism in the last
/// quarter, per cent of the duration; what it delivered, Ah, and how far the
/// capacity at half may be from it, per cent.
fn check(name: &str, errors: [f64; 4], delivered_ah: f64, capacity: f64) {
    let file = |ending: &str| {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data/traces");
        folder.join(format!("{name}.{ending}"))
    };
    let output = Command::new(env!("CARGO_BIN_EXE_evenkeel"))
        .args(["replay", "--summary", "--battery"])
        .args([file("toml"), file("csv")])
        .output()
        .expect("it starts");
    let summary = String::from_utf8(output.stdout).expect("UTF-8");
    for (mark, limit) in [25, 50, 75].iter().zip(errors) {
        let error = figure(&summary, &format!("error_at_{mark}_percent_of_duration"));
        assert!(error.abs() <= limit, "{name} at {mark} %: {error} %\n{summary}");
    }
    let optimism = figure(&summary, "worst_optimism_last_quarter");
    assert!(optimism <= errors[3], "{name}: {optimism} % too long at the end");
    let error = 100.0 * (figure(&summary, "capacity_at_half_ah") / delivered_ah - 1.0);
    assert!(error.abs() <= capacity, "{name}: capacity off by {error} %");
}

#[test]
fn nickel_rich_against_silicon_graphite() {
    check("chen_nmc", [15.0, 5.0, 5.0, 5.0], 98.6, 6.0);
}

#[test]
fn mixed_oxide_against_graphite() {
    check("mohtat_nmc", [15.0, 5.0, 5.0, 10.0], 80.7, 8.0);
}

#[test]
fn cobalt_oxide_with_its_plateau() {
    check("marquis_lco", [15.0, 8.0, 5.0, 5.0], 92.5, 6.0);
}

#[test]
fn lead_that_runs_out_of_acid() {
    check("sulzer_lead", [10.0, 6.0, 5.0, 2.0], 37.3, 6.0);
}
