//! Attempts with time between them, and failures that are not tried again.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mobula::{Arg, Backoff, Cause, Func, Graph, OnError, Task, delayed, graph};

use crate::bomb::{ON_PURPOSE, quiet};
use crate::functions::{cluster, data, held, inc};
use crate::gate::gate;
use crate::watchdog::watched;

const SHORT: Duration = Duration::from_millis(2);

/// A function that fails so often, with an error of its own kind, and its calls.
fn failing<E>(
    times: usize,
    error: impl Fn() -> E + Send + Sync + 'static,
) -> (Func, Arc<AtomicUsize>)
where
    E: std::error::Error + Send + Sync + 'static,
{
    let calls = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&calls);
    let func = Func::new(move || {
        if counted.fetch_add(1, Ordering::Relaxed) < times { Err(error()) } else { Ok(7_i64) }
    });
    (func, calls)
}

fn task(func: Func) -> Task {
    Task::new(func, [] as [Arg; 0])
}

fn refused() -> io::Error {
    io::Error::other("refused")
}

#[test]
fn a_task_is_tried_again_after_its_delays() {
    watched(|| {
        for hooked in [false, true] {
            let cluster = cluster(1);
            let _log = hooked.then(|| cluster.register(mobula::LogCallback::new()));
            let (func, calls) = failing(3, refused);
            let backoff = Backoff::exponential(SHORT).max(2 * SHORT);
            let graph = graph! { "x" => task(func).retries(3).backoff(backoff), "y" => (inc, "x") };
            assert_eq!(data::<i64>(cluster.get_blocking(graph, "y").unwrap()), 8);
            assert_eq!(calls.load(Ordering::Relaxed), 4);
            assert_eq!(held(&cluster), 0);
        }
    });
}

#[test]
fn a_wait_holds_up_no_worker() {
    watched(|| {
        let cluster = cluster(1);
        let (func, calls) = failing(1, refused);
        let long = Backoff::constant(Duration::from_secs(3600));
        let graph = graph! { "x" => task(func) };
        let plan = mobula::Plan::new(graph, "x").unwrap();
        let waiting = cluster.request().retries(1).backoff(long).run(plan);
        for _ in 0..10 {
            let graph = graph! { "x" => (inc, 1) };
            assert_eq!(data::<i64>(cluster.get_blocking(graph, "x").unwrap()), 2);
        }
        // A run that ends meanwhile forgets the attempt, and so does a cluster.
        waiting.cancel();
        assert!(waiting.wait().unwrap_err().is_cancelled());
        assert!(calls.load(Ordering::Relaxed) <= 1);
    });
}

#[test]
fn many_tasks_wait_at_once() {
    watched(|| {
        let cluster = cluster(2);
        let mut graph = Graph::new();
        let nodes: Vec<_> = (0..1000).map(|_| graph.add(task(failing(2, refused).0))).collect();
        let request = cluster.request().retries(2).backoff(Backoff::exponential(SHORT));
        let values: Vec<i64> = data(request.get_blocking(graph, nodes).unwrap());
        assert_eq!(values, [7; 1000]);
        assert_eq!(held(&cluster), 0);
    });
}

#[test]
fn what_a_task_says_comes_before_what_its_run_says() {
    watched(|| {
        let cluster = cluster(1);
        let (own, own_calls) = failing(usize::MAX, refused);
        let (other, other_calls) = failing(usize::MAX, refused);
        let graph = graph! { "own" => task(own).retries(0), "other" => task(other) };
        let request = cluster.request().retries(2).on_error(OnError::Skip);
        let results = request.get_blocking(graph, ["own", "other"]).unwrap();
        assert_eq!(results.missing().len(), 2);
        let calls = [own_calls, other_calls].map(|calls| calls.load(Ordering::Relaxed));
        assert_eq!(calls, [1, 3]);
    });
}

