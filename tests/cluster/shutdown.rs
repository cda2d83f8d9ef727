//! The end of a cluster: no thread and no actor is left, wherever it was started and however it ends.

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};

use actix::{Actor, Context};
use actix_rt::System;
use mobula::{CallbackBuilder, Client, Cluster, Graph, Plan, delayed, graph};

use crate::functions::{add, cluster, data, inc};
use crate::gate::gate;
use crate::process::{cluster_threads, until_no_more_threads_than};
use crate::watchdog::{alone, watched};

/// An actor that tells when it is dropped.
struct Told(std::sync::mpsc::Sender<()>);

impl Actor for Told {
    type Context = Context<Self>;
}

impl Drop for Told {
    fn drop(&mut self) {
        self.0.send(()).ok();
    }
}

/// Things that end with a cluster: a state actor, a callback in the registry, and all its threads.
struct Witnesses {
    dropped: Receiver<()>,
}

fn witnesses(cluster: &Cluster) -> Witnesses {
    let (sender, dropped) = channel();
    let callback = Told(sender.clone());
    let callback = CallbackBuilder::new().graph_start(move |_| {
        let _kept = &callback;
        Ok(())
    });
    // The registration is not taken back; the callback goes with the registry.
    std::mem::forget(cluster.register(callback));
    cluster.start_state(Told(sender)).expect("a state actor starts");
    Witnesses { dropped }
}

impl Witnesses {
    /// True if both are gone by now.
    fn are_gone(&self) -> bool {
        self.dropped.try_iter().count() == 2
    }

    /// Waits until they are gone.
    fn until_gone(&self) {
        self.dropped.iter().take(2).for_each(drop);
    }
}

/// Runs a test alone, and waits at its end until nothing is left of its clusters.
#[track_caller]
fn leaves_nothing(test: impl FnOnce() + Send + 'static) {
    alone(|| {
        let before = cluster_threads();
        test();
        until_no_more_threads_than(&before);
    });
}

fn long_plan() -> Plan {
    let mut graph = Graph::new();
    let parts: Vec<_> = (0..100_000_i64).map(|x| graph.add((inc, x))).collect();
    Plan::new(graph, parts).expect("the graph is right")
}

fn inc_once(client: &Client) -> i64 {
    client.compute_blocking(&delayed(inc).call(1)).expect("the cluster is there")
}

#[test]
fn in_a_plain_program_nothing_is_left() {
    leaves_nothing(|| {
        for workers in [1, 4] {
            let cluster = cluster(workers);
            let witnesses = witnesses(&cluster);
            assert_eq!(inc_once(&cluster), 2);
            drop(cluster);
            assert!(witnesses.are_gone(), "dropping a cluster waits for its end");
        }
    });
}

#[test]
fn shutdown_blocking_is_as_dropping() {
    leaves_nothing(|| {
        let cluster = cluster(2);
        let witnesses = witnesses(&cluster);
        cluster.shutdown_blocking().unwrap();
        witnesses.until_gone();
    });
}

#[test]
fn a_cluster_that_was_never_used_ends() {
    leaves_nothing(|| {
        for _ in 0..20 {
            drop(cluster(2));
        }
    });
}

#[test]
fn in_the_middle_of_a_run_the_task_ends_and_the_run_is_cancelled() {
    leaves_nothing(|| {
        let cluster = cluster(2);
        let witnesses = witnesses(&cluster);
        let (gate, opener) = gate();
        let waiting = gate.clone();
        let slow = delayed(move |x: i64| {
            waiting.pass();
            x
        });
        let parts: Vec<_> = (0..1000).map(|x| slow.call(x)).collect();
        let forever = delayed(std::future::pending::<i64>).call(());
        let run = cluster.run(mobula::DelayedList::plan(&&parts[..]).unwrap());
        let future = cluster.run(forever.plan().unwrap());
        gate.arrivals(2);
        let end = std::thread::spawn(move || drop(cluster));
        // Whoever waits is answered before the tasks have ended.
        assert!(run.wait().unwrap_err().is_cancelled());
        assert!(future.wait().unwrap_err().is_cancelled());
        opener.open();
        end.join().unwrap();
        witnesses.until_gone();
    });
}

