//! [`Mailroom`]: the way to an actor. It keeps the calls of each caller in their order, though some of them
//! have to wait for their arguments.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix::Addr;

use crate::actor::{CallMethod, Construct, End, PythonActor, died_of};
use crate::actor_state::ActorState;
use crate::arguments::Arguments;
use crate::caller::Caller;
use crate::errors::TaskError;
use crate::fork::Process;
use crate::object::Object;
use crate::promise::{Broken, Given};

/// Held by all who may still call an actor; the actor ends with the last one of them, after their calls.
pub(crate) struct Mailroom {
    state: Arc<ActorState>,
    /// There until this is dropped.
    addr: Option<Addr<PythonActor>>,
    /// The process in which the actor lives.
    process: Process,
    desk: Mutex<Desk>,
}

struct Desk {
    /// False until the constructor was called: before that, nobody's calls go out.
    is_open: bool,
    /// The calls of those callers who have one that cannot go out yet.
    lanes: BTreeMap<Caller, VecDeque<Letter>>,
}

/// A call that has not gone out.
struct Letter {
    call: CallMethod,
    /// True if it has its arguments.
    is_ready: bool,
}

impl Mailroom {
    pub(crate) fn new(state: Arc<ActorState>, addr: Addr<PythonActor>) -> Self {
        let desk = Mutex::new(Desk { is_open: false, lanes: BTreeMap::new() });
        Self { state, addr: Some(addr), process: Process::current(), desk }
    }

    pub(crate) fn state(&self) -> &Arc<ActorState> {
        &self.state
    }

    /// False in the child of a fork: the actor lives in the parent.
    pub(crate) fn is_in_reach(&self) -> bool {
        self.process.is_current()
    }

    fn lock(&self) -> MutexGuard<'_, Desk> {
        // No code of a user runs under this lock, and nothing is dropped under it.
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn addr(&self) -> &Addr<PythonActor> {
        self.addr.as_ref().expect("only `drop` takes it")
    }

    /// Has the object made as soon as the arguments are there.
    pub(crate) fn construct(self: &Arc<Self>, class: Object, arguments: Arguments) {
        let this = Arc::clone(self);
        let refs = Arc::clone(arguments.refs());
        Arguments::made(&refs, move |given| {
            let given = match given {
                Ok(given) => given,
                Err(broken) => {
                    crate::aside::ACTORS.put(move |py| {
                        let cause: Arc<TaskError> = broken.into_task_error(py).into();
                        this.state.die_of(died_of(&this.state, cause));
                    });
                    return;
                }
            };
            // If the actor has ended, its state says so to those who call it.
            let mut desk = this.lock();
            this.addr().do_send(Construct { class, arguments, given });
            desk.is_open = true;
            let callers: Vec<Caller> = desk.lanes.keys().copied().collect();
            for caller in callers {
                this.send_out(&mut desk, caller);
            }
        });
    }

    /// Sends a call on its way, behind the caller's earlier ones.
    pub(crate) fn post(self: &Arc<Self>, call: CallMethod) {
        let caller = Caller::current();
        let refs = Arc::clone(call.arguments.refs());
        let number = call.number;
        let mut desk = self.lock();
        if refs.is_empty() && desk.is_open && !desk.lanes.contains_key(&caller) {
            // Under the lock, so that it comes behind what was sent out just before. If the actor has
            // ended, the promise was broken.
            return self.addr().do_send(call);
        }
        let letter = Letter { call, is_ready: refs.is_empty() };
        desk.lanes.entry(caller).or_default().push_back(letter);
        drop(desk);
        if !refs.is_empty() {
            let this = Arc::clone(self);
            Arguments::made(&refs, move |given| this.has_arguments(caller, number, given));
        }
    }

    /// A call has its arguments, or will never have them.
    fn has_arguments(&self, caller: Caller, number: u64, given: Result<Vec<Given>, Broken>) {
        let mut returned = None;
        let mut desk = self.lock();
        if let Some(lane) = desk.lanes.get_mut(&caller)
            && let Some(at) = lane.iter().position(|letter| letter.call.number == number)
        {
            match given {
                Ok(given) => {
                    lane[at].call.given = given;
                    lane[at].is_ready = true;
                }
                Err(broken) => returned = lane.remove(at).map(|letter| (letter, broken)),
            }
        }
        self.send_out(&mut desk, caller);
        drop(desk);
        if let Some((letter, broken)) = returned {
            self.state.settle(letter.call.number, Err(broken));
        }
    }

    /// Sends out what can go of a caller's calls.
    fn send_out(&self, desk: &mut Desk, caller: Caller) {
        if !desk.is_open {
            return;
        }
        let Some(lane) = desk.lanes.get_mut(&caller) else { return };
        while lane.front().is_some_and(|letter| letter.is_ready) {
            let Some(letter) = lane.pop_front() else { break };
            // As in `post`.
            self.addr().do_send(letter.call);
        }
        if lane.is_empty() {
            desk.lanes.remove(&caller);
        }
    }

    /// Ends the actor now: what it was asked for and has not done is not done, except for the call that it
    /// is in.
    pub(crate) fn kill(&self, why: &str) {
        self.state.die(why);
        let lanes = std::mem::take(&mut self.lock().lanes);
        drop(lanes);
        if self.is_in_reach() {
            // If it has ended already, so much the better.
            self.addr().do_send(End);
        }
    }
}

impl Drop for Mailroom {
    fn drop(&mut self) {
        let Some(addr) = self.addr.take() else { return };
        if !self.process.is_current() {
            return std::mem::forget(addr);
        }
        // If it has ended already, so much the better.
        addr.do_send(End);
    }
}
