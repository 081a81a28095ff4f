//! What is known about batteries before anything is measured: what each type
//! of bus module can read, what each chemistry does, and what the maker of a
//! block states.

mod battery_type;
mod catalogue;
mod chemistry;
mod module_type;

pub use battery_type::{BatteryType, BatteryTypeError, DischargePoint};
pub use catalogue::catalogue;
pub use chemistry::{Chemistry, ChemistryData};
pub use module_type::{ModuleKind, ModuleType, TEMPERATURE_DC};
