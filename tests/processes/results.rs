//! What comes back from children.

use mobula::{Graph, Key, TaskOptions};

use crate::program::{cluster, elsewhere, literal, number, of, task};
use crate::watchdog::{alone, watched};

fn numbers(results: mobula::Results) -> Vec<i64> {
    results.into_list().iter().map(|result| number(result.values()[0])).collect()
}

#[test]
fn a_graph_is_computed_in_children() {
    watched(|| {
        let (cluster, _) = cluster(2);
        let mut graph = Graph::new();
        task(&mut graph, "x", "sum", vec![literal(1), literal(2)]);
        task(&mut graph, "y", "sum", vec![of("x"), literal(10)]);
        task(&mut graph, "z", "sum", vec![of("x"), of("y"), of("y")]);
        task(&mut graph, "process", "process", vec![]);
        let results = elsewhere(&cluster).get_blocking(graph, ["z", "x", "process"]).unwrap();
        let results = numbers(results);
        assert_eq!(results[..2], [29, 3]);
        assert_ne!(results[2], i64::from(std::process::id()));
    });
}

#[test]
fn without_being_placed_there_tasks_stay_in_threads() {
    watched(|| {
        let (cluster, heard) = cluster(1);
        let mut graph = Graph::new();
        task(&mut graph, "x", "sum", vec![literal(1), literal(2)]);
        let result = cluster.get_blocking(graph, "x").unwrap();
        assert_eq!(result.get::<i64>(), Some(&3));
        drop(cluster);
        assert!(heard.ended.lock().unwrap().is_empty());
    });
}

#[test]
fn those_who_look_see_what_is_called_here_and_what_is_called_there() {
    watched(|| {
        let (cluster, _) = cluster(2);
        let recording = cluster.monitor().unwrap().record_blocking().unwrap();
        let mut graph = Graph::new();
        for number in 0..50 {
            task(&mut graph, &format!("there-{number}"), "sum", vec![literal(number)]);
            // Nobody can pack a closure.
            graph.insert(format!("here-{number}"), (|x: i64| x + 1, number));
        }
        let wanted: Vec<Key> = graph.keys().cloned().collect();
        elsewhere(&cluster).get_blocking(graph, wanted).unwrap();
        let recording = recording.finish_blocking().unwrap();
        let run = &recording.runs[0];
        assert_eq!((run.done, recording.unseen), (100, 0));
        let mut seen: Vec<String> =
            recording.spans.iter().map(|span| run.key_of(span.task).into_owned()).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 100);
    });
}

#[test]
fn many_short_tasks_and_long_chains_come_out_right() {
    watched(|| {
        let (cluster, _) = cluster(2);
        let mut graph = Graph::new();
        let wide: Vec<String> = (0..500).map(|number| format!("wide-{number}")).collect();
        for (number, key) in (0..).zip(&wide) {
            task(&mut graph, key, "sum", vec![literal(number)]);
        }
        task(&mut graph, "all", "sum", wide.iter().map(|key| of(key)).collect());
        task(&mut graph, "chain-0", "sum", vec![literal(1)]);
        for number in 1..1000 {
            let before = format!("chain-{}", number - 1);
            let key = format!("chain-{number}");
            task(&mut graph, &key, "sum", vec![of(&before), literal(1)]);
        }
        let results = elsewhere(&cluster).get_blocking(graph, ["all", "chain-999"]).unwrap();
        assert_eq!(numbers(results), [500 * 499 / 2, 1000]);
    });
}

#[test]
fn large_values_lie_in_segments_that_go_with_them() {
    alone(|| {
        let (cluster, _) = cluster(2);
        let mut graph = Graph::new();
        for half in ["left", "right"] {
            task(&mut graph, half, "large", vec![literal(7)]);
        }
        // Both are needed twice, so that they cannot stay where they are.
        task(&mut graph, "one", "sum", vec![of("left"), of("right")]);
        task(&mut graph, "two", "sum", vec![of("right"), of("left")]);
        task(&mut graph, "both", "sum", vec![of("one"), of("two")]);
        let result = elsewhere(&cluster).get_blocking(graph, "both").unwrap();
        assert_eq!(number(result.values()[0]), 28);
        drop(result);
        drop(cluster);
        assert_eq!(mobula::process::live_segments(), (0, 0));
    });
}

