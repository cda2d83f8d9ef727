//! The thread of a worker dies: its task runs again, the cluster goes on with another worker.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mobula::{Arg, CallbackBuilder, Func, Graph, Task, delayed, graph, lit};

use crate::bomb::explode;
use crate::functions::{add, cluster, data, held, inc};
use crate::process::{cluster_threads, until_no_more_threads_than};
use crate::watchdog::{alone, until, watched};

/// What a task calls to kill its worker, the first `deaths` times.
#[derive(Clone)]
struct Deadly {
    calls: Arc<AtomicUsize>,
    deaths: usize,
}

impl Deadly {
    fn new(deaths: usize) -> Self {
        Self { calls: Arc::default(), deaths }
    }

    fn call(&self) {
        if self.calls.fetch_add(1, Ordering::Relaxed) < self.deaths {
            explode();
        }
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// As `inc`, when it does not kill.
    fn inc(&self) -> Func {
        let deadly = self.clone();
        Func::new(move |x: i64| {
            deadly.call();
            x + 1
        })
    }
}

/// A call of a function with one number.
fn call(func: Func, x: i64) -> Task {
    Task::new(func, [lit(x)])
}

#[test]
fn a_task_that_lost_its_worker_runs_again() {
    watched(|| {
        for workers in [1, 2] {
            let cluster = cluster(workers);
            let deadly = Deadly::new(2);
            let graph = graph! { "x" => call(deadly.inc(), 1), "y" => (inc, "x") };
            assert_eq!(data::<i64>(cluster.get_blocking(graph, "y").unwrap()), 3);
            assert_eq!(deadly.calls(), 3);
            assert_eq!(held(&cluster), 0);
        }
    });
}

#[test]
fn a_task_that_loses_three_workers_fails_with_key_and_attempts() {
    watched(|| {
        for workers in [1, 2] {
            let cluster = cluster(workers);
            let deadly = Deadly::new(usize::MAX);
            let graph = graph! { "x" => call(deadly.inc(), 1), "y" => (inc, "x") };
            let error = cluster.get_blocking(graph, "y").unwrap_err();
            assert!(error.is_worker_lost() && !error.is_panic());
            assert_eq!(error.to_string(), "the worker of task 'x' was lost (after 3 attempts)");
            assert_eq!(deadly.calls(), 3);
            assert_eq!(
                data::<i64>(cluster.get_blocking(graph! { "x" => (inc, 1) }, "x").unwrap()),
                2
            );
        }
    });
}

#[test]
fn an_input_that_was_given_away_is_lost_with_the_worker() {
    watched(|| {
        let cluster = cluster(1);
        let deadly = Deadly::new(1);
        let y = Task::new(deadly.inc(), [Arg::Key("x".into())]);
        let graph = graph! { "x" => (inc, 1), "y" => y };
        let error = cluster.get_blocking(graph, "y").unwrap_err();
        assert_eq!(error.to_string(), "the worker of task 'y' was lost");
        assert_eq!(deadly.calls(), 1);
        // With retries the inputs are kept, so it can run again.
        let deadly = Deadly::new(2);
        let task = delayed(move |x: i64| {
            deadly.call();
            x + 1
        });
        let retried = task.retries(1).call(delayed(inc).call(1));
        assert_eq!(cluster.compute_blocking(&retried).unwrap(), 3);
        assert_eq!(held(&cluster), 0);
    });
}

#[test]
fn what_lies_in_the_lane_of_a_lost_worker_is_done() {
    watched(|| {
        for workers in [1, 2, 4] {
            let cluster = cluster(workers);
            let mut graph = Graph::new();
            let parts: Vec<_> = (0..200_i64)
                .map(|x| {
                    let deadly = Deadly::new(usize::from(x % 20 == 0));
                    let first = graph.add(call(deadly.inc(), x));
                    graph.add((add, first, first))
                })
                .collect();
            let values: Vec<i64> = data(cluster.get_blocking(graph, parts).unwrap());
            assert_eq!(values, (0..200).map(|x| 2 * (x + 1)).collect::<Vec<i64>>());
            assert_eq!(held(&cluster), 0);
        }
    });
}

#[test]
fn other_runs_survive_the_loss() {
    watched(|| {
        let cluster = cluster(2);
        let mut graph = Graph::new();
        let parts: Vec<_> = (0..20_000_i64).map(|x| graph.add((inc, x))).collect();
        let long = cluster.run(mobula::Plan::new(graph, parts).unwrap());
        for _ in 0..5 {
            let graph = graph! { "x" => call(Deadly::new(2).inc(), 1) };
            assert_eq!(data::<i64>(cluster.get_blocking(graph, "x").unwrap()), 2);
        }
        let values: Vec<i64> = data(long.wait().unwrap());
        assert_eq!(values, (1..=20_000).collect::<Vec<i64>>());
    });
}

#[test]
fn a_lost_worker_is_told_as_a_retry() {
    watched(|| {
        let cluster = cluster(1);
        let heard = Arc::new(std::sync::Mutex::new(Vec::new()));
        let hear = |name: &'static str| {
            let heard = Arc::clone(&heard);
            move |detail: String| heard.lock().unwrap().push(format!("{name} {detail}"))
        };
        let (submitted, pre, post, retry) =
            (hear("presubmit"), hear("pretask"), hear("posttask"), hear("retry"));
        let callback = CallbackBuilder::new()
            .presubmit(move |_, key, _| {
                submitted(key.to_string());
                Ok(None)
            })
            .pretask(move |key, _| {
                pre(key.to_string());
                Ok(None)
            })
            .posttask(move |key, _, _| {
                post(key.to_string());
                Ok(())
            })
            .retry(move |key, attempt| {
                retry(format!("{key} {attempt}"));
                Ok(())
            });
        let graph = graph! { "x" => call(Deadly::new(1).inc(), 1) };
        let request = cluster.with_callbacks([callback]);
        assert_eq!(data::<i64>(request.get_blocking(graph, "x").unwrap()), 2);
        let mut heard = heard.lock().unwrap().clone();
        // The registry hears of the retry beside the worker that goes on.
        let at = heard.iter().position(|line| line == "retry x 2").unwrap();
        heard.remove(at);
        assert_eq!(heard, ["presubmit x", "pretask x", "pretask x", "posttask x"]);
    });
}

#[test]
fn the_number_of_workers_stays_the_same() {
    alone(|| {
        let before = cluster_threads();
        let is_ours = |name: &&String| name.starts_with("mobula-worker");
        let workers = || cluster_threads().values().filter(is_ours).count();
        let others = workers();
        let cluster = cluster(2);
        until(|| workers() == others + 2);
        for _ in 0..20 {
            let graph = graph! { "x" => call(Deadly::new(1).inc(), 1) };
            cluster.get_blocking(graph, "x").unwrap();
        }
        until(|| workers() == others + 2);
        drop(cluster);
        until_no_more_threads_than(&before);
    });
}
