//! Everything that is simulated, and its ports: still pure.

use crate::control::{BusCommand, Command, HELP, ModuleCommand, UpsCommand};
use crate::noise::Noise;
use crate::scenario::{Scenario, ScenarioError};
use crate::ups::{Port, Unit, UpsFaults};
use crate::virtual_bus::VirtualBus;
use evenkeel_core::time::Nanos;

/// A port that the appliance can open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortId {
    /// The battery bus.
    Bus,
    /// A port of a UPS.
    Ups {
        /// The unit's number.
        unit: usize,
        /// The port of that unit.
        port: usize,
    },
}

impl PortId {
    /// The name of its link: `bus0`, `ups0`, `ups0b`, `ups0c` …
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Bus => "bus0".into(),
            Self::Ups { unit, port: 0 } => format!("ups{unit}"),
            Self::Ups { unit, port } => {
                let letter = char::from(b'a'.saturating_add(u8::try_from(port).unwrap_or(25)));
                format!("ups{unit}{letter}")
            }
        }
    }
}

/// Why a valid command cannot be obeyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ObeyError {
    /// No module has that address.
    #[error("there is no module with address {0}")]
    NoModule(u16),
    /// No UPS has that number.
    #[error("there is no UPS {0}")]
    NoUps(usize),
}

/// Strings, modules and UPSes.
#[derive(Clone, Debug)]
pub struct World {
    bus: VirtualBus,
    bus_plugged: bool,
    ups: Vec<UpsStation>,
    mains: bool,
    ended: bool,
}

/// A UPS with its ports.
#[derive(Clone, Debug)]
struct UpsStation {
    unit: Unit,
    faults: UpsFaults,
    ports: Vec<Port>,
    plugged: bool,
}

impl World {
    /// Build a scenario, at time 0, everything plugged in.
    ///
    /// # Errors
    /// [`ScenarioError`] when the scenario makes no sense.
    pub fn new(scenario: &Scenario) -> Result<Self, ScenarioError> {
        let bus = scenario.bus(Nanos::from_millis(scenario.plant_step_ms.into()))?;
        let station = |(unit, ports): (crate::ups::UpsSpec, usize)| UpsStation {
            ports: (1..=ports as u64).map(|p| Port::new(Noise::new(unit.seed, p))).collect(),
            unit: Unit::new(unit),
            faults: UpsFaults::default(),
            plugged: true,
        };
        let ups = scenario.ups_specs().into_iter().map(station).collect();
        Ok(Self { bus, bus_plugged: true, ups, mains: true, ended: false })
    }

    /// All ports; a bus without modules has none.
    #[must_use]
    pub fn ports(&self) -> Vec<PortId> {
        let bus = (self.bus.plant().blocks() > 0).then_some(PortId::Bus);
        let ups = self.ups.iter().enumerate().flat_map(|(unit, station)| {
            (0..station.ports.len()).map(move |port| PortId::Ups { unit, port })
        });
        bus.into_iter().chain(ups).collect()
    }

    /// The port exists now.
    #[must_use]
    pub fn is_plugged(&self, port: PortId) -> bool {
        match port {
            PortId::Bus => self.bus_plugged,
            PortId::Ups { unit, .. } => self.ups.get(unit).is_some_and(|station| station.plugged),
        }
    }

    /// Somebody said `quit`.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Let everything happen until `now`.
    pub fn advance(&mut self, now: Nanos) {
        self.bus.advance(now);
        for station in &mut self.ups {
            for port in &mut station.ports {
                port.advance(now, &mut station.unit, &station.faults);
            }
        }
    }

    /// When something next happens on a port.
    #[must_use]
    pub fn next_due(&self) -> Option<Nanos> {
        let ports = self.ups.iter().flat_map(|station| &station.ports);
        self.bus.next_due().into_iter().chain(ports.filter_map(Port::next_due)).min()
    }

    /// The appliance writes to a port.
    pub fn hear(&mut self, port: PortId, now: Nanos, bytes: &[u8]) {
        match port {
            PortId::Bus => self.bus.transmit(now, bytes),
            PortId::Ups { unit, port } => {
                if let Some(port) = self.ups.get_mut(unit).and_then(|s| s.ports.get_mut(port)) {
                    port.hear(now, bytes);
                }
            }
        }
    }

