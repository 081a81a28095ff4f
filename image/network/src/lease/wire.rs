//! DHCP packets (RFC 2131, RFC 2132): taken apart and put together by smoltcp.
//! What a server says is judged here before anything is done with it.

use core::net::Ipv4Addr;
use evenkeel_core::settings::network::{DNS_MAX, NTP_MAX, is_usable_ipv4, network_of_ipv4};
use smoltcp::wire::{DhcpMessageType, DhcpOption, DhcpPacket, DhcpRepr, EthernetAddress};
use std::time::Duration;

/// Options that no field of [`DhcpRepr`] has whole.
const ROUTERS: u8 = 3;
const HOST_NAME: u8 = 12;
const NTP_SERVERS: u8 = 42;
/// What is asked for: mask, router, names, time, how long.
const WANTED: &[u8] = &[1, ROUTERS, 6, NTP_SERVERS, 51, 58, 59];
/// Longest answer that is read, bytes.
pub const LEN_MAX: usize = 1_500;
/// Shortest packet that every relay passes on (RFC 1542), bytes.
const LEN_MIN: usize = 300;
/// A lease that is shorter cannot be renewed in time.
const LEASE_MIN: Duration = Duration::from_secs(30);

/// What a server offers or grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The server.
    pub server: Ipv4Addr,
    /// The address.
    pub address: Ipv4Addr,
    /// So many bits of it are the network's.
    pub prefix: u8,
    /// The way to other networks.
    pub gateway: Option<Ipv4Addr>,
    /// Servers for names.
    pub dns: Vec<Ipv4Addr>,
    /// Servers for the time.
    pub ntp: Vec<Ipv4Addr>,
    /// For so long.
    pub lease: Duration,
    /// After so long the server is asked again,
    pub renew: Duration,
    /// and after so long anybody.
    pub rebind: Duration,
}

/// What a server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It would lend this.
    Offer(Terms),
    /// It lends this.
    Ack(Terms),
    /// It does not.
    Nak(Ipv4Addr),
}

/// Why a packet is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ignored {
    /// It is none.
    Garbled,
    /// It answers somebody else.
    Foreign,
    /// What it offers cannot be used.
    Unusable,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Who lends?
    Discover,
    /// Lend me what you offered.
    Request {
        /// What was offered,
        address: Ipv4Addr,
        /// and by whom.
        server: Ipv4Addr,
    },
    /// Let me keep what I have.
    Renew {
        /// What that is.
        address: Ipv4Addr,
    },
    /// Does what I have still count where I am now?
    Return {
        /// What that is.
        address: Ipv4Addr,
    },
    /// Somebody else has what you lent.
    Decline {
        /// What that is,
        address: Ipv4Addr,
        /// and who lent it.
        server: Ipv4Addr,
    },
}

/// A question to servers.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// What is asked.
    pub kind: Kind,
    /// By which the answer is known.
    pub transaction: u32,
    /// Hardware address of the interface.
    pub hardware: [u8; 6],
    /// For so long it has been asking.
    pub since: Duration,
    /// What the appliance calls itself.
    pub host_name: Option<&'a str>,
}

impl Question<'_> {
    /// As bytes.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        let none = Ipv4Addr::UNSPECIFIED;
        let (message_type, client_ip, requested_ip, server_identifier) = match self.kind {
            Kind::Discover => (DhcpMessageType::Discover, none, None, None),
            Kind::Request { address, server } => {
                (DhcpMessageType::Request, none, Some(address), Some(server))
            }
            Kind::Renew { address } => (DhcpMessageType::Request, address, None, None),
            Kind::Return { address } => (DhcpMessageType::Request, none, Some(address), None),
            Kind::Decline { address, server } => {
                (DhcpMessageType::Decline, none, Some(address), Some(server))
            }
        };
        let hardware = EthernetAddress(self.hardware);
        // Nothing comes back of a refusal (RFC 2131, table 5).
        let is_question = message_type != DhcpMessageType::Decline;
        let name = self.host_name.filter(|_| is_question);
        let name = name.map(|name| DhcpOption { kind: HOST_NAME, data: name.as_bytes() });
        let repr = DhcpRepr {
            message_type,
            transaction_id: self.transaction,
            secs: u16::try_from(self.since.as_secs()).unwrap_or(u16::MAX),
            client_hardware_address: hardware,
            client_ip,
            your_ip: none,
            server_ip: none,
            router: None,
            subnet_mask: None,
            relay_agent_ip: none,
            // Without an address of its own nothing else can reach it.
            broadcast: is_question && client_ip == none,
            requested_ip,
            client_identifier: Some(hardware),
            server_identifier,
            parameter_request_list: is_question.then_some(WANTED),
            dns_servers: None,
            max_size: u16::try_from(LEN_MAX).ok().filter(|_| is_question),
            lease_duration: None,
            renew_duration: None,
            rebind_duration: None,
            additional_options: name.as_slice(),
        };
        let mut bytes = vec![0; repr.buffer_len().max(LEN_MIN)];
        repr.emit(&mut DhcpPacket::new_unchecked(&mut bytes[..]))
            .expect("the packet has the length that it asked for");
        bytes
    }
}

