//! RADIUS packets: an Access-Request as bytes, and the answer to it from bytes
//! (RFC 2865, RFC 3579 §3.2 for Message-Authenticator;
//! facts/radius-syslog-smtp.md §1, §2).
//!
//! Terms are the RFC's: the *identifier* and the *Request Authenticator* tie
//! an answer to its request, the *Response Authenticator* and the
//! *Message-Authenticator* prove that somebody who has the shared secret wrote
//! it for this request.
//!
//! **Invariant:** no answer without a right Message-Authenticator is believed,
//! whatever its code. The Response Authenticator alone can be forged by whoever
//! sits in between (CVE-2024-3596).

use core::fmt;
use core::net::Ipv4Addr;

/// Shortest and longest packet in bytes.
pub const LEN: core::ops::RangeInclusive<usize> = 20..=4_096;
/// Longest password in bytes.
pub const PASSWORD_MAX: usize = 128;
/// Longest value of an attribute in bytes.
pub const VALUE_MAX: usize = 253;

const HEADER: usize = 20;
/// Attributes in one answer; more fit into no packet.
const ATTRIBUTES_MAX: usize = (4_096 - HEADER) / 2;

/// Types of attributes.
pub mod kind {
    #![allow(missing_docs, reason = "named as in the RFCs")]
    pub const USER_NAME: u8 = 1;
    pub const USER_PASSWORD: u8 = 2;
    pub const NAS_IP_ADDRESS: u8 = 4;
    pub const SERVICE_TYPE: u8 = 6;
    pub const FILTER_ID: u8 = 11;
    pub const REPLY_MESSAGE: u8 = 18;
    pub const CALLBACK_ID: u8 = 20;
    pub const STATE: u8 = 24;
    pub const CLASS: u8 = 25;
    pub const VENDOR_SPECIFIC: u8 = 26;
    pub const CALLING_STATION_ID: u8 = 31;
    pub const NAS_IDENTIFIER: u8 = 32;
    pub const PROXY_STATE: u8 = 33;
    pub const NAS_PORT_TYPE: u8 = 61;
    pub const MESSAGE_AUTHENTICATOR: u8 = 80;
    pub const MANAGEMENT_POLICY_ID: u8 = 135;
    pub const MANAGEMENT_PRIVILEGE_LEVEL: u8 = 136;
}

const ACCESS_REQUEST: u8 = 1;
const SERVICE_LOGIN: u32 = 1;
const PORT_VIRTUAL: u32 = 5;

/// Computes with the secret that both sides share, without showing it.
pub trait SharedSecret {
    /// HMAC-MD5 of `data` under the secret.
    ///
    /// # Errors
    /// Why the host does not compute it.
    fn hmac_md5(&mut self, data: &[u8]) -> Result<[u8; 16], String>;

    /// MD5 of `before`, the secret and `after`, one behind the other.
    ///
    /// # Errors
    /// Why the host does not compute it.
    fn md5(&mut self, before: &[u8], after: &[u8]) -> Result<[u8; 16], String>;
}

/// An Access-Request.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Ties the answer to it.
    pub identifier: u8,
    /// Fresh random bytes.
    pub authenticator: [u8; 16],
    /// User-Name, 1 … 253 bytes.
    pub user: &'a str,
    /// 0 … 128 bytes without NUL.
    pub password: &'a [u8],
    /// Calling-Station-Id: where the person sits; at most 253 bytes.
    pub calling: &'a str,
    /// NAS-Identifier: who asks, 1 … 253 bytes.
    pub nas_identifier: &'a str,
    /// NAS-IP-Address: the same as an address.
    pub nas_address: Option<Ipv4Addr>,
    /// State of the challenge that is answered, at most 253 bytes.
    pub state: Option<&'a [u8]>,
}

