//! What an administrator lets one plugin use: real things under the logical
//! names of its manifest. What is not named here is not granted.
//!
//! Written by people in the configuration and through the API, so every part
//! is parsed into what it means and refused with the reason
//! (facts/wasm-host.md §11.3).
//!
//! ```toml
//! grant.serial.ups = "/dev/ttyS1"
//! grant.net.server = "tls://logs.example.org:6514"
//! grant.net.other = { url = "tls://192.0.2.7:6514", ca = "/etc/evenkeel/ca.pem" }
//! grant.listen.modbus = "tcp://[::]:502"
//! grant.read.values = ["string", "ups.0"]
//! grant.commands.ups = ["ups.0:test.battery.*", "ups.0:beeper.toggle"]
//! grant.events.log = "warning"
//! grant.secrets.shared = "correct horse"
//! grant.contacts.fan = { at = "AUX1.output.3", switch = true }
//! grant.hid.ups = { at = "051d:0002", write = true }
//! grant.snmp.ups = { address = "10.0.0.9", version = "v2c", community = "…" }
//! ```

pub mod contact;
pub mod endpoint;
pub mod event_log;
pub mod hid;
pub mod snmp;

pub use endpoint::{Authorities, Endpoint, Pin, TlsName, Trust};

use crate::plugin_admin::MASK;
use core::fmt;
use core::str::FromStr;
use evenkeel_core::danger::danger_of;
use evenkeel_core::points::Name;
use evenkeel_core::points::names::within;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Things by logical name.
pub type Named<T> = BTreeMap<String, T>;

/// Everything that is granted to one plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Grants {
    /// Serial lines.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub serial: Named<DevicePath>,
    /// Peers that it may connect to.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub net: Named<Endpoint>,
    /// Addresses on which the host listens for it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub listen: Named<Listen>,
    /// Points that it may read.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub read: Named<Vec<Subtree>>,
    /// Commands that it may give.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub commands: Named<Vec<CommandPattern>>,
    /// The event log: what it may read of it, or add to it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub events: Named<event_log::EventGrant>,
    /// Secrets that it may compute with.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: Named<Secret>,
    /// Inputs and outputs of the guard's devices.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub contacts: Named<contact::ContactGrant>,
    /// USB-HID devices.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub hid: Named<hid::HidGrant>,
    /// SNMP agents that it may ask.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub snmp: Named<snmp::SnmpAgent>,
}

impl Grants {
    /// Without the texts of the secrets, to be shown.
    #[must_use]
    pub fn masked(&self) -> Self {
        let mut shown = self.clone();
        shown.secrets.values_mut().for_each(|secret| *secret = Secret(MASK.to_owned()));
        for (_, secret) in shown.snmp.values_mut().flat_map(snmp::SnmpAgent::secrets) {
            *secret = Secret(MASK.to_owned());
        }
        shown
    }

    /// With the secrets of `before` where only the mask is given.
    ///
    /// # Errors
    /// The name of a masked secret that was not there before.
    pub fn unmasked(mut self, before: &Self) -> Result<Self, String> {
        for (name, secret) in self.secrets.iter_mut().filter(|(_, secret)| secret.0 == MASK) {
            secret.clone_from(before.secrets.get(name).ok_or_else(|| name.clone())?);
        }
        for (name, agent) in &mut self.snmp {
            let mut known = before.snmp.get(name).cloned();
            let mut known = known.as_mut().map(snmp::SnmpAgent::secrets).unwrap_or_default();
            for (field, secret) in agent.secrets().into_iter().filter(|(_, s)| s.0 == MASK) {
                let same = known.iter_mut().find(|(other, _)| *other == field);
                let (_, same) = same.ok_or_else(|| format!("{name}.{field}"))?;
                secret.clone_from(same);
            }
        }
        Ok(self)
    }
}

/// Why a part of a grant is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {wanted}")]
pub struct GrantTextError {
    text: String,
    wanted: &'static str,
}

