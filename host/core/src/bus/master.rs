//! The master's side of the battery bus as a state machine: bytes and `now`
//! in, bytes out. It owns no port and no clock.
//!
//! ```text
//!            start_cycle            window over        all bursts over
//!   Idle ───────────────▶ Sampling ───────────▶ Bursts ─────────────▶ Scanned
//!    ▲ │                       (IDENTIFY for strangers, READ, READ_IO)      │
//!    │ │ errand, if it fits        all frames sent                          │ command
//!    │ └─▶ Errand ─┐◀──────────────────── Duties ◀──────── Outputs ◀────────┘
//!    └─────────────┘
//! ```
//! The caller loops over [`Master::poll`] and does what each [`Step`] says;
//! whatever the port received goes to [`Master::receive`] in between.
//!
//! OUTPUTS go before DUTIES: a trip that was decided in a scan leaves in its
//! cycle, whatever happens to the rest.

use super::errand::{Busy, Errand, Job, Outcome};
use super::timing::IDENTIFY_PER_CYCLE;
pub use super::timing::Timing;
use super::wire::{
    ADDRESS_MAX, BURST_MAX, DEVICE_MAX, DEVICE_MIN, DUTIES_MAX, Decoder, DeviceKind, Duty,
    DutyList, FRAME_MAX, Identity, Io, Outputs, Reading, Reply, Request, search_slot,
};
use crate::time::Nanos;

/// Cycles after which a station that does not answer is asked again who it is.
/// It may come back as another one.
const FORGET_AFTER: u32 = 3;
/// Identity bursts to devices per cycle.
const IDENTIFY_DEVICES_PER_CYCLE: usize = 1;
/// Most unconfigured addresses that are remembered.
pub const STRANGERS_MAX: usize = 16;

/// What the master knows of one module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Module {
    /// Its bus address.
    pub address: u16,
    /// Who it is; `None` until it said so.
    pub identity: Option<Identity>,
    /// Last reading and when its sample was taken.
    pub reading: Option<(Reading, Nanos)>,
    /// READ requests in a row that it did not answer.
    pub missed: u32,
    /// Last measured internal resistance of its block, µΩ, and when the
    /// result came.
    pub resistance: Option<(u32, Nanos)>,
}

/// What the master knows of one device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its bus address.
    pub address: u16,
    /// What it is meant to be.
    pub kind: DeviceKind,
    /// Who it is; `None` until it said so.
    pub identity: Option<Identity>,
    /// Last state and when its sample was taken.
    pub io: Option<(Io, Nanos)>,
    /// READ_IO requests in a row that it did not answer.
    pub missed: u32,
    /// What its outputs shall be; `None` until somebody said so.
    outputs: Option<Outputs>,
}

impl Device {
    /// It says that it is something else than it is meant to be.
    #[must_use]
    pub fn is_wrong_kind(&self) -> bool {
        self.identity.is_some_and(|identity| identity.type_code != self.kind.code())
    }
}

/// An address that nobody configured and that spoke unasked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stranger {
    /// Its bus address.
    pub address: u16,
    /// Frames that came from it.
    pub frames: u32,
}

/// What the caller has to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Write these bytes, then poll again.
    Send(&'a [u8]),
    /// Nothing to do before this time, unless bytes arrive.
    Wait(Nanos),
    /// The scan is over: look at [`Master::modules`], then call [`Master::command`].
    Scanned,
    /// The cycle is over. If an errand was finished, [`Master::take_outcome`]
    /// has its result; a new one may still fit the cycle: then poll again.
    Idle,
}

/// Counters of a bus, since start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames with a wrong check sum or broken framing.
    pub bad_frames: u64,
    /// Good frames that were asked for.
    pub good_frames: u64,
    /// Good frames that were not asked for.
    pub unexpected: u64,
    /// Replies that did not come in time.
    pub missed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    /// SAMPLE is due.
    Start,
    /// Integration runs until then.
    Sampling(Nanos),
    /// The request at `next` is due.
    Burst {
        what: Burst,
        next: usize,
    },
    /// Replies to `from..to` are awaited until then.
    Listening {
        what: Burst,
        from: usize,
        to: usize,
        until: Nanos,
    },
    Scanned,
    /// A command to the stations is due.
    Commanding(Command),
    /// The line is busy with our own frame until then.
    Sending {
        then: Command,
        until: Nanos,
    },
    /// The errand's replies are awaited until then.
    Answering(Nanos),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Burst {
    Identify,
    IdentifyDevices,
    Read,
    ReadIo,
}

