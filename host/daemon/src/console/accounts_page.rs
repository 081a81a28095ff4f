//! The accounts page: users, groups, roles, tokens, and who else decides about
//! sign-ins. A plain page that needs no script (UX-086); a form becomes the same
//! request as the API's.

use super::api::accounts::{
    GroupOut, NewUserIn, RoleOut, TokenIn, TokenOut, UserIn, UserOut, groups_of, roles_of,
    tokens_of, users_of,
};
use super::api::sessions::{self, SessionOut};
use super::by::By;
use super::page::{self, VERSION, render};
use super::pages::fields::{Fields, Sent};
use super::problem::Problem;
use super::session::Caller;
use super::sign_in_settings::{self, SignInOut};
use super::who::Who;
use super::{Console, clock};
use crate::accounts::rights::{Area, Level};
use askama::Template;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Days that the form offers for a token.
const TOKEN_DAYS_MAX: u64 = 3_650;
const DAY_MS: u64 = 24 * 3_600 * 1_000;

#[derive(Template)]
#[template(path = "accounts.html")]
struct AccountsPage<'a> {
    version: &'a str,
    who: Who<'a>,
    users: Vec<UserOut>,
    groups: Vec<GroupOut>,
    roles: Vec<RoleOut>,
    tokens: Vec<TokenOut>,
    sign_in: SignInOut,
    sessions: Vec<SessionOut>,
    secret: Option<Secret>,
}

/// What is shown once.
struct Secret {
    what: String,
    text: String,
    remark: String,
}

/// The page.
pub async fn accounts(
    State(console): State<Arc<Console>>,
    Extension(caller): Extension<Caller>,
) -> page::Answer {
    show(&console, &caller, None)
}

/// A form was sent.
pub async fn act(by: By, Sent(fields): Sent<Fields>) -> page::Answer {
    match perform(&by, &fields).await? {
        Some(secret) => show(&by.console, &by.caller, Some(secret)),
        None => Ok(Redirect::to("/accounts").into_response()),
    }
}

fn show(console: &Console, caller: &Caller, secret: Option<Secret>) -> page::Answer {
    let page = AccountsPage {
        version: &VERSION,
        who: Who::of(caller, Area::Accounts, Level::Configure),
        users: users_of(console)?,
        groups: groups_of(console)?,
        roles: roles_of(console)?,
        tokens: tokens_of(console)?,
        sign_in: sign_in_settings::present(console),
        sessions: sessions::listed(console, caller),
        secret,
    };
    Ok(render(StatusCode::OK, &page))
}

async fn perform(by: &By, fields: &Fields) -> Result<Option<Secret>, Problem> {
    let name = fields.one("name");
    let first = |first: super::api::accounts::FirstPassword| Secret {
        what: format!("First password of {}", first.user),
        text: first.first_password,
        remark: format!(
            "Tell it to them. It counts until {} UTC and must be changed at the first sign-in.",
            clock::utc(first.until_unix_ms)
        ),
    };
    match fields.one("act") {
        "add-user" => {
            let (name, roles) = (name.to_owned(), fields.all("role"));
            let groups = fields.all("group");
            let user = NewUserIn { name, roles, groups, expires_unix_ms: None };
            return by.add_user(user).await.map(|made| Some(first(made)));
        }
        "reset-user" => return by.reset_password(name).await.map(|made| Some(first(made))),
        "put-user" => {
            let present = users_of(&by.console)?.into_iter().find(|user| user.name == name);
            let wanted = UserIn {
                roles: fields.all("role"),
                groups: fields.all("group"),
                disabled: fields.one("disabled") == "yes",
                // The form does not have it: it stays.
                expires_unix_ms: present.and_then(|user| user.expires_unix_ms),
            };
            by.put_user(name, wanted).await?;
        }
        "remove-second-factor" => by.remove_second_factor(name).await?,
        "delete-user" => by.remove_user(name).await?,
        "put-role" => by.put_role(name, &levels(fields)).await?,
        "delete-role" => by.remove_role(name).await?,
        "put-group" => by.put_group(name, fields.all("role")).await?,
        "delete-group" => by.remove_group(name).await?,
        "add-token" => {
            let days = fields.one("days").parse::<u64>().ok();
            let days = days.filter(|days| (1..=TOKEN_DAYS_MAX).contains(days));
            let days = days.ok_or_else(|| {
                Problem::bad_request(format!("the days are a number from 1 to {TOKEN_DAYS_MAX}"))
            })?;
            let token = TokenIn {
                name: name.to_owned(),
                owner: Some(fields.one("owner").to_owned()),
                scopes: levels(fields),
                expires_unix_ms: Some(clock::unix_ms() + days * DAY_MS),
            };
            let made = by.add_token(token).await?;
            return Ok(Some(Secret {
                what: format!("Token {}", made.id),
                text: made.token,
                remark: "Copy it now: it is not kept and cannot be shown again.".to_owned(),
            }));
        }
        "end-session" => sessions::finish(by, fields.one("id")).await?,
        "delete-token" => by.remove_token(fields.one("id")).await?,
        _ => return Err(Problem::bad_request("there is no such button")),
    }
    Ok(None)
}

/// The level of each area, by fields with their names.
fn levels(fields: &Fields) -> BTreeMap<Area, Level> {
    let level = |area: Area| {
        let word = fields.one(area.as_str());
        let level = Level::ALL.into_iter().find(|level| level.as_str() == word)?;
        (level > Level::None).then_some((area, level))
    };
    Area::ALL.into_iter().filter_map(level).collect()
}

impl AccountsPage<'_> {
    fn areas(&self) -> [Area; Area::ALL.len()] {
        Area::ALL
    }

    fn nothing(&self) -> BTreeMap<Area, Level> {
        BTreeMap::new()
    }

    fn levels(&self) -> [Level; Level::ALL.len()] {
        Level::ALL
    }

    fn time(&self, unix_ms: &u64) -> String {
        clock::utc(*unix_ms)
    }
}

/// Names with commas between them.
fn listed(names: &BTreeSet<String>) -> String {
    names.iter().cloned().collect::<Vec<_>>().join(", ")
}

/// What is allowed, in a row.
fn allowed(rights: &BTreeMap<Area, Level>) -> String {
    if rights.len() == Area::ALL.len() && rights.values().all(|level| *level == Level::Configure) {
        return "everything".to_owned();
    }
    let words: Vec<_> = rights.iter().map(|(area, level)| format!("{area}: {level}")).collect();
    if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
}

/// A time in UTC, or that there is none.
fn at(unix_ms: &Option<u64>) -> String {
    unix_ms.map_or_else(|| "never".to_owned(), clock::utc)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_as_forms_send_them() {
        let pairs =
            [("role", "a"), ("audit", "view"), ("alarms", "none"), ("battery", "everything")];
        let fields = Fields(pairs.map(|(n, v)| (n.to_owned(), v.to_owned())).to_vec());
        assert_eq!(levels(&fields), BTreeMap::from([(Area::Audit, Level::View)]));
        assert_eq!(allowed(&levels(&fields)), "audit: view");
        assert_eq!(listed(&BTreeSet::from(["b".to_owned(), "a".to_owned()])), "a, b");
        assert_eq!(allowed(&BTreeMap::new()), "nothing");
        assert_eq!(allowed(&crate::accounts::rights::Rights::ALL.by_name()), "everything");
    }
}
