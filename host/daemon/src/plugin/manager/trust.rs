//! Whom the appliance trusts, as administrators decide it, and what follows for
//! what runs: keys, keyrings, and the security versions that proved themselves.

use super::Manager;
use crate::clock;
use crate::plugin::load::{self, Refusal, Seen};
use crate::plugin::reason;
use crate::plugin::roster::Withdrawn;
use crate::plugin::trusted::{self, Problem};
use crate::plugin_admin::{AdminError, KeyInfo};
use evenkeel_signing::{KeyRefusal, PublicKey, Trust};
use tracing::error;

impl Manager {
    /// Keys that count first, then those that do not.
    pub(in crate::plugin) fn keys(&self) -> Vec<KeyInfo> {
        let (trust, _) = self.trust();
        let trusted = trust.trusted().signers().map(|signer| KeyInfo {
            id: signer.id().to_string(),
            name: signer.name().to_owned(),
            fingerprint: signer.fingerprint(),
            origin: signer.origin().to_string(),
            refused: None,
        });
        let refused = trust.refused().iter().map(|row| KeyInfo {
            id: row.key.id.to_string(),
            name: row.key.name.clone(),
            fingerprint: row.key.id.fingerprint(),
            origin: String::new(),
            refused: Some(match &row.why {
                KeyRefusal::Revoked { reason } => format!("revoked by the platform: {reason}"),
                KeyRefusal::Withdrawn { reason } => format!("withdrawn here: {reason}"),
                KeyRefusal::Development => "a development key, in production".to_owned(),
            }),
        });
        trusted.chain(refused).collect()
    }

    pub(in crate::plugin) fn add_key(
        &mut self,
        text: &str,
        fingerprint: &str,
    ) -> Result<KeyInfo, AdminError> {
        let refused = |e: &dyn std::error::Error| AdminError::Refused(reason(e));
        let key = PublicKey::parse(text).map_err(|e| refused(&e))?;
        let typed = |text: &str| text.split_whitespace().collect::<String>().to_ascii_lowercase();
        if typed(fingerprint) != typed(&key.fingerprint()) {
            let found = key.fingerprint();
            return Err(AdminError::Refused(format!(
                "the fingerprint of this key is {found}, not the one that you gave; do not trust \
                it unless the vendor says so"
            )));
        }
        let (mut trust, _) = self.trust();
        let id = key.id().to_string();
        let line = key.to_text();
        trust.add_vendor_key(key).map_err(|e| refused(&e))?;
        let mut next = self.roster.clone();
        next.decisions.vendor_keys.push(line);
        self.keep(next)?;
        let added = self.keys().into_iter().find(|key| key.id == id);
        added.ok_or_else(|| AdminError::Conflict("the key is not in force".to_owned()))
    }

    pub(in crate::plugin) fn withdraw_key(
        &mut self,
        id: &str,
        why: &str,
    ) -> Result<(), AdminError> {
        let unknown = || AdminError::Unknown(format!("there is no key {id:?}"));
        let key = self.keys().into_iter().find(|key| key.id == id).ok_or_else(unknown)?;
        let id = trusted::key_id(id).ok_or_else(unknown)?;
        let (mut trust, _) = self.trust();
        trust.revoke_key(id, &key.name, why).map_err(|e| AdminError::Refused(reason(&e)))?;
        let mut next = self.roster.clone();
        let row = Withdrawn { id: id.0, name: key.name, reason: why.to_owned() };
        next.decisions.withdrawn.retain(|row| row.id != id.0);
        next.decisions.withdrawn.push(row);
        self.keep(next)?;
        self.judge_again();
        Ok(())
    }

    pub(in crate::plugin) fn restore_key(&mut self, id: &str) -> Result<(), AdminError> {
        let known = trusted::key_id(id);
        let mut next = self.roster.clone();
        next.decisions.withdrawn.retain(|row| Some(row.id) != known.map(|id| id.0));
        if next == self.roster {
            return Err(AdminError::Unknown(format!("no trust was withdrawn from {id:?}")));
        }
        self.keep(next)?;
        Ok(())
    }

    pub(in crate::plugin) fn put_keyring(&mut self, raw: &[u8]) -> Result<(), AdminError> {
        let (mut trust, _) = self.trust();
        let accepted = trusted::accept(&self.places, &mut trust, raw);
        let sequence = accepted.map_err(|e| AdminError::Refused(reason(&e)))?;
        let mut next = self.roster.clone();
        next.decisions.keyring_sequence = sequence;
        self.keep(next)?;
        self.judge_again();
        Ok(())
    }

    /// Whom we trust has changed: what would be refused now runs no more.
    fn judge_again(&mut self) {
        let (trust, _) = self.trust();
        let entries: Vec<_> = self
            .roster
            .entries()
            .filter(|(id, entry)| entry.plugin.enabled && self.running.contains_key(*id))
            .map(|(id, entry)| (id.to_owned(), entry.clone()))
            .collect();
        for (id, entry) in entries {
            let seen =
                self.loader.library.find(&entry).and_then(|file| load::inspect(&file, &trust));
            let Err(refusal) = seen.map_err(|refusal| refusal.of(&entry)) else { continue };
            if let Err(e) = self.end(&id) {
                error!(plugin = id, "it is not trusted any more and does not end: {e}");
            }
            if let Some(slot) = self.slots.get(&id) {
                slot.refuse(&refusal, &self.shared.events);
                self.retract(&entry.plugin.points);
            }
        }
    }

    /// A version that has stood the test is not gone back behind.
    pub(in crate::plugin) fn prove(&mut self) {
        let now = clock::now();
        for slot in self.slots.all() {
            let stood = slot.board.running_for(now).is_some_and(|time| time >= self.probation);
            let Some(facts) = slot.facts().filter(|_| stood) else { continue };
            let (name, signer) = (&facts.manifest.name, &facts.signer.id);
            let version = facts.manifest.security_version;
            if self.roster.decisions.proven.of(name, signer) >= Some(version) {
                continue;
            }
            let mut next = self.roster.clone();
            next.decisions.proven.raise(name, signer, version);
            self.keep_by_itself(next, "the security version of a plugin");
        }
    }

    /// Floors of former times become those of who signed what is installed.
    pub(in crate::plugin) fn bind_floors(&mut self, trust: &Trust) {
        let mut next = self.roster.clone();
        for (plugin, _) in self.roster.decisions.proven.unbound() {
            let entries = self.roster.entries().filter(|(_, entry)| entry.plugin.name == plugin);
            let seen: Result<Vec<Seen>, Refusal> = entries
                .map(|(_, entry)| load::inspect(&self.loader.library.find(entry)?, trust))
                .collect();
            // One that cannot be read now may be later.
            let Ok(seen) = seen else { continue };
            for Seen { manifest, signer } in seen {
                next.decisions.proven.bind(plugin, &signer.id, manifest.security_version);
            }
            next.decisions.proven.drop_unbound(plugin);
        }
        if next != self.roster {
            self.keep_by_itself(next, "the security version of a plugin");
        }
    }

    pub(super) fn trust(&self) -> (Trust, Vec<Problem>) {
        trusted::load(&self.places, &self.roster.decisions)
    }
}
