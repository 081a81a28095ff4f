//! What managers ask and agents answer (RFC 3416 §3), and the message around
//! it in SNMPv1 and v2c (RFC 1157, RFC 1901).

use super::ber::{self, Garbled, Oid, Reader, element, integer};
use std::net::Ipv4Addr;

/// A value of an object (RFC 2578 §7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// INTEGER
    Integer(i64),
    /// OCTET STRING
    Octets(Vec<u8>),
    /// OBJECT IDENTIFIER
    Oid(Oid),
    /// IpAddress
    Address(Ipv4Addr),
    /// Counter32, Gauge32, Counter64
    Unsigned(u64),
    /// TimeTicks, hundredths of a second
    Ticks(u32),
    /// Opaque
    Opaque(Vec<u8>),
    /// NULL, as in requests
    Null,
    /// noSuchObject, noSuchInstance
    Absent,
    /// Nothing comes behind the object that was asked for.
    EndOfView,
}

const ADDRESS: u8 = 0x40;
const COUNTER32: u8 = 0x41;
const GAUGE32: u8 = 0x42;
const TICKS: u8 = 0x43;
const OPAQUE: u8 = 0x44;
const COUNTER64: u8 = 0x46;

/// An object and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Which object.
    pub oid: Oid,
    /// Its value.
    pub value: Value,
}

/// What a PDU is for: its tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Values of these objects.
    Get = 0xa0,
    /// The objects behind these.
    GetNext = 0xa1,
    /// An agent's answer.
    Response = 0xa2,
    /// Change these objects.
    Set = 0xa3,
    /// Many objects behind these. Not in SNMPv1.
    GetBulk = 0xa5,
    /// An SNMPv3 engine says why it does not take a message.
    Report = 0xa8,
}

/// A request or an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pdu {
    /// What for.
    pub kind: Kind,
    /// Ties an answer to its request.
    pub id: i32,
    /// Error status; of a bulk request, the non-repeaters.
    pub status: i64,
    /// Index of the binding in error from 1; of a bulk request, the repetitions.
    pub index: i64,
    /// The objects.
    pub bindings: Vec<Binding>,
}

/// The versions that know a community.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Classic {
    /// SNMPv1
    V1 = 0,
    /// SNMPv2c
    V2c = 1,
}

impl Pdu {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let bindings: Vec<Vec<u8>> = self.bindings.iter().map(encode_binding).collect();
        let parts: Vec<&[u8]> = bindings.iter().map(Vec::as_slice).collect();
        let bindings = element(ber::SEQUENCE, &parts);
        let (id, status, index) =
            (integer(self.id.into()), integer(self.status), integer(self.index));
        element(self.kind as u8, &[&id, &status, &index, &bindings])
    }

    /// The request or answer at the front of `reader`.
    ///
    /// # Errors
    /// [`Garbled`].
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, Garbled> {
        const KINDS: [Kind; 6] =
            [Kind::Get, Kind::GetNext, Kind::Response, Kind::Set, Kind::GetBulk, Kind::Report];
        let unknown = reader.garbled("a PDU of an unknown kind");
        let (tag, mut content) = reader.any()?;
        let kind = KINDS.into_iter().find(|kind| *kind as u8 == tag).ok_or(unknown)?;
        let id = content.integer32()?;
        let (status, index) = (content.integer()?, content.integer()?);
        let mut list = content.tagged(ber::SEQUENCE)?;
        let mut bindings = Vec::new();
        while !list.is_empty() {
            bindings.push(decode_binding(list.tagged(ber::SEQUENCE)?)?);
        }
        Ok(Self { kind, id, status, index, bindings })
    }
}

/// A v1 or v2c message.
#[must_use]
pub fn encode_message(version: Classic, community: &[u8], pdu: &Pdu) -> Vec<u8> {
    let (version, community) = (integer(version as i64), ber::octets(community));
    element(ber::SEQUENCE, &[&version, &community, &pdu.encode()])
}

/// What is in a v1 or v2c message; none when it is of another version or
/// community.
///
/// # Errors
/// [`Garbled`].
pub fn decode_message(
    version: Classic,
    community: &[u8],
    datagram: &[u8],
) -> Result<Option<Pdu>, Garbled> {
    let mut message = Reader::new(datagram).tagged(ber::SEQUENCE)?;
    if message.integer()? != version as i64 || message.octets()? != community {
        return Ok(None);
    }
    Pdu::decode(&mut message).map(Some)
}

