//! Asking one request on an open line, and telling the device one command.

use super::chain;
use crate::host::{Level, Port, PortError, ReplyEnd};
use crate::table::{Command, CommandError, Kept, More, Reading, ReplyError, Request, Step, decode};

/// Why a request brought no values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AskError {
    /// The line cannot be opened.
    Open {
        /// Its logical name.
        name: &'static str,
        /// What the host said.
        source: PortError,
    },
    /// The line or the host failed.
    Port {
        /// [`Request::name`].
        request: &'static str,
        /// What the host said.
        source: PortError,
    },
    /// Every reply was damaged.
    Reply {
        /// [`Request::name`].
        request: &'static str,
        /// What was wrong with the last one.
        source: ReplyError,
    },
    /// The device does not know the question.
    Refused {
        /// [`Request::name`].
        request: &'static str,
    },
    /// The device does not wake up.
    Wake {
        /// What happened.
        source: CommandError,
    },
    /// The device answered, and the host did not take the values.
    Publish {
        /// The host's words.
        reason: String,
    },
}

impl std::fmt::Display for AskError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Open { name, .. } => write!(f, "cannot open the serial line {name:?}"),
            Self::Port { request, .. } => write!(f, "no reply to the {request} request"),
            Self::Reply { request, .. } => write!(f, "no usable reply to the {request} request"),
            Self::Refused { request } => write!(f, "the device refuses the {request} request"),
            Self::Wake { .. } => f.write_str("the device does not wake up"),
            Self::Publish { reason } => write!(f, "the host refuses the values: {reason}"),
        }
    }
}

impl std::error::Error for AskError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Open { source, .. } | Self::Port { source, .. } => Some(source),
            Self::Reply { source, .. } => Some(source),
            Self::Wake { source } => Some(source),
            Self::Refused { .. } | Self::Publish { .. } => None,
        }
    }
}

/// Asks requests on an open line.
pub struct Asker<'a> {
    pub(super) port: &'a mut dyn Port,
    pub(super) is_refusal: fn(&Request, &[u8]) -> bool,
    pub(super) notes: Vec<(Level, String)>,
}

impl Asker<'_> {
    /// Ask until a sound reply comes, at most [`Request::tries`] times.
    ///
    /// # Errors
    /// [`AskError`] of the last try. A refusal or a failure that is not the
    /// line's ends the tries at once.
    pub fn ask(&mut self, request: &Request) -> Result<(Vec<u8>, Reading), AskError> {
        let mut last = AskError::Refused { request: request.name };
        for _ in 0..request.tries.max(1) {
            match self.ask_once(request) {
                Err(AskError::Port { source, .. }) if source.is_line_fault() => {
                    last = AskError::Port { request: request.name, source };
                }
                Err(error @ AskError::Reply { .. }) => last = error,
                done => return done,
            }
        }
        Err(last)
    }

    /// The line itself, for what rows cannot say.
    pub fn port(&mut self) -> &mut dyn Port {
        self.port
    }

    /// Remember a message for the log.
    pub fn note(&mut self, level: Level, message: String) {
        self.notes.push((level, message));
    }

    pub(super) fn note_absence(&mut self, error: &AskError) {
        self.note(Level::Info, format!("going on without it: {}", chain(error)));
    }

    fn ask_once(&mut self, request: &Request) -> Result<(Vec<u8>, Reading), AskError> {
        let reply = self
            .exchange(request)
            .map_err(|source| AskError::Port { request: request.name, source })?;
        if (self.is_refusal)(request, &reply) {
            return Err(AskError::Refused { request: request.name });
        }
        match decode(request, &reply) {
            Ok(reading) => Ok((reply, reading)),
            Err(source) => Err(AskError::Reply { request: request.name, source }),
        }
    }

    /// Send the request and read all parts of its reply.
    fn exchange(&mut self, request: &Request) -> Result<Vec<u8>, PortError> {
        let Request { end, max, timeout_ms, more, .. } = *request;
        let mut reply = self.port.transact(&request.bytes(), end, max, timeout_ms)?;
        let (parts, last) = match more {
            More::None => (0, None),
            More::Parts(parts) => (parts, None),
            More::Until(beginning) => (u8::MAX, Some(beginning)),
        };
        let is_last = |part: &[u8]| last.is_some_and(|beginning| part.starts_with(beginning));
        let mut complete = is_last(&reply);
        for _ in 0..parts {
            let left = max.saturating_sub(reply.len() as u32);
            if complete || left == 0 {
                break;
            }
            let part = self.port.read_frame(end, left, timeout_ms)?;
            complete = is_last(&part);
            reply.extend_from_slice(&part);
        }
        Ok(reply)
    }
}

/// Longest acknowledgement of a command, in bytes.
const ACK_MAX: u32 = 256;
/// Longest pause after a step.
const PAUSE_MS_MAX: u32 = 30_000;

/// Send the steps of a command and look at what comes back.
pub(super) fn carry_out(
    port: &mut dyn Port,
    command: &Command,
    steps: &[Step],
    value: Option<&str>,
    kept: &Kept,
) -> Result<(), CommandError> {
    let number = command.check(value)?;
    for step in steps {
        let bytes = command.bytes(step, number, value, kept);
        tell(port, step, &bytes)?;
    }
    Ok(())
}

/// Send the steps that wake a device up.
pub(super) fn wake(port: &mut dyn Port, steps: &[Step]) -> Result<(), AskError> {
    const WAKE: Command = Command::send("wake", "", &[]);
    for step in steps {
        let bytes = WAKE.bytes(step, 0, None, &Kept::default());
        tell(port, step, &bytes).map_err(|source| AskError::Wake { source })?;
    }
    Ok(())
}

fn tell(port: &mut dyn Port, step: &Step, bytes: &[u8]) -> Result<(), CommandError> {
    let ack = &step.ack;
    match port.transact(bytes, ack.end, ACK_MAX, ack.timeout_ms) {
        Ok(reply) if ack.is_yes(&reply) => {}
        Ok(reply) => return Err(no(&reply)),
        Err(error) if error.code == PortError::TIMEOUT && error.partial.is_empty() => {
            if !ack.silence {
                return Err(CommandError::Lost("the device does not acknowledge it".to_owned()));
            }
        }
        Err(error) if error.is_line_fault() => return Err(no(&error.partial)),
        Err(error) => return Err(CommandError::Lost(error.detail)),
    }
    if step.pause_ms > 0 {
        // Listening to nothing: a pause that needs no clock. It ends with a
        // time-out; anything else that it says is of no interest.
        let quiet = step.pause_ms.min(PAUSE_MS_MAX);
        let _ = port.transact(&[], ReplyEnd::Length(4096), 4096, quiet);
    }
    Ok(())
}

fn no(reply: &[u8]) -> CommandError {
    CommandError::Refused(format!("the device answers \"{}\"", reply.escape_ascii()))
}
