//! `evenkeel`: the user's tool.
//!
//! `evenkeel replay --battery FILE.toml trace.csv` prints what the appliance's
//! estimators say about a recorded discharge; `evenkeel plugin …` manages the
//! plugins of an appliance. Results go to standard output, everything for
//! people to standard error.
//!
//! `evenkeel history …` looks into an exported history; `evenkeel audit verify
//! FILE --key KEY` says whether an exported audit log is as the appliance wrote
//! it, or what was done to it.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use evenkeel::audit;
use evenkeel::battery_file::ReplayBattery;
use evenkeel::history::{self, Wanted, Whose};
use evenkeel::manage;
use evenkeel::replay::{REST, Replay};
use evenkeel::summary::Summary;
use evenkeel::trace::{Sample, Trace};
use evenkeel_core::estimate::StringEstimate;
use evenkeel_core::history::Level;
use evenkeel_core::history::csv::Utc;
use evenkeel_core::scan::Phase;

/// The user's tool of the Evenkeel battery monitor.
#[derive(Parser)]
#[command(name = "evenkeel", version)]
struct Arguments {
    #[command(subcommand)]
    command: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Estimate state of charge, capacity and runtime over a recorded discharge.
    #[command(after_help = REPLAY_HELP)]
    Replay(ReplayArguments),
    /// Manage the plugins of an appliance over the network.
    Plugin(Box<manage::Arguments>),
    /// The software of an appliance: what runs, and installing another.
    Firmware(Box<manage::firmware::Arguments>),
    /// What was set on an appliance: as a file and back, what differs, and an
    /// earlier revision.
    Config(Box<manage::configuration::Arguments>),
    /// Look at an audit log that was exported from an appliance.
    #[command(subcommand)]
    Audit(AuditAction),
    /// Look into a history that was exported from an appliance.
    #[command(subcommand)]
    History(HistoryAction),
}

#[derive(Subcommand)]
enum AuditAction {
    /// Say whether it was altered, reordered, or cut; fails when it was.
    Verify {
        /// The export, from GET /api/v1/audit/export.
        file: PathBuf,
        /// The appliance's public key, known from elsewhere: audit_key in GET /api/v1/store.
        #[arg(long, value_name = "HEX")]
        key: Option<String>,
    },
}

#[derive(Subcommand)]
enum HistoryAction {
    /// Say what is in it: a line per level and string.
    Inspect {
        /// The exported file.
        file: PathBuf,
    },
    /// Look at every check sum, and name what is damaged.
    Verify {
        /// The exported file.
        file: PathBuf,
    },
    /// Write what is whole of a damaged file into a new one.
    Salvage {
        /// The exported file.
        file: PathBuf,
        /// The new file.
        to: PathBuf,
    },
    /// Print records as CSV.
    Export {
        /// The exported file.
        file: PathBuf,
        /// Only this string, counted from 1.
        #[arg(long)]
        string: Option<u16>,
        /// Only this block of each string, counted from 1.
        #[arg(long)]
        block: Option<u16>,
        /// In place of strings: this point and all below it, e.g. ups.0.
        #[arg(long, conflicts_with_all = ["string", "block"])]
        point: Option<String>,
        /// records, hours or days.
        #[arg(long, default_value = "records", value_parser = level)]
        level: Level,
    },
}

fn level(word: &str) -> Result<Level, String> {
    let level = Level::ALL.into_iter().find(|level| level.word() == word);
    level.ok_or_else(|| "one of: records, hours, days".to_owned())
}

#[derive(Args)]
struct ReplayArguments {
    /// What the battery is (TOML, see below).
    #[arg(long, value_name = "FILE.toml")]
    battery: PathBuf,
    /// Print a line only every so many seconds of the recording.
    #[arg(long, value_name = "SECONDS")]
    every: Option<f64>,
    /// Print only how wrong the runtime was, once the recording has run to its end.
    #[arg(long)]
    summary: bool,
    /// The recording (CSV, see below); "-" is standard input.
    trace: PathBuf,
}

const REPLAY_HELP: &str = include_str!("replay_help.txt");

fn main() -> ExitCode {
    match Arguments::parse().command {
        Action::Replay(arguments) => report(replay(&arguments)),
        Action::Plugin(arguments) => report_plugin(manage::run(*arguments)),
        Action::Firmware(arguments) => report_plugin(manage::firmware::run(*arguments)),
        Action::Config(arguments) => report_plugin(manage::configuration::run(*arguments)),
        Action::Audit(AuditAction::Verify { file, key }) => report(verify(&file, key.as_deref())),
        Action::History(action) => report(look(&action)),
    }
}

