//! Which characters may stand in a line that a person reads and trusts.

/// True for a character that can be seen, or is an ordinary space. False for
/// control characters, and for those that reorder the line (a vendor's name
/// could be made to look like another's) or take no room in it (two different
/// texts could look the same).
#[must_use]
pub fn is_printable(c: char) -> bool {
    !c.is_control() && !INVISIBLE.iter().any(|(first, last)| (*first..=*last).contains(&c))
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
    fn what_hides_or_reorders_is_not() {
        let hidden = "\0\t\n\r\u{1b}\u{7f}\u{85}\u{ad}\u{61c}\u{200b}\u{200e}\u{200f}\u{2028}\u{2029}\
            \u{202a}\u{202e}\u{2060}\u{2066}\u{2069}\u{feff}\u{fff9}\u{e0041}\u{10ffff}";
        assert!(hidden.chars().all(|c| !is_printable(c)));
    }
}
