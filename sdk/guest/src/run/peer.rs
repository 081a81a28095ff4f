//! Peers on the network of a PC, with the rules of the appliance: a plugin names
//! an endpoint, and every error begins with the address behind it. Without TLS,
//! whose certificates are a matter of the appliance's grants.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _, UdpSocket};
use std::rc::Rc;
use std::time::Duration;

use super::record::Record;
use crate::host::{Connection, Datagrams, Net, NetError, Transport};

/// Longest time for one call, ms.
const TIMEOUT_MS_MAX: u32 = 30_000;
/// Longest datagram that is received.
const DATAGRAM_BYTES_MAX: usize = 8_192;

/// Where a peer is: `tcp://192.0.2.7:502`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    transport: Transport,
    at: String,
}

impl Address {
    /// From the command line.
    ///
    /// # Errors
    /// What to write instead.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let ways = [("tcp", Transport::Tcp), ("udp", Transport::Udp)];
        let way = text.split_once("://").and_then(|(scheme, at)| {
            let (_, transport) = ways.into_iter().find(|(known, _)| *known == scheme)?;
            let (host, port) = at.rsplit_once(':')?;
            let is_whole = !host.is_empty() && port.parse::<u16>().is_ok();
            is_whole.then(|| Self { transport, at: at.to_owned() })
        });
        way.ok_or_else(|| format!("{text:?} is no peer: write tcp://host:port or udp://host:port"))
    }

    /// The way, as an exchange.txt has it.
    const fn scheme(&self) -> &'static str {
        match self.transport {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
        }
    }

    fn resolved(&self) -> Result<SocketAddr, NetError> {
        let found = self.at.to_socket_addrs().map_err(|error| self.failed(&error))?.next();
        found.ok_or_else(|| self.error(NetError::UNREACHABLE, "its name has no address"))
    }

    fn failed(&self, error: &io::Error) -> NetError {
        let code = match error.kind() {
            ErrorKind::ConnectionRefused => NetError::REFUSED,
            ErrorKind::TimedOut | ErrorKind::WouldBlock => {
                return self.error(NetError::TIMEOUT, "no answer in time");
            }
            ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
                NetError::CLOSED
            }
            ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable | ErrorKind::NotFound => {
                NetError::UNREACHABLE
            }
            _ => NetError::IO,
        };
        self.error(code, &error.to_string())
    }

    fn error(&self, code: u32, words: &str) -> NetError {
        NetError::new(code, format!("{}://{}: {words}", self.scheme(), self.at))
    }
}

/// The peers that were named.
pub(super) struct PcNet {
    pub(super) peers: BTreeMap<String, Address>,
    pub(super) record: Rc<RefCell<Record>>,
}

impl PcNet {
    fn peer(&self, endpoint: &str) -> Result<&Address, NetError> {
        let words = || format!("add --peer {endpoint}=tcp://HOST:PORT");
        let peer = self.peers.get(endpoint);
        peer.ok_or_else(|| NetError::new(NetError::DENIED, words()))
    }

    fn on_record(&self, endpoint: &str, address: &Address) -> Rc<RefCell<Record>> {
        self.record.borrow_mut().over(&format!("{} {endpoint}", address.scheme()));
        Rc::clone(&self.record)
    }
}

impl Net for PcNet {
    fn transport_of(&mut self, endpoint: &str) -> Result<Transport, NetError> {
        Ok(self.peer(endpoint)?.transport)
    }

    fn connect(
        &mut self,
        endpoint: &str,
        timeout_ms: u32,
    ) -> Result<Box<dyn Connection>, NetError> {
        let address = self.peer(endpoint)?.clone();
        if address.transport == Transport::Udp {
            return Err(address.error(NetError::INVALID, "it is not reached by a connection"));
        }
        let stream = TcpStream::connect_timeout(&address.resolved()?, wait(timeout_ms))
            .and_then(|stream| stream.set_nodelay(true).map(|()| stream))
            .map_err(|error| address.failed(&error))?;
        let record = self.on_record(endpoint, &address);
        Ok(Box::new(PcStream { stream, address, record }))
    }

    fn open_datagrams(&mut self, endpoint: &str) -> Result<Box<dyn Datagrams>, NetError> {
        let address = self.peer(endpoint)?.clone();
        if address.transport != Transport::Udp {
            return Err(address.error(NetError::INVALID, "it is not reached by datagrams"));
        }
        let to = address.resolved()?;
        let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(any)
            .and_then(|socket| socket.connect(to).map(|()| socket))
            .map_err(|error| address.failed(&error))?;
        let record = self.on_record(endpoint, &address);
        Ok(Box::new(PcSocket { socket, address, record }))
    }
}

/// A millisecond is the least that the system waits.
fn wait(timeout_ms: u32) -> Duration {
    Duration::from_millis(timeout_ms.clamp(1, TIMEOUT_MS_MAX).into())
}

