//! The configuration (facts/console-ux.md §5 page 32): taken away as a file,
//! put back from one after a look at what differs, and the revisions of each
//! document, of which any two can be compared and an earlier one restored.

use super::fields::{self, Fields, Sent};
use super::reader::Reader;
use super::{Told, VERSION};
use crate::accounts::rights::{Area, Level};
use crate::clock;
use crate::console::Console;
use crate::console::api::configuration::{
    DocumentOut, ImportIn, RevisionOut, chosen, compared, go_back, listed, look_at_file,
    look_at_revision, part_of, revisions_of, take_file,
};
use crate::console::by::By;
use crate::console::configuration::diff::{Line, Mark};
use crate::console::configuration::file::BYTES_MAX;
use crate::console::configuration::{Part, Plan, Planned};
use crate::console::page;
use crate::console::problem::Problem;
use crate::console::who::Who;
use askama::Template;
use axum::extract::multipart::{Multipart, MultipartRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use fluent_bundle::FluentArgs;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "pages/configuration.html")]
struct ConfigurationPage<'a> {
    version: &'a str,
    who: Who<'a>,
    documents: Vec<DocumentOut>,
    /// What was done; empty: nothing.
    told: String,
    /// Keys that were made for web servers, which are shown now and never again.
    keys: BTreeMap<String, String>,
    problem: String,
}

#[derive(Template)]
#[template(path = "pages/configuration_import.html")]
struct ImportPage<'a> {
    version: &'a str,
    who: Who<'a>,
    /// The documents of the file, and what each would change.
    documents: Vec<Looked>,
    /// What is for reading alone; empty: nothing.
    passed_over: String,
    /// Web servers that would get a key; empty: none.
    keyless: String,
    file: String,
    mark: String,
    problem: String,
}

/// A document that could be imported.
struct Looked {
    name: &'static str,
    lines: Vec<Line>,
    /// Why it cannot come into force; empty: it can.
    refused: String,
    /// It was chosen.
    ticked: bool,
}

#[derive(Template)]
#[template(path = "pages/configuration_document.html")]
struct DocumentPage<'a> {
    version: &'a str,
    who: Who<'a>,
    part: Part,
    revisions: Vec<RevisionOut>,
    from: u64,
    /// None: what is in force.
    to: Option<u64>,
    /// What differs between the two; none was asked for without.
    lines: Option<Vec<Line>>,
    /// The revision to which a way back is shown.
    back: Option<Back>,
    told: String,
    problem: String,
}

/// The way back to a revision.
struct Back {
    revision: u64,
    lines: Vec<Line>,
    /// Why there is none; empty: there is.
    refused: String,
    mark: String,
}

/// Which two revisions of a document are to be compared, or to which one a way
/// back is to be shown.
#[derive(Deserialize)]
pub struct Pair {
    from: Option<u64>,
    #[serde(default)]
    to: String,
    back: Option<u64>,
    #[serde(default)]
    told: String,
}

/// The page.
pub async fn show(
    State(console): State<Arc<Console>>,
    reader: Reader,
    Query(Told { told }): Query<Told>,
) -> page::Answer {
    let told = match told.as_str() {
        "imported" => reader.word("page-configuration-imported"),
        _ => String::new(),
    };
    let page = page_of(&console, &reader).await?;
    Ok(reader.show(StatusCode::OK, &ConfigurationPage { told, ..page }))
}

/// A file was sent: what it would change.
pub async fn upload(
    by: By,
    reader: Reader,
    form: Result<Multipart, MultipartRejection>,
) -> page::Answer {
    let done = async {
        let raw = fields::file(form, "file", ("a configuration", BYTES_MAX)).await?;
        let text = std::str::from_utf8(&raw);
        let text =
            text.map_err(|_| Problem::bad_request(reader.word("page-configuration-no-text")))?;
        let wanted = ImportIn {
            file: text.replace("\r\n", "\n"),
            documents: None,
            check_only: true,
            mark: None,
        };
        preview(&by, &reader, wanted)
    };
    match done.await {
        Ok(page) => Ok(reader.show(StatusCode::OK, &page)),
        Err(problem) => failed(&by.console, &reader, &problem).await,
    }
}

