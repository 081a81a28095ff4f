//! Users, groups, roles and tokens over the API. Nobody gives or takes more
//! than they have themselves, and somebody who may do everything always stays
//! ([`crate::accounts::book`]). [`acts`] carries out what is wanted.

pub mod acts;

use crate::accounts::book::{BUILT_IN, Refusal};
use crate::accounts::rights::{Area, Level, Rights};
use crate::console::Console;
use crate::console::access::bad_json;
use crate::console::by::By;
use crate::console::gate::nothing_here;
use crate::console::path::Path;
use crate::console::problem::Problem;
use crate::console::routes::{self, Permission};
use acts::refused;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Json, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use utoipa::ToSchema;

/// A local user.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserOut {
    /// Name.
    pub name: String,
    /// Roles of their own.
    pub roles: BTreeSet<String>,
    /// Groups.
    pub groups: BTreeSet<String>,
    /// What all of them allow.
    pub rights: BTreeMap<Area, Level>,
    /// They may not sign in.
    pub disabled: bool,
    /// They may not sign in from then on.
    pub expires_unix_ms: Option<u64>,
    /// They have a first password, and must change it.
    pub must_change_password: bool,
    /// When the password was set last.
    pub password_unix_ms: u64,
    /// They are asked for a second factor, too.
    pub second_factor: bool,
    /// One of their roles requires it.
    pub second_factor_required: bool,
}

/// What a user is to be.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserIn {
    /// Roles of their own.
    #[serde(default)]
    pub roles: BTreeSet<String>,
    /// Groups.
    #[serde(default)]
    pub groups: BTreeSet<String>,
    /// They may not sign in.
    #[serde(default)]
    pub disabled: bool,
    /// They may not sign in from then on.
    #[serde(default)]
    pub expires_unix_ms: Option<u64>,
}

/// A new user.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUserIn {
    /// Name: 1 to 64 of a-z, 0-9, '.', '_', '-'.
    pub name: String,
    /// Roles of their own.
    #[serde(default)]
    pub roles: BTreeSet<String>,
    /// Groups.
    #[serde(default)]
    pub groups: BTreeSet<String>,
    /// They may not sign in from then on.
    #[serde(default)]
    pub expires_unix_ms: Option<u64>,
}

/// A password to be told to its user.
#[derive(Debug, Serialize, ToSchema)]
pub struct FirstPassword {
    /// Name of the user.
    pub user: String,
    /// Shown once; they must change it at their first sign-in.
    pub first_password: String,
    /// It counts until then.
    pub until_unix_ms: u64,
}

/// A role.
#[derive(Debug, Serialize, ToSchema)]
pub struct RoleOut {
    /// Name.
    pub name: String,
    /// It comes with the appliance and stays as it is.
    pub built_in: bool,
    /// What it allows.
    pub rights: BTreeMap<Area, Level>,
    /// Local users who have it need a second factor.
    pub second_factor_required: bool,
}

/// What a role is to allow.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleIn {
    /// The levels; an area that is left out is not allowed.
    pub rights: BTreeMap<Area, Level>,
}

/// A path that a role opens.
#[derive(Debug, Serialize, ToSchema)]
pub struct SeenOut {
    /// `GET` or `POST`.
    pub method: String,
    /// The path.
    pub path: String,
    /// The area that it belongs to.
    pub area: Area,
    /// The level that it needs there.
    pub level: Level,
}

/// A group.
#[derive(Debug, Serialize, ToSchema)]
pub struct GroupOut {
    /// Name.
    pub name: String,
    /// Roles of its members.
    pub roles: BTreeSet<String>,
    /// Its members.
    pub members: Vec<String>,
}

/// What a group is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupIn {
    /// Roles of its members.
    pub roles: BTreeSet<String>,
}

/// A token, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenOut {
    /// Id; the second part of the token.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// The local user in whose name it acts.
    pub owner: String,
    /// What it may do, as far as its owner may.
    pub scopes: BTreeMap<Area, Level>,
    /// When it was made.
    pub created_unix_ms: u64,
    /// From when it counts no more.
    pub expires_unix_ms: Option<u64>,
}

