//! The store: every value that outlives its task's slot, in memory or on disk.
//!
//! [`StoreActor`] decides what moves; it hears of large values, asks the policy which of them to move,
//! and keeps the list of objects. It never waits and touches no disk: that is the I/O threads' part.
//!
//! - `object`: handles that users hold, and the objects behind them.
//! - `buffer`: a large value and the states it goes through.
//! - `shelf`: what workers, I/O threads and the actor share.
//! - `io`: the I/O threads.

mod buffer;
mod io;
mod object;
mod order;
mod shelf;
mod trim;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use actix::{Actor, Addr, AsyncContext, Context, Handler, Message, MessageResult};

use super::events::Happening;
pub(crate) use buffer::Buffer;
use buffer::{Leave, Written};
use io::Urgency;
pub(crate) use object::{Maker, Object};
pub use object::{ObjectError, ObjectId, ObjectRef};
use order::Order;
pub(crate) use shelf::{Links, Recovering, Shelf, begins_at, sits_at};

use crate::engine::{Holdings, Kept, Run, RunId};
use crate::graph::Key;
use crate::spill::{DiskUsage, EvictionPolicy, SpillError};
use crate::value::Value;

/// Run numbers are given out for the whole process, so that a task of one cluster may wait for a run of
/// another one.
static NEXT_RUN: AtomicU64 = AtomicU64::new(1);

/// A number for a new run.
pub(crate) fn next_run() -> RunId {
    RunId(NEXT_RUN.fetch_add(1, Ordering::Relaxed))
}

/// Decides which values move to disk, and keeps the list of objects.
pub struct StoreActor {
    shelf: Arc<Shelf>,
    /// The objects that somebody holds, by number: their keys.
    objects: BTreeMap<ObjectId, Key>,
    /// The buffers that could leave, and which of them is to leave next.
    order: Order,
    /// All buffers, by number; some of them may have been released.
    known: BTreeMap<u64, Weak<Buffer>>,
    /// How many there may be in `known` before the released ones are taken out.
    look_at: usize,
    /// How many writes are under way.
    writing: usize,
    /// True once it was said that values cannot leave.
    has_warned: bool,
    /// True while nothing is written because the last write failed.
    suspended: bool,
    /// How long that lasts, or lasted; zero after a write that succeeded.
    patience: Duration,
    /// True while the store waits before it looks again whether values that were in use still are.
    looks_again: bool,
    /// How long that lasts, or lasted; zero after a write that succeeded.
    waited: Duration,
}

impl StoreActor {
    pub(crate) fn new(shelf: Arc<Shelf>, policy: Box<dyn EvictionPolicy>) -> Self {
        Self {
            shelf,
            objects: BTreeMap::new(),
            order: Order::new(policy),
            known: BTreeMap::new(),
            look_at: 1024,
            writing: 0,
            suspended: false,
            has_warned: false,
            patience: Duration::ZERO,
            looks_again: false,
            waited: Duration::ZERO,
        }
    }

    /// Looks at the buffers that came since the last time.
    fn take_in(&mut self) {
        let new = self.shelf.take_in();
        let mut new: Vec<Arc<Buffer>> = new.iter().filter_map(Weak::upgrade).collect();
        // They came in another order than they were used in since.
        new.sort_by_key(|buffer| buffer.used());
        for buffer in new {
            self.adopt(buffer);
        }
        self.forget_released();
    }

    fn adopt(&mut self, buffer: Arc<Buffer>) {
        let id = buffer.id();
        self.known.entry(id).or_insert_with(|| Arc::downgrade(&buffer));
        if !buffer.stays() {
            self.order.insert(&buffer);
        }
        self.let_go(buffer);
    }

    /// Drops a pointer to a buffer. The last one drops the value, and that is no work for this arbiter.
    fn let_go(&self, buffer: Arc<Buffer>) {
        if Arc::strong_count(&buffer) == 1 {
            self.shelf.io().submit(Urgency::Background, move || drop(buffer));
        }
    }

    /// Buffers are released without a word to the store, so now and then it looks who is left.
    fn forget_released(&mut self) {
        if self.known.len() < self.look_at {
            return;
        }
        self.known.retain(|_, buffer| buffer.strong_count() > 0);
        self.look_at = 2 * self.known.len() + 1024;
        self.order.forget_released();
    }

