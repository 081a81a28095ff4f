//! The web servers that jobs may tell, over the HTTP API. A key goes in, or is
//! made here and shown once; it never comes out again.

use crate::caps::one_line;
use crate::clock;
use crate::console::Console;
use crate::console::access::bad_json;
use crate::console::by::By;
use crate::console::path::Path;
use crate::console::problem::Problem;
use crate::grants::{Authorities, Pin, TlsName};
use crate::jobs::receivers::{ReceiverError, Wanted};
use crate::jobs::webhook::{Webhook, Written};
use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use evenkeel_core::jobs::{Action, Outcome, Task};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use utoipa::ToSchema;

/// Longest wait for the answer to a test.
const TEST_MAX: Duration = Duration::from_secs(15);

/// A web server that jobs may tell.
#[derive(Serialize, ToSchema)]
pub struct WebhookOut {
    /// What jobs call it.
    pub(in crate::console) name: String,
    /// Where it is.
    pub(in crate::console) url: String,
    /// Its authorities, other than the system's: PEM, or a file of the appliance.
    pub(in crate::console) ca: Option<String>,
    /// The name that its certificate is for, other than the host's.
    pub(in crate::console) server_name: Option<String>,
    /// SHA-256 of its certificate.
    pub(in crate::console) pin_sha256: Option<String>,
    /// The jobs and run orders in force that tell it.
    pub(in crate::console) jobs: BTreeSet<String>,
}

/// What a web server is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookIn {
    /// `https://host[:port]/path`; `http` only where the network is trusted.
    pub(in crate::console) url: String,
    /// What messages to it are signed by, 16 to 256 bytes. Without it the one
    /// that is there stays; a new web server gets a random one.
    #[serde(default)]
    pub(in crate::console) key: Option<String>,
    /// Its authorities, other than the system's, as PEM.
    #[serde(default)]
    pub(in crate::console) ca: Option<String>,
    /// The name that its certificate is for, other than the host's.
    #[serde(default)]
    pub(in crate::console) server_name: Option<String>,
    /// SHA-256 of its certificate.
    #[serde(default)]
    pub(in crate::console) pin_sha256: Option<String>,
}

/// What was made for a web server.
#[derive(Serialize, ToSchema)]
pub struct WebhookKey {
    /// The key that was made, for the web server; shown only now. Null: it has
    /// the one that was given, or that it had.
    key: Option<String>,
}

/// What came of a test.
#[derive(Serialize, ToSchema)]
pub struct WebhookTested {
    /// It took the message.
    taken: bool,
    /// Why it did not.
    reason: Option<String>,
}

/// The web servers that jobs may tell.
#[utoipa::path(get, path = "/api/v1/webhooks", tag = "automation",
    responses((status = 200, body = [WebhookOut])))]
pub async fn webhooks(State(console): State<Arc<Console>>) -> Json<Vec<WebhookOut>> {
    Json(listed(&console))
}

/// Add a web server, or change the one of that name. It is in force when this
/// answers.
#[utoipa::path(post, path = "/api/v1/webhooks/{name}", request_body = WebhookIn, tag = "automation",
    params(("name" = String, Path, description = "1 to 40 of a-z, 0-9 and '-'")), responses(
    (status = 200, body = WebhookKey),
    (status = 409, body = Problem, description = "It is wrong, or there are too many")))]
pub async fn put(
    by: By,
    Path(name): Path<String>,
    body: Result<Json<WebhookIn>, JsonRejection>,
) -> Result<Json<WebhookKey>, Problem> {
    let Json(wanted) = body.map_err(bad_json)?;
    accept(&by, name, wanted).await.map(|key| Json(WebhookKey { key }))
}

/// All web servers, for API and page.
pub(in crate::console) fn listed(console: &Console) -> Vec<WebhookOut> {
    let all = console.automation.receivers().all().into_iter();
    all.map(|webhook| out(console, &webhook)).collect()
}

/// Add or change a web server; the key that was made for it, if one was.
pub(in crate::console) async fn accept(
    by: &By,
    name: String,
    wanted: WebhookIn,
) -> Result<Option<String>, Problem> {
    let what = format!("let jobs tell {} as {}", one_line(&wanted.url, 200), one_line(&name, 40));
    let done = match wanted.named(name) {
        Ok(wanted) => by.console.automation.receivers().put(wanted).await.map_err(problem),
        Err(problem) => Err(problem),
    };
    by.told(what, done).await
}

/// Remove a web server. No job may tell it any more.
#[utoipa::path(post, path = "/api/v1/webhooks/{name}/delete", tag = "automation",
    params(("name" = String, Path, description = "From the list")), responses(
    (status = 204, description = "Removed"),
    (status = 404, body = Problem, description = "There is no such web server"),
    (status = 409, body = Problem, description = "A job in force tells it")))]