#[test]
fn what_cannot_be_packed_is_called_here_or_fails_with_its_reason() {
    watched(|| {
        let (cluster, _) = cluster(1);
        let mut graph = Graph::new();
        task(&mut graph, "there", "sum", vec![literal(5)]);
        task(&mut graph, "here", "here", vec![of("there"), literal(1)]);
        let result = elsewhere(&cluster).get_blocking(graph, "here").unwrap();
        assert_eq!(number(result.values()[0]), 6);

        let mut graph = Graph::new();
        task(&mut graph, "x", "unpackable", vec![]);
        let error = elsewhere(&cluster).get_blocking(graph, "x").unwrap_err();
        assert_eq!(error.to_string(), "task 'x' failed: it cannot be packed");
    });
}

const RUNS: usize = 300;

#[test]
fn what_cannot_leave_stays_with_those_who_need_it() {
    watched(|| {
        let (cluster, _) = cluster(3);
        let mut graph = Graph::new();
        task(&mut graph, "bound", "bound", vec![literal(4)]);
        let dependents: Vec<String> = (0..20).map(|number| format!("needs-{number}")).collect();
        for key in &dependents {
            task(&mut graph, key, "sum", vec![of("bound"), literal(1)]);
        }
        task(&mut graph, "all", "sum", dependents.iter().map(|key| of(key)).collect());
        let graph = std::sync::Arc::new(graph);
        let result =
            elsewhere(&cluster).get_blocking(std::sync::Arc::clone(&graph), "all").unwrap();
        assert_eq!(number(result.values()[0]), 100);

        // Whoever meets a task that is bound elsewhere leaves it to a worker that may just fall asleep.
        for _ in 0..RUNS {
            let graph = std::sync::Arc::clone(&graph);
            let result = elsewhere(&cluster).get_blocking(graph, "all").unwrap();
            assert_eq!(number(result.values()[0]), 100);
        }

        let error = elsewhere(&cluster).get_blocking(graph, ["all", "bound"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "task 'bound' failed: the value of 'bound' cannot leave its worker process: it is bound"
        );
    });
}

#[test]
fn errors_come_back_and_are_tried_again() {
    watched(|| {
        let (cluster, _) = cluster(2);
        let mut graph = Graph::new();
        task(&mut graph, "x", "fail", vec![]);
        task(&mut graph, "y", "sum", vec![of("x")]);
        let error = elsewhere(&cluster).get_blocking(graph, "y").unwrap_err();
        assert_eq!(error.to_string(), "task 'x' failed: it was told to fail");

        let mut graph = Graph::new();
        let node = graph.insert(
            "x",
            mobula::Arg::Task(mobula::Task::new(
                mobula::Func::from_function(crate::program::There("fail twice")),
                Vec::<mobula::Arg>::new(),
            )),
        );
        graph.set_options(node, TaskOptions::new().retries(2));
        // The children count by themselves, so that there is only one.
        let (alone, _) = crate::program::cluster(1);
        let result = elsewhere(&alone).get_blocking(graph, "x").unwrap();
        assert_eq!(number(result.values()[0]), 3);
    });
}

#[test]
fn questions_are_answered_and_calls_are_made_meanwhile() {
    watched(|| {
        let (cluster, heard) = cluster(1);
        let mut graph = Graph::new();
        task(&mut graph, "x", "ask", vec![literal(3)]);
        let result = elsewhere(&cluster).get_blocking(graph, "x").unwrap();
        assert_eq!(number(result.values()[0]), 3);
        assert_eq!(heard.questions.lock().unwrap().len(), 1);
    });
}

#[test]
fn lines_come_with_the_key_of_the_task_before_its_run_is_over() {
    watched(|| {
        let (cluster, heard) = cluster(1);
        let mut graph = Graph::new();
        task(&mut graph, "speaks", "print", vec![literal(3)]);
        elsewhere(&cluster).get_blocking(graph, "speaks").unwrap();
        let lines = heard.lines.lock().unwrap();
        let spoken = lines.iter().find(|(_, line)| line == "it speaks");
        assert_eq!(spoken.map(|(key, _)| key.clone()), Some(Some(Key::from("speaks"))));
    });
}
