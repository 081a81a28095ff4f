//! Rules, jobs, run orders and calendar over the HTTP API: the document in
//! force, another one, a dry run, and how all of it is doing.

use crate::console::access::bad_json;
use crate::console::by::By;
use crate::console::problem::Problem;
use crate::console::{Console, clock};
use crate::jobs::{NotTaken, status};
use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use evenkeel_core::automation::{Document, Problem as Wrong};
use evenkeel_core::rehearsal::{Script, Table};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Longest time of the past that a dry run goes through, ms: 31 days.
const PAST_MAX_MS: u64 = 31 * 86_400_000;

/// The document in force.
#[derive(Serialize, ToSchema)]
pub struct AutomationOut {
    /// As TOML.
    toml: String,
    /// The same as JSON: `zone`, `rule`, `job`, `sequence`, `schedule`, `confirm`.
    #[schema(value_type = Object)]
    document: Document,
    /// Everything in it that can hurt, by the word that confirms it.
    dangers: Vec<DangerOut>,
}

/// Something that can hurt.
#[derive(Serialize, ToSchema)]
struct DangerOut {
    /// What `confirm` must contain.
    name: String,
    /// What it does.
    what: &'static str,
}

/// A document, in one of its two forms.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AutomationIn {
    /// As TOML.
    #[serde(default)]
    toml: Option<String>,
    /// As JSON.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    document: Option<serde_json::Value>,
    /// Only look at it.
    #[serde(default)]
    check_only: bool,
}

impl AutomationIn {
    /// This text, to be taken into force.
    pub(in crate::console) const fn toml(toml: String) -> Self {
        Self { toml: Some(toml), document: None, check_only: false }
    }
}

/// What to go through, with which document.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RehearsalIn {
    /// A document as TOML; the one in force when neither is given.
    #[serde(default)]
    toml: Option<String>,
    /// The same as JSON.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    document: Option<serde_json::Value>,
    /// A script as TOML.
    #[serde(default)]
    script: Option<String>,
    /// Or the recorded past from here, ms since 1970 …
    #[serde(default)]
    from: Option<u64>,
    /// … to here.
    #[serde(default)]
    to: Option<u64>,
}

/// What would happen.
#[derive(Serialize, ToSchema)]
pub struct RehearsalOut {
    /// In the order of time.
    rows: Vec<RehearsalRow>,
    /// The same as a table of text.
    text: String,
    /// It was too much for one table, which ends before the time does.
    cut: bool,
    /// Points that rules read and of which the past holds nothing; they were
    /// taken as not known.
    not_recorded: Vec<String>,
    /// The log of events begins only here, ms since 1970, and nothing is known
    /// of those before; null: it reaches back over all of the time.
    events_from_ms: Option<u64>,
    /// Jobs that did not begin because nothing that follows from the points of
    /// the script can begin them.
    not_simulated: Vec<String>,
}

/// One thing that would happen.
#[derive(Serialize, ToSchema)]
struct RehearsalRow {
    /// When, ms from the beginning.
    at_ms: u64,
    /// `event` or `action`.
    what: &'static str,
    /// In words.
    text: String,
}

/// How all of it is doing.
#[derive(Serialize, ToSchema)]
pub struct AutomationStatusOut {
    /// Time zone of the calendar.
    zone: String,
    /// The rules.
    rules: Vec<RuleOut>,
    /// The jobs.
    jobs: Vec<JobOut>,
    /// The calendar.
    schedule: Vec<ScheduleOut>,
    /// What waits, by the time when it is due.
    pending: Vec<PendingOut>,
}

#[derive(Serialize, ToSchema)]
struct RuleOut {
    name: String,
    /// The expression.
    when: String,
    /// What it is now.
    value: bool,
    /// False: only because an input is not known.
    known: bool,
}

