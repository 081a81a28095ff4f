//! SNMP driver: reads a UPS through the agent in its card
//! (facts/snmp.md §1–§4).
//!
//! * `mib` – what a MIB is made of: rows
//! * `rfc1628`, `powernet` – the rows; a further private MIB is a further file
//! * `reading` – values to points, pure
//! * `unit` – recognising a device, and reading it in bearable portions

mod mib;
mod powernet;
mod reading;
mod rfc1628;
mod unit;

use evenkeel_sdk::host::{Agent, Level, Log, Points, Snmp};
use evenkeel_sdk::{Command, CommandError, Driver, Plugin};

use unit::{Unit, UnitError};

evenkeel_sdk::register_driver!(SnmpUps);

/// Name of the agent in the manifest.
const AGENT: &str = "ups";
/// Time between two polls, ms.
const PERIOD_MS: u32 = 5_000;
/// The same while the agent does not answer, which has taken its own time.
const PERIOD_LOST_MS: u32 = 2_000;

/// The driver.
#[derive(Default)]
pub struct SnmpUps {
    agent: Option<Box<dyn Agent>>,
    unit: Option<Unit>,
}

impl<H: Log + Points + Snmp> Plugin<H> for SnmpUps {
    fn start(_host: &mut H) -> Result<Self, String> {
        Ok(Self::default())
    }

    fn wake(&mut self, host: &mut H) -> u32 {
        match self.poll(host) {
            Ok(()) => PERIOD_MS,
            Err(UnitError::Restarted) => {
                host.log(Level::Info, "the agent was started anew and is looked at again");
                self.unit = None;
                0
            }
            Err(error) => {
                // What comes back may be another device.
                self.unit = None;
                host.lost(&error.to_string());
                PERIOD_LOST_MS
            }
        }
    }
}

impl SnmpUps {
    fn poll<H: Log + Points + Snmp>(&mut self, host: &mut H) -> Result<(), UnitError> {
        let agent = match &mut self.agent {
            Some(agent) => agent,
            None => self.agent.insert(host.open_agent(AGENT)?),
        };
        let mut updates = Vec::new();
        let unit = match &mut self.unit {
            Some(unit) => unit,
            None => {
                let (unit, constants) = Unit::identify(agent.as_mut())?;
                host.log(Level::Info, &format!("a UPS with {}", unit.mib().name));
                updates.extend(constants);
                self.unit.insert(unit)
            }
        };
        updates.extend(unit.read(agent.as_mut())?);
        if let Err(words) = host.publish(&updates) {
            host.log(Level::Error, &format!("values are not accepted: {words}"));
        }
        Ok(())
    }
}

impl<H: Log + Points + Snmp> Driver<H> for SnmpUps {
    fn commands(&self) -> &[Command] {
        COMMANDS
    }

    fn command(
        &mut self,
        _host: &mut H,
        name: &str,
        value: Option<&str>,
    ) -> Result<(), CommandError> {
        let command = COMMANDS.iter().find(|command| command.name == name);
        command.ok_or(CommandError::Unknown)?.check(value)?;
        match (&mut self.agent, &self.unit) {
            (Some(agent), Some(unit)) => unit.command(agent.as_mut(), name),
            _ => Err(CommandError::Lost("the UPS does not answer".to_owned())),
        }
    }
}

const fn told(name: &'static str, description: &'static str) -> Command {
    Command::send(name, description, &[])
}

/// What can be told; how, the rows of the MIB say.
const COMMANDS: &[Command] = &[
    told("test.battery.start.quick", "a short test on the battery"),
    told("test.battery.start.deep", "discharge the battery to measure it").dangerous(),
    told("test.system.start", "the general test of the UPS"),
    told("test.battery.stop", "end the test that runs"),
    told("shutdown.return", "switch off after a delay, on again with the mains").dangerous(),
    told("shutdown.stayoff", "switch off after a delay, and stay off").dangerous(),
    told("shutdown.reboot", "switch off, and on again after some seconds").dangerous(),
    told("shutdown.stop", "call off a shutdown that is counting down"),
    told("load.off", "switch the output off at once").dangerous(),
    told("load.on", "switch the output on"),
    told("beeper.enable", "let the beeper sound"),
    told("beeper.disable", "keep the beeper quiet"),
    told("beeper.mute", "silence the present alarm"),
];

#[cfg(test)]
mod tests;
