//! [`StoreActor`]: who holds which values outside of their runs; and [`ObjectRef`], a counted handle.
//!
//! Within a run, values lie in the run's slots and move as pointers, counted by the engine's ledger.
//! What outlives its run (results that were persisted, data that a user put) becomes an object here.
//! The actor keeps the list of objects and answers what is held; it never waits and touches no disk.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

use actix::{Actor, Addr, Context, Handler, Message, Recipient};

use crate::engine::{Failure, Holdings, Ledger, Run, RunId, TaskId};
use crate::graph::Key;
use crate::value::Value;

/// A counted handle to a value in the store.
///
/// The value stays as long as there is a handle to it; the last one that is dropped releases it.
#[derive(Clone)]
pub struct ObjectRef(Inner);

#[derive(Clone)]
enum Inner {
    /// A value in a run's slot: what hooks are given.
    InRun(RunRef),
    /// An object of its own.
    Stored(Arc<Object>),
}

/// One use of a value in a run's slot.
struct RunRef {
    run: Arc<Run>,
    task: TaskId,
}

impl RunRef {
    fn new(run: Arc<Run>, task: TaskId) -> Self {
        run.retain(task);
        Self { run, task }
    }
}

impl Clone for RunRef {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.run), self.task)
    }
}

impl Drop for RunRef {
    fn drop(&mut self) {
        self.run.release(self.task);
    }
}

/// The number of an object in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(pub u64);

/// An object: a value that is there or will be.
pub(crate) struct Object {
    id: ObjectId,
    key: Key,
    content: Mutex<Content>,
    ledger: Arc<Ledger>,
    store: Recipient<Release>,
    /// The run that makes the value, for a value that is made.
    maker: Option<Arc<dyn Maker>>,
}

/// A run that makes objects. It is dropped with the last handle to the last of its objects, which
/// cancels the run if it is not over.
pub(crate) trait Maker: Send + Sync {
    /// The run's number.
    fn run(&self) -> RunId;
}

enum Content {
    Pending(Vec<Waker>),
    Ready(Value),
    Lost(ObjectError),
}

/// Why an object has no value.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectError {
    /// The task that should make it, or one before it, failed.
    #[error("object {key:?} was never made: {failure}")]
    Failed {
        /// The object's key.
        key: Key,
        /// What failed.
        failure: Failure,
    },
    /// The run that should make it was cancelled, or the cluster has ended.
    #[error("object {key:?} was never made: its run was cancelled or its cluster has ended")]
    Cancelled {
        /// The object's key.
        key: Key,
    },
}

impl ObjectRef {
    pub(crate) fn in_run(run: &Arc<Run>, task: TaskId) -> Self {
        Self(Inner::InRun(RunRef::new(Arc::clone(run), task)))
    }

    /// The key of the task that makes the value.
    pub fn key(&self) -> &Key {
        match &self.0 {
            Inner::InRun(RunRef { run, task }) => run.plan().key(*task),
            Inner::Stored(object) => &object.key,
        }
    }

    /// The value, if it is there by now.
    pub fn value(&self) -> Option<Value> {
        match &self.0 {
            Inner::InRun(RunRef { run, task }) => run.value(*task),
            Inner::Stored(object) => match &*object.lock() {
                Content::Ready(value) => Some(value.clone()),
                Content::Pending(_) | Content::Lost(_) => None,
            },
        }
    }

    /// The run that makes the value, if it was persisted by one.
    pub(crate) fn maker(&self) -> Option<RunId> {
        match &self.0 {
            Inner::InRun(_) => None,
            Inner::Stored(object) => object.maker.as_ref().map(|maker| maker.run()),
        }
    }

    /// Waits for the value.
    ///
    /// # Errors
    ///
    /// [`ObjectError`] if it will never be there.
    pub(crate) async fn wait(&self) -> Result<Value, ObjectError> {
        let object = match &self.0 {
            Inner::Stored(object) => object,
            Inner::InRun(_) => {
                let cancelled = || ObjectError::Cancelled { key: self.key().clone() };
                return self.value().ok_or_else(cancelled);
            }
        };
        std::future::poll_fn(|context| match &mut *object.lock() {
            Content::Ready(value) => Poll::Ready(Ok(value.clone())),
            Content::Lost(error) => Poll::Ready(Err(error.clone())),
            Content::Pending(wakers) => {
                if !wakers.iter().any(|waker| waker.will_wake(context.waker())) {
                    wakers.push(context.waker().clone());
                }
                Poll::Pending
            }
        })
        .await
    }
}

impl fmt::Debug for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectRef({:?})", self.key())
    }
}

impl Object {
    fn lock(&self) -> std::sync::MutexGuard<'_, Content> {
        // Nothing in here panics under the lock, and every content is whole at any time.
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a pending object its value, or the reason why there is none. The first one holds.
    pub(crate) fn settle(&self, value: Result<Value, ObjectError>) {
        let mut content = self.lock();
        if let Content::Pending(wakers) = &mut *content {
            let wakers = std::mem::take(wakers);
            *content = match value {
                Ok(value) => {
                    self.ledger.changed_elsewhere(1, crate::engine::signed_bytes(&value));
                    Content::Ready(value)
                }
                Err(error) => Content::Lost(error),
            };
            drop(content);
            wakers.into_iter().for_each(Waker::wake);
        }
    }

    pub(crate) fn key(&self) -> &Key {
        &self.key
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        if let Content::Ready(value) = &*self.lock() {
            self.ledger.changed_elsewhere(-1, -crate::engine::signed_bytes(value));
        }
        // If the store is gone, there is no list any more to be taken off.
        self.store.do_send(Release { id: self.id });
    }
}

/// Keeps the list of objects and says what is held.
#[derive(Debug)]
pub struct StoreActor {
    ledger: Arc<Ledger>,
    /// The objects that somebody holds, by number: their keys.
    objects: BTreeMap<ObjectId, Key>,
}

impl StoreActor {
    pub(crate) fn new(ledger: Arc<Ledger>) -> Self {
        Self { ledger, objects: BTreeMap::new() }
    }
}

impl Actor for StoreActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(0); // Releases are never refused.
    }
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

/// What the store holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreStats {
    /// All values: of runs that go on, and objects.
    pub holdings: Holdings,
    /// The keys of the objects that somebody holds a handle to.
    pub objects: Vec<Key>,
}

impl Handler<ReadStats> for StoreActor {
    type Result = actix::MessageResult<ReadStats>;

    fn handle(&mut self, _: ReadStats, _: &mut Self::Context) -> Self::Result {
        actix::MessageResult(StoreStats {
            holdings: self.ledger.holdings(),
            objects: self.objects.values().cloned().collect(),
        })
    }
}

/// Makes objects; what clients and the scheduler know of the store.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    addr: Addr<StoreActor>,
    ledger: Arc<Ledger>,
    next_id: Arc<AtomicU64>,
}

impl Store {
    pub(crate) fn new(addr: Addr<StoreActor>, ledger: Arc<Ledger>) -> Self {
        Self { addr, ledger, next_id: Arc::default() }
    }

    pub(crate) fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
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
        let object = Arc::new(Object {
            id,
            key,
            content: Mutex::new(Content::Pending(Vec::new())),
            ledger: Arc::clone(&self.ledger),
            store: self.addr.clone().recipient(),
            maker,
        });
        (ObjectRef(Inner::Stored(Arc::clone(&object))), object)
    }

    pub(crate) async fn stats(&self) -> Option<StoreStats> {
        self.addr.send(ReadStats).await.ok()
    }
}
