//! Journals: what stands in them is what has happened.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use mobula::monitor::{Ended, Record, Recording, RunStatus};
use mobula::{CallbackBuilder, Cluster, Graph, Key, Plan, Value, graph};

use crate::watchdog::watched;

fn inc(x: i64) -> i64 {
    x + 1
}

fn read(path: &Path) -> Vec<Record> {
    let text = fs::read_to_string(path).expect("the journal is there");
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

#[test]
fn every_task_of_a_run_stands_in_its_journal_once() {
    watched(|| {
        const COUNT: u32 = 5_000;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal.jsonl");
        let cluster = Cluster::builder().workers(2).start().unwrap();
        let journal = cluster.monitor().unwrap().journal_blocking(&path).unwrap();
        let mut graph = Graph::new();
        for number in 0..COUNT {
            graph.insert(("x", i64::from(number)), (inc, 1_i64));
        }
        let wanted: Vec<Key> = (0..COUNT).map(|n| Key::from(("x", i64::from(n)))).collect();
        cluster.get_blocking(graph, wanted).unwrap();
        journal.close_blocking().unwrap();

        let records = read(&path);
        assert!(matches!(&records[0], Record::Journal { version: 1, .. }));
        let mut keys = Vec::new();
        let mut ended = BTreeSet::new();
        for record in &records {
            match record {
                Record::Run { tasks, spared, .. } => assert_eq!((*tasks, *spared), (COUNT, 0)),
                Record::Keys { first, keys: some, prefixes, needs, .. } => {
                    assert_eq!(*first as usize, keys.len());
                    assert_eq!((some.len(), some.len()), (prefixes.len(), needs.len()));
                    keys.extend(some.iter().cloned());
                }
                Record::Ended(Ended { from, to, tasks, bytes, failed, .. }) => {
                    assert!(from <= to && !failed);
                    assert_eq!(tasks.len(), bytes.len());
                    assert!(bytes.iter().all(|bytes| *bytes == bytes_of_a_number()));
                    assert!(tasks.iter().all(|task| ended.insert(*task)));
                }
                _ => {}
            }
        }
        assert_eq!(ended.len(), COUNT as usize);
        assert!(keys.contains(&"('x', 4999)".to_owned()));
        let Some(Record::RunEnded { outcome, .. }) =
            records.iter().find(|record| matches!(record, Record::RunEnded { .. }))
        else {
            panic!("the run has ended");
        };
        assert_eq!((outcome.status, outcome.done), (RunStatus::Done, u64::from(COUNT)));
    });
}

#[test]
fn the_keys_of_a_plan_stand_in_each_journal_once_and_are_read_for_all_of_its_runs() {
    watched(|| {
        let directory = tempfile::tempdir().unwrap();
        let cluster = Cluster::builder().workers(1).start().unwrap();
        let monitor = cluster.monitor().unwrap();
        let plan = Plan::new(graph! { "x" => (inc, 1), "y" => (inc, "x") }, "y").unwrap();
        let plan = Arc::new(plan);
        let one_journal = |name: &str| {
            let path = directory.path().join(name);
            let journal = monitor.journal_blocking(&path).unwrap();
            for _ in 0..3 {
                cluster.run(Arc::clone(&plan)).wait().unwrap();
            }
            journal.close_blocking().unwrap();
            let keys = |record: &&Record| matches!(record, Record::Keys { .. });
            assert_eq!(read(&path).iter().filter(keys).count(), 1);
            let recording = Recording::read_journal(&path).unwrap();
            assert_eq!(recording.runs.len(), 3);
            for run in &recording.runs {
                assert_eq!(
                    (&run.graph.keys[..], run.done),
                    (&["x".to_owned(), "y".to_owned()][..], 2)
                );
            }
        };
        // Whoever begins to record later is told of the keys again.
        one_journal("one.jsonl");
        one_journal("two.jsonl");
    });
}

fn bytes_of_a_number() -> u64 {
    Value::new(1_i64).bytes() as u64
}

#[test]
fn every_task_that_a_hook_answers_for_stands_in_the_journal_once() {
    watched(|| {
        const COUNT: i64 = 60;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal.jsonl");
        let cluster = Cluster::builder().workers(1).start().unwrap();
        let monitor = cluster.monitor().unwrap();
        let journal = monitor.journal_blocking(&path).unwrap();
        let is_even = |key: &Key| key.to_string().ends_with(['0', '2', '4', '6', '8']);
        let known = CallbackBuilder::new()
            .presubmit(move |_, key, _| Ok(is_even(key).then(|| Value::new(1_i64))));
        let mut graph = Graph::new();
        graph.insert("x 1", (inc, 1_i64));
        for number in (2..=COUNT).filter(|number| *number != 31) {
            graph.insert(format!("x {number}"), (inc, format!("x {}", number - 1)));
        }
        // Somebody looks in the middle of it.
        let look = move |x: i64| {
            monitor.look_blocking().unwrap();
            x
        };
        graph.insert("x 31", (look, "x 30"));
        let wanted: Vec<Key> = (1..=COUNT).map(|n| Key::from(format!("x {n}"))).collect();
        cluster.with_callbacks([known]).get_blocking(graph, wanted).unwrap();
        journal.close_blocking().unwrap();
        let recording = Recording::read_journal(&path).unwrap();
        let run = &recording.runs[0];
        let mut cached: Vec<String> =
            run.cached.iter().map(|task| run.key_of(*task).into_owned()).collect();
        cached.sort_unstable();
        let mut even: Vec<String> = (1..=COUNT / 2).map(|n| format!("x {}", n * 2)).collect();
        even.sort_unstable();
        assert_eq!(cached, even);
        assert_eq!(run.done + run.cached.len() as u64, COUNT as u64);
    });
}

#[test]
#[cfg(target_os = "linux")]
fn a_journal_that_could_not_be_written_in_full_says_so_when_it_is_closed() {
    watched(|| {
        let cluster = Cluster::builder().workers(1).start().unwrap();
        let monitor = cluster.monitor().unwrap();
        // Such a disk is always full.
        let journal = monitor.journal_blocking("/dev/full").unwrap();
        cluster.get_blocking(graph! { "x" => (inc, 1) }, "x").unwrap();
        let error = journal.close_blocking().unwrap_err();
        assert!(error.is_journal() && error.to_string().contains("/dev/full"), "{error}");
    });
}

#[test]
fn failures_and_new_attempts_stand_there_with_their_task() {
    watched(|| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal.jsonl");
        let cluster = Cluster::builder().workers(1).start().unwrap();
        let journal = cluster.monitor().unwrap().journal_blocking(&path).unwrap();
        let fail = |_: i64| Err::<i64, _>("no luck");
        let graph = graph! { "x" => (fail, 1), "y" => (inc, "x") };
        cluster.request().retries(1).get_blocking(graph, "y").unwrap_err();
        journal.close_blocking().unwrap();
        let told: Vec<String> = read(&path)
            .into_iter()
            .filter_map(|record| match record {
                Record::Failed { task, error, .. } => Some(format!("{task} failed: {error}")),
                Record::Retried { task, attempt, .. } => Some(format!("{task} retried {attempt}")),
                Record::GivenUp { task, attempts, .. } => {
                    Some(format!("{task} given up {attempts}"))
                }
                Record::Ended(Ended { tasks, failed: true, .. }) => {
                    Some(format!("{tasks:?} wrong"))
                }
                Record::RunEnded { outcome, .. } => Some(outcome.error.unwrap_or_default()),
                _ => None,
            })
            .collect();
        let text = "task 'x' failed: no luck";
        let mut expected = [
            format!("0 failed: {text}"),
            "0 retried 2".to_owned(),
            format!("0 failed: {text}"),
            "0 given up 2".to_owned(),
            "[0] wrong".to_owned(),
            "[0] wrong".to_owned(),
            format!("{text} (after 2 attempts)"),
        ];
        let mut told = told;
        told.sort();
        expected.sort();
        assert_eq!(told, expected);
    });
}

#[test]
fn a_journal_that_cannot_be_written_is_refused() {
    watched(|| {
        let cluster = Cluster::builder().workers(1).start().unwrap();
        let error =
            cluster.monitor().unwrap().journal_blocking("/no/such/place/j.jsonl").unwrap_err();
        let text = "the journal /no/such/place/j.jsonl cannot be written: No such file or directory (os error 2); \
                    name a file in a directory that is there";
        assert_eq!(error.to_string(), text);
    });
}
