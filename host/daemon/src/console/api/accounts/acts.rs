//! What people do to accounts, from the API and from the page's forms: done,
//! and told by an event whatever came of it (SEC-110).

use super::{FirstPassword, NewTokenOut, NewUserIn, TokenIn, UserIn};
use crate::accounts::book::{Book, Refusal};
use crate::accounts::rights::{Area, Level};
use crate::accounts::{AccountError, Wanted, WantedToken};
use crate::caps::one_line;
use crate::clock;
use crate::console::by::By;
use crate::console::password;
use crate::console::problem::Problem;
use axum::http::StatusCode;
use std::collections::{BTreeMap, BTreeSet};

/// A first password that somebody else knows counts for so long (SEC-006), ms.
const FIRST_PASSWORD_MS: u64 = 15 * 60 * 1_000;

impl By {
    /// Add a user.
    ///
    /// # Errors
    /// [`Problem`].
    pub async fn add_user(&self, wanted: NewUserIn) -> Result<FirstPassword, Problem> {
        let NewUserIn { name, roles, groups, expires_unix_ms } = wanted;
        let what = format!("add the user {} with {}", one_line(&name, 64), listed(&roles, &groups));
        let (first, hash, until) = self.first_password(&name).await?;
        let wanted = Wanted { roles, groups, disabled: false, expires_unix_ms };
        let rights = &self.caller.rights;
        let done = self.console.accounts.add_user(&name, wanted, hash, until, rights).await;
        self.done(what, done).await.map(|()| first)
    }

    /// Change what a user may do.
    ///
    /// # Errors
    /// [`Problem`].
    pub async fn put_user(&self, name: &str, wanted: UserIn) -> Result<(), Problem> {
        let UserIn { roles, groups, disabled, expires_unix_ms } = wanted;
        let able = if disabled { ", disabled" } else { "" };
        let what =
            format!("let the user {} have {}{able}", one_line(name, 64), listed(&roles, &groups));
        let wanted = Wanted { roles, groups, disabled, expires_unix_ms };
        let done = self.console.accounts.change_user(name, wanted, &self.caller.rights).await;
        self.done(what, done).await?;
        self.console.sessions().end_all(name);
        Ok(())
    }

    /// Give a user another first password.
    ///
    /// # Errors
    /// [`Problem`].
    pub async fn reset_password(&self, name: &str) -> Result<FirstPassword, Problem> {
        let what = format!("give the user {} another first password", one_line(name, 64));
        let (first, hash, until) = self.first_password(name).await?;
        let rights = &self.caller.rights;
        let done = self.console.accounts.reset_password(name, hash, until, rights).await;
        self.done(what, done).await?;
        self.console.sessions().end_all(name);
        Ok(first)
    }

    /// Ask a user for their password alone, who lost phone and recovery codes.
    ///
    /// # Errors
    /// [`Problem`].
    pub async fn remove_second_factor(&self, name: &str) -> Result<(), Problem> {
        let what = format!("remove the second factor of {}", one_line(name, 64));
        let rights = &self.caller.rights;
        let done = self.console.accounts.remove_second_factor(name, rights).await;
        self.done(what, done).await
    }

    /// Forget a user.
    ///
    /// # Errors
    /// [`Problem`].
    pub async fn remove_user(&self, name: &str) -> Result<(), Problem> {
        let tokens = self.console.accounts.book().map_err(|e| Problem::store(&e))?;
        let what = format!("remove the user {}", one_line(name, 64));
        let done = self.console.accounts.remove_user(name, &self.caller.rights).await;
        self.done(what, done).await?;
        let mut sessions = self.console.sessions();
        sessions.end_all(name);
        let theirs = tokens.tokens.iter().filter(|(_, token)| token.owner == name);
        theirs.for_each(|(id, _)| sessions.end_program(id));
        Ok(())
    }

    /// Make or change a role.
    ///
    /// # Errors
    /// [`Problem`].
    pub async fn put_role(
        &self,
        name: &str,
        levels: &BTreeMap<Area, Level>,
    ) -> Result<(), Problem> {
        let words: Vec<_> = levels.iter().map(|(area, level)| format!("{area} {level}")).collect();
        let what = format!("let the role {} allow {}", one_line(name, 32), words.join(", "));
        let by = &self.caller.rights;
        let done = self.console.accounts.change(|book, _| book.put_role(name, levels, by)).await;
        self.done(what, done).await
    }

