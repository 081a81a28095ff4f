//! Who is signed in, and ending that (facts/console-ux.md UX-072,
//! facts/appliance-security.md SEC-046): everybody their own sessions, and who
//! answers for accounts those of all.

use crate::accounts::rights::{Area, Level};
use crate::caps::one_line;
use crate::clock;
use crate::console::Console;
use crate::console::by::By;
use crate::console::path::Path;
use crate::console::problem::Problem;
use crate::console::session::{Caller, Listed};
use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// Somebody who is signed in.
#[derive(Serialize, ToSchema)]
pub struct SessionOut {
    /// Names it; opens nothing.
    pub(in crate::console) id: String,
    /// Who.
    pub(in crate::console) user: String,
    /// Who keeps the account: `local`, or the authenticator.
    pub(in crate::console) origin: String,
    /// Address of the last request.
    pub(in crate::console) from: String,
    /// When it began, ms since 1970.
    pub(in crate::console) begun_unix_ms: u64,
    /// How long ago a person last did something, s.
    pub(in crate::console) idle_s: u64,
    /// It ends in so many seconds, unless somebody does something.
    pub(in crate::console) left_s: u64,
    /// It is the one that asks.
    pub(in crate::console) this: bool,
}

/// Who is signed in: this account's own sessions, or those of all for who may see
/// accounts. Asking does not prolong any.
#[utoipa::path(get, path = "/api/v1/sessions", tag = "access",
    responses((status = 200, body = [SessionOut])))]
pub async fn sessions(
    State(console): State<Arc<Console>>,
    Extension(caller): Extension<Caller>,
) -> Json<Vec<SessionOut>> {
    Json(listed(&console, &caller))
}

/// The sessions that this account may see, the newest first.
pub(in crate::console) fn listed(console: &Console, caller: &Caller) -> Vec<SessionOut> {
    let (now, unix_ms) = (clock::now(), clock::unix_ms());
    let all = caller.may(Area::Accounts, Level::View);
    let listed = console.sessions().listed(now);
    let seen = listed.into_iter().filter(|session| all || is_own(caller, session));
    let out = |session: Listed| SessionOut {
        this: session.is(&caller.shown),
        begun_unix_ms: unix_ms.saturating_sub(session.begun.as_millis()),
        idle_s: session.idle.as_millis() / 1_000,
        left_s: session.left.as_millis() / 1_000,
        user: session.account.user.clone(),
        origin: session.account.origin().to_owned(),
        from: session.from,
        id: session.id,
    };
    let mut out: Vec<_> = seen.map(out).collect();
    out.sort_by_key(|session| std::cmp::Reverse(session.begun_unix_ms));
    out
}

/// End a session and its streams: one of this account's own, or anybody's for
/// who may configure accounts. `others` ends all of this account's own but the
/// one that asks.
#[utoipa::path(post, path = "/api/v1/sessions/{id}/end", tag = "access",
    params(("id" = String, Path, description = "From the list, or `others`")), responses(
    (status = 204, description = "Ended"),
    (status = 403, body = Problem),
    (status = 404, body = Problem, description = "There is no such session, or not any more")))]
pub async fn end(by: By, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    finish(&by, &id).await.map(|()| StatusCode::NO_CONTENT)
}

/// End a session.
pub(in crate::console) async fn finish(by: &By, id: &str) -> Result<(), Problem> {
    let By { console, caller, .. } = by;
    let listed = console.sessions().listed(clock::now());
    let (what, done) = if id == "others" {
        let others = listed.iter().filter(|s| is_own(caller, s) && !s.is(&caller.shown));
        others.for_each(|session| console.sessions().end_listed(&session.id));
        ("end their other sessions".to_owned(), Ok(()))
    } else {
        match listed.into_iter().find(|session| session.id == id) {
            Some(session) => {
                let user = &session.account.user;
                let what = format!("end a session of {user} from {}", session.from);
                let may = is_own(caller, &session) || caller.may(Area::Accounts, Level::Configure);
                let refused =
                    || Problem::not_allowed(&caller.user, Area::Accounts, Level::Configure);
                if may {
                    console.sessions().end_listed(&session.id);
                }
                (what, may.then_some(()).ok_or_else(refused))
            }
            None => {
                let problem = Problem::new(StatusCode::NOT_FOUND, "not-found", "Nothing was ended");
                let detail = "there is no such session; it may have ended by itself";
                (format!("end the session {}", one_line(id, 40)), Err(problem.detail(detail)))
            }
        }
    };
    by.told(what, done).await
}

/// Whether it is a session of the same account: of the same name and the same
/// keeper.
fn is_own(caller: &Caller, session: &Listed) -> bool {
    let (caller, session) = (&caller.account, &session.account);
    caller.user == session.user && caller.origin() == session.origin()
}
