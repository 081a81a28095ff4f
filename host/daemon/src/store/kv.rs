//! What plugins keep (`evenkeel:kv`): one shelf of named values each, and how
//! much more each may write.
//!
//! A shelf is named by its owner, a text of the caller's making without NUL.
//! Every write carries the owner's new wear record with it, in the same
//! commit: the record costs the flash nothing of its own and is as durable as
//! what it speaks of.

use super::{Ack, Job, Store, StoreError, table};
use redb::WriteTransaction;
use tokio::sync::oneshot;

/// A change of one shelf.
#[derive(Debug)]
pub enum Change {
    /// Keep a value, or `None` to forget it; and the wear record after that.
    Put {
        /// Its name.
        key: String,
        /// The value.
        value: Option<Vec<u8>>,
        /// What the owner may still write, by [`crate::caps::kv`].
        wear: Vec<u8>,
    },
    /// Forget the shelf and its wear record.
    Clear,
}

impl Store {
    /// One value of a shelf.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn kept(&self, owner: &str, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.shared.read(|read| {
            let Some(table) = table::open(read, table::KV)? else { return Ok(None) };
            Ok(table.get((owner, key))?.map(|value| value.value().to_vec()))
        })
    }

    /// The keys of a shelf in order, each with the length of its value.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn shelf(&self, owner: &str) -> Result<Vec<(String, usize)>, StoreError> {
        self.shared.read(|read| {
            let Some(table) = table::open(read, table::KV)? else { return Ok(Vec::new()) };
            let mut keys = Vec::new();
            for row in table.range((owner, "")..)? {
                let (key, value) = row?;
                let (whose, key) = key.value();
                if whose != owner {
                    break;
                }
                keys.push((key.to_owned(), value.value().len()));
            }
            Ok(keys)
        })
    }

    /// The wear record of an owner, when it has written anything.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn wear(&self, owner: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.shared.read(|read| {
            let Some(table) = table::open(read, table::KV_WEAR)? else { return Ok(None) };
            Ok(table.get(owner)?.map(|record| record.value().to_vec()))
        })
    }

    /// Change a shelf.
    pub fn change_shelf(&self, owner: &str, change: Change) -> Ack<()> {
        let (ack, done) = oneshot::channel();
        self.send_or_refuse(Job::Shelf { owner: owner.to_owned(), change, ack });
        Ack(done)
    }
}

impl Change {
    /// Bytes that are to be kept.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Put { value, wear, .. } => value.as_ref().map_or(0, Vec::len) + wear.len(),
            Self::Clear => 0,
        }
    }
}

/// Write one change.
pub fn write(write: &WriteTransaction, owner: &str, change: &Change) -> Result<(), redb::Error> {
    let (mut values, mut wears) = (write.open_table(table::KV)?, write.open_table(table::KV_WEAR)?);
    match change {
        Change::Put { key, value, wear } => {
            match value {
                Some(value) => drop(values.insert((owner, key.as_str()), value.as_slice())?),
                None => drop(values.remove((owner, key.as_str()))?),
            }
            wears.insert(owner, wear.as_slice())?;
        }
        Change::Clear => {
            // Behind every key: they are ASCII.
            values.retain_in((owner, "")..(owner, "\u{7f}"), |_, _| false)?;
            wears.remove(owner)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Limits;
    use super::*;

    fn put(key: &str, value: Option<&[u8]>) -> Change {
        Change::Put { key: key.into(), value: value.map(Into::into), wear: vec![7] }
    }

    #[test]
    fn shelves_are_apart_and_cleared_whole() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(dir.path(), Limits::default()).expect("a store");
        assert_eq!(store.shelf("a/").expect("readable"), []);
        for (owner, key) in [("a/", "x"), ("a/", "z"), ("a/ups.0", "x"), ("b/", "x")] {
            store.change_shelf(owner, put(key, Some(owner.as_bytes()))).wait().expect("kept");
        }
        store.change_shelf("a/", put("y", Some(b"1"))).wait().expect("kept");
        store.change_shelf("a/", put("y", None)).wait().expect("forgotten");
        drop(store);
        let store = Store::open(dir.path(), Limits::default()).expect("a store");
        let keys = store.shelf("a/").expect("readable");
        assert_eq!(keys, [("x".to_owned(), 2), ("z".to_owned(), 2)]);
        assert_eq!(store.kept("a/ups.0", "x").expect("readable").as_deref(), Some(&b"a/ups.0"[..]));
        assert_eq!(store.wear("a/").expect("readable"), Some(vec![7]));
        store.change_shelf("a/", Change::Clear).wait().expect("cleared");
        assert_eq!(store.shelf("a/").expect("readable"), []);
        assert_eq!(store.wear("a/").expect("readable"), None);
        assert_eq!(store.shelf("a/ups.0").expect("readable").len(), 1);
        assert_eq!(store.shelf("b/").expect("readable").len(), 1);
    }
}
