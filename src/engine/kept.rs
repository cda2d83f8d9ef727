//! [`Held`]: a value as a run holds it; and what may stand behind a large one.
//!
//! Small values lie in their slots. A large one is given to the run's [`Keeper`], which may move it out
//! of memory while nobody uses it and bring it back; the slot then holds a [`Kept`]. Nothing here knows
//! where values go, nor when: that is the keeper's business.

use std::sync::Arc;
use std::task::{Context, Poll};

use super::Failure;
use super::{Placement, RunId, WorkerId};
use crate::graph::{Plan, TaskId, TaskOptions};
use crate::value::Value;

/// From how many bytes on a value is given to the keeper: from here on, keeping an account of a single
/// value costs little beside making it, and a file of its own pays.
pub const LARGE: usize = 16 << 10;

/// Takes over the large values of runs.
pub trait Keeper: Send + Sync {
    /// Takes over a value and counts it: one that `worker` has just made, called on the worker's own
    /// thread; or one that was known without running its task.
    fn keep(&self, worker: Option<WorkerId>, made: Made<'_>, value: Value) -> Arc<dyn Kept>;

    /// What stands behind a value that the keeper has in its care already: a task has answered one that
    /// it did not make.
    fn recognise(&self, value: &Value) -> Option<Arc<dyn Kept>> {
        let _ = value;
        None
    }

    /// A task waits for room: the keeper is to make some, if it can.
    fn make_room(&self);
}

/// Where a large value comes from.
#[derive(Clone, Copy, Debug)]
pub struct Made<'a> {
    /// The run.
    pub run: RunId,
    /// What the run follows: whoever has the plan can make the value again.
    pub plan: &'a Arc<Plan>,
    /// The task that made the value.
    pub task: TaskId,
    /// What the run says of tasks that say nothing themselves.
    pub options: &'a TaskOptions,
    /// Where the run's functions are called.
    pub placement: Placement,
    /// False if a hook answered for some task of the run: then the value may depend on that answer,
    /// which the plan does not know.
    pub by_tasks_alone: bool,
}

/// A large value, in memory or not. It is released when the last pointer to the `Kept` goes.
pub trait Kept: Send + Sync {
    /// The value's size in memory, in bytes, wherever it is now.
    fn bytes(&self) -> u64;

    /// Says that the value was pinned to be what a task answers.
    fn is_fetched(&self, value: &Value) {
        let _ = value;
    }

    /// Forgets how the value was made: whoever could make it again would hold too much for that.
    fn forget_maker(&self) {}

    /// True if the value exists, but is not in memory. Asking is no use of it.
    fn is_away(&self) -> bool {
        self.pin().is_none()
    }

    /// The value, if it is in memory. It stays there as long as the answer, or a copy of it, lives.
    fn pin(&self) -> Option<Value>;

    /// The value, brought back if it is not in memory. The same promise as [`pin`](Self::pin).
    ///
    /// # Errors
    ///
    /// The failure because of which the value is lost for good.
    fn poll_pin(&self, context: &mut Context<'_>) -> Poll<Result<Value, Failure>>;
}

/// A value as a run holds it.
#[derive(Clone)]
pub enum Held {
    /// A small value, which is always in memory.
    Plain(Value),
    /// A large value, which its keeper looks after.
    Kept(Arc<dyn Kept>),
}

// Slots are moved through every hot loop of the engine.
const _: () = assert!(size_of::<Option<Held>>() <= 24);

impl Held {
    /// The value's size in memory, in bytes, wherever it is now.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Plain(value) => value.bytes() as u64,
            Self::Kept(kept) => kept.bytes(),
        }
    }

    /// True if the value exists, but is not in memory.
    pub fn is_away(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Kept(kept) => kept.is_away(),
        }
    }

    /// As [`Kept::forget_maker`].
    pub fn forget_maker(&self) {
        match self {
            Self::Plain(_) => {}
            Self::Kept(kept) => kept.forget_maker(),
        }
    }

    /// The value, if it is in memory.
    pub fn pin(&self) -> Option<Value> {
        match self {
            Self::Plain(value) => Some(value.clone()),
            Self::Kept(kept) => kept.pin(),
        }
    }

    /// The value, brought back if it is not in memory.
    ///
    /// # Errors
    ///
    /// The failure because of which the value is lost for good.
    pub fn poll_pin(&self, context: &mut Context<'_>) -> Poll<Result<Value, Failure>> {
        match self {
            Self::Plain(value) => Poll::Ready(Ok(value.clone())),
            Self::Kept(kept) => kept.poll_pin(context),
        }
    }
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Plain(value) => value.fmt(f),
            Self::Kept(kept) => write!(f, "Kept({} bytes)", kept.bytes()),
        }
    }
}
