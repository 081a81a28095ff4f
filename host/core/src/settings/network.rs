//! The network of the appliance, as an administrator wants it: who it is, how
//! each interface comes to its addresses, who is asked for names and for the
//! time.
//!
//! ```toml
//! host_name = "rack-7"
//! dns = ["192.0.2.53"]            # without it: what the interfaces learn
//! ntp = ["ntp.example.org"]       # without it: learned; []: nobody is asked
//! [interfaces.eth0]
//! ipv4 = "192.0.2.7/24"           # or "dhcp", or "off"
//! ipv4_gateway = "192.0.2.1"
//! ipv6 = "auto"                   # or an address with its prefix, or "off"
//! ```
//!
//! [`Written`] is what stands in the document and in the API, all text;
//! [`Network`] is what it means, and there is none that contradicts itself. A
//! refusal names the field and says what to write.

#[cfg(test)]
mod tests;

use super::forms::{Document, FormError, Kind};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The document.
pub const DOCUMENT: Kind = Kind::first("network");
/// Longest document, bytes.
pub const LEN_MAX: usize = 8 << 10;
/// Most interfaces.
pub const INTERFACES_MAX: usize = 4;
/// Most servers for names: a resolver asks no more.
pub const DNS_MAX: usize = 3;
/// Most servers for the time.
pub const NTP_MAX: usize = 4;
/// Longest host name: one label.
const HOST_NAME_MAX: usize = 63;
/// Longest name of a server.
const NAME_MAX: usize = 253;
/// Longest text of a refusal that was somebody's, in characters.
const SHOWN_MAX: usize = 60;

/// The network as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    /// One label, such as `rack-7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_name: Option<String>,
    /// Addresses of servers for names; `None`: those that are learned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<Vec<String>>,
    /// Names or addresses of servers for the time; `None`: those that are
    /// learned; none at all: the clock is left alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ntp: Option<Vec<String>>,
    /// By the names that the kernel gives them, such as `eth0`.
    #[serde(default)]
    pub interfaces: BTreeMap<String, WrittenInterface>,
}

/// One interface as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenInterface {
    /// `dhcp`, `off`, or an address with its prefix.
    pub ipv4: String,
    /// With an address of its own: the way to other networks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv4_gateway: Option<String>,
    /// `auto`, `off`, or an address with its prefix.
    pub ipv6: String,
    /// With an address of its own: the way to other networks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6_gateway: Option<String>,
}

/// The network as it is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// What the appliance calls itself.
    pub host_name: Option<String>,
    /// Servers for names; `None`: learned.
    pub dns: Option<Vec<IpAddr>>,
    /// Servers for the time; `None`: learned.
    pub ntp: Option<Vec<String>>,
    /// By name.
    pub interfaces: BTreeMap<String, Interface>,
}

/// One interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interface {
    /// How it comes to its IPv4 address.
    pub ipv4: Ipv4,
    /// How it comes to its IPv6 addresses.
    pub ipv6: Ipv6,
}

/// IPv4 of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ipv4 {
    /// None.
    Off,
    /// From a server.
    Dhcp,
    /// Its own.
    Static(Static<Ipv4Addr>),
}

/// IPv6 of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ipv6 {
    /// None.
    Off,
    /// From routers (RFC 4862).
    Auto,
    /// Its own.
    Static(Static<Ipv6Addr>),
}

/// An address of one's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Static<A> {
    /// The address.
    pub address: A,
    /// So many bits of it are the network's.
    pub prefix: u8,
    /// The way to other networks.
    pub gateway: Option<A>,
}

/// Why a network is refused: which field, and what to write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct Refusal {
    /// Dotted name of the field.
    pub field: String,
    /// What is wrong with it, and what to write.
    pub problem: String,
}

