//! The network as `/data/network.conf` says, by the kernel's route sockets
//! (rtnetlink(7)); no program is run for it.
//!
//! ```text
//! interface eth0
//! address 192.168.1.20/24
//! gateway 192.168.1.1
//! ```

use crate::log;
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{LinkFlags, LinkMessage};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

/// Where the settings are.
const FILE: &str = "/data/network.conf";
/// Longest settings, in bytes.
const LEN_MAX: u64 = 4_096;

/// What the file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Settings {
    interface: String,
    address: Option<(IpAddr, u8)>,
    gateway: Option<IpAddr>,
}

/// Why a file is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "line {line}: expected `interface NAME`, `address ADDRESS/BITS` or `gateway ADDRESS`, each \
    once"
)]
struct Refused {
    line: usize,
}

/// Bring the network up. What fails is told and leaves the rest.
pub fn bring_up() {
    if let Err(error) = up("lo") {
        log::say(&format!("the loopback interface: {error}"));
    }
    let text = match fs::metadata(FILE).and_then(|metadata| match metadata.len() {
        0..=LEN_MAX => fs::read_to_string(FILE),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "too long")),
    }) {
        Ok(text) => text,
        Err(error) => return log::say(&format!("{FILE}: {error}; there is no network")),
    };
    let done = match Settings::parse(&text) {
        Ok(settings) => settings.apply(),
        Err(refused) => return log::say(&format!("{FILE}: {refused}; there is no network")),
    };
    if let Err(error) = done {
        log::say(&format!("{FILE}: {error}"));
    }
}

impl Settings {
    fn parse(text: &str) -> Result<Self, Refused> {
        let mut settings = Self::default();
        for (at, line) in text.lines().enumerate() {
            let refused = Refused { line: at + 1 };
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            match words[..] {
                [] => {}
                [comment, ..] if comment.starts_with('#') => {}
                ["interface", name] if settings.interface.is_empty() && is_interface(name) => {
                    name.clone_into(&mut settings.interface);
                }
                ["address", text] if settings.address.is_none() => {
                    settings.address = Some(with_bits(text).ok_or(refused)?);
                }
                ["gateway", text] if settings.gateway.is_none() => {
                    settings.gateway = Some(text.parse().map_err(|_| refused)?);
                }
                _ => return Err(refused),
            }
        }
        Ok(settings)
    }

    fn apply(&self) -> io::Result<()> {
        up(&self.interface)?;
        if let Some((address, bits)) = self.address {
            let mut message = AddressMessage::default();
            message.header.family = family(address);
            message.header.prefix_len = bits;
            message.header.index = index(&self.interface)?;
            message.attributes.push(AddressAttribute::Local(address));
            message.attributes.push(AddressAttribute::Address(address));
            ask(RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_REPLACE)?;
        }
        if let Some(gateway) = self.gateway {
            let mut message = RouteMessage::default();
            message.header.address_family = family(gateway);
            message.header.table = 254;
            message.header.protocol = RouteProtocol::Static;
            message.header.scope = RouteScope::Universe;
            message.header.kind = RouteType::Unicast;
            let gateway = match gateway {
                IpAddr::V4(address) => RouteAddress::Inet(address),
                IpAddr::V6(address) => RouteAddress::Inet6(address),
            };
            message.attributes.push(RouteAttribute::Gateway(gateway));
            ask(RouteNetlinkMessage::NewRoute(message), NLM_F_CREATE | NLM_F_REPLACE)?;
        }
        Ok(())
    }
}

fn up(interface: &str) -> io::Result<()> {
    let mut message = LinkMessage::default();
    message.header.index = index(interface)?;
    message.header.flags = LinkFlags::Up;
    message.header.change_mask = LinkFlags::Up;
    ask(RouteNetlinkMessage::NewLink(message), 0)
}

/// Ask the kernel and wait for its answer.
fn ask(message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
    let mut message = NetlinkMessage::new(header, NetlinkPayload::from(message));
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    socket.send(&bytes, 0)?;
    let (answer, _) = socket.recv_from_full()?;
    let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
    match answer.payload {
        NetlinkPayload::Error(error) if error.code.is_some() => Err(error.to_io()),
        _ => Ok(()),
    }
}

fn index(interface: &str) -> io::Result<u32> {
    let path = Path::new("/sys/class/net").join(interface).join("ifindex");
    let text = fs::read_to_string(path).map_err(|_| {
        io::Error::new(io::ErrorKind::NotFound, format!("no interface {interface}"))
    })?;
    text.trim().parse().map_err(|_| io::ErrorKind::InvalidData.into())
}

const fn family(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}

fn is_interface(name: &str) -> bool {
    (1..16).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn with_bits(text: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = text.split_once('/')?;
    let (address, bits): (IpAddr, u8) = (address.parse().ok()?, bits.parse().ok()?);
    let max = if address.is_ipv4() { Ipv4Addr::BITS } else { 128 };
    (u32::from(bits) <= max && !address.is_unspecified()).then_some((address, bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read() {
        let text = "# office\ninterface eth0\naddress 10.0.2.15/24\n\ngateway 10.0.2.2\n";
        let settings = Settings::parse(text).unwrap();
        assert_eq!(settings.interface, "eth0");
        assert_eq!(settings.address, Some(("10.0.2.15".parse().unwrap(), 24)));
        assert_eq!(settings.gateway, Some("10.0.2.2".parse().unwrap()));
        assert!(Settings::parse("address fd00::2/64\n").unwrap().address.is_some());
    }

    #[test]
    fn the_wrong_line_is_named() {
        for line in [
            "interface ../eth0",
            "interface eth0 eth1",
            "address 10.0.2.15",
            "address 10.0.2.15/33",
            "address 0.0.0.0/0",
            "gateway gate",
            "dhcp",
        ] {
            let refused = Settings::parse(&format!("interface eth0\n{line}\n"));
            assert_eq!(refused, Err(Refused { line: 2 }), "{line}");
        }
        assert!(Settings::parse("gateway ::1\ngateway ::1").is_err(), "each once");
    }
}
