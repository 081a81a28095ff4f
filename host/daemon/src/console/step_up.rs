//! The password once more, before what could do harm (facts/appliance-security.md
//! SEC-045, facts/console-ux.md UX-073).
//!
//! A session has shown the password when it begins. [`routes`](super::routes)
//! marks what wants it again when that is five minutes old; [`gate`](super::gate)
//! looks, before any handler does. A program is told so and sends the password to
//! `/api/v1/step-up`. A person is asked on the spot: the page that asks carries
//! what their form sent, and sends it again beside the password, so that nothing is
//! typed twice. A file cannot be carried so; it is chosen again. Who has a second
//! factor gives a code of it, too.
//!
//! The password of an account that is kept elsewhere is judged elsewhere: such
//! people sign in again. With the password the session gets another token.

use super::access::{self, Cookie, SignedIn, bad_json};
use super::by::By;
use super::page::{self, Answer, VERSION};
use super::pages::fields::{Fields, Sent};
use super::pages::reader::Reader;
use super::problem::Problem;
use super::routes::StepUp;
use super::session::Shown;
use super::who::{Who, page_of};
use super::{Console, configuration, gate, second_factor};
use crate::accounts::rights::{Area, Level};
use crate::clock;
use askama::Template;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::rejection::JsonRejection;
use axum::extract::{Form, FromRequest as _, FromRequestParts as _, Json, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// The field with the password, behind all that the form carries.
const FIELD: &str = "step-up-password";
/// The field behind it, for a code of the second factor.
const CODE_FIELD: &str = "step-up-code";
/// The longest form that is carried over: the one with a configuration.
const FORM_MAX: usize = 3 * configuration::file::BYTES_MAX + 4_096;

/// Who gives their password again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StepUpIn {
    /// It.
    pub password: String,
    /// Where the account has a second factor: a code of the app, or a recovery code.
    #[serde(default)]
    pub code: String,
}

/// The page to go on with.
#[derive(Default, Deserialize)]
pub struct To {
    #[serde(default)]
    to: String,
}

#[derive(Template)]
#[template(path = "pages/step_up.html")]
struct StepUpPage<'a> {
    version: &'a str,
    who: Who<'a>,
    /// Where the form goes.
    action: String,
    /// What it carries.
    fields: Fields,
    /// Where somebody goes who does not want it.
    back: &'a str,
    /// A file must be chosen again.
    again: bool,
    /// A code of the second factor is asked for, too.
    code: bool,
    problem: String,
}

/// Give one's password again; what wants it may be done for five minutes, under
/// the new session cookie that this sets.
#[utoipa::path(post, path = "/api/v1/step-up", request_body = StepUpIn, tag = "access",
    responses((status = 200, body = SignedIn),
    (status = 401, body = Problem, description = "The password or the code is wrong"),
    (status = 409, body = Problem, description = "The account is kept elsewhere: sign in again"),
    (status = 429, body = Problem, description = "Too many attempts; retry_after_s says when")))]
pub async fn step_up(
    by: By,
    body: Result<Json<StepUpIn>, JsonRejection>,
) -> Result<(Cookie, Json<SignedIn>), Problem> {
    let Json(StepUpIn { password, code }) = body.map_err(bad_json)?;
    let cookie = prove(&by, password, &code).await?;
    Ok((cookie, Json(SignedIn::of(&by.console, &by.caller.account))))
}

/// The page that asks, before a file is chosen.
pub async fn show(
    State(console): State<Arc<Console>>,
    reader: Reader,
    Query(To { to }): Query<To>,
) -> Response {
    ask(&reader, StatusCode::OK, beforehand(&console, &reader, &to))
}

/// Its form was sent.
pub async fn confirm(by: By, reader: Reader, Sent(sent): Sent<Fields>) -> Answer {
    let to = page_of(sent.one("to"));
    match prove(&by, typed(&sent, FIELD), &typed(&sent, CODE_FIELD)).await {
        Ok(cookie) => Ok((cookie, Redirect::to(to)).into_response()),
        Err(problem) => {
            let page = StepUpPage {
                problem: reader.problem(&problem),
                ..beforehand(&by.console, &reader, to)
            };
            Ok(refused(&reader, &problem, page))
        }
    }
}

