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
mod bus_work;
pub mod certificate;
pub mod chart;
pub mod commissioning;
pub mod configuration;
pub mod discharge;
pub mod discharges;
mod edit;
pub mod events;
pub mod fields;
pub mod figure;
pub mod firmware;
pub mod job;
pub mod licence;
pub mod moment;
pub mod network;
mod params;
pub mod reader;
pub mod rehearsal;
pub mod rule;
pub mod schedule;
pub mod second_factor;
pub mod setup;
pub mod span;
pub mod string;
pub mod thresholds;
mod upload;
pub mod webhooks;

use super::page::VERSION;
use super::problem::Problem;
use axum::http::StatusCode;
use serde::Deserialize;

/// Which rule, entry or web server; empty: a new one.
#[derive(Deserialize)]
pub struct Named {
    #[serde(default)]
    name: String,
}

/// Which of its acts a page has just done.
#[derive(Deserialize)]
pub struct Told {
    #[serde(default)]
    told: String,
}

/// What was just done.
#[derive(Default, Deserialize)]
pub struct Done {
    #[serde(default)]
    saved: String,
}

impl Done {
    /// What a form asked for is in force now.
    const fn saved(&self) -> bool {
        !self.saved.is_empty()
    }
}

/// A text as a part of an address.
fn urlencoded(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.bytes()
        .map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

/// There is no such string, block, discharge, job …
fn none(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not-found", "There is nothing here").detail(detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_a_part_of_an_address() {
        assert_eq!(urlencoded("type.12 V & 7 Ah"), "type.12%20V%20%26%207%20Ah");
        assert_eq!(urlencoded("string.1.block.2"), "string.1.block.2");
    }
}
