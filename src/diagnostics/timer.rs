//! [`TimerCallback`]: how long each task took, by key and by key prefix.
//!
//! It measures the function alone, in the worker; waiting, hooks and moving values are not in it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::actors::callbacks::{Callback, HookResult, ObjectRefs, PreState};
use crate::graph::{BoxError, Key};
use crate::value::Value;

/// Times every task. Clones share what they have measured.
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
    /// By key: the time of each execution, in the order in which they ended.
    durations: Arc<Mutex<BTreeMap<Key, Vec<Duration>>>>,
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

    /// The time of each execution, by key.
    pub fn durations(&self) -> BTreeMap<Key, Vec<Duration>> {
        self.lock().clone()
    }

    /// The durations by key prefix, the greatest total first.
    pub fn by_prefix(&self) -> Vec<Durations> {
        let mut prefixes: BTreeMap<String, Durations> = BTreeMap::new();
        for (key, durations) in self.lock().iter() {
            let prefix = key.prefix().into_owned();
            let sum = prefixes.entry(prefix.clone()).or_insert_with(|| Durations {
                prefix,
                tasks: 0,
                total: Duration::ZERO,
                longest: Duration::ZERO,
            });
            sum.tasks += durations.len();
            sum.total += durations.iter().sum::<Duration>();
            sum.longest = durations.iter().copied().fold(sum.longest, Duration::max);
        }
        let mut sums: Vec<Durations> = prefixes.into_values().collect();
        sums.sort_by(|one, two| {
            two.total.cmp(&one.total).then_with(|| one.prefix.cmp(&two.prefix))
        });
        sums
    }

    /// Forgets what was measured.
    pub fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Key, Vec<Duration>>> {
        // Nothing panics under the lock; were it poisoned, the content would still be whole.
        self.durations.lock().unwrap_or_else(PoisonError::into_inner)
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
        let elapsed = start.ok_or("the start time is missing")?.elapsed();
        self.lock().entry(key.clone()).or_default().push(elapsed);
        Ok(())
    }
}
