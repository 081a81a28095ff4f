//! One cycle's conversation on all battery buses at once, in one thread.
//!
//! Each bus has a [`Line`] (its port, and whether it is there) and a
//! [`Master`] (what to say). Lines never wait for each other: all masters send
//! and listen side by side, and only the decision waits until every bus has
//! been scanned, is gone, or the cycle's time is over.
//!
//! ```text
//!   bus 1  SAMPLE · READ … Scanned ┐          ┌ DUTIES … Idle
//!                                  ├─ decide ─┤
//!   bus 2  SAMPLE · READ … gone    ┘          └ (tried again next cycle)
//! ```

use crate::port::{PORTS_MAX, Port, PortError, Waiting, now, wait};
use evenkeel_core::bus::master::{Master, SEND_MAX, Step};
use evenkeel_core::time::Nanos;
use rustix::io::Errno;
use std::path::{Path, PathBuf};

/// How long a line may refuse to take a frame before it counts as stuck. The
/// kernel's buffer holds several frames and the master waits out each frame's
/// time on the line, so that a line that moves never refuses one.
const WRITE_PATIENCE: Nanos = Nanos::from_millis(100);
/// Reads per look at a line: a line that babbles without end gets no more of
/// the cycle than that.
const READS_MAX: usize = 8;

/// One bus's port through its comings and goings.
#[derive(Debug)]
pub struct Line {
    path: PathBuf,
    baud: u32,
    port: Option<Port>,
    phase: Phase,
    /// The frame that is going out: `out[sent..len]` is still to be taken.
    out: [u8; SEND_MAX],
    sent: usize,
    len: usize,
    offered: Nanos,
    /// Good frames when the port was opened: it counts as back once there are more.
    frames_at_open: u64,
    lost: Option<PortError>,
    reopens: u64,
}

/// Where a line stands in the present cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// There is no port.
    Gone,
    /// The scan is under way.
    Scanning,
    /// Waiting for the decision.
    Scanned,
    /// Duties are going out.
    Commanding,
    /// The scan is over and nothing was decided: the modules keep their last
    /// duties until these lapse.
    Undecided,
    /// All is said.
    Done,
}

/// How a cycle's conversation went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Time spent waiting for the lines.
    pub waited: Nanos,
    /// From the cycle's start to the decision.
    pub scan: Nanos,
}

/// Who says what is done on the buses.
pub trait Decide {
    /// Called once per cycle, when every bus has been scanned, is gone, or the
    /// time is over: look at the masters' modules and give each master its
    /// duties by [`Master::command`].
    fn decide(&mut self, masters: &mut [Master], now: Nanos);

    /// All is said on a bus (from 0), and there is time left: give its master
    /// something more to do; false when there is nothing.
    fn go_on(&mut self, _bus: usize, _master: &mut Master) -> bool {
        false
    }
}

/// A decision and nothing more.
impl<F: FnMut(&mut [Master], Nanos)> Decide for F {
    fn decide(&mut self, masters: &mut [Master], now: Nanos) {
        self(masters, now);
    }
}

impl Line {
    /// For the port at `path`, which need not exist yet.
    pub fn new(path: &Path, baud: u32) -> Self {
        Self {
            path: path.to_owned(),
            baud,
            port: None,
            phase: Phase::Gone,
            out: [0; SEND_MAX],
            sent: 0,
            len: 0,
            offered: Nanos(0),
            frames_at_open: 0,
            lost: None,
            reopens: 0,
        }
    }

    /// Why the port is lost; `None` while it is there, or again there and
    /// heard from.
    pub const fn lost(&self) -> Option<PortError> {
        self.lost
    }

    /// Times the port was lost and came back.
    pub const fn reopens(&self) -> u64 {
        self.reopens
    }

    /// True when all duties of the last cycle are on their way.
    pub fn commanded(&self) -> bool {
        self.phase == Phase::Done
    }