/// A new token.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenIn {
    /// What it is for: 1 to 64 characters.
    pub name: String,
    /// The local user in whose name it acts; left out: who asks for it.
    #[serde(default)]
    pub owner: Option<String>,
    /// What it may do, as far as its owner may.
    pub scopes: BTreeMap<Area, Level>,
    /// From when it counts no more.
    #[serde(default)]
    pub expires_unix_ms: Option<u64>,
}

/// A token for its holder.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewTokenOut {
    /// Id.
    pub id: String,
    /// The token, shown once; send it as `Authorization: Bearer …`.
    pub token: String,
}

/// All local users.
#[utoipa::path(get, path = "/api/v1/users", tag = "accounts",
    responses((status = 200, body = Vec<UserOut>)))]
pub async fn users(State(console): State<Arc<Console>>) -> Result<Json<Vec<UserOut>>, Problem> {
    users_of(&console).map(Json)
}

/// Add a user; the answer has their first password, which counts for 15
/// minutes and must be changed.
#[utoipa::path(post, path = "/api/v1/users", request_body = NewUserIn, tag = "accounts", responses(
    (status = 201, body = FirstPassword),
    (status = 409, body = Problem, description = "Refused; the detail says why")))]
pub async fn add_user(
    by: By,
    body: Result<Json<NewUserIn>, JsonRejection>,
) -> Result<(StatusCode, Json<FirstPassword>), Problem> {
    let Json(wanted) = body.map_err(bad_json)?;
    by.add_user(wanted).await.map(|first| (StatusCode::CREATED, Json(first)))
}

/// Change what a user may do. Their sessions end.
#[utoipa::path(post, path = "/api/v1/users/{name}", request_body = UserIn, tag = "accounts",
    params(("name" = String, Path)), responses(
    (status = 204, description = "Done"),
    (status = 409, body = Problem, description = "Refused; the detail says why")))]
pub async fn put_user(
    by: By,
    Path(name): Path<String>,
    body: Result<Json<UserIn>, JsonRejection>,
) -> Result<StatusCode, Problem> {
    let Json(wanted) = body.map_err(bad_json)?;
    by.put_user(&name, wanted).await.map(|()| StatusCode::NO_CONTENT)
}

/// Remove a user (`delete`), give them another first password (`reset`), or ask them
/// for their password alone (`remove-second-factor`).
#[utoipa::path(post, path = "/api/v1/users/{name}/{action}", tag = "accounts",
    params(("name" = String, Path), ("action" = String, Path)), responses(
    (status = 200, body = FirstPassword, description = "After `reset`"),
    (status = 204, description = "After `delete` and `remove-second-factor`"),
    (status = 404, body = Problem, description = "There is no such action"),
    (status = 409, body = Problem, description = "Refused; the detail says why")))]
pub async fn act_on_user(
    by: By,
    Path((name, action)): Path<(String, String)>,
) -> Result<Response, Problem> {
    match action.as_str() {
        "delete" => by.remove_user(&name).await.map(|()| StatusCode::NO_CONTENT.into_response()),
        "remove-second-factor" => {
            by.remove_second_factor(&name).await.map(|()| StatusCode::NO_CONTENT.into_response())
        }
        "reset" => by.reset_password(&name).await.map(|first| Json(first).into_response()),
        _ => Err(nothing_here()),
    }
}

/// All roles.
#[utoipa::path(get, path = "/api/v1/roles", tag = "accounts",
    responses((status = 200, body = Vec<RoleOut>)))]
pub async fn roles(State(console): State<Arc<Console>>) -> Result<Json<Vec<RoleOut>>, Problem> {
    roles_of(&console).map(Json)
}

