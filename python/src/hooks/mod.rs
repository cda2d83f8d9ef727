//! Hooks in Python: what callbacks are called with, where, and in which order.
//!
//! [`PythonHooks`] is all callbacks of one run as one callback of the crate. The hooks of tasks are called
//! in the worker; those of the whole run, and all of Dask's own, on the thread that called `get`, which
//! hears of them through a mailbox.

mod answer;
mod caller;
mod calls;
mod mailbox;
mod python;
mod worker;

pub(crate) use answer::Answer;
pub(crate) use calls::Hooks;
pub(crate) use python::PythonHooks;
