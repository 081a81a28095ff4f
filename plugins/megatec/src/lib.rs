//! Megatec / Q1 driver: claims the device and handles what tables cannot say
//! (facts/ups-serial-protocols.md §1).
//!
//! * `wire` – bytes: frames, flags, refusals
//! * `table` – rows: which bytes are which point
//! * `battery` – arithmetic: packs and estimated charge

mod battery;
mod table;
mod wire;

use evenkeel_sdk::host::{Host, Line, Parity, Update, number};
use evenkeel_sdk::session::{AskError, Asker, Family, Session};
use evenkeel_sdk::table::Request;
use evenkeel_sdk::{Driver, Settings};

use battery::Battery;
use wire::Flags;

evenkeel_sdk::register_driver!(Megatec);

/// The driver: a session with a unit of this family.
pub struct Megatec(Session<Unit>);

impl Driver for Megatec {
    fn start(mut settings: Settings) -> Result<Self, String> {
        let unit = Unit {
            no_ratings: settings.take_switch("no-ratings")?,
            no_identity: settings.take_switch("no-identity")?,
            ignore_shutdown_bit: settings.take_switch("ignore-shutdown-bit")?,
            configured: Battery::from_settings(&mut settings)?,
            battery: Battery::default(),
        };
        settings.finish()?;
        Ok(Self(Session::new(unit)))
    }

    fn poll(&mut self, host: &mut dyn Host) -> u32 {
        self.0.poll(host)
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

    fn is_refusal(request: &Request, reply: &[u8]) -> bool {
        wire::is_refusal(request.send, reply)
    }

    /// A sound status reply claims the device. Only then it is asked for what
    /// it may not know: a unit of another family could act on `I` or `F`.
    fn identify(&mut self, line: &mut Asker<'_>) -> Result<Vec<Update>, AskError> {
        let (_, status) = line.ask(&table::STATUS)?;
        let mut updates = Vec::new();
        if !self.no_ratings {
            updates.extend(line.ask_optional(&table::RATINGS)?);
        }
        if !self.no_identity {
            updates.extend(line.ask_optional(&table::IDENTITY)?);
        }
        self.battery = self
            .configured
            .learn(number(&updates, "battery.voltage.nominal"), number(&status, "battery.voltage"));
        updates.extend(self.battery.constants());
        Ok(updates)
    }

    fn read(&mut self, line: &mut Asker<'_>) -> Result<Vec<Update>, AskError> {
        let (reply, mut updates) = line.ask(&table::STATUS)?;
        let flags = Flags::of(&reply, self.ignore_shutdown_bit);
        let input = number(&updates, "input.voltage");
        let output = number(&updates, "output.voltage");
        updates.push(Update::text("ups.status", flags.status(input, output)));
        updates.push(Update::text("ups.alarm", flags.alarm()));
        updates.extend(self.battery.charge(number(&updates, "battery.voltage")));
        Ok(updates)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use evenkeel_sdk::host::Quality;
    use evenkeel_sdk::testkit::{Case, Fault, Recorder, conformance, replay};

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
        let mut host = Recorder::new(&case, Fault::None);
        let mut driver = Megatec::start(Settings::default()).unwrap();
        driver.poll(&mut host);
        let filler = b"(208.4 140.0 208.4 @@@ 59.9 @.@@ --.- 00110000\r";
        host.set_fault(Fault::replace(table::STATUS.send, filler));
        driver.poll(&mut host);
        let quality = |name: &str| {
            let update = host.published[1].iter().find(|update| update.name == name);
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
        let host = replay::<Megatec>(&case, Fault::None, 1).unwrap();
        let status = host.published[0].iter().find(|u| u.name == "ups.status").unwrap();
        assert_eq!(*status, Update::text("ups.status", "OB LB"));
    }

    #[test]
    fn the_sample_settings_are_the_settings() {
        let sample = include_str!("../sample.toml");
        let pairs = sample.lines().filter_map(|line| {
            let (name, value) = line.trim_start_matches("# ").split_once(" = ")?;
            Some((name.to_owned(), value.to_owned()))
        });
        let pairs: Vec<_> = pairs.collect();
        assert_eq!(pairs.len(), 6);
        assert!(Megatec::start(Settings::new(pairs)).is_ok());
    }
}
