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
//! Every request has a zero byte in front: it ends whatever a disturbed reply
//! has left in the stations' decoders, so that no disturbance costs more than
//! itself. OUTPUTS go before DUTIES: a trip that was decided in a scan leaves in its
//! cycle, whatever happens to the rest.

use super::errand::{Busy, Errand, Job, Outcome};
use super::timing::IDENTIFY_PER_CYCLE;
pub use super::timing::Timing;
use super::wire::{BURST_MAX, DUTIES_MAX, Decoder, DeviceKind, Duty, FRAME_MAX, Outputs};
use crate::time::Nanos;

mod receive;
mod send;
mod station;

pub use station::{BuildError, Device, Module, STRANGERS_MAX, Stranger};
use station::{find, run_end, unmet_run};

/// Most bytes that the master sends at once: a zero byte, so that a frame cut
/// short before it harms no longer, and the longest frame.
pub const SEND_MAX: usize = 1 + FRAME_MAX;

/// Cycles after which a station that does not answer is asked again who it is.
/// It may come back as another one.
const FORGET_AFTER: u32 = 3;
/// Identity bursts to devices per cycle.
const IDENTIFY_DEVICES_PER_CYCLE: usize = 1;
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
    /// Replies to `from..to` are awaited: until their slots are over, and
    /// until the end of all patience while there is hope.
    Listening {
        what: Burst,
        from: usize,
        to: usize,
        slots: Nanos,
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
    /// A zero byte, and the request.
    out: [u8; SEND_MAX],
    counters: Counters,
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
        let modules = station::modules(addresses)?;
        let devices = station::devices(devices)?;
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
            out: [0; SEND_MAX],
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
                State::Listening { what, from, to, slots, until } => {
                    let (absent, hopeful) = self.absent(what, from, to);
                    let until = if hopeful { until } else { slots };
                    if now < until && absent {
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
        let spare = self.end.since(now + self.reserved(what));
        let to = match what {
            Burst::Identify | Burst::IdentifyDevices => {
                to.min(from + self.timing.identify_fits(spare))
            }
            Burst::Read | Burst::ReadIo => to,
        };
        (to > from && self.burst_time(what, from, to) <= spare).then_some((from, to))
    }

    /// Somebody of `from..to` has not answered yet, and somebody of these
    /// answered not long ago: worth patience. What comes late from the others
    /// is taken all the same.
    fn absent(&self, what: Burst, from: usize, to: usize) -> (bool, bool) {
        let missed = |at: usize| match what {
            Burst::Identify | Burst::Read => self.modules[at].missed,
            Burst::IdentifyDevices | Burst::ReadIo => self.devices[at].missed,
        };
        let absent = || (from..to).filter(|at| !self.answered[*at]);
        (absent().next().is_some(), absent().any(|at| missed(at) < FORGET_AFTER))
    }

    /// Patience that the READs and READ_IOs of this cycle will need: for each
    /// that has a new or freshly silent station, and for one surprise.
    fn patience(&self) -> Nanos {
        let (mut bursts, mut next) = (1, 0);
        while let Some(to) = run_end(&self.modules, next, BURST_MAX.into(), |m| m.address) {
            let doubt =
                |m: &Module| m.missed < FORGET_AFTER && (m.missed > 0 || m.reading.is_none());
            bursts += u64::from(self.modules[next..to].iter().any(doubt));
            next = to;
        }
        next = 0;
        while let Some(to) = self.io_run_end(next) {
            let doubt = |d: &Device| d.missed < FORGET_AFTER && (d.missed > 0 || d.io.is_none());
            bursts += u64::from(self.devices[next..to].iter().any(doubt));
            next = to;
        }
        Nanos(self.timing.slack.0.saturating_mul(bursts))
    }

    /// Line time that a burst must leave for what comes after it in the cycle:
    /// meeting strangers never costs a reading, and the modules leave the
    /// devices their turn.
    fn reserved(&self, what: Burst) -> Nanos {
        match what {
            Burst::Identify | Burst::IdentifyDevices => {
                self.read_time + self.io_time + self.command_time + self.patience()
            }
            Burst::Read | Burst::ReadIo => self.reserved_after(what),
        }
    }

    /// Where patience with a burst ends: the devices' turn and the commands.
    fn reserved_after(&self, what: Burst) -> Nanos {
        match what {
            Burst::ReadIo => self.command_time,
            _ => self.io_time + self.command_time,
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

    /// There is an errand, its turn has come, and it ends within the cycle.
    fn errand_fits(&self, now: Nanos) -> bool {
        self.job.as_ref().is_some_and(|job| {
            let again = self.measure_asked && matches!(job.errand, Errand::Measure { .. });
            !again && now + job.needs(&self.timing) <= self.end
        })
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

#[cfg(test)]
mod tests;
