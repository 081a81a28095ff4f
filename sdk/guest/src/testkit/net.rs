//! Peers on the network for tests: what they answer, and what goes wrong on the
//! way, said in the words that the appliance has for it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use super::fault::Fault;
use crate::host::{Connection, Datagrams, NetError, Transport};

/// Longest piece that is written or read at once.
const BYTES_MAX: usize = 65_536;
/// Longest datagram that is sent.
const DATAGRAM_BYTES_MAX: usize = 8_192;
/// Longest wait, ms; who asks for more gets this.
const TIMEOUT_MS_MAX: u32 = 30_000;

/// What a peer answers to a message.
pub type Answer = dyn FnMut(&[u8]) -> Option<Vec<u8>>;

/// A peer on the network that answers whatever `answer` makes of each message.
pub struct Peer {
    /// How it is reached.
    pub transport: Transport,
    /// What it answers; `None` is nothing.
    pub answer: Box<Answer>,
    /// What it was sent, message by message.
    pub heard: Vec<Vec<u8>>,
    /// What it answered, as it arrived.
    pub said: Vec<Vec<u8>>,
    /// Connections and datagrams fail with this code of [`NetError`].
    pub fails: Option<u32>,
    /// What is wrong on the way.
    pub fault: Fault,
    /// How often a fault struck that strikes some answers only.
    pub struck: u32,
    name: String,
}

impl Peer {
    pub(super) fn new(name: &str, transport: Transport, answer: Box<Answer>) -> Self {
        Self {
            transport,
            answer,
            heard: Vec::new(),
            said: Vec::new(),
            fails: None,
            fault: Fault::None,
            struck: 0,
            name: name.to_owned(),
        }
    }

    /// Where it is: the words of every error begin with it, as on the appliance.
    #[must_use]
    pub fn address(&self) -> String {
        let scheme = match self.transport {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
        };
        format!("{scheme}://{}.test", self.name)
    }

    /// The code with which everything fails at present.
    fn failure(&self) -> Option<u32> {
        match self.fault {
            Fault::Refused => Some(NetError::REFUSED),
            _ => self.fails,
        }
    }

    fn check(&self) -> Result<(), NetError> {
        self.failure().map_or(Ok(()), |code| Err(self.error(code)))
    }

    fn error(&self, code: u32) -> NetError {
        let words = match code {
            NetError::UNREACHABLE => "it cannot be reached; check its address and the network",
            NetError::REFUSED => "it refuses; check its port and that the service there runs",
            NetError::TIMEOUT => "no answer in time while waiting for data",
            NetError::CLOSED => "it ended the connection",
            _ => "as the test wants it",
        };
        NetError::new(code, format!("{}: {words}", self.address()))
    }

    fn is_reached_by(&self, asked: &str, fits: bool) -> Result<(), NetError> {
        let words = || format!("{} is not reached by {asked}", self.address());
        if fits { Ok(()) } else { Err(NetError::new(NetError::INVALID, words())) }
    }

    /// The bytes that arrive in answer to `data`, and whether the connection
    /// ends behind them.
    fn hear(&mut self, data: &[u8], late: &mut Option<Vec<u8>>) -> (Option<Vec<u8>>, bool) {
        self.heard.push(data.to_vec());
        let Self { fault, answer, .. } = self;
        let arrival = fault.arrival(data, late, || answer(data));
        self.struck += u32::from(arrival.is_struck);
        self.said.extend(arrival.bytes.clone());
        (arrival.bytes, arrival.is_end)
    }
}

/// Time that was waited for peers, ms.
pub(super) type Waited = Rc<Cell<u64>>;

fn wait(waited: &Waited, timeout_ms: u32) {
    waited.set(waited.get() + u64::from(timeout_ms.min(TIMEOUT_MS_MAX)));
}

fn range(parameter: &str, found: usize, most: usize) -> Result<(), NetError> {
    let words = || format!("{parameter} {found} is not in 1 … {most}");
    let fits = (1..=most).contains(&found);
    if fits { Ok(()) } else { Err(NetError::new(NetError::INVALID, words())) }
}

/// A connection: what arrived on it, and whether it has ended.
pub(super) struct Stream {
    peer: Rc<RefCell<Peer>>,
    arrived: VecDeque<u8>,
    late: Option<Vec<u8>>,
    has_ended: bool,
    waited: Waited,
}

