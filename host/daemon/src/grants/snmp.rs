//! An SNMP agent that a plugin may ask: `grant.snmp.<name>`.
//!
//! ```toml
//! grant.snmp.ups = { address = "ups.example.org", version = "v2c", community = "…" }
//! grant.snmp.ups = { address = "10.0.0.9:161", version = "v3", user = "monitor",
//!                    auth = "sha256", auth_key = "…", privacy = "aes128", privacy_key = "…" }
//! ```
//! Keys are the pass phrases that were given to the agent (facts/snmp.md §8).

use super::{GrantTextError, Secret, is_host, wrong};
use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Port of agents that say nothing else.
pub const PORT: u16 = 161;
/// Shortest, usual and longest wait for an answer, ms.
const TIMEOUT_MS: (u32, u32, u32) = (100, 2_000, 10_000);
/// Usual and greatest number of repetitions of a request.
const RETRIES: (u32, u32) = (1, 5);
/// Shortest pass phrase of a user (RFC 3414 §11.2).
const PHRASE_LEN_MIN: usize = 8;
/// Bytes of an engine's name (RFC 3411 §5).
const ENGINE_ID_LEN: core::ops::RangeInclusive<usize> = 5..=32;

/// How an agent is reached and what may be asked of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct SnmpAgent {
    /// Where.
    pub address: SnmpAddress,
    /// How it knows us.
    pub identity: Identity,
    /// Whether objects may be changed.
    pub write: bool,
    /// How long an answer may take.
    pub timeout: Duration,
    /// How often a request is repeated that nobody answers.
    pub retries: u32,
}

impl SnmpAgent {
    /// Its secrets, by their fields.
    pub fn secrets(&mut self) -> Vec<(&'static str, &mut Secret)> {
        match &mut self.identity {
            Identity::V1(community) | Identity::V2c(community) => vec![("community", community)],
            Identity::V3(User { auth: (_, auth_key), privacy, .. }) => {
                let privacy_key = privacy.as_mut().map(|(_, key)| ("privacy_key", key));
                [("auth_key", auth_key)].into_iter().chain(privacy_key).collect()
            }
        }
    }
}

/// How an agent knows who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// SNMPv1
    V1(Secret),
    /// SNMPv2c
    V2c(Secret),
    /// SNMPv3
    V3(User),
}

/// A user of SNMPv3. Without authentication v3 is no better than v2c, so it
/// is not offered without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its name.
    pub name: String,
    /// How messages are signed, and the pass phrase.
    pub auth: (Auth, Secret),
    /// How messages are encrypted, and the pass phrase.
    pub privacy: Option<(Privacy, Secret)>,
    /// The context, empty on nearly all devices.
    pub context: String,
    /// The name of the agent's engine when it cannot be discovered.
    pub engine_id: Option<Vec<u8>>,
}

/// How messages are signed. MD5 is not among them (facts/snmp.md §8.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Auth {
    /// HMAC-SHA-96, RFC 3414
    Sha1,
    /// RFC 7860
    Sha224,
    /// RFC 7860
    Sha256,
    /// RFC 7860
    Sha384,
    /// RFC 7860
    Sha512,
}

/// How messages are encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Privacy {
    /// CFB128-AES-128, RFC 3826
    Aes128,
    /// The same with a key of 256 bits. There are two ways to lengthen a short
    /// key, which do not understand each other; with SHA-256 and longer hashes
    /// none is needed, and only these go with it here.
    Aes256,
}

/// Host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnmpAddress {
    /// Name or address; an IPv6 address without brackets.
    pub host: String,
    /// UDP port.
    pub port: u16,
}

impl FromStr for SnmpAddress {
    type Err = GrantTextError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || wrong(text, "the address of an agent: host, host:port or [IPv6 address]:port");
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or_else(bad)?;
                host.parse::<std::net::Ipv6Addr>().map_err(|_| bad())?;
                (
                    host,
                    if port.is_empty() {
                        None
                    } else {
                        Some(port.strip_prefix(':').ok_or_else(bad)?)
                    },
                )
            }
            None => {
                let (host, port) = text.split_once(':').map_or((text, None), |(h, p)| (h, Some(p)));
                if !is_host(host) {
                    return Err(bad());
                }
                (host, port)
            }
        };
        let port = port.map_or(Ok(PORT), str::parse).map_err(|_| bad())?;
        if port == 0 {
            return Err(bad());
        }
        Ok(Self { host: host.to_ascii_lowercase(), port })
    }
}

impl fmt::Display for SnmpAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        match host.contains(':') {
            true => write!(f, "[{host}]:{port}"),
            false => write!(f, "{host}:{port}"),
        }
    }
}

