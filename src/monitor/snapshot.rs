//! [`Snapshot`]: how things stand in a cluster at one moment. Plain data, which goes as JSON to pages and
//! terminals.
//!
//! Times are seconds since the start of the cluster, sizes are bytes.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// Of so many key prefixes a [`RunSnapshot`] tells. There are graphs in which each key has one of its own, and
/// a snapshot is made ten times a second.
pub const PREFIXES_SHOWN: usize = 200;

/// How things stand in a cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Snapshot {
    /// When it was taken.
    pub at: f64,
    /// The same moment in seconds since 1970.
    pub unix_time: f64,
    /// The version of Mobula.
    pub version: String,
    /// The number of the cluster's process.
    pub pid: u32,
    /// The workers, by number.
    pub workers: Vec<WorkerSnapshot>,
    /// The runs that go on, and the last ones that have ended; oldest first.
    pub runs: Vec<RunSnapshot>,
    /// What memory is taken.
    pub memory: MemorySnapshot,
    /// What has happened since somebody looks.
    pub totals: Totals,
    /// The last tasks that failed, oldest first.
    pub errors: Vec<ErrorSnapshot>,
    /// The state actors.
    pub states: Vec<StateSnapshot>,
}

/// How tasks stand: each task of a run is counted in exactly one of `done`, `cached`, `failed`, `skipped`,
/// `running` and `waiting`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Counts {
    /// All of them.
    pub total: u64,
    /// Those that ended with a value.
    pub done: u64,
    /// Those that a callback has answered for.
    pub cached: u64,
    /// Those that failed for good.
    pub failed: u64,
    /// Those that do not run because another one failed.
    pub skipped: u64,
    /// Those that workers are in, and those whose futures are awaited.
    pub running: u64,
    /// Those that have not started.
    pub waiting: u64,
    /// How many attempts were made again; no task of its own.
    pub retried: u64,
}

impl Counts {
    /// How many have ended, in whatever way.
    pub fn ended(&self) -> u64 {
        self.done + self.cached + self.failed + self.skipped
    }

    /// The share that has ended, from 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "for a bar")]
    pub fn share(&self) -> f64 {
        if self.total == 0 { 1.0 } else { self.ended() as f64 / self.total as f64 }
    }

    /// Each number made of that one here and that one there.
    fn with(self, other: Self, make: fn(u64, u64) -> u64) -> Self {
        Self {
            total: make(self.total, other.total),
            done: make(self.done, other.done),
            cached: make(self.cached, other.cached),
            failed: make(self.failed, other.failed),
            skipped: make(self.skipped, other.skipped),
            running: make(self.running, other.running),
            waiting: make(self.waiting, other.waiting),
            retried: make(self.retried, other.retried),
        }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        *self = self.with(other, u64::saturating_add);
    }
}

impl RunSnapshot {
    /// All key prefixes that [`prefixes`](Self::prefixes) does not tell of, as one with the name `(other)`; none
    /// if it tells of all.
    pub fn other_prefixes(&self) -> Option<PrefixSnapshot> {
        if self.more_prefixes == 0 {
            return None;
        }
        let mut told = Counts::default();
        let (mut seconds, mut bytes) = (0.0, 0);
        for prefix in &self.prefixes {
            told += prefix.counts;
            seconds += prefix.task_seconds;
            bytes += prefix.bytes;
        }
        Some(PrefixSnapshot {
            name: "(other)".to_owned(),
            // No prefix has it.
            place: u32::MAX,
            counts: self.counts.with(told, u64::saturating_sub),
            timed: 0,
            task_seconds: (self.task_seconds - seconds).max(0.0),
            bytes: self.bytes.saturating_sub(bytes),
        })
    }
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunStatus {
    /// It goes on.
    #[default]
    Running,
    /// Every wanted value was made, as far as its policy asks.
    Done,
    /// It failed.
    Failed,
    /// Nobody wanted its values any more.
    Cancelled,
}

/// How a run stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunSnapshot {
    /// Its number.
    pub id: u64,
    /// Where it stands.
    pub status: RunStatus,
    /// When it began.
    pub began: f64,
    /// When it ended, if it has.
    pub ended: Option<f64>,
    /// How its tasks stand.
    pub counts: Counts,
    /// The same by key prefix, in the order in which the prefixes come in the plan. Of more than
    /// [`PREFIXES_SHOWN`] those with the most tasks.
    pub prefixes: Vec<PrefixSnapshot>,
    /// How many key prefixes are left out.
    pub more_prefixes: u64,
    /// How many tasks ended in a second, lately.
    pub rate: f64,
    /// How long the rest will take, by the times of the tasks so far and the number of workers; `None` as long
    /// as nothing was measured.
    pub seconds_left: Option<f64>,
    /// The bytes of all values that its tasks have made.
    pub bytes: u64,
    /// The time that workers spent in its tasks.
    pub task_seconds: f64,
    /// The time that its callbacks took.
    pub hooks: Vec<HookSnapshot>,
    /// With what it failed.
    pub error: Option<String>,
}

