//! Which authenticators decide about the accounts that are not kept here, and
//! which roles their words give: over the HTTP API and on the accounts page.
//!
//! `[login]` of the configuration file comes first; where it names nobody, what
//! is decided here holds at once and is kept in the store.

use super::Console;
use super::access::bad_json;
use super::by::By;
use super::page;
use super::pages::fields::Sent;
use super::problem::Problem;
use super::remote::Remote;
use crate::accounts::book::BUILT_IN;
use crate::login::LoginSettings;
use crate::store::{Store, StoreError};
use axum::extract::rejection::JsonRejection;
use axum::extract::{Json, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use evenkeel_core::settings::forms::Kind;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::ToSchema;

/// Name of the document in the store.
pub const DOCUMENT: Kind = Kind::first("login");
/// Most words that give a role, and most bytes of one.
const WORDS_MAX: usize = 64;
const WORD_LEN_MAX: usize = 253;

/// Who else decides about sign-ins.
#[derive(Debug, Serialize, ToSchema)]
pub struct SignInOut {
    /// Plugins by their ids, in the order in which they are asked.
    pub authenticators: Vec<String>,
    /// Words of authenticators and the role that each gives.
    pub roles: BTreeMap<String, String>,
    /// The configuration file says so: it cannot be changed here.
    pub by_file: bool,
    /// The authenticators that are installed.
    pub installed: Vec<String>,
}

/// Who else shall decide about sign-ins.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignInIn {
    /// Plugins by their ids, in the order in which they are asked; none: the
    /// accounts that are kept here decide alone.
    pub authenticators: Vec<String>,
    /// Words of authenticators and the role that each gives.
    pub roles: BTreeMap<String, String>,
}

/// The form for it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignInForm {
    /// Names with spaces or commas between them.
    #[serde(default)]
    authenticators: String,
    /// One `word = role` a line.
    #[serde(default)]
    roles: String,
}

/// Which authenticators are asked, and what their words mean.
#[utoipa::path(get, path = "/api/v1/sign-in", tag = "access",
    responses((status = 200, body = SignInOut)))]
pub async fn get(State(console): State<Arc<Console>>) -> Json<SignInOut> {
    Json(present(&console))
}

/// Have other authenticators asked, or change what their words mean. Sessions
/// that were begun go on.
#[utoipa::path(post, path = "/api/v1/sign-in", request_body = SignInIn, tag = "access",
    responses((status = 200, body = SignInOut),
    (status = 409, body = Problem, description = "`by-file`: the configuration file decides; \
        `refused`: the detail says why")))]
pub async fn put(
    by: By,
    body: Result<Json<SignInIn>, JsonRejection>,
) -> Result<Json<SignInOut>, Problem> {
    let Json(wanted) = body.map_err(bad_json)?;
    change(&by, wanted).await?;
    Ok(Json(present(&by.console)))
}

/// The same from the page's form.
pub async fn put_form(by: By, Sent(form): Sent<SignInForm>) -> page::Answer {
    change(&by, form.wanted().map_err(Problem::bad_request)?).await?;
    Ok(Redirect::to("/accounts").into_response())
}

/// What was decided here before, if anything was.
///
/// # Errors
/// When the store cannot be read.
pub fn kept(store: &Store) -> Result<Option<LoginSettings>, StoreError> {
    let kept = store.settings(&DOCUMENT)?.into_iter().next();
    let parse =
        |text: String| toml::from_str(&text).map_err(|_| StoreError::Record { what: "sign-in" });
    kept.map(|revision| parse(revision.text)).transpose()
}

/// What is in force.
pub(super) fn present(console: &Console) -> SignInOut {
    let remote: &Remote = &console.remote;
    let LoginSettings { authenticators, roles } = remote.settings();
    SignInOut { authenticators, roles, by_file: remote.by_file(), installed: installed(console) }
}

fn installed(console: &Console) -> Vec<String> {
    let plugins = console.plugins.plugins().into_iter();
    plugins.filter(|p| p.world == "authenticator").map(|p| p.name).collect()
}

