//! What an administrator set, over the HTTP API: as one file, from one file, and
//! through time. [`crate::console::configuration`] does the work.

use super::bad_query;
use crate::accounts::rights::Level;
use crate::console::Console;
use crate::console::access::bad_json;
use crate::console::by::By;
use crate::console::configuration::diff::Line;
use crate::console::configuration::file::{self, Read};
use crate::console::configuration::{self as documents, Part, Plan, Planned};
use crate::console::path::Path;
use crate::console::problem::Problem;
use crate::console::session::Caller;
use crate::trail;
use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Extension, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use toml::Table;
use utoipa::{IntoParams, ToSchema};

/// A document.
#[derive(Serialize, ToSchema)]
pub struct DocumentOut {
    /// `thresholds`, `automation`, `webhooks`, `login` or `configuration`.
    pub(in crate::console) name: &'static str,
    /// An import and a restore may change it; else it is for reading.
    pub(in crate::console) changeable: bool,
    /// The newest revision; null: it was never changed, and the built-in one is in force.
    pub(in crate::console) newest: Option<RevisionOut>,
}

/// A revision of a document.
#[derive(Clone, Serialize, ToSchema)]
pub struct RevisionOut {
    /// Counts up from 1.
    pub(in crate::console) revision: u64,
    /// When it was first in force, ms since 1970.
    pub(in crate::console) unix_ms: u64,
    /// Whose request it came by; empty: nobody's, or it is not known.
    pub(in crate::console) by: String,
}

/// A file to be imported.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportIn {
    /// The file itself, as TOML; at most 1 MiB.
    pub(in crate::console) file: String,
    /// Only these documents of it; without it all of them.
    #[serde(default)]
    pub(in crate::console) documents: Option<Vec<String>>,
    /// Only look at it.
    #[serde(default)]
    pub(in crate::console) check_only: bool,
    /// From a look at it: refused when something else came into force since.
    #[serde(default)]
    pub(in crate::console) mark: Option<String>,
}

/// An earlier revision that shall be in force again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RestoreIn {
    /// Its number.
    pub(in crate::console) revision: u64,
    /// Only look at it.
    #[serde(default)]
    pub(in crate::console) check_only: bool,
    /// From a look at it: refused when something else came into force since.
    #[serde(default)]
    pub(in crate::console) mark: Option<String>,
}

/// What was changed, or would be.
#[derive(Serialize, ToSchema)]
pub struct ChangeOut {
    /// It is in force now; false: it was only looked at.
    done: bool,
    /// Stands for what was looked at, to be sent along when it is done.
    mark: Option<String>,
    /// Each document that was named.
    documents: Vec<ChangedOut>,
    /// What of the file is for reading alone, and was passed over.
    for_reading: Vec<&'static str>,
    /// Web servers that have no key yet, for which one would be made.
    keyless: Vec<String>,
    /// The keys that were made for web servers; shown only now.
    keys: BTreeMap<String, String>,
}

/// What was changed of a document.
#[derive(Serialize, ToSchema)]
pub struct ChangedOut {
    /// Its name.
    name: &'static str,
    /// It differs.
    changed: bool,
    /// Why it cannot come into force; null: it can.
    refused: Option<String>,
    /// How, line by line; secrets are numbered.
    lines: Vec<Line>,
}

/// Which two revisions.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DiffQuery {
    /// A revision; 0: the empty document.
    from: u64,
    /// Another one; without it what is in force.
    to: Option<u64>,
}

/// The documents that this account may see.
#[utoipa::path(get, path = "/api/v1/configuration", tag = "system",
    responses((status = 200, body = [DocumentOut])))]
pub async fn configuration(
    State(console): State<Arc<Console>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Vec<DocumentOut>>, Problem> {
    listed(&console, &caller).await.map(Json)
}

/// All documents that this account may see.
pub(in crate::console) async fn listed(
    console: &Arc<Console>,
    caller: &Caller,
) -> Result<Vec<DocumentOut>, Problem> {
    let mut all = Vec::new();
    for part in Part::ALL.into_iter().filter(|part| caller.may(part.seen_in(), Level::View)) {
        let newest = revisions_of(console, part).await?.into_iter().next();
        let changeable = part.changed_in().is_some();
        all.push(DocumentOut { name: part.name(), changeable, newest });
    }
    Ok(all)
}

/// All of them as one file, in TOML, without any secret: for keeping, for
/// comparing, for another appliance. What this account may not see is not in it.
#[utoipa::path(get, path = "/api/v1/configuration/export", tag = "system", responses(
    (status = 200, description = "TOML", content_type = "application/toml", body = String)))]
