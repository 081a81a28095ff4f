//! Security versions that proved themselves on this appliance, by plugin and by
//! whose key signed it. Pure.
//!
//! By signer as well: anybody who may sign plugins may give one any name and
//! any security version, and must not lock the others of that name out.
//!
//! In the roster it is one table, `"<plugin>@<id of the key>" = <version>`.
//! Before there were signers in it, it had names alone; those are
//! [bound](Floors::bind) to who signed what is installed.

use crate::plugin::trusted::key_id;
use evenkeel_signing::{KeyId, SECURITY_STEP_MAX};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The least security versions that are accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Floors(BTreeMap<String, u32>);

impl Floors {
    /// The floor of `plugin` as the key with the id `signer` signs it.
    #[must_use]
    pub fn of(&self, plugin: &str, signer: &str) -> Option<u32> {
        self.0.get(&key(plugin, signer)).copied()
    }

    /// Raise that floor; it never sinks.
    pub fn raise(&mut self, plugin: &str, signer: &str, least: u32) {
        let floor = self.0.entry(key(plugin, signer)).or_default();
        *floor = least.max(*floor);
    }

    /// Forget every floor of `plugin`.
    pub fn forget(&mut self, plugin: &str) {
        self.0.retain(|key, _| split(key).0 != plugin);
    }

    /// Every floor that says for whom it holds.
    pub fn all(&self) -> impl Iterator<Item = (&str, KeyId, u32)> {
        self.0.iter().filter_map(|(key, least)| {
            let (plugin, signer) = split(key);
            Some((plugin, key_id(signer?)?, *least))
        })
    }

    /// Those of former times, which do not.
    pub fn unbound(&self) -> impl Iterator<Item = (&str, u32)> {
        let rows = self.0.iter().map(|(key, least)| (split(key), *least));
        rows.filter_map(|((plugin, signer), least)| signer.is_none().then_some((plugin, least)))
    }

    /// Make the floor of former times that of `signer`, of whom the release
    /// `installed` is here. One that is further above it than releases skip is
    /// somebody else's, or a mistake.
    pub fn bind(&mut self, plugin: &str, signer: &str, installed: u32) {
        if let Some(&kept) = self.0.get(plugin) {
            let is_own = kept <= installed.saturating_add(SECURITY_STEP_MAX);
            self.raise(plugin, signer, if is_own { kept } else { installed });
        }
    }

    /// What was not bound of `plugin` goes.
    pub fn drop_unbound(&mut self, plugin: &str) {
        self.0.remove(plugin);
    }
}

/// No plugin's name has an `@`.
fn key(plugin: &str, signer: &str) -> String {
    format!("{plugin}@{signer}")
}

fn split(key: &str) -> (&str, Option<&str>) {
    key.split_once('@').map_or((key, None), |(plugin, signer)| (plugin, Some(signer)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(digit: char) -> String {
        String::from(digit).repeat(64)
    }

    #[test]
    fn a_floor_is_of_one_signer_and_is_forgotten_with_the_plugin() {
        let mut floors = Floors::default();
        let (acme, bolt) = (signer('a'), signer('b'));
        floors.raise("megatec", &acme, u32::MAX);
        floors.raise("megatec", &bolt, 3);
        floors.raise("megatec", &bolt, 2);
        floors.raise("other", &bolt, 7);
        assert_eq!(floors.of("megatec", &bolt), Some(3));
        let all: Vec<_> =
            floors.all().map(|(name, id, least)| (name, id.to_string(), least)).collect();
        let wanted =
            [("megatec", acme.clone(), u32::MAX), ("megatec", bolt.clone(), 3), ("other", bolt, 7)];
        assert_eq!(all, wanted);
        floors.forget("megatec");
        assert_eq!(floors.of("megatec", &acme), None);
        assert_eq!(floors.all().count(), 1);
    }

    #[test]
    fn what_was_kept_by_name_alone_is_bound_to_who_signed_what_is_installed() {
        let kept = "megatec = 4\npoisoned = 4294967295\ngone = 9";
        let mut floors: Floors = toml::from_str(kept).expect("as it was written");
        assert_eq!((floors.unbound().count(), floors.all().count()), (3, 0));
        let acme = signer('a');
        for name in ["megatec", "poisoned"] {
            floors.bind(name, &acme, 2);
        }
        for name in ["megatec", "poisoned", "gone"] {
            floors.drop_unbound(name);
        }
        assert_eq!(floors.of("megatec", &acme), Some(4), "what proved itself still holds");
        assert_eq!(floors.of("poisoned", &acme), Some(2), "no release skips so many");
        assert_eq!((floors.unbound().count(), floors.all().count()), (0, 2));
        // An appliance that goes back to the firmware before can read it.
        let text = toml::to_string(&floors).expect("a table");
        let before: BTreeMap<String, u32> = toml::from_str(&text).expect("names and numbers");
        assert_eq!(before.len(), 2);
    }
}
