//! [`Gate`]: tasks wait at it until the test opens it, so that a test decides what happens first.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// What tasks hold. Clones are the same gate.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate(Arc<(Mutex<State>, Condvar)>);

#[derive(Debug, Default)]
struct State {
    open: bool,
    /// How many have come to the gate, also those that went on.
    arrived: usize,
}

/// Opens the gate, at the latest when it is dropped: a test that fails then does not hang as well.
/// Declare it after the cluster, so that it is dropped first.
#[derive(Debug)]
pub(crate) struct Opener(Gate);

/// A closed gate.
pub(crate) fn gate() -> (Gate, Opener) {
    let gate = Gate::default();
    (gate.clone(), Opener(gate))
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, goes_on: impl Fn(&State) -> bool) {
        let held = self.0.1.wait_while(self.lock(), |state| !goes_on(state));
        drop(held.unwrap_or_else(PoisonError::into_inner));
    }

    /// Waits until the gate is open.
    pub(crate) fn pass(&self) {
        self.lock().arrived += 1;
        self.0.1.notify_all();
        self.wait(|state| state.open);
    }

    /// Waits until so many have come to the gate.
    pub(crate) fn arrivals(&self, count: usize) {
        self.wait(|state| state.arrived >= count);
    }
}

impl Opener {
    /// Lets everybody through, from now on.
    pub(crate) fn open(&self) {
        self.0.lock().open = true;
        self.0.0.1.notify_all();
    }
}

impl Drop for Opener {
    fn drop(&mut self) {
        self.open();
    }
}
