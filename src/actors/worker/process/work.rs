//! The loop of a worker's thread whose tasks are called in its child.
//!
//! One round: take tasks while the window has room, pack and send them, wait for what the child says, and
//! complete what has ended. Nothing is decided here: what to take next is the run's business, how much to
//! send ahead the [`Window`]'s, and what follows from a failure the scheduler's. The borrow of the station
//! never lasts while code of a user may run: packing and hooks can start runs, which end up here again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::super::super::events::Stretch;
use super::super::active::ActiveRun;
use super::super::thread::WorkerThread;
use super::link::{Heard, Link};
use super::losing::{Loss, why};
use super::program::Question;
use super::station::give_back;
use crate::engine::{Placement, Run, TaskId, Ticket, Watch, Window};
use crate::process::wire::{Done, End, ToChild, ToParent};

/// How long a look at the socket lasts while calls are under way: so late it is noticed that a run is over.
const LOOK: Duration = Duration::from_millis(10);

/// The same while the child waits for an answer, and tasks of other runs may come.
const SHORT_LOOK: Duration = Duration::from_micros(500);

/// How long a call may go on after it was broken off, before its process is ended.
const GRACE: Duration = Duration::from_secs(3);

/// From so many calls on that wait inside each other, the child gets no more to do meanwhile.
const DEEP: usize = 16;

impl WorkerThread {
    /// True if tasks of a run are called in processes, or may be.
    pub(in super::super) fn goes_elsewhere(&self, active: &ActiveRun) -> bool {
        match active.run.policy().placement {
            Placement::Threads => false,
            Placement::Processes => self.crew.fleet().is_some(),
            Placement::Auto => active.is_elsewhere.load(Ordering::Acquire),
        }
    }

    /// True if the cluster has processes.
    pub(in super::super) fn has_fleet(&self) -> bool {
        self.crew.fleet().is_some()
    }

    /// True if this worker can work on a run without a spell.
    pub(in super::super) fn needs_no_spell(&self, active: &ActiveRun) -> bool {
        self.crew.surroundings().is_plain() || self.goes_elsewhere(active)
    }

    /// Has somebody listen to the child while this worker sleeps: its threads may ask something though
    /// it makes no call.
    pub(in super::super) fn leave_child_alone(&self) {
        if let Some(link) = &self.station.borrow().link {
            link.output.watch(true);
        }
    }

    /// Takes in what the child has said while it had nothing to do. Sees whether it has died then, and starts
    /// another one.
    pub(in super::super) fn look_after_idle_child(&self) {
        if let Some(link) = &self.station.borrow().link {
            link.output.watch(false);
        }
        self.hear_idle_child();
        let has_died = {
            let station = self.station.borrow();
            station.link.as_ref().is_some_and(Link::has_died)
        };
        if has_died {
            self.lose_child(Loss::Died(None));
        }
        self.replace_lost_child();
    }

    /// Starts another child in the place of one that has died, before it is needed. If it cannot be started,
    /// who needs it will be told.
    fn replace_lost_child(&self) {
        if self.station.borrow().lacks_child() && !self.is_stopped() {
            self.has_child(&mut Vec::new());
        }
    }

    /// Takes in what the child has said, which makes no call just now.
    pub(in super::super) fn hear_idle_child(&self) {
        self.hear_within(Duration::ZERO);
    }

    /// Starts the child before it is needed, if the cluster wants that. If it cannot be started, who needs
    /// it will be told.
    pub(in super::super) fn start_child_early(&self) {
        if self.crew.fleet().is_some_and(|fleet| fleet.starts_at_once) {
            self.has_child(&mut Vec::new());
        }
    }

    /// A task that was left for this worker, because its child has an input of it.
    pub(in super::super) fn bound_task(&self) -> Option<(Arc<ActiveRun>, Ticket)> {
        let fleet = self.crew.fleet().filter(|fleet| fleet.has_bound())?;
        fleet.bound_to(self.station.borrow().child())
    }

