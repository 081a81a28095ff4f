//! `evenkeel:net-server`: listeners that the host owns and a gateway answers.
//!
//! The host accepts, does TLS, bounds everything that a stranger can use up
//! ([`limits`]) and keeps what arrived; the gateway is asked for an answer
//! ([`gateway`]), one request of a connection at a time. What it does not
//! consume stays, and while the buffer is full nothing is read: the peer's own
//! flow control holds it back.
//!
//! Listeners belong to the plugin, not to its instance. When it traps over
//! what a connection sent, that connection is closed and its source held off
//! for a growing time ([`strikes`]); the others stay open and their requests
//! wait for the restart.
//!
//! # Reading order
//! [`listen`] binds and accepts, [`stream`] and [`datagram`] carry,
//! [`connections`] is what a gateway can reach by number.
//!
//! Follows facts/appliance-security.md §2.10 and facts/modbus-bacnet.md §1
//! ("Sessions").

pub mod connections;
mod datagram;
mod gateway;
pub mod limits;
pub mod listen;
mod stream;
mod strikes;
#[cfg(test)]
mod tests;

use super::Site;
use super::meter::{Meter, Way};
use crate::plugin::bindings::net_server::net_server as wit;
use connections::{Connections, SendError};
use std::sync::Arc;

pub use listen::{Listening, Servers};

/// The interface.
pub const INTERFACE: &str = "evenkeel:net-server/net-server@0.1.0";

/// What a gateway can do with its connections, unasked.
#[derive(Debug)]
pub struct NetServer {
    connections: Arc<Connections>,
    meter: Arc<Meter>,
}

impl NetServer {
    /// The connections of this plugin's listeners.
    #[must_use]
    pub fn new(site: &Site<'_>) -> Self {
        let connections = site.services.servers.connections_of(&site.who.name);
        Self { connections, meter: Arc::clone(site.meter) }
    }
}

impl wit::Host for NetServer {
    fn send(&mut self, connection: u64, data: Vec<u8>) -> Result<(), wit::Error> {
        let sent = self.connections.send(connection, &data);
        sent.inspect(|()| self.meter.sent(Way::Net, data.len())).map_err(|error| {
            let code = match error {
                SendError::Gone => 1,
                SendError::Full => 2,
            };
            wit::Error { code, detail: error.to_string() }
        })
    }

    fn close(&mut self, connection: u64) {
        self.connections.close(connection);
    }
}
