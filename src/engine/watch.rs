//! [`Watch`]: whether the workers of a run get on, as seen by one who has nothing to do.

use std::time::Duration;

use super::Run;

/// What an idle worker remembers of a run between two looks at it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Watch {
    started: usize,
    since: Duration,
}

impl Watch {
    /// For how long nobody has started a task of the run.
    pub(super) fn stalled(&mut self, run: &Run, now: Duration) -> Duration {
        let started = run.started();
        if started != self.started || self.since.is_zero() {
            *self = Self { started, since: now };
        }
        now.saturating_sub(self.since)
    }
}
