//! For which roles a second factor is required (facts/appliance-security.md
//! SEC-007, §4).
//!
//! A settings document of its own, and not a part of the accounts: firmware that
//! does not know a name in these refuses all of them, and nobody could sign in
//! after a fallback to it. It passes over a document that it does not know.
//!
//! Accounts that are kept elsewhere are not meant: whoever keeps them asks for what
//! it requires. Nor are programs with a token, of which nobody types anything.

use super::book::{self, Book, Refusal};
use super::rights::Rights;
use super::user::User;
use super::{AccountError, Accounts, lock};
use crate::clock;
use crate::failure::chain;
use crate::store::Store;
use evenkeel_core::events::Event;
use evenkeel_core::settings::forms::Kind;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Name of the document in the store.
pub const DOCUMENT: Kind = Kind::first("second-factor");

/// The roles whose holders need a second factor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Required {
    /// Their names.
    pub roles: BTreeSet<String>,
}

impl Required {
    /// What was kept. What cannot be used any more is told, and an older revision is
    /// taken.
    #[must_use]
    pub fn open(store: &Store) -> Self {
        let revisions = store.settings(&DOCUMENT).unwrap_or_else(|e| {
            tracing::error!("no second factor is required: {}", chain(&e));
            Vec::new()
        });
        for revision in revisions {
            match Self::parse(&revision.text) {
                Ok(required) => return required,
                Err(reason) => {
                    let number = revision.revision;
                    tracing::error!("revision {number} of the second factor: {reason}");
                    let what = DOCUMENT.name.to_owned();
                    store.record(Event::SettingsRefused { what, reason });
                }
            }
        }
        Self::default()
    }

    /// From its text.
    ///
    /// # Errors
    /// In words, where it is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|e| e.message().to_owned())
    }

    /// As it is kept.
    #[must_use]
    pub fn text(&self) -> String {
        toml::to_string(self).expect("a list of names")
    }

    /// The first of a user's roles, their own and their groups', that requires it.
    #[must_use]
    pub fn of<'a>(&'a self, book: &'a Book, user: &'a User) -> Option<&'a str> {
        book.roles_of(user).find(|role| self.roles.contains(*role))
    }

    /// Whether it may follow on `before`. `by`: what whoever wants it may do; `own`:
    /// their account, if it is kept here.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn check(
        &self,
        before: &Self,
        book: &Book,
        by: &Rights,
        own: Option<&User>,
    ) -> Result<(), Refusal> {
        for role in self.roles.symmetric_difference(&before.roles) {
            match book.role(role) {
                // Who may do more than they is not for them to let in, or to keep out.
                Some(rights) => book::within(&rights, by)?,
                // One that is gone may be taken out.
                None if !self.roles.contains(role) => {}
                None => return Err(book::unknown("role", role)),
            }
        }
        // Whoever has one knows that it works here: somebody is left to let others in.
        let without = own.filter(|own| own.second_factor.is_none());
        match without.and_then(|own| self.of(book, own)) {
            Some(role) => Err(Refusal::NoFactor(role.to_owned())),
            None => Ok(()),
        }
    }
}

impl Accounts {
    /// For which roles a second factor is required.
    #[must_use]
    pub fn required(&self) -> Arc<Required> {
        Arc::clone(&lock(&self.required))
    }

    /// The role that requires a second factor of a local user, if one does.
    #[must_use]
    pub fn required_of(&self, name: &str) -> Option<String> {
        let required = self.required();
        // Most appliances ask nobody for it.
        let named = !required.roles.is_empty();
        let user = named.then(|| self.user(name).ok().flatten()).flatten()?;
        required.of(&self.readable(), &user).map(str::to_owned)
    }

    /// Whether a local user must turn on a second factor before anything else. Not
    /// while nobody knows the time: no code could be told from another then, and who
    /// shall see to the clock would be kept out.
    #[must_use]
    pub fn must_enrol(&self, name: &str) -> bool {
        clock::set_s(clock::unix_ms()).is_some()
            && self.required_of(name).is_some()
            && self.user(name).ok().flatten().is_some_and(|user| user.second_factor.is_none())
    }

    /// Whether a second factor may be required so. `by`: what whoever wants it may
    /// do; `own`: their account, if it is kept here.
    ///
    /// # Errors
    /// [`AccountError`].
    pub fn check_required(
        &self,
        wanted: &Required,
        by: &Rights,
        own: Option<&str>,
    ) -> Result<(), AccountError> {
        let own = own.map(|name| self.existing(name)).transpose()?;
        let book = self.book().map_err(AccountError::Store)?;
        Ok(wanted.check(&self.required(), &book, by, own.as_ref())?)
    }

    /// Require a second factor so, and keep that.
    ///
    /// # Errors
    /// [`AccountError`]; nothing has changed then.
    pub async fn require(
        &self,
        wanted: Required,
        by: &Rights,
        own: Option<&str>,
    ) -> Result<(), AccountError> {
        let _turn = self.turn.lock().await;
        self.check_required(&wanted, by, own)?;
        let kept = self.store.keep_settings(&DOCUMENT, &wanted.text()).done().await;
        kept.map_err(AccountError::Store)?;
        self.set_required(wanted);
        Ok(())
    }

