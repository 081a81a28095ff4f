//! `cargo xtask campaign`: random worlds with faults against the guard's pure
//! core, from seeds; `evenkeel-sim campaign` in release.

use crate::run::{AnyError, cargo, exec, step};
use std::path::Path;
use std::process::Command;

#[derive(clap::Args)]
pub struct Arguments {
    /// How many seeds.
    #[arg(long, default_value_t = 2_000, conflicts_with = "seed")]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 1, conflicts_with = "seed")]
    from: u64,
    /// Replay this one alone and show its scenario.
    #[arg(long)]
    seed: Option<u64>,
}

impl Arguments {
    /// So many seeds from the first one on.
    pub fn of(seeds: u64) -> Self {
        Self { seeds, from: 1, seed: None }
    }
}

pub fn run(root: &Path, arguments: &Arguments) -> Result<(), AnyError> {
    step("build the simulator, release", || {
        exec(&mut cargo(&["build", "--release", "--package", "evenkeel-sim"]))
    })?;
    let mut campaign = Command::new(root.join("target/release/evenkeel-sim"));
    campaign.arg("campaign");
    match arguments.seed {
        Some(seed) => campaign.args(["--seed".to_owned(), seed.to_string()]),
        None => campaign.args([
            "--seeds".to_owned(),
            arguments.seeds.to_string(),
            "--from".to_owned(),
            arguments.from.to_string(),
        ]),
    };
    step("campaign", || exec(&mut campaign))
}