#[test]
fn at_any_moment_of_many_runs() {
    leaves_nothing(|| {
        let plan = Arc::new(long_plan());
        for round in 0..20 {
            let cluster = cluster(2);
            let hooks = CallbackBuilder::new().pretask(|_, _| Ok(None));
            let with_hooks = cluster.run_with(Arc::clone(&plan), vec![Arc::new(hooks)]);
            let without = cluster.run(Arc::clone(&plan));
            let refs =
                cluster.persist(Arc::clone(plan.graph()), [plan.key(plan.outputs()[0])]).unwrap();
            for _ in 0..round {
                inc_once(&cluster);
            }
            let client = cluster.client().clone();
            drop(cluster);
            for handle in [with_hooks, without] {
                // It may have come to its end before.
                if let Err(error) = handle.wait() {
                    assert!(error.is_cancelled() || error.is_closed(), "{error}");
                }
            }
            if let Err(error) = client.gather_blocking(&refs) {
                assert!(error.is_cancelled() || error.is_closed(), "{error}");
            }
        }
    });
}

#[test]
fn every_run_that_started_hears_of_its_end() {
    leaves_nothing(|| {
        let plan = Arc::new(long_plan());
        for round in 0..50_usize {
            let cluster = cluster(1 + round % 2);
            let (started, starts) = channel();
            let (finished, ends) = channel();
            let callback = CallbackBuilder::new()
                .graph_start(move |_| Ok(started.send(())?))
                .graph_finish(move |_, _, errored| Ok(finished.send(errored)?));
            let run = cluster.run_with(Arc::clone(&plan), vec![Arc::new(callback)]);
            starts.recv().unwrap();
            drop(cluster);
            let end = run.wait();
            assert_eq!(ends.try_iter().collect::<Vec<_>>(), [end.is_err()], "round {round}");
        }
    });
}

#[test]
fn a_thread_that_was_a_system_before_is_like_any_other() {
    leaves_nothing(|| {
        let before = System::new();
        before.block_on(async {
            let cluster = Cluster::builder().workers(1).start().unwrap();
            cluster.shutdown().await;
        });
        drop(before);
        let cluster = cluster(1);
        let witnesses = witnesses(&cluster);
        assert_eq!(inc_once(&cluster), 2);
        cluster.shutdown_blocking().unwrap();
        assert!(witnesses.are_gone());
    });
}

#[test]
fn inside_an_actix_system_nothing_is_left() {
    leaves_nothing(|| {
        System::new().block_on(async {
            let cluster = Cluster::builder().workers(2).start().unwrap();
            let witnesses = witnesses(&cluster);
            assert_eq!(cluster.compute(&delayed(inc).call(1)).await.unwrap(), 2);
            cluster.shutdown().await;
            witnesses.until_gone();
            // The system itself goes on.
            assert_eq!(actix_rt::spawn(async { 5 }).await.unwrap(), 5);
        });
    });
}

#[test]
fn inside_an_actix_system_dropped_in_the_middle_of_a_run() {
    leaves_nothing(|| {
        System::new().block_on(async {
            let cluster = Cluster::builder().workers(2).start().unwrap();
            let witnesses = witnesses(&cluster);
            let run = cluster.run(long_plan());
            drop(cluster);
            if let Err(error) = run.await {
                assert!(error.is_cancelled() || error.is_closed(), "{error}");
            }
            witnesses.until_gone();
        });
    });
}

#[test]
fn the_users_system_stops_first() {
    leaves_nothing(|| {
        let (gate, opener) = gate();
        let runner = System::new();
        let (cluster, run, refs, witnesses) = runner.block_on(async {
            let cluster = Cluster::builder().workers(1).start().unwrap();
            let witnesses = witnesses(&cluster);
            let waiting = gate.clone();
            let slow = delayed(move |x: i64| {
                waiting.pass();
                x
            });
            let run = cluster.run(slow.call(1).plan().unwrap());
            let plan = slow.call(1).plan().unwrap();
            let key = plan.key(plan.outputs()[0]).clone();
            let refs = cluster.persist(Arc::clone(plan.graph()), [key]).unwrap();
            (cluster, run, refs, witnesses)
        });
        gate.arrivals(1);
        System::current().stop();
        runner.run().unwrap();
        let program = std::thread::spawn(move || {
            // Nobody is there to answer any more, and nobody waits for ever.
            let error = run.wait().unwrap_err();
            assert!(error.is_cancelled() || error.is_closed(), "{error}");
            let error = cluster.gather_blocking(&refs).unwrap_err();
            assert!(error.is_cancelled() || error.is_closed(), "{error}");
            let error = cluster.compute_blocking(&delayed(inc).call(1)).unwrap_err();
            assert!(error.is_closed(), "{error}");
            assert!(cluster.stats_blocking().unwrap_err().is_closed());
            opener.open();
            drop(cluster);
        });
        program.join().unwrap();
        witnesses.until_gone();
    });
}

