//! The worker's thread: runs tasks, one after the other, until there is nothing left to do.
//!
//! All decisions are the engine's; this loop carries them out. It is the only place where a task's
//! function is called, and it is called under `catch_unwind`. The thread is no arbiter: tasks may block.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::super::blocking::block_on;
use super::super::callbacks::PreStates;
use super::super::panic_message;
use super::super::store::begins_at;
use super::active::{ActiveRun, Report};
use super::asynchronous::AwaitTask;
use super::crew::Crew;
use super::failing::{call_failed, fail_by_hook, fail_by_loss, fail_task};
use super::limited;
use super::spell::watch_of;
use crate::engine::{
    Cause, Completion, Failure, Memory, Pace, Pins, Run, RunId, TaskId, Ticket, Watch, WorkerId,
};
use crate::graph::Outcome;
use crate::value::Value;

/// How long a worker looks around before it sleeps, while some run is going on.
const LOOKING_AROUND: Duration = Duration::from_micros(40);

/// The shortest and the longest sleep of a worker while some run is going on.
pub(super) const NAP: (Duration, Duration) =
    (Duration::from_micros(250), Duration::from_millis(10));

thread_local! {
    /// The worker whose thread this is.
    pub(super) static CURRENT: RefCell<Option<Rc<WorkerThread>>> = const { RefCell::new(None) };
}

/// A worker, seen from its own thread.
pub(super) struct WorkerThread {
    pub(super) id: WorkerId,
    pub(super) crew: Arc<Crew>,
    /// Set by the actor when the thread is to end.
    stop: Arc<AtomicBool>,
    /// The runs of the tasks that this thread is in, the innermost one last.
    inside: RefCell<Vec<Arc<ActiveRun>>>,
    /// When the worker last looked at what all values take.
    refreshed: Cell<Duration>,
    /// The room in memory of those tasks of them that wait.
    lent: Cell<u64>,
    /// What this worker saw of the runs that it did not join, where joining has a price.
    pub(super) watches: RefCell<Vec<(RunId, Watch)>>,
    began: Instant,
}

/// What a task came to.
enum Step {
    Completed(Completion),
    /// The task failed, or its future was handed on.
    Left,
    /// The call took longer than it may, and the task was taken away from this worker.
    Overdue,
}

impl WorkerThread {
    pub(super) fn new(id: WorkerId, crew: Arc<Crew>, stop: Arc<AtomicBool>) -> Self {
        #[expect(clippy::disallowed_methods, reason = "the origin of this worker's clock")]
        let began = Instant::now();
        Self {
            id,
            crew,
            stop,
            inside: RefCell::default(),
            refreshed: Cell::default(),
            lent: Cell::new(0),
            watches: RefCell::default(),
            began,
        }
    }

    /// Works until it is stopped. To be called once, on the worker's own thread.
    pub(super) fn run(self) {
        let this = Rc::new(self);
        CURRENT.set(Some(Rc::clone(&this)));
        let mut turn = 0;
        this.crew.surroundings().thread(&mut || {
            while !this.is_stopped() {
                if !this.work_a_spell(&mut turn) {
                    this.find_work(&mut turn);
                }
            }
        });
        CURRENT.set(None);
    }

