//! How a thread waits for a run: a worker's works meanwhile, any other one sleeps.

use std::rc::Rc;
use std::sync::{Arc, Weak};

use super::super::blocking::block_on;
use super::crew::Crew;
use super::thread::{CURRENT, NAP, WorkerThread};
use crate::engine::{RunId, WorkerId};

/// True if this is a worker's thread.
pub(crate) fn is_worker_thread() -> bool {
    CURRENT.with_borrow(Option::is_some)
}

/// Waits for a future that ends with a run, or with an unknown one (a value on disk may have to be made
/// again). On a worker's thread, works on that run meanwhile: a task that waits for a nested run does
/// not cost the run its only worker.
pub(crate) fn wait_for<F: Future>(run: Option<RunId>, future: F) -> F::Output {
    wait_needing(&mut || run, future)
}

/// As [`wait_for`], for a future that ends with one run now and with another one later.
pub(crate) fn wait_needing<F: Future>(
    run: &mut dyn FnMut() -> Option<RunId>,
    future: F,
) -> F::Output {
    let worker = CURRENT.with_borrow(Clone::clone);
    match worker {
        Some(worker) => worker.wait_inside(run, future),
        None => block_on(future, std::thread::park),
    }
}

/// As [`wait_for`], for a run of `crew`: where workers have no threads, this thread is the worker
/// meanwhile, unless another one is. It may be a worker of another crew already, in a task that waits.
pub(crate) fn wait_among<F: Future>(crew: &Weak<Crew>, run: Option<RunId>, future: F) -> F::Output {
    let inline = crew.upgrade().filter(|crew| crew.is_inline() && !is_worker_of(crew));
    let Some(crew) = inline else { return wait_for(run, future) };
    let worker = Rc::new(WorkerThread::new(WorkerId(0), Arc::clone(&crew), Arc::default()));
    block_on(future, || {
        let Some(_seat) = crew.try_sit() else {
            return std::thread::park_timeout(NAP.0);
        };
        let outer = CURRENT.replace(Some(Rc::clone(&worker)));
        worker.help(run);
        CURRENT.set(outer);
    })
}

/// True if this thread is a worker of this crew just now.
fn is_worker_of(crew: &Arc<Crew>) -> bool {
    CURRENT.with_borrow(|worker| worker.as_ref().is_some_and(|it| Arc::ptr_eq(&it.crew, crew)))
}
