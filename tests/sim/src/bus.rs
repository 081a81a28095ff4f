//! All modules on one line: requests in, replies out, in any clock.

use crate::line::{Heard, Line, Station};
use crate::module::{Module, Sense};
use crate::noise::Noise;
use evenkeel_core::time::Nanos;

/// The next thing that happens on the bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: Nanos,
    /// It changes or reads the plant, so the plant must stand at `at` first.
    pub touches_plant: bool,
}

/// A line and the modules on it.
#[derive(Clone, Debug)]
pub struct Bus {
    line: Line,
    modules: Vec<Module>,
    /// For the master, not yet fetched.
    arrived: Vec<u8>,
}

impl Bus {
    /// These modules on a line at `baud`.
    #[must_use]
    pub fn new(baud: u32, modules: Vec<Module>, noise: Noise) -> Self {
        Self { line: Line::new(baud, noise), modules, arrived: Vec::new() }
    }

    /// The line.
    pub fn line_mut(&mut self) -> &mut Line {
        &mut self.line
    }

    /// The modules, in the order of the plant's blocks.
    #[must_use]
    pub fn modules(&self) -> &[Module] {
        &self.modules
    }

    /// The module with a bus address.
    pub fn module_mut(&mut self, address: u16) -> Option<&mut Module> {
        self.modules.iter_mut().find(|m| m.spec().address == address)
    }

    /// The master sends.
    pub fn transmit(&mut self, now: Nanos, bytes: &[u8]) {
        self.line.send_requests(now, bytes);
    }

    /// What has arrived for the master since the last call.
    pub fn receive(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.arrived)
    }

    /// The port was pulled: what is under way is lost.
    pub fn unplug(&mut self) {
        self.line.clear();
        self.arrived.clear();
    }

    /// What happens next.
    #[must_use]
    pub fn next_event(&self) -> Option<Event> {
        let on_line = self
            .line
            .next_end()
            .map(|(at, from)| Event { at, touches_plant: from == Station::Master });
        let timer = self.modules.iter().filter_map(Module::next_timer).min();
        let timer = timer.map(|at| Event { at, touches_plant: true });
        // At one instant timers go first: a sample ends before it is read.
        timer.into_iter().chain(on_line).min_by_key(|event| event.at)
    }

    /// Let every module live until `now`, with the plant as it is at `now`.
    pub fn tick(&mut self, now: Nanos, plant: &impl Sense) {
        for (number, module) in self.modules.iter_mut().enumerate() {
            module.tick(now, plant.sense(number));
        }
    }

    /// Hand over every transmission that has arrived by `now`. Every station
    /// hears everything but itself.
    pub fn deliver(&mut self, now: Nanos) {
        while let Some(heard) = self.line.deliver(now) {
            match heard.from {
                Station::Master => self.answer(&heard),
                Station::Module(sender) => {
                    let others = self.modules.iter_mut().enumerate().filter(|(n, _)| *n != sender);
                    others.for_each(|(_, module)| module.overhear(&heard.bytes));
                    self.arrived.extend_from_slice(&heard.bytes);
                }
            }
        }
    }

    /// Let every module hear the master, byte by byte, and answer.
    fn answer(&mut self, heard: &Heard) {
        let char_time = self.line.char_time();
        for (number, module) in self.modules.iter_mut().enumerate() {
            for (i, byte) in heard.bytes.iter().enumerate() {
                let at = heard.start + char_time.chars(i + 1);
                if let Some(reply) = module.hear(at, *byte) {
                    self.line.send_reply(number, reply.start, reply.bytes);
                }
            }
        }
    }
}
