//! [`CheckpointSummary`]: what a checkpoint has done so far.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::graph::Key;

/// What a [`Checkpoint`](super::Checkpoint) has done so far.
///
/// It prints as one line, and one more for each key prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckpointSummary {
    /// Values that were found and used: their tasks did not run.
    pub hits: u64,
    /// Values that were written.
    pub written: u64,
    /// What was read from files, in bytes.
    pub bytes_read: u64,
    /// What was written to files, in bytes.
    pub bytes_written: u64,
    /// Values that would have been kept but cannot be: their task has no fingerprint, there is no way back
    /// from bytes to their type, or the files would take more than was allowed.
    pub skipped: u64,
    /// Values that were not written or read because the disk failed.
    pub failed: u64,
    /// Files that were not what had been written; they were removed.
    pub damaged: u64,
    /// Hits and written values by [`Key::prefix`].
    pub by_prefix: BTreeMap<String, CheckpointCounts>,
}

/// What a checkpoint has done for the keys of one prefix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckpointCounts {
    /// Values that were found and used.
    pub hits: u64,
    /// Values that were written.
    pub written: u64,
}

impl fmt::Display for CheckpointSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { hits, written, bytes_read, bytes_written, .. } = self;
        write!(
            f,
            "{hits} resumed ({bytes_read} bytes), {written} written ({bytes_written} bytes)"
        )?;
        for (count, what) in
            [(self.skipped, "skipped"), (self.failed, "failed"), (self.damaged, "damaged")]
        {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        for (prefix, CheckpointCounts { hits, written }) in &self.by_prefix {
            write!(f, "\n  {prefix}: {hits} resumed, {written} written")?;
        }
        Ok(())
    }
}

/// The counts while they grow, and what was complained of already.
#[derive(Debug, Default)]
pub(super) struct Counts(Mutex<(CheckpointSummary, BTreeSet<String>)>);

impl Counts {
    pub(super) fn summary(&self) -> CheckpointSummary {
        self.lock().0.clone()
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut CheckpointSummary)) {
        change(&mut self.lock().0);
    }

    pub(super) fn hit(&self, key: &Key) {
        let summary = &mut self.lock().0;
        summary.hits += 1;
        summary.by_prefix.entry(key.prefix().into_owned()).or_default().hits += 1;
    }

    pub(super) fn written(&self, key: &Key, bytes: u64) {
        let summary = &mut self.lock().0;
        summary.written += 1;
        summary.bytes_written += bytes;
        summary.by_prefix.entry(key.prefix().into_owned()).or_default().written += 1;
    }

    /// Counts a value that is not kept, and says why if that was not said of `what` before.
    pub(super) fn skipped(&self, what: &str, reason: impl FnOnce() -> String) {
        let is_new = {
            let (summary, said) = &mut *self.lock();
            summary.skipped += 1;
            // Looked for first: most often it is there, and needs no string of its own.
            !said.contains(what) && said.insert(what.to_owned())
        };
        if is_new {
            log::warn!("{}", reason());
        }
    }

    fn lock(&self) -> MutexGuard<'_, (CheckpointSummary, BTreeSet<String>)> {
        // Nothing panics under the lock; were it poisoned, the content would still be whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::Counts;

    #[test]
    fn a_summary_prints_what_there_is() {
        let counts = Counts::default();
        assert_eq!(counts.summary().to_string(), "0 resumed (0 bytes), 0 written (0 bytes)");
        counts.hit(&("load", 1).into());
        counts.written(&"sum".into(), 70);
        counts.skipped("u8", String::new);
        assert_eq!(
            counts.summary().to_string(),
            "1 resumed (0 bytes), 1 written (70 bytes), 1 skipped\n  \
             load: 1 resumed, 0 written\n  sum: 0 resumed, 1 written"
        );
    }
}
