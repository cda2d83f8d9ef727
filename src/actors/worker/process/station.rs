//! [`Station`]: what a worker's thread knows of its child, and of the calls that are under way.
//!
//! A call is *under way* from its sending to its report. Most have a ticket; one that was sent ahead behind
//! the call whose value it needs has none until that one has completed. A call that asks something and waits
//! is *suspended*: the child makes others meanwhile.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::super::super::callbacks::PreStates;
use super::super::active::ActiveRun;
use super::fleet::Fleet;
use super::link::Link;
use crate::engine::{Memory, RunId, TaskId, Ticket, WorkerId};
use crate::process::wire::{Definition, Done, End, ToChild};
use crate::value::Value;

/// So often a child may end before it has made a call.
pub(super) const FAILED_STARTS: u32 = 3;

/// A worker's child, and the calls that it was sent.
pub(in super::super) struct Station {
    pub(super) fleet: Option<Arc<Fleet>>,
    /// The child, while there is one.
    pub(super) link: Option<Link>,
    /// The number of the next call.
    next: u64,
    /// The calls under way, by number.
    flights: BTreeMap<u64, Flight>,
    /// By task: the calls that were sent ahead and have no ticket yet.
    ahead: HashMap<(RunId, TaskId), u64>,
    /// Calls that came to their end before their ticket was there.
    early: HashMap<(RunId, TaskId), (Flight, Done)>,
    /// The calls that wait for answers, innermost last.
    suspended: Vec<u64>,
    /// The last call of a chain of which more can be sent ahead.
    pub(super) tail: Option<u64>,
    /// Tasks that are to be sent next.
    ready: VecDeque<(Arc<ActiveRun>, Ticket)>,
    /// The runs that the child was told to break off, with when this was said.
    cancelled: HashMap<RunId, Duration>,
    /// How many children have ended one after the other without having made a call.
    pub(super) failed_starts: u32,
    /// True after calls were called back by somebody idle, until others have ended.
    pub(super) holds_back: bool,
    /// When somebody looked last how much memory the child uses.
    pub(super) looked: Duration,
}

/// A call under way.
pub(super) struct Flight {
    pub(super) active: Arc<ActiveRun>,
    pub(super) task: TaskId,
    pub(super) ticket: Option<Ticket>,
    /// What the call was given: it must be there until the call has ended.
    pub(super) arguments: Vec<Value>,
    pub(super) states: PreStates,
    /// When it was sent.
    pub(super) since: Duration,
    /// What it has lent, since it first waited for an answer.
    pub(super) lent: Option<Lent>,
    /// How it hangs together with other calls of its chain.
    pub(super) chain: InChain,
}

/// How a call hangs together with the one before it and the one behind it in a chain that was sent ahead.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct InChain {
    /// Its value stays in the child for the call behind it, even if it is small.
    pub(super) leaves_value: bool,
    /// The call behind it.
    pub(super) follower: Option<u64>,
    /// The call before it.
    pub(super) after: Option<u64>,
    /// The value of the call before it went to the parent, and is in the child beside that until this call has
    /// ended well.
    pub(super) finds_copy: bool,
}

/// The room in memory of a call that waits: it adds nothing meanwhile, and what it waits for must find room.
pub(super) struct Lent {
    memory: Arc<Memory>,
    room: u64,
}

impl Lent {
    fn new(memory: &Arc<Memory>, room: u64) -> Self {
        memory.lend(room);
        Self { memory: Arc::clone(memory), room }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.memory.take_back(self.room);
    }
}

impl Station {
    pub(in super::super) fn new(fleet: Option<Arc<Fleet>>) -> Self {
        Self {
            fleet,
            link: None,
            next: 0,
            flights: BTreeMap::new(),
            ahead: HashMap::new(),
            early: HashMap::new(),
            suspended: Vec::new(),
            tail: None,
            ready: VecDeque::new(),
            cancelled: HashMap::new(),
            failed_starts: 0,
            holds_back: false,
            looked: Duration::ZERO,
        }
    }

