//! Workers: actors that run tasks.
//!
//! [`WorkerActor`] is the actor; it owns one thread and hears what the scheduler says. The thread does
//! the work and reports by itself. A worker does not know who schedules it: reports go to recipients
//! that came with the run.

mod active;
mod asynchronous;
mod crew;
mod environment;
mod failing;
mod limited;
mod noting;
pub(crate) mod process;
mod spell;
mod thread;
mod waiting;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler, Message, Recipient};

pub(crate) use active::{ActiveRun, Hooks, Report, told};
pub(crate) use asynchronous::{AsyncActor, ForgetRun};
pub(crate) use crew::Crew;
pub(crate) use environment::Surroundings;
pub use environment::WorkerEnvironment;
pub(crate) use failing::{asks_conditions, fail_task};
pub(crate) use process::Fleet;
pub(crate) use waiting::{is_worker_thread, wait_among, wait_for, wait_needing};

use super::store::sits_at;
use crate::engine::{Memory, Ticket, WorkerId};
use thread::WorkerThread;

/// How long a worker that gets no thread from the operating system waits before another one tries.
const TRY_AGAIN: Duration = Duration::from_millis(100);

/// What is the same for all workers of a cluster.
#[derive(Clone, Debug)]
pub(crate) struct WorkerSettings {
    pub(crate) crew: Arc<Crew>,
    /// Where the values of all runs are counted.
    pub(crate) memory: Arc<Memory>,
    /// The stack of a worker's thread, in bytes.
    pub(crate) stack_size: usize,
    /// True if workers have no threads of their own: those who wait for runs work on them.
    pub(crate) inline: bool,
    /// The threads that were started, to be waited for when the cluster ends.
    pub(crate) threads: Arc<Mutex<Vec<JoinHandle<()>>>>,
    /// Hears of workers whose thread died.
    pub(crate) losses: Recipient<WorkerLost>,
}

/// A worker: one thread that runs tasks.
#[derive(Debug)]
pub struct WorkerActor {
    id: WorkerId,
    settings: WorkerSettings,
    /// Tells the thread to end.
    stop: Arc<AtomicBool>,
    /// True once another worker is in this one's place; then the end of the thread is reported.
    relieved: Arc<AtomicBool>,
    /// The thread, once it runs.
    thread: Option<std::thread::Thread>,
}

impl WorkerActor {
    pub(crate) fn new(id: WorkerId, settings: WorkerSettings) -> Self {
        Self { id, settings, stop: Arc::default(), relieved: Arc::default(), thread: None }
    }
}

impl Actor for WorkerActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(0); // What the scheduler says is never refused.
        if self.settings.inline {
            return; // Whoever waits for a run is this worker meanwhile.
        }
        let worker =
            WorkerThread::new(self.id, Arc::clone(&self.settings.crew), Arc::clone(&self.stop));
        let (id, stop, actor) = (self.id, Arc::clone(&self.stop), context.address());
        let memory = Arc::clone(&self.settings.memory);
        let relieved = Arc::clone(&self.relieved);
        let body = move || {
            // User code runs under a guard of its own. What comes through is a panic while a panic's
            // payload is dropped, or a mistake of ours: this thread is lost, its tasks are not.
            sits_at(&memory, id);
            let ended = catch_unwind(AssertUnwindSafe(|| worker.run()));
            let died = ended.is_err() && !stop.load(Ordering::Acquire);
            if died {
                log::error!("the thread of worker {id} died; another one takes its place");
            }
            if died || relieved.load(Ordering::Acquire) {
                // If the actor is gone, so is the cluster.
                actor.do_send(ThreadEnded);
            }
        };
        let builder = std::thread::Builder::new()
            .name(format!("mobula-worker-{id}"))
            .stack_size(self.settings.stack_size);
        match builder.spawn(body) {
            Ok(handle) => {
                self.thread = Some(handle.thread().clone());
                let mut threads =
                    self.settings.threads.lock().unwrap_or_else(PoisonError::into_inner);
                threads.retain(|thread| !thread.is_finished());
                threads.push(handle);
            }
            Err(error) => {
                log::error!("worker {id} cannot start its thread: {error}");
                // Threads are short just now; the one who takes its place tries again.
                context.notify_later(ThreadEnded, TRY_AGAIN);
            }
        }
    }
}

/// The thread ends with its actor, however the actor ends.
impl Drop for WorkerActor {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = &self.thread {
            thread.unpark();
        }
    }
}

/// There is something to run, in the worker's own lane or where all take from.
///
/// The tasks are not in the message: they would be lost with a worker that dies before it reads it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct RunTasks;

impl Handler<RunTasks> for WorkerActor {
    type Result = ();

    fn handle(&mut self, _: RunTasks, _: &mut Self::Context) {
        self.settings.crew.wake(self.id);
    }
}

/// End the thread after the task that it is in.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Stop;

impl Handler<Stop> for WorkerActor {
    type Result = ();

    fn handle(&mut self, _: Stop, context: &mut Self::Context) {
        actix::ActorContext::stop(context);
    }
}

/// The thread is in a call that takes too long, and another worker is in its place: end it when it
/// comes back.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Relieve;

impl Handler<Relieve> for WorkerActor {
    type Result = ();

    fn handle(&mut self, _: Relieve, _: &mut Self::Context) {
        self.relieved.store(true, Ordering::Release);
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = &self.thread {
            thread.unpark();
        }
    }
}

/// The thread died, or has ended after it was relieved.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct ThreadEnded;

impl Handler<ThreadEnded> for WorkerActor {
    type Result = ();

    fn handle(&mut self, _: ThreadEnded, context: &mut Self::Context) {
        self.settings.crew.is_awake(self.id);
        let (_, runs) = self.settings.crew.runs();
        let running = runs.iter().filter_map(|active| {
            let ticket = active.run.take_over(self.id)?;
            let repeatable = active.run.can_run_again(&ticket);
            Some(LostTask { active: Arc::clone(active), ticket, repeatable })
        });
        // If the scheduler is gone, so is the cluster.
        self.settings.losses.do_send(WorkerLost { worker: self.id, running: running.collect() });
        actix::ActorContext::stop(context);
    }
}

/// A worker is gone.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct WorkerLost {
    pub(crate) worker: WorkerId,
    pub(crate) running: Vec<LostTask>,
}

/// A task that a lost worker was in.
pub(crate) struct LostTask {
    pub(crate) active: Arc<ActiveRun>,
    pub(crate) ticket: Ticket,
    /// False if its inputs went with the worker.
    pub(crate) repeatable: bool,
}
