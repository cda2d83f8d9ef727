//! Recordings for the tests of reports.

use crate::monitor::{
    Ended, HookSnapshot, MemorySnapshot, Outcome, Record, Recorder, Recording, RunStatus,
};

/// A text that wants to be markup wherever it stands.
pub(super) const EVIL: &str = "</script><script>alert('x')</script><!--<b a=\"&amp;\">\u{2028}\0";

/// A run that failed: two workers, a task around others, two futures that overlap, one failure, memory, a spill.
/// Every text is [`EVIL`].
pub(super) fn failed() -> Recording {
    let evil = || EVIL.to_owned();
    let ended = |worker, from, to, task, bytes| {
        let (tasks, bytes) = (vec![task], vec![bytes]);
        Record::Ended(Ended { run: 7, worker, from, to, tasks, bytes, failed: false })
    };
    let memory = |at, bytes| {
        let memory = MemorySnapshot { bytes, resident: 9 * bytes, ..MemorySnapshot::default() };
        Record::Memory { at, memory }
    };
    let hooks = vec![HookSnapshot { callback: evil(), calls: 12, seconds: 0.000_5 }];
    let outcome = Outcome {
        status: RunStatus::Failed,
        error: Some(evil()),
        done: 4,
        failed: 1,
        skipped: 1,
        hooks,
        ..Outcome::default()
    };
    let failed =
        Ended { run: 7, worker: 1, from: 6000, to: 9000, failed: true, ..Ended::default() };
    recording([
        Record::Journal { version: 1, mobula: evil(), at: 0.0, unix_time: 1e9, pid: 7 },
        Record::WorkerUp { at: 0.0, worker: 0, pid: None },
        Record::WorkerUp { at: 0.0, worker: 1, pid: Some(4712) },
        Record::Run { at: 0.000_001, run: 7, tasks: 6, spared: 0 },
        Record::Keys {
            run: 7,
            first: 0,
            keys: (0..6).map(|n| format!("{EVIL}-{n}")).collect(),
            prefixes: vec![0, 0, 1, 1, 1, 0],
            new_prefixes: vec![evil(), "sum".to_owned()],
            needs: vec![vec![], vec![], vec![0], vec![1], vec![2, 3], vec![4]],
        },
        // A task that waited, and one that its thread did meanwhile.
        ended(0, 2000, 3000, 1, 300),
        ended(0, 1000, 5500, 0, 8),
        // Futures.
        ended(1, 1000, 4000, 2, 1_234_567),
        ended(1, 2000, 5000, 3, 0),
        memory(0.000_004, 500),
        memory(0.000_006, 900),
        Record::Ended(Ended { tasks: vec![4], bytes: vec![0], ..failed }),
        Record::Failed { at: 0.000_009, run: 7, task: 4, error: evil(), details: evil() },
        Record::GivenUp { at: 0.000_009, run: 7, task: 4, attempts: 1 },
        Record::Skipped { at: 0.000_009, run: 7, task: 5 },
        Record::Spilled { at: 0.000_009, run: Some(7), key: evil(), bytes: 300 },
        Record::WorkerDown { at: 0.000_009, worker: 1, why: evil() },
        Record::RunEnded { at: 0.000_01, run: 7, outcome },
    ])
}

pub(super) fn recording(records: impl IntoIterator<Item = Record>) -> Recording {
    let mut recorder = Recorder::new();
    for record in records {
        recorder.add(record);
    }
    recorder.finish()
}
