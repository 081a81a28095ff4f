//! What the guard takes from outside beside the bus: settings and requests.
#![no_main]

use evenkeel_core::command::{self, Answer, Request};
use evenkeel_core::settings::GuardSettings;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = command::decode::<Request>(data);
    let _ = command::decode::<Answer>(data);
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = GuardSettings::load(text);
        if let Ok(sealed) = GuardSettings::seal(text) {
            // What was sealed loads, and means the same.
            let (settings, _) = GuardSettings::load(&sealed).expect("sealed settings load");
            assert_eq!(Ok(settings), GuardSettings::parse(text));
        }
    }
});
