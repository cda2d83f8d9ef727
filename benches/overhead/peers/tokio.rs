//! tokio's multi-thread runtime: `tokio::spawn` for each ready task; the first task made ready goes
//! on in the same future.

use std::sync::{Arc, Mutex};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

use super::countdown::{Countdown, Plan};
use crate::shapes::Shape;
use crate::subject::{Failure, Subject};
use crate::work::Work;

/// Starts the runtime; a future goes on with the first task that it makes ready.
pub(crate) fn start(workers: usize) -> Result<Box<dyn Subject>, Failure> {
    started(workers, true)
}

/// Starts the runtime; every ready task is spawned.
pub(crate) fn start_spawning(workers: usize) -> Result<Box<dyn Subject>, Failure> {
    started(workers, false)
}

/// Starts the runtime.
fn started(workers: usize, goes_on: bool) -> Result<Box<dyn Subject>, Failure> {
    let runtime = Builder::new_multi_thread().worker_threads(workers).build()?;
    Ok(Box::new(Tokio { runtime, goes_on, plan: None, shared: None }))
}

/// A tokio runtime.
struct Tokio {
    runtime: Runtime,
    /// Whether a future goes on with the first task that it makes ready.
    goes_on: bool,
    plan: Option<Arc<Plan>>,
    /// The last run.
    shared: Option<Arc<Shared>>,
}

/// One run, shared by its futures.
struct Shared {
    run: Countdown,
    goes_on: bool,
    /// Takes the result to the thread that waits for it; used by whoever runs the output.
    done: Mutex<Option<oneshot::Sender<u64>>>,
}

impl Subject for Tokio {
    fn prepare(&mut self, shape: &Arc<Shape>, work: Work) -> Result<(), Failure> {
        self.plan = Some(Arc::new(Plan::new(shape, work)));
        Ok(())
    }

    fn run(&mut self) -> Result<u64, Failure> {
        let (done, result) = oneshot::channel();
        let shared = Arc::new(Shared {
            run: Countdown::new(self.plan.as_ref().ok_or("nothing is prepared")?),
            goes_on: self.goes_on,
            done: Mutex::new(Some(done)),
        });
        self.shared = Some(Arc::clone(&shared));
        // The roots are spawned from inside, so that they start in a worker's own queue.
        self.runtime.spawn(async move {
            for root in shared.run.shape().roots() {
                spawn(&shared, root);
            }
        });
        Ok(self.runtime.block_on(result)?)
    }

    fn release(&mut self) {
        // The futures let go of the run a moment after the result is sent.
        while self.shared.as_ref().is_some_and(|shared| Arc::strong_count(shared) > 1) {
            std::thread::yield_now();
        }
        self.shared = None;
    }

    fn clear(&mut self) {
        self.plan = None;
    }
}

/// Spawns a ready task.
fn spawn(shared: &Arc<Shared>, task: u32) {
    let shared = Arc::clone(shared);
    tokio::spawn(async move { go_on(&shared, task) });
}

/// Runs a task and what it makes ready.
fn go_on(shared: &Arc<Shared>, task: u32) {
    let mut current = Some(task);
    while let Some(task) = current.take() {
        shared.run.run(task, |ready| {
            if shared.goes_on && current.is_none() {
                current = Some(ready);
            } else {
                spawn(shared, ready);
            }
        });
        if task == shared.run.shape().output()
            && let Some(done) = shared.done.lock().expect("no task panics").take()
        {
            // Nobody waits any more only when the program is ending.
            done.send(shared.run.result()).ok();
        }
    }
}
