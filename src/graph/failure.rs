//! Why a task failed. The engine keeps failures, conditions for a new attempt look at them; nothing here
//! prints them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::function::{BoxError, CallError};
use super::key::Key;
use super::process_end::ProcessEnd;
use crate::value::Data;

/// A task that failed for good, and what it failed with.
///
/// Cloning is cheap; the error itself is shared.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The task's key; `None` if a hook of the whole run failed.
    pub key: Option<Key>,
    /// What happened.
    pub cause: Cause,
    /// How often the task was tried.
    pub attempts: u32,
}

/// What made a task fail.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Cause {
    /// The call failed: the function returned an error, or its arguments did not fit.
    Call(Arc<CallError>),
    /// The function panicked, with this message.
    Panic(String),
    /// A hook failed or panicked.
    Hook {
        /// The callback's name.
        callback: String,
        /// The hook's name, such as `pretask`.
        hook: &'static str,
        /// Its error.
        error: Arc<BoxError>,
    },
    /// The worker that ran the task was lost.
    WorkerLost,
    /// The worker process that ran the task ended, or could not be started.
    ProcessLost(Arc<ProcessEnd>),
    /// The task's value was moved to disk, could not be read back, and could not be made again; with
    /// the reason.
    Lost(Arc<str>),
    /// An attempt of the task, or the whole run, took longer than this.
    TimedOut {
        /// The limit that was exceeded.
        limit: Duration,
    },
}

/// What stands in the place of a value that was not made, in a run that goes on when a task fails
/// ([`OnError::Skip`](crate::OnError::Skip)): for the task that failed, and for all that needed it.
#[derive(Clone, Debug)]
pub struct Missing {
    /// The key that has no value.
    pub key: Key,
    /// What failed; its key is another one if this one was skipped.
    pub failure: Failure,
}

impl Data for Missing {}

impl Missing {
    /// True if the task did not fail itself, but was skipped because an input of it was missing.
    pub fn is_skipped(&self) -> bool {
        self.failure.key.as_ref() != Some(&self.key)
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_skipped() {
            write!(f, "task {:?} was skipped: ", self.key)?;
        }
        self.failure.fmt(f)
    }
}

impl Failure {
    /// A failure at the first attempt.
    pub fn new(key: Key, cause: Cause) -> Self {
        Self { key: Some(key), cause, attempts: 1 }
    }

    /// The error that the task's function itself returned.
    pub fn task_error(&self) -> Option<&BoxError> {
        match &self.cause {
            Cause::Call(error) => match &**error {
                CallError::Failed(error) => Some(error),
                CallError::Arity { .. }
                | CallError::Type { .. }
                | CallError::List { .. }
                | CallError::NestedAsync { .. } => None,
            },
            Cause::Panic(_)
            | Cause::Hook { .. }
            | Cause::WorkerLost
            | Cause::ProcessLost(_)
            | Cause::TimedOut { .. }
            | Cause::Lost(_) => None,
        }
    }

    /// True if an attempt, or the whole run, took longer than its time limit.
    pub fn is_timeout(&self) -> bool {
        matches!(self.cause, Cause::TimedOut { .. })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = DisplayKey(self.key.as_ref());
        match &self.cause {
            Cause::Call(error) => match self.task_error() {
                Some(error) => write!(f, "task {key} failed: {error}")?,
                None => write!(f, "task {key} cannot be called: {error}")?,
            },
            Cause::Panic(message) => write!(f, "task {key} panicked: {message}")?,
            Cause::Hook { callback, hook, error } => {
                write!(f, "hook {hook} of callback {callback} failed for {key}: {error}")?;
            }
            Cause::WorkerLost => write!(f, "the worker of task {key} was lost")?,
            Cause::ProcessLost(end) => return write_process_lost(f, &key, self.attempts, end),
            Cause::Lost(reason) => write!(f, "the value of {key} is lost: {reason}")?,
            Cause::TimedOut { limit } if self.key.is_none() => {
                write!(f, "the run took longer than its limit of {limit:?}")?;
            }
            Cause::TimedOut { limit } => {
                write!(f, "task {key} took longer than its limit of {limit:?}")?;
            }
        }
        if self.attempts > 1 {
            write!(f, " (after {} attempts)", self.attempts)?;
        }
        Ok(())
    }
}

/// The output comes last, as it may be long.
fn write_process_lost(
    f: &mut fmt::Formatter<'_>,
    key: &DisplayKey<'_>,
    attempts: u32,
    end: &ProcessEnd,
) -> fmt::Result {
    write!(f, "the worker process of task {key} {end}")?;
    if attempts > 1 {
        write!(f, " (after {attempts} attempts)")?;
    }
    if !end.output.is_empty() {
        f.write_str("; the last lines of its output:")?;
    }
    end.output.iter().try_for_each(|line| write!(f, "\n    {line}"))
}

struct DisplayKey<'a>(Option<&'a Key>);

impl fmt::Display for DisplayKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(key) => write!(f, "{key:?}"),
            None => f.write_str("the run"),
        }
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // The message already says what the error says; its own causes follow.
        match &self.cause {
            Cause::Call(_) => self.task_error()?.source(),
            Cause::Hook { error, .. } => error.source(),
            Cause::Panic(_)
            | Cause::WorkerLost
            | Cause::ProcessLost(_)
            | Cause::TimedOut { .. }
            | Cause::Lost(_) => None,
        }
    }
}
