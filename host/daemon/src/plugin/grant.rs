//! What a plugin may do: what its signed manifest asks for, cut down to what
//! the administrator granted (facts/wasm-host.md §11.3).
//!
//! Deny by default: an interface that the manifest does not name is not
//! linked, a line that it does not ask for is not reachable even when the
//! configuration maps it. What the manifest asks for and the configuration
//! lacks is a refusal that says which line to add.

use crate::config::PluginGrant;
use crate::plugin::bindings::{CLOCK, LOG, POINTS, SERIAL};
use evenkeel_signing::PluginManifest;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Interfaces that this version of the appliance offers.
pub const OFFERED: [&str; 4] = [LOG, CLOCK, SERIAL, POINTS];

/// The intersection of asked and granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// Interfaces to link.
    pub interfaces: BTreeSet<String>,
    /// Logical name → device file.
    pub lines: BTreeMap<String, PathBuf>,
}

/// Why asked and granted do not meet.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// An interface from the future, or from nowhere.
    #[error(
        "it declares the interface {interface}, which this version does not offer (it offers {}); \
        update the appliance or install a plugin version made for it",
        OFFERED.join(", ")
    )]
    NotOffered {
        /// The interface.
        interface: String,
    },
    /// A serial line without a device.
    #[error(
        "it asks for the serial line {line:?} ({reason}), and no device is granted; add \
        `serial.{line} = \"/dev/…\"` to the [[plugin]] entry of {plugin:?}"
    )]
    NoLine {
        /// Name of the plugin.
        plugin: String,
        /// Logical name of the line.
        line: String,
        /// Why the plugin wants it.
        reason: String,
    },
    /// Nothing to publish under.
    #[error(
        "it publishes points, and no subtree is granted; add `points = \"ups.0\"` to the \
        [[plugin]] entry of {plugin:?}"
    )]
    NoPoints {
        /// Name of the plugin.
        plugin: String,
    },
    /// A wish for something that cannot be granted one by one.
    #[error("it asks for {what:?} of {interface}, which has nothing of that kind to grant")]
    Meaningless {
        /// The interface.
        interface: String,
        /// What it asks for.
        what: String,
    },
}

/// Cut what `manifest` asks for down to what `grant` gives.
///
/// # Errors
/// [`GrantError`] when the plugin could not do its work with what is left.
pub fn intersect(manifest: &PluginManifest, grant: &PluginGrant) -> Result<Granted, GrantError> {
    let unknown = |interface: &&String| !OFFERED.contains(&interface.as_str());
    if let Some(interface) = manifest.interfaces.iter().find(unknown) {
        return Err(GrantError::NotOffered { interface: interface.clone() });
    }
    let declares = |interface: &str| manifest.interfaces.iter().any(|i| i == interface);
    if declares(POINTS) && grant.points.is_empty() {
        return Err(GrantError::NoPoints { plugin: grant.name.clone() });
    }
    let mut lines = BTreeMap::new();
    for permission in &manifest.permissions {
        let what = permission.what.clone();
        match permission.interface.as_str() {
            SERIAL => match grant.serial.get(&what) {
                Some(path) => lines.insert(what, path.clone()),
                None => {
                    let (plugin, reason) = (grant.name.clone(), permission.reason.clone());
                    return Err(GrantError::NoLine { plugin, line: what, reason });
                }
            },
            // The subtree is one, whatever the plugin calls it.
            POINTS => None,
            interface => {
                return Err(GrantError::Meaningless { interface: interface.to_owned(), what });
            }
        };
    }
    Ok(Granted { interfaces: manifest.interfaces.iter().cloned().collect(), lines })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::fixture::{grant, manifest};
    use evenkeel_signing::Permission;

    fn wants(interface: &str, what: &str) -> Permission {
        Permission { interface: interface.into(), what: what.into(), reason: "because".into() }
    }

    #[test]
    fn only_lines_that_are_asked_for_and_granted_are_reachable() {
        let mut grant = grant("/dev/ttyS1");
        grant.serial.insert("modem".into(), "/dev/ttyS2".into());
        let granted = intersect(&manifest(&OFFERED), &grant).expect("covered");
        assert_eq!(granted.lines, BTreeMap::from([("ups".into(), "/dev/ttyS1".into())]));
    }

    #[test]
    fn interfaces_are_those_of_the_manifest() {
        let granted = intersect(&manifest(&[LOG]), &grant("/dev/ttyS1")).expect("covered");
        assert_eq!(granted.interfaces, BTreeSet::from([LOG.to_owned()]));
        assert!(granted.lines.is_empty());
    }

    #[test]
    fn what_is_missing_is_named_with_the_line_to_add() {
        let refused = |manifest: &PluginManifest, grant: &PluginGrant| {
            intersect(manifest, grant).expect_err("refused").to_string()
        };
        let full = manifest(&OFFERED);
        let mut bare = grant("/dev/ttyS1");
        bare.serial.clear();
        assert!(refused(&full, &bare).contains("add `serial.ups = \"/dev/…\"`"));
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
