//! World `evenkeel:notifier/notifier`.

use bindings::exports::evenkeel::notifier::sink;

use super::appliance::event;
use super::{Appliance, Registered, started};
use crate::Notifier;
use crate::worlds::NotifyError;

/// Generated from `wit/notifier`.
#[doc(hidden)]
#[allow(missing_docs, unsafe_code, clippy::all, clippy::undocumented_unsafe_blocks)]
pub mod bindings {
    wit_bindgen::generate!({
        inline: "package evenkeel:sdk-notifier; world notifier { export evenkeel:notifier/sink@0.1.0; }",
        path: ["wit/log", "wit/clock", "wit/config", "wit/random", "wit/kv", "wit/crypto", "wit/serial", "wit/net-client", "wit/points", "wit/events", "wit/plugin", "wit/notifier"],
        world: "evenkeel:sdk-notifier/notifier",
        with: {
            "evenkeel:events/types@0.1.0": crate::wasm::imports::evenkeel::events::types,
        },
        pub_export_macro: true,
    });
}

/// Nothing is to be done after the start.
#[doc(hidden)]
pub fn begun<P: Notifier<Appliance>>(_plugin: &P) {}

impl<R: Registered> sink::Guest for R
where
    R::Plugin: Notifier<Appliance>,
{
    fn notify(theirs: sink::Event) -> Result<(), sink::Error> {
        let event = event(theirs);
        R::with(|slot| started(slot).notify(&mut Appliance, &event)).map_err(|error| match error {
            NotifyError::Later(detail) => sink::Error { retry: true, detail },
            NotifyError::Never(detail) => sink::Error { retry: false, detail },
        })
    }
}
