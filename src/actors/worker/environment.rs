//! [`WorkerEnvironment`]: what a worker's thread is surrounded with, for functions of another language.
//!
//! A foreign runtime often has a lock that its functions need (an interpreter lock). Taking it for each
//! call would cost more than a short task; so a worker is told to take it around a whole *spell* of work,
//! and to give it back around everything that waits. What the lock is, nobody here knows.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::engine::{Run, Watch, WorkerId};

/// What has to be around the work of a worker's thread.
///
/// All methods that are given a body must call it exactly once.
pub trait WorkerEnvironment: std::fmt::Debug + Send + Sync + 'static {
    /// Around the whole life of a worker's thread.
    fn thread(&self, body: &mut dyn FnMut()) {
        body();
    }

    /// Around a spell of work: many tasks, one after the other. It may wait before the body.
    fn work(&self, body: &mut dyn FnMut()) {
        body();
    }

    /// Around a wait, which may be inside a spell of this thread.
    fn wait(&self, body: &mut dyn FnMut()) {
        body();
    }

    /// Whether one more worker should join those that are in a spell. Asked often, and only if there is
    /// somebody in one; it must not wait.
    fn admits(&self) -> bool {
        true
    }

    /// Asked now and then, between two tasks of a spell: whether the worker may go on. One that is alone
    /// in a spell goes on in any case.
    fn goes_on(&self) -> bool {
        true
    }
}

/// The environment of a cluster, and who is in it.
pub(crate) struct Surroundings {
    environment: Option<Arc<dyn WorkerEnvironment>>,
    /// How many workers are in a spell and do not wait.
    inside: AtomicUsize,
}

/// The least work that is worth a further worker in a spell: entering an interpreter that somebody is
/// in costs both of them a switch.
const JOINING: Duration = Duration::from_millis(1);

impl Surroundings {
    pub(crate) fn new(environment: Option<Arc<dyn WorkerEnvironment>>) -> Self {
        Self { environment, inside: AtomicUsize::new(0) }
    }

    pub(super) fn thread(&self, body: &mut dyn FnMut()) {
        match &self.environment {
            Some(environment) => environment.thread(body),
            None => body(),
        }
    }

    /// A spell.
    pub(super) fn work(&self, body: &mut dyn FnMut()) {
        let Some(environment) = &self.environment else { return body() };
        self.inside.fetch_add(1, Ordering::AcqRel);
        let _left = Later(|| {
            self.inside.fetch_sub(1, Ordering::AcqRel);
        });
        environment.work(body);
    }

    /// Whether one who looks for work may begin a spell: it is the first, or joining the others is allowed
    /// and worth it.
    pub(super) fn admits(&self, worth: impl FnOnce() -> bool) -> bool {
        let Some(environment) = &self.environment else { return true };
        self.inside.load(Ordering::Acquire) == 0 || (environment.admits() && worth())
    }

    /// A wait, on a thread that may be in a spell.
    pub(super) fn wait(&self, body: &mut dyn FnMut()) {
        let Some(environment) = &self.environment else { return body() };
        self.inside.fetch_sub(1, Ordering::AcqRel);
        let _back = Later(|| {
            self.inside.fetch_add(1, Ordering::AcqRel);
        });
        environment.wait(body);
    }

    /// Whether a worker in a spell may go on after the task that it has done.
    pub(super) fn goes_on(&self) -> bool {
        match &self.environment {
            Some(environment) => self.inside.load(Ordering::Relaxed) <= 1 || environment.goes_on(),
            None => true,
        }
    }

    /// Whether `worker`, which is in a spell, has work that is worth waking somebody for.
    #[inline]
    pub(super) fn sharing_pays(&self, run: &Run, worker: WorkerId) -> bool {
        match &self.environment {
            None => run.sharing_pays(worker),
            Some(environment) => run.sharing_pays_at(worker, JOINING) && environment.admits(),
        }
    }

    /// Whether `worker` finds work in a run that is worth joining those who are at it.
    pub(super) fn joining_pays(
        run: &Run,
        worker: WorkerId,
        watch: &mut Watch,
        now: Duration,
    ) -> bool {
        run.is_running() && run.joining_pays(worker, watch, now, JOINING)
    }

    pub(super) fn is_plain(&self) -> bool {
        self.environment.is_none()
    }
}

/// Calls what it holds when it is dropped.
struct Later<F: Fn()>(F);

impl<F: Fn()> Drop for Later<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

impl std::fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Surroundings")
            .field("environment", &self.environment)
            .field("inside", &self.inside)
            .finish()
    }
}
