//! What the loader says on the kernel's command line.

use evenkeel_signing::slot::Slot;

/// The slot that the loader started, from the word `evenkeel.slot=a` or `=b`.
/// The last word counts, as for the kernel: a loader adds its word at the end.
#[must_use]
pub fn slot(text: &str) -> Option<Slot> {
    let words = text.split_ascii_whitespace();
    match words.filter_map(|word| word.strip_prefix("evenkeel.slot=")).next_back()? {
        "a" => Some(Slot::A),
        "b" => Some(Slot::B),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_of_the_loader_counts() {
        assert_eq!(slot("console=ttyS0 evenkeel.slot=a\n"), Some(Slot::A));
        assert_eq!(slot("evenkeel.slot=a evenkeel.slot=b"), Some(Slot::B));
        assert_eq!(slot("evenkeel.slot=a evenkeel.slot=c"), None);
        assert_eq!(slot("evenkeel.slots=a"), None);
        assert_eq!(slot(""), None);
    }
}
