//! Bindings of every interface that the appliance offers, generated from `wit/`.
//! What a plugin does not call is not linked, and so its component imports
//! nothing of it.

#![allow(missing_docs, unsafe_code, clippy::all, clippy::undocumented_unsafe_blocks)]

wit_bindgen::generate!({
    inline: "
        package evenkeel:sdk;
        world imports {
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
        }
    ",
    path: [
        "wit/log", "wit/clock", "wit/config", "wit/random", "wit/kv", "wit/crypto", "wit/serial",
        "wit/hid", "wit/contacts", "wit/net-client", "wit/net-server", "wit/snmp-client",
        "wit/points", "wit/commands", "wit/events",
    ],
    world: "evenkeel:sdk/imports",
    generate_all,
});
