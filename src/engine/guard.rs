//! [`Guard`]: who owns a call that may take too long, its worker or whoever watches the time.
//!
//! # The protocol
//!
//! A call with a time limit cannot be ended from outside, but its task can go on without it. So the
//! right to complete the task must go to exactly one side:
//!
//! 1. The worker copies the inputs out of their slots (pointers; so the call that may come back late
//!    borrows nothing), and enters: it writes the time, then, with a release store, its claim: the task and
//!    the number of this entry.
//! 2. Out of the call, it leaves: it takes the claim back with a compare-exchange. If that succeeds,
//!    the ticket is still its own.
//! 3. Whoever watches reads the claim (acquire, so the time is not older than it), then the time, and
//!    if the call is overdue takes the claim away with a compare-exchange. If that succeeds, the task's
//!    ticket is its own; the worker will find its claim gone and drop what the call answered.
//!
//! Every entry has a number of its own, so a claim that was read is never mistaken for a later one of
//! the same task. A guard has one worker that enters and leaves; any thread may watch. Time is an
//! argument, from one clock for all.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::ids::spares;
use super::lane::NO_TASK;
use super::padded::Padded;
use super::{Run, TaskId, Ticket, WorkerId};
use crate::graph::{CallError, Input, Outcome};
use crate::value::Value;

/// No call goes on.
const IDLE: u64 = u64::MAX;

/// The call of one worker that has a time limit, if it is in one.
#[derive(Debug)]
pub(super) struct Guard(Padded<Call>);

#[derive(Debug)]
struct Call {
    /// The number of the entry in the upper half, the task in the lower one; or `IDLE`.
    claim: AtomicU64,
    /// When the call began, in nanoseconds. Written before the claim, by the worker.
    since: AtomicU64,
    /// How often the worker has entered. Touched by the worker alone.
    entries: AtomicU64,
}

/// What a worker holds instead of a ticket, while it is in a call that has a time limit.
#[derive(Debug)]
#[must_use = "a claim that is dropped is a task that never ends"]
pub struct Claim {
    claim: u64,
    /// Void if the claim was taken away.
    ticket: Ticket,
}

impl Claim {
    /// The task that the worker is in.
    pub fn task(&self) -> TaskId {
        self.ticket.task()
    }
}

impl Guard {
    pub(super) fn new() -> Self {
        let call = Call {
            claim: AtomicU64::new(IDLE),
            since: AtomicU64::new(0),
            entries: AtomicU64::new(0),
        };
        Self(Padded(call))
    }

    /// The worker begins a call.
    fn enter(&self, task: TaskId, now: Duration) -> u64 {
        let entry = self.0.entries.load(Ordering::Relaxed).wrapping_add(1) & (u64::MAX >> 33);
        self.0.entries.store(entry, Ordering::Relaxed);
        let claim = (entry << 32) | u64::from(task.0);
        self.0.since.store(nanoseconds(now), Ordering::Relaxed);
        self.0.claim.store(claim, Ordering::Release);
        claim
    }

