//! `[metrics]` and `[flash]` of the configuration.
//!
//! ```toml
//! [metrics]
//! bearer_sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
//!
//! [flash]
//! capacity_mib = 4096
//! endurance_cycles = 3000
//! ```

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use sha2::{Digest as _, Sha256};

/// What a monitoring system and the appliance know of each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Telemetry {
    /// Who may read metrics without a session.
    pub metrics: MetricsSettings,
    /// What the store lies on.
    pub flash: FlashSettings,
}

/// Who may read metrics without a session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsSettings {
    /// SHA-256 of the token that a monitoring system sends as `Authorization:
    /// Bearer …`; nobody but who is signed in without it. The token itself,
    /// made by `openssl rand -hex 32`, is not kept here.
    #[serde(default, deserialize_with = "digest")]
    bearer_sha256: Option<[u8; 32]>,
}

/// The flash that the store lies on, to estimate its life.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FlashSettings {
    /// Size, MiB; 1 … 16,777,216.
    #[serde(deserialize_with = "capacity")]
    capacity_mib: u64,
    /// How often each block can be erased; 100 … 10,000,000.
    #[serde(deserialize_with = "endurance")]
    endurance_cycles: u64,
}

impl MetricsSettings {
    /// True for the header of who holds the token.
    #[must_use]
    pub fn admit(&self, authorization: &[u8]) -> bool {
        let token = authorization.strip_prefix(b"Bearer ");
        // Digests are compared: how long that takes tells nothing of the token.
        let digest = token.map(|token| <[u8; 32]>::from(Sha256::digest(token)));
        self.bearer_sha256.is_some() && digest == self.bearer_sha256
    }
}

impl FlashSettings {
    /// Bytes.
    #[must_use]
    pub const fn capacity_bytes(&self) -> u64 {
        self.capacity_mib << 20
    }

    /// How often each block can be erased.
    #[must_use]
    pub const fn endurance_cycles(&self) -> u64 {
        self.endurance_cycles
    }
}

impl Default for FlashSettings {
    /// The smallest of the reference controller, multi-level cells.
    fn default() -> Self {
        Self { capacity_mib: 512, endurance_cycles: 3_000 }
    }
}

fn digest<'de, D: Deserializer<'de>>(from: D) -> Result<Option<[u8; 32]>, D::Error> {
    let text = String::deserialize(from)?;
    let wrong =
        || D::Error::custom("bearer_sha256 is 64 hexadecimal digits: the SHA-256 of the token");
    let mut digest = [0; 32];
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    for (byte, at) in digest.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| wrong())?;
    }
    Ok(Some(digest))
}

fn capacity<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    within(u64::deserialize(from)?, "capacity_mib", 1, 16 << 20)
}

fn endurance<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    within(u64::deserialize(from)?, "endurance_cycles", 100, 10_000_000)
}

fn within<E: serde::de::Error>(value: u64, name: &str, least: u64, most: u64) -> Result<u64, E> {
    match (least..=most).contains(&value) {
        true => Ok(value),
        false => Err(E::custom(format!("{name} {value} is not in {least} … {most}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_opens() {
        let digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        let text = format!("bearer_sha256 = \"{digest}\"");
        let settings: MetricsSettings = toml::from_str(&text).expect("good");
        assert!(settings.admit(b"Bearer test"));
        for wrong in [&b"Bearer tes"[..], b"test", b"Basic test", b"Bearer ", b""] {
            assert!(!settings.admit(wrong), "{wrong:?}");
        }
        assert!(!MetricsSettings::default().admit(b"Bearer test"), "nobody without a token");
        for wrong in ["bearer_sha256 = \"test\"", "bearer = \"test\"", "bearer_sha256 = 1"] {
            assert!(toml::from_str::<MetricsSettings>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_flash_is_within_reason() {
        let flash: FlashSettings = toml::from_str("capacity_mib = 4096").expect("good");
        assert_eq!((flash.capacity_bytes(), flash.endurance_cycles()), (4 << 30, 3_000));
        for wrong in ["capacity_mib = 0", "endurance_cycles = 1", "size = 1"] {
            assert!(toml::from_str::<FlashSettings>(wrong).is_err(), "{wrong}");
        }
    }
}
