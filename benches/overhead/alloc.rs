//! Counts heap bytes: how much a piece of code keeps, and how much it held at its peak.
//!
//! The counter stands in front of the system's allocator and is off except inside [`counted`], so
//! timed code pays one relaxed load for each allocation.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering::Relaxed};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Whether allocations are being counted.
static ON: AtomicBool = AtomicBool::new(false);
/// Bytes allocated less bytes freed since counting began; negative when older memory is freed.
static LIVE: AtomicIsize = AtomicIsize::new(0);
/// The largest value that `LIVE` has had since counting began.
static PEAK: AtomicIsize = AtomicIsize::new(0);

/// What a piece of code did to the heap, in bytes.
#[derive(Clone, Copy)]
pub(crate) struct Heap {
    /// What it allocated and did not free.
    pub(crate) kept: isize,
    /// The most that it held at one time.
    pub(crate) peak: isize,
}

/// Runs `code` and counts what all threads allocate meanwhile. Not to be nested.
pub(crate) fn counted<T>(code: impl FnOnce() -> T) -> (T, Heap) {
    LIVE.store(0, Relaxed);
    PEAK.store(0, Relaxed);
    ON.store(true, Relaxed);
    let result = code();
    ON.store(false, Relaxed);
    (result, Heap { kept: LIVE.load(Relaxed), peak: PEAK.load(Relaxed) })
}

/// The system's allocator with a counter in front.
struct Counting;

impl Counting {
    /// Notes that `grown` bytes were taken, or given back when negative.
    fn note(grown: isize) {
        let live = LIVE.fetch_add(grown, Relaxed) + grown;
        if grown > 0 {
            PEAK.fetch_max(live, Relaxed);
        }
    }
}

#[expect(unsafe_code, reason = "an allocator cannot be written without")]
// SAFETY: every call goes to `System` with the caller's own arguments; counting touches atomics
// only and never allocates.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if ON.load(Relaxed) {
            Self::note(layout.size().cast_signed());
        }
        // SAFETY: the caller keeps `alloc`'s contract, which is `System`'s.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if ON.load(Relaxed) {
            Self::note(layout.size().cast_signed());
        }
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if ON.load(Relaxed) {
            Self::note(-layout.size().cast_signed());
        }
        // SAFETY: `pointer` came from `System` through this allocator.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if ON.load(Relaxed) {
            Self::note(size.cast_signed() - layout.size().cast_signed());
        }
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
