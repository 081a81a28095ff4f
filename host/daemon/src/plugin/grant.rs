//! What a plugin may do: what its signed manifest asks for, cut down to what
//! the administrator granted (facts/wasm-host.md §11.3).
//!
//! Deny by default: an interface that the manifest does not name is not
//! linked, a thing that it does not ask for is not reachable even when the
//! configuration maps it. What the manifest asks for and the configuration
//! lacks is a refusal that says which line to add.

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
}

/// Why manifest and grant do not fit.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
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
        "it asks for {kind} {what:?} ({reason}), and none is granted; add \
        `grant.{field}.{what} = {example}` to the [[plugin]] entry of {plugin:?}"
    )]
    NotGranted {
        /// Name of the plugin.
        plugin: String,
        /// What kind of thing.
        kind: &'static str,
        /// Field of the grant.
        field: &'static str,
        /// How a value is written.
        example: &'static str,
        /// Logical name in the manifest.
        what: String,
        /// Why the plugin wants it.
        reason: String,
    },
    /// It publishes, and may not.
    #[error(
        "it publishes points, and no subtree is granted; add `points = \"ups.0\"` to the \
        [[plugin]] entry of {plugin:?}"
    )]
    NoPoints {
        /// Name of the plugin.
        plugin: String,
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
        return Err(GrantError::NoPoints { plugin: grant.name.clone() });
    }
    let mut wishes = Wishes { plugin: &grant.name, all: &grant.grant, granted: Grants::default() };
    manifest.permissions.iter().try_for_each(|permission| wishes.take(permission))?;
    let interfaces = manifest.interfaces.iter().cloned().collect();
    Ok(Granted { interfaces, grants: wishes.granted })
}

/// Carries over, one by one, what is asked for.
struct Wishes<'a> {
    plugin: &'a str,
    all: &'a Grants,
    granted: Grants,
}

/// How a kind of thing is called, in a message and in the configuration.
struct Words(&'static str, &'static str, &'static str);

impl Wishes<'_> {
    fn take(&mut self, wish: &Permission) -> Result<(), GrantError> {
        let Self { plugin, all, granted } = self;
        match base(&wish.interface) {
            "evenkeel:serial/serial" => {
                let words = Words("the serial line", "serial", "\"/dev/…\"");
                take(plugin, wish, &words, &all.serial, &mut granted.serial)
            }
            "evenkeel:net-client/net-client" => {
                let words = Words("the peer", "net", "\"tls://host:port\"");
                take(plugin, wish, &words, &all.net, &mut granted.net)
            }
            "evenkeel:net-server/net-server" => {
                let words = Words("the listener", "listen", "\"tcp://[::]:port\"");
                take(plugin, wish, &words, &all.listen, &mut granted.listen)
            }
            "evenkeel:snmp-client/snmp-client" => {
                let example = "{ address = \"host\", version = \"v2c\", community = \"…\" }";
                let words = Words("the SNMP agent", "snmp", example);
                take(plugin, wish, &words, &all.snmp, &mut granted.snmp)
            }
            "evenkeel:points/reader" => {
                let words = Words("to read the points", "read", "[\"string\", \"ups.0\"]");
                take(plugin, wish, &words, &all.read, &mut granted.read)
            }
            "evenkeel:commands/commands" => {
                let words = Words("to command", "commands", "[\"ups.0:beeper.*\"]");
                take(plugin, wish, &words, &all.commands, &mut granted.commands)
            }
            "evenkeel:events/events" => {
                let words = Words("the event log", "events", "\"warning\"");
                take(plugin, wish, &words, &all.events, &mut granted.events)
            }
            "evenkeel:crypto/crypto" => {
                let words = Words("the secret", "secrets", "\"…\"");
                take(plugin, wish, &words, &all.secrets, &mut granted.secrets)
            }
            // The subtree is one, whatever the plugin calls it.
            "evenkeel:points/points" => Ok(()),
            _ => Err(GrantError::Meaningless {
                interface: wish.interface.clone(),
                what: wish.what.clone(),
            }),
        }
    }
}

fn take<T: Clone>(
    plugin: &str,
    wish: &Permission,
    words: &Words,
    from: &Named<T>,
    to: &mut Named<T>,
) -> Result<(), GrantError> {
    let Words(kind, field, example) = *words;
    let Permission { what, reason, .. } = wish.clone();
    match from.get(&what) {
        Some(thing) => {
            to.insert(what, thing.clone());
            Ok(())
        }
        None => {
            let plugin = plugin.to_owned();
            Err(GrantError::NotGranted { plugin, kind, field, example, what, reason })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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

    #[test]
    fn what_is_missing_is_named_with_the_line_to_add() {
        let refused = |manifest: &PluginManifest, grant: &PluginGrant| {
            intersect(manifest, grant).expect_err("refused").to_string()
        };
        let full = manifest(&DRIVER_IMPORTS);
        let mut bare = grant("/dev/ttyS1");
        bare.grant.serial.clear();
        assert!(refused(&full, &bare).contains("add `grant.serial.ups = \"/dev/…\"`"));
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
