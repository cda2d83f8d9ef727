//! Ready-made callbacks: timing, caching, checkpoints, logging; and progress for people.

pub mod cache;
mod checkpoint;
mod log;
pub mod progress;
mod shards;
mod timer;

pub use cache::{CacheCallback, CacheStats, SimpleCacheActor};
pub use checkpoint::{Checkpoint, CheckpointCounts, CheckpointSummary};
pub use log::LogCallback;
pub use timer::{Durations, TimerCallback};
