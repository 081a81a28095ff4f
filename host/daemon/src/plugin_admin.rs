//! What the console can do with plugins, and the trait by which it asks: the
//! console does not know the plugin host.

use crate::caps::log::Said;
use crate::config::PluginGrant;
use crate::notify::Progress;
use crate::plugin::report::Report;
use crate::plugin_status::{PluginList, PluginStatus};
use evenkeel_signing::SettingSpec;
use serde::Serialize;
use tokio::sync::oneshot;
use utoipa::ToSchema;

/// An answer that comes when it is done.
pub type Reply<T> = oneshot::Receiver<Result<T, AdminError>>;

/// Somebody who runs the plugins. Each request is done whole or not at all;
/// what is acknowledged is on the disk.
pub trait PluginAdmin: PluginList {
    /// Every bundle that is here, whether it can be used or not.
    fn bundles(&self) -> Reply<Vec<BundleInfo>>;
    /// What a bundle is and asks for, if a trusted key signed it.
    fn inspect(&self, raw: Vec<u8>) -> Reply<BundleInfo>;
    /// Keep a bundle, if a trusted key signed it.
    fn upload(&self, raw: Vec<u8>) -> Reply<BundleInfo>;
    /// Remove an uploaded bundle that nothing needs.
    fn delete_bundle(&self, digest: String) -> Reply<()>;
    /// Everything about one plugin.
    fn detail(&self, id: String) -> Reply<PluginDetail>;
    /// How a plugin failed the last times, newest first.
    fn reports(&self, id: String) -> Reply<Vec<Report>>;
    /// What repeats one of these failures, by its time.
    fn recording(&self, id: String, unix_ms: u64) -> Reply<Vec<u8>>;
    /// Install, update or reconfigure a plugin.
    fn put(&self, wanted: Wanted) -> Reply<()>;
    /// Switch a plugin on or off.
    fn switch(&self, id: String, on: bool) -> Reply<()>;
    /// Start it anew, out of quarantine too.
    fn restart(&self, id: String) -> Reply<()>;
    /// Go back to the version before this one.
    fn roll_back(&self, id: String) -> Reply<()>;
    /// Remove it and what it was granted.
    fn remove(&self, id: String) -> Reply<()>;
    /// Every key that counts, or is known and does not.
    fn keys(&self) -> Reply<Vec<KeyInfo>>;
    /// Trust a vendor's key: the text of its file, and its fingerprint as the
    /// person read it elsewhere.
    fn add_key(&self, text: String, fingerprint: String) -> Reply<KeyInfo>;
    /// Trust a key no more; what it signed stops at once.
    fn withdraw_key(&self, id: String, reason: String) -> Reply<()>;
    /// Undo that.
    fn restore_key(&self, id: String) -> Reply<()>;
    /// Take a keyring of the platform into force.
    fn put_keyring(&self, raw: Vec<u8>) -> Reply<()>;
}

/// A key that plugins may be signed with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct KeyInfo {
    /// Its id: SHA-256, hexadecimal.
    pub id: String,
    /// Its name, for people.
    pub name: String,
    /// What people compare.
    pub fingerprint: String,
    /// On whose word it is trusted; empty for one that is not.
    pub origin: String,
    /// Why it is not trusted; null for one that is.
    pub refused: Option<String>,
}

/// A plugin as somebody wants it to be.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// What it is and what it may do. A secret that is given as [`MASK`] stays
    /// as it is.
    pub plugin: PluginGrant,
    /// The uploaded bundle, by its hash; `None`: the firmware's.
    pub bundle: Option<String>,
    /// The consent mark of the permissions that the person saw.
    pub consent: Option<String>,
}

/// What is shown instead of a secret.
pub const MASK: &str = "••••••••";

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdminError {
    /// It makes no sense as it is.
    #[error("{0}")]
    Conflict(String),
    /// There is no such thing.
    #[error("{0}")]
    Unknown(String),
    /// It is refused: signature, manifest, grants or settings.
    #[error("{0}")]
    Refused(String),
    /// The person has not seen, or not accepted, what it asks for.
    #[error("its permissions need your consent: {}", .added.join("; "))]
    Consent {
        /// The mark to be sent with the request.
        mark: String,
        /// What it asks for and did not before, in plain words.
        added: Vec<String>,
    },
    /// A dangerous grant needs a second word.
    #[error("{}; name what you confirm in `confirm`: {}", .texts.join("; "), .names.join(", "))]
    Confirm {
        /// What must be repeated in `confirm`.
        names: Vec<String>,
        /// What can happen.
        texts: Vec<String>,
    },
    /// The disk or the store.
    #[error("{0}")]
    Store(String),
    /// No plugin runs at all.
    #[error("no plugin can be run on this appliance now; see its notices")]
    Off,
}

