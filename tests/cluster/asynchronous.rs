//! Asynchronous tasks: awaited beside each other, without holding up a worker.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};

use mobula::{Delayed, Graph, Plan, delayed, graph};
use tokio::sync::{Barrier, oneshot};

use crate::bomb::{ON_PURPOSE, explode, quiet};
use crate::functions::{add, cluster, data, held, inc, total};
use crate::watchdog::{until, watched};

#[test]
fn thousands_are_in_flight_at_once_on_one_worker() {
    watched(|| {
        const COUNT: usize = 5000;
        let cluster = cluster(1);
        let barrier = Arc::new(Barrier::new(COUNT));
        let meet = delayed(move |x: i64| {
            let barrier = Arc::clone(&barrier);
            async move {
                // Nobody gets through before everybody is there.
                barrier.wait().await;
                x
            }
        });
        let parts: Vec<Delayed<i64>> = (0..5000).map(|x| meet.call(x)).collect();
        assert_eq!(cluster.compute_blocking(&delayed(total).call(&parts)).unwrap(), 4999 * 2500);
        assert_eq!(held(&cluster), 0);
    });
}

#[test]
fn the_worker_runs_other_tasks_meanwhile() {
    watched(|| {
        let cluster = cluster(1);
        let (sender, receiver) = oneshot::channel();
        let receiver = std::sync::Mutex::new(Some(receiver));
        let wait = delayed(move || {
            let receiver = receiver.lock().unwrap().take();
            async move { receiver.ok_or("called twice")?.await.map_err(|_| "nobody answered") }
        });
        let sender = std::sync::Mutex::new(Some(sender));
        let answer = delayed(move |x: i64| {
            sender.lock().unwrap().take().map(|sender| sender.send(x).is_ok())
        });
        let both = cluster.compute_all_blocking((&wait.call(()), &answer.call(5))).unwrap();
        assert_eq!(both, (5, Some(true)));
    });
}

#[test]
fn futures_make_chains_and_fans_with_plain_tasks() {
    watched(|| {
        let cluster = cluster(2);
        let later = delayed(|x: i64| async move {
            actix_rt::task::yield_now().await;
            x + 1
        });
        let chain = (0..2000).fold(later.call(0), |last, _| delayed(inc).call(later.call(last)));
        assert_eq!(cluster.compute_blocking(&chain).unwrap(), 4001);
        let fan: Vec<_> =
            (0..2000).map(|x| delayed(add).call((later.call(x), later.call(x)))).collect();
        let plain: Vec<i64> = (0..2000).map(|x| 2 * (x + 1)).collect();
        assert_eq!(cluster.compute_all_blocking(&fan).unwrap(), plain);
        assert_eq!(held(&cluster), 0);
    });
}

#[test]
fn an_error_of_a_future_is_that_of_its_task() {
    watched(|| {
        let cluster = cluster(1);
        let parse = |text: String| async move { text.parse::<i64>() };
        let graph = graph! { "n" => (parse, mobula::lit("manta".to_owned())), "y" => (inc, "n") };
        let error = cluster.get_blocking(graph, "y").unwrap_err();
        assert!(error.is_task_error());
        assert_eq!(error.to_string(), "task 'n' failed: invalid digit found in string");
        assert_eq!(data::<i64>(cluster.get_blocking(graph! { "y" => (inc, 1) }, "y").unwrap()), 2);
        assert_eq!(held(&cluster), 0);
    });
}

#[test]
fn a_panic_of_a_future_is_that_of_its_task() {
    watched(|| {
        quiet();
        let cluster = cluster(1);
        let panics = |x: i64| async move {
            actix_rt::task::yield_now().await;
            assert!(x > 1, "{ON_PURPOSE}: too small");
            x
        };
        let at_once = |x: i64| -> std::future::Ready<i64> { panic!("{ON_PURPOSE}: {x}") };
        let error = cluster.get_blocking(graph! { "n" => (panics, 1) }, "n").unwrap_err();
        assert_eq!(error.to_string(), "task 'n' panicked: on purpose: too small");
        let error = cluster.get_blocking(graph! { "n" => (at_once, 1) }, "n").unwrap_err();
        assert_eq!(error.to_string(), "task 'n' panicked: on purpose: 1");
        assert_eq!(
            data::<i64>(cluster.get_blocking(graph! { "n" => (panics, 2) }, "n").unwrap()),
            2
        );
    });
}

