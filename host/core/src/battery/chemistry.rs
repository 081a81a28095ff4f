//! Chemistries and the voltages at which a cell of each changes its state.
//!
//! One row per chemistry; facts/battery-science.md §2.5, §3.4, §4. Where that
//! sheet gives a range the middle is taken; everything a maker states
//! otherwise goes into the [`BatteryType`](super::BatteryType).

use serde::{Deserialize, Serialize};

/// What a cell is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Chemistry {
    /// Vented lead-acid.
    Flooded,
    /// Valve-regulated lead-acid with absorbed electrolyte; also what is meant
    /// by "VRLA" and "lead-acid" without more words.
    #[serde(alias = "vrla", alias = "lead-acid")]
    Agm,
    /// Valve-regulated lead-acid with gelled electrolyte.
    Gel,
    /// Nickel-cadmium.
    #[serde(rename = "nicd", alias = "ni-cd")]
    NiCd,
    /// Nickel-metal hydride.
    #[serde(rename = "nimh", alias = "ni-mh")]
    NiMh,
    /// Lithium iron phosphate.
    Lfp,
    /// Lithium with a layered oxide (NMC, NCA, LCO); also "Li-ion" without
    /// more words.
    #[serde(alias = "li-ion")]
    Nmc,
}

/// Voltages per cell at 25 °C.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChemistryData {
    /// Name for people.
    pub name: &'static str,
    /// Nominal voltage of a cell, V.
    pub nominal_v: f64,
    /// Float (or standby) voltage, V; `None` where there is no float at
    /// constant voltage.
    pub float_v: Option<f64>,
    /// Change of the float voltage with temperature, V/K.
    pub float_v_per_k: f64,
    /// Mean voltage above which the string is being boosted, V.
    pub boost_v: f64,
    /// Mean voltage below which the string is being discharged, V.
    pub discharge_v: f64,
    /// Mean voltage from which a discharged string is back at float, V. Below
    /// it bypasses waste charge, and on lithium they balance the wrong thing.
    pub recovered_v: f64,
    /// Open-circuit voltage at rest, full and empty, V.
    pub rest_full_v: f64,
    /// See [`Self::rest_full_v`].
    pub rest_empty_v: f64,
    /// End of a discharge, V.
    pub cutoff_v: f64,
    /// Lowest and highest end that users set, V: lead from the ten-minute
    /// lines of data sheets to a UPS that spares its battery; lithium from
    /// its maker's limit to what a pack's electronics set.
    pub cutoff_range_v: (f64, f64),
    /// Above this a cell is being damaged, V.
    pub max_v: f64,
    /// Lead-acid: has a coup de fouet and Tafel float current.
    pub lead: bool,
    /// Lithium: no float current, flat plateau, fire risk when hot.
    pub lithium: bool,
}

impl Chemistry {
    /// All, for tables and tests.
    pub const ALL: [Self; 7] =
        [Self::Flooded, Self::Agm, Self::Gel, Self::NiCd, Self::NiMh, Self::Lfp, Self::Nmc];

    /// The row of this chemistry.
    #[must_use]
    pub const fn data(self) -> &'static ChemistryData {
        match self {
            Self::Flooded => &FLOODED,
            Self::Agm => &AGM,
            Self::Gel => &GEL,
            Self::NiCd => &NICD,
            Self::NiMh => &NIMH,
            Self::Lfp => &LFP,
            Self::Nmc => &NMC,
        }
    }
}

const FLOODED: ChemistryData = ChemistryData {
    name: "vented lead-acid",
    nominal_v: 2.0,
    float_v: Some(2.23),
    float_v_per_k: -0.003,
    boost_v: 2.335,
    discharge_v: 2.10,
    recovered_v: 2.16,
    rest_full_v: 2.11,
    rest_empty_v: 1.96,
    cutoff_v: 1.75,
    cutoff_range_v: (1.50, 1.95),
    max_v: 2.75,
    lead: true,
    lithium: false,
};
const AGM: ChemistryData = ChemistryData {
    name: "valve-regulated lead-acid (AGM)",
    float_v: Some(2.27),
    discharge_v: 2.15,
    recovered_v: 2.20,
    rest_full_v: 2.158,
    rest_empty_v: 1.95,
    cutoff_v: 1.70,
    max_v: 2.50,
    ..FLOODED
};
const GEL: ChemistryData =
    ChemistryData { name: "valve-regulated lead-acid (gel)", cutoff_v: 1.75, ..AGM };
const NICD: ChemistryData = ChemistryData {
    name: "nickel-cadmium",
    nominal_v: 1.2,
    float_v: Some(1.41),
    float_v_per_k: -0.0025,
    boost_v: 1.455,
    discharge_v: 1.32,
    recovered_v: 1.36,
    rest_full_v: 1.29,
    rest_empty_v: 1.15,
    cutoff_v: 1.05,
    cutoff_range_v: (0.80, 1.20),
    max_v: 1.70,
    lead: false,
    lithium: false,
};
const NIMH: ChemistryData = ChemistryData {
    name: "nickel-metal hydride",
    float_v: None,
    boost_v: 1.50,
    rest_full_v: 1.33,
    max_v: 1.60,
    ..NICD
};
const LFP: ChemistryData = ChemistryData {
    name: "lithium iron phosphate",
    nominal_v: 3.2,
    float_v: Some(3.45),
    float_v_per_k: 0.0,
    boost_v: 3.60,
    discharge_v: 3.30,
    recovered_v: 3.40,
    rest_full_v: 3.34,
    rest_empty_v: 2.90,
    cutoff_v: 2.60,
    cutoff_range_v: (2.00, 3.10),
    max_v: 3.70,
    lead: false,
    lithium: true,
};
const NMC: ChemistryData = ChemistryData {
    name: "lithium-ion (layered oxide)",
    nominal_v: 3.65,
    float_v: Some(4.10),
    boost_v: 4.22,
    discharge_v: 3.95,
    recovered_v: 4.00,
    rest_full_v: 4.10,
    rest_empty_v: 3.30,
    cutoff_v: 3.00,
    cutoff_range_v: (2.50, 3.60),
    max_v: 4.25,
    ..LFP
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn voltages_stand_in_their_order() {
        for chemistry in Chemistry::ALL {
            let d = chemistry.data();
            assert!(d.cutoff_v < d.rest_empty_v && d.rest_empty_v < d.rest_full_v, "{}", d.name);
            assert!(d.discharge_v < d.recovered_v && d.recovered_v < d.boost_v, "{}", d.name);
            assert!(d.boost_v < d.max_v, "{}", d.name);
            let (low_v, high_v) = d.cutoff_range_v;
            assert!(low_v < d.cutoff_v && d.cutoff_v < high_v, "{}", d.name);
            assert!(high_v < d.rest_full_v, "{}", d.name);
            if let Some(float_v) = d.float_v {
                assert!(d.recovered_v < float_v && float_v < d.boost_v, "{}", d.name);
            }
        }
    }
}
