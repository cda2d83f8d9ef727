//! [`Record`]: one thing that happened, as it stands on a line of a journal.
//!
//! A journal is a text file with one JSON object a line, each a record; the member `t` says which. Times are
//! seconds since the start of the cluster. Tasks are numbers: a task's number is its place in the static
//! order of its run, and [`Record::Keys`] says which key has which number, or [`Record::SameKeys`] that it is as
//! in an earlier run.

use serde::{Deserialize, Serialize};

use super::snapshot::{HookSnapshot, MemorySnapshot, RunStatus};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Record {
    /// The first one of a journal.
    Journal {
        /// The version of the form; this is 1.
        version: u32,
        /// The version of Mobula.
        mobula: String,
        /// When the journal begins.
        at: f64,
        /// The same moment in seconds since 1970.
        unix_time: f64,
        /// The number of the cluster's process.
        pid: u32,
    },
    /// A worker is there, or another one in its place.
    WorkerUp {
        /// When.
        at: f64,
        /// Its number.
        worker: u32,
        /// The number of its process, if it has one of its own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pid: Option<u32>,
    },
    /// A worker's thread or process died.
    WorkerDown {
        /// When.
        at: f64,
        /// Its number.
        worker: u32,
        /// How it ended.
        why: String,
    },
    /// A run was submitted, and all of its tasks with it.
    Run {
        /// When.
        at: f64,
        /// Its number.
        run: u64,
        /// How many tasks its plan has.
        tasks: u32,
        /// For how many of these hooks had answered then.
        #[serde(default)]
        spared: u32,
    },
    /// Which keys the tasks of a run have, and which tasks each needs.
    Keys {
        /// The run.
        run: u64,
        /// The number of the first task in `keys`.
        first: u32,
        /// Keys as text, one a task.
        keys: Vec<String>,
        /// The key prefix of each, as a number in the run's list.
        prefixes: Vec<u32>,
        /// Prefixes that come for the first time, in the order of their numbers.
        new_prefixes: Vec<String>,
        /// By task: the numbers of the tasks that it needs, each once.
        needs: Vec<Vec<u32>>,
    },
    /// The tasks of a run are those of an earlier one: it is of the same plan.
    SameKeys {
        /// The run.
        run: u64,
        /// The earlier one, of which the keys stand before this in the same journal.
        as_run: u64,
    },
    /// Callbacks have answered for tasks.
    Cached {
        /// When.
        at: f64,
        /// The run.
        run: u64,
        /// The tasks.
        tasks: Vec<u32>,
    },
    /// A worker was seen in a task that had not ended a moment later. Of shorter ones only the end is told.
    Started {
        /// When it was seen; it had begun before.
        at: f64,
        /// The run.
        run: u64,
        /// The task.
        task: u32,
        /// The worker.
        worker: u32,
    },
    /// Tasks have ended in a worker, one after the other.
    Ended(Ended),
    /// An attempt of a task failed.
    Failed {
        /// When.
        at: f64,
        /// The run.
        run: u64,
        /// The task.
        task: u32,
        /// With what, in one line.
        error: String,
        /// All that is known of it.
        #[serde(default)]
        details: String,
    },
    /// A task is tried again.
    Retried {
        /// When.
        at: f64,
        /// The run.
        run: u64,
        /// The task.
        task: u32,
        /// Which attempt starts, counted from 1.
        attempt: u32,
    },
    /// A task failed for good.
    GivenUp {
        /// When.
        at: f64,
        /// The run.
        run: u64,
        /// The task.
        task: u32,
        /// How often it was tried.
        attempts: u32,
    },
    /// A task was not run because another one had failed.
    Skipped {
        /// When.
        at: f64,
        /// The run.
        run: u64,
        /// The task.
        task: u32,
    },
    /// A value moved to disk.
    Spilled {
        /// When.
        at: f64,
        /// The run of its task, if it is known.
        run: Option<u64>,
        /// Its key, as text.
        key: String,
        /// Its size in memory.
        bytes: u64,
    },
    /// A value came back into memory.
    Restored {
        /// When.
        at: f64,
        /// The run of its task, if it is known.
        run: Option<u64>,
        /// Its key, as text.
        key: String,
        /// Its size in memory.
        bytes: u64,
    },
    /// Something is wrong with a value: it cannot move to disk, cannot be read back, is lost.
    Trouble {
        /// When.
        at: f64,
        /// The run of its task, if it is known.
        run: Option<u64>,
        /// Its key, as text.
        key: String,
        /// What, in words.
        what: String,
    },
    /// What memory is taken.
    Memory {
        /// When.
        at: f64,
        /// The numbers.
        #[serde(flatten)]
        memory: MemorySnapshot,
    },
    /// Tasks have ended of which nothing else is known, because more ended than could be noted.
    Unseen {
        /// When it was noticed.
        at: f64,
        /// The run.
        run: u64,
        /// How many.
        tasks: u64,
    },
    /// A run has ended.
    RunEnded {
        /// When.
        at: f64,
        /// The run.
        run: u64,
        /// How.
        #[serde(flatten)]
        outcome: Outcome,
    },
}

/// Tasks that ended in a worker, one after the other, between two looks at the clock.
///
/// A task of 20 microseconds or more has a record of its own; shorter ones share one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ended {
    /// The run.
    pub run: u64,
    /// The worker.
    pub worker: u32,
    /// When the first one began, in nanoseconds since the start of the cluster.
    pub from: u64,
    /// When the last one ended, in nanoseconds since the start of the cluster.
    pub to: u64,
    /// The tasks, in the order of their ends.
    pub tasks: Vec<u32>,
    /// By task: the bytes of its value.
    pub bytes: Vec<u64>,
    /// True if the (only) task failed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
}

/// How a run ended, with its final numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Outcome {
    /// How.
    pub status: RunStatus,
    /// With what it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Tasks that ended with a value.
    pub done: u64,
    /// Tasks that callbacks have answered for.
    pub cached: u64,
    /// Tasks that failed for good.
    pub failed: u64,
    /// Tasks that did not run because others had failed.
    pub skipped: u64,
    /// The time that callbacks took.
    pub hooks: Vec<HookSnapshot>,
}
