//! Requests to the guard over its local socket, and its answers.
//!
//! Each message is a `postcard` encoding behind its length as a little-endian
//! `u16`. The guard checks every request and acknowledges it; it never waits
//! for a client. After [`Request::Hello`] the process image's memory follows
//! as a file descriptor beside the answer (`SCM_RIGHTS`), sealed so that it
//! can be mapped for reading only.

use serde::{Deserialize, Serialize};

/// Version of this protocol; a guard answers only its own.
pub const VERSION: u16 = 5;
/// Longest encoded message: a chunk of a discharge record, or a welcome with
/// 32 names of 60 characters.
pub const MESSAGE_MAX: usize = 40 * 1024;
/// Longest pause of equalization, seconds (7 days).
pub const PAUSE_MAX_S: u32 = 7 * 24 * 3600;
/// Longest time that a lamp may say "here I am", seconds.
pub const LOCATE_MAX_S: u8 = 250;

/// Most bytes of settings in one [`Request::Offer`] or [`Answer::Settings`].
pub const PART_MAX: usize = 3 * 1024;

/// Longest time that a signal lasts, seconds: the guard ends it by itself.
pub const SIGNAL_MAX_S: u16 = 3_600;

/// How the buzzer sounds in a [`Order::Signal`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tone {
    /// Not at all.
    Silent,
    /// 2 s on, 2 s off.
    #[default]
    Slow,
    /// 1 s in every 10 s.
    Rare,
    /// Without a pause.
    Steady,
}

/// What a client may ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// First message: who are you, and where is the image?
    Hello {
        /// [`VERSION`] of the client.
        version: u16,
    },
    /// Do this; carried out in the next cycle.
    Order(Order),
    /// The text of the settings in force, without their seal, from this byte on.
    Settings {
        /// First byte wanted.
        from: u32,
    },
    /// A part of a text that may become the settings; see [`Request::Take`].
    Offer {
        /// Its place in the text; 0 begins anew.
        at: u32,
        /// At most [`PART_MAX`] bytes.
        bytes: Vec<u8>,
    },
    /// Check what was offered, seal it, keep it as the settings, and go on with
    /// it: every connection ends then, and the image has its number a cycle or
    /// two later. Refused unless [`Order::MakeWay`] would be done.
    Take(Taking),
}

/// What was offered, and instead of what it is to be in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taking {
    /// Check sum of the whole text: the number that its seal will have.
    pub crc: u32,
    /// Number of the settings that whoever offers has seen.
    pub instead_of: u32,
    /// An alarm stands, and somebody says that the settings are its cause.
    pub despite_alarm: bool,
}

/// Something that a person, or the daemon for one, wants done. Strings,
/// blocks, buses, devices and outputs are counted from 1, as people do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// Switch the bypasses of a string off for a while.
    Pause {
        /// The string.
        string: u16,
        /// 1 … [`PAUSE_MAX_S`].
        seconds: u32,
    },
    /// End a pause.
    Resume {
        /// The string.
        string: u16,
    },
    /// Let a tripped string be connected again: its cause is over, and its
    /// breaker may be closed by hand.
    Reset {
        /// The string.
        string: u16,
    },
    /// Silence the buzzer until something new happens.
    Mute,
    /// Put the general alarm relay: `false` lets it drop although nothing is
    /// wrong, until it is put back or an alarm comes and goes.
    AlarmRelay {
        /// Picked up (healthy) or dropped.
        healthy: bool,
    },
    /// Switch an output that no breaker uses (B9).
    Output {
        /// Device, in the settings' order.
        device: u16,
        /// Its output.
        output: u8,
        /// On or off.
        on: bool,
    },
    /// Let the lamp of a module or device say "here I am".
    Locate {
        /// The bus.
        bus: u8,
        /// Its address.
        address: u16,
        /// 1 … [`LOCATE_MAX_S`]; 0 ends it.
        seconds: u8,
    },
    /// Measure the internal resistance of a block as soon as it is allowed.
    Measure {
        /// The string.
        string: u16,
        /// The block.
        block: u16,
    },
    /// Begin a battery test of a string, if the rules allow one.
    Test {
        /// The string.
        string: u16,
    },
    /// End a battery test.
    StopTest {
        /// The string.
        string: u16,
    },
    /// Commissioning, see [`Commission`].
    Commission(Commission),
    /// Rows of the present or last discharge record of a string.
    Rows {
        /// The string.
        string: u16,
        /// First row wanted.
        from: u32,
    },
    /// Sound the buzzer and let the lamp of the box blink, for what is no alarm
    /// of protection. While an alarm stands, both are protection's; muting
    /// silences a signal, too; another signal takes the place of this one.
    Signal {
        /// How the buzzer sounds.
        tone: Tone,
        /// The lamp blinks, in the colour that it has.
        lamp: bool,
        /// 1 … [`SIGNAL_MAX_S`]; 0 ends it.
        seconds: u16,
    },
    /// Say whether other settings could take the place of these now; changes
    /// nothing. Refused while a battery is discharged or tested, a string is
    /// tripped, or somebody works on a bus.
    MakeWay {
        /// An alarm of a battery does not count.
        despite_alarm: bool,
    },
}

