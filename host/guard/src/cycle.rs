//! The cycle: wake, scan, equalize, command, publish.
//!
//! Cycles start at fixed times, whatever the last one took; how late the
//! thread woke is the jitter that the image shows. A cycle whose commands left
//! after its end is a deadline miss. A port that is gone is tried again at the
//! start of every cycle; without it the image still says every cycle that
//! everything is silent.

use crate::memory::ImageMemory;
use crate::port::{Port, now};
use crate::settings_file::{self, Loaded};
use crate::{AnyError, realtime, socket};
use evenkeel_core::bus::master::{Master, Step};
use evenkeel_core::control::Control;
use evenkeel_core::image::{self, Condition};
use evenkeel_core::settings::GuardSettings;
use evenkeel_core::time::Nanos;
use rustix::thread::{ClockId, Timespec, clock_nanosleep_absolute};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Receiver;

const STACK_BYTES: usize = 128 * 1024;

/// A change that a client asked for and the socket thread has checked.
#[derive(Debug)]
pub enum Change {
    /// Pause a string until then.
    Pause {
        /// String, counted from 1.
        string: u16,
        /// When the pause ends.
        until: Nanos,
    },
    /// End a string's pause.
    Resume {
        /// String, counted from 1.
        string: u16,
    },
}

/// Run the guard until it is told to stop.
///
/// # Errors
/// When there are no settings to stand on, or the operating system refuses
/// memory, a thread or the socket.
pub fn run(settings_path: &Path, state_dir: &Path, socket_path: &Path) -> Result<(), AnyError> {
    std::fs::create_dir_all(state_dir)
        .map_err(|e| format!("state folder {} cannot be made: {e}", state_dir.display()))?;
    let loaded = settings_file::load(settings_path, state_dir)?;
    if let Some(refusal) = &loaded.fallback {
        let cause = std::error::Error::source(refusal).map(|c| format!(": {c}"));
        eprintln!(
            "evenkeel-guard: {refusal}{}; the last good settings are in force",
            cause.unwrap_or_default()
        );
    }
    // Half a guard is worse than none: a panic anywhere ends the process, its
    // supervisor starts it again, and meanwhile the modules drop their bypasses.
    let said = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        said(panic);
        std::process::abort();
    }));
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register(signal, stop.clone())?;
    }
    let memory = ImageMemory::new()?;
    let mut conditions = 0;
    if let Err(error) = realtime::lock_memory() {
        eprintln!("evenkeel-guard: memory is not locked: {error}; a page fault may delay a cycle");
        conditions |= Condition::NotLocked as u64;
    }
    let names: Vec<String> = loaded.settings.strings.iter().map(|s| s.name.clone()).collect();
    let listener = socket::listen(socket_path)?;
    let (sender, changes) = std::sync::mpsc::sync_channel(socket::QUEUE_MAX);
    let cycle = CycleThread::new(&loaded, conditions, memory.words(), changes)?;
    let thread =
        std::thread::Builder::new().name("cycle".into()).stack_size(STACK_BYTES).spawn({
            let stop = stop.clone();
            move || cycle.run(&stop)
        })?;
    println!("ready {}", socket_path.display());
    let served = socket::serve(&listener, &names, memory.fd(), &sender, &stop);
    // Without a socket the batteries are still looked after until we are told to stop.
    if let Err(error) = &served {
        eprintln!("evenkeel-guard: socket failed: {error}; clients cannot connect any more");
    }
    thread.join().map_err(|_| "the cycle thread panicked")?;
    let _ = std::fs::remove_file(socket_path);
    served.map_err(Into::into)
}

struct CycleThread {
    settings: GuardSettings,
    port: Option<Port>,
    master: Master,
    control: Control,
    changes: Receiver<Change>,
    words: &'static [AtomicU64],
}

impl CycleThread {
    fn new(
        loaded: &Loaded,
        conditions: u64,
        words: &'static [AtomicU64],
        changes: Receiver<Change>,
    ) -> Result<Self, AnyError> {
        let settings = loaded.settings.clone();
        let addresses = settings.addresses();
        let master = Master::new(settings.timing(), addresses.iter().copied())?;
        let mut control = Control::new(&settings, &addresses);
        let cycle = &mut control.snapshot.cycle;
        cycle.period = settings.cycle();
        cycle.started = now();
        cycle.settings_crc = loaded.crc.into();
        cycle.conditions = conditions;
        if loaded.fallback.is_some() {
            cycle.conditions |= Condition::SettingsFallback as u64;
        }
        Ok(Self { settings, port: None, master, control, changes, words })
    }

    fn run(mut self, stop: &AtomicBool) {
        if let Err(error) = realtime::become_real_time() {
            eprintln!("evenkeel-guard: no real-time priority: {error}; cycles may start late");
            self.set_condition(Condition::NotRealTime, true);
        }
        let period = self.settings.cycle();
        let mut start = now();
        while !stop.load(Ordering::Relaxed) {
            self.sleep_until(start, stop);
            let woken = now();
            self.control.snapshot.jitter.record(woken.since(start));
            self.apply_changes(woken);
            let idle = self.cycle(woken, start + period);
            self.publish(woken, idle);
            let end = start + period;
            if now() > end {
                self.control.snapshot.cycle.deadline_misses += 1;
            }
            start = end;
            // A suspended machine does not make up for lost cycles.
            while now() > start + period {
                start = start + period;
                self.control.snapshot.cycle.deadline_misses += 1;
            }
        }
        self.release();
    }

