//! The roster: which plugins are installed, in which version, switched on or
//! off, and what each was granted — what an administrator decided, apart from
//! what is running.
//!
//! It is one document of the store: TOML in which what is secret is sealed
//! ([`super::vault`]), and of which no past is kept: a secret that was taken
//! back is nowhere. Entries
//! of the configuration file are applied to it when they are new or were
//! changed there; after that the console may change them too, and the last
//! word counts. Pure: files, threads and the store are [`super::manager`]'s.

use crate::config::{PluginGrant, conflict};
use crate::plugin::floors::Floors;
use crate::plugin::load::SignerName;
use crate::plugin::permission::Digest;
use crate::plugin::vault;
use evenkeel_core::settings::forms::{Chain, Kind, Step};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use toml::{Table, Value};

/// The document in the store. In its first form secrets stood in plain; the
/// third says what signatures vouched for.
///
/// Every older program refuses a list with a name that it does not know, so
/// whatever is added to what is kept here is a form of its own, with a step
/// back that takes it away (`tests::every_form_has_the_names_that_it_had`).
pub const DOCUMENT: Kind = Kind {
    name: "plugins",
    chain: Chain {
        steps: &[
            Step { forward: vault::forward, back: vault::back },
            Step { forward: |_| {}, back: without_verified },
        ],
        names: &["entries", "provisioned", "decisions", vault::SEALED],
    },
};
/// Most plugins, running or not.
pub const ENTRIES_MAX: usize = 64;
/// A new version that is quarantined within this time is taken back, ms.
pub const PROBATION_MS: u64 = 10 * 60 * 1_000;

/// Every installed plugin, by id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Roster {
    entries: BTreeMap<String, Entry>,
    /// Hash of each entry of the configuration file as it was last applied.
    provisioned: BTreeMap<String, String>,
    /// Whom the administrator trusts, and what follows for updates.
    #[serde(default)]
    pub decisions: Decisions,
}

/// What was decided about trust on this appliance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decisions {
    /// Vendors' keys that the administrator added, as public key files.
    #[serde(default)]
    pub vendor_keys: Vec<String>,
    /// Keys in which the administrator withdrew the trust.
    #[serde(default)]
    pub withdrawn: Vec<Withdrawn>,
    /// The security versions that proved themselves.
    #[serde(default)]
    pub proven: Floors,
    /// Highest keyring ever accepted.
    #[serde(default)]
    pub keyring_sequence: u32,
}

/// A key that is trusted no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Withdrawn {
    /// Its id.
    pub id: evenkeel_signing::Digest,
    /// Its name, for people.
    pub name: String,
    /// Why, for people.
    pub reason: String,
}

/// One installed plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What it is and what it may do.
    pub plugin: PluginGrant,
    /// Where its code comes from.
    pub source: Source,
    /// The permissions that the administrator saw and accepted; `None`: not
    /// asked yet, which only an entry of the configuration file may be.
    pub consent: Option<Digest>,
    /// When this version was put in place, ms since 1970.
    pub since_unix_ms: u64,
    /// What its signature last vouched for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<Verified>,
    /// What was in place before, to go back to.
    pub previous: Option<Box<Self>>,
}

/// What a signature vouched for when it was last seen to hold: names for a
/// plugin in which nothing may be read any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verified {
    /// Version in the manifest.
    pub version: String,
    /// Name and beginning of the fingerprint of the key.
    pub signer: String,
}

/// Where a plugin's code comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The firmware: whatever version it brings.
    Shipped,
    /// An uploaded bundle, by the SHA-256 of its bytes in hexadecimal.
    Uploaded(String),
}

/// Why a change of the roster is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RosterError {
    /// No such plugin.
    #[error("there is no plugin {id:?}")]
    Unknown {
        /// The id.
        id: String,
    },
    /// It would get in the way of another.
    #[error("{reason}")]
    Conflict {
        /// Which, and how.
        reason: String,
    },
    /// Too many.
    #[error("{ENTRIES_MAX} plugins are installed already; remove one")]
    Full,
    /// Nothing to go back to.
    #[error("there is no earlier version of {id:?} to go back to")]
    NoPrevious {
        /// The id.
        id: String,
    },
}

