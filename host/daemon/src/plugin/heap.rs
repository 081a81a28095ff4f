//! What a plugin made the host allocate goes back to the system when it is
//! removed.
//!
//! Its linear memory, its stack and its code are mappings of their own, which
//! end with it. What remains are pages of the allocator: a bundle of megabytes
//! that was read, values that were copied, the compiler's answer. The GNU
//! allocator keeps such pages for ever, in an arena of each thread, and an
//! appliance whose plugins come and go would only ever grow.

/// Give pages that hold nothing back to the system. It goes through all arenas,
/// which takes milliseconds: for rare occasions.
#[cfg(target_env = "gnu")]
pub(super) fn give_back() {
    #[expect(unsafe_code, reason = "the allocator has no other interface")]
    // SAFETY: `malloc_trim` takes a number and no pointer, may be called by any
    // thread at any time (malloc_trim(3): MT-Safe, it locks each arena itself),
    // and gives back only pages in which nothing is allocated. Its result says
    // whether there were any.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Other allocators (musl's) return free pages by themselves.
#[cfg(not(target_env = "gnu"))]
pub(super) const fn give_back() {}
