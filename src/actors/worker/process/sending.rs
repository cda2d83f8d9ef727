//! Sending tasks to the child: what comes before their calls, packing, chains that go ahead.
//!
//! The borrow of the station never lasts while code of a user may run: packing and hooks can start runs,
//! which end up at this station again.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::super::super::contained_panic_message;
use super::super::super::events::Noted;
use super::super::active::ActiveRun;
use super::super::failing::{call_failed, fail_by_loss, fail_task};
use super::super::thread::{Step, WorkerThread};
use super::fleet::Fleet;
use super::link::Link;
use super::packing::{PackError, Packing};
use super::station::{Flight, InChain, Matched, give_back};
use crate::actors::callbacks::PreStates;
use crate::engine::{Cause, Failure, Pins, Placement, TaskId, Ticket, Window};
use crate::graph::{BoxError, CallError, Input, ProcessEnd, ProcessExit};
use crate::process::wire::{Call, Done, Keep, ToChild};
use crate::process::{Segment, Stayed};
use crate::value::Value;

/// A task on its way to the child.
pub(super) struct Prepared {
    active: Arc<ActiveRun>,
    task: TaskId,
    /// None for one that is sent ahead.
    ticket: Option<Ticket>,
    arguments: Vec<Value>,
    states: PreStates,
    number: u64,
    keep: Keep,
    chain: InChain,
    /// True for the last one of a chain that goes on.
    is_tail: bool,
}

/// Calls, by what becomes of them.
#[derive(Default)]
struct Sorted {
    calls: Vec<Call>,
    /// The tasks of the calls.
    sent: Vec<Prepared>,
    /// The child for which the last one of them was packed.
    child: Option<u32>,
    segments: Vec<Arc<Segment>>,
    here: Vec<Prepared>,
    failed: Vec<(Prepared, BoxError)>,
    /// Those whose input has stayed in another child.
    elsewhere: Vec<(Prepared, u32)>,
}

impl WorkerThread {
    /// Sends calls; what cannot be called there is called here.
    pub(super) fn send(&self, batch: Vec<(Arc<ActiveRun>, Ticket)>) {
        let mut prepared = Vec::with_capacity(batch.len());
        for (active, ticket) in batch {
            self.prepare(active, ticket, &mut prepared);
        }
        if !prepared.is_empty() && self.has_child(&mut prepared) {
            self.send_prepared(prepared);
        }
    }

    /// Sends on what comes behind the last call of a chain that was sent ahead, so that the child does not wait
    /// where the chain was cut. To be called when so many calls have ended that are still counted.
    pub(super) fn send_on(&self, ended: &[Done]) {
        let tail = {
            let mut station = self.station.borrow_mut();
            let Some(number) = station.tail else { return };
            let has_ended = ended.iter().any(|done| done.number == number);
            let flight = station.flight(number).filter(|_| !has_ended);
            let Some((active, task)) = flight.map(|it| (Arc::clone(&it.active), it.task)) else {
                station.tail = None;
                return;
            };
            let window = Window::of(active.run.task_time());
            let moving = station.moving().saturating_sub(ended.len());
            if moving > window.few || station.holds_back || !active.run.is_running() {
                return;
            }
            station.tail = None;
            (active, task, number)
        };
        let (active, task, number) = tail;
        let follower = self
            .next_in_chain(&active, task)
            .filter(|_| self.has_room_behind(&active, 0))
            .and_then(|next| self.behind(&active, number, next));
        let Some(follower) = follower else { return };
        self.station.borrow_mut().follows(number, follower.number);
        self.send_prepared(vec![follower]);
    }

