//! One interface: what is wanted of it, what the kernel was told, and its client
//! for an address from a server.

use crate::kernel;
use crate::lease::wire::{LEN_MAX, Terms};
use crate::lease::{Change, Client, Packet};
use crate::log;
use crate::memory::Memory;
use evenkeel_core::network::{InterfaceStatus, LeaseStatus};
use evenkeel_core::settings::network::{Interface, Ipv4, Ipv6, Static};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Ports of DHCP.
const SERVER_PORT: u16 = 67;
const CLIENT_PORT: u16 = 68;
/// Packets that are read at once: more is a flood, and waits.
const PACKETS_MAX: usize = 16;
/// Time between two looks whether somebody has an address.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// An interface.
pub struct Link {
    name: String,
    wanted: Interface,
    host_name: Option<String>,
    /// Of several ways to other networks the lowest is gone.
    metric: u32,
    /// What the kernel was told.
    ipv4: Option<Ipv4>,
    ipv6: Option<Ipv6>,
    client: Option<(Client, Arc<UdpSocket>)>,
    /// How often something had been plugged in when it was last looked,
    connections: u64,
    /// and whether it was so then.
    carrier: bool,
    /// The address before a restart.
    memory: Memory,
    /// Somebody else has this, which a server lent.
    taken: Option<Ipv4Addr>,
    problem: Option<String>,
}

impl Link {
    /// The interface `name`, which nobody has touched yet; what is remembered of
    /// it stands in `folder`.
    #[must_use]
    pub fn new(
        name: &str,
        wanted: Interface,
        host_name: Option<String>,
        metric: u32,
        folder: &Path,
    ) -> Self {
        Self {
            name: name.to_owned(),
            wanted,
            host_name,
            metric,
            ipv4: None,
            ipv6: None,
            client: None,
            connections: 0,
            carrier: false,
            memory: Memory::new(folder, name),
            taken: None,
            problem: None,
        }
    }

    /// Have this from the next step on. What stays the same is not touched.
    pub fn want(&mut self, wanted: Interface, host_name: Option<&str>, metric: u32, now: Duration) {
        if metric != self.metric || self.ipv4 != Some(wanted.ipv4) {
            self.ipv4 = None;
        }
        if metric != self.metric || self.ipv6 != Some(wanted.ipv6) {
            self.ipv6 = None;
        }
        if self.host_name.as_deref() != host_name {
            self.host_name = host_name.map(str::to_owned);
            if let Some((client, _)) = &mut self.client {
                client.rename(self.host_name.clone(), now);
            }
        }
        (self.wanted, self.metric) = (wanted, metric);
    }

    /// Do what is due, and say when the next is; `random` is a source of
    /// numbers that nobody guesses.
    pub fn step(&mut self, now: Duration, random: &mut dyn FnMut() -> u32) -> Option<Duration> {
        self.cable(now);
        let done = self.apply(now).and_then(|()| self.lease(now, random));
        let taken = |address| {
            format!("somebody else has {address}, which the server lends; give one of them another")
        };
        let problem = done.err().map(|error| error.to_string()).or(self.taken.map(taken));
        if let Some(problem) = problem.as_ref().filter(|_| problem != self.problem) {
            log::say(&format!("interface {}: {problem}", self.name));
        }
        self.problem = problem;
        let (client, _) = self.client.as_ref()?;
        let look = client.checking().map(|_| now + LOOK_AGAIN);
        Some(look.map_or(client.due(), |look| look.min(client.due())))
    }

    /// What is plugged in now may be another network.
    fn cable(&mut self, now: Duration) {
        // One that is not there is told by who wants something of it.
        let Ok(interface) = kernel::Interface::find(&self.name) else { return };
        let (connections, carrier) = (interface.connections(), interface.has_carrier());
        if self.carrier && !carrier {
            log::say(&format!("interface {}: unplugged", self.name));
        }
        self.carrier = carrier;
        if connections == self.connections || !carrier {
            return;
        }
        if self.connections > 0 {
            log::say(&format!("interface {}: plugged in again", self.name));
            self.again(&interface);
        }
        if let Some((client, _)) = &mut self.client {
            client.reconnect(now);
        }
        self.connections = connections;
    }