    /// Lets values leave until the store is back at its target, or nothing more can leave just now.
    fn make_room(&mut self, context: &mut Context<Self>) {
        let memory = Arc::clone(self.shelf.memory());
        memory.begins_deciding();
        memory.is_heard();
        self.take_in();
        // At the end nothing is written any more: trying again and again would keep this arbiter from it.
        if !self.suspended && !self.shelf.is_closed() {
            self.let_leave(context);
        }
        memory.has_decided();
    }

    fn let_leave(&mut self, context: &mut Context<Self>) {
        /// When so many values are in use, it is likely that the others are, too.
        const MOST_IN_USE: usize = 256;
        let memory = Arc::clone(self.shelf.memory());
        let mut in_use = Vec::new();
        let mut left = self.order.len();
        while memory.excess() > 0 && left > 0 && in_use.len() < MOST_IN_USE {
            let most = if memory.is_urgent() { 2 * self.shelf.io().threads() } else { 1 };
            if self.writing >= most {
                break;
            }
            left -= 1;
            let Some(buffer) = self.next_to_leave() else { break };
            match buffer.leave() {
                Leave::Left(value) => {
                    self.shelf.tell_spilled(&buffer);
                    self.shelf.drop_aside(value);
                    self.let_go(buffer);
                }
                Leave::Write => {
                    self.writing += 1;
                    self.shelf.write_out(buffer);
                }
                Leave::InUse => in_use.push(buffer),
                Leave::NotHere => self.let_go(buffer),
            }
        }
        if in_use.is_empty() && self.order.len() == 0 && self.writing == 0 {
            self.warn_of_what_stays(memory.excess());
        }
        if !in_use.is_empty() && self.writing == 0 && memory.excess() > 0 {
            self.look_again(context);
        }
        for buffer in in_use {
            self.adopt(buffer);
        }
    }

    /// Says once that the store is over its target and will stay there.
    fn warn_of_what_stays(&mut self, excess: u64) {
        if excess > 0 && !std::mem::replace(&mut self.has_warned, true) {
            log::warn!(
                "the store is {excess} bytes over its target and nothing can move to disk: values of less \
                 than 16 KiB never do, nor do those whose type has no codec; `stats()` tells which these are"
            );
        }
    }

    /// Nobody tells when a value is not used any more. As long as the store is over its target because
    /// of such values, it looks at them now and then.
    fn look_again(&mut self, context: &mut Context<Self>) {
        const WAIT: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(640));
        if std::mem::replace(&mut self.looks_again, true) {
            return;
        }
        self.waited = (self.waited * 2).clamp(WAIT.0, WAIT.1);
        context.run_later(self.waited, |actor, context| {
            actor.looks_again = false;
            actor.make_room(context);
        });
    }

    /// The next buffer by the policy. One that was used since the policy looked at it has its turn later.
    fn next_to_leave(&mut self) -> Option<Arc<Buffer>> {
        // Each is asked at most twice: the second time nobody has used it since.
        for _ in 0..=2 * self.order.len() {
            let (buffer, used) = self.order.pop()?;
            let Some(buffer) = buffer.upgrade() else { continue };
            if buffer.used() == used {
                return Some(buffer);
            }
            self.adopt(buffer);
        }
        None
    }
}

impl Actor for StoreActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(0); // Releases are never refused.
    }
}

impl std::fmt::Debug for StoreActor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreActor")
            .field("objects", &self.objects.len())
            .field("candidates", &self.order.len())
            .field("writing", &self.writing)
            .finish_non_exhaustive()
    }
}

/// Many large values are new.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct TakeIn;

impl Handler<TakeIn> for StoreActor {
    type Result = ();

    fn handle(&mut self, _: TakeIn, _: &mut Self::Context) {
        self.take_in();
    }
}

/// The store is over its target.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Pressed;

impl Handler<Pressed> for StoreActor {
    type Result = ();

    fn handle(&mut self, _: Pressed, context: &mut Self::Context) {
        self.make_room(context);
    }
}

/// A value was written, or could not be.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Wrote {
    pub(super) buffer: Weak<Buffer>,
    pub(super) written: Written,
}

impl Handler<Wrote> for StoreActor {
    type Result = ();

