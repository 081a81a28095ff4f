//! Events: what happened, how bad it is, and the pure detectors that decide
//! that it did.
//!
//! An [`Event`] is data; its words are made when somebody reads it. Detectors
//! are functions of (state, input, now) with hysteresis and hold times
//! (DESIGN.md "Pure core"): [`Band`] watches a string's worst deviation,
//! [`UpsWatch`] a UPS's status words, [`FailedSignIns`] adds up guessing.
//! What flaps cannot fill the log: a [`Budget`] bounds how often one source
//! is told of, and what was not told yet is told when it still holds.

use crate::battery_test::{Cause, Verdict};
use crate::jobs::Action;
use crate::protect::{Condition, Level, TripCause};
use crate::time::Nanos;
use core::fmt;
use serde::de::{Deserializer, IgnoredAny};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How bad an event is. Ordered: later is worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// For the record.
    Info,
    /// Somebody should look at it.
    Warning,
    /// Somebody must act.
    Alarm,
}

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    /// Strings, blocks and their modules.
    Battery,
    /// UPSes.
    Ups,
    /// Plugins.
    Plugin,
    /// The appliance itself.
    System,
    /// Users and sessions.
    Access,
}

/// What became of a table of a damaged store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SalvagedTable {
    /// Its name in the file.
    pub table: String,
    /// Rows that are in the new store.
    pub kept: u64,
    /// Rows that are lost.
    pub lost: u64,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// A block of a string is too far from the target.
    StringOutOfBand {
        /// String, counted from 1.
        string: u16,
        /// Worst deviation, mV.
        deviation_mv: i32,
    },
    /// Every block of a string is near the target.
    StringInBand {
        /// String, counted from 1.
        string: u16,
    },
    /// A module stopped answering.
    ModuleLost {
        /// String, counted from 1.
        string: u16,
        /// Block, counted from 1.
        block: u16,
    },
    /// A module answers again.
    ModuleBack {
        /// String, counted from 1.
        string: u16,
        /// Block, counted from 1.
        block: u16,
    },
    /// Several modules of a string stopped answering at the same time.
    ModulesLost {
        /// String, counted from 1.
        string: u16,
        /// Blocks, counted from 1, in order.
        blocks: Vec<u16>,
    },
    /// Several modules of a string answer again.
    ModulesBack {
        /// String, counted from 1.
        string: u16,
        /// Blocks, counted from 1, in order.
        blocks: Vec<u16>,
    },
    /// Something is wrong with a string or some of its blocks, or became worse.
    AlarmRaised {
        /// String, counted from 1.
        string: u16,
        /// What.
        condition: Condition,
        /// How bad.
        level: Level,
        /// Blocks concerned, counted from 1, in order; none: the string itself.
        blocks: Vec<u16>,
    },
    /// It is over for the whole string.
    AlarmOver {
        /// String, counted from 1.
        string: u16,
        /// What.
        condition: Condition,
    },
    /// A string was tripped.
    Tripped {
        /// String, counted from 1.
        string: u16,
        /// Hottest block, counted from 1.
        block: u16,
        /// Why.
        cause: TripCause,
        /// Temperature of that block, 0.1 °C.
        temperature_dc: i32,
    },
    /// The trip of a string was reset.
    TripReset {
        /// String, counted from 1.
        string: u16,
    },
    /// A breaker was told to open and did not.
    BreakerFailed {
        /// String, counted from 1.
        string: u16,
    },
    /// A breaker that was told to open has done so, or need not any more.
    BreakerFailureOver {
        /// String, counted from 1.
        string: u16,
    },
    /// A string feeds the load.
    DischargeBegan {
        /// String, counted from 1.
        string: u16,
    },
    /// A string feeds the load no more.
    DischargeEnded {
        /// String, counted from 1.
        string: u16,
        /// From the first scan of the discharge to the last, s.
        duration_s: u64,
        /// Charge drawn, mAh, if the current is measured.
        drawn_mah: Option<u64>,
        /// Block that collapsed first, counted from 1, if one did.
        first_collapsed: Option<u16>,
    },
    /// A battery test draws current.
    TestBegan {
        /// Test, in the settings' order, counted from 1.
        test: u16,
    },
    /// A battery test is over.
    TestEnded {
        /// Test, in the settings' order, counted from 1.
        test: u16,
        /// What it says, if it came to its end.
        verdict: Option<Verdict>,
        /// Why it did not.
        cause: Option<Cause>,
    },
    /// A string cannot be equalized with its modules.
    EqualizingInfeasible {
        /// String, counted from 1.
        string: u16,
        /// The block that needs most, counted from 1.
        block: u16,
        /// What the others would have to shed, mA.
        needs_ma: u32,
        /// What a module can, mA.
        gives_ma: u32,
    },
    /// A string can be equalized with its modules after all.
    EqualizingFeasible {
        /// String, counted from 1.
        string: u16,
    },
    /// The charger's voltage is not what the batteries' maker wants.
    ChargerWrong {
        /// String, counted from 1.
        string: u16,
        /// Too high by so much, mV, whole string; negative: too low.
        by_mv: i32,
    },
    /// The charger is set right.
    ChargerRight {
        /// String, counted from 1.
        string: u16,
    },
    /// A bus cable is broken.
    CableBroken {
        /// Bus, counted from 1.
        bus: u16,
        /// Where, in words.
        place: String,
    },
    /// A bus cable is whole again.
    CableWhole {
        /// Bus, counted from 1.
        bus: u16,
    },
    /// A sensor, contact or relay device does not answer.
    DeviceLost {
        /// Device, in the settings' order, counted from 1.
        device: u16,
        /// Its name.
        name: String,
    },
    /// It answers again.
    DeviceBack {
        /// Device, in the settings' order, counted from 1.
        device: u16,
        /// Its name.
        name: String,
    },
    /// The UPS runs on its battery.
    UpsOnBattery {
        /// The UPS's subtree, e.g. `ups.0`.
        ups: String,
    },
    /// The UPS runs on mains.
    UpsOnMains {
        /// The UPS's subtree.
        ups: String,
    },
    /// The UPS on battery is nearly empty.
    UpsBatteryLow {
        /// The UPS's subtree.
        ups: String,
    },
    /// The UPS does not answer.
    UpsLost {
        /// The UPS's subtree.
        ups: String,
    },
    /// The UPS answers again.
    UpsBack {
        /// The UPS's subtree.
        ups: String,
    },
    /// The UPS is looked after no more: its plugin was removed, moved or
    /// switched off. Whatever was told of it is over.
    UpsUnwatched {
        /// The UPS's subtree.
        ups: String,
    },
    /// A plugin was verified, compiled and started.
    PluginStarted {
        /// Its name.
        name: String,
        /// Its version.
        version: String,
    },
    /// A plugin ended in good order.
    PluginStopped {
        /// Its name.
        name: String,
    },
    /// A plugin trapped, or was stopped for breaking a limit.
    PluginTrapped {
        /// Its name.
        name: String,
        /// Why.
        reason: String,
    },
    /// A plugin tried what it was not granted, or more than its quota. It
    /// goes on; the same kind of attempt is told once an hour at most.
    PluginDenied {
        /// Its name.
        name: String,
        /// What it tried.
        reason: String,
    },
    /// A plugin failed too often and stays off.
    PluginQuarantined {
        /// Its name.
        name: String,
        /// Why.
        reason: String,
    },
    /// A plugin that stayed off does so no more: it was started again,
    /// replaced, switched off or removed.
    PluginReleased {
        /// Its name.
        name: String,
    },
    /// A new version of a plugin failed, and the one before is back.
    PluginRolledBack {
        /// Its name.
        name: String,
        /// Why.
        reason: String,
    },
    /// A plugin added an event of its own.
    PluginSaid {
        /// Its name.
        name: String,
        /// How bad it is, by its own word and within its grant.
        severity: Severity,
        /// What happened, as an identifier.
        what: String,
        /// What happened, in its words.
        text: String,
    },
    /// A notifier was not told some events, and never will be.
    EventsUntold {
        /// Its name.
        name: String,
        /// How many, at most.
        count: u64,
        /// Why.
        reason: String,
    },
    /// A plugin file was refused.
    PluginRefused {
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
    /// The guard answers.
    GuardBack,
    /// The guard does not answer.
    GuardLost,
    /// A condition of the guard came up.
    GuardCondition {
        /// Which, in words.
        condition: String,
    },
    /// A condition of the guard went away.
    GuardConditionOver {
        /// Which, in words.
        condition: String,
    },
    /// The daemon started.
    DaemonStarted {
        /// Its version.
        version: String,
    },
    /// A new revision of settings was taken into force.
    SettingsInForce {
        /// Which settings.
        what: String,
        /// Its number; counts up.
        revision: u64,
    },
    /// Settings were refused; the last good ones are in force.
    SettingsRefused {
        /// Which settings.
        what: String,
        /// Why.
        reason: String,
    },
    /// The list of plugins, or what was decided about keys, cannot be read.
    DecisionsLost {
        /// Why, and what holds meanwhile.
        reason: String,
    },
    /// Something that was kept over the restart cannot be read, or a part of it.
    KeptLost {
        /// What: `alarms` that stood, `jobs` that waited.
        what: String,
        /// Why, and how much.
        reason: String,
    },
    /// The store was damaged; it was moved aside and a new one begun.
    StoreDamaged {
        /// Where the damaged file is now.
        moved_to: String,
        /// What was wrong with it.
        reason: String,
    },
    /// The store was damaged; what could be had of it is in a new one.
    StoreSalvaged {
        /// Where the damaged file is now.
        moved_to: String,
        /// What was wrong with it.
        reason: String,
        /// What became of each table that it had.
        tables: Vec<SalvagedTable>,
        /// Numbers of the entries that the audit log lacks between others,
        /// `<from> to <to>`.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        audit_gaps: Vec<String>,
    },
    /// The store could not be written; events are kept in memory.
    StoreFailed {
        /// Why.
        reason: String,
    },
    /// The store can be written again.
    StoreRecovered {
        /// History samples lost meanwhile.
        samples_lost: u64,
    },
    /// Events were dropped because they came faster than they could be stored.
    EventsDropped {
        /// How many.
        count: u64,
    },
    /// A user signed in.
    Login {
        /// Who.
        user: String,
        /// From which address.
        from: String,
        /// The authenticator that accepted them; `None`: the account is kept here.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        via: Option<String>,
    },
    /// An authenticator accepted somebody for whom no role is configured.
    LoginWithoutRole {
        /// Who.
        user: String,
        /// From which address.
        from: String,
        /// The authenticator.
        via: String,
        /// Its words about them.
        words: Vec<String>,
    },
    /// An authenticator cannot be asked; local accounts decide alone.
    AuthenticatorUnavailable {
        /// Its name.
        name: String,
        /// Why, and what to check.
        reason: String,
    },
    /// An authenticator decides again.
    AuthenticatorBack {
        /// Its name.
        name: String,
    },
    /// A user signed out.
    Logout {
        /// Who.
        user: String,
        /// From which address.
        from: String,
    },
    /// Somebody failed to sign in.
    LoginFailed {
        /// The name that was given, when it names a user.
        user: String,
        /// From which address.
        from: String,
        /// How often; failures of one minute are one event.
        #[serde(default = "once")]
        count: u32,
        /// The authenticator that says so; `None`: decided here.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// A user changed their password.
    PasswordChanged {
        /// Who.
        user: String,
        /// From which address.
        from: String,
    },
    /// A user gave the guard an order.
    Ordered {
        /// Who.
        user: String,
        /// From which address.
        from: String,
        /// What, in words.
        order: String,
        /// Why the guard did not do it; `None`: done.
        #[serde(default)]
        refused: Option<String>,
    },
    /// A device or the appliance was told to do something.
    Commanded {
        /// Who told it: a user with their address, or a plugin.
        who: String,
        /// Subtree of the device, e.g. `ups.0`.
        target: String,
        /// What, by its name.
        command: String,
        /// What came with it.
        #[serde(default)]
        value: Option<String>,
        /// Why it was not done, or that nobody knows; `None`: done.
        #[serde(default)]
        refused: Option<String>,
    },
    /// Another edition is in force.
    EditionChanged {
        /// Its name.
        edition: String,
        /// What it shows, in words.
        shows: String,
        /// Something that was shown is not any more.
        less: bool,
        /// Why.
        reason: String,
    },
    /// A licence was installed.
    LicenceInstalled {
        /// Its file.
        name: String,
        /// Who did it.
        user: String,
        /// From which address.
        from: String,
    },
    /// A licence was removed.
    LicenceRemoved {
        /// Its file.
        name: String,
        /// Who did it.
        user: String,
        /// From which address.
        from: String,
    },
    /// A file was refused as a licence.
    LicenceRefused {
        /// Who brought it, from which address, or the name of its file.
        from: String,
        /// Why.
        reason: String,
    },
    /// The console's certificate was made anew.
    CertificateRenewed {
        /// SHA-256 of the new one, as browsers show it.
        fingerprint: String,
    },
    /// A certificate on trial was not confirmed in time: the one before is
    /// shown again.
    CertificateLapsed {
        /// SHA-256 of the one that was on trial, as browsers show it.
        fingerprint: String,
    },
    /// A change of the network was not confirmed in time: what was before is
    /// in force again.
    NetworkLapsed {
        /// Changes in a row.
        count: u32,
    },
    /// New firmware is in the other slot, ready to start.
    FirmwareInstalled {
        /// Its version.
        version: String,
        /// Who brought it.
        user: String,
        /// From which address.
        from: String,
    },
    /// A file was not taken as firmware.
    FirmwareRefused {
        /// Why.
        reason: String,
        /// Who brought it.
        user: String,
        /// From which address.
        from: String,
    },
    /// New firmware has proved healthy and stays.
    FirmwareConfirmed {
        /// Its version.
        version: String,
    },
    /// New firmware stays without plugins that ran before it: of others than
    /// the platform, or that a person has to say a word about.
    FirmwareWithout {
        /// Its version.
        version: String,
        /// Their names, joined with commas.
        plugins: String,
    },
    /// The appliance went back to the firmware before.
    FirmwareReturned {
        /// Version that was given up, when it is known.
        version: Option<String>,
        /// Why.
        reason: String,
    },
    /// Nothing older than the running firmware starts any more.
    FirmwarePermanent {
        /// Its version.
        version: String,
        /// The least epoch from now on.
        floor: u32,
    },
    /// Everything that was kept before this is gone, by a user's word.
    FactoryReset {
        /// Serial number of the appliance, which it kept.
        serial: String,
        /// Who ordered it.
        user: String,
        /// From which address.
        from: String,
    },
    /// The same, by the button.
    FactoryResetByButton {
        /// Serial number of the appliance, which it kept.
        serial: String,
    },
    /// What became of an alarm of the book.
    Alarm(crate::alarm::AlarmEvent),
    /// A rule of the user's became true.
    RuleRaised {
        /// Its name.
        rule: String,
        /// How bad that is.
        severity: Severity,
        /// What it says.
        text: String,
    },
    /// A rule is true no more.
    RuleCleared {
        /// Its name.
        rule: String,
        /// What it says.
        text: String,
    },
    /// Something on the calendar is due.
    ScheduleDue {
        /// Name of the entry.
        entry: String,
        /// For when it was planned, s since 1970.
        planned_s: i64,
        /// So late, s.
        late_s: u64,
    },
    /// Something on the calendar was missed, and is left out.
    ScheduleMissed {
        /// Name of the entry.
        entry: String,
        /// How often.
        count: u32,
        /// For when the newest of them was planned, s since 1970; 0 in logs of
        /// older versions.
        #[serde(default)]
        planned_s: i64,
    },
    /// A job says something for the record.
    JobSaid {
        /// Its name.
        job: String,
        /// Which carrying out it was, as in [`Self::JobDone`]; empty in logs of older
        /// versions.
        #[serde(default)]
        instance: String,
        /// How bad it is.
        severity: Severity,
        /// What.
        text: String,
    },
    /// A job was carried out.
    JobDone {
        /// Its name.
        job: String,
        /// Which carrying out it was; used once.
        instance: String,
        /// What was done, in words of the log.
        action: String,
        /// The same, to be said in any language; not in logs of older versions.
        #[serde(
            default,
            deserialize_with = "known_action",
            skip_serializing_if = "Option::is_none"
        )]
        act: Option<Box<Action>>,
        /// At the how manyth attempt.
        attempts: u32,
    },
    /// A job was not carried out, and will not be.
    JobFailed {
        /// Its name.
        job: String,
        /// Which carrying out it was; used once.
        instance: String,
        /// What was to be done, in words of the log.
        action: String,
        /// The same, to be said in any language; not in logs of older versions.
        #[serde(
            default,
            deserialize_with = "known_action",
            skip_serializing_if = "Option::is_none"
        )]
        act: Option<Box<Action>>,
        /// Why not.
        reason: String,
    },
    /// A job is there no more; what it had done is taken back.
    JobWithdrawn {
        /// Its name.
        job: String,
    },
    /// Jobs were not even begun: there were too many.
    JobsDropped {
        /// The name of the job.
        job: String,
        /// How often.
        count: u64,
    },
    /// A run order came to its end, or was given up.
    SequenceEnded {
        /// Its name.
        sequence: String,
        /// Why it was given up; `None`: its last step is done.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        aborted: Option<String>,
    },
    /// Written by another version of this program; its words are lost.
    #[serde(other)]
    Unknown,
}

