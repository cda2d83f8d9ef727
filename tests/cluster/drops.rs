//! Values that panic when they are dropped: the fault of whoever wrote them, and nobody else's.

use std::sync::Arc;

use mobula::{CallbackBuilder, Cluster, Data, Graph, Plan, Shared, graph};

use crate::bomb::{ON_PURPOSE, quiet};
use crate::functions::{cluster, data, held, inc};
use crate::gate::gate;
use crate::watchdog::{until, watched};

/// Panics when it is dropped.
#[derive(Clone)]
struct Touchy;

impl Data for Touchy {}

impl Drop for Touchy {
    fn drop(&mut self) {
        // A second panic while the first one goes on would end the process.
        assert!(std::thread::panicking(), "{ON_PURPOSE}: a value does not want to go");
    }
}

fn touchy() -> Touchy {
    quiet();
    Touchy
}

fn look(_: &Touchy) -> i64 {
    1
}

/// Whatever became of the run, the cluster goes on, with and without hooks.
fn assert_sound(cluster: &Cluster) {
    let graph = || graph! { "x" => (inc, 1) };
    assert_eq!(data::<i64>(cluster.get_blocking(graph(), "x").expect("the cluster goes on")), 2);
    let hooked = cluster.with_callbacks([CallbackBuilder::new()]).get_blocking(graph(), "x");
    assert_eq!(data::<i64>(hooked.expect("hooks go on")), 2);
    let later = |x: i64| async move { x };
    let awaited = cluster.get_blocking(graph! { "x" => (later, 2) }, "x");
    assert_eq!(data::<i64>(awaited.expect("asynchronous tasks go on")), 2);
}

#[test]
fn released_by_a_worker() {
    watched(|| {
        for workers in [1, 2] {
            let cluster = cluster(workers);
            let graph = graph! {
                "t" => (touchy,), "a" => (look, "t"), "b" => (look, "t"), "c" => (inc, "a"),
            };
            let results = cluster.get_blocking(graph, ["b", "c"]).unwrap();
            assert_eq!(data::<Vec<i64>>(results), [1, 2]);
            assert_sound(&cluster);
        }
    });
}

#[test]
fn released_after_an_asynchronous_task() {
    watched(|| {
        for retries in [0, 1] {
            let cluster = cluster(1);
            let later = |_: Shared<Touchy>| async { 1_i64 };
            let mut graph = graph! { "t" => (touchy,), "b" => (inc, "a") };
            let node = graph.insert("a", (later, "t"));
            // With retries the value is kept until the task has succeeded.
            graph.set_retries(node, retries);
            assert_eq!(data::<i64>(cluster.get_blocking(graph, "b").unwrap()), 2);
            assert_sound(&cluster);
        }
    });
}

#[test]
fn left_in_a_run_that_failed() {
    watched(|| {
        for hooks in [false, true] {
            let cluster = cluster(1);
            let fails = |_: &Touchy| Err::<i64, _>("no data");
            let graph = graph! { "t" => (touchy,), "x" => (fails, "t"), "y" => (look, "t") };
            let wanted = ["x", "y", "t"];
            let error = if hooks {
                cluster.with_callbacks([CallbackBuilder::new()]).get_blocking(graph, wanted)
            } else {
                cluster.get_blocking(graph, wanted)
            };
            assert!(error.unwrap_err().is_task_error());
            assert_sound(&cluster);
            until(|| held(&cluster) == 0);
        }
    });
}

#[test]
fn left_in_a_run_that_was_cancelled() {
    watched(|| {
        for hooks in [false, true] {
            let cluster = cluster(1);
            let (gate, opener) = gate();
            let waiting = gate.clone();
            let wait = move |_: &Touchy| {
                waiting.pass();
                1_i64
            };
            let graph = graph! { "t" => (touchy,), "x" => (wait, "t"), "y" => (inc, "x") };
            let plan = Plan::new(graph, ["y", "t"]).unwrap();
            let callbacks: Vec<Arc<dyn mobula::Callback>> =
                if hooks { vec![Arc::new(CallbackBuilder::new())] } else { Vec::new() };
            let handle = cluster.run_with(plan, callbacks);
            gate.arrivals(1);
            handle.cancel();
            assert!(handle.wait().unwrap_err().is_cancelled());
            opener.open();
            assert_sound(&cluster);
        }
    });
}

#[test]
fn nobody_waits_for_the_result_any_more() {
    watched(|| {
        let cluster = cluster(1);
        for _ in 0..20 {
            let mut graph = Graph::new();
            graph.insert("t", (touchy,));
            let refs = cluster.persist(graph, ["t"]).unwrap();
            // The value may come before or after nobody holds it any more.
            drop(refs);
        }
        assert_sound(&cluster);
    });
}