fn wrong(text: &str, wanted: &'static str) -> GrantTextError {
    GrantTextError { text: crate::caps::one_line(text, 100), wanted }
}

/// Whether `text` can be a host's name or IPv4 address.
fn is_host(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    (1..=253).contains(&text.len()) && text.bytes().all(good)
}

/// A device file, by its absolute path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DevicePath(PathBuf);

impl DevicePath {
    /// The path.
    #[must_use]
    pub fn as_path(&self) -> &std::path::Path {
        &self.0
    }
}

impl FromStr for DevicePath {
    type Err = GrantTextError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let path = PathBuf::from(text);
        if path.is_absolute() { Ok(Self(path)) } else { Err(wrong(text, "an absolute path")) }
    }
}

impl fmt::Display for DevicePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

/// How a peer is reached, or waits to be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A stream.
    Tcp,
    /// A stream within TLS.
    Tls,
}

impl Transport {
    const ALL: [(&str, Self); 3] = [("udp", Self::Udp), ("tcp", Self::Tcp), ("tls", Self::Tls)];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }

    fn split(text: &str) -> Option<(Self, &str)> {
        let (scheme, rest) = text.split_once("://")?;
        Self::ALL.iter().find(|(word, _)| *word == scheme).map(|(_, t)| (*t, rest))
    }
}

/// An address to listen on: `tcp://[::]:502`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Listen {
    /// How.
    pub transport: Transport,
    /// Address and port; port 0 lets the system choose.
    pub address: SocketAddr,
}

impl FromStr for Listen {
    type Err = GrantTextError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || wrong(text, "like tcp://0.0.0.0:502, udp://[::]:161 or tls://[::]:802");
        let (transport, rest) = Transport::split(text).ok_or_else(bad)?;
        Ok(Self { transport, address: rest.parse().map_err(|_| bad())? })
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.transport.as_str(), self.address)
    }
}

/// A part of the tree of points: `string.1`, or `*` for all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subtree(String);

impl Subtree {
    /// The prefix of the names in it; empty for all.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.0
    }

    /// Whether the point or subtree `name` lies in it.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.0.is_empty() || within(name, &self.0)
    }
}

impl FromStr for Subtree {
    type Err = GrantTextError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "*" => Ok(Self(String::new())),
            _ => Name::parse(text)
                .map(|_| Self(text.to_owned()))
                .map_err(|_| wrong(text, "a subtree of points such as \"string.1\", or \"*\"")),
        }
    }
}

impl fmt::Display for Subtree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "*" } else { &self.0 })
    }
}

/// Commands to one target: `ups.0:test.battery.*`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CommandPattern {
    target: String,
    /// The name, or how it begins.
    name: String,
    open_ended: bool,
}

impl CommandPattern {
    /// Whether it allows `name` to `target`. A dangerous command is allowed by
    /// its whole name alone: no `*` covers it.
    #[must_use]
    pub fn allows(&self, target: &str, name: &str) -> bool {
        let fits = match self.open_ended {
            true => name.starts_with(&self.name) && danger_of(name).is_none(),
            false => name == self.name,
        };
        target == self.target && fits
    }

    /// What the command that it names can do; `None` for a harmless one, and for
    /// a pattern, which covers no other.
    #[must_use]
    pub fn danger(&self) -> Option<&'static str> {
        danger_of(&self.name).filter(|_| !self.open_ended)
    }

    /// The device that may be told.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }
}

impl FromStr for CommandPattern {
    type Err = GrantTextError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || wrong(text, "like \"ups.0:beeper.toggle\" or \"ups.0:test.battery.*\"");
        let (target, name) = text.split_once(':').ok_or_else(bad)?;
        Name::parse(target).map_err(|_| bad())?;
        let (name, open_ended) =
            name.strip_suffix('*').map_or((name, false), |begin| (begin, true));
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
        if name.len() > Name::LEN_MAX || !name.bytes().all(good) || (name.is_empty() && !open_ended)
        {
            return Err(bad());
        }
        Ok(Self { target: target.to_owned(), name: name.to_owned(), open_ended })
    }
}

