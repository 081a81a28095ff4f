//! Megatec / Q1 driver: claims the device and handles what tables cannot say
//! (facts/ups-serial-protocols.md §1).
//!
//! * `wire` – bytes: frames, flags, refusals
//! * `table` – rows: which bytes are which point
//! * `battery` – arithmetic: packs and estimated charge

mod battery;
mod table;
mod wire;

use evenkeel_sdk::host::{Config, Log, Points, Serial};
use evenkeel_sdk::session::{Ask, AskError, Asker, Family, Poll, Session};
use evenkeel_sdk::table::{Request, Word};
use evenkeel_sdk::{Command, CommandError, Driver, Line, Parity, Plugin, Settings};

use battery::Battery;

evenkeel_sdk::register_driver!(Megatec);

/// The driver: a session with a unit of this family.
pub struct Megatec(Session<Unit>);

impl<H: Log + Points + Serial + Config> Plugin<H> for Megatec {
    fn start(host: &mut H) -> Result<Self, String> {
        let mut settings = Settings::of(host);
        let unit = Unit {
            no_ratings: settings.switch("no-ratings")?,
            no_identity: settings.switch("no-identity")?,
            ignore_shutdown_bit: settings.switch("ignore-shutdown-bit")?,
            configured: Battery::from_settings(&mut settings)?,
            battery: Battery::default(),
        };
        Ok(Self(Session::new(unit)))
    }

    fn wake(&mut self, host: &mut H) -> u32 {
        self.0.poll(host)
    }
}

impl<H: Log + Points + Serial + Config> Driver<H> for Megatec {
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

struct Unit {
    no_ratings: bool,
    no_identity: bool,
    ignore_shutdown_bit: bool,
    /// What the administrator said about the battery.
    configured: Battery,
    /// That, and what was learnt from the device that is connected.
    battery: Battery,
}

impl Family for Unit {
    const PORT: &'static str = "ups";
    const LINE: Line = Line {
        baud: 2400,
        data_bits: 8,
        parity: Parity::None,
        two_stop_bits: false,
        dtr: true,
        rts: false,
    };
    const PERIOD_MS: u32 = 2000;
    const PLAN: &'static [Ask] = table::PLAN;
    const COMMANDS: &'static [Command] = table::COMMANDS;

    fn is_refusal(request: &Request, reply: &[u8]) -> bool {
        wire::is_refusal(request.send, reply)
    }

    fn wants(&self, request: &Request) -> bool {
        let forbidden = (self.no_ratings && request.name == table::RATINGS.name)
            || (self.no_identity && request.name == table::IDENTITY.name);
        !forbidden
    }

    /// One bit for bypass, boost and buck; a shutdown bit that may be stuck; and
    /// a battery of which only the voltage is told.
    fn complete(&mut self, _line: &mut Asker<'_>, poll: &mut Poll) -> Result<(), AskError> {
        let (input, output) = (poll.number("input.voltage"), poll.number("output.voltage"));
        poll.status.resolve_bypass(input, output);
        if self.ignore_shutdown_bit {
            poll.status.remove(Word::Fsd);
            poll.status.remove_alarm(table::SHUTDOWN);
        }
        let reading = poll.number("battery.voltage");
        if poll.is_first {
            let nominal = poll.number("battery.voltage.nominal");
            self.battery = self.configured.learn(nominal, reading);
            poll.updates.extend(self.battery.constants());
        }
        poll.updates.extend(self.battery.charge(reading));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use evenkeel_sdk::testkit::{Bench, Case, Fault, Replay, conformance, replay};
    use evenkeel_sdk::{Quality, Update};

    use super::*;

    fn testcases() -> &'static Path {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/testcases"))
    }

    #[test]
    fn every_recorded_exchange_whole_cut_garbled_late_and_silent() {
        conformance::<Megatec>(testcases(), &[table::IDENTITY.send]);
    }

    #[test]
    fn a_sensor_that_fails_takes_its_value_along() {
        let case = Case::load(&testcases().join("worked_example")).unwrap();
        let mut replay = Replay::<Megatec>::start(&case, Fault::None).unwrap();
        replay.poll(1);
        let filler = b"(208.4 140.0 208.4 @@@ 59.9 @.@@ --.- 00110000\r";
        replay.set(Fault::replace(table::STATUS.send, filler));
        replay.poll(1);
        let quality = |name: &str| {
            let second = &replay.bench.published[1];
            let update = second.iter().find(|update| update.name == name);
            update.map(|update| update.quality)
        };
        for name in ["ups.load", "battery.voltage", "ups.temperature", "battery.charge"] {
            assert_eq!(quality(name), Some(Quality::Bad), "{name}");
        }
        assert_eq!(quality("input.voltage"), Some(Quality::Good));
    }

    #[test]
    fn the_shutdown_bit_can_be_left_out() {
        let mut case = Case::load(&testcases().join("shutdown_active")).unwrap();
        case.settings.push(("ignore-shutdown-bit".into(), "true".into()));
        let bench = replay::<Megatec>(&case, Fault::None, 1).unwrap().bench;
        assert_eq!(bench.last("ups.status"), Some(&Update::text("ups.status", "OB LB")));
        assert_eq!(bench.last("ups.alarm"), Some(&Update::text("ups.alarm", "")));
    }

    #[test]
    fn the_sample_settings_are_the_settings() {
        let sample = include_str!("../sample.toml");
        let mut bench = Bench::default();
        for line in sample.lines() {
            if let Some((name, value)) = line.trim_start_matches("# ").split_once(" = ") {
                bench.set(name, value);
            }
        }
        assert!(Megatec::start(&mut bench).is_ok());
        let names: Vec<_> = bench.settings.keys().collect();
        assert_eq!(names, bench.settings_read.iter().collect::<Vec<_>>());
        let schema = include_str!("../plugin.toml").split("[[settings]]").skip(1);
        let mut listed: Vec<_> = schema
            .filter_map(|table| table.trim().strip_prefix("name = ")?.lines().next())
            .collect();
        listed.sort_unstable();
        let quoted: Vec<_> = names.iter().map(|name| format!("{name:?}")).collect();
        assert_eq!(listed, quoted, "what is read is what the form asks for");
    }
}
