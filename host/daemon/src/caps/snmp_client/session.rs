//! Questions and answers with one agent.
//!
//! An exchange sends a request, waits, and repeats it as often as the grant
//! says. The socket is connected, so the system hands over datagrams from the
//! agent's own address alone; what is no answer to a request of this exchange
//! is passed over. With v3 the engine is discovered first and its clock taken
//! from a signed message only (RFC 3414 §4); when the agent says that the
//! clock is off, it is taken once more.

use super::SnmpError;
use super::ber::Garbled;
use super::pdu::{self, Binding, Classic, Kind, Pdu, Value};
use super::usm::{self, Engine, Incoming, Keys, MESSAGE_LEN_MAX, Master, Rejected, WINDOW_S};
use crate::caps::bucket::Bucket;
use crate::caps::meter::{Meter, Way};
use crate::caps::net_client::address;
use crate::caps::net_client::error::Fault;
use crate::clock;
use crate::grants::snmp::{Identity, SnmpAddress, SnmpAgent, User};
use crate::plugin::stop::{Stop, Woken};
use evenkeel_core::time::Nanos;
use rustix::event::PollFlags;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;

/// How long the address of an agent is looked for.
const LOOKUP_MAX: Nanos = Nanos::from_secs(5);
/// Datagrams that are passed over in one exchange.
const STRAY_MAX: u32 = 64;
/// Messages of one attempt: find the engine, take its clock, ask, ask again
/// with a corrected clock.
const STEPS_MAX: u32 = 4;

/// What a request draws on.
pub struct Means<'a> {
    /// Ends a wait.
    pub stop: &'a Stop,
    /// Datagrams that may be sent.
    pub requests: &'a mut Bucket,
    /// Where bytes are counted.
    pub meter: &'a Meter,
}

/// An agent and what is known of it.
#[derive(Debug)]
pub struct Session {
    agent: SnmpAgent,
    socket: Option<UdpSocket>,
    security: Option<Security>,
    next_id: i32,
    buffer: Vec<u8>,
}

/// What v3 adds.
struct Security {
    user: User,
    master: Master,
    engine: Option<Known>,
    next_salt: u64,
}

impl core::fmt::Debug for Security {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Security").field("user", &self.user.name).finish_non_exhaustive()
    }
}

/// An engine whose name is known; its clock runs on from `at`.
struct Known {
    engine: Engine,
    keys: Keys,
    at: Nanos,
}

impl Known {
    fn new(id: Vec<u8>, master: &Master) -> Self {
        let keys = master.localise(&id);
        Self { engine: Engine { id, ..Engine::default() }, keys, at: clock::now() }
    }

    /// The engine with its clock now. Boots of 0 mean that the clock is not
    /// known; then it stands.
    fn now(&self) -> Engine {
        let since_s = clock::now().since(self.at).0 / 1_000_000_000;
        let runs = if self.engine.boots == 0 { 0 } else { since_s as u32 };
        Engine { time_s: self.engine.time_s.saturating_add(runs), ..self.engine.clone() }
    }

    /// Take the clock of a signed message; false when the message is older
    /// than the window allows (RFC 3414 §3.2.7b).
    fn take_clock(&mut self, seen: &Engine) -> bool {
        let now = self.now();
        if (seen.boots, seen.time_s) > (now.boots, now.time_s) || self.engine.boots == 0 {
            (self.engine, self.at) = (seen.clone(), clock::now());
        }
        seen.boots == self.engine.boots && seen.time_s.saturating_add(WINDOW_S) >= now.time_s
    }
}

/// What a step of an attempt led to.
enum Step {
    Answer(Pdu),
    Again,
    Silence,
}

/// Why an agent's engine did not take a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refused {
    Level,
    Window,
    User,
    Engine,
    Digest,
    Decryption,
}

impl Refused {
    /// By the counter that a report carries: usmStats.n (RFC 3414 §5).
    fn of(pdu: &Pdu) -> Option<Self> {
        const USM_STATS: [u32; 9] = [1, 3, 6, 1, 6, 3, 15, 1, 1];
        match pdu.bindings.first()?.oid.strip_prefix(&USM_STATS)? {
            [1, ..] => Some(Self::Level),
            [2, ..] => Some(Self::Window),
            [3, ..] => Some(Self::User),
            [4, ..] => Some(Self::Engine),
            [5, ..] => Some(Self::Digest),
            [6, ..] => Some(Self::Decryption),
            _ => None,
        }
    }

