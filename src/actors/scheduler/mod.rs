//! [`SchedulerActor`]: turns what happens into events of the engine, and the engine's commands into
//! messages. It decides nothing itself, never waits, and calls no code of a user.
//!
//! `reply` is about those who wait for runs, `timers` keeps what is due later, and `limits` watches the
//! time of runs and tasks.

mod limits;
mod reply;
mod timers;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use actix::{
    Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, ResponseFuture,
    WrapFuture,
};
use futures::channel::oneshot;

use super::callbacks::{
    BeginRun, Callback, CallbackRegistry, DoAside, EndRun, Ending, HookSet, RunHookFailed,
    TellError, TellRetry, Wanted,
};
use super::events::{End, Happening, Noted};
use super::store::Recover;
use super::worker::{
    ActiveRun, AsyncActor, ForgetRun, Hooks, LostTask, Report, RunTasks, Stop, WorkerActor,
    WorkerLost, WorkerSettings,
};
use crate::engine::{
    Cause, Command, Engine, Event, Failure, Placement, Policy, Run, RunId, RunOutcome, Running,
    Status, TaskId, Ticket, WorkerId, spares,
};
use crate::graph::{Plan, Results};
use limits::Stuck;
use timers::{Due, Timers};

pub(crate) use limits::ReadWorkerStats;
pub use limits::WorkerStats;
pub(crate) use reply::{Finished, PromisedObjects, Reply};

/// Schedules the runs of a cluster.
pub struct SchedulerActor {
    engine: Engine,
    /// The runs that are not answered yet.
    runs: HashMap<RunId, Entry>,
    /// Runs whose starting hooks are being called; true if they were cancelled meanwhile.
    beginning: HashMap<RunId, bool>,
    /// The workers, by number.
    workers: BTreeMap<WorkerId, Addr<WorkerActor>>,
    /// Workers that were relieved and whose threads have not come back, and what happened so far.
    stuck: Stuck,
    /// What is due later.
    timers: Timers,
    settings: WorkerSettings,
    registry: Addr<CallbackRegistry>,
    futures: Addr<AsyncActor>,
    /// How many requests to the registry are not answered yet: runs whose hooks are being called.
    in_hooks: usize,
    /// True once the cluster ends: nothing new is taken.
    closing: bool,
    /// Those who wait until the hooks of all runs have heard of the end.
    closers: Vec<oneshot::Sender<()>>,
}

/// A run that is not answered yet.
struct Entry {
    active: Arc<ActiveRun>,
    reply: Reply,
    /// Tickets of tasks that failed or lost their worker, until the engine has decided.
    returned: HashMap<TaskId, Ticket>,
    /// What the last task that failed failed with.
    failure: Option<Failure>,
}

impl Entry {
    /// What a task failed with for good.
    fn failure(&self, task: TaskId, attempts: u32, worker_lost: bool) -> Failure {
        let of_process = |failure: &Failure| matches!(failure.cause, Cause::ProcessLost(_));
        let own = self.failure.clone().filter(|failure| !worker_lost || of_process(failure));
        let key = || self.active.run.plan().key(task).clone();
        let failure = own.unwrap_or_else(|| Failure::new(key(), Cause::WorkerLost));
        Failure { attempts, ..failure }
    }
}

impl SchedulerActor {
    pub(crate) fn new(
        settings: WorkerSettings,
        registry: Addr<CallbackRegistry>,
        futures: Addr<AsyncActor>,
    ) -> Self {
        Self {
            engine: Engine::new(),
            runs: HashMap::new(),
            beginning: HashMap::new(),
            workers: BTreeMap::new(),
            stuck: Stuck::default(),
            timers: Timers::default(),
            settings,
            registry,
            futures,
            in_hooks: 0,
            closing: false,
            closers: Vec::new(),
        }
    }

    fn happened(&mut self, event: Event, context: &mut Context<Self>) {
        let mut commands = Vec::new();
        self.engine.handle(event, &mut commands);
        for command in commands {
            self.carry_out(command, context);
        }
    }

