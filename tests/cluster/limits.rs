//! Time limits: who fails on time, and what becomes of workers that are stuck.
//!
//! No verdict hangs on how long anything takes: a task that is to be over its limit waits at a gate
//! that the test opens only afterwards.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mobula::{Arg, CallbackBuilder, Cluster, Func, Plan, Task, WorkerStats, delayed, graph};

use crate::functions::{cluster, data, held, inc};
use crate::gate::{Gate, gate};
use crate::watchdog::{until, watched};

const SHORT: Duration = Duration::from_millis(5);
const LONG: Duration = Duration::from_secs(3600);

fn stats(cluster: &Cluster) -> WorkerStats {
    cluster.worker_stats_blocking().expect("the cluster is there")
}

/// A function that waits at a gate until the test opens it.
macro_rules! waits {
    ($gate:expr) => {{
        let gate = $gate.clone();
        move |x: i64| {
            gate.pass();
            x
        }
    }};
}

/// The cluster runs what it is given.
#[track_caller]
fn is_usable(cluster: &Cluster) {
    let graph = graph! { "x" => (inc, 1), "y" => (inc, "x") };
    assert_eq!(data::<i64>(cluster.get_blocking(graph, "y").expect("it runs")), 3);
}

#[test]
fn a_task_over_its_limit_fails_its_run_and_the_cluster_goes_on() {
    watched(|| {
        let cluster = cluster(1);
        let (gate, opener) = gate();
        let after = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&after);
        let count = move |x: i64| {
            counted.fetch_add(1, Ordering::Relaxed);
            x
        };
        let x = Task::new(Func::new(waits!(gate)), [Arg::Key("a".into())]).time_limit(SHORT);
        let graph = graph! { "a" => (inc, 1), "x" => x, "y" => (count, "x") };
        let error = cluster.get_blocking(graph, "y").unwrap_err();
        assert!(error.is_timeout() && !error.is_worker_lost());
        assert_eq!(error.to_string(), "task 'x' took longer than its limit of 5ms");
        // The call still sits there.
        is_usable(&cluster);
        let now = stats(&cluster);
        assert_eq!((now.workers, now.stuck, now.lost, now.replaced), (1, 1, 0, 1));
        opener.open();
        until(|| stats(&cluster).stuck == 0);
        is_usable(&cluster);
        let now = stats(&cluster);
        assert_eq!((now.workers, now.replaced), (1, 1));
        assert_eq!(after.load(Ordering::Relaxed), 0, "the late result is dropped");
        assert_eq!(held(&cluster), 0);
    });
}

#[test]
fn a_task_over_its_limit_is_tried_again_elsewhere() {
    watched(|| {
        for workers in [1, 2] {
            let cluster = cluster(workers);
            let (gate, opener) = gate();
            let calls = Arc::<AtomicUsize>::default();
            let (counted, waits) = (Arc::clone(&calls), waits!(gate));
            let slow = delayed(move |items: Vec<i64>| {
                if counted.fetch_add(1, Ordering::Relaxed) == 0 {
                    waits(0);
                }
                items.len()
            });
            let items = delayed(|| vec![1_i64, 2, 3]).call(());
            let value = slow.retries(1).time_limit(SHORT).call(&items);
            // The second attempt is quick, but a machine may be slow: then there is a third one.
            let length = (0..100).find_map(|_| cluster.compute_blocking(&value).ok());
            assert_eq!(length, Some(3));
            opener.open();
            until(|| stats(&cluster).stuck == 0);
            assert_eq!(held(&cluster), 0);
        }
    });
}

#[test]
fn a_condition_is_asked_about_limits_too() {
    watched(|| {
        let cluster = cluster(2);
        let (gate, _opener) = gate();
        let asked = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&asked);
        let value = delayed(waits!(gate)).retries(5).time_limit(SHORT).retry_if(move |failure| {
            assert!(failure.is_timeout());
            counted.fetch_add(1, Ordering::Relaxed) == 0
        });
        let error = cluster.compute_blocking(&value.call(1)).unwrap_err();
        assert!(error.is_timeout());
        assert_eq!((error.as_failure().unwrap().attempts, asked.load(Ordering::Relaxed)), (2, 2));
    });
}

