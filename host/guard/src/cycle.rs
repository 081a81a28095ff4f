//! The cycle: wake, scan, equalize, command, publish.
//!
//! Cycles start at fixed times, whatever the last one took; how late the
//! thread woke is the jitter that the image shows. A cycle whose commands left
//! after its end is a deadline miss. A port that is gone is tried again at the
//! start of every cycle; without it the image still says every cycle that
//! everything is silent.
//!
//! Nothing here allocates, logs or takes a lock once it runs.

use crate::alloc_check;
use crate::converse::{Decide, Line, converse};
use crate::desk::Desk;
use crate::port::now;
use crate::settings_file::Loaded;
use crate::shared::Shared;
use crate::watchdog::Watchdog;
use evenkeel_core::bus::master::{BuildError, Counters, Master};
use evenkeel_core::control::Control;
use evenkeel_core::image::{self, Condition};
use evenkeel_core::settings::GuardSettings;
use evenkeel_core::time::Nanos;
use rustix::thread::{ClockId, Timespec, clock_nanosleep_absolute};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// What has to be kept is handed over so often, in cycles.
const KEEP_EVERY: u64 = 60;
/// A clock before 2026 was never set: a board without battery starts in 1970.
const CLOCK_SET_S: u64 = 1_767_225_600;

/// The state of the cycle thread.
pub struct Cycle {
    settings: GuardSettings,
    lines: Vec<Line>,
    masters: Vec<Master>,
    watchdog: Option<Watchdog>,
    control: Control,
    desk: Arc<Desk>,
    shared: Arc<Shared>,
    image: &'static [AtomicU32],
    /// As last written down, and the cycles until all is again.
    latches: u64,
    keep_in: u64,
}

impl Cycle {
    /// Everything that allocates.
    ///
    /// # Errors
    /// When the settings' addresses are impossible, which settings that were
    /// checked never are.
    pub fn new(
        loaded: &Loaded,
        mut control: Control,
        desk: Arc<Desk>,
        watchdog: Option<Watchdog>,
        image: &'static [AtomicU32],
        shared: Arc<Shared>,
    ) -> Result<Self, BuildError> {
        let settings = loaded.settings.clone();
        let (mut lines, mut masters) = (Vec::new(), Vec::new());
        for (i, bus) in settings.buses.iter().enumerate() {
            lines.push(Line::new(&bus.port, bus.baud));
            let (modules, devices) = (settings.modules_of(i), settings.devices_of(i));
            masters.push(Master::new(settings.timing(i), modules, devices)?);
        }
        control.cycle.started = now();
        control.cycle.settings_crc = loaded.crc.into();
        let mut this = Self {
            lines,
            settings,
            masters,
            watchdog,
            latches: control.latches(),
            keep_in: KEEP_EVERY,
            control,
            desk,
            shared,
            image,
        };
        this.set_condition(Condition::SettingsFallback, loaded.fallback.is_some());
        Ok(this)
    }

    /// Run until told to stop, or until other settings take over, under these
    /// conditions. The watchdog stays armed for whoever takes over.
    pub fn run(mut self, conditions: &[(Condition, bool)]) -> Option<Watchdog> {
        for (condition, holds) in conditions {
            self.set_condition(*condition, *holds);
        }
        let period = self.settings.cycle();
        let mut start = now();
        while self.sleep_until(start) {
            let woken = now();
            self.control.jitter.record(woken.since(start));
            self.desk.work(&mut self.control, woken, wall_s());
            let waited = self.cycle(woken, start + period);
            self.desk.settle(&self.control);
            self.publish(woken, waited);
            self.keep();
            let (end, done) = (start + period, now());
            self.control.cycle.deadline_misses += u64::from(done > end);
            self.tell_watchdog(done, end);
            alloc_check::watch_this_thread(true);
            start = end;
            // Starved or stopped for long: lost cycles are not made up for,
            // and none starts in a period that is nearly over.
            while now() > start + Nanos(period.0 / 4) {
                start = start + period;
                self.control.cycle.deadline_misses += 1;
            }
        }
        let for_good = self.shared.stop.load(Ordering::Relaxed);
        self.release(for_good);
        alloc_check::watch_this_thread(false);
        if for_good && let Some(watchdog) = self.watchdog.take() {
            watchdog.disarm();
        }
        self.watchdog
    }

