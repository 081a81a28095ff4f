//! With whose keys an image is made, and whom it then trusts: the workshop's
//! own, or those of a platform that releases (facts/firmware-trust.md §7).
//!
//! The folder of a platform:
//!
//! ```text
//! roots/*.pub            the root keys, at least three; their secret halves are elsewhere
//! keyring.evkk           what more than half of them signed
//! firmware.key           seals the firmware; the keyring has its public half
//! plugin.key             signs the plugins with their code; the same
//! boot.key, boot.crt     signs boot images, for boards with U-Boot
//! uefi.key, uefi.crt     signs loader and kernel, for boards with UEFI
//! ```

use crate::run::AnyError;
use evenkeel_e2e::{fit, uefi};
use evenkeel_image::board::Board;
use evenkeel_image::release::PRODUCT;
use evenkeel_signing::{KeyId, Origin, PublicKey, Role, Roots, SecretKey, Trust};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// So many roots that one may be lost and one may be stolen.
const ROOTS_MIN: usize = 3;
/// The keyring's file, here and in an image.
const KEYRING: &str = "keyring.evkk";

/// A file of an image: its path, and what is in it.
pub type Text = (String, Vec<u8>);

/// The keys of one maker of images.
pub struct Keys {
    /// Seals the firmware.
    pub firmware: SecretKey,
    /// Signs the platform's plugins with their code for the board.
    pub plugin: SecretKey,
    /// Where the key of boot images is.
    folder: PathBuf,
    platform: Option<Platform>,
}

/// Those whose word an image for production takes.
struct Platform {
    roots: Vec<PublicKey>,
    keyring: Vec<u8>,
}

impl Keys {
    /// The workshop's; made at the first time.
    pub fn development(root: &Path) -> Result<Self, AnyError> {
        let key = |role| {
            let path = crate::plugins::development_key(root, role, "development")?;
            Ok::<_, AnyError>(SecretKey::read(&path)?)
        };
        let folder = root.join("target/dev-keys");
        Ok(Self { firmware: key("firmware")?, plugin: key("plugin")?, folder, platform: None })
    }

    /// Those in `folder`, when a device that trusts its roots would take what
    /// they sign.
    pub fn of_platform(folder: &Path) -> Result<Self, AnyError> {
        let in_folder = |error: &dyn std::error::Error| format!("{}: {error}", folder.display());
        let roots = public_keys(&folder.join("roots")).map_err(|e| in_folder(&*e))?;
        if roots.len() < ROOTS_MIN {
            let (found, place) = (roots.len(), folder.join("roots"));
            let text = format!(
                "{} has {found} public keys; a platform has at least {ROOTS_MIN} roots, so that \
                one may be lost",
                place.display()
            );
            return Err(text.into());
        }
        let path = folder.join(KEYRING);
        let keyring = fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let mut trust = Trust::new(Roots::new(roots.clone(), threshold(roots.len()))?, true)
            .map_err(|e| in_folder(&e))?;
        trust.accept_keyring(&keyring, Some(now)).map_err(|e| in_folder(&e))?;
        let firmware = signing_key(folder, "firmware.key", Role::Firmware, &trust)?;
        let plugin = signing_key(folder, "plugin.key", Role::Plugin, &trust)?;
        let platform = Some(Platform { roots, keyring });
        Ok(Self { firmware, plugin, folder: folder.canonicalize()?, platform })
    }

    /// Images for workshops are made with them.
    pub const fn are_for_development(&self) -> bool {
        self.platform.is_none()
    }

    /// Where the image of `board` is made, below `root`.
    pub fn place(&self, root: &Path, board: &Board) -> PathBuf {
        let kind = if self.are_for_development() { "" } else { "-release" };
        root.join("target/image").join(format!("{}{kind}", board.name))
    }

    /// The folder with the key of boot images.
    pub fn boot(&self) -> Result<&Path, AnyError> {
        if self.are_for_development() {
            fit::make_key(&self.folder)?;
        }
        self.with(["boot.key", "boot.crt"])
    }

