//! The local socket: hands out the process image and takes requests.
//!
//! Served by the main thread alone, at ordinary priority. A request is checked
//! here and becomes a number that the cycle thread looks at once per cycle; a
//! client that is slow, silent or hostile costs a connection slot for a while
//! and nothing else.

use crate::port::now;
use crate::shared::{Reporter, Shared};
use evenkeel_core::command::{self, Answer, PAUSE_MAX_S, Request, VERSION};
use evenkeel_core::time::Nanos;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use std::io::{self, IoSlice, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::Ordering;

const CLIENTS_MAX: usize = 8;
/// A client that has not said hello by then makes room.
const HELLO_WITHIN: Nanos = Nanos::from_secs(2);
/// How often the stop flag and the conditions are looked at when no client
/// says anything.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// Make the socket. A socket left by a dead guard is replaced.
///
/// # Errors
/// When another guard listens there, something else lies there, or the
/// operating system refuses.
pub fn listen(path: &Path) -> io::Result<UnixListener> {
    if UnixStream::connect(path).is_ok() {
        let text = format!("another guard already listens at {}", path.display());
        return Err(io::Error::new(io::ErrorKind::AddrInUse, text));
    }
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => std::fs::remove_file(path)?,
        Ok(_) => {
            let text = format!("{} is no socket; it is left alone", path.display());
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listener = UnixListener::bind(path)?;
    // The daemon runs under another user of the same group.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Serves clients.
pub struct Server<'a> {
    listener: UnixListener,
    strings: &'a [String],
    image: BorrowedFd<'a>,
    shared: &'a Shared,
    clients: Vec<Client>,
    reporter: Reporter,
}

struct Client {
    stream: UnixStream,
    since: Nanos,
    greeted: bool,
    received: Vec<u8>,
}

impl<'a> Server<'a> {
    /// For clients of `listener`.
    pub fn new(
        listener: UnixListener,
        strings: &'a [String],
        image: BorrowedFd<'a>,
        shared: &'a Shared,
    ) -> Self {
        let (clients, reporter) = (Vec::with_capacity(CLIENTS_MAX), Reporter::default());
        Self { listener, strings, image, shared, clients, reporter }
    }

    /// Serve until told to stop.
    pub fn serve(mut self) {
        while !self.shared.stop.load(Ordering::Relaxed) {
            self.reporter.look(self.shared);
            let ready = self.wait();
            let mut index = 0;
            let (strings, image, shared) = (self.strings, self.image, self.shared);
            self.clients.retain_mut(|client| {
                index += 1;
                if ready[index] {
                    client.talk(strings, image, shared)
                } else {
                    client.greeted || now().since(client.since) < HELLO_WITHIN
                }
            });
            if ready[0] {
                self.accept();
            }
        }
    }

    /// Which of the listener and the clients are ready, in this order.
    fn wait(&self) -> Vec<bool> {
        let mut fds = vec![PollFd::new(&self.listener, PollFlags::IN)];
        fds.extend(self.clients.iter().map(|c| PollFd::new(&c.stream, PollFlags::IN)));
        // An interrupted or refused poll is a look at which nobody was ready.
        match poll(&mut fds, Some(&LOOK)) {
            Ok(_) => fds.iter().map(|fd| !fd.revents().is_empty()).collect(),
            Err(_) => vec![false; fds.len()],
        }
    }

    fn accept(&mut self) {
        let Ok((stream, _)) = self.listener.accept() else { return };
        // One too many is closed at once: dropping the stream tells the client.
        if self.clients.len() < CLIENTS_MAX && stream.set_nonblocking(true).is_ok() {
            self.clients.push(Client {
                stream,
                since: now(),
                greeted: false,
                received: Vec::new(),
            });
        }
    }
}

impl Client {
    /// Take what the client sent; false when it is gone or talks nonsense.
    fn talk(&mut self, strings: &[String], image: BorrowedFd<'_>, shared: &Shared) -> bool {
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
            let answer = self.answer(&request, strings, shared);
            let welcome = matches!(answer, Answer::Welcome { .. });
            if self.send(&answer, welcome.then_some(image)).is_err() {
                return false;
            }
            self.received.drain(..2 + len);
        }
        true
    }

    fn answer(&mut self, request: &Request, strings: &[String], shared: &Shared) -> Answer {
        match *request {
            Request::Hello { version: VERSION } => {
                self.greeted = true;
                Answer::Welcome { version: VERSION, strings: strings.to_vec() }
            }
            Request::Hello { version } => Answer::Refused(format!(
                "this guard speaks protocol version {VERSION}, the client {version}"
            )),
            _ if !self.greeted => Answer::Refused("say hello first".to_owned()),
            Request::Pause { seconds, .. } if !(1..=PAUSE_MAX_S).contains(&seconds) => {
                Answer::Refused(format!("a pause lasts 1 to {PAUSE_MAX_S} seconds, not {seconds}"))
            }
            Request::Pause { string, .. } | Request::Resume { string }
                if string == 0 || usize::from(string) > strings.len() =>
            {
                let last = strings.len();
                Answer::Refused(format!("there is no string {string}; the strings are 1 to {last}"))
            }
            Request::Pause { string, seconds } => {
                let until = now() + Nanos::from_secs(seconds.into());
                shared.pause(usize::from(string) - 1, until);
                Answer::Done
            }
            Request::Resume { string } => {
                shared.pause(usize::from(string) - 1, Nanos(0));
                Answer::Done
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::Arc;

    fn ask(stream: &mut UnixStream, request: &Request) -> Answer {
        stream.write_all(&command::encode(request).expect("short")).expect("sent");
        let mut prefix = [0; 2];
        stream.read_exact(&mut prefix).expect("answered");
        let mut body = vec![0; command::body_len(prefix).expect("short")];
        stream.read_exact(&mut body).expect("answered");
        command::decode(&body).expect("an answer")
    }

    #[test]
    fn requests_are_checked_and_acknowledged() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("guard.sock");
        let listener = listen(&path).expect("listening");
        assert!(listen(&path).is_err(), "one guard per socket");
        let shared = Arc::new(Shared::default());
        let server = std::thread::spawn({
            let shared = shared.clone();
            move || {
                let names = ["A".to_owned(), "B".to_owned()];
                Server::new(listener, &names, io::stdin().as_fd(), &shared).serve();
            }
        });
        let mut stream = UnixStream::connect(&path).expect("connected");
        let pause = |string, seconds| Request::Pause { string, seconds };
        assert!(matches!(ask(&mut stream, &pause(1, 60)), Answer::Refused(_)), "hello comes first");
        let welcome = Answer::Welcome { version: VERSION, strings: vec!["A".into(), "B".into()] };
        assert_eq!(ask(&mut stream, &Request::Hello { version: VERSION }), welcome);
        assert!(matches!(ask(&mut stream, &Request::Hello { version: 9 }), Answer::Refused(_)));
        assert_eq!(ask(&mut stream, &pause(2, 60)), Answer::Done);
        assert!(shared.paused_until(1) > now() + Nanos::from_secs(50));
        assert_eq!(shared.paused_until(0), Nanos(0));
        for bad in [pause(3, 60), pause(0, 60), pause(1, 0), Request::Resume { string: 9 }] {
            assert!(matches!(ask(&mut stream, &bad), Answer::Refused(_)), "{bad:?}");
        }
        assert_eq!(ask(&mut stream, &Request::Resume { string: 2 }), Answer::Done);
        assert_eq!(shared.paused_until(1), Nanos(0));

        let mut garbage = UnixStream::connect(&path).expect("connected");
        garbage.write_all(&[0xFF; 64]).expect("sent");
        assert_eq!(garbage.read(&mut [0; 8]).expect("closed"), 0, "nonsense ends the connection");
        assert_eq!(ask(&mut stream, &Request::Hello { version: VERSION }), welcome);
        shared.stop.store(true, Ordering::Relaxed);
        server.join().expect("ends");
    }

    #[test]
    fn silent_clients_do_not_lock_others_out() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("guard.sock");
        let listener = listen(&path).expect("listening");
        let shared = Arc::new(Shared::default());
        let server = std::thread::spawn({
            let shared = shared.clone();
            move || Server::new(listener, &[], io::stdin().as_fd(), &shared).serve()
        });
        let silent: Vec<_> = (0..CLIENTS_MAX).map(|_| UnixStream::connect(&path)).collect();
        for client in silent.into_iter().flatten() {
            // Blocks until the guard closes it.
            assert_eq!((&client).read(&mut [0; 1]).expect("closed"), 0);
        }
        let mut late = UnixStream::connect(&path).expect("connected");
        let hello = Request::Hello { version: VERSION };
        assert!(matches!(ask(&mut late, &hello), Answer::Welcome { .. }));
        shared.stop.store(true, Ordering::Relaxed);
        server.join().expect("ends");
    }

    #[test]
    fn a_file_in_the_way_is_left_alone() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("precious");
        std::fs::write(&path, "data").expect("written");
        assert!(listen(&path).is_err());
        assert_eq!(std::fs::read_to_string(&path).expect("still there"), "data");
    }
}
