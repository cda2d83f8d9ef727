//! Faults that lose nothing: attempts with time between them, failures that are not worth another one, a
//! call that never comes back, and a run that goes on without what failed.
//!
//! ```text
//! cargo run --release --example retry
//! ```
//!
//! Prints:
//!
//! ```text
//! back-off: station 1 answers 21 at attempt 3
//! a failure that is not worth another attempt:
//!     task 'station' failed: invalid digit found in string
//! a time limit:
//!     task 'station' took longer than its limit of 50 ms (after 2 attempts)
//!     meanwhile: workers=1, stuck threads: 2
//!     a new run answers 22
//! skipping what failed:
//!     the mean of north is 22
//!     task 'mean of south' was skipped: task 'station 4' failed: connection reset
//! collecting what failed:
//!     2 tasks failed: task 'station 4' failed: connection reset; task 'station 5' failed: connection reset
//! faults=7
//! ```

#![expect(clippy::print_stdout, reason = "an example shows its results")]

use std::io;
use std::num::ParseIntError;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use mobula::{Arg, Args, Backoff, Cluster, Error, Func, Graph, OnError, delayed, graph, keys};

fn reset() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "connection reset")
}

/// Reads a thermometer. Those beyond number 3 are out of order.
fn read(station: i64) -> io::Result<i64> {
    if station > 3 { Err(reset()) } else { Ok(20 + station) }
}

fn mean(one: i64, two: i64) -> i64 {
    i64::midpoint(one, two)
}

/// An unreliable line: two calls fail before one succeeds.
fn back_off(cluster: &Cluster) -> Result<(), Error> {
    let calls = AtomicU32::new(0);
    let unreliable = move |station: i64| match calls.fetch_add(1, Ordering::Relaxed) {
        0 | 1 => Err(reset()),
        before => read(station).map(|value| (value, before + 1)),
    };
    let reading = delayed(unreliable)
        .retries(5)
        .backoff(Backoff::exponential(Duration::from_millis(10)).max(Duration::from_secs(1)))
        .retry_on::<io::Error>();
    let (value, attempt) = cluster.compute_blocking(&reading.call(1))?;
    println!("back-off: station 1 answers {value} at attempt {attempt}");
    assert_eq!((value, attempt), (21, 3));
    Ok(())
}

/// Nonsense on the line stays nonsense, however often it is read.
fn hopeless(cluster: &Cluster) {
    let request = cluster.request().retries(5).retry_on::<io::Error>();
    let parse = || -> Result<i64, ParseIntError> { "2l".parse() };
    let error = request.get_blocking(graph! { "station" => (parse,) }, "station");
    let error = error.expect_err("this is no number");
    println!("a failure that is not worth another attempt:\n    {error}");
    assert_eq!(error.as_failure().map(|failure| failure.attempts), Some(1));
}

/// A line that never answers. The threads that wait for it cannot be ended; others stand in.
fn time_limit(cluster: &Cluster) -> Result<(), Error> {
    let (line, answers) = mpsc::channel::<i64>();
    let answers = Mutex::new(answers);
    let silent = move || answers.lock().map_or(0, |answers| answers.recv().unwrap_or(0));
    let request = cluster.request().retries(1).task_time_limit(Duration::from_millis(50));
    let error = request.get_blocking(graph! { "station" => (silent,) }, "station");
    let error = error.expect_err("nobody answers");
    println!("a time limit:\n    {}", error.to_string().replace("50ms", "50 ms"));
    assert!(error.is_timeout());

    let stats = cluster.worker_stats_blocking()?;
    println!("    meanwhile: workers={}, stuck threads: {}", stats.workers, stats.stuck);
    assert_eq!((stats.workers, stats.stuck), (1, 2));
    let reading = cluster.compute_blocking(&delayed(read).call(2))?;
    println!("    a new run answers {reading}");
    // A stuck thread holds up only the end of the cluster; its answer is dropped when it comes.
    drop(line);
    Ok(())
}

/// Two regions; both thermometers of the south are out of order.
fn regions() -> Graph {
    let mut graph = Graph::new();
    for station in [2, 3, 4, 5_i64] {
        graph.insert(format!("station {station}"), (read, station));
    }
    for (region, one, two) in [("north", 2, 3), ("south", 4, 5)] {
        let stations = [one, two].map(|station| Arg::Key(format!("station {station}").into()));
        let stations = stations.into_iter().collect::<Args>();
        graph.insert(format!("mean of {region}"), (Func::new(mean), stations));
    }
    graph
}

fn without_what_failed(cluster: &Cluster) -> Result<(), Error> {
    let means = || keys!["mean of north", "mean of south"];
    let request = cluster.request().on_error(OnError::Skip);
    let results = request.get_blocking(regions(), means())?;
    println!("skipping what failed:");
    for missing in results.missing() {
        assert!(missing.is_skipped());
    }
    let told = results.missing().first().map(ToString::to_string).unwrap_or_default();
    let north = results.into_list().swap_remove(0).into_data::<i64>()?;
    println!("    the mean of north is {north}\n    {told}");

    let request = cluster.request().on_error(OnError::Collect);
    let error = request.get_blocking(regions(), means()).expect_err("the south has no mean");
    println!("collecting what failed:\n    {error}");
    assert_eq!(error.failures().len(), 2);
    Ok(())
}

fn main() -> Result<(), Error> {
    let cluster = Cluster::builder().workers(1).start()?;
    back_off(&cluster)?;
    hopeless(&cluster);
    time_limit(&cluster)?;
    without_what_failed(&cluster)?;
    println!("faults=7");
    Ok(())
}
