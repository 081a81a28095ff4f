//! Everything that is simulated, and its ports: still pure.

use crate::control::{
    BlockCommand, BreakerCommand, BusCommand, Command, HELP, ModuleCommand, StringCommand,
    UpsCommand,
};
use crate::noise::Noise;
use crate::plant::PlantString;
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
    /// No device has that address and so many inputs.
    #[error("there is no device with address {0} and an input {1}")]
    NoInput(u16, u8),
    /// No UPS has that number.
    #[error("there is no UPS {0}")]
    NoUps(usize),
    /// No string has that number.
    #[error("there is no string {0}")]
    NoString(usize),
}

/// Strings, modules and UPSes.
#[derive(Clone, Debug)]
pub struct World {
    bus: VirtualBus,
    bus_plugged: bool,
    ups: Vec<UpsStation>,
    mains: bool,
    ended: bool,
    now: Nanos,
    /// Ascending by time; those before `script_at` are done.
    script: Vec<(Nanos, Command)>,
    script_at: usize,
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
    /// [`ScenarioError`] when the scenario makes no sense, or its script names
    /// something that does not exist.
    pub fn new(scenario: &Scenario) -> Result<Self, ScenarioError> {
        let bus = scenario.bus(Nanos::from_millis(scenario.plant_step_ms.into()))?;
        let station = |(unit, ports): (crate::ups::UpsSpec, usize)| UpsStation {
            ports: (1..=ports as u64).map(|p| Port::new(Noise::new(unit.seed, p))).collect(),
            unit: Unit::new(unit),
            faults: UpsFaults::default(),
            plugged: true,
        };
        let ups = scenario.ups_specs().into_iter().map(station).collect();
        let script = scenario.commands()?;
        let mut world = Self {
            bus,
            bus_plugged: true,
            ups,
            mains: true,
            ended: false,
            now: Nanos::default(),
            script,
            script_at: 0,
        };
        // Whether something exists does not depend on when it is said.
        let mut rehearsal = world.clone();
        for (index, (_, command)) in world.script.iter().enumerate() {
            rehearsal.obey(*command).map_err(|e| ScenarioError::Script(index, e.to_string()))?;
        }
        world.follow_script(Nanos::default());
        Ok(world)
    }

    /// The battery bus and its plant.
    #[must_use]
    pub fn bus(&self) -> &VirtualBus {
        &self.bus
    }

    /// The battery bus and its plant, to break them.
    pub fn bus_mut(&mut self) -> &mut VirtualBus {
        &mut self.bus
    }

    /// Mains is there.
    #[must_use]
    pub fn has_mains(&self) -> bool {
        self.mains
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
        while let Some((at, _)) = self.script.get(self.script_at).filter(|(at, _)| *at <= now) {
            let at = *at;
            self.live_until(at);
            self.follow_script(at);
        }
        self.live_until(now);
    }

    /// Obey what the script says until `now`.
    fn follow_script(&mut self, now: Nanos) {
        while let Some((_, command)) = self.script.get(self.script_at).filter(|(at, _)| *at <= now)
        {
            let command = *command;
            self.script_at += 1;
            let obeyed = self.obey(command);
            debug_assert!(obeyed.is_ok(), "the script was rehearsed: {obeyed:?}");
        }
    }