    /// Bytes that have arrived on a port by `now`.
    pub fn take(&mut self, port: PortId, now: Nanos) -> Vec<u8> {
        match port {
            PortId::Bus => self.bus.receive(now),
            PortId::Ups { unit, port } => self
                .ups
                .get_mut(unit)
                .and_then(|s| s.ports.get_mut(port))
                .map_or_else(Vec::new, |port| port.take(now)),
        }
    }

    /// Obey a command; the data lines of its answer.
    ///
    /// # Errors
    /// [`ObeyError`] when it names something that does not exist.
    pub fn obey(&mut self, command: Command) -> Result<Vec<String>, ObeyError> {
        match command {
            Command::Mains(on) => self.set_mains(on),
            Command::Ambient(celsius) => self.bus.plant_mut().set_ambient(celsius),
            Command::Bus(command) => self.obey_bus(command),
            Command::Module(address, command) => self.obey_module(address, command)?,
            Command::Ups(index, command) => {
                let station = self.ups.get_mut(index).ok_or(ObeyError::NoUps(index))?;
                station.obey(command);
            }
            Command::Status => return Ok(self.status()),
            Command::Help => return Ok(HELP.lines().map(str::to_owned).collect()),
            Command::Quit => self.ended = true,
        }
        Ok(Vec::new())
    }

    fn set_mains(&mut self, on: bool) {
        self.mains = on;
        self.bus.plant_mut().set_mains(on);
        for station in &mut self.ups {
            let volts = if on { station.unit.spec().nominal_v } else { 0.0 };
            station.unit.set_input(volts);
        }
    }

    fn obey_bus(&mut self, command: BusCommand) {
        match command {
            BusCommand::Garble(chance) => self.bus.bus_mut().line_mut().set_bit_errors(chance),
            BusCommand::Plugged(on) => {
                self.bus_plugged = on;
                self.bus.bus_mut().unplug();
            }
        }
    }

    fn obey_module(&mut self, address: u16, command: ModuleCommand) -> Result<(), ObeyError> {
        let module = self.bus.bus_mut().module_mut(address).ok_or(ObeyError::NoModule(address))?;
        let faults = module.faults_mut();
        match command {
            ModuleCommand::Vanish(on) => faults.vanished = on,
            ModuleCommand::Stuck(on) => faults.stuck = on,
            ModuleCommand::SensorFault(on) => faults.sensor_fault = on,
            ModuleCommand::Button(on) => faults.button = on,
            ModuleCommand::Garble(chance) => faults.garble_chance = chance,
            ModuleCommand::Reset => module.reset(),
        }
        Ok(())
    }

    fn status(&self) -> Vec<String> {
        let on_off = |on| if on { "on" } else { "off" };
        let mut lines = vec![
            format!("mains={}", on_off(self.mains)),
            format!("bus.plugged={}", on_off(self.bus_plugged)),
        ];
        let mut modules = self.bus.bus().modules().iter();
        for (i, string) in self.bus.plant().strings().iter().enumerate() {
            let volts = || self.bus.true_volts(i);
            let places = string.places();
            let duty: f64 = modules.by_ref().take(places.len()).map(|m| m.duty()).sum();
            let hottest = places.iter().map(|p| p.block().celsius()).fold(f64::MIN, f64::max);
            let charge = places.iter().map(|p| p.block().charge()).fold(f64::MAX, f64::min);
            let count = places.len() as f64;
            lines.extend([
                format!("string.{i}.blocks={}", places.len()),
                format!("string.{i}.volts={:.3}", string.volts()),
                format!("string.{i}.amps={:.4}", string.amps()),
                format!("string.{i}.block.min_v={:.4}", volts().fold(f64::MAX, f64::min)),
                format!("string.{i}.block.max_v={:.4}", volts().fold(f64::MIN, f64::max)),
                format!("string.{i}.block.mean_v={:.4}", string.volts() / count),
                format!("string.{i}.block.max_c={hottest:.2}"),
                format!("string.{i}.block.min_charge={charge:.4}"),
                format!("string.{i}.duty.mean={:.4}", duty / count),
            ]);
        }
        for (i, station) in self.ups.iter().enumerate() {
            lines.extend([
                format!("ups.{i}.plugged={}", on_off(station.plugged)),
                format!("ups.{i}.output={}", on_off(station.unit.is_output_on())),
                format!("ups.{i}.charge={:.4}", station.unit.charge()),
            ]);
        }
        lines
    }
}

