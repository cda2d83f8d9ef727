//! A snapshot and a journal to show.

use crate::monitor::{
    Counts, ErrorSnapshot, MemorySnapshot, PrefixSnapshot, RunSnapshot, RunStatus, Snapshot,
    Totals, WorkerKind, WorkerSnapshot, WorkerState,
};

/// One run of three tasks, of which one failed.
pub(in crate::command) const JOURNAL: &str = r#"{"t":"journal","version":1,"mobula":"0.1.0","at":0.0,"unix_time":1.0,"pid":7}
{"t":"worker_up","at":0.0,"worker":0}
{"t":"run","at":0.5,"run":1,"tasks":3}
{"t":"keys","run":1,"first":0,"keys":["load-1","load-2","sum"],"prefixes":[0,0,1],"new_prefixes":["load","sum"],"needs":[[],[],[0,1]]}
{"t":"ended","run":1,"worker":0,"from":500000000,"to":600000000,"tasks":[0],"bytes":[8]}
{"t":"ended","run":1,"worker":0,"from":600000000,"to":700000000,"tasks":[1],"bytes":[8]}
{"t":"ended","run":1,"worker":0,"from":700000000,"to":710000000,"tasks":[2],"bytes":[0],"failed":true}
{"t":"run_ended","at":0.72,"run":1,"status":"failed","error":"sum failed","done":2,"cached":0,"failed":1,"skipped":0,"hooks":[]}
"#;

fn counts(total: u64, done: u64, running: u64) -> Counts {
    Counts { total, done, running, waiting: total - done - running, ..Counts::default() }
}

/// A cluster of three workers in the middle of its second run.
pub(in crate::command) fn snapshot() -> Snapshot {
    let before = RunSnapshot {
        id: 1,
        status: RunStatus::Failed,
        began: 10.0,
        ended: Some(12.5),
        counts: Counts { failed: 1, ..counts(10, 9, 0) },
        error: Some("task bad failed: no such file".to_owned()),
        ..RunSnapshot::default()
    };
    let prefix = |name: &str, counts| PrefixSnapshot {
        name: name.to_owned(),
        counts,
        ..PrefixSnapshot::default()
    };
    let now = RunSnapshot {
        id: 2,
        began: 120.0,
        counts: counts(1000, 600, 2),
        prefixes: vec![prefix("load", counts(500, 500, 0)), prefix("clean", counts(500, 100, 2))],
        rate: 120.0,
        seconds_left: Some(3.3),
        bytes: 5 << 20,
        ..RunSnapshot::default()
    };
    let busy = WorkerSnapshot {
        state: WorkerState::Busy,
        task: Some("('clean', 101)".to_owned()),
        run: Some(2),
        tasks: 1300,
        busy: 0.97,
        ..WorkerSnapshot::default()
    };
    let child = WorkerSnapshot {
        id: 1,
        kind: WorkerKind::Process,
        pid: Some(77),
        resident: Some(80 << 20),
        ..busy.clone()
    };
    let idle = WorkerSnapshot { id: 2, tasks: 7, ..WorkerSnapshot::default() };
    let error = ErrorSnapshot {
        at: 12.0,
        run: Some(1),
        key: "bad".to_owned(),
        error: "no such file".to_owned(),
        is_final: true,
        ..ErrorSnapshot::default()
    };
    Snapshot {
        at: 125.0,
        version: "0.1.0".to_owned(),
        pid: 4242,
        workers: vec![busy, child, idle],
        runs: vec![before, now],
        memory: MemorySnapshot {
            limit: Some(1 << 30),
            values: 500,
            bytes: 300 << 20,
            spilled_values: 20,
            spilled_bytes: 50 << 20,
            disk_bytes: 30 << 20,
            resident: 900 << 20,
            resident_workers: 80 << 20,
        },
        totals: Totals { runs: 2, tasks: 609, failed: 1, ..Totals::default() },
        errors: vec![error],
        ..Snapshot::default()
    }
}
