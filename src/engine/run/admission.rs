//! Admission: which tasks may start while memory is tight.
//!
//! A task that adds to what is held asks for room first, and is held back if there is none. What it
//! adds is what tasks with such a key made before, less the inputs that end with it; so a task that
//! frees memory never waits. Held-back tasks are looked at again, the best one first, whenever a worker
//! looks for work. There is always one that goes on (see `Memory::reserve`).

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::super::lane::{Lane, NO_TASK};
use super::super::memory::Reserved;
use super::super::{TaskId, WorkerId};
use super::{Completion, Run, Status, Ticket};

/// The tasks of a run that wait for room.
#[derive(Debug)]
pub(super) struct HeldBack {
    tasks: Mutex<BinaryHeap<Reverse<u32>>>,
    /// How many these are; written under the lock.
    count: AtomicU32,
    /// The room that the run's tasks have now, in bytes.
    reserved: AtomicU64,
}

impl HeldBack {
    pub(super) fn new() -> Self {
        Self { tasks: Mutex::default(), count: AtomicU32::new(0), reserved: AtomicU64::new(0) }
    }

    /// How many tasks wait for room. It may be out of date.
    #[inline]
    pub(super) fn count(&self) -> u32 {
        self.count.load(Ordering::Relaxed)
    }

    /// The room that the run's tasks have now, in bytes.
    pub(super) fn reserved(&self) -> u64 {
        self.reserved.load(Ordering::Relaxed)
    }

    fn push(&self, task: TaskId) {
        let mut tasks = self.lock();
        tasks.push(Reverse(task.0));
        self.publish(&tasks);
    }

    /// Takes the best task out, if it is better than `than`.
    fn pop(&self, than: u32) -> Option<TaskId> {
        if self.count() == 0 {
            return None;
        }
        let mut tasks = self.lock();
        if tasks.peek().is_none_or(|Reverse(task)| *task >= than) {
            return None;
        }
        let task = tasks.pop().map(|Reverse(task)| TaskId(task));
        self.publish(&tasks);
        task
    }

    /// True if `task` waits for room.
    pub(super) fn contains(&self, task: TaskId) -> bool {
        self.lock().iter().any(|Reverse(other)| *other == task.0)
    }

    fn publish(&self, tasks: &BinaryHeap<Reverse<u32>>) {
        self.count.store(u32::try_from(tasks.len()).unwrap_or(NO_TASK), Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, BinaryHeap<Reverse<u32>>> {
        // Nothing under the lock can fail half-way.
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Run {
    /// True if tasks may start without asking for room.
    #[inline]
    pub(super) fn has_room(&self) -> bool {
        !self.memory.is_tight() && self.held_back.count() == 0
    }

    /// How many tasks wait until there is room in memory for what they make.
    pub fn held_back(&self) -> usize {
        self.held_back.count() as usize
    }

    /// True if the task waits until there is room in memory for what it makes.
    pub fn is_held_back(&self, task: TaskId) -> bool {
        self.held_back.contains(task)
    }

    /// The room in memory, in bytes, that the task has in which `worker` is.
    pub fn reserved_by(&self, worker: WorkerId) -> u64 {
        if self.is_busy(worker).is_none() {
            return 0;
        }
        let pulse = &self.lanes[worker.index()].pulse;
        Reserved::from_pages(pulse.reserved.load(Ordering::Relaxed)).bytes()
    }

    /// The best task for which there is room, among the worker's own, those held back and the roots.
    #[cold]
    pub(super) fn next_with_room(&self, lane: &Lane) -> Option<Ticket> {
        /// Tasks of one lane mostly add alike, so it makes no sense to try them all.
        const TRIES: usize = 32;
        let roots = self.root_list();
        let (in_lane, root) = (lane.best(), self.unclaimed_root());
        if let Some(task) = self.held_back.pop(in_lane.min(root)) {
            if let Some(ticket) = self.admit(task) {
                return Some(ticket);
            }
            self.held_back.push(task);
        }
        for _ in 0..TRIES {
            if root < lane.best() {
                break;
            }
            let Some(task) = lane.pop(roots) else { break };
            match self.admit(task) {
                Some(ticket) => return Some(ticket),
                None => self.held_back.push(task),
            }
        }
        // As long as a root waits, no other one needs to be looked at.
        if self.held_back.count() == 0
            && let Some(task) = self.claim_root()
        {
            match self.admit(task) {
                Some(ticket) => return Some(ticket),
                None => self.held_back.push(task),
            }
        }
        if let Some(keeper) = self.keeper.as_ref().filter(|_| self.held_back.count() > 0) {
            keeper.make_room();
        }
        None
    }

    /// The best task that is held back, without asking for room: for a worker that has seen nothing start
    /// for so long that the room will not come by itself.
    pub fn next_over_limit(&self) -> Option<Ticket> {
        self.held_back.pop(NO_TASK).map(|task| self.ticket(task))
    }

    /// Finds what to do after a task when tasks have to ask for room: also those ask that follow it.
    #[cold]
    pub(super) fn go_on_with_room(&self, worker: WorkerId, task: TaskId) -> Completion {
        let dependents = self.plan.dependents(task);
        if (dependents.is_empty() || self.roots.own.is_some())
            && self.ends_left.fetch_sub(1, Ordering::AcqRel) == 1
        {
            return Completion { next: None, surplus: false, ended: self.end(Status::Done) };
        }
        let ready = dependents.iter().copied().filter(|dependent| self.has_inputs(*dependent));
        self.lanes[worker.index()].push(ready, self.root_list());
        Completion { next: self.next(worker), surplus: true, ended: false }
    }

    fn claim_root(&self) -> Option<TaskId> {
        let roots = self.root_list();
        let count = u32::try_from(roots.len()).unwrap_or(NO_TASK);
        let claim = |next: u32| (next < count).then_some(next + 1);
        let place = self.roots.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, claim);
        place.ok().map(|place| roots[place as usize])
    }

    /// Lets a task start, if there is room for what it adds.
    fn admit(&self, task: TaskId) -> Option<Ticket> {
        let added = self.added_by(task);
        if added == 0 {
            return Some(self.ticket(task));
        }
        let reserved = self.memory.reserve(added)?;
        self.held_back.reserved.fetch_add(reserved.bytes(), Ordering::Relaxed);
        Some(Ticket { reserved, ..self.ticket(task) })
    }

    /// How many bytes a task is expected to add to what is held. To be asked for a task whose inputs are
    /// there, by whoever has the right to run it.
    fn added_by(&self, task: TaskId) -> u64 {
        let made = self.memory.expected(&self.plan.key(task).prefix());
        made.saturating_sub(self.ends_with(task))
    }

    /// Gives back the room that a task has, when it ends or does not go on for now.
    #[inline]
    pub fn give_room_back(&self, ticket: &mut Ticket) {
        if ticket.reserved != Reserved::NONE {
            let bytes = std::mem::take(&mut ticket.reserved).bytes();
            let rest = |room: u64| room.checked_sub(bytes);
            let room = &self.held_back.reserved;
            // All of it is given back already if the run has been given up.
            if room.fetch_update(Ordering::AcqRel, Ordering::Acquire, rest).is_ok() {
                self.memory.unreserve(bytes);
            }
        }
    }

    /// Gives back the room of all tasks of a run that is over: some of them may take their time to come
    /// to their end, and others shall not wait for that.
    pub fn give_all_room_back(&self) {
        self.memory.unreserve(self.held_back.reserved.swap(0, Ordering::AcqRel));
    }
}