/// Work on the bus that needs a person beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Commission {
    /// Find every module and device, whatever its address.
    Discover {
        /// The bus.
        bus: u8,
    },
    /// Give out addresses by button press, one after the other.
    Address {
        /// The bus.
        bus: u8,
        /// First address.
        first: u16,
        /// How many.
        count: u16,
    },
    /// Give the address of a block whose module is gone to the new module
    /// whose button is pressed.
    Swap {
        /// The bus.
        bus: u8,
        /// The address.
        address: u16,
    },
    /// Find the place at which a line or ring is broken.
    LocateBreak {
        /// The bus.
        bus: u8,
    },
    /// End whatever of this is going on.
    Stop {
        /// The bus.
        bus: u8,
    },
}

/// Why an order is not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such string.
    #[error("there is no string {0}; the strings are 1 to {1}")]
    NoString(u16, u16),
    /// No such block.
    #[error("string {0} has no block {1}")]
    NoBlock(u16, u16),
    /// No such bus.
    #[error("there is no bus {0}")]
    NoBus(u8),
    /// No such device or output.
    #[error("there is no output {1} of device {0}")]
    NoOutput(u16, u8),
    /// A breaker's relay is nobody else's.
    #[error("output {1} of device {0} belongs to a breaker or to the alarms")]
    Reserved(u16, u8),
    /// A number is out of range.
    #[error("{what} is {low} to {high}, not {got}")]
    Range {
        /// Which.
        what: &'static str,
        /// Least.
        low: u32,
        /// Most.
        high: u32,
        /// What was asked for.
        got: u32,
    },
    /// The state does not allow it.
    #[error("{0}")]
    NotNow(&'static str),
    /// Nothing to tell.
    #[error("there is no discharge record of string {0}")]
    NoRecord(u16),
    /// More orders than a cycle takes.
    #[error("the guard is busy with other orders; try again in a second")]
    Busy,
}

/// The battery types of a string's blocks, in their order: a name and so many
/// blocks of it in a row.
pub type BatteryRuns = Vec<(String, u16)>;

/// Most bytes of battery types in a welcome.
const BATTERIES_MAX: usize = 16 * 1024;

/// The battery types of all strings for a welcome; strings behind those that
/// fill it have none.
#[must_use]
pub fn battery_runs(strings: &[crate::settings::StringSettings]) -> Vec<BatteryRuns> {
    let mut room = BATTERIES_MAX;
    let runs = strings.iter().map(|string| {
        let runs: BatteryRuns =
            string.runs().into_iter().map(|run| (run.battery, run.blocks)).collect();
        let bytes: usize = runs.iter().map(|(name, _)| name.len() + 8).sum();
        room = room.saturating_sub(bytes);
        if room == 0 { Vec::new() } else { runs }
    });
    runs.collect()
}

