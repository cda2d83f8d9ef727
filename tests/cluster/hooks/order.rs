//! When each hook is called, how often, and for which callback first.

use std::sync::Arc;

use mobula::{Graph, Plan, graph, keys};

use super::recorder::Recorder;
use crate::functions::{add, cluster, data, inc};
use crate::gate::gate;
use crate::watchdog::watched;

#[test]
fn one_task_meets_its_hooks_in_the_documented_order() {
    watched(|| {
        let cluster = cluster(1);
        let recorder = Recorder::new();
        let request = cluster.with_callbacks([recorder.clone()]);
        request.get_blocking(graph! { "x" => (inc, 1) }, "x").unwrap();
        let mut lines = recorder.lines();
        // This one is called beside the worker, which goes on.
        let all = lines.iter().position(|line| line.starts_with("postsubmit_all")).unwrap();
        let (submitted, finish) =
            (position(&lines, "graph_posttask x"), position(&lines, "finish 2"));
        assert!(submitted < all && all < finish, "{lines:?}");
        assert_eq!(lines.remove(all), "postsubmit_all x of 1");
        let documented = [
            "graph_start 1",
            "lookup x",
            "graph_start_state 1 0",
            "graph_pretask x",
            "presubmit x",
            "postsubmit x",
            "graph_posttask x",
            "pretask x",
            "posttask x 2",
            "finish 2",
            "graph_finish false",
        ];
        assert_eq!(lines, documented);
    });
}

fn position(lines: &[String], line: &str) -> usize {
    let at = lines.iter().position(|other| other == line);
    at.unwrap_or_else(|| panic!("no line {line:?} in {lines:?}"))
}

#[test]
fn several_callbacks_are_called_in_order_of_registration() {
    watched(|| {
        let cluster = cluster(2);
        let first = Recorder::new().beside("a");
        let _a = cluster.register(first.clone());
        let _b = cluster.register(first.beside("b"));
        let request = cluster.with_callbacks([first.beside("c")]).callbacks([first.beside("d")]);
        let mut graph = Graph::new();
        let node = graph.insert("x", (inc, 1));
        graph.set_retries(node, 1);
        graph.insert("y", (add, "x", "x"));
        request.get_blocking(graph, "y").unwrap();
        for hook in [
            "graph_start",
            "lookup",
            "graph_start_state",
            "postsubmit_all",
            "finish",
            "graph_finish",
        ] {
            assert_eq!(callers(&first, hook, ""), "abcd", "{hook}");
        }
        let hooks =
            ["graph_pretask", "presubmit", "postsubmit", "graph_posttask", "pretask", "posttask"];
        for hook in hooks {
            assert_eq!(callers(&first, hook, "x"), "abcd", "{hook}");
            assert_eq!(callers(&first, hook, "y"), "abcd", "{hook}");
        }
    });
}

/// The callbacks that wrote a line of this hook and key, in order.
fn callers(recorder: &Recorder, hook: &str, key: &str) -> String {
    let lines = recorder.lines_with(hook);
    let of_key = lines.iter().filter(|line| key.is_empty() || line.split(' ').nth(2) == Some(key));
    of_key.filter_map(|line| line.chars().next()).collect()
}

#[test]
fn each_task_meets_each_hook_once() {
    watched(|| {
        for workers in [1, 4] {
            let cluster = cluster(workers);
            let recorder = Recorder::new();
            let mut graph = Graph::new();
            let parts: Vec<_> = (0..300_i64).map(|x| graph.add((inc, x))).collect();
            let sums: Vec<_> =
                parts.windows(2).map(|pair| graph.add((add, pair[0], pair[1]))).collect();
            let count = graph.len();
            cluster.with_callbacks([recorder.clone()]).get_blocking(graph, sums).unwrap();
            for hook in [
                "graph_pretask",
                "presubmit",
                "postsubmit",
                "graph_posttask",
                "pretask",
                "posttask",
            ] {
                let mut keys: Vec<_> = recorder.lines_with(hook);
                assert_eq!(keys.len(), count, "{hook}");
                keys.sort();
                keys.dedup();
                assert_eq!(keys.len(), count, "{hook}");
            }
            for hook in
                ["graph_start", "graph_start_state", "postsubmit_all", "finish", "graph_finish"]
            {
                assert_eq!(recorder.lines_with(hook).len(), 1, "{hook}");
            }
        }
    });
}

#[test]
fn postsubmit_all_is_called_after_the_last_submission_with_the_outputs() {
    watched(|| {
        let cluster = cluster(2);
        let recorder = Recorder::new();
        let graph =
            graph! { "x" => (inc, 1), "y" => (inc, "x"), "z" => (add, "x", "y"), "w" => 7_i64 };
        let request = cluster.with_callbacks([recorder.clone()]);
        request.get_blocking(graph, keys!["z", ["y", "w", "z"]]).unwrap();
        let lines = recorder.lines();
        let all = lines.iter().position(|line| line.starts_with("postsubmit_all")).unwrap();
        let last = lines.iter().rposition(|line| line.starts_with("graph_posttask")).unwrap();
        assert!(last < all, "{lines:?}");
        assert_eq!(lines[all], "postsubmit_all y,z of 3");
        assert_eq!(recorder.lines_with("finish"), ["finish 5,3,7,5"]);
    });
}

