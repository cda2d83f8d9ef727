//! Task functions, and a callback that notes which tasks run.

use std::sync::{Arc, Mutex, MutexGuard};

use mobula::diagnostics::cache::{Lookup, Put, ReadStats};
use mobula::{
    BoxError, CacheStats, Callback, Cluster, Data, Graph, Key, ObjectRefs, PreState, Results,
    SimpleCacheActor, StateRef, Value, graph,
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
