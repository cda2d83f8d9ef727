//! What a run that outlives failures knows of them: which tasks failed for good, and how their
//! dependents learn of it.
//!
//! A task that failed for good completes with a [`Missing`] in the place of its value, by the same way
//! as any other task. Whoever takes a task with a missing input on does not call it, but completes it in
//! the same manner; so what depends on a failure ends, is counted and is released like everything else.
//!
//! Nothing of this costs a run without failures more than one relaxed load a task: the flag is raised
//! before the first missing value is published, so whoever has such an input sees it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Run, TaskId, Ticket};
use crate::graph::{Failure, Missing};
use crate::value::Value;

/// The failures that a run has outlived.
#[derive(Debug, Default)]
pub(super) struct Poison {
    /// True if a task needs more than a plain call: its run has time limits, or has outlived a
    /// failure. Never goes back.
    careful: AtomicBool,
    /// True once there are failures.
    failed: AtomicBool,
    failures: Mutex<Failures>,
}

#[derive(Debug, Default)]
struct Failures {
    /// By task: what it failed with for good.
    by_task: BTreeMap<TaskId, Failure>,
    /// The same tasks, in the order in which they failed.
    order: Vec<TaskId>,
}

impl Poison {
    pub(super) fn careful() -> Self {
        Self { careful: AtomicBool::new(true), ..Self::default() }
    }

    #[inline]
    pub(super) fn is_careful(&self) -> bool {
        self.careful.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Failures> {
        // Nothing under the lock panics, and the two parts are changed together.
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Run {
    /// Notes that a task failed for good and that the run goes on. Whoever gets its ticket next
    /// completes it with what [`verdict`](Self::verdict) says.
    pub fn condemn(&self, task: TaskId, failure: Failure) {
        let mut failures = self.poison.lock();
        if failures.by_task.insert(task, failure).is_none() {
            failures.order.push(task);
        }
        drop(failures);
        self.poison.failed.store(true, Ordering::Relaxed);
        self.poison.careful.store(true, Ordering::Relaxed);
    }

    /// What stands for the task's value if it is not to be called: it failed for good before, or an
    /// input of it is missing.
    pub fn verdict(&self, ticket: &Ticket) -> Option<Value> {
        if !self.poison.failed.load(Ordering::Relaxed) {
            return None;
        }
        let task = ticket.task();
        let own = self.poison.lock().by_task.get(&task).cloned();
        let cause = own.or_else(|| {
            let missing = self.small_inputs(ticket).find_map(Value::downcast_ref::<Missing>)?;
            Some(missing.failure.clone())
        })?;
        Some(Value::new(Missing { key: self.plan().key(task).clone(), failure: cause }))
    }

    /// The failures that the run has outlived, in the order in which they happened.
    pub fn failures(&self) -> Vec<Failure> {
        let failures = self.poison.lock();
        failures.order.iter().map(|task| failures.by_task[task].clone()).collect()
    }
}
