//! The stream of what happens.

use std::net::TcpStream;

use futures::StreamExt;
use futures::executor::block_on;
use mobula::monitor::{RunSnapshot, RunStatus, Snapshot};
use mobula::{Graph, Key, Plan, graph};
use serde_json::Value;

use crate::asking::{Shown, shown};
use crate::gate::gate;
use crate::watchdog::{until, watched};

fn inc(x: i64) -> i64 {
    x + 1
}

fn snapshot(data: &str) -> Snapshot {
    serde_json::from_str(data).expect("a snapshot")
}

#[test]
fn a_run_is_watched_to_its_end() {
    watched(|| {
        let shown = shown();
        let (gate, opener) = gate();
        let passed = gate.clone();
        let graph = graph! { "x" => (inc, 1), "y" => (move |x: i64| { passed.pass(); x }, "x") };
        let run = shown.cluster.run(Plan::new(graph, "y").unwrap());
        gate.arrivals(1);
        let mut events = shown.events().filter(|(name, _)| name == "snapshot");
        let running =
            |seen: &Snapshot| seen.runs.first().is_some_and(|run| run.counts.running == 1);
        assert!(events.by_ref().any(|(_, data)| running(&snapshot(&data))));
        opener.open();
        run.wait().unwrap();
        let last = events.map(|(_, data)| snapshot(&data));
        let done = |seen: &Snapshot| seen.runs[0].status == RunStatus::Done;
        let last = last.into_iter().find(done).expect("the stream goes on");
        assert_eq!((last.runs[0].counts.done, last.runs[0].counts.total), (2, 2));
    });
}

#[test]
fn however_many_tasks_there_are_the_last_counts_are_right() {
    watched(|| {
        const COUNT: u64 = 50_000;
        let shown = shown();
        let mut events = shown.events();
        let mut graph = Graph::new();
        for number in 0..COUNT {
            graph.insert(("x", number), (inc, 1_i64));
        }
        let wanted: Vec<Key> = (0..COUNT).map(|number| Key::from(("x", number))).collect();
        shown.cluster.get_blocking(graph, wanted).unwrap();
        let (mut tasks, mut last) = (0, None);
        // Blocks may be left out, counts never.
        while last.is_none() {
            let (name, data) = events.next().expect("the stream goes on");
            match name.as_str() {
                "snapshot" => {
                    let seen = snapshot(&data);
                    let is_over = |run: &&RunSnapshot| run.status == RunStatus::Done;
                    last = seen.runs.first().filter(is_over).cloned();
                }
                "blocks" => {
                    let columns: Value = serde_json::from_str(&data).unwrap();
                    let counts = columns["tasks"].as_array().unwrap();
                    tasks += counts.iter().filter_map(Value::as_u64).sum::<u64>();
                    let lengths = columns.as_object().unwrap().values();
                    assert!(
                        lengths.map(|c| c.as_array().unwrap().len()).all(|l| l == counts.len())
                    );
                }
                other => panic!("{other}"),
            }
        }
        assert!(tasks <= COUNT, "{tasks}");
        let counts = last.unwrap().counts;
        assert_eq!((counts.done, counts.total), (COUNT, COUNT));
    });
}

#[test]
fn so_many_may_read_and_one_who_leaves_makes_room() {
    watched(|| {
        const MOST: usize = 64;
        let shown = shown();
        let mut readers: Vec<_> = (0..MOST)
            .map(|_| {
                let mut events = shown.events();
                assert_eq!(events.next().unwrap().0, "snapshot");
                events
            })
            .collect();
        let refused = shown.get("/events");
        assert_eq!(refused.status, 503);
        assert!(refused.body.starts_with("So many pages are open"), "{}", refused.body);
        // The others still hear what happens, and the server still answers.
        shown.cluster.get_blocking(graph! { "x" => (inc, 1) }, "x").unwrap();
        for events in &mut readers {
            let mut snapshots = events.filter(|(name, _)| name == "snapshot");
            assert!(snapshots.any(|(_, data)| snapshot(&data).totals.runs_done == 1));
        }
        drop(readers.pop());
        // It is seen that nobody reads any more when something is sent.
        until(|| {
            shown.cluster.get_blocking(graph! { "x" => (inc, 1) }, "x").unwrap();
            shown.opens_events()
        });
    });
}

#[test]
fn who_does_not_read_holds_nobody_up_and_hears_of_the_end() {
    watched(|| {
        const RUNS: u64 = 30;
        let shown = shown();
        // Both are silent; the one on the monitor has no socket behind it, and is full after nine updates.
        let (page, mut silent) = (shown.events(), shown.dashboard.monitor().updates());
        let reader = shown.events();
        for _ in 0..RUNS {
            let graph = graph! { ("x", 0) => (inc, 1), ("x", 1) => (inc, ("x", 0)) };
            shown.cluster.get_blocking(graph, [("x", 1)]).unwrap();
            // There is an update with each of these, as something has happened.
            shown.dashboard.monitor().look_blocking().unwrap();
        }
        let all = |data: &str| snapshot(data).totals.runs_done == RUNS;
        for pages in [reader, page] {
            let mut snapshots = pages.filter(|(name, _)| name == "snapshot");
            assert!(snapshots.any(|(_, data)| all(&data)));
        }
        let mut heard = Vec::new();
        while heard.last() != Some(&RUNS) {
            let update = block_on(silent.next()).expect("the cluster is there");
            heard.push(update.snapshot.totals.runs_done);
        }
        assert!((heard.len() as u64) < RUNS, "it has missed nothing: {heard:?}");
    });
}

/// A page that is told what happens, and another one behind it. The server counts a page a moment after it has begun
/// to answer it, but before it takes the next one, and does not wait at the end for one that it has not counted.
fn two_pages(shown: &Shown) -> [impl Iterator<Item = (String, String)> + use<>; 2] {
    [(), ()].map(|()| {
        let mut events = shown.events();
        assert_eq!(events.next().expect("it is told").0, "snapshot");
        events
    })
}

#[test]
fn the_end_of_the_cluster_is_told() {
    watched(|| {
        let shown = shown();
        let address = shown.address();
        let [mut events, _other] = two_pages(&shown);
        shown.cluster.shutdown_blocking().unwrap();
        assert!(events.any(|(name, _)| name == "end"));
        // Nobody is left who would tell old numbers, though the dashboard is held.
        until(|| TcpStream::connect(address).is_err());
        drop(shown.dashboard);
    });
}

#[test]
fn so_is_the_end_of_the_dashboard() {
    watched(|| {
        let shown = shown();
        let [mut events, _other] = two_pages(&shown);
        drop(shown.dashboard);
        assert!(events.any(|(name, _)| name == "end"));
        drop(shown.cluster);
    });
}
