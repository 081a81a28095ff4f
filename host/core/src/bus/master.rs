//! The master's side of the battery bus as a state machine: bytes and `now`
//! in, bytes out. It owns no port and no clock.
//!
//! ```text
//!            start_cycle            window over        all bursts over
//!   Idle ───────────────▶ Sampling ───────────▶ Bursts ─────────────▶ Scanned
//!    ▲                                          (IDENTIFY for strangers,    │
//!    │            all frames sent               then READ)                  │ command
//!    └───────────────────────────────── Commanding ◀────────────────────────┘
//! ```
//! The caller loops over [`Master::poll`] and does what each [`Step`] says;
//! whatever the port received goes to [`Master::receive`] in between.

use super::wire::{
    ADDRESS_MAX, BURST_MAX, DUTIES_MAX, Decoder, Duty, DutyList, FRAME_MAX, IDENTITY_SLOT_CHARS,
    Identity, READING_SLOT_CHARS, Reading, Reply, Request, TURNAROUND_CHARS,
};
use crate::time::Nanos;

/// How the master talks to its modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Line speed, bit/s; a character is 10 bits.
    pub baud: u32,
    /// Integration time of a sample, ms.
    pub window_ms: u8,
    /// Extra time granted after a burst's last slot for drivers, adapters and
    /// cables between the master and the line.
    pub slack: Nanos,
    /// Time until duties lapse in the modules: three cycles, tenths of a second.
    pub hold_ds: u8,
}

impl Timing {
    /// How long the line is busy in a cycle in which every module answers, and
    /// the most bursts that a cycle can have, for runs of so many modules.
    #[must_use]
    pub fn load(&self, runs: &[usize]) -> (Nanos, u32) {
        let (mut chars, mut bursts) = (0, 0);
        for run in runs {
            let reads = run.div_ceil(BURST_MAX.into()) as u32;
            let duties = run.div_ceil(DUTIES_MAX) as u32;
            bursts += reads;
            chars += reads * (READ_CHARS + TURNAROUND_CHARS) + *run as u32 * READING_SLOT_CHARS;
            chars += duties * DUTIES_CHARS + 2 * *run as u32;
        }
        let window = Nanos::from_millis(self.window_ms.into());
        (window + self.chars(chars + SAMPLE_CHARS), bursts + IDENTIFY_PER_CYCLE as u32)
    }

    fn chars(&self, n: u32) -> Nanos {
        Nanos(u64::from(n) * 10 * 1_000_000_000 / u64::from(self.baud.max(1)))
    }
}

/// Cycles after which a module that does not answer is asked again who it is.
/// A module may come back as another one.
const FORGET_AFTER: u32 = 3;
/// Identity bursts per cycle: strangers are met quickly without starving READ.
const IDENTIFY_PER_CYCLE: usize = 4;

