//! What can still be had from a damaged file goes into a new one, table by
//! table; what was lost is counted.
//!
//! A row is carried over when every page above it is what was written
//! ([`pages`]): it is never wrong, and of one page that went bad only the rows
//! below it are lost. Of each table the last commit's rows count; when pages of
//! them are lost and the commit before it has more, which is the case when the
//! table's root went bad, those are taken. So a table may be as it was one commit
//! ago, and never a mixture; only the newest rows of the history, which become
//! columns in other tables, are those of the last commit or none. When the page went bad that says where the tables
//! are, their roots are looked for in all pages ([`Pages::strays`]); then a table
//! may be some commits old, which is better than none.
//!
//! Rows that belong together and lie in two tables may be torn apart: rows of a
//! discharge without its record are left behind; a column of the history that is
//! lost is missing, and the others are read; a job whose event is lost stays; of the audit log each part that hangs together verifies, and an entry
//! tells of the break ([`super::audit`]).
//!
//! The new file takes the place of the damaged one in one step, when it is whole
//! on the disk. Power may fail before that: then all of it is done again. A panic
//! of redb while it writes the new file says nothing about the damaged one, whose
//! bytes redb does not see here.

pub mod pages;
#[cfg(test)]
mod tests;

use super::{history, table};
use evenkeel_core::events::SalvagedTable;
use pages::{Definition, Pages};
use redb::{
    Database, Durability, Key, ReadTransaction, ReadableTable as _, ReadableTableMetadata as _,
    TableDefinition, TableHandle as _, Value,
};

/// Gaps of the audit log that are named one by one.
const GAPS_MAX: usize = 16;

/// Versions of a stray table that are looked at.
const STRAYS_MAX: usize = 8;

/// What is in the new file.
pub struct Salvaged {
    pub tables: Vec<SalvagedTable>,
    /// First and last number.
    pub audit_gaps: Vec<(u64, u64)>,
}

/// How a table goes over.
struct Carrier {
    name: fn() -> String,
    /// Left behind when there is no room for all.
    is_bulk: bool,
    carry: fn(&Pages<'_>, &Definition, &Database) -> Result<u64, redb::Error>,
    size: fn(&ReadTransaction) -> Result<u64, redb::Error>,
    #[cfg(test)]
    dump: fn(&Database) -> tests::Rows,
}

macro_rules! carriers {
    ($($bulk:literal $table:expr;)*) => {
        /// Every table, what is needed most first.
        const CARRIERS: &[Carrier] = &[$(Carrier {
            name: || $table.name().to_owned(),
            is_bulk: $bulk,
            carry: |pages, from, to| carry($table, pages, from, to),
            size: |read| size($table, read),
            #[cfg(test)]
            dump: |database| tests::dump($table, database),
        },)*];
    };
}

carriers! {
    false table::USERS;
    false table::SETTINGS;
    false table::AUDIT;
    false table::EVENTS[0];
    false table::EVENTS[1];
    false table::TOLD;
    false table::DOCUMENTS;
    false table::JOBS;
    false table::KV;
    false table::KV_WEAR;
    false table::WEAR;
    true table::DISCHARGES;
    true table::DISCHARGE_ROWS;
    true history::OPEN;
    true history::COLUMNS[2];
    true history::COLUMNS[1];
    true history::COLUMNS[0];
    true history::series::OPEN;
    true history::series::COLUMNS[2];
    true history::series::COLUMNS[1];
    true history::series::COLUMNS[0];
    true history::SIZES;
}

/// Carry everything that can be had into `new`, which holds nothing yet. With
/// `all` false the bulk stays behind, for a disk that has no room for it.
///
/// # Errors
/// What redb says of the new file.
pub fn salvage(damaged: &Pages<'_>, new: &Database, all: bool) -> Result<Salvaged, redb::Error> {
    let commits: Vec<_> = damaged.commits().iter().map(|commit| damaged.tables(commit).0).collect();
    let (mut salvaged, mut strays) = (Vec::new(), None);
    for carrier in CARRIERS {
        let name = (carrier.name)();
        let become_columns = [history::OPEN.name(), history::series::OPEN.name()];
        let table = if become_columns.contains(&name.as_str()) {
            // Rows of an older commit may be columns by now: they would be told twice.
            newest(&commits, &name).cloned()
        } else {
            best(damaged, &commits, &name).or_else(|| {
                let strays = strays.get_or_insert_with(|| damaged.strays());
                best_stray(damaged, strays, &name)
            })
        };
        let Some(table) = table else { continue };
        let whole = table.tree.map_or(0, |tree| tree.rows);
        let kept = match all || !carrier.is_bulk {
            true => (carrier.carry)(damaged, &table, new)?,
            false => 0,
        };
        let lost = whole.saturating_sub(kept);
        salvaged.push(SalvagedTable { table: name, kept, lost });
    }
    leave_rows_without_record(new)?;
    history::recount(new)?;
    Ok(Salvaged { tables: salvaged, audit_gaps: audit_gaps(new)? })
}

/// The entries that the audit log lacks between others. The first one behind a gap
/// is among them: its hash is of one that is lost. Of many gaps one is made.
fn audit_gaps(new: &Database) -> Result<Vec<(u64, u64)>, redb::Error> {
    let write = new.begin_write()?;
    let mut gaps: Vec<(u64, u64)> = Vec::new();
    {
        let mut log = write.open_table(table::AUDIT)?;
        let mut last = None;
        for row in log.iter()? {
            let seq = row?.0.value();
            if let Some(last) = last
                && seq > last + 1
            {
                gaps.push((last + 1, seq));
            }
            last = Some(seq);
        }
        if gaps.len() > GAPS_MAX
            && let (Some((from, _)), Some((_, to))) = (gaps.first(), gaps.last())
        {
            let gap = (*from, *to);
            log.retain_in(gap.0..gap.1, |_, _| false)?;
            gaps = vec![gap];
        }
    }
    write.commit()?;
    Ok(gaps)
}

/// Every table, and the bytes of its keys and values.
///
/// # Errors
/// When the file cannot be read.
pub fn sizes(read: &ReadTransaction) -> Result<Vec<(String, u64)>, redb::Error> {
    CARRIERS.iter().map(|carrier| Ok(((carrier.name)(), (carrier.size)(read)?))).collect()
}

fn size<K: Key + 'static, V: Value + 'static>(
    table: TableDefinition<'static, K, V>,
    read: &ReadTransaction,
) -> Result<u64, redb::Error> {
    let Some(table) = table::open(read, table)? else { return Ok(0) };
    let mut bytes = 0;
    for row in table.iter()? {
        let (key, value) = row?;
        let key = K::as_bytes(&key.value()).as_ref().len();
        bytes += (key + V::as_bytes(&value.value()).as_ref().len()) as u64;
    }
    Ok(bytes)
}

/// The table as the newest commit has it of which any table is known.
fn newest<'c>(commits: &'c [Vec<Definition>], name: &str) -> Option<&'c Definition> {
    let tables = commits.iter().find(|tables| !tables.is_empty())?;
    tables.iter().find(|table| table.name == name)
}

