//! Signing in and out and changing passwords, from forms and from programs
//! (facts/appliance-security.md §2.1 – §2.4).
//!
//! A name that is a local account is decided here, always, and its password is
//! told to nobody: whatever becomes of the authenticators, it works. Other
//! names are asked of them ([`super::remote`]).

use super::by::By;
use super::challenge::{self, CHALLENGE_COOKIE, Question};
use super::claim::{self, FIRST_PASSWORD, FIRST_USER};
use super::gate::{self, Peer};
use super::pages::reader::{Reader, Spoken};
use super::password::{self, HashError};
use super::problem::Problem;
use super::remote::{self, Visitor};
use super::session::{Account, Caller, Shown, Token};
use super::{Console, page, second_factor};
use crate::accounts::AccountError;
use crate::accounts::rights::{Area, Level};
use crate::accounts::user::User;
use crate::clock;
use axum::extract::rejection::{FormRejection, JsonRejection};
use axum::extract::{Extension, Form, Json, State};
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use evenkeel_core::events::Event;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use tokio::time::Instant;
use utoipa::ToSchema;

/// Stands in events for a name that is none of ours.
pub(super) const UNKNOWN: &str = "unknown user";

/// Who wants to sign in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// User name.
    user: String,
    /// Password.
    password: String,
}

/// The answer to a challenge.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// What the person answered.
    answer: String,
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
    /// The roles that give what they may do; a local user's groups give more.
    roles: BTreeSet<String>,
    /// What they may do, by area; areas that are not here do not exist for them.
    rights: BTreeMap<Area, Level>,
    /// Who keeps the account: `local`, or the authenticator.
    origin: String,
    /// The password must be changed before anything else is reachable.
    must_change_password: bool,
    /// After that, a second factor must be turned on before anything else is
    /// reachable: a role requires it.
    must_turn_on_second_factor: bool,
}

impl SignedIn {
    pub(super) fn of(console: &Console, account: &Account) -> Self {
        let local = || console.accounts.user(&account.user).ok().flatten();
        let roles = match &account.via {
            Some(_) => account.roles.clone(),
            None => local().map(|user| user.roles).unwrap_or_default(),
        };
        Self {
            user: account.user.clone(),
            roles,
            rights: console.rights(account).unwrap_or_default().by_name(),
            origin: account.origin().to_owned(),
            must_change_password: account.must_change,
            must_turn_on_second_factor: console.must_enrol(account),
        }
    }
}

/// One more question: an authenticator asks back, or for a code of the second factor.
#[derive(Serialize, ToSchema)]
pub struct Challenged {
    /// What to ask the person.
    challenge: String,
}

/// What a good attempt leads to.
pub enum Entry {
    /// A session.
    In(Cookie, SignedIn),
    /// A question.
    Asked {
        /// Finds the challenge.
        cookie: String,
        /// What to ask.
        prompt: String,
    },
}

impl IntoResponse for Entry {
    fn into_response(self) -> Response {
        match self {
            Self::In(cookie, who) => (cookie, Json(who)).into_response(),
            Self::Asked { cookie, prompt } => {
                let cookie = AppendHeaders([(SET_COOKIE, cookie)]);
                (StatusCode::ACCEPTED, cookie, Json(Challenged { challenge: prompt }))
                    .into_response()
            }
        }
    }
}

impl Entry {
    /// The same as a page.
    fn page(self, spoken: &Spoken) -> Response {
        match self {
            Self::In(cookie, who) => {
                let next = match (who.must_change_password, who.must_turn_on_second_factor) {
                    (true, _) => "/password",
                    (false, true) => "/second-factor",
                    (false, false) => "/",
                };
                (cookie, Redirect::to(next)).into_response()
            }
            Self::Asked { cookie, prompt } => {
                (AppendHeaders([(SET_COOKIE, cookie)]), page::ask(spoken, &prompt)).into_response()
            }
        }
    }
}

/// A `Set-Cookie` header.
pub type Cookie = AppendHeaders<[(HeaderName, String); 1]>;

/// Sign in; sets the session cookie.
#[utoipa::path(post, path = "/api/v1/login", request_body = Login, tag = "access", responses(
    (status = 200, body = SignedIn),
    (status = 202, body = Challenged, description = "One more question, of an authenticator or \
        for the second factor; POST the answer with the cookie that this sets to \
        /api/v1/login/answer within two minutes"),
    (status = 401, body = Problem, description = "Wrong user or password"),
    (status = 429, body = Problem, description = "Too many attempts; retry_after_s says when")))]
