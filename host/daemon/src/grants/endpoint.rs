//! A peer that a plugin may connect to, and by what the host knows that it is
//! the right one (facts/appliance-security.md SEC-072).
//!
//! ```toml
//! grant.net.server = "tcp://192.0.2.7:601"
//! grant.net.server = { url = "tls://logs.example.org:6514", ca = "/etc/evenkeel/logs-ca.pem" }
//! grant.net.server = { url = "tls://192.0.2.7:6514", pin_sha256 = "8F:3A:…" }
//! ```
//!
//! `ca` is a file of the appliance, or the certificates themselves as PEM: who
//! writes a grant over the API cannot put a file there.
//!
//! There is no way to trust any certificate whatever.

use super::{GrantTextError, Transport, is_host, wrong};
use core::fmt;
use core::str::FromStr;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject as _;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::path::PathBuf;

/// Longest text of certificates in a grant, bytes; an authority's has 1 to 2 kB.
const PEM_MAX: usize = 32 << 10;

/// A peer: `tls://logs.example.org:6514`, and how it proves who it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// How.
    pub transport: Transport,
    /// Host name or address; an IPv6 address without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Only within TLS: other than by the system's authorities and the host.
    pub trust: Trust,
}

/// What a peer within TLS must show, where it is not the usual: a certificate
/// for its host name, issued by an authority that the system knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Trust {
    /// The authorities that may have issued its certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<Authorities>,
    /// The name that its certificate is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<TlsName>,
    /// The certificate itself. Without [`Trust::ca`], issuer, name and dates
    /// do not matter then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pin_sha256: Option<Pin>,
}

/// Certificate authorities.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Authorities {
    /// A PEM file, read with each connection.
    File(PathBuf),
    /// Their certificates as PEM.
    Pem(String),
}

/// A name or address that a certificate can be for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TlsName(String);

impl TlsName {
    /// As TLS takes it.
    #[must_use]
    pub fn as_server_name(&self) -> ServerName<'static> {
        ServerName::try_from(self.0.clone()).expect("looked at when it was parsed")
    }
}

impl FromStr for Authorities {
    type Err = GrantTextError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !text.contains("-----BEGIN") {
            let path = PathBuf::from(text);
            return match path.is_absolute() {
                true => Ok(Self::File(path)),
                false => Err(wrong(text, "an absolute path or certificates as PEM")),
            };
        }
        let certificates: Result<Vec<_>, _> =
            CertificateDer::pem_slice_iter(text.as_bytes()).collect();
        match certificates {
            Ok(found) if !found.is_empty() && text.len() <= PEM_MAX => {
                Ok(Self::Pem(text.to_owned()))
            }
            _ => {
                let begin: String = text.chars().take(40).collect();
                Err(wrong(&begin, "the beginning of at most 32 KiB of certificates as PEM"))
            }
        }
    }
}

impl fmt::Display for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Pem(text) => f.write_str(text),
        }
    }
}

impl FromStr for TlsName {
    type Err = GrantTextError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match ServerName::try_from(text) {
            Ok(_) => Ok(Self(text.to_ascii_lowercase())),
            Err(_) => Err(wrong(text, "a host name or address that a certificate can be for")),
        }
    }
}

impl fmt::Display for TlsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// SHA-256 of a certificate (DER), as browsers and `openssl x509 -fingerprint
/// -sha256` show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pin(pub [u8; 32]);

impl FromStr for Pin {
    type Err = GrantTextError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || wrong(text, "a SHA-256 fingerprint: 64 hexadecimal digits, colons allowed");
        let digits: Vec<u8> = text.bytes().filter(|b| *b != b':').collect();
        let mut pin = [0; 32];
        if digits.len() != 2 * pin.len() {
            return Err(bad());
        }
        let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
        for (byte, two) in pin.iter_mut().zip(digits.chunks_exact(2)) {
            let (high, low) = digit(two[0]).zip(digit(two[1])).ok_or_else(bad)?;
            *byte = high << 4 | low;
        }
        Ok(Self(pin))
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            let colon = if i == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")?;
        }
        Ok(())
    }
}

