//! Handles to what goes on: a run that was started, a callback that was registered.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use actix::Addr;
use futures::channel::oneshot;

use super::Client;
use super::calls::refuse_on_arbiter;
use crate::actors::callbacks::{CallbackId, Ending};
use crate::actors::store::Maker;
use crate::actors::{CancelRun, Crew, Finished, SchedulerActor, wait_among};
use crate::engine::{Gathering, Run, RunId, Status};
use crate::error::{Error, Kind};
use crate::graph::Results;

/// Cancels a run when nobody waits for it any more. After the run's end that means nothing.
#[derive(Debug)]
pub(super) struct CancelGuard {
    run: RunId,
    scheduler: Addr<SchedulerActor>,
    /// True if the run is known to be over, so that nobody needs to be told.
    is_over: AtomicBool,
}

impl CancelGuard {
    pub(super) fn new(run: RunId, scheduler: Addr<SchedulerActor>) -> Self {
        Self { run, scheduler, is_over: AtomicBool::new(false) }
    }
}

impl Maker for CancelGuard {
    fn run(&self) -> RunId {
        self.run
    }
}

impl Drop for CancelGuard {
    fn drop(&mut self) {
        if !self.is_over.load(Ordering::Relaxed) {
            // If the scheduler is gone, so is the run.
            self.scheduler.do_send(CancelRun { run: self.run });
        }
    }
}

/// A run that was started. Await it for its results; dropping it cancels the run.
#[derive(Debug)]
#[must_use = "a run is cancelled when its handle is dropped"]
pub struct RunHandle {
    receiver: oneshot::Receiver<Result<Finished, Ending>>,
    /// The results, while they are brought into memory.
    gathering: Option<Gathering>,
    /// The state of a run that has no hooks.
    run: Option<Arc<Run>>,
    /// Who works on it, which may be who waits for it.
    crew: Weak<Crew>,
    guard: Arc<CancelGuard>,
}

impl RunHandle {
    pub(super) fn new(
        receiver: oneshot::Receiver<Result<Finished, Ending>>,
        run: Option<Arc<Run>>,
        crew: Weak<Crew>,
        guard: Arc<CancelGuard>,
    ) -> Self {
        Self { receiver, gathering: None, run, crew, guard }
    }

    /// Cancels the run: nothing new of it starts, and who waits for it gets an error.
    pub fn cancel(&self) {
        if let Some(run) = &self.run {
            // The workers see it at once, before the scheduler has read the message.
            run.end(Status::Cancelled);
        }
        // If the scheduler is gone, so is the run.
        self.guard.scheduler.do_send(CancelRun { run: self.guard.run });
    }

    /// A handle by which others can cancel the run.
    pub fn canceller(&self) -> Canceller {
        let (run, scheduler) = (self.guard.run, self.guard.scheduler.clone());
        Canceller { run, scheduler, crew: Weak::clone(&self.crew) }
    }

    /// The run's number, as hooks see it.
    pub fn id(&self) -> u64 {
        self.guard.run.0
    }

    /// Waits for the results on this thread. In a task it works on the run meanwhile.
    ///
    /// # Errors
    ///
    /// As [`Client::get_blocking`].
    pub fn wait(self) -> Result<Results, Error> {
        refuse_on_arbiter("get")?;
        let run = self.guard.run;
        let crew = Weak::clone(&self.crew);
        wait_among(&crew, Some(run), self)
    }
}

impl Future for RunHandle {
    type Output = Result<Results, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let failed = |failure| Error::from(Kind::Task(failure));
        loop {
            if let Some(gathering) = &mut self.gathering {
                return Pin::new(gathering).poll(context).map_err(failed);
            }
            let answer = std::task::ready!(Pin::new(&mut self.receiver).poll(context));
            self.guard.is_over.store(true, Ordering::Relaxed);
            return Poll::Ready(match answer {
                Ok(Ok(Finished::Run(run))) => {
                    self.gathering = Some(run.gather());
                    continue;
                }
                Ok(Ok(Finished::Results(results))) => Ok(results),
                Ok(Err(Ending::Failed(failure))) => Err(failed(failure)),
                Ok(Err(Ending::AllFailed(failures))) => Err(Kind::Tasks(failures).into()),
                Ok(Err(Ending::HookFailed | Ending::Cancelled)) => Err(Kind::Cancelled.into()),
                Err(oneshot::Canceled) => Err(Kind::Closed.into()),
            });
        }
    }
}

/// Cancels one run; see [`RunHandle::canceller`].
#[derive(Clone, Debug)]
pub struct Canceller {
    run: RunId,
    scheduler: Addr<SchedulerActor>,
    crew: Weak<Crew>,
}

impl Canceller {
    /// Cancels the run, if it is not over. Calls of it in worker processes are interrupted.
    pub fn cancel(&self) {
        // If the scheduler is gone, so is the run.
        self.scheduler.do_send(CancelRun { run: self.run });
    }

    /// How many calls of the run have not come to their end in worker processes.
    pub fn calls_left(&self) -> usize {
        let crew = self.crew.upgrade();
        crew.and_then(|crew| Some(crew.fleet()?.calls_of(self.run))).unwrap_or(0)
    }

    /// Ends the worker processes that are still in calls of the run, after it was cancelled: others take
    /// their place.
    pub fn kill(&self) {
        if let Some(crew) = self.crew.upgrade()
            && let Some(fleet) = crew.fleet()
        {
            fleet.kill(self.run);
        }
    }
}

/// A registered callback; dropping it unregisters.
#[derive(Debug)]
pub struct CallbackGuard {
    client: Client,
    id: CallbackId,
}

impl CallbackGuard {
    pub(super) fn new(client: Client, id: CallbackId) -> Self {
        Self { client, id }
    }
}

impl Drop for CallbackGuard {
    fn drop(&mut self) {
        self.client.unregister(self.id);
    }
}
