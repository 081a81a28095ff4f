//! `evenkeel:net-client`: connections to peers that are granted by name.
//!
//! The guest says `server`; which host, port and certificate that is, only the
//! grant knows. What is sent and received is the guest's own business.

pub mod address;
pub mod error;
pub mod stream;
pub mod trust;

use super::Site;
use super::bucket::Bucket;
use super::log::{Level, Log};
use super::meter::{Meter, Way};
use super::rates::SharedBucket;
use crate::clock;
use crate::grants::{Endpoint, Named, Transport};
use crate::plugin::bindings::net_client::net_client as wit;
use crate::plugin::limits::HANDLES_MAX;
use crate::plugin::stop::Stop;
use error::{Fault, NetError};
use evenkeel_core::time::Nanos;
use rustix::event::PollFlags;
use rustix::net::SocketType;
use std::io;
use std::net::{IpAddr, UdpSocket};
use std::sync::Arc;
use stream::{Stream, Wait};
use wasmtime::component::{Resource, ResourceTable, ResourceTableError};

/// The interface.
pub const INTERFACE: &str = "evenkeel:net-client/net-client@0.1.0";
/// Most bytes of one write or read.
pub const BYTES_MAX: usize = 65_536;
/// Longest datagram in bytes; longer ones of the peer are passed over.
pub const DATAGRAM_BYTES_MAX: usize = 8_192;
/// Longest time for one call, in ms; what asks for more gets this.
pub const TIMEOUT_MS_MAX: u32 = 30_000;
/// Time to look up the name of a peer that is reached by datagrams.
const LOOK_UP: Nanos = Nanos::from_secs(5);
/// Time for the system to take a datagram.
const SEND: Nanos = Nanos::from_secs(1);

/// Connections and sockets that may be made at once.
pub const CONNECTS_BURST: u32 = 20;
/// Afterwards, one per this time.
pub const CONNECTS_INTERVAL: Nanos = Nanos::from_secs(2);
/// Bytes a second that may be sent and received, in the long run.
pub const BYTES_PER_S: u64 = 256 << 10;
/// KiB that may be sent and received at once.
pub const BYTES_BURST_KIB: u32 = 4_096;

/// The peers of one plugin, and its connections to them.
#[derive(Debug)]
pub struct NetClient {
    log: Log,
    meter: Arc<Meter>,
    peers: Named<Endpoint>,
    /// Both outlive the instance: whoever falls and starts again has no more.
    connects: SharedBucket,
    /// Each token is a KiB.
    bytes: SharedBucket,
    table: ResourceTable,
    stop: Arc<Stop>,
}

/// A connection that a guest holds.
#[derive(Debug)]
pub struct Connection {
    peer: Peer,
    /// `None` after an error that leaves it in an unknown state.
    stream: Option<Stream>,
}

/// A socket that a guest holds, connected to its peer: the system passes on
/// that peer's datagrams and nobody else's.
#[derive(Debug)]
pub struct Datagrams {
    peer: Peer,
    socket: UdpSocket,
}

/// Who is at the other end, for messages.
#[derive(Clone, Debug)]
struct Peer {
    endpoint: String,
    /// Where a name stands for it.
    at: Option<IpAddr>,
}

impl Peer {
    fn new(endpoint: &Endpoint, at: Option<IpAddr>) -> Self {
        // An endpoint that is an address says it already.
        let at = at.filter(|at| at.to_string() != endpoint.host);
        Self { endpoint: endpoint.to_string(), at }
    }

    fn failed(&self, fault: Fault) -> NetError {
        NetError::Peer { peer: self.endpoint.clone(), at: self.at, fault }
    }
}

impl From<NetError> for wit::Error {
    fn from(error: NetError) -> Self {
        Self { code: error.code(), detail: crate::plugin::reason(&error) }
    }
}

