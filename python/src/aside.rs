//! [`Aside`]: threads for what needs the interpreter but comes up where its lock must not be waited for: on
//! the arbiters, in futures that go on wherever they are woken, and where a value is dropped.
//!
//! There is one thread for each kind, because what is done there may call code of users and so may wait
//! for another kind. All of them end before the interpreter does.

use std::sync::MutexGuard;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use pyo3::prelude::*;
use send_wrapper::SendWrapper;

use crate::fork::PerProcess;
use crate::interpreter::released;

/// Gives futures of Python's their results.
pub(crate) static FUTURES: Aside = Aside::new("mobula-futures");
/// Wakes the event loops of actors, and says why an actor was not made.
pub(crate) static ACTORS: Aside = Aside::new("mobula-loops");
/// Releases objects.
pub(crate) static RELEASES: Aside = Aside::new("mobula-releaser");
/// Tells the parent of a child process which of its handles are not needed any more.
pub(crate) static RETURNS: Aside = Aside::new("mobula-returns");

/// Hands to handlers of Python's what is logged.
pub(crate) static LOGS: Aside = Aside::new("mobula-logs");

/// Something to do in the interpreter.
type Job = Box<dyn FnOnce(Python<'_>) + Send>;

/// A thread that does one thing after the other in the interpreter.
pub(crate) struct Aside {
    name: &'static str,
    /// The thread of a parent is not here, and what it has to do is not ours.
    state: PerProcess<State>,
}

#[derive(Default)]
enum State {
    /// It was not needed yet.
    #[default]
    New,
    Running {
        /// Dropped to end it, after what it was given.
        jobs: Sender<Job>,
        thread: JoinHandle<()>,
    },
    /// The interpreter is ending, and nothing is done any more.
    Ended,
}

impl Aside {
    const fn new(name: &'static str) -> Self {
        Self { name, state: PerProcess::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Starts the thread, if it is not there; the first job does it, too.
    pub(crate) fn start(&self) {
        self.start_in(&mut self.lock());
    }

    fn start_in(&self, state: &mut State) {
        match state {
            State::Running { .. } | State::Ended => return,
            State::New => {}
        }
        let (sender, jobs) = channel();
        let spawned =
            std::thread::Builder::new().name(self.name.to_owned()).spawn(move || run(&jobs));
        match spawned {
            Ok(thread) => *state = State::Running { jobs: sender, thread },
            Err(error) => log::error!("no thread {} can be had: {error}", self.name),
        }
    }

    /// Does something in the interpreter, soon, behind what was put aside before.
    pub(crate) fn put(&self, job: impl FnOnce(Python<'_>) + Send + 'static) {
        let mut state = self.lock();
        self.start_in(&mut state);
        if let State::Running { jobs, .. } = &*state
            && jobs.send(Box::new(job)).is_err()
        {
            log::debug!("the interpreter has ended, and nothing more is done in it");
        }
    }

    /// Does what there is to do, and then nothing any more.
    fn end(&self, py: Python<'_>) {
        let state = std::mem::replace(&mut *self.lock(), State::Ended);
        if let State::Running { jobs, thread } = state {
            drop(jobs);
            if released(py, || thread.join()).is_err() {
                log::error!("the thread {} ended with a panic", self.name);
            }
        }
    }
}

/// The thread is attached for its whole life, without the lock: to attach takes a lock of the interpreter's
/// that a fork, up to Python 3.11, waits for in the child if it was held just then.
fn run(jobs: &Receiver<Job>) {
    // They stay on this thread.
    let jobs = SendWrapper::new(jobs);
    let all = |py: Python<'_>| {
        while let Ok(job) = released(py, || jobs.recv()) {
            job(py);
        }
    };
    if Python::try_attach(all).is_none() {
        log::debug!("the interpreter ended before a thread began");
    }
}

/// Ends the threads: the interpreter does not wait for them, and must not end under them. For the end of
/// the process, after that of the workers.
#[pyfunction]
pub(crate) fn end_aside(py: Python<'_>) {
    for aside in [&ACTORS, &FUTURES, &RELEASES, &RETURNS, &LOGS] {
        aside.end(py);
    }
}
