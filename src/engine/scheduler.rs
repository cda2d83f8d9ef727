//! [`Engine`]: the decisions about runs and workers, as a pure state machine.
//!
//! It decides which worker starts a run, what happens to a task that failed or whose worker was lost,
//! and when a run is over. Which of a run's tasks a worker takes next is not its business but the
//! [`Run`](super::Run)'s. Runs that are over are forgotten; what comes late for them is no error.

use std::collections::BTreeMap;

use super::event::{Command, Event, RunOutcome, Running};
use super::{RunId, TaskId, WorkerId};

/// How often a task may lose its worker before its run fails, as in Dask (`allowed-failures`).
pub const ALLOWED_LOSSES: u32 = 3;

/// The scheduler's state.
#[derive(Debug, Default)]
pub struct Engine {
    /// The workers that are there, with the number of live runs that each was told to start.
    workers: BTreeMap<WorkerId, Worker>,
    /// The runs that are not over.
    runs: BTreeMap<RunId, RunRecord>,
}

#[derive(Debug, Default)]
struct Worker {
    /// How many live runs were started on this worker. Changed with `RunRecord::starter`.
    started: usize,
}

#[derive(Debug)]
struct RunRecord {
    roots: usize,
    /// The worker that was told to start the run; `None` until there is one.
    starter: Option<WorkerId>,
    /// Tasks that were tried more than once or lost their worker, with how often each happened.
    troubled: BTreeMap<TaskId, Trouble>,
}

#[derive(Debug, Default)]
struct Trouble {
    failures: u32,
    losses: u32,
}

impl Engine {
    /// An engine without workers and runs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one event in and adds what is to be done to `commands`.
    pub fn handle(&mut self, event: Event, commands: &mut Vec<Command>) {
        match event {
            Event::WorkerJoined { worker } => self.worker_joined(worker, commands),
            Event::WorkerLost { worker, running } => self.worker_lost(worker, &running, commands),
            Event::RunSubmitted { run, tasks, roots } => {
                self.run_submitted(run, tasks, roots, commands);
            }
            Event::RunEnded { run } => self.finish(run, RunOutcome::Done, commands),
            Event::TaskFailed { run, task, worker, retries } => {
                self.task_failed(run, task, worker, retries, commands);
            }
            Event::HookFailed { run } => self.finish(run, RunOutcome::HookFailed, commands),
            Event::CancelRequested { run } => self.finish(run, RunOutcome::Cancelled, commands),
        }
    }

    /// The runs that are not over.
    pub fn runs(&self) -> impl ExactSizeIterator<Item = RunId> {
        self.runs.keys().copied()
    }

    /// The workers that are there.
    pub fn workers(&self) -> impl ExactSizeIterator<Item = WorkerId> {
        self.workers.keys().copied()
    }

    fn worker_joined(&mut self, worker: WorkerId, commands: &mut Vec<Command>) {
        self.workers.entry(worker).or_default();
        let waiting = self.runs.iter().filter(|(_, record)| record.starter.is_none());
        let waiting: Vec<RunId> = waiting.map(|(run, _)| *run).collect();
        for run in waiting {
            self.start(run, commands);
        }
    }

    fn run_submitted(
        &mut self,
        run: RunId,
        tasks: usize,
        roots: usize,
        commands: &mut Vec<Command>,
    ) {
        let record = RunRecord { roots, starter: None, troubled: BTreeMap::new() };
        self.runs.insert(run, record);
        if tasks == 0 {
            self.finish(run, RunOutcome::Done, commands);
            return;
        }
        commands.push(Command::Publish { run });
        self.start(run, commands);
    }

    /// Lets the least busy worker start a run. One is enough: it wakes others if there is work for
    /// them, and a run too small to share wakes nobody else.
    fn start(&mut self, run: RunId, commands: &mut Vec<Command>) {
        let Some(worker) = self.least_busy() else {
            return;
        };
        let Some(record) = self.runs.get_mut(&run) else {
            return;
        };
        debug_assert!(record.roots > 0, "a graph without cycles has roots");
        record.starter = Some(worker);
        self.count_start(worker, 1);
        commands.push(Command::RunTasks { worker, run, tasks: Vec::new() });
    }