impl Stream {
    pub(super) fn connect(peer: Rc<RefCell<Peer>>, waited: Waited) -> Result<Self, NetError> {
        {
            let peer = peer.borrow();
            peer.is_reached_by("a connection", peer.transport != Transport::Udp)?;
            peer.check()?;
        }
        Ok(Self { peer, arrived: VecDeque::new(), late: None, has_ended: false, waited })
    }

    /// Whoever refuses has ended the connections that stood, for good.
    fn check(&mut self) -> Result<(), NetError> {
        let peer = self.peer.borrow();
        match peer.failure() {
            Some(NetError::REFUSED) => self.has_ended = true,
            Some(code) => return Err(peer.error(code)),
            None => {}
        }
        Ok(())
    }
}

impl Connection for Stream {
    fn write(&mut self, data: &[u8], timeout_ms: u32) -> Result<(), NetError> {
        range("timeout-ms", timeout_ms.min(TIMEOUT_MS_MAX) as usize, TIMEOUT_MS_MAX as usize)?;
        range("data bytes", data.len().max(1), BYTES_MAX)?;
        self.check()?;
        let mut peer = self.peer.borrow_mut();
        if self.has_ended {
            return Err(peer.error(NetError::CLOSED));
        }
        // What was late comes now, and what is no longer late behind it.
        if peer.fault != Fault::Late {
            self.arrived.extend(self.late.take().into_iter().flatten());
        }
        let (bytes, is_end) = peer.hear(data, &mut self.late);
        self.arrived.extend(bytes.into_iter().flatten());
        self.has_ended = is_end;
        Ok(())
    }

    fn read(&mut self, max: u32, timeout_ms: u32) -> Result<Vec<u8>, NetError> {
        range("max", max as usize, BYTES_MAX)?;
        self.check()?;
        let peer = self.peer.borrow();
        let most = if peer.fault == Fault::Pieces { 1 } else { max as usize };
        match (self.arrived.is_empty(), self.has_ended) {
            (false, _) => Ok(self.arrived.drain(..most.min(self.arrived.len())).collect()),
            (true, true) => Err(peer.error(NetError::CLOSED)),
            (true, false) => {
                wait(&self.waited, timeout_ms);
                Err(peer.error(NetError::TIMEOUT))
            }
        }
    }
}

/// A socket: what arrived at it.
pub(super) struct Socket {
    peer: Rc<RefCell<Peer>>,
    arrived: VecDeque<Vec<u8>>,
    late: Option<Vec<u8>>,
    /// The peer's host has said that nobody listens; the next call tells.
    is_refused: bool,
    waited: Waited,
}

impl Socket {
    pub(super) fn open(peer: Rc<RefCell<Peer>>, waited: Waited) -> Result<Self, NetError> {
        {
            let peer = peer.borrow();
            peer.is_reached_by("datagrams", peer.transport == Transport::Udp)?;
            // That nobody listens is only known when something was sent.
            if peer.failure() != Some(NetError::REFUSED) {
                peer.check()?;
            }
        }
        Ok(Self { peer, arrived: VecDeque::new(), late: None, is_refused: false, waited })
    }
}

impl Datagrams for Socket {
    fn send(&mut self, data: &[u8]) -> Result<(), NetError> {
        range("data bytes", data.len().max(1), DATAGRAM_BYTES_MAX)?;
        let mut peer = self.peer.borrow_mut();
        match peer.failure() {
            Some(NetError::REFUSED) => {
                self.is_refused = true;
                return Ok(());
            }
            Some(code) => return Err(peer.error(code)),
            None => {}
        }
        if peer.fault != Fault::Late {
            self.arrived.extend(self.late.take());
        }
        let (datagram, _) = peer.hear(data, &mut self.late);
        self.arrived.extend(datagram);
        Ok(())
    }