    fn carry_out(&mut self, command: Command, context: &mut Context<Self>) {
        match command {
            Command::Publish { run } => {
                if let Some(entry) = self.runs.get(&run) {
                    let (crew, active) = (&self.settings.crew, &entry.active);
                    if active.run.policy().placement == Placement::Auto
                        && let Some(fleet) = crew.fleet()
                    {
                        active.is_elsewhere.store(fleet.sends_any_of(active), Ordering::Release);
                        crew.add_run(Arc::clone(active));
                        fleet.sample(crew);
                        return;
                    }
                    crew.add_run(Arc::clone(active));
                }
            }
            Command::RunTasks { worker, run, tasks } => self.run_tasks(worker, run, &tasks),
            Command::TellRetry { run, task, attempt } => {
                self.tell_retry(run, task, attempt, context);
            }
            Command::Finish { run, outcome } => self.finish(run, outcome, context),
            Command::Delay { run, task, delay } => {
                self.wait(delay, Due::EndDelay { run, task }, context);
            }
            Command::Condemn { run, task, attempts, worker_lost } => {
                self.condemn(run, task, attempts, worker_lost);
            }
            Command::ReplaceWorker { worker } => {
                self.stuck.lost += 1;
                self.stuck.replaced += 1;
                self.start_worker(worker, context);
            }
            Command::RelieveWorker { worker, seat } => self.relieve(worker, seat, context),
            Command::TellShortage { worker } => log::warn!(
                "worker {worker} is stuck in a task that is over its time limit, and so many others \
                 are that no other worker takes its place; give such tasks an end of their own"
            ),
        }
    }

    fn start_worker(&mut self, worker: WorkerId, context: &mut Context<Self>) {
        self.workers.insert(worker, WorkerActor::new(worker, self.settings.clone()).start());
        self.settings.crew.events().tell(|| Noted::WorkerUp { worker });
        self.happened(Event::WorkerJoined { worker }, context);
    }

    fn run_tasks(&mut self, worker: WorkerId, run: RunId, tasks: &[TaskId]) {
        let Some(entry) = self.runs.get_mut(&run) else { return };
        for ticket in tasks.iter().filter_map(|task| entry.returned.remove(task)) {
            entry.active.run.put_back(worker, ticket);
        }
        if let Some(address) = self.workers.get(&worker) {
            // If the worker dies before it reads this, its successor finds the tasks in its lane.
            address.do_send(RunTasks);
        }
    }

    fn tell_retry(&mut self, run: RunId, task: TaskId, attempt: u32, context: &mut Context<Self>) {
        let Some(entry) = self.runs.get(&run) else { return };
        entry.active.note(task, Happening::TriedAgain { attempt }, String::new);
        if let Some(hooks) = &entry.active.hooks {
            hooks.retry(task);
            // If the registry is gone, the cluster ends.
            self.registry.do_send(TellRetry {
                run: Arc::clone(&entry.active.run),
                hooks: hooks.set.clone(),
                task,
                attempt,
                failures: context.address().recipient(),
            });
        }
    }

    /// A task failed for good and its run goes on: the task's next call is none.
    fn condemn(&mut self, run: RunId, task: TaskId, attempts: u32, worker_lost: bool) {
        let Some(entry) = self.runs.get(&run) else { return };
        let failure = entry.failure(task, attempts, worker_lost);
        entry.active.note(task, Happening::GivenUp { attempts }, String::new);
        entry.active.run.condemn(task, failure.clone());
        if let Some(hooks) = &entry.active.hooks {
            // If the registry is gone, the cluster ends.
            self.registry.do_send(TellError { hooks: hooks.set.clone(), failure });
        }
    }

