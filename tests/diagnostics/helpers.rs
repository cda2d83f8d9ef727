//! Task functions, and a callback that notes which tasks run.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use mobula::diagnostics::cache::{Lookup, Put, ReadStats};
use mobula::{
    BoxError, CacheStats, Callback, Checkpoint, Cluster, Data, Graph, Key, ObjectRefs, PreState,
    Results, SimpleCacheActor, StateRef, Value, graph,
};

pub(crate) fn inc(x: i64) -> i64 {
    x + 1
}

pub(crate) fn add(x: i64, y: i64) -> i64 {
    x + y
}

pub(crate) fn cluster(workers: usize) -> Cluster {
    Cluster::builder().workers(workers).start().expect("a cluster starts")
}

pub(crate) fn data<T: Data + Clone>(results: Results) -> T {
    results.into_data().expect("the result is of the expected type")
}

/// `total` needs `left` and `right`, which need `left-root` and `right-root` alone.
pub(crate) fn two_branches() -> Graph {
    graph! {
        "left-root" => (inc, 0),
        "left" => (inc, "left-root"),
        "right-root" => (inc, 10),
        "right" => (inc, "right-root"),
        "total" => (add, "left", "right"),
    }
}

pub(crate) fn start(cluster: &Cluster, actor: SimpleCacheActor) -> StateRef<SimpleCacheActor> {
    cluster.start_state(actor).expect("an actor starts")
}

/// A cache without bounds.
pub(crate) fn cache_of(cluster: &Cluster) -> StateRef<SimpleCacheActor> {
    start(cluster, SimpleCacheActor::unbounded())
}

pub(crate) fn stats(cache: &StateRef<SimpleCacheActor>) -> CacheStats {
    cache.ask(ReadStats).expect("the cache is there")
}

/// Which of the keys are held.
pub(crate) fn held<K: Into<Key>>(
    cache: &StateRef<SimpleCacheActor>,
    keys: impl IntoIterator<Item = K>,
) -> Vec<bool> {
    let keys = keys.into_iter().map(Into::into).collect();
    let values = cache.ask(Lookup(keys)).expect("the cache is there");
    values.iter().map(Option::is_some).collect()
}

pub(crate) fn put(
    cache: &StateRef<SimpleCacheActor>,
    key: impl Into<Key>,
    value: impl Into<Value>,
) {
    let put = Put { key: key.into(), value: value.into() };
    cache.tell(put).expect("the cache is there");
}

/// A checkpoint that keeps all that can be kept.
pub(crate) fn keeping_all(directory: &Path) -> Checkpoint {
    Checkpoint::new(directory).min_time(Duration::ZERO)
}

/// As a process of its own: the result, and what ran.
pub(crate) fn process<T: Data + Clone>(
    checkpoint: &Checkpoint,
    graph: Graph,
    key: &str,
) -> (T, Vec<String>) {
    let ran = Ran::default();
    let builder = Cluster::builder().workers(2).checkpoint(checkpoint.clone());
    let cluster = builder.start().expect("a cluster starts");
    let results = cluster.with_callbacks([ran.clone()]).get_blocking(graph, key);
    (data(results.expect("nothing fails")), ran.take())
}

/// The files of a checkpoint, sorted.
pub(crate) fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    let paths = entries.map(|entry| entry.expect("the directory can be read").path());
    let is_value = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "ckpt");
    let mut paths: Vec<_> = paths.filter(is_value).collect();
    paths.sort();
    paths
}

/// Notes the keys of the tasks that run. Clones share the notes.
#[derive(Clone, Default)]
pub(crate) struct Ran(Arc<Mutex<Vec<Key>>>);

impl Ran {
    fn lock(&self) -> MutexGuard<'_, Vec<Key>> {
        self.0.lock().expect("nobody panics under the lock")
    }

    /// What ran since this was asked before, sorted.
    pub(crate) fn take(&self) -> Vec<String> {
        let mut keys = std::mem::take(&mut *self.lock());
        keys.sort();
        keys.iter().map(Key::to_string).collect()
    }
}

impl Callback for Ran {
    fn pretask(&self, key: &Key, _: &ObjectRefs<'_>) -> Result<PreState, BoxError> {
        self.lock().push(key.clone());
        Ok(None)
    }
}
