//! Reading a case folder; the format is described in [`super`].

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::notation::{Pattern, Reply, bytes, hex};
use crate::CommandError;
use crate::host::{Quality, Transport, Update, Value};

/// A recorded exchange and what a driver must make of it.
#[derive(Clone, Debug)]
pub struct Case {
    /// Name of the folder.
    pub name: String,
    /// Settings that the driver is started with.
    pub settings: Vec<(String, String)>,
    /// How the device is reached.
    pub way: Way,
    /// What must come out.
    pub expected: Expected,
    /// Commands and their outcomes.
    pub tellings: Vec<Telling>,
    pub(super) exchanges: Vec<Exchange>,
}

/// How the device of a case is reached.
#[derive(Clone, Debug, PartialEq)]
pub enum Way {
    /// A serial line.
    Serial,
    /// A peer on the network.
    Peer {
        /// Its logical name.
        endpoint: String,
        /// How it is reached.
        transport: Transport,
    },
    /// A USB-HID device.
    Hid {
        /// Its logical name.
        name: String,
        /// Vendor id, product id.
        ids: (u16, u16),
        /// Its report descriptor.
        descriptor: Vec<u8>,
    },
    /// Contacts and signals of the guard's devices.
    Contacts {
        /// Inputs; true is closed.
        levels: BTreeMap<String, bool>,
        /// Outputs that may be switched.
        relays: BTreeMap<String, bool>,
        /// Analogue inputs.
        signals: BTreeMap<String, f64>,
    },
}

/// What a driver must make of a case.
#[derive(Clone, Debug)]
pub enum Expected {
    /// These points, spelt as in the file, by name.
    Points(BTreeMap<String, String>),
    /// `start` refuses the settings with a sentence that contains this.
    Refused(String),
    /// The device is lost for a reason that contains this.
    Lost(String),
}

/// A command of a case.
#[derive(Clone, Debug)]
pub struct Telling {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Option<String>,
    /// What must come of it.
    pub outcome: Outcome,
}

/// What must come of a command: `accepted`, or the kind of refusal and a part of
/// its text.
#[derive(Clone, Debug)]
pub struct Outcome {
    kind: String,
    part: String,
}

impl Outcome {
    pub(super) fn is_accepted(&self) -> bool {
        self.kind == "accepted"
    }

    pub(super) fn is(&self, result: &Result<(), CommandError>) -> bool {
        let (kind, text) = match result {
            Ok(()) => ("accepted", ""),
            Err(CommandError::Unknown) => ("unknown", ""),
            Err(CommandError::Invalid(text)) => ("invalid", text.as_str()),
            Err(CommandError::Refused(text)) => ("refused", text.as_str()),
            Err(CommandError::Lost(text)) => ("lost", text.as_str()),
        };
        kind == self.kind && text.contains(&self.part)
    }
}

/// What is asked or told, and the replies to each time; `None` is silence.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    pub(super) asked: Asked,
    pub(super) replies: Vec<Option<Reply>>,
}

/// What is asked or told, in the words of the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Bytes on a line, a stream or in a datagram.
    Bytes(Pattern),
    /// Nothing: reports that a USB device sends by itself, all of them at each poll.
    Input,
    /// A feature report of a USB device.
    Feature(u8),
    /// An output report is sent; the replies are the input reports that answer it.
    Write(Vec<u8>),
    /// A feature report is sent.
    Set(Vec<u8>),
    /// An output is switched: true is closed.
    Switch(String, bool),
}

/// Why a case cannot be read.
#[derive(Debug)]
pub enum CaseError {
    /// A file or folder cannot be read.
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line does not follow the format.
    Line {
        /// In which file.
        path: PathBuf,
        /// Which line, counted from 1; 0 for the whole file.
        number: usize,
        /// What is wrong.
        what: &'static str,
    },
}

impl fmt::Display for CaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, source } => write!(f, "cannot read {}: {source}", path.display()),
            Self::Line { path, number, what } => write!(f, "{}:{number}: {what}", path.display()),
        }
    }
}

impl std::error::Error for CaseError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::File { source, .. } => Some(source),
            Self::Line { .. } => None,
        }
    }
}

impl Case {
    /// Read every case in `folder`, in the order of their names.
    ///
    /// # Errors
    /// [`CaseError`] names the file and line.
    pub fn load_all(folder: &Path) -> Result<Vec<Self>, CaseError> {
        let cannot = |source| CaseError::File { path: folder.to_owned(), source };
        let mut folders = Vec::new();
        for entry in fs::read_dir(folder).map_err(cannot)? {
            let path = entry.map_err(cannot)?.path();
            if path.is_dir() {
                folders.push(path);
            }
        }
        folders.sort();
        folders.iter().map(|path| Self::load(path)).collect()
    }

