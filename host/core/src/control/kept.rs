//! What outlives a restart of the guard: latched trips and what was learned.
//! Where it is kept is the guard's business.

use super::{Control, KeptString};
use crate::battery_test::Memory;
use serde::{Deserialize, Serialize};

/// Everything that is kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// By string, in the settings' order.
    pub strings: Vec<KeptString>,
    /// By battery test, in the settings' order.
    pub tests: Vec<Memory>,
}

impl Kept {
    /// What a string left: in its place, or under its name in another, as strings
    /// are put before or taken out.
    pub(super) fn of(&self, place: usize, name: &str) -> Option<&KeptString> {
        let named = |kept: &&KeptString| {
            kept.identity.strip_prefix(name).is_some_and(|rest| rest.starts_with(" | "))
        };
        self.strings.get(place).filter(named).or_else(|| self.strings.iter().find(named))
    }
}

impl Control {
    /// Take over what has to be kept. Allocates only the first time, when
    /// `kept` gets its size.
    pub fn keep(&self, kept: &mut Kept) {
        kept.strings.resize_with(self.strings.len(), KeptString::default);
        for (kept, string) in kept.strings.iter_mut().zip(&self.strings) {
            string.keep(kept);
        }
        kept.tests.clear();
        kept.tests.extend(self.tests.iter().map(|test| test.memory()));
    }
}
