//! What is secret in the kept list of plugins, sealed under a key of this
//! device.
//!
//! Sealed is, of each plugin and of the version before it: every setting (only
//! its signed schema says which are secret, and the list is read before any
//! bundle is), every granted secret, the community and the pass phrases of SNMP
//! agents; and the marks of what the configuration file said, from which a weak
//! secret could be guessed. Each is XChaCha20-Poly1305 (the construction of
//! RFC 8439 with a nonce of 24 random bytes), bound to the plugin's id and its
//! own name: it cannot be moved to another place. A value that stays the same
//! keeps its sealed text, so that nothing is written for it.
//!
//! The key is made from the [device's secret](super::device_key), a file in the
//! data directory beside the store. So the store alone (a copy, a support file,
//! remains on a disk that was thrown away) tells nobody a secret that was
//! entered in the console or by the API; the whole data directory, or root on the
//! appliance, does. The daemon's configuration file is not sealed, and neither
//! are the revisions of it in the store. What an earlier version kept in
//! plain is replaced and its revisions go, but its bytes can remain in parts of
//! the store's file, and of the flash, that nobody has written to since.
//!
//! What cannot be opened is [locked](is_locked): it stays as it is in the
//! document, in case the key comes back, and its plugin is refused until it is
//! entered again.

use super::device_key::{DeviceKey, LEN, NoDeviceKey};
use crate::config::PluginGrant;
use crate::failure;
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use evenkeel_signing::Digest;
use std::collections::BTreeMap;
use std::path::Path;
use toml::{Table, Value};

/// Name of the line that says whether a document is sealed.
pub const SEALED: &str = "sealed";
/// What the key is for.
const PURPOSE: &str = "evenkeel plugin secrets 1";
/// Bytes of a nonce.
const NONCE_LEN: usize = 24;
/// Stands for what cannot be opened; no form has such a character.
const LOCKED: &str = "\u{1}locked ";
/// Fields of an SNMP agent that are secret.
const SNMP_FIELDS: [&str; 3] = ["community", "auth_key", "privacy_key"];

/// Seals and opens.
pub struct Vault {
    cipher: Result<XChaCha20Poly1305, String>,
    /// Sealed texts by place and plain text: those of the last document.
    known: BTreeMap<(Place, String), String>,
}

/// Where a secret stands: the plugin's id, and the name of the line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Id of the plugin.
    pub id: String,
    /// As in `settings.key`.
    pub what: String,
}

/// A document in plain.
#[derive(Debug)]
pub struct Opened {
    /// The document.
    pub text: String,
    /// What could not be opened.
    pub locked: Vec<Place>,
    /// It was kept in plain.
    pub was_plain: bool,
}

