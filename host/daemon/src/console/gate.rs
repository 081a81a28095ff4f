//! What every request passes: headers and time limit on all answers
//! (SEC-060, §2.6), the cross-site check on all writes (SEC-043), the
//! permission of its route (SEC-050), and a password that is not old (SEC-045).

use super::pages::reader;
use super::problem::Problem;
use super::routes::{Permission, StepUp};
use super::session::{self, Account, Caller, Shown, Token};
use super::who::Who;
use super::{Console, claim, page, step_up};
use crate::accounts::rights::Area;
use crate::clock;
use crate::trail;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Longest time from the first byte of a request's body to its answer.
const ANSWER_TIME: Duration = Duration::from_secs(20);
/// Firmware has megabytes and may come over a slow line; whoever falls silent
/// is given up earlier.
const UPLOADS: [&str; 2] = ["/api/v1/firmware", "/firmware"];
const UPLOAD_TIME: Duration = Duration::from_secs(900);

/// Where a request comes from; the server sets it for every connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

const HEADERS: [(&str, &str); 9] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
         connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-embedder-policy", "require-corp"),
    (
        "permissions-policy",
        "camera=(), microphone=(), geolocation=(), usb=(), serial=(), payment=()",
    ),
    ("x-frame-options", "DENY"),
    ("x-robots-tag", "noindex"),
];

/// Put the headers on every answer, errors included, and end what takes too long.
pub async fn set_headers(
    State(console): State<Arc<Console>>,
    request: Request,
    next: Next,
) -> Response {
    let upload = request.method() == Method::POST && UPLOADS.contains(&request.uri().path());
    let lang = reader::asked(request.uri(), request.headers());
    let time = if upload { UPLOAD_TIME } else { ANSWER_TIME };
    let answer = tokio::time::timeout(time, next.run(request)).await;
    let response = answer.unwrap_or_else(|_| {
        Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout", "The request took too long")
            .into_response()
    });
    let mut response = page::said_in(lang, response);
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    // Browsers insist on a certificate that they trust, and stop with the answer
    // by which it is given up: of the own one they would let nobody in (SEC-061).
    let insist = if console.certificates.is_installed() { "max-age=31536000" } else { "max-age=0" };
    headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(insist));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Refuse requests without a host and writes from other sites.
pub async fn check_request(request: Request, next: Next) -> Response {
    let Some(host) = host_of(request.headers(), request.uri()) else {
        return Problem::bad_request("one valid Host header is needed").into_response();
    };
    let write = !matches!(request.method().as_str(), "GET" | "HEAD");
    // A browser adds cookies by itself, but never a token: who sends one is not
    // led by another site, and their cookies do not count.
    let by_token = request.headers().contains_key(header::AUTHORIZATION);
    if write && !by_token && !same_origin(request.headers(), &host) {
        return Problem::new(
            StatusCode::FORBIDDEN,
            "cross-site",
            "Writes from other sites are refused",
        )
        .detail("send Sec-Fetch-Site: same-origin, or Origin with the address of this console")
        .into_response();
    }
    next.run(request).await
}

/// Let a request through to its route, or say why not.
pub async fn permit(
    State((console, permission, rule)): State<(Arc<Console>, Permission, StepUp)>,
    mut request: Request,
    next: Next,
) -> Response {
    if permission == Permission::Public {
        return next.run(request).await;
    }
    if permission == Permission::Metrics && has_token(&console, request.headers()) {
        return next.run(request).await;
    }
    let is_api = request.uri().path().starts_with("/api/") || permission == Permission::Metrics;
    let refuse = |problem: Problem, to: Option<&str>| match (is_api, to) {
        (true, _) => problem.into_response(),
        (false, Some(to)) => Redirect::to(to).into_response(),
        (false, None) => page::refused(&problem),
    };
    let Some(caller) = caller(&console, request.headers(), permission) else {
        let unclaimed = claim::is_unclaimed(&console);
        let problem = if unclaimed { Problem::unclaimed() } else { Problem::unauthorized() };
        return refuse(problem, Some("/login"));
    };
    let personal = matches!(permission, Permission::Session | Permission::Leave);
    if caller.must_change && !personal {
        return refuse(must_change(), Some("/password"));
    }
    if caller.must_enrol && !personal {
        return refuse(must_enrol(), Some("/second-factor"));
    }
    if matches!(caller.shown, Shown::Token(_)) && (personal || !is_api) {
        return for_people().into_response();
    }
    let from = request.extensions().get().map(|Peer(from)| from.to_string()).unwrap_or_default();
    console.sessions().came_from(&caller.shown, &from);
    let (method, path) = (request.method().as_str(), request.uri().path());
    let write = !matches!(method, "GET" | "HEAD");
    let user = caller.user.clone();
    let trail = trail::Request::new(&user, from, method, path);
    if let Some((area, level)) =
        permission.needs().filter(|(area, level)| !caller.may(*area, *level))
    {
        if write || area == Area::Audit {
            trail.refused(&console.store, &format!("refused: needs {level} in {area}"));
        }
        // Who signs in is led to the live page: there may be another for them.
        let menu = Who::of(&caller, area, level).menu();
        let first = menu.first().map(|(address, _)| *address).filter(|_| path == "/");
        return refuse(Problem::not_allowed(&caller.user, area, level), first);
    }
    let is_old = rule != StepUp::No && !caller.proven;
    if is_old && is_api && rule == StepUp::Always {
        trail.refused(&console.store, "refused: the password is asked for again");
        return Problem::step_up().into_response();
    }
    request.extensions_mut().insert(caller);
    if !write {
        return next.run(request).await;
    }
    let status = |answer: &Response| answer.status().as_u16();
    if is_old && !is_api {
        let asked = step_up::pass(&console, rule, request, next);
        return trail.follow(&console.store, asked, status).await;
    }
    trail.follow(&console.store, next.run(request), status).await
}

