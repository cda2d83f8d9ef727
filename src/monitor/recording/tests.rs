//! From records and from the lines of a journal to a recording.

use std::fmt::Write as _;
use std::sync::Arc;

use super::{Recorder, Recording};
use crate::monitor::{Ended, MemorySnapshot, Outcome, Record, RunStatus};

const HEADER: &str =
    r#"{"t":"journal","version":1,"mobula":"0.1.0","at":0.25,"unix_time":1.7e9,"pid":7}"#;

fn recording(records: impl IntoIterator<Item = Record>) -> Recording {
    let mut recorder = Recorder::new();
    for record in records {
        recorder.add(record);
    }
    recorder.finish()
}

fn ended(run: u64, worker: u32, from: u64, to: u64, tasks: &[u32]) -> Ended {
    let bytes = vec![8; tasks.len()];
    Ended { run, worker, from, to, tasks: tasks.to_vec(), bytes, failed: false }
}

fn keys(run: u64, first: u32, keys: &[&str], needs: &[&[u32]]) -> Record {
    Record::Keys {
        run,
        first,
        keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        prefixes: vec![0; keys.len()],
        new_prefixes: if first == 0 { vec!["x".to_owned()] } else { Vec::new() },
        needs: needs.iter().map(|needs| needs.to_vec()).collect(),
    }
}

fn run(run: u64, at: f64, tasks: u32) -> Record {
    Record::Run { at, run, tasks, spared: 0 }
}

fn read(lines: &str) -> Result<Recording, String> {
    Recording::from_journal(lines.as_bytes()).map_err(|error| error.to_string())
}

#[test]
fn a_run_has_the_keys_of_another_if_those_are_known() {
    let same = |run, as_run| Record::SameKeys { run, as_run };
    let first = [run(7, 0.0, 2), keys(7, 0, &["x-1", "x-2"], &[&[], &[0]])];
    let others = [run(8, 1.0, 2), same(8, 7), same(8, 8), same(9, 6), same(7, 8), same(8, 7)];
    let recording = recording(first.into_iter().chain(others));
    let [first, second, third] = &recording.runs[..] else { panic!("there are three runs") };
    assert_eq!((&second.graph.keys, &second.graph.needs), (&first.graph.keys, &vec![0]));
    assert_eq!(
        (&second.graph.needs_starts, &second.graph.prefixes),
        (&first.graph.needs_starts, &first.graph.prefixes)
    );
    assert_eq!((&second.graph.prefix_names, second.tasks), (&first.graph.prefix_names, 2));
    assert!(third.graph.keys.is_empty());
}

#[test]
fn runs_of_one_plan_share_what_is_known_of_it() {
    let same = Record::SameKeys { run: 8, as_run: 7 };
    let first = [run(7, 0.0, 1), keys(7, 0, &["x-1"], &[&[]]), run(8, 1.0, 1), same];
    let recording = recording(first);
    assert!(Arc::ptr_eq(&recording.runs[0].graph, &recording.runs[1].graph));
}

#[test]
fn a_damaged_line_of_each_kind_is_an_error() {
    let kinds = "worker_up worker_down run keys same_keys cached started failed retried given_up skipped spilled \
                 restored trouble memory unseen run_ended";
    for kind in kinds.split_whitespace() {
        let lines = format!("{HEADER}\n{{\"t\":\"{kind}\",\"at\":[]}}\n{{\"t\":\"new\"}}\n");
        let error = read(&lines).expect_err(kind);
        assert!(error.contains("line 2"), "{kind}: {error}");
    }
}

#[test]
fn a_batch_shares_its_time() {
    let recording = recording([run(7, 0.0, 3), Record::Ended(ended(7, 1, 100, 110, &[0, 1, 2]))]);
    let times: Vec<_> = recording.spans.iter().map(|span| (span.from, span.to)).collect();
    assert_eq!(times, [(100, 103), (103, 106), (106, 110)]);
    assert_eq!((recording.runs[0].done, recording.workers), (3, vec![(1, None)]));
}