impl NetClient {
    /// The peers that are granted.
    #[must_use]
    pub fn new(site: &Site<'_>) -> Self {
        let (log, stop) = (site.log.clone(), Arc::clone(site.stop));
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES_MAX);
        let now = clock::now();
        let (name, rates) = (&site.who.name, &site.services.rates);
        let connects = rates.bucket(format!("connections of {name}"), || {
            Bucket::new(CONNECTS_BURST, CONNECTS_INTERVAL, now)
        });
        let bytes = rates.bucket(format!("network bytes of {name}"), || {
            Bucket::new(BYTES_BURST_KIB, Nanos(1_024_000_000_000 / BYTES_PER_S), now)
        });
        let meter = Arc::clone(site.meter);
        Self { log, meter, peers: site.grants.net.clone(), connects, bytes, table, stop }
    }

    fn peer(&self, name: &str) -> Result<&Endpoint, NetError> {
        let denied = || NetError::Denied { name: super::one_line(name, 80) };
        self.peers.get(name).ok_or_else(denied)
    }

    fn connection(&mut self, name: &str, timeout_ms: u32) -> Result<Connection, NetError> {
        let deadline = deadline(timeout_ms, 1)?;
        let endpoint = self.peer(name)?.clone();
        if endpoint.transport == Transport::Udp {
            let (peer, asked) = (endpoint.to_string(), "a connection");
            return Err(NetError::Transport { peer, asked, wanted: "tcp:// or tls://" });
        }
        self.admit_connect()?;
        let wait = Wait { stop: &self.stop, deadline, during: "connecting" };
        let connected = stream::connect(&endpoint, wait);
        let (stream, at) =
            connected.map_err(|(at, fault)| Peer::new(&endpoint, at).failed(fault))?;
        let peer = Peer::new(&endpoint, Some(at));
        self.log.say(Level::Info, &format!("connected to {endpoint}"));
        Ok(Connection { peer, stream: Some(stream) })
    }

    fn datagrams(&mut self, name: &str) -> Result<Datagrams, NetError> {
        let endpoint = self.peer(name)?.clone();
        if endpoint.transport != Transport::Udp {
            let (peer, asked) = (endpoint.to_string(), "datagrams");
            return Err(NetError::Transport { peer, asked, wanted: "udp://" });
        }
        self.admit_connect()?;
        let failed = |at, fault| Peer::new(&endpoint, at).failed(fault);
        let deadline = clock::now() + LOOK_UP;
        let found = address::resolve(&endpoint.host, endpoint.port, deadline, &self.stop);
        let addresses = found.map_err(|fault| failed(None, fault))?;
        let mut last = failed(None, Fault::NoAddress);
        for address in addresses {
            let peer = Peer::new(&endpoint, Some(address.ip()));
            let made = stream::socket(address, SocketType::DGRAM).and_then(|socket| {
                rustix::net::connect(&socket, &address).map_err(io::Error::from)?;
                Ok(UdpSocket::from(socket))
            });
            match made {
                Ok(socket) => return Ok(Datagrams { peer, socket }),
                Err(fault) => last = peer.failed(fault),
            }
        }
        Err(last)
    }

    /// One more connection, if there is room for it: refused at once, because
    /// waiting for room would hold up whoever could make it.
    fn admit_connect(&mut self) -> Result<(), NetError> {
        match self.connects.lock().admit(clock::now()) {
            true => Ok(()),
            false => Err(NetError::Connects),
        }
    }

    fn write_all(
        &mut self,
        connection: &Resource<Connection>,
        data: &[u8],
        timeout_ms: u32,
    ) -> wasmtime::Result<Result<(), NetError>> {
        let asked = range("data bytes", data.len(), 0, BYTES_MAX)
            .and_then(|()| deadline(timeout_ms, 1))
            .and_then(|deadline| self.admit_bytes(data.len()).map(|()| deadline));
        let connection = self.table.get_mut(connection)?;
        let wait = |deadline| Wait { stop: &self.stop, deadline, during: "sending" };
        let written = asked.and_then(|deadline| {
            connection.use_stream(|stream| stream.write(data, wait(deadline)), |_| false)
        });
        Ok(self.meter.noted(written.inspect(|()| self.meter.sent(Way::Net, data.len()))))
    }

    fn read_some(
        &mut self,
        connection: &Resource<Connection>,
        max: u32,
        timeout_ms: u32,
    ) -> wasmtime::Result<Result<Vec<u8>, NetError>> {
        let max = max as usize;
        let asked = range("max", max, 1, BYTES_MAX)
            .and_then(|()| deadline(timeout_ms, 0))
            .and_then(|deadline| self.admit_bytes(1).map(|()| deadline));
        let connection = self.table.get_mut(connection)?;
        let wait = |deadline| Wait { stop: &self.stop, deadline, during: "waiting for data" };
        let read = asked.and_then(|deadline| {
            let late = |fault: &Fault| matches!(fault, Fault::Timeout { .. });
            connection.use_stream(|stream| stream.read(max, wait(deadline)), late)
        });
        Ok(self.arrived(read))
    }

    fn send_one(
        &mut self,
        datagrams: &Resource<Datagrams>,
        data: &[u8],
    ) -> wasmtime::Result<Result<(), NetError>> {
        let asked = range("data bytes", data.len(), 0, DATAGRAM_BYTES_MAX)
            .and_then(|()| self.admit_bytes(data.len()));
        let Datagrams { peer, socket } = self.table.get_mut(datagrams)?;
        let wait = Wait { stop: &self.stop, deadline: clock::now() + SEND, during: "sending" };
        let sent = asked.and_then(|()| {
            let sent = wait.until_done(socket, PollFlags::OUT, |socket| socket.send(data));
            sent.map(|_| ()).map_err(|fault| peer.failed(fault))
        });
        Ok(self.meter.noted(sent.inspect(|()| self.meter.sent(Way::Net, data.len()))))
    }

    fn receive_one(
        &mut self,
        datagrams: &Resource<Datagrams>,
        timeout_ms: u32,
    ) -> wasmtime::Result<Result<Vec<u8>, NetError>> {
        let asked =
            deadline(timeout_ms, 0).and_then(|deadline| self.admit_bytes(1).map(|()| deadline));
        let Datagrams { peer, socket } = self.table.get_mut(datagrams)?;
        let received = asked.and_then(|deadline| {
            let wait = Wait { stop: &self.stop, deadline, during: "waiting for a datagram" };
            let mut data = vec![0; DATAGRAM_BYTES_MAX + 1];
            loop {
                let len = wait.until_done(socket, PollFlags::IN, |socket| socket.recv(&mut data));
                let len = len.map_err(|fault| peer.failed(fault))?;
                if len <= DATAGRAM_BYTES_MAX {
                    data.truncate(len);
                    return Ok(data);
                }
            }
        });
        Ok(self.arrived(received))
    }

    fn admit_bytes(&mut self, len: usize) -> Result<(), NetError> {
        match self.bytes.lock().take(kib(len), clock::now()) {
            true => Ok(()),
            false => Err(NetError::Bytes),
        }
    }

    /// What arrived has arrived; it counts against what comes next.
    fn arrived(&mut self, read: Result<Vec<u8>, NetError>) -> Result<Vec<u8>, NetError> {
        if let Ok(data) = &read {
            self.bytes.lock().charge(kib(data.len()).saturating_sub(1), clock::now());
            self.meter.received(Way::Net, data.len());
        }
        self.meter.noted(read)
    }
}

