//! `CacheCallback`: what runs, what is answered, what is counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mobula::{
    CacheCallback, Cluster, Delayed, Graph, Key, Node, SimpleCacheActor, StateRef, delayed, graph,
};

use crate::helpers::{
    Ran, add, cache_of, cluster, data, held, inc, put, start, stats, two_branches,
};
use crate::watchdog::watched;

fn counts(cache: &StateRef<SimpleCacheActor>) -> (u64, u64) {
    let stats = stats(cache);
    (stats.hits, stats.misses)
}

/// Runs the graph of two branches.
fn total(cluster: &Cluster, ran: &Ran) -> i64 {
    let request = cluster.with_callbacks([ran.clone()]);
    data(request.get_blocking(two_branches(), "total").expect("nothing fails"))
}

#[test]
fn the_second_run_is_answered() {
    watched(|| {
        let (cluster, ran) = (cluster(2), Ran::default());
        let cache = cache_of(&cluster);
        let _caching = cluster.register(CacheCallback::new(cache.clone()));
        assert_eq!(total(&cluster, &ran), 14);
        assert_eq!(ran.take(), ["left", "left-root", "right", "right-root", "total"]);
        assert_eq!((counts(&cache), stats(&cache).puts), ((0, 5), 5));

        assert_eq!(total(&cluster, &ran), 14);
        assert_eq!(ran.take(), [""; 0]);
        assert_eq!(counts(&cache), (1, 5), "only the value of `total` was used");
    });
}

#[test]
fn what_only_a_cached_key_needs_does_not_run() {
    watched(|| {
        let (cluster, ran) = (cluster(2), Ran::default());
        let cache = cache_of(&cluster);
        put(&cache, "left", 100_i64);
        let _caching = cluster.register(CacheCallback::new(cache.clone()));
        assert_eq!(total(&cluster, &ran), 112);
        assert_eq!(ran.take(), ["right", "right-root", "total"]);
        assert_eq!(counts(&cache), (1, 3), "`left-root` is no miss: it was not needed");
    });
}

#[test]
fn what_is_wanted_or_needed_elsewhere_runs() {
    watched(|| {
        let (cluster, ran) = (cluster(2), Ran::default());
        let cache = cache_of(&cluster);
        put(&cache, "left", 100_i64);
        let caching = CacheCallback::new(cache.clone());
        let request = cluster.with_callbacks([caching]).callbacks([ran.clone()]);
        let results = request.get_blocking(two_branches(), ["left", "left-root"]).unwrap();
        let values: Vec<i64> = data(results);
        assert_eq!(values, [100, 1]);
        assert_eq!(ran.take(), ["left-root"]);
        assert_eq!(counts(&cache), (1, 1));
    });
}

#[test]
fn a_graph_that_grew_runs_what_is_new() {
    watched(|| {
        let (cluster, ran) = (cluster(2), Ran::default());
        let cache = cache_of(&cluster);
        let _caching = cluster.register(CacheCallback::new(cache.clone()));
        total(&cluster, &ran);
        ran.take();

        let mut graph = two_branches();
        graph.insert("half", (|x: i64| x / 2, "total"));
        graph.insert("both", (add, "half", "left"));
        let both = cluster.with_callbacks([ran.clone()]).get_blocking(graph, "both").unwrap();
        assert_eq!(data::<i64>(both), 9);
        assert_eq!(ran.take(), ["both", "half"]);
        assert_eq!(counts(&cache), (2, 7));
    });
}

#[test]
fn nothing_as_a_value_is_an_answer() {
    watched(|| {
        let (cluster, calls) = (cluster(1), Arc::new(AtomicUsize::new(0)));
        let cache = cache_of(&cluster);
        for asking in [
            CacheCallback::new(cache.clone()),
            CacheCallback::new(cache.clone()).namespace("each").ask_each_task(),
        ] {
            let _caching = cluster.register(asking);
            for _ in 0..3 {
                let counted = Arc::clone(&calls);
                let graph =
                    graph! { "done" => (move || { counted.fetch_add(1, Ordering::Relaxed); },) };
                data::<()>(cluster.get_blocking(graph, "done").unwrap());
            }
        }
        assert_eq!(calls.load(Ordering::Relaxed), 2, "once for each namespace");
        assert_eq!(counts(&cache), (4, 2));
    });
}

#[test]
fn the_first_of_two_caches_wins() {
    watched(|| {
        let (cluster, ran) = (cluster(2), Ran::default());
        let (first, second) = (cache_of(&cluster), cache_of(&cluster));
        put(&first, "left", 100_i64);
        put(&second, "left", 200_i64);
        put(&second, "right", 1_000_i64);
        let _one = cluster.register(CacheCallback::new(first.clone()));
        let _two = cluster.register(CacheCallback::new(second.clone()));
        assert_eq!(total(&cluster, &ran), 1_100);
        assert_eq!(ran.take(), ["total"]);
        assert_eq!(counts(&first), (1, 1));
        assert_eq!(counts(&second), (1, 1), "its value of `left` was not used");
    });
}