    /// Ends a run for everybody and answers who waits for it, after its hooks.
    fn finish(&mut self, run: RunId, outcome: RunOutcome, context: &mut Context<Self>) {
        let Some(entry) = self.runs.remove(&run) else { return };
        let active = &entry.active;
        let (status, ending) = match outcome {
            RunOutcome::Done => (Status::Done, Ok(())),
            RunOutcome::Cancelled => (Status::Cancelled, Err(Ending::Cancelled)),
            RunOutcome::HookFailed => (Status::Failed, Err(Ending::HookFailed)),
            RunOutcome::Incomplete => {
                (Status::Done, Err(Ending::AllFailed(active.run.failures().into())))
            }
            RunOutcome::Overdue => {
                let limit = active.run.policy().time_limit.unwrap_or_default();
                let failure = Failure { key: None, cause: Cause::TimedOut { limit }, attempts: 1 };
                (Status::Failed, Err(Ending::Failed(failure)))
            }
            RunOutcome::Failed { task, attempts, worker_lost } => {
                active.note(task, Happening::GivenUp { attempts }, String::new);
                (Status::Failed, Err(Ending::Failed(entry.failure(task, attempts, worker_lost))))
            }
        };
        active.run.end(status);
        active.run.give_all_room_back();
        self.settings.crew.remove_run(run);
        self.forget_times(active, matches!(outcome, RunOutcome::Overdue), context);
        if active.has_futures.load(Ordering::Acquire) {
            // If nobody awaits futures any more, there are none.
            self.futures.do_send(ForgetRun { run });
        }
        let run = Arc::clone(&active.run);
        let reply = entry.reply;
        if let Some(hooks) = &active.hooks {
            let wanted = match &reply {
                Reply::Client(_) => Wanted::Values,
                Reply::Objects(_) | Reply::Recovery(_) => Wanted::Refs,
            };
            let end = EndRun { run: Arc::clone(&run), hooks: hooks.set.clone(), ending, wanted };
            self.in_hooks += 1;
            let events = Arc::clone(self.settings.crew.events());
            let (id, condemned) = (run.id(), failed_task(&outcome));
            let answer = self.registry.send(end).into_actor(self).map(move |results, actor, _| {
                let results = results.unwrap_or(Err(Ending::Cancelled));
                let ending = results.as_ref().map(drop);
                events.tell(|| Noted::RunEnded { run: id, end: end_of(ending, condemned) });
                let finished = |results: Option<Results>| {
                    results.map_or(Finished::Run(run), Finished::Results)
                };
                actor.answer(reply, results.map(finished));
                actor.hooks_returned();
            });
            context.spawn(answer);
            // The registry holds the run as long as its hooks are called.
            return self.drop_aside(entry.active);
        }
        let events = self.settings.crew.events();
        let end = || end_of(ending.as_ref().map(drop), failed_task(&outcome));
        events.tell(|| Noted::RunEnded { run: run.id(), end: end() });
        match ending {
            // Whoever waits gets the last pointer to the run but those of workers.
            Ok(()) => {
                drop(entry.active);
                self.answer(reply, Ok(Finished::Run(run)));
            }
            Err(ending) => {
                self.answer(reply, Err(ending));
                self.drop_aside((entry.active, run));
            }
        }
    }

    /// One of the requests to the registry is answered. After the last one a closing cluster can end.
    fn hooks_returned(&mut self) {
        self.in_hooks -= 1;
        if self.in_hooks == 0 {
            for closer in self.closers.drain(..) {
                // A closer that has given up waits for nothing.
                closer.send(()).ok();
            }
        }
    }

    /// Answers who waits for a run. What nobody waits for any more is dropped, and so may be values.
    fn answer(&self, reply: Reply, result: Result<Finished, Ending>) {
        match reply {
            Reply::Client(sender) => {
                if let Err(unwanted) = sender.send(result) {
                    self.drop_aside(unwanted);
                }
            }
            Reply::Objects(objects) => self.aside(move || objects.settle(result)),
            Reply::Recovery(buffer) => self.aside(move || reply::recovered(buffer, result)),
        }
    }

    fn drop_aside(&self, what: impl Send + 'static) {
        self.aside(move || drop(what));
    }

    /// Does something on the registry's arbiter, where code of users may run.
    fn aside(&self, task: impl FnOnce() + Send + 'static) {
        // If the registry is gone, the task is dropped, and with it what it was about.
        self.registry.do_send(DoAside(Box::new(task)));
    }