/// What is sent after the scan, with the index of the next station.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    Outputs(usize),
    Duties(usize),
    /// An errand's request without a reply was sent.
    Errand,
}

/// The bus master. Built once; allocates nothing afterwards.
#[derive(Clone, Debug)]
pub struct Master {
    timing: Timing,
    modules: Vec<Module>,
    devices: Vec<Device>,
    /// Who answered in the present burst, by index.
    answered: Vec<bool>,
    duties: Vec<Duty>,
    state: State,
    sample: u8,
    sampled_at: Nanos,
    /// When the present cycle ends: no burst runs beyond it.
    end: Nanos,
    /// IDENTIFY bursts of one sort in this cycle, and where the next cycle goes
    /// on: a few dead stations must not keep the others from being met.
    identified: usize,
    identify_from: usize,
    identify_devices_from: usize,
    /// Line time of all READs, of all READ_IOs, and of OUTPUTS and DUTIES.
    read_time: Nanos,
    io_time: Nanos,
    command_time: Nanos,
    job: Option<Job>,
    /// A measurement was asked about in this cycle.
    measure_asked: bool,
    outcome: Option<Outcome>,
    strangers: [Stranger; STRANGERS_MAX],
    stranger_count: usize,
    decoder: Decoder,
    out: [u8; FRAME_MAX],
    counters: Counters,
}

/// Why a master cannot be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// Out of range.
    #[error("module address {0} is not in 1 … {ADDRESS_MAX}")]
    Address(u16),
    /// Out of range.
    #[error("device address {0} is not in {DEVICE_MIN} … {DEVICE_MAX}")]
    DeviceAddress(u16),
    /// The same twice, or not ascending.
    #[error("bus address {0} appears twice or out of order")]
    Order(u16),
}

impl Master {
    /// A master for these modules and devices, both ascending by address.
    ///
    /// # Errors
    /// [`BuildError`] when an address is impossible.
    pub fn new(
        timing: Timing,
        addresses: impl IntoIterator<Item = u16>,
        devices: impl IntoIterator<Item = (u16, DeviceKind)>,
    ) -> Result<Self, BuildError> {
        let modules = modules(addresses)?;
        let devices = self::devices(devices)?;
        let mut master = Self {
            timing,
            answered: vec![false; modules.len().max(devices.len())],
            duties: vec![Duty::OFF; modules.len()],
            modules,
            devices,
            state: State::Idle,
            sample: 0,
            sampled_at: Nanos(0),
            end: Nanos(0),
            identified: 0,
            identify_from: 0,
            identify_devices_from: 0,
            read_time: Nanos(0),
            io_time: Nanos(0),
            command_time: Nanos(0),
            job: None,
            measure_asked: false,
            outcome: None,
            strangers: [Stranger::default(); STRANGERS_MAX],
            stranger_count: 0,
            decoder: Decoder::default(),
            out: [0; FRAME_MAX],
            counters: Counters::default(),
        };
        master.take_line_times();
        Ok(master)
    }

    /// The modules, ascending by address.
    #[must_use]
    pub fn modules(&self) -> &[Module] {
        &self.modules
    }

    /// The devices, ascending by address.
    #[must_use]
    pub fn devices(&self) -> &[Device] {
        &self.devices
    }

    /// Addresses that nobody configured and that spoke unasked, at most
    /// [`STRANGERS_MAX`], since start or [`Self::forget_strangers`].
    #[must_use]
    pub fn strangers(&self) -> &[Stranger] {
        &self.strangers[..self.stranger_count]
    }

    /// Begin the list of strangers anew.
    pub fn forget_strangers(&mut self) {
        self.stranger_count = 0;
    }