/// How the tasks with one key prefix stand.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PrefixSnapshot {
    /// The prefix.
    pub name: String,
    /// Its number in the run, as in [`Block::prefix`](super::Block::prefix).
    pub place: u32,
    /// How its tasks stand.
    pub counts: Counts,
    /// Of how many tasks and attempts is known how long they took.
    #[serde(default)]
    pub timed: u64,
    /// The time that workers spent in them.
    pub task_seconds: f64,
    /// The bytes of their values.
    pub bytes: u64,
}

/// What a callback took of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HookSnapshot {
    /// The callback's name.
    pub callback: String,
    /// How often hooks of it were called.
    pub calls: u64,
    /// How long they took together.
    pub seconds: f64,
}

/// Where the tasks of a worker are called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkerKind {
    /// In its thread.
    #[default]
    Thread,
    /// In its process.
    Process,
}

/// What a worker does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkerState {
    /// Nothing.
    #[default]
    Idle,
    /// It is in a task.
    Busy,
    /// Its task took longer than it may, and another worker is in its place.
    Stuck,
}

/// How a worker stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WorkerSnapshot {
    /// Its number.
    pub id: u32,
    /// Where its tasks are called.
    pub kind: WorkerKind,
    /// The number of its process, if it has one of its own.
    pub pid: Option<u32>,
    /// What it does.
    pub state: WorkerState,
    /// The key of the task that it is in, as text.
    pub task: Option<String>,
    /// The run of that task.
    pub run: Option<u64>,
    /// When it was first seen in that task; it had begun a moment before.
    pub since: Option<f64>,
    /// How many tasks it has ended.
    pub tasks: u64,
    /// The share of the last seconds that it spent in tasks, from 0 to 1.
    pub busy: f64,
    /// The bytes that its process has in memory, if it has one of its own.
    pub resident: Option<u64>,
}

/// What memory is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MemorySnapshot {
    /// What values may take, if there is a limit.
    pub limit: Option<u64>,
    /// How many values are in memory.
    pub values: u64,
    /// What they take.
    pub bytes: u64,
    /// How many values are on disk and not in memory.
    pub spilled_values: u64,
    /// What these take in memory when they are there.
    pub spilled_bytes: u64,
    /// What the files of values take on disk.
    pub disk_bytes: u64,
    /// What the cluster's process has in memory, all that is not Mobula's included.
    pub resident: u64,
    /// What its worker processes have.
    pub resident_workers: u64,
}

/// What has happened since somebody looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Totals {
    /// Runs that have begun.
    pub runs: u64,
    /// Runs that ended well.
    pub runs_done: u64,
    /// Runs that failed.
    pub runs_failed: u64,
    /// Runs that were cancelled.
    pub runs_cancelled: u64,
    /// Tasks that ended with a value.
    pub tasks: u64,
    /// Tasks that callbacks have answered for.
    pub cached: u64,
    /// Tasks that failed for good.
    pub failed: u64,
    /// Attempts that were made again.
    pub retried: u64,
    /// Values that moved to disk.
    pub spilled: u64,
    /// What these took in memory.
    pub spilled_bytes: u64,
    /// Values that came back.
    pub restored: u64,
    /// What these take in memory.
    pub restored_bytes: u64,
    /// Threads and processes of workers that died.
    pub workers_lost: u64,
    /// Tasks whose times are not known, because more ended than could be noted. They are counted above.
    pub unseen: u64,
    /// Failures, new attempts and moves to disk of which nothing is told, because more came than could be noted.
    #[serde(default)]
    pub unseen_events: u64,
}

/// A task that failed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ErrorSnapshot {
    /// When.
    pub at: f64,
    /// Its run.
    pub run: Option<u64>,
    /// Its key, as text.
    pub key: String,
    /// With what it failed, in one line.
    pub error: String,
    /// All that is known of it: the chain of errors, a traceback.
    pub details: String,
    /// True if it was not tried again.
    pub is_final: bool,
    /// True if the task was tried again after it.
    #[serde(default)]
    pub is_retried: bool,
}

/// A state actor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StateSnapshot {
    /// The actor's type, or its name.
    pub name: String,
    /// How many messages it was sent.
    pub messages: u64,
    /// Whether it is there.
    pub is_alive: bool,
}
