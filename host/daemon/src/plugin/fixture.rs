//! Plugins for tests, signed and in a directory of their own.

use crate::caps::log::Log;
use crate::caps::{Services, Who};
use crate::config::{Config, PluginGrant};
use crate::grants::Grants;
use crate::plugin::budget::CALL_MAX;
use crate::plugin::compile::Compiler;
use crate::plugin::compile::helper::Helper;
use crate::plugin::instance::{Instance, Surroundings};
use crate::plugin::load::{Package, Refusal, load};
use crate::plugin::reason;
use crate::plugin::stop::Stop;
use crate::plugin::supervisor::RosterStore;
use evenkeel_signing::{Kind, PluginManifest, Role, Roots, SecretKey, Trust, seal, seal_plugin};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

mod guest;
#[allow(dead_code, reason = "the test of the running appliance uses the rest")]
pub(crate) mod mutate;
pub(crate) mod probe;
pub(crate) use guest::*;

/// A list of plugins that is kept in memory.
#[derive(Clone, Default)]
pub(crate) struct Kept(Arc<Mutex<Option<String>>>);

impl RosterStore for Kept {
    fn load(&self) -> Result<Option<String>, String> {
        Ok(self.0.lock().expect("no panic").clone())
    }

    fn save(&self, text: &str) -> Result<(), String> {
        *self.0.lock().expect("no panic") = Some(text.to_owned());
        Ok(())
    }
}

/// Signed by a key that it trusts, in a directory of its own.
pub(crate) struct Fixture {
    pub(crate) compiler: Compiler,
    pub(crate) trust: Trust,
    pub(crate) dir: tempfile::TempDir,
    key: SecretKey,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let key = key();
        let mut trust = nobody();
        trust.add_vendor_key(key.public()).expect("a first key");
        let engine = crate::plugin::engine::start().expect("an engine");
        let dir = tempfile::tempdir().expect("a directory");
        let compiler = Compiler::new(engine, Helper::default(), dir.path());
        Self { compiler, trust, dir, key }
    }

    /// The same with a key of the platform, which may sign licence gates too.
    pub(crate) fn platform() -> Self {
        let key = SecretKey::generate(Role::Plugin, "acme-dev").expect("a key");
        let mut trust = nobody();
        trust.add_development_key(key.public()).expect("a first key");
        Self { key, trust, ..Self::new() }
    }

    pub(crate) fn fingerprint(&self) -> String {
        self.key.public().fingerprint()
    }

    pub(crate) fn seal(&self, manifest: &PluginManifest, component: &[u8]) -> Vec<u8> {
        self.seal_parts(manifest, &[("component", component)])
    }

    pub(crate) fn seal_parts(&self, manifest: &PluginManifest, parts: &[(&str, &[u8])]) -> Vec<u8> {
        seal_plugin(manifest.clone(), parts, &[&self.key]).expect("sealed")
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
        load(&self.compiler, &self.trust, &self.file(), &grant("/dev/ttyS1"))
    }

    /// Write `raw` as the plugin file, and start what is in it with these
    /// services and grants.
    pub(crate) fn start(
        &self,
        raw: &[u8],
        services: Services,
        grants: Grants,
    ) -> Result<Instance, String> {
        std::fs::write(self.file(), raw).expect("written");
        let mut grant = grant("/dev/ttyS1");
        grant.grant = grants;
        let package = load(&self.compiler, &self.trust, &self.file(), &grant);
        let package = package.map_err(|refusal| reason(&refusal))?;
        let who = Who { name: "megatec".into(), points: "ups.0".into() };
        let around = Surroundings {
            log: Log::new(who.clone()),
            who,
            inbox: Arc::default(),
            services,
            stop: Arc::new(Stop::new().expect("a descriptor")),
            memory: Arc::default(),
            meter: Arc::default(),
            call_max: CALL_MAX,
        };
        let mut instance = Instance::new(&package, &around).map_err(|e| e.to_string())?;
        instance.start(&BTreeMap::new(), None).map_err(|e| e.to_string())?;
        Ok(instance)
    }

    /// The public key's file, for a trust directory.
    pub(crate) fn put_key(&self) {
        let path = self.dir.path().join("acme.pub");
        std::fs::write(path, self.key.public().to_text()).expect("written");
    }
}

/// A daemon that has everything in `dir`.
pub(crate) fn config(dir: &Path, plugins: Vec<PluginGrant>) -> Config {
    Config {
        data_dir: dir.into(),
        listen: ([127, 0, 0, 1], 0).into(),
        guard_socket: dir.into(),
        plugin_dir: dir.into(),
        trust_dir: dir.into(),
        history_period: Duration::from_secs(1),
        plugins,
        login: crate::login::LoginSettings::default(),
        telemetry: Default::default(),
    }
}

/// An appliance that trusts no key.
pub(crate) fn nobody() -> Trust {
    Trust::new(Roots::none(), false).expect("no root to be refused")
}

pub(crate) fn key() -> SecretKey {
    SecretKey::generate(Role::Plugin, "acme").expect("a key")
}

pub(crate) fn grant(device: &str) -> PluginGrant {
    let mut grant = PluginGrant::new("megatec");
    grant.points = "ups.0".into();
    grant.grant.serial.insert("ups".into(), device.parse().expect("a path"));
    grant
}
