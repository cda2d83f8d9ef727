//! [`Run`]: the state of one run that workers share: counters, values, lanes.
//!
//! Workers go on by themselves: each completion counts down its dependents, takes the best task that
//! became ready and leaves the others in the worker's lane, where idle workers find them. All of that
//! is atomics and short locks; no message is sent for a task. A run decides what to take next, what to
//! give away and when it is over. It calls no function of a user and knows no thread, clock or actor:
//! the same code is driven by worker threads and by the simulation.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::guard::Guard;
use super::ids::spares;
use super::lane::{Lane, NO_TASK};
use super::ledger::{Ledger, signed_bytes};
use super::padded::Padded;
use super::poison::Poison;
use super::policy::Policy;
use super::slots::Slots;
use super::start::{SKIPPED, Start};
use super::{RunId, TaskId, WorkerId};
use crate::graph::{CallError, Input, Outcome, Plan, Results};
use crate::value::Value;

/// The shared state of one run of a plan.
pub struct Run {
    id: RunId,
    plan: Arc<Plan>,
    ledger: Arc<Ledger>,
    /// By task: how many inputs are not there yet; `DONE` when the task has ended.
    pending: Box<[AtomicU32]>,
    slots: Slots,
    /// The roots of this run: the plan's, fewer if values were answered at the start.
    roots: Roots,
    /// How many tasks this run has.
    tasks: u32,
    /// The run is over when this is zero. Counted down by the tasks without dependents, or by all
    /// tasks if some of the plan's tasks do not run.
    ends_left: Padded<AtomicU32>,
    /// Somebody may ask whether a task has ended, so that is noted in `pending`.
    observed: bool,
    /// How many workers there are when none is stuck.
    pub(super) workers: u32,
    /// By worker; then one for asynchronous tasks, which end outside of any worker; then those of the
    /// spare numbers.
    pub(super) lanes: Box<[Lane]>,
    status: AtomicU8,
    /// What a task took lately, in nanoseconds, as the workers measure it; 0 before the first one.
    task_time: AtomicU64,
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
}

impl Ticket {
    /// The task to run.
    #[inline]
    pub fn task(&self) -> TaskId {
        self.task
    }

