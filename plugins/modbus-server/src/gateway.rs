//! The plugin: the server behind the world `gateway`, and the host as its
//! appliance.

use crate::map::{Appliance, Command, Unread, WordOrder};
use crate::pdu::Exception;
use crate::server;
use crate::value::{Reading, State, Value};
use evenkeel_sdk::host::{self, Clock, Commands, Config, Reader, ReaderError, Setting, TellError};
use evenkeel_sdk::worlds::Served;
use evenkeel_sdk::{Gateway, Plugin, register_gateway};

/// The switch for clients that want the low word of a pair first.
const LOW_WORD_FIRST: &str = "low-word-first";

/// A Modbus TCP server.
#[derive(Debug)]
pub struct ModbusServer {
    order: WordOrder,
}

impl<H: Config> Plugin<H> for ModbusServer {
    fn start(host: &mut H) -> Result<Self, String> {
        let order = match host.setting(LOW_WORD_FIRST) {
            Some(Setting::Flag(true)) => WordOrder::LowFirst,
            _ => WordOrder::HighFirst,
        };
        Ok(Self { order })
    }
}

impl<H: Clock + Config + Reader + Commands> Gateway<H> for ModbusServer {
    fn serve(&mut self, host: &mut H, _listener: &str, _connection: u64, data: &[u8]) -> Served {
        let served = server::serve(data, &mut Host(host), self.order);
        // At most what was given.
        let consumed = served.consumed as u32;
        Served { consumed, reply: served.reply, close: served.close }
    }
}

register_gateway!(ModbusServer);

/// The host as the appliance.
struct Host<'a, H>(&'a mut H);

impl<H: Clock + Reader + Commands> Appliance for Host<'_, H> {
    fn seconds(&mut self) -> u64 {
        self.0.now_ms() / 1_000
    }

    fn read(&mut self, names: &[String]) -> Result<Vec<Option<Reading>>, Unread> {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        match self.0.read_points(&names) {
            Ok(points) => Ok(points.into_iter().map(|point| point.map(reading)).collect()),
            Err(error) if error.code == ReaderError::DENIED => Err(Unread::Denied),
            Err(_) => Err(Unread::Busy),
        }
    }

    fn command(&mut self, command: &Command) -> Result<(), Exception> {
        let told = self.0.tell(&command.target, command.name, command.value.as_deref());
        told.map_err(|error| match error.code {
            TellError::DENIED => Exception::Function,
            TellError::UNKNOWN => Exception::Address,
            TellError::INVALID => Exception::Value,
            TellError::BUSY => Exception::Busy,
            TellError::TIMEOUT => Exception::NoAnswer,
            _ => Exception::Failure,
        })
    }
}

fn reading(point: host::Point) -> Reading {
    Reading {
        value: match point.value {
            host::Value::Number(number) => Value::Number(number),
            host::Value::Text(text) => Value::Text(text.into_owned()),
            host::Value::Flag(flag) => Value::Flag(flag),
        },
        state: match point.state {
            host::State::Good => State::Good,
            host::State::Estimated => State::Estimated,
            host::State::Stale => State::Stale,
            host::State::Bad => State::Bad,
        },
        age_ms: point.age_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_sdk::testkit::Bench;

    #[test]
    fn what_becomes_of_a_command_is_told_in_the_words_of_the_protocol() {
        for (code, exception) in [
            (TellError::DENIED, Exception::Function),
            (TellError::UNKNOWN, Exception::Address),
            (TellError::INVALID, Exception::Value),
            (TellError::FAILED, Exception::Failure),
            (TellError::BUSY, Exception::Busy),
            (TellError::TIMEOUT, Exception::NoAnswer),
            (99, Exception::Failure),
        ] {
            let mut bench = Bench::default();
            bench.tell_fails = Some(code);
            let mute = Command { target: "guard".into(), name: "beeper.mute", value: None };
            let told = Host(&mut bench).command(&mute);
            assert_eq!(told, Err(exception), "{code}");
        }
    }
}