#[test]
fn an_end_before_its_start_takes_no_time() {
    let recording = recording([Record::Ended(ended(1, 0, 50, 20, &[0, 1]))]);
    assert!(recording.spans.iter().all(|span| (span.from, span.to) == (50, 50)));
}

#[test]
fn spans_beyond_the_limit_are_counted() {
    let mut recorder = Recorder::new().span_limit(3);
    recorder.add(Record::Ended(ended(1, 0, 0, 20, &[0, 1])));
    recorder.add(Record::Ended(ended(1, 0, 20, 40, &[2, 3, 4])));
    recorder.add(Record::Unseen { at: 1.0, run: 1, tasks: 5 });
    let recording = recorder.recording();
    assert_eq!((recording.spans.len(), recording.unseen), (3, 7));
    // The third one still has its own part of the time.
    assert_eq!(recording.spans[2].to, 20 + 20 / 3);
    assert_eq!(recording.runs[0].done, 10);
}

#[test]
fn keys_come_in_pieces() {
    let recording = recording([
        run(1, 0.0, 3),
        keys(1, 0, &["x0", "x1"], &[&[], &[0]]),
        keys(1, 2, &["x2"], &[&[0, 1]]),
        // A piece that comes again, and one that leaves a hole.
        keys(1, 2, &["x2"], &[&[0]]),
        keys(1, 9, &["x9"], &[&[]]),
    ]);
    let run = &recording.runs[0];
    assert_eq!(run.graph.keys, ["x0", "x1", "x2"]);
    assert_eq!(
        (run.needs_of(1), run.needs_of(2), run.needs_of(9)),
        (&[0][..], &[0, 1][..], &[][..])
    );
    assert_eq!((run.key_of(2).as_ref(), run.key_of(9).as_ref()), ("x2", "task 9"));
}

#[test]
fn what_makes_no_sense_is_left_out() {
    let wild = Record::Keys {
        run: 1,
        first: 0,
        keys: vec!["a".to_owned(), "b".to_owned()],
        prefixes: vec![4_000_000_000],
        new_prefixes: Vec::new(),
        needs: vec![vec![0, 1, 4_000_000_000]],
    };
    let recording = recording([wild]);
    let run = &recording.runs[0];
    assert_eq!(
        (&run.graph.prefixes[..], &run.graph.prefix_names[..]),
        (&[0, 0][..], &["?".to_owned()][..])
    );
    assert!(
        run.graph.needs.is_empty(),
        "a task needs only what comes before it: {:?}",
        run.graph.needs
    );
}

#[test]
fn failures_are_counted_and_told() {
    let recording = recording([
        run(1, 1.0, 3),
        keys(1, 0, &["x0", "x1"], &[&[], &[0]]),
        Record::Ended(Ended { failed: true, ..ended(1, 0, 5, 9, &[0]) }),
        Record::Failed {
            at: 1.5,
            run: 1,
            task: 0,
            error: "no".to_owned(),
            details: "Traceback".to_owned(),
        },
        Record::Retried { at: 1.6, run: 1, task: 0, attempt: 2 },
        Record::GivenUp { at: 2.0, run: 1, task: 0, attempts: 2 },
        Record::Skipped { at: 2.0, run: 1, task: 1 },
    ]);
    let run = &recording.runs[0];
    assert_eq!((run.done, run.failed, run.skipped), (0, 1, 1));
    assert_eq!((run.status, run.ended), (RunStatus::Running, None));
    let told: Vec<_> = recording.incidents.iter().map(|one| (one.kind, &*one.about)).collect();
    assert_eq!(told, [("failed", "x0"), ("retried", "x0"), ("given up", "x0"), ("skipped", "x1")]);
    let failed = &recording.incidents[0];
    assert_eq!((failed.at, &*failed.details), (1_500_000_000, "Traceback"));
    assert!(recording.spans[0].failed);
}

