//! The server behind the host's connections: what [`crate::delivery`] needs of
//! them.

use crate::delivery::{Channel, Network};
use evenkeel_sdk::host::{Clock, Connection, Datagrams, Net, NetError, Transport};

/// The server's logical name in the manifest.
const ENDPOINT: &str = "server";
/// Time to connect, and to hand over one message. What one call can add up to
/// (with [`crate::delivery::KEPT_MAX`] messages) is less than the host's limit
/// of 120 s.
const CONNECT_MS: u32 = 10_000;
const SEND_MS: u32 = 3_000;
/// A host on the same network where nobody listens says so within this time
/// after a datagram; later words are heard by the next look.
const REFUSAL_MS: u32 = 20;
/// A server has nothing to say; so many bytes of it are passed over in a look.
const CHATTER_MAX: u32 = 4_096;

/// The one server that the plugin is granted.
pub struct Server<'a, H>(pub &'a mut H);

impl<H: Clock + Net> Network for Server<'_, H> {
    fn transport(&mut self) -> Result<Transport, String> {
        self.0.transport_of(ENDPOINT).map_err(|error| error.detail)
    }

    fn connect(&mut self) -> Result<Box<dyn Channel>, String> {
        let words = |error: NetError| error.detail;
        Ok(match self.transport()? {
            Transport::Udp => Box::new(Socket(self.0.open_datagrams(ENDPOINT).map_err(words)?)),
            Transport::Tcp | Transport::Tls => {
                Box::new(Stream(self.0.connect(ENDPOINT, CONNECT_MS).map_err(words)?))
            }
        })
    }

    fn now_ms(&mut self) -> u64 {
        self.0.now_ms()
    }
}

struct Stream(Box<dyn Connection>);

impl Channel for Stream {
    fn send(&mut self, data: &[u8]) -> Result<(), String> {
        self.0.write(data, SEND_MS).map_err(|error| error.detail)
    }

    fn is_open(&mut self) -> bool {
        match self.0.read(CHATTER_MAX, 0) {
            Ok(_) => true,
            Err(error) => matches!(error.code, NetError::TIMEOUT | NetError::QUOTA),
        }
    }
}

struct Socket(Box<dyn Datagrams>);

impl Channel for Socket {
    fn send(&mut self, data: &[u8]) -> Result<(), String> {
        self.0.send(data).map_err(|error| error.detail)?;
        match self.0.receive(REFUSAL_MS) {
            Err(error) if error.code == NetError::REFUSED => Err(error.detail),
            _ => Ok(()),
        }
    }

    fn is_open(&mut self) -> bool {
        !matches!(self.0.receive(0), Err(error) if error.code == NetError::REFUSED)
    }
}
