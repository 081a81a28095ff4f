//! Tests of the judgement: who may sign what, and who takes it back.

use super::*;
use crate::keyring_bundle::{Floor, KeyEntry, RevokedKey};
use crate::manifest::tests::sample;
use crate::{CodePart, SealError, SecretKey, countersign, seal, seal_keyring, seal_plugin};

const GATE: &str = "evenkeel:licence/licence-gate@0.1.0";
const NOW: Option<u64> = Some(1_800_000_000);

fn key(role: Role, name: &str) -> SecretKey {
    SecretKey::generate(role, name).unwrap()
}

/// Everybody who holds a key.
struct World {
    roots: [SecretKey; 3],
    platform: SecretKey,
    vendor: SecretKey,
    acme: SecretKey,
    licences: SecretKey,
}

impl World {
    fn new() -> Self {
        Self {
            roots: ["root-a", "root-b", "root-c"].map(|name| key(Role::Root, name)),
            platform: key(Role::Plugin, "evenkeel-plugins"),
            vendor: key(Role::Plugin, "beta"),
            acme: key(Role::Plugin, "acme"),
            licences: key(Role::Licence, "evenkeel-licences"),
        }
    }

    fn roots(&self) -> Roots {
        Roots::new(self.roots.iter().map(SecretKey::public).collect(), 2).unwrap()
    }

    fn keyring(&self, sequence: u32) -> KeyringManifest {
        KeyringManifest {
            format: 1,
            kind: "keyring".into(),
            sequence,
            issued_unix_s: 1_700_000_000,
            expires_unix_s: 1_900_000_000,
            keys: vec![
                KeyEntry::of(&self.platform.public(), false),
                KeyEntry::of(&self.vendor.public(), true),
                KeyEntry::of(&self.licences.public(), false),
            ],
            revoked_keys: Vec::new(),
            revoked_bundles: Vec::new(),
            floors: Vec::new(),
        }
    }

    fn seal(&self, manifest: &KeyringManifest) -> Vec<u8> {
        seal_keyring(manifest, &[&self.roots[0], &self.roots[1]]).unwrap()
    }

    /// In production, with the keyring 5 in force and acme's key added.
    fn trust(&self) -> Trust {
        let mut trust = Trust::new(self.roots(), true).unwrap();
        trust.accept_keyring(&self.seal(&self.keyring(5)), NOW).unwrap();
        trust.add_vendor_key(self.acme.public()).unwrap();
        trust
    }
}

fn revoked(key: &SecretKey) -> RevokedKey {
    RevokedKey {
        id: key.public().id().0,
        name: key.public().name().into(),
        reason: "a laptop was stolen".into(),
        since_unix_s: 1_790_000_000,
    }
}

fn plugin(keys: &[&SecretKey], change: impl Fn(&mut PluginManifest)) -> Vec<u8> {
    let mut manifest = sample();
    change(&mut manifest);
    seal_plugin(manifest, &[("component", b"bytes")], keys).unwrap()
}

fn refusal(trust: &Trust, raw: &[u8]) -> String {
    trust.plugin(raw).unwrap_err().sentence()
}

#[test]
fn the_signer_says_on_whose_word_it_is_trusted() {
    let world = World::new();
    let trust = world.trust();
    for (key, origin) in [
        (&world.platform, Origin::Platform),
        (&world.vendor, Origin::Vendor),
        (&world.acme, Origin::Administrator),
    ] {
        let raw = plugin(&[key], |_| {});
        let bundle = trust.plugin(&raw).unwrap();
        assert_eq!(bundle.signers()[0].origin(), origin);
        assert_eq!(bundle.is_platform(), origin == Origin::Platform);
    }
}

#[test]
fn nobody_is_trusted_before_the_first_keyring() {
    let world = World::new();
    let trust = Trust::new(world.roots(), true).unwrap();
    let text = refusal(&trust, &plugin(&[&world.platform], |_| {}));
    assert!(text.starts_with("this plugin bundle is refused: no key that signed it"), "{text}");
    assert!(text.contains(&world.platform.public().fingerprint()), "{text}");
}

