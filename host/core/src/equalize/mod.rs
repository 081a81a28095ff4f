//! Equalization: every block of a floating string is brought to the string's
//! target by bypassing what is above it.
//!
//! A string is a series circuit and its charger holds the sum of the voltages.
//! A block above the mean sheds current through its bypass; the string current
//! rises a little, and the blocks below the mean rise with it. So the only rest
//! point is "all at the mean", and no block is ever pushed by us — only relieved.
//!
//! - [`target`]: which blocks make the mean (healthy-mean, with hysteresis).
//! - [`inhibit`]: when every bypass of the string is off.
//! - [`law`]: the PI law and [`Equalizer::step`], the only entry:
//!   (readings, state) → (duties, state), once per scan.
//!
//! Theory, gains and limits: facts/battery-science.md §3. Off is the fail-safe:
//! at start, on stale data, in discharge, and in the module itself when no duty
//! comes any more.

pub mod inhibit;
pub mod law;
pub mod target;

pub use inhibit::Inhibits;
pub use law::{BlockInput, Config, Equalizer, Report};
