//! What a person has a bus do, in the reader's language. Programs are told the
//! same by [`crate::plant::words::bus_work`], in English.

use crate::console::view::called;
use crate::words::{Lang, words};
use evenkeel_core::image::BusWork;
use fluent_bundle::FluentArgs;

/// It; empty for nothing.
pub fn bus_work(lang: Lang, work: BusWork) -> String {
    let mut args = FluentArgs::new();
    let name = match work {
        BusWork::None => return String::new(),
        BusWork::Discovering { searches } => {
            args.set("count", searches);
            "page-work-searching"
        }
        BusWork::Discovered { incomplete: true, .. } => "page-work-given-up",
        BusWork::Discovered { unclear: 0, .. } => "page-work-complete",
        BusWork::Discovered { unclear, .. } => {
            args.set("count", unclear);
            "page-work-unclear"
        }
        BusWork::Addressing { next, done, of, note } => {
            args.set("next", next);
            args.set("done", done);
            args.set("of", of);
            args.set("note", called(lang, "work", note.text()));
            "page-work-addressing"
        }
        BusWork::Addressed { count } => {
            args.set("count", count);
            "page-work-addressed"
        }
        BusWork::LocatingBreak => "page-work-break",
    };
    words().message(lang, name, &args)
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_core::image::AddressNote;

    #[test]
    fn english_is_what_programs_are_told_and_german_is_german() {
        let notes = [
            AddressNote::Waiting,
            AddressNote::Taken,
            AddressNote::InUse,
            AddressNote::WrongType,
            AddressNote::AlreadyAddressed,
            AddressNote::TwoButtons,
            AddressNote::NotConfirmed,
        ];
        let addressing = notes.map(|note| BusWork::Addressing { next: 3, done: 2, of: 32, note });
        let others = [
            BusWork::Discovering { searches: 7 },
            BusWork::Discovered { incomplete: true, unclear: 0 },
            BusWork::Discovered { incomplete: false, unclear: 0 },
            BusWork::Discovered { incomplete: false, unclear: 2 },
            BusWork::Addressed { count: 32 },
            BusWork::LocatingBreak,
        ];
        for work in addressing.into_iter().chain(others) {
            let english = crate::plant::words::bus_work(work);
            assert_eq!(bus_work(Lang::En, work), english);
            let german = bus_work(Lang::De, work);
            let (_, note) = english.rsplit_once(": ").unwrap_or_default();
            assert_ne!(german, english);
            assert!(note.is_empty() || !german.contains(note), "{german}");
        }
        assert_eq!(bus_work(Lang::De, BusWork::None), "");
    }
}
