//! The supervisor: the first program on the verified root. Mounts what may be
//! written, starts the guard first, then the network and the daemon, starts each
//! again when it ends, collects what they leave behind, and stops in good order.
//! The host name is told to the kernel here, too.
//!
//! The watchdog is the guard's: only a cycle in time feeds it, so that nothing
//! here can pretend that the appliance protects. The first stage armed it, so
//! that a guard that never comes is found out, too.

use crate::host_name::HostName;
use crate::reset::ResetError;
use crate::service::Service;
use crate::{kept, log, partition, ports, reset, state};
use evenkeel_signing::slot::Reason;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, wait};
use signal_hook::consts::{SIGCHLD, SIGINT, SIGTERM, SIGUSR2};
use std::fs;
use std::io::{self, Read as _};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a service may take to stop before it is killed.
const STOP_MAX: Duration = Duration::from_secs(20);
/// Users of the root's `/etc/passwd`. The guard becomes its user by itself,
/// after it has opened its ports; the daemon shares its group, for the socket.
const GUARD: u32 = 1_000;
/// User of the daemon, who alone may ask the keeper.
pub const DAEMON: u32 = 1_001;
/// User of the program that keeps network and clock. Like the guard it becomes
/// its user by itself.
const NETWORK: u32 = 1_002;
/// The keeper of the slots: this program under another name.
pub const KEEPER: &str = "/sbin/evenkeel-keeper";

/// A program of the appliance.
struct Program {
    name: &'static str,
    path: &'static str,
    arguments: &'static [&'static str],
    user: u32,
    /// It starts when this is there: the guard before the daemon.
    after: Option<&'static str>,
    service: Service,
    child: Option<Child>,
}

/// The guard first: it protects while everything else is still away, and nobody
/// moves the clock before.
fn programs() -> [Program; 4] {
    let program = |name, path, arguments, user, after| Program {
        name,
        path,
        arguments,
        user,
        after,
        service: Service::new(),
        child: None,
    };
    const RUN: &[&str] = &[
        "run",
        "--settings",
        "/data/guard/guard.toml",
        "--state",
        "/data/guard/state",
        "--socket",
        "/run/evenkeel/guard.sock",
        "--user",
        "guard",
        "--watchdog",
        "/dev/watchdog0",
    ];
    [
        program("guard", "/sbin/evenkeel-guard", RUN, 0, None),
        program("network", "/sbin/evenkeel-network", &[], 0, Some("/run/evenkeel/guard.sock")),
        program(
            "daemon",
            "/sbin/evenkeeld",
            &["--config", "/data/daemon/evenkeeld.toml"],
            DAEMON,
            Some("/run/evenkeel/guard.sock"),
        ),
        program("keeper", KEEPER, &[], 0, Some("/run/evenkeel/guard.sock")),
    ]
}

/// Run until somebody asks for a restart; says why.
pub fn run() -> Reason {
    if let Err(error) = prepare() {
        log::say(&log::chain(&error));
        return Reason::Root;
    }
    match supervise() {
        Ok(reason) => reason,
        Err(error) => {
            log::say(&format!("the supervisor failed: {}", log::chain(&error)));
            Reason::Panic
        }
    }
}

/// What may be written: memory for the run, the data partition for ever.
fn prepare() -> io::Result<()> {
    let flags = MountFlags::NODEV | MountFlags::NOSUID | MountFlags::NOEXEC;
    for place in ["/run", "/tmp"] {
        mount("tmpfs", place, "tmpfs", flags, Some(c"mode=0755,size=16m"))?;
    }
    fs::set_permissions("/tmp", fs::Permissions::from_mode(0o1777))?;
    mount_data(flags)?;
    fs::create_dir_all("/run/evenkeel")?;
    for (place, user) in [
        ("/data/guard", GUARD),
        ("/data/guard/state", GUARD),
        ("/data/daemon", DAEMON),
        ("/data/daemon/store", DAEMON),
        ("/data/network", NETWORK),
        ("/run/evenkeel", GUARD),
        ("/run/network", NETWORK),
    ] {
        fs::create_dir_all(place)?;
        chown(place, Some(user), Some(GUARD))?;
    }
    ports::hand_out(&[("guard", GUARD), ("daemon", DAEMON)]);
    // The console's port is for the daemon, which is no root.
    fs::write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "443")?;
    Ok(())
}

/// The data partition, made anew if that was ordered, with the serial number.
fn mount_data(flags: MountFlags) -> io::Result<()> {
    let (data, state) = (partition::find("data")?, partition::find(state::PARTITION)?);
    let words = fs::read_to_string("/proc/cmdline")?;
    let reset = reset::if_ordered(&words, &state, &data, Path::new(reset::FACTORY));
    mount(&data, "/data", "ext4", flags | MountFlags::NOATIME, None)?;
    let back =
        kept::read(&state).and_then(|kept| kept::put_back(&kept, Path::new("/data"), DAEMON));
    let done = match (reset, back) {
        (Err(error), _) => Err(error),
        // Without the number it is not done, and begins again at the next start.
        (Ok(true), Err(error)) => Err(ResetError::Kept(error)),
        (Ok(true), Ok(())) => reset::finish(&state),
        (Ok(false), Err(error)) => {
            log::say(&format!("the serial number is not put back: {error}"));
            Ok(())
        }
        (Ok(false), Ok(())) => Ok(()),
    };
    if let Err(error) = done {
        log::say(&log::chain(&error));
    }
    Ok(())
}

