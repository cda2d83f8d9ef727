//! [`World`]: a cluster of pretend workers around the real engine, in virtual time.
//!
//! The world does what actors do: it carries events to the [`Engine`] and its commands out, and its
//! workers (in [`worker`](super::worker)) drive the real [`Run`]s as worker threads do. Things that are
//! due at the same time happen in the order in which they were arranged. There is no thread, no clock
//! and no chance but the seed's, so the same scenario always makes the same history.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use std::task::{Context, Poll, Waker};

use futures::FutureExt as _;
use mobula::engine::{
    Command, Engine, Event, Gathering, Keeper, Memory, Policy, Resources, Run, RunId, RunOutcome,
    Running, Status, Ticket, WorkerId, spares,
};
use mobula::{Cause, Failure, TaskId, TaskOptions, Value};

use crate::history::{Entry, History};
use crate::keeper::PretendKeeper;
use crate::laws::{Laws, index};
use crate::moving::Move;
use crate::plan::Script;
use crate::rng::Rng;
use crate::scenario::Scenario;
use crate::worker::{Awaited, Worker};

/// A cluster in virtual time.
pub(crate) struct World<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) rng: Rng,
    /// In nanoseconds.
    pub(super) now: u64,
    /// What is going to happen, by its time and then by the order in which it was arranged.
    due: BTreeMap<(u64, u64), What>,
    arranged: u64,
    engine: Engine,
    pub(super) resources: Resources,
    /// The runs that workers may take from, oldest first.
    pub(super) published: Vec<Arc<Run>>,
    /// The runs that are not over, by their numbers.
    live: BTreeMap<RunId, Arc<Run>>,
    /// Tickets of tasks that failed or lost their worker.
    pub(super) troubled: BTreeMap<(RunId, TaskId), Ticket>,
    pub(super) workers: Vec<Worker>,
    /// Workers that were relieved and have not come back.
    pub(super) relieved: BTreeSet<WorkerId>,
    /// Idle workers; the one that fell asleep last is woken first.
    pub(super) sleepers: Vec<WorkerId>,
    pub(super) laws: Laws,
    pub(super) history: History,
    /// When something last went on.
    pub(super) progress: u64,
    /// How long a world may stand still.
    patience: u64,
    /// Who has the large values, if memory is bounded.
    pub(super) keeper: Option<Arc<PretendKeeper>>,
    pub(super) disk: Disk,
    /// Runs that are done, and whose results are being brought back.
    gatherings: Vec<(Arc<Run>, Gathering)>,
}

/// What the keeper knows of its disk.
#[derive(Default)]
pub(super) struct Disk {
    /// How many writes are under way.
    pub(super) writing: usize,
    /// True while nothing is written because a write has failed.
    pub(super) suspended: bool,
}

/// How far apart looks at the time of tasks are at least, as in a cluster.
const BETWEEN_LOOKS: u64 = 50_000;

/// What is going to happen.
pub(super) enum What {
    Submit(RunId),
    Hear(Event),
    Join(WorkerId),
    Lose(WorkerId),
    NoticeLoss(WorkerId),
    Wake(WorkerId),
    /// A worker looks around again, if it still sleeps the same sleep.
    EndNap(WorkerId, u64),
    /// A worker is through with a task, if it still is in the same one.
    EndTask(WorkerId, u64),
    EndFuture(Box<Awaited>),
    Gather(Arc<Run>),
    LookAtTasks(Weak<Run>),
    Move(Move),
}

impl<'a> World<'a> {
    pub(crate) fn new(scenario: &'a Scenario) -> Self {
        let workers = scenario.joins.len();
        let bounds = scenario.bounds.as_ref();
        let memory = Arc::new(Memory::new(workers, bounds.map(|bounds| bounds.limits)));
        let keeper = bounds.map(|bounds| {
            PretendKeeper::new(Arc::clone(&memory), scenario.seed, bounds.unspillable)
        });
        let mut world = Self {
            scenario,
            rng: Rng::new(scenario.seed),
            now: 0,
            due: BTreeMap::new(),
            arranged: 0,
            engine: Engine::new(),
            resources: Resources {
                workers,
                memory,
                keeper: keeper.clone().map(|keeper| keeper as Arc<dyn Keeper>),
            },
            published: Vec::new(),
            live: BTreeMap::new(),
            troubled: BTreeMap::new(),
            workers: (0..workers + 1 + spares(workers).len()).map(|_| Worker::default()).collect(),
            relieved: BTreeSet::new(),
            sleepers: Vec::new(),
            laws: Laws::new(scenario),
            history: History::default(),
            progress: 0,
            patience: patience(scenario),
            keeper,
            disk: Disk::default(),
            gatherings: Vec::new(),
        };
        world.arrange_beginning();
        world
    }

