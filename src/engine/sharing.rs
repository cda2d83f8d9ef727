//! Which work of a run goes from one worker to another: what an idle worker takes, and whether waking
//! one pays. Decides by measured times, never what is right.

use std::time::Duration;

use super::lane::{Lane, taking_pays};
use super::{Run, Ticket, Watch, WorkerId};

impl Run {
    /// How many ready tasks `worker` could get from others, without looking at whether that pays.
    pub fn available_to(&self, worker: WorkerId) -> u32 {
        let others = self.others(worker).map(Lane::available);
        others.fold(self.unclaimed(), u32::saturating_add)
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
                return Some(self.ticket(task));
            }
        }
        None
    }

    /// True if what lies in the worker's lane is worth waking somebody for.
    #[inline]
    pub fn sharing_pays(&self, worker: WorkerId) -> bool {
        /// What waking a sleeping thread costs, both sides together.
        const WAKING: Duration = Duration::from_micros(15);
        let available = self.lanes[worker.index()].available();
        match self.task_time() {
            _ if available == 0 => self.unclaimed() > 0,
            None => true,
            Some(time) => time.saturating_mul(available.saturating_add(self.unclaimed())) >= WAKING,
        }
    }
}
