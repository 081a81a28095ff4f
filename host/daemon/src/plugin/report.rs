//! What is kept of a failure: a report for people and machines, and the
//! recording that repeats it.
//!
//! `<data_dir>/reports/<plugin>.<time>.json` and `….rec`. Of each plugin the
//! last three, and of all together a bounded number of bytes: the oldest go.

use crate::files;
use evenkeel_signing::Digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Reports that are kept of one plugin.
pub const PER_PLUGIN_MAX: usize = 3;
/// Most bytes of all reports and recordings.
pub const BYTES_MAX: u64 = 8 << 20;

/// How a plugin failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = PluginReport)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Its name.
    pub plugin: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its bundle.
    #[schema(value_type = String)]
    pub bundle: Digest,
    /// Where it publishes.
    pub points: String,
    /// When, ms since 1970.
    pub unix_ms: u64,
    /// Which call did not return.
    pub call: String,
    /// Why not, as in status and event.
    pub failure: String,
    /// Functions, innermost first, 16 at most.
    pub backtrace: Vec<String>,
    /// Linear memory in bytes.
    pub memory_bytes: u64,
    /// Processor time of the call in µs.
    pub cpu_us: u64,
    /// Its last lines in the log, 32 at most.
    pub log: Vec<String>,
    /// What is missing from the recording; `None` when it is whole.
    pub gap: Option<String>,
}

/// What repeats it: `evenkeeld replay-plugin`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recording {
    /// The report without the need for a second file.
    pub report: Report,
    /// Calls and answers ([`super::tape`]).
    pub tape: Vec<u8>,
}

/// Where reports are kept.
#[derive(Debug)]
pub struct Reports {
    dir: PathBuf,
    writing: Mutex<()>,
}

impl Reports {
    /// In `data_dir`.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(data_dir: &Path) -> io::Result<Self> {
        let dir = data_dir.join("reports");
        files::private_dir(&dir)?;
        Ok(Self { dir, writing: Mutex::default() })
    }

    /// Keep a report and its recording.
    ///
    /// # Errors
    /// What the system says; older reports are as they were.
    pub fn keep(&self, report: Report, tape: &[u8]) -> io::Result<()> {
        let name = format!("{}.{:014}", report.plugin, report.unix_ms);
        let text = serde_json::to_string_pretty(&report).map_err(io::Error::other)?;
        let recording = Recording { report, tape: tape.to_vec() };
        let bytes = postcard::to_allocvec(&recording).map_err(io::Error::other)?;
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        files::write_private(&self.dir.join(format!("{name}.rec")), &bytes)?;
        files::write_private(&self.dir.join(format!("{name}.json")), &text)?;
        self.prune()
    }

    /// The reports of one plugin, newest first; one that cannot be read is
    /// left out.
    #[must_use]
    pub fn of(&self, plugin: &str) -> Vec<Report> {
        let mut names = self.names().unwrap_or_default();
        names.retain(|name| name.plugin == plugin && name.file.ends_with(".json"));
        names.sort_by(|a, b| b.time.cmp(&a.time));
        let read = |name: &Name| {
            let text = fs::read_to_string(self.dir.join(&name.file)).ok()?;
            serde_json::from_str(&text).ok()
        };
        names.iter().filter_map(read).collect()
    }

    /// The recording of the failure that `plugin` had at this time; `None` when
    /// there is none, or none any more.
    ///
    /// # Errors
    /// What the system says.
    pub fn recording(&self, plugin: &str, unix_ms: u64) -> io::Result<Option<Vec<u8>>> {
        // Looked for among what is there: no name from outside becomes a path.
        let is_it = |name: &Name| {
            name.plugin == plugin
                && name.time.parse::<u64>() == Ok(unix_ms)
                && name.file.ends_with(".rec")
        };
        match self.names()?.iter().find(|name| is_it(name)) {
            Some(name) => fs::read(self.dir.join(&name.file)).map(Some),
            None => Ok(None),
        }
    }

    fn prune(&self) -> io::Result<()> {
        let mut names = self.names()?;
        names.sort_by(|a, b| b.time.cmp(&a.time));
        let mut bytes = 0;
        let mut times: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for name in names {
            bytes += name.len;
            let times = times.entry(name.plugin).or_default();
            if !times.contains(&name.time) {
                times.push(name.time);
            }
            if bytes > BYTES_MAX || times.len() > PER_PLUGIN_MAX {
                fs::remove_file(self.dir.join(name.file))?;
            }
        }
        Ok(())
    }

    fn names(&self) -> io::Result<Vec<Name>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let Ok(file) = entry.file_name().into_string() else { continue };
            let mut parts = file.split('.').map(str::to_owned);
            if let (Some(plugin), Some(time)) = (parts.next(), parts.next()) {
                names.push(Name { plugin, time, len: entry.metadata()?.len(), file });
            }
        }
        Ok(names)
    }
}

/// A file's name taken apart; times sort as text.
struct Name {
    plugin: String,
    time: String,
    len: u64,
    file: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(plugin: &str, unix_ms: u64) -> Report {
        Report {
            plugin: plugin.into(),
            version: "1.0.0".into(),
            bundle: Digest::of(b"bundle"),
            points: "ups.0".into(),
            unix_ms,
            call: "poll".into(),
            failure: "poll trapped".into(),
            backtrace: vec!["inner".into(), "outer".into()],
            memory_bytes: 65_536,
            cpu_us: 10,
            log: vec!["said".into()],
            gap: None,
        }
    }

    #[test]
    fn the_last_three_of_each_are_kept_whole() {
        let dir = tempfile::tempdir().expect("a directory");
        let reports = Reports::open(dir.path()).expect("opened");
        for time in 1..=5 {
            reports.keep(report("apc", time), b"tape").expect("kept");
            reports.keep(report("apc-2", time * 10), b"tape").expect("kept");
        }
        let times = |plugin| reports.of(plugin).iter().map(|r| r.unix_ms).collect::<Vec<_>>();
        assert_eq!((times("apc"), times("apc-2")), (vec![5, 4, 3], vec![50, 40, 30]));
        assert_eq!(reports.of("apc")[0], report("apc", 5));
        let recording = reports.recording("apc", 4).expect("readable").expect("kept");
        let recording: Recording = postcard::from_bytes(&recording).expect("a recording");
        assert_eq!((recording.report.unix_ms, &recording.tape[..]), (4, &b"tape"[..]));
        for (plugin, time) in [("apc", 1), ("apc", 40), ("", 4), ("../apc", 4)] {
            assert_eq!(reports.recording(plugin, time).expect("readable"), None, "{plugin} {time}");
        }
        assert_eq!(fs::read_dir(&reports.dir).expect("listed").count(), 12);
    }

    #[test]
    fn all_together_are_bounded() {
        let dir = tempfile::tempdir().expect("a directory");
        let reports = Reports::open(dir.path()).expect("opened");
        for n in 0..64 {
            reports.keep(report(&format!("plugin-{n}"), n), &[0; 256 << 10]).expect("kept");
        }
        let bytes: u64 = reports.names().expect("listed").iter().map(|name| name.len).sum();
        assert!(bytes <= BYTES_MAX, "{bytes}");
        assert_eq!((reports.of("plugin-63").len(), reports.of("plugin-0").len()), (1, 0));
    }
}
