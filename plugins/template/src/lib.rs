//! A small complete driver: the start of yours.
//!
//! * `table` – rows: which bytes are which point, and what the unit can be told
//!
//! What tables cannot say belongs into `Family::complete`; this family needs
//! nothing of the kind.

mod table;

use evenkeel_sdk::host::{Log, Points, Serial};
use evenkeel_sdk::session::{Ask, Family, Session};
use evenkeel_sdk::table::Request;
use evenkeel_sdk::{Command, CommandError, Driver, Line, Parity, Plugin};

evenkeel_sdk::register_driver!(Device);

/// The driver: a session with a unit of this family.
pub struct Device(Session<Unit>);

impl<H: Log + Points + Serial> Plugin<H> for Device {
    fn start(_host: &mut H) -> Result<Self, String> {
        Ok(Self(Session::new(Unit)))
    }

    fn wake(&mut self, host: &mut H) -> u32 {
        self.0.poll(host)
    }
}

impl<H: Log + Points + Serial> Driver<H> for Device {
    fn commands(&self) -> &[Command] {
        Unit::COMMANDS
    }

    fn command(
        &mut self,
        _host: &mut H,
        name: &str,
        value: Option<&str>,
    ) -> Result<(), CommandError> {
        self.0.command(name, value)
    }
}

struct Unit;

impl Family for Unit {
    const PORT: &'static str = "ups";
    const LINE: Line = Line {
        baud: 9600,
        data_bits: 8,
        parity: Parity::None,
        two_stop_bits: false,
        dtr: true,
        rts: false,
    };
    const PERIOD_MS: u32 = 2000;
    const PLAN: &'static [Ask] = table::PLAN;
    const COMMANDS: &'static [Command] = table::COMMANDS;

    /// A unit that does not know the question says `$NO`.
    fn is_refusal(_request: &Request, reply: &[u8]) -> bool {
        reply.starts_with(b"$NO")
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use evenkeel_sdk::testkit::conformance;

    use super::*;

    /// Every folder in `testcases` is an exchange that was recorded with
    /// `evenkeel-plugin run --record`.
    #[test]
    fn every_recorded_exchange_whole_cut_garbled_late_and_silent() {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/testcases"));
        conformance::<Device>(folder, &[]);
    }
}
