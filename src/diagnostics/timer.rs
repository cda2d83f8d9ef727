//! [`TimerCallback`]: how long each task took, by key and by key prefix.
//!
//! It measures from its `pretask` to its `posttask`, in the worker: waiting for a worker and moving
//! values are not in it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::shards::Shards;
use crate::actors::callbacks::{Callback, HookResult, ObjectRefs, PreState};
use crate::graph::{BoxError, Key};
use crate::value::Value;

/// Times every task. Clones share what they have measured.
///
/// What callbacks registered behind it do in `pretask`, and those before it in `posttask`, falls into
/// its time; register it last to measure the functions alone. Each execution takes 56 bytes until
/// [`clear`](Self::clear).
///
/// # Examples
///
/// ```
/// use mobula::{Cluster, TimerCallback, graph};
///
/// fn inc(x: i64) -> i64 {
///     x + 1
/// }
///
/// let cluster = Cluster::builder().workers(2).start()?;
/// let timer = TimerCallback::new();
/// let _timing = cluster.register(timer.clone());
/// cluster.get_blocking(graph! { ("inc", 0) => (inc, 1), ("inc", 1) => (inc, ("inc", 0)) }, ("inc", 1))?;
/// assert_eq!(timer.by_prefix()[0].prefix, "inc");
/// assert_eq!(timer.by_prefix()[0].tasks, 2);
/// # Ok::<(), mobula::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct TimerCallback {
    /// By worker, added to after each task; sorted only when somebody asks.
    executions: Arc<Shards<Vec<Execution>>>,
}

/// One task that ran once.
#[derive(Clone, Debug)]
struct Execution {
    key: Key,
    start: Instant,
    duration: Duration,
}

/// The durations of all tasks with the same key prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Durations {
    /// The prefix; see [`Key::prefix`].
    pub prefix: String,
    /// How many executions there were.
    pub tasks: usize,
    /// Their time together.
    pub total: Duration,
    /// The longest one.
    pub longest: Duration,
}

impl Durations {
    /// The mean time of an execution.
    pub fn mean(&self) -> Duration {
        self.total / u32::try_from(self.tasks.max(1)).unwrap_or(u32::MAX)
    }
}

impl TimerCallback {
    /// A timer that has measured nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The time of each execution, by key, in the order in which they ended.
    pub fn durations(&self) -> BTreeMap<Key, Vec<Duration>> {
        let mut executions: Vec<Execution> = Vec::new();
        for part in self.executions.all() {
            executions.extend(part.iter().cloned());
        }
        executions.sort_by_key(|execution| execution.start + execution.duration);
        let mut durations: BTreeMap<Key, Vec<Duration>> = BTreeMap::new();
        for Execution { key, duration, .. } in executions {
            durations.entry(key).or_default().push(duration);
        }
        durations
    }

    /// The durations by key prefix, the greatest total first.
    pub fn by_prefix(&self) -> Vec<Durations> {
        let mut sums: BTreeMap<String, Durations> = BTreeMap::new();
        for part in self.executions.all() {
            for execution in part.iter() {
                let prefix = execution.key.prefix();
                if let Some(sum) = sums.get_mut(&*prefix) {
                    sum.add(execution.duration);
                } else {
                    let prefix = prefix.into_owned();
                    sums.insert(prefix.clone(), Durations::of_one(prefix, execution.duration));
                }
            }
        }
        let mut sums: Vec<Durations> = sums.into_values().collect();
        // The sort keeps the order of the prefixes where totals are equal.
        sums.sort_by_key(|sum| std::cmp::Reverse(sum.total));
        sums
    }

    /// Forgets what was measured.
    pub fn clear(&self) {
        for mut part in self.executions.all() {
            *part = Vec::new();
        }
    }
}

impl Durations {
    fn of_one(prefix: String, duration: Duration) -> Self {
        Self { prefix, tasks: 1, total: duration, longest: duration }
    }

    fn add(&mut self, duration: Duration) {
        self.tasks += 1;
        self.total += duration;
        self.longest = self.longest.max(duration);
    }
}

impl Callback for TimerCallback {
    fn name(&self) -> &'static str {
        "TimerCallback"
    }

    fn pretask(&self, _: &Key, _: &ObjectRefs<'_>) -> Result<PreState, BoxError> {
        #[expect(
            clippy::disallowed_methods,
            reason = "measuring time is what this callback is for"
        )]
        let start = Instant::now();
        Ok(Some(Box::new(start)))
    }

    fn posttask(&self, key: &Key, _: &Value, start: PreState) -> HookResult {
        let start = start.and_then(|state| state.downcast::<Instant>().ok());
        let start = *start.ok_or("the start time is missing")?;
        let execution = Execution { key: key.clone(), start, duration: start.elapsed() };
        self.executions.mine().push(execution);
        Ok(())
    }
}
