//! Whole clusters through the public API, compared with plain evaluation.
//!
//! Every test runs under watch, so that a hang is a failure; see `tests/support/watchdog.rs`.

#[path = "../support/bomb.rs"]
mod bomb;
#[path = "../support/functions.rs"]
mod functions;
#[path = "../support/gate.rs"]
mod gate;
#[path = "../support/logs.rs"]
mod logs;
#[path = "../support/process.rs"]
mod process;
#[path = "../support/watchdog.rs"]
mod watchdog;

mod asynchronous;
mod backoff;
mod blocking;
mod cancel;
mod drops;
mod faults;
mod graphs;
mod hooks;
mod limits;
mod load;
mod mistakes;
mod nested;
mod on_error;
mod persist;
mod retries;
mod shutdown;
mod sizes;
mod states;
mod typed;
mod workers_lost;
