//! [`History`]: what happened in a world, in order. Two worlds of one seed have the same history.

use std::collections::{BTreeMap, BTreeSet};

use mobula::TaskId;
use mobula::engine::{Command, Event, RunId, RunOutcome, WorkerId};

/// What happened in a world.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct History {
    entries: Vec<(u64, Entry)>,
    /// By run: when it ended, and how.
    pub(crate) ends: BTreeMap<usize, (u64, RunOutcome)>,
    pub(crate) counts: Counts,
    /// The most bytes that were held at once before a run was over.
    pub(crate) peak: u64,
}

/// Something that happened.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Heard(Event),
    Commanded(Command),
    Started(WorkerId, RunId, TaskId),
    Completed(WorkerId, RunId, TaskId),
    Lost(WorkerId),
}

/// How often what a test is about happened, so that a test that saw nothing can tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) starts: u64,
    pub(crate) taken: u64,
    pub(crate) turns_over: u64,
    pub(crate) retries: u64,
    pub(crate) delays: u64,
    pub(crate) condemned: u64,
    pub(crate) without_value: u64,
    pub(crate) incomplete: u64,
    pub(crate) timed_out: u64,
    pub(crate) relieved: u64,
    pub(crate) shortages: u64,
    pub(crate) came_back: u64,
    pub(crate) overdue: u64,
    pub(crate) lost_idle: u64,
    pub(crate) lost_in_task: u64,
    pub(crate) awaited: u64,
    pub(crate) answered: u64,
    pub(crate) done: u64,
    pub(crate) failed: u64,
    pub(crate) failed_by_loss: u64,
    pub(crate) hooks_failed: u64,
    pub(crate) cancelled: u64,
    pub(crate) late: u64,
    pub(crate) admitted: u64,
    pub(crate) held_back: u64,
    pub(crate) ran_alone: u64,
    pub(crate) spilled: u64,
    pub(crate) left_again: u64,
    pub(crate) failed_writes: u64,
    pub(crate) pinned_in_write: u64,
    pub(crate) released_in_write: u64,
    pub(crate) restored: u64,
    pub(crate) waited_for_inputs: u64,
    pub(crate) waited_for_results: u64,
    pub(crate) lost: u64,
    pub(crate) lost_inputs: u64,
    pub(crate) lost_results: u64,
}

impl History {
    pub(crate) fn note(&mut self, at: u64, entry: Entry) {
        let counts = &mut self.counts;
        match &entry {
            Entry::Started(..) => counts.starts += 1,
            Entry::Commanded(Command::TellRetry { .. }) => counts.retries += 1,
            Entry::Heard(Event::WorkerLost { running, .. }) => match running.len() {
                0 => counts.lost_idle += 1,
                _ => counts.lost_in_task += 1,
            },
            Entry::Heard(_) | Entry::Commanded(_) | Entry::Completed(..) | Entry::Lost(_) => {}
        }
        self.entries.push((at, entry));
    }

    /// How many things have happened.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn ended(&mut self, run: usize, at: u64, outcome: RunOutcome) {
        let counts = &mut self.counts;
        match outcome {
            RunOutcome::Done => counts.done += 1,
            RunOutcome::Failed { worker_lost: false, .. } => counts.failed += 1,
            RunOutcome::Failed { worker_lost: true, .. } => counts.failed_by_loss += 1,
            RunOutcome::HookFailed => counts.hooks_failed += 1,
            RunOutcome::Incomplete => counts.incomplete += 1,
            RunOutcome::Overdue => counts.overdue += 1,
            RunOutcome::Cancelled => counts.cancelled += 1,
        }
        self.ends.insert(run, (at, outcome));
    }

    /// How many workers have started a task.
    pub(crate) fn workers_that_started(&self) -> usize {
        let started = |(_, entry): &(u64, Entry)| match entry {
            Entry::Started(worker, ..) => Some(*worker),
            Entry::Heard(_) | Entry::Commanded(_) | Entry::Completed(..) | Entry::Lost(_) => None,
        };
        self.entries.iter().filter_map(started).collect::<BTreeSet<_>>().len()
    }

    /// Prints what happened last.
    #[expect(clippy::print_stderr, reason = "it stands beside the message of the broken law")]
    pub(crate) fn print_end(&self) {
        const SHOWN: usize = 40;
        let from = self.entries.len().saturating_sub(SHOWN);
        eprintln!("{from} things happened, and then:");
        for (at, entry) in &self.entries[from..] {
            eprintln!("{at:>12} ns  {entry:?}");
        }
    }
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Self) {
        for (sum, count) in self.all_mut().into_iter().zip(other.clone().all_mut()) {
            *sum.1 += *count.1;
        }
    }

    /// What never happened.
    pub(crate) fn missing(mut self) -> Vec<&'static str> {
        let counts = self.all_mut().into_iter();
        counts.filter(|(_, count)| **count == 0).map(|(name, _)| name).collect()
    }

    fn all_mut(&mut self) -> [(&'static str, &mut u64); 37] {
        [
            ("starts", &mut self.starts),
            ("tasks taken from others", &mut self.taken),
            ("turns that were over", &mut self.turns_over),
            ("retries", &mut self.retries),
            ("retries after a delay", &mut self.delays),
            ("failures that were outlived", &mut self.condemned),
            ("tasks that ended without a value", &mut self.without_value),
            ("runs that were incomplete", &mut self.incomplete),
            ("tasks over their limit", &mut self.timed_out),
            ("workers relieved", &mut self.relieved),
            ("workers that nobody could relieve", &mut self.shortages),
            ("calls that came back late", &mut self.came_back),
            ("runs over their limit", &mut self.overdue),
            ("idle workers lost", &mut self.lost_idle),
            ("workers lost in a task", &mut self.lost_in_task),
            ("asynchronous tasks", &mut self.awaited),
            ("answers of callbacks", &mut self.answered),
            ("runs done", &mut self.done),
            ("runs failed", &mut self.failed),
            ("runs failed by losses", &mut self.failed_by_loss),
            ("runs failed by hooks", &mut self.hooks_failed),
            ("runs cancelled", &mut self.cancelled),
            ("late completions", &mut self.late),
            ("tasks that were given room", &mut self.admitted),
            ("looks for room in vain", &mut self.held_back),
            ("tasks that ran alone", &mut self.ran_alone),
            ("values that were spilled", &mut self.spilled),
            ("values that left for nothing", &mut self.left_again),
            ("writes that failed", &mut self.failed_writes),
            ("values pinned in a write", &mut self.pinned_in_write),
            ("values released in a write", &mut self.released_in_write),
            ("values restored", &mut self.restored),
            ("tasks that waited for inputs", &mut self.waited_for_inputs),
            ("runs that waited for results", &mut self.waited_for_results),
            ("values lost", &mut self.lost),
            ("runs that lost an input", &mut self.lost_inputs),
            ("runs that lost a result", &mut self.lost_results),
        ]
    }
}