    fn receive(&mut self, timeout_ms: u32) -> Result<Vec<u8>, NetError> {
        let peer = self.peer.borrow();
        if std::mem::take(&mut self.is_refused) {
            return Err(peer.error(NetError::REFUSED));
        }
        match peer.failure() {
            Some(NetError::REFUSED) | None => {}
            Some(code) => return Err(peer.error(code)),
        }
        self.arrived.pop_front().ok_or_else(|| {
            wait(&self.waited, timeout_ms);
            peer.error(NetError::TIMEOUT)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::fault::{At, Damage};
    use super::*;
    use crate::host::{Clock as _, Net as _};
    use crate::testkit::Bench;

    fn shouting(transport: Transport) -> (Bench, Rc<RefCell<Peer>>) {
        let mut bench = Bench::default();
        let peer = bench.add_peer("log", transport, |data| Some(data.to_ascii_uppercase()));
        (bench, peer)
    }

    #[test]
    fn a_stream_is_bytes_until_it_ends() {
        let (mut bench, peer) = shouting(Transport::Tcp);
        let mut connection = bench.connect("log", 1000).unwrap();
        connection.write(b"abc", 1000).unwrap();
        assert_eq!(connection.read(2, 1000).unwrap(), b"AB");
        assert_eq!(connection.read(9, 1000).unwrap(), b"C");
        let silence = connection.read(9, 1500).unwrap_err();
        assert_eq!((silence.code, bench.now_ms()), (NetError::TIMEOUT, 1500));
        peer.borrow_mut().fault = Fault::Pieces;
        connection.write(b"de", 1000).unwrap();
        assert_eq!(connection.read(9, 1000).unwrap(), b"D");
        peer.borrow_mut().fault = Fault::Closed(At::Every, 1);
        connection.write(b"fg", 1000).unwrap();
        assert_eq!(connection.read(9, 1000).unwrap(), b"EF");
        assert_eq!(connection.read(9, 1000).unwrap_err().code, NetError::CLOSED);
        peer.borrow_mut().fault = Fault::None;
        assert_eq!(connection.write(b"h", 1000).unwrap_err().code, NetError::CLOSED);
        assert!(bench.connect("log", 1).is_ok(), "another one is as good as new");
        assert_eq!(connection.read(0, 1).unwrap_err().code, NetError::INVALID);
        assert_eq!(connection.write(b"", 0).unwrap_err().code, NetError::INVALID);
    }

    #[test]
    fn whoever_refuses_ends_what_stood_and_names_itself() {
        let (mut bench, peer) = shouting(Transport::Tcp);
        let mut connection = bench.connect("log", 1000).unwrap();
        peer.borrow_mut().fault = Fault::Refused;
        assert_eq!(connection.write(b"x", 1).unwrap_err().code, NetError::CLOSED);
        let Err(refused) = bench.connect("log", 1) else { panic!("connected") };
        assert_eq!(refused.code, NetError::REFUSED);
        assert!(refused.detail.starts_with("tcp://log.test: it refuses"), "{refused}");
        peer.borrow_mut().fault = Fault::None;
        assert_eq!(connection.write(b"x", 1).unwrap_err().code, NetError::CLOSED);
        peer.borrow_mut().fails = Some(NetError::TLS);
        assert!(matches!(bench.connect("log", 1), Err(e) if e.code == NetError::TLS));
        assert!(matches!(bench.connect("foreign", 1), Err(e) if e.code == NetError::DENIED));
        assert!(matches!(bench.open_datagrams("log"), Err(e) if e.code == NetError::INVALID));
    }

    #[test]
    fn datagrams_are_whole_late_or_refused_behind_the_sending() {
        let (mut bench, peer) = shouting(Transport::Udp);
        assert!(matches!(bench.connect("log", 1), Err(e) if e.code == NetError::INVALID));
        let mut socket = bench.open_datagrams("log").unwrap();
        peer.borrow_mut().fault = Fault::Late;
        socket.send(b"one").unwrap();
        assert_eq!(socket.receive(5).unwrap_err().code, NetError::TIMEOUT);
        peer.borrow_mut().fault = Fault::None;
        socket.send(b"two").unwrap();
        assert_eq!(socket.receive(5).unwrap(), b"ONE");
        assert_eq!(socket.receive(5).unwrap(), b"TWO");
        peer.borrow_mut().fault = Fault::Damaged(At::Every, Damage::Cut(2));
        socket.send(b"three").unwrap();
        assert_eq!(socket.receive(5).unwrap(), b"TH");
        peer.borrow_mut().fault = Fault::Refused;
        socket.send(b"four").unwrap();
        assert_eq!(socket.receive(5).unwrap_err().code, NetError::REFUSED);
        assert_eq!(socket.receive(5).unwrap_err().code, NetError::TIMEOUT);
        assert_eq!(peer.borrow().heard.len(), 3);
    }
}