#[test]
fn a_worker_that_takes_a_place_is_an_incident() {
    let up = |pid| Record::WorkerUp { at: 1.0, worker: 0, pid: Some(pid) };
    let down = Record::WorkerDown { at: 1.0, worker: 0, why: "killed by signal 9".to_owned() };
    let recording = recording([up(12), down, up(13)]);
    let told: Vec<_> = recording.incidents.iter().map(|one| (one.kind, &*one.text)).collect();
    assert_eq!(
        told,
        [("worker down", "killed by signal 9"), ("worker up", "replaced by process 13")]
    );
    assert_eq!(recording.workers, [(0, Some(13))]);
}

#[test]
fn the_last_numbers_of_a_run_hold() {
    let outcome = Outcome { status: RunStatus::Failed, done: 5, failed: 1, ..Outcome::default() };
    let ended_run = Record::RunEnded { at: 3.0, run: 1, outcome };
    let recording = recording([run(1, 1.0, 6), Record::Ended(ended(1, 0, 1, 2, &[0])), ended_run]);
    let run = &recording.runs[0];
    assert_eq!((run.status, run.done, run.failed), (RunStatus::Failed, 5, 1));
    assert_eq!((run.ended, recording.ended), (Some(3_000_000_000), 3_000_000_000));
}

#[test]
fn what_is_told_after_the_end_of_a_run_is_in_its_numbers_already() {
    let outcome = Outcome { status: RunStatus::Failed, done: 2, failed: 1, ..Outcome::default() };
    let recording = recording([
        run(1, 1.0, 6),
        Record::RunEnded { at: 3.0, run: 1, outcome },
        Record::Ended(ended(1, 0, 1, 4_000_000_000, &[0])),
        Record::GivenUp { at: 3.1, run: 1, task: 1, attempts: 1 },
        Record::Unseen { at: 3.1, run: 1, tasks: 1 },
    ]);
    let run = &recording.runs[0];
    assert_eq!((run.done, run.failed, recording.spans.len()), (2, 1, 1));
}

#[test]
fn spans_are_in_the_order_of_their_ends_whichever_worker_told_first() {
    let recording = recording([
        run(1, 0.0, 1),
        Record::Ended(ended(1, 0, 30, 40, &[0])),
        Record::Ended(Ended { failed: true, ..ended(1, 1, 10, 20, &[0]) }),
    ]);
    let ends: Vec<_> = recording.spans.iter().map(|span| (span.to, span.failed)).collect();
    assert_eq!(ends, [(20, true), (40, false)]);
}

#[test]
fn the_tasks_that_workers_were_in_at_the_end_are_told() {
    let started = |task, worker| Record::Started { at: 2.0, run: 1, task, worker };
    let recording = recording([
        run(1, 1.0, 3),
        keys(1, 0, &["a", "b", "c"], &[&[], &[], &[]]),
        started(0, 0),
        Record::Ended(ended(1, 0, 2_000_000_000, 2_500_000_000, &[0])),
        started(1, 0),
        started(2, 1),
        Record::Memory { at: 4.0, memory: MemorySnapshot::default() },
    ]);
    let told = recording.incidents.iter().map(|told| (told.kind, &*told.about, &*told.text));
    let told: Vec<_> = told.collect();
    let text = [
        "in worker 0 for 2 s when the recording ended",
        "in worker 1 for 2 s when the recording ended",
    ];
    assert_eq!(told, [("still running", "b", text[0]), ("still running", "c", text[1])]);
}

#[test]
fn too_many_incidents_of_a_kind_are_counted() {
    let skipped = (0..100_010).map(|task| Record::Skipped { at: 1.0, run: 1, task });
    let last = Record::Trouble { at: 2.0, run: None, key: "k".to_owned(), what: "lost".to_owned() };
    let recording = recording(skipped.chain([last]));
    assert_eq!((recording.incidents.len(), recording.unseen_incidents), (100_001, 10));
    assert_eq!(recording.incidents[100_000].kind, "trouble");
    assert_eq!(recording.runs[0].skipped, 100_010);
}

