//! [`Model`]: what is known of a cluster, kept up to date from the stream of events.
//!
//! It reads no clock and no file: time and numbers of the system are arguments.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::accounts::{Account, Over};
use super::blocks::{self, Block};
use super::recording::RecordedRun;
use super::snapshot::{
    Counts, ErrorSnapshot, MemorySnapshot, RunStatus, Snapshot, StateSnapshot, Totals, WorkerKind,
    WorkerSnapshot, WorkerState,
};
use super::telling::Telling;
use crate::actors::events::{Caught, End, Event, Happening, Note, Noted};
use crate::actors::worker::told;
use crate::engine::{Failure, RunId, TaskId, WorkerId};
use crate::graph::Plan;

/// So many runs that are over are shown.
const RUNS_KEPT: usize = 20;

/// So many errors are shown.
const ERRORS_KEPT: usize = 100;

/// With what a run failed.
fn told_of_all(failures: &[Failure]) -> String {
    match failures {
        [] => "a hook failed".to_owned(),
        [failure] => told(failure),
        [first, others @ ..] => format!("{} (and {} more)", told(first), others.len()),
    }
}

/// What is known of a cluster.
#[derive(Default)]
pub(super) struct Model {
    /// The runs that go on, and the last ones that have ended.
    accounts: BTreeMap<RunId, Account>,
    workers: BTreeMap<WorkerId, OfWorker>,
    totals: Totals,
    errors: VecDeque<ErrorSnapshot>,
    /// What is to be told to those who record.
    pub(super) telling: Telling,
    /// What workers did since the last update.
    blocks: Vec<Block>,
    /// The plans of runs that are over, to be dropped where code of users may run.
    pub(super) plans_let_go: Vec<Arc<Plan>>,
}

/// What is known of a worker.
#[derive(Default)]
struct OfWorker {
    process: Option<u32>,
    is_stuck: bool,
    /// The task that it was in at the last look, and when it was first seen in it.
    inside: Option<((RunId, TaskId), Duration)>,
    tasks: u64,
    /// The time that it spent in tasks that have ended.
    busy: Duration,
    /// The time that it had spent in tasks at the last looks, that of the task that it was in among it.
    lately: VecDeque<(Duration, Duration)>,
}

/// What a look at the cluster has found.
#[derive(Default)]
pub(super) struct Look {
    /// The number of workers.
    pub(super) workers: usize,
    /// The task that each worker is in, if it is in one.
    pub(super) inside: BTreeMap<WorkerId, (RunId, TaskId)>,
    /// By worker: the number of its process, and what that has in memory.
    pub(super) processes: BTreeMap<WorkerId, (u32, u64)>,
    /// By run: how many of its futures are being awaited.
    pub(super) awaited: Vec<(RunId, u64)>,
    pub(super) memory: MemorySnapshot,
    pub(super) states: Vec<StateSnapshot>,
}

impl Model {
    pub(super) fn knows(&self, run: RunId) -> bool {
        self.accounts.contains_key(&run)
    }

    /// A run that goes on; it may be that nobody was told of its beginning.
    pub(super) fn meet(&mut self, noted: Noted, now: Duration) {
        if let Noted::RunBegan { run, began, plan, tally, hooks } = noted
            && !self.knows(run)
        {
            self.totals.runs += 1;
            let mut account = Account::new(run, began, plan, tally, hooks, false);
            account.count(now);
            drop(account.newly_answered());
            self.telling.began(&account);
            self.accounts.insert(run, account);
        }
    }