/// True for a monitoring system that may read metrics.
fn has_token(console: &Console, headers: &HeaderMap) -> bool {
    let token = headers.get(header::AUTHORIZATION);
    token.is_some_and(|token| console.telemetry.metrics.admit(token.as_bytes()))
}

/// Paths that do not exist.
pub async fn not_found(uri: Uri) -> Response {
    for_whom(&uri, nothing_here())
}

/// Methods that a path does not have.
pub async fn method_not_allowed(uri: Uri) -> Response {
    let status = StatusCode::METHOD_NOT_ALLOWED;
    for_whom(&uri, Problem::new(status, "method", "This path does not have this method"))
}

/// What is said where there is nothing.
pub fn nothing_here() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not-found", "There is nothing here")
}

/// A program reads a problem, a person reads a page with a way out.
fn for_whom(uri: &Uri, problem: Problem) -> Response {
    match uri.path().starts_with("/api/") || uri.path().starts_with("/assets/") {
        true => problem.into_response(),
        false => page::refused(&problem),
    }
}

/// Who sent these headers: by their token when there is one, and by the cookie
/// of their session otherwise, never by both (SEC-048).
fn caller(console: &Console, headers: &HeaderMap, permission: Permission) -> Option<Caller> {
    if let Some(header) = headers.get(header::AUTHORIZATION) {
        let bearer = console.accounts.bearer(header.to_str().ok()?)?;
        return Some(console.sessions().program(bearer.id, bearer.owner, bearer.rights));
    }
    let token = token(headers, session::COOKIE)?;
    let rights = |account: &Account| console.rights(account);
    let caller = console.sessions().find(&token, permission.is_activity(), clock::now(), rights)?;
    Some(Caller { must_enrol: console.must_enrol(&caller.account), ..caller })
}

/// The secret in the cookie of this name.
pub fn token(headers: &HeaderMap, cookie: &str) -> Option<Token> {
    let headers = headers.get_all(header::COOKIE).iter().filter_map(|c| c.to_str().ok());
    headers.into_iter().find_map(|header| Token::from_cookies(header, cookie))
}

pub(super) fn must_change() -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "password-change", "The first password must be changed")
        .detail("POST old, new and again to /api/v1/password")
}

fn must_enrol() -> Problem {
    let title = "A second factor must be turned on";
    Problem::new(StatusCode::FORBIDDEN, "second-factor-required", title).detail(
        "your role requires it: POST the password to /api/v1/second-factor, add the secret to an \
         app, and POST its code to /api/v1/second-factor/confirm",
    )
}

pub(super) fn for_people() -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "token", "This is for people who are signed in")
        .detail("a token is for the API's values, orders and settings alone")
}

/// The one host that a request names, in HTTP/1.1 or HTTP/2.
fn host_of(headers: &HeaderMap, uri: &Uri) -> Option<String> {
    let mut named = headers.get_all(header::HOST).iter();
    let host = match (uri.authority(), named.next()) {
        (Some(authority), None) => authority.as_str(),
        (None, Some(host)) => host.to_str().ok()?,
        (Some(authority), Some(host)) if authority.as_str() == host => authority.as_str(),
        _ => return None,
    };
    let good = |c: char| c.is_ascii_alphanumeric() || ".-:[]".contains(c);
    let sane = (1..=255).contains(&host.len()) && host.chars().all(good);
    (sane && named.next().is_none()).then(|| host.to_ascii_lowercase())
}

fn same_origin(headers: &HeaderMap, host: &str) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin";
    }
    let origin = headers.get(header::ORIGIN).and_then(|o| o.to_str().ok());
    let origin = origin.and_then(|o| o.strip_prefix("https://"));
    origin.is_some_and(|o| o.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v)))
            .collect()
    }

    #[test]
    fn only_the_own_origin_may_write() {
        for (pairs, good) in [
            (&[("sec-fetch-site", "same-origin")][..], true),
            (&[("sec-fetch-site", "cross-site"), ("origin", "https://ups.example")][..], false),
            (&[("sec-fetch-site", "same-site")][..], false),
            (&[("sec-fetch-site", "none")][..], false),
            (&[("origin", "https://UPS.example")][..], true),
            (&[("origin", "http://ups.example")][..], false),
            (&[("origin", "https://ups.example.evil")][..], false),
            (&[("origin", "null")][..], false),
            (&[][..], false),
        ] {
            assert_eq!(same_origin(&headers(pairs), "ups.example"), good, "{pairs:?}");
        }
    }

    #[test]
    fn one_sane_host() {
        let host = |pairs: &[_], uri: &str| host_of(&headers(pairs), &uri.parse().expect("a URI"));
        assert_eq!(host(&[("host", "Ups:8443")], "/"), Some("ups:8443".into()));
        assert_eq!(host(&[], "https://[::1]:443/"), Some("[::1]:443".into()));
        assert_eq!(host(&[("host", "a"), ("host", "b")], "/"), None);
        assert_eq!(host(&[("host", "a")], "https://b/"), None);
        assert_eq!(host(&[("host", "a/b")], "/"), None);
        assert_eq!(host(&[], "/"), None);
    }
}
