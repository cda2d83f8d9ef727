//! What the values in the store weigh: counts and bytes, written by many threads at once.
//!
//! Each worker writes a shard of its own, so that counting costs no exchange between processors; a
//! reader adds the shards up. The ledger decides nothing and holds no value.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use super::ids::{WorkerId, spares};
use super::padded::Padded;
use crate::value::Value;

/// The counts of all values in the store.
#[derive(Debug)]
pub struct Ledger {
    /// By worker; then one for asynchronous tasks, the spare ones, and the last one for everybody else.
    shards: Box<[Padded<Shard>]>,
    /// The greatest number of bytes that was seen at once.
    peak: AtomicU64,
}

#[derive(Debug, Default)]
struct Shard {
    /// Differences: a value may come in one shard and go in another one.
    values: AtomicI64,
    bytes: AtomicI64,
}

/// What the store holds at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// How many values, in memory or not.
    pub values: u64,
    /// How many bytes those in memory are counted with.
    pub bytes: u64,
    /// The most bytes that were in memory at once, as sampled by the workers every fraction of a millisecond and
    /// whenever a large value came.
    pub peak_bytes: u64,
}

impl Ledger {
    /// A ledger for so many workers.
    pub fn new(workers: usize) -> Self {
        Self {
            shards: (0..workers + spares(workers).len() + 2).map(|_| Padded::default()).collect(),
            peak: AtomicU64::new(0),
        }
    }

    /// A value came. Only `worker` itself may call this with its number.
    #[inline]
    pub(crate) fn came(&self, worker: WorkerId, value: &Value) {
        self.shards[worker.index()].add(1, bytes_of(value.bytes()));
    }

    /// A value went. Only `worker` itself may call this with its number.
    #[inline]
    pub(crate) fn went(&self, worker: WorkerId, value: &Value) {
        self.shards[worker.index()].add(-1, -bytes_of(value.bytes()));
    }

    /// Values came or went. Only `worker` itself may call this with its number.
    #[inline]
    pub(crate) fn count(&self, worker: WorkerId, values: i64, bytes: i64) {
        self.shards[worker.index()].add(values, bytes);
    }

    /// Values came or went, or changed their place, in a thread that is no worker.
    pub fn add(&self, values: i64, bytes: i64) {
        let shard = self.shards.last().expect("there is a shard for everybody else");
        shard.values.fetch_add(values, Ordering::Relaxed);
        shard.bytes.fetch_add(bytes, Ordering::Relaxed);
        if bytes > 0 {
            self.sample();
        }
    }

    /// Compares what is held now with the peak, and answers it.
    pub(crate) fn sample(&self) -> u64 {
        let bytes = self.bytes();
        if bytes > self.peak.load(Ordering::Relaxed) {
            self.peak.fetch_max(bytes, Ordering::Relaxed);
        }
        bytes
    }

    /// How many bytes are held now.
    pub(crate) fn bytes(&self) -> u64 {
        self.sum(|shard| &shard.bytes)
    }

    /// What is held now.
    pub fn holdings(&self) -> Holdings {
        let (values, bytes) = (self.sum(|shard| &shard.values), self.sum(|shard| &shard.bytes));
        let peak_bytes = self.peak.load(Ordering::Relaxed).max(bytes);
        Holdings { values, bytes, peak_bytes }
    }

    fn sum(&self, part: impl Fn(&Shard) -> &AtomicI64) -> u64 {
        let sum: i64 = self.shards.iter().map(|shard| part(shard).load(Ordering::Relaxed)).sum();
        // While others count, a value's going may be seen before its coming.
        u64::try_from(sum).unwrap_or(0)
    }
}

impl Shard {
    /// Adds without a locked instruction: a shard has one writer.
    #[inline]
    fn add(&self, values: i64, bytes: i64) {
        self.values.store(self.values.load(Ordering::Relaxed) + values, Ordering::Relaxed);
        self.bytes.store(self.bytes.load(Ordering::Relaxed) + bytes, Ordering::Relaxed);
    }
}

/// Sizes as signed numbers; no value has more bytes than an `i64` counts.
#[inline]
pub(super) fn bytes_of(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// A value's size as a change of the ledger.
#[inline]
pub(crate) fn signed_bytes(value: &Value) -> i64 {
    bytes_of(value.bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_may_come_in_one_worker_and_go_in_another() {
        let ledger = Ledger::new(2);
        let value = Value::new(vec![0_u8; 1000]);
        ledger.came(WorkerId(0), &value);
        assert_eq!(ledger.holdings().bytes, 1024);
        ledger.sample();
        ledger.went(WorkerId(1), &value);
        ledger.add(1, 8);
        let now = Holdings { values: 1, bytes: 8, peak_bytes: 1024 };
        assert_eq!(ledger.holdings(), now);
    }
}