/// What another version does is as good as not told: its words are there.
fn known_action<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Box<Action>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Told {
        Known(Box<Action>),
        Other(IgnoredAny),
    }
    Ok(match Option::<Told>::deserialize(from)? {
        Some(Told::Known(action)) => Some(action),
        Some(Told::Other(_)) | None => None,
    })
}

/// Events from before failures were counted.
const fn once() -> u32 {
    1
}

impl Event {
    /// Modules of a string stopped answering; `None` for none.
    #[must_use]
    pub fn modules_lost(string: u16, blocks: Vec<u16>) -> Option<Self> {
        match blocks[..] {
            [] => None,
            [block] => Some(Self::ModuleLost { string, block }),
            _ => Some(Self::ModulesLost { string, blocks }),
        }
    }

    /// Modules of a string answer again; `None` for none.
    #[must_use]
    pub fn modules_back(string: u16, blocks: Vec<u16>) -> Option<Self> {
        match blocks[..] {
            [] => None,
            [block] => Some(Self::ModuleBack { string, block }),
            _ => Some(Self::ModulesBack { string, blocks }),
        }
    }

    /// How bad it is.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        match self {
            Self::Alarm(alarm) => alarm.severity(),
            Self::PluginSaid { severity, .. } => *severity,
            Self::UpsBatteryLow { .. }
            | Self::GuardLost
            | Self::AlarmRaised { level: Level::Alarm, .. }
            | Self::Tripped { .. }
            | Self::BreakerFailed { .. }
            | Self::TestEnded { verdict: Some(Verdict::Fail), .. } => Severity::Alarm,
            Self::StringOutOfBand { .. }
            | Self::ModuleLost { .. }
            | Self::ModulesLost { .. }
            | Self::AlarmRaised { level: Level::Warning, .. }
            | Self::DischargeBegan { .. }
            | Self::TestEnded { verdict: Some(Verdict::Check) | None, .. }
            | Self::EqualizingInfeasible { .. }
            | Self::ChargerWrong { .. }
            | Self::CableBroken { .. }
            | Self::DeviceLost { .. }
            | Self::UpsOnBattery { .. }
            | Self::UpsLost { .. }
            | Self::PluginTrapped { .. }
            | Self::PluginDenied { .. }
            | Self::PluginQuarantined { .. }
            | Self::PluginRolledBack { .. }
            | Self::EventsUntold { .. }
            | Self::PluginRefused { .. }
            | Self::GuardCondition { .. }
            | Self::SettingsRefused { .. }
            | Self::DecisionsLost { .. }
            | Self::KeptLost { .. }
            | Self::StoreDamaged { .. }
            | Self::StoreSalvaged { .. }
            | Self::StoreFailed { .. }
            | Self::EventsDropped { .. }
            | Self::EditionChanged { less: true, .. }
            | Self::LicenceRefused { .. }
            | Self::CertificateRenewed { .. }
            | Self::CertificateLapsed { .. }
            | Self::NetworkLapsed { .. }
            | Self::FirmwareRefused { .. }
            | Self::FirmwareReturned { .. }
            | Self::FirmwareWithout { .. }
            | Self::FactoryReset { .. }
            | Self::FactoryResetByButton { .. }
            | Self::LoginWithoutRole { .. }
            | Self::AuthenticatorUnavailable { .. }
            | Self::ScheduleMissed { .. }
            | Self::JobFailed { .. }
            | Self::JobsDropped { .. }
            | Self::LoginFailed { .. } => Severity::Warning,
            Self::RuleRaised { severity, .. } | Self::JobSaid { severity, .. } => *severity,
            _ => Severity::Info,
        }
    }

    /// What it is about.
    #[must_use]
    pub const fn category(&self) -> Category {
        match self {
            Self::Alarm(alarm) => alarm.category(),
            Self::StringOutOfBand { .. }
            | Self::StringInBand { .. }
            | Self::ModuleLost { .. }
            | Self::ModuleBack { .. }
            | Self::ModulesLost { .. }
            | Self::ModulesBack { .. }
            | Self::AlarmRaised { .. }
            | Self::AlarmOver { .. }
            | Self::Tripped { .. }
            | Self::TripReset { .. }
            | Self::BreakerFailed { .. }
            | Self::BreakerFailureOver { .. }
            | Self::DischargeBegan { .. }
            | Self::DischargeEnded { .. }
            | Self::TestBegan { .. }
            | Self::TestEnded { .. }
            | Self::EqualizingInfeasible { .. }
            | Self::EqualizingFeasible { .. }
            | Self::ChargerWrong { .. }
            | Self::ChargerRight { .. }
            | Self::CableBroken { .. }
            | Self::CableWhole { .. }
            | Self::DeviceLost { .. }
            | Self::DeviceBack { .. } => Category::Battery,
            Self::UpsOnBattery { .. }
            | Self::UpsOnMains { .. }
            | Self::UpsBatteryLow { .. }
            | Self::UpsLost { .. }
            | Self::UpsBack { .. }
            | Self::UpsUnwatched { .. } => Category::Ups,
            Self::PluginStarted { .. }
            | Self::PluginStopped { .. }
            | Self::PluginTrapped { .. }
            | Self::PluginDenied { .. }
            | Self::PluginQuarantined { .. }
            | Self::PluginReleased { .. }
            | Self::PluginRolledBack { .. }
            | Self::PluginSaid { .. }
            | Self::EventsUntold { .. }
            | Self::PluginRefused { .. }
            | Self::DecisionsLost { .. } => Category::Plugin,
            Self::Login { .. }
            | Self::Logout { .. }
            | Self::LoginFailed { .. }
            | Self::LoginWithoutRole { .. }
            | Self::AuthenticatorUnavailable { .. }
            | Self::AuthenticatorBack { .. }
            | Self::Ordered { .. }
            | Self::Commanded { .. }
            | Self::PasswordChanged { .. } => Category::Access,
            _ => Category::System,
        }
    }
}

