//! Signed bundles, key files and manifests: arbitrary bytes are refused with a
//! reason and never trusted.
#![no_main]

use evenkeel_signing::{Envelope, Keyring, Kind, PluginManifest, PublicKey, SecretKey};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static TRUSTED: LazyLock<Keyring> = LazyLock::new(|| {
    let key = SecretKey::generate(evenkeel_signing::Role::Plugin, "fuzz").expect("a key");
    let mut keyring = Keyring::new();
    keyring.insert(key.public()).expect("an empty keyring takes a key");
    keyring
});

fuzz_target!(|data: &[u8]| {
    if let Ok(envelope) = Envelope::read(data) {
        // The secret key exists in this process only, so nothing can be signed.
        assert!(envelope.verify(&TRUSTED, Kind::Plugin).is_err());
    }
    let _ = PluginManifest::parse(data);
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = PublicKey::parse(text);
        let _ = SecretKey::parse(text);
    }
});
