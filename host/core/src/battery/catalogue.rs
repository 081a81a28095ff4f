//! Blocks as they are commonly built, by chemistry, voltage and capacity: a start
//! for whoever sets an appliance up. They are nobody's in particular; what a data
//! sheet says besides (float voltage, resistance, discharge tables) is added then.

use super::{BatteryType, Chemistry};

/// Chemistry, its name, cells of a block and its voltage, and capacities in Ah.
const ROWS: [(Chemistry, &str, u8, u8, &[u16]); 9] = [
    (Chemistry::Agm, "AGM", 6, 12, &[7, 9, 12, 18, 26, 40, 55, 65, 80, 100, 120, 150, 200]),
    (Chemistry::Agm, "AGM", 3, 6, &[4, 12, 100, 180, 200]),
    (Chemistry::Agm, "AGM", 1, 2, &[200, 300, 400, 500, 600, 800, 1_000]),
    (Chemistry::Gel, "Gel", 6, 12, &[50, 60, 75, 100, 120]),
    (Chemistry::Gel, "Gel OPzV", 1, 2, &[200, 300, 420, 500, 600, 800, 1_000, 1_500, 2_000, 3_000]),
    (Chemistry::Flooded, "OPzS", 1, 2, &[200, 300, 420, 600, 800, 1_000, 1_500, 2_000, 3_000]),
    (Chemistry::Flooded, "OPzS", 3, 6, &[150, 200, 250, 300]),
    (Chemistry::NiCd, "NiCd", 10, 12, &[20, 50, 100, 200]),
    (Chemistry::Lfp, "LFP", 4, 12, &[20, 50, 100, 200]),
];

/// All of them, each under a name of its own.
pub fn catalogue() -> impl Iterator<Item = BatteryType> {
    ROWS.into_iter().flat_map(|(chemistry, word, cells, volts, capacities)| {
        capacities.iter().map(move |ah| BatteryType {
            name: format!("{word} {volts} V {ah} Ah"),
            // The capacity of large cells is stated for ten hours.
            rated_hours: if cells == 1 { 10.0 } else { 20.0 },
            ..BatteryType::new(chemistry, cells, f64::from(*ah))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::battery::ModuleKind;

    #[test]
    fn every_entry_is_valid_has_its_own_name_and_fits_a_module() {
        let all: Vec<_> = catalogue().collect();
        for (at, battery) in all.iter().enumerate() {
            battery.check().unwrap_or_else(|e| panic!("{}: {e}", battery.name));
            assert!(all[..at].iter().all(|other| other.name != battery.name), "{}", battery.name);
            let near =
                |kind: &ModuleKind| (kind.data().nominal_v / battery.nominal_v() - 1.0).abs() < 0.1;
            assert!(ModuleKind::ALL.iter().any(near), "{}", battery.name);
        }
    }
}
