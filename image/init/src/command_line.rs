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

/// Whether somebody held the button for ten seconds while the appliance was
/// switched on: the loader looks, and says so by `evenkeel.button=held`.
#[must_use]
pub fn is_button_held(text: &str) -> bool {
    text.split_ascii_whitespace().any(|word| word == "evenkeel.button=held")
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

    #[test]
    fn the_button_is_held_or_it_is_not() {
        assert!(is_button_held("evenkeel.slot=a evenkeel.button=held\n"));
        for words in ["", "evenkeel.button=", "evenkeel.button=held1", "x.evenkeel.button=held"] {
            assert!(!is_button_held(words), "{words}");
        }
    }
}
