//! [`Promise`]: a result that somebody will give, once: an actor, or the run of a remote function.
//!
//! Who wants it waits with a waker, or [drives](drive) a future. Such a future goes on on the thread that
//! gives the result, one after the other however long a chain of them gets, and never touches the
//! interpreter: what needs its lock goes [aside](crate::aside).

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use mobula::{Error, Value};
use pyo3::prelude::*;

use crate::actor_state::ActorState;
use crate::errors::{self, TaskError};
use crate::fork;
use crate::referent::Referent;

/// A result that is there or will be.
pub(crate) struct Promise {
    /// What makes it, for messages.
    name: Arc<str>,
    /// The process in which it is made.
    process: fork::Process,
    /// Changed by whoever gives the result, and before that by whoever gets on with it.
    state: Mutex<State>,
}

enum State {
    Pending { waiters: Vec<Waker>, needs: Needs },
    Settled(Settled),
}

/// Something to do without the interpreter.
type Job = Box<dyn FnOnce() + Send>;

/// What a pending promise waits for itself.
#[derive(Clone)]
pub(crate) enum Needs {
    /// Nobody knows.
    Nothing,
    /// Its arguments.
    Arguments(Arc<[Referent]>),
    /// A run, which makes this object.
    Run(mobula::ObjectRef),
    /// An actor that has other calls before it.
    Actor(Arc<ActorState>),
}

/// What was promised, or why it will never be there.
pub(crate) type Settled = Result<Given, Broken>;

/// A result, wherever it lies.
#[derive(Clone)]
pub(crate) enum Given {
    /// A small value, which never leaves memory.
    Value(Value),
    /// An object in the store.
    Stored(mobula::ObjectRef),
}

/// Why there is no result. Cloning is cheap.
#[derive(Clone)]
pub(crate) enum Broken {
    /// The function or the method has raised.
    Raised(Arc<TaskError>),
    /// The crate's own errors, and what a task has raised.
    Failed(Error),
    /// The actor has ended before: a message, and what its constructor has raised.
    ActorDied(Arc<str>, Option<Arc<TaskError>>),
    /// The workers have ended before.
    Closed,
}

impl Broken {
    /// What to raise. It has frames of its own: the result goes on being kept.
    pub(crate) fn to_raise(&self, py: Python<'_>) -> PyErr {
        errors::copied(py, &self.exception(py))
    }

    pub(crate) fn raised(py: Python<'_>, exception: PyErr) -> Self {
        Self::Raised(Arc::new(TaskError::new(py, exception)))
    }

    fn exception(&self, py: Python<'_>) -> PyErr {
        match self {
            Self::Raised(raised) => raised.exception(py),
            Self::Failed(error) => errors::exception(py, error),
            Self::ActorDied(message, cause) => {
                let exception = errors::ours(py, "ActorDiedError", message.to_string());
                exception.set_cause(py, cause.as_ref().map(|cause| cause.exception(py)));
                exception
            }
            Self::Closed => {
                let message = "the workers were shut down before there was a result";
                errors::ours(py, "ClusterClosedError", message.to_owned())
            }
        }
    }
}

impl Broken {
    /// The same as the error of a task that needed the result.
    pub(crate) fn into_task_error(self, py: Python<'_>) -> TaskError {
        TaskError::new(py, self.exception(py))
    }
}

