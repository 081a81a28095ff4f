//! A program under test: started, awaited by what it prints, and never left
//! behind.

use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// A running program. Dropping it ends it.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    lines: Receiver<String>,
    log: PathBuf,
}

/// What went wrong with a program.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It cannot be started.
    #[error("{name} cannot be started")]
    Start {
        /// Which program.
        name: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It did not say what was awaited.
    #[error("{name} did not print {wanted:?} within {seconds} s; its last words:\n{tail}")]
    NotReady {
        /// Which program.
        name: String,
        /// The awaited words.
        wanted: String,
        /// How long.
        seconds: u64,
        /// End of its log.
        tail: String,
    },
    /// It ended although it should run.
    #[error("{name} ended ({status}); its last words:\n{tail}")]
    Ended {
        /// Which program.
        name: String,
        /// How.
        status: String,
        /// End of its log.
        tail: String,
    },
}

impl Program {
    /// Start `command`; its output goes to `log` (appended), line by line.
    ///
    /// # Errors
    /// [`ProgramError::Start`].
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Result<Self, ProgramError> {
        let start = |source| ProgramError::Start { name: name.to_owned(), source };
        let mut file = File::options().create(true).append(true).open(log).map_err(start)?;
        let errors = file.try_clone().map_err(start)?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .map_err(start)?;
        let (sender, lines) = channel();
        let stdout = child.stdout.take();
        std::thread::spawn(move || {
            let Some(stdout) = stdout else { return };
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // The log is for people; a full disk must not end the program.
                let _ = writeln!(file, "{line}");
                let _ = sender.send(line);
            }
        });
        Ok(Self { name: name.to_owned(), child, lines, log: log.to_owned() })
    }

    /// Wait for a line that starts with `wanted`; returns the whole line.
    ///
    /// # Errors
    /// When the program ends or is silent for `limit`.
    pub fn await_line(&mut self, wanted: &str, limit: Duration) -> Result<String, ProgramError> {
        self.await_that(wanted, limit, |line| line.starts_with(wanted))
    }

    /// Wait for a line that holds `wanted` anywhere; returns the whole line.
    ///
    /// # Errors
    /// When the program ends or is silent for `limit`.
    pub fn await_words(&mut self, wanted: &str, limit: Duration) -> Result<String, ProgramError> {
        self.await_that(wanted, limit, |line| line.contains(wanted))
    }

    fn await_that(
        &mut self,
        wanted: &str,
        limit: Duration,
        is: impl Fn(&str) -> bool,
    ) -> Result<String, ProgramError> {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if is(&line) => return Ok(line),
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => {
                    return Err(ProgramError::NotReady {
                        name: self.name.clone(),
                        wanted: wanted.to_owned(),
                        seconds: limit.as_secs(),
                        tail: self.tail(),
                    });
                }
                Err(RecvTimeoutError::Disconnected) => return Err(self.ended()),
            }
        }
    }

    /// An error when the program has ended.
    ///
    /// # Errors
    /// [`ProgramError::Ended`].
    pub fn check(&mut self) -> Result<(), ProgramError> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            _ => Err(self.ended()),
        }
    }

    /// Wait until it has ended by itself; gives its exit status.
    ///
    /// # Errors
    /// [`ProgramError::NotReady`] when it still runs after `limit`.
    pub fn await_end(&mut self, limit: Duration) -> Result<Option<ExitStatus>, ProgramError> {
        match self.await_that("its end", limit, |_| false) {
            Err(ProgramError::Ended { .. }) => Ok(self.child.wait().ok()),
            Err(error) => Err(error),
            Ok(_) => Ok(None),
        }
    }

    /// Process number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ask it to stop (SIGTERM) and wait; killed when it takes over 10 s.
    /// Returns its exit status.
    pub fn stop(&mut self) -> Option<ExitStatus> {
        if let Some(pid) = Pid::from_raw(self.child.id() as i32) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.kill();
        None
    }

    /// Kill it at once (SIGKILL), as a crash would.
    pub fn kill(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Resident memory, kB; `None` when it has ended.
    #[must_use]
    pub fn resident_kb(&self) -> Option<u64> {
        self.status_kb("VmRSS:")
    }

    /// Resident memory that is its own, kB, without what it reads of files, its
    /// program above all; `None` when it has ended.
    #[must_use]
    pub fn own_kb(&self) -> Option<u64> {
        self.status_kb("RssAnon:")
    }

    /// Address space in use, kB; `None` when it has ended.
    #[must_use]
    pub fn mapped_kb(&self) -> Option<u64> {
        self.status_kb("VmSize:")
    }

    /// A row of `/proc/<pid>/status` in kB (proc(5)).
    fn status_kb(&self, row: &str) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).ok()?;
        let line = status.lines().find_map(|l| l.strip_prefix(row))?;
        line.trim().strip_suffix("kB")?.trim().parse().ok()
    }

    /// Processor time of its threads since they began, by name (of which the
    /// system keeps 15 bytes), ms; threads of one name are added up. Empty when
    /// it has ended.
    #[must_use]
    pub fn threads_cpu_ms(&self) -> BTreeMap<String, u64> {
        let mut by_name = BTreeMap::new();
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.pid())).into_iter().flatten();
        for path in threads.filter_map(|entry| Some(entry.ok()?.path())) {
            // One that ends meanwhile is left out.
            if let Some((name, ms)) = thread_cpu_ms(&path) {
                *by_name.entry(name).or_default() += ms;
            }
        }
        by_name
    }

    /// The whole log so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn ended(&mut self) -> ProgramError {
        let status = self.child.wait().map_or_else(|e| e.to_string(), |s| s.to_string());
        ProgramError::Ended { name: self.name.clone(), status, tail: self.tail() }
    }

    fn tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

fn thread_cpu_ms(task: &Path) -> Option<(String, u64)> {
    let name = std::fs::read_to_string(task.join("comm")).ok()?.trim().to_owned();
    let stat = std::fs::read_to_string(task.join("stat")).ok()?;
    // The name in parentheses may hold anything; behind it, utime and stime
    // are fields 14 and 15 of proc(5), in hundredths of a second.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |n: usize| fields.get(n)?.parse::<u64>().ok();
    Some((name, (ticks(11)? + ticks(12)?) * 10))
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}
