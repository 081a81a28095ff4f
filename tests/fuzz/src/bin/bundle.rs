//! Signed bundles, key files and manifests of plugins and keyrings, settings
//! and licences: arbitrary bytes are refused with a reason and never trusted.
#![no_main]

use evenkeel_plugin_licence_lc::judge::{Key, judge};
use evenkeel_plugin_licence_lc::payload::Licence;
use evenkeel_signing::{
    Envelope, Keyring, KeyringManifest, Kind, PluginManifest, PublicKey, Role, Roots, SecretKey,
    Serial, SettingValue, Trust, check_settings,
};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static TRUSTED: LazyLock<Keyring> = LazyLock::new(|| {
    let key = SecretKey::generate(Role::Plugin, "fuzz").expect("a key");
    let mut keyring = Keyring::new();
    keyring.insert(key.public()).expect("an empty keyring takes a key");
    keyring
});
static TRUST: LazyLock<Trust> = LazyLock::new(|| {
    let mut trust = Trust::new(Roots::none(), false).expect("no root to be refused");
    for role in [Role::Plugin, Role::Licence] {
        let key = SecretKey::generate(role, "development-fuzz").expect("a key");
        trust.add_development_key(key.public()).expect("a first key");
    }
    trust
});

fuzz_target!(|data: &[u8]| {
    if let Ok(envelope) = Envelope::read(data) {
        // The secret keys exist in this process only, so nothing can be signed.
        assert!(envelope.verify(&TRUSTED, Kind::Plugin).is_err());
    }
    assert!(TRUST.plugin(data).is_err() && TRUST.licence(data).is_err());
    let _ = KeyringManifest::parse(data);
    licence(data);
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = PublicKey::parse(text);
        let _ = SecretKey::parse(text);
        let _ = text.parse::<Serial>();
    }
    // A manifest, and behind a zero byte what somebody enters for its settings.
    let mut parts = data.splitn(2, |byte| *byte == 0);
    if let Ok(manifest) = PluginManifest::parse(parts.next().unwrap_or_default()) {
        settings(&manifest, &String::from_utf8_lossy(parts.next().unwrap_or_default()));
    }
});

/// Whatever is accepted lies within what the schema says.
fn settings(manifest: &PluginManifest, text: &str) {
    let defaults = check_settings(&manifest.settings, &Default::default());
    let names: Vec<_> = manifest.settings.iter().map(|spec| spec.name.clone()).collect();
    let given = names.iter().cloned().zip(text.split('\0').map(str::to_owned)).collect();
    for values in [defaults, check_settings(&manifest.settings, &given)].into_iter().flatten() {
        for (name, value) in values {
            assert!(names.contains(&name));
            assert!(!matches!(value, SettingValue::Number(n) if !n.is_finite()), "{name} {value}");
        }
    }
}

/// A payload that is no licence for this device lifts no limit.
fn licence(payload: &[u8]) {
    const DEVICE: &str = "EK-FUZZ";
    let verdict = judge(DEVICE, Some(1_800_000_000), &[Key { name: "fuzz", payload }]);
    let good = Licence::parse(payload).is_ok_and(|licence| licence.serial == DEVICE);
    assert!(good || verdict.blocks.is_some(), "{verdict:?}");
}
