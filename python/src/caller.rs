//! [`Caller`]: who calls an actor. The calls of one caller are carried out in their order.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::prelude::*;

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

    /// Who has this number in a child process, which has this number itself.
    pub(crate) fn in_child(child: u32, caller: u32) -> Self {
        /// Set in the numbers of callers in children: our own are counted from zero, and not that far.
        const IN_CHILD: u64 = 1 << 63;
        Self(IN_CHILD | u64::from(child) << 32 | u64::from(caller))
    }

    /// Calls from this thread, until the answer is dropped.
    pub(crate) fn takes_over(self) -> Another {
        Another(CURRENT.replace(self))
    }

    /// Somebody else on this thread, until the answer is dropped.
    pub(crate) fn another() -> Another {
        Self::new().takes_over()
    }
}

/// The number of who calls actors from this thread just now.
#[pyfunction]
pub(crate) fn current_caller() -> u64 {
    Caller::current().0
}

/// Gives a thread back to the caller that was there before.
pub(crate) struct Another(Caller);

impl Drop for Another {
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}
