//! `evenkeel config`: what was set on an appliance, as a file and back, what
//! differs, and an earlier revision.

use super::reports::save;
use super::table::{bytes, plain, table, utc};
use super::{Failure, Work, access, read_file, segment};
use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Everything after `evenkeel config`.
#[derive(Args)]
#[command(after_help = super::AFTER_HELP)]
pub struct Arguments {
    #[command(flatten)]
    access: access::Access,
    /// Print what the appliance answered, as JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Write all documents to a file, without secrets.
    Export {
        /// The file, which must not be there yet; "-" is standard output.
        file: PathBuf,
    },
    /// What an import of this file would change.
    Diff(FileArguments),
    /// Take the documents of a file into force: all of them, or none.
    Import(FileArguments),
    /// The documents and their newest revisions, or the revisions of one.
    History {
        /// thresholds, automation, webhooks, login or configuration.
        document: Option<String>,
    },
    /// Have an earlier revision of a document in force again.
    Restore {
        /// The document.
        document: String,
        /// Its revision, from `history`.
        revision: u64,
        /// Only say what that would change.
        #[arg(long)]
        look: bool,
    },
    /// Write what helps somebody else to help to a tar archive, without secrets.
    Support {
        /// The file, which must not be there yet.
        file: PathBuf,
    },
}

/// A file with a configuration.
#[derive(Args)]
struct FileArguments {
    /// The file.
    file: PathBuf,
    /// Only these documents of it.
    #[arg(long, value_name = "DOCUMENT", value_delimiter = ',')]
    only: Vec<String>,
}

