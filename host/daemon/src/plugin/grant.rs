//! What a plugin may do: what its signed manifest asks for, cut down to what
//! the administrator granted (facts/wasm-host.md §11.3).
//!
//! Deny by default: an interface that the manifest does not name is not
//! linked, a thing that it does not ask for is not reachable even when the
//! configuration maps it. What the manifest asks for and the configuration
//! lacks is a refusal that says which line to add.

use crate::caps::kv::QUOTA_BYTES;
use crate::caps::{self, OFFERS, base, offer_for};
use crate::config::PluginGrant;
use crate::grants::{Grants, Named};
use evenkeel_signing::{Permission, PluginManifest};
use std::collections::BTreeSet;

/// What one plugin may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// Interfaces that its component may import, as the manifest spells them.
    pub interfaces: BTreeSet<String>,
    /// The things that it asks for and that are granted.
    pub grants: Grants,
    /// Most bytes that it may keep.
    pub kv_bytes: usize,
}

/// Why manifest and grant do not fit.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// An interface that this version does not have.
    #[error(
        "it declares the interface {interface}, which this version does not offer (it offers {}); \
        update the appliance or install a plugin version made for it",
        OFFERS.iter().map(|offer| offer.interface).collect::<Vec<_>>().join(", ")
    )]
    NotOffered {
        /// The interface.
        interface: String,
    },
    /// It asks for something by name, and nothing is granted under that name.
    #[error(
        "it asks for {} {what:?} ({reason}), and none is granted; {}",
        kind.words, place.grant(plugin, kind, what)
    )]
    NotGranted {
        /// Name of the plugin.
        plugin: String,
        /// What kind of thing.
        kind: &'static Kind,
        /// Logical name in the manifest.
        what: String,
        /// Why the plugin wants it.
        reason: String,
        /// Where it is to be granted.
        place: Place,
    },
    /// It publishes, and may not.
    #[error("it publishes points, and no subtree is granted; {}", place.points(plugin))]
    NoPoints {
        /// Name of the plugin.
        plugin: String,
        /// Where it is to be granted.
        place: Place,
    },
    /// A permission for an interface that has nothing to grant by name.
    #[error("it asks for {what:?} of {interface}, which has nothing of that kind to grant")]
    Meaningless {
        /// The interface.
        interface: String,
        /// What it asks for.
        what: String,
    },
}

/// Where an administrator grants something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The plugin's entry in the configuration file.
    File,
    /// Its page in the console, or the command line.
    Console,
}

impl Place {
    fn grant(self, plugin: &str, kind: &Kind, what: &str) -> String {
        let Kind { words, field, example, .. } = kind;
        match self {
            Self::File => {
                format!(
                    "add `grant.{field}.{what} = {example}` to the [[plugin]] entry of {plugin:?}"
                )
            }
            Self::Console => format!(
                "on the plugin's page fill in the field of {words} “{what}” (`grant.{field}.{what}`), such \
                as {example}"
            ),
        }
    }

    fn points(self, plugin: &str) -> String {
        match self {
            Self::File => {
                format!("add `points = \"ups.0\"` to the [[plugin]] entry of {plugin:?}")
            }
            Self::Console => {
                "on the plugin's page fill in “Where its values go” (points), such as ups.0"
                    .to_owned()
            }
        }
    }
}

impl GrantError {
    /// In the words of the console.
    pub fn in_console(&mut self) {
        if let Self::NotGranted { place, .. } | Self::NoPoints { place, .. } = self {
            *place = Place::Console;
        }
    }
}