/// The event in words.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StringOutOfBand { string, deviation_mv } => {
                write!(f, "string {string} out of band: a block is {deviation_mv:+} mV from target")
            }
            Self::StringInBand { string } => {
                write!(f, "string {string} in band: every block within ±{IN_BAND_MV} mV of target")
            }
            Self::ModuleLost { string, block } => {
                write!(f, "string {string} block {block}: module stopped answering")
            }
            Self::ModuleBack { string, block } => {
                write!(f, "string {string} block {block}: module answers again")
            }
            Self::ModulesLost { string, blocks } => {
                write!(f, "string {string} blocks {}: modules stopped answering", Ranges(blocks))
            }
            Self::ModulesBack { string, blocks } => {
                write!(f, "string {string} blocks {}: modules answer again", Ranges(blocks))
            }
            Self::AlarmRaised { string, condition, level, blocks } => {
                let (level, what) = (level.text(), condition.text());
                match blocks[..] {
                    [] => write!(f, "{level}: string {string}: {what}"),
                    [block] => write!(f, "{level}: string {string} block {block}: {what}"),
                    _ => write!(f, "{level}: string {string} blocks {}: {what}", Ranges(blocks)),
                }
            }
            Self::AlarmOver { string, condition } => {
                write!(f, "string {string}: over: {}", condition.text())
            }
            Self::Tripped { string, block, cause, temperature_dc } => {
                let (cause, celsius) = (cause.text(), f64::from(*temperature_dc) / 10.0);
                write!(f, "string {string} tripped: {cause}, block {block} at {celsius:.1} °C")
            }
            Self::TripReset { string } => write!(f, "trip of string {string} reset"),
            Self::BreakerFailureOver { string } => {
                write!(f, "breaker of string {string}: it is over that it did not open")
            }
            Self::BreakerFailed { string } => {
                write!(f, "breaker of string {string} was told to open and did not")
            }
            Self::DischargeBegan { string } => write!(f, "string {string} feeds the load"),
            Self::DischargeEnded { string, duration_s, drawn_mah, first_collapsed } => {
                let (minutes, seconds) = (duration_s / 60, duration_s % 60);
                write!(f, "string {string} fed the load for {minutes} min {seconds} s")?;
                if let Some(mah) = drawn_mah {
                    write!(f, ", {:.1} Ah", *mah as f64 / 1e3)?;
                }
                match first_collapsed {
                    Some(block) => write!(f, "; block {block} collapsed first"),
                    None => Ok(()),
                }
            }
            Self::TestBegan { test } => write!(f, "battery test {test} begun"),
            Self::TestEnded { test, verdict: Some(verdict), .. } => {
                write!(f, "battery test {test}: {}", verdict.text())
            }
            Self::TestEnded { test, verdict: None, cause } => {
                let cause = cause.map_or("no verdict", Cause::text);
                write!(f, "battery test {test} not completed: {cause}")
            }
            Self::EqualizingInfeasible { string, block, needs_ma, gives_ma } => write!(
                f,
                "string {string} cannot be equalized: block {block} needs {needs_ma} mA, \
                 module gives {gives_ma}"
            ),
            Self::EqualizingFeasible { string } => {
                write!(f, "string {string} can be equalized again")
            }
            Self::ChargerWrong { string, by_mv } => {
                let volts = f64::from(by_mv.unsigned_abs()) / 1e3;
                match *by_mv > 0 {
                    true => {
                        write!(f, "charger of string {string} too high: lower it by {volts:.2} V")
                    }
                    false => {
                        write!(f, "charger of string {string} too low: raise it by {volts:.2} V")
                    }
                }
            }
            Self::ChargerRight { string } => write!(f, "charger of string {string} set right"),
            Self::CableBroken { bus, place } => write!(f, "cable of bus {bus} {place}"),
            Self::CableWhole { bus } => write!(f, "cable of bus {bus} whole again"),
            Self::DeviceLost { device, name } => {
                write!(f, "device {device} ({name}) does not answer")
            }
            Self::DeviceBack { device, name } => {
                write!(f, "device {device} ({name}) answers again")
            }
            Self::UpsOnBattery { ups } => write!(f, "{ups} runs on battery"),
            Self::UpsOnMains { ups } => write!(f, "{ups} runs on mains"),
            Self::UpsBatteryLow { ups } => write!(f, "{ups} battery low"),
            Self::UpsLost { ups } => write!(f, "{ups} does not answer"),
            Self::UpsBack { ups } => write!(f, "{ups} answers again"),
            Self::UpsUnwatched { ups } => write!(f, "{ups} is looked after no more"),
            Self::PluginStarted { name, version } => write!(f, "plugin {name} {version} started"),
            Self::PluginStopped { name } => write!(f, "plugin {name} stopped"),
            Self::PluginTrapped { name, reason } => write!(f, "plugin {name} failed: {reason}"),
            Self::PluginDenied { name, reason } => {
                write!(f, "plugin {name} tried what it may not, {reason}")
            }
            Self::PluginQuarantined { name, reason } => {
                write!(f, "plugin {name} failed too often and stays off: {reason}")
            }
            Self::PluginReleased { name } => {
                write!(f, "plugin {name} does not stay off any more")
            }
            Self::PluginRolledBack { name, reason } => {
                write!(f, "plugin {name}: the version before is back, the new one failed: {reason}")
            }
            Self::PluginSaid { name, text, .. } => write!(f, "plugin {name}: {text}"),
            Self::EventsUntold { name, count, reason } => {
                write!(f, "plugin {name} has not passed on {count} events: {reason}")
            }
            Self::PluginRefused { file, reason } => write!(f, "plugin {file} refused: {reason}"),
            Self::GuardBack => f.write_str("guard answers"),
            Self::GuardLost => f.write_str("guard does not answer; no value is live"),
            Self::GuardCondition { condition } => write!(f, "guard: {condition}"),
            Self::GuardConditionOver { condition } => write!(f, "guard: over: {condition}"),
            Self::DaemonStarted { version } => write!(f, "Evenkeel {version} started"),
            Self::SettingsInForce { what, revision } => {
                write!(f, "{what}: revision {revision} is in force")
            }
            Self::SettingsRefused { what, reason } => {
                write!(f, "{what} refused, the last good copy is in force: {reason}")
            }
            Self::DecisionsLost { reason } => {
                write!(f, "what was decided about plugins and keys cannot be read: {reason}")
            }
            Self::KeptLost { what, reason } => {
                write!(f, "{what}: what was kept of them cannot be read, or not all: {reason}")
            }
            Self::StoreDamaged { moved_to, reason } => {
                write!(f, "store was damaged ({reason}); kept as {moved_to}, a new one begun")
            }
            Self::StoreSalvaged { moved_to, reason, tables, .. } => {
                write!(f, "store was damaged ({reason}); kept as {moved_to}, salvaged:")?;
                for SalvagedTable { table, kept, lost } in tables {
                    write!(f, " {table} {kept} rows, {lost} lost;")?;
                }
                Ok(())
            }
            Self::StoreFailed { reason } => {
                write!(f, "store cannot be written, events are kept in memory: {reason}")
            }
            Self::StoreRecovered { samples_lost } => {
                write!(f, "store can be written again; {samples_lost} history samples were lost")
            }
            Self::EventsDropped { count } => write!(f, "{count} events came too fast and are lost"),
            Self::Login { user, from, via: None } => write!(f, "{user} signed in from {from}"),
            Self::Login { user, from, via: Some(via) } => {
                write!(f, "{user} signed in from {from}, accepted by {via}")
            }
            Self::LoginWithoutRole { user, from, via, words } => write!(
                f,
                "{user} from {from} was accepted by {via} and has no role here; map one of its \
                 words in [login.roles]: {words:?}"
            ),
            Self::AuthenticatorUnavailable { name, reason } => {
                write!(f, "{name} cannot be asked, local accounts sign in alone: {reason}")
            }
            Self::AuthenticatorBack { name } => write!(f, "{name} decides about sign-ins again"),
            Self::Logout { user, from } => write!(f, "{user} signed out from {from}"),
            Self::LoginFailed { user, from, count, by } => {
                match count {
                    1 => write!(f, "failed sign-in as {user:?} from {from}")?,
                    _ => write!(f, "{count} failed sign-ins as {user:?} from {from}")?,
                }
                by.iter().try_for_each(|by| write!(f, ", rejected by {by}"))
            }
            Self::PasswordChanged { user, from } => {
                write!(f, "{user} changed the password, from {from}")
            }
            Self::Ordered { user, from, order, refused: None } => {
                write!(f, "{user} ordered from {from}: {order}")
            }
            Self::Ordered { user, from, order, refused: Some(why) } => {
                write!(f, "{user} ordered from {from}: {order}; refused: {why}")
            }
            Self::Commanded { who, target, command, value, refused } => {
                write!(f, "{who} told {target}: {command}")?;
                if let Some(value) = value {
                    write!(f, " {value}")?;
                }
                match refused {
                    Some(why) => write!(f, "; not done: {why}"),
                    None => Ok(()),
                }
            }
            Self::EditionChanged { edition, shows, reason, .. } => {
                write!(f, "edition {edition} is in force, it shows {shows}: {reason}")
            }
            Self::LicenceInstalled { name, user, from } => {
                write!(f, "{user} installed the licence {name} from {from}")
            }
            Self::LicenceRemoved { name, user, from } => {
                write!(f, "{user} removed the licence {name} from {from}")
            }
            Self::LicenceRefused { from, reason } => {
                write!(f, "licence from {from} refused: {reason}")
            }
            Self::CertificateRenewed { fingerprint } => {
                write!(f, "new certificate for the console, SHA-256 {fingerprint}")
            }
            Self::CertificateLapsed { fingerprint } => write!(
                f,
                "nobody confirmed the certificate SHA-256 {fingerprint}; the one before is back"
            ),
            Self::NetworkLapsed { count: 1 } => f.write_str(
                "nobody confirmed the change of the network; the settings before are back",
            ),
            Self::NetworkLapsed { count } => write!(
                f,
                "nobody confirmed {count} changes of the network; the settings before are back"
            ),
            Self::FirmwareInstalled { version, user, from } => {
                write!(f, "{user} installed firmware {version} from {from}; it starts when told to")
            }
            Self::FirmwareRefused { reason, user, from } => {
                write!(f, "firmware of {user} from {from} refused: {reason}")
            }
            Self::FirmwareConfirmed { version } => {
                write!(f, "firmware {version} has proved healthy and stays")
            }
            Self::FirmwareWithout { version, plugins } => {
                write!(f, "firmware {version} stays, though these plugins do not run: {plugins}")
            }
            Self::FirmwareReturned { version: Some(version), reason } => {
                write!(f, "back to the firmware before; {version} was given up: {reason}")
            }
            Self::FirmwareReturned { version: None, reason } => {
                write!(f, "back to the firmware before: {reason}")
            }
            Self::FirmwarePermanent { version, floor } => {
                write!(f, "firmware {version} is permanent: nothing below epoch {floor} starts")
            }
            Self::FactoryReset { serial, user, from } => {
                write!(
                    f,
                    "appliance {serial} is as it left the factory, as {user} ordered from {from}; \
                     everything kept before is erased"
                )
            }
            Self::FactoryResetByButton { serial } => {
                write!(
                    f,
                    "appliance {serial} is as it left the factory, by its button; everything kept \
                     before is erased"
                )
            }
            Self::Alarm(alarm) => alarm.fmt(f),
            Self::RuleRaised { rule, text, .. } => write!(f, "rule {rule}: {text}"),
            Self::RuleCleared { rule, text } => write!(f, "rule {rule}: over: {text}"),
            Self::ScheduleDue { entry, late_s: 0, .. } => write!(f, "{entry} is due"),
            Self::ScheduleDue { entry, late_s, .. } => {
                write!(f, "{entry} is due, {} min late", late_s.div_ceil(60))
            }
            Self::ScheduleMissed { entry, count, .. } => {
                write!(f, "{entry} was missed {count} times and is left out")
            }
            Self::JobSaid { job, text, .. } => write!(f, "{text} (job {job})"),
            Self::JobDone { job, action, attempts: 1, .. } => write!(f, "job {job}: {action}"),
            Self::JobDone { job, action, attempts, .. } => {
                write!(f, "job {job}: {action}, at attempt {attempts}")
            }
            Self::JobFailed { job, action, reason, .. } => {
                write!(f, "job {job} failed to {action}: {reason}")
            }
            Self::JobWithdrawn { job } => {
                write!(f, "job {job} was removed: what it did is taken back")
            }
            Self::JobsDropped { job, count } => {
                write!(f, "job {job} was not begun {count} times: too many are waiting")
            }
            Self::SequenceEnded { sequence, aborted: None } => {
                write!(f, "run order {sequence} is through")
            }
            Self::SequenceEnded { sequence, aborted: Some(why) } => {
                write!(f, "run order {sequence} was given up: {why}")
            }
            Self::Unknown => f.write_str("an event that this version of Evenkeel cannot read"),
        }
    }
}