    /// Takes in what was caught.
    pub(super) fn take_in(&mut self, caught: &mut Caught, now: Duration) {
        for note in caught.notes.drain(..) {
            self.hear(note);
        }
        for (batches, stretches) in caught.batches() {
            let mut at = 0;
            // Those of one worker follow each other.
            let mut blocks = Vec::new();
            for batch in batches {
                let seen = &stretches[at..at + batch.stretches];
                at += batch.stretches;
                let worker = self.workers.entry(batch.worker).or_default();
                worker.busy += batch.to.saturating_sub(batch.from);
                worker.tasks += if batch.failed { 0 } else { u64::from(batch.tasks) };
                let Some(account) = self.accounts.get_mut(&batch.run) else { continue };
                account.seen += if batch.failed { 0 } else { u64::from(batch.tasks) };
                let each = batch.to.saturating_sub(batch.from) / batch.tasks.max(1);
                let groups = Arc::clone(&account.groups);
                blocks::pieces(&groups, batch.from, each, seen, |piece| {
                    account.took(piece.prefix, piece.tasks, each, piece.bytes);
                    blocks::add(&mut blocks, account, batch, piece);
                });
                self.telling.ended(batch, seen);
            }
            self.blocks.append(&mut blocks);
        }
        self.totals.unseen_events += caught.lost_notes;
        for (run, tasks) in caught.unseen() {
            self.totals.unseen += tasks;
            if let Some(account) = self.accounts.get_mut(&run) {
                account.unseen += tasks;
            }
            self.telling.unseen(now, run, tasks);
        }
    }

    fn hear(&mut self, Note { at, what }: Note) {
        match what {
            Noted::RunBegan { run, began, plan, tally, hooks } => {
                // Other answers are found when the tasks are counted next.
                let may_have_answered = hooks.is_some();
                let mut account = Account::new(run, began, plan, tally, hooks, true);
                if may_have_answered {
                    account.count(at);
                    drop(account.newly_answered());
                }
                self.telling.began(&account);
                if self.accounts.insert(run, account).is_none() {
                    self.totals.runs += 1;
                }
            }
            Noted::RunEnded { run, end } => self.ended(run, at, end),
            Noted::Event { event, task, details } => self.happened(at, event, task, details),
            Noted::WorkerUp { worker } => {
                self.workers.entry(worker).or_default().is_stuck = false;
                self.telling.worker_up(at, worker, None);
            }
            Noted::Child { worker, process } => {
                self.workers.entry(worker).or_default().process = Some(process);
                self.telling.worker_up(at, worker, Some(process));
            }
            Noted::WorkerDown { worker, why } => {
                self.totals.workers_lost += 1;
                self.workers.entry(worker).or_default().process = None;
                self.telling.worker_down(at, worker, why);
            }
            Noted::WorkerStuck { worker } => {
                self.workers.entry(worker).or_default().is_stuck = true;
                self.telling.worker_down(at, worker, "its task is over its time limit".to_owned());
            }
        }
    }

    fn ended(&mut self, run: RunId, at: Duration, end: End) {
        let Some(account) = self.accounts.get_mut(&run).filter(|account| account.over.is_none())
        else {
            return;
        };
        let (status, error, task) = match end {
            End::Done => (RunStatus::Done, None, None),
            End::Cancelled => (RunStatus::Cancelled, None, None),
            End::Failed { failures, task } => {
                (RunStatus::Failed, Some(told_of_all(&failures)), task)
            }
        };
        account.over = Some(Over { at, status, error, task, is_told: false });
        account.count(at);
        self.telling.answered(at, run, account.newly_answered());
        let Counts { done, cached, failed, retried, .. } = account.counts();
        self.plans_let_go.extend(account.let_plan_go());
        let totals = &mut self.totals;
        match status {
            RunStatus::Running | RunStatus::Done => totals.runs_done += 1,
            RunStatus::Failed => totals.runs_failed += 1,
            RunStatus::Cancelled => totals.runs_cancelled += 1,
        }
        totals.tasks += done;
        totals.cached += cached;
        totals.failed += failed;
        totals.retried += retried;
    }

    fn happened(&mut self, at: Duration, event: Event, task: Option<TaskId>, details: String) {
        let run = event.run.map(RunId);
        let account = run.and_then(|run| self.accounts.get_mut(&run));
        match &event.what {
            Happening::TriedAgain { .. } => {
                if let Some((account, task)) = account.zip(task) {
                    account.retried(task);
                }
                if let Some(error) = self.last_error(&event) {
                    error.is_retried = true;
                }
            }
            Happening::Failed { error } => {
                if self.errors.len() == ERRORS_KEPT {
                    self.errors.pop_front();
                }
                self.errors.push_back(ErrorSnapshot {
                    at: at.as_secs_f64(),
                    run: event.run,
                    key: event.key.to_string(),
                    error: error.clone(),
                    details: details.clone(),
                    is_final: false,
                    is_retried: false,
                });
            }
            Happening::GivenUp { .. } => {
                if let Some(error) = self.last_error(&event) {
                    error.is_final = true;
                }
            }
            Happening::Spilled { bytes } => {
                self.totals.spilled += 1;
                self.totals.spilled_bytes += bytes;
            }
            Happening::Restored { bytes } => {
                self.totals.restored += 1;
                self.totals.restored_bytes += bytes;
            }
            Happening::Ended { .. }
            | Happening::Skipped { .. }
            | Happening::NotSpilled { .. }
            | Happening::Unreadable { .. }
            | Happening::Lost { .. } => {}
        }
        self.telling.happened(at, event, task, details);
    }

