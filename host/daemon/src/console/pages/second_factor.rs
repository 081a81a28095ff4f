//! One's own second factor (facts/console-ux.md §5 page 38): turned on with a
//! picture for the app, its recovery codes, turned off. Needs no script.

use super::VERSION;
use super::fields::{Fields, Sent};
use super::reader::Reader;
use crate::accounts::rights::{Area, Level};
use crate::clock;
use crate::console::Console;
use crate::console::by::By;
use crate::console::page;
use crate::console::problem::Problem;
use crate::console::second_factor::{NewSecretOut, present, start, turn_off, turn_on, waiting};
use crate::console::who::Who;
use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use fluent_bundle::FluentArgs;
use qrcodegen::{QrCode, QrCodeEcc};
use std::fmt::Write as _;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "pages/second_factor.html")]
struct FactorPage<'a> {
    version: &'a str,
    who: Who<'a>,
    /// The authenticator that keeps the account; empty: it is kept here.
    elsewhere: String,
    /// That a role requires it, in words; empty: none does.
    required: String,
    /// Nothing else is open to them before it is on.
    must_enrol: bool,
    /// Since when it is on; empty: it is not.
    since: String,
    /// How many recovery codes are left, in words.
    left: String,
    /// A new secret that waits for its first code.
    new: Option<New>,
    /// Recovery codes, shown this once.
    codes: Vec<String>,
    problem: String,
}

/// A new secret as it is shown.
struct New {
    secret: String,
    uri: String,
    /// Modules of the picture on a side, with the quiet ones around it.
    side: i32,
    /// Its dark modules, as the path of an SVG.
    path: String,
}

/// The page.
pub async fn show(State(console): State<Arc<Console>>, reader: Reader) -> page::Answer {
    Ok(reader.show(StatusCode::OK, &page_of(&console, &reader)?))
}

/// A button was pressed.
pub async fn act(by: By, reader: Reader, Sent(sent): Sent<Fields>) -> page::Answer {
    // Spaces belong to a password.
    let password = || sent.0.iter().find(|(name, _)| name == "password");
    let password = || password().map_or_else(String::new, |(_, password)| password.clone());
    match sent.one("act") {
        "begin" => match start(&by, password()).await {
            Ok(new) => with_secret(&by, &reader, new, None),
            Err(problem) => refused(&by, &reader, &problem),
        },
        "confirm" => match turn_on(&by, sent.one("code")).await {
            Ok((cookie, codes)) => {
                let page = FactorPage { codes, ..page_of(&by.console, &reader)? };
                Ok((cookie, reader.show(StatusCode::OK, &page)).into_response())
            }
            Err(problem) => match waiting(&by) {
                Some(new) => with_secret(&by, &reader, new, Some(&problem)),
                None => refused(&by, &reader, &problem),
            },
        },
        "remove" => match turn_off(&by, password(), sent.one("code")).await {
            Ok(()) => Ok(Redirect::to("/second-factor").into_response()),
            Err(problem) => refused(&by, &reader, &problem),
        },
        _ => Err(Problem::bad_request("there is no such button").into()),
    }
}

fn with_secret(
    by: &By,
    reader: &Reader,
    new: NewSecretOut,
    problem: Option<&Problem>,
) -> page::Answer {
    let status = problem.map_or(StatusCode::OK, Problem::status);
    let problem = problem.map_or_else(String::new, Problem::text);
    let page = FactorPage { new: Some(New::of(new)), problem, ..page_of(&by.console, reader)? };
    Ok(reader.show(status, &page))
}

fn refused(by: &By, reader: &Reader, problem: &Problem) -> page::Answer {
    let page = FactorPage { problem: problem.text(), ..page_of(&by.console, reader)? };
    let mut response: Response = reader.show(problem.status(), &page);
    page::retry_after(&mut response, problem);
    Ok(response)
}

fn page_of<'a>(console: &Console, reader: &'a Reader) -> Result<FactorPage<'a>, Problem> {
    let factor = present(console, &reader.caller.account)?;
    let mut args = FluentArgs::new();
    args.set("count", factor.recovery_left as f64);
    let required = factor.required_by.map_or_else(String::new, |role| {
        let mut args = FluentArgs::new();
        args.set("role", role);
        reader.say("page-factor-required", &args)
    });
    Ok(FactorPage {
        version: &VERSION,
        // Everybody may for themselves.
        who: reader.who(Area::Accounts, Level::View),
        elsewhere: reader.caller.account.via.clone().unwrap_or_default(),
        required,
        must_enrol: reader.caller.must_enrol,
        since: factor.since_unix_ms.map_or_else(String::new, |ms| clock::utc(ms) + " UTC"),
        left: reader.say("page-factor-left", &args),
        new: None,
        codes: Vec::new(),
        problem: String::new(),
    })
}

impl New {
    fn of(NewSecretOut { secret, uri }: NewSecretOut) -> Self {
        /// What readers of such pictures want free around them.
        const QUIET: i32 = 4;
        let mut path = String::new();
        // Plain characters in a number that always fits.
        let code = QrCode::encode_text(&uri, QrCodeEcc::Medium);
        let size = code.as_ref().map_or(0, QrCode::size);
        for (y, x) in (0..size).flat_map(|y| (0..size).map(move |x| (y, x))) {
            if code.as_ref().is_ok_and(|code| code.get_module(x, y)) {
                // Writing to a text cannot fail.
                let _ = write!(path, "M{} {}h1v1h-1z", x + QUIET, y + QUIET);
            }
        }
        let groups: Vec<_> = secret.as_bytes().chunks(4).map(String::from_utf8_lossy).collect();
        Self { secret: groups.join(" "), uri, side: size + 2 * QUIET, path }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_has_the_corners_that_readers_look_for() {
        let new = New::of(NewSecretOut {
            secret: "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ".into(),
            uri: "otpauth://totp/Evenkeel:eve?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ".into(),
        });
        assert!(new.secret.starts_with("GEZD GNBV "));
        let far = new.side - 4 - 7;
        for (x, y) in [(4, 4), (far, 4), (4, far)] {
            for at in 0..7 {
                assert!(new.path.contains(&format!("M{} {y}h1", x + at)), "{x} {y}");
            }
        }
        assert!(!new.path.contains("M3 "), "quiet around it");
    }
}
