//! Whose headers a loader takes: in a workshop the keys that it was made with;
//! in production those of the newest keyring that enough roots signed, be it
//! the one that it was made with or one that was accepted since and stands
//! beside the state record. So a key that follows another needs no new loader,
//! and one that was taken back ends here, too.

use crate::Unusable;
use alloc::vec;
use alloc::vec::Vec;
use evenkeel_signing::slot::ring::{RING_PLACE_LEN, RING_PLACES, decode_ring};
use evenkeel_signing::{Keyring, PublicKey, Role, Roots, Trust};

/// What a loader was made with.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a> {
    /// Public keys, one a line: roots, or those of a workshop.
    pub keys: &'a str,
    /// The keyring that the roots signed; empty where there are none.
    pub keyring: &'a [u8],
}

/// The keys that count now. `read` fills a buffer from the partition of the
/// state record, from a place on.
///
/// `None`: what the loader was made with makes no sense.
#[must_use]
pub fn trusted(
    given: Given<'_>,
    mut read: impl FnMut(u64, &mut [u8]) -> Result<(), Unusable>,
) -> Option<Keyring> {
    let keys = given.keys.lines().map(PublicKey::parse).collect::<Result<Vec<_>, _>>().ok()?;
    let (roots, workshop): (Vec<_>, Vec<_>) =
        keys.into_iter().partition(|key| key.role() == Role::Root);
    let production = !roots.is_empty();
    let threshold = roots.len() / 2 + 1;
    let roots = if production { Roots::new(roots, threshold).ok()? } else { Roots::none() };
    let mut trust = Trust::new(roots, production).ok()?;
    for key in workshop {
        trust.add_development_key(key).ok()?;
    }
    if production {
        // It may have expired since: nobody here knows the date.
        trust.accept_keyring(given.keyring, None).ok()?;
        for at in RING_PLACES {
            let mut place = vec![0; RING_PLACE_LEN];
            if read(at, &mut place).is_ok()
                && let Some(raw) = decode_ring(&place)
            {
                // One that is damaged, or older, changes nothing.
                let _ = trust.accept_keyring(raw, None);
            }
        }
    }
    Some(trust.trusted().clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_signing::slot::ring::encode_ring;
    use evenkeel_signing::{KeyEntry, KeyringManifest, RevokedKey, SecretKey, seal_keyring};

    fn key(role: Role, name: &str) -> SecretKey {
        SecretKey::generate(role, name).unwrap()
    }

    fn ring(sequence: u32, keys: &[&SecretKey]) -> KeyringManifest {
        let entries = keys.iter().map(|key| KeyEntry::of(&key.public(), false)).collect();
        KeyringManifest::new(sequence, [1, 2], entries)
    }

    fn names(keyring: &Keyring) -> Vec<&str> {
        keyring.keys().map(PublicKey::name).collect()
    }

    #[test]
    fn in_a_workshop_its_own_key_counts_and_nothing_is_read() {
        let own = key(Role::Firmware, "development");
        let text = own.public().to_text();
        let given = Given { keys: text.trim(), keyring: &[] };
        let found = trusted(given, |_, _| panic!("there are no roots")).unwrap();
        assert_eq!(names(&found), ["development"]);
        assert!(trusted(Given { keys: "no key", keyring: &[] }, |_, _| Ok(())).is_none());
        let stranger = key(Role::Firmware, "firmware-1").public().to_text();
        let given = Given { keys: stranger.trim(), keyring: &[] };
        assert!(trusted(given, |_, _| Ok(())).is_none(), "no development key");
    }

    #[test]
    fn in_production_the_newest_keyring_of_enough_roots_counts() {
        let roots = ["a", "b", "c"].map(|name| key(Role::Root, name));
        let [one, two, three] = &roots;
        let [first, second] = ["firmware-1", "firmware-2"].map(|name| key(Role::Firmware, name));
        let seal = |manifest: &KeyringManifest, by: &[&SecretKey]| seal_keyring(manifest, by);
        let own = seal(&ring(1, &[&first]), &[one, two]).unwrap();
        let mut later = ring(3, &[&second]);
        later.revoked_keys = vec![RevokedKey {
            id: first.public().id().0,
            name: "firmware-1".into(),
            reason: "stolen".into(),
            since_unix_s: 1,
        }];
        let alone = seal(&later, &[three]).unwrap();
        let later = seal(&later, &[two, three]).unwrap();
        let between = seal(&ring(2, &[&first, &second]), &[one, three]).unwrap();
        let keys: Vec<_> = roots.iter().map(|key| key.public().to_text()).collect();
        let keys: Vec<_> = keys.iter().map(|text| text.trim()).collect();
        let keys = keys.join("\n");
        let with = |places: [&[u8]; 2]| {
            let read = |at: u64, bytes: &mut [u8]| {
                let place = RING_PLACES.iter().position(|place| *place == at).unwrap();
                let raw = encode_ring(places[place]).unwrap();
                bytes[..raw.len()].copy_from_slice(&raw);
                Ok(())
            };
            let found = trusted(Given { keys: &keys, keyring: &own }, read).unwrap();
            names(&found).into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(with([b"", b""]), ["firmware-1"]);
        assert_eq!(with([&between, b""]), ["firmware-1", "firmware-2"]);
        for places in [[&later[..], &between[..]], [&between, &later], [&later, &later]] {
            assert_eq!(with(places), ["firmware-2"]);
        }
        assert_eq!(with([&alone, b"damaged"]), ["firmware-1"], "one root is not enough");
        let nothing = trusted(Given { keys: &keys, keyring: b"" }, |_, _| Err(Unusable));
        assert!(nothing.is_none());
        let unread = trusted(Given { keys: &keys, keyring: &own }, |_, _| Err(Unusable)).unwrap();
        assert_eq!(names(&unread), ["firmware-1"]);
    }
}
