//! `cargo xtask bench`: what DESIGN.md budgets, measured on this machine with
//! the release build. Prints one line per figure; nothing is asserted here.

mod history;

use crate::demo::stack;
use crate::load::Load;
use crate::plugins;
use crate::run::{AnyError, cargo, exec, step};
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub struct Arguments {
    /// Only these figures.
    only: Option<Only>,
    /// Seconds per jitter measurement.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

/// A part of the figures.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Only {
    /// What history costs.
    History,
}

pub fn run(root: &Path, arguments: &Arguments) -> Result<(), AnyError> {
    if arguments.only == Some(Only::History) {
        return history::run(root);
    }
    step("build, release", || {
        let options = ["build", "--release", "--workspace", "--bins"];
        exec(cargo(&options).args(["--exclude", "evenkeel-plugin-*", "--exclude", "evenkeel-fuzz"]))
    })?;
    let bundles = plugins::build(root)?;
    let programs = root.join("target/release");
    for name in ["evenkeel-guard", "evenkeeld"] {
        println!(
            "{name} program file: {} kB",
            std::fs::metadata(programs.join(name))?.len() / 1000
        );
    }
    let daemon = programs.join("evenkeeld");
    for bundle in bundles {
        step(&format!("cost of {}", bundle.display()), || {
            let example = ["run", "--release", "--package", "evenkeeld", "--example"];
            let key = root.join("target/dev-keys/plugin.pub");
            exec(cargo(&example).args(["plugin_cost", "--"]).arg(&daemon).arg(&bundle).arg(key))
        })?;
    }
    step("cost of a plugin of 300 kB", || {
        let example = ["run", "--release", "--package", "evenkeeld", "--example", "plugin_cost"];
        exec(cargo(&example).arg("--").arg(&daemon))
    })?;
    measure(root, "idle", arguments.seconds, 0)?;
    measure(root, "both cores busy", arguments.seconds, 2)?;
    step("equalization in virtual time (seconds to ±10 mV)", || {
        let options = ["test", "--release", "--package", "evenkeel-sim", "--test", "balance"];
        exec(cargo(&options).args(["--", "--nocapture", "close"]))
    })
}

/// A fresh stack, watched for a while with `busy` endless loops beside it.
fn measure(root: &Path, title: &str, seconds: u64, busy: usize) -> Result<(), AnyError> {
    println!("── {title}, {seconds} s");
    let dir = root.join("target/bench");
    // Absent at the first run.
    let _ = std::fs::remove_dir_all(&dir);
    let started = Instant::now();
    let mut stack = stack(root, root.join("target/release"), dir, 0, 1)?;
    let mut client = stack.sign_in()?;
    println!("processes started, signed in: {} ms", started.elapsed().as_millis());
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
        answers_us.push(asked.elapsed().as_micros() as f64);
        std::thread::sleep(Duration::from_secs(1));
    }
    drop(load);
    let guard = client.get("/api/v1/guard")?;
    let plugins = client.get("/api/v1/plugins")?;
    print_guard(&guard, &mut scans_us);
    println!(
        "GET /api/v1/strings: p50 {:.0} µs, p95 {:.0} µs",
        at(&mut answers_us, 0.5),
        at(&mut answers_us, 0.95)
    );
    for plugin in plugins.as_array().into_iter().flatten() {
        println!("plugin {plugin}");
    }
    println!(
        "resident: guard {:?} kB, daemon {:?} kB",
        stack.guard.resident_kb(),
        stack.daemon.resident_kb()
    );
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