    /// Open the port if need be, and begin the master's cycle.
    fn begin(&mut self, master: &mut Master, end: Nanos) {
        (self.sent, self.len) = (0, 0);
        self.phase = Phase::Gone;
        if self.port.is_none() {
            match Port::open(&self.path, self.baud) {
                Ok(port) => self.port = Some(port),
                Err(error) => return self.lose(error),
            }
            self.frames_at_open = master.counters().good_frames;
        }
        self.phase = Phase::Scanning;
        // What came after the last cycle's patience is a reading all the same.
        self.listen(master);
        master.start_cycle(end);
    }

    /// Say what is due; returns when there is something to do again. `go_on` is
    /// [`Decide::go_on`].
    fn advance(
        &mut self,
        master: &mut Master,
        mut go_on: impl FnMut(&mut Master) -> bool,
    ) -> Nanos {
        const NEVER: Nanos = Nanos(u64::MAX);
        loop {
            if self.sent < self.len && !self.send() {
                return self.give_up_at();
            }
            let time = now();
            match self.phase {
                Phase::Gone | Phase::Scanned | Phase::Undecided | Phase::Done => return NEVER,
                Phase::Scanning | Phase::Commanding => {}
            }
            match master.poll(time) {
                Step::Wait(until) => return until,
                Step::Send(frame) => {
                    (self.sent, self.len, self.offered) = (0, frame.len(), time);
                    self.out[..frame.len()].copy_from_slice(frame);
                }
                Step::Scanned if self.phase == Phase::Scanning => self.phase = Phase::Scanned,
                Step::Scanned => self.phase = Phase::Undecided,
                Step::Idle => {
                    if !go_on(master) {
                        self.phase = Phase::Done;
                    }
                }
            }
        }
    }

    /// When the frame under way has been refused for too long.
    fn give_up_at(&self) -> Nanos {
        match self.phase {
            Phase::Gone => Nanos(u64::MAX),
            _ => self.offered + WRITE_PATIENCE,
        }
    }

    /// Offer the rest of the frame; true when all of it was taken.
    fn send(&mut self) -> bool {
        let Some(port) = &mut self.port else { return false };
        match port.write(&self.out[self.sent..self.len]) {
            Ok(n) => self.sent += n,
            Err(error) => self.lose(error),
        }
        let done = self.sent == self.len;
        if !done && now() >= self.give_up_at() {
            self.lose(PortError::Io(Errno::TIMEDOUT));
        }
        done
    }

    /// Take what the line has brought.
    fn listen(&mut self, master: &mut Master) {
        let mut buffer = [0; 512];
        for _ in 0..READS_MAX {
            let Some(port) = &mut self.port else { return };
            match port.read(&mut buffer) {
                Ok(0) => return,
                Ok(n) => master.receive(&buffer[..n]),
                Err(error) => self.lose(error),
            }
        }
    }

    fn lose(&mut self, error: PortError) {
        self.port = None;
        self.phase = Phase::Gone;
        self.lost = Some(error);
    }

    /// Once a module was heard through it, a port that was lost is back.
    fn regain(&mut self, master: &Master) {
        if self.port.is_some() && master.counters().good_frames > self.frames_at_open {
            self.reopens += u64::from(self.lost.take().is_some());
        }
    }

    fn waiting(&self) -> Option<Waiting<'_>> {
        let to_write = self.sent < self.len;
        self.port.as_ref().map(|port| Waiting { port, to_write })
    }
}

/// Talk to all modules of all buses between `woken` and `end`. The decision
/// is asked for exactly once, whatever happens.
///
/// Lines and masters belong together by their places; there are at most
/// [`PORTS_MAX`].
pub fn converse(
    lines: &mut [Line],
    masters: &mut [Master],
    woken: Nanos,
    end: Nanos,
    decider: &mut impl Decide,
) -> Outcome {
    let mut outcome = Outcome::default();
    let mut decided = false;
    for (line, master) in lines.iter_mut().zip(masters.iter_mut()) {
        line.begin(master, end);
    }
    loop {
        let mut next = end;
        for (bus, (line, master)) in lines.iter_mut().zip(masters.iter_mut()).enumerate() {
            next = next.min(line.advance(master, |master| decider.go_on(bus, master)));
        }
        let time = now();
        let all_scanned = lines.iter().all(|line| line.phase != Phase::Scanning);
        if (all_scanned || time >= end) && !decided {
            decided = true;
            outcome.scan = time.since(woken);
            decider.decide(masters, time);
            let scanned = lines.iter_mut().filter(|line| line.phase == Phase::Scanned);
            scanned.for_each(|line| line.phase = Phase::Commanding);
            continue;
        }
        let over = |line: &Line| !matches!(line.phase, Phase::Scanning | Phase::Commanding);
        if time >= end || lines.iter().all(over) {
            break;
        }
        wait(std::array::from_fn(|i| lines.get(i).and_then(Line::waiting)), next.min(end));
        outcome.waited = outcome.waited + now().since(time);
        for (line, master) in lines.iter_mut().zip(masters.iter_mut()) {
            line.listen(master);
        }
    }
    for (line, master) in lines.iter_mut().zip(masters.iter()) {
        line.regain(master);
    }
    outcome
}