/// Why nothing is sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// No key.
    #[error("a secret cannot be kept: {0}")]
    NoKey(String),
    /// No document.
    #[error("the list of plugins is no document")]
    Document(#[from] toml::de::Error),
    /// No random numbers.
    #[error("the system has no random numbers")]
    Random(#[source] getrandom::Error),
}

impl Vault {
    /// Under the key of the device whose data directory this is.
    #[must_use]
    pub fn of_device(data_dir: &Path) -> Self {
        Self::new(DeviceKey::open(data_dir))
    }

    fn new(key: Result<DeviceKey, NoDeviceKey>) -> Self {
        let cipher = key.map(|key| {
            let key: [u8; LEN] = key.of(PURPOSE);
            XChaCha20Poly1305::new(&key.into())
        });
        let cipher = cipher.map_err(|why| failure::chain(&why));
        Self { cipher, known: BTreeMap::new() }
    }

    /// A document as it was kept, in plain.
    ///
    /// # Errors
    /// When it is no document at all.
    pub fn open(&mut self, text: &str) -> Result<Opened, toml::de::Error> {
        let mut table: Table = text.parse()?;
        table.remove("form");
        if table.remove(SEALED) != Some(Value::Boolean(true)) {
            return Ok(Opened { text: table.to_string(), locked: Vec::new(), was_plain: true });
        }
        let (mut locked, mut known) = (Vec::new(), BTreeMap::new());
        for_each_secret(&mut table, &mut |place, text| {
            let plain = self.opened(&place, text).unwrap_or_else(|| {
                locked.push(place.clone());
                // Different ones stay different.
                format!("{LOCKED}{}", &Digest::of(text.as_bytes()).to_string()[..16])
            });
            let sealed = core::mem::replace(text, plain.clone());
            known.insert((place, plain), sealed);
        });
        self.known = known;
        Ok(Opened { text: table.to_string(), locked, was_plain: false })
    }

    /// A document in plain, as it is to be kept.
    ///
    /// # Errors
    /// [`SealError`]; nothing has changed.
    pub fn seal(&mut self, text: &str) -> Result<String, SealError> {
        let mut table: Table = text.parse()?;
        let (mut known, mut failed) = (BTreeMap::new(), None);
        for_each_secret(&mut table, &mut |place, text| {
            let key = (place, text.clone());
            let sealed = match self.known.get(&key) {
                Some(sealed) => Ok(sealed.clone()),
                None => self.sealed(&key.0, text),
            };
            match sealed {
                Ok(sealed) => {
                    text.clone_from(&sealed);
                    known.insert(key, sealed);
                }
                Err(why) => failed = Some(why),
            }
        });
        if let Some(why) = failed {
            return Err(why);
        }
        self.known = known;
        table.insert(SEALED.to_owned(), Value::Boolean(true));
        Ok(table.to_string())
    }

    fn sealed(&self, place: &Place, plain: &str) -> Result<String, SealError> {
        let cipher = self.cipher.as_ref().map_err(|why| SealError::NoKey(why.clone()))?;
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(SealError::Random)?;
        let aad = place.bytes();
        let payload = Payload { msg: plain.as_bytes(), aad: &aad };
        let sealed = cipher.encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.expect("a line of text is not too long");
        Ok(nonce.iter().chain(&sealed).map(|byte| format!("{byte:02x}")).collect())
    }

    fn opened(&self, place: &Place, sealed: &str) -> Option<String> {
        let cipher = self.cipher.as_ref().ok()?;
        let sealed = unhex(sealed)?;
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let aad = place.bytes();
        let payload = Payload { msg: sealed, aad: &aad };
        String::from_utf8(cipher.decrypt(&XNonce::from(*nonce), payload).ok()?).ok()
    }
}

impl Place {
    /// As it is bound to the sealed text. An id has no zero in it.
    fn bytes(&self) -> Vec<u8> {
        [self.id.as_bytes(), b"\0", self.what.as_bytes()].concat()
    }
}

/// Whether a text stands for one that cannot be opened.
#[must_use]
pub fn is_locked(text: &str) -> bool {
    text.starts_with(LOCKED)
}

/// The lines of a plugin that cannot be opened, as in `settings.key`.
#[must_use]
pub fn locked(plugin: &PluginGrant) -> Vec<String> {
    let mut found = Vec::new();
    let Ok(mut table) = Table::try_from(plugin) else { return found };
    for_each_of(&mut table, &mut |what, text| {
        if is_locked(text) {
            found.push(what);
        }
    });
    found
}

/// Take what cannot be opened from a plugin that is to be shown: its fields are
/// empty, to be filled in again.
pub fn take_locked(plugin: &mut PluginGrant) {
    plugin.settings.retain(|_, text| !is_locked(text));
    let secrets = &mut plugin.grant.secrets;
    secrets.retain(|_, secret| !secret.bytes().starts_with(LOCKED.as_bytes()));
}

/// Every secret of the document.
fn for_each_secret(document: &mut Table, act: &mut dyn FnMut(Place, &mut String)) {
    for (id, entry) in tables(document.get_mut("entries")) {
        let mut within = |entry: Option<&mut Value>| {
            let plugin = entry.and_then(|entry| entry.get_mut("plugin"));
            if let Some(plugin) = plugin.and_then(Value::as_table_mut) {
                for_each_of(plugin, &mut |what, text| act(Place { id: id.clone(), what }, text));
            }
        };
        within(entry.get_mut("previous"));
        within(Some(entry));
    }
    for (id, mark) in tables(document.get_mut("provisioned")) {
        if let Value::String(mark) = mark {
            act(Place { id: id.clone(), what: "provisioned".to_owned() }, mark);
        }
    }
}

/// Every secret of one plugin.
fn for_each_of(plugin: &mut Table, act: &mut dyn FnMut(String, &mut String)) {
    for (name, text) in tables(plugin.get_mut("settings")) {
        if let Value::String(text) = text {
            act(format!("settings.{name}"), text);
        }
    }
    let Some(grant) = plugin.get_mut("grant") else { return };
    for (name, text) in tables(grant.get_mut("secrets")) {
        if let Value::String(text) = text {
            act(format!("grant.secrets.{name}"), text);
        }
    }
    for (name, agent) in tables(grant.get_mut("snmp")) {
        for field in SNMP_FIELDS {
            if let Some(Value::String(text)) = agent.get_mut(field) {
                act(format!("grant.snmp.{name}.{field}"), text);
            }
        }
    }
}

/// The rows of a table; none of what is none.
fn tables(value: Option<&mut Value>) -> impl Iterator<Item = (&String, &mut Value)> {
    value.and_then(Value::as_table_mut).into_iter().flat_map(|table| table.iter_mut())
}

/// A document of an older program has its secrets in plain; it is sealed when
/// it is next kept.
pub fn forward(document: &mut Table) {
    document.insert(SEALED.to_owned(), Value::Boolean(false));
}

/// An older program finds no secrets: it could not open them, and they are not
/// to lie about in plain. Their plugins wait until they are entered again, or
/// have them from the configuration file.
pub fn back(document: &mut Table) -> Vec<String> {
    document.remove(SEALED);
    let mut lost = Vec::new();
    for_each_secret(document, &mut |place, _| lost.push(format!("{}.{}", place.id, place.what)));
    document.insert("provisioned".to_owned(), Value::Table(Table::new()));
    for (_, entry) in tables(document.get_mut("entries")) {
        for path in [&["plugin"][..], &["previous", "plugin"]] {
            let plugin = path.iter().try_fold(&mut *entry, |at, name| at.get_mut(*name));
            let Some(plugin) = plugin.and_then(Value::as_table_mut) else { continue };
            plugin.remove("settings");
            if let Some(grant) = plugin.get_mut("grant").and_then(Value::as_table_mut) {
                grant.remove("secrets");
                grant.remove("snmp");
            }
        }
    }
    lost
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|two| u8::from_str_radix(core::str::from_utf8(two).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::roster::DOCUMENT;
    use evenkeel_core::settings::forms::Document;

    const PLAIN: &str = r#"
        [entries.a.plugin]
        name = "a"
        settings = { key = "s3cret-1", unit = "9" }
        grant.secrets.peer = "s3cret-2"
        grant.serial.ups = "/dev/ttyS1"
        grant.snmp.ups = { address = "h", version = "v2c", community = "s3cret-3" }
        [entries.a.previous.plugin]
        name = "a"
        settings = { key = "s3cret-4" }
        [entries.b.plugin]
        name = "b"
        settings = { key = "s3cret-1" }
        [provisioned]
        a = "s3cret-5"
    "#;

    fn vault() -> (tempfile::TempDir, Vault) {
        let dir = tempfile::tempdir().expect("a directory");
        let vault = Vault::of_device(dir.path());
        (dir, vault)
    }

    fn table(text: &str) -> Table {
        text.parse().expect("a document")
    }

    #[test]
    fn nothing_secret_is_left_and_all_comes_back() {
        let (dir, mut vault) = vault();
        let opened = vault.open(PLAIN).expect("a document");
        assert!(opened.was_plain && opened.locked.is_empty());
        let sealed = vault.seal(&opened.text).expect("sealed");
        assert!(!sealed.contains("s3cret") && sealed.contains("/dev/ttyS1"), "{sealed}");
        assert_eq!(vault.seal(&opened.text).expect("sealed"), sealed, "no change is no change");
        let mut again = Vault::of_device(dir.path());
        let opened = again.open(&sealed).expect("a document");
        assert!(!opened.was_plain && opened.locked.is_empty());
        assert_eq!(table(&opened.text), table(PLAIN));
        assert_eq!(again.seal(&opened.text).expect("sealed"), sealed, "nor over a restart");
        let mut fresh = Vault::of_device(dir.path());
        assert_ne!(fresh.seal(PLAIN).expect("sealed"), sealed, "each nonce is used once");
    }

    #[test]
    fn what_is_moved_or_altered_is_locked_and_named() {
        let (dir, mut vault) = vault();
        let sealed = table(&vault.seal(PLAIN).expect("sealed"));
        let mut moved = sealed.clone();
        moved["entries"]["b"]["plugin"]["settings"]["key"] =
            sealed["entries"]["a"]["plugin"]["settings"]["key"].clone();
        moved["entries"]["a"]["plugin"]["grant"]["secrets"]["peer"] = Value::String("00".into());
        let mut again = Vault::of_device(dir.path());
        let opened = again.open(&moved.to_string()).expect("a document");
        let named: Vec<_> = opened.locked.iter().map(|p| (p.id.as_str(), &*p.what)).collect();
        assert_eq!(named, [("a", "grant.secrets.peer"), ("b", "settings.key")]);
    }

    #[test]
    fn under_another_key_all_is_locked_and_stays_for_the_day_it_comes_back() {
        let ((_dir, mut ours), (_other, mut theirs)) = (vault(), vault());
        let sealed = ours.seal(PLAIN).expect("sealed");
        let opened = theirs.open(&sealed).expect("a document");
        assert_eq!(opened.locked.len(), 7);
        assert!(!opened.text.contains("s3cret"));
        let plugin = table(&opened.text)["entries"]["a"]["plugin"].clone();
        let mut plugin: PluginGrant = plugin.try_into().expect("a plugin still");
        let lines = locked(&plugin);
        let all =
            ["settings.key", "settings.unit", "grant.secrets.peer", "grant.snmp.ups.community"];
        assert_eq!(lines, all);
        take_locked(&mut plugin);
        assert_eq!(locked(&plugin), ["grant.snmp.ups.community"]);
        let kept = theirs.seal(&opened.text).expect("sealed");
        assert_eq!(table(&kept), table(&sealed));
        assert_eq!(table(&ours.open(&kept).expect("a document").text), table(PLAIN));
        let mut none = Vault { cipher: Err("no key".into()), known: BTreeMap::new() };
        assert_eq!(none.open(&sealed).expect("a document").locked.len(), 7);
        assert!(matches!(none.seal(PLAIN), Err(SealError::NoKey(_))), "nothing is kept in plain");
    }

    #[test]
    fn an_older_program_finds_the_plugins_and_no_secret() {
        let (_dir, mut vault) = vault();
        let sealed = vault.seal(PLAIN).expect("sealed");
        let texts = DOCUMENT.chain.texts(&sealed);
        assert_eq!(texts.len(), DOCUMENT.chain.newest() as usize);
        let older = Document::parse(&texts[0]).expect("a document");
        assert_eq!(older.form, 1);
        let plugin = &older.table["entries"]["a"]["plugin"];
        assert_eq!(plugin["grant"]["serial"]["ups"].as_str(), Some("/dev/ttyS1"));
        assert!(plugin.get("settings").is_none() && plugin["grant"].get("secrets").is_none());
        let newest = DOCUMENT.chain.readable(texts.iter().rev().map(String::as_str));
        let opened = vault.open(&newest[0].1).expect("a document");
        assert_eq!(table(&opened.text), table(PLAIN));
        // What the older one wrote is plain, and known to be.
        let newest = DOCUMENT.chain.readable([texts[0].as_str()]);
        assert!(vault.open(&newest[0].1).expect("a document").was_plain);
    }
}
