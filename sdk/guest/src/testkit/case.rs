//! Reading a case folder; the format is described in [`super`].

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::Chars;

use crate::CommandError;
use crate::host::{Quality, Update, Value};

/// A recorded exchange and what a driver must make of it.
#[derive(Clone, Debug)]
pub struct Case {
    /// Name of the folder.
    pub name: String,
    /// Settings that the driver is started with.
    pub settings: Vec<(String, String)>,
    /// What must come out.
    pub expected: Expected,
    /// Commands and their outcomes.
    pub tellings: Vec<Telling>,
    pub(super) exchanges: Vec<Exchange>,
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
    /// It is carried out.
    #[cfg(test)]
    pub(super) fn accepted() -> Self {
        Self { kind: "accepted".to_owned(), part: String::new() }
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

/// A request and the replies to its askings; `None` is silence.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    pub(super) request: Vec<u8>,
    pub(super) replies: Vec<Option<Vec<u8>>>,
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
        let mut case = Self {
            name,
            settings: Vec::new(),
            expected: read_expected(folder)?,
            tellings: read_tellings(&folder.join("expected.commands"))?,
            exchanges: Vec::new(),
        };
        let path = folder.join("exchange.txt");
        for (number, line) in meaningful(&read(&path)?) {
            case.take_line(line).map_err(|what| CaseError::Line {
                path: path.clone(),
                number,
                what,
            })?;
        }
        Ok(case)
    }

    /// Each request with its first reply, where it has one.
    pub(super) fn sound_replies(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.exchanges.iter().filter_map(|exchange| {
            let reply = exchange.replies.first()?.as_deref()?;
            Some((exchange.request.as_slice(), reply))
        })
    }

    fn take_line(&mut self, line: &str) -> Result<(), &'static str> {
        if let Some(pair) = line.strip_prefix("set ") {
            let (name, value) = pair.split_once('=').ok_or("expected `set name = value`")?;
            self.settings.push((name.trim().to_owned(), value.trim().to_owned()));
        } else if let Some(request) = line.strip_prefix("> ") {
            self.exchanges.push(Exchange { request: bytes(request)?, replies: Vec::new() });
        } else if let Some(reply) = line.strip_prefix("< ") {
            let exchange = self.exchanges.last_mut().ok_or("a reply before any request")?;
            let silence = reply.trim() == "silence";
            exchange.replies.push(if silence { None } else { Some(bytes(reply)?) });
        } else {
            return Err("expected `set`, `>` or `<`");
        }
        Ok(())
    }
}

/// `bytes` as a line of exchange.txt has them.
#[must_use]
pub fn write_bytes(bytes: &[u8]) -> String {
    let is_text = |byte: &u8| matches!(byte, b' '..=b'~' | b'\r' | b'\n');
    if bytes.iter().filter(|byte| is_text(byte)).count() * 2 < bytes.len() || bytes.is_empty() {
        return bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
    }
    let mut text = String::from("\"");
    for byte in bytes {
        match byte {
            b'\r' => text.push_str("\\r"),
            b'\n' => text.push_str("\\n"),
            b'"' | b'\\' => text.extend(['\\', char::from(*byte)]),
            b' '..=b'~' => text.push(char::from(*byte)),
            other => text.push_str(&format!("\\x{other:02x}")),
        }
    }
    text.push('"');
    text
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
    let mut points = BTreeMap::new();
    for (number, line) in meaningful(&read(path)?) {
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
    const KINDS: [&str; 5] = ["accepted", "refused", "invalid", "lost", "unknown"];
    if !path.exists() {
        return Ok(Vec::new());
    }
    let mut tellings = Vec::new();
    for (number, line) in meaningful(&read(path)?) {
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

/// Bytes from `"text\r"` (escapes `\r`, `\n`, `\\`, `\"`, `\xHH`) or `51 31 0d`.
fn bytes(text: &str) -> Result<Vec<u8>, &'static str> {
    let text = text.trim();
    let Some(quoted) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return text.split_whitespace().map(hex).collect();
    };
    let mut out = Vec::new();
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '\\' => escape(&mut chars)?,
            c if c.is_ascii() => c as u8,
            _ => return Err("write bytes above 7f as \\xHH"),
        });
    }
    Ok(out)
}

/// The byte that stands behind a backslash.
fn escape(chars: &mut Chars<'_>) -> Result<u8, &'static str> {
    match chars.next() {
        Some('r') => Ok(b'\r'),
        Some('n') => Ok(b'\n'),
        Some(c @ ('\\' | '"')) => Ok(c as u8),
        Some('x') => {
            let digits: String = chars.by_ref().take(2).collect();
            hex(&digits)
        }
        _ => Err("unknown escape"),
    }
}

fn hex(digits: &str) -> Result<u8, &'static str> {
    if digits.len() != 2 {
        return Err("a byte has two hexadecimal digits");
    }
    u8::from_str_radix(digits, 16).map_err(|_| "not a hexadecimal byte")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bytes_can_be_text_or_digits() {
        assert_eq!(bytes(r#""Q1\r""#).unwrap(), bytes("51 31 0d").unwrap());
        assert_eq!(bytes(r#""\x80a\"\\""#).unwrap(), b"\x80a\"\\");
        for wrong in [r#""\q""#, r#""\x8""#, "5g", "\"é\"", "511"] {
            assert!(bytes(wrong).is_err(), "{wrong} passed");
        }
    }

    proptest! {
        #[test]
        fn bytes_that_were_written_are_read_back(sent in prop::collection::vec(any::<u8>(), 1..40)) {
            prop_assert_eq!(bytes(&write_bytes(&sent)).unwrap(), sent);
        }
    }

    #[test]
    fn values_are_spelt_one_way() {
        assert_eq!(spell(&Update::text("ups.status", "OL")), "\"OL\"");
        assert_eq!(spell(&Update::estimate("battery.charge", 73.0, "%")), "73 % estimated");
    }
}