    /// Packs and sends calls; what cannot be called there is called here.
    fn send_prepared(&self, prepared: Vec<Prepared>) {
        let Some(fleet) = self.crew.fleet() else { return };
        let mut sorted = Sorted::default();
        let program = Arc::clone(fleet.program());
        let mut left = VecDeque::from(prepared);
        program.packing(&mut || {
            while let Some(prepared) = left.pop_front() {
                self.pack(prepared, &mut sorted);
            }
        });
        // Whatever the program made of it.
        sorted.here.extend(left);
        self.dispatch(&mut sorted);
        for prepared in sorted.here {
            self.call_here(prepared);
        }
        for (prepared, error) in sorted.failed {
            if let Some(mut ticket) = prepared.ticket {
                prepared.active.run.give_room_back(&mut ticket);
                let cause = call_failed(CallError::Failed(error));
                fail_task(&prepared.active, ticket, self.id, cause);
            }
        }
        for (prepared, child) in sorted.elsewhere {
            if let Some(ticket) = prepared.ticket {
                let worker = fleet.worker_of(child);
                fleet.bind(child, prepared.active, ticket);
                if let Some(worker) = worker {
                    self.crew.wake(worker);
                }
            }
        }
    }

    /// Does what comes before the call of a task, and finds those that can be sent behind it.
    fn prepare(&self, active: Arc<ActiveRun>, mut ticket: Ticket, to: &mut Vec<Prepared>) {
        let (run, task) = (&active.run, ticket.task());
        if !run.is_running() {
            return run.give_room_back(&mut ticket);
        }
        match self.station.borrow_mut().match_ticket(run.id(), ticket) {
            Matched::UnderWay => return,
            Matched::Ended(ended) => return self.call_ended(ended.0, ended.1),
            Matched::Not(back) => ticket = back,
        }
        run.send(self.id);
        if run.needs_care()
            && let Some(missing) = run.verdict(&ticket)
        {
            active.skipped(task, &missing);
            let completion = run.complete_missing(self.id, ticket, missing);
            return self.completed(&active, completion);
        }
        let mut pins = Pins::default();
        if run.has_kept()
            && let Err(failure) = self.bring_back(run, &ticket, &mut pins)
        {
            run.give_room_back(&mut ticket);
            return fail_by_loss(&active, ticket, self.id, failure);
        }
        let mut states = PreStates::new();
        if let Some(hooks) = &active.hooks {
            if !hooks.is_retried(task) {
                let submitted = hooks.set.submit(run, task);
                if !run.is_running() {
                    return run.give_room_back(&mut ticket);
                }
                hooks.submitted(run);
                match submitted {
                    Err(failure) => return self.fail_hook_there(&active, ticket, failure),
                    Ok(Some(value)) => {
                        let completion = run.complete_answered(self.id, ticket, value);
                        return self.completed(&active, completion);
                    }
                    Ok(None) => {}
                }
            }
            match hooks.set.pretask(run, task) {
                Ok(handed_on) => states = handed_on,
                Err(failure) => return self.fail_hook_there(&active, ticket, failure),
            }
        }
        let arguments = catch_unwind(AssertUnwindSafe(|| run.arguments(&ticket, &mut pins)));
        let arguments = match arguments {
            Ok(Ok(arguments)) => arguments,
            Ok(Err(error)) => {
                run.give_room_back(&mut ticket);
                return fail_task(&active, ticket, self.id, call_failed(error));
            }
            Err(panic) => {
                run.give_room_back(&mut ticket);
                let cause = Cause::Panic(contained_panic_message(panic));
                return fail_task(&active, ticket, self.id, cause);
            }
        };
        if arguments.iter().any(Stayed::is_gone) {
            // Its process has ended since; what looks after large values makes it again.
            if run.has_kept() {
                return give_back(&active, ticket, self.id);
            }
            run.give_room_back(&mut ticket);
            let reason = "what it needs had stayed in a worker process that has ended";
            let failure =
                Failure::new(run.plan().key(task).clone(), Cause::Lost(Arc::from(reason)));
            return fail_by_loss(&active, ticket, self.id, failure);
        }
        let number = self.station.borrow_mut().number();
        let keep = self.keep(&active, task);
        to.push(Prepared {
            active,
            task,
            ticket: Some(ticket),
            arguments,
            states,
            number,
            keep,
            chain: InChain::default(),
            is_tail: false,
        });
    }

