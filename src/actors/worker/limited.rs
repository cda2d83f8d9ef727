//! Calling a task's function, within the task's time limit if it has one.
//!
//! A thread cannot be ended from outside. So a call that has a limit gets inputs of its own, and its
//! worker holds a claim instead of the ticket; see `engine/guard.rs`. If the claim is gone when the call
//! comes back, somebody else has the task by now, and what was answered is dropped.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::super::contained_panic_message;
use super::crew::Crew;
use crate::engine::{Pins, Run, Ticket, WorkerId};
use crate::graph::{CallError, Outcome};

/// What came of a call; `Err` is a panic.
pub(super) type Called = std::thread::Result<Result<Outcome, CallError>>;

/// Calls the function of a task. `None` if the task was taken away from this worker meanwhile.
pub(super) fn call(
    run: &Run,
    crew: &Crew,
    worker: WorkerId,
    ticket: Ticket,
    pins: &mut Pins,
) -> Option<(Ticket, Called)> {
    let task = ticket.task();
    if run.time_limit(task).is_none() {
        let keep_inputs = run.retries(task) > 0;
        let call = AssertUnwindSafe(|| run.call(worker, &ticket, keep_inputs, pins));
        let called = catch_unwind(call);
        return Some((ticket, called));
    }
    let inputs = run.inputs(&ticket, pins);
    let claim = run.enter(worker, ticket, crew.now());
    let called = catch_unwind(AssertUnwindSafe(|| run.call_with(task, inputs)));
    let Some(ticket) = run.leave(worker, claim) else {
        drop_late(run, task, called);
        return None;
    };
    Some((ticket, called))
}

#[cold]
fn drop_late(run: &Run, task: crate::engine::TaskId, called: Called) {
    let key = run.plan().key(task);
    log::debug!("a call of task {key:?} came back after its time; its result is dropped");
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(called))) {
        let message = contained_panic_message(panic);
        log::error!("the late result of task {key:?} panicked when it was dropped: {message}");
    }
}
