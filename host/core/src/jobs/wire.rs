//! What jobs put on the wire: magic packets and signed messages.
//!
//! # Webhooks
//! `POST` with a JSON body and these headers:
//!
//! | header | value |
//! |---|---|
//! | `Evenkeel-Id` | the delivery ([`delivery_id`]) |
//! | `Evenkeel-Time` | s since 1970 of this attempt |
//! | `Evenkeel-Signature` | `v1=` and HMAC-SHA256 (RFC 2104) as hex, by the shared key, of the time, a full stop, and the body |
//!
//! A receiver computes the same over the body as it came, compares in constant
//! time, and refuses times more than 5 minutes off. The id is in the body too,
//! and with it under the signature.
//!
//! ## What a receiver may rely on
//! - **At least once.** 2xx is success: the message is noted as delivered and
//!   never sent again. 408, 425, 429, 5xx, silence and a broken connection are
//!   tried again, 2 s to 5 min apart, ten times in all
//!   ([`ATTEMPTS_MAX`](super::ATTEMPTS_MAX)), over restarts of the appliance;
//!   everything else is given up, and an event says so.
//! - **One id, one message.** Every attempt of a delivery has the same id and the
//!   same body, byte for byte (the words are kept before they are sent for the
//!   first time; a firmware update between two attempts may word the event anew).
//!   Time and signature are those of the attempt. No other delivery has this id,
//!   not even when the appliance lost its store and counts events anew.
//! - **A receiver may see a delivery twice**: when its answer was lost, or the
//!   appliance lost power between the answer and the note of it. Then it comes
//!   again under its id, never under another one. So a receiver keeps the ids that
//!   it took for a day, answers 2xx to one that it knows, and does nothing: that
//!   is also what keeps a recorded message from being played again.
//! - **No order.** Messages are sent side by side; `event_id` and `unix_ms` are
//!   those of the event, in the order in which events happened.
//!
//! # Wake-on-LAN
//! facts/rccmd-email-trap-wol.md §8: six times FF, sixteen times the address,
//! then the SecureOn password, 4 or 6 bytes, if the card has one.

use core::fmt;
use serde::{Deserialize, Serialize};

/// The address of a network card, `00:11:22:aa:bb:cc` (`-` is taken too).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mac([u8; 6]);

/// The password of a network card, 4 or 6 bytes, written as an address is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SecureOn(Vec<u8>);

/// The packet that wakes the machine with this card.
#[must_use]
pub fn magic_packet(mac: Mac, secure_on: Option<&SecureOn>) -> Vec<u8> {
    let mut packet = vec![0xFF; 6];
    (0..16).for_each(|_| packet.extend(mac.0));
    packet.extend(secure_on.into_iter().flat_map(|password| &password.0));
    packet
}

/// The bytes over which a webhook is signed.
#[must_use]
pub fn signed_bytes(unix_s: u64, body: &[u8]) -> Vec<u8> {
    let mut bytes = unix_s.to_string().into_bytes();
    bytes.push(b'.');
    bytes.extend_from_slice(body);
    bytes
}

/// What a delivery is called: the instance, and when its event happened, ms since
/// 1970. The first alone would come again when a lost store counts events anew.
#[must_use]
pub fn delivery_id(instance: &str, event_unix_ms: u64) -> String {
    format!("{instance}.{event_unix_ms}")
}

impl TryFrom<String> for Mac {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let bytes = bytes(&text).and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| format!("{text:?} is not an address like 00:11:22:aa:bb:cc"))
    }
}

impl TryFrom<String> for SecureOn {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let bytes = bytes(&text).filter(|bytes| matches!(bytes.len(), 4 | 6));
        bytes.map(Self).ok_or_else(|| format!("{text:?} is not 4 or 6 bytes like 00:11:22:aa"))
    }
}

/// Two hexadecimal digits each, parted by `:` or `-`.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let byte = |part: &str| {
        let digits = part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit());
        digits.then(|| u8::from_str_radix(part, 16).ok()).flatten()
    };
    text.split([':', '-']).take(7).map(byte).collect()
}

fn write_bytes(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().enumerate().try_for_each(|(n, byte)| {
        let colon = if n == 0 { "" } else { ":" };
        write!(f, "{colon}{byte:02x}")
    })
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_bytes(&self.0, f)
    }
}

impl fmt::Display for SecureOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_bytes(&self.0, f)
    }
}

impl From<Mac> for String {
    fn from(mac: Mac) -> Self {
        mac.to_string()
    }
}

impl From<SecureOn> for String {
    fn from(password: SecureOn) -> Self {
        password.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_magic_packet_is_as_long_as_it_should_be() {
        let mac = Mac::try_from("00:11:22:aa:bb:CC".to_owned()).expect("an address");
        let packet = magic_packet(mac, None);
        assert_eq!(
            (packet.len(), &packet[..8]),
            (102, &[255, 255, 255, 255, 255, 255, 0, 0x11][..])
        );
        assert_eq!(packet[96..], [0x00, 0x11, 0x22, 0xAA, 0xBB, 0xCC]);
        let four = SecureOn::try_from("01-02-03-04".to_owned()).expect("4 bytes");
        assert_eq!(magic_packet(mac, Some(&four))[102..], [1, 2, 3, 4]);
        assert_eq!(mac.to_string(), "00:11:22:aa:bb:cc");
        for bad in
            ["", "00:11:22:aa:bb", "00:11:22:aa:bb:cc:dd", "0:11:22:aa:bb:cc", "+1:11:22:aa:bb:cc"]
        {
            assert!(Mac::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_store_that_counts_anew_names_other_deliveries() {
        assert_eq!(delivery_id("7.tell.0", 1_795_247_521_000), "7.tell.0.1795247521000");
        assert_ne!(delivery_id("7.tell.0", 1), delivery_id("7.tell.0", 2));
    }

    #[test]
    fn the_time_is_under_the_signature() {
        assert_eq!(signed_bytes(17, b"{}"), b"17.{}");
    }

    proptest! {
        #[test]
        fn any_text_is_an_address_or_not(text in "\\PC{0,40}") {
            let _ = (Mac::try_from(text.clone()), SecureOn::try_from(text));
        }
    }
}