/// Why a document is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// Too long.
    #[error("the settings of the network have more than {LEN_MAX} bytes")]
    Length,
    /// Of a form that is not known, or no TOML.
    #[error("the settings of the network cannot be read")]
    Form(#[from] FormError),
    /// A field that there is not, or of another kind.
    #[error("the settings of the network cannot be read: {0}")]
    Fields(String),
    /// It contradicts itself.
    #[error("the settings of the network are refused")]
    Refused(#[from] Refusal),
}

impl Network {
    /// With which an appliance leaves the factory: everything is learned.
    #[must_use]
    pub fn factory() -> Self {
        let interface = Interface { ipv4: Ipv4::Dhcp, ipv6: Ipv6::Auto };
        let interfaces = [("eth0".to_owned(), interface)].into();
        Self { host_name: None, dns: None, ntp: None, interfaces }
    }

    /// What a document says.
    ///
    /// # Errors
    /// [`DocumentError`].
    pub fn parse(text: &str) -> Result<Self, DocumentError> {
        if text.len() > LEN_MAX {
            return Err(DocumentError::Length);
        }
        let chain = DOCUMENT.chain;
        let (document, _) = chain.bring(Document::parse(text)?, chain.newest())?;
        let written: Result<Written, _> = document.table.try_into();
        let fields = |error: toml::de::Error| DocumentError::Fields(error.message().to_owned());
        Ok(Self::try_from(written.map_err(fields)?)?)
    }

    /// As a document.
    #[must_use]
    pub fn to_text(&self) -> String {
        toml::to_string(&Written::from(self)).expect("texts and lists of texts")
    }
}

impl TryFrom<Written> for Network {
    type Error = Refusal;

    fn try_from(written: Written) -> Result<Self, Refusal> {
        let Written { host_name, dns, ntp, interfaces } = written;
        if let Some(name) = host_name.as_deref().filter(|name| !is_host_name(name)) {
            let problem = "write one label of a-z, 0-9 and '-', at most 63, such as rack-7";
            return Err(refusal("host_name", name, problem));
        }
        let dns = dns.map(|list| list_of("dns", &list, DNS_MAX, name_server)).transpose()?;
        let ntp = ntp.map(|list| list_of("ntp", &list, NTP_MAX, time_server)).transpose()?;
        if !(1..=INTERFACES_MAX).contains(&interfaces.len()) {
            let problem = format!("name 1 to {INTERFACES_MAX} of them");
            return Err(Refusal { field: "interfaces".to_owned(), problem });
        }
        let mut parsed = BTreeMap::new();
        for (name, interface) in interfaces {
            if !is_interface(&name) {
                return Err(refusal("interfaces", &name, "write a name as the kernel's, eth0"));
            }
            let interface = Interface::parse(&format!("interfaces.{name}"), &interface)?;
            parsed.insert(name, interface);
        }
        let network = Self { host_name, dns, ntp, interfaces: parsed };
        network.check()?;
        Ok(network)
    }
}

impl Network {
    /// What no interface can know by itself.
    fn check(&self) -> Result<(), Refusal> {
        let all = || self.interfaces.iter();
        if all().all(|(_, i)| i.ipv4 == Ipv4::Off && i.ipv6 == Ipv6::Off) {
            let problem = "all are off, and nobody would reach the appliance; switch one on";
            return Err(Refusal { field: "interfaces".to_owned(), problem: problem.to_owned() });
        }
        let v4 = all().map(|(name, i)| match i.ipv4 {
            Ipv4::Static(own) => (name, Some(own.address), own.gateway.is_some()),
            _ => (name, None, false),
        });
        once(v4, "ipv4")?;
        let v6 = all().map(|(name, i)| match i.ipv6 {
            Ipv6::Static(own) => (name, Some(own.address), own.gateway.is_some()),
            _ => (name, None, false),
        });
        once(v6, "ipv6")
    }
}

/// No address twice, and one gateway at most.
fn once<'a, A: PartialEq>(
    all: impl Iterator<Item = (&'a String, Option<A>, bool)>,
    family: &str,
) -> Result<(), Refusal> {
    let (mut addresses, mut gateway) = (Vec::new(), false);
    for (name, address, has_gateway) in all {
        if address.as_ref().is_some_and(|address| addresses.contains(address)) {
            let problem = "another interface has the same address; give each its own".to_owned();
            return Err(Refusal { field: format!("interfaces.{name}.{family}"), problem });
        }
        addresses.extend(address);
        if has_gateway && gateway {
            let problem = "another interface has the gateway; there is one way out, leave the \
                           other one away"
                .to_owned();
            return Err(Refusal { field: format!("interfaces.{name}.{family}_gateway"), problem });
        }
        gateway |= has_gateway;
    }
    Ok(())
}

impl Interface {
    fn parse(field: &str, written: &WrittenInterface) -> Result<Self, Refusal> {
        let v4 = Texts {
            field: format!("{field}.ipv4"),
            text: &written.ipv4,
            gateway: written.ipv4_gateway.as_deref(),
        };
        let v6 = Texts {
            field: format!("{field}.ipv6"),
            text: &written.ipv6,
            gateway: written.ipv6_gateway.as_deref(),
        };
        let ipv4 = match written.ipv4.as_str() {
            "off" => v4.without_gateway(Ipv4::Off)?,
            "dhcp" => v4.without_gateway(Ipv4::Dhcp)?,
            _ => Ipv4::Static(v4.static_ipv4()?),
        };
        let ipv6 = match written.ipv6.as_str() {
            "off" => v6.without_gateway(Ipv6::Off)?,
            "auto" => v6.without_gateway(Ipv6::Auto)?,
            _ => Ipv6::Static(v6.static_ipv6()?),
        };
        Ok(Self { ipv4, ipv6 })
    }
}

/// What was written of one family of an interface.
struct Texts<'a> {
    field: String,
    text: &'a str,
    gateway: Option<&'a str>,
}