/// Cut what `manifest` asks for down to what `grant` allows.
///
/// # Errors
/// [`GrantError`] when something is asked for that is not granted.
pub fn intersect(manifest: &PluginManifest, grant: &PluginGrant) -> Result<Granted, GrantError> {
    let unknown = |interface: &&String| offer_for(interface).is_none();
    if let Some(interface) = manifest.interfaces.iter().find(unknown) {
        return Err(GrantError::NotOffered { interface: interface.clone() });
    }
    let declares = |name: &str| manifest.interfaces.iter().any(|i| base(i) == base(name));
    if declares(caps::points::INTERFACE) && grant.points.is_empty() {
        return Err(GrantError::NoPoints { plugin: grant.name.clone(), place: Place::File });
    }
    let mut wishes = Wishes { plugin: &grant.name, all: &grant.grant, granted: Grants::default() };
    manifest.permissions.iter().try_for_each(|permission| wishes.take(permission))?;
    let interfaces = manifest.interfaces.iter().cloned().collect();
    let kv_bytes = grant.kv_bytes.map_or(QUOTA_BYTES, |bytes| bytes as usize);
    Ok(Granted { interfaces, grants: wishes.granted, kv_bytes })
}

/// Carries over, one by one, what is asked for.
struct Wishes<'a> {
    plugin: &'a str,
    all: &'a Grants,
    granted: Grants,
}

/// A field of [`Grants`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// `serial`
    Serial,
    /// `net`
    Net,
    /// `listen`
    Listen,
    /// `snmp`
    Snmp,
    /// `read`
    Read,
    /// `commands`
    Commands,
    /// `hid`
    Hid,
    /// `contacts`
    Contacts,
    /// `events`
    Events,
    /// `secrets`
    Secrets,
}

impl Field {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Serial => "serial",
            Self::Net => "net",
            Self::Listen => "listen",
            Self::Snmp => "snmp",
            Self::Read => "read",
            Self::Commands => "commands",
            Self::Hid => "hid",
            Self::Contacts => "contacts",
            Self::Events => "events",
            Self::Secrets => "secrets",
        }
    }
}

impl core::fmt::Display for Field {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A kind of thing that is granted by name.
#[derive(Debug)]
pub struct Kind {
    /// The interface that uses it, without version.
    pub interface: &'static str,
    /// What it is called in a message.
    pub words: &'static str,
    /// Its field in [`Grants`].
    pub field: Field,
    /// How a value is written.
    pub example: &'static str,
}

const fn kind(
    interface: &'static str,
    words: &'static str,
    field: Field,
    example: &'static str,
) -> Kind {
    Kind { interface, words, field, example }
}

/// Everything that is granted by name.
pub const KINDS: &[Kind] = &[
    kind("evenkeel:serial/serial", "the serial line", Field::Serial, "\"/dev/…\""),
    kind("evenkeel:net-client/net-client", "the peer", Field::Net, "\"tls://host:port\""),
    kind("evenkeel:net-server/net-server", "the listener", Field::Listen, "\"tcp://[::]:port\""),
    kind(
        "evenkeel:snmp-client/snmp-client",
        "the SNMP agent",
        Field::Snmp,
        "{ address = \"host\", version = \"v2c\", community = \"…\" }",
    ),
    kind("evenkeel:points/reader", "to read the points", Field::Read, "[\"string\", \"ups.0\"]"),
    kind("evenkeel:commands/commands", "to command", Field::Commands, "[\"ups.0:beeper.*\"]"),
    kind("evenkeel:hid/hid", "the USB device", Field::Hid, "\"051d:0002\""),
    kind("evenkeel:contacts/contacts", "the contact", Field::Contacts, "\"AUX1.input.2\""),
    kind("evenkeel:events/events", "the event log", Field::Events, "\"warning\""),
    // A notifier is told events, and imports nothing but their form.
    kind("evenkeel:events/types", "to be told of events", Field::Events, "\"warning\""),
    kind("evenkeel:crypto/crypto", "the secret", Field::Secrets, "\"…\""),
];

/// The kind of thing that an interface uses by name.
#[must_use]
pub fn kind_of(interface: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.interface == base(interface))
}

