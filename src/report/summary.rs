//! The sums of a recording: by key prefix, by worker, by callback, and of everything.

use std::collections::HashMap;

use super::order::{by_worker, each_worker};
use crate::monitor::{Recording, RunStatus};

/// The sums of a recording. Times are nanoseconds.
#[derive(Debug, Default)]
pub(super) struct Summary {
    /// The key prefixes of all runs, each once, in the order in which they come.
    pub(super) prefixes: Vec<PrefixSum>,
    /// By run: the place in `prefixes` of each of its prefixes.
    pub(super) places: Vec<Vec<u32>>,
    /// The workers, by number.
    pub(super) workers: Vec<WorkerSum>,
    /// The callbacks, in the order in which they come.
    pub(super) callbacks: Vec<CallbackSum>,
    /// Tasks of all runs.
    pub(super) tasks: u64,
    /// Tasks that ended with a value.
    pub(super) done: u64,
    /// Tasks that callbacks have answered for.
    pub(super) cached: u64,
    /// Tasks that failed for good.
    pub(super) failed: u64,
    /// Tasks that did not run because others had failed.
    pub(super) skipped: u64,
    /// The time that was spent in tasks.
    pub(super) task_time: u64,
    /// How long all of it took.
    pub(super) elapsed: u64,
    /// The spans in the order of [`by_worker`].
    pub(super) order: Vec<u32>,
}

/// The tasks with one key prefix.
#[derive(Debug, Default)]
pub(super) struct PrefixSum {
    pub(super) name: String,
    /// Those that were seen and ended with a value.
    pub(super) tasks: u64,
    /// Attempts that failed.
    pub(super) failed: u64,
    pub(super) time: u64,
    pub(super) longest: u64,
    pub(super) bytes: u64,
}

/// What one worker did.
#[derive(Debug, Default)]
pub(super) struct WorkerSum {
    pub(super) id: u32,
    pub(super) pid: Option<u32>,
    pub(super) tasks: u64,
    pub(super) failed: u64,
    /// How long it was in at least one task.
    pub(super) busy: u64,
}

/// What one callback took.
#[derive(Debug, Default)]
pub(super) struct CallbackSum {
    pub(super) name: String,
    pub(super) calls: u64,
    pub(super) seconds: f64,
}

impl PrefixSum {
    /// The mean time of an attempt.
    pub(super) fn mean(&self) -> u64 {
        self.time / (self.tasks + self.failed).max(1)
    }
}

impl Summary {
    pub(super) fn of(recording: &Recording) -> Self {
        let mut summary = Self { order: by_worker(recording), ..Self::default() };
        summary.elapsed = recording.ended.saturating_sub(recording.began);
        summary.name_prefixes(recording);
        summary.sum_spans(recording);
        summary.sum_workers(recording);
        for run in &recording.runs {
            summary.tasks += run.tasks;
            summary.done += run.done;
            summary.cached += run.cached.len() as u64;
            summary.failed += run.failed;
            summary.skipped += run.skipped;
            for hook in &run.hooks {
                let callbacks = &mut summary.callbacks;
                let place = callbacks.iter().position(|sum| sum.name == hook.callback);
                let place = place.unwrap_or_else(|| {
                    let name = hook.callback.clone();
                    callbacks.push(CallbackSum { name, ..CallbackSum::default() });
                    callbacks.len() - 1
                });
                callbacks[place].calls += hook.calls;
                callbacks[place].seconds += hook.seconds;
            }
        }
        summary
    }

    /// How the whole of it ended: badly if one run did.
    pub(super) fn status(recording: &Recording) -> RunStatus {
        let is = |status| recording.runs.iter().any(|run| run.status == status);
        let worst = [RunStatus::Failed, RunStatus::Running, RunStatus::Cancelled];
        worst.into_iter().find(|status| is(*status)).unwrap_or(RunStatus::Done)
    }

    /// The place in `prefixes` of the prefix of a task.
    pub(super) fn prefix_of(&self, recording: &Recording, run: u32, task: u32) -> Option<u32> {
        let prefix = recording.runs[run as usize].prefix_of(task)?;
        Some(self.places[run as usize][prefix as usize])
    }

