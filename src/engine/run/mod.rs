//! [`Run`]: the state of one run that workers share: counters, values, lanes.
//!
//! Workers go on by themselves: each completion counts down its dependents, takes the best task that
//! became ready and leaves the others in the worker's lane, where idle workers find them. All of that
//! is atomics and short locks; no message is sent for a task. A run decides what to take next, what to
//! give away and when it is over. It calls no function of a user and knows no thread, clock or actor:
//! the same code is driven by worker threads and by the simulation.

mod admission;
mod state;
mod taking;
mod tally;
mod values;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::guard::Guard;
use super::ids::spares;
use super::kept::{Held, Keeper};
use super::lane::{Lane, NO_TASK};
use super::ledger::bytes_of;
use super::memory::{Memory, Reserved};
use super::padded::Padded;
use super::poison::Poison;
use super::policy::Policy;
use super::slots::Slots;
use super::start::{SKIPPED, Start};
use super::{RunId, TaskId, WorkerId};
use crate::graph::{Missing, Plan};
use crate::value::Value;
use admission::HeldBack;
use tally::{ANSWERED, DONE, FAILED, POISONED};

pub use state::TaskState;
pub use tally::{Standing, Tally};
pub use values::{Gathering, Pins};

/// The shared state of one run of a plan.
pub struct Run {
    id: RunId,
    plan: Arc<Plan>,
    memory: Arc<Memory>,
    /// Who looks after large values; without one they stay in their slots.
    keeper: Option<Arc<dyn Keeper>>,
    /// True once a large value was given to the keeper.
    has_kept: AtomicBool,
    /// True once a hook answered for a task, at the start or later. What depends on the answer comes
    /// after it, so a relaxed store is seen in time: the counters of inputs order the two.
    is_answered: AtomicBool,
    /// By task: how many inputs are not there yet, or how it has ended. Shared with those who count.
    pending: Arc<[AtomicU32]>,
    slots: Slots,
    /// The roots of this run: the plan's, fewer if values were answered at the start.
    roots: Roots,
    /// How many tasks this run has.
    tasks: u32,
    /// The run is over when this is zero. Counted down by the tasks without dependents, or by all
    /// tasks if some of the plan's tasks do not run.
    ends_left: Padded<AtomicU32>,
    /// The tasks that wait for room.
    held_back: HeldBack,
    /// How many workers there are when none is stuck.
    pub(super) workers: u32,
    /// By worker; then one for asynchronous tasks, which end outside of any worker; then those of the
    /// spare numbers.
    pub(super) lanes: Box<[Lane]>,
    status: AtomicU8,
    /// What a task took lately, in nanoseconds, as the workers measure it; 0 before the first one.
    task_time: AtomicU64,
    /// When a task of the run was last seen to start.
    stall: Stall,
    /// What is said of the run as a whole; set before it starts.
    pub(super) policy: Policy,
    /// By lane, in a run that has time limits for tasks; else empty.
    pub(super) guards: Box<[Guard]>,
    pub(super) poison: Poison,
}

struct Roots {
    /// `None`: the plan's.
    own: Option<Box<[TaskId]>>,
    /// The place of the next root that nobody has claimed.
    next: Padded<AtomicU32>,
}

/// The right to run a task, given to exactly one worker at a time.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a ticket that is dropped is a task that never ends"]
pub struct Ticket {
    run: RunId,
    task: TaskId,
    /// The room in memory that the task was given for its result, if it had to ask.
    reserved: Reserved,
}

/// What all runs of a cluster have in common.
#[derive(Clone)]
pub struct Resources {
    /// How many workers there are.
    pub workers: usize,
    /// What the values of all runs take, and may take.
    pub memory: Arc<Memory>,
    /// Who looks after large values; without one they stay in memory.
    pub keeper: Option<Arc<dyn Keeper>>,
}

impl Ticket {
    /// The task to run.
    #[inline]
    pub fn task(&self) -> TaskId {
        self.task
    }

