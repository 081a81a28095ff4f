//! The process image's memory: anonymous, shared, and sealed so that only
//! this process can ever write it.

use evenkeel_core::image;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::AtomicU32;

/// Memory for one process image, mapped until the process ends.
pub struct ImageMemory {
    fd: OwnedFd,
    image: &'static [AtomicU32],
}

impl ImageMemory {
    /// Make the memory. Whoever gets [`Self::fd`] can map it for reading only:
    /// `F_SEAL_FUTURE_WRITE` refuses any further writable mapping.
    ///
    /// # Errors
    /// When the operating system refuses memory or seals.
    #[expect(unsafe_code, reason = "shared memory has to be mapped")]
    pub fn new() -> io::Result<Self> {
        let fd = memfd_create("evenkeel-image", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        ftruncate(&fd, image::BYTES as u64)?;
        // SAFETY: a fresh mapping at an address of the kernel's choice
        // aliases no Rust object.
        let address = unsafe {
            mmap(
                std::ptr::null_mut(),
                image::BYTES,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                &fd,
                0,
            )?
        };
        // SAFETY: the mapping is page-aligned, BYTES = WORDS · 4 long, zeroed,
        // and never unmapped. It is shared with other processes, but through
        // atomics only; the size is sealed below, so no access can fault.
        let words =
            unsafe { std::slice::from_raw_parts(address.cast::<AtomicU32>(), image::WORDS) };
        fcntl_add_seals(
            &fd,
            SealFlags::SHRINK | SealFlags::GROW | SealFlags::FUTURE_WRITE | SealFlags::SEAL,
        )?;
        Ok(Self { fd, image: words })
    }

    /// The image.
    pub const fn image(&self) -> &'static [AtomicU32] {
        self.image
    }

    /// To hand to readers.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
