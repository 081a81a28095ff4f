//! The words that change a running simulation: one line, one [`Command`].
//!
//! Every line is answered by data lines `key=value`, if it asks for any, and
//! one last line `ok` or `error <why>`. A scenario's script speaks the same
//! words.

use crate::plant::{BlockFault, Ntc};
use evenkeel_core::time::Nanos;

/// The answer to `help`: every command, with its arguments in `<…>`.
pub const HELP: &str = "\
mains on|off                        for all strings and UPSes
ambient <celsius>                   room temperature of all strings
ambient <celsius> over <duration>   the same, evenly over 90s, 10m, 2h, 1d
bus garble <probability>            a transmission has one wrong bit
bus plug|unplug                     the port appears, disappears
bus cut <address>                   before that module: none from it on hears or says anything
bus mend                            the cable is whole again
module <address> vanish on|off      hears nothing, says nothing
module <address> stuck on|off       its voltage reading stands still
module <address> sensor-fault on|off
module <address> button on|off      the address button is held
module <address> garble <probability>
module <address> reset              as after a power cut
module <address> replace            a factory-new one takes its place
module <address> gain <factor>      of its voltage reading, 1 = exact
module <address> offset <mv>        of its voltage reading
module <address> ntc good|open|short
module <address> warm <kelvin>      its temperature reads too high by this
module <address> swap <address>     the two sit on each other's block
module <address> fuse blown
device <address> input <place> closed|open   the contact at that input, from 1
block <address> shorted-cells <count>
block <address> open                a cell or link inside is open
block <address> weak-cell <share>   one cell has this share of the capacity
block <address> dry-out|sulphation|corrosion|stratification <severity>
block <address> loose-link <ohm>    outside the measuring points
block <address> soft-short <ohm>    across one cell
block <address> poor-cooling <share>
block <address> mend                and the fuse of its module
string <n> load <watts>             of its bank, without mains
string <n> charger on|off
string <n> boost on|off
string <n> setpoint <volts>         per cell
string <n> setpoint-error <volts>   per cell
string <n> ground <place> <ohm>     leakage below that place, from 1
string <n> ground none
string <n> breaker trip|close
string <n> breaker stuck on|off
string <n> breaker slow <duration>
string <n> breaker says closed|open|truth
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
    /// Room temperature, °C, reached evenly over so many seconds.
    Ambient(f64, f64),
    /// To the battery bus.
    Bus(BusCommand),
    /// To the module that had that bus address at first, or its replacement.
    Module(u16, ModuleCommand),
    /// To the block under the module with that bus address.
    Block(u16, BlockCommand),
    /// The contact at an input of the device with that bus address.
    Contact {
        /// The device's address.
        device: u16,
        /// The input, from 0.
        input: u8,
        /// Closed, or open.
        closed: bool,
    },
    /// To the string with that number.
    Str(usize, StringCommand),
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
    /// The cable is cut before the module with that address; whole.
    Cut(Option<u16>),
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
    Replace,
    Gain(f64),
    /// V.
    Offset(f64),
    Ntc(Ntc),
    /// K.
    Warm(f64),
    Swap(u16),
    FuseBlown,
}

/// A command to a block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BlockCommand {
    /// Break it.
    Inject(BlockFault),
    /// Mend everything.
    Mend,
}

/// A command to a string, its supply or its breaker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StringCommand {
    /// W.
    Load(f64),
    /// It charges.
    Charger(bool),
    /// It boosts.
    Boost(bool),
    /// V per cell.
    Setpoint(f64),
    /// V per cell.
    SetpointError(f64),
    /// (place from 0, Ω).
    Ground(Option<(usize, f64)>),
    /// The breaker.
    Breaker(BreakerCommand),
}

