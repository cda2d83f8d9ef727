//! Tasks that may be tried again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mobula::{CallbackBuilder, Graph, Key, delayed, graph, lit};

use crate::bomb::{ON_PURPOSE, quiet};
use crate::functions::{cluster, data, held, inc};
use crate::watchdog::{until, watched};

/// Counts calls, and fails all but those from the `good`-th on.
#[derive(Clone)]
struct Flaky {
    calls: Arc<AtomicUsize>,
    good: usize,
}

impl Flaky {
    fn new(good: usize) -> Self {
        Self { calls: Arc::default(), good }
    }

    fn call(&self) -> Result<(), String> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        if call < self.good { Err(format!("call {call} fails")) } else { Ok(()) }
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

#[test]
fn the_third_attempt_succeeds() {
    watched(|| {
        let cluster = cluster(2);
        let flaky = Flaky::new(3);
        let task = flaky.clone();
        let value = delayed(move |x: i64| task.call().map(|()| x + 1)).retries(2).call(1);
        assert_eq!(cluster.compute_blocking(&delayed(inc).call(&value)).unwrap(), 3);
        assert_eq!(flaky.calls(), 3);
    });
}

#[test]
fn attempts_that_are_used_up_are_counted_in_the_error() {
    watched(|| {
        let cluster = cluster(2);
        let flaky = Flaky::new(usize::MAX);
        let task = flaky.clone();
        let mut graph = Graph::new();
        let node = graph.insert("x", (move || task.call(),));
        graph.set_retries(node, 2);
        let error = cluster.get_blocking(graph, "x").unwrap_err();
        assert_eq!(flaky.calls(), 3);
        assert_eq!(error.as_failure().unwrap().attempts, 3);
        assert_eq!(error.to_string(), "task 'x' failed: call 3 fails (after 3 attempts)");
    });
}

#[test]
fn panics_are_tried_again_too() {
    watched(|| {
        quiet();
        let cluster = cluster(1);
        let flaky = Flaky::new(3);
        let value = delayed(move || flaky.call().unwrap_or_else(|_| panic!("{ON_PURPOSE}: again")));
        cluster.compute_blocking(&value.retries(2).call(())).unwrap();
    });
}

#[test]
fn arguments_are_kept_for_the_next_attempt() {
    watched(|| {
        let cluster = cluster(1);
        let flaky = Flaky::new(4);
        let make = delayed(|| vec![1_i64, 2, 3]).call(());
        let take = delayed(move |mut items: Vec<i64>| {
            items.push(4);
            flaky.call().map(|()| items)
        });
        let items = cluster.compute_blocking(&take.retries(3).call(&make)).unwrap();
        assert_eq!(items, [1, 2, 3, 4]);
        assert_eq!(held(&cluster), 0);
    });
}

#[test]
fn what_does_not_fit_is_not_tried_again() {
    watched(|| {
        let cluster = cluster(1);
        let mut graph = Graph::new();
        let node = graph.insert("x", (inc, lit("one".to_owned())));
        graph.set_retries(node, 5);
        let error = cluster.get_blocking(graph, "x").unwrap_err();
        assert!(error.is_wrong_type());
        assert_eq!(error.as_failure().unwrap().attempts, 1);
    });
}

#[test]
fn asynchronous_tasks_are_tried_again() {
    watched(|| {
        let cluster = cluster(1);
        let flaky = Flaky::new(3);
        let task = flaky.clone();
        let make = delayed(|| "manta".to_owned()).call(());
        let later = delayed(move |text: String| {
            let task = task.clone();
            async move {
                actix_rt::task::yield_now().await;
                task.call().map(|()| text.len())
            }
        });
        assert_eq!(cluster.compute_blocking(&later.clone().retries(2).call(&make)).unwrap(), 5);
        assert_eq!(flaky.calls(), 3);
        flaky.calls.store(0, Ordering::Relaxed);
        let once = later.retries(1).call(&make);
        let error = cluster.compute_blocking(&once).unwrap_err();
        assert!(error.to_string().ends_with("call 2 fails (after 2 attempts)"), "{error}");
        until(|| held(&cluster) == 0);
    });
}

#[test]
fn presubmit_is_asked_once_and_pretask_each_time() {
    watched(|| {
        let cluster = cluster(2);
        let counts: Arc<[AtomicUsize; 5]> = Arc::default();
        let count = |place: usize| {
            let counts = Arc::clone(&counts);
            move || {
                counts[place].fetch_add(1, Ordering::Relaxed);
            }
        };
        let (submitted, taken, pre, post) = (count(0), count(1), count(2), count(3));
        let attempts = Arc::new(std::sync::Mutex::new(Vec::new()));
        let heard = Arc::clone(&attempts);
        let callback = CallbackBuilder::new()
            .presubmit(move |_, _, _| {
                submitted();
                Ok(None)
            })
            .postsubmit(move |_, _, _, _| {
                taken();
                Ok(())
            })
            .pretask(move |_, _| {
                pre();
                Ok(None)
            })
            .posttask(move |_, _, _| {
                post();
                Ok(())
            })
            .retry(move |key: &Key, attempt| {
                heard.lock().unwrap().push((key.clone(), attempt));
                Ok(())
            });
        let flaky = Flaky::new(3);
        let mut graph = graph! {};
        let node = graph.insert("x", (move || flaky.call(),));
        graph.set_retries(node, 3);
        cluster.with_callbacks([callback]).get_blocking(graph, "x").unwrap();
        let seen = |place: usize| counts[place].load(Ordering::Relaxed);
        assert_eq!([seen(0), seen(1), seen(2), seen(3)], [1, 1, 3, 1]);
        assert_eq!(*attempts.lock().unwrap(), [("x".into(), 2), ("x".into(), 3)]);
    });
}

#[test]
fn many_flaky_tasks_all_succeed() {
    watched(|| {
        let cluster = cluster(4);
        let mut graph = Graph::new();
        let tasks: Vec<_> = (0..2000_i64)
            .map(|x| {
                let flaky = Flaky::new(3);
                let node = graph.add((move |x: i64| flaky.call().map(|()| x), x));
                graph.set_retries(node, 2);
                node
            })
            .collect();
        let values: Vec<i64> = data(cluster.get_blocking(graph, tasks).unwrap());
        assert_eq!(values, (0..2000).collect::<Vec<i64>>());
        assert_eq!(held(&cluster), 0);
    });
}
