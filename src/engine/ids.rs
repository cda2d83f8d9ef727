//! The numbers by which runs and workers are known. They are given out by the actors.

use std::fmt;

/// One run: one `get` of one graph. Never used twice in a process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub u64);

/// A worker's place in its cluster. A worker that takes a lost one's place takes its number; one that
/// stands in for a worker that is stuck takes a free number, because the other one still lives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(pub u32);

/// How many numbers a cluster of so many workers has beside theirs, for workers that stand in for
/// others whose thread is stuck in a call. They follow behind the number for asynchronous tasks, which
/// itself follows behind the workers'.
pub fn spares(workers: usize) -> impl ExactSizeIterator<Item = WorkerId> {
    let first = u32::try_from(workers).unwrap_or(u32::MAX).saturating_add(1);
    let count = u32::try_from(workers.clamp(2, 8)).unwrap_or(8);
    (first..first.saturating_add(count)).map(WorkerId)
}

impl WorkerId {
    /// The number as an index.
    #[inline]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "w{}", self.0)
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
