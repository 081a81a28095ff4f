//! Reads a meter that speaks Modbus TCP: three input registers, and a coil that
//! silences its beeper.
// asks: evenkeel:net-client/net-client@0.1.0 meter asks the meter for its values and tells it what you order
// asks: evenkeel:points/points@0.1.1 ups publishes voltage, frequency and load of this one meter

use std::borrow::Cow;

use evenkeel_sdk::host::{Connection, Net, NetError, Points};
use evenkeel_sdk::{Command, CommandError, Driver, Plugin, Quality, Update, Value};

evenkeel_sdk::register_driver!(Meter);

/// Name of the meter in the manifest.
const PEER: &str = "meter";
const UNIT: u8 = 1;
const PERIOD_MS: u32 = 2_000;
/// Time to connect, to send, and to wait for what is missing of an answer.
const WAIT_MS: u32 = 3_000;

const READ_INPUTS: u8 = 4;
const WRITE_COIL: u8 = 5;
/// Set in the function of an answer that is a refusal.
const REFUSED: u8 = 0x80;

const COMMANDS: &[Command] = &[Command::send("beeper.mute", "silence the beeper", &[])];

/// The driver.
#[derive(Default)]
pub struct Meter {
    connection: Option<Box<dyn Connection>>,
    transaction: u16,
    is_lost: bool,
}

impl<H: Net + Points> Plugin<H> for Meter {
    fn start(_host: &mut H) -> Result<Self, String> {
        Ok(Self::default())
    }

    fn wake(&mut self, host: &mut H) -> u32 {
        match self.read(host).and_then(|updates| host.publish(&updates)) {
            Ok(()) => self.is_lost = false,
            Err(words) => {
                // Said once; until it answers again its values are stale.
                if !self.is_lost {
                    host.lost(&words);
                }
                self.is_lost = true;
            }
        }
        PERIOD_MS
    }
}

impl<H: Net + Points> Driver<H> for Meter {
    fn commands(&self) -> &[Command] {
        COMMANDS
    }

    fn command(
        &mut self,
        host: &mut H,
        name: &str,
        value: Option<&str>,
    ) -> Result<(), CommandError> {
        let command = COMMANDS.iter().find(|command| command.name == name);
        command.ok_or(CommandError::Unknown)?.check(value)?;
        let order = [WRITE_COIL, 0, 0, 0xff, 0];
        let answer = self.ask(host, &order).map_err(CommandError::Lost)?;
        match answer[..] {
            // It repeats what it does.
            _ if answer == order => Ok(()),
            [function, code] if function == WRITE_COIL | REFUSED => {
                Err(CommandError::Refused(format!("the meter refuses it with code {code}")))
            }
            _ => Err(CommandError::Lost(other(&answer))),
        }
    }
}

impl Meter {
    fn read<H: Net>(&mut self, host: &mut H) -> Result<Vec<Update>, String> {
        let answer = self.ask(host, &[READ_INPUTS, 0, 0, 0, 3])?;
        let [READ_INPUTS, 6, v1, v0, f1, f0, l1, l0] = answer[..] else {
            return Err(other(&answer));
        };
        let tenths = |high, low| f64::from(u16::from_be_bytes([high, low])) / 10.0;
        Ok(vec![
            number("input.voltage", tenths(v1, v0), "V"),
            number("input.frequency", tenths(f1, f0), "Hz"),
            number("ups.load", f64::from(u16::from_be_bytes([l1, l0])), "%"),
        ])
    }

    /// Function and data of the answer to `request`, which is the same of the
    /// question.
    fn ask<H: Net>(&mut self, host: &mut H, request: &[u8]) -> Result<Vec<u8>, String> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => host.connect(PEER, WAIT_MS).map_err(words)?,
        };
        self.transaction = self.transaction.wrapping_add(1);
        let answer = exchange(connection.as_mut(), self.transaction, request)?;
        // Only now: behind an error nobody knows where the next answer begins,
        // and a new connection begins anew.
        self.connection = Some(connection);
        Ok(answer)
    }
}

fn exchange(
    connection: &mut dyn Connection,
    transaction: u16,
    request: &[u8],
) -> Result<Vec<u8>, String> {
    let [id1, id0] = transaction.to_be_bytes();
    let mut frame = vec![id1, id0, 0, 0, 0, request.len() as u8 + 1, UNIT];
    frame.extend(request);
    connection.write(&frame, WAIT_MS).map_err(words)?;
    let head = read(connection, frame.len() - request.len())?;
    match head[..] {
        [a, b, 0, 0, 0, len @ 3..=254, UNIT] if [a, b] == [id1, id0] => {
            read(connection, usize::from(len) - 1)
        }
        _ => Err(other(&head)),
    }
}

/// So many bytes: a stream brings what it has, and an answer may come in pieces.
fn read(connection: &mut dyn Connection, len: usize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while bytes.len() < len {
        bytes.extend(connection.read((len - bytes.len()) as u32, WAIT_MS).map_err(words)?);
    }
    Ok(bytes)
}

/// The host's words: they have the address of the meter and what to check.
fn words(error: NetError) -> String {
    error.detail
}

fn other(bytes: &[u8]) -> String {
    format!("the meter answers something else: {bytes:02x?}")
}

fn number(name: &'static str, number: f64, unit: &'static str) -> Update {
    let (name, value) = (Cow::Borrowed(name), Value::Number(number));
    Update { name, value, unit, quality: Quality::Good }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use evenkeel_sdk::testkit::conformance;

    use super::*;

    /// Each folder in `testcases` is what went over the network, recorded with
    /// `evenkeel-plugin run --record`; the kit adds what can go wrong there.
    #[test]
    fn every_recorded_exchange_whole_and_with_every_fault() {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/testcases"));
        conformance::<Meter>(folder, &[]);
    }
}
