//! The way to the keeper of the slots, a program of the appliance's image: a
//! line each way over a local socket, and the bytes of a bundle
//! ([`talk`]). The daemon itself has no way to a slot.

use evenkeel_signing::slot::talk::{self, Answer, Ask, LINE_MAX, LineError};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest wait for an answer: the keeper reads a whole slot back before it
/// says that a bundle is in.
const ANSWER_MAX: Duration = Duration::from_secs(180);

/// Why the keeper was not asked.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// Nobody listens.
    #[error(
        "this is no appliance with two slots: nobody answers at {}", path.display()
    )]
    Absent {
        /// The socket.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It fell silent.
    #[error("the keeper of the slots does not answer; try again")]
    Silent(#[source] io::Error),
    /// It said something else.
    #[error("the keeper of the slots answered something else")]
    Meaning(#[source] LineError),
    /// It does not do it.
    #[error("{0}")]
    Refused(String),
}

/// A connection to the keeper.
#[derive(Debug)]
pub struct Keeper {
    stream: UnixStream,
}

impl Keeper {
    /// Connect.
    ///
    /// # Errors
    /// [`KeeperError::Absent`] where there are no slots.
    pub fn reach(socket: &Path) -> Result<Self, KeeperError> {
        let stream = UnixStream::connect(socket)
            .map_err(|source| KeeperError::Absent { path: socket.to_owned(), source })?;
        let set = stream.set_read_timeout(Some(ANSWER_MAX));
        set.and_then(|()| stream.set_write_timeout(Some(ANSWER_MAX)))
            .map_err(KeeperError::Silent)?;
        Ok(Self { stream })
    }

    /// Ask, and wait for the answer; it is no refusal.
    ///
    /// # Errors
    /// [`KeeperError`].
    pub fn ask(&mut self, ask: &Ask) -> Result<Answer, KeeperError> {
        self.say(ask)?;
        self.answer()
    }

    /// Say what is asked; bytes may follow.
    ///
    /// # Errors
    /// [`KeeperError`].
    pub fn say(&mut self, ask: &Ask) -> Result<(), KeeperError> {
        let line = talk::line(ask).map_err(KeeperError::Meaning)?;
        self.stream.write_all(&line).map_err(KeeperError::Silent)
    }

    /// Send bytes of a bundle; false when the keeper wants no more, which its
    /// answer explains.
    #[must_use]
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// No more bytes follow.
    pub fn end(&self) {
        // One that is gone knows.
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
    }

    /// Wait for the answer; it is no refusal.
    ///
    /// # Errors
    /// [`KeeperError`].
    pub fn answer(&mut self) -> Result<Answer, KeeperError> {
        let mut line = Vec::new();
        let mut input = BufReader::new(&self.stream).take(LINE_MAX as u64 + 1);
        input.read_until(b'\n', &mut line).map_err(KeeperError::Silent)?;
        if line.is_empty() {
            return Err(KeeperError::Silent(io::ErrorKind::UnexpectedEof.into()));
        }
        match talk::parse(&line).map_err(KeeperError::Meaning)? {
            Answer::Refused { reason } => Err(KeeperError::Refused(reason)),
            answer => Ok(answer),
        }
    }
}
