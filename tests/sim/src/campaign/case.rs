//! From a seed to a case: strings, what happens to them, and what has to
//! become of it.

use crate::noise::Noise;
use crate::scenario::{DeviceTable, Scenario, ScriptTable, StringTable};
use core::fmt::Write;
use evenkeel_core::battery::ModuleKind;
use evenkeel_core::bus::wire::DEVICE_MIN;
use evenkeel_core::command::Order;
use evenkeel_core::settings::GuardSettings;
use evenkeel_core::time::Nanos;

/// Stream of the seed.
const CASE_STREAM: u64 = 20_000;
const HOUR_S: f64 = 3_600.0;
/// The scale of the thermometers in the strings' air, 4 … 20 mA.
const AIR_LOW_C: f64 = -20.0;
const AIR_HIGH_C: f64 = 80.0;

/// What a thermometer in the air puts on its wire, as a fraction of 20 mA.
#[must_use]
pub fn thermometer(celsius: f64) -> f64 {
    0.2 + 0.8 * (celsius - AIR_LOW_C) / (AIR_HIGH_C - AIR_LOW_C)
}

/// What kind of trouble a case has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// None: every block converges, or the guard says why not.
    Calm,
    /// Large unequal blocks that the bypass cannot hold together.
    OutOfReach,
    /// Mains comes and goes.
    Outage,
    /// Blocks are ill.
    Sick,
    /// Modules vanish, reset, stick; the line is noisy; the guard stalls.
    Unreliable,
    /// Sensors lie, clocks jump.
    Lying,
    /// Hot room, wrong setpoint, old blocks: it runs away.
    Runaway,
    /// Somebody pauses, resumes, tests and measures.
    Ordered,
    /// 512 blocks.
    Large,
}

/// A case.
#[derive(Clone, Debug)]
pub struct Case {
    /// Where it came from.
    pub seed: u64,
    /// Its kind.
    pub kind: Kind,
    /// The world, with its script.
    pub scenario: Scenario,
    /// The guard's cycle, ms.
    pub cycle_ms: u32,
    /// How long it runs.
    pub length: Nanos,
    /// The guard does nothing: (when, how long), ascending.
    pub stalls: Vec<(Nanos, Nanos)>,
    /// Somebody sets the clock: (when, by how many seconds), ascending.
    pub clock_jumps: Vec<(Nanos, i64)>,
    /// What people order, ascending.
    pub orders: Vec<(Nanos, Order)>,
    /// The guard starts anew with what it kept, ascending.
    pub restarts: Vec<Nanos>,
}

