//! Snapshots: what they count is what has happened.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use actix::{Actor, Context, Handler, Message};
use mobula::monitor::{Counts, PREFIXES_SHOWN, RunSnapshot, RunStatus, Snapshot, WorkerState};
use mobula::{CallbackBuilder, Cluster, Graph, Key, OnError, Plan, Value, graph};
use tokio::sync::oneshot;

use crate::gate::gate;
use crate::watchdog::{alone, until, watched};

fn inc(x: i64) -> i64 {
    x + 1
}

fn fail(_: i64) -> Result<i64, String> {
    Err("no luck".to_owned())
}

fn cluster(workers: usize) -> Cluster {
    Cluster::builder().workers(workers).start().expect("a cluster starts")
}

/// `total`, `done`, `cached`, `failed`, `skipped`, `running`, `waiting`, `retried`.
fn numbers(counts: &Counts) -> [u64; 8] {
    let Counts { total, done, cached, failed, skipped, running, waiting, retried, .. } = *counts;
    [total, done, cached, failed, skipped, running, waiting, retried]
}

fn last(snapshot: &Snapshot) -> &RunSnapshot {
    snapshot.runs.last().expect("there was a run")
}

#[test]
fn a_run_is_seen_while_it_goes_on_and_when_it_is_over() {
    watched(|| {
        let cluster = cluster(1);
        let monitor = cluster.monitor().unwrap();
        let (gate, opener) = gate();
        let passed = gate.clone();
        let wait = move |x: i64| {
            passed.pass();
            x
        };
        let graph = graph! { ("load", 0) => (inc, 0), ("slow", 0) => (wait, ("load", 0)),
        ("slow", 1) => (inc, ("slow", 0)), "end" => (inc, ("slow", 1)) };
        let run = cluster.run(Plan::new(graph, "end").unwrap());
        gate.arrivals(1);

        let snapshot = monitor.look_blocking().unwrap();
        let seen = last(&snapshot);
        assert_eq!((seen.id, seen.status, seen.ended), (run.id(), RunStatus::Running, None));
        assert_eq!(numbers(&seen.counts), [4, 1, 0, 0, 0, 1, 2, 0]);
        let by_prefix: Vec<_> =
            seen.prefixes.iter().map(|of| (of.name.as_str(), of.counts.running)).collect();
        assert_eq!(by_prefix, [("load", 0), ("slow", 1), ("end", 0)]);
        let worker = &snapshot.workers[0];
        assert_eq!((worker.state, worker.run), (WorkerState::Busy, Some(run.id())));
        assert_eq!(worker.task.as_deref(), Some("('slow', 0)"));
        let since = worker.since.unwrap();
        assert!(seen.began <= since && since <= snapshot.at);
        // It is the same task at the next look.
        assert_eq!(monitor.look_blocking().unwrap().workers[0].since, Some(since));

        opener.open();
        run.wait().unwrap();
        let snapshot = monitor.look_blocking().unwrap();
        let seen = last(&snapshot);
        assert_eq!(seen.status, RunStatus::Done);
        assert_eq!(numbers(&seen.counts), [4, 4, 0, 0, 0, 0, 0, 0]);
        assert_eq!(
            (snapshot.totals.runs, snapshot.totals.runs_done, snapshot.totals.tasks),
            (1, 1, 4)
        );
        assert_eq!((snapshot.workers[0].state, snapshot.workers[0].tasks), (WorkerState::Idle, 4));
        assert!(seen.task_seconds > 0.0 && seen.bytes > 0 && seen.ended > Some(seen.began));
    });
}

#[test]
fn the_time_left_grows_with_a_task_that_takes_long() {
    watched(|| {
        let cluster = cluster(1);
        let monitor = cluster.monitor().unwrap();
        let (gate, opener) = gate();
        let passed = gate.clone();
        let wait = move |x: i64| {
            passed.pass();
            x
        };
        let graph = graph! { "quick" => (inc, 0), "slow" => (wait, "quick") };
        let run = cluster.run(Plan::new(graph, "slow").unwrap());
        gate.arrivals(1);
        let left = || last(&monitor.look_blocking().unwrap()).seconds_left.unwrap();
        let first = left();
        until(|| left() > first + 0.01);
        opener.open();
        run.wait().unwrap();
        assert!(left() < f64::EPSILON);
    });
}

