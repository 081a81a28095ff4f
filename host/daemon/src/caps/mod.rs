//! What plugins can reach: one file per interface of `wit/`.
//!
//! Everything that comes from a guest is hostile until it was looked at:
//! lengths and ranges first, then the grant, then the effect. A mistake of the
//! guest is an error value of the interface, never a trap and never a panic.
//! No lock is held while a value is handed to a guest, because that runs the
//! guest's allocator.

pub mod bucket;
pub mod clock;
pub mod log;
pub mod points;
pub mod serial;

use core::fmt;
use evenkeel_signing::is_printable;

/// Who a plugin is, for messages: its name and the subtree that tells two
/// copies of one plugin apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// Name in the manifest.
    pub name: String,
    /// The subtree under which it publishes.
    pub points: String,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.points)
    }
}

/// `text` as one line of at most `len_max` bytes: characters that are not
/// [printable](is_printable) become `�`, the end is cut between
/// characters and marked with `…` (within `len_max`).
#[must_use]
pub fn one_line(text: &str, len_max: usize) -> String {
    const CUT: char = '…';
    let mut line = String::with_capacity(text.len().min(len_max));
    // Where the line must end if it turns out to be too long.
    let mut cut_at = 0;
    let shown = |c| if is_printable(c) { c } else { char::REPLACEMENT_CHARACTER };
    for c in text.chars().map(shown) {
        if line.len() + c.len_utf8() > len_max {
            line.truncate(cut_at);
            if CUT.len_utf8() <= len_max {
                line.push(CUT);
            }
            return line;
        }
        line.push(c);
        if line.len() + CUT.len_utf8() <= len_max {
            cut_at = line.len();
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_a_line() {
        assert_eq!(one_line("battery 13.6 V, 25 °C", 100), "battery 13.6 V, 25 °C");
        assert_eq!(one_line("a\r\n\u{1b}[2Jb\u{202e}c", 100), "a���[2Jb�c");
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        assert_eq!(one_line("abcdefghij", 10), "abcdefghij");
        assert_eq!(one_line("abcdefghijk", 10), "abcdefg…");
        assert_eq!(one_line("°°°°°°", 10), "°°°…");
        for len in 0..12 {
            assert!(one_line("°C\u{1b}°C°C°C", len).len() <= len);
        }
    }
}
