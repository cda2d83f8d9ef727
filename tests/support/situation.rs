//! Situations of the engine: what it has heard so far, in few words, and what it commands next.
//!
//! [`when`] makes events and [`then`] commands, both from plain numbers. The situation checks the
//! engine's invariants after every event.

use mobula::engine::{Command, Engine, Event};

/// An engine that has heard of something.
#[derive(Debug, Default)]
pub(crate) struct Situation {
    engine: Engine,
}

impl Situation {
    /// Workers 0 to `count - 1` are there.
    pub(crate) fn with_workers(count: u32) -> Self {
        (0..count).fold(Self::default(), |situation, worker| situation.after(when::joined(worker)))
    }

    /// The same after one more event, whatever was commanded.
    #[track_caller]
    pub(crate) fn after(mut self, event: Event) -> Self {
        self.handle(event);
        self
    }

    /// One event, and the whole list of commands that must follow.
    #[track_caller]
    pub(crate) fn hears(&mut self, event: Event, commands: impl AsRef<[Command]>) {
        let shown = format!("{event:?}");
        assert_eq!(self.handle(event), commands.as_ref(), "after {shown}");
    }

    /// Nothing is commanded after this event.
    #[track_caller]
    pub(crate) fn hears_in_vain(&mut self, event: Event) {
        self.hears(event, []);
    }

    /// The runs that are not over.
    pub(crate) fn runs(&self) -> Vec<u64> {
        self.engine.runs().map(|run| run.0).collect()
    }

    /// The workers that are there.
    pub(crate) fn workers(&self) -> Vec<u32> {
        self.engine.workers().map(|worker| worker.0).collect()
    }

    #[track_caller]
    fn handle(&mut self, event: Event) -> Vec<Command> {
        let mut commands = Vec::new();
        self.engine.handle(event, &mut commands);
        self.engine.check_invariants();
        commands
    }
}

/// Events.
pub(crate) mod when {
    use mobula::engine::{Event, RunId, Running, WorkerId};
    use mobula::{Backoff, OnError, TaskId};

    pub(crate) fn joined(worker: u32) -> Event {
        Event::WorkerJoined { worker: WorkerId(worker) }
    }

    pub(crate) fn lost(worker: u32, running: impl Into<Vec<Running>>) -> Event {
        Event::WorkerLost { worker: WorkerId(worker), running: running.into() }
    }

    pub(crate) fn lost_elsewhere(worker: u32, running: impl Into<Vec<Running>>) -> Event {
        Event::TasksLost { worker: WorkerId(worker), running: running.into() }
    }

    /// A task that a lost worker was in, and whose inputs are still there.
    pub(crate) fn running(run: u64, task: u32) -> Running {
        Running { run: RunId(run), task: TaskId(task), repeatable: true }
    }

    /// A task that a lost worker was in, and whose inputs are gone.
    pub(crate) fn spoilt(run: u64, task: u32) -> Running {
        Running { repeatable: false, ..running(run, task) }
    }

    pub(crate) fn submitted(run: u64, tasks: usize) -> Event {
        submitted_with(run, tasks, OnError::Raise)
    }

    /// A run that goes about failures in its own way.
    pub(crate) fn submitted_with(run: u64, tasks: usize, on_error: OnError) -> Event {
        Event::RunSubmitted { run: RunId(run), tasks, roots: tasks.min(2), on_error }
    }

    pub(crate) fn ended(run: u64) -> Event {
        Event::RunEnded { run: RunId(run) }
    }

    /// A task that may be tried again so often has failed.
    pub(crate) fn failed(worker: u32, run: u64, task: u32, retries: u32) -> Event {
        failed_with(worker, run, task, retries, Backoff::NONE)
    }

    /// The same, for a task that waits before it is tried again.
    pub(crate) fn failed_with(
        worker: u32,
        run: u64,
        task: u32,
        retries: u32,
        backoff: Backoff,
    ) -> Event {
        let (run, task, worker) = (RunId(run), TaskId(task), WorkerId(worker));
        Event::TaskFailed { run, task, worker, retries, backoff, by_hook: false }
    }

