//! The commands about the appliance's licence.

use super::model::{Licence, LicenceFile};
use super::table::{pairs, plain};
use super::{Failure, Work, read_file, segment};
use clap::Subcommand;
use serde_json::Value;
use std::path::PathBuf;

/// What is to be done about licences.
#[derive(Subcommand)]
pub enum Step {
    /// What is in force, and why.
    Show,
    /// Install a licence file (.evkl).
    Install {
        /// The file.
        file: PathBuf,
    },
    /// Remove a licence.
    Remove {
        /// Its name, as `show` tells it.
        name: String,
    },
}

/// Do it, and tell what is in force then.
///
/// # Errors
/// [`Failure`].
pub fn act(work: &mut Work, step: Step) -> Result<(), Failure> {
    let document = match step {
        Step::Show => work.appliance.get("/api/v1/licence")?,
        Step::Install { file } => {
            let raw = read_file(&file)?;
            work.appliance.post_file("/api/v1/licence", &raw)?
        }
        Step::Remove { name } => {
            let name = segment("licence", &name)?;
            work.appliance.post(&format!("/api/v1/licence/{name}/delete"), &Value::Null)?
        }
    };
    let licence: Licence = work.appliance.understand(&document)?;
    work.print(&document, || shown(&licence))
}

fn shown(licence: &Licence) -> String {
    let all = |limit: Option<u32>, unit: &str| {
        limit.map_or("any".to_owned(), |limit| format!("up to {limit}{unit}"))
    };
    let mut text = pairs(&[
        ("edition", licence.edition.clone()),
        ("blocks", all(licence.blocks, "")),
        ("UPS", all(licence.ups_va, " VA")),
        ("why", licence.reason.clone()),
        ("serial", licence.serial.clone()),
    ]);
    let line = |file: &LicenceFile| {
        let refused =
            file.refused.as_ref().map_or(String::new(), |why| format!(": {}", plain(why)));
        format!("  {}{refused}\n", plain(&file.name))
    };
    if !licence.licences.is_empty() {
        text.push_str("\nlicence files\n");
        licence.licences.iter().for_each(|file| text.push_str(&line(file)));
    }
    text
}
