//! [`Engine`]: the decisions about runs and workers, as a pure state machine.
//!
//! It decides which worker starts a run, what happens to a task that failed or whose worker was lost,
//! and when a run is over. Which of a run's tasks a worker takes next is not its business but the
//! [`Run`](super::Run)'s. Runs that are over are forgotten; what comes late for them is no error.

use std::collections::{BTreeMap, BTreeSet};

use super::event::{Command, Event, RunOutcome, Running};
use super::{OnError, RunId, TaskId, WorkerId};
use crate::graph::Backoff;

/// How often a task may lose its worker before its run fails, as in Dask (`allowed-failures`).
pub const ALLOWED_LOSSES: u32 = 3;

/// The scheduler's state.
#[derive(Debug, Default)]
pub struct Engine {
    /// The workers that are there, with the number of live runs that each was told to start.
    workers: BTreeMap<WorkerId, Worker>,
    /// Numbers that can be given to workers which stand in for others that are stuck.
    seats: BTreeSet<WorkerId>,
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
    /// Tasks that are to be tried again after a delay, with where they failed. They are troubled.
    delayed: BTreeMap<TaskId, WorkerId>,
    on_error: OnError,
    /// How many tasks failed for good; more than none only if the run goes on then.
    failed: u32,
}

#[derive(Debug, Default)]
struct Trouble {
    failures: u32,
    losses: u32,
    /// True once the task failed for good: it is not called any more, but completes without a value.
    condemned: bool,
}

