//! One store file through an update, a fallback to the older program and the update
//! again: each reads what the other wrote, and nothing that was acknowledged is lost.

use super::{Limits, Store};
use evenkeel_core::settings::forms::{Chain, Kind, Step, without};
use std::path::Path;

/// Form 2 calls `speed` by its unit.
const RENAME: Step = Step {
    forward: |table| {
        if let Some(speed) = table.remove("speed") {
            table.insert("speed_baud".to_owned(), speed);
        }
    },
    back: |table| {
        if let Some(speed) = table.remove("speed_baud") {
            table.insert("speed".to_owned(), speed);
        }
        Vec::new()
    },
};
/// Form 3 has a table more.
const MORE: Step = Step { forward: |_| {}, back: |table| without(table, &["metrics"]) };
const NAMES: &[&str] = &["name", "speed_baud", "metrics"];

/// The same document as three generations of the program know it.
const OLD: Kind = Kind { name: "line", chain: Chain { steps: &[], names: &["name", "speed"] } };
const NEW: Kind = Kind { name: "line", chain: Chain { steps: &[RENAME], names: NAMES } };
const NEWEST: Kind = Kind { name: "line", chain: Chain { steps: &[RENAME, MORE], names: NAMES } };

/// The program of a generation: what it reads, and what it then keeps. The store is
/// closed in between, as by an update.
fn runs(dir: &Path, kind: &Kind, change: impl FnOnce(&str) -> Option<String>) -> String {
    let store = Store::open(dir, Limits { revisions: 6, ..Limits::default() }).expect("a store");
    let revisions = store.settings(kind).expect("readable");
    let read = revisions.first().map(|best| best.text.clone()).unwrap_or_default();
    if let Some(text) = change(&read) {
        store.keep_settings(kind, &text).wait().expect("acknowledged");
    }
    read
}

fn reads(dir: &Path, kind: &Kind) -> String {
    runs(dir, kind, |_| None)
}

const WHOLE: &str = "name = \"a\"\nspeed_baud = 9600\n\n[metrics]\nbearer = \"x\"\n";

#[test]
fn a_fallback_reads_what_the_newer_wrote_and_the_newer_what_the_fallback_changed() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    runs(dir, &NEWEST, |_| Some(WHOLE.to_owned()));
    assert_eq!(reads(dir, &NEWEST), WHOLE);
    assert_eq!(reads(dir, &NEW), "name = \"a\"\nspeed_baud = 9600\n");
    // Back by two, where somebody changes it …
    let read = runs(dir, &OLD, |text| Some(text.replace("9600", "1200")));
    assert_eq!(read, "name = \"a\"\nspeed = 9600\n");
    // … forward by one, where somebody changes something else …
    let read = runs(dir, &NEW, |text| Some(text.replace("\"a\"", "\"b\"")));
    assert_eq!(read, "name = \"a\"\nspeed_baud = 1200\n");
    // … and all the way: both changes, and what neither had a place for.
    let all = WHOLE.replace("9600", "1200").replace("\"a\"", "\"b\"");
    assert_eq!(reads(dir, &NEWEST), all);
    // The newest takes the table away. That holds after another fallback, too.
    let without = "name = \"b\"\nspeed_baud = 1200\n".to_owned();
    runs(dir, &NEWEST, |_| Some(without.clone()));
    assert_eq!(reads(dir, &OLD), "name = \"b\"\nspeed = 1200\n");
    runs(dir, &OLD, |text| Some(text.replace("1200", "300")));
    assert_eq!(reads(dir, &NEWEST), without.replace("1200", "300"));
}

#[test]
fn a_long_time_in_the_older_program_costs_nothing_of_the_newer() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    runs(dir, &NEWEST, |_| Some(WHOLE.to_owned()));
    // More revisions than are kept.
    for speed in 1..40 {
        runs(dir, &OLD, |_| Some(format!("name = \"a\"\nspeed = {speed}\n")));
        assert_eq!(reads(dir, &NEWEST), WHOLE.replace("9600", &speed.to_string()));
    }
    let store = Store::open(dir, Limits { revisions: 6, ..Limits::default() }).expect("a store");
    assert_eq!(store.revisions("line").expect("readable").len(), 7, "six, and the newer one");
    // What must have no past has none, whoever wrote it.
    store.keep_settings_alone(&OLD, "name = \"c\"\n").wait().expect("acknowledged");
    assert_eq!(store.revisions("line").expect("readable").len(), 1);
}