/// Ascending numbers for people: `1–32, 40`.
#[derive(Clone, Copy, Debug)]
pub struct Ranges<'a>(pub &'a [u16]);

impl fmt::Display for Ranges<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs = self.0.chunk_by(|a, b| u32::from(*a) + 1 == u32::from(*b));
        for (n, run) in runs.enumerate() {
            let comma = if n == 0 { "" } else { ", " };
            match *run {
                [first, .., last] => write!(f, "{comma}{first}\u{2013}{last}")?,
                [only] => write!(f, "{comma}{only}")?,
                [] => {}
            }
        }
        Ok(())
    }
}

/// A string is in band when its worst block is at most this far from target.
pub const IN_BAND_MV: i32 = 10;
/// A string is out of band when a block is further than this from target.
pub const OUT_OF_BAND_MV: i32 = 15;
/// How long either must hold.
pub const BAND_HOLD: Nanos = Nanos::from_secs(5);

/// Where a string is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BandState {
    /// Not known yet.
    Unknown,
    /// Every block is near the target.
    In,
    /// At least one block is not.
    Out,
}

/// Decides whether a string is in band.
///
/// ```text
///            |worst| ≤ 10 mV for 5 s             |worst| > 15 mV for 5 s
///  Unknown ───────────────────────▶ In ◀───────────────────────────────▶ Out
///     └───────── |worst| > 15 mV for 5 s ─────────────────────────────────▲
/// ```
#[derive(Clone, Debug)]
pub struct Band {
    state: BandState,
    /// The other state, and since when the input speaks for it.
    leaning: Option<(BandState, Nanos)>,
}