    /// Uses the ticket up.
    #[inline]
    fn redeem(self, run: RunId) -> TaskId {
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

/// What a task that ended has instead of the number of its missing inputs, if the run is observed.
const DONE: u32 = u32::MAX;

impl Run {
    /// A run of `plan` by `workers` workers. `answers` are values that are known already: those tasks
    /// and what only they need do not run. Whether a task has ended can be asked only of a run that
    /// is `observed`.
    pub fn new(
        id: RunId,
        plan: Arc<Plan>,
        workers: usize,
        ledger: Arc<Ledger>,
        answers: Vec<(TaskId, Value)>,
        observed: bool,
    ) -> Self {
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
            observed,
            workers: u32::try_from(workers).unwrap_or(u32::MAX),
            lanes,
            status,
            task_time: AtomicU64::new(0),
            policy: Policy::default(),
            guards: Box::default(),
            poison: Poison::default(),
            ledger,
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

    /// How many roots this run has.
    pub fn roots(&self) -> usize {
        self.root_list().len()
    }

    #[inline]
    pub(super) fn root_list(&self) -> &[TaskId] {
        self.roots.own.as_deref().unwrap_or_else(|| self.plan.roots())
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

    /// The best task for `worker` among its own and the roots that nobody has claimed.
    #[inline]
    pub fn next(&self, worker: WorkerId) -> Option<Ticket> {
        let lane = &self.lanes[worker.index()];
        if self.unclaimed_root() < lane.best()
            && let Some(task) = self.claim_roots(lane)
        {
            return Some(self.ticket(task));
        }
        lane.pop(self.root_list()).map(|task| self.ticket(task))
    }

    /// The best root that nobody has claimed, or `NO_TASK`.
    #[inline]
    fn unclaimed_root(&self) -> u32 {
        let place = self.roots.next.load(Ordering::Relaxed) as usize;
        self.root_list().get(place).map_or(NO_TASK, |root| root.0)
    }

    /// Claims a few of the best roots at once: enough that claiming costs little, few enough that all
    /// workers stay near each other in the order (what is claimed can still be taken away).
    fn claim_roots(&self, lane: &Lane) -> Option<TaskId> {
        const MOST: u32 = 64;
        let roots = self.root_list();
        let count = u32::try_from(roots.len()).unwrap_or(NO_TASK);
        let workers = self.workers.max(1);
        let share = |left: u32| (left / (2 * workers)).clamp(1, MOST);
        let claim = |next: u32| (next < count).then(|| next + share(count - next));
        let start =
            self.roots.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, claim).ok()?;
        lane.claim(start..start + share(count - start), roots)
    }

    pub(super) fn unclaimed(&self) -> u32 {
        let count = u32::try_from(self.roots()).unwrap_or(NO_TASK);
        count.saturating_sub(self.roots.next.load(Ordering::Relaxed))
    }

    #[inline]
    pub(super) fn ticket(&self, task: TaskId) -> Ticket {
        Ticket { run: self.id, task }
    }

    /// Notes that `worker` starts the task: until it completes, the task is lost with the worker.
    #[inline]
    pub fn start(&self, worker: WorkerId, ticket: &Ticket) {
        let pulse = &self.lanes[worker.index()].pulse;
        pulse
            .started
            .store(pulse.started.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        pulse.running.store(ticket.task.0, Ordering::Relaxed);
    }

    /// Calls the task's function with its inputs. An input that only this task still needs is given
    /// away with it, unless `keep_inputs` (a task that may be tried again needs them again).
    ///
    /// # Errors
    ///
    /// What the call answers.
    #[inline]
    #[expect(unsafe_code, reason = "borrows inputs by the protocol of `slots`")]
    pub fn call(
        &self,
        worker: WorkerId,
        ticket: &Ticket,
        keep_inputs: bool,
    ) -> Result<Outcome, CallError> {
        ticket.check(self.id);
        self.plan.call(ticket.task, |_, dependency| {
            if !keep_inputs {
                // SAFETY: the ticket was given after every dependency was published (step 3), and
                // its uses are spent only in `complete`, after the inputs of this call are gone.
                if let Some(value) = unsafe { self.slots.take_if_last(dependency) } {
                    self.ledger.went(worker, &value);
                    return Input::Owned(value);
                }
            }
            // SAFETY: as above.
            let value = unsafe { self.slots.get(dependency) };
            Input::Shared(value.expect("a task starts after its inputs are there"))
        })
    }

    /// The task's inputs.
    #[expect(unsafe_code, reason = "borrows inputs by the protocol of `slots`")]
    pub(super) fn borrowed<'a>(&'a self, ticket: &'a Ticket) -> impl Iterator<Item = &'a Value> {
        ticket.check(self.id);
        self.plan.dependencies(ticket.task).iter().map(|dependency| {
            // SAFETY: the ticket was given after every dependency was published (step 3), and its uses
            // are spent only by whoever gives the ticket up, which the borrow of it rules out.
            let value = unsafe { self.slots.get(*dependency) };
            value.expect("a task starts after its inputs are there")
        })
    }

    /// Puts the task's value in, releases the inputs that nobody needs any more, and finds what to do
    /// next.
    #[inline]
    pub fn complete(&self, worker: WorkerId, ticket: Ticket, value: Value) -> Completion {
        let task = ticket.redeem(self.id);
        self.ledger.came(worker, &value);
        self.put(task, value);
        self.release_inputs(worker, task);
        let lane = &self.lanes[worker.index()];
        lane.pulse.running.store(NO_TASK, Ordering::Relaxed);

        if self.observed {
            self.pending[task.index()].store(DONE, Ordering::Release);
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
            // It does not run; `DONE` if its value was known at the start.
            SKIPPED | DONE => false,
            // Nobody else can count this task down any more, so no locked instruction is needed.
            1 => true,
            _ => pending.fetch_sub(1, Ordering::AcqRel) == 1,
        }
    }

    /// The best of `task`, the lane and the unclaimed roots; `task` stays in the lane if it is not it.
    #[inline]
    fn prefer(&self, lane: &Lane, task: TaskId) -> Ticket {
        let root = self.unclaimed_root();
        if root < task.0
            && root < lane.best()
            && let Some(root) = self.claim_roots(lane)
        {
            // Only now: a task that lies in a lane may be taken by others at once. They may also have
            // claimed the better roots since the look above.
            lane.push([root.max(task)], self.root_list());
            return self.ticket(root.min(task));
        }
        let best = if lane.best() < task.0 { lane.exchange(task, self.root_list()) } else { task };
        self.ticket(best)
    }

    #[inline]
    #[expect(unsafe_code, reason = "writes a value by the protocol of `slots`")]
    fn put(&self, task: TaskId, value: Value) {
        // SAFETY: the caller has consumed the task's only ticket, and the task's dependents are
        // published after this (step 2).
        unsafe { self.slots.put(task, value) };
    }

    #[inline]
    #[expect(unsafe_code, reason = "spends uses by the protocol of `slots`")]
    fn release_inputs(&self, worker: WorkerId, task: TaskId) {
        for dependency in self.plan.dependencies(task) {
            // SAFETY: these are the uses of this task, whose call is over (step 4).
            if let Some(value) = unsafe { self.slots.spend(*dependency) } {
                self.ledger.went(worker, &value);
            }
        }
    }

    /// Notes that `worker` is out of the task that it had started, without a value.
    pub fn stop(&self, worker: WorkerId) {
        self.lanes[worker.index()].pulse.running.store(NO_TASK, Ordering::Relaxed);
    }

    /// Puts a ticket into a worker's lane: its task runs when its turn comes, there or wherever work is
    /// taken to.
    pub fn put_back(&self, worker: WorkerId, ticket: Ticket) {
        let task = ticket.redeem(self.id);
        self.lanes[worker.index()].push([task], self.root_list());
    }

    /// The task that a lost worker was in. The caller is sure that the worker does nothing any more.
    pub fn take_over(&self, lost: WorkerId) -> Option<Ticket> {
        if let Some(task) = self.guards.get(lost.index()).and_then(Guard::take_over) {
            return Some(self.ticket(task));
        }
        let running = &self.lanes[lost.index()].pulse.running;
        match running.swap(NO_TASK, Ordering::AcqRel) {
            NO_TASK => None,
            task => Some(self.ticket(TaskId(task))),
        }
    }

    /// True if the values that the task needs are still there, so that it can run once more.
    pub fn can_run_again(&self, ticket: &Ticket) -> bool {
        self.plan.dependencies(ticket.task).iter().all(|input| self.slots.uses(*input) > 0)
    }

    /// The value of a task that is known without running it.
    fn answer(&self, task: TaskId, value: Value) {
        if self.slots.uses(task) > 0 {
            self.ledger.changed_elsewhere(1, signed_bytes(&value));
            self.put(task, value);
            if self.observed {
                self.pending[task.index()].store(DONE, Ordering::Release);
            }
        }
    }

    /// True if the value of a task is used by anybody. To be asked before the run starts.
    pub(crate) fn is_needed(&self, task: TaskId) -> bool {
        self.slots.uses(task) > 0
    }

    /// True if the task's value is there. Only an observed run knows.
    pub fn has_ended(&self, task: TaskId) -> bool {
        self.observed && self.pending[task.index()].load(Ordering::Acquire) == DONE
    }

    /// The value of a task that has ended, if it was not released yet; `retain` it first.
    #[expect(unsafe_code, reason = "borrows a value by the protocol of `slots`")]
    pub(crate) fn value(&self, task: TaskId) -> Option<Value> {
        if !self.has_ended(task) {
            return None;
        }
        // SAFETY: the caller retained the value, and `has_ended` acquired what `put` wrote.
        unsafe { self.slots.get(task) }.cloned()
    }

    /// Keeps the value of a task until `release`. The caller holds a use of it already, or holds the
    /// ticket of the task itself.
    pub(crate) fn retain(&self, task: TaskId) {
        self.slots.retain(task);
    }

    /// Ends a `retain`.
    #[expect(unsafe_code, reason = "spends a use by the protocol of `slots`")]
    pub(crate) fn release(&self, task: TaskId) {
        // SAFETY: `retain` gave this use to the caller, and no borrow outlives `value`.
        if let Some(value) = unsafe { self.slots.spend(task) } {
            self.ledger.changed_elsewhere(-1, -signed_bytes(&value));
        }
    }

    /// The results in the wanted shape, taken out of their slots. Call it once, on a run that is done.
    #[expect(unsafe_code, reason = "spends the uses of wanted values by the protocol of `slots`")]
    pub fn gather(&self) -> Results {
        assert_eq!(self.status(), Status::Done, "only a run that is done has results");
        let outputs = self.plan.outputs();
        let take = |task: &TaskId| {
            // SAFETY: a wanted value has one use of its own, which only this function spends; the run
            // is done, so the value was published by the end of the run. The copy is made before the
            // use is spent.
            let (copy, last) = unsafe { (self.slots.get(*task).cloned(), self.slots.spend(*task)) };
            if let Some(value) = last {
                self.ledger.changed_elsewhere(-1, -signed_bytes(&value));
            }
            copy.expect("a run that is done has every wanted value")
        };
        let values: Vec<Value> = outputs.iter().map(take).collect();
        self.plan.gather(|task| {
            let at = outputs.binary_search(&task).expect("a wanted task is an output");
            values[at].clone()
        })
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
/// leaves the ledger with it.
impl Drop for Run {
    fn drop(&mut self) {
        let sizes = self.slots.remaining().map(signed_bytes);
        let (values, bytes) = sizes.fold((0, 0), |(values, sum), bytes| (values + 1, sum + bytes));
        if values > 0 {
            self.ledger.changed_elsewhere(-values, -bytes);
        }
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
