//! The edge: the exports of the world `gateway` and the appliance behind its
//! imports. The only module that knows of WebAssembly.

use crate::map::{Appliance, Command, NAMES_MAX, Unread, WordOrder};
use crate::pdu::Exception;
use crate::server;
use crate::value::{Reading, State, Value};
use bindings::evenkeel::clock0_1_1::clock;
use bindings::evenkeel::commands::commands;
use bindings::evenkeel::log::log;
use bindings::evenkeel::points0_1_1::reader;
use bindings::exports::evenkeel::gateway::service;
use bindings::exports::evenkeel::plugin::life;

/// Generated from `wit/`.
#[allow(missing_docs, unsafe_code, clippy::all, clippy::undocumented_unsafe_blocks)]
mod bindings {
    wit_bindgen::generate!({
        path: [
            "../../wit/since-0.1/log",
            "../../wit/since-0.1/clock",
            "../../wit/since-0.1/serial",
            "../../wit/since-0.1/points",
            "../../wit/since-0.2/clock",
            "../../wit/since-0.2/config",
            "../../wit/since-0.2/random",
            "../../wit/since-0.2/kv",
            "../../wit/since-0.2/crypto",
            "../../wit/since-0.2/serial",
            "../../wit/since-0.2/net-client",
            "../../wit/since-0.2/net-server",
            "../../wit/since-0.2/points",
            "../../wit/since-0.2/commands",
            "../../wit/since-0.2/events",
            "../../wit/since-0.2/plugin",
            "../../wit/since-0.2/gateway",
        ],
        world: "evenkeel:gateway/gateway",
        generate_all,
    });
}

struct Gateway;

bindings::export!(Gateway with_types_in bindings);

impl life::Guest for Gateway {
    fn start(_previous: Option<Vec<u8>>) -> Result<(), String> {
        // A panic ends the instance with a bare trap: its words go before it.
        std::panic::set_hook(Box::new(|info| log::write(log::Level::Error, &info.to_string())));
        Ok(())
    }

    /// Nothing happens but what is asked.
    fn wake() -> u32 {
        60_000
    }

    fn save() -> Vec<u8> {
        Vec::new()
    }
}

impl service::Guest for Gateway {
    fn serve(_listener: String, _connection: u64, data: Vec<u8>) -> service::Served {
        let served = server::serve(&data, &mut Host, WordOrder::HighFirst);
        // At most what was given.
        let consumed = served.consumed as u32;
        service::Served { consumed, reply: served.reply, close: served.close }
    }

    fn closed(_connection: u64) {}
}

/// The imports as the appliance.
struct Host;

impl Appliance for Host {
    fn seconds(&self) -> u64 {
        clock::now_ms() / 1_000
    }

    fn read(&mut self, names: &[String]) -> Result<Vec<Option<Reading>>, Unread> {
        debug_assert!(names.len() <= NAMES_MAX);
        match reader::get(names) {
            Ok(points) => Ok(points.into_iter().map(|point| point.map(reading)).collect()),
            Err(error) if error.code == 1 => Err(Unread::Denied),
            Err(_) => Err(Unread::Busy),
        }
    }

    fn command(&mut self, command: &Command) -> Result<(), Exception> {
        let run = commands::run(&command.target, command.name, command.value.as_deref());
        run.map_err(|error| match error.code {
            1 => Exception::Function,
            2 => Exception::Address,
            3 => Exception::Value,
            5 => Exception::Busy,
            6 => Exception::NoAnswer,
            _ => Exception::Failure,
        })
    }
}

fn reading(point: reader::Point) -> Reading {
    Reading {
        value: match point.value {
            reader::Value::Number(number) => Value::Number(number),
            reader::Value::Text(text) => Value::Text(text),
            reader::Value::Flag(flag) => Value::Flag(flag),
        },
        state: match point.state {
            reader::State::Good => State::Good,
            reader::State::Estimated => State::Estimated,
            reader::State::Stale => State::Stale,
            reader::State::Bad => State::Bad,
        },
        age_ms: point.age_ms,
    }
}
