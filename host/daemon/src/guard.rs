//! The link to the guard: fetches the process image's memory over the guard's
//! socket, maps it for reading, and brings every new cycle to the hub.
//!
//! The guard knows nothing of this thread and never waits for it. When the
//! guard goes away or falls silent, the plant is shown as not connected (every
//! value stale) and the link is made anew.

mod orders;
mod settings;
mod talk;
#[cfg(test)]
pub mod testing;

pub use orders::{OrderError, Orders, RecordRows};
pub use settings::InForce;

use crate::hub::Hub;
use crate::plant::Plant;
use evenkeel_core::image::{self, Cycle, Reader};
use evenkeel_core::time::Nanos;
use rustix::fs::SealFlags;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;
use talk::{Talk, TalkError};

/// How often the image is looked at: a new cycle is seen within this time.
const LOOK: Duration = Duration::from_millis(50);
/// Between two attempts to reach the guard.
const RETRY: Duration = Duration::from_secs(1);
/// The guard is silent when its image is older than this many of its cycles,
/// but never before [`SILENT_MIN`].
const SILENT_CYCLES: u64 = 3;
const SILENT_MIN: Nanos = Nanos::from_secs(2);

/// Why the guard cannot be read.
#[derive(Debug, thiserror::Error)]
enum LinkError {
    #[error(transparent)]
    Talk(#[from] TalkError),
    #[error("guard sent no process image")]
    NoImage,
    #[error("process image cannot be mapped")]
    Map(#[source] io::Error),
    #[error("process image cannot be read")]
    Read(#[source] image::ReadError),
    #[error("guard has been silent for {0} ms")]
    Silent(u64),
    #[error("guard closed the connection")]
    Closed,
}

/// Start the link; it runs until the process ends.
///
/// # Errors
/// When the operating system refuses a thread.
pub fn spawn(socket: PathBuf, hub: Arc<Hub>) -> io::Result<()> {
    std::thread::Builder::new().name("guard-link".into()).spawn(move || {
        let mut said = String::new();
        loop {
            let error = follow(&socket, &hub);
            disconnect(&hub);
            let text = crate::failure::chain(&error);
            // The same trouble is said once, not once a second; a loss after
            // the guard was heard is news.
            if text != said || !matches!(error, LinkError::Talk(TalkError::Connect { .. })) {
                tracing::warn!("{text}");
                said = text;
            }
            // One that ends its connections has other settings, and is there.
            let closed = matches!(error, LinkError::Closed);
            std::thread::sleep(if closed { LOOK } else { RETRY });
        }
    })?;
    Ok(())
}

fn disconnect(hub: &Hub) {
    if let Some(plant) = hub.whole_plant().filter(|p| p.connected) {
        hub.set_plant(Plant { connected: false, ..Plant::clone(&plant) });
    }
}

/// Connect and bring cycles to the hub until something fails.
fn follow(socket: &Path, hub: &Hub) -> LinkError {
    let (mut talk, fd) = match Talk::begin(socket) {
        Ok((talk, Some(fd))) => (talk, fd),
        Ok((_, None)) => return LinkError::NoImage,
        Err(error) => return error.into(),
    };
    let mapped = match Image::map(&fd) {
        Ok(mapped) => mapped,
        Err(error) => return LinkError::Map(error),
    };
    // They stay the same for as long as the connection does.
    match settings::in_force(&mut talk) {
        Ok(settings) => hub.set_guard_settings(settings),
        Err(error) => return error.into(),
    }
    tracing::info!("guard reached, {} strings", talk.strings.len());
    hub.set_batteries(talk.batteries.clone());
    let (mut reader, mut cycle, mut seen) = (Reader::default(), Cycle::default(), None);
    // Until the first cycle is seen, its age counts from here.
    let mut heard = crate::clock::now();
    loop {
        if talk.is_over() {
            return LinkError::Closed;
        }
        let sequence = image::sequence(mapped.image);
        if sequence.is_some() && seen != sequence {
            match reader.read(mapped.image) {
                Ok(snapshot) => {
                    (seen, cycle) = (sequence, snapshot.cycle);
                    heard = cycle.published;
                    let (strings, devices) = (talk.strings.clone(), talk.devices.clone());
                    hub.set_plant(Plant {
                        snapshot,
                        strings,
                        devices,
                        connected: true,
                        over: Vec::new(),
                    });
                }
                // A collision with the guard; the next look is soon.
                Err(image::ReadError::Busy) => {}
                // Before the guard's first cycle the memory is empty.
                Err(image::ReadError::NotAnImage) if seen.is_none() => {}
                Err(error) => return LinkError::Read(error),
            }
        }
        let silent = crate::clock::now().since(heard);
        let allowed = Nanos(cycle.period.0 * SILENT_CYCLES).max(SILENT_MIN);
        if silent > allowed {
            return LinkError::Silent(silent.as_millis());
        }
        std::thread::sleep(LOOK);
    }
}

/// The guard's memory, mapped for reading.
struct Image {
    image: &'static [AtomicU32],
}

impl Image {
    #[expect(unsafe_code, reason = "shared memory has to be mapped")]
    fn map(fd: &OwnedFd) -> io::Result<Self> {
        if rustix::fs::fstat(fd)?.st_size != image::BYTES as i64 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "size differs: guard and daemon are of different versions",
            ));
        }
        // Whoever answers at the socket's path: memory that could still shrink
        // would end this process at the next look.
        if !rustix::fs::fcntl_get_seals(fd)?.contains(SealFlags::SHRINK) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "its size is not sealed"));
        }
        // SAFETY: a fresh mapping at an address of the kernel's choice
        // aliases no Rust object.
        let address = unsafe {
            mmap(std::ptr::null_mut(), image::BYTES, ProtFlags::READ, MapFlags::SHARED, fd, 0)?
        };
        // SAFETY: the mapping is page-aligned and BYTES = WORDS · 4 long. Its
        // size is sealed, so no access can fault. It changes under our eyes,
        // but is only ever read, by relaxed loads of 32-bit atomics, which are
        // defined for read-only memory. It lives until `drop`, and `image`
        // does not leave this struct's owner.
        let image =
            unsafe { std::slice::from_raw_parts(address.cast::<AtomicU32>(), image::WORDS) };
        Ok(Self { image })
    }
}

impl Drop for Image {
    #[expect(unsafe_code, reason = "shared memory has to be unmapped")]
    fn drop(&mut self) {
        // SAFETY: the mapping of `map`, whole; nobody holds `image` any more.
        let _ = unsafe { munmap(self.image.as_ptr().cast_mut().cast(), image::BYTES) };
    }
}