    /// The folder, if these files are there.
    fn with(&self, names: [&str; 2]) -> Result<&Path, AnyError> {
        for name in names {
            let path = self.folder.join(name);
            if !path.exists() {
                let text = format!(
                    "{} is not there; image/README.md says how it is made, once",
                    path.display()
                );
                return Err(text.into());
            }
        }
        Ok(&self.folder)
    }

    /// The folder with the key of programs for UEFI.
    pub fn uefi(&self) -> Result<&Path, AnyError> {
        if self.are_for_development() {
            uefi::make_key(&self.folder)?;
        }
        self.with(["uefi.key", "uefi.crt"])
    }

    /// Who signs headers, as a boot loader is told: public keys, one a line, and
    /// the keyring that they signed, if they are roots.
    pub fn of_headers(&self) -> (String, &[u8]) {
        match &self.platform {
            None => (self.firmware.public().to_text().trim().to_owned(), &[]),
            Some(Platform { roots, keyring }) => {
                let lines: Vec<_> = roots.iter().map(PublicKey::to_text).collect();
                (lines.concat().trim().to_owned(), keyring)
            }
        }
    }

    /// What the image for `board` is and whom it trusts with its slots, as the
    /// first stage and the keeper read it.
    pub fn identity(&self, board: &Board) -> Vec<Text> {
        let word = |name: &str, text: &str| (name.to_owned(), text.as_bytes().to_vec());
        let mut files = vec![word("board", &board.name), word("product", PRODUCT)];
        match &self.platform {
            None => {
                files.push(word("threshold", "1"));
                files.push(word("development/firmware.pub", &self.firmware.public().to_text()));
            }
            Some(Platform { roots, keyring }) => {
                files.push(word("threshold", &threshold(roots.len()).to_string()));
                files.push((KEYRING.to_owned(), keyring.clone()));
                files.extend(roots.iter().map(|key| named(&format!("roots/{}", key.name()), key)));
            }
        }
        files
    }

    /// Whom its daemon trusts with plugins.
    pub fn trust(&self) -> Vec<Text> {
        match &self.platform {
            None => vec![named("plugin", &self.plugin.public())],
            Some(Platform { roots, keyring }) => {
                let roots = roots.iter().map(|key| named(key.name(), key));
                roots.chain([(KEYRING.to_owned(), keyring.clone())]).collect()
            }
        }
    }
}

/// More than half, as the daemon counts too.
const fn threshold(roots: usize) -> usize {
    roots / 2 + 1
}

fn named(path: &str, key: &PublicKey) -> Text {
    (format!("{path}.pub"), key.to_text().into_bytes())
}

/// The public keys in `folder`, by their files' names; no two of one name.
fn public_keys(folder: &Path) -> Result<Vec<PublicKey>, AnyError> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .map_err(|error| format!("{}: {error}", folder.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_, std::io::Error>>()?;
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "pub"));
    paths.sort();
    let keys = paths.iter().map(|path| PublicKey::read(path)).collect::<Result<Vec<_>, _>>()?;
    let names: BTreeSet<_> = keys.iter().map(PublicKey::name).collect();
    if names.len() < keys.len() {
        return Err(format!("two keys in {} have one name", folder.display()).into());
    }
    Ok(keys)
}

