//! A guard's pure core and its batteries in virtual time: the bus master, a
//! [`Guardian`] that decides, and a [`World`] around them.

use crate::campaign::case::{self, Case};
use crate::noise::Noise;
use crate::plant::PlantString;
use crate::scenario::{DeviceTable, ScenarioError};
use crate::world::{PortId, World};
use evenkeel_core::bus::master::{Master, Step};
use evenkeel_core::bus::wire::{DeviceKind, Duty};
use evenkeel_core::command::Order;
use evenkeel_core::settings::GuardSettings;
use evenkeel_core::time::Nanos;

/// Stream of the case's seed for the sensors.
const SENSOR_STREAM: u64 = 20_001;
/// Noise of the room's thermometer, K.
const ROOM_NOISE_K: f64 = 0.2;
/// Wall-clock time at the start, seconds since 1970.
const START_S: u64 = 1_780_000_000;

/// What the guard knows besides what the bus brings.
#[derive(Clone, Copy, Debug)]
pub struct Around {
    /// Monotonic time.
    pub now: Nanos,
    /// Wall clock, s since 1970.
    pub wall_s: u64,
}

/// What the guardian says about a string after a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Opinion {
    /// No bypass is allowed.
    pub inhibited: bool,
    /// It wants the breaker open.
    pub tripped: bool,
    /// It says that not every block can reach its target.
    pub out_of_reach: bool,
    /// Largest indicated deviation, V; NaN while not known.
    pub worst_v: f64,
    /// Sum of the block voltages, V; NaN while not known.
    pub sum_v: f64,
}

/// Whatever decides in the guard's cycle.
pub trait Guardian {
    /// A scan is over: look at the master's modules and devices, and command
    /// duties and outputs.
    fn step(&mut self, master: &mut Master, around: &Around);
    /// A person orders something; whether it is accepted.
    fn order(&mut self, _order: Order, _around: &Around) -> bool {
        false
    }
    /// It starts anew with what it kept.
    fn restart(&mut self) {}
    /// The master is idle and its cycle not over: true when it has something to
    /// go on with.
    fn go_on(&mut self, _master: &mut Master) -> bool {
        false
    }
    /// The duties of the last step, by the master's order of modules.
    fn duties(&self) -> &[Duty];
    /// The duties of the last step are on their way.
    fn commanded(&mut self);
    /// About a string, from 0.
    fn opinion(&self, string: usize) -> Opinion;
}

/// A guard and its world.
pub struct Rig<G> {
    /// The truth.
    pub world: World,
    /// Who decides.
    pub guardian: G,
    master: Master,
    cycle: Nanos,
    now: Nanos,
    noise: Noise,
    thermometers: Vec<u16>,
    wall_shift_s: i64,
}

impl<G: Guardian> Rig<G> {
    /// The world of a case and a guardian made for its settings.
    ///
    /// # Errors
    /// [`ScenarioError`] when the case's scenario makes no sense.
    pub fn new(
        case: &Case,
        guardian: impl FnOnce(&GuardSettings) -> G,
    ) -> Result<Self, ScenarioError> {
        let settings = case.settings();
        let noise = Noise::new(case.seed, SENSOR_STREAM);
        let world = World::new(&case.scenario)?;
        let of_kind = |d: &&DeviceTable| d.kind() == Some(DeviceKind::Site);
        let thermometers = case.scenario.devices.iter().filter(of_kind).map(|d| d.address);
        let (modules, devices) = (settings.modules_of(0), settings.devices_of(0));
        let master = Master::new(settings.timing(0), modules, devices)
            .expect("checked settings make a master");
        Ok(Self {
            world,
            guardian: guardian(&settings),
            master,
            cycle: settings.cycle(),
            now: Nanos::default(),
            noise,
            thermometers: thermometers.collect(),
            wall_shift_s: 0,
        })
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Nanos {
        self.now
    }

    /// Somebody sets the clock.
    pub fn shift_wall_clock(&mut self, seconds: i64) {
        self.wall_shift_s = self.wall_shift_s.saturating_add(seconds);
    }

    /// A person orders something; whether it is accepted.
    pub fn order(&mut self, order: Order) -> bool {
        let around = self.around();
        self.guardian.order(order, &around)
    }

    /// The guard does nothing for a while.
    pub fn stall(&mut self, time: Nanos) {
        self.now = self.now + time;
        self.world.advance(self.now);
        self.world.take(PortId::Bus, self.now);
    }

    /// One cycle.
    pub fn step(&mut self) {
        self.warm_thermometers();
        let end = self.now + self.cycle;
        self.master.start_cycle(end);
        loop {
            match self.master.poll(self.now) {
                Step::Send(bytes) => {
                    let bytes = bytes.to_vec();
                    self.world.hear(PortId::Bus, self.now, &bytes);
                }
                Step::Wait(until) => {
                    let due = self.world.next_due();
                    self.now = due.map_or(until, |due| due.clamp(self.now, until));
                    self.world.advance(self.now);
                    let bytes = self.world.take(PortId::Bus, self.now);
                    self.master.receive(&bytes);
                }
                Step::Scanned => self.decide(),
                Step::Idle => {
                    if self.guardian.go_on(&mut self.master) {
                        continue;
                    }
                    self.guardian.commanded();
                    break;
                }
            }
        }
        self.now = end.max(self.now);
        self.world.advance(self.now);
    }

    /// Each string's site device measures its air.
    fn warm_thermometers(&mut self) {
        for (string, address) in self.thermometers.iter().enumerate() {
            let air = self.world.bus().plant().strings()[string].surroundings();
            let celsius = air.room_c + ROOM_NOISE_K * self.noise.normal();
            if let Some(device) = self.world.bus_mut().bus_mut().device_mut(*address) {
                device.set_analog(0, case::thermometer(celsius));
            }
        }
    }

    fn around(&self) -> Around {
        Around {
            now: self.now,
            wall_s: (START_S + self.now.0 / 1_000_000_000).saturating_add_signed(self.wall_shift_s),
        }
    }

    fn decide(&mut self) {
        let around = self.around();
        self.guardian.step(&mut self.master, &around);
    }

    /// The strings as they are.
    #[must_use]
    pub fn strings(&self) -> &[PlantString] {
        self.world.bus().plant().strings()
    }
}
