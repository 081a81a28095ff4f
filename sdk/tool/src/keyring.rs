//! `keyring make` and `keyring sign`: a keyring bundle from its description,
//! signed by one root after another (facts/firmware-trust.md §7).
//!
//! ```toml
//! sequence = 7
//! issued = 2026-11-21
//! expires = 2028-11-21
//!
//! [[keys]]
//! file = "acme.pub"             # beside this description
//! vendor = true                 # another maker: may sign no licence gate
//!
//! [[revoked_keys]]
//! id = "21fe 31df …"            # or `file`, the public key
//! name = "stolen"
//! reason = "a laptop was stolen"
//! since = 2026-11-01
//!
//! [[revoked_bundles]]
//! sha256 = "ba78 16bf …"        # `inspect` shows it: manifest sha256
//! name = "megatec"
//! reason = "it switches outlets off at start"
//!
//! [[floors]]
//! plugin = "megatec"
//! security_version = 3
//! reason = "a forged reply could crash it"
//! ```

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use evenkeel_signing::{
    Digest, Floor, KeyEntry, KeyError, KeyId, Keyring, KeyringManifest, PublicKey, RevokedBundle,
    RevokedKey, SealError, SecretKey, countersign, date_utc, seal_keyring,
};
use serde::Deserialize;
use serde::de::IntoDeserializer as _;
use serde::de::value::{Error as ValueError, StrDeserializer};
use toml::value::{Date, Datetime};

/// Make a keyring bundle from the description in `path`, with the signature of
/// the first root.
///
/// # Errors
/// [`KeyringFileError`] names the file or field that is wrong.
pub fn make(path: &Path, root: &SecretKey) -> Result<Vec<u8>, KeyringFileError> {
    let text = fs::read_to_string(path).map_err(|source| cannot("read", path, source))?;
    let description: Description = toml::from_str(&text).map_err(|source| {
        KeyringFileError::Toml { path: path.to_owned(), source: Box::new(source) }
    })?;
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let manifest = description.manifest(folder)?;
    seal_keyring(&manifest, &[root]).map_err(|source| KeyringFileError::Seal { source })
}

/// Add the signature of a further root to the keyring bundle `raw`, which a
/// root of `trusted` has signed.
///
/// # Errors
/// [`KeyringFileError`] when nobody of `trusted` signed, or `root` has already.
pub fn sign(raw: &[u8], trusted: &Keyring, root: &SecretKey) -> Result<Vec<u8>, KeyringFileError> {
    countersign(raw, trusted, root).map_err(|source| KeyringFileError::Seal { source })
}

/// Write a bundle to a new file; an existing one is never overwritten, because
/// devices may have it.
///
/// # Errors
/// [`KeyringFileError::File`] when it exists or cannot be written.
pub fn write_new(path: &Path, bundle: &[u8]) -> Result<(), KeyringFileError> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(|source| cannot("create", path, source))?;
    file.write_all(bundle)
        .and_then(|()| file.sync_all())
        .map_err(|source| cannot("write", path, source))
}

/// Why there is no keyring.
#[derive(Debug, thiserror::Error)]
pub enum KeyringFileError {
    /// The operating system refused.
    #[error("cannot {action} {}", path.display())]
    File {
        /// `read`, `create` or `write`.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Not the fields of a description.
    #[error("correct {}", path.display())]
    Toml {
        /// Which file.
        path: PathBuf,
        /// Line and reason.
        source: Box<toml::de::Error>,
    },
    /// A key file that is none.
    #[error("the key file {} cannot be used", path.display())]
    Key {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: KeyError,
    },
    /// Not a day.
    #[error("{field} = {found} is no day since 1970; write it like 2026-11-21")]
    Date {
        /// The field.
        field: &'static str,
        /// What stands there.
        found: String,
    },
    /// Not a hash.
    #[error(
        "{field} = {found:?} is no SHA-256; write 64 hexadecimal digits, with or without spaces"
    )]
    Hash {
        /// The field.
        field: &'static str,
        /// What stands there.
        found: String,
    },
    /// A revoked key that is named twice or not at all.
    #[error("the revoked key {name:?} needs `id` or `file`, and not both")]
    WhichKey {
        /// Name in the entry.
        name: String,
    },
    /// The bundle cannot be made.
    #[error("the keyring cannot be signed")]
    Seal {
        /// Why.
        source: SealError,
    },
}

