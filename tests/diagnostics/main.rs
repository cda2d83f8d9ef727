//! The ready-made callbacks, through the public API.
//!
//! The only logger of this process is the one of `log`; every test runs under watch, so that a hang is a
//! failure.

#[path = "../support/watchdog.rs"]
#[cfg_attr(
    not(target_os = "linux"),
    expect(dead_code, reason = "only Linux tells what the whole process holds")
)]
mod watchdog;

mod cache;
mod cache_actor;
mod cache_faults;
mod checkpoint;
mod checkpoint_faults;
mod helpers;
mod log;
mod timer;
