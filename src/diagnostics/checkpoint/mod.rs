//! Checkpoints: values that outlive their process, so that the next one goes on where it crashed.
//!
//! `callback` decides what is kept and asks for what there is, `writer` is the thread that writes,
//! `directory` the files, `summary` what is counted. Which value is which is told by
//! [`Fingerprint`](crate::Fingerprint)s, how one stands in a file by the `spill` floor.

mod callback;
mod directory;
mod summary;
mod writer;

pub use callback::Checkpoint;
pub use summary::{CheckpointCounts, CheckpointSummary};
