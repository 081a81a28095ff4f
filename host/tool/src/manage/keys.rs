//! The commands about the keys that plugins may be signed with.

use super::model::Key;
use super::table::{plain, table};
use super::{Failure, Work, read_file, segment, terminal};
use clap::Subcommand;
use serde_json::{Value, json};
use std::path::PathBuf;

/// What is to be done about keys.
#[derive(Subcommand)]
pub enum Step {
    /// The keys that count, and those that are known and do not.
    List,
    /// Trust a vendor's key.
    Add {
        /// The vendor's public key file (.pub).
        file: PathBuf,
        /// Its fingerprint, as the vendor gave it by another way than the file.
        /// Without it you are asked.
        #[arg(long, value_name = "FINGERPRINT")]
        key_fingerprint: Option<String>,
    },
    /// Trust a key no more. Plugins that it signed stop at once.
    Withdraw {
        /// The key's id, from the list.
        id: String,
        /// Why, for people who ask later.
        #[arg(long)]
        reason: String,
    },
    /// Trust a key again that was withdrawn here.
    Restore {
        /// The key's id, from the list.
        id: String,
    },
    /// Take a keyring of the platform into force (.evkk).
    Keyring {
        /// The file.
        file: PathBuf,
    },
}

/// Do it.
///
/// # Errors
/// [`Failure`].
pub fn act(work: &mut Work, step: Step) -> Result<(), Failure> {
    match step {
        Step::List => list(work),
        Step::Add { file, key_fingerprint } => add(work, &file, key_fingerprint),
        Step::Withdraw { id, reason } => {
            let id = segment("key", &id)?;
            let path = format!("/api/v1/plugin-keys/{id}/withdraw");
            work.appliance.post(&path, &json!({"reason": reason}))?;
            work.print(&json!({"withdrawn": id}), || format!("{id} is trusted no more\n"))
        }
        Step::Restore { id } => {
            let id = segment("key", &id)?;
            work.appliance.post(&format!("/api/v1/plugin-keys/{id}/restore"), &Value::Null)?;
            work.print(&json!({"restored": id}), || {
                format!("{id} is trusted again; restart the plugins that it signed\n")
            })
        }
        Step::Keyring { file } => {
            let raw = read_file(&file)?;
            work.appliance.post_file("/api/v1/plugin-keyring", &raw)?;
            work.print(&json!({"in_force": true}), || "the keyring is in force\n".to_owned())
        }
    }
}

fn list(work: &mut Work) -> Result<(), Failure> {
    let document = work.appliance.get("/api/v1/plugin-keys")?;
    let keys: Vec<Key> = work.appliance.understand(&document)?;
    let row = |key: &Key| {
        let word = key.refused.clone().unwrap_or_else(|| format!("trusted: {}", key.origin));
        [key.name.clone(), word, key.fingerprint.clone(), key.id.clone()]
    };
    let rows: Vec<_> = keys.iter().map(row).collect();
    work.print(&document, || table(["KEY", "WORD", "FINGERPRINT", "ID"], &rows))
}

fn add(
    work: &mut Work,
    file: &std::path::Path,
    fingerprint: Option<String>,
) -> Result<(), Failure> {
    let text = String::from_utf8(read_file(file)?);
    let text = text.map_err(|_| Failure::Usage(format!("{} is no key file", file.display())))?;
    let fingerprint = match fingerprint {
        Some(fingerprint) => fingerprint,
        None => terminal::ask(
            "Fingerprint of the key, as the vendor gave it by another way than the file: ",
            "the fingerprint is needed: --key-fingerprint, as the vendor gave it",
        )?,
    };
    let wanted = json!({"key": text, "fingerprint": fingerprint});
    let document = work.appliance.post("/api/v1/plugin-keys", &wanted)?;
    let key: Key = work.appliance.understand(&document)?;
    work.print(&document, || {
        format!("what {} signs is trusted from now on (key {})\n", plain(&key.name), plain(&key.id))
    })
}