fn report(done: Result<(), Box<dyn Error>>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads has seen enough.
        Err(error) if is_broken_pipe(error.as_ref()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("evenkeel: {error}");
            ExitCode::FAILURE
        }
    }
}

fn report_plugin((json, done): (bool, Result<(), manage::Failure>)) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(manage::Failure::Output(e)) if e.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            match json {
                true => eprintln!("{:#}", failure.to_json()),
                false => eprintln!("evenkeel: {}", failure.text()),
            }
            failure.exit_code().into()
        }
    }
}

fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == ErrorKind::BrokenPipe)
}

/// Print the verdict on an audit log.
fn verify(file: &Path, key: Option<&str>) -> Result<(), Box<dyn Error>> {
    let verdict = audit::run(file, key)?;
    io::stdout().lock().write_all(verdict.as_bytes())?;
    Ok(())
}

fn look(action: &HistoryAction) -> Result<(), Box<dyn Error>> {
    let (HistoryAction::Inspect { file: path }
    | HistoryAction::Verify { file: path }
    | HistoryAction::Salvage { file: path, .. }
    | HistoryAction::Export { file: path, .. }) = action;
    let named = |problem: &dyn std::fmt::Display| format!("{}: {problem}", path.display());
    let file = BufReader::new(File::open(path).map_err(|e| named(&e))?);
    let mut out = BufWriter::new(io::stdout().lock());
    match action {
        HistoryAction::Inspect { .. } => {
            for ((level, whose), of) in history::inspect(file).map_err(|e| named(&e))? {
                print_summary(&mut out, level, &whose, &of)?;
            }
        }
        HistoryAction::Verify { .. } => {
            let verdict = history::verify(file).map_err(|e| named(&e))?;
            print_verdict(&mut out, &verdict)?;
            match verdict.broken {
                Some(broken) => return Err(named(&broken).into()),
                None if !verdict.bad.is_empty() => return Err(named(&"damaged").into()),
                None => {}
            }
        }
        HistoryAction::Salvage { to, .. } => {
            let new = File::create_new(to).map_err(|e| format!("{}: {e}", to.display()))?;
            let mut new = BufWriter::new(new);
            let verdict = history::salvage(file, &mut new).map_err(|e| named(&e))?;
            new.flush()?;
            print_verdict(&mut out, &verdict)?;
            if let Some(broken) = verdict.broken {
                writeln!(out, "{}", named(&broken))?;
            }
        }
        HistoryAction::Export { string, block, point, level, .. } => {
            let point = point.clone();
            let wanted = Wanted { point, string: *string, block: *block, level: *level };
            let tell = |which: &history::Which, damage| {
                eprintln!("evenkeel: {}: {damage}", which.name());
            };
            match history::export(file, &wanted, &mut out, tell) {
                Err(history::HistoryError::File(error)) => return Err(named(&error).into()),
                other => other?,
            }
        }
    }
    Ok(out.flush()?)
}

fn print_summary(
    out: &mut impl Write,
    level: Level,
    whose: &Whose,
    of: &history::Summary,
) -> io::Result<()> {
    let (first, last) = of.span.unwrap_or_default();
    let per_record = of.bytes as f64 / of.records.max(1) as f64;
    let (first, last, level) = (Utc(first), Utc(last), level.word());
    let history::Summary { sheets, rows, blocks, bytes, .. } = of;
    let string = match whose {
        Whose::String(string) => string,
        Whose::Point(name) => {
            return writeln!(
                out,
                "{name}, {level}: {rows} rows in {sheets} columns, {first} to {last}, {bytes} \
                 bytes, {per_record:.2} bytes per row"
            );
        }
    };
    writeln!(
        out,
        "string {string}, {level}: {rows} rows of {blocks} blocks in {sheets} sheets, {first} to \
         {last}, {bytes} bytes, {per_record:.2} bytes per record"
    )
}

fn print_verdict(out: &mut impl Write, verdict: &history::Verdict) -> io::Result<()> {
    for (key, damage) in &verdict.bad {
        writeln!(out, "{}: {damage}", key.name())?;
    }
    writeln!(out, "{} columns are whole, {} damaged", verdict.good, verdict.bad.len())?;
    out.flush()
}

