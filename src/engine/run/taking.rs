//! What a worker takes next: from its own lane, from the roots that nobody has claimed, from others.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::super::guard::Guard;
use super::super::lane::{Lane, NO_TASK, taking_pays};
use super::super::memory::Reserved;
use super::super::watch::Watch;
use super::super::{TaskId, WorkerId};
use super::{Run, Ticket};

impl Run {
    /// The best task for `worker` among its own and the roots that nobody has claimed.
    #[inline]
    pub fn next(&self, worker: WorkerId) -> Option<Ticket> {
        let lane = &self.lanes[worker.index()];
        if !self.has_room() {
            return self.next_with_room(lane);
        }
        if self.unclaimed_root() < lane.best()
            && let Some(task) = self.claim_roots(lane)
        {
            return Some(self.ticket(task));
        }
        lane.pop(self.root_list()).map(|task| self.ticket(task))
    }

    /// The best root that nobody has claimed, or `NO_TASK`.
    #[inline]
    pub(super) fn unclaimed_root(&self) -> u32 {
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

    /// How many ready tasks `worker` could get from others, without looking at whether that pays.
    pub fn available_to(&self, worker: WorkerId) -> u32 {
        let others = self.others(worker).map(Lane::available);
        others.fold(self.unclaimed().saturating_add(self.held_back.count()), u32::saturating_add)
    }

    fn unclaimed(&self) -> u32 {
        let count = u32::try_from(self.roots()).unwrap_or(NO_TASK);
        count.saturating_sub(self.roots.next.load(Ordering::Relaxed))
    }

    /// The lanes of all others, starting behind the worker so that not all take from the same.
    fn others(&self, worker: WorkerId) -> impl Iterator<Item = &Lane> {
        let (before, from) = self.lanes.split_at(worker.index());
        from.iter().skip(1).chain(before)
    }

    /// Takes work from another worker, if that pays. `watch` is what the worker saw when it was here
    /// before; `now` is any clock that goes on.
    pub fn take_from_others(
        &self,
        worker: WorkerId,
        watch: &mut Watch,
        now: Duration,
    ) -> Option<Ticket> {
        let stalled = watch.stalled(self, now);
        let roots = self.root_list();
        for lane in self.others(worker) {
            if taking_pays(lane.available(), self.task_time(), stalled)
                && let Some(gift) = lane.give(roots)
                && let Some(task) = self.lanes[worker.index()].receive(gift, roots)
            {
                if self.has_room() {
                    return Some(self.ticket(task));
                }
                let lane = &self.lanes[worker.index()];
                lane.push([task], roots);
                return self.next_with_room(lane);
            }
        }
        None
    }

    /// True if `worker` could get a task here, from its own lane or from elsewhere.
    pub fn has_work_for(&self, worker: WorkerId) -> bool {
        let own = self.lanes[worker.index()].available();
        self.is_running() && (own > 0 || self.available_to(worker) > 0)
    }

    /// True if there is a task that `worker` can have at once, or that is worth taking from those who are
    /// at work. `cost` is what joining them costs; `watch` is what the worker saw when it was here before;
    /// `now` is any clock that goes on.
    pub fn joining_pays(
        &self,
        worker: WorkerId,
        watch: &mut Watch,
        now: Duration,
        cost: Duration,
    ) -> bool {
        let stalled = watch.stalled(self, now);
        if self.lanes[worker.index()].available() > 0 {
            return true;
        }
        let available = self.available_to(worker);
        let long = |time: Duration| time.saturating_mul(available) >= cost;
        available > 0
            && (self.started() == 0 || stalled >= cost || self.task_time().is_some_and(long))
    }

    /// True if what lies in the worker's lane is worth waking somebody for.
    #[inline]
    pub fn sharing_pays(&self, worker: WorkerId) -> bool {
        /// What waking a sleeping thread costs, both sides together.
        const WAKING: Duration = Duration::from_micros(15);
        let available = self.lanes[worker.index()].available();
        if available == 0 {
            return self.unclaimed() > 0;
        }
        self.is_worth(available.saturating_add(self.unclaimed()), WAKING)
    }

    /// As [`sharing_pays`](Self::sharing_pays), if having somebody join costs `cost`.
    #[inline]
    pub fn sharing_pays_at(&self, worker: WorkerId, cost: Duration) -> bool {
        let available = self.lanes[worker.index()].available();
        self.is_worth(available.saturating_add(self.unclaimed()), cost)
    }

    /// True if so many tasks take at least `cost`, as far as anybody knows.
    #[inline]
    fn is_worth(&self, tasks: u32, cost: Duration) -> bool {
        tasks > 0 && self.task_time().is_none_or(|time| time.saturating_mul(tasks) >= cost)
    }

    /// The best of `task`, the lane and the unclaimed roots; `task` stays in the lane if it is not it.
    #[inline]
    pub(super) fn prefer(&self, lane: &Lane, task: TaskId) -> Ticket {
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

    /// Puts a ticket into a worker's lane: its task runs when its turn comes, there or wherever work is
    /// taken to.
    pub fn put_back(&self, worker: WorkerId, mut ticket: Ticket) {
        let task = ticket.redeem(self.id);
        self.give_room_back(&mut ticket);
        self.lanes[worker.index()].push([task], self.root_list());
    }

    /// The task that a lost worker was in. The caller is sure that the worker does nothing any more.
    pub fn take_over(&self, lost: WorkerId) -> Option<Ticket> {
        if let Some(task) = self.guards.get(lost.index()).and_then(Guard::take_over) {
            return Some(self.ticket_of(lost, task));
        }
        match self.lanes[lost.index()].pulse.running.swap(NO_TASK, Ordering::AcqRel) {
            NO_TASK => None,
            task => Some(self.ticket_of(lost, TaskId(task))),
        }
    }

    /// The ticket of the task in which `worker` is, or was, with the room that it has.
    pub(in super::super) fn ticket_of(&self, worker: WorkerId, task: TaskId) -> Ticket {
        let pages = self.lanes[worker.index()].pulse.reserved.load(Ordering::Relaxed);
        Ticket { reserved: Reserved::from_pages(pages), ..self.ticket(task) }
    }
}