impl Default for Band {
    fn default() -> Self {
        Self { state: BandState::Unknown, leaning: None }
    }
}

impl Band {
    /// One observation: the worst deviation in mV, or `None` when there is no
    /// fresh one (that proves nothing, so every hold starts again). Returns
    /// the new state when it changed.
    pub fn step(&mut self, worst_mv: Option<i32>, now: Nanos) -> Option<BandState> {
        let says = match worst_mv.map(i32::saturating_abs) {
            Some(mv) if mv <= IN_BAND_MV => BandState::In,
            Some(mv) if mv > OUT_OF_BAND_MV => BandState::Out,
            _ => BandState::Unknown,
        };
        if says == BandState::Unknown || says == self.state {
            self.leaning = None;
            return None;
        }
        let since = match self.leaning {
            Some((state, since)) if state == says => since,
            _ => now,
        };
        self.leaning = Some((says, since));
        if now.since(since) < BAND_HOLD {
            return None;
        }
        self.leaning = None;
        self.state = says;
        Some(says)
    }

    /// Where the string is.
    #[must_use]
    pub const fn state(&self) -> BandState {
        self.state
    }
}

/// So much at once, then one more each interval: bounds what a source that
/// flaps may write to the flash.
#[derive(Clone, Debug)]
pub struct Budget {
    left: u32,
    most: u32,
    interval: Nanos,
    filled: Nanos,
    /// What counts towards the next one of the time before `filled`.
    carried: Nanos,
}

