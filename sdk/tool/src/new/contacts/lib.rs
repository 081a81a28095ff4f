//! Reads a UPS that says by two contacts how it is, and switches it off by a
//! relay.
// asks: evenkeel:contacts/contacts@0.1.1 on-battery reads the contact that closes when the mains are off
// asks: evenkeel:contacts/contacts@0.1.1 battery-low reads the contact that closes when the battery is nearly empty
// asks: evenkeel:contacts/contacts@0.1.1 shutdown closes the relay that switches the UPS off, when you order it
// asks: evenkeel:points/points@0.1.1 ups publishes the status of this one UPS

use evenkeel_sdk::host::{Contacts, ContactsError, Points};
use evenkeel_sdk::{Command, CommandError, Driver, Plugin, Update};

evenkeel_sdk::register_driver!(Ups);

const PERIOD_MS: u32 = 1_000;
/// A reading that is older than this is none: the appliance reads each device
/// every few seconds.
const AGE_MS_MAX: u64 = 15_000;

const COMMANDS: &[Command] =
    &[Command::send("load.off", "switch the UPS off at once", &[]).dangerous()];

/// The driver.
#[derive(Default)]
pub struct Ups {
    on_battery: Steady,
    battery_low: Steady,
    is_lost: bool,
}

/// A contact that counts as changed when two readings in a row say so: a loose
/// one, or one that bounces, changes nothing.
#[derive(Default)]
struct Steady {
    level: Option<bool>,
    before: Option<bool>,
}

impl<H: Contacts + Points> Plugin<H> for Ups {
    fn start(_host: &mut H) -> Result<Self, String> {
        Ok(Self::default())
    }

    fn wake(&mut self, host: &mut H) -> u32 {
        match self.read(host).and_then(|status| host.publish(&[status])) {
            Ok(()) => self.is_lost = false,
            Err(words) => {
                // Said once; until both are read again the status is stale.
                if !self.is_lost {
                    host.lost(&words);
                }
                *self = Self { is_lost: true, ..Self::default() };
            }
        }
        PERIOD_MS
    }
}

impl<H: Contacts + Points> Driver<H> for Ups {
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
        // Returns when the guard has acknowledged it.
        host.switch_contact("shutdown", true).map_err(|error| match error.code {
            ContactsError::UNKNOWN => CommandError::Lost(error.detail),
            _ => CommandError::Refused(error.detail),
        })
    }
}

impl Ups {
    fn read<H: Contacts>(&mut self, host: &mut H) -> Result<Update, String> {
        // Both in any case: a torn wire is to be seen before it is needed.
        let on_battery = self.on_battery.read(host, "on-battery")?;
        let battery_low = self.battery_low.read(host, "battery-low")?;
        let status = match (on_battery, battery_low) {
            (false, false) => "OL",
            (false, true) => "OL LB",
            (true, false) => "OB",
            (true, true) => "OB LB",
        };
        Ok(Update::text("ups.status", status))
    }
}

impl Steady {
    fn read<H: Contacts>(&mut self, host: &mut H, name: &str) -> Result<bool, String> {
        let contact = host.read_contact(name).map_err(|error| error.detail)?;
        if contact.age_ms > AGE_MS_MAX {
            return Err(format!("the contact {name} was read {} s ago", contact.age_ms / 1_000));
        }
        let level = match self.level {
            Some(level) if self.before != Some(contact.closed) => level,
            _ => contact.closed,
        };
        (self.level, self.before) = (Some(level), Some(contact.closed));
        Ok(level)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use evenkeel_sdk::testkit::conformance;

    use super::*;

    /// Each folder in `testcases` has the contacts of a UPS; the kit adds what
    /// can go wrong with them, and goes from each to each other.
    #[test]
    fn every_state_with_every_fault_and_every_change() {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/testcases"));
        conformance::<Ups>(folder, &[]);
    }
}