#[test]
fn whoever_comes_late_sees_the_same() {
    watched(|| {
        let cluster = cluster(1);
        let (gate, opener) = gate();
        let passed = gate.clone();
        let wait = move |x: i64| {
            passed.pass();
            x
        };
        let graph = graph! { "a" => (inc, 0), "b" => (wait, "a"), "c" => (inc, "b") };
        let run = cluster.run(Plan::new(graph, "c").unwrap());
        gate.arrivals(1);
        let monitor = cluster.monitor().unwrap();
        let snapshot = monitor.look_blocking().unwrap();
        assert_eq!(numbers(&last(&snapshot).counts), [3, 1, 0, 0, 0, 1, 1, 0]);
        opener.open();
        run.wait().unwrap();
        let snapshot = monitor.look_blocking().unwrap();
        assert_eq!(numbers(&last(&snapshot).counts), [3, 3, 0, 0, 0, 0, 0, 0]);
    });
}

#[test]
fn answers_failures_and_what_they_spare_are_told_apart() {
    watched(|| {
        let cluster = cluster(2);
        let monitor = cluster.monitor().unwrap();
        let known = CallbackBuilder::new()
            .lookup(|keys| {
                let known = |key: &&Key| (**key == Key::from("known")).then(|| Value::new(1_i64));
                Ok(keys.iter().map(known).collect())
            })
            .presubmit(|_, key, _| Ok((*key == Key::from("said")).then(|| Value::new(2_i64))));
        let graph = graph! {
            "unneeded" => (inc, 0), "known" => (inc, "unneeded"), "said" => (inc, 1), "sum" => (inc, "known"),
            "more" => (inc, "said"), "wrong" => (fail, 1), "spared" => (inc, "wrong"),
        };
        let request = cluster.with_callbacks([known]).on_error(OnError::Skip).retries(2);
        request.get_blocking(graph, ["sum", "more", "spared"]).unwrap();

        let snapshot = monitor.look_blocking().unwrap();
        let seen = last(&snapshot);
        assert_eq!(seen.status, RunStatus::Done);
        // "unneeded" does not count: nobody needs it.
        assert_eq!(numbers(&seen.counts), [6, 2, 2, 1, 1, 0, 0, 2]);
        let totals = snapshot.totals;
        assert_eq!((totals.tasks, totals.cached, totals.failed, totals.retried), (2, 2, 1, 2));
        let errors: Vec<_> = snapshot.errors.iter().map(|error| error.is_final).collect();
        assert_eq!(errors, [false, false, true]);
        assert_eq!(snapshot.errors[2].key, "wrong");
        assert!(snapshot.errors[2].details.contains("no luck"), "{:?}", snapshot.errors[2]);
        assert_eq!(seen.hooks.len(), 1);
        assert!(seen.hooks[0].calls > 4, "{:?}", seen.hooks);
    });
}

#[test]
fn a_run_that_fails_says_with_what() {
    watched(|| {
        let cluster = cluster(1);
        let monitor = cluster.monitor().unwrap();
        let graph = graph! { "x" => (fail, 1), "y" => (inc, "x") };
        cluster.get_blocking(graph, "y").unwrap_err();
        let snapshot = monitor.look_blocking().unwrap();
        let seen = last(&snapshot);
        assert_eq!(seen.status, RunStatus::Failed);
        assert_eq!(seen.error.as_deref(), Some("task 'x' failed: no luck"));
        assert_eq!(numbers(&seen.counts), [2, 0, 0, 1, 0, 0, 1, 0]);
        assert_eq!((snapshot.totals.runs_failed, snapshot.totals.failed), (1, 1));
    });
}

