//! `evenkeel-guard`: the real-time process. It scans the battery bus,
//! equalizes, and publishes what it knows — and needs nobody for it: no disk,
//! no network, no plugin, no daemon.
//!
//! Before it begins it gives up every right that it does not need
//! ([`privilege`]); a watchdog sees to it that it goes on ([`watchdog`]).
//!
//! One thread does all of that ([`cycle`]); the main thread answers the local
//! socket ([`socket`]), keeps what outlives a restart ([`kept`]), and says on
//! standard error what there is to say. The
//! two meet in a few numbers ([`shared`]) and in the process image, and
//! neither ever waits for the other.
//!
//! Settings that are taken over the socket ([`change`]) need no new process: the
//! cycle ends after a whole one, and another one, built of the new settings and
//! of what was learned, goes on in the same thread.

mod alloc_check;
mod change;
mod converse;
mod cycle;
mod desk;
mod kept;
mod landlock;
mod memory;
mod port;
mod privilege;
mod realtime;
mod seccomp;
mod settings_file;
mod shared;
mod socket;
mod state_file;
mod sys;
mod watchdog;

use change::{Bounds, Change};
use cycle::Cycle;
use desk::Desk;
use evenkeel_core::control::{Control, Kept};
use evenkeel_core::image::Condition;
use evenkeel_core::settings::GuardSettings;
use evenkeel_core::time::Nanos;
use kept::Record;
use memory::ImageMemory;
use privilege::{Folders, User};
use settings_file::Loaded;
use shared::{Reporter, Shared};
use signal_hook::consts::{SIGINT, SIGTERM};
use socket::Names;
use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::sync::{Arc, Barrier};
use std::thread;
use watchdog::Watchdog;

/// Stack of the cycle thread; all of it is locked in memory.
const STACK_BYTES: usize = 128 * 1024;

const HELP: &str = "\
evenkeel-guard: scans, equalizes and protects the battery strings

Usage:
  evenkeel-guard run --settings FILE --state DIR --socket PATH
                     [--user NAME] [--watchdog PATH]
  evenkeel-guard seal FILE        check settings and write their seal
  evenkeel-guard check FILE       check sealed settings, change nothing

Options of run:
  --settings FILE   sealed settings (TOML, see `seal`)
  --state DIR       where the last good settings and learned state are kept
  --socket PATH     local socket for the daemon
  --user NAME       user (name or number) to become when started as root
  --watchdog PATH   watchdog device, fed by each cycle that is in time
  --watchdog-fake PATH   for tests: any file, which records the feeds
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

/// What `run` was told.
#[derive(Debug, Default)]
struct Options {
    settings: Option<PathBuf>,
    state: Option<PathBuf>,
    socket: Option<PathBuf>,
    user: Option<String>,
    watchdog: Option<(PathBuf, watchdog::Kind)>,
}