/// The table as people write it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    address: String,
    version: Version,
    #[serde(skip_serializing_if = "Option::is_none")]
    community: Option<Secret>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth: Option<Auth>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_key: Option<Secret>,
    #[serde(skip_serializing_if = "Option::is_none")]
    privacy: Option<Privacy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    privacy_key: Option<Secret>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    engine_id: Option<String>,
    #[serde(default)]
    write: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retries: Option<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Version {
    V1,
    V2c,
    V3,
}

/// Why an agent's table is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum AgentError {
    #[error(transparent)]
    Text(#[from] GrantTextError),
    #[error("an agent of version v1 or v2c needs `community`")]
    NoCommunity,
    #[error("an agent of version v1 or v2c has a community and no `{0}`; remove it, or use v3")]
    NotClassic(&'static str),
    #[error("an agent of version v3 has a user and no `community`; remove it")]
    NotV3,
    #[error("an agent of version v3 needs `user`, `auth` and `auth_key`")]
    NoUser,
    #[error("`user` and `context` have 1 to 32 bytes")]
    Length,
    #[error("`privacy` and `privacy_key` go together")]
    HalfPrivate,
    #[error("`{0}` needs at least {PHRASE_LEN_MIN} characters")]
    ShortKey(&'static str),
    #[error("aes256 needs `auth` of sha256, sha384 or sha512; its key is too short otherwise")]
    ShortHash,
    #[error("`engine_id` has {} to {} bytes in hexadecimal", ENGINE_ID_LEN.start(), ENGINE_ID_LEN.end())]
    EngineId,
    #[error("`timeout_ms` is {} to {}", TIMEOUT_MS.0, TIMEOUT_MS.2)]
    Timeout,
    #[error("`retries` is 0 to {}", RETRIES.1)]
    Retries,
}

impl TryFrom<Written> for SnmpAgent {
    type Error = AgentError;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let timeout_ms = written.timeout_ms.unwrap_or(TIMEOUT_MS.1);
        if !(TIMEOUT_MS.0..=TIMEOUT_MS.2).contains(&timeout_ms) {
            return Err(AgentError::Timeout);
        }
        let retries = written.retries.unwrap_or(RETRIES.0);
        if retries > RETRIES.1 {
            return Err(AgentError::Retries);
        }
        let (address, write) = (written.address.parse()?, written.write);
        let timeout = Duration::from_millis(timeout_ms.into());
        Ok(Self { address, identity: identity(written)?, write, timeout, retries })
    }
}

fn identity(written: Written) -> Result<Identity, AgentError> {
    if written.version == Version::V3 {
        return user(written).map(Identity::V3);
    }
    let fields = [
        ("user", written.user.is_some()),
        ("auth", written.auth.is_some()),
        ("auth_key", written.auth_key.is_some()),
        ("privacy", written.privacy.is_some()),
        ("privacy_key", written.privacy_key.is_some()),
        ("context", written.context.is_some()),
        ("engine_id", written.engine_id.is_some()),
    ];
    if let Some((field, _)) = fields.into_iter().find(|(_, given)| *given) {
        return Err(AgentError::NotClassic(field));
    }
    let community = written.community.ok_or(AgentError::NoCommunity)?;
    Ok(if written.version == Version::V1 {
        Identity::V1(community)
    } else {
        Identity::V2c(community)
    })
}

fn user(written: Written) -> Result<User, AgentError> {
    let Written { community, user, auth, auth_key, privacy, privacy_key, .. } = written;
    if community.is_some() {
        return Err(AgentError::NotV3);
    }
    let (Some(name), Some(auth), Some(auth_key)) = (user, auth, auth_key) else {
        return Err(AgentError::NoUser);
    };
    let context = written.context.unwrap_or_default();
    if name.is_empty() || name.len() > 32 || context.len() > 32 {
        return Err(AgentError::Length);
    }
    let long = |key: &Secret| key.bytes().len() >= PHRASE_LEN_MIN;
    if !long(&auth_key) {
        return Err(AgentError::ShortKey("auth_key"));
    }
    let privacy = match (privacy, privacy_key) {
        (None, None) => None,
        (Some(_), Some(key)) if !long(&key) => return Err(AgentError::ShortKey("privacy_key")),
        (Some(Privacy::Aes256), _) if matches!(auth, Auth::Sha1 | Auth::Sha224) => {
            return Err(AgentError::ShortHash);
        }
        (Some(privacy), Some(key)) => Some((privacy, key)),
        _ => return Err(AgentError::HalfPrivate),
    };
    let engine_id = written.engine_id.as_deref().map(bytes_of_hex).transpose()?;
    Ok(User { name, auth: (auth, auth_key), privacy, context, engine_id })
}

fn bytes_of_hex(text: &str) -> Result<Vec<u8>, AgentError> {
    let digits = text.strip_prefix("0x").unwrap_or(text).as_bytes();
    let digit = |b: &u8| char::from(*b).to_digit(16).map(|d| d as u8);
    let bytes: Option<Vec<u8>> = digits
        .chunks(2)
        .map(|pair| Some(digit(pair.first()?)? << 4 | digit(pair.get(1)?)?))
        .collect();
    bytes.filter(|bytes| ENGINE_ID_LEN.contains(&bytes.len())).ok_or(AgentError::EngineId)
}

impl From<SnmpAgent> for Written {
    fn from(agent: SnmpAgent) -> Self {
        let mut written = Self {
            address: agent.address.to_string(),
            version: Version::V3,
            community: None,
            user: None,
            auth: None,
            auth_key: None,
            privacy: None,
            privacy_key: None,
            context: None,
            engine_id: None,
            write: agent.write,
            timeout_ms: Some(agent.timeout.as_millis() as u32),
            retries: Some(agent.retries),
        };
        match agent.identity {
            Identity::V1(community) => {
                (written.version, written.community) = (Version::V1, Some(community));
            }
            Identity::V2c(community) => {
                (written.version, written.community) = (Version::V2c, Some(community));
            }
            Identity::V3(user) => {
                written.user = Some(user.name);
                (written.auth, written.auth_key) = (Some(user.auth.0), Some(user.auth.1));
                (written.privacy, written.privacy_key) = user.privacy.unzip();
                written.context = Some(user.context).filter(|context| !context.is_empty());
                let hex = |id: Vec<u8>| id.iter().map(|b| format!("{b:02x}")).collect();
                written.engine_id = user.engine_id.map(hex);
            }
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use crate::grants::Grants;

    fn read(fields: &str) -> Result<Grants, String> {
        let text = format!("snmp.ups = {{ {fields} }}");
        toml::from_str(&text).map_err(|error| error.message().to_owned())
    }

    const V3: &str = r#"address = "10.0.0.9", version = "v3", user = "monitor", auth = "sha256", auth_key = "correct horse""#;

    #[test]
    fn what_is_written_is_read_back_and_secrets_are_not_shown() {
        for good in [
            r#"address = "ups.example.org", version = "v1", community = "hunter22""#.to_owned(),
            r#"address = "[2001:db8::1]:1161", version = "v2c", community = "hunter22", write = true, timeout_ms = 500, retries = 0"#.to_owned(),
            V3.to_owned(),
            format!(r#"{V3}, privacy = "aes256", privacy_key = "battery staple", context = "ups", engine_id = "80001f8804""#),
        ] {
            let grants = read(&good).expect(&good);
            let shown = format!("{grants:?}");
            assert!(!shown.contains("hunter22") && !shown.contains("horse") && !shown.contains("staple"));
            let masked = grants.masked();
            let text = toml::to_string(&masked).expect("written");
            assert!(!text.contains("hunter22") && !text.contains("horse") && !text.contains("staple"));
            assert_eq!(masked.clone().unmasked(&grants).as_ref(), Ok(&grants));
            assert!(masked.unmasked(&Grants::default()).is_err());
            let again = toml::from_str(&toml::to_string(&grants).expect("written")).expect("read");
            assert_eq!(grants, again);
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_what_to_do() {
        let v2 = r#"version = "v2c", community = "public""#;
        for (fields, word) in [
            (format!(r#"address = "http://x", {v2}"#), "host:port"),
            (format!(r#"address = "a:b:c", {v2}"#), "host:port"),
            (format!(r#"address = "x:0", {v2}"#), "host:port"),
            (format!(r#"address = "[x]:161", {v2}"#), "host:port"),
            (format!(r#"address = "x", {v2}, user = "u""#), "no `user`"),
            (format!(r#"address = "x", {v2}, timeout_ms = 99"#), "100 to 10000"),
            (format!(r#"address = "x", {v2}, retries = 6"#), "0 to 5"),
            (format!(r#"address = "x", {v2}, comunity = "x""#), "unknown field"),
            (r#"address = "x", version = "v2c""#.to_owned(), "needs `community`"),
            (r#"address = "x", version = "v3", user = "u""#.to_owned(), "`auth_key`"),
            (format!(r#"{V3}, community = "public""#), "no `community`"),
            (format!(r#"{V3}, privacy = "aes128""#), "go together"),
            (format!(r#"{V3}, privacy = "aes128", privacy_key = "short""#), "at least 8"),
            (format!(r#"{V3}, engine_id = "80001""#), "hexadecimal"),
            (V3.replace("sha256", "md5"), "unknown variant"),
            (
                format!(
                    r#"{}, privacy = "aes256", privacy_key = "long enough""#,
                    V3.replace("sha256", "sha1")
                ),
                "sha384",
            ),
        ] {
            let error = read(&fields).expect_err(&fields);
            assert!(error.contains(word), "{fields}: {error}");
        }
    }
}