impl Request<'_> {
    /// The packet. Its first attribute is the Message-Authenticator: nobody
    /// can put a prefix of his own before it.
    ///
    /// # Errors
    /// A part that is out of range, or why the host does not compute.
    pub fn encode(&self, secret: &mut impl SharedSecret) -> Result<Vec<u8>, String> {
        let mut packet = vec![ACCESS_REQUEST, self.identifier, 0, 0];
        packet.extend(self.authenticator);
        put(&mut packet, kind::MESSAGE_AUTHENTICATOR, &[0; 16])?;
        put(&mut packet, kind::USER_NAME, self.user.as_bytes())?;
        let hidden = hide(self.password, &self.authenticator, secret)?;
        put(&mut packet, kind::USER_PASSWORD, &hidden)?;
        put(&mut packet, kind::NAS_IDENTIFIER, self.nas_identifier.as_bytes())?;
        if let Some(address) = self.nas_address {
            put(&mut packet, kind::NAS_IP_ADDRESS, &address.octets())?;
        }
        put(&mut packet, kind::SERVICE_TYPE, &SERVICE_LOGIN.to_be_bytes())?;
        put(&mut packet, kind::NAS_PORT_TYPE, &PORT_VIRTUAL.to_be_bytes())?;
        if !self.calling.is_empty() {
            put(&mut packet, kind::CALLING_STATION_ID, self.calling.as_bytes())?;
        }
        if let Some(state) = self.state {
            put(&mut packet, kind::STATE, state)?;
        }
        // Nine attributes of at most 255 bytes: it fits.
        let len = packet.len() as u16;
        packet[2..4].copy_from_slice(&len.to_be_bytes());
        let mac = secret.hmac_md5(&packet)?;
        packet[HEADER + 2..HEADER + 18].copy_from_slice(&mac);
        Ok(packet)
    }
}

fn put(packet: &mut Vec<u8>, kind: u8, value: &[u8]) -> Result<(), String> {
    if value.is_empty() || value.len() > VALUE_MAX {
        let len = value.len();
        return Err(format!("attribute {kind} would have {len} bytes, 1 to {VALUE_MAX} go"));
    }
    packet.extend([kind, value.len() as u8 + 2]);
    packet.extend(value);
    Ok(())
}

/// The User-Password (RFC 2865 §5.2): in blocks of 16 bytes, each mixed with a
/// digest over the secret and the block before.
fn hide(
    password: &[u8],
    authenticator: &[u8; 16],
    secret: &mut impl SharedSecret,
) -> Result<Vec<u8>, String> {
    if password.len() > PASSWORD_MAX || password.contains(&0) {
        return Err(format!("a password has at most {PASSWORD_MAX} bytes, none of them 0"));
    }
    let mut hidden = password.to_vec();
    hidden.resize(password.len().div_ceil(16).max(1) * 16, 0);
    let mut before = *authenticator;
    for block in hidden.chunks_exact_mut(16) {
        let pad = secret.md5(&[], &before)?;
        block.iter_mut().zip(pad).for_each(|(byte, pad)| *byte ^= pad);
        before.copy_from_slice(block);
    }
    Ok(hidden)
}

/// What a server decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Access-Accept, with what it says about the person.
    Accept(Attributes),
    /// Access-Reject.
    Reject,
    /// Access-Challenge.
    Challenge {
        /// Goes back unchanged, 1 … 253 bytes.
        state: Vec<u8>,
        /// Reply-Message: what to ask.
        prompt: String,
    },
}

/// Why an answer is not believed. It is dropped: the right one may still come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Not a packet: shorter than it says, or attributes that do not add up.
    Malformed,
    /// Neither Accept, Reject nor Challenge.
    Code(u8),
    /// For another request.
    Identifier,
    /// Not written with our secret for this request.
    ResponseAuthenticator,
    /// Without a Message-Authenticator, or with several.
    Unsigned,
    /// The Message-Authenticator is wrong.
    MessageAuthenticator,
    /// With a Proxy-State, which was not in the request.
    ProxyState,
    /// A Challenge without State, or with several.
    Meaningless,
    /// The host does not compute.
    Host(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("it is no RADIUS packet"),
            Self::Code(code) => write!(f, "its code {code} is no answer to an Access-Request"),
            Self::Identifier => f.write_str("it belongs to another request"),
            Self::ResponseAuthenticator => f.write_str(
                "its Response Authenticator is wrong; is the shared secret the same on both sides?",
            ),
            Self::Unsigned => f.write_str(
                "it has no Message-Authenticator, so anybody in between could have forged it; \
                 update the server, or have it send one",
            ),
            Self::MessageAuthenticator => f.write_str(
                "its Message-Authenticator is wrong; is the shared secret the same on both sides?",
            ),
            Self::ProxyState => f.write_str("it has a Proxy-State that was never sent"),
            Self::Meaningless => f.write_str("it lacks what belongs to such an answer"),
            Self::Host(why) => f.write_str(why),
        }
    }
}

