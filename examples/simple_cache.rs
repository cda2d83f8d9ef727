//! Keeps results that took long in a state actor, so that the second run is answered from there: first
//! with `SimpleCacheActor` and `CacheCallback`, then with an actor and a callback written by hand, as in
//! the Dask-on-Ray guide.
//!
//! ```text
//! cargo run --release --example simple_cache
//! ```
//!
//! Prints, with other times:
//!
//! ```text
//! SimpleCacheActor and CacheCallback
//!   first run:  17 tasks in 28.23ms, 28628 primes
//!   second run: 1 task in 117.83µs, 28628 primes
//!   8 hits, 18 misses, 8 values of 512 bytes
//! by hand: MyCacheActor and MyCacheCallback
//!   first run:  17 tasks in 28.35ms, 28628 primes
//!   second run: 9 tasks in 214.16µs, 28628 primes
//!   8 values
//! cache_hits=8
//! cache_misses=18
//! tasks_run_first=17
//! tasks_run_second=1
//! tasks_run_second_by_hand=9
//! ```
//!
//! Each of eight tasks counts the primes of a range, which takes some milliseconds; the tasks before
//! them and the sum behind them are quick, and stay below the threshold. In the second run
//! `CacheCallback` has asked for all keys at the start, so the ranges, which only cached tasks would
//! need, are not made again. The one by hand asks when a task's turn has come, as the guide's: the
//! ranges have been made by then.

#![expect(clippy::print_stdout, reason = "an example shows its results")]
#![expect(clippy::disallowed_methods, reason = "a threshold on time needs the clock")]

use std::collections::HashMap;
use std::time::{Duration, Instant};

use actix::{Actor, Context, Handler, Message};
use mobula::diagnostics::cache::ReadStats;
use mobula::{
    BoxError, CacheCallback, Callback, Cluster, Graph, HookResult, Key, Node, ObjectRefs, PreState,
    SimpleCacheActor, StateRef, TaskView, TimerCallback, Value,
};

/// Results of tasks that ran at least so long are kept.
const THRESHOLD: Duration = Duration::from_millis(1);

/// How many parts the work is cut into.
const PARTS: u64 = 8;

/// How many numbers there are in a part.
const SIZE: u64 = 50_000;

/// Quick: where a part begins and ends.
fn part(number: u64) -> (u64, u64) {
    let from = 1_000_000 + number * SIZE;
    (from, from + SIZE)
}

/// Slow: how many primes there are in a part, found by trial division.
fn primes((from, to): (u64, u64)) -> u64 {
    let is_prime = |n: &u64| (2..*n).take_while(|d| d * d <= *n).all(|d| !n.is_multiple_of(d));
    (from..to).filter(is_prime).count() as u64
}

/// Quick: the sum of all parts.
fn total(parts: &[u64]) -> u64 {
    parts.iter().sum()
}

fn graph() -> Graph {
    let mut graph = Graph::new();
    let parts: Vec<Node> = (0..PARTS)
        .map(|number| {
            let part = graph.insert(("part", number), (part, number));
            graph.insert(("primes", number), (primes, part))
        })
        .collect();
    graph.insert("total", (total, parts));
    graph
}

/// Runs the graph and answers its result and how many tasks ran.
fn run(cluster: &Cluster, name: &str) -> Result<(u64, usize), Box<dyn std::error::Error>> {
    let (timer, start) = (TimerCallback::new(), Instant::now());
    let result = cluster.with_callbacks([timer.clone()]).get_blocking(graph(), "total")?;
    let (time, tasks) = (start.elapsed(), timer.durations().len());
    let primes: u64 = result.into_data().map_err(|_| "the total is a number")?;
    let s = if tasks == 1 { "" } else { "s" };
    println!("  {name:11} {tasks} task{s} in {time:.2?}, {primes} primes");
    Ok((primes, tasks))
}

/// The cache by hand: any actix actor can hold the state of callbacks.
#[derive(Default)]
struct MyCacheActor {
    cache: HashMap<Key, Value>,
}

impl Actor for MyCacheActor {
    type Context = Context<Self>;
}

#[derive(Message)]
#[rtype(result = "Option<Value>")]
struct Get(Key);

