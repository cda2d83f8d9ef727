//! [`Error`]: the one error that users meet, made of the small errors of the floors below.

use std::fmt;
use std::sync::Arc;

use crate::actors::AskError;
use crate::actors::store::ObjectError;
use crate::engine::{Cause, Failure};
use crate::graph::{BoxError, CallError, GraphError, Key, Missing, WrongType};

/// Why something could not be had from a cluster. Cloning is cheap.
///
/// The message says which task or key is concerned and what to do. To decide in a program, ask the
/// predicates; for the error that a task itself returned, [`task_error`](Self::task_error).
///
/// # Examples
///
/// ```
/// use mobula::{Cluster, graph};
///
/// fn parse(text: &str) -> Result<i64, std::num::ParseIntError> {
///     text.parse()
/// }
///
/// let cluster = Cluster::builder().workers(1).start()?;
/// let error = cluster
///     .get_blocking(graph! { "n" => (parse, mobula::lit("seven".to_owned())) }, "n")
///     .unwrap_err();
/// assert!(error.is_task_error());
/// assert_eq!(error.key().unwrap().to_string(), "n");
/// assert!(error.task_error().unwrap().is::<std::num::ParseIntError>());
/// assert_eq!(error.to_string(), "task 'n' failed: invalid digit found in string");
/// # Ok::<(), mobula::Error>(())
/// ```
#[derive(Clone)]
pub struct Error(Arc<Kind>);

#[derive(Debug)]
pub(crate) enum Kind {
    Graph(GraphError),
    Task(Failure),
    /// Several tasks failed, in a run that collects failures.
    Tasks(Arc<[Failure]>),
    Object(ObjectError),
    Ask(AskError),
    Cancelled,
    Closed,
    Blocking {
        call: &'static str,
    },
    Result {
        key: Option<Key>,
        expected: &'static str,
        found: &'static str,
    },
    Start(String),
    /// A journal cannot be written.
    Journal {
        path: String,
        reason: String,
    },
}

impl From<Kind> for Error {
    fn from(kind: Kind) -> Self {
        Self(Arc::new(kind))
    }
}

impl Error {
    fn failure(&self) -> Option<&Failure> {
        if let Kind::Task(failure)
        | Kind::Object(
            ObjectError::Failed { failure, .. } | ObjectError::Lost { failure, .. },
        ) = &*self.0
        {
            return Some(failure);
        }
        if let Kind::Tasks(failures) = &*self.0 { failures.first() } else { None }
    }

    fn call_error(&self) -> Option<&CallError> {
        match &self.failure()?.cause {
            Cause::Call(error) => Some(error),
            Cause::Panic(_)
            | Cause::Hook { .. }
            | Cause::WorkerLost
            | Cause::ProcessLost(_)
            | Cause::TimedOut { .. }
            | Cause::Lost(_) => None,
        }
    }

    /// The key that is concerned: of the task that failed, or the one that is missing.
    pub fn key(&self) -> Option<&Key> {
        match &*self.0 {
            Kind::Graph(GraphError::MissingKey { key, .. } | GraphError::DuplicateKey(key))
            | Kind::Object(
                ObjectError::Cancelled { key }
                | ObjectError::NotYet { key }
                | ObjectError::Failed { key, .. }
                | ObjectError::Lost { key, .. },
            ) => Some(key),
            Kind::Result { key, .. } => key.as_ref(),
            Kind::Task(_) | Kind::Tasks(_) => self.failure()?.key.as_ref(),
            Kind::Graph(_)
            | Kind::Ask(_)
            | Kind::Cancelled
            | Kind::Closed
            | Kind::Blocking { .. }
            | Kind::Journal { .. }
            | Kind::Start(_) => None,
        }
    }

    /// What failed, if a task or a hook did; of several failures the first one. The other questions
    /// about a failure, such as [`is_panic`](Self::is_panic), are about that one too.
    pub fn as_failure(&self) -> Option<&Failure> {
        self.failure()
    }

    /// All that failed: several failures in a run with [`OnError::Collect`](crate::OnError::Collect), in
    /// the order in which they happened, otherwise one at most.
    pub fn failures(&self) -> &[Failure] {
        if let Kind::Tasks(failures) = &*self.0 {
            return failures;
        }
        self.failure().map_or(&[], std::slice::from_ref)
    }

    /// True if a task, or the whole run, took longer than its time limit.
    pub fn is_timeout(&self) -> bool {
        self.failure().is_some_and(Failure::is_timeout)
    }

    /// What is wrong with the graph, if that is the reason.
    pub fn as_graph_error(&self) -> Option<&GraphError> {
        if let Kind::Graph(error) = &*self.0 {
            return Some(error);
        }
        None
    }