fn replay(arguments: &ReplayArguments) -> Result<(), Box<dyn Error>> {
    let named =
        |path: &Path, problem: &dyn std::fmt::Display| format!("{}: {problem}", path.display());
    let path = &arguments.battery;
    let text = fs::read_to_string(path).map_err(|e| named(path, &e))?;
    let battery = ReplayBattery::parse(&text).map_err(|e| named(path, &e))?;
    if arguments.every.is_some_and(|s| s.is_nan() || s < 0.0) {
        return Err("--every: seconds must be 0 or more".into());
    }
    let path = &arguments.trace;
    let source: Box<dyn BufRead> = if path.as_os_str() == "-" {
        Box::new(io::stdin().lock())
    } else {
        Box::new(BufReader::new(File::open(path).map_err(|e| named(path, &e))?))
    };
    let mut trace = Trace::new(source).map_err(|e| named(path, &e))?;
    let mut replay = Replay::new(&battery, trace.blocks()).map_err(|e| named(path, &e))?;
    let mut out = BufWriter::new(io::stdout().lock());
    let mut summary = Summary::default();
    if !arguments.summary {
        print_header(&mut out, trace.blocks())?;
    }
    let (mut sample, mut due_s, mut phase) = (Sample::default(), f64::NEG_INFINITY, Phase::Unknown);
    let mut discharged = false;
    while trace.read(&mut sample).map_err(|e| named(path, &e))? {
        let estimate = replay
            .step(&sample)
            .map_err(|e| format!("{}: line {}: {e}", path.display(), trace.line()))?
            .clone();
        if replay.phase() == Phase::Discharge && phase != Phase::Discharge {
            summary.restart();
            discharged = true;
        }
        phase = replay.phase();
        summary.push(sample.time_s, estimate.runtime_s, estimate.whole.delivers_ah);
        if !arguments.summary && sample.time_s >= due_s {
            print_line(&mut out, sample.time_s, &estimate, trace.blocks())?;
            due_s = sample.time_s + arguments.every.unwrap_or(0.0);
        }
    }
    if arguments.summary {
        let figures = summary.figures().ok_or("the recording holds no discharge")?;
        write!(out, "{figures}")?;
    }
    out.flush()?;
    if !discharged {
        let least_a = REST * battery.battery.capacity_ah * f64::from(battery.parallel);
        eprintln!(
            "evenkeel: {}: no discharge in it: current_A is never below -{least_a} A",
            path.display()
        );
    }
    Ok(())
}

fn print_header(out: &mut impl Write, blocks: usize) -> io::Result<()> {
    write!(
        out,
        "time_s,soc_percent,soc_sigma_percent,capacity_ah,capacity_sigma_ah,\
         capacity_rated_ah,capacity_rated_sigma_ah,learned_depth_percent,runtime_s,runtime_low_s,runtime_confidence"
    )?;
    for n in 1..=blocks {
        write!(
            out,
            ",block_{n}_soc_percent,block_{n}_capacity_ah,block_{n}_capacity_sigma_ah,\
             block_{n}_capacity_rated_ah,block_{n}_runtime_s"
        )?;
    }
    writeln!(out)
}

fn print_line(
    out: &mut impl Write,
    time_s: f64,
    estimate: &StringEstimate,
    blocks: usize,
) -> io::Result<()> {
    let whole = &estimate.whole;
    write!(out, "{time_s}")?;
    field(out, 100.0 * whole.soc, 2)?;
    field(out, 100.0 * whole.soc_sigma, 2)?;
    field(out, whole.delivers_ah, 3)?;
    field(out, whole.delivers_sigma_ah, 3)?;
    field(out, whole.capacity_ah, 3)?;
    field(out, whole.capacity_sigma_ah, 3)?;
    field(out, 100.0 * whole.learned_depth, 1)?;
    field(out, estimate.runtime_s.unwrap_or(f32::NAN), 1)?;
    field(out, estimate.runtime_low_s, 1)?;
    field(out, estimate.runtime_s.map_or(f32::NAN, |_| estimate.runtime_confidence), 3)?;
    for block in &estimate.blocks[..blocks] {
        field(out, 100.0 * block.soc, 2)?;
        field(out, block.delivers_ah, 3)?;
        field(out, block.delivers_sigma_ah, 3)?;
        field(out, block.capacity_ah, 3)?;
        field(out, block.runtime_s, 1)?;
    }
    writeln!(out)
}

/// A field; empty for what is not known.
fn field(out: &mut impl Write, value: f32, decimals: usize) -> io::Result<()> {
    if value.is_finite() { write!(out, ",{value:.decimals$}") } else { write!(out, ",") }
}
