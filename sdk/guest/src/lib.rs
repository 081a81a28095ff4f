//! The guest crate: what a plugin author needs.
//!
//! A driver is a table first, code second (facts/ups-serial-protocols.md §0 has
//! the rules that hold for every serial family; `plugins/template` is the start
//! of a new one, `plugins/megatec` the model):
//!
//! * [`table`] holds requests, rows and commands as data, decodes a reply into
//!   [`Update`]s and spells a command. Pure.
//! * [`session`] runs a [`Family`](session::Family): opens the line, identifies
//!   the device, polls by plan, retries, says when it is lost and starts again.
//! * [`worlds`] has one trait for each kind of plugin: [`Driver`], [`Gateway`],
//!   [`Notifier`], [`Authenticator`], [`LicenceGate`], all above [`Plugin`].
//! * [`host`] is what the appliance offers, one trait for each interface; a
//!   plugin names in its bounds what it uses.
//! * [`testkit`] (native only) has doubles of all of them, and replays recorded
//!   exchanges whole and with every fault of the way: lines, network, USB, contacts.
//! * [`register_driver!`] and its sisters turn a plugin into the exports of its
//!   world.
//!
//! **Invariant:** nothing outside the `wasm` module knows of WebAssembly, so
//! every decision of a plugin runs in an ordinary test.

pub mod host;
#[cfg(all(feature = "run", not(target_arch = "wasm32")))]
pub mod run;
pub mod session;
pub mod settings;
pub mod table;
#[cfg(not(target_arch = "wasm32"))]
pub mod testkit;
#[cfg(target_arch = "wasm32")]
pub mod wasm;
pub mod worlds;

pub use host::{Level, Line, Parity, Port, PortError, Quality, ReplyEnd, Update, Value};
pub use settings::Settings;
pub use table::{Command, CommandError};
pub use worlds::{Authenticator, Driver, Gateway, LicenceGate, Notifier, Plugin};