impl fmt::Display for CommandPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}{}", self.target, self.name, if self.open_ended { "*" } else { "" })
    }
}

/// A secret text. It is kept and computed with; it is not shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Secret(String);

impl Secret {
    /// From a setting, of which the schema says how long it may be.
    #[must_use]
    pub fn of_setting(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The bytes, for a computation.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl FromStr for Secret {
    type Err = GrantTextError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match (1..=256).contains(&text.len()) {
            true => Ok(Self(text.to_owned())),
            false => Err(wrong("…", "a secret of 1 to 256 bytes")),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl From<Secret> for String {
    fn from(secret: Secret) -> Self {
        secret.0
    }
}

/// Both ways between a type and its text.
macro_rules! by_text {
    ($($type:ty),*) => {$(
        impl TryFrom<String> for $type {
            type Error = GrantTextError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }
    )*};
}
by_text!(DevicePath, Listen, Subtree, CommandPattern, Secret, Authorities, TlsName, Pin);

macro_rules! shown {
    ($($type:ty),*) => {$(
        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.to_string()
            }
        }
    )*};
}
shown!(DevicePath, Listen, Subtree, CommandPattern, Authorities, TlsName, Pin);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        assert_eq!(
            "tcp://[::]:502".parse::<Listen>().map(|l| l.to_string()).as_deref(),
            Ok("tcp://[::]:502")
        );
        assert!("tcp://modbus:502".parse::<Listen>().is_err(), "an address, not a name");
    }

    #[test]
    fn a_subtree_holds_what_lies_in_it() {
        let subtree: Subtree = "string.1".parse().expect("good");
        assert!(subtree.contains("string.1") && subtree.contains("string.1.block.2.voltage"));
        assert!(!subtree.contains("string.10") && !subtree.contains("string"));
        let all: Subtree = "*".parse().expect("good");
        assert!(all.contains("ups.0.ups.load"));
        assert!("".parse::<Subtree>().is_err() && "String".parse::<Subtree>().is_err());
    }

    #[test]
    fn a_command_is_allowed_by_name_or_beginning() {
        let pattern: CommandPattern = "ups.0:test.battery.*".parse().expect("good");
        assert!(pattern.allows("ups.0", "test.battery.start.quick"));
        assert!(!pattern.allows("ups.1", "test.battery.start.quick"));
        assert!(!pattern.allows("ups.0", "load.off"));
        let exact: CommandPattern = "ups.0:load.off".parse().expect("good");
        assert!(exact.allows("ups.0", "load.off") && !exact.allows("ups.0", "load.off.delay"));
        let all: CommandPattern = "ups.0:*".parse().expect("good");
        assert!(all.allows("ups.0", "beeper.toggle"));
        for dangerous in ["load.off", "shutdown.return", "experimental.kill", "outlet.1.switch"] {
            assert!(!all.allows("ups.0", dangerous), "{dangerous}");
        }
        let nearly: CommandPattern = "ups.0:load.of*".parse().expect("good");
        assert!(!nearly.allows("ups.0", "load.off"));
        for bad in ["load.off", "ups.0:", "ups.0:LOAD", ":x", "ups.0:a*b"] {
            assert!(bad.parse::<CommandPattern>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        let grants: Grants = toml::from_str("secrets.shared = \"hunter2\"").expect("good");
        assert!(!format!("{grants:?}").contains("hunter2"));
        assert_eq!(grants.secrets["shared"].bytes(), b"hunter2");
        let shown = grants.masked();
        assert_ne!(shown, grants);
        assert_eq!(shown.clone().unmasked(&grants), Ok(grants));
        assert_eq!(shown.unmasked(&Grants::default()), Err("shared".to_owned()));
        let error = toml::from_str::<Grants>("secrets.shared = \"\"").expect_err("empty");
        assert!(error.message().contains("1 to 256 bytes"), "{error}");
    }
}