#[test]
fn only_the_platform_may_ship_a_licence_gate() {
    let world = World::new();
    let trust = world.trust();
    let gate = |keys: &[&SecretKey]| plugin(keys, |m| m.world = GATE.into());
    trust.plugin(&gate(&[&world.platform])).unwrap();
    // A vendor's signature beside the platform's takes nothing away.
    trust.plugin(&gate(&[&world.acme, &world.platform])).unwrap();
    for key in [&world.vendor, &world.acme] {
        let text = refusal(&trust, &gate(&[key]));
        assert!(text.contains("only a key of the platform may sign such a plugin"), "{text}");
        assert!(text.contains("\"megatec\" 0.1.0") && text.contains(&key.public().fingerprint()));
    }
}

#[test]
fn only_the_platform_may_ship_machine_code() {
    let world = World::new();
    let trust = world.trust();
    let bundle = |keys: &[&SecretKey]| {
        let code = CodePart {
            target: "x86_64-unknown-linux-gnu".into(),
            wasmtime: "48.0.0".into(),
            compat: Digest::of(b"settings"),
        };
        let name = code.part_name();
        let manifest = PluginManifest { code: vec![code], ..sample() };
        seal_plugin(manifest, &[("component", b"bytes"), (&name, b"code")], keys).unwrap()
    };
    trust.plugin(&bundle(&[&world.platform])).unwrap();
    trust.plugin(&bundle(&[&world.acme, &world.platform])).unwrap();
    for key in [&world.vendor, &world.acme] {
        let text = refusal(&trust, &bundle(&[key]));
        assert!(text.contains("it brings machine code along"), "{text}");
        assert!(text.contains("\"megatec\" 0.1.0") && text.contains(&key.public().fingerprint()));
        trust.plugin(&plugin(&[key], |_| {})).unwrap();
    }
}

#[test]
fn a_keyring_needs_enough_different_roots() {
    let world = World::new();
    let mut trust = Trust::new(world.roots(), true).unwrap();
    let manifest = world.keyring(1);
    let [a, b, c] = &world.roots;
    let stranger = key(Role::Root, "root-d");
    for (keys, wanted) in
        [(vec![a], 1), (vec![a, a], 1), (vec![&stranger], 0), (vec![c, &stranger], 1)]
    {
        let error =
            trust.accept_keyring(&seal_keyring(&manifest, &keys).unwrap(), NOW).unwrap_err();
        assert!(
            matches!(error, TrustError::TooFewRoots { found, needed: 2 } if found == wanted),
            "{error}"
        );
    }
    assert_eq!(trust.trusted().keys().count(), 0);
    let accepted =
        trust.accept_keyring(&seal_keyring(&manifest, &[c, b, c]).unwrap(), NOW).unwrap();
    assert_eq!(accepted.roots, ["root-c", "root-b"]);
    assert_eq!((accepted.sequence, accepted.replaced), (1, None));
}

#[test]
fn roots_sign_one_after_another() {
    let world = World::new();
    let [a, b, _] = &world.roots;
    let mut first = Keyring::new();
    first.insert(a.public()).unwrap();
    let half = seal_keyring(&world.keyring(1), &[a]).unwrap();
    let whole = countersign(&half, &first, b).unwrap();
    assert_eq!(whole, seal_keyring(&world.keyring(1), &[a, b]).unwrap());
    Trust::new(world.roots(), true).unwrap().accept_keyring(&whole, NOW).unwrap();

    assert!(matches!(countersign(&half, &first, a), Err(SealError::AlreadySigned { .. })));
    assert!(matches!(countersign(&half, &Keyring::new(), b), Err(SealError::Unverified { .. })));
    let plugin = plugin(&[&world.acme], |_| {});
    assert!(matches!(countersign(&plugin, &first, b), Err(SealError::Unverified { .. })));
    assert!(matches!(
        seal_keyring(&world.keyring(1), &[&world.acme]),
        Err(SealError::WrongRole { .. })
    ));
}

#[test]
fn a_keyring_never_goes_back() {
    let world = World::new();
    let mut trust = world.trust();
    let older = world.seal(&world.keyring(4));
    let error = trust.accept_keyring(&older, NOW).unwrap_err();
    assert!(matches!(error, TrustError::Older { found: 4, least: 5 }));
    // The same one again is what happens at each start.
    trust.accept_keyring(&world.seal(&world.keyring(5)), NOW).unwrap();
    let fork = KeyringManifest { issued_unix_s: 1, ..world.keyring(5) };
    let error = trust.accept_keyring(&world.seal(&fork), NOW).unwrap_err();
    assert!(matches!(error, TrustError::Fork { sequence: 5 }));
    let accepted = trust.accept_keyring(&world.seal(&world.keyring(9)), NOW).unwrap();
    assert_eq!(accepted.replaced, Some(5));

    let mut restarted = Trust::new(world.roots(), true).unwrap();
    restarted.require_sequence(accepted.sequence);
    let error = restarted.accept_keyring(&world.seal(&world.keyring(8)), NOW).unwrap_err();
    assert!(matches!(error, TrustError::Older { found: 8, least: 9 }));
}