#[test]
fn dependencies_are_named_in_the_order_of_the_arguments() {
    watched(|| {
        let cluster = cluster(1);
        let recorder = Recorder::new();
        let sum = |x: i64, y: i64, z: i64, w: i64| x + y + z + w;
        let graph = graph! {
            "x" => (inc, 1), "y" => (inc, 2), "l" => 3, "z" => (sum, "y", "x", "l", "y"),
        };
        cluster.with_callbacks([recorder.clone()]).get_blocking(graph, "z").unwrap();
        assert_eq!(recorder.lines_with("presubmit")[2], "presubmit z y,x");
    });
}

#[test]
fn a_failed_run_ends_with_error_and_graph_finish() {
    watched(|| {
        let cluster = cluster(2);
        let recorder = Recorder::new();
        let fails = |x: i64| if x > 0 { Err("no data") } else { Ok(x) };
        let mut graph = graph! { "y" => (inc, "x") };
        let node = graph.insert("x", (fails, 1));
        graph.set_retries(node, 1);
        let request = cluster.with_callbacks([recorder.clone()]);
        request.get_blocking(graph, "y").unwrap_err();
        let lines = recorder.lines();
        let told = "error x: task 'x' failed: no data (after 2 attempts)";
        assert_eq!(lines[lines.len() - 2..], [told, "graph_finish true"]);
        assert_eq!(recorder.lines_with("retry"), ["retry x 2"]);
        assert_eq!(recorder.lines_with("pretask").len(), 2);
        for hook in ["posttask", "finish"] {
            assert!(recorder.lines_with(hook).is_empty(), "{lines:?}");
        }
    });
}

#[test]
fn a_cancelled_run_ends_with_graph_finish() {
    watched(|| {
        let cluster = cluster(1);
        let recorder = Recorder::new();
        let (gate, opener) = gate();
        let waiting = gate.clone();
        let wait = move |x: i64| {
            waiting.pass();
            x
        };
        let plan = Plan::new(graph! { "x" => (wait, 1), "y" => (inc, "x") }, "y").unwrap();
        let handle = cluster.run_with(plan, vec![Arc::new(recorder.clone())]);
        gate.arrivals(1);
        handle.cancel();
        assert!(handle.wait().unwrap_err().is_cancelled());
        let at_the_end = recorder.lines();
        assert_eq!(at_the_end.last().unwrap(), "graph_finish true");
        opener.open();
        cluster.get_blocking(graph! { "x" => (inc, 1) }, "x").unwrap();
        // Nothing is called for it any more, though its task came to its end.
        assert_eq!(recorder.lines(), at_the_end);
        assert!(recorder.lines_with("error").is_empty() && recorder.lines_with("y").is_empty());
    });
}

#[test]
fn nothing_is_called_for_a_cancelled_run_after_its_graph_finish() {
    watched(|| {
        let cluster = cluster(1);
        let recorder = Recorder::new();
        let (gate, opener) = gate();
        let waiting = gate.clone();
        let holds_up = mobula::CallbackBuilder::new().presubmit(move |_, _, _| {
            waiting.pass();
            Ok(None)
        });
        let plan = Plan::new(graph! { "x" => (inc, 1) }, "x").unwrap();
        let handle = cluster.run_with(plan, vec![Arc::new(holds_up), Arc::new(recorder.clone())]);
        gate.arrivals(1);
        handle.cancel();
        assert!(handle.wait().unwrap_err().is_cancelled());
        opener.open();
        // The worker is through with the task, and the registry with what it was told meanwhile.
        cluster.get_blocking(graph! { "x" => (inc, 1) }, "x").unwrap();
        let quiet = cluster.with_callbacks([mobula::CallbackBuilder::new()]);
        quiet.get_blocking(graph! { "x" => (inc, 1) }, "x").unwrap();
        assert!(recorder.lines_with("postsubmit_all").is_empty(), "{:?}", recorder.lines());
        assert!(recorder.lines_with("pretask").is_empty(), "{:?}", recorder.lines());
    });
}

#[test]
fn a_run_without_tasks_starts_and_finishes() {
    watched(|| {
        let cluster = cluster(1);
        let recorder = Recorder::new();
        let request = cluster.with_callbacks([recorder.clone()]);
        let results = request.get_blocking(graph! { "x" => 5_i64 }, "x").unwrap();
        assert_eq!(data::<i64>(results), 5);
        let lines = recorder.lines();
        assert_eq!(lines.first().unwrap(), "graph_start 0");
        assert_eq!(lines[lines.len() - 2..], ["finish 5", "graph_finish false"]);
        assert_eq!(recorder.lines_with("postsubmit_all"), ["postsubmit_all  of 0"]);
    });
}
