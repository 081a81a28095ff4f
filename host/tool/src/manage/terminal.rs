//! Questions to a person at the terminal: on standard error, answered on
//! standard input, and never asked when nobody sits there.

use super::Failure;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::fs::File;
use std::io::{self, BufRead as _, IsTerminal as _, Read, Write as _};
use std::path::Path;

/// Longest line that is read, bytes.
const LINE_MAX: u64 = 1_024;

/// Ask for yes or no; anything but yes is no.
///
/// # Errors
/// [`Failure::Word`] with `instead` when nobody can be asked.
pub fn agreed(question: &str, instead: &str) -> Result<bool, Failure> {
    let answer = ask(&format!("{question} [y/N] "), instead)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// Ask for a line.
///
/// # Errors
/// As [`agreed`].
pub fn ask(question: &str, instead: &str) -> Result<String, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::Word(instead.to_owned()));
    }
    eprint!("{question}");
    io::stderr().flush()?;
    Ok(first_line(io::stdin().lock())?)
}

/// Ask for a line that is not shown while it is typed.
///
/// # Errors
/// As [`agreed`].
pub fn ask_hidden(question: &str, instead: &str) -> Result<String, Failure> {
    let hidden = Hidden::new();
    let answer = ask(question, instead)?;
    drop(hidden);
    // The line feed was hidden, too.
    eprintln!();
    Ok(answer)
}

/// The first line of a file; `-` is standard input.
///
/// # Errors
/// [`Failure::File`].
pub fn line_of(path: &Path) -> Result<String, Failure> {
    let read = match path.as_os_str() == "-" {
        true => first_line(io::stdin().lock()),
        false => File::open(path).and_then(first_line),
    };
    read.map_err(|source| Failure::File { path: path.to_owned(), source })
}

fn first_line(from: impl Read) -> io::Result<String> {
    let mut line = String::new();
    io::BufReader::new(from.take(LINE_MAX)).read_line(&mut line)?;
    if line.ends_with('\n') {
        line.pop();
    }
    if line.ends_with('\r') {
        line.pop();
    }
    match line.is_empty() {
        true => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it is empty")),
        false => Ok(line),
    }
}

/// The terminal shows nothing that is typed until this is dropped.
struct Hidden(Option<Termios>);

impl Hidden {
    fn new() -> Self {
        // What is no terminal shows nothing anyway.
        let Ok(before) = tcgetattr(io::stdin()) else { return Self(None) };
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        let done = tcsetattr(io::stdin(), OptionalActions::Flush, &quiet);
        Self(done.is_ok().then_some(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            // A terminal that is gone needs no care.
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_first_line_and_nothing_is_trimmed_from_it() {
        let line = |text: &str| first_line(text.as_bytes());
        assert_eq!(line(" with spaces \r\nmore").expect("there"), " with spaces ");
        assert_eq!(line("no end").expect("there"), "no end");
        assert!(line("").is_err() && line("\n").is_err());
        assert_eq!(line(&"x".repeat(5_000)).expect("there").len(), 1_024);
    }
}
