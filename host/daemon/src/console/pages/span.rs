//! How much of the past a chart shows: presets that are links, and are in the
//! address (UX-053).

use super::reader::Reader;
use crate::clock;
use std::ops::RangeInclusive;

const HOUR_MS: u64 = 3_600_000;

/// Word in the address, message, length in ms.
const PRESETS: [(&str, &str, u64); 5] = [
    ("1h", "page-span-1h", HOUR_MS),
    ("24h", "page-span-24h", 24 * HOUR_MS),
    ("7d", "page-span-7d", 7 * 24 * HOUR_MS),
    ("30d", "page-span-30d", 30 * 24 * HOUR_MS),
    ("1y", "page-span-1y", 365 * 24 * HOUR_MS),
];
/// What is shown when nobody says: "worst cell and its 30-day trend" in two
/// steps.
const USUAL: usize = 3;

/// One of the presets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(usize);

/// A preset as a link.
pub struct Choice {
    /// Word in the address.
    pub word: &'static str,
    /// What it says.
    pub text: String,
    /// It is the one that is shown.
    pub chosen: bool,
}

impl Span {
    /// What the address says; the usual one for what is none.
    pub fn of(word: Option<&str>) -> Self {
        Self(PRESETS.iter().position(|(name, ..)| Some(*name) == word).unwrap_or(USUAL))
    }

    /// From when to when: until now.
    pub fn times(self) -> RangeInclusive<u64> {
        let now = clock::unix_ms();
        now.saturating_sub(PRESETS[self.0].2)..=now
    }

    /// All presets.
    pub fn choices(self, reader: &Reader) -> Vec<Choice> {
        let all = PRESETS.iter().enumerate();
        all.map(|(at, (word, name, _))| Choice {
            word,
            text: reader.word(name),
            chosen: at == self.0,
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_unless_the_address_says_otherwise() {
        assert_eq!(Span::of(None), Span::of(Some("30d")));
        assert_eq!(Span::of(Some("century")), Span::of(None));
        let day = Span::of(Some("24h")).times();
        assert_eq!(day.end() - day.start(), 24 * HOUR_MS);
    }
}
