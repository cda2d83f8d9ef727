//! [`Recorder`]: builds a [`Recording`] of records, one after the other.
//!
//! It takes what it is told: a record that contradicts the others (a task that was never announced, a prefix
//! that nobody named) never makes it fail, it only leaves less to see.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::{Incident, MemorySample, RecordedGraph, RecordedRun, Recording, Span};
use crate::monitor::human;
use crate::monitor::record::{Ended, Outcome, Record};
use crate::monitor::snapshot::RunStatus;

/// How many spans are kept.
const SPANS: usize = 5_000_000;

/// How many incidents of each kind are kept: a failure may skip a million tasks.
const INCIDENTS: u32 = 100_000;

/// The name of prefixes that nobody named.
const NAMELESS: &str = "?";

/// Builds a [`Recording`]. Give it each record as it comes, and look at any time.
///
/// It keeps at most 5,000,000 spans (160 MB), and of each kind of incident the first 100,000. What is beyond
/// is counted.
///
/// # Examples
///
/// ```
/// use mobula::monitor::{Ended, Record, Recorder};
///
/// let mut recorder = Recorder::new();
/// recorder.add(Record::Run { at: 0.0, run: 1, tasks: 2, spared: 0 });
/// let mut ended = Ended::default();
/// (ended.run, ended.from, ended.to) = (1, 1_000, 3_000);
/// (ended.tasks, ended.bytes) = (vec![0, 1], vec![8, 8]);
/// recorder.add(Record::Ended(ended));
///
/// // The two tasks share the time between two looks at the clock.
/// let recording = recorder.finish();
/// assert_eq!((recording.spans[1].from, recording.spans[1].to), (2_000, 3_000));
/// ```
#[derive(Default)]
pub struct Recorder {
    recording: Recording,
    /// The place of each run in `recording.runs`, by its number.
    places: HashMap<u64, u32>,
    /// The tasks that were seen in a worker and have not ended: run, task, worker, since when.
    open: Vec<(u64, u32, u32, u64)>,
    /// How many incidents of each kind there were.
    incidents: Vec<(&'static str, u32)>,
    /// How many spans are kept.
    limit: Option<usize>,
    /// Whether anything has been added: the first record says when the recording begins.
    has_begun: bool,
}

impl Recorder {
    /// A recorder that has been told nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps so many spans, instead of 5,000,000.
    #[must_use]
    pub fn span_limit(mut self, spans: usize) -> Self {
        self.limit = Some(spans);
        self
    }

    /// What was recorded so far. Runs that go on have no end yet.
    pub fn recording(&self) -> &Recording {
        &self.recording
    }

    /// What was recorded.
    #[expect(clippy::cast_precision_loss, reason = "for people to read")]
    pub fn finish(mut self) -> Recording {
        // Each worker's were added in order, but one worker's after the other's.
        self.recording.spans.sort_by_key(|span| span.to);
        let at = self.recording.ended;
        for (run, task, worker, since) in std::mem::take(&mut self.open) {
            let since = human::seconds(at.saturating_sub(since) as f64 / 1e9);
            let text = format!("in worker {worker} for {since} when the recording ended");
            let key = self.run(run, at).key_of(task).into_owned();
            self.note(Incident { at, ..incident(0.0, "still running", key, Some(run), text) });
        }
        self.recording
    }

