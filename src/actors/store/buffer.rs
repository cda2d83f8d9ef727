//! [`Buffer`]: a large value in the store, in memory or on disk.
//!
//! A pin is a pointer to the value: as long as somebody but the buffer has one, the value stays where it
//! is. Nobody has to give a pin back, and no borrowed value is ever moved.
//!
//! # The states of a buffer
//!
//! ```text
//!                      written, and nobody pinned it meanwhile
//!          +--------------------------------------------------------+
//!          |                                                        v
//!        here  <--- read, or made again ---  coming  <--- pinned  away
//!                                               |
//!                                               +--- cannot be read, nor made again --->  lost
//! ```
//!
//! A value that came back keeps its file, so that it leaves for nothing the next time. A write that is
//! overtaken by a pin ends as a value that is here and has a file; one that is overtaken by the release
//! of the value is broken off. Which buffers leave is not decided here.
//!
//! A value may have stayed in a worker process ([`Stayed`]). When that has ended, the value is gone although
//! its buffer is *here*: whoever asks for it has it made again, as if its file were lost.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::io::Urgency;
use super::shelf::Shelf;
use crate::engine::{Cause, Failure, Kept, Placement, RunId, TaskId};
use crate::graph::{Key, Plan, TaskOptions};
use crate::process::Stayed;
use crate::spill::{SpillError, SpillFile};
use crate::value::Value;

/// A large value, wherever it is.
pub(crate) struct Buffer {
    /// Its number in the store.
    id: u64,
    key: Key,
    /// The value's size in memory; it changes if the value is made again and came out different.
    bytes: AtomicU64,
    /// What it took to make the value.
    cost: Duration,
    /// How to make the value again, if a task made it.
    lineage: Mutex<Option<Lineage>>,
    /// The run that made the value.
    run: Option<RunId>,
    state: Mutex<State>,
    /// When the value was used last, by the store's count of uses.
    used: AtomicU64,
    /// True if it turned out that the value cannot be written.
    stays: AtomicBool,
    /// True from the moment at which the value came back for somebody until that one has it, or it was
    /// asked to leave for the first time: else it could leave again before it was of any use.
    is_awaited: AtomicBool,
    shelf: Arc<Shelf>,
    this: Weak<Buffer>,
}

/// How to make a value again.
#[derive(Clone)]
pub(super) struct Lineage {
    pub(super) run: RunId,
    pub(super) plan: Arc<Plan>,
    pub(super) task: TaskId,
    /// What its run said of tasks that say nothing themselves, if it said anything.
    pub(super) options: Option<Box<TaskOptions>>,
    /// Where its run called functions.
    pub(super) placement: Placement,
    /// False if something else than tasks had a part in the value: then it is not made again, because
    /// it could come out different.
    pub(super) by_tasks_alone: bool,
}

enum State {
    Here {
        value: Value,
        /// What was written when the value left before.
        file: Option<SpillFile>,
        /// True while the value is being written.
        leaving: bool,
    },
    Away(SpillFile),
    /// The file is with whoever reads it.
    Coming(Vec<Waker>),
    Lost(Failure),
}

/// Where a value is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In memory.
    Here,
    /// On disk, or on its way back.
    Away,
    /// It is lost.
    Nowhere,
}

/// What came of asking a buffer to leave.
pub(super) enum Leave {
    /// It has left: its value was on disk already, and this is the last pointer to it.
    Left(Value),
    /// It is to be written now, by `write_out`.
    Write,
    /// Somebody uses it.
    InUse,
    /// It is not in memory.
    NotHere,
}

/// What came of writing a buffer out.
#[derive(Debug)]
pub(crate) enum Written {
    Left,
    /// Somebody pinned it meanwhile; the file is kept.
    Pinned,
    /// Nobody needs it any more.
    Released,
    Failed(SpillError),
}