#[derive(Serialize, ToSchema)]
struct JobOut {
    name: String,
    /// What it does.
    action: String,
    /// How much of it waits or is under way.
    pending: usize,
    /// What came of it last.
    last: Option<LastOut>,
}

#[derive(Serialize, ToSchema)]
struct LastOut {
    /// When, ms since 1970.
    unix_ms: u64,
    /// How long ago, ms.
    age_ms: u64,
    failed: bool,
    text: String,
}

#[derive(Serialize, ToSchema)]
struct ScheduleOut {
    name: String,
    /// The next runs, ms since 1970.
    next_unix_ms: Vec<i64>,
}

#[derive(Serialize, ToSchema)]
struct PendingOut {
    /// Its name; the same in every attempt.
    instance: String,
    job: String,
    /// Due in so many ms; 0: under way.
    in_ms: u64,
    /// Attempts that failed.
    failed: u32,
    /// Why the last of them did.
    reason: Option<String>,
}

/// Rules, jobs, run orders and calendar in force.
#[utoipa::path(get, path = "/api/v1/automation", tag = "automation",
    responses((status = 200, body = AutomationOut)))]
pub async fn automation(State(console): State<Arc<Console>>) -> Json<AutomationOut> {
    let document = console.automation.document();
    let dangers = document.dangers().into_iter();
    let dangers =
        dangers.map(|danger| DangerOut { name: danger.name, what: danger.what }).collect();
    Json(AutomationOut { toml: console.automation.text(), document, dangers })
}

/// Take others into force, all at once.
#[utoipa::path(post, path = "/api/v1/automation", request_body = AutomationIn, tag = "automation",
    responses(
    (status = 204, description = "In force; with `check_only`: it could be"),
    (status = 409, body = Problem, description = "It is wrong; the detail says where and how"),
    (status = 428, body = Problem, description = "Something in it can hurt and is not in `confirm`")))]
pub async fn put(
    by: By,
    body: Result<Json<AutomationIn>, JsonRejection>,
) -> Result<StatusCode, Problem> {
    let Json(wanted) = body.map_err(bad_json)?;
    accept(&by, wanted).await.map(|()| StatusCode::NO_CONTENT)
}

/// Take what was sent into force, or only look at it.
pub(in crate::console) async fn accept(by: &By, wanted: AutomationIn) -> Result<(), Problem> {
    let document = read(wanted.toml.as_deref(), wanted.document)?
        .ok_or_else(|| Problem::bad_request("give one of toml and document"))?;
    if wanted.check_only {
        return by.console.automation.check(document).map_err(problem);
    }
    take(by, document).await.map_err(problem)
}

/// What the API and the pages do alike: take a document into force, and tell
/// who did.
pub(in crate::console) async fn take(by: &By, document: Document) -> Result<(), NotTaken> {
    let what = format!(
        "take {} rules, {} jobs and {} entries of the calendar into force",
        document.rule.len(),
        document.job.len(),
        document.schedule.len()
    );
    let done = by.console.automation.put(document).await;
    by.told(what, done).await
}

/// A dry run: what would happen, and nothing of it does.
#[utoipa::path(post, path = "/api/v1/automation/rehearsal", request_body = RehearsalIn,
    tag = "automation", responses(
    (status = 200, body = RehearsalOut),
    (status = 409, body = Problem, description = "The document or the script is wrong")))]
