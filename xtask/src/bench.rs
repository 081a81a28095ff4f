//! `cargo xtask bench`: what DESIGN.md budgets, measured on this machine with
//! the release build. Prints one line per figure, with its budget where there
//! is one; nothing is asserted here. `--only NAME` measures a part, `--json
//! FILE` writes all figures for a program.

mod console;
mod figures;
mod gateway;
mod history;
mod hostile;
mod plugins;

use crate::demo::stack;
use crate::load::Load;
use crate::run::{AnyError, cargo, exec, step};
use clap::ValueEnum;
use clap::builder::PossibleValue;
use figures::Figures;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub struct Arguments {
    /// Seconds per jitter measurement.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Measure only this; may be given several times.
    #[arg(long)]
    only: Vec<Part>,
    /// Write the figures to this file, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Use the release programs and plugins that are built already.
    #[arg(long)]
    no_build: bool,
}

/// What can be measured by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Size of the programs.
    Sizes,
    /// Time and memory of a driver at work, and of a plugin of 300 kB.
    Plugins,
    /// The appliance when nothing else happens.
    Idle,
    /// The same with both cores busy.
    Busy,
    /// Guard, neighbour and console with hostile and greedy plugins, and without.
    Hostile,
    /// Modbus reads by one and by eight clients, and where the time goes.
    Gateway,
    /// The console with 512 blocks in Chromium (only when asked for: takes minutes).
    Console,
    /// One evaluation of 1,000 rules.
    Rules,
    /// Seconds until strings are equalized, in virtual time.
    Balance,
    /// What history costs, in bytes, flash and time (only when asked for: takes minutes).
    History,
    /// Size of a daemon without the compiler (only when asked for: a build of its own).
    Lean,
    /// Plugins in the interpreter (only when asked for: a build of its own).
    Interpreter,
    /// Mutated components (only when asked for: takes minutes).
    Mutations,
}

impl Part {
    /// What is measured when nothing in particular is asked for.
    const USUAL: [Self; 8] = [
        Self::Sizes,
        Self::Plugins,
        Self::Idle,
        Self::Busy,
        Self::Hostile,
        Self::Gateway,
        Self::Rules,
        Self::Balance,
    ];

    /// Whether the programs and plugins have to be built for it.
    const fn needs_programs(self) -> bool {
        !matches!(self, Self::Rules | Self::Balance | Self::History)
    }
}

pub fn run(root: &Path, arguments: &Arguments) -> Result<(), AnyError> {
    let parts = match arguments.only.as_slice() {
        [] => &Part::USUAL[..],
        only => only,
    };
    let bundles = match () {
        () if !parts.iter().any(|part| part.needs_programs()) => Vec::new(),
        () if arguments.no_build => plugins::built(root)?,
        () => build(root, parts)?,
    };
    let mut figures = Figures::default();
    for part in parts {
        let name = part.to_possible_value();
        figures.begin(name.as_ref().map_or("", PossibleValue::get_name));
        let seconds = arguments.seconds;
        match part {
            Part::Sizes => plugins::sizes(root, &mut figures)?,
            Part::Plugins => plugins::costs(root, &bundles, &mut figures)?,
            Part::Idle => measure(root, seconds, 0, &mut figures)?,
            Part::Busy => measure(root, seconds, 2, &mut figures)?,
            Part::Hostile => hostile::measure(root, seconds, &mut figures)?,
            Part::Gateway => gateway::measure(root, &mut figures)?,
            Part::Console => console::measure(root, &mut figures)?,
            Part::Rules => rules(&mut figures)?,
            Part::Balance => balance()?,
            Part::History => history::run(root, &mut figures)?,
            Part::Lean => plugins::lean(root, &mut figures)?,
            Part::Interpreter => plugins::interpreter(root, &mut figures)?,
            Part::Mutations => plugins::mutations(&mut figures)?,
        }
    }
    match &arguments.json {
        Some(file) => Ok(std::fs::write(file, figures.json())?),
        None => Ok(()),
    }
}

/// Everything that is measured; the bundles.
fn build(root: &Path, parts: &[Part]) -> Result<Vec<PathBuf>, AnyError> {
    step("build, release", || {
        let programs = ["evenkeel-guard", "evenkeeld", "evenkeel-sim", "evenkeel-plugin"];
        let packages = programs.iter().flat_map(|p| ["--package", p]);
        exec(cargo(&["build", "--release", "--bins"]).args(packages))?;
        if parts.iter().all(|part| *part == Part::Console) {
            return Ok(());
        }
        let examples = ["evenkeeld", "evenkeel-e2e"].into_iter().flat_map(|p| ["--package", p]);
        let names = ["plugin_cost", "hostile_plugins", "wakeups"];
        let names = names.iter().flat_map(|n| ["--example", n]);
        exec(cargo(&["build", "--release"]).args(examples).args(names))
    })?;
    Ok(crate::plugins::build(root)?)
}

