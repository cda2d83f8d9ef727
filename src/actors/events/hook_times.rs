//! [`HookTimes`]: how long the callbacks of a run take. Measured only while somebody listens.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How often hooks of a run's callbacks were called, and how long that took.
#[derive(Debug, Default)]
pub(crate) struct HookTimes {
    /// By callback, in order of registration.
    callbacks: Box<[OfCallback]>,
}

#[derive(Debug)]
struct OfCallback {
    name: String,
    calls: AtomicU64,
    /// In nanoseconds.
    time: AtomicU64,
}

impl HookTimes {
    pub(crate) fn new(names: impl Iterator<Item = String>) -> Self {
        let of = |name| OfCallback { name, calls: AtomicU64::new(0), time: AtomicU64::new(0) };
        Self { callbacks: names.map(of).collect() }
    }

    /// A hook of a callback took so long.
    pub(crate) fn took(&self, callback: usize, time: Duration) {
        if let Some(of) = self.callbacks.get(callback) {
            of.calls.fetch_add(1, Ordering::Relaxed);
            let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            of.time.fetch_add(nanoseconds, Ordering::Relaxed);
        }
    }

    /// By callback: its name, how often hooks of it were called, how long they took together.
    pub(crate) fn read(&self) -> impl Iterator<Item = (&str, u64, Duration)> {
        self.callbacks.iter().map(|of| {
            let time = Duration::from_nanos(of.time.load(Ordering::Relaxed));
            (of.name.as_str(), of.calls.load(Ordering::Relaxed), time)
        })
    }
}
