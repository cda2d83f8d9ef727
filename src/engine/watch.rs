//! [`Watch`]: whether the workers of a run get on, as seen by one who has nothing to do.

use std::time::Duration;

use super::Run;

/// What an idle worker remembers of a run between two looks at it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Watch {
    started: usize,
    since: Duration,
    /// True for one who takes whatever there is.
    is_eager: bool,
}

impl Watch {
    /// The watch of one who can do nothing else before the run goes on: every task is worth taking.
    pub fn eager() -> Self {
        Self { is_eager: true, ..Self::default() }
    }

    /// For how long nobody has started a task of the run, as far as this watch has seen.
    pub fn stalled(&mut self, run: &Run, now: Duration) -> Duration {
        if self.is_eager {
            return Duration::MAX;
        }
        let started = run.started();
        if started != self.started || self.since.is_zero() {
            *self = Self { started, since: now, is_eager: false };
        }
        now.saturating_sub(self.since)
    }
}