#[test]
fn a_future_with_a_deadly_panic_harms_no_other_future() {
    watched(|| {
        let cluster = cluster(1);
        let (sender, receiver) = oneshot::channel::<i64>();
        let receiver = std::sync::Mutex::new(Some(receiver));
        let waits = delayed(move || {
            let receiver = receiver.lock().unwrap().take();
            async move { receiver.ok_or("called twice")?.await.map_err(|_| "nobody answered") }
        });
        let other = cluster.run(waits.call(()).plan().unwrap());
        let deadly = |x: i64| async move { if x > 0 { explode() } else { x } };
        let error = cluster.get_blocking(graph! { "n" => (deadly, 1) }, "n").unwrap_err();
        assert!(error.is_panic() || error.is_worker_lost(), "{error}");
        sender.send(5).unwrap();
        assert_eq!(data::<i64>(other.wait().unwrap()), 5);
        assert_eq!(
            data::<i64>(cluster.get_blocking(graph! { "n" => (deadly, 0) }, "n").unwrap()),
            0
        );
    });
}

/// Tells when it is dropped.
struct Told(Sender<()>);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.send(()).ok();
    }
}

#[test]
fn cancelling_a_run_drops_its_futures() {
    watched(|| {
        let cluster = cluster(1);
        let (dropped, drops) = channel();
        let (begun, begins) = channel();
        let forever = move |_: i64| {
            let (told, begun) = (Told(dropped.clone()), begun.clone());
            async move {
                let _told = told;
                begun.send(()).ok();
                std::future::pending::<()>().await;
            }
        };
        let mut graph = Graph::new();
        let forever = mobula::Func::new(forever);
        let tasks: Vec<_> = (0..100_i64)
            .map(|x| graph.add(mobula::Task::new(forever.clone(), [mobula::lit(x)])))
            .collect();
        let handle = cluster.run(Plan::new(graph, tasks).unwrap());
        (0..100).for_each(|_| begins.recv().unwrap());
        assert!(drops.try_recv().is_err());
        handle.cancel();
        (0..100).for_each(|_| drops.recv().unwrap());
        assert!(handle.wait().unwrap_err().is_cancelled());
        assert_eq!(data::<i64>(cluster.get_blocking(graph! { "y" => (inc, 1) }, "y").unwrap()), 2);
        until(|| held(&cluster) == 0);
    });
}

#[test]
fn a_failure_beside_them_drops_the_futures_of_a_run() {
    watched(|| {
        let cluster = cluster(2);
        let (dropped, drops) = channel();
        let (begun, begins) = channel();
        let begins = std::sync::Mutex::new(begins);
        let forever = move || {
            let (told, begun) = (Told(dropped.clone()), begun.clone());
            async move {
                let _told = told;
                begun.send(()).ok();
                std::future::pending::<()>().await;
            }
        };
        let fails = move || match begins.lock().unwrap().recv() {
            Ok(()) => Err::<(), _>("the other one has begun"),
            Err(_) => Ok(()),
        };
        let graph = graph! { "forever" => (forever,), "fails" => (fails,) };
        let error = cluster.get_blocking(graph, ["forever", "fails"]).unwrap_err();
        assert!(error.to_string().contains("has begun"), "{error}");
        drops.recv().unwrap();
    });
}

#[test]
fn a_future_takes_shared_data_across_an_await() {
    watched(|| {
        let cluster = cluster(1);
        let polls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&polls);
        let sum = delayed(move |items: mobula::Shared<Vec<i64>>| {
            let polls = Arc::clone(&counted);
            async move {
                let mut sum = 0;
                for item in items.iter() {
                    polls.fetch_add(1, Ordering::Relaxed);
                    actix_rt::task::yield_now().await;
                    sum += item;
                }
                sum
            }
        });
        let items = delayed(|| (0..100).collect::<Vec<i64>>()).call(());
        let twice = delayed(add).call((sum.call(&items), sum.call(&items)));
        assert_eq!(cluster.compute_blocking(&twice).unwrap(), 9900);
        assert_eq!(polls.load(Ordering::Relaxed), 200);
    });
}