    /// The task that the child is in, if it is in one of a run that goes on.
    pub(super) fn current_task(&self) -> Option<(RunId, TaskId)> {
        self.task_of(self.link.as_ref()?.current_call()?)
    }

    /// The task of a call under way, of a run that goes on.
    pub(super) fn task_of(&self, call: u64) -> Option<(RunId, TaskId)> {
        let flight = self.flights.get(&call).filter(|flight| flight.active.run.is_running())?;
        Some((flight.active.run.id(), flight.task))
    }

    /// The number of the child, while there is one.
    pub(super) fn child(&self) -> Option<u32> {
        self.link.as_ref().map(|link| link.number)
    }

    /// How many calls are under way that the child can go on with.
    pub(super) fn moving(&self) -> usize {
        self.flights.len() - if self.is_suspended() { self.suspended.len() } else { 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.flights.is_empty() && self.ready.is_empty()
    }

    /// True if the child can go on with one of the calls that were sent behind that one.
    pub(super) fn moves_after(&self, last: u64) -> bool {
        let waits = |call: &u64| self.is_suspended() && self.suspended.contains(call);
        self.flights.range(last + 1..).any(|(call, _)| !waits(call))
    }

    /// True while the child waits for an answer: it makes calls of other runs meanwhile.
    pub(super) fn is_suspended(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.outlet.has_questions())
    }

    /// How many calls wait for answers inside each other.
    pub(super) fn depth(&self) -> usize {
        self.suspended.len()
    }

    /// True if a call of the run waits for an answer: another one of it would have to end first.
    pub(super) fn is_inside(&self, run: RunId) -> bool {
        let of_run = |call: &u64| self.flights.get(call).map(|flight| flight.active.run.id());
        self.suspended.iter().any(|call| of_run(call) == Some(run))
    }

    /// What the child knows of a run, while a call of it is packed: that may run code of a user, which may
    /// end up at this station. With the number of the child.
    pub(super) fn lend_definitions(&mut self, run: RunId) -> Option<(u32, HashSet<u32>)> {
        let link = self.link.as_mut()?;
        Some((link.number, link.definitions.remove(&run).unwrap_or_default()))
    }

    /// Takes that back, and makes what is new known to the child, if it is still the same.
    pub(super) fn define(
        &mut self,
        child: u32,
        run: RunId,
        known: HashSet<u32>,
        new: Vec<Definition>,
    ) {
        let Some(link) = self.link.as_mut().filter(|link| link.number == child) else { return };
        link.definitions.entry(run).or_default().extend(known);
        if !new.is_empty() {
            link.outlet.say(&ToChild::Define { run: run.0, definitions: new }, &[]);
        }
    }

    /// The child can make calls from now on: what it was sent before has not begun.
    pub(super) fn is_ready(&mut self, now: Duration) {
        self.failed_starts = 0;
        if let Some(link) = &mut self.link {
            link.is_ready = true;
            link.look_at_memory();
        }
        self.flights.values_mut().for_each(|flight| flight.since = now);
    }

    /// True if the last child has died, and another one may do better.
    pub(super) fn lacks_child(&self) -> bool {
        self.link.is_none() && (1..FAILED_STARTS).contains(&self.failed_starts)
    }

    /// A number for a call.
    pub(super) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// The number of the last call.
    pub(super) fn last_number(&self) -> u64 {
        self.next
    }

    /// The call of this number, if it is under way.
    pub(super) fn flight(&self, number: u64) -> Option<&Flight> {
        self.flights.get(&number)
    }

    /// Another call is sent behind the last one of a chain.
    pub(super) fn follows(&mut self, before: u64, follower: u64) {
        if let Some(flight) = self.flights.get_mut(&before) {
            flight.chain.follower = Some(follower);
        }
    }