/// Attributes of an answer that was verified, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes(Vec<(u8, Vec<u8>)>);

impl Attributes {
    /// The values of one type.
    pub fn of(&self, kind: u8) -> impl Iterator<Item = &[u8]> {
        self.0.iter().filter(move |(k, _)| *k == kind).map(|(_, value)| value.as_slice())
    }

    /// The values of one vendor's attribute (RFC 2865 §5.26), where its parts
    /// add up.
    pub fn of_vendor(&self, vendor: u32, kind: u8) -> impl Iterator<Item = &[u8]> {
        let own = self.of(kind::VENDOR_SPECIFIC).filter_map(move |value| {
            let (id, parts) = value.split_first_chunk::<4>()?;
            (u32::from_be_bytes(*id) == vendor).then_some(parts)
        });
        own.flat_map(Parts).filter(move |part| part.0 == kind).map(|part| part.1)
    }
}

/// Type, length, value, one behind the other; ends where it does not add up.
struct Parts<'a>(&'a [u8]);

impl<'a> Iterator for Parts<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let [kind, len, ..] = *self.0 else { return None };
        let (part, rest) = self.0.split_at_checked(usize::from(len))?;
        self.0 = rest;
        Some((kind, part.get(2..)?))
    }
}

/// Take an answer apart and believe it, or say why not. `identifier` and
/// `authenticator` are those of the request.
///
/// # Errors
/// [`Refusal`].
pub fn decode(
    bytes: &[u8],
    identifier: u8,
    authenticator: &[u8; 16],
    secret: &mut impl SharedSecret,
) -> Result<Reply, Refusal> {
    let packet = framed(bytes).ok_or(Refusal::Malformed)?;
    let attributes = attributes(packet).ok_or(Refusal::Malformed)?;
    let code = packet[0];
    if !matches!(code, 2 | 3 | 11) {
        return Err(Refusal::Code(code));
    }
    if packet[1] != identifier {
        return Err(Refusal::Identifier);
    }
    verify(packet, authenticator, &attributes, secret)?;
    if attributes.iter().any(|part| part.kind == kind::PROXY_STATE) {
        return Err(Refusal::ProxyState);
    }
    let kept = attributes.iter().map(|part| (part.kind, packet[part.value.clone()].to_vec()));
    let attributes = Attributes(kept.collect());
    match code {
        2 => Ok(Reply::Accept(attributes)),
        3 => Ok(Reply::Reject),
        _ => challenge(&attributes).ok_or(Refusal::Meaningless),
    }
}

fn challenge(attributes: &Attributes) -> Option<Reply> {
    let mut states = attributes.of(kind::STATE);
    // An empty one could not be sent back.
    let state = states.next().filter(|state| !state.is_empty())?.to_vec();
    if states.next().is_some() {
        return None;
    }
    let lines: Vec<_> = attributes.of(kind::REPLY_MESSAGE).map(String::from_utf8_lossy).collect();
    Some(Reply::Challenge { state, prompt: lines.join(" ") })
}

/// The packet without what is behind its own length.
fn framed(bytes: &[u8]) -> Option<&[u8]> {
    let len = usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]));
    if !LEN.contains(&len) {
        return None;
    }
    bytes.get(..len)
}

struct Part {
    kind: u8,
    value: core::ops::Range<usize>,
}

/// Where each attribute is; `None` when they do not add up.
fn attributes(packet: &[u8]) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let mut at = HEADER;
    while at < packet.len() && parts.len() < ATTRIBUTES_MAX {
        let len = usize::from(*packet.get(at + 1)?);
        // An attribute without a value is none (RFC 2865 §5), but does no harm.
        if len < 2 || at + len > packet.len() {
            return None;
        }
        parts.push(Part { kind: packet[at], value: at + 2..at + len });
        at += len;
    }
    (at == packet.len()).then_some(parts)
}