    /// Read one case folder.
    ///
    /// # Errors
    /// [`CaseError`] names the file and line.
    pub fn load(folder: &Path) -> Result<Self, CaseError> {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let path = folder.join("exchange.txt");
        let mut case =
            Self::parse(&name, &read(&path)?, read_expected(folder)?).map_err(|e| match e {
                CaseError::Line { number, what, .. } => CaseError::Line { path, number, what },
                file => file,
            })?;
        case.tellings = read_tellings(&folder.join("expected.commands"))?;
        Ok(case)
    }

    /// The case that `exchange`, an exchange.txt, describes; without commands.
    ///
    /// # Errors
    /// [`CaseError`] names the line.
    pub(super) fn parse(name: &str, exchange: &str, expected: Expected) -> Result<Self, CaseError> {
        let mut case = Self {
            name: name.to_owned(),
            settings: Vec::new(),
            way: Way::Serial,
            expected,
            tellings: Vec::new(),
            exchanges: Vec::new(),
        };
        for (at, (number, line)) in meaningful(exchange).enumerate() {
            case.take_line(line, at == 0).map_err(|what| CaseError::Line {
                path: name.into(),
                number,
                what,
            })?;
        }
        Ok(case)
    }

    /// Each question with its first reply, where it has one.
    pub(super) fn sound_replies(&self) -> impl Iterator<Item = (&Asked, &Reply)> {
        self.exchanges.iter().filter_map(|exchange| {
            let reply = exchange.replies.first()?.as_ref()?;
            Some((&exchange.asked, reply))
        })
    }

    fn take_line(&mut self, line: &str, is_first: bool) -> Result<(), &'static str> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim();
        match word {
            "over" if is_first => self.way = read_way(rest)?,
            "over" => return Err("`over` is the first line"),
            "set" => {
                let (name, value) = rest.split_once('=').ok_or("expected `set name = value`")?;
                self.settings.push((name.trim().to_owned(), value.trim().to_owned()));
            }
            "descriptor" => match &mut self.way {
                Way::Hid { descriptor, .. } => *descriptor = bytes(rest)?,
                _ => return Err("a descriptor is that of a USB device: `over hid NAME IDS`"),
            },
            "contact" | "relay" | "signal" => self.take_level(word, rest)?,
            ">" => {
                let asked = read_asked(&self.way, rest)?;
                self.exchanges.push(Exchange { asked, replies: Vec::new() });
            }
            "<" => self.exchanges.last_mut().ok_or("a reply before any request")?.take(rest)?,
            _ => {
                return Err("expected `over`, `set`, `descriptor`, `contact`, `relay`, `signal`, \
                            `>` or `<`");
            }
        }
        Ok(())
    }

    fn take_level(&mut self, word: &str, rest: &str) -> Result<(), &'static str> {
        let Way::Contacts { levels, relays, signals } = &mut self.way else {
            return Err("contacts, relays and signals are used `over contacts`");
        };
        let (name, level) = rest.split_once(' ').ok_or("expected a name and what is read")?;
        let (name, level) = (name.to_owned(), level.trim());
        if word == "signal" {
            signals.insert(name, level.parse().map_err(|_| "a signal is a number")?);
        } else {
            let side = if word == "relay" { relays } else { levels };
            side.insert(name, read_level(level)?);
        }
        Ok(())
    }
}

impl Exchange {
    /// One reply more.
    fn take(&mut self, reply: &str) -> Result<(), &'static str> {
        let request = match &self.asked {
            Asked::Bytes(request) => Some(request),
            Asked::Input | Asked::Write(_) => None,
            Asked::Feature(_) if self.replies.is_empty() => None,
            Asked::Feature(_) => return Err("a feature report has one value"),
            Asked::Set(_) | Asked::Switch(..) => {
                return Err("what is only told has no reply");
            }
        };
        let reply = match (reply, request) {
            ("silence", Some(_)) => None,
            ("silence", None) => return Err("leave a report out; silence is for bytes"),
            _ => Some(Reply::read(reply, request)?),
        };
        self.replies.push(reply);
        Ok(())
    }
}

