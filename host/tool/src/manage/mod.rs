//! `evenkeel plugin`: the plugins of an appliance, over its HTTPS API — all
//! that the console's pages can do, for a terminal and for scripts.
//!
//! [`firmware`] is `evenkeel firmware`, [`configuration`] is `evenkeel config`; [`access`] signs in and out, [`plugins`], [`reports`], [`install`], [`bundles`], [`keys`],
//! [`sign_in`] and [`licence`] are the commands, [`model`] is as much of the API's answers
//! as is shown, [`table`] shows it. Results go to standard output, questions
//! and errors to standard error.

pub mod access;
pub mod bundles;
pub mod configuration;
pub mod firmware;
pub mod grants;
pub mod install;
pub mod keys;
pub mod licence;
pub mod model;
pub mod plugins;
pub mod reports;
pub mod sign_in;
pub mod table;
pub mod terminal;

use crate::appliance::client::{Appliance, ClientError};
use crate::appliance::known::KnownError;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::error::Error;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// Longest file that is sent, bytes: a bundle may have 8 MiB.
const FILE_MAX: u64 = 8 << 20;

/// Everything after `evenkeel plugin`.
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    #[command(flatten)]
    access: access::Access,
    /// Print what the appliance answered, as JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    action: Action,
}

const AFTER_HELP: &str = "\
Exit codes:
  0  done
  1  refused by the appliance, or a file cannot be used; the message says why
  2  the command line is wrong
  3  the appliance is not reached, or its certificate is not the known one
  4  not signed in, or the account may not do this
  5  a word of yours is missing: --yes, --confirm or --fingerprint";

#[derive(Subcommand)]
enum Action {
    /// What is installed and how it is doing.
    List,
    /// Everything about one plugin.
    Show(plugins::One),
    /// What it costs: processor time, memory, calls, failures, bytes, refusals.
    Metrics(plugins::OneOrAll),
    /// What a plugin said last.
    Log(plugins::LogArguments),
    /// How a plugin failed the last times, and what repeats it.
    #[command(after_help = reports::AFTER_HELP)]
    Reports(reports::ReportsArguments),
    /// What a bundle file is and asks for, by the appliance's judgement. It is
    /// not kept.
    Inspect(bundles::FileArgument),
    /// Send a signed bundle (.evkp) to the appliance. Nothing of it runs yet.
    Upload(bundles::FileArgument),
    /// The bundles that could be installed.
    Bundles,
    /// Delete an uploaded bundle that no plugin needs.
    DeleteBundle(bundles::BundleArgument),
    /// Install a plugin from a bundle, or change what an installed one may do.
    #[command(after_help = install::GRANT_HELP)]
    Grant(install::GrantArguments),
    /// Put another version in place, with the same grants and settings.
    Update(install::UpdateArguments),
    /// Switch it on.
    Enable(plugins::One),
    /// Switch it off; its points go.
    Disable(plugins::One),
    /// Start it anew, out of quarantine too.
    Restart(plugins::One),
    /// Back to the version before.
    RollBack(plugins::One),
    /// Remove it, and what it was granted.
    Remove(plugins::RemoveArguments),
    /// The vendors' keys that plugins may be signed with.
    TrustKey {
        #[command(subcommand)]
        step: keys::Step,
    },
    /// The authenticators that decide about accounts kept elsewhere.
    SignIn {
        #[command(subcommand)]
        step: sign_in::Step,
    },
    /// The appliance's licence.
    Licence {
        #[command(subcommand)]
        step: licence::Step,
    },
}

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command line makes no sense.
    #[error("{0}")]
    Usage(String),
    /// Between here and the appliance, or its refusal.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The known appliances.
    #[error(transparent)]
    Known(#[from] KnownError),
    /// A file.
    #[error("{} cannot be read", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file that was to be made.
    #[error("{} cannot be written", path.display())]
    Save {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A person must say something first.
    #[error("{0}")]
    Word(String),
    /// The account.
    #[error("{0}")]
    SignIn(String),
    /// Done, and what came of it is not good.
    #[error("{0}")]
    Outcome(String),
    /// The terminal, or whoever reads.
    #[error("the answer cannot be written")]
    Output(#[from] io::Error),
}

impl Failure {
    /// What the program ends with.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Client(ClientError::Refused(refusal)) => match refusal.status {
                401 | 403 | 429 => 4,
                _ if matches!(refusal.kind.as_str(), "consent" | "confirm") => 5,
                _ => 1,
            },
            Self::Client(_) => 3,
            Self::SignIn(_) => 4,
            Self::Word(_) => 5,
            Self::Known(_)
            | Self::File { .. }
            | Self::Save { .. }
            | Self::Outcome(_)
            | Self::Output(_) => 1,
        }
    }

    /// For scripts: the message, and the appliance's word for it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let refused = match self {
            Self::Client(ClientError::Refused(refusal)) => Some(refusal.kind.as_str()),
            _ => None,
        };
        json!({"error": self.text(), "type": refused, "exit_code": self.exit_code()})
    }

    /// The message and its causes.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = self.to_string();
        // What is transparent has said itself already.
        let mut cause = self.source();
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        if matches!(self, Self::Client(ClientError::Refused(r)) if r.kind == "confirm") {
            text.push_str(" (that is, --confirm WORDS for each)");
        }
        table::plain_lines(&text)
    }
}

