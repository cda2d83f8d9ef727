//! Why a task, and with it its run, failed. The engine keeps failures; it does not print them.

use std::fmt;
use std::sync::Arc;

use crate::graph::{BoxError, CallError, Key};

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
    /// The task's value was moved to disk, could not be read back, and could not be made again; with
    /// the reason.
    Lost(Arc<str>),
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
            Cause::Panic(_) | Cause::Hook { .. } | Cause::WorkerLost | Cause::Lost(_) => None,
        }
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
            Cause::Lost(reason) => write!(f, "the value of {key} is lost: {reason}")?,
        }
        if self.attempts > 1 {
            write!(f, " (after {} attempts)", self.attempts)?;
        }
        Ok(())
    }
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
            Cause::Panic(_) | Cause::WorkerLost | Cause::Lost(_) => None,
        }
    }
}