/// What a packet says to who asked with `transaction` from `hardware`.
///
/// # Errors
/// [`Ignored`].
pub fn parse(bytes: &[u8], transaction: u32, hardware: [u8; 6]) -> Result<Heard, Ignored> {
    if bytes.len() > LEN_MAX {
        return Err(Ignored::Garbled);
    }
    let packet = DhcpPacket::new_checked(bytes).map_err(|_| Ignored::Garbled)?;
    let repr = DhcpRepr::parse(&packet).map_err(|_| Ignored::Garbled)?;
    if repr.transaction_id != transaction || repr.client_hardware_address.0 != hardware {
        return Err(Ignored::Foreign);
    }
    let server = repr.server_identifier.filter(|server| is_usable_ipv4(*server, 32));
    let server = server.ok_or(Ignored::Unusable)?;
    match repr.message_type {
        DhcpMessageType::Offer => Ok(Heard::Offer(terms(&packet, &repr, server)?)),
        DhcpMessageType::Ack => Ok(Heard::Ack(terms(&packet, &repr, server)?)),
        DhcpMessageType::Nak => Ok(Heard::Nak(server)),
        _ => Err(Ignored::Foreign),
    }
}

fn terms(
    packet: &DhcpPacket<&[u8]>,
    repr: &DhcpRepr<'_>,
    server: Ipv4Addr,
) -> Result<Terms, Ignored> {
    let mask = repr.subnet_mask.ok_or(Ignored::Unusable)?.to_bits();
    let prefix = mask.leading_ones() as u8;
    let address = repr.your_ip;
    let whole = mask.leading_ones() + mask.trailing_zeros() == 32 && prefix >= 8;
    let lease = repr.lease_duration.map(|s| Duration::from_secs(s.into()));
    let lease = lease.filter(|lease| *lease >= LEASE_MIN).ok_or(Ignored::Unusable)?;
    if !whole || !is_usable_ipv4(address, prefix) {
        return Err(Ignored::Unusable);
    }
    let near = |gateway: &Ipv4Addr| {
        *gateway != address
            && is_usable_ipv4(*gateway, prefix)
            && network_of_ipv4(*gateway, prefix) == network_of_ipv4(address, prefix)
    };
    let servers = |kind, most| -> Vec<Ipv4Addr> {
        let all = addresses(packet, kind).into_iter();
        all.filter(|server| is_usable_ipv4(*server, 32)).take(most).collect()
    };
    // What a server says of its times holds if it makes sense together.
    let seconds = |said: Option<u32>| said.map(|s| Duration::from_secs(s.into()));
    let (renew, rebind) = match (seconds(repr.renew_duration), seconds(repr.rebind_duration)) {
        (Some(renew), Some(rebind))
            if renew > Duration::ZERO && renew < rebind && rebind < lease =>
        {
            (renew, rebind)
        }
        _ => (lease / 2, lease / 8 * 7),
    };
    Ok(Terms {
        server,
        address,
        prefix,
        gateway: addresses(packet, ROUTERS).into_iter().find(near),
        dns: servers(6, DNS_MAX),
        ntp: servers(NTP_SERVERS, NTP_MAX),
        lease,
        renew,
        rebind,
    })
}

/// The addresses of the first option of this kind.
fn addresses(packet: &DhcpPacket<&[u8]>, kind: u8) -> Vec<Ipv4Addr> {
    let Some(option) = packet.options().find(|option| option.kind == kind) else {
        return Vec::new();
    };
    let four = option.data.chunks_exact(4);
    four.map(|a| Ipv4Addr::new(a[0], a[1], a[2], a[3])).collect()
}
