//! An image for production, of a platform with three roots: it takes nothing
//! that a workshop signed, and the key that signs its firmware is replaced by
//! another, after which what the old one signed ends (image/README.md, "Keys").

use crate::bench::{Bench, Built, SCENARIO, first_sign_in, it_protects};
use crate::fallback::Good;
use crate::{BOARD, off};
use evenkeel_e2e::Client;
use evenkeel_signing::slot::{Reason, Slot};
use evenkeel_signing::{
    KeyEntry, KeyringManifest, PublicKey, RevokedKey, Role, SecretKey, seal_keyring,
};
use serde_json::{Value, json};
use std::path::PathBuf;

/// The platform that `cargo xtask test` makes, and its next keys.
struct Platform {
    folder: PathBuf,
    next: tempfile::TempDir,
}

impl Platform {
    fn find(built: &Built) -> Self {
        let folder = built.target().join("example-platform");
        let next = tempfile::tempdir().expect("a folder");
        let key = SecretKey::generate(Role::Firmware, "firmware-2").expect("a key");
        key.write_new(&next.path().join("firmware.key")).expect("written");
        key.public().write_new(&next.path().join("firmware.pub")).expect("written");
        Self { folder, next }
    }

    /// The key that sealed the image.
    fn first(&self) -> SecretKey {
        SecretKey::read(&self.folder.join("firmware.key")).expect("its key")
    }

    /// The one that follows it.
    fn second(&self) -> SecretKey {
        SecretKey::read(&self.next.path().join("firmware.key")).expect("its key")
    }

    fn root(&self, number: u8) -> SecretKey {
        let path = self.folder.join(format!("elsewhere/root-{number}.key"));
        SecretKey::read(&path).expect("a root")
    }

    /// A keyring with these keys for firmware, without those that are revoked.
    fn keyring(&self, sequence: u32, keys: &[&SecretKey], revoked: &[&SecretKey]) -> Vec<u8> {
        let plugin = PublicKey::read(&self.folder.join("plugin.pub")).expect("its key");
        let publics = keys.iter().map(|key| key.public()).chain([plugin]);
        let entries = publics.map(|key| KeyEntry::of(&key, false)).collect();
        let mut manifest = KeyringManifest::new(sequence, [1_700_000_000, 4_000_000_000], entries);
        manifest.revoked_keys = revoked.iter().map(|key| revoked_key(&key.public())).collect();
        seal_keyring(&manifest, &[&self.root(1), &self.root(3)]).expect("a keyring")
    }
}

fn revoked_key(key: &PublicKey) -> RevokedKey {
    RevokedKey {
        id: key.id().0,
        name: key.name().to_owned(),
        reason: "a laptop was stolen".to_owned(),
        since_unix_s: 1_700_000_000,
    }
}

fn firmware(client: &mut Client) -> Value {
    client.get("/api/v1/firmware").expect("slots")
}

fn refused(client: &mut Client, path: &str, bytes: &[u8]) -> String {
    let refused = client.post_bytes(path, bytes).expect_err("refused").to_string();
    println!("{refused}");
    refused
}

#[test]
fn keys_change_hands_and_what_the_old_one_signed_ends() {
    const FIRMWARE: &str = "/api/v1/firmware";
    const KEYRING: &str = "/api/v1/plugin-keyring";
    let built = Built::find(&format!("{BOARD}-release"));
    let platform = Platform::find(&built);
    let (first, second) = (&platform.first(), &platform.second());
    let mut bench = Bench::new(&built, SCENARIO);
    // By the firmware and the loader, who judge the keys as well.
    bench.machine = bench.machine.verified();
    let (_, mut qemu, begun) = bench.on();
    let mut client = bench.console(&mut qemu, begun);
    let password = first_sign_in(&mut client, &mut qemu);
    it_protects(&mut client);
    let runs = firmware(&mut client);
    assert_eq!((&runs["development"], &runs["keyring"]), (&json!(false), &json!(1)), "{runs:#}");
    let plugins = client.get("/api/v1/plugin-keys").expect("keys").to_string();
    assert!(plugins.contains("plugin-1"), "{plugins}");

    let workshop = std::fs::read(Built::find(BOARD).image.join("next.evkf")).expect("a bundle");
    let said = refused(&mut client, FIRMWARE, &workshop);
    assert!(said.contains("no key of the platform that may sign firmware signed it"), "{said}");

    // A keyring comes after the one before, from enough roots, and never ends
    // what runs.
    let alone = KeyringManifest::new(2, [1, 4_000_000_000], Vec::new());
    let alone = seal_keyring(&alone, &[&platform.root(2)]).expect("a keyring");
    let said = refused(&mut client, KEYRING, &alone);
    assert!(said.contains("the keyring is not taken into force"), "{said}");
    let sudden = platform.keyring(2, &[second], &[first]);
    let said = refused(&mut client, KEYRING, &sudden);
    assert!(said.contains("takes back the key that signed the running firmware"), "{said}");
    assert_eq!(firmware(&mut client)["keyring"], 1);

    let both = platform.keyring(2, &[first, second], &[]);
    client.post_bytes(KEYRING, &both).expect("in force");
    assert_eq!(firmware(&mut client)["keyring"], 2);
    let last = platform.keyring(3, &[second], &[first]);
    let good = Good::of(&built).sealed_by(platform.second());
    let update = good.with_keyring("0.9.8", &last);
    let taken = client.post_bytes(FIRMWARE, &update).expect("installed");
    assert_eq!(taken["other"]["state"], "ready", "{taken:#}");
    // Its answer may be lost in the restart.
    let _ = client.post("/api/v1/firmware/activate", &json!({}));
    off(&mut qemu);

    let (slot, mut qemu, begun) = bench.on();
    assert_eq!(slot, Slot::B);
    let mut client = bench.console(&mut qemu, begun);
    client.login("admin", &password).expect("in");
    assert_eq!(bench.machine.record().expect("a record").keyring, 2, "on trial as before");
    let runs = client.await_answer(FIRMWARE, |firmware| firmware["trial"].is_null());
    assert_eq!((&runs["keyring"], &runs["other"]["state"]), (&json!(3), &json!("bad")), "{runs:#}");
    assert_eq!(runs["other"]["reason"], Reason::Revoked.to_string(), "{runs:#}");
    it_protects(&mut client);
    let said = client.post("/api/v1/firmware/go-back", &json!({})).expect_err("revoked");
    assert!(said.to_string().contains("no good system to go back to"), "{said}");
    let old = Good::of(&built).sealed_by(platform.first()).again("0.9.9", 1);
    let said = refused(&mut client, FIRMWARE, &old);
    assert!(said.contains("a laptop was stolen"), "{said}");
    let said = refused(&mut client, KEYRING, &both);
    assert!(said.contains("this device has already seen 3"), "{said}");

    qemu.kill();
    let record = bench.machine.record().expect("a record");
    assert_eq!(record.keyring, 3);
    assert!(record.is_good(Slot::B) && !record.is_good(Slot::A), "{record:?}");
}