impl Budget {
    /// Full at first. `interval` is at least 1 ns.
    #[must_use]
    pub const fn new(most: u32, interval: Nanos) -> Self {
        let interval = if interval.0 == 0 { Nanos(1) } else { interval };
        Self { left: most, most, interval, filled: Nanos(0), carried: Nanos(0) }
    }

    /// How many are left, and the whole ms towards one more; `None` when it is
    /// full.
    #[must_use]
    pub fn kept(&self, now: Nanos) -> Option<(u32, u64)> {
        let passed = now.since(self.filled) + self.carried;
        let gained = passed.0 / self.interval.0;
        let missing = self.most - self.left;
        (gained < u64::from(missing)).then(|| {
            let rest = passed - Nanos(gained * self.interval.0);
            (self.left + gained as u32, rest.as_millis())
        })
    }

    /// Go on from `now` as it was [`kept`](Self::kept).
    pub fn resume(&mut self, left: u32, carried: Nanos, now: Nanos) {
        self.left = left.min(self.most);
        (self.filled, self.carried) = (now, Nanos(carried.0.min(self.interval.0 - 1)));
    }

    /// Spend one; false when there is none at `now`.
    pub fn spend(&mut self, now: Nanos) -> bool {
        let passed = now.since(self.filled) + self.carried;
        let gained = passed.0 / self.interval.0;
        if gained >= u64::from(self.most - self.left) {
            (self.left, self.carried) = (self.most, Nanos(0));
        } else {
            self.left += gained as u32;
            self.carried = passed - Nanos(gained * self.interval.0);
        }
        self.filled = self.filled.max(now);
        let some = self.left > 0;
        self.left -= u32::from(some);
        some
    }
}

