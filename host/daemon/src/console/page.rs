//! The pages: rendered on the server with the real values, useful without any
//! script; `live.js` keeps the live page up to date.

use super::pages::reader::{Reader, Spoken};
use super::problem::Problem;
use super::view::View;
use super::who::Who;
use super::{Console, access, claim, setup};
use crate::accounts::rights::{Area, Level};
use crate::site::Site;
use crate::words::{Lang, words};
use askama::Template;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use sha2::{Digest as _, Sha256};
use std::sync::{Arc, LazyLock};

const STYLE: &str = include_str!("assets/style.css");
const PLUGINS_STYLE: &str = include_str!("assets/plugins.css");
const PAGES_STYLE: &str = include_str!("assets/pages.css");
const SCRIPT: &str = include_str!("assets/live.js");
const ICON: &str = include_str!("assets/icon.svg");

/// Part of the assets' paths: they may be cached for ever, a new firmware has
/// new paths.
pub(super) static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    for asset in [STYLE, PLUGINS_STYLE, PAGES_STYLE, SCRIPT, ICON] {
        hash.update(asset);
    }
    hash.finalize().iter().take(6).map(|b| format!("{b:02x}")).collect()
});

#[derive(Template)]
#[template(path = "live.html")]
struct LivePage<'a> {
    version: &'a str,
    who: Who<'a>,
    view: &'a View,
    /// What the site is called, and where it is.
    site: Site,
    /// What of the setup nobody has settled, in words; empty: nothing.
    not_set: String,
}

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage<'a> {
    version: &'a str,
    lang: Lang,
    problem: &'a str,
}

#[derive(Template)]
#[template(path = "answer.html")]
struct AnswerPage<'a> {
    version: &'a str,
    lang: Lang,
    prompt: &'a str,
}

impl LoginPage<'_> {
    fn word(&self, name: &str) -> String {
        words().word(self.lang, name)
    }

    const fn languages(&self) -> [Lang; Lang::ALL.len()] {
        Lang::ALL
    }
}

impl AnswerPage<'_> {
    fn word(&self, name: &str) -> String {
        words().word(self.lang, name)
    }
}

#[derive(Template)]
#[template(path = "refused.html")]
struct RefusedPage<'a> {
    version: &'a str,
    lang: Lang,
    /// Name of its word.
    heading: &'static str,
    kind: &'static str,
    title: &'static str,
    problem: &'a str,
}

impl RefusedPage<'_> {
    fn word(&self, name: &str) -> String {
        words().word(self.lang, name)
    }

    /// In the reader's language, if it is one of the titles that everybody meets.
    fn title(&self) -> String {
        let name = format!("page-refused-{}", self.kind);
        match words().word(Lang::En, &name) == self.title {
            true => self.word(&name),
            false => self.title.to_owned(),
        }
    }
}

#[derive(Template)]
#[template(path = "password.html")]
struct PasswordPage<'a> {
    version: &'a str,
    who: Who<'a>,
    must_change: bool,
    problem: &'a str,
}

/// What a page's handler answers.
pub type Answer = Result<Response, Refused>;

/// A page that says why there is not the one that was asked for.
pub struct Refused(Problem);

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        refused(&self.0)
    }
}

/// The live page.
pub async fn live(State(console): State<Arc<Console>>, reader: Reader) -> Response {
    let view = View::of(&console, reader.lang);
    let who = reader.who(Area::Battery, Level::Operate);
    let not_set = setup::not_set(&console).into_iter();
    let not_set = not_set.map(|step| who.word(&format!("page-setup-{}", step.as_str())));
    let not_set = not_set.collect::<Vec<_>>().join(", ");
    let site = console.site();
    let page = LivePage { version: &VERSION, who, view: &view, site, not_set };
    reader.show(StatusCode::OK, &page)
}

/// The sign-in page; the claim page while nobody has claimed the appliance.
pub async fn login(State(console): State<Arc<Console>>, spoken: Spoken) -> Response {
    entrance(&console, &spoken, None)
}

/// The same after a failed attempt.
pub fn login_again(console: &Console, spoken: &Spoken, problem: &Problem) -> Response {
    with_retry_after(entrance(console, spoken, Some(problem)), problem)
}

