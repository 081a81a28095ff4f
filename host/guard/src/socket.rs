//! The local socket: hands out the process image and takes requests.
//!
//! Served by the main thread alone, at ordinary priority. An order goes over
//! the [desk](crate::desk) to the cycle thread, which carries it out in its next
//! cycle; the client gets the answer then, and may say nothing meanwhile.
//!
//! Everything about a client is bounded: their number, the length of a
//! request, requests per second, and what the kernel keeps of answers that it
//! does not read. [Settings](crate::change) come in parts. One that is slow, silent or hostile costs a connection slot
//! for a while and nothing else.

use crate::change::{Candidate, Change};
use crate::desk::Desk;
use crate::port::now;
use crate::settings_file::Loaded;
use evenkeel_core::command::{self, Answer, Order, PART_MAX, Request, VERSION};
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
use std::sync::atomic::{AtomicBool, Ordering};

const CLIENTS_MAX: usize = 8;
/// A client that has not said hello by then makes room.
const HELLO_WITHIN: Nanos = Nanos::from_secs(2);
/// Longest request, bytes with its length in front: a part of settings.
const REQUEST_MAX: usize = PART_MAX + 64;
/// Requests that a client may make at once, and how fast it may go on.
const BURST_MAX: u32 = 32;
const REQUEST_EVERY: Nanos = Nanos::from_millis(50);
/// What the kernel may keep of answers that a client does not read, bytes; a
/// few of the longest answer.
const UNREAD_MAX: usize = 128 * 1024;
/// How often the stop flag and the conditions are looked at when no client
/// says anything.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
/// The same while somebody waits for an answer of the cycle thread.
const LOOK_SOON: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
/// An order that the cycle thread has not answered by then is given up: longer
/// than the longest cycle.
const ANSWER_WITHIN: Nanos = Nanos::from_secs(10);

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

/// Names for people, in the image's order.
pub struct Names {
    /// Of the strings.
    pub strings: Vec<String>,
    /// Battery types of the strings' blocks.
    pub batteries: Vec<command::BatteryRuns>,
    /// Of the devices.
    pub devices: Vec<String>,
}

/// Serves clients.
pub struct Server<'a> {
    listener: &'a UnixListener,
    names: &'a Names,
    image: BorrowedFd<'a>,
    desk: &'a Desk,
    change: Change<'a>,
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
    /// The order whose answer it waits for, and since when.
    order: Option<(u32, Nanos)>,
    /// Settings that take over when that order is done.
    candidate: Option<Box<Candidate>>,
    /// Requests that it may make now, and when it was granted the last one.
    requests: u32,
    granted: Nanos,
}

impl<'a> Server<'a> {
    /// For clients of `listener`.
    pub fn new(
        listener: &'a UnixListener,
        names: &'a Names,
        image: BorrowedFd<'a>,
        desk: &'a Desk,
        change: Change<'a>,
    ) -> Self {
        let clients = Vec::with_capacity(CLIENTS_MAX);
        Self { listener, names, image, desk, change, clients }
    }

    /// Serve until told to stop, or until settings were taken; those are
    /// returned. Between requests, several times a second, do the main thread's
    /// `chores`.
    pub fn serve(mut self, stop: &AtomicBool, mut chores: impl FnMut()) -> Option<Loaded> {
        while !stop.load(Ordering::Relaxed) && !self.change.is_due() {
            chores();
            let ready = self.wait();
            let mut index = 0;
            let (names, image, desk) = (self.names, self.image, self.desk);
            let change = &mut self.change;
            self.clients.retain_mut(|client| {
                index += 1;
                let stays = (!ready[index] || client.receive())
                    && client.talk(names, image, desk, change)
                    && (client.greeted || now().since(client.since) < HELLO_WITHIN);
                if let Some((ticket, _)) = client.order.filter(|_| !stays) {
                    desk.forget(ticket);
                }
                stays
            });
            if ready[0] {
                self.accept();
            }
        }
        self.change.taken()
    }