/// The table as the commit has it that has most of it; of equal ones the newer.
fn best(damaged: &Pages<'_>, commits: &[Vec<Definition>], name: &str) -> Option<Definition> {
    let named = commits.iter().filter_map(|tables| tables.iter().find(|table| table.name == name));
    let mut best: Option<(u64, &Definition)> = None;
    for table in named {
        let Ok(walked) = damaged.rows(table, |_, _| Ok::<_, std::convert::Infallible>(()));
        if best.is_none_or(|(rows, _)| walked.rows > rows) {
            best = Some((walked.rows, table));
        }
        if walked.bad == 0 {
            break;
        }
    }
    best.map(|(_, table)| table.clone())
}

/// The stray definition with the most rows; most tables only grow.
fn best_stray(damaged: &Pages<'_>, strays: &[Definition], name: &str) -> Option<Definition> {
    let rows = |table: &&Definition| {
        let Ok(walked) = damaged.rows(table, |_, _| Ok::<_, std::convert::Infallible>(()));
        walked.rows
    };
    let named = strays.iter().filter(|table| table.name == name);
    // Versions of one definition are many: those that cannot win are not walked.
    let mut named: Vec<_> = named.collect();
    named.sort_by_key(|table| std::cmp::Reverse(table.tree.map_or(0, |tree| tree.rows)));
    named.into_iter().take(STRAYS_MAX).max_by_key(rows).cloned()
}

/// The rows of a table into the new file; how many.
fn carry<K: Key + 'static, V: Value + 'static>(
    table: TableDefinition<'static, K, V>,
    damaged: &Pages<'_>,
    from: &Definition,
    new: &Database,
) -> Result<u64, redb::Error> {
    // Of a row of these types, redb's reading of bytes that it wrote is total.
    let is_alike = from.key_type == K::type_name().name()
        && from.value_type == V::type_name().name()
        && (from.widths.key, from.widths.value) == (K::fixed_width(), V::fixed_width());
    if !is_alike {
        return Ok(0);
    }
    let mut write = new.begin_write()?;
    write.set_durability(Durability::Immediate)?;
    {
        let mut into = write.open_table(table)?;
        damaged.rows(from, |key, value| {
            into.insert(K::from_bytes(key), V::from_bytes(value))?;
            Ok::<_, redb::Error>(())
        })?;
    }
    let kept = write.open_table(table)?.len()?;
    write.commit()?;
    Ok(kept)
}

fn leave_rows_without_record(new: &Database) -> Result<(), redb::Error> {
    let write = new.begin_write()?;
    {
        let records = write.open_table(table::DISCHARGES)?;
        let mut rows = write.open_table(table::DISCHARGE_ROWS)?;
        let keys = rows.iter()?.map(|row| Ok(row?.0.value()));
        for key in keys.collect::<Result<Vec<_>, redb::Error>>()? {
            if records.get(key)?.is_none() {
                rows.remove(key)?;
            }
        }
    }
    write.commit()?;
    Ok(())
}