fn encode_binding(Binding { oid, value }: &Binding) -> Vec<u8> {
    let value = match value {
        Value::Integer(n) => integer(*n),
        Value::Octets(bytes) => ber::octets(bytes),
        Value::Oid(oid) => ber::oid(oid),
        Value::Address(address) => element(ADDRESS, &[&address.octets()]),
        Value::Unsigned(n) if *n <= u32::MAX.into() => ber::unsigned(GAUGE32, *n),
        Value::Unsigned(n) => ber::unsigned(COUNTER64, *n),
        Value::Ticks(n) => ber::unsigned(TICKS, (*n).into()),
        Value::Opaque(bytes) => element(OPAQUE, &[bytes]),
        Value::Null => element(ber::NULL, &[]),
        Value::Absent => element(0x81, &[]),
        Value::EndOfView => element(0x82, &[]),
    };
    element(ber::SEQUENCE, &[&ber::oid(oid), &value])
}

fn decode_binding(mut reader: Reader<'_>) -> Result<Binding, Garbled> {
    let oid = reader.tagged(ber::OID)?.as_oid()?;
    let unknown = reader.garbled("a value of no type of SNMP");
    let (tag, content) = reader.any()?;
    let value = match tag {
        ber::INTEGER => Value::Integer(content.as_integer()?),
        ber::OCTETS => Value::Octets(content.rest().to_vec()),
        ber::OID => Value::Oid(content.as_oid()?),
        ADDRESS => {
            let wrong = content.garbled("an address of not four bytes");
            Value::Address(<[u8; 4]>::try_from(content.rest()).map_err(|_| wrong)?.into())
        }
        COUNTER32 | GAUGE32 | COUNTER64 => Value::Unsigned(content.as_unsigned()?),
        TICKS => {
            let large = content.garbled("time ticks of more than 32 bits");
            Value::Ticks(u32::try_from(content.as_unsigned()?).map_err(|_| large)?)
        }
        OPAQUE => Value::Opaque(content.rest().to_vec()),
        ber::NULL => Value::Null,
        0x80 | 0x81 => Value::Absent,
        0x82 => Value::EndOfView,
        _ => return Err(unknown),
    };
    Ok(Binding { oid, value })
}

/// The name of an error status (RFC 3416 §3).
#[must_use]
pub fn status_name(status: i64) -> &'static str {
    const NAMES: [&str; 19] = [
        "noError",
        "tooBig",
        "noSuchName",
        "badValue",
        "readOnly",
        "genErr",
        "noAccess",
        "wrongType",
        "wrongLength",
        "wrongEncoding",
        "wrongValue",
        "noCreation",
        "inconsistentValue",
        "resourceUnavailable",
        "commitFailed",
        "undoFailed",
        "authorizationError",
        "notWritable",
        "inconsistentName",
    ];
    usize::try_from(status).ok().and_then(|n| NAMES.get(n)).copied().unwrap_or("an unknown status")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = Value> {
        let bytes = || prop::collection::vec(any::<u8>(), 0..300);
        prop_oneof![
            any::<i64>().prop_map(Value::Integer),
            bytes().prop_map(Value::Octets),
            prop::collection::vec(any::<u32>(), 0..20)
                .prop_map(|tail| Value::Oid([vec![1, 3], tail].concat())),
            any::<[u8; 4]>().prop_map(|a| Value::Address(a.into())),
            any::<u64>().prop_map(Value::Unsigned),
            any::<u32>().prop_map(Value::Ticks),
            bytes().prop_map(Value::Opaque),
            Just(Value::Null),
            Just(Value::Absent),
            Just(Value::EndOfView),
        ]
    }

    pub(in super::super) fn pdu() -> impl Strategy<Value = Pdu> {
        let bindings =
            prop::collection::vec(value().prop_map(|value| binding(&[1, 3, 6], value)), 0..8);
        (any::<i32>(), 0_i64..20, 0_i64..32, bindings).prop_map(|(id, status, index, bindings)| {
            Pdu { kind: Kind::Response, id, status, index, bindings }
        })
    }

    pub(in super::super) fn binding(oid: &[u32], value: Value) -> Binding {
        Binding { oid: oid.to_vec(), value }
    }

    proptest! {
        #[test]
        fn a_message_comes_back(pdu in pdu()) {
            let datagram = encode_message(Classic::V2c, b"public", &pdu);
            prop_assert_eq!(decode_message(Classic::V2c, b"public", &datagram), Ok(Some(pdu)));
            prop_assert_eq!(decode_message(Classic::V2c, b"other", &datagram), Ok(None));
            prop_assert_eq!(decode_message(Classic::V1, b"public", &datagram), Ok(None));
        }

        #[test]
        fn any_datagram_is_judged(datagram in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = decode_message(Classic::V2c, b"public", &datagram);
            let _ = Pdu::decode(&mut Reader::new(&datagram));
        }

        #[test]
        fn a_damaged_message_is_judged(pdu in pdu(), at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
            let mut datagram = encode_message(Classic::V2c, b"public", &pdu);
            let at = at.index(datagram.len());
            datagram[at] = byte;
            datagram.truncate(cut.index(datagram.len() + 1));
            let _ = decode_message(Classic::V2c, b"public", &datagram);
        }
    }
}