    /// What was checked and kept is in force from now on.
    pub fn set_required(&self, required: Required) {
        *lock(&self.required) = Arc::new(required);
    }
}

#[cfg(test)]
mod tests {
    use super::super::book::{ADMIN, OPERATOR, VIEWER};
    use super::super::rights::{Area, Level};
    use super::super::second_factor::Enrolment;
    use super::*;
    use crate::store::Limits;
    use std::collections::BTreeMap;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn required(roles: &[&str]) -> Required {
        Required { roles: set(roles) }
    }

    fn with_factor(user: User) -> User {
        let enrolment = Enrolment::random().expect("random numbers");
        let secret = totp_rs::Secret::try_from_base32(enrolment.secret()).expect("base32");
        let totp = totp_rs::Builder::new().with_secret(secret).build().expect("a good secret");
        let code = totp.generate(1_800_000_000).to_string();
        let (factor, _) = enrolment.confirm(&code, 1_800_000_000).expect("random").expect("right");
        User { second_factor: Some(factor), ..user }
    }

    /// Whoever adds a name gives the document a second form, with a step back that
    /// takes it away (`evenkeel_core::settings::forms`).
    #[test]
    fn the_form_has_the_name_that_it_had() {
        let refused = toml::from_str::<Required>("'?' = 1").expect_err("`?` is no name");
        assert_eq!(refused.message(), "unknown field `?`, expected `roles`");
        let kept = required(&[ADMIN, "keys"]);
        assert_eq!(Required::parse(&kept.text()), Ok(kept));
        assert_eq!(Required::parse(""), Ok(Required::default()));
    }

    #[test]
    fn a_role_of_a_group_counts_like_an_own_one() {
        let groups = BTreeMap::from([("night".to_owned(), set(&[OPERATOR]))]);
        let book = Book { groups, ..Book::default() };
        let user = User { roles: set(&[VIEWER]), groups: set(&["night"]), ..User::default() };
        assert_eq!(required(&[OPERATOR, ADMIN]).of(&book, &user), Some(OPERATOR));
        assert_eq!(required(&[ADMIN]).of(&book, &user), None);
        assert_eq!(required(&[]).of(&book, &user), None);
    }

    #[test]
    fn nobody_requires_it_of_themselves_before_they_have_one() {
        let admin = User::first("x".into(), 0);
        let check = |after: &Required, own: Option<&User>| {
            after.check(&Required::default(), &Book::default(), &Rights::ALL, own)
        };
        let refused = check(&required(&[ADMIN, OPERATOR]), Some(&admin));
        assert_eq!(refused, Err(Refusal::NoFactor(ADMIN.to_owned())));
        assert!(refused.expect_err("refused").to_string().contains("turn on your own"));
        assert_eq!(check(&required(&[OPERATOR]), Some(&admin)), Ok(()));
        assert_eq!(check(&required(&[ADMIN]), Some(&with_factor(admin))), Ok(()));
        assert_eq!(check(&required(&[ADMIN]), None), Ok(()), "their own is kept elsewhere");
    }

    #[test]
    fn only_roles_that_exist_and_are_not_above_oneself_are_changed() {
        let keys = BTreeMap::from([(Area::Accounts, Level::Configure)]);
        let by = Rights::from(&keys);
        let book = Book { roles: BTreeMap::from([("keys".into(), keys)]), ..Book::default() };
        let check = |before: &[&str], after: &[&str]| {
            required(after).check(&required(before), &book, &by, None)
        };
        assert_eq!(check(&[], &["keys"]), Ok(()));
        for (before, after) in [(&[][..], &[ADMIN][..]), (&[ADMIN][..], &[][..])] {
            let refused = check(before, after);
            assert!(matches!(refused, Err(Refusal::NotYours { .. })), "{refused:?}");
        }
        assert_eq!(check(&[ADMIN], &[ADMIN, "keys"]), Ok(()), "what was there stays");
        assert!(matches!(check(&[], &["gone"]), Err(Refusal::Unknown { what: "role", .. })));
        assert_eq!(check(&["gone"], &[]), Ok(()));
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_told_and_the_revision_before_it_holds() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(dir.path(), Limits::default()).expect("a store");
        assert_eq!(Required::open(&store), Required::default());
        for text in ["roles = [\"admin\"]\n", "roles = 7\n"] {
            store.keep_settings(&DOCUMENT, text).done().await.expect("kept");
        }
        assert_eq!(Required::open(&store), required(&[ADMIN]));
        // What was recorded goes through the writer's thread first.
        store.record_acknowledged(Event::Unknown).done().await.expect("on the disk");
        let told = store.latest(8).into_iter().any(
            |e| matches!(&e.event, Event::SettingsRefused { what, .. } if what == DOCUMENT.name),
        );
        assert!(told);
    }
}
