//! `evenkeel-sim`: simulated batteries and UPSes on pseudo-terminals.

use clap::{Parser, Subcommand};
use evenkeel_core::time::Nanos;
use evenkeel_sim::campaign::{
    self, Case, ControlGuardian, Invariant, Kind, Outcome, Summary, Violation,
};
use evenkeel_sim::scenario::{Scenario, ScenarioError};
use evenkeel_sim::world::World;
use evenkeel_sim::{control, live, table};
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;
use std::{fs, iter};

/// Simulated batteries, bus modules and UPSes on pseudo-terminals.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Simulate until `ctl quit`, SIGTERM or SIGINT.
    ///
    /// Prints one line `ready` with all paths when every port is open: the
    /// battery bus at DIR/bus0, the UPSes at DIR/ups0, DIR/ups0b, …, and the
    /// control socket at DIR/control. With --virtual, no port is opened and no
    /// time is lost: the plant alone lives through its script.
    Run {
        /// Where the links to the ports go; made if it is not there.
        #[arg(long, value_name = "DIR", required_unless_present = "without_ports")]
        dir: Option<PathBuf>,
        /// TOML scenario; without it, two strings of 32 × 12 V on one bus and
        /// one 3 kVA UPS with two ports.
        #[arg(long, value_name = "FILE")]
        scenario: Option<PathBuf>,
        /// Replaces the scenario's seed.
        #[arg(long)]
        seed: Option<u64>,
        /// In virtual time, without ports.
        #[arg(long = "virtual", conflicts_with = "dir", requires = "length")]
        without_ports: bool,
        /// End after this time of the simulation, for example 90s, 10m or 2h.
        #[arg(long = "for", value_name = "TIME", value_parser = control::duration)]
        length: Option<Nanos>,
        /// Write the plant there as CSV, in virtual time; default: print it.
        #[arg(long, value_name = "FILE", requires = "without_ports")]
        csv: Option<PathBuf>,
        /// Time between two rows of the CSV.
        #[arg(long, value_name = "TIME", value_parser = control::duration, default_value = "10s")]
        every: Nanos,
    },
    /// Run random worlds against the guard's pure core and check what must hold
    /// in every scan. A failing seed replays exactly.
    Campaign {
        /// How many seeds.
        #[arg(long, default_value_t = 200, conflicts_with = "seed")]
        seeds: u64,
        /// The first of them.
        #[arg(long, default_value_t = 1, conflicts_with = "seed")]
        from: u64,
        /// This one alone, with its scenario and figures.
        #[arg(long)]
        seed: Option<u64>,
    },
    /// Send one command to a running simulator; `help` lists them.
    Ctl {
        /// The DIR that the simulator was started with.
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// The command, for example: mains off
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
}