/// A permission that a plugin asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PermissionInfo {
    /// The interface.
    pub interface: String,
    /// Logical name; empty for one that needs none.
    pub what: String,
    /// What it means, in plain words.
    pub text: String,
    /// Why the vendor says that it is needed; empty for one that needs no grant.
    pub reason: String,
}

/// A grant that can cut power or do other harm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DangerInfo {
    /// What is repeated in `confirm`.
    pub name: String,
    /// What can happen.
    pub text: String,
    /// Confirmed by whoever wrote the configuration file, and not by an
    /// administrator in `confirm`.
    pub by_file: bool,
}

/// A signed bundle.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct BundleInfo {
    /// SHA-256 of its bytes, in hexadecimal.
    pub digest: String,
    /// Length, bytes.
    pub bytes: u64,
    /// It came with the firmware.
    pub shipped: bool,
    /// Why it cannot be used; null when it can.
    pub problem: Option<String>,
    /// Name of the plugin; empty while it is not verified, as is all below.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Who made it, as its manifest says; who vouches for it is the signer.
    pub vendor: String,
    /// One sentence about it.
    pub description: String,
    /// What it is for: `driver`, `gateway`, `notifier`, `authenticator`,
    /// `licence-gate`.
    pub world: String,
    /// Name of the key that signed it.
    pub signer: String,
    /// What it asks for.
    pub permissions: Vec<PermissionInfo>,
    /// Linear memory that it may have, bytes.
    pub memory_bytes: u32,
    /// Processor time that a call of it may take, ms.
    pub call_cpu_ms: u32,
    /// The mark by which a person consents to exactly these permissions, for
    /// an upload also to who signed it.
    pub consent: String,
    /// What can be set: the signed schema.
    #[schema(value_type = Vec<Object>)]
    pub settings: Vec<SettingSpec>,
    /// It has no schema and judges its settings itself.
    pub free_settings: bool,
}

/// Everything about one plugin.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PluginDetail {
    /// How it is doing.
    pub status: PluginStatus,
    /// What it is and what it was granted; secrets are masked.
    #[schema(value_type = Object)]
    pub plugin: PluginGrant,
    /// The uploaded bundle that it runs; null: the firmware's.
    pub bundle: Option<String>,
    /// Name of the key that signed it; empty while it was not loaded.
    pub signer: String,
    /// What it asks for; empty while it was not loaded.
    pub permissions: Vec<PermissionInfo>,
    /// Its permissions were accepted.
    pub consented: bool,
    /// What of its grants can do harm.
    pub dangers: Vec<DangerInfo>,
    /// How far a notifier is; null for all others.
    pub delivery: Option<Progress>,
    /// There is an earlier version to go back to.
    pub can_roll_back: bool,
    /// What it said last, oldest first.
    pub log: Vec<Said>,
}

/// Nobody who runs plugins: the engine could not be built. The list stays as
/// it is.
#[derive(Clone, Debug, Default)]
pub struct NoPlugins(pub Vec<PluginStatus>);

impl PluginList for NoPlugins {
    fn plugins(&self) -> Vec<PluginStatus> {
        self.0.clone()
    }
}

fn off<T>() -> Reply<T> {
    let (answer, reply) = oneshot::channel();
    // The receiver is right here.
    let _ = answer.send(Err(AdminError::Off));
    reply
}

impl PluginAdmin for NoPlugins {
    fn bundles(&self) -> Reply<Vec<BundleInfo>> {
        off()
    }

    fn inspect(&self, _: Vec<u8>) -> Reply<BundleInfo> {
        off()
    }

    fn upload(&self, _: Vec<u8>) -> Reply<BundleInfo> {
        off()
    }

    fn delete_bundle(&self, _: String) -> Reply<()> {
        off()
    }

    fn detail(&self, _: String) -> Reply<PluginDetail> {
        off()
    }

    fn reports(&self, _: String) -> Reply<Vec<Report>> {
        off()
    }

    fn recording(&self, _: String, _: u64) -> Reply<Vec<u8>> {
        off()
    }

    fn put(&self, _: Wanted) -> Reply<()> {
        off()
    }

    fn switch(&self, _: String, _: bool) -> Reply<()> {
        off()
    }

    fn restart(&self, _: String) -> Reply<()> {
        off()
    }

    fn roll_back(&self, _: String) -> Reply<()> {
        off()
    }

    fn remove(&self, _: String) -> Reply<()> {
        off()
    }

    fn keys(&self) -> Reply<Vec<KeyInfo>> {
        off()
    }

    fn add_key(&self, _: String, _: String) -> Reply<KeyInfo> {
        off()
    }

    fn withdraw_key(&self, _: String, _: String) -> Reply<()> {
        off()
    }

    fn restore_key(&self, _: String) -> Reply<()> {
        off()
    }

    fn put_keyring(&self, _: Vec<u8>) -> Reply<()> {
        off()
    }
}
