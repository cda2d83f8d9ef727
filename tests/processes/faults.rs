//! Children that die, or do not begin.

use std::time::Duration;

use mobula::Graph;

use crate::program::{builder, cluster, elsewhere, literal, number, of, task};
use crate::watchdog::{until, watched};

#[test]
fn a_task_that_kills_its_process_fails_after_three_attempts_and_says_how() {
    watched(|| {
        let (cluster, heard) = cluster(2);
        for (what, says) in
            [("exit", "ended with exit code 3"), ("abort", "was ended by signal 6 (SIGABRT)")]
        {
            let mut graph = Graph::new();
            task(&mut graph, "x", what, vec![]);
            task(&mut graph, "y", "sum", vec![of("x")]);
            let error = elsewhere(&cluster).get_blocking(graph, "y").unwrap_err();
            let text = error.to_string();
            // Behind it stands its memory, if it lived long enough for somebody to look.
            let begins = format!("the worker process of task 'x' {says}, ");
            assert!(text.starts_with(&begins), "{text}");
            assert!(text.contains("(after 3 attempts)"), "{text}");
            assert!(text.contains("last words"), "{text}");
            assert!(error.is_worker_lost());
        }
        assert_eq!(heard.ended.lock().unwrap().len(), 6);
        // Others go on.
        let mut graph = Graph::new();
        task(&mut graph, "x", "sum", vec![literal(1)]);
        let result = elsewhere(&cluster).get_blocking(graph, "x").unwrap();
        assert_eq!(number(result.values()[0]), 1);
    });
}

#[test]
fn what_else_a_dead_process_had_is_done_by_others() {
    watched(|| {
        let (cluster, _) = cluster(2);
        let directory = tempfile::tempdir().unwrap();
        let mut graph = Graph::new();
        let keys: Vec<String> = (0..200).map(|number| format!("x-{number}")).collect();
        for (number, key) in (0..).zip(&keys) {
            task(&mut graph, key, "sum", vec![literal(number)]);
        }
        // It exits once.
        let mark = directory.path().join("mark").to_str().unwrap().to_owned();
        let once: &'static str = Box::leak(format!("exit once {mark}").into_boxed_str());
        task(&mut graph, "once", once, vec![]);
        let all = keys.iter().map(|key| of(key)).chain([of("once")]).collect();
        task(&mut graph, "all", "sum", all);
        let result = elsewhere(&cluster).get_blocking(graph, "all").unwrap();
        assert_eq!(number(result.values()[0]), 200 * 199 / 2 + 1);
    });
}

#[test]
fn a_value_that_stayed_in_a_dead_process_is_made_again() {
    watched(|| {
        let (cluster, _) = cluster(2);
        let directory = tempfile::tempdir().unwrap();
        let mark = directory.path().join("mark").to_str().unwrap().to_owned();
        let once: &'static str = Box::leak(format!("exit once {mark}").into_boxed_str());
        let mut graph = Graph::new();
        task(&mut graph, "made", "large", vec![literal(5)]);
        // The only dependent, so the value stays; and the process dies of it the first time.
        task(&mut graph, "used", once, vec![of("made")]);
        let result = elsewhere(&cluster).get_blocking(graph, "used").unwrap();
        assert_eq!(number(result.values()[0]), 6);
    });
}

#[test]
fn a_call_over_its_time_limit_is_ended_with_its_process() {
    watched(|| {
        let (cluster, heard) = cluster(1);
        let mut graph = Graph::new();
        task(&mut graph, "x", "sleep", vec![literal(600_000)]);
        let request = elsewhere(&cluster).task_time_limit(Duration::from_millis(200));
        let error = request.get_blocking(graph, "x").unwrap_err();
        assert_eq!(error.to_string(), "task 'x' took longer than its limit of 200ms");
        assert!(error.is_timeout());
        assert_eq!(heard.ended.lock().unwrap().len(), 1);
    });
}

#[test]
fn a_cancelled_run_interrupts_its_calls() {
    watched(|| {
        let (cluster, heard) = cluster(1);
        let mut graph = Graph::new();
        task(&mut graph, "x", "sleep", vec![literal(600_000)]);
        let run = elsewhere(&cluster).run(mobula::Plan::new(graph, "x").unwrap());
        let canceller = run.canceller();
        until(|| canceller.calls_left() > 0);
        run.cancel();
        assert!(run.wait().unwrap_err().is_cancelled());
        until(|| canceller.calls_left() == 0);
        assert!(heard.ended.lock().unwrap().is_empty(), "an interrupt was enough");
    });
}

#[test]
fn a_call_that_cannot_be_interrupted_is_killed_when_somebody_insists() {
    watched(|| {
        let (cluster, heard) = cluster(1);
        let mut graph = Graph::new();
        task(&mut graph, "x", "sleep deeply", vec![literal(600_000)]);
        let run = elsewhere(&cluster).run(mobula::Plan::new(graph, "x").unwrap());
        let canceller = run.canceller();
        until(|| canceller.calls_left() > 0);
        run.cancel();
        assert!(run.wait().unwrap_err().is_cancelled());
        canceller.kill();
        until(|| canceller.calls_left() == 0);
        assert_eq!(heard.ended.lock().unwrap().len(), 1);
    });
}

#[test]
fn children_that_do_not_begin_are_an_error_with_their_reason() {
    watched(|| {
        for (greeting, says) in
            [("refuse", "cannot be used: it was told to refuse"), ("die", "ended with exit code 9")]
        {
            let (builder, _) = builder(greeting);
            let cluster = builder.workers(1).start().unwrap();
            let mut graph = Graph::new();
            task(&mut graph, "x", "sum", vec![literal(1)]);
            let error = elsewhere(&cluster).get_blocking(graph, "x").unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
        }
    });
}