#[test]
fn a_run_that_is_cancelled_says_so() {
    watched(|| {
        let cluster = cluster(1);
        let monitor = cluster.monitor().unwrap();
        let (gate, opener) = gate();
        let passed = gate.clone();
        let graph = graph! { "x" => (move || passed.pass(),), "y" => (|_x: ()| (), "x") };
        let run = cluster.run(Plan::new(graph, "y").unwrap());
        gate.arrivals(1);
        run.cancel();
        run.wait().unwrap_err();
        let snapshot = monitor.look_blocking().unwrap();
        assert_eq!(last(&snapshot).status, RunStatus::Cancelled);
        assert_eq!(snapshot.totals.runs_cancelled, 1);
        opener.open();
    });
}

#[test]
fn futures_that_are_awaited_count_as_running() {
    watched(|| {
        let cluster = cluster(1);
        let monitor = cluster.monitor().unwrap();
        let (send, receive) = oneshot::channel::<i64>();
        let receive = Arc::new(std::sync::Mutex::new(Some(receive)));
        let started = Arc::new(AtomicU32::new(0));
        let told = Arc::clone(&started);
        let wait = move || {
            let receive = receive.lock().unwrap().take();
            told.store(1, Ordering::Release);
            async move { receive.expect("it is called once").await.unwrap_or(0) }
        };
        let run = cluster.run(Plan::new(graph! { "x" => (wait,) }, "x").unwrap());
        until(|| {
            let snapshot = monitor.look_blocking().unwrap();
            started.load(Ordering::Acquire) == 1 && last(&snapshot).counts.running == 1
        });
        send.send(3).unwrap();
        assert_eq!(run.wait().unwrap().get::<i64>(), Some(&3));
        let snapshot = monitor.look_blocking().unwrap();
        assert_eq!(numbers(&last(&snapshot).counts), [1, 1, 0, 0, 0, 0, 0, 0]);
    });
}

#[test]
fn of_a_hundred_thousand_short_tasks_none_is_lost() {
    watched(|| {
        const COUNT: i64 = 100_000;
        let cluster = cluster(2);
        let monitor = cluster.monitor().unwrap();
        let mut graph = Graph::new();
        for number in 0..COUNT {
            graph.insert(("x", number), (inc, number));
        }
        let wanted: Vec<Key> = (0..COUNT).map(|number| Key::from(("x", number))).collect();
        cluster.get_blocking(graph, wanted).unwrap();
        let snapshot = monitor.look_blocking().unwrap();
        let seen = last(&snapshot);
        assert_eq!(numbers(&seen.counts), [COUNT as u64, COUNT as u64, 0, 0, 0, 0, 0, 0]);
        let by_worker: u64 = snapshot.workers.iter().map(|worker| worker.tasks).sum();
        assert_eq!((by_worker, snapshot.totals.unseen), (COUNT as u64, 0));
    });
}

struct Counter;

impl Actor for Counter {
    type Context = Context<Self>;
}

#[derive(Message)]
#[rtype(result = "()")]
struct Count;

impl Handler<Count> for Counter {
    type Result = ();

    fn handle(&mut self, _: Count, _: &mut Self::Context) {}
}

#[test]
fn messages_to_state_actors_are_counted() {
    watched(|| {
        let cluster = cluster(1);
        let monitor = cluster.monitor().unwrap();
        let counter = cluster.start_state(Counter).unwrap();
        counter.clone().tell(Count).unwrap();
        counter.ask(Count).unwrap();
        let states = monitor.look_blocking().unwrap().states.clone();
        assert_eq!(states.len(), 1);
        assert!(states[0].name.ends_with("Counter"));
        assert_eq!((states[0].messages, states[0].is_alive), (2, true));
        drop(counter);
        until(|| !monitor.look_blocking().unwrap().states[0].is_alive);
    });
}