    /// Has calls come back to be taken by this worker, which is idle.
    pub(in super::super) fn recall(&self) {
        if let Some(fleet) = self.crew.fleet() {
            fleet.recall(self.station.borrow().child());
        }
    }

    /// Notes what a task took in a thread, in a run that leaves open where its tasks are called.
    pub(in super::super) fn took(&self, run: &Run, task: TaskId, elapsed: Duration) {
        /// Shorter tasks stay where they are.
        const SHORT: Duration = Duration::from_micros(200);
        if run.policy().placement == Placement::Auto
            && elapsed >= SHORT
            && let Some(fleet) = self.crew.fleet()
        {
            fleet.took(&run.plan().key(task).prefix(), elapsed);
        }
    }

    /// Works on a run, beginning with `first`, until nothing is under way.
    pub(in super::super) fn work_in_processes(
        &self,
        active: &Arc<ActiveRun>,
        first: Ticket,
        version: u64,
        several: bool,
    ) {
        self.station.borrow_mut().push_ready(active, first);
        let began = self.now();
        loop {
            let is_waited_for = several || self.crew.version() != version;
            let is_over = is_waited_for && self.now().saturating_sub(began) >= TURN;
            self.send_more(active, is_over);
            if self.station.borrow().is_empty() {
                break;
            }
            self.hear();
            self.look_after();
        }
        if let Some(fleet) = self.crew.fleet() {
            fleet.is_in(self.id, None);
        }
        self.forget_runs();
        self.replace_lost_child();
    }

    /// Tells those who listen which calls have ended, and when. The child says how long each took, and says it
    /// of several at once: they are taken to have followed each other until now.
    fn note_ends(&self, dones: &[Done]) {
        if !self.crew.events().stream().is_heard() {
            return;
        }
        let mut to = self.now();
        for done in dones.iter().rev() {
            let (bytes, failed) = match &done.end {
                End::Value { bytes, .. } | End::Stayed { bytes, .. } => (*bytes, false),
                End::Failed(_) => (0, true),
                End::NotMade => continue,
            };
            let took = Duration::from_nanos(done.elapsed);
            if let Some((run, task)) = self.station.borrow().task_of(done.number) {
                self.note_elsewhere(run, Stretch::new(task, bytes), took, to, failed);
            }
            to = to.saturating_sub(took);
        }
    }

    /// Sees to the child while this thread waits in a task or a hook of its own: sends what is to be sent,
    /// and hears what is said, waiting for that no longer than `timeout`. False if the child has no calls.
    pub(in super::super) fn attend(&self, timeout: Duration) -> bool {
        // Whoever has it is about to look by himself.
        if self.station.try_borrow().is_ok_and(|station| station.is_empty()) {
            return false;
        }
        loop {
            let ready = self.station.borrow_mut().pop_ready();
            let Some(ready) = ready else { break };
            self.send(vec![ready]);
        }
        self.hear_within(timeout);
        self.look_after();
        true
    }

    /// True if the child could be sent a task of the run at once.
    pub(in super::super) fn child_has_room(&self, active: &ActiveRun) -> bool {
        self.room(active) > 0 && self.station.borrow().depth() < DEEP
    }

    /// Sends the child a task, and those behind it, while this thread waits in a task of its own. What becomes
    /// of them is heard when it next attends to the child.
    pub(in super::super) fn send_while_waiting(&self, active: &Arc<ActiveRun>, first: Ticket) {
        self.station.borrow_mut().push_ready(active, first);
        self.send_more(active, false);
    }

    /// The number of the call that was sent last.
    pub(in super::super) fn calls_sent(&self) -> u64 {
        self.station.borrow().last_number()
    }

    /// Hears what becomes of the calls behind that one, until none of them is under way but such as wait for
    /// answers.
    pub(in super::super) fn hear_calls_after(&self, last: u64) {
        while self.station.borrow().moves_after(last) {
            self.hear();
            self.look_after();
        }
    }

