//! The sizes of the levels counted again, when columns went with a damaged page:
//! the ring would take those that are lost for bytes that are there.

use super::{COLUMNS, ENTRY_BYTES, SIZES, series};
use evenkeel_core::history::Level;
use redb::{Database, ReadableTable as _};

/// Count them.
///
/// # Errors
/// What redb says.
pub fn recount(database: &Database) -> Result<(), redb::Error> {
    let write = database.begin_write()?;
    {
        let mut sizes = write.open_table(SIZES)?;
        for level in Level::ALL {
            let mut bytes = 0;
            for row in write.open_table(COLUMNS[level as usize])?.iter()? {
                bytes += row?.1.value().len() as u64 + ENTRY_BYTES;
            }
            sizes.insert(level.code(), bytes)?;
        }
        series::Tables::open(&write)?.recount(&mut sizes)?;
    }
    write.commit()?;
    Ok(())
}
