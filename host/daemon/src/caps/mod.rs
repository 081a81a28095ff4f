//! What plugins can reach: one file per interface of `wit/`.
//!
//! Everything that comes from a guest is hostile until it was looked at:
//! lengths and ranges first, then the grant, then the effect. A mistake of the
//! guest is an error value of the interface, never a trap and never a panic.
//! No lock is held while a value is handed to a guest, because that runs the
//! guest's allocator.

pub mod bucket;
pub mod clock;
pub mod commands;
pub mod config;
pub mod contacts;
pub mod crypto;
pub mod events;
pub mod hid;
pub mod kv;
pub mod log;
pub mod meter;
pub mod net_client;
pub mod net_server;
pub mod points;
pub mod random;
pub mod rates;
pub mod reader;
pub mod serial;
pub mod snmp_client;

use crate::commands::Switchboard;
use crate::grants::Grants;
use crate::hub::Hub;
use crate::plugin::bindings;
use crate::plugin::inbox::Inbox;
use crate::plugin::instance::State;
use crate::plugin::report::Reports;
use crate::plugin::stop::Stop;
use crate::plugin::tape::{HasTaped, Taped};
use crate::store::Store;
use core::fmt;
use evenkeel_core::time::Nanos;
use evenkeel_signing::is_printable;
use std::sync::Arc;
use wasmtime::component::Linker;

/// An interface that this version offers, and how it is linked.
pub struct Offer {
    /// Its newest name; plugins built for an older one of its track are served.
    pub interface: &'static str,
    /// Make its functions importable.
    pub link: fn(&mut Linker<State>) -> wasmtime::Result<()>,
}

/// An interface whose functions are methods of one field of [`State`], and are
/// heard by the flight recorder ([`crate::plugin::tape`]).
macro_rules! offer {
    ($interface:expr, $bindings:path, $field:ident: $type:ty) => {
        Offer {
            interface: $interface,
            link: |linker| {
                use $bindings as bound;
                bound::add_to_linker::<State, HasTaped<$type>>(linker, |state| Taped {
                    host: &mut state.$field,
                    tape: &mut state.tape,
                })
            },
        }
    };
}

/// Types alone, which whoever uses them imports.
const fn types(interface: &'static str) -> Offer {
    Offer { interface, link: |_| Ok(()) }
}

/// Everything that a plugin can be given.
pub const OFFERS: &[Offer] = &[
    types("evenkeel:commands/types@0.1.0"),
    types("evenkeel:events/types@0.1.0"),
    offer!(log::INTERFACE, bindings::log::log, log: log::Log),
    offer!(clock::INTERFACE, bindings::clock::clock, clock: clock::Clock),
    offer!(config::INTERFACE, bindings::config::config, config: config::Config),
    offer!(random::INTERFACE, bindings::random::random, random: random::Random),
    offer!(kv::INTERFACE, bindings::kv::kv, kv: kv::Kv),
    offer!(crypto::INTERFACE, bindings::crypto::crypto, crypto: crypto::Crypto),
    offer!(serial::INTERFACE, bindings::serial::serial, serial: serial::Serial),
    offer!(snmp_client::INTERFACE, bindings::snmp_client::snmp_client, snmp: snmp_client::Snmp),
    offer!(
        net_client::INTERFACE,
        bindings::net_client::net_client,
        net: net_client::NetClient
    ),
    offer!(points::INTERFACE, bindings::points::points, points: points::Points),
    offer!(
        net_server::INTERFACE,
        bindings::net_server::net_server,
        net_server: net_server::NetServer
    ),
    offer!(commands::INTERFACE, bindings::commands::commands, commands: commands::Commands),
    offer!(commands::OFFERS_INTERFACE, bindings::commands::offers, offers: commands::Offers),
    offer!(hid::INTERFACE, bindings::hid::hid, hid: hid::Hid),
    offer!(contacts::INTERFACE, bindings::contacts::contacts, contacts: contacts::Contacts),
    offer!(events::INTERFACE, bindings::events::events, events: events::Events),
    offer!(reader::INTERFACE, bindings::points::reader, reader: reader::Reader),
];

/// The offer that serves an import or a wish for `interface`.
#[must_use]
pub fn offer_for(interface: &str) -> Option<&'static Offer> {
    OFFERS.iter().find(|offer| serves(offer.interface, interface))
}

/// Whether what is offered as `offered` satisfies a plugin built for `wanted`:
/// the same interface and track, and not older (facts/wasm-host.md §4.1).
fn serves(offered: &str, wanted: &str) -> bool {
    let version = |name: &str| {
        let (_, version) = name.split_once('@')?;
        semver::Version::parse(version).ok()
    };
    let track = |v: &semver::Version| if v.major == 0 { (0, v.minor) } else { (v.major, 0) };
    match (version(offered), version(wanted)) {
        (Some(o), Some(w)) => base(offered) == base(wanted) && track(&o) == track(&w) && o >= w,
        _ => false,
    }
}

/// An interface's name without its version.
#[must_use]
pub fn base(interface: &str) -> &str {
    interface.split_once('@').map_or(interface, |(base, _)| base)
}