fn supervise() -> io::Result<Reason> {
    let (mut wakes, wake) = UnixStream::pair()?;
    wakes.set_nonblocking(true)?;
    for signal in [SIGCHLD, SIGTERM, SIGINT, SIGUSR2] {
        signal_hook::low_level::pipe::register(signal, wake.try_clone()?)?;
    }
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT, SIGUSR2] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    // Without a name it protects as well.
    let mut host_name = HostName::watch()
        .inspect_err(|error| log::say(&format!("the host name is not followed: {error}")))
        .ok();
    let begun = Instant::now();
    let mut programs = programs();
    while !stop.load(Ordering::Relaxed) {
        collect(&mut programs, begun.elapsed());
        for program in &mut programs {
            program.tend(begun.elapsed());
        }
        if let Some(host_name) = &mut host_name {
            host_name.follow();
        }
        let time = next_look(&programs, begun.elapsed());
        wait_for(&mut wakes, host_name.as_ref().map(HostName::wakes), time);
    }
    stop_all(&mut programs, &mut wakes);
    Ok(Reason::Restart)
}

impl Program {
    fn tend(&mut self, now: Duration) {
        let ready = self.after.is_none_or(|path| Path::new(path).exists());
        if self.child.is_some() || !ready || !self.service.is_due(now) {
            return;
        }
        let mut command = Command::new(self.path);
        command.args(self.arguments).env_clear();
        if self.user != 0 {
            command.uid(self.user).gid(GUARD);
        }
        match command.spawn() {
            Ok(child) => {
                log::say(&format!("{} started as process {}", self.name, child.id()));
                self.service.started(now);
                self.child = Some(child);
            }
            Err(error) => {
                let pause = self.service.ended(now);
                log::say(&format!("{} cannot be started, again in {pause:?}: {error}", self.name));
            }
        }
    }
}

/// Take note of every process that ended, ours or left behind.
fn collect(programs: &mut [Program], now: Duration) {
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        let ended = programs.iter_mut().find(|program| {
            program
                .child
                .as_ref()
                .is_some_and(|child| child.id() == pid.as_raw_nonzero().get() as u32)
        });
        if let Some(program) = ended {
            program.child = None;
            let pause = program.service.ended(now);
            let name = program.name;
            let times = program.service.ends();
            log::say(&format!("{name} ended ({status:?}), {times} times now; again in {pause:?}"));
        }
    }
}

/// Until when nothing is due. A program that waits for another is looked at
/// often: of a new socket nobody tells.
fn next_look(programs: &[Program], now: Duration) -> Option<Duration> {
    let waiting = programs.iter().filter(|program| program.child.is_none());
    let due = waiting.filter_map(|program| {
        let until = program.service.wakes()?.saturating_sub(now);
        Some(until.max(Duration::from_millis(20)))
    });
    due.min()
}

/// Wait for a signal, for whatever `also` wakes for, or for `time`.
fn wait_for(wakes: &mut UnixStream, also: Option<BorrowedFd<'_>>, time: Option<Duration>) {
    let timeout = time.map(|time| Timespec {
        tv_sec: time.as_secs() as i64,
        tv_nsec: i64::from(time.subsec_nanos()),
    });
    // A wait that a signal interrupts is over, as it should be.
    let mut waits = vec![PollFd::new(wakes, PollFlags::IN)];
    waits.extend(also.map(|also| PollFd::from_borrowed_fd(also, PollFlags::IN)));
    let _ = poll(&mut waits, timeout.as_ref());
    drop(waits);
    let mut told = [0; 64];
    while matches!(wakes.read(&mut told), Ok(1..)) {}
}

/// The daemon first, the guard last: it protects to the end.
fn stop_all(programs: &mut [Program], wakes: &mut UnixStream) {
    for program in programs.iter_mut().rev() {
        let Some(pid) = program.child.as_ref().and_then(|child| Pid::from_raw(child.id() as i32))
        else {
            continue;
        };
        log::say(&format!("{} is asked to stop", program.name));
        let begun = Instant::now();
        // One that is gone already is as good as stopped.
        let _ = kill_process(pid, Signal::TERM);
        while program.child.is_some() {
            collect(std::slice::from_mut(program), Duration::ZERO);
            let left = STOP_MAX.saturating_sub(begun.elapsed());
            if left.is_zero() {
                log::say(&format!("{} does not stop and is killed", program.name));
                let _ = kill_process(pid, Signal::KILL);
                break;
            }
            if program.child.is_some() {
                wait_for(wakes, None, Some(left));
            }
        }
    }
    rustix::fs::sync();
    if let Err(error) = unmount("/data", UnmountFlags::empty()) {
        log::say(&format!("the data partition stays in use, it is synced: {error}"));
    }
}
