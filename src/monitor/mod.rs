//! Seeing work: what happens in a cluster, as numbers of this moment, as a stream of records, and as a
//! recording of all of it.
//!
//! | file | what it holds |
//! |---|---|
//! | `snapshot.rs` | [`Snapshot`]: how far all runs are, what workers do, what memory is taken, now |
//! | `record.rs` | [`Record`]: one thing that happened, as it stands on a line of a journal |
//! | `recording/` | [`Recording`]: all that happened in some time, from a live cluster or from a journal |
//! | `human.rs` | numbers as people read them |
//!
//! Nothing here decides anything, and nothing is paid for while nobody looks.

pub mod human;
mod record;
mod recording;
mod snapshot;

pub use record::{Ended, Outcome, Record};
pub use recording::{Incident, MemorySample, RecordedRun, Recording, Span};
pub use snapshot::{
    Counts, ErrorSnapshot, HookSnapshot, MemorySnapshot, PrefixSnapshot, RunSnapshot, RunStatus,
    Snapshot, StateSnapshot, Totals, WorkerKind, WorkerSnapshot, WorkerState,
};