/// Every path that a role opens: what whoever has it can see and do.
#[utoipa::path(get, path = "/api/v1/roles/{name}/preview", tag = "accounts",
    params(("name" = String, Path)), responses((status = 200, body = Vec<SeenOut>),
    (status = 409, body = Problem, description = "There is no such role")))]
pub async fn preview(
    State(console): State<Arc<Console>>,
    Path(name): Path<String>,
) -> Result<Json<Vec<SeenOut>>, Problem> {
    let book = console.accounts.book().map_err(|e| Problem::store(&e))?;
    let rights = book.role(&name).ok_or(Refusal::Unknown { what: "role", name });
    Ok(Json(seen(&rights.map_err(|refusal| refused(&refusal))?)))
}

/// Make or change a role. It holds at once for everybody who has it.
#[utoipa::path(post, path = "/api/v1/roles/{name}", request_body = RoleIn, tag = "accounts",
    params(("name" = String, Path)), responses(
    (status = 204, description = "Done"),
    (status = 409, body = Problem, description = "Refused; the detail says why")))]
pub async fn put_role(
    by: By,
    Path(name): Path<String>,
    body: Result<Json<RoleIn>, JsonRejection>,
) -> Result<StatusCode, Problem> {
    let Json(RoleIn { rights }) = body.map_err(bad_json)?;
    by.put_role(&name, &rights).await.map(|()| StatusCode::NO_CONTENT)
}

/// Forget a role that nobody has.
#[utoipa::path(post, path = "/api/v1/roles/{name}/delete", tag = "accounts",
    params(("name" = String, Path)), responses(
    (status = 204, description = "Done"),
    (status = 409, body = Problem, description = "Refused; the detail says why")))]
pub async fn delete_role(by: By, Path(name): Path<String>) -> Result<StatusCode, Problem> {
    by.remove_role(&name).await.map(|()| StatusCode::NO_CONTENT)
}

/// All groups.
#[utoipa::path(get, path = "/api/v1/groups", tag = "accounts",
    responses((status = 200, body = Vec<GroupOut>)))]
pub async fn groups(State(console): State<Arc<Console>>) -> Result<Json<Vec<GroupOut>>, Problem> {
    groups_of(&console).map(Json)
}

/// Make or change a group. It holds at once for its members.
#[utoipa::path(post, path = "/api/v1/groups/{name}", request_body = GroupIn, tag = "accounts",
    params(("name" = String, Path)), responses(
    (status = 204, description = "Done"),
    (status = 409, body = Problem, description = "Refused; the detail says why")))]
pub async fn put_group(
    by: By,
    Path(name): Path<String>,
    body: Result<Json<GroupIn>, JsonRejection>,
) -> Result<StatusCode, Problem> {
    let Json(GroupIn { roles }) = body.map_err(bad_json)?;
    by.put_group(&name, roles).await.map(|()| StatusCode::NO_CONTENT)
}

/// Forget a group without members.
#[utoipa::path(post, path = "/api/v1/groups/{name}/delete", tag = "accounts",
    params(("name" = String, Path)), responses(
    (status = 204, description = "Done"),
    (status = 409, body = Problem, description = "Refused; the detail says why")))]
pub async fn delete_group(by: By, Path(name): Path<String>) -> Result<StatusCode, Problem> {
    by.remove_group(&name).await.map(|()| StatusCode::NO_CONTENT)
}

/// All tokens, without their secrets.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "accounts",
    responses((status = 200, body = Vec<TokenOut>)))]
pub async fn tokens(State(console): State<Arc<Console>>) -> Result<Json<Vec<TokenOut>>, Problem> {
    tokens_of(&console).map(Json)
}

/// Make a token for a program; it is shown in the answer alone.
#[utoipa::path(post, path = "/api/v1/tokens", request_body = TokenIn, tag = "accounts", responses(
    (status = 201, body = NewTokenOut),
    (status = 409, body = Problem, description = "Refused; the detail says why")))]
