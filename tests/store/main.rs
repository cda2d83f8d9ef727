//! The store through the public API: values that move to disk and come back, tasks that wait for room,
//! disks that fail, processes that die.
//!
//! Every test has a spill directory of its own and runs under watch, so that a hang is a failure; see
//! `tests/support/watchdog.rs`. What bytes look like in a file, and what the engine decides, is tested
//! elsewhere (`src/spill/tests.rs`, `tests/engine/room.rs`).

#![expect(clippy::unwrap_used, reason = "also helpers end the test that they cannot serve")]

#[path = "../support/gate.rs"]
mod gate;
#[path = "../support/logs.rs"]
mod logs;
#[path = "../support/process.rs"]
mod process;
#[path = "../support/watchdog.rs"]
mod watchdog;

mod admission;
mod again;
mod crashes;
mod disks;
mod explain;
mod hooks;
mod nested;
mod policies;
mod refs;
mod regressions;
mod site;
mod soak;
mod spilling;
