//! Proof that the cycle thread allocates nothing once it runs: in builds with
//! debug assertions every call of the allocator by a watched thread is
//! counted. Release builds use the system's allocator and watch nothing.

#[cfg(debug_assertions)]
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

static COUNT: AtomicU64 = AtomicU64::new(0);

thread_local! {
    // Constant and without a destructor: looking at it never allocates.
    static WATCHED: Cell<bool> = const { Cell::new(false) };
}

/// Count the calling thread's allocations from now on, or no more.
pub fn watch_this_thread(on: bool) {
    WATCHED.set(on);
}

/// Allocations, reallocations and releases by watched threads so far; `None`
/// in a build that does not count.
pub fn count() -> Option<u64> {
    cfg!(debug_assertions).then(|| COUNT.load(Ordering::Relaxed))
}

/// The system's allocator behind a counter.
#[cfg(debug_assertions)]
struct Counting;

#[cfg(debug_assertions)]
#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[cfg(debug_assertions)]
fn note() {
    // A thread that is ending has no locals left, and is not watched.
    if WATCHED.try_with(Cell::get).unwrap_or(false) {
        COUNT.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: every call goes to the system's allocator unchanged, which keeps
// the contract; `note` neither allocates nor unwinds.
#[cfg(debug_assertions)]
#[expect(unsafe_code, reason = "the allocator's interface is unsafe")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: the caller keeps `alloc_zeroed`'s contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        note();
        // SAFETY: `pointer` came from `System` with this layout, as the caller
        // promises and the functions here pass on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note();
        // SAFETY: as for `dealloc`; the caller vouches for `size`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_watched_threads_are_counted() {
        // The only watched thread of this test program.
        std::thread::spawn(|| {
            drop(vec![1u8; 100]);
            assert_eq!(count(), Some(0), "not watched yet");
            watch_this_thread(true);
            let mut grown = std::hint::black_box(vec![1u8; 100]);
            grown.extend_from_slice(&[2; 4000]);
            drop(std::hint::black_box(grown));
            watch_this_thread(false);
            drop(vec![1u8; 100]);
            assert_eq!(count(), Some(3), "taken, grown, released");
        })
        .join()
        .expect("counted");
    }
}