    /// Where the value of a task goes.
    fn keep(&self, active: &ActiveRun, task: TaskId) -> Keep {
        let plan = active.run.plan();
        // Hooks may look at every value.
        if active.hooks.is_some() || !plan.is_chained(task) || plan.is_wanted(task) {
            return Keep::Export;
        }
        let program = self.crew.fleet().map(|fleet| fleet.program());
        let may_stay = program.zip(plan.func(task).as_any());
        match may_stay {
            Some((program, function)) if program.may_stay(function) => Keep::Stay,
            _ => Keep::Export,
        }
    }

    /// True if there is a child; else starts one. If none can be started, the tasks fail or wait.
    pub(super) fn has_child(&self, prepared: &mut Vec<Prepared>) -> bool {
        if self.station.borrow().link.is_some() {
            return true;
        }
        let Some(fleet) = self.crew.fleet() else { return false };
        match Link::start(fleet) {
            Ok(link) => {
                let process = link.process_id();
                fleet.sits_at(link.number, self.id, process);
                let child = || Noted::Child { worker: self.id, process };
                self.crew.events().tell(child);
                self.station.borrow_mut().link = Some(link);
                true
            }
            Err(error) => {
                let end = ProcessEnd {
                    process: None,
                    exit: ProcessExit::Unfit(format!("it cannot be started: {error}")),
                    peak_bytes: None,
                    out_of_memory: false,
                    output: Vec::new(),
                };
                let end = Arc::new(end);
                for prepared in prepared.drain(..) {
                    if let Some(mut ticket) = prepared.ticket {
                        prepared.active.run.give_room_back(&mut ticket);
                        let cause = Cause::ProcessLost(Arc::clone(&end));
                        fail_task(&prepared.active, ticket, self.id, cause);
                    }
                }
                false
            }
        }
    }

    /// Packs a call, and those behind it.
    fn pack(&self, mut prepared: Prepared, sorted: &mut Sorted) {
        loop {
            let goes_on = prepared.keep != Keep::Export;
            let active = Arc::clone(&prepared.active);
            let next = goes_on.then(|| self.next_in_chain(&active, prepared.task)).flatten();
            let follower = next
                .filter(|_| self.has_room_behind(&active, sorted.calls.len()))
                .and_then(|next| self.behind(&active, prepared.number, next));
            if next.is_some() {
                prepared.keep = Keep::Follow;
                prepared.chain.leaves_value = true;
                prepared.chain.follower = follower.as_ref().map(|follower| follower.number);
                prepared.is_tail = follower.is_none();
            }
            if !self.pack_one(prepared, sorted) {
                return;
            }
            let Some(follower) = follower else { return };
            prepared = follower;
        }
    }

    /// The task that comes behind another one in its chain, if it can be sent ahead.
    fn next_in_chain(&self, active: &ActiveRun, before: TaskId) -> Option<TaskId> {
        let run = &active.run;
        let plan = run.plan();
        if run.shortest_limit().is_some() || run.needs_care() {
            return None;
        }
        let [task] = *plan.dependents(before) else { return None };
        plan.func(task).as_any()?;
        if run.policy().placement == Placement::Auto {
            let fleet = self.crew.fleet()?;
            if !fleet.sends(&plan.key(task).prefix()) {
                return None;
            }
        }
        Some(task)
    }

    /// True if one more call can be under way behind those and `packed` ones that are about to be sent.
    fn has_room_behind(&self, active: &ActiveRun, packed: usize) -> bool {
        let window = Window::of(active.run.task_time());
        let station = self.station.borrow();
        !station.is_suspended() && station.moving() + packed + 1 < window.most.max(2)
    }

