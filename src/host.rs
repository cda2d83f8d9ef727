//! [`Host`]: the arbiters on which the actors of a cluster live.

use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};

use actix::{Actor, Arbiter, Context, System};

use crate::actors::{StateLook, StateRef};
use crate::config::StateSource;
use crate::error::{Error, Kind};

/// Where the actors live.
pub(crate) struct Host {
    system: System,
    /// Tells of state actors that the program keeps itself.
    states: Option<StateSource>,
    arbiters: Mutex<Arbiters>,
}

#[derive(Default)]
struct Arbiters {
    /// One for scheduler, workers and store, one for the registry, one for futures.
    own: Vec<Arbiter>,
    /// One a state actor. Those of actors that have ended are taken out when the next one starts.
    of_states: Vec<Arbiter>,
    /// The state actors that programs have started, oldest first; ended ones are taken out when there are many.
    looks: Vec<StateLook>,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").finish_non_exhaustive()
    }
}

/// Stops the arbiter on which it is dropped.
struct StopsArbiter;

impl Drop for StopsArbiter {
    fn drop(&mut self) {
        if let Some(arbiter) = Arbiter::try_current() {
            arbiter.stop();
        }
    }
}

fn join(arbiters: impl IntoIterator<Item = Arbiter>) {
    for arbiter in arbiters {
        if arbiter.join().is_err() {
            log::error!("an arbiter of a cluster ended with a panic");
        }
    }
}

impl Host {
    pub(crate) fn new(system: System, states: Option<StateSource>) -> Self {
        Self { system, states, arbiters: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Arbiters> {
        self.arbiters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new arbiter in the cluster's system. It is made on a thread of its own, because that thread
    /// must be told which system it is in, and the caller's must not.
    pub(crate) fn arbiter(&self) -> Result<Arbiter, Error> {
        let system = self.system.clone();
        let body = move || {
            System::set_current(system);
            Arbiter::new()
        };
        let failed = |reason: String| Error::from(Kind::Start(reason));
        let maker = std::thread::Builder::new().spawn(body).map_err(|e| failed(e.to_string()))?;
        maker.join().map_err(|_| failed("no thread for an arbiter can be had".to_owned()))
    }

    /// Keeps arbiters until the cluster ends.
    pub(crate) fn keep(&self, arbiters: impl IntoIterator<Item = Arbiter>) {
        self.lock().own.extend(arbiters);
    }

    /// Starts a user's actor on an arbiter of its own, which ends with it.
    pub(crate) fn start_state<A>(&self, actor: A) -> Result<StateRef<A>, Error>
    where
        A: Actor<Context = Context<A>> + Send,
    {
        let arbiter = self.arbiter()?;
        let (sender, started) = mpsc::channel();
        arbiter.spawn_fn(move || {
            let life = Context::new().into_future(actor);
            // Without the starter nobody has an address, and the actor ends at once.
            drop(sender.send((life.address(), std::thread::current().id())));
            actix_rt::spawn(async {
                // Also if a handler panics.
                let _stops = StopsArbiter;
                life.await;
            });
        });
        let (addr, thread) = started.recv().map_err(|_| Error::from(Kind::Closed))?;
        let mut arbiters = self.lock();
        let (alive, ended) = std::mem::take(&mut arbiters.of_states)
            .into_iter()
            .partition::<Vec<_>, _>(Arbiter::alive);
        arbiters.of_states = alive;
        arbiters.of_states.push(arbiter);
        drop(arbiters);
        join(ended);
        Ok(StateRef::new(addr, thread))
    }

    /// Remembers a state actor for those who look.
    pub(crate) fn show<A: Actor<Context = Context<A>>>(&self, actor: &StateRef<A>) {
        /// More than anybody would look at.
        const MOST: usize = 256;
        let mut arbiters = self.lock();
        if arbiters.looks.len() >= MOST {
            arbiters.looks.retain(StateLook::is_alive);
        }
        arbiters.looks.push(actor.look());
    }

    /// The state actors of the program: type or name, messages, whether they are there.
    pub(crate) fn states(&self) -> Vec<(String, u64, bool)> {
        let of = |look: &StateLook| (look.name.to_owned(), look.messages(), look.is_alive());
        let mut states: Vec<_> = self.lock().looks.iter().map(of).collect();
        if let Some(StateSource(others)) = &self.states {
            states.extend(others());
        }
        states
    }

    /// Stops all arbiters, and waits for their threads.
    pub(crate) fn stop(&self) {
        let Arbiters { own, of_states, .. } = std::mem::take(&mut *self.lock());
        for arbiter in own.iter().chain(&of_states) {
            arbiter.stop();
        }
        join(own.into_iter().chain(of_states));
    }
}
