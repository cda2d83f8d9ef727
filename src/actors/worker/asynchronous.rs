//! [`AsyncActor`]: awaits the futures of asynchronous tasks, on an arbiter of its own.
//!
//! The worker that called an `async` function goes on with other tasks at once; the future is polled
//! here, beside all others. When it is ready, the task completes in the lane that a run keeps for this,
//! and a worker goes on with what became ready.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, WrapFuture};
use futures::FutureExt;

use super::super::callbacks::PreStates;
use super::super::panic_message;
use super::active::{ActiveRun, Report};
use super::crew::Crew;
use super::thread::{call_failed, fail_by_hook, fail_task, posttask};
use crate::engine::{Cause, RunId, Ticket, WorkerId};
use crate::graph::{BoxFuture, CallError};
use crate::value::Value;

/// Awaits asynchronous tasks.
pub(crate) struct AsyncActor {
    crew: Arc<Crew>,
    /// The number by which a run knows completions outside of any worker.
    worker: WorkerId,
    /// The futures of each run that goes on, to be dropped when it is over.
    futures: HashMap<RunId, Vec<actix::SpawnHandle>>,
}

impl AsyncActor {
    pub(crate) fn new(crew: Arc<Crew>, workers: usize) -> Self {
        let worker = WorkerId(u32::try_from(workers).unwrap_or(u32::MAX));
        Self { crew, worker, futures: HashMap::new() }
    }
}

impl Actor for AsyncActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(0); // A future that was made must be awaited.
    }
}

/// An asynchronous task was called: await its future.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct AwaitTask {
    active: Arc<ActiveRun>,
    ticket: Ticket,
    future: BoxFuture,
    states: PreStates,
}

impl AwaitTask {
    pub(super) fn new(
        active: &Arc<ActiveRun>,
        ticket: Ticket,
        future: BoxFuture,
        states: PreStates,
    ) -> Self {
        Self { active: Arc::clone(active), ticket, future, states }
    }
}

impl Handler<AwaitTask> for AsyncActor {
    type Result = ();

    fn handle(&mut self, task: AwaitTask, context: &mut Self::Context) {
        let AwaitTask { active, ticket, future, states } = task;
        let run = active.run.id();
        if !active.run.is_running() {
            return;
        }
        let awaited = AssertUnwindSafe(future).catch_unwind().into_actor(self).map(
            move |outcome, actor, _| {
                let value = match outcome {
                    Ok(Ok(value)) => Ok(value),
                    Ok(Err(error)) => Err(call_failed(CallError::Failed(error))),
                    Err(panic) => Err(Cause::Panic(panic_message(panic))),
                };
                match value {
                    Ok(value) => actor.complete(&active, ticket, value, states),
                    Err(cause) => fail_task(&active, ticket, actor.worker, cause),
                }
            },
        );
        self.futures.entry(run).or_default().push(context.spawn(awaited));
    }
}

impl AsyncActor {
    fn complete(&self, active: &Arc<ActiveRun>, ticket: Ticket, value: Value, states: PreStates) {
        if let Err(failure) = posttask(active, &ticket, &value, states) {
            return fail_by_hook(active, ticket, self.worker, failure);
        }
        let completion = active.run.complete(self.worker, ticket, value);
        if completion.ended {
            return active.report(Report::RunEnded { run: active.run.id() });
        }
        if let Some(next) = completion.next {
            active.run.put_back(self.worker, next);
            self.crew.wake_one();
        }
    }
}

/// A run is over: drop its futures.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct ForgetRun {
    pub(crate) run: RunId,
}

impl Handler<ForgetRun> for AsyncActor {
    type Result = ();

    fn handle(&mut self, ForgetRun { run }: ForgetRun, context: &mut Self::Context) {
        for future in self.futures.remove(&run).unwrap_or_default() {
            context.cancel_future(future);
        }
    }
}
