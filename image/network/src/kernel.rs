//! Interfaces, addresses and routes, by the kernel's route sockets
//! (rtnetlink(7)) and its files; no program is run for it.

use evenkeel_core::settings::network::{Ipv6, Static};
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkHeader,
    NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{LinkFlags, LinkMessage};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

/// Most messages of one answer.
const ANSWERS_MAX: usize = 1_024;
/// Most ways to other networks that are taken away at once.
const ROUTES_MAX: usize = 8;
/// `ESRCH`: there is none left.
const NONE_LEFT: i32 = 3;
/// `ENOENT`: there is none.
const NONE: i32 = 2;
/// Changes of interfaces are told to this group (`RTMGRP_LINK`).
const LINKS: u32 = 1;
/// News that are read at once: more is a flood, and waits.
const NEWS_MAX: usize = 64;

/// An interface that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    name: String,
    index: u32,
}

/// What the kernel says of an interface now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Present {
    /// Addresses with their prefixes.
    pub addresses: Vec<(IpAddr, u8)>,
    /// The ways to other networks.
    pub gateways: Vec<IpAddr>,
}

impl Interface {
    /// The interface of this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn find(name: &str) -> io::Result<Self> {
        let none = |_| io::Error::new(io::ErrorKind::NotFound, format!("there is no {name}"));
        let text = read(name, "ifindex").map_err(none)?;
        let index = text.parse().map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        Ok(Self { name: name.to_owned(), index })
    }

    /// Its hardware address.
    ///
    /// # Errors
    /// When it has none of six bytes.
    pub fn hardware(&self) -> io::Result<[u8; 6]> {
        let text = read(&self.name, "address")?;
        let bytes: Option<Vec<u8>> =
            text.split(':').map(|two| u8::from_str_radix(two, 16).ok()).collect();
        let six = bytes.and_then(|bytes| bytes.try_into().ok());
        six.ok_or_else(|| io::Error::other(format!("{} has no hardware address", self.name)))
    }

    /// Whether something is plugged in at the other end.
    #[must_use]
    pub fn has_carrier(&self) -> bool {
        read(&self.name, "carrier").is_ok_and(|text| text == "1")
    }

    /// How often something was plugged in since it is there: a cable that was
    /// away for an instant is told from one that never was.
    #[must_use]
    pub fn connections(&self) -> u64 {
        read(&self.name, "carrier_up_count").ok().and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// Switch it on.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn up(&self) -> io::Result<()> {
        let mut message = LinkMessage::default();
        message.header.index = self.index;
        message.header.flags = LinkFlags::Up;
        message.header.change_mask = LinkFlags::Up;
        ask(RouteNetlinkMessage::NewLink(message), 0)
    }

    /// Have this IPv4 address and no other, and this way to other networks.
    /// Of several interfaces the one with the lowest `metric` is gone by.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn set_ipv4(&self, own: Option<Static<Ipv4Addr>>, metric: u32) -> io::Result<()> {
        let wanted = own.map(|own| (IpAddr::V4(own.address), own.prefix));
        for (address, prefix) in self.present()?.addresses {
            if address.is_ipv4() && Some((address, prefix)) != wanted {
                let message = self.address(address, prefix);
                ask(RouteNetlinkMessage::DelAddress(message), 0)?;
            }
        }
        self.forget_ways()?;
        let Some(own) = own else { return Ok(()) };
        self.add(IpAddr::V4(own.address), own.prefix)?;
        match own.gateway {
            Some(gateway) => self.way(IpAddr::V4(gateway), metric),
            None => Ok(()),
        }
    }

    /// Come to IPv6 addresses like this, and in no other way.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn set_ipv6(&self, how: Ipv6, metric: u32) -> io::Result<()> {
        let set = |file: &str, value: &str| {
            fs::write(Path::new("/proc/sys/net/ipv6/conf").join(&self.name).join(file), value)
        };
        // Off and on again: addresses and ways that were learned go with it.
        set("disable_ipv6", "1")?;
        let learns = if how == Ipv6::Auto { "1" } else { "0" };
        set("accept_ra", learns)?;
        set("autoconf", learns)?;
        if how == Ipv6::Off {
            return Ok(());
        }
        set("disable_ipv6", "0")?;
        let Ipv6::Static(own) = how else { return Ok(()) };
        self.add(IpAddr::V6(own.address), own.prefix)?;
        match own.gateway {
            Some(gateway) => self.way(IpAddr::V6(gateway), metric),
            None => Ok(()),
        }
    }

    /// What it has now.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn present(&self) -> io::Result<Present> {
        let mut present = Present::default();
        for answer in dump(RouteNetlinkMessage::GetAddress(AddressMessage::default()))? {
            let RouteNetlinkMessage::NewAddress(message) = answer else { continue };
            if message.header.index != self.index {
                continue;
            }
            // Of IPv4 the local one is meant, IPv6 has none but for tunnels.
            let local = message.attributes.iter().find_map(|attribute| match attribute {
                AddressAttribute::Local(address) => Some(*address),
                _ => None,
            });
            let any = message.attributes.iter().find_map(|attribute| match attribute {
                AddressAttribute::Address(address) => Some(*address),
                _ => None,
            });
            let prefix = message.header.prefix_len;
            present.addresses.extend(local.or(any).map(|address| (address, prefix)));
        }
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let mut message = RouteMessage::default();
            message.header.address_family = family;
            for answer in dump(RouteNetlinkMessage::GetRoute(message))? {
                let RouteNetlinkMessage::NewRoute(route) = answer else { continue };
                let here = route.attributes.contains(&RouteAttribute::Oif(self.index));
                if here && route.header.destination_prefix_length == 0 {
                    present.gateways.extend(route.attributes.iter().find_map(gateway));
                }
            }
        }
        Ok(present)
    }

    /// Have the kernel ask who has this address (ARP), as it does before it sends
    /// something there: three times within three seconds. Where the interface
    /// has none of its own, it asks in nobody's name, as RFC 5227 has it.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn look_for(&self, address: Ipv4Addr) -> io::Result<()> {
        // What was known of it is no answer.
        match ask(RouteNetlinkMessage::DelNeighbour(self.neighbour(address)), 0) {
            Err(error) if error.raw_os_error() != Some(NONE) => return Err(error),
            _ => {}
        }
        let mut message = self.neighbour(address);
        message.header.flags = NeighbourFlags::Use;
        ask(RouteNetlinkMessage::NewNeighbour(message), NLM_F_CREATE)
    }

    /// Whether somebody else said that this address is his.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn is_taken(&self, address: Ipv4Addr) -> io::Result<bool> {
        let own = self.hardware()?;
        let wanted = NeighbourAttribute::Destination(NeighbourAddress::Inet(address));
        let mut message = NeighbourMessage::default();
        message.header.family = AddressFamily::Inet;
        let known = dump(RouteNetlinkMessage::GetNeighbour(message))?;
        Ok(known.iter().any(|answer| {
            let RouteNetlinkMessage::NewNeighbour(message) = answer else { return false };
            let answered = !matches!(
                message.header.state,
                NeighbourState::None | NeighbourState::Incomplete | NeighbourState::Failed
            );
            let other = message.attributes.iter().any(|attribute| {
                matches!(attribute, NeighbourAttribute::LinkLayerAddress(who) if *who != own)
            });
            message.header.ifindex == self.index
                && message.attributes.contains(&wanted)
                && answered
                && other
        }))
    }

    fn neighbour(&self, address: Ipv4Addr) -> NeighbourMessage {
        let mut message = NeighbourMessage::default();
        message.header.family = AddressFamily::Inet;
        message.header.ifindex = self.index;
        let address = NeighbourAddress::Inet(address);
        message.attributes.push(NeighbourAttribute::Destination(address));
        message
    }

    fn add(&self, address: IpAddr, prefix: u8) -> io::Result<()> {
        let message = self.address(address, prefix);
        ask(RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_REPLACE)
    }

    fn address(&self, address: IpAddr, prefix: u8) -> AddressMessage {
        let mut message = AddressMessage::default();
        message.header.family = family(address);
        message.header.prefix_len = prefix;
        message.header.index = self.index;
        message.attributes.push(AddressAttribute::Local(address));
        message.attributes.push(AddressAttribute::Address(address));
        message
    }

    fn way(&self, gateway: IpAddr, metric: u32) -> io::Result<()> {
        let mut message = RouteMessage::default();
        message.header.address_family = family(gateway);
        message.header.table = RouteHeader::RT_TABLE_MAIN;
        message.header.protocol = RouteProtocol::Static;
        message.header.scope = RouteScope::Universe;
        message.header.kind = RouteType::Unicast;
        let gateway = match gateway {
            IpAddr::V4(address) => RouteAddress::Inet(address),
            IpAddr::V6(address) => RouteAddress::Inet6(address),
        };
        message.attributes.push(RouteAttribute::Gateway(gateway));
        message.attributes.push(RouteAttribute::Oif(self.index));
        message.attributes.push(RouteAttribute::Priority(metric));
        ask(RouteNetlinkMessage::NewRoute(message), NLM_F_CREATE | NLM_F_REPLACE)
    }

    /// No way to other IPv4 networks leads over it any more.
    fn forget_ways(&self) -> io::Result<()> {
        for _ in 0..ROUTES_MAX {
            let mut message = RouteMessage::default();
            message.header.address_family = AddressFamily::Inet;
            message.header.table = RouteHeader::RT_TABLE_MAIN;
            message.header.scope = RouteScope::NoWhere;
            message.attributes.push(RouteAttribute::Oif(self.index));
            match ask(RouteNetlinkMessage::DelRoute(message), 0) {
                Ok(()) => {}
                Err(error) if error.raw_os_error() == Some(NONE_LEFT) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Wakes when something about an interface changes: a cable is plugged in.
pub struct News(Socket);

impl News {
    /// From now on.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind(&SocketAddr::new(0, LINKS))?;
        socket.set_non_blocking(true)?;
        Ok(Self(socket))
    }

    /// Take what came; what it says is looked up anew.
    pub fn take(&self) {
        let mut bytes = Vec::with_capacity(1);
        for _ in 0..NEWS_MAX {
            // Too many for its memory (ENOBUFS) is an end, too: the rest wakes.
            if self.0.recv(&mut bytes, 0).is_err() {
                return;
            }
            bytes.clear();
        }
    }
}

impl AsFd for News {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn gateway(attribute: &RouteAttribute) -> Option<IpAddr> {
    match attribute {
        RouteAttribute::Gateway(RouteAddress::Inet(address)) => Some(IpAddr::V4(*address)),
        RouteAttribute::Gateway(RouteAddress::Inet6(address)) => Some(IpAddr::V6(*address)),
        _ => None,
    }
}

/// Ask the kernel for something and wait until it is done.
fn ask(message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
    let socket = say(message, NLM_F_REQUEST | NLM_F_ACK | flags)?;
    let (bytes, _) = socket.recv_from_full()?;
    let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&bytes).map_err(invalid)?;
    match answer.payload {
        NetlinkPayload::Error(error) if error.code.is_some() => Err(error.to_io()),
        _ => Ok(()),
    }
}

/// Ask the kernel for all that it has of something.
fn dump(message: RouteNetlinkMessage) -> io::Result<Vec<RouteNetlinkMessage>> {
    let socket = say(message, NLM_F_REQUEST | NLM_F_DUMP)?;
    let mut all = Vec::new();
    while all.len() < ANSWERS_MAX {
        let (bytes, _) = socket.recv_from_full()?;
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let answer =
                NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest).map_err(invalid)?;
            match answer.payload {
                NetlinkPayload::Done(_) => return Ok(all),
                NetlinkPayload::Error(error) if error.code.is_some() => return Err(error.to_io()),
                NetlinkPayload::InnerMessage(message) => all.push(message),
                _ => {}
            }
            // Each begins at a multiple of four.
            let len = (answer.header.length as usize).next_multiple_of(4).max(4);
            rest = rest.get(len..).unwrap_or_default();
        }
    }
    Ok(all)
}

fn say(message: RouteNetlinkMessage, flags: u16) -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut header = NetlinkHeader::default();
    header.flags = flags;
    let mut message = NetlinkMessage::new(header, NetlinkPayload::from(message));
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    socket.send(&bytes, 0)?;
    Ok(socket)
}

fn read(name: &str, file: &str) -> io::Result<String> {
    let text = fs::read_to_string(Path::new("/sys/class/net").join(name).join(file))?;
    Ok(text.trim().to_owned())
}

const fn family(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}

fn invalid(error: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reading takes no right; every machine has this one.
    #[test]
    fn the_loopback_interface_has_its_address() {
        let present = Interface::find("lo").unwrap().present().unwrap();
        assert!(present.addresses.contains(&(IpAddr::V4(Ipv4Addr::LOCALHOST), 8)), "{present:?}");
        let none = Interface::find("nobody0").unwrap_err();
        assert_eq!(none.to_string(), "there is no nobody0");
    }
}
