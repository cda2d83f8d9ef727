//! What must be true in every world.
//!
//! [`Laws`] keeps its own plain account of every task, made from the blueprint and from what the world
//! tells it; it does not look into the engine but compares. A law that is broken panics with its name.

use std::sync::{Arc, Weak};

use mobula::engine::{
    ALLOWED_LOSSES, Command, Completion, Event, Memory, Run, RunId, RunOutcome, Running, Status,
    WorkerId, spares,
};
use mobula::{Missing, OnError, Results, TaskId, Value};

use crate::history::Counts;
use crate::keeper::PretendKeeper;
use crate::plan::Datum;
use crate::room::{Admission, Room};
use crate::scenario::{Scenario, Submission};
use crate::sheet::{Fate, Sheet, State};
use crate::world::worker_id;

/// The account of a world.
#[derive(Debug)]
pub(crate) struct Laws {
    /// By run; `None` before it is submitted.
    sheets: Vec<Option<Sheet>>,
    /// By worker: what it is in, also after it was lost and before that is noticed.
    workers: Vec<Option<(RunId, TaskId)>>,
    /// By worker: whether the engine knows of it.
    known: Vec<bool>,
    /// The number under which asynchronous tasks end.
    nobody: WorkerId,
    /// True if there is one worker and nothing unusual happens.
    ordered: bool,
    /// What all runs hold: values and bytes.
    held: (i64, i64),
    pub(crate) room: Room,
    /// Runs that are over but still in somebody's hands.
    ending: Vec<(RunId, Weak<Run>)>,
}