/// Characters of the requests, frame end included; of DUTIES without its duties.
const SAMPLE_CHARS: u32 = 9;
const READ_CHARS: u32 = 8;
const DUTIES_CHARS: u32 = 8;

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
    /// The cycle is over.
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
    /// The IDENTIFY or READ at `next` is due.
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
    /// The DUTIES from `next` on are due.
    Commanding {
        next: usize,
    },
    /// The line is busy with our own frame until then.
    Sending {
        next: usize,
        until: Nanos,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Burst {
    Identify,
    Read,
}

/// The bus master. Built once; allocates nothing afterwards.
#[derive(Clone, Debug)]
pub struct Master {
    timing: Timing,
    modules: Vec<Module>,
    /// Who answered in the present burst.
    answered: Vec<bool>,
    duties: Vec<Duty>,
    state: State,
    sample: u8,
    sampled_at: Nanos,
    /// When the present cycle ends: no burst runs beyond it.
    end: Nanos,
    /// IDENTIFY bursts in this cycle, and where the next cycle goes on: a few
    /// dead modules must not keep the others from being met.
    identified: usize,
    identify_from: usize,
    /// Line time of all READs and of all DUTIES.
    read_time: Nanos,
    duties_time: Nanos,
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
    /// The same twice, or not ascending.
    #[error("module address {0} appears twice or out of order")]
    Order(u16),
}

impl Master {
    /// A master for these modules, ascending by address.
    ///
    /// # Errors
    /// [`BuildError`] when an address is impossible.
    pub fn new(
        timing: Timing,
        addresses: impl IntoIterator<Item = u16>,
    ) -> Result<Self, BuildError> {
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
        let mut master = Self {
            timing,
            answered: vec![false; modules.len()],
            duties: vec![Duty::OFF; modules.len()],
            modules,
            state: State::Idle,
            sample: 0,
            sampled_at: Nanos(0),
            end: Nanos(0),
            identified: 0,
            identify_from: 0,
            read_time: Nanos(0),
            duties_time: Nanos(0),
            decoder: Decoder::default(),
            out: [0; FRAME_MAX],
            counters: Counters::default(),
        };
        (master.read_time, master.duties_time) = master.line_times();
        Ok(master)
    }

    /// The modules, ascending by address.
    #[must_use]
    pub fn modules(&self) -> &[Module] {
        &self.modules
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
        self.answered.fill(false);
        self.state = State::Start;
    }

    /// Set the duties to send, one per module, after [`Step::Scanned`].
    ///
    /// # Panics
    /// When `duties` is not as long as [`Self::modules`]: a programming error.
    pub fn command(&mut self, duties: &[Duty]) {
        self.duties.copy_from_slice(duties);
        if self.state == State::Scanned {
            self.state = State::Commanding { next: 0 };
        }
    }

    /// What to do now.
    pub fn poll(&mut self, now: Nanos) -> Step<'_> {
        loop {
            match self.state {
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
                State::Sending { next, .. } => self.state = State::Commanding { next },
                State::Commanding { next } => {
                    let Some(to) = self.run_end(next, DUTIES_MAX) else {
                        self.state = State::Idle;
                        continue;
                    };
                    return self.send_duties(now, next, to);
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
                    continue;
                }
                Some(Ok(frame)) => Reply::parse(&frame),
            };
            match parsed {
                Ok(reply) if self.accept(&reply) => self.counters.good_frames += 1,
                _ => self.counters.unexpected += 1,
            }
        }
    }

    /// Take a reply; false when nobody asked for it. A reading that belongs to
    /// the present sample is good even when it comes after its burst was given
    /// up: adapters and busy machines delay bytes, they do not change them.
    fn accept(&mut self, reply: &Reply) -> bool {
        let (Reply::Reading { address, .. } | Reply::Identity { address, .. }) = *reply;
        let Ok(at) = self.modules.binary_search_by_key(&address, |m| m.address) else {
            return false;
        };
        let awaited = match self.state {
            State::Listening { what, from, to, .. } if (from..to).contains(&at) => Some(what),
            _ => None,
        };
        let module = &mut self.modules[at];
        let answers = match reply {
            Reply::Reading { reading, .. } if reading.sample == self.sample => {
                module.reading = Some((*reading, self.sampled_at));
                module.missed = 0;
                Burst::Read
            }
            Reply::Identity { identity, .. } if awaited == Some(Burst::Identify) => {
                module.identity = Some(*identity);
                Burst::Identify
            }
            _ => return false,
        };
        self.answered[at] |= awaited == Some(answers);
        true
    }

    /// Count who did not answer; forget who has not answered for long.
    fn close_burst(&mut self, what: Burst, from: usize, to: usize) {
        for (module, answered) in
            self.modules[from..to].iter_mut().zip(&mut self.answered[from..to])
        {
            if what == Burst::Read {
                if *answered {
                    module.missed = 0;
                } else {
                    module.missed = module.missed.saturating_add(1);
                    self.counters.missed += 1;
                    if module.missed >= FORGET_AFTER {
                        module.identity = None;
                    }
                }
            }
            *answered = false;
        }
    }

    /// The next run of modules to ask, as indices; `None` when there is none,
    /// or none that can answer before the DUTIES have to go.
    fn next_run(&self, what: Burst, next: usize, now: Nanos) -> Option<(usize, usize)> {
        let (from, to) = match what {
            Burst::Read => (next, self.run_end(next, BURST_MAX.into())?),
            Burst::Identify if self.identified == IDENTIFY_PER_CYCLE => return None,
            Burst::Identify => {
                let wants = |m: &Module| m.identity.is_none();
                let from = next + self.modules.get(next..)?.iter().position(wants)?;
                let to = self.run_end(from, BURST_MAX.into())?;
                (from, from + self.modules[from..to].iter().take_while(|m| wants(m)).count())
            }
        };
        let after = match what {
            Burst::Read => self.duties_time,
            // Meeting strangers never costs a reading.
            Burst::Identify => self.read_time + self.duties_time,
        };
        (now + self.burst_time(what, to - from) + after <= self.end).then_some((from, to))
    }

    /// From IDENTIFY to READ, from READ to the decision.
    fn end_bursts(&mut self, what: Burst, next: usize) {
        match what {
            Burst::Identify => {
                let all_met = next >= self.modules.len()
                    || self.modules[next..].iter().all(|m| m.identity.is_some());
                self.identify_from = if all_met { 0 } else { next };
                self.state = State::Burst { what: Burst::Read, next: 0 };
            }
            Burst::Read => {
                // What the cycle had no time for was not answered either.
                self.close_burst(Burst::Read, next, self.modules.len());
                self.state = State::Scanned;
            }
        }
    }

    /// Line time of a request to `count` modules and of their replies.
    fn burst_time(&self, what: Burst, count: usize) -> Nanos {
        let slot = match what {
            Burst::Identify => IDENTITY_SLOT_CHARS,
            Burst::Read => READING_SLOT_CHARS,
        };
        self.timing.chars(READ_CHARS + TURNAROUND_CHARS + count as u32 * slot)
    }

    fn line_times(&self) -> (Nanos, Nanos) {
        let (mut read, mut duties, mut next) = (Nanos(0), Nanos(0), 0);
        while let Some(to) = self.run_end(next, BURST_MAX.into()) {
            read = read + self.burst_time(Burst::Read, to - next);
            next = to;
        }
        next = 0;
        while let Some(to) = self.run_end(next, DUTIES_MAX) {
            duties = duties + self.timing.chars(DUTIES_CHARS + 2 * (to - next) as u32);
            next = to;
        }
        (read, duties)
    }

    /// End of the run of consecutive addresses from `from`, at most `max` long.
    fn run_end(&self, from: usize, max: usize) -> Option<usize> {
        let first = self.modules.get(from)?.address;
        let run = self.modules[from..]
            .iter()
            .zip(first..)
            .take(max)
            .take_while(|(m, expected)| m.address == *expected);
        Some(from + run.count())
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
        let first = self.modules[from].address;
        // A run is at most BURST_MAX long.
        let count = (to - from) as u8;
        let request = match what {
            Burst::Identify => Request::Identify { first, count },
            Burst::Read => Request::Read { first, count },
        };
        self.identified += usize::from(what == Burst::Identify);
        self.decoder.reset();
        let len = request.encode(&mut self.out);
        let answered = now + self.burst_time(what, to - from);
        // Patience ends where the DUTIES would come too late.
        let latest = self.end.since(self.duties_time).max(answered);
        let until = (answered + self.timing.slack).min(latest);
        self.state = State::Listening { what, from, to, until };
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
        self.state = State::Sending { next: to, until };
        Step::Send(&self.out[..len])
    }
}