impl FromStr for Endpoint {
    type Err = GrantTextError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || wrong(text, "like udp://host:port, tcp://host:port or tls://host:port");
        let (transport, rest) = Transport::split(text).ok_or_else(bad)?;
        let (host, port) = rest.rsplit_once(':').ok_or_else(bad)?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(bad)?;
        let host = match host.strip_prefix('[') {
            Some(inner) => {
                let inner = inner.strip_suffix(']').ok_or_else(bad)?;
                inner.parse::<std::net::Ipv6Addr>().map_err(|_| bad())?;
                inner
            }
            None => host,
        };
        if !rest.starts_with('[') && !is_host(host) {
            return Err(bad());
        }
        let host = host.to_ascii_lowercase();
        if transport == Transport::Tls && ServerName::try_from(host.as_str()).is_err() {
            return Err(wrong(text, "a peer whose host a certificate can be for"));
        }
        Ok(Self { transport, host, port, trust: Trust::default() })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { transport, host, port, .. } = self;
        let scheme = transport.as_str();
        match host.contains(':') {
            true => write!(f, "{scheme}://[{host}]:{port}"),
            false => write!(f, "{scheme}://{host}:{port}"),
        }
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Table<'a> {
            url: String,
            #[serde(flatten)]
            trust: &'a Trust,
        }
        let url = self.to_string();
        match self.trust == Trust::default() {
            true => to.serialize_str(&url),
            false => Table { url, trust: &self.trust }.serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(TextOrTable)
    }
}

/// By hand, because an untagged enum would swallow what is wrong.
struct TextOrTable;

impl<'de> Visitor<'de> for TextOrTable {
    type Value = Endpoint;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"tls://host:port\" or { url = \"tls://host:port\", ca = \"/…/ca.pem\" }")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Endpoint, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Endpoint, A::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            url: String,
            ca: Option<Authorities>,
            server_name: Option<TlsName>,
            pin_sha256: Option<Pin>,
        }
        let table = Table::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
        let Table { url, ca, server_name, pin_sha256 } = table;
        let mut endpoint: Endpoint = url.parse().map_err(A::Error::custom)?;
        endpoint.trust = Trust { ca, server_name, pin_sha256 };
        if endpoint.transport != Transport::Tls && endpoint.trust != Trust::default() {
            let text = "ca, server_name and pin_sha256 are for tls:// alone; remove them";
            return Err(A::Error::custom(format_args!("{url:?}: {text}")));
        }
        Ok(endpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(value: &str) -> Result<Endpoint, toml::de::Error> {
        #[derive(Deserialize)]
        struct Document {
            peer: Endpoint,
        }
        toml::from_str(&format!("peer = {value}")).map(|document: Document| document.peer)
    }

    #[test]
    fn what_is_written_is_read_back() {
        let pin = "8F:".repeat(31) + "0a";
        for good in [
            "\"udp://10.0.0.1:514\"".to_owned(),
            "\"tls://logs.example.org:6514\"".into(),
            "\"tcp://[2001:db8::1]:502\"".into(),
            "{ url = \"tls://10.0.0.1:6514\", ca = \"/etc/ca.pem\", server_name = \"logs\" }"
                .into(),
            format!("{{ url = \"tls://[::1]:6514\", pin_sha256 = {pin:?} }}"),
        ] {
            let endpoint = read(&good).expect(&good);
            let json = serde_json::to_string(&endpoint).expect("serializes");
            assert_eq!(serde_json::from_str::<Endpoint>(&json).expect(&json), endpoint);
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for bad in [
            "logs:514",
            "http://x:80",
            "tcp://x",
            "tcp://x:0",
            "tcp://:1",
            "tcp://a b:1",
            "tcp://x:70000",
            "tcp://[x]:1",
            "tcp://::1:1",
        ] {
            let error = read(&format!("{bad:?}")).expect_err(bad).to_string();
            assert!(error.contains("is not like udp://host:port"), "{error}");
        }
        for (bad, why) in [
            ("{ url = \"tcp://x:1\", ca = \"/a\" }", "are for tls:// alone"),
            ("{ url = \"tls://x:1\", ca = \"a.pem\" }", "an absolute path"),
            ("{ url = \"tls://x:1\", ca = \"-----BEGIN x\" }", "certificates as PEM"),
            ("{ url = \"tls://x:1\", verify = false }", "unknown field `verify`"),
            ("{ url = \"tls://x:1\", pin_sha256 = \"8F\" }", "a SHA-256 fingerprint"),
            ("{ url = \"tls://x:1\", server_name = \"a b\" }", "a certificate can be for"),
            ("\"tls://_x_-:1\"", "a certificate can be for"),
            ("{ ca = \"/a\" }", "missing field `url`"),
            ("7", "tls://host:port"),
        ] {
            let error = read(bad).expect_err(bad).to_string();
            assert!(error.contains(why), "{bad}: {error}");
        }
    }

    proptest! {
        #[test]
        fn an_address_never_panics_and_stays_itself(text in "(udp|tcp|tls)://[a-z0-9.:\\[\\]_-]{0,20}") {
            if let Ok(endpoint) = text.parse::<Endpoint>() {
                prop_assert_eq!(endpoint.to_string().parse(), Ok(endpoint));
            }
        }

        #[test]
        fn a_pin_never_panics_and_stays_itself(text in "[0-9a-fA-F:é]{0,99}", pin: [u8; 32]) {
            let _ = text.parse::<Pin>();
            prop_assert_eq!(Pin(pin).to_string().parse(), Ok(Pin(pin)));
        }
    }
}
