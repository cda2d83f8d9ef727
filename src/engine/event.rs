//! Everything that can happen to the engine, and everything it can ask for. Plain data, both closed.

use super::{RunId, TaskId, WorkerId};

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
        /// How often the task may be tried again at most; 0 also for a failure of a hook.
        retries: u32,
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
    /// Nobody wanted the results any more.
    Cancelled,
}