    /// Takes a certain claim away. True for the one side that has it then.
    fn take(&self, claim: u64) -> bool {
        self.0.claim.compare_exchange(claim, IDLE, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// The task of a worker that does nothing any more.
    pub(super) fn take_over(&self) -> Option<TaskId> {
        task_of(self.0.claim.swap(IDLE, Ordering::AcqRel))
    }

    /// True if the call that goes on is that of `task`.
    pub(super) fn is_in(&self, task: TaskId) -> bool {
        task_of(self.0.claim.load(Ordering::Relaxed)) == Some(task)
    }

    pub(super) fn is_entered(&self) -> bool {
        self.0.claim.load(Ordering::Relaxed) != IDLE
    }

    /// The call that goes on: its claim, its task, when it began.
    fn call(&self) -> Option<(u64, TaskId, Duration)> {
        let claim = self.0.claim.load(Ordering::Acquire);
        let task = task_of(claim)?;
        Some((claim, task, Duration::from_nanos(self.0.since.load(Ordering::Relaxed))))
    }
}

fn task_of(claim: u64) -> Option<TaskId> {
    let task =
        u32::try_from(claim & u64::from(u32::MAX)).expect("the lower half of a claim is a task");
    (claim != IDLE).then_some(TaskId(task))
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl Run {
    /// Notes that `worker` begins a call that has a time limit. Until it leaves, the ticket is out of
    /// its hands, and with it the right to look at the task's inputs: copy them before.
    pub fn enter(&self, worker: WorkerId, ticket: Ticket, now: Duration) -> Claim {
        // From here on the guard says what the worker is in.
        self.stop(worker);
        let claim = self.guards[worker.index()].enter(ticket.task(), now);
        Claim { claim, ticket }
    }

    /// Notes that `worker` is out of a call. The ticket comes back if the task is still the worker's;
    /// otherwise somebody else has it by now.
    pub fn leave(&self, worker: WorkerId, Claim { claim, ticket }: Claim) -> Option<Ticket> {
        if !self.guards[worker.index()].take(claim) {
            return None;
        }
        self.lanes[worker.index()].pulse.running.store(ticket.task().0, Ordering::Relaxed);
        Some(ticket)
    }

    /// As [`call`](Self::call), with inputs that are the call's own: nothing of the run is touched but
    /// its plan.
    ///
    /// # Errors
    ///
    /// What the call answers.
    pub fn call_with(&self, task: TaskId, inputs: Vec<Value>) -> Result<Outcome, CallError> {
        let mut inputs = inputs.into_iter();
        let missing = "there is an input for each dependency";
        self.plan().call(task, |_, _| Input::Owned(inputs.next().expect(missing)))
    }

    /// Says that `worker` is in a task of this run, by the number of tasks that it has started; `None`
    /// if it is in none. It may be out of date when it is read.
    pub fn is_busy(&self, worker: WorkerId) -> Option<u32> {
        let pulse = &self.lanes[worker.index()].pulse;
        let guarded = self.guards.get(worker.index()).is_some_and(Guard::is_entered);
        let busy = guarded || pulse.running.load(Ordering::Relaxed) != NO_TASK;
        busy.then(|| pulse.started.load(Ordering::Relaxed))
    }

    /// The numbers under which workers may work on the run.
    pub fn workers(&self) -> impl Iterator<Item = WorkerId> + use<> {
        (0..self.workers).map(WorkerId).chain(spares(self.workers as usize))
    }

    /// Takes the tasks away from the workers that are over their time, and adds them to `overdue` with
    /// their worker. Answers when to look again: not later than anything can be overdue. `None` if
    /// nothing can be any more, because the run is over and nobody is in a call.
    pub fn take_overdue(
        &self,
        now: Duration,
        overdue: &mut Vec<(WorkerId, Ticket)>,
    ) -> Option<Duration> {
        let mut next = self.shortest_limit().filter(|_| self.is_running());
        next = next.map(|limit| now.saturating_add(limit));
        for (worker, guard) in (0..).map(WorkerId).zip(&self.guards) {
            let Some((claim, task, since)) = guard.call() else { continue };
            let Some(limit) = self.time_limit(task) else { continue };
            let end = since.saturating_add(limit);
            if now < end {
                next = Some(next.map_or(end, |next| next.min(end)));
            } else if guard.take(claim) {
                let mut ticket = self.ticket_of(worker, task);
                // What the call answers is dropped, and the task may wait long before it is tried again.
                self.give_room_back(&mut ticket);
                overdue.push((worker, ticket));
            }
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_one_side_gets_the_task() {
        let guard = Guard::new();
        let claim = guard.enter(TaskId(7), Duration::from_secs(1));
        let (seen, task, since) = guard.call().unwrap();
        assert_eq!((task, since), (TaskId(7), Duration::from_secs(1)));
        assert!(guard.take(claim));
        assert!(!guard.take(seen) && guard.call().is_none());
        let second = guard.enter(TaskId(7), Duration::from_secs(2));
        // What was read of the first call does not hold for the second one of the same task.
        assert!(!guard.take(seen));
        assert!(guard.take(guard.call().unwrap().0));
        assert!(!guard.take(second) && guard.take_over().is_none());
    }

    #[test]
    fn entries_never_look_idle() {
        let guard = Guard::new();
        guard.0.entries.store(u64::MAX, Ordering::Relaxed);
        guard.enter(TaskId(u32::MAX), Duration::MAX);
        assert_eq!(guard.take_over(), Some(TaskId(u32::MAX)));
    }
}
