//! [`Event`]: what happened to a key. Plain data.

use std::fmt;
use std::time::Duration;

use crate::graph::Key;

/// What happened to a key at some time.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// When, from the start of the cluster.
    pub at: Duration,
    /// To which key.
    pub key: Key,
    /// In which run, if it was one that is known.
    pub run: Option<u64>,
    /// What.
    pub what: Happening,
}

/// What can happen to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Happening {
    /// The task ended in a worker after so long.
    Ended {
        /// The worker's number.
        worker: u32,
        /// How long it took.
        took: Duration,
    },
    /// An attempt of the task failed.
    Failed {
        /// With what.
        error: String,
    },
    /// The task is tried again.
    TriedAgain {
        /// Which attempt starts, counted from 1.
        attempt: u32,
    },
    /// The task failed for good.
    GivenUp {
        /// How often it was tried.
        attempts: u32,
    },
    /// The task was not run because something before it had failed.
    Skipped {
        /// What had failed.
        cause: String,
    },
    /// The value moved to disk.
    Spilled {
        /// Its size in memory, in bytes.
        bytes: u64,
    },
    /// The value came back into memory.
    Restored {
        /// Its size in memory, in bytes.
        bytes: u64,
    },
    /// The value could not be written to disk and stays in memory.
    NotSpilled {
        /// Why.
        reason: String,
    },
    /// The value's file cannot be read.
    Unreadable {
        /// Why.
        reason: String,
    },
    /// The value is lost.
    Lost {
        /// Why.
        reason: String,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6} s: {:?} ", self.at.as_secs_f64(), self.key)?;
        match &self.what {
            Happening::Ended { worker, took } => {
                write!(f, "ended on worker {worker} after {took:?}")?;
            }
            Happening::Failed { error } => write!(f, "failed: {error}")?,
            Happening::TriedAgain { attempt } => write!(f, "is tried again, attempt {attempt}")?,
            Happening::GivenUp { attempts } => {
                write!(f, "is given up after {attempts} attempt(s)")?;
            }
            Happening::Skipped { cause } => write!(f, "was skipped: {cause}")?,
            Happening::Spilled { bytes } => write!(f, "moved to disk ({bytes} bytes)")?,
            Happening::Restored { bytes } => write!(f, "came back from disk ({bytes} bytes)")?,
            Happening::NotSpilled { reason } => write!(f, "could not move to disk: {reason}")?,
            Happening::Unreadable { reason } => {
                write!(f, "cannot be read back and is made again: {reason}")?;
            }
            Happening::Lost { reason } => write!(f, "is lost: {reason}")?,
        }
        match self.run {
            Some(run) => write!(f, " (run {run})"),
            None => Ok(()),
        }
    }
}
