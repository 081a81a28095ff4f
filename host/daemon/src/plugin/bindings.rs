//! The host's side of the interfaces in `wit/since-0.1`, as `bindgen!` makes
//! it, and their names.
//!
//! A folder of a later version gets a module beside this one; the rest of the
//! daemon sees only the newest (facts/wasm-host.md §4.2).

pub use generated::evenkeel::{clock, log, points, serial};
pub use generated::exports::evenkeel::driver::device::Setting;
pub use generated::{DeviceDriver, DeviceDriverPre};

/// The world that a driver is built for.
pub const DEVICE_DRIVER: &str = "evenkeel:driver/device-driver@0.1.0";
/// Logging.
pub const LOG: &str = "evenkeel:log/log@0.1.0";
/// The monotonic clock.
pub const CLOCK: &str = "evenkeel:clock/clock@0.1.0";
/// Serial lines.
pub const SERIAL: &str = "evenkeel:serial/serial@0.1.0";
/// Publishing measured values.
pub const POINTS: &str = "evenkeel:points/points@0.1.0";

// The macro's type conversions are `unsafe impl`s that promise a memory layout
// which the macro itself derives from the WIT; nothing of ours is in there.
#[allow(unsafe_code, missing_docs, clippy::all)]
mod generated {
    wasmtime::component::bindgen!({
        path: [
            "../../wit/since-0.1/log",
            "../../wit/since-0.1/clock",
            "../../wit/since-0.1/serial",
            "../../wit/since-0.1/points",
            "../../wit/since-0.1/driver",
        ],
        world: "evenkeel:driver/device-driver@0.1.0",
        imports: { "evenkeel:serial/serial": trappable },
        with: { "evenkeel:serial/serial.port": crate::caps::serial::Port },
    });
}
