//! The compiler's process, from outside: started for one component, watched,
//! and never left behind.
//!
//! Whatever happens to it (it crashes, hangs, takes too much or answers
//! without end) is one refused plugin and nothing else.

use super::child;
pub use super::confine::Limits;
use crate::caps::one_line;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, PipeReader, Read as _, Seek as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Most bytes of code: a component of the largest bundle has less.
pub const CODE_BYTES_MAX: usize = 48 << 20;
/// Longest time for one component. Its processor time is limited as well; on a
/// busy appliance it comes last.
pub const WALL_MAX: Duration = Duration::from_secs(180);

/// How the compiler is started.
#[derive(Clone, Debug)]
pub struct Helper {
    program: PathBuf,
    arguments: Vec<OsString>,
    limits: Limits,
    wall_max: Duration,
}

/// Why there is no code.
#[derive(Debug, thiserror::Error)]
pub enum HelperError {
    /// The compiler's verdict on the component.
    #[error("it is no valid component: {detail}")]
    Invalid {
        /// In its words.
        detail: String,
    },
    /// No process.
    #[error("the compiler's process cannot be started")]
    Start {
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// It does not answer.
    #[error("the compiler did not finish within {} s and was ended", limit.as_secs_f32())]
    TimedOut {
        /// How long it was waited for.
        limit: Duration,
    },
    /// It answers without end.
    #[error("the compiler made more than {CODE_BYTES_MAX} bytes of code")]
    TooMuch,
    /// It ran, and ended otherwise than it should.
    #[error(
        "the compiler's process ended with {status}, allowed were {} MiB and {} s of processor \
        time; its last words: {said:?}", limits.memory_bytes >> 20, limits.cpu_s
    )]
    Ended {
        /// Exit code or signal.
        status: ExitStatus,
        /// What it was allowed.
        limits: Limits,
        /// What it said.
        said: String,
    },
}

impl Default for Helper {
    /// The program that runs, even when its file was replaced meanwhile: the
    /// same build makes the code and runs it.
    fn default() -> Self {
        #[cfg(test)]
        return super::tests::helper(Limits::default());
        #[cfg(not(test))]
        Self::of("/proc/self/exe".into())
    }
}

impl Helper {
    /// Another program's hidden command, for what is no daemon itself.
    #[must_use]
    pub fn of(evenkeeld: PathBuf) -> Self {
        Self::start_as(evenkeeld, vec!["compile-plugin".into()], Limits::default(), WALL_MAX)
    }

    pub(in crate::plugin) const fn start_as(
        program: PathBuf,
        arguments: Vec<OsString>,
        limits: Limits,
        wall_max: Duration,
    ) -> Self {
        Self { program, arguments, limits, wall_max }
    }

    /// Machine code for `component`.
    ///
    /// # Errors
    /// [`HelperError`]. No process is left.
    pub fn compile(&self, component: &[u8]) -> Result<Vec<u8>, HelperError> {
        let deadline = Instant::now() + self.wall_max;
        let start = |source| HelperError::Start { source };
        let (mut answer, mut process) = self.start(component).map_err(start)?;
        let mut code = Vec::new();
        let timed_out = || HelperError::TimedOut { limit: self.wall_max };
        let mut chunk = vec![0; 64 << 10];
        loop {
            if !ready(answer.as_fd(), deadline).map_err(start)? {
                return Err(timed_out());
            }
            match answer.read(&mut chunk).map_err(start)? {
                0 => break,
                len => code.extend_from_slice(&chunk[..len]),
            }
            if code.len() > CODE_BYTES_MAX {
                return Err(HelperError::TooMuch);
            }
        }
        let status = process.wait(deadline).map_err(start)?.ok_or_else(timed_out)?;
        match status.code() {
            Some(exit) if exit == i32::from(child::CODE) => Ok(code),
            Some(exit) if exit == i32::from(child::INVALID) => {
                Err(HelperError::Invalid { detail: said(&code) })
            }
            _ => Err(HelperError::Ended { status, limits: self.limits, said: said(&code) }),
        }
    }

    fn start(&self, component: &[u8]) -> io::Result<(PipeReader, Process)> {
        let (reader, writer) = io::pipe()?;
        let child = Command::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            .current_dir("/")
            .stdin(input(component)?)
            .stdout(writer.try_clone()?)
            // What it says when it panics; on success it says nothing there.
            .stderr(writer)
            .spawn()?;
        Ok((reader, Process(child)))
    }
}

/// The component as a file that is nowhere: all of it is there to be read, so
/// that nobody waits for anybody.
fn input(component: &[u8]) -> io::Result<Stdio> {
    let mut file = File::from(memfd_create("component", MemfdFlags::CLOEXEC)?);
    file.write_all(component)?;
    file.rewind()?;
    Ok(OwnedFd::from(file).into())
}

/// Ended when dropped, whatever it was doing.
struct Process(Child);

impl Process {
    /// How it ended; `None` at the deadline.
    fn wait(&mut self, deadline: Instant) -> io::Result<Option<ExitStatus>> {
        let ended = pidfd_open(Pid::from_child(&self.0), PidfdFlags::empty())?;
        if !ready(ended.as_fd(), deadline)? {
            return Ok(None);
        }
        self.0.wait().map(Some)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it was waited for already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Wait until there is something to read; false at the deadline.
fn ready(fd: BorrowedFd<'_>, deadline: Instant) -> io::Result<bool> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let time = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        };
        match poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)], Some(&time)) {
            Ok(0) if left.is_zero() => return Ok(false),
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Ok(true),
            Err(error) => return Err(error.into()),
        }
    }
}

/// The end of what it wrote, as a line.
fn said(output: &[u8]) -> String {
    let end = &output[output.len().saturating_sub(300)..];
    one_line(String::from_utf8_lossy(end).trim(), 300)
}