#[test]
fn expiry_counts_for_a_new_keyring_and_a_known_date_only() {
    let world = World::new();
    let raw = world.seal(&world.keyring(5));
    let mut trust = Trust::new(world.roots(), true).unwrap();
    let error = trust.accept_keyring(&raw, Some(1_900_000_000)).unwrap_err();
    assert!(matches!(error, TrustError::Expired { .. }));
    assert!(error.to_string().contains("expired on 2030-03-17"), "{error}");
    trust.accept_keyring(&raw, Some(1_899_999_999)).unwrap();
    assert!(!trust.is_keyring_expired(1_899_999_999) && trust.is_keyring_expired(1_900_000_000));
    trust.plugin(&plugin(&[&world.platform], |_| {})).unwrap();
    Trust::new(world.roots(), true).unwrap().accept_keyring(&raw, None).unwrap();
}

#[test]
fn a_revoked_root_counts_no_more_and_enough_must_remain() {
    let world = World::new();
    let mut trust = world.trust();
    let [a, b, c] = &world.roots;
    let without_a = KeyringManifest { revoked_keys: vec![revoked(a)], ..world.keyring(6) };
    // It does not count for the keyring that takes it back …
    let error = trust.accept_keyring(&world.seal(&without_a), NOW).unwrap_err();
    assert!(matches!(error, TrustError::TooFewRoots { found: 1, .. }), "{error}");
    trust.accept_keyring(&seal_keyring(&without_a, &[b, c]).unwrap(), NOW).unwrap();
    // … nor for the next.
    let next = seal_keyring(&world.keyring(7), &[a, b]).unwrap();
    let error = trust.accept_keyring(&next, NOW).unwrap_err();
    assert!(matches!(error, TrustError::TooFewRoots { found: 1, .. }));
}

#[test]
fn taking_a_key_back_wins_whoever_added_it() {
    let world = World::new();
    let mut trust = world.trust();
    let from_acme = plugin(&[&world.acme], |_| {});
    let next = KeyringManifest { revoked_keys: vec![revoked(&world.acme)], ..world.keyring(6) };
    trust.accept_keyring(&world.seal(&next), NOW).unwrap();
    let text = refusal(&trust, &from_acme);
    assert!(text.contains("\"acme\"") && text.contains("a laptop was stolen"), "{text}");
    let error = trust.add_vendor_key(world.acme.public()).unwrap_err();
    assert!(matches!(error, TrustError::Revoked { .. }), "{error}");
    // Somebody else's signature on the same bundle still counts.
    trust.plugin(&plugin(&[&world.acme, &world.platform], |_| {})).unwrap();

    let id = world.platform.public().id();
    trust.revoke_key(id, "evenkeel-plugins", "we build our own").unwrap();
    let text = refusal(&trust, &plugin(&[&world.platform], |_| {}));
    assert!(
        text.contains("the trust in this key was withdrawn on this device: we build our own"),
        "{text}"
    );
    assert!(matches!(trust.revoke_key(id, "a", "b\nc"), Err(TrustError::Line)));
    assert!(trust.restore_key(&id) && !trust.restore_key(&id));
    trust.plugin(&plugin(&[&world.platform], |_| {})).unwrap();
}

#[test]
fn what_a_keyring_no_longer_lists_is_not_trusted() {
    let world = World::new();
    let mut trust = world.trust();
    let next = KeyringManifest { keys: Vec::new(), ..world.keyring(6) };
    trust.accept_keyring(&world.seal(&next), NOW).unwrap();
    assert!(refusal(&trust, &plugin(&[&world.vendor], |_| {})).contains("no key that signed it"));
    // The administrator's own keys are his.
    trust.plugin(&plugin(&[&world.acme], |_| {})).unwrap();
    let id = world.acme.public().id();
    assert!(trust.remove_vendor_key(&id) && !trust.remove_vendor_key(&id));
    assert!(trust.plugin(&plugin(&[&world.acme], |_| {})).is_err());
}