pub async fn login(
    State(console): State<Arc<Console>>,
    Extension(Peer(from)): Extension<Peer>,
    body: Result<Json<Login>, JsonRejection>,
) -> Result<Entry, Problem> {
    let Json(login) = body.map_err(bad_json)?;
    sign_in(&console, from, login).await
}

/// The same from the page's form.
pub async fn login_form(
    State(console): State<Arc<Console>>,
    Extension(Peer(from)): Extension<Peer>,
    spoken: Spoken,
    form: Result<Form<Login>, FormRejection>,
) -> Response {
    let attempt = async {
        let Form(login) = form.map_err(|e| Problem::bad_request(e.body_text()))?;
        sign_in(&console, from, login).await
    };
    let again = |problem| page::login_again(&console, &spoken, &problem);
    attempt.await.map_or_else(again, |entry| entry.page(&spoken))
}

/// Answer the further question; sets the session cookie, or asks again.
#[utoipa::path(post, path = "/api/v1/login/answer", request_body = Answer, tag = "access",
    responses((status = 200, body = SignedIn),
    (status = 202, body = Challenged, description = "It asks once more"),
    (status = 401, body = Problem, description = "Refused, or there is no such question"),
    (status = 429, body = Problem, description = "Too many attempts; retry_after_s says when")))]
pub async fn answer(
    State(console): State<Arc<Console>>,
    Extension(Peer(from)): Extension<Peer>,
    headers: HeaderMap,
    body: Result<Json<Answer>, JsonRejection>,
) -> Result<Entry, Problem> {
    let Json(Answer { answer }) = body.map_err(bad_json)?;
    answered(&console, from, &headers, answer).await
}

/// The same from the page's form.
pub async fn answer_form(
    State(console): State<Arc<Console>>,
    Extension(Peer(from)): Extension<Peer>,
    headers: HeaderMap,
    spoken: Spoken,
    form: Result<Form<Answer>, FormRejection>,
) -> Response {
    let attempt = async {
        let Form(Answer { answer }) = form.map_err(|e| Problem::bad_request(e.body_text()))?;
        answered(&console, from, &headers, answer).await
    };
    let again = |problem| page::login_again(&console, &spoken, &problem);
    attempt.await.map_or_else(again, |entry| entry.page(&spoken))
}

/// Change the password; ends all other sessions of this user and sets a new
/// session cookie.
#[utoipa::path(post, path = "/api/v1/password", request_body = NewPassword, tag = "access", responses(
    (status = 200, body = SignedIn),
    (status = 401, body = Problem, description = "The present password is wrong"),
    (status = 422, body = Problem, description = "The new password is not good enough")))]
pub async fn password(
    by: By,
    body: Result<Json<NewPassword>, JsonRejection>,
) -> Result<(Cookie, Json<SignedIn>), Problem> {
    let Json(wish) = body.map_err(bad_json)?;
    let cookie = change(&by, wish).await?;
    let account = Account { must_change: false, ..by.caller.account };
    Ok((cookie, Json(SignedIn::of(&by.console, &account))))
}

/// The same from the page's form.
pub async fn password_form(
    by: By,
    reader: Reader,
    form: Result<Form<NewPassword>, FormRejection>,
) -> Response {
    let claims = by.caller.user == FIRST_USER && claim::is_unclaimed(&by.console);
    let mut weak = None;
    let attempt = async {
        let Form(wish) = form.map_err(|e| Problem::bad_request(e.body_text()))?;
        weak = judged(&by, &wish).err();
        change(&by, wish).await
    };
    match attempt.await {
        // Whoever claims the appliance goes on to set it up.
        Ok(cookie) => (cookie, Redirect::to(if claims { "/setup" } else { "/" })).into_response(),
        Err(problem) => {
            let why =
                weak.map_or_else(|| reader.problem(&problem), |weak| reader.word(weak.word()));
            page::password_again(&reader, &problem, &why)
        }
    }
}

/// Who is signed in. Asking is no activity: it does not prolong the session.
#[utoipa::path(get, path = "/api/v1/session", tag = "access",
    responses((status = 200, body = SignedIn), (status = 401, body = Problem)))]
pub async fn session(
    State(console): State<Arc<Console>>,
    Extension(caller): Extension<Caller>,
) -> Json<SignedIn> {
    let rights = caller.rights.by_name();
    Json(SignedIn { rights, ..SignedIn::of(&console, &caller.account) })
}

/// Sign out; ends the session and its streams.
#[utoipa::path(post, path = "/api/v1/logout", tag = "access",
    responses((status = 204, description = "Signed out")))]
pub async fn logout(by: By) -> Response {
    (StatusCode::NO_CONTENT, sign_out(by)).into_response()
}

