//! Seeing work: what happens in a cluster, as numbers of this moment, as a stream of records, and as a
//! recording of all of it.
//!
//! | file | what it holds |
//! |---|---|
//! | `snapshot.rs` | [`Snapshot`]: how far all runs are, what workers do, what memory is taken, now |
//! | `record.rs` | [`Record`]: one thing that happened, as it stands on a line of a journal |
//! | `handle.rs` | [`Monitor`]: the handle of those who look |
//! | `actor.rs` | the actor behind it, which looks ten times a second |
//! | `model.rs`, `accounts.rs` | what is known of a cluster, and of a run |
//! | `sources.rs`, `system.rs` | what is looked at, and what the operating system knows |
//! | `telling.rs`, `journal.rs`, `blocks.rs` | what happened, as records, in a file, and for live views |
//! | `recording/` | [`Recording`]: all that happened in some time, from a live cluster or from a journal |
//! | `human.rs` | numbers as people read them |
//!
//! Nothing here decides anything, and nothing is paid for while nobody looks.

mod accounts;
mod actor;
mod blocks;
mod handle;
pub mod human;
mod journal;
mod model;
mod record;
mod recording;
mod snapshot;
mod sources;
mod system;
mod telling;

pub use blocks::Block;
pub use handle::{Journal, LiveGraph, LiveRecording, Monitor, Update, Updates, Watch};
pub(crate) use handle::{WeakMonitor, refuse_on_arbiter};
pub use record::{Ended, Outcome, Record};
pub use recording::{
    Incident, JournalError, MemorySample, RecordedGraph, RecordedRun, Recorder, Recording, Span,
};
pub use snapshot::{
    Counts, ErrorSnapshot, HookSnapshot, MemorySnapshot, PREFIXES_SHOWN, PrefixSnapshot,
    RunSnapshot, RunStatus, Snapshot, StateSnapshot, Totals, WorkerKind, WorkerSnapshot,
    WorkerState,
};
pub(crate) use sources::Sources;