/// How long a UPS must say something before it is told: one garbled answer
/// is no event.
pub const UPS_HOLD: Nanos = Nanos::from_millis(1_500);
/// Events of one UPS at once; then one each [`UPS_EVENT_EVERY`].
const UPS_EVENTS: u32 = 12;
const UPS_EVENT_EVERY: Nanos = Nanos::from_secs(30);

/// Something that was told, and since when the input says otherwise.
#[derive(Clone, Debug, Default)]
struct Held<T> {
    told: T,
    leaning: Option<(T, Nanos)>,
}

impl<T: Copy + PartialEq> Held<T> {
    /// One observation; `None` proves nothing. True when it becomes what is
    /// told, which costs one of `budget`.
    fn step(&mut self, says: Option<T>, now: Nanos, budget: &mut Budget) -> bool {
        let Some(says) = says.filter(|says| *says != self.told) else {
            self.leaning = None;
            return false;
        };
        let since = match self.leaning {
            Some((lean, since)) if lean == says => since,
            _ => now,
        };
        self.leaning = Some((says, since));
        if now.since(since) < UPS_HOLD || !budget.spend(now) {
            return false;
        }
        *self = Self { told: says, leaning: None };
        true
    }
}

/// Turns the status words of one UPS into events. What holds for
/// [`UPS_HOLD`] is told; a UPS that flaps is told of again when its budget
/// allows, half a minute later at most.
#[derive(Clone, Debug)]
pub struct UpsWatch {
    ups: String,
    lost: Held<bool>,
    on_battery: Held<bool>,
    low: Held<bool>,
    budget: Budget,
}

impl UpsWatch {
    /// Watch the UPS whose subtree is `ups`.
    #[must_use]
    pub fn new(ups: String) -> Self {
        let budget = Budget::new(UPS_EVENTS, UPS_EVENT_EVERY);
        let (lost, on_battery, low) = Default::default();
        Self { ups, lost, on_battery, low, budget }
    }

    /// One observation: the status words, or `None` when they are not fresh.
    /// Being on mains from the start is no news.
    pub fn step(&mut self, status: Option<&str>, now: Nanos) -> Vec<Event> {
        let mut events = Vec::new();
        let ups = || self.ups.clone();
        let has = |word| status.map(|s| s.split_ascii_whitespace().any(|w| w == word));
        let budget = &mut self.budget;
        if self.lost.step(Some(status.is_none()), now, budget) {
            events.push(match self.lost.told {
                true => Event::UpsLost { ups: ups() },
                false => Event::UpsBack { ups: ups() },
            });
        }
        // Neither word (a UPS that is off, or calibrating) is no news.
        let on_battery = match (has("OB"), has("OL")) {
            (Some(true), _) => Some(true),
            (_, Some(true)) => Some(false),
            _ => None,
        };
        if self.on_battery.step(on_battery, now, budget) {
            events.push(match self.on_battery.told {
                true => Event::UpsOnBattery { ups: ups() },
                false => Event::UpsOnMains { ups: ups() },
            });
        }
        if self.low.step(has("LB"), now, budget) && self.low.told {
            events.push(Event::UpsBatteryLow { ups: ups() });
        }
        events
    }
}

/// Failures of one user and address in this time are one event.
pub const SIGN_IN_WINDOW: Nanos = Nanos::from_secs(60);
/// Users and addresses told apart at the same time; the others are one.
const GUESSERS_MAX: usize = 4;

/// Adds up failed sign-ins: the first is told at once, what follows within
/// [`SIGN_IN_WINDOW`] as one event with a count.
#[derive(Clone, Debug, Default)]
pub struct FailedSignIns(BTreeMap<(String, String, Option<String>), Failures>);

#[derive(Clone, Debug)]
struct Failures {
    since: Nanos,
    untold: u32,
}

impl FailedSignIns {
    /// Somebody failed; `by`: the authenticator that says so. Returns what is
    /// to be told now.
    pub fn failed(
        &mut self,
        user: &str,
        from: &str,
        by: Option<&str>,
        now: Nanos,
    ) -> Option<Event> {
        let mut key = (user.to_owned(), from.to_owned(), by.map(str::to_owned));
        if !self.0.contains_key(&key) && self.0.len() >= GUESSERS_MAX {
            key = ("several users".to_owned(), "many addresses".to_owned(), None);
        }
        if let Some(known) = self.0.get_mut(&key) {
            known.untold = known.untold.saturating_add(1);
            return None;
        }
        let (user, from, by) = key.clone();
        self.0.insert(key, Failures { since: now, untold: 0 });
        Some(Event::LoginFailed { user, from, count: 1, by })
    }

