//! Getting messages to the server, over a connection that may die at any time.
//! Pure: the network is behind [`Network`].
//!
//! Syslog has no acknowledgements. What was handed to the system is gone when
//! the server, or the way to it, breaks down before it was read, and no error
//! tells of it. Therefore what was sent in the last [`UNCERTAIN_MS`] before a
//! connection was found dead is sent again on the next one. The receiver may
//! get a message twice and tells by `sequence` in its structured data. The same
//! holds for datagrams, as far as the other end says that it does not want them.

use evenkeel_sdk::host::Transport;
use std::collections::VecDeque;

/// A vanished server is noticed within this time after a message: the host
/// gives unacknowledged data 20 s, and the plugin looks every [`LOOK_MS`].
pub const UNCERTAIN_MS: u64 = 30_000;
/// Time between two looks whether the connection still stands, ms.
pub const LOOK_MS: u32 = 5_000;
/// Messages that are kept to be sent again.
pub const KEPT_MAX: usize = 32;

/// The way to the one server that this plugin is granted.
pub trait Network {
    /// How the administrator wants it reached.
    ///
    /// # Errors
    /// Why that is not known, for people.
    fn transport(&mut self) -> Result<Transport, String>;

    /// Connect, or open a socket for datagrams.
    ///
    /// # Errors
    /// Why that failed, for people.
    fn connect(&mut self) -> Result<Box<dyn Channel>, String>;

    /// Milliseconds on a clock that never goes back.
    fn now_ms(&mut self) -> u64;
}

/// A connection, or a socket.
pub trait Channel {
    /// Hand over all of `data`.
    ///
    /// # Errors
    /// Why that failed, for people; the channel is of no further use then.
    fn send(&mut self, data: &[u8]) -> Result<(), String>;

    /// Whether it still stands, as far as is known without waiting.
    fn is_open(&mut self) -> bool;
}

/// The connection to the server, and what may have to be sent again.
#[derive(Default)]
pub struct Delivery {
    channel: Option<Box<dyn Channel>>,
    /// Sent on this connection: when, and what. Oldest first.
    sent: VecDeque<(u64, Vec<u8>)>,
    /// To be sent again before anything else.
    again: VecDeque<Vec<u8>>,
}

impl Delivery {
    /// Send one message.
    ///
    /// # Errors
    /// Why the server does not have it, for people; it may be tried again.
    pub fn send(&mut self, network: &mut dyn Network, framed: Vec<u8>) -> Result<(), String> {
        self.look(network);
        let had_one = self.channel.is_some();
        match self.try_send(network, &framed) {
            // The connection had died unnoticed; a new one may do better.
            Err(_) if had_one => self.try_send(network, &framed),
            done => done,
        }
    }

    /// See whether the connection still stands. What a dead one may have lost
    /// is sent again now, or with the next message.
    pub fn check(&mut self, network: &mut dyn Network) {
        self.look(network);
        if !self.again.is_empty() {
            // Whoever sends next is told why it fails.
            let _ = self.open(network);
        }
    }

    fn look(&mut self, network: &mut dyn Network) {
        if self.channel.as_mut().is_some_and(|channel| !channel.is_open()) {
            self.lost(network.now_ms());
        }
    }

    fn try_send(&mut self, network: &mut dyn Network, framed: &[u8]) -> Result<(), String> {
        self.open(network)?;
        self.put(network, framed)
    }

    /// A connection on which everything was sent again that had to be.
    fn open(&mut self, network: &mut dyn Network) -> Result<(), String> {
        if self.channel.is_none() {
            self.channel = Some(network.connect()?);
        }
        while let Some(message) = self.again.front().cloned() {
            self.put(network, &message)?;
            self.again.pop_front();
        }
        Ok(())
    }

    fn put(&mut self, network: &mut dyn Network, framed: &[u8]) -> Result<(), String> {
        let channel = self.channel.as_mut().ok_or("there is no connection")?;
        if let Err(error) = channel.send(framed) {
            self.lost(network.now_ms());
            return Err(error);
        }
        self.sent.push_back((network.now_ms(), framed.to_vec()));
        if self.sent.len() > KEPT_MAX {
            self.sent.pop_front();
        }
        Ok(())
    }

