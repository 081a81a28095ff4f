//! Signing in by somebody else's word: what an administrator configures, and
//! the trait by which the console asks. The console does not know the plugin
//! host.
//!
//! ```toml
//! [login]
//! authenticators = ["radius"]
//!
//! [login.roles]
//! evenkeel-admin = "admin"
//! evenkeel-viewer = "viewer"
//! ```
//! The names of local accounts are decided here and told to nobody. Any other
//! name is asked of the authenticators, one after the other, until one of them
//! decides (facts/radius-syslog-smtp.md §5, §6).

use crate::accounts::book;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;

/// Most authenticators.
pub const AUTHENTICATORS_MAX: usize = 4;

/// Who else decides, and what their words mean.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoginSettings {
    /// Plugins by their ids, in the order in which they are asked; none: local
    /// accounts decide alone.
    pub authenticators: Vec<String>,
    /// Words of authenticators (RADIUS: `Filter-Id`, `Class`, …) and the role
    /// that each gives. No word here: no entry.
    pub roles: BTreeMap<String, String>,
}

impl LoginSettings {
    /// The roles of somebody with these words.
    #[must_use]
    pub fn roles(&self, words: &[String]) -> BTreeSet<String> {
        words.iter().filter_map(|word| self.roles.get(word)).cloned().collect()
    }

    /// What is wrong with it, where `plugins` are the configured ones.
    ///
    /// # Errors
    /// In words.
    pub fn check(&self, plugins: &[&str]) -> Result<(), String> {
        if self.authenticators.len() > AUTHENTICATORS_MAX {
            return Err(format!("more than {AUTHENTICATORS_MAX} authenticators"));
        }
        for (i, name) in self.authenticators.iter().enumerate() {
            if !plugins.contains(&name.as_str()) {
                return Err(format!(
                    "authenticator {name:?} is no plugin; install it, or add a [[plugin]] entry with \
                    this name or id"
                ));
            }
            if self.authenticators[..i].contains(name) {
                return Err(format!("authenticator {name:?} stands here twice"));
            }
        }
        if let Some((word, role)) = self.roles.iter().find(|(_, role)| !book::is_name(role)) {
            return Err(format!("{word:?} gives {role:?}, which cannot be the name of a role"));
        }
        if !self.authenticators.is_empty() && self.roles.is_empty() {
            return Err("nobody could sign in: add `evenkeel-admin = \"admin\"` or the like to \
                        [login.roles]"
                .to_owned());
        }
        Ok(())
    }
}

/// Somebody wants to sign in.
#[derive(Clone)]
pub struct Attempt {
    /// The name that was given.
    pub user: String,
    /// The password, or the answer to a challenge.
    pub password: String,
    /// Address of the browser.
    pub peer: String,
    /// What came with the challenge that is answered.
    pub state: Option<Vec<u8>>,
}

/// What an authenticator decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Yes, with these words about the person.
    Accepted(Vec<String>),
    /// No.
    Rejected,
    /// Perhaps: ask the person this.
    Challenge {
        /// Goes back with the answer.
        state: Vec<u8>,
        /// What to ask, in the authenticator's words.
        prompt: String,
    },
}

/// Nobody decided; why, in words that say what to check.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub String);

/// An answer that comes some time.
pub type Asked = Pin<Box<dyn Future<Output = Result<Verdict, Unavailable>> + Send>>;

/// Somebody who can ask authenticators.
pub trait Authenticators: Send + Sync {
    /// Have the authenticator `name` decide. Whoever asks bounds the time.
    fn authenticate(&self, name: &str, attempt: Attempt) -> Asked;
}

/// No authenticators.
#[derive(Clone, Copy, Debug)]
pub struct Nobody;

impl Authenticators for Nobody {
    fn authenticate(&self, _: &str, _: Attempt) -> Asked {
        Box::pin(async { Err(Unavailable("no plugin runs; restart the appliance".to_owned())) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> LoginSettings {
        toml::from_str(text).expect("good settings")
    }

    /// Whoever adds a name gives the document that the console keeps a second form, with
    /// a step back that takes it away (`evenkeel_core::settings::forms`).
    #[test]
    fn the_form_has_the_names_that_it_had() {
        let refused = toml::from_str::<LoginSettings>("'?' = 1").expect_err("`?` is no name");
        let names = "unknown field `?`, expected `authenticators` or `roles`";
        assert_eq!(refused.message(), names);
    }

    #[test]
    fn every_word_gives_its_role_and_no_word_is_no_role() {
        let settings = settings("[roles]\nops = \"admin\"\nall = \"viewer\"");
        let roles = |words: &[&str]| {
            let roles = settings.roles(&words.iter().map(|w| (*w).into()).collect::<Vec<_>>());
            roles.into_iter().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(roles(&["all", "ops", "x"]), "admin viewer");
        assert_eq!(roles(&["x", "all"]), "viewer");
        for none in [&[][..], &[""], &["Ops"], &["ops "], &["admin"]] {
            assert_eq!(roles(none), "", "{none:?}");
        }
    }

    #[test]
    fn what_cannot_work_is_said() {
        let check = |text: &str| settings(text).check(&["radius", "megatec"]);
        let roles = "[roles]\nops = \"admin\"";
        assert_eq!(check(""), Ok(()));
        assert_eq!(check(&format!("authenticators = [\"radius\"]\n{roles}")), Ok(()));
        for (text, word) in [
            ("authenticators = [\"radius\"]".to_owned(), "[login.roles]"),
            ("[roles]\nops = \"Root!\"".to_owned(), "\"ops\" gives \"Root!\""),
            (format!("authenticators = [\"ldap\"]\n{roles}"), "\"ldap\" is no plugin"),
            (format!("authenticators = [\"radius\", \"radius\"]\n{roles}"), "twice"),
            (
                format!("authenticators = [\"a\", \"b\", \"c\", \"d\", \"e\"]\n{roles}"),
                "more than 4",
            ),
        ] {
            let error = check(&text).expect_err(&text);
            assert!(error.contains(word), "{error}");
        }
    }
}