    /// What is to be told of windows that are over; call it every few seconds.
    pub fn over(&mut self, now: Nanos) -> Vec<Event> {
        let over = |f: &Failures| now.since(f.since) >= SIGN_IN_WINDOW;
        let told = self.0.iter().filter(|(_, f)| over(f) && f.untold > 0);
        let told = told.map(|((user, from, by), f)| {
            let (user, from, by) = (user.clone(), from.clone(), by.clone());
            Event::LoginFailed { user, from, count: f.untold, by }
        });
        let told = told.collect();
        self.0.retain(|_, f| !over(f));
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Nanos {
        Nanos::from_secs(100 + seconds)
    }

    #[test]
    fn first_state_is_told_after_the_hold() {
        let mut band = Band::default();
        assert_eq!(band.step(Some(-900), at(0)), None);
        assert_eq!(band.step(Some(-800), at(4)), None);
        assert_eq!(band.step(Some(-700), at(5)), Some(BandState::Out));
        assert_eq!(band.step(Some(-600), at(60)), None, "told once");
    }

    #[test]
    fn between_the_limits_nothing_changes() {
        let mut band = Band::default();
        band.step(Some(10), at(0));
        assert_eq!(band.step(Some(-10), at(5)), Some(BandState::In));
        for s in 6..60 {
            assert_eq!(band.step(Some(15), at(s)), None);
        }
        assert_eq!(band.step(Some(16), at(60)), None);
        assert_eq!(band.step(Some(16), at(65)), Some(BandState::Out));
        assert_eq!(band.step(Some(11), at(80)), None, "11 mV is not in band again");
        assert_eq!(band.state(), BandState::Out);
    }

    #[test]
    fn a_gap_or_a_relapse_starts_the_hold_again() {
        let mut band = Band::default();
        band.step(Some(0), at(0));
        band.step(None, at(3));
        assert_eq!(band.step(Some(0), at(6)), None, "the gap proves nothing");
        band.step(Some(20), at(8));
        assert_eq!(band.step(Some(0), at(9)), None);
        assert_eq!(band.step(Some(0), at(13)), None);
        assert_eq!(band.step(Some(0), at(14)), Some(BandState::In));
    }

    #[test]
    fn the_worst_possible_number_is_out_of_band() {
        let mut band = Band::default();
        band.step(Some(i32::MIN), at(0));
        assert_eq!(band.step(Some(i32::MIN), at(5)), Some(BandState::Out));
    }

    /// Say `status` until it holds; what was told.
    fn hold(watch: &mut UpsWatch, status: Option<&str>, second: u64) -> Vec<Event> {
        assert_eq!(watch.step(status, at(second)), [], "not before it holds");
        watch.step(status, at(second) + UPS_HOLD)
    }

    #[test]
    fn ups_goes_to_battery_and_back() {
        let ups = || "ups.0".to_owned();
        let mut watch = UpsWatch::new(ups());
        assert_eq!(hold(&mut watch, Some("OL"), 0), []);
        assert_eq!(hold(&mut watch, Some("OB"), 10), [Event::UpsOnBattery { ups: ups() }]);
        assert_eq!(hold(&mut watch, Some("OB LB"), 20), [Event::UpsBatteryLow { ups: ups() }]);
        assert_eq!(hold(&mut watch, Some("OB LB"), 30), []);
        assert_eq!(hold(&mut watch, None, 40), [Event::UpsLost { ups: ups() }]);
        assert_eq!(hold(&mut watch, None, 50), []);
        assert_eq!(
            hold(&mut watch, Some("OL CHRG"), 60),
            [Event::UpsBack { ups: ups() }, Event::UpsOnMains { ups: ups() }]
        );
        assert_eq!(hold(&mut watch, Some("BOLT"), 70), [], "words are whole words");
    }

    #[test]
    fn one_odd_answer_is_no_event() {
        let mut watch = UpsWatch::new("ups.0".into());
        for second in 0..100 {
            let status = if second % 2 == 0 { Some("OL") } else { None };
            assert_eq!(watch.step(status, at(second)), [], "second {second}");
        }
    }

    #[test]
    fn a_ups_that_flaps_is_told_of_twice_a_minute_and_truly() {
        let mut watch = UpsWatch::new("ups.0".into());
        let mut told = Vec::new();
        for second in 0..3_600 {
            let status = if second / 5 % 2 == 0 { "OL" } else { "OB LB" };
            told.extend(watch.step(Some(status), at(second)));
        }
        let most = 12 + 2 * 60 + 1;
        assert!((100..=most).contains(&told.len()), "{} events in an hour", told.len());
        for second in 3_600..3_700 {
            told.extend(watch.step(Some("OB LB"), at(second)));
        }
        let last =
            |low| told.iter().rev().find(|e| matches!(e, Event::UpsBatteryLow { .. }) == low);
        assert_eq!(last(false), Some(&Event::UpsOnBattery { ups: "ups.0".into() }));
        assert!(last(true).is_some(), "the end is told");
    }

    #[test]
    fn guessing_is_added_up() {
        let mut guesses = FailedSignIns::default();
        let failed = |user: &str, from: &str, count| Event::LoginFailed {
            user: user.into(),
            from: from.into(),
            count,
            by: None,
        };
        assert_eq!(guesses.failed("admin", "::1", None, at(0)), Some(failed("admin", "::1", 1)));
        for second in 1..30 {
            assert_eq!(guesses.failed("admin", "::1", None, at(second)), None);
        }
        assert_eq!(guesses.over(at(59)), []);
        assert_eq!(guesses.over(at(60)), [failed("admin", "::1", 29)]);
        assert_eq!(guesses.over(at(120)), [], "told once");
        let told: Vec<_> = (0..200)
            .filter_map(|n| guesses.failed("admin", &n.to_string(), None, at(200)))
            .collect();
        assert_eq!(told.len(), 5, "a crowd is told as one");
        assert_eq!(guesses.over(at(260)), [failed("several users", "many addresses", 195)]);
    }

    #[test]
    fn events_of_other_versions_can_be_read() {
        let read = |text: &str| toml::from_str::<Event>(text).expect("readable");
        let old = read("kind = 'login_failed'\nuser = 'a'\nfrom = 'b'");
        assert_eq!(
            old,
            Event::LoginFailed { user: "a".into(), from: "b".into(), count: 1, by: None }
        );
        assert_eq!(read("kind = 'comet_seen'\ntail = 3"), Event::Unknown);
    }

    #[test]
    fn many_modules_are_one_event() {
        assert_eq!(Event::modules_lost(1, vec![]), None);
        assert_eq!(
            Event::modules_lost(1, vec![4]),
            Some(Event::ModuleLost { string: 1, block: 4 })
        );
        let text = Event::modules_back(2, vec![1, 2, 3, 7, 65_535]).expect("some").to_string();
        assert!(text.contains("blocks 1\u{2013}3, 7, 65535:"), "{text}");
    }

    #[test]
    fn an_alarm_is_as_bad_as_its_level_and_comes_back_from_the_store() {
        let raised = |level| Event::AlarmRaised {
            string: 2,
            condition: Condition::VoltageHigh,
            level,
            blocks: vec![3, 4, 5],
        };
        assert_eq!(raised(Level::Alarm).severity(), Severity::Alarm);
        assert_eq!(raised(Level::Warning).severity(), Severity::Warning);
        let text = raised(Level::Alarm).to_string();
        assert_eq!(text, "alarm: string 2 blocks 3\u{2013}5: block voltage high");
        let stored = toml::to_string(&raised(Level::Alarm)).expect("encodes");
        assert_eq!(toml::from_str(&stored), Ok(raised(Level::Alarm)));
    }

    #[test]
    fn every_event_has_words() {
        for event in [
            Event::StringOutOfBand { string: 1, deviation_mv: -905 },
            Event::GuardLost,
            Event::DischargeEnded {
                string: 1,
                duration_s: 600,
                drawn_mah: Some(12_500),
                first_collapsed: Some(7),
            },
            Event::StoreRecovered { samples_lost: 2 },
            Event::LoginFailed {
                user: "x".into(),
                from: "::1".into(),
                count: 2,
                by: Some("radius".into()),
            },
            Event::LoginWithoutRole {
                user: "x".into(),
                from: "::1".into(),
                via: "radius".into(),
                words: vec!["staff".into()],
            },
            Event::AuthenticatorUnavailable { name: "radius".into(), reason: "x".into() },
            Event::AuthenticatorBack { name: "radius".into() },
        ] {
            assert!(event.to_string().len() > 8, "{event:?}");
        }
        let text = Event::StringOutOfBand { string: 1, deviation_mv: -905 }.to_string();
        assert!(text.contains("-905 mV"), "{text}");
    }
}
