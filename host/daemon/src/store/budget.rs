//! How much of the data partition each kind of thing may take, in one place.
//!
//! | room | bytes | kept by |
//! |---|---|---|
//! | history | 32 MiB | the ring: its oldest goes |
//! | values | 6 MiB | the same, of what UPSes, devices and sensors said |
//! | discharges | 5 MiB | the oldest record of all strings goes |
//! | audit | 5 MiB, 30,000 entries | the oldest entry goes |
//! | events | 4 MiB, 20,000 events | the oldest event goes |
//! | access | 2 MiB, 10,000 events | the same, of events about access |
//! | plugins | 4 MiB | 64 shelves of 64 KiB ([`crate::caps::kv`]) |
//! | jobs | 2 MiB | what may wait ([`evenkeel_core::jobs`]) and the rules' memory |
//! | settings | 2 MiB | the oldest revision of a document goes, never its last one |
//! | documents | 1 MiB | what does not fit is refused |
//!
//! The sum is 63 MiB of rows. redb adds the heads of its pages and what is free
//! between two commits, up to a quarter: [`FILE_BYTES`]. Beside the file lie the
//! reserve and, after a damage, the damaged file. A data partition that does not
//! hold [`NEEDED_BYTES`] is said in the status of the store and in the metrics;
//! when it is full indeed, history goes first ([`super::relief`]).
//!
//! Bytes are those of keys and values. Counting them reads every page, so they
//! are counted at most every [`COUNT_EVERY`], when somebody asks.

use super::{Shared, Store, StoreError, lock, relief, salvage};
use crate::clock;
use evenkeel_core::time::Nanos;
use redb::{ReadableTable as _, ReadableTableMetadata as _, Table};
use std::sync::Mutex;

const MIB: u64 = 1 << 20;
/// Time between two counts.
const COUNT_EVERY: Nanos = Nanos::from_secs(600);

/// A kind of thing that has its own share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// What was measured over the years.
    History,
    /// What UPSes, devices and sensors said over the years.
    Values,
    /// Discharge records.
    Discharges,
    /// The audit log.
    Audit,
    /// Events but those about access.
    Events,
    /// Events about access.
    Access,
    /// What plugins keep.
    Plugins,
    /// What jobs wait and rules remember.
    Jobs,
    /// Settings and users.
    Settings,
    /// What parts of the daemon remember.
    Documents,
}

impl Room {
    /// All of them, the largest first.
    pub const ALL: [Self; 10] = [
        Self::History,
        Self::Values,
        Self::Discharges,
        Self::Audit,
        Self::Events,
        Self::Access,
        Self::Plugins,
        Self::Jobs,
        Self::Settings,
        Self::Documents,
    ];

    /// Most bytes.
    #[must_use]
    pub const fn most(self) -> u64 {
        MIB * match self {
            Self::History => 32,
            Self::Values => 6,
            Self::Discharges | Self::Audit => 5,
            Self::Events | Self::Plugins => 4,
            Self::Access | Self::Jobs | Self::Settings => 2,
            Self::Documents => 1,
        }
    }

    /// Its name in the API and the metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::History => "history",
            Self::Values => "values",
            Self::Discharges => "discharges",
            Self::Audit => "audit",
            Self::Events => "events",
            Self::Access => "access",
            Self::Plugins => "plugins",
            Self::Jobs => "jobs",
            Self::Documents => "documents",
            Self::Settings => "settings",
        }
    }

    /// Of a table.
    fn of(table: &str) -> Self {
        match table {
            "values_records" | "values_hours" | "values_days" | "values_open" => Self::Values,
            "discharges" | "discharge_rows" => Self::Discharges,
            "audit" => Self::Audit,
            "events" => Self::Events,
            "events_access" => Self::Access,
            "kv" | "kv_wear" => Self::Plugins,
            "jobs" => Self::Jobs,
            "documents" | "told" | "wear" => Self::Documents,
            "settings" | "users" => Self::Settings,
            _ => Self::History,
        }
    }
}

