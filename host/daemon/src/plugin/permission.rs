//! What a plugin asks for, in plain words; what of it can do harm; and the
//! mark by which an administrator's consent is remembered.
//!
//! Consent is to the *list* of permissions: an update that asks for the same
//! needs none, one that asks for anything else or more does (facts/wasm-host.md
//! §11.3). What is dangerous is the host's judgement, never the vendor's.

use crate::caps::base;
use crate::grants::Grants;
use evenkeel_signing::PluginManifest;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;

/// The mark of a list of permissions: SHA-256 in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    /// The mark of what `manifest` asks for.
    #[must_use]
    pub fn of(manifest: &PluginManifest) -> Self {
        let mut hash = Sha256::new();
        for wish in wishes(manifest) {
            hash.update(wish.as_bytes());
            hash.update([0]);
        }
        Self(hash.finalize().iter().map(|b| format!("{b:02x}")).collect())
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Digest {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// What a manifest asks for, without versions and reasons: what counts as a
/// change.
fn wishes(manifest: &PluginManifest) -> BTreeSet<String> {
    let interfaces = manifest.interfaces.iter().map(|i| base(i).to_owned());
    let permissions =
        manifest.permissions.iter().map(|p| format!("{} {}", base(&p.interface), p.what));
    interfaces.chain(permissions).collect()
}

/// What `new` asks for and `old` did not, in plain words.
#[must_use]
pub fn added(old: &PluginManifest, new: &PluginManifest) -> Vec<String> {
    let before = wishes(old);
    let named = new
        .permissions
        .iter()
        .filter(|p| !before.contains(&format!("{} {}", base(&p.interface), p.what)));
    let named = named.map(|p| words(&p.interface, &p.what));
    let whole = new.interfaces.iter().filter(|i| !before.contains(base(i)));
    whole.map(|i| words_alone(i)).chain(named).collect()
}

/// A permission in plain words.
#[must_use]
pub fn words(interface: &str, what: &str) -> String {
    match base(interface) {
        "evenkeel:serial/serial" => format!("talk to the device on the serial line “{what}”"),
        "evenkeel:hid/hid" => format!("talk to the USB device “{what}”"),
        "evenkeel:net-client/net-client" => format!("connect to the peer “{what}”"),
        "evenkeel:net-server/net-server" => format!("answer on the network address “{what}”"),
        "evenkeel:snmp-client/snmp-client" => format!("ask the SNMP agent “{what}”"),
        "evenkeel:points/points" => format!("publish measured values (“{what}”)"),
        "evenkeel:points/reader" => format!("read measured values (“{what}”)"),
        "evenkeel:commands/commands" => format!("give commands (“{what}”)"),
        "evenkeel:contacts/contacts" => format!("use the contact “{what}”"),
        "evenkeel:events/events" => format!("read the event log (“{what}”)"),
        "evenkeel:events/types" => format!("be told what happens (“{what}”)"),
        "evenkeel:crypto/crypto" => format!("compute with the secret “{what}” without seeing it"),
        other => format!("use “{what}” of {other}"),
    }
}

/// An interface that is used without a name, in plain words.
#[must_use]
pub fn words_alone(interface: &str) -> String {
    match base(interface) {
        "evenkeel:log/log" => "write to the log".to_owned(),
        "evenkeel:clock/clock" => "know the time".to_owned(),
        "evenkeel:config/config" => "read its settings".to_owned(),
        "evenkeel:random/random" => "use random numbers".to_owned(),
        "evenkeel:kv/kv" => "remember a little over restarts".to_owned(),
        "evenkeel:crypto/crypto" => "compute digests and check signatures".to_owned(),
        "evenkeel:points/points" => "publish measured values".to_owned(),
        "evenkeel:commands/offers" => "offer commands to its device".to_owned(),
        "evenkeel:events/events" => "add events to the log".to_owned(),
        "evenkeel:events/types" => "understand events".to_owned(),
        "evenkeel:net-server/net-server" => "send unasked on its connections".to_owned(),
        other => format!("use {other}"),
    }
}

/// A grant that can do harm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Danger {
    /// What must be repeated to confirm it.
    pub name: String,
    /// What can happen.
    pub text: String,
}

/// Beginnings of command names that can cut power or keep it off
/// (facts/nut-protocol.md, instant commands).
const CUTS_POWER: [&str; 7] =
    ["load.off", "load.cycle", "shutdown", "outlet", "driver.killpower", "bypass", "calibrate"];

/// Whether a command can cut power: by its name, or because a pattern leaves
/// the name open.
#[must_use]
pub fn cuts_power(command: &str) -> bool {
    let begin = command.strip_suffix('*').unwrap_or(command);
    let is_open = begin.len() < command.len();
    CUTS_POWER
        .iter()
        .any(|danger| begin.starts_with(danger) || (is_open && danger.starts_with(begin)))
}

/// Everything in `grants` that needs a second word.
#[must_use]
pub fn dangers(grants: &Grants) -> Vec<Danger> {
    let mut found = Vec::new();
    for (what, patterns) in &grants.commands {
        for pattern in patterns.iter().filter(|p| cuts_power(&p.name_text())) {
            found.push(Danger {
                name: format!("commands.{what}={pattern}"),
                text: format!("can switch off what {} feeds", pattern.target()),
            });
        }
    }
    for (what, agent) in grants.snmp.iter().filter(|(_, agent)| agent.write) {
        found.push(Danger {
            name: format!("snmp.{what}.write"),
            text: format!("can switch off what the UPS at {} feeds", agent.address),
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::fixture::{DRIVER_IMPORTS, LOG, manifest};

    #[test]
    fn consent_is_to_the_list_and_not_to_its_wording() {
        let first = manifest(&DRIVER_IMPORTS);
        let mut reworded = first.clone();
        reworded.permissions[0].reason = "another reason".into();
        reworded.version = "0.2.0".into();
        reworded.interfaces.retain(|i| i != "evenkeel:clock/clock@0.1.0");
        reworded.interfaces.push("evenkeel:clock/clock@0.1.1".into());
        assert_eq!(Digest::of(&first), Digest::of(&reworded));
        assert!(added(&first, &reworded).is_empty());
        let mut more = first.clone();
        more.permissions[0].what = "modem".into();
        assert_ne!(Digest::of(&first), Digest::of(&more));
        assert_eq!(added(&first, &more), ["talk to the device on the serial line “modem”"]);
        let less = manifest(&[LOG]);
        assert_ne!(Digest::of(&first), Digest::of(&less));
        assert!(added(&first, &less).is_empty());
        assert_eq!(added(&less, &first).len(), 4);
    }

    #[test]
    fn what_cuts_power_is_known_by_name_and_by_what_a_pattern_leaves_open() {
        for dangerous in [
            "load.off",
            "load.off.delay",
            "shutdown.return",
            "outlet.1.load.off",
            "load.*",
            "*",
            "l*",
            "shutdown.*",
            "driver.killpower",
        ] {
            assert!(cuts_power(dangerous), "{dangerous}");
        }
        for harmless in
            ["beeper.*", "beeper.toggle", "test.battery.start.quick", "test.*", "load.on"]
        {
            assert!(!cuts_power(harmless), "{harmless}");
        }
        let grants: Grants =
            toml::from_str("commands.ups = [\"ups.0:beeper.*\", \"ups.0:load.off\"]")
                .expect("good");
        let found = dangers(&grants);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].name, "commands.ups=ups.0:load.off");
    }
}
