//! [`ObjectRef`]: a counted handle to a value; and the objects, values that outlive their run.
//!
//! Within a run, values lie in the run's slots and move as pointers. What outlives its run (results that
//! were persisted, data that a user put) becomes an object. An object does not know where its value is.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use actix::Recipient;

use super::Release;
use super::shelf::Shelf;
use crate::engine::{Failure, Held, Run, RunId, TaskId, signed_bytes};
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
    shelf: Arc<Shelf>,
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
    Ready(Held),
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
    /// It was made and moved to disk, could not be read back, and could not be made again.
    #[error("object {key:?} is gone: {failure}")]
    Lost {
        /// The object's key.
        key: Key,
        /// Why.
        failure: Failure,
    },
    /// It lies in a run, as what hooks are given does, and its task is not done.
    #[error("the value of {key:?} is not there yet, and within its run nobody can wait for it")]
    NotYet {
        /// The task's key.
        key: Key,
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

    /// The value, if it is there by now, and in memory. A value that has moved to disk comes back with
    /// [`Client::gather`](crate::Client::gather).
    pub fn value(&self) -> Option<Value> {
        self.held()?.pin()
    }

    /// True if the value was made, and has moved to disk.
    pub fn is_spilled(&self) -> bool {
        self.held().is_some_and(|held| held.is_away())
    }

    fn held(&self) -> Option<Held> {
        match &self.0 {
            Inner::InRun(RunRef { run, task }) => run.held(*task),
            Inner::Stored(object) => match &*object.lock() {
                Content::Ready(held) => Some(held.clone()),
                Content::Pending(_) | Content::Lost(_) => None,
            },
        }
    }

    /// The value as what a task answers, if it is in memory.
    pub(crate) fn fetch_now(&self) -> Option<Value> {
        let held = self.held()?;
        let value = held.pin()?;
        if let Held::Kept(kept) = &held {
            kept.is_fetched(&value);
        }
        Some(value)
    }

    /// The value as what a task answers, as soon as it is in memory.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub(crate) async fn fetch(&self) -> Result<Value, ObjectError> {
        let value = self.wait().await?;
        if let Some(Held::Kept(kept)) = self.held() {
            kept.is_fetched(&value);
        }
        Ok(value)
    }

    /// The run that makes the value, if it was persisted by one.
    pub(crate) fn maker(&self) -> Option<RunId> {
        match &self.0 {
            Inner::InRun(_) => None,
            Inner::Stored(object) => object.maker.as_ref().map(|maker| maker.run()),
        }
    }

    /// Waits until the value was made. It may have moved to disk since.
    ///
    /// # Errors
    ///
    /// [`ObjectError`] if it was not made. What a hook was given cannot be waited for: a value that its
    /// run has not made yet is such an error.
    pub async fn made(&self) -> Result<(), ObjectError> {
        self.made_as().await.map(drop)
    }

    async fn made_as(&self) -> Result<Held, ObjectError> {
        match &self.0 {
            Inner::Stored(object) => std::future::poll_fn(|context| object.poll(context)).await,
            Inner::InRun(RunRef { run, .. }) => {
                // Asked first: a value may come while this is asked.
                let goes_on = run.is_running();
                let key = || self.key().clone();
                self.held().ok_or_else(|| {
                    if goes_on {
                        ObjectError::NotYet { key: key() }
                    } else {
                        ObjectError::Cancelled { key: key() }
                    }
                })
            }
        }
    }

    /// Waits for the value, and brings it back if it has moved to disk.
    ///
    /// # Errors
    ///
    /// As [`made`](Self::made); and if the value cannot be brought back.
    pub async fn wait(&self) -> Result<Value, ObjectError> {
        let held = self.made_as().await?;
        let pinned = std::future::poll_fn(|context| held.poll_pin(context)).await;
        pinned.map_err(|failure| ObjectError::Lost { key: self.key().clone(), failure })
    }
}

/// Two handles are equal if they are to the same value, not merely to equal values.
impl PartialEq for ObjectRef {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Inner::InRun(one), Inner::InRun(two)) => {
                Arc::ptr_eq(&one.run, &two.run) && one.task == two.task
            }
            (Inner::Stored(one), Inner::Stored(two)) => Arc::ptr_eq(one, two),
            (Inner::InRun(_), Inner::Stored(_)) | (Inner::Stored(_), Inner::InRun(_)) => false,
        }
    }
}

impl Eq for ObjectRef {}

impl Hash for ObjectRef {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match &self.0 {
            Inner::InRun(RunRef { run, task }) => {
                run.id().hash(state);
                task.hash(state);
            }
            Inner::Stored(object) => Arc::as_ptr(object).hash(state),
        }
    }
}

impl fmt::Debug for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectRef({:?})", self.key())
    }
}

impl Object {
    pub(super) fn new(
        id: ObjectId,
        key: Key,
        shelf: Arc<Shelf>,
        store: Recipient<Release>,
        maker: Option<Arc<dyn Maker>>,
    ) -> Arc<Self> {
        let content = Mutex::new(Content::Pending(Vec::new()));
        Arc::new(Self { id, key, content, shelf, store, maker })
    }

    /// The first handle to an object.
    pub(super) fn handle(self: &Arc<Self>) -> ObjectRef {
        ObjectRef(Inner::Stored(Arc::clone(self)))
    }

    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        // Nothing in here panics under the lock, and every content is whole at any time.
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<Result<Held, ObjectError>> {
        match &mut *self.lock() {
            Content::Ready(held) => Poll::Ready(Ok(held.clone())),
            Content::Lost(error) => Poll::Ready(Err(error.clone())),
            Content::Pending(wakers) => {
                if !wakers.iter().any(|waker| waker.will_wake(context.waker())) {
                    wakers.push(context.waker().clone());
                }
                Poll::Pending
            }
        }
    }

    /// Gives a pending object what a run made for it, or the reason why there is nothing. The first
    /// one holds.
    pub(crate) fn settle(&self, value: Result<Held, ObjectError>) {
        let mut content = self.lock();
        let Content::Pending(wakers) = &mut *content else { return };
        let wakers = std::mem::take(wakers);
        *content = match value {
            Ok(held) => {
                if let Held::Plain(value) = &held {
                    self.shelf.memory().ledger().add(1, signed_bytes(value));
                }
                Content::Ready(held)
            }
            Err(error) => Content::Lost(error),
        };
        drop(content);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Gives a pending object data of a user.
    pub(super) fn fill(&self, value: Value) {
        let held = self.shelf.put(&self.key, value);
        self.settle(Ok(held));
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        if let Content::Ready(Held::Plain(value)) = &*self.lock() {
            self.shelf.memory().ledger().add(-1, -signed_bytes(value));
        }
        // If the store is gone, there is no list any more to be taken off.
        self.store.do_send(Release { id: self.id });
    }
}
