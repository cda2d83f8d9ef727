//! Clusters whose tasks are called in child processes, through the public API: what comes back, what
//! happens when a child dies, what is left over.
//!
//! The children are this very test program: `child::child_process` serves when it is started as one.

#![cfg(unix)]

#[path = "../support/watchdog.rs"]
mod watchdog;

mod child;
mod faults;
mod program;
mod results;
