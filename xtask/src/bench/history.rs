//! `cargo xtask bench --only history`: what history costs, beside the budgets of
//! DESIGN.md and the reference's table (facts/battery-science.md §1.4). Built by the
//! dev profile, in which core is optimized and the store is not: times are upper
//! bounds.

use crate::run::{AnyError, cargo, exec, step};
use std::path::Path;

pub fn run(root: &Path) -> Result<(), AnyError> {
    let day = root.join("target/bench-history-day.evkhist");
    step("history: bytes per record of simulated strings", || {
        let example = ["run", "--package", "evenkeel-sim", "--example", "history_day", "--"];
        exec(cargo(&example).arg(&day))
    })?;
    step("history: in the store", || {
        let test = ["test", "--package", "evenkeeld", "--lib", "--", "--ignored", "--nocapture"];
        let figures = ["--test-threads=1", "store::history::figures"];
        exec(cargo(&test).args(figures).env("EVENKEEL_HISTORY_DAY", &day))
    })
}