pub async fn remove(by: By, Path(name): Path<String>) -> Result<StatusCode, Problem> {
    forget(&by, name).await.map(|()| StatusCode::NO_CONTENT)
}

/// Remove a web server.
pub(in crate::console) async fn forget(by: &By, name: String) -> Result<(), Problem> {
    let used = by.console.automation.told_by(&name);
    let done = match used.first() {
        Some(job) => Err(refused(format!("the job {job:?} tells it; change the job first"))),
        None => by.console.automation.receivers().remove(&name).await.map_err(problem),
    };
    let what = format!("let jobs tell {} no more", one_line(&name, 40));
    by.told(what, done).await
}

/// Send a web server a message, to see whether it takes it: the event that says
/// who tests it. Answers after at most 15 s.
#[utoipa::path(post, path = "/api/v1/webhooks/{name}/test", tag = "automation",
    params(("name" = String, Path, description = "From the list")), responses(
    (status = 200, body = WebhookTested),
    (status = 404, body = Problem, description = "There is no such web server")))]
pub async fn test(by: By, Path(name): Path<String>) -> Result<Json<WebhookTested>, Problem> {
    let reason = attempt(&by, name).await?;
    Ok(Json(WebhookTested { taken: reason.is_none(), reason }))
}

/// Send a web server a message; why it did not take it, if it did not.
pub(in crate::console) async fn attempt(by: &By, name: String) -> Result<Option<String>, Problem> {
    let what = format!("send a test message to {}", one_line(&name, 40));
    if by.console.automation.receivers().get(&name).is_none() {
        return by.told(what, Err(problem(ReceiverError::Unknown(name)))).await;
    }
    let event = by.event(what.clone(), None);
    let unix_ms = clock::unix_ms();
    let task = Task {
        instance: "test".to_owned(),
        job: "test".to_owned(),
        action: Action::Webhook { to: name, text: None },
        undo: false,
        event,
        event_id: 0,
        event_unix_ms: unix_ms,
        words: None,
    };
    let attempt = tokio::time::timeout(TEST_MAX, by.console.automation.attempt(task)).await;
    let outcome = attempt.unwrap_or_else(|_| Outcome::Later("it does not answer".to_owned()));
    let taken = match outcome {
        Outcome::Done | Outcome::Said(_) => Ok(()),
        Outcome::Later(reason) | Outcome::Never(reason) => Err(reason),
    };
    Ok(by.told(what, taken).await.err())
}

impl WebhookIn {
    fn named(self, name: String) -> Result<Wanted, Problem> {
        let Self { url, key, ca, server_name, pin_sha256 } = self;
        let ca: Option<Authorities> = parsed(ca, "ca")?;
        if matches!(ca, Some(Authorities::File(_))) {
            return Err(refused("ca: give the certificates themselves, as PEM".to_owned()));
        }
        let server_name: Option<TlsName> = parsed(server_name, "server_name")?;
        let pin_sha256: Option<Pin> = parsed(pin_sha256, "pin_sha256")?;
        let written = Written { name, url, key: String::new(), ca, server_name, pin_sha256 };
        Ok(Wanted { written, key })
    }
}

fn parsed<T>(text: Option<String>, field: &str) -> Result<Option<T>, Problem>
where
    T: FromStr<Err: std::fmt::Display>,
{
    // What a form leaves empty was not given.
    let text = text.filter(|text| !text.trim().is_empty());
    text.map(|text| text.parse().map_err(|e| refused(format!("{field}: {e}")))).transpose()
}

fn out(console: &Console, webhook: &Webhook) -> WebhookOut {
    let Written { name, url, ca, server_name, pin_sha256, .. } = webhook.written().clone();
    WebhookOut {
        jobs: console.automation.told_by(&name),
        name,
        url,
        ca: ca.map(|ca| ca.to_string()),
        server_name: server_name.map(|name| name.to_string()),
        pin_sha256: pin_sha256.map(|pin| pin.to_string()),
    }
}

fn refused(detail: String) -> Problem {
    Problem::new(StatusCode::CONFLICT, "refused", "The web servers are as they were").detail(detail)
}

fn problem(error: ReceiverError) -> Problem {
    match error {
        ReceiverError::Store(e) => Problem::store(&e),
        ReceiverError::Unknown(_) => {
            Problem::new(StatusCode::NOT_FOUND, "unknown", "There is no such web server")
                .detail(error.to_string())
        }
        ReceiverError::Random(_) => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "random", "No key could be made")
                .detail(error.to_string())
        }
        ReceiverError::Wrong(_) | ReceiverError::Full => refused(error.to_string()),
    }
}