    fn text(self, user: &User) -> String {
        let name = &user.name;
        match self {
            Self::Level if user.privacy.is_some() => format!(
                "the agent has no encryption for the user {name:?}; give it a privacy key there"
            ),
            Self::Level => format!(
                "the agent does not take unencrypted messages of the user {name:?}; add `privacy` \
                 and `privacy_key`"
            ),
            Self::Window => "the agent's clock runs apart from what it says; restart it".to_owned(),
            Self::User => format!(
                "the agent does not know the user {name:?}; correct `user`, or create it there"
            ),
            Self::Engine => {
                "`engine_id` is not the agent's; leave it out to have it found".to_owned()
            }
            Self::Digest => {
                format!("wrong key: `auth` or `auth_key` is not the agent's for the user {name:?}")
            }
            Self::Decryption => format!(
                "decryption error: `privacy` or `privacy_key` is not the agent's for the user {name:?}"
            ),
        }
    }
}

impl Session {
    /// With this agent; nothing is sent yet. With v3 this works for some
    /// milliseconds on the keys.
    #[must_use]
    pub fn new(agent: &SnmpAgent) -> Self {
        let security = match &agent.identity {
            Identity::V3(user) => {
                let master = Master::new(user);
                let engine = user.engine_id.clone().map(|id| Known::new(id, &master));
                Some(Security { user: user.clone(), master, engine, next_salt: random() })
            }
            Identity::V1(_) | Identity::V2c(_) => None,
        };
        let next_id = (random() >> 33) as i32;
        let agent = agent.clone();
        Self { agent, socket: None, security, next_id, buffer: Vec::new() }
    }

    /// What was granted.
    #[must_use]
    pub const fn agent(&self) -> &SnmpAgent {
        &self.agent
    }

    /// Whether the agent speaks SNMPv1.
    #[must_use]
    pub const fn is_v1(&self) -> bool {
        matches!(self.agent.identity, Identity::V1(_))
    }

    /// Ask; the answer may carry an error status. A request that changes
    /// something is sent once.
    ///
    /// # Errors
    /// [`SnmpError`].
    pub fn ask(&mut self, request: &Pdu, means: &mut Means<'_>) -> Result<Pdu, SnmpError> {
        let asked = self.try_ask(request, means);
        if asked.is_err() {
            // The next one looks for the address anew, and no late datagram
            // meets it.
            self.socket = None;
        }
        asked
    }

    fn try_ask(&mut self, request: &Pdu, means: &mut Means<'_>) -> Result<Pdu, SnmpError> {
        self.connect(means.stop)?;
        let timeout = Nanos(u64::try_from(self.agent.timeout.as_nanos()).unwrap_or(u64::MAX));
        let tries = if request.kind == Kind::Set { 1 } else { self.agent.retries + 1 };
        let mut exchange = Exchange { sent: Vec::new(), stray: 0, rejected: None };
        for _ in 0..tries {
            let deadline = clock::now() + timeout;
            for _ in 0..STEPS_MAX {
                match self.step(request, &mut exchange, deadline, means)? {
                    Step::Answer(pdu) => return Ok(pdu),
                    Step::Again => exchange.sent.clear(),
                    Step::Silence => break,
                }
            }
        }
        Err(exchange.rejected.map_or_else(|| self.silent(tries, request.kind), SnmpError::Rejected))
    }

    fn silent(&self, tries: u32, kind: Kind) -> SnmpError {
        let hint = match &self.agent.identity {
            Identity::V1(_) | Identity::V2c(_) => {
                "check that the agent runs, its access list, and `community`: agents do not answer \
                 a wrong one"
            }
            Identity::V3(user) if user.privacy.is_some() => {
                "check that the agent runs, its access list, and `privacy_key`: some agents do not \
                 answer what they cannot decrypt"
            }
            Identity::V3(_) => "check that the agent runs, and its access list",
        };
        let done =
            if kind == Kind::Set { "; it may have been carried out all the same" } else { "" };
        SnmpError::Silent {
            address: self.agent.address.clone(),
            tries,
            timeout_ms: self.agent.timeout.as_millis(),
            hint,
            done,
        }
    }