pub async fn add_token(
    by: By,
    body: Result<Json<TokenIn>, JsonRejection>,
) -> Result<(StatusCode, Json<NewTokenOut>), Problem> {
    let Json(wanted) = body.map_err(bad_json)?;
    by.add_token(wanted).await.map(|made| (StatusCode::CREATED, Json(made)))
}

/// Withdraw a token: it counts no more, and its streams end.
#[utoipa::path(post, path = "/api/v1/tokens/{id}/delete", tag = "accounts",
    params(("id" = String, Path)), responses(
    (status = 204, description = "Done"),
    (status = 409, body = Problem, description = "There is no such token")))]
pub async fn delete_token(by: By, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    by.remove_token(&id).await.map(|()| StatusCode::NO_CONTENT)
}

/// All local users, for API and page.
///
/// # Errors
/// [`Problem`].
pub fn users_of(console: &Console) -> Result<Vec<UserOut>, Problem> {
    let read = || Ok((console.accounts.book()?, console.accounts.users()?));
    let (book, users) = read().map_err(|e| Problem::store(&e))?;
    let required = console.accounts.required();
    let out = users.into_iter().map(|(name, user)| UserOut {
        name,
        rights: book.rights(&user).by_name(),
        second_factor_required: required.of(&book, &user).is_some(),
        roles: user.roles,
        groups: user.groups,
        disabled: user.disabled,
        expires_unix_ms: user.expires_unix_ms,
        must_change_password: user.must_change,
        password_unix_ms: user.changed_unix_ms,
        second_factor: user.second_factor.is_some(),
    });
    Ok(out.collect())
}

/// All roles, those that come with the appliance first.
///
/// # Errors
/// [`Problem`].
pub fn roles_of(console: &Console) -> Result<Vec<RoleOut>, Problem> {
    let book = console.accounts.book().map_err(|e| Problem::store(&e))?;
    let required = console.accounts.required();
    let names = BUILT_IN.into_iter().chain(book.roles.keys().map(String::as_str));
    let role = |name: &str| RoleOut {
        second_factor_required: required.roles.contains(name),
        name: name.to_owned(),
        built_in: BUILT_IN.contains(&name),
        rights: book.role(name).unwrap_or_default().by_name(),
    };
    Ok(names.map(role).collect())
}

/// All groups.
///
/// # Errors
/// [`Problem`].
pub fn groups_of(console: &Console) -> Result<Vec<GroupOut>, Problem> {
    let read = || Ok((console.accounts.book()?, console.accounts.users()?));
    let (book, users) = read().map_err(|e| Problem::store(&e))?;
    let group = |(name, roles): (&String, &BTreeSet<String>)| {
        let members = users.iter().filter(|(_, user)| user.groups.contains(name));
        let members = members.map(|(user, _)| user.clone()).collect();
        GroupOut { name: name.clone(), roles: roles.clone(), members }
    };
    Ok(book.groups.iter().map(group).collect())
}

/// All tokens.
///
/// # Errors
/// [`Problem`].
pub fn tokens_of(console: &Console) -> Result<Vec<TokenOut>, Problem> {
    let book = console.accounts.book().map_err(|e| Problem::store(&e))?;
    let out = book.tokens.iter().map(|(id, token)| TokenOut {
        id: id.clone(),
        name: token.name.clone(),
        owner: token.owner.clone(),
        scopes: token.scopes.clone(),
        created_unix_ms: token.created_unix_ms,
        expires_unix_ms: token.expires_unix_ms,
    });
    Ok(out.collect())
}

/// Every path that these rights open.
fn seen(rights: &Rights) -> Vec<SeenOut> {
    let row = |route: routes::Route| {
        let (area, level) = match route.permission {
            // Whoever holds the token of the configuration sees it, too.
            Permission::Metrics => (Area::System, Level::View),
            permission => permission.needs()?,
        };
        let (method, path) = (route.method.to_string(), route.path.to_owned());
        rights.allow(area, level).then_some(SeenOut { method, path, area, level })
    };
    routes::table().into_iter().filter_map(row).collect()
}