    fn live_until(&mut self, now: Nanos) {
        self.now = self.now.max(now);
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
            Command::Ambient(celsius, over_s) => {
                self.bus.plant_mut().set_ambient(celsius, over_s);
            }
            Command::Bus(command) => self.obey_bus(command),
            Command::Block(address, command) => self.obey_block(address, command)?,
            Command::Contact { device: address, input, closed } => {
                let device = self.bus.bus_mut().device_mut(address);
                let device = device.filter(|device| input < device.spec().kind.inputs());
                device.ok_or(ObeyError::NoInput(address, input + 1))?.set_contact(input, closed);
            }
            Command::Str(string, command) => self.obey_string(string, command)?,
            Command::Module(address, command) => self.obey_module(address, command)?,
            Command::Ups(index, command) => {
                let station = self.ups.get_mut(index).ok_or(ObeyError::NoUps(index))?;
                station.obey(command);
            }
            Command::Status => return Ok(self.status()),
            Command::Help => return Ok(HELP.lines().map(str::to_owned).collect()),
            Command::Quit => self.ended = true,
        }
        self.bus.plant_mut().settle();
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
            BusCommand::Cut(at) => {
                for module in self.bus.bus_mut().modules_mut() {
                    let address = module.spec().address;
                    module.faults_mut().vanished = at.is_some_and(|at| address >= at);
                }
            }
        }
    }

    fn obey_module(&mut self, address: u16, command: ModuleCommand) -> Result<(), ObeyError> {
        let number = self.number(address)?;
        let other = match command {
            ModuleCommand::Swap(other) => self.number(other)?,
            _ => number,
        };
        let plant = self.bus.plant_mut();
        let probe = plant.probe_mut(number).ok_or(ObeyError::NoModule(address))?;
        match command {
            ModuleCommand::Gain(gain) => probe.gain = gain,
            ModuleCommand::Offset(volts) => probe.offset_v = volts,
            ModuleCommand::Ntc(ntc) => probe.ntc = ntc,
            ModuleCommand::Warm(kelvin) => probe.offset_k = kelvin,
            ModuleCommand::Swap(_) => plant.swap_modules(number, other),
            ModuleCommand::FuseBlown => self.on_block(address, PlantString::blow_fuse)?,
            _ => {}
        }
        let modules = self.bus.bus_mut().modules_mut();
        let module = modules.get_mut(number).ok_or(ObeyError::NoModule(address))?;
        let faults = module.faults_mut();
        match command {
            ModuleCommand::Vanish(on) => faults.vanished = on,
            ModuleCommand::Stuck(on) => faults.stuck = on,
            ModuleCommand::SensorFault(on) => faults.sensor_fault = on,
            ModuleCommand::Button(on) => faults.button = on,
            ModuleCommand::Garble(chance) => faults.garble_chance = chance,
            ModuleCommand::Reset => module.reset(),
            ModuleCommand::Replace => module.replace(),
            _ => {}
        }
        Ok(())
    }

    /// Number of a module on the bus, which is also that of its place.
    fn number(&self, address: u16) -> Result<usize, ObeyError> {
        let mut modules = self.bus.bus().modules().iter();
        modules.position(|m| m.spec().address == address).ok_or(ObeyError::NoModule(address))
    }

    fn obey_block(&mut self, address: u16, command: BlockCommand) -> Result<(), ObeyError> {
        self.on_block(address, |string, place| match command {
            BlockCommand::Inject(fault) => string.inject(place, fault),
            BlockCommand::Mend => string.mend(place),
        })
    }

    /// Do something with the block under a module.
    fn on_block(
        &mut self,
        address: u16,
        act: impl FnOnce(&mut PlantString, usize),
    ) -> Result<(), ObeyError> {
        let number = self.number(address)?;
        let plant = self.bus.plant_mut();
        let (string, place) = plant.place_of(number).ok_or(ObeyError::NoModule(address))?;
        let string = plant.string_mut(string).ok_or(ObeyError::NoString(string))?;
        act(string, place);
        Ok(())
    }

    fn obey_string(&mut self, index: usize, command: StringCommand) -> Result<(), ObeyError> {
        let plant = self.bus.plant_mut();
        let string = plant.string_mut(index).ok_or(ObeyError::NoString(index))?;
        let cells: u32 = string.places().iter().map(|p| u32::from(p.block().params().cells)).sum();
        let cells = f64::from(cells);
        match command {
            StringCommand::Ground(fault) => string.set_ground_fault(fault),
            StringCommand::Breaker(command) => {
                let breaker = string.breaker_mut();
                match command {
                    BreakerCommand::Trip => breaker.trip(),
                    BreakerCommand::Close => breaker.close(),
                    BreakerCommand::Stuck(on) => breaker.stuck = on,
                    BreakerCommand::Slow(seconds) => breaker.delay_s = seconds,
                    BreakerCommand::Says(closed) => breaker.lying = closed,
                }
            }
            _ => {}
        }
        let bank = plant.bank_of_mut(index).ok_or(ObeyError::NoString(index))?;
        let supply = bank.supply_mut();
        match command {
            StringCommand::Load(watts) => supply.load.watts = watts,
            StringCommand::Charger(on) => supply.charger.on = on,
            StringCommand::Boost(on) => supply.charger.boost = on,
            StringCommand::Setpoint(volts) => supply.charger.volts = volts * cells,
            StringCommand::SetpointError(volts) => supply.charger.error_v = volts * cells,
            StringCommand::Ground(_) | StringCommand::Breaker(_) => {}
        }
        Ok(())
    }

    fn status(&self) -> Vec<String> {
        let on_off = |on| if on { "on" } else { "off" };
        let closed = |closed| if closed { "closed" } else { "open" };
        let ms = |at: Nanos| at.as_secs_f64() * 1e3;
        let mut lines = vec![
            format!("now_ms={:.3}", ms(self.now)),
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
                format!("string.{i}.terminal_v={:.3}", string.terminal_v()),
                format!("string.{i}.amps={:.4}", string.amps()),
                format!("string.{i}.breaker={}", closed(string.breaker().is_closed())),
                format!(
                    "string.{i}.breaker.feedback={}",
                    closed(string.breaker().feedback_closed())
                ),
                format!("string.{i}.room_c={:.2}", string.surroundings().room_c),
                format!("string.{i}.unstable={}", string.runaway().unstable_at_s.is_some()),
                format!("string.{i}.lost={}", string.runaway().lost_at_s.is_some()),
                format!("string.{i}.block.min_v={:.4}", volts().fold(f64::MAX, f64::min)),
                format!("string.{i}.block.max_v={:.4}", volts().fold(f64::MIN, f64::max)),
                format!("string.{i}.block.mean_v={:.4}", string.volts() / count),
                format!("string.{i}.block.max_c={hottest:.2}"),
                format!("string.{i}.block.min_charge={charge:.4}"),
                format!("string.{i}.duty.mean={:.4}", duty / count),
            ]);
        }
        for device in self.bus.bus().devices() {
            let address = device.address();
            lines.extend([
                format!("device.{address}.outputs={}", device.outputs()),
                format!("device.{address}.switched_ms={:.3}", ms(device.switched())),
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
            ("now_ms", 1_000.0, 1_000.0),
            ("device.1029.outputs", 0.0, 0.0),
            ("device.1029.switched_ms", 0.0, 0.0),
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
        let contact = |address, place| format!("device {address} input {place} closed");
        assert_eq!(obey(&mut world, &contact(1_027, 4)), Ok(Vec::new()));
        assert_eq!(obey(&mut world, &contact(1_027, 5)), Err(ObeyError::NoInput(1_027, 5)));
        assert_eq!(obey(&mut world, &contact(17, 1)), Err(ObeyError::NoInput(17, 1)));
        assert!(!world.has_ended());
        obey(&mut world, "quit").expect("obeyed");
        assert!(world.has_ended());
    }
}