pub async fn export(by: By) -> Result<Response, Problem> {
    let text = documents::export(&by).await?;
    let By { console, caller, from } = by;
    let what = "export the configuration, without secrets";
    console.store.audit_promptly(&caller.user, &from.to_string(), what, "done").await;
    let name =
        (header::CONTENT_DISPOSITION, "attachment; filename=\"evenkeel-configuration.toml\"");
    Ok(([(header::CONTENT_TYPE, "application/toml"), name], text).into_response())
}

/// Take documents of a file into force, or look at what that would change: all
/// of them, or none. Each needs the right to configure what it is about. Where
/// dots stand for a secret, the one in force stays.
#[utoipa::path(post, path = "/api/v1/configuration/import", request_body = ImportIn, tag = "system",
    responses(
    (status = 200, body = ChangeOut),
    (status = 403, body = Problem, description = "A document is not this account's to change"),
    (status = 409, body = Problem, description = "A document cannot come into force, and why; or \
        something else came into force since it was looked at"),
    (status = 413, body = Problem, description = "Too long"),
    (status = 422, body = Problem, description = "Not a configuration, or of a newer firmware")))]
pub async fn import(
    by: By,
    body: Result<Json<ImportIn>, JsonRejection>,
) -> Result<Json<ChangeOut>, Problem> {
    let Json(wanted) = body.map_err(bad_json)?;
    let (chosen, for_reading) = chosen(&wanted)?;
    if wanted.check_only {
        let plan = look_at_file(&by, &chosen);
        return Ok(Json(looked_at(plan, for_reading)));
    }
    let taken = take_file(&by, chosen, wanted.mark.as_deref()).await?;
    Ok(Json(taken_out(taken, for_reading)))
}

/// The documents of a file that somebody chose, and what is for reading alone.
pub(in crate::console) fn chosen(
    wanted: &ImportIn,
) -> Result<(BTreeMap<Part, Table>, Vec<&'static str>), Problem> {
    let no_file = |error: file::FileError| {
        let status = match error {
            file::FileError::TooLong(_) => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Problem::new(status, "file", "The configuration is as it was").detail(error.to_string())
    };
    let Read { mut documents, for_reading } = file::read(&wanted.file).map_err(no_file)?;
    if let Some(names) = &wanted.documents {
        for name in names {
            let there = Part::named(name).is_some_and(|part| documents.contains_key(&part));
            if !there {
                let name = crate::caps::one_line(name, 40);
                let text = format!("the file has no {name} that could be imported");
                return Err(Problem::bad_request(text));
            }
        }
        documents.retain(|part, _| names.iter().any(|name| name == part.name()));
    }
    Ok((documents, for_reading))
}

/// Look at what a file would change.
pub(in crate::console) fn look_at_file(by: &By, chosen: &BTreeMap<Part, Table>) -> Plan {
    trail::is_to("look at what an import of the configuration would change".to_owned());
    documents::look(by, chosen)
}

/// Take documents of a file into force.
pub(in crate::console) async fn take_file(
    by: &By,
    chosen: BTreeMap<Part, Table>,
    mark: Option<&str>,
) -> Result<documents::Taken, Problem> {
    documents::take(by, chosen, mark, "import the configuration".to_owned()).await
}

/// The revisions of a document that are kept, newest first.
#[utoipa::path(get, path = "/api/v1/configuration/{document}", tag = "system",
    params(("document" = String, Path, description = "From the list")), responses(
    (status = 200, body = [RevisionOut]),
    (status = 403, body = Problem),
    (status = 404, body = Problem)))]
pub async fn history(
    State(console): State<Arc<Console>>,
    Extension(caller): Extension<Caller>,
    Path(document): Path<String>,
) -> Result<Json<Vec<RevisionOut>>, Problem> {
    let part = part_of(&caller, &document)?;
    revisions_of(&console, part).await.map(Json)
}

/// What differs between two revisions of a document, line by line. Secrets are
/// numbered: two that are the same have the same number.
#[utoipa::path(get, path = "/api/v1/configuration/{document}/diff", tag = "system",
    params(("document" = String, Path, description = "From the list"), DiffQuery), responses(
    (status = 200, body = [Line]),
    (status = 403, body = Problem),
    (status = 404, body = Problem)))]
pub async fn diff(
    State(console): State<Arc<Console>>,
    Extension(caller): Extension<Caller>,
    Path(document): Path<String>,
    query: Result<Query<DiffQuery>, QueryRejection>,
) -> Result<Json<Vec<Line>>, Problem> {
    let Query(DiffQuery { from, to }) = query.map_err(bad_query)?;
    let part = part_of(&caller, &document)?;
    compared(&console, part, from, to).await.map(Json)
}

