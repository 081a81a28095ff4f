//! Compiled code, kept between starts.
//!
//! An entry is a file `<data_dir>/cache/<key>.code`: a 32-byte tag, then the
//! code. The key says what it was compiled from and by what; the tag is
//! HMAC-SHA-256 (RFC 2104) over key and code under a key of this
//! [device](crate::plugin::device_key).
//! Code is run without further question, so an entry must be ours: a damaged
//! one, one of another device and one under another's name are dropped, and the
//! component is compiled again.

use crate::files;
use crate::plugin::device_key::{DeviceKey, LEN, NoDeviceKey};
use crate::plugin::engine;
use evenkeel_signing::Digest;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;
use tracing::warn;

/// Most bytes of all entries. Some 1.2 MB of code belong to a component of
/// 300 kB; the configuration allows 64 plugins.
pub const BYTES_MAX: u64 = 64 << 20;
/// What the device's secret is used for here.
const PURPOSE: &str = "evenkeel plugin code 1";
const TAG_LEN: usize = 32;

/// What code was compiled from, and by what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(Digest);

impl Key {
    /// The key of `component` as this program compiles it.
    #[must_use]
    pub fn of(component: &[u8]) -> Self {
        let text = format!(
            "evenkeel plugin code 1\n{}\nevenkeeld {}\nwasmtime {} for {}\nconfiguration {}\n",
            Digest::of(component),
            env!("CARGO_PKG_VERSION"),
            engine::WASMTIME,
            engine::TARGET,
            engine::CONFIGURATION,
        );
        Self(Digest::of(text.as_bytes()))
    }
}

/// Why nothing can be kept.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// No directory.
    #[error("the directory {} cannot be made", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// No secret.
    #[error(transparent)]
    Secret(#[from] NoDeviceKey),
}

/// The entries of one data directory.
pub struct Cache {
    dir: PathBuf,
    secret: [u8; LEN],
    bytes_max: u64,
    write: fn(&Path, &[u8]) -> io::Result<()>,
    /// Held while an entry is written: there is one name for the fresh file.
    writing: Mutex<()>,
}

impl Cache {
    /// The cache in `data_dir`; its directory and secret are made when absent.
    ///
    /// # Errors
    /// [`CacheError`].
    pub fn open(data_dir: &Path) -> Result<Self, CacheError> {
        let dir = data_dir.join("cache");
        files::private_dir(&dir)
            .map_err(|source| CacheError::Directory { path: dir.clone(), source })?;
        let secret = DeviceKey::open(data_dir)?.of(PURPOSE);
        let write = |path: &Path, bytes: &[u8]| files::write_private(path, bytes);
        Ok(Self { dir, secret, bytes_max: BYTES_MAX, write, writing: Mutex::default() })
    }

    /// The code under `key`; one that is not ours is dropped and not found.
    #[must_use]
    pub fn find(&self, key: &Key) -> Option<Vec<u8>> {
        let path = self.path(key);
        let file = File::open(&path).ok()?;
        let mut entry = Vec::new();
        let read = (&file).take(self.bytes_max).read_to_end(&mut entry);
        if read.is_ok() && self.is_ours(key, &entry) {
            // The oldest is dropped first: what is used is not old. A clock
            // that cannot be set costs one more compilation, some day.
            let _ = file.set_modified(SystemTime::now());
            return Some(entry.split_off(TAG_LEN));
        }
        warn!("{} is damaged or of another device; it is compiled again", path.display());
        self.drop_entry(key);
        None
    }

    /// Keep `code` under `key`, and drop the oldest entries when all together
    /// are too large.
    ///
    /// # Errors
    /// What the system says; the cache is as good as before.
    pub fn keep(&self, key: &Key, code: &[u8]) -> io::Result<()> {
        let tag = self.mac(key, code).finalize().into_bytes();
        // A panic of another writer left a fresh file, which is replaced.
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        (self.write)(&self.path(key), &[tag.as_slice(), code].concat())?;
        self.prune()
    }

    /// Forget the entry under `key`, if there is one.
    pub fn drop_entry(&self, key: &Key) {
        // One that stays is refused again next time.
        let _ = fs::remove_file(self.path(key));
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.dir.join(format!("{}.code", key.0))
    }

    fn is_ours(&self, key: &Key, entry: &[u8]) -> bool {
        let Some((tag, code)) = entry.split_at_checked(TAG_LEN) else { return false };
        self.mac(key, code).verify_slice(tag).is_ok()
    }

    fn mac(&self, key: &Key, code: &[u8]) -> Hmac<Sha256> {
        let mac = Hmac::<Sha256>::new_from_slice(&self.secret).expect("HMAC takes any length");
        mac.chain_update(key.0.0).chain_update(code)
    }

