//! Which process this is: after a fork, what the parent's threads had to do is done by nobody.

use std::sync::atomic::{AtomicU64, Ordering};

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

/// To be called in the child.
pub(crate) fn in_child() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}