    /// Adds what happened.
    pub fn add(&mut self, record: Record) {
        match record {
            Record::Journal { version: _, mobula, at, unix_time, pid: _ } => {
                self.seen(nanoseconds(at));
                self.recording.version = mobula;
                self.recording.unix_time = unix_time;
            }
            Record::WorkerUp { at, worker, pid } => {
                self.seen(nanoseconds(at));
                let workers = &self.recording.workers;
                let takes_place = workers.binary_search_by_key(&worker, |(id, _)| *id).is_ok();
                self.worker(worker, pid);
                // That the first ones are there is nothing special.
                if takes_place {
                    let text = pid.map_or_else(String::new, |pid| format!(" by process {pid}"));
                    let (about, text) = (format!("worker {worker}"), format!("replaced{text}"));
                    self.note(incident(at, "worker up", about, None, text));
                }
            }
            Record::WorkerDown { at, worker, why } => {
                self.note(incident(at, "worker down", format!("worker {worker}"), None, why));
            }
            Record::Run { at, run, tasks, spared: _ } => {
                let at = self.seen(nanoseconds(at));
                let run = self.run(run, at);
                run.began = at;
                run.tasks = u64::from(tasks);
            }
            Record::Keys { run, first, keys, prefixes, new_prefixes, needs } => {
                let at = self.recording.ended;
                let run = self.run(run, at);
                let graph = Arc::make_mut(&mut run.graph);
                graph.add_keys(first, keys, &prefixes, new_prefixes, &needs);
                run.tasks = run.tasks.max(graph.keys.len() as u64);
            }
            Record::SameKeys { run, as_run } => self.same_keys(run, as_run),
            Record::Cached { at, run, tasks } => {
                let at = self.seen(nanoseconds(at));
                self.run(run, at).cached.extend(tasks);
            }
            Record::Started { at, worker, run, task } => {
                let at = self.seen(nanoseconds(at));
                self.run(run, at);
                self.worker(worker, None);
                // A worker is in one task of a run.
                self.open.retain(|open| (open.0, open.2) != (run, worker));
                self.open.push((run, task, worker, at));
            }
            Record::Ended(ended) => self.ended(&ended),
            Record::Memory { at, memory } => {
                let at = self.seen(nanoseconds(at));
                self.recording.memory.push(MemorySample { at, memory });
            }
            Record::Unseen { at, run, tasks } => {
                let at = self.seen(nanoseconds(at));
                let run = self.run(run, at);
                run.done += if run.ended.is_none() { tasks } else { 0 };
                self.recording.unseen += tasks;
            }
            Record::RunEnded { at, run, outcome } => self.run_ended(at, run, outcome),
            Record::Failed { at, run, task, error, details } => {
                let key = self.key(at, run, task);
                self.note(Incident { details, ..incident(at, "failed", key, Some(run), error) });
            }
            Record::Retried { at, run, task, attempt } => {
                let (key, text) = (self.key(at, run, task), format!("attempt {attempt} starts"));
                self.note(incident(at, "retried", key, Some(run), text));
            }
            Record::GivenUp { at, run, task, attempts } => {
                let text = if attempts == 1 {
                    "after its only attempt".to_owned()
                } else {
                    format!("after {attempts} attempts")
                };
                let key = self.key(at, run, task);
                self.note(incident(at, "given up", key, Some(run), text));
                let run = self.run(run, nanoseconds(at));
                run.failed += u64::from(run.ended.is_none());
            }
            Record::Skipped { at, run, task } => {
                let text = "because another task had failed".to_owned();
                let key = self.key(at, run, task);
                self.note(incident(at, "skipped", key, Some(run), text));
                let run = self.run(run, nanoseconds(at));
                run.skipped += u64::from(run.ended.is_none());
            }
            Record::Spilled { at, run, key, bytes } => {
                self.note(incident(at, "spilled", key, run, format!("{bytes} bytes")));
            }
            Record::Restored { at, run, key, bytes } => {
                self.note(incident(at, "restored", key, run, format!("{bytes} bytes")));
            }
            Record::Trouble { at, run, key, what } => {
                self.note(incident(at, "trouble", key, run, what));
            }
        }
    }

    /// Notes a moment: the recording lasts at least until then.
    fn seen(&mut self, at: u64) -> u64 {
        if !self.has_begun {
            self.has_begun = true;
            self.recording.began = at;
        }
        self.recording.began = self.recording.began.min(at);
        self.recording.ended = self.recording.ended.max(at);
        at
    }

    /// The run with a number. One that was under way when the recording began is there from its first
    /// record on.
    fn run(&mut self, id: u64, at: u64) -> &mut RecordedRun {
        let place = self.place(id, at);
        &mut self.recording.runs[place as usize]
    }

    fn place(&mut self, id: u64, at: u64) -> u32 {
        let runs = &mut self.recording.runs;
        *self.places.entry(id).or_insert_with(|| {
            let place = u32::try_from(runs.len()).expect("there are fewer runs than records");
            let graph =
                Arc::new(RecordedGraph { needs_starts: vec![0], ..RecordedGraph::default() });
            runs.push(RecordedRun { id, began: at, graph, ..RecordedRun::default() });
            place
        })
    }

    /// A run has the keys of another one, if those are known.
    fn same_keys(&mut self, run: u64, as_run: u64) {
        let place = self.place(run, self.recording.ended) as usize;
        let runs = &mut self.recording.runs;
        let other = self.places.get(&as_run).map(|other| *other as usize);
        let Some(Ok([run, other])) = other.map(|other| runs.get_disjoint_mut([place, other]))
        else {
            return;
        };
        if run.graph.keys.is_empty() {
            run.graph = Arc::clone(&other.graph);
            run.tasks = run.tasks.max(other.tasks);
        }
    }

    fn worker(&mut self, worker: u32, pid: Option<u32>) {
        let workers = &mut self.recording.workers;
        match workers.binary_search_by_key(&worker, |(id, _)| *id) {
            Ok(place) => workers[place].1 = pid.or(workers[place].1),
            Err(place) => workers.insert(place, (worker, pid)),
        }
    }