#[cfg(test)]
mod tests {
    use super::super::wire::{Flags, Frame};
    use super::*;
    use proptest::prelude::*;

    const TIMING: Timing =
        Timing { baud: 115_200, window_ms: 100, slack: Nanos(5_000_000), hold_ds: 30 };

    fn request_of(step: Step<'_>) -> (u8, u16, Vec<u8>) {
        let Step::Send(bytes) = step else { panic!("expected a request, got {step:?}") };
        let mut decoder = Decoder::default();
        bytes
            .iter()
            .find_map(|b| match decoder.push(*b) {
                Some(Ok(Frame { kind, address, payload })) => {
                    Some((kind, address, payload.to_vec()))
                }
                Some(Err(e)) => panic!("{e}"),
                None => None,
            })
            .expect("a frame")
    }

    fn reading(address: u16, sample: u8, voltage_mv: u16) -> Vec<u8> {
        let reading =
            Reading { sample, voltage_mv, temperature_dc: 250, duty: 0, flags: Flags::default() };
        encoded(&Reply::Reading { address, reading })
    }

    fn identity(address: u16) -> Vec<u8> {
        let identity =
            Identity { type_code: 20, hardware: 1, firmware: (1, 0), serial: u32::from(address) };
        encoded(&Reply::Identity { address, identity })
    }

    fn encoded(reply: &Reply) -> Vec<u8> {
        let mut out = [0; FRAME_MAX];
        let n = reply.encode(&mut out);
        out[..n].to_vec()
    }