impl Connection {
    /// Use the stream; an error that is not `harmless` closes it.
    fn use_stream<T>(
        &mut self,
        call: impl FnOnce(&mut Stream) -> Result<T, Fault>,
        harmless: impl FnOnce(&Fault) -> bool,
    ) -> Result<T, NetError> {
        let Self { peer, stream } = self;
        let done = stream.as_mut().ok_or(Fault::Closed).and_then(call);
        if done.as_ref().is_err_and(|fault| !harmless(fault)) {
            *stream = None;
        }
        done.map_err(|fault| peer.failed(fault))
    }
}

/// KiB that `len` bytes count for; a call counts for one at least.
fn kib(len: usize) -> u32 {
    u32::try_from(len.div_ceil(1_024).max(1)).unwrap_or(u32::MAX)
}

fn deadline(timeout_ms: u32, least: u32) -> Result<Nanos, NetError> {
    let ms = timeout_ms.min(TIMEOUT_MS_MAX);
    range("timeout-ms", ms as usize, least as usize, TIMEOUT_MS_MAX as usize)?;
    Ok(clock::now() + Nanos::from_millis(ms.into()))
}

fn range(parameter: &'static str, found: usize, low: usize, high: usize) -> Result<(), NetError> {
    let [found, low, high] = [found, low, high].map(|number| number as u64);
    match (low..=high).contains(&found) {
        true => Ok(()),
        false => Err(NetError::Range { parameter, found, low, high }),
    }
}

