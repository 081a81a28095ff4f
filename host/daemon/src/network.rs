//! The way to the program that keeps the appliance's network: a line each way
//! over a local socket ([`evenkeel_core::network`]). The daemon itself may
//! change no address. Off an image nobody listens, and the network is the
//! host's.

use evenkeel_core::network::{Answer, Ask, Status};
use evenkeel_core::settings::network::Written;
use evenkeel_signing::slot::talk::{LINE_MAX, LineError, line, parse};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest wait for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Why the network is not as it was wanted.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// Nobody listens.
    #[error("the network is that of the machine on which this runs; change it there")]
    Absent(#[source] io::Error),
    /// It fell silent.
    #[error("the keeper of the network does not answer; try again")]
    Silent(#[source] io::Error),
    /// It said something else.
    #[error("the keeper of the network answered something else")]
    Meaning(#[source] LineError),
    /// It answered something that was not asked.
    #[error("the keeper of the network answered another question")]
    Unexpected,
    /// It does not do it.
    #[error("{0}")]
    Refused(String),
}

/// The keeper of the network.
#[derive(Debug)]
pub struct NetworkKeeper {
    socket: PathBuf,
}

impl NetworkKeeper {
    /// The one that listens at `socket`, if there is any.
    #[must_use]
    pub const fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// How it stands.
    ///
    /// # Errors
    /// [`NetworkError::Absent`] where the network is the host's, and others.
    pub async fn status(&self) -> Result<Status, NetworkError> {
        match self.ask(Ask::Status).await? {
            Answer::Status(status) => Ok(*status),
            _ => Err(NetworkError::Unexpected),
        }
    }

    /// Put this in force, on trial for so many seconds.
    ///
    /// # Errors
    /// [`NetworkError`]; what was in force stays.
    pub async fn try_out(&self, network: Written, within_s: u64) -> Result<(), NetworkError> {
        self.done(Ask::TryOut { network, within_s }).await
    }

    /// Keep what is on trial.
    ///
    /// # Errors
    /// [`NetworkError`].
    pub async fn confirm(&self) -> Result<(), NetworkError> {
        self.done(Ask::Confirm).await
    }

    /// End the trial now.
    ///
    /// # Errors
    /// [`NetworkError`].
    pub async fn give_up(&self) -> Result<(), NetworkError> {
        self.done(Ask::GiveUp).await
    }

    /// Trials that ended because nobody confirmed them, each told once.
    pub async fn lapsed(&self) -> Option<u32> {
        if !self.socket.exists() {
            return None;
        }
        // Who asks for the status hears why it does not answer.
        match self.ask(Ask::Lapsed).await {
            Ok(Answer::Lapsed { count: count @ 1.. }) => Some(count),
            _ => None,
        }
    }

    async fn done(&self, ask: Ask) -> Result<(), NetworkError> {
        match self.ask(ask).await? {
            Answer::Done => Ok(()),
            _ => Err(NetworkError::Unexpected),
        }
    }

    async fn ask(&self, asked: Ask) -> Result<Answer, NetworkError> {
        let socket = self.socket.clone();
        let waits = tokio::task::spawn_blocking(move || ask(&socket, &asked));
        waits.await.map_err(|error| NetworkError::Silent(io::Error::other(error)))?
    }
}

/// What this machine calls itself now.
#[must_use]
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn ask(socket: &Path, ask: &Ask) -> Result<Answer, NetworkError> {
    let mut stream = UnixStream::connect(socket).map_err(NetworkError::Absent)?;
    let set = stream.set_read_timeout(Some(ANSWER_MAX));
    set.and_then(|()| stream.set_write_timeout(Some(ANSWER_MAX))).map_err(NetworkError::Silent)?;
    let bytes = line(ask).map_err(NetworkError::Meaning)?;
    stream.write_all(&bytes).map_err(NetworkError::Silent)?;
    let mut answer = Vec::new();
    let mut input = BufReader::new(&stream).take(LINE_MAX as u64 + 1);
    input.read_until(b'\n', &mut answer).map_err(NetworkError::Silent)?;
    if answer.is_empty() {
        return Err(NetworkError::Silent(io::ErrorKind::UnexpectedEof.into()));
    }
    match parse(&answer).map_err(NetworkError::Meaning)? {
        Answer::Refused { reason } => Err(NetworkError::Refused(reason)),
        answer => Ok(answer),
    }
}
