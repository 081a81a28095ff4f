//! World `evenkeel:driver/device-driver`.

use bindings::exports::evenkeel::driver::device;

use super::imports::evenkeel::commands::offers;
use super::{Appliance, Registered, life, started};
use crate::Driver;
use crate::host::{Level, Log as _};
use crate::table::{Command, CommandError, Parameter};

/// Generated from `wit/driver`.
#[doc(hidden)]
#[allow(missing_docs, unsafe_code, clippy::all, clippy::undocumented_unsafe_blocks)]
pub mod bindings {
    wit_bindgen::generate!({
        path: [
            "wit/log", "wit/clock", "wit/config", "wit/random", "wit/kv", "wit/crypto",
            "wit/serial", "wit/hid", "wit/contacts", "wit/net-client", "wit/snmp-client",
            "wit/points", "wit/commands", "wit/events", "wit/plugin", "wit/driver",
        ],
        world: "evenkeel:driver/device-driver",
        with: {
            "evenkeel:log/log@0.1.0": crate::wasm::imports::evenkeel::log::log,
            "evenkeel:clock/clock@0.1.1": crate::wasm::imports::evenkeel::clock::clock,
            "evenkeel:config/config@0.1.0": crate::wasm::imports::evenkeel::config::config,
            "evenkeel:random/random@0.1.0": crate::wasm::imports::evenkeel::random::random,
            "evenkeel:kv/kv@0.1.0": crate::wasm::imports::evenkeel::kv::kv,
            "evenkeel:crypto/crypto@0.1.0": crate::wasm::imports::evenkeel::crypto::crypto,
            "evenkeel:serial/serial@0.1.1": crate::wasm::imports::evenkeel::serial::serial,
            "evenkeel:hid/hid@0.1.0": crate::wasm::imports::evenkeel::hid::hid,
            "evenkeel:contacts/contacts@0.1.0": crate::wasm::imports::evenkeel::contacts::contacts,
            "evenkeel:net-client/net-client@0.1.0": crate::wasm::imports::evenkeel::net_client::net_client,
            "evenkeel:snmp-client/snmp-client@0.1.0": crate::wasm::imports::evenkeel::snmp_client::snmp_client,
            "evenkeel:points/points@0.1.1": crate::wasm::imports::evenkeel::points::points,
            "evenkeel:commands/offers@0.1.0": crate::wasm::imports::evenkeel::commands::offers,
            "evenkeel:events/types@0.1.0": crate::wasm::imports::evenkeel::events::types,
            "evenkeel:events/events@0.1.0": crate::wasm::imports::evenkeel::events::events,
        },
        generate_all,
        pub_export_macro: true,
    });
}

life!(Driver, |driver: &mut R::Plugin| offer(Driver::<Appliance>::commands(driver)));

impl<R: Registered> device::Guest for R
where
    R::Plugin: Driver<Appliance>,
{
    fn command(name: String, value: Option<String>) -> Result<(), device::Error> {
        let told = R::with(|slot| started(slot).command(&mut Appliance, &name, value.as_deref()));
        told.map_err(|error| device::Error {
            code: match error {
                CommandError::Unknown => 1,
                CommandError::Invalid(_) => 2,
                CommandError::Refused(_) => 3,
                CommandError::Lost(_) => 4,
            },
            detail: error.to_string(),
        })
    }
}

/// Tell the host what the device can be told. A driver without commands does
/// not import the interface: the list is constant, and nothing is left of this.
#[inline(always)]
fn offer(commands: &[Command]) {
    if commands.is_empty() {
        return;
    }
    let offers: Vec<_> = commands.iter().map(convert).collect();
    if let Err(error) = offers::offer(&offers) {
        Appliance.log(Level::Error, &format!("no command is offered: {}", error.detail));
    }
}

fn convert(command: &Command) -> offers::Offer {
    offers::Offer {
        name: command.name.to_owned(),
        description: command.description.to_owned(),
        parameter: match command.parameter {
            Parameter::None => offers::Parameter::None,
            Parameter::Number { low, high, .. } => offers::Parameter::Number((low, high)),
            Parameter::Word(words) => {
                offers::Parameter::Word(words.iter().map(|(word, _)| (*word).to_owned()).collect())
            }
            Parameter::Text(max) => offers::Parameter::Text(max),
        },
    }
}
