//! Host names to addresses, without holding up a plugin that is to stop.
//!
//! The system's resolver cannot be interrupted, so a thread asks it and the
//! waiting side looks at a descriptor that ends together with the thread. At
//! most one such thread is there for each agent: who asks again while it still
//! waits, waits for the same answer.

use crate::plugin::stop::{Stop, Woken};
use evenkeel_core::time::Nanos;
use rustix::event::PollFlags;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, channel};

/// A name of which the address is wanted.
#[derive(Debug)]
pub struct Lookup {
    host: String,
    port: u16,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    answer: Receiver<io::Result<Option<SocketAddr>>>,
    ends: UnixStream,
}

impl Lookup {
    /// Of a name or an address in text.
    #[must_use]
    pub fn new(host: &str, port: u16) -> Self {
        Self { host: host.to_owned(), port, running: None }
    }

    /// The address; none when there is no answer by `deadline` or the plugin
    /// is to stop.
    ///
    /// # Errors
    /// What the resolver says.
    pub fn resolve(&mut self, deadline: Nanos, stop: &Stop) -> io::Result<Option<SocketAddr>> {
        if let Ok(address) = self.host.parse::<IpAddr>() {
            return Ok(Some(SocketAddr::new(address, self.port)));
        }
        let running = match self.running.take() {
            Some(running) => running,
            None => begin(&self.host, self.port)?,
        };
        match stop.wait_for(running.ends.as_fd(), PollFlags::IN, deadline)? {
            Woken::Ready(_) => {
                let gone = |_| io::Error::other("the resolver gave no answer");
                let address = running.answer.recv().map_err(gone)??;
                address.map(Some).ok_or_else(|| io::Error::other("the name has no address"))
            }
            Woken::Stopped | Woken::TimedOut => {
                self.running = Some(running);
                Ok(None)
            }
        }
    }
}

fn begin(host: &str, port: u16) -> io::Result<Running> {
    let (ends, held) = UnixStream::pair()?;
    let (sender, answer) = channel();
    let host = host.to_owned();
    std::thread::Builder::new().name("resolve".into()).spawn(move || {
        let found = (host.as_str(), port).to_socket_addrs().map(|mut all| all.next());
        // Nobody waits any more when the plugin has ended.
        let _ = sender.send(found);
        drop(held);
    })?;
    Ok(Running { answer, ends })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn names_and_addresses_are_found_and_a_stop_ends_the_wait() {
        let stop = Stop::new().expect("a descriptor");
        let soon = || clock::now() + Nanos::from_secs(20);
        let ask = |host: &str| Lookup::new(host, 161).resolve(soon(), &stop);
        for host in ["127.0.0.1", "::1", "localhost"] {
            let found = ask(host).expect("answered").expect("in time");
            assert!(found.ip().is_loopback() && found.port() == 161, "{found}");
        }
        stop.request();
        assert_eq!(ask("localhost").expect("no error"), None);
    }
}
