//! What a simulation consists of: the scenario file.
//!
//! TOML; every field has a default, unknown fields are refused.
//! ```toml
//! seed = 1                    # everything random; --seed replaces it
//! bus_baud = 115200
//! plant_step_ms = 100         # longest step of the plant, 1 … 500
//!
//! [[strings]]                 # any number
//! blocks = 32
//! module = "C20"              # C23 C20 C30 C41 C40
//! first_address = 1           # the others follow
//! capacity_ah = 7.0
//! i0_ma_per_ah = 0.5          # median float current at 2.27 V/cell, 25 °C
//! sigma = 0.35                # deviation of ln(float current)
//! initial_spread_v = 0.9      # per 12 V, around the mean
//! charge = 1.0                # 0 … 1; below 1 the blocks start at rest
//! bank = 7                    # strings of one bank, next to each other, are in
//!                             # parallel; default: a bank of its own
//! # The bank's charger and load, taken from its first string.
//! float_v_per_cell = 2.30     # charger setpoint at 25 °C
//! boost_v_per_cell = 2.40
//! setpoint_error_v_per_cell = 0.0
//! compensation_mv_per_k = 0.0 # per cell, e.g. -3.0
//! limit_c = 0.25              # current limit, Ah per hour and Ah
//! load_w = 1500.0             # without mains
//! # Heat and age.
//! ambient_c = 25.0
//! cabinet_w_per_k = 20.0      # air of the cabinet to the room; default: none
//! neighbour_w_per_k = 0.0     # block to block
//! cooling = 1.0               # of a block, 1 = typical
//! age = 0.0                   # 0 = new, 1 = end of life
//! ageing_speed = 1.0          # 1000 shows a year in nine hours
//! breaker_delay_ms = 50       # trip to open contacts
//! # The modules.
//! noise_mv = 1.0              # of a voltage reading, rms
//! gain_spread = 0.0           # of the voltage readings, rms
//! external_sensor = true      # false: modules warm their own sensors
//! seed = 11                   # default: from the scenario's seed
//!
//! [[devices]]                 # any number: what else is on the bus
//! address = 1025              # 1025 … 1279
//! kind = "current-200"        # current-50 … -2000, aux (trips and reads the
//!                             # string's breaker), site, sensor, panel
//! string = 0                  # that it measures or switches
//! offset_a = 0.0              # errors of a current sensor
//! gain = 1.0
//! noise_a = 0.02
//!
//! [[ups]]                     # any number
//! kind = "line-interactive"   # or "online"
//! rated_va = 3000.0
//! nominal_v = 230.0
//! battery_v = 72.0
//! battery_ah = 9.0
//! load_percent = 35.0
//! ports = 2                   # ups0, ups0b, …: one unit, several readers
//!
//! [[script]]                  # any number, in any order
//! at = "10m"                  # 250ms, 90s, 10m, 2h, 1d after the start
//! do = "mains off"            # any command of `evenkeel-sim ctl`, see `help`
//! ```

use crate::bus::Bus;
use crate::control::{self, Command};
use crate::device::{Device, DeviceSpec};
use crate::line::CharTime;
use crate::module::{Module, ModuleSpec};
use crate::noise::Noise;
use crate::plant::{Plant, PlantString, StringSpec, Supply};
use crate::ups::{UpsKind, UpsSpec};
use crate::virtual_bus::VirtualBus;
use evenkeel_core::battery::ModuleKind;
use evenkeel_core::bus::wire::{ADDRESS_MAX, DEVICE_MAX, DEVICE_MIN, DeviceKind};
use evenkeel_core::time::Nanos;
use serde::Deserialize;

