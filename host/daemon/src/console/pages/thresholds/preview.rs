//! What thresholds would tell, in words.

use crate::alarms::Preview;
use crate::console::pages::reader::Reader;
use crate::words::words;
use fluent_bundle::FluentArgs;

/// A preview in words.
pub(super) struct Told {
    pub(super) sentence: String,
    pub(super) status: &'static str,
    pub(super) places: Vec<String>,
    pub(super) remark: String,
    /// What has limits and no past.
    pub(super) without: Option<String>,
}

pub(super) fn told(reader: &Reader, found: &Preview) -> Told {
    let mut args = FluentArgs::new();
    for (name, count) in [
        ("alarm", found.now.alarm),
        ("warning", found.now.warning),
        ("past_alarm", found.past.alarm),
        ("past_warning", found.past.warning),
    ] {
        args.set(name, count as f64);
    }
    let places = found.now.places.iter().map(|(place, severity)| {
        let level = reader.word(&format!("level-{}", format!("{severity:?}").to_lowercase()));
        format!("{level}: {}", words().place(reader.lang, place))
    });
    let without = found.without_past.iter().map(|(quantity, point)| match point {
        Some(place) => words().place(reader.lang, place),
        None => words().quantity(reader.lang, *quantity),
    });
    let without: Vec<String> = without.collect();
    let mut named = FluentArgs::new();
    named.set("what", without.join(", "));
    let mut looked = FluentArgs::new();
    looked.set("values", found.values as f64);
    Told {
        sentence: reader.say("page-preview-sentence", &args),
        status: match (found.now.alarm, found.now.warning) {
            (0, 0) => "ok",
            (0, _) => "warning",
            _ => "alarm",
        },
        places: places.collect(),
        remark: reader.say("page-preview-remark", &looked),
        without: (!without.is_empty()).then(|| reader.say("page-preview-without", &named)),
    }
}
