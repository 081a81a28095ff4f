//! What a plugin asks for, in plain words; what of it can do harm; and the
//! mark by which an administrator's consent is remembered.
//!
//! Consent is to the *list* of permissions: an update that asks for the same
//! needs none, one that asks for anything else or more does (facts/wasm-host.md
//! §11.3). What is dangerous is the host's judgement, never the vendor's.

use crate::caps::base;
use crate::grants::Grants;
use evenkeel_core::danger::RELAY;
use evenkeel_signing::PluginManifest;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;

/// The mark of a list of permissions: SHA-256 in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    /// The mark of what `manifest` asks for, in a bundle of the firmware.
    #[must_use]
    pub fn of(manifest: &PluginManifest) -> Self {
        Self::over(wishes(manifest))
    }

    /// The same in an uploaded bundle that the key with the id `signer` signed:
    /// whom a person trusted with these permissions is part of it.
    #[must_use]
    pub fn signed(manifest: &PluginManifest, signer: &str) -> Self {
        Self::over(wishes(manifest).into_iter().chain([format!("signed by {signer}")]))
    }

    fn over(words: impl IntoIterator<Item = String>) -> Self {
        let mut hash = Sha256::new();
        for word in words {
            hash.update(word.as_bytes());
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

/// A driver that can be told something can tell it to its device unasked: a line is
/// granted whole, because one has to write to it to be answered at all.
const OFFERS: &str = "carry out commands on its device, by which a UPS can cut its load";

/// A permission in plain words.
#[must_use]
pub fn words(interface: &str, what: &str) -> String {
    match base(interface) {
        "evenkeel:serial/serial" => format!("talk to the device on the serial line “{what}”"),
        "evenkeel:hid/hid" => {
            format!("read the USB device “{what}”, and tell it what to do if you say so")
        }
        "evenkeel:net-client/net-client" => format!("connect to the peer “{what}”"),
        "evenkeel:net-server/net-server" => format!("answer on the network address “{what}”"),
        "evenkeel:snmp-client/snmp-client" => format!("ask the SNMP agent “{what}”"),
        "evenkeel:points/points" => format!("publish measured values (“{what}”)"),
        "evenkeel:points/reader" => format!("read measured values (“{what}”)"),
        "evenkeel:commands/commands" => format!("give commands (“{what}”)"),
        "evenkeel:commands/offers" => format!("{OFFERS} (“{what}”)"),
        "evenkeel:contacts/contacts" => {
            format!("read the contact “{what}”, and switch it if you say so")
        }
        "evenkeel:events/events" => {
            format!("read the event log, or add warnings and alarms, as you say (“{what}”)")
        }
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
        "evenkeel:commands/offers" => OFFERS.to_owned(),
        "evenkeel:events/events" => "add events for information to the log".to_owned(),
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

/// Everything in `grants` that needs a second word.
#[must_use]
pub fn dangers(grants: &Grants) -> Vec<Danger> {
    let mut found = Vec::new();
    for (what, patterns) in &grants.commands {
        for pattern in patterns {
            let Some(danger) = pattern.danger() else { continue };
            found.push(Danger {
                name: format!("commands.{what}={pattern}"),
                text: format!("{} {danger}", pattern.target()),
            });
        }
    }
    for (what, agent) in grants.snmp.iter().filter(|(_, agent)| agent.write) {
        found.push(Danger {
            name: format!("snmp.{what}.write"),
            text: format!("can switch off what the UPS at {} feeds", agent.address),
        });
    }
    for (what, device) in grants.hid.iter().filter(|(_, device)| device.write) {
        found.push(Danger {
            name: format!("hid.{what}.write"),
            text: format!("can cut the load of a UPS that is the USB device {}", device.at),
        });
    }
    for (what, contact) in grants.contacts.iter().filter(|(_, contact)| contact.switch) {
        let (name, at) = (format!("contacts.{what}.switch"), &contact.at);
        found.push(Danger { name, text: format!("{at} {RELAY}") });
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
        assert_eq!(Digest::signed(&first, "1"), Digest::signed(&reworded, "1"));
        assert_ne!(Digest::signed(&first, "1"), Digest::signed(&first, "2"));
        assert_ne!(Digest::signed(&first, "1"), Digest::of(&first));
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
    fn switching_needs_a_second_word_and_reading_does_not() {
        let text = "contacts.door = \"AUX1.input.2\"\ncontacts.lamp = \"AUX1.output.1\"\n\
            contacts.fan = { at = \"AUX1.output.3\", switch = true }";
        let found = dangers(&toml::from_str(text).expect("good"));
        let text = "AUX1.output.3 can be switched, and whatever is connected to it".to_owned();
        assert_eq!(found, [Danger { name: "contacts.fan.switch".to_owned(), text }]);
    }

    #[test]
    fn who_offers_commands_is_said_to_be_able_to_cut_the_load() {
        let offers = crate::caps::commands::OFFERS_INTERFACE;
        for text in [words(offers, "ups"), words_alone(offers)] {
            assert!(text.contains("cut its load"), "{text}");
        }
    }

    #[test]
    fn writing_to_a_usb_device_needs_a_second_word_and_reading_does_not() {
        let text = "hid.meter = \"051d:0002\"\n\
            hid.ups = { at = \"0463:ffff:G317\", write = true }";
        let found = dangers(&toml::from_str(text).expect("good"));
        let text = "can cut the load of a UPS that is the USB device 0463:ffff:G317".to_owned();
        assert_eq!(found, [Danger { name: "hid.ups.write".to_owned(), text }]);
    }

    #[test]
    fn a_dangerous_command_needs_a_second_word_and_an_open_pattern_allows_none() {
        let grants: Grants = toml::from_str(
            "commands.ups = [\"ups.0:beeper.*\", \"ups.0:load.off\", \"ups.0:*\",
                \"ups.0:experimental.kill\",
                \"ups.0:test.battery.start.deep\", \"ups.0:test.battery.start.quick\"]",
        )
        .expect("good");
        let found = dangers(&grants);
        let names: Vec<_> = found.iter().map(|danger| danger.name.as_str()).collect();
        let wanted = [
            "commands.ups=ups.0:load.off",
            "commands.ups=ups.0:experimental.kill",
            "commands.ups=ups.0:test.battery.start.deep",
        ];
        assert_eq!(names, wanted);
        assert_eq!(found[0].text, "ups.0 switches the load off");
        let open = &grants.commands["ups"][2];
        assert!(open.allows("ups.0", "beeper.toggle") && !open.allows("ups.0", "load.off"));
        assert!(!open.allows("ups.0", "experimental.kill"), "nobody knows what it does");
    }
}