    /// Tell the kernel once more what it may have forgotten meanwhile: where the
    /// driver began anew, the ways to other networks are gone.
    fn again(&mut self, interface: &kernel::Interface) {
        if self.wanted.ipv6 != Ipv6::Off {
            // And it asks for routers only when it begins.
            self.ipv6 = None;
        }
        let lease = self.client.as_ref().and_then(|(client, _)| client.lease());
        match (self.wanted.ipv4, lease) {
            (Ipv4::Dhcp, Some((terms, _))) => {
                if interface.set_ipv4(Some(own(terms)), self.metric).is_err() {
                    self.ipv4 = None;
                }
            }
            (Ipv4::Static(_), _) => self.ipv4 = None,
            (Ipv4::Dhcp | Ipv4::Off, _) => {}
        }
    }

    /// Switch everything off: nobody names it any more.
    pub fn leave(mut self) {
        self.wanted = Interface { ipv4: Ipv4::Off, ipv6: Ipv6::Off };
        (self.ipv4, self.ipv6) = (None, None);
        // One that is gone has nothing left.
        let _ = self.apply(Duration::ZERO);
    }

    /// Tell the kernel what it was not told yet.
    fn apply(&mut self, now: Duration) -> io::Result<()> {
        if self.ipv4.is_some() && self.ipv6.is_some() {
            return Ok(());
        }
        let interface = kernel::Interface::find(&self.name)?;
        interface.up()?;
        if self.ipv6.is_none() {
            interface.set_ipv6(self.wanted.ipv6, self.metric)?;
            self.ipv6 = Some(self.wanted.ipv6);
        }
        if self.ipv4.is_none() {
            self.client = None;
            let own = match self.wanted.ipv4 {
                Ipv4::Static(own) => Some(own),
                Ipv4::Off | Ipv4::Dhcp => None,
            };
            interface.set_ipv4(own, self.metric)?;
            if self.wanted.ipv4 == Ipv4::Dhcp {
                let (hardware, name) = (interface.hardware()?, self.host_name.clone());
                let client = Client::new(hardware, name, self.memory.recall(), now);
                self.client = Some((client, Arc::new(socket(&self.name)?)));
            }
            self.ipv4 = Some(self.wanted.ipv4);
        }
        Ok(())
    }

    /// Hear what servers say, and ask what is due.
    fn lease(&mut self, now: Duration, random: &mut dyn FnMut() -> u32) -> io::Result<()> {
        let Some((client, socket)) = &mut self.client else { return Ok(()) };
        let mut steps = Vec::new();
        let before = client.lease().map(|(terms, _)| terms.clone());
        for _ in 0..PACKETS_MAX {
            let mut bytes = [0; LEN_MAX + 1];
            let Ok((len, _)) = socket.recv_from(&mut bytes) else { break };
            steps.push(client.hear(&bytes[..len], now));
        }
        // Without an answer of the kernel it is nobody's.
        let mut looked = Ok(());
        if let Some(address) = client.checking() {
            let asked = steps.iter().any(|step| step.check == Some(address));
            match look(&self.name, address, asked) {
                Ok(true) => {
                    self.taken = Some(address);
                    steps.push(client.taken(now));
                }
                Ok(false) => {}
                Err(error) => looked = Err(error),
            }
        }
        steps.push(client.tick(now, random()));
        if client.lease().is_some() {
            self.taken = None;
        }
        let packets: Vec<Packet> = steps.iter_mut().filter_map(|step| step.send.take()).collect();
        // The last change is how it is now.
        let change = steps.into_iter().filter_map(|step| step.change).next_back();
        let socket = Arc::clone(socket);
        let set = |own| {
            kernel::Interface::find(&self.name)
                .and_then(|interface| interface.set_ipv4(own, self.metric))
        };
        let told = match change {
            Some(Change::Lost) => {
                log::say(&format!("interface {}: the address is gone", self.name));
                set(None)
            }
            Some(Change::Got(terms)) if before.as_ref().map(own) != Some(own(&terms)) => {
                let (address, server) = (terms.address, terms.server);
                if let Err(error) = self.memory.keep(address) {
                    let name = &self.name;
                    log::say(&format!("interface {name}: {address} is not remembered: {error}"));
                }
                // Whoever reads this can count on both.
                let said = format!("interface {}: {address}, lent by {server}", self.name);
                set(Some(own(&terms))).inspect(|()| log::say(&said))
            }
            Some(Change::Got(_)) | None => Ok(()),
        };
        if told.is_err() {
            // Kernel and client do not say the same: from the start again.
            self.ipv4 = None;
        }
        told?;
        packets.into_iter().try_for_each(|Packet { bytes, to }| {
            socket.send_to(&bytes, SocketAddr::from((to, SERVER_PORT))).map(|_| ())
        })?;
        looked
    }