    pub(super) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Looks at the clock between two tasks.
    #[expect(
        clippy::disallowed_methods,
        reason = "the store prices values by the time of their task"
    )]
    fn look(&self) -> Duration {
        let now = Instant::now();
        begins_at(now);
        now.saturating_duration_since(self.began)
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Works on the next run, in turn, that has a task for this worker; false if none has.
    pub(super) fn work_on_next(&self, turn: &mut usize, watch: Watch) -> bool {
        let (version, runs) = self.crew.runs();
        for offset in 0..runs.len() {
            let at = (*turn + offset) % runs.len();
            let active = &runs[at];
            if let Some(ticket) = self.first_task(&active.run, watch) {
                self.work(active, ticket, version, runs.len() > 1);
                *turn = at + 1;
                return true;
            }
        }
        false
    }

    fn first_task(&self, run: &Run, mut watch: Watch) -> Option<Ticket> {
        let own = || run.is_running().then(|| run.next(self.id)).flatten();
        own()
            .or_else(|| {
                let takes = run.is_running() && run.available_to(self.id) > 0;
                takes.then(|| run.take_from_others(self.id, &mut watch, self.now())).flatten()
            })
            .or_else(|| (!self.crew.surroundings().is_plain()).then(|| self.lose_patience(run))?)
    }

    /// Looks around until there is work, then sleeps until woken.
    fn find_work(&self, turn: &mut usize) {
        let (version, runs) = self.crew.runs();
        let going_on = || runs.iter().any(|active| active.run.is_running());
        if going_on() {
            let mut watches = vec![Watch::default(); runs.len()];
            let from = self.now();
            while self.now().saturating_sub(from) < LOOKING_AROUND && self.crew.version() == version
            {
                if !self.crew.surroundings().is_plain() {
                    if self.is_welcome() {
                        return;
                    }
                    std::hint::spin_loop();
                    continue;
                }
                for (active, watch) in runs.iter().zip(&mut watches) {
                    let run = &active.run;
                    if run.is_running()
                        && let Some(ticket) = run.take_from_others(self.id, watch, self.now())
                    {
                        return self.work(active, ticket, version, runs.len() > 1);
                    }
                }
                for _ in 0..64 {
                    std::hint::spin_loop();
                }
            }
        }
        drop(runs);
        self.sleep(version, turn);
    }

    /// Sleeps, with looks around in between while some run is going on.
    fn sleep(&self, version: u64, turn: &mut usize) {
        let mut nap = NAP.0;
        let mut watches: Vec<(RunId, Watch)> = Vec::new();
        self.crew.falls_asleep(self.id);
        while self.crew.version() == version && !self.is_stopped() {
            let (_, runs) = self.crew.runs();
            if !runs.iter().any(|active| active.run.is_running()) {
                drop(runs);
                std::thread::park();
                break;
            }
            if !self.crew.surroundings().is_plain() && self.is_welcome() {
                break;
            }
            let found = runs.iter().find_map(|active| {
                let run = &active.run;
                let ticket = (run.is_running() && self.crew.surroundings().is_plain())
                    .then(|| {
                        let watch = watch_of(&mut watches, run.id());
                        run.next(self.id)
                            .or_else(|| run.take_from_others(self.id, watch, self.now()))
                            .or_else(|| self.lose_patience(run))
                    })
                    .flatten()?;
                Some((Arc::clone(active), ticket))
            });
            if let Some((active, ticket)) = found {
                let several = runs.len() > 1;
                drop(runs);
                self.crew.is_awake(self.id);
                return self.work(&active, ticket, version, several);
            }
            drop(runs);
            std::thread::park_timeout(nap);
            if !self.crew.is_sleeping(self.id) {
                break;
            }
            nap = (nap * 2).min(NAP.1);
        }
        self.crew.is_awake(self.id);
        *turn = turn.wrapping_add(1);
    }

    /// Lets a task start over the memory limit if nothing of its run has started for so long that the
    /// one that has the room may be waiting for it, in a way that nobody can see: on a thread of its own,
    /// for a run that it started there.
    fn lose_patience(&self, run: &Run) -> Option<Ticket> {
        const PATIENCE: Duration = Duration::from_secs(120);
        if run.held_back() == 0 || run.stalled_for(self.crew.now()) < PATIENCE {
            return None;
        }
        let ticket = run.next_over_limit()?;
        let key = run.plan().key(ticket.task());
        log::warn!("{key:?} starts over the memory limit: no room has come for {PATIENCE:?}");
        Some(ticket)
    }

    /// Works on one run until nothing of it is left for this worker, or until other runs' turn comes.
    fn work(&self, active: &Arc<ActiveRun>, first: Ticket, version: u64, several: bool) {
        self.inside.borrow_mut().push(Arc::clone(active));
        self.work_in_turn(active, first, version, several);
        self.inside.borrow_mut().pop();
    }

    fn work_in_turn(&self, active: &Arc<ActiveRun>, first: Ticket, version: u64, several: bool) {
        let run = &*active.run;
        if run.task_time().is_none() {
            // Nobody knows yet how long a task takes, so the first one must not be waited for.
            self.share(run);
        }
        let mut pace = Pace::new(self.look());
        let mut next = Some(first);
        let notes_all = self.crew.history().notes_every_task();
        while let Some(mut ticket) = next {
            if !run.is_running() {
                // The run may be held long after its end.
                run.give_room_back(&mut ticket);
                return;
            }
            let task = ticket.task();
            if self.is_stopped() {
                return run.put_back(self.id, ticket);
            }
            next = match self.step(active, ticket) {
                Step::Left => run.next(self.id),
                // Another worker may be in this one's place by now.
                Step::Overdue => return,
                Step::Completed(completion) => {
                    if completion.ended {
                        // First, so that whoever waits for the run finds it noted.
                        pace.count();
                        let (tasks, elapsed) = pace.look(self.look());
                        self.note(run, task, tasks, elapsed);
                        active.report(Report::RunEnded { run: run.id() });
                        return;
                    }
                    if completion.surplus {
                        self.share(run);
                    }
                    completion.next
                }
            };
            if pace.count() || notes_all {
                let now = self.look();
                let (tasks, elapsed) = pace.look(now);
                run.measured(tasks, elapsed);
                self.refresh(run, now);
                self.note(run, task, tasks, elapsed);
                self.share(run);
                let waited_for = several || self.crew.version() != version;
                let turn_is_over = waited_for && pace.turn_is_over();
                if turn_is_over || self.is_stopped() || !self.crew.surroundings().goes_on() {
                    if let Some(ticket) = next {
                        run.put_back(self.id, ticket);
                    }
                    return;
                }
            }
        }
    }

    /// Notes a task that has ended, if its time is known: it was the only one since the last look.
    fn note(&self, run: &Run, task: TaskId, tasks: u32, elapsed: Duration) {
        if tasks == 1 {
            self.crew.history().ended(run.id(), self.id, elapsed, run.plan().key(task));
        }
    }

    /// Looks at what all values take, now and then: adding up what every worker counts costs as much as
    /// some short tasks.
    fn refresh(&self, run: &Run, now: Duration) {
        const BETWEEN: Duration = Duration::from_micros(200);
        if now.saturating_sub(self.refreshed.get()) >= BETWEEN {
            self.refreshed.set(now);
            run.memory().refresh();
        }
    }

    /// Wakes somebody if there is work for two.
    #[inline]
    fn share(&self, run: &Run) {
        let surroundings = self.crew.surroundings();
        if self.crew.anybody_sleeps() && surroundings.sharing_pays(run, self.id) {
            self.crew.wake_one();
        }
    }

    /// Runs one task.
    #[inline]
    fn step(&self, active: &Arc<ActiveRun>, ticket: Ticket) -> Step {
        let run = &*active.run;
        run.start(self.id, &ticket);
        if active.hooks.is_some() || run.needs_care() {
            return self.step_with_care(active, ticket);
        }
        let mut pins = Pins::default();
        if run.has_kept()
            && let Err(failure) = self.bring_back(run, &ticket, &mut pins)
        {
            return self.lose_input(active, ticket, failure);
        }
        let keep_inputs = run.retries(ticket.task()) > 0;
        let call = || run.call(self.id, &ticket, keep_inputs, &mut pins);
        match catch_unwind(AssertUnwindSafe(call)) {
            Ok(Ok(Outcome::Ready(value))) => Step::Completed(run.complete(self.id, ticket, value)),
            Ok(Ok(Outcome::Later(future))) => {
                self.hand_on(active, AwaitTask::new(active, ticket, future, PreStates::new()))
            }
            Ok(Err(error)) => self.fail(active, ticket, call_failed(error)),
            Err(panic) => self.fail(active, ticket, Cause::Panic(panic_message(panic))),
        }
    }

    /// Runs one task that may need more than a call: hooks around it, a time limit, or no call at all.
    fn step_with_care(&self, active: &Arc<ActiveRun>, mut ticket: Ticket) -> Step {
        let (run, task) = (&active.run, ticket.task());
        if let Some(missing) = run.verdict(&ticket) {
            active.skipped(task, &missing);
            return Step::Completed(run.complete(self.id, ticket, missing));
        }
        let mut pins = Pins::default();
        if run.has_kept()
            && let Err(failure) = self.bring_back(run, &ticket, &mut pins)
        {
            return self.lose_input(active, ticket, failure);
        }
        let mut states = PreStates::new();
        if let Some(hooks) = &active.hooks {
            if !hooks.is_retried(task) {
                let submitted = hooks.set.submit(run, task);
                if !run.is_running() {
                    run.give_room_back(&mut ticket);
                    run.stop(self.id);
                    return Step::Left;
                }
                hooks.submitted(run);
                match submitted {
                    Err(failure) => return self.fail_hook(active, ticket, failure),
                    Ok(Some(value)) => {
                        run.is_answered();
                        return Step::Completed(run.complete(self.id, ticket, value));
                    }
                    Ok(None) => {}
                }
            }
            match hooks.set.pretask(run, task) {
                Ok(handed_on) => states = handed_on,
                Err(failure) => return self.fail_hook(active, ticket, failure),
            }
        }
        let Some((ticket, called)) = limited::call(run, &self.crew, self.id, ticket, &mut pins)
        else {
            return Step::Overdue;
        };
        match called {
            Ok(Ok(Outcome::Ready(value))) => self.post(active, ticket, value, states),
            Ok(Ok(Outcome::Later(future))) => {
                self.hand_on(active, AwaitTask::new(active, ticket, future, states))
            }
            Ok(Err(error)) => self.fail(active, ticket, call_failed(error)),
            Err(panic) => self.fail(active, ticket, Cause::Panic(panic_message(panic))),
        }
    }

    fn post(
        &self,
        active: &Arc<ActiveRun>,
        ticket: Ticket,
        value: Value,
        states: PreStates,
    ) -> Step {
        match posttask(active, &ticket, &value, states) {
            Ok(()) => Step::Completed(active.run.complete(self.id, ticket, value)),
            Err(failure) => self.fail_hook(active, ticket, failure),
        }
    }

    /// Holds the large inputs of a task in memory, and waits for those that have to come back first.
    #[cold]
    fn bring_back(&self, run: &Run, ticket: &Ticket, pins: &mut Pins) -> Result<(), Failure> {
        // Mostly they are all there.
        let at_once = &mut Context::from_waker(Waker::noop());
        if let Poll::Ready(pinned) = run.poll_pins(ticket, pins, at_once) {
            return pinned;
        }
        let brought = poll_fn(|context| run.poll_pins(ticket, pins, context));
        // If an input has to be made again, this may be the only worker that can do it.
        self.wait_inside(&mut || None, brought)
    }

    /// An input of the task is lost for good, and with it the task.
    #[cold]
    fn lose_input(&self, active: &Arc<ActiveRun>, mut ticket: Ticket, failure: Failure) -> Step {
        active.run.give_room_back(&mut ticket);
        active.run.stop(self.id);
        fail_by_loss(active, ticket, self.id, failure);
        Step::Left
    }

    fn hand_on(&self, active: &Arc<ActiveRun>, mut task: AwaitTask) -> Step {
        // It may wait for other tasks, for which there must be room.
        active.run.give_room_back(task.ticket());
        active.run.stop(self.id);
        active.has_futures.store(true, Ordering::Release);
        // If nobody awaits futures any more, the cluster ends and nobody waits for the run.
        active.futures.do_send(task);
        Step::Left
    }

    #[cold]
    fn fail(&self, active: &Arc<ActiveRun>, mut ticket: Ticket, cause: Cause) -> Step {
        active.run.give_room_back(&mut ticket);
        active.run.stop(self.id);
        fail_task(active, ticket, self.id, cause);
        Step::Left
    }

    #[cold]
    fn fail_hook(&self, active: &Arc<ActiveRun>, mut ticket: Ticket, failure: Failure) -> Step {
        active.run.give_room_back(&mut ticket);
        active.run.stop(self.id);
        fail_by_hook(active, ticket, self.id, failure);
        Step::Left
    }

    fn is_inside(&self, run: RunId) -> bool {
        self.inside.borrow().iter().any(|active| active.run.id() == run)
    }

    /// Waits in a task of this thread for a future that ends with a run; with an unknown one, if there is
    /// no answer to which.
    pub(super) fn wait_inside<F: Future>(
        &self,
        run: &mut dyn FnMut() -> Option<RunId>,
        future: F,
    ) -> F::Output {
        // The tasks that wait add nothing to memory meanwhile; what they wait for must find room.
        let inside = self.inside.borrow();
        let room: u64 = inside.iter().map(|active| active.run.reserved_by(self.id)).sum();
        let memory = inside.last().map(|active| Arc::clone(active.run.memory()));
        drop(inside);
        let more = room.saturating_sub(self.lent.get());
        let lend = |change: &dyn Fn(&Memory)| memory.iter().for_each(|memory| change(memory));
        lend(&|memory| memory.lend(more));
        self.lent.set(self.lent.get() + more);
        let mut output = None;
        let mut future = Some(future);
        self.crew.surroundings().wait(&mut || {
            output = future.take().map(|future| block_on(future, || self.help(run())));
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
        if self.is_stopped() {
            return std::thread::park_timeout(NAP.0);
        }
        let is_deep = self.inside.borrow().len() >= DEEP;
        let (version, runs) = self.crew.runs();
        let is_awaited = |active: &&Arc<ActiveRun>| Some(active.run.id()) == awaited;
        let others = runs
            .iter()
            .rev()
            .filter(|_| !is_deep)
            .filter(|active| !is_awaited(active) && !self.is_inside(active.run.id()));
        let task = runs.iter().filter(is_awaited).chain(others).find_map(|active| {
            Some((Arc::clone(active), self.first_task(&active.run, Watch::eager())?))
        });
        drop(runs);
        if let Some((active, ticket)) = task {
            let mut ticket = Some(ticket);
            return self.crew.surroundings().work(&mut || {
                if let Some(ticket) = ticket.take() {
                    self.work(&active, ticket, version, true);
                }
            });
        }
        self.crew.waits();
        std::thread::park_timeout(NAP.0);
        self.crew.waits_no_more();
    }
}

/// The `posttask` hooks of a task, unless the run is over already.
pub(super) fn posttask(
    active: &ActiveRun,
    ticket: &Ticket,
    value: &Value,
    states: PreStates,
) -> Result<(), Failure> {
    match &active.hooks {
        Some(hooks) if active.run.is_running() => {
            hooks.set.posttask(active.run.plan().key(ticket.task()), value, states)
        }
        _ => Ok(()),
    }
}