/// A command to a breaker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BreakerCommand {
    /// Voltage on the shunt trip.
    Trip,
    /// Close it by hand.
    Close,
    /// It does not move any more.
    Stuck(bool),
    /// It takes so long, s.
    Slow(f64),
    /// Its auxiliary contact says closed, whatever is; `None`: the truth.
    Says(Option<bool>),
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
            ["ambient", celsius] => Ok(Self::Ambient(room(celsius)?, 0.0)),
            ["ambient", celsius, "over", time] => {
                Ok(Self::Ambient(room(celsius)?, duration(time)?.as_secs_f64()))
            }
            ["bus", rest @ ..] => Ok(Self::Bus(bus(rest)?)),
            ["module", address, rest @ ..] => {
                Ok(Self::Module(bus_address(address)?, module(rest)?))
            }
            ["block", address, rest @ ..] => Ok(Self::Block(bus_address(address)?, block(rest)?)),
            ["device", address, "input", place, state] => Ok(Self::Contact {
                device: bus_address(address)?,
                // The range fits a byte.
                input: number(place, 1.0, 16.0, "an input from 1")? as u8 - 1,
                closed: closed_open(state)?,
            }),
            ["string", index, rest @ ..] => {
                let wanted = "the number of a string";
                let index =
                    index.parse().map_err(|_| CommandError::Argument((*index).into(), wanted))?;
                Ok(Self::Str(index, string(rest)?))
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
        ["cut", address] => BusCommand::Cut(Some(bus_address(address)?)),
        ["mend"] => BusCommand::Cut(None),
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
        ["replace"] => ModuleCommand::Replace,
        ["gain", factor] => ModuleCommand::Gain(number(factor, 0.5, 1.5, "0.5 … 1.5")?),
        ["offset", mv] => {
            ModuleCommand::Offset(number(mv, -20_000.0, 20_000.0, "-20000 … 20000 mV")? / 1e3)
        }
        ["ntc", "good"] => ModuleCommand::Ntc(Ntc::Good),
        ["ntc", "open"] => ModuleCommand::Ntc(Ntc::Open),
        ["ntc", "short"] => ModuleCommand::Ntc(Ntc::Short),
        ["warm", kelvin] => ModuleCommand::Warm(number(kelvin, -100.0, 100.0, "-100 … 100 K")?),
        ["swap", other] => ModuleCommand::Swap(bus_address(other)?),
        ["fuse", "blown"] => ModuleCommand::FuseBlown,
        _ => return Err(CommandError::Unknown),
    })
}

fn block(words: &[&str]) -> Result<BlockCommand, CommandError> {
    let severity = |word| number(word, 0.0, 1.0, "a severity 0 … 1");
    let share = |word| number(word, 0.01, 1.0, "a share 0.01 … 1");
    let ohm = |word| number(word, 1e-5, 1e6, "0.00001 … 1000000 Ω");
    Ok(BlockCommand::Inject(match words {
        ["shorted-cells", count] => {
            // The range fits a byte.
            BlockFault::ShortedCells(number(count, 1.0, 23.0, "1 … 23 cells")? as u8)
        }
        ["open"] => BlockFault::Open,
        ["weak-cell", word] => BlockFault::WeakCell(share(word)?),
        ["dry-out", word] => BlockFault::DryOut(severity(word)?),
        ["sulphation", word] => BlockFault::Sulphation(severity(word)?),
        ["corrosion", word] => BlockFault::Corrosion(severity(word)?),
        ["stratification", word] => BlockFault::Stratification(severity(word)?),
        ["loose-link", word] => BlockFault::LooseLink(ohm(word)?),
        ["soft-short", word] => BlockFault::SoftShort(ohm(word)?),
        ["poor-cooling", word] => BlockFault::PoorCooling(share(word)?),
        ["mend"] => return Ok(BlockCommand::Mend),
        _ => return Err(CommandError::Unknown),
    }))
}

fn string(words: &[&str]) -> Result<StringCommand, CommandError> {
    Ok(match words {
        ["load", watts] => StringCommand::Load(number(watts, 0.0, 1e7, "0 … 10000000 W")?),
        ["charger", state] => StringCommand::Charger(on_off(state)?),
        ["boost", state] => StringCommand::Boost(on_off(state)?),
        ["setpoint", volts] => {
            StringCommand::Setpoint(number(volts, 1.8, 2.7, "1.8 … 2.7 V per cell")?)
        }
        ["setpoint-error", volts] => {
            StringCommand::SetpointError(number(volts, -0.5, 0.5, "-0.5 … 0.5 V per cell")?)
        }
        ["ground", "none"] => StringCommand::Ground(None),
        ["ground", place, ohm] => {
            let place = number(place, 1.0, 1_024.0, "a place from 1")? as usize - 1;
            StringCommand::Ground(Some((place, number(ohm, 1.0, 1e9, "1 … 1000000000 Ω")?)))
        }
        ["breaker", rest @ ..] => StringCommand::Breaker(breaker(rest)?),
        _ => return Err(CommandError::Unknown),
    })
}

