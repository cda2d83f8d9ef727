//! The values of a run, each in its task's slot until its last use.
//!
//! # Why there is `unsafe` here
//!
//! A value is read by several workers at once and dropped by whichever of them uses it last. With safe
//! parts that is a lock, or one more counted pointer, for each input of each task: 10 to 60 ns where a
//! whole task may cost 50 (measured on the layers shape of the benches: a `Mutex<Option<Value>>` and a
//! clone a read cost 70 ns a task). A slot is instead guarded by the number of its *uses*: nothing is
//! locked, and a value is borrowed and not counted up and down.
//!
//! # The protocol
//!
//! 1. A slot starts with as many uses as its task has dependents (counted once for each time they need
//!    the value), plus one if the task's value is wanted. Nobody touches the value before `put`.
//! 2. The one worker that holds the task's [`Ticket`](super::Ticket) calls `put` once, and after that
//!    publishes the task with a release operation on its dependents' counters (or on the run's end).
//! 3. A dependent starts after an acquire operation on its own counter, so it sees the value. It owns
//!    one use for each time it needs the value and may borrow the value until it spends them.
//! 4. Spending is a release-acquire decrement. Whoever spends the last use owns the value: every other
//!    borrow ended before its use was spent. A holder that reads a count of one is the last holder, as
//!    uses are added only by holders, so it needs no decrement.
//!
//! Nothing here knows why a value is used or what it weighs.

#![expect(unsafe_code, reason = "the measured need is in the module documentation")]

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU32, Ordering};

use super::TaskId;
use super::kept::Held;

/// One slot a task.
pub(super) struct Slots {
    /// Uses of the value that are not spent yet.
    uses: Box<[AtomicU32]>,
    values: Box<[UnsafeCell<Option<Held>>]>,
}

// SAFETY: the values are `Send + Sync`, and access to each cell follows the protocol above: one writer
// before anybody reads, shared reads while uses are left, one owner after the last use.
unsafe impl Sync for Slots {}

impl Slots {
    /// Slots with these numbers of uses.
    pub(super) fn new(uses: impl ExactSizeIterator<Item = u32>) -> Self {
        let values = (0..uses.len()).map(|_| UnsafeCell::new(None)).collect();
        Self { uses: uses.map(AtomicU32::new).collect(), values }
    }

    /// Puts the value of `task` in.
    ///
    /// # Safety
    ///
    /// The caller is the only one that runs the task, has not put a value before, and nobody holds
    /// the task as an input yet (step 2 of the protocol).
    #[inline]
    pub(super) unsafe fn put(&self, task: TaskId, value: Held) {
        // SAFETY: by the caller's promise nobody else accesses the cell now.
        unsafe { *self.values[task.index()].get() = Some(value) };
    }

    /// Borrows the value of `task`.
    ///
    /// # Safety
    ///
    /// The caller holds a use of the task's value, which was published to it, and spends that use only
    /// after the borrow ended (step 3).
    #[inline]
    pub(super) unsafe fn get(&self, task: TaskId) -> Option<&Held> {
        // SAFETY: while a use is held, the cell is only read.
        unsafe { (*self.values[task.index()].get()).as_ref() }
    }

    /// Takes the value out if the caller holds its only use; this spends the use.
    ///
    /// # Safety
    ///
    /// As [`get`](Self::get), and the caller holds no borrow of the value.
    #[inline]
    pub(super) unsafe fn take_if_last(&self, task: TaskId) -> Option<Held> {
        let uses = &self.uses[task.index()];
        if uses.load(Ordering::Acquire) != 1 {
            return None;
        }
        uses.store(0, Ordering::Relaxed);
        // SAFETY: the only use is the caller's (step 4), so nobody else accesses the cell.
        unsafe { (*self.values[task.index()].get()).take() }
    }

    /// Spends one use that the caller holds; gives the value if it was the last one. A use that was
    /// spent by [`take_if_last`](Self::take_if_last) may be "spent" again by its holder, for nothing.
    ///
    /// # Safety
    ///
    /// As [`take_if_last`](Self::take_if_last).
    #[inline]
    pub(super) unsafe fn spend(&self, task: TaskId) -> Option<Held> {
        let uses = &self.uses[task.index()];
        match uses.load(Ordering::Acquire) {
            0 => return None,
            1 => uses.store(0, Ordering::Relaxed),
            _ => {
                if uses.fetch_sub(1, Ordering::AcqRel) != 1 {
                    return None;
                }
            }
        }
        // SAFETY: the last use was the caller's (step 4), so nobody else accesses the cell.
        unsafe { (*self.values[task.index()].get()).take() }
    }

    /// Adds a use. The caller must hold one already, or be the one that runs the task, before `put`
    /// is published; otherwise the new use guards nothing.
    pub(super) fn retain(&self, task: TaskId) {
        self.uses[task.index()].fetch_add(1, Ordering::Relaxed);
    }

    /// How many uses are left.
    pub(super) fn uses(&self, task: TaskId) -> u32 {
        self.uses[task.index()].load(Ordering::Acquire)
    }

    /// All values that are still in their slots. Exclusive access makes every borrow impossible.
    pub(super) fn remaining(&mut self) -> impl Iterator<Item = &Held> {
        self.values.iter_mut().filter_map(|cell| cell.get_mut().as_ref())
    }
}
