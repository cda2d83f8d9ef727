//! [`Crew`]: what the worker threads of a cluster share; the list of active runs, and who sleeps.
//!
//! # Sleeping and waking
//!
//! A worker that finds nothing to do looks around for a few microseconds, as long as some run is going
//! on, and then sleeps. Nobody sleeps through work:
//!
//! - Before it sleeps a worker puts itself on the list of sleepers and *then* looks at the list of runs
//!   once more. Whoever adds a run changes the list of runs and *then* wakes somebody from the list of
//!   sleepers. Both lists are locked, so one of the two sees what the other did.
//! - Whoever leaves work in its lane looks at the number of sleepers without a lock. It may miss one
//!   that is just falling asleep; so while runs are going on, sleep is bounded, and a sleeper looks around
//!   again after a quarter of a millisecond, then after twice that, up to ten milliseconds. The same bound
//!   covers work that did not pay to be shared when it came but does now.
//!
//! A thread that waits inside a task (for a nested run) is no sleeper; it is woken when there is nobody
//! else, because it may be the only one there is.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use super::super::events::Events;
use super::active::ActiveRun;
use super::environment::Surroundings;
use super::process::Fleet;
use crate::engine::{RunId, WorkerId};

/// What all workers of a cluster share.
pub(crate) struct Crew {
    /// The runs that are not over, oldest first; replaced as a whole, changed by the scheduler alone.
    runs: Mutex<Arc<Vec<Arc<ActiveRun>>>>,
    /// Counts the changes of `runs`, so that a worker need not lock it to see that it is the same.
    version: AtomicU64,
    sleepers: Mutex<Vec<(WorkerId, Thread)>>,
    /// The length of `sleepers`; written under its lock.
    sleeping: AtomicUsize,
    /// Threads that wait inside a task.
    waiting: Mutex<Vec<Thread>>,
    events: Arc<Events>,
    surroundings: Surroundings,
    /// The processes in which tasks can be called, if the cluster has such.
    fleet: Option<Arc<Fleet>>,
    /// In a cluster without threads of its own: held by the thread that is its worker just now.
    seat: Option<Mutex<()>>,
    /// The origin of the clock that workers and those who watch them share.
    began: Instant,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code of a user runs under these locks, and no change under them can be left half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Crew {
    pub(crate) fn new(
        events: Arc<Events>,
        surroundings: Surroundings,
        fleet: Option<Arc<Fleet>>,
        inline: bool,
    ) -> Self {
        #[expect(clippy::disallowed_methods, reason = "the origin of the cluster's clock")]
        let began = Instant::now();
        Self {
            runs: Mutex::default(),
            version: AtomicU64::new(0),
            sleepers: Mutex::default(),
            sleeping: AtomicUsize::new(0),
            waiting: Mutex::default(),
            events,
            surroundings,
            fleet,
            seat: inline.then(Mutex::default),
            began,
        }
    }

    /// How long the cluster has been there.
    pub(crate) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// What the work of the workers is surrounded with.
    pub(super) fn surroundings(&self) -> &Surroundings {
        &self.surroundings
    }

    /// The processes in which tasks can be called, if the cluster has such.
    pub(crate) fn fleet(&self) -> Option<&Arc<Fleet>> {
        self.fleet.as_ref()
    }

    /// True if there are no threads but those that wait.
    pub(super) fn is_inline(&self) -> bool {
        self.seat.is_some()
    }

    /// The right to be the worker of a cluster without threads of its own, if nobody has it.
    pub(super) fn try_sit(&self) -> Option<MutexGuard<'_, ()>> {
        let seat = self.seat.as_ref()?;
        match seat.try_lock() {
            Ok(seat) => Some(seat),
            Err(TryLockError::Poisoned(seat)) => Some(seat.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Where it is told what happens.
    pub(crate) fn events(&self) -> &Arc<Events> {
        &self.events
    }

    /// The active runs, with the version of the list.
    pub(crate) fn runs(&self) -> (u64, Arc<Vec<Arc<ActiveRun>>>) {
        let runs = lock(&self.runs);
        (self.version.load(Ordering::Acquire), Arc::clone(&runs))
    }

    /// The version of the list of runs.
    #[inline]
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    pub(crate) fn add_run(&self, active: Arc<ActiveRun>) {
        self.change_runs(|runs| runs.push(active));
    }

    pub(crate) fn remove_run(&self, id: RunId) {
        self.change_runs(|runs| runs.retain(|active| active.run.id() != id));
    }

    fn change_runs(&self, change: impl FnOnce(&mut Vec<Arc<ActiveRun>>)) {
        let mut runs = lock(&self.runs);
        let mut changed = Vec::clone(&runs);
        change(&mut changed);
        let old = std::mem::replace(&mut *runs, Arc::new(changed));
        self.version.fetch_add(1, Ordering::Release);
        drop(runs);
        drop(old);
    }

    /// Puts a worker on the list of sleepers. It looks around once more before it sleeps.
    pub(super) fn falls_asleep(&self, worker: WorkerId) {
        let mut sleepers = lock(&self.sleepers);
        sleepers.push((worker, std::thread::current()));
        self.sleeping.store(sleepers.len(), Ordering::SeqCst);
    }

    /// Takes a worker off the list of sleepers, if it still is on it.
    pub(super) fn is_awake(&self, worker: WorkerId) {
        let mut sleepers = lock(&self.sleepers);
        sleepers.retain(|(other, _)| *other != worker);
        self.sleeping.store(sleepers.len(), Ordering::SeqCst);
    }

    /// True if nobody has woken the worker since it fell asleep.
    pub(super) fn is_sleeping(&self, worker: WorkerId) -> bool {
        lock(&self.sleepers).iter().any(|(other, _)| *other == worker)
    }

    /// True if somebody sleeps. It may be out of date.
    #[inline]
    pub(super) fn anybody_sleeps(&self) -> bool {
        self.sleeping.load(Ordering::Relaxed) > 0
    }

    /// Wakes a certain worker; if it does not sleep, somebody else, as it may be busy for long.
    pub(crate) fn wake(&self, worker: WorkerId) {
        let mut sleepers = lock(&self.sleepers);
        let Some(at) = sleepers.iter().position(|(other, _)| *other == worker) else {
            drop(sleepers);
            return self.wake_one();
        };
        let (_, thread) = sleepers.swap_remove(at);
        self.sleeping.store(sleepers.len(), Ordering::SeqCst);
        drop(sleepers);
        thread.unpark();
    }

    /// Wakes a sleeper, or else those who wait inside a task.
    pub(crate) fn wake_one(&self) {
        let mut sleepers = lock(&self.sleepers);
        let woken = sleepers.pop();
        self.sleeping.store(sleepers.len(), Ordering::SeqCst);
        drop(sleepers);
        match woken {
            Some((_, thread)) => thread.unpark(),
            None => lock(&self.waiting).iter().for_each(Thread::unpark),
        }
    }

    pub(super) fn waits(&self) {
        lock(&self.waiting).push(std::thread::current());
    }

    pub(super) fn waits_no_more(&self) {
        let this = std::thread::current().id();
        let mut waiting = lock(&self.waiting);
        if let Some(at) = waiting.iter().position(|thread| thread.id() == this) {
            waiting.swap_remove(at);
        }
    }
}

impl std::fmt::Debug for Crew {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Crew").field("runs", &lock(&self.runs).len()).finish_non_exhaustive()
    }
}
