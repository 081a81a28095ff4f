//! World `evenkeel:gateway/gateway`.

use bindings::exports::evenkeel::gateway::service;

use super::{Appliance, Registered, life, started};
use crate::Gateway;

/// Generated from `wit/gateway`.
#[doc(hidden)]
#[allow(missing_docs, unsafe_code, clippy::all, clippy::undocumented_unsafe_blocks)]
pub mod bindings {
    wit_bindgen::generate!({
        path: ["wit/log", "wit/clock", "wit/config", "wit/random", "wit/kv", "wit/crypto", "wit/serial", "wit/net-client", "wit/net-server", "wit/points", "wit/commands", "wit/events", "wit/plugin", "wit/gateway"],
        world: "evenkeel:gateway/gateway",
        with: {
            "evenkeel:log/log@0.1.0": crate::wasm::imports::evenkeel::log::log,
            "evenkeel:clock/clock@0.1.1": crate::wasm::imports::evenkeel::clock::clock,
            "evenkeel:config/config@0.1.0": crate::wasm::imports::evenkeel::config::config,
            "evenkeel:random/random@0.1.0": crate::wasm::imports::evenkeel::random::random,
            "evenkeel:kv/kv@0.1.0": crate::wasm::imports::evenkeel::kv::kv,
            "evenkeel:crypto/crypto@0.1.0": crate::wasm::imports::evenkeel::crypto::crypto,
            "evenkeel:serial/serial@0.1.1": crate::wasm::imports::evenkeel::serial::serial,
            "evenkeel:net-client/net-client@0.1.0": crate::wasm::imports::evenkeel::net_client::net_client,
            "evenkeel:net-server/net-server@0.1.0": crate::wasm::imports::evenkeel::net_server::net_server,
            "evenkeel:points/points@0.1.1": crate::wasm::imports::evenkeel::points::points,
            "evenkeel:points/reader@0.1.1": crate::wasm::imports::evenkeel::points::reader,
            "evenkeel:commands/offers@0.1.0": crate::wasm::imports::evenkeel::commands::offers,
            "evenkeel:commands/commands@0.1.0": crate::wasm::imports::evenkeel::commands::commands,
            "evenkeel:events/types@0.1.0": crate::wasm::imports::evenkeel::events::types,
            "evenkeel:events/events@0.1.0": crate::wasm::imports::evenkeel::events::events,
        },
        generate_all,
        pub_export_macro: true,
    });
}

life!(Gateway, |_: &mut R::Plugin| ());

impl<R: Registered> service::Guest for R
where
    R::Plugin: Gateway<Appliance>,
{
    fn serve(listener: String, connection: u64, data: Vec<u8>) -> service::Served {
        let served =
            R::with(|slot| started(slot).serve(&mut Appliance, &listener, connection, &data));
        service::Served { consumed: served.consumed, reply: served.reply, close: served.close }
    }

    fn closed(connection: u64) {
        R::with(|slot| started(slot).closed(&mut Appliance, connection));
    }
}
