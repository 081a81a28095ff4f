//! The cycle: wake, scan, equalize, command, publish.
//!
//! Cycles start at fixed times, whatever the last one took; how late the
//! thread woke is the jitter that the image shows. A cycle whose commands left
//! after its end is a deadline miss. A port that is gone is tried again at the
//! start of every cycle; without it the image still says every cycle that
//! everything is silent.
//!
//! Nothing here allocates, logs or takes a lock once it runs.

use crate::port::{Port, PortError, now};
use crate::realtime;
use crate::settings_file::Loaded;
use crate::shared::Shared;
use evenkeel_core::bus::master::{BuildError, Master, Step};
use evenkeel_core::control::Control;
use evenkeel_core::image::{self, Condition};
use evenkeel_core::settings::GuardSettings;
use evenkeel_core::time::Nanos;
use rustix::thread::{ClockId, Timespec, clock_nanosleep_absolute};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The state of the cycle thread.
pub struct Cycle {
    settings: GuardSettings,
    port: Option<Port>,
    master: Master,
    control: Control,
    shared: Arc<Shared>,
    image: &'static [AtomicU32],
    /// Good frames when the port was opened: it counts as back once there are more.
    frames_at_open: u64,
    port_errno: i32,
}

impl Cycle {
    /// Everything that allocates.
    ///
    /// # Errors
    /// When the settings' addresses are impossible, which settings that were
    /// checked never are.
    pub fn new(
        loaded: &Loaded,
        locked: bool,
        image: &'static [AtomicU32],
        shared: Arc<Shared>,
    ) -> Result<Self, BuildError> {
        let settings = loaded.settings.clone();
        let addresses = settings.addresses();
        let master = Master::new(settings.timing(), addresses.iter().copied(), [])?;
        let mut control = Control::new(&settings, &addresses);
        let cycle = &mut control.snapshot.cycle;
        cycle.period = settings.cycle();
        cycle.started = now();
        cycle.settings_crc = loaded.crc.into();
        let mut this = Self {
            settings,
            port: None,
            master,
            control,
            shared,
            image,
            frames_at_open: 0,
            port_errno: 0,
        };
        this.set_condition(Condition::SettingsFallback, loaded.fallback.is_some());
        this.set_condition(Condition::NotLocked, !locked);
        Ok(this)
    }

    /// Run until told to stop.
    pub fn run(mut self) {
        let refused = realtime::become_real_time().is_err();
        self.set_condition(Condition::NotRealTime, refused);
        let period = self.settings.cycle();
        let mut start = now();
        while self.sleep_until(start) {
            let woken = now();
            self.control.snapshot.jitter.record(woken.since(start));
            self.apply_pauses();
            let waited = self.cycle(woken, start + period);
            self.publish(woken, waited);
            let end = start + period;
            self.control.snapshot.cycle.deadline_misses += u64::from(now() > end);
            start = end;
            // Starved or stopped for long: lost cycles are not made up for,
            // and none starts in a period that is nearly over.
            while now() > start + Nanos(period.0 / 4) {
                start = start + period;
                self.control.snapshot.cycle.deadline_misses += 1;
            }
        }
        self.release();
    }

    /// Scan and command; returns the time spent waiting for the line.
    fn cycle(&mut self, woken: Nanos, end: Nanos) -> Nanos {
        let mut waited = Nanos(0);
        let outcome = self.open_port().and_then(|()| self.converse(woken, end, &mut waited));
        match outcome {
            Ok(true) => {}
            // Nobody was heard: readings age, and the image says so.
            Ok(false) => _ = self.control.step(self.master.modules(), now()),
            Err(error) => {
                self.lose_port(&error);
                self.control.step(self.master.modules(), now());
            }
        }
        if self.port.is_some() && self.master.counters().good_frames > self.frames_at_open {
            self.regain_port();
        }
        waited
    }

    /// Talk to the modules; true when the scan came to its end.
    fn converse(
        &mut self,
        woken: Nanos,
        end: Nanos,
        waited: &mut Nanos,
    ) -> Result<bool, PortError> {
        let Some(port) = &mut self.port else { return Ok(false) };
        let mut scanned = false;
        let mut buffer = [0u8; 512];
        // What came after the last cycle's patience is a reading all the same.
        loop {
            let late = port.read(&mut buffer, woken)?;
            if late == 0 {
                break;
            }
            self.master.receive(&buffer[..late]);
        }
        self.master.start_cycle(end);
        loop {
            let time = now();
            if time >= end {
                return Ok(scanned);
            }
            match self.master.poll(time) {
                Step::Send(frame) => port.write(frame, end)?,
                Step::Wait(until) => {
                    let read = port.read(&mut buffer, until.min(end))?;
                    *waited = *waited + now().since(time);
                    self.master.receive(&buffer[..read]);
                }
                Step::Scanned => {
                    scanned = true;
                    self.control.snapshot.cycle.scan = time.since(woken);
                    let duties = self.control.step(self.master.modules(), time);
                    self.master.command(duties);
                }
                Step::Idle => {
                    self.control.commanded();
                    return Ok(scanned);
                }
            }
        }
    }

    fn open_port(&mut self) -> Result<(), PortError> {
        if self.port.is_none() {
            let bus = &self.settings.bus;
            self.port = Some(Port::open(&bus.port, bus.baud)?);
            self.frames_at_open = self.master.counters().good_frames;
        }
        Ok(())
    }

    fn lose_port(&mut self, error: &PortError) {
        self.port = None;
        self.port_errno = error.errno();
        self.set_condition(Condition::PortLost, true);
    }

    /// A module was heard through it: only now it is back.
    fn regain_port(&mut self) {
        let lost = self.control.snapshot.cycle.conditions & Condition::PortLost as u64 != 0;
        self.control.snapshot.cycle.port_reopens += u64::from(lost);
        self.set_condition(Condition::PortLost, false);
    }

    fn apply_pauses(&mut self) {
        for string in 0..self.settings.strings.len() {
            let until = self.shared.paused_until(string);
            self.control.set_pause(string, until);
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
        image::publish(self.image, &self.control.snapshot);
    }

    /// Before leaving: all bypasses off. Should this fail, the modules do it
    /// themselves three cycles later.
    fn release(&mut self) {
        let woken = now();
        let end = woken + self.settings.cycle();
        for string in 0..self.settings.strings.len() {
            self.control.set_pause(string, end + end);
        }
        self.cycle(woken, end);
    }

    /// False when it is time to stop.
    fn sleep_until(&self, start: Nanos) -> bool {
        let until = Timespec {
            tv_sec: (start.0 / 1_000_000_000) as i64,
            tv_nsec: (start.0 % 1_000_000_000) as i64,
        };
        let running = || !self.shared.stop.load(Ordering::Relaxed);
        while running() {
            if clock_nanosleep_absolute(ClockId::Monotonic, &until).is_ok() {
                return running();
            }
        }
        false
    }

    fn set_condition(&mut self, condition: Condition, holds: bool) {
        let conditions = &mut self.control.snapshot.cycle.conditions;
        *conditions &= !(condition as u64);
        *conditions |= if holds { condition as u64 } else { 0 };
        self.shared.tell(*conditions, self.port_errno);
    }
}
