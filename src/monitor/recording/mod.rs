//! [`Recording`]: all that happened in some time, in memory: what reports, traces and pictures are made of.
//!
//! It is built of [`Record`](super::Record)s, so a live cluster and a journal give the same. `recorder.rs`
//! builds it, `journal.rs` reads the records of a file.

mod journal;
mod merge;
mod recorder;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::Arc;

pub use journal::JournalError;
pub use recorder::Recorder;

use super::snapshot::{HookSnapshot, MemorySnapshot, RunStatus};

/// What happened in some time. Times are nanoseconds since the start of the cluster.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Recording {
    /// The version of Mobula that has made it.
    pub version: String,
    /// When it begins.
    pub began: u64,
    /// When it ends.
    pub ended: u64,
    /// The moment when it begins, in seconds since 1970.
    pub unix_time: f64,
    /// The workers that were seen, with the number of their process if they have one of their own.
    pub workers: Vec<(u32, Option<u32>)>,
    /// The runs, in the order in which they began.
    pub runs: Vec<RecordedRun>,
    /// What workers did, in the order of the ends.
    pub spans: Vec<Span>,
    /// What is rare: failures, new attempts, moves to disk and back.
    pub incidents: Vec<Incident>,
    /// What memory was taken, over time.
    pub memory: Vec<MemorySample>,
    /// How many tasks ended of which no span is known.
    pub unseen: u64,
    /// How many incidents are not in `incidents`, because there were too many of their kind.
    pub unseen_incidents: u64,
}

/// A run, with the graph of its tasks.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct RecordedRun {
    /// Its number.
    pub id: u64,
    /// When it began.
    pub began: u64,
    /// When it ended, if it has.
    pub ended: Option<u64>,
    /// Where it stands at the end.
    pub status: RunStatus,
    /// With what it failed.
    pub error: Option<String>,
    /// How many tasks its plan has. Of some of them the key may not be known.
    pub tasks: u64,
    /// Its tasks; shared by the runs of one plan.
    pub graph: Arc<RecordedGraph>,
    /// The tasks that callbacks have answered for.
    pub cached: Vec<u32>,
    /// How many tasks ended with a value.
    pub done: u64,
    /// How many tasks failed for good.
    pub failed: u64,
    /// How many tasks did not run because others had failed.
    pub skipped: u64,
    /// The time that callbacks took.
    pub hooks: Vec<HookSnapshot>,
}

/// The tasks of a run. A task's number is its place in the static order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedGraph {
    /// By task: its key, as text.
    pub keys: Vec<String>,
    /// By task: its key prefix, as a place in `prefix_names`.
    pub prefixes: Vec<u32>,
    /// The key prefixes.
    pub prefix_names: Vec<String>,
    /// The tasks that task `i` needs, each once, are `needs[needs_starts[i]..needs_starts[i + 1]]`.
    pub needs_starts: Vec<u32>,
    /// The tasks that tasks need, one list after the other.
    pub needs: Vec<u32>,
}

/// A worker was in a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Span {
    /// The place of its run in [`Recording::runs`].
    pub run: u32,
    /// The task's number.
    pub task: u32,
    /// The worker's number.
    pub worker: u32,
    /// When it began.
    pub from: u64,
    /// When it ended. Tasks of less than 20 microseconds share looks at the clock: each counts an equal part
    /// of the time between two.
    pub to: u64,
    /// The bytes of its value.
    pub bytes: u64,
    /// True if it failed.
    pub failed: bool,
}

/// Something rare that happened to a task, a value or a worker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Incident {
    /// When.
    pub at: u64,
    /// What it is about: a key as text, or a worker.
    pub about: String,
    /// The number of the run, if there is one.
    pub run: Option<u64>,
    /// In one word: `failed`, `retried`, `given up`, `skipped`, `spilled`, `restored`, `trouble`, `worker up`,
    /// `worker down`.
    pub kind: &'static str,
    /// In words.
    pub text: String,
    /// All that is known of it, such as a traceback; mostly empty.
    pub details: String,
}

/// What memory was taken at some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemorySample {
    /// When.
    pub at: u64,
    /// The numbers.
    pub memory: MemorySnapshot,
}

impl RecordedRun {
    /// The key of a task, as text; `task 17` if it is not known.
    pub fn key_of(&self, task: u32) -> Cow<'_, str> {
        match self.graph.keys.get(task as usize) {
            Some(key) => Cow::Borrowed(key),
            None => Cow::Owned(format!("task {task}")),
        }
    }

    /// The key prefix of a task, as a place in its graph's `prefix_names`, if it is known.
    pub fn prefix_of(&self, task: u32) -> Option<u32> {
        self.graph.prefixes.get(task as usize).copied()
    }

    /// The tasks that a task needs, each once.
    pub fn needs_of(&self, task: u32) -> &[u32] {
        let (at, RecordedGraph { needs, needs_starts, .. }) = (task as usize, &*self.graph);
        match (needs_starts.get(at), needs_starts.get(at + 1)) {
            (Some(from), Some(to)) => &needs[*from as usize..*to as usize],
            _ => &[],
        }
    }
}