impl Texts<'_> {
    fn without_gateway<T>(&self, how: T) -> Result<T, Refusal> {
        match self.gateway {
            None => Ok(how),
            Some(gateway) => {
                let problem = "belongs to an address of one's own; leave it away";
                Err(refusal(&format!("{}_gateway", self.field), gateway, problem))
            }
        }
    }

    fn static_ipv4(&self) -> Result<Static<Ipv4Addr>, Refusal> {
        let wrong = |problem| refusal(&self.field, self.text, problem);
        let parsed = self.text.split_once('/').and_then(|(address, prefix)| {
            Some((address.parse::<Ipv4Addr>().ok()?, prefix_of(prefix, 30)?))
        });
        let (address, prefix) = parsed.ok_or_else(|| {
            wrong("write dhcp, off, or an address with its prefix, such as 192.0.2.7/24")
        })?;
        if !is_usable_ipv4(address, prefix) {
            return Err(wrong("nobody can have this address; write that of one device"));
        }
        let gateway = self.gateway.map(|text| {
            let parsed = text.parse::<Ipv4Addr>().ok().filter(|gateway| {
                *gateway != address
                    && network_of_ipv4(*gateway, prefix) == network_of_ipv4(address, prefix)
                    && is_usable_ipv4(*gateway, prefix)
            });
            let problem = "write another device's address in the same network";
            parsed.ok_or_else(|| refusal(&format!("{}_gateway", self.field), text, problem))
        });
        Ok(Static { address, prefix, gateway: gateway.transpose()? })
    }

    fn static_ipv6(&self) -> Result<Static<Ipv6Addr>, Refusal> {
        let wrong = |problem| refusal(&self.field, self.text, problem);
        let parsed = self.text.split_once('/').and_then(|(address, prefix)| {
            Some((address.parse::<Ipv6Addr>().ok()?, prefix_of(prefix, 128)?))
        });
        let (address, prefix) = parsed.ok_or_else(|| {
            wrong("write auto, off, or an address with its prefix, such as 2001:db8::7/64")
        })?;
        if !is_usable_ipv6(address) || address.is_unicast_link_local() {
            return Err(wrong("nobody can have this address; write a global or local unicast one"));
        }
        let gateway = self.gateway.map(|text| {
            let parsed = text.parse::<Ipv6Addr>().ok().filter(|gateway| {
                let near = network_of_ipv6(*gateway, prefix) == network_of_ipv6(address, prefix);
                *gateway != address
                    && is_usable_ipv6(*gateway)
                    && (near || gateway.is_unicast_link_local())
            });
            let problem = "write another device's address in the same network, or a link-local one";
            parsed.ok_or_else(|| refusal(&format!("{}_gateway", self.field), text, problem))
        });
        Ok(Static { address, prefix, gateway: gateway.transpose()? })
    }
}