impl Case {
    /// The case of a seed, for ever the same.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut draw = Draw(Noise::new(seed, CASE_STREAM));
        let kind = draw.kind();
        let mut case = Self {
            seed,
            kind,
            scenario: Scenario { seed, plant_step_ms: 500, ..Scenario::default() },
            cycle_ms: draw.pick(&[1_000, 2_000, 4_000, 5_000, 8_000]),
            length: Nanos::from_secs(3_600),
            stalls: Vec::new(),
            clock_jumps: Vec::new(),
            orders: Vec::new(),
            restarts: Vec::new(),
        };
        match kind {
            Kind::Calm => case.calm(&mut draw),
            Kind::OutOfReach => case.out_of_reach(&mut draw),
            Kind::Outage => case.outage(&mut draw),
            Kind::Sick => case.sick(&mut draw),
            Kind::Unreliable => case.unreliable(&mut draw),
            Kind::Lying => case.lying(&mut draw),
            Kind::Runaway => case.runaway(&mut draw),
            Kind::Ordered => case.ordered(&mut draw),
            Kind::Large => case.large(&mut draw),
        }
        case.add_devices(&mut draw);
        case
    }

    /// The guard's settings for this world.
    ///
    /// # Panics
    /// When the generator made strings that the guard does not take.
    #[must_use]
    pub fn settings(&self) -> GuardSettings {
        let mut body = format!("cycle_ms = {}\n[[bus]]\nport = \"/dev/null\"\n", self.cycle_ms);
        for (i, string) in self.scenario.strings.iter().enumerate() {
            let cells = string.module.data().lead_cells;
            // Writing to a String does not fail.
            let _ = write!(
                body,
                "[[battery]]\nname = \"B{i}\"\nchemistry = \"agm\"\ncells = {cells}\n\
                 capacity_ah = {:?}\nfloat_v_per_cell = {:?}\n\
                 [[string]]\nname = \"S{i}\"\nmodule = \"{:?}\"\nbattery = \"B{i}\"\n\
                 first_address = {}\nblocks = {}\ncurrent_sensor = \"I{i}\"\n\
                 ambient = \"T{i}.1\"\n[string.breaker]\nrelay = \"X{i}.1\"\ninput = \"X{i}.1\"\n\
                 contact = \"normally_closed\"\nconfirm_ms = 10000\n",
                string.capacity_ah,
                string.float_v_per_cell,
                string.module,
                string.first_address,
                string.blocks
            );
            let first = DEVICE_MIN + 3 * i as u16;
            let sensor = &self.scenario.devices[3 * i].kind;
            for (name, kind, address) in
                [('I', sensor.as_str(), first), ('X', "aux", first + 1), ('T', "site", first + 2)]
            {
                let _ = write!(
                    body,
                    "[[device]]\nname = \"{name}{i}\"\nkind = \"{kind}\"\naddress = {address}\n"
                );
            }
            let _ = write!(
                body,
                "[[device.channel]]\nnumber = 1\nname = \"air\"\nsignal = \"4-20mA\"\n\
                 low = {AIR_LOW_C:?}\nhigh = {AIR_HIGH_C:?}\nunit = \"°C\"\n"
            );
            let _ = write!(
                body,
                "[[test]]\nstrings = [{}]\nrelay = \"X{i}.4\"\n[test.rules]\nfloat_hours = 1\n",
                i + 1
            );
        }
        GuardSettings::parse(&body).expect("a case has valid settings")
    }

    fn calm(&mut self, draw: &mut Draw) {
        self.add_strings(draw, 2, 32);
        self.cycle_ms = self.cycle_ms.min(5_000);
        for string in &mut self.scenario.strings {
            string.capacity_ah = draw.pick(&[7.0, 9.0, 12.0, 26.0, 40.0]);
            string.initial_spread_v = draw.between(0.1, 0.9);
            string.float_v_per_cell = draw.between(2.26, 2.30);
            string.noise_mv = draw.between(0.3, 1.5);
        }
        self.length = hours(3.0);
    }

    fn out_of_reach(&mut self, draw: &mut Draw) {
        self.add_strings(draw, 1, 32);
        for string in &mut self.scenario.strings {
            string.blocks = string.blocks.max(16);
            string.module = ModuleKind::C20;
            string.capacity_ah = draw.pick(&[200.0, 300.0]);
            string.i0_ma_per_ah = draw.between(1.0, 2.0);
            string.sigma = draw.between(0.6, 0.9);
            string.initial_spread_v = 0.3;
        }
        self.length = hours(4.0);
    }

    fn outage(&mut self, draw: &mut Draw) {
        self.add_strings(draw, 3, 24);
        if draw.chance(0.4) {
            self.make_parallel();
        }
        self.length = hours(draw.between(1.0, 3.0));
        let mut at_s = draw.between(60.0, 1_800.0);
        while at_s < self.length.as_secs_f64() {
            self.script(at_s, "mains off".into());
            at_s += draw.between(5.0, 1_500.0);
            self.script(at_s, "mains on".into());
            at_s += draw.between(120.0, 2_400.0);
        }
        if draw.chance(0.3) {
            self.script(draw.between(0.0, 3_000.0), "string 0 boost on".into());
        }
    }

    fn sick(&mut self, draw: &mut Draw) {
        self.add_strings(draw, 2, 32);
        self.length = hours(draw.between(1.0, 3.0));
        for _ in 0..1 + draw.below(3) {
            let address = self.address(draw);
            let severity = draw.between(0.0, 1.0);
            let ohm = 10f64.powf(draw.between(1.3, 2.7));
            let fault = match draw.below(11) {
                0 => "shorted-cells 1".into(),
                1 => "open".into(),
                2 => format!("weak-cell {:.2}", draw.between(0.1, 0.8)),
                3 => format!("dry-out {severity:.2}"),
                4 => format!("sulphation {severity:.2}"),
                5 => format!("corrosion {severity:.2}"),
                6 => format!("loose-link {:.4}", draw.between(0.0002, 0.005)),
                7 => format!("soft-short {ohm:.0}"),
                8 => format!("poor-cooling {:.2}", draw.between(0.3, 0.9)),
                9 => {
                    let at_s = self.sometime(draw);
                    self.script(at_s, format!("module {address} fuse blown"));
                    continue;
                }
                _ => format!("stratification {severity:.2}"),
            };
            let at_s = self.sometime(draw);
            self.script(at_s, format!("block {address} {fault}"));
        }
        if draw.chance(0.2) {
            let (at_s, ohm) = (self.sometime(draw), 10f64.powf(draw.between(2.0, 5.0)));
            self.script(at_s, format!("string 0 ground 2 {ohm:.0}"));
        }
        if draw.chance(0.5) {
            let at_s = self.sometime(draw);
            self.script(at_s, "mains off".into());
            self.script(at_s + draw.between(30.0, 900.0), "mains on".into());
        }
    }

    fn unreliable(&mut self, draw: &mut Draw) {
        self.add_strings(draw, 2, 32);
        self.length = hours(draw.between(1.0, 2.0));
        if draw.chance(0.5) {
            self.script(0.0, format!("bus garble {:.3}", draw.between(0.0, 0.08)));
        }
        for _ in 0..2 + draw.below(6) {
            let address = self.address(draw);
            let (at_s, later_s) = (self.sometime(draw), draw.between(5.0, 1_200.0));
            match draw.below(7) {
                5 => self.restarts.push(Nanos::from_millis((at_s * 1e3) as u64)),
                6 => {
                    let other = self.address(draw);
                    self.script(at_s, format!("module {address} swap {other}"));
                }
                0 => {
                    self.script(at_s, format!("module {address} vanish on"));
                    self.script(at_s + later_s, format!("module {address} vanish off"));
                }
                1 => self.script(at_s, format!("module {address} reset")),
                2 => {
                    self.script(at_s, format!("module {address} stuck on"));
                    self.script(at_s + later_s, format!("module {address} stuck off"));
                }
                3 => self.script(at_s, format!("module {address} garble 0.3")),
                _ => {
                    let from = self.sometime(draw);
                    let time = Nanos::from_millis((1e3 * draw.between(2.0, 600.0)) as u64);
                    self.stalls.push((Nanos::from_millis((from * 1e3) as u64), time));
                }
            }
        }
        self.stalls.sort_unstable();
        self.restarts.sort_unstable();
        if draw.chance(0.5) {
            let at_s = self.sometime(draw);
            self.script(at_s, "mains off".into());
            self.script(at_s + draw.between(30.0, 900.0), "mains on".into());
        }
    }

    fn lying(&mut self, draw: &mut Draw) {
        self.add_strings(draw, 2, 24);
        self.length = hours(draw.between(1.0, 3.0));
        // One liar per string: against two that agree no rule can help.
        for string in 0..self.scenario.strings.len() {
            let table = &self.scenario.strings[string];
            let address = usize::from(table.first_address) + draw.below(table.blocks.into());
            let lie = match draw.below(6) {
                0 => "ntc short".into(),
                1 => "ntc open".into(),
                2 => format!("warm {:.1}", draw.between(5.0, 60.0)),
                3 => format!("gain {:.4}", draw.between(0.98, 1.02)),
                4 => format!("offset {:.0}", draw.between(-300.0, 300.0)),
                _ => "sensor-fault on".into(),
            };
            let at_s = self.sometime(draw);
            self.script(at_s, format!("module {address} {lie}"));
        }
        for _ in 0..draw.below(4) {
            let at_s = self.sometime(draw);
            let by_s = draw.between(-1e8, 1e8) as i64;
            self.clock_jumps.push((Nanos::from_millis((at_s * 1e3) as u64), by_s));
        }
        self.clock_jumps.sort_unstable();
        if draw.chance(0.3) {
            let room_c = draw.between(15.0, 40.0);
            self.script(600.0, format!("ambient {room_c:.1} over 1h"));
        }
    }

    fn runaway(&mut self, draw: &mut Draw) {
        self.add_strings(draw, 1, 16);
        self.cycle_ms = self.cycle_ms.max(4_000);
        let string = &mut self.scenario.strings[0];
        string.module = ModuleKind::C20;
        string.capacity_ah = draw.pick(&[7.0, 40.0, 100.0]);
        string.i0_ma_per_ah = draw.between(3.0, 7.0);
        string.sigma = draw.between(0.1, 0.3);
        string.initial_spread_v = 0.2;
        string.float_v_per_cell = 2.27;
        string.setpoint_error_v_per_cell = draw.between(0.03, 0.12);
        string.limit_c = 0.3;
        string.ambient_c = draw.between(25.0, 35.0);
        string.cooling = draw.between(0.5, 1.0);
        let room_c = draw.between(38.0, 48.0);
        // First an hour as always, so that the guard learns what is usual.
        self.script(3_600.0, format!("ambient {room_c:.1} over 30m"));
        self.length = hours(7.0);
        if draw.chance(0.3) {
            self.restarts.push(hours(draw.between(1.5, 6.0)));
        }
        if draw.chance(0.3) {
            self.script(0.0, format!("string 0 breaker slow {:.1}s", draw.between(0.1, 8.0)));
        }
    }

    fn ordered(&mut self, draw: &mut Draw) {
        self.add_strings(draw, 2, 24);
        self.length = hours(draw.between(2.0, 4.0));
        let strings = self.scenario.strings.len();
        for _ in 0..4 + draw.below(8) {
            let string = 1 + draw.below(strings) as u16;
            let order = match draw.below(5) {
                0 => Order::Pause { string, seconds: draw.between(60.0, 5_000.0) as u32 },
                1 => Order::Resume { string },
                2 | 3 => Order::Test { string },
                _ => Order::StopTest { string },
            };
            self.orders.push((Nanos::from_millis((1e3 * self.sometime(draw)) as u64), order));
        }
        self.orders.sort_unstable_by_key(|(at, _)| *at);
        if draw.chance(0.5) {
            let at_s = self.sometime(draw);
            self.script(at_s, "mains off".into());
            self.script(at_s + draw.between(200.0, 900.0), "mains on".into());
        }
    }

    fn large(&mut self, draw: &mut Draw) {
        let each = draw.pick(&[32, 64, 128]);
        self.scenario.strings = (0..512 / each)
            .map(|i| StringTable {
                blocks: each,
                first_address: 1 + i * each,
                capacity_ah: 40.0,
                load_w: 40.0 * 12.0 * f64::from(each),
                ..StringTable::default()
            })
            .collect();
        self.cycle_ms = self.cycle_ms.max(4_000);
        self.length = Nanos::from_secs(900);
        self.script(300.0, "mains off".into());
        self.script(420.0, "mains on".into());
    }

    fn add_strings(&mut self, draw: &mut Draw, strings: usize, blocks: usize) {
        let mut first_address = 1;
        for _ in 0..=draw.below(strings) {
            let blocks = (4 + draw.below(blocks - 3)) as u16;
            let capacity_ah = draw.pick(&[7.0, 9.0, 12.0, 26.0, 40.0, 65.0, 100.0, 200.0]);
            let module = match draw.chance(0.6) {
                true => ModuleKind::C20,
                false => draw.pick(&ModuleKind::ALL),
            };
            self.scenario.strings.push(StringTable {
                blocks,
                module,
                first_address,
                capacity_ah,
                i0_ma_per_ah: draw.between(0.3, 1.0),
                sigma: draw.between(0.1, 0.4),
                initial_spread_v: draw.between(0.0, 0.9),
                float_v_per_cell: draw.between(2.25, 2.30),
                compensation_mv_per_k: draw.pick(&[0.0, -3.0]),
                // From ten hours to a quarter of an hour.
                load_w: draw.between(0.1, 2.0)
                    * capacity_ah
                    * module.data().nominal_v
                    * f64::from(blocks),
                ambient_c: draw.between(15.0, 32.0),
                neighbour_w_per_k: draw.between(0.0, 0.3),
                age: draw.between(0.0, 0.8),
                noise_mv: draw.between(0.3, 2.0),
                external_sensor: draw.chance(0.7),
                ..StringTable::default()
            });
            first_address += blocks;
        }
    }

    /// Each string gets a current sensor and then an AUX on its breaker.
    fn add_devices(&mut self, draw: &mut Draw) {
        for (string, table) in self.scenario.strings.iter().enumerate() {
            let small = table.capacity_ah <= 26.0;
            let sensor = DeviceTable {
                address: DEVICE_MIN + 3 * string as u16,
                kind: if small { "current-50" } else { "current-200" }.into(),
                string,
                offset_a: 0.02 * draw.0.normal(),
                gain: 1.0 + 0.005 * draw.0.normal(),
                noise_a: 0.01,
            };
            let aux =
                DeviceTable { address: sensor.address + 1, kind: "aux".into(), ..sensor.clone() };
            let site =
                DeviceTable { address: sensor.address + 2, kind: "site".into(), ..sensor.clone() };
            self.scenario.devices.extend([sensor, aux, site]);
        }
    }

    /// All strings on one charger: equal ones, as somebody would build it.
    fn make_parallel(&mut self) {
        let first = self.scenario.strings[0].clone();
        let mut first_address = 1;
        for string in &mut self.scenario.strings {
            *string = StringTable { first_address, bank: Some(1), ..first.clone() };
            first_address += string.blocks;
        }
    }

    /// Some module's address.
    fn address(&self, draw: &mut Draw) -> usize {
        let modules: usize = self.scenario.strings.iter().map(|s| usize::from(s.blocks)).sum();
        1 + draw.below(modules)
    }

    /// Some instant before the last sixth, s.
    fn sometime(&self, draw: &mut Draw) -> f64 {
        draw.between(0.0, self.length.as_secs_f64() * 5.0 / 6.0)
    }

    fn script(&mut self, at_s: f64, line: String) {
        self.scenario.script.push(ScriptTable { at: format!("{at_s:.1}s"), line });
    }
}

