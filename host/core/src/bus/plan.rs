//! The wiring plan: what may hang on one bus, how far, and on which supply
//! (facts/battery-science.md §1.3). An impossible plan is refused with every
//! sum shown.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Own draw of the manager and of the bus converter, mA.
const MANAGER_MA: u32 = 150;
const CONVERTER_MA: u32 = 50;
/// Draw per module, current sensor (and its D/F series), auxiliary device, mA.
const MODULE_MA: u32 = 5;
const SENSOR_MA: u32 = 60;
const SENSOR_DF_MA: u32 = 90;
const AUX_MA: u32 = 170;

/// Most modules of a loop, and the cable lengths, m.
const LOOP_MODULES: u16 = 50;
const PATCH_M: f64 = 0.4;
const LOOP_FROM_SPLITTER_M: f64 = 50.0;
const LOOP_FROM_CONVERTER_M: f64 = 60.0;
const REPEATER_M: f64 = 100.0;
const SPLITTER_M: f64 = 10.0;
const CONVERTER_M: f64 = 2.0;
const SENSOR_M: f64 = 10.0;
const AUX_M: f64 = 50.0;
/// More modules than these need a supply of 3 A.
const SMALL_SUPPLY_MODULES: u32 = 300;
const LARGE_SUPPLY_MA: u32 = 3_000;

/// What a generation of managers can hold on one bus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// 512 modules in 16 strings.
    #[default]
    Current,
    /// 2024 with a supply of 2 A: 360 modules in 16 strings.
    Supply2A,
    /// Direct-current supply of 2.2 A: 392 modules in 16 strings.
    Dc2200,
    /// First ARM generation: 330 modules in 10 strings.
    FirstArm,
    /// 2013 to 2017: 600 modules in 10 strings.
    Until2017,
}

impl Profile {
    /// Most modules and strings.
    #[must_use]
    pub const fn limits(self) -> (u32, u16) {
        match self {
            Self::Current => (512, 16),
            Self::Supply2A => (360, 16),
            Self::Dc2200 => (392, 16),
            Self::FirstArm => (330, 10),
            Self::Until2017 => (600, 10),
        }
    }
}

/// Everything on one bus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WiringPlan {
    /// Generation of the manager.
    #[serde(default)]
    pub profile: Profile,
    /// What the 12 V supply gives, mA.
    pub supply_ma: u32,
    /// Battery strings.
    pub strings: u16,
    /// Cable from the manager to the bus converter, m.
    pub manager_to_converter_m: f64,
    /// Loops of modules.
    #[serde(default, rename = "loop")]
    pub loops: Vec<LoopPlan>,
    /// Current sensors.
    #[serde(default, rename = "current_sensor")]
    pub sensors: Vec<SensorPlan>,
    /// Auxiliary devices.
    #[serde(default, rename = "aux")]
    pub aux: Vec<AuxPlan>,
}

/// A loop of modules.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoopPlan {
    /// Modules on it.
    pub modules: u16,
    /// Longest patch cable between two modules, m.
    pub patch_m: f64,
    /// Cable from the splitter (or converter) to the far end, m.
    pub length_m: f64,
    /// Cable from the converter to the splitter, m; absent: no splitter.
    #[serde(default)]
    pub splitter_m: Option<f64>,
    /// Repeaters in the cable; each adds up to 100 m.
    #[serde(default)]
    pub repeaters: u8,
}

/// A current sensor.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SensorPlan {
    /// Of the D or F series.
    #[serde(default)]
    pub d_or_f: bool,
    /// Cable to the manager, m.
    pub cable_m: f64,
}

/// An auxiliary device.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuxPlan {
    /// Longest wire of its contacts, m.
    pub contacts_m: f64,
}

