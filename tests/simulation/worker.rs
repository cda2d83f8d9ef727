//! A pretend worker: it does in virtual time what a worker's thread does in real time.
//!
//! It looks at the published runs in turn, goes on with a run until its turn is over or nothing is left
//! for it, shares what pays to be shared, and sleeps when there is nothing to do. How long a call takes
//! and whether it fails stands in the task's script; when its inputs are read is left to chance.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use mobula::engine::{Claim, Event, Pace, Pins, Run, RunId, Ticket, Watch, WorkerId};
use mobula::{Backoff, BoxFuture, Failure, Outcome, TaskId, Value};

use crate::history::Entry;
use crate::laws::index;
use crate::plan::Script;
use crate::room::Admission;
use crate::world::{What, World, worker_id};

/// A worker of a world.
#[derive(Default)]
pub(crate) struct Worker {
    state: State,
    /// Counts naps and tasks, so that what is arranged for an earlier one can be told.
    doing: u64,
    /// The place in the list of runs at which it looks first.
    turn: usize,
    /// How long it naps now.
    nap: u64,
    /// What it saw of each run when it was there before.
    pub(super) watches: BTreeMap<RunId, Watch>,
}

#[derive(Default)]
enum State {
    #[default]
    Absent,
    Idle,
    /// Some inputs of its task are not in memory yet.
    Waiting(Box<Waiting>),
    Busy(Box<Busy>),
}

/// A task that has started and waits for inputs.
struct Waiting {
    run: Arc<Run>,
    ticket: Ticket,
    pace: Pace,
    pins: Pins,
}

/// The task that a worker is in.
struct Busy {
    run: Arc<Run>,
    held: Held,
    pace: Pace,
    /// The large inputs, until the call.
    pins: Pins,
    /// What the call came to, if it was made at the beginning.
    called: Option<Called>,
}

/// By what right a worker is in a task.
enum Held {
    Ticket(Ticket),
    /// A call that has a time limit, with inputs of its own until it is made.
    Claim(Claim, Vec<Value>),
}

/// What a call came to.
enum Called {
    Value(Value),
    Later(BoxFuture),
    Failed,
}

/// An asynchronous task whose future is not ready.
pub(super) struct Awaited {
    run: Arc<Run>,
    ticket: Ticket,
    future: BoxFuture,
    /// True if it is not ready yet, and is dropped now because it takes too long.
    is_overdue: bool,
}

impl Worker {
    pub(super) fn is_there(&self) -> bool {
        !matches!(self.state, State::Absent)
    }

    pub(super) fn joins(&mut self) {
        *self = Self { state: State::Idle, doing: self.doing + 1, ..Self::default() };
    }

    pub(super) fn dies(&mut self) {
        self.state = State::Absent;
        self.doing += 1;
    }
}

impl Waiting {
    fn poll(&mut self) -> Poll<Result<(), Failure>> {
        let context = &mut Context::from_waker(Waker::noop());
        self.run.poll_pins(&self.ticket, &mut self.pins, context)
    }
}