struct PcStream {
    stream: TcpStream,
    address: Address,
    record: Rc<RefCell<Record>>,
}

impl Connection for PcStream {
    fn write(&mut self, data: &[u8], timeout_ms: u32) -> Result<(), NetError> {
        let stream = &mut self.stream;
        let written = stream
            .set_write_timeout(Some(wait(timeout_ms)))
            .and_then(|()| stream.write_all(data))
            .map_err(|error| self.address.failed(&error));
        written.inspect(|()| self.record.borrow_mut().ask(data))
    }

    fn read(&mut self, max: u32, timeout_ms: u32) -> Result<Vec<u8>, NetError> {
        let mut bytes = vec![0; max.clamp(1, 65_536) as usize];
        let stream = &mut self.stream;
        let len = stream
            .set_read_timeout(Some(wait(timeout_ms)))
            .and_then(|()| stream.read(&mut bytes))
            .map_err(|error| self.address.failed(&error))?;
        if len == 0 {
            return Err(self.address.error(NetError::CLOSED, "it ended the connection"));
        }
        bytes.truncate(len);
        self.record.borrow_mut().hear(&bytes);
        Ok(bytes)
    }
}

struct PcSocket {
    socket: UdpSocket,
    address: Address,
    record: Rc<RefCell<Record>>,
}

impl Datagrams for PcSocket {
    fn send(&mut self, data: &[u8]) -> Result<(), NetError> {
        self.socket.send(data).map_err(|error| self.address.failed(&error))?;
        self.record.borrow_mut().ask(data);
        Ok(())
    }

    fn receive(&mut self, timeout_ms: u32) -> Result<Vec<u8>, NetError> {
        let mut bytes = vec![0; DATAGRAM_BYTES_MAX];
        let socket = &self.socket;
        let len = socket
            .set_read_timeout(Some(wait(timeout_ms)))
            .and_then(|()| socket.recv(&mut bytes))
            .map_err(|error| self.address.failed(&error))?;
        bytes.truncate(len);
        self.record.borrow_mut().hear(&bytes);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    fn net(address: &str) -> PcNet {
        let peers = BTreeMap::from([("meter".to_owned(), Address::parse(address).unwrap())]);
        PcNet { peers, record: Rc::default() }
    }

    #[test]
    fn an_address_is_whole_or_none() {
        let udp = Address::parse("udp://[2001:db8::1]:161").unwrap();
        assert_eq!((udp.transport, udp.at.as_str()), (Transport::Udp, "[2001:db8::1]:161"));
        for wrong in ["192.0.2.1:502", "tls://a:1", "tcp://a", "tcp://:5", "tcp://a:x"] {
            assert!(Address::parse(wrong).unwrap_err().contains("tcp://host:port"), "{wrong}");
        }
    }

    #[test]
    fn a_peer_answers_ends_and_refuses_in_the_words_of_the_appliance() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("tcp://{}", listener.local_addr().unwrap());
        let peer = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = [0; 1];
            stream.read_exact(&mut asked).unwrap();
            stream.write_all(b"yes").unwrap();
        });
        let mut net = net(&address);
        assert_eq!(net.transport_of("meter"), Ok(Transport::Tcp));
        assert!(net.open_datagrams("meter").is_err_and(|e| e.code == NetError::INVALID));
        let mut stream = net.connect("meter", 5_000).unwrap();
        stream.write(b"?", 5_000).unwrap();
        let mut answer = stream.read(2, 5_000).unwrap();
        answer.extend(stream.read(2, 5_000).unwrap());
        assert_eq!(answer, b"yes");
        peer.join().unwrap();
        assert_eq!(stream.read(1, 5_000).unwrap_err().code, NetError::CLOSED);
        let Err(refused) = net.connect("meter", 5_000) else { panic!("the listener is gone") };
        assert!(refused.code == NetError::REFUSED && refused.detail.starts_with(&address));
        let Err(unknown) = net.connect("other", 1) else { panic!("connected") };
        assert!(unknown.detail.contains("--peer other="), "{unknown}");
        let text = net.record.borrow().text(&[]);
        assert!(text.contains("over tcp meter\n> \"?\"\n< \"yes\"\n"), "{text}");
    }

    #[test]
    fn datagrams_are_exchanged_and_silence_is_a_time_out() {
        let far = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut net = net(&format!("udp://{}", far.local_addr().unwrap()));
        let mut socket = net.open_datagrams("meter").unwrap();
        socket.send(b"one").unwrap();
        let mut heard = [0; 9];
        let (len, from) = far.recv_from(&mut heard).unwrap();
        assert_eq!(&heard[..len], b"one");
        assert_eq!(socket.receive(20).unwrap_err().code, NetError::TIMEOUT);
        far.send_to(b"1", from).unwrap();
        assert_eq!(socket.receive(5_000).unwrap(), b"1");
    }
}
