//! Jobs: what happens because something happened.
//!
//! Any event may start any number of jobs ([`When`]): at once or after a delay,
//! once or several times, only while it is still true, with a counter-job when
//! it is over. What a job does is data ([`Action`]); the daemon does it, and
//! what came of it is an event again.
//!
//! ```toml
//! [[job]]
//! name = "horn"
//! when = { kind = "ups_on_battery", fields = { ups = "ups.0" } }
//! delay_s = 60
//! only_if_still_true = true
//! action = { do = "output", device = 3, output = 2, on = true }
//! undo = { do = "output", device = 3, output = 2, on = false }
//!
//! [[job]]
//! name = "door"
//! when = { kind = "rule_raised", fields = { rule = "door-open-long" } }
//! action = { do = "signal", tone = "rare", seconds = 1800 }
//! undo = { do = "signal", seconds = 0 }
//! ```
//!
//! # Terms
//! - An *episode* is one job taken up because of one event. Its name is
//!   `<event id>.<job>`, so that the same event never begins it twice, however
//!   often it is read. An event that says that something **is** so has *keys*
//!   ([`conditions`]), e.g. `ups_on_battery/ups.0`; the episode lasts until
//!   all of them were told to be over. What is raised again meanwhile, by a
//!   restart or because it became worse, is taken up by no job twice.
//! - A job that *follows* has a counter-job or wants it to be still true. Only
//!   events that say that something is so start it ([`LASTING`] has their
//!   kinds): an acknowledged alarm, or one that is over, does not. With
//!   `when = { kind = "alarm", fields = { what = "ups-overload" } }` it begins
//!   when the alarm is raised and is taken back when the alarm is over.
//! - An *instance* is one thing to be done, `<episode>.<ordinal>`: the action,
//!   its repetitions, the counter-job, a step of a run order. The name goes
//!   with it wherever it goes (a webhook's receiver sees it), so that what was
//!   done and not yet noted when the power failed can be told from news.
//! - A counter-job that [sets a state](Action::sets_state) does so for all
//!   episodes of its job: a horn that sounds for two lost modules is off when
//!   both are back. One that tells something tells it of each.
//! - What a job did goes with its episode. When the job is removed or renamed
//!   meanwhile, its counter-job is done at once, and an event says so; when it
//!   is changed, the end takes back what was done, not what would be done now.
//! - [`Planner`] is the whole decision, as a function of (state, event, now).
//!
//! # What may be done twice
//! A job is kept before it is done and noted after it; a crash between the two
//! does it again. That is right for what sets a state or carries its name with
//! it ([`Action::may_be_repeated`]). A command to a UPS is neither: after a
//! crash in the middle of one nobody knows, and the event says so.
//!
//! # Bounds
//! [`PENDING_MAX`] instances, [`PENDING_OF_JOB_MAX`] of one job; `coalesce_s`
//! makes one of many. Events about jobs start only jobs that name their kind,
//! never the same one, so that a failing job cannot feed on itself.

mod conditions;
mod matching;
mod planner;
mod reason;
mod sequence;
pub mod wire;

pub use conditions::{LASTING, conditions, still};
pub use matching::{Fields, Pattern, When, fields};
pub use planner::{Change, Did, Episode, Instance, Outcome, Planner, Stage, Task};
pub use reason::Reason;
pub use sequence::{Phase, SEQUENCES_MAX, Sequence, Step};

use crate::command::{Order, Tone};
use crate::danger::danger_of;
use crate::events::Severity;
use crate::rules::is_name;
use core::fmt;
use core::net::SocketAddr;
use serde::{Deserialize, Serialize};
use wire::{Mac, SecureOn};

/// Most jobs.
pub const JOBS_MAX: usize = 500;
/// Most instances that wait.
pub const PENDING_MAX: usize = 1_000;
/// Most instances of one job that wait.
pub const PENDING_OF_JOB_MAX: usize = 100;
/// Longest delay or period, s: 30 days.
pub const DELAY_MAX_S: u32 = 30 * 86_400;
/// Most repetitions.
pub const REPEAT_MAX: u16 = 1_000;
/// Attempts before a job is given up: with the pauses between them about half
/// an hour.
pub const ATTEMPTS_MAX: u32 = 10;
/// Longest text that a job says, bytes.
const TEXT_MAX: usize = 300;
/// Longest name of a target, command or plugin, bytes.
const WORD_MAX: usize = 96;

/// A job as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// What it is called: 1 … 40 of `a–z 0–9 -`.
    pub name: String,
    /// Which events start it.
    pub when: When,
    /// So long after the event, s.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub delay_s: u32,
    /// Again, and how often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<Repeat>,
    /// Looked at when it is due: what is over by then is not done, nor
    /// repeated any more.
    #[serde(default)]
    pub only_if_still_true: bool,
    /// Of the events that come within this time of the one that started it, none
    /// starts it again, s. A job that follows does not forget them: it is taken
    /// back when the last of what they say is over; and when what started it is
    /// over already, it is done once more at the end of that time.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub coalesce_s: u32,
    /// What is done.
    pub action: Action,
    /// What is done when it is over, if the action was begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Action>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// How often something is done again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repeat {
    /// How often in all, 2 … 1000.
    pub times: u16,
    /// Time from one to the next, 1 s … 30 days.
    pub every_s: u32,
}