    /// The tasks of a record share its time equally.
    fn ended(&mut self, ended: &Ended) {
        let (from, to) = (ended.from, ended.to.max(ended.from));
        self.seen(from);
        self.seen(to);
        self.worker(ended.worker, None);
        let place = self.place(ended.run, from);
        let run = &mut self.recording.runs[place as usize];
        run.began = run.began.min(from);
        let count = ended.tasks.len() as u64;
        // What comes after its end is in the run's own numbers already.
        if !ended.failed && run.ended.is_none() {
            run.done += count;
        }
        self.open.retain(|(run, task, ..)| *run != ended.run || !ended.tasks.contains(task));
        let room = self.limit.unwrap_or(SPANS).saturating_sub(self.recording.spans.len());
        self.recording.unseen += count.saturating_sub(room as u64);
        let part = |n: usize| {
            let part = u128::from(to - from) * n as u128 / u128::from(count);
            from + u64::try_from(part).expect("a part is not longer than the whole")
        };
        for (n, task) in ended.tasks.iter().enumerate().take(room) {
            self.recording.spans.push(Span {
                run: place,
                task: *task,
                worker: ended.worker,
                from: part(n),
                to: part(n + 1),
                bytes: ended.bytes.get(n).copied().unwrap_or_default(),
                failed: ended.failed,
            });
        }
    }

    fn run_ended(&mut self, at: f64, run: u64, outcome: Outcome) {
        let at = self.seen(nanoseconds(at));
        self.open.retain(|open| open.0 != run);
        let run = self.run(run, at);
        // A run that has ended does not go on, whatever a damaged record says.
        let goes_on = outcome.status == RunStatus::Running;
        run.status = if goes_on { RunStatus::Done } else { outcome.status };
        run.ended = Some(at);
        run.error = outcome.error;
        run.done = outcome.done;
        run.failed = outcome.failed;
        run.skipped = outcome.skipped;
        run.hooks = outcome.hooks;
    }

    /// The key of a task, for an incident.
    fn key(&mut self, at: f64, run: u64, task: u32) -> String {
        self.run(run, nanoseconds(at)).key_of(task).into_owned()
    }

    fn note(&mut self, incident: Incident) {
        self.seen(incident.at);
        let kinds = &mut self.incidents;
        let place = kinds.iter().position(|(kind, _)| *kind == incident.kind);
        let place = place.unwrap_or_else(|| {
            kinds.push((incident.kind, 0));
            kinds.len() - 1
        });
        if kinds[place].1 == INCIDENTS {
            self.recording.unseen_incidents += 1;
        } else {
            kinds[place].1 += 1;
            self.recording.incidents.push(incident);
        }
    }
}

impl RecordedGraph {
    /// Adds tasks behind those that are known. A record that comes again adds nothing.
    fn add_keys(
        &mut self,
        first: u32,
        keys: Vec<String>,
        prefixes: &[u32],
        new_prefixes: Vec<String>,
        needs: &[Vec<u32>],
    ) {
        if first as usize != self.keys.len() {
            return;
        }
        self.prefix_names.extend(new_prefixes);
        for (n, key) in keys.into_iter().enumerate() {
            let task = u32::try_from(self.keys.len()).unwrap_or(u32::MAX);
            let named = prefixes.get(n).copied();
            let known = named.filter(|prefix| (*prefix as usize) < self.prefix_names.len());
            let prefix = known.unwrap_or_else(|| self.nameless());
            self.prefixes.push(prefix);
            self.keys.push(key);
            // In a static order what a task needs comes before it, so nobody can be led in a circle.
            let needs = needs.get(n).into_iter().flatten().filter(|need| **need < task);
            self.needs.extend(needs);
            self.needs_starts.push(u32::try_from(self.needs.len()).unwrap_or(u32::MAX));
        }
    }

    /// The place of the prefix of tasks whose prefix is not known.
    fn nameless(&mut self) -> u32 {
        let place = self.prefix_names.iter().position(|name| name == NAMELESS);
        let place = place.unwrap_or_else(|| {
            self.prefix_names.push(NAMELESS.to_owned());
            self.prefix_names.len() - 1
        });
        u32::try_from(place).expect("there are fewer prefixes than tasks")
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("runs", &self.recording.runs.len())
            .field("spans", &self.recording.spans.len())
            .finish_non_exhaustive()
    }
}

fn incident(
    at: f64,
    kind: &'static str,
    about: String,
    run: Option<u64>,
    text: String,
) -> Incident {
    Incident { at: nanoseconds(at), about, run, kind, text, details: String::new() }
}

/// Seconds since the start of the cluster as nanoseconds.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "times are positive")]
fn nanoseconds(seconds: f64) -> u64 {
    (seconds * 1e9).round() as u64
}