#[test]
fn an_administrator_adds_plugin_keys_only() {
    let world = World::new();
    let mut trust = world.trust();
    for role in [Role::Root, Role::Firmware, Role::Licence] {
        let error = trust.add_vendor_key(key(role, "acme").public()).unwrap_err();
        assert!(matches!(error, TrustError::Role { .. }), "{error}");
    }
    let added = key(Role::Plugin, "gamma").public();
    assert_eq!(trust.add_vendor_key(added.clone()).unwrap(), added.fingerprint());
    assert!(matches!(trust.add_vendor_key(added), Err(TrustError::Key { .. })));
    // A key that the platform already vouches for stays the platform's.
    trust.add_vendor_key(world.platform.public()).unwrap();
    let raw = plugin(&[&world.platform], |_| {});
    assert!(trust.plugin(&raw).unwrap().is_platform());
    for at in trust.vendors.len()..VENDORS_MAX {
        trust.add_vendor_key(key(Role::Plugin, &format!("v{at}")).public()).unwrap();
    }
    let error = trust.add_vendor_key(key(Role::Plugin, "last").public()).unwrap_err();
    assert!(matches!(error, TrustError::TooMany { .. }));
}

#[test]
fn development_keys_stay_out_of_production() {
    let world = World::new();
    let dev = key(Role::Plugin, "development");
    let flagged = key(Role::Plugin, "nightly");
    let mut keyring = world.keyring(1);
    keyring.keys.push(KeyEntry::of(&dev.public(), false));
    keyring.keys.push(KeyEntry { development: true, ..KeyEntry::of(&flagged.public(), false) });
    for production in [true, false] {
        let mut trust = Trust::new(world.roots(), production).unwrap();
        trust.accept_keyring(&world.seal(&keyring), NOW).unwrap();
        trust.plugin(&plugin(&[&world.platform], |_| {})).unwrap();
        for key in [&dev, &flagged] {
            let raw = plugin(&[key], |_| {});
            assert_eq!(trust.plugin(&raw).is_ok(), !production);
            assert!(!production || refusal(&trust, &raw).contains("a development key"));
        }
        let own = key(Role::Plugin, "acme-dev").public();
        assert_eq!(trust.add_vendor_key(own).is_ok(), !production);
        // Under an innocent name it is still the key that the keyring flags.
        let renamed = trust.add_vendor_key(flagged.public());
        assert_eq!(renamed.is_ok(), !production);
        // Nor does it help to have been there first.
        let mut trust = Trust::new(world.roots(), production).unwrap();
        trust.add_vendor_key(flagged.public()).unwrap();
        trust.accept_keyring(&world.seal(&keyring), NOW).unwrap();
        assert_eq!(trust.plugin(&plugin(&[&flagged], |_| {})).is_ok(), !production);
    }
    let root = Roots::new(vec![key(Role::Root, "root-dev").public()], 1).unwrap();
    assert!(matches!(Trust::new(root.clone(), true), Err(TrustError::Development { .. })));
    assert!(Trust::new(root, false).is_ok());
}

#[test]
fn a_workshop_needs_no_roots() {
    let world = World::new();
    let dev = key(Role::Plugin, "development");
    let mut trust = Trust::new(world.roots(), false).unwrap();
    trust.add_development_key(dev.public()).unwrap();
    trust.plugin(&plugin(&[&dev], |m| m.world = GATE.into())).unwrap();
    let error = trust.add_development_key(world.acme.public()).unwrap_err();
    assert!(matches!(error, TrustError::NotDevelopment { .. }));
    let error = world.trust().add_development_key(dev.public()).unwrap_err();
    assert!(matches!(error, TrustError::Development { .. }));
}

#[test]
fn floors_hold_for_every_signer() {
    let world = World::new();
    let mut trust = world.trust();
    let floor = Floor {
        plugin: "megatec".into(),
        security_version: 3,
        reason: "a forged reply could crash it".into(),
    };
    let next = KeyringManifest { floors: vec![floor], ..world.keyring(6) };
    trust.accept_keyring(&world.seal(&next), NOW).unwrap();
    for key in [&world.platform, &world.acme] {
        let text = refusal(&trust, &plugin(&[key], |m| m.security_version = 2));
        assert!(text.contains("its security version is 2, the least that is accepted is 3"));
        trust.plugin(&plugin(&[key], |m| m.security_version = 3)).unwrap();
        trust.plugin(&plugin(&[key], |m| m.name = "other".into())).unwrap();
    }
}

