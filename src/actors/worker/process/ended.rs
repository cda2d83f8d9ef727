//! What follows when a call has come to its end: its task completes or fails, and what is next is found.

use std::sync::Arc;
use std::time::Duration;

use super::super::active::{ActiveRun, Report};
use super::super::failing::{call_failed, fail_by_hook, fail_task};
use super::super::thread::{WorkerThread, posttask};
use super::station::{Flight, Matched, give_back};
use crate::engine::{Cause, Completion, Failure, Placement, TaskId, Ticket};
use crate::graph::{BoxError, CallError};
use crate::process::Stayed;
use crate::process::wire::{Done, End, Failed};
use crate::value::Value;

impl WorkerThread {
    /// A call came to its end.
    pub(super) fn call_ended(&self, flight: Flight, done: Done) {
        let active = Arc::clone(&flight.active);
        let run = &active.run;
        if flight.ticket.is_none() {
            if run.is_running() && !matches!(done.end, End::NotMade) {
                self.station.borrow_mut().ended_early(flight, done);
            } else {
                self.discard(done);
            }
            return;
        }
        let Flight { task, ticket, arguments, states, .. } = flight;
        let Some(mut ticket) = ticket else { return };
        let elapsed = Duration::from_nanos(done.elapsed);
        run.measured(1, elapsed);
        self.crew.events().ended(run.id(), self.id, elapsed, run.plan().key(task));
        if !run.is_running() {
            run.give_room_back(&mut ticket);
            return self.discard(done);
        }
        let succeeded = matches!(done.end, End::Value { .. } | End::Stayed { .. });
        if succeeded {
            spend(&active, task, &arguments);
        }
        // What has failed may be repeated with them.
        let arguments = if succeeded { Vec::new() } else { arguments };
        let mut fail = |cause| {
            run.give_room_back(&mut ticket);
            cause
        };
        let value = match done.end {
            End::Value { packed, bytes, holds } => {
                let mut station = self.station.borrow_mut();
                let parcel = station.link.as_mut().map(|link| link.parcel(packed, bytes));
                drop(station);
                let received = parcel.map(|parcel| {
                    let parcel = parcel.map_err(BoxError::from)?;
                    match self.crew.fleet().filter(|_| holds) {
                        Some(fleet) => fleet.program().received(parcel),
                        None => Ok(Value::new(parcel)),
                    }
                });
                match received {
                    Some(Ok(value)) => value,
                    Some(Err(reason)) => {
                        let cause = fail(call_failed(CallError::Failed(reason)));
                        return fail_task(&active, ticket, self.id, cause);
                    }
                    None => return give_back(&active, ticket, self.id),
                }
            }
            End::Stayed { bytes, reason } => {
                if let Some(reason) = reason
                    .as_ref()
                    .filter(|_| run.plan().is_wanted(task) && !run.policy().outputs_may_stay)
                {
                    self.station.borrow().release(done.number);
                    let key = run.plan().key(task);
                    if let Some(fleet) = self.crew.fleet()
                        && run.policy().placement == Placement::Auto
                    {
                        // Where its value is wanted, it is made.
                        fleet.refuses(&key.prefix(), reason);
                        return give_back(&active, ticket, self.id);
                    }
                    let program = self.crew.fleet().map(|fleet| Arc::clone(fleet.program()));
                    let error = program.map(|program| program.cannot_leave(key, reason));
                    let error = error.unwrap_or_else(|| reason.as_str().into());
                    let cause = fail(call_failed(CallError::Failed(error)));
                    return fail_task(&active, ticket, self.id, cause);
                }
                let station = self.station.borrow();
                let Some(link) = &station.link else {
                    drop(station);
                    return give_back(&active, ticket, self.id);
                };
                let bound = reason.map(|reason| (run.plan().key(task).clone(), reason));
                Stayed::value(&link.life, done.number, bytes, bound)
            }
            End::Failed(failed) => {
                let failed = self.failure_of(&active, task, &arguments, failed);
                match failed {
                    Ok(cause) => {
                        let cause = fail(cause);
                        return fail_task(&active, ticket, self.id, cause);
                    }
                    Err(failure) => return self.fail_hook_there(&active, ticket, failure),
                }
            }
            End::NotMade => return give_back(&active, ticket, self.id),
        };
        match posttask(&active, &ticket, &value, states) {
            Ok(()) => self.complete(&active, ticket, value),
            Err(failure) => self.fail_hook_there(&active, ticket, failure),
        }
    }

