//! What is kept of a local user.

use super::book::ADMIN;
use super::second_factor::SecondFactor;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A local user, as kept in the store under their name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// argon2id, in PHC form.
    pub hash: String,
    /// The password is the first one and must be changed before anything else.
    pub must_change: bool,
    /// When the password was set last.
    pub changed_unix_ms: u64,
    /// Roles of their own. Users of older firmware were administrators.
    #[serde(default = "administrator")]
    pub roles: BTreeSet<String>,
    /// Groups that they belong to.
    #[serde(default)]
    pub groups: BTreeSet<String>,
    /// They may not sign in.
    #[serde(default)]
    pub disabled: bool,
    /// They may not sign in from then on.
    #[serde(default)]
    pub expires_unix_ms: Option<u64>,
    /// The first password counts until then; `None`: until it is changed.
    #[serde(default)]
    pub first_until_unix_ms: Option<u64>,
    /// What they are asked for beside the password. Left out when there is none, so
    /// that older firmware reads such users; one with it cannot sign in there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_factor: Option<SecondFactor>,
}

impl User {
    /// An administrator with a first password that counts until it is changed.
    #[must_use]
    pub fn first(hash: String, now_unix_ms: u64) -> Self {
        let (must_change, changed_unix_ms) = (true, now_unix_ms);
        Self { hash, must_change, changed_unix_ms, roles: administrator(), ..Self::default() }
    }

    /// Whether they may sign in, and stay signed in.
    #[must_use]
    pub fn is_active(&self, now_unix_ms: u64) -> bool {
        !self.disabled && self.expires_unix_ms.is_none_or(|end| now_unix_ms < end)
    }

    /// Whether their password counts: a first one that somebody else knows does
    /// so for a short time alone.
    #[must_use]
    pub fn password_counts(&self, now_unix_ms: u64) -> bool {
        !self.must_change || self.first_until_unix_ms.is_none_or(|end| now_unix_ms < end)
    }
}

fn administrator() -> BTreeSet<String> {
    BTreeSet::from([ADMIN.to_owned()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_of_older_firmware_is_an_administrator() {
        let old = r#"{"hash":"x","must_change":false,"changed_unix_ms":7}"#;
        let user: User = serde_json::from_str(old).expect("a user");
        assert_eq!(user.roles, administrator());
        assert!(user.is_active(u64::MAX) && user.password_counts(u64::MAX));
    }

    #[test]
    fn times_end_accounts_and_first_passwords() {
        let user = User { expires_unix_ms: Some(10), ..User::default() };
        assert!(user.is_active(9) && !user.is_active(10));
        assert!(!User { disabled: true, ..User::default() }.is_active(0));
        let first = User { first_until_unix_ms: Some(10), must_change: true, ..User::default() };
        assert!(first.password_counts(9) && !first.password_counts(10));
        assert!(User { must_change: false, ..first }.password_counts(10), "it is their own now");
    }
}
