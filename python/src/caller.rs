//! [`Caller`]: who calls an actor. The calls of one caller are carried out in their order.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

/// A thread of the program, or one call of a remote function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Caller(u64);

static NEXT: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static CURRENT: Cell<Caller> = Cell::new(Caller::new());
}

impl Caller {
    fn new() -> Self {
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// Who calls from this thread just now.
    pub(crate) fn current() -> Self {
        CURRENT.get()
    }

    /// Somebody else on this thread, until the answer is dropped.
    pub(crate) fn another() -> Another {
        Another(CURRENT.replace(Self::new()))
    }
}

/// Gives a thread back to the caller that was there before.
pub(crate) struct Another(Caller);

impl Drop for Another {
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}
