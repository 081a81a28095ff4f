//! `cargo xtask bench --only history`: what history costs, beside the budgets of
//! DESIGN.md and the reference's table (facts/battery-science.md §1.4). Programs of
//! the release build, as they are shipped: a release *test* would be built with other
//! dependencies, all of them once more.

use super::Figures;
use super::figures::Budget;
use super::plugins::said;
use crate::run::{AnyError, cargo, exec, step};
use std::path::Path;

/// A record of a floating block with its index.
const RECORD_B: f64 = 3.0;
/// A year of a block from flash.
const YEAR_MS: f64 = 50.0;
/// Days that the reference keeps of so many modules in 32 MB.
const REFERENCE_DAYS: [(usize, f64); 3] = [(10, 3_112.0), (100, 311.0), (330, 94.0)];
/// Of 512, of which the reference says nothing: as many records as in its largest.
const MOST_DAYS: f64 = 94.0;
/// Flash that bears 1 TB lasts 15 years.
const FLASH_MB_A_DAY: f64 = 1e6 / (15.0 * 365.0);
/// What is kept is written so often: with its day, with the pages of its index, and
/// folded.
const AMPLIFICATION: f64 = 30.0;
/// A discharge leaves the processor to others.
const INGEST_PERCENT: f64 = 5.0;

pub fn run(root: &Path, figures: &mut Figures) -> Result<(), AnyError> {
    let day = root.join("target/bench-history-day.evkhist");
    step("history: bytes per record of simulated strings", || {
        let example = ["run", "--release", "--package", "evenkeel-sim", "--example"];
        exec(cargo(&example).args(["history_day", "--"]).arg(&day))
    })?;
    let text = step("history: in the store", || {
        let example = ["run", "--release", "--package", "evenkeeld", "--example"];
        said(cargo(&example).args(["history_figures", "--"]).arg(&day))
    })?;
    figures.judge("history", &text, budget);
    Ok(())
}

fn budget(name: &str) -> Option<Budget> {
    if let Some((modules, what)) = name.split_once(" modules, ") {
        let modules = modules.parse::<usize>().ok();
        let least = REFERENCE_DAYS.iter().find(|(of, _)| Some(*of) == modules);
        let least = least.map_or(MOST_DAYS, |(_, days)| *days);
        match what {
            "a record with its index" => return Some(Budget::Most(RECORD_B)),
            "records in 32 MB" => return Some(Budget::Least(least)),
            _ => {}
        }
    }
    match name {
        "512 modules on float, to flash a day" => Some(Budget::Most(FLASH_MB_A_DAY)),
        "512 modules on float, write amplification" => Some(Budget::Most(AMPLIFICATION)),
        "512 blocks at 1 Hz, processor" => Some(Budget::Most(INGEST_PERCENT)),
        name if name.starts_with("a year of") && name.ends_with(" points") => {
            Some(Budget::Most(YEAR_MS))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budgets_of_the_design_are_held_by_name() {
        for (name, wanted) in [
            ("10 modules, a record with its index", Some(Budget::Most(3.0))),
            ("10 modules, records in 32 MB", Some(Budget::Least(3_112.0))),
            ("512 modules, records in 32 MB", Some(Budget::Least(94.0))),
            ("a year of one of 512 blocks in 800 points", Some(Budget::Most(50.0))),
            ("a year of one of 512 blocks in 800 points, reads", None),
            ("a day of one of 512 blocks in 800 points", None),
        ] {
            assert_eq!(budget(name), wanted, "{name}");
        }
    }
}