    /// Counters since start.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// Begin a cycle that has to be over at `end`, whatever was going on: a
    /// cycle that was cut short by a lost port leaves nothing behind.
    pub fn start_cycle(&mut self, end: Nanos) {
        self.decoder.reset();
        self.end = end;
        self.identified = 0;
        self.measure_asked = false;
        self.answered.fill(false);
        if let Some(job) = self.job.as_mut().filter(|job| !job.spans_cycles()) {
            *job = Job::new(job.errand);
        }
        self.state = State::Start;
    }

    /// Set the duties to send, one per module, after [`Step::Scanned`].
    ///
    /// # Panics
    /// When `duties` is not as long as [`Self::modules`]: a programming error.
    pub fn command(&mut self, duties: &[Duty]) {
        self.duties.copy_from_slice(duties);
        if self.state == State::Scanned {
            self.state = State::Commanding(Command::Outputs(0));
        }
    }

    /// Set the outputs of the device at that index in [`Self::devices`]. They
    /// are sent after [`Self::command`], before the duties, in this and every
    /// further cycle. A device that there is not is ignored.
    pub fn set_outputs(&mut self, device: usize, outputs: Outputs) {
        if let Some(device) = self.devices.get_mut(device) {
            device.outputs = Some(outputs);
        }
    }

    /// Do an odd job in the time that this or a later cycle has left after its
    /// readings, outputs and duties. Drops an outcome that nobody took.
    ///
    /// # Errors
    /// [`Busy`] while another one is under way.
    pub fn errand(&mut self, errand: Errand) -> Result<(), Busy> {
        if self.job.is_some() {
            return Err(Busy);
        }
        self.outcome = None;
        self.job = Some(Job::new(errand));
        Ok(())
    }

    /// Give up the errand under way, if any: it never has an outcome.
    pub fn cancel_errand(&mut self) {
        self.job = None;
        if matches!(self.state, State::Answering(_)) {
            self.state = State::Idle;
        }
    }

    /// What came of the last errand, once.
    pub fn take_outcome(&mut self) -> Option<Outcome> {
        self.outcome.take()
    }

