//! Equalization: every block of a floating string is brought to the string's
//! target by bypassing what is above it.
//!
//! A string is a series circuit and its charger holds the sum of the voltages.
//! A block above the mean sheds current through its bypass; the string current
//! rises a little, and the blocks below the mean rise with it. So the only rest
//! point is "all at the mean", and no block is ever pushed by us — only relieved.
//!
//! - [`Config`]: what is known of the string; [`schedule`]: when it is paused.
//! - [`target`]: which blocks make the mean (healthy-mean, with hysteresis);
//!   `warmth`: whose target is lower because the block is warm.
//! - [`Inhibits`], [`Orders`]: when every bypass of the string is off.
//! - `law`: the PI law of a block; `place`: a block with what keeps it off.
//! - [`Feasibility`]: whether these modules can bring this string into the band.
//! - [`ChargerVerdict`], [`Truth`]: what the same readings say about the
//!   charger and about the modules' calibration.
//! - [`Equalizer::step`], the only entry: (scan, phase, orders, state) →
//!   (duties, report, state), once per scan.
//!
//! Theory, gains and limits: facts/battery-science.md §3. Off is the fail-safe:
//! at start, on stale data, in discharge, and in the module itself when no duty
//! comes any more.

mod charger;
mod config;
mod equalizer;
mod feasibility;
mod inhibit;
mod law;
mod place;
mod report;
pub mod schedule;
pub mod target;
mod truth;
mod warmth;

pub use charger::{ChargerCheck, ChargerVerdict};
pub use config::{BlockConfig, Config, HOT_C};
pub use equalizer::Equalizer;
pub use feasibility::Feasibility;
pub use inhibit::{Inhibits, Orders};
pub use report::{Activity, BlockReport, Report};
pub use truth::{Suspicion, Truth};