    /// The connection is dead: what it carried last may not have arrived.
    fn lost(&mut self, now_ms: u64) {
        self.channel = None;
        let sent = std::mem::take(&mut self.sent);
        let uncertain = |(at, _): &(u64, Vec<u8>)| now_ms.saturating_sub(*at) <= UNCERTAIN_MS;
        let mut again: VecDeque<_> =
            sent.into_iter().filter(uncertain).map(|(_, message)| message).collect();
        again.append(&mut self.again);
        again.truncate(KEPT_MAX);
        self.again = again;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::rc::Rc;

    /// A server and the way to it, as a test sets them.
    #[derive(Default)]
    struct Server {
        now_ms: u64,
        down: bool,
        /// Connections that were ever made; the last one may be alive.
        connections: usize,
        alive: bool,
        /// What is handed over gets lost on the way.
        lossy: bool,
        received: Vec<String>,
    }

    #[derive(Clone, Default)]
    struct Net(Rc<RefCell<Server>>);

    struct Wire {
        net: Net,
        connection: usize,
    }

    impl Network for Net {
        fn transport(&mut self) -> Result<Transport, String> {
            Ok(Transport::Tcp)
        }

        fn connect(&mut self) -> Result<Box<dyn Channel>, String> {
            let mut server = self.0.borrow_mut();
            if server.down {
                return Err("it refuses".into());
            }
            server.connections += 1;
            server.alive = true;
            Ok(Box::new(Wire { net: self.clone(), connection: server.connections }))
        }

        fn now_ms(&mut self) -> u64 {
            self.0.borrow().now_ms
        }
    }

    impl Channel for Wire {
        fn send(&mut self, data: &[u8]) -> Result<(), String> {
            if !self.is_open() {
                return Err("it ended the connection".into());
            }
            let mut server = self.net.0.borrow_mut();
            if !server.lossy {
                server.received.push(String::from_utf8_lossy(data).into_owned());
            }
            Ok(())
        }

        fn is_open(&mut self) -> bool {
            let server = self.net.0.borrow();
            server.alive && server.connections == self.connection
        }
    }

    fn send(delivery: &mut Delivery, net: &mut Net, text: &str) -> Result<(), String> {
        delivery.send(net, text.into())
    }

    fn received(net: &Net) -> Vec<String> {
        std::mem::take(&mut net.0.borrow_mut().received)
    }

    #[test]
    fn one_connection_serves_many_messages() {
        let (mut delivery, mut net) = (Delivery::default(), Net::default());
        for text in ["a", "b", "c"] {
            send(&mut delivery, &mut net, text).expect("sent");
        }
        assert_eq!((received(&net).join(""), net.0.borrow().connections), ("abc".into(), 1));
    }

    #[test]
    fn what_a_dead_connection_carried_last_is_sent_again_and_first() {
        let (mut delivery, mut net) = (Delivery::default(), Net::default());
        send(&mut delivery, &mut net, "old").expect("sent");
        net.0.borrow_mut().now_ms += UNCERTAIN_MS;
        net.0.borrow_mut().lossy = true;
        send(&mut delivery, &mut net, "lost 1").expect("nobody knows yet");
        net.0.borrow_mut().now_ms += 1;
        send(&mut delivery, &mut net, "lost 2").expect("nobody knows yet");
        received(&net);
        net.0.borrow_mut().alive = false;
        net.0.borrow_mut().lossy = false;
        send(&mut delivery, &mut net, "new").expect("sent");
        assert_eq!(received(&net), ["lost 1", "lost 2", "new"]);
    }

    #[test]
    fn a_look_is_enough_to_send_again() {
        let (mut delivery, mut net) = (Delivery::default(), Net::default());
        send(&mut delivery, &mut net, "a").expect("sent");
        delivery.check(&mut net);
        assert_eq!(received(&net), ["a"], "it stands");
        net.0.borrow_mut().alive = false;
        net.0.borrow_mut().down = true;
        delivery.check(&mut net);
        delivery.check(&mut net);
        assert_eq!(send(&mut delivery, &mut net, "b"), Err("it refuses".into()));
        net.0.borrow_mut().down = false;
        delivery.check(&mut net);
        assert_eq!(received(&net), ["a"]);
        send(&mut delivery, &mut net, "b").expect("sent");
        assert_eq!(received(&net), ["b"]);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let (mut delivery, mut net) = (Delivery::default(), Net::default());
        for i in 0..10 * KEPT_MAX {
            send(&mut delivery, &mut net, &i.to_string()).expect("sent");
        }
        received(&net);
        net.0.borrow_mut().alive = false;
        delivery.check(&mut net);
        assert_eq!(received(&net).len(), KEPT_MAX);
    }
}
