//! The way to an appliance over its HTTPS API.
//!
//! An appliance signs its certificate itself, so it is known by the
//! certificate's fingerprint and by nothing else ([`pin`]); fingerprints that a
//! person accepted are kept ([`known`]). [`client`] asks and bounds what comes
//! back.

pub mod client;
pub mod known;
pub mod pin;

use std::fmt;
use std::str::FromStr;

/// Where an appliance is: `https://192.0.2.7:8443`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(String);

/// What is no address of an appliance.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no address of an appliance; write it like https://192.0.2.7:8443")]
pub struct AddressError(String);

impl Address {
    /// `https://host:port`, without the port when it is the usual one: what
    /// requests begin with, and what the appliance sees as their origin.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.0
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || AddressError(text.chars().take(100).collect());
        let rest = text.strip_prefix("https://").ok_or_else(wrong)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match rest.rsplit_once(':') {
            // The colons of `[::1]` are its own.
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (rest, None),
        };
        let good = |b: u8| b.is_ascii_alphanumeric() || b".-".contains(&b);
        let is_name = (1..=253).contains(&host.len()) && host.bytes().all(good);
        let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_v6 = inner.is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok());
        let port = port.map(|port| port.parse::<u16>().ok().filter(|p| *p > 0).ok_or_else(wrong));
        let port = port.transpose()?.filter(|port| *port != 443);
        if !is_name && !is_v6 {
            return Err(wrong());
        }
        let port = port.map_or(String::new(), |port| format!(":{port}"));
        Ok(Self(format!("https://{}{port}", host.to_ascii_lowercase())))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_appliance_has_one_spelling() {
        for (text, base) in [
            ("https://192.0.2.7", "https://192.0.2.7"),
            ("https://UPS.example:443/", "https://ups.example"),
            ("https://ups.example:8443", "https://ups.example:8443"),
            ("https://[::1]:8443/", "https://[::1]:8443"),
            ("https://[2001:DB8::7]", "https://[2001:db8::7]"),
        ] {
            assert_eq!(text.parse::<Address>().expect(text).base(), base);
        }
    }

    #[test]
    fn anything_else_is_refused_with_an_example() {
        for text in [
            "",
            "ups.example",
            "http://ups.example",
            "https://",
            "https://:8443",
            "https://ups.example:0",
            "https://ups.example:99999",
            "https://ups.example/plugins",
            "https://user@ups.example",
            "https://[::1",
            "https://[fe80::1%eth0]",
            "https://a b",
        ] {
            let error = text.parse::<Address>().expect_err(text).to_string();
            assert!(error.contains("https://192.0.2.7:8443"), "{error}");
        }
    }
}