    fn arrange_beginning(&mut self) {
        let scenario = self.scenario;
        for (number, at) in scenario.joins.iter().enumerate() {
            self.arrange_at(*at, What::Join(worker_id(number)));
        }
        for worker in spares(scenario.joins.len()) {
            self.arrange_at(0, What::Hear(Event::SeatFree { worker, running: Vec::new() }));
        }
        for (number, submission) in (0..).zip(&scenario.submissions) {
            let run = RunId(number);
            self.arrange_at(submission.at, What::Submit(run));
            for at in &submission.cancels {
                self.arrange_at(*at, What::Hear(Event::CancelRequested { run }));
            }
            if let Some(at) = submission.overdue {
                self.arrange_at(at, What::Hear(Event::RunOverdue { run }));
            }
            if let Some(at) = submission.hook_fails {
                self.arrange_at(at, What::Hear(Event::HookFailed { run }));
            }
        }
        for (at, worker) in &scenario.losses {
            self.arrange_at(*at, What::Lose(*worker));
        }
    }

    /// Lets everything happen, and answers what happened.
    pub(crate) fn run(mut self) -> History {
        let mut steps = 0;
        while let Some(((at, _), what)) = self.due.pop_first() {
            self.now = at;
            let is_look = matches!(what, What::EndNap(..) | What::LookAtTasks(_));
            let entries = self.history.len();
            self.happen(what);
            self.arrange_moves();
            self.laws.holds(&self.resources.memory, self.keeper.as_deref());
            // Who has found nothing to do has changed nothing.
            if is_look && self.history.len() == entries {
                self.is_not_stuck();
                continue;
            }
            steps += 1;
            if steps % self.scenario.steps_a_check == 0 {
                for run in &self.published {
                    run.check_invariants();
                    self.laws.nothing_ready_is_lost(run);
                }
            }
            self.is_not_stuck();
        }
        self.laws.at_the_end();
        if let Some(keeper) = &self.keeper {
            self.laws.room.at_the_end(&self.resources.memory, keeper);
        }
        std::mem::take(&mut self.history)
    }

    fn is_not_stuck(&self) {
        let healthy = self.workers.iter().any(Worker::is_there);
        let stuck = healthy && !self.live.is_empty() && self.now > self.progress + self.patience;
        let (memory, bounds) = (&self.resources.memory, &self.scenario.bounds);
        assert!(
            !stuck,
            "law: with one healthy worker every run ends; nothing goes on any more ({:?}; {} \
                 promised, {} leaving; {bounds:?})",
            memory.ledger().holdings(),
            memory.reserved(),
            memory.leaving()
        );
    }

    pub(super) fn arrange_at(&mut self, at: u64, what: What) {
        self.arranged += 1;
        self.due.insert((at, self.arranged), what);
    }

    pub(super) fn arrange(&mut self, delay: u64, what: What) {
        self.arrange_at(self.now + delay, what);
    }

    /// Arranges what a message leads to when it arrives.
    pub(super) fn send(&mut self, what: What) {
        let delay = self.rng.between(1, self.scenario.message);
        self.arrange(delay, what);
    }

    fn happen(&mut self, what: What) {
        match what {
            What::Submit(run) => self.submit(run),
            What::Hear(event) => self.hear(event),
            What::Join(worker) => self.join(worker),
            What::Lose(worker) => self.lose(worker),
            What::NoticeLoss(worker) => self.notice_loss(worker),
            What::Wake(worker) => self.wake(worker),
            What::EndNap(worker, nap) => self.end_nap(worker, nap),
            What::EndTask(worker, task) => self.end_task(worker, task),
            What::EndFuture(awaited) => self.end_future(*awaited),
            What::Gather(run) => self.gather(run),
            What::LookAtTasks(run) => self.look_at_tasks(&run),
            What::Move(what) => self.make_move(what),
        }
    }

