//! [`AsyncActor`]: awaits the futures of asynchronous tasks, on an arbiter of its own.
//!
//! The worker that called an `async` function goes on with other tasks at once; the future is polled
//! here, beside all others. When it is ready, the task completes in the lane that a run keeps for this,
//! and a worker goes on with what became ready.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::{Actor, Context, Handler, Message};
use actix_rt::task::JoinHandle;
use futures::FutureExt;

use super::super::callbacks::PreStates;
use super::super::contained_panic_message;
use super::super::events::Stretch;
use super::active::{ActiveRun, Report};
use super::crew::Crew;
use super::failing::{call_failed, fail_by_hook, fail_task};
use super::noting::note_outside;
use super::thread::posttask;
use crate::engine::{Cause, RunId, Ticket, WorkerId};
use crate::graph::{BoxFuture, CallError};
use crate::value::Value;

/// Awaits asynchronous tasks.
///
/// Each future is a task of the arbiter: it is polled when it was woken and not with every other one,
/// and a panic while it is dropped stays its own.
pub(crate) struct AsyncActor {
    end: End,
    /// The number of the next future.
    next: u64,
    futures: Futures,
}

/// The futures of each run that goes on, by number, to be dropped when the run is over. A future that
/// is ready takes itself out.
type Futures = Rc<RefCell<BTreeMap<RunId, BTreeMap<u64, JoinHandle<()>>>>>;

/// What it takes to end a task outside of any worker.
#[derive(Clone)]
struct End {
    crew: Arc<Crew>,
    /// The number by which a run knows completions outside of any worker.
    worker: WorkerId,
}

impl AsyncActor {
    pub(crate) fn new(crew: Arc<Crew>, workers: usize) -> Self {
        let worker = WorkerId(u32::try_from(workers).unwrap_or(u32::MAX));
        Self { end: End { crew, worker }, next: 0, futures: Futures::default() }
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
    /// When it was called, by the cluster's clock.
    since: Duration,
}

impl AwaitTask {
    pub(super) fn new(
        active: &Arc<ActiveRun>,
        ticket: Ticket,
        future: BoxFuture,
        states: PreStates,
    ) -> Self {
        let since = active.events.now();
        Self { active: Arc::clone(active), ticket, future, states, since }
    }

    pub(super) fn ticket(&mut self) -> &mut Ticket {
        &mut self.ticket
    }
}

impl Handler<AwaitTask> for AsyncActor {
    type Result = ();

    fn handle(&mut self, task: AwaitTask, _: &mut Self::Context) {
        let AwaitTask { active, ticket, future, states, since } = task;
        let (run, number) = (active.run.id(), self.next);
        self.next += 1;
        let (end, futures) = (self.end.clone(), Rc::clone(&self.futures));
        let is_wanted = active.run.is_running();
        let awaited = actix_rt::spawn(async move {
            if !is_wanted {
                return;
            }
            let limit = active.run.time_limit(ticket.task());
            let value = match within(limit, AssertUnwindSafe(future).catch_unwind()).await {
                Ok(Ok(Ok(value))) => Ok(value),
                Ok(Ok(Err(error))) => Err(call_failed(CallError::Failed(error))),
                Ok(Err(panic)) => Err(Cause::Panic(contained_panic_message(panic))),
                Err(limit) => Err(Cause::TimedOut { limit }),
            };
            if let Some(of_run) = futures.borrow_mut().get_mut(&run) {
                of_run.remove(&number);
            }
            active.awaited.fetch_sub(1, Ordering::Relaxed);
            match value {
                Ok(value) => end.complete(&active, ticket, value, states, since),
                Err(cause) => {
                    let seen = Stretch::new(ticket.task(), 0);
                    note_outside(&active.events, run, end.worker, seen, since, true);
                    fail_task(&active, ticket, end.worker, cause);
                }
            }
        });
        if is_wanted {
            self.futures.borrow_mut().entry(run).or_default().insert(number, awaited);
        }
    }
}

/// Awaits a future for so long at most, and then drops it. `Err` is the limit that was exceeded.
async fn within<F: Future>(limit: Option<Duration>, future: F) -> Result<F::Output, Duration> {
    match limit {
        None => Ok(future.await),
        Some(limit) => {
            let mut future = Box::pin(future);
            if let Ok(output) = actix_rt::time::timeout(limit, future.as_mut()).await {
                return Ok(output);
            }
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(future))) {
                let message = contained_panic_message(panic);
                log::error!("an async task panicked when it was dropped at its limit: {message}");
            }
            Err(limit)
        }
    }
}

impl End {
    fn complete(
        &self,
        active: &Arc<ActiveRun>,
        ticket: Ticket,
        value: Value,
        states: PreStates,
        since: Duration,
    ) {
        if let Err(failure) = posttask(active, &ticket, &value, states) {
            return fail_by_hook(active, ticket, self.worker, failure);
        }
        let seen = Stretch::new(ticket.task(), value.bytes() as u64);
        note_outside(&active.events, active.run.id(), self.worker, seen, since, false);
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

    fn handle(&mut self, ForgetRun { run }: ForgetRun, _: &mut Self::Context) {
        let futures = self.futures.borrow_mut().remove(&run).unwrap_or_default();
        for future in futures.values() {
            future.abort();
        }
    }
}
