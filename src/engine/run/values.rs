//! The values of a run: how they come into their slots, how tasks get them, when they go.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use super::super::Failure;
use super::super::kept::{Held, Kept, LARGE, Made};
use super::super::ledger::signed_bytes;
use super::super::policy::Policy;
use super::super::{TaskId, WorkerId};
use super::tally::{ANSWERED, is_end};
use super::{Run, Status, Ticket};
use crate::graph::{CallError, Input, Outcome, Results};
use crate::value::Value;

/// The large inputs of a task, in memory until its call.
#[derive(Debug, Default)]
pub struct Pins {
    /// By place among the task's inputs, once somebody has looked; empty for a task without large ones.
    values: Vec<Option<Value>>,
    /// The places of the large inputs that are not there yet.
    missing: Vec<usize>,
}

impl Pins {
    /// The input at `place`, from the last one that needs it: with the keeper's pointer gone, the pinned
    /// one is the only one.
    #[cold]
    fn take_last(&mut self, place: usize, kept: Arc<dyn Kept>) -> Input<'static> {
        drop(kept);
        self.take(place)
    }

    #[cold]
    fn take(&mut self, place: usize) -> Input<'static> {
        let value = self.values.get_mut(place).and_then(Option::take);
        Input::Owned(value.expect("large inputs are pinned before the call"))
    }
}

impl Run {
    /// True if some value of the run may not be in memory: then a task's inputs have to be pinned
    /// before its call.
    #[inline]
    pub fn has_kept(&self) -> bool {
        self.has_kept.load(Ordering::Relaxed)
    }