    /// Which of the listener and the clients are ready, in this order. A
    /// client that has used up its requests is not looked at for a while.
    fn wait(&mut self) -> Vec<bool> {
        let time = now();
        let waits = self.clients.iter().any(|client| client.order.is_some());
        let mut fds = vec![PollFd::new(&self.listener, PollFlags::IN)];
        for client in &mut self.clients {
            client.grant(time);
            let room = client.requests > 0 && client.len < REQUEST_MAX;
            let wanted = if room { PollFlags::IN } else { PollFlags::empty() };
            fds.push(PollFd::new(&client.stream, wanted));
        }
        // An interrupted or refused poll is a look at which nobody was ready.
        match poll(&mut fds, Some(if waits { &LOOK_SOON } else { &LOOK })) {
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
                order: None,
                candidate: None,
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
    fn talk(
        &mut self,
        names: &Names,
        image: BorrowedFd<'_>,
        desk: &Desk,
        change: &mut Change<'_>,
    ) -> bool {
        if !self.await_order(desk, change) {
            return false;
        }
        while self.requests > 0 && self.order.is_none() {
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
            let Some(answer) = self.answer(request, names, desk, change) else { break };
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

    /// Pass on the answer to its order, if it is there; false when the client
    /// does not read.
    fn await_order(&mut self, desk: &Desk, change: &mut Change<'_>) -> bool {
        let Some((ticket, since)) = self.order else { return true };
        let late = now().since(since) > ANSWER_WITHIN;
        let given_up = || {
            desk.forget(ticket);
            Answer::Refused("the guard's cycle does not answer; look at its log".to_owned())
        };
        let Some(answer) = desk.fetch(ticket).or_else(|| late.then(given_up)) else { return true };
        self.order = None;
        let answer = match (self.candidate.take(), answer) {
            // Somebody else's may have been taken just now.
            (Some(_), Answer::Done) if change.is_due() => {
                Answer::Refused("other settings come into force now; look at them".to_owned())
            }
            (Some(candidate), Answer::Done) => match change.take(*candidate) {
                Ok(()) => Answer::Done,
                Err(why) => Answer::Refused(why),
            },
            (_, answer) => answer,
        };
        self.send(&answer, None).is_ok()
    }

    /// The answer, unless the cycle thread will give it.
    fn answer(
        &mut self,
        request: Request,
        names: &Names,
        desk: &Desk,
        change: &mut Change<'_>,
    ) -> Option<Answer> {
        Some(match request {
            Request::Hello { version: VERSION } => {
                self.greeted = true;
                let (strings, devices) = (names.strings.clone(), names.devices.clone());
                let batteries = names.batteries.clone();
                Answer::Welcome { version: VERSION, strings, devices, batteries }
            }
            Request::Hello { version } => Answer::Refused(format!(
                "this guard speaks protocol version {VERSION}, the client {version}"
            )),
            _ if !self.greeted => Answer::Refused("say hello first".to_owned()),
            Request::Order(order) => return self.hand_in(order, desk),
            Request::Settings { from } => change.part(from),
            Request::Offer { at, bytes } => change.offer(at, &bytes),
            Request::Take(taking) => match change.judge(taking) {
                Ok(candidate) => {
                    self.candidate = Some(Box::new(candidate));
                    let despite_alarm = taking.despite_alarm;
                    return self.hand_in(Order::MakeWay { despite_alarm }, desk);
                }
                Err(why) => Answer::Refused(why),
            },
        })
    }

    /// Hand an order to the cycle thread; an answer when that takes none.
    fn hand_in(&mut self, order: Order, desk: &Desk) -> Option<Answer> {
        match desk.hand_in(order) {
            Ok(ticket) => {
                self.order = Some((ticket, now()));
                None
            }
            Err(refusal) => {
                self.candidate = None;
                Some(Answer::Refused(refusal.to_string()))
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
    use crate::change::Bounds;
    use crate::desk::tests::control;
    use evenkeel_core::command::Taking;
    use evenkeel_core::control::Kept;
    use evenkeel_core::settings::GuardSettings;
    use std::io::Write;
    use std::sync::Arc;

    /// Serve with settings that nobody changes.
    fn serve(listener: &UnixListener, names: &Names, desk: &Desk, stop: &AtomicBool) {
        let body = "[[bus]]\nport = \"/dev/null\"\n[[battery]]\nname = \"b\"\n\
                    chemistry = \"agm\"\ncells = 6\ncapacity_ah = 7.0\n[[string]]\nname = \"A\"\n\
                    module = \"C20\"\nbattery = \"b\"\nfirst_address = 1\nblocks = 2\n";
        let text = GuardSettings::seal(body).expect("valid");
        let (settings, crc) = GuardSettings::load(&text).expect("valid");
        let in_force = Loaded { settings, text, crc, fallback: None };
        let bounds = Bounds { ports: Vec::new(), cycle_max: None };
        let change = Change::new(&in_force, Path::new("/absent/guard.toml"), &bounds);
        let image = io::stdin();
        let server = Server::new(listener, names, image.as_fd(), desk, change);
        assert!(server.serve(stop, || ()).is_none(), "nothing was taken");
    }

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
        let (stop, mut control) = (Arc::new(AtomicBool::new(false)), control());
        let desk = Arc::new(Desk::new(&control, Kept::default()));
        let server = std::thread::spawn({
            let (stop, desk) = (stop.clone(), desk.clone());
            move || {
                let names = Names {
                    strings: vec!["A".into()],
                    batteries: vec![vec![("12 V".into(), 32)]],
                    devices: Vec::new(),
                };
                serve(&listener, &names, &desk, &stop);
            }
        });
        // The cycle thread, so to speak.
        let cycle = std::thread::spawn({
            let (stop, desk) = (stop.clone(), desk.clone());
            move || {
                while !stop.load(Ordering::Relaxed) {
                    desk.work(&mut control, now(), None);
                    std::thread::yield_now();
                }
            }
        });
        let mut stream = UnixStream::connect(&path).expect("connected");
        let pause = |string, seconds| Request::Order(Order::Pause { string, seconds });
        assert!(matches!(ask(&mut stream, &pause(1, 60)), Answer::Refused(_)), "hello comes first");
        let (strings, devices) = (vec!["A".into()], Vec::new());
        let batteries = vec![vec![("12 V".into(), 32)]];
        let welcome = Answer::Welcome { version: VERSION, strings, devices, batteries };
        assert_eq!(ask(&mut stream, &Request::Hello { version: VERSION }), welcome);
        assert!(matches!(ask(&mut stream, &Request::Hello { version: 9 }), Answer::Refused(_)));
        assert_eq!(ask(&mut stream, &pause(1, 60)), Answer::Done);
        for bad in [pause(3, 60), pause(0, 60), pause(1, 0)] {
            assert!(matches!(ask(&mut stream, &bad), Answer::Refused(_)), "{bad:?}");
        }
        let resume = Request::Order(Order::Resume { string: 1 });
        assert_eq!(ask(&mut stream, &resume), Answer::Done);
        let part = ask(&mut stream, &Request::Settings { from: 0 });
        let Answer::Settings { crc, bytes, .. } = part else { panic!("{part:?}") };
        assert_eq!(GuardSettings::number(std::str::from_utf8(&bytes).expect("text")), crc);
        // Good and in time, but there is no folder to keep it in: those in force stay.
        let text = String::from_utf8(bytes).expect("text").replace("7.0", "8.0");
        let offer = Request::Offer { at: 0, bytes: text.clone().into_bytes() };
        assert_eq!(ask(&mut stream, &offer), Answer::Done);
        let number = GuardSettings::number(&text);
        let taking = Taking { crc: number, instead_of: crc, despite_alarm: false };
        let refused = ask(&mut stream, &Request::Take(taking));
        assert!(matches!(&refused, Answer::Refused(why) if why.contains("written")), "{refused:?}");

        let mut garbage = UnixStream::connect(&path).expect("connected");
        garbage.write_all(&[0xFF; 64]).expect("sent");
        assert_eq!(garbage.read(&mut [0; 8]).expect("closed"), 0, "nonsense ends the connection");
        assert_eq!(ask(&mut stream, &Request::Hello { version: VERSION }), welcome);
        stop.store(true, Ordering::Relaxed);
        server.join().expect("ends");
        cycle.join().expect("ends");
    }

    #[test]
    fn silent_clients_do_not_lock_others_out() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("guard.sock");
        let listener = listen(&path).expect("listening");
        let stop = Arc::new(AtomicBool::new(false));
        let server = std::thread::spawn({
            let (stop, desk) = (stop.clone(), Desk::new(&control(), Kept::default()));
            move || {
                let (strings, batteries, devices) = Default::default();
                let names = Names { strings, batteries, devices };
                serve(&listener, &names, &desk, &stop);
            }
        });
        let silent: Vec<_> = (0..CLIENTS_MAX).map(|_| UnixStream::connect(&path)).collect();
        for client in silent.into_iter().flatten() {
            // Blocks until the guard closes it.
            assert_eq!((&client).read(&mut [0; 1]).expect("closed"), 0);
        }
        let mut late = UnixStream::connect(&path).expect("connected");
        let hello = Request::Hello { version: VERSION };
        assert!(matches!(ask(&mut late, &hello), Answer::Welcome { .. }));
        stop.store(true, Ordering::Relaxed);
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
