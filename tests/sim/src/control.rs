//! The words that change a running simulation: one line, one [`Command`].
//!
//! Every line is answered by data lines `key=value`, if it asks for any, and
//! one last line `ok` or `error <why>`.

use evenkeel_core::time::Nanos;

/// The answer to `help`: every command, with its arguments in `<…>`.
pub const HELP: &str = "\
mains on|off                        for all strings and UPSes
ambient <celsius>                   room temperature of all strings
bus garble <probability>            a transmission has one wrong bit
bus plug|unplug                     the port appears, disappears
module <address> vanish on|off      hears nothing, says nothing
module <address> stuck on|off       its voltage reading stands still
module <address> sensor-fault on|off
module <address> button on|off      the address button is held
module <address> garble <probability>
module <address> reset              as after a power cut
ups <n> silence on|off
ups <n> garble <probability>        a reply has one wrong bit
ups <n> cut on|off                  replies end early
ups <n> nonsense on|off             replies are something else
ups <n> late <ms>                   replies come so much later
ups <n> freeze on|off               no noise, energy stands still
ups <n> load <percent>
ups <n> input <volts>               what the grid offers
ups <n> plug|unplug                 all ports of the unit
status                              the truth, as key=value lines
help
quit";

/// A command.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Command {
    /// Mains of everything.
    Mains(bool),
    /// Room temperature, °C.
    Ambient(f64),
    /// To the battery bus.
    Bus(BusCommand),
    /// To the module with that bus address.
    Module(u16, ModuleCommand),
    /// To the UPS with that number.
    Ups(usize, UpsCommand),
    /// Print the truth.
    Status,
    /// Print [`HELP`].
    Help,
    /// End the simulation.
    Quit,
}

/// A command to the battery bus.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BusCommand {
    /// Probability of a wrong bit per transmission.
    Garble(f64),
    /// The port exists.
    Plugged(bool),
}

/// A command to a module; the switches are
/// [`ModuleFaults`](crate::module::ModuleFaults).
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "named after the faults")]
pub enum ModuleCommand {
    Vanish(bool),
    Stuck(bool),
    SensorFault(bool),
    Button(bool),
    Garble(f64),
    Reset,
}

/// A command to a UPS; the switches are [`UpsFaults`](crate::ups::UpsFaults).
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "named after the faults")]
pub enum UpsCommand {
    Silence(bool),
    Garble(f64),
    Cut(bool),
    Nonsense(bool),
    Late(Nanos),
    Freeze(bool),
    /// % of the rating.
    Load(f64),
    /// Mains voltage, V.
    Input(f64),
    Plugged(bool),
}

/// Why a line is no command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// Nothing of that form.
    #[error("unknown command; try help")]
    Unknown,
    /// An argument is not what it should be.
    #[error("{0:?} is not {1}")]
    Argument(String, &'static str),
}

impl Command {
    /// Parse a line.
    ///
    /// # Errors
    /// [`CommandError`] says which argument is wrong.
    pub fn parse(line: &str) -> Result<Self, CommandError> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["mains", state] => Ok(Self::Mains(on_off(state)?)),
            ["ambient", celsius] => Ok(Self::Ambient(number(celsius, -40.0, 80.0, "-40 … 80 °C")?)),
            ["bus", rest @ ..] => Ok(Self::Bus(bus(rest)?)),
            ["module", address, rest @ ..] => {
                let address = address
                    .parse()
                    .map_err(|_| CommandError::Argument((*address).into(), "a bus address"))?;
                Ok(Self::Module(address, module(rest)?))
            }
            ["ups", index, rest @ ..] => {
                let index = index
                    .parse()
                    .map_err(|_| CommandError::Argument((*index).into(), "the number of a UPS"))?;
                Ok(Self::Ups(index, ups(rest)?))
            }
            ["status"] => Ok(Self::Status),
            ["help"] => Ok(Self::Help),
            ["quit"] => Ok(Self::Quit),
            _ => Err(CommandError::Unknown),
        }
    }
}

fn bus(words: &[&str]) -> Result<BusCommand, CommandError> {
    Ok(match words {
        ["garble", chance] => BusCommand::Garble(probability(chance)?),
        ["plug"] => BusCommand::Plugged(true),
        ["unplug"] => BusCommand::Plugged(false),
        _ => return Err(CommandError::Unknown),
    })
}