    fn submit(&mut self, id: RunId) {
        let submission = &self.scenario.submissions[index(id)];
        let plan = &submission.plan;
        let answers = submission.answers.iter().filter_map(|(node, number)| {
            let task = plan.task(&submission.blueprint.nodes[*node].key)?;
            Some((task, Value::new(*number)))
        });
        let run = Run::new(id, Arc::clone(plan), &self.resources, answers.collect());
        let time_limit = submission.task_limit.map(Duration::from_nanos);
        let mut policy = Policy { on_error: submission.on_error, ..Policy::default() };
        policy.tasks = time_limit.into_iter().fold(policy.tasks, TaskOptions::time_limit);
        let run = Arc::new(run.under(policy));
        if let Some(limit) = submission.task_limit {
            self.arrange(limit, What::LookAtTasks(Arc::downgrade(&run)));
        }
        self.laws.submitted(&run, submission);
        self.live.insert(id, Arc::clone(&run));
        self.hear(Event::RunSubmitted {
            run: id,
            tasks: run.tasks(),
            roots: run.roots(),
            on_error: submission.on_error,
        });
    }

    fn hear(&mut self, event: Event) {
        if let Event::CancelRequested { run }
        | Event::HookFailed { run }
        | Event::RunOverdue { run } = &event
            && self.now < self.scenario.submissions[index(*run)].at
        {
            return;
        }
        self.progress = self.now;
        self.laws.heard(&event);
        self.history.note(self.now, Entry::Heard(event.clone()));
        let mut commands = Vec::new();
        self.engine.handle(event, &mut commands);
        self.engine.check_invariants();
        for command in &commands {
            self.laws.commanded(command);
            self.history.note(self.now, Entry::Commanded(command.clone()));
        }
        self.laws.settled();
        for command in commands {
            self.carry_out(command);
        }
    }

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::Publish { run } => self.published.push(Arc::clone(&self.live[&run])),
            Command::RunTasks { worker, run, tasks } => {
                for task in tasks {
                    let ticket = self.troubled.remove(&(run, task)).expect("the scheduler has it");
                    self.laws.put_back(run, task);
                    self.laws.room.given_back(run, task);
                    self.live[&run].put_back(worker, ticket);
                }
                if worker != self.nobody() {
                    self.send(What::Wake(worker));
                }
            }
            Command::TellRetry { .. } => {}
            Command::Delay { run, task, delay } => {
                self.history.counts.delays += 1;
                let delay = u64::try_from(delay.as_nanos()).expect("a delay is short");
                self.arrange(delay, What::Hear(Event::DelayEnded { run, task }));
            }
            Command::Condemn { run, task, attempts, worker_lost } => {
                self.history.counts.condemned += 1;
                let run = &self.live[&run];
                let cause = if worker_lost {
                    Cause::WorkerLost
                } else {
                    Cause::Panic("by its script".to_owned())
                };
                let key = Some(run.plan().key(task).clone());
                run.condemn(task, Failure { key, cause, attempts });
            }
            Command::RelieveWorker { worker, seat } => {
                self.history.counts.relieved += 1;
                self.relieved.insert(worker);
                self.send(What::Join(seat));
            }
            Command::TellShortage { .. } => self.history.counts.shortages += 1,
            Command::Finish { run, outcome } => self.finish(run, outcome),
            Command::ReplaceWorker { worker } => {
                if let Some(most) = self.scenario.absence {
                    let absence = self.rng.between(1, most);
                    self.arrange(absence, What::Join(worker));
                }
            }
        }
    }

    fn finish(&mut self, id: RunId, outcome: RunOutcome) {
        let run = self.live.remove(&id).expect("a run ends once");
        self.published.retain(|other| other.id() != id);
        self.troubled.retain(|(other, _), _| *other != id);
        for worker in &mut self.workers {
            worker.watches.remove(&id);
        }
        match outcome {
            RunOutcome::Done => self.send(What::Gather(Arc::clone(&run))),
            RunOutcome::Incomplete => self.laws.collected(&run),
            RunOutcome::Failed { .. } | RunOutcome::HookFailed | RunOutcome::Overdue => {
                run.end(Status::Failed);
            }
            RunOutcome::Cancelled => {
                run.end(Status::Cancelled);
            }
        }
        self.history.peak = self.resources.memory.ledger().holdings().peak_bytes;
        self.history.ended(index(id), self.now, outcome);
        self.laws.over(&run, outcome);
    }

    fn gather(&mut self, run: Arc<Run>) {
        let gathering = run.gather();
        self.laws.handed_over(run.id(), false);
        self.gatherings.push((run, gathering));
        let before = self.gatherings.len();
        self.look_at_gatherings();
        self.history.counts.waited_for_results += u64::from(self.gatherings.len() == before);
    }

    /// Ends what is complete of the results that are being brought back.
    pub(super) fn look_at_gatherings(&mut self) {
        for (run, mut gathering) in std::mem::take(&mut self.gatherings) {
            let id = run.id();
            match gathering.poll_unpin(&mut Context::from_waker(Waker::noop())) {
                Poll::Pending => {
                    self.gatherings.push((run, gathering));
                    continue;
                }
                Poll::Ready(Ok(results)) => {
                    self.laws.gathered(id, &results, &self.scenario.submissions[index(id)]);
                }
                Poll::Ready(Err(failure)) => {
                    assert!(matches!(failure.cause, Cause::Lost(_)), "law: {failure}");
                    self.history.counts.lost_results += 1;
                }
            }
            self.laws.handed_over(id, true);
        }
    }

    /// The number under which asynchronous tasks end.
    pub(super) fn nobody(&self) -> WorkerId {
        worker_id(self.scenario.joins.len())
    }

    /// Takes what takes too long away from the workers, and looks again when more can.
    fn look_at_tasks(&mut self, run: &Weak<Run>) {
        let Some(live) = run.upgrade() else { return };
        let mut overdue = Vec::new();
        let next = live.take_overdue(self.clock(), &mut overdue);
        for (worker, ticket) in overdue {
            self.history.counts.timed_out += 1;
            self.laws.overdue(worker, live.id(), ticket.task());
            self.hear(Event::WorkerStuck { worker });
            self.report_failure(worker, &live, ticket);
        }
        if let Some(next) = next {
            let next = u64::try_from(next.as_nanos()).expect("a world is short");
            self.arrange_at(
                next.max(self.now + BETWEEN_LOOKS),
                What::LookAtTasks(Weak::clone(run)),
            );
        }
    }

    fn join(&mut self, worker: WorkerId) {
        self.laws.joined(worker, self.workers[worker.index()].is_there());
        self.workers[worker.index()].joins();
        self.hear(Event::WorkerJoined { worker });
        self.look_around(worker);
    }

    fn lose(&mut self, worker: WorkerId) {
        if self.workers[worker.index()].is_there() {
            self.history.note(self.now, Entry::Lost(worker));
            self.workers[worker.index()].dies();
            self.sleepers.retain(|sleeper| *sleeper != worker);
            self.send(What::NoticeLoss(worker));
        }
    }

    fn notice_loss(&mut self, worker: WorkerId) {
        let in_task = self.laws.lost(worker);
        let mut running = Vec::new();
        for (run, live) in &self.live {
            if let Some(ticket) = live.take_over(worker) {
                let (task, repeatable) = (ticket.task(), live.can_run_again(&ticket));
                running.push(Running { run: *run, task, repeatable });
                self.troubled.insert((*run, task), ticket);
            }
        }
        let known = in_task.filter(|(run, _)| self.live.contains_key(run));
        let found: Vec<_> = running.iter().map(|lost| (lost.run, lost.task)).collect();
        assert_eq!(found, Vec::from_iter(known), "law: what a lost worker was in is known");
        // In runs that are over it must not be taken for stuck, when another worker has its number.
        for what in self.due.values() {
            if let What::LookAtTasks(run) = what
                && let Some(run) = run.upgrade().filter(|run| !self.live.contains_key(&run.id()))
            {
                let _void = run.take_over(worker);
            }
        }
        let was_relieved = self.relieved.remove(&worker);
        self.hear(if was_relieved {
            Event::SeatFree { worker, running }
        } else {
            Event::WorkerLost { worker, running }
        });
    }

    pub(super) fn clock(&self) -> Duration {
        Duration::from_nanos(self.now)
    }
}

/// A law was broken: what happened last shows how.
impl Drop for World<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.history.print_end();
        }
    }
}

/// The longest that anything takes, a few times over.
fn patience(scenario: &Scenario) -> u64 {
    let nodes = scenario.submissions.iter().flat_map(|submission| &submission.blueprint.nodes);
    let longest = nodes.map(|node| {
        let Script { duration, awaited, backoff, .. } = node.script;
        duration + awaited.unwrap_or(0) + 8 * backoff
    });
    let longest = longest.max();
    let waits = scenario.message + scenario.nap.1 + scenario.absence.unwrap_or(0);
    let submitted = scenario.submissions.iter().map(|submission| submission.at).max();
    let limit = scenario.submissions.iter().filter_map(|submission| submission.task_limit).max();
    let disk = scenario.bounds.as_ref();
    let disk = disk.map_or(0, |bounds| bounds.write + bounds.read + bounds.suspension);
    let waits = waits + disk;
    2 * (longest.unwrap_or(0) + limit.unwrap_or(0)) + 5 * waits + submitted.unwrap_or(0)
}

pub(super) fn worker_id(number: usize) -> WorkerId {
    WorkerId(u32::try_from(number).expect("there are few workers"))
}
