//! Estimators: state of charge, capacity and runtime of a string and its
//! blocks. Once per scan: (scan, state) → (estimates, state).
//!
//! - [`StringEstimator::step`]: the only entry.
//! - `charge`: what was drawn and not given back; sensor offset.
//! - `load`: what is fed, at constant power or constant current.
//! - `curve`: the discharge so far in bounded memory.
//! - `shape`, `open_circuit`, `rate`: what batteries do, from published curves and tables.
//! - `hypothesis`, `solve`: what one of these makes of the discharge so far.
//! - `fit`: which of them this battery does, and how sure that is, in pieces.
//! - `promise`: the runtime that is shown, which never rises.
//! - `belief`: what is believed before a discharge, and kept from it.
//!
//! # What it assumes
//! - Blocks in series carry one current; parallel strings are separate.
//! - Capacity is the rated one's equal: Ah at the rated time and 25 °C to the
//!   type's end voltage. From another rate and temperature it is converted
//!   with the maker's table, else with that of a typical block.
//! - State of charge is charge: 1 − (missing Ah / capacity). A battery that a
//!   strong load brought to its cut-off is not at 0 %.
//! - Runtime is at the present load, to the cut-off of the first block or of
//!   the string. Under a constant load it never rises.
//! - Before anything was learned, a battery most likely has nine tenths of its
//!   rated capacity, give or take a sixth; the spread says so.
//! - The capacity that is reported twice is one quantity at two loads: the
//!   rated one's equal (what is learned and compared over the years), and what
//!   this discharge delivers (what its Ah counter reads at the cut-off).
//!
//! Theory and the figures it is judged by: facts/battery-science.md §2.4–2.6, §5.

mod belief;
mod charge;
mod curve;
mod estimator;
mod fit;
mod hypothesis;
mod load;
mod open_circuit;
mod promise;
mod rate;
mod report;
mod shape;
mod solve;

pub use estimator::{Config, StringEstimator, WORK};
pub use report::{BlockEstimate, Learned, LearnedCapacity, StringEstimate};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::battery::{BatteryType, Chemistry};
    use crate::scan::{BlockScan, Phase, StringScan};
    use crate::time::Nanos;

    #[test]
    #[ignore = "times the guard's share of a scan; in release"]
    fn cost_of_a_scan_with_sixteen_strings() {
        for chemistry in [Chemistry::Agm, Chemistry::Lfp, Chemistry::Nmc] {
            let battery = BatteryType::new(chemistry, 1, 100.0);
            let config = Config { work: WORK / 16, ..Config::new(battery, 32) };
            let one = StringEstimator::new(config, &Learned::default());
            let mut all: Vec<StringEstimator> = vec![one; 16];
            let full_v = chemistry.data().rest_full_v;
            let mut times_ms = Vec::new();
            for second in 0..1_200_u64 {
                let cell_v = full_v - 0.1 - 1e-4 * second as f64;
                let now = [BlockScan { voltage_v: Some(cell_v), ..BlockScan::default() }; 32];
                let scan = StringScan {
                    now: Nanos(0),
                    wall_s: None,
                    blocks: &now,
                    current_a: Some(-100.0),
                    string_v: None,
                    ambient_c: Some(25.0),
                };
                let before = std::time::Instant::now();
                for string in &mut all {
                    string.step(
                        &StringScan { now: Nanos::from_secs(second), ..scan },
                        Phase::Discharge,
                    );
                }
                times_ms.push(1e3 * before.elapsed().as_secs_f64());
            }
            times_ms.sort_by(f64::total_cmp);
            let mean_ms = times_ms.iter().sum::<f64>() / times_ms.len() as f64;
            // The longest few are the scheduler's.
            let (long_ms, longest_ms) = (times_ms[1_190], times_ms[1_199]);
            println!(
                "{chemistry:?}: {mean_ms:.2} ms a scan, 99 % below {long_ms:.2} ms, at most {longest_ms:.2} ms"
            );
            assert!(long_ms < 5.0, "{chemistry:?}: {long_ms} ms");
        }
    }
}
