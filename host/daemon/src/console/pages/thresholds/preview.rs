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
    }
}
