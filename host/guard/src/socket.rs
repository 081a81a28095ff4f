//! The local socket: hands out the process image and takes requests.
//!
//! Served by the main thread alone, at ordinary priority. A request is checked
//! here and put into a bounded queue that the cycle thread empties once per
//! cycle; a client that is slow, silent or hostile costs a connection slot and
//! nothing else.

use crate::cycle::Change;
use crate::port::now;
use evenkeel_core::command::{self, Answer, PAUSE_MAX_S, Request, VERSION};
use evenkeel_core::time::Nanos;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use std::io::{self, IoSlice, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;

/// Changes that may wait for the next cycle.
pub const QUEUE_MAX: usize = 16;
const CLIENTS_MAX: usize = 8;
/// How often the stop flag is looked at when no client says anything.
const STOP_CHECK: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

struct Client {
    stream: UnixStream,
    received: Vec<u8>,
}

/// Make the socket. A socket file left by a dead guard is replaced.
///
/// # Errors
/// When another guard listens there, or the operating system refuses.
pub fn listen(path: &Path) -> io::Result<UnixListener> {
    if UnixStream::connect(path).is_ok() {
        let text = format!("another guard already listens at {}", path.display());
        return Err(io::Error::new(io::ErrorKind::AddrInUse, text));
    }
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    // The daemon runs under another user of the same group.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Serve clients until `stop`.
///
/// # Errors
/// When waiting for clients itself fails.
pub fn serve(
    listener: &UnixListener,
    strings: &[String],
    image: BorrowedFd<'_>,
    changes: &SyncSender<Change>,
    stop: &AtomicBool,
) -> io::Result<()> {
    let mut clients: Vec<Client> = Vec::with_capacity(CLIENTS_MAX);
    while !stop.load(Ordering::Relaxed) {
        let ready = wait(listener, &clients)?;
        let mut index = 0;
        clients.retain_mut(|client| {
            index += 1;
            !ready[index] || client.talk(strings, image, changes)
        });
        if ready[0] {
            accept(listener, &mut clients);
        }
    }
    Ok(())
}

/// Which of the listener and the clients are ready, in this order.
fn wait(listener: &UnixListener, clients: &[Client]) -> io::Result<Vec<bool>> {
    let mut fds = vec![PollFd::new(listener, PollFlags::IN)];
    fds.extend(clients.iter().map(|c| PollFd::new(&c.stream, PollFlags::IN)));
    match poll(&mut fds, Some(&STOP_CHECK)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {
            Ok(fds.iter().map(|fd| !fd.revents().is_empty()).collect())
        }
        Err(error) => Err(error.into()),
    }
}

fn accept(listener: &UnixListener, clients: &mut Vec<Client>) {
    let Ok((stream, _)) = listener.accept() else { return };
    // One too many is closed at once: dropping the stream tells the client.
    if clients.len() < CLIENTS_MAX && stream.set_nonblocking(true).is_ok() {
        clients.push(Client { stream, received: Vec::with_capacity(command::MESSAGE_MAX + 2) });
    }
}

impl Client {
    /// Take what the client sent; false when it is gone or talks nonsense.
    fn talk(
        &mut self,
        strings: &[String],
        image: BorrowedFd<'_>,
        changes: &SyncSender<Change>,
    ) -> bool {
        let mut buffer = [0u8; 512];
        match self.stream.read(&mut buffer) {
            Ok(0) => return false,
            Ok(n) => self.received.extend_from_slice(&buffer[..n]),
            Err(e) => return e.kind() == io::ErrorKind::WouldBlock,
        }
        while let Some((prefix, rest)) = self.received.split_first_chunk::<2>() {
            let Ok(len) = command::body_len(*prefix) else { return false };
            let Some(body) = rest.get(..len) else { break };
            let Ok(request) = command::decode::<Request>(body) else { return false };
            let hello = matches!(request, Request::Hello { .. });
            let answer = answer(&request, strings, changes);
            let welcome = hello && matches!(answer, Answer::Welcome { .. });
            if self.send(&answer, welcome.then_some(image)).is_err() {
                return false;
            }
            self.received.drain(..2 + len);
        }
        true
    }

    /// A client that does not read its answers loses its connection: the
    /// socket's buffer is the only queue it gets.
    fn send(&self, answer: &Answer, fd: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let bytes = command::encode(answer).map_err(io::Error::other)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let fds = fd.map(|fd| [fd]);
        if let Some(fds) = &fds {
            ancillary.push(SendAncillaryMessage::ScmRights(fds));
        }
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        let sent = sendmsg(self.stream.as_fd(), &[IoSlice::new(&bytes)], &mut ancillary, flags)?;
        if sent == bytes.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }
}

fn answer(request: &Request, strings: &[String], changes: &SyncSender<Change>) -> Answer {
    let change = match *request {
        Request::Hello { version: VERSION } => {
            return Answer::Welcome { version: VERSION, strings: strings.to_vec() };
        }
        Request::Hello { version } => {
            return Answer::Refused(format!(
                "this guard speaks protocol version {VERSION}, the client {version}"
            ));
        }
        Request::Pause { string, seconds } if (1..=PAUSE_MAX_S).contains(&seconds) => {
            Change::Pause { string, until: now() + Nanos::from_secs(seconds.into()) }
        }
        Request::Pause { seconds, .. } => {
            return Answer::Refused(format!(
                "a pause lasts 1 to {PAUSE_MAX_S} seconds, not {seconds}"
            ));
        }
        Request::Resume { string } => Change::Resume { string },
    };
    let (Change::Pause { string, .. } | Change::Resume { string }) = change;
    if string == 0 || usize::from(string) > strings.len() {
        return Answer::Refused(format!(
            "there is no string {string}; the strings are 1 to {}",
            strings.len()
        ));
    }
    match changes.try_send(change) {
        Ok(()) => Answer::Done,
        Err(_) => Answer::Refused("too many requests in one cycle; ask again".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::Arc;
    use std::sync::mpsc::sync_channel;

    fn ask(stream: &mut UnixStream, request: &Request) -> Answer {
        stream.write_all(&command::encode(request).expect("short")).expect("sent");
        let mut prefix = [0; 2];
        stream.read_exact(&mut prefix).expect("answered");
        let mut body = vec![0; command::body_len(prefix).expect("short")];
        stream.read_exact(&mut body).expect("answered");
        command::decode(&body).expect("an answer")
    }

    #[test]
    fn requests_are_checked_queued_and_acknowledged() {
        let dir = std::env::temp_dir().join(format!("evenkeel-socket-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a folder");
        let path = dir.join("guard.sock");
        let listener = listen(&path).expect("listening");
        assert!(listen(&path).is_err(), "one guard per socket");
        let (sender, receiver) = sync_channel(QUEUE_MAX);
        let stop = Arc::new(AtomicBool::new(false));
        let server = std::thread::spawn({
            let stop = stop.clone();
            move || serve(&listener, &["A".into(), "B".into()], io::stdin().as_fd(), &sender, &stop)
        });
        let mut stream = UnixStream::connect(&path).expect("connected");
        let welcome = ask(&mut stream, &Request::Hello { version: VERSION });
        assert_eq!(
            welcome,
            Answer::Welcome { version: VERSION, strings: vec!["A".into(), "B".into()] }
        );
        assert!(matches!(ask(&mut stream, &Request::Hello { version: 9 }), Answer::Refused(_)));
        assert_eq!(ask(&mut stream, &Request::Pause { string: 2, seconds: 60 }), Answer::Done);
        assert!(matches!(receiver.recv(), Ok(Change::Pause { string: 2, .. })));
        for bad in [
            Request::Pause { string: 3, seconds: 60 },
            Request::Pause { string: 0, seconds: 60 },
            Request::Pause { string: 1, seconds: 0 },
            Request::Resume { string: 9 },
        ] {
            assert!(matches!(ask(&mut stream, &bad), Answer::Refused(_)), "{bad:?}");
        }
        for _ in 0..QUEUE_MAX {
            assert_eq!(ask(&mut stream, &Request::Resume { string: 1 }), Answer::Done);
        }
        assert!(matches!(ask(&mut stream, &Request::Resume { string: 1 }), Answer::Refused(_)));

        let mut garbage = UnixStream::connect(&path).expect("connected");
        garbage.write_all(&[0xFF; 64]).expect("sent");
        assert_eq!(garbage.read(&mut [0; 8]).expect("closed"), 0, "nonsense ends the connection");
        assert_eq!(ask(&mut stream, &Request::Hello { version: VERSION }), welcome);
        stop.store(true, Ordering::Relaxed);
        server.join().expect("ends").expect("no error");
        std::fs::remove_dir_all(dir).expect("removed");
    }
}
