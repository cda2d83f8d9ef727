//! What is to be seen of a cluster, compared with what it has done.
//!
//! Every test runs under watch, so that a hang is a failure.

#[path = "../support/gate.rs"]
mod gate;
#[path = "../support/watchdog.rs"]
mod watchdog;

mod counts;
mod journal;