    /// What to do now.
    pub fn poll(&mut self, now: Nanos) -> Step<'_> {
        loop {
            match self.state {
                State::Idle if self.errand_fits(now) => return self.send_errand(now),
                State::Idle => return Step::Idle,
                State::Scanned => return Step::Scanned,
                State::Start => return self.send_sample(now),
                State::Sampling(until) if now < until => return Step::Wait(until),
                State::Sampling(_) => {
                    self.state = State::Burst { what: Burst::Identify, next: self.identify_from };
                }
                State::Burst { what, next } => {
                    if let Some((from, to)) = self.next_run(what, next, now) {
                        return self.send_burst(now, what, from, to);
                    }
                    self.end_bursts(what, next);
                }
                State::Listening { what, from, to, until } => {
                    if now < until && self.answered[from..to].contains(&false) {
                        return Step::Wait(until);
                    }
                    self.close_burst(what, from, to);
                    self.state = State::Burst { what, next: to };
                }
                State::Sending { until, .. } if now < until => return Step::Wait(until),
                State::Sending { then: Command::Errand, .. } => self.advance_errand(now),
                State::Sending { then, .. } => self.state = State::Commanding(then),
                State::Commanding(Command::Outputs(next)) => match self.next_outputs(next) {
                    Some((index, outputs)) => return self.send_outputs(now, index, outputs),
                    None => self.state = State::Commanding(Command::Duties(0)),
                },
                State::Commanding(Command::Duties(next)) => {
                    match run_end(&self.modules, next, DUTIES_MAX, |m| m.address) {
                        Some(to) => return self.send_duties(now, next, to),
                        None => self.state = State::Idle,
                    }
                }
                State::Commanding(Command::Errand) => self.state = State::Idle,
                State::Answering(until) => {
                    let answered = self.job.as_ref().is_none_or(Job::is_answered);
                    if now < until && !answered {
                        return Step::Wait(until);
                    }
                    self.advance_errand(now);
                }
            }
        }
    }

    /// Take what the port received.
    pub fn receive(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let parsed = match self.decoder.push(*byte) {
                None => continue,
                Some(Err(_)) => {
                    self.counters.bad_frames += 1;
                    self.note_garbage();
                    continue;
                }
                Some(Ok(frame)) => Reply::parse(&frame),
            };
            match parsed {
                Ok(reply) if self.accept(&reply) => self.counters.good_frames += 1,
                Ok(reply) => {
                    self.counters.unexpected += 1;
                    self.note_stranger(reply.address());
                }
                Err(_) => self.counters.unexpected += 1,
            }
        }
    }

    /// Take a reply; false when nobody asked for it. A reading that belongs to
    /// the present sample is good even when it comes after its burst was given
    /// up: adapters and busy machines delay bytes, they do not change them.
    fn accept(&mut self, reply: &Reply) -> bool {
        match *reply {
            Reply::Reading { address, reading } if reading.sample == self.sample => {
                let Some(at) = find(&self.modules, address, |m| m.address) else { return false };
                self.modules[at].reading = Some((reading, self.sampled_at));
                self.modules[at].missed = 0;
                self.mark(Burst::Read, at);
                true
            }
            Reply::Io { address, io } if io.sample == self.sample => {
                let Some(at) = find(&self.devices, address, |d| d.address) else { return false };
                self.devices[at].io = Some((io, self.sampled_at));
                self.devices[at].missed = 0;
                self.mark(Burst::ReadIo, at);
                true
            }
            Reply::Identity { address, identity } => {
                self.accept_identity(address, identity) || self.accept_for_errand(reply)
            }
            Reply::Found(_) | Reply::Resistance { .. } => self.accept_for_errand(reply),
            Reply::Reading { .. } | Reply::Io { .. } => false,
        }
    }

    fn accept_identity(&mut self, address: u16, identity: Identity) -> bool {
        if let Some(at) = find(&self.modules, address, |m| m.address)
            && self.mark(Burst::Identify, at)
        {
            self.modules[at].identity = Some(identity);
            return true;
        }
        if let Some(at) = find(&self.devices, address, |d| d.address)
            && self.mark(Burst::IdentifyDevices, at)
        {
            self.devices[at].identity = Some(identity);
            return true;
        }
        false
    }

    fn accept_for_errand(&mut self, reply: &Reply) -> bool {
        let (Some(job), State::Answering(_)) = (self.job.as_mut(), self.state) else {
            return false;
        };
        match (job.errand, *reply) {
            (Errand::Search { prefix, bits }, Reply::Found(found)) => {
                let meant = search_slot(found.serial, prefix, bits).is_some();
                if meant {
                    job.found.push(found);
                }
                meant
            }
            (Errand::Offer { .. }, Reply::Found(found)) => {
                job.found.push(found);
                true
            }
            (Errand::Assign { serial, .. }, Reply::Found(found)) if found.serial == serial => {
                job.found.push(found);
                true
            }
            (Errand::Measure { address }, Reply::Resistance { address: from, resistance })
                if from == address =>
            {
                job.resistance = Some(resistance);
                true
            }
            (Errand::Probe { first, count, .. }, Reply::Identity { address, .. }) => {
                let place = address.checked_sub(first).filter(|p| *p < u16::from(count.min(64)));
                job.answered |= place.map_or(0, |place| 1 << place);
                place.is_some()
            }
            _ => false,
        }
    }

    /// A station answered what the present burst asks; false when another
    /// burst, or none, is under way.
    fn mark(&mut self, answers: Burst, at: usize) -> bool {
        match self.state {
            State::Listening { what, from, to, .. }
                if what == answers && (from..to).contains(&at) =>
            {
                self.answered[at] = true;
                true
            }
            _ => false,
        }
    }

    fn note_garbage(&mut self) {
        if let (Some(job), State::Answering(_)) = (self.job.as_mut(), self.state) {
            job.garbled = true;
        }
    }

    fn note_stranger(&mut self, address: u16) {
        let known = find(&self.modules, address, |m| m.address).is_some()
            || find(&self.devices, address, |d| d.address).is_some();
        if known {
            return;
        }
        let listed = &mut self.strangers[..self.stranger_count];
        if let Some(stranger) = listed.iter_mut().find(|s| s.address == address) {
            stranger.frames = stranger.frames.saturating_add(1);
        } else if let Some(free) = self.strangers.get_mut(self.stranger_count) {
            *free = Stranger { address, frames: 1 };
            self.stranger_count += 1;
        }
    }

    /// Count who did not answer; forget who has not answered for long.
    fn close_burst(&mut self, what: Burst, from: usize, to: usize) {
        for at in from..to {
            let answered = std::mem::take(&mut self.answered[at]);
            let (missed, identity) = match what {
                Burst::Read => {
                    let module = &mut self.modules[at];
                    (&mut module.missed, &mut module.identity)
                }
                Burst::ReadIo => {
                    let device = &mut self.devices[at];
                    (&mut device.missed, &mut device.identity)
                }
                Burst::Identify | Burst::IdentifyDevices => continue,
            };
            if answered {
                *missed = 0;
                continue;
            }
            *missed = missed.saturating_add(1);
            self.counters.missed += 1;
            if *missed >= FORGET_AFTER {
                *identity = None;
            }
        }
    }

    /// The next run of stations to ask, as indices; `None` when there is none,
    /// or none that can answer before the commands have to go.
    fn next_run(&self, what: Burst, next: usize, now: Nanos) -> Option<(usize, usize)> {
        let burst = usize::from(BURST_MAX);
        let (from, to) = match what {
            Burst::Read => (next, run_end(&self.modules, next, burst, |m| m.address)?),
            Burst::ReadIo => (next, self.io_run_end(next)?),
            Burst::Identify if self.identified == IDENTIFY_PER_CYCLE => return None,
            Burst::Identify => {
                unmet_run(&self.modules, next, |m| (m.address, m.identity.is_none()))?
            }
            Burst::IdentifyDevices if self.identified == IDENTIFY_DEVICES_PER_CYCLE => return None,
            Burst::IdentifyDevices => {
                unmet_run(&self.devices, next, |d| (d.address, d.identity.is_none()))?
            }
        };
        let time = self.burst_time(what, from, to) + self.reserved(what);
        (now + time <= self.end).then_some((from, to))
    }

    /// Line time that a burst must leave for what comes after it in the cycle:
    /// meeting strangers never costs a reading, and the modules leave the
    /// devices their turn.
    fn reserved(&self, what: Burst) -> Nanos {
        match what {
            Burst::Identify | Burst::IdentifyDevices => {
                self.read_time + self.io_time + self.command_time
            }
            Burst::Read => self.io_time + self.command_time,
            Burst::ReadIo => self.command_time,
        }
    }

    /// From one sort of burst to the next, from the last to the decision.
    fn end_bursts(&mut self, what: Burst, next: usize) {
        let resume = |all_met: bool| if all_met { 0 } else { next };
        self.identified = 0;
        self.state = match what {
            Burst::Identify => {
                let rest = self.modules.get(next..).unwrap_or_default();
                self.identify_from = resume(rest.iter().all(|m| m.identity.is_some()));
                State::Burst { what: Burst::IdentifyDevices, next: self.identify_devices_from }
            }
            Burst::IdentifyDevices => {
                let rest = self.devices.get(next..).unwrap_or_default();
                self.identify_devices_from = resume(rest.iter().all(|d| d.identity.is_some()));
                State::Burst { what: Burst::Read, next: 0 }
            }
            Burst::Read => {
                // What the cycle had no time for was not answered either.
                self.close_burst(Burst::Read, next, self.modules.len());
                State::Burst { what: Burst::ReadIo, next: 0 }
            }
            Burst::ReadIo => {
                self.close_burst(Burst::ReadIo, next, self.devices.len());
                State::Scanned
            }
        };
    }

    /// Line time of a request to `from..to` and of their replies.
    fn burst_time(&self, what: Burst, from: usize, to: usize) -> Nanos {
        match what {
            Burst::Identify | Burst::IdentifyDevices => self.timing.identify(to - from),
            Burst::Read => self.timing.read(to - from),
            Burst::ReadIo => self.timing.read_io(to - from, self.devices[from].kind.channels()),
        }
    }

    fn take_line_times(&mut self) {
        let mut next = 0;
        while let Some(to) = run_end(&self.modules, next, BURST_MAX.into(), |m| m.address) {
            self.read_time = self.read_time + self.timing.read(to - next);
            next = to;
        }
        next = 0;
        while let Some(to) = self.io_run_end(next) {
            self.io_time = self.io_time + self.burst_time(Burst::ReadIo, next, to);
            next = to;
        }
        next = 0;
        while let Some(to) = run_end(&self.modules, next, DUTIES_MAX, |m| m.address) {
            self.command_time = self.command_time + self.timing.duties(to - next);
            next = to;
        }
        let switching = self.devices.iter().filter(|d| d.kind.outputs() > 0).count();
        self.command_time = self.command_time + self.timing.outputs(switching);
    }

    /// End of the run of devices from `from` that one READ_IO can ask: slots
    /// are as long as their channels.
    fn io_run_end(&self, from: usize) -> Option<usize> {
        let to = run_end(&self.devices, from, BURST_MAX.into(), |d| d.address)?;
        let run = &self.devices[from..to];
        let alike = run.iter().take_while(|d| d.kind.channels() == run[0].kind.channels());
        Some(from + alike.count())
    }

    fn send_sample(&mut self, now: Nanos) -> Step<'_> {
        self.sample = self.sample.wrapping_add(1);
        let request = Request::Sample { sample: self.sample, window_ms: self.timing.window_ms };
        let len = request.encode(&mut self.out);
        let window = Nanos::from_millis(self.timing.window_ms.into());
        let sent = now + self.timing.chars(len as u32);
        // A reading is as old as the middle of its window.
        self.sampled_at = sent + Nanos(window.0 / 2);
        self.state = State::Sampling(sent + window);
        Step::Send(&self.out[..len])
    }

    fn send_burst(&mut self, now: Nanos, what: Burst, from: usize, to: usize) -> Step<'_> {
        // A run is at most BURST_MAX long.
        let count = (to - from) as u8;
        let request = match what {
            Burst::Identify => Request::Identify { first: self.modules[from].address, count },
            Burst::IdentifyDevices => {
                Request::Identify { first: self.devices[from].address, count }
            }
            Burst::Read => Request::Read { first: self.modules[from].address, count },
            Burst::ReadIo => {
                let Device { address, kind, .. } = self.devices[from];
                Request::ReadIo { first: address, count, channels: kind.channels() }
            }
        };
        self.identified += usize::from(matches!(what, Burst::Identify | Burst::IdentifyDevices));
        self.decoder.reset();
        let len = request.encode(&mut self.out);
        let answered = now + self.burst_time(what, from, to);
        // Patience ends where the commands would come too late.
        let latest = self.end.since(self.command_time).max(answered);
        let until = (answered + self.timing.slack).min(latest);
        self.state = State::Listening { what, from, to, until };
        Step::Send(&self.out[..len])
    }

    /// The next device at or after `from` that has outputs to be commanded.
    fn next_outputs(&self, from: usize) -> Option<(usize, Outputs)> {
        let rest = self.devices.iter().enumerate().skip(from);
        rest.filter(|(_, d)| d.kind.outputs() > 0)
            .find_map(|(index, device)| Some((index, device.outputs?)))
    }

    fn send_outputs(&mut self, now: Nanos, index: usize, outputs: Outputs) -> Step<'_> {
        let address = self.devices[index].address;
        let request = Request::Outputs { address, outputs, hold_ds: self.timing.hold_ds };
        let len = request.encode(&mut self.out);
        let until = now + self.timing.chars(len as u32);
        self.state = State::Sending { then: Command::Outputs(index + 1), until };
        Step::Send(&self.out[..len])
    }

    fn send_duties(&mut self, now: Nanos, from: usize, to: usize) -> Step<'_> {
        let request = Request::Duties {
            first: self.modules[from].address,
            hold_ds: self.timing.hold_ds,
            duties: DutyList::Owned(&self.duties[from..to]),
        };
        let len = request.encode(&mut self.out);
        let until = now + self.timing.chars(len as u32);
        self.state = State::Sending { then: Command::Duties(to), until };
        Step::Send(&self.out[..len])
    }

    /// There is an errand, its turn has come, and it ends within the cycle.
    fn errand_fits(&self, now: Nanos) -> bool {
        self.job.as_ref().is_some_and(|job| {
            let again = self.measure_asked && matches!(job.errand, Errand::Measure { .. });
            !again && now + job.needs(&self.timing) <= self.end
        })
    }

    fn send_errand(&mut self, now: Nanos) -> Step<'_> {
        // Only called when there is one.
        let Some(job) = self.job.as_mut() else { return Step::Idle };
        job.began.get_or_insert(now);
        self.measure_asked |= matches!(job.errand, Errand::Measure { .. });
        let listened = now + job.time(&self.timing) + self.timing.slack;
        let expects = job.expects_replies();
        let len = job.request().encode(&mut self.out);
        self.decoder.reset();
        let sent = now + self.timing.chars(len as u32);
        self.state = if expects {
            State::Answering(listened)
        } else {
            State::Sending { then: Command::Errand, until: sent }
        };
        Step::Send(&self.out[..len])
    }

    fn advance_errand(&mut self, now: Nanos) {
        if self.decoder.is_inside_frame() {
            self.note_garbage();
        }
        self.state = State::Idle;
        let Some(job) = self.job.as_mut() else { return };
        let Some(outcome) = job.advance(now) else { return };
        if let Outcome::Measured { address, result: Ok(micro_ohm) } = outcome
            && let Some(at) = find(&self.modules, address, |m| m.address)
        {
            self.modules[at].resistance = Some((micro_ohm, now));
        }
        self.outcome = Some(outcome);
        self.job = None;
    }
}

