//! A snapshot to show, for tests.

use crate::monitor::{Counts, PrefixSnapshot, RunSnapshot, Snapshot};

pub(super) fn counts(total: u64, done: u64, running: u64) -> Counts {
    Counts { total, done, running, waiting: total - done - running, ..Counts::default() }
}

pub(super) fn prefix(name: &str, counts: Counts) -> PrefixSnapshot {
    PrefixSnapshot { name: name.to_owned(), counts, ..PrefixSnapshot::default() }
}

/// A run of 2,000 tasks with three prefixes, half over.
pub(super) fn run() -> RunSnapshot {
    let clean = Counts { failed: 2, skipped: 3, cached: 15, ..counts(1000, 230, 8) };
    RunSnapshot {
        id: 7,
        began: 10.0,
        counts: Counts { failed: 2, skipped: 3, cached: 15, ..counts(2001, 1230, 8) },
        prefixes: vec![
            PrefixSnapshot {
                bytes: 3 << 30,
                task_seconds: 65.0,
                ..prefix("load", counts(1000, 1000, 0))
            },
            PrefixSnapshot { bytes: 1 << 20, ..prefix("clean", clean) },
            prefix("total", counts(1, 0, 0)),
        ],
        rate: 12_345.0,
        seconds_left: Some(4.2),
        bytes: (3 << 30) + (1 << 20),
        ..RunSnapshot::default()
    }
}

pub(super) fn snapshot() -> Snapshot {
    Snapshot { at: 30.0, runs: vec![run()], ..Snapshot::default() }
}