    /// Run one cycle; `answer` says what comes back to each request.
    fn cycle(
        master: &mut Master,
        now: &mut Nanos,
        mut answer: impl FnMut(u8, u16, &[u8]) -> Vec<u8>,
    ) -> Vec<(u8, u16)> {
        let mut seen = Vec::new();
        master.start_cycle(*now + Nanos::from_secs(1));
        loop {
            match master.poll(*now) {
                Step::Send(bytes) => {
                    let (kind, address, payload) = request_of(Step::Send(bytes));
                    seen.push((kind, address));
                    master.receive(&answer(kind, address, &payload));
                }
                Step::Wait(until) => *now = until,
                Step::Scanned => {
                    let duties = vec![Duty(7); master.modules().len()];
                    master.command(&duties);
                }
                Step::Idle => return seen,
            }
        }
    }

    fn all_answer(kind: u8, address: u16, payload: &[u8], sample: u8) -> Vec<u8> {
        let count = payload.first().copied().unwrap_or(0).into();
        let run = address..address.saturating_add(count);
        match kind {
            2 => run.flat_map(|a| reading(a, sample, 13_600)).collect(),
            3 => run.flat_map(identity).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn a_cycle_identifies_reads_and_commands() {
        let mut master = Master::new(TIMING, 1..=100).expect("addresses are fine");
        let mut now = Nanos(0);
        let seen = cycle(&mut master, &mut now, |k, a, p| all_answer(k, a, p, 1));
        assert_eq!(seen, [(1, 0xFFFF), (3, 1), (3, 65), (2, 1), (2, 65), (4, 1)]);
        assert!(master.modules().iter().all(|m| m.reading.is_some() && m.identity.is_some()));
        assert_eq!(master.counters(), Counters { good_frames: 200, ..Counters::default() });
        let seen = cycle(&mut master, &mut now, |k, a, p| all_answer(k, a, p, 2));
        assert_eq!(seen, [(1, 0xFFFF), (2, 1), (2, 65), (4, 1)], "identity is asked once");
    }

    #[test]
    fn the_load_is_what_a_cycle_takes() {
        for run in [100, 512] {
            let (load, bursts) = TIMING.load(&[run]);
            assert_eq!(bursts as usize, run.div_ceil(64) + IDENTIFY_PER_CYCLE);
            let slots = TIMING.chars(run as u32 * READING_SLOT_CHARS);
            assert!(load > slots + Nanos::from_millis(100), "{load:?}");
            // DESIGN's budget: 512 modules within a second, duties included.
            assert!(load < Nanos::from_secs(1), "{load:?}");
        }
    }

    #[test]
    fn gaps_in_the_addresses_split_the_runs() {
        let mut master = Master::new(TIMING, [1, 2, 5, 6]).expect("addresses are fine");
        let seen = cycle(&mut master, &mut Nanos(0), |k, a, p| all_answer(k, a, p, 1));
        assert_eq!(seen, [(1, 0xFFFF), (3, 1), (3, 5), (2, 1), (2, 5), (4, 1), (4, 5)]);
    }

    #[test]
    fn a_silent_module_is_missed_and_asked_again_who_it_is() {
        let mut master = Master::new(TIMING, 1..=3).expect("addresses are fine");
        let mut now = Nanos(0);
        cycle(&mut master, &mut now, |k, a, p| all_answer(k, a, p, 1));
        for sample in 2..=5 {
            cycle(&mut master, &mut now, |kind, _, _| match kind {
                2 => [reading(1, sample, 13_600), reading(3, sample, 13_600)].concat(),
                _ => Vec::new(),
            });
        }
        assert_eq!(master.modules()[1].missed, 4);
        assert_eq!(master.modules()[1].identity, None);
        assert_eq!(master.counters().missed, 4);
        assert_eq!(master.modules()[0].missed, 0);
    }

    #[test]
    fn replies_of_an_old_sample_or_a_stranger_are_not_readings() {
        let mut master = Master::new(TIMING, 1..=2).expect("addresses are fine");
        cycle(&mut master, &mut Nanos(0), |kind, _, _| match kind {
            2 => [reading(1, 99, 1), reading(40, 1, 2)].concat(),
            _ => Vec::new(),
        });
        assert_eq!(master.counters().unexpected, 2);
        assert!(master.modules().iter().all(|m| m.reading.is_none()));
    }

    #[test]
    fn dead_modules_keep_nobody_from_being_met() {
        let dead = [5, 10, 15, 20];
        let mut master = Master::new(TIMING, 1..=200).expect("addresses are fine");
        let mut now = Nanos(0);
        for sample in 1..=4 {
            cycle(&mut master, &mut now, |kind, first, payload| {
                let count = payload.first().copied().unwrap_or(0).into();
                let alive = (first..first.saturating_add(count)).filter(|a| !dead.contains(a));
                match kind {
                    2 => alive.flat_map(|a| reading(a, sample, 13_600)).collect(),
                    3 => alive.flat_map(identity).collect(),
                    _ => Vec::new(),
                }
            });
        }
        let strangers: Vec<u16> =
            master.modules().iter().filter(|m| m.identity.is_none()).map(|m| m.address).collect();
        assert_eq!(strangers, dead);
    }

    #[test]
    fn a_cycle_ends_in_time_with_its_duties_sent_however_many_are_silent() {
        // 512 modules fill a second; every burst has silent ones.
        let mut master = Master::new(TIMING, 1..=512).expect("addresses are fine");
        let mut now = Nanos(0);
        for sample in 1..=5 {
            let start = now;
            let seen = cycle(&mut master, &mut now, |kind, first, payload| {
                let count = payload.first().copied().unwrap_or(0).into();
                let alive = (first..first.saturating_add(count)).filter(|a| a % 32 != 0);
                match kind {
                    2 => alive.flat_map(|a| reading(a, sample, 13_600)).collect(),
                    3 => alive.flat_map(identity).collect(),
                    _ => Vec::new(),
                }
            });
            assert!(now.since(start) <= Nanos::from_secs(1), "{:?}", now.since(start));
            let duties = seen.iter().filter(|(kind, _)| *kind == 4).count();
            assert_eq!(duties, 512usize.div_ceil(DUTIES_MAX));
            now = start + Nanos::from_secs(1);
        }
        let unread = master.modules().iter().filter(|m| m.reading.is_none()).count();
        assert_eq!(unread, 16, "only the silent ones are unread");
    }

    #[test]
    fn a_late_reading_is_still_a_reading() {
        let mut master = Master::new(TIMING, 1..=2).expect("addresses are fine");
        let mut now = Nanos(0);
        for sample in 1..=5 {
            cycle(&mut master, &mut now, |kind, a, p| match kind {
                3 => all_answer(kind, a, p, sample),
                // Nothing in time; everything while the duties are sent.
                4 => [reading(1, sample, 13_600), reading(2, sample, 13_700)].concat(),
                _ => Vec::new(),
            });
        }
        assert_eq!((master.counters().missed, master.counters().unexpected), (10, 0));
        for module in master.modules() {
            assert!(module.reading.is_some() && module.identity.is_some());
            assert_eq!(module.missed, 0);
        }
    }

    #[test]
    fn a_cut_cycle_leaves_nothing_behind() {
        let mut master = Master::new(TIMING, 1..=2).expect("addresses are fine");
        master.start_cycle(Nanos::from_secs(1));
        let _ = master.poll(Nanos(0));
        master.receive(&reading(1, 1, 13_600)[..5]);
        let mut now = Nanos::from_secs(1);
        cycle(&mut master, &mut now, |k, a, p| all_answer(k, a, p, 2));
        assert!(master.modules().iter().all(|m| m.reading.is_some()));
    }

    #[test]
    fn impossible_address_lists_are_refused() {
        assert_eq!(Master::new(TIMING, [0]).err(), Some(BuildError::Address(0)));
        assert_eq!(Master::new(TIMING, [1025]).err(), Some(BuildError::Address(1025)));
        assert_eq!(Master::new(TIMING, [3, 3]).err(), Some(BuildError::Order(3)));
    }

    proptest! {
        /// Whatever the line brings, a cycle ends within its time and the
        /// master goes on.
        #[test]
        fn noise_never_hangs_a_cycle(noise in proptest::collection::vec(any::<u8>(), 0..600)) {
            let mut master = Master::new(TIMING, 1..=70).expect("addresses are fine");
            let mut now = Nanos(0);
            cycle(&mut master, &mut now, |_, _, _| noise.clone());
            prop_assert!(now <= Nanos::from_secs(1), "{now:?}");
            let sample = 2;
            cycle(&mut master, &mut now, |k, a, p| all_answer(k, a, p, sample));
            prop_assert!(master.modules().iter().all(|m| m.reading.is_some()));
        }
    }
}