fn hours(hours: f64) -> Nanos {
    Nanos::from_secs((hours * HOUR_S) as u64)
}

/// Draws of a case.
struct Draw(Noise);

impl Draw {
    fn kind(&mut self) -> Kind {
        match self.0.unit() {
            x if x < 0.005 => Kind::Large,
            x if x < 0.08 => Kind::Ordered,
            x if x < 0.25 => Kind::Calm,
            x if x < 0.30 => Kind::OutOfReach,
            x if x < 0.48 => Kind::Outage,
            x if x < 0.65 => Kind::Sick,
            x if x < 0.80 => Kind::Unreliable,
            x if x < 0.90 => Kind::Lying,
            _ => Kind::Runaway,
        }
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.0.below(of.len())]
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        self.0.between(low, high)
    }

    fn below(&mut self, count: usize) -> usize {
        self.0.below(count)
    }

    fn chance(&mut self, probability: f64) -> bool {
        self.0.chance(probability)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::World;

    #[test]
    fn every_seed_is_a_valid_case_and_stays_the_same() {
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..300 {
            let case = Case::of(seed);
            World::new(&case.scenario).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
            assert_eq!(case.settings().strings.len(), case.scenario.strings.len());
            assert_eq!(case.scenario, Case::of(seed).scenario);
            seen.insert(case.kind);
        }
        assert!(seen.len() >= 7, "{seen:?}");
    }
}
