//! Tasks that fail: what the caller is told, and that nobody else is concerned.

use std::error::Error as _;
use std::fmt;

use mobula::{Cause, Graph, Key, delayed, graph};

use crate::bomb::{ON_PURPOSE, quiet};
use crate::functions::{add, cluster, data, held, inc};
use crate::gate::gate;
use crate::watchdog::watched;

/// An error with a cause.
#[derive(Debug)]
struct NoData(std::num::ParseIntError);

impl fmt::Display for NoData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the month has no data")
    }
}

impl std::error::Error for NoData {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

fn load(month: i64) -> Result<i64, NoData> {
    format!("month {month}").parse::<i64>().map_err(NoData)
}

fn panics(_: i64) -> i64 {
    quiet();
    panic!("{ON_PURPOSE}: no such month")
}

#[test]
fn an_error_names_the_task_and_keeps_its_chain() {
    watched(|| {
        let cluster = cluster(2);
        let graph = graph! { "x" => 1, ("load", 3) => (load, "x"), "sum" => (add, ("load", 3), 1) };
        let error = cluster.get_blocking(graph, "sum").unwrap_err();
        assert!(error.is_task_error() && !error.is_panic() && !error.is_cancelled());
        assert_eq!(error.key().unwrap(), &Key::from(("load", 3)));
        assert_eq!(error.to_string(), "task ('load', 3) failed: the month has no data");
        let cause = error.task_error().unwrap().downcast_ref::<NoData>().unwrap();
        // The message has said what the task's error says; its cause comes next.
        let chain = error.source().unwrap();
        assert_eq!(chain.to_string(), cause.0.to_string());
        assert!(chain.is::<std::num::ParseIntError>() && chain.source().is_none());
        assert_eq!(error.as_failure().unwrap().attempts, 1);
    });
}

#[test]
fn a_panic_names_the_task_and_what_it_said() {
    watched(|| {
        let cluster = cluster(2);
        let error = cluster.get_blocking(graph! { "y" => (panics, 1) }, "y").unwrap_err();
        assert!(error.is_panic() && !error.is_task_error());
        assert_eq!(error.to_string(), "task 'y' panicked: on purpose: no such month");
        let silent = |_: i64| -> i64 { std::panic::resume_unwind(Box::new(7)) };
        let error = cluster.get_blocking(graph! { "y" => (silent, 1) }, "y").unwrap_err();
        assert!(matches!(&error.as_failure().unwrap().cause, Cause::Panic(_)));
        assert_eq!(error.to_string(), "task 'y' panicked: no message");
        assert_eq!(data::<i64>(cluster.get_blocking(graph! { "y" => (inc, 1) }, "y").unwrap()), 2);
    });
}

#[test]
fn a_failure_in_a_nested_call_is_that_of_its_task() {
    watched(|| {
        let cluster = cluster(1);
        let error = cluster.get_blocking(graph! { "y" => (inc, (load, 1)) }, "y").unwrap_err();
        assert!(error.is_task_error());
        assert_eq!(error.key().unwrap(), &Key::from("y"));
        let error = cluster.get_blocking(graph! { "y" => (inc, (panics, 1)) }, "y").unwrap_err();
        assert!(error.is_panic());
    });
}

#[test]
fn a_failure_ends_its_run_and_releases_everything() {
    watched(|| {
        let cluster = cluster(1);
        let mut graph = Graph::new();
        let parts: Vec<_> = (0..1000_i64).map(|x| graph.add((inc, x))).collect();
        let failing = graph.add((load, parts[999]));
        let sums: Vec<_> = parts.iter().map(|part| graph.add((add, *part, failing))).collect();
        let error = cluster.get_blocking(graph, sums).unwrap_err();
        assert!(error.is_task_error());
        // The worker lets go of a failed run before it starts on another one.
        assert_eq!(data::<i64>(cluster.get_blocking(graph! { "y" => (inc, 1) }, "y").unwrap()), 2);
        assert_eq!(held(&cluster), 0);
    });
}

#[test]
fn other_runs_go_on() {
    watched(|| {
        let cluster = cluster(2);
        let (gate, opener) = gate();
        let waiting = gate.clone();
        let slow = delayed(move |x: i64| {
            waiting.pass();
            x
        });
        let after = delayed(inc).call(slow.call(1));
        let other = cluster.run(after.plan().unwrap());
        gate.arrivals(1);
        for _ in 0..10 {
            cluster.get_blocking(graph! { "y" => (load, 1) }, "y").unwrap_err();
            cluster.get_blocking(graph! { "y" => (panics, 1) }, "y").unwrap_err();
        }
        opener.open();
        assert_eq!(data::<i64>(other.wait().unwrap()), 2);
    });
}

#[test]
fn of_many_failures_one_is_told() {
    watched(|| {
        let cluster = cluster(4);
        for _ in 0..50 {
            let mut graph = Graph::new();
            let parts: Vec<_> = (0..100_i64).map(|x| graph.add((load, x))).collect();
            let error = cluster.get_blocking(graph, parts).unwrap_err();
            assert_eq!(error.key().unwrap().prefix(), "load");
        }
    });
}

#[test]
fn a_run_that_failed_can_be_run_again() {
    watched(|| {
        let cluster = cluster(2);
        let calls = std::sync::atomic::AtomicUsize::new(0);
        let second =
            delayed(move || match calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
                0 => Err("the first call fails"),
                _ => Ok(5_i64),
            });
        let value = second.call(());
        assert!(cluster.compute_blocking(&value).unwrap_err().is_task_error());
        assert_eq!(cluster.compute_blocking(&value).unwrap(), 5);
    });
}