fn entrance(console: &Console, spoken: &Spoken, problem: Option<&Problem>) -> Response {
    if claim::is_unclaimed(console) {
        return claim::page(spoken, problem);
    }
    let status = problem.map_or(StatusCode::OK, Problem::status);
    let problem = problem.map_or_else(String::new, |problem| match problem.kind {
        "wrong-password" if *problem == access::wrong_password() => {
            words().word(spoken.lang, "page-sign-in-wrong")
        }
        "wrong-password" => words().word(spoken.lang, "page-answer-wrong"),
        _ => spoken.problem(problem),
    });
    spoken.show(status, &LoginPage { version: &VERSION, lang: spoken.lang, problem: &problem })
}

/// The page that asks what an authenticator wants to know.
pub fn ask(spoken: &Spoken, prompt: &str) -> Response {
    spoken.show(StatusCode::OK, &AnswerPage { version: &VERSION, lang: spoken.lang, prompt })
}

/// What is refused, until it is known in which language to say it.
#[derive(Clone)]
struct Unsaid(Problem);

/// What the page says when an order was not carried out, or there is no page.
/// Whoever refuses does not know who reads it: [`said_in`] does.
pub fn refused(problem: &Problem) -> Response {
    let mut response = with_retry_after(refused_in(Lang::En, problem), problem);
    response.extensions_mut().insert(Unsaid(problem.clone()));
    response
}

/// An answer in the reader's language, if it is a [`refused`].
pub fn said_in(lang: Lang, mut response: Response) -> Response {
    if let Some(Unsaid(problem)) = response.extensions_mut().remove()
        && lang != Lang::En
    {
        *response.body_mut() = refused_in(lang, &problem).into_body();
    }
    response
}

fn refused_in(lang: Lang, problem: &Problem) -> Response {
    let heading = match problem.status() {
        StatusCode::NOT_FOUND => "page-refused-missing",
        StatusCode::FORBIDDEN => "page-refused-forbidden",
        _ => "page-refused-undone",
    };
    let Problem { kind, title, .. } = *problem;
    let detail = problem.detail.as_deref().unwrap_or_default();
    let page = RefusedPage { version: &VERSION, lang, heading, kind, title, problem: detail };
    render(problem.status(), &page)
}

/// The page that changes the password.
pub async fn password(reader: Reader) -> Response {
    password_page(StatusCode::OK, &reader, "")
}

/// The same after a failed attempt; why, in the reader's words.
pub fn password_again(reader: &Reader, problem: &Problem, why: &str) -> Response {
    with_retry_after(password_page(problem.status(), reader, why), problem)
}

/// Style sheet, script and icon.
pub async fn asset(Path((version, file)): Path<(String, String)>) -> Response {
    let (kind, text) = match file.as_str() {
        "style.css" => ("text/css; charset=utf-8", STYLE),
        "plugins.css" => ("text/css; charset=utf-8", PLUGINS_STYLE),
        "pages.css" => ("text/css; charset=utf-8", PAGES_STYLE),
        "live.js" => ("text/javascript; charset=utf-8", SCRIPT),
        "icon.svg" => ("image/svg+xml", ICON),
        _ => return super::gate::nothing_here().into_response(),
    };
    if version != *VERSION {
        return super::gate::nothing_here().into_response();
    }
    let cache = "public, max-age=31536000, immutable";
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, cache)], text).into_response()
}

fn password_page(status: StatusCode, reader: &Reader, problem: &str) -> Response {
    // Everybody may for themselves.
    let who = reader.who(Area::Accounts, Level::None);
    let must_change = reader.caller.must_change;
    reader.show(status, &PasswordPage { version: &VERSION, who, must_change, problem })
}

fn with_retry_after(mut response: Response, problem: &Problem) -> Response {
    retry_after(&mut response, problem);
    response
}

/// Say when to try again, if the problem says so.
pub(super) fn retry_after(response: &mut Response, problem: &Problem) {
    if let Some(seconds) = problem.retry_after_s {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
}

pub(super) fn render(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(e) => {
            tracing::error!("page cannot be rendered: {e}");
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            Problem::new(status, "render", "The page cannot be shown").into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assets_stay_small() {
        assert!(STYLE.len() <= 8_000, "{} bytes of style", STYLE.len());
        assert!(PLUGINS_STYLE.len() <= 4_000, "{} bytes of style", PLUGINS_STYLE.len());
        assert!(PAGES_STYLE.len() <= 6_000, "{} bytes of style", PAGES_STYLE.len());
        // 6 kB compressed is about 18 kB of such text; the whole may not be more.
        assert!(SCRIPT.len() <= 12_000, "{} bytes of script", SCRIPT.len());
    }
}
