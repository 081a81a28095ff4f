//! `evenkeel-guard`: the real-time process. It scans the battery bus,
//! equalizes, and publishes what it knows — and needs nobody for it: no disk,
//! no network, no plugin, no daemon.
//!
//! One thread does all of that ([`cycle`]); the main thread answers the local
//! socket ([`socket`]) and says on standard error what there is to say. The
//! two meet in a few numbers ([`shared`]) and in the process image, and
//! neither ever waits for the other.

mod cycle;
mod memory;
mod port;
mod realtime;
mod settings_file;
mod shared;
mod socket;

use cycle::Cycle;
use evenkeel_core::settings::GuardSettings;
use memory::ImageMemory;
use settings_file::Loaded;
use shared::Shared;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

/// Stack of the cycle thread; all of it is locked in memory.
const STACK_BYTES: usize = 128 * 1024;

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
            guard(
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

/// One line on standard error. Whether anybody can read it is not a reason to
/// stop protecting.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "evenkeel-guard: {text}");
}

/// Run the guard until it is told to stop.
fn guard(settings: &Path, state_dir: &Path, socket_path: &Path) -> Result<(), AnyError> {
    if let Err(error) = std::fs::create_dir_all(state_dir) {
        say(&format!("state folder {} cannot be made: {error}", state_dir.display()));
    }
    let loaded = settings_file::load(settings, state_dir)?;
    tell_fallback(&loaded);
    abort_on_panic();
    let memory = ImageMemory::new()?;
    let locked = realtime::lock_memory();
    if let Err(error) = &locked {
        say(&format!("memory is not locked: {error}; a page fault may delay a cycle"));
    }
    let shared = Arc::new(Shared::default());
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register(signal, shared.stop.clone())?;
    }
    let names: Vec<String> = loaded.settings.strings.iter().map(|s| s.name.clone()).collect();
    let listener = socket::listen(socket_path)?;
    let cycle = Cycle::new(&loaded, locked.is_ok(), memory.image(), shared.clone())?;
    let thread = thread::Builder::new()
        .name("cycle".into())
        .stack_size(STACK_BYTES)
        .spawn(move || cycle.run())?;
    let _ = writeln!(std::io::stdout(), "ready {}", socket_path.display());
    socket::Server::new(listener, &names, memory.fd(), &shared).serve();
    thread.join().map_err(|_| "the cycle thread panicked")?;
    let _ = std::fs::remove_file(socket_path);
    Ok(())
}

fn tell_fallback(loaded: &Loaded) {
    if let Some(refusal) = &loaded.fallback {
        let cause = std::error::Error::source(refusal).map(|c| format!(": {c}"));
        let cause = cause.unwrap_or_default();
        say(&format!("{refusal}{cause}; the last good settings are in force"));
    }
}

/// Half a guard is worse than none: a panic anywhere ends the process, its
/// supervisor starts it again, and meanwhile the modules drop their bypasses.
fn abort_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        say(&panic.to_string());
        std::process::abort();
    }));
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