impl Buffer {
    pub(super) fn new(
        id: u64,
        key: Key,
        value: Value,
        cost: Duration,
        lineage: Option<Lineage>,
        shelf: &Arc<Shelf>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            id,
            key,
            bytes: AtomicU64::new(value.bytes() as u64),
            cost,
            run: lineage.as_ref().map(|lineage| lineage.run),
            lineage: Mutex::new(lineage),
            stays: AtomicBool::new(!value.can_spill()),
            is_awaited: AtomicBool::new(false),
            state: Mutex::new(State::Here { value, file: None, leaving: false }),
            used: AtomicU64::new(id),
            shelf: Arc::clone(shelf),
            this: Weak::clone(this),
        })
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    pub(super) fn cost(&self) -> Duration {
        self.cost
    }

    pub(super) fn run(&self) -> Option<RunId> {
        self.run
    }

    /// When the value was used last, by the store's count of uses.
    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// True if the value cannot go to disk.
    pub(super) fn stays(&self) -> bool {
        self.stays.load(Ordering::Relaxed)
    }

    /// The Rust name of the value's type, while it is in memory.
    pub(super) fn type_name(&self) -> Option<&'static str> {
        match &*self.lock() {
            State::Here { value, .. } => Some(value.type_name()),
            State::Away(_) | State::Coming(_) | State::Lost(_) => None,
        }
    }

    pub(super) fn weak(&self) -> Weak<Self> {
        Weak::clone(&self.this)
    }

    /// True if this is the buffer's own value.
    pub(super) fn holds(&self, other: &Value) -> bool {
        matches!(&*self.lock(), State::Here { value, .. } if value.same_data(other))
    }

    /// True if the value is in memory.
    pub(crate) fn is_here(&self) -> bool {
        matches!(&*self.lock(), State::Here { .. })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code of a user runs under the lock, and each state is whole at any time.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the value leave, if nobody uses it.
    pub(super) fn leave(&self) -> Leave {
        let mut state = self.lock();
        let State::Here { value, file, leaving } = &mut *state else { return Leave::NotHere };
        if *leaving || value.pointers() > 1 || self.is_awaited.swap(false, Ordering::Relaxed) {
            return Leave::InUse;
        }
        let Some(file) = file.take() else {
            *leaving = true;
            return Leave::Write;
        };
        let old = std::mem::replace(&mut *state, State::Away(file));
        // Under the lock, so that whoever sees that it is away also sees it counted so.
        self.shelf.left(self.bytes());
        drop(state);
        match old {
            State::Here { value, .. } => Leave::Left(value),
            State::Away(_) | State::Coming(_) | State::Lost(_) => unreachable!("it was here"),
        }
    }

    /// Writes the value out, on an I/O thread, after `leave` said so.
    pub(super) fn write_out(self: &Arc<Self>) -> Written {
        let value = match &*self.lock() {
            State::Here { value, .. } => value.clone(),
            State::Away(_) | State::Coming(_) | State::Lost(_) => {
                unreachable!("a value that is being written is in memory")
            }
        };
        // The writer's own pointer is the last one once nobody needs the value any more.
        let is_released = || Arc::strong_count(self) == 1 || self.shelf.is_closed();
        let written = self.shelf.disk().write(&value, &is_released);
        let mut state = self.lock();
        let State::Here { value: own, file, leaving } = &mut *state else {
            unreachable!("only the writer takes a value away that is being written")
        };
        *leaving = false;
        let written = match written {
            Ok(written) => written,
            Err(SpillError::Cancelled) => return Written::Released,
            Err(error) => {
                if let SpillError::Unspillable { .. } = &error {
                    self.stays.store(true, Ordering::Relaxed);
                }
                return Written::Failed(error);
            }
        };
        if own.pointers() > 2 {
            *file = Some(written);
            return Written::Pinned;
        }
        let old = std::mem::replace(&mut *state, State::Away(written));
        self.shelf.left(self.bytes());
        drop(state);
        drop((old, value));
        self.shelf.freed(self.bytes());
        Written::Left
    }

    /// Reads the value back, on an I/O thread.
    fn read_back(self: &Arc<Self>, file: SpillFile) {
        if self.shelf.is_closed() {
            self.shelf.disk().remove(file);
            return self.is_lost(self.closed());
        }
        self.shelf.let_decide(self.bytes());
        match self.shelf.disk().read(&file) {
            Ok(value) => {
                self.is_back(value, Some(file));
            }
            Err(error) => {
                log::warn!("the value of {:?} cannot be read back: {error}", self.key);
                self.shelf.disk().remove(file);
                self.shelf.make_again(self, &error.to_string());
            }
        }
    }

    /// The value was made again, or cannot be had any more.
    pub(crate) fn made_again(self: &Arc<Self>, value: Result<Value, Failure>) {
        match value {
            Ok(value) => {
                self.is_back(value, None);
            }
            Err(failure) => self.is_lost(failure),
        }
    }

    fn is_back(self: &Arc<Self>, value: Value, file: Option<SpillFile>) {
        let bytes = value.bytes() as u64;
        let bytes_away = self.bytes.swap(bytes, Ordering::Relaxed);
        self.shelf.came_back(self, bytes_away, bytes);
        self.is_awaited.store(true, Ordering::Relaxed);
        self.settle(State::Here { value, file, leaving: false });
        // Only now: of a value that is still on its way the actor would think that it cannot leave.
        self.shelf.can_leave(self);
    }

    fn is_lost(&self, failure: Failure) {
        self.shelf.is_lost(self, &failure);
        self.settle(State::Lost(failure));
    }

    pub(super) fn lineage(&self) -> Option<Lineage> {
        self.lineage.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is told of a value that is lost for this reason.
    pub(super) fn lost(&self, reason: &str) -> Failure {
        Failure::new(self.key.clone(), Cause::Lost(reason.into()))
    }

    /// What is told of a value that was away when the cluster ended.
    pub(super) fn closed(&self) -> Failure {
        let reason = "it was on disk, and the cluster has ended";
        Failure::new(self.key.clone(), Cause::Lost(reason.into()))
    }

    /// Ends `Coming` and wakes who waits.
    fn settle(&self, new: State) {
        let mut state = self.lock();
        let old = std::mem::replace(&mut *state, new);
        drop(state);
        if let State::Coming(wakers) = old {
            wakers.into_iter().for_each(Waker::wake);
        }
    }
}

impl Kept for Buffer {
    fn is_fetched(&self, value: &Value) {
        self.shelf.is_fetched(self, value);
    }

    fn forget_maker(&self) {
        let maker = self.lineage.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(maker);
    }

    fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    fn is_away(&self) -> bool {
        match &*self.lock() {
            State::Here { value, .. } => Stayed::is_gone(value),
            State::Away(_) | State::Coming(_) => true,
            State::Lost(_) => false,
        }
    }

    fn pin(&self) -> Option<Value> {
        match &*self.lock() {
            State::Here { value, .. } if !Stayed::is_gone(value) => {
                self.used.store(self.shelf.now(), Ordering::Relaxed);
                Some(value.clone())
            }
            State::Here { .. } | State::Away(_) | State::Coming(_) | State::Lost(_) => None,
        }
    }

    fn poll_pin(&self, context: &mut Context<'_>) -> Poll<Result<Value, Failure>> {
        let mut state = self.lock();
        match &mut *state {
            State::Here { value, .. } if Stayed::is_gone(value) => {}
            State::Here { value, .. } => {
                self.used.store(self.shelf.now(), Ordering::Relaxed);
                self.is_awaited.store(false, Ordering::Relaxed);
                return Poll::Ready(Ok(value.clone()));
            }
            State::Lost(failure) => return Poll::Ready(Err(failure.clone())),
            State::Coming(wakers) => {
                if !wakers.iter().any(|waker| waker.will_wake(context.waker())) {
                    wakers.push(context.waker().clone());
                }
                return Poll::Pending;
            }
            State::Away(_) => {}
        }
        let coming = State::Coming(vec![context.waker().clone()]);
        let old = std::mem::replace(&mut *state, coming);
        let this = self.this.upgrade().expect("somebody holds it who asks for it");
        match old {
            State::Away(file) => {
                drop(state);
                self.shelf.io().submit(Urgency::Awaited, move || this.read_back(file));
            }
            State::Here { value, .. } => {
                self.shelf.left(self.bytes());
                drop(state);
                // Dropping the value, and planning what makes it again, is nothing for who asks.
                self.shelf.io().submit(Urgency::Awaited, move || {
                    drop(value);
                    this.shelf.make_again(&this, "its worker process has ended");
                });
            }
            State::Coming(_) | State::Lost(_) => unreachable!("those were answered"),
        }
        Poll::Pending
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        // What takes its place is never seen.
        let mut state = std::mem::replace(state, State::Coming(Vec::new()));
        let (place, file) = match &mut state {
            State::Here { file, .. } => (Place::Here, file.take()),
            State::Away(_) | State::Coming(_) => (Place::Away, None),
            State::Lost(_) => (Place::Nowhere, None),
        };
        let file = if let State::Away(file) = state { Some(file) } else { file };
        let bytes = *self.bytes.get_mut();
        self.shelf.released(bytes, place, file);
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({:?}, {} bytes)", self.key, self.bytes())
    }
}
