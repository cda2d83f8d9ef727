//! [`CacheCallback`]: answers for tasks from a [`SimpleCacheActor`], and keeps what took long there.
//!
//! It looks at keys only: it cannot know whether a key still means the same.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::shards::Shards;
use super::actor::{Answer, Lookup, Missed, Put, SimpleCacheActor, Used};
use crate::actors::StateRef;
use crate::actors::callbacks::{Callback, HookResult, ObjectRefs, PreState, RunView, TaskView};
use crate::graph::{BoxError, Key, Plan};
use crate::value::Value;

/// Keeps results in a [`SimpleCacheActor`] and answers for them in later runs.
///
/// A result is kept if its task ran at least as long as the [`threshold`](Self::threshold). At the start
/// of a run the actor is asked once, for all keys of the run: what it knows does not run, nor does what
/// only such a task would have needed. So the second run of a graph costs what was too quick to be kept.
/// Clones are the same callback.
///
/// # A key is all it knows
///
/// The cache goes by the key of a task: not by its function or its arguments. **The same key with
/// another meaning, in another graph or after the input data changed, gets the old answer.** So give
/// keys that say it all; or keep graphs apart with [`namespace`](Self::namespace), and change the
/// namespace with the data; or cache only the tasks that you know to be safe, with
/// [`prefixes`](Self::prefixes). Beware of automatic keys: [`Graph::add`](crate::Graph::add) counts
/// from zero in each graph, so two graphs have the same ones; [`delayed`](fn@crate::delayed) calls never
/// have the same key twice, so a call that is made anew is never found (give it one with
/// [`with_key`](crate::Delayed::with_key)).
///
/// # What is counted
///
/// The actor's [`CacheStats`](super::CacheStats) tell the truth about tasks: a hit is an answer that was
/// used, a miss is a task of a cached kind that had to run. A value that was there but that nobody needed
/// (because something behind it was known, too) is neither. The misses of a run are told to the actor
/// when the run ends.
///
/// If the actor stops, its runs fail with an error that names this callback, the hook and the key;
/// [`CallbackErrors::Log`](crate::CallbackErrors::Log) lets them go on without the cache.
///
/// # Examples
///
/// ```
/// use mobula::diagnostics::cache::ReadStats;
/// use mobula::{CacheCallback, Cluster, SimpleCacheActor, graph};
/// use std::time::Duration;
///
/// fn square(x: i64) -> i64 {
///     x * x
/// }
///
/// let cluster = Cluster::builder().workers(2).start()?;
/// let cache = cluster.start_state(SimpleCacheActor::with_bytes(64 << 20))?;
/// // Without a threshold everything is kept; `.threshold(Duration::from_secs(2))` keeps what is slow.
/// let _caching = cluster.register(CacheCallback::new(cache.clone()).threshold(Duration::ZERO));
///
/// let graph = || graph! { "x" => (square, 3), "y" => (square, "x") };
/// assert_eq!(cluster.get_blocking(graph(), "y")?.get::<i64>(), Some(&81));
/// assert_eq!(cluster.get_blocking(graph(), "y")?.get::<i64>(), Some(&81));
///
/// // Nothing ran the second time: "y" was known, and nobody else needed "x".
/// let stats = cache.ask(ReadStats)?;
/// assert_eq!((stats.hits, stats.misses), (1, 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct CacheCallback {
    cache: StateRef<SimpleCacheActor>,
    /// Results of tasks that ran shorter are not kept.
    threshold: Duration,
    asks: Asks,
    /// Only keys with these prefixes are cached; `None`: all.
    prefixes: Option<Arc<BTreeSet<String>>>,
    /// Stands before each key in the cache.
    namespace: Option<Key>,
    /// By worker: misses that the actor was not told of. Added to by `postsubmit`, emptied at the end
    /// of a run.
    missed: Arc<Shards<u64>>,
}

/// When the actor is asked for values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asks {
    /// For all keys at the start of a run.
    AtStart,
    /// For each task when its turn has come.
    EachTask,
}

impl CacheCallback {
    /// A callback over a cache: keeps every result, and asks at the start of a run.
    pub fn new(cache: StateRef<SimpleCacheActor>) -> Self {
        Self {
            cache,
            threshold: Duration::ZERO,
            asks: Asks::AtStart,
            prefixes: None,
            namespace: None,
            missed: Arc::default(),
        }
    }

    /// Keeps only results of tasks that ran at least so long.
    ///
    /// Choose more than a result costs to keep: about a microsecond, and its memory.
    #[must_use]
    pub fn threshold(mut self, threshold: Duration) -> Self {
        self.threshold = threshold;
        self
    }

