//! A [`Control`] with its masters on simulated buses, and settings for it.

use evenkeel_core::bus::master::{Master, Step};
use evenkeel_core::bus::wire::{DEVICE_MIN, Duty};
use evenkeel_core::command::{Order, Refusal};
use evenkeel_core::control::{Control, Kept, StringControl};
use evenkeel_core::image::Snapshot;
use evenkeel_core::protect;
use evenkeel_core::settings::GuardSettings;
use evenkeel_core::time::Nanos;
use evenkeel_sim::bus::Bus;
use evenkeel_sim::control::Command;
use evenkeel_sim::plant::PlantString;
use evenkeel_sim::scenario::{DeviceTable, Scenario, StringTable};
use evenkeel_sim::world::{PortId, World};
use std::fmt::Write;

/// Time of day at the start, seconds since 1970 UTC.
pub const WALL_S: u64 = 1_780_000_000;
/// The devices of string `i`: current sensor, AUX; the panel is behind all.
pub const PANEL: u16 = 1_279;
/// A site device that measures voltage and ground current of the first string.
pub const SITE: u16 = 1_278;
/// What its first two inputs mean at full scale, V and A.
const SITE_V: f64 = 200.0;
const SITE_A: f64 = 0.5;
/// For [`settings`]: what a string with the [`SITE`] has more, and the device.
pub const SITE_STRING: &str = "voltage = \"E.1\"\nground = \"E.2\"\n";
pub fn site_device() -> String {
    let channel = |number, name, high: f64, unit| {
        format!(
            "[[device.channel]]\nnumber = {number}\nname = \"{name}\"\nsignal = \"0-10V\"\n\
             low = 0.0\nhigh = {high:?}\nunit = \"{unit}\"\n"
        )
    };
    format!(
        "[[device]]\nname = \"E\"\nkind = \"site\"\naddress = {SITE}\n{}{}",
        channel(1, "string", SITE_V, "V"),
        channel(2, "ground", SITE_A, "A")
    )
}
pub const fn sensor(string: u16) -> u16 {
    DEVICE_MIN + 2 * string
}
pub const fn aux(string: u16) -> u16 {
    DEVICE_MIN + 2 * string + 1
}

/// A request as the master put it on a bus.
pub struct Sent {
    pub at: Nanos,
    pub bytes: Vec<u8>,
}

/// Control, masters and one world per bus.
pub struct Rig {
    pub worlds: Vec<World>,
    pub masters: Vec<Master>,
    pub control: Control,
    pub now: Nanos,
    /// When all scans, and when all frames, of the last cycle were over.
    pub scanned: Nanos,
    pub ended: Nanos,
    /// The requests of the last cycle on the first bus.
    pub sent: Vec<Sent>,
    /// Time of day at time 0; `None`: the clock was never set.
    pub wall_s: Option<u64>,
    /// The monotonic clock that the control sees stands still at this.
    pub frozen: Option<Nanos>,
    settings: GuardSettings,
}

impl Rig {
    pub fn new(settings: &str, scenarios: &[Scenario]) -> Self {
        let settings = GuardSettings::parse(settings).expect("valid settings");
        let worlds = scenarios.iter().map(|s| World::new(s).expect("a scenario")).collect();
        Self {
            control: Control::new(&settings, &Kept::default()),
            masters: masters(&settings),
            worlds,
            now: Nanos(0),
            scanned: Nanos(0),
            ended: Nanos(0),
            sent: Vec::new(),
            wall_s: Some(WALL_S),
            frozen: None,
            settings,
        }
    }

    /// The guard starts anew with what it kept, changed by `change`.
    pub fn restart(&mut self, change: impl FnOnce(&mut Kept)) {
        let mut kept = Kept::default();
        self.control.keep(&mut kept);
        change(&mut kept);
        self.control = Control::new(&self.settings, &kept);
        self.masters = masters(&self.settings);
    }

    /// One cycle on all buses.
    pub fn cycle(&mut self) {
        let end = self.now + self.settings.cycle();
        self.feel();
        self.sent.clear();
        self.masters.iter_mut().for_each(|master| master.start_cycle(end));
        let (mut scanned, mut decided) = (vec![false; self.masters.len()], false);
        loop {
            let mut until: Option<Nanos> = None;
            for (bus, master) in self.masters.iter_mut().enumerate() {
                let world = &mut self.worlds[bus];
                while decided || !scanned[bus] {
                    match master.poll(self.now) {
                        Step::Send(bytes) => {
                            let bytes = bytes.to_vec();
                            world.hear(PortId::Bus, self.now, &bytes);
                            if bus == 0 {
                                self.sent.push(Sent { at: self.now, bytes });
                            }
                        }
                        Step::Wait(at) => {
                            let due = world.next_due().unwrap_or(at).clamp(self.now, at);
                            until = Some(until.map_or(due, |until| until.min(due)));
                            break;
                        }
                        Step::Scanned => scanned[bus] = true,
                        Step::Idle => {
                            if !decided || !self.control.go_on(bus, master) {
                                break;
                            }
                        }
                    }
                }
            }
            if !decided && scanned.iter().all(|s| *s) {
                decided = true;
                self.scanned = self.now;
                let now = self.frozen.unwrap_or(self.now);
                let wall_s = self.wall();
                self.control.step(&mut self.masters, now, wall_s);
            } else if let Some(until) = until {
                self.pass(until);
            } else {
                break;
            }
        }
        self.control.commanded();
        self.ended = self.now;
        assert!(self.now <= end, "the cycle took {} ms too long", self.now.since(end).as_millis());
        self.pass(end);
    }