/// What the guard answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// To [`Request::Hello`]; the image's file descriptor comes with it.
    Welcome {
        /// [`VERSION`] of the guard.
        version: u16,
        /// Names of the strings, in the image's order.
        strings: Vec<String>,
        /// Names of the devices, in the image's order.
        devices: Vec<String>,
        /// Per string: the battery types of its blocks, in their order.
        batteries: Vec<BatteryRuns>,
    },
    /// Done.
    Done,
    /// To [`Order::Rows`]: `postcard` of [`crate::discharge::Chunk`].
    Rows(Vec<u8>),
    /// To [`Request::Settings`].
    Settings {
        /// Their number.
        crc: u32,
        /// Length of the whole text.
        len: u32,
        /// At most [`PART_MAX`] bytes of it.
        bytes: Vec<u8>,
        /// Why the file is not in force, but the last good settings are.
        fallback: Option<String>,
    },
    /// Not done, and why.
    Refused(String),
}

/// Why bytes are not a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Longer than [`MESSAGE_MAX`].
    #[error("message of {0} bytes; {MESSAGE_MAX} are possible")]
    TooLong(usize),
    /// Not a message of this version.
    #[error("not a message of protocol version {VERSION}")]
    Malformed,
}

/// Encode with the length in front.
///
/// # Errors
/// [`CodecError::TooLong`] when it exceeds [`MESSAGE_MAX`].
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, CodecError> {
    let body = postcard::to_allocvec(message).map_err(|_| CodecError::Malformed)?;
    if body.len() > MESSAGE_MAX {
        return Err(CodecError::TooLong(body.len()));
    }
    let mut bytes = (body.len() as u16).to_le_bytes().to_vec();
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

/// Length of the body behind these two length bytes.
///
/// # Errors
/// [`CodecError::TooLong`] when it exceeds [`MESSAGE_MAX`].
pub fn body_len(prefix: [u8; 2]) -> Result<usize, CodecError> {
    let len = usize::from(u16::from_le_bytes(prefix));
    if len > MESSAGE_MAX { Err(CodecError::TooLong(len)) } else { Ok(len) }
}

/// Decode a body.
///
/// # Errors
/// [`CodecError::Malformed`] unless the body is exactly one message.
pub fn decode<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, CodecError> {
    match postcard::take_from_bytes(body) {
        Ok((message, [])) => Ok(message),
        _ => Err(CodecError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn messages_come_back() {
        for request in [
            Request::Hello { version: VERSION },
            Request::Order(Order::Pause { string: 2, seconds: 3_600 }),
            Request::Order(Order::Commission(Commission::Swap { bus: 1, address: 17 })),
            Request::Order(Order::Signal { tone: Tone::Rare, lamp: true, seconds: 600 }),
            Request::Offer { at: 3_072, bytes: vec![0xFF; PART_MAX] },
            Request::Take(Taking { crc: 7, instead_of: 8, despite_alarm: true }),
        ] {
            let bytes = encode(&request).expect("short message");
            let (prefix, body) = bytes.split_first_chunk::<2>().expect("a prefix");
            assert_eq!(body_len(*prefix), Ok(body.len()));
            assert_eq!(decode::<Request>(body), Ok(request));
        }
    }

    #[test]
    fn the_longest_names_fit_a_welcome() {
        let strings = vec!["\u{1F50B}".repeat(60); crate::image::STRINGS_MAX];
        let devices = vec!["D".repeat(20); crate::settings::DEVICES_MAX];
        // As full as `battery_runs` makes it: the names, and 8 bytes for each.
        let batteries = vec![vec![("\u{1F50B}".repeat(60), 32)]; BATTERIES_MAX / 248];
        let welcome = Answer::Welcome { version: VERSION, strings, devices, batteries };
        assert!(encode(&welcome).is_ok());
    }

    #[test]
    fn trailing_bytes_and_long_messages_are_refused() {
        assert_eq!(decode::<Request>(&[2, 1, 0]), Err(CodecError::Malformed));
        assert_eq!(body_len([0xFF, 0xFF]), Err(CodecError::TooLong(65_535)));
        let long = Answer::Refused("x".repeat(MESSAGE_MAX + 1));
        assert!(matches!(encode(&long), Err(CodecError::TooLong(_))));
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode::<Request>(&bytes);
            let _ = decode::<Answer>(&bytes);
        }
    }
}
