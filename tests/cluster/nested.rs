//! Tasks that call the cluster again.

use std::cell::Cell;
use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use mobula::{CallbackBuilder, Client, Cluster, Graph, delayed, graph, wait_blocking};

use crate::functions::{add, cluster, data, held, inc, total};
use crate::gate::gate;
use crate::watchdog::watched;

/// The number of runs within runs below this one, computed by running them.
fn deep(client: &Client, depth: i64) -> i64 {
    if depth == 0 {
        return 0;
    }
    let inner = client.clone();
    let task = delayed(move |depth: i64| deep(&inner, depth - 1) + 1).call(depth);
    let other = delayed(inc).call(&task);
    let sum = client.compute_blocking(&delayed(add).call((&task, &other)));
    (sum.expect("the nested run succeeds") - 1) / 2
}

#[test]
fn five_deep_with_one_worker() {
    watched(|| {
        let cluster = cluster(1);
        assert_eq!(deep(cluster.client(), 5), 5);
        assert_eq!(held(&cluster), 0);
    });
}

#[test]
fn fifty_deep_with_one_and_with_two_workers() {
    watched(|| {
        for workers in [1, 2] {
            assert_eq!(deep(cluster(workers).client(), 50), 50);
        }
    });
}

/// A cluster without threads may be used by whoever waits: by the worker of another cluster, too.
#[test]
fn runs_of_inline_clusters_in_tasks_of_any_other() {
    watched(|| {
        let inline = || Cluster::builder().inline().start().unwrap();
        let (middle, innermost) = (inline(), inline());
        for outermost in [inline(), cluster(1)] {
            let (middle, innermost) = (middle.client().clone(), innermost.client().clone());
            let deepest = delayed(move |x: i64| innermost.compute_blocking(&delayed(inc).call(x)));
            let deep = delayed(move |x: i64| {
                let task = deepest.call(x);
                middle.compute_blocking(&delayed(add).call((&task, &deepest.call(&task))))
            });
            // Twice, so that the outer worker is seen to be itself again.
            let task = deep.call(1);
            assert_eq!(outermost.compute_blocking(&deep.call(&task)).unwrap(), 13);
        }
    });
}

#[test]
fn wide_runs_within_many_tasks() {
    watched(|| {
        for workers in [1, 2, 4] {
            let cluster = cluster(workers);
            let client = cluster.client().clone();
            let inner = delayed(move |x: i64| {
                let parts: Vec<_> = (0..50).map(|y| delayed(add).call((x, y))).collect();
                client.compute_blocking(&delayed(total).call(&parts))
            });
            let outer: Vec<_> = (0..50).map(|x| inner.call(x)).collect();
            let plain: Vec<i64> = (0..50).map(|x| 50 * x + 1225).collect();
            assert_eq!(cluster.compute_all_blocking(&outer).unwrap(), plain);
            assert_eq!(held(&cluster), 0);
        }
    });
}

#[test]
fn asynchronous_tasks_await_nested_runs() {
    watched(|| {
        let cluster = cluster(1);
        let client = cluster.client().clone();
        let inner = delayed(move |x: i64| {
            let client = client.clone();
            async move { client.compute(&delayed(inc).call(x)).await }
        });
        let outer: Vec<_> = (0..200).map(|x| inner.call(x)).collect();
        assert_eq!(cluster.compute_blocking(&delayed(total).call(&outer)).unwrap(), 20_100);
    });
}

#[test]
fn a_failure_within_is_the_error_of_the_outer_task() {
    watched(|| {
        let cluster = cluster(1);
        let client = cluster.client().clone();
        let fails = || Err::<i64, _>("no data");
        let task = move || {
            let inner = graph! { "inner" => (fails,) };
            client.get_blocking(inner, "inner").map(|_| 0_i64)
        };
        let error = cluster.get_blocking(graph! { "outer" => (task,) }, "outer").unwrap_err();
        assert_eq!(error.to_string(), "task 'outer' failed: task 'inner' failed: no data");
        let inner = error.task_error().unwrap().downcast_ref::<mobula::Error>().unwrap();
        assert_eq!(inner.key().unwrap().to_string(), "inner");
    });
}

#[test]
fn callbacks_of_one_run_are_not_those_of_the_runs_within() {
    watched(|| {
        let cluster = cluster(1);
        let keys = |list: &Arc<Mutex<Vec<String>>>| {
            let list = Arc::clone(list);
            CallbackBuilder::new().pretask(move |key, _| {
                list.lock().unwrap().push(key.to_string());
                Ok(None)
            })
        };
        let (own, all) = (Arc::<Mutex<Vec<String>>>::default(), Arc::default());
        let _registered = cluster.register(keys(&all));
        let client = cluster.client().clone();
        let task = move |x: i64| {
            client.get_blocking(graph! { "inner" => (inc, x) }, "inner").map(data::<i64>)
        };
        let outer = graph! { "outer" => (task, 1) };
        let request = cluster.with_callbacks([keys(&own)]);
        assert_eq!(data::<i64>(request.get_blocking(outer, "outer").unwrap()), 2);
        assert_eq!(*own.lock().unwrap(), ["outer"]);
        assert_eq!(*all.lock().unwrap(), ["outer", "inner"]);
    });
}

