//! [`ActorState`]: what others may know of an actor, and what it owes them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::promise::{Broken, Given, Needs, Promise};
use crate::referent::Referent;

/// An actor, seen from outside.
pub(crate) struct ActorState {
    /// Its class, for messages.
    class: Arc<str>,
    life: Mutex<Life>,
    /// How often it was called.
    calls: AtomicU64,
    /// What its thread waits for just now; set by that thread.
    waits_for: Mutex<Option<Referent>>,
}

enum Life {
    /// By number of the call: the results that were promised and are not there yet.
    Alive(BTreeMap<u64, Vec<Arc<Promise>>>),
    /// What those who call it now are told.
    Dead(Broken),
}

/// Calls are numbered for the whole process.
static NEXT: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// The actor whose thread this is.
    static CURRENT: RefCell<Option<Arc<ActorState>>> = const { RefCell::new(None) };
}

impl ActorState {
    pub(crate) fn new(class: Arc<str>) -> Arc<Self> {
        let life = Mutex::new(Life::Alive(BTreeMap::new()));
        Arc::new(Self { class, life, calls: AtomicU64::new(0), waits_for: Mutex::default() })
    }

    /// The actor whose thread this is.
    pub(crate) fn current() -> Option<Arc<Self>> {
        CURRENT.with_borrow(Clone::clone)
    }

    /// Makes this thread the actor's.
    pub(crate) fn enter(self: &Arc<Self>) {
        CURRENT.set(Some(Arc::clone(self)));
    }

    pub(crate) fn class(&self) -> &str {
        &self.class
    }

    /// How often it was called.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        // No code of a user runs under this lock, and every state is whole at any time.
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Promises the results of a call, `returns` of them; broken already if the actor is dead. Answers the
    /// number of the call, too.
    pub(crate) fn promise(
        self: &Arc<Self>,
        method: &str,
        returns: usize,
    ) -> (u64, Vec<Arc<Promise>>) {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        self.calls.fetch_add(1, Ordering::Relaxed);
        let promise = |place: usize| {
            let name = match returns {
                1 => format!("{}.{method}-{number}", self.class),
                _ => format!("{}.{method}-{number}[{place}]", self.class),
            };
            Promise::new(name.into(), Needs::Actor(Arc::clone(self)))
        };
        let promises: Vec<_> = (0..returns).map(promise).collect();
        let broken = match &mut *self.life() {
            Life::Alive(owed) => {
                owed.insert(number, promises.clone());
                None
            }
            Life::Dead(broken) => Some(broken.clone()),
        };
        if let Some(broken) = broken {
            for promise in &promises {
                promise.settle(Err(broken.clone()));
            }
        }
        (number, promises)
    }

    /// Gives the results of a call, or says why there are none.
    pub(crate) fn settle(&self, number: u64, settled: Result<Vec<Given>, Broken>) {
        let promises = match &mut *self.life() {
            Life::Alive(owed) => owed.remove(&number),
            Life::Dead(_) => None,
        };
        let promises = promises.unwrap_or_default();
        match settled {
            Ok(given) => {
                for (promise, given) in promises.iter().zip(given) {
                    promise.settle(Ok(given));
                }
            }
            Err(broken) => {
                for promise in &promises {
                    promise.settle(Err(broken.clone()));
                }
            }
        }
    }

    pub(crate) fn is_dead(&self) -> bool {
        matches!(&*self.life(), Life::Dead(_))
    }

    /// Ends the actor for all who have called it or will. The first reason holds.
    pub(crate) fn die(&self, why: &str) {
        let message = format!("the actor {} {why}", self.class);
        self.die_of(Broken::ActorDied(message.into(), None));
    }

    /// As [`die`](Self::die).
    pub(crate) fn die_of(&self, broken: Broken) {
        let mut life = self.life();
        if matches!(&*life, Life::Dead(_)) {
            drop(life);
            return drop(broken);
        }
        let old = std::mem::replace(&mut *life, Life::Dead(broken.clone()));
        drop(life);
        let Life::Alive(owed) = old else { return };
        for promise in owed.into_values().flatten() {
            promise.settle(Err(broken.clone()));
        }
    }

    /// What its thread waits for just now.
    pub(crate) fn waits_for(&self) -> Option<Referent> {
        self.waits_for.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says what this thread, which is the actor's, waits for until the answer is dropped.
    pub(crate) fn will_wait(self: &Arc<Self>, referent: &Referent) -> Waits {
        self.set(Some(referent.clone()));
        Waits(Arc::clone(self))
    }

    fn set(&self, referent: Option<Referent>) {
        let mut waits_for = self.waits_for.lock().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *waits_for, referent);
        drop(waits_for);
        drop(old);
    }
}

/// An actor waits as long as this is there.
pub(crate) struct Waits(Arc<ActorState>);

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.set(None);
    }
}
