//! Estimators: state of charge, capacity and runtime of a string and its
//! blocks. Once per scan: (scan, state) → (estimates, state).
//!
//! - [`StringEstimator::step`]: the only entry.
//! - `charge`: what was drawn and not given back; sensor offset.
//! - `load`: what is fed, at constant power or constant current.
//! - `curve`: the discharge so far in bounded memory.
//! - `shape`, `rate`: what batteries do, from published curves and tables.
//! - `hypothesis`, `solve`: what one of these makes of the discharge so far.
//! - `fit`: which of them this battery does, and how sure that is, in pieces.
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
mod rate;
mod report;
mod shape;
mod solve;

pub use estimator::{Config, StringEstimator, WORK};
pub use report::{BlockEstimate, Learned, LearnedCapacity, StringEstimate};