    /// Lets go of what a call has left, of which nobody needs to know the value: the segment in which it lies,
    /// or what stayed in the child.
    pub(super) fn discard(&self, done: Done) {
        let left = match done.end {
            End::Value { packed, bytes, .. } => {
                let mut station = self.station.borrow_mut();
                station.link.as_mut().map(|link| link.parcel(packed, bytes))
            }
            End::Stayed { .. } => {
                self.station.borrow().release(done.number);
                None
            }
            End::Failed(_) | End::NotMade => None,
        };
        // Behind the borrow, as the segment says where it goes.
        drop(left);
    }

    /// What a call failed with; `Err` if a hook did.
    fn failure_of(
        &self,
        active: &ActiveRun,
        task: TaskId,
        arguments: &[Value],
        failed: Failed,
    ) -> Result<Cause, Failure> {
        let program = || self.crew.fleet().map(|fleet| fleet.program());
        let raised = |raised: &[u8]| match program() {
            Some(program) => program.raised(raised),
            None => "it failed".into(),
        };
        match failed {
            Failed::Raised(payload) => {
                let function = active.run.plan().func(task).as_any();
                let error = match program().zip(function) {
                    Some((program, function)) => program.raised_by(function, arguments, &payload),
                    None => raised(&payload),
                };
                Ok(call_failed(CallError::Failed(error)))
            }
            Failed::Unreadable(payload) => {
                let key = active.run.plan().key(task);
                let error = program().map(|program| program.unreadable(key, &payload));
                let error = error.unwrap_or_else(|| raised(&payload));
                Ok(call_failed(CallError::Failed(error)))
            }
            Failed::Misfit(reason) => Ok(call_failed(CallError::Failed(reason.into()))),
            Failed::Hook { hook, raised: payload } => {
                let error = Arc::new(raised(&payload));
                let cause = Cause::Hook { callback: hook, hook: "in its worker process", error };
                Err(Failure::new(active.run.plan().key(task).clone(), cause))
            }
        }
    }

    pub(super) fn complete(&self, active: &Arc<ActiveRun>, ticket: Ticket, value: Value) {
        let completion = active.run.complete(self.id, ticket, value);
        self.completed(active, completion);
    }

    pub(super) fn completed(&self, active: &Arc<ActiveRun>, completion: Completion) {
        if completion.ended {
            return active.report(Report::RunEnded { run: active.run.id() });
        }
        if completion.surplus && self.crew.anybody_sleeps() && active.run.sharing_pays(self.id) {
            self.crew.wake_one();
        }
        let Some(next) = completion.next else { return };
        let matched = self.station.borrow_mut().match_ticket(active.run.id(), next);
        match matched {
            Matched::UnderWay => {}
            Matched::Ended(ended) => self.call_ended(ended.0, ended.1),
            Matched::Not(next) => {
                let mut station = self.station.borrow_mut();
                if station.is_inside(active.run.id()) {
                    drop(station);
                    give_back(active, next, self.id);
                    return self.crew.wake_one();
                }
                station.push_ready(active, next);
            }
        }
    }

    pub(super) fn fail_hook_there(
        &self,
        active: &Arc<ActiveRun>,
        mut ticket: Ticket,
        failure: Failure,
    ) {
        active.run.give_room_back(&mut ticket);
        fail_by_hook(active, ticket, self.id, failure);
    }
}

/// The child has let go of the input that went with a call.
fn spend(active: &ActiveRun, task: TaskId, arguments: &[Value]) {
    let plan = active.run.plan();
    if let [only] = *plan.dependencies(task)
        && plan.is_chained(only)
        && !plan.is_wanted(only)
    {
        let stayed = arguments.iter().filter_map(|value| value.downcast_ref::<Stayed>());
        stayed.for_each(Stayed::is_spent);
    }
}
