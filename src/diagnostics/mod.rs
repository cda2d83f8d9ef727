//! Ready-made callbacks: timing, caching, logging.

mod timer;

pub use timer::{Durations, TimerCallback};