/// What differs between two revisions; 0 is the empty document, and none what is
/// in force.
pub(in crate::console) async fn compared(
    console: &Arc<Console>,
    part: Part,
    from: u64,
    to: Option<u64>,
) -> Result<Vec<Line>, Problem> {
    let before = match from {
        0 => Table::new(),
        number => documents::revision(console, part, number).await?,
    };
    let after = match to {
        Some(number) => documents::revision(console, part, number).await?,
        None => documents::in_force(console, part).await?,
    };
    Ok(documents::differences(part, before, after))
}

/// Have an earlier revision of a document in force again, as a new revision; or
/// look at what that would change. Its secrets come back with it.
#[utoipa::path(post, path = "/api/v1/configuration/{document}/restore", request_body = RestoreIn,
    tag = "system", params(("document" = String, Path, description = "From the list")), responses(
    (status = 200, body = ChangeOut),
    (status = 403, body = Problem, description = "It is not this account's to change"),
    (status = 404, body = Problem),
    (status = 409, body = Problem, description = "It cannot come into force, and why; or \
        something else came into force since it was looked at")))]
pub async fn restore(
    by: By,
    Path(document): Path<String>,
    body: Result<Json<RestoreIn>, JsonRejection>,
) -> Result<Json<ChangeOut>, Problem> {
    let Json(RestoreIn { revision, check_only, mark }) = body.map_err(bad_json)?;
    let part = part_of(&by.caller, &document)?;
    if check_only {
        return look_at_revision(&by, part, revision).await.map(|p| Json(looked_at(p, Vec::new())));
    }
    let taken = go_back(&by, part, revision, mark.as_deref()).await?;
    Ok(Json(taken_out(taken, Vec::new())))
}

/// Look at what a return to a revision would change.
pub(in crate::console) async fn look_at_revision(
    by: &By,
    part: Part,
    revision: u64,
) -> Result<Plan, Problem> {
    let name = part.name();
    trail::is_to(format!("look at what a return to revision {revision} of {name} would change"));
    let table = documents::revision(&by.console, part, revision).await?;
    Ok(documents::look(by, &BTreeMap::from([(part, table)])))
}

/// Have a revision in force again.
pub(in crate::console) async fn go_back(
    by: &By,
    part: Part,
    revision: u64,
    mark: Option<&str>,
) -> Result<documents::Taken, Problem> {
    let table = documents::revision(&by.console, part, revision).await?;
    let what = format!("restore revision {revision} of {}", part.name());
    documents::take(by, BTreeMap::from([(part, table)]), mark, what).await
}

/// The document of this name, if this account may see it.
pub(in crate::console) fn part_of(caller: &Caller, name: &str) -> Result<Part, Problem> {
    let none = || {
        let names = Part::ALL.map(Part::name).join(", ");
        Problem::new(StatusCode::NOT_FOUND, "not-found", "There is no such document")
            .detail(format!("documents are {names}"))
    };
    let part = Part::named(name).ok_or_else(none)?;
    match caller.may(part.seen_in(), Level::View) {
        true => Ok(part),
        false => Err(Problem::not_allowed(&caller.user, part.seen_in(), Level::View)),
    }
}

/// The revisions of a document, newest first.
pub(in crate::console) async fn revisions_of(
    console: &Arc<Console>,
    part: Part,
) -> Result<Vec<RevisionOut>, Problem> {
    let mut all: Vec<_> = documents::revisions(console, part)
        .await?
        .into_iter()
        .map(|r| RevisionOut { revision: r.revision, unix_ms: r.unix_ms, by: r.by })
        .collect();
    all.sort_by_key(|revision| std::cmp::Reverse(revision.revision));
    Ok(all)
}

fn looked_at(plan: Plan, for_reading: Vec<&'static str>) -> ChangeOut {
    let keyless = plan.keyless();
    ChangeOut {
        done: false,
        mark: Some(plan.mark),
        documents: changed(plan.documents),
        for_reading,
        keyless,
        keys: BTreeMap::new(),
    }
}

fn taken_out(taken: documents::Taken, for_reading: Vec<&'static str>) -> ChangeOut {
    ChangeOut {
        done: true,
        mark: None,
        documents: changed(taken.documents),
        for_reading,
        keyless: Vec::new(),
        keys: taken.keys,
    }
}

fn changed(documents: Vec<Planned>) -> Vec<ChangedOut> {
    let out = |Planned { part, lines, refused }: Planned| ChangedOut {
        name: part.name(),
        changed: !lines.is_empty(),
        refused: refused.map(|problem| problem.text()),
        lines,
    };
    documents.into_iter().map(out).collect()
}
