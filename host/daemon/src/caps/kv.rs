//! `evenkeel:kv`: what a plugin keeps over restarts and updates.
//!
//! One shelf per installed plugin, named by its id. `set` returns when the
//! commit is on the disk, which it shares with whatever else is written then.
//! Two limits hold: the bytes that are kept, and the wear of the flash. What
//! may still be written is kept beside the values themselves, so a restart, of
//! the plugin or of the appliance, gives a plugin nothing back.

use super::Site;
use super::meter::{Beyond, Meter, Way};
use crate::clock;
use crate::plugin::bindings::kv::kv as wit;
use crate::store::{ShelfChange, Store, StoreError};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The interface.
pub const INTERFACE: &str = "evenkeel:kv/kv@0.1.0";
/// Longest key in bytes.
pub const KEY_BYTES_MAX: usize = 64;
/// Largest value in bytes.
pub const VALUE_BYTES_MAX: usize = 16_384;
/// Keys and values of one plugin together, bytes; an administrator may allow
/// less ([`crate::config::PluginGrant::kv_bytes`]).
pub const QUOTA_BYTES: usize = 65_536;

/// Writes and deletions: so many at once, then so many a day. A commit costs
/// the flash some 24 KiB of tree pages, so 64 plugins that write without
/// pause wear it by less than 2 GB a day: ten years of the smallest memory
/// that is built in.
const WRITES: Rate = Rate { most: 100, per_day: 1_000 };
/// Bytes of keys and values: the whole quota twice at once.
const BYTES: Rate = Rate { most: 2 * QUOTA_BYTES as u64, per_day: 4 << 20 };
const DAY_MS: u64 = 86_400_000;

/// The shelf of one plugin.
#[derive(Debug)]
pub struct Kv {
    owner: String,
    quota: usize,
    store: Option<Arc<Store>>,
    meter: Arc<Meter>,
    shelf: Option<Shelf>,
}

/// What is known of the shelf since it was first written to.
#[derive(Clone, Copy, Debug)]
struct Shelf {
    used: usize,
    wear: Wear,
}

/// Why it was not done. What the guest is told is `code` and the text.
#[derive(Debug, thiserror::Error)]
pub enum KvError {
    /// The key.
    #[error("a key is 1 to {KEY_BYTES_MAX} bytes of a-z, 0-9, '.', '-', '_'")]
    Key,
    /// The value.
    #[error("a value has at most {VALUE_BYTES_MAX} bytes, this one {0}")]
    Value(usize),
    /// No room.
    #[error("{used} of {quota} bytes are used, {more} more do not fit; delete something")]
    Full {
        /// Bytes kept without the value that is to be replaced.
        used: usize,
        /// Bytes of the new one.
        more: usize,
        /// Bytes that it may keep.
        quota: usize,
    },
    /// Written too often.
    #[error(
        "written too often: {} times at once and {} a day; keep the value in memory",
        WRITES.most, WRITES.per_day
    )]
    Worn,
    /// The store.
    #[error("not kept")]
    Store(#[from] StoreError),
    /// There is none.
    #[error("this host has no store")]
    NoStore,
}

impl KvError {
    /// The code in `kv.wit`.
    #[must_use]
    pub const fn code(&self) -> u32 {
        match self {
            Self::Key | Self::Value(_) => 1,
            Self::Full { .. } => 2,
            Self::Worn => 3,
            Self::Store(_) | Self::NoStore => 4,
        }
    }
}

impl Beyond for KvError {
    fn beyond(&self) -> Option<&'static str> {
        match self {
            Self::Full { .. } | Self::Worn => Some("storage quota"),
            _ => None,
        }
    }
}

impl From<KvError> for wit::Error {
    fn from(error: KvError) -> Self {
        Self { code: error.code(), detail: crate::plugin::reason(&error) }
    }
}

/// Forget everything that the plugin `id` kept: it was removed. Waits for the
/// disk; not in async code.
///
/// # Errors
/// When the store cannot be written.
pub fn forget(store: &Store, id: &str) -> Result<(), StoreError> {
    store.change_shelf(id, ShelfChange::Clear).wait()
}

impl Kv {
    /// The shelf of this plugin.
    #[must_use]
    pub fn new(site: &Site<'_>) -> Self {
        let owner = site.who.name.clone();
        let (store, meter) = (site.services.store.clone(), Arc::clone(site.meter));
        Self { owner, quota: site.kv_bytes, store, meter, shelf: None }
    }

