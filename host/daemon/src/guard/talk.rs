//! Talking to the guard over its socket: who are you, and please do this.

use evenkeel_core::command::{self, Answer, Order, Request, VERSION};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use std::io::{self, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest wait for the guard's word: an order is carried out in its next
/// cycle, which begins within seconds.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Why the guard cannot be talked to.
#[derive(Debug, thiserror::Error)]
pub enum TalkError {
    /// Nobody listens.
    #[error("guard socket {path} cannot be reached; is evenkeel-guard running?", path = path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It closed the connection, fell silent, or speaks another language.
    #[error("guard does not answer as it should")]
    Talk(#[source] io::Error),
    /// It does not want to.
    #[error("guard refused: {0}")]
    Refused(String),
    /// Its answer belongs to another question.
    #[error("guard answered something else")]
    Unexpected,
}

/// A connection that was greeted.
pub struct Talk {
    stream: UnixStream,
    /// Names of the strings, in the image's order.
    pub strings: Vec<String>,
    /// Names of the devices, in the image's order.
    pub devices: Vec<String>,
    /// Battery types of the strings' blocks.
    pub batteries: Vec<command::BatteryRuns>,
}

impl Talk {
    /// Connect and say hello; the image's memory comes with the answer.
    ///
    /// # Errors
    /// [`TalkError`] says what the guard did instead.
    pub fn begin(socket: &Path) -> Result<(Self, Option<OwnedFd>), TalkError> {
        let mut stream = UnixStream::connect(socket)
            .map_err(|source| TalkError::Connect { path: socket.to_owned(), source })?;
        stream.set_read_timeout(Some(TIMEOUT)).map_err(TalkError::Talk)?;
        stream.set_write_timeout(Some(TIMEOUT)).map_err(TalkError::Talk)?;
        match exchange(&mut stream, &Request::Hello { version: VERSION })? {
            (Answer::Welcome { strings, devices, batteries, .. }, fd) => {
                Ok((Self { stream, strings, devices, batteries }, fd))
            }
            (Answer::Refused(why), _) => Err(TalkError::Refused(why)),
            _ => Err(TalkError::Unexpected),
        }
    }

    /// Give an order; returns what came with its being done: the rows of
    /// [`Order::Rows`], nothing for every other.
    ///
    /// # Errors
    /// [`TalkError::Refused`] with the guard's reason, or why there is none.
    pub fn order(&mut self, order: Order) -> Result<Vec<u8>, TalkError> {
        match exchange(&mut self.stream, &Request::Order(order))?.0 {
            Answer::Done => Ok(Vec::new()),
            Answer::Rows(rows) => Ok(rows),
            Answer::Refused(why) => Err(TalkError::Refused(why)),
            _ => Err(TalkError::Unexpected),
        }
    }

    /// Ask for something else.
    ///
    /// # Errors
    /// [`TalkError::Refused`] with the guard's reason, or why there is none.
    pub fn ask(&mut self, request: &Request) -> Result<Answer, TalkError> {
        match exchange(&mut self.stream, request)?.0 {
            Answer::Refused(why) => Err(TalkError::Refused(why)),
            answer => Ok(answer),
        }
    }

    /// The guard never speaks unasked, so a readable stream is one that ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let mut fds = [PollFd::new(&self.stream, PollFlags::IN)];
        matches!(poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(n) if n > 0)
    }
}

fn exchange(
    stream: &mut UnixStream,
    request: &Request,
) -> Result<(Answer, Option<OwnedFd>), TalkError> {
    let bytes = command::encode(request).map_err(|e| TalkError::Talk(io::Error::other(e)))?;
    stream.write_all(&bytes).map_err(TalkError::Talk)?;
    receive(stream).map_err(TalkError::Talk)
}

/// One answer, and the descriptor that came with it.
fn receive(stream: &mut UnixStream) -> io::Result<(Answer, Option<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut prefix = [0u8; 2];
    let received = recvmsg(
        stream.as_fd(),
        &mut [IoSliceMut::new(&mut prefix)],
        &mut ancillary,
        RecvFlags::CMSG_CLOEXEC | RecvFlags::WAITALL,
    )?;
    if received.bytes != prefix.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let fd = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    let len = command::body_len(prefix).map_err(io::Error::other)?;
    let mut body = vec![0; len];
    stream.read_exact(&mut body)?;
    Ok((command::decode(&body).map_err(io::Error::other)?, fd))
}