#[test]
fn only_errors_of_the_named_types_are_tried_again() {
    watched(|| {
        let cluster = cluster(1);
        let (func, calls) = failing(usize::MAX, || std::fmt::Error);
        let graph = || graph! { "x" => task(func.clone()) };
        let request = cluster.request().retries(5).retry_on::<io::Error>();
        let error = request.get_blocking(graph(), "x").unwrap_err();
        assert_eq!(error.as_failure().unwrap().attempts, 1);
        let request = request.retry_on::<std::fmt::Error>();
        let error = request.get_blocking(graph(), "x").unwrap_err();
        assert_eq!(error.as_failure().unwrap().attempts, 6);
        assert_eq!(calls.load(Ordering::Relaxed), 7);
        // A panic is no error of any type.
        quiet();
        let panics = delayed(|| -> i64 { panic!("{ON_PURPOSE}") });
        let value = panics.retries(3).retry_on::<io::Error>().call(());
        let error = cluster.compute_blocking(&value).unwrap_err();
        assert!(error.is_panic());
        assert_eq!(error.as_failure().unwrap().attempts, 1);
    });
}

#[test]
fn a_condition_decides_and_one_that_panics_says_no() {
    watched(|| {
        quiet();
        let cluster = cluster(2);
        let (func, calls) = failing(2, refused);
        let asked = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&asked);
        let retried = task(func).retries(5).retry_if(move |failure| {
            counted.fetch_add(1, Ordering::Relaxed);
            matches!(failure.cause, Cause::Call(_)) && failure.key == Some("x".into())
        });
        let results = cluster.get_blocking(graph! { "x" => retried }, "x").unwrap();
        assert_eq!(data::<i64>(results), 7);
        assert_eq!((calls.load(Ordering::Relaxed), asked.load(Ordering::Relaxed)), (3, 2));
        let (func, calls) = failing(usize::MAX, refused);
        let graph = graph! { "x" => task(func).retries(5).retry_if(|_| panic!("{ON_PURPOSE}")) };
        assert!(cluster.get_blocking(graph, "x").unwrap_err().is_task_error());
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        // For an asynchronous task it is asked where the future was awaited.
        let later = delayed(|| async { Err::<i64, _>(refused()) });
        let value = later.retries(5).retry_if(|_| false).call(());
        let error = cluster.compute_blocking(&value).unwrap_err();
        assert_eq!(error.as_failure().unwrap().attempts, 1);
    });
}

#[test]
fn every_call_of_a_request_keeps_its_settings() {
    watched(|| {
        let cluster = cluster(2);
        let request = cluster.request().retries(1).backoff(Backoff::constant(SHORT));
        let flaky = || {
            let calls = AtomicUsize::new(0);
            delayed(move || match calls.fetch_add(1, Ordering::Relaxed) {
                0 => Err(refused()),
                _ => Ok(7_i64),
            })
            .call(())
        };
        assert_eq!(request.compute_blocking(&flaky()).unwrap(), 7);
        assert_eq!(request.compute_all_blocking((&flaky(), &flaky())).unwrap(), (7, 7));
        assert_eq!(data::<i64>(request.run(flaky().plan().unwrap()).wait().unwrap()), 7);
        let refs = request.persist(graph! { "x" => task(failing(1, refused).0) }, ["x"]).unwrap();
        assert_eq!(cluster.gather_blocking(&refs).unwrap()[0].downcast_ref(), Some(&7_i64));
        let awaited = actix_rt::System::new().block_on(async {
            let one = request.compute(&flaky()).await?;
            let two = request.compute_all(&vec![flaky()]).await?;
            let three = request.get(graph! { "x" => task(failing(1, refused).0) }, "x").await?;
            Ok::<_, mobula::Error>((one, two, data::<i64>(three)))
        });
        assert_eq!(awaited.unwrap(), (7, vec![7], 7));
    });
}

#[test]
fn a_task_that_waits_is_dropped_with_its_cluster() {
    watched(|| {
        let (gate, opener) = gate();
        let cluster = cluster(1);
        let long = Backoff::constant(Duration::from_secs(3600));
        let value = delayed(move || {
            gate.pass();
            Err::<i64, _>(refused())
        });
        let run = cluster.run(value.retries(1).backoff(long).call(()).plan().unwrap());
        opener.open();
        drop(cluster);
        assert!(run.wait().is_err());
    });
}
