//! Words for the kernel's log, as the supervisor writes them.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::sync::OnceLock;

static KERNEL: OnceLock<File> = OnceLock::new();

/// Take the kernel's log, while one may.
pub fn open() {
    if let Ok(file) = OpenOptions::new().write(true).open("/dev/kmsg") {
        // Taken twice, the first stays.
        let _ = KERNEL.set(file);
    }
}

/// Write one line.
pub fn say(text: &str) {
    // A log that does not take it has no log to tell.
    let _ = match KERNEL.get() {
        Some(mut kernel) => kernel.write_all(format!("<5>evenkeel: {text}\n").as_bytes()),
        None => writeln!(std::io::stderr(), "evenkeel: {text}"),
    };
}

/// An error and its causes on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", chain(cause)),
        None => error.to_string(),
    }
}
