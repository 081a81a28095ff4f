//! Signing in and out and changing passwords, from forms and from programs
//! (facts/appliance-security.md §2.1 – §2.4).
//!
//! The first user is `admin` with a random password, written to
//! `<data_dir>/first-password` for whoever can read that file; it must be
//! changed before anything else is reachable, and the file goes then.

use super::gate::Peer;
use super::password::{self, HashError};
use super::problem::Problem;
use super::session::{Caller, Token};
use super::{Console, ConsoleError, page};
use crate::clock;
use crate::files::write_private;
use crate::store::StoreError;
use axum::extract::rejection::{FormRejection, JsonRejection};
use axum::extract::{Extension, Form, Json, State};
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderName, StatusCode};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use evenkeel_core::events::Event;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;
use utoipa::ToSchema;

/// Name of the file with the first password, in the data directory.
pub const FIRST_PASSWORD: &str = "first-password";
const FIRST_USER: &str = "admin";

/// Who wants to sign in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// User name.
    user: String,
    /// Password.
    password: String,
}

/// A new password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPassword {
    /// The present one.
    old: String,
    /// The new one, at least 15 characters.
    new: String,
    /// The new one again.
    again: String,
}

/// Who signed in.
#[derive(Serialize, ToSchema)]
pub struct SignedIn {
    /// User name.
    user: String,
    /// The password must be changed before anything else is reachable.
    must_change_password: bool,
}

/// What is kept of a user.
#[derive(Serialize, Deserialize)]
struct User {
    /// argon2id, in PHC form.
    hash: String,
    must_change: bool,
    changed_unix_ms: u64,
}

type Cookie = AppendHeaders<[(HeaderName, String); 1]>;

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
    let user = User { hash, must_change: true, changed_unix_ms: clock::unix_ms() };
    keep(console, FIRST_USER, &user).await.map_err(ConsoleError::Users)?;
    tracing::info!("first user is {FIRST_USER:?}, its password is in {}", path.display());
    Ok(())
}

/// Sign in; sets the session cookie.
#[utoipa::path(post, path = "/api/v1/login", request_body = Login, tag = "access", responses(
    (status = 200, body = SignedIn),
    (status = 401, body = Problem, description = "Wrong user or password"),
    (status = 429, body = Problem, description = "Too many attempts; retry_after_s says when")))]
pub async fn login(
    State(console): State<Arc<Console>>,
    Extension(Peer(from)): Extension<Peer>,
    body: Result<Json<Login>, JsonRejection>,
) -> Result<(Cookie, Json<SignedIn>), Problem> {
    let Json(login) = body.map_err(bad_json)?;
    let (cookie, signed_in) = sign_in(&console, from, login).await?;
    Ok((cookie, Json(signed_in)))
}

/// The same from the page's form.
pub async fn login_form(
    State(console): State<Arc<Console>>,
    Extension(Peer(from)): Extension<Peer>,
    form: Result<Form<Login>, FormRejection>,
) -> Response {
    let attempt = async {
        let Form(login) = form.map_err(|e| Problem::bad_request(e.body_text()))?;
        sign_in(&console, from, login).await
    };
    match attempt.await {
        Ok((cookie, who)) => {
            let next = if who.must_change_password { "/password" } else { "/" };
            (cookie, Redirect::to(next)).into_response()
        }
        Err(problem) => page::login_again(&problem),
    }
}

/// Change the password; ends all other sessions of this user and sets a new
/// session cookie.
#[utoipa::path(post, path = "/api/v1/password", request_body = NewPassword, tag = "access", responses(
    (status = 200, body = SignedIn),
    (status = 401, body = Problem, description = "The present password is wrong"),
    (status = 422, body = Problem, description = "The new password is not good enough")))]
pub async fn password(
    State(console): State<Arc<Console>>,
    Extension(Peer(from)): Extension<Peer>,
    Extension(caller): Extension<Caller>,
    body: Result<Json<NewPassword>, JsonRejection>,
) -> Result<(Cookie, Json<SignedIn>), Problem> {
    let Json(wish) = body.map_err(bad_json)?;
    let cookie = change(&console, from, &caller, wish).await?;
    Ok((cookie, Json(SignedIn { user: caller.user, must_change_password: false })))
}

/// The same from the page's form.
pub async fn password_form(
    State(console): State<Arc<Console>>,
    Extension(Peer(from)): Extension<Peer>,
    Extension(caller): Extension<Caller>,
    form: Result<Form<NewPassword>, FormRejection>,
) -> Response {
    let attempt = async {
        let Form(wish) = form.map_err(|e| Problem::bad_request(e.body_text()))?;
        change(&console, from, &caller, wish).await
    };
    match attempt.await {
        Ok(cookie) => (cookie, Redirect::to("/")).into_response(),
        Err(problem) => page::password_again(&caller, &problem),
    }
}

/// Who is signed in. Asking is no activity: it does not prolong the session.
#[utoipa::path(get, path = "/api/v1/session", tag = "access",
    responses((status = 200, body = SignedIn), (status = 401, body = Problem)))]
pub async fn session(Extension(caller): Extension<Caller>) -> Json<SignedIn> {
    Json(SignedIn { user: caller.user, must_change_password: caller.must_change })
}

/// Sign out; ends the session and its streams.
#[utoipa::path(post, path = "/api/v1/logout", tag = "access",
    responses((status = 204, description = "Signed out")))]
pub async fn logout(
    State(console): State<Arc<Console>>,
    Extension(Peer(from)): Extension<Peer>,
    Extension(caller): Extension<Caller>,
) -> Response {
    (StatusCode::NO_CONTENT, sign_out(&console, from, caller)).into_response()
}