impl World<'_> {
    fn worker(&mut self, worker: WorkerId) -> &mut Worker {
        &mut self.workers[worker.index()]
    }

    /// What is to happen in a task.
    fn script(&self, run: &Run, task: TaskId) -> &Script {
        let number = index(run.id());
        let node = self.laws.sheet(run.id()).tasks[task.index()].node;
        &self.scenario.submissions[number].blueprint.nodes[node].script
    }

    /// True if the next attempt is one that fails.
    fn fails(&self, run: &Run, task: TaskId) -> bool {
        let failures = self.laws.sheet(run.id()).tasks[task.index()].failures;
        failures < self.script(run, task).fails
    }

    /// An idle worker is woken by somebody.
    pub(super) fn wake(&mut self, worker: WorkerId) {
        if matches!(self.worker(worker).state, State::Idle) {
            self.look_around(worker);
        }
    }

    pub(super) fn wake_one(&mut self) {
        if let Some(worker) = self.sleepers.pop() {
            self.send(What::Wake(worker));
        }
    }

    /// Works on the next run that has something for the worker, or sleeps.
    pub(super) fn look_around(&mut self, worker: WorkerId) {
        self.sleepers.retain(|sleeper| *sleeper != worker);
        if !self.begins_turn(worker) {
            let shortest = self.scenario.nap.0;
            let idle = self.worker(worker);
            (idle.state, idle.nap) = (State::Idle, shortest);
            self.sleepers.push(worker);
            self.sleep(worker);
        }
    }

    /// Sleeps for a while; until woken, if no run is going on.
    fn sleep(&mut self, worker: WorkerId) {
        let idle = self.worker(worker);
        idle.doing += 1;
        let (doing, nap) = (idle.doing, idle.nap);
        if !self.published.is_empty() {
            self.arrange(nap, What::EndNap(worker, doing));
        }
    }

    pub(super) fn end_nap(&mut self, worker: WorkerId, nap: u64) {
        if self.worker(worker).doing != nap {
            return;
        }
        if self.begins_turn(worker) {
            self.sleepers.retain(|sleeper| *sleeper != worker);
        } else {
            let longest = self.scenario.nap.1;
            let idle = self.worker(worker);
            idle.nap = (idle.nap * 2).min(longest);
            self.sleep(worker);
        }
    }

    fn begins_turn(&mut self, worker: WorkerId) -> bool {
        let Some((run, ticket, asked)) = self.find(worker) else { return false };
        if run.task_time().is_none() && run.sharing_pays(worker) {
            self.wake_one();
        }
        let pace = Pace::new(self.clock());
        self.start(worker, run, ticket, pace, asked);
        true
    }

    /// The next run in turn that has a task for the worker.
    /// True beside it: it had to ask for room.
    fn find(&mut self, worker: WorkerId) -> Option<(Arc<Run>, Ticket, bool)> {
        let (now, runs) = (self.clock(), &self.published);
        let Worker { turn, watches, .. } = &mut self.workers[worker.index()];
        for offset in 0..runs.len() {
            let at = (*turn + offset) % runs.len();
            let run = &runs[at];
            if !run.is_running() {
                continue;
            }
            let watch = watches.entry(run.id()).or_default();
            let asks = run.memory().is_tight();
            let own = run.next(worker);
            let taken = own.is_none();
            if let Some(ticket) = own.or_else(|| run.take_from_others(worker, watch, now)) {
                self.history.counts.taken += u64::from(taken);
                *turn = at + 1;
                return Some((Arc::clone(run), ticket, asks));
            }
            if let Some(keeper) = self.keeper.as_ref().filter(|_| run.held_back() > 0) {
                self.history.counts.held_back += 1;
                let is_told = keeper.is_pressed() || run.memory().excess() == 0;
                assert!(is_told, "law: the keeper knows that somebody waits for room");
            }
        }
        None
    }

    fn start(&mut self, worker: WorkerId, run: Arc<Run>, ticket: Ticket, pace: Pace, asked: bool) {
        let task = ticket.task();
        self.laws.started(worker, &run, task);
        self.history.note(self.now, Entry::Started(worker, run.id(), task));
        self.progress = self.now;
        run.start(worker, &ticket);
        self.is_admitted(worker, &run, task, asked);
        let mut waiting = Waiting { run, ticket, pace, pins: Pins::default() };
        if waiting.run.verdict(&waiting.ticket).is_none() && waiting.run.has_kept() {
            match waiting.poll() {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return self.lose_input(worker, waiting),
                Poll::Pending => {
                    self.history.counts.waited_for_inputs += 1;
                    let waits = self.worker(worker);
                    waits.state = State::Waiting(Box::new(waiting));
                    waits.doing += 1;
                    return;
                }
            }
        }
        self.begin(worker, waiting);
    }

    fn is_admitted(&mut self, worker: WorkerId, run: &Run, task: TaskId, asked: bool) {
        if let Some(keeper) = self.keeper.clone() {
            let memory = Arc::clone(run.memory());
            let admission = Admission { memory: &memory, keeper: &keeper, asked };
            self.laws.admitted(worker, run, task, admission, &mut self.history.counts);
        }
    }

    /// Goes on with the tasks that have waited for inputs, where these are there now.
    pub(super) fn look_at_inputs(&mut self) {
        for number in 0..self.workers.len() {
            let State::Waiting(waiting) = &mut self.workers[number].state else { continue };
            let polled = waiting.poll();
            let worker = worker_id(number);
            if polled.is_pending() {
                continue;
            }
            let State::Waiting(waiting) = std::mem::take(&mut self.worker(worker).state) else {
                unreachable!("it was waiting")
            };
            match polled {
                Poll::Ready(Err(_)) => self.lose_input(worker, *waiting),
                Poll::Ready(Ok(())) | Poll::Pending => self.begin(worker, *waiting),
            }
        }
    }

    /// An input of a task is lost for good, and so is the run.
    fn lose_input(&mut self, worker: WorkerId, waiting: Waiting) {
        let Waiting { run, ticket, .. } = waiting;
        self.history.counts.lost_inputs += 1;
        self.worker(worker).state = State::Idle;
        self.laws.left(worker);
        run.stop(worker);
        self.laws.failed(run.id(), ticket.task());
        let (id, task) = (run.id(), ticket.task());
        self.troubled.insert((id, task), ticket);
        self.send(What::Hear(Event::TaskFailed {
            run: id,
            task,
            worker,
            retries: 0,
            backoff: Backoff::NONE,
            by_hook: true,
        }));
        drop(run);
        self.look_around(worker);
    }

    /// Begins a task whose inputs are in memory.
    fn begin(&mut self, worker: WorkerId, waiting: Waiting) {
        let Waiting { run, ticket, pace, mut pins } = waiting;
        let task = ticket.task();
        let Script { duration, answer, .. } = *self.script(&run, task);
        let attempt = u64::from(self.laws.sheet(run.id()).tasks[task.index()].failures) + 1;
        // Where time is limited, the next attempt has a chance.
        let duration = if run.needs_care() { duration / attempt } else { duration };
        let missing = run.verdict(&ticket);
        self.laws.judged(&run, task, missing.as_ref());
        let called = match answer {
            _ if missing.is_some() => {
                self.history.counts.without_value += 1;
                missing.map(Called::Value)
            }
            Some(number) => {
                self.history.counts.answered += 1;
                Some(Called::Value(Value::new(number)))
            }
            None if run.time_limit(task).is_some() => None,
            None => self.rng.chance(50).then(|| self.call(worker, &run, &ticket, &mut pins)),
        };
        let held = if called.is_none() && run.time_limit(task).is_some() {
            self.has_inputs(&run, task);
            let inputs = run.inputs(&ticket, &mut pins);
            Held::Claim(run.enter(worker, ticket, self.clock()), inputs)
        } else {
            Held::Ticket(ticket)
        };
        let busy = self.worker(worker);
        busy.state = State::Busy(Box::new(Busy { run, held, pace, pins, called }));
        busy.doing += 1;
        let doing = busy.doing;
        self.arrange(duration.max(1), What::EndTask(worker, doing));
    }

    fn has_inputs(&self, run: &Run, task: TaskId) {
        if let Some(keeper) = &self.keeper {
            self.laws.has_inputs(run.id(), task, keeper);
        }
    }

    fn call(&mut self, worker: WorkerId, run: &Run, ticket: &Ticket, pins: &mut Pins) -> Called {
        let task = ticket.task();
        let keeps_inputs = self.scenario.keeps_inputs || run.retries(task) > 0;
        self.has_inputs(run, task);
        self.laws.called(run, task, keeps_inputs);
        let outcome = run.call(worker, ticket, keeps_inputs, pins);
        let outcome = outcome.expect("blueprints hold good calls");
        self.called(run, task, outcome)
    }

    /// A worker comes out of a call, and its task was taken away meanwhile.
    fn comes_back(&mut self, worker: WorkerId) {
        self.history.counts.came_back += 1;
        if !self.relieved.remove(&worker) {
            return self.look_around(worker);
        }
        self.worker(worker).dies();
        self.send(What::Hear(Event::SeatFree { worker, running: Vec::new() }));
    }

    fn called(&self, run: &Run, task: TaskId, outcome: Outcome) -> Called {
        match outcome {
            Outcome::Later(future) => Called::Later(future),
            Outcome::Ready(_) if self.fails(run, task) => Called::Failed,
            Outcome::Ready(value) => Called::Value(value),
        }
    }

    pub(super) fn end_task(&mut self, worker: WorkerId, task: u64) {
        if self.worker(worker).doing != task {
            return;
        }
        let State::Busy(busy) = std::mem::take(&mut self.worker(worker).state) else {
            unreachable!("a worker that ends a task was in it")
        };
        let Busy { run, held, mut pace, mut pins, mut called } = *busy;
        self.worker(worker).state = State::Idle;
        self.progress = self.now;
        let mut ticket = match held {
            Held::Ticket(ticket) => ticket,
            Held::Claim(claim, inputs) => {
                // The world waits for no call, so it is made when its time is over.
                let task = claim.task();
                let outcome = run.call_with(task, inputs).expect("blueprints hold good calls");
                let Some(ticket) = run.leave(worker, claim) else {
                    return self.comes_back(worker);
                };
                called = Some(self.called(&run, task, outcome));
                ticket
            }
        };
        let called = called.unwrap_or_else(|| self.call(worker, &run, &ticket, &mut pins));
        drop(pins);
        self.laws.left(worker);
        let next = match called {
            Called::Value(value) => self.complete(worker, &run, ticket, value),
            Called::Later(future) => {
                run.give_room_back(&mut ticket);
                self.laws.room.given_back(run.id(), ticket.task());
                run.stop(worker);
                self.awaits(&run, ticket, future);
                run.next(worker)
            }
            Called::Failed => {
                run.give_room_back(&mut ticket);
                self.laws.room.given_back(run.id(), ticket.task());
                run.stop(worker);
                self.fail(worker, &run, ticket);
                run.next(worker)
            }
        };
        let asked = run.memory().is_tight();
        if pace.count() {
            let (tasks, elapsed) = pace.look(self.clock());
            run.measured(tasks, elapsed);
            run.memory().refresh();
            self.share(worker, &run);
            if self.published.len() > 1 && pace.turn_is_over() {
                self.history.counts.turns_over += 1;
                if let Some(ticket) = next {
                    run.put_back(worker, ticket);
                }
                return self.look_around(worker);
            }
        }
        match next {
            Some(ticket) if run.is_running() => self.start(worker, run, ticket, pace, asked),
            Some(_) => {
                self.laws.room.dropped(run.id(), run.memory());
                drop(run);
                self.look_around(worker);
            }
            None => self.look_around(worker),
        }
    }

    /// Completes a task, and answers what the worker goes on with.
    fn complete(
        &mut self,
        worker: WorkerId,
        run: &Run,
        ticket: Ticket,
        value: Value,
    ) -> Option<Ticket> {
        let task = ticket.task();
        let went_on = run.is_running();
        self.history.counts.late += u64::from(!went_on);
        self.history.note(self.now, Entry::Completed(worker, run.id(), task));
        self.laws.completed(run, task, &value);
        self.laws.room.given_back(run.id(), task);
        let completion = run.complete(worker, ticket, value);
        self.laws.led_to(run, task, &completion, went_on);
        if completion.ended {
            self.send(What::Hear(Event::RunEnded { run: run.id() }));
        } else if completion.surplus {
            self.share(worker, run);
        }
        completion.next
    }

    /// Wakes somebody if there is work for two.
    fn share(&mut self, worker: WorkerId, run: &Run) {
        if !self.sleepers.is_empty() && run.sharing_pays(worker) {
            self.wake_one();
        }
    }

    fn fail(&mut self, worker: WorkerId, run: &Run, ticket: Ticket) {
        self.laws.failed(run.id(), ticket.task());
        self.report_failure(worker, run, ticket);
    }

    /// A task's ticket goes to the scheduler, and the report of its failure on its way.
    pub(super) fn report_failure(&mut self, worker: WorkerId, run: &Run, ticket: Ticket) {
        let (run_id, task) = (run.id(), ticket.task());
        self.troubled.insert((run_id, task), ticket);
        let (retries, backoff) = (run.retries(task), run.backoff(task));
        let (run, by_hook) = (run_id, false);
        let event = Event::TaskFailed { run, task, worker, retries, backoff, by_hook };
        self.send(What::Hear(event));
    }

    fn awaits(&mut self, run: &Arc<Run>, ticket: Ticket, future: BoxFuture) {
        self.history.counts.awaited += 1;
        let awaited = self.script(run, ticket.task()).awaited;
        let awaited = awaited.expect("a task that is asynchronous says for how long");
        let limit = self.scenario.submissions[index(run.id())].task_limit;
        let is_overdue = limit.is_some_and(|limit| limit < awaited);
        let task = Awaited { run: Arc::clone(run), ticket, future, is_overdue };
        self.arrange(
            limit.map_or(awaited, |limit| limit.min(awaited)),
            What::EndFuture(Box::new(task)),
        );
    }

    /// The future of an asynchronous task is ready.
    pub(super) fn end_future(&mut self, awaited: Awaited) {
        let Awaited { run, ticket, mut future, is_overdue } = awaited;
        if !run.is_running() {
            return;
        }
        self.progress = self.now;
        let nobody = self.nobody();
        if is_overdue || self.fails(&run, ticket.task()) {
            return self.fail(nobody, &run, ticket);
        }
        let polled = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(Ok(value)) = polled else { unreachable!("it is ready and succeeds") };
        if let Some(next) = self.complete(nobody, &run, ticket, value) {
            run.put_back(nobody, next);
            self.wake_one();
        }
    }
}