/// What can be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Action {
    /// Write it into the log.
    Log {
        /// What; a text with places for values.
        text: String,
        /// How bad it is.
        #[serde(default = "info")]
        severity: Severity,
    },
    /// Switch an output that no breaker uses.
    Output {
        /// Device, counted from 1.
        device: u16,
        /// Its output, counted from 1.
        output: u8,
        /// On or off.
        on: bool,
    },
    /// Pick the general alarm relay up, or let it drop by hand.
    AlarmRelay {
        /// True: picked up.
        healthy: bool,
    },
    /// Silence the buzzer until something new happens.
    Mute {},
    /// Sound the buzzer of the box and let its lamp blink, for what is no alarm:
    /// until the time is over, somebody mutes it, or a signal of 0 seconds ends
    /// it, as a counter-job does. While an alarm stands both are protection's.
    Signal {
        /// How it sounds: `silent`, `slow`, `rare`, `steady`.
        #[serde(default)]
        tone: Tone,
        /// The lamp blinks.
        #[serde(default = "yes")]
        lamp: bool,
        /// For how long, s, 1 … 3600; 0 ends it.
        seconds: u16,
    },
    /// Let the lamp of a module or device blink.
    Lamp {
        /// The bus, counted from 1.
        bus: u8,
        /// The address.
        address: u16,
        /// For how long, s, 0 … 250.
        seconds: u8,
    },
    /// Tell a device or the appliance something.
    Command {
        /// Subtree of the device: `ups.0`, `string.1`, `guard`.
        target: String,
        /// NUT's name: `shutdown.return`.
        command: String,
        /// What it takes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<String>,
    },
    /// Have a notifier plugin tell it.
    Notify {
        /// Its id.
        plugin: String,
        /// What it is told instead of the event in words; a text with places for
        /// values.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
    },
    /// Send it to a web server, signed ([`wire`]).
    Webhook {
        /// What the web server is called here.
        to: String,
        /// What it is told instead of the event in words; a text with places for
        /// values.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
    },
    /// Wake a machine that sleeps ([`wire::magic_packet`]), three times.
    WakeOnLan {
        /// Its network card.
        mac: Mac,
        /// Where the packet goes: broadcast address and port.
        #[serde(default = "broadcast")]
        to: SocketAddr,
        /// What a card with SecureOn wants, 4 or 6 bytes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        secure_on: Option<SecureOn>,
    },
    /// Begin a run order.
    Sequence {
        /// Its name.
        sequence: String,
    },
}

const fn yes() -> bool {
    true
}

const fn info() -> Severity {
    Severity::Info
}

fn broadcast() -> SocketAddr {
    SocketAddr::from(([255, 255, 255, 255], 9))
}

/// What a dangerous action is called when it is confirmed, and what it does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Danger {
    /// The word that confirms it: `ups.0:shutdown.return`, `device.3:output.1`.
    pub name: String,
    /// What it does.
    pub what: &'static str,
}

impl Action {
    /// How it can hurt; `None` when it is harmless.
    #[must_use]
    pub fn danger(&self) -> Option<Danger> {
        match self {
            Self::Command { target, command, .. } => {
                danger_of(command).map(|what| Danger { name: format!("{target}:{command}"), what })
            }
            Self::Output { device, output, .. } => Some(Danger {
                name: format!("device.{device}:output.{output}"),
                what: "switches whatever hangs on that output",
            }),
            _ => None,
        }
    }

