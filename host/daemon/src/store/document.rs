//! Named documents: what a part of the daemon must still know after a restart,
//! as bytes of its own making — the state of alarms, the queue of jobs.
//!
//! A document is written whole, and replaced in one step: after a power cut it
//! is the one before or the one after. A document that stays the same is not
//! written again, which spares the flash; but one that grows is written again
//! with every change, so what changes often is kept small or in several.

use super::budget::Room;
use super::{Ack, Job, Store, StoreError, table};
use redb::{ReadableTable as _, ReadableTableMetadata as _, WriteTransaction};
use tokio::sync::oneshot;

/// Most bytes of a document.
pub const BYTES_MAX: usize = 256 << 10;
/// Most documents.
pub const COUNT_MAX: u64 = 64;
/// Most bytes of a name.
pub const NAME_MAX: usize = 64;

/// A document on its way to the disk.
pub struct Change {
    pub name: String,
    pub bytes: Option<Vec<u8>>,
    pub ack: oneshot::Sender<Result<(), StoreError>>,
}

/// What became of a change that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    Done,
    /// There are [`COUNT_MAX`] others, or they have as many bytes as may be.
    NoRoom,
}

impl Store {
    /// Keep a document under `name`, instead of the one that was there; `None`
    /// forgets it. Names are 1 to [`NAME_MAX`] of a-z, 0-9, '.', '-' and '_';
    /// a document has at most [`BYTES_MAX`] bytes, and there are at most
    /// [`COUNT_MAX`] with 1 MiB together: beyond that the acknowledgement is
    /// [`StoreError::Document`], and what was there stays.
    pub fn keep_document(&self, name: &str, bytes: Option<Vec<u8>>) -> Ack<()> {
        let (ack, done) = oneshot::channel();
        let problem = if !is_name(name) {
            Some("its name is not 1 to 64 of a-z, 0-9, '.', '-', '_'")
        } else if bytes.as_ref().is_some_and(|bytes| bytes.len() > BYTES_MAX) {
            Some("it is larger than 256 KiB")
        } else {
            None
        };
        match problem {
            // Nobody may wait for it.
            Some(problem) => drop(ack.send(Err(refused(name, problem)))),
            None => {
                let name = name.to_owned();
                self.send_or_refuse(Job::Document(Change { name, bytes, ack }));
            }
        }
        Ack(done)
    }

    /// The document under `name`; `None` when there is none.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn document(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.shared.read(|read| {
            let Some(table) = table::open(read, table::DOCUMENTS)? else { return Ok(None) };
            Ok(table.get(name)?.map(|bytes| bytes.value().to_vec()))
        })
    }
}

impl Change {
    /// Say what became of it.
    pub fn acknowledge(self, written: Written) {
        let answer = match written {
            Written::Done => Ok(()),
            Written::NoRoom => {
                Err(refused(&self.name, "there are 64 others, or 1 MiB; forget one first"))
            }
        };
        // Nobody may wait for it.
        let _ = self.ack.send(answer);
    }
}

/// Write one change.
pub fn write(write: &WriteTransaction, change: &Change) -> Result<Written, redb::Error> {
    let mut table = write.open_table(table::DOCUMENTS)?;
    let name = change.name.as_str();
    let Some(bytes) = &change.bytes else {
        table.remove(name)?;
        return Ok(Written::Done);
    };
    let before = table.get(name)?.map(|before| before.value() == bytes);
    match before {
        Some(true) => return Ok(Written::Done),
        None if table.len()? >= COUNT_MAX => return Ok(Written::NoRoom),
        _ => {}
    }
    let mut others = 0;
    for row in table.iter()? {
        let (other, bytes) = row?;
        others += if other.value() == name { 0 } else { bytes.value().len() as u64 };
    }
    if others + bytes.len() as u64 > Room::Documents.most() {
        return Ok(Written::NoRoom);
    }
    table.insert(name, bytes.as_slice())?;
    Ok(Written::Done)
}

fn refused(name: &str, problem: &'static str) -> StoreError {
    StoreError::Document { name: name.chars().take(NAME_MAX).collect(), problem }
}

fn is_name(name: &str) -> bool {
    (1..=NAME_MAX).contains(&name.len())
        && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::super::Limits;
    use super::*;

    #[test]
    fn a_document_is_kept_replaced_and_forgotten() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(dir.path(), Limits::default()).expect("a store");
        assert_eq!(store.document("alarms").expect("readable"), None);
        for bytes in [&b"one"[..], b"two", b"two"] {
            store.keep_document("alarms", Some(bytes.to_vec())).wait().expect("on the disk");
        }
        store.keep_document("jobs.queue", Some(vec![])).wait().expect("on the disk");
        drop(store);
        let store = Store::open(dir.path(), Limits::default()).expect("a store");
        assert_eq!(store.document("alarms").expect("readable").as_deref(), Some(&b"two"[..]));
        assert_eq!(store.document("jobs.queue").expect("readable"), Some(vec![]), "empty is kept");
        store.keep_document("alarms", None).wait().expect("forgotten");
        store.keep_document("alarms", None).wait().expect("forgotten already");
        assert_eq!(store.document("alarms").expect("readable"), None);
    }

    #[test]
    fn what_is_out_of_bounds_is_refused_and_the_rest_of_the_group_is_kept() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(dir.path(), Limits::default()).expect("a store");
        let long = "x".repeat(NAME_MAX + 1);
        for (name, length) in [("", 1), ("A", 1), ("a b", 1), (&*long, 1), ("a", BYTES_MAX + 1)] {
            let answer = store.keep_document(name, Some(vec![0; length])).wait();
            assert!(matches!(answer, Err(StoreError::Document { .. })), "{name:?}: {answer:?}");
        }
        store.keep_document("a", Some(vec![0; BYTES_MAX])).wait().expect("just fits");
        let acks: Vec<_> =
            (0..COUNT_MAX).map(|n| store.keep_document(&format!("d{n}"), Some(vec![1]))).collect();
        let answers: Vec<_> = acks.into_iter().map(Ack::wait).collect();
        let (last, kept) = answers.split_last().expect("answers");
        assert!(kept.iter().all(Result::is_ok), "{kept:?}");
        assert!(matches!(last, Err(StoreError::Document { .. })), "{last:?}");
        store.keep_document("a", Some(vec![2])).wait().expect("replaced, however many there are");
        for name in ["d0", "d1", "d2"] {
            store.keep_document(name, Some(vec![0; BYTES_MAX])).wait().expect("there is room");
        }
        let whole = store.keep_document("d3", Some(vec![0; BYTES_MAX])).wait();
        assert!(matches!(whole, Err(StoreError::Document { .. })), "more than all may have");
        store.keep_document("a", None).wait().expect("forgotten");
        store.keep_document("b", Some(vec![3])).wait().expect("there is room again");
    }
}