    fn prune(&self) -> io::Result<()> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let data = entry.metadata()?;
            entries.push((data.modified()?, data.len(), entry.path()));
        }
        entries.sort();
        let mut bytes: u64 = entries.iter().map(|(_, len, _)| len).sum();
        for (_, len, path) in entries {
            if bytes <= self.bytes_max {
                break;
            }
            fs::remove_file(path)?;
            bytes -= len;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::device_key::SECRET_FILE;
    use std::os::unix::fs::PermissionsExt as _;

    fn cache() -> (tempfile::TempDir, Cache) {
        let dir = tempfile::tempdir().expect("a directory");
        let cache = Cache::open(dir.path()).expect("a cache");
        (dir, cache)
    }

    fn entries(cache: &Cache) -> usize {
        fs::read_dir(&cache.dir).expect("listed").count()
    }

    #[test]
    fn what_is_kept_is_found_and_private() {
        let (dir, cache) = cache();
        let key = Key::of(b"component");
        assert_eq!(cache.find(&key), None);
        cache.keep(&key, b"code").expect("kept");
        assert_eq!(cache.find(&key).as_deref(), Some(&b"code"[..]));
        let again = Cache::open(dir.path()).expect("opened again");
        assert_eq!(again.find(&key).as_deref(), Some(&b"code"[..]), "the secret is kept, too");
        for file in [cache.path(&key), dir.path().join(SECRET_FILE)] {
            let mode = fs::metadata(file).expect("there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn every_damage_is_noticed_and_the_entry_dropped() {
        let (_dir, cache) = cache();
        let (key, other) = (Key::of(b"component"), Key::of(b"another"));
        cache.keep(&key, b"some code").expect("kept");
        let path = cache.path(&key);
        let good = fs::read(&path).expect("readable");
        let mut damaged: Vec<Vec<u8>> = (0..good.len())
            .flat_map(|at| [1_u8, 0x80].map(|bit| (at, bit)))
            .map(|(at, bit)| {
                let mut entry = good.clone();
                entry[at] ^= bit;
                entry
            })
            .collect();
        damaged.extend((0..good.len()).map(|len| good[..len].to_vec()));
        damaged.push([good.as_slice(), b"x"].concat());
        for entry in damaged {
            fs::write(&path, &entry).expect("written");
            assert_eq!(cache.find(&key), None, "{entry:02x?}");
            assert!(!path.exists(), "dropped");
        }
        fs::write(cache.path(&other), &good).expect("written");
        assert_eq!(cache.find(&other), None, "under another's name");
    }

    #[test]
    fn another_device_s_entries_are_foreign() {
        let (ours, theirs) = (cache(), cache());
        let key = Key::of(b"component");
        theirs.1.keep(&key, b"code").expect("kept");
        fs::copy(theirs.1.path(&key), ours.1.path(&key)).expect("copied");
        assert_eq!(ours.1.find(&key), None);
        theirs.1.keep(&key, b"code").expect("kept");
        // A damaged secret is a new device.
        for damaged in [&b"short"[..], &[0; 33]] {
            fs::write(theirs.0.path().join(SECRET_FILE), damaged).expect("written");
            let again = Cache::open(theirs.0.path()).expect("opened");
            assert_eq!(again.find(&key), None);
            again.keep(&key, b"code").expect("kept");
        }
    }

    #[test]
    fn the_oldest_make_room() {
        let (_dir, mut cache) = cache();
        cache.bytes_max = 3 * (TAG_LEN as u64 + 100);
        let key = |n: u8| Key::of(&[n]);
        let age = |n: u8, seconds: u64| {
            let file = File::options().write(true).open(cache.path(&key(n))).expect("there");
            let then = SystemTime::now() - std::time::Duration::from_secs(seconds);
            file.set_modified(then).expect("set");
        };
        for n in 0..3 {
            cache.keep(&key(n), &[n; 100]).expect("kept");
            age(n, 100 - u64::from(n));
        }
        assert!(cache.find(&key(0)).is_some(), "used, and so no longer the oldest");
        cache.keep(&key(3), &[3; 100]).expect("kept");
        let found = [0, 1, 2, 3].map(|n| cache.find(&key(n)).is_some());
        assert_eq!(found, [true, false, true, true]);
        assert_eq!(entries(&cache), 3);
    }

    #[test]
    fn a_full_disk_costs_the_entry_and_nothing_else() {
        let (_dir, mut cache) = cache();
        let (key, other) = (Key::of(b"component"), Key::of(b"another"));
        cache.keep(&other, b"kept before").expect("kept");
        cache.write = |path, bytes| {
            fs::write(path.with_extension("fresh"), &bytes[..bytes.len() / 2])?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        };
        let error = cache.keep(&key, b"code").expect_err("no room");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(cache.find(&key), None);
        assert!(cache.find(&other).is_some());
        cache.write = |path, bytes| files::write_private(path, bytes);
        cache.keep(&key, b"code").expect("there is room again");
        assert_eq!(entries(&cache), 2, "and nothing is left over");
    }
}
