//! What a task of a run is doing, for those who ask why it does not get on.
//!
//! Workers go on meanwhile, so an answer is a moment old when it is given. Nothing is decided by it.

use std::sync::atomic::Ordering;

use hashbrown::HashSet;

use super::super::start::SKIPPED;
use super::super::{TaskId, WorkerId};
use super::Run;

/// What a task of a run is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskState {
    /// It does not run: its value, or that of what needs it, was known at the start.
    NotNeeded,
    /// It waits for so many of its inputs.
    Waiting {
        /// How many are not there yet.
        missing: usize,
    },
    /// All inputs are there; it waits for a worker.
    Ready,
    /// All inputs are there; it waits for room in memory.
    HeldBack {
        /// How many bytes it is expected to add.
        adds: u64,
        /// How many bytes are held now, and promised to running tasks.
        held: u64,
        /// Up to how many bytes tasks may start.
        pause: u64,
    },
    /// A worker is in it.
    Running {
        /// Which one.
        worker: WorkerId,
    },
    /// It has started, but no worker is in it: its future is awaited, or it has failed and waits for its
    /// next attempt.
    Started,
    /// Its value was made.
    Ended,
}

impl Run {
    /// What a task of this run is doing.
    pub fn state_of(&self, task: TaskId) -> TaskState {
        if self.has_ended(task) {
            return TaskState::Ended;
        }
        if self.pending[task.index()].load(Ordering::Acquire) == SKIPPED {
            return TaskState::NotNeeded;
        }
        let missing = self.missing_inputs(task).count();
        if missing > 0 {
            return TaskState::Waiting { missing };
        }
        if let Some(worker) = self.worker_in(task) {
            return TaskState::Running { worker };
        }
        if self.is_held_back(task) {
            let pause = self.memory.limits().map_or(u64::MAX, |limits| limits.pause);
            let held = self.memory.ledger().holdings().bytes + self.memory.reserved();
            return TaskState::HeldBack {
                adds: self.memory.expected(&self.plan.key(task).prefix()),
                held,
                pause,
            };
        }
        // Looked at last: a task that a worker takes meanwhile has started, and is not lost from sight.
        if self.is_ready(task) { TaskState::Ready } else { TaskState::Started }
    }

    /// The inputs of a task that are not there yet, each once.
    pub fn missing_inputs(&self, task: TaskId) -> impl Iterator<Item = TaskId> {
        let mut seen = HashSet::new();
        let missing = |input: &TaskId| !self.has_ended(*input);
        let inputs = self.plan.dependencies(task).iter().copied().filter(missing);
        inputs.filter(move |input| seen.insert(*input))
    }

    fn worker_in(&self, task: TaskId) -> Option<WorkerId> {
        let is_in = |worker: &WorkerId| {
            let pulse = &self.lanes[worker.index()].pulse;
            pulse.running.load(Ordering::Relaxed) == task.0
                || self.guards.get(worker.index()).is_some_and(|guard| guard.is_in(task))
        };
        self.workers().find(is_in)
    }

    /// True if the task lies in a lane, or is a root that nobody has claimed.
    fn is_ready(&self, task: TaskId) -> bool {
        let roots = self.root_list();
        let unclaimed = roots.get(self.roots.next.load(Ordering::Relaxed) as usize..);
        let is_unclaimed = unclaimed.is_some_and(|roots| roots.binary_search(&task).is_ok());
        is_unclaimed || self.lanes.iter().any(|lane| lane.contains(task, roots))
    }
}
