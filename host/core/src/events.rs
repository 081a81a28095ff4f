//! Events: what happened, how bad it is, and the pure detectors that decide
//! that it did.
//!
//! An [`Event`] is data; its words are made when somebody reads it. Detectors
//! are functions of (state, input, now) with hysteresis and hold times
//! (DESIGN.md "Pure core"): [`Band`] watches a string's worst deviation,
//! [`UpsWatch`] a UPS's status words.

use crate::time::Nanos;
use core::fmt;
use serde::{Deserialize, Serialize};

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
    /// A plugin failed too often and stays off.
    PluginQuarantined {
        /// Its name.
        name: String,
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
    /// Settings were refused; the last good ones are in force.
    SettingsRefused {
        /// Which settings.
        what: String,
        /// Why.
        reason: String,
    },
    /// The store was damaged; it was moved aside and a new one begun.
    StoreDamaged {
        /// Where the damaged file is now.
        moved_to: String,
        /// What was wrong with it.
        reason: String,
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
    },
    /// A user changed their password.
    PasswordChanged {
        /// Who.
        user: String,
        /// From which address.
        from: String,
    },
}

impl Event {
    /// How bad it is.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        match self {
            Self::UpsBatteryLow { .. } | Self::GuardLost => Severity::Alarm,
            Self::StringOutOfBand { .. }
            | Self::ModuleLost { .. }
            | Self::UpsOnBattery { .. }
            | Self::UpsLost { .. }
            | Self::PluginTrapped { .. }
            | Self::PluginQuarantined { .. }
            | Self::PluginRefused { .. }
            | Self::GuardCondition { .. }
            | Self::SettingsRefused { .. }
            | Self::StoreDamaged { .. }
            | Self::StoreFailed { .. }
            | Self::EventsDropped { .. }
            | Self::LoginFailed { .. } => Severity::Warning,
            _ => Severity::Info,
        }
    }

    /// What it is about.
    #[must_use]
    pub const fn category(&self) -> Category {
        match self {
            Self::StringOutOfBand { .. }
            | Self::StringInBand { .. }
            | Self::ModuleLost { .. }
            | Self::ModuleBack { .. } => Category::Battery,
            Self::UpsOnBattery { .. }
            | Self::UpsOnMains { .. }
            | Self::UpsBatteryLow { .. }
            | Self::UpsLost { .. }
            | Self::UpsBack { .. } => Category::Ups,
            Self::PluginStarted { .. }
            | Self::PluginStopped { .. }
            | Self::PluginTrapped { .. }
            | Self::PluginQuarantined { .. }
            | Self::PluginRefused { .. } => Category::Plugin,
            Self::Login { .. }
            | Self::Logout { .. }
            | Self::LoginFailed { .. }
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
            Self::UpsOnBattery { ups } => write!(f, "{ups} runs on battery"),
            Self::UpsOnMains { ups } => write!(f, "{ups} runs on mains"),
            Self::UpsBatteryLow { ups } => write!(f, "{ups} battery low"),
            Self::UpsLost { ups } => write!(f, "{ups} does not answer"),
            Self::UpsBack { ups } => write!(f, "{ups} answers again"),
            Self::PluginStarted { name, version } => write!(f, "plugin {name} {version} started"),
            Self::PluginStopped { name } => write!(f, "plugin {name} stopped"),
            Self::PluginTrapped { name, reason } => write!(f, "plugin {name} failed: {reason}"),
            Self::PluginQuarantined { name, reason } => {
                write!(f, "plugin {name} failed too often and stays off: {reason}")
            }
            Self::PluginRefused { file, reason } => write!(f, "plugin {file} refused: {reason}"),
            Self::GuardBack => f.write_str("guard answers"),
            Self::GuardLost => f.write_str("guard does not answer; no value is live"),
            Self::GuardCondition { condition } => write!(f, "guard: {condition}"),
            Self::GuardConditionOver { condition } => write!(f, "guard: over: {condition}"),
            Self::DaemonStarted { version } => write!(f, "Evenkeel {version} started"),
            Self::SettingsRefused { what, reason } => {
                write!(f, "{what} refused, the last good copy is in force: {reason}")
            }
            Self::StoreDamaged { moved_to, reason } => {
                write!(f, "store was damaged ({reason}); kept as {moved_to}, a new one begun")
            }
            Self::StoreFailed { reason } => {
                write!(f, "store cannot be written, events are kept in memory: {reason}")
            }
            Self::StoreRecovered { samples_lost } => {
                write!(f, "store can be written again; {samples_lost} history samples were lost")
            }
            Self::EventsDropped { count } => write!(f, "{count} events came too fast and are lost"),
            Self::Login { user, from } => write!(f, "{user} signed in from {from}"),
            Self::Logout { user, from } => write!(f, "{user} signed out from {from}"),
            Self::LoginFailed { user, from } => {
                write!(f, "failed sign-in as {user:?} from {from}")
            }
            Self::PasswordChanged { user, from } => {
                write!(f, "{user} changed the password, from {from}")
            }
        }
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

/// Turns the status words of one UPS into events.
#[derive(Clone, Debug)]
pub struct UpsWatch {
    ups: String,
    lost: bool,
    on_battery: Option<bool>,
    low: bool,
}

impl UpsWatch {
    /// Watch the UPS whose subtree is `ups`.
    #[must_use]
    pub const fn new(ups: String) -> Self {
        Self { ups, lost: false, on_battery: None, low: false }
    }

    /// One observation: the status words, or `None` when they are not fresh.
    /// The first words tell where it stands; being on mains from the start is
    /// no news.
    pub fn step(&mut self, status: Option<&str>) -> Vec<Event> {
        let mut events = Vec::new();
        let ups = || self.ups.clone();
        let Some(status) = status else {
            if !self.lost {
                events.push(Event::UpsLost { ups: ups() });
            }
            self.lost = true;
            return events;
        };
        if self.lost {
            events.push(Event::UpsBack { ups: ups() });
        }
        let has = |word| status.split_ascii_whitespace().any(|w| w == word);
        // Neither word (a UPS that is off, or calibrating) is no news.
        let on_battery = if has("OB") { Some(true) } else { has("OL").then_some(false) };
        match (self.on_battery, on_battery) {
            (Some(false) | None, Some(true)) => events.push(Event::UpsOnBattery { ups: ups() }),
            (Some(true), Some(false)) => events.push(Event::UpsOnMains { ups: ups() }),
            _ => {}
        }
        let low = has("LB");
        if low && !self.low {
            events.push(Event::UpsBatteryLow { ups: ups() });
        }
        self.lost = false;
        self.on_battery = on_battery.or(self.on_battery);
        self.low = low;
        events
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

    #[test]
    fn ups_goes_to_battery_and_back() {
        let ups = || "ups.0".to_owned();
        let mut watch = UpsWatch::new(ups());
        assert_eq!(watch.step(Some("OL")), []);
        assert_eq!(watch.step(Some("OB")), [Event::UpsOnBattery { ups: ups() }]);
        assert_eq!(watch.step(Some("OB LB")), [Event::UpsBatteryLow { ups: ups() }]);
        assert_eq!(watch.step(Some("OB LB")), []);
        assert_eq!(watch.step(None), [Event::UpsLost { ups: ups() }]);
        assert_eq!(watch.step(None), []);
        assert_eq!(
            watch.step(Some("OL CHRG")),
            [Event::UpsBack { ups: ups() }, Event::UpsOnMains { ups: ups() }]
        );
        assert_eq!(watch.step(Some("BOLT")), [], "words are whole words");
    }

    #[test]
    fn every_event_has_words() {
        for event in [
            Event::StringOutOfBand { string: 1, deviation_mv: -905 },
            Event::GuardLost,
            Event::StoreRecovered { samples_lost: 2 },
            Event::LoginFailed { user: "x".into(), from: "::1".into() },
        ] {
            assert!(event.to_string().len() > 8, "{event:?}");
        }
        let text = Event::StringOutOfBand { string: 1, deviation_mv: -905 }.to_string();
        assert!(text.contains("-905 mV"), "{text}");
    }
}
