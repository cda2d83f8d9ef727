//! The client: what a program calls to run graphs on a cluster.
//!
//! A graph is checked and ordered on the caller's side (large ones beside the caller's arbiter), so that
//! the scheduler never waits for it. Nothing here schedules.

mod calls;
mod explain;
mod handle;
mod looking;
mod request;

pub use calls::{Client, wait_blocking};
pub use explain::{Explanation, TaskExplanation};
pub use handle::{CallbackGuard, Canceller, RunHandle};
pub use request::Request;

pub(crate) use calls::typed;
