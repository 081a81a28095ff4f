//! What an administrator set, as one file that people can read, keep and write:
//!
//! ```toml
//! [export]
//! of = "evenkeel configuration"
//! form = 1
//! version = "0.1.0"
//! time = "2026-11-22 15:00:00"
//!
//! [[thresholds.threshold]]
//! at = "system"
//! …
//! ```
//!
//! A table for each document, which may say its own form
//! (`evenkeel_core::settings::forms`): a file of an older program is read by a
//! newer one. A document that is not there is not touched by an import. What
//! stands for a secret is eight dots.
//!
//! The file is not signed. A signature would say which appliance wrote it, and a
//! replacement of that appliance, or a person who writes one by hand, has another
//! key; what it may do is decided by what it says and by who imports it: each
//! document goes through the checks of its own page, with that person's rights.

use super::Part;
use evenkeel_core::settings::forms::{Document, FormError};
use std::collections::BTreeMap;
use toml::{Table, Value};

/// The newest form of the file itself.
pub const FORM: i64 = 1;
/// Most bytes of a file (facts/appliance-security.md SEC-080).
pub const BYTES_MAX: usize = 1 << 20;
/// What the file says that it is.
const OF: &str = "evenkeel configuration";
/// The table that says so.
const HEAD: &str = "export";
/// The plugins: for people, and for nobody else.
const PLUGINS: &str = "plugin";

/// Why a file is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// Longer than any.
    #[error("it has {0} bytes, and a configuration has at most {BYTES_MAX}")]
    TooLong(usize),
    /// Not TOML.
    #[error("it is not TOML: {0}")]
    Syntax(String),
    /// Something else.
    #[error("it is no configuration of an appliance: there is no [export] with of = \"{OF}\"")]
    Foreign,
    /// Of a newer program.
    #[error("its form {found} is newer than this firmware, which knows forms 1 to {FORM}")]
    Newer {
        /// Its form.
        found: i64,
    },
    /// What this program does not know.
    #[error("this firmware knows no {}; take that out, or update the firmware first", .0.join(", "))]
    Unknown(Vec<String>),
    /// A document is no table.
    #[error("{0} is not a table")]
    NoTable(&'static str),
    /// A document in a form that is not known.
    #[error("{document}: {error}")]
    Form {
        /// Its name.
        document: &'static str,
        /// What is wrong.
        error: FormError,
    },
}

/// A file that can be looked at.
#[derive(Debug, Default, PartialEq)]
pub struct Read {
    /// What could be imported, in the newest form.
    pub documents: BTreeMap<Part, Table>,
    /// What is in it for people alone.
    pub for_reading: Vec<&'static str>,
}

/// The file of these documents, from which the secrets are taken out.
#[must_use]
pub fn write(unix_ms: u64, documents: BTreeMap<Part, Table>, plugins: Vec<Value>) -> String {
    let mut head = Table::new();
    head.insert("of".to_owned(), OF.into());
    head.insert("form".to_owned(), FORM.into());
    head.insert("version".to_owned(), env!("CARGO_PKG_VERSION").into());
    head.insert("time".to_owned(), crate::clock::utc(unix_ms).into());
    let mut text = format!(
        "# What was set on this appliance. Secrets are not in it: •••••••• stands for each.\n\
         # [{}] and [[{PLUGINS}]] are for reading; an import changes neither.\n\n",
        Part::Appliance.name()
    );
    let mut push = |name: &str, value: Value| {
        let table = Table::from_iter([(name.to_owned(), value)]);
        text.push_str(&table.to_string());
        text.push('\n');
    };
    push(HEAD, Value::Table(head));
    for (part, mut table) in documents {
        let form = part.kind().chain.newest();
        if form > 1 {
            table.insert("form".to_owned(), i64::from(form).into());
        }
        push(part.name(), Value::Table(table));
    }
    if !plugins.is_empty() {
        push(PLUGINS, Value::Array(plugins));
    }
    text
}