    /// Forget a role.
    ///
    /// # Errors
    /// [`Problem`].
    pub async fn remove_role(&self, name: &str) -> Result<(), Problem> {
        // A word of an authenticator may give it.
        let words = self.console.remote.settings().roles;
        let word = words.iter().find(|(_, role)| *role == name);
        let word = word.map(|(word, _)| format!("the word {word:?} of the authenticators"));
        let required = self.console.accounts.required().roles.contains(name);
        let required = required.then(|| "the roles that require a second factor".to_owned());
        let done = match word.or(required) {
            Some(by) => Err(Refusal::InUse { name: name.to_owned(), by }.into()),
            None => self.console.accounts.change(|book, users| book.remove_role(name, users)).await,
        };
        self.done(format!("remove the role {}", one_line(name, 32)), done).await
    }

    /// Make or change a group.
    ///
    /// # Errors
    /// [`Problem`].
    pub async fn put_group(&self, name: &str, roles: BTreeSet<String>) -> Result<(), Problem> {
        let none = BTreeSet::new();
        let what = format!("let the group {} have {}", one_line(name, 32), listed(&roles, &none));
        let by = &self.caller.rights;
        let change = |book: &mut Book, users: &_| book.put_group(name, roles, users, by);
        let done = self.console.accounts.change(change).await;
        self.done(what, done).await
    }

    /// Forget a group.
    ///
    /// # Errors
    /// [`Problem`].
    pub async fn remove_group(&self, name: &str) -> Result<(), Problem> {
        let done = self.console.accounts.change(|book, users| book.remove_group(name, users)).await;
        self.done(format!("remove the group {}", one_line(name, 32)), done).await
    }

    /// Make a token.
    ///
    /// # Errors
    /// [`Problem`].
    pub async fn add_token(&self, wanted: TokenIn) -> Result<NewTokenOut, Problem> {
        let TokenIn { name, owner, scopes, expires_unix_ms } = wanted;
        let owner = owner.unwrap_or_else(|| self.caller.user.clone());
        let what = format!("make the token {} of {}", one_line(&name, 64), one_line(&owner, 64));
        let wanted = WantedToken { name, owner, scopes, expires_unix_ms };
        let done = self.console.accounts.add_token(wanted, &self.caller.rights).await;
        let fresh = self.done(what, done).await?;
        Ok(NewTokenOut { id: fresh.id, token: fresh.text })
    }

    /// Withdraw a token.
    ///
    /// # Errors
    /// [`Problem`].
    pub async fn remove_token(&self, id: &str) -> Result<(), Problem> {
        let gone = |book: &mut Book, _: &_| match book.tokens.remove(id) {
            Some(_) => Ok(()),
            None => Err(Refusal::Unknown { what: "token", name: one_line(id, 64) }),
        };
        let done = self.console.accounts.change(gone).await;
        self.done(format!("withdraw the token {}", one_line(id, 64)), done).await?;
        self.console.sessions().end_program(id);
        Ok(())
    }

    /// A new password, its hash, and until when it counts.
    async fn first_password(&self, user: &str) -> Result<(FirstPassword, String, u64), Problem> {
        let failed = |e: &dyn ToString| {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            Problem::new(status, "hash", "No password could be made").detail(e.to_string())
        };
        let first_password = password::random().map_err(|e| failed(&e))?;
        let hash = self.console.hasher.hash(first_password.clone()).await;
        let hash = hash.map_err(|e| failed(&e).retry_after(5))?;
        let until_unix_ms = clock::unix_ms() + FIRST_PASSWORD_MS;
        let first = FirstPassword { user: user.to_owned(), first_password, until_unix_ms };
        Ok((first, hash, until_unix_ms))
    }

    async fn done<T>(&self, order: String, done: Result<T, AccountError>) -> Result<T, Problem> {
        self.told(order, done.map_err(|error| problem(&error))).await
    }
}

fn listed(roles: &BTreeSet<String>, groups: &BTreeSet<String>) -> String {
    let names = |names: &BTreeSet<String>| {
        one_line(&names.iter().cloned().collect::<Vec<_>>().join(", "), 200)
    };
    match (roles.is_empty(), groups.is_empty()) {
        (false, true) => format!("the roles {}", names(roles)),
        (true, false) => format!("the groups {}", names(groups)),
        (false, false) => format!("the roles {} and the groups {}", names(roles), names(groups)),
        (true, true) => "no role".to_owned(),
    }
}

pub(in crate::console) fn problem(error: &AccountError) -> Problem {
    match error {
        AccountError::Refused(refusal) => refused(refusal),
        AccountError::Store(e) => Problem::store(e),
        AccountError::Random(_) => {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            Problem::new(status, "random", "No secret could be made").detail(error.to_string())
        }
    }
}

pub(super) fn refused(refusal: &Refusal) -> Problem {
    Problem::new(StatusCode::CONFLICT, "refused", "The accounts are as they were")
        .detail(refusal.to_string())
}
