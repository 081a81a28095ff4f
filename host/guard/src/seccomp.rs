//! Which system calls the guard may make once it runs.
//!
//! The filter is written by hand: it is a list, and the usual crates do not
//! know 32-bit ARM. Three answers:
//! - **allowed**: what the loop, the socket and the kept state use;
//! - **killed**: what no version of the guard ever does and only a taken-over
//!   one would (run a program, look into another process, load a module) — a
//!   stopped guard leaves the bypasses off and the watchdog to bite;
//! - **everything else fails** with `ENOSYS`: the call is as impossible as if
//!   it killed, but a C library that tries a newer call first falls back, and
//!   protection goes on instead of dying over a trifle.
//!
//! `ioctl` is limited to what serial ports and sockets need, and memory can
//! not be made executable.

use crate::sys::Instruction;
use libc::{c_long, *};

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

/// Only a guard that is no longer ours would make these.
const KILLED: &[c_long] = &[
    SYS_execve,
    SYS_execveat,
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_init_module,
    SYS_finit_module,
    SYS_kexec_load,
];

const ALLOWED: &[c_long] = &[
    // bytes of ports, clients, kept state, standard error
    SYS_read,
    SYS_write,
    SYS_readv,
    SYS_writev,
    SYS_recvfrom,
    SYS_recvmsg,
    SYS_sendto,
    SYS_sendmsg,
    SYS_accept4,
    SYS_setsockopt,
    SYS_getsockopt,
    SYS_shutdown,
    SYS_ppoll,
    SYS_close,
    SYS_flock,
    // files: which ones is Landlock's business
    SYS_openat,
    SYS_statx,
    SYS_lseek,
    SYS_fsync,
    SYS_fdatasync,
    SYS_renameat2,
    SYS_unlinkat,
    // time
    SYS_clock_gettime,
    SYS_clock_nanosleep,
    SYS_nanosleep,
    SYS_restart_syscall,
    // memory, never executable (see below)
    SYS_brk,
    SYS_munmap,
    SYS_mremap,
    SYS_madvise,
    // threads and their ends
    SYS_futex,
    SYS_sched_yield,
    SYS_set_robust_list,
    SYS_sigaltstack,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_getpid,
    SYS_gettid,
    SYS_tgkill,
    SYS_exit,
    SYS_exit_group,
    SYS_getrandom,
];

/// Calls of some architectures only.
#[cfg(target_arch = "x86_64")]
const ALSO_ALLOWED: &[c_long] = &[
    SYS_newfstatat,
    SYS_fstat,
    SYS_stat,
    SYS_lstat,
    SYS_fcntl,
    SYS_poll,
    SYS_open,
    SYS_rename,
    SYS_renameat,
    SYS_unlink,
];
#[cfg(target_arch = "aarch64")]
const ALSO_ALLOWED: &[c_long] = &[SYS_newfstatat, SYS_fstat, SYS_fcntl, SYS_renameat];
/// With the calls for 64-bit time (`…_time64`), which the table of names lacks.
#[cfg(target_arch = "arm")]
const ALSO_ALLOWED: &[c_long] = &[
    SYS_fstat64,
    SYS_fstatat64,
    SYS_stat64,
    SYS_lstat64,
    SYS_fcntl64,
    SYS_fcntl,
    SYS_poll,
    SYS_open,
    SYS_rename,
    SYS_renameat,
    SYS_unlink,
    SYS__llseek,
    SYS_sigreturn,
    SYS_recv,
    SYS_send,
    403,
    407,
    414,
    422,
];

/// Set up a serial port, flush it, make a socket non-blocking.
const IOCTLS: &[u32] =
    &[TCGETS as u32, TCSETS as u32, TCGETS2 as u32, TCSETS2 as u32, TCFLSH as u32, FIONBIO as u32];

/// Calls whose third argument is a memory protection.
#[cfg(not(target_arch = "arm"))]
const MAPPING: &[c_long] = &[SYS_mmap, SYS_mprotect];
#[cfg(target_arch = "arm")]
const MAPPING: &[c_long] = &[SYS_mmap2, SYS_mprotect];

// Places in the kernel's `struct seccomp_data`; all our processors are little-endian.
const NUMBER_AT: u32 = 0;
const ARCHITECTURE_AT: u32 = 4;
const fn argument_at(n: u32) -> u32 {
    16 + 8 * n
}

const KILL: u32 = SECCOMP_RET_KILL_PROCESS;
const ALLOW: u32 = SECCOMP_RET_ALLOW;
const ABSENT: u32 = SECCOMP_RET_ERRNO | ENOSYS as u32;
const FORBIDDEN: u32 = SECCOMP_RET_ERRNO | EPERM as u32;

