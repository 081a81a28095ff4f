//! The host's side of the interfaces in `wit/`, as `bindgen!` makes it.
//!
//! There is one set of bindings for all worlds: what a plugin may import is
//! linked interface by interface ([`crate::caps::OFFERS`]), and which world it
//! is for is seen by what it exports ([`crate::plugin::world`]). Of each
//! interface the newest version is bound; a plugin built for an older one of
//! the same track is linked to it by the component model's own rules
//! (facts/wasm-host.md §4.1). Exports of an older track stand beside the new.

pub use generated::evenkeel::{
    clock0_1_1 as clock, commands, config, contacts0_1_1 as contacts, crypto, events, hid, kv, log,
    net_client, net_server, points0_1_1 as points, random, serial0_1_1 as serial, snmp_client,
};
pub use generated::exports::evenkeel::authenticator::login;
pub use generated::exports::evenkeel::driver0_1_0::device as device_0_1;
pub use generated::exports::evenkeel::driver0_2_0::device;
pub use generated::exports::evenkeel::gateway::service;
pub use generated::exports::evenkeel::licence::gate;
pub use generated::exports::evenkeel::notifier::sink;
pub use generated::exports::evenkeel::plugin::life;

// The macro's type conversions are `unsafe impl`s that promise a memory layout
// which the macro itself derives from the WIT; nothing of ours is in there.
#[allow(unsafe_code, missing_docs, clippy::all)]
mod generated {
    wasmtime::component::bindgen!({
        path: [
            "../../wit/since-0.1/log",
            "../../wit/since-0.1/clock",
            "../../wit/since-0.1/serial",
            "../../wit/since-0.1/points",
            "../../wit/since-0.1/driver",
            "../../wit/since-0.2/clock",
            "../../wit/since-0.2/config",
            "../../wit/since-0.2/random",
            "../../wit/since-0.2/kv",
            "../../wit/since-0.2/crypto",
            "../../wit/since-0.2/serial",
            "../../wit/since-0.2/hid",
            "../../wit/since-0.2/contacts",
            "../../wit/since-0.3/contacts",
            "../../wit/since-0.2/net-client",
            "../../wit/since-0.2/net-server",
            "../../wit/since-0.2/snmp-client",
            "../../wit/since-0.2/points",
            "../../wit/since-0.2/commands",
            "../../wit/since-0.2/events",
            "../../wit/since-0.2/plugin",
            "../../wit/since-0.2/driver",
            "../../wit/since-0.2/gateway",
            "../../wit/since-0.2/notifier",
            "../../wit/since-0.2/authenticator",
            "../../wit/since-0.2/licence",
        ],
        inline: "
            package evenkeel:host;
            world host {
                import evenkeel:log/log@0.1.0;
                import evenkeel:clock/clock@0.1.1;
                import evenkeel:config/config@0.1.0;
                import evenkeel:random/random@0.1.0;
                import evenkeel:kv/kv@0.1.0;
                import evenkeel:crypto/crypto@0.1.0;
                import evenkeel:serial/serial@0.1.1;
                import evenkeel:hid/hid@0.1.0;
                import evenkeel:contacts/contacts@0.1.1;
                import evenkeel:net-client/net-client@0.1.0;
                import evenkeel:net-server/net-server@0.1.0;
                import evenkeel:snmp-client/snmp-client@0.1.0;
                import evenkeel:points/points@0.1.1;
                import evenkeel:points/reader@0.1.1;
                import evenkeel:commands/offers@0.1.0;
                import evenkeel:commands/commands@0.1.0;
                import evenkeel:events/events@0.1.0;
                export evenkeel:driver/device@0.1.0;
                export evenkeel:plugin/life@0.1.0;
                export evenkeel:driver/device@0.2.0;
                export evenkeel:gateway/service@0.1.0;
                export evenkeel:notifier/sink@0.1.0;
                export evenkeel:authenticator/login@0.1.0;
                export evenkeel:licence/gate@0.1.0;
            }
        ",
        // Arguments and answers can be recorded.
        additional_derives: [serde::Serialize, serde::Deserialize],
        imports: {
            "evenkeel:crypto/crypto": trappable,
            "evenkeel:serial/serial": trappable,
            "evenkeel:hid/hid": trappable,
            "evenkeel:net-client/net-client": trappable,
            "evenkeel:snmp-client/snmp-client": trappable,
        },
        with: {
            "evenkeel:crypto/crypto.secret": crate::caps::crypto::Secret,
            "evenkeel:serial/serial.port": crate::caps::serial::Port,
            "evenkeel:hid/hid.device": crate::caps::hid::Device,
            "evenkeel:net-client/net-client.connection": crate::caps::net_client::Connection,
            "evenkeel:net-client/net-client.datagrams": crate::caps::net_client::Datagrams,
            "evenkeel:snmp-client/snmp-client.agent": crate::caps::snmp_client::Agent,
        },
    });
}