/// Most ports of one UPS: a letter each.
const PORTS_MAX: u8 = 8;
/// Largest error of a module's bit clock (the protocol allows 0.001).
const CLOCK_ERROR: f64 = 0.0005;
/// Streams of the scenario's seed: the line, then the modules by address.
const LINE_STREAM: u64 = 1;
const MODULE_STREAM: u64 = 1_000;
const PROBE_STREAM: u64 = 10_000;
const DEVICE_STREAM: u64 = 30_000;
/// The words for devices.
const DEVICE_KINDS: [(&str, DeviceKind); 11] = [
    ("current-50", DeviceKind::Current50),
    ("current-200", DeviceKind::Current200),
    ("current-400", DeviceKind::Current400),
    ("current-500", DeviceKind::Current500),
    ("current-1000", DeviceKind::Current1000),
    ("current-1500", DeviceKind::Current1500),
    ("current-2000", DeviceKind::Current2000),
    ("aux", DeviceKind::Aux),
    ("site", DeviceKind::Site),
    ("sensor", DeviceKind::Sensor),
    ("panel", DeviceKind::Panel),
];

/// A scenario file.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scenario {
    /// Everything random comes from it.
    pub seed: u64,
    /// Speed of the battery bus, bit/s.
    pub bus_baud: u32,
    /// Longest step of the plant, ms.
    pub plant_step_ms: u16,
    /// Battery strings, all on one bus.
    pub strings: Vec<StringTable>,
    /// Devices on the bus that are no block modules.
    pub devices: Vec<DeviceTable>,
    /// UPS units.
    pub ups: Vec<UpsTable>,
    /// What happens when.
    pub script: Vec<ScriptTable>,
}

/// A `[[strings]]` table; see the file's description for the fields.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the file format above describes each field")]
pub struct StringTable {
    pub blocks: u16,
    pub module: ModuleKind,
    pub first_address: u16,
    pub capacity_ah: f64,
    pub i0_ma_per_ah: f64,
    pub sigma: f64,
    pub initial_spread_v: f64,
    pub charge: f64,
    pub bank: Option<u16>,
    pub float_v_per_cell: f64,
    pub boost_v_per_cell: f64,
    pub setpoint_error_v_per_cell: f64,
    pub compensation_mv_per_k: f64,
    pub limit_c: f64,
    pub load_w: f64,
    pub ambient_c: f64,
    pub cabinet_w_per_k: Option<f64>,
    pub neighbour_w_per_k: f64,
    pub cooling: f64,
    pub age: f64,
    pub ageing_speed: f64,
    pub breaker_delay_ms: f64,
    pub noise_mv: f64,
    pub gain_spread: f64,
    pub external_sensor: bool,
    pub seed: Option<u64>,
}

/// A `[[devices]]` table; see the file's description for the fields.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the file format above describes each field")]
pub struct DeviceTable {
    pub address: u16,
    pub kind: String,
    pub string: usize,
    pub offset_a: f64,
    pub gain: f64,
    pub noise_a: f64,
}

/// A `[[ups]]` table; see the file's description for the fields.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the file format above describes each field")]
pub struct UpsTable {
    pub kind: UpsKind,
    pub rated_va: f64,
    pub nominal_v: f64,
    pub battery_v: f64,
    pub battery_ah: f64,
    pub load_percent: f64,
    pub ports: u8,
}

/// A `[[script]]` table; see the file's description for the fields.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the file format above describes each field")]
pub struct ScriptTable {
    pub at: String,
    #[serde(rename = "do")]
    pub line: String,
}

/// Why a scenario cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// Not TOML, or fields that there are not.
    #[error("the scenario is not valid TOML of this format")]
    Format(#[source] toml::de::Error),
    /// A number makes no sense.
    #[error("{table} {index}: {field} must be {wanted}")]
    Range {
        /// `strings`, `ups` or `scenario`.
        table: &'static str,
        /// Which of them, from 0.
        index: usize,
        /// Its field.
        field: &'static str,
        /// What it must be.
        wanted: &'static str,
    },
    /// Two modules would answer to one address.
    #[error("strings {0} and {1} share bus addresses")]
    Overlap(usize, usize),
    /// Strings of one bank are not next to each other.
    #[error("strings of bank {0} must stand next to each other")]
    Bank(u16),
    /// A line of the script is no command, or not one for this scenario.
    #[error("script {0}: {1}")]
    Script(usize, String),
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            seed: 1,
            bus_baud: 115_200,
            plant_step_ms: 100,
            strings: Vec::new(),
            devices: Vec::new(),
            ups: Vec::new(),
            script: Vec::new(),
        }
    }
}