    fn handle(&mut self, Wrote { buffer, written }: Wrote, context: &mut Self::Context) {
        self.writing -= 1;
        match written {
            Written::Left | Written::Pinned => {
                self.patience = Duration::ZERO;
                self.waited = Duration::ZERO;
            }
            Written::Released => {}
            Written::Failed(error) => {
                if let Some(buffer) = buffer.upgrade() {
                    let reason = error.to_string();
                    self.shelf.note(&buffer, Happening::NotSpilled { reason });
                    self.let_go(buffer);
                }
                self.write_failed(&error, context);
            }
        }
        // One that has left is not a candidate again before it comes back.
        if let Some(buffer) = buffer.upgrade() {
            if buffer.is_here() { self.adopt(buffer) } else { self.let_go(buffer) }
        }
        self.make_room(context);
        self.shelf.memory().ends_move();
        // It may have waited for this decision.
        self.shelf.wake_waiting();
    }
}

impl StoreActor {
    /// The value stays where it is. If the disk is the reason, the others are left alone for a while.
    fn write_failed(&mut self, error: &SpillError, context: &mut Context<Self>) {
        const PATIENCE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
        self.shelf.counts().failed_writes.fetch_add(1, Ordering::Relaxed);
        if let SpillError::Unspillable { .. } = error {
            log::warn!("a value stays in memory: {error}");
            return;
        }
        if self.suspended {
            return;
        }
        self.suspended = true;
        self.patience = (self.patience * 2).clamp(PATIENCE.0, PATIENCE.1);
        log::warn!("values stay in memory for the next {:?}: {error}", self.patience);
        context.run_later(self.patience, |actor, context| {
            actor.suspended = false;
            actor.make_room(context);
        });
    }
}

/// A value has moved to disk. The store tells it to whoever calls the hooks.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Spilled {
    /// The run that made the value, if one did.
    pub(crate) run: Option<RunId>,
    pub(crate) key: Key,
    pub(crate) bytes: u64,
}

/// Make a value again: its file cannot be read. The store asks it of whoever schedules runs.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Recover {
    /// Makes the value, and wants nothing else.
    pub(crate) run: Arc<Run>,
    pub(crate) buffer: Recovering,
}

/// Puts an object on the list.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Adopt {
    id: ObjectId,
    key: Key,
}

impl Handler<Adopt> for StoreActor {
    type Result = ();

    fn handle(&mut self, Adopt { id, key }: Adopt, _: &mut Self::Context) {
        self.objects.insert(id, key);
    }
}

/// Takes an object off the list: its last handle was dropped.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Release {
    id: ObjectId,
}

impl Handler<Release> for StoreActor {
    type Result = ();

    fn handle(&mut self, Release { id }: Release, _: &mut Self::Context) {
        self.objects.remove(&id);
    }
}

/// Asks what the store holds.
#[derive(Debug, Message)]
#[rtype(result = "StoreStats")]
pub(crate) struct ReadStats;

/// Asks where the large values of a key are.
#[derive(Debug, Message)]
#[rtype(result = "Vec<StoredValue>")]
pub(crate) struct FindValues {
    pub(crate) key: Key,
}

/// A large value in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredValue {
    /// Its size in memory, in bytes.
    pub bytes: u64,
    /// Whether it is there, or on disk.
    pub in_memory: bool,
}

impl Handler<FindValues> for StoreActor {
    type Result = MessageResult<FindValues>;

    fn handle(&mut self, FindValues { key }: FindValues, _: &mut Self::Context) -> Self::Result {
        self.take_in();
        let mut found = Vec::new();
        for buffer in self.known.values().filter_map(Weak::upgrade) {
            if *buffer.key() == key {
                let (bytes, in_memory) = (buffer.bytes(), buffer.is_here());
                found.push(StoredValue { bytes, in_memory });
            }
            self.let_go(buffer);
        }
        MessageResult(found)
    }
}