    /// The last failure of the task that an event is about.
    fn last_error(&mut self, event: &Event) -> Option<&mut ErrorSnapshot> {
        let key = event.key.to_string();
        self.errors.iter_mut().rev().find(|error| error.run == event.run && error.key == key)
    }

    /// Counts the tasks of the runs that go on anew: of all, or of those that nobody has counted yet.
    pub(super) fn count(&mut self, now: Duration, look: &Look, all: bool) {
        let wanted =
            |account: &&mut Account| account.over.is_none() && (all || !account.is_counted());
        for account in self.accounts.values_mut().filter(wanted) {
            let id = account.id;
            let inside = look.inside.values().filter(|(run, _)| *run == id);
            let awaited = look.awaited.iter().find(|(run, _)| *run == id);
            account.is_in(
                inside.map(|(_, task)| *task),
                awaited.map_or(0, |(_, awaited)| *awaited),
                now,
            );
            account.count(now);
            self.telling.answered(now, id, account.newly_answered());
        }
    }

    /// True if there is a run that is over, and of some of its tasks is not known yet how long they took.
    pub(super) fn is_waiting(&self) -> bool {
        let waits = |account: &Account| {
            account.over.as_ref().is_some_and(|over| !over.is_told) && !account.is_complete()
        };
        self.accounts.values().any(waits)
    }

    /// Tells those who record of the ends of runs: of those that are complete, or of all that are over.
    pub(super) fn tell_ends(&mut self, all: bool, now: Duration, workers: usize) {
        /// Times that have not come until then are not waited for.
        const PATIENCE: Duration = Duration::from_secs(2);
        let untold =
            |account: &&mut Account| account.over.as_ref().is_some_and(|over| !over.is_told);
        for account in self.accounts.values_mut().filter(untold) {
            let ended = account.over.as_ref().map_or(now, |over| over.at);
            let is_due = all || account.is_complete() || now.saturating_sub(ended) >= PATIENCE;
            let counts = account.counts();
            let hooks = account.hook_times();
            if let Some(over) = account.over.as_mut().filter(|over| is_due && !over.is_told) {
                over.is_told = true;
                self.telling.run_ended(account.id, over, counts, hooks);
                account.close(now, workers);
            }
        }
        let over = |account: &&Account| account.over.as_ref().is_some_and(|over| over.is_told);
        let kept = self.accounts.values().filter(over).count();
        let gone: Vec<RunId> = self
            .accounts
            .values()
            .filter(over)
            .take(kept.saturating_sub(RUNS_KEPT))
            .map(|account| account.id)
            .collect();
        for run in gone {
            self.accounts.remove(&run);
        }
    }

    /// Tells somebody who begins to record now what goes on.
    pub(super) fn introduce(&mut self, now: Duration, look: &Look) {
        for worker in 0..u32::try_from(look.workers).unwrap_or(u32::MAX) {
            let process = look.processes.get(&WorkerId(worker)).map(|(process, _)| *process);
            self.telling.worker_up(now, WorkerId(worker), process);
        }
        for account in self.accounts.values().filter(|account| account.over.is_none()) {
            self.telling.began(account);
        }
    }

    /// The graph of a run, as far as it is known, and how its tasks stand.
    pub(super) fn graph(&mut self, run: RunId) -> Option<(Arc<RecordedRun>, Vec<u8>)> {
        let account = self.accounts.get_mut(&run)?;
        let graph = account.graph()?;
        Some((graph, account.states()))
    }

    /// What workers did since this was asked last.
    pub(super) fn take_blocks(&mut self) -> Vec<Block> {
        std::mem::take(&mut self.blocks)
    }