/// A task that failed; see [`Event::TaskFailed`].
struct Failed {
    run: RunId,
    task: TaskId,
    worker: WorkerId,
    retries: u32,
    backoff: Backoff,
    by_hook: bool,
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
            Event::TasksLost { worker, running } => self.lose_tasks(worker, &running, commands),
            Event::RunSubmitted { run, tasks, roots, on_error } => {
                let record = RunRecord {
                    roots,
                    starter: None,
                    troubled: BTreeMap::new(),
                    delayed: BTreeMap::new(),
                    on_error,
                    failed: 0,
                };
                self.run_submitted(run, record, tasks, commands);
            }
            Event::RunEnded { run } => self.run_ended(run, commands),
            Event::RunOverdue { run } => self.finish(run, RunOutcome::Overdue, commands),
            Event::TaskFailed { run, task, worker, retries, backoff, by_hook } => {
                let retries = if by_hook { 0 } else { retries };
                let failed = Failed { run, task, worker, retries, backoff, by_hook };
                self.task_failed(&failed, commands);
            }
            Event::DelayEnded { run, task } => self.delay_ended(run, task, commands),
            Event::WorkerStuck { worker } => self.worker_stuck(worker, commands),
            Event::SeatFree { worker, running } => {
                self.seats.insert(worker);
                self.lose_tasks(worker, &running, commands);
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
        record: RunRecord,
        tasks: usize,
        commands: &mut Vec<Command>,
    ) {
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

    fn run_ended(&mut self, run: RunId, commands: &mut Vec<Command>) {
        let Some(record) = self.runs.get(&run) else {
            return;
        };
        let incomplete = record.failed > 0 && record.on_error == OnError::Collect;
        let outcome = if incomplete { RunOutcome::Incomplete } else { RunOutcome::Done };
        self.finish(run, outcome, commands);
    }

    fn task_failed(&mut self, failed: &Failed, commands: &mut Vec<Command>) {
        let Failed { run, task, worker, retries, backoff, by_hook } = *failed;
        let Some(record) = self.runs.get_mut(&run) else {
            return;
        };
        let trouble = record.troubled.entry(task).or_default();
        trouble.failures += 1;
        let (failures, attempts) = (trouble.failures, trouble.failures + trouble.losses);
        if failures > retries {
            if by_hook {
                let outcome = RunOutcome::Failed { task, attempts, worker_lost: false };
                return self.finish(run, outcome, commands);
            }
            return self.fail_for_good(run, task, worker, false, commands);
        }
        commands.push(Command::TellRetry { run, task, attempt: attempts + 1 });
        let delay = backoff.delay(failures);
        if delay.is_zero() {
            return self.run_again(worker, run, task, commands);
        }
        record.delayed.insert(task, worker);
        commands.push(Command::Delay { run, task, delay });
    }

    /// A task will have no value: the run ends with it, or goes on without it.
    fn fail_for_good(
        &mut self,
        run: RunId,
        task: TaskId,
        worker: WorkerId,
        worker_lost: bool,
        commands: &mut Vec<Command>,
    ) {
        let Some(record) = self.runs.get_mut(&run) else {
            return;
        };
        let trouble = record.troubled.entry(task).or_default();
        let attempts = trouble.failures + trouble.losses;
        match record.on_error {
            OnError::Raise => {
                let outcome = RunOutcome::Failed { task, attempts, worker_lost };
                self.finish(run, outcome, commands);
            }
            OnError::Skip | OnError::Collect => {
                if !std::mem::replace(&mut trouble.condemned, true) {
                    record.failed += 1;
                    commands.push(Command::Condemn { run, task, attempts, worker_lost });
                }
                self.run_again(worker, run, task, commands);
            }
        }
    }

    fn delay_ended(&mut self, run: RunId, task: TaskId, commands: &mut Vec<Command>) {
        let record = self.runs.get_mut(&run);
        // A run that has ended meanwhile has forgotten it.
        if let Some(worker) = record.and_then(|record| record.delayed.remove(&task)) {
            self.run_again(worker, run, task, commands);
        }
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
        self.lose_tasks(lost, running, commands);
        self.start_orphans(lost, commands);
    }

    fn worker_stuck(&mut self, stuck: WorkerId, commands: &mut Vec<Command>) {
        if !self.workers.contains_key(&stuck) {
            return;
        }
        // Its own number is not free: it may still write where only one may, until it has really ended.
        let Some(seat) = self.seats.pop_first() else {
            commands.push(Command::TellShortage { worker: stuck });
            return;
        };
        self.workers.remove(&stuck);
        commands.push(Command::RelieveWorker { worker: stuck, seat });
        self.start_orphans(stuck, commands);
    }

    /// Tasks whose worker is gone are tried again, if they can be.
    fn lose_tasks(&mut self, lost: WorkerId, running: &[Running], commands: &mut Vec<Command>) {
        for Running { run, task, repeatable } in running.iter().copied() {
            let Some(record) = self.runs.get_mut(&run) else {
                continue;
            };
            let trouble = record.troubled.entry(task).or_default();
            trouble.losses += 1;
            let (losses, attempts) = (trouble.losses, trouble.failures + trouble.losses);
            if !repeatable {
                // Uses of its inputs may be spent already, so it cannot even end without a value.
                let outcome = RunOutcome::Failed { task, attempts, worker_lost: true };
                self.finish(run, outcome, commands);
            } else if losses >= ALLOWED_LOSSES {
                self.fail_for_good(run, task, lost, true, commands);
            } else {
                commands.push(Command::TellRetry { run, task, attempt: attempts + 1 });
                self.run_again(lost, run, task, commands);
            }
        }
    }

    /// What a worker that is gone had only been told to start, another one starts; what lies in its
    /// lanes is found by all.
    fn start_orphans(&mut self, gone: WorkerId, commands: &mut Vec<Command>) {
        let orphans = self.runs.iter().filter(|(_, record)| record.starter == Some(gone));
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
        let taken = self.seats.iter().find(|seat| self.workers.contains_key(seat));
        assert_eq!(taken, None, "a number is free although a worker has it");
        for (run, record) in &self.runs {
            let there = record.starter.is_none_or(|starter| self.workers.contains_key(&starter));
            assert!(there, "{run:?} waits for a worker that is gone");
            let waits = record.starter.is_none() && !self.workers.is_empty();
            assert!(!waits, "{run:?} waits although there are workers");
            let troubled = |task: &TaskId| record.troubled.contains_key(task);
            let delayed = record.delayed.keys().all(troubled);
            assert!(delayed, "{run:?} delays a task that has not failed");
            let condemned = record.troubled.values().filter(|trouble| trouble.condemned).count();
            assert_eq!(record.failed as usize, condemned, "{run:?} counts its failures wrongly");
            let outlives = condemned == 0 || record.on_error != OnError::Raise;
            assert!(outlives, "{run:?} goes on although a task failed");
        }
    }
}
