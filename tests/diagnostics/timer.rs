//! `TimerCallback`: by key and by prefix.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mobula::{Graph, Key, Node, TimerCallback, graph};

use crate::helpers::{add, cluster, data, inc};
use crate::watchdog::watched;

/// Works, by its own clock, for at least so many milliseconds.
#[expect(clippy::disallowed_methods, reason = "what is measured must be known")]
fn work(milliseconds: u64) -> u64 {
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(milliseconds) {
        std::hint::spin_loop();
    }
    milliseconds
}

#[test]
fn each_task_is_measured_by_key() {
    watched(|| {
        let (cluster, timer) = (cluster(2), TimerCallback::new());
        let _timing = cluster.register(timer.clone());
        let graph = graph! { "short" => (work, 1_u64), "long" => (work, 4_u64) };
        cluster.get_blocking(graph, ["short", "long"]).unwrap();

        let durations = timer.durations();
        let keys: Vec<&Key> = durations.keys().collect();
        assert_eq!(keys, [&Key::from("long"), &Key::from("short")]);
        assert_eq!(durations.values().map(Vec::len).collect::<Vec<_>>(), [1, 1]);
        assert!(durations[&Key::from("short")][0] >= Duration::from_millis(1));
        assert!(durations[&Key::from("long")][0] >= Duration::from_millis(4));
    });
}

#[test]
fn tasks_are_summed_by_prefix_the_greatest_first() {
    watched(|| {
        let (cluster, timer) = (cluster(2), TimerCallback::new());
        let mut graph = Graph::new();
        for number in 0..3_u64 {
            graph.insert(("work", number), (work, 2 + number));
        }
        graph.insert("rest-7f3a9c", (inc, 1));
        graph.insert("rest-7f3a9d", (inc, 2));
        let wanted: Vec<Key> = graph.keys().cloned().collect();
        cluster.with_callbacks([timer.clone()]).get_blocking(graph, wanted).unwrap();

        let mut sums = timer.by_prefix();
        assert!(sums.is_sorted_by(|one, two| one.total >= two.total));
        sums.sort_by(|one, two| two.prefix.cmp(&one.prefix));
        let counts: Vec<_> = sums.iter().map(|sum| (sum.prefix.as_str(), sum.tasks)).collect();
        assert_eq!(counts, [("work", 3), ("rest", 2)]);
        let work = &sums[0];
        assert!(work.total >= Duration::from_millis(9) && work.longest >= Duration::from_millis(4));
        assert_eq!(work.mean(), work.total / 3);
        assert!(work.longest <= work.total);
        let by_key: Duration = timer.durations().values().flatten().sum();
        assert_eq!(by_key, sums.iter().map(|sum| sum.total).sum::<Duration>());
    });
}

#[test]
fn executions_of_a_key_stand_in_the_order_of_their_ends() {
    watched(|| {
        let (cluster, timer) = (cluster(4), TimerCallback::new());
        for milliseconds in [3_u64, 1, 2] {
            // Other tasks around it, so that workers take turns.
            let mut graph = Graph::new();
            graph.insert("x", (work, milliseconds));
            for number in 0..8 {
                graph.insert(("y", number), (inc, number));
            }
            let wanted: Vec<Key> = graph.keys().cloned().collect();
            cluster.with_callbacks([timer.clone()]).get_blocking(graph, wanted).unwrap();
        }
        let durations = timer.durations();
        let x = &durations[&Key::from("x")];
        assert_eq!(x.len(), 3);
        for (duration, milliseconds) in x.iter().zip([3, 1, 2]) {
            assert!(*duration >= Duration::from_millis(milliseconds));
        }
    });
}

#[test]
fn no_task_is_lost_by_many_workers() {
    watched(|| {
        let (cluster, timer) = (cluster(8), TimerCallback::new());
        let _timing = cluster.register(timer.clone());
        let mut graph = Graph::new();
        let parts: Vec<Node> = (0..20_000).map(|number| graph.add((inc, number))).collect();
        let sum = graph.insert("sum", (|items: Vec<i64>| items.iter().sum::<i64>(), parts));
        cluster.get_blocking(graph, sum).unwrap();
        let sums = timer.by_prefix();
        assert_eq!(sums.iter().map(|sum| sum.tasks).sum::<usize>(), 20_001);
        assert_eq!(timer.durations().len(), 20_001);
    });
}

#[test]
fn only_successes_are_measured() {
    watched(|| {
        let (cluster, timer) = (cluster(1), TimerCallback::new());
        let _timing = cluster.register(timer.clone());
        let calls = Arc::new(AtomicUsize::new(0));
        let flaky = move || match calls.fetch_add(1, Ordering::Relaxed) {
            0 => Err("not yet"),
            _ => Ok(1_i64),
        };
        let mut graph = Graph::new();
        let node = graph.insert("flaky", (flaky,));
        graph.set_retries(node, 1);
        cluster.get_blocking(graph, "flaky").unwrap();
        assert_eq!(timer.durations()[&Key::from("flaky")].len(), 1);
    });
}

#[test]
fn clones_share_and_clear_forgets() {
    watched(|| {
        let (cluster, timer) = (cluster(1), TimerCallback::new());
        for _ in 0..2 {
            let graph = graph! { "x" => (inc, 1), "y" => (add, "x", 1) };
            let request = cluster.with_callbacks([timer.clone()]);
            assert_eq!(data::<i64>(request.get_blocking(graph, "y").unwrap()), 3);
        }
        assert_eq!(timer.clone().durations()[&Key::from("x")].len(), 2);
        timer.clone().clear();
        assert!(timer.durations().is_empty() && timer.by_prefix().is_empty());
    });
}