    /// The error that a task's function returned.
    pub fn task_error(&self) -> Option<&BoxError> {
        self.failure()?.task_error()
    }

    /// True if a task's function returned an error.
    pub fn is_task_error(&self) -> bool {
        self.task_error().is_some()
    }

    /// True if a task's function panicked.
    pub fn is_panic(&self) -> bool {
        self.failure().is_some_and(|failure| matches!(failure.cause, Cause::Panic(_)))
    }

    /// True if a value was of another type than a task or the caller takes.
    pub fn is_wrong_type(&self) -> bool {
        matches!(&*self.0, Kind::Result { .. })
            || matches!(self.call_error(), Some(CallError::Type { .. } | CallError::List { .. }))
    }

    /// True if a task was called with too many or too few arguments.
    pub fn is_wrong_arity(&self) -> bool {
        matches!(self.call_error(), Some(CallError::Arity { .. }))
    }

    /// True if a hook of a callback failed or panicked.
    pub fn is_hook(&self) -> bool {
        self.failure().is_some_and(|failure| matches!(failure.cause, Cause::Hook { .. }))
    }

    /// True if the worker of a task was lost, too often to try again.
    pub fn is_worker_lost(&self) -> bool {
        let is_lost = |cause: &Cause| matches!(cause, Cause::WorkerLost | Cause::ProcessLost(_));
        self.failure().is_some_and(|failure| is_lost(&failure.cause))
    }

    /// True if a value was moved to disk, could not be read back and could not be made again.
    pub fn is_lost(&self) -> bool {
        self.failure().is_some_and(|failure| matches!(failure.cause, Cause::Lost(_)))
    }

    /// True if the run was cancelled.
    pub fn is_cancelled(&self) -> bool {
        matches!(&*self.0, Kind::Cancelled | Kind::Object(ObjectError::Cancelled { .. }))
    }

    /// True if the cluster has ended.
    pub fn is_closed(&self) -> bool {
        matches!(&*self.0, Kind::Closed)
    }

    /// True if a journal cannot be written.
    pub fn is_journal(&self) -> bool {
        matches!(&*self.0, Kind::Journal { .. })
    }

    /// True if a blocking call was made where it would hold up an arbiter.
    pub fn is_blocking(&self) -> bool {
        matches!(&*self.0, Kind::Blocking { .. } | Kind::Ask(AskError::WouldDeadlock { .. }))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Kind::Graph(error) => error.fmt(f),
            Kind::Task(failure) => failure.fmt(f),
            Kind::Tasks(failures) => fmt_all(failures, f),
            Kind::Object(error) => error.fmt(f),
            Kind::Ask(error) => error.fmt(f),
            Kind::Cancelled => f.write_str("the run was cancelled"),
            Kind::Closed => f.write_str(
                "the cluster has ended; start a new one with `Cluster::builder().start()`",
            ),
            Kind::Blocking { call } => write!(
                f,
                "`{call}_blocking` would hold up this arbiter and all actors in it; await `{call}` instead"
            ),
            Kind::Result { key, expected, found } => {
                let result = key.as_ref().map_or("the result".to_owned(), |key| format!("{key:?}"));
                write!(f, "{result} is of type {found}, not {expected}")
            }
            Kind::Journal { path, reason } => write!(
                f,
                "the journal {path} cannot be written: {reason}; name a file in a directory that is there"
            ),
            Kind::Start(reason) => write!(f, "the cluster cannot start: {reason}"),
        }
    }
}

fn fmt_all(failures: &[Failure], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if failures.len() > 1 {
        write!(f, "{} tasks failed: ", failures.len())?;
    }
    for (at, failure) in failures.iter().enumerate() {
        let between = if at > 0 { "; " } else { "" };
        write!(f, "{between}{failure}")?;
    }
    Ok(())
}

/// The message with its causes: what `fn main() -> Result<(), mobula::Error>` prints.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // The message already says what the failure says; its causes follow.
        self.failure()?.source()
    }
}

impl From<GraphError> for Error {
    fn from(error: GraphError) -> Self {
        Kind::Graph(error).into()
    }
}

impl From<WrongType> for Error {
    fn from(error: WrongType) -> Self {
        if let Some(missing) = error.value().downcast_ref::<Missing>() {
            return Kind::Task(missing.failure.clone()).into();
        }
        let (expected, found) = (error.expected(), error.value().type_name());
        Kind::Result { key: None, expected, found }.into()
    }
}

impl From<AskError> for Error {
    fn from(error: AskError) -> Self {
        Kind::Ask(error).into()
    }
}

impl From<ObjectError> for Error {
    fn from(error: ObjectError) -> Self {
        Kind::Object(error).into()
    }
}