/// A signed-in command at work.
pub struct Work {
    /// The appliance.
    pub appliance: Appliance,
    /// Print JSON.
    pub json: bool,
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
        Action::List => plugins::list(work),
        Action::Show(one) => plugins::show(work, &one),
        Action::Metrics(which) => plugins::metrics(work, &which),
        Action::Log(arguments) => plugins::log(work, &arguments),
        Action::Reports(arguments) => reports::reports(work, &arguments),
        Action::Inspect(file) => bundles::inspect(work, &file),
        Action::Upload(file) => bundles::upload(work, &file),
        Action::Bundles => bundles::list(work),
        Action::DeleteBundle(bundle) => bundles::delete(work, &bundle),
        Action::Grant(arguments) => install::grant(work, &arguments),
        Action::Update(arguments) => install::update(work, &arguments),
        Action::Enable(one) => plugins::act(work, &one, "enable"),
        Action::Disable(one) => plugins::act(work, &one, "disable"),
        Action::Restart(one) => plugins::act(work, &one, "restart"),
        Action::RollBack(one) => plugins::act(work, &one, "roll-back"),
        Action::Remove(arguments) => plugins::remove(work, &arguments),
        Action::TrustKey { step } => keys::act(work, step),
        Action::SignIn { step } => sign_in::act(work, step),
        Action::Licence { step } => licence::act(work, step),
    }
}

impl Work {
    /// Print the document, or what `shown` makes of it.
    ///
    /// # Errors
    /// [`Failure::Output`].
    pub fn print(&self, document: &Value, shown: impl FnOnce() -> String) -> Result<(), Failure> {
        let text = match self.json {
            true => format!("{document:#}\n"),
            false => shown(),
        };
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        Ok(out.flush()?)
    }
}

/// A whole file of a size that can be sent.
///
/// # Errors
/// [`Failure::File`].
pub fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |source| Failure::File { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(FILE_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    match bytes.len() as u64 > FILE_MAX {
        true => Err(failed(io::Error::other("it has more than 8 MiB, more than any bundle"))),
        false => Ok(bytes),
    }
}

/// One part of a path. What no plugin, key or licence can be called is
/// refused here, so that it cannot mean another path.
///
/// # Errors
/// [`Failure::Usage`].
pub fn segment<'a>(what: &str, name: &'a str) -> Result<&'a str, Failure> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    let sane = (1..=100).contains(&name.len()) && name.bytes().all(good) && !name.starts_with('.');
    match sane {
        true => Ok(name),
        false => Err(Failure::Usage(format!("{name:?} cannot be the name of a {what}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appliance::client::Refusal;

    fn refused(status: u16, kind: &str) -> Failure {
        let (kind, title) = (kind.to_owned(), "The plugin is refused".to_owned());
        let detail = Some("two\nlines\u{1b}[31m".to_owned());
        Failure::Client(ClientError::Refused(Refusal { kind, title, status, detail }))
    }

    #[test]
    fn exit_codes_tell_what_to_do() {
        for (failure, code) in [
            (Failure::Usage(String::new()), 2),
            (refused(409, "refused"), 1),
            (refused(409, "consent"), 5),
            (refused(409, "confirm"), 5),
            (refused(401, "wrong-password"), 4),
            (refused(429, "throttled"), 4),
            (refused(403, "viewer"), 4),
            (Failure::Word(String::new()), 5),
            (Failure::Outcome(String::new()), 1),
        ] {
            assert_eq!(failure.exit_code(), code, "{failure:?}");
        }
    }

    #[test]
    fn what_an_appliance_says_cannot_command_the_terminal() {
        assert_eq!(refused(409, "refused").text(), "two\nlines\u{fffd}[31m");
        assert_eq!(refused(409, "refused").to_json()["type"], "refused");
    }

    #[test]
    fn names_stay_within_their_part_of_the_path() {
        assert!(segment("plugin", "snmp-ups").is_ok());
        for name in ["", "..", "a/b", "a?b", "%2e", "a b", &"x".repeat(101)] {
            assert!(segment("plugin", name).is_err(), "{name}");
        }
    }
}
