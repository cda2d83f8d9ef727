//! Runs that nobody wants any more: nothing new starts, and what they held is released.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::{Either, select};
use mobula::{Client, Cluster, Graph, Key, Plan, RunHandle, graph};

use crate::functions::{cluster, data, held, inc};
use crate::gate::{Gate, Opener, gate};
use crate::watchdog::{until, watched};

/// One worker, in the first of 10,000 tasks; the others are queued behind it.
struct Queued {
    opener: Opener,
    gate: Gate,
    started: Arc<AtomicUsize>,
    plan: Arc<Plan>,
    cluster: Cluster,
}

fn queued() -> Queued {
    let cluster = cluster(1);
    let (gate, opener) = gate();
    let started = Arc::new(AtomicUsize::new(0));
    let mut graph = Graph::new();
    let root = graph.add((inc, 0));
    let parts: Vec<_> = (0..10_000)
        .map(|_| {
            let (gate, started) = (gate.clone(), Arc::clone(&started));
            let wait = move |x: i64| {
                started.fetch_add(1, Ordering::Relaxed);
                gate.pass();
                x
            };
            graph.add((wait, root))
        })
        .collect();
    let plan = Arc::new(Plan::new(graph, parts).expect("the graph is right"));
    Queued { opener, gate, started, plan, cluster }
}

/// Waits until the scheduler has read all that this thread has sent it: it answers in order.
fn scheduler_has_read(client: &Client) {
    client.get_blocking(graph! { "x" => 1 }, "x").expect("a graph of literals needs no worker");
}

impl Queued {
    /// Starts the run; it is in its first task when this returns.
    fn start(&self) -> RunHandle {
        let handle = self.cluster.run(Arc::clone(&self.plan));
        self.gate.arrivals(1);
        handle
    }

    /// The keys of all tasks but the root.
    fn wanted(&self) -> Vec<Key> {
        self.plan.outputs().iter().map(|task| self.plan.key(*task).clone()).collect()
    }

    /// The task that was running comes to its end, the others never start, nothing stays.
    fn assert_only_one_started(&self) {
        scheduler_has_read(&self.cluster);
        self.opener.open();
        let next = self.cluster.get_blocking(graph! { "x" => (inc, 1) }, "x");
        assert_eq!(data::<i64>(next.expect("the cluster goes on")), 2);
        assert_eq!(self.started.load(Ordering::Relaxed), 1);
        assert_eq!(held(&self.cluster), 0);
    }
}

#[test]
fn cancel_starts_nothing_more_of_ten_thousand_tasks() {
    watched(|| {
        let queued = queued();
        let handle = queued.start();
        handle.cancel();
        handle.cancel();
        let error = handle.wait().unwrap_err();
        assert!(error.is_cancelled() && !error.is_closed());
        assert_eq!(error.to_string(), "the run was cancelled");
        queued.assert_only_one_started();
    });
}

#[test]
fn a_canceller_cancels_from_elsewhere() {
    watched(|| {
        let queued = queued();
        let handle = queued.start();
        let canceller = handle.canceller();
        let thread = std::thread::spawn(move || canceller.cancel());
        assert!(handle.wait().unwrap_err().is_cancelled());
        thread.join().unwrap();
        queued.assert_only_one_started();
    });
}

#[test]
fn a_handle_that_is_dropped_cancels() {
    watched(|| {
        let queued = queued();
        drop(queued.start());
        queued.assert_only_one_started();
    });
}

#[test]
fn a_future_that_is_dropped_cancels() {
    watched(|| {
        let queued = queued();
        let (client, gate) = (queued.cluster.client().clone(), queued.gate.clone());
        let (graph, wanted) = (Arc::clone(queued.plan.graph()), queued.wanted());
        let program = std::thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let get = pin!(client.get(graph, wanted));
                let started = pin!(actix_rt::task::spawn_blocking(move || gate.arrivals(1)));
                let first = select(get, started).await;
                assert!(matches!(first, Either::Right(_)));
            });
        });
        program.join().unwrap();
        queued.assert_only_one_started();
    });
}

#[test]
fn a_persisted_run_is_cancelled_when_all_its_refs_are_dropped() {
    watched(|| {
        let cluster = cluster(1);
        let (gate, opener) = gate();
        let started = Arc::new(AtomicUsize::new(0));
        let mut graph = Graph::new();
        for number in 0..1000 {
            let (gate, started) = (gate.clone(), Arc::clone(&started));
            let wait = move || {
                started.fetch_add(1, Ordering::Relaxed);
                gate.pass();
            };
            graph.insert(number, (wait,));
        }
        let mut refs = cluster.persist(graph, 0..1000).unwrap();
        gate.arrivals(1);
        let last = refs.pop().unwrap();
        let copy = last.clone();
        drop((refs, last));
        scheduler_has_read(&cluster);
        assert_eq!(cluster.stats_blocking().unwrap().objects, [999.into()]);
        drop(copy);
        scheduler_has_read(&cluster);
        opener.open();
        cluster.get_blocking(graph! { "x" => (inc, 1) }, "x").unwrap();
        assert_eq!(started.load(Ordering::Relaxed), 1);
        assert_eq!(held(&cluster), 0);
        assert!(cluster.stats_blocking().unwrap().objects.is_empty());
    });
}

#[test]
fn cancel_after_the_end_changes_nothing() {
    watched(|| {
        let cluster = cluster(1);
        let plan = Plan::new(graph! { "x" => (inc, 1) }, "x").unwrap();
        let handle = cluster.run(plan);
        let canceller = handle.canceller();
        assert_eq!(data::<i64>(handle.wait().unwrap()), 2);
        canceller.cancel();
        assert_eq!(data::<i64>(cluster.get_blocking(graph! { "x" => (inc, 1) }, "x").unwrap()), 2);
    });
}

#[test]
fn cancel_at_any_moment_ends_the_run_one_way_or_the_other() {
    watched(|| {
        let cluster = cluster(2);
        let mut graph = Graph::new();
        let parts: Vec<_> = (0..200_i64).map(|x| graph.add((inc, x))).collect();
        let plan = Arc::new(Plan::new(graph, parts).unwrap());
        for spins in 0..500_u32 {
            let handle = cluster.run(Arc::clone(&plan));
            for _ in 0..spins * 20 {
                std::hint::spin_loop();
            }
            handle.cancel();
            match handle.wait() {
                Ok(results) => assert_eq!(results.into_list().len(), 200),
                Err(error) => assert!(error.is_cancelled(), "{error}"),
            }
        }
        assert_eq!(data::<i64>(cluster.get_blocking(graph! { "x" => (inc, 1) }, "x").unwrap()), 2);
        until(|| held(&cluster) == 0);
    });
}

#[test]
fn cancel_of_one_run_leaves_the_others_alone() {
    watched(|| {
        let cluster = cluster(2);
        let plan = |count: i64| {
            let mut graph = Graph::new();
            let parts: Vec<_> = (0..count).map(|x| graph.add((inc, x))).collect();
            Plan::new(graph, parts).unwrap()
        };
        let kept: Vec<_> = (0..10).map(|_| cluster.run(plan(2000))).collect();
        let cancelled: Vec<_> = (0..10).map(|_| cluster.run(plan(2000))).collect();
        drop(cancelled);
        for handle in kept {
            assert_eq!(data::<Vec<i64>>(handle.wait().unwrap()), (1..=2000).collect::<Vec<i64>>());
        }
    });
}
