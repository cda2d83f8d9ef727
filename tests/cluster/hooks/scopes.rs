//! Which runs a callback hears of: registered ones until their guard is dropped, others for one run.

use std::sync::Arc;

use mobula::{Plan, graph};

use super::recorder::Recorder;
use crate::functions::{cluster, inc};
use crate::gate::gate;
use crate::watchdog::watched;

#[test]
fn a_guard_that_is_dropped_unregisters() {
    watched(|| {
        let cluster = cluster(2);
        let recorder = Recorder::new();
        let run =
            |key: &'static str| cluster.get_blocking(graph! { key => (inc, 1) }, key).unwrap();
        run("before");
        let guard = cluster.register(recorder.clone());
        run("within");
        drop(guard);
        run("after");
        assert_eq!(recorder.lines_with("pretask"), ["pretask within"]);
    });
}

#[test]
fn a_run_keeps_the_callbacks_that_it_began_with() {
    watched(|| {
        let cluster = cluster(1);
        let recorder = Recorder::new();
        let (gate, opener) = gate();
        let waiting = gate.clone();
        let wait = move |x: i64| {
            waiting.pass();
            x
        };
        let guard = cluster.register(recorder.beside("old"));
        let plan = Plan::new(graph! { "x" => (wait, 1), "y" => (inc, "x") }, "y").unwrap();
        let handle = cluster.run(plan);
        gate.arrivals(1);
        drop(guard);
        let _late = cluster.register(recorder.beside("late"));
        opener.open();
        handle.wait().unwrap();
        assert_eq!(recorder.lines_with("posttask"), ["old posttask x 1", "old posttask y 2"]);
        assert_eq!(recorder.lines_with("finish"), ["old finish 2"]);
    });
}

#[test]
fn callbacks_of_one_run_come_behind_the_registered_ones() {
    watched(|| {
        let cluster = cluster(1);
        let recorder = Recorder::new();
        let request = cluster.with_callbacks([recorder.beside("own")]);
        let _guard = cluster.register(recorder.beside("registered"));
        request.get_blocking(graph! { "x" => (inc, 1) }, "x").unwrap();
        cluster.get_blocking(graph! { "y" => (inc, 1) }, "y").unwrap();
        let lines = ["registered pretask x", "own pretask x", "registered pretask y"];
        assert_eq!(recorder.lines_with("pretask"), lines);
    });
}

#[test]
fn guards_may_go_in_any_order() {
    watched(|| {
        let cluster = cluster(1);
        let recorder = Recorder::new();
        let first = cluster.register(recorder.beside("a"));
        let second = cluster.register(recorder.beside("b"));
        let third = cluster.register(recorder.beside("c"));
        drop(second);
        let fourth = cluster.register(recorder.beside("d"));
        cluster.get_blocking(graph! { "x" => (inc, 1) }, "x").unwrap();
        assert_eq!(recorder.lines_with("pretask"), ["a pretask x", "c pretask x", "d pretask x"]);
        drop((fourth, third, first));
        cluster.get_blocking(graph! { "y" => (inc, 1) }, "y").unwrap();
        assert!(recorder.lines_with("y").is_empty());
    });
}

#[test]
fn runs_at_once_are_told_apart() {
    watched(|| {
        let cluster = cluster(4);
        let recorders: Vec<Recorder> = (0..20).map(|_| Recorder::new()).collect();
        let handles: Vec<_> = recorders
            .iter()
            .enumerate()
            .map(|(number, recorder)| {
                let mut graph = mobula::Graph::new();
                for part in 0..20_u32 {
                    graph.insert(("x", number, part), (inc, 1));
                }
                let keys: Vec<mobula::Key> = graph.keys().cloned().collect();
                let plan = Plan::new(graph, keys).unwrap();
                cluster.run_with(plan, vec![Arc::new(recorder.clone())])
            })
            .collect();
        for handle in handles {
            drop(handle.wait().unwrap());
        }
        for (number, recorder) in recorders.iter().enumerate() {
            let lines = recorder.lines();
            let own = |line: &&String| line.contains(&format!("pretask ('x', {number}, "));
            assert_eq!(lines.iter().filter(own).count(), 20 * 2);
            assert_eq!(lines.iter().filter(|line| line.contains("pretask")).count(), 20 * 2);
        }
    });
}