impl From<&Network> for Written {
    fn from(network: &Network) -> Self {
        let interface = |interface: &Interface| WrittenInterface {
            ipv4: match interface.ipv4 {
                Ipv4::Off => "off".to_owned(),
                Ipv4::Dhcp => "dhcp".to_owned(),
                Ipv4::Static(own) => own.to_string(),
            },
            ipv4_gateway: match interface.ipv4 {
                Ipv4::Static(own) => own.gateway.map(|gateway| gateway.to_string()),
                _ => None,
            },
            ipv6: match interface.ipv6 {
                Ipv6::Off => "off".to_owned(),
                Ipv6::Auto => "auto".to_owned(),
                Ipv6::Static(own) => own.to_string(),
            },
            ipv6_gateway: match interface.ipv6 {
                Ipv6::Static(own) => own.gateway.map(|gateway| gateway.to_string()),
                _ => None,
            },
        };
        let all = network.interfaces.iter();
        Self {
            host_name: network.host_name.clone(),
            dns: network.dns.as_ref().map(|all| all.iter().map(ToString::to_string).collect()),
            ntp: network.ntp.clone(),
            interfaces: all.map(|(name, i)| (name.clone(), interface(i))).collect(),
        }
    }
}

impl<A: fmt::Display> fmt::Display for Static<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

fn list_of<T>(
    field: &str,
    list: &[String],
    most: usize,
    parse: fn(&str) -> Result<T, &'static str>,
) -> Result<Vec<T>, Refusal> {
    if list.len() > most {
        let problem = format!("{} are too many; name at most {most}", list.len());
        return Err(Refusal { field: field.to_owned(), problem });
    }
    list.iter().map(|text| parse(text).map_err(|why| refusal(field, text, why))).collect()
}

fn name_server(text: &str) -> Result<IpAddr, &'static str> {
    let usable = |address: &IpAddr| match address {
        IpAddr::V4(address) => is_usable_ipv4(*address, 32),
        IpAddr::V6(address) => is_usable_ipv6(*address) && !address.is_unicast_link_local(),
    };
    text.parse().ok().filter(usable).ok_or("write a server's address, such as 192.0.2.53")
}

fn time_server(text: &str) -> Result<String, &'static str> {
    let good = match text.parse() {
        Ok(IpAddr::V4(address)) => is_usable_ipv4(address, 32),
        Ok(IpAddr::V6(address)) => is_usable_ipv6(address) && !address.is_unicast_link_local(),
        Err(_) => is_server_name(text),
    };
    let wrong = "write a server's name or address, such as ntp.example.org";
    if good { Ok(text.to_owned()) } else { Err(wrong) }
}

/// Whether a device can have this address, in a network of so many bits.
#[must_use]
pub fn is_usable_ipv4(address: Ipv4Addr, prefix: u8) -> bool {
    let hosts = u32::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
    let host = address.to_bits() & hosts;
    // The lowest names the network and the highest all in it; where there are
    // but two or one, they are devices (RFC 3021).
    let named = prefix >= 31 || (host != 0 && host != hosts);
    let first = address.octets()[0];
    named && first != 0 && first != 127 && first < 224
}

fn is_usable_ipv6(address: Ipv6Addr) -> bool {
    !address.is_unspecified()
        && !address.is_loopback()
        && !address.is_multicast()
        && address.to_ipv4_mapped().is_none()
}

/// The part of an address that is the network's.
#[must_use]
pub fn network_of_ipv4(address: Ipv4Addr, prefix: u8) -> u32 {
    let hosts = u32::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
    address.to_bits() & !hosts
}

fn network_of_ipv6(address: Ipv6Addr, prefix: u8) -> u128 {
    let hosts = u128::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
    address.to_bits() & !hosts
}

/// Bits of a network: at least 8 of them, so that nobody's is everybody's.
fn prefix_of(text: &str, most: u8) -> Option<u8> {
    let digits = text.len() <= 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten().filter(|bits| (8..=most).contains(bits))
}

fn is_host_name(name: &str) -> bool {
    (1..=HOST_NAME_MAX).contains(&name.len()) && is_label(name)
}

fn is_server_name(name: &str) -> bool {
    // All numbers is an address that is wrong.
    (1..=NAME_MAX).contains(&name.len())
        && name.split('.').all(|label| (1..=63).contains(&label.len()) && is_label(label))
        && name.rsplit('.').next().is_some_and(|last| last.bytes().any(|b| b.is_ascii_lowercase()))
}

fn is_label(label: &str) -> bool {
    label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

fn is_interface(name: &str) -> bool {
    (1..16).contains(&name.len())
        && name != "lo"
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        && name.starts_with(|first: char| first.is_ascii_lowercase())
}

fn refusal(field: &str, text: &str, problem: &str) -> Refusal {
    let shown: String = text.chars().take(SHOWN_MAX).collect();
    Refusal { field: field.to_owned(), problem: format!("{shown:?}: {problem}") }
}
