//! Who reads a page, and in which language: what the address says (`?lang=de`,
//! which is remembered in a cookie), what was said so before, or what the
//! browser asks for (UX-080).

use crate::accounts::rights::{Area, Level};
use crate::console::api::alarms::unknown_language;
use crate::console::page;
use crate::console::problem::Problem;
use crate::console::session::Caller;
use crate::console::who::Who;
use crate::words::{Lang, words};
use askama::Template;
use axum::extract::FromRequestParts;
use axum::http::header::{ACCEPT_LANGUAGE, COOKIE, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use fluent_bundle::FluentArgs;

/// Name of the cookie; what it says is no secret.
const LANG: &str = "lang";

/// A language in which somebody reads, signed in or not.
#[derive(Clone, Copy)]
pub struct Spoken {
    /// It.
    pub lang: Lang,
    /// The address said so: it is to be remembered.
    chosen: bool,
}

/// Somebody who is signed in, and their language.
pub struct Reader {
    /// Who.
    pub caller: Caller,
    /// Their language.
    pub lang: Lang,
    spoken: Spoken,
}

impl<S: Send + Sync> FromRequestParts<S> for Spoken {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        let named = named(&parts.uri);
        let chosen = named.map(str::parse::<Lang>).transpose();
        let chosen = chosen.map_err(|()| page::refused(&unknown_language(named.unwrap_or(""))))?;
        let lang = chosen.unwrap_or_else(|| preferred(&parts.headers));
        Ok(Self { lang, chosen: chosen.is_some() })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Reader {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        // The gate put it there; without it nobody is signed in.
        let caller = parts.extensions.get::<Caller>().cloned();
        let caller = caller.ok_or_else(|| Redirect::to("/login").into_response())?;
        let spoken = Spoken::from_request_parts(parts, state).await?;
        Ok(Self { caller, lang: spoken.lang, spoken })
    }
}

/// The tag that an address names.
fn named(uri: &Uri) -> Option<&str> {
    uri.query()?.split('&').find_map(|pair| pair.strip_prefix("lang="))
}

/// The language of a request, whatever comes of it.
pub fn asked(uri: &Uri, headers: &HeaderMap) -> Lang {
    let named = named(uri).and_then(|tag| tag.parse().ok());
    named.unwrap_or_else(|| preferred(headers))
}

/// The language that somebody chose before, or that their browser asks for.
pub fn preferred(headers: &HeaderMap) -> Lang {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).map(str::trim);
    let kept = pairs.find_map(|pair| pair.strip_prefix(LANG)?.strip_prefix('=')?.parse().ok());
    let wanted = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    kept.unwrap_or_else(|| wanted.map_or(Lang::En, Lang::accepted))
}

impl Reader {
    /// Them on a page whose acts need `level` in `area`.
    pub fn who(&self, area: Area, level: Level) -> Who<'_> {
        Who::of(&self.caller, area, level).in_language(self.lang)
    }

    /// A word in their language.
    pub fn word(&self, name: &str) -> String {
        words().word(self.lang, name)
    }

    /// A message in their language.
    pub fn say(&self, name: &str, args: &FluentArgs<'_>) -> String {
        words().message(self.lang, name, args)
    }

    /// Why something was not done, in their language where it is one of the few
    /// reasons that everybody meets.
    pub fn problem(&self, problem: &Problem) -> String {
        self.spoken.problem(problem)
    }

    /// The page as an answer, which remembers a language that was chosen.
    pub fn show(&self, status: StatusCode, page: &impl Template) -> Response {
        self.spoken.show(status, page)
    }
}

impl Spoken {
    /// See [`Reader::problem`].
    pub fn problem(&self, problem: &Problem) -> String {
        let mut args = FluentArgs::new();
        args.set("seconds", problem.retry_after_s.unwrap_or_default() as f64);
        match problem.kind {
            "wrong-password" => words().word(self.lang, "page-password-wrong"),
            "throttled" => words().message(self.lang, "page-throttled", &args),
            _ => problem.text(),
        }
    }

    /// See [`Reader::show`].
    pub fn show(&self, status: StatusCode, page: &impl Template) -> Response {
        let mut response = page::render(status, page);
        if self.chosen {
            let year = 365 * 24 * 3_600;
            let tag = self.lang.tag();
            let cookie =
                format!("{LANG}={tag}; Secure; HttpOnly; Path=/; SameSite=Lax; Max-Age={year}");
            // Tags are made of letters and hyphens.
            if let Ok(cookie) = HeaderValue::from_str(&cookie) {
                response.headers_mut().append(SET_COOKIE, cookie);
            }
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_chosen_counts_more_than_what_the_browser_asks_for() {
        let mut headers = HeaderMap::new();
        assert_eq!(preferred(&headers), Lang::En);
        headers.insert(ACCEPT_LANGUAGE, HeaderValue::from_static("de-AT, en;q=0.5"));
        assert_eq!(preferred(&headers), Lang::De);
        headers.insert(COOKIE, HeaderValue::from_static("__Host-sid=x; lang=fr"));
        assert_eq!(preferred(&headers), Lang::Fr);
        headers.insert(COOKIE, HeaderValue::from_static("lang=tlh; language=fr"));
        assert_eq!(preferred(&headers), Lang::De, "none of ours");
    }
}
