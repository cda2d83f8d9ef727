//! [`Fleet`]: what the child processes of a cluster share: how they are started, who is there, who knows
//! which segment.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError, Weak};

use bytes::Bytes;

use super::super::active::ActiveRun;
use super::outlet::Outlet;
use super::program::Processes;
use crate::engine::{Chooser, RunId, TaskId, Ticket, WorkerId};
use crate::process::wire::ToChild;
use crate::process::{Segment, SegmentId};

/// What the child processes of a cluster share.
pub(crate) struct Fleet {
    program: Arc<dyn Processes>,
    /// True if each worker starts its child before it is needed.
    pub(super) starts_at_once: bool,
    /// Counts the children that there have been.
    children: AtomicU32,
    registry: Arc<Registry>,
    /// Tasks that must run in a certain child, because an input has stayed there.
    bound: Mutex<Vec<(u32, Arc<ActiveRun>, Ticket)>>,
    /// By child: the worker whose it is.
    seats: Mutex<HashMap<u32, WorkerId>>,
    /// By worker: the system's number of its child's process, and the task that this is in, as far as somebody
    /// has looked.
    seen: Mutex<BTreeMap<WorkerId, ChildLook>>,
    /// By run: how many of its calls are under way.
    busy: Mutex<HashMap<RunId, usize>>,
    /// Runs that are over and whose calls are to end at once.
    to_kill: Mutex<HashSet<RunId>>,
    /// Where tasks are called in runs that leave it open.
    chooser: Mutex<Chooser>,
    /// True while a thread watches such runs.
    pub(super) is_sampling: AtomicBool,
    /// Wakes a worker that sleeps.
    wake: Mutex<Option<Wake>>,
    /// What was told of segments that lie where they should not, each once.
    told: Mutex<HashSet<String>>,
}

/// A child, seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChildLook {
    /// The system's number of its process.
    pub(crate) process: u32,
    /// The task that it was in when somebody looked.
    pub(crate) task: Option<(RunId, TaskId)>,
}

/// Wakes a worker.
type Wake = Arc<dyn Fn(WorkerId) + Send + Sync>;

/// Who is there, and who knows what.
#[derive(Default)]
struct Registry {
    /// By child: the way to it.
    outlets: Mutex<HashMap<u32, Weak<Outlet>>>,
    /// By segment: the children that know it, its maker left out.
    knowers: Mutex<BTreeMap<SegmentId, Vec<u32>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code of a user runs under these locks, and no change under them can be left half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Fleet {
    pub(crate) fn new(program: Arc<dyn Processes>, starts_at_once: bool) -> Self {
        Self {
            program,
            starts_at_once,
            children: AtomicU32::new(0),
            registry: Arc::default(),
            bound: Mutex::default(),
            seats: Mutex::default(),
            seen: Mutex::default(),
            busy: Mutex::default(),
            to_kill: Mutex::default(),
            chooser: Mutex::default(),
            is_sampling: AtomicBool::new(false),
            wake: Mutex::default(),
            told: Mutex::default(),
        }
    }

    pub(super) fn chooser(&self) -> MutexGuard<'_, Chooser> {
        lock(&self.chooser)
    }

    /// True if there are children.
    pub(super) fn is_warm(&self) -> bool {
        !lock(&self.seats).is_empty()
    }

    pub(super) fn program(&self) -> &Arc<dyn Processes> {
        &self.program
    }