impl Promise {
    pub(crate) fn new(name: Arc<str>, needs: Needs) -> Arc<Self> {
        let state = Mutex::new(State::Pending { waiters: Vec::new(), needs });
        Arc::new(Self { name, process: fork::Process::current(), state })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code of a user runs under this lock, and every state is whole at any time.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True if it is made in a process of which this one is a copy, so it will never be there.
    pub(crate) fn is_out_of_reach(&self) -> bool {
        !self.process.is_current() && self.now().is_none()
    }

    /// The result, if it is there.
    pub(crate) fn now(&self) -> Option<Settled> {
        match &*self.lock() {
            State::Settled(settled) => Some(settled.clone()),
            State::Pending { .. } => None,
        }
    }

    /// What it waits for just now; nothing if the result is there.
    pub(crate) fn needs(&self) -> Needs {
        match &*self.lock() {
            State::Pending { needs, .. } => needs.clone(),
            State::Settled(_) => Needs::Nothing,
        }
    }

    /// Says what it waits for from now on.
    pub(crate) fn now_needs(&self, what: Needs) {
        let mut state = self.lock();
        let State::Pending { needs, .. } = &mut *state else { return };
        let old = std::mem::replace(needs, what);
        drop(state);
        drop(old);
    }

    /// Gives the result. The first one holds.
    pub(crate) fn settle(&self, settled: Settled) {
        let mut state = self.lock();
        if matches!(&*state, State::Settled(_)) {
            drop(state);
            return drop(settled);
        }
        let old = std::mem::replace(&mut *state, State::Settled(settled));
        drop(state);
        let State::Pending { waiters, needs } = old else { return };
        drop(needs);
        waiters.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn poll(&self, context: &mut Context<'_>) -> Poll<Settled> {
        match &mut *self.lock() {
            State::Settled(settled) => Poll::Ready(settled.clone()),
            State::Pending { waiters, .. } => {
                if !waiters.iter().any(|waiter| waiter.will_wake(context.waker())) {
                    waiters.push(context.waker().clone());
                }
                Poll::Pending
            }
        }
    }

    /// Waits for the result.
    pub(crate) async fn settled(&self) -> Settled {
        poll_fn(|context| self.poll(context)).await
    }
}

/// Breaks a promise when it is dropped, if nobody has kept it.
pub(crate) struct Keeper(Arc<Promise>);

impl Keeper {
    pub(crate) fn new(promise: Arc<Promise>) -> Self {
        Self(promise)
    }

    pub(crate) fn promise(&self) -> &Arc<Promise> {
        &self.0
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.0.settle(Err(Broken::Closed));
    }
}

thread_local! {
    /// What is to be done on this thread, while it is doing such things.
    static JOBS: RefCell<Option<VecDeque<Job>>> = const { RefCell::new(None) };
}

/// Does something on this thread: at once, or behind what it is doing just now. So a chain of jobs of
/// which each one brings about the next does not nest.
pub(crate) fn later(job: Job) {
    let mut next = JOBS.with_borrow_mut(|jobs| {
        if let Some(jobs) = jobs {
            jobs.push_back(job);
            return None;
        }
        *jobs = Some(VecDeque::new());
        Some(job)
    });
    while let Some(job) = next {
        job();
        next = JOBS.with_borrow_mut(|jobs| {
            let next = jobs.as_mut()?.pop_front();
            if next.is_none() {
                *jobs = None;
            }
            next
        });
    }
}

/// A future that goes on wherever it is woken.
struct Driven<F, T>(Mutex<Option<(Pin<Box<F>>, T)>>);

/// Polls a future, each time on the thread on which it is woken, and does `then` with its output. The
/// future must not touch the interpreter.
pub(crate) fn drive<F>(future: F, then: impl FnOnce(F::Output) + Send + 'static)
where
    F: Future + Send + 'static,
{
    Arc::new(Driven(Mutex::new(Some((Box::pin(future), then))))).wake();
}

impl<F, T> Wake for Driven<F, T>
where
    F: Future + Send + 'static,
    T: FnOnce(F::Output) + Send + 'static,
{
    fn wake(self: Arc<Self>) {
        later(Box::new(move || self.poll()));
    }
}

impl<F, T> Driven<F, T>
where
    F: Future + Send + 'static,
    T: FnOnce(F::Output) + Send + 'static,
{
    fn poll(self: Arc<Self>) {
        let waker = Waker::from(Arc::clone(&self));
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((future, _)) = slot.as_mut() else { return };
        let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
        let Poll::Ready(output) = polled else { return };
        let done = slot.take();
        drop(slot);
        if let Some((future, then)) = done {
            drop(future);
            then(output);
        }
    }
}