/// What stands behind `over`.
fn read_way(text: &str) -> Result<Way, &'static str> {
    let words: Vec<_> = text.split_whitespace().collect();
    let peer = |endpoint: &str, transport| Way::Peer { endpoint: endpoint.to_owned(), transport };
    match words[..] {
        ["serial"] => Ok(Way::Serial),
        ["udp", endpoint] => Ok(peer(endpoint, Transport::Udp)),
        ["tcp", endpoint] => Ok(peer(endpoint, Transport::Tcp)),
        ["tls", endpoint] => Ok(peer(endpoint, Transport::Tls)),
        ["hid", name, ids] => {
            let id = |digits| u16::from_str_radix(digits, 16).ok();
            let ids = ids.split_once(':').and_then(|(v, p)| Some((id(v)?, id(p)?)));
            let ids = ids.ok_or("the ids are vendor:product in hexadecimal, 051d:0002")?;
            Ok(Way::Hid { name: name.to_owned(), ids, descriptor: Vec::new() })
        }
        ["contacts"] => Ok(Way::Contacts {
            levels: BTreeMap::new(),
            relays: BTreeMap::new(),
            signals: BTreeMap::new(),
        }),
        _ => Err("expected `over serial`, `over tcp NAME` (udp, tls), `over hid NAME IDS` or \
                  `over contacts`"),
    }
}

/// What stands behind `>`.
fn read_asked(way: &Way, text: &str) -> Result<Asked, &'static str> {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    match way {
        Way::Serial | Way::Peer { .. } => Pattern::read(text).map(Asked::Bytes),
        Way::Hid { .. } => match word {
            "input" if rest.is_empty() => Ok(Asked::Input),
            "feature" => hex(rest.trim()).map(Asked::Feature),
            "write" => bytes(rest).map(Asked::Write),
            "set" => bytes(rest).map(Asked::Set),
            _ => Err("expected `input`, `feature ID`, `write REPORT` or `set REPORT`"),
        },
        Way::Contacts { .. } => match rest.split_once(' ') {
            Some((name, level)) if word == "switch" => {
                Ok(Asked::Switch(name.to_owned(), read_level(level.trim())?))
            }
            _ => Err("expected `switch NAME open` or `switch NAME closed`"),
        },
    }
}

fn read_level(word: &str) -> Result<bool, &'static str> {
    let level = [false, true].into_iter().find(|closed| write_level(*closed) == word);
    level.ok_or("a contact is open or closed")
}

/// A level as a line of exchange.txt has it.
pub(super) const fn write_level(closed: bool) -> &'static str {
    if closed { "closed" } else { "open" }
}

/// `update` as a line of expected.points has it, without the name.
#[must_use]
pub fn spell(update: &Update) -> String {
    let mut text = match &update.value {
        Value::Number(number) => number.to_string(),
        Value::Text(text) => format!("{text:?}"),
        Value::Flag(flag) => flag.to_string(),
    };
    for word in [update.unit, quality_word(update.quality)] {
        if !word.is_empty() {
            text.push(' ');
            text.push_str(word);
        }
    }
    text
}

fn quality_word(quality: Quality) -> &'static str {
    match quality {
        Quality::Good => "",
        Quality::Estimated => "estimated",
        Quality::Bad => "bad",
    }
}

fn read_expected(folder: &Path) -> Result<Expected, CaseError> {
    let path = folder.join("expected.err");
    if !path.exists() {
        return read_points(&folder.join("expected.points")).map(Expected::Points);
    }
    let text = read(&path)?;
    let text = text.trim();
    match text.split_once(": ") {
        Some(("start", part)) => Ok(Expected::Refused(part.to_owned())),
        Some(("lost", part)) => Ok(Expected::Lost(part.to_owned())),
        _ => Err(CaseError::Line { path, number: 0, what: "expected `start: …` or `lost: …`" }),
    }
}

fn read_points(path: &Path) -> Result<BTreeMap<String, String>, CaseError> {
    points(path, &read(path)?)
}

/// The points that `text`, an expected.points, lists.
pub(super) fn points(path: &Path, text: &str) -> Result<BTreeMap<String, String>, CaseError> {
    let mut points = BTreeMap::new();
    for (number, line) in meaningful(text) {
        let wrong = |what| CaseError::Line { path: path.to_owned(), number, what };
        let (name, value) =
            line.split_once(" = ").ok_or_else(|| wrong("expected `name = value`"))?;
        if points.insert(name.to_owned(), value.to_owned()).is_some() {
            return Err(wrong("this point is listed twice"));
        }
    }
    Ok(points)
}

