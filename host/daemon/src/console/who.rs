//! Who looks at a page: their name, what they may do there, and the menu of
//! what exists for them.

use super::session::Caller;
use crate::accounts::rights::{Area, Level};

/// The pages of the menu, with what is needed to see them.
const MENU: [(&str, &str, Area); 5] = [
    ("/", "Live page", Area::Battery),
    ("/alarms", "Alarms", Area::Alarms),
    ("/plugins", "Plugins", Area::Plugins),
    ("/automation", "Rules and jobs", Area::Automation),
    ("/accounts", "Accounts", Area::Accounts),
];

/// Somebody who looks at a page.
#[derive(Clone, Copy)]
pub struct Who<'a> {
    /// Their name.
    pub user: &'a str,
    /// Who keeps the account: `local`, or the authenticator.
    pub origin: &'a str,
    /// They may do what the page offers.
    pub may_act: bool,
    caller: &'a Caller,
}

impl<'a> Who<'a> {
    /// `caller`, on a page whose acts need `level` in `area`.
    #[must_use]
    pub fn of(caller: &'a Caller, area: Area, level: Level) -> Self {
        let may_act = caller.may(area, level);
        Self { user: &caller.user, origin: caller.account.origin(), may_act, caller }
    }

    /// Address and name of each page that they may see.
    #[must_use]
    pub fn menu(&self) -> Vec<(&'static str, &'static str)> {
        let seen = MENU.into_iter().filter(|(_, _, area)| self.caller.may(*area, Level::View));
        seen.map(|(address, name, _)| (address, name)).collect()
    }
}