    /// Asks the actor for each task before it runs, from `presubmit`, instead of once at the start of a
    /// run: the cache callback of Dask-on-Ray's guide.
    ///
    /// It costs a round trip for each task (some microseconds), and as tasks come in the order of
    /// their dependencies, what only a cached task needed has run by the time that the cached one is
    /// asked for. Use it when runs that go on at the same time, or tasks themselves, put values which a
    /// run should find while it is going on. A hit is then an answer that was given; if a callback before
    /// this one has answered, too, it is not used.
    #[must_use]
    pub fn ask_each_task(mut self) -> Self {
        self.asks = Asks::EachTask;
        self
    }

    /// Caches only tasks whose keys have one of these prefixes; see [`Key::prefix`].
    #[must_use]
    pub fn prefixes(mut self, prefixes: impl IntoIterator<Item: Into<String>>) -> Self {
        self.prefixes = Some(Arc::new(prefixes.into_iter().map(Into::into).collect()));
        self
    }

    /// Keeps the values under `(namespace, key)` instead of the plain key, apart from those of callbacks
    /// with another namespace over the same actor.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<Key>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Whether tasks with this key are cached at all.
    fn takes(&self, key: &Key) -> bool {
        self.prefixes.as_ref().is_none_or(|prefixes| match key.prefix() {
            Cow::Borrowed(prefix) => prefixes.contains(prefix),
            Cow::Owned(prefix) => prefixes.contains(&prefix),
        })
    }

    /// The key in the cache.
    fn place(&self, key: &Key) -> Key {
        match &self.namespace {
            Some(namespace) => Key::from((namespace, key)),
            None => key.clone(),
        }
    }
}

impl Callback for CacheCallback {
    fn name(&self) -> &'static str {
        "CacheCallback"
    }

    fn lookup(&self, keys: &[&Key]) -> Result<Vec<Option<Value>>, BoxError> {
        if self.asks == Asks::EachTask {
            return Ok(Vec::new());
        }
        let taken = keys.iter().enumerate().filter(|(_, key)| self.takes(key));
        let (at, places): (Vec<usize>, Vec<Key>) =
            taken.map(|(at, key)| (at, self.place(key))).unzip();
        let mut answers = vec![None; keys.len()];
        if !places.is_empty() {
            for (at, answer) in at.into_iter().zip(self.cache.ask(Lookup(places))?) {
                answers[at] = answer;
            }
        }
        Ok(answers)
    }

    fn lookup_used(&self, keys: &[&Key]) -> HookResult {
        Ok(self.cache.tell(Used(keys.iter().map(|key| self.place(key)).collect()))?)
    }

    fn presubmit(
        &self,
        _: &TaskView<'_>,
        key: &Key,
        _: &ObjectRefs<'_>,
    ) -> Result<Option<Value>, BoxError> {
        // What was not known at the start of the run is hardly known now; asking would cost a round
        // trip a task.
        if self.asks == Asks::AtStart || !self.takes(key) {
            return Ok(None);
        }
        Ok(self.cache.ask(Answer(self.place(key)))?)
    }

    fn postsubmit(
        &self,
        _: &TaskView<'_>,
        key: &Key,
        _: &ObjectRefs<'_>,
        _: &crate::actors::store::ObjectRef,
    ) -> HookResult {
        // No callback has answered: the task runs. It is counted here and not in `pretask`, which is
        // called again when the task is tried again.
        if self.takes(key) {
            *self.missed.mine() += 1;
        }
        Ok(())
    }

    fn pretask(&self, key: &Key, _: &ObjectRefs<'_>) -> Result<PreState, BoxError> {
        if !self.takes(key) {
            return Ok(None);
        }
        #[expect(clippy::disallowed_methods, reason = "the threshold is one of measured time")]
        let start = Instant::now();
        Ok(Some(Box::new(start)))
    }

    fn posttask(&self, key: &Key, result: &Value, start: PreState) -> HookResult {
        let start = start.and_then(|state| state.downcast::<Instant>().ok());
        if start.is_some_and(|start| start.elapsed() >= self.threshold) {
            self.cache.tell(Put { key: self.place(key), value: result.clone() })?;
        }
        Ok(())
    }

    fn graph_finish(&self, _: &Plan, _: &RunView<'_>, _: bool) -> HookResult {
        let missed = self.missed.all().map(|mut missed| std::mem::take(&mut *missed)).sum();
        if missed > 0
            && let Err(error) = self.cache.tell(Missed(missed))
        {
            // The run needed no value of the cache after all; its counts died with it.
            log::debug!("{missed} misses are not counted: {error}");
        }
        Ok(())
    }
}