/// The secret key in the file `name`, when `trust` takes its word as the
/// platform's own.
fn signing_key(
    folder: &Path,
    name: &str,
    role: Role,
    trust: &Trust,
) -> Result<SecretKey, AnyError> {
    let path = folder.join(name);
    let key = SecretKey::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let public = key.public();
    let id: KeyId = public.id();
    let known = trust.trusted().find(&id);
    let vouched = known.is_some_and(|signer| signer.origin() == Origin::Platform);
    if public.role() == role && vouched {
        return Ok(key);
    }
    let text = format!(
        "{}: no device would take what this key signs. The keyring {} does not have the key {} \
        ({}) for {}; have the roots sign one that does",
        path.display(),
        folder.join(KEYRING).display(),
        public.name(),
        public.fingerprint(),
        role.word(),
    );
    Err(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_signing::{KeyEntry, KeyringManifest, seal_keyring};

    const FAR_S: u64 = 4_000_000_000;

    /// A platform's folder, and its roots.
    fn platform(prefix: &str) -> (tempfile::TempDir, Vec<SecretKey>) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("roots")).unwrap();
        let roots: Vec<SecretKey> = (1..=3)
            .map(|n| SecretKey::generate(Role::Root, &format!("{prefix}root-{n}")).unwrap())
            .collect();
        for root in &roots {
            let path = dir.path().join("roots").join(format!("{}.pub", root.public().name()));
            fs::write(path, root.public().to_text()).unwrap();
        }
        for (name, role) in [("firmware", Role::Firmware), ("plugin", Role::Plugin)] {
            let key = SecretKey::generate(role, &format!("{prefix}{name}-1")).unwrap();
            key.write_new(&dir.path().join(format!("{name}.key"))).unwrap();
        }
        (dir, roots)
    }

    fn keyring(folder: &Path, with: &[&str], signers: &[&SecretKey], expires_unix_s: u64) {
        let keys = with.iter().map(|name| {
            let key = SecretKey::read(&folder.join(format!("{name}.key"))).unwrap();
            KeyEntry::of(&key.public(), false)
        });
        let manifest = KeyringManifest::new(1, [1, expires_unix_s], keys.collect());
        fs::write(folder.join(KEYRING), seal_keyring(&manifest, signers).unwrap()).unwrap();
    }

    fn refused(folder: &Path) -> String {
        Keys::of_platform(folder).err().expect("a refusal").to_string()
    }

    #[test]
    fn a_platform_has_what_its_devices_take() {
        let (dir, roots) = platform("");
        keyring(dir.path(), &["firmware", "plugin"], &[&roots[0], &roots[2]], FAR_S);
        let keys = Keys::of_platform(dir.path()).unwrap();
        assert!(!keys.are_for_development());
        let names = |files: Vec<Text>| files.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        let ring = ["root-1.pub", "root-2.pub", "root-3.pub", "keyring.evkk"];
        assert_eq!(names(keys.trust()), ring);
        assert!(keys.boot().unwrap_err().to_string().contains("boot.key is not there"));
    }

    #[test]
    fn what_devices_would_refuse_is_refused_by_name() {
        let (dir, roots) = platform("");
        let folder = dir.path();
        let two = [&roots[0], &roots[1]];
        assert!(refused(folder).contains("keyring.evkk"));
        keyring(folder, &["firmware", "plugin"], &[&roots[0]], FAR_S);
        assert!(refused(folder).contains("1 of"), "{}", refused(folder));
        keyring(folder, &["firmware", "plugin"], &two, 1_000);
        assert!(refused(folder).contains("expired"), "{}", refused(folder));
        keyring(folder, &["firmware"], &two, FAR_S);
        assert!(refused(folder).contains("does not have the key plugin-1"), "{}", refused(folder));
        fs::copy(folder.join("plugin.key"), folder.join("firmware.key")).unwrap();
        keyring(folder, &["plugin"], &two, FAR_S);
        assert!(refused(folder).contains("for firmware"), "{}", refused(folder));
        fs::remove_file(folder.join("roots/root-2.pub")).unwrap();
        assert!(refused(folder).contains("at least 3 roots"), "{}", refused(folder));
    }

    #[test]
    fn development_keys_make_no_image_for_production() {
        let (dir, roots) = platform("dev-");
        keyring(dir.path(), &["firmware", "plugin"], &[&roots[0], &roots[1]], FAR_S);
        assert!(refused(dir.path()).contains("development key"), "{}", refused(dir.path()));
    }
}