/// A handle for what was made, or the guest's error.
fn handle<T: Send + 'static>(
    table: &mut ResourceTable,
    meter: &Meter,
    made: Result<T, NetError>,
) -> wasmtime::Result<Result<Resource<T>, wit::Error>> {
    let made = match meter.noted(made) {
        Ok(made) => made,
        Err(error) => return Ok(Err(error.into())),
    };
    match table.push(made) {
        Ok(resource) => Ok(Ok(resource)),
        Err(ResourceTableError::Full) => {
            Ok(meter.noted(Err(NetError::Handles)).map_err(Into::into))
        }
        Err(error) => Err(error.into()),
    }
}

impl wit::Host for NetClient {
    fn transport_of(
        &mut self,
        endpoint: String,
    ) -> wasmtime::Result<Result<wit::Transport, wit::Error>> {
        let transport = self.peer(&endpoint).map(|endpoint| match endpoint.transport {
            Transport::Udp => wit::Transport::Udp,
            Transport::Tcp => wit::Transport::Tcp,
            Transport::Tls => wit::Transport::Tls,
        });
        Ok(transport.map_err(Into::into))
    }
}

impl wit::HostConnection for NetClient {
    fn connect(
        &mut self,
        endpoint: String,
        timeout_ms: u32,
    ) -> wasmtime::Result<Result<Resource<Connection>, wit::Error>> {
        let made = self.connection(&endpoint, timeout_ms);
        handle(&mut self.table, &self.meter, made)
    }

    fn write(
        &mut self,
        connection: Resource<Connection>,
        data: Vec<u8>,
        timeout_ms: u32,
    ) -> wasmtime::Result<Result<(), wit::Error>> {
        Ok(self.write_all(&connection, &data, timeout_ms)?.map_err(Into::into))
    }

    fn read(
        &mut self,
        connection: Resource<Connection>,
        max: u32,
        timeout_ms: u32,
    ) -> wasmtime::Result<Result<Vec<u8>, wit::Error>> {
        Ok(self.read_some(&connection, max, timeout_ms)?.map_err(Into::into))
    }

    fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        self.table.delete(connection)?;
        Ok(())
    }
}

impl wit::HostDatagrams for NetClient {
    fn open(
        &mut self,
        endpoint: String,
    ) -> wasmtime::Result<Result<Resource<Datagrams>, wit::Error>> {
        let made = self.datagrams(&endpoint);
        handle(&mut self.table, &self.meter, made)
    }

    fn send(
        &mut self,
        datagrams: Resource<Datagrams>,
        data: Vec<u8>,
    ) -> wasmtime::Result<Result<(), wit::Error>> {
        Ok(self.send_one(&datagrams, &data)?.map_err(Into::into))
    }

    fn receive(
        &mut self,
        datagrams: Resource<Datagrams>,
        timeout_ms: u32,
    ) -> wasmtime::Result<Result<Vec<u8>, wit::Error>> {
        Ok(self.receive_one(&datagrams, timeout_ms)?.map_err(Into::into))
    }

    fn drop(&mut self, datagrams: Resource<Datagrams>) -> wasmtime::Result<()> {
        self.table.delete(datagrams)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
