//! Runs a test under watch: a hang shows as a failure, and tests that count what the whole process
//! holds run alone.
//!
//! The limit is far above what any test takes; nothing depends on it but the end of a hang.

use std::panic::resume_unwind;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

/// How long a test may take before it is taken for hanging.
const LIMIT: Duration = Duration::from_secs(60);

/// Held shared by most tests, and by itself by a test that counts threads or memory.
static PROCESS: RwLock<()> = RwLock::new(());

/// Runs a test beside others.
#[track_caller]
pub(crate) fn watched(test: impl FnOnce() + Send + 'static) {
    let _beside = PROCESS.read().unwrap_or_else(PoisonError::into_inner);
    run(test);
}

/// Runs a test while no other one runs in this process.
#[track_caller]
pub(crate) fn alone(test: impl FnOnce() + Send + 'static) {
    let _alone = PROCESS.write().unwrap_or_else(PoisonError::into_inner);
    run(test);
}

#[track_caller]
fn run(test: impl FnOnce() + Send + 'static) {
    let (done, end) = channel();
    let body = move || {
        test();
        // Whoever does not listen any more has given the test up.
        done.send(()).ok();
    };
    let thread = std::thread::Builder::new().name("watched".to_owned());
    let thread = thread.spawn(body).expect("a thread for the test can be had");
    match end.recv_timeout(LIMIT) {
        Err(RecvTimeoutError::Timeout) => panic!("the test hangs: no end within {LIMIT:?}"),
        Ok(()) | Err(RecvTimeoutError::Disconnected) => {
            if let Err(panic) = thread.join() {
                resume_unwind(panic);
            }
        }
    }
}

/// Waits for something that no event tells of. Give it only what must come about by itself.
pub(crate) fn until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        std::thread::yield_now();
    }
}