/// Documents of the file were chosen, to be looked at again or imported.
pub async fn import(by: By, reader: Reader, Sent(sent): Sent<Fields>) -> page::Answer {
    let wanted = ImportIn {
        // A form sends its lines as they were in the time of teleprinters.
        file: sent.one("file").replace("\r\n", "\n"),
        documents: Some(sent.all("document").into_iter().collect()),
        check_only: false,
        mark: Some(sent.one("mark").to_owned()).filter(|mark| !mark.is_empty()),
    };
    let (documents, _) = match chosen(&wanted) {
        Ok(chosen) => chosen,
        Err(problem) => return failed(&by.console, &reader, &problem).await,
    };
    if sent.one("act") != "import" || documents.is_empty() {
        return match preview(&by, &reader, wanted) {
            Ok(page) => Ok(reader.show(StatusCode::OK, &page)),
            Err(problem) => failed(&by.console, &reader, &problem).await,
        };
    }
    let taken = take_file(&by, documents, wanted.mark.as_deref()).await;
    match taken {
        Ok(taken) if taken.keys.is_empty() => {
            Ok(Redirect::to("/configuration?told=imported").into_response())
        }
        Ok(taken) => {
            let told = reader.word("page-configuration-imported");
            let page = page_of(&by.console, &reader).await?;
            let page = ConfigurationPage { told, keys: taken.keys, ..page };
            Ok(reader.show(StatusCode::OK, &page))
        }
        // What came into force meanwhile is shown, and can be looked at.
        Err(problem) => match preview(&by, &reader, wanted) {
            Ok(page) => {
                let page = ImportPage { problem: problem.text(), ..page };
                Ok(reader.show(problem.status(), &page))
            }
            Err(_) => failed(&by.console, &reader, &problem).await,
        },
    }
}

/// A document, its revisions, and what differs between two of them.
pub async fn document(
    by: By,
    reader: Reader,
    Path(name): Path<String>,
    Query(Pair { from, to, back, told }): Query<Pair>,
) -> page::Answer {
    let console = &by.console;
    let part = part_of(&by.caller, &name)?;
    let to = to.parse().ok();
    let told = match told.as_str() {
        "restored" => reader.word("page-configuration-restored"),
        _ => String::new(),
    };
    let lines = match from {
        Some(from) => Some(compared(console, part, from, to).await?),
        None => None,
    };
    let page = document_of(console, &reader, part).await?;
    let back = match back.filter(|_| page.who.may_act) {
        Some(revision) => Some(way_back(&by, part, revision).await?),
        None => None,
    };
    let page = DocumentPage { from: from.unwrap_or(0), to, lines, back, told, ..page };
    Ok(reader.show(StatusCode::OK, &page))
}

/// An earlier revision is to be in force again.
pub async fn restore(
    by: By,
    reader: Reader,
    Path(name): Path<String>,
    Sent(sent): Sent<Fields>,
) -> page::Answer {
    let part = part_of(&by.caller, &name)?;
    let number = sent.one("revision").parse();
    let number = number.map_err(|_| Problem::bad_request("there is no such revision"))?;
    let done = match sent.ticked("confirm") {
        true => go_back(&by, part, number, Some(sent.one("mark"))).await,
        false => Err(Problem::bad_request(reader.word("page-configuration-tick"))),
    };
    match done {
        Ok(_) => {
            Ok(Redirect::to(&format!("/configuration/{}?told=restored", part.name()))
                .into_response())
        }
        Err(problem) => {
            let back = Some(way_back(&by, part, number).await?);
            let page = document_of(&by.console, &reader, part).await?;
            let page = DocumentPage { back, problem: problem.text(), ..page };
            Ok(reader.show(problem.status(), &page))
        }
    }
}