/// What the host's parts offer to the capabilities of all plugins.
#[derive(Clone, Debug)]
pub struct Services {
    /// The present values.
    pub hub: Arc<Hub>,
    /// Who can be told what.
    pub commands: Arc<Switchboard>,
    /// The listeners of gateways.
    pub servers: Arc<net_server::Servers>,
    /// Where USB devices are found.
    pub hid: Arc<dyn hid::raw::System>,
    /// What plugins have used up of what is rare.
    pub rates: Arc<rates::Rates>,
    /// When the host started: zero of a plugin's clock.
    pub epoch: Nanos,
    /// Where failures are reported; `None` where nobody would read it.
    pub reports: Option<Arc<Reports>>,
    /// Where plugins keep what outlives them; `None`: nowhere.
    pub store: Option<Arc<Store>>,
}

impl Default for Services {
    /// Services of a host that has just started and does nothing else.
    fn default() -> Self {
        Self {
            hub: Arc::default(),
            commands: Arc::default(),
            servers: Arc::default(),
            hid: Arc::new(hid::raw::Linux::default()),
            rates: Arc::default(),
            epoch: crate::clock::now(),
            store: None,
            reports: None,
        }
    }
}

/// What the capabilities of one running plugin are made from.
pub struct Site<'a> {
    /// Who it is.
    pub who: &'a Who,
    /// What it may use.
    pub grants: &'a Grants,
    /// Most bytes that it may keep.
    pub kv_bytes: usize,
    /// Its log; the host speaks there too.
    pub log: &'a log::Log,
    /// Where its bytes are counted and its attempts noted.
    pub meter: &'a Arc<meter::Meter>,
    /// How it is told to stop while it waits.
    pub stop: &'a Arc<Stop>,
    /// Where it is asked something.
    pub inbox: &'a Arc<Inbox>,
    /// The rest of the host.
    pub services: &'a Services,
}

/// Who a plugin is, for messages: its name and the subtree that tells two
/// copies of one plugin apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// Name in the manifest.
    pub name: String,
    /// The subtree under which it publishes.
    pub points: String,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.points)
    }
}

/// `text` as one line of at most `len_max` bytes: characters that are not
/// [printable](is_printable) become `�`, the end is cut between
/// characters and marked with `…` (within `len_max`).
#[must_use]
pub fn one_line(text: &str, len_max: usize) -> String {
    const CUT: char = '…';
    let mut line = String::with_capacity(text.len().min(len_max));
    // Where the line must end if it turns out to be too long.
    let mut cut_at = 0;
    let shown = |c| if is_printable(c) { c } else { char::REPLACEMENT_CHARACTER };
    for c in text.chars().map(shown) {
        if line.len() + c.len_utf8() > len_max {
            line.truncate(cut_at);
            if CUT.len_utf8() <= len_max {
                line.push(CUT);
            }
            return line;
        }
        line.push(c);
        if line.len() + CUT.len_utf8() <= len_max {
            cut_at = line.len();
        }
    }
    line
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// Somebody's surroundings, to make a capability from in a test.
    pub(crate) struct Place {
        pub(crate) who: Who,
        pub(crate) grants: Grants,
        pub(crate) kv_bytes: usize,
        pub(crate) stop: Arc<Stop>,
        pub(crate) inbox: Arc<Inbox>,
        pub(crate) services: Services,
        pub(crate) meter: Arc<meter::Meter>,
        log: log::Log,
    }

    impl Default for Place {
        fn default() -> Self {
            let who = Who { name: "megatec".into(), points: "ups.0".into() };
            Self {
                log: log::Log::new(who.clone()),
                who,
                grants: Grants::default(),
                kv_bytes: kv::QUOTA_BYTES,
                stop: Arc::new(Stop::new().expect("a descriptor")),
                inbox: Arc::default(),
                services: Services::default(),
                meter: Arc::default(),
            }
        }
    }

    impl Place {
        pub(crate) fn site(&self) -> Site<'_> {
            let Self { who, grants, kv_bytes, log, meter, stop, inbox, services } = self;
            Site { who, grants, kv_bytes: *kv_bytes, log, meter, stop, inbox, services }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_version_of_a_track_is_served_and_no_other() {
        let offered = "evenkeel:serial/serial@0.1.1";
        for good in ["evenkeel:serial/serial@0.1.0", "evenkeel:serial/serial@0.1.1"] {
            assert!(serves(offered, good), "{good}");
        }
        for bad in [
            "evenkeel:serial/serial@0.1.2",
            "evenkeel:serial/serial@0.2.0",
            "evenkeel:serial/other@0.1.0",
            "evenkeel:serial/serial",
            "evenkeel:serial/serial@x",
        ] {
            assert!(!serves(offered, bad), "{bad}");
        }
        assert!(serves("a:b/c@1.2.0", "a:b/c@1.0.0") && !serves("a:b/c@2.0.0", "a:b/c@1.0.0"));
    }

    #[test]
    fn a_line_stays_a_line() {
        assert_eq!(one_line("battery 13.6 V, 25 °C", 100), "battery 13.6 V, 25 °C");
        assert_eq!(one_line("a\r\n\u{1b}[2Jb\u{202e}c", 100), "a���[2Jb�c");
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        assert_eq!(one_line("abcdefghij", 10), "abcdefghij");
        assert_eq!(one_line("abcdefghijk", 10), "abcdefg…");
        assert_eq!(one_line("°°°°°°", 10), "°°°…");
        for len in 0..12 {
            assert!(one_line("°C\u{1b}°C°C°C", len).len() <= len);
        }
    }
}