/// A form of somebody whose password is old: they are asked for it, or gave it
/// beside what the form sent.
pub async fn pass(console: &Arc<Console>, rule: StepUp, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let reader = match Reader::from_request_parts(&mut parts, console).await {
        Ok(reader) => reader,
        Err(refused) => return refused,
    };
    if !is_plain_form(&parts.headers) {
        let to = parts.uri.path().replace("/bundles", "/plugins");
        let page = StepUpPage { again: true, ..beforehand(console, &reader, &to) };
        return ask(&reader, StatusCode::UNAUTHORIZED, page);
    }
    let Ok(body) = to_bytes(body, FORM_MAX).await else {
        return page::refused(&Problem::too_long("a form", FORM_MAX));
    };
    let (sent, own) = split(&body);
    let by = match By::from_request_parts(&mut parts, console).await {
        Ok(by) => by,
        Err(problem) => return page::refused(&problem),
    };
    let action = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(sent.len()));
    let read = async |bytes: Bytes| {
        let request = Request::from_parts(parts.clone(), Body::from(bytes));
        Form::<Fields>::from_request(request, console).await.map(|Form(fields)| fields)
    };
    let (fields, own) = match (read(sent.clone()).await, read(own).await) {
        (Ok(fields), Ok(own)) => (fields, own),
        (Err(wrong), _) | (_, Err(wrong)) => {
            return page::refused(&Problem::bad_request(wrong.body_text()));
        }
    };
    let given = !own.0.is_empty();
    let page = StepUpPage { action, fields, ..beforehand(console, &reader, parts.uri.path()) };
    if !given && rule == StepUp::Always {
        return ask(&reader, StatusCode::UNAUTHORIZED, page);
    }
    let mut cookie = None;
    if given {
        match prove(&by, typed(&own, FIELD), &typed(&own, CODE_FIELD)).await {
            Ok(made) => cookie = Some(made),
            Err(problem) => {
                let page = StepUpPage { problem: reader.problem(&problem), ..page };
                return refused(&reader, &problem, page);
            }
        }
        parts.extensions.insert(super::session::Caller { proven: true, ..by.caller });
    }
    let done = next.run(Request::from_parts(parts, Body::from(sent))).await;
    match cookie {
        Some(cookie) => (cookie, done).into_response(),
        // Its handler wants the password for this act.
        None if done.status() == StatusCode::UNAUTHORIZED => {
            ask(&reader, StatusCode::UNAUTHORIZED, page)
        }
        None => done,
    }
}

/// Whoever is signed in gives their password, and a code of the second factor if
/// they have one: it counts anew, under another token.
async fn prove(by: &By, password: String, code: &str) -> Result<Cookie, Problem> {
    let Shown::Session(id) = by.caller.shown else { return Err(gate::for_people()) };
    let user = access::own_password(by, password).await?;
    second_factor::prove(by, &user, code).await?;
    by.console.throttle().succeeded(&by.caller.user, by.from, clock::now());
    let (token, cookie) = access::fresh()?;
    by.console.sessions().step_up(id, &token, clock::now());
    let (user, from) = (&by.caller.user, by.from.to_string());
    by.console.store.audit(user, &from, "give their password again", "done");
    Ok(cookie)
}

fn beforehand<'a>(console: &Console, reader: &'a Reader, to: &str) -> StepUpPage<'a> {
    let back = page_of(to);
    let mut fields = Fields::default();
    fields.set("to", back);
    StepUpPage {
        version: &VERSION,
        // Everybody may for themselves.
        who: reader.who(Area::System, Level::None),
        action: "/step-up".to_owned(),
        fields,
        back,
        again: false,
        // A store that cannot be read lets nobody prove anything either.
        code: second_factor::present(console, &reader.caller.account).is_ok_and(|own| own.on),
        problem: String::new(),
    }
}

fn ask(reader: &Reader, status: StatusCode, page: StepUpPage<'_>) -> Response {
    reader.show(status, &page)
}

fn refused(reader: &Reader, problem: &Problem, page: StepUpPage<'_>) -> Response {
    let mut response = ask(reader, problem.status(), page);
    page::retry_after(&mut response, problem);
    response
}

/// What was typed; spaces belong to a password.
fn typed(sent: &Fields, field: &str) -> String {
    let found = sent.0.iter().find(|(name, _)| name == field);
    found.map_or_else(String::new, |(_, typed)| typed.clone())
}

fn is_plain_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"))
}

/// What a form sent, and what was added to it when the password was asked for.
fn split(body: &Bytes) -> (Bytes, Bytes) {
    let mark = format!("{FIELD}=");
    let begins = |at: &usize| *at == 0 || body.get(at - 1) == Some(&b'&');
    let places = body.windows(mark.len()).enumerate().rev();
    let mut places = places.filter(|(_, bytes)| *bytes == mark.as_bytes()).map(|(at, _)| at);
    match places.find(begins) {
        Some(at) => (body.slice(..at.saturating_sub(1)), body.slice(at..)),
        None => (body.clone(), Bytes::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_told_from_what_was_sent() {
        for (body, sent, own) in [
            ("", "", ""),
            ("a=1&b=2", "a=1&b=2", ""),
            ("step-up-password=x", "", "step-up-password=x"),
            ("a=1&step-up-password=%26x", "a=1", "step-up-password=%26x"),
            ("a=step-up-password=1", "a=step-up-password=1", ""),
            (
                "step-up-password=a&b=1&step-up-password=c",
                "step-up-password=a&b=1",
                "step-up-password=c",
            ),
        ] {
            let body = Bytes::from_static(body.as_bytes());
            assert_eq!(split(&body), (Bytes::from(sent), Bytes::from(own)), "{body:?}");
        }
    }
}
