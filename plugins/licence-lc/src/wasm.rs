//! The edge: the exports of the world `evenkeel:licence/licence-gate`, made by
//! `wit-bindgen` from the WIT.

use crate::judge::{self, Key};
use bindings::evenkeel::log::log;
use bindings::exports::evenkeel::licence::gate;
use bindings::exports::evenkeel::plugin::life;

#[allow(missing_docs, unsafe_code, clippy::all, clippy::undocumented_unsafe_blocks)]
mod bindings {
    wit_bindgen::generate!({
        path: [
            "../../wit/since-0.1/log",
            "../../wit/since-0.2/plugin",
            "../../wit/since-0.2/licence",
        ],
        world: "evenkeel:licence/licence-gate",
        generate_all,
    });
}

/// Nothing happens by itself: it is asked.
const WAKE_MS: u32 = 60_000;

struct Exports;

impl life::Guest for Exports {
    fn start(_previous: Option<Vec<u8>>) -> Result<(), String> {
        // A panic ends the instance with a bare trap; its message and place go
        // to the log before that.
        std::panic::set_hook(Box::new(|info| log::write(log::Level::Error, &info.to_string())));
        Ok(())
    }

    fn wake() -> u32 {
        WAKE_MS
    }

    fn save() -> Vec<u8> {
        Vec::new()
    }
}

impl gate::Guest for Exports {
    fn judge(device: String, utc_s: Option<u64>, keys: Vec<gate::Key>) -> gate::Verdict {
        let keys: Vec<_> =
            keys.iter().map(|key| Key { name: &key.name, payload: &key.payload }).collect();
        let judge::Verdict { edition, blocks, ups_va, until, reason } =
            judge::judge(&device, utc_s, &keys);
        gate::Verdict { edition, blocks, ups_va, until, reason }
    }
}

bindings::export!(Exports with_types_in bindings);