/// What went wrong before the simulation ran, or on the way to one.
#[derive(Debug, thiserror::Error)]
enum MainError {
    #[error("could not read {0}")]
    Read(PathBuf, #[source] io::Error),
    #[error("{0} is not a scenario")]
    Scenario(PathBuf, #[source] ScenarioError),
    #[error("could not make {0}")]
    Directory(PathBuf, #[source] io::Error),
    #[error("no simulator answers in {0}")]
    Control(PathBuf, #[source] io::Error),
    #[error("the simulation failed")]
    Live(#[source] live::LiveError),
    #[error("could not write {0}")]
    Csv(PathBuf, #[source] io::Error),
    #[error("the scenario cannot be built")]
    Build(#[source] ScenarioError),
    #[error("{0}")]
    Refused(String),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().action {
        Action::Run { dir, scenario, seed, length, csv, every, .. } => {
            prepare(scenario.as_deref(), seed).and_then(|scenario| match dir {
                Some(dir) => run(&dir, &scenario, length),
                None => record(&scenario, length.unwrap_or_default(), every, csv.as_deref()),
            })
        }
        Action::Campaign { seeds, from, seed } => match seed {
            Some(seed) => replay(seed),
            None => campaign(from, seeds),
        },
        Action::Ctl { dir, words } => ctl(&dir, &words.join(" ")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

fn prepare(scenario: Option<&Path>, seed: Option<u64>) -> Result<Scenario, MainError> {
    let mut scenario = scenario.map_or_else(|| Ok(Scenario::demo()), load)?;
    scenario.seed = seed.unwrap_or(scenario.seed);
    Ok(scenario)
}

fn run(dir: &Path, scenario: &Scenario, length: Option<Nanos>) -> Result<(), MainError> {
    fs::create_dir_all(dir).map_err(|e| MainError::Directory(dir.into(), e))?;
    live::run(scenario, dir, length, &mut io::stdout()).map_err(MainError::Live)
}

/// The scenario in virtual time, as CSV.
fn record(
    scenario: &Scenario,
    length: Nanos,
    every: Nanos,
    csv: Option<&Path>,
) -> Result<(), MainError> {
    let mut world = World::new(scenario).map_err(MainError::Build)?;
    let name = csv.unwrap_or(Path::new("standard output"));
    let mut out: Box<dyn io::Write> = match csv {
        Some(path) => Box::new(fs::File::create(path).map_err(|e| MainError::Csv(path.into(), e))?),
        None => Box::new(io::stdout().lock()),
    };
    let mut out = io::BufWriter::new(&mut out);
    table::write(&mut world, length, every, &mut out).map_err(|e| MainError::Csv(name.into(), e))
}

/// One seed, told at length.
fn replay(seed: u64) -> Result<(), MainError> {
    let case = Case::of(seed);
    println!("{case:#?}");
    let outcome = campaign::run(case, ControlGuardian::new).map_err(MainError::Build)?;
    println!("{:#?}", outcome.tally);
    match outcome.violation {
        None => Ok(()),
        Some(violation) => Err(MainError::Refused(told(seed, outcome.case.kind, &violation))),
    }
}

fn campaign(from: u64, seeds: u64) -> Result<(), MainError> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let start = Instant::now();
    let failed = |outcome: &Outcome| {
        if let Some(violation) = &outcome.violation {
            eprintln!("{}", told(outcome.case.seed, outcome.case.kind, violation));
        }
    };
    let summary = campaign::run_each(from, seeds, threads, ControlGuardian::new, failed)
        .map_err(MainError::Build)?;
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{seeds} seeds from {from} on {threads} threads in {seconds:.0} s, {:.0} seeds a minute: {:?}",
        seeds as f64 / seconds * 60.0,
        summary.cases
    );
    report(&summary);
    for (seed, (kind, violation)) in &summary.failures {
        println!("{}", told(*seed, *kind, violation));
    }
    match summary.failures.len() {
        0 => Ok(()),
        count => Err(MainError::Refused(format!("{count} of {seeds} seeds failed"))),
    }
}

/// The figures of a campaign.
fn report(summary: &Summary) {
    let Summary { tally, failures, .. } = summary;
    let broke = |wanted| failures.values().filter(|(_, v)| v.invariant == wanted).count();
    println!(
        "simulated: {:.0} h in {} scans; {} orders accepted, {} battery tests",
        tally.simulated_s / 3_600.0,
        tally.scans,
        tally.orders,
        tally.tests
    );
    println!(
        "runaways: {} strings past the last stable temperature; {} trips at a rise of {:.1} K at \
         most, false {}, late {}",
        tally.unstable,
        tally.tripped,
        tally.worst_rise_at_trip_k,
        broke(Invariant::FalseTrip),
        broke(Invariant::LateTrip)
    );
    let (k, min) = (least_and_median(&tally.margins_k), least_and_median(&tally.margins_min));
    println!(
        "margin at the trip before a block is lost: least {:.1} K and {:.0} min, median {:.1} K and \
         {:.0} min; {} trips without which none would have been lost within a day",
        k.0, min.0, k.1, min.1, tally.early
    );
    println!(
        "equalization: {} strings that can converge did, the slowest after {:.0} s; {} verdicts were \
         due and said, the last after {:.1} h; missing {}, wrong {}",
        tally.converged,
        tally.slowest_s,
        tally.verdicts,
        tally.slowest_verdict_s / 3_600.0,
        broke(Invariant::NotConverged) + broke(Invariant::NoVerdict),
        broke(Invariant::WrongVerdict)
    );
    println!(
        "residues: KCL {:.1e} A, KVL {:.1e} V, indicated against true string voltage {:.1} mV a block",
        tally.worst_kcl_a,
        tally.worst_kvl_v,
        tally.worst_sum_v * 1e3
    );
    match peak_kb() {
        Some(kb) => println!("peak memory: {kb} kB"),
        None => println!("peak memory: not known here"),
    }
}

/// Least and median; NaN of nothing.
fn least_and_median(values: &[f64]) -> (f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let at = |i: usize| sorted.get(i).copied().unwrap_or(f64::NAN);
    (at(0), at(sorted.len() / 2))
}

/// Most memory that this process ever had, as the kernel counts it.
fn peak_kb() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn told(seed: u64, kind: Kind, violation: &Violation) -> String {
    format!(
        "seed {seed} ({kind:?}) at {:.1} s, string {}: violated: {}: {}; replay it with \
         `cargo xtask campaign --seed {seed}`",
        violation.at.as_secs_f64(),
        violation.string,
        violation.invariant.text(),
        violation.detail
    )
}

fn load(path: &Path) -> Result<Scenario, MainError> {
    let text = fs::read_to_string(path).map_err(|e| MainError::Read(path.into(), e))?;
    Scenario::parse(&text).map_err(|e| MainError::Scenario(path.into(), e))
}

fn ctl(dir: &Path, command: &str) -> Result<(), MainError> {
    let (data, last) =
        live::send(&dir.join("control"), command).map_err(|e| MainError::Control(dir.into(), e))?;
    data.iter().for_each(|line| println!("{line}"));
    if last == "ok" {
        println!("ok");
        Ok(())
    } else {
        Err(MainError::Refused(last))
    }
}

/// An error with all its causes on one line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = iter::successors(Some(error), |e| (*e).source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