/// What the store holds, and what it did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreStats {
    /// All values: of runs that go on, and objects.
    pub holdings: Holdings,
    /// The keys of the objects that somebody holds a handle to.
    pub objects: Vec<Key>,
    /// The memory limit in bytes, if there is one.
    pub memory_limit: Option<u64>,
    /// How many values are on disk and not in memory.
    pub spilled_values: u64,
    /// How many bytes these have in memory when they are there.
    pub spilled_bytes: u64,
    /// The files of the store, and all that was ever written and read.
    pub disk: DiskUsage,
    /// How many values could not be written to disk when they should.
    pub failed_writes: u64,
    /// How many values were made again because their file could not be read.
    pub recomputed: u64,
    /// How many values are lost: their file could not be read, and nobody could make them again.
    pub lost: u64,
    /// How many values are too small ever to leave memory: less than 16 KiB.
    pub small_values: u64,
    /// How many bytes these take.
    pub small_bytes: u64,
    /// The large values that can never leave memory, the greatest first.
    pub staying: Vec<Staying>,
}

/// A large value that cannot leave memory: its type does not say how to go to disk, or its codec refused
/// it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Staying {
    /// The value's key.
    pub key: Key,
    /// The Rust name of its type.
    pub type_name: &'static str,
    /// Its size in bytes.
    pub bytes: u64,
}

impl Handler<ReadStats> for StoreActor {
    type Result = MessageResult<ReadStats>;

    fn handle(&mut self, _: ReadStats, _: &mut Self::Context) -> Self::Result {
        self.take_in();
        let Large { values, bytes, staying } = self.large();
        let counts = self.shelf.counts();
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let memory = self.shelf.memory();
        let holdings = memory.ledger().holdings();
        MessageResult(StoreStats {
            holdings,
            objects: self.objects.values().cloned().collect(),
            memory_limit: memory.limits().map(|limits| limits.limit),
            spilled_values: read(&counts.away),
            spilled_bytes: read(&counts.away_bytes),
            disk: self.shelf.disk().usage(),
            failed_writes: read(&counts.failed_writes),
            recomputed: read(&counts.recomputed),
            lost: read(&counts.lost),
            small_values: holdings.values.saturating_sub(values),
            small_bytes: holdings.bytes.saturating_sub(bytes),
            staying,
        })
    }
}

/// What there is of large values.
struct Large {
    /// How many there are.
    values: u64,
    /// What those in memory take.
    bytes: u64,
    staying: Vec<Staying>,
}

impl StoreActor {
    fn large(&self) -> Large {
        let mut large = Large { values: 0, bytes: 0, staying: Vec::new() };
        for buffer in self.known.values().filter_map(Weak::upgrade) {
            large.values += 1;
            if let Some(type_name) = buffer.type_name() {
                let (key, bytes) = (buffer.key().clone(), buffer.bytes());
                large.bytes += bytes;
                if buffer.stays() {
                    large.staying.push(Staying { key, type_name, bytes });
                }
            }
            self.let_go(buffer);
        }
        large.staying.sort_by(|a, b| (b.bytes, &a.key).cmp(&(a.bytes, &b.key)));
        large
    }
}

/// Makes objects; what clients and the scheduler know of the store.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    addr: Addr<StoreActor>,
    shelf: Arc<Shelf>,
    next_id: Arc<AtomicU64>,
}

impl Store {
    pub(crate) fn new(addr: Addr<StoreActor>, shelf: Arc<Shelf>) -> Self {
        Self { addr, shelf, next_id: Arc::default() }
    }

    pub(crate) fn shelf(&self) -> &Arc<Shelf> {
        &self.shelf
    }

    /// A new object that has no value yet, with its first handle.
    pub(crate) fn pending(
        &self,
        key: Key,
        maker: Option<Arc<dyn Maker>>,
    ) -> (ObjectRef, Arc<Object>) {
        let id = ObjectId(self.next_id.fetch_add(1, Ordering::Relaxed));
        // If the store is gone, the object lives without being on a list.
        self.addr.do_send(Adopt { id, key: key.clone() });
        let store = self.addr.clone().recipient();
        let object = Object::new(id, key, Arc::clone(&self.shelf), store, maker);
        (object.handle(), object)
    }

    /// A new object with data of a user.
    pub(crate) fn put(&self, key: Key, value: Value) -> ObjectRef {
        let (object_ref, object) = self.pending(key, None);
        object.fill(value);
        object_ref
    }

    pub(crate) async fn find(&self, key: Key) -> Option<Vec<StoredValue>> {
        self.addr.send(FindValues { key }).await.ok()
    }

    pub(crate) async fn stats(&self) -> Option<StoreStats> {
        self.addr.send(ReadStats).await.ok()
    }
}
