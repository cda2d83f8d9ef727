//! Small task functions and clusters that many tests use.

use mobula::{Cluster, Data, Results};

pub(crate) fn inc(x: i64) -> i64 {
    x + 1
}

pub(crate) fn add(x: i64, y: i64) -> i64 {
    x + y
}

#[expect(clippy::needless_pass_by_value, reason = "a task that takes a list by value is meant")]
pub(crate) fn total(items: Vec<i64>) -> i64 {
    items.iter().sum()
}

pub(crate) fn cluster(workers: usize) -> Cluster {
    Cluster::builder().workers(workers).start().expect("a cluster starts")
}

/// The data of a result that is known to be of this type.
pub(crate) fn data<T: Data + Clone>(results: Results) -> T {
    results.into_data().expect("the result is of the expected type")
}

/// How many values the store of a cluster holds, once it has come to rest: what a run that was
/// cancelled held goes with the last worker that looks away from it, so a few more answers of the store
/// are awaited as long as something is left.
pub(crate) fn held(cluster: &mobula::Client) -> u64 {
    let values = || cluster.stats_blocking().expect("the cluster is there").holdings.values;
    (0..10_000).map(|_| values()).find(|values| *values == 0).unwrap_or_else(values)
}