const _: () = assert!(PORTS_MAX == 2, "`wait` is written for two ports");

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_core::bus::master::Timing;
    use evenkeel_core::bus::wire::Duty;
    use evenkeel_sim::live::Endpoint;
    use evenkeel_sim::scenario::Scenario;
    use evenkeel_sim::virtual_bus::VirtualBus;
    use rustix::fs::{Mode, OFlags, open};
    use rustix::termios::{Action, tcflow};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, Mutex};
    use std::thread;
    use std::time::Duration;

    const BLOCKS: usize = 4;
    const CYCLE: Nanos = Nanos::from_millis(500);
    const HALF: Duty = Duty(Duty::FULL.0 / 2);

    /// A bus of simulated modules behind a pseudo-terminal, in real time.
    struct Bench {
        path: PathBuf,
        plugged: Arc<AtomicBool>,
        bus: Arc<Mutex<VirtualBus>>,
    }

    impl Bench {
        fn new(folder: &Path, name: &str) -> Self {
            let scenario = format!("bus_baud = 115200\n[[strings]]\nblocks = {BLOCKS}\n");
            let scenario = Scenario::parse(&scenario).expect("valid");
            let bus = scenario.bus(Nanos::from_millis(100)).expect("valid");
            let this = Self {
                path: folder.join(name),
                plugged: Arc::new(AtomicBool::new(true)),
                bus: Arc::new(Mutex::new(bus)),
            };
            let (plugged, bus) = (this.plugged.clone(), this.bus.clone());
            let mut endpoint = Endpoint::new(this.path.clone());
            endpoint.set_plugged(true).expect("plugged");
            // Ends with the test's process.
            thread::spawn(move || {
                // Modules answer in time however busy the machine is; where
                // that is refused, only an idle one will do.
                let _ = crate::realtime::become_real_time();
                let start = now();
                loop {
                    endpoint.set_plugged(plugged.load(Ordering::Relaxed)).expect("obeyed");
                    let time = now().since(start);
                    let mut bus = bus.lock().expect("no panic");
                    bus.transmit(time, &endpoint.read().expect("alive"));
                    endpoint.write(&bus.receive(time)).expect("alive");
                    drop(bus);
                    thread::sleep(Duration::from_micros(500));
                }
            });
            this
        }

        fn mean_duty(&self) -> f64 {
            let bus = self.bus.lock().expect("no panic");
            bus.bus().modules().iter().map(|m| m.duty()).sum::<f64>() / BLOCKS as f64
        }
    }

    struct Rig {
        _folder: tempfile::TempDir,
        benches: [Bench; 2],
        lines: [Line; 2],
        masters: [Master; 2],
    }

    impl Rig {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let benches = ["bus0", "bus1"].map(|name| Bench::new(folder.path(), name));
            let timing = Timing {
                baud: 115_200,
                window_ms: 100,
                slack: Nanos::from_millis(60),
                hold_ds: 15,
            };
            let master = |_| Master::new(timing, 1..=BLOCKS as u16, []).expect("valid");
            Self {
                lines: [0, 1].map(|i: usize| Line::new(&benches[i].path, 115_200)),
                masters: [0, 1].map(master),
                _folder: folder,
                benches,
            }
        }

        /// One cycle: fresh readings per bus, and how long it took.
        fn cycle(&mut self) -> ([usize; 2], Nanos) {
            let (woken, mut fresh, mut decisions) = (now(), [0; 2], 0);
            let mut decide = |masters: &mut [Master], _: Nanos| {
                decisions += 1;
                for (master, fresh) in masters.iter_mut().zip(&mut fresh) {
                    let read = |m: &evenkeel_core::bus::master::Module| {
                        m.reading.is_some_and(|(_, at)| at > woken)
                    };
                    *fresh = master.modules().iter().filter(|m| read(m)).count();
                    master.command(&[HALF; BLOCKS]);
                }
            };
            converse(&mut self.lines, &mut self.masters, woken, woken + CYCLE, &mut decide);
            assert_eq!(decisions, 1, "decided once, whatever happens");
            (fresh, now().since(woken))
        }

        /// Cycles until `wanted`, at most a few.
        fn until(&mut self, wanted: impl Fn(&Self, [usize; 2]) -> bool) {
            let done = (0..6).any(|_| {
                let (fresh, took) = self.cycle();
                assert!(took < CYCLE + Nanos::from_millis(100), "{took:?}");
                wanted(self, fresh)
            });
            assert!(done, "{:?}", self.lines);
        }
    }

    #[test]
    fn two_buses_are_scanned_side_by_side_and_commanded_together() {
        let mut rig = Rig::new();
        rig.until(|_, fresh| fresh == [BLOCKS; 2]);
        rig.until(|rig, _| rig.lines.iter().all(Line::commanded));
        thread::sleep(Duration::from_millis(20));
        for bench in &rig.benches {
            assert!((bench.mean_duty() - 0.5).abs() < 0.01, "{}", bench.mean_duty());
        }
        assert!(rig.lines.iter().all(|line| line.lost().is_none() && line.reopens() == 0));
    }

    #[test]
    fn a_bus_that_is_pulled_costs_the_other_nothing_and_comes_back() {
        let mut rig = Rig::new();
        rig.until(|_, fresh| fresh == [BLOCKS; 2]);
        rig.benches[1].plugged.store(false, Ordering::Relaxed);
        rig.until(|rig, fresh| fresh == [BLOCKS, 0] && rig.lines[1].lost().is_some());
        assert!(rig.lines[0].commanded() && !rig.lines[1].commanded());
        assert_eq!(rig.lines[0].lost(), None);
        // A simulated bus may answer late on a busy machine, but not for long.
        rig.until(|rig, fresh| {
            assert_eq!(rig.lines[1].lost(), Some(PortError::Open(Errno::NOENT)));
            fresh == [BLOCKS, 0]
        });
        rig.benches[1].plugged.store(true, Ordering::Relaxed);
        rig.until(|_, fresh| fresh == [BLOCKS; 2]);
        assert_eq!(rig.lines.each_ref().map(Line::lost), [None, None]);
        assert_eq!(rig.lines.each_ref().map(Line::reopens), [0, 1]);
    }

    #[test]
    fn a_line_whose_flow_is_stopped_is_given_up_in_time() {
        let mut rig = Rig::new();
        rig.until(|_, fresh| fresh == [BLOCKS; 2]);
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        let hand = open(&rig.benches[0].path, flags, Mode::empty()).expect("opened");
        tcflow(&hand, Action::OOff).expect("stopped");
        let (fresh, took) = rig.cycle();
        assert_eq!(fresh[0], 0);
        assert!(rig.lines[1].commanded() && took < CYCLE, "the other goes on: {took:?}");
        assert_eq!(rig.lines[0].lost(), Some(PortError::Io(Errno::TIMEDOUT)));
        tcflow(&hand, Action::OOn).expect("released");
        rig.until(|_, fresh| fresh == [BLOCKS; 2]);
        assert_eq!(rig.lines[0].lost(), None);
    }

    #[test]
    fn without_any_port_the_decision_is_made_all_the_same() {
        let mut rig = Rig::new();
        rig.benches.iter().for_each(|bench| bench.plugged.store(false, Ordering::Relaxed));
        thread::sleep(Duration::from_millis(20));
        let (fresh, took) = rig.cycle();
        assert_eq!(fresh, [0, 0]);
        assert!(took < Nanos::from_millis(100), "nothing to wait for: {took:?}");
    }
}