impl Default for StringTable {
    fn default() -> Self {
        let spec = StringSpec::default();
        Self {
            blocks: 32,
            module: spec.kind,
            first_address: 1,
            capacity_ah: spec.capacity_ah,
            i0_ma_per_ah: spec.i0_ma_per_ah,
            sigma: spec.sigma,
            initial_spread_v: spec.initial_spread_v,
            charge: spec.charge,
            bank: None,
            float_v_per_cell: spec.float_v_per_cell,
            boost_v_per_cell: spec.boost_v_per_cell,
            setpoint_error_v_per_cell: spec.setpoint_error_v_per_cell,
            compensation_mv_per_k: spec.compensation_mv_per_k,
            limit_c: spec.limit_c,
            load_w: spec.load_w,
            ambient_c: spec.ambient_c,
            cabinet_w_per_k: spec.cabinet_w_per_k,
            neighbour_w_per_k: spec.neighbour_w_per_k,
            cooling: spec.cooling,
            age: spec.age,
            ageing_speed: spec.ageing_speed,
            breaker_delay_ms: 50.0,
            noise_mv: 1.0,
            gain_spread: 0.0,
            external_sensor: true,
            seed: None,
        }
    }
}

impl Default for DeviceTable {
    fn default() -> Self {
        Self {
            address: DEVICE_MIN,
            kind: "current-200".into(),
            string: 0,
            offset_a: 0.0,
            gain: 1.0,
            noise_a: 0.02,
        }
    }
}

impl Default for UpsTable {
    fn default() -> Self {
        let spec = UpsSpec::default();
        Self {
            kind: spec.kind,
            rated_va: spec.rated_va,
            nominal_v: spec.nominal_v,
            battery_v: spec.battery_v,
            battery_ah: spec.battery_ah,
            load_percent: spec.load_percent,
            ports: 1,
        }
    }
}

impl Scenario {
    /// Two strings of 32 × 12 V, 7 Ah on one bus, and one line-interactive
    /// 3 kVA UPS with two ports.
    #[must_use]
    pub fn demo() -> Self {
        let string = |first_address| StringTable { first_address, ..StringTable::default() };
        let device = |address, kind: &str, string| DeviceTable {
            address,
            kind: kind.into(),
            string,
            ..DeviceTable::default()
        };
        Self {
            strings: vec![string(1), string(33)],
            devices: vec![
                device(1025, "current-50", 0),
                device(1026, "current-50", 1),
                device(1027, "aux", 0),
                device(1028, "aux", 1),
                device(1029, "panel", 0),
            ],
            ups: vec![UpsTable { ports: 2, ..UpsTable::default() }],
            ..Self::default()
        }
    }

