//! As much of the API's answers as is shown. What an appliance of a later
//! version says beside it is not looked at.

use serde::Deserialize;
use serde_json::Value;

/// One plugin at one instant.
#[derive(Clone, Debug, Deserialize)]
pub struct Status {
    /// What it is called on the appliance.
    pub name: String,
    /// Its version; empty when unknown.
    pub version: String,
    /// Who made it, as it says itself; empty when unknown.
    pub vendor: String,
    /// Name and fingerprint of the key that signed it; empty when unknown.
    #[serde(default)]
    pub signer: String,
    /// A key of the platform is among those that signed.
    #[serde(default)]
    pub platform: bool,
    /// It waits for a person's consent.
    #[serde(default)]
    pub awaits_consent: bool,
    /// What it is doing, in one word.
    pub state: String,
    /// The last thing that went wrong.
    pub last_error: Option<String>,
    /// What it is for.
    pub world: String,
    /// Wake-ups since it was started.
    pub polls: u64,
    /// Calls since it was started.
    pub calls: u64,
    /// Longest call, µs.
    pub slowest_call_us: u64,
    /// Times it failed.
    pub traps: u64,
    /// Processor time since it was started, ms.
    pub cpu_ms: u64,
    /// Memory in use, bytes.
    pub memory_bytes: u64,
    /// Median duration of a poll, µs.
    pub poll_p50_us: u64,
    /// Since when it is in this state, ms since 1970.
    pub since_unix_ms: u64,
    /// Times that it tried what it was not granted, or more than its quota.
    #[serde(default)]
    pub refused: u64,
    /// What it tried last.
    #[serde(default)]
    pub last_refused: Option<String>,
    /// How long the present call has lasted, ms.
    #[serde(default)]
    pub in_call_ms: u64,
    /// Bytes sent and received.
    #[serde(default)]
    pub traffic: Traffic,
}

/// Bytes that a plugin sent and received.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Traffic {
    /// Sent on serial lines.
    pub serial_sent: u64,
    /// Received on serial lines.
    pub serial_received: u64,
    /// Sent to USB devices.
    pub usb_sent: u64,
    /// Received from USB devices.
    pub usb_received: u64,
    /// Sent to peers and clients.
    pub net_sent: u64,
    /// Received from peers and clients.
    pub net_received: u64,
    /// Handed to the appliance: values, lines of its log, …
    pub host_sent: u64,
    /// Handed to it by the appliance.
    pub host_received: u64,
}

/// Everything about one plugin.
#[derive(Clone, Debug, Deserialize)]
pub struct Detail {
    /// How it is doing.
    pub status: Status,
    /// What it is and what it was granted, as the API takes it back.
    pub plugin: Value,
    /// The uploaded bundle that it runs; `None`: the firmware's.
    pub bundle: Option<String>,
    /// Who signed it.
    pub signer: String,
    /// What it asks for.
    pub permissions: Vec<Permission>,
    /// Whether that was accepted.
    pub consented: bool,
    /// What of its grants can do harm.
    pub dangers: Vec<Danger>,
    /// How far a notifier is.
    pub delivery: Option<Delivery>,
    /// Whether there is a version to go back to.
    pub can_roll_back: bool,
    /// What it said last, oldest first.
    pub log: Vec<Said>,
}

/// A grant that can do harm.
#[derive(Clone, Debug, Deserialize)]
pub struct Danger {
    /// What is repeated to confirm it.
    pub name: String,
    /// What can happen.
    pub text: String,
    /// Confirmed by whoever wrote the configuration file.
    pub by_file: bool,
}

/// How far a notifier is.
#[derive(Clone, Debug, Deserialize)]
pub struct Delivery {
    /// Events that are not told yet, at most.
    pub waiting: u64,
    /// When the last one was told, ms since 1970.
    pub last_told_unix_ms: Option<u64>,
    /// Why the next one is not told yet.
    pub error: Option<String>,
}

/// A line of a plugin's log.
#[derive(Clone, Debug, Deserialize)]
pub struct Said {
    /// When, ms since 1970.
    pub unix_ms: u64,
    /// How bad.
    pub level: String,
    /// What.
    pub text: String,
}

/// Something that a plugin asks for.
#[derive(Clone, Debug, Deserialize)]
pub struct Permission {
    /// The interface.
    pub interface: String,
    /// Logical name; empty for one that needs none.
    pub what: String,
    /// What it means, in plain words.
    pub text: String,
    /// Why the vendor says that it is needed.
    pub reason: String,
}

/// A signed bundle.
#[derive(Clone, Debug, Deserialize)]
pub struct Bundle {
    /// SHA-256 of its bytes, in hexadecimal.
    pub digest: String,
    /// Length, bytes.
    pub bytes: u64,
    /// It came with the firmware.
    pub shipped: bool,
    /// Why it cannot be used.
    pub problem: Option<String>,
    /// Name of the plugin.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Who made it.
    pub vendor: String,
    /// One sentence about it.
    pub description: String,
    /// What it is for.
    pub world: String,
    /// Name of the key that signed it.
    pub signer: String,
    /// What it asks for.
    pub permissions: Vec<Permission>,
    /// Memory that it may have, bytes.
    pub memory_bytes: u64,
    /// Processor time that a call may take, ms.
    pub call_cpu_ms: u64,
    /// The mark by which a person accepts exactly these permissions.
    pub consent: String,
}

/// A key that plugins may be signed with.
#[derive(Clone, Debug, Deserialize)]
pub struct Key {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What people compare.
    pub fingerprint: String,
    /// On whose word it is trusted.
    pub origin: String,
    /// Why it is not.
    pub refused: Option<String>,
}

/// Who else decides about sign-ins.
#[derive(Clone, Debug, Deserialize)]
pub struct SignIn {
    /// The authenticators, in the order in which they are asked.
    pub authenticators: Vec<String>,
    /// The roles that their words give.
    pub roles: std::collections::BTreeMap<String, String>,
    /// The configuration file says so.
    pub by_file: bool,
    /// Those that are installed.
    pub installed: Vec<String>,
}

/// The edition in force.
#[derive(Clone, Debug, Deserialize)]
pub struct Licence {
    /// For people.
    pub edition: String,
    /// Blocks whose values are shown; `None`: all.
    pub blocks: Option<u32>,
    /// Largest UPS, VA; `None`: any.
    pub ups_va: Option<u32>,
    /// Why it is in force.
    pub reason: String,
    /// Serial number of the appliance.
    pub serial: String,
    /// The files.
    pub licences: Vec<LicenceFile>,
}

/// A licence file.
#[derive(Clone, Debug, Deserialize)]
pub struct LicenceFile {
    /// Its name.
    pub name: String,
    /// Why it is not even judged.
    pub refused: Option<String>,
}