    /// Scan and command; returns the time spent waiting for the line.
    fn cycle(&mut self, woken: Nanos, end: Nanos) -> Nanos {
        self.open_port();
        let mut waited = Nanos(0);
        let scanned = self.port.is_some() && self.converse(woken, end, &mut waited);
        if !scanned {
            // Nobody was heard: readings age, and the image says so.
            self.control.step(self.master.modules(), now());
        }
        waited
    }

    /// Talk to the modules; true when the scan came to its end.
    fn converse(&mut self, woken: Nanos, end: Nanos, waited: &mut Nanos) -> bool {
        let mut scanned = false;
        let mut buffer = [0u8; 512];
        self.master.start_cycle();
        loop {
            let Some(port) = &mut self.port else { return scanned };
            let time = now();
            let outcome = match self.master.poll(time) {
                Step::Send(frame) => port.write(frame, end),
                Step::Wait(until) => port.read(&mut buffer, until.min(end)).map(|n| {
                    self.master.receive(&buffer[..n]);
                    *waited = *waited + now().since(time);
                }),
                Step::Scanned => {
                    scanned = true;
                    self.control.snapshot.cycle.scan = time.since(woken);
                    let duties = self.control.step(self.master.modules(), time);
                    self.master.command(duties);
                    Ok(())
                }
                Step::Idle => return scanned,
            };
            if let Err(error) = outcome {
                self.port_lost(&error);
                return scanned;
            }
            if time > end {
                return scanned;
            }
        }
    }

    fn open_port(&mut self) {
        if self.port.is_some() {
            return;
        }
        let reopening = self.has_condition(Condition::PortLost);
        match Port::open(&self.settings.bus.port, self.settings.bus.baud) {
            Ok(port) => {
                self.port = Some(port);
                if reopening {
                    eprintln!("evenkeel-guard: bus port is back");
                    self.control.snapshot.cycle.port_reopens += 1;
                }
                self.set_condition(Condition::PortLost, false);
            }
            Err(error) => self.port_lost(&error),
        }
    }

    /// Said once per loss, not once per cycle.
    fn port_lost(&mut self, error: &crate::port::PortError) {
        self.port = None;
        if !self.has_condition(Condition::PortLost) {
            let cause = std::error::Error::source(error).map(|c| format!(": {c}"));
            eprintln!(
                "evenkeel-guard: bus port {}: {error}{}; trying again every cycle",
                self.settings.bus.port.display(),
                cause.unwrap_or_default()
            );
            self.set_condition(Condition::PortLost, true);
        }
    }

    fn apply_changes(&mut self, now: Nanos) {
        while let Ok(change) = self.changes.try_recv() {
            match change {
                Change::Pause { string, until } => {
                    self.control.set_pause(string, Some(until.max(now)));
                }
                Change::Resume { string } => {
                    self.control.set_pause(string, None);
                }
            }
        }
    }

    fn publish(&mut self, woken: Nanos, waited: Nanos) {
        let counters = self.master.counters();
        let time = now();
        let cycle = &mut self.control.snapshot.cycle;
        cycle.cycles += 1;
        cycle.published = time;
        cycle.work = time.since(woken).since(waited);
        cycle.bad_frames = counters.bad_frames;
        cycle.unexpected_frames = counters.unexpected;
        cycle.missed_replies = counters.missed;
        cycle.strings = self.control.snapshot.strings.len() as u64;
        cycle.blocks = self.control.snapshot.blocks.len() as u64;
        image::publish(self.words, &self.control.snapshot);
    }

    /// Before leaving: all bypasses off. Should this fail, the modules do it
    /// themselves three cycles later.
    fn release(&mut self) {
        let count = self.settings.strings.len() as u16;
        let end = now() + self.settings.cycle();
        for string in 1..=count {
            self.control.set_pause(string, Some(end + Nanos::from_secs(3600)));
        }
        self.cycle(now(), end);
    }

    fn sleep_until(&self, start: Nanos, stop: &AtomicBool) {
        let until = Timespec {
            tv_sec: (start.0 / 1_000_000_000) as i64,
            tv_nsec: (start.0 % 1_000_000_000) as i64,
        };
        while clock_nanosleep_absolute(ClockId::Monotonic, &until).is_err() {
            if stop.load(Ordering::Relaxed) {
                return;
            }
        }
    }

    const fn has_condition(&self, condition: Condition) -> bool {
        self.control.snapshot.cycle.conditions & condition as u64 != 0
    }

    const fn set_condition(&mut self, condition: Condition, holds: bool) {
        let conditions = &mut self.control.snapshot.cycle.conditions;
        if holds {
            *conditions |= condition as u64;
        } else {
            *conditions &= !(condition as u64);
        }
    }
}
