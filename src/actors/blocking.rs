//! Waiting for a future on a plain thread. Nobody waits like this on an arbiter.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use actix::Arbiter;

/// Wakes a parked thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future to its end on this thread. While it is not ready, `meanwhile` is called; it is to
/// wait until this thread is unparked, or for a while, or to do something useful first.
pub(crate) fn block_on<F: Future>(future: F, mut meanwhile: impl FnMut()) -> F::Output {
    /// An answer from another thread that is awake takes less than this many looks.
    const LOOKS: u32 = 64;
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    for _ in 0..LOOKS {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        std::hint::spin_loop();
    }
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        meanwhile();
    }
}

/// True if actors live on this thread and run while it does not wait: then it must not be blocked.
///
/// actix keeps the name of its arbiter in the thread of a system that has ended, or has not begun to
/// run; so what counts is that the runtime behind it is running here.
pub(crate) fn is_arbiter_thread() -> bool {
    Arbiter::try_current().is_some() && tokio::runtime::Handle::try_current().is_ok()
}