#[test]
fn what_has_proved_itself_here_is_not_undone() {
    let world = World::new();
    let mut trust = world.trust();
    let release = |number| plugin(&[&world.acme], move |m| m.security_version = number);
    trust.plugin(&release(4)).unwrap();
    trust.plugin(&release(3)).unwrap();
    let acme = world.acme.public().id();
    trust.raise_floor("megatec", acme, 4).unwrap();
    trust.raise_floor("megatec", acme, 2).unwrap();
    let text = refusal(&trust, &release(3));
    assert!(text.contains("security version is 3, and a release with 4 has proved"), "{text}");
    assert!(text.contains("\"megatec\"") && text.contains(&acme.fingerprint()), "{text}");
    trust.plugin(&release(4)).unwrap();
    // It stands for who signed it too, when another signs first.
    let both = plugin(&[&world.platform, &world.acme], |m| m.security_version = 3);
    assert!(refusal(&trust, &both).contains("has proved itself"));
    for at in 1..PROVEN_MAX {
        trust.raise_floor(&format!("p{at}"), acme, 1).unwrap();
    }
    trust.raise_floor("p1", acme, 2).unwrap();
    assert!(matches!(trust.raise_floor("last", acme, 1), Err(TrustError::TooMany { .. })));
}

#[test]
fn nobody_locks_another_signer_out_by_a_high_security_version() {
    let world = World::new();
    let mut trust = world.trust();
    // A vendor's plugin of the platform's name, which stood the test.
    trust.raise_floor("megatec", world.acme.public().id(), u32::MAX).unwrap();
    trust.plugin(&plugin(&[&world.platform], |m| m.security_version = 1)).unwrap();
    // Nor himself, by one release.
    let (platform, release) = (world.platform.public().id(), |number| {
        plugin(&[&world.platform], move |m| m.security_version = number)
    });
    trust.raise_floor("megatec", platform, 1).unwrap();
    trust.plugin(&release(1 + SECURITY_STEP_MAX)).unwrap();
    let text = refusal(&trust, &release(2 + SECURITY_STEP_MAX));
    assert!(text.contains("security version is 18, and 1 has proved"), "{text}");
    assert!(refusal(&trust, &release(u32::MAX)).contains("no release skips so many"));
}

#[test]
fn a_licence_is_signed_by_a_licence_key_and_given_as_it_is() {
    let world = World::new();
    let trust = world.trust();
    let seal = |key: &SecretKey, parts: &[&[u8]]| {
        seal(Kind::Licence, b"{\"blocks\":512}", parts, &[key]).unwrap()
    };
    assert_eq!(trust.licence(&seal(&world.licences, &[])).unwrap(), b"{\"blocks\":512}");
    let text = trust.licence(&seal(&world.licences, &[b"more"])).unwrap_err().sentence();
    assert!(text.contains("4096 bytes follow the end"), "{text}");
    let forged = key(Role::Licence, "evenkeel-licences");
    let text = trust.licence(&seal(&forged, &[])).unwrap_err().sentence();
    assert!(text.starts_with("this licence bundle is refused: no key of the platform"), "{text}");
    let not_a_licence = plugin(&[&world.acme], |_| {});
    assert!(
        trust.licence(&not_a_licence).unwrap_err().sentence().contains("this is a plugin bundle")
    );
}

#[test]
fn roots_that_make_no_sense_are_refused() {
    let root = key(Role::Root, "root").public();
    assert!(matches!(Roots::new(Vec::new(), 0), Err(TrustError::Roots { .. })));
    assert!(matches!(Roots::new(vec![root.clone()], 0), Err(TrustError::Roots { .. })));
    assert!(matches!(Roots::new(vec![root.clone()], 2), Err(TrustError::Roots { .. })));
    assert!(matches!(Roots::new(vec![root.clone(); 2], 1), Err(TrustError::Key { .. })));
    let plugin = key(Role::Plugin, "acme").public();
    assert!(matches!(Roots::new(vec![root, plugin], 1), Err(TrustError::Role { .. })));
}