    fn store(&self) -> Result<&Store, KvError> {
        self.store.as_deref().ok_or(KvError::NoStore)
    }

    /// What is kept under a key.
    ///
    /// # Errors
    /// [`KvError::Key`], [`KvError::Store`].
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, KvError> {
        check_key(key)?;
        Ok(self.store()?.kept(&self.owner, key)?)
    }

    /// Keep `value` under `key`, or forget what is there; on the disk when it
    /// returns. What changes nothing costs nothing.
    ///
    /// # Errors
    /// [`KvError`].
    pub fn put(&mut self, key: &str, value: Option<Vec<u8>>, unix_ms: u64) -> Result<(), KvError> {
        let len = value.as_ref().map_or(0, Vec::len);
        if len > VALUE_BYTES_MAX {
            return Err(KvError::Value(len));
        }
        let old = self.get(key)?;
        if old == value {
            return Ok(());
        }
        let mut shelf = self.shelf(unix_ms)?;
        let used = shelf.used - old.map_or(0, |old| key.len() + old.len());
        let more = value.as_ref().map_or(0, |_| key.len() + len);
        // Less than before may be allowed now: what is there can still shrink.
        if used + more > self.quota && more > 0 {
            return Err(KvError::Full { used, more, quota: self.quota });
        }
        if !shelf.wear.spend((key.len() + len) as u64, unix_ms) {
            return Err(KvError::Worn);
        }
        shelf.used = used + more;
        let wear = shelf.wear.bytes();
        let change = ShelfChange::Put { key: key.to_owned(), value, wear };
        // Read again should it fail: nobody knows then what is there.
        self.shelf = None;
        self.store()?.change_shelf(&self.owner, change).wait()?;
        self.shelf = Some(shelf);
        Ok(())
    }

    /// All keys, sorted.
    ///
    /// # Errors
    /// [`KvError::Store`].
    pub fn keys(&self) -> Result<Vec<String>, KvError> {
        Ok(self.store()?.shelf(&self.owner)?.into_iter().map(|(key, _)| key).collect())
    }

    fn shelf(&self, unix_ms: u64) -> Result<Shelf, KvError> {
        if let Some(shelf) = self.shelf {
            return Ok(shelf);
        }
        let store = self.store()?;
        let used = store.shelf(&self.owner)?.iter().map(|(key, len)| key.len() + len).sum();
        let wear = store.wear(&self.owner)?;
        // A record in another form is as good as none.
        let wear = wear.and_then(|bytes| postcard::from_bytes(&bytes).ok());
        Ok(Shelf { used, wear: wear.unwrap_or_else(|| Wear::new(unix_ms)) })
    }
}

impl wit::Host for Kv {
    fn get(&mut self, key: String) -> Result<Option<Vec<u8>>, wit::Error> {
        let found = Kv::get(self, &key)?;
        self.meter.received(Way::Host, found.as_ref().map_or(0, Vec::len));
        Ok(found)
    }

    fn set(&mut self, key: String, value: Vec<u8>) -> Result<(), wit::Error> {
        self.meter.sent(Way::Host, key.len() + value.len());
        let kept = self.put(&key, Some(value), clock::unix_ms());
        Ok(self.meter.noted(kept)?)
    }

    fn delete(&mut self, key: String) -> Result<(), wit::Error> {
        let forgotten = self.put(&key, None, clock::unix_ms());
        Ok(self.meter.noted(forgotten)?)
    }

    fn keys(&mut self) -> Result<Vec<String>, wit::Error> {
        Ok(Kv::keys(self)?)
    }
}

fn check_key(key: &str) -> Result<(), KvError> {
    let good = |b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_');
    match (1..=KEY_BYTES_MAX).contains(&key.len()) && key.bytes().all(good) {
        true => Ok(()),
        false => Err(KvError::Key),
    }
}

/// How much at once, and how much a day.
struct Rate {
    most: u64,
    per_day: u64,
}

/// What may still be written. Counts by the date, which goes on while the
/// appliance is off; a date that is set back gives nothing, one that is set
/// forward at most what may be written at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Wear {
    writes: Tank,
    bytes: Tank,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Tank {
    left: u64,
    /// Up to here it was filled, ms since 1970; what is below one unit stays.
    filled_ms: u64,
}

