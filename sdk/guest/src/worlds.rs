//! What a plugin is: one trait for each world of `wit/since-0.2`, above the one
//! that all worlds share. Everything that a plugin may leave out has a default.
//!
//! `H` is the host; see [`crate::host`] for why it is a parameter.

use crate::host::Event;
use crate::table::{Command, CommandError};

/// How any plugin begins, wakes and hands over.
pub trait Plugin<H>: Sized {
    /// Called once. Reads the settings; does not touch device or peer, which
    /// may well be switched off.
    ///
    /// # Errors
    /// A sentence for the administrator, who must change something.
    fn start(host: &mut H) -> Result<Self, String>;

    /// Called after `start` with what [`Self::save`] of the instance before
    /// returned, perhaps of another version. What cannot be used is left alone.
    fn resume(&mut self, _state: &[u8]) {}

    /// Called again and again. Returns the milliseconds to wait before the
    /// next call; the host clamps them to 100 … 60,000.
    fn wake(&mut self, _host: &mut H) -> u32 {
        60_000
    }

    /// State to hand over to the next instance, at most 65,536 bytes. Called
    /// before an orderly end, never after a failure.
    fn save(&mut self) -> Vec<u8> {
        Vec::new()
    }
}

/// A driver: reads one device, publishes its points in [`Plugin::wake`], and
/// carries out commands.
pub trait Driver<H>: Plugin<H> {
    /// What the device can be told; offered to the host after the start.
    fn commands(&self) -> &[Command] {
        &[]
    }

    /// Carry out one of [`Self::commands`]. Returns when the device has
    /// acknowledged it, or cannot be expected to.
    ///
    /// # Errors
    /// [`CommandError`].
    fn command(
        &mut self,
        _host: &mut H,
        _name: &str,
        _value: Option<&str>,
    ) -> Result<(), CommandError> {
        Err(CommandError::Unknown)
    }
}

/// A gateway: shows the appliance to others in their protocol.
pub trait Gateway<H>: Plugin<H> {
    /// `data` arrived on a connection of the listener: on a stream all that was
    /// received and not consumed, of datagrams one. A panic costs this
    /// connection and no other.
    fn serve(&mut self, host: &mut H, listener: &str, connection: u64, data: &[u8]) -> Served;

    /// The connection is over; its number is not used again.
    fn closed(&mut self, _host: &mut H, _connection: u64) {}
}

/// What a gateway makes of received bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// Bytes that are done with; the rest comes again, with more.
    pub consumed: u32,
    /// To be sent back.
    pub reply: Vec<u8>,
    /// Close the connection when the reply is sent.
    pub close: bool,
}

/// A notifier: tells people or other systems what happened.
pub trait Notifier<H>: Plugin<H> {
    /// Deliver one event. They come one by one in order; `Ok` means that the
    /// peer has it, as far as its protocol can tell.
    ///
    /// # Errors
    /// [`NotifyError`]: whether to try again, and why.
    fn notify(&mut self, host: &mut H, event: &Event) -> Result<(), NotifyError>;
}

/// Why an event was not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotifyError {
    /// It may work later; the host keeps the event and tries again.
    Later(String),
    /// It never will.
    Never(String),
}

/// An authenticator: decides by asking somebody else whether a person may sign
/// in.
pub trait Authenticator<H>: Plugin<H> {
    /// Judge one attempt.
    ///
    /// # Errors
    /// A sentence, when nobody could be asked: local accounts decide alone.
    fn authenticate(&mut self, host: &mut H, attempt: &Attempt) -> Result<SignIn, String>;
}

/// An attempt to sign in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attempt {
    /// Name of the person.
    pub user: String,
    /// What was typed as password, or as the answer to a challenge.
    pub password: String,
    /// Address of the person's browser, for the peer's log.
    pub peer: String,
    /// State of the challenge that is answered.
    pub state: Option<Vec<u8>>,
}

/// The verdict on an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignIn {
    /// Yes; the administrator maps these words to roles.
    Accepted(Vec<String>),
    /// No.
    Rejected,
    /// The person must answer something first.
    Challenge {
        /// Comes back with the answer, at most 253 bytes.
        state: Vec<u8>,
        /// What to ask.
        prompt: String,
    },
}

/// A licence gate: judges which edition this appliance is. Protection and
/// alarms are never gated.
pub trait LicenceGate<H>: Plugin<H> {
    /// A pure function of what it is given. `device` is the serial number,
    /// `utc_s` seconds since 1970 if the date is known.
    fn judge(
        &mut self,
        host: &mut H,
        device: &str,
        utc_s: Option<u64>,
        keys: &[LicenceKey],
    ) -> Edition;
}

/// A licence that a trusted key signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LicenceKey {
    /// Name of the file or entry, for messages.
    pub name: String,
    /// What was signed.
    pub payload: Vec<u8>,
}

/// What an appliance may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edition {
    /// For people: `LC`, `full`.
    pub name: String,
    /// Blocks that are shown and kept; `None` is no limit.
    pub blocks: Option<u32>,
    /// Largest UPS, VA; `None` is no limit.
    pub ups_va: Option<u32>,
    /// Seconds since 1970 after which the host asks again.
    pub until: Option<u64>,
    /// Why, for people.
    pub reason: String,
}

/// Leave the name of a plugin where tools look for it.
#[doc(hidden)]
#[macro_export]
macro_rules! register_natively {
    ($plugin:ty) => {
        /// The plugin, for tools that run it on a PC.
        #[cfg(not(target_arch = "wasm32"))]
        #[doc(hidden)]
        pub type EvenkeelPlugin = $plugin;
    };
}

/// Export `$plugin`, which implements [`Driver`], as this plugin's component.
///
/// Natively it only gives the type a name, so that the same crate can be tested
/// and run on a PC.
#[macro_export]
macro_rules! register_driver {
    ($plugin:ty) => {
        $crate::register_natively!($plugin);
        #[cfg(target_arch = "wasm32")]
        $crate::register_in!(driver, $plugin);
    };
}

/// Export `$plugin`, which implements [`Gateway`], as this plugin's component.
///
/// Natively it only gives the type a name, so that the same crate can be tested
/// and run on a PC.
#[macro_export]
macro_rules! register_gateway {
    ($plugin:ty) => {
        $crate::register_natively!($plugin);
        #[cfg(target_arch = "wasm32")]
        $crate::register_in!(gateway, $plugin);
    };
}

/// Export `$plugin`, which implements [`Notifier`], as this plugin's component.
///
/// Natively it only gives the type a name, so that the same crate can be tested
/// and run on a PC.
#[macro_export]
macro_rules! register_notifier {
    ($plugin:ty) => {
        $crate::register_natively!($plugin);
        #[cfg(target_arch = "wasm32")]
        $crate::register_in!(notifier, $plugin);
    };
}

/// Export `$plugin`, which implements [`Authenticator`], as this plugin's component.
///
/// Natively it only gives the type a name, so that the same crate can be tested
/// and run on a PC.
#[macro_export]
macro_rules! register_authenticator {
    ($plugin:ty) => {
        $crate::register_natively!($plugin);
        #[cfg(target_arch = "wasm32")]
        $crate::register_in!(authenticator, $plugin);
    };
}

/// Export `$plugin`, which implements [`LicenceGate`], as this plugin's component.
///
/// Natively it only gives the type a name, so that the same crate can be tested
/// and run on a PC.
#[macro_export]
macro_rules! register_licence_gate {
    ($plugin:ty) => {
        $crate::register_natively!($plugin);
        #[cfg(target_arch = "wasm32")]
        $crate::register_in!(licence_gate, $plugin);
    };
}