#[test]
fn a_journal_gives_what_its_records_give() {
    let records = [
        serde_json::from_str(HEADER).expect("the header is a record"),
        Record::WorkerUp { at: 0.5, worker: 0, pid: Some(12) },
        run(1, 1.0, 2),
        keys(1, 0, &["x0", "x1\n\"</script>"], &[&[], &[0]]),
        Record::Cached { at: 1.0, run: 1, tasks: vec![0] },
        Record::Started { at: 1.2, run: 1, task: 1, worker: 3 },
        Record::Ended(ended(1, 0, 1_000_000_000, 1_200_000_000, &[1])),
        Record::Memory { at: 1.5, memory: MemorySnapshot { bytes: 9, ..Default::default() } },
        Record::Spilled { at: 1.5, run: Some(1), key: "x1".to_owned(), bytes: 9 },
        Record::RunEnded { at: 2.0, run: 1, outcome: Outcome { done: 1, ..Outcome::default() } },
    ];
    let mut lines = String::new();
    for record in &records {
        let line = serde_json::to_string(record).expect("records are written as JSON");
        writeln!(lines, "{line}").expect("a string takes everything");
    }
    let read = read(&lines).expect("this is a journal");
    assert_eq!(read, recording(records));
    assert_eq!((read.began, read.ended), (250_000_000, 2_000_000_000));
    assert_eq!(read.workers, [(0, Some(12)), (3, None)]);
    // A run cannot end and still go on.
    assert_eq!(read.runs[0].status, RunStatus::Done);
}

#[test]
fn a_line_that_was_cut_off_is_left_out() {
    let whole = format!("{HEADER}\n{{\"t\":\"run\",\"at\":1.0,\"run\":1,\"tasks\":2}}\n");
    for cut in ["{\"t\":\"ended\",\"run\":1,\"wor", "{\"t\":\"run_ended\",\"at", "{", "\0\0\0"] {
        let recording = read(&format!("{whole}{cut}")).expect("a cut line is no error");
        assert_eq!(recording.runs[0].status, RunStatus::Running, "{cut}");
        let error =
            read(&format!("{whole}{cut}\n{HEADER}\n")).expect_err("but in the middle it is");
        assert!(error.starts_with("the journal, line 3: no record: "), "{error}");
    }
}

#[test]
fn a_last_line_without_an_end_counts_if_it_is_whole() {
    let recording =
        read(&format!("{HEADER}\n\n{{\"t\":\"run\",\"at\":1.0,\"run\":1,\"tasks\":2}}"));
    assert_eq!(recording.expect("this is a journal").runs[0].tasks, 2);
}

#[test]
fn kinds_and_members_of_newer_versions_are_passed_over() {
    let lines = format!(
        "{HEADER}\n{{\"t\":\"weather\",\"at\":2}}\n{{\"t\":\"run\",\"at\":1,\"run\":1,\"tasks\":2,\"mood\":3}}\n"
    );
    assert_eq!(read(&lines).expect("this is a journal").runs.len(), 1);
}

#[test]
fn what_is_no_journal_is_refused() {
    let refused = |lines: &str, message: &str| {
        let error = read(lines).expect_err("this is no journal");
        assert!(error.contains(message), "{error}");
    };
    refused("", "is empty");
    refused("key,seconds\nx,1\n", "is no journal");
    refused("{\"t\":\"run\",\"version\":1}\n", "is no journal");
    refused("{\"t\":\"journal\",\"vers", "is no journal");
    refused("{\"t\":\"journal\",\"version\":2}\n", "form 2, this version of Mobula reads form 1");
    refused("{\"t\":\"journal\",\"version\":1}\n", "line 1: no record: missing field");
    refused(&format!("{HEADER}\n{HEADER}\n"), "line 2: another journal begins");
    let missing = Recording::read_journal("/nowhere/j.jsonl").expect_err("there is no such file");
    assert!(missing.to_string().starts_with("`/nowhere/j.jsonl` cannot be read: "), "{missing}");
    assert_eq!(missing.line(), None);
}