    /// Read a scenario file's text and check it.
    ///
    /// # Errors
    /// [`ScenarioError`] says which table and field.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        let scenario: Self = toml::from_str(text).map_err(ScenarioError::Format)?;
        scenario.check()?;
        Ok(scenario)
    }

    /// Build the battery bus with its plant, which steps at most `step`.
    ///
    /// # Errors
    /// [`ScenarioError`] when the strings make no sense.
    pub fn bus(&self, step: Nanos) -> Result<VirtualBus, ScenarioError> {
        self.check()?;
        let modules = self.strings.iter().flat_map(|table| self.modules(table)).collect();
        let bus = Bus::new(self.bus_baud, modules, Noise::new(self.seed, LINE_STREAM));
        let bus = bus.with_devices(self.devices.iter().map(|d| self.device(d)).collect());
        Ok(VirtualBus::new(bus, self.plant(), step))
    }

    /// The plant alone, for a scenario that was checked.
    fn plant(&self) -> Plant {
        let mut banks: Vec<(Supply, Vec<PlantString>)> = Vec::new();
        let mut open_bank = None;
        for (i, table) in self.strings.iter().enumerate() {
            let spec = self.string_spec(i);
            let mut string = spec.build();
            string.breaker_mut().delay_s = table.breaker_delay_ms / 1e3;
            match banks.last_mut() {
                Some((_, members)) if table.bank.is_some() && table.bank == open_bank => {
                    members.push(string);
                }
                _ => {
                    let like = |other: &&StringTable| other.bank == table.bank;
                    let parallel =
                        table.bank.map_or(1, |_| self.strings.iter().filter(like).count());
                    banks.push((spec.supply(parallel), vec![string]));
                }
            }
            open_bank = table.bank;
        }
        let mut plant = Plant::new(banks);
        let places = self.strings.iter().flat_map(|t| t.addresses().map(|a| (a, t.gain_spread)));
        for (module, (address, gain_spread)) in places.enumerate() {
            let mut noise = Noise::new(self.seed, PROBE_STREAM + u64::from(address));
            if let Some(probe) = plant.probe_mut(module) {
                probe.gain += gain_spread * noise.normal();
            }
        }
        plant
    }

    /// The script, ascending by time.
    ///
    /// # Errors
    /// [`ScenarioError::Script`] says which line is no command.
    pub fn commands(&self) -> Result<Vec<(Nanos, Command)>, ScenarioError> {
        let parse = |(index, table): (usize, &ScriptTable)| {
            let at = control::duration(&table.at);
            let command = Command::parse(&table.line);
            at.and_then(|at| Ok((at, command?)))
                .map_err(|e| ScenarioError::Script(index, e.to_string()))
        };
        let mut commands =
            self.script.iter().enumerate().map(parse).collect::<Result<Vec<_>, _>>()?;
        commands.sort_by_key(|(at, _)| *at);
        Ok(commands)
    }

    /// The UPS units with their number of ports.
    #[must_use]
    pub fn ups_specs(&self) -> Vec<(UpsSpec, usize)> {
        let spec = |(index, table): (usize, &UpsTable)| UpsSpec {
            kind: table.kind,
            rated_va: table.rated_va,
            nominal_v: table.nominal_v,
            battery_v: table.battery_v,
            battery_ah: table.battery_ah,
            load_percent: table.load_percent,
            seed: self.seed.wrapping_add(index as u64),
        };
        self.ups.iter().enumerate().map(|item| (spec(item), item.1.ports.into())).collect()
    }

    fn string_spec(&self, index: usize) -> StringSpec {
        let table = &self.strings[index];
        StringSpec {
            blocks: table.blocks.into(),
            kind: table.module,
            capacity_ah: table.capacity_ah,
            i0_ma_per_ah: table.i0_ma_per_ah,
            sigma: table.sigma,
            initial_spread_v: table.initial_spread_v,
            charge: table.charge,
            float_v_per_cell: table.float_v_per_cell,
            boost_v_per_cell: table.boost_v_per_cell,
            setpoint_error_v_per_cell: table.setpoint_error_v_per_cell,
            compensation_mv_per_k: table.compensation_mv_per_k,
            limit_c: table.limit_c,
            load_w: table.load_w,
            ambient_c: table.ambient_c,
            cabinet_w_per_k: table.cabinet_w_per_k,
            neighbour_w_per_k: table.neighbour_w_per_k,
            cooling: table.cooling,
            age: table.age,
            ageing_speed: table.ageing_speed,
            // A large odd step: neighbouring seeds must not share strings.
            seed: table.seed.unwrap_or(self.seed.wrapping_add(index as u64 * 1_000_003)),
            ..StringSpec::default()
        }
    }

    fn modules<'a>(&'a self, table: &'a StringTable) -> impl Iterator<Item = Module> + 'a {
        (0..table.blocks).map(|place| {
            let address = table.first_address + place;
            let mut noise = Noise::new(self.seed, MODULE_STREAM + u64::from(address));
            let spec = ModuleSpec {
                address,
                kind: table.module,
                serial: 100_000 + u32::from(address),
                hardware: 3,
                firmware: (1, 0),
                noise_v: table.noise_mv / 1e3,
                clock: 1.0 + noise.between(-CLOCK_ERROR, CLOCK_ERROR),
                external_sensor: table.external_sensor,
                char_time: CharTime::at(self.bus_baud),
            };
            Module::new(spec, noise)
        })
    }

    fn device(&self, table: &DeviceTable) -> Device {
        let mut noise = Noise::new(self.seed, DEVICE_STREAM + u64::from(table.address));
        let spec = DeviceSpec {
            address: table.address,
            // Checked before.
            kind: table.kind().unwrap_or(DeviceKind::Current200),
            serial: 200_000 + u32::from(table.address),
            string: table.string,
            offset_a: table.offset_a,
            gain: table.gain,
            noise_a: table.noise_a,
            clock: 1.0 + noise.between(-CLOCK_ERROR, CLOCK_ERROR),
            char_time: CharTime::at(self.bus_baud),
        };
        Device::new(spec, noise)
    }

    fn check(&self) -> Result<(), ScenarioError> {
        let scenario = |ok, field, wanted| range(ok, "scenario", 0, field, wanted);
        scenario(self.bus_baud >= 1_200, "bus_baud", "at least 1200")?;
        scenario((1..=500).contains(&self.plant_step_ms), "plant_step_ms", "1 … 500")?;
        for (i, string) in self.strings.iter().enumerate() {
            string.check(i)?;
            let shares =
                |other: &StringTable| other.addresses().any(|a| string.addresses().contains(&a));
            if let Some(other) = self.strings[..i].iter().position(shares) {
                return Err(ScenarioError::Overlap(other, i));
            }
        }
        self.check_banks()?;
        for (i, device) in self.devices.iter().enumerate() {
            let fresh = self.devices[..i].iter().all(|other| other.address != device.address);
            range(fresh, "devices", i, "address", "one that no other device has")?;
            let string = device.string < self.strings.len();
            range(string, "devices", i, "string", "the number of a string, from 0")?;
            device.check(i)?;
        }
        self.commands()?;
        self.ups.iter().enumerate().try_for_each(|(i, ups)| ups.check(i))
    }

    fn check_banks(&self) -> Result<(), ScenarioError> {
        let mut seen: Vec<u16> = Vec::new();
        let mut before = None;
        for bank in self.strings.iter().map(|s| s.bank) {
            if let Some(bank) = bank.filter(|_| bank != before) {
                if seen.contains(&bank) {
                    return Err(ScenarioError::Bank(bank));
                }
                seen.push(bank);
            }
            before = bank;
        }
        Ok(())
    }
}

