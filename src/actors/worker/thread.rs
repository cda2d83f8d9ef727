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

use super::super::callbacks::PreStates;
use super::super::panic_message;
use super::super::store::begins_at;
use super::active::{ActiveRun, Report};
use super::asynchronous::AwaitTask;
use super::crew::Crew;
use super::failing::{call_failed, fail_by_hook, fail_by_loss, fail_task};
use super::limited;
use super::noting::Notebook;
use super::process::Station;
use super::spell::watch_of;
use crate::engine::{
    Cause, Completion, Failure, Pace, Pins, Run, RunId, TaskId, Ticket, Watch, WorkerId,
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
    pub(super) inside: RefCell<Vec<Arc<ActiveRun>>>,
    /// When the worker last looked at what all values take.
    refreshed: Cell<Duration>,
    /// The room in memory of the tasks that this thread is in, of runs whose tasks are mostly sent away.
    pub(super) room_here: Cell<u64>,
    /// The room in memory of those tasks of both kinds that wait.
    pub(super) lent: Cell<u64>,
    /// What this worker saw of the runs that it did not join, where joining has a price.
    pub(super) watches: RefCell<Vec<(RunId, Watch)>>,
    /// The child process of this worker, with the calls that it was sent.
    pub(super) station: RefCell<Station>,
    /// What this worker has to tell those who listen.
    pub(super) notebook: Notebook,
    began: Instant,
}