    /// Pins the large inputs of a task, and brings those back that are not in memory.
    ///
    /// # Errors
    ///
    /// The failure because of which one of them is lost for good.
    #[expect(unsafe_code, reason = "borrows inputs by the protocol of `slots`")]
    pub fn poll_pins(
        &self,
        ticket: &Ticket,
        pins: &mut Pins,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Failure>> {
        ticket.check(self.id);
        let inputs = self.plan.dependencies(ticket.task);
        if pins.values.is_empty() {
            pins.values.resize_with(inputs.len(), || None);
            pins.missing.extend(0..inputs.len());
        }
        let Pins { values, missing } = pins;
        let mut lost = None;
        // Each is asked, also behind one that is not there yet: they come back side by side.
        missing.retain(|&place| {
            // SAFETY: the ticket was given after every dependency was published (step 3), and its uses
            // are spent only by `call` and `complete`, which come later.
            let Some(Held::Kept(kept)) = (unsafe { self.slots.get(inputs[place]) }) else {
                return false;
            };
            match kept.poll_pin(context) {
                Poll::Ready(Ok(value)) => {
                    values[place] = Some(value);
                    false
                }
                Poll::Ready(Err(failure)) => {
                    lost.get_or_insert(failure);
                    true
                }
                Poll::Pending => true,
            }
        });
        match lost {
            Some(failure) => Poll::Ready(Err(failure)),
            None if missing.is_empty() => Poll::Ready(Ok(())),
            None => Poll::Pending,
        }
    }

    /// Calls the task's function with its inputs; the large ones are pinned. An input that only this
    /// task still needs is given away with it, unless `keep_inputs` (a task that may be tried again
    /// needs them again).
    ///
    /// # Errors
    ///
    /// What the call answers.
    #[inline]
    #[expect(unsafe_code, reason = "borrows inputs by the protocol of `slots`")]
    pub fn call(
        &self,
        worker: WorkerId,
        ticket: &Ticket,
        keep_inputs: bool,
        pins: &mut Pins,
    ) -> Result<Outcome, CallError> {
        ticket.check(self.id);
        self.plan.call(ticket.task, |place, dependency| {
            // SAFETY: the ticket was given after every dependency was published (step 3), and its uses
            // are spent only in `complete`, after the inputs of this call are gone.
            if !keep_inputs && let Some(held) = unsafe { self.slots.take_if_last(dependency) } {
                return match held {
                    Held::Plain(value) => {
                        self.memory.ledger().went(worker, &value);
                        Input::Owned(value)
                    }
                    Held::Kept(kept) => pins.take_last(place, kept),
                };
            }
            // SAFETY: as above.
            match unsafe { self.slots.get(dependency) } {
                Some(Held::Plain(value)) => Input::Shared(value),
                // A slot that a task needs is never empty.
                Some(Held::Kept(_)) | None => pins.take(place),
            }
        })
    }

    /// Pointers to the task's inputs, in order; the large ones are pinned.
    #[expect(unsafe_code, reason = "borrows inputs by the protocol of `slots`")]
    pub fn inputs(&self, ticket: &Ticket, pins: &mut Pins) -> Vec<Value> {
        ticket.check(self.id);
        let input = |(place, dependency): (usize, &TaskId)| {
            // SAFETY: the ticket was given after every dependency was published (step 3), and its uses
            // are spent only by whoever gives the ticket up, which the borrow of it rules out.
            match unsafe { self.slots.get(*dependency) } {
                Some(Held::Plain(value)) => value.clone(),
                Some(Held::Kept(_)) | None => pins.take(place).take(),
            }
        };
        self.plan.dependencies(ticket.task).iter().enumerate().map(input).collect()
    }

    /// The arguments of the task's function, put together: pointers, which hold the large ones in memory as
    /// long as they live.
    ///
    /// # Errors
    ///
    /// The error of a call nested in the task's arguments.
    pub fn arguments(&self, ticket: &Ticket, pins: &mut Pins) -> Result<Vec<Value>, CallError> {
        let inputs = self.inputs(ticket, pins);
        let arguments = self.plan.arguments(ticket.task, |place, _| Input::Shared(&inputs[place]));
        Ok(arguments?.iter_mut().map(Input::take).collect())
    }

    /// Those of the task's inputs that lie in their slots themselves.
    #[expect(unsafe_code, reason = "borrows inputs by the protocol of `slots`")]
    pub(in super::super) fn small_inputs<'a>(
        &'a self,
        ticket: &'a Ticket,
    ) -> impl Iterator<Item = &'a Value> {
        ticket.check(self.id);
        self.plan.dependencies(ticket.task).iter().filter_map(|dependency| {
            // SAFETY: as for `inputs`.
            match unsafe { self.slots.get(*dependency) } {
                Some(Held::Plain(value)) => Some(value),
                Some(Held::Kept(_)) | None => None,
            }
        })
    }

    /// Puts a value that `worker` made into its slot.
    #[inline]
    pub(super) fn come(&self, worker: WorkerId, task: TaskId, value: Value) {
        if value.bytes() < LARGE && !self.memory.is_tight() {
            self.memory.ledger().came(worker, &value);
            return self.put(task, Held::Plain(value));
        }
        self.come_heavily(worker, task, value);
    }

    /// A large value came, or one that came at a bad time.
    #[cold]
    fn come_heavily(&self, worker: WorkerId, task: TaskId, value: Value) {
        let bytes = value.bytes();
        if bytes >= LARGE
            && value.pointers() > 1
            && let Some(kept) = self.keeper.as_ref().and_then(|keeper| keeper.recognise(&value))
        {
            // It is counted already, and such a task adds nothing.
            self.memory.learn(&self.plan.key(task).prefix(), 0);
            self.has_kept.store(true, Ordering::Relaxed);
            return self.put(task, Held::Kept(kept));
        }
        self.memory.learn(&self.plan.key(task).prefix(), bytes as u64);
        let held = match &self.keeper {
            Some(keeper) if bytes >= LARGE => {
                self.has_kept.store(true, Ordering::Relaxed);
                let by_tasks_alone = !self.is_answered.load(Ordering::Relaxed);
                let made = self.made(task, by_tasks_alone);
                Held::Kept(keeper.keep(Some(worker), made, value))
            }
            Some(_) | None => {
                self.memory.ledger().came(worker, &value);
                Held::Plain(value)
            }
        };
        self.put(task, held);
        self.memory.refresh();
    }

    /// Where the value of a task comes from.
    fn made(&self, task: TaskId, by_tasks_alone: bool) -> Made<'_> {
        let Policy { tasks: options, placement, .. } = &self.policy;
        let placement = *placement;
        Made { run: self.id, plan: &self.plan, task, options, placement, by_tasks_alone }
    }

    #[inline]
    #[expect(unsafe_code, reason = "writes a value by the protocol of `slots`")]
    fn put(&self, task: TaskId, held: Held) {
        // SAFETY: the caller has consumed the task's only ticket, or owns the run before it starts, and
        // the task's dependents are published after this (step 2).
        unsafe { self.slots.put(task, held) };
    }

    #[inline]
    #[expect(unsafe_code, reason = "spends uses by the protocol of `slots`")]
    pub(super) fn release_inputs(&self, worker: WorkerId, task: TaskId) {
        for dependency in self.plan.dependencies(task) {
            // SAFETY: these are the uses of this task, whose call is over (step 4).
            match unsafe { self.slots.spend(*dependency) } {
                Some(Held::Plain(value)) => self.memory.ledger().went(worker, &value),
                // Its keeper sees it go.
                Some(Held::Kept(_)) | None => {}
            }
        }
    }

    /// How many bytes the inputs hold that go with this task. To be asked by whoever has the right to
    /// run it.
    #[expect(unsafe_code, reason = "borrows inputs by the protocol of `slots`")]
    pub(super) fn ends_with(&self, task: TaskId) -> u64 {
        let last = |input: &&TaskId| self.slots.uses(**input) == 1;
        let inputs = self.plan.dependencies(task).iter().filter(last);
        // SAFETY: the task is ready, so its inputs are published (step 3), and nobody else runs it and
        // spends its uses.
        inputs.filter_map(|input| unsafe { self.slots.get(*input) }).map(Held::bytes).sum()
    }

    /// True if the values that the task needs are still there, so that it can run once more.
    pub fn can_run_again(&self, ticket: &Ticket) -> bool {
        self.plan.dependencies(ticket.task).iter().all(|input| self.slots.uses(*input) > 0)
    }

    /// The value of a task that is known without running it.
    pub(super) fn answer(&self, task: TaskId, value: Value) {
        if self.slots.uses(task) == 0 {
            return;
        }
        let held = match &self.keeper {
            Some(keeper) if value.bytes() >= LARGE => {
                self.has_kept.store(true, Ordering::Relaxed);
                // Its task could come to another value than what was answered.
                let by_tasks_alone = false;
                let made = self.made(task, by_tasks_alone);
                Held::Kept(keeper.keep(None, made, value))
            }
            Some(_) | None => {
                self.memory.ledger().add(1, signed_bytes(&value));
                Held::Plain(value)
            }
        };
        self.put(task, held);
        self.pending[task.index()].store(ANSWERED, Ordering::Release);
        self.memory.refresh();
    }

    /// True if the value of a task is used by anybody. To be asked before the run starts.
    pub(crate) fn is_needed(&self, task: TaskId) -> bool {
        self.slots.uses(task) > 0
    }

    /// True if the task's value is there, or was.
    pub fn has_ended(&self, task: TaskId) -> bool {
        is_end(self.pending[task.index()].load(Ordering::Acquire))
    }

    /// The value of a task that has ended, if it was not released yet; `retain` it first.
    #[expect(unsafe_code, reason = "borrows a value by the protocol of `slots`")]
    pub(crate) fn held(&self, task: TaskId) -> Option<Held> {
        if !self.has_ended(task) {
            return None;
        }
        // SAFETY: the caller retained the value, and `has_ended` acquired what `put` wrote.
        unsafe { self.slots.get(task) }.cloned()
    }

    /// Keeps the value of a task until `release`. The caller holds a use of it already, or holds the
    /// ticket of the task itself.
    pub(crate) fn retain(&self, task: TaskId) {
        self.slots.retain(task);
    }

    /// Ends a `retain`.
    #[expect(unsafe_code, reason = "spends a use by the protocol of `slots`")]
    pub(crate) fn release(&self, task: TaskId) {
        // SAFETY: `retain` gave this use to the caller, and no borrow outlives `held`.
        self.went_elsewhere(unsafe { self.slots.spend(task) });
    }

    fn went_elsewhere(&self, held: Option<Held>) {
        if let Some(Held::Plain(value)) = held {
            self.memory.ledger().add(-1, -signed_bytes(&value));
        }
    }

    /// The wanted values, each task's once, in order; taken out of their slots. To be called once, on
    /// a run that is done.
    ///
    /// # Panics
    ///
    /// If the run is not done.
    #[expect(unsafe_code, reason = "spends the uses of wanted values by the protocol of `slots`")]
    pub fn take_outputs(&self) -> Vec<Held> {
        assert_eq!(self.status(), Status::Done, "only a run that is done has results");
        let take = |task: &TaskId| {
            // SAFETY: a wanted value has one use of its own, which only this function spends; the run
            // is done, so the value was published by the end of the run. The copy is made before the
            // use is spent.
            let (copy, last) = unsafe { (self.slots.get(*task).cloned(), self.slots.spend(*task)) };
            self.went_elsewhere(last);
            copy.expect("a run that is done has every wanted value")
        };
        self.plan.outputs().iter().map(take).collect()
    }

    /// The results in the wanted shape, once all of them are in memory. To be called once, on a run
    /// that is done.
    ///
    /// # Panics
    ///
    /// If the run is not done.
    pub fn gather(self: &Arc<Self>) -> Gathering {
        let held = self.take_outputs();
        Gathering { run: Arc::clone(self), values: vec![None; held.len()], held }
    }
}

/// The results of a run, being brought into memory.
#[derive(Debug)]
#[must_use = "the results are there when this was awaited"]
pub struct Gathering {
    run: Arc<Run>,
    /// By output.
    held: Vec<Held>,
    values: Vec<Option<Value>>,
}

impl Future for Gathering {
    type Output = Result<Results, Failure>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { run, held, values } = &mut *self;
        let mut all = true;
        for (held, value) in held.iter().zip(values.iter_mut()).filter(|(_, v)| v.is_none()) {
            match held.poll_pin(context) {
                Poll::Ready(pinned) => *value = Some(pinned?),
                Poll::Pending => all = false,
            }
        }
        if !all {
            return Poll::Pending;
        }
        let outputs = run.plan.outputs();
        Poll::Ready(Ok(run.plan.gather(|task| {
            let at = outputs.binary_search(&task).expect("a wanted task is an output");
            values[at].clone().expect("all values are there")
        })))
    }
}