fn modules(addresses: impl IntoIterator<Item = u16>) -> Result<Vec<Module>, BuildError> {
    let mut modules: Vec<Module> = Vec::new();
    for address in addresses {
        if address == 0 || address > ADDRESS_MAX {
            return Err(BuildError::Address(address));
        }
        if modules.last().is_some_and(|last| last.address >= address) {
            return Err(BuildError::Order(address));
        }
        modules.push(Module { address, ..Module::default() });
    }
    Ok(modules)
}

fn devices(list: impl IntoIterator<Item = (u16, DeviceKind)>) -> Result<Vec<Device>, BuildError> {
    let mut devices: Vec<Device> = Vec::new();
    for (address, kind) in list {
        if !(DEVICE_MIN..=DEVICE_MAX).contains(&address) {
            return Err(BuildError::DeviceAddress(address));
        }
        if devices.last().is_some_and(|last| last.address >= address) {
            return Err(BuildError::Order(address));
        }
        devices.push(Device { address, kind, identity: None, io: None, missed: 0, outputs: None });
    }
    Ok(devices)
}

/// Index of the station with that address.
fn find<T>(stations: &[T], address: u16, of: impl Fn(&T) -> u16) -> Option<usize> {
    stations.binary_search_by_key(&address, of).ok()
}

/// End of the run of consecutive addresses from `from`, at most `max` long.
fn run_end<T>(stations: &[T], from: usize, max: usize, of: impl Fn(&T) -> u16) -> Option<usize> {
    let rest = stations.get(from..)?;
    let first = of(rest.first()?);
    let run = rest.iter().zip(first..).take(max).take_while(|(station, at)| of(station) == *at);
    Some(from + run.count())
}

/// The next run of stations without identity, of which `of` tells the address
/// and that it has none.
fn unmet_run<T>(
    stations: &[T],
    next: usize,
    of: impl Fn(&T) -> (u16, bool),
) -> Option<(usize, usize)> {
    let from = next + stations.get(next..)?.iter().position(|s| of(s).1)?;
    let to = run_end(stations, from, BURST_MAX.into(), |s| of(s).0)?;
    let unmet = stations[from..to].iter().take_while(|s| of(s).1);
    Some((from, from + unmet.count()))
}

#[cfg(test)]
mod tests;
