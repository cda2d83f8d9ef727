//! Worker processes: how a worker has the calls of a run made in a child process.
//!
//! A worker's thread takes tickets as for any run; but it packs each call, sends it to its child, and
//! completes the task when the child says how it ended. `work` is that loop, with `sending` before a call,
//! `ended` after it and `losing` if the child dies; `station` is what the thread knows of its child and of
//! the calls under way, `link` the process with its socket, `output` what it writes. What is packed how
//! says the program, by [`Processes`].
//!
//! # Who may do what
//!
//! The receiving end of the socket, the table of calls and the process itself belong to the worker's
//! thread. The sending end, an [`Outlet`], is shared: answers to questions, calls back of what was not
//! begun, and the release of values come from other threads. A child is started when a run first needs it,
//! and again when it has died.

mod ended;
mod ending;
mod fleet;
mod link;
mod losing;
mod outlet;
mod output;
mod packing;
mod program;
mod sampling;
mod sending;
mod station;
mod work;

pub(crate) use fleet::Fleet;
pub use packing::{PackError, Packing};
pub use program::{Processes, Question, Stream};
pub(super) use station::Station;