    /// The room in memory that the task was given, in bytes.
    pub fn room(&self) -> u64 {
        self.reserved.bytes()
    }

    /// The task, for the run to which the ticket belongs.
    #[inline]
    fn redeem(&self, run: RunId) -> TaskId {
        self.check(run);
        self.task
    }

    #[inline]
    fn check(&self, run: RunId) {
        assert_eq!(self.run, run, "a ticket is valid in its own run only");
    }
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// Tasks may start.
    Running,
    /// Every wanted value is there.
    Done,
    /// A task failed for good.
    Failed,
    /// Nobody wants the results any more.
    Cancelled,
}

/// When somebody last saw that a task had started.
#[derive(Debug, Default)]
struct Stall {
    /// How many had started by then.
    started: AtomicU64,
    /// In microseconds, by the clock of those who look.
    since: AtomicU64,
}

/// What a completion led to.
#[derive(Debug)]
pub struct Completion {
    /// The task with which the worker goes on.
    pub next: Option<Ticket>,
    /// True if tasks became ready that this worker leaves in its lane.
    pub surplus: bool,
    /// True if this was the last task of the run.
    pub ended: bool,
}

impl Run {
    /// A run of `plan`. `answers` are values that are known already: those tasks and what only they
    /// need do not run.
    pub fn new(
        id: RunId,
        plan: Arc<Plan>,
        resources: &Resources,
        answers: Vec<(TaskId, Value)>,
    ) -> Self {
        let workers = resources.workers;
        let lanes = (0..=workers + spares(workers).len()).map(|_| Lane::new()).collect();
        let status = AtomicU8::new(Status::Running as u8);
        let start =
            if answers.is_empty() { Start::whole(&plan) } else { Start::without(&plan, &answers) };
        let run = Self {
            id,
            slots: Slots::new(start.uses.into_iter()),
            pending: start.pending.into_iter().map(AtomicU32::new).collect(),
            roots: Roots { own: start.roots, next: Padded(AtomicU32::new(0)) },
            tasks: start.tasks,
            ends_left: Padded(AtomicU32::new(start.ends)),
            held_back: HeldBack::new(),
            workers: u32::try_from(workers).unwrap_or(u32::MAX),
            lanes,
            status,
            task_time: AtomicU64::new(0),
            stall: Stall::default(),
            policy: Policy::default(),
            guards: Box::default(),
            poison: Poison::default(),
            memory: Arc::clone(&resources.memory),
            keeper: resources.keeper.clone(),
            has_kept: AtomicBool::new(false),
            is_answered: AtomicBool::new(!answers.is_empty()),
            plan,
        };
        if start.ends == 0 {
            run.end(Status::Done);
        }
        for (task, value) in answers {
            run.answer(task, value);
        }
        if run.shortest_limit().is_some() { run.under(Policy::default()) } else { run }
    }

    /// The run's number.
    #[inline]
    pub fn id(&self) -> RunId {
        self.id
    }

    /// What the run follows.
    #[inline]
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// How many tasks this run runs: those of the plan without what was answered at the start.
    pub fn tasks(&self) -> usize {
        self.tasks as usize
    }

    /// How many tasks have started.
    pub fn started(&self) -> usize {
        self.lanes.iter().map(|lane| lane.pulse.started.load(Ordering::Relaxed) as usize).sum()
    }

    /// For how long nobody has started a task, as far as somebody has looked; all who look are to have one
    /// clock.
    pub fn stalled_for(&self, now: Duration) -> Duration {
        let (started, now) = (self.started() as u64, u64::try_from(now.as_micros()).unwrap_or(0));
        let since = self.stall.since.load(Ordering::Relaxed);
        if since == 0 || self.stall.started.swap(started, Ordering::Relaxed) != started {
            self.stall.since.store(now.max(1), Ordering::Relaxed);
            return Duration::ZERO;
        }
        Duration::from_micros(now.saturating_sub(since))
    }

    /// How many roots this run has.
    pub fn roots(&self) -> usize {
        self.root_list().len()
    }