impl Laws {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let workers = scenario.joins.len();
        let numbers = workers + 1 + spares(workers).len();
        Self {
            sheets: scenario.submissions.iter().map(|_| None).collect(),
            workers: vec![None; numbers],
            known: vec![false; numbers],
            nobody: worker_id(workers),
            ordered: workers == 1 && scenario.is_plain(),
            held: (0, 0),
            room: Room::default(),
            ending: Vec::new(),
        }
    }

    pub(crate) fn sheet(&self, run: RunId) -> &Sheet {
        self.sheets[index(run)].as_ref().expect("only a run that was submitted is spoken of")
    }

    fn sheet_mut(&mut self, run: RunId) -> &mut Sheet {
        self.sheets[index(run)].as_mut().expect("only a run that was submitted is spoken of")
    }

    pub(crate) fn submitted(&mut self, run: &Run, submission: &Submission) {
        let sheet = Sheet::new(submission);
        assert_eq!(run.tasks(), sheet.needed, "law: just what is needed is planned");
        assert_eq!(run.roots(), sheet.ready, "law: tasks without missing inputs are ready");
        self.hold(sheet.held);
        self.sheets[index(run.id())] = Some(sheet);
    }

    fn hold(&mut self, change: (i64, i64)) {
        self.held.0 += change.0;
        self.held.1 += change.1;
    }

    /// A worker is about to start a task.
    pub(crate) fn started(&mut self, worker: WorkerId, run: &Run, task: TaskId) {
        let id = run.id();
        assert!(run.is_running(), "law: nothing starts in a run that is over ({id:?} {task:?})");
        let place = &mut self.workers[worker.index()];
        let other = place.replace((id, task));
        assert_eq!(other, None, "law: no worker runs two tasks at once ({worker:?})");
        let ordered = self.ordered;
        let sheet = self.sheet_mut(id);
        let in_order = !ordered || sheet.follows(task) || sheet.best_ready() == Some(task);
        assert!(in_order, "law: one worker keeps the static order ({id:?} {task:?})");
        assert_eq!(
            sheet.tasks[task.index()].missing,
            0,
            "law: no task starts before its inputs exist ({id:?} {task:?})"
        );
        sheet.change(task, State::Waiting, State::Running);
        sheet.ready -= 1;
        sheet.starts.push(task);
    }

    /// A task has just started in bounded memory.
    pub(crate) fn admitted(
        &mut self,
        worker: WorkerId,
        run: &Run,
        task: TaskId,
        admission: Admission<'_>,
        counts: &mut Counts,
    ) {
        self.forget_gone();
        let Self { sheets, room, .. } = self;
        let sheet = sheets[index(run.id())].as_ref().expect("it was submitted");
        room.started(worker, run, task, sheet, admission, counts);
    }

    /// A task has just started; this is what stands for its value, if it is not to be called.
    pub(crate) fn judged(&self, run: &Run, task: TaskId, verdict: Option<&Value>) {
        let doomed = self.sheet(run.id()).is_doomed(task);
        assert_eq!(
            verdict.is_some(),
            doomed,
            "law: just what has no inputs is not called ({task:?})"
        );
    }

    /// A run has ended that fails with all its failures.
    pub(crate) fn collected(&self, run: &Run) {
        let sheet = self.sheet(run.id());
        let failed = sheet.tasks.iter().filter(|task| task.is_condemned()).count();
        assert_eq!(run.failures().len(), failed, "law: all failures are told, each once");
        let ended = sheet.ended == sheet.needed;
        assert!(ended, "law: a failure concerns its descendants and nobody else");
    }

    /// A task is about to be called.
    pub(crate) fn called(&mut self, run: &Run, task: TaskId, keeps_inputs: bool) {
        if !keeps_inputs {
            let change = self.sheet_mut(run.id()).gives_inputs_away(task);
            self.hold(change);
        }
    }

    /// The worker that a task was in goes on without it.
    pub(crate) fn left(&mut self, worker: WorkerId) {
        let was_in = self.workers[worker.index()].take();
        if let Some((run, task)) = was_in {
            self.room.left(run, task);
        }
    }

    /// An attempt has failed. Its ticket goes to the scheduler.
    pub(crate) fn failed(&mut self, run: RunId, task: TaskId) {
        let sheet = self.sheet_mut(run);
        sheet.change(task, State::Running, State::Troubled);
        sheet.tasks[task.index()].failures += 1;
    }

    /// A task whose inputs are in memory is about to be called, or to get pointers to them.
    pub(crate) fn has_inputs(&self, run: RunId, task: TaskId, keeper: &PretendKeeper) {
        for input in self.sheet(run).large_inputs(task) {
            let pinned = keeper.is_pinned(run, input);
            assert!(pinned, "law: inputs are pinned before a call ({run:?} {task:?} {input:?})");
        }
    }

    /// A task has ended with a value of so many bytes.
    pub(crate) fn completed(&mut self, run: &Run, task: TaskId, value: &Value) {
        let sheet = self.sheet_mut(run.id());
        sheet.change(task, State::Running, State::Ended);
        sheet.tasks[task.index()].is_missing = value.is::<Missing>();
        let change = sheet.ends(task, value);
        self.hold(change);
    }

    /// What the engine made of the completion of a task, in a run that went on until then or did not.
    pub(crate) fn led_to(&self, run: &Run, task: TaskId, completion: &Completion, went_on: bool) {
        let sheet = self.sheet(run.id());
        assert!(run.has_ended(task), "law: a run knows what has ended");
        let last = went_on && sheet.needed == sheet.ended;
        assert_eq!(completion.ended, last, "law: a run ends with its last task, once");
        assert_eq!(run.is_running(), went_on && !last, "law: the last task ends its run");
    }

    /// A task was taken away from a worker, because its call takes too long.
    pub(crate) fn overdue(&mut self, worker: WorkerId, run: RunId, task: TaskId) {
        let was_in = self.workers[worker.index()].take();
        assert_eq!(was_in, Some((run, task)), "law: only what a worker is in is taken from it");
        self.room.left(run, task);
        self.room.given_back(run, task);
        self.failed(run, task);
    }

    /// A worker has joined: nobody else works under its number.
    pub(crate) fn joined(&self, worker: WorkerId, is_there: bool) {
        let busy = self.workers[worker.index()].is_some();
        assert!(!busy && !is_there, "law: a number has one worker ({worker:?})");
    }

    /// The loss of a worker is noticed. Answers what it was in.
    pub(crate) fn lost(&mut self, worker: WorkerId) -> Option<(RunId, TaskId)> {
        let (run, task) = self.workers[worker.index()].take()?;
        self.room.left(run, task);
        let sheet = self.sheet_mut(run);
        sheet.change(task, State::Running, State::Troubled);
        sheet.tasks[task.index()].losses += 1;
        Some((run, task))
    }

    /// A task's ticket goes back into a lane.
    pub(crate) fn put_back(&mut self, run: RunId, task: TaskId) {
        let sheet = self.sheet_mut(run);
        sheet.change(task, State::Troubled, State::Waiting);
        sheet.ready += 1;
    }

    /// The engine is about to hear of something.
    pub(crate) fn heard(&mut self, event: &Event) {
        match event {
            Event::WorkerJoined { worker } => self.known[worker.index()] = true,
            Event::WorkerLost { worker, running } => {
                self.gone(*worker);
                self.heard_lost(running);
            }
            Event::TasksLost { running, .. } => self.heard_lost(running),
            Event::SeatFree { worker, running } => {
                let known = self.known[worker.index()];
                assert!(!known, "law: a number is free when its worker is gone ({worker:?})");
                self.heard_lost(running);
            }
            Event::RunOverdue { run } => self.sheet_mut(*run).reasons.push(RunOutcome::Overdue),
            Event::DelayEnded { .. } | Event::WorkerStuck { .. } => {}
            Event::TaskFailed { run, task, retries, by_hook, .. } => {
                let sheet = self.sheet_mut(*run);
                if *by_hook {
                    return sheet.loses_input(*task);
                }
                let trouble = &mut sheet.tasks[task.index()];
                assert_eq!(*retries, trouble.retries, "law: a plan knows how often to try again");
                trouble.heard_failures += 1;
                if trouble.heard_failures > *retries {
                    sheet.fails(*task, false);
                }
            }
            Event::HookFailed { run } => self.sheet_mut(*run).reasons.push(RunOutcome::HookFailed),
            Event::CancelRequested { run } => {
                self.sheet_mut(*run).reasons.push(RunOutcome::Cancelled);
            }
            Event::RunEnded { run } => {
                let sheet = self.sheet_mut(*run);
                let incomplete = sheet.on_error == OnError::Collect && !sheet.failed().is_empty();
                let done = if incomplete { RunOutcome::Incomplete } else { RunOutcome::Done };
                sheet.reasons.push(done);
            }
            Event::RunSubmitted { run, tasks, .. } => {
                if *tasks == 0 {
                    self.sheet_mut(*run).reasons.push(RunOutcome::Done);
                }
            }
        }
    }

    /// The engine is about to hear what a worker that is gone was in.
    fn heard_lost(&mut self, running: &[Running]) {
        for lost in running {
            let sheet = self.sheet_mut(lost.run);
            let trouble = &mut sheet.tasks[lost.task.index()];
            assert_eq!(
                lost.repeatable, !trouble.gave_away,
                "law: a task can run again while its inputs are there ({:?})",
                lost.task
            );
            trouble.heard_losses += 1;
            let attempts = trouble.heard_failures + trouble.heard_losses;
            if !lost.repeatable {
                let (task, worker_lost) = (lost.task, true);
                let failed = RunOutcome::Failed { task, attempts, worker_lost };
                sheet.reasons.push(failed);
            } else if trouble.heard_losses >= ALLOWED_LOSSES {
                sheet.fails(lost.task, true);
            }
        }
    }

    /// The engine does not count on a worker any more.
    fn gone(&mut self, worker: WorkerId) {
        self.known[worker.index()] = false;
        for sheet in self.sheets.iter_mut().flatten() {
            sheet.starter = sheet.starter.filter(|starter| *starter != worker);
        }
    }

    /// The engine has commanded something.
    pub(crate) fn commanded(&mut self, command: &Command) {
        match command {
            Command::ReplaceWorker { .. } | Command::TellShortage { .. } => {}
            Command::RelieveWorker { worker, seat } => {
                assert!(!self.known[seat.index()], "law: a number has one worker ({seat:?})");
                self.gone(*worker);
            }
            Command::Condemn { run, task, attempts, .. } => {
                let entry = &mut self.living(*run).tasks[task.index()];
                let tried = entry.heard_failures + entry.heard_losses;
                assert_eq!(*attempts, tried, "law: attempts are counted ({run:?} {task:?})");
                let before = std::mem::replace(&mut entry.fate, Fate::Condemned);
                assert_eq!(before, Fate::Failed, "law: what failed for good fails once ({task:?})");
            }
            Command::Delay { run, task, .. } => {
                let state = self.living(*run).tasks[task.index()].state;
                assert_eq!(state, State::Troubled, "law: only what failed waits to be tried again");
            }
            Command::Publish { run } => {
                let first = !std::mem::replace(&mut self.living(*run).published, true);
                assert!(first, "law: a run is published once ({run:?})");
            }
            Command::RunTasks { run, tasks, worker } => {
                // Without workers it lies where it failed, be it the lane of asynchronous tasks.
                let there = self.known.get(worker.index()) == Some(&true);
                let there = there || !self.known.contains(&true);
                assert!(there, "law: work goes to workers that are there ({worker:?})");
                let sheet = self.living(*run);
                assert!(sheet.published, "law: a run is published before it starts ({run:?})");
                for task in tasks {
                    let state = sheet.tasks[task.index()].state;
                    assert_eq!(state, State::Troubled, "law: only what failed is tried again");
                }
                if tasks.is_empty() {
                    sheet.starter = Some(*worker);
                }
            }
            Command::TellRetry { run, task, attempt } => {
                let trouble = &self.living(*run).tasks[task.index()];
                let tried = trouble.heard_failures + trouble.heard_losses;
                assert_eq!(*attempt, tried + 1, "law: attempts are counted ({run:?} {task:?})");
            }
            Command::Finish { run, outcome } => {
                let sheet = self.living(*run);
                assert_eq!(
                    sheet.reasons.first(),
                    Some(outcome),
                    "law: a run ends for its own first reason and no other ({run:?})"
                );
                sheet.outcome = Some(*outcome);
            }
        }
    }

    fn living(&mut self, run: RunId) -> &mut Sheet {
        let sheet = self.sheet_mut(run);
        assert_eq!(sheet.outcome, None, "law: a run ends once, and nothing follows ({run:?})");
        sheet
    }

    /// The engine has said all it had to say.
    pub(crate) fn settled(&self) {
        for (number, sheet) in self.sheets.iter().enumerate() {
            if let Some(sheet) = sheet {
                let reason = sheet.reasons.first();
                assert_eq!(
                    sheet.outcome.as_ref(),
                    reason,
                    "law: a run ends as soon as there is a reason (r{number})"
                );
                let told = sheet.tasks.iter().all(|task| task.fate != Fate::Failed);
                let told = told || sheet.outcome.is_some();
                assert!(told, "law: a run that goes on knows what failed for good (r{number})");
                let started = sheet.starter.is_some() || sheet.outcome.is_some();
                let started = started || !self.known.contains(&true);
                assert!(started, "law: with a worker every run is started (r{number})");
            }
        }
    }

    /// The caller has the results of a run.
    pub(crate) fn gathered(&self, id: RunId, results: &Results, submission: &Submission) {
        let sheet = self.sheet(id);
        for task in &sheet.tasks {
            let wrong = matches!(task.state, State::Waiting | State::Running | State::Troubled);
            assert!(!wrong, "law: in a run that is done every needed task has ended ({id:?})");
        }
        let attempts = sheet.tasks.iter().map(|task| task.failures + task.losses);
        let attempts = sheet.needed + attempts.sum::<u32>() as usize;
        assert_eq!(sheet.starts.len(), attempts, "law: no more starts than attempts ({id:?})");
        let expected = submission.blueprint.evaluate(&submission.answers, &sheet.failed());
        assert_eq!(Datum::of(results), expected, "law: results are those of plain evaluation");
    }

    /// The outputs of a run were handed to its caller.
    pub(crate) fn handed_over(&mut self, run: RunId, kept: bool) {
        let change = self.sheet_mut(run).hands_over(kept);
        self.hold(change);
    }

    /// A run is over; its values go when nobody has it in hand any more.
    pub(crate) fn over(&mut self, run: &Arc<Run>, outcome: RunOutcome) {
        let sheet = self.sheet(run.id());
        let status = match outcome {
            _ if sheet.needed == sheet.ended => Status::Done,
            RunOutcome::Done | RunOutcome::Incomplete => {
                unreachable!("a run that is done has ended all of its tasks")
            }
            RunOutcome::Failed { .. } | RunOutcome::HookFailed | RunOutcome::Overdue => {
                Status::Failed
            }
            RunOutcome::Cancelled => Status::Cancelled,
        };
        assert_eq!(run.status(), status, "law: the first end of a run holds ({:?})", run.id());
        self.ending.push((run.id(), Arc::downgrade(run)));
    }

    /// Takes the runs out of the account that nobody has in hand any more.
    fn forget_gone(&mut self) {
        let gone = |(_, run): &mut (RunId, Weak<Run>)| run.strong_count() == 0;
        let dropped: Vec<_> = self.ending.extract_if(.., gone).collect();
        for (run, _) in dropped {
            let (values, bytes) = std::mem::take(&mut self.sheet_mut(run).held);
            self.hold((-values, -bytes));
            self.room.run_is_gone(run);
        }
    }

    /// Compares what the ledger says with the account: neither too much nor too little is held.
    pub(crate) fn holds(&mut self, memory: &Memory, keeper: Option<&PretendKeeper>) {
        self.forget_gone();
        self.room.holds(memory, keeper);
        let now = memory.ledger().holdings();
        let away = keeper.map_or(0, PretendKeeper::away);
        let held = (signed(now.values), signed(now.bytes) + away);
        assert_eq!(held, self.held, "law: what is needed is held, and nothing else");
    }

    /// Compares what lies ready in a run with the account.
    pub(crate) fn nothing_ready_is_lost(&self, run: &Run) {
        if !run.is_running() {
            return;
        }
        // Seen from the lane of asynchronous tasks, all but what lies there.
        let seen = run.available_to(self.nobody) as usize;
        let Sheet { ready, synchronous, .. } = *self.sheet(run.id());
        let fits = seen == ready || (seen < ready && !synchronous);
        assert!(fits, "law: what is ready is found: {seen} of {ready} ({:?})", run.id());
    }

    /// The world is over.
    pub(crate) fn at_the_end(&self) {
        assert!(self.ending.is_empty(), "nobody has a run in hand: {:?}", self.ending);
        assert_eq!(self.held, (0, 0), "law: at the end nothing is left");
        for (number, sheet) in self.sheets.iter().enumerate() {
            let outcome = sheet.as_ref().and_then(|sheet| sheet.outcome);
            assert!(outcome.is_some(), "law: with one healthy worker every run ends (r{number})");
        }
    }
}

pub(crate) fn index(run: RunId) -> usize {
    usize::try_from(run.0).expect("there are few runs")
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).expect("a world is small")
}
