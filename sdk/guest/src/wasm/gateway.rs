//! World `evenkeel:gateway/gateway`.

use bindings::exports::evenkeel::gateway::service;

use super::{Appliance, Registered, started};
use crate::Gateway;

/// Generated from `wit/gateway`.
#[doc(hidden)]
#[allow(missing_docs, unsafe_code, clippy::all, clippy::undocumented_unsafe_blocks)]
pub mod bindings {
    wit_bindgen::generate!({
        inline: "package evenkeel:sdk-gateway; world gateway { export evenkeel:gateway/service@0.1.0; }",
        path: ["wit/log", "wit/clock", "wit/config", "wit/random", "wit/kv", "wit/crypto", "wit/serial", "wit/net-client", "wit/net-server", "wit/points", "wit/commands", "wit/events", "wit/plugin", "wit/gateway"],
        world: "evenkeel:sdk-gateway/gateway",
        pub_export_macro: true,
    });
}

/// Nothing is to be done after the start.
#[doc(hidden)]
pub fn begun<P: Gateway<Appliance>>(_plugin: &P) {}

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
