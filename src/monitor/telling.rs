//! [`Telling`]: what happened, as records for those who record it. Nothing is made while nobody does.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::accounts::{Account, Over, nanoseconds, needs_of};
use super::record::{Ended, Outcome, Record};
use super::snapshot::{Counts, HookSnapshot, MemorySnapshot};
use crate::actors::events::{Batch, Event, Happening, Stretch};
use crate::engine::{RunId, TaskId, WorkerId};
use crate::graph::Plan;

/// So many keys stand on one line of a journal.
const KEYS_A_RECORD: usize = 1_000;

/// The plans of so many runs are known again.
const PLANS_KNOWN: usize = 16;

/// The records of what happened since somebody has taken them.
#[derive(Default)]
pub(super) struct Telling {
    /// True while somebody records.
    pub(super) is_wanted: bool,
    records: Vec<Record>,
    /// Which workers were in which tasks at the last look, so that those are told who stay there.
    inside: HashSet<(WorkerId, RunId, TaskId)>,
    /// Which of them were told.
    told: HashSet<(WorkerId, RunId, TaskId)>,
    /// Plans whose keys were told, and of which run; the oldest first.
    plans: VecDeque<(Weak<Plan>, RunId)>,
}

impl Telling {
    /// Takes what is to be told.
    pub(super) fn take(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.records)
    }

    fn tell(&mut self, record: impl FnOnce() -> Record) {
        if self.is_wanted {
            self.records.push(record());
        }
    }

    /// The beginning of what somebody records.
    pub(super) fn introduce(&mut self, now: Duration, unix_time: f64) {
        // Who begins to record now has been told of none.
        self.plans.clear();
        self.tell(|| Record::Journal {
            version: 1,
            mobula: env!("CARGO_PKG_VERSION").to_owned(),
            at: now.as_secs_f64(),
            unix_time,
            pid: std::process::id(),
        });
    }

    pub(super) fn worker_up(&mut self, at: Duration, worker: WorkerId, pid: Option<u32>) {
        self.tell(|| Record::WorkerUp { at: at.as_secs_f64(), worker: worker.0, pid });
    }

    pub(super) fn worker_down(&mut self, at: Duration, worker: WorkerId, why: String) {
        self.tell(|| Record::WorkerDown { at: at.as_secs_f64(), worker: worker.0, why });
    }

    pub(super) fn memory(&mut self, at: Duration, memory: MemorySnapshot) {
        self.tell(|| Record::Memory { at: at.as_secs_f64(), memory });
    }

    pub(super) fn unseen(&mut self, at: Duration, run: RunId, tasks: u64) {
        self.tell(|| Record::Unseen { at: at.as_secs_f64(), run: run.0, tasks });
    }

    /// A run begins, or goes on when somebody begins to record.
    pub(super) fn began(&mut self, account: &Account) {
        if !self.is_wanted {
            return;
        }
        let (at, run) = (account.began.as_secs_f64(), account.id.0);
        let cached = account.answered().to_vec();
        self.records.push(Record::Run {
            at,
            run,
            tasks: u32::try_from(account.tally.len()).unwrap_or(u32::MAX),
            spared: u32::try_from(cached.len()).unwrap_or(u32::MAX),
        });
        if let Some(plan) = &account.plan {
            let is_known = |(known, _): &&(Weak<Plan>, RunId)| known.as_ptr() == Arc::as_ptr(plan);
            if let Some((_, as_run)) = self.plans.iter().find(is_known) {
                self.records.push(Record::SameKeys { run, as_run: as_run.0 });
            } else {
                self.keys(account, plan);
                self.plans.retain(|(known, _)| known.strong_count() > 0);
                self.plans.push_back((Arc::downgrade(plan), account.id));
                if self.plans.len() > PLANS_KNOWN {
                    self.plans.pop_front();
                }
            }
        }
        if !cached.is_empty() {
            self.records.push(Record::Cached { at, run, tasks: cached });
        }
    }

    /// Hooks have answered for these tasks since the run began.
    pub(super) fn answered(&mut self, at: Duration, run: RunId, tasks: Vec<u32>) {
        if !tasks.is_empty() {
            self.tell(|| Record::Cached { at: at.as_secs_f64(), run: run.0, tasks });
        }
    }

    fn keys(&mut self, account: &Account, plan: &Arc<Plan>) {
        let tasks: Vec<TaskId> = plan.tasks().collect();
        let mut named = 0;
        for chunk in tasks.chunks(KEYS_A_RECORD) {
            let first = chunk[0].0;
            let prefixes: Vec<u32> =
                chunk.iter().map(|task| account.groups.of[task.index()]).collect();
            // Prefixes are numbered in the order in which they come.
            let most = prefixes.iter().max().map_or(0, |last| *last as usize + 1).max(named);
            let new = account.groups.names[named..most].iter();
            self.records.push(Record::Keys {
                run: account.id.0,
                first,
                keys: chunk.iter().map(|task| plan.key(*task).to_string()).collect(),
                prefixes,
                new_prefixes: new.map(ToString::to_string).collect(),
                needs: chunk.iter().map(|task| needs_of(plan, *task)).collect(),
            });
            named = most;
        }
    }

    /// Tasks have ended in a worker.
    pub(super) fn ended(&mut self, batch: &Batch, seen: &[Stretch]) {
        self.tell(|| {
            Record::Ended(Ended {
                run: batch.run.0,
                worker: batch.worker.0,
                from: nanoseconds(batch.from),
                to: nanoseconds(batch.to),
                tasks: seen.iter().flat_map(|seen| seen.tasks().map(|task| task.0)).collect(),
                bytes: seen.iter().flat_map(|seen| seen.tasks().map(|_| seen.bytes)).collect(),
                failed: batch.failed,
            })
        });
    }

    /// These workers are in these tasks. Those that were there at the last look, too, have started.
    pub(super) fn inside(&mut self, at: Duration, inside: HashSet<(WorkerId, RunId, TaskId)>) {
        if !self.is_wanted {
            return;
        }
        let mut stay: Vec<_> = inside.intersection(&self.inside).copied().collect();
        stay.sort_unstable();
        for (worker, run, task) in stay {
            if self.told.insert((worker, run, task)) {
                let at = at.as_secs_f64();
                self.records.push(Record::Started {
                    at,
                    run: run.0,
                    task: task.0,
                    worker: worker.0,
                });
            }
        }
        self.told.retain(|told| inside.contains(told));
        self.inside = inside;
    }

    /// Something happened to a key.
    pub(super) fn happened(
        &mut self,
        at: Duration,
        event: Event,
        task: Option<TaskId>,
        details: String,
    ) {
        if !self.is_wanted {
            return;
        }
        let (at, key, run) = (at.as_secs_f64(), event.key.to_string(), event.run);
        let of_task = run.zip(task.map(|task| task.0));
        let record = match (event.what, of_task) {
            (Happening::Failed { error }, Some((run, task))) => {
                Record::Failed { at, run, task, error, details }
            }
            (Happening::TriedAgain { attempt }, Some((run, task))) => {
                Record::Retried { at, run, task, attempt }
            }
            (Happening::GivenUp { attempts }, Some((run, task))) => {
                Record::GivenUp { at, run, task, attempts }
            }
            (Happening::Skipped { .. }, Some((run, task))) => Record::Skipped { at, run, task },
            (Happening::Spilled { bytes }, _) => Record::Spilled { at, run, key, bytes },
            (Happening::Restored { bytes }, _) => Record::Restored { at, run, key, bytes },
            (Happening::NotSpilled { reason }, _) => {
                Record::Trouble { at, run, key, what: format!("cannot move to disk: {reason}") }
            }
            (Happening::Unreadable { reason }, _) => Record::Trouble {
                at,
                run,
                key,
                what: format!("cannot be read back and is made again: {reason}"),
            },
            (Happening::Lost { reason }, _) => {
                Record::Trouble { at, run, key, what: format!("is lost: {reason}") }
            }
            // These are always of a task, and ends are told in batches.
            (
                Happening::Failed { .. }
                | Happening::TriedAgain { .. }
                | Happening::GivenUp { .. }
                | Happening::Skipped { .. }
                | Happening::Ended { .. },
                _,
            ) => return,
        };
        self.records.push(record);
    }

    pub(super) fn run_ended(
        &mut self,
        run: RunId,
        over: &Over,
        counts: Counts,
        hooks: Vec<HookSnapshot>,
    ) {
        self.tell(|| Record::RunEnded {
            at: over.at.as_secs_f64(),
            run: run.0,
            outcome: Outcome {
                status: over.status,
                error: over.error.clone(),
                done: counts.done,
                cached: counts.cached,
                failed: counts.failed,
                skipped: counts.skipped,
                hooks,
            },
        });
    }
}