fn module(words: &[&str]) -> Result<ModuleCommand, CommandError> {
    Ok(match words {
        ["vanish", state] => ModuleCommand::Vanish(on_off(state)?),
        ["stuck", state] => ModuleCommand::Stuck(on_off(state)?),
        ["sensor-fault", state] => ModuleCommand::SensorFault(on_off(state)?),
        ["button", state] => ModuleCommand::Button(on_off(state)?),
        ["garble", chance] => ModuleCommand::Garble(probability(chance)?),
        ["reset"] => ModuleCommand::Reset,
        _ => return Err(CommandError::Unknown),
    })
}

fn ups(words: &[&str]) -> Result<UpsCommand, CommandError> {
    Ok(match words {
        ["silence", state] => UpsCommand::Silence(on_off(state)?),
        ["garble", chance] => UpsCommand::Garble(probability(chance)?),
        ["cut", state] => UpsCommand::Cut(on_off(state)?),
        ["nonsense", state] => UpsCommand::Nonsense(on_off(state)?),
        ["late", ms] => {
            let ms = number(ms, 0.0, 60_000.0, "0 … 60000 ms")?;
            UpsCommand::Late(Nanos((ms * 1e6) as u64))
        }
        ["freeze", state] => UpsCommand::Freeze(on_off(state)?),
        ["load", percent] => UpsCommand::Load(number(percent, 0.0, 200.0, "0 … 200 %")?),
        ["input", volts] => UpsCommand::Input(number(volts, 0.0, 600.0, "0 … 600 V")?),
        ["plug"] => UpsCommand::Plugged(true),
        ["unplug"] => UpsCommand::Plugged(false),
        _ => return Err(CommandError::Unknown),
    })
}

fn on_off(word: &str) -> Result<bool, CommandError> {
    match word {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(CommandError::Argument(word.into(), "on or off")),
    }
}

fn probability(word: &str) -> Result<f64, CommandError> {
    number(word, 0.0, 1.0, "a probability 0 … 1")
}

fn number(word: &str, low: f64, high: f64, wanted: &'static str) -> Result<f64, CommandError> {
    let number = word.parse().ok().filter(|x| (low..=high).contains(x));
    number.ok_or_else(|| CommandError::Argument(word.into(), wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of HELP as commands, once per alternative.
    fn helped() -> impl Iterator<Item = String> {
        HELP.lines().flat_map(|line| {
            let form = line.split("  ").next().unwrap_or_default();
            let filled = form
                .replace("<celsius>", "30")
                .replace("<probability>", "0.5")
                .replace("<address>", "17")
                .replace("<n>", "0")
                .replace("<ms>", "200")
                .replace("<percent>", "40")
                .replace("<volts>", "230");
            let (head, last) = filled.rsplit_once(' ').unwrap_or(("", &filled));
            last.split('|').map(|word| format!("{head} {word}")).collect::<Vec<_>>()
        })
    }

    #[test]
    fn everything_in_the_help_is_a_command() {
        for line in helped() {
            assert!(Command::parse(&line).is_ok(), "{line}: {:?}", Command::parse(&line));
        }
        assert_eq!(helped().count(), 33);
    }

    #[test]
    fn words_mean_what_they_say() {
        assert_eq!(Command::parse("mains off"), Ok(Command::Mains(false)));
        assert_eq!(
            Command::parse(" ups 1  garble 0.2 "),
            Ok(Command::Ups(1, UpsCommand::Garble(0.2)))
        );
        assert_eq!(
            Command::parse("ups 0 late 1500"),
            Ok(Command::Ups(0, UpsCommand::Late(Nanos::from_millis(1_500))))
        );
        assert_eq!(
            Command::parse("module 17 vanish on"),
            Ok(Command::Module(17, ModuleCommand::Vanish(true)))
        );
        assert_eq!(Command::parse("bus unplug"), Ok(Command::Bus(BusCommand::Plugged(false))));
    }

    #[test]
    fn wrong_lines_say_why() {
        for line in
            ["", "mains", "mains on on", "bus", "ups 0", "ups 0 sing on", "module 1 reset on"]
        {
            assert_eq!(Command::parse(line), Err(CommandError::Unknown), "{line}");
        }
        for (line, says) in [
            ("mains maybe", "\"maybe\" is not on or off"),
            ("bus garble 1.5", "\"1.5\" is not a probability 0 … 1"),
            ("bus garble nan", "\"nan\" is not a probability 0 … 1"),
            ("module -1 reset", "\"-1\" is not a bus address"),
            ("ups x plug", "\"x\" is not the number of a UPS"),
        ] {
            assert_eq!(Command::parse(line).map_err(|e| e.to_string()), Err(says.into()));
        }
    }
}