    /// A call was sent.
    pub(super) fn sent(&mut self, number: u64, flight: Flight) {
        if flight.ticket.is_none() {
            self.ahead.insert((flight.active.run.id(), flight.task), number);
        }
        self.flights.insert(number, flight);
        self.note_calls();
    }

    fn note_calls(&self) {
        if let Some(link) = &self.link {
            link.outlet.has_calls(self.flights.len());
        }
    }

    /// A call is not under way any more. `end` is what it came to; none if it was given back.
    pub(super) fn take(&mut self, number: u64, end: Option<&End>) -> Option<Flight> {
        let flight = self.flights.remove(&number)?;
        self.see_to_copies(number, flight.chain, end);
        if flight.ticket.is_none() {
            self.ahead.remove(&(flight.active.run.id(), flight.task));
        }
        self.suspended.retain(|call| *call != number);
        self.note_calls();
        Some(flight)
    }

    /// Has the child let go of copies that nobody there needs any more: that of this call's value, if no call
    /// behind it is under way, and that of the value before it, if this call has not ended well.
    fn see_to_copies(&mut self, number: u64, chain: InChain, end: Option<&End>) {
        let ended_well = matches!(end, Some(End::Value { .. } | End::Stayed { .. }));
        if chain.leaves_value && matches!(end, Some(End::Value { .. })) {
            match chain.follower.and_then(|follower| self.flights.get_mut(&follower)) {
                Some(follower) => follower.chain.finds_copy = true,
                None => self.release(number),
            }
        }
        if !ended_well && let Some(before) = chain.after {
            if let Some(before) = self.flights.get_mut(&before) {
                before.chain.follower = None;
            } else if chain.finds_copy {
                self.release(before);
            }
        }
    }

    /// Has the child let go of a value that stayed there.
    pub(super) fn release(&self, value: u64) {
        if let Some(link) = &self.link {
            link.outlet.say(&ToChild::Release { values: vec![value] }, &[]);
        }
    }

    /// The call is suspended.
    pub(super) fn suspend(&mut self, number: u64) {
        if self.suspended.contains(&number) {
            return;
        }
        self.suspended.push(number);
        if let Some(flight) = self.flights.get_mut(&number)
            && let Some(ticket) = &flight.ticket
        {
            flight.lent = Some(Lent::new(flight.active.run.memory(), ticket.room()));
        }
    }

    /// The calls that the child may be in: the suspended ones.
    pub(super) fn suspended(&self) -> Vec<u64> {
        self.suspended.clone()
    }

    /// Gives the ticket to the call of its task that was sent ahead. If that has ended by now, answers how;
    /// if there is no such call, answers the ticket.
    pub(super) fn match_ticket(&mut self, run: RunId, ticket: Ticket) -> Matched {
        let place = (run, ticket.task());
        if let Some(number) = self.ahead.remove(&place)
            && let Some(flight) = self.flights.get_mut(&number)
        {
            flight.ticket = Some(ticket);
            return Matched::UnderWay;
        }
        match self.early.remove(&place) {
            Some((flight, done)) => {
                Matched::Ended(Box::new((Flight { ticket: Some(ticket), ..flight }, done)))
            }
            None => Matched::Not(ticket),
        }
    }

    /// A call without a ticket came to its end.
    pub(super) fn ended_early(&mut self, flight: Flight, done: Done) {
        self.early.insert((flight.active.run.id(), flight.task), (flight, done));
    }

    /// Forgets what came early for runs that are over.
    pub(super) fn forget_early(&mut self) -> Vec<Done> {
        let early = std::mem::take(&mut self.early);
        let (left, over): (HashMap<_, _>, HashMap<_, _>) =
            early.into_iter().partition(|(_, (flight, _))| flight.active.run.is_running());
        self.early = left;
        over.into_values().map(|(_, done)| done).collect()
    }