/// What is impossible about a plan. Its text shows the sum.
#[derive(Clone, Debug, PartialEq)]
pub enum Violation {
    /// More current than the supply gives.
    Current {
        /// Modules.
        modules: u32,
        /// Current sensors, without those of the D/F series.
        sensors: u32,
        /// Current sensors of the D/F series.
        sensors_df: u32,
        /// Auxiliary devices.
        aux: u32,
        /// What they draw, mA.
        needs_ma: u32,
        /// What there is, mA.
        supply_ma: u32,
    },
    /// More modules than a supply below 3 A may feed.
    SmallSupply {
        /// Modules.
        modules: u32,
        /// What there is, mA.
        supply_ma: u32,
    },
    /// More than the manager can hold.
    Count {
        /// Of what.
        what: &'static str,
        /// How many each loop has, or the one number.
        parts: Vec<u32>,
        /// How many are possible.
        most: u32,
    },
    /// A loop has too many modules.
    LoopModules {
        /// Which loop, from 1.
        number: usize,
        /// Its modules.
        modules: u16,
    },
    /// A loop without a splitter beside others.
    NoSplitter {
        /// Loops that hang on the converter directly.
        direct: usize,
    },
    /// A cable is too long, or its length is no length.
    Length {
        /// Which cable.
        what: &'static str,
        /// Number of its loop, sensor or device, from 1; 0 when there is one.
        number: usize,
        /// Its length, m.
        length_m: f64,
        /// Allowed, m.
        most_m: f64,
        /// Of these, by a repeater each 100 m.
        repeaters: u8,
    },
}

impl WiringPlan {
    /// All that is impossible about it; empty when it can be built.
    #[must_use]
    pub fn check(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        self.check_current(&mut found);
        self.check_counts(&mut found);
        for (index, one) in self.loops.iter().enumerate() {
            one.check(index + 1, &mut found);
        }
        length(&mut found, "manager to converter", 0, self.manager_to_converter_m, CONVERTER_M);
        for (index, sensor) in self.sensors.iter().enumerate() {
            length(&mut found, "current sensor", index + 1, sensor.cable_m, SENSOR_M);
        }
        for (index, aux) in self.aux.iter().enumerate() {
            length(&mut found, "contacts of auxiliary device", index + 1, aux.contacts_m, AUX_M);
        }
        found
    }

    /// Modules of all loops.
    #[must_use]
    pub fn modules(&self) -> u32 {
        self.loops.iter().map(|l| u32::from(l.modules)).sum()
    }

    /// What everything on the bus draws, mA.
    #[must_use]
    pub fn needs_ma(&self) -> u32 {
        let sensors = self.sensors.iter().map(|s| if s.d_or_f { SENSOR_DF_MA } else { SENSOR_MA });
        MANAGER_MA
            + CONVERTER_MA
            + MODULE_MA * self.modules()
            + sensors.sum::<u32>()
            + AUX_MA * self.aux.len() as u32
    }

    fn check_current(&self, found: &mut Vec<Violation>) {
        let (modules, supply_ma, needs_ma) = (self.modules(), self.supply_ma, self.needs_ma());
        if needs_ma > supply_ma {
            let sensors_df = self.sensors.iter().filter(|s| s.d_or_f).count() as u32;
            let sensors = self.sensors.len() as u32 - sensors_df;
            let aux = self.aux.len() as u32;
            found.push(Violation::Current {
                modules,
                sensors,
                sensors_df,
                aux,
                needs_ma,
                supply_ma,
            });
        }
        if modules > SMALL_SUPPLY_MODULES && supply_ma < LARGE_SUPPLY_MA {
            found.push(Violation::SmallSupply { modules, supply_ma });
        }
    }

    fn check_counts(&self, found: &mut Vec<Violation>) {
        let (most_modules, most_strings) = self.profile.limits();
        if self.modules() > most_modules {
            let parts = self.loops.iter().map(|l| l.modules.into()).collect();
            found.push(Violation::Count { what: "modules", parts, most: most_modules });
        }
        if self.strings == 0 || self.strings > most_strings {
            let parts = vec![self.strings.into()];
            found.push(Violation::Count { what: "strings", parts, most: most_strings.into() });
        }
        let direct = self.loops.iter().filter(|l| l.splitter_m.is_none()).count();
        if direct > 0 && self.loops.len() > 1 {
            found.push(Violation::NoSplitter { direct });
        }
    }
}

