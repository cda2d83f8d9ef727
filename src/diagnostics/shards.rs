//! [`Shards`]: what every worker adds to and somebody reads now and then.
//!
//! Each thread has a lock of its own, alone in its cache lines, so adding never waits for another
//! worker. It keeps no order between threads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Threads beyond this share a lock with another one, which costs time and nothing else.
const SHARDS: usize = 64;

/// One `T` a thread.
#[derive(Debug)]
pub(super) struct Shards<T>(Box<[Shard<T>]>);

/// Processors fetch cache lines in pairs of 64 bytes.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard<T>(Mutex<T>);

impl<T> Shards<T> {
    /// The part of this thread.
    pub(super) fn mine(&self) -> MutexGuard<'_, T> {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static THIS: usize = THREADS.fetch_add(1, Ordering::Relaxed) % SHARDS;
        }
        lock(&self.0[THIS.with(|this| *this)])
    }

    /// The parts of all threads, one after the other.
    pub(super) fn all(&self) -> impl Iterator<Item = MutexGuard<'_, T>> {
        self.0.iter().map(lock)
    }
}

fn lock<T>(shard: &Shard<T>) -> MutexGuard<'_, T> {
    // Nothing panics under a lock; were one poisoned, its content would still be whole.
    shard.0.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Default> Default for Shards<T> {
    fn default() -> Self {
        Self((0..SHARDS).map(|_| Shard::default()).collect())
    }
}