/// The same from the page's button.
pub async fn logout_form(by: By) -> Response {
    (sign_out(by), Redirect::to("/login")).into_response()
}

async fn sign_in(console: &Console, from: IpAddr, login: Login) -> Result<Entry, Problem> {
    let begun = Instant::now();
    let entry = decide(console, from, login).await;
    hold(console, begun, entry).await
}

async fn answered(
    console: &Console,
    from: IpAddr,
    headers: &HeaderMap,
    answer: String,
) -> Result<Entry, Problem> {
    let begun = Instant::now();
    let token = gate::token(headers, CHALLENGE_COOKIE);
    let pending = token.and_then(|token| challenge::take(console, &token));
    let pending = pending.ok_or_else(|| wrong("The question is over; sign in again"))?;
    let visitor = pending.visitor(from);
    admit(console, &visitor.account, from)?;
    let entry = match pending.question {
        Question::Authenticator { via, state } => {
            remote::answer(console, visitor, via, state, answer).await
        }
        Question::Code => second_factor::judge(console, visitor, &answer).await,
    };
    hold(console, begun, entry).await
}

/// Refusals wait until how they came about does not show.
async fn hold(
    console: &Console,
    begun: Instant,
    entry: Result<Entry, Problem>,
) -> Result<Entry, Problem> {
    if entry.as_ref().is_err_and(|problem| problem.status() == StatusCode::UNAUTHORIZED) {
        console.remote.refusal_time(begun).await;
    }
    entry
}

async fn decide(console: &Console, from: IpAddr, login: Login) -> Result<Entry, Problem> {
    let Login { user: name, password } = login;
    // Attempts are counted without regard to case, as some peers compare; and
    // under one name for all that cannot be an account.
    let account = if is_account_name(&name) { name.to_ascii_lowercase() } else { String::new() };
    let local = user(console, &account)?;
    admit(console, &account, from)?;
    let elsewhere = local.is_none() && !account.is_empty() && !password.is_empty();
    if elsewhere && console.remote.is_on() {
        return remote::enter(console, Visitor { name, account, from }, password).await;
    }
    // `Admin` is not `admin`, and nobody's name elsewhere.
    let local = local.filter(|_| name == account);
    let hash = local.as_ref().map(|u| u.hash.clone());
    let right = verified(console, &account, from, password, hash).await?;
    let now = clock::unix_ms();
    let local = local.filter(|user| user.is_active(now) && user.password_counts(now));
    let (true, Some(user)) = (right, local) else {
        // People type passwords into name fields.
        let known = if known(console, &account) { &account } else { UNKNOWN };
        console.sign_in_failed(known, from, None);
        return Err(wrong_password());
    };
    if user.second_factor.is_some() {
        // A right password makes up for no wrong code.
        console.throttle().not_judged(&account, from);
        return second_factor::ask(console, Visitor { name, account, from });
    }
    console.throttle().succeeded(&account, from, clock::now());
    begin(console, local_account(name, user.must_change), from).map(|(c, s)| Entry::In(c, s))
}

/// Whether a new password is good enough for somebody here: names that people know
/// add nothing to it.
fn judged(by: &By, wish: &NewPassword) -> Result<(), password::Weak> {
    let (site, host) = (by.console.site(), by.console.certificates.host_name());
    let known = [by.caller.user.as_str(), &site.name, &site.place, &host];
    password::check(&known, &wish.old, &wish.new, &wish.again)
}

async fn change(by: &By, wish: NewPassword) -> Result<Cookie, Problem> {
    let By { console, caller, from } = by;
    let (name, from) = (&caller.user, *from);
    is_kept_here(by)?;
    judged(by, &wish).map_err(|weak| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "password", "The new password is refused")
            .detail(weak.to_string())
    })?;
    own_password(by, wish.old).await?;
    console.throttle().succeeded(name, from, clock::now());
    let hash = console.hasher.hash(wish.new).await.map_err(hash_problem)?;
    let change = |user: &mut User| {
        (user.hash, user.must_change) = (hash, false);
        (user.changed_unix_ms, user.first_until_unix_ms) = (clock::unix_ms(), None);
    };
    console.accounts.update(name, change).await.map_err(|e| account_problem(&e))?;
    if name == FIRST_USER {
        // Already gone after the first change.
        let _ = std::fs::remove_file(console.data_dir.join(FIRST_PASSWORD));
    }
    console.throttle().password_changed(name, from);
    console.sessions().end_all(name);
    console.store.record(Event::PasswordChanged { user: name.clone(), from: from.to_string() });
    let account = local_account(name.clone(), false);
    open(console, account)
}

