//! Giving memory that was freed back to the operating system.
//!
//! Where blocks of some megabytes come and go in several threads, glibc keeps the freed ones in the arena
//! of the thread that allocated them. Values that moved to disk then go on taking memory, which is what
//! they moved to disk to avoid: a store of 400 MiB took 920 MiB (256 blocks of 16 MiB, persisted with a
//! limit of 512 MiB and read back). Other allocators give back by themselves, or are asked in vain.

/// Asks the allocator of the C library to give back what is free.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "the C library has no other door; the need is measured above")]
pub(super) fn give_free_memory_back() {
    // SAFETY: `malloc_trim` may be called at any time from any thread (MT-Safe, by its manual page).
    unsafe { libc::malloc_trim(0) };
}

/// There is nobody to ask.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(super) fn give_free_memory_back() {}
