//! Which process this is: after a fork, what the parent's threads had to do is done by nobody.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// How often this process is the child of a fork, counted from the first one.
static FORKS: AtomicU64 = AtomicU64::new(0);

/// A process, among those that came from each other by forks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process(u64);

impl Process {
    pub(crate) fn current() -> Self {
        Self(FORKS.load(Ordering::Relaxed))
    }

    pub(crate) fn is_current(self) -> bool {
        self == Self::current()
    }
}

/// To be called in the child, before anything else.
pub(crate) fn in_child() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// What a process has once, behind a lock.
///
/// The child of a fork begins with a new one. Its parent's is left as it was, and not dropped: a thread that is
/// not in the child may have been in the middle of a change and hold the lock for ever.
pub(crate) struct PerProcess<T> {
    of_this: OnceLock<Mutex<T>>,
    of_child: OnceLock<Box<Self>>,
}

impl<T: Default> PerProcess<T> {
    pub(crate) const fn new() -> Self {
        Self { of_this: OnceLock::new(), of_child: OnceLock::new() }
    }

    /// Nothing that is done under the lock may wait for the interpreter.
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        let mut process = self;
        for _ in 0..FORKS.load(Ordering::Relaxed) {
            process = process.of_child.get_or_init(|| Box::new(Self::new()));
        }
        let of_this = process.of_this.get_or_init(Mutex::default);
        of_this.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
