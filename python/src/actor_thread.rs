//! The thread of an actor: one for each, in the interpreter for its whole life, with a stack for deep
//! recursion.
//!
//! The actor is an actix actor, but its thread is no arbiter: a user's methods may block, and an arbiter
//! is attached to the interpreter for a call at a time, so that what Python keeps for a thread would be
//! lost between two calls. A class without `async def` methods is driven by waking and parking the
//! thread; one with them by an `asyncio` event loop, which its coroutines share.

use std::cell::RefCell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::task::{Context as PollContext, Poll, Wake, Waker};
use std::thread::Thread;

use actix::Context;
use actix::dev::ContextFut;
use actix::dev::channel::AddressReceiver;
use mobula::Client;
use pyo3::intern;
use pyo3::prelude::*;

use crate::actor::PythonActor;
use crate::actor_state::ActorState;
use crate::aside;
use crate::interpreter::released;

/// Deep recursion is what the stack of Python's main thread allows.
const STACK: usize = 16 << 20;

/// What a thread needs to be an actor's.
pub(crate) struct Body {
    pub(crate) state: Arc<ActorState>,
    pub(crate) mailbox: AddressReceiver<PythonActor>,
    pub(crate) client: Client,
    /// True for a class with `async def` methods.
    pub(crate) is_asynchronous: bool,
    /// Dropped when the actor has ended.
    pub(crate) alive: Sender<()>,
}

type Life = ContextFut<PythonActor, Context<PythonActor>>;

/// The life of an actor in an event loop, and what wakes that.
type Looped = (Pin<Box<Life>>, Arc<Alarm>);

/// Starts the thread.
pub(crate) fn start(body: Body) -> std::io::Result<()> {
    let name = "mobula-actor".to_owned();
    std::thread::Builder::new().name(name).stack_size(STACK).spawn(move || body.run()).map(drop)
}

/// Says that an actor is dead when it is dropped, whatever happened.
struct Ended(Arc<ActorState>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.die("has ended");
    }
}

impl Body {
    fn run(self) {
        let Self { state, mailbox, client, is_asynchronous, alive } = self;
        let ended = Ended(Arc::clone(&state));
        state.enter();
        let lived = Python::try_attach(|py| {
            if is_asynchronous {
                live_in_loop(py, |begin| life(state, mailbox, client, Some(begin)))
            } else {
                released(py, || live(life(state, mailbox, client, None)));
                Ok(())
            }
        });
        match lived {
            Some(Ok(())) => {}
            Some(Err(error)) => log::error!("the event loop of an actor has failed: {error}"),
            None => log::debug!("the interpreter ended before an actor began"),
        }
        drop(ended);
        drop(alive);
    }
}

fn life(
    state: Arc<ActorState>,
    mailbox: AddressReceiver<PythonActor>,
    client: Client,
    begin: Option<Py<PyAny>>,
) -> Life {
    let actor = PythonActor::new(state, client, begin);
    Context::with_receiver(mailbox).into_future(actor)
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Lives on this thread.
fn live(life: Life) {
    /// The next call of somebody who is awake takes less than this many looks.
    const LOOKS: u32 = 64;
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = PollContext::from_waker(&waker);
    let mut life = pin!(life);
    loop {
        for _ in 0..LOOKS {
            if life.as_mut().poll(&mut context).is_ready() {
                return;
            }
            std::hint::spin_loop();
        }
        std::thread::park();
    }
}

thread_local! {
    /// The actor of this thread, if it lives in an event loop.
    static LOOPED: RefCell<Option<Looped>> = const { RefCell::new(None) };
}

/// Wakes an event loop from other threads.
struct Alarm {
    /// Has the loop look at its actor.
    ring: Py<PyAny>,
    /// True from a ring until the loop looks.
    is_ringing: AtomicBool,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        if self.is_ringing.swap(true, Ordering::AcqRel) {
            return;
        }
        aside::ACTORS.put(move |py| {
            if let Err(error) = self.ring.bind(py).call0() {
                log::debug!("the event loop of an actor has ended: {error}");
            }
        });
    }
}

/// Lives in an event loop on this thread.
fn live_in_loop(py: Python<'_>, life: impl FnOnce(Py<PyAny>) -> Life) -> PyResult<()> {
    let methods = py.import("mobula._event_loop")?.getattr("Methods")?.call0()?;
    let begin = methods.getattr(intern!(py, "begin"))?.unbind();
    let ring = methods.getattr(intern!(py, "ring"))?.unbind();
    let alarm = Arc::new(Alarm { ring, is_ringing: AtomicBool::new(false) });
    LOOPED.set(Some((Box::pin(life(begin)), alarm)));
    let lived = methods.call_method0(intern!(py, "run"));
    let left = LOOPED.take();
    drop(left);
    lived.map(drop)
}

/// Lets the actor of this thread carry out the calls that came; true if it has ended. For the event loop.
#[pyfunction]
pub(crate) fn look_at_calls() -> bool {
    let Some((mut life, alarm)) = LOOPED.take() else { return true };
    alarm.is_ringing.store(false, Ordering::Release);
    let waker = Waker::from(Arc::clone(&alarm));
    match life.as_mut().poll(&mut PollContext::from_waker(&waker)) {
        Poll::Ready(()) => true,
        Poll::Pending => {
            LOOPED.set(Some((life, alarm)));
            false
        }
    }
}

/// True if the actor of this thread was killed. For the event loop.
#[pyfunction]
pub(crate) fn is_killed() -> bool {
    ActorState::current().is_some_and(|state| state.is_dead())
}
