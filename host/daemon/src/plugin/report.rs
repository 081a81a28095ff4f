//! What is kept of a failure: a report for people and machines, and the
//! recording that repeats it.
//!
//! `<data_dir>/reports/<plugin>.<time>.json` and `….rec`. Of each plugin the
//! last three, and of all together a bounded number of bytes: the oldest go. A
//! plugin that is removed takes them along. A plugin that fails again and again
//! does not wear the flash: the same failure is written once an hour, and
//! counted in between.

use crate::caps::rates::Rate;
use crate::files;
use evenkeel_core::events::Budget;
use evenkeel_core::time::Nanos;
use evenkeel_signing::Digest;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Reports that are kept of one plugin.
pub const PER_PLUGIN_MAX: usize = 3;
/// Most bytes of all reports and recordings.
pub const BYTES_MAX: u64 = 8 << 20;
/// The same failure of a plugin is not recorded again within this time, ms.
pub const AGAIN_MS: u64 = 60 * 60 * 1_000;
/// Recordings of one plugin, whatever it fails of: each is up to 256 KiB, so
/// that a plugin which fails all day writes 7 MB at most.
pub const RECORDINGS: Rate =
    Rate { most: PER_PLUGIN_MAX as u32, every: Nanos::from_millis(AGAIN_MS) };

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
    /// Times that it failed the same way within the hour after, which were not
    /// recorded; counted while the daemon runs.
    #[serde(default)]
    pub repeats: u64,
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
    seen: Mutex<BTreeMap<String, Seen>>,
}

/// What is known of the failures of one plugin.
#[derive(Debug)]
struct Seen {
    budget: Budget,
    /// Of the reports that are kept, the newest last.
    kept: VecDeque<Cause>,
}

/// Why a plugin failed, and how often.
#[derive(Debug)]
struct Cause {
    digest: Digest,
    unix_ms: u64,
    repeats: u64,
}

/// What became of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// So many bytes were written.
    Recorded(usize),
    /// It was counted; nothing was written.
    Counted,
}

impl Reports {
    /// In `data_dir`.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(data_dir: &Path) -> io::Result<Self> {
        let dir = data_dir.join("reports");
        files::private_dir(&dir)?;
        Ok(Self { dir, seen: Mutex::default() })
    }

    /// Keep a report and its recording, if it is news: a failure that was
    /// recorded within [`AGAIN_MS`] is only counted, and so is one beyond
    /// [`RECORDINGS`]. Nobody waits for the files of another plugin.
    ///
    /// # Errors
    /// What the system says; older reports are as they were.
    pub fn keep(&self, report: Report, tape: &[u8]) -> io::Result<Outcome> {
        if !self.is_news(&report) {
            return Ok(Outcome::Counted);
        }
        let name = format!("{}.{:014}", report.plugin, report.unix_ms);
        let text = serde_json::to_string_pretty(&report).map_err(io::Error::other)?;
        let recording = Recording { report, tape: tape.to_vec() };
        let bytes = postcard::to_allocvec(&recording).map_err(io::Error::other)?;
        files::write_private(&self.dir.join(format!("{name}.rec")), &bytes)?;
        files::write_private(&self.dir.join(format!("{name}.json")), &text)?;
        self.prune()?;
        Ok(Outcome::Recorded(bytes.len() + text.len()))
    }

    /// Whether it is to be written; counts it in any case.
    fn is_news(&self, report: &Report) -> bool {
        let mut seen = self.seen();
        let fresh = || Seen {
            budget: Budget::new(RECORDINGS.most, RECORDINGS.every),
            kept: VecDeque::new(),
        };
        let seen = seen.entry(report.plugin.clone()).or_insert_with(fresh);
        let (digest, now) = (report.cause(), report.unix_ms);
        // A clock that was set back must not hide failures for long.
        let lately = |cause: &&mut Cause| {
            cause.digest == digest && (cause.unix_ms..cause.unix_ms + AGAIN_MS).contains(&now)
        };
        if let Some(cause) = seen.kept.iter_mut().find(lately) {
            cause.repeats += 1;
            return false;
        }
        if !seen.budget.spend(Nanos::from_millis(now)) {
            return false;
        }
        seen.kept.push_back(Cause { digest, unix_ms: now, repeats: 0 });
        if seen.kept.len() > PER_PLUGIN_MAX {
            seen.kept.pop_front();
        }
        true
    }

    // Whole after every single operation.
    fn seen(&self) -> MutexGuard<'_, BTreeMap<String, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
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
        let mut reports: Vec<Report> = names.iter().filter_map(read).collect();
        if let Some(seen) = self.seen().get(plugin) {
            for report in &mut reports {
                let same = seen.kept.iter().find(|cause| cause.unix_ms == report.unix_ms);
                report.repeats = same.map_or(0, |cause| cause.repeats);
            }
        }
        reports
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

    /// Forget the failures of plugins whose name is none `to_keep`.
    ///
    /// # Errors
    /// What the system says.
    pub fn forget_but(&self, to_keep: impl Fn(&str) -> bool) -> io::Result<()> {
        self.seen().retain(|plugin, _| to_keep(plugin));
        let names = self.names()?;
        let mut gone = names.iter().filter(|name| !to_keep(&name.plugin));
        gone.try_for_each(|name| self.remove(&name.file))
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
                self.remove(&name.file)?;
            }
        }
        Ok(())
    }

    /// Another plugin's thread may have been faster.
    fn remove(&self, file: &str) -> io::Result<()> {
        match fs::remove_file(self.dir.join(file)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    fn names(&self) -> io::Result<Vec<Name>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let Ok(file) = entry.file_name().into_string() else { continue };
            // A plugin's id may have dots.
            let stem = file.rsplit_once('.').and_then(|(stem, _)| stem.rsplit_once('.'));
            if let Some((plugin, time)) = stem {
                let (plugin, time) = (plugin.to_owned(), time.to_owned());
                // Another plugin's thread may drop it just now.
                let len = entry.metadata().map_or(0, |data| data.len());
                names.push(Name { plugin, time, len, file });
            }
        }
        Ok(names)
    }
}