impl SignInForm {
    fn wanted(&self) -> Result<SignInIn, String> {
        let names = self.authenticators.split([' ', ',', '\r', '\n']);
        let names = names.filter(|name| !name.is_empty()).map(str::to_owned).collect();
        let lines = self.roles.lines().map(str::trim).filter(|line| !line.is_empty());
        let role = |line: &str| {
            let wrong = || format!("{line:?} is not like word = admin, with one of the roles");
            let (word, role) = line.rsplit_once('=').ok_or_else(wrong)?;
            let (word, role) = (word.trim(), role.trim());
            match word.is_empty() || role.is_empty() {
                true => Err(wrong()),
                false => Ok((word.to_owned(), role.to_owned())),
            }
        };
        let roles = lines.map(role).collect::<Result<_, String>>()?;
        Ok(SignInIn { authenticators: names, roles })
    }
}

async fn change(by: &By, wanted: SignInIn) -> Result<(), Problem> {
    let names = wanted.authenticators.join(", ");
    let order = match names.as_str() {
        "" => "let the accounts that are kept here decide alone about sign-ins".to_owned(),
        names => format!("let {} decide about sign-ins", crate::caps::one_line(names, 200)),
    };
    let done = accept(by, wanted).await;
    by.told(order, done).await
}

async fn accept(by: &By, wanted: SignInIn) -> Result<(), Problem> {
    let SignInIn { authenticators, roles } = wanted;
    let settings = checked(by, LoginSettings { authenticators, roles })?;
    let text = toml::to_string(&settings).expect("text keys and plain values");
    let kept = by.console.store.keep_settings(&DOCUMENT, &text).done().await;
    kept.map_err(|e| Problem::store(&e))?;
    by.console.remote.set(settings);
    Ok(())
}

/// Settings that this person may have in force.
pub(super) fn checked(
    By { console, caller, .. }: &By,
    wanted: LoginSettings,
) -> Result<LoginSettings, Problem> {
    let refused = |kind, detail: String| {
        Problem::new(StatusCode::CONFLICT, kind, "The sign-in is as it was").detail(detail)
    };
    if console.remote.by_file() {
        let text = "[login] of the configuration file decides; change it there".to_owned();
        return Err(refused("by-file", text));
    }
    let LoginSettings { authenticators, roles } = wanted;
    if roles.len() > WORDS_MAX || roles.keys().any(|w| w.is_empty() || w.len() > WORD_LEN_MAX) {
        let text = format!("at most {WORDS_MAX} words of 1 to {WORD_LEN_MAX} bytes give roles");
        return Err(refused("refused", text));
    }
    let book = console.accounts.book().map_err(|e| Problem::store(&e))?;
    for (word, role) in &roles {
        let Some(rights) = book.role(role) else {
            let there = BUILT_IN.into_iter().chain(book.roles.keys().map(String::as_str));
            let there = there.collect::<Vec<_>>().join(", ");
            let why = format!("{word:?} gives {role:?}, which is none of the roles: {there}");
            return Err(refused("refused", why));
        };
        if !caller.rights.include(&rights) {
            let why = format!("{word:?} gives the role {role}, which may more than you");
            return Err(refused("refused", why));
        }
    }
    let settings = LoginSettings { authenticators, roles };
    let installed = installed(console);
    let installed: Vec<&str> = installed.iter().map(String::as_str).collect();
    settings.check(&installed).map_err(|why| refused("refused", why))?;
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(authenticators: &str, roles: &str) -> Result<SignInIn, String> {
        SignInForm { authenticators: authenticators.into(), roles: roles.into() }.wanted()
    }

    #[test]
    fn a_form_is_read_as_people_write_it() {
        let read = wanted("radius, second", "CN=ops,OU=a = admin\r\n\r\nall=viewer").expect("good");
        assert_eq!(read.authenticators, ["radius", "second"]);
        let roles: Vec<_> = read.roles.into_iter().collect();
        let ops = ("CN=ops,OU=a".to_owned(), "admin".to_owned());
        assert_eq!(roles, [ops, ("all".to_owned(), "viewer".to_owned())]);
        for line in ["ops", "= admin", "ops ="] {
            assert!(wanted("", line).expect_err(line).contains("word = admin"));
        }
    }
}
