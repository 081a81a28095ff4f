//! `evenkeel-guard`: the real-time process. It scans the battery bus,
//! equalizes, and publishes what it knows — and needs nobody for it: no disk,
//! no network, no plugin, no daemon.
//!
//! One thread does all of that ([`cycle`]); the main thread answers the local
//! socket ([`socket`]). The two meet in a bounded queue and in the process
//! image, and neither ever waits for the other.

mod cycle;
mod memory;
mod port;
mod realtime;
mod settings_file;
mod socket;

use evenkeel_core::settings::GuardSettings;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const HELP: &str = "\
evenkeel-guard: scans, equalizes and protects the battery strings

Usage:
  evenkeel-guard run --settings FILE --state DIR --socket PATH
  evenkeel-guard seal FILE        check settings and write their seal
  evenkeel-guard check FILE       check sealed settings, change nothing

Options of run:
  --settings FILE   sealed settings (TOML, see `seal`)
  --state DIR       where the last good settings are kept
  --socket PATH     local socket for the daemon
";

fn main() -> ExitCode {
    match run(std::env::args_os().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("evenkeel-guard: {error}");
            let mut source = std::error::Error::source(&*error);
            while let Some(cause) = source {
                eprintln!("  because: {cause}");
                source = cause.source();
            }
            ExitCode::FAILURE
        }
    }
}

type AnyError = Box<dyn std::error::Error>;

fn run(args: impl Iterator<Item = OsString>) -> Result<(), AnyError> {
    use lexopt::prelude::{Long, Short, Value};
    let mut parser = lexopt::Parser::from_args(args);
    let (mut words, mut settings, mut state, mut socket) = (Vec::new(), None, None, None);
    while let Some(arg) = parser.next()? {
        match arg {
            Long("help") | Short('h') => {
                print!("{HELP}");
                return Ok(());
            }
            Long("settings") => settings = Some(PathBuf::from(parser.value()?)),
            Long("state") => state = Some(PathBuf::from(parser.value()?)),
            Long("socket") => socket = Some(PathBuf::from(parser.value()?)),
            Value(word) => words.push(word),
            _ => return Err(arg.unexpected().into()),
        }
    }
    let words: Vec<_> = words.iter().map(|w| w.to_string_lossy()).collect();
    match words.iter().map(AsRef::as_ref).collect::<Vec<_>>().as_slice() {
        ["run"] => {
            let missing = |what: &str| format!("run needs {what}; see --help");
            cycle::run(
                &settings.ok_or_else(|| missing("--settings FILE"))?,
                &state.ok_or_else(|| missing("--state DIR"))?,
                &socket.ok_or_else(|| missing("--socket PATH"))?,
            )
        }
        ["seal", file] => seal(Path::new(file)),
        ["check", file] => check(Path::new(file)),
        _ => Err("say run, seal FILE or check FILE; see --help".into()),
    }
}

fn seal(file: &Path) -> Result<(), AnyError> {
    let text = settings_file::read_text(file)?;
    let sealed = GuardSettings::seal(GuardSettings::unsealed(&text))
        .map_err(|e| format!("{}: {e}", file.display()))?;
    settings_file::replace(file, &sealed)?;
    println!("{} is valid and sealed", file.display());
    Ok(())
}

fn check(file: &Path) -> Result<(), AnyError> {
    let text = settings_file::read_text(file)?;
    let (settings, crc) =
        GuardSettings::load(&text).map_err(|e| format!("{}: {e}", file.display()))?;
    println!("{}: good, number {crc:08x}, {} strings", file.display(), settings.strings.len());
    Ok(())
}