impl Handler<Get> for MyCacheActor {
    type Result = Option<Value>;

    fn handle(&mut self, Get(key): Get, _: &mut Self::Context) -> Option<Value> {
        self.cache.get(&key).cloned()
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Put(Key, Value);

impl Handler<Put> for MyCacheActor {
    type Result = ();

    fn handle(&mut self, Put(key, value): Put, _: &mut Self::Context) {
        self.cache.insert(key, value);
    }
}

#[derive(Message)]
#[rtype(result = "usize")]
struct Count;

impl Handler<Count> for MyCacheActor {
    type Result = usize;

    fn handle(&mut self, _: Count, _: &mut Self::Context) -> usize {
        self.cache.len()
    }
}

/// Caches the result of a task if its execution time reaches a threshold.
struct MyCacheCallback {
    cache_actor: StateRef<MyCacheActor>,
    put_threshold: Duration,
}

impl Callback for MyCacheCallback {
    /// Before the task runs: the actor is asked, and this thread waits for its answer. `Some` is the
    /// result of the task, which then does not run.
    fn presubmit(
        &self,
        _task: &TaskView<'_>,
        key: &Key,
        _deps: &ObjectRefs<'_>,
    ) -> Result<Option<Value>, BoxError> {
        Ok(self.cache_actor.ask(Get(key.clone()))?)
    }

    /// In the worker, before the function.
    fn pretask(&self, _key: &Key, _object_refs: &ObjectRefs<'_>) -> Result<PreState, BoxError> {
        Ok(Some(Box::new(Instant::now())))
    }

    /// In the worker, after the function: the actor is told, and nobody waits.
    fn posttask(&self, key: &Key, result: &Value, pre_state: PreState) -> HookResult {
        let start_time = pre_state.and_then(|state| state.downcast::<Instant>().ok());
        let execution_time = start_time.ok_or("`pretask` was not called")?.elapsed();
        if execution_time > self.put_threshold {
            self.cache_actor.tell(Put(key.clone(), result.clone()))?;
        }
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cluster = Cluster::builder().workers(2).start()?;

    println!("SimpleCacheActor and CacheCallback");
    let cache = cluster.start_state(SimpleCacheActor::with_entries(1_000).and_bytes(64 << 20))?;
    let caching = cluster.register(CacheCallback::new(cache.clone()).threshold(THRESHOLD));
    let (first, tasks_run_first) = run(&cluster, "first run:")?;
    let (second, tasks_run_second) = run(&cluster, "second run:")?;
    let stats = cache.ask(ReadStats)?;
    println!(
        "  {} hits, {} misses, {} values of {} bytes",
        stats.hits, stats.misses, stats.entries, stats.bytes
    );
    drop(caching);

    println!("by hand: MyCacheActor and MyCacheCallback");
    let cache_actor = cluster.start_state(MyCacheActor::default())?;
    let callback = MyCacheCallback { cache_actor: cache_actor.clone(), put_threshold: THRESHOLD };
    let caching = cluster.register(callback);
    let (third, tasks_run_third) = run(&cluster, "first run:")?;
    let (fourth, tasks_run_by_hand) = run(&cluster, "second run:")?;
    println!("  {} values", cache_actor.ask(Count)?);
    drop(caching);

    let plain: u64 = (0..PARTS).map(|number| primes(part(number))).sum();
    assert_eq!([first, second, third, fourth], [plain; 4]);
    assert_eq!((tasks_run_first, tasks_run_third), (17, 17));
    // A quick task that was held up for a millisecond by another program is kept, too, so on a busy
    // machine even fewer tasks may run.
    assert!(tasks_run_second <= 1, "{tasks_run_second} tasks ran");
    assert!(tasks_run_by_hand <= 9, "{tasks_run_by_hand} tasks ran");
    assert_eq!(stats.misses, (tasks_run_first + tasks_run_second) as u64);
    assert!(stats.hits == 8 || tasks_run_second == 0);

    println!("cache_hits={}", stats.hits);
    println!("cache_misses={}", stats.misses);
    println!("tasks_run_first={tasks_run_first}");
    println!("tasks_run_second={tasks_run_second}");
    println!("tasks_run_second_by_hand={tasks_run_by_hand}");
    Ok(())
}
