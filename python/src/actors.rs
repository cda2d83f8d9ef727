//! The actors of this process: those with a name, and all that live, to be ended.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, MutexGuard, Weak};

use actix::Addr;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;

use crate::actor::PythonActor;
use crate::actor_state::ActorState;
use crate::actor_thread::{self, Body};
use crate::clusters;
use crate::fork::PerProcess;
use crate::interpreter::released;
use crate::mailroom::Mailroom;

/// The actors of this process. A fork has none: they live in its parent.
#[derive(Default)]
struct Actors {
    /// By name. They live until they are killed.
    named: BTreeMap<String, Named>,
    all: Vec<Living>,
}

/// An actor with a name.
#[derive(Clone)]
pub(crate) struct Named {
    pub(crate) mailroom: Arc<Mailroom>,
    /// The user's class.
    pub(crate) class: Arc<Py<PyAny>>,
}

struct Living {
    mailroom: Weak<Mailroom>,
    state: Weak<ActorState>,
    /// Answers when the thread has ended.
    ended: Receiver<()>,
}

static ACTORS: PerProcess<Actors> = PerProcess::new();

fn lock() -> MutexGuard<'static, Actors> {
    ACTORS.lock()
}

impl Living {
    fn has_ended(&self) -> bool {
        matches!(self.ended.try_recv(), Err(std::sync::mpsc::TryRecvError::Disconnected))
    }
}

/// Starts an actor, whose object is yet to be made.
pub(crate) fn start(py: Python<'_>, class: &str, is_asynchronous: bool) -> PyResult<Arc<Mailroom>> {
    let cluster = clusters::threads(py, None)?;
    let client = cluster.client().clone();
    let state = ActorState::new(class.into());
    let (sender, mailbox) = actix::dev::channel::channel::<PythonActor>(0);
    let (alive, ended) = channel();
    let of_thread = Arc::clone(&state);
    let body = Body { state: of_thread, mailbox, client, is_asynchronous, alive };
    let started = released(py, || actor_thread::start(body));
    started.map_err(|error| {
        PyRuntimeError::new_err(format!("no thread for the actor {class} can be had: {error}"))
    })?;
    let mailroom = Arc::new(Mailroom::new(Arc::clone(&state), Addr::new(sender)));
    let living =
        Living { mailroom: Arc::downgrade(&mailroom), state: Arc::downgrade(&state), ended };
    let mut actors = lock();
    actors.all.retain(|living| !living.has_ended());
    actors.all.push(living);
    Ok(mailroom)
}

/// The actors that live, for those who look: class and name, how often each was called, whether it is there.
pub(crate) fn states() -> Vec<(String, u64, bool)> {
    let actors = lock();
    let name_of = |living: &Living| {
        let is_its =
            |named: &&Named| Weak::ptr_eq(&Arc::downgrade(&named.mailroom), &living.mailroom);
        let named = actors.named.iter().find(|(_, named)| is_its(named));
        named.map(|(name, _)| name.clone())
    };
    let living = actors.all.iter();
    let living = living.filter_map(|living| Some((living.state.upgrade()?, name_of(living))));
    let living: Vec<_> = living.collect();
    // What goes with the last pointer to an actor goes without the lock.
    drop(actors);
    living
        .into_iter()
        .map(|(state, name)| {
            let name = match name {
                Some(name) => format!("{} ({name})", state.class()),
                None => state.class().to_owned(),
            };
            (name, state.calls(), !state.is_dead())
        })
        .collect()
}

/// Gives an actor a name; answers the one that has it, if there is one.
pub(crate) fn name(name: &str, named: &Named) -> Option<Named> {
    let mut actors = lock();
    let old = actors.named.get(name);
    if let Some(old) = old.filter(|old| !old.mailroom.state().is_dead()) {
        return Some(old.clone());
    }
    let old = actors.named.insert(name.to_owned(), named.clone());
    drop(actors);
    drop(old);
    None
}

/// The actor with a name.
pub(crate) fn find(name: &str) -> PyResult<Named> {
    let found = lock().named.get(name).cloned();
    found.filter(|named| !named.mailroom.state().is_dead()).ok_or_else(|| {
        PyValueError::new_err(format!(
            "there is no actor with the name {name:?}: none was made, or it has ended"
        ))
    })
}

/// Takes the name from an actor that was killed.
pub(crate) fn forget(mailroom: &Arc<Mailroom>) {
    let mut actors = lock();
    let is_this = |(name, named): (&String, &Named)| {
        Arc::ptr_eq(&named.mailroom, mailroom).then(|| name.clone())
    };
    let name = actors.named.iter().find_map(is_this);
    let old = name.and_then(|name| actors.named.remove(&name));
    drop(actors);
    drop(old);
}

/// Ends all actors, and waits for the methods that are running. A signal ends the waiting.
#[pyfunction]
pub(crate) fn end_actors(py: Python<'_>) -> PyResult<()> {
    let mut actors = lock();
    let named = std::mem::take(&mut actors.named);
    let all = std::mem::take(&mut actors.all);
    drop(actors);
    drop(named);
    for living in &all {
        if let Some(mailroom) = living.mailroom.upgrade() {
            mailroom.kill("was ended by `shutdown`");
        } else if let Some(state) = living.state.upgrade() {
            state.die("was ended by `shutdown`");
        }
    }
    let own = ActorState::current();
    for living in all {
        let is_own =
            own.as_ref().is_some_and(|own| Weak::ptr_eq(&living.state, &Arc::downgrade(own)));
        if !is_own {
            wait_for_end(py, living.ended)?;
        }
    }
    Ok(())
}

/// Waits until a thread has ended, and looks at signals now and then.
fn wait_for_end(py: Python<'_>, mut ended: Receiver<()>) -> PyResult<()> {
    loop {
        let (answer, receiver) = released(py, move || (ended.recv_timeout(SIGNALS), ended));
        match answer {
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => py.check_signals()?,
            Ok(()) | Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return Ok(()),
        }
        ended = receiver;
    }
}

/// How long a signal may go unnoticed.
const SIGNALS: std::time::Duration = std::time::Duration::from_millis(50);
