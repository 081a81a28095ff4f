//! World `evenkeel:notifier/notifier`.

use bindings::exports::evenkeel::notifier::sink;

use super::appliance::event;
use super::{Appliance, Registered, life, started};
use crate::Notifier;
use crate::worlds::NotifyError;

/// Generated from `wit/notifier`.
#[doc(hidden)]
#[allow(missing_docs, unsafe_code, clippy::all, clippy::undocumented_unsafe_blocks)]
pub mod bindings {
    wit_bindgen::generate!({
        path: ["wit/log", "wit/clock", "wit/config", "wit/random", "wit/kv", "wit/crypto", "wit/serial", "wit/net-client", "wit/points", "wit/events", "wit/plugin", "wit/notifier"],
        world: "evenkeel:notifier/notifier",
        with: {
            "evenkeel:log/log@0.1.0": crate::wasm::imports::evenkeel::log::log,
            "evenkeel:clock/clock@0.1.1": crate::wasm::imports::evenkeel::clock::clock,
            "evenkeel:config/config@0.1.0": crate::wasm::imports::evenkeel::config::config,
            "evenkeel:random/random@0.1.0": crate::wasm::imports::evenkeel::random::random,
            "evenkeel:kv/kv@0.1.0": crate::wasm::imports::evenkeel::kv::kv,
            "evenkeel:crypto/crypto@0.1.0": crate::wasm::imports::evenkeel::crypto::crypto,
            "evenkeel:serial/serial@0.1.1": crate::wasm::imports::evenkeel::serial::serial,
            "evenkeel:net-client/net-client@0.1.0": crate::wasm::imports::evenkeel::net_client::net_client,
            "evenkeel:points/points@0.1.1": crate::wasm::imports::evenkeel::points::points,
            "evenkeel:points/reader@0.1.1": crate::wasm::imports::evenkeel::points::reader,
            "evenkeel:events/types@0.1.0": crate::wasm::imports::evenkeel::events::types,
        },
        generate_all,
        pub_export_macro: true,
    });
}

life!(Notifier, |_: &mut R::Plugin| ());

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