#[test]
fn limits_that_are_kept_change_nothing() {
    watched(|| {
        let cluster = cluster(2);
        let mut graph = mobula::Graph::new();
        let firsts: Vec<_> = (0..2000_i64).map(|x| graph.add((inc, x))).collect();
        let seconds: Vec<_> = firsts.iter().map(|first| graph.add((inc, *first))).collect();
        let request = cluster.request().task_time_limit(LONG).time_limit(LONG);
        let values: Vec<i64> = data(request.get_blocking(graph, seconds).unwrap());
        assert_eq!(values, (2..2002).collect::<Vec<i64>>());
        assert_eq!((stats(&cluster).replaced, held(&cluster)), (0, 0));
    });
}

#[test]
fn when_no_number_is_free_a_stuck_worker_is_not_replaced() {
    watched(|| {
        let cluster = cluster(1);
        let (gate, opener) = gate();
        let request = cluster.request().task_time_limit(SHORT);
        // Two can stand in; the third one that is stuck stays the worker that there is.
        for stuck in [1, 2, 2] {
            let error = request.get_blocking(graph! { "x" => (waits!(gate), 1) }, "x").unwrap_err();
            assert!(error.is_timeout());
            assert_eq!((stats(&cluster).workers, stats(&cluster).stuck), (1, stuck));
        }
        opener.open();
        is_usable(&cluster);
        until(|| stats(&cluster).stuck == 0);
        // The numbers can be used again.
        let (second, opener) = crate::gate::gate();
        for _ in 0..2 {
            let graph = graph! { "x" => (waits!(second), 1) };
            assert!(request.get_blocking(graph, "x").unwrap_err().is_timeout());
        }
        is_usable(&cluster);
        assert_eq!(stats(&cluster).replaced, 4);
        opener.open();
    });
}

#[test]
fn a_limit_in_a_nested_run() {
    watched(|| {
        for workers in [1, 2] {
            let cluster = cluster(workers);
            let (gate, opener) = gate();
            let (client, inner) = (cluster.client().clone(), delayed(waits!(gate)).call(1));
            let outer = delayed(move || {
                let request = client.request().task_time_limit(SHORT);
                request.compute_blocking(&inner).unwrap_err().is_timeout()
            });
            let outer = cluster.run(outer.call(()).plan().unwrap());
            until(|| stats(&cluster).stuck == 1);
            // The nested call sits on the stack of the task that waits for it, or beside it.
            is_usable(&cluster);
            opener.open();
            assert!(data::<bool>(outer.wait().unwrap()));
            until(|| stats(&cluster).stuck == 0);
            is_usable(&cluster);
        }
    });
}

#[test]
fn a_task_that_waits_for_a_nested_run_is_over_its_limit_too() {
    watched(|| {
        let cluster = cluster(1);
        let (gate, opener) = gate();
        let (client, inner) = (cluster.client().clone(), delayed(waits!(gate)).call(1));
        let outer = delayed(move || client.compute_blocking(&inner)).time_limit(SHORT).call(());
        assert!(cluster.compute_blocking(&outer).unwrap_err().is_timeout());
        // Who is at the gate by now depends on the machine: the worker that is stuck, while it waits, or
        // the one in its place.
        opener.open();
        until(|| stats(&cluster).stuck == 0);
        is_usable(&cluster);
        until(|| held(&cluster) == 0);
    });
}

#[test]
fn the_future_of_an_asynchronous_task_is_dropped_at_the_limit() {
    /// Counts its drops.
    struct Counts(Arc<AtomicUsize>);

    impl Drop for Counts {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    watched(|| {
        let cluster = cluster(1);
        let drops = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&drops);
        let never = delayed(move || {
            let counts = Counts(Arc::clone(&counted));
            async move {
                let _counts = counts;
                pending::<i64>().await
            }
        });
        let value = never.time_limit(SHORT).retries(1).call(());
        let error = cluster.compute_blocking(&value).unwrap_err();
        assert_eq!(
            error.to_string().split_once(" took").unwrap().1,
            " longer than its limit of 5ms (after 2 attempts)"
        );
        assert_eq!(drops.load(Ordering::Relaxed), 2);
        // No thread was stuck.
        assert_eq!((stats(&cluster).stuck, stats(&cluster).replaced), (0, 0));
        let quick = delayed(|| async { 7_i64 }).time_limit(LONG).call(());
        assert_eq!(cluster.compute_blocking(&quick).unwrap(), 7);
    });
}

