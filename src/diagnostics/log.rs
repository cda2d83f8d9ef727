//! [`LogCallback`]: says what happens to runs and tasks through the `log` crate.
//!
//! It sets no logger up; that is the program's part.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use log::{Level, log, log_enabled};

use crate::actors::callbacks::{Callback, HookResult, ObjectRefs, PreState, RunView, TaskView};
use crate::actors::store::ObjectRef;
use crate::engine::Failure;
use crate::graph::{BoxError, Key, Plan};
use crate::value::Value;

/// Logs each run (by default at level info), each task's submission, start and end with its time
/// (debug), and each error and retry (warn).
///
/// Every line about a task has its key. The target is `mobula::diagnostics::log`, so
/// `RUST_LOG=mobula::diagnostics=debug` shows the tasks with a logger such as `env_logger`. Lines that
/// the logger does not want cost next to nothing. Clones are the same callback.
///
/// # Examples
///
/// ```
/// use mobula::{Cluster, LogCallback, graph};
///
/// fn inc(x: i64) -> i64 {
///     x + 1
/// }
///
/// let cluster = Cluster::builder().workers(1).start()?;
/// let _logging = cluster.register(LogCallback::new().tasks(log::Level::Info).runs(None));
/// cluster.get_blocking(graph! { "x" => (inc, 1) }, "x")?;
/// // INFO  task 'x' is submitted
/// // INFO  task 'x' starts
/// // INFO  task 'x' has ended after 417ns
/// # Ok::<(), mobula::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct LogCallback {
    runs: Option<Level>,
    tasks: Option<Level>,
    problems: Option<Level>,
    /// By run that goes on: when it began.
    began: Arc<Mutex<BTreeMap<u64, Instant>>>,
}

impl LogCallback {
    /// A callback with the usual levels.
    pub fn new() -> Self {
        Self {
            runs: Some(Level::Info),
            tasks: Some(Level::Debug),
            problems: Some(Level::Warn),
            began: Arc::default(),
        }
    }

    /// The level of starts and ends of runs; `None` for no such lines.
    #[must_use]
    pub fn runs(mut self, level: impl Into<Option<Level>>) -> Self {
        self.runs = level.into();
        self
    }

    /// The level of what happens to tasks; `None` for no such lines.
    #[must_use]
    pub fn tasks(mut self, level: impl Into<Option<Level>>) -> Self {
        self.tasks = level.into();
        self
    }

    /// The level of errors and retries; `None` for no such lines.
    #[must_use]
    pub fn problems(mut self, level: impl Into<Option<Level>>) -> Self {
        self.problems = level.into();
        self
    }

    fn began(&self) -> MutexGuard<'_, BTreeMap<u64, Instant>> {
        // Nothing panics under the lock; were it poisoned, the content would still be whole.
        self.began.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for LogCallback {
    fn default() -> Self {
        Self::new()
    }
}

/// Logs a line, unless its level is `None`.
macro_rules! line {
    ($level:expr, $($message:tt)+) => {
        if let Some(level) = $level {
            log!(level, $($message)+);
        }
    };
}

/// The clock, for the lines that say how long something took.
fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "the lines say how long something took")]
    Instant::now()
}

impl Callback for LogCallback {
    fn name(&self) -> &'static str {
        "LogCallback"
    }

    fn graph_start_state(&self, graph: &Plan, state: &RunView<'_>) -> HookResult {
        let (run, tasks) = (state.id(), state.tasks());
        let spared = graph.len() - tasks;
        self.began().insert(run, now());
        let mut by = BTreeMap::<&str, usize>::new();
        for (_, callback) in state.answered() {
            *by.entry(callback).or_default() += 1;
        }
        let by = by.into_iter().map(|(callback, count)| format!("; {count} from {callback}"));
        let by = by.collect::<Vec<_>>().concat();
        line!(
            self.runs,
            "run {run} starts: {tasks} tasks to run, {spared} answered or not needed{by}"
        );
        Ok(())
    }

    fn postsubmit(
        &self,
        _: &TaskView<'_>,
        key: &Key,
        _: &ObjectRefs<'_>,
        _: &ObjectRef,
    ) -> HookResult {
        line!(self.tasks, "task {key:?} is submitted");
        Ok(())
    }

    fn pretask(&self, key: &Key, _: &ObjectRefs<'_>) -> Result<PreState, BoxError> {
        let Some(level) = self.tasks.filter(|level| log_enabled!(*level)) else {
            return Ok(None);
        };
        log!(level, "task {key:?} starts");
        Ok(Some(Box::new(now())))
    }

    fn posttask(&self, key: &Key, _: &Value, start: PreState) -> HookResult {
        if let Some(start) = start.and_then(|state| state.downcast::<Instant>().ok()) {
            let duration = start.elapsed();
            line!(self.tasks, "task {key:?} has ended after {duration:?}");
        }
        Ok(())
    }

    fn graph_finish(&self, _: &Plan, state: &RunView<'_>, errored: bool) -> HookResult {
        let run = state.id();
        let began = self.began().remove(&run);
        match began.map(|began| began.elapsed()) {
            Some(duration) if errored => {
                line!(self.runs, "run {run} failed or was cancelled after {duration:?}");
            }
            Some(duration) => line!(self.runs, "run {run} has ended after {duration:?}"),
            None => line!(self.runs, "run {run} did not start"),
        }
        Ok(())
    }

    fn error(&self, _: &Key, failure: &Failure) -> HookResult {
        line!(self.problems, "{failure}");
        Ok(())
    }

    fn retry(&self, key: &Key, attempt: u32) -> HookResult {
        line!(self.problems, "task {key:?} is tried again: attempt {attempt}");
        Ok(())
    }
}