impl Wear {
    fn new(now_ms: u64) -> Self {
        let full = |rate: &Rate| Tank { left: rate.most, filled_ms: now_ms };
        Self { writes: full(&WRITES), bytes: full(&BYTES) }
    }

    /// One write of so many bytes; false, and nothing is spent, when it is
    /// too much at `now_ms`.
    fn spend(&mut self, bytes: u64, now_ms: u64) -> bool {
        self.writes.fill(&WRITES, now_ms);
        self.bytes.fill(&BYTES, now_ms);
        let enough = self.writes.left >= 1 && self.bytes.left >= bytes;
        if enough {
            self.writes.left -= 1;
            self.bytes.left -= bytes;
        }
        enough
    }

    fn bytes(&self) -> Vec<u8> {
        postcard::to_allocvec(self).expect("numbers have a form in bytes")
    }
}

impl Tank {
    fn fill(&mut self, rate: &Rate, now_ms: u64) {
        let passed = now_ms.saturating_sub(self.filled_ms);
        let gained = passed.saturating_mul(rate.per_day) / DAY_MS;
        if now_ms < self.filled_ms || self.left.saturating_add(gained) >= rate.most {
            self.left = self.left.saturating_add(gained).min(rate.most);
            self.filled_ms = now_ms;
        } else {
            self.left += gained;
            self.filled_ms += (gained * DAY_MS).div_ceil(rate.per_day);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caps::testing::Place;
    use crate::store::Limits;

    struct Bench {
        dir: tempfile::TempDir,
        here: Place,
    }

    impl Bench {
        fn new() -> Self {
            let dir = tempfile::tempdir().expect("a directory");
            let mut here = Place::default();
            let store = Store::open(dir.path(), Limits::default()).expect("a store");
            here.services.store = Some(Arc::new(store));
            Self { dir, here }
        }

        fn kv(&self) -> Kv {
            Kv::new(&self.here.site())
        }

        fn restart(&mut self) {
            self.here.services.store = None;
            let store = Store::open(self.dir.path(), Limits::default()).expect("a store");
            self.here.services.store = Some(Arc::new(store));
        }
    }

    fn code<T>(result: Result<T, KvError>) -> Result<(), u32> {
        result.map(|_| ()).map_err(|e| e.code())
    }

    #[test]
    fn what_was_set_is_there_after_a_restart_until_it_is_forgotten() {
        let mut bench = Bench::new();
        let mut kv = bench.kv();
        kv.put("last.seen", Some(b"42".to_vec()), 0).expect("kept");
        kv.put("b", Some(Vec::new()), 0).expect("kept");
        drop(kv);
        bench.restart();
        let mut kv = bench.kv();
        assert_eq!(kv.get("last.seen").expect("readable").as_deref(), Some(&b"42"[..]));
        assert_eq!(kv.get("b").expect("readable"), Some(Vec::new()));
        assert_eq!(kv.get("c").expect("readable"), None);
        assert_eq!(Kv::keys(&kv).expect("readable"), ["b", "last.seen"]);
        kv.put("b", None, 0).expect("forgotten");
        assert_eq!(Kv::keys(&kv).expect("readable"), ["last.seen"]);

        let mut other = bench.kv();
        other.owner = "megatec-2".into();
        assert_eq!(other.get("last.seen").expect("readable"), None, "a shelf of its own");
        other.put("x", Some(vec![1]), 0).expect("kept");
        let store = bench.here.services.store.clone().expect("a store");
        forget(&store, "megatec").expect("forgotten");
        assert_eq!(Kv::keys(&bench.kv()).expect("readable"), [""; 0]);
        assert_eq!(Kv::keys(&other).expect("readable"), ["x"]);
    }

    #[test]
    fn keys_and_values_out_of_range_are_invalid() {
        let bench = Bench::new();
        let mut kv = bench.kv();
        for key in ["", "A", "a b", "ä", "a/b", "a\0", &"k".repeat(65)] {
            assert_eq!(code(kv.get(key)), Err(1), "{key:?}");
            assert_eq!(code(kv.put(key, Some(vec![]), 0)), Err(1), "{key:?}");
        }
        assert_eq!(code(kv.put("k", Some(vec![0; VALUE_BYTES_MAX + 1]), 0)), Err(1));
        let key = "k".repeat(64);
        assert_eq!(code(kv.put(&key, Some(vec![0; VALUE_BYTES_MAX]), 0)), Ok(()));
    }

    #[test]
    fn the_quota_counts_what_is_there_and_not_what_was() {
        let bench = Bench::new();
        let mut kv = bench.kv();
        for key in ["a", "b", "c"] {
            kv.put(key, Some(vec![1; VALUE_BYTES_MAX]), 0).expect("room");
        }
        assert_eq!(code(kv.put("d", Some(vec![1; VALUE_BYTES_MAX]), 0)), Err(2));
        kv.put("d", Some(vec![1; VALUE_BYTES_MAX - 4]), 0).expect("to the last byte");
        kv.put("d", Some(vec![2; VALUE_BYTES_MAX - 4]), 0).expect("replaced");
        let mut kv = bench.kv();
        assert_eq!(code(kv.put("e", Some(Vec::new()), 0)), Err(2), "after a restart, too");
        kv.put("a", None, 0).expect("forgotten");
        kv.put("e", Some(Vec::new()), 0).expect("room");
    }

    #[test]
    fn an_administrator_may_allow_less() {
        let mut bench = Bench::new();
        bench.kv().put("k", Some(vec![1; 200]), 0).expect("room");
        bench.here.kv_bytes = 100;
        let mut kv = bench.kv();
        assert_eq!(code(kv.put("l", Some(vec![1]), 0)), Err(2));
        kv.put("k", None, 0).expect("forgotten");
        kv.put("l", Some(vec![1; 99]), 0).expect("to the last byte");
        let refused = kv.put("m", Some(Vec::new()), 0).expect_err("full").to_string();
        assert!(refused.starts_with("100 of 100 bytes are used"), "{refused}");
        let plugin = |bytes| {
            let text = format!("name = \"a\"\nkv_bytes = {bytes}");
            toml::from_str::<crate::config::PluginGrant>(&text).map(|plugin| plugin.kv_bytes)
        };
        assert_eq!(plugin(QUOTA_BYTES), Ok(Some(65_536)));
        let refused = plugin(QUOTA_BYTES + 1).expect_err("too much").to_string();
        assert!(refused.contains("at most 65536"), "{refused}");
    }

    #[test]
    fn wear_is_limited_by_the_day_and_a_restart_gives_nothing_back() {
        let mut bench = Bench::new();
        let mut now = 1_700_000_000_000;
        let mut kv = bench.kv();
        for n in 0..WRITES.most {
            kv.put("k", Some(n.to_le_bytes().to_vec()), now).expect("within the burst");
        }
        assert_eq!(code(kv.put("k", Some(vec![1]), now)), Err(3));
        assert_eq!(code(kv.put("k", None, now)), Err(3), "a deletion is a write");
        let same = kv.get("k").expect("readable");
        kv.put("k", same, now).expect("the same value is free");
        kv.put("absent", None, now).expect("and so is deleting nothing");
        drop(kv);
        bench.restart();
        let mut kv = bench.kv();
        assert_eq!(code(kv.put("k", Some(vec![1]), now)), Err(3));
        assert_eq!(code(kv.put("k", Some(vec![1]), 0)), Err(3), "nor does a clock set back");
        now += DAY_MS / WRITES.per_day;
        kv.put("k", Some(vec![1]), now).expect("one more");
        assert_eq!(code(kv.put("k", Some(vec![2]), now)), Err(3));
    }

    #[test]
    fn a_day_of_writing_is_the_rate() {
        let mut wear = Wear::new(0);
        let small = (0..86_400).filter(|s| wear.spend(10, s * 1_000)).count() as u64;
        assert!((1_099..=1_100).contains(&small), "{small}");
        let mut wear = Wear::new(0);
        let large = (0..86_400).filter(|s| wear.spend(16_384, s * 1_000)).count() as u64;
        assert!((260..=264).contains(&large), "{large}");
        wear.spend(u64::MAX, u64::MAX);
        assert_eq!((wear.writes.left, wear.bytes.left), (WRITES.most, BYTES.most));
    }

    #[test]
    fn without_a_store_it_says_so() {
        let kv = Kv::new(&Place::default().site());
        assert_eq!(code(kv.get("k")), Err(4));
    }
}
