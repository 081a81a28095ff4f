//! The newest keyring that was accepted, as it stands on the partition of the
//! state record: whose firmware starts here outlives the slots and the data
//! partition. Two places take turns, so that a cut leaves the one in force.
//!
//! | byte | | |
//! |-----:|---|---|
//! | 0 | 8 bytes | magic, "EVKRING1" |
//! | 8 | `u32` | length of the keyring, little-endian |
//! | 12 | | the keyring, as the roots signed it |
//!
//! There is no checksum: what is damaged has no signature that holds.

use alloc::vec::Vec;

use crate::Envelope;

/// Where the places begin on the partition.
pub const RING_PLACES: [u64; 2] = [128 << 10, 256 << 10];
/// Largest keyring, in bytes; it has no payload.
pub const RING_LEN_MAX: usize = Envelope::HEAD_LEN_MAX;
/// Length of a place, in bytes.
pub const RING_PLACE_LEN: usize = TEXT_AT + RING_LEN_MAX;

const MAGIC: &[u8; 8] = b"EVKRING1";
const TEXT_AT: usize = 12;

/// The keyring that stands in a place; `None` where there is none.
#[must_use]
pub fn decode_ring(place: &[u8]) -> Option<&[u8]> {
    let rest = place.strip_prefix(MAGIC)?;
    let (len, rest) = rest.split_first_chunk()?;
    let len = u32::from_le_bytes(*len) as usize;
    rest.get(..len).filter(|raw| raw.len() <= RING_LEN_MAX)
}

/// The bytes for a place; `None`: it is too long for a keyring.
#[must_use]
pub fn encode_ring(raw: &[u8]) -> Option<Vec<u8>> {
    let len = u32::try_from(raw.len()).ok().filter(|_| raw.len() <= RING_LEN_MAX)?;
    Some([MAGIC, &len.to_le_bytes()[..], raw].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_goes_both_ways_and_what_is_cut_is_nothing(raw: Vec<u8>, cut in 1_usize..30) {
            let bytes = encode_ring(&raw).unwrap();
            let place = [&bytes[..], &[7; 40]].concat();
            prop_assert_eq!(decode_ring(&place), Some(&raw[..]));
            let short = &bytes[..bytes.len().saturating_sub(cut)];
            prop_assert_eq!(decode_ring(short), None);
        }

        #[test]
        fn any_bytes_are_judged(bytes: Vec<u8>) {
            let place = [&MAGIC[..], &bytes].concat();
            if let Some(raw) = decode_ring(&place) {
                prop_assert_eq!(encode_ring(raw).unwrap(), &place[..TEXT_AT + raw.len()]);
            }
        }
    }

    #[test]
    fn places_do_not_overlap_and_nothing_longer_is_kept() {
        assert!(RING_PLACES[0] + RING_PLACE_LEN as u64 <= RING_PLACES[1]);
        assert_eq!(encode_ring(&alloc::vec![0; RING_LEN_MAX + 1]), None);
    }
}