#[test]
fn the_first_of_two_caches_wins_for_each_task() {
    watched(|| {
        let (cluster, ran) = (cluster(2), Ran::default());
        let (first, second) = (cache_of(&cluster), cache_of(&cluster));
        put(&first, "left", 100_i64);
        put(&second, "left", 200_i64);
        put(&second, "right", 1_000_i64);
        let _one = cluster.register(CacheCallback::new(first.clone()).ask_each_task());
        let _two = cluster.register(CacheCallback::new(second.clone()).ask_each_task());
        assert_eq!(total(&cluster, &ran), 1_100);
        assert_eq!(ran.take(), ["left-root", "right-root", "total"]);
        assert_eq!(counts(&first), (1, 3), "`right` did not run, so nobody missed it");
    });
}

#[test]
fn asked_for_each_task_it_finds_what_came_meanwhile() {
    watched(|| {
        let (cluster, ran) = (cluster(1), Ran::default());
        let cache = cache_of(&cluster);
        let _caching = cluster.register(CacheCallback::new(cache.clone()).ask_each_task());
        let teller = cache.clone();
        let graph = graph! {
            "teller" => (move || put(&teller, "told", 7_i64),),
            "told" => (|(): ()| 0_i64, "teller"),
        };
        let told = cluster.with_callbacks([ran.clone()]).get_blocking(graph, "told").unwrap();
        assert_eq!(data::<i64>(told), 7);
        assert_eq!(ran.take(), ["teller"]);
        assert_eq!(counts(&cache), (1, 1));
    });
}

#[test]
fn only_chosen_prefixes_are_cached() {
    watched(|| {
        let (cluster, ran) = (cluster(2), Ran::default());
        let cache = cache_of(&cluster);
        let _caching =
            cluster.register(CacheCallback::new(cache.clone()).prefixes(["load", "mean"]));
        let graph = || {
            graph! {
                ("load", 0) => (inc, 0),
                ("load", 1) => (inc, 1),
                ("mean", 0) => (add, ("load", 0), ("load", 1)),
                "report" => (inc, ("mean", 0)),
                "loader" => (inc, "report"),
            }
        };
        for expected in [5, 2] {
            let request = cluster.with_callbacks([ran.clone()]);
            assert_eq!(data::<i64>(request.get_blocking(graph(), "loader").unwrap()), 5);
            assert_eq!(ran.take().len(), expected);
        }
        assert_eq!(held(&cache, [Key::from("report"), Key::from(("mean", 0))]), [false, true]);
        assert_eq!(counts(&cache), (1, 3), "other keys are neither hits nor misses");
    });
}

#[test]
fn namespaces_keep_graphs_apart() {
    watched(|| {
        let cluster = cluster(1);
        let cache = cache_of(&cluster);
        let run = |namespace: Key, task: fn(i64) -> i64| {
            let caching = CacheCallback::new(cache.clone()).namespace(namespace);
            let graph = graph! { "x" => (task, 1) };
            data::<i64>(cluster.with_callbacks([caching]).get_blocking(graph, "x").unwrap())
        };
        assert_eq!(run("inc".into(), inc), 2);
        assert_eq!(run(("twice", 1).into(), |x| 20 * x), 20);
        assert_eq!(run("inc".into(), inc), 2);
        assert_eq!(counts(&cache), (1, 2));
        assert_eq!(held(&cache, [Key::from("x"), Key::from(("inc", "x"))]), [false, true]);
    });
}

#[test]
fn only_what_reaches_the_threshold_is_kept() {
    const THRESHOLD: Duration = Duration::from_millis(2);
    /// Works, by its own clock, as long as the threshold.
    #[expect(clippy::disallowed_methods, reason = "the threshold is one of measured time")]
    fn slow(x: i64) -> i64 {
        let start = Instant::now();
        let mut sum = x;
        while start.elapsed() < THRESHOLD {
            sum = std::hint::black_box(sum);
        }
        sum
    }
    watched(|| {
        let cluster = cluster(1);
        let cache = cache_of(&cluster);
        let run = |caching: CacheCallback| {
            let graph = graph! { "slow" => (slow, 1) };
            cluster.with_callbacks([caching]).get_blocking(graph, "slow").unwrap();
            stats(&cache).puts
        };
        let caching = CacheCallback::new(cache.clone());
        assert_eq!(run(caching.clone().threshold(Duration::MAX)), 0);
        assert_eq!(run(caching.threshold(THRESHOLD)), 1);
        assert_eq!(counts(&cache), (0, 2));
    });
}

#[test]
fn values_in_the_cache_cannot_be_changed_by_tasks() {
    watched(|| {
        let cluster = cluster(1);
        let cache = cache_of(&cluster);
        let _caching = cluster.register(CacheCallback::new(cache.clone()).prefixes(["make"]));
        for _ in 0..2 {
            let graph = graph! {
                "make" => (|| vec![1_i64, 2],),
                "grow" => (|mut items: Vec<i64>| { items.push(3); items }, "make"),
            };
            let grown: Vec<i64> = data(cluster.get_blocking(graph, "grow").unwrap());
            assert_eq!(grown, [1, 2, 3]);
        }
        assert_eq!(counts(&cache), (1, 1));
    });
}

