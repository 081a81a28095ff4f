//! Protection: what is wrong with a string, when to open its breaker, and what
//! the box shows of it. Pure; the guard steps it once per scan and drives the
//! outputs in the same cycle, so that a trip is decided and sent within one
//! scan of its hold time whatever else the machine is doing.
//!
//! - [`condition`]: the things that can be wrong, levels and sets.
//! - [`hold`]: hold times and two-level limits. What is not measured decides nothing.
//! - [`limits`]: everything that can be set.
//! - [`runaway`]: the rule that trips. `thermometer` judges each sensor,
//!   [`float_current`] learns what is usual.
//! - [`faults`](self#faults): faults by their signature.
//! - [`breaker`]: opening it, confirming that, and what if it does not open.
//! - [`string`]: one string, the only entry: [`StringProtection::step`].
//! - [`annunciator`]: alarm relay, buzzer, LED for the whole box.
//!
//! # Conditions
//! Defaults; W warning, A alarm, per cell where V are said (12 V block: × 6).
//! Source: § of facts/battery-science.md.
//!
//! | condition | limit | delay | what happens | § |
//! |---|---|---|---|---|
//! | block voltage high | W ¾ of the way from boost to harmful, A harmful (AGM 2.46, 2.50 V) | 10 s | alarm | 1.5, 2.5 |
//! | block voltage low | A end of discharge (AGM 1.70 V), W a quarter towards empty | 5 s | alarm | 2.5 |
//! | block far from the median, on float | W 0.05 V, A 0.10 V | 10 min | alarm | 4 |
//! | voltage, temperature not measurable; sensor implausible; module lost | W 30 s, A 120 s | | alarm | 1.5, 2.9 |
//! | temperature high, low | W 40, A 50 °C; W 5, A 0 °C | 30 s; 5 min | alarm | 4 |
//! | warmer than air or median, on float | W 8 K, A 10 K | 60 s | alarm, bypass off | 4 |
//! | keeps heating, on float | A 1.5 K/h beyond the air's | 1 h | alarm, bypass off | 4 |
//! | float current | W 2 ×, A 3 × learned | 5 min | alarm, bypass off | 4 |
//! | **thermal runaway** | see [`runaway`] | 5 min | **trip**, latched | 2.7, 4 |
//! | resistance over baseline | notice 20, W 30, A 50, critical 100 %; W −30 % | 2 measurements | alarm | 4 |
//! | string voltage | as a block's | as a block's | alarm | 1.5 |
//! | charge, discharge current | W 0.3, A 0.4 A/Ah; none | 60 s | alarm | 1.5 |
//!
//! ## Faults
//! | condition | signature | delay | what happens | § |
//! |---|---|---|---|---|
//! | open cell or link | no current, others relaxed, one beyond range or the string voltage in no block | 10 s | alarm | 2.9 |
//! | shorted cell | on float 0.6 cells below the median | 60 s | alarm | 2.9 |
//! | reversed cell | falls 0.85 cells below the median in discharge | 10 s | alarm | 2.6, 2.9 |
//! | loose link | W 5, A 10 mΩ between blocks and string terminals, under load | 5 s | alarm | 2.9 |
//! | sum of blocks ≠ string voltage, on float | W 1 %, A 2 % | 10 min | alarm | 2.9, 2.10 |
//! | reading stuck | < 0.5 mV while the median moves 5 mV per cell | 5 min | warning | 2.9 |
//! | ground fault | W 10, A 30 mA by its sensor | 10 s | alarm | 2.9 |
//! | equalizing error | told by the equalizer | its own | alarm | 1.5, 2.10 |
//!
//! ## Breaker
//! | condition | when | what happens |
//! |---|---|---|
//! | tripped | from the trip to a person's reset | alarm, bypass off; closed by hand: trips again |
//! | did not open | no confirmation after 3 attempts of 2 s | alarm, escalation relay, tried every minute |
//! | not confirmed | told to open, has no input | alarm |
//! | open, not from here | its input says so | warning |
//!
//! # Restart
//! A trip and the learned float current come back by [`Latch`]; every hold
//! time and filter starts anew, so nothing trips on half-filled filters.

pub mod annunciator;
mod block;
pub mod breaker;
pub mod condition;
mod faults;
pub mod float_current;
pub mod hold;
pub mod limits;
mod look;
pub mod report;
pub mod runaway;
pub mod string;
#[cfg(test)]
mod tests;
mod thermometer;

pub use annunciator::{Annunciation, Annunciator, AnnunciatorSettings, General, Hands, Signal};
pub use breaker::{BreakerSettings, BreakerState, Contact, Drive};
pub use condition::{Condition, Conditions, Findings, Level};
pub use float_current::Learned;
pub use hold::Limit;
pub use limits::{Limits, LimitsError, ResistanceLimits, RunawayLimits};
pub use report::{Relays, Report, Worst};
pub use runaway::{Trip, TripCause};
pub use string::{Config, Inputs, Latch, StringProtection};