/// The same from the page's button.
pub async fn logout_form(
    State(console): State<Arc<Console>>,
    Extension(Peer(from)): Extension<Peer>,
    Extension(caller): Extension<Caller>,
) -> Response {
    (sign_out(&console, from, caller), Redirect::to("/login")).into_response()
}

async fn sign_in(
    console: &Console,
    from: IpAddr,
    login: Login,
) -> Result<(Cookie, SignedIn), Problem> {
    let name = login.user;
    // One name for all that cannot be a user: they share one throttle.
    let account = if is_user_name(&name) { name.clone() } else { String::new() };
    let user = user(console, &account)?;
    let hash = user.as_ref().map(|u| u.hash.clone());
    let right = judged(console, &account, from, login.password, hash).await?;
    let (true, Some(user)) = (right, user) else {
        // People type passwords into name fields.
        let known = if known(console, &account) { &account } else { "unknown user" };
        console.sign_in_failed(known, from);
        return Err(wrong("Wrong user or password"));
    };
    console.throttle().succeeded(&account, from, clock::now());
    let cookie = begin(console, &name, user.must_change)?;
    console.store.record(Event::Login { user: name.clone(), from: from.to_string() });
    Ok((cookie, SignedIn { user: name, must_change_password: user.must_change }))
}

async fn change(
    console: &Console,
    from: IpAddr,
    caller: &Caller,
    wish: NewPassword,
) -> Result<Cookie, Problem> {
    let name = &caller.user;
    password::check(name, &wish.old, &wish.new, &wish.again).map_err(|weak| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "password", "The new password is refused")
            .detail(weak.to_string())
    })?;
    let hash = user(console, name)?.map(|u| u.hash);
    if !judged(console, name, from, wish.old, hash).await? {
        console.sign_in_failed(name, from);
        return Err(wrong("The present password is wrong"));
    }
    console.throttle().succeeded(name, from, clock::now());
    let hash = console.hasher.hash(wish.new).await.map_err(hash_problem)?;
    let user = User { hash, must_change: false, changed_unix_ms: clock::unix_ms() };
    keep(console, name, &user).await.map_err(|e| Problem::store(&e))?;
    if name == FIRST_USER {
        // Already gone after the first change.
        let _ = std::fs::remove_file(console.data_dir.join(FIRST_PASSWORD));
    }
    console.throttle().password_changed(name, from);
    console.sessions().end_all(name);
    console.store.record(Event::PasswordChanged { user: name.clone(), from: from.to_string() });
    begin(console, name, false)
}

/// True when the password is right, as often as somebody may ask. An answer
/// that the appliance could not give is not charged to them.
async fn judged(
    console: &Console,
    account: &str,
    from: IpAddr,
    password: String,
    hash: Option<String>,
) -> Result<bool, Problem> {
    console.throttle().attempt(account, from, clock::now()).map_err(|w| throttled(w.seconds))?;
    // Longer than any password: the same answer without the length's work.
    let password = if password.len() > 4 * password::CHARS_MAX { String::new() } else { password };
    let answer = console.hasher.verify(password, hash).await;
    answer.map_err(|e| {
        console.throttle().not_judged(account, from);
        hash_problem(e)
    })
}

fn sign_out(
    console: &Console,
    from: IpAddr,
    caller: Caller,
) -> AppendHeaders<[(HeaderName, String); 2]> {
    console.sessions().end(caller.session);
    console.store.record(Event::Logout { user: caller.user, from: from.to_string() });
    let clear = (HeaderName::from_static("clear-site-data"), "\"cache\", \"storage\"".to_owned());
    AppendHeaders([(SET_COOKIE, Token::clear_cookie()), clear])
}

fn begin(console: &Console, name: &str, must_change: bool) -> Result<Cookie, Problem> {
    let token = Token::random().map_err(|e| hash_problem(HashError::Failed(e.to_string())))?;
    console.sessions().begin(&token, name, must_change, clock::now());
    Ok(AppendHeaders([(SET_COOKIE, token.set_cookie())]))
}

fn user(console: &Console, name: &str) -> Result<Option<User>, Problem> {
    let record = console.store.user(name).map_err(|e| Problem::store(&e))?;
    let parse = |bytes: Vec<u8>| {
        serde_json::from_slice(&bytes)
            .map_err(|_| Problem::store(&StoreError::Record { what: "user" }))
    };
    record.map(parse).transpose()
}

async fn keep(console: &Console, name: &str, user: &User) -> Result<(), StoreError> {
    let record = serde_json::to_vec(user).map_err(|_| StoreError::Record { what: "user" })?;
    console.store.put_user(name, record).done().await
}

fn known(console: &Console, name: &str) -> bool {
    console.store.user(name).is_ok_and(|u| u.is_some())
}

fn is_user_name(name: &str) -> bool {
    (1..=32).contains(&name.len())
        && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
}

fn wrong(detail: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "wrong-password", "Not signed in").detail(detail)
}

fn throttled(seconds: u64) -> Problem {
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "throttled", "Too many attempts")
        .detail(format!("Too many attempts. Try again in {seconds} s"))
        .retry_after(seconds)
}

fn hash_problem(error: HashError) -> Problem {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    match error {
        HashError::Busy => Problem::new(status, "busy", "Too many sign-ins at the same time")
            .detail("Too many sign-ins at the same time. Try again in 5 s")
            .retry_after(5),
        HashError::Failed(_) => {
            tracing::error!("{error}");
            Problem::new(status, "hash", "The password cannot be checked").retry_after(5)
        }
    }
}

/// A body that is not the JSON that was expected.
pub(super) fn bad_json(rejection: JsonRejection) -> Problem {
    let mut problem = Problem::bad_request(rejection.body_text());
    problem.status = rejection.status().as_u16();
    problem
}