/// What a file would change: each document of it, those that were chosen ticked.
fn preview<'a>(by: &By, reader: &'a Reader, wanted: ImportIn) -> Result<ImportPage<'a>, Problem> {
    let ticks = wanted.documents;
    let whole = ImportIn { documents: None, ..wanted };
    let (documents, for_reading) = chosen(&whole)?;
    let wanted = whole;
    let plan = look_at_file(by, &documents);
    let keyless = plan.keyless().join(", ");
    let Plan { documents, mark, .. } = plan;
    let looked = |document: Planned| {
        let Planned { part, lines, refused } = document;
        let ticked = match &ticks {
            Some(ticks) => ticks.iter().any(|tick| tick == part.name()),
            None => !lines.is_empty() && refused.is_none(),
        };
        let refused = refused.map(|problem| problem.text()).unwrap_or_default();
        Looked { name: part.name(), lines, refused, ticked }
    };
    Ok(ImportPage {
        version: &VERSION,
        who: reader.who(Area::System, Level::Configure),
        documents: documents.into_iter().map(looked).collect(),
        passed_over: for_reading.join(", "),
        keyless,
        file: wanted.file,
        mark,
        problem: String::new(),
    })
}

/// What a return to this revision would change.
async fn way_back(by: &By, part: Part, revision: u64) -> Result<Back, Problem> {
    let Plan { documents, mark, .. } = look_at_revision(by, part, revision).await?;
    let mut back = Back { revision, lines: Vec::new(), refused: String::new(), mark };
    for Planned { lines, refused, .. } in documents {
        back.lines = lines;
        back.refused = refused.map(|problem| problem.text()).unwrap_or_default();
    }
    Ok(back)
}

async fn failed(console: &Arc<Console>, reader: &Reader, problem: &Problem) -> page::Answer {
    let page = page_of(console, reader).await?;
    let page = ConfigurationPage { problem: problem.text(), ..page };
    Ok(reader.show(problem.status(), &page))
}

async fn page_of<'a>(
    console: &Arc<Console>,
    reader: &'a Reader,
) -> Result<ConfigurationPage<'a>, Problem> {
    Ok(ConfigurationPage {
        version: &VERSION,
        who: reader.who(Area::System, Level::Configure),
        documents: listed(console, &reader.caller).await?,
        told: String::new(),
        keys: BTreeMap::new(),
        problem: String::new(),
    })
}

async fn document_of<'a>(
    console: &Arc<Console>,
    reader: &'a Reader,
    part: Part,
) -> Result<DocumentPage<'a>, Problem> {
    Ok(DocumentPage {
        version: &VERSION,
        who: reader.who(Area::System, Level::Configure).with(may_restore(reader, part)),
        part,
        revisions: revisions_of(console, part).await?,
        from: 0,
        to: None,
        lines: None,
        back: None,
        told: String::new(),
        problem: String::new(),
    })
}

/// Whether they may have another revision of a document in force.
fn may_restore(reader: &Reader, part: Part) -> bool {
    let may = |area| reader.caller.may(area, Level::Configure);
    may(Area::System) && part.changed_in().is_some_and(may)
}

/// What a document is called on pages.
fn title(who: Who<'_>, name: &str) -> String {
    who.word(&format!("page-document-{name}"))
}

/// Lines that are left out, in words.
fn left_out(who: Who<'_>, line: &Line) -> String {
    let mut args = FluentArgs::new();
    args.set("count", line.text.parse::<f64>().unwrap_or_default());
    crate::words::words().message(who.lang, "page-lines-left-out", &args)
}

impl ConfigurationPage<'_> {
    fn title(&self, name: &str) -> String {
        title(self.who, name)
    }

    fn when(&self, revision: &RevisionOut) -> String {
        clock::utc(revision.unix_ms)
    }
}

impl ImportPage<'_> {
    fn title(&self, name: &str) -> String {
        title(self.who, name)
    }

    fn left_out(&self, line: &Line) -> String {
        left_out(self.who, line)
    }
}

impl DocumentPage<'_> {
    fn title(&self) -> String {
        title(self.who, self.part.name())
    }

    fn when(&self, revision: &RevisionOut) -> String {
        clock::utc(revision.unix_ms)
    }

    /// Whether this is the other side of the comparison.
    fn is_to(&self, revision: &RevisionOut) -> bool {
        self.to == Some(revision.revision)
    }

    fn left_out(&self, line: &Line) -> String {
        left_out(self.who, line)
    }
}