impl StringTable {
    fn addresses(&self) -> core::ops::Range<u32> {
        let first = u32::from(self.first_address);
        first..first + u32::from(self.blocks)
    }

    fn check(&self, index: usize) -> Result<(), ScenarioError> {
        let string = |ok, field, wanted| range(ok, "strings", index, field, wanted);
        let addressable =
            self.first_address >= 1 && self.addresses().end <= u32::from(ADDRESS_MAX) + 1;
        string(self.blocks >= 1, "blocks", "at least 1")?;
        string(addressable, "first_address", "such that all addresses are 1 … 1024")?;
        string((1.0..=10_000.0).contains(&self.capacity_ah), "capacity_ah", "1 … 10000")?;
        let cabinet_w_per_k = self.cabinet_w_per_k.unwrap_or(1.0);
        for (value, low, high, field, wanted) in [
            (self.i0_ma_per_ah, 0.01, 50.0, "i0_ma_per_ah", "0.01 … 50"),
            (self.sigma, 0.0, 2.0, "sigma", "0 … 2"),
            (self.initial_spread_v, 0.0, 2.0, "initial_spread_v", "0 … 2"),
            (self.charge, 0.0, 1.0, "charge", "0 … 1"),
            (self.float_v_per_cell, 2.0, 2.6, "float_v_per_cell", "2.0 … 2.6"),
            (self.boost_v_per_cell, 2.0, 2.7, "boost_v_per_cell", "2.0 … 2.7"),
            (self.setpoint_error_v_per_cell, -0.5, 0.5, "setpoint_error_v_per_cell", "-0.5 … 0.5"),
            (self.compensation_mv_per_k, -6.0, 0.0, "compensation_mv_per_k", "-6 … 0"),
            (self.limit_c, 0.001, 10.0, "limit_c", "0.001 … 10"),
            (self.load_w, 0.0, 1e7, "load_w", "0 … 10000000"),
            (self.ambient_c, -40.0, 80.0, "ambient_c", "-40 … 80"),
            (cabinet_w_per_k, 0.01, 1e6, "cabinet_w_per_k", "0.01 … 1000000"),
            (self.neighbour_w_per_k, 0.0, 100.0, "neighbour_w_per_k", "0 … 100"),
            (self.cooling, 0.01, 10.0, "cooling", "0.01 … 10"),
            (self.age, 0.0, 2.0, "age", "0 … 2"),
            (self.ageing_speed, 0.0, 1e6, "ageing_speed", "0 … 1000000"),
            (self.breaker_delay_ms, 0.0, 1e6, "breaker_delay_ms", "0 … 1000000"),
            (self.noise_mv, 0.0, 1_000.0, "noise_mv", "0 … 1000"),
            (self.gain_spread, 0.0, 0.1, "gain_spread", "0 … 0.1"),
        ] {
            string((low..=high).contains(&value), field, wanted)?;
        }
        Ok(())
    }
}