impl Roster {
    /// Read the document.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// What was decided about trust, from the document as it is kept: nothing
    /// of that is sealed.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn decisions_of(kept: &str) -> Result<Decisions, toml::de::Error> {
        #[derive(Deserialize)]
        struct Part {
            decisions: Option<Decisions>,
        }
        /// What is in every list, also in one of before there were decisions.
        #[derive(Deserialize)]
        struct List {
            #[serde(rename = "entries")]
            _entries: Table,
            #[serde(rename = "provisioned")]
            _provisioned: Table,
        }
        match toml::from_str::<Part>(kept)?.decisions {
            Some(decisions) => Ok(decisions),
            None => toml::from_str(kept).map(|_: List| Decisions::default()),
        }
    }

    /// The document.
    #[must_use]
    pub fn to_text(&self) -> String {
        toml::to_string(self).expect("text keys and plain values")
    }

    /// Every entry, by id.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(id, entry)| (id.as_str(), entry))
    }

    /// One entry.
    ///
    /// # Errors
    /// [`RosterError::Unknown`].
    pub fn get(&self, id: &str) -> Result<&Entry, RosterError> {
        self.entries.get(id).ok_or_else(|| RosterError::Unknown { id: id.to_owned() })
    }

    /// Whether the configuration file speaks of this plugin.
    #[must_use]
    pub fn is_provisioned(&self, id: &str) -> bool {
        self.provisioned.contains_key(id)
    }

    /// Apply the configuration file: its new and changed entries replace what
    /// is there, and what it named once and no longer names goes.
    #[must_use]
    pub fn provision(mut self, file: &[PluginGrant], now_unix_ms: u64) -> Self {
        let named: BTreeMap<_, _> = file.iter().map(|p| (p.id().to_owned(), hash(p))).collect();
        let gone = self.provisioned.keys().filter(|id| !named.contains_key(*id));
        gone.cloned().collect::<Vec<_>>().iter().for_each(|id| {
            self.entries.remove(id);
        });
        for plugin in file {
            let id = plugin.id();
            // Said before: what the console made of it since is the newer word,
            // its removal too.
            if self.provisioned.get(id) == named.get(id) {
                continue;
            }
            // What it overlaps is older than this word.
            self.entries
                .retain(|other, entry| other == id || conflict(&entry.plugin, plugin).is_none());
            let entry = Entry {
                plugin: plugin.clone(),
                source: Source::Shipped,
                consent: None,
                since_unix_ms: now_unix_ms,
                verified: None,
                previous: None,
            };
            self.entries.insert(id.to_owned(), entry);
        }
        self.provisioned = named;
        self
    }

    /// With `entry` in place of what has its id, which is kept to go back to
    /// when the code changes.
    ///
    /// # Errors
    /// [`RosterError::Conflict`] or [`RosterError::Full`].
    pub fn with(&self, mut entry: Entry) -> Result<Self, RosterError> {
        let id = entry.plugin.id().to_owned();
        let others = self.entries.iter().filter(|(other, _)| **other != id);
        for (_, other) in others {
            if let Some(reason) = conflict(&other.plugin, &entry.plugin) {
                return Err(RosterError::Conflict { reason });
            }
        }
        let before = self.entries.get(&id);
        if before.is_none() && self.entries.len() >= ENTRIES_MAX {
            return Err(RosterError::Full);
        }
        entry.previous = match before {
            Some(before) if before.source != entry.source => {
                Some(Box::new(Entry { previous: None, ..before.clone() }))
            }
            Some(before) => before.previous.clone(),
            None => None,
        };
        let mut next = self.clone();
        next.entries.insert(id, entry);
        Ok(next)
    }

    /// With the version of `id` before this one.
    ///
    /// # Errors
    /// [`RosterError::Unknown`] or [`RosterError::NoPrevious`].
    pub fn rolled_back(&self, id: &str) -> Result<Self, RosterError> {
        let entry = self.get(id)?;
        let no_previous = || RosterError::NoPrevious { id: id.to_owned() };
        let previous = entry.previous.as_deref().ok_or_else(no_previous)?;
        let before = Entry {
            // The way forward again, by hand. The earlier version keeps its
            // date, so that a failure of it is not blamed on this change.
            previous: Some(Box::new(Entry { previous: None, ..entry.clone() })),
            ..previous.clone()
        };
        let mut next = self.clone();
        next.entries.insert(id.to_owned(), before);
        Ok(next)
    }

    /// With `id` switched on or off.
    ///
    /// # Errors
    /// [`RosterError::Unknown`].
    pub fn switched(&self, id: &str, on: bool) -> Result<Self, RosterError> {
        self.get(id)?;
        let mut next = self.clone();
        if let Some(entry) = next.entries.get_mut(id) {
            entry.plugin.enabled = on;
        }
        Ok(next)
    }

    /// Without `id`. What proved itself of a plugin that is nowhere left is
    /// forgotten.
    ///
    /// # Errors
    /// [`RosterError::Unknown`].
    pub fn without(&self, id: &str) -> Result<Self, RosterError> {
        let name = &self.get(id)?.plugin.name;
        let mut next = self.clone();
        next.entries.remove(id);
        if !next.entries.values().any(|entry| entry.plugin.name == *name) {
            next.decisions.proven.forget(name);
        }
        Ok(next)
    }

    /// With what was accepted for `id`.
    #[must_use]
    pub fn consented(&self, id: &str, consent: &Digest) -> Self {
        let mut next = self.clone();
        if let Some(entry) = next.entries.get_mut(id) {
            entry.consent = Some(consent.clone());
        }
        next
    }

    /// With what the signature of `id` vouches for.
    #[must_use]
    pub fn verified(&self, id: &str, verified: Verified) -> Self {
        let mut next = self.clone();
        if let Some(entry) = next.entries.get_mut(id) {
            entry.verified = Some(verified);
        }
        next
    }

    /// Whether an uploaded bundle is in use, or could be gone back to.
    #[must_use]
    pub fn needs(&self, bundle: &str) -> bool {
        let is = |entry: &Entry| entry.source == Source::Uploaded(bundle.to_owned());
        self.entries.values().any(|e| is(e) || e.previous.as_deref().is_some_and(is))
    }
}