    /// Sends what there is to do, as far as the window has room.
    fn send_more(&self, active: &Arc<ActiveRun>, turn_is_over: bool) {
        loop {
            let mut batch = Vec::new();
            let mut room = self.room(active);
            while room > 0 {
                let Some((active, ticket)) = self.more(active, turn_is_over) else { break };
                room -= 1;
                batch.push((active, ticket));
            }
            if batch.is_empty() {
                return;
            }
            self.send(batch);
            if self.crew.anybody_sleeps() && active.run.sharing_pays(self.id) {
                self.crew.wake_one();
            }
        }
    }

    /// How many more calls may be under way.
    fn room(&self, active: &ActiveRun) -> usize {
        let station = self.station.borrow();
        let run = &active.run;
        let alone = active.hooks.is_some()
            || run.shortest_limit().is_some()
            || station.holds_back
            || station.is_suspended();
        let window = if alone { Window::ONE } else { Window::of(run.task_time()) };
        let moving = station.moving();
        if moving > window.few { 0 } else { window.most.saturating_sub(moving) }
    }

    /// The next task for the child.
    fn more(
        &self,
        active: &Arc<ActiveRun>,
        turn_is_over: bool,
    ) -> Option<(Arc<ActiveRun>, Ticket)> {
        let mut station = self.station.borrow_mut();
        if let Some(ready) = station.pop_ready() {
            return Some(ready);
        }
        let fleet = station.fleet.clone()?;
        if fleet.has_bound()
            && let Some(bound) = fleet.bound_to(station.child())
        {
            return Some(bound);
        }
        if !station.is_suspended() {
            drop(station);
            let takes = !turn_is_over && active.run.is_running() && !self.is_stopped();
            let ticket = takes.then(|| active.run.next(self.id)).flatten()?;
            return Some((Arc::clone(active), ticket));
        }
        let (_, runs) = self.crew.runs();
        let is_inside = |active: &&Arc<ActiveRun>| {
            station.is_inside(active.run.id()) || self.is_inside(active.run.id())
        };
        // So deep, only what is called in this thread goes on.
        let is_deep = station.depth() >= DEEP;
        let is_open = |active: &&Arc<ActiveRun>| {
            !(is_inside(active) || is_deep && self.goes_elsewhere(active))
        };
        let others: Vec<_> = runs.iter().rev().filter(is_open).cloned().collect();
        drop(station);
        others.into_iter().find_map(|active| {
            let ticket = self.first_task(&active.run, Watch::eager())?;
            Some((active, ticket))
        })
    }

    /// Takes in what the child says, after waiting for it.
    fn hear(&self) {
        let timeout = {
            let station = self.station.borrow();
            if station.moving() == 0 && !station.is_suspended() {
                return;
            }
            let look = if station.is_suspended() { SHORT_LOOK } else { LOOK };
            let limit = station.next_limit().map(|limit| limit.saturating_sub(self.now()));
            limit.map_or(look, |limit| limit.clamp(Duration::from_micros(100), look))
        };
        self.hear_within(timeout);
    }

    fn hear_within(&self, mut timeout: Duration) {
        let Some(fleet) = self.crew.fleet() else { return };
        loop {
            let heard = match &mut self.station.borrow_mut().link {
                Some(link) => link.hear(fleet, timeout),
                None => return,
            };
            timeout = Duration::ZERO;
            match heard {
                Heard::Message(message) => self.take_in(message),
                Heard::Nothing => return,
                Heard::Gone(error) => return self.lose_child(Loss::Died(why(&error))),
            }
        }
    }

