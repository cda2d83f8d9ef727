//! State actors: the user's own state, which callbacks and tasks talk to.
//!
//! A state actor is a plain actix actor on an arbiter of its own, so whoever waits for it does not
//! hold up anything that it needs. [`StateRef`] is the handle: it can ask and wait, tell, or send and
//! await. It does not restart an actor that stopped: what it knew is gone.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::ThreadId;

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Context, Handler, MailboxError, Message};

use super::blocking::block_on;

/// A handle to a state actor. Cloning is cheap; the actor lives until its cluster ends, until it stops
/// itself, or until there is neither a handle nor an address of it.
///
/// # Examples
///
/// ```
/// use actix::{Actor, Context, Handler, Message};
/// use mobula::Cluster;
///
/// #[derive(Default)]
/// struct Counter(u64);
///
/// impl Actor for Counter {
///     type Context = Context<Self>;
/// }
///
/// #[derive(Message)]
/// #[rtype(u64)]
/// struct Add(u64);
///
/// impl Handler<Add> for Counter {
///     type Result = u64;
///
///     fn handle(&mut self, message: Add, _: &mut Self::Context) -> u64 {
///         self.0 += message.0;
///         self.0
///     }
/// }
///
/// let cluster = Cluster::builder().workers(1).start()?;
/// let counter = cluster.start_state(Counter::default())?;
/// counter.tell(Add(2))?;
/// assert_eq!(counter.ask(Add(3))?, 5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct StateRef<A: Actor> {
    addr: Addr<A>,
    /// The thread of the actor's arbiter, on which nobody may wait for the actor.
    thread: ThreadId,
    /// How many messages were sent by handles, of which there are many.
    sent: Arc<AtomicU64>,
}

/// Why a state actor gave no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// The actor has stopped, or its handler panicked.
    #[error("the state actor {actor} has stopped, so it cannot answer")]
    Stopped {
        /// The actor's type.
        actor: &'static str,
    },
    /// The question was asked on the actor's own arbiter.
    #[error(
        "asking {actor} here would wait forever, because this is its own thread; use `send` and await it, or `tell`"
    )]
    WouldDeadlock {
        /// The actor's type.
        actor: &'static str,
    },
}

/// A state actor, seen from outside.
pub(crate) struct StateLook {
    /// The actor's type.
    pub(crate) name: &'static str,
    sent: Arc<AtomicU64>,
    is_alive: Box<dyn Fn() -> bool + Send>,
}

impl StateLook {
    /// How many messages it was sent through its handles.
    pub(crate) fn messages(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Whether it is there.
    pub(crate) fn is_alive(&self) -> bool {
        (self.is_alive)()
    }
}

impl<A: Actor<Context = Context<A>>> StateRef<A> {
    pub(crate) fn new(addr: Addr<A>, thread: ThreadId) -> Self {
        Self { addr, thread, sent: Arc::default() }
    }

    /// What is seen of the actor from outside. It does not keep the actor.
    pub(crate) fn look(&self) -> StateLook {
        let addr = self.addr.downgrade();
        StateLook {
            name: std::any::type_name::<A>(),
            sent: Arc::clone(&self.sent),
            is_alive: Box::new(move || addr.upgrade().is_some_and(|addr| addr.connected())),
        }
    }

    /// Sends a message and blocks this thread until the actor has answered.
    ///
    /// Use it in hooks and in tasks. Elsewhere in an async program prefer [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// [`AskError`] if the actor has stopped, or at once if this is the actor's own thread.
    pub fn ask<M>(&self, message: M) -> Result<M::Result, AskError>
    where
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
        M: Message<Result: Send> + Send + 'static,
    {
        if std::thread::current().id() == self.thread {
            return Err(AskError::WouldDeadlock { actor: std::any::type_name::<A>() });
        }
        block_on(self.send(message), std::thread::park)
    }

    /// Sends a message and does not wait.
    ///
    /// # Errors
    ///
    /// [`AskError::Stopped`] if the actor has stopped already. A message that it does not come to
    /// before it stops is lost without a word.
    pub fn tell<M>(&self, message: M) -> Result<(), AskError>
    where
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
        M: Message<Result: Send> + Send + 'static,
    {
        if !self.addr.connected() {
            return Err(AskError::Stopped { actor: std::any::type_name::<A>() });
        }
        self.sent.fetch_add(1, Ordering::Relaxed);
        // Loss is what the documentation of `tell` promises.
        self.addr.do_send(message);
        Ok(())
    }

    /// Sends a message; the future is the actor's answer.
    ///
    /// # Errors
    ///
    /// [`AskError::Stopped`] if the actor has stopped.
    pub fn send<M>(
        &self,
        message: M,
    ) -> impl Future<Output = Result<M::Result, AskError>> + Send + use<A, M>
    where
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
        M: Message<Result: Send> + Send + 'static,
    {
        self.sent.fetch_add(1, Ordering::Relaxed);
        let request = self.addr.send(message);
        async {
            request.await.map_err(|error| match error {
                MailboxError::Closed | MailboxError::Timeout => {
                    AskError::Stopped { actor: std::any::type_name::<A>() }
                }
            })
        }
    }

    /// The actor's address, to be used with actix itself.
    pub fn addr(&self) -> &Addr<A> {
        &self.addr
    }
}

impl<A: Actor> Clone for StateRef<A> {
    fn clone(&self) -> Self {
        Self { addr: self.addr.clone(), thread: self.thread, sent: Arc::clone(&self.sent) }
    }
}

impl<A: Actor> std::fmt::Debug for StateRef<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StateRef({})", std::any::type_name::<A>())
    }
}