    fn activate(
        &mut self,
        run: Arc<Run>,
        hooks: Option<HookSet>,
        reply: Reply,
        context: &mut Context<Self>,
    ) {
        let scheduler = context.address();
        let hooks = hooks.map(|set| {
            Hooks::new(set, self.registry.clone().recipient(), scheduler.clone().recipient())
        });
        let (id, tasks, roots) = (run.id(), run.tasks(), run.roots());
        let active = Arc::new(ActiveRun {
            began_at: self.settings.crew.events().now(),
            run,
            hooks,
            reports: scheduler.recipient(),
            futures: self.futures.clone().recipient(),
            has_futures: AtomicBool::new(false),
            awaited: AtomicUsize::new(0),
            is_elsewhere: AtomicBool::new(false),
            events: Arc::clone(self.settings.crew.events()),
        });
        let on_error = active.run.policy().on_error;
        self.settings.crew.events().tell(|| active.began());
        self.watch(&active, context);
        let entry = Entry { active, reply, returned: HashMap::new(), failure: None };
        self.runs.insert(id, entry);
        self.happened(Event::RunSubmitted { run: id, tasks, roots, on_error }, context);
    }
}

/// The task with which a run has failed.
fn failed_task(outcome: &RunOutcome) -> Option<TaskId> {
    match outcome {
        RunOutcome::Failed { task, .. } => Some(*task),
        RunOutcome::Done
        | RunOutcome::HookFailed
        | RunOutcome::Overdue
        | RunOutcome::Incomplete
        | RunOutcome::Cancelled => None,
    }
}

/// How a run ended, for those who listen.
fn end_of(ending: Result<(), &Ending>, task: Option<TaskId>) -> End {
    match ending {
        Ok(()) => End::Done,
        Err(Ending::Cancelled) => End::Cancelled,
        Err(Ending::HookFailed) => End::Failed { failures: Vec::new(), task },
        Err(Ending::Failed(failure)) => End::Failed { failures: vec![failure.clone()], task },
        Err(Ending::AllFailed(failures)) => End::Failed { failures: failures.to_vec(), task },
    }
}

impl Actor for SchedulerActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(0); // Reports are never refused and keep their order.
    }
}

impl std::fmt::Debug for SchedulerActor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SchedulerActor").field("engine", &self.engine).finish_non_exhaustive()
    }
}

/// Start so many workers.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct StartWorkers {
    pub(crate) count: u32,
}

impl Handler<StartWorkers> for SchedulerActor {
    type Result = ();

    fn handle(&mut self, StartWorkers { count }: StartWorkers, context: &mut Self::Context) {
        for number in 0..count {
            self.start_worker(WorkerId(number), context);
        }
        for worker in spares(count as usize) {
            self.happened(Event::SeatFree { worker, running: Vec::new() }, context);
        }
    }
}

/// Run a plan.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Submit {
    pub(crate) run: RunId,
    pub(crate) what: Submission,
    pub(crate) reply: Reply,
}

/// What is submitted.
pub(crate) enum Submission {
    /// A run that nobody has hooks for.
    Ready(Arc<Run>),
    /// A plan whose run begins with hooks; and the callbacks of this run alone.
    WithHooks(Arc<Plan>, Vec<Arc<dyn Callback>>, Policy),
}

impl Handler<Submit> for SchedulerActor {
    type Result = ();

    fn handle(&mut self, Submit { run, what, reply }: Submit, context: &mut Self::Context) {
        if self.closing {
            return self.answer(reply, Err(Ending::Cancelled));
        }
        let (plan, callbacks, policy) = match what {
            Submission::Ready(run) => return self.activate(run, None, reply, context),
            Submission::WithHooks(plan, callbacks, policy) => (plan, callbacks, policy),
        };
        self.beginning.insert(run, false);
        self.in_hooks += 1;
        let request = self.registry.send(BeginRun { run, plan, callbacks, policy });
        let begun = request.into_actor(self).map(move |begun, actor, context| {
            let cancelled = actor.beginning.remove(&run).unwrap_or(false) || actor.closing;
            match begun {
                Ok(Ok((begun, hooks))) => {
                    actor.activate(begun, Some(hooks), reply, context);
                    if cancelled {
                        actor.happened(Event::CancelRequested { run }, context);
                    }
                }
                Ok(Err(failure)) => actor.answer(reply, Err(Ending::Failed(failure))),
                Err(_closed) => actor.answer(reply, Err(Ending::Cancelled)),
            }
            actor.hooks_returned();
        });
        context.spawn(begun);
    }
}

