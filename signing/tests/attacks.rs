//! Bundles that must be refused, each with the reason that a person would be
//! given (facts/firmware-trust.md §1, promise FW-1), and those that must not.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use evenkeel_signing::{
    BundleError, Digest, Envelope, Keyring, Kind, Limits, ManifestError, Part, PluginManifest,
    Role, SealError, SecretKey, seal, seal_plugin,
};
use proptest::prelude::*;

const COMPONENT: &[u8] = b"\0asm-in-name-only";
const LICENCE: &[u8] = b"Apache-2.0";

#[test]
fn a_signed_bundle_comes_back_whole() {
    let (key, ring) = key_and_ring();
    let bundle = small_bundle(&[&key]);
    let verified = Envelope::read(&bundle).unwrap().verify(&ring, Kind::Plugin).unwrap();
    let plugin = verified.plugin().unwrap();
    assert_eq!(plugin.component(), COMPONENT);
    assert_eq!(plugin.part("licence"), Some(LICENCE));
    assert_eq!(plugin.part("sbom"), None);
    assert_eq!(plugin.manifest().total_length, bundle.len() as u64);
    assert_eq!(plugin.signers().len(), 1);
    assert_eq!(*plugin.signers()[0].key(), key.public());
}

#[test]
fn every_flipped_byte_is_refused() {
    let (key, ring) = key_and_ring();
    let bundle = small_bundle(&[&key]);
    for at in 0..bundle.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut damaged = bundle.clone();
            damaged[at] ^= flip;
            assert!(open(&damaged, &ring).is_err(), "byte {at} flipped by {flip:#x} passed");
        }
    }
}

#[test]
fn every_truncation_is_refused() {
    let (key, ring) = key_and_ring();
    let bundle = small_bundle(&[&key]);
    assert!(matches!(open(&[], &ring), Err(BundleError::NotABundle)));
    for len in 1..bundle.len() {
        let error = open(&bundle[..len], &ring).unwrap_err();
        assert!(matches!(error, BundleError::Truncated { .. }), "{len} bytes: {error}");
    }
}

#[test]
fn an_appended_byte_is_refused() {
    let (key, ring) = key_and_ring();
    for extra in [1, 4096] {
        let mut bundle = small_bundle(&[&key]);
        bundle.resize(bundle.len() + extra, 0);
        let error = open(&bundle, &ring).unwrap_err();
        assert!(matches!(error, BundleError::TrailingBytes { extra: e } if e == extra), "{error}");
    }
}

#[test]
fn unknown_signer_is_refused_and_named() {
    let (_, ring) = key_and_ring();
    let stranger = SecretKey::generate(Role::Plugin, "stranger").unwrap();
    let error = open(&small_bundle(&[&stranger]), &ring).unwrap_err();
    assert!(matches!(error, BundleError::UnknownSigners { .. }));
    assert!(error.to_string().contains(&stranger.public().id().to_string()));
    assert!(matches!(
        open(&small_bundle(&[&stranger]), &Keyring::new()),
        Err(BundleError::UnknownSigners { .. })
    ));
}

#[test]
fn an_unknown_signer_beside_a_known_one_is_ignored() {
    let (key, ring) = key_and_ring();
    let stranger = SecretKey::generate(Role::Plugin, "stranger").unwrap();
    let bundle = small_bundle(&[&stranger, &key]);
    assert_eq!(open(&bundle, &ring).unwrap(), [key.public().name()]);
}

#[test]
fn the_same_key_counts_once() {
    let (key, ring) = key_and_ring();
    assert_eq!(open(&small_bundle(&[&key, &key]), &ring).unwrap().len(), 1);
}

#[test]
fn a_known_key_with_a_bad_signature_spoils_the_bundle() {
    let (key, mut ring) = key_and_ring();
    let second = SecretKey::generate(Role::Plugin, "second").unwrap();
    ring.insert(second.public()).unwrap();
    let mut bundle = small_bundle(&[&key, &second]);
    bundle[24 + 96 + 32] ^= 1;
    let error = open(&bundle, &ring).unwrap_err();
    assert!(matches!(error, BundleError::BadSignature { name, .. } if name == "second"));
}

