//! What somebody may do: a [`Level`] in each [`Area`] of the appliance, down to
//! the single menu (SEC-050; facts/console-ux.md §5 "Permission words").
//!
//! Deny by default: an area that nobody spoke of is [`Level::None`].

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A part of the appliance with its own menu.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Area {
    /// Strings, blocks, buses, battery tests, and orders to them.
    Battery,
    /// UPSes, sensors, contacts: their values and commands.
    Devices,
    /// Alarms and thresholds.
    Alarms,
    /// The log of events.
    Events,
    /// History and recorded discharges.
    History,
    /// Rules, jobs and calendar.
    Automation,
    /// Plugins, their keys and grants.
    Plugins,
    /// Users, groups, roles, tokens, and who else decides about sign-ins.
    Accounts,
    /// The audit log.
    Audit,
    /// Licence, store, metrics, firmware: the appliance itself.
    System,
}

/// How much somebody may do in an area. Ordered: later includes what is before.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Nothing: the menu does not exist for them.
    #[default]
    None,
    /// See it.
    View,
    /// Act in daily work: acknowledge, silence, test, pause, command.
    Operate,
    /// Change how it is set up.
    Configure,
}

/// A level for each area.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights([Level; Area::ALL.len()]);

impl Area {
    /// All of them, in the order of the menu.
    pub const ALL: [Self; 10] = [
        Self::Battery,
        Self::Devices,
        Self::Alarms,
        Self::Events,
        Self::History,
        Self::Automation,
        Self::Plugins,
        Self::Accounts,
        Self::Audit,
        Self::System,
    ];

    /// The word in API and forms.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Battery => "battery",
            Self::Devices => "devices",
            Self::Alarms => "alarms",
            Self::Events => "events",
            Self::History => "history",
            Self::Automation => "automation",
            Self::Plugins => "plugins",
            Self::Accounts => "accounts",
            Self::Audit => "audit",
            Self::System => "system",
        }
    }
}

impl Level {
    /// All of them, least first.
    pub const ALL: [Self; 4] = [Self::None, Self::View, Self::Operate, Self::Configure];

    /// The word in API and forms.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::View => "view",
            Self::Operate => "operate",
            Self::Configure => "configure",
        }
    }
}

impl Rights {
    /// Nothing at all.
    pub const NONE: Self = Self([Level::None; Area::ALL.len()]);
    /// Everything.
    pub const ALL: Self = Self([Level::Configure; Area::ALL.len()]);

    /// What may be done in `area`.
    #[must_use]
    pub const fn level(&self, area: Area) -> Level {
        self.0[area as usize]
    }

    /// True when `level` of `area` is among them.
    #[must_use]
    pub fn allow(&self, area: Area, level: Level) -> bool {
        self.level(area) >= level
    }

    /// The same with `level` in `area`.
    #[must_use]
    pub const fn with(mut self, area: Area, level: Level) -> Self {
        self.0[area as usize] = level;
        self
    }

    /// What one of the two allows.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        self.by_area(other, Ord::max)
    }

    /// What both allow.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        self.by_area(other, Ord::min)
    }

    /// True when everything that `other` allows is among them.
    #[must_use]
    pub fn include(&self, other: &Self) -> bool {
        Area::ALL.into_iter().all(|area| self.allow(area, other.level(area)))
    }

    /// Areas of which they allow anything, with the level.
    #[must_use]
    pub fn by_name(&self) -> BTreeMap<Area, Level> {
        let all = Area::ALL.into_iter().map(|area| (area, self.level(area)));
        all.filter(|(_, level)| *level > Level::None).collect()
    }

    fn by_area(self, other: Self, pick: fn(Level, Level) -> Level) -> Self {
        Area::ALL.into_iter().fold(Self::NONE, |rights, area| {
            rights.with(area, pick(self.level(area), other.level(area)))
        })
    }
}

impl From<&BTreeMap<Area, Level>> for Rights {
    fn from(levels: &BTreeMap<Area, Level>) -> Self {
        levels.iter().fold(Self::NONE, |rights, (area, level)| rights.with(*area, *level))
    }
}

impl fmt::Display for Area {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_stand_where_their_names_say() {
        for (at, area) in Area::ALL.into_iter().enumerate() {
            assert_eq!(area as usize, at);
            assert_eq!(serde_json::to_value(area).expect("JSON"), area.as_str());
        }
        for level in Level::ALL {
            assert_eq!(serde_json::to_value(level).expect("JSON"), level.as_str());
        }
    }

    #[test]
    fn two_are_joined_and_met_area_by_area() {
        let a = Rights::NONE.with(Area::Alarms, Level::Operate).with(Area::Audit, Level::View);
        let b = Rights::NONE.with(Area::Alarms, Level::View).with(Area::System, Level::Configure);
        assert_eq!(a.or(b).level(Area::Alarms), Level::Operate);
        assert_eq!(a.or(b).level(Area::System), Level::Configure);
        assert_eq!(a.and(b).by_name(), BTreeMap::from([(Area::Alarms, Level::View)]));
        assert!(a.or(b).include(&a) && a.or(b).include(&b) && !a.include(&b));
        assert!(Rights::ALL.include(&a) && a.include(&Rights::NONE));
        assert_eq!(Rights::from(&a.by_name()), a);
        assert!(!Rights::NONE.allow(Area::Battery, Level::View));
    }
}