/// Both proofs. Each is compared in constant time.
fn verify(
    packet: &[u8],
    authenticator: &[u8; 16],
    attributes: &[Part],
    secret: &mut impl SharedSecret,
) -> Result<(), Refusal> {
    let mut signed = packet.to_vec();
    signed[4..HEADER].copy_from_slice(authenticator);
    let response = secret.md5(&signed, &[]).map_err(Refusal::Host)?;
    if !same(&response, &packet[4..HEADER]) {
        return Err(Refusal::ResponseAuthenticator);
    }
    let mut macs = attributes.iter().filter(|part| part.kind == kind::MESSAGE_AUTHENTICATOR);
    let (Some(mac), None) = (macs.next(), macs.next()) else { return Err(Refusal::Unsigned) };
    if mac.value.len() != 16 {
        return Err(Refusal::Unsigned);
    }
    signed[mac.value.clone()].fill(0);
    let expected = secret.hmac_md5(&signed).map_err(Refusal::Host)?;
    match same(&expected, &packet[mac.value.clone()]) {
        true => Ok(()),
        false => Err(Refusal::MessageAuthenticator),
    }
}

/// Equal, in a time that does not depend on where they differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    let differ = a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b));
    a.len() == b.len() && core::hint::black_box(differ) == 0
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use hmac::{Hmac, KeyInit as _, Mac as _};
    use md5::{Digest as _, Md5};
    use proptest::prelude::*;

    pub(crate) struct Shared(pub(crate) &'static [u8]);

    impl SharedSecret for Shared {
        fn hmac_md5(&mut self, data: &[u8]) -> Result<[u8; 16], String> {
            let mut mac = Hmac::<Md5>::new_from_slice(self.0).expect("any length");
            mac.update(data);
            Ok(mac.finalize().into_bytes().into())
        }

        fn md5(&mut self, before: &[u8], after: &[u8]) -> Result<[u8; 16], String> {
            let md5 = Md5::new().chain_update(before).chain_update(self.0);
            Ok(md5.chain_update(after).finalize().into())
        }
    }

    /// The bytes called so in the recorded exchange.
    fn recorded(name: &str) -> Vec<u8> {
        let exchange = include_str!("../testcases/rfc2865_7_1/exchange.txt");
        let line = exchange.lines().find_map(|line| line.strip_prefix(name));
        unhex(line.expect("it is there").trim())
    }

    fn unhex(text: &str) -> Vec<u8> {
        let text: String = text.split_whitespace().collect();
        let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex");
        (0..text.len()).step_by(2).map(byte).collect()
    }

    const SECRET: Shared = Shared(b"xyzzy5461");

    fn request<'a>() -> Request<'a> {
        Request {
            identifier: 7,
            authenticator: [9; 16],
            user: "nemo",
            password: b"arctangent",
            calling: "192.0.2.7",
            nas_identifier: "evenkeel",
            nas_address: Some(Ipv4Addr::new(192, 168, 1, 16)),
            state: None,
        }
    }

    /// An answer as a server makes it: attributes, and the proofs.
    pub(crate) fn reply(
        code: u8,
        identifier: u8,
        authenticator: &[u8; 16],
        attributes: &[(u8, &[u8])],
        mut secret: Shared,
    ) -> Vec<u8> {
        let mut packet = vec![code, identifier, 0, 0];
        packet.extend(authenticator);
        let mut mac_at = None;
        for (kind, value) in attributes {
            // As servers may send it, an empty value included.
            packet.extend([*kind, value.len() as u8 + 2]);
            packet.extend_from_slice(value);
            if *kind == kind::MESSAGE_AUTHENTICATOR && value.len() == 16 {
                mac_at = Some(packet.len() - 16);
            }
        }
        let len = packet.len() as u16;
        packet[2..4].copy_from_slice(&len.to_be_bytes());
        if let Some(at) = mac_at {
            let mac = secret.hmac_md5(&packet).expect("computed");
            packet[at..at + 16].copy_from_slice(&mac);
        }
        let response = secret.md5(&packet, &[]).expect("computed");
        packet[4..20].copy_from_slice(&response);
        packet
    }

    const MAC: (u8, &[u8]) = (kind::MESSAGE_AUTHENTICATOR, &[0; 16]);

    fn decoded(bytes: &[u8]) -> Result<Reply, Refusal> {
        decode(bytes, 7, &[9; 16], &mut { SECRET })
    }

    #[test]
    fn the_password_is_hidden_as_in_the_rfc() {
        let authenticator: [u8; 16] = recorded("authenticator").try_into().expect("16 bytes");
        let hidden = hide(b"arctangent", &authenticator, &mut { SECRET }).expect("fits");
        assert_eq!(hidden, recorded("hidden-password"));
    }

    #[test]
    fn a_long_password_is_chained_and_comes_back() {
        let password: Vec<u8> = (1..=100).collect();
        let hidden = hide(&password, &[3; 16], &mut { SECRET }).expect("fits");
        assert_eq!(hidden.len(), 112);
        let mut before = vec![3; 16];
        let mut shown = Vec::new();
        for block in hidden.chunks(16) {
            let pad = { SECRET }.md5(&[], &before).expect("computed");
            shown.extend(block.iter().zip(pad).map(|(a, b)| a ^ b));
            before = block.to_vec();
        }
        assert_eq!(shown[..100], password);
        assert!(hide(&[1; 129], &[3; 16], &mut { SECRET }).is_err());
        assert!(hide(b"a\0b", &[3; 16], &mut { SECRET }).is_err());
        assert_eq!(hide(b"", &[3; 16], &mut { SECRET }).map(|h| h.len()), Ok(16));
    }

    #[test]
    fn an_answer_of_the_rfc_is_authentic_and_unsigned() {
        let bytes = recorded("accept");
        let authenticator: [u8; 16] = recorded("authenticator").try_into().expect("16 bytes");
        let refused = |bytes: &[u8]| decode(bytes, 0, &authenticator, &mut { SECRET });
        assert_eq!(refused(&bytes), Err(Refusal::Unsigned), "right but for that");
        let mut other = bytes;
        other[25] ^= 1;
        assert_eq!(refused(&other), Err(Refusal::ResponseAuthenticator));
    }

    #[test]
    fn a_request_begins_with_its_message_authenticator() {
        let request = Request { state: Some(b"S"), ..request() };
        let packet = request.encode(&mut { SECRET }).expect("fits");
        assert_eq!((packet[0], packet[1]), (1, 7));
        assert_eq!(usize::from(u16::from_be_bytes([packet[2], packet[3]])), packet.len());
        assert_eq!(packet[20..22], [80, 18]);
        let mut zeroed = packet.clone();
        zeroed[22..38].fill(0);
        assert_eq!({ SECRET }.hmac_md5(&zeroed).expect("computed"), packet[22..38]);
        let parts = attributes(&packet).expect("adds up");
        let kinds: Vec<_> = parts.iter().map(|p| p.kind).collect();
        assert_eq!(kinds, [80, 1, 2, 32, 4, 6, 61, 31, 24]);
        assert!(!packet.windows(10).any(|w| w == b"arctangent"));
        let long = "x".repeat(254);
        assert!(Request { user: &long, ..request }.encode(&mut { SECRET }).is_err());
        assert!(Request { user: "", ..request }.encode(&mut { SECRET }).is_err());
    }

    #[test]
    fn signed_answers_are_believed() {
        let groups: [(u8, &[u8]); 4] =
            [(11, b"admins"), MAC, (25, b"one"), (26, b"\0\0\x01\x3e\x01\x06\0\0\0\x01")];
        let accept = reply(2, 7, &[9; 16], &groups, SECRET);
        let Ok(Reply::Accept(attributes)) = decoded(&accept) else { panic!("refused") };
        assert_eq!(attributes.of(11).collect::<Vec<_>>(), [b"admins"]);
        assert_eq!(attributes.of(25).collect::<Vec<_>>(), [b"one"]);
        assert_eq!(attributes.of_vendor(318, 1).collect::<Vec<_>>(), [[0, 0, 0, 1]]);
        assert_eq!(attributes.of_vendor(9, 1).count() + attributes.of_vendor(318, 2).count(), 0);
        let mut padded = accept;
        padded.extend([0xee; 40]);
        assert!(decoded(&padded).is_ok(), "what is behind its length is not there");
        assert_eq!(decoded(&reply(3, 7, &[9; 16], &[MAC], SECRET)), Ok(Reply::Reject));
        let ask: [(u8, &[u8]); 4] = [MAC, (24, b"S1"), (18, b"Token"), (18, b"please")];
        assert_eq!(
            decoded(&reply(11, 7, &[9; 16], &ask, SECRET)),
            Ok(Reply::Challenge { state: b"S1".to_vec(), prompt: "Token please".into() })
        );
    }

    #[test]
    fn everything_else_is_refused() {
        let other = Shared(b"other secret");
        for (bytes, refusal) in [
            (reply(2, 7, &[9; 16], &[(11, b"a")], SECRET), Refusal::Unsigned),
            (reply(2, 7, &[9; 16], &[MAC, MAC], SECRET), Refusal::Unsigned),
            (reply(2, 7, &[9; 16], &[(80, b"short")], SECRET), Refusal::Unsigned),
            (reply(2, 8, &[9; 16], &[MAC], SECRET), Refusal::Identifier),
            (reply(2, 7, &[8; 16], &[MAC], SECRET), Refusal::ResponseAuthenticator),
            (reply(2, 7, &[9; 16], &[MAC], other), Refusal::ResponseAuthenticator),
            (reply(2, 7, &[9; 16], &[MAC, (33, b"p")], SECRET), Refusal::ProxyState),
            (reply(5, 7, &[9; 16], &[MAC], SECRET), Refusal::Code(5)),
            (reply(11, 7, &[9; 16], &[MAC], SECRET), Refusal::Meaningless),
            (reply(11, 7, &[9; 16], &[MAC, (kind::STATE, b"")], SECRET), Refusal::Meaningless),
            (vec![], Refusal::Malformed),
            (vec![2, 7, 0, 19], Refusal::Malformed),
        ] {
            assert_eq!(decoded(&bytes), Err(refusal), "{bytes:02x?}");
        }
        // A Message-Authenticator for another request, under a right Response
        // Authenticator: what a collision would give.
        let mut packet = reply(2, 7, &[9; 16], &[MAC], SECRET);
        packet[30] ^= 1;
        let mut signed = packet.clone();
        signed[4..20].copy_from_slice(&[9; 16]);
        let response = { SECRET }.md5(&signed, &[]).expect("computed");
        packet[4..20].copy_from_slice(&response);
        assert_eq!(decoded(&packet), Err(Refusal::MessageAuthenticator));
        let mut zero = reply(2, 7, &[9; 16], &[MAC, (11, b"abc")], SECRET);
        let at = zero.len() - 4;
        zero[at] = 1;
        assert_eq!(decoded(&zero), Err(Refusal::Malformed), "a length of one");
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(decoded(&bytes).is_err());
        }

        #[test]
        fn a_changed_answer_is_refused(at in 0_usize..60, mask in 1_u8..) {
            let mut bytes = reply(2, 7, &[9; 16], &[MAC, (11, b"evenkeel-admin"), (25, b"x")], SECRET);
            let at = at % bytes.len();
            bytes[at] ^= mask;
            prop_assert!(decoded(&bytes).is_err());
        }

        #[test]
        fn any_vendor_s_bytes_come_apart(value in prop::collection::vec(any::<u8>(), 1..253), kind: u8) {
            let attributes = Attributes(vec![(26, value)]);
            let total: usize = attributes.of_vendor(0, kind).map(<[u8]>::len).sum();
            prop_assert!(total < 253);
        }

        #[test]
        fn any_request_adds_up(
            user in "\\PC{1,60}",
            password in prop::collection::vec(1_u8.., 0..=128),
            state in prop::option::of(prop::collection::vec(any::<u8>(), 1..=253)),
        ) {
            let request =
                Request { user: &user, password: &password, state: state.as_deref(), ..request() };
            let packet = request.encode(&mut { SECRET }).expect("fits");
            prop_assert!(packet.len() <= 4_096 && attributes(&packet).is_some());
        }
    }
}