/// A value is to be made again: the store could not read it back.
impl Handler<Recover> for SchedulerActor {
    type Result = ();

    fn handle(&mut self, Recover { run, buffer }: Recover, context: &mut Self::Context) {
        if !self.closing {
            self.activate(run, None, Reply::Recovery(buffer), context);
        }
    }
}

/// Nobody wants the results of a run any more.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct CancelRun {
    pub(crate) run: RunId,
}

impl Handler<CancelRun> for SchedulerActor {
    type Result = ();

    fn handle(&mut self, CancelRun { run }: CancelRun, context: &mut Self::Context) {
        if let Some(cancelled) = self.beginning.get_mut(&run) {
            *cancelled = true;
        }
        self.happened(Event::CancelRequested { run }, context);
    }
}

impl Handler<Report> for SchedulerActor {
    type Result = ();

    fn handle(&mut self, report: Report, context: &mut Self::Context) {
        let event = match report {
            Report::RunEnded { run } => Event::RunEnded { run },
            Report::TaskFailed { run, ticket, worker, failure, retries, backoff, by_hook } => {
                let Some(entry) = self.runs.get_mut(&run) else { return };
                let task = ticket.task();
                entry.returned.insert(task, ticket);
                entry.failure = Some(failure);
                Event::TaskFailed { run, task, worker, retries, backoff, by_hook }
            }
            Report::TaskLost { run, ticket, worker, end } => {
                let Some(entry) = self.runs.get_mut(&run) else { return };
                let task = ticket.task();
                let repeatable = entry.active.run.can_run_again(&ticket);
                let key = entry.active.run.plan().key(task).clone();
                entry.failure = Some(Failure::new(key, Cause::ProcessLost(end)));
                entry.returned.insert(task, ticket);
                Event::TasksLost { worker, running: vec![Running { run, task, repeatable }] }
            }
        };
        self.happened(event, context);
    }
}

impl Handler<RunHookFailed> for SchedulerActor {
    type Result = ();

    fn handle(&mut self, RunHookFailed { run }: RunHookFailed, context: &mut Self::Context) {
        self.happened(Event::HookFailed { run }, context);
    }
}

impl Handler<WorkerLost> for SchedulerActor {
    type Result = ();

    fn handle(&mut self, lost: WorkerLost, context: &mut Self::Context) {
        let mut running = Vec::new();
        for LostTask { active, mut ticket, repeatable } in lost.running {
            active.run.give_room_back(&mut ticket);
            let (run, task) = (active.run.id(), ticket.task());
            if let Some(entry) = self.runs.get_mut(&run) {
                entry.returned.insert(task, ticket);
                running.push(Running { run, task, repeatable });
            }
        }
        let worker = lost.worker;
        self.is_out(worker);
        let was_relieved = self.stuck.threads.remove(&worker).is_some();
        if self.closing {
            return;
        }
        if was_relieved {
            return self.happened(Event::SeatFree { worker, running }, context);
        }
        self.workers.remove(&worker);
        let why = || "its thread died".to_owned();
        self.settings.crew.events().tell(|| Noted::WorkerDown { worker, why: why() });
        self.happened(Event::WorkerLost { worker, running }, context);
    }
}

/// The cluster ends: cancel every run and stop the workers. The answer comes when the hooks of all runs
/// have heard of it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Close;

impl Handler<Close> for SchedulerActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Close, context: &mut Self::Context) -> Self::Result {
        self.closing = true;
        let runs: Vec<RunId> = self.engine.runs().collect();
        for run in runs {
            self.happened(Event::CancelRequested { run }, context);
        }
        let relieved = std::mem::take(&mut self.stuck.threads);
        for (_, worker) in std::mem::take(&mut self.workers).into_iter().chain(relieved) {
            // A worker that is gone needs no telling.
            worker.do_send(Stop);
        }
        if self.in_hooks == 0 {
            return Box::pin(std::future::ready(()));
        }
        let (closer, end) = oneshot::channel();
        self.closers.push(closer);
        // Without a scheduler there is nothing left to wait for.
        Box::pin(async { end.await.unwrap_or_default() })
    }
}