    /// A hook of a task has failed.
    pub(crate) fn failed_by_hook(worker: u32, run: u64, task: u32) -> Event {
        let (run, task, worker) = (RunId(run), TaskId(task), WorkerId(worker));
        let backoff = Backoff::NONE;
        Event::TaskFailed { run, task, worker, retries: 5, backoff, by_hook: true }
    }

    pub(crate) fn delay_ended(run: u64, task: u32) -> Event {
        Event::DelayEnded { run: RunId(run), task: TaskId(task) }
    }

    pub(crate) fn overdue(run: u64) -> Event {
        Event::RunOverdue { run: RunId(run) }
    }

    pub(crate) fn stuck(worker: u32) -> Event {
        Event::WorkerStuck { worker: WorkerId(worker) }
    }

    /// A number can be given to a worker; who had it was in this.
    pub(crate) fn seat_free(worker: u32, running: impl Into<Vec<Running>>) -> Event {
        Event::SeatFree { worker: WorkerId(worker), running: running.into() }
    }

    pub(crate) fn hook_failed(run: u64) -> Event {
        Event::HookFailed { run: RunId(run) }
    }

    pub(crate) fn cancelled(run: u64) -> Event {
        Event::CancelRequested { run: RunId(run) }
    }
}

/// Commands.
pub(crate) mod then {
    use std::time::Duration;

    use mobula::TaskId;
    use mobula::engine::{Command, RunId, RunOutcome, WorkerId};

    pub(crate) fn publish(run: u64) -> Command {
        Command::Publish { run: RunId(run) }
    }

    /// A worker starts a run at its roots.
    pub(crate) fn start(worker: u32, run: u64) -> Command {
        Command::RunTasks { worker: WorkerId(worker), run: RunId(run), tasks: Vec::new() }
    }

    /// A worker runs one task once more.
    pub(crate) fn run_again(worker: u32, run: u64, task: u32) -> Command {
        let tasks = vec![TaskId(task)];
        Command::RunTasks { worker: WorkerId(worker), run: RunId(run), tasks }
    }

    pub(crate) fn tell_retry(run: u64, task: u32, attempt: u32) -> Command {
        Command::TellRetry { run: RunId(run), task: TaskId(task), attempt }
    }

    pub(crate) fn finish(run: u64, outcome: RunOutcome) -> Command {
        Command::Finish { run: RunId(run), outcome }
    }

    /// The run ends because a task failed for good.
    pub(crate) fn fail(run: u64, task: u32, attempts: u32) -> Command {
        let task = TaskId(task);
        finish(run, RunOutcome::Failed { task, attempts, worker_lost: false })
    }

    /// The run ends because a task lost its worker once too often.
    pub(crate) fn fail_by_loss(run: u64, task: u32, attempts: u32) -> Command {
        let task = TaskId(task);
        finish(run, RunOutcome::Failed { task, attempts, worker_lost: true })
    }

    pub(crate) fn delay(run: u64, task: u32, delay: Duration) -> Command {
        Command::Delay { run: RunId(run), task: TaskId(task), delay }
    }

    /// A task failed for good, and its run goes on.
    pub(crate) fn condemn(run: u64, task: u32, attempts: u32) -> Command {
        let (run, task) = (RunId(run), TaskId(task));
        Command::Condemn { run, task, attempts, worker_lost: false }
    }

    pub(crate) fn relieve(worker: u32, seat: u32) -> Command {
        Command::RelieveWorker { worker: WorkerId(worker), seat: WorkerId(seat) }
    }

    pub(crate) fn tell_shortage(worker: u32) -> Command {
        Command::TellShortage { worker: WorkerId(worker) }
    }

    pub(crate) fn replace(worker: u32) -> Command {
        Command::ReplaceWorker { worker: WorkerId(worker) }
    }
}
