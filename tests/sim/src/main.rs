//! `evenkeel-sim`: simulated batteries and UPSes on pseudo-terminals.

use clap::{Parser, Subcommand};
use evenkeel_sim::live;
use evenkeel_sim::scenario::{Scenario, ScenarioError};
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
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
    /// control socket at DIR/control.
    Run {
        /// Where the links to the ports go; made if it is not there.
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// TOML scenario; without it, two strings of 32 × 12 V on one bus and
        /// one 3 kVA UPS with two ports.
        #[arg(long, value_name = "FILE")]
        scenario: Option<PathBuf>,
        /// Replaces the scenario's seed.
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
    #[error("{0}")]
    Refused(String),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().action {
        Action::Run { dir, scenario, seed } => run(&dir, scenario.as_deref(), seed),
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

fn run(dir: &Path, scenario: Option<&Path>, seed: Option<u64>) -> Result<(), MainError> {
    let mut scenario = scenario.map_or_else(|| Ok(Scenario::demo()), load)?;
    scenario.seed = seed.unwrap_or(scenario.seed);
    fs::create_dir_all(dir).map_err(|e| MainError::Directory(dir.into(), e))?;
    live::run(&scenario, dir, &mut io::stdout()).map_err(MainError::Live)
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