/// Most bytes of rows of all rooms.
pub const ROWS_BYTES: u64 = {
    let (mut sum, mut n) = (0, 0);
    while n < Room::ALL.len() {
        sum += Room::ALL[n].most();
        n += 1;
    }
    sum
};
/// Most bytes of the file.
pub const FILE_BYTES: u64 = ROWS_BYTES + ROWS_BYTES / 4;
/// What the data partition must have for the store: the file, and the reserve.
pub const NEEDED_BYTES: u64 = FILE_BYTES + relief::RESERVE_BYTES as u64;

/// What the rooms hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of rows.
    pub rooms: [(Room, u64); Room::ALL.len()],
    /// Size of the partition, bytes; `None` when the system does not say.
    pub partition_bytes: Option<u64>,
}

impl Usage {
    /// False when the rooms would not fit, were they full.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.partition_bytes.is_none_or(|bytes| bytes >= NEEDED_BYTES)
    }
}

/// The last count.
#[derive(Debug, Default)]
pub struct Counted(Mutex<Option<(Nanos, Usage)>>);

/// Bytes of a table that gets shorter from its beginning, as the writer knows them.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub now: u64,
    pub most: u64,
}

impl Size {
    /// Of a room, empty.
    pub const fn of(room: Room) -> Self {
        Self { now: 0, most: room.most() }
    }

    /// A row of so many bytes was added.
    pub const fn add(&mut self, bytes: usize) {
        self.now += bytes as u64;
    }

    /// Drop the oldest until there are at most so many rows and bytes; the
    /// newest row stays.
    pub fn trim(
        &mut self,
        table: &mut Table<'_, u64, &'static [u8]>,
        rows: u64,
    ) -> Result<(), redb::Error> {
        while table.len()? > rows.max(1) || self.now > self.most && table.len()? > 1 {
            let Some((_, oldest)) = table.pop_first()? else { break };
            self.now = self.now.saturating_sub(oldest.value().len() as u64);
        }
        Ok(())
    }
}

/// Drop the oldest discharge records until they fit; the newest stays.
pub fn trim_discharges(
    records: &mut Table<'_, (u16, u64), &'static [u8]>,
    rows: &mut Table<'_, (u16, u64), &'static [u8]>,
    most: u64,
) -> Result<(), redb::Error> {
    let mut all = Vec::new();
    for record in records.iter()? {
        let (key, record) = record?;
        let rows = rows.get(key.value())?.map_or(0, |rows| rows.value().len());
        all.push((key.value(), (record.value().len() + rows) as u64));
    }
    all.sort_by_key(|((_, begun_unix_ms), _)| *begun_unix_ms);
    let mut bytes: u64 = all.iter().map(|(_, bytes)| bytes).sum();
    all.pop();
    for (key, own) in all {
        if bytes <= most {
            break;
        }
        records.remove(key)?;
        rows.remove(key)?;
        bytes -= own;
    }
    Ok(())
}

impl Store {
    /// What the rooms hold, as of the last [`COUNT_EVERY`].
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn usage(&self) -> Result<Usage, StoreError> {
        self.shared.usage(clock::now())
    }
}

impl Shared {
    fn usage(&self, now: Nanos) -> Result<Usage, StoreError> {
        let mut counted = lock(&self.counted.0);
        if let Some((at, usage)) = &*counted
            && now.since(*at) < COUNT_EVERY
        {
            return Ok(usage.clone());
        }
        let mut rooms = Room::ALL.map(|room| (room, 0));
        for (table, bytes) in self.read(salvage::sizes)? {
            rooms[Room::of(&table) as usize].1 += bytes;
        }
        let dir = self.path.parent().unwrap_or(std::path::Path::new("."));
        let system = rustix::fs::statvfs(dir).ok();
        let partition_bytes = system.map(|system| system.f_frsize * system.f_blocks);
        let usage = Usage { rooms, partition_bytes };
        *counted = Some((now, usage.clone()));
        Ok(usage)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Limits, table};
    use super::*;
    use evenkeel_core::events::Event;
    use redb::Database;
    use redb::backends::InMemoryBackend;

