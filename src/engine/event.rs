//! Everything that can happen to the engine, and everything it can ask for. Plain data, both closed.

use std::time::Duration;

use super::{OnError, RunId, TaskId, WorkerId};
use crate::graph::Backoff;

/// Something happened. Facts only; what follows from them is the engine's business.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A worker is there and can run tasks.
    WorkerJoined {
        /// The worker.
        worker: WorkerId,
    },
    /// A worker is gone and does nothing any more.
    WorkerLost {
        /// The worker.
        worker: WorkerId,
        /// What it was in the middle of.
        running: Vec<Running>,
    },
    /// A run was submitted and its hooks have heard of it.
    RunSubmitted {
        /// The run.
        run: RunId,
        /// How many tasks it has.
        tasks: usize,
        /// How many of them can start at once.
        roots: usize,
        /// What a task that failed for good means to the others.
        on_error: OnError,
    },
    /// Tasks that a worker had sent elsewhere are lost with the place to which they were sent. The worker
    /// itself goes on.
    TasksLost {
        /// The worker.
        worker: WorkerId,
        /// The tasks.
        running: Vec<Running>,
    },
    /// The last task of a run has ended.
    RunEnded {
        /// The run.
        run: RunId,
    },
    /// A task failed.
    TaskFailed {
        /// The run.
        run: RunId,
        /// The task.
        task: TaskId,
        /// Where it failed.
        worker: WorkerId,
        /// How often the task may be tried again at most; 0 also for a failure that is not tried again.
        retries: u32,
        /// How long to wait before it is tried again.
        backoff: Backoff,
        /// True if it was a hook that failed: that ends the run, whatever it makes of errors.
        by_hook: bool,
    },
    /// The time is over that was to pass before a task is tried again.
    DelayEnded {
        /// The run.
        run: RunId,
        /// The task.
        task: TaskId,
    },
    /// A run took longer than it may.
    RunOverdue {
        /// The run.
        run: RunId,
    },
    /// A worker is in a call that is over its time, and nobody knows for how long.
    WorkerStuck {
        /// The worker.
        worker: WorkerId,
    },
    /// A number can be given to a worker: nobody works under it any more.
    SeatFree {
        /// The number.
        worker: WorkerId,
        /// What the worker that had it was in the middle of, if its thread died.
        running: Vec<Running>,
    },
    /// A hook that concerns the whole run failed.
    HookFailed {
        /// The run.
        run: RunId,
    },
    /// Nobody wants the results of a run any more.
    CancelRequested {
        /// The run.
        run: RunId,
    },
}

/// A task that a lost worker was in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running {
    /// The run.
    pub run: RunId,
    /// The task.
    pub task: TaskId,
    /// False if inputs were given away to the lost call, so that it cannot be made again.
    pub repeatable: bool,
}

/// What the actors are to do now, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Let all workers see the run: those that have nothing else may take from it.
    Publish {
        /// The run.
        run: RunId,
    },
    /// Let a worker start on a run: at these tasks, or at its roots if there are none.
    RunTasks {
        /// The worker.
        worker: WorkerId,
        /// The run.
        run: RunId,
        /// Tasks whose inputs are there.
        tasks: Vec<TaskId>,
    },
    /// Tell the callbacks that a task is tried again.
    TellRetry {
        /// The run.
        run: RunId,
        /// The task.
        task: TaskId,
        /// Which attempt starts, counted from 1.
        attempt: u32,
    },
    /// Say [`Event::DelayEnded`] when this time has passed.
    Delay {
        /// The run.
        run: RunId,
        /// The task.
        task: TaskId,
        /// How long to wait.
        delay: Duration,
    },
    /// A task failed for good and its run goes on: note it, and tell the callbacks. It completes
    /// without a value when it runs next.
    Condemn {
        /// The run.
        run: RunId,
        /// The task.
        task: TaskId,
        /// How often it was tried.
        attempts: u32,
        /// True if it did not fail itself, but its worker was lost.
        worker_lost: bool,
    },
    /// The run is over: nothing more of it may start; answer its caller.
    Finish {
        /// The run.
        run: RunId,
        /// How it ended.
        outcome: RunOutcome,
    },
    /// A worker was lost: start another one in its place.
    ReplaceWorker {
        /// The worker's number, which the new one gets.
        worker: WorkerId,
    },
    /// A worker is stuck: let it end when it comes back, and start another one under a free number.
    RelieveWorker {
        /// The worker.
        worker: WorkerId,
        /// The number of the new one.
        seat: WorkerId,
    },
    /// A worker is stuck and there is no free number: say that there is one worker less for now.
    TellShortage {
        /// The worker.
        worker: WorkerId,
    },
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunOutcome {
    /// Every wanted value is there.
    Done,
    /// This task failed for good.
    Failed {
        /// The task.
        task: TaskId,
        /// How often it was tried.
        attempts: u32,
        /// True if it did not fail itself, but its worker was lost.
        worker_lost: bool,
    },
    /// A hook that concerns the whole run failed.
    HookFailed,
    /// The run took longer than it may.
    Overdue,
    /// All tasks have ended, but some of them failed, and that fails the run at its end.
    Incomplete,
    /// Nobody wanted the results any more.
    Cancelled,
}
