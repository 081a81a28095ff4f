//! Text for people: which characters may stand in a line that a person reads
//! and trusts, and how a date is written.

use alloc::format;
use alloc::string::String;

/// True for a character that can be seen, or is an ordinary space. False for
/// control characters, and for those that reorder the line (a vendor's name
/// could be made to look like another's) or take no room in it (two different
/// texts could look the same).
#[must_use]
pub fn is_printable(c: char) -> bool {
    !c.is_control() && !INVISIBLE.iter().any(|(first, last)| (*first..=*last).contains(&c))
}

/// The date of a moment in seconds since 1970 UTC, as `2026-11-21`.
#[must_use]
pub fn date_utc(unix_s: u64) -> String {
    // Years that begin in March end with the leap day, so that the length of a
    // month follows from its number alone; 719,468 days lie between 0000-03-01
    // and 1970-01-01, and 146,097 in 400 years.
    let days = unix_s / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let leap_days = day_of_era / 1_460 + day_of_era / 146_096 - day_of_era / 36_524;
    let year_of_era = (day_of_era - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Ranges of characters without a shape of their own.
const INVISIBLE: [(char, char); 17] = [
    ('\u{ad}', '\u{ad}'),        // soft hyphen
    ('\u{34f}', '\u{34f}'),      // grapheme joiner
    ('\u{61c}', '\u{61c}'),      // Arabic letter mark
    ('\u{115f}', '\u{1160}'),    // Hangul fillers
    ('\u{17b4}', '\u{17b5}'),    // Khmer inherent vowels
    ('\u{180b}', '\u{180f}'),    // Mongolian selectors
    ('\u{200b}', '\u{200f}'),    // zero width, direction marks
    ('\u{2028}', '\u{202e}'),    // line separators, direction embeddings
    ('\u{2060}', '\u{206f}'),    // joiner, direction isolates
    ('\u{3164}', '\u{3164}'),    // Hangul filler
    ('\u{e000}', '\u{f8ff}'),    // private use
    ('\u{fe00}', '\u{fe0f}'),    // variation selectors
    ('\u{feff}', '\u{feff}'),    // byte order mark
    ('\u{ffa0}', '\u{ffa0}'),    // half-width Hangul filler
    ('\u{fff0}', '\u{fffb}'),    // annotations
    ('\u{1d173}', '\u{1d17a}'),  // musical beams
    ('\u{e0000}', '\u{10ffff}'), // tags, selectors, private use
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_printable() {
        for text in ["Müller & Söhne", "25 °C ±5 %", "東京電力", "…", "شركة", "\u{fffd}"]
        {
            assert!(text.chars().all(is_printable), "{text}");
        }
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (unix_s, date) in [
            (0, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (951_868_800, "2000-03-01"),
            (1_709_251_199, "2024-02-29"),
            (1_763_683_200, "2025-11-21"),
            (4_107_542_400, "2100-03-01"),
            (253_402_300_799, "9999-12-31"),
        ] {
            assert_eq!(date_utc(unix_s), date);
        }
        assert!(!date_utc(u64::MAX).is_empty(), "no overflow");
    }

    #[test]
    fn what_hides_or_reorders_is_not() {
        let hidden = "\0\t\n\r\u{1b}\u{7f}\u{85}\u{ad}\u{61c}\u{200b}\u{200e}\u{200f}\u{2028}\u{2029}\
            \u{202a}\u{202e}\u{2060}\u{2066}\u{2069}\u{feff}\u{fff9}\u{e0041}\u{10ffff}";
        assert!(hidden.chars().all(|c| !is_printable(c)));
    }
}
