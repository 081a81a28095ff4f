//! A connection to a peer, within TLS or not: the system's side of
//! [`super::Connection`].
//!
//! Sockets do not block. Every wait has an absolute deadline and ends at once
//! when the plugin is told to stop (facts/wasm-host.md §4.4).

use super::address;
use super::error::Fault;
use super::trust;
use crate::clock;
use crate::grants::{Endpoint, Transport};
use crate::plugin::stop::{Stop, Woken};
use evenkeel_core::time::Nanos;
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};
use rustls::ClientConnection;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// A peer that has not acknowledged for this long what was sent is gone, ms.
const SILENT_MS: u32 = 20_000;

/// Until when to wait, for what, and who may end it.
#[derive(Clone, Copy, Debug)]
pub struct Wait<'a> {
    /// Tells the plugin to stop.
    pub stop: &'a Stop,
    /// On the monotonic clock.
    pub deadline: Nanos,
    /// What is being done, for the message that it took too long.
    pub during: &'static str,
}

impl Wait<'_> {
    /// Do `work` as soon as `device` lets it.
    pub(super) fn until_done<D: AsFd, T>(
        &self,
        device: &mut D,
        events: PollFlags,
        mut work: impl FnMut(&mut D) -> io::Result<T>,
    ) -> Result<T, Fault> {
        loop {
            match work(device) {
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                done => return Ok(done?),
            }
            self.until_ready(device, events)?;
        }
    }

    fn until_ready<D: AsFd>(&self, device: &D, events: PollFlags) -> Result<(), Fault> {
        let woken = self.stop.wait_for(device.as_fd(), events, self.deadline);
        match woken.map_err(|source| Fault::Io { source })? {
            Woken::Stopped => Err(Fault::Stopped),
            Woken::TimedOut => Err(Fault::Timeout { during: self.during }),
            Woken::Ready(_) => Ok(()),
        }
    }
}

/// A connection.
#[derive(Debug)]
pub enum Stream {
    /// As it is.
    Plain(TcpStream),
    /// Within TLS.
    Tls(Box<Tls>),
}

/// Connect to `endpoint`: to each of its addresses in turn, each of which gets
/// an equal share of the time that is left.
///
/// # Errors
/// What went wrong with the last address, and which that was.
pub fn connect(
    endpoint: &Endpoint,
    wait: Wait<'_>,
) -> Result<(Stream, IpAddr), (Option<IpAddr>, Fault)> {
    let config = match endpoint.transport {
        Transport::Tls => Some(Arc::new(trust::client_config(endpoint).map_err(|e| (None, e))?)),
        Transport::Tcp | Transport::Udp => None,
    };
    let found = address::resolve(&endpoint.host, endpoint.port, wait.deadline, wait.stop);
    let addresses = found.map_err(|fault| (None, fault))?;
    let mut last = (None, Fault::NoAddress);
    for (i, address) in addresses.iter().enumerate() {
        let left = wait.deadline.since(clock::now());
        let share = Nanos(left.0 / (addresses.len() - i) as u64);
        let wait = Wait { deadline: clock::now() + share, ..wait };
        let made = connect_to(*address, wait).and_then(|socket| match &config {
            None => Ok(Stream::Plain(socket)),
            Some(config) => {
                let name = trust::server_name(endpoint);
                let session = ClientConnection::new(Arc::clone(config), name);
                let session = session.map_err(trust::explain)?;
                Tls::begin(socket, session, wait).map(|tls| Stream::Tls(Box::new(tls)))
            }
        });
        match made {
            Ok(stream) => return Ok((stream, address.ip())),
            Err(Fault::Stopped) => return Err((Some(address.ip()), Fault::Stopped)),
            Err(fault) => last = (Some(address.ip()), fault),
        }
    }
    Err(last)
}

/// A socket of `kind` that does not block.
pub(super) fn socket(address: SocketAddr, kind: SocketType) -> Result<OwnedFd, Fault> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(net::socket_with(family, kind, flags, None).map_err(io::Error::from)?)
}

