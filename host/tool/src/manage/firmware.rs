//! `evenkeel firmware`: what software an appliance runs, and another one.

use super::table::{bytes, pairs, plain};
use super::{Failure, Work, access};
use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// Longest bundle, bytes: both parts of a slot are full.
const BUNDLE_MAX: u64 = 96 << 20;

/// Everything after `evenkeel firmware`.
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
    /// What runs, what is in the other slot, and whether an update may happen.
    Show,
    /// Send a firmware bundle (.evkf) into the other slot. Nothing of it runs
    /// yet; what a broken connection left is gone on from.
    Install {
        /// The bundle.
        file: PathBuf,
    },
    /// Restart into what was installed. It goes back by itself unless it proves
    /// healthy.
    Activate(Restart),
    /// Restart into the other slot, which proved itself before.
    GoBack(Restart),
    /// Give up what was installed.
    Abandon,
    /// From now on nothing older than what runs starts, not even when a person
    /// goes back. It comes by itself after seven days of healthy running.
    MakePermanent {
        /// What it closes is closed for ever.
        #[arg(long)]
        yes: bool,
    },
    /// Erase everything that the appliance keeps (users, settings, history,
    /// logs, plugins, licences, keys), and restart as it left the factory.
    /// Firmware and serial number stay.
    FactoryReset {
        /// Serial number of this very appliance, e.g. 7QK4-M2ZD-9XWB-U.
        #[arg(long)]
        serial: String,
    },
}

/// A restart.
#[derive(Args)]
struct Restart {
    /// The console is away for some seconds, and protection too.
    #[arg(long)]
    yes: bool,
}

/// As much of the answer as is shown.
#[derive(Deserialize)]
struct Firmware {
    slot: String,
    version: String,
    development: bool,
    epoch: u32,
    floor: u32,
    permanent_in_s: Option<u64>,
    started_because: String,
    trial: Option<Trial>,
    other: Other,
    installing: Option<Progress>,
    hindrances: Vec<Hindrance>,
}

#[derive(Deserialize)]
struct Trial {
    tries_left: u8,
    healthy_s: u64,
    missing: Option<String>,
}

#[derive(Deserialize)]
struct Other {
    state: String,
    version: Option<String>,
    reason: Option<String>,
}

#[derive(Deserialize)]
struct Progress {
    version: String,
    taken: u64,
    total: u64,
}

#[derive(Deserialize)]
struct Hindrance {
    text: String,
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
    let document = match action {
        Action::Show => work.appliance.get("/api/v1/firmware")?,
        Action::Install { file } => install(work, &file)?,
        Action::Activate(restart) => restarted(work, &restart, "activate")?,
        Action::GoBack(restart) => restarted(work, &restart, "go-back")?,
        Action::Abandon => work.appliance.post("/api/v1/firmware/abandon", &json!({}))?,
        Action::MakePermanent { yes } => permanent(work, yes)?,
        Action::FactoryReset { serial } => {
            work.appliance.post("/api/v1/factory-reset", &json!({ "serial": serial }))?
        }
    };
    let firmware: Firmware = work.appliance.understand(&document)?;
    work.print(&document, || shown(&firmware))
}

fn restarted(work: &mut Work, restart: &Restart, action: &str) -> Result<Value, Failure> {
    if !restart.yes {
        let text = "the appliance restarts: console and protection are away for some seconds; \
                    say --yes";
        return Err(Failure::Word(text.to_owned()));
    }
    Ok(work.appliance.post(&format!("/api/v1/firmware/{action}"), &json!({}))?)
}

fn permanent(work: &mut Work, yes: bool) -> Result<Value, Failure> {
    if !yes {
        let text = "older firmware never starts again, and nothing brings that back; say --yes";
        return Err(Failure::Word(text.to_owned()));
    }
    Ok(work.appliance.post("/api/v1/firmware/make-permanent", &json!({}))?)
}

/// Send the file, or what of it the appliance does not have.
fn install(work: &mut Work, path: &Path) -> Result<Value, Failure> {
    let failed = |source| Failure::File { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(failed)?;
    let length = file.seek(SeekFrom::End(0)).map_err(failed)?;
    if length > BUNDLE_MAX {
        return Err(failed(io::Error::other("it is longer than any firmware")));
    }
    let document = work.appliance.get("/api/v1/firmware")?;
    let begun = work.appliance.understand::<Firmware>(&document)?.installing;
    // Another bundle of the same length is found out by its hashes.
    let from = begun.filter(|p| p.total == length).map_or(0, |progress| progress.taken);
    if from > 0 {
        eprintln!("evenkeel: going on at {}", bytes(from));
    }
    file.seek(SeekFrom::Start(from)).map_err(failed)?;
    let mut rest = Vec::new();
    file.take(BUNDLE_MAX).read_to_end(&mut rest).map_err(failed)?;
    Ok(work.appliance.post_file(&format!("/api/v1/firmware?from={from}"), &rest)?)
}

fn shown(firmware: &Firmware) -> String {
    let mark = if firmware.development { " (development)" } else { "" };
    let mut rows = vec![
        ("runs", format!("{}{mark} in slot {}", plain(&firmware.version), plain(&firmware.slot))),
        ("started", plain(&firmware.started_because)),
    ];
    let way_back = match firmware.permanent_in_s {
        Some(seconds) => format!("open; it closes after {} h of healthy running", seconds / 3_600),
        None => "closed".to_owned(),
    };
    let (epoch, floor) = (firmware.epoch, firmware.floor);
    rows.push(("epoch", format!("{epoch}, and nothing below {floor} starts")));
    rows.push(("way back", way_back));
    if let Some(trial) = &firmware.trial {
        let missing = trial.missing.as_deref().unwrap_or("nothing but time");
        let (healthy, tries) = (trial.healthy_s, trial.tries_left);
        let missing = plain(missing);
        rows.push((
            "trial",
            format!("healthy for {healthy} s, {tries} starts left; missing: {missing}"),
        ));
    }
    let version = firmware.other.version.as_deref().unwrap_or("nothing that could start");
    let mut other = format!("{}, {}", plain(version), plain(&firmware.other.state));
    if let Some(reason) = &firmware.other.reason {
        other = format!("{other}: {}", plain(reason));
    }
    rows.push(("other slot", other));
    if let Some(progress) = &firmware.installing {
        let (taken, total) = (bytes(progress.taken), bytes(progress.total));
        rows.push(("installing", format!("{}, {taken} of {total}", plain(&progress.version))));
    }
    rows.extend(firmware.hindrances.iter().map(|h| ("not now", plain(&h.text))));
    pairs(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_shown() {
        let firmware: Firmware = serde_json::from_value(json!({
            "slot": "B", "version": "0.2.0", "epoch": 1, "floor": 1, "development": true,
            "root": "ab", "permanent_in_s": 604_800, "started_because": "a restart in good order",
            "trial": {"tries_left": 2, "healthy_s": 12, "missing": null},
            "other": {"state": "bad", "version": null, "reason": "its kernel panicked"},
            "installing": {"version": "0.3.0", "taken": 1_048_576, "total": 2_097_152},
            "hindrances": [{"kind": "test", "test": 1, "text": "battery test 1 is under way"}],
        }))
        .expect("as the appliance answers");
        let text = shown(&firmware);
        for words in [
            "0.2.0 (development) in slot B",
            "healthy for 12 s, 2 starts left; missing: nothing but time",
            "nothing that could start, bad: its kernel panicked",
            "battery test 1 is under way",
            "open; it closes after 168 h",
            "1, and nothing below 1 starts",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
    }
}