    fn connect(&mut self, stop: &Stop) -> Result<(), SnmpError> {
        if self.socket.is_some() {
            return Ok(());
        }
        let SnmpAddress { host, port } = &self.agent.address;
        let unresolved = |fault| match fault {
            Fault::Stopped => SnmpError::Stopped,
            source => SnmpError::Resolve { host: host.clone(), source },
        };
        let peers = address::resolve(host, *port, clock::now() + LOOKUP_MAX, stop);
        let peers = peers.map_err(unresolved)?;
        let Some(peer) = peers.first().copied() else { return Err(unresolved(Fault::NoAddress)) };
        self.socket = Some(socket(peer).map_err(|source| self.unreachable(source))?);
        Ok(())
    }

    fn unreachable(&self, source: io::Error) -> SnmpError {
        SnmpError::Unreachable { address: self.agent.address.clone(), source }
    }

    /// Send what is to be sent next, and wait for what comes of it.
    fn step(
        &mut self,
        request: &Pdu,
        exchange: &mut Exchange,
        deadline: Nanos,
        means: &mut Means<'_>,
    ) -> Result<Step, SnmpError> {
        if !means.requests.admit(clock::now()) {
            return Err(SnmpError::Rate);
        }
        let id = self.next_id;
        self.next_id = if id == i32::MAX { 1 } else { id + 1 };
        exchange.sent.push(id);
        let datagram = self.encode(&Pdu { id, ..request.clone() });
        if datagram.len() > MESSAGE_LEN_MAX {
            return Err(SnmpError::TooLong);
        }
        let Some(socket) = &self.socket else { return Ok(Step::Silence) };
        match socket.send(&datagram) {
            Ok(len) => means.meter.sent(Way::Net, len),
            // The queue is full: as if it were lost on the way.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(source) => return Err(self.unreachable(source)),
        }
        loop {
            let Some(len) = self.receive(deadline, means.stop)? else { return Ok(Step::Silence) };
            means.meter.received(Way::Net, len);
            let taken = self.take(len, exchange)?;
            if let Some(step) = taken {
                return Ok(step);
            }
            exchange.stray += 1;
            if exchange.stray > STRAY_MAX {
                return Err(SnmpError::Flooded { address: self.agent.address.clone() });
            }
        }
    }

    fn encode(&mut self, request: &Pdu) -> Vec<u8> {
        match (&self.agent.identity, &mut self.security) {
            (Identity::V1(community), _) => {
                pdu::encode_message(Classic::V1, community.bytes(), request)
            }
            (Identity::V2c(community), _) => {
                pdu::encode_message(Classic::V2c, community.bytes(), request)
            }
            (Identity::V3(_), None) => unreachable!("made together with the identity"),
            (Identity::V3(_), Some(security)) => match &security.engine {
                None => {
                    let question = Pdu { kind: Kind::Get, bindings: Vec::new(), ..request.clone() };
                    usm::unsigned(request.id, &Engine::default(), &question)
                }
                Some(known) => {
                    let salt = security.next_salt;
                    security.next_salt = salt.wrapping_add(1);
                    let Security { user, .. } = security;
                    usm::seal(request.id, &known.now(), user, &known.keys, salt, request)
                }
            },
        }
    }

