//! Who looks at a page: their name, what they may do there, and the menu of
//! what exists for them.

use super::session::Caller;
use crate::accounts::rights::{Area, Level};
use crate::words::{Lang, words};

/// The pages of the menu, in the order of the plan (facts/console-ux.md §5):
/// address, message, and what is needed to see it.
const MENU: [(&str, &str, Area); 18] = [
    ("/", "page-live", Area::Battery),
    ("/commissioning", "page-commissioning", Area::Battery),
    ("/discharges", "page-discharges", Area::History),
    ("/alarms", "page-alarms", Area::Alarms),
    ("/events", "page-events", Area::Events),
    ("/thresholds", "page-thresholds", Area::Alarms),
    ("/automation", "page-automation", Area::Automation),
    ("/schedule", "page-schedule", Area::Automation),
    ("/webhooks", "page-webhooks", Area::Automation),
    ("/accounts", "page-accounts", Area::Accounts),
    ("/plugins", "page-plugins", Area::Plugins),
    ("/licence", "page-licence", Area::System),
    ("/network", "page-network", Area::System),
    ("/certificate", "page-certificate", Area::System),
    ("/firmware", "page-firmware", Area::System),
    ("/configuration", "page-configuration", Area::System),
    ("/setup", "page-setup", Area::System),
    ("/audit", "page-audit", Area::Audit),
];

/// The page of the menu with this address; the live page when there is none.
#[must_use]
pub fn page_of(address: &str) -> &'static str {
    let mut pages = MENU.iter().map(|(page, ..)| *page);
    pages.find(|page| *page == address).unwrap_or("/")
}

/// Somebody who looks at a page.
#[derive(Clone, Copy)]
pub struct Who<'a> {
    /// Their name.
    pub user: &'a str,
    /// Who keeps the account: `local`, or the authenticator.
    pub origin: &'a str,
    /// They may do what the page offers.
    pub may_act: bool,
    /// In which language they read the page.
    pub lang: Lang,
    caller: &'a Caller,
}

impl<'a> Who<'a> {
    /// `caller`, on a page whose acts need `level` in `area`.
    #[must_use]
    pub fn of(caller: &'a Caller, area: Area, level: Level) -> Self {
        let may_act = caller.may(area, level);
        let (user, origin) = (&caller.user, caller.account.origin());
        Self { user, origin, may_act, lang: Lang::En, caller }
    }

    /// The same, who reads another language than English.
    #[must_use]
    pub const fn in_language(mut self, lang: Lang) -> Self {
        self.lang = lang;
        self
    }

    /// The same; whether they may act is this.
    #[must_use]
    pub const fn with(mut self, may_act: bool) -> Self {
        self.may_act = may_act;
        self
    }

    /// Whether they may do something elsewhere.
    #[must_use]
    pub fn may(&self, area: Area, level: Level) -> bool {
        self.caller.may(area, level)
    }

    /// Whether they gave their password just now.
    #[must_use]
    pub const fn proven(&self) -> bool {
        self.caller.proven
    }

    /// A word in their language.
    #[must_use]
    pub fn word(&self, name: &str) -> String {
        words().word(self.lang, name)
    }

    /// The languages that there are.
    #[must_use]
    pub const fn languages(&self) -> [Lang; Lang::ALL.len()] {
        Lang::ALL
    }

    /// Address and name of each page that they may see.
    #[must_use]
    pub fn menu(&self) -> Vec<(&'static str, String)> {
        let seen = MENU.into_iter().filter(|(_, _, area)| self.caller.may(*area, Level::View));
        seen.map(|(address, name, _)| (address, self.word(name))).collect()
    }
}