impl UpsStation {
    fn obey(&mut self, command: UpsCommand) {
        match command {
            UpsCommand::Silence(on) => self.faults.silence = on,
            UpsCommand::Garble(chance) => self.faults.garble_chance = chance,
            UpsCommand::Cut(on) => self.faults.cut = on,
            UpsCommand::Nonsense(on) => self.faults.nonsense = on,
            UpsCommand::Late(by) => self.faults.late = by,
            UpsCommand::Freeze(on) => self.unit.set_frozen(on),
            UpsCommand::Load(percent) => self.unit.set_load(percent),
            UpsCommand::Input(volts) => self.unit.set_input(volts),
            UpsCommand::Plugged(on) => {
                self.plugged = on;
                self.ports.iter_mut().for_each(Port::unplug);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demo() -> World {
        World::new(&Scenario::demo()).expect("valid")
    }

    fn obey(world: &mut World, line: &str) -> Result<Vec<String>, ObeyError> {
        world.obey(Command::parse(line).expect(line))
    }

    fn value(world: &mut World, key: &str) -> String {
        let lines = obey(world, "status").expect("always there");
        let found = lines.iter().find_map(|l| l.strip_prefix(key)?.strip_prefix('='));
        found.expect(key).to_owned()
    }

    #[test]
    fn ports_of_the_demo() {
        let names: Vec<_> = demo().ports().into_iter().map(PortId::name).collect();
        assert_eq!(names, ["bus0", "ups0", "ups0b"]);
    }

    #[test]
    fn mains_failure_reaches_strings_and_upses() {
        let mut world = demo();
        obey(&mut world, "mains off").expect("obeyed");
        world.advance(Nanos::from_secs(2));
        let amps: f64 = value(&mut world, "string.1.amps").parse().expect("a number");
        assert!((-5.0..-2.0).contains(&amps), "{amps}");
        let ups = PortId::Ups { unit: 0, port: 1 };
        world.hear(ups, Nanos::from_secs(2), b"Q1\r");
        world.advance(Nanos::from_secs(3));
        let reply = world.take(ups, Nanos::from_secs(3));
        assert!(reply.starts_with(b"(000.0 000.0 ") && reply.ends_with(b" 10001001\r"));
        obey(&mut world, "mains on").expect("obeyed");
        world.advance(Nanos::from_secs(4));
        let amps: f64 = value(&mut world, "string.1.amps").parse().expect("a number");
        assert!(amps > 0.0, "{amps}");
    }

    #[test]
    fn status_tells_the_truth() {
        let mut world = demo();
        world.advance(Nanos::from_secs(1));
        for (key, low, high) in [
            ("string.0.block.mean_v", 13.79, 13.81),
            ("string.0.block.min_v", 12.95, 12.99),
            ("string.1.block.max_v", 14.60, 14.71),
            ("string.1.blocks", 32.0, 32.0),
        ] {
            let got: f64 = value(&mut world, key).parse().expect("a number");
            assert!((low..=high).contains(&got), "{key} {got}");
        }
    }

    #[test]
    fn unplugged_port_loses_what_was_under_way() {
        let mut world = demo();
        let ups = PortId::Ups { unit: 0, port: 0 };
        world.hear(ups, Nanos(0), b"Q1\r");
        obey(&mut world, "ups 0 unplug").expect("obeyed");
        assert!(!world.is_plugged(ups) && world.is_plugged(PortId::Bus));
        obey(&mut world, "ups 0 plug").expect("obeyed");
        world.advance(Nanos::from_secs(1));
        assert_eq!(world.take(ups, Nanos::from_secs(1)), b"");
    }

    #[test]
    fn nobody_there_is_an_error() {
        let mut world = demo();
        assert_eq!(obey(&mut world, "module 65 reset"), Err(ObeyError::NoModule(65)));
        assert_eq!(obey(&mut world, "ups 1 plug"), Err(ObeyError::NoUps(1)));
        assert!(!world.has_ended());
        obey(&mut world, "quit").expect("obeyed");
        assert!(world.has_ended());
    }
}