    /// What stayed in a child that has ended is no end of a call any more.
    pub(super) fn forget_all_early(&mut self) -> Vec<Flight> {
        std::mem::take(&mut self.early).into_values().map(|(flight, _)| flight).collect()
    }

    pub(super) fn push_ready(&mut self, active: &Arc<ActiveRun>, ticket: Ticket) {
        self.ready.push_back((Arc::clone(active), ticket));
    }

    pub(super) fn pop_ready(&mut self) -> Option<(Arc<ActiveRun>, Ticket)> {
        self.ready.pop_front()
    }

    /// All calls under way, oldest first, taken out.
    pub(super) fn take_all(&mut self) -> Vec<(u64, Flight)> {
        self.ahead.clear();
        self.suspended.clear();
        self.cancelled.clear();
        std::mem::take(&mut self.flights).into_iter().collect()
    }

    /// The run of a call that is over, and of which the child was not told.
    pub(super) fn run_to_cancel(&mut self, now: Duration) -> Option<RunId> {
        let over = self.flights.values().map(|flight| &flight.active.run);
        let run = over
            .filter(|run| !run.is_running())
            .map(|run| run.id())
            .find(|run| !self.cancelled.contains_key(run))?;
        self.cancelled.insert(run, now);
        Some(run)
    }

    /// Runs that were broken off and of which a call is still under way, with when that was said.
    pub(super) fn cancelled(&mut self) -> impl Iterator<Item = (RunId, Duration)> {
        let flights = &self.flights;
        self.cancelled
            .retain(|run, _| flights.values().any(|flight| flight.active.run.id() == *run));
        self.cancelled.iter().map(|(run, since)| (*run, *since))
    }

    /// The call that is over its time limit, with the limit. While the child starts, none is.
    pub(super) fn overdue(&self, now: Duration) -> Option<(u64, Duration)> {
        if !self.link.as_ref().is_some_and(|link| link.is_ready) {
            return None;
        }
        self.flights.iter().find_map(|(number, flight)| {
            let limit = flight.active.run.time_limit(flight.task)?;
            (now.saturating_sub(flight.since) >= limit).then_some((*number, limit))
        })
    }

    /// When the next call will be over its time limit.
    pub(super) fn next_limit(&self) -> Option<Duration> {
        let limits = self
            .flights
            .values()
            .filter_map(|flight| Some(flight.since + flight.active.run.time_limit(flight.task)?));
        limits.min()
    }
}

/// What a ticket was given to.
pub(super) enum Matched {
    /// A call under way.
    UnderWay,
    /// A call that has come to its end.
    Ended(Box<(Flight, Done)>),
    /// Nothing.
    Not(Ticket),
}

/// Its thread ends, maybe with a panic: what was under way is somebody else's, and the child ends.
impl Drop for Station {
    fn drop(&mut self) {
        let worker = self.fleet.as_ref().zip(self.child());
        let worker = worker.and_then(|(fleet, child)| fleet.worker_of(child));
        for (_, flight) in self.take_all() {
            if let (Some(ticket), Some(worker)) = (flight.ticket, worker) {
                give_back(&flight.active, ticket, worker);
            }
        }
        for (active, ticket) in std::mem::take(&mut self.ready) {
            if let Some(worker) = worker {
                give_back(&active, ticket, worker);
            }
        }
        if let (Some(link), Some(fleet)) = (self.link.take(), &self.fleet) {
            link.outlet.say(&ToChild::Stop, &[]);
            let end = link.end(fleet, None);
            log::debug!("a worker process has ended: {end}");
        }
    }
}

/// Puts a task back that was not begun, if its run goes on.
pub(super) fn give_back(active: &ActiveRun, mut ticket: Ticket, worker: WorkerId) {
    if active.run.is_running() {
        active.run.put_back(worker, ticket);
    } else {
        active.run.give_room_back(&mut ticket);
    }
}