    /// A task that goes ahead, behind the call whose value it needs.
    fn behind(&self, active: &Arc<ActiveRun>, before: u64, task: TaskId) -> Option<Prepared> {
        let mut station = self.station.borrow_mut();
        let life = Arc::clone(&station.link.as_ref()?.life);
        // It stands for what the call before will have made; nobody else ever has it.
        let value = Stayed::value(&life, before, 0, None);
        value.downcast_ref::<Stayed>()?.is_spent();
        let number = station.number();
        drop(station);
        let plan = active.run.plan();
        let arguments = plan.arguments(task, |_, _| Input::Shared(&value)).ok()?;
        let arguments = arguments.into_iter().map(|mut input| input.take()).collect();
        Some(Prepared {
            active: Arc::clone(active),
            task,
            ticket: None,
            arguments,
            states: PreStates::new(),
            number,
            keep: self.keep(active, task),
            chain: InChain { after: Some(before), ..InChain::default() },
            is_tail: false,
        })
    }

    /// Packs one call; false if it is not sent.
    fn pack_one(&self, prepared: Prepared, sorted: &mut Sorted) -> bool {
        let active = Arc::clone(&prepared.active);
        let run = &active.run;
        let Some(function) = run.plan().func(prepared.task).as_any() else {
            sorted.here.push(prepared);
            return false;
        };
        let Some(fleet) = self.crew.fleet() else { return false };
        if !prepared.is_to_leave(fleet) {
            sorted.here.push(prepared);
            return false;
        }
        let program = Arc::clone(fleet.program());
        let last = prepared.input_that_goes();
        let Some((child, mut known)) = self.station.borrow_mut().lend_definitions(run.id()) else {
            sorted.here.push(prepared);
            return false;
        };
        let mut definitions = Vec::new();
        let (packed, payload, inputs, elsewhere) = {
            let key = run.plan().key(prepared.task);
            let (known, new) = (&mut known, &mut definitions);
            let segments = &mut sorted.segments;
            let mut packing = Packing::new(run.id(), key, child, last, known, new, segments);
            let packed = catch_unwind(AssertUnwindSafe(|| {
                program.pack(function, &prepared.arguments, &mut packing)
            }));
            let packed = packed.unwrap_or_else(|panic| {
                Err(PackError::Failed(contained_panic_message(panic).into()))
            });
            let payload = std::mem::take(&mut packing.payload);
            let inputs = std::mem::take(&mut packing.inputs);
            (
                packed.and_then(|()| packing.check(&*program, &payload)),
                payload,
                inputs,
                packing.elsewhere,
            )
        };
        self.station.borrow_mut().define(child, run.id(), known, definitions);
        sorted.child = Some(child);
        match packed {
            Ok(()) => {}
            Err(PackError::Here) => {
                sorted.here.push(prepared);
                return false;
            }
            Err(PackError::Failed(error)) if prepared.may_stay() => {
                let prefix = run.plan().key(prepared.task).prefix();
                fleet.refuses(&prefix, &error.to_string());
                sorted.here.push(prepared);
                return false;
            }
            Err(PackError::Failed(error)) => {
                sorted.failed.push((prepared, error));
                return false;
            }
        }
        if let Some(child) = elsewhere {
            sorted.elsewhere.push((prepared, child));
            return false;
        }
        sorted.calls.push(Call {
            number: prepared.number,
            run: run.id().0,
            after: prepared.chain.after,
            keep: prepared.keep,
            payload: payload.into(),
            inputs,
        });
        sorted.sent.push(prepared);
        true
    }

