//! The local socket: hands out the process image and takes requests.
//!
//! Served by the main thread alone, at ordinary priority. A request is checked
//! here and becomes a number that the cycle thread looks at once per cycle.
//!
//! Everything about a client is bounded: their number, the length of a
//! request, requests per second, and what the kernel keeps of answers that it
//! does not read. One that is slow, silent or hostile costs a connection slot
//! for a while and nothing else.

use crate::port::now;
use crate::shared::Shared;
use evenkeel_core::command::{self, Answer, PAUSE_MAX_S, Request, VERSION};
use evenkeel_core::time::Nanos;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::set_socket_send_buffer_size;
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
/// Longest request, bytes with its length in front; the longest that there is
/// takes a fraction of it.
const REQUEST_MAX: usize = 1024;
/// Requests that a client may make at once, and how fast it may go on.
const BURST_MAX: u32 = 32;
const REQUEST_EVERY: Nanos = Nanos::from_millis(50);
/// What the kernel may keep of answers that a client does not read, bytes; a
/// few of the longest answer.
const UNREAD_MAX: usize = 32 * 1024;
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
}

struct Client {
    stream: UnixStream,
    since: Nanos,
    greeted: bool,
    /// It was given the image.
    served: bool,
    received: [u8; REQUEST_MAX],
    len: usize,
    /// Requests that it may make now, and when it was granted the last one.
    requests: u32,
    granted: Nanos,
}

impl<'a> Server<'a> {
    /// For clients of `listener`.
    pub fn new(
        listener: UnixListener,
        strings: &'a [String],
        image: BorrowedFd<'a>,
        shared: &'a Shared,
    ) -> Self {
        let clients = Vec::with_capacity(CLIENTS_MAX);
        Self { listener, strings, image, shared, clients }
    }

    /// Serve until told to stop; between requests, several times a second, do
    /// the main thread's `chores`.
    pub fn serve(mut self, mut chores: impl FnMut()) {
        while !self.shared.stop.load(Ordering::Relaxed) {
            chores();
            let ready = self.wait();
            let mut index = 0;
            let (strings, image, shared) = (self.strings, self.image, self.shared);
            self.clients.retain_mut(|client| {
                index += 1;
                (!ready[index] || client.receive())
                    && client.talk(strings, image, shared)
                    && (client.greeted || now().since(client.since) < HELLO_WITHIN)
            });
            if ready[0] {
                self.accept();
            }
        }
    }

    /// Which of the listener and the clients are ready, in this order. A
    /// client that has used up its requests is not looked at for a while.
    fn wait(&mut self) -> Vec<bool> {
        let time = now();
        let mut fds = vec![PollFd::new(&self.listener, PollFlags::IN)];
        for client in &mut self.clients {
            client.grant(time);
            let room = client.requests > 0 && client.len < REQUEST_MAX;
            let wanted = if room { PollFlags::IN } else { PollFlags::empty() };
            fds.push(PollFd::new(&client.stream, wanted));
        }
        // An interrupted or refused poll is a look at which nobody was ready.
        match poll(&mut fds, Some(&LOOK)) {
            Ok(_) => fds.iter().map(|fd| !fd.revents().is_empty()).collect(),
            Err(_) => vec![false; fds.len()],
        }
    }

    fn accept(&mut self) {
        let Ok((stream, _)) = self.listener.accept() else { return };
        // One too many is closed at once: dropping the stream tells the client.
        if self.clients.len() < CLIENTS_MAX
            && stream.set_nonblocking(true).is_ok()
            && set_socket_send_buffer_size(&stream, UNREAD_MAX).is_ok()
        {
            self.clients.push(Client {
                stream,
                since: now(),
                greeted: false,
                served: false,
                received: [0; REQUEST_MAX],
                len: 0,
                requests: BURST_MAX,
                granted: now(),
            });
        }
    }
}

impl Client {
    /// Grant the requests that time has brought.
    fn grant(&mut self, time: Nanos) {
        let more = time.since(self.granted).0 / REQUEST_EVERY.0;
        self.granted = self.granted + Nanos(more * REQUEST_EVERY.0);
        let more = u32::try_from(more).unwrap_or(BURST_MAX);
        self.requests = self.requests.saturating_add(more).min(BURST_MAX);
    }

    /// Take what the client sent; false when it is gone.
    fn receive(&mut self) -> bool {
        match self.stream.read(&mut self.received[self.len..]) {
            // No room is no end: what is there has to be answered first.
            Ok(0) => self.len == REQUEST_MAX,
            Ok(n) => {
                self.len += n;
                true
            }
            Err(e) => e.kind() == io::ErrorKind::WouldBlock,
        }
    }

    /// Answer the whole requests that it sent, as many as it may make now;
    /// false when it talks nonsense or does not read.
    fn talk(&mut self, strings: &[String], image: BorrowedFd<'_>, shared: &Shared) -> bool {
        while self.requests > 0 {
            let received = &self.received[..self.len];
            let Some((prefix, rest)) = received.split_first_chunk::<2>() else { break };
            let Ok(len) = command::body_len(*prefix) else { return false };
            if len > REQUEST_MAX - 2 {
                return false;
            }
            let Some(body) = rest.get(..len) else { break };
            let Ok(request) = command::decode::<Request>(body) else { return false };
            self.received.copy_within(2 + len..self.len, 0);
            self.len -= 2 + len;
            self.requests -= 1;
            let answer = self.answer(&request, strings, shared);
            // Once per connection: the kernel counts descriptors that nobody
            // has taken yet, and hands out no more when there are too many.
            let hand_out = !self.served && matches!(answer, Answer::Welcome { .. });
            if self.send(&answer, hand_out.then_some(image)).is_err() {
                return false;
            }
            self.served |= hand_out;
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
                Server::new(listener, &names, io::stdin().as_fd(), &shared).serve(|| ());
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
            move || Server::new(listener, &[], io::stdin().as_fd(), &shared).serve(|| ())
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
