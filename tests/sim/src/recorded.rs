//! What the appliance would keep of a simulated string: the guard's core
//! balances it in virtual time, and every so often a row is taken as the daemon
//! takes it. For the history's tests and figures.
//!
//! Noise: a voltage reading has that of its module (facts/battery-science.md §2.4:
//! 0.5 … 2 mV rms for 12 V), a resistance 0.5 %, a current 20 mA; the thermistor
//! gets its own here, and the room breathes through the day.

use crate::noise::Noise;
use crate::scenario::{DeviceTable, Scenario, ScenarioError};
use crate::virtual_bus::VirtualBus;
use evenkeel_core::bus::master::{Master, Step};
use evenkeel_core::control::{Control, Kept};
use evenkeel_core::history::{Row, Sheet};
use evenkeel_core::settings::GuardSettings;
use evenkeel_core::time::Nanos;

/// When a recording begins, s since 1970: a midnight UTC.
pub const BEGINS_S: u64 = 1_779_926_400;
/// Stream of the seed for the thermistors.
const THERMISTOR_STREAM: u64 = 30_001;
/// Half of the room's daily swing, K.
const ROOM_SWING_K: f64 = 1.5;
const HOUR: u64 = 3_600;

/// What to record.
#[derive(Clone, Copy, Debug)]
pub struct Recording {
    /// Blocks of the string.
    pub blocks: u16,
    /// Their capacity, Ah.
    pub capacity_ah: f64,
    /// Noise of a voltage reading, mV rms.
    pub noise_mv: f64,
    /// Noise of a temperature reading, K rms.
    pub noise_k: f64,
    /// How long it has been balanced when recording begins, s.
    pub settled_s: u64,
    /// For how long, s.
    pub seconds: u64,
    /// Between two rows, s.
    pub every_s: u64,
    /// Mains are off from here to there, s from the beginning.
    pub outage_s: Option<(u64, u64)>,
    /// Same seed, same rows.
    pub seed: u64,
}

impl Default for Recording {
    fn default() -> Self {
        Self {
            blocks: 32,
            capacity_ah: 40.0,
            noise_mv: 1.0,
            noise_k: 0.1,
            settled_s: 2 * HOUR,
            seconds: 24 * HOUR,
            every_s: 1_200,
            outage_s: None,
            seed: 1,
        }
    }
}

impl Recording {
    /// The rows.
    ///
    /// # Errors
    /// [`ScenarioError`] when no such string can be built.
    ///
    /// # Panics
    /// When the guard refuses settings that are made here.
    pub fn rows(&self) -> Result<Sheet, ScenarioError> {
        let scenario = self.scenario();
        let settings = GuardSettings::parse(&self.settings(&scenario)).expect("checked settings");
        let mut run = Run {
            bus: scenario.bus(Nanos::from_millis(500))?,
            master: Master::new(settings.timing(0), settings.modules_of(0), settings.devices_of(0))
                .expect("checked addresses"),
            control: Control::new(&settings, &Kept::default()),
            cycle: settings.cycle(),
            now: Nanos(0),
        };
        let mut noise = Noise::new(self.seed, THERMISTOR_STREAM);
        let mut sheet = Sheet::default();
        for second in 0..self.settled_s + self.seconds {
            let recorded = second.checked_sub(self.settled_s);
            run.disturb(second, recorded, self.outage_s);
            run.step();
            if let Some(at) = recorded.filter(|at| at.is_multiple_of(self.every_s)) {
                // A task that looks four times a second is a little late.
                let late_ms = noise.below(250) as u64;
                let row = self.row(&run, (BEGINS_S + at) * 1_000 + late_ms, &mut noise);
                sheet.push(&row);
            }
        }
        Ok(sheet)
    }

    fn row(&self, run: &Run, unix_ms: u64, noise: &mut Noise) -> Row {
        let mut snapshot = run.control.snapshot();
        let Some(string) = snapshot.strings.first_mut() else { return Row::default() };
        let mut blocks = std::mem::take(&mut string.blocks);
        for block in &mut blocks {
            let off = 10.0 * self.noise_k * noise.normal();
            block.temperature_dc = block.temperature_dc.saturating_add(off.round() as i16);
        }
        Row::of(unix_ms, string, &blocks, |block| (block.quality, block.temperature_quality))
    }

    fn scenario(&self) -> Scenario {
        let mut scenario = Scenario::demo();
        scenario.seed = self.seed;
        scenario.strings.truncate(1);
        for string in &mut scenario.strings {
            string.blocks = self.blocks;
            string.first_address = 1;
            string.capacity_ah = self.capacity_ah;
            string.float_v_per_cell = 2.27;
            string.initial_spread_v = 0.05;
            string.noise_mv = self.noise_mv;
            string.load_w = self.capacity_ah * 6.0 * f64::from(self.blocks);
        }
        let sensor = DeviceTable {
            address: 1_025,
            kind: "current-200".into(),
            string: 0,
            noise_a: 0.02,
            ..DeviceTable::default()
        };
        scenario.devices = vec![sensor];
        scenario
    }

    fn settings(&self, scenario: &Scenario) -> String {
        let blocks = scenario.strings.first().map_or(0, |string| string.blocks);
        format!(
            "[[bus]]\nport = \"/dev/null\"\n[[battery]]\nname = \"B\"\nchemistry = \"agm\"\n\
             cells = 6\ncapacity_ah = {:?}\n[[device]]\nname = \"I\"\nkind = \"current-200\"\n\
             address = 1025\n[[string]]\nname = \"S\"\nmodule = \"C20\"\nbattery = \"B\"\n\
             first_address = 1\nblocks = {blocks}\ncurrent_sensor = \"I\"\n",
            self.capacity_ah
        )
    }
}

struct Run {
    bus: VirtualBus,
    master: Master,
    control: Control,
    cycle: Nanos,
    now: Nanos,
}

impl Run {
    fn disturb(&mut self, second: u64, recorded: Option<u64>, outage_s: Option<(u64, u64)>) {
        if second.is_multiple_of(HOUR) {
            let turn = (second % (24 * HOUR)) as f64 / (24 * HOUR) as f64 * core::f64::consts::TAU;
            let room_c = 25.0 + ROOM_SWING_K * turn.sin();
            self.bus.plant_mut().set_ambient(room_c, HOUR as f64);
        }
        let (Some(at), Some((off, on))) = (recorded, outage_s) else { return };
        if at == off || at == on {
            self.bus.plant_mut().set_mains(at == on);
        }
    }

    /// One cycle of the guard.
    fn step(&mut self) {
        let end = self.now + self.cycle;
        self.master.start_cycle(end);
        loop {
            match self.master.poll(self.now) {
                Step::Send(bytes) => {
                    let bytes = bytes.to_vec();
                    self.bus.transmit(self.now, &bytes);
                }
                Step::Wait(until) => {
                    self.now = self.bus.next_due().map_or(until, |due| due.clamp(self.now, until));
                    let bytes = self.bus.receive(self.now);
                    self.master.receive(&bytes);
                }
                Step::Scanned => {
                    let wall_s = BEGINS_S + self.now.as_millis() / 1_000;
                    let masters = std::slice::from_mut(&mut self.master);
                    self.control.step(masters, self.now, Some(wall_s));
                }
                Step::Idle => {
                    if self.control.go_on(0, &mut self.master) {
                        continue;
                    }
                    self.control.commanded();
                    break;
                }
            }
        }
        self.now = end.max(self.now);
        self.bus.advance(self.now);
    }
}