    /// The client's socket, to wait for.
    #[must_use]
    pub fn socket(&self) -> Option<Arc<UdpSocket>> {
        self.client.as_ref().map(|(_, socket)| Arc::clone(socket))
    }

    /// Servers for names that were learned.
    #[must_use]
    pub fn dns(&self) -> &[Ipv4Addr] {
        self.client.as_ref().and_then(|(client, _)| client.lease()).map_or(&[], |(t, _)| &t.dns)
    }

    /// Servers for the time that were learned.
    #[must_use]
    pub fn ntp(&self) -> &[Ipv4Addr] {
        self.client.as_ref().and_then(|(client, _)| client.lease()).map_or(&[], |(t, _)| &t.ntp)
    }

    /// Whether a lease is held.
    #[must_use]
    pub fn has_lease(&self) -> bool {
        self.client.as_ref().is_some_and(|(client, _)| client.lease().is_some())
    }

    /// How it stands.
    #[must_use]
    pub fn status(&self, now: Duration) -> InterfaceStatus {
        let name = self.name.clone();
        let interface = match kernel::Interface::find(&self.name) {
            Ok(interface) => interface,
            Err(error) => {
                let problem = Some(error.to_string());
                return InterfaceStatus { name, problem, ..InterfaceStatus::default() };
            }
        };
        let present = interface.present().unwrap_or_default();
        let own = |address: &IpAddr| match address {
            IpAddr::V4(_) => true,
            IpAddr::V6(address) => !address.is_unicast_link_local(),
        };
        let addresses = present.addresses.iter().filter(|(address, _)| own(address));
        let lease = self.client.as_ref().and_then(|(client, _)| client.lease());
        InterfaceStatus {
            name,
            carrier: interface.has_carrier(),
            addresses: addresses.map(|(address, prefix)| format!("{address}/{prefix}")).collect(),
            gateways: present.gateways,
            lease: lease.map(|(terms, until)| LeaseStatus {
                server: IpAddr::V4(terms.server),
                left_s: until.saturating_sub(now).as_secs(),
            }),
            problem: self.problem.clone(),
        }
    }
}

/// Begin to ask who has `address`, or hear whether anybody answered by now.
fn look(interface: &str, address: Ipv4Addr, begin: bool) -> io::Result<bool> {
    let interface = kernel::Interface::find(interface)?;
    match begin {
        true => interface.look_for(address).map(|()| false),
        false => interface.is_taken(address),
    }
}

/// What the interface has of a lease.
const fn own(terms: &Terms) -> Static<Ipv4Addr> {
    Static { address: terms.address, prefix: terms.prefix, gateway: terms.gateway }
}

/// A socket that hears and speaks at one interface, also without an address.
fn socket(interface: &str) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    socket.set_broadcast(true)?;
    socket.bind_device(Some(interface.as_bytes()))?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, CLIENT_PORT)).into())?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}