impl Entry {
    /// Whether a failure now is to be blamed on the new version.
    #[must_use]
    pub fn on_probation(&self, now_unix_ms: u64) -> bool {
        // A clock that was set back does not end it early.
        let age = now_unix_ms.saturating_sub(self.since_unix_ms);
        let newer = |previous: &Self| previous.since_unix_ms <= self.since_unix_ms;
        age < PROBATION_MS && self.previous.as_deref().is_some_and(newer)
    }
}

impl Verified {
    /// Of this version, by this key.
    #[must_use]
    pub fn new(version: &str, signer: &SignerName) -> Self {
        Self { version: version.to_owned(), signer: signer.short() }
    }
}

/// A step back: an older program has no place for it.
fn without_verified(document: &mut Table) -> Vec<String> {
    let mut lost = Vec::new();
    let entries = document.get_mut("entries").and_then(Value::as_table_mut);
    for (id, entry) in entries.into_iter().flatten() {
        for path in [&[][..], &["previous"]] {
            let place = path.iter().try_fold(&mut *entry, |at, name| at.get_mut(*name));
            let gone = place.and_then(Value::as_table_mut).and_then(|t| t.remove("verified"));
            lost.extend(gone.map(|_| format!("entries.{id}.verified")));
        }
    }
    lost
}

fn hash(plugin: &PluginGrant) -> String {
    let text = serde_json::to_vec(plugin).expect("text keys and plain values");
    Sha256::digest(text).iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests;