/// Read a file.
///
/// # Errors
/// [`FileError`].
pub fn read(text: &str) -> Result<Read, FileError> {
    if text.len() > BYTES_MAX {
        return Err(FileError::TooLong(text.len()));
    }
    let mut all: Table =
        text.parse().map_err(|e: toml::de::Error| FileError::Syntax(e.to_string()))?;
    let head = all.remove(HEAD);
    let said = |name: &str| head.as_ref().and_then(|head| head.get(name));
    if said("of").and_then(Value::as_str) != Some(OF) {
        return Err(FileError::Foreign);
    }
    match said("form").and_then(Value::as_integer) {
        Some(1..=FORM) => {}
        Some(found) if found > FORM => return Err(FileError::Newer { found }),
        _ => return Err(FileError::Foreign),
    }
    let mut read = Read::default();
    read.for_reading.extend(all.remove(PLUGINS).map(|_| PLUGINS));
    for part in Part::ALL {
        let name = part.name();
        match all.remove(name) {
            None => {}
            Some(_) if part.changed_in().is_none() => read.for_reading.push(name),
            Some(Value::Table(table)) => {
                let failed = |error| FileError::Form { document: name, error };
                let document = Document::parse(&table.to_string()).map_err(failed)?;
                let chain = part.kind().chain;
                let (document, _) = chain.bring(document, chain.newest()).map_err(failed)?;
                read.documents.insert(part, document.table);
            }
            Some(_) => return Err(FileError::NoTable(name)),
        }
    }
    match all.is_empty() {
        true => Ok(read),
        false => Err(FileError::Unknown(all.into_iter().map(|(name, _)| name).collect())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table(text: &str) -> Table {
        text.parse().expect("a document")
    }

    #[test]
    fn what_is_written_is_read_again() {
        let login = table("authenticators = [\"radius\"]\n[roles]\nops = \"admin\"\n");
        let webhooks = table("[[webhook]]\nname = \"ops\"\nurl = \"https://x/\"\n");
        let documents = BTreeMap::from([
            (Part::Login, login.clone()),
            (Part::Webhooks, webhooks.clone()),
            (Part::Appliance, table("listen = \"[::]:443\"")),
        ]);
        let plugin = Value::Table(table("name = \"radius\""));
        let text = write(1_795_000_000_000, documents, vec![plugin]);
        assert!(text.contains("form = 1") && text.contains("2026-11-18"), "{text}");
        let back = read(&text).expect("one of ours");
        let documents = BTreeMap::from([(Part::Login, login), (Part::Webhooks, webhooks)]);
        assert_eq!(back, Read { documents, for_reading: vec!["plugin", "configuration"] });
    }

    #[test]
    fn what_is_foreign_or_newer_is_refused_by_name() {
        let head = "[export]\nof = \"evenkeel configuration\"\nform = 1\n";
        assert_eq!(read(head), Ok(Read::default()));
        for (text, why) in [
            (String::new(), "no configuration of an appliance"),
            ("a = ".to_owned(), "not TOML"),
            (head.replace("evenkeel", "other"), "no configuration of an appliance"),
            (head.replace("= 1", "= 0"), "no configuration of an appliance"),
            (head.replace("= 1", "= 2"), "form 2 is newer"),
            (format!("{head}[teleport]\n[warp]\n"), "knows no teleport, warp"),
            (format!("thresholds = 7\n{head}"), "thresholds is not a table"),
            (format!("{head}[login]\nform = 3\n"), "login: form 3 is newer"),
            (format!("{head}[login]\nform = \"x\"\n"), "login: form is not a number"),
            ("x".repeat(BYTES_MAX + 1), "at most 1048576"),
        ] {
            let refused = read(&text).expect_err(why).to_string();
            assert!(refused.contains(why), "{why}: {refused}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
            let _ = read(&text);
        }
    }
}