fn run(args: impl Iterator<Item = OsString>) -> Result<(), AnyError> {
    use lexopt::prelude::{Long, Short, Value, ValueExt};
    let mut parser = lexopt::Parser::from_args(args);
    let (mut words, mut options) = (Vec::new(), Options::default());
    while let Some(arg) = parser.next()? {
        match arg {
            Long("help") | Short('h') => {
                print!("{HELP}");
                return Ok(());
            }
            Long("settings") => options.settings = Some(parser.value()?.into()),
            Long("state") => options.state = Some(parser.value()?.into()),
            Long("socket") => options.socket = Some(parser.value()?.into()),
            Long("user") => options.user = Some(parser.value()?.string()?),
            Long("watchdog") => {
                options.watchdog = Some((parser.value()?.into(), watchdog::Kind::Device));
            }
            Long("watchdog-fake") => {
                options.watchdog = Some((parser.value()?.into(), watchdog::Kind::Fake));
            }
            Value(word) => words.push(word),
            _ => return Err(arg.unexpected().into()),
        }
    }
    let words: Vec<_> = words.iter().map(|w| w.to_string_lossy()).collect();
    match words.iter().map(AsRef::as_ref).collect::<Vec<_>>().as_slice() {
        ["run"] => guard(&options),
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
fn guard(options: &Options) -> Result<(), AnyError> {
    let missing = |what: &str| format!("run needs {what}; see --help");
    let settings = options.settings.as_deref().ok_or_else(|| missing("--settings FILE"))?;
    let state_dir = options.state.as_deref().ok_or_else(|| missing("--state DIR"))?;
    let socket_path = options.socket.as_deref().ok_or_else(|| missing("--socket PATH"))?;
    let user = options.user.as_deref().map(User::find).transpose()?;
    if let Err(error) = std::fs::create_dir_all(state_dir) {
        say(&format!("state folder {} cannot be made: {error}", state_dir.display()));
    }
    let loaded = settings_file::load(settings, state_dir)?;
    tell_fallback(&loaded);
    abort_on_panic();
    let memory = ImageMemory::new()?;
    let unlocked = refused("memory is not locked", realtime::lock_memory());
    let shared = Arc::new(Shared::default());
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register(signal, shared.stop.clone())?;
    }
    let listener = socket::listen(socket_path)?;
    let (watchdog, unwatched) = open_watchdog(options, &loaded.settings);
    let ports = ports_of(&loaded);
    if user.is_none() && rustix::process::geteuid().is_root() {
        say("runs as root; --user NAME gives that up");
    }
    let mut unconfined = user.is_some_and(|user| {
        refused(
            "user cannot be changed",
            hand_over(&user, state_dir, socket_path).and_then(|()| user.assume()),
        )
    });
    let folders = Folders { ports: &ports, settings, state: state_dir, socket: socket_path };
    unconfined |= refused("not confined", privilege::confine_files(folders));
    let bounds = Bounds {
        ports: ports.iter().map(|port| privilege::folder_of(port).to_owned()).collect(),
        cycle_max: watchdog.as_ref().and_then(Watchdog::cycle_max),
    };
    let conditions = [
        (Condition::NotLocked, unlocked),
        (Condition::WatchdogLost, unwatched),
        (Condition::NotConfined, unconfined),
    ];
    let (record, kept) = Record::open(state_dir, shared.clone());
    let worker = Worker::start(conditions)?;
    let _ = writeln!(std::io::stdout(), "ready {}", socket_path.display());
    let running = Running { settings, state_dir, bounds, listener, memory, shared, worker, record };
    running.until_told(loaded, kept, watchdog)?;
    if let Some(count) = alloc_check::count() {
        say(&format!("allocations of the running cycle thread: {count}"));
    }
    let _ = std::fs::remove_file(socket_path);
    Ok(())
}

fn ports_of(loaded: &Loaded) -> Vec<PathBuf> {
    loaded.settings.buses.iter().map(|bus| bus.port.clone()).collect()
}

/// A guard that is confined, and what it needs whatever its settings are.
struct Running<'a> {
    settings: &'a Path,
    state_dir: &'a Path,
    bounds: Bounds,
    listener: UnixListener,
    memory: ImageMemory,
    shared: Arc<Shared>,
    worker: Worker,
    record: Record,
}

impl Running<'_> {
    /// Run until told to stop: with these settings, and with all that take over.
    fn until_told(
        mut self,
        mut loaded: Loaded,
        mut kept: Kept,
        mut watchdog: Option<Watchdog>,
    ) -> Result<(), AnyError> {
        loop {
            let control = Control::new(&loaded.settings, &kept);
            let desk = Arc::new(Desk::new(&control, kept));
            let (image, shared) = (self.memory.image(), self.shared.clone());
            let cycle = Cycle::new(&loaded, control, desk.clone(), watchdog, image, shared)?;
            self.worker.begin(cycle)?;
            let taken = self.serve(&loaded, &desk);
            self.shared.set_make_way(true);
            watchdog = self.worker.end()?;
            let Some(taken) = taken else {
                self.record.close(&desk);
                return Ok(());
            };
            say(&format!("settings {:08x} take over from {:08x}", taken.crc, loaded.crc));
            kept = self.record.take_over(&desk);
            self.shared.set_make_way(false);
            loaded = taken;
        }
    }

    /// Answer the socket, and do the main thread's chores; settings that were
    /// taken, or nothing when it is time to stop.
    fn serve(&mut self, loaded: &Loaded, desk: &Desk) -> Option<Loaded> {
        let settings = &loaded.settings;
        let names = Names {
            strings: settings.strings.iter().map(|s| s.name.clone()).collect(),
            batteries: evenkeel_core::command::battery_runs(&settings.strings),
            devices: settings.devices.iter().map(|d| d.name.clone()).collect(),
        };
        let mut reporter = Reporter::new(ports_of(loaded));
        let change = Change::new(loaded, self.settings, &self.bounds);
        let memory = self.memory.fd();
        let server = socket::Server::new(&self.listener, &names, memory, desk, change);
        let (shared, record, state_dir) = (&self.shared, &mut self.record, self.state_dir);
        let mut confirmed = false;
        let mut confirm = || {
            if !confirmed && shared.operated() > Nanos(0) {
                loaded.confirm(state_dir);
                confirmed = true;
            }
        };
        let taken = server.serve(&shared.stop, || {
            reporter.look(shared);
            record.look(desk);
            confirm();
        });
        // Also when it was told to stop in between.
        confirm();
        reporter.look(shared);
        taken
    }
}