    /// Ties are broken by the worker's number.
    fn least_busy(&self) -> Option<WorkerId> {
        let least = self.workers.iter().min_by_key(|(worker, state)| (state.started, **worker));
        least.map(|(worker, _)| *worker)
    }

    fn count_start(&mut self, worker: WorkerId, change: isize) {
        if let Some(state) = self.workers.get_mut(&worker) {
            state.started = state.started.saturating_add_signed(change);
        }
    }

    fn task_failed(
        &mut self,
        run: RunId,
        task: TaskId,
        worker: WorkerId,
        retries: u32,
        commands: &mut Vec<Command>,
    ) {
        let Some(record) = self.runs.get_mut(&run) else {
            return;
        };
        let trouble = record.troubled.entry(task).or_default();
        trouble.failures += 1;
        let (failures, attempts) = (trouble.failures, trouble.failures + trouble.losses);
        if failures > retries {
            let outcome = RunOutcome::Failed { task, attempts, worker_lost: false };
            self.finish(run, outcome, commands);
            return;
        }
        commands.push(Command::TellRetry { run, task, attempt: attempts + 1 });
        self.run_again(worker, run, task, commands);
    }

    /// Runs a task once more, where it was if that worker is still there.
    fn run_again(&self, worker: WorkerId, run: RunId, task: TaskId, commands: &mut Vec<Command>) {
        let here = self.workers.contains_key(&worker).then_some(worker);
        // Without any worker the task waits in the lane of the lost one, whose successor finds it.
        let worker = here.or_else(|| self.least_busy()).unwrap_or(worker);
        commands.push(Command::RunTasks { worker, run, tasks: vec![task] });
    }

    fn worker_lost(&mut self, lost: WorkerId, running: &[Running], commands: &mut Vec<Command>) {
        if self.workers.remove(&lost).is_none() {
            return;
        }
        commands.push(Command::ReplaceWorker { worker: lost });
        for Running { run, task, repeatable } in running.iter().copied() {
            let Some(record) = self.runs.get_mut(&run) else {
                continue;
            };
            let trouble = record.troubled.entry(task).or_default();
            trouble.losses += 1;
            let attempts = trouble.failures + trouble.losses;
            if trouble.losses >= ALLOWED_LOSSES || !repeatable {
                let outcome = RunOutcome::Failed { task, attempts, worker_lost: true };
                self.finish(run, outcome, commands);
            } else {
                commands.push(Command::TellRetry { run, task, attempt: attempts + 1 });
                self.run_again(lost, run, task, commands);
            }
        }
        // What the lost worker had only been told to start, another one starts; what lies in its lanes
        // is found by all.
        let orphans = self.runs.iter().filter(|(_, record)| record.starter == Some(lost));
        let orphans: Vec<RunId> = orphans.map(|(run, _)| *run).collect();
        for run in orphans {
            if let Some(record) = self.runs.get_mut(&run) {
                record.starter = None;
            }
            self.start(run, commands);
        }
    }

    fn finish(&mut self, run: RunId, outcome: RunOutcome, commands: &mut Vec<Command>) {
        let Some(record) = self.runs.remove(&run) else {
            return;
        };
        if let Some(starter) = record.starter {
            self.count_start(starter, -1);
        }
        commands.push(Command::Finish { run, outcome });
    }

    /// Checks every index against what it says. For tests.
    ///
    /// # Panics
    ///
    /// If one is wrong.
    pub fn check_invariants(&self) {
        for (worker, state) in &self.workers {
            let started =
                self.runs.values().filter(|record| record.starter == Some(*worker)).count();
            assert_eq!(state.started, started, "{worker:?} counts the runs it started wrongly");
        }
        for (run, record) in &self.runs {
            let there = record.starter.is_none_or(|starter| self.workers.contains_key(&starter));
            assert!(there, "{run:?} waits for a worker that is gone");
            let waits = record.starter.is_none() && !self.workers.is_empty();
            assert!(!waits, "{run:?} waits although there are workers");
        }
    }
}