impl Wishes<'_> {
    fn take(&mut self, wish: &Permission) -> Result<(), GrantError> {
        let Self { plugin, all, granted } = self;
        let Some(kind) = kind_of(&wish.interface) else {
            // The subtree is one, whatever the plugin calls it.
            let of_subtree = [caps::points::INTERFACE, caps::commands::OFFERS_INTERFACE];
            if of_subtree.iter().any(|one| base(one) == base(&wish.interface)) {
                return Ok(());
            }
            let (interface, what) = (wish.interface.clone(), wish.what.clone());
            return Err(GrantError::Meaningless { interface, what });
        };
        let taken = match kind.field {
            Field::Serial => take(wish, &all.serial, &mut granted.serial),
            Field::Net => take(wish, &all.net, &mut granted.net),
            Field::Listen => take(wish, &all.listen, &mut granted.listen),
            Field::Snmp => take(wish, &all.snmp, &mut granted.snmp),
            Field::Read => take(wish, &all.read, &mut granted.read),
            Field::Commands => take(wish, &all.commands, &mut granted.commands),
            Field::Hid => take(wish, &all.hid, &mut granted.hid),
            Field::Contacts => take(wish, &all.contacts, &mut granted.contacts),
            Field::Events => take(wish, &all.events, &mut granted.events),
            Field::Secrets => take(wish, &all.secrets, &mut granted.secrets),
        };
        let Permission { what, reason, .. } = wish.clone();
        match taken {
            true => Ok(()),
            false => {
                let (plugin, place) = (plugin.to_string(), Place::File);
                Err(GrantError::NotGranted { plugin, kind, what, reason, place })
            }
        }
    }
}