/// What a person writes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    sequence: u32,
    issued: Datetime,
    expires: Datetime,
    #[serde(default)]
    keys: Vec<Key>,
    #[serde(default)]
    revoked_keys: Vec<Revoked>,
    #[serde(default)]
    revoked_bundles: Vec<RevokedPlugin>,
    #[serde(default)]
    floors: Vec<Floor>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    file: PathBuf,
    #[serde(default)]
    vendor: bool,
    #[serde(default)]
    development: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Revoked {
    id: Option<String>,
    file: Option<PathBuf>,
    name: String,
    reason: String,
    since: Datetime,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RevokedPlugin {
    sha256: String,
    name: String,
    reason: String,
}

impl Description {
    fn manifest(self, folder: &Path) -> Result<KeyringManifest, KeyringFileError> {
        let keys = self.keys.into_iter().map(|key| key.entry(folder));
        let revoked_keys = self.revoked_keys.into_iter().map(|key| key.entry(folder));
        let bundles = self.revoked_bundles.into_iter().map(RevokedPlugin::entry);
        Ok(KeyringManifest {
            format: KeyringManifest::FORMAT,
            kind: KeyringManifest::KIND.to_owned(),
            sequence: self.sequence,
            issued_unix_s: unix_s("issued", &self.issued)?,
            expires_unix_s: unix_s("expires", &self.expires)?,
            keys: keys.collect::<Result<_, _>>()?,
            revoked_keys: revoked_keys.collect::<Result<_, _>>()?,
            revoked_bundles: bundles.collect::<Result<_, _>>()?,
            floors: self.floors,
        })
    }
}

impl Key {
    fn entry(self, folder: &Path) -> Result<KeyEntry, KeyringFileError> {
        let entry = KeyEntry::of(&public(&folder.join(self.file))?, self.vendor);
        Ok(KeyEntry { development: self.development || entry.development, ..entry })
    }
}

impl Revoked {
    fn entry(self, folder: &Path) -> Result<RevokedKey, KeyringFileError> {
        let Self { id, file, name, reason, since } = self;
        let KeyId(id) = match (id, file) {
            (Some(text), None) => KeyId(hash("id", &text)?),
            (None, Some(file)) => public(&folder.join(file))?.id(),
            _ => return Err(KeyringFileError::WhichKey { name }),
        };
        let since_unix_s = unix_s("since", &since)?;
        Ok(RevokedKey { id, name, reason, since_unix_s })
    }
}

impl RevokedPlugin {
    fn entry(self) -> Result<RevokedBundle, KeyringFileError> {
        let sha256 = hash("sha256", &self.sha256)?;
        Ok(RevokedBundle { sha256, name: self.name, reason: self.reason })
    }
}

fn public(path: &Path) -> Result<PublicKey, KeyringFileError> {
    PublicKey::read(path).map_err(|source| KeyringFileError::Key { path: path.to_owned(), source })
}

fn cannot(action: &'static str, path: &Path, source: io::Error) -> KeyringFileError {
    KeyringFileError::File { action, path: path.to_owned(), source }
}

/// A hash as `inspect` writes it, or in the groups of a fingerprint.
fn hash(field: &'static str, text: &str) -> Result<Digest, KeyringFileError> {
    let digits: String = text.chars().filter(|c| *c != ' ').collect();
    let digits: StrDeserializer<'_, ValueError> = digits.as_str().into_deserializer();
    let found = || text.chars().take(80).collect();
    Digest::deserialize(digits).map_err(|_| KeyringFileError::Hash { field, found: found() })
}

/// The first second of a day in UTC.
fn unix_s(field: &'static str, when: &Datetime) -> Result<u64, KeyringFileError> {
    let no_day = || KeyringFileError::Date { field, found: when.to_string() };
    let (Some(date), None, None) = (when.date, when.time, when.offset) else {
        return Err(no_day());
    };
    let days = days_since_1970(date).ok_or_else(no_day)?;
    let unix_s = days * 86_400;
    // The way back tells the 30th of February.
    if date_utc(unix_s) == when.to_string() { Ok(unix_s) } else { Err(no_day()) }
}

/// None before 1970. Years are counted from March, so that the leap day is the
/// last of its year.
fn days_since_1970(date: Date) -> Option<u64> {
    let (month, day) = (u64::from(date.month), u64::from(date.day));
    let year = u64::from(date.year).checked_sub(u64::from(month <= 2))?;
    let march_month = (month + 9) % 12;
    let day_of_year = (153 * march_month + 2) / 5 + day.checked_sub(1)?;
    let leap_days = year / 4 - year / 100 + year / 400;
    (year * 365 + leap_days + day_of_year).checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use evenkeel_signing::{Role, Roots, Trust};

    use super::*;

    const TEXT: &str = r#"
        sequence = 7
        issued = 2026-11-21
        expires = 2028-11-21
        keys = [{ file = "acme.pub", vendor = true }, { file = "dev.pub" }]
        [[revoked_keys]]
        file = "stolen.pub"
        name = "stolen"
        reason = "a laptop was stolen"
        since = 2026-11-01
        [[revoked_keys]]
        id = "21fe 31df a154 a261 626b f854 046f d227 1b7b ed4b 6abe 45aa 5887 7ef4 7f97 21b9"
        name = "rfc"
        reason = "its secret is published"
        since = 2017-01-01
        [[revoked_bundles]]
        sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        name = "megatec"
        reason = "it switches outlets off at start"
        [[floors]]
        plugin = "megatec"
        security_version = 3
        reason = "a forged reply could crash it"
    "#;

    /// A folder with the description and its key files.
    fn folder(text: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in ["acme", "dev", "stolen"] {
            let key = SecretKey::generate(Role::Plugin, name).unwrap().public();
            key.write_new(&dir.path().join(format!("{name}.pub"))).unwrap();
        }
        fs::write(dir.path().join("keyring.toml"), text).unwrap();
        dir
    }

    #[test]
    fn roots_sign_one_after_another_and_a_device_accepts_it() {
        let dir = folder(TEXT);
        let [a, b, c] = ["a", "b", "c"].map(|n| SecretKey::generate(Role::Root, n).unwrap());
        let (first, second) = (dir.path().join("1.evkk"), dir.path().join("2.evkk"));
        write_new(&first, &make(&dir.path().join("keyring.toml"), &a).unwrap()).unwrap();
        let mut trusted = Keyring::new();
        trusted.insert(a.public()).unwrap();
        let half = fs::read(&first).unwrap();
        let whole = sign(&half, &trusted, &b).unwrap();
        write_new(&second, &whole).unwrap();
        assert!(matches!(write_new(&second, &whole), Err(KeyringFileError::File { .. })));
        let again = sign(&whole, &trusted, &b).unwrap_err();
        assert!(matches!(
            again,
            KeyringFileError::Seal { source: SealError::AlreadySigned { .. } }
        ));

        let roots = Roots::new([&a, &b, &c].map(SecretKey::public).into(), 2).unwrap();
        let mut trust = Trust::new(roots, true).unwrap();
        assert!(trust.accept_keyring(&half, None).is_err());
        assert_eq!(trust.accept_keyring(&whole, None).unwrap().sequence, 7);
        let keyring = trust.keyring().unwrap();
        assert_eq!(keyring.issued_unix_s, 1_795_219_200);
        assert!(keyring.keys[0].vendor && keyring.keys[1].development);
        assert_eq!(date_utc(keyring.revoked_keys[1].since_unix_s), "2017-01-01");
    }

    #[test]
    fn each_mistake_is_named() {
        let root = SecretKey::generate(Role::Root, "a").unwrap();
        for (good, bad, expected) in [
            ("2028-11-21", "2026-02-30", "2026-02-30"),
            ("2028-11-21", "2028-11-21T10:00:00Z", "expires = 2028-11-21T10:00:00Z is no day"),
            ("2028-11-21", "1969-12-31", "is no day since 1970"),
            ("2028-11-21", "2026-11-20", "keyring would be refused"),
            ("acme.pub", "missing.pub", "missing.pub cannot be used"),
            ("ba7816", "BA7816", "sha256 = \"BA7816"),
            ("file = \"stolen.pub\"", "", "\"stolen\" needs `id` or `file`"),
            ("sequence = 7", "sequence = 7\nroots = 2", "correct "),
        ] {
            let dir = folder(&TEXT.replace(good, bad));
            let error = make(&dir.path().join("keyring.toml"), &root).unwrap_err();
            let text = crate::chain(&error);
            assert!(text.contains(expected), "{bad}: {text}");
        }
        let plugin = SecretKey::generate(Role::Plugin, "acme").unwrap();
        let error = make(&folder(TEXT).path().join("keyring.toml"), &plugin).unwrap_err();
        assert!(crate::chain(&error).contains("signs plugin bundles"), "{error}");
    }

    #[test]
    fn days_go_both_ways() {
        for days in (0..400 * 366).step_by(17) {
            let text = date_utc(days * 86_400);
            let when: Datetime = text.parse().unwrap();
            assert_eq!(unix_s("issued", &when).unwrap(), days * 86_400, "{text}");
        }
    }
}