fn breaker(words: &[&str]) -> Result<BreakerCommand, CommandError> {
    Ok(match words {
        ["trip"] => BreakerCommand::Trip,
        ["close"] => BreakerCommand::Close,
        ["stuck", state] => BreakerCommand::Stuck(on_off(state)?),
        ["slow", time] => BreakerCommand::Slow(duration(time)?.as_secs_f64()),
        ["says", "closed"] => BreakerCommand::Says(Some(true)),
        ["says", "open"] => BreakerCommand::Says(Some(false)),
        ["says", "truth"] => BreakerCommand::Says(None),
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

/// A time such as `250ms`, `90s`, `10m`, `1.5h` or `1d`.
///
/// # Errors
/// [`CommandError`] when it is none, or longer than ten years.
pub fn duration(word: &str) -> Result<Nanos, CommandError> {
    let unit_at = word.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(word.len());
    let (count, unit) = word.split_at(unit_at);
    let unit_s = match unit {
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => f64::NAN,
    };
    let seconds = count.parse::<f64>().unwrap_or(f64::NAN) * unit_s;
    if (0.0..=3.2e8).contains(&seconds) {
        Ok(Nanos((seconds * 1e9).round() as u64))
    } else {
        Err(CommandError::Argument(word.into(), "a time such as 90s, 10m, 2h or 1d"))
    }
}

fn bus_address(word: &str) -> Result<u16, CommandError> {
    word.parse().map_err(|_| CommandError::Argument(word.into(), "a bus address"))
}

fn room(word: &str) -> Result<f64, CommandError> {
    number(word, -40.0, 80.0, "-40 … 80 °C")
}

fn on_off(word: &str) -> Result<bool, CommandError> {
    match word {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(CommandError::Argument(word.into(), "on or off")),
    }
}

fn closed_open(word: &str) -> Result<bool, CommandError> {
    match word {
        "closed" => Ok(true),
        "open" => Ok(false),
        _ => Err(CommandError::Argument(word.into(), "closed or open")),
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
                .replace("setpoint <volts>", "setpoint 2.3")
                .replace("setpoint-error <volts>", "setpoint-error 0.05")
                .replace("<volts>", "230")
                .replace("<duration>", "2h")
                .replace("<factor>", "1.005")
                .replace("<mv>", "-20")
                .replace("<kelvin>", "12")
                .replace("<count>", "1")
                .replace("<share>", "0.5")
                .replace("<severity>", "0.5")
                .replace("<ohm>", "50")
                .replace("<watts>", "1500")
                .replace("<place>", "3");
            alternatives(&filled)
        })
    }

    /// `a b|c d` is `a b d` and `a c d`.
    fn alternatives(form: &str) -> Vec<String> {
        form.split_whitespace().fold(vec![String::new()], |heads, word| {
            let longer =
                |head: &String| word.split('|').map(|w| format!("{head} {w}")).collect::<Vec<_>>();
            heads.iter().flat_map(longer).collect()
        })
    }

    #[test]
    fn everything_in_the_help_is_a_command() {
        for line in helped() {
            assert!(Command::parse(&line).is_ok(), "{line}: {:?}", Command::parse(&line));
        }
        assert_eq!(helped().count(), 75);
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
        assert_eq!(
            Command::parse("device 1027 input 2 closed"),
            Ok(Command::Contact { device: 1_027, input: 1, closed: true })
        );
        assert_eq!(Command::parse("bus unplug"), Ok(Command::Bus(BusCommand::Plugged(false))));
        assert_eq!(Command::parse("bus cut 33"), Ok(Command::Bus(BusCommand::Cut(Some(33)))));
        assert_eq!(Command::parse("bus mend"), Ok(Command::Bus(BusCommand::Cut(None))));
        assert_eq!(Command::parse("ambient 35 over 2h"), Ok(Command::Ambient(35.0, 7_200.0)));
        assert_eq!(
            Command::parse("block 7 soft-short 50"),
            Ok(Command::Block(7, BlockCommand::Inject(BlockFault::SoftShort(50.0))))
        );
        assert_eq!(
            Command::parse("string 1 breaker slow 250ms"),
            Ok(Command::Str(1, StringCommand::Breaker(BreakerCommand::Slow(0.25))))
        );
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
            ("ambient 30 over 5", "\"5\" is not a time such as 90s, 10m, 2h or 1d"),
            ("block 3 dry-out 2", "\"2\" is not a severity 0 … 1"),
        ] {
            assert_eq!(Command::parse(line).map_err(|e| e.to_string()), Err(says.into()));
        }
    }
}
