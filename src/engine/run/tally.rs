//! [`Tally`]: how the tasks of a run stand, for those who count them while workers go on.
//!
//! What a task's counter of missing inputs says when it says no number is how the task ended. So nobody has
//! to note anything for those who look: they read the counters that the workers need anyway.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::super::TaskId;
use super::super::start::SKIPPED;
use super::Run;

/// What a task that ended has instead of the number of its missing inputs: it has a value that it made.
pub(super) const DONE: u32 = u32::MAX;

/// The same of a task that a hook has answered for.
pub(super) const ANSWERED: u32 = u32::MAX - 2;

/// The same of a task that failed for good, in a run that goes on.
pub(super) const FAILED: u32 = u32::MAX - 3;

/// The same of a task that was not run because an input of it is missing.
pub(super) const POISONED: u32 = u32::MAX - 4;

/// True if that is no number of missing inputs, but says how the task ended.
#[inline]
pub(super) fn is_end(pending: u32) -> bool {
    pending >= POISONED && pending != SKIPPED
}

/// How a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Standing {
    /// It has not ended. Whether it has started, the run knows.
    Open,
    /// It has made its value.
    Done,
    /// A hook has answered for it.
    Answered,
    /// It failed for good, and its run goes on.
    Failed,
    /// It was not run because an input of it is missing.
    Poisoned,
    /// It does not run: nobody needs its value.
    NotNeeded,
}

fn standing(pending: &AtomicU32) -> Standing {
    match pending.load(Ordering::Relaxed) {
        DONE => Standing::Done,
        SKIPPED => Standing::NotNeeded,
        ANSWERED => Standing::Answered,
        FAILED => Standing::Failed,
        POISONED => Standing::Poisoned,
        _ => Standing::Open,
    }
}

/// How the tasks of a run stand. It does not hold the run, nor any value of it.
#[derive(Clone, Default)]
pub struct Tally {
    pending: Arc<[AtomicU32]>,
}

impl Tally {
    /// By task, how it stands; each a moment old when it is answered.
    pub fn standings(&self) -> impl ExactSizeIterator<Item = Standing> {
        self.pending.iter().map(standing)
    }

    /// How one task stands.
    pub fn standing(&self, task: TaskId) -> Standing {
        self.pending.get(task.index()).map_or(Standing::NotNeeded, standing)
    }

    /// How many tasks the plan of the run has.
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    /// True if the plan of the run has none.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }
}

impl std::fmt::Debug for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tally").field("tasks", &self.len()).finish()
    }
}

impl Run {
    /// How the tasks of this run stand, to be looked at now and later.
    pub fn tally(&self) -> Tally {
        Tally { pending: Arc::clone(&self.pending) }
    }

    /// The task in which a worker is just now, in its thread.
    pub fn running_in(&self, worker: super::super::WorkerId) -> Option<TaskId> {
        let pulse = &self.lanes.get(worker.index())?.pulse;
        let task = pulse.running.load(Ordering::Relaxed);
        (task != super::NO_TASK).then_some(TaskId(task))
    }
}
