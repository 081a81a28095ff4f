//! What the appliance offers to a plugin: one trait for each interface of
//! `wit/`, and plain types.
//!
//! A plugin is generic over its host `H` and names in its bounds what it uses:
//! `impl<H: Log + Points + Serial> Plugin<H> for Megatec`. So the compiler
//! proves which permissions a plugin needs, a component imports nothing else,
//! and a test puts a [`testkit::Bench`](crate::testkit::Bench) behind all of
//! them. On the appliance `H` is `wasm::Appliance`.
//!
//! Every call can fail for want of a grant, and says so in words for people.
//! Sizes, times and rates are bounded by the host; the bounds stand at each
//! call.

// Define the error type of an interface: a code out of an open set, and words.
macro_rules! error {
    ($(#[$doc:meta])* $name:ident { $($(#[$code_doc:meta])* $code:ident = $value:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            /// One of the constants of this type; others may appear later.
            pub code: u32,
            /// The host's words, for people.
            pub detail: String,
        }

        impl $name {
            $($(#[$code_doc])* pub const $code: u32 = $value;)*

            /// An error with this code.
            #[must_use]
            pub fn new(code: u32, detail: impl Into<String>) -> Self {
                Self { code, detail: detail.into() }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.detail)
            }
        }

        impl std::error::Error for $name {}
    };
}

mod appliance;
mod device;
mod net;
mod points;
mod serial;
mod snmp;

use std::fmt;

pub use appliance::{
    Clock, Commands, Config, Crypto, CryptoError, Event, Events, EventsError, Kv, KvError, Offer,
    OfferParameter, Random, Secret, Setting, TellError,
};
pub use device::{Contact, Contacts, ContactsError, Hid, HidDevice, HidError, Measurement};
pub use net::{Connection, Datagrams, Net, NetError, Server, ServerError, Transport};
pub use points::{Point, Points, Quality, Reader, ReaderError, State, Update, Value, number};
pub use serial::{Line, Lines, Parity, Port, PortError, ReplyEnd, Serial};
pub use snmp::{Agent, Binding, Oid, Snmp, SnmpError, SnmpValue};

/// Telling a person (`evenkeel:log`). Needs no permission.
pub trait Log {
    /// Write one line of at most 1,024 bytes. Over quota it is dropped.
    fn log(&mut self, level: Level, message: &str);
}

/// What a driver of a serial device uses; implemented by whatever has it all.
pub trait SerialHost: Log + Points + Serial {}

impl<H: Log + Points + Serial> SerialHost for H {}

/// Urgency of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The plugin cannot do its work.
    Error,
    /// Somebody should look.
    Warn,
    /// Part of normal life.
    Info,
    /// For the author.
    Debug,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        })
    }
}
