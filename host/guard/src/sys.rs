//! The few system calls that have no safe wrapper: seccomp, Landlock and the
//! watchdog's time limit.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// One instruction of a seccomp filter.
pub type Instruction = libc::sock_filter;

/// Install a seccomp filter for the calling thread, or for all threads of the
/// process. `no_new_privs` has to be set.
///
/// # Errors
/// The operating system's refusal: no seccomp, a filter that is not well
/// formed, a thread with another filter.
#[expect(unsafe_code, reason = "no safe wrapper exists for seccomp")]
pub fn install_filter(filter: &[Instruction], all_threads: bool) -> io::Result<()> {
    let len = u16::try_from(filter.len()).map_err(io::Error::other)?;
    // The kernel only reads it; the type is shared with calls that write.
    let program = libc::sock_fprog { len, filter: filter.as_ptr().cast_mut() };
    let flags = if all_threads { libc::SECCOMP_FILTER_FLAG_TSYNC } else { 0 };
    // SAFETY: `program` names `len` valid instructions, both outlive the call,
    // and the kernel copies and verifies them before use.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::c_long::from(libc::SECCOMP_SET_MODE_FILTER as i32),
            flags,
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

/// A Landlock rule set that handles these file system rights.
///
/// # Errors
/// The operating system's refusal: usually no Landlock.
#[expect(unsafe_code, reason = "no safe wrapper exists for Landlock")]
pub fn landlock_ruleset(handled: u64) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Attributes {
        handled_access_fs: u64,
    }
    let attributes = Attributes { handled_access_fs: handled };
    // SAFETY: the kernel reads `size` bytes at `attributes`, which is as long
    // and outlives the call.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            &raw const attributes,
            size_of::<Attributes>(),
            0,
        )
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has just made this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// The version of Landlock's interface; 0 when there is none.
#[expect(unsafe_code, reason = "no safe wrapper exists for Landlock")]
pub fn landlock_version() -> u32 {
    const VERSION: u32 = 1;
    // SAFETY: with this flag the kernel reads no memory of ours.
    let version = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0usize, VERSION)
    };
    u32::try_from(version).unwrap_or(0)
}

/// Allow `rights` on everything below `folder`.
///
/// # Errors
/// The operating system's refusal: rights that the rule set does not handle.
#[expect(unsafe_code, reason = "no safe wrapper exists for Landlock")]
pub fn landlock_allow(rules: BorrowedFd<'_>, folder: impl AsFd, rights: u64) -> io::Result<()> {
    #[repr(C, packed)]
    struct PathBeneath {
        allowed_access: u64,
        parent_fd: i32,
    }
    const PATH_BENEATH: i32 = 1;
    let rule = PathBeneath { allowed_access: rights, parent_fd: folder.as_fd().as_raw_fd() };
    // SAFETY: the kernel reads one `PathBeneath` (packed there too) at `rule`,
    // which outlives the call, as do both descriptors.
    let result = unsafe {
        libc::syscall(
            libc::SYS_landlock_add_rule,
            rules.as_raw_fd(),
            PATH_BENEATH,
            &raw const rule,
            0,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Put the calling thread, and every thread that it starts from now on, under
/// the rules. `no_new_privs` has to be set.
///
/// # Errors
/// The operating system's refusal.
#[expect(unsafe_code, reason = "no safe wrapper exists for Landlock")]
pub fn landlock_restrict(rules: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: takes a descriptor and flags, no memory.
    let result = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, rules.as_raw_fd(), 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Ask a watchdog for a time limit in seconds; returns the one it took.
///
/// # Errors
/// When it is no watchdog or has a fixed limit.
pub fn set_watchdog_timeout(device: BorrowedFd<'_>, seconds: i32) -> io::Result<i32> {
    // _IOWR('W', 6, int) and _IOR('W', 7, int) of <linux/watchdog.h>.
    watchdog_call(device, 0xC004_5706, seconds)
}

/// The time limit of a watchdog, in seconds.
///
/// # Errors
/// When it is no watchdog.
pub fn watchdog_timeout(device: BorrowedFd<'_>) -> io::Result<i32> {
    watchdog_call(device, 0x8004_5707, 0)
}

#[expect(unsafe_code, reason = "no safe wrapper exists for the watchdog's ioctls")]
fn watchdog_call(device: BorrowedFd<'_>, call: u32, mut value: i32) -> io::Result<i32> {
    // SAFETY: both calls read or write one int at `value`, which outlives
    // them; a device that is no watchdog refuses their numbers.
    let result = unsafe { libc::ioctl(device.as_raw_fd(), call as _, &raw mut value) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(value) }
}