    /// Sends the packed calls.
    fn dispatch(&self, sorted: &mut Sorted) {
        if sorted.calls.is_empty() {
            return;
        }
        let Some(fleet) = self.crew.fleet() else { return };
        let mut station = self.station.borrow_mut();
        let station = &mut *station;
        // While those behind it were packed, a call may have ended, and its value gone to the parent.
        let first = sorted.sent.first().and_then(|prepared| prepared.chain.after);
        if first.is_some_and(|before| station.flight(before).is_none()) {
            return;
        }
        let Some(link) = station.link.as_mut().filter(|link| Some(link.number) == sorted.child)
        else {
            // It has died while calls were packed: they begin anew.
            for prepared in sorted.sent.drain(..) {
                if let Some(ticket) = prepared.ticket {
                    give_back(&prepared.active, ticket, self.id);
                }
            }
            return;
        };
        link.make_known(fleet, &mut sorted.segments);
        let mut batch: Option<(u64, Arc<ActiveRun>, Vec<TaskId>)> = None;
        for prepared in &sorted.sent {
            let next = |(first, active, tasks): &(u64, Arc<ActiveRun>, Vec<_>)| {
                Arc::ptr_eq(active, &prepared.active)
                    && first + tasks.len() as u64 == prepared.number
            };
            match &mut batch {
                Some(batch) if next(batch) => batch.2.push(prepared.task),
                _ => {
                    let new = (prepared.number, Arc::clone(&prepared.active), vec![prepared.task]);
                    if let Some((first, active, tasks)) = batch.replace(new) {
                        link.output.sends(first, &active, tasks);
                    }
                }
            }
        }
        if let Some((first, active, tasks)) = batch {
            link.output.sends(first, &active, tasks);
        }
        link.outlet.has_new_calls();
        link.outlet.say(&ToChild::Call(std::mem::take(&mut sorted.calls)), &[]);
        let since = self.now();
        for prepared in sorted.sent.drain(..) {
            let Prepared { active, task, ticket, arguments, states, number, chain, .. } = prepared;
            if prepared.is_tail {
                station.tail = Some(number);
            }
            fleet.is_busy_with(active.run.id(), 1);
            station.sent(
                number,
                Flight { active, task, ticket, arguments, states, since, lent: None, chain },
            );
        }
    }

    /// Calls a task in this thread.
    fn call_here(&self, prepared: Prepared) {
        let Prepared { active, ticket, arguments, states, .. } = prepared;
        drop(arguments);
        let Some(ticket) = ticket else { return };
        let room = ticket.room();
        self.room_here.update(|here| here + room);
        let mut task = Some((ticket, states));
        // If it waits, no other one of its run is begun in this thread meanwhile.
        let is_new = !self.is_inside(active.run.id());
        if is_new {
            self.inside.borrow_mut().push(Arc::clone(&active));
        }
        self.crew.surroundings().work(&mut || {
            let Some((ticket, states)) = task.take() else { return };
            let around = self.begin_notes(self.now());
            let step = self.call_and_post(&active, ticket, states);
            // First, so that whoever waits for the run finds it noted.
            self.end_notes(&active.run, around);
            match step {
                Step::Completed(completion) => self.completed(&active, completion),
                Step::Left | Step::Overdue => {}
            }
        });
        if is_new {
            self.inside.borrow_mut().pop();
        }
        self.room_here.update(|here| here - room);
    }
}

impl Prepared {
    /// True if its function is called in a process, as far as its run and what it needs say.
    fn is_to_leave(&self, fleet: &Fleet) -> bool {
        match self.active.run.policy().placement {
            Placement::Threads => false,
            Placement::Processes => true,
            Placement::Auto => {
                !self.may_stay() || fleet.sends(&self.active.run.plan().key(self.task).prefix())
            }
        }
    }

    /// True if its run leaves open where it is called, and nothing that it needs has stayed in a process.
    fn may_stay(&self) -> bool {
        self.active.run.policy().placement == Placement::Auto
            && !self.arguments.iter().any(Value::is::<Stayed>)
    }

    /// The call whose value goes with this one: nobody else needs it.
    fn input_that_goes(&self) -> Option<u64> {
        let plan = self.active.run.plan();
        let [only] = *plan.dependencies(self.task) else { return None };
        let stayed = self.arguments.iter().find_map(|value| value.downcast_ref::<Stayed>())?;
        (plan.is_chained(only) && !plan.is_wanted(only)).then(|| stayed.number())
    }
}