pub async fn rehearse(
    State(console): State<Arc<Console>>,
    body: Result<Json<RehearsalIn>, JsonRejection>,
) -> Result<Json<RehearsalOut>, Problem> {
    let Json(wanted) = body.map_err(bad_json)?;
    let document = read(wanted.toml.as_deref(), wanted.document)?;
    let automation = Arc::clone(&console.automation);
    let work: Box<dyn FnOnce() -> Result<Table, NotTaken> + Send> =
        match (wanted.script, wanted.from, wanted.to) {
            (Some(script), None, None) => {
                let (script, frames) =
                    Script::parse(&script).map_err(|e| refused(e.to_string()))?;
                let thresholds = console.alarms.thresholds();
                Box::new(move || automation.rehearse_script(document, &thresholds, &script, frames))
            }
            (None, Some(from), Some(to)) if from < to && to - from <= PAST_MAX_MS => {
                Box::new(move || automation.rehearse_past(document, from..=to))
            }
            _ => {
                let text = "give a script, or from and to of the past, at most 31 days apart";
                return Err(Problem::bad_request(text));
            }
        };
    let table = super::off_thread(&console, work).await?.map_err(problem)?;
    let text = table.to_string();
    let row = |row: evenkeel_core::rehearsal::Row| RehearsalRow {
        at_ms: row.at_ms,
        what: row.what.word(),
        text: row.what.to_string(),
    };
    let rows = table.rows.into_iter().map(row).collect();
    let Table { cut, not_recorded, not_simulated, events_from_ms, .. } = table;
    Ok(Json(RehearsalOut { rows, text, cut, not_recorded, events_from_ms, not_simulated }))
}

/// What rules are, what jobs have done and what they wait for, what is next on
/// the calendar.
#[utoipa::path(get, path = "/api/v1/automation/status", tag = "automation",
    responses((status = 200, body = AutomationStatusOut)))]
pub async fn status(
    State(console): State<Arc<Console>>,
) -> Result<Json<AutomationStatusOut>, Problem> {
    let automation = Arc::clone(&console.automation);
    let status = super::off_thread(&console, move || automation.status()).await?;
    let status::Status { zone, rules, jobs, schedule, pending } = status;
    let now = clock::unix_ms();
    let rules = rules.into_iter().map(|r| RuleOut {
        name: r.name,
        when: r.when,
        value: r.value,
        known: r.known,
    });
    let last = |l: status::LastOutcome| LastOut {
        unix_ms: l.unix_ms,
        age_ms: now.saturating_sub(l.unix_ms),
        failed: l.failed,
        text: l.event.to_string(),
    };
    let jobs = jobs.into_iter().map(|j| JobOut {
        name: j.name,
        action: j.action,
        pending: j.pending,
        last: j.last.map(last),
    });
    let schedule = schedule.into_iter().map(|entry| ScheduleOut {
        name: entry.name,
        next_unix_ms: entry.next_unix_s.into_iter().map(|s| s.saturating_mul(1_000)).collect(),
    });
    let pending = pending.into_iter().map(|p| PendingOut {
        instance: p.instance,
        job: p.job,
        in_ms: p.in_ms,
        failed: p.failed,
        reason: p.reason,
    });
    Ok(Json(AutomationStatusOut {
        zone,
        rules: rules.collect(),
        jobs: jobs.collect(),
        schedule: schedule.collect(),
        pending: pending.collect(),
    }))
}

fn read(toml: Option<&str>, json: Option<serde_json::Value>) -> Result<Option<Document>, Problem> {
    match (toml, json) {
        (None, None) => Ok(None),
        (Some(text), None) => {
            Document::parse(text).map(Some).map_err(|e| problem(NotTaken::Problem(e)))
        }
        (None, Some(json)) => {
            serde_json::from_value(json).map(Some).map_err(|e| refused(format!("document: {e}")))
        }
        (Some(_), Some(_)) => Err(Problem::bad_request("give one of toml and document")),
    }
}

fn refused(detail: String) -> Problem {
    Problem::new(StatusCode::CONFLICT, "refused", "This is wrong").detail(detail)
}

fn problem(error: NotTaken) -> Problem {
    match error {
        NotTaken::Problem(Wrong::Unconfirmed(_)) => {
            let status = StatusCode::PRECONDITION_REQUIRED;
            Problem::new(status, "confirm", "Something here can hurt").detail(error.to_string())
        }
        NotTaken::Store(error) => Problem::store(&error),
        error => refused(error.to_string()),
    }
}
