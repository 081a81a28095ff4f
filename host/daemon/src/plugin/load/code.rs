//! Whose machine code is run: the platform's, and nobody else's.

use super::*;
use crate::plugin::engine;
use crate::plugin::fixture::{self, DRIVER_IMPORTS, Fixture};

/// A manifest with code for this very engine, and the name of its part.
fn with_code(interfaces: &[&str]) -> (PluginManifest, String) {
    let code = evenkeel_signing::CodePart {
        target: engine::TARGET.into(),
        wasmtime: engine::WASMTIME.into(),
        compat: engine::compat(),
    };
    let name = code.part_name();
    (PluginManifest { code: vec![code], ..fixture::manifest(interfaces) }, name)
}

/// The refusal as the administrator reads it, at an upload and at a start.
fn refused(fixture: &Fixture, raw: &[u8]) -> String {
    let upload = inspect_raw(raw, &fixture.trust).map(|_| ()).expect_err("refused");
    let text = crate::plugin::reason(&upload);
    let start = fixture.load(raw).map(|_| ()).expect_err("refused");
    assert!(crate::plugin::reason(&start).ends_with(&text), "{text}");
    text
}

#[test]
fn machine_code_counts_from_the_platform_alone() {
    let component = fixture::idle();
    let (manifest, name) = with_code(&DRIVER_IMPORTS);
    let code = crate::plugin::compile::helper::Helper::default().compile(&component);
    let code = code.expect("code");
    for (code, garbage) in [(&code[..], false), (&b"\x7fELF\xc3\xc3"[..], true)] {
        let parts = [("component", &component[..]), (name.as_str(), code)];
        let vendor = Fixture::new();
        let text = refused(&vendor, &vendor.seal_parts(&manifest, &parts));
        assert!(text.contains("it brings machine code along"), "{text}");
        assert!(text.contains(&vendor.fingerprint()), "{text}");
        let platform = Fixture::platform();
        let loaded = platform.load(&platform.seal_parts(&manifest, &parts));
        match loaded.map(|package| package.code) {
            Ok(source) => assert!(!garbage && source == Source::Bundle, "{source:?}"),
            Err(refusal) => {
                let text = crate::plugin::reason(&refusal);
                assert!(garbage && text.contains("machine code cannot be loaded"), "{text}");
            }
        }
    }
}

/// The second wall: a bundle that no rule looked at, as it would be if the
/// rule were lost.
#[test]
fn code_of_a_vendor_is_not_even_offered_to_the_engine() {
    use evenkeel_signing::{Envelope, Keyring, Origin, Role, SecretKey};

    let (manifest, name) = with_code(&DRIVER_IMPORTS);
    let component = fixture::idle();
    let parts: [(&str, &[u8]); 2] = [("component", &component), (&name, b"code")];
    let key = SecretKey::generate(Role::Plugin, "acme").expect("a key");
    let raw = evenkeel_signing::seal_plugin(manifest, &parts, &[&key]).expect("sealed");
    let offered = |origin| {
        let mut ring = Keyring::new();
        ring.insert_from(key.public(), origin).expect("a first key");
        let verified = Envelope::read(&raw).expect("a bundle").verify(&ring, Kind::Plugin);
        precompiled(&verified.expect("signed").plugin().expect("whole")).len()
    };
    assert_eq!(offered(Origin::Platform), 1);
    assert_eq!((offered(Origin::Vendor), offered(Origin::Administrator)), (0, 0));
}