/// The filter, ready to install.
pub fn filter() -> Vec<Instruction> {
    let mut filter = vec![load(ARCHITECTURE_AT), equal(ARCHITECTURE, 1, 0), answer(KILL)];
    filter.push(load(NUMBER_AT));
    let numbers = |list: &[c_long]| list.to_vec();
    for number in numbers(KILLED) {
        filter.extend([equal(number as u32, 0, 1), answer(KILL)]);
    }
    for number in [ALLOWED, ALSO_ALLOWED].concat() {
        filter.extend([equal(number as u32, 0, 1), answer(ALLOW)]);
    }
    for number in numbers(MAPPING) {
        let executable = any_bit(PROT_EXEC as u32, 0, 1);
        let check = [load(argument_at(2)), executable, answer(FORBIDDEN), answer(ALLOW)];
        filter.push(equal(number as u32, 0, check.len() as u8));
        filter.extend(check);
    }
    let mut check = vec![load(argument_at(1))];
    check.extend(IOCTLS.iter().flat_map(|call| [equal(*call, 0, 1), answer(ALLOW)]));
    check.push(answer(FORBIDDEN));
    filter.push(equal(SYS_ioctl as u32, 0, check.len() as u8));
    filter.extend(check);
    filter.push(answer(ABSENT));
    filter
}

fn load(at: u32) -> Instruction {
    Instruction { code: (BPF_LD | BPF_W | BPF_ABS) as u16, jt: 0, jf: 0, k: at }
}

/// Skip `yes` instructions when the loaded word is `value`, else `no`.
fn equal(value: u32, yes: u8, no: u8) -> Instruction {
    Instruction { code: (BPF_JMP | BPF_JEQ | BPF_K) as u16, jt: yes, jf: no, k: value }
}

/// Skip `yes` instructions when the loaded word has one of `bits`, else `no`.
fn any_bit(bits: u32, yes: u8, no: u8) -> Instruction {
    Instruction { code: (BPF_JMP | BPF_JSET | BPF_K) as u16, jt: yes, jf: no, k: bits }
}

fn answer(what: u32) -> Instruction {
    Instruction { code: (BPF_RET | BPF_K) as u16, jt: 0, jf: 0, k: what }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;
    use std::os::unix::net::UnixStream;
    use std::os::unix::process::{CommandExt, ExitStatusExt};
    use std::process::Command;

    #[test]
    fn the_guards_calls_work_and_others_do_not() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().to_owned();
        let confined = move || {
            rustix::thread::set_no_new_privs(true).expect("permitted");
            crate::sys::install_filter(&filter(), false).expect("installed");
            let file = path.join("state");
            std::fs::write(path.join("new"), "kept").expect("files are written");
            std::fs::rename(path.join("new"), &file).expect("and replaced");
            assert_eq!(std::fs::read_to_string(&file).expect("and read"), "kept");
            let refused = |error: std::io::Error| error.raw_os_error();
            let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect_err("no sockets");
            assert_eq!(refused(socket), Some(ENOSYS));
            let folder = std::fs::create_dir(path.join("folder")).expect_err("no folders");
            assert_eq!(refused(folder), Some(ENOSYS));
            assert!(UnixStream::pair().is_err());
            let window = rustix::termios::tcgetwinsize(std::io::stdin());
            assert_eq!(window.err(), Some(Errno::PERM), "an ioctl that is not the guard's");
            std::fs::remove_file(file).expect("files are removed");
            drop(std::hint::black_box(vec![1u8; 1 << 22]));
        };
        // The filter stays with its thread, which ends here.
        std::thread::spawn(confined).join().expect("as wanted");
    }

    /// Run twice: the second time as a process of its own, which dies of it.
    #[test]
    fn whoever_starts_a_program_is_killed() {
        const DOOMED: &str = "EVENKEEL_GUARD_TEST_DOOMED";
        if std::env::var_os(DOOMED).is_some() {
            rustix::thread::set_no_new_privs(true).expect("permitted");
            crate::sys::install_filter(&filter(), true).expect("installed");
            let error = Command::new("/bin/true").exec();
            panic!("not even refused: {error}");
        }
        let name = "seccomp::tests::whoever_starts_a_program_is_killed";
        let test = std::env::current_exe().expect("known");
        let doomed = Command::new(test).args(["--exact", name]).env(DOOMED, "1").output();
        let status = doomed.expect("run").status;
        assert_eq!(status.signal(), Some(SIGSYS), "{status}");
    }

    #[test]
    fn the_filter_ends_in_a_refusal_and_fits_the_kernel() {
        let filter = filter();
        assert!(filter.len() < 4096);
        assert_eq!(filter.last().map(|last| last.k), Some(ABSENT));
    }
}
