//! [`ActorState`]: what others may know of an actor.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};

use crate::referent::Referent;

/// An actor, seen from outside.
pub(crate) struct ActorState {
    /// Its class, for messages.
    class: Arc<str>,
    /// What its thread waits for just now; set by that thread.
    waits_for: Mutex<Option<Referent>>,
}

thread_local! {
    /// The actor whose thread this is.
    static CURRENT: RefCell<Option<Arc<ActorState>>> = const { RefCell::new(None) };
}

impl ActorState {
    pub(crate) fn new(class: Arc<str>) -> Arc<Self> {
        Arc::new(Self { class, waits_for: Mutex::default() })
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
