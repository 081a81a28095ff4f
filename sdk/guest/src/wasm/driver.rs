//! World `evenkeel:driver/device-driver`.

use bindings::exports::evenkeel::driver::device;

use super::imports::evenkeel::commands::offers;
use super::imports::evenkeel::commands::types::Parameter as Theirs;
use super::{Appliance, Registered, started};
use crate::Driver;
use crate::host::{Level, Log as _};
use crate::table::{Command, CommandError, Parameter};

/// Generated from `wit/driver`.
#[doc(hidden)]
#[allow(missing_docs, unsafe_code, clippy::all, clippy::undocumented_unsafe_blocks)]
pub mod bindings {
    wit_bindgen::generate!({
        inline: "package evenkeel:sdk-driver; world driver { export evenkeel:driver/device@0.2.0; }",
        path: ["wit/log", "wit/clock", "wit/config", "wit/random", "wit/kv", "wit/crypto", "wit/serial", "wit/hid", "wit/contacts-0.1.0", "wit/net-client", "wit/snmp-client", "wit/points", "wit/commands", "wit/events", "wit/plugin", "wit/driver"],
        world: "evenkeel:sdk-driver/driver",
        pub_export_macro: true,
    });
}

/// Tell the host what the device can be told. A driver without commands does
/// not import the interface: its list is constant, and nothing is left of this.
#[doc(hidden)]
#[inline(always)]
pub fn begun<P: Driver<Appliance>>(driver: &P) {
    let commands = driver.commands();
    if commands.is_empty() {
        return;
    }
    let offers: Vec<_> = commands.iter().map(convert).collect();
    if let Err(error) = offers::announce(&offers) {
        Appliance.log(Level::Error, &format!("no command is offered: {}", error.detail));
    }
}

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

fn convert(command: &Command) -> offers::Offer {
    offers::Offer {
        name: command.name.to_owned(),
        description: command.description.to_owned(),
        parameter: match command.parameter {
            Parameter::None => Theirs::None,
            Parameter::Number { low, high, .. } => Theirs::Number((low, high)),
            Parameter::Word(words) => {
                Theirs::Word(words.iter().map(|(word, _)| (*word).to_owned()).collect())
            }
            Parameter::Text(max) => Theirs::Text(max),
        },
    }
}