#[test]
fn a_task_gathers_what_it_has_persisted_with_one_worker() {
    watched(|| {
        let cluster = cluster(1);
        let client = cluster.client().clone();
        let task = delayed(move |count: i64| {
            let mut graph = Graph::new();
            for number in 0..count {
                graph.insert(number, (inc, number));
            }
            let refs = client.persist(graph, 0..count)?;
            let values = client.gather_blocking(&refs)?;
            Ok::<_, mobula::Error>(
                values.iter().filter_map(|v| v.downcast_ref::<i64>()).sum::<i64>(),
            )
        });
        assert_eq!(cluster.compute_blocking(&task.call(100)).unwrap(), 5050);
        assert_eq!(held(&cluster), 0);
    });
}

#[test]
fn a_task_computes_with_what_it_has_persisted_with_one_worker() {
    watched(|| {
        let cluster = cluster(1);
        let client = cluster.client().clone();
        let task = delayed(move |x: i64| {
            let refs = client.persist(graph! { "x" => (inc, x) }, ["x"])?;
            let persisted = mobula::Delayed::<i64>::from_ref(refs[0].clone());
            client.compute_blocking(&delayed(inc).call(persisted))
        });
        assert_eq!(cluster.compute_blocking(&task.call(1)).unwrap(), 3);
    });
}

#[test]
fn a_task_of_one_cluster_runs_graphs_on_another() {
    watched(|| {
        let (near, far) = (cluster(1), cluster(1));
        let client = far.client().clone();
        let task = delayed(move |x: i64| client.compute_blocking(&delayed(inc).call(x)));
        let parts: Vec<_> = (0..20).map(|x| task.call(x)).collect();
        assert_eq!(near.compute_blocking(&delayed(total).call(&parts)).unwrap(), 210);
    });
}

#[test]
fn dropping_the_handle_of_a_nested_run_cancels_it() {
    watched(|| {
        let cluster = cluster(1);
        let client = cluster.client().clone();
        let never = delayed(|| -> i64 { unreachable!("its run is cancelled before its turn") });
        let task = delayed(move || {
            drop(client.run(never.call(()).plan()?));
            Ok::<_, mobula::GraphError>(1_i64)
        });
        assert_eq!(cluster.compute_blocking(&task.call(())).unwrap(), 1);
        assert_eq!(held(&cluster), 0);
    });
}

/// The only worker is in a task that waits for a thread, which waits for a run.
#[test]
fn a_task_that_waits_for_another_thread_works_on_the_runs_that_it_needs() {
    watched(|| {
        let cluster = cluster(1);
        let client = cluster.client().clone();
        let task = delayed(move |x: i64| {
            let (sender, answer) = futures::channel::oneshot::channel();
            let client = client.clone();
            let other = std::thread::spawn(move || {
                sender.send(client.compute_blocking(&delayed(inc).call(x))).ok();
            });
            let answer = wait_blocking(answer, || None).unwrap().unwrap();
            other.join().unwrap();
            answer
        });
        assert_eq!(cluster.compute_blocking(&task.call(1)).unwrap(), 2);
    });
}

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Tasks that wait for something unknown are taken up by those that wait already, but not all of them.
#[test]
fn tasks_that_wait_nest_only_so_deep() {
    watched(|| {
        let cluster = cluster(1);
        let (gate, opener) = gate();
        let first =
            cluster.persist(graph! { "first" => (move || gate.pass(),) }, ["first"]).unwrap();
        let deepest = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&deepest);
        let wait = move |x: i64| {
            DEPTH.set(DEPTH.get() + 1);
            seen.fetch_max(DEPTH.get(), Ordering::Relaxed);
            // Long enough for all the others to begin, if they may.
            let mut polls = 0;
            let later = poll_fn(|_| {
                polls += 1;
                if polls > 80 { Poll::Ready(()) } else { Poll::Pending }
            });
            wait_blocking(later, || None).unwrap();
            DEPTH.set(DEPTH.get() - 1);
            x
        };
        let refs: Vec<_> = (0..60)
            .flat_map(|x| cluster.persist(graph! { "x" => (wait.clone(), x) }, ["x"]).unwrap())
            .collect();
        opener.open();
        cluster.gather_blocking(&first).unwrap();
        assert_eq!(cluster.gather_blocking(&refs).unwrap().len(), 60);
        assert_eq!(deepest.load(Ordering::Relaxed), 16);
    });
}