    #[test]
    fn the_sum_is_what_the_head_of_this_file_says() {
        assert_eq!(ROWS_BYTES, 63 * MIB);
        assert_eq!(NEEDED_BYTES, 80 * MIB - MIB / 4);
        assert!(Room::ALL.iter().enumerate().all(|(n, room)| *room as usize == n));
        let small =
            Usage { rooms: Room::ALL.map(|room| (room, 0)), partition_bytes: Some(64 * MIB) };
        assert!(!small.fits() && Usage { partition_bytes: None, ..small }.fits());
    }

    fn database() -> Database {
        Database::builder().create_with_backend(InMemoryBackend::new()).expect("in memory")
    }

    #[test]
    fn the_oldest_rows_go_until_the_bytes_fit() {
        let database = database();
        let write = database.begin_write().expect("writable");
        let mut table = write.open_table(table::AUDIT).expect("a table");
        let mut size = Size { now: 0, most: 1_000 };
        for n in 0..50_u64 {
            table.insert(n, &[7; 90][..]).expect("inserted");
            size.add(90);
            size.trim(&mut table, 30).expect("trimmed");
        }
        assert_eq!((table.len().expect("readable"), size.now), (11, 990));
        assert_eq!(table.first().expect("readable").expect("a row").0.value(), 39);
        size.trim(&mut table, 4).expect("trimmed");
        assert_eq!((table.len().expect("readable"), size.now), (4, 360));
        table.insert(99, &[7; 5_000][..]).expect("inserted");
        size.add(5_000);
        size.trim(&mut table, 30).expect("trimmed");
        assert_eq!(table.len().expect("readable"), 1, "the newest stays, however large it is");
    }

    #[test]
    fn the_oldest_discharges_of_all_strings_go_until_the_bytes_fit() {
        let database = database();
        let write = database.begin_write().expect("writable");
        let mut records = write.open_table(table::DISCHARGES).expect("a table");
        let mut rows = write.open_table(table::DISCHARGE_ROWS).expect("a table");
        for (string, begun) in [(1, 5), (1, 9), (2, 3), (2, 7), (3, 8)] {
            records.insert((string, begun), &[1; 10][..]).expect("inserted");
            rows.insert((string, begun), &[2; 90][..]).expect("inserted");
        }
        trim_discharges(&mut records, &mut rows, 250).expect("trimmed");
        let left = |table: &Table<'_, (u16, u64), &'static [u8]>| {
            let keys = table.iter().expect("readable");
            keys.map(|row| row.expect("a row").0.value()).collect::<Vec<_>>()
        };
        assert_eq!(left(&records), [(1, 9), (3, 8)]);
        assert_eq!(left(&rows), left(&records));
        trim_discharges(&mut records, &mut rows, 1).expect("trimmed");
        assert_eq!(left(&records), [(1, 9)], "the newest stays");
    }

    #[test]
    fn what_is_kept_is_counted_in_its_room() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(dir.path(), Limits::default()).expect("a store");
        let event = Event::DaemonStarted { version: "x".repeat(700) };
        store.record_acknowledged(event).wait().expect("on the disk");
        store.keep_document("a", Some(vec![1; 5_000])).wait().expect("on the disk");
        store.keep_jobs(vec![("place".into(), Some(vec![1; 60]))]).wait().expect("on the disk");
        let usage = store.usage().expect("readable");
        let of = |wanted: Room| usage.rooms[wanted as usize].1;
        assert!((700..900).contains(&of(Room::Events)), "{usage:?}");
        assert!((5_000..6_000).contains(&of(Room::Documents)), "{usage:?}");
        assert_eq!((of(Room::Jobs), of(Room::History)), (65, 0));
        assert!(usage.partition_bytes.is_some_and(|bytes| bytes > 0));
        store.keep_document("a", None).wait().expect("forgotten");
        assert_eq!(store.usage().expect("readable"), usage, "as counted a moment ago");
        let later = store.shared.usage(clock::now() + COUNT_EVERY).expect("readable");
        assert!(later.rooms[Room::Documents as usize].1 < 1_000, "{later:?}");
    }
}
