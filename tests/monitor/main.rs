//! What is to be seen of a cluster, compared with what it has done.
//!
//! Every test runs under watch, so that a hang is a failure.

#![expect(clippy::wildcard_enum_match_arm, reason = "a test looks at the records that it is about")]

#[path = "../support/gate.rs"]
mod gate;
#[path = "../support/watchdog.rs"]
mod watchdog;

mod counts;
mod journal;
