//! [`Policy`]: what is said of a run as a whole, and what follows from it for each of its tasks.
//!
//! What is said of a task itself (in its graph) comes before what is said of its run.

use std::time::Duration;

use super::guard::Guard;
use super::poison::Poison;
use super::{Run, TaskId};
use crate::graph::{Backoff, RetryOn, TaskOptions};

/// How a run goes about failures and time. The default is what a plain `get` does: one attempt for
/// each task that says nothing else, no limits, and the first failure ends the run.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// What holds for the tasks that say nothing else.
    pub tasks: TaskOptions,
    /// How long the run may take, from the moment in which its tasks may start.
    pub time_limit: Option<Duration>,
    /// What a task that failed for good means to the others.
    pub on_error: OnError,
    /// Where the functions of the tasks are called.
    pub placement: Placement,
    /// True if also a wanted value may stay in the process that made it, if it cannot leave: it is wanted
    /// by tasks of another run, which go there.
    pub outputs_may_stay: bool,
}

/// Where the functions of a run's tasks are called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Placement {
    /// In the workers' threads.
    #[default]
    Threads,
    /// In processes of the workers, if the cluster has such ([`ClusterBuilder::processes`]) and the
    /// function can be called there; else in the workers' threads.
    ///
    /// [`ClusterBuilder::processes`]: crate::ClusterBuilder::processes
    Processes,
    /// In the workers' threads at first; then the tasks with such key prefixes as would gain by it are
    /// called in processes. [`Client::explain`](crate::Client::explain) says where and why.
    Auto,
}

/// What a task that failed for good means to the rest of its run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// The run fails with it, at once.
    #[default]
    Raise,
    /// What needs its value is skipped, everything else goes on, and the run answers. A wanted key
    /// without a value is answered by a [`Missing`](crate::Missing).
    Skip,
    /// As `Skip`, but at the end the run fails, with all failures.
    Collect,
}

impl Run {
    /// The same run with another policy. To be said before the run starts.
    #[must_use]
    pub fn under(mut self, policy: Policy) -> Self {
        self.policy = policy;
        if self.shortest_limit().is_some() {
            self.guards = self.lanes.iter().map(|_| Guard::new()).collect();
            self.poison = Poison::careful();
        }
        self
    }

    /// What is said of the run as a whole.
    #[inline]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// True if a task may need more than a plain call: the run has time limits, or has outlived a
    /// failure.
    #[inline]
    pub fn needs_care(&self) -> bool {
        self.poison.is_careful()
    }

    /// How often a task may be tried again.
    #[inline]
    pub fn retries(&self, task: TaskId) -> u32 {
        self.plan().retries(task).or(self.policy().tasks.retries).unwrap_or(0)
    }

    /// How long to wait before a task is tried again.
    pub fn backoff(&self, task: TaskId) -> Backoff {
        let own = self.plan().options(task).and_then(|options| options.backoff);
        own.or(self.policy().tasks.backoff).unwrap_or_default()
    }

    /// Which failures of a task are tried again.
    pub fn retry_on(&self, task: TaskId) -> &RetryOn {
        let own = self.plan().options(task).map(|options| &options.retry_on);
        own.filter(|own| !own.is_anything()).unwrap_or(&self.policy().tasks.retry_on)
    }

    /// How long an attempt of a task may take.
    pub fn time_limit(&self, task: TaskId) -> Option<Duration> {
        let own = self.plan().options(task).and_then(|options| options.time_limit);
        own.or(self.policy().tasks.time_limit)
    }

    /// The shortest time limit that a task of this run has.
    pub fn shortest_limit(&self) -> Option<Duration> {
        let limits = [self.plan().shortest_limit(), self.policy().tasks.time_limit];
        limits.into_iter().flatten().min()
    }
}
