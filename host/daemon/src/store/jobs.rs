//! What the jobs' planner keeps: rows by name, written in one commit.
//!
//! The log of events is the queue. An event is on the disk first; the planner
//! reads it from there, and what it plans is kept together with its *place*,
//! the last event that it was given, in one commit. A crash in between reads
//! the event again, and since what it plans is named after the event, it is the
//! same: no event that was kept is ever without its jobs, and none has them
//! twice.
//!
//! | row | what |
//! |---|---|
//! | `e/<episode>` | [`Episode`](evenkeel_core::jobs::Episode) |
//! | `i/<instance>` | [`Instance`](evenkeel_core::jobs::Instance) |
//! | `r/<rule>` | what a rule remembers ([`KeptRule`](evenkeel_core::rules::KeptRule)) |
//! | `place` | id of the last event that was given in |
//! | `calendar` | up to when each entry of the calendar was looked at, s since 1970 |

use super::{Ack, Job, Store, StoreError, table};
use redb::WriteTransaction;
use tokio::sync::oneshot;

/// A row; `None`: forget it.
pub type Row = (String, Option<Vec<u8>>);

impl Store {
    /// Keep these rows, all or none.
    pub fn keep_jobs(&self, rows: Vec<Row>) -> Ack<()> {
        let (ack, done) = oneshot::channel();
        self.send_or_refuse(Job::Jobs { rows, ack });
        Ack(done)
    }

    /// Every row, by name.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn jobs(&self) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        use redb::ReadableTable as _;
        self.shared.read(|read| {
            let Some(table) = table::open(read, table::JOBS)? else { return Ok(Vec::new()) };
            let row =
                |row: Result<(redb::AccessGuard<'_, &str>, redb::AccessGuard<'_, &[u8]>), _>| {
                    row.map(|(name, value)| (name.value().to_owned(), value.value().to_vec()))
                };
            Ok(table.iter()?.map(row).collect::<Result<_, _>>()?)
        })
    }
}

/// Write rows.
pub fn write(write: &WriteTransaction, rows: &[Row]) -> Result<(), redb::Error> {
    let mut table = write.open_table(table::JOBS)?;
    for (name, value) in rows {
        match value {
            Some(value) => drop(table.insert(name.as_str(), value.as_slice())?),
            None => drop(table.remove(name.as_str())?),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Limits;
    use super::*;

    #[test]
    fn rows_outlive_the_store_and_are_forgotten() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(dir.path(), Limits::default()).expect("a store");
        assert_eq!(store.jobs().expect("readable"), []);
        let row = |name: &str, value: Option<&[u8]>| (name.to_owned(), value.map(<[u8]>::to_vec));
        store
            .keep_jobs(vec![row("i/1", Some(b"a")), row("place", Some(b"7"))])
            .wait()
            .expect("kept");
        store.keep_jobs(vec![row("i/1", None), row("place", Some(b"8"))]).wait().expect("kept");
        drop(store);
        let store = Store::open(dir.path(), Limits::default()).expect("a store");
        assert_eq!(store.jobs().expect("readable"), [("place".to_owned(), b"8".to_vec())]);
    }
}
