//! What the compiler's process gives up before it reads a byte.
//!
//! Its place among those that may have memory, which is the last; limits of
//! memory, processor time, files and processes; its user, where that is root;
//! and every system call but those for memory, time, and its two open
//! descriptors. No file can be opened and no socket made, so there is nothing
//! left for Landlock to refuse. A call that is not on the list fails with
//! `ENOSYS`: libraries that try a newer call first then fall back.

use libc::{c_long, *};
use rustix::process::{Resource, Rlimit, Signal, setrlimit};
use rustix::thread::{set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use std::io;

/// `nobody`, on every Linux.
const NOBODY: u32 = 65_534;
/// The highest `oom_score_adj` (proc(5)).
const FIRST_TO_GO: &str = "1000";

/// What the process may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Address space in bytes.
    pub memory_bytes: u64,
    /// Processor time in seconds.
    pub cpu_s: u64,
}

impl Default for Limits {
    /// Ample for the largest component that a bundle can hold: a bound on what
    /// it asks for. Where there is less, it is the first to be ended.
    fn default() -> Self {
        Self { memory_bytes: 512 << 20, cpu_s: 60 }
    }
}

/// From now on the process only computes.
///
/// # Errors
/// What the system refused, for people. Nothing must be compiled then.
pub fn confine(limits: &Limits) -> Result<(), String> {
    let refused = |what: &str, error: io::Error| format!("{what} cannot be limited: {error}");
    // The daemon that asked is gone: so is the question.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|e| refused("its life", e.into()))?;
    // An appliance out of memory ends this process, and no other.
    std::fs::write("/proc/self/oom_score_adj", FIRST_TO_GO)
        .map_err(|e| refused("its claim to memory", e))?;
    become_nobody().map_err(|e| refused("its user", e))?;
    for (resource, soft, hard) in [
        (Resource::Cpu, limits.cpu_s, limits.cpu_s + 1),
        (Resource::As, limits.memory_bytes, limits.memory_bytes),
        (Resource::Fsize, 0, 0),
        (Resource::Nofile, 0, 0),
        (Resource::Nproc, 0, 0),
        (Resource::Core, 0, 0),
    ] {
        let limit = Rlimit { current: Some(soft), maximum: Some(hard) };
        setrlimit(resource, limit).map_err(|e| refused("a resource", e.into()))?;
    }
    set_no_new_privs(true).map_err(|e| refused("its privileges", e.into()))?;
    install(&filter()).map_err(|e| refused("its system calls", e))
}

/// Changing the user of root takes its capabilities away, too. Anybody else
/// has none to begin with.
fn become_nobody() -> io::Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let (uid, gid) =
        (rustix::process::Uid::from_raw(NOBODY), rustix::process::Gid::from_raw(NOBODY));
    set_thread_groups(&[])?;
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)?;
    Ok(())
}

/// The kernel's number of the processor architecture (`AUDIT_ARCH_…`).
const ARCHITECTURE: u32 = if cfg!(target_arch = "x86_64") {
    0xC000_003E
} else if cfg!(target_arch = "aarch64") {
    0xC000_00B7
} else if cfg!(target_arch = "arm") {
    0x4000_0028
} else {
    panic!("the list of system calls is not written for this architecture")
};

const ALLOWED: &[c_long] = &[
    // the component and the code
    SYS_read,
    SYS_write,
    SYS_writev,
    SYS_close,
    // memory, never executable (see below)
    SYS_brk,
    SYS_munmap,
    SYS_mremap,
    SYS_madvise,
    // the end, in good order or not
    SYS_futex,
    SYS_sigaltstack,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_getpid,
    SYS_gettid,
    SYS_tgkill,
    SYS_exit,
    SYS_exit_group,
    SYS_restart_syscall,
    // seeds of hash tables; time
    SYS_getrandom,
    SYS_clock_gettime,
    SYS_sched_yield,
];

/// Calls whose third argument is a memory protection.
#[cfg(not(target_arch = "arm"))]
const MAPPING: &[c_long] = &[SYS_mmap, SYS_mprotect];
#[cfg(target_arch = "arm")]
const MAPPING: &[c_long] = &[SYS_mmap2, SYS_mprotect];

// Places in the kernel's `struct seccomp_data`; all our processors are little-endian.
const NUMBER_AT: u32 = 0;
const ARCHITECTURE_AT: u32 = 4;
const PROTECTION_AT: u32 = 16 + 8 * 2;