/// Say that something was refused; true when it was.
fn refused(what: &str, result: Result<(), impl std::fmt::Display>) -> bool {
    if let Err(error) = &result {
        say(&format!("{what}: {error}"));
    }
    result.is_err()
}

/// A guard whose watchdog fails still protects.
fn open_watchdog(options: &Options, settings: &GuardSettings) -> (Option<Watchdog>, bool) {
    let Some((path, kind)) = &options.watchdog else { return (None, false) };
    match Watchdog::open(path, *kind, settings.cycle()) {
        Ok(watchdog) => (Some(watchdog), false),
        Err(error) => {
            say(&format!("watchdog {} is not armed: {error}", path.display()));
            (None, true)
        }
    }
}

/// Let the user that the guard becomes write its state and own its socket.
fn hand_over(user: &User, state_dir: &Path, socket_path: &Path) -> std::io::Result<()> {
    for path in [state_dir, socket_path] {
        std::os::unix::fs::chown(path, Some(user.uid), Some(user.gid))?;
    }
    Ok(())
}

/// The cycle thread. It runs one cycle after the other, each until it ends.
struct Worker {
    cycles: SyncSender<Cycle>,
    ended: Receiver<Option<Watchdog>>,
}

impl Worker {
    /// Start it, and once it has what it needs take the right to get it away from
    /// the whole process.
    fn start(conditions: [(Condition, bool); 3]) -> Result<Self, AnyError> {
        let gate = Arc::new(Barrier::new(2));
        let confined = Arc::new(AtomicBool::new(false));
        // Room for one: a cycle begins when the last one has ended.
        let (cycles, next) = sync_channel::<Cycle>(1);
        let (tell, ended) = channel();
        thread::Builder::new().name("cycle".into()).stack_size(STACK_BYTES).spawn({
            let (gate, confined) = (gate.clone(), confined.clone());
            move || {
                let not_real_time = realtime::become_real_time().is_err();
                let dropped = privilege::drop_capabilities().is_ok();
                gate.wait();
                // Meanwhile the main thread confines both.
                gate.wait();
                let [locked, watched, (condition, unconfined)] = conditions;
                let unconfined = unconfined || !dropped || !confined.load(Ordering::Relaxed);
                let real_time = (Condition::NotRealTime, not_real_time);
                let conditions = [real_time, locked, watched, (condition, unconfined)];
                // Both ends close when the main thread goes away.
                while let Ok(cycle) = next.recv()
                    && tell.send(cycle.run(&conditions)).is_ok()
                {}
            }
        })?;
        gate.wait();
        let kept = refused("capabilities are kept", privilege::drop_capabilities());
        let open = refused("not confined", privilege::confine_calls());
        confined.store(!kept && !open, Ordering::Relaxed);
        gate.wait();
        Ok(Self { cycles, ended })
    }

    fn begin(&self, cycle: Cycle) -> Result<(), AnyError> {
        self.cycles.send(cycle).map_err(|_| "the cycle thread is gone".into())
    }

    /// Wait until the cycle has ended; its watchdog, if that is still armed.
    fn end(&self) -> Result<Option<Watchdog>, AnyError> {
        self.ended.recv().map_err(|_| "the cycle thread panicked".into())
    }
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
