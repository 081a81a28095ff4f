//! Reading the samples of all strings at once, for those who look at all of
//! the past: one walk over the table, and nothing is copied.

use super::{Store, StoreError, table};
use evenkeel_core::history::SampleView;

impl Store {
    /// Every sample since `from_ms` (ms since 1970), by time, with its string
    /// (counted from 1).
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn samples_since(
        &self,
        from_ms: u64,
        mut each: impl FnMut(u64, u16, SampleView<'_>),
    ) -> Result<(), StoreError> {
        self.shared.read(|read| {
            let Some(table) = table::open(read, table::SAMPLES)? else { return Ok(()) };
            for row in table.range((from_ms, 0)..)? {
                let (key, value) = row?;
                let (unix_ms, string) = key.value();
                match SampleView::parse(value.value()) {
                    Ok(sample) => each(unix_ms, string, sample),
                    Err(_) => self.shared.say_unreadable("a history sample"),
                }
            }
            Ok(())
        })
    }
}