#[test]
fn asynchronous_tasks_are_cached() {
    async fn twice(x: i64) -> i64 {
        2 * x
    }
    watched(|| {
        let (cluster, ran) = (cluster(1), Ran::default());
        let cache = cache_of(&cluster);
        let _caching = cluster.register(CacheCallback::new(cache.clone()));
        for expected in [["x"].as_slice(), &[]] {
            let x: Delayed<i64> = delayed(twice).call(21).with_key("x");
            let request = cluster.with_callbacks([ran.clone()]);
            assert_eq!(request.compute_blocking(&x).unwrap(), 42);
            assert_eq!(ran.take(), expected);
        }
        assert_eq!(counts(&cache), (1, 1));
    });
}

#[test]
fn persisted_runs_are_answered_too() {
    watched(|| {
        let cluster = cluster(1);
        let cache = cache_of(&cluster);
        put(&cache, "left", 100_i64);
        let _caching = cluster.register(CacheCallback::new(cache.clone()));
        for _ in 0..2 {
            let refs = cluster.persist(two_branches(), ["left", "total"]).unwrap();
            let values = cluster.gather_blocking(&refs).unwrap();
            let values: Vec<_> = values.iter().map(|value| value.downcast_ref::<i64>()).collect();
            assert_eq!(values, [Some(&100), Some(&112)]);
        }
        assert_eq!(counts(&cache), (3, 3));
    });
}

#[test]
fn a_task_that_is_tried_again_is_one_miss() {
    watched(|| {
        let cluster = cluster(1);
        let cache = cache_of(&cluster);
        let _caching = cluster.register(CacheCallback::new(cache.clone()));
        let calls = Arc::new(AtomicUsize::new(0));
        for _ in 0..2 {
            let calls = Arc::clone(&calls);
            let flaky = move || match calls.fetch_add(1, Ordering::Relaxed) {
                0 | 1 => Err("not yet"),
                call => Ok(call as u64),
            };
            let mut graph = Graph::new();
            let node = graph.insert("flaky", (flaky,));
            graph.set_retries(node, 5);
            assert_eq!(data::<u64>(cluster.get_blocking(graph, "flaky").unwrap()), 2);
        }
        assert_eq!((counts(&cache), stats(&cache).puts), ((1, 1), 1));
    });
}

#[test]
fn failed_tasks_are_missed_and_not_kept() {
    watched(|| {
        let cluster = cluster(1);
        let cache = cache_of(&cluster);
        let _caching = cluster.register(CacheCallback::new(cache.clone()));
        for _ in 0..2 {
            let graph = graph! { "x" => (inc, 1), "y" => (|_: i64| Err::<i64, _>("no"), "x") };
            let error = cluster.get_blocking(graph, "y").unwrap_err();
            assert!(error.is_task_error(), "{error}");
        }
        assert_eq!(counts(&cache), (1, 3));
        assert_eq!(held(&cache, ["x", "y"]), [true, false]);
    });
}

#[test]
fn a_bounded_cache_evicts_during_a_run() {
    watched(|| {
        let cluster = cluster(1);
        let cache = start(&cluster, SimpleCacheActor::with_entries(3));
        let _caching = cluster.register(CacheCallback::new(cache.clone()));
        let mut graph = Graph::new();
        let mut last = graph.insert(("x", 0), (inc, 0));
        for number in 1..100 {
            last = graph.insert(("x", number), (inc, last));
        }
        assert_eq!(data::<i64>(cluster.get_blocking(graph, last).unwrap()), 100);
        let stats = stats(&cache);
        assert_eq!((stats.puts, stats.evictions, stats.entries), (100, 97, 3));
        assert_eq!(held(&cache, [("x", 96), ("x", 97), ("x", 99)]), [false, true, true]);
    });
}

#[test]
fn counts_are_true_with_many_runs_at_once() {
    const THREADS: u64 = 4;
    const RUNS: u64 = 25;
    const TASKS: i64 = 40;
    watched(|| {
        let (cluster, calls) = (cluster(4), Arc::new(AtomicUsize::new(0)));
        let cache = cache_of(&cluster);
        let _caching = cluster.register(CacheCallback::new(cache.clone()));
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for _ in 0..RUNS {
                        let mut graph = Graph::new();
                        let keys: Vec<Node> = (0..TASKS)
                            .map(|number| {
                                let calls = Arc::clone(&calls);
                                let task = move |x: i64| {
                                    calls.fetch_add(1, Ordering::Relaxed);
                                    x
                                };
                                graph.insert(("x", number), (task, number))
                            })
                            .collect();
                        let values: Vec<i64> = data(cluster.get_blocking(graph, keys).unwrap());
                        assert_eq!(values, (0..TASKS).collect::<Vec<i64>>());
                    }
                });
            }
        });
        let (hits, misses) = counts(&cache);
        assert_eq!(misses, calls.load(Ordering::Relaxed) as u64);
        assert_eq!(hits + misses, THREADS * RUNS * 40);
    });
}