/// Carry over one thing; false when it is not granted.
fn take<T: Clone>(wish: &Permission, from: &Named<T>, to: &mut Named<T>) -> bool {
    let Some(thing) = from.get(&wish.what) else { return false };
    to.insert(wish.what.clone(), thing.clone());
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grants::event_log::EventGrant;
    use crate::plugin::fixture::{CLOCK, DRIVER_IMPORTS, LOG, grant, manifest};
    use evenkeel_signing::Permission;

    fn wants(interface: &str, what: &str) -> Permission {
        Permission { interface: interface.into(), what: what.into(), reason: "because".into() }
    }

    #[test]
    fn only_lines_that_are_asked_for_and_granted_are_reachable() {
        let mut grant = grant("/dev/ttyS1");
        grant.grant.serial.insert("modem".into(), "/dev/ttyS2".parse().expect("a path"));
        let granted = intersect(&manifest(&DRIVER_IMPORTS), &grant).expect("covered");
        let lines: Vec<_> = granted.grants.serial.into_iter().collect();
        assert_eq!(lines, [("ups".to_owned(), "/dev/ttyS1".parse().expect("a path"))]);
    }

    #[test]
    fn interfaces_are_those_of_the_manifest() {
        let granted = intersect(&manifest(&[LOG]), &grant("/dev/ttyS1")).expect("covered");
        assert_eq!(granted.interfaces, BTreeSet::from([LOG.to_owned()]));
        assert_eq!(granted.grants, Grants::default());
    }

    /// Everything there is, each thing under the name `x`.
    fn everything() -> Grants {
        let text = "serial.x = \"/dev/ttyS1\"\nnet.x = \"tcp://192.0.2.7:502\"\n\
            listen.x = \"tcp://127.0.0.1:5020\"\nread.x = [\"string\"]\n\
            commands.x = [\"ups.0:beeper.*\"]\nevents.x = \"warning\"\n\
            secrets.x = \"correct horse\"\ncontacts.x = \"AUX1.input.2\"\n\
            hid.x = \"051d:0002\"\n\
            snmp.x = { address = \"192.0.2.7\", version = \"v2c\", community = \"public\" }\n";
        toml::from_str(text).expect("good")
    }

    /// The fields of `grants` that have something in them.
    fn fields(grants: &Grants) -> BTreeSet<String> {
        let table = toml::Table::try_from(grants).expect("a table");
        table.into_iter().map(|(field, _)| field).collect()
    }

    /// A manifest that asks for `x` of the kind's interface.
    fn asking(kind: &Kind) -> PluginManifest {
        let offer = OFFERS.iter().find(|offer| base(offer.interface) == kind.interface);
        let interface = offer.expect("a kind is of an interface that is offered").interface;
        let mut manifest = manifest(&[interface]);
        manifest.permissions = vec![wants(interface, "x")];
        manifest
    }

    #[test]
    fn no_kind_is_reachable_unless_it_is_asked_for_and_granted() {
        let known: BTreeSet<String> = KINDS.iter().map(|kind| kind.field.to_string()).collect();
        assert_eq!(fields(&everything()), known, "each field is of a kind, and tested here");
        let mut all = grant("/dev/ttyS1");
        all.grant = everything();
        for kind in KINDS {
            let Kind { interface, field, .. } = kind;
            let mut without = all.clone();
            let mut table = toml::Table::try_from(&all.grant).expect("a table");
            table.remove(field.as_str()).expect("granted");
            without.grant = table.try_into().expect("grants");
            let refused = intersect(&asking(kind), &without).expect_err(interface).to_string();
            assert!(refused.contains(&format!("add `grant.{field}.x = ")), "{refused}");
            let mut other = asking(kind);
            other.permissions[0].what = "y".into();
            let refused = intersect(&other, &all).expect_err(interface).to_string();
            assert!(refused.contains(&format!("add `grant.{field}.y = ")), "{refused}");
            // Nothing else of all that is granted comes along.
            let granted = intersect(&asking(kind), &all).expect("covered").grants;
            assert_eq!(fields(&granted), BTreeSet::from([field.to_string()]), "{interface}");
            let mut quiet = asking(kind);
            quiet.permissions.clear();
            let granted = intersect(&quiet, &all).expect("covered").grants;
            assert_eq!(granted, Grants::default(), "{interface}: granted, and not asked for");
        }
    }

    #[test]
    fn a_notifier_without_a_grant_of_peer_or_events_is_refused() {
        const PEERS: &str = "evenkeel:net-client/net-client@0.1.0";
        const EVENTS: &str = "evenkeel:events/types@0.1.0";
        let mut notifier = manifest(&[PEERS, EVENTS]);
        notifier.permissions = vec![wants(PEERS, "server"), wants(EVENTS, "log")];
        let mut grant = grant("/dev/ttyS1");
        let peer = "tls://192.0.2.7:6514".parse().expect("an endpoint");
        grant.grant.net.insert("other".into(), peer);
        let refused = |grant: &PluginGrant| intersect(&notifier, grant).expect_err("refused");
        assert!(refused(&grant).to_string().contains("add `grant.net.server = "));
        let peer = grant.grant.net.remove("other").expect("there");
        grant.grant.net.insert("server".into(), peer);
        assert!(refused(&grant).to_string().contains("add `grant.events.log = "));
        let alarms = EventGrant::reading(evenkeel_core::events::Severity::Alarm);
        grant.grant.events.insert("log".into(), alarms);
        let granted = intersect(&notifier, &grant).expect("covered").grants;
        assert_eq!((granted.net.len(), granted.events.len(), granted.serial.len()), (1, 1, 0));
    }

    #[test]
    fn what_is_missing_is_named_with_the_line_to_add() {
        let refused = |manifest: &PluginManifest, grant: &PluginGrant| {
            intersect(manifest, grant).expect_err("refused").to_string()
        };
        let full = manifest(&DRIVER_IMPORTS);
        let mut bare = grant("/dev/ttyS1");
        bare.grant.serial.clear();
        assert!(refused(&full, &bare).contains("add `grant.serial.ups = \"/dev/…\"`"));
        let mut in_console = intersect(&full, &bare).expect_err("refused");
        in_console.in_console();
        let said = in_console.to_string();
        assert!(said.contains("the serial line “ups”") && !said.contains("[["), "{said}");
        let mut no_points = grant("/dev/ttyS1");
        no_points.points.clear();
        assert!(refused(&full, &no_points).contains("add `points = "));
        let mut newer = full.clone();
        newer.interfaces.push("evenkeel:snmp/client@0.3.0".into());
        assert!(refused(&newer, &grant("/dev/ttyS1")).contains("evenkeel:snmp/client@0.3.0"));
        let mut odd = full;
        odd.permissions.push(wants(CLOCK, "yesterday"));
        assert!(refused(&odd, &grant("/dev/ttyS1")).contains("\"yesterday\""));
    }
}
