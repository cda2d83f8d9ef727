//! Hooks that answer for tasks: `presubmit` for one at a time, `lookup` at the start of a run.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use mobula::{CallbackBuilder, Key, Value, graph, keys};

use super::recorder::Recorder;
use crate::functions::{add, cluster, data, held, inc};
use crate::watchdog::watched;

/// A callback that knows these keys, and the count of how often it was asked.
fn knows(known: &[(&'static str, i64)]) -> (CallbackBuilder, Arc<AtomicUsize>) {
    let known: BTreeMap<Key, i64> = known.iter().map(|(key, x)| (Key::from(*key), *x)).collect();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let callback = CallbackBuilder::new().presubmit(move |_, key, _| {
        count.fetch_add(1, Ordering::Relaxed);
        Ok(known.get(key).copied().map(Value::new))
    });
    (callback, asked)
}

#[test]
fn the_first_answer_in_order_wins_and_all_are_asked() {
    watched(|| {
        let cluster = cluster(2);
        let (silent, first_asked) = knows(&[]);
        let (first, _) = knows(&[("y", 100)]);
        let (second, second_asked) = knows(&[("y", 200), ("x", 10)]);
        let request = cluster.with_callbacks([silent, first, second]);
        let graph = graph! { "x" => (inc, 1), "y" => (inc, "x"), "z" => (add, "x", "y") };
        let results = request.get_blocking(graph, ["x", "y", "z"]).unwrap();
        assert_eq!(data::<Vec<i64>>(results), [10, 100, 110]);
        assert_eq!(first_asked.load(Ordering::Relaxed), 3);
        assert_eq!(second_asked.load(Ordering::Relaxed), 3);
        assert_eq!(held(&cluster), 0);
    });
}

#[test]
fn a_task_that_is_answered_for_meets_only_the_hooks_of_its_submission() {
    watched(|| {
        let cluster = cluster(1);
        let recorder = Recorder::new();
        let (known, _) = knows(&[("x", 10)]);
        let never = |_: i64| -> i64 { unreachable!("its value is known") };
        let request = cluster.with_callbacks([known]).callbacks([recorder.clone()]);
        let graph = graph! { "x" => (never, 1), "y" => (inc, "x") };
        assert_eq!(data::<i64>(request.get_blocking(graph, "y").unwrap()), 11);
        let of_x = ["graph_pretask x", "presubmit x", "graph_posttask x"];
        assert_eq!(recorder.lines_with("x")[..3], of_x);
        assert_eq!(recorder.lines_with("x")[3..], ["presubmit y x"]);
        let of_y =
            ["graph_posttask", "pretask", "posttask"].map(|hook| recorder.lines_with(hook).len());
        assert_eq!(of_y, [2, 1, 1]);
        assert_eq!(recorder.lines_with("postsubmit_all").len(), 1);
    });
}

#[test]
fn a_value_like_none_is_an_answer() {
    watched(|| {
        let cluster = cluster(1);
        let callback = CallbackBuilder::new().presubmit(|_, key, _| {
            Ok(match key.as_str().as_deref() {
                Some("unit") => Some(Value::new(())),
                Some("none") => Some(Value::new(None::<i64>)),
                _ => None,
            })
        });
        let never = || -> Option<i64> { unreachable!("its value is known") };
        let is_none = |found: Option<i64>, (): ()| found.is_none();
        let graph =
            graph! { "none" => (never,), "unit" => (|| (),), "z" => (is_none, "none", "unit") };
        let result = cluster.with_callbacks([callback]).get_blocking(graph, "z").unwrap();
        assert_eq!(result.get::<bool>(), Some(&true));
    });
}

#[test]
fn an_answer_of_a_wrong_type_is_the_users_mistake() {
    watched(|| {
        let cluster = cluster(1);
        let callback = CallbackBuilder::new().presubmit(|_, key, _| {
            Ok((key.as_str().as_deref() == Some("x")).then(|| Value::new("ten".to_owned())))
        });
        let graph = graph! { "x" => (inc, 1), "y" => (inc, "x") };
        let error = cluster.with_callbacks([callback]).get_blocking(graph, "y").unwrap_err();
        assert!(error.is_wrong_type());
        assert_eq!(error.key().unwrap(), &Key::from("y"));
    });
}

#[test]
fn every_task_of_a_run_can_be_answered_for() {
    watched(|| {
        let cluster = cluster(4);
        let callback = CallbackBuilder::new()
            .presubmit(|task, _, _| Ok(Some(Value::new(i64::from(task.priority())))));
        let never = |_: i64| -> i64 { unreachable!("its value is known") };
        let mut graph = mobula::Graph::new();
        let mut level: Vec<_> = (0..1000_i64).map(|x| graph.add((never, x))).collect();
        level.extend((0..1000).map(|i| graph.add((never, level[i]))).collect::<Vec<_>>());
        let results = cluster.with_callbacks([callback]).get_blocking(graph, level).unwrap();
        let mut values: Vec<i64> = data(results);
        values.sort_unstable();
        assert_eq!(values, (0..2000).collect::<Vec<i64>>());
        assert_eq!(held(&cluster), 0);
    });
}

#[test]
fn what_is_looked_up_culls_what_only_it_needs() {
    watched(|| {
        let cluster = cluster(2);
        let used = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&used);
        let callback = CallbackBuilder::new()
            .lookup(|keys| {
                let known = |key: &&Key| match key.as_str().as_deref() {
                    Some("b") => Some(Value::new(20_i64)),
                    // Only "b" needs it, so nobody uses this answer.
                    Some("a") => Some(Value::new(10_i64)),
                    _ => None,
                };
                Ok(keys.iter().map(known).collect())
            })
            .lookup_used(move |keys| {
                noted.lock().unwrap().extend(keys.iter().map(ToString::to_string));
                Ok(())
            });
        let recorder = Recorder::new();
        let never = |_: i64| -> i64 { unreachable!("nobody needs it") };
        let graph = graph! {
            "start" => (never, 1), "a" => (never, "start"), "b" => (never, "a"),
            "c" => (inc, "b"), "own" => (inc, 1), "d" => (add, "c", "own"),
        };
        let request = cluster.with_callbacks([callback]).callbacks([recorder.clone()]);
        let results = request.get_blocking(graph, keys!["d", "b"]).unwrap();
        assert_eq!(data::<Vec<i64>>(results), [23, 20]);
        assert_eq!(*used.lock().unwrap(), ["b"]);
        let mut run = recorder.lines_with("presubmit");
        run.sort();
        assert_eq!(run, ["presubmit c b", "presubmit d c,own", "presubmit own"]);
        assert_eq!(recorder.lines_with("graph_start_state"), ["graph_start_state 3 0"]);
        assert_eq!(recorder.lines_with("postsubmit_all"), ["postsubmit_all b,d of 6"]);
        assert_eq!(held(&cluster), 0);
    });
}

#[test]
fn a_run_whose_outputs_are_all_looked_up_runs_nothing() {
    watched(|| {
        let cluster = cluster(1);
        let all = CallbackBuilder::new()
            .lookup(|keys| Ok(keys.iter().map(|_| Some(Value::new(7_i64))).collect()));
        let recorder = Recorder::new();
        let never = |_: i64| -> i64 { unreachable!("its value is known") };
        let graph = graph! { "x" => (never, 1), "y" => (never, "x") };
        let request = cluster.with_callbacks([all]).callbacks([recorder.clone()]);
        assert_eq!(data::<i64>(request.get_blocking(graph, "y").unwrap()), 7);
        assert!(recorder.lines_with("presubmit").is_empty());
        assert_eq!(recorder.lines_with("finish"), ["finish 7"]);
        assert_eq!(recorder.lines_with("postsubmit_all"), ["postsubmit_all y of 2"]);
        assert_eq!(held(&cluster), 0);
    });
}

#[test]
fn of_several_who_know_the_first_is_believed() {
    watched(|| {
        let cluster = cluster(1);
        let knows = |x: i64| {
            CallbackBuilder::new()
                .lookup(move |keys| Ok(keys.iter().map(|_| Some(Value::new(x))).collect()))
        };
        let request = cluster.with_callbacks([CallbackBuilder::new(), knows(1), knows(2)]);
        let graph = graph! { "x" => (inc, 1) };
        assert_eq!(data::<i64>(request.get_blocking(graph, "x").unwrap()), 1);
    });
}
