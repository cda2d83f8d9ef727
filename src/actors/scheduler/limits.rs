//! Watching the time of runs and tasks, and what becomes of workers that are stuck.
//!
//! Nothing here runs for a run without limits. The right to a task that is over its time is taken from
//! its worker by `Run::take_overdue`, whose protocol stands in `engine/guard.rs`; the thread itself
//! cannot be ended, so its worker is relieved: another one takes its place under another number, and
//! the thread ends when its call comes back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::{Addr, Context, Handler, Message, MessageResult};

use super::SchedulerActor;
use super::timers::Due;
use crate::actors::events::Noted;
use crate::actors::worker::{ActiveRun, Relieve, WorkerActor, asks_conditions, fail_task};
use crate::engine::{Cause, Event, Ticket, WorkerId};

/// How long a worker may still be in a task of a run that has reached its limit before it is taken for
/// stuck: most are through with their task by then.
const GRACE: Duration = Duration::from_millis(10);

/// How far apart looks at the time of tasks are at least.
const SHORTEST: Duration = Duration::from_millis(1);

/// What happened to workers.
#[derive(Default)]
pub(super) struct Stuck {
    /// Those that were relieved and whose threads have not come back.
    pub(super) threads: BTreeMap<WorkerId, Addr<WorkerActor>>,
    /// How many threads died.
    pub(super) lost: u64,
    /// How many workers were started in the place of others.
    pub(super) replaced: u64,
}

/// What is known of a cluster's workers; see [`Client::worker_stats`](crate::Client::worker_stats).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerStats {
    /// How many there are that run tasks. As many as were asked for, but for moments.
    pub workers: usize,
    /// How many threads are stuck in calls that are over their time limit. Others are in their place;
    /// each ends when its call comes back.
    pub stuck: usize,
    /// How many threads have died since the cluster started.
    pub lost: u64,
    /// How many workers have taken the place of one that died or was stuck.
    pub replaced: u64,
}

impl SchedulerActor {
    /// Begins to watch the time of a run, if it has limits.
    pub(super) fn watch(&mut self, active: &Arc<ActiveRun>, context: &mut Context<Self>) {
        if let Some(limit) = active.run.policy().time_limit {
            self.wait(limit, Due::EndRun { run: active.run.id() }, context);
        }
        if let Some(limit) = active.run.shortest_limit() {
            self.look_again(active, limit, context);
        }
    }

    pub(super) fn is_due(&mut self, due: Due, context: &mut Context<Self>) {
        if self.closing {
            return;
        }
        match due {
            Due::EndDelay { run, task } => self.happened(Event::DelayEnded { run, task }, context),
            Due::EndRun { run } => self.happened(Event::RunOverdue { run }, context),
            Due::LookAtTasks { active, .. } => {
                if let Some(active) = active.upgrade() {
                    self.look_at_tasks(&active, context);
                    self.let_go(active);
                }
            }
            Due::LookAtWorker { active, worker, started } => {
                if let Some(active) = active.upgrade() {
                    if active.run.is_busy(worker) == Some(started) {
                        self.happened(Event::WorkerStuck { worker }, context);
                    }
                    self.let_go(active);
                }
            }
        }
    }

    /// The last one to let go of a run drops values, which may run code of users.
    fn let_go(&self, active: Arc<ActiveRun>) {
        if let Some(last) = Arc::into_inner(active) {
            self.drop_aside(last);
        }
    }

    fn look_again(
        &mut self,
        active: &Arc<ActiveRun>,
        delay: Duration,
        context: &mut Context<Self>,
    ) {
        let (run, active) = (active.run.id(), Arc::downgrade(active));
        self.wait(delay.max(SHORTEST), Due::LookAtTasks { run, active }, context);
    }

    fn look_at_tasks(&mut self, active: &Arc<ActiveRun>, context: &mut Context<Self>) {
        let now = self.settings.crew.now();
        let mut overdue = Vec::new();
        let next = active.run.take_overdue(now, &mut overdue);
        for (worker, ticket) in overdue {
            // First, so that the task is tried again elsewhere.
            self.happened(Event::WorkerStuck { worker }, context);
            self.fail_overdue(active, worker, ticket);
        }
        if let Some(next) = next {
            self.look_again(active, next.saturating_sub(now), context);
        }
    }

    fn fail_overdue(&self, active: &Arc<ActiveRun>, worker: WorkerId, ticket: Ticket) {
        let task = ticket.task();
        let limit = active.run.time_limit(task).unwrap_or_default();
        let cause = Cause::TimedOut { limit };
        if asks_conditions(&active.run, task) {
            let active = Arc::clone(active);
            return self.aside(move || fail_task(&active, ticket, worker, cause));
        }
        fail_task(active, ticket, worker, cause);
    }

    /// Forgets what a run that is over was waiting for. If it took too long, its workers get a moment to
    /// come out of its tasks; those that do not are stuck.
    pub(super) fn forget_times(
        &mut self,
        active: &Arc<ActiveRun>,
        is_overdue: bool,
        context: &mut Context<Self>,
    ) {
        if !self.timers.is_empty() {
            let busy = active.run.workers().any(|worker| active.run.is_busy(worker).is_some());
            self.timers.forget(active.run.id(), busy);
        }
        if !is_overdue {
            return;
        }
        for worker in active.run.workers() {
            if let Some(started) = active.run.is_busy(worker) {
                let active = Arc::downgrade(active);
                self.wait(GRACE, Due::LookAtWorker { active, worker, started }, context);
            }
        }
    }

    /// A worker is gone. In runs that go on, its actor has seen to what it was in; in those that are over
    /// it must not be taken for stuck, as another worker may have its number by now.
    pub(super) fn is_out(&self, worker: WorkerId) {
        for active in self.timers.watched() {
            if !self.runs.contains_key(&active.run.id()) {
                let _void = active.run.take_over(worker);
            }
            self.let_go(active);
        }
    }

    /// Puts another worker in the place of one that is stuck.
    pub(super) fn relieve(
        &mut self,
        worker: WorkerId,
        seat: WorkerId,
        context: &mut Context<Self>,
    ) {
        if let Some(address) = self.workers.remove(&worker) {
            log::warn!(
                "worker {worker} is stuck in a task that is over its time limit; worker {seat} takes \
                 its place"
            );
            self.settings.crew.events().tell(|| Noted::WorkerStuck { worker });
            address.do_send(Relieve);
            self.stuck.threads.insert(worker, address);
        }
        self.stuck.replaced += 1;
        self.start_worker(seat, context);
    }
}

/// Asks what is known of the workers.
#[derive(Debug, Message)]
#[rtype(result = "WorkerStats")]
pub(crate) struct ReadWorkerStats;

impl Handler<ReadWorkerStats> for SchedulerActor {
    type Result = MessageResult<ReadWorkerStats>;

    fn handle(&mut self, _: ReadWorkerStats, _: &mut Self::Context) -> Self::Result {
        MessageResult(WorkerStats {
            workers: self.workers.len(),
            stuck: self.stuck.threads.len(),
            lost: self.stuck.lost,
            replaced: self.stuck.replaced,
        })
    }
}