    /// The number of the next child, from 1: 0 is the parent.
    pub(super) fn next_child(&self) -> u32 {
        // Each large value that processes share is an open file.
        static RAISED: Once = Once::new();
        RAISED.call_once(|| {
            crate::process::raise_descriptor_limit();
        });
        if self.children.load(Ordering::Relaxed) == 0 {
            crate::process::share_in(self.program.media());
        }
        self.children.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(super) fn greeting(&self, number: u32) -> ToChild {
        let greeting = Bytes::from(self.program.greeting());
        ToChild::Greet { number, media: self.program.media(), greeting }
    }

    /// A child is there.
    pub(super) fn joined(&self, number: u32, outlet: &Arc<Outlet>) {
        lock(&self.registry.outlets).insert(number, Arc::downgrade(outlet));
        self.program.started(number);
    }

    /// Says whose a child is, and which process.
    pub(super) fn sits_at(&self, number: u32, worker: WorkerId, process: u32) {
        lock(&self.seats).insert(number, worker);
        lock(&self.seen).insert(worker, ChildLook { process, task: None });
    }

    /// Says which task the child of a worker is in.
    pub(super) fn is_in(&self, worker: WorkerId, task: Option<(RunId, TaskId)>) {
        if let Some(look) = lock(&self.seen).get_mut(&worker) {
            look.task = task;
        }
    }

    /// Those children that are there, by worker.
    pub(crate) fn children(&self) -> Vec<(WorkerId, ChildLook)> {
        lock(&self.seen).iter().map(|(worker, look)| (*worker, *look)).collect()
    }

    /// A child is gone.
    pub(super) fn left(&self, number: u32) {
        lock(&self.registry.outlets).remove(&number);
        let worker = lock(&self.seats).remove(&number);
        if let Some(worker) = worker {
            lock(&self.seen).remove(&worker);
        }
        for knowers in lock(&self.registry.knowers).values_mut() {
            knowers.retain(|knower| *knower != number);
        }
        self.program.ended(number);
    }

    /// Wakes the worker of a child that has closed its output, or says something while the worker sleeps.
    pub(super) fn wake_worker_of(&self, number: u32) {
        if let Some(worker) = self.worker_of(number) {
            let wake = lock(&self.wake).clone();
            if let Some(wake) = wake {
                wake(worker);
            }
        }
    }

    /// How workers are woken.
    pub(crate) fn wakes_by(&self, wake: impl Fn(WorkerId) + Send + Sync + 'static) {
        *lock(&self.wake) = Some(Arc::new(wake));
    }

    /// Whose a child is, if it is there.
    pub(super) fn worker_of(&self, number: u32) -> Option<WorkerId> {
        lock(&self.seats).get(&number).copied()
    }

    /// Notes that a child gets to know a segment; false if it knows it.
    pub(super) fn becomes_known(&self, segment: SegmentId, child: u32) -> bool {
        let mut knowers = lock(&self.registry.knowers);
        let knowers = knowers.entry(segment).or_default();
        let is_new = !knowers.contains(&child);
        if is_new {
            knowers.push(child);
        }
        is_new
    }

    /// The segment, whose children hear when nobody needs it any more.
    pub(super) fn watched(&self, mut segment: Segment) -> Arc<Segment> {
        let registry = Arc::downgrade(&self.registry);
        segment.when_dropped(move |id, is_shown| {
            if let Some(registry) = registry.upgrade() {
                registry.is_over(id, is_shown);
            }
        });
        Arc::new(segment)
    }

    /// Tells once of segments that do not lie where they should.
    pub(super) fn tell_fallback(&self, reason: &str) {
        if lock(&self.told).insert(reason.to_owned()) {
            self.program.warn(reason);
        }
    }

    /// So many more calls of a run are under way, or fewer.
    pub(super) fn is_busy_with(&self, run: RunId, change: isize) {
        let mut busy = lock(&self.busy);
        let count = busy.entry(run).or_default();
        *count = count.saturating_add_signed(change);
        if *count == 0 {
            busy.remove(&run);
            lock(&self.to_kill).remove(&run);
        }
    }

    /// How many calls of a run are under way.
    pub(crate) fn calls_of(&self, run: RunId) -> usize {
        lock(&self.busy).get(&run).copied().unwrap_or(0)
    }

    /// Has the processes ended that are in calls of a run that is over.
    pub(crate) fn kill(&self, run: RunId) {
        if self.calls_of(run) > 0 {
            lock(&self.to_kill).insert(run);
        }
    }

    /// True if the processes are to be ended that are in calls of a run.
    pub(super) fn is_to_kill(&self, run: RunId) -> bool {
        lock(&self.to_kill).contains(&run)
    }

    /// Leaves a task for the worker whose child has an input of it.
    pub(super) fn bind(&self, child: u32, active: Arc<ActiveRun>, ticket: Ticket) {
        lock(&self.bound).push((child, active, ticket));
    }

    /// A task that was left for this child.
    pub(super) fn bound_to(&self, child: Option<u32>) -> Option<(Arc<ActiveRun>, Ticket)> {
        let mut bound = lock(&self.bound);
        let is_mine = |(other, ..): &(u32, _, _)| Some(*other) == child;
        let at = bound.iter().position(is_mine).or_else(|| {
            // One whose child has died is anybody's: its input is made again.
            let seats = lock(&self.seats);
            bound.iter().position(|(other, ..)| !seats.contains_key(other))
        })?;
        let (_, active, ticket) = bound.swap_remove(at);
        Some((active, ticket))
    }

    /// True if a task may wait for this child.
    pub(super) fn has_bound(&self) -> bool {
        !lock(&self.bound).is_empty()
    }

    /// Has calls come back that children were sent and have not begun: somebody is idle. Answers whether
    /// anybody was asked.
    pub(super) fn recall(&self, except: Option<u32>) -> bool {
        let outlets: Vec<_> = lock(&self.registry.outlets)
            .iter()
            .filter(|(child, _)| Some(**child) != except)
            .filter_map(|(_, outlet)| outlet.upgrade())
            .filter(|outlet| outlet.is_worth_recalling())
            .collect();
        for outlet in &outlets {
            outlet.say(&ToChild::Recall { keep: 0 }, &[]);
        }
        !outlets.is_empty()
    }
}

impl Registry {
    /// Nobody needs a segment any more. Its maker may use it again if nobody can look at it.
    fn is_over(&self, segment: SegmentId, is_shown: bool) {
        let knowers = lock(&self.knowers).remove(&segment).unwrap_or_default();
        let outlets = lock(&self.outlets);
        let outlet = |child: &u32| outlets.get(child).and_then(Weak::upgrade);
        let maker = outlet(&segment.maker());
        let others: Vec<_> = knowers.iter().filter_map(outlet).collect();
        drop(outlets);
        let is_free = others.is_empty() && !is_shown;
        for outlet in others {
            outlet.say(&ToChild::Forget { segments: vec![segment] }, &[]);
        }
        if let Some(maker) = maker {
            let segments = vec![segment];
            let message =
                if is_free { ToChild::Reuse { segments } } else { ToChild::Forget { segments } };
            maker.say(&message, &[]);
        }
    }
}

impl std::fmt::Debug for Fleet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fleet").field("program", &self.program).finish_non_exhaustive()
    }
}