    #[inline]
    fn root_list(&self) -> &[TaskId] {
        self.roots.own.as_deref().unwrap_or_else(|| self.plan.roots())
    }

    /// What the values of the run's cluster take.
    #[inline]
    pub fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    /// Where the run stands.
    #[inline]
    pub fn status(&self) -> Status {
        match self.status.load(Ordering::Acquire) {
            0 => Status::Running,
            1 => Status::Done,
            2 => Status::Failed,
            _ => Status::Cancelled,
        }
    }

    /// True while tasks may start.
    #[inline]
    pub fn is_running(&self) -> bool {
        self.status.load(Ordering::Relaxed) == Status::Running as u8
    }

    /// Ends the run; the first end holds. Answers whether this was the first.
    pub fn end(&self, status: Status) -> bool {
        let (from, to) = (Status::Running as u8, status as u8);
        self.status.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// What a task of this run took lately, if one was measured.
    #[inline]
    pub fn task_time(&self) -> Option<Duration> {
        match self.task_time.load(Ordering::Relaxed) {
            0 => None,
            nanoseconds => Some(Duration::from_nanos(nanoseconds)),
        }
    }

    /// Tells the run that the last `tasks` tasks of a worker took `elapsed` together. The new figure
    /// counts a quarter, so that one odd task does not decide.
    pub fn measured(&self, tasks: u32, elapsed: Duration) {
        let nanoseconds = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        let new = (nanoseconds / u64::from(tasks.max(1))).max(1);
        let old = self.task_time.load(Ordering::Relaxed);
        let mean = if old == 0 { new } else { old - old / 4 + new / 4 };
        self.task_time.store(mean.max(1), Ordering::Relaxed);
    }

    #[inline]
    fn ticket(&self, task: TaskId) -> Ticket {
        Ticket { run: self.id, task, reserved: Reserved::NONE }
    }

    /// Notes that `worker` starts the task: until it completes, the task is lost with the worker.
    #[inline]
    pub fn start(&self, worker: WorkerId, ticket: &Ticket) {
        self.send(worker);
        let pulse = &self.lanes[worker.index()].pulse;
        pulse.reserved.store(ticket.reserved.pages(), Ordering::Relaxed);
        pulse.running.store(ticket.task.0, Ordering::Relaxed);
    }

    /// Notes that `worker` has sent the task to where it is called. Unlike one that the worker has
    /// [started](Self::start) itself, it is not lost with the worker's thread, but with the place to which
    /// it was sent.
    #[inline]
    pub fn send(&self, worker: WorkerId) {
        let started = &self.lanes[worker.index()].pulse.started;
        started.store(started.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    /// Puts the task's value in, releases the inputs that nobody needs any more, and finds what to do
    /// next.
    #[inline]
    pub fn complete(&self, worker: WorkerId, ticket: Ticket, value: Value) -> Completion {
        self.complete_as(DONE, worker, ticket, value)
    }

    /// As [`complete`](Self::complete), with the value that a hook has answered for the task.
    pub fn complete_answered(&self, worker: WorkerId, ticket: Ticket, value: Value) -> Completion {
        // What depends on the answer comes after it.
        self.is_answered.store(true, Ordering::Relaxed);
        self.complete_as(ANSWERED, worker, ticket, value)
    }

    /// As [`complete`](Self::complete), with what stands for the value of a task that is not called.
    pub fn complete_missing(&self, worker: WorkerId, ticket: Ticket, missing: Value) -> Completion {
        let is_skipped = missing.downcast_ref::<Missing>().is_some_and(Missing::is_skipped);
        let end = if is_skipped { POISONED } else { FAILED };
        self.complete_as(end, worker, ticket, missing)
    }

    #[inline]
    fn complete_as(
        &self,
        end: u32,
        worker: WorkerId,
        mut ticket: Ticket,
        value: Value,
    ) -> Completion {
        let task = ticket.redeem(self.id);
        self.come(worker, task, value);
        self.release_inputs(worker, task);
        self.give_room_back(&mut ticket);
        let lane = &self.lanes[worker.index()];
        lane.pulse.running.store(NO_TASK, Ordering::Relaxed);

        self.pending[task.index()].store(end, Ordering::Release);
        if !self.has_room() {
            return self.go_on_with_room(worker, task);
        }
        let dependents = self.plan.dependents(task);
        if dependents.is_empty() || self.roots.own.is_some() {
            let last = self.ends_left.fetch_sub(1, Ordering::AcqRel) == 1;
            if last || dependents.is_empty() {
                let ended = last && self.end(Status::Done);
                return Completion { next: self.next(worker), surplus: false, ended };
            }
        } else if self.plan.is_chained(task) {
            let next = Some(self.ticket(dependents[0]));
            return Completion { next, surplus: false, ended: false };
        }
        let mut ready = dependents.iter().copied().filter(|dependent| self.has_inputs(*dependent));
        let Some(first) = ready.next() else {
            return Completion { next: self.next(worker), surplus: false, ended: false };
        };
        let surplus = match ready.next() {
            None => false,
            Some(second) => {
                lane.push(std::iter::once(second).chain(ready), self.root_list());
                true
            }
        };
        Completion { next: Some(self.prefer(lane, first)), surplus, ended: false }
    }

    /// Counts one input of `dependent` as there; answers whether it was the last one.
    #[inline]
    fn has_inputs(&self, dependent: TaskId) -> bool {
        let pending = &self.pending[dependent.index()];
        match pending.load(Ordering::Acquire) {
            // It does not run; `ANSWERED` if its value was known at the start.
            SKIPPED | DONE | ANSWERED | FAILED | POISONED => false,
            // Nobody else can count this task down any more, so no locked instruction is needed.
            1 => true,
            _ => pending.fetch_sub(1, Ordering::AcqRel) == 1,
        }
    }

    /// The tasks in which workers are just now, in their threads.
    pub fn running(&self) -> impl Iterator<Item = TaskId> {
        let running = self.lanes.iter().map(|lane| lane.pulse.running.load(Ordering::Relaxed));
        running.filter(|task| *task != NO_TASK).map(TaskId)
    }

    /// How many workers there are when none is stuck.
    pub fn workers_in_all(&self) -> usize {
        self.workers as usize
    }

    /// Notes that `worker` is out of the task that it had started, without a value.
    pub fn stop(&self, worker: WorkerId) {
        self.lanes[worker.index()].pulse.running.store(NO_TASK, Ordering::Relaxed);
    }

    /// Checks every number that says the same as another one. For tests, when nobody works.
    ///
    /// # Panics
    ///
    /// If two of them disagree.
    pub fn check_invariants(&self) {
        for lane in &self.lanes {
            assert!(
                lane.is_consistent(self.root_list()),
                "{:?}: a lane's numbers are wrong",
                self.id
            );
        }
        // A task that is tried again starts again.
        let started = self.started() >= self.tasks() || self.status() != Status::Done;
        assert!(started, "{:?}: is done, but not all of its tasks have started", self.id);
    }
}

/// What is left when a run is dropped (results that nobody gathered, everything of a run that failed)
/// leaves the ledger with it, and so does the room of tasks that never ended.
impl Drop for Run {
    fn drop(&mut self) {
        let plain = self.slots.remaining().filter_map(|held| match held {
            Held::Plain(value) => Some(bytes_of(value.bytes())),
            Held::Kept(_) => None,
        });
        let (values, bytes) = plain.fold((0, 0), |(values, sum), bytes| (values + 1, sum + bytes));
        if values > 0 {
            self.memory.ledger().add(-values, -bytes);
        }
        self.memory.unreserve(self.held_back.reserved());
    }
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run")
            .field("id", &self.id)
            .field("status", &self.status())
            .field("tasks", &self.tasks)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Resources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resources")
            .field("workers", &self.workers)
            .field("memory", &self.memory)
            .finish_non_exhaustive()
    }
}
