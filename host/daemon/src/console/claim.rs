//! The first run: the first user, and the page of an appliance that nobody has
//! claimed (facts/appliance-security.md SEC-002).
//!
//! The first user is `admin` with a random password, written to
//! `<data_dir>/first-password` for whoever can read that file; it must be
//! changed before anything else is reachable, and the file goes then. Until
//! then nobody has claimed the appliance, this password is the claim code of
//! SEC-002 (100 random bits, kept as a hash, of use once), and the page that
//! signs in asks for it alone.

use super::page::VERSION;
use super::pages::reader::Spoken;
use super::password;
use super::problem::Problem;
use super::{Console, ConsoleError};
use crate::accounts::user::User;
use crate::clock;
use crate::files::write_private;
use crate::words::{Lang, words};
use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

/// Name of the file with the first password, in the data directory.
pub const FIRST_PASSWORD: &str = "first-password";
/// Whose it is.
pub const FIRST_USER: &str = "admin";

#[derive(Template)]
#[template(path = "claim.html")]
struct ClaimPage<'a> {
    version: &'a str,
    lang: Lang,
    /// Whose first password the code is.
    user: &'a str,
    problem: String,
}

/// Make the first user when there is none.
///
/// # Errors
/// [`ConsoleError`].
pub async fn ensure_first_user(console: &Console) -> Result<(), ConsoleError> {
    if !console.store.no_users().map_err(ConsoleError::Users)? {
        return Ok(());
    }
    let failed = |e: &dyn ToString| ConsoleError::FirstPassword(e.to_string());
    let first = password::random().map_err(|e| failed(&e))?;
    let path = console.data_dir.join(FIRST_PASSWORD);
    let hash = console.hasher.hash(first.clone()).await.map_err(|e| failed(&e))?;
    write_private(&path, format!("{first}\n")).map_err(|e| failed(&e))?;
    let user = User::first(hash, clock::unix_ms());
    console.accounts.keep(FIRST_USER, &user).await.map_err(ConsoleError::Users)?;
    tracing::info!("first user is {FIRST_USER:?}, its password is in {}", path.display());
    Ok(())
}

/// Whether nobody has claimed the appliance: the first password of its first user
/// waits to be changed (SEC-002). One that another administrator gave has an end.
#[must_use]
pub fn is_unclaimed(console: &Console) -> bool {
    let first = |user: &User| user.must_change && user.first_until_unix_ms.is_none();
    console.accounts.user(FIRST_USER).is_ok_and(|user| user.as_ref().is_some_and(first))
}

/// The page that asks for the claim code, and what was wrong with the last one.
pub fn page(spoken: &Spoken, problem: Option<&Problem>) -> Response {
    let status = problem.map_or(StatusCode::OK, Problem::status);
    let problem = problem.map_or_else(String::new, |problem| spoken.problem(problem));
    let (lang, user) = (spoken.lang, FIRST_USER);
    spoken.show(status, &ClaimPage { version: &VERSION, lang, user, problem })
}

impl ClaimPage<'_> {
    fn word(&self, name: &str) -> String {
        words().word(self.lang, name)
    }

    const fn languages(&self) -> [Lang; Lang::ALL.len()] {
        Lang::ALL
    }
}