fn connect_to(address: SocketAddr, wait: Wait<'_>) -> Result<TcpStream, Fault> {
    let fd = socket(address, SocketType::STREAM)?;
    match net::connect(&fd, &address) {
        Ok(()) => {}
        Err(Errno::INPROGRESS | Errno::INTR) => {
            wait.until_ready(&fd, PollFlags::OUT)?;
            match sockopt::socket_error(&fd).and_then(|outcome| outcome) {
                Err(Errno::TIMEDOUT) => return Err(Fault::Timeout { during: wait.during }),
                outcome => outcome.map_err(io::Error::from)?,
            }
        }
        Err(errno) => return Err(io::Error::from(errno).into()),
    }
    let socket = TcpStream::from(fd);
    // Messages are written whole, and a peer that vanished shall be noticed.
    socket.set_nodelay(true)?;
    sockopt::set_socket_keepalive(&socket, true).map_err(io::Error::from)?;
    sockopt::set_tcp_user_timeout(&socket, SILENT_MS).map_err(io::Error::from)?;
    Ok(socket)
}

impl Stream {
    /// Write all of `data`.
    ///
    /// # Errors
    /// [`Fault`]; how much arrived is not known then.
    pub fn write(&mut self, data: &[u8], wait: Wait<'_>) -> Result<(), Fault> {
        match self {
            Self::Plain(socket) => {
                let mut rest = data;
                while !rest.is_empty() {
                    match wait.until_done(socket, PollFlags::OUT, |s| s.write(rest))? {
                        0 => return Err(Fault::Closed),
                        n => rest = &rest[n..],
                    }
                }
                Ok(())
            }
            Self::Tls(tls) => tls.write(data, wait),
        }
    }

    /// At least one and at most `max` bytes, as they arrive.
    ///
    /// # Errors
    /// [`Fault`]; after [`Fault::Timeout`] the connection is as good as before.
    pub fn read(&mut self, max: usize, wait: Wait<'_>) -> Result<Vec<u8>, Fault> {
        let mut data = vec![0; max];
        let len = match self {
            Self::Plain(socket) => wait.until_done(socket, PollFlags::IN, |s| s.read(&mut data))?,
            Self::Tls(tls) => tls.read(&mut data, wait)?,
        };
        data.truncate(len);
        match len {
            0 => Err(Fault::Closed),
            _ => Ok(data),
        }
    }
}

/// A connection within TLS.
#[derive(Debug)]
pub struct Tls {
    socket: TcpStream,
    session: ClientConnection,
}

impl Tls {
    fn begin(socket: TcpStream, session: ClientConnection, wait: Wait<'_>) -> Result<Self, Fault> {
        let mut tls = Self { socket, session };
        let wait = Wait { during: "agreeing on TLS", ..wait };
        while tls.session.is_handshaking() {
            if tls.session.wants_write() {
                tls.flush(wait)?;
            } else if tls.receive(wait)? == 0 {
                return Err(Fault::Closed);
            }
        }
        // Its last message; without it the peer would not begin.
        tls.flush(wait)?;
        Ok(tls)
    }

    fn write(&mut self, data: &[u8], wait: Wait<'_>) -> Result<(), Fault> {
        let mut rest = data;
        while !rest.is_empty() {
            // As much as the session buffers; that leaves at once.
            let taken = self.session.writer().write(rest)?;
            rest = &rest[taken..];
            self.flush(wait)?;
        }
        Ok(())
    }

    fn read(&mut self, data: &mut [u8], wait: Wait<'_>) -> Result<usize, Fault> {
        loop {
            match self.session.reader().read(data) {
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                done => return Ok(done?),
            }
            self.receive(wait)?;
            self.flush(wait)?;
        }
    }

    /// Take in what arrived; 0 when the peer sends no more.
    fn receive(&mut self, wait: Wait<'_>) -> Result<usize, Fault> {
        let session = &mut self.session;
        let len =
            wait.until_done(&mut self.socket, PollFlags::IN, |socket| session.read_tls(socket))?;
        if let Err(error) = session.process_new_packets() {
            // Tells the peer why; it may be gone already.
            let _ = session.write_tls(&mut self.socket);
            return Err(trust::explain(error));
        }
        Ok(len)
    }

    fn flush(&mut self, wait: Wait<'_>) -> Result<(), Fault> {
        let session = &mut self.session;
        while session.wants_write() {
            wait.until_done(&mut self.socket, PollFlags::OUT, |socket| session.write_tls(socket))?;
        }
        Ok(())
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        // A courtesy, as far as it goes without waiting.
        self.session.send_close_notify();
        let _ = self.session.write_tls(&mut self.socket);
    }
}
