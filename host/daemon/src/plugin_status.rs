//! What the console shows of a plugin, and the trait by which it asks: the
//! console does not know the plugin host.

use crate::caps::meter::Traffic;
use serde::Serialize;

/// Somebody who knows the plugins.
pub trait PluginList: Send + Sync {
    /// Every plugin that is configured or was found, in a stable order. Must
    /// return at once: the live page asks several times a second.
    fn plugins(&self) -> Vec<PluginStatus>;
}

/// What a plugin is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PluginState {
    /// Verified and being compiled or initialised.
    Starting,
    /// Does its work.
    Running,
    /// Failed; will be started again after a pause.
    Backoff,
    /// Failed too often; stays off until a person acts.
    Quarantined,
    /// Not run: signature, manifest, grant or settings are not in order.
    Refused,
    /// Switched off in the configuration.
    Disabled,
    /// Ended in good order.
    Stopped,
}

impl PluginState {
    /// The word used in the API and the console.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Backoff => "backoff",
            Self::Quarantined => "quarantined",
            Self::Refused => "refused",
            Self::Disabled => "disabled",
            Self::Stopped => "stopped",
        }
    }
}

/// One plugin at one instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PluginStatus {
    /// Name in its manifest, or of its file when the manifest was refused.
    pub name: String,
    /// Version in its manifest; empty when unknown.
    pub version: String,
    /// Vendor in its manifest, which anybody who signs one may write; empty when
    /// unknown. Who vouches for it is the signer.
    pub vendor: String,
    /// Name and fingerprint of the key that signed it; empty when unknown.
    pub signer: String,
    /// A key of the platform signed it.
    pub platform: bool,
    /// What it is doing.
    pub state: PluginState,
    /// It does not run because it waits for a person's consent to what this
    /// version of it asks for.
    pub awaits_consent: bool,
    /// The last thing that went wrong, for people.
    pub last_error: Option<String>,
    /// What it is for: `driver`, `gateway`, `notifier`, `authenticator`,
    /// `licence-gate`; empty when unknown.
    pub world: &'static str,
    /// Polls (wake-ups) since it was started.
    pub polls: u64,
    /// Calls of any kind since it was started.
    pub calls: u64,
    /// Longest call since it was started, waits included, µs.
    pub slowest_call_us: u64,
    /// Times it trapped since the daemon started.
    pub traps: u64,
    /// CPU time used since it was started, ms.
    pub cpu_ms: u64,
    /// Linear memory in use, bytes.
    pub memory_bytes: u64,
    /// Median duration of a poll, µs.
    pub poll_p50_us: u64,
    /// Duration of the last poll, µs.
    pub last_poll_us: u64,
    /// Since when it is in this state, ms since 1970.
    pub since_unix_ms: u64,
    /// How long the present call into it has lasted, waits included, ms; 0
    /// between calls.
    pub in_call_ms: u64,
    /// Times that it tried what it was not granted, or more than its quota,
    /// since it was put in place.
    pub refused: u64,
    /// What it tried last, for people; the same kind is repeated once an hour.
    pub last_refused: Option<String>,
    /// Bytes sent and received since it was put in place, restarts included.
    pub traffic: Traffic,
}