impl Report {
    /// What two failures of the same kind have in common: numbers differ.
    fn cause(&self) -> Digest {
        let words: String = self.failure.chars().filter(|c| !c.is_ascii_digit()).collect();
        let parts = [&self.version, &self.call, &words].map(String::as_str);
        Digest::of([parts.join("\n"), self.backtrace.join("\n")].join("\n\n").as_bytes())
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
    use crate::plugin::backoff::{Backoff, Next};

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
            repeats: 0,
        }
    }

    #[test]
    fn the_last_three_of_each_are_kept_whole() {
        let dir = tempfile::tempdir().expect("a directory");
        let reports = Reports::open(dir.path()).expect("opened");
        for time in 1..=5 {
            reports.keep(report("apc", time * AGAIN_MS), b"tape").expect("kept");
            reports.keep(report("apc-2", time * 10 * AGAIN_MS), b"tape").expect("kept");
        }
        let times =
            |plugin| reports.of(plugin).iter().map(|r| r.unix_ms / AGAIN_MS).collect::<Vec<_>>();
        assert_eq!((times("apc"), times("apc-2")), (vec![5, 4, 3], vec![50, 40, 30]));
        assert_eq!(reports.of("apc")[0], report("apc", 5 * AGAIN_MS));
        let recording = reports.recording("apc", 4 * AGAIN_MS).expect("readable").expect("kept");
        let recording: Recording = postcard::from_bytes(&recording).expect("a recording");
        assert_eq!((recording.report.unix_ms / AGAIN_MS, &recording.tape[..]), (4, &b"tape"[..]));
        for (plugin, time) in [("apc", 1), ("apc", 40), ("", 4), ("../apc", 4)] {
            let found = reports.recording(plugin, time * AGAIN_MS).expect("readable");
            assert_eq!(found, None, "{plugin} {time}");
        }
        assert_eq!(fs::read_dir(&reports.dir).expect("listed").count(), 12);
    }

    /// Fails as the supervisor lets it, for a day, in virtual time.
    fn day(failure: impl Fn(u64) -> String) -> (usize, usize, Vec<Report>) {
        let dir = tempfile::tempdir().expect("a directory");
        let reports = Reports::open(dir.path()).expect("opened");
        let (mut backoff, mut now_ms) = (Backoff::default(), 0);
        let (mut failures, mut written) = (0, 0);
        while now_ms < 24 * AGAIN_MS {
            let report = Report { failure: failure(failures), ..report("apc", now_ms) };
            failures += 1;
            if let Outcome::Recorded(bytes) = reports.keep(report, &[7; 256 << 10]).expect("kept") {
                written += bytes;
            }
            let pause = match backoff.failed(Nanos::from_millis(now_ms), Nanos(0), 0) {
                Next::Pause(pause) => pause.as_millis(),
                Next::Quarantine => {
                    // Somebody starts it again at once, all day.
                    backoff = Backoff::default();
                    1_000
                }
            };
            now_ms += pause;
        }
        (failures as usize, written, reports.of("apc"))
    }

    #[test]
    fn a_day_of_the_same_failure_is_a_recording_an_hour_and_a_count() {
        let (failures, written, kept) = day(|n| format!("wake trapped: at {n}"));
        assert!(failures > 20_000, "{failures}");
        assert!(written <= 24 * (258 << 10), "{written} bytes");
        let per_hour = failures as u64 / 24;
        assert!(kept.iter().all(|r| r.repeats.abs_diff(per_hour) < 10), "{kept:?}");
        let forgotten = report("apc", 1).cause();
        let other = Report { call: "start".into(), ..report("apc", 1) };
        assert_ne!(forgotten, other.cause());
    }

    #[test]
    fn a_day_of_ever_new_failures_is_bounded_too() {
        let letter = |bit| if bit == 0 { 'a' } else { 'b' };
        let (failures, written, kept) = day(|n| (0..8).map(|at| letter(n >> at & 1)).collect());
        assert!(failures > 20_000 && kept.len() == PER_PLUGIN_MAX, "{failures}");
        assert!(written <= 27 * (258 << 10), "{written} bytes");
    }

    #[test]
    fn those_of_a_plugin_go_with_it_and_no_others() {
        let dir = tempfile::tempdir().expect("a directory");
        let reports = Reports::open(dir.path()).expect("opened");
        for plugin in ["apc", "apc.2", "apc-2"] {
            reports.keep(report(plugin, 7), b"tape").expect("kept");
        }
        reports.forget_but(|name| name != "apc").expect("forgotten");
        let left = |plugin| reports.of(plugin).len();
        assert_eq!((left("apc"), left("apc.2"), left("apc-2")), (0, 1, 1));
        assert_eq!(fs::read_dir(&reports.dir).expect("listed").count(), 4);
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
