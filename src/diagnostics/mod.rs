//! Ready-made callbacks: timing, caching, logging.

pub mod cache;
mod log;
mod shards;
mod timer;

pub use cache::{CacheCallback, CacheStats, SimpleCacheActor};
pub use log::LogCallback;
pub use timer::{Durations, TimerCallback};
