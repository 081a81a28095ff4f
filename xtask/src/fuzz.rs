//! `cargo xtask fuzz`: the coverage-guided fuzz targets of tests/fuzz.
//!
//! Built with LLVM's coverage instrumentation by stable compiler flags and
//! libFuzzer (its run time is built by the `libfuzzer-sys` crate), in a target
//! folder of their own. A crash leaves its input in target/fuzz/crashes. Where a
//! format is too intricate to be hit upon, tests/fuzz/seeds has examples to
//! begin from.

use crate::run::{AnyError, cargo, exec};
use std::path::Path;
use std::process::{Command, Stdio};

const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Cdebug-assertions -Coverflow-checks -Copt-level=2 -Ccodegen-units=1";

#[derive(clap::Args)]
pub struct Arguments {
    /// Seconds per target.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Only this target.
    #[arg(long)]
    target: Option<String>,
}

pub fn run_target(root: &Path, target: &str, seconds: u64) -> Result<(), AnyError> {
    let corpus = root.join("target/fuzz/corpus").join(target);
    let crashes = root.join("target/fuzz/crashes/");
    std::fs::create_dir_all(&corpus)?;
    std::fs::create_dir_all(&crashes)?;
    let seeds = root.join("tests/fuzz/seeds").join(target);
    let log = root.join("target/fuzz").join(format!("{target}.log"));
    let output = std::fs::File::create(&log)?;
    let program = root.join("target/fuzz/x86_64-unknown-linux-gnu/debug").join(target);
    let status = Command::new(program)
        .arg(&corpus)
        // Read only: what is found goes into the first folder.
        .args(seeds.exists().then_some(&seeds))
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-artifact_prefix={}", crashes.display()))
        .args(["-timeout=5", "-rss_limit_mb=1024", "-print_final_stats=1"])
        .stdout(Stdio::null())
        .stderr(output)
        .status()?;
    let said = std::fs::read_to_string(&log)?;
    if !status.success() {
        return Err(format!("fuzz target {target} failed, see {}:\n{said}", log.display()).into());
    }
    let runs = said.lines().find_map(|l| l.strip_prefix("stat::number_of_executed_units:"));
    println!("   {target}: {} inputs, no failure", runs.unwrap_or(" ?").trim());
    Ok(())
}

pub fn run(root: &Path, arguments: &Arguments) -> Result<(), AnyError> {
    build(root)?;
    for target in targets(root)? {
        if arguments.target.as_ref().is_none_or(|wanted| *wanted == target) {
            run_target(root, &target, arguments.seconds)?;
        }
    }
    Ok(())
}

/// A few seconds of every target.
pub fn short(root: &Path, seconds: u64) -> Result<(), AnyError> {
    build(root)?;
    targets(root)?.iter().try_for_each(|target| run_target(root, target, seconds))
}

fn build(root: &Path) -> Result<(), AnyError> {
    // An explicit target keeps the flags away from build scripts and macros.
    let arguments = ["build", "--package", "evenkeel-fuzz", "--bins", "--target"];
    exec(
        cargo(&arguments)
            .arg("x86_64-unknown-linux-gnu")
            .env("CARGO_TARGET_DIR", root.join("target/fuzz"))
            .env("RUSTFLAGS", FLAGS),
    )
}

/// Every file in tests/fuzz/src/bin is a target.
fn targets(root: &Path) -> Result<Vec<String>, AnyError> {
    let mut targets = Vec::new();
    for entry in std::fs::read_dir(root.join("tests/fuzz/src/bin"))? {
        let path = entry?.path();
        targets.extend(path.file_stem().map(|s| s.to_string_lossy().into_owned()));
    }
    targets.sort();
    Ok(targets)
}