/// What a task came to.
pub(super) enum Step {
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
        let station = RefCell::new(Station::new(crew.fleet().map(Arc::clone)));
        let notebook = Notebook::new(crew.events(), began);
        Self {
            station,
            notebook,
            id,
            crew,
            stop,
            inside: RefCell::default(),
            refreshed: Cell::default(),
            room_here: Cell::new(0),
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
            this.start_child_early();
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

    /// Works on the next run, in turn, that has a task for this worker; false if none has. Looks only at
    /// runs whose tasks are called in processes, or only at the others.
    pub(super) fn work_on_next(&self, turn: &mut usize, watch: Watch, elsewhere: bool) -> bool {
        let (version, runs) = self.crew.runs();
        if elsewhere && let Some((active, ticket)) = self.bound_task() {
            self.work(&active, ticket, version, true);
            return true;
        }
        for offset in 0..runs.len() {
            let at = (*turn + offset) % runs.len();
            let active = &runs[at];
            if self.goes_elsewhere(active) != elsewhere {
                continue;
            }
            if let Some(ticket) = self.first_task(&active.run, watch) {
                self.work(active, ticket, version, runs.len() > 1);
                *turn = at + 1;
                return true;
            }
        }
        false
    }

    pub(super) fn first_task(&self, run: &Run, mut watch: Watch) -> Option<Ticket> {
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
                if !self.crew.surroundings().is_plain() && self.is_welcome() {
                    return;
                }
                for (active, watch) in runs.iter().zip(&mut watches) {
                    let run = &active.run;
                    if run.is_running()
                        && self.needs_no_spell(active)
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
                self.forget_runs();
                self.leave_child_alone();
                std::thread::park();
                self.look_after_idle_child();
                break;
            }
            if !self.crew.surroundings().is_plain() && self.is_welcome() {
                break;
            }
            // A call is bound to a child while its worker may be on its way to sleep, and be missed by the
            // one that wakes.
            if let Some((active, ticket)) = self.bound_task() {
                drop(runs);
                self.crew.is_awake(self.id);
                return self.work(&active, ticket, version, true);
            }
            let found = runs.iter().find_map(|active| {
                let run = &active.run;
                let ticket = (run.is_running() && self.needs_no_spell(active))
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
            self.recall();
            self.hear_idle_child();
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
    pub(super) fn work(&self, active: &Arc<ActiveRun>, first: Ticket, version: u64, several: bool) {
        self.inside.borrow_mut().push(Arc::clone(active));
        if self.goes_elsewhere(active) {
            self.work_in_processes(active, first, version, several);
        } else {
            let now = self.look();
            let around = self.begin_notes(now);
            self.work_in_turn(active, first, version, several, now);
            self.end_notes(&active.run, around);
        }
        self.inside.borrow_mut().pop();
    }

    fn work_in_turn(
        &self,
        active: &Arc<ActiveRun>,
        first: Ticket,
        version: u64,
        several: bool,
        now: Duration,
    ) {
        let run = &*active.run;
        if run.task_time().is_none() {
            // Nobody knows yet how long a task takes, so the first one must not be waited for.
            self.share(run);
        }
        let mut pace = Pace::new(now);
        let mut next = Some(first);
        let notes_all = self.crew.events().notes_every_task();
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
            let mut has_ended = true;
            next = match self.step(active, ticket) {
                Step::Left => {
                    has_ended = false;
                    run.next(self.id)
                }
                // Another worker may be in this one's place by now.
                Step::Overdue => return,
                Step::Completed(completion) => {
                    if completion.ended {
                        // First, so that whoever waits for the run finds it noted.
                        pace.count();
                        let now = self.look();
                        self.note_look(run, now);
                        let (tasks, elapsed) = pace.look(now);
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
                self.note_look(run, now);
                let (tasks, elapsed) = pace.look(now);
                run.measured(tasks, elapsed);
                self.refresh(run, now);
                if has_ended {
                    self.note(run, task, tasks, elapsed);
                }
                self.share(run);
                let waited_for = several || self.crew.version() != version;
                let turn_is_over = waited_for && pace.turn_is_over() || self.goes_elsewhere(active);
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
            self.took(run, task, elapsed);
            self.crew.events().ended(run.id(), self.id, elapsed, run.plan().key(task));
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
            Ok(Ok(Outcome::Ready(value))) => {
                self.saw(ticket.task(), &value);
                Step::Completed(run.complete(self.id, ticket, value))
            }
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
            return Step::Completed(run.complete_missing(self.id, ticket, missing));
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
                        return Step::Completed(run.complete_answered(self.id, ticket, value));
                    }
                    Ok(None) => {}
                }
            }
            match hooks.set.pretask(run, task) {
                Ok(handed_on) => states = handed_on,
                Err(failure) => return self.fail_hook(active, ticket, failure),
            }
        }
        self.call_limited(active, ticket, states, &mut pins)
    }

    /// Calls a task before whose call everything was done, in this thread.
    pub(super) fn call_and_post(
        &self,
        active: &Arc<ActiveRun>,
        ticket: Ticket,
        states: PreStates,
    ) -> Step {
        let run = &active.run;
        let mut pins = Pins::default();
        if run.has_kept()
            && let Err(failure) = self.bring_back(run, &ticket, &mut pins)
        {
            return self.lose_input(active, ticket, failure);
        }
        self.call_limited(active, ticket, states, &mut pins)
    }

    fn call_limited(
        &self,
        active: &Arc<ActiveRun>,
        ticket: Ticket,
        states: PreStates,
        pins: &mut Pins,
    ) -> Step {
        let run = &active.run;
        let Some((ticket, called)) = limited::call(run, &self.crew, self.id, ticket, pins) else {
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
            Ok(()) => {
                self.saw(ticket.task(), &value);
                Step::Completed(active.run.complete(self.id, ticket, value))
            }
            Err(failure) => self.fail_hook(active, ticket, failure),
        }
    }

    /// Holds the large inputs of a task in memory, and waits for those that have to come back first.
    #[cold]
    pub(super) fn bring_back(
        &self,
        run: &Run,
        ticket: &Ticket,
        pins: &mut Pins,
    ) -> Result<(), Failure> {
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
        active.awaited.fetch_add(1, Ordering::Relaxed);
        // If nobody awaits futures any more, the cluster ends and nobody waits for the run.
        active.futures.do_send(task);
        Step::Left
    }

    #[cold]
    fn fail(&self, active: &Arc<ActiveRun>, mut ticket: Ticket, cause: Cause) -> Step {
        active.run.give_room_back(&mut ticket);
        active.run.stop(self.id);
        self.note_failed(&active.run, ticket.task());
        fail_task(active, ticket, self.id, cause);
        Step::Left
    }

    #[cold]
    fn fail_hook(&self, active: &Arc<ActiveRun>, mut ticket: Ticket, failure: Failure) -> Step {
        active.run.give_room_back(&mut ticket);
        active.run.stop(self.id);
        self.note_failed(&active.run, ticket.task());
        fail_by_hook(active, ticket, self.id, failure);
        Step::Left
    }

    pub(super) fn is_inside(&self, run: RunId) -> bool {
        self.inside.borrow().iter().any(|active| active.run.id() == run)
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