    /// What the [`SITE`] measures, if there is one.
    fn feel(&mut self) {
        let string = self.plant(0);
        let (volts, amps) = (string.terminal_v(), string.leak_a());
        if let Some(site) = self.bus_mut().device_mut(SITE) {
            site.set_analog(0, volts / SITE_V);
            site.set_analog(1, amps / SITE_A);
        }
    }

    /// The guard is dead until then.
    pub fn pass(&mut self, until: Nanos) {
        self.now = until;
        for (world, master) in self.worlds.iter_mut().zip(&mut self.masters) {
            world.advance(until);
            let bytes = world.take(PortId::Bus, until);
            master.receive(&bytes);
        }
    }

    /// Cycles for so long.
    pub fn run(&mut self, seconds: u64) {
        let end = self.now + Nanos::from_secs(seconds);
        while self.now < end {
            self.cycle();
        }
    }

    /// Cycles until something holds; fails after `seconds`.
    pub fn until(&mut self, seconds: u64, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let end = self.now + Nanos::from_secs(seconds);
        while !holds(self) {
            assert!(self.now < end, "{what}: not within {seconds} s");
            self.cycle();
        }
    }

    pub fn order(&mut self, order: Order) -> Result<(), Refusal> {
        let wall_s = self.wall();
        self.control.order(order, self.now, wall_s)
    }

    /// Words of the simulator's command language, to the first bus.
    pub fn say(&mut self, words: &str) {
        let command = Command::parse(words).expect("a command");
        self.worlds[0].obey(command).expect("something that there is");
    }

    pub fn bus_mut(&mut self) -> &mut Bus {
        self.worlds[0].bus_mut().bus_mut()
    }

    pub fn plant(&self, string: usize) -> &PlantString {
        &self.worlds[0].bus().plant().strings()[string]
    }

    pub fn string(&self, string: usize) -> &StringControl {
        &self.control.strings()[string]
    }

    pub fn report(&self, string: usize) -> &protect::Report {
        self.string(string).protection()
    }

    pub fn snapshot(&self) -> Snapshot {
        self.control.snapshot()
    }

    /// Outputs of a device as they are, bit set = on.
    pub fn outputs(&self, address: u16) -> u16 {
        let devices = self.worlds[0].bus().bus().devices();
        devices.iter().find(|d| d.address() == address).expect("a device").outputs()
    }

    /// No bypass is commanded on a string.
    pub fn is_idle(&self, string: usize) -> bool {
        self.snapshot().strings[string].blocks.iter().all(|b| b.duty == Duty::OFF)
    }

    pub fn wall(&self) -> Option<u64> {
        self.wall_s.map(|s| s + self.now.as_millis() / 1_000)
    }
}

fn masters(settings: &GuardSettings) -> Vec<Master> {
    let master = |bus| {
        let (modules, devices) = (settings.modules_of(bus), settings.devices_of(bus));
        Master::new(settings.timing(bus), modules, devices).expect("checked settings")
    };
    (0..settings.buses.len()).map(master).collect()
}

/// Strings of 40 Ah that are well equalized, each with a current sensor and an
/// AUX, and a panel.
pub fn scenario(strings: u16, blocks: u16) -> Scenario {
    let string = |i| StringTable {
        blocks,
        first_address: 1 + i * blocks,
        capacity_ah: 40.0,
        sigma: 0.1,
        initial_spread_v: 0.02,
        float_v_per_cell: 2.27,
        load_w: 40.0 * 12.0 * f64::from(blocks),
        ..StringTable::default()
    };
    let device = |address, kind: &str, string| DeviceTable {
        address,
        kind: kind.into(),
        string: usize::from(string),
        ..DeviceTable::default()
    };
    let own = |i| [device(sensor(i), "current-200", i), device(aux(i), "aux", i)];
    Scenario {
        plant_step_ms: 500,
        strings: (0..strings).map(string).collect(),
        devices: (0..strings).flat_map(own).chain([device(PANEL, "panel", 0)]).collect(),
        ..Scenario::default()
    }
}

/// The same strings as the guard knows them; `string` and `rest` are added to
/// each string and at the end.
pub fn settings(cycle_ms: u32, scenario: &Scenario, string: &str, rest: &str) -> String {
    let mut body = format!(
        "cycle_ms = {cycle_ms}\n[[bus]]\nport = \"/dev/null\"\n[[battery]]\nname = \"B\"\n\
         chemistry = \"agm\"\ncells = 6\ncapacity_ah = 40.0\n[[device]]\nname = \"P\"\n\
         kind = \"panel\"\naddress = {PANEL}\n"
    );
    for (i, table) in (0..).zip(&scenario.strings) {
        write!(
            body,
            "[[string]]\nname = \"S{i}\"\nmodule = \"C20\"\nbattery = \"B\"\nfirst_address = {}\n\
             blocks = {}\ncurrent_sensor = \"I{i}\"\n{string}[string.breaker]\nrelay = \"X{i}.1\"\n\
             input = \"X{i}.1\"\ncontact = \"normally_closed\"\nescalation_relay = \"X{i}.3\"\n\
             [[device]]\nname = \"I{i}\"\nkind = \"current-200\"\naddress = {}\n\
             [[device]]\nname = \"X{i}\"\nkind = \"aux\"\naddress = {}\n",
            table.first_address,
            table.blocks,
            sensor(i),
            aux(i)
        )
        .expect("a string takes everything");
    }
    body + rest
}