/// Where the programs are that are measured.
fn programs(root: &Path) -> PathBuf {
    root.join("target/release")
}

/// Rules cost at most a hundredth of a core, at two evaluations a second.
const EVALUATION_US: f64 = 5_000.0;

fn rules(figures: &mut Figures) -> Result<(), AnyError> {
    let text = step("one evaluation of 1,000 rules", || {
        let example = ["run", "--release", "--package", "evenkeeld", "--example"];
        plugins::said(cargo(&example).arg("rule_cost"))
    })?;
    figures.take("1,000 rules", &text, &[("one evaluation", EVALUATION_US)]);
    Ok(())
}

fn balance() -> Result<(), AnyError> {
    step("equalization in virtual time (seconds to ±10 mV)", || {
        let options = ["test", "--release", "--package", "evenkeel-sim", "--test", "balance"];
        exec(cargo(&options).args(["--", "--nocapture", "close"]))
    })
}

/// A fresh stack, watched for a while with `busy` endless loops beside it.
fn measure(root: &Path, seconds: u64, busy: usize, figures: &mut Figures) -> Result<(), AnyError> {
    let dir = root.join("target/bench");
    // Absent at the first run.
    let _ = std::fs::remove_dir_all(&dir);
    let started = Instant::now();
    let mut stack = stack(root, programs(root), dir, 0, 1)?;
    let mut client = stack.sign_in()?;
    figures.add("processes started, signed in", started.elapsed().as_secs_f64() * 1e3, "ms");
    let load = Load::start(busy)?;
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut scans_us = Vec::new();
    let mut answers_us = Vec::new();
    while Instant::now() < end {
        stack.check()?;
        // In the first moments the daemon has not heard the guard yet.
        if let Ok(guard) = client.get("/api/v1/guard") {
            scans_us.extend(guard["scan_us"].as_f64());
        }
        let asked = Instant::now();
        client.get("/api/v1/strings")?;
        answers_us.push(asked.elapsed().as_secs_f64() * 1e6);
        std::thread::sleep(Duration::from_secs(1));
    }
    drop(load);
    let guard = client.get("/api/v1/guard")?;
    let plugins = client.get("/api/v1/plugins")?;
    print_guard(&guard, &mut scans_us);
    figures.add("deadline misses", guard["deadline_misses"].as_f64().unwrap_or(f64::NAN), "cycles");
    figures.add("GET /api/v1/strings p50", at(&mut answers_us, 0.5), "µs");
    figures.add("GET /api/v1/strings p95", at(&mut answers_us, 0.95), "µs");
    for plugin in plugins.as_array().into_iter().flatten() {
        println!("plugin {plugin}");
    }
    let kb = |kb: Option<u64>| kb.map_or(f64::NAN, |kb| kb as f64);
    figures.within("guard resident", kb(stack.guard.resident_kb()), "kB", 4_000.0);
    figures.within("daemon resident", kb(stack.daemon.resident_kb()), "kB", 100_000.0);
    for program in [&mut stack.daemon, &mut stack.guard, &mut stack.sim] {
        program.stop();
    }
    Ok(())
}

pub fn print_guard(guard: &Value, scans_us: &mut [f64]) {
    println!(
        "cycles {}, deadline misses {}, wake-up jitter µs: p50 {:.0}, p99.9 {:.0}, max {:.0}",
        guard["cycles"],
        guard["deadline_misses"],
        guard["jitter"]["p50_us"].as_f64().unwrap_or(f64::NAN),
        guard["jitter"]["p99_9_us"].as_f64().unwrap_or(f64::NAN),
        guard["jitter"]["max_us"].as_f64().unwrap_or(f64::NAN),
    );
    let scan = at(scans_us, 0.5);
    println!(
        "scan of 64 modules: p50 {scan:.0} µs, of it 100,000 µs sampling; {:.0} µs per module; work in a cycle {} µs",
        (scan - 100_000.0) / 64.0,
        guard["work_us"]
    );
    println!("conditions: {}", guard["conditions"]);
}

/// The value below which a share `q` of the sorted values lies.
fn at(values: &mut [f64], q: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let index = (values.len() as f64 * q) as usize;
    values.get(index.min(values.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}