    /// How things stand.
    pub(super) fn snapshot(&mut self, now: Duration, look: &Look) -> Snapshot {
        let mut totals = self.totals;
        for account in self.accounts.values().filter(|account| account.over.is_none()) {
            let counts = account.counts();
            totals.tasks += counts.done;
            totals.cached += counts.cached;
            totals.failed += counts.failed;
            totals.retried += counts.retried;
        }
        let runs = self.accounts.values().map(|account| account.snapshot(now, look.workers));
        Snapshot {
            at: now.as_secs_f64(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            runs: runs.collect(),
            workers: self.workers(now, look),
            memory: look.memory,
            totals,
            errors: self.errors.iter().cloned().collect(),
            states: look.states.clone(),
            ..Snapshot::default()
        }
    }

    fn workers(&mut self, now: Duration, look: &Look) -> Vec<WorkerSnapshot> {
        let asked_for = u32::try_from(look.workers).unwrap_or(u32::MAX);
        for worker in 0..asked_for {
            self.workers.entry(WorkerId(worker)).or_default();
        }
        let mut snapshots = Vec::new();
        for (worker, of) in &mut self.workers {
            // The one number behind the workers' stands for tasks that end outside of any worker.
            if worker.0 == asked_for {
                continue;
            }
            let inside = look.inside.get(worker);
            let goes_on = of.inside.filter(|(task, _)| inside == Some(task));
            of.inside = goes_on.or_else(|| inside.map(|task| (*task, now)));
            let process = look.processes.get(worker);
            let state = match (of.is_stuck, inside) {
                (true, _) => WorkerState::Stuck,
                (false, Some(_)) => WorkerState::Busy,
                (false, None) => WorkerState::Idle,
            };
            let key = inside.and_then(|(run, task)| {
                Some(self.accounts.get(run)?.plan.as_ref()?.key(*task).to_string())
            });
            snapshots.push(WorkerSnapshot {
                id: worker.0,
                kind: if process.is_some() { WorkerKind::Process } else { WorkerKind::Thread },
                pid: process.map(|(process, _)| *process),
                state,
                task: key,
                run: inside.map(|(run, _)| run.0),
                since: of.inside.map(|(_, since)| since.as_secs_f64()),
                tasks: of.tasks,
                busy: of.busy_lately(now),
                resident: process.map(|(_, resident)| *resident),
            });
        }
        snapshots
    }
}

impl OfWorker {
    /// The share of the last seconds that the worker spent in tasks.
    fn busy_lately(&mut self, now: Duration) -> f64 {
        const OVER: Duration = Duration::from_secs(3);
        let inside = self.inside.map_or(Duration::ZERO, |(_, since)| now.saturating_sub(since));
        let busy = self.busy + inside;
        self.lately.push_back((now, busy));
        while self.lately.len() > 2 && now.saturating_sub(self.lately[1].0) >= OVER {
            self.lately.pop_front();
        }
        let (from, before) = self.lately[0];
        let (over, busy) = (now.saturating_sub(from), busy.saturating_sub(before));
        if over.is_zero() {
            return if self.inside.is_some() { 1.0 } else { 0.0 };
        }
        (busy.as_secs_f64() / over.as_secs_f64()).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_as_busy_as_its_time_was_in_tasks() {
        let tenths = |tenths: u32| Duration::from_millis(100) * tenths;
        let task = |number| (RunId(1), TaskId(number));
        let mut of = OfWorker::default();
        of.busy_lately(Duration::ZERO);
        // One task of 1.6 s after the other.
        for look in 1..=100 {
            let number = (look - 1) / 16;
            if (look - 1) % 16 == 0 && look > 1 {
                of.busy += tenths(16);
            }
            of.inside = Some((task(number), tenths(number * 16)));
            assert!(of.busy_lately(tenths(look)) > 0.99, "{look}");
        }
        // The last one ends after 100 looks, and there is no other.
        of.busy += tenths(4);
        of.inside = None;
        let shares: Vec<f64> = (101..=140).map(|look| of.busy_lately(tenths(look))).collect();
        assert!(shares.is_sorted_by(|one, next| one >= next));
        assert!(shares[0] > 0.9 && shares[39] < 0.01, "{shares:?}");
    }
}
