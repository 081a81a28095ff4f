//! The accounts page: users, groups, roles, tokens, and who else decides about
//! sign-ins. A plain page that needs no script (UX-086); a form becomes the same
//! request as the API's.

use super::api::accounts::{
    GroupOut, NewUserIn, RoleOut, TokenIn, TokenOut, UserIn, UserOut, groups_of, roles_of,
    tokens_of, users_of,
};
use super::api::sessions::{self, SessionOut};
use super::by::By;
use super::page::{self, VERSION};
use super::pages::fields::{Fields, Sent};
use super::pages::reader::Reader;
use super::problem::Problem;
use super::sign_in_settings::{self, SignInOut};
use super::who::Who;
use super::{Console, clock, required_factor};
use crate::accounts::rights::{Area, Level};
use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use fluent_bundle::FluentArgs;
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
pub async fn accounts(State(console): State<Arc<Console>>, reader: Reader) -> page::Answer {
    show(&console, &reader, None)
}

/// A form was sent.
pub async fn act(by: By, reader: Reader, Sent(fields): Sent<Fields>) -> page::Answer {
    match perform(&by, &reader, &fields).await? {
        Some(secret) => show(&by.console, &reader, Some(secret)),
        None => Ok(Redirect::to("/accounts").into_response()),
    }
}

fn show(console: &Console, reader: &Reader, secret: Option<Secret>) -> page::Answer {
    let page = AccountsPage {
        version: &VERSION,
        who: reader.who(Area::Accounts, Level::Configure),
        users: users_of(console)?,
        groups: groups_of(console)?,
        roles: roles_of(console)?,
        tokens: tokens_of(console)?,
        sign_in: sign_in_settings::present(console),
        sessions: sessions::listed(console, &reader.caller),
        secret,
    };
    Ok(reader.show(StatusCode::OK, &page))
}

async fn perform(by: &By, reader: &Reader, fields: &Fields) -> Result<Option<Secret>, Problem> {
    let name = fields.one("name");
    let first = |first: super::api::accounts::FirstPassword| {
        let mut args = FluentArgs::new();
        args.set("user", first.user);
        args.set("until", clock::utc(first.until_unix_ms));
        Secret {
            what: reader.say("page-accounts-first-of", &args),
            text: first.first_password,
            remark: reader.say("page-accounts-first-help", &args),
        }
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
        "require-factor" => required_factor::require(by, fields.all("role")).await?,
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
                what: format!("{} {}", reader.word("page-accounts-token"), made.id),
                text: made.token,
                remark: reader.word("page-accounts-token-help"),
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

    fn area_word(&self, area: &Area) -> String {
        self.who.word(&format!("page-area-{}", area.as_str()))
    }

    fn level_word(&self, level: &Level) -> String {
        self.who.word(&format!("page-level-{}", level.as_str()))
    }

    /// What is allowed, in a row.
    fn allowed(&self, rights: &BTreeMap<Area, Level>) -> String {
        let all = |level: &Level| *level == Level::Configure;
        if rights.len() == Area::ALL.len() && rights.values().all(all) {
            return self.who.word("page-accounts-everything");
        }
        let one = |(area, level)| format!("{}: {}", self.area_word(area), self.level_word(level));
        let words: Vec<_> = rights.iter().map(one).collect();
        if words.is_empty() { self.who.word("page-level-none") } else { words.join(", ") }
    }

    fn any_required(&self) -> bool {
        self.roles.iter().any(|role| role.second_factor_required)
    }

    /// A time in UTC, or that there is none.
    fn at(&self, unix_ms: &Option<u64>) -> String {
        unix_ms.map_or_else(|| self.who.word("page-accounts-never"), clock::utc)
    }

    fn time(&self, unix_ms: &u64) -> String {
        clock::utc(*unix_ms)
    }
}

/// Names with commas between them.
fn listed(names: &BTreeSet<String>) -> String {
    names.iter().cloned().collect::<Vec<_>>().join(", ")
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
        assert_eq!(listed(&BTreeSet::from(["b".to_owned(), "a".to_owned()])), "a, b");
    }
}