impl LoopPlan {
    fn check(&self, number: usize, found: &mut Vec<Violation>) {
        if self.modules == 0 || self.modules > LOOP_MODULES {
            found.push(Violation::LoopModules { number, modules: self.modules });
        }
        length(found, "patch cable of loop", number, self.patch_m, PATCH_M);
        let bare = match self.splitter_m {
            Some(splitter_m) => {
                length(found, "splitter of loop", number, splitter_m, SPLITTER_M);
                LOOP_FROM_SPLITTER_M
            }
            None => LOOP_FROM_CONVERTER_M,
        };
        let most_m = bare + REPEATER_M * f64::from(self.repeaters);
        if !within(self.length_m, most_m) {
            found.push(Violation::Length {
                what: "loop",
                number,
                length_m: self.length_m,
                most_m,
                repeaters: self.repeaters,
            });
        }
    }
}

fn within(length_m: f64, most_m: f64) -> bool {
    (0.0..=most_m).contains(&length_m)
}

fn length(
    found: &mut Vec<Violation>,
    what: &'static str,
    number: usize,
    length_m: f64,
    most_m: f64,
) {
    if !within(length_m, most_m) {
        found.push(Violation::Length { what, number, length_m, most_m, repeaters: 0 });
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Current { modules, sensors, sensors_df, aux, needs_ma, supply_ma } => {
                write!(f, "current: {MANAGER_MA} + {CONVERTER_MA} + {MODULE_MA}·{modules}")?;
                for (each, count) in
                    [(SENSOR_MA, sensors), (SENSOR_DF_MA, sensors_df), (AUX_MA, aux)]
                {
                    if *count > 0 {
                        write!(f, " + {each}·{count}")?;
                    }
                }
                let (needs, gives) = (Grouped(*needs_ma), Grouped(*supply_ma));
                write!(f, " = {needs} mA, the supply gives {gives} mA")
            }
            Self::SmallSupply { modules, supply_ma } => write!(
                f,
                "supply: {modules} modules are more than {SMALL_SUPPLY_MODULES} and need {} mA, \
                 the supply gives {} mA",
                Grouped(LARGE_SUPPLY_MA),
                Grouped(*supply_ma)
            ),
            Self::Count { what, parts, most } => {
                let sum: u32 = parts.iter().sum();
                write!(f, "{what}: ")?;
                if parts.len() > 1 {
                    for (i, part) in parts.iter().enumerate() {
                        write!(f, "{}{part}", if i == 0 { "" } else { " + " })?;
                    }
                    write!(f, " = ")?;
                }
                write!(f, "{sum}; 1 … {most} are possible")
            }
            Self::LoopModules { number, modules } => {
                write!(f, "loop {number}: {modules} modules; 1 … {LOOP_MODULES} are possible")
            }
            Self::NoSplitter { direct } => write!(
                f,
                "{direct} of several loops without a splitter: only a single loop may hang on \
                 the converter itself"
            ),
            Self::Length { what, number, length_m, most_m, repeaters } => {
                write!(f, "{what}")?;
                if *number > 0 {
                    write!(f, " {number}")?;
                }
                write!(f, ": {length_m} m; at most ")?;
                if *repeaters > 0 {
                    let bare = most_m - REPEATER_M * f64::from(*repeaters);
                    write!(f, "{bare} + {repeaters}·{REPEATER_M} = ")?;
                }
                write!(f, "{most_m} m")
            }
        }
    }
}