    /// The length of the next datagram; none at the deadline.
    fn receive(&mut self, deadline: Nanos, stop: &Stop) -> Result<Option<usize>, SnmpError> {
        // One byte more, to see that a datagram was too long.
        self.buffer.resize(MESSAGE_LEN_MAX + 1, 0);
        loop {
            let Some(socket) = &self.socket else { return Ok(None) };
            match stop.wait_for(socket.as_fd(), PollFlags::IN, deadline) {
                Ok(Woken::Stopped) => return Err(SnmpError::Stopped),
                Ok(Woken::TimedOut) => return Ok(None),
                Ok(Woken::Ready(_)) => {}
                Err(source) => return Err(self.unreachable(source)),
            }
            match socket.recv(&mut self.buffer) {
                Ok(len) => return Ok(Some(len)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(source) => return Err(self.unreachable(source)),
            }
        }
    }

    /// What a datagram means for the exchange; none when it is not for it.
    fn take(&mut self, len: usize, exchange: &mut Exchange) -> Result<Option<Step>, SnmpError> {
        let datagram = &self.buffer[..len];
        let decoded = match (&self.agent.identity, &mut self.security) {
            _ if len > MESSAGE_LEN_MAX => {
                let what = "an answer is longer than 16 KiB";
                Err(Rejected::Garbled(Garbled { what, at: len }))
            }
            (Identity::V1(community), _) => {
                pdu::decode_message(Classic::V1, community.bytes(), datagram).map_err(Into::into)
            }
            (Identity::V2c(community), _) => {
                pdu::decode_message(Classic::V2c, community.bytes(), datagram).map_err(Into::into)
            }
            (Identity::V3(_), None) => Ok(None),
            (Identity::V3(_), Some(security)) => {
                let keys = security.engine.as_ref().map(|known| &known.keys);
                match usm::open(datagram, keys) {
                    Ok(incoming) => return security.take(incoming, exchange),
                    Err(rejected) => Err(rejected),
                }
            }
        };
        match decoded {
            Ok(Some(pdu)) if pdu.kind == Kind::Response && exchange.sent.contains(&pdu.id) => {
                Ok(Some(Step::Answer(pdu)))
            }
            Ok(_) => Ok(None),
            Err(rejected) => {
                exchange.rejected = Some(rejected);
                Ok(None)
            }
        }
    }
}

/// The course of one exchange.
struct Exchange {
    /// Identifiers of the messages that may be answered.
    sent: Vec<i32>,
    stray: u32,
    /// Why the last stray one was not taken, if that says something.
    rejected: Option<Rejected>,
}

impl Security {
    fn take(&mut self, incoming: Incoming, exchange: &Exchange) -> Result<Option<Step>, SnmpError> {
        if !exchange.sent.contains(&incoming.message_id) {
            return Ok(None);
        }
        let Some(known) = &mut self.engine else {
            // The question for the engine's name is answered by a report.
            let named =
                incoming.pdu.kind == Kind::Report && (5..=32).contains(&incoming.engine.id.len());
            if named {
                self.engine = Some(Known::new(incoming.engine.id, &self.master));
            }
            return Ok(named.then_some(Step::Again));
        };
        if incoming.pdu.kind == Kind::Report {
            return self.refused(&incoming);
        }
        let level = incoming.authentic && incoming.private == known.keys.is_private();
        let from = incoming.engine.id == known.engine.id && known.take_clock(&incoming.engine);
        let ours = incoming.pdu.kind == Kind::Response && exchange.sent.contains(&incoming.pdu.id);
        Ok((level && from && ours).then_some(Step::Answer(incoming.pdu)))
    }

    /// Reports are not secret, and most are not signed: they end an exchange
    /// or begin the discovery again, and set no clock unless signed.
    fn refused(&mut self, incoming: &Incoming) -> Result<Option<Step>, SnmpError> {
        let Some(refused) = Refused::of(&incoming.pdu) else { return Ok(None) };
        let Some(known) = &mut self.engine else { return Ok(None) };
        match refused {
            Refused::Window if incoming.authentic && incoming.engine.id == known.engine.id => {
                (known.engine, known.at) = (incoming.engine.clone(), clock::now());
                Ok(Some(Step::Again))
            }
            // Unsigned: the sender is not known, and an agent signs it.
            Refused::Window => Ok(None),
            Refused::Engine if self.user.engine_id.is_none() => {
                self.engine = None;
                Ok(Some(Step::Again))
            }
            _ => Err(SnmpError::Security { text: refused.text(&self.user) }),
        }
    }
}

fn socket(peer: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = match peer {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(peer)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn random() -> u64 {
    let mut bytes = [0; 8];
    // As in `caps::random`: without it no key of the appliance is safe.
    getrandom::fill(&mut bytes).expect("the system has a source of random numbers");
    u64::from_ne_bytes(bytes)
}

/// A request for these objects.
#[must_use]
pub fn request(kind: Kind, oids: impl IntoIterator<Item = super::ber::Oid>) -> Pdu {
    let bindings = oids.into_iter().map(|oid| Binding { oid, value: Value::Null }).collect();
    Pdu { kind, id: 0, status: 0, index: 0, bindings }
}