fn read_tellings(path: &Path) -> Result<Vec<Telling>, CaseError> {
    match path.exists() {
        true => tellings(path, &read(path)?),
        false => Ok(Vec::new()),
    }
}

/// The commands that `text`, an expected.commands, lists.
pub(super) fn tellings(path: &Path, text: &str) -> Result<Vec<Telling>, CaseError> {
    const KINDS: [&str; 5] = ["accepted", "refused", "invalid", "lost", "unknown"];
    let mut tellings = Vec::new();
    for (number, line) in meaningful(text) {
        let wrong = |what| CaseError::Line { path: path.to_owned(), number, what };
        let (command, outcome) =
            line.split_once(" = ").ok_or_else(|| wrong("expected `name [value] = outcome`"))?;
        let (kind, part) = outcome.trim().split_once(' ').unwrap_or((outcome.trim(), ""));
        if !KINDS.contains(&kind) {
            return Err(wrong("the outcome is accepted, refused, invalid, lost or unknown"));
        }
        let (name, value) = match command.trim().split_once(' ') {
            Some((name, value)) => (name, Some(value.trim().to_owned())),
            None => (command.trim(), None),
        };
        let outcome = Outcome { kind: kind.to_owned(), part: part.trim().to_owned() };
        tellings.push(Telling { name: name.to_owned(), value, outcome });
    }
    Ok(tellings)
}

fn read(path: &Path) -> Result<String, CaseError> {
    fs::read_to_string(path).map_err(|source| CaseError::File { path: path.to_owned(), source })
}

/// Lines with their numbers, without comments and empty ones.
fn meaningful(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_spelt_one_way() {
        assert_eq!(spell(&Update::text("ups.status", "OL")), "\"OL\"");
        assert_eq!(spell(&Update::estimate("battery.charge", 73.0, "%")), "73 % estimated");
    }

    fn parsed(exchange: &str) -> Result<Case, CaseError> {
        Case::parse("case", exchange, Expected::Points(BTreeMap::new()))
    }

    #[test]
    fn each_way_has_its_words() {
        let modbus = "over tcp meter\n> xx 01\n< xx [02 03]\n";
        assert_eq!(
            parsed(modbus).unwrap().way,
            Way::Peer { endpoint: "meter".into(), transport: Transport::Tcp }
        );
        let hid = "over hid ups 051d:0002\ndescriptor 05 84\n> feature 0c\n< 0c [64]\n\
                   > input\n< 13 01\n< 14 00\n> write 0f 02\n> set 0d 01\n";
        let hid = parsed(hid).unwrap();
        let wanted = Way::Hid { name: "ups".into(), ids: (0x51d, 2), descriptor: vec![5, 0x84] };
        assert_eq!((hid.way, hid.exchanges.len()), (wanted, 4));
        let contacts = "over contacts\ncontact mains closed\nrelay off open\nsignal room 21.5\n\
                        > switch off closed\n";
        let levels = BTreeMap::from([("mains".to_owned(), true)]);
        let relays = BTreeMap::from([("off".to_owned(), false)]);
        let signals = BTreeMap::from([("room".to_owned(), 21.5)]);
        assert_eq!(parsed(contacts).unwrap().way, Way::Contacts { levels, relays, signals });
        assert_eq!(parsed("> 01\n< 02\n").unwrap().way, Way::Serial);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, line, words) in [
            ("over bus x", 1, "expected `over"),
            ("over tcp", 1, "expected `over"),
            ("over hid ups 51d", 1, "vendor:product"),
            ("> 01\nover udp x", 2, "the first line"),
            ("descriptor 01", 1, "of a USB device"),
            ("over udp x\n\ncontact a open", 3, "over contacts"),
            ("over contacts\ncontact a ajar", 2, "open or closed"),
            ("over contacts\nsignal a warm", 2, "a number"),
            ("over contacts\n> 01", 2, "`switch"),
            ("over hid u 1:1\n> ask 01", 2, "`input`"),
            ("over hid u 1:1\n> feature 01\n< 01 00\n< 01 01", 4, "one value"),
            ("over hid u 1:1\n> set 01\n< 01", 3, "no reply"),
            ("over hid u 1:1\n> input\n< silence", 3, "silence"),
            ("< 01", 1, "before any request"),
            ("set a", 1, "expected `set"),
            ("nonsense", 1, "expected `over`"),
        ] {
            let error = parsed(text).expect_err(text).to_string();
            assert!(error.contains(&format!(":{line}: ")) && error.contains(words), "{error}");
        }
    }
}
