//! Reads a UPS on USB: charge and runtime from a feature report, whether it has
//! mains from the reports that it sends by itself.
// asks: evenkeel:hid/hid@0.1.0 ups reads the reports of this UPS and sends it those that you order
// asks: evenkeel:points/points@0.1.1 ups publishes charge, runtime and status of this one UPS

use evenkeel_sdk::host::{Hid, HidDevice, HidError, Points};
use evenkeel_sdk::{Command, CommandError, Driver, Plugin, Update};

evenkeel_sdk::register_driver!(Ups);

/// Name of the UPS in the manifest.
const DEVICE: &str = "ups";
const PERIOD_MS: u32 = 1_000;
/// Reports that are looked at in one poll; it sends a few each second.
const REPORTS_MAX: u32 = 64;

/// Feature report: charge in %, runtime in seconds.
const BATTERY: u8 = 0x0c;
/// Feature report: 1 mutes.
const BEEPER: u8 = 0x0d;
/// Input report: bit 0 mains, bit 1 battery low.
const STATUS: u8 = 0x13;

const COMMANDS: &[Command] = &[Command::send("beeper.mute", "silence the present alarm", &[])];

/// The driver.
#[derive(Default)]
pub struct Ups {
    device: Option<Box<dyn HidDevice>>,
    /// What it said last.
    status: Option<&'static str>,
    is_lost: bool,
}

impl<H: Hid + Points> Plugin<H> for Ups {
    fn start(_host: &mut H) -> Result<Self, String> {
        Ok(Self::default())
    }

    fn wake(&mut self, host: &mut H) -> u32 {
        match self.read(host).and_then(|updates| host.publish(&updates)) {
            Ok(()) => self.is_lost = false,
            Err(words) => {
                // Said once. The handle stays good: an unplugged device is looked
                // for at each poll, and what it said before counts no longer.
                if !self.is_lost {
                    host.lost(&words);
                }
                self.is_lost = true;
                self.status = None;
            }
        }
        PERIOD_MS
    }
}

impl<H: Hid + Points> Driver<H> for Ups {
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
        let sent = self.device(host).and_then(|device| device.set_feature(&[BEEPER, 1]));
        sent.map_err(|error| CommandError::Lost(words(error)))
    }
}

impl Ups {
    fn device<H: Hid>(&mut self, host: &mut H) -> Result<&mut dyn HidDevice, HidError> {
        let device = match self.device.take() {
            Some(device) => device,
            None => host.open_hid(DEVICE)?,
        };
        Ok(self.device.insert(device).as_mut())
    }

    fn read<H: Hid>(&mut self, host: &mut H) -> Result<Vec<Update>, String> {
        let device = self.device(host).map_err(words)?;
        let report = device.get_feature(BATTERY, 8).map_err(words)?;
        let [BATTERY, charge @ 0..=100, low, high] = report[..] else {
            return Err(format!("its battery report is {report:02x?}"));
        };
        let mut heard = None;
        for _ in 0..REPORTS_MAX {
            match device.read(0) {
                Ok(report) => heard = status(&report).or(heard),
                Err(error) if error.code == HidError::TIMEOUT => break,
                Err(error) => return Err(words(error)),
            }
        }
        self.status = heard.or(self.status);
        let runtime = f64::from(u16::from_le_bytes([low, high]));
        let mut updates = vec![
            Update::estimate("battery.charge", f64::from(charge), "%"),
            Update::estimate("battery.runtime", runtime, "s"),
        ];
        updates.extend(self.status.map(|status| Update::text("ups.status", status)));
        Ok(updates)
    }
}

/// What an input report says; others are of no interest.
fn status(report: &[u8]) -> Option<&'static str> {
    match *report {
        [STATUS, bits] => Some(match (bits & 1 != 0, bits & 2 != 0) {
            (true, false) => "OL",
            (true, true) => "OL LB",
            (false, false) => "OB",
            (false, true) => "OB LB",
        }),
        _ => None,
    }
}

/// The host's words: they name the device and say what to check.
fn words(error: HidError) -> String {
    error.detail
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use evenkeel_sdk::testkit::conformance;

    use super::*;

    /// Each folder in `testcases` has the reports of a UPS; the kit adds what
    /// can go wrong with them and with the cable.
    #[test]
    fn every_recorded_ups_whole_and_with_every_fault() {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/testcases"));
        conformance::<Ups>(folder, &[]);
    }
}
