//! The dashboard's server, asked over real sockets. What the page makes of the answers is tested from Python, in a
//! browser.
//!
//! Every test runs under watch, so that a hang is a failure.

#[path = "../support/gate.rs"]
mod gate;
#[path = "../support/watchdog.rs"]
#[expect(dead_code, reason = "no test here counts what the whole process holds")]
mod watchdog;

mod answers;
mod asking;
mod events;
mod refusals;