    /// The text of the user's own that it says or sends.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Log { text, .. } => Some(text),
            Self::Notify { text, .. } | Self::Webhook { text, .. } => text.as_deref(),
            _ => None,
        }
    }

    /// As the log may tell it: without the password of a network card.
    #[must_use]
    pub fn without_secrets(self) -> Self {
        match self {
            Self::WakeOnLan { mac, to, .. } => Self::WakeOnLan { mac, to, secure_on: None },
            other => other,
        }
    }

    /// Whether it leaves something in a state, which is the same whatever it was
    /// done for; the others tell somebody something about one event.
    #[must_use]
    pub const fn sets_state(&self) -> bool {
        !matches!(self, Self::Log { .. } | Self::Notify { .. } | Self::Webhook { .. })
    }

    /// Whether it tells somebody outside, who may be told twice.
    #[must_use]
    pub const fn is_message(&self) -> bool {
        matches!(self, Self::Notify { .. } | Self::Webhook { .. })
    }

    /// Whether it may be done again when nobody knows whether it was done.
    #[must_use]
    pub const fn may_be_repeated(&self) -> bool {
        !matches!(self, Self::Command { .. })
    }

    /// The order to the guard that it is, if it is one.
    #[must_use]
    pub const fn order(&self) -> Option<Order> {
        match *self {
            Self::Output { device, output, on } => Some(Order::Output { device, output, on }),
            Self::AlarmRelay { healthy } => Some(Order::AlarmRelay { healthy }),
            Self::Mute {} => Some(Order::Mute),
            Self::Signal { tone, lamp, seconds } => Some(Order::Signal { tone, lamp, seconds }),
            Self::Lamp { bus, address, seconds } => Some(Order::Locate { bus, address, seconds }),
            _ => None,
        }
    }

    fn check(&self, sequences: &[Sequence]) -> Result<(), String> {
        let word = |text: &str| {
            (1..=WORD_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
        };
        let said = |text: &String| {
            (1..=TEXT_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
        };
        let good = match self {
            Self::Log { text, .. } => said(text),
            Self::Command { target, command, value } => {
                let fits = |v: &String| v.len() <= TEXT_MAX && !v.chars().any(char::is_control);
                word(target) && word(command) && value.as_ref().is_none_or(fits)
            }
            Self::Notify { plugin: name, text } | Self::Webhook { to: name, text } => {
                word(name) && text.as_ref().is_none_or(said)
            }
            Self::Lamp { seconds, .. } => *seconds <= crate::command::LOCATE_MAX_S,
            Self::Signal { seconds, .. } => *seconds <= crate::command::SIGNAL_MAX_S,
            Self::Sequence { sequence } => {
                let known = sequences.iter().any(|known| known.name == *sequence);
                return known.then_some(()).ok_or(format!("there is no sequence {sequence:?}"));
            }
            _ => true,
        };
        good.then_some(()).ok_or_else(|| format!("{self} has a text or number that is too long"))
    }
}

/// The action in words, to follow "failed to".
impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log { text, .. } => write!(f, "log {text:?}"),
            Self::Output { device, output, on } => {
                let on = if *on { "on" } else { "off" };
                write!(f, "switch output {output} of device {device} {on}")
            }
            Self::AlarmRelay { healthy: true } => f.write_str("pick the alarm relay up"),
            Self::AlarmRelay { healthy: false } => f.write_str("let the alarm relay drop"),
            Self::Mute {} => f.write_str("mute the buzzer"),
            Self::Signal { seconds: 0, .. } => f.write_str("end the signal of the box"),
            Self::Signal { tone: Tone::Silent, seconds, .. } => {
                write!(f, "let the lamp of the box blink for {seconds} s")
            }
            Self::Signal { seconds, .. } => write!(f, "sound the buzzer for {seconds} s"),
            Self::Lamp { bus, address, .. } => {
                write!(f, "light the lamp of address {address} on bus {bus}")
            }
            Self::Command { target, command, value } => {
                write!(f, "tell {target}: {command}")?;
                value.iter().try_for_each(|value| write!(f, " {value}"))
            }
            Self::Notify { plugin, .. } => write!(f, "tell {plugin}"),
            Self::Webhook { to, .. } => write!(f, "send it to {to}"),
            Self::WakeOnLan { mac, to, .. } => write!(f, "wake {mac} at {to}"),
            Self::Sequence { sequence } => write!(f, "begin the run order {sequence}"),
        }
    }
}

impl Job {
    /// Say what is impossible.
    ///
    /// # Errors
    /// In words, without the job's name.
    pub fn check(&self, sequences: &[Sequence]) -> Result<(), String> {
        if !is_name(&self.name) {
            return Err("a name has 1 to 40 of a-z, 0-9, '-'".into());
        }
        self.when.check()?;
        if self.delay_s > DELAY_MAX_S || self.coalesce_s > DELAY_MAX_S {
            return Err(format!("delay_s and coalesce_s are 0 to {DELAY_MAX_S}"));
        }
        if let Some(Repeat { times, every_s }) = self.repeat {
            let good = (2..=REPEAT_MAX).contains(&times) && (1..=DELAY_MAX_S).contains(&every_s);
            if !good {
                return Err(format!(
                    "repeat has times 2 to {REPEAT_MAX}, every_s 1 to {DELAY_MAX_S}"
                ));
            }
        }
        if matches!(self.undo, Some(Action::Sequence { .. })) {
            return Err("undo cannot be a sequence; give its steps an undo each".into());
        }
        if self.follows() {
            self.when.check_lasting().map_err(|problem| {
                format!("undo and only_if_still_true need an event that lasts, and {problem}")
            })?;
        }
        self.action.check(sequences)?;
        self.undo.as_ref().map_or(Ok(()), |undo| undo.check(sequences))
    }

    /// Whether it asks if what began it is still so.
    #[must_use]
    pub const fn follows(&self) -> bool {
        self.only_if_still_true || self.undo.is_some()
    }

    /// Everything that it may do.
    pub fn actions(&self) -> impl Iterator<Item = &Action> {
        std::iter::once(&self.action).chain(&self.undo)
    }
}

#[cfg(test)]
mod tests;
