//! How a thread waits for a run: a worker's works meanwhile, any other one sleeps.

use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::super::blocking::block_on;
use super::active::ActiveRun;
use super::crew::Crew;
use super::thread::{CURRENT, NAP, WorkerThread};
use crate::engine::{Memory, RunId, Watch, WorkerId};

/// True if this is a worker's thread.
pub(crate) fn is_worker_thread() -> bool {
    CURRENT.with_borrow(Option::is_some)
}

/// Waits for a future that ends with a run, or with an unknown one (a value on disk may have to be made
/// again). On a worker's thread, works on that run meanwhile: a task that waits for a nested run does
/// not cost the run its only worker.
pub(crate) fn wait_for<F: Future>(run: Option<RunId>, future: F) -> F::Output {
    wait_needing(&mut || run, future)
}

/// As [`wait_for`], for a future that ends with one run now and with another one later.
pub(crate) fn wait_needing<F: Future>(
    run: &mut dyn FnMut() -> Option<RunId>,
    future: F,
) -> F::Output {
    let worker = CURRENT.with_borrow(Clone::clone);
    match worker {
        Some(worker) => worker.wait_inside(run, future),
        None => block_on(future, std::thread::park),
    }
}

/// As [`wait_for`], for a run of `crew`: where workers have no threads, this thread is the worker
/// meanwhile, unless another one is. It may be a worker of another crew already, in a task that waits.
pub(crate) fn wait_among<F: Future>(crew: &Weak<Crew>, run: Option<RunId>, future: F) -> F::Output {
    let inline = crew.upgrade().filter(|crew| crew.is_inline() && !is_worker_of(crew));
    let Some(crew) = inline else { return wait_for(run, future) };
    let worker = Rc::new(WorkerThread::new(WorkerId(0), Arc::clone(&crew), Arc::default()));
    block_on(future, || {
        let Some(_seat) = crew.try_sit() else {
            return std::thread::park_timeout(NAP.0);
        };
        let outer = CURRENT.replace(Some(Rc::clone(&worker)));
        worker.help(run);
        CURRENT.set(outer);
    })
}

/// True if this thread is a worker of this crew just now.
fn is_worker_of(crew: &Arc<Crew>) -> bool {
    CURRENT.with_borrow(|worker| worker.as_ref().is_some_and(|it| Arc::ptr_eq(&it.crew, crew)))
}

impl WorkerThread {
    /// Waits in a task of this thread for a future that ends with a run; with an unknown one, if there is
    /// no answer to which.
    pub(super) fn wait_inside<F: Future>(
        &self,
        run: &mut dyn FnMut() -> Option<RunId>,
        future: F,
    ) -> F::Output {
        // The tasks that wait add nothing to memory meanwhile; what they wait for must find room.
        let inside = self.inside.borrow();
        let started = inside.iter().map(|active| active.run.reserved_by(self.id));
        let room = started.sum::<u64>() + self.room_here.get();
        let memory = inside.last().map(|active| Arc::clone(active.run.memory()));
        drop(inside);
        let more = room.saturating_sub(self.lent.get());
        let lend = |change: &dyn Fn(&Memory)| memory.iter().for_each(|memory| change(memory));
        lend(&|memory| memory.lend(more));
        self.lent.set(self.lent.get() + more);
        let sent = self.calls_sent();
        let mut output = None;
        let mut future = Some(future);
        self.crew.surroundings().wait(&mut || {
            output = future.take().map(|future| block_on(future, || self.help(run())));
            // What was sent meanwhile would not be heard of before the task of this thread has ended.
            self.hear_calls_after(sent);
        });
        let output = output.expect("an environment calls what it is given");
        self.lent.set(self.lent.get() - more);
        lend(&|memory| memory.take_back(more));
        output
    }

    /// Works while a task of this thread waits for a run: on that run, or else on any other (what it
    /// waits for may depend on that one), but on none that this thread is already inside of: else every
    /// task that waits would start the next one like it, deeper and deeper on this stack. Runs of one
    /// task each do that all the same, so from some depth on nothing but the awaited run is worked on.
    /// Without such work, waits a while.
    ///
    /// A worker that was relieved only waits: another one is in its place.
    pub(super) fn help(&self, awaited: Option<RunId>) {
        /// A task may take a lot of the stack.
        const DEEP: usize = 16;
        // What its child says may be what is waited for.
        self.attend(Duration::ZERO);
        if self.is_stopped() {
            return self.nap();
        }
        let is_deep = self.inside.borrow().len() >= DEEP;
        let (version, runs) = self.crew.runs();
        let is_awaited = |active: &&Arc<ActiveRun>| Some(active.run.id()) == awaited;
        let others = runs
            .iter()
            .rev()
            .filter(|_| !is_deep)
            .filter(|active| !is_awaited(active) && !self.is_inside(active.run.id()));
        // What is called in the child is sent and not waited for here: the child may be in a call that waits
        // for the very task that waits here.
        let first = |active: &Arc<ActiveRun>| {
            let takes = !self.goes_elsewhere(active) || self.child_has_room(active);
            let ticket = takes.then(|| self.first_task(&active.run, Watch::eager())).flatten()?;
            Some((Arc::clone(active), ticket))
        };
        let task = runs.iter().filter(is_awaited).chain(others).find_map(first);
        let task = task.or_else(|| if is_deep { None } else { self.bound_task() });
        drop(runs);
        if let Some((active, ticket)) = task {
            if self.goes_elsewhere(&active) {
                return self.send_while_waiting(&active, ticket);
            }
            let mut ticket = Some(ticket);
            return self.crew.surroundings().work(&mut || {
                if let Some(ticket) = ticket.take() {
                    self.work(&active, ticket, version, true);
                }
            });
        }
        self.crew.waits();
        self.nap();
        self.crew.waits_no_more();
    }

    /// Waits a moment: for the child of this worker, if that has calls.
    fn nap(&self) {
        if !self.attend(NAP.0) {
            std::thread::park_timeout(NAP.0);
        }
    }
}
