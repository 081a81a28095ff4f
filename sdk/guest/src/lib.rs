//! The guest crate: what a plugin author needs to write a device driver.
//!
//! A driver is a table first, code second (facts/ups-serial-protocols.md §0 has
//! the rules that hold for every serial family; `plugins/megatec` is the model):
//!
//! * [`table`] holds requests and rows as data and decodes a reply into
//!   [`Update`]s. Pure.
//! * [`session`] runs a [`Family`](session::Family): opens the line, identifies
//!   the device, polls, retries, says when it is lost and starts again.
//! * [`host`] is what the appliance offers, as traits: a test puts a recording
//!   behind them, the `wasm` module the real imports.
//! * [`testkit`] (native only) replays recorded exchanges whole, cut, garbled,
//!   late and silent.
//! * [`register_driver!`] turns a [`Driver`] into the exports of the world
//!   `evenkeel:driver/device-driver`.
//!
//! **Invariant:** nothing outside the `wasm` module knows of WebAssembly, so
//! every decision of a driver runs in an ordinary test.

pub mod host;
pub mod session;
pub mod settings;
pub mod table;
#[cfg(not(target_arch = "wasm32"))]
pub mod testkit;
#[cfg(target_arch = "wasm32")]
pub mod wasm;

pub use host::{Host, Level, Line, Parity, Port, PortError, Quality, ReplyEnd, Update, Value};
pub use settings::Settings;

/// A device driver. One instance serves one device.
pub trait Driver: Sized {
    /// Called once. Reads the settings; does not touch the device, which may
    /// well be switched off.
    ///
    /// # Errors
    /// A sentence for the administrator, who must change a setting.
    fn start(settings: Settings) -> Result<Self, String>;

    /// Called again and again. Returns the milliseconds to wait before the
    /// next call; the host clamps them to 100 … 60,000.
    fn poll(&mut self, host: &mut dyn Host) -> u32;
}

/// Export `$driver`, which implements [`Driver`], as this plugin's component.
///
/// Natively it expands to nothing, so that the same crate can be tested.
#[macro_export]
macro_rules! register_driver {
    ($driver:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::wasm::bindings::exports::evenkeel::driver::device::{Guest, Setting};

            struct Exports;

            ::std::thread_local! {
                static DRIVER: ::std::cell::RefCell<Option<$driver>> =
                    const { ::std::cell::RefCell::new(None) };
            }

            impl Guest for Exports {
                fn start(settings: Vec<Setting>) -> Result<(), String> {
                    let driver = $crate::wasm::start::<$driver>(settings)?;
                    DRIVER.with_borrow_mut(|slot| *slot = Some(driver));
                    Ok(())
                }

                fn poll() -> u32 {
                    DRIVER.with_borrow_mut(|slot| $crate::wasm::poll(slot.as_mut()))
                }
            }

    $crate::wasm::bindings::export!(Exports with_types_in $crate::wasm::bindings);
        };
    };
}