#[test]
fn a_key_signs_only_what_its_role_says() {
    let firmware = SecretKey::generate(Role::Firmware, "release").unwrap();
    assert!(matches!(
        seal_plugin(manifest(), &[("component", COMPONENT)], &[&firmware]),
        Err(SealError::WrongRole { .. })
    ));
    // An attacker's tool does not ask: the same key, trusted in another role.
    let text = firmware.to_text().replace(" firmware ", " plugin ");
    let as_plugin = SecretKey::parse(&text).unwrap();
    let mut ring = Keyring::new();
    ring.insert(firmware.public()).unwrap();
    let error = open(&small_bundle(&[&as_plugin]), &ring).unwrap_err();
    assert!(matches!(error, BundleError::WrongRole { .. }), "{error}");
}

#[test]
fn a_plugin_cannot_be_passed_off_as_firmware() {
    let (key, mut ring) = key_and_ring();
    let mut bundle = small_bundle(&[&key]);
    let as_plugin = Envelope::read(&bundle).unwrap().verify(&ring, Kind::Firmware).unwrap_err();
    assert!(matches!(as_plugin, BundleError::WrongKind { .. }));
    // The kind in the header changed, and a key that may sign firmware: the
    // signature covers the kind.
    let text = key.to_text().replace(" plugin ", " firmware ");
    let firmware = SecretKey::parse(&text).unwrap();
    ring = Keyring::new();
    ring.insert(firmware.public()).unwrap();
    bundle[8] = Kind::Firmware as u8;
    let error = Envelope::read(&bundle).unwrap().verify(&ring, Kind::Firmware).unwrap_err();
    assert!(matches!(error, BundleError::BadSignature { .. }), "{error}");
}

#[test]
fn header_limits_are_enforced() {
    let (key, _) = key_and_ring();
    let bundle = small_bundle(&[&key]);
    let with = |at: usize, value: u32| {
        let mut raw = bundle.clone();
        raw[at..at + 4].copy_from_slice(&value.to_le_bytes());
        Envelope::read(&raw).unwrap_err()
    };
    assert!(matches!(with(8, 9), BundleError::UnknownKind { number: 9 }));
    assert!(matches!(with(12, 0), BundleError::ManifestLength { found: 0 }));
    assert!(matches!(with(12, 65_537), BundleError::ManifestLength { .. }));
    assert!(matches!(with(16, 0), BundleError::Unsigned));
    assert!(matches!(with(16, 9), BundleError::TooManySignatures { found: 9 }));
    assert!(matches!(with(16, u32::MAX), BundleError::TooManySignatures { .. }));
    assert!(matches!(with(20, 1), BundleError::Reserved));
    let mut long = bundle.clone();
    long.resize(Kind::Plugin.len_max() + 1, 0);
    assert!(matches!(Envelope::read(&long), Err(BundleError::Oversized { .. })));
}

#[test]
fn a_signed_manifest_that_lies_is_refused() {
    let (key, ring) = key_and_ring();
    type Lie = fn(&mut PluginManifest);
    let cases: [(&str, Lie); 5] = [
        ("changed after signing", |m| m.parts[0].sha256 = Digest::of(b"other")),
        ("cut off", |m| m.parts[0].size = u64::MAX),
        ("cut off", |m| m.parts[1].size = 5000),
        ("cut off", |m| m.total_length = u64::MAX),
        ("follow the end", |m| m.parts.truncate(1)),
    ];
    for (expected, lie) in cases {
        let error = open(&lying_bundle(&key, lie), &ring).unwrap_err();
        assert!(error.to_string().contains(expected), "wanted {expected:?}, got: {error}");
    }
    let error = open(&lying_bundle(&key, |m| m.name = "a/b".into()), &ring).unwrap_err();
    assert!(matches!(
        error,
        BundleError::Manifest { source: ManifestError::Field { field: "name", .. } }
    ));
}

#[test]
fn a_signed_manifest_that_is_not_json_is_refused() {
    let (key, ring) = key_and_ring();
    for text in [&b"{"[..], b"[]", b"\xff\xfe", "[".repeat(60_000).as_bytes()] {
        let bundle = seal(Kind::Plugin, text, &[], &[&key]).unwrap();
        let error = open(&bundle, &ring).unwrap_err();
        assert!(matches!(error, BundleError::Manifest { source: ManifestError::Json { .. } }));
    }
}

