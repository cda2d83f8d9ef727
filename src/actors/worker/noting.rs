//! [`Notebook`]: the tasks that a worker has ended since its last look at the clock, for those who listen.
//!
//! While nobody listens, a task costs one look at a flag of the worker's own. What is noted is put down in
//! one piece with each look at the clock, and at the end of a turn; a task that failed has a piece of its own.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use super::super::events::{Batch, Events, Stretch};
use super::thread::WorkerThread;
use crate::engine::{Run, RunId, TaskId, WorkerId};
use crate::value::Value;

/// What a worker has noted and not put down yet.
pub(super) struct Notebook {
    /// Whether somebody listened when the worker last looked.
    is_heard: Cell<bool>,
    seen: RefCell<Vec<Stretch>>,
    /// When the first of them began at the earliest, by the worker's clock.
    since: Cell<Duration>,
    /// When the worker's clock began, by the cluster's.
    origin: Duration,
}

impl Notebook {
    /// For a worker whose clock began at that moment.
    pub(super) fn new(events: &Events, began: Instant) -> Self {
        Self {
            is_heard: Cell::new(false),
            seen: RefCell::default(),
            since: Cell::default(),
            origin: events.at(began),
        }
    }
}

impl WorkerThread {
    /// A turn begins: what is noted from here on is of one run. Answers what was noted of the turn around it.
    pub(super) fn begin_notes(&self, now: Duration) -> (Vec<Stretch>, Duration) {
        let notebook = &self.notebook;
        notebook.is_heard.set(self.crew.events().stream().is_heard());
        (notebook.seen.take(), notebook.since.replace(now))
    }

    /// A turn is over: puts down what was noted in it.
    pub(super) fn end_notes(&self, run: &Run, around: (Vec<Stretch>, Duration)) {
        if !self.notebook.seen.borrow().is_empty() {
            self.put_down(run.id(), self.now(), false);
        }
        self.notebook.seen.replace(around.0);
        self.notebook.since.set(around.1);
    }

    /// Notes a task that is about to complete with this value.
    #[inline]
    pub(super) fn saw(&self, task: TaskId, value: &Value) {
        if self.notebook.is_heard.get() {
            let bytes = value.bytes() as u64;
            let mut seen = self.notebook.seen.borrow_mut();
            if !seen.last_mut().is_some_and(|last| last.takes_in(task, bytes)) {
                seen.push(Stretch::new(task, bytes));
            }
        }
    }

    /// Puts down what was noted, as of a look at the clock.
    pub(super) fn note_look(&self, run: &Run, now: Duration) {
        let notebook = &self.notebook;
        if !notebook.seen.borrow().is_empty() {
            self.put_down(run.id(), now, false);
        }
        notebook.since.set(now);
        notebook.is_heard.set(self.crew.events().stream().is_heard());
    }

    /// Puts down a task that has failed, which ends now.
    pub(super) fn note_failed(&self, run: &Run, task: TaskId) {
        let notebook = &self.notebook;
        if !notebook.is_heard.get() {
            return;
        }
        let now = self.now();
        let (from, noted) = (notebook.since.get(), count(&notebook.seen.borrow()));
        if noted > 0 {
            // How the time was shared by those before it and this one, nobody knows.
            let each = now.saturating_sub(from) / noted.saturating_add(1);
            self.put_down(run.id(), now.saturating_sub(each), false);
        }
        notebook.seen.borrow_mut().push(Stretch::new(task, 0));
        self.put_down(run.id(), now, true);
    }

    fn put_down(&self, run: RunId, now: Duration, failed: bool) {
        let notebook = &self.notebook;
        let since = notebook.since.replace(now);
        let mut seen = notebook.seen.borrow_mut();
        let batch = Batch {
            run,
            worker: self.id,
            from: notebook.origin + since,
            to: notebook.origin + now,
            stretches: seen.len(),
            tasks: count(&seen),
            failed,
        };
        self.crew.events().stream().put(batch, &mut seen);
    }

    /// Puts down a task that was called elsewhere, took so long, and ended at that time by the worker's clock.
    pub(super) fn note_elsewhere(
        &self,
        run: RunId,
        seen: Stretch,
        took: Duration,
        to: Duration,
        failed: bool,
    ) {
        let stream = self.crew.events().stream();
        if stream.is_heard() {
            let to = self.notebook.origin + to;
            let from = to.saturating_sub(took);
            let batch =
                Batch { run, worker: self.id, from, to, stretches: 1, tasks: seen.count, failed };
            stream.put(batch, &mut vec![seen]);
        }
    }
}

/// How many tasks there are in all.
fn count(seen: &[Stretch]) -> u32 {
    seen.iter().map(|stretch| stretch.count).sum()
}

/// Puts down a task that ended outside of any worker.
pub(super) fn note_outside(
    events: &Events,
    run: RunId,
    worker: WorkerId,
    seen: Stretch,
    since: Duration,
    failed: bool,
) {
    if events.stream().is_heard() {
        let batch = Batch {
            run,
            worker,
            from: since,
            to: events.now(),
            stretches: 1,
            tasks: seen.count,
            failed,
        };
        events.stream().put(batch, &mut vec![seen]);
    }
}