#[test]
fn of_very_many_prefixes_the_largest_are_told() {
    watched(|| {
        const SINGLE: u64 = 1_000;
        let cluster = cluster(1);
        let monitor = cluster.monitor().unwrap();
        let mut graph = Graph::new();
        for number in 0..SINGLE {
            graph.insert(format!("single{number}"), (inc, 1_i64));
        }
        graph.insert(("pair", 0), (inc, 1_i64));
        graph.insert(("pair", 1), (inc, 1_i64));
        let singles = (0..SINGLE).map(|number| Key::from(format!("single{number}")));
        let wanted: Vec<Key> =
            singles.chain((0..2).map(|number| Key::from(("pair", number)))).collect();
        cluster.get_blocking(graph, wanted).unwrap();
        let snapshot = monitor.look_blocking().unwrap();
        let seen = last(&snapshot);
        assert_eq!(numbers(&seen.counts), [SINGLE + 2, SINGLE + 2, 0, 0, 0, 0, 0, 0]);
        assert_eq!(seen.prefixes.len(), PREFIXES_SHOWN);
        assert_eq!(seen.more_prefixes, SINGLE + 1 - PREFIXES_SHOWN as u64);
        assert!(seen.prefixes.iter().any(|of| of.name == "pair" && of.counts.done == 2));
        assert!(seen.prefixes.is_sorted_by_key(|of| of.place));
    });
}

#[test]
fn memory_and_moves_to_disk_are_seen() {
    alone(|| {
        let cluster = Cluster::builder().workers(1).memory_limit(40 << 20).start().unwrap();
        let monitor = cluster.monitor().unwrap();
        let refs: Vec<_> =
            (0..8).map(|number| cluster.put(("big", number), vec![1_u8; 8 << 20])).collect();
        until(|| monitor.look_blocking().unwrap().totals.spilled >= 3);
        let snapshot = monitor.look_blocking().unwrap();
        let memory = snapshot.memory;
        assert_eq!(memory.limit, Some(40 << 20));
        assert_eq!(memory.values + memory.spilled_values, 8);
        assert!(memory.spilled_bytes >= 3 * (8 << 20) && memory.resident > 0, "{memory:?}");
        assert!(snapshot.totals.spilled_bytes >= 3 * (8 << 20));
        cluster.gather_blocking(&refs).unwrap();
        assert!(monitor.look_blocking().unwrap().totals.restored >= 3);
    });
}

#[test]
fn who_watches_and_panics_is_shown_nothing_more_and_harms_nobody() {
    watched(|| {
        let cluster = cluster(1);
        let monitor = cluster.monitor().unwrap();
        let shown = Arc::new(AtomicU32::new(0));
        let (counts, good) = (Arc::clone(&shown), Arc::new(AtomicU32::new(0)));
        let seen = Arc::clone(&good);
        let watching = async {
            let bad = monitor.watch(move |_| {
                assert!(counts.fetch_add(1, Ordering::Relaxed) == 0, "on purpose");
            });
            let bad = bad.await.unwrap();
            let good = monitor.watch(move |_| {
                seen.fetch_add(1, Ordering::Relaxed);
            });
            (bad, good.await.unwrap())
        };
        let guards = futures::executor::block_on(watching);
        for _ in 0..3 {
            cluster.get_blocking(graph! { "x" => (inc, 1) }, "x").unwrap();
            monitor.look_blocking().unwrap();
        }
        // Once when it began, once when it panicked.
        assert_eq!(shown.load(Ordering::Relaxed), 2);
        assert!(good.load(Ordering::Relaxed) >= 4);
        drop(guards);
        assert_eq!(monitor.look_blocking().unwrap().totals.runs, 3);
    });
}

#[test]
fn when_nobody_looks_any_more_the_next_one_begins_anew() {
    watched(|| {
        let cluster = cluster(1);
        let monitor = cluster.monitor().unwrap();
        cluster.get_blocking(graph! { "x" => (inc, 1) }, "x").unwrap();
        assert_eq!(cluster.monitor().unwrap().look_blocking().unwrap().totals.runs, 1);
        drop(monitor);
        cluster.get_blocking(graph! { "x" => (inc, 1) }, "x").unwrap();
        let monitor = cluster.monitor().unwrap();
        assert_eq!(monitor.look_blocking().unwrap().totals.runs, 0);
        cluster.shutdown_blocking().unwrap();
        assert!(monitor.look_blocking().unwrap_err().is_closed());
    });
}