impl DeviceTable {
    /// What it is; `None` for a word that is none of them.
    #[must_use]
    pub fn kind(&self) -> Option<DeviceKind> {
        DEVICE_KINDS.iter().find(|(word, _)| *word == self.kind).map(|(_, kind)| *kind)
    }

    fn check(&self, index: usize) -> Result<(), ScenarioError> {
        let device = |ok, field, wanted| range(ok, "devices", index, field, wanted);
        let kinds = "current-50, -200, -400, -500, -1000, -1500, -2000, aux, site, sensor or panel";
        device((DEVICE_MIN..=DEVICE_MAX).contains(&self.address), "address", "1025 … 1279")?;
        device(self.kind().is_some(), "kind", kinds)?;
        device((-100.0..=100.0).contains(&self.offset_a), "offset_a", "-100 … 100")?;
        device((0.5..=1.5).contains(&self.gain), "gain", "0.5 … 1.5")?;
        device((0.0..=100.0).contains(&self.noise_a), "noise_a", "0 … 100")
    }
}

impl UpsTable {
    fn check(&self, index: usize) -> Result<(), ScenarioError> {
        let ups = |ok, field, wanted| range(ok, "ups", index, field, wanted);
        // `SS.S` of a whole pack ends at 99.9 V; a cell's voltage never does.
        let battery_max_v = if self.kind == UpsKind::Online { 480.0 } else { 84.0 };
        let battery_fits = (12.0..=battery_max_v).contains(&self.battery_v);
        ups((100.0..=1e5).contains(&self.rated_va), "rated_va", "100 … 100000")?;
        ups((100.0..=480.0).contains(&self.nominal_v), "nominal_v", "100 … 480")?;
        ups(battery_fits, "battery_v", "12 … 84, or 12 … 480 if online")?;
        ups((1.0..=10_000.0).contains(&self.battery_ah), "battery_ah", "1 … 10000")?;
        ups((0.0..=150.0).contains(&self.load_percent), "load_percent", "0 … 150")?;
        ups((1..=PORTS_MAX).contains(&self.ports), "ports", "1 … 8")
    }
}

