//! All stations on one line: requests in, replies out, in any clock.

use crate::device::{Device, DevicePlant};
use crate::line::{Heard, Line, Loop, Station};
use crate::module::{Module, Sense};
use crate::noise::Noise;
use evenkeel_core::bus::wire::{Decoder, Ends, Request};
use evenkeel_core::time::Nanos;

/// The next thing that happens on the bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: Nanos,
    /// It changes or reads the plant, so the plant must stand at `at` first.
    pub touches_plant: bool,
}

/// A line and the stations on it.
#[derive(Clone, Debug)]
pub struct Bus {
    line: Line,
    modules: Vec<Module>,
    devices: Vec<Device>,
    /// Stations that are in no loop are always connected.
    loops: Vec<Loop>,
    /// For the master, not yet fetched.
    arrived: Vec<u8>,
    /// When a station next does something by itself. What is done to a station
    /// from outside only ever cancels that.
    timer: Option<Nanos>,
    /// The decoder of some station may hold the half of a disturbed frame.
    half_heard: bool,
}

impl Bus {
    /// These modules on a line at `baud`.
    #[must_use]
    pub fn new(baud: u32, modules: Vec<Module>, noise: Noise) -> Self {
        Self {
            line: Line::new(baud, noise),
            modules,
            devices: Vec::new(),
            loops: Vec::new(),
            arrived: Vec::new(),
            timer: None,
            half_heard: false,
        }
    }

    /// The same with these devices.
    #[must_use]
    pub fn with_devices(self, devices: Vec<Device>) -> Self {
        Self { devices, ..self }
    }

    /// The same, wired in these loops.
    #[must_use]
    pub fn with_loops(self, loops: Vec<Loop>) -> Self {
        Self { loops, ..self }
    }

    /// The line.
    pub fn line_mut(&mut self) -> &mut Line {
        &mut self.line
    }

    /// The loops, to cut and mend them.
    pub fn loops_mut(&mut self) -> &mut [Loop] {
        &mut self.loops
    }

    /// The modules, in the order of the plant's blocks.
    #[must_use]
    pub fn modules(&self) -> &[Module] {
        &self.modules
    }

    /// The modules, to break or exchange them.
    pub fn modules_mut(&mut self) -> &mut [Module] {
        &mut self.modules
    }

    /// The first module with a bus address.
    pub fn module_mut(&mut self, address: u16) -> Option<&mut Module> {
        self.modules.iter_mut().find(|m| m.address() == address)
    }

    /// The devices.
    #[must_use]
    pub fn devices(&self) -> &[Device] {
        &self.devices
    }

    /// The first device with a bus address.
    pub fn device_mut(&mut self, address: u16) -> Option<&mut Device> {
        self.devices.iter_mut().find(|d| d.address() == address)
    }

    /// The breakers that devices act on: string, trip relay on.
    pub fn breaker_commands(&self) -> impl Iterator<Item = (usize, bool)> + '_ {
        self.devices.iter().filter_map(Device::breaker_command)
    }

    /// The battery tests that devices command: string, test relay on.
    pub fn test_commands(&self) -> impl Iterator<Item = (usize, bool)> + '_ {
        self.devices.iter().filter_map(Device::test_command)
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
        let timer = self.timer.map(|at| Event { at, touches_plant: true });
        // At one instant timers go first: a sample ends before it is read.
        timer.into_iter().chain(on_line).min_by_key(|event| event.at)
    }

    /// Let every station live until `now`, with the plant as it is at `now`.
    pub fn tick(&mut self, now: Nanos, plant: &(impl Sense + DevicePlant)) {
        for (number, module) in self.modules.iter_mut().enumerate() {
            module.tick(now, plant.sense(number));
        }
        let closed = self.loops.iter().all(Loop::is_closed);
        for device in &mut self.devices {
            device.set_loop_closed(closed);
            device.tick(now, plant);
        }
        self.look_at_timers();
    }

    fn look_at_timers(&mut self) {
        let modules = self.modules.iter().filter_map(Module::next_timer);
        self.timer = modules.chain(self.devices.iter().filter_map(Device::next_timer)).min();
    }

    /// Hand over every transmission that has arrived by `now`. Every connected
    /// station hears everything but itself.
    pub fn deliver(&mut self, now: Nanos) {
        while let Some(heard) = self.line.deliver(now) {
            match heard.from {
                Station::Master => self.answer(&heard),
                Station::Module(sender) => {
                    self.overhear(now, sender, &heard.bytes);
                    self.arrived.extend_from_slice(&heard.bytes);
                }
            }
        }
    }

    /// The ends of the loops that are fed now.
    fn ends(&self) -> Ends {
        self.devices.iter().find_map(Device::ends).unwrap_or_default()
    }

    /// The station of that number hears the master and is heard.
    fn is_connected(&self, number: usize, ends: Ends) -> bool {
        self.loops.iter().find_map(|l| l.connects(number, ends)).unwrap_or(true)
    }

    /// Let every station but the sender hear a reply. A whole one leaves no
    /// trace.
    fn overhear(&mut self, now: Nanos, sender: usize, bytes: &[u8]) {
        let whole = bytes.last() == Some(&0);
        if whole && !self.half_heard {
            return;
        }
        self.half_heard = true;
        for (number, module) in self.modules.iter_mut().enumerate() {
            if number != sender {
                module.overhear(bytes);
            }
        }
        let first = self.modules.len();
        for (number, device) in self.devices.iter_mut().enumerate() {
            if first + number != sender {
                device.overhear(now, bytes);
            }
        }
    }

    /// Let every connected station hear the master and answer.
    fn answer(&mut self, heard: &Heard) {
        let mut decoder = Decoder::default();
        match heard.bytes.split_last() {
            // What every decoder would make of it: one does it for all.
            Some((0, bytes)) if !self.half_heard => {
                for byte in bytes {
                    let _ = decoder.push(*byte);
                }
                let Some(Ok(frame)) = decoder.push(0) else { return };
                let Ok(request) = Request::parse(&frame) else { return };
                self.handle(heard, &request);
            }
            _ => self.hear(heard),
        }
        self.look_at_timers();
    }

    fn handle(&mut self, heard: &Heard, request: &Request<'_>) {
        let end = heard.start + self.line.char_time().chars(heard.bytes.len());
        let (ends, first) = (self.ends(), self.modules.len());
        for number in 0..first + self.devices.len() {
            if !self.is_connected(number, ends) {
                continue;
            }
            let reply = match self.modules.get_mut(number) {
                Some(module) => module.handle(end, request),
                None => self.devices[number - first].handle(end, request),
            };
            if let Some(reply) = reply {
                self.line.send_reply(number, reply.start, reply.bytes);
            }
        }
    }

    /// The same byte by byte, with what is left in each decoder.
    fn hear(&mut self, heard: &Heard) {
        let char_time = self.line.char_time();
        let (ends, first) = (self.ends(), self.modules.len());
        // A station that is cut off keeps what it heard last.
        self.half_heard = heard.bytes.last() != Some(&0) || !self.loops.is_empty();
        for number in 0..first + self.devices.len() {
            if !self.is_connected(number, ends) {
                continue;
            }
            for (i, byte) in heard.bytes.iter().enumerate() {
                let at = heard.start + char_time.chars(i + 1);
                let reply = match self.modules.get_mut(number) {
                    Some(module) => module.hear(at, *byte),
                    None => self.devices[number - first].hear(at, *byte),
                };
                if let Some(reply) = reply {
                    self.line.send_reply(number, reply.start, reply.bytes);
                }
            }
        }
    }
}
