//! The discharge recorder (PRODUCT row B11): what every block did while the
//! string fed the load.
//!
//! - [`signature`]: when a block has collapsed, and when it must not be judged yet.
//! - [`meter`]: Ah and Wh drawn.
//! - [`head`]: what a row of the course says of the whole string.
//! - [`rows`]: the course itself in bounded memory, old parts coarser, minima exact.
//! - [`record`]: the tables for people: start, end, minimum, after return,
//!   order of collapse.
//! - [`recorder`]: [`Recorder::step`], once per scan and string.
//!
//! ```text
//!          discharge               mains are back
//!  idle ───────────────▶ discharge ─────────────▶ after return ──▶ idle
//!  (ring of the last        ▲                        │      at float, or after
//!   scans goes in front)    └────────────────────────┘      so many minutes
//!                             interruption: one record
//! ```
//! Nothing here allocates after `new`. A record stands until the next
//! discharge begins: whoever keeps records copies it before.
//!
//! Physics: facts/battery-science.md §2.6.

pub mod head;
pub mod meter;
pub mod record;
pub mod recorder;
pub mod rows;
pub mod signature;

pub use head::{Part, RowHead, StoredHead};
pub use meter::DrawMeter;
pub use record::{BlockDischarge, Collapse, DischargeRecord, End, Reading, RecordId, Stage};
pub use recorder::{Config, ConfigError, Recorder};
pub use rows::{Chunk, OwnedChunk, rows_within};
pub use signature::{CollapseCause, Signature};
