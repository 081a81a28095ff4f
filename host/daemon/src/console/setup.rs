//! How far the setup of the appliance is (facts/console-ux.md UX-070): its steps,
//! and which of them somebody has settled, left for later, or not come to.
//!
//! A step holds no settings. What it asks for goes into the documents of the
//! ordinary pages; kept here is one word per step, so that the setup can be left
//! and taken up again, and the live page can say what is not set.

use super::Console;
use crate::store::StoreError;

/// A step of the setup, in the order in which they are gone through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Name and place of the site, time zone, language of messages.
    Appliance,
    /// The strings, as they are configured and as they were found.
    Battery,
    /// When there is an alarm.
    Limits,
    /// Whom the appliance tells.
    Receiver,
    /// The UPS and its driver.
    Ups,
    /// Who else signs in.
    Users,
}

/// How far a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is settled.
    Set,
    /// Somebody left it for later.
    Left,
    /// Nobody has come to it.
    Open,
}

impl Step {
    /// All of them, in their order.
    pub const ALL: [Self; 6] =
        [Self::Appliance, Self::Battery, Self::Limits, Self::Receiver, Self::Ups, Self::Users];

    /// Its word in addresses, names of messages and of what is kept.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Appliance => "appliance",
            Self::Battery => "battery",
            Self::Limits => "limits",
            Self::Receiver => "receiver",
            Self::Ups => "ups",
            Self::Users => "users",
        }
    }

    /// The one of this word.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.as_str() == word)
    }

    /// The one after it.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        let at = Self::ALL.into_iter().position(|step| step == self)?;
        Self::ALL.get(at + 1).copied()
    }

    fn document(self) -> String {
        format!("setup.{}", self.as_str())
    }
}

impl State {
    /// As it is kept, and in names of messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Set => "set",
            Self::Left => "left",
            Self::Open => "open",
        }
    }
}

/// How far a step is: what is there counts, whoever made it, and then what
/// somebody said.
///
/// # Errors
/// When the store cannot be read.
pub fn state(console: &Console, step: Step) -> Result<State, StoreError> {
    if is_there(console, step)? {
        return Ok(State::Set);
    }
    let kept = console.store.document(&step.document())?;
    let states = [State::Set, State::Left];
    let said = states.into_iter().find(|state| kept.as_deref() == Some(state.as_str().as_bytes()));
    Ok(said.unwrap_or(State::Open))
}

/// The steps that are not settled. A store that cannot be read says nothing: it
/// tells of itself.
#[must_use]
pub fn not_set(console: &Console) -> Vec<Step> {
    let open = |step: &Step| state(console, *step).is_ok_and(|state| state != State::Set);
    Step::ALL.into_iter().filter(open).collect()
}

/// Somebody settled a step, or left it.
///
/// # Errors
/// When it cannot be kept.
pub async fn say(console: &Console, step: Step, state: State) -> Result<(), StoreError> {
    let word = state.as_str().as_bytes().to_vec();
    console.store.keep_document(&step.document(), Some(word)).done().await
}

fn is_there(console: &Console, step: Step) -> Result<bool, StoreError> {
    let plugin = |world: &str| console.plugins.plugins().iter().any(|p| p.world == world);
    Ok(match step {
        Step::Appliance | Step::Battery | Step::Limits => false,
        Step::Receiver => !console.automation.receivers().all().is_empty() || plugin("notifier"),
        Step::Ups => !console.hub.query("ups").is_empty(),
        Step::Users => console.accounts.users()?.len() > 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_has_a_word_and_they_follow_each_other() {
        let mut at = Some(Step::Appliance);
        for step in Step::ALL {
            assert_eq!((at, Step::named(step.as_str())), (Some(step), Some(step)));
            at = step.next();
        }
        assert_eq!(at, None);
        assert_eq!(Step::named("else"), None);
        // With the claim, the password, the list at the end and the list again.
        assert!(Step::ALL.len() + 4 <= 12, "UX-070: at most 12 screens");
    }
}
