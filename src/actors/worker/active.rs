//! [`ActiveRun`]: a run with what workers need beside its engine state.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix::{Message, Recipient};

use super::super::callbacks::{AllSubmitted, HookSet, RunHookFailed};
use super::super::contained_panic_message;
use super::super::events::{Events, Happening, Noted};
use super::asynchronous::AwaitTask;
use crate::engine::{Failure, Run, RunId, TaskId, Ticket, WorkerId};
use crate::graph::{Backoff, Missing, ProcessEnd};
use crate::value::Value;

/// A run that workers work on.
pub(crate) struct ActiveRun {
    pub(crate) run: Arc<Run>,
    /// When it began, by the cluster's clock.
    pub(crate) began_at: Duration,
    pub(crate) hooks: Option<Hooks>,
    /// Hears of ends and failures.
    pub(crate) reports: Recipient<Report>,
    /// Takes over the futures of asynchronous tasks.
    pub(crate) futures: Recipient<AwaitTask>,
    /// True once a future was handed over.
    pub(crate) has_futures: AtomicBool,
    /// How many of its futures are being awaited.
    pub(crate) awaited: AtomicUsize,
    /// True once tasks of it are called in processes, if the run leaves that open.
    pub(crate) is_elsewhere: AtomicBool,
    /// Where it is told what happens to tasks.
    pub(crate) events: Arc<Events>,
}

/// The callbacks of a run, for a run that has some.
pub(crate) struct Hooks {
    pub(crate) set: HookSet,
    /// Tasks that were taken on, each counted once.
    submitted: AtomicUsize,
    /// Tasks that are tried again: they are not submitted a second time.
    retried: Mutex<BTreeSet<TaskId>>,
    /// True once `retried` is not empty.
    any_retried: AtomicBool,
    registry: Recipient<AllSubmitted>,
    pub(crate) failures: Recipient<RunHookFailed>,
}

/// What a worker reports of a run.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) enum Report {
    /// The last task has ended.
    RunEnded {
        /// The run.
        run: RunId,
    },
    /// A task failed.
    TaskFailed {
        /// The run.
        run: RunId,
        /// The right to run the task, given back.
        ticket: Ticket,
        /// Where it failed.
        worker: WorkerId,
        /// With what.
        failure: Failure,
        /// How often the task may be tried again.
        retries: u32,
        /// How long to wait before it is tried again.
        backoff: Backoff,
        /// True if it was a hook of the task that failed.
        by_hook: bool,
    },
    /// A task was lost with the process that was making its call.
    TaskLost {
        /// The run.
        run: RunId,
        /// The right to run the task, given back.
        ticket: Ticket,
        /// The worker whose process it was.
        worker: WorkerId,
        /// How the process ended.
        end: Arc<ProcessEnd>,
    },
}

impl Hooks {
    pub(crate) fn new(
        set: HookSet,
        registry: Recipient<AllSubmitted>,
        failures: Recipient<RunHookFailed>,
    ) -> Self {
        Self {
            set,
            submitted: AtomicUsize::new(0),
            retried: Mutex::default(),
            any_retried: AtomicBool::new(false),
            registry,
            failures,
        }
    }

    /// Notes that a task is tried again.
    pub(crate) fn retry(&self, task: TaskId) {
        self.retried.lock().unwrap_or_else(PoisonError::into_inner).insert(task);
        self.any_retried.store(true, Ordering::Release);
    }

    pub(super) fn is_retried(&self, task: TaskId) -> bool {
        self.any_retried.load(Ordering::Acquire)
            && self.retried.lock().unwrap_or_else(PoisonError::into_inner).contains(&task)
    }

    /// Counts a task that was taken on for the first time; the last one is told to the registry.
    pub(super) fn submitted(&self, run: &Arc<Run>) {
        if self.submitted.fetch_add(1, Ordering::Relaxed) + 1 == run.tasks() {
            // If the registry is gone, the cluster ends and nobody waits for this.
            self.registry.do_send(AllSubmitted {
                run: Arc::clone(run),
                hooks: self.set.clone(),
                failures: self.failures.clone(),
            });
        }
    }
}

impl ActiveRun {
    /// That the run begins, for those who listen.
    pub(crate) fn began(&self) -> Noted {
        Noted::RunBegan {
            run: self.run.id(),
            began: self.began_at,
            plan: Arc::clone(self.run.plan()),
            tally: self.run.tally(),
            hooks: self.hooks.as_ref().and_then(|hooks| hooks.set.times().cloned()),
        }
    }

    /// Notes that a task is not called: `missing` stands for its value. One that failed itself was
    /// taken on before; no hook hears of one that is skipped, but it counts as taken on.
    pub(super) fn skipped(&self, task: TaskId, missing: &Value) {
        let missing = missing.downcast_ref::<Missing>();
        let is_skipped = missing.is_some_and(Missing::is_skipped);
        if let Some(missing) = missing.filter(|_| is_skipped) {
            let cause = told(&missing.failure);
            self.note(task, Happening::Skipped { cause }, String::new);
        }
        if let Some(hooks) = &self.hooks
            && is_skipped
            && !hooks.is_retried(task)
        {
            hooks.submitted(&self.run);
        }
    }

    /// Notes an attempt that failed. Not to be called on the scheduler's arbiter for an error of a user.
    pub(super) fn failed(&self, task: TaskId, failure: &Failure) {
        let details = || told_in_full(failure);
        self.note(task, Happening::Failed { error: told(failure) }, details);
    }

    /// Notes what happened to a task.
    pub(crate) fn note(&self, task: TaskId, what: Happening, details: impl FnOnce() -> String) {
        let (run, key) = (self.run.id(), self.run.plan().key(task));
        self.events.note(Some(run), Some(task), key, what, details);
    }

    pub(super) fn report(&self, report: Report) {
        // If the scheduler is gone, the cluster ends and nobody waits for the run.
        self.reports.do_send(report);
    }
}

/// What a failure says. An error of a user's may panic when it is asked.
pub(crate) fn told(failure: &Failure) -> String {
    told_by(|| failure.to_string())
}

/// All that is known of a failure: the error at length, and what it came of.
fn told_in_full(failure: &Failure) -> String {
    told_by(|| {
        let Some(error) = failure.task_error() else { return failure.to_string() };
        // Errors that know more than a line say it in this form: a traceback, for instance.
        let mut told = format!("{error:#}");
        let mut source = error.source();
        while let Some(cause) = source {
            let cause_told = cause.to_string();
            if !told.contains(&cause_told) {
                told.push_str("\ncaused by: ");
                told.push_str(&cause_told);
            }
            source = cause.source();
        }
        told
    })
}

fn told_by(tell: impl FnOnce() -> String) -> String {
    catch_unwind(AssertUnwindSafe(tell)).unwrap_or_else(|panic| {
        format!("its error cannot be shown: {}", contained_panic_message(panic))
    })
}
