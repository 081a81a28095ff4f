//! Real-time priority and locked memory, where the operating system permits.

use std::io;

/// Priority of the cycle thread among real-time threads, 1 … 99: above
/// everything of ours, below the kernel's own interrupt threads (50).
const PRIORITY: i32 = 40;

/// Give the calling thread real-time priority (`SCHED_FIFO`).
///
/// # Errors
/// The operating system's refusal: usually no `CAP_SYS_NICE`.
#[expect(unsafe_code, reason = "no safe wrapper exists for sched_setscheduler")]
pub fn become_real_time() -> io::Result<()> {
    // `struct sched_param` of the kernel. The call is made directly: musl's own
    // function refuses, for its threads and POSIX's processes are not the same.
    let priority = PRIORITY;
    // SAFETY: pid 0 is the calling thread, and `priority` outlives the call,
    // which only reads it.
    let result = unsafe {
        libc::syscall(libc::SYS_sched_setscheduler, 0, libc::SCHED_FIFO, &raw const priority)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Keep every page of this process, present and future, in memory: a page
/// fault on the cycle's path would wait for a disk.
///
/// # Errors
/// The operating system's refusal: usually `RLIMIT_MEMLOCK`.
pub fn lock_memory() -> io::Result<()> {
    use rustix::mm::{MlockAllFlags, mlockall};
    mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE).map_err(Into::into)
}
