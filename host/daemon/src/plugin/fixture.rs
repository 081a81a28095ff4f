//! Plugins for tests, signed and in a directory of their own.

use crate::config::PluginGrant;
use crate::grants::Grants;
use crate::plugin::compile::Compiler;
use crate::plugin::compile::helper::Helper;
use crate::plugin::load::{Package, Refusal, load};
use evenkeel_signing::{Keyring, Kind, PluginManifest, Role, SecretKey, seal, seal_plugin};
use std::collections::BTreeMap;
use std::path::PathBuf;

mod guest;
pub(crate) use guest::*;

/// Signed by a key that it trusts, in a directory of its own.
pub(crate) struct Fixture {
    pub(crate) compiler: Compiler,
    pub(crate) keyring: Keyring,
    pub(crate) dir: tempfile::TempDir,
    key: SecretKey,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let key = key();
        let mut keyring = Keyring::new();
        keyring.insert(key.public()).expect("a first key");
        let engine = crate::plugin::engine::start().expect("an engine");
        let dir = tempfile::tempdir().expect("a directory");
        let compiler = Compiler::new(engine, Helper::default(), dir.path());
        Self { compiler, keyring, dir, key }
    }

    pub(crate) fn key_id(&self) -> String {
        self.key.public().id().to_string()
    }

    pub(crate) fn seal(&self, manifest: &PluginManifest, component: &[u8]) -> Vec<u8> {
        seal_plugin(manifest.clone(), &[("component", component)], &[&self.key]).expect("sealed")
    }

    /// Whatever the manifest says, also what no tool would sign.
    pub(crate) fn seal_as_it_is(&self, manifest: &PluginManifest, parts: &[&[u8]]) -> Vec<u8> {
        let json = |length: u64| {
            let manifest = PluginManifest { total_length: length, ..manifest.clone() };
            serde_json::to_vec(&manifest).expect("JSON")
        };
        // The length is in what is measured: a number of as many digits.
        let raw = |length| seal(Kind::Plugin, &json(length), parts, &[&self.key]).expect("sealed");
        let length = raw(100_000).len() as u64;
        raw(length)
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.dir.path().join("megatec.evkp")
    }

    /// Write `raw` as the plugin file, and load it.
    pub(crate) fn load(&self, raw: &[u8]) -> Result<Package, Refusal> {
        std::fs::write(self.file(), raw).expect("written");
        load(&self.compiler, &self.keyring, &self.file(), &grant("/dev/ttyS1"))
    }

    /// The public key's file, for a trust directory.
    pub(crate) fn trust(&self) {
        let path = self.dir.path().join("acme.pub");
        std::fs::write(path, self.key.public().to_text()).expect("written");
    }
}

pub(crate) fn key() -> SecretKey {
    SecretKey::generate(Role::Plugin, "acme").expect("a key")
}

pub(crate) fn grant(device: &str) -> PluginGrant {
    PluginGrant {
        name: "megatec".into(),
        enabled: true,
        points: "ups.0".into(),
        grant: Grants {
            serial: BTreeMap::from([("ups".to_owned(), device.parse().expect("a path"))]),
            ..Grants::default()
        },
        settings: BTreeMap::new(),
    }
}