    fn take_in(&self, message: ToParent) {
        match message {
            ToParent::Ready => self.station.borrow_mut().is_ready(self.now()),
            ToParent::Refused { reason } => self.lose_child(Loss::Died(Some(reason))),
            ToParent::Done(dones) => {
                let output = {
                    let mut station = self.station.borrow_mut();
                    station.failed_starts = 0;
                    station.holds_back = false;
                    station.link.as_ref().map(|link| Arc::clone(&link.output))
                };
                self.send_on(&dones);
                if let Some(output) = output {
                    output.catch_up(&dones);
                }
                self.note_ends(&dones);
                for done in dones {
                    let flight = self.station.borrow_mut().take(done.number, Some(&done.end));
                    let Some(flight) = flight else {
                        // One that was called back too late is nobody's any more.
                        self.discard(done);
                        continue;
                    };
                    if let Some(fleet) = self.crew.fleet() {
                        fleet.is_busy_with(flight.active.run.id(), -1);
                    }
                    self.call_ended(flight, done);
                }
            }
            ToParent::Returned { calls } => {
                let returned: Vec<_> = {
                    let mut station = self.station.borrow_mut();
                    station.holds_back = true;
                    calls.into_iter().filter_map(|call| station.take(call, None)).collect()
                };
                for flight in returned {
                    if let Some(fleet) = self.crew.fleet() {
                        fleet.is_busy_with(flight.active.run.id(), -1);
                    }
                    if let Some(ticket) = flight.ticket {
                        give_back(&flight.active, ticket, self.id);
                    }
                }
                self.crew.wake_one();
            }
            ToParent::Ask { question, call, payload } => {
                let asked = {
                    let mut station = self.station.borrow_mut();
                    if let Some(call) = call {
                        station.suspend(call);
                    }
                    station.link.as_ref().map(|link| {
                        let is_of_call = call.is_some();
                        if is_of_call {
                            link.outlet.asked();
                        }
                        let (outlet, process) = (Arc::downgrade(&link.outlet), link.number);
                        Question { outlet, number: question, payload, process, is_of_call }
                    })
                };
                if let (Some(question), Some(fleet)) = (asked, self.crew.fleet()) {
                    fleet.program().ask(question);
                }
            }
            // The link has seen to these.
            ToParent::Share { .. } | ToParent::Forgotten { .. } => {}
        }
    }

    /// Sees to runs that are over, to calls that take too long, and to the end of the worker.
    fn look_after(&self) {
        let now = self.now();
        let mut station = self.station.borrow_mut();
        while let Some(run) = station.run_to_cancel(now) {
            if let Some(link) = &station.link {
                link.outlet.say(&ToChild::Cancel { run: run.0 }, &[]);
            }
        }
        let Some(fleet) = station.fleet.clone() else { return };
        let stuck = station
            .cancelled()
            .find(|(run, since)| now.saturating_sub(*since) >= GRACE || fleet.is_to_kill(*run));
        let overdue = station.overdue(now);
        if now.saturating_sub(station.looked) >= LOOK {
            station.looked = now;
            station.link.iter_mut().for_each(Link::look_at_memory);
            if self.crew.events().stream().is_heard() {
                fleet.is_in(self.id, station.current_task());
            }
        }
        // Others may have the child's end of the socket, too, so that it does not close.
        let has_died = station.link.as_ref().is_some_and(Link::has_died);
        drop(station);
        if has_died {
            // What it said last is said.
            self.hear_within(Duration::ZERO);
            return self.lose_child(Loss::Died(None));
        }
        if let Some((call, limit)) = overdue {
            return self.lose_child(Loss::Overdue { call, limit });
        }
        if stuck.is_some() {
            self.lose_child(Loss::Stuck);
        }
    }

    /// Lets the child forget what it has of runs that are over.
    pub(in super::super) fn forget_runs(&self) {
        let early = self.station.borrow_mut().forget_early();
        for done in early {
            self.discard(done);
        }
        let (_, mut runs) = self.crew.runs();
        // One that is over may still be in the list.
        Arc::make_mut(&mut runs).retain(|active| active.run.is_running());
        if let Some(link) = &mut self.station.borrow_mut().link {
            link.forget_runs(|run| !runs.iter().any(|active| active.run.id() == run));
        }
    }
}

/// How long a worker stays with a run while other runs wait.
const TURN: Duration = Duration::from_millis(1);
