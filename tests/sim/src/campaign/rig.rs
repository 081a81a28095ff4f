//! A guard's pure core and its batteries in virtual time: the bus master, a
//! [`Guardian`] that decides, and a [`World`] around them.

use crate::campaign::case::Case;
use crate::noise::Noise;
use crate::plant::PlantString;
use crate::scenario::ScenarioError;
use crate::world::{PortId, World};
use evenkeel_core::bus::master::{Master, Module, Step};
use evenkeel_core::bus::wire::Duty;
use evenkeel_core::settings::GuardSettings;
use evenkeel_core::time::Nanos;

/// Error of the string's current sensor at 0 A and its noise, A.
const CURRENT_OFFSET_A: f64 = 0.02;
const CURRENT_NOISE_A: f64 = 0.005;
/// Noise of the room's thermometer, K.
const ROOM_NOISE_K: f64 = 0.2;
/// Wall-clock time at the start, seconds since 1970.
const START_S: u64 = 1_780_000_000;

/// What is measured of a string beside its blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sensors {
    /// A, positive into the batteries.
    pub current_a: Option<f64>,
    /// Air of the room, °C.
    pub ambient_c: Option<f64>,
    /// The breaker's auxiliary contact.
    pub breaker_open: Option<bool>,
}

/// What a scan brought.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Monotonic time.
    pub now: Nanos,
    /// Wall clock, s since 1970.
    pub wall_s: u64,
    /// The master's modules, ascending by address.
    pub modules: &'a [Module],
    /// By string.
    pub strings: &'a [Sensors],
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
    /// One scan in, the duties of all modules out, ascending by address.
    fn step(&mut self, seen: &Seen<'_>) -> &[Duty];
    /// The duties of the last step are on their way.
    fn commanded(&mut self);
    /// About a string, from 0.
    fn opinion(&self, string: usize) -> Opinion;
    /// It trips breakers; what it does not do is not asked of it.
    fn protects(&self) -> bool;
}

/// A guard and its world.
pub struct Rig<G> {
    /// The truth.
    pub world: World,
    /// Who decides.
    pub guardian: G,
    /// Duties of the last step, by module.
    pub duties: Vec<Duty>,
    master: Master,
    cycle: Nanos,
    now: Nanos,
    noise: Noise,
    /// Offset of every string's current sensor, A.
    offsets_a: Vec<f64>,
    sensors: Vec<Sensors>,
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
        let mut noise = Noise::new(case.seed, SENSOR_STREAM);
        let world = World::new(&case.scenario)?;
        let strings = case.scenario.strings.len();
        let offsets_a = (0..strings).map(|_| CURRENT_OFFSET_A * noise.normal()).collect();
        // The addresses come from checked settings: distinct and in range.
        let master = Master::new(settings.timing(), settings.addresses(), [])
            .expect("checked settings make a master");
        Ok(Self {
            world,
            guardian: guardian(&settings),
            duties: vec![Duty::OFF; settings.addresses().len()],
            master,
            cycle: settings.cycle(),
            now: Nanos::default(),
            noise,
            offsets_a,
            sensors: vec![Sensors::default(); strings],
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

    /// The guard does nothing for a while.
    pub fn stall(&mut self, time: Nanos) {
        self.now = self.now + time;
        self.world.advance(self.now);
        self.world.take(PortId::Bus, self.now);
    }

    /// One cycle.
    pub fn step(&mut self) {
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
                    self.guardian.commanded();
                    break;
                }
            }
        }
        self.now = end.max(self.now);
        self.world.advance(self.now);
    }

    fn decide(&mut self) {
        self.measure();
        let seen = Seen {
            now: self.now,
            wall_s: (START_S + self.now.0 / 1_000_000_000).saturating_add_signed(self.wall_shift_s),
            modules: self.master.modules(),
            strings: &self.sensors,
        };
        let duties = self.guardian.step(&seen);
        self.duties.clear();
        self.duties.extend_from_slice(duties);
        self.master.command(&self.duties);
        for string in 0..self.sensors.len() {
            if self.guardian.opinion(string).tripped
                && let Some(string) = self.world.bus_mut().plant_mut().string_mut(string)
            {
                string.breaker_mut().trip();
            }
        }
    }

    fn measure(&mut self) {
        let strings = self.world.bus().plant().strings();
        for ((string, sensors), offset_a) in
            strings.iter().zip(&mut self.sensors).zip(&self.offsets_a)
        {
            let current_a = string.amps() + offset_a + CURRENT_NOISE_A * self.noise.normal();
            let ambient_c = string.surroundings().room_c + ROOM_NOISE_K * self.noise.normal();
            *sensors = Sensors {
                current_a: Some(current_a),
                ambient_c: Some(ambient_c),
                breaker_open: Some(!string.breaker().feedback_closed()),
            };
        }
    }

    /// The strings as they are.
    #[must_use]
    pub fn strings(&self) -> &[PlantString] {
        self.world.bus().plant().strings()
    }
}

/// Stream of the case's seed for the sensors.
const SENSOR_STREAM: u64 = 20_001;
