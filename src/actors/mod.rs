//! The actors: thin shells that turn messages into events and commands into messages.
//!
//! | actor | owns | hears | tells |
//! |---|---|---|---|
//! | [`SchedulerActor`] | the engine | runs, reports, cancels, losses | workers what to start; clients how it ended |
//! | [`WorkerActor`] | one thread | start on a run; stop | ends and failures of tasks |
//! | `AsyncActor` | the futures of asynchronous tasks | await this; forget a run | as a worker |
//! | [`CallbackRegistry`] | the callbacks, in order | register; begin and end of a run | hooks |
//! | [`StoreActor`] | the list of objects | adopt, release, what is held | |
//! | state actors | the user's state | the user's messages | the user's replies |
//!
//! Scheduler, workers and store share one arbiter, on which nothing ever waits. The registry, the
//! futures and each state actor have an arbiter of their own, because they run code of users.

pub mod callbacks;
mod scheduler;
mod state;
pub mod store;
pub(crate) mod worker;

mod blocking;
pub(crate) mod events;

pub use callbacks::CallbackRegistry;
pub use scheduler::{SchedulerActor, WorkerStats};
pub(crate) use state::StateLook;
pub use state::{AskError, StateRef};
pub use store::StoreActor;
pub use worker::process::{PackError, Packing, Processes, Question, Stream};
pub use worker::{WorkerActor, WorkerEnvironment};

pub(crate) use blocking::{block_on, is_arbiter_thread};
pub(crate) use scheduler::{
    CancelRun, Close, Finished, PromisedObjects, ReadWorkerStats, Reply, StartWorkers, Submission,
    Submit,
};
pub(crate) use worker::{
    AsyncActor, Crew, Fleet, Surroundings, WorkerSettings, is_worker_thread, wait_among, wait_for,
    wait_needing,
};

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a panic said.
fn panic_message(panic: Box<dyn Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(message) => *message,
        Err(panic) => match panic.downcast::<&'static str>() {
            Ok(message) => (*message).to_owned(),
            Err(_) => "no message".to_owned(),
        },
    }
}

/// As [`panic_message`], where nobody would take the place of what dies of a second panic: that of
/// the payload when it is dropped.
pub(crate) fn contained_panic_message(panic: Box<dyn Any + Send>) -> String {
    catch_unwind(AssertUnwindSafe(|| panic_message(panic))).unwrap_or_else(|second| {
        // Who knows what dropping this one would do.
        std::mem::forget(second);
        "no message".to_owned()
    })
}