/// Whoever is signed in gives their own password once more. The attempt is charged
/// until the throttle is told that all of it was right.
pub(super) async fn own_password(by: &By, password: String) -> Result<User, Problem> {
    let By { console, caller, from } = by;
    let name = &caller.user;
    is_kept_here(by)?;
    let user = user(console, name)?;
    admit(console, name, *from)?;
    let hash = user.as_ref().map(|u| u.hash.clone());
    let right = verified(console, name, *from, password, hash).await?;
    user.filter(|_| right).ok_or_else(|| {
        console.sign_in_failed(name, *from, None);
        wrong("The present password is wrong")
    })
}

/// Of accounts that are kept elsewhere nothing can be changed here.
fn is_kept_here(By { caller, .. }: &By) -> Result<(), Problem> {
    let Some(via) = &caller.account.via else { return Ok(()) };
    let detail = format!("{} is an account of {via}; change it there", caller.user);
    Err(Problem::new(StatusCode::CONFLICT, "elsewhere", "The password is kept elsewhere")
        .detail(detail))
}

/// What a change of one's own account failed by.
pub(super) fn account_problem(error: &AccountError) -> Problem {
    match error {
        AccountError::Store(e) => Problem::store(e),
        other => Problem::new(StatusCode::CONFLICT, "account", "The account is not changed")
            .detail(other.to_string()),
    }
}

/// The system has no random numbers.
pub(super) fn no_random(error: &getrandom::Error) -> Problem {
    hash_problem(HashError::Failed(error.to_string()))
}

/// Whether somebody may try now.
fn admit(console: &Console, account: &str, from: IpAddr) -> Result<(), Problem> {
    let admitted = console.throttle().attempt(account, from, clock::now());
    admitted.map_err(|w| throttled(w.seconds))
}

/// True when the password is right. An answer that the appliance could not
/// give is not charged to who asked.
async fn verified(
    console: &Console,
    account: &str,
    from: IpAddr,
    password: String,
    hash: Option<String>,
) -> Result<bool, Problem> {
    // Longer than any password: the same answer without the length's work.
    let password = if password.len() > 4 * password::CHARS_MAX { String::new() } else { password };
    let answer = console.hasher.verify(password, hash).await;
    answer.map_err(|e| {
        console.throttle().not_judged(account, from);
        hash_problem(e)
    })
}

fn sign_out(By { console, caller, from }: By) -> AppendHeaders<[(HeaderName, String); 2]> {
    if let Shown::Session(session) = caller.shown {
        console.sessions().end(session);
    }
    console.store.record(Event::Logout { user: caller.user, from: from.to_string() });
    let clear = (HeaderName::from_static("clear-site-data"), "\"cache\", \"storage\"".to_owned());
    AppendHeaders([(SET_COOKIE, Token::clear_cookie()), clear])
}

/// Begin a session, and tell it.
pub(super) fn begin(
    console: &Console,
    account: Account,
    from: IpAddr,
) -> Result<(Cookie, SignedIn), Problem> {
    let signed_in = SignedIn::of(console, &account);
    let (user, via) = (account.user.clone(), account.via.clone());
    let cookie = open(console, account)?;
    console.store.record(Event::Login { user, from: from.to_string(), via });
    Ok((cookie, signed_in))
}

pub(super) fn open(console: &Console, account: Account) -> Result<Cookie, Problem> {
    let (token, cookie) = fresh()?;
    console.sessions().begin(&token, account, clock::now());
    Ok(cookie)
}

/// A new token of a session, and what hands it to the browser.
pub(super) fn fresh() -> Result<(Token, Cookie), Problem> {
    let token = token()?;
    let cookie = AppendHeaders([(SET_COOKIE, token.set_cookie())]);
    Ok((token, cookie))
}

/// A new secret.
pub(super) fn token() -> Result<Token, Problem> {
    Token::random().map_err(|e| no_random(&e))
}

pub(super) fn local_account(user: String, must_change: bool) -> Account {
    Account { user, roles: BTreeSet::new(), via: None, must_change }
}

fn user(console: &Console, name: &str) -> Result<Option<User>, Problem> {
    console.accounts.user(name).map_err(|e| Problem::store(&e))
}

fn known(console: &Console, name: &str) -> bool {
    console.store.user(name).is_ok_and(|u| u.is_some())
}

/// Whether a name may be asked of somebody else: `alice`, `alice@example.org`,
/// `EXAMPLE\alice`. Plain characters alone, so that no two names look alike.
fn is_account_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-@\\+".contains(&b))
}

/// The same for every reason.
pub(super) fn wrong_password() -> Problem {
    wrong("Wrong user or password")
}

pub(super) fn wrong(detail: &str) -> Problem {
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