    /// The share of the workers' time that was spent in tasks, from 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    pub(super) fn busy_share(&self) -> f64 {
        let busy: u64 = self.workers.iter().map(|worker| worker.busy).sum();
        let all = self.elapsed as f64 * self.workers.len() as f64;
        if all > 0.0 { busy as f64 / all } else { 0.0 }
    }

    fn name_prefixes(&mut self, recording: &Recording) {
        let mut known: HashMap<&str, u32> = HashMap::new();
        for run in &recording.runs {
            let places = run.graph.prefix_names.iter().map(|name| {
                *known.entry(name).or_insert_with(|| {
                    self.prefixes.push(PrefixSum { name: name.clone(), ..PrefixSum::default() });
                    u32::try_from(self.prefixes.len() - 1)
                        .expect("there are fewer prefixes than tasks")
                })
            });
            self.places.push(places.collect());
        }
    }

    fn sum_spans(&mut self, recording: &Recording) {
        let mut nameless = PrefixSum { name: "?".to_owned(), ..PrefixSum::default() };
        for span in &recording.spans {
            let time = span.to.saturating_sub(span.from);
            self.task_time += time;
            let sum = match self.prefix_of(recording, span.run, span.task) {
                Some(place) => &mut self.prefixes[place as usize],
                None => &mut nameless,
            };
            sum.time += time;
            sum.longest = sum.longest.max(time);
            sum.bytes += span.bytes;
            *(if span.failed { &mut sum.failed } else { &mut sum.tasks }) += 1;
        }
        if nameless.tasks + nameless.failed > 0 {
            self.prefixes.push(nameless);
        }
    }

    fn sum_workers(&mut self, recording: &Recording) {
        let workers = recording.workers.iter();
        self.workers = workers
            .map(|(id, pid)| WorkerSum { id: *id, pid: *pid, ..WorkerSum::default() })
            .collect();
        for (id, places) in each_worker(recording, &self.order) {
            let Ok(row) = self.workers.binary_search_by_key(&id, |worker| worker.id) else {
                continue;
            };
            let worker = &mut self.workers[row];
            let mut until = 0;
            for place in places {
                let span = &recording.spans[*place as usize];
                *(if span.failed { &mut worker.failed } else { &mut worker.tasks }) += 1;
                // What lies inside of another span, or overlaps it, counts once.
                worker.busy += span.to.saturating_sub(span.from.max(until));
                until = until.max(span.to);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Summary;
    use crate::monitor::{RecordedGraph, RecordedRun, Recording, Span};

    #[test]
    fn prefixes_of_runs_are_joined_and_times_are_not_counted_twice() {
        let run = |names: &[&str], prefixes: &[u32]| {
            let graph = RecordedGraph {
                prefix_names: names.iter().map(|name| (*name).to_owned()).collect(),
                prefixes: prefixes.to_vec(),
                ..RecordedGraph::default()
            };
            RecordedRun { graph: Arc::new(graph), ..RecordedRun::default() }
        };
        let span =
            |run, task, from, to, failed| Span { run, task, from, to, failed, ..Span::default() };
        let recording = Recording {
            runs: vec![run(&["a", "b"], &[0, 1]), run(&["b"], &[0])],
            spans: vec![
                span(0, 0, 0, 10, false),
                span(0, 1, 2, 4, true),
                span(1, 0, 20, 26, false),
                span(1, 7, 26, 27, false),
            ],
            workers: vec![(0, None)],
            ended: 100,
            ..Recording::default()
        };
        let summary = Summary::of(&recording);
        let sums: Vec<_> =
            summary.prefixes.iter().map(|sum| (&*sum.name, sum.tasks, sum.time)).collect();
        assert_eq!(sums, [("a", 1, 10), ("b", 1, 8), ("?", 1, 1)]);
        assert_eq!((summary.prefixes[1].failed, summary.prefixes[1].mean()), (1, 4));
        assert_eq!((summary.workers[0].busy, summary.task_time), (17, 19));
        assert!((summary.busy_share() - 0.17).abs() < 1e-9);
    }
}