fn filter() -> Vec<sock_filter> {
    let answer = |what: u32| instruction(BPF_RET | BPF_K, what, 0, 0);
    let load = |at: u32| instruction(BPF_LD | BPF_W | BPF_ABS, at, 0, 0);
    let equal = |value: u32, yes, no| instruction(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no);
    let mut filter = vec![load(ARCHITECTURE_AT), equal(ARCHITECTURE, 1, 0)];
    filter.extend([answer(SECCOMP_RET_KILL_PROCESS), load(NUMBER_AT)]);
    for number in ALLOWED {
        filter.extend([equal(*number as u32, 0, 1), answer(SECCOMP_RET_ALLOW)]);
    }
    for number in MAPPING {
        filter.extend([
            equal(*number as u32, 0, 4),
            load(PROTECTION_AT),
            instruction(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC as u32, 0, 1),
            answer(SECCOMP_RET_ERRNO | EPERM as u32),
            answer(SECCOMP_RET_ALLOW),
        ]);
    }
    filter.push(answer(SECCOMP_RET_ERRNO | ENOSYS as u32));
    filter
}

const fn instruction(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code: code as u16, jt, jf, k }
}

/// For all threads: a test has more than one.
#[expect(unsafe_code, reason = "no safe wrapper exists for seccomp")]
fn install(filter: &[sock_filter]) -> io::Result<()> {
    let len = u16::try_from(filter.len()).map_err(io::Error::other)?;
    // The kernel only reads it; the type is shared with calls that write.
    let program = sock_fprog { len, filter: filter.as_ptr().cast_mut() };
    // SAFETY: `program` names `len` valid instructions, both outlive the call,
    // and the kernel copies and verifies them before use.
    let result = unsafe {
        syscall(
            SYS_seccomp,
            c_long::from(SECCOMP_SET_MODE_FILTER as i32),
            SECCOMP_FILTER_FLAG_TSYNC,
            &raw const program,
        )
    };
    match result {
        0 => Ok(()),
        // With TSYNC a positive result is the thread that could not follow.
        thread if thread > 0 => Err(io::Error::other(format!("thread {thread} cannot follow"))),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::{Command, Output};

    const CONFINED: &str = "EVENKEEL_TEST_CONFINED";

    /// Run twice: the second time as a process of its own, which is confined.
    #[test]
    fn a_confined_process_computes_and_can_do_nothing_else() {
        if std::env::var_os(CONFINED).is_some() {
            let absent = std::path::PathBuf::from("/proc/self/status");
            let claim = std::fs::File::open("/proc/self/oom_score_adj").expect("there");
            confine(&Limits::default()).expect("confined");
            let mut text = String::new();
            (&claim).read_to_string(&mut text).expect("an open file can be read");
            assert_eq!(text.trim(), FIRST_TO_GO, "out of memory, it goes first");
            assert_eq!(vec![7_u8; 1 << 22].len(), 1 << 22, "memory is there");
            let number = |error: io::Error| error.raw_os_error();
            assert_eq!(std::fs::read(&absent).map_err(number), Err(Some(ENOSYS)), "no files");
            let socket = std::net::UdpSocket::bind("127.0.0.1:0").map(|_| ());
            assert_eq!(socket.map_err(number), Err(Some(ENOSYS)), "no sockets");
            let program = Command::new("/bin/true").status().map(|_| ());
            assert!(program.is_err(), "no programs");
            assert!(std::thread::Builder::new().spawn(|| ()).is_err(), "no threads");
            let too_much = Vec::<u8>::new().try_reserve_exact(1 << 30);
            assert!(too_much.is_err(), "no more than its memory");
            std::process::exit(77);
        }
        let output = twice("a_confined_process_computes_and_can_do_nothing_else");
        assert_eq!(output.status.code(), Some(77), "{}", String::from_utf8_lossy(&output.stderr));
    }

    #[test]
    fn a_confined_process_ends_with_its_processor_time() {
        if std::env::var_os(CONFINED).is_some() {
            confine(&Limits { cpu_s: 1, ..Limits::default() }).expect("confined");
            loop {
                std::hint::spin_loop();
            }
        }
        let output = twice("a_confined_process_ends_with_its_processor_time");
        assert_eq!(output.status.signal(), Some(SIGXCPU), "{}", output.status);
    }

    fn twice(test: &str) -> Output {
        Command::new(std::env::current_exe().expect("known"))
            .args(["--exact", &format!("plugin::compile::confine::tests::{test}"), "--nocapture"])
            .env(CONFINED, "1")
            .output()
            .expect("run")
    }
}
