//! How plugins failed: the reports that the appliance keeps, and the recording
//! by which a vendor repeats a failure on his desk.

use super::table::{bytes, plain, utc};
use super::{Failure, Work, segment};
use clap::Args;
use serde::Deserialize;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// What the help says at its end.
pub const AFTER_HELP: &str = "\
A saved recording is repeated by `evenkeel-plugin replay`, with the bundle that
ran and the folder of the keys that signed it. It holds what the plugin was told
by its device and its peers; give it to nobody who may not know that.";

/// The failures of a plugin.
#[derive(Args)]
pub struct ReportsArguments {
    /// What the plugin is called on the appliance.
    id: String,
    /// Write the recording of the newest failure, or of the one that --time says,
    /// to this file, which must not be there yet.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// The failure of this time, ms since 1970, as `reports` shows it.
    // Not `--at`, which every command has for the appliance's address.
    #[arg(long, value_name = "MS", requires = "save")]
    time: Option<u64>,
}

/// As much of a report as is shown.
#[derive(Clone, Debug, Deserialize)]
struct Report {
    version: String,
    unix_ms: u64,
    failure: String,
    backtrace: Vec<String>,
    memory_bytes: u64,
    cpu_us: u64,
    log: Vec<String>,
    gap: Option<String>,
    /// Times that the same failure came again within the hour.
    #[serde(default)]
    repeats: u64,
}

/// List the reports of a plugin, or save a recording.
///
/// # Errors
/// [`Failure`].
pub fn reports(work: &mut Work, arguments: &ReportsArguments) -> Result<(), Failure> {
    let id = segment("plugin", &arguments.id)?;
    let document = work.appliance.get(&format!("/api/v1/plugins/{id}/reports"))?;
    let reports: Vec<Report> = work.appliance.understand(&document)?;
    let Some(path) = &arguments.save else {
        return work.print(&document, || match reports.is_empty() {
            true => format!("{id} has not failed, as far as is known\n"),
            false => reports.iter().map(shown).collect::<Vec<_>>().join("\n"),
        });
    };
    let newest = || reports.first().map(|report| report.unix_ms);
    let nothing = || Failure::Outcome(format!("{id} has not failed: there is nothing to save"));
    let at = arguments.time.or_else(newest).ok_or_else(nothing)?;
    let recording =
        work.appliance.get_file(&format!("/api/v1/plugins/{id}/reports/{at}/recording"))?;
    save(path, &recording).map_err(|source| Failure::Save { path: path.clone(), source })?;
    let saved = serde_json::json!({"saved": path, "bytes": recording.len(), "unix_ms": at});
    work.print(&saved, || {
        let (len, time) = (bytes(recording.len() as u64), utc(at));
        format!("{len}, the recording of the failure of {time} UTC, are in {}\n", path.display())
    })
}

/// For its owner alone, and never over another file.
pub(super) fn save(path: &Path, recording: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(recording)?;
    file.sync_all()
}

fn shown(report: &Report) -> String {
    let Report { version, unix_ms, failure, backtrace, memory_bytes, cpu_us, log, gap, repeats } =
        report;
    let mut out = format!(
        "{} UTC (--time {unix_ms}), version {}: {}\n  {} of memory, {cpu_us} µs of processor time\n",
        utc(*unix_ms),
        plain(version),
        plain(failure),
        bytes(*memory_bytes),
    );
    if *repeats > 0 {
        out.push_str(&format!("  and {repeats} times more since\n"));
    }
    let mut lines = |title: &str, lines: &[String]| {
        if !lines.is_empty() {
            out.push_str(&format!("  {title}\n"));
            lines.iter().for_each(|line| out.push_str(&format!("    {}\n", plain(line))));
        }
    };
    lines("in, innermost first", backtrace);
    lines("it had said", log);
    lines("recording", gap.as_slice());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_shown_with_all_that_helps() {
        let report = serde_json::json!({
            "plugin": "apc", "version": "1.2.0", "bundle": "00", "points": "ups.0",
            "unix_ms": 0, "call": "wake", "failure": "wake trapped: unreachable in a ← b",
            "backtrace": ["a", "b\u{1b}[2J"], "memory_bytes": 65_536, "cpu_us": 120,
            "log": ["info: hello"], "gap": "the recording has the first 2 calls", "repeats": 4,
        });
        let text = shown(&serde_json::from_value(report).expect("understood"));
        for line in [
            "1970-01-01 00:00:00 UTC (--time 0), version 1.2.0: wake trapped",
            "120 µs of processor time",
            "  and 4 times more since\n",
            "  in, innermost first\n    a\n    b",
            "  it had said\n    info: hello",
            "  recording\n    the recording has the first 2 calls",
        ] {
            assert!(text.contains(line), "{line}:\n{text}");
        }
        assert!(!text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn a_recording_is_private_and_replaces_nothing() {
        use std::os::unix::fs::PermissionsExt as _;

        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("apc.rec");
        save(&path, b"tape").expect("saved");
        let mode = std::fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(save(&path, b"other").expect_err("there").kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).expect("readable"), b"tape");
    }
}