#[test]
fn a_run_over_its_limit_fails_whatever_its_tasks_do() {
    watched(|| {
        for hooked in [false, true] {
            let cluster = cluster(2);
            let _log = hooked.then(|| cluster.register(mobula::LogCallback::new()));
            let (gate, opener) = gate();
            let starts = Arc::<AtomicUsize>::default();
            let waits = |gate: &Gate| {
                let (gate, starts) = (gate.clone(), Arc::clone(&starts));
                move |x: i64| {
                    starts.fetch_add(1, Ordering::Relaxed);
                    gate.pass();
                    x
                }
            };
            let (x, y) = (delayed(waits(&gate)).call(1), delayed(waits(&gate)).call(2));
            let limit = Duration::from_millis(50);
            let request = cluster.request().time_limit(limit);
            let z = delayed(inc).call(&x);
            let error = request.compute_all_blocking((&y, &z)).unwrap_err();
            assert!(error.is_timeout() && error.key().is_none());
            assert_eq!(error.to_string(), "the run took longer than its limit of 50ms");
            // Workers that do not come out of it are replaced: both, unless a machine is very slow.
            until(|| stats(&cluster).stuck == starts.load(Ordering::Relaxed));
            is_usable(&cluster);
            assert_eq!(stats(&cluster).replaced, starts.load(Ordering::Relaxed) as u64);
            opener.open();
            until(|| stats(&cluster).stuck == 0 && held(&cluster) == 0);
        }
    });
}

#[test]
fn a_run_over_its_limit_fails_although_nothing_runs() {
    watched(|| {
        let cluster = cluster(1);
        let never = delayed(pending::<i64>).call(());
        let request = cluster.request().time_limit(SHORT);
        assert!(request.compute_blocking(&never).unwrap_err().is_timeout());
        let fails = delayed(|| Err::<i64, _>("always")).retries(1);
        let fails = fails.backoff(mobula::Backoff::constant(LONG)).call(());
        assert!(request.compute_blocking(&fails).unwrap_err().is_timeout());
        let graph = graph! { "x" => (|| Err::<i64, _>("always"),) };
        let refs =
            request.retries(1).backoff(mobula::Backoff::constant(LONG)).persist(graph, ["x"]);
        assert!(cluster.gather_blocking(&refs.unwrap()).unwrap_err().is_timeout());
        assert_eq!(stats(&cluster).replaced, 0);
        is_usable(&cluster);
    });
}

#[test]
fn a_cancelled_run_still_gives_its_stuck_worker_back() {
    watched(|| {
        let cluster = cluster(1);
        let (gate, opener) = gate();
        let plan = Plan::new(graph! { "x" => (waits!(gate), 1) }, "x").unwrap();
        let run = cluster.request().task_time_limit(SHORT).run(plan);
        gate.arrivals(1);
        run.cancel();
        drop(run);
        is_usable(&cluster);
        opener.open();
    });
}

#[test]
fn hooks_hear_of_a_task_over_its_limit() {
    watched(|| {
        let cluster = cluster(1);
        let (gate, _opener) = gate();
        let heard = Arc::new(std::sync::Mutex::new(Vec::new()));
        let hear = |name: &'static str| {
            let heard = Arc::clone(&heard);
            move |detail: String| heard.lock().unwrap().push(format!("{name} {detail}"))
        };
        let (pre, post, error, retry) =
            (hear("pretask"), hear("posttask"), hear("error"), hear("retry"));
        let callback = CallbackBuilder::new()
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
            })
            .error(move |_, failure| {
                error(failure.to_string());
                Ok(())
            });
        let request = cluster.request().callbacks([callback]).retries(1).task_time_limit(SHORT);
        let error = request.get_blocking(graph! { "x" => (waits!(gate), 1) }, "x").unwrap_err();
        assert!(error.is_timeout());
        let mut heard = heard.lock().unwrap().clone();
        // The registry hears of the retry beside the worker that goes on.
        let at = heard.iter().position(|line| line == "retry x 2").unwrap();
        heard.remove(at);
        let last = "error task 'x' took longer than its limit of 5ms (after 2 attempts)";
        assert_eq!(heard, ["pretask x", "pretask x", last]);
    });
}