/// A number with commas between its thousands.
struct Grouped(u32);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 1_000, self.0 % 1_000) {
            (0, rest) => write!(f, "{rest}"),
            (thousands, rest) => write!(f, "{},{rest:03}", Grouped(thousands)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 512 modules in 11 loops, 16 sensors, 4 auxiliary devices on 3 A.
    fn plan() -> WiringPlan {
        let one = LoopPlan {
            modules: 47,
            patch_m: 0.4,
            length_m: 50.0,
            splitter_m: Some(10.0),
            repeaters: 0,
        };
        let mut loops = vec![one; 11];
        loops[0].modules = 42;
        WiringPlan {
            profile: Profile::Current,
            supply_ma: 3_000,
            strings: 16,
            manager_to_converter_m: 2.0,
            loops,
            sensors: vec![SensorPlan { d_or_f: false, cable_m: 10.0 }; 16],
            aux: vec![AuxPlan { contacts_m: 50.0 }; 4],
        }
    }

    fn says(plan: &WiringPlan) -> Vec<String> {
        plan.check().iter().map(Violation::to_string).collect()
    }

    #[test]
    fn the_full_bus_needs_more_than_three_amperes() {
        assert_eq!(
            says(&plan()),
            ["current: 150 + 50 + 5·512 + 60·16 + 170·4 = 4,400 mA, the supply gives 3,000 mA"]
        );
        assert_eq!(plan().needs_ma(), 4_400);
        assert!(WiringPlan { supply_ma: 4_400, ..plan() }.check().is_empty());
    }

    #[test]
    fn sensors_of_the_d_and_f_series_draw_more() {
        let mut plan = plan();
        plan.sensors.iter_mut().for_each(|s| s.d_or_f = true);
        plan.aux.clear();
        assert_eq!(
            says(&plan),
            ["current: 150 + 50 + 5·512 + 90·16 = 4,200 mA, the supply gives 3,000 mA"]
        );
    }

    #[test]
    fn counts_are_refused_with_their_sum() {
        let mut plan = WiringPlan { supply_ma: 9_000, strings: 17, ..plan() };
        plan.loops[0].modules = 51;
        let sum = vec!["51"].into_iter().chain(vec!["47"; 10]).collect::<Vec<_>>().join(" + ");
        assert_eq!(
            says(&plan),
            [
                format!("modules: {sum} = 521; 1 … 512 are possible"),
                "strings: 17; 1 … 16 are possible".into(),
                "loop 1: 51 modules; 1 … 50 are possible".into(),
            ]
        );
        plan.profile = Profile::Until2017;
        plan.strings = 10;
        assert_eq!(plan.check().len(), 1, "older editions held 600");
    }

    #[test]
    fn a_small_supply_does_not_feed_a_large_bus() {
        let mut plan = WiringPlan { supply_ma: 2_000, ..plan() };
        plan.sensors.clear();
        plan.aux.clear();
        plan.loops.truncate(7);
        assert_eq!(
            says(&plan),
            ["supply: 324 modules are more than 300 and need 3,000 mA, the supply gives 2,000 mA"]
        );
        plan.loops.truncate(6);
        assert!(plan.check().is_empty());
    }

    #[test]
    fn lengths_are_checked_one_by_one() {
        let mut plan = WiringPlan { supply_ma: 5_000, manager_to_converter_m: 2.5, ..plan() };
        plan.loops[2] = LoopPlan { length_m: 151.0, repeaters: 1, ..plan.loops[2] };
        plan.loops[3].patch_m = f64::NAN;
        plan.loops[4].splitter_m = Some(11.0);
        plan.loops[5].splitter_m = None;
        plan.sensors[1].cable_m = 12.0;
        plan.aux[3].contacts_m = -1.0;
        assert_eq!(
            says(&plan),
            [
                "1 of several loops without a splitter: only a single loop may hang on the \
                 converter itself",
                "loop 3: 151 m; at most 50 + 1·100 = 150 m",
                "patch cable of loop 4: NaN m; at most 0.4 m",
                "splitter of loop 5: 11 m; at most 10 m",
                "manager to converter: 2.5 m; at most 2 m",
                "current sensor 2: 12 m; at most 10 m",
                "contacts of auxiliary device 4: -1 m; at most 50 m",
            ]
        );
    }

    #[test]
    fn a_file_is_read_strictly() {
        let text = "supply_ma = 3000\nstrings = 1\nmanager_to_converter_m = 1.0\n\
                    [[loop]]\nmodules = 32\npatch_m = 0.3\nlength_m = 60.0\n\
                    [[current_sensor]]\ncable_m = 3.0\n[[aux]]\ncontacts_m = 5.0\n";
        let plan: WiringPlan = toml::from_str(text).expect("valid");
        assert!(plan.check().is_empty());
        assert_eq!(plan.needs_ma(), 150 + 50 + 160 + 60 + 170);
        let misspelt = text.replace("patch_m", "patch");
        assert!(toml::from_str::<WiringPlan>(&misspelt).is_err());
    }
}