#[test]
fn dropped_inside_a_task_it_ends_in_its_own_time() {
    leaves_nothing(|| {
        let cluster = cluster(1);
        let witnesses = witnesses(&cluster);
        let client = cluster.client().clone();
        let cluster = Mutex::new(Some(cluster));
        let task = delayed(move || drop(cluster.lock().map(|mut cluster| cluster.take())));
        let run = client.compute_blocking(&task.call(()));
        if let Err(error) = run {
            assert!(error.is_cancelled() || error.is_closed(), "{error}");
        }
        witnesses.until_gone();
    });
}

#[test]
fn dropped_inside_a_hook_it_ends_in_its_own_time() {
    leaves_nothing(|| {
        let cluster = cluster(1);
        let witnesses = witnesses(&cluster);
        let client = cluster.client().clone();
        let cluster = Mutex::new(Some(cluster));
        let callback = CallbackBuilder::new().graph_start(move |_| {
            drop(cluster.lock().map(|mut cluster| cluster.take()));
            Ok(())
        });
        let request = client.with_callbacks([callback]);
        // The end comes while the run goes on, or after it.
        if let Err(error) = request.get_blocking(graph! { "x" => (inc, 1) }, "x") {
            assert!(error.is_cancelled() || error.is_closed(), "{error}");
        }
        witnesses.until_gone();
    });
}

#[test]
fn awaited_inside_a_future_the_end_drops_that_future() {
    leaves_nothing(|| {
        let cluster = cluster(1);
        let witnesses = witnesses(&cluster);
        let client = cluster.client().clone();
        let cluster = Mutex::new(Some(cluster));
        let task = delayed(move || {
            let cluster = cluster.lock().unwrap().take();
            async move {
                if let Some(cluster) = cluster {
                    cluster.shutdown().await;
                }
            }
        });
        let error = client.compute_blocking(&task.call(())).unwrap_err();
        assert!(error.is_cancelled() || error.is_closed(), "{error}");
        witnesses.until_gone();
    });
}

#[test]
fn a_client_that_outlives_its_cluster_is_told() {
    watched(|| {
        let cluster = cluster(1);
        let client = cluster.client().clone();
        let put = client.put("put", 5_i64);
        cluster.shutdown_blocking().unwrap();
        let graph = || graph! { "x" => (inc, 1) };
        assert!(client.get_blocking(graph(), "x").unwrap_err().is_closed());
        assert!(client.get_blocking(graph! { "x" => 1 }, "x").unwrap_err().is_closed());
        assert!(client.compute_blocking(&delayed(inc).call(1)).unwrap_err().is_closed());
        let value = delayed(inc).call(1);
        assert!(client.compute_all_blocking((&value,)).unwrap_err().is_closed());
        assert!(client.run(value.plan().unwrap()).wait().unwrap_err().is_closed());
        assert!(client.stats_blocking().unwrap_err().is_closed());
        let callback = CallbackBuilder::new();
        let request = client.with_callbacks([callback]);
        assert!(request.get_blocking(graph(), "x").unwrap_err().is_closed());
        let error = client.get_blocking(graph(), "x").unwrap_err();
        assert!(error.to_string().contains("the cluster has ended; start a new one"), "{error}");
        drop(client.register(CallbackBuilder::new()));
        // A value in memory lives as long as its ref, but there is no store to be asked for it.
        assert_eq!(put.value().unwrap().downcast_ref::<i64>(), Some(&5));
        assert!(client.gather_blocking(&[put]).unwrap_err().is_closed());
        let error = client.persist(graph(), ["x"]).and_then(|refs| client.gather_blocking(&refs));
        assert!(error.unwrap_err().is_closed());
    });
}

#[test]
fn two_clusters_live_beside_each_other() {
    leaves_nothing(|| {
        let (one, two) = (cluster(1), cluster(2));
        let client = two.client().clone();
        let across = delayed(move |x: i64| client.compute_blocking(&delayed(inc).call(x)));
        assert_eq!(one.compute_blocking(&across.call(1)).unwrap(), 2);
        drop(two);
        assert_eq!(data::<i64>(one.get_blocking(graph! { "z" => (add, 1, 2) }, "z").unwrap()), 3);
        assert!(one.compute_blocking(&across.call(1)).unwrap_err().is_task_error());
        drop(one);
    });
}

#[test]
fn a_cluster_can_be_started_again_and_again_in_one_system() {
    leaves_nothing(|| {
        System::new().block_on(async {
            for _ in 0..10 {
                let cluster = Cluster::builder().workers(2).start().unwrap();
                assert_eq!(cluster.compute(&delayed(inc).call(1)).await.unwrap(), 2);
                cluster.shutdown().await;
            }
        });
    });
}
