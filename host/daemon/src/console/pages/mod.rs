//! The pages of the plan (facts/console-ux.md §5) that are said in the reader's
//! language, one module each. All are plain pages that need no script (UX-086):
//! a form becomes the same request as the API's, and what is wrong with it is
//! said at its field. Who may only look sees no button.
//!
//! [`reader`] is who asks and in which language, [`fields`] what a form sent,
//! [`chart`] draws the past as lines and bands, [`moment`] writes and reads
//! times.

pub mod audit;
pub mod automation;
pub mod block;
pub mod chart;
pub mod discharge;
pub mod discharges;
mod edit;
pub mod events;
pub mod fields;
pub mod figure;
pub mod job;
pub mod moment;
mod params;
pub mod reader;
pub mod rehearsal;
pub mod rule;
pub mod schedule;
pub mod span;
pub mod string;
pub mod thresholds;

use super::page::VERSION;
use super::problem::Problem;
use axum::http::StatusCode;

/// There is no such string, block, discharge, job …
fn none(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not-found", "There is nothing here").detail(detail)
}