#[test]
fn a_plugin_above_the_limit_cannot_be_sealed() {
    let (key, _) = key_and_ring();
    let huge = vec![0; Kind::Plugin.len_max()];
    assert!(matches!(
        seal_plugin(manifest(), &[("component", &huge)], &[&key]),
        Err(SealError::Oversized { .. })
    ));
    assert!(matches!(
        seal_plugin(manifest(), &[("component", COMPONENT)], &[]),
        Err(SealError::KeyCount { found: 0 })
    ));
}

proptest! {
    #[test]
    fn random_bytes_are_refused_without_a_panic(
        tail in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        let (_, ring) = key_and_ring();
        prop_assert!(open(&tail, &ring).is_err());
        let mut raw = b"EVKBDL1\n\x03\0\0\0".to_vec();
        raw.extend_from_slice(&tail);
        prop_assert!(open(&raw, &ring).is_err());
    }

    #[test]
    fn a_signed_manifest_of_any_shape_causes_no_panic(
        at in 0..400usize, byte: u8, size: u64, total: u64,
    ) {
        let (key, ring) = key_and_ring();
        let mut manifest = filled_manifest();
        manifest.parts[0].size = size;
        manifest.total_length = total;
        let mut text = serde_json::to_vec(&manifest).unwrap();
        if let Some(target) = text.get_mut(at) {
            *target = byte;
        }
        let bundle = seal(Kind::Plugin, &text, &[COMPONENT, LICENCE], &[&key]).unwrap();
        prop_assert!(open(&bundle, &ring).is_err());
    }
}

/// The whole path a device takes; gives the names of the signers.
fn open(raw: &[u8], ring: &Keyring) -> Result<Vec<String>, BundleError> {
    let plugin = Envelope::read(raw)?.verify(ring, Kind::Plugin)?.plugin()?;
    Ok(plugin.signers().iter().map(|key| key.name().to_owned()).collect())
}

fn key_and_ring() -> (SecretKey, Keyring) {
    let key = SecretKey::generate(Role::Plugin, "vendor").unwrap();
    let mut ring = Keyring::new();
    ring.insert(key.public()).unwrap();
    (key, ring)
}

fn small_bundle(keys: &[&SecretKey]) -> Vec<u8> {
    seal_plugin(manifest(), &[("component", COMPONENT), ("licence", LICENCE)], keys).unwrap()
}

fn manifest() -> PluginManifest {
    PluginManifest {
        format: PluginManifest::FORMAT,
        kind: PluginManifest::KIND.into(),
        name: "probe".into(),
        version: "1.0.0".into(),
        security_version: 0,
        vendor: "Acme".into(),
        world: "evenkeel:driver/device-driver@0.1.0".into(),
        description: "A test.".into(),
        interfaces: vec!["evenkeel:log/log@0.1.0".into()],
        permissions: Vec::new(),
        limits: Limits { memory_bytes: 1 << 20, poll_cpu_ms: 10 },
        settings: Vec::new(),
        models: Vec::new(),
        code: Vec::new(),
        parts: Vec::new(),
        total_length: 0,
    }
}

fn filled_manifest() -> PluginManifest {
    let part = |name: &str, bytes: &[u8]| Part {
        name: name.into(),
        size: bytes.len() as u64,
        sha256: Digest::of(bytes),
    };
    PluginManifest {
        parts: vec![part("component", COMPONENT), part("licence", LICENCE)],
        ..manifest()
    }
}

/// A bundle that is signed in order, but whose manifest does not fit its payload.
fn lying_bundle(key: &SecretKey, lie: impl Fn(&mut PluginManifest)) -> Vec<u8> {
    let mut manifest = filled_manifest();
    loop {
        let mut lying = manifest.clone();
        lie(&mut lying);
        let text = serde_json::to_vec(&lying).unwrap();
        let bundle = seal(Kind::Plugin, &text, &[COMPONENT, LICENCE], &[key]).unwrap();
        if manifest.total_length == bundle.len() as u64 {
            return bundle;
        }
        manifest.total_length = bundle.len() as u64;
    }
}