fn range(
    ok: bool,
    table: &'static str,
    index: usize,
    field: &'static str,
    wanted: &'static str,
) -> Result<(), ScenarioError> {
    if ok { Ok(()) } else { Err(ScenarioError::Range { table, index, field, wanted }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn description_above_is_the_format() {
        let text: String = include_str!("scenario.rs")
            .lines()
            .skip_while(|line| *line != "//! ```toml")
            .skip(1)
            .take_while(|line| *line != "//! ```")
            .map(|line| line.trim_start_matches("//!").to_owned() + "\n")
            .collect();
        let parsed = Scenario::parse(&text).expect("the documented example is valid");
        let documented = StringTable {
            seed: Some(11),
            bank: Some(7),
            cabinet_w_per_k: Some(20.0),
            ..StringTable::default()
        };
        assert_eq!(parsed.strings, [documented]);
        let commands = parsed.commands().expect("valid");
        assert_eq!(commands, [(Nanos::from_secs(600), Command::Mains(false))]);
        assert_eq!(parsed.devices, [DeviceTable::default()]);
        assert_eq!(parsed.ups, [UpsTable { ports: 2, ..UpsTable::default() }]);
        assert_eq!(
            Scenario { strings: vec![], devices: vec![], ups: vec![], script: vec![], ..parsed },
            Scenario::default()
        );
    }

    #[test]
    fn demo_is_valid_and_has_64_modules() {
        let bus = Scenario::demo().bus(Nanos::from_millis(100)).expect("valid");
        let addresses: Vec<u16> = bus.bus().modules().iter().map(|m| m.spec().address).collect();
        assert_eq!(addresses, (1..=64).collect::<Vec<_>>());
        assert_eq!(bus.plant().blocks(), 64);
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for (text, says) in [
            ("colour = 1", "not valid TOML"),
            ("[[strings]]\nblocks = 0", "strings 0: blocks"),
            ("[[strings]]\nblocks = 65535\nfirst_address = 65535", "strings 0: first_address"),
            ("[[strings]]\nfirst_address = 0", "strings 0: first_address"),
            ("[[strings]]\n[[strings]]\nfirst_address = 32", "strings 0 and 1 share"),
            ("[[strings]]\nsigma = nan", "strings 0: sigma"),
            ("[[ups]]\n[[ups]]\nports = 9", "ups 1: ports"),
            ("[[ups]]\nbattery_v = 240.0", "ups 0: battery_v"),
            ("[[strings]]\ncabinet_w_per_k = 0.0", "strings 0: cabinet_w_per_k"),
            ("[[strings]]\n[[devices]]\nkind = \"lamp\"", "devices 0: kind"),
            ("[[devices]]", "devices 0: string"),
            ("[[strings]]\n[[devices]]\n[[devices]]", "devices 1: address"),
            ("[[script]]\nat = \"5\"\ndo = \"quit\"", "script 0: \"5\" is not a time"),
            ("[[script]]\nat = \"5s\"\ndo = \"sing\"", "script 0: unknown command"),
        ] {
            let error = Scenario::parse(text).expect_err(text).to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
        let bank = |bank, first_address| StringTable {
            bank: Some(bank),
            blocks: 4,
            first_address,
            ..StringTable::default()
        };
        let strings = vec![bank(1, 1), bank(2, 5), bank(1, 9)];
        let scattered = Scenario { strings, ..Scenario::default() };
        assert!(matches!(scattered.bus(Nanos::from_millis(100)), Err(ScenarioError::Bank(1))));
    }
}