    /// Scan and command; returns the time spent waiting for the lines.
    fn cycle(&mut self, woken: Nanos, end: Nanos) -> Nanos {
        let mut running = Running { control: &mut self.control, wall_s: wall_s() };
        let outcome = converse(&mut self.lines, &mut self.masters, woken, end, &mut running);
        self.control.cycle.scan = outcome.scan;
        if self.lines.iter().all(Line::commanded) {
            self.control.commanded();
        }
        for (bus, line) in self.lines.iter().enumerate() {
            self.control.set_lost(bus, line.lost().is_some());
        }
        self.tell();
        outcome.waited
    }

    /// Write down what is to be kept: now and then, and a trip or a reset at
    /// once.
    fn keep(&mut self) {
        self.keep_in = self.keep_in.saturating_sub(1);
        let latches = self.control.latches();
        if (self.keep_in == 0 || self.latches != latches) && self.desk.keep(&self.control) {
            (self.keep_in, self.latches) = (KEEP_EVERY, latches);
        }
    }

    fn publish(&mut self, woken: Nanos, waited: Nanos) {
        let time = now();
        let sum = |count: fn(Counters) -> u64| {
            self.masters.iter().map(|master| count(master.counters())).sum()
        };
        let (bad, unexpected) = (sum(|c| c.bad_frames), sum(|c| c.unexpected));
        let missed = sum(|c| c.missed);
        let cycle = &mut self.control.cycle;
        cycle.cycles += 1;
        let cycle_time = Nanos(cycle.cycles.saturating_mul(cycle.period.0));
        cycle.published = time;
        cycle.work = time.since(woken).since(waited);
        cycle.bad_frames = bad;
        cycle.unexpected_frames = unexpected;
        cycle.missed_replies = missed;
        cycle.port_reopens = self.lines.iter().map(Line::reopens).sum();
        // Settings with more strings or blocks than fit are refused at start.
        let _ = image::publish(self.image, &self.control.published());
        self.shared.tell_operated(cycle_time);
    }

    /// This cycle has published.
    fn tell_watchdog(&mut self, done: Nanos, end: Nanos) {
        if let Some(watchdog) = &mut self.watchdog {
            let lost = watchdog.cycle_done(done, end).is_err();
            self.set_condition(Condition::WatchdogLost, lost);
        }
    }

    /// Before leaving: all bypasses off, and the alarm relay dropped unless other
    /// settings go on at once. Should this fail, modules and devices do it
    /// themselves three cycles later.
    fn release(&mut self, for_good: bool) {
        let woken = now();
        let end = woken + self.settings.cycle();
        let control = &mut self.control;
        let mut leave = |masters: &mut [Master], _: Nanos| control.release(masters, for_good);
        converse(&mut self.lines, &mut self.masters, woken, end, &mut leave);
        // Refused when the main thread is reading just now: what it has is
        // less than a minute old, and latches were written down as they came.
        self.desk.keep(&self.control);
    }

    /// False when it is time to stop, or to make way.
    fn sleep_until(&self, start: Nanos) -> bool {
        let until = Timespec {
            tv_sec: (start.0 / 1_000_000_000) as i64,
            tv_nsec: (start.0 % 1_000_000_000) as i64,
        };
        let running = || !self.shared.is_over();
        while running() {
            if clock_nanosleep_absolute(ClockId::Monotonic, &until).is_ok() {
                return running();
            }
        }
        false
    }

    fn set_condition(&mut self, condition: Condition, holds: bool) {
        self.control.set_condition(condition, holds);
        self.tell();
    }

    fn tell(&self) {
        let conditions = self.control.cycle.conditions;
        self.shared.tell(conditions, self.lines.iter().map(Line::lost));
    }
}

/// Control, for one cycle.
struct Running<'a> {
    control: &'a mut Control,
    wall_s: Option<u64>,
}

impl Decide for Running<'_> {
    fn decide(&mut self, masters: &mut [Master], now: Nanos) {
        self.control.step(masters, now, self.wall_s);
    }

    fn go_on(&mut self, bus: usize, master: &mut Master) -> bool {
        self.control.go_on(bus, master)
    }
}

/// Seconds since 1970 UTC; `None` while the clock cannot have been set.
fn wall_s() -> Option<u64> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok()?;
    (since.as_secs() > CLOCK_SET_S).then_some(since.as_secs())
}
