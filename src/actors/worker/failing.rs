//! What becomes of a task that failed: whether it may be tried again, and who is told.
//!
//! Conditions for a new attempt are code of users, so they are asked here, under a guard of their own,
//! where the task failed or on another thread for such code, and never by the scheduler.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::super::contained_panic_message;
use super::active::{ActiveRun, Report};
use crate::engine::{Cause, Failure, Run, TaskId, Ticket, WorkerId};
use crate::graph::{Backoff, CallError};

pub(super) fn call_failed(error: CallError) -> Cause {
    Cause::Call(Arc::new(error))
}

/// Reports a task that failed. What the function threw may be tried again, what does not fit may not.
pub(crate) fn fail_task(active: &ActiveRun, ticket: Ticket, worker: WorkerId, cause: Cause) {
    let run = &active.run;
    let task = ticket.task();
    let failure = Failure::new(run.plan().key(task).clone(), cause);
    active.failed(task, &failure);
    let retries = if may_be_tried_again(run, task, &failure) { run.retries(task) } else { 0 };
    active.report(Report::TaskFailed {
        run: run.id(),
        ticket,
        worker,
        failure,
        retries,
        backoff: run.backoff(task),
        by_hook: false,
    });
}

/// Reports a task whose hook failed: that is no fault of the task, so it is not tried again.
pub(super) fn fail_by_hook(active: &ActiveRun, ticket: Ticket, worker: WorkerId, failure: Failure) {
    active.failed(ticket.task(), &failure);
    active.report(Report::TaskFailed {
        run: active.run.id(),
        ticket,
        worker,
        failure,
        retries: 0,
        backoff: Backoff::NONE,
        by_hook: true,
    });
}

/// Reports a task of which an input is lost for good: another attempt would not find it either.
pub(super) fn fail_by_loss(active: &ActiveRun, ticket: Ticket, worker: WorkerId, failure: Failure) {
    active.failed(ticket.task(), &failure);
    active.report(Report::TaskFailed {
        run: active.run.id(),
        ticket,
        worker,
        failure,
        retries: 0,
        backoff: Backoff::NONE,
        by_hook: false,
    });
}

/// True if [`fail_task`] asks conditions of the user's.
pub(crate) fn asks_conditions(run: &Run, task: TaskId) -> bool {
    run.retries(task) > 0 && !run.retry_on(task).is_anything()
}

fn may_be_tried_again(run: &Run, task: TaskId, failure: &Failure) -> bool {
    let misfit =
        matches!(&failure.cause, Cause::Call(error) if !matches!(**error, CallError::Failed(_)));
    if misfit {
        return false;
    }
    if !asks_conditions(run, task) {
        return true;
    }
    let allows = AssertUnwindSafe(|| run.retry_on(task).allows(failure));
    catch_unwind(allows).unwrap_or_else(|panic| {
        let key = run.plan().key(task);
        let message = contained_panic_message(panic);
        log::error!("task {key:?} is not tried again, as its `retry_if` panicked: {message}");
        false
    })
}
