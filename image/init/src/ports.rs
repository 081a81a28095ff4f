//! Who may open which serial port: the board says so in `/etc/evenkeel/ports`
//! on the verified root, and no one else can open one. The battery bus is the
//! guard's alone, whatever becomes of the daemon.
//!
//! ```text
//! # port  user
//! ttyS1   guard
//! ttyS2   daemon
//! ```

use crate::log;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;

/// Where the board says it.
const FILE: &str = "/etc/evenkeel/ports";

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    port: String,
    user: String,
}

/// Why a line is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {0}: expected the name of a port in /dev and the name of a user")]
struct Refused(usize);

/// Give each port to its user, of those in `users`; what fails is told and
/// leaves the rest.
pub fn hand_out(users: &[(&str, u32)]) {
    let rows = match fs::read_to_string(FILE) {
        Ok(text) => parse(&text),
        Err(error) => return log::say(&format!("{FILE}: {error}; no port is handed out")),
    };
    match rows {
        Ok(rows) => rows.iter().for_each(|row| {
            if let Err(error) = give(row, users) {
                log::say(&format!("port {} is not handed out: {error}", row.port));
            }
        }),
        Err(refused) => log::say(&format!("{FILE}: {refused}; no port is handed out")),
    }
}

fn give(row: &Row, users: &[(&str, u32)]) -> io::Result<()> {
    let user = users.iter().find(|(name, _)| *name == row.user);
    let (_, user) = user.ok_or_else(|| io::Error::other(format!("no user {}", row.user)))?;
    let path = Path::new("/dev").join(&row.port);
    chown(&path, Some(*user), Some(0))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))
}

fn parse(text: &str) -> Result<Vec<Row>, Refused> {
    let mut rows = Vec::new();
    for (at, line) in text.lines().enumerate() {
        match line.split_ascii_whitespace().collect::<Vec<_>>()[..] {
            [] => {}
            [comment, ..] if comment.starts_with('#') => {}
            [port, user] if is_port(port) => {
                rows.push(Row { port: port.to_owned(), user: user.to_owned() });
            }
            _ => return Err(Refused(at + 1)),
        }
    }
    Ok(rows)
}

fn is_port(name: &str) -> bool {
    (1..32).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_and_the_wrong_line_is_named() {
        let rows = parse("# board\nttyS1 guard\n\n ttyS2\tdaemon\n").unwrap();
        let row = |port: &str, user: &str| Row { port: port.into(), user: user.into() };
        assert_eq!(rows, [row("ttyS1", "guard"), row("ttyS2", "daemon")]);
        for line in ["ttyS1", "../mem daemon", "ttyS1 guard daemon", "a/b guard"] {
            assert_eq!(parse(&format!("ttyS3 guard\n{line}\n")), Err(Refused(2)), "{line}");
        }
    }
}
