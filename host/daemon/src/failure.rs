//! How failures are told: each error speaks for its own layer and carries its
//! cause; the chain is put together once, where it is logged or shown.

use std::error::Error;

/// The error and its causes in one line: `cannot do a: cannot do b: c`.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
