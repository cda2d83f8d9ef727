//! A callback of one's own: `MyTimerCallback` of the Dask-on-Ray guide measures each task in its
//! worker, from `pretask` to `posttask`.
//!
//! ```text
//! cargo run --release --example timer
//! ```
//!
//! Prints, with other times:
//!
//! ```text
//! Execution time for task x: 0.004132758s
//! Execution time for task y: 0.005264403s
//! Execution time for task z: 0.000000941s
//! z = 20893
//! timed_tasks=3
//! total_ms=9.398
//! ```
//!
//! Mobula comes with a timer, too: `TimerCallback` keeps all times by key and by key prefix.

#![expect(clippy::print_stdout, reason = "an example shows its results")]
#![expect(clippy::disallowed_methods, reason = "a timer reads the clock")]

use std::sync::mpsc::{self, Sender};
use std::time::{Duration, Instant};

use mobula::{BoxError, Callback, Cluster, HookResult, Key, ObjectRefs, PreState, Value, graph};

/// Prints how long each task ran, and tells it to whoever wants to count.
struct MyTimerCallback(Sender<Duration>);

impl Callback for MyTimerCallback {
    /// At the start of a task. What it answers is handed to `posttask`.
    fn pretask(&self, _key: &Key, _object_refs: &ObjectRefs<'_>) -> Result<PreState, BoxError> {
        Ok(Some(Box::new(Instant::now())))
    }

    /// At the end of the same task.
    fn posttask(&self, key: &Key, _result: &Value, pre_state: PreState) -> HookResult {
        let start_time = pre_state.and_then(|state| state.downcast::<Instant>().ok());
        let execution_time = start_time.ok_or("`pretask` was not called")?.elapsed();
        println!("Execution time for task {key}: {}s", execution_time.as_secs_f64());
        self.0.send(execution_time)?;
        Ok(())
    }
}

/// How many primes there are below `limit`, found the slow way.
fn primes_below(limit: u64) -> usize {
    let is_prime = |n: &u64| (2..*n).take_while(|d| d * d <= *n).all(|d| !n.is_multiple_of(d));
    (2..limit).filter(is_prime).count()
}

fn add(x: usize, y: usize) -> usize {
    x + y
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // One worker, so that the lines come in the order of the tasks.
    let cluster = Cluster::builder().workers(1).start()?;
    let (sender, times) = mpsc::channel();
    let timing = cluster.register(MyTimerCallback(sender));

    let graph = graph! {
        "x" => (primes_below, 100_000_u64),
        "y" => (primes_below, 120_000_u64),
        "z" => (add, "x", "y"),
    };
    let z = cluster.get_blocking(graph, "z")?;
    println!("z = {}", z.get::<usize>().ok_or("z is a count")?);

    // From here on no run is timed any more.
    drop(timing);
    cluster.get_blocking(graph! { "x" => (primes_below, 100_u64) }, "x")?;

    let times: Vec<Duration> = times.try_iter().collect();
    assert_eq!(z.get(), Some(&(primes_below(100_000) + primes_below(120_000))));
    assert_eq!(times.len(), 3);
    println!("timed_tasks={}", times.len());
    println!("total_ms={:.3}", times.iter().sum::<Duration>().as_secs_f64() * 1e3);
    Ok(())
}