/// As much of the answer as is shown.
#[derive(Deserialize)]
struct Change {
    done: bool,
    documents: Vec<Changed>,
    for_reading: Vec<String>,
    keyless: Vec<String>,
    keys: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Changed {
    name: String,
    changed: bool,
    refused: Option<String>,
    lines: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    mark: String,
    text: String,
}

#[derive(Deserialize)]
struct Document {
    name: String,
    newest: Option<Revision>,
}

#[derive(Deserialize)]
struct Revision {
    revision: u64,
    unix_ms: u64,
    by: String,
}

/// Do what `arguments` say. Returns whether errors are wanted as JSON, too.
///
/// # Errors
/// [`Failure`], with the exit code that belongs to it.
pub fn run(arguments: Arguments) -> (bool, Result<(), Failure>) {
    let Arguments { access, json, action } = arguments;
    let done = access.session(json, |work| act(work, action));
    (json, done)
}

fn act(work: &mut Work, action: Action) -> Result<(), Failure> {
    match action {
        Action::Export { file } => fetch(work, "/api/v1/configuration/export", &file),
        Action::Support { file } => fetch(work, "/api/v1/support", &file),
        Action::Diff(arguments) => import(work, &arguments, true),
        Action::Import(arguments) => import(work, &arguments, false),
        Action::History { document: None } => {
            let answer = work.appliance.get("/api/v1/configuration")?;
            let documents: Vec<Document> = work.appliance.understand(&answer)?;
            work.print(&answer, || {
                let rows: Vec<_> = documents.iter().map(row_of_document).collect();
                table(["document", "revision", "since (UTC)", "by"], &rows)
            })
        }
        Action::History { document: Some(name) } => {
            let name = segment("document", &name)?;
            let answer = work.appliance.get(&format!("/api/v1/configuration/{name}"))?;
            let revisions: Vec<Revision> = work.appliance.understand(&answer)?;
            work.print(&answer, || {
                let rows: Vec<_> = revisions.iter().map(row_of_revision).collect();
                table(["revision", "since (UTC)", "by"], &rows)
            })
        }
        Action::Restore { document, revision, look } => {
            let name = segment("document", &document)?;
            let wanted = json!({"revision": revision, "check_only": look});
            let path = format!("/api/v1/configuration/{name}/restore");
            let answer = work.appliance.post(&path, &wanted)?;
            told(work, &answer)
        }
    }
}

fn fetch(work: &mut Work, path: &str, file: &Path) -> Result<(), Failure> {
    let content = work.appliance.get_file(path)?;
    if file == Path::new("-") {
        return Ok(io::stdout().lock().write_all(&content)?);
    }
    save(file, &content).map_err(|source| Failure::Save { path: file.to_owned(), source })?;
    let saved = json!({"saved": file, "bytes": content.len()});
    work.print(&saved, || format!("{} are in {}\n", bytes(content.len() as u64), file.display()))
}

fn import(work: &mut Work, arguments: &FileArguments, check_only: bool) -> Result<(), Failure> {
    let failed = |source| Failure::File { path: arguments.file.clone(), source };
    let raw = read_file(&arguments.file)?;
    let file = String::from_utf8(raw).map_err(|e| failed(io::Error::other(e)))?;
    let only = (!arguments.only.is_empty()).then_some(&arguments.only);
    let wanted = json!({"file": file, "documents": only, "check_only": check_only});
    let answer = work.appliance.post("/api/v1/configuration/import", &wanted)?;
    told(work, &answer)
}

/// Print what was changed, or would be; one that would be refused is a failure.
fn told(work: &Work, answer: &Value) -> Result<(), Failure> {
    let change: Change = work.appliance.understand(answer)?;
    work.print(answer, || shown(&change))?;
    let refused = change.documents.iter().filter_map(|document| document.refused.as_deref());
    match refused.map(plain).collect::<Vec<_>>().join("; ") {
        none if none.is_empty() => Ok(()),
        refused => Err(Failure::Outcome(refused)),
    }
}

fn shown(change: &Change) -> String {
    let mut out = String::new();
    for Changed { name, changed, refused, lines } in &change.documents {
        let state = match (refused, changed, change.done) {
            (Some(_), ..) => "would be refused",
            (None, false, _) => "stays as it is",
            (None, true, true) => "changed",
            (None, true, false) => "would change",
        };
        out.push_str(&format!("{}: {state}\n", plain(name)));
        for Line { mark, text } in lines {
            let text = plain(text);
            out.push_str(&match mark.as_str() {
                "gone" => format!("  - {text}\n"),
                "new" => format!("  + {text}\n"),
                "left-out" => format!("    … {text} lines\n"),
                _ => format!("    {text}\n"),
            });
        }
    }
    if !change.for_reading.is_empty() {
        let names = change.for_reading.join(", ");
        out.push_str(&format!("for reading alone, not imported: {}\n", plain(&names)));
    }
    if !change.keyless.is_empty() {
        let names = change.keyless.join(", ");
        out.push_str(&format!("a key would be made, and shown once, for: {}\n", plain(&names)));
    }
    for (name, key) in &change.keys {
        out.push_str(&format!("key of {}, shown only now: {}\n", plain(name), plain(key)));
    }
    out
}

fn row_of_document(document: &Document) -> [String; 4] {
    let name = plain(&document.name);
    match &document.newest {
        Some(newest) => {
            let [revision, since, by] = row_of_revision(newest);
            [name, revision, since, by]
        }
        None => [name, "built in".to_owned(), String::new(), String::new()],
    }
}

fn row_of_revision(revision: &Revision) -> [String; 3] {
    [revision.revision.to_string(), utc(revision.unix_ms), plain(&revision.by)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_line_by_line_and_cannot_command_the_terminal() {
        let answer = json!({
            "done": false, "mark": "0", "for_reading": ["configuration"], "keyless": ["ops"],
            "keys": {}, "documents": [
                {"name": "login", "changed": false, "refused": null, "lines": []},
                {"name": "thresholds", "changed": true, "refused": null, "lines": [
                    {"mark": "left-out", "text": "7"},
                    {"mark": "same", "text": "at = \"system\""},
                    {"mark": "gone", "text": "warning = 45.0"},
                    {"mark": "new", "text": "warning = 44.0\u{1b}[31m"},
                ]},
            ],
        });
        let change: Change = serde_json::from_value(answer).expect("an answer");
        assert_eq!(
            shown(&change),
            "login: stays as it is\nthresholds: would change\n    … 7 lines\n    at = \"system\"\n  \
             - warning = 45.0\n  + warning = 44.0\u{fffd}[31m\n\
             for reading alone, not imported: configuration\n\
             a key would be made, and shown once, for: ops\n"
        );
    }
}
